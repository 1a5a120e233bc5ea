/* Batches: requests on their way into the log, each batch one entry. The last one in `waiting` is
 * open; closed ones wait in front of it until an entry may go into the log; `in_flight` ones are
 * in the log, in order of index, until they are applied. Memory is used again.
 * Positions tie a batch to its requests: requests[i] is the entry's op i. */
#ifndef SERVER_BATCH_H
#define SERVER_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "protocol/entry.h"
#include "server/pending.h"

struct batch {
    struct list link;          /**< in `waiting`, `in_flight` or `spare` */
    struct buffer entry;       /**< owned: the entry's bytes */
    struct pending **requests; /**< owned; of each op, borrowed from the pending table's slab;
                                    NULL = nobody waits for its answer */
    uint32_t count;            /**< ops */
    uint32_t weight;           /**< ops, each of a TXN counted */
    uint32_t capacity;         /**< room in `requests` */
    uint64_t index;            /**< of its entry; 0 = not in the log yet */
    uint64_t term;             /**< of its entry */
    uint64_t opened_ms;        /**< when its first op came, on this machine's clock */
    bool keeps_only;           /**< nothing but KEEPs in it */
};

struct batches {
    struct list waiting;      /**< not in the log; the last one is open */
    struct list in_flight;    /**< in the log and not applied */
    struct list spare;        /**< empty, their memory kept */
    size_t waiting_bytes;     /**< of entries in `waiting` */
    uint32_t in_flight_count; /**< of those with ops: what in_flight_max bounds */
    uint32_t spare_count;     /**< in `spare` */
    uint32_t bytes_max;       /**< a batch of this size is full */
    uint32_t ops_max;         /**< or with so many ops, each of a TXN counted */
};

/** Begin without any. */
void batches_init(struct batches *b, uint32_t bytes_max, uint32_t ops_max);

/** Free all batches; requests are the pending table's. A zeroed one is accepted. */
void batches_close(struct batches *b);

/** Append an op to the open batch, or to a new one. \param request borrowed until the batch is
 * dropped; NULL for an op of the server's own. \retval HF_ENOMEM, HF_ETOOLARGE nothing changed. */
HF_MUST_USE
int batches_add(struct batches *b, uint64_t now_ms, uint16_t op, struct pending *request,
                const struct envelope *envelope, struct slice body);

/** An empty batch at the end of `waiting`: its entry carries time alone. \return borrowed;
 * NULL: out of memory. */
struct batch *batches_add_empty(struct batches *b, uint64_t now_ms);

/** The oldest batch that is not in the log; NULL if there is none. */
struct batch *batches_first_waiting(const struct batches *b);

/** True if a batch takes no more ops. */
bool batch_is_full(const struct batches *b, const struct batch *batch);

/** The first waiting batch has become an entry. */
void batches_submitted(struct batches *b, struct batch *batch, uint64_t index, uint64_t term);

/** The oldest entry in flight; NULL if there is none. */
struct batch *batches_first_in_flight(const struct batches *b);

/** Drop a batch, wherever it is; its requests have been dealt with. */
void batches_drop(struct batches *b, struct batch *batch);

#endif
