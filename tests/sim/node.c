/* See the header. */
#include "tests/sim/node.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buggify.h"
#include "base/status.h"
#include "raft/configuration.h"
#include "raft/directory.h"
#include "raft/wal_private.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_store.h"

enum {
    CONFIGURATION_BYTES_MAX = 4096,
    SLOW_FACTOR = 100,
    FLUSH_FACTOR = 4,
    NS_PER_MS = 1000000,
    POWER_SYNCS_MOST = 3,
    SYNC_NS_MAX = 600000000,
    INCARNATION_FIRST = 100, /* of directories: that of server 1, and so on */
    PASS_NS = 20000, /* what a pass takes at least: a loop that spins gets on all the same */
};

static const uint8_t cluster_id[VOTE_CLUSTER_ID_BYTES] = {0x51, 1};
static const enum wal_lane lanes[] = {WAL_LANE_WRITE, WAL_LANE_BACKGROUND};

static uint64_t true_now(const struct sim_node *n)
{
    return n->sim->trace.now_ns;
}

struct replica_now node_now(const struct sim_node *n)
{
    return (struct replica_now){
        .elapsed_ms = sim_clock_local(&n->clock, true_now(n)) / NS_PER_MS,
        .wall_ms = sim_clock_wall_ms(&n->clock, true_now(n)),
    };
}

/* ------------------------------------------------------------------ begin */

static void make_directory(struct sim_node *n)
{
    struct refusal why = {{0}};
    struct buffer configuration;
    struct configuration_server servers[SIM_NODES_MAX];
    uint32_t count = n->sim->swarm.node_count;
    for (uint32_t i = 0; i < count; i++) {
        servers[i] = (struct configuration_server){
            .id = i + 1,
            .address = n->sim->nodes[i].peer_address,
            .role = i < n->sim->swarm.voter_count ? SERVER_VOTER : SERVER_STANDBY,
        };
    }
    buffer_init(&configuration, CONFIGURATION_BYTES_MAX);
    int rv = configuration_encode(servers, count, &configuration);
    HF_ASSERT(rv == HF_OK);
    struct directory_settings settings = {
        .node_id = n->index + 1,
        .incarnation = INCARNATION_FIRST + n->index + (n->anew ? SIM_NODES_MAX : 0),
        .configuration = buffer_slice(&configuration),
        .segment_bytes = n->sim->swarm.segment_bytes,
    };
    memcpy(settings.cluster_id, cluster_id, sizeof cluster_id);
    rv = directory_make(&n->disk.disk, &settings, &why);
    if (rv != HF_OK) sim_fail("server %u: no directory: %s", n->index + 1, why.text);
    buffer_close(&configuration);
}

static void init_disk(struct sim_node *n)
{
    const uint64_t *means_ns = n->sim->swarm.fault_mean_ns;
    uint32_t which = n->index + (n->anew ? SIM_NODES_MAX : 0);
    sim_disk_init(&n->disk, swarm_seed(n->sim->seed, PURPOSE_DISK, which));
    n->full_bytes_max = n->disk.bytes_max = (uint64_t)64 << 20;
    n->disk.remembers =
        means_ns[FAULT_FORGET] != 0 || means_ns[FAULT_ASTRAY] != 0 || means_ns[FAULT_ROT] != 0;
    n->disk.spares = "wal-"; /* its loss looks like a torn end: docs/testing.md */
}

void node_init(struct sim_node *n, struct sim *sim, uint32_t index)
{
    HF_ASSERT(n->peer_address[0] != '\0'); /* all have theirs before the first is made */
    n->sim = sim;
    n->index = index;
    n->state = NODE_DOWN;
    n->wake_ns = UINT64_MAX;
    list_init(&n->connections);
    prng_seed(&n->random, swarm_seed(sim->seed, PURPOSE_NODE, index));
    init_disk(n);
    n->store = sim_store_open(sim->lmdb, index);
    make_directory(n);
}

void node_make_anew(struct sim_node *n)
{
    HF_ASSERT(n->state == NODE_DOWN && !n->anew);
    n->anew = true;
    sim_disk_close(&n->disk);
    init_disk(n);
    sim_store_anew(n->store);
    make_directory(n);
    n->seen = (struct node_seen){.durable = n->seen.durable}; /* what it has had counts on */
}

void node_close(struct sim_node *n)
{
    if (n->state == NODE_UP) node_die(n, END_KILLED);
    store_close(n->store);
    sim_disk_close(&n->disk);
}

