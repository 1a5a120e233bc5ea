/* See the header. */
#include "tests/sim/history_locks.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/status.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"

enum { PLACES_FIRST = 8 };

static struct lock_rules *rules_of(struct history *h, uint32_t lock)
{
    HF_ASSERT(lock < HF_ARRAY_COUNT(h->locks));
    return &h->locks[lock].rules;
}

static const struct lock_rules *rules_at(const struct history *h, uint32_t lock)
{
    HF_ASSERT(lock < HF_ARRAY_COUNT(h->locks));
    return &h->locks[lock].rules;
}

/* Room for one more. */
void *lock_rules_room(void *items, size_t count, size_t *places, size_t bytes)
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
    free(l->lost);
    free(l->forced);
    *l = (struct lock_rules){0};
}

/* ------------------------------------------------------------------ what is free */

/* Units that are held, or lost and not back yet. */
static uint64_t units_taken(const struct lock_rules *l)
{
    uint64_t units = 0;
    for (size_t i = 0; i < l->grant_count; i++) units += l->grants[i].ask.permits;
    for (size_t i = 0; i < l->lost_count; i++) units += l->lost[i].units;
    for (size_t i = 0; i < l->forced_count; i++) units += l->forced[i].units;
    return units;
}

/* A holder that was forced may believe in it still. */
static bool is_forced_against(const struct lock_rules *l, uint64_t mode)
{
    bool against = mode == MODE_EXCLUSIVE && l->forced_count > 0;
    for (size_t i = 0; i < l->forced_count; i++)
        against = against || l->forced[i].mode == MODE_EXCLUSIVE;
    return against;
}

/* May it be granted beside those that hold, with those delays? */
static bool is_free_for(const struct lock_rules *l, const struct lock_ask *ask, uint64_t now_ms)
{
    bool held = l->grant_count > 0;
    if (l->frozen || l->delay_ms > now_ms || is_forced_against(l, ask->mode)) return false;
    if (ask->mode == MODE_EXCLUSIVE)
        return !held && l->lost_count == 0 && l->shared_delay_ms <= now_ms;
    if (held && l->grants[0].ask.mode != ask->mode) return false;
    return ask->mode == MODE_SHARED || units_taken(l) + ask->permits <= ask->limit;
}

static const struct lock_waiter *first_waiter(const struct lock_rules *l)
{
    for (size_t i = 0; i < l->waiter_count; i++) {
        if (!l->waiters[i].over) return &l->waiters[i];
    }
    return NULL;
}

/* The limit that a request gives its locks; 0: it fits any. */
static uint64_t limit_of(const struct lock_ask *ask)
{
    if (ask->mode == MODE_EXCLUSIVE) return 0;
    return ask->mode == MODE_SHARED ? UINT64_MAX : ask->limit;
}

/* It goes when nothing at all is held, delayed or waited for. Whoever comes next looks first. */
static void settle_limit(struct lock_rules *l, uint64_t now_ms)
{
    bool delayed = l->lost_count > 0 || l->forced_count > 0 || l->delay_ms > now_ms ||
                   l->shared_delay_ms > now_ms;
    if (l->grant_count == 0 && first_waiter(l) == NULL && !delayed) l->limit = 0;
}

static void use_limit(struct lock_rules *l, const struct lock_ask *ask)
{
    if (limit_of(ask) != 0) l->limit = limit_of(ask);
}

/* ------------------------------------------------------------------ the end of grants and waits */

static void delay(struct lock_rules *l, const struct lock_ask *ask, uint64_t now_ms)
{
    uint64_t until_ms = now_ms + ask->delay_ms;
    if (ask->delay_ms == 0) return;
    if (ask->mode == MODE_PERMITS) {
        l->lost = lock_rules_room(l->lost, l->lost_count, &l->lost_places, sizeof *l->lost);
        l->lost[l->lost_count++] = (struct lock_lost){.units = ask->permits, .until_ms = until_ms};
        return;
    }
    uint64_t *delay_ms = ask->mode == MODE_EXCLUSIVE ? &l->delay_ms : &l->shared_delay_ms;
    if (until_ms > *delay_ms) *delay_ms = until_ms;
}

