/* The codec from outside: whatever valid struct goes in comes out, and of all other bytes none
 * come in. Every test walks all described types (sample.h), so a new message is under test the
 * moment it is described. */
/* Every message both ways, over random values in their ranges, and everything that a decoder must
 * refuse: ranges, types, missing, extra and trailing bytes, nesting, bad UTF-8. */
#include "protocol/codec.h"

#include <stdlib.h>

#include "base/status.h"
#include "protocol/messages.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/protocol/sample.h"

struct fixture {
    struct prng prng;    /* one seed, so that a failure repeats */
    struct arena sample; /* what a sample's fields point to */
    struct arena lists;  /* what decoding takes */
    struct buffer bytes; /* the encoding */
    struct buffer again; /* of what was decoded */
    union sample in;     /* a sample */
    union sample out;    /* decoded */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    prng_seed(&f->prng, 20260101);
    assert_int_equal(arena_init(&f->sample, SAMPLE_ARENA_BYTES), HF_OK);
    assert_int_equal(arena_init(&f->lists, SAMPLE_ARENA_BYTES), HF_OK);
    buffer_init(&f->bytes, SAMPLE_BYTES_MAX);
    buffer_init(&f->again, SAMPLE_BYTES_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_close(&f->sample);
    arena_close(&f->lists);
    buffer_close(&f->bytes);
    buffer_close(&f->again);
    free(f);
    return 0;
}

/* Encode f->in as f->bytes. */
static void encode(struct fixture *f, const struct codec_type *type)
{
    buffer_clear(&f->bytes);
    assert_int_equal(codec_encode(type, &f->in, &f->bytes), HF_OK);
}

static void encode_random(struct fixture *f, const struct codec_type *type)
{
    arena_reset(&f->sample);
    sample_random(&f->prng, type, &f->sample, &f->in);
    encode(f, type);
}

static void encode_plain(struct fixture *f, const struct codec_type *type)
{
    arena_reset(&f->sample);
    sample_plain(type, &f->sample, &f->in);
    encode(f, type);
}

static int decode(struct fixture *f, const struct codec_type *type, struct slice bytes)
{
    arena_reset(&f->lists);
    return codec_decode(type, bytes, &f->lists, &f->out);
}

/* What was decoded into f->out encodes to the very bytes it came from. */
static void assert_encodes_back(struct fixture *f, const struct codec_type *type,
                                struct slice bytes)
{
    buffer_clear(&f->again);
    assert_int_equal(codec_encode(type, &f->out, &f->again), HF_OK);
    assert_true(slice_equal(buffer_slice(&f->again), bytes));
}

/* ------------------------------------------------------------------ round trips */

/* Every message, with bounds and random values, comes back field by field. */
static void test_every_message_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        const struct codec_type *type = sample_types[t];
        for (int round = 0; round < 60; round++) {
            encode_random(f, type);
            assert_int_equal(codec_check(type, &f->in), HF_OK);
            assert_int_equal(decode(f, type, buffer_slice(&f->bytes)), HF_OK);
            assert_true(sample_equal(type, &f->in, &f->out));
            assert_encodes_back(f, type, buffer_slice(&f->bytes));
        }
    }
}

/* A list is borrowed from the arena, text and bytes from the input: an empty arena is enough for a
 * message without lists, and none at all. */
static void test_a_message_without_lists_needs_no_arena(void **state)
{
    struct fixture *f = *state;
    encode_plain(f, &msg_release_type);
    struct msg_release out;
    assert_int_equal(codec_decode(&msg_release_type, buffer_slice(&f->bytes), NULL, &out), HF_OK);
    assert_true(out.name.data > f->bytes.data && out.name.data < f->bytes.data + f->bytes.size);
}

/* A refusal leaves the caller's struct as it was, even when the last byte is to blame. */
static void test_a_refused_message_leaves_the_struct_alone(void **state)
{
    struct fixture *f = *state;
    encode_plain(f, &msg_begin_type);
    memset(&f->out, 0x5a, sizeof f->out);
    union sample before = f->out;
    struct slice cut = slice_make(f->bytes.data, f->bytes.size - 1);
    assert_int_equal(decode(f, &msg_begin_type, cut), HF_EBADREQUEST);
    assert_memory_equal(&f->out, &before, sizeof before);
}

