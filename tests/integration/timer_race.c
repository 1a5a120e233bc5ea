/* Cancels that race their timers while the leader of three servers is killed (kill -9) again and
 * again: each timer is decided once, and who cancels and who consumes are told the same.
 *
 *     timer_race [RACES [KILLS [SEED]]]        default 2000 races, 2 kills
 *
 * A race sets a timer due in some milliseconds and cancels it at about that time. What was answered
 * UNKNOWN is asked again under its number until it is known; every fourth cancel is repeated. At
 * the end each timer that its canceller was told had fired must have been delivered and
 * acknowledged, no other may have been delivered, none after its ACK, and hf_timer_list() must show
 * ACKED or CANCELLED accordingly, the same on all servers. */
#include <holdfast_timer.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "tests/integration/cluster_process.h"

enum {
    RACES_MAX = 10000000,
    RACERS = 512,       /* races at once */
    CONSUMERS = 4,      /* POLLs at once */
    BATCH = 100,        /* timers a POLL */
    DELAY_MS_MAX = 500, /* of a timer */
    JITTER_MS = 8,      /* its cancel comes so much earlier or later, at most */
    LEASE_MS = 5000,    /* of a delivery */
    TTL_MS = 60000,     /* of the sessions */
    TIMEOUT_MS = 200,   /* of a call: some end in an election */
    LOOK_MS = 60000,    /* of the look at the end */
    REPEATED = 4,       /* one cancel of so many is repeated */
    REST_MS = 300,      /* between a kill and the start */
    STUCK_MS = 60000,   /* nothing moves for so long: it never will */
};

enum verdict { OPEN = 0, CANCELLED, FIRED };

struct timer {
    _Atomic uint8_t verdict; /* as its canceller was told */
    _Atomic uint8_t acked;   /* as its consumer was told */
    _Atomic uint32_t deliveries;
};

enum stage { SET, WAIT, CANCEL, CANCEL_AGAIN, OVER };

struct racer {
    uint64_t number;    /* of its timer */
    enum stage stage;   /* the driver's */
    uint64_t until_ms;  /* WAIT's end */
    hf_request request; /* of unknown outcome */
    hf_timer_view view; /* out */
    int status;         /* of the call that ended; its callback's until `ended` */
    atomic_bool ended;  /* the call under way */
    bool calls;         /* one is under way */
};

struct ack {
    hf_request request;
    uint64_t number;
    struct consumer *consumer;
};

struct consumer {
    hf_timer_batch *batch;
    size_t unacked;
    struct ack acks[BATCH];
};

static struct {
    uint64_t races, next;
    struct timer *all;
    hf_client *canceller, *poller;
    struct prng prng; /* the driver's */
    struct racer racers[RACERS];
    struct consumer consumers[CONSUMERS];
    atomic_uint_least64_t decided, fired, acked, unknown, again;
    atomic_uint wrong; /* printed, the first of them */
    atomic_bool stop;  /* consumers */
    atomic_bool over;  /* all races are decided */
} race;

static void wrong(uint64_t number, const char *what, int status)
{
    if (atomic_fetch_add(&race.wrong, 1) < 20)
        fprintf(stderr, "timer %llu: %s: %s\n", (unsigned long long)number, what,
                hf_status_name(status));
}

static void key_of(uint64_t number, char key[32])
{
    snprintf(key, 32, "race/%llu", (unsigned long long)number);
}

/* Certainly without effect: ask anew. */
static bool did_nothing(int status)
{
    return status == HF_ECONNECT || status == HF_ENOTLEADER || status == HF_ESHUTDOWN ||
           status == HF_ETOOBUSY || status == HF_ETIMEOUT;
}

/* ------------------------------------------------------------------ cancellers */

static void on_racer(int status, void *data)
{
    struct racer *r = data;
    r->status = status;
    atomic_store(&r->ended, true);
}

