/* Sessions: their rows, their life and their end (docs/contract.md, section 3). The hot row,
 * row_session, is what every op of the session changes; row_session_info is what only OPEN and
 * RESUME do. While an op is applied its session's row is held decoded in struct machine, and
 * between the ops of an entry it is put aside there: so all reading and writing of row_session goes
 * through session_get() and session_put(). */
#ifndef MACHINE_SESSIONS_H
#define MACHINE_SESSIONS_H

#include "machine/dispatch.h"
#include "machine/state.h"

/** Find a session, alive or a tombstone.
 * \param draft  memory for the row if it is not the op's own.
 * \param out    Out: the row to read and change; then session_put() it. \retval HF_ENOTFOUND */
HF_MUST_USE
int session_get(struct machine *m, uint64_t session, struct row_session *draft,
                struct row_session **out);

/** Write what session_get() gave; the op's own session is written when the op ends. */
HF_MUST_USE
int session_put(struct machine *m, uint64_t session, const struct row_session *row);

/** Read a session's name, peer, ... \retval HF_ENOTFOUND */
HF_MUST_USE
int session_info_get(struct machine *m, uint64_t session, struct row_session_info *info);

/** Names held or waited for, bound attempts and losses not acknowledged: at most
 * SESSION_NAMES_MAX, else QUOTA. */
static inline uint64_t session_load(const struct row_session *s)
{
    return s->grant_count + s->waiter_count + s->attempt_count + s->loss_count;
}

/** Take the session of an op or of a sweep's turn into struct machine, so that all that happens to
 * it is written once, by session_flush(). None may be held. \retval HF_ENOTFOUND */
HF_MUST_USE
int session_hold(struct machine *m, uint64_t session);

/** Let the held session go: it is put aside, and written when the entry ends, or sooner. */
HF_MUST_USE
int session_flush(struct machine *m);

/** Write what is put aside of one session, or of all: whoever reads rows without session_get(), or
 * makes a savepoint, needs that first. */
HF_MUST_USE
int session_settle(struct machine *m, uint64_t session);
HF_MUST_USE
int session_settle_all(struct machine *m);

/** Hold another session for a turn in which several things happen to it; nothing to do if it is the
 * held one. No guest may be held. What it borrows is in scratch. \retval HF_ECORRUPT there is none.
 */
HF_MUST_USE
int session_visit(struct machine *m, uint64_t session);

/** Write the guest, if there is one, and let it go. */
HF_MUST_USE
int session_leave(struct machine *m);

/** Answer SESSION_EXPIRED {why, when} of a tombstone. */
HF_MUST_USE
int session_tell_ended(const struct row_session *s, uint16_t op, struct reply_out *out);

/** Milliseconds of lease left, 0 for a tombstone. */
uint64_t session_lease_left(const struct machine *m, const struct row_session *s);

/** Tell the session of a grant that it lost while it lives: KEEP answers it until acknowledged.
 * \param count  acquisitions that the grant had. */
HF_MUST_USE
int session_lose(struct machine *m, uint64_t session, uint64_t token, enum end_reason reason,
                 uint64_t count);

/** Find a loss that is not acknowledged. \retval HF_ENOTFOUND */
HF_MUST_USE
int session_loss_get(struct machine *m, uint64_t session, uint64_t token, struct row_loss *loss);

/** Find and forget a loss: its client knows of it now. \retval HF_ENOTFOUND */
HF_MUST_USE
int session_loss_take(struct machine *m, uint64_t session, uint64_t token, struct row_loss *loss);

/** Steps 1 and 2 of a session's end: it becomes a tombstone, its waiters leave; its grants' tokens
 * are appended to m->ending, itself to m->ended_sessions. */
HF_MUST_USE
int session_end_begin(struct machine *m, uint64_t session, enum end_reason reason);

/** DEADLINE_SESSION and DEADLINE_FORGET. */
HF_MUST_USE
int session_due(struct machine *m, struct slice id);
HF_MUST_USE
int session_forget_due(struct machine *m, struct slice id);

/* Handlers of OPEN, KEEP, RESUME and CLOSE. */
HF_MUST_USE
int session_open(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);
HF_MUST_USE
int session_keep(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);
HF_MUST_USE
int session_resume(struct machine *m, const struct op_context *ctx, const void *request,
                   struct reply_out *out);
HF_MUST_USE
int session_close(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out);

#endif