/* An arena too small is HF_ENOMEM, and one just large enough is enough. */
static void test_a_full_arena_is_told(void **state)
{
    struct fixture *f = *state;
    encode_plain(f, &msg_busy_type);
    struct arena tight;
    assert_int_equal(arena_init(&tight, 48), HF_OK); /* a struct holder has 40 bytes */
    int rv = codec_decode(&msg_busy_type, buffer_slice(&f->bytes), &tight, &f->out);
    assert_int_equal(rv, HF_OK);
    arena_reset(&tight);
    assert_non_null(arena_take(&tight, 16));
    rv = codec_decode(&msg_busy_type, buffer_slice(&f->bytes), &tight, &f->out);
    assert_int_equal(rv, HF_ENOMEM);
    arena_close(&tight);
}

/* Whatever the buffer's maximum: a message is appended whole, or not at all. */
static void test_encoding_is_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        encode_plain(f, sample_types[t]);
        for (size_t room = 0; room < f->bytes.size; room++) {
            struct buffer small;
            buffer_init(&small, 1 + room);
            assert_int_equal(buffer_append(&small, "x", 1), HF_OK);
            assert_int_equal(codec_encode(sample_types[t], &f->in, &small), HF_ETOOLARGE);
            assert_int_equal(small.size, 1);
            buffer_close(&small);
        }
    }
}

/* Another version of a row is told as such, even if that version has other fields. */
static void test_a_row_of_another_version_is_told(void **state)
{
    struct fixture *f = *state;
    static const uint8_t other[] = {0x92, 0xcd, 0x01, 0x2d, 0xc0}; /* [301, nil] */
    assert_int_equal(decode(f, &sample_row_type, slice_make(other, sizeof other)), HF_EVERSION);
    static const uint8_t same[] = {0x92, 0xcd, 0x01, 0x2c, 0xc0}; /* [300, nil] */
    assert_int_equal(decode(f, &sample_row_type, slice_make(same, sizeof same)), HF_EBADREQUEST);
    assert_int_equal(decode(f, &sample_row_type, slice_of("\x90")), HF_EBADREQUEST);
}

/* ------------------------------------------------------------------ ranges */

/* `type` with field `i` unbounded: lets a test write what the true type refuses. */
static struct codec_type widened(const struct codec_type *type, uint32_t i,
                                 struct codec_field fields[64])
{
    assert_true(type->field_count <= 64);
    memcpy(fields, type->fields, type->field_count * sizeof *fields);
    fields[i].min = 0;
    fields[i].max = UINT64_MAX;
    struct codec_type wide = *type;
    wide.fields = fields;
    return wide;
}

/* Give a field of f->in a value, a size or a count; list items repeat the first one. */
static void set_field(struct fixture *f, const struct codec_field *field, uint64_t value)
{
    void *at = f->in.bytes + field->offset;
    size_t size = (size_t)value;
    if (field->kind == CODEC_U64) {
        *(uint64_t *)at = value;
    } else if (field->kind == CODEC_STATUS) {
        *(int32_t *)at = -(int32_t)value;
    } else if (field->kind == CODEC_STR || field->kind == CODEC_BIN) {
        uint8_t *text = arena_take(&f->sample, size);
        assert_non_null(text);
        memset(text, 'a', size);
        *(struct slice *)at = slice_make(text, size);
    } else {
        struct codec_list *list = at; /* all three list structs begin alike */
        size_t item = field->kind == CODEC_U64S   ? sizeof(uint64_t)
                      : field->kind == CODEC_STRS ? sizeof(struct slice)
                                                  : field->type->struct_bytes;
        uint8_t *items = arena_take(&f->sample, size * item);
        assert_non_null(items);
        for (size_t i = 0; i < size; i++) memcpy(items + i * item, list->items, item);
        *list = (struct codec_list){items, (uint32_t)size};
    }
}

