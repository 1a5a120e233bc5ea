/* What INFO and LIST show of locks, line by line of docs/contract.md, section 4. */
#include <stdio.h>

#include "base/status.h"
#include "machine/rows.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

#define TTL 3600000

static const struct want A1 = {.name = "a", .owner = 1};

/* The i-th transition that INFO shows, oldest first. */
static struct transition_item transition(struct fixture *f, const char *name, uint32_t i)
{
    struct msg_info_reply info = info_of(f, name);
    assert_true(i < info.transitions.count);
    return ((const struct transition_item *)info.transitions.items)[i];
}

static void assert_transitions(struct fixture *f, const char *name, const uint64_t *whats,
                               uint32_t count)
{
    assert_int_equal(info_of(f, name).transitions.count, count);
    for (uint32_t i = 0; i < count; i++) assert_int_equal(transition(f, name, i).what, whats[i]);
}

/* ------------------------------------------------------------------ INFO */

/* A lock that was taken once shows that; no row is written for it, and nothing stays of it. */
static void test_the_first_grant_is_its_own_history(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, A1);
    uint64_t at_ms = f->now_ms;
    f->now_ms += 1000;
    apply_entry(f);
    assert_int_equal(info_of(f, "a").transitions.count, 1);
    struct transition_item item = transition(f, "a", 0);
    assert_int_equal(item.what, TRANSITION_GRANTED);
    assert_int_equal(item.at_ms, at_ms);
    assert_int_equal(item.fencing_token, token);
    assert_int_equal(item.session, s);
    assert_int_equal(item.owner, 1);
    assert_int_equal(info_of(f, "a").now_ms - at_ms, 1000); /* how long ago */
    assert_int_equal(store_count(f->store, TABLE_LOCK_HISTORY), 0);
    assert_int_equal(release(f, s, 2, "a", token, 1), HF_OK);
    assert_int_equal(info_of(f, "a").transitions.count, 0);
}

/* Grants, their ends with why, and changes of mode, in order. */
static void test_transitions_are_shown_in_order(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", 10000);
    struct want next = {.name = "a", .owner = 2, .wait_ms = 60000};
    uint64_t first = acquire_ok(f, s, 1, A1);
    assert_int_equal(acquire_status(f, t, 1, next), ACQUIRE_WAITS);
    f->now_ms += 100;
    assert_int_equal(release(f, s, 2, "a", first, 1), HF_OK);
    uint64_t second = granted_token(f, find_woken(f, t, 1));
    assert_int_equal(change_mode(f, OP_CODE_DOWNGRADE, t, 2, second, 2), HF_OK);
    assert_int_equal(change_mode(f, OP_CODE_UPGRADE, t, 3, second, 2), HF_OK);
    pass(f, 10000);
    static const uint64_t whats[] = {TRANSITION_GRANTED,    TRANSITION_ENDED,    TRANSITION_GRANTED,
                                     TRANSITION_DOWNGRADED, TRANSITION_UPGRADED, TRANSITION_ENDED};
    assert_transitions(f, "a", whats, HF_ARRAY_COUNT(whats));
    assert_int_equal(transition(f, "a", 1).reason, END_RELEASED);
    assert_int_equal(transition(f, "a", 1).fencing_token, first);
    assert_int_equal(transition(f, "a", 2).fencing_token, second);
    assert_int_equal(transition(f, "a", 2).session, t);
    assert_int_equal(transition(f, "a", 4).reason, 0);
    assert_int_equal(transition(f, "a", 5).reason, END_EXPIRED);
    pass(f, LOST_LOCK_KEPT_MS);
    assert_int_equal(info_of(f, "a").transitions.count, 0);
    assert_int_equal(store_count(f->store, TABLE_LOCK_HISTORY), 0);
}

