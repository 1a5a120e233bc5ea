/* BEGIN: what each state answers, in which order it checks, guards, quotas, retries
 * (docs/contract.md, section 6). */
#include <stdio.h>

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

/* ------------------------------------------------------------------ states */

/* An absent key starts attempt 1 under a token and the first BEGIN's secret id. */
static void test_begin_of_an_absent_key_starts_attempt_one(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 30000);
    struct answer a = rig_begin(r, s, "pay/1");
    assert_int_equal(a.status, HF_OK);
    assert_int_equal(a.as.begin.verdict, BEGIN_STARTED);
    assert_int_equal(a.as.begin.attempt, 1);
    assert_true(a.as.begin.fencing_token > 0);
    assert_true(is_text(a.as.begin.secret_id, "secret-1"));
    assert_int_equal(a.as.begin.checkpoint_number, 0);
    assert_int_equal(a.as.begin.referent, REFERENT_WHOLE);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_RUNNING);
}

/* Another one is told who runs, for how long, and how far it has come. */
static void test_begin_of_a_running_key_is_told_who_runs(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 60000);
    struct msg_begin begin = a_begin("pay/1");
    uint8_t meta[META_BYTES_MAX];
    memset(meta, 'm', sizeof meta);
    begin.meta = slice_make(meta, sizeof meta);
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_NONE).status, HF_OK);
    rig_pass(r, 4000);
    struct answer a = rig_begin(r, rig_session(r, 30000), "pay/1");
    assert_int_equal(a.status, HF_ERUNNING);
    assert_int_equal(a.as.running.lease_left_ms, 6000);
    assert_int_equal(a.as.running.attempt, 1);
    assert_int_equal(a.as.running.meta.size, 256);
    assert_true(is_text(a.as.running.checkpoint, "charge"));
}

/* DONE and FAILED are replayed, with code, headers and body. */
static void test_begin_of_an_ended_key_replays_its_result(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 30000);
    const uint64_t outcomes[] = {OUTCOME_DONE, OUTCOME_FAILED};
    const char *keys[] = {"pay/1", "pay/2"};
    for (int i = 0; i < 2; i++) {
        struct msg_begin begin = a_begin(keys[i]);
        uint64_t token = rig_started(r, s, &begin);
        rig_pass(r, 500);
        uint64_t wall_ms = r->wall_ms;
        assert_int_equal(rig_complete(r, s, keys[i], token, outcomes[i], "body").status, HF_OK);
        rig_pass(r, 500);
        struct answer a = rig_begin(r, s, keys[i]);
        assert_int_equal(a.status, HF_OK);
        assert_int_equal(a.as.begin.verdict, BEGIN_REPLAY);
        assert_int_equal(a.as.begin.outcome, outcomes[i]);
        assert_int_equal(a.as.begin.code, 201);
        assert_true(is_text(a.as.begin.headers, "type: text"));
        assert_true(is_text(a.as.begin.body, "body"));
        assert_int_equal(a.as.begin.done_at_ms, wall_ms);
        assert_int_equal(a.as.begin.fencing_token, 0);
    }
}

/* RETRYABLE stores no response; the next BEGIN is the next attempt, with the checkpoint. */
static void test_begin_of_a_retryable_key_starts_the_next_attempt(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 30000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 7, MARK_ONCE).status, HF_OK);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_RETRYABLE, "no").status, HF_OK);
    struct answer record = rig_get(r, "pay/1");
    assert_int_equal(record.as.record.state, RECORD_RETRYABLE);
    assert_int_equal(record.as.record.body.size, 0);
    assert_int_equal(record.as.record.code, 0);
    begin.secret_id = slice_of("secret-2"); /* the first BEGIN's stays */
    struct answer a = rig_send(r, s, OP_CODE_BEGIN, &begin);
    assert_int_equal(a.as.begin.verdict, BEGIN_STARTED);
    assert_int_equal(a.as.begin.attempt, 2);
    assert_true(a.as.begin.fencing_token > token);
    assert_true(is_text(a.as.begin.secret_id, "secret-1"));
    assert_true(is_text(a.as.begin.checkpoint, "charge"));
    assert_int_equal(a.as.begin.checkpoint_number, 7);
    assert_true(is_text(a.as.begin.checkpoint_data, "step data"));
    assert_int_equal(a.as.begin.external, MARK_NONE); /* RETRYABLE said that it is behind us */
    assert_int_equal(rig_get(r, "pay/1").as.record.done_at_ms, 0);
}

