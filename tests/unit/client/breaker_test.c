/* The breaker and the budget by themselves, in virtual time, and under a core: what opens, what
 * does not, what passes by. */
#include "client/breaker.h"

#include "base/status.h"
#include "tests/unit/client/scripted.h"
#include "tests/unit/cmocka_all.h"

static struct breaker fresh(void)
{
    return (struct breaker){.after_ms = 5000, .open_ms = 1000};
}

/* Fails every 100 ms from `from_ns` for so long. */
static uint64_t fail_for(struct breaker *b, uint64_t from_ns, uint64_t ns)
{
    uint64_t now_ns = from_ns;
    for (; now_ns <= from_ns + ns; now_ns += 100 * MS) {
        if (breaker_admits(b, now_ns)) breaker_failed(b, now_ns);
    }
    return now_ns;
}

/* A leader change of four seconds, however many calls fail in it, is no outage. */
static void test_short_outage_does_not_open_it(void **state)
{
    (void)state;
    struct breaker b = fresh();
    (void)fail_for(&b, SEC, 4 * SEC);
    assert_int_equal(b.state, BREAKER_CLOSED);
    breaker_answered(&b);
    (void)fail_for(&b, 6 * SEC, 4 * SEC); /* and the next one counts anew */
    assert_int_equal(b.state, BREAKER_CLOSED);
}

/* A long one does; then a probe a second is admitted, and no other call. */
static void test_long_outage_opens_it(void **state)
{
    (void)state;
    struct breaker b = fresh();
    (void)fail_for(&b, SEC, 5 * SEC);
    assert_int_equal(b.state, BREAKER_OPEN);
    uint64_t now_ns = b.since_ns;
    assert_false(breaker_admits(&b, now_ns + 999 * MS));
    for (int i = 1; i < 4; i++) {
        now_ns += SEC;
        assert_true(breaker_admits(&b, now_ns));
        assert_int_equal(b.state, BREAKER_HALF_OPEN);
        assert_false(breaker_admits(&b, now_ns + MS));
        breaker_failed(&b, now_ns + 2 * MS);
        assert_int_equal(b.state, BREAKER_OPEN);
        now_ns += 2 * MS;
    }
    assert_true(breaker_admits(&b, now_ns + SEC));
    breaker_answered(&b);
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_true(breaker_admits(&b, now_ns + SEC));
}

/* Few failures are one caller's bad luck, however far apart; 0 switches it off. */
static void test_few_failures_do_not_open_it(void **state)
{
    (void)state;
    struct breaker b = fresh();
    for (uint64_t i = 0; i < BREAKER_FAILURES - 1; i++) breaker_failed(&b, (1 + 60 * i) * SEC);
    assert_int_equal(b.state, BREAKER_CLOSED);
    breaker_failed(&b, 1000 * SEC);
    assert_int_equal(b.state, BREAKER_OPEN);
    struct breaker off = {.after_ms = 0};
    (void)fail_for(&off, SEC, 100 * SEC);
    assert_int_equal(off.state, BREAKER_CLOSED);
}

/* A probe whose caller cancelled it was neither: the next one comes after open_ms. */
static void test_forgotten_probe_does_not_block(void **state)
{
    (void)state;
    struct breaker b = fresh();
    (void)fail_for(&b, SEC, 5 * SEC);
    uint64_t now_ns = b.since_ns + SEC;
    assert_true(breaker_admits(&b, now_ns));
    assert_false(breaker_admits(&b, now_ns + 999 * MS));
    assert_true(breaker_admits(&b, now_ns + SEC));
}

/* A full session is repeated twice at once; beyond that it drips, and fills again, but not over. */
static void test_budget_bounds_repetitions(void **state)
{
    (void)state;
    struct budget b = {.per_s = 100};
    for (int i = 0; i < BUDGET_BURST; i++) assert_int_equal(budget_take(&b, SEC), 0);
    uint64_t wait_ns = budget_take(&b, SEC);
    assert_in_range(wait_ns, 10 * MS, 11 * MS);
    assert_int_equal(budget_take(&b, SEC + wait_ns), 0);
    assert_int_not_equal(budget_take(&b, SEC + wait_ns), 0);
    int taken = 0;
    while (budget_take(&b, 2 * SEC) == 0) taken += 1;
    assert_in_range(taken, 98, 100);
    for (int i = 0; i < BUDGET_BURST; i++) assert_int_equal(budget_take(&b, 1000000 * SEC), 0);
    assert_int_not_equal(budget_take(&b, 1000000 * SEC), 0);
    struct budget off = {.per_s = 0};
    for (int i = 0; i < 3 * BUDGET_BURST; i++) assert_int_equal(budget_take(&off, SEC), 0);
}

/* ------------------------------------------------------------------ under a core */

static struct script s;

static int setup(void **state)
{
    (void)state;
    script_open(&s, "a:1", 10000);
    s.core.breaker = fresh();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_close(&s);
    return 0;
}

