/* The model: see its header. */
#include "tests/unit/machine/model.h"

#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "protocol/words.h"

static bool has(const struct model_user *user, unsigned lock)
{
    return (user->names >> lock & 1) != 0;
}

static void remove_user(struct model_user *users, unsigned *count, unsigned at)
{
    *count -= 1;
    memmove(&users[at], &users[at + 1], (*count - at) * sizeof *users);
}

/* ------------------------------------------------------------------ one lock */

static unsigned holders_of_lock(const struct model *m, unsigned lock)
{
    unsigned count = 0;
    for (unsigned i = 0; i < m->grant_count; i++) count += has(&m->grants[i], lock);
    return count;
}

/* What is delayed keeps this mode out; of permits so many units. */
static bool delay_blocks(const struct model *m, unsigned lock, uint64_t mode, uint64_t *units)
{
    bool blocks = false;
    *units = 0;
    for (unsigned i = 0; i < m->delay_count; i++) {
        const struct model_delay *d = &m->delays[i];
        if (d->lock != lock) continue;
        if (d->mode == MODE_PERMITS) {
            *units += d->units;
            if (mode == MODE_EXCLUSIVE) blocks = true;
        } else if (d->session != 0 || d->until_ms > m->now_ms) {
            if (d->mode == MODE_EXCLUSIVE || mode == MODE_EXCLUSIVE) blocks = true;
        }
    }
    return blocks;
}

static bool is_delayed(const struct model *m, unsigned lock)
{
    uint64_t units;
    return delay_blocks(m, lock, MODE_EXCLUSIVE, &units);
}

/* Could be granted in this lock, whoever waits. */
static bool fits_in(const struct model *m, const struct model_user *want, unsigned lock)
{
    uint64_t taken;
    if (delay_blocks(m, lock, want->mode, &taken)) return false;
    for (unsigned i = 0; i < m->grant_count; i++) {
        const struct model_user *g = &m->grants[i];
        if (!has(g, lock)) continue;
        if (g->mode == MODE_EXCLUSIVE || want->mode == MODE_EXCLUSIVE) return false;
        taken += g->permits;
    }
    return want->mode != MODE_PERMITS || taken + want->permits <= want->limit;
}

/* One of the first `count` waiters wants this lock. */
static bool is_waited_for(const struct model *m, unsigned lock, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (has(&m->waiters[i], lock)) return true;
    }
    return false;
}

/* In all its locks, past nobody who waits longer. */
static bool grantable(const struct model *m, const struct model_user *want, unsigned older)
{
    if ((want->names & m->frozen) != 0) return false;
    for (unsigned lock = 0; lock < MODEL_LOCKS; lock++) {
        if (!has(want, lock)) continue;
        if (!fits_in(m, want, lock) || is_waited_for(m, lock, older)) return false;
    }
    return true;
}

static uint64_t limit_of(const struct model_user *user)
{
    if (user->mode == MODE_SHARED) return UINT64_MAX;
    return user->limit;
}

/* A limit goes when nothing is held, delayed or waited for. */
static void use_limit(struct model *m, const struct model_user *user)
{
    for (unsigned lock = 0; lock < MODEL_LOCKS; lock++) {
        if (has(user, lock) && limit_of(user) != 0) m->limits[lock] = limit_of(user);
    }
}

static bool has_other_limit(struct model *m, const struct model_user *want)
{
    for (unsigned lock = 0; lock < MODEL_LOCKS; lock++) {
        if (!has(want, lock)) continue;
        bool idle = holders_of_lock(m, lock) == 0 && !is_delayed(m, lock) &&
                    !is_waited_for(m, lock, m->waiter_count);
        if (idle) m->limits[lock] = 0;
        bool same =
            limit_of(want) == 0 || m->limits[lock] == 0 || m->limits[lock] == limit_of(want);
        if (!same) return true;
    }
    return false;
}

/* ------------------------------------------------------------------ grants begin and end */

static void grant(struct model *m, struct model_user user)
{
    user.count = 1;
    user.until_ms = user.hold_ms != 0 ? m->now_ms + user.hold_ms : 0;
    user.token = 0;
    user.asked_ms = 0;
    use_limit(m, &user);
    HF_ASSERT(m->grant_count < MODEL_GRANTS_MAX);
    m->grants[m->grant_count++] = user;
}

