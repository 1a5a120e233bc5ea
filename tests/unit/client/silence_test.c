/* A server that says nothing: when the core leaves it for another, when it does not, and how it
 * finds out that it was only slow. */
#include "base/status.h"
#include "tests/unit/client/scripted.h"
#include "tests/unit/cmocka_all.h"

static struct script s;

static int setup(void **state)
{
    (void)state;
    script_open(&s, "a:1,b:2,c:3", 10000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_close(&s);
    return 0;
}

static struct call *ask(void)
{
    struct msg_info info = {slice_of("a")};
    struct call *call;
    assert_int_equal(core_call_new(&s.core, OP_CODE_INFO, &info, &call), HF_OK);
    core_submit(&s.core, call, s.now_ns + 60 * SEC, s.now_ns);
    return call;
}

static void answer(const struct request *r)
{
    struct msg_info_reply nothing = {.name = slice_of("a")};
    script_reply(&s, r, HF_OK, &nothing);
}

/* Open a session and hold a lock, so that there is something to come back for. */
static void hold_a_lock(void)
{
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    script_finish(&s, call, HF_OK);
}

/* How long the connection stands from now on, in steps of 10 ms; at most ten seconds. */
static uint64_t stands_ms(void)
{
    uint64_t epoch = s.core.link.epoch;
    uint64_t from_ns = s.now_ns;
    while (s.core.link.epoch == epoch && s.now_ns < from_ns + 10 * SEC) script_pass(&s, 10 * MS);
    return (s.now_ns - from_ns) / MS;
}

/* The request goes to another server under the same number, and the one that was silent is not
 * tried again before the others were. */
static void test_silent_server_is_left_for_another(void **state)
{
    (void)state;
    hold_a_lock();
    char silent = core_target(&s.core)[0];
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    uint64_t seq = script_expect(&s, OP_CODE_ACQUIRE)->envelope.seq;
    assert_in_range(stands_ms(), CORE_SILENCE_MS, CORE_SILENCE_MS + 10);
    for (int i = 0; i < 2; i++) {
        script_step(&s);
        assert_int_equal(s.core.link.state, LINK_CONNECTING);
        assert_int_not_equal(core_target(&s.core)[0], silent);
        if (i == 0) script_cut(&s);
    }
    script_resume(&s);
    struct request *again = script_expect(&s, OP_CODE_ACQUIRE);
    assert_int_equal(again->envelope.seq, seq);
    script_grant(&s, again, 6);
    script_finish(&s, call, HF_OK);
    assert_non_null(grants_find(&s.core.grants, 5)); /* nobody lost anything to it */
}

/* A request that waits in a queue has no answer for good reasons. */
static void test_waiting_request_says_nothing_of_its_server(void **state)
{
    (void)state;
    hold_a_lock();
    (void)script_acquire(&s, 60000, 0, FATE_CANCEL);
    (void)script_expect(&s, OP_CODE_ACQUIRE);
    uint64_t epoch = s.core.link.epoch;
    script_pass(&s, 3 * SEC); /* KEEP comes later */
    assert_int_equal(s.core.link.epoch, epoch);
}

/* An answer to something else, or half of one, is a sign of life; so the oldest question may wait.
 */
static void test_server_that_is_heard_is_not_left(void **state)
{
    (void)state;
    hold_a_lock();
    uint64_t epoch = s.core.link.epoch;
    struct call *slow = ask();
    struct request *slow_one = script_expect(&s, OP_CODE_INFO);
    for (int i = 0; i < 5; i++) {
        script_pass(&s, 400 * MS);
        struct call *call = ask();
        answer(script_expect(&s, OP_CODE_INFO));
        script_finish(&s, call, HF_OK);
    }
    assert_int_equal(s.core.link.epoch, epoch);
    answer(slow_one);
    script_finish(&s, slow, HF_OK);
    script_pass(&s, 1 * SEC); /* nothing is asked: silence means nothing */
    assert_int_equal(s.core.link.epoch, epoch);
}

/* Connect with INFO under way. \return the RESUME. */
static struct request *reconnect(void)
{
    script_connect(&s);
    struct request *resume = script_expect(&s, OP_CODE_RESUME);
    (void)script_expect(&s, OP_CODE_INFO);
    return resume;
}

/* The same server leads still: it was only slow, and is given twice the time, up to four
 * seconds; after a calm while it is as before. */
static void test_slow_server_is_given_more_time(void **state)
{
    (void)state;
    hold_a_lock();
    (void)ask();
    struct msg_keep_reply kept = script_kept();
    struct msg_redirect to = {{0}};
    char leader[ADDRESS_BYTES_MAX + 1];
    memcpy(leader, core_target(&s.core), sizeof leader);
    to.leader_client = slice_of(leader);
    static const uint64_t times[] = {500, 1000, 2000, 4000, 4000};
    for (size_t i = 0; i < HF_ARRAY_COUNT(times); i++) {
        uint64_t stood = stands_ms();
        assert_in_range(stood, times[i], times[i] + 20);
        s.next = s.count;
        script_reply(&s, reconnect(), HF_ENOTLEADER, &to);
        assert_string_equal(core_target(&s.core), leader);
        script_reply(&s, reconnect(), HF_OK, &kept);
        script_expect_nothing(&s);
    }
    uint32_t vain = s.core.link.vain_count;
    assert_true(vain > 2);
    answer(&s.requests[s.count - 1]);
    for (int i = 0; i < 15; i++) {
        script_pass(&s, 3 * SEC);
        if (s.next < s.count) script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    }
    assert_int_equal(s.core.link.vain_count, 0);
}

/* A new connection that says nothing is given up as soon, and the next one has more time. */
static void test_silent_greeting_is_given_up_soon(void **state)
{
    (void)state;
    (void)ask();
    script_step(&s);
    static const uint64_t times[] = {500, 1000, 2000, 3333};
    for (size_t i = 0; i < HF_ARRAY_COUNT(times); i++) {
        for (int k = 0; k < 30 && s.core.link.state != LINK_CONNECTING; k++)
            script_pass(&s, 10 * MS);
        core_connected(&s.core, s.core.link.epoch, s.now_ns);
        assert_int_equal(s.core.link.state, LINK_HELLO);
        assert_in_range(stands_ms(), times[i], times[i] + 10);
    }
}

/* There is no other server: another connection would lead to the same one. */
static void test_lone_server_is_not_left(void **state)
{
    (void)state;
    script_close(&s);
    script_open(&s, "a:1", 10000);
    hold_a_lock();
    (void)ask();
    uint64_t epoch = s.core.link.epoch;
    script_pass(&s, 3 * SEC);
    assert_int_equal(s.core.link.epoch, epoch);
}

/* Where no session lives there is no KEEP to notice that the only server's machine was lost: its
 * connection would stand for ever. */
static void test_lone_server_is_left_where_no_session_lives(void **state)
{
    (void)state;
    script_close(&s);
    script_open(&s, "a:1", 10000);
    struct call *call = ask();
    script_connect(&s);
    (void)script_expect(&s, OP_CODE_INFO);
    assert_in_range(stands_ms(), 3300, 3400); /* a third of the ttl */
    script_connect(&s);
    answer(script_expect(&s, OP_CODE_INFO));
    script_finish(&s, call, HF_OK);
}

/* A session has ended, and of a call of it only the CANCEL is asked about: that answer comes at
 * once, or from another server. */
static void test_silence_of_an_ended_session_is_noticed(void **state)
{
    (void)state;
    hold_a_lock();
    struct call *waits = script_acquire(&s, 60000, 0, FATE_CANCEL);
    (void)script_expect(&s, OP_CODE_ACQUIRE);
    core_session_end(&s.core, HF_ESESSION, END_EXPIRED, s.now_ns);
    core_call_interrupt(&s.core, waits, CORE_NEVER, s.now_ns);
    script_pass(&s, 1);
    assert_in_range(stands_ms(), CORE_SILENCE_MS, CORE_SILENCE_MS + 20);
}

/* Only one is known, but another leads: the known one will tell who leads next. */
static void test_silent_leader_is_left_for_who_named_it(void **state)
{
    (void)state;
    script_close(&s);
    script_open(&s, "a:1", 10000);
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_connect(&s);
    struct msg_redirect to = {slice_of("leader:99")};
    script_reply(&s, script_expect(&s, OP_CODE_OPEN), HF_ENOTLEADER, &to);
    script_open_session(&s);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    script_finish(&s, call, HF_OK);
    assert_string_equal(core_target(&s.core), "leader:99");
    (void)ask();
    assert_in_range(stands_ms(), CORE_SILENCE_MS, CORE_SILENCE_MS + 10);
    script_step(&s);
    assert_string_equal(core_target(&s.core), "a:1");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_silent_server_is_left_for_another),
        CASE(test_waiting_request_says_nothing_of_its_server),
        CASE(test_server_that_is_heard_is_not_left),
        CASE(test_slow_server_is_given_more_time),
        CASE(test_silent_greeting_is_given_up_soon),
        CASE(test_lone_server_is_not_left),
        CASE(test_lone_server_is_left_where_no_session_lives),
        CASE(test_silence_of_an_ended_session_is_noticed),
        CASE(test_silent_leader_is_left_for_who_named_it),
    };
    return cmocka_run_group_tests_name("silence", tests, NULL, NULL);
}
