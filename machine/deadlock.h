/* Deadlocks of owners (docs/contract.md, section 4): whether one who is about to wait would wait
 * for itself. */
#ifndef MACHINE_DEADLOCK_H
#define MACHINE_DEADLOCK_H

#include "machine/lock.h"

/** Owners each of whom waits for the next one, and the last for the first. */
struct deadlock {
    struct owner_item owners[DEADLOCK_OWNERS_MAX]; /**< from the requester on */
    uint32_t count;                                /**< of those shown */
    uint64_t length;                               /**< of the cycle */
};

/** Look for a cycle that `owner` of the op's session would close by waiting for `acquire`.
 * \param locks  its locks, in order. \param found Out: written only on HF_OK.
 * \retval HF_ENOTFOUND there is none, or the search was given up, which
 * m->deadlock_unknown_count counts; \retval faults. */
HF_MUST_USE
int deadlock_find(struct machine *m, const struct msg_acquire *acquire,
                  const struct row_lock *locks, struct deadlock *found);

#endif
