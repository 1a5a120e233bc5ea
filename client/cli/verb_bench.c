/* bench: how many cycles a second, and how long each half takes. A closed loop: every caller has
 * one request under way and sends the next when it is answered. `lock` is acquire and release of a
 * name that nobody else uses; `record` is begin and complete of a new key. N caller threads share M
 * clients (a session and a connection each). Two seconds of warm-up are not counted. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/prng.h"
#include "client/cli/args.h"
#include "client/cli/histogram.h"
#include "client/cli/output.h"
#include "client/cli/words.h"
#include "client/include/holdfast_metrics.h"

enum {
    CALLERS_MAX = 4096,
    CLIENTS_MAX = 1024,
    WARM_UP_S = 2,
    SECONDS_MAX = 3600,
    ERROR_PAUSE_US = 10000,
    STACK_BYTES = 256 * 1024,
};

enum phase { PHASE_WARM_UP, PHASE_COUNT, PHASE_STOP };

struct bench {
    struct cli *cli;        /* the invocation */
    bool record;            /* records, not locks */
    uint64_t caller_count;  /* --clients */
    uint64_t client_count;  /* --connections */
    uint64_t seconds;       /* --seconds */
    uint64_t body_bytes;    /* --body */
    uint64_t run_id;        /* random: names of two runs differ */
    hf_client **clients;    /* client_count of them */
    uint8_t *body;          /* body_bytes bytes */
    atomic_int phase;       /* enum phase */
    atomic_int first_error; /* a status, for people */
};

struct caller {
    struct bench *bench;      /* shared */
    hf_client *client;        /* which it uses */
    uint64_t number;          /* 0, 1, ... */
    uint64_t cycles;          /* counted */
    uint64_t errors;          /* counted */
    struct histogram acquire; /* or begin */
    struct histogram release; /* or complete */
    pthread_t thread;         /* running run_caller() */
};

static uint64_t now_ns(void)
{
    struct clock clock = clock_real();
    return clock_elapsed_ns(&clock);
}

/* One cycle; *middle_ns is when its first half was answered. */
static int cycle_lock(hf_lock *lock, const char *name, uint64_t *middle_ns)
{
    hf_grant grant;
    int rv = hf_lock_acquire(lock, name, 0, &grant, NULL);
    *middle_ns = now_ns();
    return rv == HF_OK ? hf_lock_release(lock, &grant, NULL) : rv;
}

static int cycle_record(const struct caller *c, const char *key, uint64_t *middle_ns)
{
    const hf_begin how = {.retain_ms = RETAIN_MS_MIN};
    const hf_result result = {.body = c->bench->body, .body_bytes = c->bench->body_bytes};
    hf_record *record = NULL;
    int rv = hf_record_begin(c->client, key, &how, &record, NULL);
    *middle_ns = now_ns();
    if (rv == HF_OK) rv = hf_record_complete(record, HF_DONE, &result, NULL);
    hf_record_free(record);
    return rv;
}

static void count(struct caller *c, int rv, uint64_t from_ns, uint64_t middle_ns)
{
    if (rv != HF_OK) {
        c->errors += 1;
        return;
    }
    c->cycles += 1;
    histogram_add(&c->acquire, (middle_ns - from_ns) / 1000);
    histogram_add(&c->release, (now_ns() - middle_ns) / 1000);
}

