#include "base/hash.h"

#define XXH_INLINE_ALL
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
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

void hmac_sha256(struct slice key, struct slice data, uint8_t out[SHA256_BYTES])
{
    HF_ASSERT(key.size >= 1 && key.size <= INT32_MAX);
    unsigned size = 0;
    const uint8_t *done =
        HMAC(EVP_sha256(), key.data, (int)key.size, data.data, data.size, out, &size);
    HF_ASSERT(done == out);
    HF_ASSERT(size == SHA256_BYTES);
}

void wipe(void *memory, size_t bytes)
{
    OPENSSL_cleanse(memory, bytes);
}

int equal_in_constant_time(const void *a, const void *b, size_t bytes)
{
    return CRYPTO_memcmp(a, b, bytes) == 0;
}
