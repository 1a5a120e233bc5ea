/* Branches of distributed transactions: the barrier of TCC and sagas (docs/contract.md, section 7).
 * One row a branch, one phase of it at a time.
 *
 *   NONE -> TRYING -> TRIED | TRY_FAILED;  TRIED -> CONFIRMING -> CONFIRMED;
 *   TRYING, TRIED, TRY_FAILED -> CANCELLING -> CANCELLED;  NONE -> CANCELLED (empty rollback)
 *
 * A phase is an attempt under a lease of its own: lapsed it is still good to end, until the next
 * BRANCH with its op takes over; log order decides. The files: branch.c reads, writes and moves a
 * branch; branch_phase.c is BRANCH, its retry, and BRANCH_DONE; branch_reads.c shows.
 *
 * Rows of a branch: row_branch by (gid, branch); while a phase is open its token in TABLE_PHASES;
 * one deadline row at most, for the phase's lease or for the retention. */
#ifndef MACHINE_BRANCH_H
#define MACHINE_BRANCH_H

#include "machine/dispatch.h"
#include "machine/state.h"

enum { BRANCH_BYTES_EACH = 512 }; /* what a branch counts of its principal's bytes, bare */

/** Is a phase under way, or lapsed? */
static inline bool branch_is_open(const struct row_branch *row)
{
    return row->state == BRANCH_TRYING || row->state == BRANCH_CONFIRMING ||
           row->state == BRANCH_CANCELLING;
}

/** Has it come to its end? What has not is never reaped. */
static inline bool branch_is_finished(const struct row_branch *row)
{
    return row->state == BRANCH_CONFIRMED || row->state == BRANCH_CANCELLED;
}

/** When its retention ends; UINT64_MAX: not before it is finished. */
uint64_t branch_reaped_at(const struct row_branch *row);

/** What it counts of its principal's bytes. */
uint64_t branch_bytes_of(struct slice key, const struct row_branch *row);

/** Read one. \param key of row_key_branch(). \retval HF_ENOTFOUND; faults. */
HF_MUST_USE
int branch_get(struct machine *m, struct slice key, struct row_branch *row);

/** Write it, after its deadline row was put where its state wants it. */
HF_MUST_USE
int branch_put(struct machine *m, struct slice key, struct row_branch *row);

/** Who asks for a phase. */
struct branch_call {
    const struct msg_branch *request; /**< borrowed */
    const struct envelope *envelope;  /**< borrowed */
};

/** A phase begins: `state` with a new token, under the caller's lease. One that is open is over.
 * Not written yet. */
HF_MUST_USE
int branch_start(struct machine *m, struct slice key, struct row_branch *row,
                 enum branch_state state, const struct branch_call *call);

/** The open phase is over: its token is forgotten, `state` is what the branch becomes. Not written
 * yet. */
HF_MUST_USE
int branch_stop(struct machine *m, struct slice key, struct row_branch *row,
                enum branch_state state);

/** ABANDON of a phase's token by the session that began it: it lapses now.
 * \retval HF_ENOTFOUND it is no open phase's; \retval HF_ENOTOWNER another session's. */
HF_MUST_USE
int branch_abandon(struct machine *m, uint64_t session, uint64_t token);

/* DEADLINE_PHASE, DEADLINE_BRANCH. */
HF_MUST_USE
int branch_phase_due(struct machine *m, struct slice id);
HF_MUST_USE
int branch_retention_due(struct machine *m, struct slice id);

/* BRANCH, its retry, BRANCH_DONE; see struct op_owner. */
HF_MUST_USE
int branch_ask(struct machine *m, const struct op_context *ctx, const void *request,
               struct reply_out *out);
HF_MUST_USE
int branch_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
                  struct reply_out *out);
HF_MUST_USE
int branch_done(struct machine *m, const struct op_context *ctx, const void *request,
                struct reply_out *out);

/* BRANCH_GET, BRANCH_LIST. */
HF_MUST_USE
int branch_read(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);
HF_MUST_USE
int branch_list(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);

#endif
