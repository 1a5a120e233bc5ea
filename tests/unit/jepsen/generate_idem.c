/* The simulated record service and its clients. */
#include <string.h>

#include "tests/unit/jepsen/generate.h"

enum state { ABSENT, RUNS, ENDED, MAY_RETRY, IN_DOUBT, BURIED };

struct idem_key {
    enum state state;
    int64_t token;
    int64_t until_ns; /* of the lease, as the service takes it */
    int64_t least_ns; /* and could not take it before */
    int64_t since_ns; /* of the state */
    int64_t retain_ms;
    int64_t number;
    int64_t attempt;
    uint32_t fingerprint;
    uint32_t response;
    uint8_t end;
    uint8_t policy;
    uint8_t mark;
    bool marked;
    bool lapsed;
    bool own;       /* ended by its own complete */
    bool abandoned; /* the response is "failed 0 -" */
};

struct idem_client {
    int64_t token;  /* of its attempt, 0 = none */
    int64_t old;    /* one that it had */
    int64_t doubt;  /* of a record that it was told is unknown */
    int64_t number; /* of its last checkpoint */
    uint32_t key;   /* of its attempt */
    uint32_t old_key;
    uint32_t doubt_key;
};

/* Tokens rise over all keys. */
static int64_t draw_token(struct generator *g)
{
    return ++g->last_token;
}

static void fail(struct operation *op, enum operation_error error)
{
    op->outcome = RESULT_FAIL;
    op->error = (uint8_t)error;
}

static void lapse(struct generator *g, struct idem_key *k)
{
    k->since_ns = g->now_ns;
    if (k->mark == 1 || k->policy == POLICY_MANUAL) {
        k->state = IN_DOUBT;
    } else if (k->policy == POLICY_AUTO) {
        k->lapsed = true;
    } else if (k->marked) {
        k->state = IN_DOUBT;
    } else {
        k->state = ENDED;
        k->end = END_AS_FAILED;
        k->abandoned = true;
    }
}

/* What is due by now: the lease, then the retention. */
static void sweep(struct generator *g, struct idem_key *k, int version)
{
    if (k->state == RUNS && !k->lapsed && k->until_ns <= g->now_ns) lapse(g, k);
    if (k->retain_ms == 0) return;
    int64_t kept_ns = k->since_ns + k->retain_ms * NS_PER_MS;
    bool may_go = k->state == MAY_RETRY || (k->state == RUNS && k->lapsed && !k->marked);
    if (k->state == ENDED && kept_ns <= g->now_ns) {
        k->state = version >= 2 ? BURIED : ABSENT;
    } else if (k->state == BURIED && kept_ns + k->retain_ms * 10 * NS_PER_MS <= g->now_ns) {
        k->state = ABSENT;
    } else if (version >= 2 && may_go && kept_ns <= g->now_ns) {
        k->state = ABSENT;
    }
}

static void start(struct generator *g, struct idem_key *k, struct operation *op, bool takeover)
{
    if (k->state == ABSENT)
        *k = (struct idem_key){.fingerprint = op->fingerprint,
                               .retain_ms = op->version >= 2 ? op->retain_ms : 0,
                               .policy = op->policy};
    k->state = RUNS;
    k->lapsed = k->own = k->abandoned = false;
    k->response = 0;
    k->token = draw_token(g);
    k->attempt++;
    k->since_ns = g->now_ns;
    k->until_ns = g->now_ns + op->ttl_ms * NS_PER_MS + between(g, 0, 20 * NS_PER_MS);
    k->least_ns = op->call_ns + op->ttl_ms * NS_PER_MS;
    op->token = k->token;
    op->status = takeover && op->version >= 2 ? STATUS_TAKEOVER : STATUS_STARTED;
    if (op->version >= 2) op->attempt = k->attempt;
}

static void tell_result(struct generator *g, const struct idem_key *k, struct operation *op)
{
    op->status = STATUS_COMPLETED;
    op->response = k->response;
    op->end = k->end;
    op->abandoned = k->abandoned;
    if (op->kind == KIND_BEGIN && op->version >= 2) op->attempt = k->attempt;
    if (!k->abandoned && plant(g, FAULT_CHANGED_RESPONSE)) op->response += 1000000;
}

static void serve_begin(struct generator *g, struct idem_key *k, struct operation *op)
{
    bool alive = k->state == RUNS && !k->lapsed && k->least_ns > g->now_ns + 15 * NS_PER_MS;
    if (k->state != ABSENT && k->fingerprint != op->fingerprint) {
        fail(op, ERROR_MISMATCH);
    } else if (k->state == ABSENT || k->state == MAY_RETRY) {
        start(g, k, op, false);
    } else if (k->state == RUNS && k->lapsed) {
        start(g, k, op, true);
    } else if (alive && plant(g, FAULT_DOUBLE_START)) {
        start(g, k, op, true);
    } else if (k->state == RUNS) {
        op->status = STATUS_IN_PROGRESS;
    } else if (k->state == ENDED && !k->abandoned && plant(g, FAULT_RE_EXECUTION)) {
        start(g, k, op, false);
    } else if (k->state == ENDED) {
        tell_result(g, k, op);
    } else if (k->state == IN_DOUBT) {
        fail(op, ERROR_RECORD_UNKNOWN);
        op->shown_token = k->token;
    } else {
        fail(op, ERROR_KEY_EXPIRED);
    }
}

