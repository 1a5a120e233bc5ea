/* One flipped bit in data.mdb, wherever it falls: the store refuses to open, or everything it shows
 * is right and stays right over further writes. Never a wrong answer, never a crash. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "storage/lmdb_check.h"
#include "storage/row.h"
#include "storage/store_lmdb.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/storage/store_fixture.h"

enum { PAGE = 4096, KEYS = 3000, CLASSES = 5, FLIPS_A_CLASS = 100 };
enum class_of_page { META, BRANCH, LEAF, OVERFLOWS, FREE };

static const struct store_lmdb_options whole_check = {.map_bytes = 256U * 1024 * 1024};

struct rot {
    struct store_dir dir;
    char file[128];
    struct store *memory; /* what is right */
    uint8_t *image;       /* the whole file as it was */
    size_t bytes;         /* of it */
    uint8_t *classes;     /* enum class_of_page by page */
    struct prng prng;
};

static void flush(struct store *s, uint64_t index)
{
    struct store_mark mark = {
        .index = index, .term = 1, .configuration = slice_of("configuration")};
    assert_int_equal(store_checkpoint(s, &mark), HF_OK);
    assert_int_equal(store_flush_run(s), HF_OK);
    assert_int_equal(store_flush_done(s), HF_OK);
}

static void read_image(struct rot *r)
{
    struct stat st;
    int fd = open(r->file, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    r->bytes = (size_t)st.st_size;
    r->image = malloc(r->bytes);
    assert_non_null(r->image);
    assert_int_equal(read(fd, r->image, r->bytes), r->bytes);
    close(fd);
}

static void write_image(struct rot *r)
{
    int fd = open(r->file, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, r->image, r->bytes), r->bytes);
    close(fd);
}

