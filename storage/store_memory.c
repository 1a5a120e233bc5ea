/* The store in memory (storage/store_memory.h). One ordered table is what readers see. Each change
 * since the last flush is kept, oldest first, with the row that it displaced: going back through
 * them leads to the savepoint, or to the flushed state that a crash leaves; a flush that is done
 * forgets those in front of its checkpoint. Failure modes: memory alone. */
#include "storage/store_memory.h"

#include <stdlib.h>

#include "base/status.h"
#include "storage/image.h"
#include "storage/row.h"
#include "storage/store_ops.h"
#include "storage/treap.h"

/* What a whole state sums up to, and stands for. */
struct summary {
    uint64_t counts[STORE_TABLE_COUNT_MAX]; /**< rows by table */
    struct hash128 digest;                  /**< sum of the rows' hashes */
    struct store_mark mark;                 /**< its configuration lies in `configuration` */
    uint8_t *configuration;                 /**< owned; NULL = empty */
};

/* One of the two rows is there. Their key is the change's: a row that came is in the table, or was
 * displaced by a later change, which is never forgotten before this one. */
struct change {
    struct treap_row *old;   /**< the row that went, owned; NULL = there was none */
    struct treap_row *fresh; /**< the row that came, borrowed; NULL = there is none */
};

struct store_memory {
    struct store store;     /**< the interface; first */
    struct treap rows;      /**< what readers see */
    struct summary live;    /**< of it; its mark is the last one reported done */
    struct summary frozen;  /**< of the flushing generation, valid while `flushing` */
    struct summary durable; /**< what a crash goes back to, if no flushed generation is newer */
    struct change *changes; /**< owned; all since `durable`, oldest first */
    size_t change_count;    /**< of them */
    size_t change_places;   /**< allocated */
    size_t frozen_count;    /**< changes that `frozen` has; 0 unless flushing */
    size_t savepoint_count; /**< changes that the savepoint keeps */
    uint64_t active_bytes;  /**< keys and values written since the last checkpoint */
    bool flushing;          /**< between checkpoint and flush_done */
    bool flushed;           /**< flush_run() wrote `frozen` */
    unsigned fail_count;    /**< flushes that are still to fail */
    int fail_status;        /**< and with what */
    bool no_room;           /**< store_has_room() is false */
    uint64_t free_inside;   /**< store_free_inside() */
};

enum { CHANGES_LEAST = 64 };

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

static void summary_clear(struct summary *u)
{
    free(u->configuration);
    *u = (struct summary){0};
}

static int summary_set_mark(struct summary *u, const struct store_mark *mark)
{
    size_t size = mark->configuration.size;
    uint8_t *copy = NULL;
    if (size > 0) {
        copy = malloc(size);
        if (copy == NULL) return HF_ENOMEM;
        memcpy(copy, mark->configuration.data, size);
    }
    free(u->configuration);
    u->configuration = copy;
    u->mark = *mark;
    u->mark.configuration = slice_make(copy, size);
    return HF_OK;
}

/* Counts and digest alone. */
static void summary_add(struct summary *u, const struct treap_row *row)
{
    u->counts[row->table] += 1;
    u->digest = digest_add(u->digest, row->hash);
}

static void summary_sub(struct summary *u, const struct treap_row *row)
{
    HF_ASSERT(u->counts[row->table] >= 1);
    u->counts[row->table] -= 1;
    u->digest = digest_sub(u->digest, row->hash);
}

static int get(struct store *s, uint8_t table, struct slice key, struct slice *value)
{
    const struct treap_row *row = treap_find(&memory_of(s)->rows, table, key);
    if (row == NULL) return HF_ENOTFOUND;
    *value = treap_value(row);
    return HF_OK;
}

/* Put `row` (given; NULL = none) in the place of what is under the key; returns what was there. */
static struct treap_row *displace(struct store_memory *m, uint8_t table, struct slice key,
                                  struct treap_row *row)
{
    struct treap_row *old =
        row != NULL ? treap_insert(&m->rows, row) : treap_remove(&m->rows, table, key);
    if (old != NULL) summary_sub(&m->live, old);
    if (row != NULL) summary_add(&m->live, row);
    return old;
}

