/* What the core believes of one grant or attempt that has a time of its own: a hold_max, a lease
 * that is extended by itself, a handle that is used again. */
#include "base/status.h"
#include "tests/unit/client/lease_fixture.h"

/* hold_max of a grant that was given at once runs from the first send of its ACQUIRE. */
static void test_hold_counts_from_the_first_send(void **state)
{
    (void)state;
    (void)hold(4);
    struct call *call = script_acquire(&s, 0, 2000, FATE_CANCEL);
    uint64_t sent = s.now_ns;
    s.now_ns += 300 * MS;
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    assert_int_equal(left(call->grant), sent + 1980 * MS - 20 * MS - s.now_ns);
    struct grant_ref ref = call->grant;
    script_finish(&s, call, HF_OK);
    script_pass(&s, 2 * SEC);
    assert_int_equal(word(ref), GRANTS_LOST);
    assert_int_equal(count_losses(5, true), 1);
}

/* After a wait nobody here knows when the hold began: not valid until a KEEP that was sent later
 * tells what is left. */
static void test_hold_after_a_wait_is_suspect_until_keep(void **state)
{
    (void)state;
    (void)hold(4);
    struct call *call = script_acquire(&s, 60000, 2000, FATE_CANCEL);
    struct request *acquire = script_expect(&s, OP_CODE_ACQUIRE);
    s.now_ns += SEC;
    struct msg_granted granted = {.fencing_token = 5, .waited = 1, .count = 1};
    script_reply(&s, acquire, HF_OK, &granted);
    assert_int_equal(word(call->grant), GRANTS_SUSPECT);
    assert_int_equal(left(call->grant), 0);
    assert_null(core_take_finished(&s.core));
    uint64_t sent = s.now_ns;
    struct request *keep = script_expect(&s, OP_CODE_KEEP);
    s.now_ns += 100 * MS;
    struct left_item holds[1] = {{5, 1500}};
    struct msg_keep_reply kept = script_kept();
    kept.holds = (struct codec_list){holds, 1};
    script_reply(&s, keep, HF_OK, &kept);
    assert_int_equal(left(call->grant), sent + 1485 * MS - 20 * MS - s.now_ns);
    script_finish(&s, call, HF_OK);
}

/* Its caller does not wait longer than it said: the grant comes back SUSPECT. */
static void test_suspect_hold_is_handed_out_at_the_time_out(void **state)
{
    (void)state;
    (void)hold(4);
    struct call *call = script_acquire(&s, 1000, 2000, FATE_CANCEL);
    struct msg_granted granted = {.fencing_token = 5, .waited = 1, .count = 1};
    script_reply(&s, script_expect(&s, OP_CODE_ACQUIRE), HF_OK, &granted);
    script_cut(&s);
    script_pass(&s, 7 * SEC);
    assert_int_equal(word(call->grant), GRANTS_SUSPECT);
    script_finish(&s, call, HF_OK);
}

/* An attempt with a lease of its own is extended in time; a lost answer keeps the old deadline. */
static void test_own_lease_is_extended_in_the_background(void **state)
{
    (void)state;
    struct call *call = script_begin(&s, 3000);
    script_open_session(&s);
    uint64_t sent = s.now_ns;
    struct msg_begin_reply begun = {.verdict = BEGIN_STARTED, .fencing_token = 5, .attempt = 1};
    script_reply(&s, script_expect(&s, OP_CODE_BEGIN), HF_OK, &begun);
    struct grant_ref ref = call->grant;
    assert_int_equal(left(ref), sent + 2970 * MS - 20 * MS - s.now_ns);
    script_finish(&s, call, HF_OK);
    script_pass(&s, 1000 * MS);
    struct request *extend = script_expect(&s, OP_CODE_EXTEND);
    struct msg_extend body;
    script_decode(&s, extend, &body);
    assert_int_equal(body.fencing_token, 5);
    assert_true(slice_equal(body.key, slice_of("k")));
    uint64_t extended = s.now_ns;
    script_cut(&s);
    script_pass(&s, 200 * MS);
    assert_int_equal(left(ref), sent + 2950 * MS - s.now_ns);
    script_resume(&s);
    struct request *again = script_expect(&s, OP_CODE_EXTEND);
    assert_int_equal(again->envelope.seq, extend->envelope.seq);
    struct msg_extend_reply answer = {3000};
    script_reply(&s, again, HF_OK, &answer);
    assert_int_equal(left(ref), extended + 2950 * MS - s.now_ns);
}

