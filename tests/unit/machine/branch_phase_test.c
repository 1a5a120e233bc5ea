/* Phases of branches beyond the table of contract, 7: late ends, repeats, failed confirms, retries,
 * fingerprints, freezes, caps, retention, ABANDON, pages. */
#include <stdio.h>

#include "machine/principals.h"
#include "machine/settings.h"
#include "storage/store.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/branch_rig.h"

/* ------------------------------------------------------------------ ends */

/* A lapsed phase is still good to end: log order decides. */
static void test_a_lapsed_try_may_still_end(void **state)
{
    struct rig r = rig_open(*state, "r");
    uint64_t token = rig_execute(&r, "g", BRANCH_TRY);
    pass(r.f, RIG_LEASE_MS + 1);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_DONE, "tried"), HF_OK);
    assert_int_equal(rig_state(&r, "g"), BRANCH_TRIED);
}

/* After a takeover it is not, and the branch keeps what it said as evidence. */
static void test_an_end_after_a_takeover_is_stale_and_kept(void **state)
{
    struct rig r = rig_open(*state, "r");
    uint64_t old = rig_bring(&r, "g", BRANCH_CONFIRMING);
    pass(r.f, RIG_LEASE_MS + 1);
    uint64_t token = rig_execute(&r, "g", BRANCH_CONFIRM);
    assert_int_equal(rig_done(&r, "g", old, OUTCOME_DONE, "late"), HF_ESTALE);
    assert_int_equal(rig_done(&r, "g", old, OUTCOME_DONE, "late"), HF_ESTALE);
    struct msg_branch_info info;
    assert_int_equal(rig_get(&r, "g", &info), HF_OK);
    assert_int_equal(info.state, BRANCH_CONFIRMING);
    assert_int_equal(info.late.count, 1);
    const struct late_item *late = info.late.items;
    assert_int_equal(late[0].fencing_token, old);
    assert_int_equal(late[0].outcome, OUTCOME_DONE);
    assert_int_equal(late[0].code, 7);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_DONE, "ended"), HF_OK);
    assert_int_equal(rig_state(&r, "g"), BRANCH_CONFIRMED);
}

/* A repeated end is OK, another result a conflict; of the try also after the confirm has begun. */
static void test_a_repeated_end_is_compared(void **state)
{
    struct rig r = rig_open(*state, "r");
    uint64_t tried = rig_bring(&r, "g", BRANCH_TRIED);
    uint64_t token = rig_execute(&r, "g", BRANCH_CONFIRM);
    assert_int_equal(rig_done(&r, "g", tried, OUTCOME_DONE, "tried"), HF_OK);
    assert_int_equal(rig_done(&r, "g", tried, OUTCOME_DONE, "other"), HF_ECONFLICT);
    assert_int_equal(rig_done(&r, "g", tried, OUTCOME_FAILED, "tried"), HF_ECONFLICT);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_DONE, "ended"), HF_OK);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_DONE, "ended"), HF_OK);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_DONE, "other"), HF_ECONFLICT);
    assert_int_equal(rig_done(&r, "g", tried, OUTCOME_DONE, "tried"), HF_OK);
    struct msg_branch_info info;
    assert_int_equal(rig_get(&r, "g", &info), HF_OK);
    assert_int_equal(info.late.count, 0);
}

/* A confirm that failed lapses at once: the next one takes over, and the failures are counted. */
static void test_a_confirm_that_failed_is_taken_over_at_once(void **state)
{
    struct rig r = rig_open(*state, "r");
    uint64_t token = rig_bring(&r, "g", BRANCH_CONFIRMING);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_FAILED, "no"), HF_OK);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_FAILED, "no"), HF_OK); /* told again */
    struct msg_branch_info info;
    assert_int_equal(rig_get(&r, "g", &info), HF_OK);
    assert_int_equal(info.state, BRANCH_CONFIRMING);
    assert_int_equal(info.lapsed, 1);
    assert_int_equal(info.failed_count, 1);
    assert_int_equal(info.code, 7);
    struct verdict v = rig_ask(&r, "g", BRANCH_CONFIRM);
    assert_int_equal(v.reply.verdict, BRANCH_EXECUTE);
    assert_int_equal(v.reply.takeover, 1);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_DONE, "late"), HF_ESTALE);
}

