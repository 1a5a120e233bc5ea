/* ACQUIRE, RELEASE, ABANDON. Happy path of an uncontended lock: ACQUIRE finds no row, grants and
 * writes one; RELEASE finds the grant by its token, removes both. Contended: a waiter is parked,
 * and whoever frees the lock hands it over inside the same op.
 *
 * Failure modes: none but faults. Everything that a client may do wrong (another owner's token, an
 * old one, a free lock) is an answer without effect: a success there would tell a fenced-off
 * client that its work was protected. */
#include "machine/locks.h"

#include "base/planted.h"
#include "machine/grants.h"
#include "machine/serve.h"
#include "machine/sessions.h"

/* ------------------------------------------------------------------ answers */

static int tell_granted(struct reply_out *out, uint64_t token, uint64_t waited, uint64_t count)
{
    struct msg_granted granted = {.fencing_token = token, .waited = waited, .count = count};
    out->token = token;
    return reply_set(out, OP_CODE_ACQUIRE, HF_OK, &granted);
}

/* Up to 8 holders and the longest lease among them: of a thousand SHARED holders nobody reads all,
 * and to look at all would make a refusal cost more than a grant. */
static int tell_busy(struct machine *m, struct slice name, const struct row_lock *lock,
                     struct reply_out *out)
{
    struct holder shown[BUSY_HOLDERS_MAX];
    struct msg_busy busy = {
        .holder_count = lock->holder_count,
        .queue_length = lock->queue_length,
    };
    uint32_t count = 0;
    struct holders h;
    int rv = holders_first(&h, m, name, lock);
    for (; rv == HF_OK && count < BUSY_HOLDERS_MAX; rv = holders_next(&h)) {
        struct row_grant grant;
        struct row_session draft;
        struct row_session *s;
        rv = grant_get(m, h.token, &grant);
        if (rv == HF_OK) rv = session_get(m, grant.session, &draft, &s);
        if (rv != HF_OK) {
            rv = rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
            break;
        }
        uint64_t left_ms = session_lease_left(m, s);
        if (left_ms > busy.lease_left_ms) busy.lease_left_ms = left_ms;
        shown[count++] = (struct holder){
            .session = grant.session,
            .owner = grant.owner,
            .fencing_token = h.token,
            .mode = grant.mode,
            .permits = grant.permits,
        };
    }
    holders_close(&h);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    busy.holders = (struct codec_list){shown, count};
    return reply_set(out, OP_CODE_ACQUIRE, HF_EBUSY, &busy);
}

/* Why it cannot be granted at once. A lock that only its delay keeps from us is DELAYED. */
static int tell_refused(struct machine *m, struct slice name, const struct row_lock *lock,
                        uint64_t mode, struct reply_out *out)
{
    uint64_t until_ms = lock->delay_ms;
    if (mode == MODE_EXCLUSIVE && lock->shared_delay_ms > until_ms)
        until_ms = lock->shared_delay_ms;
    if (lock->holder_count > 0 || until_ms <= state_now(m)) return tell_busy(m, name, lock, out);
    struct msg_delayed delayed = {.left_ms = state_left(m, until_ms)};
    return reply_set(out, OP_CODE_ACQUIRE, HF_EDELAYED, &delayed);
}

/* NOT_HELD {why, when}, as far as anybody remembers. */
static int tell_not_held(uint16_t op, uint64_t token, const struct row_loss *loss,
                         const struct row_lock *lock, struct reply_out *out)
{
    struct msg_ended ended = {0};
    if (loss != NULL) ended = (struct msg_ended){.reason = loss->reason, .at_ms = loss->at_ms};
    if (loss == NULL && lock != NULL && lock->last_token == token)
        ended = (struct msg_ended){.reason = lock->last_reason, .at_ms = lock->last_at_ms};
    return reply_set(out, op, HF_ENOTHELD, &ended);
}

/* ------------------------------------------------------------------ ACQUIRE */

