/* The table of contract, 7, a test a cell, named by its row and its column. What else holds of
 * phases (takeover, late ends, retention, retries) is in branch_phase_test.c. */
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/branch_rig.h"

/* The cell (state, op) answers EXECUTE under a token that is greater than the last one's, and the
 * branch is in `next`; the answer tells what became of the try. */
static void executes(void **state, uint64_t from, uint64_t op, uint64_t next, uint64_t tried)
{
    struct rig r = rig_open(*state, "r");
    uint64_t before = rig_bring(&r, "g", from);
    struct verdict v = rig_ask(&r, "g", op);
    assert_int_equal(v.status, HF_OK);
    assert_int_equal(v.reply.verdict, BRANCH_EXECUTE);
    assert_true(v.reply.fencing_token > before);
    assert_int_equal(v.reply.attempt, 1);
    assert_int_equal(v.reply.takeover, 0);
    assert_int_equal(v.reply.state, next);
    assert_int_equal(v.reply.tried, tried);
    assert_int_equal(rig_state(&r, "g"), next);
}

/* It answers DUPLICATE with what is stored of that phase, and changes nothing. */
static void is_duplicate(void **state, uint64_t from, uint64_t op, uint64_t outcome)
{
    struct rig r = rig_open(*state, "r");
    (void)rig_bring(&r, "g", from);
    struct verdict v = rig_ask(&r, "g", op);
    assert_int_equal(v.status, HF_OK);
    assert_int_equal(v.reply.verdict, BRANCH_DUPLICATE);
    assert_int_equal(v.reply.outcome, outcome);
    assert_int_equal(v.reply.code, 7);
    assert_int_equal(v.reply.done_at_ms, r.f->wall_ms);
    assert_true(slice_equal(v.reply.body, slice_of(op == BRANCH_TRY ? "tried" : "ended")));
    assert_int_equal(rig_state(&r, "g"), from);
}

/* It is refused with the state, and changes nothing. */
static void is_refused(void **state, uint64_t from, uint64_t op, int status)
{
    struct rig r = rig_open(*state, "r");
    (void)rig_bring(&r, "g", from);
    struct verdict v = rig_ask(&r, "g", op);
    assert_int_equal(v.status, status);
    assert_int_equal(v.state.state, from);
    assert_int_equal(rig_state(&r, "g"), from);
}

/* It is told that the phase runs, and for how long; lapsed, the next one takes over under a new
 * token. */
static void runs_then_is_taken_over(void **state, uint64_t from, uint64_t op, uint64_t tried)
{
    struct rig r = rig_open(*state, "r");
    uint64_t before = rig_bring(&r, "g", from);
    pass(r.f, 4000);
    struct verdict v = rig_ask(&r, "g", op);
    assert_int_equal(v.status, HF_ERUNNING);
    assert_int_equal(v.running.lease_left_ms, RIG_LEASE_MS - 4000);
    assert_int_equal(v.running.attempt, 1);
    pass(r.f, RIG_LEASE_MS);
    v = rig_ask(&r, "g", op);
    assert_int_equal(v.status, HF_OK);
    assert_int_equal(v.reply.verdict, BRANCH_EXECUTE);
    assert_int_equal(v.reply.takeover, 1);
    assert_int_equal(v.reply.attempt, 2);
    assert_int_equal(v.reply.tried, tried);
    assert_true(v.reply.fencing_token > before);
    assert_int_equal(rig_state(&r, "g"), from);
}

/* ------------------------------------------------------------------ nothing stored */

static void test_try_of_none_executes(void **state)
{
    executes(state, BRANCH_NONE, BRANCH_TRY, BRANCH_TRYING, BRANCH_TRY_OPEN);
}

static void test_confirm_of_none_is_no_try(void **state)
{
    is_refused(state, BRANCH_NONE, BRANCH_CONFIRM, HF_ENOTRY);
}

