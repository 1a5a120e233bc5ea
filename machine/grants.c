/* Grants. Happy path: a grant writes its own row and an index row of its session, and changes the
 * rows of its locks; its end removes and frees them. Failure modes: rows that contradict each other
 * are HF_ECORRUPT. */
#include "machine/grants.h"

#include "base/planted.h"
#include "machine/deadlines.h"
#include "machine/events.h"
#include "machine/lock_history.h"
#include "machine/principals.h"
#include "machine/revoke.h"
#include "machine/serve.h"
#include "machine/sessions.h"

/* ------------------------------------------------------------------ holders */

int holder_find(struct machine *m, struct slice name, const struct row_lock *lock, uint64_t session,
                uint64_t owner, uint64_t *token)
{
    if (lock->holder_count == 0) return HF_ENOTFOUND;
    if (lock->mode != MODE_EXCLUSIVE) {
        struct row_key key = row_key_holder(name, session, owner);
        return state_get_u64(m, TABLE_HOLDERS, row_key_slice(&key), token);
    }
    struct row_grant grant;
    int rv = grant_get(m, lock->fencing_token, &grant);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (planted(OWNERS_AS_ONE)) owner = grant.owner;
    if (grant.session != session || grant.owner != owner) return HF_ENOTFOUND;
    *token = lock->fencing_token;
    return HF_OK;
}

static int take_holder(struct holders *h, int rv)
{
    if (rv != HF_OK) return rv;
    if (h->walk.value.size != 8) {
        walk_close(&h->walk);
        return HF_ECORRUPT;
    }
    h->token = get_u64(h->walk.value.data);
    return HF_OK;
}

int holders_first(struct holders *h, struct machine *m, struct slice name,
                  const struct row_lock *lock)
{
    memset(h, 0, sizeof *h);
    h->lock = lock;
    if (lock->holder_count == 0) return HF_ENOTFOUND;
    if (lock->mode == MODE_EXCLUSIVE) {
        h->token = lock->fencing_token;
        return HF_OK;
    }
    struct row_key prefix = row_key_name_prefix(name);
    return take_holder(h, walk_first(&h->walk, m, TABLE_HOLDERS, &prefix, NULL));
}

int holders_first_of(struct holders *h, struct machine *m, struct slice name,
                     const struct row_lock *lock, uint64_t session)
{
    if (session == 0 || lock->mode == MODE_EXCLUSIVE) return holders_first(h, m, name, lock);
    memset(h, 0, sizeof *h);
    h->lock = lock;
    struct row_key prefix = row_key_queue(name, session); /* name, then a number */
    return take_holder(h, walk_first(&h->walk, m, TABLE_HOLDERS, &prefix, NULL));
}

int holders_next(struct holders *h)
{
    if (h->lock->mode == MODE_EXCLUSIVE) return HF_ENOTFOUND;
    return take_holder(h, walk_next(&h->walk));
}

void holders_close(struct holders *h)
{
    walk_close(&h->walk);
}

/* ------------------------------------------------------------------ grants */

int grant_get(struct machine *m, uint64_t token, struct row_grant *grant)
{
    struct row_key key = row_key_u64(token);
    return state_get(m, TABLE_GRANTS, row_key_slice(&key), &row_grant_type, grant);
}

int grant_put(struct machine *m, uint64_t token, const struct row_grant *grant)
{
    HF_ASSERT(token < TOKEN_END);
    HF_ASSERT(grant->count >= 1);
    struct row_key key = row_key_u64(token);
    return state_put(m, TABLE_GRANTS, row_key_slice(&key), &row_grant_type, grant);
}

bool grant_has_name(const struct row_grant *grant, struct slice name)
{
    for (uint32_t i = 0; i < grant->names.count; i++) {
        if (slice_equal(grant->names.items[i], name)) return true;
    }
    return false;
}

