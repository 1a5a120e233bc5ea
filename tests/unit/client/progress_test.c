/* Renewal only while the application works: what stops when it hangs, and what goes on when it says
 * so. */
#include "base/status.h"
#include "tests/unit/client/scripted.h"
#include "tests/unit/cmocka_all.h"

static struct script s;

static int setup(void **state)
{
    (void)state;
    script_open(&s, "a:1", 10000);
    s.core.config.progress_ms = 15000;
    s.core.progress_ns = s.now_ns;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_close(&s);
    return 0;
}

static struct call *acquire(uint64_t token)
{
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    if (s.core.session.phase == SESSION_NONE) script_open_session(&s);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), token);
    return call;
}

/* Time passes; every KEEP is answered. \return how many there were. */
static int keep_for(uint64_t ns)
{
    int count = 0;
    struct msg_keep_reply kept = script_kept();
    for (uint64_t end = s.now_ns + ns; s.now_ns < end;) {
        script_pass(&s, 100 * MS);
        if (s.next == s.count) continue;
        script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
        count += 1;
    }
    return count;
}

static enum grants_word state_of(const struct call *call)
{
    return grants_state(&s.core.grants, call->grant, s.now_ns);
}

/* While it says that it works, it is as without the hook; then its grant is suspect, lost at its
 * deadline, told and given back, and no KEEP is sent. */
static void test_hanging_application_loses_its_grant(void **state)
{
    (void)state;
    struct call *call = acquire(5);
    for (int i = 0; i < 4; i++) {
        assert_true(keep_for(10 * SEC) >= 2);
        s.core.progress_ns = s.now_ns; /* hf_client_progress() */
    }
    assert_int_equal(state_of(call), GRANTS_HELD);
    assert_true(keep_for(15 * SEC) >= 3);
    assert_int_equal(keep_for(5 * SEC), 0);
    assert_int_equal(state_of(call), GRANTS_SUSPECT);
    script_pass(&s, 5 * SEC);
    assert_int_equal(state_of(call), GRANTS_LOST);
    struct grant_loss loss;
    assert_true(core_take_loss(&s.core, &loss));
    assert_true(loss.locally);
    struct request *abandon = script_expect(&s, OP_CODE_ABANDON);
    assert_int_equal(abandon->envelope.renews, 0);
    script_reply(&s, abandon, HF_OK, NULL);
    script_expect_nothing(&s);
    script_finish(&s, call, HF_OK);
}

/* Its other requests go on, and say that they do not renew. */
static void test_requests_of_a_hanging_application_do_not_renew(void **state)
{
    (void)state;
    script_finish(&s, acquire(5), HF_OK);
    (void)keep_for(16 * SEC);
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    struct request *r = script_expect(&s, OP_CODE_ACQUIRE);
    assert_int_equal(r->envelope.renews, 0);
    struct msg_busy busy = {.holder_count = 1};
    script_reply(&s, r, HF_EBUSY, &busy);
    script_finish(&s, call, HF_EBUSY);
    core_progress(&s.core, s.now_ns);
    assert_int_equal(script_expect(&s, OP_CODE_KEEP)->envelope.renews, 1);
}

/* It was only slow: renewal goes on, and the grant that was suspect is held. */
static void test_progress_renews_at_once(void **state)
{
    (void)state;
    struct call *call = acquire(5);
    (void)keep_for(15 * SEC);
    script_pass(&s, 6 * SEC);
    script_expect_nothing(&s);
    assert_int_equal(state_of(call), GRANTS_SUSPECT);
    core_progress(&s.core, s.now_ns);
    struct msg_keep_reply kept = script_kept();
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    assert_int_equal(state_of(call), GRANTS_HELD);
    assert_true(keep_for(10 * SEC) >= 2);
    script_finish(&s, call, HF_OK);
}

/* A new connection resumes the session, which renews it at the servers; the deadline here stays. */
static void test_resume_of_a_hanging_application_moves_no_deadline(void **state)
{
    (void)state;
    struct call *call = acquire(5);
    (void)keep_for(16 * SEC);
    uint64_t deadline_ns = s.core.session.deadline_ns;
    script_cut(&s);
    script_resume(&s);
    assert_int_equal(s.core.session.deadline_ns, deadline_ns);
    script_pass(&s, 1 * SEC);
    script_expect_nothing(&s);
    script_finish(&s, call, HF_OK);
}

/* An attempt with a lease of its own is extended no more, and again from the progress on. */
static void test_own_lease_is_not_extended_while_it_hangs(void **state)
{
    (void)state;
    struct call *call = script_begin(&s, 60000);
    script_open_session(&s);
    struct msg_begin_reply begun = {.verdict = BEGIN_STARTED, .fencing_token = 7, .attempt = 1};
    script_reply(&s, script_expect(&s, OP_CODE_BEGIN), HF_OK, &begun);
    (void)keep_for(15 * SEC);
    script_pass(&s, 20 * SEC); /* a third of its lease is over */
    script_expect_nothing(&s);
    core_progress(&s.core, s.now_ns);
    (void)script_expect(&s, OP_CODE_EXTEND);
    (void)script_expect(&s, OP_CODE_KEEP);
    script_finish(&s, call, HF_OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_hanging_application_loses_its_grant),
        CASE(test_requests_of_a_hanging_application_do_not_renew),
        CASE(test_progress_renews_at_once),
        CASE(test_resume_of_a_hanging_application_moves_no_deadline),
        CASE(test_own_lease_is_not_extended_while_it_hangs),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
