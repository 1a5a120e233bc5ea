/* ACQUIRE. Happy path of an uncontended lock: no row is found, one is written, and the grant's.
 * Contended: a waiter is parked in the queue of each name, and whoever frees the last of them hands
 * them over inside the same op (machine/lock_queue.c).
 *
 * All names or none: an ACQUIRE of several is granted when each of them can be and none is waited
 * for. Failure modes: none but faults; what a client may do wrong is an answer without effect. */
#include "base/planted.h"
#include "machine/deadlock.h"
#include "machine/events.h"
#include "machine/freeze.h"
#include "machine/grants.h"
#include "machine/locks.h"
#include "machine/principals.h"
#include "machine/sessions.h"

enum { ALREADY_NAME_BYTES = 2 }; /* of a name's head in an answer */

/* An ACQUIRE that is being applied. */
struct wish {
    const struct op_context *ctx;      /* borrowed */
    const struct msg_acquire *acquire; /* borrowed */
    struct row_lock *locks;            /* of its names, as they are now */
};

/* What stands between an ACQUIRE and one of its locks. */
enum obstacle {
    OBSTACLE_NONE,
    OBSTACLE_DELAY, /* nobody holds it, and a lock-delay keeps this one out */
    OBSTACLE_BUSY,  /* holders, or waiters who were first */
};

/* ------------------------------------------------------------------ answers */

int lock_tell_granted(struct reply_out *out, uint64_t token, uint64_t waited, uint64_t count)
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
        .limit = lock_limit_shown(lock),
        .units_taken = lock->units_taken,
        .units_delayed = lock->units_delayed,
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

static int tell_deadlock(const struct deadlock *deadlock, struct reply_out *out)
{
    struct msg_deadlock told = {
        .owners = {deadlock->owners, deadlock->count},
        .length = deadlock->length,
    };
    return reply_set(out, OP_CODE_ACQUIRE, HF_EDEADLOCK, &told);
}

static int look_at_way(struct machine *m, const struct wish *w, uint32_t i, enum obstacle *obstacle)
{
    const struct row_lock *lock = &w->locks[i];
    bool is_free = lock_is_grantable(m, lock, w->acquire);
    bool passes = planted(WAITER_OVERTAKEN);
    *obstacle = OBSTACLE_NONE;
    if (planted(MULTI_OVERTAKEN) && lock->queue_length > 0) {
        struct parked first;
        int rv =
            parked_from(m, TABLE_LOCK_QUEUE, w->acquire->names.items[i], lock->queue_first, &first);
        if (rv != HF_OK) return rv;
        passes = first.row.names.count > 1;
    }
    if (!is_free) {
        *obstacle = lock->holder_count > 0 ? OBSTACLE_BUSY : OBSTACLE_DELAY;
    } else if (lock->queue_length > 0 && !passes) {
        *obstacle = OBSTACLE_BUSY;
    }
    return HF_OK;
}

/* Why it cannot be granted at once: the first name that is held or waited for, or the delay that
 * is the last to end. */
static int tell_refused(struct machine *m, const struct wish *w, struct reply_out *out)
{
    const struct codec_strs *names = &w->acquire->names;
    uint64_t until_ms = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        enum obstacle obstacle;
        int rv = look_at_way(m, w, i, &obstacle);
        if (rv != HF_OK) return rv;
        if (obstacle == OBSTACLE_BUSY) return tell_busy(m, names->items[i], &w->locks[i], out);
        if (obstacle == OBSTACLE_NONE) continue;
        uint64_t end_ms;
        rv = lock_delay_until(m, names->items[i], &w->locks[i], w->acquire, &end_ms);
        if (rv != HF_OK) return rv;
        if (end_ms > until_ms) until_ms = end_ms;
    }
    struct msg_delayed delayed = {.left_ms = state_left(m, until_ms)};
    return reply_set(out, OP_CODE_ACQUIRE, HF_EDELAYED, &delayed);
}

/* ------------------------------------------------------------------ the owner has it */

static bool is_same_wish(const struct row_grant *grant, const struct msg_acquire *acquire)
{
    if (grant->mode != acquire->mode || grant->permits != acquire->permits) return false;
    if (grant->limit != acquire->limit || grant->names.count != acquire->names.count) return false;
    for (uint32_t i = 0; i < grant->names.count; i++) {
        if (!slice_equal(grant->names.items[i], acquire->names.items[i])) return false;
    }
    return true;
}

/* Those of its names that the owner holds, as many as fit a stored reply. */
struct held {
    struct slice names[NAMES_MAX]; /* in order */
    uint32_t count;                /* of them */
    size_t bytes;                  /* encoded, about */
    uint64_t token;                /* of the first of them; 0 = it holds none */
};

