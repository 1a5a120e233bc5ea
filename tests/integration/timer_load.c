/* A crowd of timers that fall due beside a crowd of idle records, while somebody else works at a
 * steady rate: how late each is delivered, and what the other notices.
 *
 *     timer_load [TIMERS [SECONDS [RECORDS [SERVERS [LEAD_S]]]]]
 *                default 2000 timers due over 2 seconds beside 2000 records, 1 server
 *
 * LEAD_S is how long before the first of them falls due they begin to be set; what has not been set
 * by its time falls due at once. Fails if a timer comes before its time, twice, with another
 * payload, or never, or if any call fails. The times are printed, not judged: `told` is what the
 * deliveries say (until they left the queue, cluster time), `heard` counts from the time asked for
 * until the consumer has it, by this machine's clock. How long the leader's loop ran, and waited
 * for a processor that others had, while they fell due, says what of it is the machine's. */
#include <holdfast_timer.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/integration/cluster_process.h"

enum {
    FILLERS = 512,         /* calls that set, under way at once */
    CONSUMERS = 4,         /* POLLs at once; each asks again when its batch is acknowledged */
    BATCH = 200,           /* timers a POLL; in all below what a session may have in flight */
    LEASE_MS = 3600000,    /* none is delivered twice for its lease's end */
    TTL_MS = 60000,        /* of the sessions */
    TIMEOUT_MS = 60000,    /* of a call */
    STUCK_MS = 90000,      /* nothing moves for so long: it never will */
    CYCLE_MS = 50,         /* the other: a lock and a record each */
    CYCLES_MAX = 200000,   /* of the other */
    CALM_MS = 1000,        /* of its cycles before the first timer is due, if there is time */
    SETS_A_SECOND = 10000, /* by which the default lead is made */
    CLOCK_MS = 2,          /* two readings of a clock in whole milliseconds */
    COUNT_MAX = 10000000,
};

struct timer {
    _Atomic uint64_t sent_ms;  /* when it was set */
    _Atomic uint64_t delay_ms; /* as set */
    atomic_bool delivered;     /* once */
    uint32_t told_ms;          /* how late, by its delivery; its consumer's */
    uint32_t heard_ms;         /* how late, by this machine's clock; likewise */
};

struct load {
    uint64_t timers, records, seconds, lead_s;
    struct timer *all;
    hf_client *filler, *consumer, *other;
    uint64_t begin_ms;            /* the first is due */
    atomic_uint_least64_t set;    /* timers; moves */
    atomic_uint_least64_t made;   /* records */
    atomic_uint_least64_t acked;  /* timers */
    atomic_uint_least64_t next;   /* item to be begun, of what is being filled */
    atomic_uint running;          /* callers under way */
    atomic_uint wrong;            /* printed, the first of them */
    atomic_bool stop;             /* consumers and the other */
    uint64_t cycles;              /* the other's */
    uint64_t from_ms[CYCLES_MAX]; /* when each was to begin */
    uint32_t took_us[CYCLES_MAX]; /* from then */
};

static struct load load;

static bool good(int status, const char *what)
{
    if (status == HF_OK) return true;
    if (atomic_fetch_add(&load.wrong, 1) < 10)
        fprintf(stderr, "%s: %s\n", what, hf_status_name(status));
    return false;
}

static void wrong(const char *what, uint64_t number)
{
    if (atomic_fetch_add(&load.wrong, 1) < 10)
        fprintf(stderr, "timer %llu: %s\n", (unsigned long long)number, what);
}

/* ------------------------------------------------------------------ filling */

struct filler {
    bool records; /* or timers */
    uint64_t number;
    hf_record *record;
    hf_timer_view view;
};

static void fill_next(struct filler *f);

static void on_set(int status, void *data)
{
    struct filler *f = data;
    if (good(status, "set")) {
        uint64_t delay_ms = atomic_load(&load.all[f->number].delay_ms);
        if (f->view.verdict != HF_TIMER_SCHEDULED) wrong("was there before", f->number);
        if (f->view.left_ms != delay_ms) wrong("is due at another time", f->number);
    }
    atomic_fetch_add(&load.set, 1);
    fill_next(f);
}

