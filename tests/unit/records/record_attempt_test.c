/* What an attempt does and what ends it: EXTEND, CHECKPOINT, COMPLETE, RESOLVE, ABANDON, the end of
 * its lease by policy and marks, completions that come too late (docs/contract.md, section 6). */
#include <stdio.h>

#include "base/hash.h"
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

/* ------------------------------------------------------------------ the lease's end */

enum marks { NEVER_MARKED, MARK_CLOSED, ONE_OPEN, TWO_OPEN, TWO_OVER_ONE, MARKS_END };

static void make_marks(struct rig *r, uint64_t s, const char *key, uint64_t token, enum marks marks)
{
    const uint64_t steps[MARKS_END][2] = {
        [NEVER_MARKED] = {MARK_NONE, MARK_NONE},    [MARK_CLOSED] = {MARK_ONCE, MARK_NONE},
        [ONE_OPEN] = {MARK_NONE, MARK_ONCE},        [TWO_OPEN] = {MARK_NONE, MARK_DERIVED},
        [TWO_OVER_ONE] = {MARK_ONCE, MARK_DERIVED},
    };
    for (uint64_t i = 0; i < 2; i++) {
        struct answer a = rig_checkpoint(r, s, key, token, i + 1, steps[marks][i]);
        assert_int_equal(a.status, HF_OK);
    }
}

/* What becomes of an attempt whose lease ends, by takeover policy and marks: mark 1 open first,
 * then the policy. 0 stands for lapsed. Mark 2 does not weaken an open mark 1. */
static const uint64_t fates[3][MARKS_END] = {
    [TAKEOVER_AUTO] = {0, 0, RECORD_UNKNOWN, 0, RECORD_UNKNOWN},
    [TAKEOVER_MANUAL] = {RECORD_UNKNOWN, RECORD_UNKNOWN, RECORD_UNKNOWN, RECORD_UNKNOWN,
                         RECORD_UNKNOWN},
    [TAKEOVER_NEVER] = {RECORD_FAILED, RECORD_UNKNOWN, RECORD_UNKNOWN, RECORD_UNKNOWN,
                        RECORD_UNKNOWN},
};

enum ending { BY_LEASE, BY_EXPIRY, BY_CLOSE, BY_ABANDON, ENDINGS };

static void end_attempt(struct rig *r, uint64_t s, uint64_t token, enum ending ending)
{
    struct msg_empty empty = {0};
    switch (ending) {
    case BY_LEASE: rig_pass(r, 10000); break;
    case BY_EXPIRY: rig_pass(r, 30000); break;
    case BY_CLOSE: assert_int_equal(rig_send(r, s, OP_CODE_CLOSE, &empty).status, HF_OK); break;
    case BY_ABANDON: assert_int_equal(rig_abandon(r, s, token).status, HF_OK); break;
    case ENDINGS: break;
    }
}

static void check_fate(struct rig *r, const char *key, uint64_t fate)
{
    struct answer a = rig_get(r, key);
    assert_int_equal(a.status, HF_OK);
    assert_int_equal(a.as.record.state, fate == 0 ? RECORD_RUNNING : fate);
    assert_int_equal(a.as.record.lapsed, fate == 0);
    assert_int_equal(a.as.record.since_ms, r->now_ms);
    if (fate != RECORD_FAILED) return;
    assert_int_equal(a.as.record.code, 0);
    assert_int_equal(a.as.record.done_at_ms, r->wall_ms);
}

