/* PERMITS, line by line of docs/contract.md, section 4: units are counted against one limit, lost
 * ones stay taken each for its own time, and nobody is passed. */
#include "base/status.h"
#include "machine/rows.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

#define TTL 3600000

/* `permits` of 5 for `owner`. */
static struct want of_five(uint64_t owner, uint64_t permits)
{
    return (struct want){
        .name = "p", .owner = owner, .mode = MODE_PERMITS, .permits = permits, .limit = 5};
}

static struct want waiting(struct want want)
{
    want.wait_ms = 60000;
    return want;
}

static struct want delayed(struct want want, uint64_t delay_ms)
{
    want.delay_ms = delay_ms;
    return want;
}

/* Permits are granted while units are left, and not one more. */
static void test_permits_are_granted_up_to_the_limit(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, of_five(1, 2));
    acquire_ok(f, s, 2, of_five(2, 2));
    assert_int_equal(acquire_status(f, s, 3, of_five(3, 2)), HF_EBUSY);
    acquire_ok(f, s, 4, of_five(4, 1));
    assert_int_equal(acquire_status(f, s, 5, of_five(5, 1)), HF_EBUSY);
    assert_int_equal(release(f, s, 6, "p", token, 1), HF_OK);
    acquire_ok(f, s, 7, of_five(6, 2));
    assert_int_equal(holders_of(f, "p"), 3);
}

/* BUSY, INFO and LIST tell how many units there are and how many are taken. */
static void test_units_are_shown(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    acquire_ok(f, s, 1, of_five(1, 4));
    struct msg_busy busy;
    read_body(f, OP_CODE_ACQUIRE, acquire(f, s, 2, of_five(2, 2)), &busy);
    const struct holder *holder = busy.holders.items;
    assert_int_equal(holder->permits, 4);
    assert_int_equal(busy.limit, 5);
    assert_int_equal(busy.units_taken, 4);
    struct msg_info_reply info = info_of(f, "p");
    assert_int_equal(info.limit, 5);
    assert_int_equal(info.units_taken, 4);
    struct msg_list request = {.count_max = 10};
    struct msg_list_reply list;
    read_ok(f, OP_CODE_LIST, &request, 0, &list);
    const struct lock_line *line = list.locks.items;
    assert_int_equal(line->mode, MODE_PERMITS);
    assert_int_equal(line->limit, 5);
    assert_int_equal(line->units_taken, 4);
}

/* Who wants little does not pass one who wants much and came first. */
static void test_a_small_request_does_not_pass_a_large_one(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, of_five(1, 3));
    assert_int_equal(acquire_status(f, s, 2, waiting(of_five(2, 4))), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 3, of_five(3, 1)), HF_EBUSY);
    assert_int_equal(acquire_status(f, s, 4, waiting(of_five(4, 1))), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 5, waiting(of_five(5, 1))), ACQUIRE_WAITS);
    assert_int_equal(release(f, s, 6, "p", token, 1), HF_OK);
    assert_non_null(find_woken(f, s, 2));
    assert_non_null(find_woken(f, s, 4)); /* 4 and 1 make 5 */
    assert_null(find_woken(f, s, 5));
}

/* EXCLUSIVE takes all of the units, and is taken by none. */
static void test_exclusive_takes_all_units(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t first = acquire_ok(f, s, 1, of_five(1, 1));
    uint64_t second = acquire_ok(f, s, 2, of_five(2, 1));
    struct want all = {.name = "p", .owner = 3, .wait_ms = 60000};
    assert_int_equal(acquire_status(f, s, 3, all), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 4, waiting(of_five(4, 1))), ACQUIRE_WAITS);
    assert_int_equal(release(f, s, 5, "p", first, 1), HF_OK);
    assert_null(find_woken(f, s, 3));
    assert_int_equal(release(f, s, 6, "p", second, 2), HF_OK);
    uint64_t token = granted_token(f, find_woken(f, s, 3));
    assert_null(find_woken(f, s, 4));
    assert_int_equal(release(f, s, 7, "p", token, 3), HF_OK);
    assert_non_null(find_woken(f, s, 4));
}