void lock_rules_end(struct history *h, uint32_t lock, size_t at, enum event_type e, uint64_t now_ms)
{
    struct lock_rules *l = rules_of(h, lock);
    if (e != EVENT_RELEASED) delay(l, &l->grants[at].ask, now_ms);
    const struct lock_grant *g = &l->grants[at];
    history_events_owe(h, e, HISTORY_LOCK, lock, g->token);
    if (g->grace_ms != 0 && g->ask.names.items[0] == lock)
        history_events_owe_act(h, OP_CODE_REVOKE);
    l->grants[at] = l->grants[--l->grant_count];
}

static void end_session(struct history *h, uint32_t lock, uint64_t session, bool lost,
                        uint64_t now_ms)
{
    struct lock_rules *l = rules_of(h, lock);
    for (size_t i = 0; i < l->waiter_count; i++) {
        if (l->waiters[i].ask.session == session) l->waiters[i].over = true;
    }
    for (size_t i = l->grant_count; i > 0; i--) {
        if (l->grants[i - 1].ask.session == session)
            lock_rules_end(h, lock, i - 1, lost ? EVENT_LOST : EVENT_RELEASED, now_ms);
    }
    for (size_t i = l->forced_count; i > 0; i--) {
        if (l->forced[i - 1].session == session) l->forced[i - 1] = l->forced[--l->forced_count];
    }
}

void history_locks_session_ends(struct history *h, uint64_t session, bool lost, uint64_t now_ms)
{
    for (uint32_t i = 0; i < HF_ARRAY_COUNT(h->locks); i++)
        end_session(h, i, session, lost, now_ms);
}

static void sweep_lock(struct history *h, uint32_t lock, uint64_t now_ms)
{
    struct lock_rules *l = rules_of(h, lock);
    for (size_t i = 0; i < l->waiter_count; i++) {
        if (l->waiters[i].until_ms <= now_ms) l->waiters[i].over = true;
    }
    for (size_t i = l->lost_count; i > 0; i--) {
        if (l->lost[i - 1].until_ms <= now_ms) l->lost[i - 1] = l->lost[--l->lost_count];
    }
    for (size_t i = l->grant_count; i > 0; i--) {
        uint64_t until_ms = l->grants[i - 1].hold_until_ms;
        if (until_ms != 0 && until_ms <= now_ms) lock_rules_end(h, lock, i - 1, EVENT_LOST, now_ms);
    }
}

void history_locks_sweep(struct history *h, uint64_t now_ms)
{
    for (uint32_t i = 0; i < h->session_count; i++) {
        if (h->sessions[i].over) history_locks_session_ends(h, h->sessions[i].id, true, now_ms);
    }
    history_admin_alarm(h, now_ms);
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) sweep_lock(h, lock, now_ms);
    history_admin_sweep(h, now_ms);
}

size_t lock_rules_find(const struct lock_rules *l, uint64_t token)
{
    size_t at = 0;
    while (at < l->grant_count && l->grants[at].token != token) at++;
    return at;
}

static void end_in(struct history *h, uint32_t lock, uint64_t session, uint64_t owner,
                   uint64_t token, uint64_t count_left)
{
    struct lock_rules *l = rules_of(h, lock);
    size_t at = lock_rules_find(l, token);
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
    if (owner == 0 || count_left == 0)
        lock_rules_end(h, lock, at, owner == 0 ? EVENT_LOST : EVENT_RELEASED,
                       machine_time_ms(h->machine));
}

void history_lock_ended(struct history *h, const struct lock_names *names, uint64_t session,
                        uint64_t owner, uint64_t token, uint64_t count_left)
{
    for (uint32_t i = 0; i < names->count; i++)
        end_in(h, names->items[i], session, owner, token, count_left);
}

void history_lock_kept(const struct history *h, const struct lock_names *names, uint64_t session,
                       uint64_t owner, uint64_t token)
{
    const struct lock_rules *l = rules_at(h, names->items[0]);
    size_t at = lock_rules_find(l, token);
    if (at == l->grant_count) return;
    const struct lock_ask *ask = &l->grants[at].ask;
    if (ask->session == session && ask->owner == owner)
        sim_fail("lock-%u: RELEASE of token %" PRIu64 " by its owner is refused, and it is held",
                 names->items[0], token);
}

