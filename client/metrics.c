/* A client's numbers, copied under its lock. */
#include "client/include/holdfast_metrics.h"

#include "client/shell.h"

_Static_assert((int)HF_METRICS_BUCKETS == (int)METRICS_BUCKETS, "one histogram");
_Static_assert((int)HF_BREAKER_OPEN == (int)BREAKER_OPEN, "one numbering");
_Static_assert((int)HF_BREAKER_HALF_OPEN == (int)BREAKER_HALF_OPEN, "likewise");

static uint64_t count_grants(const struct core *core)
{
    uint64_t count = 0;
    LIST_FOR(item, &core->grants.alive) count += 1;
    return count;
}

int hf_client_metrics(hf_client *client, hf_metrics *metrics)
{
    if (client == NULL || metrics == NULL) return HF_EINVAL;
    int rv = shell_enter(client);
    if (rv != HF_OK) return rv;
    const struct core *core = &client->core;
    const struct core_metrics *m = &core->metrics;
    *metrics = (hf_metrics){
        .calls_ok = m->ok,
        .calls_answered = m->answered,
        .calls_refused = m->refused,
        .calls_timed_out = m->timeouts,
        .calls_unknown = m->unknown,
        .calls_cancelled = m->cancelled,
        .breaker_refusals = m->breaker_refusals,
        .breaker_openings = m->breaker_openings,
        .requests_sent = m->sends,
        .requests_repeated = m->repeats,
        .connections = m->connections,
        .redirects = m->redirects,
        .silences = m->silences,
        .renewals_sent = m->keeps,
        .renewals = m->renewals,
        .sessions = m->sessions,
        .losses_local = m->losses_local,
        .losses_told = m->losses_told,
        .bytes_sent = m->bytes_out,
        .bytes_received = m->bytes_in,
        .trips = m->trips,
        .trip_us_sum = m->trip_us_sum,
        .trip_us_max = m->trip_us_max,
        .calls_under_way = core->busy_count,
        .grants = count_grants(core),
        .session = core->session.phase == SESSION_LIVE ? core->session.id : 0,
        .breaker = (int)core->breaker.state,
    };
    memcpy(metrics->trip_buckets, m->buckets, sizeof m->buckets);
    pthread_mutex_unlock(&client->lock);
    return HF_OK;
}
