/* How much new work a principal may ask of this server in a second: a token bucket each. The door's
 * own, never seen by what is replicated. Pure: time is an argument.
 *
 * Happy path: a principal's bucket has a token, and gives it. Without one the caller learns when
 * the next will be there, and nothing is taken. Memory is bounded, for names cost nothing: a bucket
 * that has filled up says no more than none, so the one that was not used for longest goes when a
 * new principal comes; as long as none has filled up, those without one of their own share one. */
#ifndef SERVER_RATES_H
#define SERVER_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/list.h"
#include "server/slab.h"
#include "server/table.h"

enum { RATES_BUCKETS_MAX = 4096, RATES_PER_SECOND_MAX = 10000000 };

/** A principal's tokens. */
struct rate_bucket {
    struct table_node node; /**< in `by_principal` */
    struct list link;       /**< in `used` */
    uint64_t parts;         /**< thousandths of tokens, as of `at_ms` */
    uint64_t at_ms;         /**< when that was */
};

struct rates {
    uint32_t per_second;       /**< tokens that come; 0 = nothing is limited */
    uint64_t parts_max;        /**< what a bucket holds */
    struct table by_principal; /**< struct rate_bucket */
    struct list used;          /**< the same, the one not used for longest first */
    struct slab slab;          /**< their memory */
    struct rate_bucket shared; /**< of those that have none */
};

/** Begin without a limit. \param buckets_max  at most so many. \retval HF_ENOMEM */
HF_MUST_USE
int rates_init(struct rates *r, size_t buckets_max);

/** Free all; a zeroed one is accepted. */
void rates_close(struct rates *r);

/** Set the limit, before the first rates_take(). \param per_second  0 = none; at most
 * RATES_PER_SECOND_MAX. \param burst  tokens that a bucket holds; 0 = those of a second. */
void rates_limit(struct rates *r, uint32_t per_second, uint32_t burst);

/** Take a token. \param now_ms  never goes back. \param retry_ms  Out: until there is one again,
 * on false. \return false: there is none. */
bool rates_take(struct rates *r, uint64_t principal, uint64_t now_ms, uint64_t *retry_ms);

#endif
