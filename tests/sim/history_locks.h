/* The locks as contract, 4 has them, kept from the log alone: who holds, who waits in which order,
 * which lock-delay runs. A second opinion beside the machine, which is told what was asked and what
 * the machine answered, in log order, and ends the run where the two part:
 *
 *   - nobody is granted beside a holder that excludes it, before a lock-delay is over, or past an
 *     older waiter; nobody is refused or made to wait for a lock that is free
 *   - a grant ends by its release under its own token, by ABANDON, hold_max or its session's end,
 *     and by nothing else
 *   - after each entry nobody stands first in a queue that could be granted */
#ifndef TESTS_SIM_HISTORY_LOCKS_H
#define TESTS_SIM_HISTORY_LOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct history;

/* What an ACQUIRE asks for. */
struct lock_ask {
    uint64_t session;
    uint64_t seq;
    uint64_t owner;
    uint64_t wait_ms;
    uint64_t hold_max_ms; /* 0 = none */
    uint64_t delay_ms;    /* after an involuntary loss */
    bool exclusive;       /* its mode */
};

struct lock_waiter {
    struct lock_ask ask;
    uint64_t until_ms; /* cluster time of the wait's end */
    bool over;         /* by this entry: its answer is on its way, and is no grant */
};

struct lock_grant {
    struct lock_ask ask;
    uint64_t token;
    uint64_t count;         /* releases that it needs */
    uint64_t hold_until_ms; /* 0 = no hold_max */
};

struct lock_rules {
    struct lock_grant *grants;   /* owned */
    size_t grant_count;          /* of them */
    size_t grant_places;         /* allocated */
    struct lock_waiter *waiters; /* owned; oldest first */
    size_t waiter_count;         /* of them */
    size_t waiter_places;        /* allocated */
    uint64_t delay_ms;           /* cluster time until which nothing is granted */
    uint64_t shared_delay_ms;    /* likewise, nothing EXCLUSIVE */
};

/** Free. */
void lock_rules_close(struct lock_rules *l);

/** A sweep at cluster time `now_ms` begins; sessions whose lease is over are marked already. */
void history_locks_sweep(struct history *h, uint64_t now_ms);

/** The session ends. \param lost  involuntarily: lock-delays begin. */
void history_locks_session_ends(struct history *h, uint64_t session, bool lost, uint64_t now_ms);

/** An ACQUIRE waits. */
void history_lock_parked(struct history *h, uint32_t lock, const struct lock_ask *ask);

/** It was answered at once, and not granted, as the lock is taken. */
void history_lock_refused(const struct history *h, uint32_t lock, const struct lock_ask *ask);

/** It was granted. \param ask  NULL: it has waited. \param count  of the same grant, with it. */
void history_lock_granted(struct history *h, uint32_t lock, const struct lock_ask *ask,
                          uint64_t session, uint64_t seq, uint64_t token, uint64_t count);

/** A waiter got another answer. */
void history_lock_left(struct history *h, uint32_t lock, uint64_t session, uint64_t seq);

/** RELEASE or ABANDON of a grant was answered OK. \param owner  0 = ABANDON.
 * \param count_left  as RELEASE was told. */
void history_lock_ended(struct history *h, uint32_t lock, uint64_t session, uint64_t owner,
                        uint64_t token, uint64_t count_left);

/** An entry is applied: look at all queues. */
void history_locks_applied(const struct history *h);

#endif
