/* What the core believes of its leases: deadlines that follow only from sends that were
 * acknowledged, losses told once, and nothing that a dead grant could still achieve. */
#include "base/status.h"
#include "tests/unit/client/lease_fixture.h"

/* OPEN may have been applied at its first send: a repeated one grants no more. */
static void test_open_counts_from_its_first_send(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 10000, 0, FATE_CANCEL);
    uint64_t first = s.now_ns;
    script_connect(&s);
    struct msg_open before;
    struct msg_open after;
    script_decode(&s, script_expect(&s, OP_CODE_OPEN), &before);
    s.now_ns += 2 * SEC;
    script_cut(&s);
    script_pass(&s, 200 * MS);
    script_connect(&s);
    struct request *again = script_expect(&s, OP_CODE_OPEN);
    script_decode(&s, again, &after);
    assert_true(slice_equal(before.secret, after.secret));
    struct msg_open_reply opened = {77, 10000};
    script_reply(&s, again, HF_OK, &opened);
    assert_int_equal(s.core.session.deadline_ns, first + LEASE);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    assert_int_equal(left(call->grant), first + LEASE - s.now_ns);
    script_finish(&s, call, HF_OK);
}

/* The answer to OPEN was lost for longer than the lease: that session has ended under its secret,
 * and the calls that wait get another one at once. */
static void test_session_that_ended_unseen_is_opened_anew(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 60000, 0, FATE_CANCEL);
    script_connect(&s);
    struct msg_open before;
    struct msg_open after;
    script_decode(&s, script_expect(&s, OP_CODE_OPEN), &before);
    script_cut(&s);
    script_pass(&s, 200 * MS);
    script_connect(&s);
    struct msg_ended ended = {.reason = END_EXPIRED, .at_ms = 1};
    script_reply(&s, script_expect(&s, OP_CODE_OPEN), HF_ESESSION, &ended);
    struct request *again = script_expect(&s, OP_CODE_OPEN);
    script_decode(&s, again, &after);
    assert_false(slice_equal(before.secret, after.secret));
    struct msg_open_reply opened = {78, 10000};
    script_reply(&s, again, HF_OK, &opened);
    assert_int_equal(s.core.session.deadline_ns, s.now_ns + LEASE);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    script_finish(&s, call, HF_OK);
}

/* The lease runs from the moment when the renewal was sent, not from when its answer came. */
static void test_keep_counts_from_its_send(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    script_pass(&s, 3400 * MS);
    struct request *keep = script_expect(&s, OP_CODE_KEEP);
    uint64_t sent = s.core.session.send_ns;
    assert_in_range(sent, 1000 * SEC + 2990 * MS, 1000 * SEC + 3334 * MS);
    s.now_ns += SEC;
    struct msg_keep_reply kept = script_kept();
    script_reply(&s, keep, HF_OK, &kept);
    assert_int_equal(left(ref), sent + LEASE - s.now_ns);
}

/* A renewal whose answer is lost may have been applied; the old deadline stands all the same. */
static void test_lost_renewal_reply_keeps_the_old_deadline(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    uint64_t deadline = s.core.session.deadline_ns;
    script_pass(&s, 3400 * MS);
    (void)script_expect(&s, OP_CODE_KEEP);
    script_cut(&s);
    assert_int_equal(s.core.session.deadline_ns, deadline);
    assert_int_equal(left(ref), deadline - s.now_ns);
}

/* A server that has no room for a renewal just now is asked again soon, over the same connection.
 */
static void test_refused_renewal_is_repeated_soon(void **state)
{
    (void)state;
    (void)hold(5);
    script_pass(&s, 3400 * MS);
    uint64_t epoch = s.core.link.epoch;
    struct msg_retry retry = {.retry_ms = 50};
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_ETOOBUSY, &retry);
    script_pass(&s, 110 * MS);
    (void)script_expect(&s, OP_CODE_KEEP);
    assert_int_equal(s.core.link.epoch, epoch);
}