/* The last 8 of many; the row goes with its lock. */
static void test_only_the_last_transitions_are_kept(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want shared = {.name = "a", .mode = MODE_SHARED};
    uint64_t tokens[6];
    for (uint64_t i = 0; i < 6; i++) {
        shared.owner = 1 + i;
        tokens[i] = acquire_ok(f, s, 1 + i, shared);
    }
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(release(f, s, 10 + i, "a", tokens[i], 1 + i), HF_OK);
    static const uint64_t whats[] = {TRANSITION_GRANTED, TRANSITION_GRANTED, TRANSITION_GRANTED,
                                     TRANSITION_ENDED,   TRANSITION_ENDED,   TRANSITION_ENDED,
                                     TRANSITION_ENDED,   TRANSITION_ENDED};
    assert_transitions(f, "a", whats, LOCK_TRANSITIONS_MAX);
    assert_int_equal(transition(f, "a", 0).fencing_token, tokens[3]);
    assert_int_equal(transition(f, "a", 7).fencing_token, tokens[4]);
    assert_int_equal(release(f, s, 20, "a", tokens[5], 6), HF_OK);
    assert_int_equal(store_count(f->store, TABLE_LOCK_HISTORY), 0);
}

/* Each lock of a grant of several has its history; holders and waiters say how many names. */
static void test_several_names_are_counted_and_remembered(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want both = {.name = "a", .also = {"b"}, .owner = 1};
    struct want three = {.name = "a", .also = {"b", "c"}, .owner = 2, .wait_ms = 60000};
    uint64_t token = acquire_ok(f, s, 1, both);
    assert_int_equal(acquire_status(f, s, 2, three), ACQUIRE_WAITS);
    struct msg_info_reply info = info_of(f, "b");
    assert_int_equal(((const struct holder_info *)info.holders.items)->name_count, 2);
    assert_int_equal(((const struct waiter_info *)info.waiters.items)->name_count, 3);
    assert_int_equal(abandon(f, s, token), HF_OK);
    static const uint64_t whats[] = {TRANSITION_GRANTED, TRANSITION_ENDED, TRANSITION_GRANTED};
    assert_transitions(f, "a", whats, 3);
    assert_transitions(f, "b", whats, 3);
    assert_transitions(f, "c", whats, 1);
    assert_int_equal(transition(f, "b", 1).reason, END_ABANDONED);
}

/* ------------------------------------------------------------------ LIST */

static struct msg_list_reply list(struct fixture *f, struct msg_list request)
{
    struct msg_list_reply reply;
    if (request.count_max == 0) request.count_max = 100;
    read_ok(f, OP_CODE_LIST, &request, 0, &reply);
    return reply;
}

/* The names of a page's locks, one letter each. */
static void assert_list(struct fixture *f, struct msg_list request, const char *names)
{
    struct msg_list_reply reply = list(f, request);
    const struct lock_line *lines = reply.locks.items;
    assert_int_equal(reply.locks.count, strlen(names));
    for (uint32_t i = 0; i < reply.locks.count; i++) {
        assert_int_equal(lines[i].name.size, 1);
        assert_int_equal(lines[i].name.data[0], names[i]);
    }
    assert_int_equal(reply.cursor.size, 0);
}

/* a: EXCLUSIVE of s, waited for; b: SHARED by s and t; c: free and delayed; d: permits of t, one
 * lost; e: EXCLUSIVE of t, younger by 5 s. */
static void fill(struct fixture *f, uint64_t *s, uint64_t *t)
{
    *s = open_session(f, "first", TTL);
    *t = open_session(f, "second", TTL);
    struct want b = {.name = "b", .owner = 2, .mode = MODE_SHARED};
    struct want c = {.name = "c", .owner = 3, .delay_ms = 60000};
    struct want d = {.name = "d", .owner = 4, .mode = MODE_PERMITS, .permits = 1, .limit = 3};
    acquire_ok(f, *s, 1, A1);
    acquire_ok(f, *s, 2, b);
    assert_int_equal(abandon(f, *s, acquire_ok(f, *s, 3, c)), HF_OK);
    assert_int_equal(acquire_status(f, *t, 1, (struct want){"a", .owner = 1, .wait_ms = 60000}),
                     ACQUIRE_WAITS);
    acquire_ok(f, *t, 2, d);
    d.owner = 5;
    d.delay_ms = 60000;
    assert_int_equal(abandon(f, *t, acquire_ok(f, *t, 3, d)), HF_OK);
    f->now_ms += 5000;
    acquire_ok(f, *t, 4, b);
    acquire_ok(f, *t, 5, (struct want){.name = "e", .owner = 6});
}