/* A put (row given) or a del (row NULL), remembered. */
static int change(struct store_memory *m, uint8_t table, struct slice key, struct treap_row *row)
{
    if (m->change_count == m->change_places) {
        size_t places = m->change_places == 0 ? CHANGES_LEAST : m->change_places * 2;
        struct change *changes = realloc(m->changes, places * sizeof *changes);
        if (changes == NULL) return HF_ENOMEM;
        m->changes = changes;
        m->change_places = places;
    }
    m->active_bytes += key.size + (row != NULL ? row->value_bytes : 0U);
    struct treap_row *old = displace(m, table, key, row);
    m->changes[m->change_count++] = (struct change){.old = old, .fresh = row};
    return HF_OK;
}

/* Take back all changes but the first `count`. */
static void go_back(struct store_memory *m, size_t count)
{
    while (m->change_count > count) {
        struct change c = m->changes[--m->change_count];
        const struct treap_row *of = c.old != NULL ? c.old : c.fresh;
        struct treap_row *fresh = displace(m, of->table, treap_key(of), c.old);
        HF_ASSERT(fresh == c.fresh);
        treap_row_free(fresh);
    }
}

/* Nobody will go back behind the first `count` changes. */
static void forget(struct store_memory *m, size_t count)
{
    for (size_t i = 0; i < count; i++) treap_row_free(m->changes[i].old);
    m->change_count -= count;
    if (m->change_count > 0)
        memmove(m->changes, m->changes + count, m->change_count * sizeof *m->changes);
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
    if (treap_find(&m->rows, table, key) == NULL) return HF_ENOTFOUND;
    return change(m, table, key, NULL);
}

/* Return the first row at or behind a key, and remember where we are. */
static int step(struct store_cursor *c, struct slice from, bool behind, struct slice *key,
                struct slice *value)
{
    struct store_memory *m = memory_of(c->store);
    struct treap_row *row = treap_from(&m->rows, c->table, from, behind);
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
    struct store_memory *m = memory_of(s);
    m->savepoint_count = m->change_count;
}

static int rollback(struct store *s)
{
    struct store_memory *m = memory_of(s);
    go_back(m, m->savepoint_count);
    return HF_OK;
}

