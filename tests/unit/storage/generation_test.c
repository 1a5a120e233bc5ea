/* A generation whose rows come and go: what is forgotten is never missed. Random puts and deletions
 * of many more keys than recent ghosts are kept, with hashes that collide, held against an array:
 * every key's row, and the whole order, after each round; memory is bounded by what lives. */
#include "storage/generation.h"

#include "base/prng.h"
#include "base/status.h"
#include "tests/unit/cmocka_all.h"

enum { TABLE = 3, KEYS = 6000, ROUNDS = 120, CHANGES_A_ROUND = 1000, LIVE_BYTES_MAX = 256 };

struct model {
    struct generation g;
    struct expected {
        bool present[KEYS];
        uint32_t value[KEYS];
        bool deleted[KEYS]; /* and the layers below have it */
    } now;
    bool covers[KEYS]; /* the layers below have the key: its deletion is a tombstone */
};

static struct slice key_of(uint8_t *out, uint32_t number)
{
    put_u32(out, number);
    return slice_make(out, 4);
}

/* Few homes, so that rows of the index push each other on, over its end as well. */
static uint64_t hash_of(uint32_t number)
{
    return UINT64_MAX - number % 97;
}

static void put(struct model *m, uint32_t number, uint32_t value)
{
    uint8_t kb[4], vb[4];
    struct slice key = key_of(kb, number);
    struct gen_row *row = generation_find(&m->g, TABLE, key, hash_of(number));
    put_u32(vb, value);
    assert_int_equal(generation_put(&m->g, row, TABLE, key, hash_of(number), m->covers[number],
                                    slice_make(vb, 4), (struct hash128){value, number}),
                     HF_OK);
    m->now.present[number] = true;
    m->now.value[number] = value;
}

static void del(struct model *m, uint32_t number)
{
    uint8_t kb[4];
    struct slice key = key_of(kb, number);
    struct gen_row *row = generation_find(&m->g, TABLE, key, hash_of(number));
    assert_non_null(row);
    assert_int_equal(generation_del(&m->g, row, TABLE, key, hash_of(number), m->covers[number]),
                     HF_OK);
    m->now.present[number] = false;
    m->now.deleted[number] = m->covers[number];
}

/* What a lookup finds: a value, a tombstone, or nothing that hides what is below. */
static void expect_found(const struct model *m)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        uint8_t kb[4];
        const struct gen_row *row = generation_find(&m->g, TABLE, key_of(kb, i), hash_of(i));
        if (m->now.present[i]) {
            assert_non_null(row);
            assert_int_equal(row->state, GEN_VALUE);
            assert_int_equal(get_u32(row->value), m->now.value[i]);
            assert_true(row->hash.high == m->now.value[i] && row->hash.low == i);
        } else if (m->now.deleted[i]) {
            assert_non_null(row);
            assert_int_equal(row->state, GEN_TOMBSTONE);
        } else if (row != NULL) {
            assert_int_equal(row->state, GEN_GHOST);
        }
    }
}

/* Values and tombstones, ascending; ghosts only where a rollback could still revive them. */
static void expect_order(struct model *m)
{
    assert_int_equal(generation_order(&m->g, TABLE), HF_OK);
    struct gen_position p = generation_seek(&m->g, TABLE, slice_make("", 0), false);
    for (uint32_t i = 0; i < KEYS; i++) {
        if (!m->now.present[i] && !m->now.deleted[i]) continue;
        const struct gen_row *row = gen_row_at(p);
        for (; m->g.in_savepoint && row != NULL && row->state == GEN_GHOST; row = gen_row_at(p)) {
            p = gen_position_next(p);
        }
        assert_non_null(row);
        assert_int_equal(get_u32(gen_row_key(row).data), i);
        p = gen_position_next(p);
    }
    const struct gen_row *rest = gen_row_at(p);
    assert_true(rest == NULL || (m->g.in_savepoint && rest->state == GEN_GHOST));
}

static void test_random_lives_and_deaths(void **state)
{
    (void)state;
    static struct model m;
    static struct expected before;
    struct prng prng;
    prng_seed(&prng, 7);
    for (uint32_t i = 0; i < KEYS; i++) m.covers[i] = prng_below(&prng, 8) == 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        /* Ever fewer live, then more again. */
        uint64_t puts_of_ten = round % 10 < 5 ? 7 : 2;
        bool in_savepoint = prng_below(&prng, 2) == 0;
        bool undone = in_savepoint && prng_below(&prng, 2) == 0;
        before = m.now;
        if (in_savepoint) generation_savepoint(&m.g);
        for (unsigned i = 0; i < CHANGES_A_ROUND; i++) {
            uint32_t number = (uint32_t)prng_below(&prng, KEYS);
            if (prng_below(&prng, 10) < puts_of_ten) {
                put(&m, number, (uint32_t)prng_next(&prng));
            } else if (m.now.present[number]) {
                del(&m, number);
            }
        }
        if (prng_below(&prng, 4) == 0) expect_order(&m);
        if (undone) generation_rollback(&m.g);
        if (in_savepoint && !undone) generation_release(&m.g);
        if (undone) m.now = before;
        expect_found(&m);
        if (prng_below(&prng, 4) == 0) expect_order(&m); /* so rows of any age come into it */
    }
    generation_close(&m.g);
}

/* A key that nobody asks for again costs nothing in the end: the index and the pool stay small
 * over any number of lives. */
static void test_short_lives_leave_nothing(void **state)
{
    (void)state;
    static struct model m;
    struct generation *g = &m.g;
    for (uint32_t i = 0; i < 200000; i++) {
        uint8_t kb[4];
        struct slice key = key_of(kb, i);
        uint64_t hash = i * UINT64_C(0x9e3779b97f4a7c15);
        assert_int_equal(
            generation_put(g, NULL, TABLE, key, hash, false, key, (struct hash128){i, i}), HF_OK);
        struct gen_row *row = generation_find(g, TABLE, key, hash);
        assert_int_equal(generation_del(g, row, TABLE, key, hash, false), HF_OK);
    }
    assert_true(g->row_count <= GEN_GHOSTS_MAX + GEN_FANOUT);
    assert_true(generation_bytes(g) <= (uint64_t)2 * GEN_GHOSTS_MAX * LIVE_BYTES_MAX);
    generation_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_lives_and_deaths),
        cmocka_unit_test(test_short_lives_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