static int find_held(struct machine *m, const struct wish *w, struct held *held)
{
    held->count = 0;
    held->bytes = 0;
    held->token = 0;
    for (uint32_t i = 0; i < w->acquire->names.count; i++) {
        struct slice name = w->acquire->names.items[i];
        uint64_t token;
        int rv = holder_find(m, name, &w->locks[i], m->session_id, w->acquire->owner, &token);
        if (rv == HF_ENOTFOUND) continue;
        if (rv != HF_OK) return rv;
        if (held->token == 0) held->token = token;
        held->bytes += ALREADY_NAME_BYTES + name.size;
        if (held->bytes > ALREADY_NAMES_BYTES_MAX) break;
        held->names[held->count++] = name;
    }
    return HF_OK;
}

/* The same owner asks again for what it holds, or for some of it. */
static int acquire_again(struct machine *m, const struct msg_acquire *acquire,
                         const struct held *held, struct reply_out *out)
{
    HF_ASSERT(held->count >= 1);
    struct row_grant grant;
    int rv = grant_get(m, held->token, &grant);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (!planted(OWNERS_AS_ONE)) HF_ASSERT(grant.owner == acquire->owner);
    HF_ASSERT(grant_has_name(&grant, held->names[0]));

    bool other = planted(OWNERS_AS_ONE) && grant.owner != acquire->owner;
    if ((acquire->reentrant == 1 || other) && is_same_wish(&grant, acquire)) {
        if (grant.count >= REENTRANCE_MAX)
            return quota_tell(out, OP_CODE_ACQUIRE, QUOTA_REENTRANCE, grant.count, REENTRANCE_MAX);
        grant.count += 1;
        rv = grant_put(m, held->token, &grant);
        return rv == HF_OK ? lock_tell_granted(out, held->token, 0, grant.count) : rv;
    }
    struct msg_already already = {
        .fencing_token = held->token,
        .mode = grant.mode,
        .permits = grant.permits,
        .names = {held->names, held->count},
    };
    out->token = held->token;
    return reply_set(out, OP_CODE_ACQUIRE, HF_EALREADY, &already);
}

/* ------------------------------------------------------------------ granted or parked */

static int put_locks(struct machine *m, const struct wish *w)
{
    int rv = HF_OK;
    for (uint32_t i = 0; rv == HF_OK && i < w->acquire->names.count; i++)
        rv = lock_put(m, w->acquire->names.items[i], &w->locks[i]);
    return rv;
}

static int grant_now(struct machine *m, const struct wish *w, struct reply_out *out)
{
    struct grant_request request = {
        .acquire = w->acquire,
        .session = w->ctx->envelope->session,
        .seq = w->ctx->envelope->seq,
        .peer = w->ctx->envelope->peer,
        .traceparent = w->ctx->envelope->traceparent,
    };
    uint64_t token;
    int rv = grant_make(m, &request, w->locks, &token);
    if (rv == HF_OK) rv = put_locks(m, w);
    return rv == HF_OK ? lock_tell_granted(out, token, 0, 1) : rv;
}

static int wait_in_queues(struct machine *m, const struct wish *w, struct reply_out *out)
{
    const struct msg_acquire *acquire = w->acquire;
    HF_ASSERT(acquire->wait_ms > 0);
    uint64_t waiters_max = setting_get(m, SETTING_LOCK_WAITERS_MAX);
    for (uint32_t i = 0; i < acquire->names.count; i++) {
        uint64_t waiters = w->locks[i].queue_length;
        if (waiters >= waiters_max)
            return quota_tell(out, OP_CODE_ACQUIRE, QUOTA_LOCK_WAITERS, waiters, waiters_max);
    }
    struct deadlock deadlock;
    int rv = deadlock_find(m, acquire, w->locks, &deadlock);
    if (rv == HF_OK) return tell_deadlock(&deadlock, out);
    if (rv != HF_ENOTFOUND) return rv;
    uint64_t ticket;
    rv = parked_put(m, w->ctx, TABLE_LOCK_QUEUE, acquire->names, acquire->owner, acquire->wait_ms,
                    &ticket, out);
    if (rv != HF_OK) return rv;
    uint64_t limit = lock_limit_of(acquire->mode, acquire->limit);
    for (uint32_t i = 0; i < acquire->names.count; i++) {
        struct row_lock *lock = &w->locks[i];
        if (lock->queue_length == 0) lock->queue_first = ticket;
        if (limit != 0) lock->limit = limit;
        lock->queue_length += 1;
    }
    const struct event event = {
        .kind = EVENT_QUEUED, .session = w->ctx->envelope->session, .what = acquire->mode};
    rv = put_locks(m, w);
    if (rv != HF_OK || !events_on(m)) return rv;
    return event_tell_names(m, event, &acquire->names);
}

