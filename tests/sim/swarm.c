/* See the header. */
#include "tests/sim/swarm.h"

#include "base/assert.h"
#include "base/buggify.h"
#include "protocol/limits.h"
#include "tests/sim/ledgers.h"

static const uint64_t US = 1000;
static const uint64_t MS = 1000000;
static const uint64_t SEC = 1000000000;

const char *fault_name(enum fault_kind kind)
{
    static const char *const names[FAULT_COUNT] = {
        "kill",      "power", "pause", "stall",     "client-pause", "client-death",
        "partition", "reset", "clog",  "slow-disk", "disk-error",   "disk-full",
        "rot",       "rate",  "wall",  "leader",    "stop",         "forget",
        "astray",    "flap",  "copy",  "lag",       "anew"};
    HF_ASSERT(kind < FAULT_COUNT);
    return names[kind];
}

uint64_t swarm_seed(uint64_t seed, uint32_t purpose, uint32_t index)
{
    struct prng p;
    prng_seed(&p, seed + UINT64_C(0x9e3779b97f4a7c15) * (purpose * UINT64_C(1000) + index + 1));
    return prng_next(&p);
}

static uint64_t between(struct prng *p, uint64_t least, uint64_t most)
{
    return least + prng_below(p, most - least + 1);
}

/* Each magnitude as likely as the next: small and large values both come often. */
static uint64_t magnitude(struct prng *p, uint64_t least, uint64_t most)
{
    HF_ASSERT(least >= 1 && least <= most);
    unsigned doublings = 0;
    while (least << doublings < most) doublings++;
    uint64_t top = least << prng_below(p, doublings + 1);
    return between(p, least, top < most ? top : most);
}

static bool coin(struct prng *p)
{
    return prng_below(p, 2) == 0;
}

static void draw_faults(struct swarm *w, uint64_t seed, struct prng *p)
{
    static const uint32_t seconds[FAULT_COUNT] = {
        [FAULT_KILL] = 12,     [FAULT_POWER] = 12,       [FAULT_PAUSE] = 10,
        [FAULT_STALL] = 3,     [FAULT_CLIENT_PAUSE] = 4, [FAULT_CLIENT_DEATH] = 6,
        [FAULT_PARTITION] = 8, [FAULT_RESET] = 2,        [FAULT_CLOG] = 5,
        [FAULT_SLOW_DISK] = 8, [FAULT_DISK_ERROR] = 20,  [FAULT_DISK_FULL] = 15,
        [FAULT_ROT] = 20,      [FAULT_RATE] = 10,        [FAULT_WALL] = 10,
        [FAULT_LEADER] = 10,   [FAULT_STOP] = 8,         [FAULT_FORGET] = 20,
        [FAULT_ASTRAY] = 20,   [FAULT_FLAP] = 8,         [FAULT_COPY] = 1,
        [FAULT_LAG] = 8,       [FAULT_ANEW] = 20,
    };
    struct prng later; /* draws for kinds that came later: seeds without them are what they were */
    prng_seed(&later, swarm_seed(seed, PURPOSE_LATER_FAULTS, 0));
    bool calm = prng_below(p, 20) == 0; /* now and then nothing at all goes wrong */
    for (unsigned kind = 0; kind < FAULT_COUNT; kind++) {
        if (kind == FAULT_COPY) p = &later;
        bool on = coin(p);
        uint64_t mean_ns = magnitude(p, seconds[kind] * SEC / 2, seconds[kind] * SEC * 4);
        if (on && !calm) w->fault_mean_ns[kind] = mean_ns;
    }
}

