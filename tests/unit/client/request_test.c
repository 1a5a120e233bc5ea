/* Exactly once, seen from the client: the same number over every connection until an answer is
 * final, cancelled or held when the caller's time is up, and acknowledged only then. */
#include "tests/unit/client/script_fixture.h"

static void resume_after_a_cut(void)
{
    script_cut(&s);
    script_pass(&s, 300 * MS);
    script_resume(&s);
}

/* A core without calls and without a session wants no connection. */
static void test_idle_core_sends_nothing(void **state)
{
    (void)state;
    script_pass(&s, 3600 * SEC);
    script_expect_nothing(&s);
    assert_int_equal(s.core.link.state, LINK_IDLE);
    assert_true(s.core.wake_ns == CORE_NEVER);
}

/* The reply was lost: the same request, byte for byte, under the same number. */
static void test_lost_reply_is_asked_for_again_under_the_same_seq(void **state)
{
    (void)state;
    struct call *call;
    struct request *before = first_acquire(&call, FATE_CANCEL);
    resume_after_a_cut();
    struct request *after = script_expect(&s, OP_CODE_ACQUIRE);
    assert_int_equal(after->envelope.seq, before->envelope.seq);
    assert_int_equal(after->envelope.session, 77);
    assert_true(slice_equal(after->body, before->body));
    struct msg_granted granted = {.fencing_token = 5, .count = 1};
    script_reply_flags(&s, after, HF_OK, REPLY_REPEATED | REPLY_STANDS, &granted);
    assert_int_equal(call->token, 5);
    script_finish(&s, call, HF_OK);
}

/* A repeated answer that no longer stands is a grant that was lost meanwhile. */
static void test_repeated_answer_that_does_not_stand_is_lost(void **state)
{
    (void)state;
    struct call *call;
    (void)first_acquire(&call, FATE_CANCEL);
    resume_after_a_cut();
    struct msg_granted granted = {.fencing_token = 5, .count = 1};
    script_reply_flags(&s, script_expect(&s, OP_CODE_ACQUIRE), HF_OK, REPLY_REPEATED, &granted);
    script_finish(&s, call, HF_ELOST);
}

/* ack is below the oldest unanswered request; the gaps above it are ranges. */
static void test_ack_and_ranges_tell_what_is_answered(void **state)
{
    (void)state;
    struct call *calls[6];
    struct request *sent[6];
    for (int i = 0; i < 6; i++) {
        calls[i] = script_acquire(&s, 60000, 0, FATE_CANCEL);
        if (i == 0) script_open_session(&s);
        sent[i] = script_expect(&s, OP_CODE_ACQUIRE);
        assert_int_equal(sent[i]->envelope.seq, i + 1);
        assert_int_equal(sent[i]->envelope.ack, 0);
    }
    const int answered[] = {0, 2, 3, 5};
    for (size_t i = 0; i < HF_ARRAY_COUNT(answered); i++) {
        script_grant(&s, sent[answered[i]], 10 + (uint64_t)answered[i]);
        script_finish(&s, calls[answered[i]], HF_OK);
    }
    (void)script_acquire(&s, 60000, 0, FATE_CANCEL);
    const struct client_envelope *e = &script_expect(&s, OP_CODE_ACQUIRE)->envelope;
    assert_int_equal(e->seq, 7);
    assert_int_equal(e->ack, 1);
    const struct ack_range *ranges = e->ack_ranges.items;
    assert_int_equal(e->ack_ranges.count, 2);
    assert_int_equal(ranges[0].first, 3);
    assert_int_equal(ranges[0].last, 4);
    assert_int_equal(ranges[1].first, 6);
    assert_int_equal(ranges[1].last, 6);
}