/* A lapsed attempt is taken over under a new token, with checkpoint and open mark 2. */
static void test_begin_of_a_lapsed_key_takes_over(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 60000);
    uint64_t other = rig_session(r, 60000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 3, MARK_DERIVED).status, HF_OK);
    rig_pass(r, 10000);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_RUNNING);
    assert_int_equal(rig_get(r, "pay/1").as.record.lapsed, 1);
    struct answer a = rig_begin(r, other, "pay/1");
    assert_int_equal(a.as.begin.verdict, BEGIN_TAKEOVER);
    assert_int_equal(a.as.begin.attempt, 2);
    assert_true(a.as.begin.fencing_token > token);
    assert_true(is_text(a.as.begin.checkpoint_data, "step data"));
    assert_int_equal(a.as.begin.external, MARK_DERIVED);
    assert_int_equal(rig_get(r, "pay/1").as.record.session, other);
}

/* UNKNOWN is told with what RESOLVE wants. */
static void test_begin_of_an_unknown_key_is_told_so(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 60000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 3, MARK_ONCE).status, HF_OK);
    rig_pass(r, 10000);
    begin.wait_ms = 5000; /* nothing to wait for */
    struct answer a = rig_send(r, s, OP_CODE_BEGIN, &begin);
    assert_int_equal(a.status, HF_ERECORDUNKNOWN);
    assert_int_equal(a.as.unknown.fencing_token, token);
    assert_int_equal(a.as.unknown.attempt, 1);
    assert_int_equal(a.as.unknown.external, MARK_ONCE);
    assert_int_equal(a.as.unknown.checkpoint_number, 3);
    assert_int_equal(a.as.unknown.since_ms, r->now_ms);
}

/* ------------------------------------------------------------------ order of checks */

/* The fingerprint is checked first, in every state. */
static void test_another_fingerprint_is_a_mismatch_in_every_state(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    struct msg_begin wrong = begin;
    wrong.fingerprint = another_fingerprint();
    wrong.wait_ms = 1000;
    wrong.guard_name = slice_of("lock");
    wrong.guard_token = 1;
    wrong.born_ms = 1;
    struct answer a;

    uint64_t token = rig_started(r, s, &begin);
    a = rig_send(r, s, OP_CODE_BEGIN, &wrong);
    assert_int_equal(a.status, HF_EMISMATCH);
    assert_int_equal(a.as.state.state, RECORD_RUNNING);
    rig_pass(r, 10000); /* lapsed */
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &wrong).status, HF_EMISMATCH);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_RETRYABLE, "").status, HF_OK);
    a = rig_send(r, s, OP_CODE_BEGIN, &wrong);
    assert_int_equal(a.status, HF_EMISMATCH);
    assert_int_equal(a.as.state.state, RECORD_RETRYABLE);
    token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_ONCE).status, HF_OK);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    a = rig_send(r, s, OP_CODE_BEGIN, &wrong);
    assert_int_equal(a.status, HF_EMISMATCH);
    assert_int_equal(a.as.state.state, RECORD_UNKNOWN);
    assert_int_equal(rig_resolve(r, s, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    a = rig_send(r, s, OP_CODE_BEGIN, &wrong);
    assert_int_equal(a.status, HF_EMISMATCH);
    assert_int_equal(a.as.state.state, RECORD_DONE);
    rig_pass(r, RETAIN_MS_MIN);
    a = rig_send(r, s, OP_CODE_BEGIN, &wrong);
    assert_int_equal(a.status, HF_EMISMATCH);
    assert_int_equal(a.as.state.state, RECORD_TOMBSTONE);
    assert_int_equal(r->woken_count, 0);
}

/* A request that was born before what is remembered is refused, but only where nothing is stored.
 */
static void test_a_key_is_too_old_only_where_nothing_is_stored(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    begin.born_ms = r->wall_ms - 10 * RETAIN_MS_MIN - 1;
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_EKEYTOOOLD);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_ABSENT);
    begin.born_ms += 1; /* just young enough */
    uint64_t token = rig_started(r, s, &begin);
    begin.born_ms = 1;
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_ERUNNING);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "").status, HF_OK);
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).as.begin.verdict, BEGIN_REPLAY);
    rig_pass(r, RETAIN_MS_MIN);
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_EKEYEXPIRED);
}

