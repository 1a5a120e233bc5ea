/* Many ops on one record in one entry: each sees what the one before it did, answers go out by
 * position, and those who waited are woken inside the op that freed the record. */
#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

static struct msg_begin begin_of(uint64_t wait_ms)
{
    return (struct msg_begin){
        .key = slice_of("pay/1"),
        .fingerprint = slice_make("0123456789abcdef0123456789abcdef", FINGERPRINT_BYTES),
        .lease_ms = 10000,
        .retain_ms = RETAIN_MS_MIN,
        .wait_ms = wait_ms,
    };
}

static void add(struct fixture *f, uint64_t session, uint64_t seq, uint16_t op, const void *request)
{
    struct envelope envelope = {.session = session, .seq = seq};
    (void)add_op(f, op, &envelope, request);
}

static struct msg_begin_reply begun(struct fixture *f, const struct answer *a)
{
    struct msg_begin_reply reply;
    assert_int_equal(a->status, HF_OK);
    read_body(f, OP_CODE_BEGIN, a, &reply);
    return reply;
}

/* A whole life in one entry: two attempts, a waiter that gets the second, one that gets its
 * result, a retry of what the same entry answered, and a late completion. Tokens are 1 and 2. */
static void test_one_entry_may_hold_a_records_whole_life(void **state)
{
    struct fixture *f = *state;
    fixture_add_twin(f);
    uint64_t s[3];
    const char *names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) s[i] = open_session(f, names[i], 60000);
    struct msg_begin begin = begin_of(0);
    struct msg_begin waiting = begin_of(5000);
    struct msg_checkpoint mark = {
        .key = begin.key, .fencing_token = 1, .number = 1, .data = slice_of("data")};
    struct msg_complete retryable = {
        .key = begin.key, .fencing_token = 1, .outcome = OUTCOME_RETRYABLE};
    struct msg_complete done = {
        .key = begin.key, .fencing_token = 2, .outcome = OUTCOME_DONE, .body = slice_of("receipt")};
    struct msg_complete late = {
        .key = begin.key, .fencing_token = 1, .outcome = OUTCOME_DONE, .body = slice_of("again")};
    add(f, s[0], 1, OP_CODE_BEGIN, &begin);        /* 0: STARTED 1 */
    add(f, s[1], 1, OP_CODE_BEGIN, &waiting);      /* 1: parked */
    add(f, s[2], 1, OP_CODE_BEGIN, &waiting);      /* 2: parked */
    add(f, s[0], 2, OP_CODE_CHECKPOINT, &mark);    /* 3: OK */
    add(f, s[0], 1, OP_CODE_BEGIN, &begin);        /* 4: a retry */
    add(f, s[0], 3, OP_CODE_COMPLETE, &retryable); /* 5: OK; b is STARTED 2 */
    add(f, s[1], 2, OP_CODE_COMPLETE, &done);      /* 6: OK; c gets the REPLAY */
    add(f, s[0], 4, OP_CODE_COMPLETE, &late);      /* 7: STALE_TOKEN */
    add(f, s[0], 5, OP_CODE_BEGIN, &begin);        /* 8: REPLAY */
    apply_entry(f);
    assert_int_equal(f->answer_count, 11);
    const struct answer *by[11];
    uint32_t replies = 0;
    for (uint32_t i = 0; i < f->answer_count; i++) {
        const struct answer *a = &f->answers[i];
        by[i] = a;
        if (a->kind != ANSWER_WOKEN) assert_int_equal(a->position, replies++);
    }
    assert_int_equal(begun(f, by[0]).fencing_token, 1);
    assert_int_equal(by[1]->kind, ANSWER_PARKED);
    assert_int_equal(by[2]->kind, ANSWER_PARKED);
    assert_int_equal(by[4]->flags, REPLY_REPEATED | REPLY_STANDS);
    struct msg_begin_reply b = begun(f, find_woken(f, s[1], 1));
    assert_int_equal(b.verdict, BEGIN_STARTED);
    assert_int_equal(b.fencing_token, 2);
    assert_true(slice_equal(b.checkpoint_data, mark.data));
    struct msg_begin_reply c = begun(f, find_woken(f, s[2], 1));
    assert_int_equal(c.verdict, BEGIN_REPLAY);
    assert_true(slice_equal(c.body, done.body));
    assert_int_equal(by[9]->status, HF_ESTALE);
    assert_int_equal(begun(f, by[10]).verdict, BEGIN_REPLAY);
    struct msg_record_get get = {begin.key};
    struct msg_record_reply record;
    read_ok(f, OP_CODE_RECORD_GET, &get, 0, &record);
    assert_int_equal(record.attempt, 2);
    assert_int_equal(record.late.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_entry_may_hold_a_records_whole_life, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("record_batch", tests, NULL, NULL);
}