/* The same owner asks again for what it holds. */
static int acquire_again(struct machine *m, const struct msg_acquire *acquire, uint64_t token,
                         struct reply_out *out)
{
    struct row_grant grant;
    int rv = grant_get(m, token, &grant);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (!planted(OWNERS_AS_ONE)) HF_ASSERT(grant.owner == acquire->owner);
    HF_ASSERT(grant_has_name(&grant, acquire->names.items[0]));

    bool other = planted(OWNERS_AS_ONE) && grant.owner != acquire->owner;
    if ((acquire->reentrant == 1 || other) && grant.mode == acquire->mode) {
        if (grant.count >= REENTRANCE_MAX) return reply_set(out, OP_CODE_ACQUIRE, HF_EQUOTA, NULL);
        grant.count += 1;
        rv = grant_put(m, token, &grant);
        return rv == HF_OK ? tell_granted(out, token, 0, grant.count) : rv;
    }
    struct msg_already already = {
        .fencing_token = token,
        .mode = grant.mode,
        .permits = grant.permits,
        .names = grant.names,
    };
    out->token = token;
    return reply_set(out, OP_CODE_ACQUIRE, HF_EALREADY, &already);
}

static int grant_now(struct machine *m, const struct op_context *ctx,
                     const struct msg_acquire *acquire, struct row_lock *lock,
                     struct reply_out *out)
{
    struct grant_request request = {
        .acquire = acquire,
        .session = ctx->envelope->session,
        .seq = ctx->envelope->seq,
        .peer = ctx->envelope->peer,
        .traceparent = ctx->envelope->traceparent,
    };
    uint64_t token;
    int rv = grant_make(m, &request, lock, &token);
    if (rv == HF_OK) rv = lock_put(m, acquire->names.items[0], lock);
    return rv == HF_OK ? tell_granted(out, token, 0, 1) : rv;
}

static int wait_in_queue(struct machine *m, const struct op_context *ctx,
                         const struct msg_acquire *acquire, struct row_lock *lock,
                         struct reply_out *out)
{
    if (lock->queue_length >= LOCK_WAITERS_MAX)
        return reply_set(out, OP_CODE_ACQUIRE, HF_EQUOTA, NULL);
    uint64_t ticket;
    int rv = parked_put(m, ctx, TABLE_LOCK_QUEUE, acquire->names, acquire->owner, acquire->wait_ms,
                        &ticket, out);
    if (rv != HF_OK) return rv;
    if (lock->queue_length == 0) lock->queue_first = ticket;
    lock->queue_length += 1;
    return lock_put(m, acquire->names.items[0], lock);
}

/* An owner waits for one ACQUIRE at a time. */
static int owner_waits(struct machine *m, uint64_t owner, bool *waits)
{
    *waits = false;
    if (m->session.waiter_count == 0) return HF_OK;
    struct row_key key = row_key_pair(m->session_id, owner);
    uint64_t seq;
    int rv = state_get_u64(m, TABLE_OWNERS, row_key_slice(&key), &seq);
    *waits = rv == HF_OK;
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int lock_acquire(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_acquire *acquire = request;
    HF_ASSERT(acquire->names.count == 1);     /* op_check's promise */
    HF_ASSERT(acquire->mode != MODE_PERMITS); /* likewise */
    HF_ASSERT(m->session_id == ctx->envelope->session);
    struct slice name = acquire->names.items[0];
    bool waits;
    int rv = owner_waits(m, acquire->owner, &waits);
    if (rv != HF_OK) return rv;
    if (waits) return reply_set(out, OP_CODE_ACQUIRE, HF_EOWNERWAITING, NULL);

    struct row_lock lock;
    uint64_t token;
    rv = lock_get(m, name, &lock);
    if (rv != HF_OK) return rv;
    rv = holder_find(m, name, &lock, m->session_id, acquire->owner, &token);
    if (rv == HF_OK) return acquire_again(m, acquire, token, out);
    if (rv != HF_ENOTFOUND) return rv;

    if (session_load(&m->session) >= SESSION_NAMES_MAX)
        return reply_set(out, OP_CODE_ACQUIRE, HF_EQUOTA, NULL);
    bool first = lock.queue_length == 0 || planted(WAITER_OVERTAKEN);
    if (first && lock_is_grantable(m, &lock, acquire->mode))
        return grant_now(m, ctx, acquire, &lock, out);
    if (acquire->wait_ms == 0) return tell_refused(m, name, &lock, acquire->mode, out);
    return wait_in_queue(m, ctx, acquire, &lock, out);
}

int lock_acquire_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
                        struct reply_out *out)
{
    if (stored->fencing_token == 0) return HF_OK;
    struct row_grant grant;
    int rv = grant_get(m, stored->fencing_token, &grant);
    if (rv == HF_ENOTFOUND) return HF_OK;
    if (rv != HF_OK) return rv;
    HF_ASSERT(grant.session == session); /* tokens are never used again */
    out->stands = true;
    return HF_OK;
}

