/* Comparing states: what an offer says and when the next one comes, and whose word counts. */
#include "server/digests.h"

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

static const struct hash128 right = {1, 2}, wrong = {1, 3};

struct fixture {
    struct digests digests;
    struct buffer configuration; /* three voters, 1 to 3, and a stand-by, 4 */
};

static int setup(void **state)
{
    static struct fixture f;
    struct configuration_server servers[] = {
        {1, "one", SERVER_VOTER},
        {2, "two", SERVER_VOTER},
        {3, "three", SERVER_VOTER},
        {4, "four", SERVER_STANDBY},
    };
    f.digests = (struct digests){0};
    buffer_init(&f.configuration, 1024);
    assert_int_equal(configuration_encode(servers, 4, &f.configuration), HF_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buffer_close(&f->configuration);
    return 0;
}

static bool count(struct fixture *f)
{
    return digests_count(&f->digests, buffer_slice(&f->configuration), 1);
}

static uint64_t offer(struct fixture *f, bool *agreed)
{
    return digests_offer(&f->digests, agreed).index;
}

static void test_states_are_kept_and_compared(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(digests_compare(&f->digests, 0, right), DIGEST_NOT_KNOWN);
    for (uint64_t i = 1; i <= DIGESTS_KEPT + 1; i++) digests_note(&f->digests, 10 * i, right);
    assert_int_equal(digests_compare(&f->digests, 20, right), DIGEST_SAME);
    assert_int_equal(digests_compare(&f->digests, 20, wrong), DIGEST_OTHER);
    assert_int_equal(digests_compare(&f->digests, 25, right), DIGEST_NOT_KNOWN);
    assert_int_equal(digests_compare(&f->digests, 10, wrong), DIGEST_NOT_KNOWN); /* too old */
}

/* An offer stands until a majority has it and was told so, or nobody knows it for long. */
static void test_the_next_offer_comes_when_one_is_settled(void **state)
{
    struct fixture *f = *state;
    bool agreed = true;
    assert_int_equal(offer(f, &agreed), 0);
    assert_false(agreed);
    digests_note(&f->digests, 10, right);
    assert_int_equal(offer(f, &agreed), 10);
    digests_note(&f->digests, 20, right);
    assert_int_equal(offer(f, &agreed), 10);
    assert_false(agreed);
    digests_answer(&f->digests, 2, 10, DIGEST_SAME);
    assert_true(count(f));
    assert_int_equal(offer(f, &agreed), 10); /* who has another state learns it here */
    assert_true(agreed);
    assert_int_equal(offer(f, &agreed), 20);
    assert_false(agreed);
    for (int i = 1; i < DIGESTS_OFFERED_MAX; i++) assert_int_equal(offer(f, &agreed), 20);
    assert_int_equal(offer(f, &agreed), 20); /* nothing newer */
    digests_note(&f->digests, 30, right);
    assert_int_equal(offer(f, &agreed), 30);
}

/* One of three that differs is no majority against the leader; two are. */
static void test_a_majority_that_differs_is_right(void **state)
{
    struct fixture *f = *state;
    bool agreed;
    digests_note(&f->digests, 10, right);
    (void)offer(f, &agreed);
    digests_answer(&f->digests, 3, 10, DIGEST_OTHER);
    assert_true(count(f));
    (void)offer(f, &agreed);
    assert_false(agreed);
    digests_answer(&f->digests, 2, 10, DIGEST_OTHER);
    assert_false(count(f));
}

/* A stand-by has no voice, a voter one, and whoever does not know none. */
static void test_only_voters_count_and_once(void **state)
{
    struct fixture *f = *state;
    bool agreed;
    digests_note(&f->digests, 10, right);
    (void)offer(f, &agreed);
    digests_answer(&f->digests, 4, 10, DIGEST_SAME);
    digests_answer(&f->digests, 2, 10, DIGEST_NOT_KNOWN);
    digests_answer(&f->digests, 3, 20, DIGEST_SAME); /* of another offer */
    assert_true(count(f));
    (void)offer(f, &agreed);
    assert_false(agreed);
    digests_answer(&f->digests, 4, 10, DIGEST_OTHER);
    digests_answer(&f->digests, 3, 10, DIGEST_OTHER);
    digests_answer(&f->digests, 3, 10, DIGEST_OTHER);
    assert_true(count(f));
    digests_answer(&f->digests, 2, 10, DIGEST_SAME);
    assert_true(count(f));
    (void)offer(f, &agreed);
    assert_true(agreed);
}

/* What was answered to an earlier leadership says nothing of this one. */
static void test_a_new_leadership_begins_anew(void **state)
{
    struct fixture *f = *state;
    bool agreed;
    digests_note(&f->digests, 10, right);
    (void)offer(f, &agreed);
    digests_answer(&f->digests, 2, 10, DIGEST_OTHER);
    digests_forget(&f->digests);
    assert_int_equal(offer(f, &agreed), 10);
    digests_answer(&f->digests, 3, 10, DIGEST_OTHER);
    assert_true(count(f));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_states_are_kept_and_compared),
        CASE(test_the_next_offer_comes_when_one_is_settled),
        CASE(test_a_majority_that_differs_is_right),
        CASE(test_only_voters_count_and_once),
        CASE(test_a_new_leadership_begins_anew),
    };
    return cmocka_run_group_tests_name("digests", tests, NULL, NULL);
}
