/* See server/cluster_clock.h. */
#include "server/cluster_clock.h"

#include "base/assert.h"
#include "base/planted.h"

void cluster_clock_start(struct cluster_clock *c, uint64_t now_ms, uint64_t time_ms, bool deadlines)
{
    HF_ASSERT(!c->running);
    c->time_ms = time_ms;
    c->pass_ms = now_ms;
    c->frozen_until_ms = deadlines && !planted(NO_GRACE) ? now_ms + c->grace_ms : now_ms;
    c->watched = deadlines;
    c->running = true;
}

void cluster_clock_stop(struct cluster_clock *c)
{
    c->running = false;
}

bool cluster_clock_pass(struct cluster_clock *c, uint64_t now_ms, bool deadlines)
{
    HF_ASSERT(c->running);
    HF_ASSERT(now_ms >= c->pass_ms);

    bool stalled = c->watched && now_ms - c->pass_ms > CLOCK_STEP_MS_MAX;
    uint64_t from_ms = c->pass_ms > c->frozen_until_ms ? c->pass_ms : c->frozen_until_ms;
    uint64_t step_ms = now_ms > from_ms ? now_ms - from_ms : 0;
    if (step_ms > CLOCK_STEP_MS_MAX && !planted(PAUSE_COUNTED)) step_ms = CLOCK_STEP_MS_MAX;
    c->time_ms += step_ms;
    if (stalled) c->frozen_until_ms = now_ms + c->grace_ms;
    c->pass_ms = now_ms;
    c->watched = deadlines;
    return stalled;
}

uint64_t cluster_clock_when(const struct cluster_clock *c, uint64_t time_ms)
{
    HF_ASSERT(c->running);
    uint64_t from_ms = c->pass_ms > c->frozen_until_ms ? c->pass_ms : c->frozen_until_ms;
    if (time_ms <= c->time_ms) return c->pass_ms;
    uint64_t left_ms = time_ms - c->time_ms;
    return left_ms < UINT64_MAX - from_ms ? from_ms + left_ms : UINT64_MAX;
}