/* However long the retention, the age has a limit; a birth in the future is no age. */
static void test_the_age_of_a_key_is_limited_whatever_its_retention(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    begin.retain_ms = RETAIN_MS_MAX;
    begin.born_ms = r->wall_ms - UINT64_C(30) * 86400000 - 1;
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_EKEYTOOOLD);
    begin.born_ms += 1;
    (void)rig_started(r, s, &begin);
    begin.key = slice_of("pay/2");
    begin.born_ms = r->wall_ms + 5000;
    (void)rig_started(r, s, &begin);
}

/* Retention, policy and secret id are those of the BEGIN that made the record. */
static void test_the_first_begin_decides_retention_and_policy(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    begin.takeover = TAKEOVER_NEVER;
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_RETRYABLE, "").status, HF_OK);
    begin.takeover = TAKEOVER_AUTO;
    begin.retain_ms = 10 * RETAIN_MS_MIN;
    (void)rig_started(r, s, &begin);
    struct answer a = rig_get(r, "pay/1");
    assert_int_equal(a.as.record.takeover, TAKEOVER_NEVER);
    assert_int_equal(a.as.record.retain_ms, RETAIN_MS_MIN);
    rig_pass(r, 10000);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_FAILED);
}

/* ------------------------------------------------------------------ guards and quotas */

static uint64_t lock(struct rig *r, uint64_t session, const char *name)
{
    struct slice names[] = {slice_of(name)};
    struct msg_acquire acquire = {.names = {names, 1}, .owner = 9, .mode = MODE_EXCLUSIVE};
    struct answer a = rig_send(r, session, OP_CODE_ACQUIRE, &acquire);
    assert_int_equal(a.status, HF_OK);
    return a.as.granted.fencing_token;
}

/* A guard must be the current grant of the lock that it names, whoever's it is. */
static void test_a_guard_that_is_not_current_refuses_an_attempt(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    uint64_t holder = rig_session(r, 20000);
    uint64_t guard = lock(r, holder, "order/1");
    struct msg_begin begin = a_begin("pay/1");
    begin.guard_name = slice_of("order/2");
    begin.guard_token = guard;
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_EGUARDSTALE);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_ABSENT);
    begin.guard_name = slice_of("order/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_RETRYABLE, "").status, HF_OK);
    rig_pass(r, 20000); /* its session has expired */
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_EGUARDSTALE);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_RETRYABLE);
    begin.guard_name = (struct slice){0};
    begin.guard_token = 0;
    token = rig_started(r, s, &begin);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    begin.guard_name = slice_of("order/1");
    begin.guard_token = guard; /* a result is replayed without a guard */
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).as.begin.verdict, BEGIN_REPLAY);
}

/* A session has at most 4,096 names, waits and bound attempts; a lease of its own counts nothing.
 */
