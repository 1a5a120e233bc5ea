/* The store on disk (storage/store_lmdb.h): point lookups, changes, checkpoints. Two generations
 * take turns: one is active, the other is flushing or waits empty. Counts and digest follow every
 * change and are frozen at a checkpoint, to be written with the rows they describe.
 * Failure modes: the first fault met on the loop's thread stays: every later change answers it. */
#include "storage/store_lmdb.h"

#include <stdlib.h>

#include "base/status.h"
#include "storage/hints.h"
#include "storage/lmdb_check.h"
#include "storage/lmdb_rows.h"
#include "storage/merge.h"
#include "storage/row.h"
#include "storage/store_lmdb_image.h"
#include "storage/store_ops.h"

/* What describes all rows; a savepoint keeps a copy. */
struct totals {
    uint64_t counts[STORE_TABLE_COUNT_MAX]; /**< rows by table */
    struct hash128 digest;                  /**< sum of the rows' hashes */
};

struct store_lmdb {
    struct store store;         /**< the interface; first */
    struct lmdb_rows rows;      /**< the lowest layer */
    struct generation turns[2]; /**< the two generations */
    struct layers layers;       /**< which is which */
    struct totals totals;       /**< of everything, now */
    struct totals saved;        /**< at the savepoint */
    struct mark_row frozen;     /**< of the flushing generation; its configuration is `pending` */
    struct store_mark mark;     /**< last one that is durable; its configuration is `current` */
    uint8_t *pending;           /**< owned; NULL = empty */
    uint8_t *current;           /**< owned; NULL = empty */
    uint64_t index_seed;        /**< of the generations' hash index */
    uint64_t rows_bytes_max;    /**< of the rows on disk: store_has_room() */
    uint64_t free_inside;       /**< of the file, as of the last flush */
    struct recent recent;       /**< last lookups on disk */
    struct dead_range dead[STORE_TABLE_COUNT_MAX]; /**< by table */
    int fault;                                     /**< first fault; HF_OK = none */
};

/* What a key has in the layers. */
struct view {
    struct gen_row *row;       /**< the active generation's row, in any state; NULL = none */
    uint64_t hash;             /**< of the key, for the index */
    bool found;                /**< value and value_hash are valid */
    bool covers;               /**< for a new active row: something below has the key */
    struct slice value;        /**< borrowed */
    struct hash128 value_hash; /**< row_hash() */
};

static struct store_lmdb *lmdb_of(struct store *s)
{
    return (struct store_lmdb *)(void *)s;
}

static const struct store_lmdb *lmdb_of_const(const struct store *s)
{
    return (const struct store_lmdb *)(const void *)s;
}

/* Keep the first fault; answers and weather pass. */
static int note(struct store_lmdb *l, int rv)
{
    if (rv != HF_OK && rv != HF_ENOTFOUND && l->fault == HF_OK) l->fault = rv;
    return rv;
}

static void view_value(struct view *v, struct slice value, struct hash128 hash)
{
    v->found = true;
    v->value = value;
    v->value_hash = hash;
}

static int look_on_disk(struct store_lmdb *l, uint8_t table, struct slice key, struct view *v)
{
    uint64_t version = l->layers.version;
    const struct recent_entry *e = recent_find(&l->recent, version, table, key, v->hash);
    if (e != NULL) {
        if (e->found) view_value(v, e->value, e->value_hash);
        return HF_OK;
    }
    struct lmdb_row row;
    int rv = lmdb_rows_get(&l->rows, table, key, &row);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    recent_learn(&l->recent, version, table, key, v->hash, rv == HF_OK ? &row : NULL);
    if (rv == HF_OK) view_value(v, row.value, row.hash);
    return HF_OK;
}

/* Look below the active generation. */
static int look_below(struct store_lmdb *l, uint8_t table, struct slice key, struct view *v)
{
    if (l->layers.flushing != NULL) {
        const struct gen_row *row = generation_find(l->layers.flushing, table, key, v->hash);
        if (row != NULL && row->state == GEN_VALUE) {
            view_value(v, gen_row_value(row), row->hash);
            return HF_OK;
        }
        if (row != NULL && (row->state == GEN_TOMBSTONE || !row->covers)) return HF_OK;
    }
    return look_on_disk(l, table, key, v);
}

