/* REVOKE (docs/contract.md, section 10): an administrator asks a grant back. KEEP and RESUME tell
 * its holder, with the time left; how the grant ends, or that it did not within its grace, is an
 * act of its own. At the end of the grace it is forced as by FORCE, whose wait for the holder it
 * keeps; or, where an alarm was asked for, it stays, is shown as overdue, and the server that leads
 * says so. A row for each asked grant, which goes with the grant; a later REVOKE replaces it. */
#ifndef MACHINE_REVOKE_H
#define MACHINE_REVOKE_H

#include "machine/dispatch.h"

/** A grant ends: if it was asked back, that is over. */
HF_MUST_USE
int revoke_over(struct machine *m, uint64_t token, const struct row_grant *grant,
                enum end_reason reason);

/** The grace of this grant is over, and its session lives: force it. */
HF_MUST_USE
int revoke_force(struct machine *m, uint64_t token, const struct row_grant *grant);

/** What KEEP tells of a session: those whose grace ends next first, then overdue ones; of more than
 * ASKED_MAX the first. \param items  room for ASKED_MAX. \param list Out: of items. */
HF_MUST_USE
int revoke_list(struct machine *m, uint64_t session, struct left_item *items,
                struct codec_list *list);

/** Whether a grant is asked back.
 * \param asked Out: enum asked_back. \param until_ms Out: the grace's end; 0 = it is not. */
HF_MUST_USE
int revoke_look(struct machine *m, uint64_t session, uint64_t token, uint64_t *asked,
                uint64_t *until_ms);

/** DEADLINE_REVOKE. */
HF_MUST_USE
int revoke_due(struct machine *m, struct slice id);

/** REVOKE; see struct op_owner. */
HF_MUST_USE
int revoke_apply(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);

#endif