/* The row stays behind, so that the late try is hanging; the token is for the guard. */
static void test_cancel_of_none_is_an_empty_rollback(void **state)
{
    struct rig r = rig_open(*state, "r");
    struct verdict v = rig_ask(&r, "g", BRANCH_CANCEL);
    assert_int_equal(v.status, HF_OK);
    assert_int_equal(v.reply.verdict, BRANCH_EMPTY_ROLLBACK);
    assert_int_equal(v.reply.tried, BRANCH_TRY_NEVER);
    assert_true(v.reply.fencing_token > 0);
    uint64_t token = v.reply.fencing_token;
    assert_int_equal(rig_state(&r, "g"), BRANCH_CANCELLED);
    assert_int_equal(rig_ask(&r, "g", BRANCH_TRY).status, HF_EHANGING);
    v = rig_ask(&r, "g", BRANCH_CANCEL);
    assert_int_equal(v.reply.verdict, BRANCH_DUPLICATE);
    assert_int_equal(v.reply.fencing_token, token);
    assert_int_equal(v.reply.tried, BRANCH_TRY_NEVER);
}

/* ------------------------------------------------------------------ TRYING */

static void test_try_of_trying_is_running_or_takes_over(void **state)
{
    runs_then_is_taken_over(state, BRANCH_TRYING, BRANCH_TRY, BRANCH_TRY_OPEN);
}

static void test_confirm_of_trying_is_not_ready(void **state)
{
    is_refused(state, BRANCH_TRYING, BRANCH_CONFIRM, HF_ENOTREADY);
}

/* The new token makes the running try's end stale; what it did is not known. */
static void test_cancel_of_trying_executes_and_the_try_is_unknown(void **state)
{
    struct rig r = rig_open(*state, "r");
    uint64_t tried = rig_bring(&r, "g", BRANCH_TRYING);
    struct verdict v = rig_ask(&r, "g", BRANCH_CANCEL);
    assert_int_equal(v.status, HF_OK);
    assert_int_equal(v.reply.verdict, BRANCH_EXECUTE);
    assert_int_equal(v.reply.tried, BRANCH_TRY_UNKNOWN);
    assert_true(v.reply.fencing_token > tried);
    assert_int_equal(rig_done(&r, "g", tried, OUTCOME_DONE, "late"), HF_ESTALE);
    assert_int_equal(rig_state(&r, "g"), BRANCH_CANCELLING);
}

/* ------------------------------------------------------------------ TRIED, TRY_FAILED */

static void test_try_of_tried_is_a_duplicate(void **state)
{
    is_duplicate(state, BRANCH_TRIED, BRANCH_TRY, OUTCOME_DONE);
}

static void test_confirm_of_tried_executes(void **state)
{
    executes(state, BRANCH_TRIED, BRANCH_CONFIRM, BRANCH_CONFIRMING, BRANCH_TRY_DONE);
}

static void test_cancel_of_tried_executes_and_the_try_is_done(void **state)
{
    executes(state, BRANCH_TRIED, BRANCH_CANCEL, BRANCH_CANCELLING, BRANCH_TRY_DONE);
}

static void test_try_of_try_failed_is_a_duplicate_that_failed(void **state)
{
    is_duplicate(state, BRANCH_TRY_FAILED, BRANCH_TRY, OUTCOME_FAILED);
}

static void test_confirm_of_try_failed_is_no_try(void **state)
{
    is_refused(state, BRANCH_TRY_FAILED, BRANCH_CONFIRM, HF_ENOTRY);
}

static void test_cancel_of_try_failed_executes_and_the_try_failed(void **state)
{
    executes(state, BRANCH_TRY_FAILED, BRANCH_CANCEL, BRANCH_CANCELLING, BRANCH_TRY_REFUSED);
}

/* ------------------------------------------------------------------ CONFIRMING, CONFIRMED */

static void test_try_of_confirming_is_a_duplicate(void **state)
{
    is_duplicate(state, BRANCH_CONFIRMING, BRANCH_TRY, OUTCOME_DONE);
}