/* With more gaps than ranges the envelope stays within its bounds (the script checks each). */
static void test_many_gaps_fit_into_the_ranges(void **state)
{
    (void)state;
    static struct call *calls[200];
    static struct request *sent[200];
    for (int i = 0; i < 200; i++) {
        calls[i] = script_acquire(&s, 60000, 0, FATE_CANCEL);
        if (i == 0) script_open_session(&s);
        sent[i] = script_expect(&s, OP_CODE_ACQUIRE);
    }
    for (int i = 1; i < 200; i += 2) {
        script_grant(&s, sent[i], 1000 + (uint64_t)i);
        script_finish(&s, calls[i], HF_OK);
    }
    uint32_t most = 0;
    for (int i = 0; i < 20; i++) {
        (void)script_acquire(&s, 60000, 0, FATE_CANCEL);
        const struct client_envelope *e = &script_expect(&s, OP_CODE_ACQUIRE)->envelope;
        assert_int_equal(e->ack, 0);
        if (e->ack_ranges.count > most) most = e->ack_ranges.count;
    }
    assert_int_equal(most, ACK_RANGES_MAX);
}

/* The caller's time is up: HF_ETIMEOUT for it, CANCEL until somebody answers that. */
static void test_cancel_is_repeated_until_answered(void **state)
{
    (void)state;
    struct call *call;
    struct request *acquire = first_acquire(&call, FATE_CANCEL);
    script_pass(&s, 3 * SEC);
    struct msg_keep_reply kept = script_kept();
    script_pass(&s, 400 * MS);
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    script_pass(&s, 1700 * MS);
    uint64_t seq = acquire->envelope.seq;
    script_finish(&s, call, HF_ETIMEOUT);
    struct msg_cancel cancel;
    script_decode(&s, script_expect(&s, OP_CODE_CANCEL), &cancel);
    assert_int_equal(cancel.target_seq, seq);
    for (int i = 0; i < 3; i++) {
        resume_after_a_cut();
        struct request *again = script_expect(&s, OP_CODE_CANCEL); /* and not the ACQUIRE */
        script_decode(&s, again, &cancel);
        assert_int_equal(cancel.target_seq, seq);
        if (i < 2) continue;
        struct msg_cancel_reply answer = {.status = HF_ECANCELLED, .op = OP_CODE_ACQUIRE};
        script_reply(&s, again, HF_OK, &answer);
    }
    resume_after_a_cut();
    script_expect_nothing(&s);
    assert_int_equal(s.core.busy_count, 0);
    assert_int_equal(s.core.over_count, 0);
}

/* CANCEL came too late: the grant that nobody waited for is given back. */
static void test_grant_that_came_unwanted_is_abandoned(void **state)
{
    (void)state;
    struct call *call;
    (void)first_acquire(&call, FATE_CANCEL);
    script_pass(&s, 3 * SEC);
    s.next = s.count;
    script_cut(&s);
    script_pass(&s, 2100 * MS);
    script_finish(&s, call, HF_ETIMEOUT);
    script_resume(&s);
    uint8_t bytes[64];
    struct buffer body = {.data = bytes, .capacity = sizeof bytes, .bytes_max = sizeof bytes};
    struct msg_granted granted = {.fencing_token = 5, .count = 1};
    assert_int_equal(codec_encode(&msg_granted_type, &granted, &body), HF_OK);
    struct msg_cancel_reply answer = {
        .status = HF_OK, .op = OP_CODE_ACQUIRE, .stands = 1, .body = buffer_slice(&body)};
    script_reply(&s, script_expect(&s, OP_CODE_CANCEL), HF_OK, &answer);
    struct msg_abandon abandon;
    script_decode(&s, script_expect(&s, OP_CODE_ABANDON), &abandon);
    assert_int_equal(abandon.fencing_token, 5);
}

/* Never sent means never applied: the caller learns why, and nothing is cancelled. */
static void test_unsent_request_just_ends(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    for (int i = 0; i < 100; i++) {
        script_step(&s);
        if (s.core.link.state == LINK_CONNECTING) script_cut(&s);
        script_pass(&s, 100 * MS);
    }
    script_finish(&s, call, HF_ECONNECT);
    assert_int_equal(s.core.busy_count, 0);
}

