/* CRC32C. The processor's own instruction where there is one (SSE 4.2: 8 bytes in about a cycle),
 * else a table; the choice is made once per process and both give the same numbers (a test). */
#include "base/hash.h"

#include <stdbool.h>
#include <string.h>

enum { POLYNOMIAL_REVERSED = (int)0x82f63b78U };

static uint32_t table[256];

/* Before main, so that no two threads race to fill it. */
__attribute__((constructor)) static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) {
            c = (c & 1) != 0 ? (c >> 1) ^ (uint32_t)POLYNOMIAL_REVERSED : c >> 1;
        }
        table[i] = c;
    }
}

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t bytes)
{
    while (bytes-- > 0) crc = table[(crc ^ *p++) & 0xff] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p,
                                                                 size_t bytes)
{
    uint64_t c = crc;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        c = _mm_crc32_u64(c, word);
    }
    uint32_t c32 = (uint32_t)c;
    while (bytes-- > 0) c32 = _mm_crc32_u8(c32, *p++);
    return c32;
}

static bool has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t bytes)
{
    return by_table(crc, p, bytes);
}

static bool has_instruction(void)
{
    return false;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    crc = ~crc;
    crc = has_instruction() ? by_instruction(crc, p, bytes) : by_table(crc, p, bytes);
    return ~crc;
}
