/* Shapes of partitions. Servers are cut from each other; clients go with a side, or have cuts of
 * their own. */
#include "tests/sim/nemesis.h"

#include "tests/sim/sim.h"

static uint32_t draw(struct sim *sim, uint32_t bound)
{
    return bound > 1 ? (uint32_t)prng_below(&sim->nemesis.random, bound) : 0;
}

static void cut_both(struct sim *sim, uint32_t a, uint32_t b)
{
    network_cut(&sim->network, a, b);
    network_cut(&sim->network, b, a);
}

/* Every host's side is a number; hosts of different sides do not reach each other. */
static void cut_sides(struct sim *sim, const uint8_t *side)
{
    for (uint32_t a = 0; a < NETWORK_HOSTS_MAX; a++) {
        for (uint32_t b = 0; b < a; b++) {
            if (side[a] != side[b]) cut_both(sim, a, b);
        }
    }
}

static void draw_clients_sides(struct sim *sim, uint8_t *side, uint32_t sides)
{
    for (uint32_t i = 0; i < sim->swarm.client_count; i++)
        side[SIM_NODES_MAX + i] = (uint8_t)draw(sim, sides);
    for (uint32_t i = 0; i < sim->swarm.reader_count; i++)
        side[SIM_NODES_MAX + SIM_CLIENTS_MAX + i] = (uint8_t)draw(sim, sides);
}

static void halves(struct sim *sim)
{
    uint8_t side[NETWORK_HOSTS_MAX] = {0};
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) side[i] = (uint8_t)draw(sim, 2);
    draw_clients_sides(sim, side, 2);
    cut_sides(sim, side);
}

/* One server alone; clients may still reach it. */
static void isolate(struct sim *sim, bool out, bool in)
{
    uint32_t one = draw(sim, sim->swarm.node_count);
    bool clients = draw(sim, 2) == 0;
    uint32_t last = clients ? SIM_NODES_MAX + sim->swarm.client_count : sim->swarm.node_count;
    for (uint32_t i = 0; i < last; i++) {
        if (i == one) continue;
        if (out) network_cut(&sim->network, one, i);
        if (in) network_cut(&sim->network, i, one);
    }
}

/* The leader, with a minority of the others or alone, on one side; all clients reach both. Some
 * connections to it break, as those through a balancer that looks after its servers: these clients
 * meet the next leader while others still ask the last one. */
static void isolate_leader(struct sim *sim)
{
    const struct sim_node *leader = nemesis_leader(sim);
    uint32_t count = sim->swarm.node_count;
    HF_ASSERT(count > 0);
    uint32_t first = leader != NULL ? leader->index : draw(sim, count);
    uint32_t with = 1 + draw(sim, (count - 1) / 2);
    for (uint32_t a = 0; a < with; a++) {
        for (uint32_t b = with; b < count; b++)
            cut_both(sim, (first + a) % count, (first + b) % count);
    }
    struct network *n = &sim->network;
    for (uint32_t i = 0; i < n->stream_count; i++) {
        struct stream *s = n->streams[i];
        if (s->ends[0].open && s->ends[1].open && s->use == STREAM_CLIENT &&
            s->ends[1].host == first && draw(sim, 2) == 0)
            network_break(n, s);
    }
}

/* Each server reaches a majority, but no two the same one. */
static void ring(struct sim *sim)
{
    uint32_t count = sim->swarm.node_count;
    for (uint32_t a = 0; a < count; a++) {
        for (uint32_t b = 0; b < a; b++) {
            uint32_t apart = a - b < count - (a - b) ? a - b : count - (a - b);
            if (apart > (count - 1) / 4 + (count == 3 ? 0 : 1)) cut_both(sim, a, b);
        }
    }
}

/* Two halves that do not reach each other, and one server that reaches both. */
static void bridge(struct sim *sim)
{
    uint32_t count = sim->swarm.node_count;
    uint32_t first = draw(sim, count);
    for (uint32_t a = 1; a < count; a++) {
        for (uint32_t b = 1; b < a; b++) {
            if ((a <= count / 2) != (b <= count / 2))
                cut_both(sim, (first + a) % count, (first + b) % count);
        }
    }
}

static void some_links(struct sim *sim)
{
    uint32_t last = SIM_NODES_MAX + sim->swarm.client_count;
    for (uint32_t a = 0; a < last; a++) {
        for (uint32_t b = 0; b < last; b++) {
            if (a != b && draw(sim, 5) == 0) network_cut(&sim->network, a, b);
        }
    }
}

static void cut_client(struct sim *sim)
{
    uint32_t host = SIM_NODES_MAX + draw(sim, sim->swarm.client_count);
    uint32_t how = draw(sim, 3);
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        if (how != 1) network_cut(&sim->network, host, i);
        if (how != 0) network_cut(&sim->network, i, host);
    }
}

