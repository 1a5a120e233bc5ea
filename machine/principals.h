/* Principals and what each of them has: sessions, names, records, bytes; and the caps on it, which
 * are settings (docs/contract.md, section 9).
 *
 * Until there is authentication a principal is a client's name together with the host that its
 * OPEN came from. A session belongs to the principal of its OPEN, whoever resumes it; a record to
 * that of the BEGIN that made it, whoever takes it over, until its tombstone has gone; a timer
 * likewise to that of its first SET. A row of
 * TABLE_PRINCIPALS counts what there is, exactly, and goes with the last of it.
 *
 * Caps stand before new work alone: what frees or finishes is counted and never refused, so that a
 * count may lie above its cap for a while. The row of one principal is held decoded in struct
 * machine while an entry is applied, for a batch is often one client's. */
#ifndef MACHINE_PRINCIPALS_H
#define MACHINE_PRINCIPALS_H

#include "machine/dispatch.h"
#include "machine/state.h"
#include "protocol/principal.h"

/** Make sure that it has a row, if only for the length of an entry. */
HF_MUST_USE
int principal_meet(struct machine *m, uint64_t id, struct slice name, struct slice host);

/** Count so much more, or less, of `which`: QUOTA_SESSIONS to QUOTA_BYTES, QUOTA_TIMERS. Faults
 * only. */
HF_MUST_USE
int principal_add(struct machine *m, uint64_t id, enum quota which, uint64_t count);
HF_MUST_USE
int principal_remove(struct machine *m, uint64_t id, enum quota which, uint64_t count);

/** What one record or branch counts as, as its own row keeps it. */
struct principal_share {
    uint64_t principal; /**< whose */
    uint64_t *open;     /**< 1: it counts as one that has no outcome yet */
    uint64_t *bytes;    /**< so much of the principal's are its own */
};

/** Count it as what it is now. Faults only. */
HF_MUST_USE
int principal_settle(struct machine *m, struct principal_share share, bool open, uint64_t bytes);

/** May it have so many more? A principal without a row has nothing yet.
 * \param refused  Out: on HF_EQUOTA which cap, and how it stands. \retval HF_EQUOTA; faults. */
HF_MUST_USE
int principal_may(struct machine *m, uint64_t id, enum quota which, uint64_t count,
                  struct msg_quota *refused);

/** Write what an entry has changed. */
HF_MUST_USE
int principal_flush(struct machine *m);

/** One of a row's counts. */
uint64_t *principal_count(struct row_principal *row, enum quota which);

/** Answer QUOTA: which limit, how much of it there is, the limit itself. */
HF_MUST_USE
int quota_tell(struct reply_out *out, uint16_t op, enum quota which, uint64_t count, uint64_t max);

#endif
