/* See the header. */
#include "tests/sim/nemesis.h"

#include <inttypes.h>

#include "base/buggify.h"
#include "base/status.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum { MILLION = 1000000, WALL_JUMP_MS = 7200000, DISK_CALLS_MAX = 30, TRIES = 8 };

static const uint64_t MS = 1000000;

static uint64_t draw(struct sim *sim, uint64_t bound)
{
    return bound > 1 ? prng_below(&sim->nemesis.random, bound) : 0;
}

static uint64_t draw_ms(struct sim *sim, uint64_t least_ms, uint64_t most_ms)
{
    return (least_ms + draw(sim, most_ms - least_ms + 1)) * MS;
}

static void push_next(struct sim *sim, enum fault_kind kind)
{
    uint64_t mean_ns = sim->swarm.fault_mean_ns[kind];
    sim_push(sim, EVENT_FAULT, kind, 0, mean_ns / 4 + draw(sim, mean_ns * 3 / 2));
}

void nemesis_init(struct sim *sim)
{
    prng_seed(&sim->nemesis.random, swarm_seed(sim->seed, PURPOSE_FAULTS, 0));
    for (unsigned kind = 0; kind < FAULT_COUNT; kind++) {
        if (sim->swarm.fault_mean_ns[kind] != 0) push_next(sim, (enum fault_kind)kind);
    }
}

/* ------------------------------------------------------------------ servers */

/* One that runs and is not stopped; NULL: not found at once. */
static struct sim_node *draw_node(struct sim *sim)
{
    for (unsigned i = 0; i < TRIES; i++) {
        struct sim_node *n = &sim->nodes[draw(sim, sim->swarm.node_count)];
        if (n->state == NODE_UP && !n->paused) return n;
    }
    return NULL;
}

struct sim_node *nemesis_leader(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        struct sim_node *n = &sim->nodes[i];
        if (n->state == NODE_UP && replica_role(n->replica) == DRIVER_LEADER) return n;
    }
    return NULL;
}

static void end_server(struct sim *sim, struct sim_node *n, enum node_end how)
{
    node_die(n, how);
    sim_push(sim, EVENT_RESTART, n->index, n->life, draw_ms(sim, 20, 5000));
}

void nemesis_server_ended(struct sim *sim, struct sim_node *n)
{
    n->disk.write_fails_in = n->disk.sync_fails_in = 0;
    if (sim->calm || draw(sim, 3) > 0)
        sim_push(sim, EVENT_RESTART, n->index, n->life, draw_ms(sim, 20, 5000));
}

void nemesis_server_stopped(struct sim *sim, struct sim_node *n)
{
    sim_push(sim, EVENT_RESTART, n->index, n->life, sim->calm ? 0 : draw_ms(sim, 20, 5000));
}

/* One that runs is told to stop in order; sometimes all are. */
static bool stop_servers(struct sim *sim)
{
    bool all = draw(sim, 6) == 0;
    const struct sim_node *one = draw_node(sim);
    if (one == NULL) return false;
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        struct sim_node *n = &sim->nodes[i];
        if (n->state == NODE_UP && (all || n == one)) node_stop(n);
    }
    return true;
}

static bool cut_power(struct sim *sim)
{
    bool all = draw(sim, 4) == 0;
    struct sim_node *one = draw_node(sim);
    if (one == NULL) return false;
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        struct sim_node *n = &sim->nodes[i];
        if (n->state == NODE_UP && (all || n == one)) end_server(sim, n, END_POWER);
    }
    return true;
}

void nemesis_pause_server(struct sim *sim, struct sim_node *n)
{
    n->pause_in_round = false;
    node_pause(n, true);
    sim_push(sim, EVENT_RESUME, n->index, n->life,
             draw_ms(sim, 50, draw(sim, 4) == 0 ? 15000 : 1500));
}

/* At once, or, where somebody reads, between the question whether it still leads and the answers:
 * these prove nothing about reads that come while it is stopped. */