/* A refusal is right only if something was done to the files. */
static void take_refusal(struct sim_node *n, int rv, const struct refusal *why)
{
    n->state = NODE_DOWN;
    door_close(&n->door);
    trace_line(&n->sim->trace, 'n', n->index + 1, "refuses", "%s: %s", status_name(rv), why->text);
    if (rv == HF_EDISKFULL && n->disk.bytes_max < n->full_bytes_max) return;
    if (rv == HF_EIO && n->disk_failed) return;
    if (!n->damaged)
        sim_fail("server %u does not start, though its files are whole: %s", n->index + 1,
                 why->text);
    n->state = NODE_OUT;
}

void node_start(struct sim_node *n)
{
    HF_ASSERT(n->state == NODE_DOWN);
    struct refusal why = {{0}};
    network_host_on(&n->sim->network, n->index); /* whether the process starts or not */
    int rv = door_init(&n->door, "holdfast-sim");
    HF_ASSERT(rv == HF_OK);
    n->life++;
    struct replica_config config = {
        .node_id = n->index + 1,
        .cluster_id = cluster_id,
        .client_address = n->address,
        .disk = &n->disk.disk,
        .store = n->store,
        .seed =
            swarm_seed(n->sim->seed, PURPOSE_REPLICA, n->index + SIM_NODES_MAX * (uint32_t)n->life),
        .segment_bytes = n->sim->swarm.segment_bytes,
        .limits = n->sim->swarm.limits,
        .ports = door_ports(&n->door),
    };
    rv = replica_open(&config, node_now(n), &n->replica, &why);
    if (rv != HF_OK) {
        n->replica = NULL;
        take_refusal(n, rv, &why);
        return;
    }
    door_set_replica(&n->door, n->replica);
    n->state = NODE_UP;
    n->paused = n->pause_in_round = false;
    n->stop = (struct stopping){0};
    n->last_flushes = 0;
    n->busy_ns = 0;
    n->wake_ns = UINT64_MAX;
    n->flushing = false;
    n->seen.vote_syncs = n->disk.sync_count;
    network_host_up(&n->sim->network, n->index);
    trace_line(&n->sim->trace, 'n', n->index + 1, "starts", "term %" PRIu64 " applied %" PRIu64,
               n->replica->vote.state.term, n->replica->applied_index);
    checks_node_started(n);
    node_wake(n, true_now(n));
}

/* ------------------------------------------------------------------ the end */

/* What a job had done when the process ended: nothing, all of it, or what the power left of it. Who
 * ends in order waits for it. */
static void end_job(struct sim_node *n, unsigned lane, enum node_end how)
{
    struct wal_job *job = n->jobs[lane];
    if (job == NULL) return;
    n->jobs[lane] = NULL;
    bool never_began = how == END_KILLED && prng_below(&n->random, 4) == 0;
    if (!n->job_ran[lane] && never_began) {
        job->status = HF_EIO; /* or its outcome would be taken for one */
        disk_close(&n->disk.disk, job->sealed);
        job->sealed = NULL;
    } else if (!n->job_ran[lane]) {
        n->disk.power_fails = how == END_POWER;
        n->disk.power_syncs = prng_below(&n->random, POWER_SYNCS_MOST);
        wal_job_run(&n->disk.disk, job);
    }
    n->job_ran[lane] = false;
    int ignored = wal_job_done(replica_wal(n->replica), job); /* the log wants its memory back */
    (void)ignored;
}

void node_die(struct sim_node *n, enum node_end how)
{
    static const char *const words[] = {"killed", "power", "fault", "stopped"};
    HF_ASSERT(n->state == NODE_UP);
    trace_line(&n->sim->trace, 'n', n->index + 1, words[how], "applied %" PRIu64,
               n->replica->applied_index);
    for (unsigned lane = 0; lane < HF_ARRAY_COUNT(lanes); lane++) end_job(n, lane, how);
    if (n->flushing && !n->flush_ran && prng_below(&n->random, 2) == 0) {
        int ignored = store_flush_run(n->store); /* it was done, and nobody heard of it */
        (void)ignored;
    }
    n->flushing = n->flush_ran = false;
    node_drop_links(n);
    network_host_down(&n->sim->network, n->index, how == END_POWER);
    replica_close(n->replica);
    n->replica = NULL;
    door_close(&n->door);
    n->state = NODE_DOWN;
    n->paused = false;
    n->life++;
    n->wake_ns = UINT64_MAX;
    if (how == END_POWER) {
        sim_disk_crash(&n->disk);
    } else {
        sim_disk_kill(&n->disk);
    }
    sim_store_crash(n->store);
}