static int call_set(struct racer *r, const char *key)
{
    uint64_t delay_ms = prng_below(&race.prng, DELAY_MS_MAX);
    const hf_timer timer = {.group = "race",
                            .delay_ms = delay_ms,
                            .version = 1,
                            .attempts_max = 1000,
                            .payload = &r->number,
                            .payload_bytes = sizeof r->number};
    return hf_timer_set_async(race.canceller, key, &timer, &r->view, &r->request, on_racer, r,
                              NULL);
}

/* The call of its stage, or the same once more. */
static void call(struct racer *r, bool retry)
{
    char key[32];
    key_of(r->number, key);
    atomic_store(&r->ended, false);
    r->calls = true;
    int status;
    if (retry) {
        atomic_fetch_add(&race.unknown, 1);
        status = hf_request_retry_async(&r->request, on_racer, r, NULL);
    } else if (r->stage == SET) {
        r->request = (hf_request){0};
        status = call_set(r, key);
    } else {
        r->request = (hf_request){0};
        status =
            hf_timer_cancel_async(race.canceller, key, &r->view, &r->request, on_racer, r, NULL);
    }
    if (status != HF_OK) on_racer(status, r);
}

static void decide(struct racer *r)
{
    struct timer *t = &race.all[r->number];
    enum verdict told = r->status == HF_OK ? CANCELLED : FIRED;
    if (r->stage == CANCEL) {
        atomic_store(&t->verdict, (uint8_t)told);
        if (told == FIRED) atomic_fetch_add(&race.fired, 1);
    } else if (atomic_load(&t->verdict) != told) {
        wrong(r->number, "a repeated cancel is told otherwise", r->status);
    }
    if (r->stage == CANCEL && r->number % REPEATED == 0) {
        r->stage = CANCEL_AGAIN;
        call(r, false);
        return;
    }
    atomic_fetch_add(&race.decided, 1);
    r->stage = OVER;
}

static void answered(struct racer *r)
{
    r->calls = false;
    bool cancels = r->stage == CANCEL || r->stage == CANCEL_AGAIN;
    if (r->status == HF_EUNKNOWN) {
        call(r, true);
    } else if (cancels && (r->status == HF_OK || r->status == HF_EFIRED)) {
        decide(r);
    } else if (did_nothing(r->status)) {
        call(r, false);
    } else if (r->stage == SET && r->status == HF_OK) {
        r->stage = WAIT;
        r->until_ms = now_ms() + r->view.left_ms + prng_below(&race.prng, 2 * JITTER_MS);
        r->until_ms -= JITTER_MS;
    } else {
        wrong(r->number, cancels ? "cancel" : "set", r->status);
        r->stage = OVER;
        atomic_fetch_add(&race.decided, 1);
    }
}

static void step(struct racer *r, uint64_t now)
{
    if (r->calls) {
        if (atomic_load(&r->ended)) answered(r);
    } else if (r->stage == WAIT) {
        if (now < r->until_ms) return;
        r->stage = CANCEL;
        call(r, false);
    } else if (race.next < race.races) {
        r->number = race.next++;
        r->stage = SET;
        call(r, false);
    }
}

static void *run_races(void *data)
{
    (void)data;
    for (unsigned i = 0; i < RACERS; i++) race.racers[i].stage = OVER;
    uint64_t last = 0, until = now_ms() + STUCK_MS;
    for (uint64_t seen; (seen = atomic_load(&race.decided)) < race.races; sleep_ms(1)) {
        uint64_t now = now_ms();
        for (unsigned i = 0; i < RACERS; i++) step(&race.racers[i], now);
        if (seen != last) until = now + STUCK_MS;
        last = seen;
        if (now < until) continue;
        wrong(seen, "so many were decided, and no more", HF_ETIMEOUT);
        break;
    }
    atomic_store(&race.over, true);
    return NULL;
}

/* ------------------------------------------------------------------ consumers */

static void poll_next(struct consumer *c);

