/* Calls that their callers want no more: what CANCEL ends, what it leaves alone, and what the
 * caller is told. */
#include "tests/unit/client/script_fixture.h"

/* Grants a lock, and asks for its release so that the caller's time is up before anybody heard of
 * it. Returns the held call. */
static struct call *hold_a_release(bool sent)
{
    struct call *call;
    script_grant(&s, first_acquire(&call, FATE_HOLD), 5);
    script_finish(&s, call, HF_OK);
    if (!sent) script_cut(&s);
    struct msg_release release = {.fencing_token = 5, .owner = 3};
    assert_int_equal(core_call_new(&s.core, OP_CODE_RELEASE, &release, &call), HF_OK);
    call->fate = FATE_HOLD;
    core_submit(&s.core, call, s.now_ns + SEC, s.now_ns);
    if (sent) (void)script_expect(&s, OP_CODE_RELEASE);
    script_pass(&s, 2 * SEC);
    script_finish(&s, call, HF_EUNKNOWN);
    return call;
}

/* To cancel a release that never arrived is no way to keep the lock: the grant is gone here, so the
 * release is sent all the same, and its caller hears that it was applied. */
static void test_cancelled_release_still_frees_the_lock(void **state)
{
    (void)state;
    struct call *call = hold_a_release(false);
    core_call_cancel(&s.core, call, s.now_ns + 5 * SEC, s.now_ns);
    s.next = s.count;
    script_resume(&s);
    struct msg_release_reply released = {.count_left = 0};
    script_reply(&s, script_expect(&s, OP_CODE_RELEASE), HF_OK, &released);
    script_finish(&s, call, HF_EBADSTATE);
    script_expect_nothing(&s);
}

/* The same of one that may have arrived: under its own number, and without a CANCEL. */
static void test_cancelled_release_is_repeated_under_its_seq(void **state)
{
    (void)state;
    struct call *call = hold_a_release(true);
    uint64_t seq = call->seq;
    core_call_cancel(&s.core, call, s.now_ns + SEC, s.now_ns);
    s.next = s.count;
    script_pass(&s, 2 * SEC);
    script_finish(&s, call, HF_EUNKNOWN); /* and it goes on by itself */
    s.next = s.count;
    script_resume(&s);
    struct request *again = script_expect(&s, OP_CODE_RELEASE);
    assert_int_equal(again->envelope.seq, seq);
    struct msg_release_reply released = {.count_left = 0};
    script_reply(&s, again, HF_OK, &released);
    assert_int_equal(s.core.busy_count, 0);
    script_expect_nothing(&s);
}

/* ------------------------------------------------------------------ interrupted while waited for
 */

static void interrupt(struct call *call)
{
    core_call_interrupt(&s.core, call, s.now_ns + SEC, s.now_ns);
    script_step(&s);
}

/* An acquire that stands in a queue; its request in *sent. */
static struct call *wait_in_queue(struct request **sent)
{
    struct call *call = script_acquire(&s, 60000, 0, FATE_HOLD);
    script_open_session(&s);
    *sent = script_expect(&s, OP_CODE_ACQUIRE);
    return call;
}

static void expect_abandon(uint64_t token)
{
    struct msg_abandon abandon;
    script_decode(&s, script_expect(&s, OP_CODE_ABANDON), &abandon);
    assert_int_equal(abandon.fencing_token, token);
}

/* Of a request that was never sent nothing can stay, and nothing is sent later. */
static void test_interrupted_before_it_was_sent_it_just_ends(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 60000, 0, FATE_HOLD);
    interrupt(call);
    script_finish(&s, call, HF_ECANCELLED);
    assert_int_equal(s.core.busy_count, 0);
    script_pass(&s, 60 * SEC);
    script_expect_nothing(&s);
}

/* One that a server refused at its door, and that waits to be sent again, neither. */
static void test_interrupted_after_a_refusal_it_just_ends(void **state)
{
    (void)state;
    struct request *acquire;
    struct call *call = wait_in_queue(&acquire);
    script_reply(&s, acquire, HF_ESHUTDOWN, NULL);
    interrupt(call);
    script_finish(&s, call, HF_ECANCELLED);
    script_resume(&s);
    script_expect_nothing(&s);
}

