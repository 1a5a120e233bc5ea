/* The LMDB store against the memory store: whatever is done to both, both show the same. */
#include "storage/store_lmdb.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "storage/row.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/storage/store_fixture.h"

struct pair {
    struct store_dir dir;
    struct store *disk;
    struct store *memory;
    struct prng prng;
    uint64_t index;           /* of the next mark */
    uint64_t space;           /* different keys */
    struct store_cursor c[2]; /* a walk over both that goes on between the changes */
    bool walking;
};

static void pair_open(struct pair *p, uint64_t seed, uint64_t space)
{
    *p = (struct pair){.space = space};
    prng_seed(&p->prng, seed);
    store_dir_make(&p->dir);
    p->disk = store_dir_create(&p->dir);
    assert_int_equal(store_memory_open(&p->memory), HF_OK);
}

static void pair_stop_walking(struct pair *p)
{
    store_cursor_close(&p->c[0]);
    store_cursor_close(&p->c[1]);
    p->walking = false;
}

static void pair_close(struct pair *p)
{
    pair_stop_walking(p);
    store_close(p->disk);
    store_close(p->memory);
    store_dir_remove(&p->dir);
}

static void pair_crash(struct pair *p)
{
    pair_stop_walking(p);
    store_close(p->disk);
    p->disk = store_dir_open(&p->dir);
    assert_int_equal(store_memory_crash(p->memory), HF_OK);
    p->index = store_mark(p->memory)->index;
    expect_same(p->disk, p->memory, true);
}

static void pair_checkpoint(struct pair *p)
{
    char configuration[32];
    int size = snprintf(configuration, sizeof configuration, "%lu", (unsigned long)p->index);
    struct store_mark mark = {.index = ++p->index,
                              .term = p->index / 3,
                              .configuration_index = p->index / 2,
                              .configuration = slice_make(configuration, (size_t)size % 3)};
    int rv = store_checkpoint(p->disk, &mark);
    assert_int_equal(store_checkpoint(p->memory, &mark), rv);
    assert_int_equal(rv, HF_OK);
}

static void pair_flush(struct pair *p)
{
    assert_int_equal(store_flush_run(p->disk), HF_OK);
    assert_int_equal(store_flush_run(p->memory), HF_OK);
    if (prng_below(&p->prng, 4) == 0) {
        pair_crash(p);
        return;
    }
    assert_int_equal(store_flush_done(p->disk), HF_OK);
    assert_int_equal(store_flush_done(p->memory), HF_OK);
    assert_false(store_is_flushing(p->disk));
}

/* As the machine takes what is due: the first row of a table, away with it, and again. */
static void pair_sweep(struct pair *p)
{
    uint8_t table = (uint8_t)prng_below(&p->prng, FIXTURE_TABLES);
    for (uint64_t i = prng_below(&p->prng, 40); i > 0; i--) {
        struct store_cursor ca, cb;
        struct slice ka, kb, va, vb;
        int rv = store_seek(p->disk, table, slice_make(NULL, 0), &ca, &ka, &va);
        assert_int_equal(store_seek(p->memory, table, slice_make(NULL, 0), &cb, &kb, &vb), rv);
        if (rv == HF_OK) {
            assert_true(slice_equal(ka, kb));
            assert_int_equal(store_del(p->disk, table, ka), HF_OK);
            assert_int_equal(store_del(p->memory, table, kb), HF_OK);
        }
        store_cursor_close(&ca);
        store_cursor_close(&cb);
        if (prng_below(&p->prng, 4) == 0) random_change(p->disk, p->memory, &p->prng, p->space);
    }
}

static void pair_savepoint(struct pair *p)
{
    store_savepoint(p->disk);
    store_savepoint(p->memory);
    if (prng_below(&p->prng, 3) == 0) pair_sweep(p);
    for (uint64_t i = prng_below(&p->prng, 30); i > 0; i--) {
        random_change(p->disk, p->memory, &p->prng, p->space);
    }
    if (prng_below(&p->prng, 2) == 0) {
        assert_int_equal(store_rollback(p->disk), HF_OK);
        assert_int_equal(store_rollback(p->memory), HF_OK);
    } else {
        store_release(p->disk);
        store_release(p->memory);
    }
}

