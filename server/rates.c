/* See the header. Tokens are counted in thousandths, so that those of a millisecond are a whole
 * number: `per_second` of them. */
#include "server/rates.h"

#include "base/status.h"

enum { PARTS = 1000, LOOKED_AT_MAX = 16 };

int rates_init(struct rates *r, size_t buckets_max)
{
    HF_ASSERT(buckets_max >= 1);
    *r = (struct rates){.per_second = 0};
    list_init(&r->used);
    slab_init(&r->slab, sizeof(struct rate_bucket), buckets_max);
    return table_init(&r->by_principal);
}

void rates_close(struct rates *r)
{
    table_close(&r->by_principal);
    slab_close(&r->slab);
}

void rates_limit(struct rates *r, uint32_t per_second, uint32_t burst)
{
    HF_ASSERT(r->by_principal.count == 0);
    HF_ASSERT(per_second <= RATES_PER_SECOND_MAX && burst <= RATES_PER_SECOND_MAX);
    r->per_second = per_second;
    r->parts_max = (uint64_t)(burst != 0 ? burst : per_second) * PARTS;
    r->shared.parts = r->parts_max;
}

/* What it holds now. */
static uint64_t parts_of(const struct rates *r, const struct rate_bucket *b, uint64_t now_ms)
{
    HF_ASSERT(now_ms >= b->at_ms);
    uint64_t missing = r->parts_max - b->parts;
    uint64_t elapsed_ms = now_ms - b->at_ms;
    if (elapsed_ms >= missing / r->per_second + 1) return r->parts_max;
    uint64_t parts = b->parts + elapsed_ms * r->per_second;
    return parts < r->parts_max ? parts : r->parts_max;
}

/* One that has filled up, among those that were not used for longest; NULL: none of them has. */
static struct rate_bucket *find_full(const struct rates *r, uint64_t now_ms)
{
    unsigned looked_at = 0;
    LIST_FOR(link, &r->used)
    {
        struct rate_bucket *b = HF_CONTAINER_OF(link, struct rate_bucket, link);
        if (parts_of(r, b, now_ms) == r->parts_max) return b;
        if (++looked_at == LOOKED_AT_MAX) return NULL;
    }
    return NULL;
}

static struct rate_bucket *make_bucket(struct rates *r, uint64_t principal, uint64_t now_ms)
{
    struct rate_bucket *b = slab_take(&r->slab);
    if (b == NULL) {
        b = find_full(r, now_ms);
        if (b == NULL) return &r->shared;
        table_remove(&r->by_principal, &b->node);
        list_remove(&b->link);
    }
    *b = (struct rate_bucket){.parts = r->parts_max, .at_ms = now_ms};
    b->node.key[0] = principal;
    table_insert(&r->by_principal, &b->node);
    list_push_back(&r->used, &b->link);
    return b;
}

static struct rate_bucket *find(struct rates *r, uint64_t principal, uint64_t now_ms)
{
    struct table_node *node = table_find(&r->by_principal, principal, 0);
    if (node == NULL) return make_bucket(r, principal, now_ms);
    struct rate_bucket *b = HF_CONTAINER_OF(node, struct rate_bucket, node);
    list_remove(&b->link);
    list_push_back(&r->used, &b->link);
    return b;
}

bool rates_take(struct rates *r, uint64_t principal, uint64_t now_ms, uint64_t *retry_ms)
{
    if (r->per_second == 0) return true;
    struct rate_bucket *b = find(r, principal, now_ms);
    b->parts = parts_of(r, b, now_ms);
    b->at_ms = now_ms;
    if (b->parts >= PARTS) {
        b->parts -= PARTS;
        return true;
    }
    *retry_ms = (PARTS - b->parts + r->per_second - 1) / r->per_second;
    return false;
}