/* A fault of the replica's ends the process: with a cause that a fault gave it, or it is one. */
static void take_fault(struct sim_node *n, int rv)
{
    bool caused = (rv == HF_EIO && n->disk_failed) || (rv == HF_ECORRUPT && n->damaged) ||
                  (rv == HF_EDISKFULL && n->disk.bytes_max < n->full_bytes_max);
    if (!caused) sim_fail("server %u ends with %s", n->index + 1, status_name(rv));
    node_die(n, END_FAULT);
    nemesis_server_ended(n->sim, n);
}

void node_stop(struct sim_node *n)
{
    HF_ASSERT(n->state == NODE_UP);
    if (stopping_begun(&n->stop)) return;
    trace_line(&n->sim->trace, 'n', n->index + 1, "stopping", "role %d",
               (int)replica_role(n->replica));
    stopping_begin(&n->stop, n->replica, node_now(n));
    network_host_shut(&n->sim->network, n->index);
    node_wake(n, true_now(n));
}

void node_pause(struct sim_node *n, bool paused)
{
    HF_ASSERT(n->state == NODE_UP);
    n->paused = paused;
    n->held_ns = true_now(n);
    n->hurt_ns = true_now(n);
    if (!paused) node_wake(n, true_now(n));
}

/* ------------------------------------------------------------------ jobs */

static uint64_t draw_sync(struct sim_node *n)
{
    const struct swarm *w = &n->sim->swarm;
    uint64_t ns = w->sync_ns + prng_below(&n->random, w->sync_jitter_ns);
    if (true_now(n) < n->slow_ns) ns *= SLOW_FACTOR;
    return ns < SYNC_NS_MAX ? ns : SYNC_NS_MAX;
}

static void push(struct sim_node *n, enum event_kind kind, uint32_t target, uint64_t after_ns)
{
    sim_push(n->sim, kind, target, n->life, after_ns);
}

static void hand_out_jobs(struct sim_node *n)
{
    for (unsigned lane = 0; lane < HF_ARRAY_COUNT(lanes); lane++) {
        if (n->jobs[lane] != NULL) continue;
        n->jobs[lane] = wal_job_take(replica_wal(n->replica), lanes[lane]);
        if (n->jobs[lane] == NULL) continue;
        n->job_ran[lane] = false;
        push(n, EVENT_JOB, n->index * 2 + lane, draw_sync(n));
    }
    if (n->flushing || !replica_flush_wanted(n->replica, node_now(n))) return;
    n->flushing = true;
    n->flush_ran = false;
    uint64_t ns = draw_sync(n) * FLUSH_FACTOR;
    if (HF_BUGGIFY(SLOW_FLUSH)) ns += (uint64_t)SYNC_NS_MAX * FLUSH_FACTOR;
    push(n, EVENT_FLUSH, n->index, ns);
}

void node_job_event(struct sim_node *n, unsigned lane, uint64_t stamp)
{
    if (stamp != n->life) return;
    HF_ASSERT(n->jobs[lane] != NULL);
    uint64_t syncs = n->disk.sync_count;
    wal_job_run(&n->disk.disk, n->jobs[lane]);
    n->seen.vote_syncs += n->disk.sync_count - syncs;
    n->job_ran[lane] = true;
    node_wake(n, true_now(n));
}

void node_flush_event(struct sim_node *n, uint64_t stamp)
{
    if (stamp != n->life) return;
    HF_ASSERT(n->flushing && !n->flush_ran);
    bool full = n->disk.bytes_max < n->full_bytes_max;
    if (full && prng_below(&n->random, 2) == 0) sim_store_fail_flush(n->store, HF_EDISKFULL);
    n->flush_status = store_flush_run(n->store);
    n->flush_ran = true;
    node_wake(n, true_now(n));
}

static int take_back_jobs(struct sim_node *n)
{
    int rv = HF_OK;
    bool any = false;
    for (unsigned lane = 0; lane < HF_ARRAY_COUNT(lanes) && rv == HF_OK; lane++) {
        if (!n->job_ran[lane]) continue;
        struct wal_job *job = n->jobs[lane];
        n->jobs[lane] = NULL;
        n->job_ran[lane] = false;
        any = true;
        rv = wal_job_done(replica_wal(n->replica), job);
    }
    if (rv == HF_OK && any) rv = replica_log_progress(n->replica, node_now(n));
    if (rv != HF_OK || !n->flush_ran) return rv;
    n->flushing = n->flush_ran = false;
    if (n->stop.said_goodbye && n->flush_status == HF_OK) n->last_flushes++;
    return replica_flush_done(n->replica, node_now(n), n->flush_status);
}