/* Whatever ends it (its lease, its session's expiry or CLOSE, ABANDON), the same rules decide. */
static void test_a_lease_ends_by_marks_and_policy(void **state)
{
    (void)state;
    for (uint64_t policy = TAKEOVER_AUTO; policy <= TAKEOVER_NEVER; policy++) {
        for (int marks = 0; marks < MARKS_END; marks++) {
            for (int ending = 0; ending < ENDINGS; ending++) {
                struct rig *r = rig_open();
                uint64_t s = rig_session(r, 30000);
                struct msg_begin begin = a_begin("pay/1");
                begin.takeover = policy;
                if (ending == BY_EXPIRY || ending == BY_CLOSE) begin.lease_ms = 0;
                uint64_t token = rig_started(r, s, &begin);
                make_marks(r, s, "pay/1", token, (enum marks)marks);
                end_attempt(r, s, token, (enum ending)ending);
                check_fate(r, "pay/1", fates[policy][marks]);
                rig_close(r);
            }
        }
    }
}

/* Not a millisecond early; and an attempt with its own lease outlives its session. */
static void test_an_attempt_with_its_own_lease_outlives_its_session(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 5000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    rig_pass(r, 9999);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 0);
    assert_int_equal(rig_get(r, "pay/1").as.record.left_ms, 1);
    uint64_t other = rig_session(r, 60000);
    assert_int_equal(rig_extend(r, other, "pay/1", token, 5000).status, HF_OK);
    rig_pass(r, 4999);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 0);
    rig_pass(r, 1);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 1);
}

/* A bound attempt lives as long as its session is renewed. */
static void test_a_bound_attempt_lives_as_long_as_its_session(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 5000);
    struct msg_begin begin = a_begin("pay/1");
    begin.lease_ms = 0;
    uint64_t token = rig_started(r, s, &begin);
    for (int i = 0; i < 5; i++) {
        rig_pass(r, 4000);
        rig_keep(r, s);
    }
    struct answer a = rig_extend(r, rig_session(r, 60000), "pay/1", token, 50000);
    assert_int_equal(a.status, HF_OK);
    assert_int_equal(a.as.extend.lease_left_ms, 5000); /* its session's, not what was asked */
    rig_pass(r, 5000);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 1);
    /* Lapsed, it is bound no more: an EXTEND gives it a lease of its own. */
    s = rig_session(r, 60000);
    a = rig_extend(r, s, "pay/1", token, 7000);
    assert_int_equal(a.as.extend.lease_left_ms, 7000);
    rig_pass(r, 7000);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 1);
}

/* ------------------------------------------------------------------ EXTEND and CHECKPOINT */

/* EXTEND moves the end of the lease later, never earlier. */
static void test_extend_never_shortens(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 60000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_extend(r, s, "pay/1", token, 500).as.extend.lease_left_ms, 10000);
    rig_pass(r, 1000);
    assert_int_equal(rig_extend(r, s, "pay/1", token, 20000).as.extend.lease_left_ms, 20000);
    rig_pass(r, 19999);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 0);
    rig_pass(r, 1);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 1);
}

/* Before a takeover a lapsed attempt may go on; after it nothing of it has an effect. */
static void test_a_lapsed_attempt_goes_on_until_it_is_taken_over(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    rig_pass(r, 10000);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_NONE).status, HF_OK);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 1);
    assert_int_equal(rig_extend(r, s, "pay/1", token, 5000).as.extend.lease_left_ms, 5000);
    assert_int_equal(rig_begin(r, s, "pay/1").status, HF_ERUNNING);
    rig_pass(r, 5000);
    struct answer taken = rig_begin(r, s, "pay/1");
    assert_int_equal(taken.as.begin.verdict, BEGIN_TAKEOVER);
    struct answer a = rig_extend(r, s, "pay/1", token, 5000);
    assert_int_equal(a.status, HF_ESTALE);
    assert_int_equal(a.as.state.state, RECORD_RUNNING);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 2, MARK_NONE).status, HF_ESTALE);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "x").status, HF_ESTALE);
    assert_int_equal(rig_get(r, "pay/1").as.record.checkpoint_number, 1);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_RUNNING);
}

/* A lapsed attempt that nobody took over completes as if it had been in time. */
static void test_a_lapsed_attempt_completes(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    rig_pass(r, 10000);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    assert_true(is_text(rig_begin(r, s, "pay/1").as.begin.body, "x"));
}

