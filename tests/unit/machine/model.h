/* Locks with queues, written a second time as simply as can be: one array of grants, one of
 * waiters in the order in which they came, linear searches, no rows, no cursors, no lists of what
 * to serve. A request for several names is one user with several bits. It knows nothing of machine/
 * but its words, and is what the machine is held against, step by step. */
#ifndef TESTS_UNIT_MACHINE_MODEL_H
#define TESTS_UNIT_MACHINE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MODEL_SESSIONS = 5,
    MODEL_OWNERS = 3, /* a session: 1 .. MODEL_OWNERS */
    MODEL_LOCKS = 4,
    MODEL_WAITERS_MAX = MODEL_SESSIONS * MODEL_OWNERS,
    MODEL_GRANTS_MAX = MODEL_WAITERS_MAX * MODEL_LOCKS,
    MODEL_DELAYS_MAX = 1000,
    MODEL_PARKED = 1, /* what model_acquire() answers for a request that waits */
};

/** One user of locks: a holder or a waiter. */
struct model_user {
    uint64_t session;  /**< the machine's number */
    uint64_t owner;    /**< within it */
    uint64_t seq;      /**< of the ACQUIRE */
    unsigned names;    /**< bit i: lock i */
    uint64_t mode;     /**< enum lock_mode */
    uint64_t permits;  /**< of MODE_PERMITS */
    uint64_t limit;    /**< likewise */
    uint64_t count;    /**< reentrant acquisitions; holders only */
    uint64_t until_ms; /**< end of the wait; of hold_max for a holder, 0 = none */
    uint64_t hold_ms;  /**< hold_max asked for */
    uint64_t delay_ms; /**< lock-delay asked for */
    uint64_t token;    /**< of a holder, as the machine told; 0 = not told yet */
    uint64_t asked_ms; /**< end of the grace of a holder that is asked back; 0 = it is not */
    bool alarm;        /**< it stays then */
    bool overdue;      /**< and its grace is over */
};

/** Units of a lock that stay taken after a loss, or until a forced holder knows. */
struct model_delay {
    unsigned lock;     /**< by number */
    uint64_t mode;     /**< of the grant that was lost */
    uint64_t units;    /**< permits */
    uint64_t until_ms; /**< cluster time; of permits, and forced, the first sweep from then on */
    uint64_t session;  /**< of a forced grant; else 0 */
    uint64_t token;    /**< likewise */
};

struct model_session {
    uint64_t id;         /**< 0 = none */
    uint64_t ttl_ms;     /**< of its lease */
    uint64_t expires_ms; /**< last renewal + ttl */
};

struct model {
    uint64_t now_ms;                               /**< cluster time */
    struct model_session sessions[MODEL_SESSIONS]; /**< alive ones */
    struct model_user grants[MODEL_GRANTS_MAX];    /**< in the order in which they were granted */
    unsigned grant_count;                          /**< in use */
    struct model_user waiters[MODEL_WAITERS_MAX + 1]; /**< oldest first */
    unsigned waiter_count;                            /**< in use */
    struct model_delay delays[MODEL_DELAYS_MAX];      /**< in no order */
    unsigned delay_count;                             /**< in use */
    unsigned frozen;                                  /**< bit i: lock i */
    uint64_t limits[MODEL_LOCKS];                     /**< in use; 0 = none, UINT64_MAX = SHARED */
};

/** Time moves; what is due ends, all at once, then queues are served. */
void model_advance(struct model *m, uint64_t now_ms);

/** A queue could go on at `now_ms` because a delay is over by then. */
bool model_has_queue_due(const struct model *m, uint64_t now_ms);

/** What the machine must answer; MODEL_PARKED = it waits. \param want an ACQUIRE's arguments. */
int model_acquire(struct model *m, const struct model_user *want, uint64_t wait_ms, bool reentrant);

/** End one acquisition of the grant; it must be one. \return what is left to release */
uint64_t model_release(struct model *m, unsigned grant);

/** What DOWNGRADE of the grant must answer. */
int model_downgrade(struct model *m, unsigned grant);

/** What UPGRADE of the grant must answer. */
int model_upgrade(struct model *m, unsigned grant);

/** The holder declares its grant lost. */
void model_abandon(struct model *m, unsigned grant);

/** Take (session, seq) out of the queues it waits in. \return false if it waits in none */
bool model_cancel(struct model *m, uint64_t session, uint64_t seq);

/** From now on these locks, and no others, are frozen. */
void model_freeze(struct model *m, unsigned frozen);

/** The grant is ended by force: the locks stay taken until its session acknowledges it, ends, or
 * its lease as it is now is over; not if `now`. */
void model_force(struct model *m, unsigned grant, bool now);

/** The grant is asked back: at `until_ms` it is forced, or overdue if `alarm`. */
void model_revoke(struct model *m, unsigned grant, uint64_t until_ms, bool alarm);

/** A session has heard of the loss of this token. */
void model_acknowledge(struct model *m, uint64_t session, uint64_t token);

/** A session gives everything back. */
void model_close(struct model *m, unsigned session);

#endif