/* ------------------------------------------------------------------ RELEASE and ABANDON */

/* The token is no grant of this name: not any more, or never. */
static int release_nothing(struct machine *m, const struct msg_release *release,
                           struct reply_out *out)
{
    struct row_loss loss;
    int rv = session_loss_take(m, m->session_id, release->fencing_token, &loss);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    const struct row_loss *known = rv == HF_OK ? &loss : NULL;
    if (release->name.size == 0)
        return tell_not_held(OP_CODE_RELEASE, release->fencing_token, known, NULL, out);

    struct row_lock lock;
    rv = lock_get(m, release->name, &lock);
    if (rv != HF_OK) return rv;
    if (lock.holder_count > 0) return reply_set(out, OP_CODE_RELEASE, HF_ESTALE, NULL);
    return tell_not_held(OP_CODE_RELEASE, release->fencing_token, known, &lock, out);
}

int lock_release(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_release *release = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    uint64_t token = release->fencing_token;
    if (state_token_is_future(m, token))
        return reply_complain(out, OP_CODE_RELEASE, "this fencing token was never issued");

    struct row_lock lock;
    if (planted(STALE_RELEASE_FREES) && release->name.size != 0 &&
        lock_get(m, release->name, &lock) == HF_OK && lock.fencing_token != 0)
        token = lock.fencing_token;
    struct row_grant grant;
    int rv = grant_get(m, token, &grant);
    if (rv == HF_ENOTFOUND) return release_nothing(m, release, out);
    if (rv != HF_OK) return rv;
    if (release->name.size != 0 && !grant_has_name(&grant, release->name))
        return release_nothing(m, release, out);
    if (grant.session != m->session_id || grant.owner != release->owner)
        return reply_set(out, OP_CODE_RELEASE, HF_ENOTOWNER, NULL);

    struct msg_release_reply reply = {.count_left = grant.count - 1};
    grant.count = planted(FIRST_RELEASE_FREES) ? 0 : grant.count - 1;
    rv = grant.count > 0 ? grant_put(m, token, &grant) : grant_end(m, token, &grant, END_RELEASED);
    return rv == HF_OK ? reply_set(out, OP_CODE_RELEASE, HF_OK, &reply) : rv;
}