static void draw_work(struct swarm *w, uint32_t client_count, struct prng *p)
{
    w->client_count = (uint32_t)between(p, 2, 10);
    if (client_count != 0) w->client_count = client_count;
    w->task_count = (uint32_t)between(p, 1, SIM_TASKS_MAX);
    w->lock_count = (uint32_t)magnitude(p, 1, SIM_LOCKS_MAX);
    w->record_count = (uint32_t)magnitude(p, 1, SIM_RECORDS_MAX);
    bool any = false;
    for (unsigned i = 0; i < SCRIPT_DINE; i++) {
        w->script_weight[i] = coin(p) ? (uint32_t)magnitude(p, 1, 16) : 0;
        any = any || w->script_weight[i] != 0;
    }
    if (w->script_weight[SCRIPT_CLOSE] > 1) w->script_weight[SCRIPT_CLOSE] = 1;
    if (!any || coin(p)) w->script_weight[SCRIPT_EXCLUSIVE] += 8;
    /* All together ask for something some hundred times a second: more shows the same again. */
    uint64_t least_ns = w->client_count * w->task_count * 5 * MS;
    w->think_ns = magnitude(p, least_ns, 2 * least_ns);
    w->hold_ns = magnitude(p, 1 * MS, 400 * MS);
    w->wait_ms = magnitude(p, 10, 10000);
    w->body_bytes = (uint32_t)magnitude(p, 1, 2048);
    w->ttl_ms_min = magnitude(p, TTL_MS_MIN, 5000);
    w->ttl_ms_max = magnitude(p, w->ttl_ms_min, 60000);
}

static void draw_limits(struct swarm *w, struct prng *p)
{
    struct replica_limits *l = &w->limits;
    *l = REPLICA_LIMITS_DEFAULT;
    l->reserve_bytes_min = 256 * 1024;
    l->reserve_percent = 0;
    l->reserve_bytes_max = 256 * 1024;
    l->digest_every = 16;
    if (coin(p)) l->batch_ops_max = (uint32_t)magnitude(p, 1, 64);
    if (coin(p)) l->in_flight_max = (uint32_t)magnitude(p, 1, 16);
    if (coin(p)) l->keep_wait_ms = (uint32_t)between(p, 0, 50);
    if (coin(p)) l->grace_ms = (uint32_t)between(p, 500, 5000);
    if (coin(p)) l->pages_max = (uint32_t)magnitude(p, 1, 16);
    if (prng_below(p, 4) == 0) l->reads_max = (uint32_t)magnitude(p, 4, 4096);
    if (prng_below(p, 4) == 0) l->pending_max = (uint32_t)magnitude(p, 64, 4096);
    if (prng_below(p, 4) == 0) l->waiting_bytes_max = (uint32_t)magnitude(p, 8192, 65536);
    if (coin(p)) l->checkpoint_age_ms = (uint32_t)magnitude(p, 50, 8000);
    if (coin(p)) l->checkpoint_bytes = magnitude(p, 4096, 1024 * 1024);
    l->checkpoint_bytes_max = l->checkpoint_bytes * between(p, 2, 8);
    if (coin(p)) {
        l->heartbeat_ms = (uint32_t)between(p, 10, 80);
        l->election_ms = l->heartbeat_ms * (uint32_t)between(p, 5, 15);
        l->ping_ms = (uint32_t)between(p, 20, 200);
    }
    w->segment_bytes = (uint32_t)magnitude(p, 128, 2048) * 512; /* 64 KiB to 1 MiB */
    l->batch_bytes_max = (uint32_t)magnitude(p, 1024, 16 * 1024);
    l->trail_bytes = magnitude(p, 1, 16) * w->segment_bytes;
    /* A server with damage stays away for good, and the others would refuse work at the bound. */
    bool away = w->fault_mean_ns[FAULT_ROT] + w->fault_mean_ns[FAULT_FORGET] +
                    w->fault_mean_ns[FAULT_ASTRAY] + w->fault_mean_ns[FAULT_ANEW] >
                0;
    bool bound = coin(p) && !away;
    if (bound) l->trail_bytes_max = l->trail_bytes + magnitude(p, 4, 64) * w->segment_bytes;
}

