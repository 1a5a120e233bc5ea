/* Parked BEGINs: their order, who takes over, what ends their wait (docs/contract.md, section 6).
 */
#include <stdio.h>

#include "machine/state.h"
#include "protocol/frame.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/records/record_rig.h"

static int setup(void **state)
{
    *state = rig_open();
    return 0;
}

static int teardown(void **state)
{
    rig_close(*state);
    return 0;
}

enum { WAITERS = 3 };

/* A record that runs, and three sessions that wait for it, one after the other. */
struct scene {
    uint64_t owner;            /* session of the attempt */
    uint64_t token;            /* of the attempt */
    uint64_t waiters[WAITERS]; /* sessions, in the order of their coming */
};

static struct scene set_scene(struct rig *r, const struct msg_begin *begin)
{
    struct scene scene = {.owner = rig_session(r, 600000)};
    scene.token = rig_started(r, scene.owner, begin);
    struct msg_begin waiting = *begin;
    waiting.wait_ms = 100000;
    for (int i = WAITERS - 1; i >= 0; i--) scene.waiters[i] = rig_session(r, 600000);
    for (int i = 0; i < WAITERS; i++) {
        struct answer a = rig_send(r, scene.waiters[i], OP_CODE_BEGIN, &waiting);
        assert_true(a.parked);
    }
    return scene;
}

/* What became of each waiter: a verdict, a refusal, or nothing yet. */
static void expect(struct rig *r, const struct scene *scene, int i, int status, uint64_t verdict)
{
    const struct answer *a = rig_woken(r, scene->waiters[i], 1);
    assert_non_null(a);
    assert_int_equal(a->status, status);
    if (status == HF_OK) assert_int_equal(a->as.begin.verdict, verdict);
}

static void expect_waiting(struct rig *r, const struct scene *scene, int from)
{
    for (int i = from; i < WAITERS; i++) assert_null(rig_woken(r, scene->waiters[i], 1));
    assert_int_equal(rig_get(r, "pay/1").as.record.parked_count, WAITERS - from);
}

/* ------------------------------------------------------------------ how the owner ends */

/* DONE and FAILED: everybody gets the result, in order, in the same op. */
static void test_all_that_wait_get_the_result(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    struct scene scene = set_scene(r, &begin);
    expect_waiting(r, &scene, 0);
    assert_int_equal(rig_complete(r, scene.owner, "pay/1", scene.token, OUTCOME_DONE, "x").status,
                     HF_OK);
    assert_int_equal(r->woken_count, WAITERS);
    for (int i = 0; i < WAITERS; i++) {
        expect(r, &scene, i, HF_OK, BEGIN_REPLAY);
        assert_int_equal(r->woken[i].session, scene.waiters[i]);
        assert_true(is_text(r->woken[i].as.begin.body, "x"));
    }
    expect_waiting(r, &scene, WAITERS);
}

/* RETRYABLE: the first gets STARTED with its own lease, the others wait on. */
static void test_the_first_that_waits_starts_after_retryable(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    struct scene scene = set_scene(r, &begin);
    rig_pass(r, 9000);
    assert_int_equal(
        rig_complete(r, scene.owner, "pay/1", scene.token, OUTCOME_RETRYABLE, "").status, HF_OK);
    expect(r, &scene, 0, HF_OK, BEGIN_STARTED);
    expect_waiting(r, &scene, 1);
    struct answer a = rig_get(r, "pay/1");
    assert_int_equal(a.as.record.session, scene.waiters[0]);
    assert_int_equal(a.as.record.left_ms, 10000);
    assert_int_equal(a.as.record.attempt, 2);
    uint64_t token = r->woken[0].as.begin.fencing_token;
    assert_int_equal(rig_complete(r, scene.waiters[0], "pay/1", token, OUTCOME_DONE, "x").status,
                     HF_OK);
    expect(r, &scene, 1, HF_OK, BEGIN_REPLAY);
    expect(r, &scene, 2, HF_OK, BEGIN_REPLAY);
}

