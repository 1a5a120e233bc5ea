#include "base/hash.h"

#define XXH_INLINE_ALL
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include "base/assert.h"

uint64_t hash64(uint64_t seed, const void *data, size_t bytes)
{
    return XXH3_64bits_withSeed(data, bytes, seed);
}

struct hash128 hash128(uint64_t seed, const void *data, size_t bytes)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(data, bytes, seed);
    return (struct hash128){.high = h.high64, .low = h.low64};
}

void sha256(const void *data, size_t bytes, uint8_t out[SHA256_BYTES])
{
    unsigned size = 0;
    int ok = EVP_Digest(data, bytes, out, &size, EVP_sha256(), NULL);
    HF_ASSERT(ok == 1);
    HF_ASSERT(size == SHA256_BYTES);
}

int equal_in_constant_time(const void *a, const void *b, size_t bytes)
{
    return CRYPTO_memcmp(a, b, bytes) == 0;
}