/* Who failed and then succeeded before anybody took over has succeeded. */
static void test_a_cancel_that_failed_may_still_succeed(void **state)
{
    struct rig r = rig_open(*state, "r");
    uint64_t token = rig_bring(&r, "g", BRANCH_CANCELLING);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_FAILED, "no"), HF_OK);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_DONE, "ended"), HF_OK);
    assert_int_equal(rig_state(&r, "g"), BRANCH_CANCELLED);
}

/* A try that says RETRYABLE is tried again, and has no end yet. */
static void test_a_retryable_try_is_tried_again(void **state)
{
    struct rig r = rig_open(*state, "r");
    uint64_t token = rig_bring(&r, "g", BRANCH_TRYING);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_RETRYABLE, ""), HF_OK);
    assert_int_equal(rig_ask(&r, "g", BRANCH_CONFIRM).status, HF_ENOTREADY);
    struct verdict v = rig_ask(&r, "g", BRANCH_TRY);
    assert_int_equal(v.reply.verdict, BRANCH_EXECUTE);
    assert_int_equal(v.reply.attempt, 2);
}

/* An end where nothing is stored is stale; a token that was never issued is refused. */
static void test_an_end_of_nothing_is_stale(void **state)
{
    struct rig r = rig_open(*state, "r");
    uint64_t token = rig_bring(&r, "other", BRANCH_TRYING);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_DONE, ""), HF_ESTALE);
    assert_int_equal(rig_done(&r, "g", token + 1, OUTCOME_DONE, ""), HF_EBADREQUEST);
}

/* An end under a token of another branch is stale, and no evidence against this one. */
static void test_another_branchs_token_is_no_evidence(void **state)
{
    struct rig r = rig_open(*state, "r");
    (void)rig_bring(&r, "g", BRANCH_TRYING);
    uint64_t token = rig_bring(&r, "other", BRANCH_TRYING);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_DONE, ""), HF_ESTALE);
    struct msg_branch_info info;
    assert_int_equal(rig_get(&r, "g", &info), HF_OK);
    assert_int_equal(info.late.count, 0);
    assert_int_equal(info.state, BRANCH_TRYING);
}

/* ------------------------------------------------------------------ asking */

/* Another fingerprint, or another step, is another request, in every state and for every op. */
static void test_another_fingerprint_or_step_is_a_mismatch(void **state)
{
    struct rig r = rig_open(*state, "r");
    for (uint64_t from = BRANCH_TRYING; from <= BRANCH_CANCELLED; from++) {
        char gid[8];
        snprintf(gid, sizeof gid, "g%d", (int)from);
        (void)rig_bring(&r, gid, from);
        for (uint64_t op = BRANCH_TRY; op <= BRANCH_CANCEL; op++) {
            struct msg_branch other = rig_request(gid, op);
            other.fingerprint = slice_make("fedcba9876543210fedcba9876543210", FINGERPRINT_BYTES);
            struct verdict v = rig_send(&r, &other);
            assert_int_equal(v.status, HF_EMISMATCH);
            assert_int_equal(v.state.state, from);
            other = rig_request(gid, op);
            other.step = slice_of("give");
            assert_int_equal(rig_send(&r, &other).status, HF_EMISMATCH);
        }
        assert_int_equal(rig_state(&r, gid), from);
    }
}

/* The same number: the same verdict and token, byte for byte; it says whether the phase stands. */
static void test_a_repeated_request_gets_the_same_token(void **state)
{
    struct rig r = rig_open(*state, "r");
    struct msg_branch request = rig_request("g", BRANCH_TRY);
    uint64_t token = rig_send(&r, &request).reply.fencing_token;
    uint64_t seq = r.seq;
    const struct answer *a = call(r.f, OP_CODE_BRANCH, r.session, seq, &request);
    assert_int_equal(a->flags, REPLY_REPEATED | REPLY_STANDS);
    assert_int_equal(rig_read_verdict(&r, a).reply.fencing_token, token);
    (void)rig_execute(&r, "g", BRANCH_CANCEL);
    a = call(r.f, OP_CODE_BRANCH, r.session, seq, &request);
    assert_int_equal(a->flags, REPLY_REPEATED);
    assert_int_equal(rig_read_verdict(&r, a).reply.fencing_token, token);
}