static void serve(struct model *m)
{
    for (unsigned i = 0; i < m->waiter_count;) {
        if (!grantable(m, &m->waiters[i], i)) {
            i++;
            continue;
        }
        struct model_user user = m->waiters[i];
        remove_user(m->waiters, &m->waiter_count, i);
        grant(m, user);
        i = 0;
    }
}

static void lose(struct model *m, unsigned at)
{
    struct model_user user = m->grants[at];
    for (unsigned lock = 0; lock < MODEL_LOCKS && user.delay_ms != 0; lock++) {
        if (!has(&user, lock)) continue;
        HF_ASSERT(m->delay_count < MODEL_DELAYS_MAX);
        m->delays[m->delay_count++] = (struct model_delay){
            .lock = lock,
            .mode = user.mode,
            .units = user.permits,
            .until_ms = m->now_ms + user.delay_ms,
        };
    }
    remove_user(m->grants, &m->grant_count, at);
}

/* What stays taken for a forced holder of this session does so no more: of one token, or all (0).
 */
static void drop_forced(struct model *m, uint64_t session, uint64_t token)
{
    for (unsigned i = m->delay_count; i-- > 0;) {
        const struct model_delay *d = &m->delays[i];
        if (d->session != session || (token != 0 && d->token != token)) continue;
        m->delays[i] = m->delays[--m->delay_count];
    }
}

/* Waiters of a session leave, or all whose wait is over (session 0). */
static void drop_waiters(struct model *m, uint64_t session)
{
    for (unsigned i = m->waiter_count; i-- > 0;) {
        const struct model_user *user = &m->waiters[i];
        bool leaves = session != 0 ? user->session == session : user->until_ms <= m->now_ms;
        if (leaves) remove_user(m->waiters, &m->waiter_count, i);
    }
}

/* Grants of a session end, or all whose hold is over (session 0). */
static void drop_grants(struct model *m, uint64_t session, bool lost)
{
    for (unsigned i = m->grant_count; i-- > 0;) {
        const struct model_user *user = &m->grants[i];
        bool over = user->until_ms != 0 && user->until_ms <= m->now_ms;
        if (session != 0 ? user->session != session : !over) continue;
        if (lost) {
            lose(m, i);
        } else {
            remove_user(m->grants, &m->grant_count, i);
        }
    }
}

/* ------------------------------------------------------------------ deadlocks */

static bool is_owner(const struct model_user *a, const struct model_user *b)
{
    return a->session == b->session && a->owner == b->owner;
}

/* From this waiter, in whatever many steps, to the owner of `want`, past none that wants some of
 * several permits. `seen`: waiters, by bit. */
static bool leads_to(const struct model *m, const struct model_user *waiter, unsigned older,
                     const struct model_user *want, unsigned *seen)
{
    for (unsigned lock = 0; lock < MODEL_LOCKS; lock++) {
        if (!has(waiter, lock) || waiter->limit > 1) continue;
        for (unsigned i = 0; i < m->grant_count; i++) {
            const struct model_user *g = &m->grants[i];
            bool both_shared = g->mode == MODE_SHARED && waiter->mode == MODE_SHARED;
            if (!has(g, lock) || both_shared || g->limit > 1) continue;
            if (is_owner(g, want)) return true;
            for (unsigned k = 0; k < m->waiter_count; k++) {
                if (!is_owner(&m->waiters[k], g) || (*seen >> k & 1) != 0) continue;
                *seen |= 1U << k;
                if (leads_to(m, &m->waiters[k], k, want, seen)) return true;
            }
        }
        for (unsigned k = 0; k < older; k++) {
            if (!has(&m->waiters[k], lock) || (*seen >> k & 1) != 0) continue;
            if (m->waiters[k].limit > 1) continue;
            *seen |= 1U << k;
            if (leads_to(m, &m->waiters[k], k, want, seen)) return true;
        }
    }
    return false;
}

static bool waits_anywhere(const struct model *m, uint64_t session, uint64_t owner)
{
    for (unsigned i = 0; i < m->waiter_count; i++) {
        if (m->waiters[i].session == session && m->waiters[i].owner == owner) return true;
    }
    return false;
}

/* Quite another way to ask: whoever does not wait gives everything back, again and again. Is the
 * last waiter served in the end? */