static void test_a_full_session_binds_no_attempt_and_parks_none(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("busy");
    (void)rig_started(r, s, &begin);
    r->check_every = 5000;
    char key[32];
    for (int i = 0; i < SESSION_NAMES_MAX; i++) {
        (void)snprintf(key, sizeof key, "bound/%d", i);
        begin = a_begin(key);
        begin.lease_ms = 0;
        (void)rig_started(r, s, &begin);
        if (i % 256 == 0) rig_forget(r);
    }
    r->check_every = 1;
    begin.key = slice_of("one more");
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_EQUOTA);
    assert_int_equal(rig_state(r, "one more"), RECORD_ABSENT);
    begin = a_begin("busy");
    begin.wait_ms = 1000;
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_EQUOTA);
    begin = a_begin("one more");
    (void)rig_started(r, s, &begin);
}

/* ------------------------------------------------------------------ retries */

/* The same number gives the same answer, byte for byte, and says that the attempt stands. */
static void test_a_retry_of_started_gives_the_same_token(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    struct answer first = rig_send(r, s, OP_CODE_BEGIN, &begin);
    struct answer again = rig_send_as(r, s, r->seqs[s], OP_CODE_BEGIN, &begin);
    assert_true(slice_equal(first.body, again.body));
    assert_int_equal(again.flags, REPLY_REPEATED | REPLY_STANDS);
    uint64_t seq = r->seqs[s];
    /* A checkpoint of its own takes nothing from the answer: it told of none. */
    uint64_t token = first.as.begin.fencing_token;
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_NONE).status, HF_OK);
    again = rig_send_as(r, s, seq, OP_CODE_BEGIN, &begin);
    assert_true(slice_equal(first.body, again.body));
    rig_pass(r, 10000); /* lapsed: still the current attempt */
    again = rig_send_as(r, s, seq, OP_CODE_BEGIN, &begin);
    assert_int_equal(again.flags, REPLY_REPEATED | REPLY_STANDS);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    again = rig_send_as(r, s, seq, OP_CODE_BEGIN, &begin);
    assert_true(slice_equal(first.body, again.body));
    assert_int_equal(again.flags, REPLY_REPEATED);
}

/* A repeated TAKEOVER brings the checkpoint's data again, or says that it has gone. */
static void test_a_retry_of_takeover_is_filled_up_again_or_marked(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_NONE).status, HF_OK);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    struct answer first = rig_send(r, s, OP_CODE_BEGIN, &begin);
    assert_int_equal(first.as.begin.verdict, BEGIN_TAKEOVER);
    uint64_t seq = r->seqs[s];
    token = first.as.begin.fencing_token;
    struct answer again = rig_send_as(r, s, seq, OP_CODE_BEGIN, &begin);
    assert_true(slice_equal(first.body, again.body));
    assert_int_equal(again.flags, REPLY_REPEATED | REPLY_STANDS);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 2, MARK_NONE).status, HF_OK);
    again = rig_send_as(r, s, seq, OP_CODE_BEGIN, &begin);
    assert_int_equal(again.as.begin.referent, REFERENT_GONE);
    assert_int_equal(again.as.begin.checkpoint_data.size, 0);
    assert_int_equal(again.as.begin.fencing_token, token);
    assert_int_equal(again.flags, REPLY_REPEATED | REPLY_STANDS);
}

/* Completion forgets the checkpoint's data, and a repeated TAKEOVER does not hide that. */
static void test_a_retry_of_takeover_after_completion_is_marked(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_NONE).status, HF_OK);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    struct answer first = rig_send(r, s, OP_CODE_BEGIN, &begin);
    uint64_t seq = r->seqs[s];
    token = first.as.begin.fencing_token;
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    struct answer again = rig_send_as(r, s, seq, OP_CODE_BEGIN, &begin);
    assert_int_equal(again.as.begin.referent, REFERENT_GONE);
    assert_int_equal(again.flags, REPLY_REPEATED);
}

