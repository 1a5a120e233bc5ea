/* What an operator does to a record that has ended (docs/contract.md, section 6): REOPEN, ERASE. */
#include "tests/unit/cmocka_all.h"
#include "tests/unit/records/record_rig.h"

enum { LONG_TTL_MS = 3600000 };

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

/* A record that was completed so; its token. */
static uint64_t make_ended(struct rig *r, uint64_t s, const char *key, uint64_t outcome)
{
    struct msg_begin begin = a_begin(key);
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_complete(r, s, key, token, outcome, "no money").status, HF_OK);
    return token;
}

/* ------------------------------------------------------------------ REOPEN */

/* A FAILED record runs again: the next attempt, the same fingerprint and secret, no old result. */
static void test_reopen_lets_a_failed_record_run_again(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    uint64_t token = make_ended(r, s, "pay/1", OUTCOME_FAILED);
    assert_int_equal(rig_begin(r, s, "pay/1").as.begin.verdict, BEGIN_REPLAY);
    assert_int_equal(rig_reopen(r, s, "pay/1", token, OUTCOME_FAILED).status, HF_OK);
    struct msg_record_reply record = rig_get(r, "pay/1").as.record;
    assert_int_equal(record.state, RECORD_RETRYABLE);
    assert_int_equal(record.code + record.headers.size + record.body.size, 0);

    struct msg_begin other = a_begin("pay/1");
    other.fingerprint = another_fingerprint();
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &other).status, HF_EMISMATCH);
    struct msg_begin begin = a_begin("pay/1");
    begin.secret_id = slice_of("secret-2");
    struct answer a = rig_send(r, s, OP_CODE_BEGIN, &begin);
    assert_int_equal(a.as.begin.verdict, BEGIN_STARTED);
    assert_int_equal(a.as.begin.attempt, 2);
    assert_true(a.as.begin.fencing_token > token);
    assert_true(is_text(a.as.begin.secret_id, "secret-1"));
}

/* Who reopened it, why and when stay where GET shows them. */
static void test_reopen_leaves_who_and_why(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    uint64_t token = make_ended(r, s, "pay/1", OUTCOME_FAILED);
    assert_int_equal(rig_get(r, "pay/1").as.record.act, 0);
    r->wall_ms += 777;
    assert_int_equal(rig_reopen(r, s, "pay/1", token, OUTCOME_FAILED).status, HF_OK);
    struct msg_record_reply record = rig_get(r, "pay/1").as.record;
    assert_int_equal(record.act, OP_CODE_REOPEN);
    assert_int_equal(record.act_at_ms, r->wall_ms);
    assert_true(is_text(record.operator_name, "bob"));
    assert_true(is_text(record.evidence, "the card was blocked by mistake"));
    assert_true(rig_begin(r, s, "pay/1").status == HF_OK); /* they stay with the next attempt */
    assert_int_equal(rig_get(r, "pay/1").as.record.act, OP_CODE_REOPEN);
}

/* What was DONE is never run again, not even as a tombstone; nor is what has not ended FAILED. */
static void test_only_a_failed_outcome_is_reopened(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    static const uint64_t outcomes[] = {OUTCOME_DONE, OUTCOME_RETRYABLE};
    for (size_t i = 0; i < HF_ARRAY_COUNT(outcomes); i++) {
        const char *key = i == 0 ? "pay/done" : "pay/retryable";
        uint64_t token = make_ended(r, s, key, outcomes[i]);
        struct answer a = rig_reopen(r, s, key, token, OUTCOME_FAILED);
        assert_int_equal(a.status, HF_EBADSTATE);
        assert_int_equal(a.as.state.state, outcomes[i]);
        assert_int_equal(rig_state(r, key), outcomes[i]);
    }
    struct msg_begin begin = a_begin("pay/runs");
    begin.lease_ms = 0;
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_reopen(r, s, "pay/runs", token, OUTCOME_FAILED).status, HF_EBADSTATE);
    assert_int_equal(rig_checkpoint(r, s, "pay/runs", token, 1, MARK_ONCE).status, HF_OK);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    assert_int_equal(rig_state(r, "pay/runs"), RECORD_UNKNOWN);
    assert_int_equal(rig_reopen(r, s, "pay/runs", token, OUTCOME_FAILED).status, HF_EBADSTATE);

    rig_pass(r, RETAIN_MS_MIN);
    assert_int_equal(rig_state(r, "pay/done"), RECORD_TOMBSTONE);
    uint64_t done = rig_get(r, "pay/done").as.record.fencing_token;
    struct answer a = rig_reopen(r, s, "pay/done", done, OUTCOME_FAILED);
    assert_int_equal(a.status, HF_EBADSTATE);
    assert_int_equal(a.as.state.outcome, OUTCOME_DONE);
    assert_int_equal(rig_reopen(r, s, "pay/done", done, OUTCOME_DONE).status, HF_EBADSTATE);
    assert_int_equal(rig_begin(r, s, "pay/done").status, HF_EKEYEXPIRED);
    assert_int_equal(rig_reopen(r, s, "pay/none", done, OUTCOME_FAILED).status, HF_ENOTFOUND);
}

