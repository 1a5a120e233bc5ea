/* BRANCH: the table of contract, 7, a function a column; its retry; and BRANCH_DONE, the end of a
 * phase. A request is checked in this order: fingerprint and step, a freeze (try alone), state,
 * caps (a new branch alone). Failure modes: faults only; everything else is an answer. */
#include "base/planted.h"
#include "machine/branch.h"
#include "machine/freeze.h"
#include "machine/late.h"
#include "machine/principals.h"

/* ------------------------------------------------------------------ answers */

/* What is kept for a retry has no body; it is looked up again (branch_repeat). */
static int answer_verdict(struct reply_out *out, struct slice key,
                          const struct msg_branch_reply *whole)
{
    struct msg_branch_reply fixed = *whole;
    HF_ASSERT(whole->fencing_token != 0);
    out->token = whole->fencing_token;
    out->key = key;
    int rv = reply_set(out, OP_CODE_BRANCH, HF_OK, whole);
    if (rv != HF_OK || whole->body.size == 0) return rv;
    HF_ASSERT(whole->verdict == BRANCH_DUPLICATE);
    fixed.body = (struct slice){0};
    fixed.referent = REFERENT_GONE;
    buffer_clear(out->stored);
    return codec_encode(&msg_branch_reply_type, &fixed, out->stored);
}

static int answer_phase(struct reply_out *out, struct slice key, const struct row_branch *row,
                        enum branch_verdict verdict)
{
    const struct msg_branch_reply reply = {
        .verdict = verdict,
        .fencing_token = row->fencing_token,
        .attempt = row->attempt,
        .takeover = row->attempt > 1,
        .state = row->state,
        .tried = row->tried,
    };
    return answer_verdict(out, key, &reply);
}

/* The try's end, as it is kept. */
static int answer_tried(struct reply_out *out, struct slice key, const struct row_branch *row)
{
    HF_ASSERT(row->tried == BRANCH_TRY_DONE || row->tried == BRANCH_TRY_REFUSED);
    const struct msg_branch_reply reply = {
        .verdict = BRANCH_DUPLICATE,
        .fencing_token = row->try_token,
        .state = row->state,
        .tried = row->tried,
        .outcome = row->tried == BRANCH_TRY_DONE ? OUTCOME_DONE : OUTCOME_FAILED,
        .code = row->try_code,
        .body = row->try_body,
        .done_at_ms = row->try_done_at_ms,
    };
    return answer_verdict(out, key, &reply);
}

/* The same of the confirm or cancel. */
static int answer_finished(struct reply_out *out, struct slice key, const struct row_branch *row)
{
    HF_ASSERT(branch_is_finished(row));
    const struct msg_branch_reply reply = {
        .verdict = BRANCH_DUPLICATE,
        .fencing_token = row->fencing_token,
        .attempt = row->attempt,
        .state = row->state,
        .tried = row->tried,
        .outcome = OUTCOME_DONE,
        .code = row->code,
        .body = row->body,
        .done_at_ms = row->done_at_ms,
    };
    return answer_verdict(out, key, &reply);
}

/* A refusal, with the branch as it is; NULL: there is none. */
static int refuse(struct reply_out *out, uint16_t op, int status, const struct row_branch *row)
{
    struct msg_branch_state detail = {.state = BRANCH_NONE};
    if (row != NULL) detail = (struct msg_branch_state){row->state, row->tried, row->code};
    return reply_set(out, op, status, &detail);
}

static int answer_running(struct machine *m, struct reply_out *out, const struct row_branch *row)
{
    const struct msg_running detail = {
        .lease_left_ms = state_left(m, row->lease_until_ms),
        .attempt = row->attempt,
    };
    return reply_set(out, OP_CODE_BRANCH, HF_ERUNNING, &detail);
}

/* ------------------------------------------------------------------ the table */

static int execute(struct machine *m, struct slice key, struct row_branch *row,
                   enum branch_state state, const struct branch_call *call, struct reply_out *out)
{
    int rv = branch_start(m, key, row, state, call);
    if (rv != HF_OK) return rv;
    if (state == BRANCH_TRYING) {
        row->tried = BRANCH_TRY_OPEN;
        row->try_token = row->fencing_token;
    } else if (row->tried == BRANCH_TRY_OPEN) {
        row->tried = BRANCH_TRY_UNKNOWN;
    }
    rv = branch_put(m, key, row);
    return rv == HF_OK ? answer_phase(out, key, row, BRANCH_EXECUTE) : rv;
}

