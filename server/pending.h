/* Requests that were taken and not answered yet. Each is in exactly one place: in a batch, by its
 * position, until its entry is applied; or parked, by (session, seq), until the machine wakes it,
 * which survives the connection: a resend of the request moves the answer to the new one, and the
 * older is told so (replica_apply.c). Beside them the number of requests of each session under way,
 * for TOO_MANY_UNACKED at the door. */
#ifndef SERVER_PENDING_H
#define SERVER_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "server/replica.h"
#include "server/slab.h"
#include "server/table.h"

struct pending {
    struct table_node node;       /**< in `parked`, by (session, seq) */
    struct replica_caller caller; /**< whose it is */
    struct list link;             /**< in its session's `requests`, while `counted` */
    bool counted;                 /**< it counts among its session's requests under way */
    bool listed;                  /**< it is in `parked` */
    bool polled;                  /**< a POLL that had waited, of this group: */
    uint64_t group_high;          /**< hash of its name; the caller's own use */
    uint64_t group_low;           /**< likewise */
};

/** A session with numbered requests under way. */
struct session_load {
    struct table_node node; /**< in `sessions`, by session */
    struct list requests;   /**< of struct pending: numbered ones in batches */
    uint64_t seq_max;       /**< no greater number was under way since this was made */
    uint32_t count;         /**< in `requests` */
};

struct pending_table {
    struct slab requests;  /**< of struct pending */
    struct slab loads;     /**< of struct session_load */
    struct table parked;   /**< struct pending by (session, seq) */
    struct table sessions; /**< struct session_load by session */
};

/** Begin empty. \param requests_max bound of all that is unanswered. \retval HF_ENOMEM */
HF_MUST_USE
int pending_init(struct pending_table *t, size_t requests_max);

/** Free everything; a zeroed one is accepted. */
void pending_close(struct pending_table *t);

/** A new request. One place of sixteen is kept for those that are exempt, for the others may wait
 * long for just that. \param caller copied. \param counted it has a seq.
 * \return owned by the table until pending_end(); NULL: too many, or no memory. */
struct pending *pending_new(struct pending_table *t, const struct replica_caller *caller,
                            bool counted);

/** Is there room for one that frees or finishes? */
bool pending_has_room(const struct pending_table *t);

/** Numbered requests of a session in batches. */
uint32_t pending_load(const struct pending_table *t, uint64_t session);

/** True if (session, seq) is in a batch. Cheap for a new number: it is asked when load is shed. */
bool pending_has(const struct pending_table *t, uint64_t session, uint64_t seq);

/** Its op was applied and waits; it replaces an older request of the same (session, seq), which is
 * forgotten. */
void pending_park(struct pending_table *t, struct pending *p);

/** The parked request of (session, seq), borrowed; NULL if there is none here. */
struct pending *pending_find_parked(const struct pending_table *t, uint64_t session, uint64_t seq);

/** It was answered, or will never be: forget it. */
void pending_end(struct pending_table *t, struct pending *p);

#endif
