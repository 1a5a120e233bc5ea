/* A host's clocks. The elapsed one (CLOCK_BOOTTIME) runs at its own rate, never back, and goes on
 * while the host is paused; the wall clock is what people set it to. Whole numbers only: the same
 * on every machine and in every build. */
#ifndef TESTS_SIM_CLOCK_H
#define TESTS_SIM_CLOCK_H

#include <stdint.h>

struct sim_clock {
    uint64_t true_ns;  /* when the rate was set, true time */
    uint64_t local_ns; /* what the clock showed then */
    int64_t rate_ppm;  /* it gains so much: -100,000 to 100,000 */
    int64_t wall_ms;   /* wall clock less true time, milliseconds */
};

/** Start a clock. */
void sim_clock_init(struct sim_clock *c, uint64_t true_ns, uint64_t local_ns, int64_t rate_ppm);

/** What it shows, nanoseconds. */
uint64_t sim_clock_local(const struct sim_clock *c, uint64_t true_ns);

/** The first true time at which it shows `local_ns` or more; UINT64_MAX stays. */
uint64_t sim_clock_true(const struct sim_clock *c, uint64_t local_ns);

/** Another rate from now on. */
void sim_clock_set_rate(struct sim_clock *c, uint64_t true_ns, int64_t rate_ppm);

/** Milliseconds since 1970, as people set it. */
uint64_t sim_clock_wall_ms(const struct sim_clock *c, uint64_t true_ns);

#endif
