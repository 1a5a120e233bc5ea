/* An ordered table of owned rows: the memory store's. A treap (Seidel and Aragon, 1996) whose
 * priorities are a hash of the key, so that its shape depends on its contents alone and a run
 * repeats exactly. Expected O(log n); one allocation a row; no iterators to invalidate: walking
 * is "the first row behind this key". */
#ifndef STORAGE_TREAP_H
#define STORAGE_TREAP_H

#include <stdbool.h>

#include "base/hash.h"
#include "base/slice.h"

struct treap_row {
    struct treap_row *left;  /**< rows before */
    struct treap_row *right; /**< rows behind */
    uint64_t priority;       /**< of (table, key); a parent's is at least its children's */
    struct hash128 hash;     /**< row_hash() of the row */
    uint32_t value_bytes;    /**< bytes of value, behind the key */
    uint16_t key_bytes;      /**< bytes of key, at the start of `bytes` */
    uint8_t table;           /**< the more significant part of the order */
    uint8_t bytes[];         /**< key, then value */
};

struct treap {
    struct treap_row *root; /**< owned; NULL = empty */
};

/** Make a row. \return owned, treap_row_free(); NULL: out of memory. */
struct treap_row *treap_row_new(uint8_t table, struct slice key, struct slice value);

/** Free a row that is in no treap; NULL is accepted. */
void treap_row_free(struct treap_row *row);

static inline struct slice treap_key(const struct treap_row *row)
{
    return slice_make(row->bytes, row->key_bytes);
}
static inline struct slice treap_value(const struct treap_row *row)
{
    return slice_make(row->bytes + row->key_bytes, row->value_bytes);
}

/** The row of (table, key), borrowed; NULL if there is none. */
struct treap_row *treap_find(const struct treap *t, uint8_t table, struct slice key);

/** The first row at (table, key) or behind it, or only behind it; in any table. NULL at the end. */
struct treap_row *treap_from(const struct treap *t, uint8_t table, struct slice key, bool behind);

/** Insert a row (given). \return the row of the same key that it replaced, now owned by the
 * caller; NULL if there was none. */
struct treap_row *treap_insert(struct treap *t, struct treap_row *row);

/** Take a row out. \return it, now owned by the caller; NULL if there was none. */
struct treap_row *treap_remove(struct treap *t, uint8_t table, struct slice key);

/** Copy every row of `from` into the empty `to`. \retval HF_ENOMEM `to` is empty again. */
HF_MUST_USE
int treap_copy(struct treap *to, const struct treap *from);

/** Free all rows. */
void treap_clear(struct treap *t);

#endif