static void take_result(struct generator *g, struct idem_key *k, const struct operation *op,
                        bool own)
{
    k->state = op->end == END_AS_RETRYABLE ? MAY_RETRY : ENDED;
    k->lapsed = k->abandoned = false;
    k->response = op->response;
    k->end = op->end;
    k->mark = 0;
    k->own = own;
    k->since_ns = g->now_ns;
    if (op->version == 1) k->retain_ms = op->retain_ms;
}

static void serve_complete(struct generator *g, struct idem_key *k, struct operation *op)
{
    bool same = k->response == op->response && k->end == op->end;
    bool own = k->token == op->token && k->own && (k->state == ENDED || k->state == MAY_RETRY);
    bool final = op->end != END_AS_RETRYABLE;
    if ((k->state == RUNS || k->state == IN_DOUBT) && k->token == op->token) {
        if (final && plant(g, FAULT_LOST_COMPLETION)) return;
        take_result(g, k, op, true);
    } else if (own) {
        if (!same) fail(op, ERROR_CONFLICT);
    } else if (k->state == RUNS && final && plant(g, FAULT_STALE_COMPLETION)) {
        take_result(g, k, op, true);
    } else {
        fail(op, ERROR_STALE_TOKEN);
    }
}

static void serve_attempt(struct generator *g, struct idem_key *k, struct operation *op)
{
    if (k->state != RUNS || k->token != op->token) {
        if (!op->if_any) fail(op, ERROR_STALE_TOKEN);
        return;
    }
    if (op->kind == KIND_RENEW) {
        int64_t until_ns = g->now_ns + op->ttl_ms * NS_PER_MS;
        if (until_ns > k->until_ns) k->until_ns = until_ns;
        if (op->call_ns + op->ttl_ms * NS_PER_MS > k->least_ns)
            k->least_ns = op->call_ns + op->ttl_ms * NS_PER_MS;
        k->lapsed = k->lapsed && k->until_ns <= g->now_ns;
        return;
    }
    if (op->kind == KIND_ABANDON) {
        k->until_ns = g->now_ns;
        if (!k->lapsed) lapse(g, k);
        return;
    }
    if (op->number <= k->number) {
        fail(op, ERROR_SEQ_OLD);
        return;
    }
    k->number = op->number;
    if (k->mark != 1 || op->mark == 0) k->mark = op->mark;
    k->marked = k->marked || k->mark != 0;
    if (k->lapsed && k->mark == 1) {
        k->state = IN_DOUBT;
        k->lapsed = false;
    }
}

static void serve_reopen(struct generator *g, struct idem_key *k, struct operation *op)
{
    bool ended = k->state == ENDED || k->state == BURIED;
    bool done = k->state == ENDED && k->end == END_AS_DONE && k->token == op->token;
    if (k->state == ABSENT) {
        fail(op, ERROR_NOT_FOUND);
    } else if (k->token != op->token) {
        fail(op, ERROR_STALE_TOKEN);
    } else if (!ended || k->end != END_AS_FAILED || op->end != END_AS_FAILED) {
        if (!done || !plant(g, FAULT_DONE_REOPENED)) {
            fail(op, ERROR_BAD_STATE);
            return;
        }
        k->state = MAY_RETRY;
    } else {
        if (k->state == BURIED) k->number = 0;
        k->state = MAY_RETRY;
        k->response = 0;
        k->own = k->abandoned = false;
        k->since_ns = g->now_ns;
    }
}

static void serve_get(struct generator *g, struct idem_key *k, struct operation *op)
{
    static const enum operation_status statuses[] = {STATUS_NONE,      STATUS_IN_PROGRESS,
                                                     STATUS_COMPLETED, STATUS_RETRYABLE,
                                                     STATUS_UNKNOWN,   STATUS_EXPIRED};
    op->status = (uint8_t)statuses[k->state];
    if (k->state == ENDED) tell_result(g, k, op);
    if (op->version >= 2 && k->state != ABSENT && k->state != BURIED) op->shown_token = k->token;
}

static void serve_idem(struct generator *g, void *key, struct operation *op)
{
    struct idem_key *k = key;
    op->outcome = RESULT_OK;
    sweep(g, k, op->version);
    sweep(g, k, op->version);
    switch ((enum operation_kind)op->kind) {
    case KIND_BEGIN: serve_begin(g, k, op); break;
    case KIND_COMPLETE: serve_complete(g, k, op); break;
    case KIND_GET: serve_get(g, k, op); break;
    case KIND_REOPEN: serve_reopen(g, k, op); break;
    case KIND_RESOLVE:
        if (k->state == ABSENT || k->state == BURIED) {
            fail(op, ERROR_NOT_FOUND);
        } else if (k->state != IN_DOUBT || k->token != op->token) {
            fail(op, ERROR_STALE_TOKEN);
        } else {
            take_result(g, k, op, false);
        }
        break;
    default: serve_attempt(g, k, op); break;
    }
}