/* An operator who looked at an older attempt, or at another outcome, changes nothing. */
static void test_reopen_wants_the_outcome_that_there_is(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    uint64_t old = make_ended(r, s, "pay/1", OUTCOME_FAILED);
    assert_int_equal(rig_reopen(r, s, "pay/1", old, OUTCOME_DONE).status, HF_EBADSTATE);
    assert_int_equal(rig_reopen(r, s, "pay/1", old, OUTCOME_FAILED).status, HF_OK);
    assert_int_equal(rig_reopen(r, s, "pay/1", old, OUTCOME_FAILED).status, HF_EBADSTATE);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_FAILED, "again").status, HF_OK);
    struct answer a = rig_reopen(r, s, "pay/1", old, OUTCOME_FAILED);
    assert_int_equal(a.status, HF_ESTALE);
    assert_int_equal(a.as.state.outcome, OUTCOME_FAILED);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_FAILED);
    assert_int_equal(rig_reopen(r, s, "pay/1", token + 9, OUTCOME_FAILED).status, HF_EBADREQUEST);
}

/* A FAILED tombstone becomes the record that it was: attempts and tokens go on, the fingerprint
 * still guards it, policy, retention, marks and the secret's id are the first BEGIN's. */
static void test_a_failed_tombstone_is_reopened_as_it_was(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    struct msg_begin begin = a_begin("pay/1");
    begin.takeover = TAKEOVER_NEVER;
    begin.retain_ms = 2 * RETAIN_MS_MIN;
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_DERIVED).status, HF_OK);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_FAILED, "no").status, HF_OK);
    rig_pass(r, 2 * RETAIN_MS_MIN);
    struct msg_record_reply seen = rig_get(r, "pay/1").as.record;
    assert_int_equal(seen.state, RECORD_TOMBSTONE);
    assert_int_equal(seen.outcome, OUTCOME_FAILED);
    assert_int_equal(seen.fencing_token, token);
    assert_int_equal(rig_reopen(r, s, "pay/1", token, OUTCOME_FAILED).status, HF_OK);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_RETRYABLE);

    struct msg_begin other = begin;
    other.fingerprint = another_fingerprint();
    other.takeover = TAKEOVER_AUTO;
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &other).status, HF_EMISMATCH);
    other.fingerprint = a_fingerprint();
    other.secret_id = slice_of("secret-2");
    struct answer a = rig_send(r, s, OP_CODE_BEGIN, &other);
    assert_int_equal(a.as.begin.verdict, BEGIN_STARTED);
    assert_int_equal(a.as.begin.attempt, 2);
    assert_true(is_text(a.as.begin.secret_id, "secret-1"));
    struct msg_record_reply record = rig_get(r, "pay/1").as.record;
    assert_true(slice_equal(record.fingerprint, a_fingerprint()));
    assert_int_equal(record.retain_ms, 2 * RETAIN_MS_MIN);
    rig_pass(r, begin.lease_ms);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_UNKNOWN); /* never, and a mark was once made */
}

/* A reopened record that nobody runs goes after its retention, as every RETRYABLE one. */
static void test_a_reopened_record_is_reaped_as_a_retryable_one(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    uint64_t token = make_ended(r, s, "pay/1", OUTCOME_FAILED);
    rig_pass(r, RETAIN_MS_MIN);
    rig_pass(r, 5 * RETAIN_MS_MIN);
    assert_int_equal(rig_reopen(r, s, "pay/1", token, OUTCOME_FAILED).status, HF_OK);
    rig_pass(r, RETAIN_MS_MIN - 1);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_RETRYABLE);
    rig_pass(r, 1);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_ABSENT);
}

/* After REOPEN the old result stands no longer: its owner's repeat is a late completion, and a
 * retry of a BEGIN that had replayed it says that what it told of has gone. */
