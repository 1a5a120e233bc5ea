/* Which server the core talks to: redirects, pauses, a list walked without end, a silent connection
 * that is left. */
#include "tests/unit/client/script_fixture.h"

/* Another server leads, and is said to: the client goes there with the same request. */
static void test_redirect_is_followed(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    struct request *acquire = script_expect(&s, OP_CODE_ACQUIRE);
    struct msg_redirect to = {slice_of("leader:99")};
    script_reply(&s, acquire, HF_ENOTLEADER, &to);
    assert_string_equal(core_target(&s.core), "leader:99");
    script_resume(&s);
    struct request *again = script_expect(&s, OP_CODE_ACQUIRE);
    assert_int_equal(again->envelope.seq, acquire->envelope.seq);
    script_grant(&s, again, 5);
    script_finish(&s, call, HF_OK);
}

/* Two servers that send a client to each other do not keep it running in circles. */
static void test_redirects_in_a_circle_end_in_a_pause(void **state)
{
    (void)state;
    (void)script_acquire(&s, 0, 0, FATE_CANCEL);
    struct msg_redirect to = {slice_of("leader:99")};
    int redirects = 0;
    for (script_step(&s); s.core.link.state == LINK_CONNECTING && redirects < 100; redirects++) {
        script_connect(&s);
        script_reply(&s, script_expect(&s, OP_CODE_OPEN), HF_ENOTLEADER, &to);
    }
    assert_in_range(redirects, 2, 10);
    assert_true(s.core.wake_ns > s.now_ns);
}

/* All servers are down: tried in turn, forever, with pauses that grow by half up to one second. */
static void test_all_servers_are_tried_without_end(void **state)
{
    (void)state;
    script_close(&s);
    script_open(&s, "a:1,b:2, c:3", 10000);
    (void)script_acquire(&s, 60000, 0, FATE_CANCEL);
    uint32_t tries[3] = {0};
    uint32_t all = 0;
    uint64_t end = s.now_ns + 60 * SEC;
    while (s.now_ns < end) {
        script_step(&s);
        if (s.core.link.state == LINK_CONNECTING) {
            tries[core_target(&s.core)[0] - 'a'] += 1;
            all += 1;
            script_cut(&s);
        }
        script_pass(&s, 10 * MS);
    }
    for (int i = 0; i < 3; i++) assert_in_range(tries[i], all / 3 - 3, all / 3 + 3);
    assert_in_range(all, 180, 400);
}

/* A leader that has no room for a session is left alone as long as it says, though there are other
 * servers: they would only send the client back. */
static void test_a_refused_session_is_asked_for_when_it_was_said(void **state)
{
    (void)state;
    struct msg_retry retry = {.retry_ms = 2000};
    script_close(&s);
    script_open(&s, "a:1,b:2", 10000);
    (void)script_acquire(&s, 0, 0, FATE_CANCEL);
    script_connect(&s);
    script_reply(&s, script_expect(&s, OP_CODE_OPEN), HF_ETOOBUSY, &retry);
    script_pass(&s, 1900 * MS);
    assert_int_equal(s.core.link.state, LINK_PAUSE);
    script_pass(&s, 200 * MS);
    assert_int_equal(s.core.link.state, LINK_CONNECTING);
}

/* So is one that refuses to repeat a request whose outcome is not known. */
static void test_a_refused_repetition_comes_when_it_was_said(void **state)
{
    (void)state;
    struct msg_retry retry = {.retry_ms = 2000};
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    (void)script_expect(&s, OP_CODE_ACQUIRE);
    script_cut(&s);
    script_resume(&s);
    script_reply(&s, script_expect(&s, OP_CODE_ACQUIRE), HF_ETOOBUSY, &retry);
    script_pass(&s, 1900 * MS);
    script_expect_nothing(&s);
    script_pass(&s, 200 * MS);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    script_finish(&s, call, HF_OK);
}

/* A call was given up and not a byte came since it was sent: the next goes over another connection.
 */
