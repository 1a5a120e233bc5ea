/* Entries from outside: what was added is read back on every server, and bytes that were damaged
 * are told as corrupt, or still mean exactly what they say; never anything third.
 */
#include "protocol/entry.h"

#include <stdlib.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/protocol/sample.h"

struct fixture {
    struct prng prng;    /* one seed, so that a failure repeats */
    struct arena arena;  /* what samples point to and decoding takes */
    struct buffer entry; /* under test */
    struct buffer again; /* written from what was read */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    prng_seed(&f->prng, 20260103);
    assert_int_equal(arena_init(&f->arena, SAMPLE_ARENA_BYTES), HF_OK);
    buffer_init(&f->entry, 2 * ENTRY_BYTES_MAX);
    buffer_init(&f->again, 2 * ENTRY_BYTES_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_close(&f->arena);
    buffer_close(&f->entry);
    buffer_close(&f->again);
    free(f);
    return 0;
}

/* An entry with a random envelope and request of every op. */
static void write_entry(struct fixture *f)
{
    arena_reset(&f->arena);
    buffer_clear(&f->entry);
    assert_int_equal(entry_begin(&f->entry), HF_OK);
    struct buffer body;
    buffer_init(&body, FRAME_BYTES_MAX);
    for (uint16_t code = 0; code <= OP_CODE_MAX; code++) {
        const struct op_info *info = op_find(code);
        if (info == NULL) continue;
        struct envelope envelope;
        union sample request;
        sample_random(&f->prng, &envelope_type, &f->arena, &envelope);
        sample_plain(info->request, &f->arena, &request);
        buffer_clear(&body);
        assert_int_equal(codec_encode(info->request, &request, &body), HF_OK);
        assert_int_equal(entry_add(&f->entry, code, &envelope, buffer_slice(&body)), HF_OK);
    }
    buffer_close(&body);
    entry_close(&f->entry, ENTRY_HOLDS_SWEEP, 1234567, 89);
}

/* Read an entry to its end and write what was read as f->again. */
static int read_and_write(struct fixture *f, struct slice entry)
{
    struct entry_header header;
    struct entry_reader reader;
    int rv = entry_open(entry, &header, &reader);
    if (rv != HF_OK) return rv;
    buffer_clear(&f->again);
    assert_int_equal(entry_begin(&f->again), HF_OK);
    uint32_t count = 0;
    struct entry_op op;
    while ((rv = entry_next(&reader, &op)) == HF_OK) {
        arena_reset(&f->arena);
        struct envelope envelope;
        rv = codec_decode(&envelope_type, op.envelope, &f->arena, &envelope);
        if (rv != HF_OK) return rv;
        if (op_find(op.op) == NULL) return HF_ECORRUPT;
        assert_int_equal(entry_add(&f->again, op.op, &envelope, op.body), HF_OK);
        count += 1;
    }
    if (rv != HF_ENOTFOUND) return rv;
    assert_int_equal(count, header.op_count);
    entry_close(&f->again, header.flags, header.cluster_time_ms, header.wall_ms);
    return HF_OK;
}

/* All ops, their envelopes and both times come back, and encode to the same entry. */
static void test_an_entry_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 50; round++) {
        write_entry(f);
        assert_int_equal(entry_op_count(&f->entry), OPS);
        assert_int_equal(read_and_write(f, buffer_slice(&f->entry)), HF_OK);
        assert_true(slice_equal(buffer_slice(&f->again), buffer_slice(&f->entry)));
    }
}

/* Time alone is an entry: 24 bytes, no op. */
static void test_an_entry_without_ops_carries_time(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(entry_begin(&f->entry), HF_OK);
    entry_close(&f->entry, 0, UINT64_MAX, 7);
    assert_int_equal(f->entry.size, ENTRY_HEADER_BYTES);
    struct entry_header header;
    struct entry_reader reader;
    assert_int_equal(entry_open(buffer_slice(&f->entry), &header, &reader), HF_OK);
    assert_true(header.cluster_time_ms == UINT64_MAX);
    assert_int_equal(header.wall_ms, 7);
    struct entry_op op;
    assert_int_equal(entry_next(&reader, &op), HF_ENOTFOUND);
}

/* No prefix of an entry is an entry, and nothing may follow one. */
static void test_truncated_or_longer_entries_are_corrupt(void **state)
{
    struct fixture *f = *state;
    write_entry(f);
    for (size_t cut = 0; cut < f->entry.size; cut++) {
        assert_int_equal(read_and_write(f, slice_make(f->entry.data, cut)), HF_ECORRUPT);
    }
    assert_int_equal(buffer_append(&f->entry, "", 1), HF_OK);
    assert_int_equal(read_and_write(f, buffer_slice(&f->entry)), HF_ECORRUPT);
}