/* One limit while anything is held, waited for or delayed; SHARED has another than PERMITS, and
 * EXCLUSIVE fits each. When all is over the next one chooses. */
static void test_another_limit_is_refused_while_the_lock_is_in_use(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want other = of_five(9, 1);
    other.limit = 6;
    struct want shared = {.name = "p", .owner = 9, .mode = MODE_SHARED};
    uint64_t token = acquire_ok(f, s, 1, delayed(of_five(1, 5), 1000));
    assert_int_equal(acquire_status(f, s, 2, other), HF_ELIMIT);
    assert_int_equal(acquire_status(f, s, 3, waiting(shared)), HF_ELIMIT);
    assert_int_equal(queue_of(f, "p"), 0);
    assert_int_equal(abandon(f, s, token), HF_OK);
    assert_int_equal(acquire_status(f, s, 4, other), HF_ELIMIT); /* delayed */
    pass(f, 1000);
    token = acquire_ok(f, s, 5, (struct want){.name = "p", .owner = 2});
    assert_int_equal(acquire_status(f, s, 6, waiting(of_five(3, 1))), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 7, other), HF_ELIMIT); /* waited for */
    assert_int_equal(cancel(f, s, 6)->status, HF_OK);
    assert_int_equal(acquire_status(f, s, 8, shared), HF_ELIMIT); /* held all the time */
    assert_int_equal(release(f, s, 9, "p", token, 2), HF_OK);
    token = acquire_ok(f, s, 10, shared);
    assert_int_equal(acquire_status(f, s, 11, of_five(3, 1)), HF_ELIMIT);
    assert_int_equal(release(f, s, 12, "p", token, 9), HF_OK);
    acquire_ok(f, s, 13, other);
}

/* Lost permits stay taken each for its own lock-delay; the others go on being granted. */
static void test_lost_permits_stay_taken_each_for_its_time(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t first = acquire_ok(f, s, 1, delayed(of_five(1, 2), 1000));
    uint64_t second = acquire_ok(f, s, 2, delayed(of_five(2, 1), 3000));
    uint64_t third = acquire_ok(f, s, 3, of_five(3, 1));
    assert_int_equal(abandon(f, s, first), HF_OK);
    assert_int_equal(abandon(f, s, second), HF_OK);
    assert_int_equal(info_of(f, "p").units_delayed, 3);
    assert_int_equal(info_of(f, "p").delay_left_ms, 1000);
    acquire_ok(f, s, 4, of_five(4, 1)); /* the fifth one is free */
    assert_int_equal(acquire_status(f, s, 5, of_five(5, 1)), HF_EBUSY);
    assert_int_equal(acquire_status(f, s, 6, waiting(of_five(6, 2))), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 7, waiting(of_five(7, 1))), ACQUIRE_WAITS);
    pass(f, 999);
    assert_null(find_woken(f, s, 6));
    pass(f, 1);
    assert_non_null(find_woken(f, s, 6));
    assert_null(find_woken(f, s, 7));
    assert_int_equal(info_of(f, "p").delay_left_ms, 2000);
    assert_int_equal(release(f, s, 8, "p", third, 3), HF_OK); /* a voluntary one never delays */
    assert_non_null(find_woken(f, s, 7));
    pass(f, 2000);
    assert_int_equal(info_of(f, "p").units_delayed, 0);
    acquire_ok(f, s, 9, of_five(9, 1));
}

/* DELAYED tells when as many as are wanted come back, all of them for EXCLUSIVE. */
static void test_delayed_tells_when_enough_units_come_back(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    static const uint64_t delays_ms[] = {3000, 1000, 2000, 1000};
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t token = acquire_ok(f, s, 10 + i, delayed(of_five(1 + i, 1), delays_ms[i]));
        assert_int_equal(abandon(f, s, token), HF_OK);
    }
    static const struct {
        uint64_t permits; /* 0 = EXCLUSIVE */
        uint64_t left_ms;
    } rows[] = {{2, 1000}, {3, 1000}, {4, 2000}, {5, 3000}, {0, 3000}};
    for (uint64_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        struct want want = of_five(9, rows[i].permits);
        if (rows[i].permits == 0) want = (struct want){.name = "p", .owner = 9};
        const struct answer *answer = acquire(f, s, 20 + i, want);
        assert_int_equal(answer->status, HF_EDELAYED);
        struct msg_delayed told;
        read_body(f, OP_CODE_ACQUIRE, answer, &told);
        assert_int_equal(told.left_ms, rows[i].left_ms);
    }
    acquire_ok(f, s, 30, of_five(9, 1));
}

