#include "tests/unit/storage/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/status.h"
#include "storage/row.h"
#include "storage/store_lmdb.h"
#include "tests/unit/cmocka_all.h"

void store_dir_make(struct store_dir *d)
{
    (void)snprintf(d->parent, sizeof d->parent, "/tmp/holdfast-store-XXXXXX");
    assert_non_null(mkdtemp(d->parent));
    (void)snprintf(d->path, sizeof d->path, "%s/store", d->parent);
}

static void remove_name(const char *directory, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    (void)unlink(path);
}

void store_dir_remove(struct store_dir *d)
{
    remove_name(d->path, "data.mdb");
    remove_name(d->path, "lock.mdb");
    (void)rmdir(d->path);
    assert_int_equal(rmdir(d->parent), 0);
}

/* A small map, since the thread sanitizer pays for every gigabyte of it. */
static const struct store_lmdb_options fixture_options = {.map_bytes = 256U * 1024 * 1024};

struct store *store_dir_open(const struct store_dir *d)
{
    struct store *s = NULL;
    assert_int_equal(store_lmdb_open(d->path, &fixture_options, &s), HF_OK);
    return s;
}

struct store *store_dir_create(const struct store_dir *d)
{
    assert_int_equal(store_lmdb_create(d->path, &fixture_options), HF_OK);
    return store_dir_open(d);
}

struct slice random_key(struct prng *p, uint64_t space, uint8_t out[STORE_KEY_BYTES_MAX])
{
    uint64_t number = prng_below(p, space);
    memset(out, 'p', STORE_KEY_BYTES_MAX);
    if (number % 7 == 0) { /* a number alone */
        put_u64(out, number);
        return slice_make(out, 8);
    }
    if (number % 31 == 0) { /* the longest there is */
        put_u64(out + STORE_KEY_BYTES_MAX - 8, number);
        return slice_make(out, STORE_KEY_BYTES_MAX);
    }
    int size = snprintf((char *)out, STORE_KEY_BYTES_MAX, "tenant/%lu", (unsigned long)number);
    return slice_make(out, (size_t)size);
}

struct slice random_value(struct prng *p, struct buffer *out)
{
    size_t size = (size_t)prng_below(p, 60);
    if (prng_below(p, 20) == 0) size = (size_t)prng_below(p, 3000);
    if (prng_below(p, 400) == 0) size = (size_t)prng_below(p, STORE_VALUE_BYTES_MAX + 1);
    buffer_clear(out);
    assert_int_equal(buffer_reserve(out, size + 8), HF_OK);
    put_u64(out->data, prng_next(p));
    for (size_t i = 8; i < size; i++) out->data[i] = (uint8_t)(out->data[i % 8] + i);
    return slice_make(out->data, size);
}

void random_change(struct store *a, struct store *b, struct prng *p, uint64_t space)
{
    uint8_t bytes[STORE_KEY_BYTES_MAX];
    struct buffer value;
    buffer_init(&value, STORE_VALUE_BYTES_MAX + 8);
    uint8_t table = (uint8_t)prng_below(p, FIXTURE_TABLES);
    struct slice key = random_key(p, space, bytes);
    if (prng_below(p, 5) < 2) {
        int rv = store_del(a, table, key);
        assert_true(rv == HF_OK || rv == HF_ENOTFOUND);
        if (b != NULL) assert_int_equal(store_del(b, table, key), rv);
    } else {
        struct slice v = random_value(p, &value);
        assert_int_equal(store_put(a, table, key, v), HF_OK);
        if (b != NULL) assert_int_equal(store_put(b, table, key, v), HF_OK);
    }
    buffer_close(&value);
}

static void expect_same_walk(struct store *a, struct store *b, uint8_t table, struct slice from,
                             uint64_t rows_max)
{
    struct store_cursor ca, cb;
    struct slice ka, kb, va, vb;
    int ra = store_seek(a, table, from, &ca, &ka, &va);
    int rb = store_seek(b, table, from, &cb, &kb, &vb);
    for (uint64_t i = 0; i < rows_max; i++) {
        assert_int_equal(ra, rb);
        if (ra != HF_OK) break;
        assert_true(slice_equal(ka, kb));
        assert_true(slice_equal(va, vb));
        ra = store_next(&ca, &ka, &va);
        rb = store_next(&cb, &kb, &vb);
    }
    store_cursor_close(&ca);
    store_cursor_close(&cb);
}

void expect_same(struct store *a, struct store *b, bool marks)
{
    for (uint8_t table = 0; table < STORE_TABLE_COUNT_MAX; table++) {
        expect_same_walk(a, b, table, slice_make(NULL, 0), UINT64_MAX);
        assert_int_equal(store_count(a, table), store_count(b, table));
    }
    assert_true(row_hash_equal(store_digest(a), store_digest(b)));
    if (!marks) return;
    const struct store_mark *ma = store_mark(a);
    const struct store_mark *mb = store_mark(b);
    assert_int_equal(ma->index, mb->index);
    assert_int_equal(ma->term, mb->term);
    assert_int_equal(ma->configuration_index, mb->configuration_index);
    assert_true(slice_equal(ma->configuration, mb->configuration));
}

void expect_same_lookups(struct store *a, struct store *b, struct prng *p, uint64_t space)
{
    uint8_t bytes[STORE_KEY_BYTES_MAX];
    for (unsigned i = 0; i < 4; i++) {
        uint8_t table = (uint8_t)prng_below(p, FIXTURE_TABLES);
        struct slice key = random_key(p, space, bytes);
        struct slice va, vb;
        int rv = store_get(a, table, key, &va);
        assert_int_equal(store_get(b, table, key, &vb), rv);
        if (rv == HF_OK) assert_true(slice_equal(va, vb));
        expect_same_walk(a, b, table, key, prng_below(p, 12));
    }
}
