/* Time and sessions, line by line of docs/contract.md, sections 1 and 3. */
#include <stdio.h>

#include "base/status.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

#define TTL 10000

static const struct want A1 = {.name = "a", .owner = 1};
static const struct want A2_WAIT = {.name = "a", .owner = 2, .wait_ms = 60000};

static struct msg_open open_of(const char *secret16, uint64_t ttl_ms)
{
    return (struct msg_open){.secret = slice_make(secret16, 16), .ttl_ms = ttl_ms};
}

/* OPEN sent again with its secret answers the same session and what was granted first; another
 * secret, another session. It renews nothing. */
static void test_open_is_repeatable_by_its_secret(void **state)
{
    struct fixture *f = *state;
    struct msg_open first = open_of("secret-number-01", TTL);
    struct msg_open again = open_of("secret-number-01", TTL + 1);
    struct msg_open other = open_of("secret-number-02", TTL);
    struct msg_open_reply a, b, c;
    read_body(f, OP_CODE_OPEN, call(f, OP_CODE_OPEN, 0, 0, &first), &a);
    f->now_ms += TTL - 1;
    read_body(f, OP_CODE_OPEN, call(f, OP_CODE_OPEN, 0, 0, &again), &b);
    read_body(f, OP_CODE_OPEN, call(f, OP_CODE_OPEN, 0, 0, &other), &c);
    assert_int_equal(a.session, b.session);
    assert_int_equal(b.ttl_ms, TTL);
    assert_int_not_equal(c.session, a.session);
    pass(f, 1);
    assert_int_equal(keep(f, a.session), HF_ESESSION);
    assert_int_equal(call(f, OP_CODE_OPEN, 0, 0, &first)->status, HF_ESESSION);
}

/* A session lives for its ttl from its last renewal, and not a millisecond longer than the sweep
 * that finds it; KEEP and other ops renew, an op with renews = 0 does not. */
static void test_a_session_lives_ttl_from_its_last_renewal(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    pass(f, TTL - 1);
    assert_int_equal(keep(f, s), HF_OK);
    pass(f, TTL - 1);
    assert_int_equal(acquire(f, s, 1, A1)->status, HF_OK); /* any op renews */
    pass(f, TTL - 1);
    struct envelope silent = {.session = s, .seq = 2, .ack = 1, .renews = 0};
    struct msg_release request = {.fencing_token = 1, .owner = 7};
    assert_int_equal(call_with(f, OP_CODE_RELEASE, &silent, &request)->status, HF_ENOTOWNER);
    pass(f, 1);
    assert_int_equal(keep(f, s), HF_ESESSION);
}

/* Until its sweep a session is alive: a KEEP that stands in the log before it succeeds. */
static void test_expired_means_swept(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", TTL);
    f->now_ms += TTL - 1;
    assert_int_equal(keep(f, s), HF_OK);
    f->now_ms += 1; /* this entry's sweep ends t before its KEEP is applied */
    assert_int_equal(keep(f, t), HF_ESESSION);
    assert_int_equal(keep(f, s), HF_OK);
}

/* Cluster time never goes back. */
static void test_time_never_goes_back(void **state)
{
    struct fixture *f = *state;
    uint64_t before_ms = f->now_ms;
    apply_entry(f);
    f->now_ms -= 500;
    apply_entry(f);
    assert_int_equal(machine_time_ms(f->m), before_ms);
}

/* A tombstone says why and when for 10 minutes, then the session is unknown; its number is never
 * used again. */
