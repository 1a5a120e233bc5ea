/* What an attempt does, from any live session that knows key and token: EXTEND, CHECKPOINT,
 * COMPLETE; and what an operator does to one whose outcome nobody knows: RESOLVE. A lapsed attempt
 * may still do all three: whether it or a takeover comes first is the log's order. */
#include "base/planted.h"
#include "machine/late.h"
#include "machine/record.h"
#include "machine/serve.h"

/* STALE_TOKEN with the record as it is now, so that a late owner learns its fate. */
static int answer_stale(struct reply_out *out, uint16_t op, const struct row_record *row)
{
    bool ended = row->state == RECORD_DONE || row->state == RECORD_FAILED;
    struct msg_state detail = {
        .state = row->state,
        .outcome = ended ? row->state : OUTCOME_NONE,
        .code = row->code,
    };
    return reply_set(out, op, HF_ESTALE, &detail);
}

/* The same where there is no record: perhaps a tombstone tells what became of it. */
static int answer_gone(struct machine *m, struct slice key, uint16_t op, struct reply_out *out)
{
    struct msg_state detail = {.state = RECORD_ABSENT};
    struct row_tombstone tombstone;
    int rv = state_get(m, TABLE_TOMBSTONES, key, &row_tombstone_type, &tombstone);
    if (rv == HF_OK) detail = (struct msg_state){RECORD_TOMBSTONE, tombstone.outcome, 0};
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    return reply_set(out, op, HF_ESTALE, &detail);
}

/* Find the record of (key, token). HF_ENOTFOUND: answered already, in `out`. */
static int find(struct machine *m, const struct op_context *ctx, struct slice key, uint64_t token,
                struct row_record *row, struct reply_out *out)
{
    int rv;
    if (state_token_is_future(m, token)) {
        rv = reply_complain(out, ctx->op, "this fencing token was never issued");
        return rv == HF_OK ? HF_ENOTFOUND : rv;
    }
    rv = record_get(m, key, row);
    if (rv != HF_ENOTFOUND) return rv;
    rv = answer_gone(m, key, ctx->op, out);
    return rv == HF_OK ? HF_ENOTFOUND : rv;
}

static bool is_running(const struct row_record *row, uint64_t token)
{
    return row->state == RECORD_RUNNING && row->fencing_token == token;
}

int record_extend(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out)
{
    const struct msg_extend *extend = request;
    HF_ASSERT(extend->lease_ms >= LEASE_MS_MIN);
    struct row_record row;
    int rv = find(m, ctx, extend->key, extend->fencing_token, &row, out);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    if (!is_running(&row, extend->fencing_token)) {
        return answer_stale(out, ctx->op, &row);
    }
    if (!row.bound) { /* one that is bound lives as long as its session, and goes on so */
        uint64_t until_ms = state_later(m, extend->lease_ms);
        if (until_ms > row.lease_until_ms) row.lease_until_ms = until_ms;
        row.lapsed = 0;
        rv = record_put(m, extend->key, &row);
        if (rv != HF_OK) return rv;
    }
    struct msg_extend_reply reply;
    rv = record_lease_left(m, &row, &reply.lease_left_ms);
    if (rv != HF_OK) return rv;
    return reply_set(out, ctx->op, HF_OK, &reply);
}

/* ------------------------------------------------------------------ checkpoints */