/* Look a key up in all layers. \retval HF_OK seen, whether there is something or not; faults. */
static int look(struct store_lmdb *l, uint8_t table, struct slice key, struct view *v)
{
    HF_ASSERT(key.size >= 1);
    HF_ASSERT(l->layers.active != NULL);
    *v = (struct view){.hash = hash64(l->index_seed ^ table, key.data, key.size)};
    v->row = generation_find(l->layers.active, table, key, v->hash);
    if (v->row != NULL) {
        v->covers = v->row->covers;
        if (v->row->state == GEN_VALUE) {
            view_value(v, gen_row_value(v->row), v->row->hash);
            return HF_OK;
        }
        if (v->row->state == GEN_TOMBSTONE || !v->row->covers) return HF_OK;
    }
    int rv = look_below(l, table, key, v);
    if (v->row == NULL) v->covers = v->found;
    return note(l, rv);
}

static int get(struct store *s, uint8_t table, struct slice key, struct slice *value)
{
    struct view v;
    int rv = look(lmdb_of(s), table, key, &v);
    if (rv != HF_OK) return rv;
    if (!v.found) return HF_ENOTFOUND;
    *value = v.value;
    return HF_OK;
}

/* Take what a key had out of the totals. */
static void subtract(struct store_lmdb *l, uint8_t table, const struct view *v)
{
    if (!v->found) return;
    HF_ASSERT(l->totals.counts[table] >= 1);
    l->totals.counts[table] -= 1;
    l->totals.digest = digest_sub(l->totals.digest, v->value_hash);
}

static int put(struct store *s, uint8_t table, struct slice key, struct slice value)
{
    struct store_lmdb *l = lmdb_of(s);
    if (l->fault != HF_OK) return l->fault;
    struct view v;
    int rv = look(l, table, key, &v);
    if (rv != HF_OK) return rv;
    struct hash128 hash = row_hash(table, key, value);
    rv = generation_put(l->layers.active, v.row, table, key, v.hash, v.covers, value, hash);
    if (rv != HF_OK) return note(l, rv);
    if (!v.found) dead_range_put(&l->dead[table], key);
    subtract(l, table, &v);
    l->totals.counts[table] += 1;
    l->totals.digest = digest_add(l->totals.digest, hash);
    return HF_OK;
}

static int del(struct store *s, uint8_t table, struct slice key)
{
    struct store_lmdb *l = lmdb_of(s);
    if (l->fault != HF_OK) return l->fault;
    struct view v;
    int rv = look(l, table, key, &v);
    if (rv != HF_OK) return rv;
    if (!v.found) return HF_ENOTFOUND;
    rv = generation_del(l->layers.active, v.row, table, key, v.hash, v.covers);
    if (rv != HF_OK) return note(l, rv);
    subtract(l, table, &v);
    return HF_OK;
}

/* ------------------------------------------------------------------ cursors */

static int next(struct store_cursor *c, struct slice *key, struct slice *value)
{
    struct merge *m = (struct merge *)(uintptr_t)c->private[0];
    if (m == NULL) return HF_ENOTFOUND; /* the seek found nothing */
    return note(lmdb_of(c->store), merge_next(m, key, value));
}

static void cursor_close(struct store_cursor *c)
{
    struct merge *m = (struct merge *)(uintptr_t)c->private[0];
    if (m != NULL) merge_close(m);
    c->private[0] = 0;
}

