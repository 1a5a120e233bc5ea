/* Locks, line by line of docs/contract.md, section 4, and of its corner cases. */
#include <stdio.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

#define TTL 10000

static const struct want A1 = {.name = "a", .owner = 1};
static const struct want A2 = {.name = "a", .owner = 2};
static const struct want A2_WAIT = {.name = "a", .owner = 2, .wait_ms = 60000};

/* A free lock is granted at once, and another owner is told who holds it, and for how long. */
static void test_a_held_lock_is_busy_for_another_session(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    f->now_ms += 1000;
    const struct answer *answer = acquire(f, t, 1, A2);
    assert_int_equal(answer->status, HF_EBUSY);
    struct msg_busy busy;
    read_body(f, OP_CODE_ACQUIRE, answer, &busy);
    const struct holder *holder = busy.holders.items;
    assert_int_equal(busy.holders.count, 1);
    assert_int_equal(holder->fencing_token, token);
    assert_int_equal(holder->session, s);
    assert_int_equal(holder->owner, 1);
    assert_int_equal(busy.lease_left_ms, TTL - 1000);
    assert_int_equal(busy.queue_length, 0);
}

/* Tokens rise strictly over all names, and a lock's row that went does not start them again. */
static void test_tokens_rise_over_names_and_deletions(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t last = 0;
    for (uint64_t i = 0; i < 6; i++) {
        struct want want = {.name = i % 2 == 0 ? "a" : "b", .owner = 1};
        uint64_t token = acquire_ok(f, s, 2 * i + 1, want);
        assert_true(token > last);
        assert_true(token < TOKEN_END);
        last = token;
        assert_int_equal(release(f, s, 2 * i + 2, want.name, token, 1), HF_OK);
        struct machine_counts counts;
        machine_count(f->m, &counts);
        assert_int_equal(counts.lock_count, 0);
    }
}

/* Two owners of one session exclude each other like strangers. */
static void test_two_owners_of_a_session_exclude_each_other(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    assert_int_equal(acquire(f, s, 2, A2)->status, HF_EBUSY);
    assert_int_equal(acquire(f, s, 3, A2_WAIT)->kind, ANSWER_PARKED);
    assert_int_equal(release(f, s, 4, "a", token, 1), HF_OK);
    assert_true(granted_token(f, find_woken(f, s, 3)) > token);
}

/* The same owner again: ALREADY_HELD with the token; reentrant: counted under the same token. */
static void test_reentrance_counts_and_release_counts_down(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want again = {.name = "a", .owner = 1, .reentrant = 1, .wait_ms = 1000};
    uint64_t token = acquire_ok(f, s, 1, A1);
    const struct answer *answer = acquire(f, s, 2, A1);
    assert_int_equal(answer->status, HF_EALREADY);
    struct msg_already already;
    read_body(f, OP_CODE_ACQUIRE, answer, &already);
    assert_int_equal(already.fencing_token, token);
    assert_int_equal(already.names.count, 1);

    struct msg_granted granted;
    answer = acquire(f, s, 3, again);
    read_body(f, OP_CODE_ACQUIRE, answer, &granted);
    assert_int_equal(granted.fencing_token, token);
    assert_int_equal(granted.count, 2);
    again.mode = MODE_SHARED; /* another mode is another wish */
    assert_int_equal(acquire(f, s, 4, again)->status, HF_EALREADY);

    struct msg_release request = {.fencing_token = token, .owner = 1};
    struct msg_release_reply reply;
    answer = call(f, OP_CODE_RELEASE, s, 5, &request);
    assert_int_equal(answer->status, HF_OK);
    read_body(f, OP_CODE_RELEASE, answer, &reply);
    assert_int_equal(reply.count_left, 1);
    assert_int_equal(holders_of(f, "a"), 1);
    assert_int_equal(release(f, s, 6, "a", token, 1), HF_OK);
    assert_int_equal(holders_of(f, "a"), 0);
}

