/* Checks and hashes. CRC32C guards what a disk or a cable may change; the 128-bit hash tells
 * requests and rows apart (it resists accidents, not an attacker); SHA-256 is for secrets and
 * fingerprints. This is the one door to xxhash and to libcrypto's digests. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct hash128 {
    uint64_t high; /**< first eight bytes in the canonical, big-endian form */
    uint64_t low;  /**< last eight bytes */
};

enum { SHA256_BYTES = 32, HASH128_BYTES = 16 };

/** CRC32C (Castagnoli, RFC 3720 appendix B.4) of `bytes` bytes, continuing from `crc`, the result
 * over what came before (0 at the start). */
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes);

/** XXH3, 64 bits, with a seed. */
uint64_t hash64(uint64_t seed, const void *data, size_t bytes);

/** XXH3, 128 bits, with a seed. */
struct hash128 hash128(uint64_t seed, const void *data, size_t bytes);

/** The canonical form: 16 bytes, big-endian. */
static inline void put_hash128(uint8_t out[HASH128_BYTES], struct hash128 h)
{
    put_u64(out, h.high);
    put_u64(out + 8, h.low);
}

/** SHA-256 (FIPS 180-4). Any thread. */
void sha256(const void *data, size_t bytes, uint8_t out[SHA256_BYTES]);

/** HMAC-SHA256 (RFC 2104) of `bytes` bytes. \param key secret, 1 byte or more. Any thread. */
void hmac_sha256(struct slice key, struct slice data, uint8_t out[SHA256_BYTES]);

/** Overwrite what was secret, also where a compiler would see no reader of it. */
void wipe(void *memory, size_t bytes);

/** Equal or not, in a time that does not depend on where they differ. */
int equal_in_constant_time(const void *a, const void *b, size_t bytes);

#endif
