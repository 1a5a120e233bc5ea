/* See the header. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/failure.h"
#include "tests/sim/sim_store.h"

enum {
    CALM_MS_MAX = 10000,
    LOOK_MS = 10,
    WATCH_MS = 50,
    CLIENT_PORT = 7420,
    PEER_PORT = 7421,
    START_MS_MAX = 1000000,
    LATE_MS_MAX = 10000, /* of cluster time, by which a full leader may sweep too late */
};

static const uint64_t MS = 1000000;
static const uint64_t SEC = 1000000000;

void sim_push(struct sim *sim, enum event_kind kind, uint32_t target, uint64_t stamp,
              uint64_t after_ns)
{
    events_push(&sim->events, (struct event){.at_ns = sim->trace.now_ns + after_ns,
                                             .kind = (uint32_t)kind,
                                             .target = target,
                                             .stamp = stamp});
}

void sim_rebirth(struct sim *sim, uint32_t client, uint64_t after_ns)
{
    sim_push(sim, EVENT_REBIRTH, client, sim->clients[client].life, after_ns);
}

/* Something is there for a host to read. */
static void wake(void *data, uint32_t host)
{
    struct sim *sim = data;
    uint64_t now_ns = sim->trace.now_ns;
    if (host == COPIER_HOST) {
        copier_wake(&sim->copier, 0);
        return;
    }
    if (host >= SIM_NODES_MAX + SIM_CLIENTS_MAX) {
        reader_wake(&sim->readers[host - SIM_NODES_MAX - SIM_CLIENTS_MAX], now_ns);
        return;
    }
    if (host >= SIM_NODES_MAX) {
        client_wake(&sim->clients[host - SIM_NODES_MAX], now_ns);
        return;
    }
    struct sim_node *n = &sim->nodes[host];
    node_wake(n, now_ns + prng_below(&n->random, sim->swarm.loop_ns));
}

/* ------------------------------------------------------------------ begin and end */

static void start_clock(struct sim *sim, struct sim_clock *clock)
{
    struct prng *random = &sim->nemesis.random;
    uint64_t local_ns = (1000 + prng_below(random, START_MS_MAX)) * MS;
    sim_clock_init(clock, 0, local_ns, nemesis_draw_rate(sim));
}

static void draw_delays(struct sim *sim)
{
    struct network *n = &sim->network;
    n->ways = sim->swarm.ways;
    for (uint32_t a = 0; a < NETWORK_HOSTS_MAX; a++) {
        for (uint32_t b = 0; b < NETWORK_HOSTS_MAX; b++)
            n->ways.delay_ns[a][b] = 1000 + prng_below(&n->random, sim->swarm.delay_ns_max);
    }
}

static void start_hosts(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        struct sim_node *n = &sim->nodes[i];
        start_clock(sim, &n->clock);
        snprintf(n->address, sizeof n->address, "10.0.0.%u:%d", i + 1, CLIENT_PORT);
        snprintf(n->peer_address, sizeof n->peer_address, "10.0.0.%u:%d", i + 1, PEER_PORT);
    }
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        node_init(&sim->nodes[i], sim, i);
        sim_push(sim, EVENT_RESTART, i, sim->nodes[i].life, 0);
    }
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) {
        start_clock(sim, &sim->clients[i].clock);
        client_init(&sim->clients[i], sim, i);
        sim_rebirth(sim, i, prng_below(&sim->nemesis.random, 500 * MS));
    }
    buffer_init(&sim->read_body, FRAME_BYTES_MAX);
    for (uint32_t i = 0; i < sim->swarm.reader_count; i++) reader_init(&sim->readers[i], sim, i);
}

/* A client sends. */
static void hear(void *data, struct stream *s, struct slice bytes)
{
    struct sim *sim = data;
    copier_hear(&sim->copier, s, bytes);
}

/* The log has one entry more. */
static void see_entry(void *data)
{
    struct sim *sim = data;
    nemesis_see_entry(sim);
    for (uint32_t i = 0; i < sim->swarm.reader_count; i++) reader_see_entry(&sim->readers[i]);
}