static void on_ack(int status, void *data)
{
    struct ack *a = data;
    struct timer *t = &race.all[a->number];
    if (status == HF_EUNKNOWN && !atomic_load(&race.stop) &&
        hf_request_retry_async(&a->request, on_ack, a, NULL) == HF_OK)
        return;
    if (status == HF_OK) {
        if (atomic_exchange(&t->acked, 1) != 0) wrong(a->number, "acknowledged twice", status);
        atomic_fetch_add(&race.acked, 1);
    } else if (status != HF_ESTALE && !did_nothing(status) && !atomic_load(&race.stop)) {
        wrong(a->number, "ack", status);
    }
    a->consumer->unacked -= 1;
    if (a->consumer->unacked == 0) poll_next(a->consumer);
}

/* \return its number, counted as delivered; RACES_MAX: it is none of them. */
static uint64_t take(const hf_timer_delivery *d)
{
    char key[32];
    uint64_t number = RACES_MAX;
    if (d->payload_bytes == sizeof number) memcpy(&number, d->payload, sizeof number);
    key_of(number, key);
    if (number >= race.races || strcmp(key, d->key) != 0) {
        wrong(number, "another payload", HF_EINTERNAL);
        return RACES_MAX;
    }
    struct timer *t = &race.all[number];
    if (atomic_load(&t->acked)) wrong(number, "delivered after its ACK", HF_EINTERNAL);
    if (atomic_fetch_add(&t->deliveries, 1) > 0) atomic_fetch_add(&race.again, 1);
    return number;
}

static void on_batch(int status, void *data)
{
    struct consumer *c = data;
    if (status != HF_OK) { /* what it was to bring comes again */
        if (!atomic_load(&race.stop)) poll_next(c);
        return;
    }
    size_t count = hf_timer_batch_count(c->batch);
    c->unacked = count;
    for (size_t i = 0; i < count; i++) {
        const hf_timer_delivery *d = hf_timer_batch_at(c->batch, i);
        struct ack *a = &c->acks[i];
        *a = (struct ack){.number = take(d), .consumer = c};
        if (a->number == RACES_MAX) {
            c->unacked = SIZE_MAX; /* it has failed: this one polls no more */
            return;
        }
        status =
            hf_timer_ack_async(race.poller, d->key, d->fencing_token, &a->request, on_ack, a, NULL);
        if (status != HF_OK) on_ack(status, a);
    }
    if (count == 0) poll_next(c);
}

static void poll_next(struct consumer *c)
{
    hf_timer_batch_free(c->batch);
    c->batch = NULL;
    if (atomic_load(&race.stop)) return;
    int status = hf_timer_poll_async(race.poller, "race", BATCH, LEASE_MS, 1000, &c->batch,
                                     on_batch, c, NULL);
    if (status != HF_OK) wrong(0, "poll", status);
}

/* Wait until all that fired are acknowledged, and a little for one too many. */
static void drain(void)
{
    uint64_t last = 0, until = now_ms() + STUCK_MS;
    while (atomic_load(&race.acked) < atomic_load(&race.fired) && now_ms() < until) {
        uint64_t seen = atomic_load(&race.acked);
        if (seen != last) until = now_ms() + STUCK_MS;
        last = seen;
        sleep_ms(5);
    }
    sleep_ms(500);
    atomic_store(&race.stop, true);
}

/* ------------------------------------------------------------------ judging */

static int on_line(const hf_timer_line *line, void *data)
{
    uint64_t *seen = data;
    uint64_t number = strtoull(line->key + strlen("race/"), NULL, 10);
    if (number >= race.races) return 0;
    const char *state = race.all[number].verdict == CANCELLED ? "CANCELLED" : "ACKED";
    if (strcmp(line->state, state) != 0) wrong(number, line->state, HF_EINTERNAL);
    *seen += 1;
    return 0;
}

