/* bench: how many cycles a second, and how long each half takes. A closed loop: every caller has
 * one request under way and sends the next when it is answered. `lock` is acquire and release of a
 * name that nobody else uses; `record` is begin and complete of a new key. N callers share M
 * clients (a session and a connection each). Two seconds of warm-up are not counted. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/prng.h"
#include "client/cli/args.h"
#include "client/cli/bench.h"
#include "client/cli/output.h"
#include "client/cli/words.h"
#include "client/include/holdfast_metrics.h"

enum { WARM_UP_S = 2, SECONDS_MAX = 3600, RATE_MAX = 10000000 };

#define SECOND_NS UINT64_C(1000000000)

uint64_t bench_now_ns(void)
{
    struct clock clock = clock_real();
    return clock_elapsed_ns(&clock);
}

uint64_t bench_due_ns(const struct caller *c)
{
    return c->due_ns;
}

void bench_next(struct caller *c)
{
    const struct bench *b = c->bench;
    (void)snprintf(c->name, sizeof c->name, "bench/%016" PRIx64 "/%" PRIu64 "/%" PRIu64, b->run_id,
                   c->number, c->cycle++);
    c->from_ns = bench_now_ns();
    if (b->rate == 0) return;
    if (c->end_ns > c->due_ns) c->from_ns = c->due_ns;
    c->due_ns += b->caller_count * SECOND_NS / b->rate;
}

/* A gap reaches into what is counted, and ends in it. */
static void note_gap(struct bench *b, uint64_t from_ns, uint64_t until_ns)
{
    if (from_ns < b->count_from_ns) from_ns = b->count_from_ns;
    uint64_t gap_ns = until_ns > from_ns ? until_ns - from_ns : 0;
    uint64_t seen_ns = atomic_load(&b->gap_ns);
    while (gap_ns > seen_ns && !atomic_compare_exchange_weak(&b->gap_ns, &seen_ns, gap_ns)) {
    }
}

void bench_middle(struct caller *c, int status)
{
    struct bench *b = c->bench;
    c->middle_ns = bench_now_ns();
    if (status != HF_OK) return;
    uint64_t before_ns = atomic_exchange(&b->grant_ns, c->middle_ns);
    if (atomic_load(&b->phase) == BENCH_COUNT) note_gap(b, before_ns, c->middle_ns);
}

static void remember_error(struct bench *b, int status)
{
    int none = HF_OK; /* also before and after what is counted: there may be nothing else */
    if (status != HF_OK) (void)atomic_compare_exchange_strong(&b->first_error, &none, status);
}

void bench_count(struct caller *c, int status)
{
    struct tally *t = c->tally;
    c->end_ns = bench_now_ns();
    remember_error(c->bench, status);
    if (atomic_load(&c->bench->phase) != BENCH_COUNT) return;
    if (status != HF_OK) {
        t->errors += 1;
        return;
    }
    t->cycles += 1;
    histogram_add(&t->acquire, (c->middle_ns - c->from_ns) / 1000);
    histogram_add(&t->release, (c->end_ns - c->middle_ns) / 1000);
}

int bench_prepare(struct caller *c)
{
    int rv = hf_lock_new(c->client, &c->lock);
    remember_error(c->bench, rv);
    return rv;
}

static void pass(uint64_t until_ns, void (*each_cb)(struct caller *callers), struct caller *callers)
{
    long pause_ms = callers->bench->rate > 0 ? BENCH_RATE_PAUSE_MS : BENCH_ERROR_PAUSE_MS;
    const struct timespec pause = {.tv_nsec = pause_ms * 1000000L};
    while (bench_now_ns() < until_ns) {
        if (each_cb != NULL) each_cb(callers);
        (void)nanosleep(&pause, NULL);
    }
}

uint64_t bench_wait(struct bench *b, void (*each_cb)(struct caller *callers),
                    struct caller *callers)
{
    pass(bench_now_ns() + WARM_UP_S * SECOND_NS, each_cb, callers);
    b->count_from_ns = bench_now_ns();
    atomic_store(&b->phase, BENCH_COUNT);
    pass(b->count_from_ns + b->seconds * SECOND_NS, each_cb, callers);
    atomic_store(&b->phase, BENCH_STOP);
    uint64_t end_ns = bench_now_ns();
    note_gap(b, atomic_load(&b->grant_ns), end_ns);
    return end_ns - b->count_from_ns;
}

