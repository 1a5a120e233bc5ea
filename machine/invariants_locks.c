/* Invariants of locks, grants and waiters: no two exclusive grants, the sum of units within the
 * limit, lost permits as their rows say, each waiter in each of its queues and in its session's
 * list and each place in a queue a waiter's, one limit for all who use a lock, a history where
 * there was more than one grant, and nothing grantable waits unless a serving is due. */
#include <inttypes.h>

#include "machine/audit.h"
#include "machine/grants.h"
#include "machine/locks.h"
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
        if (grant.mode == MODE_PERMITS && grant.limit != lock->limit) {
            rv = audit_fail(a, "grant %" PRIu64 " is of another limit", h.token);
            break;
        }
        sums->units += grant_units(&grant);
    }
    holders_close(&h);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* A deadline row that is due will have this queue served. */
static int find_serving(struct audit *a, struct slice name, const struct row_lock *lock, bool *due)
{
    uint8_t id[1 + NAME_BYTES_MAX];
    id[0] = TABLE_LOCKS;
    memcpy(id + 1, name.data, name.size);
    *due = lock->deadline_ms != 0 && lock->deadline_ms <= state_now(a->m);
    struct row_key from = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, a->m, TABLE_DEADLINES, &from, NULL);
    for (; rv == HF_OK && !*due; rv = walk_next(&walk)) {
        enum deadline_kind kind;
        struct slice found;
        if (row_key_deadline_parts(walk.key, &kind, &found) > state_now(a->m)) break;
        *due = kind == DEADLINE_THAW ||
               (kind == DEADLINE_SERVE && slice_equal(found, slice_make(id, 1 + name.size)));
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* The head of a queue cannot be granted, for this name or another, or is about to be. */
static int check_head(struct audit *a, struct slice name, const struct row_lock *lock)
{
    struct parked p;
    struct msg_acquire acquire = {0};
    int rv = parked_from(a->m, TABLE_LOCK_QUEUE, name, lock->queue_first, &p);
    if (rv == HF_ENOTFOUND)
        return audit_fail(a, "lock %.*s: its head is before queue_first", AUDIT_TEXT(name));
    if (rv == HF_OK) rv = parked_request(a->m, &p, &acquire);
    bool ready = true;
    bool due = false;
    for (uint32_t i = 0; rv == HF_OK && ready && i < acquire.names.count; i++) {
        struct row_lock other;
        bool served;
        rv = lock_waiter_is_first(a->m, &p, &acquire, i, &other, &ready);
        if (rv == HF_OK) rv = find_serving(a, acquire.names.items[i], &other, &served);
        if (rv == HF_OK) due |= served;
    }
    if (rv != HF_OK || !ready || due) return rv;
    return audit_fail(a, "lock %.*s: what waits first could be granted", AUDIT_TEXT(name));
}

/* Lost permits that stay taken: their rows are what the lock's row says of them. */
static int check_delays(struct audit *a, struct slice name, const struct row_lock *lock)
{
    struct row_key prefix = row_key_name_prefix(name);
    uint64_t units = 0;
    uint64_t first_ms = 0;
    struct walk walk;
    int rv = walk_first(&walk, a->m, TABLE_LOCK_DELAYS, &prefix, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        if (first_ms == 0) first_ms = row_key_last(walk.key);
        units += get_u64(walk.value.data);
    }
    if (rv != HF_ENOTFOUND) return rv;
    if (units != lock->units_delayed || first_ms != lock->units_delay_ms)
        return audit_fail(a, "lock %.*s: %" PRIu64 " permits are delayed, its row says %" PRIu64,
                          AUDIT_TEXT(name), units, lock->units_delayed);
    return HF_OK;
}

/* Without a history it has had one grant at most. */
static int check_history(struct audit *a, struct slice name, const struct row_lock *lock)
{
    struct row_key key = row_key_name(name);
    if (lock->has_history == 1)
        return audit_has(a, TABLE_LOCK_HISTORY, row_key_slice(&key), "the history of a lock");
    if (lock->holder_count <= 1) return HF_OK;
    return audit_fail(a, "lock %.*s has several holders and no history", AUDIT_TEXT(name));
}

/* No more is taken than there is, and the limit is that of all who use the lock. */
static int check_units(struct audit *a, struct slice name, const struct row_lock *lock)
{
    bool permits = lock->limit != 0 && lock->limit != LIMIT_ENDLESS;
    if (permits && lock->mode == MODE_PERMITS &&
        lock->units_taken + lock->units_delayed > lock->limit)
        return audit_fail(a, "lock %.*s: %" PRIu64 " of %" PRIu64 " units are taken",
                          AUDIT_TEXT(name), lock->units_taken + lock->units_delayed, lock->limit);
    if (lock->holder_count > 0 && lock->mode == MODE_EXCLUSIVE && lock->units_delayed > 0)
        return audit_fail(a, "lock %.*s is exclusive beside lost permits", AUDIT_TEXT(name));
    if (lock->units_delayed > 0 && !permits)
        return audit_fail(a, "lock %.*s has lost permits and no limit", AUDIT_TEXT(name));
    if (lock->holder_count > 0 && lock->mode == MODE_SHARED && lock->limit != LIMIT_ENDLESS)
        return audit_fail(a, "lock %.*s is shared and has a limit", AUDIT_TEXT(name));
    if (lock->holder_count > 0 && lock->mode == MODE_PERMITS && !permits)
        return audit_fail(a, "lock %.*s has permits out and no limit", AUDIT_TEXT(name));
    return check_delays(a, name, lock);
}

static int check_lock_deadline(struct audit *a, struct slice name, const struct row_lock *lock)
{
    uint64_t now_ms = state_now(a->m);
    bool is_free = lock->holder_count == 0 && lock->queue_length == 0 && lock->units_forced == 0;
    uint64_t first_ms = UINT64_MAX;
    if (lock->delay_ms > now_ms) first_ms = lock->delay_ms;
    if (lock->shared_delay_ms > now_ms && lock->shared_delay_ms < first_ms)
        first_ms = lock->shared_delay_ms;
    if (lock->units_delay_ms != 0 && lock->units_delay_ms < first_ms)
        first_ms = lock->units_delay_ms;
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
    if (rv == HF_OK) rv = check_units(a, key, &lock);
    if (rv == HF_OK) rv = check_history(a, key, &lock);
    return rv == HF_OK && queued > 0 ? check_head(a, key, &lock) : rv;
}

/* ------------------------------------------------------------------ grants */

static int look_at_grant(struct audit *a, struct slice key, struct slice value)
{
    uint64_t token = row_key_last(key);
    struct row_grant grant;
    struct row_session draft;
    struct row_session *s;
    uint64_t found = 0;
    int rv = state_decode(a->m, &row_grant_type, value, &grant);
    if (rv != HF_OK) return rv;
    if (state_token_is_future(a->m, token))
        return audit_fail(a, "grant %" PRIu64 " was never issued", token);
    rv = session_get(a->m, grant.session, &draft, &s);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && s->ended != 0))
        return audit_fail(a, "grant %" PRIu64 " outlives its session", token);
    for (uint32_t i = 0; rv == HF_OK && i < grant.names.count; i++) {
        struct row_lock lock;
        struct slice name = grant.names.items[i];
        rv = lock_get(a->m, name, &lock);
        if (rv == HF_OK) rv = holder_find(a->m, name, &lock, grant.session, grant.owner, &found);
        if (rv == HF_ENOTFOUND || (rv == HF_OK && found != token))
            return audit_fail(a, "grant %" PRIu64 " does not hold %.*s", token, AUDIT_TEXT(name));
    }
    struct row_key index = row_key_grant(grant.session, grant.owner, token);
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

