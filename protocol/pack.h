/* Writes msgpack into a bounded buffer: the subset that protocol/scan.h reads, each value in its
 * shortest form. A number or head of one byte into a buffer that has room, which is nearly all of a
 * message, is written inline.
 *
 * Every function returns HF_OK, or HF_ETOOLARGE and HF_ENOMEM as buffer_reserve() does, with the
 * buffer as it was. */
#ifndef PROTOCOL_PACK_H
#define PROTOCOL_PACK_H

#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

/** What stands behind a length; the values are the tag of its shortest length. */
enum pack_family { PACK_STR = 0xd9, PACK_BIN = 0xc4 };

/** The forms of pack_uint() that are longer than one byte, or need room first. */
HF_MUST_USE
int pack_uint_long(struct buffer *out, uint64_t value);

/** An unsigned integer, any. */
HF_MUST_USE
static inline int pack_uint(struct buffer *out, uint64_t value)
{
    if (value >= 0x80 || out->size == out->capacity) return pack_uint_long(out, value);
    out->data[out->size++] = (uint8_t)value;
    return HF_OK;
}

/** 0 or a negative integer. \param value -32768 to 0. */
HF_MUST_USE
int pack_status(struct buffer *out, int32_t value);

/** The forms of pack_array() that are longer than one byte, or need room first. */
HF_MUST_USE
int pack_array_long(struct buffer *out, uint32_t count);

/** The head of an array of `count` values, which follow. */
HF_MUST_USE
static inline int pack_array(struct buffer *out, uint32_t count)
{
    if (count >= 16 || out->size == out->capacity) return pack_array_long(out, count);
    out->data[out->size++] = (uint8_t)(0x90 | count);
    return HF_OK;
}

/** A string (not looked at: ask scan_is_text()) or a byte string. \param bytes up to 2^32 - 1. */
HF_MUST_USE
int pack_bytes(struct buffer *out, enum pack_family family, struct slice bytes);

#endif
