/* What a TXN answers, and what of it is stored for a retry: at most 1 KiB for 16 ops. So of an
 * accepted answer numbers are told alone: RUNNING and UNKNOWN come without meta and checkpoint. A
 * BEGIN tells no headers and no body (ask BEGIN alone, or RECORD_GET), and checkpoint data up to a
 * size; what it tells of an attempt beside its numbers is not stored but looked up again by its
 * token, and said to have gone once the attempt is over. Failure modes: faults only. */
#include "machine/record.h"
#include "machine/txn.h"

/* Two forms of one answer. */
struct told {
    struct slice whole;  /* as it goes out */
    struct slice stored; /* as it is kept */
};

/* ------------------------------------------------------------------ verdicts */

static int decode_part(const struct codec_type *type, struct slice body, void *out)
{
    return codec_decode(type, body, NULL, out) == HF_OK ? HF_OK : HF_ECORRUPT;
}

/* Which of OK's verdicts it is. */
static int verdict_of(const struct txn_part *part, uint64_t *verdict)
{
    struct msg_release_reply release;
    struct msg_begin_reply begin;
    struct msg_timer_set_reply set;
    int rv = HF_OK;
    *verdict = 0;
    switch (part->op->op) {
    case OP_CODE_RELEASE:
        rv = decode_part(&msg_release_reply_type, part->body, &release);
        if (rv == HF_OK) *verdict = release.count_left > 0 ? RELEASE_COUNTED : RELEASE_FREED;
        return rv;
    case OP_CODE_BEGIN:
        rv = decode_part(&msg_begin_reply_type, part->body, &begin);
        if (rv == HF_OK) *verdict = begin.verdict;
        return rv;
    case OP_CODE_TIMER_SET:
        rv = decode_part(&msg_timer_set_reply_type, part->body, &set);
        if (rv == HF_OK) *verdict = set.verdict;
        return rv;
    default: return HF_OK;
    }
}

int txn_accepts(const struct txn_part *part, bool *accepted)
{
    uint64_t verdict = 0;
    *accepted = false;
    if (part->status == HF_OK) {
        int rv = verdict_of(part, &verdict);
        if (rv == HF_OK) *accepted = (part->op->verdicts >> verdict & 1) != 0;
        return rv;
    }
    for (uint32_t i = 0; i < part->op->answers.count; i++) {
        if (part->op->answers.items[i] == (uint64_t)-part->status) *accepted = true;
    }
    return HF_OK;
}

/* ------------------------------------------------------------------ forms of a BEGIN's answer */

/* What is not told, wherever the BEGIN came from. */
static void leave_out(struct msg_begin_reply *reply)
{
    bool large = reply->checkpoint_data.size > TXN_DATA_BYTES_MAX;
    bool replays = reply->verdict == BEGIN_REPLAY;
    size_t lost = reply->headers.size + reply->body.size + (replays ? reply->secret_id.size : 0);
    if (lost > 0 || large) reply->referent = REFERENT_GONE;
    if (large) reply->checkpoint_data = (struct slice){0};
    if (replays) reply->secret_id = (struct slice){0};
    reply->headers = (struct slice){0};
    reply->body = (struct slice){0};
}

/* The numbers of it. */
static void strip(struct msg_begin_reply *reply)
{
    size_t told = reply->checkpoint_data.size + reply->checkpoint.size + reply->secret_id.size;
    if (told > 0) reply->referent = REFERENT_GONE; /* until it is looked up */
    reply->checkpoint_data = (struct slice){0};
    reply->checkpoint = (struct slice){0};
    reply->secret_id = (struct slice){0};
}

/* Encode it into scratch. */
static int put(struct machine *m, const struct codec_type *type, const void *in, struct slice *out)
{
    buffer_clear(&m->row);
    int rv = codec_encode(type, in, &m->row);
    return rv == HF_OK ? state_copy(m, buffer_slice(&m->row), out) : rv;
}

static int tell_begin(struct machine *m, struct slice body, struct told *told)
{
    struct msg_begin_reply reply;
    int rv = decode_part(&msg_begin_reply_type, body, &reply);
    if (rv != HF_OK) return rv;
    leave_out(&reply);
    rv = put(m, &msg_begin_reply_type, &reply, &told->whole);
    if (rv != HF_OK) return rv;
    strip(&reply);
    return put(m, &msg_begin_reply_type, &reply, &told->stored);
}

/* RUNNING and UNKNOWN by their numbers; the rest has no texts. */
static int tell_other(struct machine *m, const struct txn_part *part, struct told *told)
{
    struct msg_running running;
    struct msg_unknown unknown;
    int rv = HF_OK;
    told->whole = part->body;
    if (part->status == HF_ERUNNING) {
        rv = decode_part(&msg_running_type, part->body, &running);
        if (rv != HF_OK) return rv;
        running.meta = (struct slice){0};
        running.checkpoint = (struct slice){0};
        rv = put(m, &msg_running_type, &running, &told->whole);
    } else if (part->status == HF_ERECORDUNKNOWN) {
        rv = decode_part(&msg_unknown_type, part->body, &unknown);
        if (rv != HF_OK) return rv;
        unknown.checkpoint = (struct slice){0};
        rv = put(m, &msg_unknown_type, &unknown, &told->whole);
    }
    told->stored = told->whole;
    return rv;
}