/* ------------------------------------------------------------------ clients */

/* Keys come into use one after the other, so that each is met in all its states. */
static uint32_t draw_key(struct generator *g, const struct operation *op)
{
    unsigned keys = g->options->keys;
    uint64_t middle = (uint64_t)op->id * keys / g->options->operations;
    uint64_t window = keys < 3 ? keys : 3;
    return (uint32_t)((middle + prng_below(&g->prng, window)) % keys);
}

static void draw_result(struct generator *g, struct operation *op)
{
    unsigned dice = (unsigned)prng_below(&g->prng, 10);
    op->end = op->version < 2 || dice < 6 ? END_AS_DONE : END_AS_FAILED;
    if (op->version >= 2 && dice >= 8) op->end = END_AS_RETRYABLE;
    op->response = op->end == END_AS_RETRYABLE ? 0 : (uint32_t)op->id;
    if (op->version == 1 && op->kind == KIND_COMPLETE && chance(g, 30)) op->retain_ms = 100;
}

static void ask_begin(struct generator *g, struct operation *op)
{
    op->kind = KIND_BEGIN;
    op->key = draw_key(g, op);
    op->ttl_ms = between(g, 20, 60);
    op->fingerprint = op->key * 2 + (chance(g, 10) ? 1 : 0);
    if (op->version < 2) return;
    op->policy = (uint8_t)(op->key % 5 < 3 ? POLICY_AUTO : op->key % 5 - 2);
    op->retain_ms = op->key % 4 == 0 ? 30 : 100000;
}

/* A second complete by the same client would say something else: only where it is seldom. */
static void ask_attempt(struct generator *g, struct idem_client *c, int64_t token, uint32_t key,
                        struct operation *op)
{
    unsigned dice = (unsigned)prng_below(&g->prng, 100);
    op->key = key;
    op->token = token;
    if (dice < 40) {
        op->kind = KIND_COMPLETE;
        draw_result(g, op);
    } else if (dice < 65) {
        op->kind = KIND_RENEW;
        op->ttl_ms = between(g, 20, 60);
    } else if (dice < 75 || op->version == 1) {
        op->kind = KIND_ABANDON;
        op->if_any = op->version >= 2 && chance(g, 20);
    } else {
        op->kind = KIND_CHECKPOINT;
        c->number += between(g, 0, 2);
        op->number = c->number > 0 ? c->number : 1;
        op->mark = (uint8_t)prng_below(&g->prng, 3);
    }
}

static void ask_idem(struct generator *g, void *client, unsigned number, struct operation *op)
{
    struct idem_client *c = client;
    unsigned dice = (unsigned)prng_below(&g->prng, 100);
    (void)number;
    if (c->token != 0 && dice < 60) {
        ask_attempt(g, c, c->token, c->key, op);
    } else if (c->doubt != 0 && dice < 70) {
        op->kind = KIND_RESOLVE;
        op->key = c->doubt_key;
        op->token = c->doubt;
        draw_result(g, op);
        c->doubt = 0;
    } else if (c->old != 0 && dice < 77 && op->version >= 2 && chance(g, 40)) {
        op->kind = KIND_REOPEN;
        op->key = c->old_key;
        op->token = c->old;
        op->end = chance(g, 90) ? END_AS_FAILED : END_AS_DONE;
    } else if (c->old != 0 && dice < 75) {
        ask_attempt(g, c, c->old, c->old_key, op);
    } else if (dice < 90) {
        ask_begin(g, op);
    } else {
        op->kind = KIND_GET;
        op->key = draw_key(g, op);
    }
}

static void forget(struct idem_client *c)
{
    if (c->token == 0) return;
    c->old = c->token;
    c->old_key = c->key;
    c->token = 0;
}

static void hear_idem(struct generator *g, void *client, const struct operation *op)
{
    struct idem_client *c = client;
    bool ends = op->kind == KIND_COMPLETE || op->kind == KIND_ABANDON;
    if (ends && op->token == c->token) forget(c);
    if (op->kind == KIND_BEGIN && op->outcome == RESULT_OK && op->token != 0) {
        forget(c);
        c->token = op->token;
        c->key = op->key;
        c->number = 0;
        if (chance(g, 15)) forget(c); /* it dies, and comes back late */
    }
    if (op->kind == KIND_BEGIN && op->error == ERROR_RECORD_UNKNOWN) {
        c->doubt = op->shown_token;
        c->doubt_key = op->key;
    }
}

const struct service idem_service = {
    .client_bytes = sizeof(struct idem_client),
    .key_bytes = sizeof(struct idem_key),
    .ask = ask_idem,
    .serve = serve_idem,
    .hear = hear_idem,
};