static void print_times(struct json *j, const char *key, const struct histogram *h)
{
    json_object(j, key);
    json_number(j, "p50", histogram_at(h, 500));
    json_number(j, "p99", histogram_at(h, 990));
    json_number(j, "p999", histogram_at(h, 999));
    json_number(j, "max", h->max);
    json_end(j);
}

/* What the clients had to do again, from their opening on: a loop that was held up says why. */
static void print_trouble(struct json *j, const struct bench *b)
{
    uint64_t repeated = 0;
    uint64_t reconnects = 0;
    for (uint64_t i = 0; i < b->client_count; i++) {
        hf_metrics m;
        if (hf_client_metrics(b->clients[i], &m) != HF_OK) continue;
        repeated += m.requests_repeated;
        uint64_t wanted = 1 + m.redirects; /* the way to the leader is no trouble */
        if (m.connections > wanted) reconnects += m.connections - wanted;
    }
    json_number(j, "requests_repeated", repeated);
    json_number(j, "reconnects", reconnects);
}

/* One tally a thread, or one a client: its callbacks run one by one. */
static uint64_t tally_count(const struct bench *b)
{
    return b->threads ? b->caller_count : b->client_count;
}

static int print_result(struct bench *b, uint64_t counted_ns)
{
    struct tally *all = &b->tallies[0];
    for (uint64_t i = 1; i < tally_count(b); i++) {
        all->cycles += b->tallies[i].cycles;
        all->errors += b->tallies[i].errors;
        histogram_join(&all->acquire, &b->tallies[i].acquire);
        histogram_join(&all->release, &b->tallies[i].release);
    }
    int first = atomic_load(&b->first_error);
    if (all->cycles == 0 && first != HF_OK) {
        return cli_fail_status(b->cli, first, "finish a single cycle");
    }
    if (all->cycles == 0) {
        return cli_fail(CLI_UNKNOWN, "not a single cycle was finished; measure for more --seconds");
    }
    struct json j = {.depth = 0};
    json_object(&j, NULL);
    json_number(&j, "cycles_per_s", all->cycles * 1000 / (counted_ns / 1000000 + 1));
    print_times(&j, "acquire_us", &all->acquire);
    print_times(&j, "release_us", &all->release);
    json_number(&j, "gap_us", atomic_load(&b->gap_ns) / 1000);
    json_number(&j, "errors", all->errors);
    print_trouble(&j, b);
    json_end(&j);
    if (all->errors > 0) {
        cli_warn("%" PRIu64 " cycles failed, the first of them so: %s (%s)", all->errors,
                 hf_status_text(first), hf_status_name(first));
    }
    return CLI_OK;
}

/* The last client stands in cli->client, too, and is closed by main. */
static int open_clients(struct bench *b)
{
    for (uint64_t i = 0; i < b->client_count; i++) {
        int rv = cli_open(b->cli, 0, 0, NULL);
        if (rv != CLI_OK) return rv;
        b->clients[i] = b->cli->client;
        b->cli->client = NULL;
    }
    return CLI_OK;
}

/* Who uses which client, counts where, and begins when. */
static void place(struct bench *b, struct caller *callers)
{
    for (uint64_t i = 0; i < b->caller_count; i++) {
        uint64_t client = i % b->client_count;
        callers[i].bench = b;
        callers[i].client = b->clients[client];
        callers[i].tally = &b->tallies[b->threads ? i : client];
        callers[i].number = i;
        if (b->rate > 0) callers[i].due_ns = bench_now_ns() + i * SECOND_NS / b->rate;
    }
}