static int seek(struct store *s, uint8_t table, struct slice from, struct store_cursor *c,
                struct slice *key, struct slice *value)
{
    HF_ASSERT(c->store == s);
    HF_ASSERT(c->private[0] == 0);
    struct store_lmdb *l = lmdb_of(s);
    struct dead_range *dead = &l->dead[table];
    struct slice start;
    if (!dead_range_start(dead, from, &start)) return HF_ENOTFOUND;
    struct merge *m;
    int rv = merge_open(&l->layers, table, start, &m);
    if (rv != HF_OK) return note(l, rv);
    c->private[0] = (uint64_t)(uintptr_t)m;
    rv = next(c, key, value);
    if ((rv == HF_OK || rv == HF_ENOTFOUND) && merge_passed_over(m) >= DEAD_ROWS_MIN) {
        dead_range_learn(dead, start, rv == HF_OK ? *key : slice_make(NULL, 0));
    }
    if (rv != HF_OK) cursor_close(c);
    return rv;
}

/* ------------------------------------------------------------------ savepoints */

static void savepoint(struct store *s)
{
    struct store_lmdb *l = lmdb_of(s);
    l->saved = l->totals;
    generation_savepoint(l->layers.active);
}

static int rollback(struct store *s)
{
    struct store_lmdb *l = lmdb_of(s);
    generation_rollback(l->layers.active);
    l->totals = l->saved;
    for (unsigned i = 0; i < STORE_TABLE_COUNT_MAX; i++)
        l->dead[i].known = false; /* rows are back */
    return l->fault;
}

static void release(struct store *s)
{
    generation_release(lmdb_of(s)->layers.active);
}

/* ------------------------------------------------------------------ what it holds */

static struct hash128 digest(const struct store *s)
{
    return lmdb_of_const(s)->totals.digest;
}

static uint64_t count(const struct store *s, uint8_t table)
{
    return lmdb_of_const(s)->totals.counts[table];
}

static uint64_t active_bytes(const struct store *s)
{
    return generation_bytes(lmdb_of_const(s)->layers.active);
}

static bool is_flushing(const struct store *s)
{
    return lmdb_of_const(s)->layers.flushing != NULL;
}

static bool has_room(const struct store *s)
{
    const struct store_lmdb *l = lmdb_of_const(s);
    return lmdb_rows_bytes(&l->rows) < l->rows_bytes_max;
}

static uint64_t free_inside(const struct store *s)
{
    return lmdb_of_const(s)->free_inside;
}

static const struct store_mark *last_mark(const struct store *s)
{
    return &lmdb_of_const(s)->mark;
}

/* ------------------------------------------------------------------ checkpoints */

static int copy_bytes(struct slice from, uint8_t **to)
{
    *to = NULL;
    if (from.size == 0) return HF_OK;
    *to = malloc(from.size);
    if (*to == NULL) return HF_ENOMEM;
    memcpy(*to, from.data, from.size);
    return HF_OK;
}

static int checkpoint(struct store *s, const struct store_mark *mark)
{
    struct store_lmdb *l = lmdb_of(s);
    HF_ASSERT(l->layers.flushing == NULL);
    HF_ASSERT(l->pending == NULL);
    if (l->fault != HF_OK) return l->fault;
    int rv = generation_order_all(l->layers.active);
    if (rv == HF_OK) rv = copy_bytes(mark->configuration, &l->pending);
    if (rv != HF_OK) return note(l, rv);
    l->frozen = (struct mark_row){.mark = *mark, .digest = l->totals.digest};
    l->frozen.mark.configuration.data = l->pending;
    memcpy(l->frozen.counts, l->totals.counts, sizeof l->frozen.counts);

    struct generation *other = l->layers.active == &l->turns[0] ? &l->turns[1] : &l->turns[0];
    HF_ASSERT(other->row_count == 0);
    l->layers.flushing = l->layers.active;
    l->layers.active = other;
    l->layers.version += 1;
    return HF_OK;
}

static int flush_run(struct store *s)
{
    struct store_lmdb *l = lmdb_of(s);
    HF_ASSERT(l->layers.flushing != NULL);
    return lmdb_rows_write(&l->rows, l->layers.flushing, &l->frozen);
}

