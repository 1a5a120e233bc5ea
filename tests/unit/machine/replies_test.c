/* Exactly-once, line by line of docs/contract.md, section 2, and of its corner cases. */
#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

#define TTL 10000

static const struct want A1 = {.name = "a", .owner = 1};
static const struct want A2_WAIT = {.name = "a", .owner = 2, .wait_ms = 60000};

/* A KEEP-like op that only acknowledges: CANCEL of an acknowledged seq changes nothing else. */
static void acknowledge(struct fixture *f, uint64_t session, uint64_t ack,
                        const struct ack_range *ranges, uint32_t count)
{
    struct envelope envelope = {
        .session = session, .ack = ack, .ack_ranges = {ranges, count}, .renews = 1};
    struct msg_keep request = {0};
    assert_int_equal(call_with(f, OP_CODE_KEEP, &envelope, &request)->status, HF_OK);
}

static uint32_t unacked(struct fixture *f, uint64_t session)
{
    uint32_t count, bytes;
    assert_int_equal(machine_session_peek(f->m, session, &count, &bytes), HF_OK);
    return count;
}

/* The same seq and request again: the same bytes, the same token, no second effect. */
static void test_a_retry_gets_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    const struct answer *answer = acquire(f, s, 1, A1);
    uint8_t bytes[64];
    size_t size = answer->body.size;
    memcpy(bytes, answer->body.data, size);
    assert_int_equal(answer->flags, 0);
    struct hash128 before = store_digest(f->store);
    answer = acquire(f, s, 1, A1);
    assert_int_equal(answer->flags, REPLY_REPEATED | REPLY_STANDS);
    assert_true(slice_equal(answer->body, slice_make(bytes, size)));
    struct hash128 after = store_digest(f->store);
    assert_true(before.high == after.high && before.low == after.low);
}

/* The same seq with another request, or another op with the same bytes, is refused. */
static void test_another_request_under_a_used_seq_is_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    acquire_ok(f, s, 1, A1);
    assert_int_equal(acquire(f, s, 1, (struct want){.name = "b", .owner = 1})->status,
                     HF_ESEQREUSED);
    assert_int_equal(close_session(f, s, 1), HF_ESEQREUSED);
    assert_int_equal(acquire(f, s, 2, A2_WAIT)->kind, ANSWER_PARKED);
    assert_int_equal(acquire(f, s, 2, A1)->status, HF_ESEQREUSED); /* parked ones, too */
    assert_int_equal(holders_of(f, "b"), 0);
}

/* A release's reply was lost and the lock granted to me again: the old seq answers for the old
 * token, the new token is untouched. */
static void test_a_late_release_retry_does_not_touch_a_newer_grant(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t old = acquire_ok(f, s, 1, A1);
    assert_int_equal(release(f, s, 2, "a", old, 1), HF_OK);
    acquire_ok(f, s, 3, A1);
    assert_int_equal(release(f, s, 2, "a", old, 1), HF_OK);
    assert_int_equal(holders_of(f, "a"), 1);
    assert_int_equal(acquire(f, s, 1, A1)->flags, REPLY_REPEATED); /* stands no more */
}

/* An acknowledged seq is gone, also one that was never seen, and its reply's row with it. */
static void test_an_acknowledged_seq_is_gone(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    assert_int_equal(unacked(f, s), 1);
    acknowledge(f, s, 30, NULL, 0);
    assert_int_equal(unacked(f, s), 0);
    assert_int_equal(acquire(f, s, 1, A1)->status, HF_EREPLYGONE);
    assert_int_equal(acquire(f, s, 30, A1)->status, HF_EREPLYGONE);
    assert_int_equal(cancel(f, s, 7)->status, HF_EREPLYGONE);
    assert_int_equal(release(f, s, 31, "a", token, 1), HF_OK);
    acknowledge(f, s, 5, NULL, 0); /* never smaller */
    assert_int_equal(acquire(f, s, 30, A1)->status, HF_EREPLYGONE);
}

