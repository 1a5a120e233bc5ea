/* The exclusive and shared lock with a queue, written a second time as simply as can be: arrays,
 * linear searches, no rows, no deadlines that move. It knows nothing of machine/ but its words, and
 * is what the machine is held against, step by step. */
#ifndef TESTS_UNIT_MACHINE_MODEL_H
#define TESTS_UNIT_MACHINE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MODEL_SESSIONS = 5,
    MODEL_OWNERS = 3, /* a session: 1 .. MODEL_OWNERS */
    MODEL_LOCKS = 3,
    MODEL_QUEUE_MAX = MODEL_SESSIONS * MODEL_OWNERS,
    MODEL_PARKED = 1, /* what model_acquire() answers for a request that waits */
};

/** One user of a lock: a holder or a waiter. */
struct model_user {
    uint64_t session;  /**< the machine's number */
    uint64_t owner;    /**< within it */
    uint64_t seq;      /**< of the ACQUIRE */
    uint64_t mode;     /**< exclusive or shared */
    uint64_t count;    /**< reentrant acquisitions; holders only */
    uint64_t until_ms; /**< end of the wait; of hold_max for a holder, 0 = none */
    uint64_t hold_ms;  /**< hold_max asked for */
    uint64_t delay_ms; /**< lock-delay asked for */
    uint64_t token;    /**< of a holder, as the machine told; 0 = not told yet */
};

struct model_lock {
    struct model_user holders[MODEL_QUEUE_MAX]; /**< in the order of their grants */
    unsigned holder_count;                      /**< in use */
    struct model_user queue[MODEL_QUEUE_MAX];   /**< head first */
    unsigned queue_length;                      /**< in use */
    uint64_t delay_ms;                          /**< nothing is granted until then */
    uint64_t shared_delay_ms;                   /**< nothing exclusive is */
};

struct model_session {
    uint64_t id;         /**< 0 = none */
    uint64_t ttl_ms;     /**< of its lease */
    uint64_t expires_ms; /**< last renewal + ttl */
};

struct model {
    uint64_t now_ms;                               /**< cluster time */
    struct model_session sessions[MODEL_SESSIONS]; /**< alive ones */
    struct model_lock locks[MODEL_LOCKS];          /**< by number */
};

/** Time moves; what is due ends, all at once, then queues are served. */
void model_advance(struct model *m, uint64_t now_ms);

/** A queue could go on at `now_ms` because a delay is over by then. */
bool model_has_queue_due(const struct model *m, uint64_t now_ms);

/** What the machine must answer; MODEL_PARKED = it waits. \param want an ACQUIRE's arguments. */
int model_acquire(struct model *m, unsigned lock, const struct model_user *want, uint64_t wait_ms,
                  bool reentrant);

/** End one acquisition of the holder; it must be one. \return what is left to release */
uint64_t model_release(struct model *m, unsigned lock, unsigned holder);

/** The holder declares its grant lost. */
void model_abandon(struct model *m, unsigned lock, unsigned holder);

/** Take (session, seq) out of the queue it waits in. \return false if it waits in none */
bool model_cancel(struct model *m, uint64_t session, uint64_t seq);

/** A session gives everything back. */
void model_close(struct model *m, unsigned session);

#endif
