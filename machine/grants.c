/* Locks' rows and grants. Happy path: a grant writes its own row, an index row of its session and
 * the lock's; its end removes them, and a lock that nobody needs to remember loses its row.
 * Failure modes: rows that contradict each other are HF_ECORRUPT. */
#include "machine/grants.h"

#include "base/planted.h"
#include "machine/deadlines.h"
#include "machine/serve.h"
#include "machine/sessions.h"

/* ------------------------------------------------------------------ locks' rows */

int lock_get(struct machine *m, struct slice name, struct row_lock *lock)
{
    struct row_key key = row_key_name(name);
    int rv = state_get(m, TABLE_LOCKS, row_key_slice(&key), &row_lock_type, lock);
    if (rv != HF_ENOTFOUND) return rv;
    memset(lock, 0, sizeof *lock);
    return HF_OK;
}

/* Forget a time that has passed; else let `next` be at most it. */
static void look_at(const struct machine *m, uint64_t *at_ms, uint64_t *next_ms)
{
    if (*at_ms <= state_now(m)) {
        *at_ms = 0;
        return;
    }
    if (*next_ms == 0 || *at_ms < *next_ms) *next_ms = *at_ms;
}

int lock_put(struct machine *m, struct slice name, struct row_lock *lock)
{
    HF_ASSERT(lock->mode != MODE_EXCLUSIVE || lock->holder_count <= 1);
    HF_ASSERT((lock->fencing_token != 0) ==
              (lock->holder_count == 1 && lock->mode == MODE_EXCLUSIVE));
    bool is_free = lock->holder_count == 0 && lock->queue_length == 0;
    uint64_t next_ms = 0;
    uint64_t unused_ms = 0;
    look_at(m, &lock->delay_ms, &next_ms);
    look_at(m, &lock->shared_delay_ms, &next_ms);
    look_at(m, &lock->kept_ms, is_free ? &next_ms : &unused_ms);
    /* Its delay is over and the sweep has not come to it yet: the row that will have the queue
     * served stays where it is. */
    bool is_due = lock->deadline_ms != 0 && lock->deadline_ms <= state_now(m);
    if (is_due && lock->queue_length > 0) next_ms = lock->deadline_ms;
    if (lock->holder_count == 0) lock->mode = 0;

    struct row_key key = row_key_name(name);
    struct slice id = row_key_slice(&key);
    int rv = deadline_move(m, lock->deadline_ms, next_ms, DEADLINE_LOCK, id);
    if (rv != HF_OK) return rv;
    lock->deadline_ms = next_ms;
    if (!is_free || next_ms != 0) return state_put(m, TABLE_LOCKS, id, &row_lock_type, lock);
    rv = store_del(m->store, TABLE_LOCKS, id);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int lock_due(struct machine *m, struct slice id)
{
    struct row_lock lock;
    int rv = state_get(m, TABLE_LOCKS, id, &row_lock_type, &lock);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    if (lock.deadline_ms > state_now(m)) return HF_OK; /* moved by this very sweep */
    lock.deadline_ms = 0;
    rv = lock_put(m, id, &lock);
    return rv == HF_OK && lock.queue_length > 0 ? serve_mark(m, TABLE_LOCKS, id) : rv;
}

bool lock_is_grantable(const struct machine *m, const struct row_lock *lock, uint64_t mode)
{
    HF_ASSERT(mode == MODE_EXCLUSIVE || mode == MODE_SHARED);
    if (lock->delay_ms > state_now(m)) return false;
    if (mode == MODE_SHARED) return lock->holder_count == 0 || lock->mode == MODE_SHARED;
    return lock->holder_count == 0 && lock->shared_delay_ms <= state_now(m);
}

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

/* Count a grant at its session: `by` is 1 or -1. */
static int count_grant(struct machine *m, const struct row_grant *grant, int by)
{
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, grant->session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(by == 1 || s->grant_count >= 1);
    s->grant_count = by == 1 ? s->grant_count + 1 : s->grant_count - 1;
    if (grant->hold_until_ms != 0) s->hold_count = by == 1 ? s->hold_count + 1 : s->hold_count - 1;
    return session_put(m, grant->session, s);
}

static int put_holder(struct machine *m, uint64_t token, const struct row_grant *grant,
                      struct row_lock *lock)
{
    HF_ASSERT(lock->holder_count == 0 || lock->mode == grant->mode);
    lock->mode = grant->mode;
    lock->limit = grant->limit;
    lock->holder_count += 1;
    lock->units_taken += grant->mode == MODE_PERMITS ? grant->permits : 1;
    if (grant->mode == MODE_EXCLUSIVE) {
        lock->fencing_token = token;
        return HF_OK;
    }
    struct row_key key = row_key_holder(grant->names.items[0], grant->session, grant->owner);
    return state_put_u64(m, TABLE_HOLDERS, row_key_slice(&key), token);
}

int grant_make(struct machine *m, const struct grant_request *request, struct row_lock *lock,
               uint64_t *token)
{
    const struct msg_acquire *acquire = request->acquire;
    HF_ASSERT(acquire->names.count == 1);
    HF_ASSERT(lock_is_grantable(m, lock, acquire->mode));
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
    struct row_key index = row_key_pair(grant.session, *token);
    int rv = grant_put(m, *token, &grant);
    if (rv == HF_OK)
        rv = state_put_u64(m, TABLE_SESSION_GRANTS, row_key_slice(&index), grant.hold_until_ms);
    if (rv == HF_OK) rv = put_holder(m, *token, &grant, lock);
    if (rv == HF_OK) rv = count_grant(m, &grant, 1);
    if (rv != HF_OK || grant.hold_until_ms == 0) return rv;
    struct row_key id = row_key_u64(*token);
    return deadline_put(m, grant.hold_until_ms, DEADLINE_HOLD, row_key_slice(&id));
}

/* ------------------------------------------------------------------ the end of a grant */

static bool is_involuntary(enum end_reason reason)
{
    return reason != END_RELEASED && reason != END_CLOSED;
}

/* Units stay taken after a loss; the row tells its next 10 minutes' callers why. */
static void remember_loss(const struct machine *m, uint64_t token, const struct row_grant *grant,
                          enum end_reason reason, struct row_lock *lock)
{
    uint64_t *delay_ms = grant->mode == MODE_EXCLUSIVE ? &lock->delay_ms : &lock->shared_delay_ms;
    uint64_t until_ms = state_later(m, grant->delay_ms);
    bool delayed = grant->delay_ms != 0 && !planted(DELAY_IGNORED);
    if (delayed && until_ms > *delay_ms) *delay_ms = until_ms;
    lock->kept_ms = state_later(m, LOST_LOCK_KEPT_MS);
    lock->last_token = token;
    lock->last_reason = reason;
    lock->last_at_ms = state_now(m);
}

static int free_lock(struct machine *m, uint64_t token, const struct row_grant *grant,
                     enum end_reason reason)
{
    struct slice name = grant->names.items[0];
    struct row_lock lock;
    int rv = lock_get(m, name, &lock);
    if (rv != HF_OK) return rv;
    uint64_t units = grant->mode == MODE_PERMITS ? grant->permits : 1;
    if (lock.holder_count == 0 || lock.units_taken < units) return HF_ECORRUPT;
    lock.holder_count -= 1;
    lock.units_taken -= units;
    if (grant->mode == MODE_EXCLUSIVE) {
        lock.fencing_token = 0;
    } else {
        struct row_key key = row_key_holder(name, grant->session, grant->owner);
        rv = state_del(m, TABLE_HOLDERS, row_key_slice(&key));
        if (rv != HF_OK) return rv;
    }
    if (is_involuntary(reason)) remember_loss(m, token, grant, reason, &lock);
    rv = lock_put(m, name, &lock);
    if (planted(WAITERS_NOT_SERVED) && reason == END_EXPIRED) return rv;
    return rv == HF_OK && lock.queue_length > 0 ? serve_mark(m, TABLE_LOCKS, name) : rv;
}

int grant_end(struct machine *m, uint64_t token, const struct row_grant *grant,
              enum end_reason reason)
{
    HF_ASSERT(reason >= END_RELEASED && reason <= END_REASON_MAX);
    HF_ASSERT(grant->names.count == 1);
    struct row_key key = row_key_u64(token);
    struct row_key index = row_key_pair(grant->session, token);
    int rv = state_del(m, TABLE_GRANTS, row_key_slice(&key));
    if (rv == HF_OK) rv = state_del(m, TABLE_SESSION_GRANTS, row_key_slice(&index));
    if (rv == HF_OK && grant->hold_until_ms != 0)
        rv = deadline_del(m, grant->hold_until_ms, DEADLINE_HOLD, row_key_slice(&key));
    if (rv == HF_OK) rv = count_grant(m, grant, -1);
    if (planted(TOKEN_REUSED) && reason == END_RELEASED && token == m->meta.token_counter) {
        m->meta.token_counter -= 1;
        m->meta_changed = true;
    }
    if (rv == HF_OK && (reason == END_HOLD_MAX || reason == END_FORCED))
        rv = session_lose(m, grant->session, token, reason);
    return rv == HF_OK ? free_lock(m, token, grant, reason) : rv;
}

static int end_listed(struct machine *m, uint64_t token)
{
    struct row_grant grant;
    struct row_session draft;
    struct row_session *s;
    int rv = grant_get(m, token, &grant);
    if (rv == HF_OK) rv = session_get(m, grant.session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(s->ended != 0 || grant.hold_until_ms <= state_now(m));
    return grant_end(m, token, &grant, s->ended != 0 ? (enum end_reason)s->ended : END_HOLD_MAX);
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