/* Ranges above ack are joined to what is known, and kept until ack has passed them. */
static void test_ranges_are_joined_and_never_shrink(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    for (uint64_t seq = 1; seq <= 20; seq++)
        acquire(f, s, seq, (struct want){.name = "a", .owner = 1});
    assert_int_equal(unacked(f, s), 20);
    const struct ack_range first[] = {{3, 4}, {10, 12}};
    const struct ack_range second[] = {{4, 9}, {15, 15}};
    acknowledge(f, s, 0, first, 2);
    assert_int_equal(unacked(f, s), 15);
    acknowledge(f, s, 0, second, 2); /* 3..12 and 15 now */
    assert_int_equal(unacked(f, s), 9);
    acknowledge(f, s, 0, first, 1);
    static const uint8_t gone[21] = {[3] = 1, [4] = 1,  [5] = 1,  [6] = 1,  [7] = 1, [8] = 1,
                                     [9] = 1, [10] = 1, [11] = 1, [12] = 1, [15] = 1};
    for (uint64_t seq = 1; seq <= 20; seq++) {
        const struct answer *answer = acquire(f, s, seq, A1);
        assert_int_equal(answer->status == HF_EREPLYGONE, gone[seq]);
    }
    acknowledge(f, s, 2, NULL, 0); /* ack moves over the range that it touches */
    assert_int_equal(acquire(f, s, 12, A1)->status, HF_EREPLYGONE);
    assert_int_equal(unacked(f, s), 7);
    assert_int_equal(acquire(f, s, 13, A1)->flags & REPLY_REPEATED, REPLY_REPEATED);
}

/* Ranges without end do not fill the session's row: those for which there is no room are
 * remembered when there is. */
static void test_ranges_are_bounded(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    for (uint64_t round = 0; round < 10; round++) {
        struct ack_range ranges[ACK_RANGES_MAX];
        for (uint64_t i = 0; i < ACK_RANGES_MAX; i++) {
            uint64_t seq = 10 + (round * ACK_RANGES_MAX + i) * 10;
            ranges[i] = (struct ack_range){seq, seq};
        }
        acknowledge(f, s, 0, ranges, ACK_RANGES_MAX);
    }
    assert_int_equal(acquire(f, s, 10, A1)->status, HF_EREPLYGONE);
    assert_int_equal(acquire(f, s, 3200, A1)->status, HF_OK); /* not remembered */
    assert_int_equal(unacked(f, s), 1);
}

/* CANCEL overtakes its request: the request finds CANCELLED under its seq and has no effect. */
static void test_cancel_overtakes_its_request(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct msg_cancel_reply reply;
    read_body(f, OP_CODE_CANCEL, cancel(f, s, 5), &reply);
    assert_int_equal(reply.status, HF_ECANCELLED);
    assert_int_equal(reply.op, 0);
    const struct answer *answer = acquire(f, s, 5, A1);
    assert_int_equal(answer->status, HF_ECANCELLED);
    assert_int_equal(answer->flags, REPLY_REPEATED);
    assert_int_equal(holders_of(f, "a"), 0);
    assert_int_equal(cancel(f, s, 5 + SEQ_AHEAD_MAX + 1)->status, HF_EBADREQUEST);
    assert_int_equal(cancel(f, s, 5 + SEQ_AHEAD_MAX)->status, HF_OK);
}

/* CANCEL of a parked request ends its wait, and the next CANCEL finds that answer. */
static void test_cancel_ends_a_wait(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    assert_int_equal(acquire(f, s, 2, A2_WAIT)->kind, ANSWER_PARKED);
    struct msg_cancel_reply reply;
    for (int i = 0; i < 2; i++) {
        const struct answer *answer = cancel(f, s, 2);
        assert_int_equal(find_woken(f, s, 2) != NULL, i == 0);
        read_body(f, OP_CODE_CANCEL, answer, &reply);
        assert_int_equal(reply.status, HF_ECANCELLED);
        assert_int_equal(reply.op, OP_CODE_ACQUIRE);
    }
    assert_int_equal(release(f, s, 3, "a", token, 1), HF_OK);
    assert_int_equal(holders_of(f, "a"), 0); /* no ghost holder */
    assert_int_equal(acquire(f, s, 2, A2_WAIT)->status, HF_ECANCELLED);
}

