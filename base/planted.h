/* Planted bugs: small faults in the true code, one of which a build with HF_PLANTED can be told to
 * have. They prove that the nets hold: a simulation that runs a server with a broken promise and
 * sees nothing wrong looks at the wrong things (docs/testing.md).
 *
 *     if (!planted(VOTE_NOT_SYNCED)) rv = disk_sync(d, file);
 *
 * In every other build planted() is the constant false and the compiler leaves nothing of it. In
 * that build the bug is chosen by number at the start, before there are threads: by
 * `holdfast-sim --planted N`, or by HOLDFAST_PLANTED=N around any program of ours; 0 is none.
 * Such a build is refused by `cmake --install`. */
#ifndef BASE_PLANTED_H
#define BASE_PLANTED_H

#include <stdbool.h>

#ifdef HF_PLANTED

#include "base/assert.h"
#include "base/planted_bugs.h"

#define HF_PLANTED_ENUM(number, name, sentence) PLANTED_##name = (number),
enum planted_bug { PLANTED_NONE = 0, HF_PLANTED_BUGS(HF_PLANTED_ENUM) PLANTED_END };
#undef HF_PLANTED_ENUM

/** The chosen one. Set before threads start, read by all of them. */
extern enum planted_bug planted_now;

/** True if this bug is the chosen one. */
#define planted(name) (planted_now == PLANTED_##name)

/** Choose by number, in digits. \retval HF_EINVAL there is no such bug; nothing changed. */
HF_MUST_USE
int planted_choose(const char *number);

/** The sentence of a bug; NULL = there is none of this number. */
const char *planted_sentence(unsigned number);

/** Its name, as planted() takes it; NULL likewise. */
const char *planted_name(unsigned number);

#else

#define planted(name) false

#endif

#endif
