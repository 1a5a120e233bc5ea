/* An intrusive hash table over 64-bit keys, and a pool of equal objects. Together they let the
 * replica and the door find and hold what waits without an allocation for each request: an object
 * embeds a struct table_node, the pool hands its memory out again.
 * The table doubles when it is full and never shrinks; order is not kept and nothing may depend on
 * it. Failure mode: memory alone. */
#ifndef SERVER_TABLE_H
#define SERVER_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/list.h"

struct table_node {
    struct table_node *next; /**< in the same bucket */
    uint64_t key[2];         /**< what it is found by; the second is 0 where one is enough */
};

struct table {
    struct table_node **buckets; /**< owned; `bucket_count` heads */
    size_t bucket_count;         /**< a power of two */
    size_t count;                /**< nodes in the table */
};

/** Make an empty table. \retval HF_ENOMEM nothing is owned. */
HF_MUST_USE
int table_init(struct table *t);

/** Free the buckets, not the nodes; a zeroed one is accepted. */
void table_close(struct table *t);

/** The node under a key, borrowed; NULL if there is none. */
struct table_node *table_find(const struct table *t, uint64_t key_high, uint64_t key_low);

/** Insert a node whose key is set and not in the table yet. Cannot fail: a table that finds no
 * memory to grow stays as it is and gets slower. */
void table_insert(struct table *t, struct table_node *node);

/** Take a node out that is in the table. */
void table_remove(struct table *t, struct table_node *node);

/** Any node, borrowed; NULL if the table is empty. For emptying one. */
struct table_node *table_any(const struct table *t);

/** Objects of one size, given out and taken back without the allocator. */
struct pool {
    struct list chunks;  /**< owned memory; grows and is freed with the pool */
    void *free;          /**< first free object; each begins with a pointer to the next */
    size_t object_bytes; /**< bytes of one, rounded up to 16 */
    size_t used;         /**< objects given out */
    size_t used_max;     /**< never more than this */
};

/** Make an empty pool. \param used_max the most objects that may be out at once. */
void pool_init(struct pool *p, size_t object_bytes, size_t used_max);

/** Free everything, objects that are out too. A zeroed one is accepted. */
void pool_close(struct pool *p);

/** A zeroed object; NULL if `used_max` are out or memory is. */
void *pool_take(struct pool *p);

/** Give an object back. */
void pool_give(struct pool *p, void *object);

#endif
