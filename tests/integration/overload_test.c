/* A real holdfastd and clients that ask for too much: rates, caps, and floods of what is never
 * refused. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/status.h"
#include "tests/integration/raw_client.h"
#include "tests/integration/server_process.h"
#include "tests/unit/cmocka_all.h"

enum { TTL_MS = 60000, REPLY_MS = 30000 };

static int setup(void **state)
{
    struct server_process *s = calloc(1, sizeof *s);
    assert_non_null(s);
    server_process_init(s);
    s->extra[0] = "--segment-mib";
    s->extra[1] = "4";
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct server_process *s = *state;
    server_process_close(s, false);
    free(s);
    return 0;
}

/* Whoever sends more renewals at once than a connection may have unanswered is read more slowly,
 * and has all of them answered; another client does not wait for it. */
static void test_a_flood_of_renewals_is_answered_whole(void **state)
{
    enum { KEEPS = 5000 };
    struct server_process *s = *state;
    struct msg_keep keep = {.losses_acked = {0}};
    struct raw_client flood, other;
    struct raw_reply reply;
    uint64_t token = 0;
    assert_true(server_process_start(s));
    raw_hello(&flood, s->port);
    raw_open(&flood, 1, TTL_MS);
    raw_hello(&other, s->port);
    raw_open(&other, 2, TTL_MS);
    uint64_t first = flood.request_id + 1;
    for (int i = 0; i < KEEPS; i++) raw_send(&flood, OP_CODE_KEEP, &keep, 0);
    assert_int_equal(raw_acquire(&other, "till", 0, &token), HF_OK);
    for (uint64_t i = 0; i < KEEPS; i++) {
        assert_true(raw_receive(&flood, &reply, REPLY_MS));
        assert_int_equal(reply.status, HF_OK);
        assert_int_equal(reply.request_id, first + i);
    }
    assert_int_equal(raw_release(&other, "till", token), HF_OK);
    raw_close(&flood);
    raw_close(&other);
}

/* With a rate, new work beyond it is told when to come again, and is welcome then; what frees is
 * not counted. */
static void test_a_rate_is_kept_and_its_waiting_time_is_true(void **state)
{
    enum { BURST = 5, RATE = 20 };
    struct server_process *s = *state;
    struct raw_client c;
    struct raw_reply reply;
    struct msg_retry retry;
    uint64_t token = 0;
    s->extra[2] = "--rate";
    s->extra[3] = "20";
    s->extra[4] = "--rate-burst";
    s->extra[5] = "5";
    assert_true(server_process_start(s));
    raw_hello(&c, s->port);
    raw_open(&c, 1, TTL_MS);
    struct slice name = slice_of("till");
    struct msg_acquire acquire = {.names = {&name, 1}, .owner = 1};
    int status = raw_acquire(&c, "till", 0, &token);
    assert_int_equal(status, HF_OK);
    for (int i = 0; status != HF_ETOOBUSY; i++) {
        assert_true(i < 1000);
        status = raw_call(&c, OP_CODE_ACQUIRE, &acquire, &reply);
        assert_true(status == HF_EALREADY || status == HF_ETOOBUSY);
    }
    assert_int_equal(codec_decode(&msg_retry_type, reply.body, NULL, &retry), HF_OK);
    assert_in_range(retry.retry_ms, 1, 1000 / RATE);
    assert_int_equal(raw_release(&c, "till", token), HF_OK);
    sleep_ms(retry.retry_ms + 1);
    assert_int_equal(raw_acquire(&c, "till", 0, &token), HF_OK);
    raw_close(&c);
}

static void set(struct raw_client *c, const char *name, uint64_t value)
{
    struct raw_reply reply;
    struct msg_config_set request = {
        .name = slice_of(name),
        .value = value,
        .reason = slice_of("a test"),
        .operator_name = slice_of("ann"),
    };
    assert_int_equal(raw_call(c, OP_CODE_CONFIG_SET, &request, &reply), HF_OK);
}

static void expect_refused_by_caps(struct raw_client *c, uint64_t count)
{
    struct msg_empty empty = {0};
    struct msg_status_reply status;
    struct raw_reply reply;
    struct arena arena;
    assert_int_equal(arena_init(&arena, 65536), HF_OK);
    assert_int_equal(raw_call(c, OP_CODE_STATUS, &empty, &reply), HF_OK);
    assert_int_equal(codec_decode(&msg_status_reply_type, reply.body, &arena, &status), HF_OK);
    assert_int_equal(status.cap_refused_count, count);
    arena_close(&arena);
}

/* A cap is set while the server runs, tells which it is and how it stands, and outlives a kill. */
static void test_a_cap_is_told_and_outlives_a_kill(void **state)
{
    struct server_process *s = *state;
    struct raw_client c;
    struct raw_reply reply;
    struct msg_quota quota;
    uint64_t token = 0;
    assert_true(server_process_start(s));
    raw_hello(&c, s->port);
    raw_open(&c, 1, TTL_MS);
    set(&c, "principal_names_max", 1);
    assert_int_equal(raw_acquire(&c, "till", 0, &token), HF_OK);
    server_process_kill(s);
    raw_close(&c);
    assert_true(server_process_start(s));

    uint64_t session = c.session, seq = c.seq;
    raw_hello(&c, s->port);
    c.session = session;
    c.seq = seq;
    struct slice name = slice_of("drawer");
    struct msg_acquire acquire = {.names = {&name, 1}, .owner = 2};
    assert_int_equal(raw_call(&c, OP_CODE_ACQUIRE, &acquire, &reply), HF_EQUOTA);
    assert_int_equal(codec_decode(&msg_quota_type, reply.body, NULL, &quota), HF_OK);
    assert_int_equal(quota.which, QUOTA_NAMES);
    assert_int_equal(quota.count, 1);
    assert_int_equal(quota.max, 1);
    expect_refused_by_caps(&c, 1);
    assert_int_equal(raw_call(&c, OP_CODE_ACQUIRE, &acquire, &reply), HF_EQUOTA);
    expect_refused_by_caps(&c, 2);
    assert_int_equal(raw_release(&c, "till", token), HF_OK);
    assert_int_equal(raw_call(&c, OP_CODE_ACQUIRE, &acquire, &reply), HF_OK);
    raw_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_a_flood_of_renewals_is_answered_whole),
        TEST(test_a_rate_is_kept_and_its_waiting_time_is_true),
        TEST(test_a_cap_is_told_and_outlives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