static void test_the_old_result_of_a_reopened_record_is_late(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    uint64_t token = make_ended(r, s, "pay/1", OUTCOME_FAILED);
    struct msg_begin begin = a_begin("pay/1");
    assert_int_equal(rig_send_as(r, s, 90, OP_CODE_BEGIN, &begin).as.begin.referent,
                     REFERENT_WHOLE);
    r->seqs[s] = 90;
    assert_int_equal(rig_reopen(r, s, "pay/1", token, OUTCOME_FAILED).status, HF_OK);
    struct answer a = rig_complete(r, s, "pay/1", token, OUTCOME_FAILED, "no money");
    assert_int_equal(a.status, HF_ESTALE);
    assert_int_equal(a.as.state.state, RECORD_RETRYABLE);
    assert_int_equal(rig_get(r, "pay/1").as.record.late.count, 1);
    a = rig_send_as(r, s, 90, OP_CODE_BEGIN, &begin);
    assert_int_equal(a.as.begin.verdict, BEGIN_REPLAY);
    assert_int_equal(a.as.begin.referent, REFERENT_GONE);
    assert_int_equal(a.as.begin.body.size, 0);
}

/* ------------------------------------------------------------------ ERASE */

/* What may tell of a person goes; what keeps the promise stays. */
static void test_erase_drops_what_was_told_and_keeps_the_outcome(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    struct msg_begin begin = a_begin("pay/1");
    begin.takeover = TAKEOVER_MANUAL;
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 3, MARK_ONCE).status, HF_OK);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    assert_int_equal(rig_resolve(r, s, "pay/1", token, OUTCOME_DONE, "Jane, Elm St").status, HF_OK);
    struct msg_record_reply was = rig_get(r, "pay/1").as.record;
    assert_int_equal(rig_erase(r, s, "pay/1").status, HF_OK);
    struct msg_record_reply record = rig_get(r, "pay/1").as.record;
    assert_int_equal(record.body_kind, BODY_ERASED);
    assert_int_equal(record.headers.size + record.body.size + record.meta.size, 0);
    assert_int_equal(record.checkpoint.size + record.checkpoint_data.size, 0);
    assert_true(is_text(record.evidence, "her request of today"));
    assert_true(is_text(record.operator_name, "eve"));
    assert_int_equal(record.act, OP_CODE_ERASE);
    assert_int_equal(record.state, RECORD_DONE);
    assert_int_equal(record.code, 202);
    assert_int_equal(record.fencing_token, token);
    assert_int_equal(record.done_at_ms, was.done_at_ms);
    assert_int_equal(record.since_ms, was.since_ms);
    assert_int_equal(record.left_ms, was.left_ms); /* retention goes on as before */
    assert_true(slice_equal(record.fingerprint, a_fingerprint()));
}

/* Whoever asks afterwards, and whoever asks again, hears that it was done and that the rest has
 * gone; the same completion again is still the same. */
static void test_an_erased_result_is_told_as_gone(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    uint64_t token = make_ended(r, s, "pay/1", OUTCOME_DONE);
    struct msg_begin begin = a_begin("pay/1");
    struct answer a = rig_send_as(r, s, 90, OP_CODE_BEGIN, &begin);
    r->seqs[s] = 90;
    assert_true(is_text(a.as.begin.body, "no money"));
    assert_int_equal(rig_erase(r, s, "pay/1").status, HF_OK);
    for (int again = 0; again < 2; again++) {
        a = again == 0 ? rig_begin(r, s, "pay/1") : rig_send_as(r, s, 90, OP_CODE_BEGIN, &begin);
        assert_int_equal(a.status, HF_OK);
        assert_int_equal(a.as.begin.verdict, BEGIN_REPLAY);
        assert_int_equal(a.as.begin.outcome, OUTCOME_DONE);
        assert_int_equal(a.as.begin.code, 201);
        assert_int_equal(a.as.begin.referent, REFERENT_GONE);
        assert_int_equal(a.as.begin.body_kind, BODY_ERASED);
        assert_int_equal(a.as.begin.headers.size + a.as.begin.body.size, 0);
    }
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "no money").status, HF_OK);
    a = rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "other");
    assert_int_equal(a.status, HF_ECONFLICT);
    assert_int_equal(rig_get(r, "pay/1").as.record.body.size, 0);
}