/* By what they are: held, waited for, delayed, all that is asked for at once. */
static void test_list_by_state(void **state)
{
    struct fixture *f = *state;
    uint64_t s, t;
    fill(f, &s, &t);
    assert_list(f, (struct msg_list){.states = 0}, "abcde");
    assert_list(f, (struct msg_list){.states = LIST_HELD}, "abde");
    assert_list(f, (struct msg_list){.states = LIST_WAITED}, "a");
    assert_list(f, (struct msg_list){.states = LIST_DELAYED}, "cd");
    assert_list(f, (struct msg_list){.states = LIST_HELD | LIST_DELAYED}, "d");
    assert_list(f, (struct msg_list){.states = LIST_STATES_MAX}, "");
    assert_list(f, (struct msg_list){.states = LIST_HELD, .prefix = slice_of("b")}, "b");
}

/* By the mode of their holders. */
static void test_list_by_mode(void **state)
{
    struct fixture *f = *state;
    uint64_t s, t;
    fill(f, &s, &t);
    assert_list(f, (struct msg_list){.modes = 1 << MODE_EXCLUSIVE}, "ae");
    assert_list(f, (struct msg_list){.modes = 1 << MODE_SHARED}, "b");
    assert_list(f, (struct msg_list){.modes = 1 << MODE_PERMITS | 1 << MODE_SHARED}, "bd");
}

/* By a holder: its session, its client's name, how long it has held; the one who fits is shown. */
static void test_list_by_holder(void **state)
{
    struct fixture *f = *state;
    uint64_t s, t;
    fill(f, &s, &t);
    assert_list(f, (struct msg_list){.session = s}, "ab");
    assert_list(f, (struct msg_list){.session = t}, "bde");
    assert_list(f, (struct msg_list){.client_name = slice_of("second")}, "bde");
    assert_list(f, (struct msg_list){.client_name = slice_of("sec")}, "");
    assert_list(f, (struct msg_list){.older_than_ms = 5000}, "abd");
    assert_list(f, (struct msg_list){.older_than_ms = 5000, .session = t}, "d");
    assert_list(f, (struct msg_list){.older_than_ms = 5001}, "");
    assert_list(f, (struct msg_list){.session = t, .modes = 1 << MODE_EXCLUSIVE}, "e");
    struct msg_list_reply reply =
        list(f, (struct msg_list){.prefix = slice_of("b"), .client_name = slice_of("second")});
    const struct lock_line *line = reply.locks.items;
    assert_true(slice_equal(line->client_name, slice_of("second")));
    assert_int_equal(line->since_ms, f->now_ms);
    assert_int_equal(line->holder_count, 2);
}

/* A filter that fits seldom ends pages early, never the list: only an empty cursor is its end. */
static void test_a_page_is_bounded_by_what_it_looks_at(void **state)
{
    struct fixture *f = *state;
    f->unchecked = true;
    uint64_t many[3];
    for (uint64_t i = 0; i < 9000; i++) {
        char text[16];
        snprintf(text, sizeof text, "%04u", (unsigned)i);
        if (i % 3000 == 0) many[i / 3000] = open_session(f, text, TTL);
        add_acquire(f, many[i / 3000], 1 + i % 3000,
                    (struct want){.name = text, .owner = 1 + i % 3000});
        if (i % 500 == 499) apply_entry(f);
    }
    char cursor[NAME_BYTES_MAX + 1] = "";
    unsigned pages = 0;
    uint32_t found = 0;
    do {
        struct msg_list_reply reply = list(
            f,
            (struct msg_list){.session = many[2], .older_than_ms = 1, .cursor = slice_of(cursor)});
        found += reply.locks.count;
        memcpy(cursor, reply.cursor.data, reply.cursor.size);
        cursor[reply.cursor.size] = '\0';
        pages++;
    } while (cursor[0] != '\0');
    assert_int_equal(found, 0);
    assert_in_range(pages, 3, 6); /* a lock and its holder are two of the 4,000 rows of a page */
    struct msg_list_reply reply =
        list(f, (struct msg_list){.session = many[2], .cursor = slice_of("5998")});
    assert_int_equal(reply.locks.count, 100);
}

#define LOOK_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOK_TEST(test_the_first_grant_is_its_own_history),
        LOOK_TEST(test_transitions_are_shown_in_order),
        LOOK_TEST(test_only_the_last_transitions_are_kept),
        LOOK_TEST(test_several_names_are_counted_and_remembered),
        LOOK_TEST(test_list_by_state),
        LOOK_TEST(test_list_by_mode),
        LOOK_TEST(test_list_by_holder),
        LOOK_TEST(test_a_page_is_bounded_by_what_it_looks_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
