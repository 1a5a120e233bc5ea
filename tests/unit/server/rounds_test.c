/* Rounds of read confirmation: who counts, and which reads a round speaks for. */
#include "server/rounds.h"

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

struct fixture {
    struct rounds rounds;
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
    rounds_init(&f.rounds, UINT64_MAX);
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

static void count(struct fixture *f, uint64_t self)
{
    rounds_count(&f->rounds, buffer_slice(&f->configuration), self);
}

/* The leader and one more of three are a majority; the leader alone is not. */
static void test_a_majority_of_the_voters_confirms(void **state)
{
    struct fixture *f = *state;
    uint64_t round = rounds_join(&f->rounds);
    assert_true(rounds_begin(&f->rounds));
    count(f, 1);
    assert_true(f->rounds.confirmed < round);
    rounds_answer(&f->rounds, 2, round);
    count(f, 1);
    assert_true(f->rounds.confirmed == round);
}

/* A stand-by does not count, nor does one voter twice. */
static void test_only_voters_count_and_once(void **state)
{
    struct fixture *f = *state;
    uint64_t round = rounds_join(&f->rounds);
    assert_true(rounds_begin(&f->rounds));
    rounds_answer(&f->rounds, 4, round);
    count(f, 1);
    assert_true(f->rounds.confirmed < round);
    rounds_answer(&f->rounds, 2, round);
    rounds_answer(&f->rounds, 2, round);
    count(f, 4); /* a leader that is no voter itself */
    assert_true(f->rounds.confirmed < round);
    rounds_answer(&f->rounds, 3, round);
    count(f, 4);
    assert_true(f->rounds.confirmed == round);
}

/* A read that comes while a round is under way waits for the next one. */
static void test_a_round_under_way_takes_no_new_reads(void **state)
{
    struct fixture *f = *state;
    uint64_t first = rounds_join(&f->rounds);
    assert_true(rounds_begin(&f->rounds));
    uint64_t second = rounds_join(&f->rounds);
    assert_true(second > first);
    assert_false(rounds_begin(&f->rounds));
    rounds_answer(&f->rounds, 3, first);
    count(f, 1);
    assert_true(f->rounds.confirmed == first);
    assert_true(rounds_begin(&f->rounds));
    rounds_answer(&f->rounds, 3, first); /* late: it proves nothing about the second */
    count(f, 1);
    assert_true(f->rounds.confirmed < second);
    rounds_answer(&f->rounds, 3, second);
    count(f, 1);
    assert_true(f->rounds.confirmed == second);
    assert_false(rounds_begin(&f->rounds)); /* nobody wants another */
}

/* After a loss of leadership older answers and older rounds prove nothing. */
static void test_a_lost_leadership_confirms_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t round = rounds_join(&f->rounds);
    assert_true(rounds_begin(&f->rounds));
    rounds_forget(&f->rounds);
    rounds_answer(&f->rounds, 2, round);
    count(f, 1);
    assert_true(f->rounds.confirmed < round);
    assert_false(rounds_begin(&f->rounds));
    uint64_t next = rounds_join(&f->rounds);
    assert_true(next > round && rounds_begin(&f->rounds));
    rounds_answer(&f->rounds, 2, round);
    count(f, 1);
    assert_true(f->rounds.confirmed < round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_majority_of_the_voters_confirms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_voters_count_and_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_round_under_way_takes_no_new_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lost_leadership_confirms_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
