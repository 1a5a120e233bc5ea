/* Invariants of locks, grants and waiters: no two exclusive grants, the sum of units, each waiter
 * in its queue and in its session's list and each place in a queue a waiter's, and nothing
 * grantable waits. */
#include <inttypes.h>

#include "machine/audit.h"
#include "machine/grants.h"
#include "machine/parked.h"
#include "machine/sessions.h"

/* ------------------------------------------------------------------ locks */

struct holder_sums {
    uint64_t count; /* grants */
    uint64_t units; /* that they take */
};

static int sum_holders(struct audit *a, struct slice name, const struct row_lock *lock,
                       struct holder_sums *sums)
{
    struct holders h;
    *sums = (struct holder_sums){0};
    int rv = holders_first(&h, a->m, name, lock);
    for (; rv == HF_OK; rv = holders_next(&h)) {
        struct row_grant grant;
        rv = grant_get(a->m, h.token, &grant);
        if (rv == HF_ENOTFOUND)
            rv = audit_fail(a, "lock %.*s: no grant %" PRIu64, AUDIT_TEXT(name), h.token);
        if (rv != HF_OK) break;
        if (grant.mode != lock->mode || !grant_has_name(&grant, name)) {
            rv = audit_fail(a, "grant %" PRIu64 " is not of %.*s", h.token, AUDIT_TEXT(name));
            break;
        }
        sums->count += 1;
        sums->units += grant.mode == MODE_PERMITS ? grant.permits : 1;
    }
    holders_close(&h);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* The head of a queue cannot be granted, or a deadline row that is due will see to it. */
static int check_head(struct audit *a, struct slice name, const struct row_lock *lock)
{
    struct parked p;
    struct msg_acquire acquire = {0};
    int rv = parked_from(a->m, TABLE_LOCK_QUEUE, name, lock->queue_first, &p);
    if (rv == HF_ENOTFOUND)
        return audit_fail(a, "lock %.*s: its head is before queue_first", AUDIT_TEXT(name));
    if (rv == HF_OK) rv = parked_request(a->m, &p, &acquire);
    if (rv != HF_OK || !lock_is_grantable(a->m, lock, acquire.mode)) return rv;

    uint8_t id[1 + NAME_BYTES_MAX];
    id[0] = TABLE_LOCKS;
    memcpy(id + 1, name.data, name.size);
    if (lock->deadline_ms != 0 && lock->deadline_ms <= state_now(a->m)) return HF_OK;
    struct row_key from = {.size = 0};
    struct walk walk;
    for (rv = walk_first(&walk, a->m, TABLE_DEADLINES, &from, NULL); rv == HF_OK;
         rv = walk_next(&walk)) {
        enum deadline_kind kind;
        struct slice found;
        if (row_key_deadline_parts(walk.key, &kind, &found) > state_now(a->m)) break;
        if (kind != DEADLINE_SERVE || !slice_equal(found, slice_make(id, 1 + name.size))) continue;
        walk_close(&walk);
        return HF_OK;
    }
    walk_close(&walk);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    return audit_fail(a, "lock %.*s: what waits first could be granted", AUDIT_TEXT(name));
}

static int check_lock_deadline(struct audit *a, struct slice name, const struct row_lock *lock)
{
    uint64_t now_ms = state_now(a->m);
    bool is_free = lock->holder_count == 0 && lock->queue_length == 0;
    uint64_t first_ms = UINT64_MAX;
    if (lock->delay_ms > now_ms) first_ms = lock->delay_ms;
    if (lock->shared_delay_ms > now_ms && lock->shared_delay_ms < first_ms)
        first_ms = lock->shared_delay_ms;
    if (is_free && lock->kept_ms > now_ms && lock->kept_ms < first_ms) first_ms = lock->kept_ms;
    if (lock->deadline_ms == 0) {
        if (first_ms == UINT64_MAX && !is_free) return HF_OK;
        return audit_fail(a, "lock %.*s has no deadline row", AUDIT_TEXT(name));
    }
    if (lock->deadline_ms > first_ms)
        return audit_fail(a, "lock %.*s: its deadline row is late", AUDIT_TEXT(name));
    return audit_has_deadline(a, lock->deadline_ms, DEADLINE_LOCK, name);
}

static int look_at_lock(struct audit *a, struct slice key, struct slice value)
{
    struct row_lock lock;
    struct holder_sums sums;
    struct row_key prefix = row_key_name_prefix(key);
    uint64_t queued = 0;
    int rv = state_decode(a->m, &row_lock_type, value, &lock);
    if (rv == HF_OK) rv = sum_holders(a, key, &lock, &sums);
    if (rv == HF_OK) rv = audit_count(a, TABLE_LOCK_QUEUE, &prefix, &queued);
    if (rv != HF_OK) return rv;
    if (lock.mode == MODE_EXCLUSIVE && lock.holder_count > 1)
        return audit_fail(a, "lock %.*s has two exclusive holders", AUDIT_TEXT(key));
    if (sums.count != lock.holder_count || sums.units != lock.units_taken)
        return audit_fail(a, "lock %.*s: %" PRIu64 " holders of %" PRIu64 " units", AUDIT_TEXT(key),
                          sums.count, sums.units);
    if (queued != lock.queue_length)
        return audit_fail(a, "lock %.*s: %" PRIu64 " wait, its row says %" PRIu64, AUDIT_TEXT(key),
                          queued, lock.queue_length);
    rv = check_lock_deadline(a, key, &lock);
    return rv == HF_OK && queued > 0 ? check_head(a, key, &lock) : rv;
}

/* ------------------------------------------------------------------ grants */

static int look_at_grant(struct audit *a, struct slice key, struct slice value)
{
    uint64_t token = row_key_last(key);
    struct row_grant grant;
    struct row_session draft;
    struct row_session *s;
    struct row_lock lock;
    uint64_t found = 0;
    int rv = state_decode(a->m, &row_grant_type, value, &grant);
    if (rv != HF_OK) return rv;
    if (state_token_is_future(a->m, token))
        return audit_fail(a, "grant %" PRIu64 " was never issued", token);
    rv = session_get(a->m, grant.session, &draft, &s);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && s->ended != 0))
        return audit_fail(a, "grant %" PRIu64 " outlives its session", token);
    if (rv == HF_OK) rv = lock_get(a->m, grant.names.items[0], &lock);
    if (rv == HF_OK)
        rv = holder_find(a->m, grant.names.items[0], &lock, grant.session, grant.owner, &found);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && found != token))
        return audit_fail(a, "grant %" PRIu64 " does not hold its lock", token);
    struct row_key index = row_key_pair(grant.session, token);
    if (rv == HF_OK) rv = state_get_u64(a->m, TABLE_SESSION_GRANTS, row_key_slice(&index), &found);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && found != grant.hold_until_ms))
        return audit_fail(a, "grant %" PRIu64 " is not its session's", token);
    if (rv != HF_OK || grant.hold_until_ms == 0) return rv;
    return audit_has_deadline(a, grant.hold_until_ms, DEADLINE_HOLD, key);
}