/* ------------------------------------------------------------------ a link that flaps */

enum { FLAPS_MAX = 40, FLAP_NS_MIN = 2000000, FLAP_DOUBLINGS = 8 };

void nemesis_flap(struct sim *sim)
{
    struct nemesis *n = &sim->nemesis;
    if (n->flap_left > 0) { /* the one before ends healed */
        network_heal(&sim->network, n->flap_hosts[0], n->flap_hosts[1]);
        network_heal(&sim->network, n->flap_hosts[1], n->flap_hosts[0]);
    }
    uint32_t one = draw(sim, sim->swarm.node_count);
    uint32_t all = sim->swarm.node_count + sim->swarm.client_count;
    uint32_t other = (one + 1 + draw(sim, all - 1)) % all;
    if (other >= sim->swarm.node_count) other += SIM_NODES_MAX - sim->swarm.node_count;
    bool from = draw(sim, 2) == 0;
    n->flap_hosts[0] = from ? one : other;
    n->flap_hosts[1] = from ? other : one;
    n->flap_both = draw(sim, 2) == 0;
    n->flap_left = 2 * (1 + draw(sim, FLAPS_MAX));
    n->flap_ns = (uint64_t)FLAP_NS_MIN << draw(sim, FLAP_DOUBLINGS); /* to a quarter of a second */
    trace_line(&sim->trace, 'x', 0, "flap", "host %u %s host %u, %u turns", n->flap_hosts[0],
               n->flap_both ? "and" : "to", n->flap_hosts[1], n->flap_left);
    nemesis_flap_turn(sim, ++n->flap_stamp);
}

void nemesis_flap_turn(struct sim *sim, uint64_t stamp)
{
    struct nemesis *n = &sim->nemesis;
    if (stamp != n->flap_stamp || n->flap_left == 0) return;
    bool cut = n->flap_left-- % 2 == 0;
    for (unsigned way = 0; way < 1U + n->flap_both; way++) {
        uint32_t from = n->flap_hosts[way];
        uint32_t to = n->flap_hosts[1 - way];
        if (cut) {
            network_cut(&sim->network, from, to);
        } else {
            network_heal(&sim->network, from, to);
        }
    }
    uint64_t after_ns = n->flap_ns / 2 + prng_below(&n->random, n->flap_ns);
    sim_push(sim, EVENT_HEAL, FAULT_FLAP, stamp, after_ns);
}

/* ------------------------------------------------------------------ a bare majority */

enum { LAG_MS_LEAST = 20, LAG_DOUBLINGS = 7, LAST_MS_LEAST = 500, LAST_MS_MOST = 10000 };

/* The leader is of it. The others hear everything, from 20 ms to a second and a half late: longer
 * than an election takes, or not even than a heartbeat. */
bool nemesis_lag(struct sim *sim)
{
    static const uint64_t ms = 1000000;
    const struct sim_node *leader = nemesis_leader(sim);
    uint32_t count = sim->swarm.node_count;
    uint32_t late_count = (count - 1) / 2;
    if (late_count == 0) return false;
    uint32_t first = leader != NULL ? leader->index : draw(sim, count);
    uint32_t start = draw(sim, count - 1);
    uint64_t last_ms = LAST_MS_LEAST + draw(sim, LAST_MS_MOST - LAST_MS_LEAST);
    for (uint32_t i = 0; i < late_count; i++) {
        uint32_t late = (first + 1 + (start + i) % (count - 1)) % count;
        uint32_t least_ms = (uint32_t)LAG_MS_LEAST << draw(sim, LAG_DOUBLINGS);
        uint64_t lag_ms = least_ms + draw(sim, LAG_MS_LEAST);
        sim->network.lag_ns[late] = lag_ms * ms;
        sim->network.lag_until_ns[late] = sim->trace.now_ns + last_ms * ms;
        trace_line(&sim->trace, 'n', late + 1, "lags", "%u ms", (unsigned)lag_ms);
    }
    return true;
}

/* ------------------------------------------------------------------ shapes */

const char *nemesis_partition(struct sim *sim)
{
    switch (draw(sim, 11)) {
    case 0: isolate(sim, true, true); return "one alone";
    case 1: isolate(sim, true, false); return "one mute";
    case 2: isolate(sim, false, true); return "one deaf";
    case 3: ring(sim); return "ring of majorities";
    case 4: bridge(sim); return "bridge";
    case 5: some_links(sim); return "some links";
    case 6: cut_client(sim); return "a client";
    case 7:
    case 8: isolate_leader(sim); return "the leader's side";
    default: halves(sim); return "halves";
    }
}
