/* What is written: msgpack's bytes, by table (the specification's, at each width's two ends), and
 * for any value the one form that the cursor of protocol/scan.h takes. A buffer that is full to the
 * byte takes what fits, refuses what does not, and stays as it was. */
#include "protocol/pack.h"

#include <stdlib.h>

#include "base/prng.h"
#include "protocol/scan.h"
#include "tests/unit/cmocka_all.h"

#define BYTES(text) text, sizeof(text) - 1

enum { LARGE_BYTES = 70000, RANDOM_ROUNDS = 20000 };

static void expect_bytes(struct buffer *out, const char *bytes, size_t size)
{
    assert_true(slice_equal(buffer_slice(out), slice_make(bytes, size)));
    buffer_clear(out);
}

static void test_numbers_stand_in_their_shortest_form(void **state)
{
    struct buffer *out = *state;
    static const struct {
        uint64_t value;
        const char *bytes;
        size_t size;
    } rows[] = {
        {0, BYTES("\x00")},
        {127, BYTES("\x7f")},
        {128, BYTES("\xcc\x80")},
        {255, BYTES("\xcc\xff")},
        {256, BYTES("\xcd\x01\x00")},
        {65535, BYTES("\xcd\xff\xff")},
        {65536, BYTES("\xce\x00\x01\x00\x00")},
        {UINT32_MAX, BYTES("\xce\xff\xff\xff\xff")},
        {UINT64_C(1) << 32, BYTES("\xcf\x00\x00\x00\x01\x00\x00\x00\x00")},
        {UINT64_MAX, BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        assert_int_equal(pack_uint(out, rows[i].value), HF_OK);
        expect_bytes(out, rows[i].bytes, rows[i].size);
    }
}

static void test_statuses(void **state)
{
    struct buffer *out = *state;
    static const struct {
        int32_t value;
        const char *bytes;
        size_t size;
    } rows[] = {
        {0, BYTES("\x00")},
        {-1, BYTES("\xff")},
        {-32, BYTES("\xe0")},
        {-33, BYTES("\xd0\xdf")},
        {-128, BYTES("\xd0\x80")},
        {-129, BYTES("\xd1\xff\x7f")},
        {-999, BYTES("\xd1\xfc\x19")},
        {INT16_MIN, BYTES("\xd1\x80\x00")},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        assert_int_equal(pack_status(out, rows[i].value), HF_OK);
        expect_bytes(out, rows[i].bytes, rows[i].size);
    }
}

/* Heads alone: what stands behind them is the bytes themselves. */
static void test_lengths(void **state)
{
    struct buffer *out = *state;
    static const struct {
        size_t size;
        const char *str;
        size_t str_bytes;
        const char *bin;
        size_t bin_bytes;
    } rows[] = {
        {0, BYTES("\xa0"), BYTES("\xc4\x00")},
        {31, BYTES("\xbf"), BYTES("\xc4\x1f")},
        {32, BYTES("\xd9\x20"), BYTES("\xc4\x20")},
        {255, BYTES("\xd9\xff"), BYTES("\xc4\xff")},
        {256, BYTES("\xda\x01\x00"), BYTES("\xc5\x01\x00")},
        {65535, BYTES("\xda\xff\xff"), BYTES("\xc5\xff\xff")},
        {65536, BYTES("\xdb\x00\x01\x00\x00"), BYTES("\xc6\x00\x01\x00\x00")},
    };
    static uint8_t content[LARGE_BYTES];
    memset(content, 'x', sizeof content);
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        struct slice bytes = slice_make(content, rows[i].size);
        for (unsigned is_bin = 0; is_bin < 2; is_bin++) {
            size_t head = is_bin ? rows[i].bin_bytes : rows[i].str_bytes;
            assert_int_equal(pack_bytes(out, is_bin ? PACK_BIN : PACK_STR, bytes), HF_OK);
            assert_int_equal(out->size, head + bytes.size);
            if (bytes.size > 0) assert_memory_equal(out->data + head, content, bytes.size);
            out->size = head;
            expect_bytes(out, is_bin ? rows[i].bin : rows[i].str, head);
        }
    }
    static const struct {
        uint32_t count;
        const char *bytes;
        size_t size;
    } arrays[] = {
        {0, BYTES("\x90")},
        {15, BYTES("\x9f")},
        {16, BYTES("\xdc\x00\x10")},
        {65535, BYTES("\xdc\xff\xff")},
        {65536, BYTES("\xdd\x00\x01\x00\x00")},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(arrays); i++) {
        assert_int_equal(pack_array(out, arrays[i].count), HF_OK);
        expect_bytes(out, arrays[i].bytes, arrays[i].size);
    }
}

/* The cursor takes nothing but the shortest form: so reading back proves it of any value. */
static void test_the_cursor_reads_what_was_written(void **state)
{
    struct buffer *out = *state;
    struct prng prng;
    prng_seed(&prng, 11);
    for (unsigned i = 0; i < RANDOM_ROUNDS; i++) {
        uint64_t value = prng_next(&prng) >> prng_below(&prng, 64);
        int32_t status = -(int32_t)prng_below(&prng, 1000);
        assert_int_equal(pack_uint(out, value), HF_OK);
        assert_int_equal(pack_status(out, status), HF_OK);
        struct scan scan = scan_open(buffer_slice(out));
        uint64_t value_read;
        int32_t status_read;
        assert_int_equal(scan_uint(&scan, &value_read), HF_OK);
        assert_int_equal(scan_status(&scan, &status_read), HF_OK);
        assert_true(value_read == value && status_read == status);
        buffer_clear(out);
    }
}

static void test_a_full_buffer_stays_as_it_was(void **state)
{
    (void)state;
    static const uint8_t content[40] = {0};
    struct slice bytes = slice_make(content, sizeof content);
    for (size_t room = 1; room < 42; room++) {
        struct buffer out;
        buffer_init(&out, room);
        assert_int_equal(pack_uint(&out, 5), HF_OK);
        buffer_clear(&out);
        assert_int_equal(pack_uint(&out, UINT64_MAX), room >= 9 ? HF_OK : HF_ETOOLARGE);
        buffer_clear(&out);
        assert_int_equal(pack_status(&out, -999), room >= 3 ? HF_OK : HF_ETOOLARGE);
        buffer_clear(&out);
        assert_int_equal(pack_array(&out, 15), HF_OK);
        buffer_clear(&out);
        assert_int_equal(pack_array(&out, 16), room >= 3 ? HF_OK : HF_ETOOLARGE);
        buffer_clear(&out);
        assert_int_equal(pack_bytes(&out, PACK_STR, bytes), HF_ETOOLARGE);
        assert_int_equal(out.size, 0);
        buffer_close(&out);
    }
    struct buffer out;
    buffer_init(&out, 42);
    assert_int_equal(pack_bytes(&out, PACK_STR, bytes), HF_OK);
    buffer_close(&out);
}

static int set_up(void **state)
{
    struct buffer *out = calloc(1, sizeof *out);
    if (out == NULL) return -1;
    buffer_init(out, 2 * LARGE_BYTES);
    *state = out;
    return 0;
}

static int tear_down(void **state)
{
    buffer_close(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers_stand_in_their_shortest_form, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_statuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_cursor_reads_what_was_written, set_up, tear_down),
        cmocka_unit_test(test_a_full_buffer_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
