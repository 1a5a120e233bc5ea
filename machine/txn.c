/* Applying a TXN. Happy path: each op's own handler, between a savepoint and its release. Failure
 * modes: faults only; what a handler refuses is an answer. See the header for the order. */
#include "machine/txn.h"

#include "base/planted.h"
#include "machine/locks.h"
#include "machine/principals.h"
#include "machine/record.h"
#include "machine/serve.h"
#include "machine/sessions.h"

/* In which order ops are applied; those of one rank as they were given. */
enum rank {
    RANK_FUTURE, /* its token was never issued, and must not become issued by this very TXN */
    RANK_TAKES,  /* BEGIN, TIMER_SET */
    RANK_VOID,   /* a RELEASE that finds no grant: it tells how the lock stands */
    RANK_FREES,  /* COMPLETE, TIMER_CANCEL, RELEASE */
    RANKS
};

/* What struct machine holds beside the rows, as it was. The principal that is held and the sessions
 * that were put aside are written before the savepoint: so their rows are the store's to restore.
 */
struct before {
    struct row_meta meta;       /* counters of tokens and tickets */
    bool meta_changed;          /* since it was written */
    struct row_session session; /* of the op, renewed and acknowledged */
    uint64_t next_deadline_ms;  /* a lower bound of the rows that come back */
};

static int begin(struct machine *m, struct before *before)
{
    HF_ASSERT(m->session_id != 0 && m->guest_id == 0);
    HF_ASSERT(m->serve_count == 0);
    int rv = principal_flush(m);
    if (rv == HF_OK) rv = session_settle_all(m);
    if (rv != HF_OK) return rv;
    *before = (struct before){m->meta, m->meta_changed, m->session, m->next_deadline_ms};
    store_savepoint(m->store);
    return HF_OK;
}

static int take_back(struct machine *m, const struct before *before)
{
    HF_ASSERT(m->guest_id == 0);
    HF_ASSERT(before->meta.time_ms == m->meta.time_ms); /* an op moves no clock */
    m->meta = before->meta;
    m->meta_changed = before->meta_changed;
    m->session = before->session;
    m->next_deadline_ms = before->next_deadline_ms;
    m->principal_id = 0;
    m->principal_changed = false;
    m->serve_count = 0;
    return store_rollback(m->store);
}

/* ------------------------------------------------------------------ one op of it */

static int decode(const struct msg_txn *txn, struct txn_part *parts)
{
    const struct txn_op *ops = txn->ops.items;
    for (uint32_t i = 0; i < txn->ops.count; i++) {
        parts[i].op = &ops[i];
        if (txn_part_decode(&ops[i], parts[i].request) != HF_OK) return HF_ECORRUPT;
    }
    return HF_OK;
}

static int rank_of_release(struct machine *m, const struct msg_release *release, enum rank *rank)
{
    bool found;
    *rank = RANK_FUTURE;
    if (state_token_is_future(m, release->fencing_token)) return HF_OK;
    int rv = lock_release_finds(m, release, &found);
    *rank = found ? RANK_FREES : RANK_VOID;
    return rv;
}

static int rank_of(struct machine *m, const struct txn_part *part, enum rank *rank)
{
    const void *request = part->request;
    const struct msg_complete *complete = request;
    *rank = RANK_FREES;
    if (planted(TXN_GUARD_LATE)) return HF_OK;
    switch (part->op->op) {
    case OP_CODE_BEGIN:
    case OP_CODE_TIMER_SET: *rank = RANK_TAKES; break;
    case OP_CODE_RELEASE: return rank_of_release(m, request, rank);
    case OP_CODE_COMPLETE:
        if (state_token_is_future(m, complete->fencing_token)) *rank = RANK_FUTURE;
        break;
    default: HF_ASSERT(part->op->op == OP_CODE_TIMER_CANCEL);
    }
    return HF_OK;
}

static int apply_part(struct machine *m, const struct op_context *txn, struct txn_part *part,
                      struct reply_out *out)
{
    const struct op_context ctx = {
        .op = (uint16_t)part->op->op,
        .envelope = txn->envelope,
        .body = part->op->body,
    };
    const struct op_owner *owner = op_owner_find(ctx.op);
    HF_ASSERT(owner != NULL && owner->apply != NULL);
    int rv = owner->apply(m, &ctx, part->request, out);
    if (rv != HF_OK) return rv;
    HF_ASSERT(!out->parked); /* op_check(): its wait_ms is 0 */
    part->status = out->status;
    return state_copy(m, buffer_slice(out->body), &part->body);
}

/* Each in an answer of its own: nothing of it may stay in the TXN's. */
static int apply_parts(struct machine *m, const struct op_context *ctx, struct txn_part *parts,
                       uint32_t count)
{
    enum rank ranks[TXN_OPS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        int rv = rank_of(m, &parts[i], &ranks[i]);
        if (rv != HF_OK) return rv;
    }
    for (int rank = 0; rank < RANKS; rank++) {
        for (uint32_t i = 0; i < count; i++) {
            if ((int)ranks[i] != rank) continue;
            struct reply_out out = parked_reply(m);
            int rv = apply_part(m, ctx, &parts[i], &out);
            if (rv == HF_OK && planted(TXN_GRANTS_EARLY)) rv = serve_all(m);
            if (rv != HF_OK) return rv;
        }
    }
    return HF_OK;
}

/* ------------------------------------------------------------------ all of them */

/* The signal of a possible double effect outlives the TXN that brought it. */
static int keep_evidence(struct machine *m, const struct op_context *ctx, struct txn_part *parts,
                         uint32_t count)
{
    if (planted(TXN_EVIDENCE_LOST)) return HF_OK;
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].op->op != OP_CODE_COMPLETE || parts[i].status != HF_ESTALE) continue;
        struct reply_out out = parked_reply(m);
        int rv = apply_part(m, ctx, &parts[i], &out);
        if (rv != HF_OK) return rv;
        HF_ASSERT(parts[i].status == HF_ESTALE); /* it was judged by this very state */
    }
    HF_ASSERT(m->serve_count == 0);
    return HF_OK;
}

/* The first that is not accepted, in the order in which they were given; `count` if all are. */
static int find_refused(const struct txn_part *parts, uint32_t count, uint32_t *index)
{
    for (*index = 0; *index < count; *index += 1) {
        bool accepted;
        int rv = txn_accepts(&parts[*index], &accepted);
        if (rv != HF_OK || !accepted) return rv;
    }
    return HF_OK;
}

int txn_apply(struct machine *m, const struct op_context *ctx, const void *request,
              struct reply_out *out)
{
    const struct msg_txn *txn = request;
    uint32_t count = txn->ops.count;
    struct before before;
    uint32_t refused;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    HF_ASSERT(count >= 1 && count <= TXN_OPS_MAX);
    struct txn_part *parts = arena_take(&m->scratch, count * sizeof *parts);
    if (parts == NULL) return HF_ENOMEM;
    int rv = decode(txn, parts);
    if (rv == HF_OK) rv = begin(m, &before);
    if (rv == HF_OK) rv = apply_parts(m, ctx, parts, count);
    if (rv == HF_OK) rv = find_refused(parts, count, &refused);
    if (rv != HF_OK) return rv; /* a fault: the process ends */
    if (refused == count || planted(TXN_HALF_APPLIED)) {
        store_release(m->store);
    } else {
        rv = take_back(m, &before);
        if (rv == HF_OK) rv = keep_evidence(m, ctx, parts, count);
        if (rv != HF_OK) return rv;
    }
    if (refused == count) return txn_tell_done(m, parts, count, out);
    return txn_tell_refused(m, &parts[refused], refused, out);
}
