/* See the header. */
#include "tests/sim/history_locks.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/failure.h"
#include "tests/sim/history.h"

enum { PLACES_FIRST = 8 };

static struct lock_rules *rules_of(struct history *h, uint32_t lock)
{
    HF_ASSERT(lock < HF_ARRAY_COUNT(h->locks));
    return &h->locks[lock].rules;
}

/* Room for one more. */
static void *make_room(void *items, size_t count, size_t *places, size_t bytes)
{
    if (count < *places) return items;
    *places = *places == 0 ? PLACES_FIRST : *places * 2;
    items = realloc(items, *places * bytes);
    HF_ASSERT(items != NULL);
    return items;
}

void lock_rules_close(struct lock_rules *l)
{
    free(l->grants);
    free(l->waiters);
    *l = (struct lock_rules){0};
}

/* May it be granted beside those that hold, with those delays? */
static bool is_free_for(const struct lock_rules *l, bool exclusive, uint64_t now_ms)
{
    if (l->delay_ms > now_ms) return false;
    if (exclusive) return l->grant_count == 0 && l->shared_delay_ms <= now_ms;
    return l->grant_count == 0 || !l->grants[0].ask.exclusive;
}

static const struct lock_waiter *first_waiter(const struct lock_rules *l)
{
    for (size_t i = 0; i < l->waiter_count; i++) {
        if (!l->waiters[i].over) return &l->waiters[i];
    }
    return NULL;
}

/* ------------------------------------------------------------------ the end of grants and waits */

static void end_grant(struct lock_rules *l, size_t at, bool lost, uint64_t now_ms)
{
    const struct lock_ask *ask = &l->grants[at].ask;
    uint64_t *delay_ms = ask->exclusive ? &l->delay_ms : &l->shared_delay_ms;
    if (lost && now_ms + ask->delay_ms > *delay_ms) *delay_ms = now_ms + ask->delay_ms;
    l->grants[at] = l->grants[--l->grant_count];
}

static void end_session(struct lock_rules *l, uint64_t session, bool lost, uint64_t now_ms)
{
    for (size_t i = 0; i < l->waiter_count; i++) {
        if (l->waiters[i].ask.session == session) l->waiters[i].over = true;
    }
    for (size_t i = l->grant_count; i > 0; i--) {
        if (l->grants[i - 1].ask.session == session) end_grant(l, i - 1, lost, now_ms);
    }
}

void history_locks_session_ends(struct history *h, uint64_t session, bool lost, uint64_t now_ms)
{
    for (uint32_t i = 0; i < HF_ARRAY_COUNT(h->locks); i++)
        end_session(rules_of(h, i), session, lost, now_ms);
}

void history_locks_sweep(struct history *h, uint64_t now_ms)
{
    for (uint32_t i = 0; i < h->session_count; i++) {
        if (h->sessions[i].over) history_locks_session_ends(h, h->sessions[i].id, true, now_ms);
    }
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        struct lock_rules *l = rules_of(h, lock);
        for (size_t i = 0; i < l->waiter_count; i++) {
            if (l->waiters[i].until_ms <= now_ms) l->waiters[i].over = true;
        }
        for (size_t i = l->grant_count; i > 0; i--) {
            uint64_t until_ms = l->grants[i - 1].hold_until_ms;
            if (until_ms != 0 && until_ms <= now_ms) end_grant(l, i - 1, true, now_ms);
        }
    }
}

void history_lock_ended(struct history *h, uint32_t lock, uint64_t session, uint64_t owner,
                        uint64_t token, uint64_t count_left)
{
    struct lock_rules *l = rules_of(h, lock);
    size_t at = 0;
    while (at < l->grant_count && l->grants[at].token != token) at++;
    const char *what = owner == 0 ? "ABANDON" : "RELEASE";
    if (at == l->grant_count)
        sim_fail("lock-%u: %s of token %" PRIu64 " is answered OK, and that grant is over", lock,
                 what, token);
    struct lock_grant *g = &l->grants[at];
    if (g->ask.session != session || (owner != 0 && g->ask.owner != owner))
        sim_fail("lock-%u: %s of token %" PRIu64 " is answered OK to another owner", lock, what,
                 token);
    if (owner != 0 && --g->count != count_left)
        sim_fail("lock-%u: %" PRIu64 " releases of token %" PRIu64 " are left, not %" PRIu64, lock,
                 g->count, token, count_left);
    if (owner == 0 || count_left == 0) end_grant(l, at, owner == 0, machine_time_ms(h->machine));
}

/* ------------------------------------------------------------------ the queue */

static size_t find_waiter(const struct lock_rules *l, uint32_t lock, uint64_t session, uint64_t seq)
{
    for (size_t i = 0; i < l->waiter_count; i++) {
        if (l->waiters[i].ask.session == session && l->waiters[i].ask.seq == seq) return i;
    }
    sim_fail("lock-%u: session %" PRIu64 " seq %" PRIu64 " is answered and does not wait", lock,
             session, seq);
}

static void drop_waiter(struct lock_rules *l, size_t at)
{
    l->waiter_count--;
    memmove(&l->waiters[at], &l->waiters[at + 1], (l->waiter_count - at) * sizeof *l->waiters);
}

