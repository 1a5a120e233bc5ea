/* Claims about timers, from what clients were told alone; see tests/sim/checks.h. Each version of a
 * timer is remembered from the first call that asks for it, so that one whose SET was never
 * answered may be given out, and one that nobody has asked for may not. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/status.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    MILLION = 1000000,
    SLACK_MS = 5, /* clocks are read in whole ms, by each of several leaders */
    PLACES_FIRST = 64,
    ATTEMPTS_MOST = 4,
    ANSWER_ARENA_BYTES = 64 * 1024
};

static const uint64_t MS = 1000000;

/* A tombstone stays for a day of cluster time, which may be late, and by a clock of some rate. */
static const uint64_t TOMBSTONE_NS_LEAST = UINT64_C(23) * 3600 * 1000000000;

static struct checks *checks_of(struct sim_task *t)
{
    return &t->client->sim->checks;
}

uint64_t checks_timer_seed(uint32_t timer, uint64_t version)
{
    return swarm_seed(version, PURPOSE_TIMERS, timer);
}

uint64_t checks_timer_attempts(uint32_t timer, uint64_t version)
{
    return 1 + checks_timer_seed(timer, version) % ATTEMPTS_MOST;
}

/* ------------------------------------------------------------------ versions */

uint64_t checks_timer_version(struct checks *k, uint32_t timer)
{
    HF_ASSERT(timer < HF_ARRAY_COUNT(k->timers));
    struct check_timer *c = &k->timers[timer];
    uint64_t version = ++c->version_last;
    while (version >= c->version_places) {
        c->version_places = c->version_places == 0 ? PLACES_FIRST : c->version_places * 2;
        c->versions = realloc(c->versions, c->version_places * sizeof *c->versions);
        HF_ASSERT(c->versions != NULL);
    }
    c->versions[version] = (struct check_version){.earliest_ns = UINT64_MAX};
    return version;
}

static struct check_version *version_of(struct sim_task *t, uint32_t timer, uint64_t version)
{
    HF_ASSERT(timer < HF_ARRAY_COUNT(checks_of(t)->timers));
    struct check_timer *c = &checks_of(t)->timers[timer];
    if (version == 0 || version > c->version_last)
        sim_fail("timer-%u: client %u is told of version %" PRIu64 ", and nobody has set it", timer,
                 t->client->index + 1, version);
    return &c->versions[version];
}

/* Its end was answered, and is not forgotten yet. */
static bool is_over(const struct check_version *v, uint64_t now_ns)
{
    return v->over_ns != 0 && now_ns - v->over_ns < TOMBSTONE_NS_LEAST;
}

/* The highest one of which a SET was answered, or the end. \return 0: there is none. */
static uint64_t find_highest(const struct check_timer *c, bool ended, uint64_t now_ns)
{
    uint64_t at = c->version_last;
    for (; at > 0; at--) {
        if (ended ? is_over(&c->versions[at], now_ns) : c->versions[at].set) break;
    }
    return at;
}

void checks_timers_close(struct checks *k)
{
    for (uint32_t i = 0; i < HF_ARRAY_COUNT(k->timers); i++) free(k->timers[i].versions);
}

/* ------------------------------------------------------------------ before a call */

/* True time that goes by at least while some leader counts so much. */
static uint64_t shortest_ns(const struct sim *sim, uint64_t ms)
{
    return ms * MS * MILLION / (MILLION + (uint64_t)sim->swarm.rate_ppm_max);
}

void checks_timer_called(struct sim_task *t, uint64_t delay_ms)
{
    bool sets = t->op == OP_CODE_TIMER_SET;
    HF_ASSERT(sets || t->op == OP_CODE_TIMER_CANCEL);
    t->floor_index = find_highest(&checks_of(t)->timers[t->key], sets, t->called_ns);
    if (sets) checks_timer_asked(t, t->key, t->version, delay_ms);
}

void checks_timer_asked(struct sim_task *t, uint32_t timer, uint64_t version, uint64_t delay_ms)
{
    struct check_version *v = version_of(t, timer, version);
    if (v->over_ns != 0 && !is_over(v, t->called_ns)) /* it may live again */
        *v = (struct check_version){.earliest_ns = UINT64_MAX};
    uint64_t earliest_ns = t->called_ns + shortest_ns(t->client->sim, delay_ms);
    if (earliest_ns < v->earliest_ns) v->earliest_ns = earliest_ns;
}

/* ------------------------------------------------------------------ after it */

/* Somebody was given this version, or told that it has fired: it was not cancelled, then. */
static void take_fired(struct sim_task *t, uint32_t timer, uint64_t version)
{
    struct check_version *v = version_of(t, timer, version);
    v->fired = true;
    if (v->cancelled)
        sim_fail("timer-%u: version %" PRIu64 " was cancelled, and client %u is told that it fired",
                 timer, version, t->client->index + 1);
}

static void set_answered(struct sim_task *t, const struct msg_timer_set_reply *told)
{
    bool older = told->verdict == TIMER_OLDER;
    if (older ? told->version <= t->version : told->version != t->version)
        sim_fail("timer-%u: SET of version %" PRIu64 " is told %" PRIu64 " of version %" PRIu64,
                 t->key, t->version, told->verdict, told->version);
    if (older) return;
    if (t->version <= t->floor_index)
        sim_fail("timer-%u: version %" PRIu64 " is set, and the end of version %" PRIu64
                 " was answered before",
                 t->key, t->version, t->floor_index);
    version_of(t, t->key, t->version)->set = true;
}