/* The next of a row of extensions finds that somebody took over: the attempt is lost. */
static void test_stale_extension_loses_the_attempt(void **state)
{
    (void)state;
    struct call *call = script_begin(&s, 3000);
    script_open_session(&s);
    struct msg_begin_reply begun = {.verdict = BEGIN_STARTED, .fencing_token = 5, .attempt = 1};
    script_reply(&s, script_expect(&s, OP_CODE_BEGIN), HF_OK, &begun);
    struct grant_ref ref = call->grant;
    script_finish(&s, call, HF_OK);
    script_pass(&s, 1000 * MS);
    script_reply(&s, script_expect(&s, OP_CODE_EXTEND), HF_ESTALE, NULL);
    assert_int_equal(word(ref), GRANTS_LOST);
    assert_int_equal(count_losses(5, false), 1);
}

/* After a long wait for the record the lease that was asked for is mostly gone: it is extended
 * before the caller goes on. */
static void test_late_begin_is_extended_before_it_is_handed_out(void **state)
{
    (void)state;
    (void)hold(4);
    struct call *call = script_begin(&s, 1000);
    struct request *begin = script_expect(&s, OP_CODE_BEGIN);
    s.now_ns += 1500 * MS;
    struct msg_begin_reply begun = {.verdict = BEGIN_STARTED, .fencing_token = 5, .attempt = 1};
    script_reply(&s, begin, HF_OK, &begun);
    assert_null(core_take_finished(&s.core));
    assert_int_equal(left(call->grant), 0);
    uint64_t sent = s.now_ns;
    struct msg_extend_reply answer = {1000};
    script_reply(&s, script_expect(&s, OP_CODE_EXTEND), HF_OK, &answer);
    assert_int_equal(left(call->grant), sent + 970 * MS - s.now_ns);
    script_finish(&s, call, HF_OK);
}

/* The session ends while a BEGIN waits for its extension: the attempt was handed to nobody, and
 * ends with it; what answers the extension later finds no call of anybody's. */
static void test_begin_that_waits_for_its_extension_ends_with_the_session(void **state)
{
    (void)state;
    (void)hold(4);
    script_pass(&s, 3400 * MS);
    struct request *keep = script_expect(&s, OP_CODE_KEEP);
    struct call *call = script_begin(&s, 1000);
    struct request *begin = script_expect(&s, OP_CODE_BEGIN);
    s.now_ns += 1500 * MS;
    struct msg_begin_reply begun = {.verdict = BEGIN_STARTED, .fencing_token = 5, .attempt = 1};
    script_reply(&s, begin, HF_OK, &begun);
    struct request *extend = script_expect(&s, OP_CODE_EXTEND);
    struct grant_ref ref = call->grant;
    assert_null(core_take_finished(&s.core));
    struct msg_ended ended = {END_EXPIRED, 1};
    script_reply(&s, keep, HF_ESESSION, &ended);
    assert_int_equal(word(ref), GRANTS_LOST);
    script_finish(&s, call, HF_ELOST);
    struct msg_extend_reply answer = {1000};
    script_reply(&s, extend, HF_OK, &answer);
    assert_null(core_take_finished(&s.core));
    assert_int_equal(left(ref), 0);
}

/* A reused slot tells nothing to who still has a reference to its last use. */
static void test_old_reference_sees_nothing_of_the_next_grant(void **state)
{
    (void)state;
    struct grants g;
    grants_init(&g);
    struct slot *slot = grants_take(&g);
    struct grant_ref old = grants_ref(slot);
    grants_publish(slot, 100, 50);
    assert_int_equal(grants_left_ns(&g, old, 40), 60);
    assert_int_equal(grants_state(&g, old, 40), GRANTS_HELD);
    grants_end(&g, slot, SLOT_LOST);
    assert_int_equal(grants_state(&g, old, 40), GRANTS_LOST);
    struct slot *next = NULL;
    for (int i = 0; i < 1000 && next != slot; i++) {
        next = grants_take(&g);
        if (next != slot) grants_end(&g, next, SLOT_ENDED);
    }
    assert_ptr_equal(next, slot);
    grants_publish(next, 100, 50);
    assert_int_equal(grants_left_ns(&g, old, 40), 0);
    assert_int_equal(grants_state(&g, old, 40), GRANTS_ENDED);
    grants_close(&g);
}

