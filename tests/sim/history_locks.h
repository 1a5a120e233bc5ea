/* The locks as contract, 4 has them, kept from the log alone: who holds, who waits in which order,
 * which lock-delay runs. A second opinion beside the machine, which is told what was asked and what
 * the machine answered, in log order, and ends the run where the two part:
 *
 *   - nobody is granted beside a holder that excludes it, beyond the units that a lock has, before
 *     a lock-delay is over, or past an older waiter; nobody is refused or made to wait for what is
 *     free: several names are free when each of them is, and nobody waits for any
 *   - OWNER_WAITING, ALREADY_HELD, LIMIT_MISMATCH and DEADLOCK come where they must, and nowhere
 *     else
 *   - UPGRADE makes nobody EXCLUSIVE beside others, and DOWNGRADE and UPGRADE are done where they
 * can be
 *   - a grant ends by its release under its own token, by ABANDON, hold_max or its session's end,
 *     and by nothing else, in all of its names; and its own release ends it
 *   - after each entry nobody stands first in all of its queues that could be granted
 *
 *   - a grant that was forced, or whose grace is over, keeps its units until its holder knows, or
 * its session's lease, as it stood, is over (history_admin.c); under a frozen prefix nobody is
 *     granted anything
 *
 * A grant or waiter of several names stands in the rules of each of its locks. */
#ifndef TESTS_SIM_HISTORY_LOCKS_H
#define TESTS_SIM_HISTORY_LOCKS_H

#include <stddef.h>

#include "protocol/words.h"
#include "tests/sim/lock_names.h"

struct history;
struct msg_deadlock;

/* What an ACQUIRE asks for. */
struct lock_ask {
    uint64_t session;
    uint64_t seq;
    uint64_t owner;
    uint64_t mode;    /* enum lock_mode */
    uint64_t permits; /* of PERMITS: units */
    uint64_t limit;   /* likewise: of each lock */
    uint64_t wait_ms;
    uint64_t hold_max_ms; /* 0 = none */
    uint64_t delay_ms;    /* after an involuntary loss */
    struct lock_names names;
    bool reentrant; /* what it holds already, it wants once more */
};

struct lock_waiter {
    struct lock_ask ask;
    uint64_t until_ms; /* cluster time of the wait's end */
    uint64_t turns;    /* grants and waiters of whatever locks that were there before it */
    bool over;         /* by this entry: its answer is on its way, and is no grant */
};

struct lock_grant {
    struct lock_ask ask;
    uint64_t token;
    uint64_t count;         /* releases that it needs */
    uint64_t hold_until_ms; /* 0 = no hold_max */
    uint64_t grace_ms;      /* it is asked back until then, cluster time; 0 = it is not */
    bool alarm;             /* and stays at the grace's end */
};

/* Permits that were lost: taken until the first sweep at that time or later. */
struct lock_lost {
    uint64_t units;
    uint64_t until_ms;
};

/* A grant that was forced, and its holder may not know. */
struct lock_forced {
    uint64_t session;
    uint64_t token;
    uint64_t mode;     /* enum lock_mode */
    uint64_t units;    /* of PERMITS */
    uint64_t count;    /* acquisitions that it had */
    uint64_t until_ms; /* of its session's lease, as it stood */
};

struct lock_rules {
    struct lock_grant *grants;   /* owned */
    size_t grant_count;          /* of them */
    size_t grant_places;         /* allocated */
    struct lock_waiter *waiters; /* owned; oldest first */
    size_t waiter_count;         /* of them */
    size_t waiter_places;        /* allocated */
    struct lock_lost *lost;      /* owned */
    size_t lost_count;           /* of them */
    size_t lost_places;          /* allocated */
    struct lock_forced *forced;  /* owned */
    size_t forced_count;         /* of them */
    size_t forced_places;        /* allocated */
    bool frozen;                 /* its prefix is */
    uint64_t limit;              /* in use; 0 = none, UINT64_MAX = SHARED's */
    uint64_t delay_ms;           /* cluster time until which nothing is granted */
    uint64_t shared_delay_ms;    /* likewise, nothing EXCLUSIVE */
};

/* Between history_locks.c and history_admin.c: the grant of a token, grant_count if it is none; end
 * it, told as LOST, FORCED or RELEASED; room for one more of `count` items. */
size_t lock_rules_find(const struct lock_rules *l, uint64_t token);
void lock_rules_end(struct history *h, uint32_t lock, size_t at, enum event_type e,
                    uint64_t now_ms);
void *lock_rules_room(void *items, size_t count, size_t *places, size_t bytes);

/** Free. */
void lock_rules_close(struct lock_rules *l);

/** A sweep at cluster time `now_ms` begins; sessions whose lease is over are marked already. */
void history_locks_sweep(struct history *h, uint64_t now_ms);

/** The session ends. \param lost  involuntarily: lock-delays begin. */
void history_locks_session_ends(struct history *h, uint64_t session, bool lost, uint64_t now_ms);

/** An ACQUIRE came. \param status  its answer; HF_OK also if it waits. \param waits  it does. */
void history_lock_asked(struct history *h, const struct lock_ask *ask, int status, bool waits);

/** It was told ALREADY_HELD with these names and this token. */
void history_lock_already(const struct history *h, const struct lock_ask *ask,
                          const struct lock_names *names, uint64_t token);

/** It was granted at once. \param count  of the same grant, with it. \return the grant: only for
 * the moment. */
const struct lock_grant *history_lock_granted(struct history *h, const struct lock_ask *ask,
                                              uint64_t token, uint64_t count);

/** A waiter was granted. \return the grant: only for the moment. */
const struct lock_grant *history_lock_served(struct history *h, const struct lock_names *names,
                                             uint64_t session, uint64_t seq, uint64_t token);

/** A waiter got another answer. */
void history_lock_left(struct history *h, const struct lock_names *names, uint64_t session,
                       uint64_t seq);

/** RELEASE or ABANDON of a grant was answered OK. \param owner  0 = ABANDON.
 * \param count_left  as RELEASE was told. */
void history_lock_ended(struct history *h, const struct lock_names *names, uint64_t session,
                        uint64_t owner, uint64_t token, uint64_t count_left);

/** DOWNGRADE or UPGRADE of a grant of these names was answered. \param mode  that it asks for. */
void history_lock_changed(struct history *h, const struct lock_names *names, uint64_t session,
                          uint64_t owner, uint64_t token, uint64_t mode, int status);

/** RELEASE of a grant was refused. */
void history_lock_kept(const struct history *h, const struct lock_names *names, uint64_t session,
                       uint64_t owner, uint64_t token);

/** history_deadlocks.c: owners in the shortest cycle that its waiting would close; 0 = none. */
uint64_t history_cycle_length(const struct history *h, const struct lock_ask *ask);

/** likewise: it was told of one. */
void history_cycle_told(struct history *h, const struct lock_ask *ask,
                        const struct msg_deadlock *told);

/** An entry is applied: look at all queues. */
void history_locks_applied(const struct history *h);

#endif
