/* The store in memory (storage/store_memory.h). `live` is what readers see; a checkpoint copies it
 * into `frozen`, a flush declares that durable, and a crash makes the durable copy live again.
 * The undo list keeps the row that each change displaced (or that there was none), newest first.
 * Failure modes: memory alone. */
#include "storage/store_memory.h"

#include <stdlib.h>

#include "base/status.h"
#include "storage/image.h"
#include "storage/row.h"
#include "storage/store_ops.h"
#include "storage/treap.h"

/* A whole state: rows, counts, digest, and what it stands for. */
struct image {
    struct treap rows;                      /**< owned */
    uint64_t counts[STORE_TABLE_COUNT_MAX]; /**< rows by table */
    struct hash128 digest;                  /**< sum of the rows' hashes */
    struct store_mark mark;                 /**< its configuration lies in `configuration` */
    uint8_t *configuration;                 /**< owned; NULL = empty */
};

struct undo {
    struct undo *older;    /**< the change before this one */
    struct treap_row *old; /**< the row that was displaced, owned; NULL = there was none */
    uint8_t table;         /**< of the key */
    size_t key_bytes;      /**< bytes of the key */
    uint8_t key[];         /**< the key that was changed */
};

struct store_memory {
    struct store store;    /**< the interface; first */
    struct image live;     /**< what readers see; its mark is the last one reported done */
    struct image frozen;   /**< the flushing generation, valid while `flushing` */
    struct image durable;  /**< what a crash goes back to, if no flushed generation is newer */
    struct undo *undo;     /**< newest change since the savepoint; NULL outside */
    uint64_t active_bytes; /**< keys and values written since the last checkpoint */
    bool flushing;         /**< between checkpoint and flush_done */
    bool flushed;          /**< flush_run() wrote `frozen` */
    unsigned fail_count;   /**< flushes that are still to fail */
    int fail_status;       /**< and with what */
    bool no_room;          /**< store_has_room() is false */
};

/* What a cursor's private words hold. */
struct position {
    size_t key_bytes;                 /**< bytes of the last key */
    uint8_t key[STORE_KEY_BYTES_MAX]; /**< the key last returned */
};

static struct store_memory *memory_of(struct store *s)
{
    return (struct store_memory *)(void *)s;
}

static const struct store_memory *memory_of_const(const struct store *s)
{
    return (const struct store_memory *)(const void *)s;
}

static void image_clear(struct image *i)
{
    treap_clear(&i->rows);
    free(i->configuration);
    *i = (struct image){0};
}

static int image_set_mark(struct image *i, const struct store_mark *mark)
{
    size_t size = mark->configuration.size;
    uint8_t *copy = NULL;
    if (size > 0) {
        copy = malloc(size);
        if (copy == NULL) return HF_ENOMEM;
        memcpy(copy, mark->configuration.data, size);
    }
    free(i->configuration);
    i->configuration = copy;
    i->mark = *mark;
    i->mark.configuration = slice_make(copy, size);
    return HF_OK;
}

/* Make the empty `to` equal to `from`. */
static int image_copy(struct image *to, const struct image *from)
{
    HF_ASSERT(to->rows.root == NULL);
    int rv = treap_copy(&to->rows, &from->rows);
    if (rv != HF_OK) return rv;
    memcpy(to->counts, from->counts, sizeof to->counts);
    to->digest = from->digest;
    return image_set_mark(to, &from->mark);
}

static int get(struct store *s, uint8_t table, struct slice key, struct slice *value)
{
    const struct treap_row *row = treap_find(&memory_of(s)->live.rows, table, key);
    if (row == NULL) return HF_ENOTFOUND;
    *value = treap_value(row);
    return HF_OK;
}

/* Put `row` (given; NULL = none) in the place of what is under the key; returns what was there. */
static struct treap_row *displace(struct store_memory *m, uint8_t table, struct slice key,
                                  struct treap_row *row)
{
    struct image *live = &m->live;
    struct treap_row *old =
        row != NULL ? treap_insert(&live->rows, row) : treap_remove(&live->rows, table, key);
    if (old != NULL) {
        HF_ASSERT(live->counts[table] >= 1);
        live->counts[table] -= 1;
        live->digest = digest_sub(live->digest, old->hash);
    }
    if (row != NULL) {
        live->counts[table] += 1;
        live->digest = digest_add(live->digest, row->hash);
    }
    return old;
}

/* A put (row given) or a del (row NULL), remembered if there is a savepoint. */
static int change(struct store_memory *m, uint8_t table, struct slice key, struct treap_row *row)
{
    struct undo *undo = NULL;
    if (m->store.in_savepoint) {
        undo = malloc(sizeof *undo + key.size);
        if (undo == NULL) return HF_ENOMEM;
        *undo = (struct undo){.older = m->undo, .table = table, .key_bytes = key.size};
        memcpy(undo->key, key.data, key.size);
    }
    m->active_bytes += key.size + (row != NULL ? row->value_bytes : 0U);
    struct treap_row *old = displace(m, table, key, row); /* from here `key` may be dangling */
    if (undo == NULL) {
        treap_row_free(old);
        return HF_OK;
    }
    undo->old = old;
    m->undo = undo;
    return HF_OK;
}

