/* OPEN, KEEP, RESUME and CLOSE (docs/contract.md, section 3).
 *
 * Happy path: OPEN stores the hash of a secret that the client drew, so that an OPEN whose reply
 * was lost can be sent again; KEEP changes one row; RESUME proves the secret from another
 * connection; CLOSE ends the session as expiry does, but its grants are given back, not lost.
 * Failure modes: a wrong secret, a session that has ended. */
#include <stdlib.h>

#include "base/planted.h"
#include "machine/deadlines.h"
#include "machine/grants.h"
#include "machine/principals.h"
#include "machine/replies.h"
#include "machine/revoke.h"
#include "machine/sessions.h"

/* ------------------------------------------------------------------ OPEN */

static int tell_opened(struct reply_out *out, uint64_t session, uint64_t ttl_ms)
{
    struct msg_open_reply reply = {.session = session, .ttl_ms = ttl_ms};
    return reply_set(out, OP_CODE_OPEN, HF_OK, &reply);
}

/* HF_EQUOTA: its principal has as many as it may, and was told. */
static int look_at_cap(struct machine *m, const struct op_context *ctx, const struct msg_open *open,
                       struct reply_out *out)
{
    uint64_t principal = principal_id(open->name, principal_host(ctx->envelope->peer));
    struct msg_quota refused;
    int rv = principal_may(m, principal, QUOTA_SESSIONS, 1, &refused);
    if (rv != HF_EQUOTA) return rv;
    rv = reply_set(out, ctx->op, HF_EQUOTA, &refused);
    return rv == HF_OK ? HF_EQUOTA : rv;
}

static int make_session(struct machine *m, const struct op_context *ctx,
                        const struct msg_open *open, struct slice secret_hash,
                        struct reply_out *out)
{
    struct slice host = principal_host(ctx->envelope->peer);
    uint64_t principal = principal_id(open->name, host);
    HF_ASSERT(m->meta.session_counter < UINT64_MAX);
    uint64_t session = ++m->meta.session_counter;
    m->meta.session_count += 1;
    m->meta_changed = true;
    uint64_t expires_ms = state_later(m, open->ttl_ms);
    struct row_session row = {
        .ttl_ms = open->ttl_ms,
        .expires_ms = expires_ms,
        .deadline_ms = expires_ms,
        .principal = principal,
    };
    struct row_session_info info = {
        .secret_hash = secret_hash,
        .name = open->name,
        .meta = open->meta,
        .peer = ctx->envelope->peer,
        .principal = ctx->envelope->principal,
        .since_ms = state_now(m),
    };
    struct row_key key = row_key_u64(session);
    struct slice id = row_key_slice(&key);
    int rv = principal_meet(m, principal, open->name, host);
    if (rv == HF_OK) rv = principal_add(m, principal, QUOTA_SESSIONS, 1);
    if (rv == HF_OK) rv = state_put(m, TABLE_SESSIONS, id, &row_session_type, &row);
    if (rv == HF_OK) rv = state_put(m, TABLE_SESSION_INFO, id, &row_session_info_type, &info);
    if (rv == HF_OK) rv = state_put_u64(m, TABLE_SECRETS, secret_hash, session);
    if (rv == HF_OK) rv = deadline_put(m, expires_ms, DEADLINE_SESSION, id);
    return rv == HF_OK ? tell_opened(out, session, open->ttl_ms) : rv;
}