/* A lapsed attempt that announces an effect which must not be repeated: UNKNOWN at once, so that
 * nobody takes over; it may still complete, being the only owner. */
static void test_mark_one_of_a_lapsed_attempt_keeps_others_off(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    rig_pass(r, 10000);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_ONCE).status, HF_OK);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_UNKNOWN);
    assert_int_equal(rig_begin(r, s, "pay/1").status, HF_ERECORDUNKNOWN);
    assert_int_equal(rig_extend(r, s, "pay/1", token, 5000).status, HF_ESTALE);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 2, MARK_NONE).status, HF_ESTALE);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_DONE);
}

/* Checkpoint numbers rise over the record, across attempts; data may be empty. */
static void test_checkpoint_numbers_rise(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 5, MARK_NONE).status, HF_OK);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 5, MARK_ONCE).status, HF_ESEQOLD);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 4, MARK_ONCE).status, HF_ESEQOLD);
    assert_int_equal(rig_get(r, "pay/1").as.record.external, MARK_NONE);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    token = rig_begin(r, s, "pay/1").as.begin.fencing_token;
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 5, MARK_NONE).status, HF_ESEQOLD);
    struct msg_checkpoint bare = {
        .key = slice_of("pay/1"), .fencing_token = token, .number = UINT64_MAX};
    assert_int_equal(rig_send(r, s, OP_CODE_CHECKPOINT, &bare).status, HF_OK);
    struct answer a = rig_get(r, "pay/1");
    assert_int_equal(a.as.record.checkpoint_data.size, 0);
    assert_int_equal(a.as.record.checkpoint.size, 0);
}

/* The largest checkpoint and the largest result are kept and handed over whole. */
static void test_the_largest_data_is_kept_whole(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    uint8_t *bytes = arena_take(&r->memory, BODY_BYTES_MAX);
    memset(bytes, 'z', BODY_BYTES_MAX);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    struct msg_checkpoint checkpoint = {
        .key = begin.key,
        .fencing_token = token,
        .number = 1,
        .data = slice_make(bytes, CHECKPOINT_BYTES_MAX),
    };
    assert_int_equal(rig_send(r, s, OP_CODE_CHECKPOINT, &checkpoint).status, HF_OK);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    struct answer a = rig_begin(r, s, "pay/1");
    assert_true(slice_equal(a.as.begin.checkpoint_data, checkpoint.data));
    struct msg_complete complete = {
        .key = begin.key,
        .fencing_token = a.as.begin.fencing_token,
        .outcome = OUTCOME_DONE,
        .headers = slice_make(bytes, HEADERS_BYTES_MAX),
        .body = slice_make(bytes, BODY_BYTES_MAX),
    };
    assert_int_equal(rig_send(r, s, OP_CODE_COMPLETE, &complete).status, HF_OK);
    a = rig_begin(r, s, "pay/1");
    assert_true(slice_equal(a.as.begin.body, complete.body));
    assert_true(slice_equal(a.as.begin.headers, complete.headers));
    assert_int_equal(rig_get(r, "pay/1").as.record.checkpoint_data.size, 0);
}

/* ------------------------------------------------------------------ COMPLETE */

