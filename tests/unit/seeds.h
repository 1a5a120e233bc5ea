/* Random lives against a model, one a seed: which seeds are lived, and which of them failed.
 *
 *     SEED=7 build/dev/tests/record_model_test      that one alone */
#ifndef TESTS_UNIT_SEEDS_H
#define TESTS_UNIT_SEEDS_H

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/unit/cmocka_all.h"

static uint64_t seeds_current; /* 0 = none is being lived */
static uint64_t seeds_step;    /* of it; whoever lives it counts */

/** Live the seeds 1 to `count`, or the one of $SEED. */
static inline void seeds_live(uint64_t count, void (*live)(uint64_t seed))
{
    const char *only = getenv("SEED");
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1;
    uint64_t last = only != NULL ? first : count;
    for (uint64_t seed = first; seed <= last; seed++) {
        seeds_current = seed;
        live(seed);
    }
    seeds_current = 0;
}

/** cmocka's teardown: say which seed failed, if one did. */
static inline int seeds_tell(void **state)
{
    (void)state;
    if (seeds_current != 0)
        print_error("SEED=%" PRIu64 " failed at step %" PRIu64 "\n", seeds_current, seeds_step);
    return 0;
}

#endif
