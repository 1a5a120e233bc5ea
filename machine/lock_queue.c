/* The queues of locks. Happy path: the head of a queue can be granted, is told, and the next one
 * is looked at. One who waits for several names stands in the queue of each: it is granted when it
 * is first in all of them and all can be granted, whichever of them is served; then those behind
 * it in its other names may be next, so these are put on the list.
 *
 * Nobody is forgotten: whatever may make a waiter grantable happens to one of its names (units come
 * free, a delay ends, an older waiter leaves), and puts that name on the list; the waiter is first
 * there, or it is not grantable yet. Failure modes: faults only. */
#include "base/planted.h"
#include "machine/freeze.h"
#include "machine/grants.h"
#include "machine/locks.h"
#include "machine/serve.h"
#include "machine/sessions.h"

int lock_wait_over(struct machine *m, const struct parked *p, struct reply_out *out)
{
    (void)m;
    HF_ASSERT(p->row.op == OP_CODE_ACQUIRE);
    return reply_set(out, OP_CODE_ACQUIRE, HF_EWAITTIMEOUT, NULL);
}

int lock_waiter_left(struct machine *m, const struct parked *p)
{
    HF_ASSERT(p->row.queue == TABLE_LOCK_QUEUE);
    int rv = HF_OK;
    for (uint32_t i = 0; rv == HF_OK && i < p->row.names.count; i++) {
        struct slice name = p->row.names.items[i];
        struct row_lock lock;
        rv = lock_get(m, name, &lock);
        if (rv == HF_OK && lock.queue_length == 0) rv = HF_ECORRUPT;
        if (rv != HF_OK) break;
        lock.queue_length -= 1;
        rv = lock_put(m, name, &lock);
        /* Those behind may be grantable now: a SHARED one behind an EXCLUSIVE one that gave up. */
        if (rv == HF_OK && lock.queue_length > 0) rv = serve_mark(m, TABLE_LOCKS, name);
    }
    return rv;
}

/* The head of a queue, while it is being granted. */
struct head {
    struct parked p;            /* who */
    struct msg_acquire acquire; /* what it asked for */
    uint32_t at;                /* which of its names is being served */
    struct row_lock *locks;     /* of its names; only that one if it has no other */
};

int lock_waiter_is_first(struct machine *m, const struct parked *p,
                         const struct msg_acquire *acquire, uint32_t i, struct row_lock *lock,
                         bool *first)
{
    HF_ASSERT(i < acquire->names.count);
    struct slice name = acquire->names.items[i];
    uint64_t ticket = 0;
    int rv = lock_get(m, name, lock);
    if (rv != HF_OK) return rv;
    bool frozen;
    rv = freeze_covers(m, name, &frozen);
    if (rv != HF_OK) return rv;
    *first = lock_is_grantable(m, lock, acquire) && !frozen;
    if (!*first) return HF_OK;
    rv = parked_first(m, TABLE_LOCK_QUEUE, name, lock->queue_first, &ticket);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    *first = ticket == p->row.ticket;
    return HF_OK;
}

/* Read the locks of its other names. \param ready Out: it is first in all, and all can be granted
 */
static int look_at_others(struct machine *m, struct head *head, const struct row_lock *served,
                          bool *ready)
{
    *ready = true;
    int rv = HF_OK;
    for (uint32_t i = 0; rv == HF_OK && *ready && i < head->acquire.names.count; i++) {
        if (i == head->at) {
            head->locks[i] = *served;
        } else {
            rv = lock_waiter_is_first(m, &head->p, &head->acquire, i, &head->locks[i], ready);
        }
    }
    return rv;
}

