/* A lock's own row: what is taken of it, what a lost grant keeps taken, and what may be granted
 * (docs/contract.md, section 4). One algorithm serves all modes: a lock has `limit` units;
 * EXCLUSIVE takes all of them, SHARED one of an endless supply, PERMITS as many as it asks for. */
#ifndef MACHINE_LOCK_H
#define MACHINE_LOCK_H

#include "machine/state.h"

/** A lock's row; a name without one is a free lock: zeroes. One that is idle has no limit. */
HF_MUST_USE
int lock_get(struct machine *m, struct slice name, struct row_lock *lock);

/** Write a lock's row with its deadline, or remove it if nothing is left to remember. */
HF_MUST_USE
int lock_put(struct machine *m, struct slice name, struct row_lock *lock);

/** True if nothing of it is left to remember once the last holder has released it. */
bool lock_goes_with(const struct machine *m, const struct row_lock *lock);

/** DEADLINE_LOCK. */
HF_MUST_USE
int lock_due(struct machine *m, struct slice id);

/** The limit that a mode gives its lock: 0 for EXCLUSIVE, which fits any. \param limit as asked. */
static inline uint64_t lock_limit_of(uint64_t mode, uint64_t limit)
{
    return mode == MODE_SHARED ? LIMIT_ENDLESS : limit;
}

/** Its units as answers show them: 0 unless it is one of permits. */
static inline uint64_t lock_limit_shown(const struct row_lock *lock)
{
    return lock->limit == LIMIT_ENDLESS ? 0 : lock->limit;
}

/** False: LIMIT_MISMATCH, the lock is in use with another limit. */
static inline bool lock_fits(const struct row_lock *lock, const struct msg_acquire *acquire)
{
    uint64_t limit = lock_limit_of(acquire->mode, acquire->limit);
    return limit == 0 || lock->limit == 0 || lock->limit == limit;
}

/** True if this can be granted now, whoever else waits. The lock fits. */
bool lock_is_grantable(const struct machine *m, const struct row_lock *lock,
                       const struct msg_acquire *acquire);

/** The cluster time at which lock-delays let this be granted, if nobody holds the lock; now or
 * before: none keeps it out. Where very many losses overlap, a time when it may still be too early:
 * a hint. */
HF_MUST_USE
int lock_delay_until(struct machine *m, struct slice name, const struct row_lock *lock,
                     const struct msg_acquire *acquire, uint64_t *until_ms);

/** Units stay taken after a loss. \param lock changed; the caller writes it. */
HF_MUST_USE
int lock_delay(struct machine *m, struct slice name, struct row_lock *lock,
               const struct row_grant *grant);

#endif
