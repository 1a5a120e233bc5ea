/* What a TXN may ask for (protocol/checks_txn.c): which ops, none that waits, no two that name the
 * same thing, and nothing accepted that an op cannot answer. */
#include "base/status.h"
#include "protocol/messages.h"
#include "tests/unit/cmocka_all.h"

enum { OPS_MAX = 17 };

struct fixture {
    struct txn_op ops[OPS_MAX];
    struct buffer bodies[OPS_MAX];
    uint32_t count;
};

static int setup(void **state)
{
    static struct fixture f;
    f.count = 0;
    for (int i = 0; i < OPS_MAX; i++) buffer_init(&f.bodies[i], TXN_REQUEST_BYTES_MAX);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < OPS_MAX; i++) buffer_close(&f->bodies[i]);
    return 0;
}

static struct txn_op *add(struct fixture *f, uint16_t op, const void *request)
{
    assert_true(f->count < OPS_MAX);
    struct buffer *body = &f->bodies[f->count];
    buffer_clear(body);
    assert_int_equal(codec_encode(op_find(op)->request, request, body), HF_OK);
    f->ops[f->count] = (struct txn_op){.op = op, .verdicts = 1, .body = buffer_slice(body)};
    return &f->ops[f->count++];
}

static struct txn_op *add_release(struct fixture *f, uint64_t token)
{
    const struct msg_release release = {{0}, token, 1};
    return add(f, OP_CODE_RELEASE, &release);
}

static struct txn_op *add_begin(struct fixture *f, const char *key, uint64_t wait_ms)
{
    static const uint8_t fingerprint[FINGERPRINT_BYTES];
    const struct msg_begin begin = {
        .key = slice_of(key),
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .retain_ms = RETAIN_MS_MIN,
        .wait_ms = wait_ms,
    };
    return add(f, OP_CODE_BEGIN, &begin);
}

static struct txn_op *add_complete(struct fixture *f, const char *key)
{
    const struct msg_complete complete = {
        .key = slice_of(key), .fencing_token = 1, .outcome = OUTCOME_DONE};
    return add(f, OP_CODE_COMPLETE, &complete);
}

static struct txn_op *add_set(struct fixture *f, const char *key)
{
    const struct msg_timer_set set = {
        .key = slice_of(key), .group = slice_of("g"), .attempts_max = 1};
    return add(f, OP_CODE_TIMER_SET, &set);
}

static struct txn_op *add_cancel(struct fixture *f, const char *key)
{
    const struct msg_timer_cancel cancel = {slice_of(key)};
    return add(f, OP_CODE_TIMER_CANCEL, &cancel);
}

/* Then begin anew. */
static void expect(struct fixture *f, const char *complaint)
{
    const struct msg_txn txn = {{f->ops, f->count}};
    const char *sentence = NULL;
    int rv = op_check(OP_CODE_TXN, &txn, &sentence);
    assert_int_equal(rv, complaint == NULL ? HF_OK : HF_EBADREQUEST);
    if (complaint != NULL) assert_string_equal(sentence, complaint);
    f->count = 0;
}

static void test_the_five_ops_and_no_others(void **state)
{
    struct fixture *f = *state;
    add_release(f, 1);
    add_begin(f, "a", 0);
    add_complete(f, "b");
    add_set(f, "a");
    add_cancel(f, "b");
    expect(f, NULL);
    const struct msg_abandon abandon = {1};
    add(f, OP_CODE_ABANDON, &abandon);
    expect(f, "a TXN takes RELEASE, BEGIN, COMPLETE, TIMER_SET and TIMER_CANCEL alone");
    add_release(f, 1)->op = OP_CODE_TXN;
    expect(f, "a TXN takes RELEASE, BEGIN, COMPLETE, TIMER_SET and TIMER_CANCEL alone");
    add_release(f, 1)->op = UINT16_MAX;
    expect(f, "a TXN takes RELEASE, BEGIN, COMPLETE, TIMER_SET and TIMER_CANCEL alone");
}

static void test_each_op_keeps_its_own_rules(void **state)
{
    struct fixture *f = *state;
    add_release(f, 1)->body = slice_of("\x90");
    expect(f, "the body of an op of a TXN does not decode as that op's");
    add_begin(f, "a", 1);
    expect(f, "a BEGIN in a TXN waits for nothing");
    static const uint8_t fingerprint[FINGERPRINT_BYTES];
    const struct msg_begin half_guarded = {
        .key = slice_of("a"),
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .retain_ms = RETAIN_MS_MIN,
        .guard_name = slice_of("lock"),
    };
    const char *alone = NULL;
    assert_int_equal(op_check(OP_CODE_BEGIN, &half_guarded, &alone), HF_EBADREQUEST);
    add(f, OP_CODE_BEGIN, &half_guarded);
    expect(f, alone);
}