static bool begin_pause(struct sim *sim, struct sim_node *n)
{
    n->pause_in_round =
        n == nemesis_leader(sim) && sim->swarm.reader_count > 0 && draw(sim, 2) == 0;
    if (!n->pause_in_round) nemesis_pause_server(sim, n);
    return true;
}

static bool fill_disk(struct sim *sim, struct sim_node *n)
{
    n->disk.bytes_max = n->disk.bytes + draw(sim, (uint64_t)sim->swarm.segment_bytes * 2);
    sim_push(sim, EVENT_HEAL, FAULT_DISK_FULL, n->index, draw_ms(sim, 500, 10000));
    return true;
}

static bool fail_disk(struct sim *sim, struct sim_node *n)
{
    uint64_t in = 1 + draw(sim, DISK_CALLS_MAX);
    if (draw(sim, 2) == 0) {
        n->disk.write_fails_in = in;
    } else {
        n->disk.sync_fails_in = in;
    }
    n->disk_failed = true;
    return true;
}

/* Of a minority at most: what the others hold is whole. */
static bool may_damage(const struct sim *sim, const struct sim_node *n)
{
    uint32_t minority = (sim->swarm.voter_count - 1) / 2;
    return !n->damaged && sim->nemesis.damaged_count < minority;
}

static bool note_damage(struct sim *sim, struct sim_node *n, const char *what, const char *name)
{
    if (name == NULL) return false;
    n->damaged = true;
    sim->nemesis.damaged_count++;
    trace_line(&sim->trace, 'n', n->index + 1, what, "%s", name);
    return true;
}

/* It shows when the server starts the next time. */
static bool rot(struct sim *sim, struct sim_node *n)
{
    if (!may_damage(sim, n)) return false;
    bool any = note_damage(sim, n, "rot", sim_disk_rot(&n->disk));
    if (any && draw(sim, 2) == 0) end_server(sim, n, END_KILLED);
    return any;
}

/* While the power is on the machine's memory shows what it lost. */
static bool forget(struct sim *sim, struct sim_node *n, enum fault_kind kind)
{
    if (!may_damage(sim, n)) return false;
    end_server(sim, n, END_POWER);
    const char *name = sim_disk_forget(&n->disk, kind == FAULT_ASTRAY);
    return note_damage(sim, n, fault_name(kind), name);
}

void nemesis_see_entry(struct sim *sim)
{
    if (sim->swarm.fault_mean_ns[FAULT_ANEW] == 0) return;
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        uint64_t known = 0;
        if (sim->nodes[i].recorded_index != 0) continue;
        int rv = machine_member(sim->history.machine, i + 1, &known);
        if (rv != HF_OK) sim_fail("the log's own state cannot be read: %s", status_name(rv));
        if (known != 0) sim->nodes[i].recorded_index = sim->history.count + 1;
    }
}

/* Whoever lacks that in its log takes a directory that was made anew for the first:
 * docs/testing.md. */
static bool all_know(const struct sim *sim, const struct sim_node *n)
{
    if (n->recorded_index == 0) return false;
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        const struct sim_node *other = &sim->nodes[i];
        if (other != n && other->seen.held < n->recorded_index) return false;
    }
    return true;
}

/* As an administrator would who does not know better. */
static bool make_anew(struct sim *sim, struct sim_node *n)
{
    if (!may_damage(sim, n) || !all_know(sim, n)) return false;
    end_server(sim, n, draw(sim, 2) == 0 ? END_POWER : END_KILLED);
    node_make_anew(n);
    return note_damage(sim, n, "anew", "directory");
}

static bool kill_leader(struct sim *sim)
{
    struct sim_node *n = nemesis_leader(sim);
    if (n != NULL) end_server(sim, n, END_KILLED);
    return n != NULL;
}

