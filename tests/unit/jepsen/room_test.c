/* Rooms: how full one is, for whoever comes in; whose time is over has gone, also without leaving.
 */
#include "jepsen/run/room.h"
#include "tests/unit/cmocka_all.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "jepsen/journal.h"

static char path[] = "/tmp/room_test.XXXXXX";

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/room_test.XXXXXX");
    int fd = mkstemp(path);
    return fd >= 0 ? close(fd) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static uint64_t in_an_hour(void)
{
    return journal_now_ns() + UINT64_C(3600) * 1000000000;
}

/* Everybody inside counts, once, with as many seats as it has. */
static void test_who_comes_in_is_told_how_full_it_is(void **state)
{
    (void)state;
    assert_int_equal(room_enter(path, 7, 2, in_an_hour()), 2);
    assert_int_equal(room_enter(path, 8, 3, in_an_hour()), 5);
    assert_int_equal(room_enter(path, 7, 2, in_an_hour()), 5);
    room_leave(path, 8);
    room_leave(path, 8);
    assert_int_equal(room_enter(path, 9, 1, in_an_hour()), 3);
}

/* A belief that is over is nobody's: not one's own, and not that of somebody who died inside. */
static void test_whose_time_is_over_has_gone(void **state)
{
    (void)state;
    assert_int_equal(room_enter(path, 7, 2, journal_now_ns()), 0);
    uint64_t until_ns = journal_now_ns() + 50 * 1000000;
    assert_in_range(room_enter(path, 8, 3, until_ns), 0, 3); /* 0: this machine is busy */
    while (journal_now_ns() <= until_ns) (void)poll(NULL, 0, 5);
    assert_int_equal(room_enter(path, 9, 1, in_an_hour()), 1);
}

/* Places of those who have gone are used again. */
static void test_a_room_does_not_fill_up_with_the_dead(void **state)
{
    (void)state;
    for (uint64_t token = 1; token <= 3 * ROOM_PLACES; token++) {
        uint64_t until_ns = journal_now_ns() + 1000000;
        (void)room_enter(path, token, 1, until_ns);
        while (token % ROOM_PLACES == 0 && journal_now_ns() <= until_ns) (void)poll(NULL, 0, 1);
    }
    assert_int_equal(room_enter(path, 1000000, 1, in_an_hour()), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_who_comes_in_is_told_how_full_it_is),
        TEST(test_whose_time_is_over_has_gone),
        TEST(test_a_room_does_not_fill_up_with_the_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