static void *run_caller(void *data)
{
    struct caller *c = data;
    struct bench *b = c->bench;
    hf_lock *lock = NULL;
    int rv = hf_lock_new(c->client, &lock);
    for (uint64_t i = 0; rv == HF_OK && atomic_load(&b->phase) != PHASE_STOP; i++) {
        char name[96];
        uint64_t from_ns = now_ns();
        uint64_t middle_ns = 0;
        (void)snprintf(name, sizeof name, "bench/%016" PRIx64 "/%" PRIu64 "/%" PRIu64, b->run_id,
                       c->number, i);
        int status =
            b->record ? cycle_record(c, name, &middle_ns) : cycle_lock(lock, name, &middle_ns);
        if (atomic_load(&b->phase) == PHASE_COUNT) count(c, status, from_ns, middle_ns);
        if (status == HF_OK) continue;
        int none = HF_OK; /* also before and after what is counted: there may be nothing else */
        (void)atomic_compare_exchange_strong(&b->first_error, &none, status);
        (void)usleep(ERROR_PAUSE_US); /* do not spin on a dead server */
    }
    hf_lock_free(lock);
    return NULL;
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

static int print_result(struct bench *b, struct caller *callers, uint64_t counted_ns)
{
    uint64_t cycles = 0;
    uint64_t errors = 0;
    for (uint64_t i = 0; i < b->caller_count; i++) {
        cycles += callers[i].cycles;
        errors += callers[i].errors;
        if (i == 0) continue;
        histogram_join(&callers[0].acquire, &callers[i].acquire);
        histogram_join(&callers[0].release, &callers[i].release);
    }
    int first = atomic_load(&b->first_error);
    if (cycles == 0 && first != HF_OK) {
        return cli_fail_status(b->cli, first, "finish a single cycle");
    }
    if (cycles == 0) {
        return cli_fail(CLI_UNKNOWN, "not a single cycle was finished; measure for more --seconds");
    }
    struct json j = {.depth = 0};
    json_object(&j, NULL);
    json_number(&j, "cycles_per_s", cycles * 1000 / (counted_ns / 1000000 + 1));
    print_times(&j, "acquire_us", &callers[0].acquire);
    print_times(&j, "release_us", &callers[0].release);
    json_number(&j, "errors", errors);
    print_trouble(&j, b);
    json_end(&j);
    if (errors > 0) {
        cli_warn("%" PRIu64 " cycles failed, the first of them so: %s (%s)", errors,
                 hf_status_text(first), hf_status_name(first));
    }
    return CLI_OK;
}

static int run_callers(struct bench *b, struct caller *callers)
{
    pthread_attr_t attributes;
    uint64_t started = 0;
    if (pthread_attr_init(&attributes) != 0) return CLI_SYSTEM;
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (; started < b->caller_count; started++) {
        struct caller *c = &callers[started];
        c->bench = b;
        c->client = b->clients[started % b->client_count];
        c->number = started;
        if (pthread_create(&c->thread, &attributes, run_caller, c) != 0) break;
    }
    bool whole = started == b->caller_count;
    if (whole) (void)sleep(WARM_UP_S);
    uint64_t from_ns = now_ns();
    atomic_store(&b->phase, PHASE_COUNT);
    if (whole) (void)sleep((unsigned)b->seconds);
    atomic_store(&b->phase, PHASE_STOP);
    uint64_t counted_ns = now_ns() - from_ns;
    for (uint64_t i = 0; i < started; i++) (void)pthread_join(callers[i].thread, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (whole) return print_result(b, callers, counted_ns);
    return cli_fail(CLI_SYSTEM,
                    "only %" PRIu64 " of %" PRIu64 " threads could be started; use fewer "
                    "--clients or raise this machine's limit",
                    started, b->caller_count);
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

static int run_all(struct bench *b)
{
    struct caller *callers = calloc(b->caller_count, sizeof *callers);
    b->clients = calloc(b->client_count, sizeof(hf_client *));
    b->body = calloc(1, b->body_bytes + 1);
    int rv = CLI_SYSTEM;
    if (callers == NULL || b->clients == NULL || b->body == NULL) {
        rv = cli_fail(CLI_SYSTEM, "there is no memory for %" PRIu64 " callers; use fewer --clients",
                      b->caller_count);
        goto out;
    }
    memset(b->body, 'x', b->body_bytes);
    rv = open_clients(b);
    if (rv == CLI_OK) rv = run_callers(b, callers);
    for (uint64_t i = 0; i < b->client_count; i++) hf_client_close(b->clients[i]);
out:
    free(callers);
    free(b->clients);
    free(b->body);
    return rv;
}

static int run_bench(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct bench b = {
        .cli = cli, .caller_count = 16, .client_count = 1, .seconds = 10, .body_bytes = 200};
    const struct arg_option options[] = {
        {.name = "--clients", .number = &b.caller_count, .min = 1, .max = CALLERS_MAX},
        {.name = "--connections", .number = &b.client_count, .min = 1, .max = CLIENTS_MAX},
        {.name = "--seconds", .number = &b.seconds, .min = 1, .max = SECONDS_MAX},
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
    random_bytes(&b.run_id, sizeof b.run_id);
    return run_all(&b);
}

const struct verb verb_bench = {
    .name = "bench",
    .synopsis = "lock|record [--clients N] [--connections M] [--seconds S] [--body BYTES]",
    .summary = "cycles a second and their times, in a closed loop",
    .help = "  lock              acquire and release of a lock that nobody else uses\n"
            "  record            begin and complete of a new key, retained for a minute\n"
            "  --clients N       callers with one request under way each; default 16\n"
            "  --connections M   clients (session and connection) that they share; default 1\n"
            "  --seconds S       measured after 2 s of warm-up; default 10\n"
            "  --body BYTES      of a record's result; default 200\n"
            "Prints one JSON line: {cycles_per_s, acquire_us {p50, p99, p999, max}, release_us\n"
            "  {...}, errors, requests_repeated, reconnects}; for records, acquire is begin and\n"
            "  release is complete. The last two count from the first connection on: where they\n"
            "  are not 0, servers were lost or too slow, and the times show that.\n",
    .run = run_bench,
};