/* A newer program's entry is told from a broken one, whatever stands behind its version. */
static void test_another_version_is_told(void **state)
{
    struct fixture *f = *state;
    write_entry(f);
    put_u16(f->entry.data, ENTRY_VERSION + 1);
    assert_int_equal(read_and_write(f, buffer_slice(&f->entry)), HF_EVERSION);
    assert_int_equal(read_and_write(f, slice_make(f->entry.data, 2)), HF_EVERSION);
}

/* Counts and lengths that the bytes do not bear out are corrupt, as are reserved bits. */
static void test_broken_headers_are_corrupt(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t at;
        uint32_t value;
    } rows[] = {
        {4, 23},                       /* an op too many */
        {4, 20},                       /* one left over */
        {4, ENTRY_OPS_MAX + 1},        /* more than an entry holds */
        {4, UINT32_MAX},               /* likewise */
        {0, ENTRY_VERSION << 16 | 2},  /* an unknown flag */
        {24, 0},                       /* the first op's length */
        {24, 3},                       /* shorter than its header */
        {24, 4},                       /* no envelope */
        {24, UINT32_MAX},              /* beyond the entry */
        {28, OP_CODE_HELLO << 16 | 1}, /* its reserved bits */
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        write_entry(f);
        put_u32(f->entry.data + rows[i].at, rows[i].value);
        assert_int_equal(read_and_write(f, buffer_slice(&f->entry)), HF_ECORRUPT);
    }
}

/* An op whose bytes end with its envelope is no op. */
static void test_an_op_without_a_body_is_corrupt(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(entry_begin(&f->entry), HF_OK);
    static const uint8_t op[] = {0, 0, 0, 5, 0, OP_CODE_CLOSE, 0, 0, 0x90};
    assert_int_equal(buffer_append(&f->entry, op, sizeof op), HF_OK);
    put_u32(f->entry.data + 4, 1);
    assert_int_equal(read_and_write(f, buffer_slice(&f->entry)), HF_ECORRUPT);
}

/* A full entry refuses the next op and stays whole, by count and by bytes. */
static void test_a_full_entry_is_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct envelope envelope = {.session = 1};
    struct slice body = slice_of("\x90");
    assert_int_equal(entry_begin(&f->entry), HF_OK);
    for (int i = 0; i < ENTRY_OPS_MAX; i++) {
        assert_int_equal(entry_add(&f->entry, OP_CODE_CLOSE, &envelope, body), HF_OK);
    }
    size_t size = f->entry.size;
    assert_int_equal(entry_add(&f->entry, OP_CODE_CLOSE, &envelope, body), HF_ETOOLARGE);
    assert_int_equal(f->entry.size, size);
    assert_int_equal(entry_op_count(&f->entry), ENTRY_OPS_MAX);

    uint8_t *large = calloc(1, FRAME_BYTES_MAX);
    large[0] = 0x90;
    buffer_clear(&f->entry);
    assert_int_equal(entry_begin(&f->entry), HF_OK);
    body = slice_make(large, FRAME_BYTES_MAX);
    assert_int_equal(entry_add(&f->entry, OP_CODE_CLOSE, &envelope, body), HF_OK);
    size = f->entry.size;
    assert_int_equal(entry_add(&f->entry, OP_CODE_CLOSE, &envelope, body), HF_ETOOLARGE);
    assert_int_equal(f->entry.size, size);
    assert_int_equal(entry_op_count(&f->entry), 1);
    free(large);
}

/* Flipped bytes give a refusal, or an entry that reads back as exactly what it says. */
static void test_a_mutated_entry_is_refused_or_means_itself(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 3000; round++) {
        if (round % 100 == 0) write_entry(f);
        size_t at = prng_below(&f->prng, f->entry.size);
        uint8_t before = f->entry.data[at];
        f->entry.data[at] = (uint8_t)prng_next(&f->prng);
        if (read_and_write(f, buffer_slice(&f->entry)) == HF_OK) {
            assert_true(slice_equal(buffer_slice(&f->again), buffer_slice(&f->entry)));
        }
        f->entry.data[at] = before;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_entry_comes_back_as_it_was),
        TEST(test_an_entry_without_ops_carries_time),
        TEST(test_truncated_or_longer_entries_are_corrupt),
        TEST(test_another_version_is_told),
        TEST(test_broken_headers_are_corrupt),
        TEST(test_an_op_without_a_body_is_corrupt),
        TEST(test_a_full_entry_is_as_it_was),
        TEST(test_a_mutated_entry_is_refused_or_means_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
