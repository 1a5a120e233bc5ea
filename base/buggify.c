#include "base/buggify.h"

#include "base/assert.h"

struct buggify *buggify_now;

#define CHANCE(name, chance) chance,
static const uint32_t chances[] = {HF_BUGGIFY_POINTS(CHANCE)};
#undef CHANCE

bool buggify_draw(enum buggify_point point)
{
    HF_ASSERT(point < BUGGIFY_POINT_COUNT);
    if ((buggify_now->mask >> point & 1) == 0) return false;
    if (prng_below(&buggify_now->random, chances[point]) != 0) return false;
    buggify_now->count[point]++;
    return true;
}