/* Half of them the leader: it wakes deposed, with requests before it, and does not know. */
static struct sim_node *draw_node_to_pause(struct sim *sim)
{
    struct sim_node *leader = draw(sim, 2) == 0 ? nemesis_leader(sim) : NULL;
    return leader != NULL && !leader->paused ? leader : draw_node(sim);
}

static bool hurt_server(struct sim *sim, enum fault_kind kind)
{
    struct sim_node *n = kind == FAULT_PAUSE ? draw_node_to_pause(sim) : draw_node(sim);
    if (n == NULL) return false;
    trace_line(&sim->trace, 'n', n->index + 1, "fault", "%s", fault_name(kind));
    switch (kind) {
    case FAULT_KILL: end_server(sim, n, END_KILLED); return true;
    case FAULT_PAUSE: return begin_pause(sim, n);
    case FAULT_STALL:
        n->hurt_ns = n->busy_ns = sim->trace.now_ns + draw_ms(sim, 20, 600);
        return true;
    case FAULT_SLOW_DISK:
        n->hurt_ns = n->slow_ns = sim->trace.now_ns + draw_ms(sim, 500, 10000);
        return true;
    case FAULT_DISK_ERROR: return fail_disk(sim, n);
    case FAULT_DISK_FULL: return fill_disk(sim, n);
    case FAULT_ROT: return rot(sim, n);
    case FAULT_FORGET:
    case FAULT_ASTRAY: return forget(sim, n, kind);
    case FAULT_ANEW: return make_anew(sim, n);
    default: HF_UNREACHABLE();
    }
}

/* ------------------------------------------------------------------ clients, clocks, network */

static bool hurt_client(struct sim *sim, enum fault_kind kind)
{
    struct sim_client *c = &sim->clients[draw(sim, sim->swarm.client_count)];
    if (!c->alive || c->paused) return false;
    trace_line(&sim->trace, 'c', c->index + 1, "fault", "%s", fault_name(kind));
    if (kind == FAULT_CLIENT_DEATH) {
        client_die(c);
        sim_rebirth(sim, c->index, draw_ms(sim, 1, 3000));
        return true;
    }
    uint64_t most_ms = draw(sim, 2) == 0 ? c->ttl_ms * 2 : c->ttl_ms / 2;
    client_pause(c, true);
    sim_push(sim, EVENT_RESUME, c->host, c->life,
             draw_ms(sim, 10, most_ms < 20000 ? most_ms : 20000));
    return true;
}

int64_t nemesis_draw_rate(struct sim *sim)
{
    int64_t most = sim->swarm.rate_ppm_max;
    return (int64_t)draw(sim, (uint64_t)most * 2 + 1) - most;
}

static bool change_clock(struct sim *sim, enum fault_kind kind)
{
    uint32_t all = sim->swarm.node_count + sim->swarm.client_count;
    uint32_t at = (uint32_t)draw(sim, all);
    struct sim_client *c =
        at >= sim->swarm.node_count ? &sim->clients[at - sim->swarm.node_count] : NULL;
    struct sim_clock *clock = c != NULL ? &c->clock : &sim->nodes[at].clock;
    if (kind == FAULT_WALL) {
        clock->wall_ms += (int64_t)draw(sim, WALL_JUMP_MS * UINT64_C(2)) - WALL_JUMP_MS;
        return true;
    }
    sim_clock_set_rate(clock, sim->trace.now_ns, nemesis_draw_rate(sim));
    if (c != NULL) {
        client_wake(c, sim->trace.now_ns); /* what it waits for may come earlier now */
    } else {
        node_wake(&sim->nodes[at], sim->trace.now_ns);
    }
    return true;
}

static bool break_stream(struct sim *sim)
{
    struct network *n = &sim->network;
    if (n->stream_count == 0) return false;
    struct stream *s = n->streams[draw(sim, n->stream_count)];
    if (!s->ends[0].open || !s->ends[1].open) return false;
    network_break(n, s);
    return true;
}

