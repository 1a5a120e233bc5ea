/* What a core counts: each call once by how it ended, each request by its sends, and how long
 * requests took that do not wait. */
#include "tests/unit/client/script_fixture.h"

/* One call of each ending is one in its own counter, and in no other. */
static void test_call_is_counted_once_by_its_end(void **state)
{
    (void)state;
    const struct core_metrics *m = &s.core.metrics;
    static const int answers[] = {HF_EBUSY, HF_ETOOBUSY};
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    script_finish(&s, call, HF_OK);
    for (size_t i = 0; i < HF_ARRAY_COUNT(answers); i++) {
        struct msg_busy busy = {.holder_count = 1};
        call = script_acquire(&s, 0, 0, FATE_CANCEL);
        struct request *r = script_expect(&s, OP_CODE_ACQUIRE);
        script_reply(&s, r, answers[i], answers[i] == HF_EBUSY ? &busy : NULL);
        script_finish(&s, call, answers[i]);
    }
    static const enum call_fate fates[] = {FATE_CANCEL, FATE_HOLD};
    struct call *late[2];
    for (int i = 0; i < 2; i++) late[i] = script_acquire(&s, 0, 0, fates[i]);
    call = script_acquire(&s, 0, 0, FATE_CANCEL);
    core_call_interrupt(&s.core, call, CORE_NEVER, s.now_ns);
    core_call_interrupt(&s.core, call, CORE_NEVER, s.now_ns); /* HF_ETIMEOUT: told no answer */
    script_finish(&s, call, HF_ETIMEOUT);
    struct msg_info info = {slice_of("a")};
    assert_int_equal(core_call_new(&s.core, OP_CODE_INFO, &info, &call), HF_OK);
    core_submit(&s.core, call, s.now_ns + SEC, s.now_ns);
    core_call_interrupt(&s.core, call, CORE_NEVER, s.now_ns);
    script_finish(&s, call, HF_ECANCELLED);
    s.next = s.count;
    script_pass(&s, 5 * SEC);
    script_finish(&s, late[0], HF_ETIMEOUT);
    script_finish(&s, late[1], HF_EUNKNOWN);
    assert_int_equal(m->ok, 1);
    assert_int_equal(m->answered, 1);
    assert_int_equal(m->refused, 1);
    assert_int_equal(m->timeouts, 2);
    assert_int_equal(m->unknown, 1);
    assert_int_equal(m->cancelled, 1);
    assert_int_equal(m->sessions, 1);
}

/* A request that is sent again is a repetition; connections, renewals and bytes are counted. */
static void test_repetitions_and_connections_are_counted(void **state)
{
    (void)state;
    const struct core_metrics *m = &s.core.metrics;
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    (void)script_expect(&s, OP_CODE_ACQUIRE);
    uint64_t bytes = m->bytes_out;
    assert_int_equal(s.wire.size, bytes);
    script_cut(&s);
    script_resume(&s);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    script_finish(&s, call, HF_OK);
    assert_int_equal(m->sends, 2);
    assert_int_equal(m->repeats, 1);
    assert_int_equal(m->connections, 2);
    assert_int_equal(m->renewals, 2); /* OPEN, RESUME */
    assert_int_equal(m->bytes_out, s.wire.size);
    assert_true(m->bytes_in > 0);
    script_pass(&s, 4 * SEC);
    assert_int_equal(m->keeps, 1);
    script_cut(&s);
    script_pass(&s, 10 * SEC);
    assert_int_equal(m->losses_local, 1);
}

/* Trips stand in buckets of powers of two; a wait in a queue is none. */
static void test_trips_are_timed_unless_they_wait(void **state)
{
    (void)state;
    const struct core_metrics *m = &s.core.metrics;
    static const struct {
        uint64_t us;
        uint32_t bucket;
    } trips[] = {{0, 0}, {1, 1}, {2, 2}, {3, 2}, {4, 3}, {1000, 10}, {3000000, 22}};
    uint64_t sum = 0;
    for (size_t i = 0; i < HF_ARRAY_COUNT(trips); i++) {
        struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
        if (i == 0) script_open_session(&s);
        struct request *r = script_expect(&s, OP_CODE_ACQUIRE);
        uint64_t before = m->buckets[trips[i].bucket];
        script_pass(&s, trips[i].us * 1000);
        script_grant(&s, r, 5 + i);
        script_finish(&s, call, HF_OK);
        assert_int_equal(m->buckets[trips[i].bucket], before + 1);
        sum += trips[i].us;
    }
    assert_int_equal(m->trips, HF_ARRAY_COUNT(trips));
    assert_int_equal(m->trip_us_sum, sum);
    assert_int_equal(m->trip_us_max, 3000000);
    struct call *call = script_acquire(&s, 60000, 0, FATE_CANCEL);
    struct request *r = script_expect(&s, OP_CODE_ACQUIRE);
    script_grant(&s, r, 99);
    script_finish(&s, call, HF_OK);
    assert_int_equal(m->trips, HF_ARRAY_COUNT(trips));
    struct core_metrics most = {0};
    core_metrics_trip(&most, UINT64_MAX);
    assert_int_equal(most.buckets[METRICS_BUCKETS - 1], 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_call_is_counted_once_by_its_end),
        CASE(test_repetitions_and_connections_are_counted),
        CASE(test_trips_are_timed_unless_they_wait),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