/* Of a phase that is open: it goes on, or the next one takes over. */
static int go_on(struct machine *m, struct slice key, struct row_branch *row,
                 const struct branch_call *call, struct reply_out *out)
{
    HF_ASSERT(branch_is_open(row));
    if (!row->lapsed) return answer_running(m, out, row);
    return execute(m, key, row, (enum branch_state)row->state, call, out);
}

static int try_branch(struct machine *m, struct slice key, struct row_branch *row,
                      const struct branch_call *call, struct reply_out *out)
{
    switch ((enum branch_state)row->state) {
    case BRANCH_TRYING: return go_on(m, key, row, call, out);
    case BRANCH_TRY_FAILED:
        if (planted(FAILED_TRY_NEVER_CAME)) return execute(m, key, row, BRANCH_TRYING, call, out);
        return answer_tried(out, key, row);
    case BRANCH_TRIED:
    case BRANCH_CONFIRMING:
    case BRANCH_CONFIRMED: return answer_tried(out, key, row);
    case BRANCH_CANCELLING:
    case BRANCH_CANCELLED: break;
    case BRANCH_NONE: return HF_ECORRUPT;
    }
    if (planted(HANGING_TRIED)) return execute(m, key, row, BRANCH_TRYING, call, out);
    return refuse(out, OP_CODE_BRANCH, HF_EHANGING, row);
}

static int confirm_branch(struct machine *m, struct slice key, struct row_branch *row,
                          const struct branch_call *call, struct reply_out *out)
{
    switch ((enum branch_state)row->state) {
    case BRANCH_TRYING: return refuse(out, OP_CODE_BRANCH, HF_ENOTREADY, row);
    case BRANCH_TRIED: return execute(m, key, row, BRANCH_CONFIRMING, call, out);
    case BRANCH_TRY_FAILED: return refuse(out, OP_CODE_BRANCH, HF_ENOTRY, row);
    case BRANCH_CONFIRMING: return go_on(m, key, row, call, out);
    case BRANCH_CONFIRMED: return answer_finished(out, key, row);
    case BRANCH_CANCELLING: break;
    case BRANCH_CANCELLED:
        if (!planted(CONFIRM_AFTER_CANCEL)) break;
        return execute(m, key, row, BRANCH_CONFIRMING, call, out);
    case BRANCH_NONE: return HF_ECORRUPT;
    }
    return refuse(out, OP_CODE_BRANCH, HF_EDECIDED, row);
}

static int cancel_branch(struct machine *m, struct slice key, struct row_branch *row,
                         const struct branch_call *call, struct reply_out *out)
{
    switch ((enum branch_state)row->state) {
    case BRANCH_TRYING: /* running or lapsed: from now on its end is stale */
    case BRANCH_TRIED:
    case BRANCH_TRY_FAILED: return execute(m, key, row, BRANCH_CANCELLING, call, out);
    case BRANCH_CONFIRMING:
    case BRANCH_CONFIRMED: return refuse(out, OP_CODE_BRANCH, HF_EDECIDED, row);
    case BRANCH_CANCELLING: return go_on(m, key, row, call, out);
    case BRANCH_CANCELLED: return answer_finished(out, key, row);
    case BRANCH_NONE: break;
    }
    return HF_ECORRUPT;
}

/* ------------------------------------------------------------------ nothing is stored yet */

/* The cancel came first: the row stays behind, so that no try is let in any more. Not refused by a
 * cap: it finishes. */
static int roll_back_nothing(struct machine *m, struct slice key, struct row_branch *row,
                             const struct branch_call *call, struct reply_out *out)
{
    int rv = branch_start(m, key, row, BRANCH_CANCELLING, call);
    if (rv == HF_OK) rv = branch_stop(m, key, row, BRANCH_CANCELLED);
    if (rv != HF_OK) return rv;
    row->done_at_ms = m->meta.wall_ms;
    if (!planted(EMPTY_ROLLBACK_FORGOTTEN)) rv = branch_put(m, key, row);
    return rv == HF_OK ? answer_phase(out, key, row, BRANCH_EMPTY_ROLLBACK) : rv;
}

