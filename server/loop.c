/* See server/loop.h. */
#include "server/loop.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/prng.h"
#include "base/status.h"
#include "server/connection.h"

void loop_must(int status, const char *what)
{
    if (status == HF_OK) return;
    log_error("fault, stopping at once", "what=\"%s\" status=%s text=\"%s\"", what,
              status_name(status), status_text(status));
    _exit(EXIT_IO);
}

struct replica_now loop_now(const struct loop *l)
{
    return (struct replica_now){
        .elapsed_ms = clock_elapsed_ms(&l->clock),
        .wall_ms = clock_wall_ms(&l->clock),
    };
}

static void wake_loop(void *data)
{
    struct loop *l = data;
    uv_async_send(&l->wake);
}

/* ------------------------------------------------------------------ log lines */

/* A line for the last of them; each is in the audit. */
static void tell_overdue(struct loop *l, uint64_t count)
{
    struct buffer name;
    buffer_init(&name, 8 * NAME_BYTES_MAX); /* a byte is six at most, escaped */
    loop_must(codec_json_text(&name, replica_overdue(l->replica)), "a log line");
    log_warn("a lock was asked back, and is held though its grace is over; see holdfast audit",
             "lock=%.*s alarms=%" PRIu64, (int)name.size, (const char *)name.data,
             count - l->overdue_count);
    buffer_close(&name);
    l->overdue_count = count;
}

static void tell_changes(struct loop *l)
{
    static const char *const roles[] = {"none", "follower", "candidate", "leader"};
    const struct replica_counts *counts = replica_count(l->replica);
    if (counts->stall_count != l->stall_count) {
        l->stall_count = counts->stall_count;
        log_warn("the loop was stopped or stalled; leases stand still for a moment",
                 "stalls=%" PRIu64, counts->stall_count);
    }
    if (counts->overdue_count != l->overdue_count) tell_overdue(l, counts->overdue_count);
    const char *shortage = replica_shortage(l->replica);
    if (shortage != l->shortage) {
        l->shortage = shortage;
        log_line(shortage != NULL ? LOG_WARN : LOG_INFO, "space", "short=\"%s\"",
                 shortage != NULL ? shortage : "nothing");
    }
    uint64_t leader = replica_leader(l->replica);
    if (replica_role(l->replica) != l->role || leader != l->leader) {
        l->role = replica_role(l->replica);
        l->leader = leader;
        log_info("role", "role=%s leader=%" PRIu64 " term=%" PRIu64, roles[l->role], leader,
                 replica_term(l->replica));
    }
    if (l->ready || !replica_is_ready(l->replica)) return;
    l->ready = true;
    char cluster[2 * CLUSTER_ID_BYTES + 1];
    for (unsigned i = 0; i < CLUSTER_ID_BYTES; i++)
        snprintf(cluster + (size_t)2 * i, 3, "%02x", replica_cluster_id(l->replica)[i]);
    log_info("ready", "client=%s id=%" PRIu64 " cluster=%s version=" HF_VERSION,
             l->listener.address, replica_node_id(l->replica), cluster);
}

/* ------------------------------------------------------------------ stopping */

/* Once a pass while stopping. */
static void go_on_stopping(struct loop *l, struct replica_now now)
{
    enum stopping_state state = STOPPING_GOES_ON;
    loop_must(stopping_pass(&l->stopping, l->replica, &l->door, now, &state), "stopping");
    if (state == STOPPING_LATE) {
        log_warn("stopped", "how=\"time is up; the log holds what the store does not\"");
        _exit(EXIT_SUCCESS);
    }
    if (state == STOPPING_DONE) uv_stop(&l->uv);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct loop *l = handle->data;
    if (stopping_begun(&l->stopping)) return;
    log_info("stopping", "signal=%s", signum == SIGTERM ? "TERM" : "INT");
    stopping_begin(&l->stopping, l->replica, loop_now(l));
    listener_close(&l->listener);
}

/* ------------------------------------------------------------------ the pass */

static void take_finished_jobs(struct loop *l)
{
    struct replica_now now = loop_now(l);
    loop_must(wal_threads_poll(&l->wal_threads), "the log");
    loop_must(replica_log_progress(l->replica, now), "applying the log");
    int status = HF_OK;
    if (!flusher_poll(&l->flusher, &status)) return;
    l->flushing = false;
    loop_must(replica_flush_done(l->replica, now, status), "the store's flush");
}

static void on_wake(uv_async_t *handle)
{
    take_finished_jobs(handle->data);
}

static void on_timer(uv_timer_t *handle)
{
    (void)handle; /* its only purpose was to end the wait */
}

static void end_pass(uv_check_t *handle)
{
    struct loop *l = handle->data;
    struct replica_now now = loop_now(l);
    loop_must(door_tick(&l->door, now), "a request");
    loop_must(replica_pass_end(l->replica, now), "the replica");
    if (stopping_begun(&l->stopping)) go_on_stopping(l, now);
    wal_threads_kick(&l->wal_threads);
    if (!l->flushing && replica_flush_wanted(l->replica, now)) {
        l->flushing = true;
        flusher_start(&l->flusher);
    }
    peer_sockets_flush(&l->peer_sockets);
    struct door_connection *c = NULL;
    while ((c = door_next_ready(&l->door)) != NULL) connection_flush(c);
    tell_changes(l);
}

static void arm_timer(uv_prepare_t *handle)
{
    struct loop *l = handle->data;
    uint64_t wake_ms = replica_next_wake(l->replica);
    uint64_t door_ms = door_next_wake(&l->door);
    uint64_t stop_ms = stopping_next_wake(&l->stopping);
    if (door_ms < wake_ms) wake_ms = door_ms;
    if (stop_ms < wake_ms) wake_ms = stop_ms;
    if (wake_ms == UINT64_MAX) {
        uv_timer_stop(&l->timer);
        return;
    }
    uint64_t now_ms = clock_elapsed_ms(&l->clock);
    uv_update_time(&l->uv); /* the timer counts from libuv's idea of now */
    uv_timer_start(&l->timer, on_timer, wake_ms > now_ms ? wake_ms - now_ms : 0, 0);
}

