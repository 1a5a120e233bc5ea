/* Structs to test with, made from their descriptions: every message, a stored row, random valid
 * ones and one plain example of each. No test lists fields, so none can forget one. */
#ifndef TESTS_UNIT_PROTOCOL_SAMPLE_H
#define TESTS_UNIT_PROTOCOL_SAMPLE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/prng.h"
#include "protocol/messages.h"

#define SAMPLE_ONE(code, NAME, request, answer, traits) +1
enum { OPS = 0 HF_OPS(SAMPLE_ONE) }; /* how many there are */
#undef SAMPLE_ONE

/* A row as the machine stores them: a version first, and every kind of field. */
#define SAMPLE_ROW_FIELDS(T, F, L)              \
    F(T, U64, number, 3, UINT64_MAX)            \
    F(T, STATUS, status, 0, 999)                \
    F(T, STR, text, 1, 40)                      \
    F(T, BIN, bytes, 0, BODY_BYTES_MAX + 10000) \
    F(T, U64S, numbers, 1, 20)                  \
    F(T, STRS, texts, 2, 20)                    \
    L(T, late_item, items, 0, 20)
CODEC_STRUCT(sample_row, SAMPLE_ROW_FIELDS)

enum {
    SAMPLE_ROW_VERSION = 300,
    SAMPLE_ARENA_BYTES = 8 * 1024 * 1024,
    SAMPLE_BYTES_MAX = 8 * 1024 * 1024,
    SAMPLE_STRUCT_BYTES_MAX = 2048,
};

/** Room for one struct of any message. */
union sample {
    _Alignas(16) uint8_t bytes[SAMPLE_STRUCT_BYTES_MAX]; /**< at least struct_bytes */
};

/** Every described type: all of HF_TYPES, msg_empty and sample_row; NULL behind the last. */
extern const struct codec_type *const sample_types[];

/** Fill `out` with valid fields: bounds, small and random values mixed.
 * \param arena holds what the fields point to. */
void sample_random(struct prng *prng, const struct codec_type *type, struct arena *arena,
                   void *out);

/** Fill `out` with the same small readable values each time: what the documents show. */
void sample_plain(const struct codec_type *type, struct arena *arena, void *out);

/** Field by field equal, through every list. */
bool sample_equal(const struct codec_type *type, const void *a, const void *b);

#endif
