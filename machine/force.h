/* FORCE (docs/contract.md, section 10): an administrator ends a grant. Its holder may believe in it
 * until it is told, or until its session's lease, as it stood then, has run out: so long the lock
 * stays taken, unless it was said that this is skipped (`now`). A row for each such grant keeps
 * its units taken; the acknowledgement of the loss, the session's end or that lease's end removes
 * it. The ordinary lock-delay counts beside it. */
#ifndef MACHINE_FORCE_H
#define MACHINE_FORCE_H

#include "machine/dispatch.h"

/** The holder knows of it, or its session has ended: nothing of the grant is taken any more.
 * Nothing happens if it was not forced, or is over. */
HF_MUST_USE
int force_is_known(struct machine *m, uint64_t session, uint64_t token);

/** End a grant by force. \param waits  its units stay taken until its holder knows, or its
 * session's lease, as it stands now, is over; else nobody is waited for. */
HF_MUST_USE
int force_grant(struct machine *m, uint64_t token, const struct row_grant *grant, bool waits);

/** DEADLINE_FORCED. */
HF_MUST_USE
int force_due(struct machine *m, struct slice id);

/** FORCE; see struct op_owner. */
HF_MUST_USE
int force_apply(struct machine *m, const struct op_context *ctx, const void *request,
                struct reply_out *out);

#endif
