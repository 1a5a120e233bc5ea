/* A small deterministic generator for jitter and simulation: never for secrets. Whoever needs
 * randomness owns one and is given its seed; only a shell's main asks the kernel. */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t state[4]; /**< xoshiro256** (Blackman and Vigna, 2018), never all zero */
};

/** Start a sequence; every seed, 0 too, gives a good one. */
void prng_seed(struct prng *p, uint64_t seed);

/** The next 64 bits. */
uint64_t prng_next(struct prng *p);

/** Uniform in [0, bound); bound >= 1. */
uint64_t prng_below(struct prng *p, uint64_t bound);

/** Fill memory from the kernel's generator; for seeds, ids and secrets in the shells.
 * Aborts if the kernel has none to give. */
void random_bytes(void *out, size_t bytes);

#endif
