/* One description of a message serves its struct, its encoder, its decoder, its JSON and its
 * documentation. A message is a msgpack array of its fields in order, nothing missing, nothing
 * extra; a stored row is the same with a version number first.
 *
 * A message's fields are a macro FIELDS(T, F, L) that calls, for each field in order,
 *     F(T, KIND, name, min, max)     a plain field of the kinds below
 *     L(T, element, name, min, max)  a list of min..max `element`s, itself a described struct
 * CODEC_STRUCT makes the struct and declares its type; CODEC_DEFINE, in one .c file, defines it.
 *
 * Decoding is strict: every type, range, length, count, nesting and UTF-8 is checked on the raw
 * bytes before anything is allocated (five hostile bytes make msgpack-c's reader reserve
 * gigabytes), each value must stand in its shortest form, and all bytes must be used: equal
 * structs have equal bytes, and what decodes encodes back to the very same bytes.
 * Encoding writes the same forms (protocol/pack.h, protocol/scan.h). */
#ifndef PROTOCOL_CODEC_H
#define PROTOCOL_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/slice.h"

enum codec_kind {
    CODEC_U64,    /**< uint64_t in min..max */
    CODEC_STATUS, /**< int32_t: a status, min..max are its negated bounds (within 0..999) */
    CODEC_STR,    /**< struct slice: UTF-8 without NUL, min..max bytes */
    CODEC_BIN,    /**< struct slice: any bytes, min..max of them */
    CODEC_U64S,   /**< struct codec_u64s: min..max integers */
    CODEC_STRS,   /**< struct codec_strs: min..max strings of 1 to 255 bytes */
    CODEC_LIST,   /**< struct codec_list: min..max structs */
};

struct codec_u64s {
    const uint64_t *items; /**< borrowed */
    uint32_t count;        /**< items */
};

struct codec_strs {
    const struct slice *items; /**< borrowed */
    uint32_t count;            /**< items */
};

struct codec_list {
    const void *items; /**< borrowed; an array of the element's struct */
    uint32_t count;    /**< elements */
};

struct codec_type;

struct codec_field {
    const char *name;              /**< as in the struct, in JSON and in the documents */
    enum codec_kind kind;          /**< what it is */
    uint32_t offset;               /**< bytes from the struct's start */
    uint64_t min;                  /**< least value, bytes or count */
    uint64_t max;                  /**< greatest value, bytes or count */
    const struct codec_type *type; /**< of a CODEC_LIST's elements, else NULL */
};

struct codec_type {
    const char *name;                 /**< the struct's */
    const struct codec_field *fields; /**< in wire order */
    uint32_t field_count;             /**< of them */
    uint32_t struct_bytes;            /**< sizeof the struct */
    uint32_t version;                 /**< first element of a stored row; 0 = a message, none */
};

/** Decode exactly `bytes` into `out`, a struct of `type`.
 * \param arena  memory for lists; what is taken stays taken on failure. Strings and bytes are
 *               borrowed from `bytes` instead. NULL only for a type without lists.
 * \param out    written only on HF_OK.
 * \retval HF_EBADREQUEST malformed, a range broken, a field missing, extra or mistyped.
 * \retval HF_ETOOLARGE   a string, byte string or list is longer than its field allows.
 * \retval HF_EVERSION    a row of another version; not one byte behind the version was looked at.
 * \retval HF_ENOMEM      the arena is full. */
HF_MUST_USE
int codec_decode(const struct codec_type *type, struct slice bytes, struct arena *arena, void *out);

/** Whether the fields of `in` keep their ranges and its strings are UTF-8: what codec_encode()
 * asserts. For callers whose values come from users: ask before encoding.
 * \retval HF_EBADREQUEST a value out of its range, or text that is none.
 * \retval HF_ETOOLARGE   as codec_decode(). */
HF_MUST_USE
int codec_check(const struct codec_type *type, const void *in);

/** Append the encoding of `in`, a struct of `type` whose fields keep their ranges (asserted).
 * \retval HF_ETOOLARGE the buffer's maximum would be passed; its size is as before.
 * \retval HF_ENOMEM    likewise. */
HF_MUST_USE
int codec_encode(const struct codec_type *type, const void *in, struct buffer *out);

/** The bytes of the first msgpack value in `bytes`, checked as codec_decode() does, nested at most
 * NESTING_MAX deep. \retval HF_EBADREQUEST */
HF_MUST_USE
int codec_first(struct slice bytes, struct slice *value);

/** Append `in`, as codec_decode() gave it, as one JSON object (RFC 8259): numbers as numbers
 * (those of a field that may pass 2^53, such as tokens and ids, as strings), a status as its word,
 * bytes as text where they are UTF-8, else as {"base64": "..."}; a row's version comes first, as
 * "row_version".
 * \retval HF_ETOOLARGE, HF_ENOMEM as codec_encode(). */
HF_MUST_USE
int codec_json(const struct codec_type *type, const void *in, struct buffer *out);

/** Append UTF-8 text as a JSON string, with its quotes and escapes. Errors as codec_json(). */
HF_MUST_USE
int codec_json_text(struct buffer *out, struct slice text);

/* ------------------------------------------------------------------ describing */

#define CODEC_TYPE_U64    uint64_t
#define CODEC_TYPE_STATUS int32_t
#define CODEC_TYPE_STR    struct slice
#define CODEC_TYPE_BIN    struct slice
#define CODEC_TYPE_U64S   struct codec_u64s
#define CODEC_TYPE_STRS   struct codec_strs

#define CODEC_MEMBER(T, KIND, name, min, max)         CODEC_TYPE_##KIND name;
#define CODEC_LIST_MEMBER(T, element, name, min, max) struct codec_list name;

#define CODEC_FIELD(T, KIND, name, min, max) \
    {#name, CODEC_##KIND, offsetof(struct T, name), (uint64_t)(min), (uint64_t)(max), NULL},
#define CODEC_LIST_FIELD(T, element, name, min, max)             \
    {#name,           CODEC_LIST,      offsetof(struct T, name), \
     (uint64_t)(min), (uint64_t)(max), &element##_type},

/** Define struct T from its fields and declare its description, T_type. */
#define CODEC_STRUCT(T, FIELDS)                    \
    struct T {                                     \
        FIELDS(T, CODEC_MEMBER, CODEC_LIST_MEMBER) \
    };                                             \
    extern const struct codec_type T##_type;

/** Define T_type. \param row_version 0 for a message. */
#define CODEC_DEFINE(T, FIELDS, row_version)                                                   \
    static const struct codec_field T##_fields[] = {FIELDS(T, CODEC_FIELD, CODEC_LIST_FIELD)}; \
    const struct codec_type T##_type = {                                                       \
        .name = #T,                                                                            \
        .fields = T##_fields,                                                                  \
        .field_count = HF_ARRAY_COUNT(T##_fields),                                             \
        .struct_bytes = sizeof(struct T),                                                      \
        .version = (row_version),                                                              \
    };

#endif