/* A repeated DUPLICATE looks the result up again; once the branch was reaped it says so. */
static void test_a_repeated_duplicate_has_its_body_while_it_is_kept(void **state)
{
    struct rig r = rig_open(*state, "r");
    (void)rig_bring(&r, "g", BRANCH_CONFIRMED);
    struct msg_branch request = rig_request("g", BRANCH_TRY);
    assert_int_equal(rig_send(&r, &request).reply.verdict, BRANCH_DUPLICATE);
    uint64_t seq = r.seq;
    const struct answer *a = call(r.f, OP_CODE_BRANCH, r.session, seq, &request);
    struct msg_branch_reply reply = rig_read_verdict(&r, a).reply;
    assert_int_equal(reply.referent, REFERENT_WHOLE);
    assert_true(slice_equal(reply.body, slice_of("tried")));
    pass(r.f, RIG_RETAIN_MS + 1);
    a = call(r.f, OP_CODE_BRANCH, r.session, seq, &request);
    reply = rig_read_verdict(&r, a).reply;
    assert_int_equal(reply.referent, REFERENT_GONE);
    assert_int_equal(reply.body.size, 0);
    assert_int_equal(reply.code, 7);
}

/* ABANDON of a phase's token lapses it, for its own session alone. */
static void test_an_abandoned_phase_is_taken_over_at_once(void **state)
{
    struct rig r = rig_open(*state, "r");
    struct rig other = rig_open(*state, "other");
    uint64_t token = rig_bring(&r, "g", BRANCH_TRYING);
    assert_int_equal(abandon(r.f, other.session, token), HF_ENOTOWNER);
    assert_int_equal(rig_ask(&other, "g", BRANCH_TRY).status, HF_ERUNNING);
    assert_int_equal(abandon(r.f, r.session, token), HF_OK);
    assert_int_equal(abandon(r.f, r.session, token), HF_OK);
    struct verdict v = rig_ask(&other, "g", BRANCH_TRY);
    assert_int_equal(v.reply.takeover, 1);
    assert_int_equal(abandon(r.f, r.session, token), HF_ENOTHELD);
}

/* Under a frozen prefix of gids nothing is tried; what was begun is confirmed or cancelled. */
static void test_a_freeze_stops_tries_alone(void **state)
{
    struct rig r = rig_open(*state, "r");
    (void)rig_bring(&r, "pay/1", BRANCH_TRIED);
    (void)rig_bring(&r, "pay/2", BRANCH_TRIED);
    const struct msg_freeze freeze = {slice_of("pay/"), slice_of("the audit"), slice_of("ann")};
    assert_int_equal(call(r.f, OP_CODE_FREEZE, r.session, ++r.seq, &freeze)->status, HF_OK);
    assert_int_equal(rig_ask(&r, "pay/3", BRANCH_TRY).status, HF_EFROZEN);
    assert_int_equal(rig_ask(&r, "pay/1", BRANCH_TRY).status, HF_EFROZEN);
    (void)rig_execute(&r, "pay/1", BRANCH_CONFIRM);
    (void)rig_execute(&r, "pay/2", BRANCH_CANCEL);
    assert_int_equal(rig_ask(&r, "pay/4", BRANCH_CANCEL).reply.verdict, BRANCH_EMPTY_ROLLBACK);
    assert_int_equal(call(r.f, OP_CODE_THAW, r.session, ++r.seq, &freeze)->status, HF_OK);
    (void)rig_execute(&r, "pay/3", BRANCH_TRY);
}