/* A waiter leaves its queue: the call ends when CANCEL is answered. */
static void test_interrupted_wait_ends_with_cancel(void **state)
{
    (void)state;
    struct request *acquire;
    struct call *call = wait_in_queue(&acquire);
    interrupt(call);
    struct request *cancel = script_expect(&s, OP_CODE_CANCEL);
    struct msg_cancel asked;
    script_decode(&s, cancel, &asked);
    assert_int_equal(asked.target_seq, acquire->envelope.seq);
    assert_null(core_take_finished(&s.core));
    struct msg_cancel_reply answer = {.status = HF_ECANCELLED, .op = OP_CODE_ACQUIRE};
    script_reply(&s, acquire, HF_ECANCELLED, NULL);
    script_finish(&s, call, HF_ECANCELLED);
    script_reply(&s, cancel, HF_OK, &answer); /* tells what is known */
    assert_int_equal(s.core.over_count, 0);
}

/* The grant was on its way: it goes back, and the caller has none. */
static void test_interrupted_wait_gives_its_grant_back(void **state)
{
    (void)state;
    struct request *acquire;
    struct call *call = wait_in_queue(&acquire);
    interrupt(call);
    (void)script_expect(&s, OP_CODE_CANCEL);
    script_grant(&s, acquire, 5);
    script_finish(&s, call, HF_ECANCELLED);
    expect_abandon(5);
    assert_null(grants_find(&s.core.grants, 5));
}

/* It had been refused before CANCEL came: that is its answer. */
static void test_interrupted_wait_tells_a_refusal(void **state)
{
    (void)state;
    struct request *acquire;
    struct call *call = wait_in_queue(&acquire);
    interrupt(call);
    script_reply(&s, acquire, HF_EWAITTIMEOUT, NULL);
    script_finish(&s, call, HF_EWAITTIMEOUT);
}

/* No answer to CANCEL either: the caller waits no longer than it was told, CANCEL is repeated. */
static void test_unanswered_cancel_goes_on_in_the_background(void **state)
{
    (void)state;
    struct request *acquire;
    struct call *call = wait_in_queue(&acquire);
    interrupt(call);
    (void)script_expect(&s, OP_CODE_CANCEL);
    script_pass(&s, 999 * MS);
    assert_null(core_take_finished(&s.core));
    script_pass(&s, MS);
    script_finish(&s, call, HF_ETIMEOUT);
    script_cut(&s);
    script_resume(&s);
    struct request *again = script_expect(&s, OP_CODE_CANCEL);
    struct msg_granted granted = {.fencing_token = 5, .count = 1};
    struct buffer body;
    buffer_init(&body, 100);
    assert_int_equal(codec_encode(&msg_granted_type, &granted, &body), HF_OK);
    struct msg_cancel_reply answer = {
        .status = HF_OK, .stands = 1, .op = OP_CODE_ACQUIRE, .body = buffer_slice(&body)};
    script_reply(&s, again, HF_OK, &answer);
    buffer_close(&body);
    expect_abandon(5); /* no ghost holder */
    assert_int_equal(s.core.busy_count, 0);
}

/* Who asks twice does not wait for the answer to CANCEL. */
static void test_second_interruption_ends_the_wait_at_once(void **state)
{
    (void)state;
    struct request *acquire;
    struct call *call = wait_in_queue(&acquire);
    interrupt(call);
    interrupt(call);
    script_finish(&s, call, HF_ETIMEOUT);
    assert_int_equal(s.core.busy_count, 1); /* CANCEL is still to be answered */
}

/* Granted, and only its deadline is not known yet: the grant goes back. */
static void test_interrupted_before_its_deadline_is_known_it_goes_back(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 60000, 60000, FATE_HOLD);
    script_open_session(&s);
    struct msg_granted granted = {.fencing_token = 5, .waited = 1, .count = 1};
    script_reply(&s, script_expect(&s, OP_CODE_ACQUIRE), HF_OK, &granted);
    (void)script_expect(&s, OP_CODE_KEEP);
    assert_null(core_take_finished(&s.core));
    interrupt(call);
    script_finish(&s, call, HF_ECANCELLED);
    expect_abandon(5);
}

