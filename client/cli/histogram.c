#include "client/cli/histogram.h"

#include "base/assert.h"

/* Below HISTOGRAM_SUB a bucket a value; above, the top six bits behind the leading one. */
static uint32_t bucket_of(uint64_t us)
{
    if (us < HISTOGRAM_SUB) return (uint32_t)us;
    uint32_t shift = (uint32_t)(63 - __builtin_clzll(us)) - 6;
    uint32_t bucket = (shift + 1) * HISTOGRAM_SUB + (uint32_t)(us >> shift) - HISTOGRAM_SUB;
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The greatest value of a bucket. */
static uint64_t top_of(uint32_t bucket)
{
    if (bucket < HISTOGRAM_SUB) return bucket;
    uint32_t shift = bucket / HISTOGRAM_SUB - 1;
    return ((uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t us)
{
    h->count += 1;
    h->buckets[bucket_of(us)] += 1;
    if (us > h->max) h->max = us;
}

void histogram_join(struct histogram *h, const struct histogram *other)
{
    h->count += other->count;
    if (other->max > h->max) h->max = other->max;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) h->buckets[i] += other->buckets[i];
}

uint64_t histogram_at(const struct histogram *h, uint64_t permille)
{
    HF_ASSERT(permille <= 1000);
    uint64_t wanted = (h->count * permille + 999) / 1000;
    uint64_t seen = 0;
    for (uint32_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) { /* the last has no upper bound */
        seen += h->buckets[i];
        if (seen >= wanted && seen > 0) return top_of(i) < h->max ? top_of(i) : h->max;
    }
    return h->max;
}
