/* The simulated lock service and its clients; and a register behind a fencing token. */
#include <string.h>

#include "tests/unit/jepsen/generate.h"

struct grant {
    int64_t token;
    int64_t until_ns; /* the service lets it lapse then */
    int64_t least_ns; /* and could not before */
    uint32_t owner;
    uint32_t count;
    bool shared;
    bool heard;  /* its client knows of it */
    bool frozen; /* planted: its renewals are lost */
};

struct lock_key {
    struct grant grants[LOCK_GRANTS_MAX];
    unsigned count;
    int64_t last_token;
    int64_t changed_ns;  /* the last time that somebody came or went */
    struct grant before; /* the first grant before that change; token 0 = it was free */
};

struct lock_client {
    int64_t token;      /* 0 = holds nothing, as far as it knows */
    int64_t old;        /* this one, or the one that it had last */
    uint32_t key;       /* of the last acquire */
    uint32_t owner;     /* likewise */
    uint32_t old_key;   /* of `old` */
    uint32_t old_owner; /* likewise */
    uint32_t owners;    /* drawn so far */
    bool shared;        /* the last acquire's mode */
};

static bool is_shared(const struct operation *op)
{
    return op->mode == HELD_SHARED;
}

static void remember(struct generator *g, struct lock_key *k)
{
    k->before = k->count > 0 ? k->grants[0] : (struct grant){0};
    k->changed_ns = g->now_ns;
}

static void drop(struct generator *g, struct lock_key *k, unsigned at)
{
    remember(g, k);
    memmove(&k->grants[at], &k->grants[at + 1], (k->count - at - 1) * sizeof k->grants[0]);
    k->count--;
}

static void sweep(struct generator *g, struct lock_key *k)
{
    for (unsigned i = k->count; i > 0; i--) {
        if (k->grants[i - 1].until_ns <= g->now_ns) drop(g, k, i - 1);
    }
}

static struct grant *find(struct lock_key *k, int64_t token)
{
    for (unsigned i = 0; i < k->count; i++) {
        if (k->grants[i].token == token) return &k->grants[i];
    }
    return NULL;
}

static struct grant *find_owner(struct lock_key *k, uint32_t owner)
{
    for (unsigned i = 0; i < k->count; i++) {
        if (k->grants[i].owner == owner) return &k->grants[i];
    }
    return NULL;
}

static void fail(struct operation *op, enum operation_error error)
{
    op->outcome = RESULT_FAIL;
    op->error = (uint8_t)error;
}

static int64_t lease(struct generator *g, const struct operation *op)
{
    int64_t late = chance(g, 50) ? 0 : between(g, 0, op->ttl_ms * NS_PER_MS);
    return g->now_ns + op->ttl_ms * NS_PER_MS + late;
}

static void serve_renew(struct generator *g, struct lock_key *k, struct operation *op)
{
    struct grant *held = find(k, op->token);
    if (held == NULL) {
        bool surely = k->count > 0 && !k->grants[0].shared && k->grants[0].token > op->token;
        if (!surely || !plant(g, FAULT_STALE_RENEW)) fail(op, ERROR_NOT_HELD);
        return;
    }
    int64_t until_ns = lease(g, op);
    int64_t least_ns = op->call_ns + op->ttl_ms * NS_PER_MS;
    if (!held->frozen && !held->shared && least_ns > held->least_ns + 30 * NS_PER_MS &&
        plant(g, FAULT_LOST_RENEW)) {
        held->frozen = true; /* somebody else will have it before the lease is over */
        held->until_ns = held->least_ns;
        g->rests = op->client;
    }
    if (held->frozen) return;
    if (until_ns > held->until_ns) held->until_ns = until_ns;
    if (least_ns > held->least_ns) held->least_ns = least_ns;
}

static struct grant *obstacle(struct lock_key *k, const struct operation *op)
{
    for (unsigned i = 0; i < k->count; i++) {
        if (!is_shared(op) || !k->grants[i].shared) return &k->grants[i];
    }
    return NULL;
}