static void test_a_tombstone_says_why_then_goes(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    pass(f, TTL);
    uint64_t ended_ms = f->now_ms;
    struct msg_ended ended;
    struct msg_keep none = {0};
    const struct answer *answer = call(f, OP_CODE_KEEP, s, 0, &none);
    read_body(f, OP_CODE_KEEP, answer, &ended);
    assert_int_equal(ended.reason, END_EXPIRED);
    assert_int_equal(ended.at_ms, ended_ms);
    answer = acquire(f, s, 9, A1);
    assert_int_equal(answer->status, HF_ESESSION);
    pass(f, SESSION_TOMBSTONE_MS - 1);
    assert_int_equal(keep(f, s), HF_ESESSION);
    pass(f, 1);
    assert_int_equal(keep(f, s), HF_ESESSIONUNKNOWN);
    assert_int_equal(acquire(f, s, 9, A1)->status, HF_ESESSIONUNKNOWN);
    assert_int_not_equal(open_session(f, "s", TTL), s);
}

/* CLOSE gives everything back at once: the waiter gets the lock without its delay; the session's
 * own waiters leave; CLOSE sent again gets its stored reply. */
static void test_close_gives_everything_back(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", TTL);
    struct want delayed = {.name = "a", .owner = 1, .delay_ms = 30000};
    uint64_t token = acquire_ok(f, s, 1, delayed);
    assert_int_equal(acquire(f, t, 1, A2_WAIT)->kind, ANSWER_PARKED);
    acquire_ok(f, t, 2, (struct want){.name = "b", .owner = 1});
    struct want wait_b = {.name = "b", .owner = 5, .wait_ms = 60000};
    assert_int_equal(acquire(f, s, 2, wait_b)->kind, ANSWER_PARKED);
    assert_int_equal(close_session(f, s, 3), HF_OK);
    assert_true(granted_token(f, find_woken(f, t, 1)) > token);
    assert_int_equal(find_woken(f, s, 2)->status, HF_ESESSION);
    assert_int_equal(queue_of(f, "b"), 0);
    assert_int_equal(close_session(f, s, 3), HF_OK);
    assert_int_equal(close_session(f, s, 4), HF_ESESSION);
    struct machine_counts counts;
    machine_count(f->m, &counts);
    assert_int_equal(counts.session_count, 1);
}

/* RESUME proves the secret, renews, tells what was lost; a wrong secret changes nothing. */
static void test_resume_proves_its_secret_and_renews(void **state)
{
    struct fixture *f = *state;
    struct msg_open open = open_of("secret-number-01", TTL);
    struct msg_open_reply opened;
    read_body(f, OP_CODE_OPEN, call(f, OP_CODE_OPEN, 0, 0, &open), &opened);
    uint64_t s = opened.session;
    uint64_t token = acquire_ok(f, s, 1, (struct want){.name = "a", .owner = 1, .hold_max_ms = 1});
    pass(f, TTL - 1);
    struct msg_resume wrong = {.secret = slice_make("secret-number-02", 16)};
    struct msg_resume right = {.secret = slice_make("secret-number-01", 16)};
    assert_int_equal(call(f, OP_CODE_RESUME, s, 0, &wrong)->status, HF_ESECRET);
    const struct answer *answer = call(f, OP_CODE_RESUME, s, 0, &right);
    assert_int_equal(answer->status, HF_OK);
    struct msg_keep_reply reply;
    read_body(f, OP_CODE_RESUME, answer, &reply);
    const struct lost_item *lost = reply.lost.items;
    assert_int_equal(reply.ttl_ms, TTL);
    assert_int_equal(reply.lost.count, 1);
    assert_int_equal(lost->fencing_token, token);
    pass(f, TTL - 1);
    assert_int_equal(call(f, OP_CODE_RESUME, s, 0, &wrong)->status, HF_ESECRET);
    pass(f, 1);
    assert_int_equal(call(f, OP_CODE_RESUME, s, 0, &wrong)->status, HF_ESECRET);
    assert_int_equal(call(f, OP_CODE_RESUME, s, 0, &right)->status, HF_ESESSION);
}

/* The expired session's reply table stays readable: stored replies, no longer standing; what is not
 * in it was never applied. */
