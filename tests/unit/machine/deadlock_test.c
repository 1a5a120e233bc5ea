/* Deadlocks of owners, line by line of docs/contract.md, section 4. That no cycle is missed and
 * none is made up is machine_random_test's business. */
#include <stdio.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

#define TTL 3600000

static struct want waiting(const char *name, uint64_t owner)
{
    return (struct want){.name = name, .owner = owner, .wait_ms = 60000};
}

static struct want at_once(const char *name, uint64_t owner)
{
    return (struct want){.name = name, .owner = owner};
}

static uint64_t unknown_count(struct fixture *f)
{
    struct machine_counts counts;
    machine_count(f->m, &counts);
    return counts.deadlock_unknown_count;
}

/* Two owners who want what the other holds: the second one is refused, is told the cycle, waits
 * for nothing and keeps what it has. */
static void test_the_one_who_closes_a_cycle_is_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", TTL);
    uint64_t a = acquire_ok(f, s, 1, at_once("a", 1));
    uint64_t b = acquire_ok(f, t, 1, at_once("b", 2));
    assert_int_equal(acquire_status(f, s, 2, waiting("b", 1)), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, t, 2, at_once("a", 2)), HF_EBUSY); /* it would not wait */
    for (int i = 0; i < 2; i++) {                                         /* and once more */
        const struct answer *answer = acquire(f, t, 3, waiting("a", 2));
        assert_int_equal(answer->status, HF_EDEADLOCK);
        struct msg_deadlock told;
        read_body(f, OP_CODE_ACQUIRE, answer, &told);
        const struct owner_item *owners = told.owners.items;
        assert_int_equal(told.length, 2);
        assert_int_equal(told.owners.count, 2);
        assert_int_equal(owners[0].session, t);
        assert_int_equal(owners[0].owner, 2);
        assert_int_equal(owners[1].session, s);
        assert_int_equal(owners[1].owner, 1);
    }
    assert_int_equal(queue_of(f, "a"), 0);
    assert_int_equal(release(f, t, 4, "b", b, 2), HF_OK);
    assert_non_null(find_woken(f, s, 2));
    assert_int_equal(release(f, s, 3, "a", a, 1), HF_OK);
    assert_int_equal(unknown_count(f), 0);
}

/* An older waiter stands in the way as a holder does: the requester may not pass it. */
static void test_a_cycle_may_go_through_the_queue(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want shared = {.name = "a", .owner = 1, .mode = MODE_SHARED};
    acquire_ok(f, s, 1, shared);
    acquire_ok(f, s, 2, at_once("b", 2));
    struct want both = waiting("a", 3);
    both.also[0] = "b";
    assert_int_equal(acquire_status(f, s, 3, both), ACQUIRE_WAITS);
    shared.owner = 2;
    shared.wait_ms = 1000;
    assert_int_equal(acquire_status(f, s, 4, shared), HF_EDEADLOCK);
    shared.owner = 4; /* holds nothing: it just waits */
    assert_int_equal(acquire_status(f, s, 5, shared), ACQUIRE_WAITS);
}

/* SHARED does not wait for SHARED. */
static void test_readers_do_not_wait_for_readers(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want read_a = {.name = "a", .owner = 1, .mode = MODE_SHARED, .wait_ms = 60000};
    struct want read_b = {.name = "b", .owner = 2, .mode = MODE_SHARED, .wait_ms = 60000};
    acquire_ok(f, s, 1, read_a);
    acquire_ok(f, s, 2, read_b);
    acquire_ok(f, s, 3, at_once("c", 3));
    struct want b_and_c = {
        .name = "b", .also = {"c"}, .owner = 1, .mode = MODE_SHARED, .wait_ms = 60000};
    assert_int_equal(acquire_status(f, s, 4, b_and_c), ACQUIRE_WAITS);
    read_a.owner = 2;
    acquire_ok(f, s, 5, read_a); /* and is not even asked to wait */
    struct want write_b = waiting("b", 4);
    assert_int_equal(acquire_status(f, s, 6, write_b), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 7, waiting("b", 3)), HF_EDEADLOCK); /* 1 waits for c */
}