static void set(struct rig *r, const char *name, uint64_t value)
{
    const struct msg_config_set set = {
        .name = slice_of(name),
        .value = value,
        .reason = slice_of("the test"),
        .operator_name = slice_of("ann"),
    };
    assert_int_equal(call(r->f, OP_CODE_CONFIG_SET, r->session, ++r->seq, &set)->status, HF_OK);
}

/* An unfinished branch counts as an open record: one more try is QUOTA; what finishes is not. */
static void test_an_unfinished_branch_counts_as_an_open_record(void **state)
{
    struct rig r = rig_open(*state, "r");
    set(&r, "principal_records_max", 1);
    (void)rig_bring(&r, "g", BRANCH_TRIED);
    assert_int_equal(rig_ask(&r, "more", BRANCH_TRY).status, HF_EQUOTA);
    assert_int_equal(rig_ask(&r, "none", BRANCH_CANCEL).reply.verdict, BRANCH_EMPTY_ROLLBACK);
    uint64_t token = rig_execute(&r, "g", BRANCH_CONFIRM);
    assert_int_equal(rig_ask(&r, "more", BRANCH_TRY).status, HF_EQUOTA);
    assert_int_equal(rig_done(&r, "g", token, OUTCOME_DONE, ""), HF_OK);
    (void)rig_execute(&r, "more", BRANCH_TRY);
}

/* ------------------------------------------------------------------ retention */

/* What is finished goes after its retention, and then the branch is as new. */
static void test_a_finished_branch_stays_for_its_retention(void **state)
{
    struct rig r = rig_open(*state, "r");
    (void)rig_bring(&r, "yes", BRANCH_CONFIRMED);
    (void)rig_bring(&r, "no", BRANCH_CANCELLED);
    (void)rig_ask(&r, "empty", BRANCH_CANCEL);
    pass(r.f, RIG_RETAIN_MS - 1);
    assert_int_equal(rig_ask(&r, "no", BRANCH_TRY).status, HF_EHANGING);
    assert_int_equal(rig_ask(&r, "empty", BRANCH_TRY).status, HF_EHANGING);
    assert_int_equal(rig_state(&r, "yes"), BRANCH_CONFIRMED);
    pass(r.f, 2);
    assert_int_equal(store_count(r.f->store, TABLE_BRANCHES), 0);
    assert_int_equal(rig_ask(&r, "yes", BRANCH_CONFIRM).status, HF_ENOTRY);
}

/* What is not finished is never reaped. */
static void test_an_unfinished_branch_is_never_reaped(void **state)
{
    struct rig r = rig_open(*state, "r");
    const uint64_t states[] = {BRANCH_TRYING, BRANCH_TRIED, BRANCH_TRY_FAILED, BRANCH_CONFIRMING,
                               BRANCH_CANCELLING};
    char gid[8];
    for (size_t i = 0; i < HF_ARRAY_COUNT(states); i++) {
        snprintf(gid, sizeof gid, "g%zu", i);
        (void)rig_bring(&r, gid, states[i]);
    }
    for (int day = 0; day < 400; day++) {
        pass(r.f, 86400000);
        if (day % 100 != 0) continue;
        r = rig_open(*state, "later"); /* the session has ended long ago, too */
        for (size_t i = 0; i < HF_ARRAY_COUNT(states); i++) {
            snprintf(gid, sizeof gid, "g%zu", i);
            assert_int_equal(rig_state(&r, gid), states[i]);
        }
    }
}

/* The phase outlives its session: it has a lease of its own. */
static void test_a_phase_outlives_its_session(void **state)
{
    struct rig r = rig_open(*state, "r");
    struct rig other = rig_open(*state, "other");
    uint64_t token = rig_bring(&r, "g", BRANCH_TRYING);
    assert_int_equal(close_session(r.f, r.session, ++r.seq), HF_OK);
    assert_int_equal(rig_ask(&other, "g", BRANCH_TRY).status, HF_ERUNNING);
    assert_int_equal(rig_done(&other, "g", token, OUTCOME_DONE, "tried"), HF_OK);
    assert_int_equal(rig_state(&other, "g"), BRANCH_TRIED);
}