/* What has not ended may need its data: refused, and nothing is dropped. */
static void test_what_has_not_ended_is_not_erased(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_DERIVED).status, HF_OK);
    struct answer a = rig_erase(r, s, "pay/1");
    assert_int_equal(a.status, HF_EBADSTATE);
    assert_int_equal(a.as.state.state, RECORD_RUNNING);
    rig_pass(r, begin.lease_ms); /* lapsed */
    assert_int_equal(rig_erase(r, s, "pay/1").status, HF_EBADSTATE);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 2, MARK_ONCE).status, HF_OK);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_UNKNOWN);
    assert_int_equal(rig_erase(r, s, "pay/1").status, HF_EBADSTATE);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_RETRYABLE, "").status, HF_OK);
    assert_int_equal(rig_erase(r, s, "pay/1").status, HF_EBADSTATE);
    assert_true(is_text(rig_get(r, "pay/1").as.record.checkpoint_data, "step data"));
    assert_int_equal(rig_erase(r, s, "pay/2").status, HF_ENOTFOUND);
}

/* Twice is as once; a tombstone holds nothing to drop; REOPEN begins with a clean one. */
static void test_erase_can_be_repeated(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    uint64_t token = make_ended(r, s, "pay/1", OUTCOME_FAILED);
    assert_int_equal(rig_erase(r, s, "pay/1").status, HF_OK);
    uint64_t at_ms = rig_get(r, "pay/1").as.record.act_at_ms;
    rig_pass(r, 1000);
    assert_int_equal(rig_erase(r, s, "pay/1").status, HF_OK);
    assert_int_equal(rig_get(r, "pay/1").as.record.act_at_ms, at_ms);
    rig_pass(r, RETAIN_MS_MIN);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_TOMBSTONE);
    assert_int_equal(rig_erase(r, s, "pay/1").status, HF_OK);
    assert_int_equal(rig_begin(r, s, "pay/1").status, HF_EKEYEXPIRED);
    assert_int_equal(rig_reopen(r, s, "pay/1", token, OUTCOME_FAILED).status, HF_OK);
    assert_int_equal(rig_get(r, "pay/1").as.record.body_kind, BODY_WHOLE);
}

/* ------------------------------------------------------------------ a body over the limit */

/* A result without its body, or with a reference, is told as such, and is part of what a repeated
 * completion is compared by. */
static void test_a_result_without_its_body_says_so(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    static const uint64_t kinds[] = {BODY_OMITTED, BODY_REFERENCE};
    for (size_t i = 0; i < HF_ARRAY_COUNT(kinds); i++) {
        struct msg_begin begin = a_begin(i == 0 ? "pay/omitted" : "pay/reference");
        struct msg_complete complete = {
            .key = begin.key,
            .fencing_token = rig_started(r, s, &begin),
            .outcome = OUTCOME_DONE,
            .code = 200,
            .headers = slice_of("type: text"),
            .body = slice_of(i == 0 ? "" : "s3://results/17"),
            .body_kind = kinds[i],
        };
        assert_int_equal(rig_send(r, s, OP_CODE_COMPLETE, &complete).status, HF_OK);
        struct answer a = rig_send(r, s, OP_CODE_BEGIN, &begin);
        assert_int_equal(a.as.begin.verdict, BEGIN_REPLAY);
        assert_int_equal(a.as.begin.body_kind, kinds[i]);
        assert_int_equal(a.as.begin.referent, REFERENT_WHOLE);
        assert_true(is_text(a.as.begin.headers, "type: text"));
        assert_true(slice_equal(a.as.begin.body, complete.body));
        assert_int_equal(rig_send(r, s, OP_CODE_COMPLETE, &complete).status, HF_OK);
        complete.body_kind = BODY_WHOLE;
        assert_int_equal(rig_send(r, s, OP_CODE_COMPLETE, &complete).status, HF_ECONFLICT);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reopen_lets_a_failed_record_run_again),
        TEST(test_reopen_leaves_who_and_why),
        TEST(test_only_a_failed_outcome_is_reopened),
        TEST(test_reopen_wants_the_outcome_that_there_is),
        TEST(test_a_failed_tombstone_is_reopened_as_it_was),
        TEST(test_a_reopened_record_is_reaped_as_a_retryable_one),
        TEST(test_the_old_result_of_a_reopened_record_is_late),
        TEST(test_erase_drops_what_was_told_and_keeps_the_outcome),
        TEST(test_an_erased_result_is_told_as_gone),
        TEST(test_what_has_not_ended_is_not_erased),
        TEST(test_erase_can_be_repeated),
        TEST(test_a_result_without_its_body_says_so),
    };
    return cmocka_run_group_tests_name("record_operator", tests, NULL, NULL);
}