/* Of a long cycle the first 16 are shown, in order, and the length is told. */
static void test_a_long_cycle_is_shown_in_part(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    char names[20][8];
    for (uint64_t i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "n%u", (unsigned)i);
        acquire_ok(f, s, i + 1, at_once(names[i], i + 1));
    }
    for (uint64_t i = 1; i < 20; i++)
        assert_int_equal(acquire_status(f, s, 50 + i, waiting(names[(i + 1) % 20], i + 1)),
                         ACQUIRE_WAITS);
    const struct answer *answer = acquire(f, s, 50, waiting(names[1], 1));
    assert_int_equal(answer->status, HF_EDEADLOCK);
    assert_true(answer->body.size <= REPLY_STORED_BYTES_MAX);
    struct msg_deadlock told;
    read_body(f, OP_CODE_ACQUIRE, answer, &told);
    assert_int_equal(told.length, 20);
    assert_int_equal(told.owners.count, DEADLOCK_OWNERS_MAX);
    for (uint64_t i = 0; i < DEADLOCK_OWNERS_MAX; i++)
        assert_int_equal(((const struct owner_item *)told.owners.items)[i].owner, i + 1);
}

/* Some of several permits wait for any holder: no verdict. One of one does. A delay is nobody. */
static void test_several_permits_and_delays_give_no_edges(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    for (uint64_t limit = 1; limit <= 2; limit++) {
        const char *name = limit == 1 ? "p1" : "p2";
        uint64_t owner = 10 * limit;
        struct want all = {
            .name = name, .owner = owner, .mode = MODE_PERMITS, .permits = limit, .limit = limit};
        acquire_ok(f, s, 10 * limit, all);
        acquire_ok(f, s, 10 * limit + 1, at_once(limit == 1 ? "x1" : "x2", owner + 1));
        struct want cross = waiting(limit == 1 ? "x1" : "x2", owner);
        assert_int_equal(acquire_status(f, s, 10 * limit + 2, cross), ACQUIRE_WAITS);
        all.owner = owner + 1;
        all.wait_ms = 60000;
        assert_int_equal(acquire_status(f, s, 10 * limit + 3, all),
                         limit == 1 ? HF_EDEADLOCK : ACQUIRE_WAITS);
    }
    struct want lost = at_once("d", 50);
    lost.delay_ms = 60000;
    uint64_t token = acquire_ok(f, s, 50, lost);
    acquire_ok(f, s, 51, at_once("e", 51));
    assert_int_equal(abandon(f, s, token), HF_OK);
    assert_int_equal(acquire_status(f, s, 52, waiting("e", 50)), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 53, waiting("d", 51)), ACQUIRE_WAITS);
}

/* `count` owners wait for "a", then one for "a" and "b"; whoever holds "b" asks for "a". */
static int ask_behind(struct fixture *f, uint64_t count)
{
    uint64_t s = open_session(f, "s", TTL);
    uint64_t many[4];
    for (unsigned i = 0; i < HF_ARRAY_COUNT(many); i++) {
        char name[8];
        snprintf(name, sizeof name, "m%u", i);
        many[i] = open_session(f, name, TTL);
    }
    f->unchecked = true; /* too large */
    acquire_ok(f, s, 1, at_once("a", 1));
    acquire_ok(f, s, 2, at_once("b", 2));
    for (uint64_t i = 0; i < count; i++) {
        add_acquire(f, many[i % 4], 1 + i / 4, waiting("a", 1 + i));
        if (f->op_count == 500) apply_entry(f);
    }
    apply_entry(f);
    struct want both = waiting("a", 3);
    both.also[0] = "b";
    assert_int_equal(acquire_status(f, s, 3, both), ACQUIRE_WAITS);
    return acquire_status(f, s, 4, waiting("a", 2));
}

/* A search ends after 10,000 steps without a verdict, which is counted: the owner waits. */
static void test_a_search_is_bounded_and_what_is_given_up_is_counted(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask_behind(f, DEADLOCK_STEPS_MAX / 2), ACQUIRE_WAITS);
    assert_int_equal(unknown_count(f), 1);
}

/* Within the bound (each waiter is met, then its name) the cycle at the end of a long queue is
 * found. */
static void test_a_cycle_behind_thousands_is_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask_behind(f, DEADLOCK_STEPS_MAX / 2 - 10), HF_EDEADLOCK);
    assert_int_equal(unknown_count(f), 0);
}

#define DEADLOCK_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DEADLOCK_TEST(test_the_one_who_closes_a_cycle_is_refused),
        DEADLOCK_TEST(test_a_cycle_may_go_through_the_queue),
        DEADLOCK_TEST(test_readers_do_not_wait_for_readers),
        DEADLOCK_TEST(test_a_long_cycle_is_shown_in_part),
        DEADLOCK_TEST(test_several_permits_and_delays_give_no_edges),
        DEADLOCK_TEST(test_a_search_is_bounded_and_what_is_given_up_is_counted),
        DEADLOCK_TEST(test_a_cycle_behind_thousands_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
