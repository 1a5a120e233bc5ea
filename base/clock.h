/* Time as an argument: whoever needs to know the time is given a struct clock. The real one reads
 * the kernel; the simulation has one per server. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t (*elapsed_ns)(void *data); /**< CLOCK_BOOTTIME: goes on while suspended or stopped */
    uint64_t (*wall_ms)(void *data);    /**< since 1970; for people, and for KEY_TOO_OLD only */
    void *data;                         /**< handed to both */
};

/** The kernel's clocks; any thread. */
struct clock clock_real(void);

/** CLOCK_MONOTONIC, nanoseconds: for times that are compared over processes of one machine and
 * decide nothing. Any thread. */
uint64_t clock_monotonic_ns(void);

/** Nanoseconds since some fixed moment; never goes back. */
static inline uint64_t clock_elapsed_ns(const struct clock *c)
{
    return c->elapsed_ns(c->data);
}

/** The same in whole milliseconds. */
static inline uint64_t clock_elapsed_ms(const struct clock *c)
{
    return c->elapsed_ns(c->data) / 1000000U;
}

/** Milliseconds since 1970 as people set it; may jump either way. */
static inline uint64_t clock_wall_ms(const struct clock *c)
{
    return c->wall_ms(c->data);
}

#endif
