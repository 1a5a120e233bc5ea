#include "base/prng.h"

#include <sys/random.h>

#include "base/assert.h"

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* splitmix64: spreads one word over the four of the state (the authors' own recipe). */
static uint64_t spread(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

void prng_seed(struct prng *p, uint64_t seed)
{
    for (size_t i = 0; i < HF_ARRAY_COUNT(p->state); i++) p->state[i] = spread(&seed);
}

uint64_t prng_next(struct prng *p)
{
    uint64_t *s = p->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *p, uint64_t bound)
{
    HF_ASSERT(bound >= 1);
    uint64_t threshold = (0 - bound) % bound; /* below it the low residues would come too often */
    for (;;) {
        uint64_t r = prng_next(p);
        if (r >= threshold) return r % bound;
    }
}

void random_bytes(void *out, size_t bytes)
{
    HF_ASSERT(bytes <= 256); /* getrandom never returns short up to this */
    ssize_t got = getrandom(out, bytes, 0);
    HF_ASSERT(got == (ssize_t)bytes);
}