static void draw_weather(struct swarm *w, struct prng *p)
{
    w->rates_right = coin(p);
    w->rate_ppm_max = w->rates_right ? 4000 : 100000;
    w->loop_ns = magnitude(p, 10 * US, 1 * MS);
    w->sync_ns = magnitude(p, 50 * US, 2 * MS);
    w->sync_jitter_ns = magnitude(p, 50 * US, 10 * MS);
    w->audit_ns = magnitude(p, 2 * SEC, 60 * SEC);
    w->delay_ns_max = magnitude(p, 50 * US, 8 * MS);
    w->ways.jitter_ns = magnitude(p, 20 * US, 4 * MS);
    if (coin(p)) w->ways.spike_ppm = (uint32_t)magnitude(p, 10, 5000);
    w->ways.spike_ns = magnitude(p, 10 * MS, 1 * SEC);
    if (coin(p)) w->ways.split_ppm = (uint32_t)magnitude(p, 1000, 500000);
    if (coin(p)) w->ways.short_ppm = (uint32_t)magnitude(p, 1000, 500000);
    if (coin(p)) w->ways.dial_lost_ppm = (uint32_t)magnitude(p, 1000, 200000);
    w->ways.broken_ppm = coin(p) ? 0 : 300000;
    w->ways.retransmit_ns = magnitude(p, 10 * MS, 400 * MS);
    for (unsigned i = 0; i < BUGGIFY_POINT_COUNT; i++)
        if (coin(p)) w->buggify_mask |= UINT64_C(1) << i;
}

/* Apart from the rest, so that a seed without readers is what it would be without them. */
static void draw_readers(struct swarm *w, uint64_t seed)
{
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_READERS, 0));
    if (coin(&p)) w->reader_count = (uint32_t)between(&p, 1, SIM_READERS_MAX);
    w->read_gap_ns = magnitude(&p, 20 * MS, 300 * MS);
}

/* Of one seed in eight not all servers have a vote: stand-bys hold all that the voters hold, and
 * answer what they are asked, but are no part of any majority. */
static void draw_voters(struct swarm *w, uint64_t seed)
{
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_VOTERS, 0));
    w->voter_count = w->node_count;
    if (w->node_count > 1 && prng_below(&p, 8) == 0)
        w->voter_count = (uint32_t)between(&p, w->node_count / 2 + 1, w->node_count - 1);
}

/* In every second seed locks are asked for in permits, or several at once, or both. */
static void draw_wishes(struct swarm *w, uint64_t seed)
{
    enum { PERMITS_MOST = 8 };
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_WISHES, 0));
    if (coin(&p)) return;
    uint64_t kind = prng_below(&p, 3);
    if (kind != 0) w->permits_limit = (uint32_t)between(&p, 1, PERMITS_MOST);
    w->several_names = kind != 1;
}

bool swarm_has_permits(const struct swarm *w, uint32_t lock)
{
    return w->permits_limit != 0 && lock % 2 == 0;
}

bool swarm_may_reopen(const struct swarm *w, uint32_t record)
{
    return w->operator_acts && record % 2 == 0;
}

/* In every second seed an operator reopens and erases records. In some of these all tasks rest in
 * the middle of the storm, until the shortest retention is over: then there are tombstones. */
static void draw_retention(struct swarm *w, uint64_t seed)
{
    enum { RECORD_WEIGHT = 4, OPERATOR_WEIGHT = 2, NAP_ONE_OF = 6, NAP_MS_MORE = 10000 };
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_RETENTION, 0));
    if (coin(&p)) return;
    w->operator_acts = true;
    w->script_weight[SCRIPT_RESOLVE] += OPERATOR_WEIGHT;
    w->script_weight[SCRIPT_RECORD] += RECORD_WEIGHT;
    if (prng_below(&p, NAP_ONE_OF) != 0) return;
    w->nap_ns = (RETAIN_MS_MIN + prng_below(&p, NAP_MS_MORE)) * MS;
    w->script_weight[SCRIPT_RECORD] *= 2;
}

/* In one seed of four there are caps, so low that they are met, and changed all the time. */
static void draw_caps(struct swarm *w, uint64_t seed)
{
    enum { ONE_OF = 4, MOST = 16 };
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_CAPS, 0));
    if (prng_below(&p, ONE_OF) != 0) return;
    w->caps_most = (uint32_t)magnitude(&p, 1, MOST);
    w->script_weight[SCRIPT_CAP] = 1;
}

/* In every second seed administrators freeze and thaw, force, ask back and set; so that they find
 * somebody who holds, grants are held for longer, or left to their hold_max. */
