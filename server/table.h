/* An intrusive hash table over one or two 64-bit keys: an object embeds a struct table_node, and
 * finding, inserting and removing allocate nothing. The table doubles when it is full and never
 * shrinks; order is not kept and nothing may depend on it. Failure mode: memory alone. */
#ifndef SERVER_TABLE_H
#define SERVER_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

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

#endif