static int look_at_delay(struct audit *a, struct slice key, struct slice value)
{
    if (value.size != 8) return audit_fail(a, "a row of lost permits has no number");
    return audit_has(a, TABLE_LOCKS, slice_make(key.data, key.size - 9), "the lock of a delay");
}

static int look_at_history(struct audit *a, struct slice key, struct slice value)
{
    struct row_lock lock;
    struct row_lock_history row;
    int rv = state_decode(a->m, &row_lock_history_type, value, &row);
    if (rv == HF_OK) rv = lock_get(a->m, key, &lock);
    if (rv != HF_OK) return rv;
    if (lock.has_history == 0)
        return audit_fail(a, "lock %.*s does not know its history", AUDIT_TEXT(key));
    const struct transition_item *items = row.items.items;
    for (uint32_t i = 1; i < row.items.count; i++) {
        if (items[i].at_ms < items[i - 1].at_ms)
            return audit_fail(a, "lock %.*s: its history goes back", AUDIT_TEXT(key));
    }
    return HF_OK;
}

static int look_at_index(struct audit *a, struct slice key, struct slice value)
{
    (void)value;
    return audit_has(a, TABLE_GRANTS, slice_make(key.data + 16, 8), "the grant of a session");
}

int audit_locks(struct audit *a)
{
    int rv = audit_rows(a, TABLE_LOCKS, NULL, look_at_lock);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_GRANTS, NULL, look_at_grant);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_HOLDERS, NULL, look_at_holder);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_LOCK_DELAYS, NULL, look_at_delay);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_LOCK_HISTORY, NULL, look_at_history);
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

/* Who waits fits the limit of its locks. */
static int look_at_waiter(struct audit *a, struct slice key, struct slice value)
{
    (void)value;
    struct parked p;
    struct msg_acquire acquire;
    int rv = parked_get(a->m, get_u64(key.data), row_key_last(key), &p);
    if (rv != HF_OK || p.row.op != OP_CODE_ACQUIRE) return rv;
    rv = parked_request(a->m, &p, &acquire);
    for (uint32_t i = 0; rv == HF_OK && i < acquire.names.count; i++) {
        struct row_lock lock;
        uint64_t limit = lock_limit_of(acquire.mode, acquire.limit);
        rv = lock_get(a->m, acquire.names.items[i], &lock);
        if (rv == HF_OK && limit != 0 && lock.limit != limit)
            rv = audit_fail(a, "ticket %" PRIu64 " waits for another limit", p.row.ticket);
    }
    return rv;
}

/* A place in a queue is that of a parked request with this ticket, of this name. */
static int look_at_place(struct audit *a, struct slice key, struct slice value)
{
    struct row_parked p;
    int rv = state_get(a->m, TABLE_PARKED, value, &row_parked_type, &p);
    bool stands = false;
    struct slice name = slice_make(key.data, key.size - 9);
    for (uint32_t i = 0; rv == HF_OK && i < p.names.count; i++)
        stands |= slice_equal(p.names.items[i], name) && p.ticket == row_key_last(key);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && !stands))
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
    if (rv == HF_OK) rv = audit_rows(a, TABLE_PARKED, NULL, look_at_waiter);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_LOCK_QUEUE, NULL, look_at_place);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_RECORD_QUEUE, NULL, look_at_place);
    return rv == HF_OK ? audit_rows(a, TABLE_OWNERS, NULL, look_at_owner) : rv;
}