/* Acquired again while the first acquisition was declared lost: the token that is being given back
 * is not handed out a second time. */
static void test_lost_token_is_not_brought_back_by_another_acquire(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    struct call *again = script_acquire(&s, 60000, 0, FATE_CANCEL);
    struct request *sent = script_expect(&s, OP_CODE_ACQUIRE);
    s.now_ns += 11 * SEC; /* stopped, or no majority: nothing was acknowledged */
    struct msg_granted granted = {.fencing_token = 5, .count = 2};
    script_reply(&s, sent, HF_OK, &granted);
    assert_int_equal(word(ref), GRANTS_LOST);
    assert_int_equal(count_losses(5, true), 1);
    script_finish(&s, again, HF_ELOST);
}

/* An acquisition that nobody waits for any more is counted down; the grant that the same owner
 * still relies on is not given back with it. */
static void test_unwanted_reentrant_acquire_leaves_the_grant(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    struct call *again = script_acquire(&s, 0, 0, FATE_CANCEL);
    (void)script_expect(&s, OP_CODE_ACQUIRE);
    script_pass(&s, 3400 * MS);
    struct msg_keep_reply kept = script_kept();
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    script_pass(&s, 1700 * MS);
    script_finish(&s, again, HF_ETIMEOUT);
    struct request *cancel = script_expect(&s, OP_CODE_CANCEL);
    uint8_t bytes[64];
    struct buffer body = {.data = bytes, .capacity = sizeof bytes, .bytes_max = sizeof bytes};
    struct msg_granted granted = {.fencing_token = 5, .count = 2};
    assert_int_equal(codec_encode(&msg_granted_type, &granted, &body), HF_OK);
    struct msg_cancel_reply answer = {
        .op = OP_CODE_ACQUIRE, .stands = 1, .body = buffer_slice(&body)};
    script_reply(&s, cancel, HF_OK, &answer);
    struct msg_release release;
    script_decode(&s, script_expect(&s, OP_CODE_RELEASE), &release);
    assert_int_equal(release.fencing_token, 5);
    script_expect_nothing(&s);
    assert_int_equal(word(ref), GRANTS_HELD);
}

/* A RELEASE of one of two acquisitions finds the grant gone (it was forced, say): the other one
 * ends with this answer, and need not wait for KEEP. */
static void test_release_that_finds_nothing_ends_what_is_left(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    struct call *again = script_acquire(&s, 0, 0, FATE_CANCEL);
    struct msg_granted granted = {.fencing_token = 5, .count = 2};
    script_reply(&s, script_expect(&s, OP_CODE_ACQUIRE), HF_OK, &granted);
    script_finish(&s, again, HF_OK);
    struct slot *slot = grants_alive(&s.core.grants, ref);
    struct msg_release release = {.fencing_token = 5, .owner = slot->owner};
    struct call *call;
    assert_int_equal(core_call_new(&s.core, OP_CODE_RELEASE, &release, &call), HF_OK);
    call->fate = FATE_REPEAT_SURE;
    slot->count -= 1;
    core_submit(&s.core, call, s.now_ns + 1000 * MS, s.now_ns);
    struct msg_ended ended = {END_FORCED, 1};
    script_reply(&s, script_expect(&s, OP_CODE_RELEASE), HF_ENOTHELD, &ended);
    script_finish(&s, call, HF_ENOTHELD);
    assert_int_equal(word(ref), GRANTS_LOST);
    assert_int_equal(count_losses(5, false), 1);
}

/* An attempt that was declared lost is given back, and nothing that was asked under its token is
 * asked again: an EXTEND behind the ABANDON would keep everybody out for another lease. */
