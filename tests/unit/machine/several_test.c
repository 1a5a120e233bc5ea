/* Several names at once, line by line of docs/contract.md, section 4: all or nothing, one token,
 * one waiter in each queue, nobody passed in any of them. */
#include <stdio.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

#define TTL 3600000

static const struct want A1 = {.name = "a", .owner = 1};
static const struct want B2 = {.name = "b", .owner = 2};
static const struct want C3 = {.name = "c", .owner = 3};
static const struct want ABC9 = {.name = "a", .also = {"b", "c"}, .owner = 9};
static const struct want ABC9_WAIT = {
    .name = "a", .also = {"b", "c"}, .owner = 9, .wait_ms = 60000};

/* One token for all names; by any of them, or by the token alone, all are released. */
static void test_all_are_granted_under_one_token_and_released_as_one(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    static const char *const by[] = {"a", "b", "c", NULL};
    for (uint64_t i = 0; i < HF_ARRAY_COUNT(by); i++) {
        uint64_t token = acquire_ok(f, s, 10 * i + 1, ABC9);
        for (const char *name = "abc"; *name != '\0'; name++) {
            const char one[2] = {*name, '\0'};
            const struct holder_info *holder = info_of(f, one).holders.items;
            assert_int_equal(holder->fencing_token, token);
        }
        assert_int_equal(acquire_status(f, s, 10 * i + 2, B2), HF_EBUSY);
        assert_int_equal(release(f, s, 10 * i + 3, "d", token, 9), HF_ENOTHELD);
        assert_int_equal(release(f, s, 10 * i + 4, by[i], token, 9), HF_OK);
        assert_int_equal(holders_of(f, "a") + holders_of(f, "b") + holders_of(f, "c"), 0);
    }
    struct machine_counts counts;
    machine_count(f->m, &counts);
    assert_int_equal(counts.lock_count, 0);
}

/* One name that is held keeps all of them back, and nothing is taken meanwhile. */
static void test_one_name_that_is_held_keeps_all_back(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    acquire_ok(f, s, 1, B2);
    const struct answer *answer = acquire(f, s, 2, ABC9);
    assert_int_equal(answer->status, HF_EBUSY);
    struct msg_busy busy;
    read_body(f, OP_CODE_ACQUIRE, answer, &busy); /* of the name that is held */
    const struct holder *holder = busy.holders.items;
    assert_int_equal(busy.holders.count, 1);
    assert_int_equal(holder->owner, 2);
    acquire_ok(f, s, 3, A1);
    acquire_ok(f, s, 4, C3);
}

/* The waiter stands in every queue, passes nobody and is passed by nobody, and is granted inside
 * the op that frees the last of its names, whichever that is. */
static void test_a_waiter_is_granted_when_the_last_name_comes_free(void **state)
{
    struct fixture *f = *state;
    static const unsigned orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
    uint64_t s = open_session(f, "s", TTL);
    uint64_t seq = 0;
    for (size_t i = 0; i < HF_ARRAY_COUNT(orders); i++) {
        const struct want held[] = {A1, B2, C3};
        uint64_t tokens[3];
        for (unsigned k = 0; k < 3; k++) tokens[k] = acquire_ok(f, s, ++seq, held[k]);
        uint64_t waits = ++seq;
        assert_int_equal(acquire_status(f, s, waits, ABC9_WAIT), ACQUIRE_WAITS);
        for (unsigned k = 0; k < 3; k++) {
            unsigned at = orders[i][k];
            assert_null(find_woken(f, s, waits));
            assert_int_equal(release(f, s, ++seq, held[at].name, tokens[at], held[at].owner),
                             HF_OK);
            if (k == 2) break;
            /* It is free now, and nobody passes the one who waits for it and for others. */
            struct want late = {.name = held[at].name, .owner = 50};
            assert_int_equal(acquire_status(f, s, ++seq, late), HF_EBUSY);
        }
        uint64_t token = granted_token(f, find_woken(f, s, waits));
        assert_int_equal(queue_of(f, "a") + queue_of(f, "b") + queue_of(f, "c"), 0);
        assert_int_equal(release(f, s, ++seq, NULL, token, 9), HF_OK);
    }
}

