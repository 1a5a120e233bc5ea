/* The memory store and its treap. It is the oracle of the LMDB store's differential test, so it is
 * held here against something simpler still: an unsorted array. */
#include "storage/store_memory.h"

#include "base/prng.h"
#include "base/status.h"
#include "storage/row.h"
#include "tests/unit/cmocka_all.h"

enum { MODEL_TABLES = 3, MODEL_KEYS = 64 };

/* present and value by table and key number: the whole model */
struct model {
    bool present[MODEL_TABLES][MODEL_KEYS];
    uint32_t value[MODEL_TABLES][MODEL_KEYS];
};

static struct slice key_of(uint8_t *out, uint64_t number)
{
    out[0] = (uint8_t)(number + 1); /* distinct, and in byte order of the number */
    memset(out + 1, 'k', number % 5);
    return slice_make(out, 1 + number % 5);
}

static struct slice value_of(uint8_t *out, uint32_t value)
{
    put_u32(out, value);
    return slice_make(out, 4);
}

static void expect_equal(struct store *s, const struct model *m)
{
    struct hash128 digest = {0, 0};
    for (uint8_t table = 0; table < MODEL_TABLES; table++) {
        struct store_cursor c;
        struct slice key, value;
        uint64_t count = 0;
        int rv = store_seek(s, table, slice_make(NULL, 0), &c, &key, &value);
        for (uint64_t n = 0; n < MODEL_KEYS; n++) {
            if (!m->present[table][n]) continue;
            uint8_t kb[8], vb[4];
            struct slice want_key = key_of(kb, n);
            struct slice want = value_of(vb, m->value[table][n]);
            assert_int_equal(rv, HF_OK);
            assert_true(slice_equal(key, want_key));
            assert_true(slice_equal(value, want));
            digest = digest_add(digest, row_hash(table, want_key, want));
            count += 1;
            rv = store_next(&c, &key, &value);
        }
        assert_int_equal(rv, HF_ENOTFOUND);
        store_cursor_close(&c);
        assert_int_equal(store_count(s, table), count);
    }
    assert_true(row_hash_equal(store_digest(s), digest));
    assert_int_equal(store_verify(s), HF_OK);
}

static void random_change(struct store *s, struct model *m, struct prng *p)
{
    uint8_t table = (uint8_t)prng_below(p, MODEL_TABLES);
    uint64_t n = prng_below(p, MODEL_KEYS);
    uint8_t kb[8], vb[4];
    if (prng_below(p, 3) == 0) {
        int want = m->present[table][n] ? HF_OK : HF_ENOTFOUND;
        assert_int_equal(store_del(s, table, key_of(kb, n)), want);
        m->present[table][n] = false;
    } else {
        uint32_t value = (uint32_t)prng_next(p);
        assert_int_equal(store_put(s, table, key_of(kb, n), value_of(vb, value)), HF_OK);
        m->present[table][n] = true;
        m->value[table][n] = value;
    }
}

/* Whatever is put, deleted, undone, flushed and lost in a crash: the store equals the model. */
static void test_the_store_equals_an_array(void **state)
{
    (void)state;
    struct store *s;
    assert_int_equal(store_memory_open(&s), HF_OK);
    static struct model live, frozen, durable;
    struct prng p;
    prng_seed(&p, 7);
    for (uint64_t round = 1; round <= 400; round++) {
        struct model before = live;
        bool savepoint = prng_below(&p, 2) == 0;
        if (savepoint) store_savepoint(s);
        for (uint64_t i = prng_below(&p, 20); i > 0; i--) random_change(s, &live, &p);
        if (savepoint && prng_below(&p, 2) == 0) {
            assert_int_equal(store_rollback(s), HF_OK);
            live = before;
        } else if (savepoint) {
            store_release(s);
        }
        struct store_mark mark = {.index = round, .term = 3, .configuration = slice_of("config")};
        switch (prng_below(&p, 6)) {
        case 0:
            if (store_is_flushing(s)) {
                assert_int_equal(store_checkpoint(s, &mark), HF_ETOOBUSY);
                break;
            }
            assert_int_equal(store_checkpoint(s, &mark), HF_OK);
            frozen = live;
            break;
        case 1:
            if (!store_is_flushing(s)) break;
            assert_int_equal(store_flush_run(s), HF_OK);
            durable = frozen;
            if (prng_below(&p, 2) == 0) assert_int_equal(store_flush_done(s), HF_OK);
            break;
        case 2:
            assert_int_equal(store_memory_crash(s), HF_OK);
            live = durable;
            break;
        default: break;
        }
        expect_equal(s, &live);
    }
    store_close(s);
}

/* The mark moves only when a flush is reported done, and a crash goes back to exactly it. */
static void test_a_crash_returns_to_the_last_flushed_mark(void **state)
{
    (void)state;
    struct store *s;
    assert_int_equal(store_memory_open(&s), HF_OK);
    struct store_mark mark = {
        .index = 5, .term = 2, .configuration_index = 4, .configuration = slice_of("c1")};
    assert_int_equal(store_put(s, 0, slice_of("a"), slice_of("1")), HF_OK);
    assert_int_equal(store_checkpoint(s, &mark), HF_OK);
    assert_int_equal(store_put(s, 0, slice_of("a"), slice_of("2")), HF_OK);
    assert_int_equal(store_mark(s)->index, 0);
    assert_int_equal(store_flush_run(s), HF_OK);
    assert_int_equal(store_flush_done(s), HF_OK);
    assert_int_equal(store_mark(s)->index, 5);

    mark.index = 6;
    assert_int_equal(store_checkpoint(s, &mark), HF_OK);
    assert_int_equal(store_memory_crash(s), HF_OK); /* before it was written */
    struct slice value;
    assert_int_equal(store_get(s, 0, slice_of("a"), &value), HF_OK);
    assert_true(slice_equal(value, slice_of("1")));
    assert_int_equal(store_mark(s)->index, 5);
    assert_int_equal(store_mark(s)->term, 2);
    assert_int_equal(store_mark(s)->configuration_index, 4);
    assert_true(slice_equal(store_mark(s)->configuration, slice_of("c1")));
    store_close(s);
}

/* A full disk leaves the generation in place, and the next try writes it. */
static void test_a_failed_flush_can_be_repeated(void **state)
{
    (void)state;
    struct store *s;
    assert_int_equal(store_memory_open(&s), HF_OK);
    struct store_mark mark = {.index = 9};
    assert_int_equal(store_put(s, 1, slice_of("a"), slice_of("")), HF_OK);
    assert_int_equal(store_checkpoint(s, &mark), HF_OK);
    store_memory_fail_flush(s, 2, HF_EDISKFULL);
    assert_int_equal(store_flush_run(s), HF_EDISKFULL);
    assert_int_equal(store_flush_run(s), HF_EDISKFULL);
    assert_true(store_is_flushing(s));
    assert_int_equal(store_flush_run(s), HF_OK);
    assert_int_equal(store_memory_crash(s), HF_OK); /* durable although never reported done */
    assert_int_equal(store_count(s, 1), 1);
    assert_int_equal(store_mark(s)->index, 9);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_store_equals_an_array),
        cmocka_unit_test(test_a_crash_returns_to_the_last_flushed_mark),
        cmocka_unit_test(test_a_failed_flush_can_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