/* Lapsed: the first takes over, in the same sweep, with the checkpoint; the next follows it. */
static void test_the_first_that_waits_takes_over_the_lapsed_one(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    struct scene scene = set_scene(r, &begin);
    assert_int_equal(rig_checkpoint(r, scene.owner, "pay/1", scene.token, 1, MARK_DERIVED).status,
                     HF_OK);
    rig_pass(r, 10000);
    expect(r, &scene, 0, HF_OK, BEGIN_TAKEOVER);
    assert_true(is_text(r->woken[0].as.begin.checkpoint_data, "step data"));
    expect_waiting(r, &scene, 1);
    rig_pass(r, 10000);
    expect(r, &scene, 1, HF_OK, BEGIN_TAKEOVER);
    assert_int_equal(r->woken[1].as.begin.attempt, 3);
    expect_waiting(r, &scene, 2);
    assert_int_equal(rig_abandon(r, scene.waiters[1], r->woken[1].as.begin.fencing_token).status,
                     HF_OK);
    expect(r, &scene, 2, HF_OK, BEGIN_TAKEOVER);
}

/* UNKNOWN: all are told, nobody runs. */
static void test_all_that_wait_are_told_unknown(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    begin.takeover = TAKEOVER_MANUAL;
    struct scene scene = set_scene(r, &begin);
    rig_pass(r, 10000);
    for (int i = 0; i < WAITERS; i++) {
        expect(r, &scene, i, HF_ERECORDUNKNOWN, 0);
        assert_int_equal(r->woken[i].as.unknown.fencing_token, scene.token);
    }
    expect_waiting(r, &scene, WAITERS);
}

/* Policy never without marks: abandoned is FAILED, and that is the result. */
static void test_all_that_wait_get_the_failure_of_an_abandoned_one(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    begin.takeover = TAKEOVER_NEVER;
    struct scene scene = set_scene(r, &begin);
    rig_pass(r, 10000);
    for (int i = 0; i < WAITERS; i++) {
        expect(r, &scene, i, HF_OK, BEGIN_REPLAY);
        assert_int_equal(r->woken[i].as.begin.outcome, OUTCOME_FAILED);
    }
}

/* The owner's session closes: bound attempts end, and the first that waits takes over at once. */
static void test_closing_the_owners_session_hands_over(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    begin.lease_ms = 0;
    struct scene scene = set_scene(r, &begin);
    struct msg_empty empty = {0};
    assert_int_equal(rig_send(r, scene.owner, OP_CODE_CLOSE, &empty).status, HF_OK);
    expect(r, &scene, 0, HF_OK, BEGIN_TAKEOVER);
    expect_waiting(r, &scene, 1);
}

/* ------------------------------------------------------------------ how a wait ends */

/* The wait over: RUNNING, at its millisecond; those that wait longer wait on. */
static void test_a_wait_that_is_over_is_told_running(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    begin.lease_ms = 60000;
    struct scene scene = set_scene(r, &begin);
    struct msg_begin brief = begin;
    brief.wait_ms = 3000;
    uint64_t s = rig_session(r, 600000);
    assert_true(rig_send(r, s, OP_CODE_BEGIN, &brief).parked);
    rig_pass(r, 2999);
    assert_null(rig_woken(r, s, 1));
    rig_pass(r, 1);
    const struct answer *a = rig_woken(r, s, 1);
    assert_non_null(a);
    assert_int_equal(a->status, HF_ERUNNING);
    assert_int_equal(a->as.running.lease_left_ms, 57000);
    expect_waiting(r, &scene, 0);
}

/* Wait and lease end in the same sweep: the one whose wait is over gets nothing granted. */
static void test_a_wait_that_ends_with_the_lease_is_over(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    uint64_t owner = rig_session(r, 600000);
    (void)rig_started(r, owner, &begin);
    uint64_t s = rig_session(r, 600000);
    begin.wait_ms = 10000;
    assert_true(rig_send(r, s, OP_CODE_BEGIN, &begin).parked);
    rig_pass(r, 10000);
    assert_int_equal(rig_woken(r, s, 1)->status, HF_ERUNNING);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 1);
}

/* CANCEL takes one out of the middle; the others keep their order. */
static void test_a_parked_begin_can_be_cancelled(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    struct scene scene = set_scene(r, &begin);
    struct msg_cancel cancel = {1};
    struct answer a = rig_send(r, scene.waiters[0], OP_CODE_CANCEL, &cancel);
    assert_int_equal(a.as.cancel.status, HF_ECANCELLED);
    assert_int_equal(a.as.cancel.op, OP_CODE_BEGIN);
    expect(r, &scene, 0, HF_ECANCELLED, 0);
    expect_waiting(r, &scene, 1);
    rig_pass(r, 10000);
    expect(r, &scene, 1, HF_OK, BEGIN_TAKEOVER);
    /* Sent again it has no effect. */
    begin.wait_ms = 100000;
    a = rig_send_as(r, scene.waiters[0], 1, OP_CODE_BEGIN, &begin);
    assert_int_equal(a.status, HF_ECANCELLED);
    assert_int_equal(a.flags & REPLY_REPEATED, REPLY_REPEATED);
}