/* An older waiter of one of the names is served first, though all names are free for the other. */
static void test_no_older_waiter_is_passed_in_any_name(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t a = acquire_ok(f, s, 1, A1);
    struct want older = {.name = "a", .also = {"d"}, .owner = 5, .wait_ms = 60000};
    struct want younger = {.name = "c", .also = {"d"}, .owner = 6, .wait_ms = 60000};
    struct want last = {.name = "c", .owner = 7, .wait_ms = 60000};
    assert_int_equal(acquire_status(f, s, 2, older), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 3, younger), ACQUIRE_WAITS); /* c and d are free */
    assert_int_equal(acquire_status(f, s, 4, last), ACQUIRE_WAITS);    /* behind the one before */
    assert_int_equal(release(f, s, 5, "a", a, 1), HF_OK);
    uint64_t token = granted_token(f, find_woken(f, s, 2));
    assert_null(find_woken(f, s, 3));
    assert_int_equal(release(f, s, 6, "d", token, 5), HF_OK);
    assert_non_null(find_woken(f, s, 3));
    assert_null(find_woken(f, s, 4));
}

/* A waiter that leaves, by CANCEL, time or its session's end, frees the way in all its names. */
static void test_a_waiter_that_leaves_frees_the_way_in_all_its_names(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    acquire_ok(f, s, 1, B2);
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t t = open_session(f, i == 0 ? "t0" : i == 1 ? "t1" : "t2", 10000);
        uint64_t seq = 100 * (i + 1);
        struct want want = ABC9_WAIT;
        want.wait_ms = i == 1 ? 5000 : 60000;
        assert_int_equal(acquire_status(f, t, 1, want), ACQUIRE_WAITS);
        struct want for_a = {.name = "a", .owner = 10, .wait_ms = 60000};
        struct want for_c = {.name = "c", .owner = 11, .wait_ms = 60000};
        assert_int_equal(acquire_status(f, s, seq, for_a), ACQUIRE_WAITS);
        assert_int_equal(acquire_status(f, s, seq + 1, for_c), ACQUIRE_WAITS);
        if (i == 0) assert_int_equal(cancel(f, t, 1)->status, HF_OK);
        if (i == 1) pass(f, 5000);
        if (i == 2) assert_int_equal(close_session(f, t, 2), HF_OK);
        uint64_t a = granted_token(f, find_woken(f, s, seq));
        uint64_t c = granted_token(f, find_woken(f, s, seq + 1));
        assert_int_equal(release(f, s, seq + 2, "a", a, 10), HF_OK);
        assert_int_equal(release(f, s, seq + 3, "c", c, 11), HF_OK);
    }
}

/* A SHARED head of several names that is granted lets those behind it in, in each of its names. */
static void test_those_behind_it_in_other_names_come_next(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    struct want both = {
        .name = "a", .also = {"b"}, .owner = 5, .mode = MODE_SHARED, .wait_ms = 60000};
    struct want behind = {.name = "b", .owner = 6, .mode = MODE_SHARED, .wait_ms = 60000};
    struct want writer = {.name = "b", .owner = 7, .wait_ms = 60000};
    assert_int_equal(acquire_status(f, s, 2, both), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 3, behind), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 4, writer), ACQUIRE_WAITS);
    assert_int_equal(release(f, s, 5, "a", token, 1), HF_OK);
    assert_non_null(find_woken(f, s, 2));
    assert_non_null(find_woken(f, s, 3));
    assert_null(find_woken(f, s, 4));
}

/* An owner that holds some of the names is told which; only the very same set is reentrant. */
static void test_an_owner_that_holds_some_is_told_which(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want two = {.name = "b", .also = {"c"}, .owner = 9};
    uint64_t token = acquire_ok(f, s, 1, two);
    struct want again = ABC9_WAIT;
    again.reentrant = 1;
    const struct answer *answer = acquire(f, s, 2, again);
    assert_int_equal(answer->status, HF_EALREADY);
    struct msg_already already;
    read_body(f, OP_CODE_ACQUIRE, answer, &already);
    assert_int_equal(already.fencing_token, token);
    assert_int_equal(already.names.count, 2);
    assert_true(slice_equal(already.names.items[0], slice_of("b")));
    assert_true(slice_equal(already.names.items[1], slice_of("c")));
    assert_int_equal(queue_of(f, "a"), 0);
    struct want part = {.name = "c", .owner = 9, .reentrant = 1};
    assert_int_equal(acquire_status(f, s, 3, part), HF_EALREADY);
    two.reentrant = 1;
    assert_int_equal(acquire_ok(f, s, 4, two), token);
    struct msg_release request = {.name = slice_of("c"), .fencing_token = token, .owner = 9};
    struct msg_release_reply reply;
    read_body(f, OP_CODE_RELEASE, call(f, OP_CODE_RELEASE, s, 5, &request), &reply);
    assert_int_equal(reply.count_left, 1);
}