/* Encode with field `i` at `value`, whatever its range, and decode by the true type. */
static int decode_with(struct fixture *f, const struct codec_type *type, uint32_t i, uint64_t value)
{
    struct codec_field fields[64];
    struct codec_type wide = widened(type, i, fields);
    arena_reset(&f->sample);
    sample_plain(type, &f->sample, &f->in);
    set_field(f, &fields[i], value);
    buffer_clear(&f->bytes);
    assert_int_equal(codec_encode(&wide, &f->in, &f->bytes), HF_OK);
    int rv = decode(f, type, buffer_slice(&f->bytes));
    assert_int_equal(codec_check(type, &f->in), rv); /* the same judgement, asked beforehand */
    return rv;
}

/* Each field's least and greatest value pass, one beyond either is refused. */
static void test_each_field_keeps_its_range(void **state)
{
    struct fixture *f = *state;
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        const struct codec_type *type = sample_types[t];
        for (uint32_t i = 0; i < type->field_count; i++) {
            const struct codec_field *field = &type->fields[i];
            bool is_value = field->kind == CODEC_U64 || field->kind == CODEC_STATUS;
            assert_int_equal(decode_with(f, type, i, field->min), HF_OK);
            assert_int_equal(decode_with(f, type, i, field->max), HF_OK);
            if (field->min > 0) {
                assert_int_equal(decode_with(f, type, i, field->min - 1), HF_EBADREQUEST);
            }
            if (field->max < UINT64_MAX && field->kind != CODEC_STATUS) {
                assert_int_equal(decode_with(f, type, i, field->max + 1),
                                 is_value ? HF_EBADREQUEST : HF_ETOOLARGE);
            }
        }
    }
}

/* The strings of a list have 1 to 255 bytes, whatever the list. */
static void test_a_name_in_a_list_keeps_its_range(void **state)
{
    struct fixture *f = *state;
    static const struct codec_type *const type = &msg_acquire_type;
    static const struct {
        size_t size;
        int status;
    } rows[] = {
        {0, HF_EBADREQUEST}, {1, HF_OK}, {255, HF_OK}, {256, HF_ETOOLARGE}, {70000, HF_ETOOLARGE}};
    uint8_t *text = malloc(70000);
    memset(text, 'a', 70000);
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        encode_plain(f, type); /* aa ..: ten fields, 91: one name, a7: "names-1" */
        struct slice rest = slice_make(f->bytes.data + 10, f->bytes.size - 10);
        struct buffer *out = &f->again;
        buffer_clear(out);
        size_t size = rows[i].size;
        uint8_t head[] = {0x9a, 0x91, 0xdb, 0, 0, 0, 0};
        put_u32(head + 3, (uint32_t)size);
        size_t head_size = 7;
        if (size < 32)
            head[2] = (uint8_t)(0xa0 + size), head_size = 3;
        else if (size < 256)
            head[2] = 0xd9, head[3] = (uint8_t)size, head_size = 4;
        else if (size < 65536)
            head[2] = 0xda, put_u16(head + 3, (uint16_t)size), head_size = 5;
        assert_int_equal(buffer_append(out, head, head_size), HF_OK);
        assert_int_equal(buffer_append(out, text, size), HF_OK);
        assert_int_equal(buffer_append(out, rest.data, rest.size), HF_OK);
        assert_int_equal(decode(f, type, buffer_slice(out)), rows[i].status);
    }
    free(text);
}

/* Statuses end at -999, and none is above 0. */
static void test_a_status_keeps_its_range(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes;
        size_t size;
        int status;
    } rows[] = {{"\x94\x00\x00\x00\xc4\x00", 6, HF_OK},
                {"\x94\xff\x00\x00\xc4\x00", 6, HF_OK},
                {"\x94\xd1\xfc\x19\x00\x00\xc4\x00", 8, HF_OK},          /* -999 */
                {"\x94\xd1\xfc\x18\x00\x00\xc4\x00", 8, HF_EBADREQUEST}, /* -1000 */
                {"\x94\x01\x00\x00\xc4\x00", 6, HF_EBADREQUEST}};
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        struct slice bytes = slice_make(rows[i].bytes, rows[i].size);
        assert_int_equal(decode(f, &msg_cancel_reply_type, bytes), rows[i].status);
    }
}

