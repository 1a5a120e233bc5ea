/* The cursor from outside: the shortest form of each number and length passes and every longer
 * one is refused, and text is UTF-8 without NUL. Tables of bytes, with the reason for each.
 */
#include "protocol/scan.h"

#include <stdlib.h>

#include "base/prng.h"
#include "protocol/limits.h"
#include "tests/unit/cmocka_all.h"

/* A literal with its length, NULs included. */
#define BYTES(text) text, sizeof(text) - 1

struct row {
    const char *bytes; /* one value, or what is none */
    size_t size;       /* of them */
    bool good;         /* whether it is one */
};

static bool is_value(const void *bytes, size_t size)
{
    struct scan scan = scan_open(slice_make(bytes, size));
    return scan_skip(&scan, 0) == HF_OK && scan_left(&scan) == 0;
}

/* Every width's least value passes; one less in that width has a shorter form. */
static void test_only_the_shortest_form_of_a_number_is_one(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BYTES("\x00"), true},
        {BYTES("\x7f"), true},
        {BYTES("\xcc\x80"), true},
        {BYTES("\xcc\x7f"), false},
        {BYTES("\xcc\x00"), false},
        {BYTES("\xcd\x01\x00"), true},
        {BYTES("\xcd\x00\xff"), false},
        {BYTES("\xce\x00\x01\x00\x00"), true},
        {BYTES("\xce\x00\x00\xff\xff"), false},
        {BYTES("\xcf\x00\x00\x00\x01\x00\x00\x00\x00"), true},
        {BYTES("\xcf\x00\x00\x00\x00\xff\xff\xff\xff"), false},
        {BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), true},
        {BYTES("\xff"), true},
        {BYTES("\xe0"), true},
        {BYTES("\xd0\xdf"), true},
        {BYTES("\xd0\xe0"), false},
        {BYTES("\xd0\x01"), false},
        {BYTES("\xd0\x80"), true},
        {BYTES("\xd1\xff\x7f"), true},
        {BYTES("\xd1\xff\x80"), false},
        {BYTES("\xd1\x00\x80"), false},
        {BYTES("\xd1\x7f\xff"), false},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        assert_int_equal(is_value(rows[i].bytes, rows[i].size), rows[i].good);
        for (size_t cut = 0; cut < rows[i].size; cut++) {
            assert_false(is_value(rows[i].bytes, cut));
        }
    }
}

/* The numbers themselves, at both ends of each width. */
static void test_numbers_are_read_as_what_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        uint64_t value;
    } rows[] = {
        {BYTES("\x7f"), 127},
        {BYTES("\xcc\xff"), 255},
        {BYTES("\xcd\xff\xfe"), 65534},
        {BYTES("\xce\x12\x34\x56\x78"), 0x12345678},
        {BYTES("\xcf\x12\x34\x56\x78\x9a\xbc\xde\xf0"), 0x123456789abcdef0},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        struct scan scan = scan_open(slice_make(rows[i].bytes, rows[i].size));
        uint64_t value;
        assert_int_equal(scan_uint(&scan, &value), HF_OK);
        assert_true(value == rows[i].value);
    }
    struct scan scan = scan_open(slice_of("\xe0\xd0\x80\xd1\x80\x01"));
    int32_t status;
    assert_int_equal(scan_status(&scan, &status), HF_OK);
    assert_int_equal(status, -32);
    assert_int_equal(scan_status(&scan, &status), HF_OK);
    assert_int_equal(status, -128);
    assert_int_equal(scan_status(&scan, &status), HF_OK);
    assert_int_equal(status, -32767);
}

/* A value of `size` bytes or items under each head that could say so. */
static void check_sizes(size_t size, const uint8_t *fill)
{
    static const struct {
        uint8_t tag;  /* first byte; the fix forms add the size to it */
        size_t width; /* bytes of length behind it */
        size_t least; /* size with no shorter form */
        size_t most;  /* size that still fits */
    } heads[] = {
        {0xa0, 0, 0, 31},        {0xd9, 1, 32, 255}, {0xda, 2, 256, 65535},
        {0xdb, 4, 65536, 70000}, {0xc4, 1, 0, 255},  {0xc5, 2, 256, 65535},
        {0xc6, 4, 65536, 70000}, {0x90, 0, 0, 15},   {0xdc, 2, 16, LIST_ITEMS_MAX},
        {0xdd, 4, 65536, 0},
    };
    uint8_t *bytes = malloc(5 + size);
    for (size_t i = 0; i < HF_ARRAY_COUNT(heads); i++) {
        size_t width = heads[i].width;
        if (width < 4 && size > (width == 0 ? heads[i].most : (1U << 8 * width) - 1)) continue;
        bytes[0] = width == 0 ? (uint8_t)(heads[i].tag + size) : heads[i].tag;
        if (width == 1) bytes[1] = (uint8_t)size;
        if (width == 2) put_u16(bytes + 1, (uint16_t)size);
        if (width == 4) put_u32(bytes + 1, (uint32_t)size);
        memcpy(bytes + 1 + width, fill, size);
        bool good = size >= heads[i].least && size <= heads[i].most;
        assert_int_equal(is_value(bytes, 1 + width + size), good);
        if (size > 0) assert_false(is_value(bytes, width + size)); /* one byte short */
    }
    free(bytes);
}

