/* TXNs: what they mean for the grants and attempts that are known here. While one is under way that
 * releases a grant, nobody can say whether it is held still: so it is not valid, and not ended
 * either, for a TXN that is refused leaves it as it was. Attempts that a TXN begins get their slots
 * when the caller takes the answer (txn.c); if nobody does, they are given back. */
#include "base/status.h"
#include "client/core.h"

/* Into the core's arena. Our own encoding. */
static void decode_request(struct core *c, const struct call *call, struct msg_txn *txn)
{
    arena_reset(&c->arena);
    int rv = codec_decode(&msg_txn_type, buffer_slice(&call->body), &c->arena, txn);
    HF_ASSERT(rv == HF_OK);
    HF_ASSERT(txn->ops.count >= 1);
}

/* The token of the grant or attempt that an op of it ends; 0 = it ends none. */
static uint64_t ended_token(const struct txn_op *op)
{
    struct msg_release release;
    struct msg_complete complete;
    bool releases = op->op == OP_CODE_RELEASE;
    if (!releases && op->op != OP_CODE_COMPLETE) return 0;
    int rv = txn_part_decode(op, releases ? (void *)&release : (void *)&complete);
    HF_ASSERT(rv == HF_OK);
    return releases ? release.fencing_token : complete.fencing_token;
}

static void mark_releases(struct core *c, const struct call *call, int step)
{
    struct msg_txn txn;
    decode_request(c, call, &txn);
    const struct txn_op *ops = txn.ops.items;
    for (uint32_t i = 0; i < txn.ops.count; i++) {
        uint64_t token = ended_token(&ops[i]);
        struct slot *s = token != 0 ? grants_find(&c->grants, token) : NULL;
        if (s == NULL || s->kind != SLOT_GRANT) continue;
        if (step < 0 && s->ending == 0) continue; /* no honest server told of it meanwhile */
        s->ending += (uint32_t)step;
        core_refresh(c, s);
    }
}

void core_txn_submitted(struct core *c, struct call *call)
{
    mark_releases(c, call, 1);
}

/* Attempts that their callers let go of while they were being completed, and that were not. */
static void give_back_attempts(struct core *c, const struct call *call)
{
    struct msg_txn txn;
    decode_request(c, call, &txn);
    const struct txn_op *ops = txn.ops.items;
    for (uint32_t i = 0; i < txn.ops.count; i++) {
        if (ops[i].op != OP_CODE_COMPLETE) continue;
        uint64_t token = ended_token(&ops[i]);
        bool known = grants_find(&c->grants, token) != NULL || core_is_abandoned(c, token);
        if (!known) core_abandon(c, token, 0);
    }
}

void core_txn_over(struct core *c, struct call *call)
{
    mark_releases(c, call, -1);
    if (call->status != HF_OK) give_back_attempts(c, call);
}

uint32_t core_txn_ends(struct core *c, uint64_t token)
{
    uint32_t count = 0;
    LIST_FOR(item, &c->active)
    {
        const struct call *call = HF_CONTAINER_OF(item, struct call, link);
        struct msg_txn txn;
        if (call->over || call->op->code != OP_CODE_TXN) continue;
        decode_request(c, call, &txn);
        const struct txn_op *ops = txn.ops.items;
        for (uint32_t i = 0; i < txn.ops.count; i++)
            if (ended_token(&ops[i]) == token) count += 1;
    }
    return count;
}

/* ------------------------------------------------------------------ its answer */

/* How many acquisitions the servers had left then says nothing of now: others may have come and
 * gone since. One of those that are known here has. */
static bool released(struct core *c, const struct txn_op *op, int status, struct slice body,
                     uint64_t now_ns)
{
    struct msg_release_reply reply;
    struct slot *s = grants_find(&c->grants, ended_token(op));
    if (s == NULL || s->kind != SLOT_GRANT) return true;
    if (status == HF_ENOTHELD || status == HF_ESTALE) core_lose(c, s, false, 0, now_ns);
    if (status != HF_OK) return true;
    if (codec_decode(&msg_release_reply_type, body, NULL, &reply) != HF_OK) return false;
    if (reply.count_left == 0 || s->count == 1) {
        core_forget_grant(c, grants_ref(s));
    } else {
        s->count -= 1;
    }
    return true;
}