static int answer_none(struct machine *m, struct slice key, const struct branch_call *call,
                       struct reply_out *out)
{
    const struct msg_branch *request = call->request;
    struct row_branch fresh = {
        .step = request->step,
        .fingerprint = request->fingerprint,
        .retain_ms = request->retain_ms,
        .principal = m->session.principal,
    };
    HF_ASSERT(call->envelope->session == m->session_id);
    if (request->op == BRANCH_CONFIRM) return refuse(out, OP_CODE_BRANCH, HF_ENOTRY, NULL);
    if (request->op == BRANCH_CANCEL) return roll_back_nothing(m, key, &fresh, call, out);
    struct msg_quota refused;
    int rv = principal_may(m, fresh.principal, QUOTA_RECORDS, 1, &refused);
    if (rv == HF_OK) rv = principal_may(m, fresh.principal, QUOTA_BYTES, 1, &refused);
    if (rv == HF_EQUOTA) return reply_set(out, OP_CODE_BRANCH, HF_EQUOTA, &refused);
    return rv == HF_OK ? execute(m, key, &fresh, BRANCH_TRYING, call, out) : rv;
}

/* ------------------------------------------------------------------ BRANCH */

int branch_ask(struct machine *m, const struct op_context *ctx, const void *request,
               struct reply_out *out)
{
    const struct msg_branch *ask = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    const struct branch_call call = {ask, ctx->envelope};
    struct row_key k = row_key_branch(ask->gid, ask->branch);
    struct slice key = row_key_slice(&k);
    struct row_branch row;
    bool frozen = false;
    int rv = ask->op == BRANCH_TRY ? freeze_covers(m, ask->gid, &frozen) : HF_OK;
    if (rv == HF_OK) rv = state_copy(m, key, &key); /* the answer refers to it */
    if (rv != HF_OK) return rv;
    rv = branch_get(m, key, &row);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    bool stored = rv == HF_OK;
    bool same = !stored || (slice_equal(row.fingerprint, ask->fingerprint) &&
                            slice_equal(row.step, ask->step));
    if (!same) return refuse(out, ctx->op, HF_EMISMATCH, &row);
    if (frozen) return reply_set(out, ctx->op, HF_EFROZEN, NULL);
    if (!stored) return answer_none(m, key, &call, out);
    switch ((enum branch_op)ask->op) {
    case BRANCH_TRY: return try_branch(m, key, &row, &call, out);
    case BRANCH_CONFIRM: return confirm_branch(m, key, &row, &call, out);
    case BRANCH_CANCEL: return cancel_branch(m, key, &row, &call, out);
    }
    return HF_ECORRUPT; /* the decoder lets no other through */
}

/* Fill in the body that the stored, fixed part left out, if the branch still has it. */
int branch_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
                  struct reply_out *out)
{
    HF_ASSERT(session != 0);
    if (stored->status != HF_OK) return HF_OK;
    struct msg_branch_reply reply;
    struct row_branch row;
    int rv = codec_decode(&msg_branch_reply_type, stored->body, NULL, &reply);
    if (rv != HF_OK) return HF_ECORRUPT;
    rv = branch_get(m, stored->key, &row);
    if (rv == HF_ENOTFOUND) return HF_OK; /* reaped: what is stored says so */
    if (rv != HF_OK) return rv;
    out->stands = branch_is_open(&row) && row.fencing_token == reply.fencing_token;
    if (reply.referent == REFERENT_WHOLE) return HF_OK;
    bool of_try = row.try_token == reply.fencing_token && row.try_completion.size != 0;
    bool of_end = row.fencing_token == reply.fencing_token && branch_is_finished(&row);
    if (!of_try && !of_end) return HF_OK; /* another branch's, made after this one was reaped */
    reply.body = of_end ? row.body : row.try_body;
    reply.referent = REFERENT_WHOLE;
    return reply_set(out, OP_CODE_BRANCH, HF_OK, &reply);
}

/* ------------------------------------------------------------------ BRANCH_DONE */

/* An end that came too late, or of a phase that a cancel or a takeover has made stale. */
static int answer_stale(struct machine *m, const struct op_context *ctx, struct slice key,
                        struct row_branch *row, const struct msg_branch_done *done,
                        struct reply_out *out)
{
    enum late_found found = LATE_KNOWN;
    const struct late_item late = {
        .fencing_token = done->fencing_token,
        .outcome = done->outcome,
        .code = done->code,
        .at_ms = state_now(m),
    };
    struct late_list with_it = {0};
    bool ours = done->fencing_token < row->fencing_token; /* a greater one is another branch's */
    int rv = HF_OK;
    if (ours) found = late_add(&row->late, &late, done->body, &with_it);
    if (found == LATE_ADDED) {
        row->late = with_it.list;
        rv = branch_put(m, key, row);
    }
    if (rv == HF_OK && found != LATE_KNOWN)
        rv = late_tell(m, done->gid, done->branch, ctx->envelope->session, &late);
    if (rv != HF_OK) return rv;
    return refuse(out, OP_CODE_BRANCH_DONE, HF_ESTALE, row);
}