/* CANCEL that comes too late brings the request's own answer, and whether it still stands. */
static void test_cancel_of_an_answered_request_brings_its_answer(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    for (int i = 0; i < 2; i++) {
        struct msg_cancel_reply reply;
        struct msg_granted granted;
        read_body(f, OP_CODE_CANCEL, cancel(f, s, 1), &reply);
        assert_int_equal(reply.status, HF_OK);
        assert_int_equal(reply.op, OP_CODE_ACQUIRE);
        assert_int_equal(reply.stands, i == 0);
        assert_int_equal(codec_decode(&msg_granted_type, reply.body, NULL, &granted), HF_OK);
        assert_int_equal(granted.fencing_token, token);
        if (i == 0) assert_int_equal(abandon(f, s, token), HF_OK);
    }
}

/* A parked request that is sent again keeps its place; granted meanwhile, it gets the grant. */
static void test_a_parked_request_keeps_its_place(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    assert_int_equal(acquire(f, s, 2, A2_WAIT)->kind, ANSWER_PARKED);
    assert_int_equal(acquire(f, t, 1, A2_WAIT)->kind, ANSWER_PARKED);
    assert_int_equal(acquire(f, s, 2, A2_WAIT)->kind, ANSWER_PARKED);
    assert_int_equal(queue_of(f, "a"), 2);
    assert_int_equal(release(f, s, 3, "a", token, 1), HF_OK);
    uint64_t next = granted_token(f, find_woken(f, s, 2));
    const struct answer *answer = acquire(f, s, 2, A2_WAIT);
    assert_int_equal(answer->flags, REPLY_REPEATED | REPLY_STANDS);
    struct msg_granted granted;
    read_body(f, OP_CODE_ACQUIRE, answer, &granted);
    assert_int_equal(granted.fencing_token, next);
    assert_int_equal(granted.waited, 1);
}

/* Pipelined requests of one entry are applied in order; each answer has its position. */
static void test_ops_of_an_entry_are_applied_in_order(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    add_acquire(f, s, 1, A1);
    add_acquire(f, s, 2, A2_WAIT);
    add_acquire(f, s, 1, A1);
    add_acquire(f, s, 3, (struct want){.name = "a", .owner = 3});
    apply_entry(f);
    assert_int_equal(f->answer_count, 4);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(f->answers[i].position, i);
    assert_int_equal(f->answers[0].status, HF_OK);
    assert_int_equal(f->answers[1].kind, ANSWER_PARKED);
    assert_int_equal(f->answers[2].flags, REPLY_REPEATED | REPLY_STANDS);
    assert_int_equal(f->answers[3].status, HF_EBUSY);
}

/* CANCELs of numbers that never come cannot fill the table. */
static void test_cancelled_numbers_are_bounded(void **state)
{
    struct fixture *f = *state;
    f->unchecked = true;
    uint64_t s = open_session(f, "s", 3600000);
    uint64_t seq = 1;
    while (cancel(f, s, seq)->status == HF_OK) seq++;
    assert_int_equal(seq - 1, 2 * (UNACKED_MAX + UNACKED_RESERVE));
    assert_int_equal(cancel(f, s, seq)->status, HF_EUNACKED);
    f->unchecked = false;
    acknowledge(f, s, 100, NULL, 0);
    assert_int_equal(cancel(f, s, seq)->status, HF_OK);
}

#define REPLY_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLY_TEST(test_a_retry_gets_the_same_bytes),
        REPLY_TEST(test_another_request_under_a_used_seq_is_refused),
        REPLY_TEST(test_a_late_release_retry_does_not_touch_a_newer_grant),
        REPLY_TEST(test_an_acknowledged_seq_is_gone),
        REPLY_TEST(test_ranges_are_joined_and_never_shrink),
        REPLY_TEST(test_ranges_are_bounded),
        REPLY_TEST(test_cancel_overtakes_its_request),
        REPLY_TEST(test_cancel_ends_a_wait),
        REPLY_TEST(test_cancel_of_an_answered_request_brings_its_answer),
        REPLY_TEST(test_a_parked_request_keeps_its_place),
        REPLY_TEST(test_ops_of_an_entry_are_applied_in_order),
        REPLY_TEST(test_cancelled_numbers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