static void begin(struct sim *sim, const struct sim_options *options)
{
    sim->seed = options->seed;
    sim->trace.verbose = options->verbose;
    sim->trace.from_ns = options->from_ns;
    failure_begin(options, &sim->trace);
    swarm_draw(&sim->swarm, options->seed, options->node_count, options->client_count);
    sim->idle = options->idle;
    sim->lmdb = options->lmdb;
    if (options->philosophers != 0)
        swarm_make_philosophers(&sim->swarm, options->philosophers, options->fork_by_fork);
    if (options->transfers) swarm_make_transfers(&sim->swarm);
    ledgers_init(&sim->ledgers);
    if (options->idle) swarm_make_idle(&sim->swarm, options->seconds, options->deaths);
    network_init(&sim->network, &sim->events, &sim->trace,
                 swarm_seed(options->seed, PURPOSE_NETWORK, 0));
    sim->network.wake_cb = wake;
    sim->network.data = sim;
    if (sim->swarm.fault_mean_ns[FAULT_COPY] != 0) sim->network.heard_cb = hear;
    draw_delays(sim);
    history_init(&sim->history, &sim->trace);
    sim->history.expired_cb = checks_session_expired;
    sim->history.entry_cb = see_entry;
    sim->history.asked_cb = checks_session_asked;
    sim->history.data = sim;
    if (options->philosophers != 0 && !options->fork_by_fork)
        sim->history.turn_ms_max = DINE_HOLD_MS + LATE_MS_MAX;
    prng_seed(&sim->buggify.random, swarm_seed(options->seed, PURPOSE_BUGGIFY, 0));
    sim->buggify.mask = sim->swarm.buggify_mask;
    sim->history.sweeps_with_ops = (sim->buggify.mask >> BUGGIFY_SWEEP_WITH_OPS & 1) != 0;
    buggify_now = &sim->buggify;
    nemesis_init(sim);
    copier_init(&sim->copier, sim);
    recording_open(sim, options->history);
    start_hosts(sim);
    sim_push(sim, EVENT_AUDIT, 0, 0, sim->swarm.audit_ns);
    if (!sim->idle) sim_push(sim, EVENT_WATCH, 0, 0, WATCH_MS * MS);
    sim->nap_from_ns = options->seconds * SEC / 2;
    sim->nap_until_ns = sim->nap_from_ns + sim->swarm.nap_ns;
    sim_push(sim, EVENT_CALM, 0, 0, options->seconds * SEC + sim->swarm.nap_ns);
}

static void end(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) client_close(&sim->clients[i]);
    recording_close(&sim->recording);
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) node_close(&sim->nodes[i]);
    sim_stores_remove();
    for (uint32_t i = 0; i < sim->swarm.reader_count; i++) reader_close(&sim->readers[i]);
    buffer_close(&sim->read_body);
    buggify_now = NULL;
    history_close(&sim->history);
    ledgers_close(&sim->ledgers);
    checks_close(&sim->checks);
    network_close_all(&sim->network);
    events_close(&sim->events);
    failure_end();
    free(sim);
}

/* ------------------------------------------------------------------ the calm */

static void begin_calm(struct sim *sim)
{
    sim->over = sim->idle;
    if (sim->over) return;
    sim->calm = true;
    sim->calm_ns = sim->trace.now_ns;
    trace_line(&sim->trace, 'x', 0, "calm", "%s", "");
    nemesis_stop(sim);
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) client_calm(&sim->clients[i]);
    sim_push(sim, EVENT_LOOK, 0, 0, LOOK_MS * MS);
}

static uint64_t cluster_time(const struct sim *sim)
{
    uint64_t time_ms = 0;
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        const struct replica *r = sim->nodes[i].replica;
        if (r != NULL && r->leads && r->clock.time_ms > time_ms) time_ms = r->clock.time_ms;
    }
    return time_ms;
}

static void describe_servers(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        const struct sim_node *n = &sim->nodes[i];
        const struct replica *r = n->replica;
        fprintf(stderr, "  server %u: state %d", i + 1, (int)n->state);
        if (r == NULL) {
            fprintf(stderr, "\n");
            continue;
        }
        fprintf(stderr,
                " role %d term %" PRIu64 " leader %" PRIu64 " commit %" PRIu64 " applied %" PRIu64
                " last %" PRIu64 " durable %" PRIu64 " flushing %d paused %d room %d reaches",
                (int)replica_role(r), replica_term(r), replica_leader(r),
                driver_commit_index(r->driver), r->applied_index, driver_last_index(r->driver),
                wal_durable_index(r->wal), n->flushing, r->paused, wal_has_room(r->wal));
        for (uint32_t k = 0; k < sim->swarm.node_count; k++) {
            if (peers_is_open(r->peers, k + 1)) fprintf(stderr, " %u", k + 1);
        }
        fprintf(stderr, "\n");
    }
}