static int set_timer(struct filler *f)
{
    char key[32];
    struct timer *t = &load.all[f->number];
    uint64_t due_ms = load.begin_ms + f->number * load.seconds * 1000 / load.timers;
    uint64_t now = now_ms();
    uint64_t delay_ms = due_ms > now ? due_ms - now : 0;
    atomic_store(&t->sent_ms, now);
    atomic_store(&t->delay_ms, delay_ms);
    snprintf(key, sizeof key, "t/%llu", (unsigned long long)f->number);
    const hf_timer timer = {.group = "load",
                            .delay_ms = delay_ms,
                            .version = 1,
                            .payload = &f->number,
                            .payload_bytes = sizeof f->number};
    return hf_timer_set_async(load.filler, key, &timer, &f->view, NULL, on_set, f, NULL);
}

static void on_complete(int status, void *data)
{
    struct filler *f = data;
    (void)good(status, "complete");
    hf_record_free(f->record);
    atomic_fetch_add(&load.made, 1);
    fill_next(f);
}

static void on_begin(int status, void *data)
{
    struct filler *f = data;
    if (good(status, "begin"))
        status = hf_record_complete_async(f->record, HF_DONE, NULL, NULL, on_complete, f, NULL);
    if (!good(status, "complete")) atomic_fetch_sub(&load.running, 1);
}

static int make_record(struct filler *f)
{
    char key[32];
    const hf_begin how = {0};
    snprintf(key, sizeof key, "idle/%llu", (unsigned long long)f->number);
    return hf_record_begin_async(load.filler, key, &how, &f->record, NULL, on_begin, f, NULL);
}

static void fill_next(struct filler *f)
{
    f->number = atomic_fetch_add(&load.next, 1);
    bool more = f->number < (f->records ? load.records : load.timers);
    if (more && good(f->records ? make_record(f) : set_timer(f), "fill")) return;
    atomic_fetch_sub(&load.running, 1);
}

/* Wait until `count` says `all`. \return false: it has not moved for too long. */
static bool await(atomic_uint_least64_t *count, uint64_t all, const char *what)
{
    uint64_t last = 0;
    uint64_t until = now_ms() + STUCK_MS + load.lead_s * 1000;
    for (uint64_t seen; (seen = atomic_load(count)) < all; sleep_ms(5)) {
        if (seen != last) until = now_ms() + STUCK_MS;
        last = seen;
        if (now_ms() < until) continue;
        fprintf(stderr, "%s: %llu of %llu, and no more\n", what, (unsigned long long)seen,
                (unsigned long long)all);
        return false;
    }
    return true;
}

static bool fill(bool records, double *seconds)
{
    static struct filler fillers[FILLERS];
    uint64_t begun_ms = now_ms();
    atomic_store(&load.next, 0);
    atomic_store(&load.running, FILLERS);
    for (unsigned i = 0; i < FILLERS; i++) {
        fillers[i].records = records;
        fill_next(&fillers[i]);
    }
    bool whole = records ? await(&load.made, load.records, "records made")
                         : await(&load.set, load.timers, "timers set");
    while (whole && atomic_load(&load.running) > 0) sleep_ms(1);
    *seconds = (double)(now_ms() - begun_ms) / 1000;
    return whole;
}

/* ------------------------------------------------------------------ consuming */

struct consumer {
    hf_timer_batch *batch;
    size_t unacked; /* of the batch */
};

static struct consumer consumers[CONSUMERS];

static void take(const hf_timer_delivery *d, uint64_t heard_at_ms)
{
    uint64_t number = UINT64_MAX;
    if (d->payload_bytes == sizeof number) memcpy(&number, d->payload, sizeof number);
    char key[32];
    snprintf(key, sizeof key, "t/%llu", (unsigned long long)number);
    if (number >= load.timers || strcmp(key, d->key) != 0) {
        wrong("another payload", number);
        return;
    }
    struct timer *t = &load.all[number];
    if (atomic_exchange(&t->delivered, true) || d->attempt != 1) wrong("twice", number);
    uint64_t age_ms = heard_at_ms - atomic_load(&t->sent_ms);
    uint64_t delay_ms = atomic_load(&t->delay_ms);
    bool early = age_ms + CLOCK_MS < delay_ms;
    if (early) wrong("before its time", number);
    t->heard_ms = age_ms > delay_ms ? (uint32_t)(age_ms - delay_ms) : 0;
    t->told_ms = d->late_ms < UINT32_MAX ? (uint32_t)d->late_ms : UINT32_MAX;
    if (!early && d->late_ms > t->heard_ms + CLOCK_MS) wrong("was due earlier than set", number);
}