static bool is_stuck(const struct model *of, bool *permits)
{
    static struct model m;
    m = *of;
    m.delay_count = 0;
    m.frozen = 0;
    *permits = false;
    for (unsigned i = 0; i < m.waiter_count; i++) *permits |= m.waiters[i].limit > 1;
    for (unsigned i = 0; i < m.grant_count; i++) *permits |= m.grants[i].limit > 1;
    struct model_user last = m.waiters[m.waiter_count - 1];
    for (bool moved = true; moved;) {
        unsigned waiters = m.waiter_count;
        moved = false;
        for (unsigned i = m.grant_count; i-- > 0;) {
            if (waits_anywhere(&m, m.grants[i].session, m.grants[i].owner)) continue;
            remove_user(m.grants, &m.grant_count, i);
            moved = true;
        }
        serve(&m);
        moved |= m.waiter_count != waiters;
    }
    return waits_anywhere(&m, last.session, last.owner);
}

/* Two answers that have to agree: a path back to the owner, and nobody who could ever let it in.
 * Where a lock of several permits is in use, there may be deadlocks that no path tells of. */
static bool is_deadlock(const struct model *m, const struct model_user *want)
{
    static struct model then;
    bool permits;
    unsigned seen = 0;
    bool path = leads_to(m, want, m->waiter_count, want, &seen);
    then = *m;
    then.waiters[then.waiter_count++] = *want;
    bool stuck = is_stuck(&then, &permits);
    HF_ASSERT(stuck || !path);
    HF_ASSERT(path || !stuck || permits);
    return path;
}

static void force(struct model *m, unsigned grant_at, bool now)
{
    struct model_user user = m->grants[grant_at];
    uint64_t until_ms = 0;
    for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
        if (m->sessions[i].id == user.session) until_ms = m->sessions[i].expires_ms;
    }
    lose(m, grant_at);
    for (unsigned lock = 0; lock < MODEL_LOCKS && !now && until_ms > m->now_ms; lock++) {
        if (!has(&user, lock)) continue;
        HF_ASSERT(m->delay_count < MODEL_DELAYS_MAX);
        m->delays[m->delay_count++] = (struct model_delay){
            .lock = lock,
            .mode = user.mode,
            .units = user.permits,
            .until_ms = until_ms,
            .session = user.session,
            .token = user.token,
        };
    }
}

/* Who was asked back, and has not given the grant back in time. */
static void end_graces(struct model *m)
{
    for (unsigned i = m->grant_count; i-- > 0;) {
        struct model_user *user = &m->grants[i];
        if (user->asked_ms == 0 || user->asked_ms > m->now_ms) continue;
        user->overdue = true;
        if (!user->alarm) force(m, i, false);
    }
}

/* ------------------------------------------------------------------ the outside */

void model_advance(struct model *m, uint64_t now_ms)
{
    m->now_ms = now_ms;
    drop_waiters(m, 0);
    for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
        struct model_session *s = &m->sessions[i];
        if (s->id == 0 || s->expires_ms > now_ms) continue;
        drop_waiters(m, s->id);
        drop_grants(m, s->id, true);
        drop_forced(m, s->id, 0);
        s->id = 0;
    }
    drop_grants(m, 0, true);
    end_graces(m);
    for (unsigned i = m->delay_count; i-- > 0;) {
        if (m->delays[i].until_ms <= now_ms) m->delays[i] = m->delays[--m->delay_count];
    }
    serve(m);
}

bool model_has_queue_due(const struct model *m, uint64_t now_ms)
{
    for (unsigned i = 0; i < m->delay_count; i++) {
        const struct model_delay *d = &m->delays[i];
        if (d->until_ms <= now_ms && is_waited_for(m, d->lock, m->waiter_count)) return true;
    }
    return false;
}

/* The owner has this very set in this very way. */
static bool is_same(const struct model_user *a, const struct model_user *b)
{
    return a->names == b->names && a->mode == b->mode && a->permits == b->permits &&
           a->limit == b->limit;
}

/* The grant of the first of its names that the owner holds; NULL = none. */
static struct model_user *find_held(struct model *m, const struct model_user *want)
{
    for (unsigned lock = 0; lock < MODEL_LOCKS; lock++) {
        for (unsigned i = 0; i < m->grant_count; i++) {
            struct model_user *user = &m->grants[i];
            if (user->session != want->session || user->owner != want->owner) continue;
            if (has(want, lock) && has(user, lock)) return user;
        }
    }
    return NULL;
}

