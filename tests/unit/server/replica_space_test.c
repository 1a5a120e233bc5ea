/* The replica and the space on its disk, in virtual time: what is refused when there is none, when
 * it goes on, and how much of it the log takes. */
#include "base/status.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/server/fake_machine.h"
#include "tests/unit/server/world.h"

static void expect_reply(struct client *c, uint64_t request_id, int status)
{
    struct got got;
    assert_true(client_take(c, &got));
    assert_int_equal(got.request_id, request_id);
    assert_int_equal(got.status, status);
}

static void expect_shortage(const struct world *w, const char *words)
{
    assert_non_null(replica_shortage(w->replica));
    assert_non_null(strstr(replica_shortage(w->replica), words));
}

static void expect_silence(struct client *c)
{
    struct got got;
    assert_false(client_take(c, &got));
}

/* An op that frees or finishes, and takes 32 KiB of log; the machine answers BAD_STATE. */
static uint64_t client_complete(struct client *c)
{
    static uint8_t body[32 * 1024];
    struct msg_complete complete = {.key = slice_of("key"),
                                    .fencing_token = 1,
                                    .outcome = OUTCOME_DONE,
                                    .body = slice_make(body, sizeof body)};
    return client_send(c, OP_CODE_COMPLETE, &complete, 0);
}

/* A full disk under the store is weather: new work is refused, what frees goes on, and the flush
 * is tried again until it succeeds. */
static void test_full_disk_refuses_new_work_alone(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    world_run(w, 900);
    store_memory_fail_flush(w->store, 1, HF_EDISKFULL);
    world_sleep(w, 200);
    world_settle(w);
    assert_true(world_run_flush(w));
    uint64_t refused = client_acquire(&c, 0, 0);
    expect_reply(&c, refused, HF_ENOSPACE);
    expect_shortage(w, "flush");
    uint64_t release = client_release(&c);
    world_settle(w);
    expect_reply(&c, release, HF_OK);

    world_sleep(w, 1000);
    world_settle(w);
    assert_true(world_run_flush(w));
    uint64_t taken = client_acquire(&c, 0, 0);
    world_settle(w);
    expect_reply(&c, taken, HF_OK);
    client_close(&c);
}

/* The reserve of the disk is reached, everybody has gone, nothing is written any more: the request
 * that comes once space was freed is taken all the same. */
static void test_freed_space_is_seen_without_a_write(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 1000);
    w->replica->limits.reserve_bytes_min = 1024 * 1024;
    w->disk.bytes_max = w->disk.bytes + 1024;
    world_run(w, 5000);
    assert_int_equal(fake_expired_count(w->replica->machine), 1);
    uint64_t refused = client_acquire(&c, 0, 0);
    expect_reply(&c, refused, HF_ENOSPACE);
    expect_shortage(w, "reserve");

    w->disk.bytes_max += 8 * 1024 * 1024;
    world_run(w, 1000);
    uint64_t taken = client_acquire(&c, 0, 0);
    world_settle(w);
    expect_reply(&c, taken, HF_OK);
    assert_null(replica_shortage(w->replica));
    client_close(&c);
}

/* What the store's file has given up inside is room for new work, but half of the reserve stays the
 * log's. */
static void test_room_inside_the_store_counts_beside_half_of_the_reserve(void **state)
{
    enum { KIB = 1024, RESERVE = 1024 * KIB };
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    w->replica->limits.reserve_bytes_min = RESERVE;
    w->disk.bytes_max = w->disk.bytes + RESERVE * 3 / 4;
    store_memory_set_free_inside(w->store, RESERVE / 8);
    world_run(w, 5000);
    uint64_t refused = client_acquire(&c, 0, 0);
    expect_reply(&c, refused, HF_ENOSPACE);

    store_memory_set_free_inside(w->store, RESERVE / 2); /* somebody has erased something */
    world_run(w, 1000);
    uint64_t taken = client_acquire(&c, 0, 0);
    world_settle(w);
    expect_reply(&c, taken, HF_OK);
    assert_null(replica_shortage(w->replica));

    w->disk.bytes_max = w->disk.bytes + RESERVE / 4;
    store_memory_set_free_inside(w->store, 100 * RESERVE);
    world_run(w, 5000); /* a checkpoint looks again */
    refused = client_acquire(&c, 0, 0);
    expect_reply(&c, refused, HF_ENOSPACE);
    expect_shortage(w, "reserve");
    client_close(&c);
}

/* Whoever has work to complete may need a new session for it: OPEN passes at the reserve. */
static void test_session_can_be_opened_at_the_reserve(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    w->replica->limits.reserve_bytes_min = 1024 * 1024;
    w->disk.bytes_max = w->disk.bytes + 1024;
    world_run(w, 5000);
    uint64_t refused = client_acquire(&c, 0, 0);
    expect_reply(&c, refused, HF_ENOSPACE);
    uint64_t opened = client_open(&c, 60000);
    world_settle(w);
    expect_reply(&c, opened, HF_OK);
    client_close(&c);
}

