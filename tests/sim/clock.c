/* See the header. */
#include "tests/sim/clock.h"

#include "base/assert.h"

enum { MILLION = 1000000, RATE_PPM_MAX = 100000 };

static const uint64_t WALL_START_MS = UINT64_C(1700000000000);

void sim_clock_init(struct sim_clock *c, uint64_t true_ns, uint64_t local_ns, int64_t rate_ppm)
{
    HF_ASSERT(rate_ppm >= -RATE_PPM_MAX && rate_ppm <= RATE_PPM_MAX);
    *c = (struct sim_clock){.true_ns = true_ns, .local_ns = local_ns, .rate_ppm = rate_ppm};
}

/* Whole millions and the rest apart, so that nothing overflows within 500 years. */
static uint64_t scale(uint64_t value, uint64_t by, uint64_t per)
{
    return value / per * by + value % per * by / per;
}

uint64_t sim_clock_local(const struct sim_clock *c, uint64_t true_ns)
{
    HF_ASSERT(true_ns >= c->true_ns);
    return c->local_ns + scale(true_ns - c->true_ns, (uint64_t)(MILLION + c->rate_ppm), MILLION);
}

uint64_t sim_clock_true(const struct sim_clock *c, uint64_t local_ns)
{
    if (local_ns == UINT64_MAX) return UINT64_MAX;
    if (local_ns <= c->local_ns) return c->true_ns;
    uint64_t left_ns = scale(local_ns - c->local_ns, MILLION, (uint64_t)(MILLION + c->rate_ppm));
    uint64_t true_ns = c->true_ns + left_ns;
    while (sim_clock_local(c, true_ns) < local_ns) true_ns++;
    return true_ns;
}

void sim_clock_set_rate(struct sim_clock *c, uint64_t true_ns, int64_t rate_ppm)
{
    int64_t wall_ms = c->wall_ms;
    sim_clock_init(c, true_ns, sim_clock_local(c, true_ns), rate_ppm);
    c->wall_ms = wall_ms;
}

uint64_t sim_clock_wall_ms(const struct sim_clock *c, uint64_t true_ns)
{
    return (uint64_t)((int64_t)(WALL_START_MS + true_ns / MILLION) + c->wall_ms);
}