static void judge(hf_client *looker)
{
    uint64_t seen = 0;
    for (uint64_t i = 0; i < race.races; i++) {
        const struct timer *t = &race.all[i];
        if (t->verdict == OPEN) wrong(i, "not decided", HF_EINTERNAL);
        if (t->verdict == CANCELLED && t->deliveries > 0)
            wrong(i, "cancelled, and delivered", HF_EINTERNAL);
        if (t->verdict == FIRED && !t->acked) wrong(i, "fired, and not acknowledged", HF_EINTERNAL);
    }
    int status = hf_timer_list(looker, "race/", NULL, NULL, on_line, &seen);
    if (status != HF_OK || seen != race.races) wrong(seen, "so many are listed", status);
}

/* ------------------------------------------------------------------ the run */

static void open_client(const char *servers, uint64_t timeout_ms, hf_client **client)
{
    hf_options options;
    hf_options_init(&options);
    options.servers = servers;
    options.ttl_ms = TTL_MS;
    options.timeout_ms = timeout_ms;
    options.breaker_after_ms = 0;
    HF_ASSERT(hf_client_open(&options, client) == HF_OK);
}

/* Kill leaders, each after its share of the races. \return how many. */
static unsigned kill_leaders(struct cluster_process *c, unsigned kills)
{
    unsigned done = 0;
    while (!atomic_load(&race.over)) {
        uint64_t share = race.races * (done + 1) / (kills + 1);
        if (done == kills || atomic_load(&race.decided) < share) {
            sleep_ms(2);
            continue;
        }
        server_process_kill(&c->servers[cluster_process_leader(c)]);
        done++;
        sleep_ms(REST_MS);
        HF_ASSERT(cluster_process_start(c));
    }
    return done;
}

static bool run(struct cluster_process *c, unsigned kills)
{
    pthread_t thread;
    hf_client *looker;
    open_client(c->addresses, TIMEOUT_MS, &race.canceller);
    open_client(c->addresses, TIMEOUT_MS, &race.poller);
    uint64_t begun_ms = now_ms();
    for (unsigned i = 0; i < CONSUMERS; i++) poll_next(&race.consumers[i]);
    HF_ASSERT(pthread_create(&thread, NULL, run_races, NULL) == 0);
    unsigned killed = kill_leaders(c, kills);
    pthread_join(thread, NULL);
    drain();
    uint64_t took_ms = now_ms() - begun_ms;
    hf_client_close(race.poller);
    hf_client_close(race.canceller);
    open_client(c->addresses, LOOK_MS, &looker);
    judge(looker);
    hf_client_close(looker);
    for (unsigned i = 0; i < CONSUMERS; i++) hf_timer_batch_free(race.consumers[i].batch);
    uint64_t fired = atomic_load(&race.fired);
    printf("races=%llu cancelled=%llu fired=%llu acked=%llu delivered_again=%llu unknown=%llu "
           "kills=%u seconds=%.1f wrong=%u\n",
           (unsigned long long)race.races, (unsigned long long)(race.races - fired),
           (unsigned long long)fired, (unsigned long long)atomic_load(&race.acked),
           (unsigned long long)atomic_load(&race.again),
           (unsigned long long)atomic_load(&race.unknown), killed, (double)took_ms / 1000,
           atomic_load(&race.wrong));
    return atomic_load(&race.wrong) == 0 && killed == kills;
}

int main(int argc, char **argv)
{
    static struct cluster_process c;
    race.races = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000;
    unsigned kills = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2;
    prng_seed(&race.prng, argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
    HF_ASSERT(race.races >= 1 && race.races < RACES_MAX);
    race.all = calloc(race.races, sizeof *race.all);
    HF_ASSERT(race.all != NULL);
    cluster_process_init(&c, CLUSTER_PROCESSES);
    if (!cluster_process_start(&c)) return 1;
    bool held = run(&c, kills);
    held = cluster_process_agree(&c) && held;
    held = cluster_process_stop(&c) && held;
    cluster_process_close(&c, !held);
    free(race.all);
    return held ? 0 : 1;
}
