/* Partitions as they are drawn: what each shape cuts and what it leaves, for every seed tried. */
#include "jepsen/run/cut.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

enum { SEEDS = 200, CLIENTS = 2 };

static struct cut cut;
static unsigned servers;

/* Draws a shape and tells each test's claim of it, for 3 and 5 servers and many seeds. */
static void each(enum cut_shape shape, void (*claim)(void))
{
    for (servers = 3; servers <= 5; servers += 2) {
        for (unsigned seed = 0; seed < SEEDS; seed++) {
            struct prng prng;
            struct cut_nodes nodes = {servers, servers + CLIENTS, seed % (servers + 1)};
            prng_seed(&prng, seed);
            cut_draw(&cut, shape, &nodes, &prng);
            assert_int_equal(cut.count, nodes.count);
            assert_int_equal(strncmp(cut.label, cut_name(shape), strlen(cut_name(shape))), 0);
            claim();
        }
    }
}

static bool both_closed(unsigned a, unsigned b)
{
    return cut.closed[a][b] && cut.closed[b][a];
}

/* How many servers hear `from`. */
static unsigned heard_by(unsigned from)
{
    unsigned count = 0;
    for (unsigned to = 0; to < servers; to++) count += to != from && !cut.closed[from][to];
    return count;
}

/* How many servers it hears. */
static unsigned hears(unsigned to)
{
    unsigned count = 0;
    for (unsigned from = 0; from < servers; from++) count += to != from && !cut.closed[from][to];
    return count;
}

static unsigned closed_count(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < cut.count; i++) {
        for (unsigned j = 0; j < cut.count; j++) count += cut.closed[i][j];
    }
    return count;
}

static void claim_one(void)
{
    unsigned alone = 0;
    for (unsigned i = 0; i < servers; i++) {
        if (heard_by(i) == 0 && hears(i) == 0) {
            alone += 1;
        } else {
            assert_int_equal(heard_by(i), servers - 2);
            assert_int_equal(hears(i), servers - 2);
        }
    }
    assert_int_equal(alone, 1);
}

/* One server is alone, the others see each other. */
static void test_one_is_alone_and_the_others_together(void **state)
{
    (void)state;
    each(CUT_ONE, claim_one);
    each(CUT_FLAPPING, claim_one);
}

static void claim_one_way(void)
{
    unsigned mute = 0, deaf = 0;
    for (unsigned i = 0; i < servers; i++) {
        mute += heard_by(i) == 0 && hears(i) == servers - 1;
        deaf += hears(i) == 0 && heard_by(i) == servers - 1;
    }
    assert_int_equal(mute + deaf, 1);
    assert_int_equal(closed_count(), servers - 1);
}

/* One server hears and is not heard, or the other way round; nothing else is cut. */
static void test_one_way_closes_one_direction_of_one_server(void **state)
{
    (void)state;
    each(CUT_ONE_WAY, claim_one_way);
}

static void claim_halves(void)
{
    unsigned minor = 0;
    for (unsigned i = 0; i < servers; i++) {
        minor += heard_by(i) == servers / 2 - 1;
        assert_true(heard_by(i) == servers / 2 - 1 || heard_by(i) == servers / 2);
    }
    assert_int_equal(minor, servers / 2);
    for (unsigned i = 0; i < cut.count; i++) { /* two sides: whom I miss, misses me */
        for (unsigned j = 0; j < cut.count; j++)
            assert_int_equal(cut.closed[i][j], cut.closed[j][i]);
    }
}

/* A minority and a majority, each whole in itself. */
static void test_halves_are_a_minority_and_a_majority(void **state)
{
    (void)state;
    each(CUT_HALVES, claim_halves);
}

static void claim_ring(void)
{
    for (unsigned i = 0; i < servers; i++) {
        if (servers == 3) { /* each is heard by one, and hears the other one */
            assert_int_equal(heard_by(i), 1);
            assert_int_equal(hears(i), 1);
            continue;
        }
        assert_int_equal(heard_by(i), 2); /* with itself three of five */
        assert_int_equal(hears(i), 2);
        for (unsigned j = 0; j < servers; j++) {
            bool same = true;
            for (unsigned k = 0; k < servers && j != i; k++)
                same = same && cut.closed[i][k] == cut.closed[j][k];
            assert_true(i == j || !same);
        }
    }
}

/* Each sees a majority, no two the same one. */
static void test_ring_shows_each_another_majority(void **state)
{
    (void)state;
    each(CUT_RING, claim_ring);
}

static void claim_bridge(void)
{
    unsigned bridges = 0;
    for (unsigned i = 0; i < servers; i++) bridges += heard_by(i) == servers - 1;
    assert_int_equal(bridges, 1);
    for (unsigned i = 0; i < servers; i++) {
        if (heard_by(i) != servers - 1) assert_int_equal(heard_by(i), (servers - 1) / 2);
    }
}

/* Two halves that miss each other, and one server between them. */
static void test_bridge_joins_two_halves_by_one_server(void **state)
{
    (void)state;
    each(CUT_BRIDGE, claim_bridge);
}

static void claim_client(void)
{
    unsigned alone = 0;
    for (unsigned c = servers; c < cut.count; c++) {
        unsigned missed = 0;
        for (unsigned s = 0; s < servers; s++) missed += both_closed(c, s);
        assert_true(missed == 0 || missed == servers);
        alone += missed == servers;
    }
    assert_int_equal(alone, 1);
    assert_int_equal(closed_count(), 2 * servers);
}

/* One client reaches no server, all else is as it was. */
static void test_client_loses_all_servers(void **state)
{
    (void)state;
    each(CUT_CLIENT, claim_client);
}

/* The rules name each closed direction once, and nothing else. */
static void test_rules_say_what_the_matrix_says(void **state)
{
    (void)state;
    static char rules[CUT_RULES_BYTES];
    cut_none(&cut, 7);
    cut_rules(&cut, rules);
    assert_null(strstr(rules, "drop"));
    cut.closed[2][5] = true;
    cut_rules(&cut, rules);
    char *first = strstr(rules, "iifname \"n2\" oifname \"n5\" ether type ip drop");
    assert_non_null(first);
    assert_null(strstr(first + 1, "iifname"));
    memset(cut.closed, 1, sizeof cut.closed);
    cut.count = CUT_NODES_MAX;
    cut_rules(&cut, rules); /* the largest of all fits */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_is_alone_and_the_others_together),
        cmocka_unit_test(test_one_way_closes_one_direction_of_one_server),
        cmocka_unit_test(test_halves_are_a_minority_and_a_majority),
        cmocka_unit_test(test_ring_shows_each_another_majority),
        cmocka_unit_test(test_bridge_joins_two_halves_by_one_server),
        cmocka_unit_test(test_client_loses_all_servers),
        cmocka_unit_test(test_rules_say_what_the_matrix_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