/* 65,535 acquisitions of one grant at most; the one that is refused changes nothing. */
static void test_reentrance_is_bounded(void **state)
{
    struct fixture *f = *state;
    f->unchecked = true;
    uint64_t s = open_session(f, "s", 3600000);
    struct want again = {.name = "a", .owner = 1, .reentrant = 1};
    uint64_t token = acquire_ok(f, s, 1, again);
    for (uint64_t i = 2; i <= REENTRANCE_MAX; i++) {
        add_acquire(f, s, i, again);
        if (i % 512 == 0) apply_entry(f);
    }
    apply_entry(f);
    struct msg_info_reply info = info_of(f, "a");
    assert_int_equal(info.holders.count, 1);
    assert_int_equal(((const struct holder_info *)info.holders.items)->count, REENTRANCE_MAX);
    assert_int_equal(acquire(f, s, REENTRANCE_MAX + 1, again)->status, HF_EQUOTA);
    assert_int_equal(release(f, s, REENTRANCE_MAX + 2, "a", token, 1), HF_OK);
    assert_int_equal(acquire(f, s, REENTRANCE_MAX + 3, again)->status, HF_OK);
}

/* A release by the wrong owner or session, of an old token, of a free lock or of a token that was
 * never issued has no effect and is no success. */
static void test_a_release_that_is_not_the_owners_has_no_effect(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", TTL);
    uint64_t old = acquire_ok(f, s, 1, A1);
    assert_int_equal(release(f, s, 2, "a", old, 1), HF_OK);
    assert_int_equal(release(f, s, 3, "a", old, 1), HF_ENOTHELD);
    uint64_t token = acquire_ok(f, s, 4, A1);
    assert_int_equal(release(f, s, 5, "a", token, 2), HF_ENOTOWNER);
    assert_int_equal(release(f, t, 1, "a", token, 1), HF_ENOTOWNER);
    assert_int_equal(release(f, s, 6, "a", old, 1), HF_ESTALE);
    assert_int_equal(release(f, s, 7, NULL, old, 1), HF_ENOTHELD);
    assert_int_equal(release(f, s, 8, "b", token, 1), HF_ENOTHELD);
    assert_int_equal(release(f, s, 9, "a", token + 1, 1), HF_EBADREQUEST);
    assert_int_equal(abandon(f, t, token), HF_ENOTOWNER);
    assert_int_equal(abandon(f, s, token + 1), HF_EBADREQUEST);
    assert_int_equal(holders_of(f, "a"), 1);
    assert_int_equal(release(f, s, 10, NULL, token, 1), HF_OK);
}

/* Waiters are granted in the order in which they came, inside the op that frees the lock. */
static void test_waiters_are_served_first_in_first_out(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    for (uint64_t i = 2; i <= 5; i++) {
        struct want want = {.name = "a", .owner = i, .wait_ms = 60000};
        assert_int_equal(acquire(f, s, i, want)->kind, ANSWER_PARKED);
    }
    assert_int_equal(queue_of(f, "a"), 4);
    for (uint64_t i = 2; i <= 5; i++) {
        assert_int_equal(release(f, s, 10 + i, "a", token, i - 1), HF_OK);
        uint64_t next = granted_token(f, find_woken(f, s, i));
        assert_true(next > token);
        token = next;
        assert_int_equal(f->answer_count, 2); /* one waiter, no herd */
    }
    assert_int_equal(queue_of(f, "a"), 0);
}

/* Who asks without waiting does not overtake those who wait. */
static void test_nobody_passes_an_older_waiter(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want read1 = {.name = "a", .owner = 1, .mode = MODE_SHARED};
    struct want write2 = {.name = "a", .owner = 2, .wait_ms = 60000};
    struct want read3 = {.name = "a", .owner = 3, .mode = MODE_SHARED};
    struct want read4 = {.name = "a", .owner = 4, .mode = MODE_SHARED, .wait_ms = 60000};
    uint64_t token = acquire_ok(f, s, 1, read1);
    assert_int_equal(acquire(f, s, 2, write2)->kind, ANSWER_PARKED);
    assert_int_equal(acquire(f, s, 3, read3)->status, HF_EBUSY); /* writers do not starve */
    assert_int_equal(acquire(f, s, 4, read4)->kind, ANSWER_PARKED);
    assert_int_equal(release(f, s, 5, "a", token, 1), HF_OK);
    assert_non_null(find_woken(f, s, 2));
    assert_null(find_woken(f, s, 4));
}

