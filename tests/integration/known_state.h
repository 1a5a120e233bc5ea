/* A server's state of which every part was acknowledged, so that it can be compared whole after
 * whatever was done to the server's files: locks held and released, records done and running, the
 * reply of a numbered request, the greatest fencing token. What is asked changes nothing, but for
 * one new session and one grant at the end, whose token must be above all others. */
#ifndef TESTS_INTEGRATION_KNOWN_STATE_H
#define TESTS_INTEGRATION_KNOWN_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/integration/wire.h"

enum { KNOWN_LOCKS_MAX = 1000, KNOWN_RECORDS_MAX = 1000 };

struct known_lock {
    uint64_t token; /**< of the last grant of lock/INDEX */
    bool held;      /**< else it was released */
};

struct known_record {
    uint64_t token;      /**< of the attempt at record/INDEX */
    uint32_t body_bytes; /**< of the result, or of the checkpoint's data */
    bool done;           /**< else it runs, with a checkpoint */
};

struct known_state {
    uint64_t session;                               /**< that did all of it */
    uint64_t token_max;                             /**< greatest ever acknowledged */
    uint64_t last_seq;                              /**< of the last acknowledged ACQUIRE */
    uint32_t lock_count;                            /**< in `locks` */
    uint32_t record_count;                          /**< in `records` */
    struct known_lock locks[KNOWN_LOCKS_MAX];       /**< by index */
    struct known_record records[KNOWN_RECORDS_MAX]; /**< by index */
};

/** Do more on `c`'s session, acknowledged op by op: `locks` acquired, every fourth released;
 * `records` begun, every fifth checkpointed and left running, the others completed, all with
 * `body_bytes` of data. Ends with an ACQUIRE whose answer stays unacknowledged by the client.
 * \return false: the server refused something; printed. */
bool known_state_add(struct known_state *k, struct wire *c, uint32_t locks, uint32_t records,
                     uint32_t body_bytes);

/** Compare all. \return HF_OK; WIRE_BROKEN or WIRE_SILENT: it stopped answering; HF_ENOTLEADER: it
 * does not lead any more; HF_ECORRUPT: a wrong answer, printed. */
int known_state_compare(const struct known_state *k, uint16_t port);

/** Complete the last running record with a large body, so that the log's last group has many
 * sectors. \param body_bytes at most BODY_BYTES_MAX. \return the server's status. */
int known_state_complete(struct wire *c, uint32_t index, uint64_t token, uint32_t body_bytes);

/** True if record/INDEX is done with that body. */
bool known_state_is_completed(struct wire *c, uint32_t index, uint64_t token, uint32_t body_bytes,
                              bool *done);

#endif
