/* Locks' rows. Happy path: read, changed by who grants or frees, written; a row that nobody needs
 * to remember goes. Lost permits stay taken by rows of their own, one for each end, until the sweep
 * that finds the first of them due. Failure modes: faults only. */
#include "machine/lock.h"

#include "base/planted.h"
#include "machine/deadlines.h"
#include "machine/serve.h"

enum { DELAYS_A_TURN_MAX = 1000 }; /* rows of lost permits that one turn walks over */

/* Nothing is held, delayed or waited for: no limit is in use. */
static bool is_idle(const struct machine *m, const struct row_lock *lock)
{
    return lock->holder_count == 0 && lock->queue_length == 0 && lock->units_delayed == 0 &&
           lock->units_forced == 0 && lock->delay_ms <= state_now(m) &&
           lock->shared_delay_ms <= state_now(m);
}

int lock_get(struct machine *m, struct slice name, struct row_lock *lock)
{
    struct row_key key = row_key_name(name);
    int rv = state_get(m, TABLE_LOCKS, row_key_slice(&key), &row_lock_type, lock);
    if (rv == HF_OK && lock->limit != 0 && is_idle(m, lock)) lock->limit = 0;
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

/* When a sweep has to look at the lock again; 0 = never. */
static uint64_t next_look(const struct machine *m, struct row_lock *lock, bool is_free)
{
    uint64_t next_ms = 0;
    uint64_t unused_ms = 0;
    look_at(m, &lock->delay_ms, &next_ms);
    look_at(m, &lock->shared_delay_ms, &next_ms);
    look_at(m, &lock->kept_ms, is_free ? &next_ms : &unused_ms);
    /* Lost permits are taken until they are swept: their row may be due by now. */
    uint64_t units_ms = lock->units_delay_ms;
    if (units_ms != 0 && (next_ms == 0 || units_ms < next_ms)) next_ms = units_ms;
    /* Its delay is over and the sweep has not come to it yet: the row that will have the queue
     * served stays where it is. */
    bool is_due = lock->deadline_ms != 0 && lock->deadline_ms <= state_now(m);
    return is_due && lock->queue_length > 0 ? lock->deadline_ms : next_ms;
}

int lock_put(struct machine *m, struct slice name, struct row_lock *lock)
{
    if (!planted(UPGRADE_BESIDE_HOLDERS)) {
        HF_ASSERT(lock->mode != MODE_EXCLUSIVE || lock->holder_count <= 1);
        HF_ASSERT((lock->fencing_token != 0) ==
                  (lock->holder_count == 1 && lock->mode == MODE_EXCLUSIVE));
    }
    HF_ASSERT((lock->units_delayed == 0) == (lock->units_delay_ms == 0));
    bool is_free = lock->holder_count == 0 && lock->queue_length == 0 && lock->units_forced == 0;
    uint64_t next_ms = next_look(m, lock, is_free);
    if (lock->holder_count == 0) lock->mode = 0;
    if (is_idle(m, lock)) lock->limit = 0;

    struct row_key key = row_key_name(name);
    struct slice id = row_key_slice(&key);
    int rv = deadline_move(m, lock->deadline_ms, next_ms, DEADLINE_LOCK, id);
    if (rv != HF_OK) return rv;
    lock->deadline_ms = next_ms;
    if (!is_free || next_ms != 0) return state_put(m, TABLE_LOCKS, id, &row_lock_type, lock);
    if (lock->has_history == 1) rv = state_del(m, TABLE_LOCK_HISTORY, id);
    if (rv == HF_OK) rv = store_del(m->store, TABLE_LOCKS, id);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

bool lock_goes_with(const struct machine *m, const struct row_lock *lock)
{
    HF_ASSERT(lock->holder_count >= 1);
    return lock->holder_count == 1 && lock->queue_length == 0 && lock->units_delayed == 0 &&
           lock->units_forced == 0 && lock->delay_ms <= state_now(m) &&
           lock->shared_delay_ms <= state_now(m) && lock->kept_ms <= state_now(m);
}

bool lock_is_grantable(const struct machine *m, const struct row_lock *lock,
                       const struct msg_acquire *acquire)
{
    HF_ASSERT(acquire->mode <= MODE_PERMITS);
    if (lock->delay_ms > state_now(m)) return false;
    if (lock->units_forced > 0 && lock->mode_forced == MODE_EXCLUSIVE) return false;
    if (acquire->mode == MODE_EXCLUSIVE)
        return lock->holder_count == 0 && lock->units_delayed == 0 && lock->units_forced == 0 &&
               lock->shared_delay_ms <= state_now(m);
    if (lock->holder_count > 0 && lock->mode != acquire->mode) return false;
    if (acquire->mode == MODE_SHARED) return true;
    uint64_t taken = lock->units_taken + lock->units_delayed + lock->units_forced;
    if (planted(PERMITS_OVER_LIMIT)) return taken < acquire->limit;
    return taken + acquire->permits <= acquire->limit;
}

/* ------------------------------------------------------------------ lock-delay */

/* Find the row of `units` lost permits that is the first to end, from `from_ms` on. */
static int next_delay(struct machine *m, struct slice name, uint64_t from_ms, uint64_t *end_ms,
                      uint64_t *units)
{
    struct row_key prefix = row_key_name_prefix(name);
    struct row_key from = row_key_queue(name, from_ms);
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_LOCK_DELAYS, &prefix, &from);
    if (rv != HF_OK) return rv;
    walk_close(&walk);
    if (walk.value.size != 8) return HF_ECORRUPT;
    *end_ms = row_key_last(walk.key);
    *units = get_u64(walk.value.data);
    return HF_OK;
}

int lock_delay_until(struct machine *m, struct slice name, const struct row_lock *lock,
                     const struct msg_acquire *acquire, uint64_t *until_ms)
{
    *until_ms = lock->delay_ms;
    if (acquire->mode == MODE_EXCLUSIVE && lock->shared_delay_ms > *until_ms)
        *until_ms = lock->shared_delay_ms;
    bool forced = lock->units_forced > 0 && acquire->mode != MODE_SHARED;
    if (lock->units_forced > 0 && lock->mode_forced == MODE_EXCLUSIVE) forced = true;
    if (forced && lock->forced_ms > *until_ms) *until_ms = lock->forced_ms;
    HF_ASSERT(lock_fits(lock, acquire));
    uint64_t left = lock->units_delayed;
    uint64_t room = acquire->mode == MODE_PERMITS ? acquire->limit - acquire->permits : 0;
    uint64_t end_ms = 0;
    int rv = HF_OK;
    for (unsigned i = 0; left > room && i < DELAYS_A_TURN_MAX; i++) {
        size_t mark = state_mark(m);
        uint64_t units;
        rv = next_delay(m, name, end_ms + 1, &end_ms, &units);
        state_reset(m, mark);
        if (rv == HF_OK && units > left) rv = HF_ECORRUPT;
        if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
        left -= units;
        if (end_ms > *until_ms) *until_ms = end_ms;
    }
    return HF_OK;
}

/* Permits that end together are one row: at most one for each millisecond of DELAY_MS_MAX. */
static int delay_units(struct machine *m, struct slice name, struct row_lock *lock,
                       uint64_t units_lost, uint64_t until_ms)
{
    HF_ASSERT(until_ms > state_now(m));
    bool fits = lock->units_delayed + units_lost <= lock->limit;
    if (planted(PERMITS_OVER_LIMIT)) fits = true;
    HF_ASSERT(fits);
    struct row_key key = row_key_queue(name, until_ms);
    uint64_t units = 0;
    int rv = state_get_u64(m, TABLE_LOCK_DELAYS, row_key_slice(&key), &units);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    lock->units_delayed += units_lost;
    if (lock->units_delay_ms == 0 || until_ms < lock->units_delay_ms)
        lock->units_delay_ms = until_ms;
    return state_put_u64(m, TABLE_LOCK_DELAYS, row_key_slice(&key), units + units_lost);
}

int lock_delay(struct machine *m, struct slice name, struct row_lock *lock,
               const struct row_grant *grant)
{
    if (grant->delay_ms == 0 || planted(DELAY_IGNORED)) return HF_OK;
    uint64_t until_ms = state_later(m, grant->delay_ms);
    if (grant->mode == MODE_PERMITS) return delay_units(m, name, lock, grant->permits, until_ms);
    uint64_t *delay_ms = grant->mode == MODE_EXCLUSIVE ? &lock->delay_ms : &lock->shared_delay_ms;
    if (until_ms > *delay_ms) *delay_ms = until_ms;
    return HF_OK;
}

/* Permits whose delay is over are taken no more. What one turn leaves stays due. */
static int end_delays(struct machine *m, struct slice name, struct row_lock *lock)
{
    HF_ASSERT(lock->units_delayed > 0);
    uint64_t end_ms;
    uint64_t units;
    int rv = HF_OK;
    for (unsigned i = 0; rv == HF_OK && i <= DELAYS_A_TURN_MAX; i++) {
        size_t mark = state_mark(m);
        rv = next_delay(m, name, lock->units_delay_ms, &end_ms, &units);
        state_reset(m, mark);
        if (rv != HF_OK) break;
        lock->units_delay_ms = end_ms;
        if (end_ms > state_now(m) || i == DELAYS_A_TURN_MAX) return HF_OK;
        if (units > lock->units_delayed) return HF_ECORRUPT;
        lock->units_delayed -= units;
        struct row_key key = row_key_queue(name, end_ms);
        rv = state_del(m, TABLE_LOCK_DELAYS, row_key_slice(&key));
    }
    if (rv != HF_ENOTFOUND) return rv;
    lock->units_delay_ms = 0;
    return lock->units_delayed == 0 ? HF_OK : HF_ECORRUPT;
}

int lock_due(struct machine *m, struct slice id)
{
    struct row_lock lock;
    int rv = state_get(m, TABLE_LOCKS, id, &row_lock_type, &lock);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    if (lock.deadline_ms > state_now(m)) return HF_OK; /* moved by this very sweep */
    lock.deadline_ms = 0;
    if (lock.units_delay_ms != 0 && lock.units_delay_ms <= state_now(m))
        rv = end_delays(m, id, &lock);
    if (rv == HF_OK) rv = lock_put(m, id, &lock);
    return rv == HF_OK && lock.queue_length > 0 ? serve_mark(m, TABLE_LOCKS, id) : rv;
}