/* A repeated REPLAY brings the body again while it is kept; then it is marked. */
static void test_a_retry_of_replay_is_filled_up_again_or_marked(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 3600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "receipt").status, HF_OK);
    struct answer first = rig_send(r, s, OP_CODE_BEGIN, &begin);
    uint64_t seq = r->seqs[s];
    struct answer again = rig_send_as(r, s, seq, OP_CODE_BEGIN, &begin);
    assert_true(slice_equal(first.body, again.body));
    assert_int_equal(again.flags, REPLY_REPEATED);
    r->wall_ms -= 20 * RETAIN_MS_MIN; /* the wall clock stands still from here on */
    rig_pass(r, RETAIN_MS_MIN);
    again = rig_send_as(r, s, seq, OP_CODE_BEGIN, &begin);
    assert_int_equal(again.as.begin.verdict, BEGIN_REPLAY);
    assert_int_equal(again.as.begin.referent, REFERENT_GONE);
    assert_int_equal(again.as.begin.body.size, 0);
    assert_int_equal(again.as.begin.code, 201);

    /* The key lives again, with another result: an old REPLAY does not borrow it. */
    rig_pass(r, UINT64_C(10) * RETAIN_MS_MIN);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_ABSENT);
    token = rig_started(r, s, &begin);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "another").status, HF_OK);
    again = rig_send_as(r, s, seq, OP_CODE_BEGIN, &begin);
    assert_int_equal(again.as.begin.referent, REFERENT_GONE);
    assert_int_equal(again.as.begin.body.size, 0);
}

/* CANCEL of an answered BEGIN gives its own answer; what did not fit there is marked. */
static void test_cancel_of_an_answered_begin_tells_its_token(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    struct msg_cancel cancel = {r->seqs[s]};
    struct answer a = rig_send(r, s, OP_CODE_CANCEL, &cancel);
    assert_int_equal(a.status, HF_OK);
    assert_int_equal(a.as.cancel.status, HF_OK);
    assert_int_equal(a.as.cancel.op, OP_CODE_BEGIN);
    assert_int_equal(a.as.cancel.stands, 1);
    struct msg_begin_reply own;
    assert_int_equal(codec_decode(&msg_begin_reply_type, a.as.cancel.body, NULL, &own), HF_OK);
    assert_int_equal(own.fencing_token, token);
    assert_int_equal(own.referent, REFERENT_WHOLE);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).as.begin.verdict, BEGIN_REPLAY);
    cancel.target_seq = r->seqs[s];
    a = rig_send(r, s, OP_CODE_CANCEL, &cancel);
    assert_int_equal(codec_decode(&msg_begin_reply_type, a.as.cancel.body, NULL, &own), HF_OK);
    assert_int_equal(own.verdict, BEGIN_REPLAY);
    assert_int_equal(own.referent, REFERENT_GONE);
}

/* The same number for another request has no effect. */
static void test_a_number_used_again_is_refused(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 600000);
    struct msg_begin begin = a_begin("pay/1");
    (void)rig_started(r, s, &begin);
    begin.key = slice_of("pay/2");
    struct answer a = rig_send_as(r, s, r->seqs[s], OP_CODE_BEGIN, &begin);
    assert_int_equal(a.status, HF_ESEQREUSED);
    assert_int_equal(rig_state(r, "pay/2"), RECORD_ABSENT);
}

/* After the session's end a stored STARTED is told again, and stands only with its own lease. */
static void test_a_retry_after_the_sessions_end_says_whether_it_stands(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 5000);
    struct msg_begin bound = a_begin("bound");
    bound.lease_ms = 0;
    bound.takeover = TAKEOVER_MANUAL;
    struct msg_begin leased = a_begin("leased");
    struct answer first = rig_send(r, s, OP_CODE_BEGIN, &bound);
    (void)rig_started(r, s, &leased);
    rig_pass(r, 5000);
    struct answer a = rig_send_as(r, s, 1, OP_CODE_BEGIN, &bound);
    assert_int_equal(a.flags, REPLY_REPEATED);
    assert_true(slice_equal(a.body, first.body));
    a = rig_send_as(r, s, 2, OP_CODE_BEGIN, &leased);
    assert_int_equal(a.flags, REPLY_REPEATED | REPLY_STANDS);
    assert_int_equal(rig_send_as(r, s, 3, OP_CODE_BEGIN, &leased).status, HF_ESESSION);
}