/* What a user's text may be is asked before encoding: codec_encode() would stop the program. */
static void test_bad_text_is_found_before_encoding(void **state)
{
    struct fixture *f = *state;
    sample_plain(&msg_info_type, &f->sample, &f->in);
    struct msg_info *info = (void *)&f->in;
    assert_int_equal(codec_check(&msg_info_type, info), HF_OK);
    info->name = slice_of("\xc0\xaf");
    assert_int_equal(codec_check(&msg_info_type, info), HF_EBADREQUEST);
    struct slice names[] = {slice_of("a"), slice_of("\xff")};
    struct msg_acquire acquire = {.names = {names, 2}, .owner = 1};
    assert_int_equal(codec_check(&msg_acquire_type, &acquire), HF_EBADREQUEST);
    names[1] = slice_of("b");
    assert_int_equal(codec_check(&msg_acquire_type, &acquire), HF_OK);
}

/* ------------------------------------------------------------------ malformed */

/* No prefix of a message is a message. */
static void test_every_truncation_is_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        encode_plain(f, sample_types[t]);
        for (size_t cut = 0; cut < f->bytes.size; cut++) {
            struct slice bytes = slice_make(f->bytes.data, cut);
            assert_int_equal(decode(f, sample_types[t], bytes), HF_EBADREQUEST);
        }
    }
}

/* All bytes are used: nothing may follow a message, not even what looks like a field. */
static void test_trailing_bytes_are_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        encode_plain(f, sample_types[t]);
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t tail = (uint8_t)byte;
            assert_int_equal(buffer_append(&f->bytes, &tail, 1), HF_OK);
            assert_int_equal(decode(f, sample_types[t], buffer_slice(&f->bytes)), HF_EBADREQUEST);
            f->bytes.size -= 1;
        }
    }
}

/* The values of a message, one slice each; returns their number. */
static uint32_t split(struct slice bytes, struct slice values[64])
{
    size_t head = bytes.data[0] == 0xdc ? 3 : 1;
    struct slice rest = slice_make(bytes.data + head, bytes.size - head);
    uint32_t count = 0;
    while (rest.size > 0) {
        assert_true(count < 64);
        assert_int_equal(codec_first(rest, &values[count]), HF_OK);
        size_t size = values[count++].size;
        rest = slice_make(rest.data + size, rest.size - size);
    }
    return count;
}

/* Write an array of `values` as f->again. */
static struct slice join(struct fixture *f, const struct slice *values, uint32_t count)
{
    buffer_clear(&f->again);
    uint8_t head[3] = {0xdc};
    put_u16(head + 1, (uint16_t)count);
    if (count < 16) head[0] = (uint8_t)(0x90 + count);
    assert_int_equal(buffer_append(&f->again, head, count < 16 ? 1 : 3), HF_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(buffer_append(&f->again, values[i].data, values[i].size), HF_OK);
    }
    return buffer_slice(&f->again);
}

/* Each field left out, and each one sent twice, with a count that says so. */
static void test_missing_and_extra_fields_are_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        const struct codec_type *type = sample_types[t];
        struct slice values[64];
        encode_plain(f, type);
        uint32_t count = split(buffer_slice(&f->bytes), values);
        assert_int_equal(count, type->field_count + (type->version != 0));
        assert_int_equal(decode(f, type, join(f, values, count)), HF_OK);
        for (uint32_t i = type->version != 0; i < count; i++) {
            struct slice changed[64];
            memcpy(changed, values, i * sizeof *values);
            memcpy(changed + i, values + i + 1, (count - i - 1) * sizeof *values);
            assert_int_not_equal(decode(f, type, join(f, changed, count - 1)), HF_OK);
            changed[i] = values[i];
            memcpy(changed + i + 1, values + i, (count - i) * sizeof *values);
            assert_int_not_equal(decode(f, type, join(f, changed, count + 1)), HF_OK);
        }
    }
}