static void test_a_tombstone_still_answers_stored_replies(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    const struct answer *answer = acquire(f, s, 1, A1);
    assert_int_equal(answer->flags, REPLY_REPEATED | REPLY_STANDS);
    pass(f, TTL);
    answer = acquire(f, s, 1, A1);
    assert_int_equal(answer->status, HF_OK);
    assert_int_equal(answer->flags, REPLY_REPEATED);
    assert_int_equal(granted_token(f, answer), token);
    assert_int_equal(acquire(f, s, 2, A1)->status, HF_ESESSION);
    answer = cancel(f, s, 1);
    struct msg_cancel_reply reply;
    read_body(f, OP_CODE_CANCEL, answer, &reply);
    assert_int_equal(reply.status, HF_OK);
    assert_int_equal(reply.stands, 0);
    assert_int_equal(cancel(f, s, 2)->status, HF_ESESSION);
}

/* One sweep: a session's waiters leave before its grants end, and nobody who expires in the same
 * sweep is granted anything. */
static void test_nothing_is_granted_to_one_that_the_same_sweep_expires(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", TTL);
    uint64_t u = open_session(f, "u", 10 * TTL);
    acquire_ok(f, s, 1, A1);
    struct want wait2 = {.name = "a", .owner = 2, .wait_ms = 60000};
    assert_int_equal(acquire(f, t, 1, wait2)->kind, ANSWER_PARKED); /* expires, too */
    struct want wait3 = {.name = "a", .owner = 3, .wait_ms = TTL};
    assert_int_equal(acquire(f, u, 1, wait3)->kind, ANSWER_PARKED); /* its wait is over */
    assert_int_equal(acquire(f, u, 2, wait2)->kind, ANSWER_PARKED);
    pass(f, TTL);
    assert_int_equal(find_woken(f, t, 1)->status, HF_ESESSION);
    assert_int_equal(find_woken(f, u, 1)->status, HF_EWAITTIMEOUT);
    granted_token(f, find_woken(f, u, 2));
    assert_int_equal(holders_of(f, "a"), 1);
}

/* A sweep touches at most max(1,000, 2 x ops) rows, a session always whole; the next goes on. */
static void test_a_sweep_is_bounded_and_goes_on(void **state)
{
    struct fixture *f = *state;
    f->unchecked = true;
    char name[16];
    for (unsigned i = 0; i < 1500; i++) {
        snprintf(name, sizeof name, "s%u", i);
        open_session(f, name, TTL);
    }
    f->unchecked = false;
    f->now_ms += TTL;
    struct machine_counts counts;
    apply_entry(f);
    machine_count(f->m, &counts);
    assert_int_equal(counts.session_count, 500);
    assert_true(machine_next_deadline_ms(f->m) <= f->now_ms);
    apply_entry(f);
    machine_count(f->m, &counts);
    assert_int_equal(counts.session_count, 0);
    assert_true(machine_next_deadline_ms(f->m) > f->now_ms);
}

/* A KEEP moves no deadline row: the sweep finds the row due and moves it. */
static void test_a_deadline_row_is_a_lower_bound(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t first_ms = machine_next_deadline_ms(f->m);
    assert_int_equal(first_ms, f->now_ms + TTL);
    f->now_ms += TTL / 2;
    assert_int_equal(keep(f, s), HF_OK);
    assert_int_equal(machine_next_deadline_ms(f->m), first_ms);
    pass(f, TTL / 2);
    assert_int_equal(machine_next_deadline_ms(f->m), first_ms + TTL / 2);
    pass(f, TTL / 2);
    assert_int_equal(keep(f, s), HF_ESESSION);
    pass(f, SESSION_TOMBSTONE_MS);
    assert_int_equal(machine_next_deadline_ms(f->m), UINT64_MAX); /* nothing to wake for */
}