static int refuse(const struct model *m, const struct model_user *want)
{
    for (unsigned lock = 0; lock < MODEL_LOCKS; lock++) {
        if (!has(want, lock)) continue;
        bool fits = fits_in(m, want, lock);
        if (!fits && holders_of_lock(m, lock) > 0) return HF_EBUSY;
        if (fits && is_waited_for(m, lock, m->waiter_count)) return HF_EBUSY;
    }
    return HF_EDELAYED;
}

int model_acquire(struct model *m, const struct model_user *want, uint64_t wait_ms, bool reentrant)
{
    if (waits_anywhere(m, want->session, want->owner)) return HF_EOWNERWAITING;
    struct model_user *held = find_held(m, want);
    if (held != NULL) {
        if (!reentrant || !is_same(held, want)) return HF_EALREADY;
        held->count += 1;
        return HF_OK;
    }
    if ((want->names & m->frozen) != 0) return HF_EFROZEN;
    if (has_other_limit(m, want)) return HF_ELIMIT;
    if (grantable(m, want, m->waiter_count)) {
        grant(m, *want);
        return HF_OK;
    }
    if (wait_ms == 0) return refuse(m, want);
    if (is_deadlock(m, want)) return HF_EDEADLOCK;
    struct model_user user = *want;
    user.until_ms = m->now_ms + wait_ms;
    use_limit(m, &user);
    HF_ASSERT(m->waiter_count < MODEL_WAITERS_MAX);
    m->waiters[m->waiter_count++] = user;
    return MODEL_PARKED;
}

uint64_t model_release(struct model *m, unsigned grant_at)
{
    m->grants[grant_at].count -= 1;
    uint64_t left = m->grants[grant_at].count;
    if (left == 0) remove_user(m->grants, &m->grant_count, grant_at);
    serve(m);
    return left;
}

int model_downgrade(struct model *m, unsigned grant_at)
{
    struct model_user *g = &m->grants[grant_at];
    if (g->mode == MODE_PERMITS) return HF_EBADREQUEST;
    if (g->mode == MODE_SHARED) return HF_OK;
    for (unsigned lock = 0; lock < MODEL_LOCKS; lock++) {
        if (has(g, lock) && m->limits[lock] != 0 && m->limits[lock] != UINT64_MAX) return HF_ELIMIT;
    }
    g->mode = MODE_SHARED;
    use_limit(m, g);
    serve(m);
    return HF_OK;
}

int model_upgrade(struct model *m, unsigned grant_at)
{
    struct model_user *g = &m->grants[grant_at];
    if (g->mode == MODE_PERMITS) return HF_EBADREQUEST;
    if (g->mode == MODE_EXCLUSIVE) return HF_OK;
    if (waits_anywhere(m, g->session, g->owner)) return HF_EOWNERWAITING;
    for (unsigned lock = 0; lock < MODEL_LOCKS; lock++) {
        if (has(g, lock) && (holders_of_lock(m, lock) > 1 || is_delayed(m, lock)))
            return HF_EUPGRADEBUSY;
    }
    g->mode = MODE_EXCLUSIVE;
    return HF_OK;
}

void model_abandon(struct model *m, unsigned grant_at)
{
    lose(m, grant_at);
    serve(m);
}

bool model_cancel(struct model *m, uint64_t session, uint64_t seq)
{
    for (unsigned i = 0; i < m->waiter_count; i++) {
        if (m->waiters[i].session != session || m->waiters[i].seq != seq) continue;
        remove_user(m->waiters, &m->waiter_count, i);
        serve(m);
        return true;
    }
    return false;
}

void model_close(struct model *m, unsigned session)
{
    drop_waiters(m, m->sessions[session].id);
    drop_grants(m, m->sessions[session].id, false);
    drop_forced(m, m->sessions[session].id, 0);
    m->sessions[session].id = 0;
    serve(m);
}

void model_freeze(struct model *m, unsigned frozen)
{
    m->frozen = frozen;
    serve(m);
}

void model_force(struct model *m, unsigned grant_at, bool now)
{
    force(m, grant_at, now);
    serve(m);
}

void model_revoke(struct model *m, unsigned grant_at, uint64_t until_ms, bool alarm)
{
    HF_ASSERT(until_ms > m->now_ms);
    m->grants[grant_at].asked_ms = until_ms;
    m->grants[grant_at].alarm = alarm;
    m->grants[grant_at].overdue = false;
}

void model_acknowledge(struct model *m, uint64_t session, uint64_t token)
{
    HF_ASSERT(session != 0 && token != 0);
    drop_forced(m, session, token);
    serve(m);
}
