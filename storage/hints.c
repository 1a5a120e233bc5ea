/* The memories of storage/hints.h. */
#include "storage/hints.h"

#include "base/assert.h"

static struct recent_entry *entry_of(const struct recent *r, uint64_t hash)
{
    return (struct recent_entry *)(uintptr_t)&r->entries[hash % RECENT_COUNT];
}

const struct recent_entry *recent_find(const struct recent *r, uint64_t version, uint8_t table,
                                       struct slice key, uint64_t hash)
{
    HF_ASSERT(version != 0);
    const struct recent_entry *e = entry_of(r, hash);
    if (e->version != version || e->hash != hash || e->table != table) return NULL;
    return slice_equal(slice_make(e->key, e->key_bytes), key) ? e : NULL;
}

void recent_learn(struct recent *r, uint64_t version, uint8_t table, struct slice key,
                  uint64_t hash, const struct lmdb_row *row)
{
    HF_ASSERT(version != 0);
    HF_ASSERT(key.size >= 1);
    if (key.size > RECENT_KEY_BYTES_MAX) return;
    struct recent_entry *e = entry_of(r, hash);
    e->version = version;
    e->hash = hash;
    e->table = table;
    e->key_bytes = (uint8_t)key.size;
    memcpy(e->key, key.data, key.size);
    e->found = row != NULL;
    if (row == NULL) return;
    e->value = row->value;
    e->value_hash = row->hash;
}

static bool holds(const struct dead_range *d, struct slice key)
{
    if (!d->known || slice_compare(key, slice_make(d->from, d->from_bytes)) < 0) return false;
    return d->to_end || slice_compare(key, slice_make(d->to, d->to_bytes)) < 0;
}

bool dead_range_start(const struct dead_range *d, struct slice from, struct slice *start)
{
    HF_ASSERT(from.size <= STORE_KEY_BYTES_MAX);
    *start = from;
    if (!holds(d, from)) return true;
    if (d->to_end) return false;
    *start = slice_make(d->to, d->to_bytes);
    return true;
}

static void set_end(struct dead_range *d, struct slice to)
{
    HF_ASSERT(to.size <= sizeof d->to);
    d->to_end = to.size == 0;
    d->to_bytes = (uint16_t)to.size;
    if (to.size > 0) memmove(d->to, to.data, to.size);
}

void dead_range_learn(struct dead_range *d, struct slice from, struct slice to)
{
    HF_ASSERT(from.size <= sizeof d->from);
    bool goes_on = d->known && !d->to_end && slice_equal(from, slice_make(d->to, d->to_bytes));
    set_end(d, to);
    if (goes_on) return; /* the search began where the known stretch ended */
    d->known = true;
    d->from_bytes = (uint16_t)from.size;
    if (from.size > 0) memcpy(d->from, from.data, from.size);
}

void dead_range_put(struct dead_range *d, struct slice key)
{
    if (holds(d, key)) set_end(d, key);
}