/* ------------------------------------------------------------------ begin and end */

static void open_handles(struct loop *l)
{
    static const int signums[] = {SIGTERM, SIGINT};
    int rv = uv_loop_init(&l->uv);
    HF_ASSERT(rv == 0);
    uv_prepare_init(&l->uv, &l->prepare);
    uv_check_init(&l->uv, &l->check);
    uv_timer_init(&l->uv, &l->timer);
    rv = uv_async_init(&l->uv, &l->wake, on_wake);
    HF_ASSERT(rv == 0);
    l->prepare.data = l->check.data = l->timer.data = l->wake.data = l;
    for (unsigned i = 0; i < HF_ARRAY_COUNT(signums); i++) {
        uv_signal_init(&l->uv, &l->signals[i]);
        l->signals[i].data = l;
        uv_signal_start(&l->signals[i], on_signal, signums[i]);
    }
}

static void close_handle(uv_handle_t *handle, void *data)
{
    (void)data;
    if (uv_is_closing(handle) == 0) uv_close(handle, NULL);
}

static void close_connections(struct loop *l)
{
    LIST_FOR_SAFE(link, &l->door.connections)
    {
        struct door_connection *c = HF_CONTAINER_OF(link, struct door_connection, link);
        c->broken = true;
        connection_flush(c);
    }
}

/* libuv gives the signals back with its handles: told twice to stop, the process would die of the
 * second time on its last steps instead of ending with 0. */
static void hold_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static void close_handles(struct loop *l)
{
    hold_signals();
    uv_walk(&l->uv, close_handle, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    int rv = uv_loop_close(&l->uv);
    HF_ASSERT(rv == 0);
}

static int open_replica(struct loop *l)
{
    struct refusal why = {{0}};
    uint8_t cluster[CLUSTER_ID_BYTES];
    bool member = l->config->cluster.count > 0;
    if (member) cluster_id(&l->config->cluster, l->config->cluster_name, cluster);
    struct replica_config config = {
        .node_id = l->config->id,
        .cluster_id = member ? cluster : NULL,
        .client_address = l->listener.address,
        .disk = &l->dir->disk.disk,
        .store = l->dir->store,
        .segment_bytes = l->config->segment_mib * 1024 * 1024,
        .limits = REPLICA_LIMITS_DEFAULT,
        .ports = door_ports(&l->door),
    };
    config.limits.election_ms = l->config->election_ms;
    config.limits.heartbeat_ms =
        (uint32_t)((uint64_t)l->config->election_ms * DRIVER_HEARTBEAT_MS_DEFAULT /
                   DRIVER_ELECTION_MS_DEFAULT);
    random_bytes(&config.seed, sizeof config.seed);
    int rv = replica_open(&config, loop_now(l), &l->replica, &why);
    if (rv != HF_OK) {
        fprintf(stderr, "holdfastd: %s\n", why.text);
        return data_dir_exit_code(rv);
    }
    door_set_replica(&l->door, l->replica);
    if (member || replica_is_alone(l->replica)) return 0;
    fprintf(stderr,
            "holdfastd: %s is the directory of a cluster's server %llu: give --id and --cluster as "
            "when it was made\n",
            l->config->data, (unsigned long long)replica_node_id(l->replica));
    return EXIT_USAGE;
}

/* The doors are opened before the directory is looked into: an address that is taken is the more
 * common mistake, and costs nothing yet. */
static int open_listeners(struct loop *l)
{
    char sentence[CONFIG_SENTENCE_BYTES];
    int rv = listener_open(&l->listener, l, l->config->client, l->config->connections_max,
                           connection_accept, sentence);
    if (rv == HF_OK && l->config->peer[0] != '\0')
        rv = peer_sockets_listen(&l->peer_sockets, l->config->peer, sentence);
    if (rv == HF_OK) return 0;
    fprintf(stderr, "holdfastd: %s\n", sentence);
    return EXIT_UNAVAILABLE;
}

static void serve(struct loop *l)
{
    loop_must(wal_threads_start(&l->wal_threads, replica_wal(l->replica), &l->dir->disk.disk,
                                wake_loop, l),
              "the log's threads");
    loop_must(flusher_open(&l->flusher, l->dir->store, wake_loop, l), "the store's thread");
    uv_prepare_start(&l->prepare, arm_timer);
    uv_check_start(&l->check, end_pass);
    wal_threads_kick(&l->wal_threads);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    flusher_close(&l->flusher);
    loop_must(wal_threads_stop(&l->wal_threads), "the log");
    log_info("stopped", "how=\"as asked\"");
}

int loop_run(const struct config *config, struct data_dir *dir)
{
    struct loop *l = calloc(1, sizeof *l);
    if (l == NULL) return EXIT_IO;
    l->config = config;
    l->dir = dir;
    l->clock = clock_real();
    open_handles(l);
    loop_must(door_init(&l->door, "holdfastd " HF_VERSION), "the door");
    door_limit_rate(&l->door, l->config->rate, l->config->rate_burst);

    peer_sockets_init(&l->peer_sockets, l);
    int code = open_listeners(l);
    if (code == 0) code = open_replica(l);
    if (code == 0) serve(l);
    close_connections(l);
    listener_close(&l->listener);
    peer_sockets_close(&l->peer_sockets);
    close_handles(l);
    replica_close(l->replica);
    door_close(&l->door);
    free(l);
    return code;
}
