/* Images: out of one store, into another, and refused if a bit of them is wrong. */
#include "storage/image.h"

#include "base/status.h"
#include "storage/store_lmdb.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/storage/store_fixture.h"

enum { KEYS = 2000, IMAGE_BYTES_MAX = 64 * 1024 * 1024 };

static const struct store_lmdb_options options = {.map_bytes = 256U * 1024 * 1024};

struct source {
    struct slice rest; /* what was not read yet */
};

static int take(struct slice bytes, void *data)
{
    return buffer_append(data, bytes.data, bytes.size);
}

static int give(void *out, size_t bytes, void *data)
{
    struct source *s = data;
    if (bytes > s->rest.size) return HF_ECORRUPT;
    memcpy(out, s->rest.data, bytes);
    s->rest = slice_make(s->rest.data + bytes, s->rest.size - bytes);
    return HF_OK;
}

static int refuse(struct slice bytes, void *data)
{
    size_t *left = data;
    if (bytes.size > *left) return HF_EDISKFULL;
    *left -= bytes.size;
    return HF_OK;
}

static void flush(struct store *s, uint64_t index)
{
    struct store_mark mark = {
        .index = index, .term = 4, .configuration = slice_of("three servers")};
    assert_int_equal(store_checkpoint(s, &mark), HF_OK);
    assert_int_equal(store_flush_run(s), HF_OK);
    assert_int_equal(store_flush_done(s), HF_OK);
}

/* An LMDB store and a memory store with the same flushed state, and changes on top. */
static void fill(struct store *s, struct store *memory, uint64_t seed)
{
    struct prng prng;
    prng_seed(&prng, seed);
    for (uint64_t i = 1; i <= 3; i++) {
        for (unsigned j = 0; j < 2000; j++) random_change(s, memory, &prng, KEYS);
        flush(s, i);
        flush(memory, i);
    }
    for (unsigned j = 0; j < 100; j++) random_change(s, memory, &prng, KEYS);
}

static void export(struct store *s, struct buffer *image)
{
    uint64_t index = 0;
    buffer_init(image, IMAGE_BYTES_MAX);
    assert_int_equal(store_export(s, take, image, &index), HF_OK);
    assert_int_equal(index, 3);
}

/* The last flushed state leaves, whatever was done since; the same bytes from both; and arrives. */
static void test_an_image_carries_the_flushed_state(void **state)
{
    (void)state;
    struct store_dir dir, other;
    struct store *memory, *memory_copy;
    struct buffer image, same;
    store_dir_make(&dir);
    store_dir_make(&other);
    struct store *s = store_dir_create(&dir);
    assert_int_equal(store_memory_open(&memory), HF_OK);
    assert_int_equal(store_memory_open(&memory_copy), HF_OK);
    fill(s, memory, 1);
    export(s, &image);
    export(memory, &same);
    assert_true(slice_equal(buffer_slice(&image), buffer_slice(&same)));

    struct source source = {buffer_slice(&image)};
    assert_int_equal(store_lmdb_import(other.path, &options, give, &source), HF_OK);
    assert_int_equal(source.rest.size, 0);
    source.rest = buffer_slice(&image);
    assert_int_equal(store_memory_import(memory_copy, give, &source), HF_OK);
    assert_int_equal(store_memory_crash(memory), HF_OK);
    struct store *copy = store_dir_open(&other);
    expect_same(copy, memory, true);
    expect_same(memory_copy, memory, true);
    assert_int_equal(store_memory_crash(memory_copy), HF_OK); /* it is durable at once */
    expect_same(memory_copy, memory, true);
    flush(copy, 9);
    store_close(copy);
    copy = store_dir_open(&other);
    assert_int_equal(store_mark(copy)->index, 9);

    store_close(copy);
    store_close(s);
    store_close(memory);
    store_close(memory_copy);
    buffer_close(&image);
    buffer_close(&same);
    store_dir_remove(&dir);
    store_dir_remove(&other);
}

/* An import over a store that is there: its rows are gone, the image's are there. */
static void test_an_import_replaces_a_closed_store(void **state)
{
    (void)state;
    struct store_dir dir, other;
    struct store *memory, *elder;
    struct buffer image;
    store_dir_make(&dir);
    store_dir_make(&other);
    struct store *s = store_dir_create(&dir);
    assert_int_equal(store_memory_open(&memory), HF_OK);
    assert_int_equal(store_memory_open(&elder), HF_OK);
    fill(s, memory, 2);
    export(s, &image);
    struct store *old = store_dir_create(&other);
    fill(old, elder, 3);
    store_close(old);

    struct source source = {buffer_slice(&image)};
    assert_int_equal(store_lmdb_import(other.path, &options, give, &source), HF_OK);
    assert_int_equal(store_memory_crash(memory), HF_OK);
    old = store_dir_open(&other);
    expect_same(old, memory, true);
    store_close(old);
    store_close(s);
    store_close(memory);
    store_close(elder);
    buffer_close(&image);
    store_dir_remove(&dir);
    store_dir_remove(&other);
}

/* Any one bit, or a missing end: refused, and what was there before is there still. */
static void test_a_damaged_image_changes_nothing(void **state)
{
    (void)state;
    struct store_dir dir;
    struct store *memory;
    struct buffer image;
    struct prng prng;
    prng_seed(&prng, 8);
    store_dir_make(&dir);
    struct store *s = store_dir_create(&dir);
    assert_int_equal(store_memory_open(&memory), HF_OK);
    for (unsigned i = 0; i < 60; i++) random_change(s, memory, &prng, 50);
    flush(s, 3);
    flush(memory, 3);
    export(s, &image);
    store_close(s);
    struct store *target;
    assert_int_equal(store_memory_open(&target), HF_OK);
    for (unsigned i = 0; i < 600; i++) {
        size_t at = (size_t)prng_below(&prng, i % 2 == 0 ? image.size : 400);
        uint8_t bit = (uint8_t)(1U << prng_below(&prng, 8));
        struct source source = {buffer_slice(&image)};
        if (i % 10 == 9) {
            source.rest.size = at;
        } else {
            image.data[at] ^= bit;
        }
        int rv = i % 20 == 0 ? store_lmdb_import(dir.path, &options, give, &source)
                             : store_memory_import(target, give, &source);
        assert_int_equal(rv, HF_ECORRUPT);
        if (i % 10 != 9) image.data[at] ^= bit;
        assert_int_equal(store_count(target, 0), 0);
    }
    s = store_dir_open(&dir);
    expect_same(s, memory, true);
    store_close(s);
    store_close(memory);
    store_close(target);
    buffer_close(&image);
    store_dir_remove(&dir);
}

/* A sink that cannot go on ends the export with its own word. */
static void test_an_export_ends_with_its_sink(void **state)
{
    (void)state;
    struct store_dir dir;
    struct store *memory;
    store_dir_make(&dir);
    struct store *s = store_dir_create(&dir);
    assert_int_equal(store_memory_open(&memory), HF_OK);
    fill(s, memory, 4);
    for (size_t left = 0; left < 2000; left += 97) {
        size_t room = left;
        uint64_t index;
        assert_int_equal(store_export(s, refuse, &room, &index), HF_EDISKFULL);
        room = left;
        assert_int_equal(store_export(memory, refuse, &room, &index), HF_EDISKFULL);
    }
    store_close(s);
    store_close(memory);
    store_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_image_carries_the_flushed_state),
        cmocka_unit_test(test_an_import_replaces_a_closed_store),
        cmocka_unit_test(test_a_damaged_image_changes_nothing),
        cmocka_unit_test(test_an_export_ends_with_its_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