static void write_byte(struct rot *r, size_t offset, uint8_t byte)
{
    int fd = open(r->file, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static void flip(struct rot *r, size_t offset, unsigned bit)
{
    write_byte(r, offset, (uint8_t)(r->image[offset] ^ (1U << bit)));
}

/* By the flags in the page's head; a page of an overflow run but its first looks like anything. */
static void classify(struct rot *r)
{
    r->classes = calloc(r->bytes / PAGE, 1);
    assert_non_null(r->classes);
    for (size_t page = 0; page < r->bytes / PAGE; page++) {
        uint8_t flags = r->image[page * PAGE + 10];
        r->classes[page] = flags == 8   ? META
                           : flags == 1 ? BRANCH
                           : flags == 2 ? LEAF
                           : flags == 4 ? OVERFLOWS
                                        : FREE;
    }
}

/* A store of several levels, long values, deletions and so free pages. */
static int set_up(void **state)
{
    static struct rot r;
    r = (struct rot){0};
    prng_seed(&r.prng, 11);
    store_dir_make(&r.dir);
    (void)snprintf(r.file, sizeof r.file, "%s/data.mdb", r.dir.path);
    struct store *s = store_dir_create(&r.dir);
    assert_int_equal(store_memory_open(&r.memory), HF_OK);
    for (uint64_t round = 1; round <= 6; round++) {
        for (unsigned i = 0; i < 3000; i++) random_change(s, r.memory, &r.prng, KEYS);
        flush(s, round);
        flush(r.memory, round);
    }
    store_close(s);
    read_image(&r);
    classify(&r);
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    struct rot *r = *state;
    store_close(r->memory);
    store_dir_remove(&r->dir);
    free(r->image);
    free(r->classes);
    return 0;
}

/* A random byte of a page of the class: every other time near the page's head. */
static size_t place_in(struct rot *r, enum class_of_page class)
{
    size_t pages = r->bytes / PAGE;
    size_t page = (size_t)prng_below(&r->prng, pages);
    while (r->classes[page] != class) page = (page + 1) % pages;
    uint64_t range = prng_below(&r->prng, 2) == 0 ? 64 : PAGE;
    if (class == META) range = 160;
    return page * PAGE + (size_t)prng_below(&r->prng, range);
}

/* The flip was not found, so it must not matter: not now, and not for what is written next. */
static void expect_harmless(struct rot *r, struct store *s)
{
    expect_same(s, r->memory, true);
    for (unsigned i = 0; i < 500; i++) random_change(s, NULL, &r->prng, KEYS);
    flush(s, 7);
    for (unsigned i = 0; i < 500; i++) random_change(s, NULL, &r->prng, KEYS);
    flush(s, 8);
    assert_int_equal(store_verify(s), HF_OK);
    store_close(s);
    assert_int_equal(lmdb_check(r->dir.path, UINT64_MAX, true), HF_OK);
}

/* A hundred flips in each class of page. */
static void test_a_flipped_bit_never_gives_a_wrong_answer(void **state)
{
    struct rot *r = *state;
    unsigned found[CLASSES] = {0};
    for (unsigned i = 0; i < CLASSES * FLIPS_A_CLASS; i++) {
        enum class_of_page class = i % CLASSES;
        size_t offset = place_in(r, class);
        flip(r, offset, (unsigned)prng_below(&r->prng, 8));
        struct store *s = NULL;
        int rv = store_lmdb_open(r->dir.path, &whole_check, &s);
        if (rv == HF_OK) {
            expect_harmless(r, s);
            write_image(r);
        } else {
            assert_true(rv == HF_ECORRUPT);
            found[class] += 1;
            write_byte(r, offset, r->image[offset]);
        }
    }
    for (unsigned i = 0; i < CLASSES; i++) {
        print_message("class %u: %u of %u flips found\n", i, found[i], FLIPS_A_CLASS);
    }
    assert_true(found[META] > 0 && found[BRANCH] > 0 && found[LEAF] > 0 && found[OVERFLOWS] > 0);
}

/* A file that ends early, or is empty, or is not one. */
static void test_a_cut_file_is_refused(void **state)
{
    struct rot *r = *state;
    struct store *s = NULL;
    for (unsigned i = 0; i < 20; i++) {
        size_t size = (size_t)prng_below(&r->prng, r->bytes / 2);
        if (i == 0) size = 0;
        if (i == 1) size = PAGE + 10;
        assert_int_equal(truncate(r->file, (off_t)size), 0);
        assert_int_equal(store_lmdb_open(r->dir.path, NULL, &s), HF_ECORRUPT);
        write_image(r);
    }
    assert_int_equal(truncate(r->file, 0), 0);
    assert_int_equal(truncate(r->file, (off_t)r->bytes), 0); /* nothing but zeros */
    assert_int_equal(store_lmdb_open(r->dir.path, NULL, &s), HF_ECORRUPT);
    write_image(r);
    assert_int_equal(store_lmdb_open(r->dir.path, NULL, &s), HF_OK);
    expect_same(s, r->memory, true);
    store_close(s);
}

/* The place of a text in the image, which has it. */
static uint8_t *find(struct rot *r, const char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; i + size <= r->bytes; i++) {
        if (memcmp(r->image + i, text, size) == 0) return r->image + i;
    }
    fail_msg("not in the file: %s", text);
    return NULL;
}

/* A value moved to another row of the same length is found even without the check at open. */
static void test_a_swapped_value_is_found_when_it_is_read(void **state)
{
    (void)state;
    struct store_dir dir;
    store_dir_make(&dir);
    struct store *s = store_dir_create(&dir);
    assert_int_equal(store_put(s, 1, slice_of("first"), slice_of("AAAAAAAA-one")), HF_OK);
    assert_int_equal(store_put(s, 1, slice_of("second"), slice_of("AAAAAAAA-two")), HF_OK);
    flush(s, 1);
    store_close(s);

    struct rot r = {0};
    (void)snprintf(r.file, sizeof r.file, "%s/data.mdb", dir.path);
    read_image(&r);
    uint8_t *one = find(&r, "AAAAAAAA-one");
    uint8_t *two = find(&r, "AAAAAAAA-two");
    uint8_t row[28]; /* the hash in front is swapped, too */
    memcpy(row, one - 16, sizeof row);
    memcpy(one - 16, two - 16, sizeof row);
    memcpy(two - 16, row, sizeof row);
    write_image(&r);

    struct store_lmdb_options quick = {.check = STORE_LMDB_CHECK_META};
    struct slice value;
    assert_int_equal(store_lmdb_open(dir.path, NULL, &s), HF_ECORRUPT);
    assert_int_equal(store_lmdb_open(dir.path, &quick, &s), HF_OK);
    assert_int_equal(store_get(s, 1, slice_of("first"), &value), HF_ECORRUPT);
    assert_int_equal(store_put(s, 2, slice_of("after"), slice_of("")), HF_ECORRUPT);
    store_close(s);
    free(r.image);
    store_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flipped_bit_never_gives_a_wrong_answer),
        cmocka_unit_test(test_a_cut_file_is_refused),
        cmocka_unit_test(test_a_swapped_value_is_found_when_it_is_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