/* ------------------------------------------------------------------ which answer is right */

/* Nothing stands in its way: each of its locks is free for it, and nobody waits for any. */
static bool is_grantable(const struct history *h, const struct lock_ask *ask)
{
    uint64_t now_ms = machine_time_ms(h->machine);
    for (uint32_t i = 0; i < ask->names.count; i++) {
        const struct lock_rules *l = rules_at(h, ask->names.items[i]);
        if (first_waiter(l) != NULL || !is_free_for(l, ask, now_ms)) return false;
    }
    return true;
}

/* What the owner holds of this lock, or NULL. */
static const struct lock_grant *find_own(const struct lock_rules *l, const struct lock_ask *ask)
{
    for (size_t i = 0; i < l->grant_count; i++) {
        const struct lock_ask *holder = &l->grants[i].ask;
        if (holder->session == ask->session && holder->owner == ask->owner) return &l->grants[i];
    }
    return NULL;
}

static const struct lock_grant *find_first_own(const struct history *h, const struct lock_ask *ask)
{
    const struct lock_grant *own = NULL;
    for (uint32_t i = 0; own == NULL && i < ask->names.count; i++)
        own = find_own(rules_at(h, ask->names.items[i]), ask);
    return own;
}

static bool owner_waits(const struct history *h, const struct lock_ask *ask)
{
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        const struct lock_rules *l = &h->locks[lock].rules;
        for (size_t i = 0; i < l->waiter_count; i++) {
            const struct lock_waiter *w = &l->waiters[i];
            if (!w->over && w->ask.session == ask->session && w->ask.owner == ask->owner)
                return true;
        }
    }
    return false;
}

static bool limit_differs(const struct history *h, const struct lock_ask *ask)
{
    uint64_t limit = limit_of(ask);
    for (uint32_t i = 0; i < ask->names.count; i++) {
        uint64_t other = rules_at(h, ask->names.items[i])->limit;
        if (limit != 0 && other != 0 && other != limit) return true;
    }
    return false;
}

static bool is_same_wish(const struct lock_ask *a, const struct lock_ask *b)
{
    return a->mode == b->mode && a->permits == b->permits && a->limit == b->limit &&
           lock_names_equal(&a->names, &b->names);
}

/* HF_EBUSY stands for all that is not granted now. */
static int right_answer(const struct history *h, const struct lock_ask *ask)
{
    const struct lock_grant *own = find_first_own(h, ask);
    if (owner_waits(h, ask)) return HF_EOWNERWAITING;
    if (own != NULL) return ask->reentrant && is_same_wish(&own->ask, ask) ? HF_OK : HF_EALREADY;
    for (uint32_t i = 0; i < ask->names.count; i++) {
        if (rules_at(h, ask->names.items[i])->frozen) return HF_EFROZEN;
    }
    if (limit_differs(h, ask)) return HF_ELIMIT;
    if (is_grantable(h, ask)) return HF_OK;
    return ask->wait_ms > 0 && history_cycle_length(h, ask) > 0 ? HF_EDEADLOCK : HF_EBUSY;
}

/* What of it stands in which lock's way, for people. */
static _Noreturn void fail_answer(const struct history *h, const struct lock_ask *ask,
                                  const char *told, int right)
{
    uint64_t now_ms = machine_time_ms(h->machine);
    uint32_t lock = ask->names.items[0];
    for (uint32_t i = ask->names.count; i > 0; i--) {
        const struct lock_rules *l = rules_at(h, ask->names.items[i - 1]);
        if (first_waiter(l) != NULL || !is_free_for(l, ask, now_ms)) lock = ask->names.items[i - 1];
    }
    const struct lock_rules *l = rules_at(h, lock);
    const struct lock_waiter *first = first_waiter(l);
    sim_fail("lock-%u: session %" PRIu64 " seq %" PRIu64 ", mode %" PRIu64 ", %u names, is told %s,"
             " and %s is right: %zu holders, %zu forced, %" PRIu64
             " units taken, first waiter session %" PRIu64 " seq %" PRIu64
             ", lock-delay left %" PRIu64 " ms",
             lock, ask->session, ask->seq, ask->mode, ask->names.count, told,
             right == HF_EBUSY ? "to wait" : status_name(right), l->grant_count, l->forced_count,
             units_taken(l), first != NULL ? first->ask.session : 0,
             first != NULL ? first->ask.seq : 0, l->delay_ms > now_ms ? l->delay_ms - now_ms : 0);
}