/* Whether nothing stands in its way, in none of its names. */
static int is_grantable(struct machine *m, const struct wish *w, bool *grantable)
{
    *grantable = true;
    for (uint32_t i = 0; *grantable && i < w->acquire->names.count; i++) {
        enum obstacle obstacle;
        int rv = look_at_way(m, w, i, &obstacle);
        if (rv != HF_OK) return rv;
        *grantable = obstacle == OBSTACLE_NONE;
    }
    return HF_OK;
}

/* The planted bug: of several names only the first. */
static int keep_first_name(struct machine *m, struct wish *w, struct msg_acquire *part,
                           bool *grantable)
{
    const struct msg_acquire *whole = w->acquire;
    *part = *whole;
    part->names.count = 1;
    w->acquire = part;
    int rv = is_grantable(m, w, grantable);
    if (!*grantable) w->acquire = whole;
    return rv;
}

/* An owner waits for one ACQUIRE at a time. */
int lock_owner_waits(struct machine *m, uint64_t owner, bool *waits)
{
    *waits = false;
    if (m->session.waiter_count == 0) return HF_OK;
    struct row_key key = row_key_pair(m->session_id, owner);
    uint64_t seq;
    int rv = state_get_u64(m, TABLE_OWNERS, row_key_slice(&key), &seq);
    *waits = rv == HF_OK;
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* What refuses it before anybody asks whether the locks are free; HF_OK = nothing does.
 * \param status Out */
static int look_at_wish(struct machine *m, const struct wish *w, struct held *held, int *status)
{
    const struct msg_acquire *acquire = w->acquire;
    bool waits;
    bool frozen = false;
    *status = HF_OK;
    held->token = 0;
    int rv = lock_owner_waits(m, acquire->owner, &waits);
    for (uint32_t i = 0; rv == HF_OK && i < acquire->names.count; i++)
        rv = lock_get(m, acquire->names.items[i], &w->locks[i]);
    if (rv == HF_OK) rv = find_held(m, w, held);
    if (rv == HF_OK) rv = freeze_covers_any(m, &acquire->names, &frozen);
    if (rv != HF_OK) return rv;
    bool fits = true;
    for (uint32_t i = 0; i < acquire->names.count; i++) fits &= lock_fits(&w->locks[i], acquire);
    if (waits) {
        *status = HF_EOWNERWAITING;
    } else if (held->token != 0) {
        *status = HF_EALREADY;
    } else if (frozen) {
        *status = HF_EFROZEN;
    } else if (!fits) {
        *status = HF_ELIMIT;
    }
    return HF_OK;
}

/* Whether session and principal may have so many names more. HF_EQUOTA: it was told. */
static int look_at_quotas(struct machine *m, uint64_t names, struct reply_out *out)
{
    uint64_t load = session_load(&m->session);
    struct msg_quota refused = {QUOTA_SESSION_NAMES, load, SESSION_NAMES_MAX};
    int rv = HF_EQUOTA;
    if (load + names <= SESSION_NAMES_MAX)
        rv = principal_may(m, m->session.principal, QUOTA_NAMES, names, &refused);
    if (rv != HF_EQUOTA) return rv;
    rv = reply_set(out, OP_CODE_ACQUIRE, HF_EQUOTA, &refused);
    return rv == HF_OK ? HF_EQUOTA : rv;
}

int lock_acquire(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_acquire *acquire = request;
    HF_ASSERT(acquire->names.count >= 1);
    HF_ASSERT(acquire->names.count <= NAMES_MAX);
    HF_ASSERT(m->session_id == ctx->envelope->session);
    struct row_lock locks[NAMES_MAX];
    struct wish wish = {.ctx = ctx, .acquire = acquire, .locks = locks};
    struct held held;
    int status;
    int rv = look_at_wish(m, &wish, &held, &status);
    if (rv != HF_OK) return rv;
    if (status == HF_EALREADY) return acquire_again(m, acquire, &held, out);
    if (status != HF_OK) return reply_set(out, OP_CODE_ACQUIRE, status, NULL);
    rv = look_at_quotas(m, acquire->names.count, out);
    if (rv != HF_OK) return rv == HF_EQUOTA ? HF_OK : rv;

    bool grantable;
    struct msg_acquire part;
    rv = is_grantable(m, &wish, &grantable);
    if (rv == HF_OK && planted(PARTIAL_MULTI) && !grantable)
        rv = keep_first_name(m, &wish, &part, &grantable);
    if (rv != HF_OK) return rv;
    if (grantable) return grant_now(m, &wish, out);
    if (acquire->wait_ms == 0) return tell_refused(m, &wish, out);
    return wait_in_queues(m, &wish, out);
}

int lock_grant_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
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