/* The longest of every field at once: each answer still fits where a retry finds it. */
static void test_the_longest_fields_fit_a_stored_answer(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, 3600000);
    char key[NAME_BYTES_MAX + 1];
    uint8_t meta[META_BYTES_MAX];
    memset(key, 'k', NAME_BYTES_MAX);
    key[NAME_BYTES_MAX] = 0;
    memset(meta, 0xff, sizeof meta);
    struct msg_begin begin = a_begin(key);
    begin.secret_id = slice_make(key, SECRET_ID_BYTES_MAX);
    begin.meta = slice_make(meta, sizeof meta);
    uint64_t token = rig_started(r, s, &begin);
    struct msg_checkpoint checkpoint = {
        .key = begin.key,
        .fencing_token = token,
        .name = begin.key,
        .number = UINT64_MAX - 1,
        .data = slice_make(meta, sizeof meta),
    };
    assert_int_equal(rig_send(r, s, OP_CODE_CHECKPOINT, &checkpoint).status, HF_OK);
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_ERUNNING);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    struct answer a = rig_send(r, s, OP_CODE_BEGIN, &begin);
    assert_int_equal(a.as.begin.verdict, BEGIN_TAKEOVER);
    struct answer again = rig_send_as(r, s, r->seqs[s], OP_CODE_BEGIN, &begin);
    assert_true(slice_equal(a.body, again.body));
    checkpoint.fencing_token = a.as.begin.fencing_token;
    checkpoint.number = UINT64_MAX;
    checkpoint.external = MARK_ONCE;
    assert_int_equal(rig_send(r, s, OP_CODE_CHECKPOINT, &checkpoint).status, HF_OK);
    assert_int_equal(rig_abandon(r, s, checkpoint.fencing_token).status, HF_OK);
    assert_int_equal(rig_send(r, s, OP_CODE_BEGIN, &begin).status, HF_ERECORDUNKNOWN);
    assert_int_equal(rig_get(r, key).as.record.meta.size, META_BYTES_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_begin_of_an_absent_key_starts_attempt_one),
        TEST(test_begin_of_a_running_key_is_told_who_runs),
        TEST(test_begin_of_an_ended_key_replays_its_result),
        TEST(test_begin_of_a_retryable_key_starts_the_next_attempt),
        TEST(test_begin_of_a_lapsed_key_takes_over),
        TEST(test_begin_of_an_unknown_key_is_told_so),
        TEST(test_another_fingerprint_is_a_mismatch_in_every_state),
        TEST(test_a_key_is_too_old_only_where_nothing_is_stored),
        TEST(test_the_age_of_a_key_is_limited_whatever_its_retention),
        TEST(test_the_first_begin_decides_retention_and_policy),
        TEST(test_a_guard_that_is_not_current_refuses_an_attempt),
        TEST(test_a_full_session_binds_no_attempt_and_parks_none),
        TEST(test_a_retry_of_started_gives_the_same_token),
        TEST(test_a_retry_of_takeover_is_filled_up_again_or_marked),
        TEST(test_a_retry_of_takeover_after_completion_is_marked),
        TEST(test_a_retry_of_replay_is_filled_up_again_or_marked),
        TEST(test_cancel_of_an_answered_begin_tells_its_token),
        TEST(test_a_number_used_again_is_refused),
        TEST(test_a_retry_after_the_sessions_end_says_whether_it_stands),
        TEST(test_the_longest_fields_fit_a_stored_answer),
    };
    return cmocka_run_group_tests_name("record_begin", tests, NULL, NULL);
}