/* A caller with an hf_request keeps the number: retried, it brings the answer. */
static void test_held_request_is_retried_under_its_seq(void **state)
{
    (void)state;
    struct call *call;
    struct request *acquire = first_acquire(&call, FATE_HOLD);
    script_cut(&s);
    script_pass(&s, 6 * SEC);
    uint64_t id = call->id;
    script_finish(&s, call, HF_EUNKNOWN);
    s.next = s.count;
    script_resume(&s);
    script_expect_nothing(&s); /* not before its owner asks */
    assert_ptr_equal(core_call_find(&s.core, id), call);
    core_call_retry(&s.core, call, s.now_ns + SEC, s.now_ns);
    struct request *again = script_expect(&s, OP_CODE_ACQUIRE);
    assert_int_equal(again->envelope.seq, acquire->envelope.seq);
    script_grant(&s, again, 5);
    assert_int_equal(call->token, 5);
    script_finish(&s, call, HF_OK);
    assert_null(core_call_find(&s.core, id));
}

/* Never sent in time, a release is held, too, and not over: the grant is gone here already, so its
 * request is all that can still free the lock. */
static void test_release_that_was_never_sent_is_held(void **state)
{
    (void)state;
    struct call *call;
    script_grant(&s, first_acquire(&call, FATE_HOLD), 5);
    script_finish(&s, call, HF_OK);
    script_cut(&s);
    struct msg_release release = {.fencing_token = 5, .owner = 3};
    assert_int_equal(core_call_new(&s.core, OP_CODE_RELEASE, &release, &call), HF_OK);
    call->fate = FATE_HOLD;
    core_submit(&s.core, call, s.now_ns + SEC, s.now_ns);
    script_pass(&s, 2 * SEC);
    uint64_t id = call->id;
    script_finish(&s, call, HF_EUNKNOWN);
    assert_ptr_equal(core_call_find(&s.core, id), call);
    core_call_retry(&s.core, call, s.now_ns + 5 * SEC, s.now_ns);
    s.next = s.count;
    script_resume(&s);
    struct msg_release_reply released = {.count_left = 0};
    script_reply(&s, script_expect(&s, OP_CODE_RELEASE), HF_OK, &released);
    script_finish(&s, call, HF_OK);
}

/* Held, then cancelled: nothing of it stays. */
static void test_held_request_is_cancelled(void **state)
{
    (void)state;
    struct call *call;
    (void)first_acquire(&call, FATE_HOLD);
    script_cut(&s);
    script_pass(&s, 6 * SEC);
    script_finish(&s, call, HF_EUNKNOWN);
    s.next = s.count;
    script_resume(&s);
    core_call_cancel(&s.core, call, s.now_ns + SEC, s.now_ns);
    struct msg_cancel_reply answer = {.status = HF_ECANCELLED, .op = 0};
    script_reply(&s, script_expect(&s, OP_CODE_CANCEL), HF_OK, &answer);
    script_finish(&s, call, HF_OK);
}

/* Its answer came while nobody looked, and its deadline is not known yet: to cancel it gives the
 * grant back, and the renewal that would have told the deadline finds nothing. */
static void test_held_request_is_cancelled_before_its_deadline_is_known(void **state)
{
    (void)state;
    struct msg_keep_reply kept = script_kept();
    struct call *call = script_acquire(&s, 1, 60000, FATE_HOLD);
    script_open_session(&s);
    struct request *acquire = script_expect(&s, OP_CODE_ACQUIRE);
    script_pass(&s, 4 * SEC);
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    script_pass(&s, 2 * SEC);
    script_finish(&s, call, HF_EUNKNOWN);
    struct msg_granted granted = {.fencing_token = 5, .waited = 1, .count = 1};
    script_reply(&s, acquire, HF_OK, &granted);
    struct request *keep = script_expect(&s, OP_CODE_KEEP);
    core_call_cancel(&s.core, call, s.now_ns + SEC, s.now_ns);
    script_finish(&s, call, HF_OK);
    struct msg_abandon abandon;
    script_decode(&s, script_expect(&s, OP_CODE_ABANDON), &abandon);
    assert_int_equal(abandon.fencing_token, 5);
    struct left_item left = {5, 59000};
    kept.holds = (struct codec_list){&left, 1};
    script_reply(&s, keep, HF_OK, &kept);
    script_expect_nothing(&s);
}