/* What arrives from a connection that was left renews nothing. */
static void test_answer_from_an_older_connection_is_not_used(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    uint64_t deadline = s.core.session.deadline_ns;
    script_pass(&s, 3400 * MS);
    struct request *keep = script_expect(&s, OP_CODE_KEEP);
    uint64_t old = s.core.link.epoch;
    script_cut(&s);
    struct buffer frame;
    uint8_t body[64];
    struct buffer encoded = {.data = body, .capacity = sizeof body, .bytes_max = sizeof body};
    struct msg_keep_reply kept = script_kept();
    assert_int_equal(codec_encode(&msg_keep_reply_type, &kept, &encoded), HF_OK);
    buffer_init(&frame, 1024);
    struct reply_frame reply = {.request_id = keep->id, .body = buffer_slice(&encoded)};
    assert_int_equal(frame_write_reply(&frame, &reply), HF_OK);
    script_pass(&s, 200 * MS);
    core_connected(&s.core, s.core.link.epoch, s.now_ns);
    uint64_t epoch = s.core.link.epoch;
    core_received(&s.core, old, buffer_slice(&frame), s.now_ns);
    buffer_close(&frame);
    assert_int_equal(s.core.link.epoch, epoch);
    assert_int_equal(s.core.link.state, LINK_HELLO);
    assert_int_equal(s.core.session.deadline_ns, deadline);
    assert_int_equal(left(ref), deadline - s.now_ns);
}

/* Other answers tell nothing of the lease, though the request renewed it at the server. */
static void test_answers_to_other_requests_renew_nothing(void **state)
{
    (void)state;
    (void)hold(5);
    uint64_t deadline = s.core.session.deadline_ns;
    s.now_ns += 2 * SEC;
    (void)hold(6);
    assert_int_equal(s.core.session.deadline_ns, deadline);
}

/* Without any network the grant is SUSPECT after half its lease, and LOST at its deadline, once. */
static void test_lost_fires_once_without_network(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    script_pass(&s, 100 * MS);
    script_cut(&s);
    assert_int_equal(word(ref), GRANTS_HELD);
    script_pass(&s, 5 * SEC);
    assert_int_equal(word(ref), GRANTS_SUSPECT);
    assert_int_not_equal(left(ref), 0);
    assert_int_equal(count_losses(5, true), 0);
    script_pass(&s, 5 * SEC);
    assert_int_equal(word(ref), GRANTS_LOST);
    assert_int_equal(left(ref), 0);
    assert_int_equal(count_losses(5, true), 1);
    script_pass(&s, 20 * SEC);
    assert_int_equal(count_losses(5, true), 0);
}

/* hf_grant_valid() needs no timer: past the deadline it is false before anything ran. */
static void test_validity_ends_before_any_callback_runs(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    s.now_ns += 60 * SEC;
    assert_int_equal(left(ref), 0);
    assert_int_equal(word(ref), GRANTS_LOST);
}

/* The servers keep all leases over an outage: what was declared lost is given back, repeatedly. */
static void test_lost_grant_is_abandoned_until_answered(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    script_cut(&s);
    script_pass(&s, 12 * SEC);
    s.next = s.count;
    script_pass(&s, 3 * SEC);
    script_resume(&s);
    struct msg_abandon abandon;
    script_decode(&s, script_expect(&s, OP_CODE_ABANDON), &abandon);
    assert_int_equal(abandon.fencing_token, 5);
    script_cut(&s);
    script_pass(&s, 200 * MS);
    script_resume(&s);
    struct request *again = script_expect(&s, OP_CODE_ABANDON);
    script_reply(&s, again, HF_OK, NULL);
    script_cut(&s);
    script_pass(&s, 200 * MS);
    script_resume(&s);
    script_expect_nothing(&s);
    assert_int_equal(word(ref), GRANTS_LOST);
}