/* What cannot be undone is told as it is: applied, with its own answer, or never. */
static void test_interrupted_completion_tells_what_became_of_it(void **state)
{
    (void)state;
    for (int applied = 0; applied < 2; applied++) {
        struct msg_resolve resolve = {.key = slice_of("k"),
                                      .fencing_token = 3,
                                      .outcome = OUTCOME_DONE,
                                      .operator_name = slice_of("me")};
        struct call *call;
        assert_int_equal(core_call_new(&s.core, OP_CODE_RESOLVE, &resolve, &call), HF_OK);
        call->fate = FATE_HOLD;
        core_submit(&s.core, call, s.now_ns + 5 * SEC, s.now_ns);
        if (applied == 0) script_open_session(&s);
        (void)script_expect(&s, OP_CODE_RESOLVE);
        interrupt(call);
        struct msg_cancel_reply answer = {.status = HF_ECANCELLED, .op = 0};
        if (applied == 1)
            answer = (struct msg_cancel_reply){.status = HF_ESTALE, .op = OP_CODE_RESOLVE};
        script_reply(&s, script_expect(&s, OP_CODE_CANCEL), HF_OK, &answer);
        script_finish(&s, call, applied == 1 ? HF_ESTALE : HF_ECANCELLED);
    }
}

/* A release is not taken back: its caller leaves, it goes on. */
static void test_interrupted_release_is_repeated(void **state)
{
    (void)state;
    struct call *call;
    script_grant(&s, first_acquire(&call, FATE_HOLD), 5);
    script_finish(&s, call, HF_OK);
    script_cut(&s);
    struct msg_release release = {.fencing_token = 5, .owner = 3};
    assert_int_equal(core_call_new(&s.core, OP_CODE_RELEASE, &release, &call), HF_OK);
    call->fate = FATE_HOLD;
    core_submit(&s.core, call, s.now_ns + SEC, s.now_ns);
    interrupt(call);
    script_finish(&s, call, HF_ETIMEOUT);
    script_resume(&s);
    struct msg_release_reply released = {.count_left = 0};
    script_reply(&s, script_expect(&s, OP_CODE_RELEASE), HF_OK, &released);
    assert_int_equal(s.core.busy_count, 0);
}

/* A read has no effect: it ends at once, and its late answer harms nobody. */
static void test_interrupted_read_ends_at_once(void **state)
{
    (void)state;
    struct msg_info info = {slice_of("a")};
    struct call *call;
    assert_int_equal(core_call_new(&s.core, OP_CODE_INFO, &info, &call), HF_OK);
    core_submit(&s.core, call, s.now_ns + 5 * SEC, s.now_ns);
    script_connect(&s);
    struct request *read = script_expect(&s, OP_CODE_INFO);
    interrupt(call);
    script_finish(&s, call, HF_ECANCELLED);
    struct msg_info_reply nothing = {.name = slice_of("a")};
    script_reply(&s, read, HF_OK, &nothing);
    assert_int_equal(s.core.over_count, 0);
    assert_int_equal(s.core.link.state, LINK_OPEN);
}

/* All of one handle, and nothing else; then all. */
static void test_interruption_finds_the_calls_of_a_handle(void **state)
{
    (void)state;
    static int handle;
    struct call *mine = script_acquire(&s, 60000, 0, FATE_HOLD);
    struct call *other = script_acquire(&s, 60000, 0, FATE_HOLD);
    mine->handle = &handle;
    core_interrupt_all(&s.core, &handle, s.now_ns, s.now_ns);
    script_finish(&s, mine, HF_ECANCELLED);
    assert_null(core_take_finished(&s.core));
    core_interrupt_all(&s.core, NULL, s.now_ns, s.now_ns);
    script_finish(&s, other, HF_ECANCELLED);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_cancelled_release_still_frees_the_lock),
        CASE(test_cancelled_release_is_repeated_under_its_seq),
        CASE(test_interrupted_before_it_was_sent_it_just_ends),
        CASE(test_interrupted_after_a_refusal_it_just_ends),
        CASE(test_interrupted_wait_ends_with_cancel),
        CASE(test_interrupted_wait_gives_its_grant_back),
        CASE(test_interrupted_wait_tells_a_refusal),
        CASE(test_unanswered_cancel_goes_on_in_the_background),
        CASE(test_second_interruption_ends_the_wait_at_once),
        CASE(test_interrupted_before_its_deadline_is_known_it_goes_back),
        CASE(test_interrupted_completion_tells_what_became_of_it),
        CASE(test_interrupted_release_is_repeated),
        CASE(test_interrupted_read_ends_at_once),
        CASE(test_interruption_finds_the_calls_of_a_handle),
    };
    return cmocka_run_group_tests_name("cancel", tests, NULL, NULL);
}