/* Their handle is freed: held requests are cancelled, or what they brought is given back, and
 * nobody can ask for them again. */
static void test_held_requests_go_with_their_handle(void **state)
{
    (void)state;
    static int handle;
    struct call *calls[2];
    struct request *sent[2];
    for (int i = 0; i < 2; i++) {
        calls[i] = script_acquire(&s, 1, 0, FATE_HOLD);
        calls[i]->handle = &handle;
        if (i == 0) script_open_session(&s);
        sent[i] = script_expect(&s, OP_CODE_ACQUIRE);
    }
    script_pass(&s, 4 * SEC);
    struct msg_keep_reply kept = script_kept();
    script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    script_pass(&s, 2 * SEC);
    uint64_t ids[2] = {calls[0]->id, calls[1]->id};
    for (int i = 0; i < 2; i++) script_finish(&s, calls[i], HF_EUNKNOWN);
    script_grant(&s, sent[0], 5); /* nobody looks at it */
    core_drop_held(&s.core, &handle, s.now_ns);
    (void)script_expect(&s, OP_CODE_ABANDON);
    struct msg_cancel cancel;
    script_decode(&s, script_expect(&s, OP_CODE_CANCEL), &cancel);
    assert_int_equal(cancel.target_seq, sent[1]->envelope.seq);
    for (int i = 0; i < 2; i++) assert_null(core_call_find(&s.core, ids[i]));
}

/* Its answer came while nobody looked, and the grant was lost before somebody did. */
static void test_held_answer_may_be_lost_when_it_is_fetched(void **state)
{
    (void)state;
    struct call *call;
    struct request *acquire = first_acquire(&call, FATE_HOLD);
    for (int i = 0; i < 2; i++) {
        script_pass(&s, 3 * SEC);
        if (s.next == s.count) continue;
        struct msg_keep_reply kept = script_kept();
        script_reply(&s, script_expect(&s, OP_CODE_KEEP), HF_OK, &kept);
    }
    script_finish(&s, call, HF_EUNKNOWN);
    script_grant(&s, acquire, 5);
    script_cut(&s);
    script_pass(&s, 12 * SEC);
    core_call_retry(&s.core, call, s.now_ns + SEC, s.now_ns);
    script_finish(&s, call, HF_ELOST);
}

/* A release has let go of its grant: refused, it is repeated, or the lock stays held by nobody. */
static void test_release_that_is_refused_is_repeated(void **state)
{
    (void)state;
    struct call *call;
    struct msg_release release = {.fencing_token = 5, .owner = 3};
    struct msg_release_reply released = {.count_left = 0};
    script_grant(&s, first_acquire(&call, FATE_HOLD), 5);
    script_finish(&s, call, HF_OK);
    assert_int_equal(core_call_new(&s.core, OP_CODE_RELEASE, &release, &call), HF_OK);
    call->fate = FATE_REPEAT_SURE;
    core_submit(&s.core, call, s.now_ns + SEC, s.now_ns);
    struct request *first = script_expect(&s, OP_CODE_RELEASE);
    script_reply(&s, first, HF_ETOOBUSY, &(struct msg_retry){.retry_ms = 50});
    assert_null(core_take_finished(&s.core));
    script_pass(&s, 200 * MS);
    struct request *again = script_expect(&s, OP_CODE_RELEASE);
    assert_int_equal(again->envelope.seq, first->envelope.seq);
    script_reply(&s, again, HF_OK, &released);
    script_finish(&s, call, HF_OK);
}