/* Right after an outage an answer may come before any renewal was acknowledged: the grant is handed
 * out once one is, and not given up. */
static void test_grant_before_the_first_renewal_waits_for_it(void **state)
{
    (void)state;
    script_close(&s);
    script_open(&s, "a:1", 1000);
    (void)hold(5);
    script_pass(&s, 400 * MS);
    struct request *keep = script_expect(&s, OP_CODE_KEEP);
    s.now_ns += SEC; /* the server stood still */
    (void)script_expect(&s, OP_CODE_ABANDON);
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 6);
    assert_int_equal(grants_state(&s.core.grants, call->grant, s.now_ns), GRANTS_SUSPECT);
    struct msg_keep_reply kept = script_kept();
    script_reply(&s, keep, HF_OK, &kept); /* sent before: proves nothing of this grant */
    assert_null(core_take_finished(&s.core));
    assert_int_equal(left(call->grant), 0);
    uint64_t sent = s.now_ns;
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    assert_int_equal(left(call->grant), sent + 970 * MS - s.now_ns);
    script_finish(&s, call, HF_OK);
}

/* If no renewal is acknowledged in time, the grant goes back. */
static void test_unproven_grant_goes_back_at_the_time_out(void **state)
{
    (void)state;
    script_close(&s);
    script_open(&s, "a:1", 1000);
    (void)hold(5);
    script_pass(&s, 400 * MS);
    (void)script_expect(&s, OP_CODE_KEEP);
    s.now_ns += SEC;
    (void)script_expect(&s, OP_CODE_ABANDON);
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 6);
    script_cut(&s);
    script_pass(&s, 6 * SEC);
    script_finish(&s, call, HF_ELOST);
    s.next = s.count;
    script_resume(&s);
    assert_int_equal(script_expect(&s, OP_CODE_ABANDON)->op, OP_CODE_ABANDON);
}

/* A late renewal does not bring a lost grant back, even if no tick came between. */
static void test_lost_grant_never_returns(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    script_pass(&s, 3400 * MS);
    struct request *keep = script_expect(&s, OP_CODE_KEEP);
    s.now_ns += 9 * SEC;
    struct msg_keep_reply kept = script_kept();
    script_reply(&s, keep, HF_OK, &kept);
    assert_true(s.core.session.deadline_ns > s.now_ns);
    assert_int_equal(word(ref), GRANTS_LOST);
    assert_int_equal(count_losses(5, true), 1);
    (void)script_expect(&s, OP_CODE_ABANDON);
}

/* A loss that KEEP tells ends the grant at once, is acknowledged at once, and nothing else is. */
static void test_loss_told_by_keep_is_acknowledged(void **state)
{
    (void)state;
    struct grant_ref lost = hold(5);
    struct grant_ref other = hold(6);
    script_pass(&s, 3400 * MS);
    struct lost_item items[1] = {{5, END_FORCED, 1}};
    struct msg_keep_reply kept = script_kept();
    kept.lost = (struct codec_list){items, 1};
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    assert_int_equal(word(lost), GRANTS_LOST);
    assert_int_equal(word(other), GRANTS_HELD);
    assert_int_equal(count_losses(5, false), 1);
    struct msg_keep keep;
    script_decode(&s, script_expect(&s, OP_CODE_KEEP), &keep);
    assert_int_equal(keep.losses_acked.count, 1);
    assert_int_equal(keep.losses_acked.items[0], 5);
}

/* What KEEP tells of a grant that is asked back is told once, with the time that is left, and only
 * while the grant is there; the last word on the time counts. */
