/* See the header. */
#include "client/core_metrics.h"

#include "base/status.h"

void core_metrics_verdict(struct core_metrics *m, int verdict)
{
    switch (verdict) {
    case HF_OK: m->ok += 1; return;
    case HF_ECANCELLED: m->cancelled += 1; return;
    case HF_ETIMEOUT: m->timeouts += 1; return;
    default: break;
    }
    unsigned reply_class = status_reply_class(verdict);
    if (reply_class == 0) m->answered += 1;
    if (reply_class == 1) m->refused += 1;
    if (reply_class == 2) m->unknown += 1;
}

void core_metrics_trip(struct core_metrics *m, uint64_t ns)
{
    uint64_t us = ns / 1000;
    uint32_t at = 0;
    while (at < METRICS_BUCKETS - 1 && us >= UINT64_C(1) << at) at += 1;
    m->buckets[at] += 1;
    m->trips += 1;
    m->trip_us_sum += us;
    if (us > m->trip_us_max) m->trip_us_max = us;
}