static void serve_acquire(struct generator *g, struct lock_key *k, struct operation *op)
{
    struct grant *own = find_owner(k, op->owner), *other = obstacle(k, op);
    if (own != NULL && (!op->reentrant || own->shared != is_shared(op))) {
        if (op->version == 1) { /* a retry: the lease begins again */
            op->token = own->token;
            serve_renew(g, k, op);
            return;
        }
        op->shown_token = own->token;
        fail(op, ERROR_ALREADY_HELD);
        return;
    }
    if (own != NULL) {
        op->token = own->token;
        op->count = ++own->count;
        return;
    }
    /* Surely seen: nobody can have thought that its lease was over. */
    bool alive = other != NULL && other->least_ns > g->now_ns + 15 * NS_PER_MS;
    if (alive && plant(g, FAULT_EARLY_EXPIRY)) {
        drop(g, k, (unsigned)(other - k->grants));
        other = obstacle(k, op);
    } else if (alive && plant(g, FAULT_DOUBLE_GRANT)) {
        other = NULL;
    }
    if (other != NULL || k->count == LOCK_GRANTS_MAX) {
        fail(op, ERROR_BUSY);
        if (chance(g, 98)) op->shown_token = k->grants[0].token;
        if (op->shown_token != 0) op->shown_owner = k->grants[0].owner;
        return;
    }
    bool reuse = k->last_token > 0 && find(k, k->last_token) == NULL && plant(g, FAULT_TOKEN_REUSE);
    op->token = reuse ? k->last_token : ++k->last_token;
    remember(g, k);
    k->grants[k->count++] = (struct grant){.token = op->token,
                                           .until_ns = lease(g, op),
                                           .least_ns = op->call_ns + op->ttl_ms * NS_PER_MS,
                                           .owner = op->owner,
                                           .count = 1,
                                           .shared = is_shared(op),
                                           .heard = !g->unheard};
    if (op->version >= 2) op->count = 1;
}

static void serve_release(struct generator *g, struct lock_key *k, struct operation *op)
{
    struct grant *held = op->token != 0 ? find(k, op->token) : find_owner(k, op->owner);
    if (held == NULL) {
        bool alive = k->count > 0 && k->grants[0].least_ns > g->now_ns + 15 * NS_PER_MS;
        if (op->if_any || op->token == 0) return;
        if (alive && plant(g, FAULT_STALE_RELEASE)) {
            drop(g, k, 0);
            return;
        }
        fail(op, ERROR_NOT_HELD);
        return;
    }
    if (op->version >= 2 && !op->all && op->token != 0) {
        if (held->count > 1 || chance(g, 50)) op->count = held->count - 1;
        if (held->count > 1) {
            held->count--;
            return;
        }
    }
    if (held->least_ns > g->now_ns + 15 * NS_PER_MS && plant(g, FAULT_LOST_RELEASE)) return;
    drop(g, k, (unsigned)(held - k->grants));
}

static void serve_query(struct generator *g, struct lock_key *k, struct operation *op)
{
    struct grant now = k->count > 0 ? k->grants[0] : (struct grant){0};
    /* Not a mere lapse, which is seen when the service likes: somebody else surely holds it now. */
    bool stale = k->changed_ns != 0 && k->changed_ns < op->call_ns - 3 * NS_PER_MS && now.heard &&
                 !now.shared && now.least_ns > g->now_ns && k->before.token != now.token;
    if (stale && plant(g, FAULT_STALE_READ)) now = k->before;
    op->held = now.token != 0;
    op->shown_token = now.token;
    op->shown_owner = now.owner;
}

static void serve_lock(struct generator *g, void *key, struct operation *op)
{
    struct lock_key *k = key;
    op->outcome = RESULT_OK;
    sweep(g, k);
    switch ((enum operation_kind)op->kind) {
    case KIND_ACQUIRE: serve_acquire(g, k, op); break;
    case KIND_LOCK_RENEW: serve_renew(g, k, op); break;
    case KIND_RELEASE: serve_release(g, k, op); break;
    case KIND_CHECK:
        op->status = k->count == 0 ? STATUS_FREE : STATUS_STALE;
        if (find(k, op->token) != NULL) op->status = STATUS_VALID;
        break;
    default: serve_query(g, k, op); break;
    }
}