/* Count a grant and its names at its session: `by` is 1 or -1. */
static int count_grant(struct machine *m, const struct row_grant *grant, int by)
{
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, grant->session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    uint64_t names = grant->names.count;
    HF_ASSERT(by == 1 || s->grant_count >= names);
    s->grant_count = by == 1 ? s->grant_count + names : s->grant_count - names;
    if (grant->hold_until_ms != 0) s->hold_count = by == 1 ? s->hold_count + 1 : s->hold_count - 1;
    rv = session_put(m, grant->session, s);
    if (rv != HF_OK || (planted(CAP_NOT_COUNTED_DOWN) && s->ended == END_EXPIRED)) return rv;
    return by == 1 ? principal_add(m, s->principal, QUOTA_NAMES, names)
                   : principal_remove(m, s->principal, QUOTA_NAMES, names);
}

/* What its end is to those who watch. */
static enum event_type kind_of_end(enum end_reason reason)
{
    if (reason == END_FORCED) return EVENT_FORCED;
    return reason_is_involuntary(reason) ? EVENT_LOST : EVENT_RELEASED;
}

static int tell(struct machine *m, uint64_t token, const struct row_grant *grant,
                enum event_type kind, uint64_t what)
{
    if (kind > EVENT_ADMIN && !events_on(m)) return HF_OK;
    const struct event event = {
        .kind = kind, .session = grant->session, .fencing_token = token, .what = what};
    return event_tell_names(m, event, &grant->names);
}

/* One of its locks. */
static int put_holder(struct machine *m, uint64_t token, const struct row_grant *grant,
                      struct slice name, struct row_lock *lock)
{
    HF_ASSERT(lock->holder_count == 0 || lock->mode == grant->mode);
    uint64_t limit = lock_limit_of(grant->mode, grant->limit);
    int rv = lock_history_granted(m, name, lock, token, grant);
    if (rv != HF_OK) return rv;
    if (limit != 0) lock->limit = limit;
    lock->mode = grant->mode;
    lock->holder_count += 1;
    lock->units_taken += grant_units(grant);
    if (grant->mode == MODE_EXCLUSIVE) {
        lock->fencing_token = token;
        return HF_OK;
    }
    struct row_key key = row_key_holder(name, grant->session, grant->owner);
    return state_put_u64(m, TABLE_HOLDERS, row_key_slice(&key), token);
}

static int put_holders(struct machine *m, uint64_t token, const struct row_grant *grant,
                       struct row_lock *locks)
{
    int rv = HF_OK;
    for (uint32_t i = 0; rv == HF_OK && i < grant->names.count; i++)
        rv = put_holder(m, token, grant, grant->names.items[i], &locks[i]);
    return rv;
}

int grant_make(struct machine *m, const struct grant_request *request, struct row_lock *locks,
               uint64_t *token)
{
    const struct msg_acquire *acquire = request->acquire;
    struct row_grant grant = {
        .session = request->session,
        .owner = acquire->owner,
        .seq = request->seq,
        .names = acquire->names,
        .mode = acquire->mode,
        .permits = acquire->permits,
        .limit = acquire->limit,
        .count = 1,
        .since_ms = state_now(m),
        .hold_until_ms = acquire->hold_max_ms != 0 ? state_later(m, acquire->hold_max_ms) : 0,
        .delay_ms = acquire->delay_ms,
        .meta = acquire->meta,
        .peer = request->peer,
        .traceparent = request->traceparent,
    };
    *token = state_issue_token(m);
    struct row_key index = row_key_grant(grant.session, grant.owner, *token);
    int rv = grant_put(m, *token, &grant);
    if (rv == HF_OK)
        rv = state_put_u64(m, TABLE_SESSION_GRANTS, row_key_slice(&index), grant.hold_until_ms);
    if (rv == HF_OK) rv = put_holders(m, *token, &grant, locks);
    if (rv == HF_OK) rv = count_grant(m, &grant, 1);
    if (rv == HF_OK) rv = tell(m, *token, &grant, EVENT_GRANTED, grant.mode);
    if (rv != HF_OK || grant.hold_until_ms == 0) return rv;
    struct row_key id = row_key_u64(*token);
    return deadline_put(m, grant.hold_until_ms, DEADLINE_HOLD, row_key_slice(&id));
}

/* ------------------------------------------------------------------ the end of a grant */

