/* RELEASE and ABANDON. Happy path: RELEASE finds the grant by its token, removes it and frees its
 * locks. Failure modes: none but faults. Everything that a client may do wrong (another owner's
 * token, an old one, a free lock) is an answer without effect: a success there would tell a
 * fenced-off client that its work was protected. */
#include "machine/locks.h"

#include "base/planted.h"
#include "machine/grants.h"
#include "machine/lock_history.h"
#include "machine/sessions.h"

/* NOT_HELD {why, when}, as far as anybody remembers. */
static int tell_not_held(uint16_t op, uint64_t token, const struct row_loss *loss,
                         const struct row_lock_history *history, struct reply_out *out)
{
    struct msg_ended ended = {0};
    if (loss != NULL) ended = (struct msg_ended){.reason = loss->reason, .at_ms = loss->at_ms};
    if (loss == NULL && history != NULL && history->last_token == token)
        ended = (struct msg_ended){.reason = history->last_reason, .at_ms = history->last_at_ms};
    return reply_set(out, op, HF_ENOTHELD, &ended);
}

int lock_tell_gone(struct machine *m, uint16_t op, struct slice name, uint64_t token,
                   const struct row_loss *loss, struct reply_out *out)
{
    if (name.size == 0) return tell_not_held(op, token, loss, NULL, out);
    struct row_lock lock;
    int rv = lock_get(m, name, &lock);
    if (rv != HF_OK) return rv;
    if (lock.holder_count > 0) return reply_set(out, op, HF_ESTALE, NULL);
    struct row_lock_history history;
    rv = lock_history_get(m, name, &lock, &history);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    return tell_not_held(op, token, loss, &history, out);
}

/* The token is no grant of this name: not any more, or never. Who releases what it acquired once
 * believes in nothing of it any more; who acquired it several times may, until KEEP has told. */
static int release_nothing(struct machine *m, const struct msg_release *release,
                           struct reply_out *out)
{
    struct row_loss loss;
    uint64_t token = release->fencing_token;
    int rv = session_loss_get(m, m->session_id, token, &loss);
    if (rv == HF_OK && loss.count == 1) rv = session_loss_take(m, m->session_id, token, &loss);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    return lock_tell_gone(m, OP_CODE_RELEASE, release->name, release->fencing_token,
                          rv == HF_OK ? &loss : NULL, out);
}

int lock_release_finds(struct machine *m, const struct msg_release *release, bool *found)
{
    struct row_grant grant;
    *found = false;
    int rv = grant_get(m, release->fencing_token, &grant);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    bool named = release->name.size == 0 || grant_has_name(&grant, release->name);
    *found = named && grant.session == m->session_id && grant.owner == release->owner;
    return HF_OK;
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
