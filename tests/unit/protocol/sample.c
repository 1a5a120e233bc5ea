/* Valid structs from descriptors alone. The random ones lean towards bounds, where codecs break;
 * the plain ones are for people: "name-1", small numbers, bytes a0 a1 a2.
 */
#include "tests/unit/protocol/sample.h"

#include <stdio.h>

CODEC_DEFINE(sample_row, SAMPLE_ROW_FIELDS, SAMPLE_ROW_VERSION)

const struct codec_type *const sample_types[] = {
#define SAMPLE_TYPE(T, FIELDS) &T##_type,
    HF_TYPES(SAMPLE_TYPE) & msg_empty_type,
    &sample_row_type,
    NULL,
};

static void *take(struct arena *arena, size_t bytes)
{
    void *p = arena_take(arena, bytes);
    HF_ASSERT(p != NULL);
    return p;
}

/* ------------------------------------------------------------------ random */

/* In min..max: often a bound, often near the least, else anywhere. */
static uint64_t pick(struct prng *prng, uint64_t min, uint64_t max)
{
    uint64_t span = max - min;
    switch (prng_below(prng, 8)) {
    case 0: return min;
    case 1: return max;
    case 2: return span == UINT64_MAX ? prng_next(prng) : min + prng_below(prng, span + 1);
    case 3: return min + (prng_next(prng) >> prng_below(prng, 64)) % (span / 2 + 1);
    default: return min + (span < 20 ? prng_below(prng, span + 1) : prng_below(prng, 20));
    }
}

/* A length: the greatest only seldom, so that samples stay small. */
static uint32_t pick_size(struct prng *prng, uint64_t min, uint64_t max)
{
    if (prng_below(prng, 4) != 0 && max > min + 10) max = min + 10;
    return (uint32_t)pick(prng, min, max);
}

/* One character of at most `left` bytes. */
static size_t put_character(struct prng *prng, uint8_t *p, size_t left)
{
    static const char *const characters[] = {"a",
                                             "Z",
                                             "\x7f",
                                             "\x01",
                                             "\xc3\xa9",
                                             "\xdf\xbf",
                                             "\"",
                                             "\\",
                                             "/",
                                             "\xe0\xa0\x80",
                                             "\xed\x9f\xbf",
                                             "\xef\xbf\xbf",
                                             "\xf0\x90\x80\x80",
                                             "\xf4\x8f\xbf\xbf"};
    for (;;) {
        struct slice one = slice_of(characters[prng_below(prng, HF_ARRAY_COUNT(characters))]);
        if (one.size > left) continue;
        memcpy(p, one.data, one.size);
        return one.size;
    }
}

static struct slice random_text(struct prng *prng, struct arena *arena, uint32_t size)
{
    uint8_t *p = take(arena, size);
    for (uint32_t i = 0; i < size;) i += (uint32_t)put_character(prng, p + i, size - i);
    return slice_make(p, size);
}

static struct slice random_bytes_of(struct prng *prng, struct arena *arena, uint32_t size)
{
    uint8_t *p = take(arena, size);
    for (uint32_t i = 0; i < size; i++) p[i] = (uint8_t)prng_next(prng);
    return slice_make(p, size);
}

static void random_list(struct prng *prng, const struct codec_field *f, struct arena *arena,
                        void *out)
{
    uint32_t count = pick_size(prng, f->min, f->max < 100 ? f->max : 100);
    if (f->kind == CODEC_U64S) {
        uint64_t *items = take(arena, count * sizeof *items);
        for (uint32_t i = 0; i < count; i++) items[i] = pick(prng, 0, UINT64_MAX);
        *(struct codec_u64s *)out = (struct codec_u64s){items, count};
    } else if (f->kind == CODEC_STRS) {
        struct slice *items = take(arena, count * sizeof *items);
        for (uint32_t i = 0; i < count; i++) {
            items[i] = random_text(prng, arena, pick_size(prng, 1, NAME_BYTES_MAX));
        }
        *(struct codec_strs *)out = (struct codec_strs){items, count};
    } else {
        uint8_t *items = take(arena, count * f->type->struct_bytes);
        for (uint32_t i = 0; i < count; i++) {
            sample_random(prng, f->type, arena, items + i * f->type->struct_bytes);
        }
        *(struct codec_list *)out = (struct codec_list){items, count};
    }
}

void sample_random(struct prng *prng, const struct codec_type *type, struct arena *arena, void *out)
{
    memset(out, 0, type->struct_bytes);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_field *f = &type->fields[i];
        void *to = (uint8_t *)out + f->offset;
        switch (f->kind) {
        case CODEC_U64: *(uint64_t *)to = pick(prng, f->min, f->max); break;
        case CODEC_STATUS: *(int32_t *)to = -(int32_t)pick(prng, f->min, f->max); break;
        case CODEC_STR:
            *(struct slice *)to = random_text(prng, arena, pick_size(prng, f->min, f->max));
            break;
        case CODEC_BIN:
            *(struct slice *)to = random_bytes_of(prng, arena, pick_size(prng, f->min, f->max));
            break;
        case CODEC_U64S:
        case CODEC_STRS:
        case CODEC_LIST: random_list(prng, f, arena, to); break;
        }
    }
}