/* TOO_BUSY for the only send is an answer; for a second send it says nothing about the first. */
static void test_refusal_of_a_resend_is_not_final(void **state)
{
    (void)state;
    struct call *call;
    struct msg_retry retry = {.retry_ms = 50};
    struct request *acquire = first_acquire(&call, FATE_CANCEL);
    script_reply(&s, acquire, HF_ETOOBUSY, &retry);
    script_finish(&s, call, HF_ETOOBUSY);

    call = script_acquire(&s, 0, 0, FATE_CANCEL);
    acquire = script_expect(&s, OP_CODE_ACQUIRE);
    resume_after_a_cut();
    script_reply(&s, script_expect(&s, OP_CODE_ACQUIRE), HF_ETOOBUSY, &retry);
    assert_null(core_take_finished(&s.core));
    script_pass(&s, 200 * MS);
    struct request *again = script_expect(&s, OP_CODE_ACQUIRE);
    assert_int_equal(again->envelope.seq, acquire->envelope.seq);
    script_grant(&s, again, 5);
    script_finish(&s, call, HF_OK);
}

/* A server that does not know what became of the request is asked again. */
static void test_unknown_outcome_is_asked_again(void **state)
{
    (void)state;
    struct call *call;
    struct request *acquire = first_acquire(&call, FATE_CANCEL);
    uint64_t seq = acquire->envelope.seq;
    script_reply(&s, acquire, HF_EUNKNOWN, NULL);
    script_pass(&s, 200 * MS);
    struct request *again = script_expect(&s, OP_CODE_ACQUIRE);
    assert_int_equal(again->envelope.seq, seq);
    script_grant(&s, again, 5);
    script_finish(&s, call, HF_OK);
}

/* The session ended while an answer was on its way: its stored answer is still fetched. */
static void test_ended_session_still_tells_stored_answers(void **state)
{
    (void)state;
    struct call *call;
    script_grant(&s, first_acquire(&call, FATE_CANCEL), 5);
    struct grant_ref ref = call->grant;
    script_finish(&s, call, HF_OK);
    struct msg_release release = {.fencing_token = 5, .owner = 1};
    assert_int_equal(core_call_new(&s.core, OP_CODE_RELEASE, &release, &call), HF_OK);
    call->fate = FATE_REPEAT_SURE;
    core_submit(&s.core, call, s.now_ns + 20 * SEC, s.now_ns);
    struct request *sent = script_expect(&s, OP_CODE_RELEASE);
    struct call *waiting = script_acquire(&s, 60000, 0, FATE_CANCEL);
    struct request *parked = script_expect(&s, OP_CODE_ACQUIRE);
    script_cut(&s);
    script_pass(&s, 300 * MS);
    script_connect(&s);
    struct msg_ended ended = {END_EXPIRED, 1};
    script_reply(&s, script_expect(&s, OP_CODE_RESUME), HF_ESESSION, &ended);
    assert_int_equal(grants_state(&s.core.grants, ref, s.now_ns), GRANTS_LOST);
    struct call *next = script_acquire(&s, 0, 0, FATE_CANCEL);
    for (int i = 0; i < 2; i++) {
        script_step(&s);
        struct request *r = &s.requests[s.next++];
        assert_int_equal(r->envelope.session, 77);
        if (r->op == OP_CODE_RELEASE) {
            assert_int_equal(r->envelope.seq, sent->envelope.seq);
            struct msg_release_reply released = {0};
            script_reply_flags(&s, r, HF_OK, REPLY_REPEATED, &released);
            script_finish(&s, call, HF_OK);
        } else {
            assert_int_equal(r->envelope.seq, parked->envelope.seq);
            script_reply(&s, r, HF_ESESSION, &ended);
            script_finish(&s, waiting, HF_ESESSION);
        }
    }
    struct msg_open_reply opened = {78, 10000};
    script_reply(&s, script_expect(&s, OP_CODE_OPEN), HF_OK, &opened);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 6);
    script_finish(&s, next, HF_OK);
}