static int look_at_holder(struct audit *a, struct slice key, struct slice value)
{
    (void)key;
    return audit_has(a, TABLE_GRANTS, value, "the grant of a holder");
}

static int look_at_index(struct audit *a, struct slice key, struct slice value)
{
    (void)value;
    return audit_has(a, TABLE_GRANTS, slice_make(key.data + 8, 8), "the grant of a session");
}

int audit_locks(struct audit *a)
{
    int rv = audit_rows(a, TABLE_LOCKS, NULL, look_at_lock);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_GRANTS, NULL, look_at_grant);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_HOLDERS, NULL, look_at_holder);
    return rv == HF_OK ? audit_rows(a, TABLE_SESSION_GRANTS, NULL, look_at_index) : rv;
}

/* ------------------------------------------------------------------ waiters */

static int look_at_parked(struct audit *a, struct slice key, struct slice value)
{
    struct row_parked p;
    int rv = state_decode(a->m, &row_parked_type, value, &p);
    if (rv != HF_OK) return rv;
    if (p.ticket > a->m->meta.ticket_counter)
        return audit_fail(a, "ticket %" PRIu64 " was never issued", p.ticket);
    for (uint32_t i = 0; rv == HF_OK && i < p.names.count; i++) {
        struct row_key place = row_key_queue(p.names.items[i], p.ticket);
        rv = audit_has(a, (enum machine_table)p.queue, row_key_slice(&place), "a waiter's place");
    }
    struct slice reply;
    if (rv == HF_OK && store_get(a->m->store, TABLE_REPLIES, key, &reply) == HF_OK)
        return audit_fail(a, "a request waits and is answered");
    if (rv == HF_OK && p.owner != 0) {
        struct row_key owner = row_key_pair(get_u64(key.data), p.owner);
        rv = audit_has(a, TABLE_OWNERS, row_key_slice(&owner), "a waiter's owner");
    }
    return rv == HF_OK ? audit_has_deadline(a, p.until_ms, DEADLINE_WAIT, key) : rv;
}

/* A place in a queue is that of a parked request with this ticket. */
static int look_at_place(struct audit *a, struct slice key, struct slice value)
{
    struct row_parked p;
    int rv = state_get(a->m, TABLE_PARKED, value, &row_parked_type, &p);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && p.ticket != row_key_last(key)))
        return audit_fail(a, "ticket %" PRIu64 " stands in a queue for nobody", row_key_last(key));
    return rv;
}

static int look_at_owner(struct audit *a, struct slice key, struct slice value)
{
    struct row_key parked = row_key_pair(get_u64(key.data), get_u64(value.data));
    struct row_parked p;
    int rv = state_get(a->m, TABLE_PARKED, row_key_slice(&parked), &row_parked_type, &p);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && p.owner != row_key_last(key)))
        return audit_fail(a, "owner %" PRIu64 " waits for nothing", row_key_last(key));
    return rv;
}

int audit_waiting(struct audit *a)
{
    int rv = audit_rows(a, TABLE_PARKED, NULL, look_at_parked);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_LOCK_QUEUE, NULL, look_at_place);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_RECORD_QUEUE, NULL, look_at_place);
    return rv == HF_OK ? audit_rows(a, TABLE_OWNERS, NULL, look_at_owner) : rv;
}