/* SHARED ones at the head go together; an EXCLUSIVE one that gives up lets those behind it in. */
static void test_shared_waiters_at_the_head_are_granted_together(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    for (uint64_t i = 2; i <= 6; i++) {
        struct want want = {.name = "a", .owner = i, .mode = MODE_SHARED, .wait_ms = 60000};
        if (i == 4) want.mode = MODE_EXCLUSIVE;
        assert_int_equal(acquire(f, s, i, want)->kind, ANSWER_PARKED);
    }
    assert_int_equal(release(f, s, 7, "a", token, 1), HF_OK);
    assert_non_null(find_woken(f, s, 2));
    assert_non_null(find_woken(f, s, 3));
    assert_null(find_woken(f, s, 4));
    assert_int_equal(holders_of(f, "a"), 2);
    assert_int_equal(cancel(f, s, 4)->status, HF_OK);
    assert_non_null(find_woken(f, s, 5));
    assert_non_null(find_woken(f, s, 6));
    assert_int_equal(holders_of(f, "a"), 4);
}

/* A wait ends by cluster time, exactly once: time-out or grant, never both. */
static void test_a_wait_ends_once_by_time_or_by_grant(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", 3600000);
    uint64_t token = acquire_ok(f, s, 1, A1);
    assert_int_equal(acquire(f, s, 2, A2_WAIT)->kind, ANSWER_PARKED);
    pass(f, 59999);
    assert_null(find_woken(f, s, 2));
    pass(f, 1);
    assert_int_equal(find_woken(f, s, 2)->status, HF_EWAITTIMEOUT);
    assert_int_equal(release(f, s, 3, "a", token, 1), HF_OK);
    assert_null(find_woken(f, s, 2));
    assert_int_equal(holders_of(f, "a"), 0);
    const struct answer *again = acquire(f, s, 2, A2_WAIT);
    assert_int_equal(again->status, HF_EWAITTIMEOUT);
    assert_int_equal(again->flags, REPLY_REPEATED);
}

/* An owner waits for one ACQUIRE at a time; another owner of the session may wait meanwhile. */
static void test_an_owner_waits_once(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    acquire_ok(f, s, 1, A1);
    assert_int_equal(acquire(f, s, 2, A2_WAIT)->kind, ANSWER_PARKED);
    struct want other = {.name = "b", .owner = 2};
    assert_int_equal(acquire(f, s, 3, other)->status, HF_EOWNERWAITING);
    other.owner = 3;
    acquire_ok(f, s, 4, other);
    assert_int_equal(cancel(f, s, 2)->status, HF_OK);
    other.name = "c";
    other.owner = 2;
    acquire_ok(f, s, 5, other);
}

/* hold_max ends a grant whose session lives; KEEP tells it until it is acknowledged. */
static void test_hold_max_is_a_loss_that_keep_tells(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", 3600000);
    struct want want = {.name = "a", .owner = 1, .hold_max_ms = 5000};
    uint64_t token = acquire_ok(f, s, 1, want);
    assert_int_equal(acquire(f, s, 2, A2_WAIT)->kind, ANSWER_PARKED);
    f->now_ms += 2000;
    struct msg_keep none = {0};
    struct msg_keep_reply reply;
    read_body(f, OP_CODE_KEEP, call(f, OP_CODE_KEEP, s, 0, &none), &reply);
    const struct left_item *hold = reply.holds.items;
    assert_int_equal(reply.holds.count, 1);
    assert_int_equal(hold->fencing_token, token);
    assert_int_equal(hold->left_ms, 3000);
    assert_int_equal(reply.lost.count, 0);

    pass(f, 3000);
    assert_true(granted_token(f, find_woken(f, s, 2)) > token);
    read_body(f, OP_CODE_KEEP, call(f, OP_CODE_KEEP, s, 0, &none), &reply);
    const struct lost_item *lost = reply.lost.items;
    assert_int_equal(reply.lost.count, 1);
    assert_int_equal(lost->fencing_token, token);
    assert_int_equal(lost->reason, END_HOLD_MAX);
    assert_int_equal(lost->at_ms, f->now_ms);
    assert_int_equal(reply.holds.count, 0);
    struct msg_keep acked = {.losses_acked = {&token, 1}};
    read_body(f, OP_CODE_KEEP, call(f, OP_CODE_KEEP, s, 0, &acked), &reply);
    assert_int_equal(reply.lost.count, 0);
    assert_int_equal(release(f, s, 3, "a", token, 1), HF_ESTALE);
}