/* CANCEL that overtakes its BEGIN leaves nothing to do for it. */
static void test_cancel_before_begin_keeps_it_from_running(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_cancel cancel = {1};
    assert_int_equal(rig_send(r, s, OP_CODE_CANCEL, &cancel).as.cancel.status, HF_ECANCELLED);
    struct msg_begin begin = a_begin("pay/1");
    assert_int_equal(rig_send_as(r, s, 1, OP_CODE_BEGIN, &begin).status, HF_ECANCELLED);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_ABSENT);
}

/* A session that ends takes its parked BEGINs along; nothing is granted to them. */
static void test_a_session_that_ends_waits_no_more(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    uint64_t owner = rig_session(r, 600000);
    (void)rig_started(r, owner, &begin);
    uint64_t brief = rig_session(r, 10000); /* ends in the very sweep that ends the lease */
    uint64_t s = rig_session(r, 600000);
    begin.wait_ms = 100000;
    assert_true(rig_send(r, brief, OP_CODE_BEGIN, &begin).parked);
    assert_true(rig_send(r, s, OP_CODE_BEGIN, &begin).parked);
    rig_pass(r, 10000);
    assert_int_equal(rig_woken(r, brief, 1)->status, HF_ESESSION);
    assert_int_equal(rig_woken(r, s, 1)->as.begin.verdict, BEGIN_TAKEOVER);
    assert_int_equal(rig_get(r, "pay/1").as.record.parked_count, 0);
    begin.key = slice_of("pay/2");
    (void)rig_send_as(r, brief, 2, OP_CODE_BEGIN, &begin);
    assert_int_equal(rig_state(r, "pay/2"), RECORD_ABSENT);
}

/* CLOSE of a session that waits for its own attempt ends both. */
static void test_a_session_may_wait_for_its_own_attempt(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    begin.lease_ms = 0;
    uint64_t s = rig_session(r, 600000);
    (void)rig_started(r, s, &begin);
    begin.wait_ms = 50000;
    assert_true(rig_send(r, s, OP_CODE_BEGIN, &begin).parked);
    struct msg_empty empty = {0};
    assert_int_equal(rig_send(r, s, OP_CODE_CLOSE, &empty).status, HF_OK);
    assert_int_equal(rig_woken(r, s, 2)->status, HF_ESESSION);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 1);
}

/* ------------------------------------------------------------------ retries, guards, limits */

/* A retry of a parked one waits on in its place; its answer is kept for the next retry. */
static void test_a_retry_of_a_parked_begin_keeps_its_place(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    struct scene scene = set_scene(r, &begin);
    struct msg_begin same = begin;
    same.wait_ms = 100000;
    assert_true(rig_send_as(r, scene.waiters[0], 1, OP_CODE_BEGIN, &same).parked);
    expect_waiting(r, &scene, 0);
    rig_pass(r, 10000);
    expect(r, &scene, 0, HF_OK, BEGIN_TAKEOVER);
    struct answer a = rig_send_as(r, scene.waiters[0], 1, OP_CODE_BEGIN, &same);
    assert_true(slice_equal(a.body, rig_woken(r, scene.waiters[0], 1)->body));
    assert_int_equal(a.flags, REPLY_REPEATED | REPLY_STANDS);
}

/* A parked one's guard is looked at when its turn comes; refused, the next one's turn comes. */
static void test_a_parked_begin_with_a_stale_guard_makes_way(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    uint64_t owner = rig_session(r, 600000);
    uint64_t token = rig_started(r, owner, &begin);
    struct msg_begin guarded = begin;
    guarded.wait_ms = 100000;
    guarded.guard_name = slice_of("order/1");
    guarded.guard_token = token; /* an attempt's, no lock's */
    uint64_t first = rig_session(r, 600000);
    uint64_t second = rig_session(r, 600000);
    assert_true(rig_send(r, first, OP_CODE_BEGIN, &guarded).parked);
    begin.wait_ms = 100000;
    assert_true(rig_send(r, second, OP_CODE_BEGIN, &begin).parked);
    rig_pass(r, 10000);
    assert_int_equal(rig_woken(r, first, 1)->status, HF_EGUARDSTALE);
    assert_int_equal(rig_woken(r, second, 1)->as.begin.verdict, BEGIN_TAKEOVER);
}

