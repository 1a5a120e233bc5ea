/* Sessions and their end. Their rows are read and written in machine/session_rows.c, their requests
 * are in machine/session_ops.c.
 *
 * Happy path: a session's deadline row stays where it is until a sweep finds it due and moves it to
 * where the renewals have brought the deadline.
 * Failure modes: none but faults. A session that ended stays as a tombstone for 10 minutes, so
 * that late calls are told why and when, and retries get the replies they were given. */
#include "machine/sessions.h"

#include "base/planted.h"
#include "machine/deadlines.h"
#include "machine/events.h"
#include "machine/force.h"
#include "machine/parked.h"
#include "machine/principals.h"
#include "machine/replies.h"

int session_info_get(struct machine *m, uint64_t session, struct row_session_info *info)
{
    struct row_key key = row_key_u64(session);
    return state_get(m, TABLE_SESSION_INFO, row_key_slice(&key), &row_session_info_type, info);
}

uint64_t session_lease_left(const struct machine *m, const struct row_session *s)
{
    return s->ended != 0 ? 0 : state_left(m, s->expires_ms);
}

int session_tell_ended(const struct row_session *s, uint16_t op, struct reply_out *out)
{
    HF_ASSERT(s->ended != 0);
    struct msg_ended ended = {.reason = s->ended, .at_ms = s->ended_ms};
    return reply_set(out, op, HF_ESESSION, &ended);
}

/* ------------------------------------------------------------------ losses */

int session_lose(struct machine *m, uint64_t session, uint64_t token, enum end_reason reason,
                 uint64_t count)
{
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(s->ended == 0);
    struct row_loss loss = {.reason = reason, .at_ms = state_now(m), .count = count};
    struct row_key key = row_key_pair(session, token);
    rv = state_put(m, TABLE_LOSSES, row_key_slice(&key), &row_loss_type, &loss);
    if (rv != HF_OK) return rv;
    s->loss_count += 1;
    return session_put(m, session, s);
}

int session_loss_get(struct machine *m, uint64_t session, uint64_t token, struct row_loss *loss)
{
    if (store_count(m->store, TABLE_LOSSES) == 0) return HF_ENOTFOUND;
    struct row_key key = row_key_pair(session, token);
    return state_get(m, TABLE_LOSSES, row_key_slice(&key), &row_loss_type, loss);
}

int session_loss_take(struct machine *m, uint64_t session, uint64_t token, struct row_loss *loss)
{
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, session, &draft, &s);
    if (rv != HF_OK) return rv;
    if (s->loss_count == 0) return HF_ENOTFOUND;
    struct row_key key = row_key_pair(session, token);
    rv = state_get(m, TABLE_LOSSES, row_key_slice(&key), &row_loss_type, loss);
    if (rv == HF_OK) rv = state_del(m, TABLE_LOSSES, row_key_slice(&key));
    if (rv != HF_OK) return rv;
    s->loss_count -= 1;
    rv = session_put(m, session, s);
    return rv == HF_OK && loss->reason == END_FORCED ? force_is_known(m, session, token) : rv;
}

/* ------------------------------------------------------------------ the end */

/* Its losses need no acknowledgement any more: SESSION_EXPIRED says it all. */
static int drop_losses(struct machine *m, uint64_t session)
{
    struct row_key prefix = row_key_u64(session);
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_LOSSES, &prefix, NULL);
    while (rv == HF_OK) {
        rv = state_del(m, TABLE_LOSSES, walk.key);
        if (rv == HF_OK) rv = force_is_known(m, session, row_key_last(walk.key));
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int list_grants(struct machine *m, uint64_t session)
{
    struct row_key prefix = row_key_u64(session);
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_SESSION_GRANTS, &prefix, NULL);
    while (rv == HF_OK) {
        rv = u64_list_add(&m->ending, row_key_last(walk.key));
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* Only that of one whose client did not choose it. */
static int tell_end(struct machine *m, uint64_t session, enum end_reason reason)
{
    struct row_session_info info;
    if (reason != END_EXPIRED && reason != END_RESTORED) return HF_OK;
    int rv = session_info_get(m, session, &info);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    const struct event event = {
        .kind = EVENT_SESSION_EXPIRED,
        .name = info.name,
        .session = session,
        .what = reason,
        .client_name = info.name,
    };
    return event_tell(m, &event);
}

int session_end_begin(struct machine *m, uint64_t session, enum end_reason reason)
{
    HF_ASSERT(m->session_id == session);
    HF_ASSERT(m->session.ended == 0);
    struct row_session *s = &m->session;
    struct row_key id = row_key_u64(session);
    uint64_t forget_ms = state_later(m, SESSION_TOMBSTONE_MS);
    int rv = deadline_del(m, s->deadline_ms, DEADLINE_SESSION, row_key_slice(&id));
    if (rv == HF_OK) rv = deadline_put(m, forget_ms, DEADLINE_FORGET, row_key_slice(&id));
    if (rv == HF_OK) rv = principal_remove(m, s->principal, QUOTA_SESSIONS, 1);
    if (rv == HF_OK) rv = tell_end(m, session, reason);
    if (rv != HF_OK) return rv;
    s->ended = reason;
    s->ended_ms = state_now(m);
    s->deadline_ms = forget_ms;
    m->meta.session_count -= 1;
    m->meta_changed = true;

    if (s->waiter_count > 0) rv = parked_end_session(m, session, reason);
    if (rv == HF_OK && s->grant_count > 0) rv = list_grants(m, session);
    if (rv == HF_OK && s->loss_count > 0) rv = drop_losses(m, session);
    if (rv != HF_OK) return rv;
    s->loss_count = 0;
    HF_ASSERT(s->waiter_count == 0);
    if (m->sink->ended_cb != NULL) m->sink->ended_cb(session, m->sink->data);
    return u64_list_add(&m->ended_sessions, session);
}

int session_due(struct machine *m, struct slice id)
{
    uint64_t session = row_key_last(id);
    int rv = session_hold(m, session);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    struct row_session *s = &m->session;
    HF_ASSERT(s->ended == 0);
    bool renewed = s->expires_ms > state_now(m) && !planted(RENEWAL_OVERLOOKED);
    if (renewed) { /* since the row was put */
        s->deadline_ms = s->expires_ms;
        rv = deadline_put(m, s->deadline_ms, DEADLINE_SESSION, id);
    } else {
        rv = session_end_begin(m, session, END_EXPIRED);
    }
    return rv == HF_OK ? session_flush(m) : rv;
}

int session_forget_due(struct machine *m, struct slice id)
{
    uint64_t session = row_key_last(id);
    struct row_session s;
    struct row_session_info info;
    int rv = session_settle(m, session);
    if (rv == HF_OK) rv = state_get(m, TABLE_SESSIONS, id, &row_session_type, &s);
    if (rv == HF_OK) rv = session_info_get(m, session, &info);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(s.ended != 0);
    HF_ASSERT(s.grant_count == 0 && s.attempt_count == 0 && s.asked_count == 0);

    rv = replies_forget(m, session);
    if (rv == HF_OK) rv = state_del(m, TABLE_SECRETS, info.secret_hash);
    if (rv == HF_OK) rv = state_del(m, TABLE_SESSION_INFO, id);
    if (rv == HF_OK) rv = state_del(m, TABLE_SESSIONS, id);
    return rv;
}