/* Of 32 long names ALREADY_HELD shows as many as a stored reply holds; a retry gets the same. */
static void test_already_held_shows_as_many_names_as_fit(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint8_t bytes[NAMES_MAX][NAME_BYTES_MAX];
    struct slice names[NAMES_MAX];
    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        memset(bytes[i], 'n', sizeof bytes[i]);
        bytes[i][0] = (uint8_t)('0' + i);
        names[i] = slice_make(bytes[i], sizeof bytes[i]);
    }
    struct msg_acquire request = {.names = {names, NAMES_MAX}, .owner = 1};
    uint64_t token = granted_token(f, call(f, OP_CODE_ACQUIRE, s, 1, &request));
    for (int i = 0; i < 2; i++) {
        const struct answer *answer = call(f, OP_CODE_ACQUIRE, s, 2, &request);
        assert_int_equal(answer->status, HF_EALREADY);
        assert_true(answer->body.size <= REPLY_STORED_BYTES_MAX);
        struct msg_already already;
        read_body(f, OP_CODE_ACQUIRE, answer, &already);
        assert_int_equal(already.names.count, 3);
        assert_int_equal(already.fencing_token, token);
    }
}

/* All are lost together: each is delayed for the others, and a delay in one of them blocks all. */
static void test_all_are_lost_together_and_a_delay_blocks_all(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", 10000);
    struct want want = {.name = "a", .also = {"b"}, .owner = 1, .delay_ms = 3000};
    uint64_t token = acquire_ok(f, t, 1, want);
    pass(f, 10000);
    assert_int_equal(info_of(f, "a").last_reason, END_EXPIRED);
    assert_int_equal(info_of(f, "b").last_reason, END_EXPIRED);
    struct want late = {.name = "b", .also = {"c"}, .owner = 2, .delay_ms = 5000};
    const struct answer *answer = acquire(f, s, 1, late);
    assert_int_equal(answer->status, HF_EDELAYED);
    struct msg_delayed told;
    read_body(f, OP_CODE_ACQUIRE, answer, &told);
    assert_int_equal(told.left_ms, 3000);
    assert_int_equal(release(f, s, 2, "b", token, 1), HF_ENOTHELD);
    late.wait_ms = 60000;
    assert_int_equal(acquire_status(f, s, 3, late), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 4, C3), HF_EBUSY); /* it is waited for */
    pass(f, 3000);
    token = granted_token(f, find_woken(f, s, 3));
    assert_int_equal(abandon(f, s, token), HF_OK);
    assert_int_equal(acquire_status(f, s, 5, C3), HF_EDELAYED);
    assert_int_equal(acquire_status(f, s, 6, B2), HF_EDELAYED);
}

/* hold_max ends all names, and the session is told of one loss. */
static void test_hold_max_ends_all_names_as_one_loss(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want want = ABC9;
    want.hold_max_ms = 1000;
    acquire_ok(f, s, 1, want);
    pass(f, 1000);
    struct msg_keep none = {0};
    struct msg_keep_reply reply;
    read_body(f, OP_CODE_KEEP, call(f, OP_CODE_KEEP, s, 0, &none), &reply);
    assert_int_equal(reply.lost.count, 1);
    assert_int_equal(holders_of(f, "a") + holders_of(f, "b") + holders_of(f, "c"), 0);
}

/* A limit that does not fit in one name refuses all, and leaves no trace in the others. */
static void test_a_limit_that_does_not_fit_refuses_all(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    acquire_ok(f, s, 1, (struct want){.name = "b", .owner = 1, .mode = MODE_SHARED});
    struct want want = ABC9_WAIT;
    want.mode = MODE_PERMITS;
    want.permits = 1;
    want.limit = 2;
    assert_int_equal(acquire_status(f, s, 2, want), HF_ELIMIT);
    acquire_ok(f, s, 3, (struct want){.name = "a", .owner = 1, .mode = MODE_SHARED});
}