/* ------------------------------------------------------------------ plain */

/* "name-1", cut or repeated to fit. */
static struct slice plain_text(const struct codec_field *f, struct arena *arena, unsigned number)
{
    char text[64];
    int size = snprintf(text, sizeof text, "%s-%u", f->name, number);
    HF_ASSERT(size > 0 && (size_t)size < sizeof text);
    uint8_t *p = take(arena, (size_t)size);
    memcpy(p, text, (size_t)size);
    return slice_make(p, (size_t)size < f->max ? (size_t)size : f->max);
}

static struct slice plain_bytes(const struct codec_field *f, struct arena *arena)
{
    uint32_t size = f->min > 4 ? (uint32_t)f->min : 4;
    uint8_t *p = take(arena, size);
    for (uint32_t i = 0; i < size; i++) p[i] = (uint8_t)(0xa0 + i);
    return slice_make(p, size);
}

static void plain_list(const struct codec_field *f, struct arena *arena, void *out)
{
    uint32_t count = f->min > 1 ? (uint32_t)f->min : 1;
    if (f->kind == CODEC_U64S) {
        uint64_t *items = take(arena, count * sizeof *items);
        for (uint32_t i = 0; i < count; i++) items[i] = 1000 + i;
        *(struct codec_u64s *)out = (struct codec_u64s){items, count};
    } else if (f->kind == CODEC_STRS) {
        struct slice *items = take(arena, count * sizeof *items);
        for (uint32_t i = 0; i < count; i++) items[i] = plain_text(f, arena, i + 1);
        *(struct codec_strs *)out = (struct codec_strs){items, count};
    } else {
        uint8_t *items = take(arena, count * f->type->struct_bytes);
        for (uint32_t i = 0; i < count; i++) {
            sample_plain(f->type, arena, items + i * f->type->struct_bytes);
        }
        *(struct codec_list *)out = (struct codec_list){items, count};
    }
}

void sample_plain(const struct codec_type *type, struct arena *arena, void *out)
{
    memset(out, 0, type->struct_bytes);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_field *f = &type->fields[i];
        void *to = (uint8_t *)out + f->offset;
        switch (f->kind) {
        case CODEC_U64: *(uint64_t *)to = f->max - f->min > 1000 ? f->min + 100 + i : f->min; break;
        case CODEC_STATUS: *(int32_t *)to = 0; break;
        case CODEC_STR: *(struct slice *)to = plain_text(f, arena, 1); break;
        case CODEC_BIN: *(struct slice *)to = plain_bytes(f, arena); break;
        case CODEC_U64S:
        case CODEC_STRS:
        case CODEC_LIST: plain_list(f, arena, to); break;
        }
    }
}

/* ------------------------------------------------------------------ comparing */

static bool lists_equal(const struct codec_field *f, const void *a, const void *b)
{
    if (f->kind == CODEC_U64S) {
        const struct codec_u64s *x = a;
        const struct codec_u64s *y = b;
        return x->count == y->count &&
               (x->count == 0 || memcmp(x->items, y->items, x->count * sizeof *x->items) == 0);
    }
    if (f->kind == CODEC_STRS) {
        const struct codec_strs *x = a;
        const struct codec_strs *y = b;
        bool equal = x->count == y->count;
        for (uint32_t i = 0; equal && i < x->count; i++) {
            equal = slice_equal(x->items[i], y->items[i]);
        }
        return equal;
    }
    const struct codec_list *x = a;
    const struct codec_list *y = b;
    bool equal = x->count == y->count;
    for (uint32_t i = 0; equal && i < x->count; i++) {
        size_t at = (size_t)i * f->type->struct_bytes;
        equal =
            sample_equal(f->type, (const uint8_t *)x->items + at, (const uint8_t *)y->items + at);
    }
    return equal;
}

bool sample_equal(const struct codec_type *type, const void *a, const void *b)
{
    bool equal = true;
    for (uint32_t i = 0; equal && i < type->field_count; i++) {
        const struct codec_field *f = &type->fields[i];
        const void *x = (const uint8_t *)a + f->offset;
        const void *y = (const uint8_t *)b + f->offset;
        switch (f->kind) {
        case CODEC_U64: equal = *(const uint64_t *)x == *(const uint64_t *)y; break;
        case CODEC_STATUS: equal = *(const int32_t *)x == *(const int32_t *)y; break;
        case CODEC_STR:
        case CODEC_BIN:
            equal = slice_equal(*(const struct slice *)x, *(const struct slice *)y);
            break;
        case CODEC_U64S:
        case CODEC_STRS:
        case CODEC_LIST: equal = lists_equal(f, x, y); break;
        }
    }
    return equal;
}