/* More than 64 losses: as many as there is room for, and a flag that says so. */
static void test_more_losses_than_one_keep_tells_raise_the_flag(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", 3600000);
    uint64_t tokens[LOSSES_MAX + 6];
    char names[LOSSES_MAX + 6][8];
    for (uint64_t i = 0; i < LOSSES_MAX + 6; i++) {
        snprintf(names[i], sizeof names[i], "n%u", (unsigned)i);
        struct want want = {.name = names[i], .owner = 1, .hold_max_ms = 1000};
        tokens[i] = acquire_ok(f, s, i + 1, want);
    }
    pass(f, 1000);
    struct msg_keep none = {0};
    struct msg_keep_reply reply;
    read_body(f, OP_CODE_KEEP, call(f, OP_CODE_KEEP, s, 0, &none), &reply);
    assert_int_equal(reply.lost.count, LOSSES_MAX);
    assert_int_equal(reply.more, 1);
    struct msg_keep acked = {.losses_acked = {tokens, LOSSES_MAX}};
    read_body(f, OP_CODE_KEEP, call(f, OP_CODE_KEEP, s, 0, &acked), &reply);
    assert_int_equal(reply.lost.count, 6);
    assert_int_equal(reply.more, 0);
}

/* NOT_HELD says why and when, to the session that lost it, and by the lock's row to others. */
static void test_not_held_says_why_and_when(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", 3600000);
    uint64_t t = open_session(f, "t", 3600000);
    struct want want = {.name = "a", .owner = 1, .hold_max_ms = 1000};
    uint64_t token = acquire_ok(f, s, 1, want);
    pass(f, 1000);
    uint64_t lost_at_ms = f->now_ms;
    f->now_ms += 500;
    for (uint64_t i = 0; i < 2; i++) { /* from its own loss, then from the lock's row */
        struct msg_release request = {.name = slice_of("a"), .fencing_token = token, .owner = 1};
        struct msg_ended ended;
        const struct answer *answer = call(f, OP_CODE_RELEASE, i == 0 ? s : t, 2 + i, &request);
        assert_int_equal(answer->status, HF_ENOTHELD);
        read_body(f, OP_CODE_RELEASE, answer, &ended);
        assert_int_equal(ended.reason, END_HOLD_MAX);
        assert_int_equal(ended.at_ms, lost_at_ms);
    }
    struct machine_counts counts;
    machine_count(f->m, &counts);
    assert_int_equal(counts.lock_count, 1);
    pass(f, LOST_LOCK_KEPT_MS);
    machine_count(f->m, &counts);
    assert_int_equal(counts.lock_count, 0); /* kept for 10 minutes, then gone */
}

/* ABANDON is a release that counts as involuntary: lock-delay keeps the next one out, its queue is
 * served when the delay ends; a second ABANDON changes nothing. */