/* DELAYED only if nobody holds what a delay keeps it out of. */
static void look_at_delayed(const struct history *h, const struct lock_ask *ask)
{
    uint64_t now_ms = machine_time_ms(h->machine);
    bool delayed = false;
    for (uint32_t i = 0; i < ask->names.count; i++) {
        const struct lock_rules *l = rules_at(h, ask->names.items[i]);
        if (is_free_for(l, ask, now_ms)) continue;
        if (l->grant_count > 0) fail_answer(h, ask, "DELAYED", HF_EBUSY);
        delayed = true;
    }
    if (!delayed) fail_answer(h, ask, "DELAYED", HF_EBUSY);
}

/* All grants and waiters, each once. */
static uint64_t count_turns(const struct history *h)
{
    uint64_t count = 0;
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        const struct lock_rules *l = rules_at(h, lock);
        for (size_t i = 0; i < l->grant_count; i++)
            count += l->grants[i].ask.names.items[0] == lock;
        for (size_t i = 0; i < l->waiter_count; i++)
            count += l->waiters[i].ask.names.items[0] == lock;
    }
    return count;
}

static void park(struct history *h, const struct lock_ask *ask)
{
    struct lock_waiter w = {.ask = *ask};
    if (h->turn_ms_max != 0) w.turns = count_turns(h);
    w.until_ms = machine_time_ms(h->machine) + ask->wait_ms;
    for (uint32_t i = 0; i < ask->names.count; i++) {
        struct lock_rules *l = rules_of(h, ask->names.items[i]);
        use_limit(l, ask);
        l->waiters = lock_rules_room(l->waiters, l->waiter_count, &l->waiter_places, sizeof w);
        l->waiters[l->waiter_count++] = w;
        history_events_owe(h, EVENT_QUEUED, HISTORY_LOCK, ask->names.items[i], ask->session);
    }
}

void history_lock_asked(struct history *h, const struct lock_ask *ask, int status, bool waits)
{
    bool busy = waits || status == HF_EBUSY || status == HF_EDELAYED;
    bool other = status != HF_OK && status != HF_EALREADY && status != HF_ELIMIT &&
                 status != HF_EOWNERWAITING && status != HF_EDEADLOCK && status != HF_EFROZEN;
    if (other && !busy) return; /* its session, a quota */
    for (uint32_t i = 0; i < ask->names.count; i++)
        settle_limit(rules_of(h, ask->names.items[i]), machine_time_ms(h->machine));
    int right = right_answer(h, ask);
    if (right != (busy ? HF_EBUSY : status))
        fail_answer(h, ask, waits ? "to wait" : status_name(status), right);
    if (status == HF_EDELAYED) look_at_delayed(h, ask);
    if (waits) park(h, ask);
}

void history_lock_already(const struct history *h, const struct lock_ask *ask,
                          const struct lock_names *names, uint64_t token)
{
    struct lock_names held = {0};
    for (uint32_t i = 0; i < ask->names.count; i++) {
        uint32_t lock = ask->names.items[i];
        if (find_own(rules_at(h, lock), ask) != NULL) held.items[held.count++] = lock;
    }
    const struct lock_grant *first = find_first_own(h, ask);
    HF_ASSERT(first != NULL); /* history_lock_asked() has looked */
    if (!lock_names_equal(&held, names) || first->token != token)
        sim_fail("lock-%u: session %" PRIu64 " seq %" PRIu64 " is told that it holds %u locks by "
                 "token %" PRIu64 ", and holds %u by token %" PRIu64,
                 ask->names.items[0], ask->session, ask->seq, names->count, token, held.count,
                 first->token);
}

