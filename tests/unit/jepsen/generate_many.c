/* The simulated lock service once more, for what concerns several grants at a time: permits,
 * several names in one grant, downgrade and upgrade. The first PLAIN_KEYS keys are exclusive or
 * shared, the others have LIMIT units. One client has one grant at most; its keys are bits of
 * op->number. */
#include <string.h>

#include "tests/unit/jepsen/generate.h"

enum { PLAIN_KEYS = 3, ALL_KEYS = 5, LIMIT = 4, SURELY_NS = 15 * NS_PER_MS };

struct many_grant {
    int64_t token;
    int64_t until_ns; /* the service lets it lapse then */
    int64_t least_ns; /* and could not before */
    int64_t keys;     /* bits */
    int64_t permits;
    uint32_t owner;
    uint8_t mode;
    bool heard;    /* its client knows of it */
    bool upgraded; /* and that it is exclusive now */
};

struct many {
    struct many_grant grants[LOCK_GRANTS_MAX];
    unsigned count;
    int64_t last_token;
};

_Static_assert(sizeof(struct many) <= GENERATE_STATE_BYTES, "the one state");

struct many_client {
    int64_t token; /* 0 = holds nothing, as far as it knows */
    int64_t keys;
    uint32_t owner;
    uint32_t owners; /* drawn so far */
    uint8_t mode;
};

/* ------------------------------------------------------------------ the service */

static void fail(struct operation *op, enum operation_error error)
{
    op->outcome = RESULT_FAIL;
    op->error = (uint8_t)error;
}

static void drop(struct many *m, struct many_grant *grant)
{
    *grant = m->grants[--m->count];
}

static struct many_grant *find(struct many *m, int64_t token)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (m->grants[i].token == token) return &m->grants[i];
    }
    return NULL;
}

static void sweep(struct generator *g, struct many *m)
{
    for (unsigned i = m->count; i > 0; i--) {
        if (m->grants[i - 1].until_ns <= g->now_ns) drop(m, &m->grants[i - 1]);
    }
}

/* Will it surely be seen to have stood now? */
static bool is_sure(const struct generator *g, const struct many_grant *grant)
{
    for (unsigned i = 0; i < g->options->clients; i++) {
        if (g->ending[i] == grant->token) return false;
    }
    return grant->heard && grant->least_ns > g->now_ns + SURELY_NS;
}

/* A grant that keeps this one, of the key, from being given. \param sure  see is_sure(). */
static const struct many_grant *find_obstacle(const struct generator *g, const struct many *m,
                                              const struct operation *op, unsigned key, bool sure)
{
    int64_t units = op->permits;
    for (unsigned i = 0; i < m->count; i++) {
        const struct many_grant *other = &m->grants[i];
        if ((other->keys >> key & 1) == 0 || (sure && !is_sure(g, other))) continue;
        if (other->mode != op->mode || op->mode == HELD_EXCLUSIVE) return other;
        units += other->permits;
        if (units > LIMIT) return other;
    }
    return NULL;
}

static void serve_acquire(struct generator *g, struct many *m, struct operation *op)
{
    const struct many_grant *first = NULL;
    bool sure = false, head_is_free = true;
    for (unsigned key = 0; key < ALL_KEYS; key++) {
        if ((op->number >> key & 1) == 0) continue;
        const struct many_grant *other = find_obstacle(g, m, op, key, false);
        if (other != NULL && key == op->key) head_is_free = false;
        if (other != NULL && first == NULL) first = other;
        sure = sure || find_obstacle(g, m, op, key, true) != NULL;
    }
    bool several = (op->number & (op->number - 1)) != 0;
    if (sure && head_is_free && several && plant(g, FAULT_PARTIAL)) first = NULL;
    if (sure && op->permits != 0 && first != NULL && first->permits != 0 &&
        plant(g, FAULT_OVER_LIMIT))
        first = NULL;
    if (sure && op->mode == HELD_SHARED && first != NULL && first->upgraded &&
        plant(g, FAULT_UPGRADE_FORGOTTEN))
        first = NULL;
    if (first != NULL || m->count == LOCK_GRANTS_MAX) {
        fail(op, ERROR_BUSY);
        if (first == NULL || several) return;
        op->shown_token = first->token;
        op->shown_owner = first->owner;
        return;
    }
    op->token = ++m->last_token;
    op->count = 1;
    m->grants[m->count++] =
        (struct many_grant){.token = op->token,
                            .until_ns = g->now_ns + (op->ttl_ms + between(g, 0, 30)) * NS_PER_MS,
                            .least_ns = op->call_ns + op->ttl_ms * NS_PER_MS,
                            .keys = op->number,
                            .permits = op->permits,
                            .owner = op->owner,
                            .mode = op->mode,
                            .heard = !g->unheard};
}

