/* Leases that end: which ends are early, which are not, and that each is counted once. */
#include "jepsen/run/lease.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

enum { MS = 1000000 };

static struct lease lease;
static struct lease_counts counts;

/* Token 7 was given at 1000 ms, and is believed in until 3000 ms. */
static int set_up(void **state)
{
    (void)state;
    memset(&lease, 0, sizeof lease);
    memset(&counts, 0, sizeof counts);
    lease_begin(&lease, &counts, 7);
    lease_believe(&lease, 1000 * (uint64_t)MS, 2000);
    return 0;
}

static bool ended(uint64_t token, uint64_t heard_ms)
{
    return lease_ended(&lease, &counts, token, heard_ms * MS, "release of k by c1t1: STALE_TOKEN");
}

/* An end that is heard of while the belief stands is early, and told with its token and time. */
static void test_end_before_the_belief_is_early(void **state)
{
    (void)state;
    assert_true(ended(7, 2999));
    assert_int_equal(counts.given, 1);
    assert_int_equal(counts.early, 1);
    assert_string_equal(counts.sentence,
                        "release of k by c1t1: STALE_TOKEN: token 7, 1 ms before it had to");
}

/* From the believed moment on it may end. */
static void test_end_behind_the_belief_is_not(void **state)
{
    (void)state;
    assert_false(ended(7, 3000));
    assert_int_equal(counts.early, 0);
}

/* A renewal moves the belief, and what is believed later for less does not take it back. */
static void test_renewal_moves_the_belief(void **state)
{
    (void)state;
    lease_believe(&lease, 2000 * (uint64_t)MS, 1900);
    lease_believe(&lease, 2100 * (uint64_t)MS, 100);
    lease_believe(&lease, 2200 * (uint64_t)MS, 0);
    assert_true(ended(7, 3899));
}

/* Two tell of one end: the I/O thread, and the call that is refused. */
static void test_an_end_counts_once(void **state)
{
    (void)state;
    assert_true(ended(7, 2000));
    assert_false(ended(7, 2001));
    assert_int_equal(counts.early, 1);
}

/* What was given back ends by its caller's will, and another token's end is another's. */
static void test_own_end_and_other_tokens_are_none(void **state)
{
    (void)state;
    assert_false(ended(6, 2000));
    lease_end(&lease);
    assert_false(ended(7, 2000));
    assert_int_equal(counts.early, 0);
}

/* A new lease has no belief of the one before it. */
static void test_next_lease_begins_without_belief(void **state)
{
    (void)state;
    lease_begin(&lease, &counts, 8);
    assert_false(ended(8, 2000));
    assert_int_equal(counts.given, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_end_before_the_belief_is_early, set_up),
        cmocka_unit_test_setup(test_end_behind_the_belief_is_not, set_up),
        cmocka_unit_test_setup(test_renewal_moves_the_belief, set_up),
        cmocka_unit_test_setup(test_an_end_counts_once, set_up),
        cmocka_unit_test_setup(test_own_end_and_other_tokens_are_none, set_up),
        cmocka_unit_test_setup(test_next_lease_begins_without_belief, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