static int put(struct store *s, uint8_t table, struct slice key, struct slice value)
{
    struct treap_row *row = treap_row_new(table, key, value);
    if (row == NULL) return HF_ENOMEM;
    int rv = change(memory_of(s), table, treap_key(row), row);
    if (rv != HF_OK) treap_row_free(row);
    return rv;
}

static int del(struct store *s, uint8_t table, struct slice key)
{
    struct store_memory *m = memory_of(s);
    if (treap_find(&m->live.rows, table, key) == NULL) return HF_ENOTFOUND;
    return change(m, table, key, NULL);
}

/* Return the first row at or behind a key, and remember where we are. */
static int step(struct store_cursor *c, struct slice from, bool behind, struct slice *key,
                struct slice *value)
{
    struct store_memory *m = memory_of(c->store);
    struct treap_row *row = treap_from(&m->live.rows, c->table, from, behind);
    if (row == NULL || row->table != c->table) return HF_ENOTFOUND;
    struct position *p = (struct position *)(uintptr_t)c->private[0];
    HF_ASSERT(row->key_bytes <= sizeof p->key);
    p->key_bytes = row->key_bytes;
    memcpy(p->key, row->bytes, row->key_bytes);
    *key = treap_key(row);
    *value = treap_value(row);
    return HF_OK;
}

static int seek(struct store *s, uint8_t table, struct slice from, struct store_cursor *c,
                struct slice *key, struct slice *value)
{
    HF_ASSERT(c->store == s && c->table == table);
    struct position *p = malloc(sizeof *p);
    if (p == NULL) return HF_ENOMEM;
    p->key_bytes = 0;
    c->private[0] = (uint64_t)(uintptr_t)p;
    return step(c, from, false, key, value);
}

static int next(struct store_cursor *c, struct slice *key, struct slice *value)
{
    const struct position *p = (const struct position *)(uintptr_t)c->private[0];
    if (p == NULL || p->key_bytes == 0) return HF_ENOTFOUND; /* the seek found nothing */
    return step(c, slice_make(p->key, p->key_bytes), true, key, value);
}

static void cursor_close(struct store_cursor *c)
{
    free((void *)(uintptr_t)c->private[0]);
}

static void savepoint(struct store *s)
{
    HF_ASSERT(memory_of(s)->undo == NULL);
}

static int rollback(struct store *s)
{
    struct store_memory *m = memory_of(s);
    while (m->undo != NULL) {
        struct undo *u = m->undo;
        m->undo = u->older;
        treap_row_free(displace(m, u->table, slice_make(u->key, u->key_bytes), u->old));
        free(u);
    }
    return HF_OK;
}

static void release(struct store *s)
{
    struct store_memory *m = memory_of(s);
    while (m->undo != NULL) {
        struct undo *u = m->undo;
        m->undo = u->older;
        treap_row_free(u->old);
        free(u);
    }
}

static struct hash128 digest(const struct store *s)
{
    return memory_of_const(s)->live.digest;
}

static uint64_t count(const struct store *s, uint8_t table)
{
    return memory_of_const(s)->live.counts[table];
}

static uint64_t active_bytes(const struct store *s)
{
    return memory_of_const(s)->active_bytes;
}

static bool is_flushing(const struct store *s)
{
    return memory_of_const(s)->flushing;
}

static bool has_room(const struct store *s)
{
    return !memory_of_const(s)->no_room;
}

static const struct store_mark *last_mark(const struct store *s)
{
    return &memory_of_const(s)->live.mark;
}

static int checkpoint(struct store *s, const struct store_mark *mark)
{
    struct store_memory *m = memory_of(s);
    HF_ASSERT(!m->flushing);
    int rv = image_copy(&m->frozen, &m->live);
    if (rv == HF_OK) rv = image_set_mark(&m->frozen, mark);
    if (rv != HF_OK) {
        image_clear(&m->frozen);
        return rv;
    }
    m->flushing = true;
    m->flushed = false;
    m->active_bytes = 0;
    return HF_OK;
}

static int flush_run(struct store *s)
{
    struct store_memory *m = memory_of(s);
    if (m->fail_count > 0) {
        m->fail_count -= 1;
        return m->fail_status;
    }
    m->flushed = true;
    return HF_OK;
}

static int flush_done(struct store *s)
{
    struct store_memory *m = memory_of(s);
    HF_ASSERT(m->flushed);
    int rv = image_set_mark(&m->live, &m->frozen.mark);
    if (rv != HF_OK) return rv;
    image_clear(&m->durable);
    m->durable = m->frozen;
    m->frozen = (struct image){0};
    m->flushing = false;
    m->flushed = false;
    return HF_OK;
}