static void draw_admin(struct swarm *w, uint64_t seed)
{
    enum { WEIGHT_MOST = 8, LEAVE_WEIGHT = 2, HOLD_WEIGHT = 4 };
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_ADMIN, 0));
    if (coin(&p)) return;
    w->admin_acts = (uint32_t)between(&p, 1, (1U << ADMIN_COUNT) - 1);
    w->script_weight[SCRIPT_ADMIN] = (uint32_t)magnitude(&p, 1, WEIGHT_MOST);
    w->script_weight[SCRIPT_LEAVE] += LEAVE_WEIGHT;
    w->script_weight[SCRIPT_EXCLUSIVE] += HOLD_WEIGHT;
    if (coin(&p)) w->hold_ns = magnitude(&p, 50 * MS, 3 * SEC);
}

/* In every second seed there are timers. With few keys each is set, cancelled and given out all the
 * time; the groups are few enough for the clients to empty them all in the calm. */
static void draw_timers(struct swarm *w, uint64_t seed)
{
    enum { DELAY_MS_LEAST = 100, DELAY_MS_MOST = 20000, WEIGHT_LEAST = 4, WEIGHT_MOST = 64 };
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_TIMERS, 0));
    if (coin(&p)) return;
    w->timer_count = (uint32_t)magnitude(&p, 1, SIM_TIMERS_MAX);
    w->group_count = (uint32_t)between(&p, 1, SIM_GROUPS_MAX);
    if (w->group_count > w->client_count) w->group_count = w->client_count;
    w->timer_ms = magnitude(&p, DELAY_MS_LEAST, DELAY_MS_MOST);
    w->script_weight[SCRIPT_TIMER] = (uint32_t)magnitude(&p, WEIGHT_LEAST, WEIGHT_MOST);
}

/* In every second seed money is moved from bank to bank; in some of these all tasks rest in the
 * middle, until what is finished has gone. */
static void draw_transfers(struct swarm *w, uint64_t seed)
{
    enum { WEIGHT_LEAST = 4, WEIGHT_MOST = 64, NAP_ONE_OF = 4 };
    enum { NAP_MS_LEAST = 2 * RETAIN_MS_MIN, NAP_MS_MORE = 180000 }; /* leaders lose time */
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_TRANSFERS, 0));
    if (coin(&p)) return;
    w->transfer_count = (uint32_t)magnitude(&p, 1, LEDGER_OPEN_MAX);
    w->script_weight[SCRIPT_BRANCH] = (uint32_t)magnitude(&p, WEIGHT_LEAST, WEIGHT_MOST);
    if (w->nap_ns == 0 && prng_below(&p, NAP_ONE_OF) == 0)
        w->nap_ns = (NAP_MS_LEAST + prng_below(&p, NAP_MS_MORE)) * MS;
}

/* In every second seed some things are done as one. */
static void draw_txns(struct swarm *w, uint64_t seed)
{
    enum { WEIGHT_LEAST = 4, WEIGHT_MOST = 64 };
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_TXNS, 0));
    if (coin(&p)) return;
    w->script_weight[SCRIPT_TXN] = (uint32_t)magnitude(&p, WEIGHT_LEAST, WEIGHT_MOST);
}

/* In every second seed there are some who watch. Some of them sleep for so long that what they ask
 * for then is not kept any more, where everything is told. */
static void draw_watches(struct swarm *w, uint64_t seed)
{
    enum { WEIGHT_LEAST = 1, WEIGHT_MOST = 8, WAIT_MS_LEAST = 10, WAIT_MS_MOST = 10000 };
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_WATCHES, 0));
    if (coin(&p)) return;
    w->watch_ms = magnitude(&p, WAIT_MS_LEAST, WAIT_MS_MOST);
    w->watch_sleep_ns = magnitude(&p, 100 * MS, 30 * SEC);
    w->script_weight[SCRIPT_WATCH] = (uint32_t)magnitude(&p, WEIGHT_LEAST, WEIGHT_MOST);
}