static void poll_next(struct consumer *c);

static void on_ack(int status, void *data)
{
    struct consumer *c = data;
    (void)good(status, "ack");
    atomic_fetch_add(&load.acked, 1);
    c->unacked -= 1;
    if (c->unacked == 0) poll_next(c);
}

static void on_batch(int status, void *data)
{
    struct consumer *c = data;
    if (status == HF_ECANCELLED && atomic_load(&load.stop)) return;
    if (!good(status, "poll")) return;
    uint64_t now = now_ms();
    size_t count = hf_timer_batch_count(c->batch);
    c->unacked = count;
    for (size_t i = 0; i < count; i++) {
        const hf_timer_delivery *d = hf_timer_batch_at(c->batch, i);
        take(d, now);
        status = hf_timer_ack_async(load.consumer, d->key, d->fencing_token, NULL, on_ack, c, NULL);
        if (!good(status, "ack")) return;
    }
    if (count == 0) poll_next(c);
}

static void poll_next(struct consumer *c)
{
    hf_timer_batch_free(c->batch);
    c->batch = NULL;
    if (atomic_load(&load.stop)) return;
    int status = hf_timer_poll_async(load.consumer, "load", BATCH, LEASE_MS, 10000, &c->batch,
                                     on_batch, c, NULL);
    (void)(status == HF_ECLOSED || good(status, "poll"));
}

/* ------------------------------------------------------------------ somebody else */

static bool cycle(hf_lock *lock)
{
    hf_grant grant;
    hf_record *record = NULL;
    char key[32];
    const hf_begin how = {0};
    snprintf(key, sizeof key, "other/%llu", (unsigned long long)load.cycles);
    if (!good(hf_lock_acquire(lock, "other", 0, &grant, NULL), "acquire")) return false;
    bool done = good(hf_record_begin(load.other, key, &how, &record, NULL), "begin") &&
                good(hf_record_complete(record, HF_DONE, NULL, NULL), "complete");
    hf_record_free(record);
    return good(hf_lock_release(lock, &grant, NULL), "release") && done;
}

/* At a steady rate: one that begins late for the one before it has that time counted. */
static void *run_other(void *data)
{
    hf_lock *lock = data;
    uint64_t from_ms = now_ms();
    bool going = true;
    while (going && !atomic_load(&load.stop) && load.cycles < CYCLES_MAX) {
        if (now_ms() < from_ms) sleep_ms(from_ms - now_ms());
        going = cycle(lock);
        load.from_ms[load.cycles] = from_ms;
        load.took_us[load.cycles++] = (uint32_t)(now_ms() - from_ms) * 1000;
        from_ms += CYCLE_MS;
    }
    return NULL;
}

/* ------------------------------------------------------------------ what is told */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void tell(const char *what, uint32_t *all, size_t count)
{
    if (count == 0) return;
    qsort(all, count, sizeof *all, by_size);
    printf(" %s: p50=%u p99=%u max=%u", what, all[count / 2], all[count - 1 - count / 100],
           all[count - 1]);
}

static void tell_lateness(void)
{
    uint32_t *sorted = calloc(load.timers, sizeof *sorted);
    HF_ASSERT(sorted != NULL);
    for (uint64_t i = 0; i < load.timers; i++) sorted[i] = load.all[i].told_ms;
    tell("told_late_ms", sorted, load.timers);
    for (uint64_t i = 0; i < load.timers; i++) sorted[i] = load.all[i].heard_ms;
    tell("heard_late_ms", sorted, load.timers);
    free(sorted);
}

static void tell_other(const char *what, uint64_t from_ms, uint64_t to_ms)
{
    static uint32_t took[CYCLES_MAX];
    size_t count = 0;
    for (uint64_t i = 0; i < load.cycles; i++)
        if (load.from_ms[i] >= from_ms && load.from_ms[i] < to_ms)
            took[count++] = load.took_us[i] / 1000;
    tell(what, took, count);
}

/* Of a server's first thread, its loop. \return false: this kernel does not tell. */
static bool processor_time(const struct server_process *s, double *ran_s, double *waited_s)
{
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/schedstat", (long)s->pid, (long)s->pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return false;
    bool told = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!told) return false;
    char *end = line; /* nanoseconds: ran, waited */
    *ran_s = (double)strtoull(end, &end, 10) / 1e9;
    *waited_s = (double)strtoull(end, &end, 10) / 1e9;
    return true;
}