/* Strings, bytes and arrays at every border between two forms of their length. */
static void test_only_the_shortest_form_of_a_length_is_one(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,   1,    15,   16,   31,    32,    255,  256,
                                   257, 4095, 4096, 4097, 65535, 65536, 65537};
    uint8_t *fill = malloc(70000);
    memset(fill, 'a', 70000); /* a text, and a list of small numbers */
    for (size_t i = 0; i < HF_ARRAY_COUNT(sizes); i++) check_sizes(sizes[i], fill);
    free(fill);
}

/* Kinds that no message has are no values, whatever follows them. */
static void test_other_kinds_are_none(void **state)
{
    (void)state;
    static const uint8_t tags[] = {0xc0, 0xc1, 0xc2, 0xc3, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xd2, 0xd3,
                                   0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xde, 0xdf, 0x80, 0x81, 0x8f};
    for (size_t i = 0; i < HF_ARRAY_COUNT(tags); i++) {
        uint8_t bytes[40] = {tags[i]};
        for (size_t size = 1; size <= sizeof bytes; size++) assert_false(is_value(bytes, size));
        uint8_t inside[] = {0x91, tags[i]};
        assert_false(is_value(inside, sizeof inside));
    }
}

/* Unicode 15, table 3-7 and RFC 3629: each border of well-formed UTF-8, from both sides. */
static void test_text_is_utf8_without_nul(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BYTES(""), true},
        {BYTES("plain"), true},
        {BYTES("\x7f"), true},
        {BYTES("\x01"), true},
        {BYTES("\x00"), false},
        {BYTES("a\x00z"), false},
        {BYTES("12345678\x00"), false},
        {BYTES("1234567\x00"), false},
        {BYTES("\x80"), false}, /* a tail alone */
        {BYTES("\xbf"), false},
        {BYTES("\xc0\x80"), false}, /* overlong NUL, Java's */
        {BYTES("\xc0\xaf"), false}, /* overlong '/' */
        {BYTES("\xc1\xbf"), false},
        {BYTES("\xc2\x80"), true},
        {BYTES("\xdf\xbf"), true},
        {BYTES("\xc2"), false}, /* cut */
        {BYTES("\xc2\x7f"), false},
        {BYTES("\xc2\xc0"), false},
        {BYTES("\xe0\x9f\xbf"), false}, /* overlong */
        {BYTES("\xe0\xa0\x80"), true},
        {BYTES("\xe1\x80\x80"), true},
        {BYTES("\xe1\x80"), false},
        {BYTES("\xe1\x80\x7f"), false},
        {BYTES("\xed\x9f\xbf"), true},
        {BYTES("\xed\xa0\x80"), false}, /* the first surrogate */
        {BYTES("\xed\xbf\xbf"), false}, /* the last one */
        {BYTES("\xee\x80\x80"), true},
        {BYTES("\xef\xbf\xbf"), true},
        {BYTES("\xf0\x8f\xbf\xbf"), false}, /* overlong */
        {BYTES("\xf0\x90\x80\x80"), true},
        {BYTES("\xf0\x90\x80"), false},
        {BYTES("\xf0\x90\x80\xc0"), false},
        {BYTES("\xf4\x8f\xbf\xbf"), true},  /* U+10FFFF */
        {BYTES("\xf4\x90\x80\x80"), false}, /* above */
        {BYTES("\xf5\x80\x80\x80"), false},
        {BYTES("\xfe"), false},
        {BYTES("\xff"), false},
        {BYTES("\xf8\x88\x80\x80\x80"), false}, /* five bytes */
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        for (size_t before = 0; before < 20; before++) { /* the fast path's every alignment */
            char text[64] = "abcdefghijklmnopqrst";
            memcpy(text + before, rows[i].bytes, rows[i].size);
            for (size_t behind = 0; behind < 10; behind++) {
                size_t end = before + rows[i].size;
                memset(text + end, 'z', behind);
                assert_int_equal(scan_is_text(slice_make(text, end + behind)), rows[i].good);
            }
        }
    }
}

/* Random bytes are stepped over or refused, and never beyond their end. */
static void test_random_bytes_are_read_or_refused(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 20260104);
    for (int round = 0; round < 200000; round++) {
        size_t size = prng_below(&prng, 24);
        uint8_t *bytes = malloc(size > 0 ? size : 1); /* so that a sanitizer sees its end */
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)prng_next(&prng);
        struct scan scan = scan_open(slice_make(bytes, size));
        int rv = scan_skip(&scan, 0);
        assert_true(rv == HF_OK || rv == HF_EBADREQUEST);
        assert_true(scan_left(&scan) <= size);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_shortest_form_of_a_number_is_one),
        cmocka_unit_test(test_numbers_are_read_as_what_they_are),
        cmocka_unit_test(test_only_the_shortest_form_of_a_length_is_one),
        cmocka_unit_test(test_other_kinds_are_none),
        cmocka_unit_test(test_text_is_utf8_without_nul),
        cmocka_unit_test(test_random_bytes_are_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