/* Lost permits are taken until the sweep, also where an entry holds it back. */
static void test_lost_permits_come_back_with_the_sweep(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, delayed(of_five(1, 5), 1000));
    assert_int_equal(abandon(f, s, token), HF_OK);
    f->flags = ENTRY_HOLDS_SWEEP;
    f->now_ms += 1000;
    const struct answer *answer = acquire(f, s, 2, of_five(2, 1));
    assert_int_equal(answer->status, HF_EDELAYED);
    assert_int_equal(acquire_status(f, s, 3, waiting(of_five(2, 1))), ACQUIRE_WAITS);
    f->flags = 0;
    pass(f, 0);
    assert_non_null(find_woken(f, s, 3));
}

/* Reentrance wants the same permits of the same limit. */
static void test_reentrance_wants_the_same_permits(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want again = of_five(1, 2);
    again.reentrant = 1;
    uint64_t token = acquire_ok(f, s, 1, again);
    assert_int_equal(acquire_ok(f, s, 2, again), token);
    assert_int_equal(info_of(f, "p").units_taken, 2);
    again.permits = 1;
    const struct answer *answer = acquire(f, s, 3, again);
    assert_int_equal(answer->status, HF_EALREADY);
    struct msg_already already;
    read_body(f, OP_CODE_ACQUIRE, answer, &already);
    assert_int_equal(already.permits, 2);
    assert_int_equal(already.mode, MODE_PERMITS);
    again.permits = 2;
    again.limit = 6;
    assert_int_equal(acquire_status(f, s, 4, again), HF_EALREADY);
}

/* Losses that end in one millisecond are one row; a session that dies with hundreds of permits
 * gives all of them back together. */
static void test_a_session_loses_many_permits_at_once(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", 10000);
    uint64_t t = open_session(f, "t", TTL);
    for (uint64_t i = 1; i <= 300; i++) {
        struct want want = {.name = "p",
                            .owner = i,
                            .mode = MODE_PERMITS,
                            .permits = 1,
                            .limit = 300,
                            .delay_ms = 500 + i % 2};
        acquire_ok(f, s, i, want);
    }
    struct want all = {.name = "p",
                       .owner = 1,
                       .mode = MODE_PERMITS,
                       .permits = 151,
                       .limit = 300,
                       .wait_ms = 60000};
    assert_int_equal(acquire_status(f, t, 1, all), ACQUIRE_WAITS);
    pass(f, 10000);
    assert_int_equal(store_count(f->store, TABLE_LOCK_DELAYS), 2);
    pass(f, 500);
    assert_null(find_woken(f, t, 1));
    pass(f, 1);
    assert_non_null(find_woken(f, t, 1));
    assert_int_equal(store_count(f->store, TABLE_LOCK_DELAYS), 0);
}

#define PERMITS_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PERMITS_TEST(test_permits_are_granted_up_to_the_limit),
        PERMITS_TEST(test_units_are_shown),
        PERMITS_TEST(test_a_small_request_does_not_pass_a_large_one),
        PERMITS_TEST(test_exclusive_takes_all_units),
        PERMITS_TEST(test_another_limit_is_refused_while_the_lock_is_in_use),
        PERMITS_TEST(test_lost_permits_stay_taken_each_for_its_time),
        PERMITS_TEST(test_delayed_tells_when_enough_units_come_back),
        PERMITS_TEST(test_lost_permits_come_back_with_the_sweep),
        PERMITS_TEST(test_reentrance_wants_the_same_permits),
        PERMITS_TEST(test_a_session_loses_many_permits_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