/* It leaves the queues of its other names, and those behind it may be next. */
static int leave_others(struct machine *m, struct head *head)
{
    HF_ASSERT(head->at < head->acquire.names.count);
    int rv = HF_OK;
    for (uint32_t i = 0; rv == HF_OK && i < head->acquire.names.count; i++) {
        struct row_lock *lock = &head->locks[i];
        struct slice name = head->acquire.names.items[i];
        if (i == head->at) continue;
        if (lock->queue_length == 0) return HF_ECORRUPT;
        lock->queue_length -= 1;
        lock->queue_first = head->p.row.ticket + 1;
        rv = lock_put(m, name, lock);
        if (rv == HF_OK && lock->queue_length > 0) rv = serve_mark(m, TABLE_LOCKS, name);
    }
    return rv;
}

static int grant_head(struct machine *m, struct head *head)
{
    const struct parked *p = &head->p;
    struct grant_request request = {
        .acquire = &head->acquire,
        .session = p->session,
        .seq = p->seq,
        .peer = p->row.peer,
        .traceparent = p->row.traceparent,
    };
    uint64_t token;
    struct reply_out out = parked_reply(m);
    int rv = session_visit(m, p->session);
    if (rv == HF_OK) rv = grant_make(m, &request, head->locks, &token);
    if (rv == HF_OK) rv = lock_tell_granted(&out, token, 1, 1);
    if (rv == HF_OK) rv = parked_answer(m, p, &out);
    return rv == HF_OK ? session_leave(m) : rv;
}

/* Which of its names is served. */
static int find_name(struct head *head, struct slice name)
{
    const struct codec_strs *names = &head->acquire.names;
    head->at = 0;
    while (head->at < names->count && !slice_equal(names->items[head->at], name)) head->at += 1;
    return head->at < names->count ? HF_OK : HF_ECORRUPT;
}

/* Grant the head of the queue, if it can be. */
static int serve_head(struct machine *m, struct slice name, struct row_lock *lock, bool *granted)
{
    *granted = false;
    struct row_lock locks[NAMES_MAX];
    struct head head = {.locks = lock};
    int rv = parked_from(m, TABLE_LOCK_QUEUE, name, lock->queue_first, &head.p);
    if (rv == HF_OK) rv = parked_request(m, &head.p, &head.acquire);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    uint32_t count = head.acquire.names.count;
    bool ready = lock_is_grantable(m, lock, &head.acquire);
    if (planted(SHARED_BESIDE_EXCLUSIVE) && head.acquire.mode == MODE_SHARED) ready = true;
    lock->queue_first = head.p.row.ticket;
    if (!ready) return HF_OK;
    if (count > 1) {
        head.locks = locks;
        rv = find_name(&head, name);
        if (rv == HF_OK) rv = look_at_others(m, &head, lock, &ready);
        if (rv != HF_OK || !ready) return rv;
    }
    HF_ASSERT(count <= GRANTS_A_SERVING_MAX);
    if (m->grants_left < count) return HF_ETOOBUSY;
    rv = grant_head(m, &head);
    if (rv == HF_OK && count > 1) rv = leave_others(m, &head);
    if (rv != HF_OK) return rv;
    m->grants_left -= count;
    if (count > 1) *lock = locks[head.at];
    lock->queue_length -= 1;
    lock->queue_first = head.p.row.ticket + 1;
    *granted = true;
    return HF_OK;
}

int lock_serve(struct machine *m, struct slice name)
{
    struct row_lock lock;
    bool frozen;
    int rv = freeze_covers(m, name, &frozen);
    if (rv != HF_OK || (frozen && !planted(FROZEN_SERVED))) return rv; /* the thaw will serve it */
    rv = lock_get(m, name, &lock);
    if (rv != HF_OK) return rv;
    bool granted = true;
    uint64_t first_before = lock.queue_first;
    while (rv == HF_OK && granted && lock.queue_length > 0) {
        size_t mark = state_mark(m);
        rv = serve_head(m, name, &lock, &granted);
        state_reset(m, mark);
    }
    if (rv != HF_OK && rv != HF_ETOOBUSY) return rv;
    int put_rv = lock.queue_first != first_before ? lock_put(m, name, &lock) : HF_OK;
    return put_rv == HF_OK ? rv : put_rv;
}