/* The stored answer of an ended session says that a lock was granted, and went with it: the caller
 * hears that it came too late, not that nothing was done. */
static void test_what_went_with_its_session_was_lost(void **state)
{
    (void)state;
    struct msg_ended ended = {END_EXPIRED, 1};
    struct msg_granted granted = {.fencing_token = 5, .waited = 1, .count = 1};
    struct call *call;
    (void)first_acquire(&call, FATE_CANCEL);
    script_cut(&s);
    script_pass(&s, 300 * MS);
    script_connect(&s);
    script_reply(&s, script_expect(&s, OP_CODE_RESUME), HF_ESESSION, &ended);
    script_reply_flags(&s, script_expect(&s, OP_CODE_ACQUIRE), HF_OK, REPLY_REPEATED, &granted);
    script_finish(&s, call, HF_ELOST);
    assert_int_equal(s.core.session.phase, SESSION_NONE);
}

/* A request that its owner may still ask about, of a session that has ended: it is asked for over
 * every connection, and holds up the next session no longer than that. */
static void test_held_request_of_an_ended_session_does_not_stay(void **state)
{
    (void)state;
    struct msg_ended ended = {END_EXPIRED, 1};
    for (int late = 0; late < 2; late++) {
        struct call *call = script_acquire(&s, 0, 0, FATE_HOLD);
        if (late == 0) script_open_session(&s);
        struct request *acquire = script_expect(&s, OP_CODE_ACQUIRE);
        script_cut(&s);
        if (late == 0) script_pass(&s, 6 * SEC); /* held before the session ends, or after */
        s.next = s.count;
        script_connect(&s);
        script_reply(&s, script_expect(&s, OP_CODE_RESUME), HF_ESESSION, &ended);
        (void)script_expect(&s, OP_CODE_ACQUIRE);
        script_cut(&s);
        if (late == 1) script_pass(&s, 6 * SEC);
        s.next = s.count;
        uint64_t seq = acquire->envelope.seq;
        script_connect(&s);
        script_reply(&s, script_expect(&s, OP_CODE_RESUME), HF_ESESSION, &ended);
        struct request *again = script_expect(&s, OP_CODE_ACQUIRE);
        assert_int_equal(again->envelope.seq, seq);
        script_reply(&s, again, HF_ESESSION, &ended);
        assert_int_equal(s.core.session.phase, SESSION_NONE);
        script_finish(&s, call, HF_EUNKNOWN);
        core_call_retry(&s.core, call, s.now_ns + SEC, s.now_ns);
        script_finish(&s, call, HF_ESESSION);
        struct call *next = script_acquire(&s, 0, 0, FATE_CANCEL);
        struct msg_open_reply opened = {78, 10000};
        script_reply(&s, script_expect(&s, OP_CODE_OPEN), HF_OK, &opened);
        script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 6);
        script_finish(&s, next, HF_OK);
    }
}

/* After a tombstone's time nobody knows: HF_ESESSIONUNKNOWN. */
static void test_forgotten_session_leaves_the_outcome_unknown(void **state)
{
    (void)state;
    struct call *call;
    (void)first_acquire(&call, FATE_CANCEL);
    script_cut(&s);
    script_pass(&s, 300 * MS);
    script_connect(&s);
    script_reply(&s, script_expect(&s, OP_CODE_RESUME), HF_ESESSIONUNKNOWN, NULL);
    script_finish(&s, call, HF_ESESSIONUNKNOWN);
    assert_int_equal(s.core.session.phase, SESSION_NONE);
}