static void test_confirm_of_confirming_is_running_or_takes_over(void **state)
{
    runs_then_is_taken_over(state, BRANCH_CONFIRMING, BRANCH_CONFIRM, BRANCH_TRY_DONE);
}

static void test_cancel_of_confirming_is_a_conflict(void **state)
{
    is_refused(state, BRANCH_CONFIRMING, BRANCH_CANCEL, HF_EDECIDED);
}

static void test_try_of_confirmed_is_a_duplicate(void **state)
{
    is_duplicate(state, BRANCH_CONFIRMED, BRANCH_TRY, OUTCOME_DONE);
}

static void test_confirm_of_confirmed_is_a_duplicate(void **state)
{
    is_duplicate(state, BRANCH_CONFIRMED, BRANCH_CONFIRM, OUTCOME_DONE);
}

static void test_cancel_of_confirmed_is_a_conflict(void **state)
{
    is_refused(state, BRANCH_CONFIRMED, BRANCH_CANCEL, HF_EDECIDED);
}

/* ------------------------------------------------------------------ CANCELLING, CANCELLED */

static void test_try_of_cancelling_is_hanging(void **state)
{
    is_refused(state, BRANCH_CANCELLING, BRANCH_TRY, HF_EHANGING);
}

static void test_confirm_of_cancelling_is_a_conflict(void **state)
{
    is_refused(state, BRANCH_CANCELLING, BRANCH_CONFIRM, HF_EDECIDED);
}

static void test_cancel_of_cancelling_is_running_or_takes_over(void **state)
{
    runs_then_is_taken_over(state, BRANCH_CANCELLING, BRANCH_CANCEL, BRANCH_TRY_DONE);
}

static void test_try_of_cancelled_is_hanging(void **state)
{
    is_refused(state, BRANCH_CANCELLED, BRANCH_TRY, HF_EHANGING);
}

static void test_confirm_of_cancelled_is_a_conflict(void **state)
{
    is_refused(state, BRANCH_CANCELLED, BRANCH_CONFIRM, HF_EDECIDED);
}

static void test_cancel_of_cancelled_is_a_duplicate(void **state)
{
    is_duplicate(state, BRANCH_CANCELLED, BRANCH_CANCEL, OUTCOME_DONE);
}

#define CELL(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CELL(test_try_of_none_executes),
        CELL(test_confirm_of_none_is_no_try),
        CELL(test_cancel_of_none_is_an_empty_rollback),
        CELL(test_try_of_trying_is_running_or_takes_over),
        CELL(test_confirm_of_trying_is_not_ready),
        CELL(test_cancel_of_trying_executes_and_the_try_is_unknown),
        CELL(test_try_of_tried_is_a_duplicate),
        CELL(test_confirm_of_tried_executes),
        CELL(test_cancel_of_tried_executes_and_the_try_is_done),
        CELL(test_try_of_try_failed_is_a_duplicate_that_failed),
        CELL(test_confirm_of_try_failed_is_no_try),
        CELL(test_cancel_of_try_failed_executes_and_the_try_failed),
        CELL(test_try_of_confirming_is_a_duplicate),
        CELL(test_confirm_of_confirming_is_running_or_takes_over),
        CELL(test_cancel_of_confirming_is_a_conflict),
        CELL(test_try_of_confirmed_is_a_duplicate),
        CELL(test_confirm_of_confirmed_is_a_duplicate),
        CELL(test_cancel_of_confirmed_is_a_conflict),
        CELL(test_try_of_cancelling_is_hanging),
        CELL(test_confirm_of_cancelling_is_a_conflict),
        CELL(test_cancel_of_cancelling_is_running_or_takes_over),
        CELL(test_try_of_cancelled_is_hanging),
        CELL(test_confirm_of_cancelled_is_a_conflict),
        CELL(test_cancel_of_cancelled_is_a_duplicate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