/* Wait until the first is due, then until all are acknowledged. */
static bool consume_all(const struct cluster_process *c)
{
    double ran_s = 0, waited_s = 0, ran_before_s = 0, waited_before_s = 0;
    const struct server_process *leader = &c->servers[cluster_process_leader(c)];
    while (now_ms() < load.begin_ms) sleep_ms(1);
    bool told = processor_time(leader, &ran_before_s, &waited_before_s);
    bool whole = await(&load.acked, load.timers, "timers acknowledged");
    told = told && processor_time(leader, &ran_s, &waited_s);
    if (told)
        printf("leader_ran_s=%.2f leader_waited_s=%.2f ", ran_s - ran_before_s,
               waited_s - waited_before_s);
    return whole;
}

/* ------------------------------------------------------------------ the run */

static void open_client(const char *servers, hf_client **client)
{
    hf_options options;
    hf_options_init(&options);
    options.servers = servers;
    options.ttl_ms = TTL_MS;
    options.timeout_ms = TIMEOUT_MS;
    HF_ASSERT(hf_client_open(&options, client) == HF_OK);
}

static bool run(const struct cluster_process *c)
{
    const char *servers = c->addresses;
    pthread_t thread;
    hf_lock *lock;
    double records_s = 0, timers_s = 0;
    open_client(servers, &load.filler);
    open_client(servers, &load.consumer);
    open_client(servers, &load.other);
    HF_ASSERT(hf_lock_new(load.other, &lock) == HF_OK);
    bool whole = fill(true, &records_s);
    load.begin_ms = now_ms() + load.lead_s * 1000;
    for (unsigned i = 0; i < CONSUMERS; i++) poll_next(&consumers[i]);
    whole = whole && fill(false, &timers_s);
    uint64_t filled_ms = now_ms();
    HF_ASSERT(pthread_create(&thread, NULL, run_other, lock) == 0);
    whole = whole && consume_all(c);
    uint64_t ended_ms = now_ms();
    if (whole) sleep_ms(200); /* one too many may come */
    atomic_store(&load.stop, true);
    pthread_join(thread, NULL);
    printf("timers=%llu due_over_s=%llu records=%llu records_s=%.1f timers_s=%.1f spare_s=%.1f "
           "last_ack_s=%.2f",
           (unsigned long long)load.timers, (unsigned long long)load.seconds,
           (unsigned long long)load.records, records_s, timers_s,
           ((double)load.begin_ms - (double)filled_ms) / 1000,
           ((double)ended_ms - (double)load.begin_ms) / 1000);
    if (whole) tell_lateness();
    tell_other("other_ms_before", filled_ms, load.begin_ms);
    tell_other("other_ms_meanwhile", load.begin_ms, ended_ms);
    printf(" wrong=%u\n", atomic_load(&load.wrong));
    hf_lock_free(lock);
    hf_client_close(load.other);
    hf_client_close(load.consumer);
    hf_client_close(load.filler);
    for (unsigned i = 0; i < CONSUMERS; i++) hf_timer_batch_free(consumers[i].batch);
    return whole && atomic_load(&load.wrong) == 0;
}

static uint64_t argument(int argc, char **argv, int i, uint64_t otherwise)
{
    return argc > i ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    static struct cluster_process c;
    load.timers = argument(argc, argv, 1, 2000);
    load.seconds = argument(argc, argv, 2, 2);
    load.records = argument(argc, argv, 3, 2000);
    unsigned servers = (unsigned)argument(argc, argv, 4, 1);
    load.lead_s = argument(argc, argv, 5, CALM_MS / 1000 + load.timers / SETS_A_SECOND);
    HF_ASSERT(load.timers >= 1 && load.timers <= COUNT_MAX && load.records <= COUNT_MAX);
    load.all = calloc(load.timers, sizeof *load.all);
    HF_ASSERT(load.all != NULL);
    cluster_process_init(&c, servers);
    if (!cluster_process_start(&c)) return 1;
    bool held = run(&c);
    held = cluster_process_agree(&c) && held;
    held = cluster_process_stop(&c) && held;
    cluster_process_close(&c, !held);
    free(load.all);
    return held ? 0 : 1;
}