static bool clog_host(struct sim *sim)
{
    uint32_t all = sim->swarm.node_count + sim->swarm.client_count;
    uint32_t at = (uint32_t)draw(sim, all);
    uint32_t host = at < sim->swarm.node_count ? at : SIM_NODES_MAX + at - sim->swarm.node_count;
    sim->network.clog_ns[host] = sim->trace.now_ns + draw_ms(sim, 20, 1500);
    return true;
}

static bool partition(struct sim *sim)
{
    network_heal_all(&sim->network);
    const char *shape = nemesis_partition(sim);
    trace_line(&sim->trace, 'x', 0, "partition", "%s", shape);
    sim_push(sim, EVENT_HEAL, FAULT_PARTITION, ++sim->nemesis.partition_stamp,
             draw_ms(sim, 50, draw(sim, 3) == 0 ? 15000 : 2000));
    return true;
}

/* ------------------------------------------------------------------ events */

static bool apply(struct sim *sim, enum fault_kind kind)
{
    switch (kind) {
    case FAULT_POWER: return cut_power(sim);
    case FAULT_LEADER: return kill_leader(sim);
    case FAULT_STOP: return stop_servers(sim);
    case FAULT_CLIENT_PAUSE:
    case FAULT_CLIENT_DEATH: return hurt_client(sim, kind);
    case FAULT_PARTITION: return partition(sim);
    case FAULT_FLAP: nemesis_flap(sim); return true;
    case FAULT_COPY: return copier_go(&sim->copier);
    case FAULT_LAG: return nemesis_lag(sim);
    case FAULT_RESET: return break_stream(sim);
    case FAULT_CLOG: return clog_host(sim);
    case FAULT_RATE:
    case FAULT_WALL: return change_clock(sim, kind);
    default: return hurt_server(sim, kind);
    }
}

void nemesis_fault(struct sim *sim, const struct event *event)
{
    enum fault_kind kind = (enum fault_kind)event->target;
    HF_ASSERT(kind < FAULT_COUNT);
    if (sim->calm) return;
    if (apply(sim, kind)) {
        sim->counts.faults++;
        sim->counts.fault_kinds[kind]++;
    }
    push_next(sim, kind);
}

void nemesis_heal(struct sim *sim, const struct event *event)
{
    if (event->target == FAULT_PARTITION && event->stamp == sim->nemesis.partition_stamp)
        network_heal_all(&sim->network);
    if (event->target == FAULT_FLAP) nemesis_flap_turn(sim, event->stamp);
    if (event->target == FAULT_DISK_FULL) {
        struct sim_node *n = &sim->nodes[event->stamp];
        n->disk.bytes_max = n->full_bytes_max;
        if (n->state == NODE_DOWN) /* it did not start for want of space */
            sim_push(sim, EVENT_RESTART, n->index, n->life, draw_ms(sim, 20, 1000));
    }
}

void nemesis_stop(struct sim *sim)
{
    network_heal_all(&sim->network);
    sim->nemesis.flap_left = 0;
    copier_stop(&sim->copier);
    sim->network.ways.spike_ppm = 0;
    sim->network.ways.dial_lost_ppm = 0;
    if (buggify_now != NULL) buggify_now->mask = 0;
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        struct sim_node *n = &sim->nodes[i];
        n->disk.write_fails_in = n->disk.sync_fails_in = 0;
        n->disk.bytes_max = n->full_bytes_max;
        n->slow_ns = 0;
        n->pause_in_round = false;
        if (n->state == NODE_UP && n->paused) node_pause(n, false);
        if (n->state == NODE_DOWN) sim_push(sim, EVENT_RESTART, n->index, n->life, 0);
    }
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) {
        struct sim_client *c = &sim->clients[i];
        if (c->alive && c->paused) client_pause(c, false);
        if (!c->alive) sim_rebirth(sim, i, 0);
    }
}