static void completed(struct core *c, const struct txn_op *op, int status, uint64_t now_ns)
{
    struct msg_complete complete;
    int rv = txn_part_decode(op, &complete);
    HF_ASSERT(rv == HF_OK);
    struct slot *s = grants_find(&c->grants, complete.fencing_token);
    if (s == NULL || s->kind != SLOT_ATTEMPT) return;
    if (status == HF_ESTALE) core_lose(c, s, false, 0, now_ns);
    if (status == HF_OK || status == HF_ECONFLICT) core_forget_grant(c, grants_ref(s));
}

static bool look_at(struct core *c, const struct txn_op *op, int status, struct slice body,
                    uint64_t now_ns)
{
    if (op->op == OP_CODE_RELEASE) return released(c, op, status, body, now_ns);
    if (op->op == OP_CODE_COMPLETE) completed(c, op, status, now_ns);
    return true;
}

/* Only what the refused op says of its own; what an OK in it tells did not happen. */
static bool refused(struct core *c, const struct msg_txn *txn, struct slice body, uint64_t now_ns)
{
    struct msg_txn_refused reply;
    if (codec_decode(&msg_txn_refused_type, body, NULL, &reply) != HF_OK) return false;
    if (reply.index >= txn->ops.count) return false;
    const struct txn_op *op = (const struct txn_op *)txn->ops.items + reply.index;
    if (reply.op != op->op) return false;
    return reply.status == HF_OK || look_at(c, op, reply.status, reply.body, now_ns);
}

/* Each part decodes as what it is an answer to. */
static bool is_sound(const struct txn_op *op, const struct txn_result *result)
{
    struct msg_begin_reply begun;
    if (result->op != op->op) return false;
    if (result->op != OP_CODE_BEGIN || result->status != HF_OK) return true;
    if (codec_decode(&msg_begin_reply_type, result->body, NULL, &begun) != HF_OK) return false;
    return begun.verdict == BEGIN_REPLAY || begun.fencing_token != 0;
}

void core_txn_give_back(struct core *c, struct slice reply, uint64_t now_ns)
{
    struct msg_txn_reply all;
    struct msg_begin_reply begun;
    arena_reset(&c->arena);
    int rv = codec_decode(&msg_txn_reply_type, reply, &c->arena, &all);
    HF_ASSERT(rv == HF_OK); /* it was looked at when it came */
    const struct txn_result *results = all.results.items;
    for (uint32_t i = 0; i < all.results.count; i++) {
        if (results[i].op != OP_CODE_BEGIN || results[i].status != HF_OK) continue;
        rv = codec_decode(&msg_begin_reply_type, results[i].body, NULL, &begun);
        HF_ASSERT(rv == HF_OK);
        bool runs = begun.verdict != BEGIN_REPLAY && !core_is_abandoned(c, begun.fencing_token);
        if (runs) core_abandon(c, begun.fencing_token, now_ns);
    }
}

bool core_txn_answered(struct core *c, struct call *call, const struct reply_frame *reply,
                       uint64_t now_ns)
{
    struct msg_txn txn;
    struct msg_txn_reply all;
    decode_request(c, call, &txn);
    call->session = c->session.phase == SESSION_LIVE ? c->session.id : 0;
    if (reply->status == HF_ENOTACCEPTED) return refused(c, &txn, reply->body, now_ns);
    if (reply->status != HF_OK) return true;
    if (codec_decode(&msg_txn_reply_type, reply->body, &c->arena, &all) != HF_OK) return false;
    if (all.results.count != txn.ops.count) return false;
    const struct txn_op *ops = txn.ops.items;
    const struct txn_result *results = all.results.items;
    for (uint32_t i = 0; i < all.results.count; i++) {
        if (!is_sound(&ops[i], &results[i])) return false;
    }
    for (uint32_t i = 0; i < all.results.count; i++) {
        if (!look_at(c, &ops[i], results[i].status, results[i].body, now_ns)) return false;
    }
    bool nobody = call->cancelling || (call->returned && !call->held);
    if (nobody) core_txn_give_back(c, reply->body, now_ns);
    return true;
}