/* The same result again is fine under any number and from any session; another one is not. */
static void test_complete_repeats_only_the_same_result(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    uint64_t other = rig_session(r, 600000);
    const uint64_t outcomes[] = {OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_RETRYABLE};
    const char *keys[] = {"pay/1", "pay/2", "pay/3"};
    for (int i = 0; i < 3; i++) {
        const char *key = keys[i];
        struct msg_begin begin = a_begin(key);
        uint64_t token = rig_started(r, s, &begin);
        assert_int_equal(rig_complete(r, s, key, token, outcomes[i], "x").status, HF_OK);
        assert_int_equal(rig_complete(r, other, key, token, outcomes[i], "x").status, HF_OK);
        uint64_t next = outcomes[(i + 1) % 3];
        assert_int_equal(rig_complete(r, s, key, token, outcomes[i], "y").status, HF_ECONFLICT);
        assert_int_equal(rig_complete(r, s, key, token, next, "x").status, HF_ECONFLICT);
        struct answer a = rig_get(r, key);
        assert_int_equal(a.as.record.state, outcomes[i]);
        assert_int_equal(a.as.record.late.count, 0);
    }
    /* Headers and code are part of the result, too, and cannot trade bytes with the body. */
    struct msg_begin begin = a_begin("pay/4");
    struct msg_complete complete = {
        .key = begin.key,
        .fencing_token = rig_started(r, s, &begin),
        .outcome = OUTCOME_DONE,
        .code = 7,
        .headers = slice_of("ab"),
        .body = slice_of("c"),
    };
    assert_int_equal(rig_send(r, s, OP_CODE_COMPLETE, &complete).status, HF_OK);
    struct msg_complete changed = complete;
    changed.code = 8;
    assert_int_equal(rig_send(r, s, OP_CODE_COMPLETE, &changed).status, HF_ECONFLICT);
    changed = complete;
    changed.headers = slice_of("a");
    changed.body = slice_of("bc");
    assert_int_equal(rig_send(r, s, OP_CODE_COMPLETE, &changed).status, HF_ECONFLICT);
    assert_int_equal(rig_send(r, s, OP_CODE_COMPLETE, &complete).status, HF_OK);
}

/* After the next attempt has begun, the old attempt's repeat is late, too. */
static void test_a_repeat_after_the_next_attempt_is_stale(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_RETRYABLE, "").status, HF_OK);
    uint64_t next = rig_started(r, s, &begin);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_RETRYABLE, "").status, HF_ESTALE);
    assert_int_equal(rig_complete(r, s, "pay/1", next, OUTCOME_DONE, "x").status, HF_OK);
}

/* A late completion learns the state; the first four late tokens are kept, each once. */
static void test_late_completions_are_kept_as_evidence(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    uint64_t tokens[7];
    struct msg_begin begin = a_begin("pay/1");
    tokens[0] = rig_started(r, s, &begin);
    for (int i = 1; i < 7; i++) {
        assert_int_equal(rig_abandon(r, s, tokens[i - 1]).status, HF_OK);
        tokens[i] = rig_begin(r, s, "pay/1").as.begin.fencing_token;
    }
    struct answer a = rig_complete(r, s, "pay/1", tokens[0], OUTCOME_DONE, "zero");
    assert_int_equal(a.status, HF_ESTALE);
    assert_int_equal(a.as.state.state, RECORD_RUNNING);
    assert_int_equal(a.as.state.outcome, OUTCOME_NONE);
    assert_int_equal(rig_complete(r, s, "pay/1", tokens[6], OUTCOME_FAILED, "won").status, HF_OK);
    for (int i = 0; i < 6; i++) {
        a = rig_complete(r, s, "pay/1", tokens[i], OUTCOME_DONE, "again");
        assert_int_equal(a.status, HF_ESTALE);
        assert_int_equal(a.as.state.state, RECORD_FAILED);
        assert_int_equal(a.as.state.outcome, OUTCOME_FAILED);
        assert_int_equal(a.as.state.code, 201);
    }
    struct answer record = rig_get(r, "pay/1");
    assert_int_equal(record.as.record.late.count, 4);
    const struct late_item *late = record.as.record.late.items;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(late[i].fencing_token, tokens[i]);
        assert_int_equal(late[i].outcome, OUTCOME_DONE);
        assert_int_equal(late[i].code, 201);
    }
    struct hash128 h = hash128(0, "zero", 4);
    uint8_t bytes[16];
    put_hash128(bytes, h);
    assert_true(slice_equal(late[0].body_hash, slice_make(bytes, sizeof bytes)));
    assert_true(is_text(rig_begin(r, s, "pay/1").as.begin.body, "won"));
}

