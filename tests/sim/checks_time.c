/* The claim that cluster time is late, never early (docs/contract.md, 1), pass by pass of each
 * leader. It may count what elapsed on the leader's own clock since its last pass, 200 ms of that
 * at most, and nothing during a grace: after it began to lead, or after a longer gap, if a deadline
 * was stored. It may begin where the last entry stands, or where a leader of that entry's term or a
 * later one was last seen to stand, for that one may have told it. Whatever is more would end a
 * lease whose owner had no leader to renew it with. The sum is made here from the passes alone, as
 * the contract has it: nothing of it comes from the server's own clock. */
#include <inttypes.h>
#include <stdlib.h>

#include "raft/log_entry.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum { STEP_MS_MAX = 200, TIME_OFFSET = 8 };

struct check_term *checks_term(struct checks *k, uint64_t term)
{
    while (term >= k->term_places) {
        uint64_t places = k->term_places == 0 ? 1024 : k->term_places * 2;
        k->terms = realloc(k->terms, places * sizeof *k->terms);
        HF_ASSERT(k->terms != NULL);
        for (uint64_t i = k->term_places; i < places; i++) k->terms[i] = (struct check_term){0};
        k->term_places = places;
    }
    return &k->terms[term];
}

static bool deadline_is_stored(const struct replica *r)
{
    return machine_next_deadline_ms(r->machine) != UINT64_MAX;
}

/* The greatest time at which it may begin. */
static uint64_t greatest_begin(const struct sim_node *n, uint64_t term)
{
    const struct replica *r = n->replica;
    const struct checks *k = &n->sim->checks;
    uint64_t time_ms = machine_time_ms(r->machine);
    uint64_t from = driver_term_of(r->driver, driver_term_start(r->driver) - 1);
    for (uint64_t i = from; i < term && i < k->term_places; i++) {
        if (k->terms[i].told_ms > time_ms) time_ms = k->terms[i].told_ms;
    }
    return time_ms;
}

static void begin_to_lead(struct sim_node *n, uint64_t term, uint64_t now_ms)
{
    struct node_time *t = &n->seen.time;
    *t = (struct node_time){
        .term = term, .most_ms = greatest_begin(n, term), .frozen_until_ms = now_ms};
    if (deadline_is_stored(n->replica)) t->frozen_until_ms += n->sim->swarm.limits.grace_ms;
}

static void count_pass(struct sim_node *n, uint64_t now_ms)
{
    struct node_time *t = &n->seen.time;
    uint64_t from_ms = t->pass_ms > t->frozen_until_ms ? t->pass_ms : t->frozen_until_ms;
    uint64_t step_ms = now_ms > from_ms ? now_ms - from_ms : 0;
    t->most_ms += step_ms < STEP_MS_MAX ? step_ms : STEP_MS_MAX;
    if (t->deadline && now_ms - t->pass_ms > STEP_MS_MAX)
        t->frozen_until_ms = now_ms + n->sim->swarm.limits.grace_ms;
}

/* What its newest entry carries, if that is one of its own that moves time. */
static uint64_t proposed_ms(const struct replica *r, uint64_t term)
{
    uint64_t last = entries_last(&r->entries);
    if (last == 0 || !entries_has(&r->entries, last)) return 0;
    struct log_entry entry = entries_get(&r->entries, last);
    if (entry.type != LOG_COMMAND || entry.term != term) return 0;
    return get_u64(entry.data.data + TIME_OFFSET);
}

void checks_time(struct sim_node *n)
{
    const struct replica *r = n->replica;
    struct node_time *t = &n->seen.time;
    if (!r->leads) {
        t->term = 0;
        return;
    }
    uint64_t now_ms = node_now(n).elapsed_ms;
    uint64_t term = driver_term(r->driver);
    if (t->term != term) {
        begin_to_lead(n, term, now_ms);
    } else {
        count_pass(n, now_ms);
    }
    t->pass_ms = now_ms;
    t->deadline = deadline_is_stored(r);
    uint64_t proposed = proposed_ms(r, term);
    uint64_t greatest = proposed > r->clock.time_ms ? proposed : r->clock.time_ms;
    if (greatest > t->most_ms)
        sim_fail("server %u counts cluster time %" PRIu64 ", and no more than %" PRIu64
                 " has gone by for its clients in term %" PRIu64,
                 n->index + 1, greatest, t->most_ms, term);
    checks_term(&n->sim->checks, term)->told_ms = r->clock.time_ms;
}
