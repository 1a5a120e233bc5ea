/* What the core believes of a grant that TXNs release while other calls of the same grant are under
 * way: other threads of the application acquire and release it meanwhile. */
#include "base/status.h"
#include "tests/unit/client/lease_fixture.h"

/* Submit a TXN that releases one acquisition of a grant. */
static struct call *submit_txn(uint64_t token)
{
    struct msg_release release = {.fencing_token = token, .owner = 1};
    uint8_t bytes[64];
    struct buffer body = {.data = bytes, .capacity = sizeof bytes, .bytes_max = sizeof bytes};
    struct call *call;
    assert_int_equal(codec_encode(&msg_release_type, &release, &body), HF_OK);
    struct txn_op op = {.op = OP_CODE_RELEASE, .verdicts = 3, .body = buffer_slice(&body)};
    const struct msg_txn txn = {.ops = {&op, 1}};
    assert_int_equal(core_call_new(&s.core, OP_CODE_TXN, &txn, &call), HF_OK);
    call->fate = FATE_REPEAT;
    call->wants_reply = true;
    core_submit(&s.core, call, s.now_ns + 5 * SEC, s.now_ns);
    return call;
}

static void answer_txn(const struct request *r, uint64_t count_left)
{
    struct msg_release_reply released = {count_left};
    uint8_t bytes[64];
    struct buffer body = {.data = bytes, .capacity = sizeof bytes, .bytes_max = sizeof bytes};
    assert_int_equal(codec_encode(&msg_release_reply_type, &released, &body), HF_OK);
    struct txn_result result = {OP_CODE_RELEASE, HF_OK, buffer_slice(&body)};
    const struct msg_txn_reply reply = {.results = {&result, 1}};
    script_reply(&s, r, HF_OK, &reply);
}

static void answer_acquire(const struct request *r, uint64_t token, uint64_t count)
{
    struct msg_granted granted = {.fencing_token = token, .count = count};
    script_reply(&s, r, HF_OK, &granted);
}

/* It is acquired once more, by the same owner. */
static struct grant_ref hold_again(uint64_t token, uint64_t count)
{
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    answer_acquire(script_expect(&s, OP_CODE_ACQUIRE), token, count);
    struct grant_ref ref = call->grant;
    script_finish(&s, call, HF_OK);
    return ref;
}

/* As the shell does. */
static struct call *release_one(struct grant_ref ref)
{
    struct slot *slot = grants_alive(&s.core.grants, ref);
    assert_non_null(slot);
    struct msg_release release = {.fencing_token = slot->token, .owner = slot->owner};
    struct call *call;
    assert_int_equal(core_call_new(&s.core, OP_CODE_RELEASE, &release, &call), HF_OK);
    call->fate = FATE_REPEAT_SURE;
    slot->count -= 1;
    if (slot->count == 0) core_forget_grant(&s.core, ref);
    core_submit(&s.core, call, s.now_ns + 5 * SEC, s.now_ns);
    return call;
}

static uint32_t count_of(struct grant_ref ref)
{
    const struct slot *slot = grants_alive(&s.core.grants, ref);
    return slot != NULL ? slot->count : 0;
}

/* A release behind the TXN is not in what the TXN's answer counts: it was let go of already. */
static void test_release_behind_a_txn_is_counted(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    (void)hold_again(5, 2);
    (void)hold_again(5, 3);
    struct call *txn = submit_txn(5);
    struct request *first = script_expect(&s, OP_CODE_TXN);
    assert_int_equal(left(ref), 0);
    struct call *release = release_one(ref);
    struct request *second = script_expect(&s, OP_CODE_RELEASE);
    answer_txn(first, 2);
    script_finish(&s, txn, HF_OK);
    assert_int_equal(count_of(ref), 1);
    struct msg_release_reply released = {1};
    script_reply(&s, second, HF_OK, &released);
    script_finish(&s, release, HF_OK);
    assert_int_equal(left(ref), LEASE);
    release = release_one(ref);
    assert_int_equal(word(ref), GRANTS_ENDED);
    released.count_left = 0;
    script_reply(&s, script_expect(&s, OP_CODE_RELEASE), HF_OK, &released);
    script_finish(&s, release, HF_OK);
}

/* Nor is an acquisition whose answer was here before that of a TXN that is asked for again. */
static void test_acquisition_behind_a_txn_is_counted(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    (void)hold_again(5, 2);
    struct call *txn = submit_txn(5);
    struct request *first = script_expect(&s, OP_CODE_TXN);
    struct call *again = script_acquire(&s, 0, 0, FATE_CANCEL);
    answer_acquire(script_expect(&s, OP_CODE_ACQUIRE), 5, 2);
    script_finish(&s, again, HF_OK);
    assert_int_equal(word(ref), GRANTS_SUSPECT); /* nobody can say, but it is not lost */
    assert_int_equal(left(ref), 0);
    answer_txn(first, 1);
    script_finish(&s, txn, HF_OK);
    assert_int_equal(count_of(ref), 2);
    assert_int_equal(left(ref), LEASE);
    script_expect_nothing(&s);
}

/* All that was known here has been released when the answer of one more acquisition comes: the TXN
 * that is under way counts for what that brings, too. */
static void test_grant_that_comes_again_under_a_txn_is_not_valid(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    struct call *again = script_acquire(&s, 0, 0, FATE_CANCEL);
    struct request *acquire = script_expect(&s, OP_CODE_ACQUIRE);
    struct call *txn = submit_txn(5);
    struct request *first = script_expect(&s, OP_CODE_TXN);
    struct call *release = release_one(ref);
    struct request *second = script_expect(&s, OP_CODE_RELEASE);
    assert_int_equal(word(ref), GRANTS_ENDED);
    answer_acquire(acquire, 5, 2);
    struct grant_ref new = again->grant;
    script_finish(&s, again, HF_OK);
    assert_int_equal(count_of(new), 1);
    assert_int_equal(left(new), 0);
    answer_txn(first, 1);
    script_finish(&s, txn, HF_OK);
    assert_int_equal(word(new), GRANTS_ENDED); /* as the release that is on its way frees it */
    struct msg_release_reply released = {0};
    script_reply(&s, second, HF_OK, &released);
    script_finish(&s, release, HF_OK);
    script_expect_nothing(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_release_behind_a_txn_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_acquisition_behind_a_txn_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grant_that_comes_again_under_a_txn_is_not_valid, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("client_core_txn", tests, NULL, NULL);
}