/* ------------------------------------------------------------------ pages */

/* Pages go on behind their cursor, under the prefix, through the filter. */
static void test_pages_of_branches(void **state)
{
    struct rig r = rig_open(*state, "r");
    const char *gids[] = {"a/1", "a/2", "a/3", "b/1"};
    const uint64_t states[] = {BRANCH_TRIED, BRANCH_CONFIRMED, BRANCH_CANCELLING, BRANCH_TRYING};
    for (size_t i = 0; i < HF_ARRAY_COUNT(gids); i++) (void)rig_bring(&r, gids[i], states[i]);
    struct msg_branch_list want = {.prefix = slice_of("a/"), .count_max = 2};
    struct msg_branch_list_reply reply;
    read_ok(r.f, OP_CODE_BRANCH_LIST, &want, 0, &reply);
    assert_int_equal(reply.branches.count, 2);
    const struct branch_line *lines = reply.branches.items;
    assert_true(slice_equal(lines[1].gid, slice_of("a/2")));
    assert_true(slice_equal(lines[1].branch, slice_of("debit")));
    assert_true(slice_equal(lines[1].step, slice_of("take")));
    assert_int_equal(lines[1].state, BRANCH_CONFIRMED);
    want.cursor_gid = reply.cursor_gid;
    want.cursor_branch = reply.cursor_branch;
    read_ok(r.f, OP_CODE_BRANCH_LIST, &want, 0, &reply);
    assert_int_equal(reply.branches.count, 1);
    assert_int_equal(reply.cursor_gid.size, 0);
    want = (struct msg_branch_list){.unfinished = 1, .count_max = 10};
    read_ok(r.f, OP_CODE_BRANCH_LIST, &want, 0, &reply);
    assert_int_equal(reply.branches.count, 3);
    want.state = BRANCH_TRYING;
    read_ok(r.f, OP_CODE_BRANCH_LIST, &want, 0, &reply);
    assert_int_equal(reply.branches.count, 1);
    pass(r.f, 5000);
    want.older_than_ms = 5001;
    read_ok(r.f, OP_CODE_BRANCH_LIST, &want, 0, &reply);
    assert_int_equal(reply.branches.count, 0);
}

/* Two branches of one transaction are two rows, whatever their names' bytes join to. */
static void test_gid_and_branch_are_not_joined(void **state)
{
    struct rig r = rig_open(*state, "r");
    struct msg_branch request = rig_request("ab", BRANCH_TRY);
    request.branch = slice_of("c");
    uint64_t first = rig_send(&r, &request).reply.fencing_token;
    request.gid = slice_of("a");
    request.branch = slice_of("bc");
    struct verdict v = rig_send(&r, &request);
    assert_int_equal(v.reply.verdict, BRANCH_EXECUTE);
    assert_true(v.reply.fencing_token > first);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(test_a_lapsed_try_may_still_end),
        ONE(test_an_end_after_a_takeover_is_stale_and_kept),
        ONE(test_a_repeated_end_is_compared),
        ONE(test_a_confirm_that_failed_is_taken_over_at_once),
        ONE(test_a_cancel_that_failed_may_still_succeed),
        ONE(test_a_retryable_try_is_tried_again),
        ONE(test_an_end_of_nothing_is_stale),
        ONE(test_another_branchs_token_is_no_evidence),
        ONE(test_another_fingerprint_or_step_is_a_mismatch),
        ONE(test_a_repeated_request_gets_the_same_token),
        ONE(test_a_repeated_duplicate_has_its_body_while_it_is_kept),
        ONE(test_an_abandoned_phase_is_taken_over_at_once),
        ONE(test_a_freeze_stops_tries_alone),
        ONE(test_an_unfinished_branch_counts_as_an_open_record),
        ONE(test_a_finished_branch_stays_for_its_retention),
        ONE(test_an_unfinished_branch_is_never_reaped),
        ONE(test_a_phase_outlives_its_session),
        ONE(test_pages_of_branches),
        ONE(test_gid_and_branch_are_not_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