/* One step of the long walk: it must go on alike over whatever happened since the last one. */
static void pair_walk(struct pair *p)
{
    struct slice ka, kb, va, vb;
    int ra, rb;
    if (!p->walking) {
        uint8_t bytes[STORE_KEY_BYTES_MAX];
        uint8_t table = (uint8_t)prng_below(&p->prng, FIXTURE_TABLES);
        struct slice from = random_key(&p->prng, p->space, bytes);
        ra = store_seek(p->disk, table, from, &p->c[0], &ka, &va);
        rb = store_seek(p->memory, table, from, &p->c[1], &kb, &vb);
        p->walking = true;
    } else {
        ra = store_next(&p->c[0], &ka, &va);
        rb = store_next(&p->c[1], &kb, &vb);
    }
    assert_int_equal(ra, rb);
    if (ra == HF_OK) {
        assert_true(slice_equal(ka, kb));
        assert_true(slice_equal(va, vb));
    }
    if (prng_below(&p->prng, 40) == 0) pair_stop_walking(p);
}

static void pair_step(struct pair *p)
{
    uint64_t dice = prng_below(&p->prng, 1000);
    if (dice < 700) {
        random_change(p->disk, p->memory, &p->prng, p->space);
    } else if (dice < 850) {
        pair_walk(p);
    } else if (dice < 900) {
        expect_same_lookups(p->disk, p->memory, &p->prng, p->space);
    } else if (dice < 960) {
        pair_savepoint(p);
    } else if (dice < 965) {
        pair_sweep(p);
    } else if (dice < 990) {
        if (store_is_flushing(p->disk)) {
            pair_flush(p);
        } else {
            pair_checkpoint(p);
        }
    } else if (dice < 993) {
        pair_crash(p);
    } else {
        expect_same(p->disk, p->memory, true);
        assert_int_equal(store_verify(p->disk), HF_OK);
        assert_int_equal(store_verify(p->memory), HF_OK);
    }
}

/* Thousands of random steps over few keys (much overwriting) and many (deep trees). */
static void test_the_two_stores_show_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct pair p;
        pair_open(&p, seed, seed % 2 == 0 ? 60 : 5000);
        for (unsigned step = 0; step < 4000; step++) pair_step(&p);
        pair_crash(&p);
        pair_close(&p);
    }
}

/* A generation of many thousand rows, in random and in rising order, deletions included. */
static void test_a_large_generation_arrives_whole(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, 77, 30000);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 20000; i++) {
            uint8_t key[8];
            put_u64(key, p.index * 100000 + i);
            if (i % 2 == 0) {
                random_change(p.disk, p.memory, &p.prng, p.space);
            } else {
                assert_int_equal(store_put(p.disk, 0, slice_make(key, 8), slice_of("rising")), 0);
                assert_int_equal(store_put(p.memory, 0, slice_make(key, 8), slice_of("rising")), 0);
            }
        }
        expect_same(p.disk, p.memory, true);
        pair_checkpoint(&p);
        assert_int_equal(store_flush_run(p.disk), HF_OK);
        assert_int_equal(store_flush_run(p.memory), HF_OK);
        pair_crash(&p);
    }
    pair_close(&p);
}