/* One value of each of msgpack's kinds, and who may take it. */
static const struct {
    const char *bytes;
    size_t size;
    enum codec_kind only; /* CODEC_LIST stands for all three lists; -1 for nobody */
} kinds[] = {
    {"\x01", 1, CODEC_U64},
    {"\xff", 1, CODEC_STATUS},
    {"\xa1"
     "a",
     2, CODEC_STR},
    {"\xc4\x01"
     "a",
     3, CODEC_BIN},
    {"\x90", 1, CODEC_LIST},
    {"\xc0", 1, (enum codec_kind) - 1},                                 /* nil */
    {"\xc1", 1, (enum codec_kind) - 1},                                 /* never used */
    {"\xc2", 1, (enum codec_kind) - 1},                                 /* false */
    {"\xc3", 1, (enum codec_kind) - 1},                                 /* true */
    {"\xca\x3f\x80\x00\x00", 5, (enum codec_kind) - 1},                 /* 1.0 */
    {"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", 9, (enum codec_kind) - 1}, /* 1.0 */
    {"\x80", 1, (enum codec_kind) - 1},                                 /* an empty map */
    {"\xde\x00\x00", 3, (enum codec_kind) - 1},
    {"\xd4\x01\x00", 3, (enum codec_kind) - 1}, /* extensions */
    {"\xc7\x00\x01", 3, (enum codec_kind) - 1},
    {"\xd2\xff\xff\x00\x00", 5, (enum codec_kind) - 1}, /* int32: no status is so low */
    {"\xd3\xff\xff\xff\xff\x00\x00\x00\x00", 9, (enum codec_kind) - 1},
    {"\x91\xc0", 2, (enum codec_kind) - 1}, /* a list of nil */
};

/* Each field replaced by a value of each other kind. */
static void test_mistyped_fields_are_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        const struct codec_type *type = sample_types[t];
        struct slice values[64];
        encode_plain(f, type);
        uint32_t count = split(buffer_slice(&f->bytes), values);
        for (uint32_t i = type->version != 0; i < count; i++) {
            enum codec_kind kind = type->fields[i - (type->version != 0)].kind;
            if (kind == CODEC_U64S || kind == CODEC_STRS) kind = CODEC_LIST;
            struct slice right = values[i];
            for (size_t k = 0; k < HF_ARRAY_COUNT(kinds); k++) {
                if (kinds[k].only == kind) continue;
                values[i] = slice_make(kinds[k].bytes, kinds[k].size);
                assert_int_equal(decode(f, type, join(f, values, count)), HF_EBADREQUEST);
            }
            values[i] = right;
        }
    }
}

/* Five bytes that claim 268 million items, and their like, cost no memory wherever they stand. */
static void test_a_claimed_count_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    static const char *const claims[] = {"\xdd\x0f\xff\xff\xff", "\xdd\xff\xff\xff\xff",
                                         "\xdc\xff\xff",         "\xdf\x0f\xff\xff\xff",
                                         "\xdb\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff"};
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        const struct codec_type *type = sample_types[t];
        struct slice values[64];
        encode_plain(f, type);
        uint32_t count = split(buffer_slice(&f->bytes), values);
        for (uint32_t i = type->version != 0; i < count; i++) {
            for (size_t k = 0; k < HF_ARRAY_COUNT(claims); k++) {
                struct slice changed[64];
                memcpy(changed, values, count * sizeof *values);
                changed[i] = slice_of(claims[k]);
                struct slice bytes = join(f, changed, i + 1); /* the claim comes last */
                f->again.data[0] = f->bytes.data[0];
                if (count >= 16) continue; /* another head; covered by the smaller ones */
                assert_int_equal(decode(f, type, bytes), HF_EBADREQUEST);
                size_t lists = 0; /* honest lists before it took little */
                for (uint32_t j = type->version != 0; j < i; j++) lists += values[j].size;
                assert_true(f->lists.size <= 64 * lists);
            }
        }
    }
}

/* 4,096 claimed items with a byte each behind them would take 64 KiB: an item has at least its head
 * and a byte a field, so the count is known to be false before any memory is taken. */
static void test_a_count_that_its_bytes_cannot_hold_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    static const uint8_t head[] = {0x95, 0xcd, 0x01, 0xf4, 0x90, 0x00, 0x90, 0xdc, 0x10, 0x00};
    buffer_clear(&f->bytes);
    assert_int_equal(buffer_append(&f->bytes, head, sizeof head), HF_OK);
    for (int i = 0; i < 4096; i++) assert_int_equal(buffer_append(&f->bytes, "\x92", 1), HF_OK);
    int rv = decode(f, &msg_keep_reply_type, buffer_slice(&f->bytes));
    assert_int_equal(rv, HF_EBADREQUEST);
    assert_int_equal(f->lists.size, 0);
}