static void test_silent_connection_is_left_with_the_call(void **state)
{
    (void)state;
    struct call *call;
    struct msg_info info = {slice_of("a")};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(core_call_new(&s.core, OP_CODE_INFO, &info, &call), HF_OK);
        call->fate = FATE_REPEAT;
        core_submit(&s.core, call, s.now_ns + SEC, s.now_ns);
        if (i == 0) script_connect(&s);
        struct request *r = script_expect(&s, OP_CODE_INFO);
        uint64_t epoch = s.core.link.epoch;
        script_pass(&s, 500 * MS);
        if (i == 0) { /* this one is only slow: something is heard */
            core_received(&s.core, epoch, slice_make("\0", 1), s.now_ns);
            script_pass(&s, 600 * MS);
            assert_int_equal(s.core.link.epoch, epoch);
            core_received(&s.core, epoch, slice_make("\0\0", 2), s.now_ns);
            uint8_t rest[] = {16, 0xff, 0xd9, 0, 0}; /* length 16, NOT_FOUND */
            core_received(&s.core, epoch, slice_make(rest, 5), s.now_ns);
            uint8_t id[8];
            put_u64(id, r->id);
            core_received(&s.core, epoch, slice_make(id, 8), s.now_ns);
            assert_int_equal(s.core.link.epoch, epoch);
        } else {
            script_pass(&s, 600 * MS);
            assert_int_not_equal(s.core.link.epoch, epoch);
        }
        script_finish(&s, call, HF_ETIMEOUT);
        s.now_ns += 10 * MS;
    }
}

/* Lists of servers that make no sense are refused before anything is started. */
static void test_server_lists_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "a",    "a:",   ":1",        "a:0", "a:65536",
                                      "a:1,,", "a:1x", "a:1,", "a:1000000", "a:-1"};
    for (size_t i = 0; i < HF_ARRAY_COUNT(bad); i++) {
        struct link link = {0};
        assert_int_equal(core_link_parse(&link, bad[i]), HF_EINVAL);
    }
    struct link link = {0};
    assert_int_equal(core_link_parse(&link, "a:1, [::1]:7420 ,b.example:65535"), HF_OK);
    assert_int_equal(link.endpoint_count, 3);
    assert_string_equal(link.endpoints[1], "[::1]:7420");
}

/* A POLL waits, and its server leads no more: the library asks who does, under the same number and
 * for as long, and its caller hears nothing of it. */
static void test_a_poll_that_waits_goes_on_elsewhere(void **state)
{
    (void)state;
    struct msg_timer_poll poll = {slice_of("g"), 1, 5000, 60000};
    struct call *call;
    assert_int_equal(core_call_new(&s.core, OP_CODE_TIMER_POLL, &poll, &call), HF_OK);
    call->fate = FATE_CANCEL;
    core_submit(&s.core, call, s.now_ns + 65 * SEC, s.now_ns);
    script_open_session(&s);
    struct request *first = script_expect(&s, OP_CODE_TIMER_POLL);
    struct msg_redirect to = {slice_of("leader:99")};
    script_reply(&s, first, HF_ENOTLEADER, &to);
    assert_string_equal(core_target(&s.core), "leader:99");
    script_resume(&s);
    struct request *again = script_expect(&s, OP_CODE_TIMER_POLL);
    assert_int_equal(again->envelope.seq, first->envelope.seq);
    assert_true(slice_equal(again->body, first->body));
    const struct msg_timer_poll_reply nothing = {.lease_ms = 5000};
    script_reply(&s, again, HF_OK, &nothing);
    script_finish(&s, call, HF_OK);
}

/* A server had taken a request, of a POLL that waits say, and its session has ended meanwhile. Then
 * it leads no more, and nobody else answers before the caller's time is over: with that request the
 * ended session has gone, too, and the next call gets a new one. */
static void test_ended_session_goes_with_its_last_request(void **state)
{
    (void)state;
    struct call *call;
    struct request *acquire = first_acquire(&call, FATE_CANCEL);
    core_session_end(&s.core, HF_ESESSION, END_EXPIRED, s.now_ns);
    script_reply(&s, acquire, HF_ENOTLEADER, NULL);
    assert_int_equal(s.core.session.phase, SESSION_ENDED); /* it might still be answered there */
    script_pass(&s, 6 * SEC);
    script_finish(&s, call, HF_ECONNECT);
    assert_int_equal(s.core.session.phase, SESSION_NONE);
    call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 6);
    script_finish(&s, call, HF_OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_redirect_is_followed),
        CASE(test_redirects_in_a_circle_end_in_a_pause),
        CASE(test_all_servers_are_tried_without_end),
        CASE(test_a_refused_session_is_asked_for_when_it_was_said),
        CASE(test_a_refused_repetition_comes_when_it_was_said),
        CASE(test_silent_connection_is_left_with_the_call),
        CASE(test_server_lists_are_checked),
        CASE(test_a_poll_that_waits_goes_on_elsewhere),
        CASE(test_ended_session_goes_with_its_last_request),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