static bool admits(uint16_t op)
{
    return core_admits(&s.core, op, NULL, s.now_ns);
}

/* One call of new work that nobody answers. */
static void fail_one(void)
{
    assert_true(admits(OP_CODE_ACQUIRE));
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_pass(&s, 5 * SEC);
    assert_ptr_equal(core_take_finished(&s.core), call);
    core_detach(&s.core, call);
}

/* No server can be reached: new work is refused, what frees is not, and the first sign of life of a
 * server, here the answer to OPEN, admits it again. */
static void test_new_work_is_refused_until_a_server_answers(void **state)
{
    (void)state;
    for (int i = 0; i < BREAKER_FAILURES; i++) fail_one();
    static const uint16_t fresh_ops[] = {OP_CODE_ACQUIRE, OP_CODE_BEGIN, OP_CODE_LIST};
    static const uint16_t exempt[] = {OP_CODE_RELEASE,  OP_CODE_EXTEND, OP_CODE_CHECKPOINT,
                                      OP_CODE_COMPLETE, OP_CODE_CLOSE,  OP_CODE_RESOLVE,
                                      OP_CODE_STATUS};
    for (size_t i = 0; i < HF_ARRAY_COUNT(fresh_ops); i++) assert_false(admits(fresh_ops[i]));
    for (size_t i = 0; i < HF_ARRAY_COUNT(exempt); i++) assert_true(admits(exempt[i]));
    s.now_ns += SEC;
    assert_true(admits(OP_CODE_ACQUIRE)); /* the probe */
    struct call *probe = script_acquire(&s, 0, 0, FATE_CANCEL);
    assert_false(admits(OP_CODE_ACQUIRE));
    script_open_session(&s);
    assert_true(admits(OP_CODE_ACQUIRE));
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    script_finish(&s, probe, HF_OK);
}

/* Of a TXN and a branch the request says it. */
static void test_what_finishes_as_a_whole_is_no_new_work(void **state)
{
    (void)state;
    for (int i = 0; i < BREAKER_FAILURES; i++) fail_one();
    struct txn_op ops[] = {{.op = OP_CODE_RELEASE}, {.op = OP_CODE_COMPLETE}};
    const struct msg_txn txn = {.ops = {ops, HF_ARRAY_COUNT(ops)}};
    struct msg_branch branch = {.op = BRANCH_CONFIRM};
    assert_true(core_admits(&s.core, OP_CODE_TXN, &txn, s.now_ns));
    assert_true(core_admits(&s.core, OP_CODE_BRANCH, &branch, s.now_ns));
    ops[1].op = OP_CODE_BEGIN;
    branch.op = BRANCH_TRY;
    assert_false(core_admits(&s.core, OP_CODE_TXN, &txn, s.now_ns));
    assert_false(core_admits(&s.core, OP_CODE_BRANCH, &branch, s.now_ns));
}

/* A server that answers, if only that it is busy, is no outage. */
static void test_refusals_do_not_open_it(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * BREAKER_FAILURES; i++) {
        assert_true(admits(OP_CODE_ACQUIRE));
        struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
        if (i == 0) script_open_session(&s);
        script_reply(&s, script_expect(&s, OP_CODE_ACQUIRE), HF_ETOOBUSY, NULL);
        script_finish(&s, call, HF_ETOOBUSY);
        s.now_ns += SEC / 10;
    }
    assert_int_equal(s.core.breaker.state, BREAKER_CLOSED);
}

/* When the budget is spent a request is repeated later, not never; a release is not counted. */
static void test_repetition_waits_for_the_budget(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    (void)script_expect(&s, OP_CODE_ACQUIRE);
    s.core.budget = (struct budget){.per_s = 1, .left_milli = 0, .at_ns = s.now_ns};
    struct msg_release release = {.fencing_token = 5, .owner = 3};
    struct call *exempt;
    assert_int_equal(core_call_new(&s.core, OP_CODE_RELEASE, &release, &exempt), HF_OK);
    exempt->fate = FATE_HOLD;
    core_submit(&s.core, exempt, s.now_ns + 5 * SEC, s.now_ns);
    (void)script_expect(&s, OP_CODE_RELEASE);
    script_cut(&s);
    script_resume(&s);
    (void)script_expect(&s, OP_CODE_RELEASE);
    script_expect_nothing(&s);
    script_pass(&s, 2 * SEC);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    script_finish(&s, call, HF_OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_outage_does_not_open_it),
        cmocka_unit_test(test_long_outage_opens_it),
        cmocka_unit_test(test_few_failures_do_not_open_it),
        cmocka_unit_test(test_forgotten_probe_does_not_block),
        cmocka_unit_test(test_budget_bounds_repetitions),
        CASE(test_new_work_is_refused_until_a_server_answers),
        CASE(test_what_finishes_as_a_whole_is_no_new_work),
        CASE(test_refusals_do_not_open_it),
        CASE(test_repetition_waits_for_the_budget),
    };
    return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