/* The phase has not come to its end: whoever asks next may take over, from now on. */
static void fail_phase(struct row_branch *row, const struct msg_branch_done *done)
{
    if (done->outcome == OUTCOME_FAILED && row->failed_count < UINT32_MAX) row->failed_count += 1;
    row->code = done->code;
    row->lapsed = 1;
    row->lease_until_ms = 0;
}

static int end_try(struct machine *m, struct slice key, struct row_branch *row,
                   const struct msg_branch_done *done)
{
    bool well = done->outcome == OUTCOME_DONE;
    int rv = branch_stop(m, key, row, well ? BRANCH_TRIED : BRANCH_TRY_FAILED);
    row->tried = well ? BRANCH_TRY_DONE : BRANCH_TRY_REFUSED;
    row->code = row->try_code = done->code;
    row->try_body = done->body;
    row->try_completion = row->completion;
    row->try_done_at_ms = m->meta.wall_ms;
    return rv;
}

static int finish(struct machine *m, struct slice key, struct row_branch *row,
                  const struct msg_branch_done *done)
{
    bool confirmed = row->state == BRANCH_CONFIRMING;
    int rv = branch_stop(m, key, row, confirmed ? BRANCH_CONFIRMED : BRANCH_CANCELLED);
    row->code = done->code;
    row->body = done->body;
    row->done_at_ms = m->meta.wall_ms;
    return rv;
}

/* A try may fail for good; a confirm or a cancel is tried until it succeeds. */
static int end_phase(struct machine *m, struct slice key, struct row_branch *row,
                     const struct msg_branch_done *done)
{
    HF_ASSERT(branch_is_open(row));
    bool tries = row->state == BRANCH_TRYING;
    if (tries && done->outcome != OUTCOME_RETRYABLE) return end_try(m, key, row, done);
    if (done->outcome == OUTCOME_DONE) return finish(m, key, row, done);
    fail_phase(row, done);
    return HF_OK;
}

/* Did this token's phase say how it ended? Then *kept is the hash of that. */
static bool has_ended(const struct row_branch *row, uint64_t token, struct slice *kept)
{
    if (row->fencing_token == token && row->completion.size != 0) {
        *kept = row->completion;
        return true;
    }
    *kept = row->try_completion;
    return row->try_token == token && row->try_completion.size != 0;
}

int branch_done(struct machine *m, const struct op_context *ctx, const void *request,
                struct reply_out *out)
{
    const struct msg_branch_done *done = request;
    HF_ASSERT(done->outcome >= OUTCOME_DONE && done->outcome <= OUTCOME_RETRYABLE);
    if (state_token_is_future(m, done->fencing_token))
        return reply_complain(out, ctx->op, "this fencing token was never issued");
    struct row_key k = row_key_branch(done->gid, done->branch);
    struct slice key = row_key_slice(&k);
    struct row_branch row;
    int rv = branch_get(m, key, &row);
    if (rv == HF_ENOTFOUND) return refuse(out, ctx->op, HF_ESTALE, NULL);
    if (rv != HF_OK) return rv;

    uint8_t bytes[HASH128_BYTES];
    late_hash_end(done->outcome, done->code, BODY_WHOLE, (struct slice){0}, done->body, bytes);
    struct slice hash = slice_make(bytes, sizeof bytes);
    struct slice kept;
    bool ended = has_ended(&row, done->fencing_token, &kept);
    if (ended && slice_equal(kept, hash)) return reply_set(out, ctx->op, HF_OK, NULL);
    bool own = branch_is_open(&row) && row.fencing_token == done->fencing_token;
    if (!own && ended) return reply_set(out, ctx->op, HF_ECONFLICT, NULL);
    if (!own) return answer_stale(m, ctx, key, &row, done, out);
    row.completion = hash;
    rv = end_phase(m, key, &row, done);
    if (rv == HF_OK) rv = branch_put(m, key, &row);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, NULL) : rv;
}