void swarm_draw(struct swarm *w, uint64_t seed, uint32_t node_count, uint32_t client_count)
{
    static const uint32_t counts[] = {1, 1, 3, 3, 3, 3, 5, 5, 7};
    struct prng p;
    prng_seed(&p, swarm_seed(seed, PURPOSE_SWARM, 0));
    *w = (struct swarm){0};
    w->node_count = counts[prng_below(&p, HF_ARRAY_COUNT(counts))];
    if (node_count != 0) w->node_count = node_count;
    draw_faults(w, seed, &p);
    draw_work(w, client_count, &p);
    draw_limits(w, &p);
    draw_weather(w, &p);
    draw_readers(w, seed);
    draw_voters(w, seed);
    draw_wishes(w, seed);
    draw_retention(w, seed);
    draw_caps(w, seed);
    draw_admin(w, seed);
    draw_timers(w, seed);
    draw_transfers(w, seed);
    draw_txns(w, seed);
    draw_watches(w, seed);
}

void swarm_make_idle(struct swarm *w, uint64_t seconds, uint32_t leader_deaths)
{
    enum { IDLE_TIMERS = SIM_TIMERS_MAX, IDLE_TIMER_MS = 2 * 3600 * 1000 };
    HF_ASSERT(seconds > 0);
    for (unsigned i = 0; i < FAULT_COUNT; i++) w->fault_mean_ns[i] = 0;
    for (unsigned i = 0; i < SCRIPT_COUNT; i++) w->script_weight[i] = 0;
    if (leader_deaths > 0) w->fault_mean_ns[FAULT_LEADER] = seconds * SEC / (leader_deaths + 1);
    w->script_weight[SCRIPT_EXCLUSIVE] = 1;
    w->script_weight[SCRIPT_TIMER] = 8;
    w->node_count = w->voter_count = 3;
    w->client_count = w->task_count = 1;
    w->reader_count = 0;
    w->permits_limit = 0;
    w->several_names = false;
    w->operator_acts = false;
    w->caps_most = 0;
    w->admin_acts = 0;
    w->timer_count = IDLE_TIMERS;
    w->group_count = 1;
    w->timer_ms = IDLE_TIMER_MS;
    w->transfer_count = 0;
    w->watch_ms = 0;
    w->nap_ns = 0;
    w->think_ns = 1200 * SEC;
    w->ttl_ms_min = w->ttl_ms_max = TTL_MS_MAX;
    w->limits = REPLICA_LIMITS_DEFAULT;
    w->limits.reserve_percent = 0;
    w->limits.reserve_bytes_min = w->limits.reserve_bytes_max = 256 * 1024;
    w->rates_right = true;
    w->rate_ppm_max = 0;
    w->audit_ns = seconds * SEC / 20;
    w->buggify_mask = 0;
}

void swarm_make_philosophers(struct swarm *w, uint32_t count, bool fork_by_fork)
{
    enum { LONGER = 8 }; /* they are to eat, too, between the faults */
    HF_ASSERT(count >= 2 && count <= SIM_CLIENTS_MAX && count <= SIM_LOCKS_MAX);
    for (unsigned i = 0; i < SCRIPT_COUNT; i++) w->script_weight[i] = 0;
    for (unsigned i = 0; i < FAULT_COUNT; i++) w->fault_mean_ns[i] *= LONGER;
    w->script_weight[SCRIPT_DINE] = 1;
    w->client_count = w->lock_count = count;
    w->task_count = 1;
    w->think_ns = fork_by_fork ? 20 * MS : 100 * MS;
    w->hold_ns = fork_by_fork ? 400 * MS : 200 * MS;
    w->ttl_ms_max = w->ttl_ms_min < 5000 ? 5000 : w->ttl_ms_min;
    w->fork_by_fork = fork_by_fork;
    w->permits_limit = 0;
    w->several_names = !fork_by_fork;
    w->admin_acts = 0;
    w->timer_count = 0;
    w->transfer_count = 0;
    w->watch_ms = 0;
    w->nap_ns = 0;
}

void swarm_make_transfers(struct swarm *w)
{
    for (unsigned i = 0; i < SCRIPT_COUNT; i++) w->script_weight[i] = 0;
    w->script_weight[SCRIPT_BRANCH] = 1;
    w->transfer_count = LEDGER_OPEN_MAX;
    w->timer_count = 0;
    w->watch_ms = 0;
    w->caps_most = 0;
    w->admin_acts = 0;
    w->nap_ns = 0;
}