static void test_a_grant_asked_back_is_told_once(void **state)
{
    (void)state;
    (void)hold(5);
    struct grant_ref other = hold(6);
    struct grant_asked asked;
    assert_false(core_take_asked(&s.core, &asked, s.now_ns));
    for (uint64_t turn = 0; turn < 2; turn++) {
        struct left_item items[] = {{6, 7000}, {5, 9000}, {900, 1}};
        struct msg_keep_reply kept = script_kept();
        kept.asked = (struct codec_list){items, HF_ARRAY_COUNT(items)};
        script_pass(&s, 3400 * MS);
        script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
        if (turn > 0) continue;
        core_forget_grant(&s.core, other); /* it goes before anybody was told of it */
        assert_true(core_take_asked(&s.core, &asked, s.now_ns + 1000 * MS));
        assert_int_equal(asked.token, 5);
        uint64_t end_ns = core_deadline(&s.core, s.core.session.send_ns, 9000);
        assert_int_equal(asked.left_ms, (end_ns - s.now_ns) / MS - 1000);
    }
    assert_false(core_take_asked(&s.core, &asked, s.now_ns));
}

/* While more losses are to come any grant may be among them: no deadline moves. */
static void test_keep_that_says_more_moves_no_deadline(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    uint64_t deadline = s.core.session.deadline_ns;
    script_pass(&s, 3400 * MS);
    struct lost_item items[1] = {{900, END_EXPIRED, 1}};
    struct msg_keep_reply kept = script_kept();
    kept.lost = (struct codec_list){items, 1};
    kept.more = 1;
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    assert_int_equal(left(ref), deadline - s.now_ns);
    kept = script_kept();
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    assert_true(left(ref) > deadline - s.now_ns);
}

/* KEEP tells the loss of a token whose ACQUIRE's answer is still on its way: it is dead on
 * arrival. */
static void test_token_lost_before_its_answer_came_is_dead(void **state)
{
    (void)state;
    (void)hold(5);
    struct call *call = script_acquire(&s, 20000, 0, FATE_CANCEL);
    struct request *acquire = script_expect(&s, OP_CODE_ACQUIRE);
    script_pass(&s, 3400 * MS);
    struct lost_item items[1] = {{9, END_FORCED, 1}};
    struct msg_keep_reply kept = script_kept();
    kept.lost = (struct codec_list){items, 1};
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    script_grant(&s, acquire, 9);
    script_finish(&s, call, HF_ELOST);
}

/* When the session is gone all its grants are, told once each, and the next call opens another
 * under another secret. */
static void test_expired_session_loses_all_and_is_replaced(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    uint8_t secret[SESSION_SECRET_BYTES];
    memcpy(secret, s.core.session.secret, sizeof secret);
    script_pass(&s, 3400 * MS);
    struct msg_ended ended = {END_EXPIRED, 1};
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_ESESSION, &ended);
    assert_int_equal(word(ref), GRANTS_LOST);
    assert_int_equal(count_losses(5, false), 1);
    script_expect_nothing(&s);
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    struct request *open = script_expect(&s, OP_CODE_OPEN);
    struct msg_open body;
    script_decode(&s, open, &body);
    assert_memory_not_equal(secret, body.secret.data, sizeof secret);
    struct msg_open_reply opened = {78, 10000};
    script_reply(&s, open, HF_OK, &opened);
    struct request *acquire = script_expect(&s, OP_CODE_ACQUIRE);
    assert_int_equal(acquire->envelope.session, 78);
    assert_int_equal(acquire->envelope.seq, 1);
    script_grant(&s, acquire, 6);
    script_finish(&s, call, HF_OK);
}

/* Somebody else resumed the session: a copy of this client. Its grants are not ours any more. */
static void test_superseded_session_is_given_up(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    script_pass(&s, 2 * SEC);
    struct request nobody = {.op = OP_CODE_KEEP};
    script_reply(&s, &nobody, HF_ESUPERSEDED, NULL);
    assert_int_equal(word(ref), GRANTS_LOST);
    assert_int_equal(s.core.session.phase, SESSION_NONE);
}

/* A client that slept past its ttl has several things under way, and each answer says that the
 * session has ended. The first one counts; the others are of the old session, and neither end the
 * next one nor break the connection. */
