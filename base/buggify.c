#include "base/buggify.h"

#include "base/assert.h"

struct buggify *buggify_now;

#define CHANCE(name, chance) chance,
static const uint32_t chances[] = {HF_BUGGIFY_POINTS(CHANCE)};
#undef CHANCE

#define NAME(name, chance) #name,
static const char *const names[] = {HF_BUGGIFY_POINTS(NAME)};
#undef NAME

const char *buggify_name(enum buggify_point point)
{
    HF_ASSERT(point < BUGGIFY_POINT_COUNT);
    return names[point];
}

bool buggify_draw(enum buggify_point point)
{
    HF_ASSERT(point < BUGGIFY_POINT_COUNT);
    if ((buggify_now->mask >> point & 1) == 0) return false;
    if (prng_below(&buggify_now->random, chances[point]) != 0) return false;
    buggify_now->count[point]++;
    return true;
}