/* The session list shows the living and the tombstones, page by page. */
static void test_session_list_shows_living_and_ended(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", 2 * TTL);
    pass(f, TTL);
    acquire_ok(f, t, 1, A1);
    struct msg_session_list request = {.count_max = 1};
    struct msg_session_list_reply reply;
    read_ok(f, OP_CODE_SESSION_LIST, &request, 0, &reply);
    const struct session_line *line = reply.sessions.items;
    assert_int_equal(line->session, s);
    assert_int_equal(line->ended, END_EXPIRED);
    assert_int_equal(reply.cursor, s);
    request.cursor = reply.cursor;
    read_ok(f, OP_CODE_SESSION_LIST, &request, 100, &reply);
    line = reply.sessions.items;
    assert_int_equal(line->session, t);
    assert_int_equal(line->ended, 0);
    assert_int_equal(line->grant_count, 1);
    assert_int_equal(line->left_ms, 2 * TTL - 100);
    assert_int_equal(reply.cursor, 0);
}

/* The door's questions. */
static void test_peek_tells_life_and_unacknowledged_replies(void **state)
{
    struct fixture *f = *state;
    uint32_t count, bytes;
    assert_int_equal(machine_session_peek(f->m, 77, &count, &bytes), HF_ESESSIONUNKNOWN);
    uint64_t s = open_session(f, "s", TTL);
    acquire_ok(f, s, 1, A1);
    assert_int_equal(acquire(f, s, 2, A2_WAIT)->kind, ANSWER_PARKED); /* does not count */
    assert_int_equal(machine_session_peek(f->m, s, &count, &bytes), HF_OK);
    assert_int_equal(count, 1);
    assert_true(bytes > 0 && bytes < 100);
    pass(f, TTL);
    assert_int_equal(machine_session_peek(f->m, s, &count, &bytes), HF_ESESSION);
}

/* What no door lets through, and what does not read back, is a fault. */
static void test_an_op_that_no_door_accepts_is_a_fault(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct slice names[2] = {slice_of("b"), slice_of("a")};
    struct msg_acquire unsorted = {.names = {names, 2}, .owner = 1};
    struct envelope envelope = {.session = s, .seq = 1};
    add_op(f, OP_CODE_ACQUIRE, &envelope, &unsorted);
    entry_close(&f->entry, 0, f->now_ms, 0);
    assert_int_equal(machine_apply(f->m, buffer_slice(&f->entry), NULL), HF_ECORRUPT);
    put_u16(f->entry.data, ENTRY_VERSION + 1);
    assert_int_equal(machine_apply(f->m, buffer_slice(&f->entry), NULL), HF_EVERSION);
}

/* A store with rows and no meta row is not ours; a newer program's row stops us. */
static void test_open_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    struct store *store;
    struct machine *m;
    assert_int_equal(store_memory_open(&store), HF_OK);
    assert_int_equal(store_put(store, 7, slice_of("a"), slice_of("b")), HF_OK);
    assert_int_equal(machine_open(store, &m), HF_ECORRUPT);
    static const uint8_t newer[] = {0x91, 0x7f}; /* an array that begins with version 127 */
    assert_int_equal(store_put(store, 0, slice_of("meta"), slice_make(newer, sizeof newer)), HF_OK);
    assert_int_equal(machine_open(store, &m), HF_EVERSION);
    store_close(store);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(test_open_is_repeatable_by_its_secret),
        SESSION_TEST(test_a_session_lives_ttl_from_its_last_renewal),
        SESSION_TEST(test_expired_means_swept),
        SESSION_TEST(test_time_never_goes_back),
        SESSION_TEST(test_a_tombstone_says_why_then_goes),
        SESSION_TEST(test_close_gives_everything_back),
        SESSION_TEST(test_resume_proves_its_secret_and_renews),
        SESSION_TEST(test_a_tombstone_still_answers_stored_replies),
        SESSION_TEST(test_nothing_is_granted_to_one_that_the_same_sweep_expires),
        SESSION_TEST(test_a_sweep_is_bounded_and_goes_on),
        SESSION_TEST(test_a_deadline_row_is_a_lower_bound),
        SESSION_TEST(test_session_list_shows_living_and_ended),
        SESSION_TEST(test_peek_tells_life_and_unacknowledged_replies),
        SESSION_TEST(test_an_op_that_no_door_accepts_is_a_fault),
        cmocka_unit_test(test_open_refuses_what_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