/* Queues and logs come and go in whole stretches: leaves of the order become empty, anywhere. */
static void test_stretches_come_and_go_within_a_generation(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, 5, 100);
    bool here[2000] = {false};
    for (unsigned round = 0; round < 300; round++) {
        uint64_t from = prng_below(&p.prng, HF_ARRAY_COUNT(here));
        uint64_t to = from + prng_below(&p.prng, 400);
        if (to > HF_ARRAY_COUNT(here)) to = HF_ARRAY_COUNT(here);
        bool put = prng_below(&p.prng, 2) == 0;
        for (uint64_t i = from; i < to; i++) {
            uint8_t bytes[8];
            put_u64(bytes, i);
            struct slice key = slice_make(bytes, 8);
            int want = put || here[i] ? HF_OK : HF_ENOTFOUND;
            for (unsigned s = 0; s < 2; s++) {
                struct store *store = s == 0 ? p.disk : p.memory;
                int rv = put ? store_put(store, 1, key, key) : store_del(store, 1, key);
                assert_int_equal(rv, want);
            }
            here[i] = put;
        }
        expect_same(p.disk, p.memory, true);
        if (round % 50 == 49) {
            pair_checkpoint(&p);
            pair_flush(&p);
            for (uint64_t i = 0; i < HF_ARRAY_COUNT(here); i++) { /* a crash may have gone back */
                uint8_t bytes[8];
                struct slice value;
                put_u64(bytes, i);
                here[i] = store_get(p.memory, 1, slice_make(bytes, 8), &value) == HF_OK;
            }
        }
    }
    pair_close(&p);
}

/* The digest is a function of the rows, not of the way that led to them. */
static void test_the_digest_does_not_depend_on_the_order(void **state)
{
    (void)state;
    struct store *a, *b;
    assert_int_equal(store_memory_open(&a), HF_OK);
    assert_int_equal(store_memory_open(&b), HF_OK);
    for (uint8_t i = 0; i < 200; i++) {
        uint8_t j = (uint8_t)(199 - i);
        assert_int_equal(store_put(a, i % 3, slice_make(&i, 1), slice_make(&i, 1)), HF_OK);
        assert_int_equal(store_put(b, j % 3, slice_make(&j, 1), slice_of("other")), HF_OK);
        assert_int_equal(store_put(b, j % 3, slice_make(&j, 1), slice_make(&j, 1)), HF_OK);
    }
    assert_true(row_hash_equal(store_digest(a), store_digest(b)));
    uint8_t i = 7;
    assert_int_equal(store_put(a, 1, slice_make(&i, 1), slice_of("x")), HF_OK);
    assert_false(row_hash_equal(store_digest(a), store_digest(b)));
    store_close(a);
    store_close(b);
}

/* Swapping two values, or moving one to another table, changes the digest. */
static void test_the_digest_is_bound_to_table_and_key(void **state)
{
    (void)state;
    struct hash128 a = digest_add(row_hash(1, slice_of("k1"), slice_of("v1")),
                                  row_hash(1, slice_of("k2"), slice_of("v2")));
    struct hash128 swapped = digest_add(row_hash(1, slice_of("k1"), slice_of("v2")),
                                        row_hash(1, slice_of("k2"), slice_of("v1")));
    struct hash128 moved = digest_add(row_hash(2, slice_of("k1"), slice_of("v1")),
                                      row_hash(1, slice_of("k2"), slice_of("v2")));
    assert_false(row_hash_equal(a, swapped));
    assert_false(row_hash_equal(a, moved));
}

static void flush(struct store *s)
{
    assert_int_equal(store_flush_run(s), HF_OK);
    assert_int_equal(store_flush_done(s), HF_OK);
}

