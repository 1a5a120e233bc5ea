/* Claims about read confirmation, at the mechanism (server/rounds.h) and not at what it is for: a
 * read that is stale shows only if somebody wrote meanwhile what is read.
 *
 * When a leader's round begins, the durable terms of all servers are noted, in true time. Whoever
 * is counted for it was in no later term than the leader's by then, and has come to that one by
 * now: so nobody that is counted had voted for a later leader when the reads of the round were
 * there. Who confirms it is a majority of the voters, all that have no vote left out. And a round
 * takes no reads once it has begun. */
#include <inttypes.h>

#include "raft/configuration.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

static bool has_answered(const struct rounds *r, uint64_t id)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->answered[i] == id) return true;
    }
    return false;
}

/* \return of the voters of the latest configuration, how many `counts` says yes to are missing for
 * a majority; 0 = they are one. */
static uint32_t missing(const struct sim_node *n, bool (*counts)(const struct sim_node *, uint64_t))
{
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    struct slice bytes = {0};
    (void)driver_configuration(n->replica->driver, &bytes);
    size_t count = configuration_decode(bytes, servers);
    uint32_t voters = 0;
    uint32_t yes = 0;
    for (size_t i = 0; i < count; i++) {
        if (servers[i].role != SERVER_VOTER) continue;
        voters++;
        yes += counts(n, servers[i].id);
    }
    uint32_t majority = voters / 2 + 1;
    return yes < majority ? majority - yes : 0;
}

static bool was_in_time(const struct sim_node *n, uint64_t id)
{
    return n->seen.round.terms[id - 1] <= n->seen.round.term;
}

static bool is_counted(const struct sim_node *n, uint64_t id)
{
    return id == n->index + UINT64_C(1) || has_answered(&n->replica->rounds, id);
}

/* The round that was under way is confirmed; the next may have begun in the same pass. */
static void look_at_confirmed(struct sim_node *n)
{
    const struct rounds *r = &n->replica->rounds;
    struct node_round *seen = &n->seen.round;
    if (seen->confirmed || r->confirmed < seen->number) return;
    seen->confirmed = true;
    uint32_t lack = missing(n, was_in_time);
    if (lack > 0)
        sim_fail("server %u takes itself for the leader of term %" PRIu64 " still, by a round that "
                 "began when %u voters less than a majority were in no later term",
                 n->index + 1, seen->term, lack);
    if (r->number != seen->number) return; /* who answered it is forgotten */
    lack = missing(n, is_counted);
    if (lack > 0)
        sim_fail("server %u takes itself for the leader of term %" PRIu64 " still, and of the "
                 "voters that it asked %u answers lack for a majority",
                 n->index + 1, seen->term, lack);
}

static void look_at_answers(const struct sim_node *n)
{
    const struct rounds *r = &n->replica->rounds;
    const struct node_round *seen = &n->seen.round;
    for (uint32_t i = 0; i < r->count; i++) {
        uint64_t id = r->answered[i];
        const struct sim_node *other = &n->sim->nodes[id - 1];
        if (seen->terms[id - 1] > seen->term)
            sim_fail("server %u leads term %" PRIu64 ", and counts an answer of server %" PRIu64
                     ", which was in term %" PRIu64 " when it was asked",
                     n->index + 1, seen->term, id, seen->terms[id - 1]);
        if (other->seen.term < seen->term && !other->anew) /* it may be so since it answered */
            sim_fail("server %u leads term %" PRIu64 ", and counts an answer of server %" PRIu64
                     ", which has only come to term %" PRIu64,
                     n->index + 1, seen->term, id, other->seen.term);
    }
}

static uint64_t count_reads(const struct list *reads, uint64_t number)
{
    uint64_t count = 0;
    for (const struct list *at = reads->next; at != reads; at = at->next)
        count += HF_CONTAINER_OF(at, const struct waiting_read, link)->round <= number;
    return count;
}

static void begin_round(struct sim_node *n, uint64_t reads)
{
    struct node_round *seen = &n->seen.round;
    *seen = (struct node_round){
        .number = n->replica->rounds.number,
        .term = driver_term(n->replica->driver),
        .reads = reads,
    };
    for (uint32_t i = 0; i < n->sim->swarm.node_count; i++)
        seen->terms[i] = n->sim->nodes[i].seen.term;
}

void checks_rounds(struct sim_node *n)
{
    const struct replica *r = n->replica;
    struct node_round *seen = &n->seen.round;
    bool same_term = r->leads && driver_term(r->driver) == seen->term;
    if (!same_term) seen->number = 0;
    if (seen->number != 0) look_at_confirmed(n);
    bool same = seen->number != 0 && seen->number == r->rounds.number;
    if (same) look_at_answers(n);
    if (!r->leads || !r->rounds.under_way) return;
    uint64_t reads =
        count_reads(&r->reads, r->rounds.number) + count_reads(&r->pages, r->rounds.number);
    if (same && reads > seen->reads)
        sim_fail("server %u lets reads join a round that has begun before they came", n->index + 1);
    if (!same) begin_round(n, reads);
    seen->reads = reads;
}
