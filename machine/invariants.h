/* What must hold of a whole state, whatever happened: run in tests and simulation after every
 * entry, and offline on a data directory. Reads every row; slow by design. */
#ifndef MACHINE_INVARIANTS_H
#define MACHINE_INVARIANTS_H

#include "base/slice.h"
#include "machine/machine.h"

/** Check all invariants of the state in `m`.
 * \param complaint  Out: on HF_ECORRUPT one sentence that names the rows; owned by the caller's
 *                   buffer. \retval HF_OK all hold; \retval HF_ECORRUPT one does not; faults. */
HF_MUST_USE
int invariants_check(struct machine *m, struct buffer *complaint);

#endif