static int keep_data(struct machine *m, const struct msg_checkpoint *checkpoint)
{
    if (checkpoint->data.size != 0) {
        return store_put(m->store, TABLE_CHECKPOINTS, checkpoint->key, checkpoint->data);
    }
    int rv = store_del(m->store, TABLE_CHECKPOINTS, checkpoint->key);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int record_checkpoint(struct machine *m, const struct op_context *ctx, const void *request,
                      struct reply_out *out)
{
    const struct msg_checkpoint *checkpoint = request;
    HF_ASSERT(checkpoint->external <= MARK_DERIVED);
    struct row_record row;
    int rv = find(m, ctx, checkpoint->key, checkpoint->fencing_token, &row, out);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    if (!is_running(&row, checkpoint->fencing_token)) {
        return answer_stale(out, ctx->op, &row);
    }
    if (checkpoint->number <= row.checkpoint_number) {
        return reply_set(out, ctx->op, HF_ESEQOLD, NULL);
    }
    row.checkpoint = checkpoint->name;
    row.checkpoint_number = checkpoint->number;
    /* An open mark of an effect that must not be repeated is not weakened by another mark: only a
     * checkpoint without one, or completion, says that the effect is behind us. */
    bool stays = row.external == MARK_ONCE && checkpoint->external != MARK_NONE;
    if (!stays) row.external = checkpoint->external;
    if (row.external != MARK_NONE) row.marked = 1;
    /* A lapsed attempt that announces such an effect now must not be taken over any more: its lease
     * ended with this mark open. It can still complete, being the only owner. */
    bool stops = row.lapsed && row.external == MARK_ONCE;
    if (stops) rv = record_stop(m, checkpoint->key, &row, RECORD_UNKNOWN);
    row.checkpoint_bytes = checkpoint->data.size;
    if (rv == HF_OK) rv = keep_data(m, checkpoint);
    if (rv == HF_OK) rv = record_put(m, checkpoint->key, &row);
    if (rv == HF_OK && stops) rv = record_tell(m, checkpoint->key, &row, RECORD_UNKNOWN);
    if (rv != HF_OK) return rv;
    return reply_set(out, ctx->op, HF_OK, NULL);
}

/* ------------------------------------------------------------------ completion */

static struct late_item late_of(const struct machine *m, const struct msg_complete *complete)
{
    return (struct late_item){
        .fencing_token = complete->fencing_token,
        .outcome = complete->outcome,
        .code = complete->code,
        .at_ms = state_now(m),
    };
}

/* A completion that came too late is the signal of a possible double effect: kept as long as there
 * is room, told in any case. */
static int keep_late(struct machine *m, uint64_t session, const struct msg_complete *complete,
                     const struct row_record *row)
{
    const struct late_item late = late_of(m, complete);
    struct late_list with_it;
    enum late_found found = late_add(&row->late, &late, complete->body, &with_it);
    if (found == LATE_KNOWN) return HF_OK;
    int rv = late_tell(m, complete->key, (struct slice){0}, session, &late);
    if (rv != HF_OK || found == LATE_FULL) return rv;
    struct row_record with = *row;
    with.late = with_it.list;
    return record_put(m, complete->key, &with);
}

/* The same where there is no record any more to keep it in. A repeat of what the tombstone tells of
 * is none, and a greater token is another record's. */
static int tell_late(struct machine *m, uint64_t session, const struct msg_complete *complete)
{
    struct row_tombstone tombstone;
    int rv = state_get(m, TABLE_TOMBSTONES, complete->key, &row_tombstone_type, &tombstone);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    if (rv == HF_OK && complete->fencing_token >= tombstone.fencing_token) return HF_OK;
    const struct late_item late = late_of(m, complete);
    return late_tell(m, complete->key, (struct slice){0}, session, &late);
}

/* Take the result in; the record was stopped already. RETRYABLE stores no response. */
static void set_result(struct machine *m, struct row_record *row, const struct msg_complete *result)
{
    bool final = row->state != RECORD_RETRYABLE;
    row->external = MARK_NONE;
    row->done_at_ms = m->meta.wall_ms;
    row->code = final ? result->code : 0;
    row->headers = final ? result->headers : (struct slice){0};
    row->body = final ? result->body : (struct slice){0};
    row->body_kind = final ? result->body_kind : BODY_WHOLE;
}

/* Written, its checkpoint's data forgotten if nobody will need it, and whoever waits is served. */
static int finish(struct machine *m, struct slice key, struct row_record *row)
{
    int rv = HF_OK;
    if (row->state != RECORD_RETRYABLE) {
        rv = store_del(m->store, TABLE_CHECKPOINTS, key);
        row->checkpoint_bytes = 0;
    }
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    rv = record_put(m, key, row);
    if (rv == HF_OK) rv = record_tell(m, key, row, (enum record_state)row->state);
    if (rv != HF_OK || row->parked_count == 0) return rv;
    return serve_mark(m, TABLE_RECORDS, key);
}

static int refuse_completion(struct machine *m, uint64_t session,
                             const struct msg_complete *complete, struct slice hash,
                             const struct row_record *row, struct reply_out *out)
{
    bool own = row->fencing_token == complete->fencing_token && row->completion.size != 0;
    if (own && slice_equal(row->completion, hash)) {
        return reply_set(out, OP_CODE_COMPLETE, HF_OK, NULL);
    }
    if (own) return reply_set(out, OP_CODE_COMPLETE, HF_ECONFLICT, NULL);
    /* A token above the current one is another record's: it says nothing of this one. */
    bool ours = complete->fencing_token <= row->fencing_token;
    int rv = ours ? keep_late(m, session, complete, row) : HF_OK;
    return rv == HF_OK ? answer_stale(out, OP_CODE_COMPLETE, row) : rv;
}

int record_complete(struct machine *m, const struct op_context *ctx, const void *request,
                    struct reply_out *out)
{
    const struct msg_complete *complete = request;
    HF_ASSERT(complete->outcome >= OUTCOME_DONE && complete->outcome <= OUTCOME_RETRYABLE);
    struct row_record row;
    int rv = find(m, ctx, complete->key, complete->fencing_token, &row, out);
    if (rv == HF_ENOTFOUND)
        return out->status == HF_ESTALE ? tell_late(m, ctx->envelope->session, complete) : HF_OK;
    if (rv != HF_OK) return rv;
    uint8_t hash[HASH128_BYTES];
    late_hash_end(complete->outcome, complete->code, complete->body_kind, complete->headers,
                  complete->body, hash);
    bool open = row.state == RECORD_RUNNING || row.state == RECORD_UNKNOWN;
    bool own = row.fencing_token == complete->fencing_token || planted(STALE_COMPLETION);
    if (!open || !own) {
        return refuse_completion(m, ctx->envelope->session, complete, slice_make(hash, sizeof hash),
                                 &row, out);
    }
    rv = record_stop(m, complete->key, &row, (enum record_state)complete->outcome);
    if (rv != HF_OK) return rv;
    row.completion = slice_make(hash, sizeof hash);
    set_result(m, &row, complete);
    rv = finish(m, complete->key, &row);
    if (rv != HF_OK) return rv;
    return reply_set(out, ctx->op, HF_OK, NULL);
}

int record_resolve(struct machine *m, const struct op_context *ctx, const void *request,
                   struct reply_out *out)
{
    const struct msg_resolve *resolve = request;
    HF_ASSERT(resolve->outcome >= OUTCOME_DONE && resolve->outcome <= OUTCOME_RETRYABLE);
    struct row_record row;
    if (state_token_is_future(m, resolve->fencing_token)) {
        return reply_complain(out, ctx->op, "this fencing token was never issued");
    }
    int rv = record_get(m, resolve->key, &row);
    if (rv == HF_ENOTFOUND) return reply_set(out, ctx->op, HF_ENOTFOUND, NULL);
    if (rv != HF_OK) return rv;
    if (row.state != RECORD_UNKNOWN || row.fencing_token != resolve->fencing_token) {
        return answer_stale(out, ctx->op, &row);
    }
    rv = record_stop(m, resolve->key, &row, (enum record_state)resolve->outcome);
    if (rv != HF_OK) return rv;
    const struct record_act act = {
        .key = resolve->key,
        .operator_name = resolve->operator_name,
        .evidence = resolve->evidence,
        .before = RECORD_UNKNOWN,
    };
    rv = record_note_act(m, ctx, &row, &act);
    if (rv != HF_OK) return rv;
    const struct msg_complete result = {
        .code = resolve->code,
        .headers = resolve->headers,
        .body = resolve->body,
        .body_kind = resolve->body_kind,
    };
    set_result(m, &row, &result);
    rv = finish(m, resolve->key, &row);
    if (rv != HF_OK) return rv;
    return reply_set(out, ctx->op, HF_OK, NULL);
}
