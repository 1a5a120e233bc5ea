/* Token buckets: what is given, what is refused until when, and how few are kept. */
#include "server/rates.h"

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

enum { BUCKETS = 20, T0 = 1000000 };

static int setup(void **state)
{
    static struct rates r;
    assert_int_equal(rates_init(&r, BUCKETS), HF_OK);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    rates_close(*state);
    return 0;
}

static bool take(struct rates *r, uint64_t principal, uint64_t now_ms)
{
    uint64_t retry_ms;
    return rates_take(r, principal, now_ms, &retry_ms);
}

/* The milliseconds that it is told to wait. */
static uint64_t refused(struct rates *r, uint64_t principal, uint64_t now_ms)
{
    uint64_t retry_ms = 0;
    assert_false(rates_take(r, principal, now_ms, &retry_ms));
    assert_true(retry_ms > 0);
    return retry_ms;
}

static unsigned take_all(struct rates *r, uint64_t principal, uint64_t now_ms)
{
    unsigned count = 0;
    while (take(r, principal, now_ms)) count++;
    return count;
}

/* Nothing was set: nothing is refused, and nothing kept. */
static void test_without_a_rate_nothing_is_limited(void **state)
{
    struct rates *r = *state;
    for (unsigned i = 0; i < 10000; i++) assert_true(take(r, 1 + i, T0));
    assert_int_equal(r->by_principal.count, 0);
}

/* A full bucket gives its burst at once, then one token as often as the rate says; the time that is
 * told is when the next one comes, and not a millisecond earlier. */
static void test_a_refused_one_is_told_when_the_next_token_comes(void **state)
{
    struct rates *r = *state;
    rates_limit(r, 40, 10);
    assert_int_equal(take_all(r, 7, T0), 10);
    assert_int_equal(refused(r, 7, T0), 25);
    assert_int_equal(refused(r, 7, T0 + 10), 15);
    (void)refused(r, 7, T0 + 24);
    assert_true(take(r, 7, T0 + 25));
    assert_int_equal(refused(r, 7, T0 + 25), 25);
    assert_int_equal(take_all(r, 7, T0 + 125), 4);
    assert_int_equal(take_all(r, 7, T0 + 3600000), 10); /* no more than the burst is saved */
}

/* Over a long time exactly the rate passes, whatever the millisecond. */
static void test_the_rate_is_kept_over_time(void **state)
{
    struct rates *r = *state;
    unsigned count = 0;
    rates_limit(r, 333, 1);
    for (uint64_t ms = 0; ms < 60000; ms += 7) count += take_all(r, 1, T0 + ms);
    assert_true(count > 0 && count <= 1 + 333 * 60);
    rates_close(r);
    assert_int_equal(rates_init(r, BUCKETS), HF_OK);
    rates_limit(r, 333, 0);
    assert_int_equal(take_all(r, 1, T0), 333); /* a second's */
    for (uint64_t ms = 1, got = 0; ms <= 60000; ms++) {
        got += take_all(r, 1, T0 + ms);
        if (ms == 60000) assert_int_equal(got, 333 * 60);
    }
}

/* One principal's hunger is not another's. */
static void test_each_principal_has_a_bucket_of_its_own(void **state)
{
    struct rates *r = *state;
    rates_limit(r, 10, 5);
    assert_int_equal(take_all(r, 1, T0), 5);
    assert_int_equal(take_all(r, 2, T0), 5);
    (void)refused(r, 1, T0);
}

/* A thousand names cost no more memory than twenty: a bucket that has filled up makes room, and as
 * long as none has, all newcomers share one; who has an own one keeps it. */
static void test_many_names_cost_bounded_memory(void **state)
{
    struct rates *r = *state;
    rates_limit(r, 10, 10);
    for (uint64_t p = 1; p <= BUCKETS; p++) assert_int_equal(take_all(r, p, T0), 10);
    unsigned count = 0;
    for (uint64_t p = 1000; p < 2000; p++) count += take_all(r, p, T0);
    assert_int_equal(count, 10); /* of the shared one */
    assert_int_equal(r->by_principal.count, BUCKETS);
    (void)refused(r, 1, T0);

    for (uint64_t p = 2; p <= BUCKETS; p++) (void)take(r, p, T0 + 900); /* but 1, the oldest */
    assert_int_equal(take_all(r, 3000, T0 + 1000), 10); /* instead of 1, which had filled up */
    assert_int_equal(take_all(r, 1, T0 + 1000), 10);    /* of the shared one again */
    assert_int_equal(r->by_principal.count, BUCKETS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_without_a_rate_nothing_is_limited),
        TEST(test_a_refused_one_is_told_when_the_next_token_comes),
        TEST(test_the_rate_is_kept_over_time),
        TEST(test_each_principal_has_a_bucket_of_its_own),
        TEST(test_many_names_cost_bounded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