/* A token above the current attempt's was never an attempt of this record: no evidence. */
static void test_another_records_token_is_no_evidence(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    struct msg_begin second = a_begin("pay/2");
    uint64_t token = rig_started(r, s, &begin);
    uint64_t other = rig_started(r, s, &second);
    assert_int_equal(rig_complete(r, s, "pay/1", other, OUTCOME_DONE, "x").status, HF_ESTALE);
    assert_int_equal(rig_get(r, "pay/1").as.record.late.count, 0);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    assert_int_equal(rig_complete(r, s, "pay/1", other, OUTCOME_DONE, "y").status, HF_ESTALE);
    assert_int_equal(rig_get(r, "pay/1").as.record.late.count, 0);
}

/* One that policy `never` abandoned is FAILED; its owner's late result is evidence. */
static void test_completion_of_an_abandoned_attempt_is_late(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    begin.takeover = TAKEOVER_NEVER;
    uint64_t token = rig_started(r, s, &begin);
    rig_pass(r, 10000);
    struct answer a = rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "x");
    assert_int_equal(a.status, HF_ESTALE);
    assert_int_equal(a.as.state.outcome, OUTCOME_FAILED);
    assert_int_equal(rig_get(r, "pay/1").as.record.late.count, 1);
    a = rig_begin(r, s, "pay/1");
    assert_int_equal(a.as.begin.verdict, BEGIN_REPLAY);
    assert_int_equal(a.as.begin.outcome, OUTCOME_FAILED);
    assert_int_equal(a.as.begin.code, 0);
}

/* UNKNOWN is completed by its own attempt, late as it is, and by no other token. */
static void test_an_unknown_attempt_may_still_complete(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t old = rig_started(r, s, &begin);
    assert_int_equal(rig_abandon(r, s, old).status, HF_OK);
    uint64_t token = rig_begin(r, s, "pay/1").as.begin.fencing_token;
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_ONCE).status, HF_OK);
    rig_pass(r, 10000);
    struct answer a = rig_complete(r, s, "pay/1", old, OUTCOME_DONE, "x");
    assert_int_equal(a.status, HF_ESTALE);
    assert_int_equal(a.as.state.state, RECORD_UNKNOWN);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_RETRYABLE, "").status, HF_OK);
    assert_int_equal(rig_get(r, "pay/1").as.record.external, MARK_NONE);
    (void)rig_started(r, s, &begin);
}

/* Tokens that were never issued are the client's error; a missing key is stale, with why. */
static void test_tokens_of_nothing_are_refused(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 3600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    uint64_t future = token + 1;
    assert_int_equal(rig_extend(r, s, "pay/1", future, 500).status, HF_EBADREQUEST);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", future, 1, 0).status, HF_EBADREQUEST);
    assert_int_equal(rig_complete(r, s, "pay/1", future, OUTCOME_DONE, "").status, HF_EBADREQUEST);
    assert_int_equal(rig_resolve(r, s, "pay/1", future, OUTCOME_DONE, "").status, HF_EBADREQUEST);
    assert_int_equal(rig_abandon(r, s, future).status, HF_EBADREQUEST);

    assert_int_equal(rig_extend(r, s, "pay/2", token, 500).as.state.state, RECORD_ABSENT);
    assert_int_equal(rig_complete(r, s, "pay/2", token, OUTCOME_DONE, "").status, HF_ESTALE);
    assert_int_equal(rig_resolve(r, s, "pay/2", token, OUTCOME_DONE, "").status, HF_ENOTFOUND);

    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_FAILED, "").status, HF_OK);
    rig_pass(r, RETAIN_MS_MIN);
    struct answer a = rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "");
    assert_int_equal(a.status, HF_ESTALE);
    assert_int_equal(a.as.state.state, RECORD_TOMBSTONE);
    assert_int_equal(a.as.state.outcome, OUTCOME_FAILED);
}

/* ------------------------------------------------------------------ RESOLVE and ABANDON */

