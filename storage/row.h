/* The hash of one row, which is both its checksum on disk and its share of the store's digest.
 * It is bound to table and key, so that a value that turns up under another key is found out, and
 * the sum over all rows does not depend on the order in which they came (docs/contract.md speaks
 * of the state's digest; servers compare it). */
#ifndef STORAGE_ROW_H
#define STORAGE_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/slice.h"

/** H(table, key, value): 128 bits. Changing it changes every store's format and digest. */
static inline struct hash128 row_hash(uint8_t table, struct slice key, struct slice value)
{
    return hash128(hash64(table, key.data, key.size), value.data, value.size);
}

static inline bool row_hash_equal(struct hash128 a, struct hash128 b)
{
    return a.high == b.high && a.low == b.low;
}

/** The 16 bytes in front of a value on disk; put_hash128() writes them. */
static inline struct hash128 row_hash_read(const uint8_t *in)
{
    return (struct hash128){.high = get_u64(in), .low = get_u64(in + 8)};
}

/** a + b modulo 2^128. */
static inline struct hash128 digest_add(struct hash128 a, struct hash128 b)
{
    struct hash128 sum = {.high = a.high + b.high, .low = a.low + b.low};
    if (sum.low < a.low) sum.high += 1; /* the carry */
    return sum;
}

/** a - b modulo 2^128. */
static inline struct hash128 digest_sub(struct hash128 a, struct hash128 b)
{
    struct hash128 rest = {.high = a.high - b.high, .low = a.low - b.low};
    if (a.low < b.low) rest.high -= 1; /* the borrow */
    return rest;
}

#endif