static void fail_calm(const struct sim *sim)
{
    describe_servers(sim);
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) {
        const struct sim_client *c = &sim->clients[i];
        if (c->served_ns == 0)
            sim_fail("client %u is not served %d s after the last fault (alive %d, link %d)", i + 1,
                     CALM_MS_MAX / 1000, c->alive, c->core.link.state);
    }
    uint32_t timer = history_timers_unsettled(&sim->history, cluster_time(sim));
    if (timer < SIM_TIMERS_MAX)
        sim_fail("timer-%u is in state %u, due at %" PRIu64 " of %" PRIu64
                 ", and nobody is given it, though its group is polled",
                 timer, sim->history.timers[timer].state, sim->history.timers[timer].due_ms,
                 cluster_time(sim));
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        const struct sim_node *n = &sim->nodes[i];
        if (n->state == NODE_OUT || n->anew) continue;
        uint64_t applied = n->state == NODE_UP ? n->replica->applied_index : 0;
        if (applied != sim->history.count)
            sim_fail("server %u stands at entry %" PRIu64 " of %" PRIu64
                     ", %d s after the last fault (state %d)",
                     i + 1, applied, sim->history.count, CALM_MS_MAX / 1000, (int)n->state);
    }
    if (sim->ledgers.open_count > 0)
        sim_fail("transfer-%u does not come to its end: %u of %u are open, %d s after the last "
                 "fault",
                 sim->ledgers.open[0], sim->ledgers.open_count, sim->ledgers.count,
                 CALM_MS_MAX / 1000);
    sim_fail("the servers do not come to stand at the same entry");
}

/* Where sessions are capped, dead clients' may stand in the way of all that are alive. */
static bool anybody_works(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) {
        const struct sim_client *c = &sim->clients[i];
        if (c->alive && c->core.session.phase == SESSION_LIVE) return true;
    }
    return sim->swarm.caps_most == 0;
}

static void look(struct sim *sim)
{
    bool served = true;
    for (uint32_t i = 0; i < sim->swarm.client_count; i++)
        served = served && sim->clients[i].served_ns != 0;
    bool settled = sim->swarm.timer_count == 0 ||
                   history_timers_unsettled(&sim->history, cluster_time(sim)) == SIM_TIMERS_MAX;
    bool whole = sim->ledgers.open_count == 0 || !anybody_works(sim);
    sim->over = served && settled && whole && checks_converged(sim);
    if (!sim->over && sim->trace.now_ns - sim->calm_ns > CALM_MS_MAX * MS) fail_calm(sim);
    sim_push(sim, EVENT_LOOK, 0, 0, LOOK_MS * MS);
}

/* ------------------------------------------------------------------ events */

static void audit(struct sim *sim)
{
    history_audit(&sim->history);
    sim_push(sim, EVENT_AUDIT, 0, 0, sim->swarm.audit_ns);
}

static void watch(struct sim *sim)
{
    checks_progress(sim);
    sim_push(sim, EVENT_WATCH, 0, 0, WATCH_MS * MS);
}

static void restart(struct sim *sim, const struct event *event)
{
    struct sim_node *n = &sim->nodes[event->target];
    if (n->state != NODE_DOWN || n->life != event->stamp) return;
    node_start(n);
    if (n->state == NODE_DOWN) /* its disk is full */
        sim_push(sim, EVENT_RESTART, n->index, n->life, 500 * MS);
}

static void resume(struct sim *sim, const struct event *event)
{
    if (event->target < SIM_NODES_MAX) {
        struct sim_node *n = &sim->nodes[event->target];
        if (n->life == event->stamp && n->state == NODE_UP) node_pause(n, false);
        return;
    }
    struct sim_client *c = &sim->clients[event->target - SIM_NODES_MAX];
    if (c->alive && c->life == event->stamp) client_pause(c, false);
}

static void rebirth(struct sim *sim, const struct event *event)
{
    struct sim_client *c = &sim->clients[event->target];
    if (!c->alive && c->life == event->stamp) client_start(c);
}

