/* Time, clients, lost answers, and the writing of lines; what is asked and answered is in
 * generate_lock.c and generate_idem.c. */
#include "tests/unit/jepsen/generate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

enum { LOST_AT_ALL_PERCENT = 30, LATE_PERCENT = 30 };

bool chance(struct generator *g, unsigned percent)
{
    return prng_below(&g->prng, 100) < percent;
}

int64_t between(struct generator *g, int64_t least, int64_t most)
{
    return least + (int64_t)prng_below(&g->prng, (uint64_t)(most - least) + 1);
}

bool plant(struct generator *g, enum fault fault)
{
    if (g->unheard || g->options->fault != fault || g->planted == FAULTS_PLANTED_MAX ||
        !chance(g, 30))
        return false;
    g->planted++;
    return true;
}

/* ------------------------------------------------------------------ writing */

static void say(struct buffer *out, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    HF_ASSERT(length >= 0 && (size_t)length < sizeof text);
    HF_ASSERT(buffer_append(out, text, (size_t)length) == HF_OK);
}

/* Members of an object, with commas where they are needed. */
static void member(struct buffer *out, const char *name, const char *format, ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    HF_ASSERT(length >= 0 && (size_t)length < sizeof text);
    say(out, "%s\"%s\":%s", out->data[out->size - 1] == '{' ? "" : ",", name, text);
}

static const char *const kind_names[KIND_COUNT] = {
    "acquire", "renew",  "release",  "query", "check",   "downgrade",
    "upgrade", "begin",  "complete", "renew", "abandon", "checkpoint",
    "resolve", "reopen", "get",      "write", "read"};

static const char *const status_names[] = {"",        "valid",     "stale",       "free",
                                           "started", "takeover",  "in_progress", "completed",
                                           "none",    "retryable", "unknown",     "expired"};

static const char *const error_names[] = {"",          "timeout",  "busy",        "already_held",
                                          "deadlock",  "not_held", "mismatch",    "stale_token",
                                          "conflict",  "unknown",  "key_expired", "seq_old",
                                          "not_found", "bad_state"};

static const char *const end_names[] = {"done", "failed", "retryable"};

/* The names of a lock that was asked for together with others: a bit a key. */
static void write_names(struct buffer *out, int64_t keys)
{
    if ((keys & (keys - 1)) == 0) return;
    say(out, ",\"names\":[");
    const char *comma = "";
    for (unsigned key = 0; keys >> key != 0; key++) {
        if ((keys >> key & 1) == 0) continue;
        say(out, "%s\"k%u\"", comma, key);
        comma = ",";
    }
    say(out, "]");
}

static void write_args(struct buffer *out, const struct operation *op, int64_t token)
{
    static const char *const policies[] = {"auto", "manual", "never"};
    static const char *const modes[] = {"exclusive", "shared", "permits"};
    bool begins = op->kind == KIND_ACQUIRE || op->kind == KIND_BEGIN;
    bool leases = begins || op->kind == KIND_LOCK_RENEW || op->kind == KIND_RENEW;
    bool ends = op->kind == KIND_COMPLETE || op->kind == KIND_RESOLVE || op->kind == KIND_REOPEN;
    say(out, ",\"args\":{");
    if (token != 0) member(out, "token", "%" PRId64, token);
    if (leases) member(out, "ttl_ms", "%" PRId64, op->ttl_ms);
    if (op->owner != 0) member(out, "owner", "\"o%u\"", op->owner);
    if (op->mode != 0) member(out, "mode", "\"%s\"", modes[op->mode]);
    if (op->permits != 0)
        member(out, "permits", "%" PRId64 ",\"limit\":%" PRId64, op->permits, op->limit);
    if (op->reentrant) member(out, "reentrant", "1");
    if (op->all) member(out, "all", "1");
    if (op->if_any) member(out, "if_any", "1");
    if (op->kind == KIND_BEGIN) member(out, "fingerprint", "\"f%u\"", op->fingerprint);
    if (op->kind == KIND_BEGIN && op->policy != 0)
        member(out, "takeover", "\"%s\"", policies[op->policy]);
    if (op->retain_ms != 0) member(out, "retain_ms", "%" PRId64, op->retain_ms);
    if (ends && op->response != 0)
        member(out, "response", "\"%s %u\"", end_names[op->end], op->response);
    if (ends && op->version >= 2) member(out, "outcome", "\"%s\"", end_names[op->end]);
    if (op->kind == KIND_CHECKPOINT) member(out, "number", "%" PRId64, op->number);
    if (op->kind == KIND_CHECKPOINT) member(out, "mark", "%u", op->mark);
    if (op->kind == KIND_WRITE) member(out, "value", "\"v%u\"", op->value);
    if (op->kind != KIND_CHECKPOINT) write_names(out, op->number);
    say(out, "}");
}

