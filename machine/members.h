/* Which incarnation of each server the cluster knows. A server draws one when its directory is
 * made; the first that a leader hears of is recorded here for good, and another one under the same
 * id is refused in the handshake: it has forgotten its votes. Only the removal of a member will
 * take a row away. */
#ifndef MACHINE_MEMBERS_H
#define MACHINE_MEMBERS_H

#include "machine/dispatch.h"

/** Apply MEMBER: record the incarnation of a server of which none is known. */
HF_MUST_USE
int member_record(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out);

#endif