static void serve_upgrade(struct generator *g, struct many *m, struct many_grant *own,
                          struct operation *op)
{
    bool alone = true, sure = false;
    for (unsigned i = 0; i < m->count; i++) {
        const struct many_grant *other = &m->grants[i];
        if (other == own || (other->keys & own->keys) == 0) continue;
        alone = false;
        sure = sure || is_sure(g, other);
    }
    if (!alone && !(sure && is_sure(g, own) && plant(g, FAULT_UPGRADE_BESIDE))) {
        fail(op, ERROR_BUSY);
        return;
    }
    own->mode = HELD_EXCLUSIVE;
    own->upgraded = !g->unheard;
}

static void serve_many(struct generator *g, void *state, struct operation *op)
{
    struct many *m = state;
    op->outcome = RESULT_OK;
    sweep(g, m);
    struct many_grant *own = op->token != 0 ? find(m, op->token) : NULL;
    if (op->token != 0 && own == NULL) {
        fail(op, ERROR_NOT_HELD);
        return;
    }
    switch ((enum operation_kind)op->kind) {
    case KIND_ACQUIRE: serve_acquire(g, m, op); break;
    case KIND_LOCK_RENEW:
        if (own->least_ns < op->call_ns + op->ttl_ms * NS_PER_MS)
            own->least_ns = op->call_ns + op->ttl_ms * NS_PER_MS;
        if (own->until_ns < own->least_ns + 10 * NS_PER_MS)
            own->until_ns = own->least_ns + between(g, 10, 40) * NS_PER_MS;
        break;
    case KIND_RELEASE: drop(m, own); break;
    case KIND_DOWNGRADE: own->mode = HELD_SHARED, own->upgraded = false; break;
    case KIND_UPGRADE: serve_upgrade(g, m, own, op); break;
    default: /* a query */
        for (unsigned i = 0; i < m->count; i++) {
            if ((m->grants[i].keys >> op->key & 1) == 0) continue;
            op->held = true;
            op->shown_token = m->grants[i].token;
            op->shown_owner = m->grants[i].owner;
        }
    }
}

/* ------------------------------------------------------------------ its clients */

static void ask_acquire(struct generator *g, struct many_client *c, unsigned number,
                        struct operation *op)
{
    bool permits = chance(g, 40);
    unsigned first = permits ? PLAIN_KEYS : 0, end = permits ? ALL_KEYS : PLAIN_KEYS;
    for (unsigned key = first; key < end; key++) {
        if (chance(g, 50)) op->number |= INT64_C(1) << key;
    }
    if (op->number == 0) op->number = INT64_C(1) << first;
    op->kind = KIND_ACQUIRE;
    op->ttl_ms = between(g, 20, 80);
    op->owner = c->owner = ++c->owners * CLIENTS_MAX + number;
    op->mode = chance(g, 40) ? HELD_SHARED : HELD_EXCLUSIVE;
    if (permits) op->mode = chance(g, 90) ? HELD_PERMITS : HELD_EXCLUSIVE;
    if (op->mode == HELD_PERMITS) {
        op->permits = between(g, 1, 3);
        op->limit = LIMIT;
    }
    c->keys = op->number;
    c->mode = op->mode;
}

static void ask_many(struct generator *g, void *client, unsigned number, struct operation *op)
{
    struct many_client *c = client;
    if (chance(g, 10)) {
        op->kind = KIND_QUERY;
        op->key = (uint32_t)prng_below(&g->prng, ALL_KEYS);
        return;
    }
    if (c->token == 0) {
        ask_acquire(g, c, number, op);
    } else {
        unsigned dice = (unsigned)prng_below(&g->prng, 100);
        op->number = c->keys;
        op->token = c->token;
        op->owner = chance(g, 50) ? c->owner : 0;
        op->kind = dice < 50 ? KIND_LOCK_RENEW : KIND_RELEASE;
        if (dice >= 70 && c->mode == HELD_EXCLUSIVE) op->kind = KIND_DOWNGRADE;
        if (dice >= 70 && c->mode == HELD_SHARED) op->kind = KIND_UPGRADE;
        if (op->kind == KIND_LOCK_RENEW) op->ttl_ms = between(g, 20, 80);
        if (op->kind == KIND_RELEASE || op->kind == KIND_DOWNGRADE) g->ending[number] = op->token;
    }
    while ((op->number >> op->key & 1) == 0) op->key++;
}

static void hear_many(struct generator *g, void *client, const struct operation *op)
{
    struct many_client *c = client;
    bool ok = op->outcome == RESULT_OK;
    (void)g;
    if (op->kind == KIND_ACQUIRE) c->token = ok ? op->token : 0;
    if (op->error == ERROR_NOT_HELD || (op->kind == KIND_RELEASE && op->error == 0)) c->token = 0;
    if (op->kind == KIND_DOWNGRADE) c->mode = HELD_SHARED;
    if (op->kind == KIND_UPGRADE && ok) c->mode = HELD_EXCLUSIVE;
}

const struct service many_service = {
    .client_bytes = sizeof(struct many_client),
    .ask = ask_many,
    .serve = serve_many,
    .hear = hear_many,
};
