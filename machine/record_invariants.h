/* What must hold of all rows of idempotency records together; part of machine/invariants.h. */
#ifndef MACHINE_RECORD_INVARIANTS_H
#define MACHINE_RECORD_INVARIANTS_H

#include "base/slice.h"
#include "machine/machine.h"

/** Check records, tombstones and the rows that lead to them, as invariants_check() does.
 * \param complaint Out: on HF_ECORRUPT one sentence that names the row.
 * \retval HF_OK all hold; \retval HF_ECORRUPT one does not; faults. */
HF_MUST_USE
int record_invariants_check(struct machine *m, struct buffer *complaint);

#endif