/* ------------------------------------------------------------------ DOWNGRADE, UPGRADE */

static bool is_alone(const struct lock_rules *l, uint64_t now_ms)
{
    return l->grant_count == 1 && l->shared_delay_ms <= now_ms && l->forced_count == 0;
}

static int right_change(const struct history *h, const struct lock_grant *g, uint64_t mode)
{
    if (g->ask.mode == MODE_PERMITS) return HF_EBADREQUEST;
    if (g->ask.mode == mode) return HF_OK;
    if (mode == MODE_EXCLUSIVE && owner_waits(h, &g->ask)) return HF_EOWNERWAITING;
    for (uint32_t i = 0; i < g->ask.names.count; i++) {
        const struct lock_rules *l = rules_at(h, g->ask.names.items[i]);
        bool has_permits = l->limit != 0 && l->limit != UINT64_MAX;
        if (mode == MODE_SHARED && has_permits) return HF_ELIMIT;
        if (mode == MODE_EXCLUSIVE && !is_alone(l, machine_time_ms(h->machine)))
            return HF_EUPGRADEBUSY;
    }
    return HF_OK;
}

static void change_grant(struct history *h, const struct lock_names *names, uint64_t token,
                         uint64_t mode)
{
    for (uint32_t i = 0; i < names->count; i++) {
        struct lock_rules *l = rules_of(h, names->items[i]);
        struct lock_ask *ask = &l->grants[lock_rules_find(l, token)].ask;
        ask->mode = mode;
        use_limit(l, ask);
    }
}

