/* See the header. */
#include "tests/unit/server/world.h"

#include <stdlib.h>

#include "base/status.h"
#include "raft/configuration.h"
#include "raft/directory.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"

enum { SEGMENT_BYTES = 4 * 1024 * 1024, START_MS = 1000000, WALL_MS = 1700000000 };

static void make_directory(struct world *w)
{
    struct refusal why = {{0}};
    struct buffer configuration;
    struct configuration_server self = {.id = 1, .address = "one", .role = SERVER_VOTER};
    struct directory_settings settings = {
        .cluster_id = {7}, .node_id = 1, .incarnation = 5, .segment_bytes = w->segment_bytes};
    buffer_init(&configuration, 1024);
    assert_int_equal(configuration_encode(&self, 1, &configuration), HF_OK);
    settings.configuration = buffer_slice(&configuration);
    assert_int_equal(directory_make(&w->disk.disk, &settings, &why), HF_OK);
    buffer_close(&configuration);
}

int world_start(struct world *w, struct refusal *why)
{
    struct replica_config config = {
        .node_id = 1,
        .client_address = "127.0.0.1:7420",
        .disk = &w->disk.disk,
        .store = w->store,
        .seed = 1,
        .segment_bytes = w->segment_bytes,
        .limits = w->limits,
        .ports = door_ports(&w->door),
    };
    int rv = replica_open(&config, w->now, &w->replica, why);
    if (rv == HF_OK) door_set_replica(&w->door, w->replica);
    return rv;
}

void world_open(struct world *w, uint64_t seed, uint32_t segment_bytes)
{
    struct refusal why = {{0}};
    *w = (struct world){.segment_bytes = segment_bytes};
    w->limits = REPLICA_LIMITS_DEFAULT;
    w->limits.reserve_percent = 0;
    w->limits.reserve_bytes_min = 0;
    w->now = (struct replica_now){.elapsed_ms = START_MS, .wall_ms = WALL_MS};
    sim_disk_init(&w->disk, seed);
    assert_int_equal(store_memory_open(&w->store), HF_OK);
    assert_int_equal(door_init(&w->door, "test"), HF_OK);
    make_directory(w);
    assert_int_equal(world_start(w, &why), HF_OK);
    world_settle(w);
    assert_true(replica_is_ready(w->replica));
}

void world_close(struct world *w)
{
    replica_close(w->replica);
    door_close(&w->door);
    store_close(w->store);
    sim_disk_close(&w->disk);
}

int world_setup(void **state)
{
    struct world *w = malloc(sizeof *w);
    assert_non_null(w);
    world_open(w, 1, SEGMENT_BYTES);
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    struct world *w = *state;
    if (w->door.by_id.count > 0) return 0; /* the test failed: its clients' memory is gone */
    world_close(w);
    free(w);
    return 0;
}

static unsigned give_back(struct world *w)
{
    if (w->untold == NULL) return 0;
    assert_int_equal(wal_job_done(replica_wal(w->replica), w->untold), HF_OK);
    w->untold = NULL;
    return 1;
}

void world_write_untold(struct world *w)
{
    if (w->untold != NULL) return;
    w->untold = wal_job_take(replica_wal(w->replica), WAL_LANE_WRITE);
    if (w->untold != NULL) wal_job_run(&w->disk.disk, w->untold);
}

void world_crash(struct world *w)
{
    (void)give_back(w); /* the log wants its memory back; the replica is not told */
    replica_close(w->replica);
    w->replica = NULL;
    door_set_replica(&w->door, NULL);
    sim_disk_crash(&w->disk);
    assert_int_equal(store_memory_crash(w->store), HF_OK);
}

void world_sleep(struct world *w, uint64_t ms)
{
    w->now.elapsed_ms += ms;
    w->now.wall_ms += ms;
}

void world_pass(struct world *w)
{
    assert_int_equal(door_tick(&w->door, w->now), HF_OK);
    assert_int_equal(replica_pass_end(w->replica, w->now), HF_OK);
}

unsigned world_run_log(struct world *w)
{
    static const enum wal_lane lanes[] = {WAL_LANE_WRITE, WAL_LANE_BACKGROUND};
    struct wal *wal = replica_wal(w->replica);
    unsigned count = give_back(w);
    for (unsigned i = 0; i < HF_ARRAY_COUNT(lanes); i++) {
        struct wal_job *job = NULL;
        while ((job = wal_job_take(wal, lanes[i])) != NULL) {
            wal_job_run(&w->disk.disk, job);
            assert_int_equal(wal_job_done(wal, job), HF_OK);
            count++;
        }
    }
    if (count > 0) assert_int_equal(replica_log_progress(w->replica, w->now), HF_OK);
    return count;
}

bool world_run_flush(struct world *w)
{
    if (!replica_flush_wanted(w->replica, w->now)) return false;
    int status = store_flush_run(w->store);
    assert_int_equal(replica_flush_done(w->replica, w->now, status), HF_OK);
    return true;
}