static void test_late_answers_of_an_ended_session_leave_the_next_one_alone(void **state)
{
    (void)state;
    struct msg_ended ended = {.reason = END_EXPIRED, .at_ms = 1};
    for (int keep_first = 0; keep_first < 2; keep_first++) {
        (void)hold(5);
        script_pass(&s, 3400 * MS);
        struct request *keep = script_expect(&s, OP_CODE_KEEP);
        s.now_ns += 20 * SEC;
        s.core.session.keep_timeout_ns = s.now_ns + SEC; /* the answers are there when it wakes */
        core_expire(&s.core, s.now_ns);
        struct request *abandon = script_expect(&s, OP_CODE_ABANDON);
        (void)count_losses(5, true);
        uint64_t epoch = s.core.link.epoch;
        script_reply(&s, keep_first ? keep : abandon, HF_ESESSION, &ended);
        struct call *next = script_acquire(&s, 0, 0, FATE_CANCEL);
        struct request *open = script_expect(&s, OP_CODE_OPEN);
        script_reply(&s, keep_first ? abandon : keep, HF_ESESSION, &ended);
        struct msg_open_reply opened = {78, 10000};
        script_reply(&s, open, HF_OK, &opened);
        script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 6);
        struct grant_ref ref = next->grant;
        script_finish(&s, next, HF_OK);
        assert_int_equal(s.core.link.epoch, epoch);
        core_drop_grant(&s.core, ref, s.now_ns);
        script_reply(&s, script_expect(&s, OP_CODE_ABANDON), HF_OK, NULL);
    }
}

/* ABANDON is answered with what says nothing (a leader that is leaving, or busy): it is asked again
 * over the same connection, or the lock would stay taken as long as the session lives. */
static void test_unanswered_abandon_is_repeated_soon(void **state)
{
    (void)state;
    struct grant_ref ref = hold(5);
    core_drop_grant(&s.core, ref, s.now_ns);
    uint64_t epoch = s.core.link.epoch;
    for (int i = 0; i < 3; i++) {
        script_reply(&s, script_expect(&s, OP_CODE_ABANDON), HF_EUNKNOWN, NULL);
        script_expect_nothing(&s);
        script_pass(&s, 110 * MS);
    }
    script_reply(&s, script_expect(&s, OP_CODE_ABANDON), HF_OK, NULL);
    script_pass(&s, 500 * MS);
    script_expect_nothing(&s);
    assert_int_equal(s.core.link.epoch, epoch);
    assert_int_equal(s.core.abandon_left, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_open_counts_from_its_first_send),
        CASE(test_session_that_ended_unseen_is_opened_anew),
        CASE(test_keep_counts_from_its_send),
        CASE(test_lost_renewal_reply_keeps_the_old_deadline),
        CASE(test_refused_renewal_is_repeated_soon),
        CASE(test_answer_from_an_older_connection_is_not_used),
        CASE(test_answers_to_other_requests_renew_nothing),
        CASE(test_lost_fires_once_without_network),
        CASE(test_validity_ends_before_any_callback_runs),
        CASE(test_lost_grant_is_abandoned_until_answered),
        CASE(test_unanswered_abandon_is_repeated_soon),
        CASE(test_grant_before_the_first_renewal_waits_for_it),
        CASE(test_unproven_grant_goes_back_at_the_time_out),
        CASE(test_lost_grant_never_returns),
        CASE(test_loss_told_by_keep_is_acknowledged),
        CASE(test_a_grant_asked_back_is_told_once),
        CASE(test_keep_that_says_more_moves_no_deadline),
        CASE(test_token_lost_before_its_answer_came_is_dead),
        CASE(test_expired_session_loses_all_and_is_replaced),
        CASE(test_late_answers_of_an_ended_session_leave_the_next_one_alone),
        CASE(test_superseded_session_is_given_up),
    };
    return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