static void test_lock_delay_follows_an_involuntary_loss(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", 3600000);
    struct want want = {.name = "a", .owner = 1, .delay_ms = 2000};
    uint64_t token = acquire_ok(f, s, 1, want);
    assert_int_equal(abandon(f, s, token), HF_OK);
    assert_int_equal(abandon(f, s, token), HF_ENOTHELD);
    f->now_ms += 500;
    const struct answer *answer = acquire(f, s, 2, A2);
    assert_int_equal(answer->status, HF_EDELAYED);
    struct msg_delayed delayed;
    read_body(f, OP_CODE_ACQUIRE, answer, &delayed);
    assert_int_equal(delayed.left_ms, 1500);
    assert_int_equal(acquire(f, s, 3, A2_WAIT)->kind, ANSWER_PARKED);
    pass(f, 1499);
    assert_null(find_woken(f, s, 3));
    pass(f, 1);
    token = granted_token(f, find_woken(f, s, 3));
    assert_int_equal(release(f, s, 4, "a", token, 2), HF_OK); /* voluntary: no delay */
    acquire_ok(f, s, 5, A1);
}

/* After a SHARED one with lock-delay was lost, others may share but nobody may exclude. */
static void test_a_shared_loss_delays_only_exclusive_ones(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", 3600000);
    struct want read1 = {.name = "a", .owner = 1, .mode = MODE_SHARED, .delay_ms = 2000};
    struct want read2 = {.name = "a", .owner = 2, .mode = MODE_SHARED};
    struct want write3 = {.name = "a", .owner = 3};
    uint64_t token = acquire_ok(f, s, 1, read1);
    assert_int_equal(abandon(f, s, token), HF_OK);
    token = acquire_ok(f, s, 2, read2);
    assert_int_equal(acquire(f, s, 3, write3)->status, HF_EBUSY);
    assert_int_equal(release(f, s, 4, "a", token, 2), HF_OK);
    assert_int_equal(acquire(f, s, 5, write3)->status, HF_EDELAYED);
    pass(f, 2000);
    acquire_ok(f, s, 6, write3);
}

/* CHECK: this very grant, another one, or nobody; what is left subtracts the time since. */
static void test_check_tells_valid_stale_and_free(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want want = {.name = "a", .owner = 1, .hold_max_ms = 4000};
    uint64_t old = acquire_ok(f, s, 1, A1);
    assert_int_equal(release(f, s, 2, "a", old, 1), HF_OK);
    struct msg_check check = {.name = slice_of("a"), .fencing_token = old};
    struct msg_check_reply reply;
    read_ok(f, OP_CODE_CHECK, &check, 0, &reply);
    assert_int_equal(reply.verdict, CHECK_FREE);
    uint64_t token = acquire_ok(f, s, 3, want);
    read_ok(f, OP_CODE_CHECK, &check, 0, &reply);
    assert_int_equal(reply.verdict, CHECK_STALE);
    check.fencing_token = token;
    read_ok(f, OP_CODE_CHECK, &check, 300, &reply);
    assert_int_equal(reply.verdict, CHECK_VALID);
    assert_int_equal(reply.lease_left_ms, 3700); /* the hold ends before the session */
    check.name = slice_of("b");
    read_ok(f, OP_CODE_CHECK, &check, 0, &reply);
    assert_int_equal(reply.verdict, CHECK_FREE);
}

/* INFO shows holder and queue as they are; an unknown name is a free lock. */
static void test_info_shows_holder_and_queue(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "first", TTL);
    uint64_t t = open_session(f, "second", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    assert_int_equal(acquire(f, t, 1, A2_WAIT)->kind, ANSWER_PARKED);
    f->now_ms += 1000;
    apply_entry(f);
    struct msg_info request = {.name = slice_of("a")};
    struct msg_info_reply reply;
    read_ok(f, OP_CODE_INFO, &request, 500, &reply);
    const struct holder_info *holder = reply.holders.items;
    const struct waiter_info *waiter = reply.waiters.items;
    assert_int_equal(reply.holders.count, 1);
    assert_int_equal(holder->fencing_token, token);
    assert_int_equal(holder->lease_left_ms, TTL - 1500);
    assert_true(slice_equal(holder->client_name, slice_of("first")));
    assert_true(slice_equal(holder->meta, slice_of("me")));
    assert_int_equal(reply.waiters.count, 1);
    assert_int_equal(waiter->session, t);
    assert_int_equal(waiter->wait_left_ms, 60000 - 1500);
    assert_true(slice_equal(waiter->client_name, slice_of("second")));
    assert_int_equal(holders_of(f, "nobody's"), 0);
}