/* Arrays in arrays: four are read, five are refused, a hundred thousand overflow no stack. */
static void test_nesting_is_bounded(void **state)
{
    (void)state;
    struct slice value;
    assert_int_equal(codec_first(slice_of("\x91\x91\x91\x91\x01"), &value), HF_OK);
    assert_int_equal(value.size, 5);
    assert_int_equal(codec_first(slice_of("\x91\x91\x91\x91\x90"), &value), HF_EBADREQUEST);
    assert_int_equal(codec_first(slice_of("\x91\x91\x91\x91\x91\x01"), &value), HF_EBADREQUEST);
    uint8_t *deep = malloc(100000);
    memset(deep, 0x91, 100000);
    assert_int_equal(codec_first(slice_make(deep, 100000), &value), HF_EBADREQUEST);
    free(deep);
}

static unsigned depth_of(const struct codec_type *type)
{
    unsigned deepest = 1;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_field *field = &type->fields[i];
        unsigned depth = field->kind == CODEC_LIST                                ? 2
                         : field->kind == CODEC_U64S || field->kind == CODEC_STRS ? 2
                                                                                  : 1;
        if (field->kind == CODEC_LIST) depth += depth_of(field->type);
        if (depth > deepest) deepest = depth;
    }
    return deepest;
}

/* No described message is nested deeper than what codec_first() reads. */
static void test_no_message_is_nested_too_deep(void **state)
{
    (void)state;
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        assert_true(depth_of(sample_types[t]) <= NESTING_MAX);
        assert_true(sample_types[t]->struct_bytes <= SAMPLE_STRUCT_BYTES_MAX);
    }
}

/* Flip bytes of valid messages: what still decodes encodes to exactly the flipped bytes. So no
 * two byte strings mean the same message, and requests may be compared by hash. */
static void test_a_mutated_message_is_refused_or_canonical(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 60; round++) {
        for (size_t t = 0; sample_types[t] != NULL; t++) {
            const struct codec_type *type = sample_types[t];
            if (round % 2 == 0)
                encode_plain(f, type);
            else
                encode_random(f, type);
            if (f->bytes.size > 4096) continue;
            for (int flip = 0; flip < 20; flip++) {
                size_t at = prng_below(&f->prng, f->bytes.size);
                uint8_t *byte = &f->bytes.data[at];
                uint8_t before = *byte;
                uint64_t noise = prng_next(&f->prng);
                unsigned flipped = before ^ (1U << (noise & 7));
                *byte = (uint8_t)(flip % 2 == 0 ? noise : flipped);
                struct slice bytes = buffer_slice(&f->bytes);
                int rv = decode(f, type, bytes);
                if (rv == HF_OK) assert_encodes_back(f, type, bytes);
                if (flip % 4 == 0) *byte = before; /* else mutations add up */
            }
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_message_comes_back_as_it_was),
        TEST(test_a_message_without_lists_needs_no_arena),
        TEST(test_a_refused_message_leaves_the_struct_alone),
        TEST(test_a_full_arena_is_told),
        TEST(test_encoding_is_whole_or_not_at_all),
        TEST(test_a_row_of_another_version_is_told),
        TEST(test_each_field_keeps_its_range),
        TEST(test_a_name_in_a_list_keeps_its_range),
        TEST(test_a_status_keeps_its_range),
        TEST(test_bad_text_is_found_before_encoding),
        TEST(test_every_truncation_is_refused),
        TEST(test_trailing_bytes_are_refused),
        TEST(test_missing_and_extra_fields_are_refused),
        TEST(test_mistyped_fields_are_refused),
        TEST(test_a_claimed_count_allocates_nothing),
        TEST(test_a_count_that_its_bytes_cannot_hold_allocates_nothing),
        TEST(test_nesting_is_bounded),
        TEST(test_no_message_is_nested_too_deep),
        TEST(test_a_mutated_message_is_refused_or_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