/* A session's quota counts names, held or waited for. */
static void test_the_quota_counts_names(void **state)
{
    struct fixture *f = *state;
    f->unchecked = true;
    uint64_t s = open_session(f, "s", TTL);
    char text[5][16];
    for (uint64_t i = 0; i < SESSION_NAMES_MAX / 4; i++) {
        for (unsigned k = 0; k < 4; k++)
            snprintf(text[k], sizeof text[k], "n%04u/%u", (unsigned)i, k);
        struct want want = {.name = text[0], .also = {text[1], text[2], text[3]}, .owner = 1};
        if (i == SESSION_NAMES_MAX / 4 - 1) { /* 4 are left: 5 are too many */
            snprintf(text[4], sizeof text[4], "z");
            want.also[3] = text[4];
            assert_int_equal(acquire_status(f, s, 5000, want), HF_EQUOTA);
            want.also[3] = NULL;
        }
        acquire_ok(f, s, i + 1, want);
    }
    assert_int_equal(acquire_status(f, s, 5001, A1), HF_EQUOTA);
    struct msg_session_list request = {.count_max = 1};
    struct msg_session_list_reply list;
    read_ok(f, OP_CODE_SESSION_LIST, &request, 0, &list);
    const struct session_line *line = list.sessions.items;
    assert_int_equal(line->grant_count, SESSION_NAMES_MAX);
    f->unchecked = false;
    pass(f, TTL);
    struct machine_counts counts;
    machine_count(f->m, &counts);
    assert_int_equal(counts.session_count, 0);
}

/* A serving of more names than its limit goes on at once, and nobody is passed until then. */
static void test_a_serving_of_many_names_is_bounded_and_goes_on(void **state)
{
    struct fixture *f = *state;
    f->unchecked = true;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    for (uint64_t i = 2; i <= 501; i++) {
        struct want want = {.name = "a",
                            .also = {"b", "c", "d"},
                            .owner = i,
                            .mode = MODE_SHARED,
                            .wait_ms = 60000};
        add_acquire(f, s, i, want);
    }
    apply_entry(f);
    f->unchecked = false;
    assert_int_equal(release(f, s, 2000, "a", token, 1), HF_OK);
    assert_int_equal(holders_of(f, "d"), 256); /* 1,024 names */
    assert_int_equal(machine_next_deadline_ms(f->m), f->now_ms);
    struct want late = {.name = "d", .owner = 3000, .mode = MODE_SHARED};
    f->flags = ENTRY_HOLDS_SWEEP;
    assert_int_equal(acquire_status(f, s, 2001, late), HF_EBUSY);
    f->flags = 0;
    pass(f, 0);
    assert_int_equal(holders_of(f, "d"), 500);
    assert_int_equal(queue_of(f, "a") + queue_of(f, "b") + queue_of(f, "c"), 0);
}

#define SEVERAL_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEVERAL_TEST(test_all_are_granted_under_one_token_and_released_as_one),
        SEVERAL_TEST(test_one_name_that_is_held_keeps_all_back),
        SEVERAL_TEST(test_a_waiter_is_granted_when_the_last_name_comes_free),
        SEVERAL_TEST(test_no_older_waiter_is_passed_in_any_name),
        SEVERAL_TEST(test_a_waiter_that_leaves_frees_the_way_in_all_its_names),
        SEVERAL_TEST(test_those_behind_it_in_other_names_come_next),
        SEVERAL_TEST(test_an_owner_that_holds_some_is_told_which),
        SEVERAL_TEST(test_already_held_shows_as_many_names_as_fit),
        SEVERAL_TEST(test_all_are_lost_together_and_a_delay_blocks_all),
        SEVERAL_TEST(test_hold_max_ends_all_names_as_one_loss),
        SEVERAL_TEST(test_a_limit_that_does_not_fit_refuses_all),
        SEVERAL_TEST(test_the_quota_counts_names),
        SEVERAL_TEST(test_a_serving_of_many_names_is_bounded_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