/* LIST pages by prefix, in byte order, and each lock is on one page. */
static void test_list_pages_by_prefix(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    static const char *const names[] = {"b/1", "a/1", "a/2", "a", "a/10", "c"};
    for (uint64_t i = 0; i < HF_ARRAY_COUNT(names); i++)
        acquire_ok(f, s, i + 1, (struct want){.name = names[i], .owner = 1});
    static const char *const expected[] = {"a/1", "a/10", "a/2"};
    char cursor[NAME_BYTES_MAX] = "";
    for (size_t i = 0; i < HF_ARRAY_COUNT(expected); i++) {
        struct msg_list request = {
            .prefix = slice_of("a/"), .cursor = slice_of(cursor), .count_max = 1};
        struct msg_list_reply reply;
        read_ok(f, OP_CODE_LIST, &request, 0, &reply);
        assert_int_equal(reply.locks.count, 1);
        const struct lock_line *line = reply.locks.items;
        assert_true(slice_equal(line->name, slice_of(expected[i])));
        assert_int_equal(line->holder_count, 1);
        assert_true(slice_equal(line->client_name, slice_of("s")));
        memcpy(cursor, reply.cursor.data, reply.cursor.size);
        cursor[reply.cursor.size] = '\0';
    }
    assert_int_equal(cursor[0], '\0');
}

/* A session has at most 4,096 names held or waited for. */
static void test_a_session_has_a_quota_of_names(void **state)
{
    struct fixture *f = *state;
    f->unchecked = true;
    uint64_t s = open_session(f, "s", 3600000);
    char name[16];
    for (uint64_t i = 1; i <= SESSION_NAMES_MAX; i++) {
        snprintf(name, sizeof name, "n%u", (unsigned)i);
        add_acquire(f, s, i, (struct want){.name = name, .owner = 1});
        if (i % 512 == 0) apply_entry(f);
    }
    assert_int_equal(acquire(f, s, 5000, A1)->status, HF_EQUOTA);
    f->unchecked = false;
    pass(f, 3600000); /* a session is always swept whole */
    struct machine_counts counts;
    machine_count(f->m, &counts);
    assert_int_equal(counts.session_count, 0);
}

/* A lock has at most 16,384 waiters; whoever asks then is refused, and nobody else. */
static void test_a_lock_has_a_quota_of_waiters(void **state)
{
    struct fixture *f = *state;
    f->unchecked = true;
    uint64_t holder = open_session(f, "holder", 3600000);
    uint64_t token = acquire_ok(f, holder, 1, A1);
    uint64_t sessions[5];
    char name[16];
    for (unsigned i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "s%u", i);
        sessions[i] = open_session(f, name, 3600000);
    }
    struct want want = {.name = "a", .wait_ms = 3600000};
    for (uint64_t i = 0; i < LOCK_WAITERS_MAX; i++) {
        want.owner = i / 4 + 1;
        add_acquire(f, sessions[i % 4], i / 4 + 1, want);
        if (i % 512 == 511) apply_entry(f);
    }
    assert_int_equal(queue_of(f, "a"), LOCK_WAITERS_MAX);
    want.owner = 1;
    assert_int_equal(acquire(f, sessions[4], 1, want)->status, HF_EQUOTA);
    assert_int_equal(release(f, holder, 2, "a", token, 1), HF_OK); /* the first one's turn */
    assert_int_equal(acquire_status(f, sessions[4], 2, want), ACQUIRE_WAITS);
}