/* Nobody starts because all guards are stale: the record stays as it is, and is reaped one day. */
static void test_a_queue_of_stale_guards_leaves_the_record_lapsed(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    uint64_t owner = rig_session(r, 600000);
    uint64_t token = rig_started(r, owner, &begin);
    begin.wait_ms = 100000;
    begin.guard_name = slice_of("order/1");
    begin.guard_token = token;
    uint64_t s = rig_session(r, 600000);
    assert_true(rig_send(r, s, OP_CODE_BEGIN, &begin).parked);
    rig_pass(r, 10000);
    assert_int_equal(rig_woken(r, s, 1)->status, HF_EGUARDSTALE);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 1);
    rig_pass(r, RETAIN_MS_MIN);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_ABSENT);
}

/* 1,024 may wait for one record; one more is refused. All are served, over several entries if the
 * limit of a serving wants it. */
static void test_a_record_parks_at_most_1024(void **state)
{
    struct rig *r = *state;
    struct msg_begin begin = a_begin("pay/1");
    uint64_t owner = rig_session(r, 600000);
    uint64_t token = rig_started(r, owner, &begin);
    uint64_t s = rig_session(r, 600000);
    begin.wait_ms = 100000;
    r->check_every = 500;
    for (int i = 0; i < RECORD_PARKED_MAX; i++) {
        assert_true(rig_send(r, s, OP_CODE_BEGIN, &begin).parked);
    }
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_EQUOTA);
    r->check_every = 1;
    assert_int_equal(rig_complete(r, owner, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    rig_pass(r, 0);
    assert_int_equal(r->woken_count, RECORD_PARKED_MAX);
    for (uint32_t i = 0; i < r->woken_count; i++) {
        assert_int_equal(r->woken[i].seq, i + 1);
        assert_int_equal(r->woken[i].as.begin.verdict, BEGIN_REPLAY);
    }
}

/* A full session that waits may bind the attempt that it waited for: its place is its own. */
static void test_a_full_session_that_waited_may_bind(void **state)
{
    struct rig *r = *state;
    uint64_t owner = rig_session(r, 600000);
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    (void)rig_started(r, owner, &begin);
    r->check_every = 5000;
    char key[32];
    for (int i = 1; i < SESSION_NAMES_MAX; i++) {
        (void)snprintf(key, sizeof key, "bound/%d", i);
        struct msg_begin bound = a_begin(key);
        bound.lease_ms = 0;
        (void)rig_started(r, s, &bound);
        if (i % 256 == 0) rig_forget(r);
    }
    begin.lease_ms = 0;
    begin.wait_ms = 100000;
    r->check_every = 1;
    assert_true(rig_send(r, s, OP_CODE_BEGIN, &begin).parked);
    rig_pass(r, 10000);
    assert_int_equal(rig_woken(r, s, SESSION_NAMES_MAX)->status, HF_OK);
    assert_int_equal(rig_get(r, "pay/1").as.record.session, s);
}

static void put_off(uint64_t takeover, int status)
{
    struct rig *r = rig_open();
    uint64_t owner = rig_session(r, 600000);
    uint64_t s = rig_session(r, 600000);
    r->check_every = 500;
    char key[32];
    for (int k = 0; k < 3; k++) {
        (void)snprintf(key, sizeof key, "pay/%d", k);
        struct msg_begin begin = a_begin(key);
        begin.takeover = takeover;
        (void)rig_started(r, owner, &begin);
        begin.wait_ms = k == 2 ? 10001 : 100000;
        for (int i = 0; i < 1000; i++) assert_true(rig_send(r, s, OP_CODE_BEGIN, &begin).parked);
    }
    r->check_every = 1;
    rig_step(r, 10000);
    assert_int_equal(r->woken_count, GRANTS_A_SERVING_MAX);
    rig_step(r, 1);
    rig_pass(r, 0);
    assert_int_equal(r->woken_count, 3000);
    for (uint32_t i = 0; i < r->woken_count; i++) {
        assert_int_equal(r->woken[i].status, status);
        if (status == HF_OK) assert_int_equal(r->woken[i].as.begin.outcome, OUTCOME_FAILED);
    }
    rig_close(r);
}

/* More wait, at several records, than one serving may serve: a sweep ends all their owners, the
 * rest is served by the next entry; meanwhile the wait of some is over, and they are told the
 * result, not RUNNING. */
static void test_a_serving_that_is_put_off_loses_nobody(void **state)
{
    (void)state;
    put_off(TAKEOVER_NEVER, HF_OK);
    put_off(TAKEOVER_MANUAL, HF_ERECORDUNKNOWN);
}

/* Records pay/0 .. that a sweep at +10 s makes FAILED, with 1,000 waiters each: more than a serving
 * may serve; and "last", which lapses then, with one waiter, whose turn comes after them. */
static uint64_t crowd(struct rig *r, int records)
{
    uint64_t owner = rig_session(r, 600000);
    uint64_t s = rig_session(r, 600000);
    uint64_t last = rig_session(r, 600000);
    r->check_every = 500;
    char key[32];
    for (int k = 0; k < records; k++) {
        (void)snprintf(key, sizeof key, "crowd/%d", k);
        struct msg_begin begin = a_begin(key);
        begin.takeover = TAKEOVER_NEVER;
        (void)rig_started(r, owner, &begin);
        begin.wait_ms = 500000;
        for (int i = 0; i < 1000; i++) assert_true(rig_send(r, s, OP_CODE_BEGIN, &begin).parked);
    }
    struct msg_begin begin = a_begin("last");
    (void)rig_started(r, owner, &begin);
    begin.wait_ms = 500000;
    assert_true(rig_send(r, last, OP_CODE_BEGIN, &begin).parked);
    r->check_every = 1;
    rig_step(r, 10000);
    assert_int_equal(r->woken_count, GRANTS_A_SERVING_MAX);
    return last;
}

/* A serving was put off, and before it goes on a whole retention has passed in one entry: whoever
 * waits is served first, the record is reaped after. */
static void test_nothing_is_reaped_while_somebody_waits(void **state)
{
    struct rig *r = *state;
    uint64_t last = crowd(r, 2);
    rig_step(r, RETAIN_MS_MIN);
    rig_pass(r, 0);
    assert_int_equal(r->woken_count, 2001);
    assert_int_equal(rig_woken(r, last, 1)->as.begin.verdict, BEGIN_TAKEOVER);
    assert_int_equal(rig_state(r, "crowd/1"), RECORD_TOMBSTONE);
    assert_int_equal(rig_state(r, "last"), RECORD_RUNNING);
}

/* A newcomer does not pass those who wait for a serving that was put off. */
static void test_a_newcomer_does_not_pass_those_who_wait(void **state)
{
    struct rig *r = *state;
    uint64_t last = crowd(r, 4);
    uint64_t s = rig_session(r, 600000); /* an entry, and so the second serving */
    struct answer a = rig_begin(r, s, "last");
    assert_int_equal(a.status, HF_ERUNNING);
    assert_int_equal(a.as.running.lease_left_ms, 0);
    assert_int_equal(r->woken_count, 3 * GRANTS_A_SERVING_MAX);
    assert_true(rig_begin_waiting(r, s, "last", 500000).parked);
    rig_pass(r, 0);
    assert_int_equal(r->woken_count, 4001);
    assert_int_equal(rig_woken(r, last, 1)->as.begin.verdict, BEGIN_TAKEOVER);
    assert_null(rig_woken(r, s, 2));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_that_wait_get_the_result),
        TEST(test_the_first_that_waits_starts_after_retryable),
        TEST(test_the_first_that_waits_takes_over_the_lapsed_one),
        TEST(test_all_that_wait_are_told_unknown),
        TEST(test_all_that_wait_get_the_failure_of_an_abandoned_one),
        TEST(test_closing_the_owners_session_hands_over),
        TEST(test_a_wait_that_is_over_is_told_running),
        TEST(test_a_wait_that_ends_with_the_lease_is_over),
        TEST(test_a_parked_begin_can_be_cancelled),
        TEST(test_cancel_before_begin_keeps_it_from_running),
        TEST(test_a_session_that_ends_waits_no_more),
        TEST(test_a_session_may_wait_for_its_own_attempt),
        TEST(test_a_retry_of_a_parked_begin_keeps_its_place),
        TEST(test_a_parked_begin_with_a_stale_guard_makes_way),
        TEST(test_a_queue_of_stale_guards_leaves_the_record_lapsed),
        TEST(test_a_record_parks_at_most_1024),
        TEST(test_a_full_session_that_waited_may_bind),
        TEST(test_a_serving_that_is_put_off_loses_nobody),
        TEST(test_nothing_is_reaped_while_somebody_waits),
        TEST(test_a_newcomer_does_not_pass_those_who_wait),
    };
    return cmocka_run_group_tests_name("record_wait", tests, NULL, NULL);
}