static int flush_done(struct store *s)
{
    struct store_lmdb *l = lmdb_of(s);
    HF_ASSERT(l->frozen.sequence != 0); /* a flush was run */
    int rv = lmdb_rows_renew(&l->rows);
    if (rv != HF_OK) return note(l, rv);
    l->free_inside = lmdb_rows_free_bytes(&l->rows);
    generation_reset(l->layers.flushing);
    l->layers.flushing = NULL;
    l->layers.version += 1;
    free(l->current);
    l->current = l->pending;
    l->pending = NULL;
    l->mark = l->frozen.mark;
    l->frozen = (struct mark_row){0};
    return HF_OK;
}

/* Add up a table's rows. */
static int verify_table(struct store *s, uint8_t table, struct totals *sum)
{
    struct store_cursor c;
    struct slice key;
    struct slice value;
    int rv = store_seek(s, table, slice_make(NULL, 0), &c, &key, &value);
    while (rv == HF_OK) {
        sum->digest = digest_add(sum->digest, row_hash(table, key, value));
        sum->counts[table] += 1;
        rv = store_next(&c, &key, &value);
    }
    store_cursor_close(&c);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int verify(struct store *s)
{
    struct store_lmdb *l = lmdb_of(s);
    struct totals sum = {0};
    for (uint8_t table = 0; table < STORE_TABLE_COUNT_MAX; table++) {
        int rv = verify_table(s, table, &sum);
        if (rv != HF_OK) return rv;
    }
    bool equal = row_hash_equal(sum.digest, l->totals.digest) &&
                 memcmp(sum.counts, l->totals.counts, sizeof sum.counts) == 0;
    return note(l, equal ? HF_OK : HF_ECORRUPT);
}

static int export(struct store *s, store_sink_cb sink_cb, void *data, uint64_t *index)
{
    return store_lmdb_export_rows(&lmdb_of(s)->rows, sink_cb, data, index);
}

/* ------------------------------------------------------------------ open and close */

static void close_lmdb(struct store *s)
{
    struct store_lmdb *l = lmdb_of(s);
    layers_close(&l->layers);
    lmdb_rows_close(&l->rows);
    generation_close(&l->turns[0]);
    generation_close(&l->turns[1]);
    free(l->pending);
    free(l->current);
    free(l);
}

static const struct store_ops lmdb_ops = {
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
    .close = close_lmdb,
};

/* Take over what the file says it stands for. */
static int load_mark(struct store_lmdb *l)
{
    struct mark_row row;
    int rv = lmdb_rows_mark(&l->rows, &row);
    if (rv != HF_OK) return rv;
    rv = copy_bytes(row.mark.configuration, &l->current);
    if (rv != HF_OK) return rv;
    l->mark = row.mark;
    l->mark.configuration.data = l->current;
    l->totals.digest = row.digest;
    memcpy(l->totals.counts, row.counts, sizeof l->totals.counts);
    return HF_OK;
}

int store_lmdb_open(const char *path, const struct store_lmdb_options *options, struct store **out)
{
    HF_ASSERT(path != NULL && path[0] != '\0');
    bool all = options == NULL || options->check == STORE_LMDB_CHECK_ALL;
    int rv = lmdb_check(path, store_lmdb_map_bytes(options), all);
    if (rv != HF_OK) return rv;
    struct store_lmdb *l = calloc(1, sizeof *l);
    if (l == NULL) return HF_ENOMEM;
    l->store.ops = &lmdb_ops;
    l->index_seed = options == NULL ? 0 : options->index_seed;
    l->rows_bytes_max = store_lmdb_rows_bytes_max(options);
    l->layers.active = &l->turns[0];
    l->layers.rows = &l->rows;
    l->layers.version = 1;
    rv = lmdb_rows_open(&l->rows, path, store_lmdb_map_bytes(options));
    if (rv == HF_OK) rv = load_mark(l);
    if (rv != HF_OK) {
        close_lmdb(&l->store);
        return rv;
    }
    l->free_inside = lmdb_rows_free_bytes(&l->rows);
    l->store.magic = STORE_MAGIC;
    *out = &l->store;
    return HF_OK;
}
