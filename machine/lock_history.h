/* The last transitions of a lock, for people (docs/contract.md, section 4: INFO): who was granted
 * it, how that ended, when a mode changed; and its last involuntary loss, for NOT_HELD's why. They
 * live as long as the lock's row. */
#ifndef MACHINE_LOCK_HISTORY_H
#define MACHINE_LOCK_HISTORY_H

#include "machine/state.h"

/* Each sets lock->has_history where it writes; the caller writes the lock's row. */

/** Before this grant is counted in the lock's row. */
HF_MUST_USE
int lock_history_granted(struct machine *m, struct slice name, struct row_lock *lock,
                         uint64_t token, const struct row_grant *grant);

/** Before it is counted out. \param goes the lock's row will go, and its history. */
HF_MUST_USE
int lock_history_ended(struct machine *m, struct slice name, struct row_lock *lock, uint64_t token,
                       const struct row_grant *grant, enum end_reason reason, bool goes);

/** Its mode has become grant->mode. */
HF_MUST_USE
int lock_history_changed(struct machine *m, struct slice name, struct row_lock *lock,
                         uint64_t token, const struct row_grant *grant);

/** All that is known, oldest first. \param row Out: items borrowed from scratch. */
HF_MUST_USE
int lock_history_get(struct machine *m, struct slice name, const struct row_lock *lock,
                     struct row_lock_history *row);

#endif