/* RESOLVE decides an UNKNOWN attempt, by its token, and keeps who decided and why. */
static void test_resolve_decides_an_unknown_attempt(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    const uint64_t outcomes[] = {OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_RETRYABLE};
    const char *keys[] = {"pay/1", "pay/2", "pay/3"};
    struct msg_begin other = a_begin("other");
    (void)rig_started(r, s, &other);
    for (int i = 0; i < 3; i++) {
        const char *key = keys[i];
        struct msg_begin begin = a_begin(key);
        begin.takeover = TAKEOVER_MANUAL;
        uint64_t token = rig_started(r, s, &begin);
        struct answer a = rig_resolve(r, s, key, token, outcomes[i], "op");
        assert_int_equal(a.status, HF_ESTALE); /* it runs: nothing to resolve */
        assert_int_equal(a.as.state.state, RECORD_RUNNING);
        assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
        assert_int_equal(rig_resolve(r, s, key, token - 1, outcomes[i], "op").status, HF_ESTALE);
        assert_int_equal(rig_resolve(r, s, key, token, outcomes[i], "op").status, HF_OK);
        a = rig_get(r, key);
        assert_int_equal(a.as.record.state, outcomes[i]);
        assert_true(is_text(a.as.record.evidence, "statement 17"));
        assert_true(is_text(a.as.record.operator_name, "ann"));
        assert_int_equal(a.as.record.since_ms, r->now_ms);
        assert_int_equal(rig_resolve(r, s, key, token, outcomes[i], "op").status, HF_ESTALE);
        a = rig_complete(r, s, key, token, OUTCOME_DONE, "late");
        assert_int_equal(a.status, HF_ESTALE);
        assert_int_equal(rig_get(r, key).as.record.late.count, 1);
        a = rig_begin(r, s, key);
        if (outcomes[i] == OUTCOME_RETRYABLE) {
            assert_int_equal(a.as.begin.verdict, BEGIN_STARTED);
            assert_int_equal(a.as.begin.attempt, 2);
        } else {
            assert_int_equal(a.as.begin.verdict, BEGIN_REPLAY);
            assert_true(is_text(a.as.begin.body, "op"));
            assert_int_equal(a.as.begin.code, 202);
        }
    }
}

/* ABANDON is for the session that holds the attempt: another one knows the token only to complete
 * it. A repeat is harmless. */
static void test_abandon_is_the_holders_alone(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    uint64_t stranger = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_abandon(r, stranger, token).status, HF_ENOTOWNER);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 0);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 1);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    assert_int_equal(rig_complete(r, stranger, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    assert_int_equal(rig_abandon(r, s, token).status, HF_ENOTHELD);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_DONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_lease_ends_by_marks_and_policy),
        TEST(test_an_attempt_with_its_own_lease_outlives_its_session),
        TEST(test_a_bound_attempt_lives_as_long_as_its_session),
        TEST(test_extend_never_shortens),
        TEST(test_a_lapsed_attempt_goes_on_until_it_is_taken_over),
        TEST(test_a_lapsed_attempt_completes),
        TEST(test_mark_one_of_a_lapsed_attempt_keeps_others_off),
        TEST(test_checkpoint_numbers_rise),
        TEST(test_the_largest_data_is_kept_whole),
        TEST(test_complete_repeats_only_the_same_result),
        TEST(test_a_repeat_after_the_next_attempt_is_stale),
        TEST(test_late_completions_are_kept_as_evidence),
        TEST(test_another_records_token_is_no_evidence),
        TEST(test_completion_of_an_abandoned_attempt_is_late),
        TEST(test_an_unknown_attempt_may_still_complete),
        TEST(test_tokens_of_nothing_are_refused),
        TEST(test_resolve_decides_an_unknown_attempt),
        TEST(test_abandon_is_the_holders_alone),
    };
    return cmocka_run_group_tests_name("record_attempt", tests, NULL, NULL);
}