void history_lock_refused(const struct history *h, uint32_t lock, const struct lock_ask *ask)
{
    const struct lock_rules *l = &h->locks[lock].rules;
    if (first_waiter(l) == NULL && is_free_for(l, ask->exclusive, machine_time_ms(h->machine)))
        sim_fail("lock-%u: session %" PRIu64 " seq %" PRIu64 " is not granted, and it is free",
                 lock, ask->session, ask->seq);
}

void history_lock_parked(struct history *h, uint32_t lock, const struct lock_ask *ask)
{
    struct lock_rules *l = rules_of(h, lock);
    history_lock_refused(h, lock, ask);
    l->waiters = make_room(l->waiters, l->waiter_count, &l->waiter_places, sizeof *l->waiters);
    l->waiters[l->waiter_count++] =
        (struct lock_waiter){.ask = *ask, .until_ms = machine_time_ms(h->machine) + ask->wait_ms};
}

void history_lock_left(struct history *h, uint32_t lock, uint64_t session, uint64_t seq)
{
    struct lock_rules *l = rules_of(h, lock);
    drop_waiter(l, find_waiter(l, lock, session, seq));
}

/* ------------------------------------------------------------------ grants */

/* \return what was asked for by the one that has waited longest and is granted now. */
static struct lock_ask take_waiter(struct lock_rules *l, uint32_t lock, uint64_t session,
                                   uint64_t seq)
{
    size_t at = find_waiter(l, lock, session, seq);
    struct lock_waiter w = l->waiters[at];
    if (w.over)
        sim_fail("lock-%u: session %" PRIu64 " seq %" PRIu64 " is granted as its wait ends", lock,
                 session, seq);
    const struct lock_waiter *first = first_waiter(l);
    if (first != &l->waiters[at])
        sim_fail("lock-%u: session %" PRIu64 " seq %" PRIu64 " is granted before session %" PRIu64
                 " seq %" PRIu64 ", which has waited longer",
                 lock, session, seq, first->ask.session, first->ask.seq);
    drop_waiter(l, at);
    return w.ask;
}

static void count_again(struct lock_rules *l, uint32_t lock, uint64_t token, uint64_t count)
{
    for (size_t i = 0; i < l->grant_count; i++) {
        if (l->grants[i].token != token) continue;
        if (++l->grants[i].count != count)
            sim_fail("lock-%u: token %" PRIu64 " is granted for the %" PRIu64 ". time, not %" PRIu64
                     ".",
                     lock, token, l->grants[i].count, count);
        return;
    }
    sim_fail("lock-%u: token %" PRIu64 " is granted again, and is over", lock, token);
}

void history_lock_granted(struct history *h, uint32_t lock, const struct lock_ask *ask,
                          uint64_t session, uint64_t seq, uint64_t token, uint64_t count)
{
    struct lock_rules *l = rules_of(h, lock);
    uint64_t now_ms = machine_time_ms(h->machine);
    if (count > 1) {
        count_again(l, lock, token, count);
        return;
    }
    const struct lock_waiter *first = first_waiter(l);
    if (ask != NULL && first != NULL)
        sim_fail("lock-%u: token %" PRIu64 " is granted past session %" PRIu64 " seq %" PRIu64
                 ", which waits",
                 lock, token, first->ask.session, first->ask.seq);
    struct lock_ask asked = ask != NULL ? *ask : take_waiter(l, lock, session, seq);
    if (!is_free_for(l, asked.exclusive, now_ms))
        sim_fail("lock-%u: token %" PRIu64
                 " is granted beside %zu holders, lock-delay left %" PRIu64
                 " ms, of SHARED ones %" PRIu64 " ms",
                 lock, token, l->grant_count, l->delay_ms > now_ms ? l->delay_ms - now_ms : 0,
                 l->shared_delay_ms > now_ms ? l->shared_delay_ms - now_ms : 0);
    l->grants = make_room(l->grants, l->grant_count, &l->grant_places, sizeof *l->grants);
    l->grants[l->grant_count++] = (struct lock_grant){
        .ask = asked,
        .token = token,
        .count = 1,
        .hold_until_ms = asked.hold_max_ms != 0 ? now_ms + asked.hold_max_ms : 0,
    };
}

/* ------------------------------------------------------------------ after an entry */

/* A lock-delay that is over frees the lock with the next sweep, not before. */
void history_locks_applied(const struct history *h)
{
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        const struct lock_rules *l = &h->locks[lock].rules;
        if (l->waiter_count == 0) continue;
        const struct lock_waiter *w = &l->waiters[0];
        if (w->over)
            sim_fail("lock-%u: session %" PRIu64 " seq %" PRIu64 " waits on, and its wait is over",
                     lock, w->ask.session, w->ask.seq);
        if (is_free_for(l, w->ask.exclusive, h->swept_ms))
            sim_fail("lock-%u: session %" PRIu64 " seq %" PRIu64
                     " waits first of all, and the lock is free for it",
                     lock, w->ask.session, w->ask.seq);
    }
}