/* The reserve is a share of the disk, between two bounds. */
static void test_reserve_is_a_share_of_the_disk(void **state)
{
    static const uint64_t MIB = 1024 * 1024;
    struct world *w = *state;
    struct replica_limits *limits = &w->replica->limits;
    limits->reserve_percent = 5;
    limits->reserve_bytes_min = 16 * MIB;
    limits->reserve_bytes_max = 50 * MIB;
    static const struct {
        uint64_t mib;     /* of the disk */
        uint64_t reserve; /* expected, MiB */
    } disks[] = {{100, 16}, {800, 40}, {4000, 50}};
    for (unsigned i = 0; i < HF_ARRAY_COUNT(disks); i++) {
        uint64_t used = w->disk.bytes; /* by the log; the rest is somebody else's */
        w->disk.bytes_max = disks[i].mib * MIB;
        w->disk.bytes = w->disk.bytes_max - disks[i].reserve * MIB - 100;
        replica_check_space(w->replica);
        assert_null(replica_shortage(w->replica));
        w->disk.bytes += 200;
        replica_check_space(w->replica);
        assert_non_null(replica_shortage(w->replica));
        w->disk.bytes = used;
    }
}

/* A start looks at the disk first: restarts must not eat the reserve up bit by bit. */
static void test_start_at_the_reserve_refuses_at_once(void **state)
{
    struct world *w = *state;
    struct refusal why = {{0}};
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    uint64_t session = c.session;
    client_close(&c);
    w->limits.reserve_bytes_min = 1024 * 1024;
    w->disk.bytes_max = w->disk.bytes + 1024;
    world_crash(w);
    assert_int_equal(world_start(w, &why), HF_OK);
    world_settle(w);
    client_connect(&c, w);
    c.session = session;
    uint64_t refused = client_acquire(&c, 0, 0);
    expect_reply(&c, refused, HF_ENOSPACE);
    client_close(&c);
}

/* A store that has grown to its limit is no different: what frees goes on, and gives room. */
static void test_store_without_room_refuses_new_work_alone(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    store_memory_set_room(w->store, false);
    world_run(w, 2000);
    uint64_t refused = client_acquire(&c, 0, 0);
    expect_reply(&c, refused, HF_ENOSPACE);
    expect_shortage(w, "largest size");
    uint64_t release = client_release(&c);
    world_settle(w);
    expect_reply(&c, release, HF_OK);
    store_memory_set_room(w->store, true);
    world_run(w, 2000);
    uint64_t taken = client_acquire(&c, 0, 0);
    world_settle(w);
    expect_reply(&c, taken, HF_OK);
    client_close(&c);
}

/* What frees goes on without a spare segment until the last one is full; then the log waits for
 * space, and goes on by itself when there is some: the reserve is for it. */
static void test_log_without_a_segment_goes_on_when_space_is_freed(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 3600000);
    world_run(w, 2000);
    w->disk.bytes_max = w->disk.bytes;
    unsigned left = 600; /* three segments hold fewer */
    uint64_t id = 0;
    struct got got;
    do {
        id = client_complete(&c);
        world_settle(w);
        (void)world_run_flush(w);
    } while (client_take(&c, &got) && --left > 0);
    assert_true(left > 0);
    world_run(w, 5000);
    expect_silence(&c);
    expect_shortage(w, "segment");
    assert_true(replica_next_wake(w->replica) <= w->now.elapsed_ms + 1000);

    w->replica->limits.reserve_bytes_min = 1024 * 1024 * 1024;
    w->disk.bytes_max += 64 * 1024 * 1024;
    world_run(w, 1000);
    expect_reply(&c, id, HF_EBADSTATE); /* the machine's answer */
    client_close(&c);
}

/* A server that writes little keeps its log as short as one that writes much: what lies behind the
 * store's mark is bounded by bytes, however many flushes they took. */
static void test_log_stays_short_under_a_low_load(void **state)
{
    struct world *w = *state;
    struct client c;
    struct got got;
    w->replica->limits.trail_bytes = 8 * 1024 * 1024;
    client_connect(&c, w);
    client_begin_session(&c, 3600000);
    for (int i = 0; i < 1500; i++) { /* 48 MiB of log, a flush after each entry */
        client_complete(&c);
        world_settle(w);
        assert_true(client_take(&c, &got));
        world_sleep(w, 1000);
        world_settle(w);
        assert_true(world_run_flush(w));
    }
    /* the trail, the segment in use, one that is partly trail, the spare */
    assert_true(wal_disk_bytes(replica_wal(w->replica)) <= (8 + 3 * 4) * 1024 * 1024);
    assert_true(wal_disk_bytes(replica_wal(w->replica)) >= 8 * 1024 * 1024);
    client_close(&c);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_full_disk_refuses_new_work_alone),
        WORLD_TEST(test_freed_space_is_seen_without_a_write),
        WORLD_TEST(test_room_inside_the_store_counts_beside_half_of_the_reserve),
        WORLD_TEST(test_session_can_be_opened_at_the_reserve),
        WORLD_TEST(test_reserve_is_a_share_of_the_disk),
        WORLD_TEST(test_start_at_the_reserve_refuses_at_once),
        WORLD_TEST(test_store_without_room_refuses_new_work_alone),
        WORLD_TEST(test_log_without_a_segment_goes_on_when_space_is_freed),
        WORLD_TEST(test_log_stays_short_under_a_low_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