static void ask_acquire(struct generator *g, struct lock_client *c, unsigned number,
                        struct operation *op)
{
    bool again = c->token != 0 && op->version >= 2;
    op->kind = KIND_ACQUIRE;
    op->ttl_ms = between(g, 20, 80);
    if (!again) {
        /* As the library: an owner whose request went unanswered is not used again. */
        if (c->owner == 0 || op->version >= 2) c->owner = ++c->owners * CLIENTS_MAX + number;
        c->key = (uint32_t)prng_below(&g->prng, g->options->keys);
        c->shared = op->version >= 2 && chance(g, g->options->shared);
    }
    op->reentrant = again;
    op->key = c->key;
    op->owner = c->owner;
    op->mode = c->shared ? HELD_SHARED : HELD_EXCLUSIVE;
}

static void ask_under_token(struct generator *g, const struct lock_client *c, struct operation *op)
{
    op->key = c->old_key;
    op->token = c->old;
    op->kind = chance(g, 50) ? KIND_LOCK_RENEW : KIND_RELEASE;
    if (op->version >= 2 && chance(g, 50)) op->owner = c->old_owner;
    if (op->kind == KIND_LOCK_RENEW) op->ttl_ms = between(g, 20, 80);
    if (op->kind != KIND_RELEASE || op->version == 1) return;
    op->all = chance(g, 20);
    op->if_any = op->all && chance(g, 50);
    if (op->if_any && chance(g, 50)) {
        op->token = 0;
        op->owner = c->old_owner;
        op->all = op->if_any = false;
    }
}

static void ask_lock(struct generator *g, void *client, unsigned number, struct operation *op)
{
    struct lock_client *c = client;
    unsigned dice = (unsigned)prng_below(&g->prng, 100);
    bool checks = op->version >= 2 && c->old != 0 && chance(g, 50);
    if (c->old != 0 && dice < (c->token != 0 ? 70 : 10)) {
        ask_under_token(g, c, op);
    } else if (dice < 85 && (c->token == 0 || op->version >= 2)) {
        ask_acquire(g, c, number, op);
    } else {
        op->kind = checks ? KIND_CHECK : KIND_QUERY;
        op->key = checks ? c->old_key : (uint32_t)prng_below(&g->prng, g->options->keys);
        op->token = checks ? c->old : 0;
    }
}

static void hear_lock(struct generator *g, void *client, const struct operation *op)
{
    struct lock_client *c = client;
    (void)g;
    if (op->outcome == RESULT_UNKNOWN) {
        if (op->kind == KIND_RELEASE || op->kind == KIND_ACQUIRE) c->token = 0;
        return;
    }
    if (op->kind == KIND_ACQUIRE && op->outcome == RESULT_OK) {
        c->token = op->token;
        c->old = op->token;
        c->old_key = op->key;
        c->old_owner = op->owner;
    }
    if (op->kind == KIND_RELEASE && (op->outcome == RESULT_FAIL || op->count <= 0)) c->token = 0;
    if (op->kind == KIND_LOCK_RENEW && op->outcome == RESULT_FAIL) c->token = 0;
}

const struct service lock_service = {
    .client_bytes = sizeof(struct lock_client),
    .key_bytes = sizeof(struct lock_key),
    .ask = ask_lock,
    .serve = serve_lock,
    .hear = hear_lock,
};

/* ------------------------------------------------------------------ a register */

struct register_key {
    int64_t token;
    uint32_t value;
};

static void serve_register(struct generator *g, void *key, struct operation *op)
{
    struct register_key *k = key;
    (void)g;
    op->outcome = RESULT_OK;
    if (op->kind == KIND_READ) {
        op->value = k->value;
    } else if (op->token < k->token) {
        fail(op, ERROR_STALE_TOKEN);
    } else {
        *k = (struct register_key){op->token, op->value};
    }
}

static void ask_register(struct generator *g, void *client, unsigned number, struct operation *op)
{
    (void)client;
    op->key = (uint32_t)prng_below(&g->prng, g->options->keys);
    op->kind = chance(g, 50) ? KIND_READ : KIND_WRITE;
    if (op->kind == KIND_READ) return;
    op->token = 1 + g->now_ns / (10 * NS_PER_MS) + (number == 0 ? 0 : between(g, 0, 3));
    op->value = (uint32_t)op->id;
}

static void hear_register(struct generator *g, void *client, const struct operation *op)
{
    (void)g, (void)client, (void)op;
}

const struct service register_service = {
    .client_bytes = 1,
    .key_bytes = sizeof(struct register_key),
    .ask = ask_register,
    .serve = serve_register,
    .hear = hear_register,
};