/* It was of the version that was set, if it can have been of no other one. */
static void cancel_answered(struct sim_task *t)
{
    if (t->floor_index == 0) return;
    struct check_version *v = version_of(t, t->key, t->floor_index);
    if (v->over_ns == 0) v->over_ns = t->client->sim->trace.now_ns;
    if (t->floor_index != checks_of(t)->timers[t->key].version_last) return;
    v->cancelled = true;
    if (v->fired)
        sim_fail("timer-%u: version %" PRIu64 " has fired, and client %u is told that it is "
                 "cancelled",
                 t->key, t->floor_index, t->client->index + 1);
}

static void ack_answered(struct sim_task *t)
{
    struct check_version *v = version_of(t, t->hand.key, t->hand.version);
    if (v->over_ns == 0) v->over_ns = t->client->sim->trace.now_ns;
}

static void look_at_delivery(struct sim_task *t, const struct timer_delivery *d)
{
    const struct sim *sim = t->client->sim;
    uint32_t timer = history_thing(d->key);
    const struct check_version *v = version_of(t, timer, d->version);
    take_fired(t, timer, d->version);
    if (v->over_ns != 0 && v->over_ns < t->called_ns)
        sim_fail("timer-%u: version %" PRIu64 " is given to client %u, and was acknowledged or "
                 "cancelled %" PRIu64 " ns before it was asked for",
                 timer, d->version, t->client->index + 1, t->called_ns - v->over_ns);
    if (sim->trace.now_ns + SLACK_MS * MS < v->earliest_ns)
        sim_fail("timer-%u: version %" PRIu64 " is given to client %u %" PRIu64
                 " ns before its time",
                 timer, d->version, t->client->index + 1, v->earliest_ns - sim->trace.now_ns);
    uint64_t attempts = checks_timer_attempts(timer, d->version);
    if (d->attempts_max != attempts || d->attempt > attempts)
        sim_fail("timer-%u: attempt %" PRIu64 " of %" PRIu64 " is given to client %u, and there "
                 "are %" PRIu64,
                 timer, d->attempt, d->attempts_max, t->client->index + 1, attempts);
    struct slice payload = task_body(checks_timer_seed(timer, d->version), sim->swarm.body_bytes);
    if (!slice_equal(payload, d->payload))
        sim_fail("timer-%u: version %" PRIu64 " is given to client %u with another payload", timer,
                 d->version, t->client->index + 1);
}

static void decode(const struct codec_type *type, const struct call *call, struct arena *arena,
                   void *out)
{
    int rv = arena_init(arena, ANSWER_ARENA_BYTES);
    HF_ASSERT(rv == HF_OK);
    rv = codec_decode(type, buffer_slice(&call->reply), arena, out);
    if (rv != HF_OK) sim_fail("an answer to %s does not read back", call->op->name);
}

bool checks_timer_nothing(const struct call *call)
{
    struct msg_timer_poll_reply told;
    struct arena arena;
    if (call->op->code != OP_CODE_TIMER_POLL || call->status != HF_OK) return false;
    decode(&msg_timer_poll_reply_type, call, &arena, &told);
    arena_close(&arena);
    return told.count == 0;
}

static void take_answer(struct sim_task *t, const struct call *call, struct arena *arena)
{
    struct msg_timer_set_reply set;
    struct msg_timer_poll_reply polled;
    switch (call->op->code) {
    case OP_CODE_TIMER_SET:
        decode(&msg_timer_set_reply_type, call, arena, &set);
        set_answered(t, &set);
        break;
    case OP_CODE_TIMER_POLL:
        decode(&msg_timer_poll_reply_type, call, arena, &polled);
        const struct timer_delivery *d = polled.deliveries.items;
        for (uint32_t i = 0; i < polled.deliveries.count; i++) look_at_delivery(t, &d[i]);
        break;
    case OP_CODE_TIMER_CANCEL: cancel_answered(t); break;
    case OP_CODE_TIMER_ACK: ack_answered(t); break;
    default: break;
    }
}

void checks_timer_answered(struct sim_task *t, const struct call *call)
{
    struct msg_timer_fired fired;
    struct arena arena = {0};
    bool asks = call->op->code == OP_CODE_TIMER_SET || call->op->code == OP_CODE_TIMER_CANCEL;
    if (call->cancelling) return;
    if (call->verdict == HF_OK) take_answer(t, call, &arena);
    if (call->verdict == HF_EFIRED && asks) {
        decode(&msg_timer_fired_type, call, &arena, &fired);
        take_fired(t, t->key, fired.version);
    }
    arena_close(&arena);
}

/* ------------------------------------------------------------------ at the end */

void checks_timers_end(const struct sim *sim)
{
    if (sim->trace.now_ns >= TOMBSTONE_NS_LEAST) return; /* it may be forgotten */
    for (uint32_t i = 0; i < SIM_TIMERS_MAX; i++) {
        uint64_t set = find_highest(&sim->checks.timers[i], false, 0);
        if (sim->history.timers[i].version < set)
            sim_fail("timer-%u: version %" PRIu64
                     " was set, and at the end there is version %" PRIu64,
                     i, set, sim->history.timers[i].version);
    }
}