void world_settle(struct world *w)
{
    do world_pass(w);
    while (world_run_log(w) > 0);
}

void world_run(struct world *w, uint64_t ms)
{
    uint64_t end_ms = w->now.elapsed_ms + ms;
    for (;;) {
        world_settle(w);
        (void)world_run_flush(w);
        uint64_t wake_ms = replica_next_wake(w->replica);
        if (wake_ms >= end_ms) break;
        world_sleep(w, wake_ms > w->now.elapsed_ms ? wake_ms - w->now.elapsed_ms : 1);
    }
    world_sleep(w, end_ms - w->now.elapsed_ms);
    world_settle(w);
}

/* ------------------------------------------------------------------ clients */

void client_connect_silently(struct client *c, struct world *w)
{
    *c = (struct client){.world = w};
    door_connect(&w->door, &c->connection, "10.0.0.1:1", w->now);
}

void client_connect(struct client *c, struct world *w)
{
    struct msg_hello hello = {.version_min = 1, .version_max = 1, .name = slice_of("test")};
    struct got got;
    client_connect_silently(c, w);
    client_send(c, OP_CODE_HELLO, &hello, 0);
    assert_true(client_take(c, &got));
    assert_int_equal(got.status, HF_OK);
}

void client_close(struct client *c)
{
    door_disconnect(&c->world->door, &c->connection);
}

void client_send_bytes(struct client *c, const void *bytes, size_t size)
{
    struct world *w = c->world;
    int rv = door_input(&w->door, &c->connection, slice_make(bytes, size), w->now);
    assert_int_equal(rv, HF_OK);
}

uint64_t client_send(struct client *c, uint16_t op, const void *request, uint64_t seq)
{
    unsigned traits = op_find(op)->traits;
    bool session = (traits & OP_SESSION) != 0;
    struct client_envelope envelope = {.session = session ? c->session : 0};
    if ((traits & OP_NUMBERED) != 0) envelope.seq = seq != 0 ? seq : ++c->seq;
    if (session) envelope.renews = 1;
    struct buffer bytes;
    buffer_init(&bytes, FRAME_BYTES_MAX);
    int rv = frame_write_request(&bytes, op, ++c->request_id, &envelope, request);
    assert_int_equal(rv, HF_OK);
    client_send_bytes(c, bytes.data, bytes.size);
    buffer_close(&bytes);
    return c->request_id;
}

bool client_take(struct client *c, struct got *got)
{
    static uint8_t last[FRAME_BYTES_MAX]; /* what `got` borrows from */
    struct buffer *out = &c->connection.out;
    size_t size = 0;
    assert_int_equal(frame_next(buffer_slice(out), FRAME_BYTES_MAX, &size), HF_OK);
    if (size == 0) return false;
    memcpy(last, out->data, size);
    buffer_consume(out, size);
    struct reply_frame frame;
    assert_int_equal(frame_read_reply(slice_make(last, size), &frame), HF_OK);
    *got = (struct got){.status = frame.status,
                        .flags = frame.flags,
                        .request_id = frame.request_id,
                        .body = frame.body};
    return true;
}

uint64_t client_open(struct client *c, uint64_t ttl_ms)
{
    uint8_t secret[SESSION_SECRET_BYTES] = {1, c->number};
    struct msg_open open = {.secret = slice_make(secret, sizeof secret), .ttl_ms = ttl_ms};
    return client_send(c, OP_CODE_OPEN, &open, 0);
}

uint64_t client_keep(struct client *c)
{
    struct msg_keep keep = {.losses_acked = {0}};
    return client_send(c, OP_CODE_KEEP, &keep, 0);
}

uint64_t client_acquire(struct client *c, uint64_t wait_ms, uint64_t seq)
{
    struct slice name = slice_of("name");
    struct msg_acquire acquire = {
        .names = {.items = &name, .count = 1}, .owner = 1, .wait_ms = wait_ms};
    return client_send(c, OP_CODE_ACQUIRE, &acquire, seq);
}

uint64_t client_release(struct client *c)
{
    struct msg_release release = {.name = slice_of("name"), .fencing_token = 1, .owner = 1};
    return client_send(c, OP_CODE_RELEASE, &release, 0);
}

uint64_t client_check(struct client *c)
{
    struct msg_check check = {.name = slice_of("name"), .fencing_token = 1};
    return client_send(c, OP_CODE_CHECK, &check, 0);
}

void client_begin_session(struct client *c, uint64_t ttl_ms)
{
    struct got got;
    struct msg_open_reply reply;
    client_open(c, ttl_ms);
    world_settle(c->world);
    assert_true(client_take(c, &got));
    assert_int_equal(got.status, HF_OK);
    assert_int_equal(codec_decode(&msg_open_reply_type, got.body, NULL, &reply), HF_OK);
    c->session = reply.session;
}