static void write_result(struct buffer *out, const struct operation *op, int64_t token)
{
    bool begins = op->kind == KIND_ACQUIRE || op->kind == KIND_BEGIN;
    bool reads = op->kind == KIND_BEGIN || op->kind == KIND_GET;
    say(out, ",\"result\":{");
    if (begins && token != 0) member(out, "token", "%" PRId64, token);
    if (op->shown_token != 0) member(out, "token", "%" PRId64, op->shown_token);
    if (op->shown_owner != 0) member(out, "owner", "\"o%u\"", op->shown_owner);
    if (op->kind == KIND_QUERY) member(out, "held", "%s", op->held ? "true" : "false");
    if (op->status != STATUS_ABSENT) member(out, "status", "\"%s\"", status_names[op->status]);
    if (op->attempt != 0) member(out, "attempt", "%" PRId64, op->attempt);
    if (op->count >= 0) member(out, "count", "%" PRId64, op->count);
    if (reads && op->abandoned) member(out, "response", "\"failed 0 -\"");
    if (reads && op->response != 0)
        member(out, "response", "\"%s %u\"", end_names[op->end], op->response);
    if (op->kind == KIND_READ && op->value != 0) member(out, "value", "\"v%u\"", op->value);
    if (op->kind == KIND_READ && op->value == 0) member(out, "value", "null");
    say(out, "}");
}

static void write_line(struct generator *g, const struct operation *op, struct buffer *out)
{
    static const char *const outcomes[] = {"ok", "fail", "unknown"};
    bool begins = op->kind == KIND_ACQUIRE || op->kind == KIND_BEGIN;
    say(out, "{\"v\":%d,\"id\":%" PRId64 ",\"client\":\"c%u\",\"op\":\"%s\",\"key\":\"k%u\"",
        op->version, op->id, op->client, kind_names[op->kind], op->key);
    if (op->version >= 2) say(out, ",\"model\":\"%s\"", g->options->model);
    write_args(out, op, begins ? 0 : op->token);
    say(out, ",\"call\":%" PRId64 ",\"outcome\":\"%s\"", op->call_ns, outcomes[op->outcome]);
    if (op->outcome != RESULT_UNKNOWN) say(out, ",\"ret\":%" PRId64, op->return_ns);
    if (op->outcome == RESULT_FAIL) say(out, ",\"error\":\"%s\"", error_names[op->error]);
    if (op->outcome != RESULT_UNKNOWN) write_result(out, op, op->token);
    say(out, "}\n");
}

/* ------------------------------------------------------------------ time */

enum moment { CALLS, TAKES_EFFECT, RETURNS, MOMENT_COUNT };

struct event {
    int64_t at_ns;
    uint64_t order; /* of equal moments */
    enum moment moment;
    unsigned client;
    struct operation op;
};

struct world {
    struct generator g;
    const struct service *service;
    uint8_t *clients;
    uint8_t *keys;
    struct event *heap;
    size_t count;
    size_t room;
    uint64_t order;
    int64_t next_id;
    bool lost[CLIENTS_MAX]; /* the answer to this client's request will not come */
    struct buffer *out;
};