/* ------------------------------------------------------------------ answers */

static int encode_results(const struct txn_result *results, uint32_t count, struct buffer *out)
{
    const struct msg_txn_reply reply = {.results = {results, count}};
    buffer_clear(out);
    return codec_encode(&msg_txn_reply_type, &reply, out);
}

int txn_tell_done(struct machine *m, const struct txn_part *parts, uint32_t count,
                  struct reply_out *out)
{
    struct txn_result whole[TXN_OPS_MAX];
    struct txn_result stored[TXN_OPS_MAX];
    HF_ASSERT(count >= 1 && count <= TXN_OPS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct told told;
        bool begins = parts[i].op->op == OP_CODE_BEGIN && parts[i].status == HF_OK;
        int rv = begins ? tell_begin(m, parts[i].body, &told) : tell_other(m, &parts[i], &told);
        if (rv != HF_OK) return rv;
        whole[i] = (struct txn_result){parts[i].op->op, parts[i].status, told.whole};
        stored[i] = (struct txn_result){parts[i].op->op, parts[i].status, told.stored};
    }
    out->status = HF_OK;
    int rv = encode_results(whole, count, out->body);
    return rv == HF_OK ? encode_results(stored, count, out->stored) : rv;
}

int txn_tell_refused(struct machine *m, const struct txn_part *part, uint32_t index,
                     struct reply_out *out)
{
    struct msg_txn_refused refused = {
        .index = index,
        .op = part->op->op,
        .status = part->status,
        .body = part->body,
    };
    HF_ASSERT(index < TXN_OPS_MAX);
    if (part->op->op == OP_CODE_BEGIN && part->status == HF_OK) {
        struct msg_begin_reply reply;
        int rv = decode_part(&msg_begin_reply_type, part->body, &reply);
        if (rv != HF_OK) return rv;
        if (reply.checkpoint_data.size > 0) reply.referent = REFERENT_GONE;
        reply.checkpoint_data = (struct slice){0};
        reply.fencing_token = 0; /* it was taken back, and the next grant's is the same number */
        leave_out(&reply);
        rv = put(m, &msg_begin_reply_type, &reply, &refused.body);
        if (rv != HF_OK) return rv;
    }
    return reply_set(out, OP_CODE_TXN, HF_ENOTACCEPTED, &refused);
}

/* ------------------------------------------------------------------ retries */

/* Fill in what the stored form left out, if the attempt still runs and stands where it stood.
 * \param stands Out: it runs. */
static int refill(struct machine *m, struct msg_begin_reply *reply, bool *stands)
{
    struct slice key;
    struct row_record row;
    struct row_key token = row_key_u64(reply->fencing_token);
    *stands = false;
    int rv = store_get(m->store, TABLE_ATTEMPTS, row_key_slice(&token), &key);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    rv = state_copy(m, key, &key);
    if (rv == HF_OK) rv = record_get(m, key, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(row.state == RECORD_RUNNING && row.fencing_token == reply->fencing_token);
    *stands = true;
    bool moved = row.checkpoint_number != reply->checkpoint_number;
    if (reply->referent == REFERENT_WHOLE || moved) return HF_OK;
    reply->referent = REFERENT_WHOLE;
    reply->secret_id = row.secret_id;
    reply->checkpoint = row.checkpoint;
    rv = record_checkpoint_data(m, key, &reply->checkpoint_data);
    leave_out(reply);
    return rv;
}

/* One of a stored answer's results. \param stands  false from the first attempt that does not */
static int repeat_one(struct machine *m, struct txn_result *result, bool *began, bool *stands)
{
    struct msg_begin_reply reply;
    if (result->op != OP_CODE_BEGIN || result->status != HF_OK) return HF_OK;
    int rv = decode_part(&msg_begin_reply_type, result->body, &reply);
    if (rv != HF_OK || reply.fencing_token == 0) return rv;
    bool runs;
    rv = refill(m, &reply, &runs);
    if (rv != HF_OK) return rv;
    *began = true;
    *stands = *stands && runs;
    return put(m, &msg_begin_reply_type, &reply, &result->body);
}

int txn_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
               struct reply_out *out)
{
    struct msg_txn_reply reply;
    struct txn_result results[TXN_OPS_MAX];
    HF_ASSERT(session != 0);
    if (stored->status != HF_OK) return HF_OK;
    int rv = codec_decode(&msg_txn_reply_type, stored->body, &m->scratch, &reply);
    if (rv == HF_ENOMEM) return rv;
    if (rv != HF_OK) return HF_ECORRUPT;
    memcpy(results, reply.results.items, reply.results.count * sizeof *results);
    bool began = false;
    bool stands = true;
    for (uint32_t i = 0; rv == HF_OK && i < reply.results.count; i++)
        rv = repeat_one(m, &results[i], &began, &stands);
    if (rv != HF_OK) return rv;
    out->stands = began && stands;
    return encode_results(results, reply.results.count, out->body);
}