static int verify(struct store *s)
{
    const struct image *live = &memory_of(s)->live;
    struct hash128 sum = {0, 0};
    uint64_t counts[STORE_TABLE_COUNT_MAX] = {0};
    struct treap_row *row = treap_from(&live->rows, 0, slice_make(NULL, 0), false);
    while (row != NULL) {
        struct hash128 hash = row_hash(row->table, treap_key(row), treap_value(row));
        if (!row_hash_equal(hash, row->hash)) return HF_ECORRUPT;
        sum = digest_add(sum, hash);
        counts[row->table] += 1;
        row = treap_from(&live->rows, row->table, treap_key(row), true);
    }
    if (memcmp(counts, live->counts, sizeof counts) != 0) return HF_ECORRUPT;
    return row_hash_equal(sum, live->digest) ? HF_OK : HF_ECORRUPT;
}

/* The newest flushed state: what a crash would go back to. */
static int export(struct store *s, store_sink_cb sink_cb, void *data, uint64_t *index)
{
    const struct store_memory *m = memory_of(s);
    const struct image *from = m->flushing && m->flushed ? &m->frozen : &m->durable;
    struct mark_row mark = {.mark = from->mark, .digest = from->digest};
    memcpy(mark.counts, from->counts, sizeof mark.counts);
    int rv = image_write_start(&mark, sink_cb, data);
    if (rv != HF_OK) return rv;
    const struct treap_row *row = treap_from(&from->rows, 0, slice_make(NULL, 0), false);
    while (row != NULL) {
        rv = image_write_row(row->table, treap_key(row), treap_value(row), sink_cb, data);
        if (rv != HF_OK) return rv;
        row = treap_from(&from->rows, row->table, treap_key(row), true);
    }
    *index = from->mark.index;
    return image_write_end(sink_cb, data);
}

static int import_row(uint8_t table, struct slice key, struct slice value, struct hash128 hash,
                      void *data)
{
    struct image *to = data;
    struct treap_row *row = treap_row_new(table, key, value);
    if (row == NULL) return HF_ENOMEM;
    HF_ASSERT(row_hash_equal(row->hash, hash));
    treap_row_free(treap_insert(&to->rows, row));
    to->counts[table] += 1;
    to->digest = digest_add(to->digest, hash);
    return HF_OK;
}

static void close_memory(struct store *s)
{
    struct store_memory *m = memory_of(s);
    release(s);
    image_clear(&m->live);
    image_clear(&m->frozen);
    image_clear(&m->durable);
    free(m);
}

static const struct store_ops memory_ops = {
    .get = get,
    .put = put,
    .del = del,
    .seek = seek,
    .next = next,
    .cursor_close = cursor_close,
    .savepoint = savepoint,
    .rollback = rollback,
    .release = release,
    .digest = digest,
    .count = count,
    .active_bytes = active_bytes,
    .is_flushing = is_flushing,
    .has_room = has_room,
    .mark = last_mark,
    .checkpoint = checkpoint,
    .flush_run = flush_run,
    .flush_done = flush_done,
    .verify = verify,
    .export = export,
    .close = close_memory,
};

int store_memory_open(struct store **out)
{
    struct store_memory *m = calloc(1, sizeof *m);
    if (m == NULL) return HF_ENOMEM;
    m->store.ops = &memory_ops;
    m->store.magic = STORE_MAGIC;
    *out = &m->store;
    return HF_OK;
}

int store_memory_crash(struct store *s)
{
    HF_ASSERT(s->magic == STORE_MAGIC);
    HF_ASSERT(s->ops == &memory_ops);
    struct store_memory *m = memory_of(s);
    if (m->flushing && m->flushed) {
        int rv = flush_done(s);
        if (rv != HF_OK) return rv;
    }
    release(s);
    s->in_savepoint = false;
    image_clear(&m->frozen);
    image_clear(&m->live);
    m->flushing = false;
    m->active_bytes = 0;
    return image_copy(&m->live, &m->durable);
}

int store_memory_import(struct store *s, store_source_cb source_cb, void *data)
{
    HF_ASSERT(s->magic == STORE_MAGIC);
    HF_ASSERT(s->ops == &memory_ops);
    struct store_memory *m = memory_of(s);
    struct image image = {0};
    struct mark_row mark;
    struct buffer mark_bytes;
    buffer_init(&mark_bytes, MARK_ROW_BYTES_MAX);
    int rv = image_read(source_cb, data, import_row, &image, &mark_bytes, &mark);
    if (rv == HF_OK) rv = image_set_mark(&image, &mark.mark);
    buffer_close(&mark_bytes);
    if (rv != HF_OK) {
        image_clear(&image);
        return rv;
    }
    m->flushing = false;
    image_clear(&m->durable);
    m->durable = image;
    return store_memory_crash(s);
}

void store_memory_fail_flush(struct store *s, unsigned count_left, int status)
{
    HF_ASSERT(s->ops == &memory_ops);
    HF_ASSERT(status != HF_OK);
    memory_of(s)->fail_count = count_left;
    memory_of(s)->fail_status = status;
}

void store_memory_set_room(struct store *s, bool room)
{
    memory_of(s)->no_room = !room;
}