static void test_no_two_name_the_same(void **state)
{
    static const char same[] = "two ops of a TXN name the same record, timer or grant";
    struct fixture *f = *state;
    add_release(f, 1);
    add_release(f, 2);
    expect(f, NULL);
    add_release(f, 1);
    add_begin(f, "a", 0);
    add_release(f, 1);
    expect(f, same);
    add_begin(f, "a", 0);
    add_complete(f, "a");
    expect(f, same);
    add_begin(f, "a", 0);
    add_begin(f, "a", 0);
    expect(f, same);
    add_set(f, "a");
    add_cancel(f, "a");
    expect(f, same);
    add_set(f, "a"); /* of a record the same key is another thing */
    add_begin(f, "a", 0);
    expect(f, NULL);
}

static void test_only_what_may_be_answered_is_accepted(void **state)
{
    struct fixture *f = *state;
    add_release(f, 1)->verdicts = 3;
    expect(f, NULL);
    add_release(f, 1)->verdicts = 4;
    expect(f, "an op of a TXN has no such verdict");
    add_begin(f, "a", 0)->verdicts = 7;
    expect(f, NULL);
    add_begin(f, "a", 0)->verdicts = 8;
    expect(f, "an op of a TXN has no such verdict");
    add_set(f, "a")->verdicts = 15;
    expect(f, NULL);
    add_complete(f, "a")->verdicts = 2;
    expect(f, "an op of a TXN has no such verdict");
    add_cancel(f, "a")->verdicts = 2;
    expect(f, "an op of a TXN has no such verdict");
    add_cancel(f, "a")->verdicts = 0;
    expect(f, "an op of a TXN accepts no answer at all");

    const uint64_t answers[] = {-HF_ESTALE, -HF_ENOTFOUND};
    struct txn_op *op = add_cancel(f, "a");
    op->answers = (struct codec_u64s){answers, 2};
    op->verdicts = 0;
    expect(f, NULL);
    const uint64_t falling[] = {-HF_ENOTFOUND, -HF_ESTALE};
    add_cancel(f, "a")->answers = (struct codec_u64s){falling, 2};
    expect(f, "accepted answers do not rise");
    const uint64_t twice[] = {-HF_ESTALE, -HF_ESTALE};
    add_cancel(f, "a")->answers = (struct codec_u64s){twice, 2};
    expect(f, "accepted answers do not rise");
    const uint64_t none[] = {0, 999, 1000, UINT64_MAX, -HF_EBADREQUEST, -HF_ETOOBUSY};
    for (size_t i = 0; i < HF_ARRAY_COUNT(none); i++) {
        add_cancel(f, "a")->answers = (struct codec_u64s){&none[i], 1};
        expect(f, "an accepted answer is none that an op may have");
    }
}

static void expect_weight(struct fixture *f, uint32_t weight, bool finishes)
{
    const struct msg_txn txn = {{f->ops, f->count}};
    struct buffer bytes;
    buffer_init(&bytes, 1 << 20);
    assert_int_equal(codec_encode(&msg_txn_type, &txn, &bytes), HF_OK);
    assert_int_equal(op_weight(OP_CODE_TXN, buffer_slice(&bytes)), weight);
    assert_int_equal(op_weight(OP_CODE_BEGIN, buffer_slice(&bytes)), 1);
    assert_int_equal(op_finishes(OP_CODE_TXN, &txn), finishes);
    buffer_close(&bytes);
}

/* All that free or finish: then it is never refused as new work. */
static void test_it_weighs_as_its_ops_and_is_exempt_if_they_are(void **state)
{
    struct fixture *f = *state;
    add_release(f, 1);
    expect_weight(f, 1, true);
    add_complete(f, "a");
    expect_weight(f, 2, true);
    add_set(f, "a");
    expect_weight(f, 3, false);
    for (uint32_t i = 3; i < TXN_OPS_MAX; i++) add_release(f, i);
    expect_weight(f, TXN_OPS_MAX, false);
    assert_int_equal(op_weight(OP_CODE_TXN, slice_of("")), 1); /* bytes of whoever */
    assert_int_equal(op_weight(OP_CODE_TXN, slice_of("\x91\xdc\xff\xff")), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_five_ops_and_no_others),
        TEST(test_each_op_keeps_its_own_rules),
        TEST(test_no_two_name_the_same),
        TEST(test_only_what_may_be_answered_is_accepted),
        TEST(test_it_weighs_as_its_ops_and_is_exempt_if_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