/* One of its locks. */
static int free_lock(struct machine *m, uint64_t token, const struct row_grant *grant,
                     enum end_reason reason, struct slice name)
{
    struct row_lock lock;
    int rv = lock_get(m, name, &lock);
    if (rv != HF_OK) return rv;
    if (lock.holder_count == 0 || lock.units_taken < grant_units(grant)) return HF_ECORRUPT;
    bool goes = !reason_is_involuntary(reason) && lock_goes_with(m, &lock);
    rv = lock_history_ended(m, name, &lock, token, grant, reason, goes);
    if (rv != HF_OK) return rv;
    lock.holder_count -= 1;
    lock.units_taken -= grant_units(grant);
    if (grant->mode == MODE_EXCLUSIVE) {
        lock.fencing_token = 0;
    } else {
        struct row_key key = row_key_holder(name, grant->session, grant->owner);
        rv = state_del(m, TABLE_HOLDERS, row_key_slice(&key));
    }
    if (rv == HF_OK &&
        reason_is_involuntary(reason)) { /* its row tells the next 10 minutes' callers why */
        lock.kept_ms = state_later(m, LOST_LOCK_KEPT_MS);
        rv = lock_delay(m, name, &lock, grant);
    }
    if (rv == HF_OK) rv = lock_put(m, name, &lock);
    if (planted(WAITERS_NOT_SERVED) && reason == END_EXPIRED) return rv;
    return rv == HF_OK && lock.queue_length > 0 ? serve_mark(m, TABLE_LOCKS, name) : rv;
}

static int free_locks(struct machine *m, uint64_t token, const struct row_grant *grant,
                      enum end_reason reason)
{
    int rv = HF_OK;
    for (uint32_t i = 0; rv == HF_OK && i < grant->names.count; i++)
        rv = free_lock(m, token, grant, reason, grant->names.items[i]);
    return rv;
}

int grant_end(struct machine *m, uint64_t token, const struct row_grant *grant,
              enum end_reason reason)
{
    HF_ASSERT(reason >= END_RELEASED && reason <= END_REASON_MAX);
    struct row_key key = row_key_u64(token);
    struct row_key index = row_key_grant(grant->session, grant->owner, token);
    int rv = state_del(m, TABLE_GRANTS, row_key_slice(&key));
    if (rv == HF_OK) rv = state_del(m, TABLE_SESSION_GRANTS, row_key_slice(&index));
    if (rv == HF_OK && grant->hold_until_ms != 0)
        rv = deadline_del(m, grant->hold_until_ms, DEADLINE_HOLD, row_key_slice(&key));
    if (rv == HF_OK) rv = count_grant(m, grant, -1);
    if (planted(TOKEN_REUSED) && reason == END_RELEASED && token == m->meta.token_counter) {
        m->meta.token_counter -= 1;
        m->meta_changed = true;
    }
    if (rv == HF_OK) rv = revoke_over(m, token, grant, reason);
    if (rv == HF_OK && (reason == END_HOLD_MAX || reason == END_FORCED))
        rv = session_lose(m, grant->session, token, reason, grant->count);
    if (rv == HF_OK) rv = tell(m, token, grant, kind_of_end(reason), reason);
    return rv == HF_OK ? free_locks(m, token, grant, reason) : rv;
}

static int end_listed(struct machine *m, uint64_t token)
{
    struct row_grant grant;
    struct row_session draft;
    struct row_session *s;
    int rv = grant_get(m, token, &grant);
    if (rv == HF_OK) rv = session_get(m, grant.session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (s->ended != 0) return grant_end(m, token, &grant, (enum end_reason)s->ended);
    bool held_long = grant.hold_until_ms != 0 && grant.hold_until_ms <= state_now(m);
    return held_long ? grant_end(m, token, &grant, END_HOLD_MAX) : revoke_force(m, token, &grant);
}

int grants_end_listed(struct machine *m)
{
    u64_list_sort(&m->ending);
    int rv = HF_OK;
    for (size_t i = 0; rv == HF_OK && i < m->ending.count; i++) {
        if (i > 0 && m->ending.items[i] == m->ending.items[i - 1]) continue; /* for two reasons */
        size_t mark = state_mark(m);
        rv = end_listed(m, m->ending.items[i]);
        state_reset(m, mark);
    }
    m->ending.count = 0;
    return rv;
}

int grant_hold_due(struct machine *m, struct slice id)
{
    if (id.size != 8) return HF_ECORRUPT;
    return u64_list_add(&m->ending, get_u64(id.data));
}