static void test_lost_attempt_is_not_renewed_again(void **state)
{
    (void)state;
    struct call *begin = script_begin(&s, 6000);
    script_open_session(&s);
    struct msg_begin_reply begun = {.verdict = BEGIN_STARTED, .fencing_token = 9, .attempt = 1};
    script_reply(&s, script_expect(&s, OP_CODE_BEGIN), HF_OK, &begun);
    struct grant_ref ref = begin->grant;
    script_finish(&s, begin, HF_OK);
    struct msg_checkpoint mark = {.key = slice_of("k"), .fencing_token = 9, .number = 1};
    struct call *checkpoint;
    assert_int_equal(core_call_new(&s.core, OP_CODE_CHECKPOINT, &mark, &checkpoint), HF_OK);
    checkpoint->fate = FATE_REPEAT;
    checkpoint->grant = ref;
    core_submit(&s.core, checkpoint, s.now_ns + 60 * SEC, s.now_ns);
    (void)script_expect(&s, OP_CODE_CHECKPOINT);
    script_pass(&s, 2100 * MS);
    (void)script_expect(&s, OP_CODE_EXTEND);
    script_cut(&s);
    script_pass(&s, 5 * SEC);
    assert_int_equal(word(ref), GRANTS_LOST);
    assert_int_equal(count_losses(9, true), 1);
    script_finish(&s, checkpoint, HF_ELOST);
    s.next = s.count;
    script_resume(&s);
    (void)script_expect(&s, OP_CODE_ABANDON);
    script_expect_nothing(&s);
}

/* ------------------------------------------------------------------ changes of mode */

static struct call *change(uint16_t op, struct grant_ref ref)
{
    struct slot *slot = grants_alive(&s.core.grants, ref);
    struct msg_change_mode change = {.fencing_token = slot->token, .owner = slot->owner};
    struct call *call;
    assert_int_equal(core_call_new(&s.core, op, &change, &call), HF_OK);
    call->fate = FATE_REPEAT;
    call->grant = ref;
    core_submit(&s.core, call, s.now_ns + 5 * SEC, s.now_ns);
    return call;
}

/* A refused change leaves the grant as it was, and so does one that is done. */
static void test_change_of_mode_keeps_the_grant(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    struct call *call = change(OP_CODE_UPGRADE, ref);
    script_reply(&s, script_expect(&s, OP_CODE_UPGRADE), HF_EUPGRADEBUSY, NULL);
    script_finish(&s, call, HF_EUPGRADEBUSY);
    assert_int_equal(word(ref), GRANTS_HELD);
    call = change(OP_CODE_DOWNGRADE, ref);
    script_reply(&s, script_expect(&s, OP_CODE_DOWNGRADE), HF_OK, NULL);
    script_finish(&s, call, HF_OK);
    assert_int_equal(word(ref), GRANTS_HELD);
    assert_int_equal(count_losses(5, false), 0);
}

/* Told that it has gone, nobody goes on believing until KEEP says so. */
static void test_change_of_mode_that_finds_nothing_ends_the_grant(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    struct call *call = change(OP_CODE_UPGRADE, ref);
    struct msg_ended ended = {.reason = END_FORCED};
    script_reply(&s, script_expect(&s, OP_CODE_UPGRADE), HF_ENOTHELD, &ended);
    script_finish(&s, call, HF_ENOTHELD);
    assert_int_equal(word(ref), GRANTS_LOST);
    assert_int_equal(left(ref), 0);
    assert_int_equal(count_losses(5, false), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_hold_counts_from_the_first_send),
        CASE(test_hold_after_a_wait_is_suspect_until_keep),
        CASE(test_suspect_hold_is_handed_out_at_the_time_out),
        CASE(test_own_lease_is_extended_in_the_background),
        CASE(test_stale_extension_loses_the_attempt),
        CASE(test_late_begin_is_extended_before_it_is_handed_out),
        CASE(test_begin_that_waits_for_its_extension_ends_with_the_session),
        CASE(test_old_reference_sees_nothing_of_the_next_grant),
        CASE(test_lost_token_is_not_brought_back_by_another_acquire),
        CASE(test_unwanted_reentrant_acquire_leaves_the_grant),
        CASE(test_release_that_finds_nothing_ends_what_is_left),
        CASE(test_lost_attempt_is_not_renewed_again),
        CASE(test_change_of_mode_keeps_the_grant),
        CASE(test_change_of_mode_that_finds_nothing_ends_the_grant),
    };
    return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
