/* The store's door: checks what every implementation may rely on, then calls it (store_ops.h).
 * Ranges are asserted, not refused: keys and values are built by the machine from decoded, bounded
 * requests, so one out of range is a programmer's error. */
#include "storage/store.h"

#include "base/status.h"
#include "storage/store_ops.h"

static bool is_open(const struct store *s)
{
    return s != NULL && s->magic == STORE_MAGIC;
}

static bool is_key(uint8_t table, struct slice key)
{
    return table < STORE_TABLE_COUNT_MAX && key.size >= 1 && key.size <= STORE_KEY_BYTES_MAX;
}

int store_get(struct store *s, uint8_t table, struct slice key, struct slice *value)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(is_key(table, key));
    return s->ops->get(s, table, key, value);
}

int store_put(struct store *s, uint8_t table, struct slice key, struct slice value)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(is_key(table, key));
    HF_ASSERT(value.size <= STORE_VALUE_BYTES_MAX);
    return s->ops->put(s, table, key, value);
}

int store_del(struct store *s, uint8_t table, struct slice key)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(is_key(table, key));
    return s->ops->del(s, table, key);
}

int store_seek(struct store *s, uint8_t table, struct slice from, struct store_cursor *c,
               struct slice *key, struct slice *value)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(table < STORE_TABLE_COUNT_MAX);
    HF_ASSERT(from.size <= STORE_KEY_BYTES_MAX);
    *c = (struct store_cursor){.store = s, .table = table};
    return s->ops->seek(s, table, from, c, key, value);
}

int store_next(struct store_cursor *c, struct slice *key, struct slice *value)
{
    HF_ASSERT(is_open(c->store));
    return c->store->ops->next(c, key, value);
}

void store_cursor_close(struct store_cursor *c)
{
    if (c->store == NULL) return;
    HF_ASSERT(is_open(c->store));
    c->store->ops->cursor_close(c);
    *c = (struct store_cursor){0};
}

void store_savepoint(struct store *s)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(!s->in_savepoint);
    s->ops->savepoint(s);
    s->in_savepoint = true;
}

int store_rollback(struct store *s)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(s->in_savepoint);
    s->in_savepoint = false;
    return s->ops->rollback(s);
}

void store_release(struct store *s)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(s->in_savepoint);
    s->in_savepoint = false;
    s->ops->release(s);
}

struct hash128 store_digest(const struct store *s)
{
    HF_ASSERT(is_open(s));
    return s->ops->digest(s);
}

uint64_t store_count(const struct store *s, uint8_t table)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(table < STORE_TABLE_COUNT_MAX);
    return s->ops->count(s, table);
}

uint64_t store_active_bytes(const struct store *s)
{
    HF_ASSERT(is_open(s));
    return s->ops->active_bytes(s);
}

bool store_is_flushing(const struct store *s)
{
    HF_ASSERT(is_open(s));
    return s->ops->is_flushing(s);
}

bool store_has_room(const struct store *s)
{
    HF_ASSERT(is_open(s));
    return s->ops->has_room(s);
}

uint64_t store_free_inside(const struct store *s)
{
    HF_ASSERT(is_open(s));
    return s->ops->free_inside(s);
}

const struct store_mark *store_mark(const struct store *s)
{
    HF_ASSERT(is_open(s));
    return s->ops->mark(s);
}

int store_checkpoint(struct store *s, const struct store_mark *mark)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(!s->in_savepoint);
    HF_ASSERT(mark->configuration.size <= STORE_CONFIG_BYTES_MAX);
    HF_ASSERT(mark->index >= store_mark(s)->index);
    if (store_is_flushing(s)) return HF_ETOOBUSY;
    return s->ops->checkpoint(s, mark);
}

int store_flush_run(struct store *s)
{
    HF_ASSERT(is_open(s));
    return s->ops->flush_run(s);
}

int store_flush_done(struct store *s)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(store_is_flushing(s));
    return s->ops->flush_done(s);
}

int store_verify(struct store *s)
{
    HF_ASSERT(is_open(s));
    return s->ops->verify(s);
}

int store_export(struct store *s, store_sink_cb sink_cb, void *data, uint64_t *index)
{
    HF_ASSERT(is_open(s));
    HF_ASSERT(sink_cb != NULL);
    return s->ops->export(s, sink_cb, data, index);
}

void store_close(struct store *s)
{
    if (s == NULL) return;
    HF_ASSERT(is_open(s));
    s->magic = 0;
    s->ops->close(s);
}
