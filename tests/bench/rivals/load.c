#include "tests/bench/rivals/load.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const uint64_t second_ns = 1000000000;

uint64_t load_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * second_ns + (uint64_t)t.tv_nsec;
}

_Noreturn void load_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(1);
}

static _Noreturn void usage(const char *what)
{
    (void)fprintf(stderr, "%s; the arguments stand in tests/bench/rivals/load.h\n", what);
    exit(64);
}

static uint64_t number(const char *text, uint64_t max)
{
    char *end = NULL;
    uint64_t n = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n > max) usage("a number is wrong");
    return n;
}

static void split_servers(struct load *l, char *list)
{
    char *rest = NULL;
    for (char *s = strtok_r(list, ",", &rest); s != NULL; s = strtok_r(NULL, ",", &rest)) {
        if (l->server_count == LOAD_SERVERS_MAX) usage("too many servers");
        l->servers[l->server_count++] = s;
    }
}

static void read_option(struct load *l, const char *name, char *value, uint64_t *warm_up_s,
                        uint64_t *seconds)
{
    if (strcmp(name, "--servers") == 0) {
        split_servers(l, value);
    } else if (strcmp(name, "--clients") == 0) {
        l->client_count = (unsigned)number(value, LOAD_CLIENTS_MAX);
    } else if (strcmp(name, "--connections") == 0) {
        l->connection_count = (unsigned)number(value, LOAD_CLIENTS_MAX);
    } else if (strcmp(name, "--seconds") == 0) {
        *seconds = number(value, 3600);
    } else if (strcmp(name, "--warm-up") == 0) {
        *warm_up_s = number(value, 3600);
    } else if (strcmp(name, "--rate") == 0) {
        l->rate = number(value, 10000000);
    } else {
        usage("unknown option");
    }
}

void load_start(struct load *l, int argc, char **argv)
{
    uint64_t warm_up_s = 2;
    uint64_t seconds = 10;
    int at = 2;
    memset(l, 0, sizeof *l);
    l->client_count = 1;
    if (argc < 2) usage("say lock, record or fill N");
    if (strcmp(argv[1], "fill") == 0 && argc > 2) l->fill = number(argv[at++], 100000000);
    l->record = strcmp(argv[1], "lock") != 0;
    if (l->record && l->fill == 0 && strcmp(argv[1], "record") != 0) usage("lock, record or fill?");
    for (; at + 1 < argc; at += 2) read_option(l, argv[at], argv[at + 1], &warm_up_s, &seconds);
    if (at != argc) usage("an option lacks its value");
    if (l->connection_count == 0) l->connection_count = l->client_count;
    if (l->server_count == 0 || l->client_count == 0) usage("no --servers, or no --clients");
    if (getrandom(&l->run_id, sizeof l->run_id, 0) != sizeof l->run_id) load_fail("getrandom");
    memset(l->body, 'x', LOAD_BODY_BYTES);
    l->warm_up_ns = warm_up_s * second_ns;
    l->count_ns = seconds * second_ns;
    load_restart(l);
}

void load_restart(struct load *l)
{
    uint64_t now_ns = load_now_ns();
    l->count_from_ns = now_ns + l->warm_up_ns;
    l->stop_ns = l->fill > 0 ? UINT64_MAX : l->count_from_ns + l->count_ns;
    for (unsigned i = 0; l->rate > 0 && i < l->client_count; i++) {
        l->clients[i].due_ns = now_ns + i * second_ns / l->rate; /* one after the other */
    }
}

bool load_begin(struct load *l, unsigned i, uint64_t now_ns, char name[64])
{
    struct load_client *c = &l->clients[i];
    if (now_ns < c->due_ns) return false;
    c->from_ns = now_ns;
    if (l->rate > 0) {
        /* Waits behind a cycle that took too long count: the next caller would have had them. */
        const struct load_client before = *c;
        if (before.cycle > 0 && before.middle_ns > before.due_ns) c->from_ns = before.due_ns;
        c->due_ns += l->client_count * second_ns / l->rate;
    }
    (void)snprintf(name, 64, "bench/%016" PRIx64 "/%u/%" PRIu64, l->run_id, i, c->cycle);
    c->cycle += 1;
    return true;
}

void load_middle(struct load *l, unsigned i, uint64_t now_ns)
{
    l->clients[i].middle_ns = now_ns;
    uint64_t since_ns = l->grant_ns > l->count_from_ns ? l->grant_ns : l->count_from_ns;
    bool counts = now_ns > l->count_from_ns && now_ns < l->stop_ns;
    if (counts && now_ns - since_ns > l->gap_ns) l->gap_ns = now_ns - since_ns;
    l->grant_ns = now_ns;
}

void load_end(struct load *l, unsigned i, uint64_t now_ns, bool ok)
{
    struct load_client *c = &l->clients[i];
    l->made += ok ? 1 : 0;
    if (now_ns >= l->count_from_ns && now_ns < l->stop_ns) {
        l->errors += ok ? 0 : 1;
        l->cycles += ok ? 1 : 0;
        if (ok) histogram_add(&l->first, (c->middle_ns - c->from_ns) / 1000);
        if (ok) histogram_add(&l->second, (now_ns - c->middle_ns) / 1000);
    }
    c->middle_ns = now_ns;
}

static void print_times(const char *key, const struct histogram *h)
{
    (void)printf("\"%s\": {\"p50\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"p999\": %" PRIu64
                 ", \"max\": %" PRIu64 "}, ",
                 key, histogram_at(h, 500), histogram_at(h, 990), histogram_at(h, 999), h->max);
}

int load_print(const struct load *l)
{
    uint64_t since_ns = l->grant_ns > l->count_from_ns ? l->grant_ns : l->count_from_ns;
    uint64_t gap_ns = l->gap_ns;
    if (l->stop_ns > since_ns && l->stop_ns - since_ns > gap_ns) gap_ns = l->stop_ns - since_ns;
    uint64_t counted_ms = l->count_ns / 1000000;
    (void)printf("{\"cycles_per_s\": %" PRIu64 ", ", l->cycles * 1000 / counted_ms);
    print_times("acquire_us", &l->first);
    print_times("release_us", &l->second);
    (void)printf("\"gap_us\": %" PRIu64 ", \"errors\": %" PRIu64 "}\n", gap_ns / 1000, l->errors);
    return l->cycles > 0 || l->fill > 0 ? 0 : 1;
}
