#include "base/clock.h"

#include <stddef.h>
#include <time.h>

#include "base/assert.h"

static uint64_t read_ns(clockid_t id)
{
    struct timespec t;
    int rv = clock_gettime(id, &t);
    HF_ASSERT(rv == 0);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static uint64_t boottime_ns(void *data)
{
    (void)data;
    return read_ns(CLOCK_BOOTTIME);
}

uint64_t clock_monotonic_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

static uint64_t realtime_ms(void *data)
{
    (void)data;
    return read_ns(CLOCK_REALTIME) / 1000000U;
}

struct clock clock_real(void)
{
    return (struct clock){.elapsed_ns = boottime_ns, .wall_ms = realtime_ms, .data = NULL};
}