static void dispatch(struct sim *sim, const struct event *event)
{
    switch ((enum event_kind)event->kind) {
    case EVENT_CHUNK: network_event(&sim->network, event); break;
    case EVENT_NODE: node_event(&sim->nodes[event->target], event); break;
    case EVENT_CLIENT: client_event(&sim->clients[event->target], event); break;
    case EVENT_READER: reader_event(&sim->readers[event->target], event); break;
    case EVENT_JOB:
        node_job_event(&sim->nodes[event->target / 2], event->target & 1, event->stamp);
        break;
    case EVENT_FLUSH: node_flush_event(&sim->nodes[event->target], event->stamp); break;
    case EVENT_RESTART: restart(sim, event); break;
    case EVENT_REBIRTH: rebirth(sim, event); break;
    case EVENT_RESUME: resume(sim, event); break;
    case EVENT_FAULT: nemesis_fault(sim, event); break;
    case EVENT_HEAL: nemesis_heal(sim, event); break;
    case EVENT_AUDIT: audit(sim); break;
    case EVENT_WATCH: watch(sim); break;
    case EVENT_CALM: begin_calm(sim); break;
    case EVENT_LOOK: look(sim); break;
    case EVENT_COPIER: copier_event(&sim->copier); break;
    case EVENT_KIND_COUNT: HF_UNREACHABLE();
    }
}

static void fill_result(const struct sim *sim, struct sim_result *result)
{
    const struct history *h = &sim->history;
    *result = (struct sim_result){
        .digest = sim->trace.digest,
        .cluster_ms = cluster_time(sim),
        .simulated_ns = sim->trace.now_ns,
        .leader_changes = sim->checks.leader_count > 0 ? sim->checks.leader_count - 1 : 0,
        .entries = h->count,
        .grants = h->granted_count,
        .completions = h->completed_count,
        .takeovers = h->takeover_count,
        .expiries = h->expired_count,
        .refused_writes = sim->checks.refused_count,
        .overlap_looks = sim->checks.overlap_looks,
        .node_count = sim->swarm.node_count,
        .client_count = sim->swarm.client_count,
        .counts = sim->counts,
    };
    result->deadlocks = h->deadlock_count;
    for (unsigned i = 0; i < HISTORY_ACTS; i++) result->acts[i] = h->act_counts[i];
    memcpy(result->timers, h->timer_counts, sizeof result->timers);
    result->timer_late_ms_max = h->timer_late_ms_max;
    result->tombstones = h->tombstone_count;
    memcpy(result->branches, h->branch_counts, sizeof result->branches);
    memcpy(result->txns, h->txn_counts, sizeof result->txns);
    memcpy(result->watches, sim->checks.watch_counts, sizeof result->watches);
    memcpy(result->told, h->events.counts, sizeof result->told);
    memcpy(result->deaths, sim->ledgers.deaths, sizeof result->deaths);
    result->confirmed = sim->ledgers.confirmed_count;
    result->transfers = result->confirmed + sim->ledgers.cancelled_count;
    result->waited_ms_max = h->waited_ms_max;
    result->meals_least = sim->meals[0];
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) {
        result->meals += sim->meals[i];
        if (sim->meals[i] < result->meals_least) result->meals_least = sim->meals[i];
    }
    memcpy(result->points, sim->buggify.count, sizeof result->points);
}

/* Everybody has eaten; and whoever takes one fork after the other came to wait in a circle. */
static void look_at_meals(const struct sim *sim)
{
    if (sim->swarm.script_weight[SCRIPT_DINE] == 0) return;
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) {
        if (sim->meals[i] == 0) sim_fail("philosopher %u has eaten nothing", i + 1);
    }
    if (sim->swarm.fork_by_fork && sim->history.deadlock_count == 0)
        sim_fail("nobody was told of a deadlock: a longer run, or other faults");
}

void sim_run(const struct sim_options *options, struct sim_result *result)
{
    struct sim *sim = calloc(1, sizeof *sim);
    HF_ASSERT(sim != NULL);
    begin(sim, options);
    struct event event;
    while (!sim->over && events_pop(&sim->events, &event)) {
        HF_ASSERT(event.at_ns >= sim->trace.now_ns);
        sim->trace.now_ns = event.at_ns;
        trace_mix(&sim->trace,
                  event.at_ns ^ (uint64_t)event.kind << 56 ^ (uint64_t)event.target << 40);
        sim->counts.events++;
        dispatch(sim, &event);
    }
    history_audit(&sim->history);
    look_at_meals(sim);
    checks_timers_end(sim);
    ledgers_end(&sim->ledgers);
    fill_result(sim, result);
    end(sim);
}
