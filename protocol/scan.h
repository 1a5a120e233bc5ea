/* A bounded cursor over raw msgpack: the one place that turns hostile bytes into numbers and
 * slices. It reads the subset that our messages use (unsigned integers, negative ones for
 * statuses, str, bin, array), each only in its shortest form, so that equal values have equal
 * bytes and a stored request can be compared by hash. No length is believed before it was held
 * against the bytes that are left, and nothing is ever allocated here.
 *
 * The one-byte forms, which make up nearly all of a message, are read inline. Every function
 * returns HF_OK, or HF_EBADREQUEST with the cursor anywhere. */
#ifndef PROTOCOL_SCAN_H
#define PROTOCOL_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

struct scan {
    const uint8_t *at;  /**< next byte; borrowed */
    const uint8_t *end; /**< behind the last one */
};

/** msgpack's families of lengths; the values are their first tag byte. */
enum scan_family { SCAN_STR = 0xd9, SCAN_BIN = 0xc4, SCAN_ARRAY = 0xdc };

/** A cursor at the start of `bytes`. */
static inline struct scan scan_open(struct slice bytes)
{
    if (bytes.size == 0) return (struct scan){NULL, NULL}; /* NULL + 0 is undefined in C */
    return (struct scan){bytes.data, bytes.data + bytes.size};
}

/** Bytes not read yet. */
static inline size_t scan_left(const struct scan *s)
{
    return (size_t)(s->end - s->at);
}

/** The forms of scan_uint() that are longer than one byte. */
HF_MUST_USE
int scan_uint_long(struct scan *s, uint64_t *value);

/** Read an unsigned integer. \param value Out: any 64-bit value. */
HF_MUST_USE
static inline int scan_uint(struct scan *s, uint64_t *value)
{
    if (s->at == s->end) return HF_EBADREQUEST;
    if (*s->at > 0x7f) return scan_uint_long(s, value);
    *value = *s->at++;
    return HF_OK;
}

/** Read 0 or a negative integer. \param value Out: -32768 to 0. */
HF_MUST_USE
int scan_status(struct scan *s, int32_t *value);

/** Read a length behind its tag byte: str8..32, bin8..32, array16..32.
 * \param size Out: at most the bytes (or, for an array, the items of one byte) that are left. */
HF_MUST_USE
int scan_size_long(struct scan *s, enum scan_family family, uint32_t *size);

/** Read a string's or byte string's head and step over its bytes. A string's text is not looked
 * at: hold its length against the field's limit first, then ask scan_is_text(). */
HF_MUST_USE
static inline int scan_bytes(struct scan *s, enum scan_family family, struct slice *bytes)
{
    uint32_t size;
    if (s->at == s->end) return HF_EBADREQUEST;
    if (family == SCAN_STR && (*s->at & 0xe0) == 0xa0) {
        size = *s->at++ & 0x1f;
        if (size > scan_left(s)) return HF_EBADREQUEST;
    } else {
        int rv = scan_size_long(s, family, &size);
        if (rv != HF_OK) return rv;
    }
    *bytes = slice_make(s->at, size);
    s->at += size;
    return HF_OK;
}

/** Read an array's head. \param count Out: at most the bytes left. */
HF_MUST_USE
static inline int scan_array(struct scan *s, uint32_t *count)
{
    if (s->at == s->end) return HF_EBADREQUEST;
    if ((*s->at & 0xf0) != 0x90) return scan_size_long(s, SCAN_ARRAY, count);
    *count = *s->at++ & 0x0f;
    return *count <= scan_left(s) ? HF_OK : HF_EBADREQUEST;
}

/** Step over one value of any kind above, checked in full, text too.
 * \param depth arrays around it that count towards NESTING_MAX. */
HF_MUST_USE
int scan_skip(struct scan *s, unsigned depth);

/** UTF-8 (RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF) without NUL. */
bool scan_is_text(struct slice text);

#endif