static void release(struct store *s)
{
    (void)s; /* the changes stay, for a crash */
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

static uint64_t free_inside(const struct store *s)
{
    return memory_of_const(s)->free_inside;
}

static const struct store_mark *last_mark(const struct store *s)
{
    return &memory_of_const(s)->live.mark;
}

static int checkpoint(struct store *s, const struct store_mark *mark)
{
    struct store_memory *m = memory_of(s);
    HF_ASSERT(!m->flushing);
    int rv = summary_set_mark(&m->frozen, mark);
    if (rv != HF_OK) return rv;
    memcpy(m->frozen.counts, m->live.counts, sizeof m->frozen.counts);
    m->frozen.digest = m->live.digest;
    m->frozen_count = m->change_count;
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
    int rv = summary_set_mark(&m->live, &m->frozen.mark);
    if (rv != HF_OK) return rv;
    forget(m, m->frozen_count);
    m->frozen_count = 0;
    summary_clear(&m->durable);
    m->durable = m->frozen;
    m->frozen = (struct summary){0};
    m->flushing = false;
    m->flushed = false;
    return HF_OK;
}

static int verify(struct store *s)
{
    const struct store_memory *m = memory_of(s);
    struct hash128 sum = {0, 0};
    uint64_t counts[STORE_TABLE_COUNT_MAX] = {0};
    struct treap_row *row = treap_from(&m->rows, 0, slice_make(NULL, 0), false);
    while (row != NULL) {
        struct hash128 hash = row_hash(row->table, treap_key(row), treap_value(row));
        if (!row_hash_equal(hash, row->hash)) return HF_ECORRUPT;
        sum = digest_add(sum, hash);
        counts[row->table] += 1;
        row = treap_from(&m->rows, row->table, treap_key(row), true);
    }
    if (memcmp(counts, m->live.counts, sizeof counts) != 0) return HF_ECORRUPT;
    return row_hash_equal(sum, m->live.digest) ? HF_OK : HF_ECORRUPT;
}

/* Fill `to` with the rows as they were after the first `count` changes. On failure what is there
 * is the caller's to free. */
static int rows_at(const struct store_memory *m, size_t count, struct treap *to)
{
    int rv = treap_copy(to, &m->rows);
    for (size_t i = m->change_count; rv == HF_OK && i-- > count;) {
        const struct treap_row *old = m->changes[i].old;
        const struct treap_row *of = old != NULL ? old : m->changes[i].fresh;
        struct treap_row *row = NULL;
        if (old != NULL) row = treap_row_new(old->table, treap_key(old), treap_value(old));
        if (old != NULL && row == NULL) return HF_ENOMEM;
        treap_row_free(row != NULL ? treap_insert(to, row)
                                   : treap_remove(to, of->table, treap_key(of)));
    }
    return rv;
}

static int write_image(const struct summary *u, const struct treap *rows, store_sink_cb sink_cb,
                       void *data)
{
    struct mark_row mark = {.mark = u->mark, .digest = u->digest};
    memcpy(mark.counts, u->counts, sizeof mark.counts);
    int rv = image_write_start(&mark, sink_cb, data);
    if (rv != HF_OK) return rv;
    const struct treap_row *row = treap_from(rows, 0, slice_make(NULL, 0), false);
    while (row != NULL) {
        rv = image_write_row(row->table, treap_key(row), treap_value(row), sink_cb, data);
        if (rv != HF_OK) return rv;
        row = treap_from(rows, row->table, treap_key(row), true);
    }
    return image_write_end(sink_cb, data);
}

/* The newest flushed state: what a crash would go back to. */
static int export(struct store *s, store_sink_cb sink_cb, void *data, uint64_t *index)
{
    const struct store_memory *m = memory_of(s);
    bool newer = m->flushing && m->flushed;
    const struct summary *from = newer ? &m->frozen : &m->durable;
    struct treap rows = {NULL};
    int rv = rows_at(m, newer ? m->frozen_count : 0, &rows);
    if (rv == HF_OK) rv = write_image(from, &rows, sink_cb, data);
    treap_clear(&rows);
    *index = from->mark.index;
    return rv;
}

/* Where an import lands. */
struct landing {
    struct treap rows;
    struct summary summary;
};

static int import_row(uint8_t table, struct slice key, struct slice value, struct hash128 hash,
                      void *data)
{
    struct landing *to = data;
    struct treap_row *row = treap_row_new(table, key, value);
    if (row == NULL) return HF_ENOMEM;
    HF_ASSERT(row_hash_equal(row->hash, hash));
    treap_row_free(treap_insert(&to->rows, row));
    summary_add(&to->summary, row);
    return HF_OK;
}

static void close_memory(struct store *s)
{
    struct store_memory *m = memory_of(s);
    forget(m, m->change_count);
    free(m->changes);
    treap_clear(&m->rows);
    summary_clear(&m->live);
    summary_clear(&m->frozen);
    summary_clear(&m->durable);
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
    .free_inside = free_inside,
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
    s->in_savepoint = false;
    go_back(m, 0);
    HF_ASSERT(row_hash_equal(m->live.digest, m->durable.digest));
    summary_clear(&m->frozen);
    m->frozen_count = 0;
    m->flushing = false;
    m->active_bytes = 0;
    return summary_set_mark(&m->live, &m->durable.mark);
}

/* Read an image into an empty landing. */
static int land(store_source_cb source_cb, void *data, struct landing *to)
{
    struct mark_row mark;
    struct buffer mark_bytes;
    buffer_init(&mark_bytes, MARK_ROW_BYTES_MAX);
    int rv = image_read(source_cb, data, import_row, to, &mark_bytes, &mark);
    if (rv == HF_OK) rv = summary_set_mark(&to->summary, &mark.mark);
    buffer_close(&mark_bytes);
    return rv;
}

int store_memory_import(struct store *s, store_source_cb source_cb, void *data)
{
    HF_ASSERT(s->magic == STORE_MAGIC);
    HF_ASSERT(s->ops == &memory_ops);
    struct store_memory *m = memory_of(s);
    struct landing to = {{NULL}, {{0}, {0, 0}, {0}, NULL}};
    int rv = land(source_cb, data, &to);
    if (rv != HF_OK) {
        treap_clear(&to.rows);
        summary_clear(&to.summary);
        return rv;
    }
    forget(m, m->change_count);
    treap_clear(&m->rows);
    m->rows = to.rows;
    summary_clear(&m->durable);
    m->durable = to.summary;
    memcpy(m->live.counts, to.summary.counts, sizeof m->live.counts);
    m->live.digest = to.summary.digest;
    m->flushed = false;
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

void store_memory_set_free_inside(struct store *s, uint64_t bytes)
{
    memory_of(s)->free_inside = bytes;
}
