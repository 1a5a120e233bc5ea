/* Calls that their callers want no more: what CANCEL ends, what it leaves alone, and what the
 * caller is told. */
#include "base/status.h"
#include "tests/unit/client/scripted.h"
#include "tests/unit/cmocka_all.h"

static struct script s;

static int setup(void **state)
{
    (void)state;
    script_open(&s, "a:1", 10000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_close(&s);
    return 0;
}

static struct request *first_acquire(struct call **call, enum call_fate fate)
{
    *call = script_acquire(&s, 0, 0, fate);
    script_open_session(&s);
    return script_expect(&s, OP_CODE_ACQUIRE);
}

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

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_cancelled_release_still_frees_the_lock),
        CASE(test_cancelled_release_is_repeated_under_its_seq),
    };
    return cmocka_run_group_tests_name("cancel", tests, NULL, NULL);
}