static int run_all(struct bench *b)
{
    uint64_t counted_ns = 0;
    struct caller *callers = calloc(b->caller_count, sizeof *callers);
    b->tallies = calloc(tally_count(b), sizeof *b->tallies);
    b->clients = calloc(b->client_count, sizeof(hf_client *));
    b->body = calloc(1, b->body_bytes + 1);
    int rv = CLI_SYSTEM;
    if (callers == NULL || b->tallies == NULL || b->clients == NULL || b->body == NULL) {
        rv = cli_fail(CLI_SYSTEM, "there is no memory for %" PRIu64 " callers; use fewer --clients",
                      b->caller_count);
        goto out;
    }
    memset(b->body, 'x', b->body_bytes);
    rv = open_clients(b);
    place(b, callers);
    if (rv == CLI_OK) {
        rv = b->threads ? bench_run_threads(b, callers, &counted_ns)
                        : bench_run_async(b, callers, &counted_ns);
    }
    if (rv == CLI_OK) rv = print_result(b, counted_ns);
    for (uint64_t i = 0; i < b->caller_count; i++) hf_lock_free(callers[i].lock);
    for (uint64_t i = 0; i < b->client_count; i++) hf_client_close(b->clients[i]);
out:
    free(callers);
    free(b->tallies);
    free(b->clients);
    free(b->body);
    return rv;
}

static int run_bench(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct bench b = {.cli = cli,
                      .caller_count = 16,
                      .client_count = 1,
                      .seconds = 10,
                      .body_bytes = 200,
                      .retain_ms = RETAIN_MS_MIN};
    const struct arg_option options[] = {
        {.name = "--clients", .number = &b.caller_count, .min = 1, .max = BENCH_CALLERS_MAX},
        {.name = "--connections", .number = &b.client_count, .min = 1, .max = BENCH_CLIENTS_MAX},
        {.name = "--seconds", .number = &b.seconds, .min = 1, .max = SECONDS_MAX},
        {.name = "--threads", .flag = &b.threads},
        {.name = "--rate", .number = &b.rate, .max = RATE_MAX},
        {.name = "--retain",
         .number = &b.retain_ms,
         .is_ms = true,
         .min = RETAIN_MS_MIN,
         .max = RETAIN_MS_MAX},
        {.name = "--body", .number = &b.body_bytes, .max = BODY_BYTES_MAX},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 1, false);
    if (rv != CLI_OK) return rv;
    b.record = strcmp(args.words[0], "record") == 0;
    if (!b.record && strcmp(args.words[0], "lock") != 0) {
        return cli_fail(CLI_USAGE, "`bench` measures \"lock\" or \"record\", not \"%s\"",
                        args.words[0]);
    }
    if (b.caller_count > b.client_count * UNACKED_MAX) {
        return cli_fail(CLI_USAGE,
                        "%" PRIu64 " clients need more connections than %" PRIu64 ": each has %d "
                        "requests under way at most; say --connections %" PRIu64,
                        b.caller_count, b.client_count, UNACKED_MAX,
                        (b.caller_count + UNACKED_MAX - 1) / UNACKED_MAX);
    }
    random_bytes(&b.run_id, sizeof b.run_id);
    return run_all(&b);
}

const struct verb verb_bench = {
    .name = "bench",
    .synopsis = "lock|record [--clients N] [--connections M] [--threads] [--seconds S]\n"
                "             [--rate R] [--body BYTES] [--retain MS]",
    .summary = "cycles a second and their times, in a closed loop",
    .help = "  lock              acquire and release of a lock that nobody else uses\n"
            "  record            begin and complete of a new key\n"
            "  --clients N       callers with one request under way each; default 16\n"
            "  --connections M   clients (session and connection) that they share; default 1\n"
            "  --threads         each caller is a thread that blocks, as most programs' are;\n"
            "                    else none waits, and the clients' own threads do all the work\n"
            "  --seconds S       measured after 2 s of warm-up; default 10\n"
            "  --rate R          cycles a second of all callers, evenly; default: no limit. What\n"
            "                    comes late counts from when it was due\n"
            "  --body BYTES      of a record's result; default 200\n"
            "  --retain MS       how long a record is kept; default 60000\n"
            "Prints one JSON line: {cycles_per_s, acquire_us {p50, p99, p999, max}, release_us\n"
            "  {...}, gap_us, errors, requests_repeated, reconnects}; for records, acquire is\n"
            "  begin and release is complete. gap_us is the longest time in which nobody's first\n"
            "  half succeeded. The last two count from the first connection on: where they are\n"
            "  not 0, servers were lost or too slow, and the times show that.\n",
    .run = run_bench,
};
