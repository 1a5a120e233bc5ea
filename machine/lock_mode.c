/* DOWNGRADE and UPGRADE: the mode of a grant changes, its token and its place stay.
 *
 * Happy path: DOWNGRADE makes an EXCLUSIVE grant one of many and serves the queues; UPGRADE makes
 * the sole SHARED one EXCLUSIVE, past all who wait, for it holds the locks already. Tokens still
 * rise from one EXCLUSIVE time to the next: who becomes EXCLUSIVE was alone, so whoever was so
 * before it had gone when it came, with a smaller token. Failure modes: none but faults; a token
 * that is not the caller's is answered as RELEASE answers it. */
#include "base/planted.h"
#include "machine/grants.h"
#include "machine/lock_history.h"
#include "machine/locks.h"
#include "machine/serve.h"
#include "machine/sessions.h"

/* The grant that the op is about. \param found Out: false = it is answered */
static int find_grant(struct machine *m, const struct op_context *ctx,
                      const struct msg_change_mode *change, struct row_grant *grant, bool *found,
                      struct reply_out *out)
{
    HF_ASSERT(m->session_id == ctx->envelope->session);
    uint64_t token = change->fencing_token;
    *found = false;
    if (state_token_is_future(m, token))
        return reply_complain(out, ctx->op, "this fencing token was never issued");
    int rv = grant_get(m, token, grant);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    bool named = change->name.size == 0 || (rv == HF_OK && grant_has_name(grant, change->name));
    if (rv == HF_ENOTFOUND || !named) {
        struct row_loss loss;
        rv = session_loss_get(m, m->session_id, token, &loss);
        if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
        return lock_tell_gone(m, ctx->op, change->name, token, rv == HF_OK ? &loss : NULL, out);
    }
    if (grant->session != m->session_id || grant->owner != change->owner)
        return reply_set(out, ctx->op, HF_ENOTOWNER, NULL);
    if (grant->mode == MODE_PERMITS)
        return reply_complain(out, ctx->op, "a grant of permits has no other mode");
    *found = true;
    return HF_OK;
}

static int tell_changed(struct reply_out *out, uint16_t op, uint64_t token)
{
    out->token = token;
    return reply_set(out, op, HF_OK, NULL);
}

/* One of its locks, whose row is `lock`. */
static int change_lock(struct machine *m, uint64_t token, const struct row_grant *grant,
                       struct slice name, struct row_lock *lock)
{
    HF_ASSERT(lock->holder_count >= 1);
    struct row_key key = row_key_holder(name, grant->session, grant->owner);
    lock->mode = grant->mode;
    lock->fencing_token = grant->mode == MODE_EXCLUSIVE ? token : 0;
    if (grant->mode == MODE_SHARED) lock->limit = LIMIT_ENDLESS;
    int rv = lock_history_changed(m, name, lock, token, grant);
    if (rv == HF_OK && grant->mode == MODE_SHARED)
        rv = state_put_u64(m, TABLE_HOLDERS, row_key_slice(&key), token);
    if (rv == HF_OK && grant->mode == MODE_EXCLUSIVE)
        rv = state_del(m, TABLE_HOLDERS, row_key_slice(&key));
    if (rv == HF_OK) rv = lock_put(m, name, lock);
    if (rv != HF_OK || grant->mode == MODE_EXCLUSIVE || lock->queue_length == 0) return rv;
    return serve_mark(m, TABLE_LOCKS, name);
}

static int change_mode(struct machine *m, uint64_t token, struct row_grant *grant, uint64_t mode,
                       struct row_lock *locks)
{
    HF_ASSERT(grant->mode != mode);
    grant->mode = mode;
    int rv = grant_put(m, token, grant);
    for (uint32_t i = 0; rv == HF_OK && i < grant->names.count; i++)
        rv = change_lock(m, token, grant, grant->names.items[i], &locks[i]);
    return rv;
}

int lock_downgrade(struct machine *m, const struct op_context *ctx, const void *request,
                   struct reply_out *out)
{
    const struct msg_change_mode *change = request;
    struct row_lock locks[NAMES_MAX];
    struct row_grant grant;
    bool found;
    int rv = find_grant(m, ctx, change, &grant, &found, out);
    if (rv != HF_OK || !found) return rv;
    if (grant.mode == MODE_SHARED) return tell_changed(out, ctx->op, change->fencing_token);
    for (uint32_t i = 0; i < grant.names.count; i++) {
        rv = lock_get(m, grant.names.items[i], &locks[i]);
        if (rv != HF_OK) return rv;
        if (lock_limit_shown(&locks[i]) != 0) return reply_set(out, ctx->op, HF_ELIMIT, NULL);
    }
    rv = change_mode(m, change->fencing_token, &grant, MODE_SHARED, locks);
    return rv == HF_OK ? tell_changed(out, ctx->op, change->fencing_token) : rv;
}

/* Nobody shares the lock, and no lost grant keeps its part of it. */
static bool is_alone(const struct machine *m, const struct row_lock *lock)
{
    if (planted(UPGRADE_BESIDE_HOLDERS)) return true;
    return lock->holder_count == 1 && lock->shared_delay_ms <= state_now(m) &&
           lock->units_forced == 0;
}

int lock_upgrade(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_change_mode *change = request;
    struct row_lock locks[NAMES_MAX];
    struct row_grant grant;
    bool found;
    bool waits = false;
    int rv = find_grant(m, ctx, change, &grant, &found, out);
    if (rv != HF_OK || !found) return rv;
    if (grant.mode == MODE_EXCLUSIVE) return tell_changed(out, ctx->op, change->fencing_token);
    rv = lock_owner_waits(m, change->owner, &waits);
    if (rv != HF_OK) return rv;
    if (waits) return reply_set(out, ctx->op, HF_EOWNERWAITING, NULL);
    for (uint32_t i = 0; i < grant.names.count; i++) {
        rv = lock_get(m, grant.names.items[i], &locks[i]);
        if (rv != HF_OK) return rv;
        if (!is_alone(m, &locks[i])) return reply_set(out, ctx->op, HF_EUPGRADEBUSY, NULL);
    }
    rv = change_mode(m, change->fencing_token, &grant, MODE_EXCLUSIVE, locks);
    return rv == HF_OK ? tell_changed(out, ctx->op, change->fencing_token) : rv;
}
