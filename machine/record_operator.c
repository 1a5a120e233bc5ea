/* What an operator does to a record that has ended. Who, when and why stay in it, where RECORD_GET
 * shows them.
 *
 * REOPEN: a FAILED one, or what is left of it, becomes RETRYABLE: the next BEGIN runs it again.
 * Nothing reopens what was DONE: that would execute it twice. The token says which attempt's
 * outcome the operator looked at, so that nothing newer is touched.
 *
 * ERASE: what may tell of a person goes, what keeps the promise stays. All that an application or
 * an operator wrote as free text or bytes goes: headers, body, meta, the checkpoint's name, the
 * evidence. Key, fingerprint, outcome, code, hashes, tokens and times stay, or the request could be
 * executed again. Whose attempt still runs, or may have to go on, is refused: it needs its data. */
#include "machine/deadlines.h"
#include "machine/record.h"

/* The record as it is now, so that the operator looks again and decides again. */
static int refuse(struct reply_out *out, uint16_t op, int status, const struct msg_state *now)
{
    HF_ASSERT(status == HF_ESTALE || status == HF_EBADSTATE);
    return reply_set(out, op, status, now);
}

/* HF_OK: what the operator saw is what there is, and may be run again. */
static int may_reopen(const struct msg_reopen *reopen, uint64_t token, const struct msg_state *now)
{
    if (token != reopen->fencing_token) return HF_ESTALE;
    bool failed = now->outcome == OUTCOME_FAILED && reopen->outcome == OUTCOME_FAILED;
    return failed ? HF_OK : HF_EBADSTATE;
}

/* RETRYABLE stores no response; and what the attempt itself completed stands no longer, so that
 * its owner, should it say so again, is a late one. */
static int reopen_row(struct machine *m, const struct op_context *ctx,
                      const struct msg_reopen *reopen, struct row_record *row, uint64_t before,
                      struct reply_out *out)
{
    row->state = RECORD_RETRYABLE;
    row->since_ms = state_now(m);
    row->done_at_ms = 0;
    row->code = 0;
    row->headers = (struct slice){0};
    row->body = (struct slice){0};
    row->body_kind = BODY_WHOLE;
    row->completion = (struct slice){0};
    const struct record_act act = {
        .key = reopen->key,
        .operator_name = reopen->operator_name,
        .evidence = reopen->reason,
        .reason = reopen->reason,
        .before = before,
    };
    int rv = record_note_act(m, ctx, row, &act);
    if (rv == HF_OK) rv = record_put(m, reopen->key, row);
    if (rv == HF_OK) rv = record_tell(m, reopen->key, row, RECORD_RETRYABLE);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, NULL) : rv;
}

static int reopen_tombstone(struct machine *m, const struct op_context *ctx,
                            const struct msg_reopen *reopen, struct reply_out *out)
{
    struct row_tombstone t;
    int rv = state_get(m, TABLE_TOMBSTONES, reopen->key, &row_tombstone_type, &t);
    if (rv == HF_ENOTFOUND) return reply_set(out, ctx->op, HF_ENOTFOUND, NULL);
    if (rv != HF_OK) return rv;
    const struct msg_state now = {RECORD_TOMBSTONE, t.outcome, t.code};
    int status = may_reopen(reopen, t.fencing_token, &now);
    if (status != HF_OK) return refuse(out, ctx->op, status, &now);

    rv = deadline_del(m, t.until_ms, DEADLINE_TOMBSTONE, reopen->key);
    if (rv != HF_OK) return rv;
    struct row_record row = {
        .fingerprint = t.fingerprint_hash, /* until the next BEGIN brings the whole one */
        .fencing_token = t.fencing_token,
        .attempt = t.attempt,
        .takeover = t.takeover,
        .retain_ms = t.retain_ms,
        .marked = t.marked,
        .secret_id = t.secret_id,
        .principal = t.principal,
    };
    rv = reopen_row(m, ctx, reopen, &row, RECORD_TOMBSTONE, out); /* counted before it is not */
    return rv == HF_OK ? record_tombstone_del(m, reopen->key, &t) : rv;
}

int record_reopen(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out)
{
    const struct msg_reopen *reopen = request;
    HF_ASSERT(reopen->reason.size >= 1);
    struct row_record row;
    if (state_token_is_future(m, reopen->fencing_token)) {
        return reply_complain(out, ctx->op, "this fencing token was never issued");
    }
    int rv = record_get(m, reopen->key, &row);
    if (rv == HF_ENOTFOUND) return reopen_tombstone(m, ctx, reopen, out);
    if (rv != HF_OK) return rv;
    bool ended = row.state == RECORD_DONE || row.state == RECORD_FAILED;
    const struct msg_state now = {row.state, ended ? row.state : OUTCOME_NONE, row.code};
    int status = may_reopen(reopen, row.fencing_token, &now);
    if (status != HF_OK) return refuse(out, ctx->op, status, &now);
    return reopen_row(m, ctx, reopen, &row, row.state, out);
}

/* ------------------------------------------------------------------ ERASE */

/* A tombstone holds nothing of a person beyond its key, without which it would not be one. */
static int erase_tombstone(struct machine *m, const struct op_context *ctx, struct slice key,
                           struct reply_out *out)
{
    struct row_tombstone t;
    int rv = state_get(m, TABLE_TOMBSTONES, key, &row_tombstone_type, &t);
    if (rv == HF_OK || rv == HF_ENOTFOUND) return reply_set(out, ctx->op, rv, NULL);
    return rv;
}

int record_erase(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_erase *erase = request;
    HF_ASSERT(erase->reason.size >= 1);
    struct row_record row;
    int rv = record_get(m, erase->key, &row);
    if (rv == HF_ENOTFOUND) return erase_tombstone(m, ctx, erase->key, out);
    if (rv != HF_OK) return rv;
    if (row.state != RECORD_DONE && row.state != RECORD_FAILED) {
        const struct msg_state now = {.state = row.state};
        return refuse(out, ctx->op, HF_EBADSTATE, &now);
    }
    if (row.body_kind == BODY_ERASED) return reply_set(out, ctx->op, HF_OK, NULL);
    row.headers = (struct slice){0};
    row.body = (struct slice){0};
    row.body_kind = BODY_ERASED;
    row.meta = (struct slice){0};
    row.checkpoint = (struct slice){0};
    const struct record_act act = {
        .key = erase->key,
        .operator_name = erase->operator_name,
        .evidence = erase->reason,
        .reason = erase->reason,
        .before = row.state,
    };
    rv = record_note_act(m, ctx, &row, &act);
    if (rv == HF_OK) rv = record_put(m, erase->key, &row);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, NULL) : rv;
}