/* A value may be put back from where it was borrowed: another row, its own, and each layer. */
static void test_a_borrowed_value_can_be_put(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, 1, 10);
    struct slice v;
    assert_int_equal(store_put(p.disk, 0, slice_of("a"), slice_of("0123456789")), HF_OK);
    for (unsigned layer = 0; layer < 3; layer++) {
        assert_int_equal(store_get(p.disk, 0, slice_of("a"), &v), HF_OK);
        assert_int_equal(store_put(p.disk, 0, slice_of("b"), v), HF_OK);
        assert_int_equal(store_get(p.disk, 0, slice_of("a"), &v), HF_OK);
        assert_int_equal(store_put(p.disk, 0, slice_of("a"), slice_make(v.data + 1, v.size - 1)),
                         HF_OK);
        assert_int_equal(store_get(p.disk, 0, slice_of("a"), &v), HF_OK);
        const char *want = "0123456789";
        assert_true(slice_equal(v, slice_of(want + layer + 1)));
        assert_int_equal(store_get(p.disk, 0, slice_of("b"), &v), HF_OK);
        assert_true(slice_equal(v, slice_of(want + layer)));

        if (store_is_flushing(p.disk)) flush(p.disk);
        struct store_mark mark = {.index = layer + 1};
        assert_int_equal(store_checkpoint(p.disk, &mark), HF_OK);
        if (layer > 0) flush(p.disk); /* so that one round reads from the flushing generation */
    }
    pair_close(&p);
}

/* A walk that deletes what it meets and inserts behind itself meets each row once. */
static void test_a_walk_survives_the_changes_it_makes(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, 1, 10);
    for (uint8_t i = 0; i < 100; i++) {
        assert_int_equal(store_put(p.disk, 3, slice_make(&i, 1), slice_of("v")), HF_OK);
        if (i != 50) continue;
        struct store_mark mark = {.index = 1};
        assert_int_equal(store_checkpoint(p.disk, &mark), HF_OK);
        assert_int_equal(store_flush_run(p.disk), HF_OK);
        assert_int_equal(store_flush_done(p.disk), HF_OK);
    }
    struct store_cursor c;
    struct slice key, value;
    unsigned met = 0;
    int rv = store_seek(p.disk, 3, slice_make(NULL, 0), &c, &key, &value);
    for (; rv == HF_OK; rv = store_next(&c, &key, &value)) {
        uint8_t at = key.data[0];
        uint8_t before[2] = {at, 0xff};
        before[0] = (uint8_t)(at == 0 ? 0 : at - 1);
        met += 1;
        assert_int_equal(store_del(p.disk, 3, key), HF_OK);
        assert_int_equal(store_put(p.disk, 4, slice_make(&at, 1), slice_of("moved")), HF_OK);
        if (at > 0) assert_int_equal(store_put(p.disk, 3, slice_make(before, 2), slice_of("")), 0);
    }
    store_cursor_close(&c);
    assert_int_equal(rv, HF_ENOTFOUND);
    assert_int_equal(met, 100);
    assert_int_equal(store_count(p.disk, 4), 100);
    assert_int_equal(store_count(p.disk, 3), 99);
    pair_close(&p);
}

/* A map that is too small refuses the flush, changes nothing, and a larger one takes all. */
static void test_a_full_map_loses_nothing(void **state)
{
    (void)state;
    struct store_dir dir;
    store_dir_make(&dir);
    struct store_lmdb_options small = {.map_bytes = 256 * 1024};
    struct store *s, *memory;
    assert_int_equal(store_lmdb_create(dir.path, &small), HF_OK);
    assert_int_equal(store_lmdb_open(dir.path, &small, &s), HF_OK);
    assert_int_equal(store_memory_open(&memory), HF_OK);
    struct prng prng;
    prng_seed(&prng, 3);
    struct store_mark mark = {.index = 1};
    for (unsigned i = 0; i < 100; i++) random_change(s, memory, &prng, 1000);
    assert_int_equal(store_checkpoint(s, &mark), HF_OK);
    assert_int_equal(store_flush_run(s), HF_OK);
    assert_int_equal(store_flush_done(s), HF_OK);
    mark.index = 2;
    for (unsigned i = 0; i < 5000; i++) random_change(s, memory, &prng, 5000);
    assert_int_equal(store_checkpoint(s, &mark), HF_OK);
    assert_int_equal(store_flush_run(s), HF_EDISKFULL);
    assert_int_equal(store_flush_run(s), HF_EDISKFULL); /* weather: as often as you like */
    assert_int_equal(store_mark(s)->index, 1);
    for (unsigned i = 0; i < 100; i++) random_change(s, memory, &prng, 5000);
    expect_same(s, memory, false);
    assert_int_equal(store_verify(s), HF_OK);
    store_close(s);

    s = store_dir_open(&dir); /* what the small map held is there, and only that */
    assert_int_equal(store_mark(s)->index, 1);
    assert_int_equal(store_verify(s), HF_OK);
    store_close(s);
    store_close(memory);
    store_dir_remove(&dir);
}

