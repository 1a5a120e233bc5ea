/* Cycles of owners who wait for each other, by contract, 4 and 13, from the log alone: the answer
 * DEADLOCK comes where there is one, and nowhere else. */
#include <inttypes.h>

#include "tests/sim/failure.h"
#include "tests/sim/history.h"

enum { OWNERS_MAX = 1024 };

struct owner {
    uint64_t session;
    uint64_t owner;
    uint64_t distance; /* of waits, from the one that asks */
};

/* Owners that are met, nearest first. */
struct walk {
    struct owner owners[OWNERS_MAX];
    uint32_t count;
};

static bool is_met(const struct walk *w, uint64_t session, uint64_t owner)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->owners[i].session == session && w->owners[i].owner == owner) return true;
    }
    return false;
}

static void meet(struct walk *w, const struct lock_ask *ask, uint64_t distance)
{
    if (is_met(w, ask->session, ask->owner)) return;
    HF_ASSERT(w->count < OWNERS_MAX);
    w->owners[w->count++] =
        (struct owner){.session = ask->session, .owner = ask->owner, .distance = distance};
}

/* Of more than one permit: others may give back what it wants, and nobody says who. */
static bool has_no_edges(const struct lock_ask *ask)
{
    return ask->mode == MODE_PERMITS && ask->limit > 1;
}

/* Whom does it wait for? Holders that exclude it, and everybody who is before it in a queue. */
static void look_before(const struct history *h, struct walk *w, const struct lock_ask *ask,
                        uint64_t distance)
{
    if (has_no_edges(ask)) return;
    for (uint32_t n = 0; n < ask->names.count; n++) {
        const struct lock_rules *l = &h->locks[ask->names.items[n]].rules;
        for (size_t i = 0; i < l->grant_count; i++) {
            const struct lock_ask *holder = &l->grants[i].ask;
            bool shares = holder->mode == MODE_SHARED && ask->mode == MODE_SHARED;
            if (!shares && !has_no_edges(holder)) meet(w, holder, distance);
        }
        for (size_t i = 0; i < l->waiter_count; i++) {
            const struct lock_ask *waiter = &l->waiters[i].ask;
            if (waiter->session == ask->session && waiter->seq == ask->seq) break;
            if (!l->waiters[i].over && !has_no_edges(waiter)) meet(w, waiter, distance);
        }
    }
}

/* What the owner waits for, or NULL. */
static const struct lock_ask *find_wait(const struct history *h, uint64_t session, uint64_t owner)
{
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        const struct lock_rules *l = &h->locks[lock].rules;
        for (size_t i = 0; i < l->waiter_count; i++) {
            const struct lock_ask *ask = &l->waiters[i].ask;
            if (!l->waiters[i].over && ask->session == session && ask->owner == owner) return ask;
        }
    }
    return NULL;
}

static bool holds_anything(const struct history *h, const struct lock_ask *ask)
{
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        const struct lock_rules *l = &h->locks[lock].rules;
        for (size_t i = 0; i < l->grant_count; i++) {
            const struct lock_ask *holder = &l->grants[i].ask;
            if (holder->session == ask->session && holder->owner == ask->owner) return true;
        }
    }
    return false;
}

uint64_t history_cycle_length(const struct history *h, const struct lock_ask *ask)
{
    struct walk w = {.count = 0};
    if (!holds_anything(h, ask)) return 0; /* nobody waits for it */
    look_before(h, &w, ask, 1);
    for (uint32_t i = 0; i < w.count; i++) {
        const struct owner *o = &w.owners[i];
        if (o->session == ask->session && o->owner == ask->owner) return o->distance;
        const struct lock_ask *wait = find_wait(h, o->session, o->owner);
        if (wait != NULL) look_before(h, &w, wait, o->distance + 1);
    }
    return 0;
}

void history_cycle_told(struct history *h, const struct lock_ask *ask,
                        const struct msg_deadlock *told)
{
    uint64_t length = history_cycle_length(h, ask);
    const struct owner_item *owners = told->owners.items;
    bool right = told->length == length && owners[0].session == ask->session &&
                 owners[0].owner == ask->owner;
    for (uint32_t i = 0; right && i < told->owners.count; i++) {
        struct walk w = {.count = 0};
        const struct owner_item *next = &owners[(i + 1) % told->owners.count];
        bool is_cut = i + 1 == told->owners.count && told->owners.count < told->length;
        const struct lock_ask *wait =
            i == 0 ? ask : find_wait(h, owners[i].session, owners[i].owner);
        if (wait != NULL) look_before(h, &w, wait, 1);
        right = is_cut || is_met(&w, next->session, next->owner);
    }
    if (!right)
        sim_fail("session %" PRIu64 " seq %" PRIu64 " is told a cycle of %" PRIu64
                 " owners, which is none, or not the shortest, of %" PRIu64,
                 ask->session, ask->seq, told->length, length);
    h->deadlock_count++;
}