/* ------------------------------------------------------------------ the pass */

void node_wake(struct sim_node *n, uint64_t at_ns)
{
    if (n->state != NODE_UP) return;
    if (at_ns < true_now(n)) at_ns = true_now(n);
    if (n->wake_ns <= at_ns) return;
    n->wake_ns = at_ns;
    struct event event = {.at_ns = at_ns, .kind = EVENT_NODE, .target = n->index};
    event.stamp = ++n->wake_stamp;
    events_push(&n->sim->events, event);
}

/* The vote file was saved: that blocked the loop. */
static void count_vote_syncs(struct sim_node *n)
{
    uint64_t syncs = n->disk.sync_count;
    for (; n->seen.vote_syncs < syncs; n->seen.vote_syncs++) {
        uint64_t from_ns = n->busy_ns > true_now(n) ? n->busy_ns : true_now(n);
        n->busy_ns = from_ns + draw_sync(n);
    }
}

/* The last connection was closed: that is a turn of libuv's loop, too. */
static void turn_again(struct sim_node *n, bool had_clients)
{
    if (stopping_begun(&n->stop) && had_clients && list_empty(&n->door.connections))
        node_wake(n, true_now(n) + PASS_NS);
}

static int run_pass(struct sim_node *n, enum stopping_state *stop)
{
    bool had_clients = !list_empty(&n->door.connections);
    int rv = node_read_links(n);
    if (rv == HF_OK) rv = take_back_jobs(n);
    if (rv != HF_OK) return rv;
    rv = door_tick(&n->door, node_now(n));
    if (rv == HF_OK) rv = replica_pass_end(n->replica, node_now(n));
    if (rv == HF_OK && stopping_begun(&n->stop))
        rv = stopping_pass(&n->stop, n->replica, &n->door, node_now(n), stop);
    if (rv != HF_OK || *stop == STOPPING_LATE) return rv;
    hand_out_jobs(n);
    count_vote_syncs(n);
    if (n->busy_ns <= true_now(n)) node_write_links(n); /* else what it has to say comes later */
    turn_again(n, had_clients);
    return HF_OK;
}

static void arm(struct sim_node *n)
{
    if (n->busy_ns > true_now(n)) {
        node_wake(n, n->busy_ns);
        return;
    }
    uint64_t wake_ms = replica_next_wake(n->replica);
    uint64_t door_ms = door_next_wake(&n->door);
    uint64_t stop_ms = stopping_next_wake(&n->stop);
    if (door_ms < wake_ms) wake_ms = door_ms;
    if (stop_ms < wake_ms) wake_ms = stop_ms;
    if (wake_ms == UINT64_MAX) return;
    uint64_t at_ns = sim_clock_true(&n->clock, wake_ms * NS_PER_MS);
    if (HF_BUGGIFY(LATE_PASS)) {
        at_ns += prng_below(&n->random, UINT64_C(150) * NS_PER_MS);
        n->hurt_ns = at_ns;
    }
    if (at_ns < true_now(n) + PASS_NS) at_ns = true_now(n) + PASS_NS;
    node_wake(n, at_ns);
}

void node_event(struct sim_node *n, const struct event *event)
{
    if (n->state != NODE_UP || event->stamp != n->wake_stamp || n->wake_ns != event->at_ns) return;
    n->wake_ns = UINT64_MAX;
    if (n->paused) return; /* node_pause() wakes it again */
    if (n->busy_ns > true_now(n)) {
        node_wake(n, n->busy_ns);
        return;
    }
    enum stopping_state stop = STOPPING_GOES_ON;
    int rv = run_pass(n, &stop);
    if (rv != HF_OK) {
        take_fault(n, rv);
        return;
    }
    checks_node(n);
    if (stop != STOPPING_GOES_ON) {
        checks_node_stopped(n, stop);
        node_die(n, stop == STOPPING_DONE ? END_STOPPED : END_KILLED);
        nemesis_server_stopped(n->sim, n);
        return;
    }
    arm(n);
    if (n->pause_in_round && n->replica->rounds.under_way) nemesis_pause_server(n->sim, n);
}
