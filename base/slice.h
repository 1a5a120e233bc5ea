/* Borrowed bytes (struct slice) and a growable, bounded output (struct buffer).
 * A buffer gets its maximum at init and never grows past it: a full one is a status. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"

/** Bytes owned by somebody else. data may be NULL only if size is 0. */
struct slice {
    const uint8_t *data; /**< first byte; borrowed */
    size_t size;         /**< bytes */
};

/** The bytes of a NUL-terminated string, without the NUL. */
static inline struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

/** `size` bytes at `data`, borrowed. */
static inline struct slice slice_make(const void *data, size_t size)
{
    return (struct slice){(const uint8_t *)data, size};
}

/** Same length and same bytes. */
static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/** Byte order, the shorter first among equals: the order of the store's keys. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0) return order;
    return (a.size > b.size) - (a.size < b.size);
}

/** True if `whole` begins with `prefix`. */
static inline bool slice_starts(struct slice whole, struct slice prefix)
{
    return prefix.size <= whole.size &&
           (prefix.size == 0 || memcmp(whole.data, prefix.data, prefix.size) == 0);
}

/** Output bytes, owned. Zeroed is a valid, closed buffer. */
struct buffer {
    uint8_t *data;    /**< owned; NULL while capacity is 0 */
    size_t size;      /**< bytes in use */
    size_t capacity;  /**< bytes allocated */
    size_t bytes_max; /**< capacity never passes this */
};

/** Make an empty buffer that may grow to `bytes_max`. Allocates nothing yet. */
void buffer_init(struct buffer *b, size_t bytes_max);

/** Free what it owns and zero it; a zeroed one is accepted. */
void buffer_close(struct buffer *b);

/** Make room for `bytes` more behind the used part.
 * \retval HF_OK        b->data + b->size has room for `bytes`.
 * \retval HF_ETOOLARGE it would pass bytes_max. Nothing changed.
 * \retval HF_ENOMEM    Nothing changed. */
HF_MUST_USE
int buffer_reserve(struct buffer *b, size_t bytes);

/** Append a copy of `bytes` bytes. Errors as buffer_reserve(). */
HF_MUST_USE
int buffer_append(struct buffer *b, const void *data, size_t bytes);

/** Drop the first `bytes` bytes (at most size); the rest moves to the front. */
void buffer_consume(struct buffer *b, size_t bytes);

/** The used part, borrowed until the next call on the buffer. */
static inline struct slice buffer_slice(const struct buffer *b)
{
    return (struct slice){b->data, b->size};
}

/** Forget the contents, keep the memory. */
static inline void buffer_clear(struct buffer *b)
{
    b->size = 0;
}

/** Forget the contents, and give the memory back if it is more than `bytes_kept`. */
void buffer_empty(struct buffer *b, size_t bytes_kept);

/* Big-endian integers: the byte order of the wire, the log and the store's keys. */
static inline void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, (uint16_t)(v >> 16));
    put_u16(p + 2, (uint16_t)v);
}
static inline void put_u64(uint8_t *p, uint64_t v)
{
    put_u32(p, (uint32_t)(v >> 32));
    put_u32(p + 4, (uint32_t)v);
}
static inline uint16_t get_u16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}
static inline uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}
static inline uint64_t get_u64(const uint8_t *p)
{
    return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}

#endif