int session_open(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_open *open = request;
    HF_ASSERT(open->secret.size == SESSION_SECRET_BYTES);
    HF_ASSERT(m->session_id == 0);
    uint8_t hash[SHA256_BYTES];
    sha256(open->secret.data, open->secret.size, hash);
    struct slice secret_hash = slice_make(hash, sizeof hash);
    uint64_t session;
    int rv = HF_OK;
    if (planted(CAP_BEFORE_KNOWN)) rv = look_at_cap(m, ctx, open, out);
    if (rv != HF_OK) return rv == HF_EQUOTA ? HF_OK : rv;
    rv = state_get_u64(m, TABLE_SECRETS, secret_hash, &session);
    if (rv == HF_ENOTFOUND) {
        rv = look_at_cap(m, ctx, open, out);
        if (rv != HF_OK) return rv == HF_EQUOTA ? HF_OK : rv;
        return make_session(m, ctx, open, secret_hash, out);
    }
    if (rv != HF_OK) return rv;

    /* An OPEN sent again. It renews nothing: its client counts from the first send. */
    struct row_session draft;
    struct row_session *s;
    rv = session_get(m, session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (s->ended != 0) return session_tell_ended(s, OP_CODE_OPEN, out);
    return tell_opened(out, session, s->ttl_ms);
}

/* ------------------------------------------------------------------ KEEP and RESUME */

/* The oldest losses that are not acknowledged; `more` if there is no room for all. */
static int list_losses(struct machine *m, uint64_t session, struct lost_item *items,
                       struct msg_keep_reply *reply)
{
    uint32_t count = 0;
    struct row_key prefix = row_key_u64(session);
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_LOSSES, &prefix, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        if (count == LOSSES_MAX) {
            reply->more = 1;
            break;
        }
        struct row_loss loss;
        rv = state_decode(m, &row_loss_type, walk.value, &loss);
        if (rv != HF_OK) break;
        items[count++] = (struct lost_item){
            .fencing_token = row_key_last(walk.key),
            .reason = loss.reason,
            .at_ms = loss.at_ms,
        };
    }
    walk_close(&walk);
    reply->lost = (struct codec_list){items, count};
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int compare_tokens(const void *a, const void *b)
{
    const struct left_item *x = a;
    const struct left_item *y = b;
    return (x->fencing_token > y->fencing_token) - (x->fencing_token < y->fencing_token);
}

/* Time left of grants with hold_max, in token order. */
static int list_holds(struct machine *m, uint64_t session, struct left_item *items,
                      uint32_t count_max, struct msg_keep_reply *reply)
{
    uint32_t count = 0;
    struct row_key prefix = row_key_u64(session);
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_SESSION_GRANTS, &prefix, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        HF_ASSERT(walk.value.size == 8);
        uint64_t until_ms = get_u64(walk.value.data);
        if (until_ms == 0) continue;
        HF_ASSERT(count < count_max);
        items[count++] = (struct left_item){
            .fencing_token = row_key_last(walk.key),
            .left_ms = state_left(m, until_ms),
        };
    }
    if (count > 1) qsort(items, count, sizeof *items, compare_tokens);
    reply->holds = (struct codec_list){items, count};
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int tell_kept(struct machine *m, uint16_t op, struct reply_out *out)
{
    const struct row_session *s = &m->session;
    HF_ASSERT(s->hold_count <= SESSION_NAMES_MAX);
    struct msg_keep_reply reply = {.ttl_ms = s->ttl_ms};
    struct lost_item lost[LOSSES_MAX];
    struct left_item asked[ASKED_MAX];
    int rv = HF_OK;
    if (s->loss_count > 0) rv = list_losses(m, m->session_id, lost, &reply);
    if (rv == HF_OK && s->asked_count > 0) rv = revoke_list(m, m->session_id, asked, &reply.asked);
    if (rv == HF_OK && s->hold_count > 0) {
        struct left_item *holds = arena_take(&m->keep, s->hold_count * sizeof *holds);
        if (holds == NULL) return HF_ENOMEM;
        rv = list_holds(m, m->session_id, holds, (uint32_t)s->hold_count, &reply);
    }
    return rv == HF_OK ? reply_set(out, op, HF_OK, &reply) : rv;
}

int session_keep(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_keep *keep = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    for (uint32_t i = 0; i < keep->losses_acked.count && m->session.loss_count > 0; i++) {
        struct row_loss loss;
        int rv = session_loss_take(m, m->session_id, keep->losses_acked.items[i], &loss);
        if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    }
    return tell_kept(m, OP_CODE_KEEP, out);
}

int session_resume(struct machine *m, const struct op_context *ctx, const void *request,
                   struct reply_out *out)
{
    const struct msg_resume *resume = request;
    HF_ASSERT(resume->secret.size == SESSION_SECRET_BYTES);
    HF_ASSERT(m->session_id == ctx->envelope->session);
    uint8_t hash[SHA256_BYTES];
    sha256(resume->secret.data, resume->secret.size, hash);
    struct row_session_info info;
    int rv = session_info_get(m, m->session_id, &info);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (!equal_in_constant_time(hash, info.secret_hash.data, sizeof hash))
        return reply_set(out, OP_CODE_RESUME, HF_ESECRET, NULL);
    if (m->session.ended != 0) return session_tell_ended(&m->session, OP_CODE_RESUME, out);

    m->session.expires_ms = state_later(m, m->session.ttl_ms);
    if (planted(ANSWERS_PER_CONNECTION)) {
        m->session.unacked_count = m->session.unacked_bytes = 0;
        rv = replies_forget(m, m->session_id);
        if (rv != HF_OK) return rv;
    }
    if (!slice_equal(info.peer, ctx->envelope->peer)) {
        struct row_key key = row_key_u64(m->session_id);
        info.peer = ctx->envelope->peer;
        rv = state_put(m, TABLE_SESSION_INFO, row_key_slice(&key), &row_session_info_type, &info);
        if (rv != HF_OK) return rv;
    }
    return tell_kept(m, OP_CODE_RESUME, out);
}

/* ------------------------------------------------------------------ CLOSE */

int session_close(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out)
{
    (void)request;
    uint64_t session = ctx->envelope->session;
    HF_ASSERT(m->session_id == session);
    HF_ASSERT(m->ending.count == 0);
    int rv = session_end_begin(m, session, END_CLOSED);
    if (rv == HF_OK) rv = grants_end_listed(m);
    if (rv == HF_OK) rv = dispatch_session_ended(m, session);
    return rv == HF_OK ? reply_set(out, OP_CODE_CLOSE, HF_OK, NULL) : rv;
}
