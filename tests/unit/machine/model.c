/* The model: see its header. */
#include "tests/unit/machine/model.h"

#include <string.h>

#include "base/status.h"
#include "protocol/words.h"

static bool grantable(const struct model *m, const struct model_lock *l, uint64_t mode)
{
    if (l->delay_ms > m->now_ms) return false;
    if (mode == MODE_EXCLUSIVE) return l->holder_count == 0 && l->shared_delay_ms <= m->now_ms;
    for (unsigned i = 0; i < l->holder_count; i++) {
        if (l->holders[i].mode == MODE_EXCLUSIVE) return false;
    }
    return true;
}

static void remove_user(struct model_user *users, unsigned *count, unsigned at)
{
    *count -= 1;
    memmove(&users[at], &users[at + 1], (*count - at) * sizeof *users);
}

static void grant(struct model *m, struct model_lock *l, struct model_user user)
{
    user.count = 1;
    user.until_ms = user.hold_ms != 0 ? m->now_ms + user.hold_ms : 0;
    user.token = 0;
    l->holders[l->holder_count++] = user;
}

static void serve(struct model *m)
{
    for (unsigned i = 0; i < MODEL_LOCKS; i++) {
        struct model_lock *l = &m->locks[i];
        while (l->queue_length > 0 && grantable(m, l, l->queue[0].mode)) {
            struct model_user user = l->queue[0];
            remove_user(l->queue, &l->queue_length, 0);
            grant(m, l, user);
        }
    }
}

static void lose(struct model *m, struct model_lock *l, unsigned holder)
{
    struct model_user user = l->holders[holder];
    uint64_t until_ms = m->now_ms + user.delay_ms;
    uint64_t *delay_ms = user.mode == MODE_EXCLUSIVE ? &l->delay_ms : &l->shared_delay_ms;
    if (user.delay_ms != 0 && until_ms > *delay_ms) *delay_ms = until_ms;
    remove_user(l->holders, &l->holder_count, holder);
}

/* Waiters of a session leave, or all whose wait is over (session 0). */
static void drop_waiters(struct model *m, uint64_t session)
{
    for (unsigned i = 0; i < MODEL_LOCKS; i++) {
        struct model_lock *l = &m->locks[i];
        for (unsigned k = l->queue_length; k-- > 0;) {
            const struct model_user *user = &l->queue[k];
            bool leaves = session != 0 ? user->session == session : user->until_ms <= m->now_ms;
            if (leaves) remove_user(l->queue, &l->queue_length, k);
        }
    }
}

/* Grants of a session end, or all whose hold is over (session 0). */
static void drop_grants(struct model *m, uint64_t session, bool lost)
{
    for (unsigned i = 0; i < MODEL_LOCKS; i++) {
        struct model_lock *l = &m->locks[i];
        for (unsigned k = l->holder_count; k-- > 0;) {
            const struct model_user *user = &l->holders[k];
            bool over = user->until_ms != 0 && user->until_ms <= m->now_ms;
            if (session != 0 ? user->session != session : !over) continue;
            if (lost) {
                lose(m, l, k);
            } else {
                remove_user(l->holders, &l->holder_count, k);
            }
        }
    }
}

void model_advance(struct model *m, uint64_t now_ms)
{
    m->now_ms = now_ms;
    drop_waiters(m, 0);
    for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
        struct model_session *s = &m->sessions[i];
        if (s->id == 0 || s->expires_ms > now_ms) continue;
        drop_waiters(m, s->id);
        drop_grants(m, s->id, true);
        s->id = 0;
    }
    drop_grants(m, 0, true);
    serve(m);
}

bool model_has_queue_due(const struct model *m, uint64_t now_ms)
{
    for (unsigned i = 0; i < MODEL_LOCKS; i++) {
        const struct model_lock *l = &m->locks[i];
        bool over = (l->delay_ms != 0 && l->delay_ms <= now_ms) ||
                    (l->shared_delay_ms != 0 && l->shared_delay_ms <= now_ms);
        if (over && l->queue_length > 0) return true;
    }
    return false;
}

static bool waits_anywhere(const struct model *m, uint64_t session, uint64_t owner)
{
    for (unsigned i = 0; i < MODEL_LOCKS; i++) {
        for (unsigned k = 0; k < m->locks[i].queue_length; k++) {
            const struct model_user *user = &m->locks[i].queue[k];
            if (user->session == session && user->owner == owner) return true;
        }
    }
    return false;
}

int model_acquire(struct model *m, unsigned lock, const struct model_user *want, uint64_t wait_ms,
                  bool reentrant)
{
    struct model_lock *l = &m->locks[lock];
    if (waits_anywhere(m, want->session, want->owner)) return HF_EOWNERWAITING;
    for (unsigned i = 0; i < l->holder_count; i++) {
        struct model_user *user = &l->holders[i];
        if (user->session != want->session || user->owner != want->owner) continue;
        if (!reentrant || user->mode != want->mode) return HF_EALREADY;
        user->count += 1;
        return HF_OK;
    }
    bool now = grantable(m, l, want->mode);
    if (now && l->queue_length == 0) {
        grant(m, l, *want);
        return HF_OK;
    }
    if (wait_ms > 0) {
        struct model_user user = *want;
        user.until_ms = m->now_ms + wait_ms;
        l->queue[l->queue_length++] = user;
        return MODEL_PARKED;
    }
    bool delayed =
        l->delay_ms > m->now_ms || (want->mode == MODE_EXCLUSIVE && l->shared_delay_ms > m->now_ms);
    return l->holder_count == 0 && delayed ? HF_EDELAYED : HF_EBUSY;
}

uint64_t model_release(struct model *m, unsigned lock, unsigned holder)
{
    struct model_lock *l = &m->locks[lock];
    l->holders[holder].count -= 1;
    uint64_t left = l->holders[holder].count;
    if (left == 0) remove_user(l->holders, &l->holder_count, holder);
    serve(m);
    return left;
}

void model_abandon(struct model *m, unsigned lock, unsigned holder)
{
    lose(m, &m->locks[lock], holder);
    serve(m);
}

bool model_cancel(struct model *m, uint64_t session, uint64_t seq)
{
    for (unsigned i = 0; i < MODEL_LOCKS; i++) {
        struct model_lock *l = &m->locks[i];
        for (unsigned k = 0; k < l->queue_length; k++) {
            if (l->queue[k].session != session || l->queue[k].seq != seq) continue;
            remove_user(l->queue, &l->queue_length, k);
            serve(m);
            return true;
        }
    }
    return false;
}

void model_close(struct model *m, unsigned session)
{
    drop_waiters(m, m->sessions[session].id);
    drop_grants(m, m->sessions[session].id, false);
    m->sessions[session].id = 0;
    serve(m);
}