/* At most 1,024 grants a serving; the rest at once, in the next entry. */
static void test_a_serving_is_bounded_and_goes_on(void **state)
{
    struct fixture *f = *state;
    f->unchecked = true;
    uint64_t s = open_session(f, "s", 3600000);
    uint64_t token = acquire_ok(f, s, 1, A1);
    for (uint64_t i = 2; i <= 1501; i++) {
        add_acquire(f, s, i,
                    (struct want){.name = "a", .owner = i, .mode = MODE_SHARED, .wait_ms = 60000});
    }
    apply_entry(f);
    f->unchecked = false;
    assert_int_equal(release(f, s, 2000, "a", token, 1), HF_OK);
    assert_int_equal(holders_of(f, "a"), 1024);
    assert_int_equal(machine_next_deadline_ms(f->m), f->now_ms);
    /* Until then nobody overtakes those who wait. */
    struct want late = {.name = "a", .owner = 3000, .mode = MODE_SHARED};
    add_acquire(f, s, 2001, late);
    apply_entry(f); /* its sweep serves them first */
    assert_int_equal(holders_of(f, "a"), 1501);
    assert_int_equal(queue_of(f, "a"), 0);
}

/* A delay ends while more is due than one sweep may touch. Whoever queues up before its row is
 * swept must not take the row away: the first in the queue would never hear that the lock is free.
 */
static void test_a_delay_that_a_full_sweep_puts_off_still_serves(void **state)
{
    struct fixture *f = *state;
    f->unchecked = true;
    uint64_t a = open_session(f, "a", 3600000);
    uint64_t b = open_session(f, "b", 3600000);
    struct want many = {.mode = MODE_SHARED, .hold_max_ms = 1000};
    for (uint32_t i = 0; i < 1200; i++) { /* due before the delay's end, more than a sweep */
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", i);
        many.name = name;
        many.owner = 100 + i;
        (void)acquire_ok(f, a, i + 1, many);
    }
    struct want delayed = {.name = "l", .owner = 1, .delay_ms = 2000};
    uint64_t token = acquire_ok(f, a, 1201, delayed);
    assert_int_equal(abandon(f, a, token), HF_OK);
    struct want wait = {.name = "l", .owner = 1, .wait_ms = 60000};
    assert_int_equal(acquire(f, b, 1, wait)->kind, ANSWER_PARKED);
    f->now_ms += 2000;
    wait.owner = 2;
    assert_int_equal(acquire(f, b, 2, wait)->kind, ANSWER_PARKED); /* its entry sweeps 1,000 */
    assert_int_equal(holders_of(f, "l"), 0);
    pass(f, 0);
    assert_non_null(find_woken(f, b, 1));
    assert_int_equal(holders_of(f, "l"), 1);
    assert_int_equal(queue_of(f, "l"), 1);
}

#define LOCK_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOCK_TEST(test_a_held_lock_is_busy_for_another_session),
        LOCK_TEST(test_tokens_rise_over_names_and_deletions),
        LOCK_TEST(test_two_owners_of_a_session_exclude_each_other),
        LOCK_TEST(test_reentrance_counts_and_release_counts_down),
        LOCK_TEST(test_reentrance_is_bounded),
        LOCK_TEST(test_a_release_that_is_not_the_owners_has_no_effect),
        LOCK_TEST(test_waiters_are_served_first_in_first_out),
        LOCK_TEST(test_nobody_passes_an_older_waiter),
        LOCK_TEST(test_shared_waiters_at_the_head_are_granted_together),
        LOCK_TEST(test_a_wait_ends_once_by_time_or_by_grant),
        LOCK_TEST(test_an_owner_waits_once),
        LOCK_TEST(test_hold_max_is_a_loss_that_keep_tells),
        LOCK_TEST(test_more_losses_than_one_keep_tells_raise_the_flag),
        LOCK_TEST(test_not_held_says_why_and_when),
        LOCK_TEST(test_lock_delay_follows_an_involuntary_loss),
        LOCK_TEST(test_a_shared_loss_delays_only_exclusive_ones),
        LOCK_TEST(test_check_tells_valid_stale_and_free),
        LOCK_TEST(test_info_shows_holder_and_queue),
        LOCK_TEST(test_list_pages_by_prefix),
        LOCK_TEST(test_a_session_has_a_quota_of_names),
        LOCK_TEST(test_a_lock_has_a_quota_of_waiters),
        LOCK_TEST(test_a_serving_is_bounded_and_goes_on),
        LOCK_TEST(test_a_delay_that_a_full_sweep_puts_off_still_serves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
