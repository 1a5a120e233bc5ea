/* See server/table.h. Buckets are singly linked lists. */
#include "server/table.h"

#include <stdlib.h>

#include "base/status.h"

enum { BUCKETS_AT_FIRST = 256 };

static size_t bucket_of(const struct table *t, uint64_t high, uint64_t low)
{
    /* splitmix64's finish: session ids are small and in a row, and would share few buckets. */
    uint64_t mixed = high * UINT64_C(0x9e3779b97f4a7c15) + low;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)(mixed ^ (mixed >> 31)) & (t->bucket_count - 1);
}

int table_init(struct table *t)
{
    *t = (struct table){.bucket_count = BUCKETS_AT_FIRST};
    t->buckets = calloc(t->bucket_count, sizeof *t->buckets);
    return t->buckets != NULL ? HF_OK : HF_ENOMEM;
}

void table_close(struct table *t)
{
    free(t->buckets);
    *t = (struct table){0};
}

struct table_node *table_find(const struct table *t, uint64_t key_high, uint64_t key_low)
{
    struct table_node *node = t->buckets[bucket_of(t, key_high, key_low)];
    while (node != NULL && (node->key[0] != key_high || node->key[1] != key_low)) node = node->next;
    return node;
}

static void put(struct table *t, struct table_node *node)
{
    size_t bucket = bucket_of(t, node->key[0], node->key[1]);
    node->next = t->buckets[bucket];
    t->buckets[bucket] = node;
}

static void grow(struct table *t)
{
    struct table bigger = {.bucket_count = t->bucket_count * 2, .count = t->count};
    bigger.buckets = calloc(bigger.bucket_count, sizeof *bigger.buckets);
    if (bigger.buckets == NULL) return;

    for (size_t i = 0; i < t->bucket_count; i++) {
        struct table_node *node = t->buckets[i];
        while (node != NULL) {
            struct table_node *next = node->next;
            put(&bigger, node);
            node = next;
        }
    }
    free(t->buckets);
    *t = bigger;
}

void table_insert(struct table *t, struct table_node *node)
{
    HF_ASSERT(table_find(t, node->key[0], node->key[1]) == NULL);
    if (t->count >= t->bucket_count) grow(t);
    put(t, node);
    t->count++;
}

void table_remove(struct table *t, struct table_node *node)
{
    struct table_node **link = &t->buckets[bucket_of(t, node->key[0], node->key[1])];
    while (*link != NULL && *link != node) link = &(*link)->next;
    HF_ASSERT(*link == node);
    *link = node->next;
    node->next = NULL;
    t->count--;
}

struct table_node *table_any(const struct table *t)
{
    for (size_t i = 0; t->count > 0 && i < t->bucket_count; i++) {
        if (t->buckets[i] != NULL) return t->buckets[i];
    }
    return NULL;
}