/* New work is refused at the limit; what frees has some room left. */
static void test_unanswered_requests_are_bounded(void **state)
{
    (void)state;
    struct call *call;
    (void)script_acquire(&s, 60000, 0, FATE_CANCEL);
    script_open_session(&s);
    for (int i = 1; i < UNACKED_MAX; i++) (void)script_acquire(&s, 60000, 0, FATE_CANCEL);
    struct slice names[1] = {slice_of("a")};
    struct msg_acquire acquire = {.names = {names, 1}, .owner = 1};
    assert_int_equal(core_call_new(&s.core, OP_CODE_ACQUIRE, &acquire, &call), HF_EUNACKED);
    struct msg_release release = {.fencing_token = 5, .owner = 1};
    assert_int_equal(core_call_new(&s.core, OP_CODE_RELEASE, &release, &call), HF_OK);
    core_detach(&s.core, call);
}

/* Reads need no session and none is opened for them. */
static void test_read_opens_no_session(void **state)
{
    (void)state;
    struct call *call;
    struct msg_info info = {slice_of("a")};
    assert_int_equal(core_call_new(&s.core, OP_CODE_INFO, &info, &call), HF_OK);
    call->fate = FATE_REPEAT;
    core_submit(&s.core, call, s.now_ns + SEC, s.now_ns);
    script_connect(&s);
    struct request *r = script_expect(&s, OP_CODE_INFO);
    assert_int_equal(r->envelope.session, 0);
    script_cut(&s);
    script_pass(&s, 200 * MS);
    script_connect(&s);
    r = script_expect(&s, OP_CODE_INFO);
    script_reply(&s, r, HF_ENOTFOUND, NULL);
    script_finish(&s, call, HF_ENOTFOUND);
    assert_int_equal(s.core.session.phase, SESSION_NONE);
}

/* CLOSE ends the session here, too; its grants are not told lost. */
static void test_close_ends_the_session_quietly(void **state)
{
    (void)state;
    struct call *call;
    struct grant_loss loss;
    script_grant(&s, first_acquire(&call, FATE_CANCEL), 5);
    struct grant_ref ref = call->grant;
    script_finish(&s, call, HF_OK);
    static const struct msg_empty nothing;
    s.core.closing = true;
    assert_int_equal(core_call_new(&s.core, OP_CODE_CLOSE, &nothing, &call), HF_OK);
    call->fate = FATE_REPEAT;
    core_submit(&s.core, call, s.now_ns + SEC, s.now_ns);
    script_reply(&s, script_expect(&s, OP_CODE_CLOSE), HF_OK, NULL);
    script_finish(&s, call, HF_OK);
    assert_false(core_take_loss(&s.core, &loss));
    assert_int_equal(grants_state(&s.core.grants, ref, s.now_ns), GRANTS_ENDED);
    assert_int_equal(s.core.session.phase, SESSION_NONE);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_idle_core_sends_nothing),
        CASE(test_lost_reply_is_asked_for_again_under_the_same_seq),
        CASE(test_repeated_answer_that_does_not_stand_is_lost),
        CASE(test_ack_and_ranges_tell_what_is_answered),
        CASE(test_many_gaps_fit_into_the_ranges),
        CASE(test_cancel_is_repeated_until_answered),
        CASE(test_grant_that_came_unwanted_is_abandoned),
        CASE(test_unsent_request_just_ends),
        CASE(test_held_request_is_retried_under_its_seq),
        CASE(test_release_that_was_never_sent_is_held),
        CASE(test_release_that_is_refused_is_repeated),
        CASE(test_held_request_is_cancelled),
        CASE(test_held_requests_go_with_their_handle),
        CASE(test_held_request_is_cancelled_before_its_deadline_is_known),
        CASE(test_held_answer_may_be_lost_when_it_is_fetched),
        CASE(test_refusal_of_a_resend_is_not_final),
        CASE(test_unknown_outcome_is_asked_again),
        CASE(test_ended_session_still_tells_stored_answers),
        CASE(test_what_went_with_its_session_was_lost),
        CASE(test_held_request_of_an_ended_session_does_not_stay),
        CASE(test_forgotten_session_leaves_the_outcome_unknown),
        CASE(test_unanswered_requests_are_bounded),
        CASE(test_read_opens_no_session),
        CASE(test_close_ends_the_session_quietly),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