int lock_abandon(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_abandon *abandon = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    uint64_t token = abandon->fencing_token;
    if (state_token_is_future(m, token))
        return reply_complain(out, OP_CODE_ABANDON, "this fencing token was never issued");

    struct row_grant grant;
    int rv = grant_get(m, token, &grant);
    if (rv == HF_OK) {
        if (grant.session != m->session_id)
            return reply_set(out, OP_CODE_ABANDON, HF_ENOTOWNER, NULL);
        rv = grant_end(m, token, &grant, END_ABANDONED);
        return rv == HF_OK ? reply_set(out, OP_CODE_ABANDON, HF_OK, NULL) : rv;
    }
    if (rv != HF_ENOTFOUND) return rv;
    rv = dispatch_abandon_attempt(m, m->session_id, token);
    if (rv == HF_OK || rv == HF_ENOTOWNER) return reply_set(out, OP_CODE_ABANDON, rv, NULL);
    if (rv != HF_ENOTFOUND) return rv;

    struct row_loss loss;
    rv = session_loss_take(m, m->session_id, token, &loss);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    return tell_not_held(OP_CODE_ABANDON, token, rv == HF_OK ? &loss : NULL, NULL, out);
}

/* ------------------------------------------------------------------ the queue */

int lock_wait_over(struct machine *m, const struct parked *p, struct reply_out *out)
{
    (void)m;
    HF_ASSERT(p->row.op == OP_CODE_ACQUIRE);
    return reply_set(out, OP_CODE_ACQUIRE, HF_EWAITTIMEOUT, NULL);
}

int lock_waiter_left(struct machine *m, const struct parked *p)
{
    HF_ASSERT(p->row.names.count == 1);
    struct slice name = p->row.names.items[0];
    struct row_lock lock;
    int rv = lock_get(m, name, &lock);
    if (rv != HF_OK) return rv;
    if (lock.queue_length == 0) return HF_ECORRUPT;
    lock.queue_length -= 1;
    rv = lock_put(m, name, &lock);
    /* Those behind may be grantable now: a SHARED one behind an EXCLUSIVE one that gave up. */
    return rv == HF_OK && lock.queue_length > 0 ? serve_mark(m, TABLE_LOCKS, name) : rv;
}

/* Grant the head of the queue, if it can be. */
static int serve_head(struct machine *m, struct slice name, struct row_lock *lock, bool *granted)
{
    *granted = false;
    struct parked p;
    struct msg_acquire acquire;
    int rv = parked_from(m, TABLE_LOCK_QUEUE, name, lock->queue_first, &p);
    if (rv == HF_OK) rv = parked_request(m, &p, &acquire);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    lock->queue_first = p.row.ticket;
    bool grantable = lock_is_grantable(m, lock, acquire.mode);
    if (planted(SHARED_BESIDE_EXCLUSIVE) && acquire.mode == MODE_SHARED) grantable = true;
    if (!grantable) return HF_OK;
    if (m->grants_left == 0) return HF_ETOOBUSY;

    struct grant_request request = {
        .acquire = &acquire,
        .session = p.session,
        .seq = p.seq,
        .peer = p.row.peer,
        .traceparent = p.row.traceparent,
    };
    uint64_t token;
    struct reply_out out = parked_reply(m);
    rv = session_visit(m, p.session);
    if (rv == HF_OK) rv = grant_make(m, &request, lock, &token);
    if (rv == HF_OK) rv = tell_granted(&out, token, 1, 1);
    if (rv == HF_OK) rv = parked_answer(m, &p, &out);
    if (rv == HF_OK) rv = session_leave(m);
    if (rv != HF_OK) return rv;
    m->grants_left -= 1;
    lock->queue_length -= 1;
    lock->queue_first = p.row.ticket + 1;
    *granted = true;
    return HF_OK;
}

int lock_serve(struct machine *m, struct slice name)
{
    struct row_lock lock;
    int rv = lock_get(m, name, &lock);
    if (rv != HF_OK) return rv;
    bool granted = true;
    uint64_t first_before = lock.queue_first;
    while (rv == HF_OK && granted && lock.queue_length > 0) {
        size_t mark = state_mark(m);
        rv = serve_head(m, name, &lock, &granted);
        state_reset(m, mark);
    }
    if (rv != HF_OK && rv != HF_ETOOBUSY) return rv;
    int put_rv = lock.queue_first != first_before ? lock_put(m, name, &lock) : HF_OK;
    return put_rv == HF_OK ? rv : put_rv;
}
