/* The lock model's parts: the steps (model_lock.c), what is looked at before the search
 * (lock_before.c), and what is looked at between locks (lock_cycle.c). For these alone. */
#ifndef JEPSEN_CHECK_MODEL_LOCK_H
#define JEPSEN_CHECK_MODEL_LOCK_H

#include "jepsen/check/model.h"

/** struct model's `prepare`: an acquire of unknown outcome whose grant nobody can have seen
 * explains nothing and is left out, as are unknown renewals (they could only forbid) and reads. */
void lock_prepare(struct operation *operations, size_t *count);

/** struct model's `quick`: one owner a token; tokens that rise in real time; grants that exclude
 * each other are not believed in at the same moment. */
bool lock_quick(const struct key_history *key, struct buffer *complaint);

/** struct model's `whole`: who is told of a deadlock can have been in one. */
bool lock_whole(const struct history *h, struct buffer *complaint);

#endif