static bool comes_before(const struct event *a, const struct event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(struct event *a, struct event *b)
{
    struct event c = *a;
    *a = *b;
    *b = c;
}

static void schedule(struct world *w, int64_t at_ns, enum moment moment, unsigned client,
                     const struct operation *op)
{
    if (w->count == w->room) {
        w->room = w->room == 0 ? 64 : w->room * 2;
        w->heap = realloc(w->heap, w->room * sizeof *w->heap);
        HF_ASSERT(w->heap != NULL);
    }
    size_t i = w->count++;
    w->heap[i] = (struct event){at_ns, w->order++, moment, client, *op};
    for (; i > 0 && comes_before(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

static struct event next_event(struct world *w)
{
    struct event first = w->heap[0];
    w->heap[0] = w->heap[--w->count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
            if (child < w->count && comes_before(&w->heap[child], &w->heap[least])) least = child;
        }
        if (least == i) return first;
        swap(&w->heap[i], &w->heap[least]);
        i = least;
    }
}

static void *client_of(struct world *w, unsigned client)
{
    return w->clients + client * w->service->client_bytes;
}

static void do_call(struct world *w, unsigned client)
{
    struct generator *g = &w->g;
    struct operation op = {.version = (uint8_t)g->options->version,
                           .id = w->next_id++,
                           .client = client + 1,
                           .count = -1,
                           .call_ns = g->now_ns};
    w->service->ask(g, client_of(w, client), client, &op);
    bool lost = chance(g, g->options->unknown);
    bool late = lost && chance(g, LATE_PERCENT);
    int64_t wait_ns = between(g, 1, late ? 200 * NS_PER_MS : 3 * NS_PER_MS);
    int64_t back_ns = between(g, 1, 2 * NS_PER_MS);
    w->lost[client] = lost;
    if (lost) {
        op.outcome = RESULT_UNKNOWN;
        op.return_ns = OPERATION_NEVER;
        write_line(g, &op, w->out);
        schedule(w, g->now_ns + 5 * NS_PER_MS, RETURNS, client, &op);
        if (chance(g, LOST_AT_ALL_PERCENT)) return;
    }
    op.return_ns = g->now_ns + wait_ns + back_ns;
    schedule(w, g->now_ns + wait_ns, TAKES_EFFECT, client, &op);
}

static void do_effect(struct world *w, struct event *e)
{
    bool lost = e->op.outcome == RESULT_UNKNOWN;
    w->g.unheard = lost || e->op.id > (int64_t)w->g.options->operations * 4 / 5;
    w->service->serve(&w->g, w->keys + e->op.key * w->service->key_bytes, &e->op);
    if (!lost) schedule(w, e->op.return_ns, RETURNS, e->client, &e->op);
}

static void do_return(struct world *w, const struct event *e)
{
    w->service->hear(&w->g, client_of(w, e->client), &e->op);
    if (e->op.outcome != RESULT_UNKNOWN) write_line(&w->g, &e->op, w->out);
    int64_t pause_ns = between(&w->g, 1, 4 * NS_PER_MS);
    if (chance(&w->g, 3)) pause_ns = between(&w->g, 1, 120 * NS_PER_MS);
    if (w->g.rests == e->op.client) {
        w->g.rests = 0;
        pause_ns = 100 * NS_PER_MS;
    }
    schedule(w, w->g.now_ns + pause_ns, CALLS, e->client, &e->op);
}

unsigned generate(const struct generate_options *options, struct buffer *out)
{
    const struct service *service = options->many                         ? &many_service
                                    : strcmp(options->model, "lock") == 0 ? &lock_service
                                    : strcmp(options->model, "idem") == 0 ? &idem_service
                                                                          : &register_service;
    struct world w = {.g = {.options = options}, .service = service, .out = out, .next_id = 1};
    struct operation nothing = {0};
    HF_ASSERT(options->clients <= CLIENTS_MAX && options->keys <= KEYS_MAX);
    prng_seed(&w.g.prng, options->seed);
    w.clients = calloc(options->clients, service->client_bytes);
    w.keys =
        calloc(options->keys, service->key_bytes != 0 ? service->key_bytes : GENERATE_STATE_BYTES);
    HF_ASSERT(w.clients != NULL && w.keys != NULL);
    for (unsigned i = 0; i < options->clients; i++)
        schedule(&w, between(&w.g, 1, NS_PER_MS), CALLS, i, &nothing);
    while (w.count > 0) {
        struct event e = next_event(&w);
        w.g.now_ns = e.at_ns;
        if (e.moment == CALLS && w.next_id <= (int64_t)options->operations) do_call(&w, e.client);
        if (e.moment == TAKES_EFFECT) do_effect(&w, &e);
        if (e.moment == RETURNS) do_return(&w, &e);
    }
    free(w.clients);
    free(w.keys);
    free(w.heap);
    return w.g.planted;
}