void history_lock_changed(struct history *h, const struct lock_names *names, uint64_t session,
                          uint64_t owner, uint64_t token, uint64_t mode, int status)
{
    const struct lock_rules *l = rules_at(h, names->items[0]);
    size_t at = lock_rules_find(l, token);
    bool stands = at < l->grant_count;
    bool own = stands && l->grants[at].ask.session == session && l->grants[at].ask.owner == owner;
    bool refused = status == HF_EBADREQUEST || status == HF_EOWNERWAITING || status == HF_ELIMIT ||
                   status == HF_EUPGRADEBUSY || status == HF_ENOTHELD || status == HF_ENOTOWNER ||
                   status == HF_ESTALE;
    if (status != HF_OK && !refused) return; /* its session, a quota */
    int right = !stands ? HF_ENOTHELD : !own ? HF_ENOTOWNER : right_change(h, &l->grants[at], mode);
    if (status != right && !(right == HF_ENOTHELD && status == HF_ESTALE))
        sim_fail(
            "lock-%u: token %" PRIu64 " is to have mode %" PRIu64 " and is answered %s, and %s "
            "is right: %zu holders",
            names->items[0], token, mode, status_name(status), status_name(right), l->grant_count);
    if (status == HF_OK) change_grant(h, names, token, mode);
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

void history_lock_left(struct history *h, const struct lock_names *names, uint64_t session,
                       uint64_t seq)
{
    for (uint32_t i = 0; i < names->count; i++) {
        struct lock_rules *l = rules_of(h, names->items[i]);
        drop_waiter(l, find_waiter(l, names->items[i], session, seq));
    }
}

/* \return what was asked for by the one that has waited longest for this lock and is granted. */
static struct lock_waiter take_waiter(struct lock_rules *l, uint32_t lock, uint64_t session,
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
    return w;
}

/* Where every grant ends within a turn, nobody waits for longer than all that was there before it
 * may take, one after the other: no younger one passes it, and none of the older ones starves. */
static void look_at_wait(struct history *h, const struct lock_waiter *w, uint64_t now_ms)
{
    uint64_t waited_ms = now_ms + w->ask.wait_ms - w->until_ms;
    if (waited_ms > h->waited_ms_max) h->waited_ms_max = waited_ms;
    if (h->turn_ms_max != 0 && waited_ms > w->turns * h->turn_ms_max)
        sim_fail("lock-%u: session %" PRIu64 " seq %" PRIu64 " has waited %" PRIu64
                 " ms, behind %" PRIu64 " others",
                 w->ask.names.items[0], w->ask.session, w->ask.seq, waited_ms, w->turns);
}

/* ------------------------------------------------------------------ grants */

static const struct lock_grant *put_grant(struct history *h, const struct lock_ask *ask,
                                          uint64_t token)
{
    uint64_t now_ms = machine_time_ms(h->machine);
    struct lock_grant g = {.ask = *ask, .token = token, .count = 1};
    const struct lock_grant *last = NULL;
    if (ask->hold_max_ms != 0) g.hold_until_ms = now_ms + ask->hold_max_ms;
    for (uint32_t i = 0; i < ask->names.count; i++) {
        struct lock_rules *l = rules_of(h, ask->names.items[i]);
        use_limit(l, ask);
        l->grants = lock_rules_room(l->grants, l->grant_count, &l->grant_places, sizeof g);
        last = &l->grants[l->grant_count++];
        l->grants[l->grant_count - 1] = g;
        history_events_owe(h, EVENT_GRANTED, HISTORY_LOCK, ask->names.items[i], token);
    }
    return last;
}

static const struct lock_grant *count_again(struct history *h, const struct lock_ask *ask,
                                            uint64_t token, uint64_t count)
{
    const struct lock_grant *last = NULL;
    for (uint32_t i = 0; i < ask->names.count; i++) {
        struct lock_rules *l = rules_of(h, ask->names.items[i]);
        size_t at = lock_rules_find(l, token);
        if (at == l->grant_count)
            sim_fail("lock-%u: token %" PRIu64 " is granted again, and is over",
                     ask->names.items[i], token);
        if (++l->grants[at].count != count)
            sim_fail("lock-%u: token %" PRIu64 " is granted for the %" PRIu64 ". time, not %" PRIu64
                     ".",
                     ask->names.items[i], token, l->grants[at].count, count);
        last = &l->grants[at];
    }
    return last;
}

const struct lock_grant *history_lock_granted(struct history *h, const struct lock_ask *ask,
                                              uint64_t token, uint64_t count)
{
    bool again = find_first_own(h, ask) != NULL;
    if (again || count > 1) return count_again(h, ask, token, count);
    return put_grant(h, ask, token);
}

const struct lock_grant *history_lock_served(struct history *h, const struct lock_names *names,
                                             uint64_t session, uint64_t seq, uint64_t token)
{
    struct lock_waiter w = {0};
    uint64_t now_ms = machine_time_ms(h->machine);
    for (uint32_t i = 0; i < names->count; i++) {
        struct lock_rules *l = rules_of(h, names->items[i]);
        w = take_waiter(l, names->items[i], session, seq);
        if (!is_free_for(l, &w.ask, now_ms))
            sim_fail("lock-%u%s: token %" PRIu64 " is granted beside %zu holders and %zu that were "
                     "forced, %" PRIu64 " units taken, lock-delay left %" PRIu64
                     " ms, of SHARED ones %" PRIu64 " ms",
                     names->items[i], l->frozen ? ", frozen" : "", token, l->grant_count,
                     l->forced_count, units_taken(l),
                     l->delay_ms > now_ms ? l->delay_ms - now_ms : 0,
                     l->shared_delay_ms > now_ms ? l->shared_delay_ms - now_ms : 0);
    }
    look_at_wait(h, &w, now_ms);
    return put_grant(h, &w.ask, token);
}

/* ------------------------------------------------------------------ after an entry */

/* First in each of its queues, and each of its locks is free. */
static bool is_served_late(const struct history *h, const struct lock_waiter *w)
{
    for (uint32_t i = 0; i < w->ask.names.count; i++) {
        const struct lock_rules *l = rules_at(h, w->ask.names.items[i]);
        const struct lock_ask *first = &l->waiters[0].ask;
        if (first->session != w->ask.session || first->seq != w->ask.seq) return false;
        if (!is_free_for(l, &w->ask, h->swept_ms)) return false;
    }
    return true;
}

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
        if (w->ask.names.items[0] == lock && is_served_late(h, w))
            sim_fail("lock-%u: session %" PRIu64 " seq %" PRIu64
                     " waits first of all, and %u locks are free for it",
                     lock, w->ask.session, w->ask.seq, w->ask.names.count);
    }
}