/* The rows' share is used up before the map is: what frees can still be flushed, and frees. */
static void test_a_store_without_room_can_be_emptied(void **state)
{
    (void)state;
    struct store_dir dir;
    struct store *s;
    struct store_mark mark = {.index = 0};
    struct store_lmdb_options options = {.map_bytes = 64 << 20, .rows_bytes_max = 4 << 20};
    uint8_t key[4];
    uint8_t value[1000] = {0};
    uint32_t count = 0;
    store_dir_make(&dir);
    assert_int_equal(store_lmdb_create(dir.path, &options), HF_OK);
    assert_int_equal(store_lmdb_open(dir.path, &options, &s), HF_OK);
    while (store_has_room(s)) {
        for (unsigned i = 0; i < 500; i++) {
            put_u32(key, ++count);
            struct slice bytes = slice_make(value, sizeof value);
            assert_int_equal(store_put(s, 0, slice_make(key, sizeof key), bytes), HF_OK);
        }
        mark.index += 1;
        assert_int_equal(store_checkpoint(s, &mark), HF_OK);
        assert_int_equal(store_flush_run(s), HF_OK);
        assert_int_equal(store_flush_done(s), HF_OK);
        assert_true(count < 10000);
    }
    assert_true(count > 2000);
    assert_true(store_free_inside(s) < 1 << 20); /* pages that the last flushes wrote anew */
    for (; count > 0; count--) {
        put_u32(key, count);
        assert_int_equal(store_del(s, 0, slice_make(key, sizeof key)), HF_OK);
    }
    mark.index += 1;
    assert_int_equal(store_checkpoint(s, &mark), HF_OK);
    assert_int_equal(store_flush_run(s), HF_OK);
    assert_int_equal(store_flush_done(s), HF_OK);
    assert_true(store_has_room(s));
    uint64_t given_up = store_free_inside(s);
    assert_true(given_up > 3 << 20);
    store_close(s);
    assert_int_equal(store_lmdb_open(dir.path, &options, &s), HF_OK);
    assert_int_equal(store_free_inside(s), given_up);
    store_close(s);
    store_dir_remove(&dir);
}

/* Making a store twice, or opening none, is refused; an interrupted creation leaves none. */
static void test_a_store_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    struct store_dir dir;
    struct store *s;
    store_dir_make(&dir);
    assert_int_equal(store_lmdb_open(dir.path, NULL, &s), HF_ENOTFOUND);
    assert_int_equal(store_lmdb_create(dir.path, NULL), HF_OK);
    assert_int_equal(store_lmdb_create(dir.path, NULL), HF_EEXIST);
    s = store_dir_open(&dir);
    assert_int_equal(store_mark(s)->index, 0);
    assert_int_equal(store_count(s, 0), 0);
    store_close(s);
    store_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_two_stores_show_the_same),
        cmocka_unit_test(test_a_large_generation_arrives_whole),
        cmocka_unit_test(test_stretches_come_and_go_within_a_generation),
        cmocka_unit_test(test_the_digest_does_not_depend_on_the_order),
        cmocka_unit_test(test_the_digest_is_bound_to_table_and_key),
        cmocka_unit_test(test_a_borrowed_value_can_be_put),
        cmocka_unit_test(test_a_walk_survives_the_changes_it_makes),
        cmocka_unit_test(test_a_full_map_loses_nothing),
        cmocka_unit_test(test_a_store_without_room_can_be_emptied),
        cmocka_unit_test(test_a_store_is_made_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
