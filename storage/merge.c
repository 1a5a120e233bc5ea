/* The merged walk (storage/merge.h). Each layer's head is its first row behind the last key, in
 * whatever state; the smallest head decides, the uppermost layer among equals. Heads move on only
 * at the next step, and are rows, not values: what changes in place behind the last key is seen. */
#include "storage/merge.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"

enum { LAYER_ACTIVE, LAYER_FLUSHING, LAYER_COUNT };

/* A generation's place. */
struct head {
    const struct generation *generation; /**< NULL = the layer is empty */
    struct gen_position at;              /**< valid while `version` is the generation's */
    uint64_t version;                    /**< of the generation, when `at` was found */
};

/* A place between keys. */
struct place {
    bool behind;                      /**< behind `key`, not at it */
    size_t key_bytes;                 /**< bytes of `key` */
    uint8_t key[STORE_KEY_BYTES_MAX]; /**< a key, in the store or not */
};

struct merge {
    struct layers *layers; /**< borrowed */
    struct merge *next;    /**< in the list of idle ones */
    struct head heads[LAYER_COUNT];
    MDB_cursor *cursor;      /**< owned, kept while idle; NULL until first used */
    struct lmdb_row row;     /**< the cursor's row, if there is one in this table */
    uint64_t version;        /**< of the layers, when all was found; 0 = find again */
    uint64_t cursor_version; /**< of the layers, when the cursor was used last */
    uint8_t table;           /**< walked */
    bool on_disk;            /**< `row` is valid */
    unsigned passed_over;    /**< deleted rows that the last step met */
    struct place place;      /**< where the walk stands */
};

static void set_place(struct place *p, struct slice key, bool behind)
{
    HF_ASSERT(key.size <= sizeof p->key);
    p->behind = behind;
    p->key_bytes = key.size;
    if (key.size > 0) memcpy(p->key, key.data, key.size);
}

int merge_open(struct layers *l, uint8_t table, struct slice from, struct merge **out)
{
    HF_ASSERT(table < STORE_TABLE_COUNT_MAX);
    HF_ASSERT(from.size <= STORE_KEY_BYTES_MAX);
    struct merge *m = l->idle;
    if (m != NULL) {
        l->idle = m->next;
    } else {
        m = calloc(1, sizeof *m);
        if (m == NULL) return HF_ENOMEM;
        m->layers = l;
    }
    m->next = NULL;
    m->table = table;
    m->version = 0;
    set_place(&m->place, from, false);
    l->open_count += 1;
    *out = m;
    return HF_OK;
}

void merge_close(struct merge *m)
{
    struct layers *l = m->layers;
    HF_ASSERT(l->open_count >= 1);
    HF_ASSERT(m->next == NULL);
    l->open_count -= 1;
    m->next = l->idle;
    l->idle = m;
}

void layers_close(struct layers *l)
{
    HF_ASSERT(l->open_count == 0);
    while (l->idle != NULL) {
        struct merge *m = l->idle;
        l->idle = m->next;
        if (m->cursor != NULL) mdb_cursor_close(m->cursor);
        free(m);
    }
}

static struct slice place_of(const struct merge *m)
{
    return slice_make(m->place.key, m->place.key_bytes);
}

/* The head's row if it lies in our table. */
static const struct gen_row *row_of(const struct merge *m, const struct head *h)
{
    const struct gen_row *row = h->generation == NULL ? NULL : gen_row_at(h->at);
    return row != NULL && row->key[0] == m->table ? row : NULL;
}

/* \param g its order holds all rows of our table. */
static void find_head(const struct merge *m, struct head *h, const struct generation *g)
{
    h->generation = g;
    if (g == NULL) return;
    h->at = generation_seek(g, m->table, place_of(m), m->place.behind);
    h->version = g->version;
}

/* What the cursor found or did not find becomes our row. */
static int keep_row(struct merge *m, int rv)
{
    m->on_disk = rv == HF_OK && m->row.table == m->table;
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int find_row(struct merge *m)
{
    struct layers *l = m->layers;
    HF_ASSERT(l->version != 0);
    bool renew = m->cursor_version != l->version;
    int rv =
        lmdb_rows_seek(l->rows, &m->cursor, renew, m->table, place_of(m), m->place.behind, &m->row);
    m->cursor_version = l->version;
    return keep_row(m, rv);
}

/* Bring every head to the first row at or behind our place, the cheap way where it is possible. */
static int find_heads(struct merge *m)
{
    struct layers *l = m->layers;
    HF_ASSERT(l->active != NULL);
    int rv = generation_order(l->active, m->table);
    if (rv != HF_OK) return rv;
    if (m->version != l->version) {
        find_head(m, &m->heads[LAYER_ACTIVE], l->active);
        find_head(m, &m->heads[LAYER_FLUSHING], l->flushing);
        rv = find_row(m);
        if (rv != HF_OK) return rv;
        m->version = l->version;
        return HF_OK;
    }
    for (unsigned i = 0; i < LAYER_COUNT; i++) {
        struct head *h = &m->heads[i];
        if (h->generation == NULL) continue;
        if (h->version != h->generation->version) {
            find_head(m, h, h->generation);
            continue;
        }
        const struct gen_row *row = row_of(m, h);
        if (m->place.behind && row != NULL && slice_equal(gen_row_key(row), place_of(m))) {
            h->at = gen_position_next(h->at);
        }
    }
    if (m->place.behind && m->on_disk && slice_equal(m->row.key, place_of(m))) {
        return keep_row(m, lmdb_rows_next(m->cursor, &m->row));
    }
    return HF_OK;
}

/* The smallest key among the heads. \return false if there is none. */
static bool smallest(const struct merge *m, struct slice *key)
{
    bool found = m->on_disk;
    if (found) *key = m->row.key;
    for (unsigned i = 0; i < LAYER_COUNT; i++) {
        const struct gen_row *row = row_of(m, &m->heads[i]);
        if (row == NULL) continue;
        if (!found || slice_compare(gen_row_key(row), *key) < 0) *key = gen_row_key(row);
        found = true;
    }
    return found;
}

/* The value that `key` has in the layers, whose heads stand at it. \return false: none. */
static bool resolve(const struct merge *m, struct slice key, struct slice *value)
{
    for (unsigned i = 0; i < LAYER_COUNT; i++) {
        const struct gen_row *row = row_of(m, &m->heads[i]);
        if (row == NULL || !slice_equal(gen_row_key(row), key)) continue;
        if (row->state == GEN_TOMBSTONE) return false;
        if (row->state == GEN_VALUE) {
            *value = gen_row_value(row);
            return true;
        }
    }
    if (!m->on_disk || !slice_equal(m->row.key, key)) return false;
    *value = m->row.value;
    return true;
}

unsigned merge_passed_over(const struct merge *m)
{
    return m->passed_over;
}

int merge_next(struct merge *m, struct slice *key, struct slice *value)
{
    HF_ASSERT(m->next == NULL);
    struct place last; /* where the last row was, once something was passed over */
    m->passed_over = 0;
    for (;;) {
        struct slice found;
        int rv = find_heads(m);
        if (rv != HF_OK) return rv;
        if (!smallest(m, &found)) break;
        bool is_row = resolve(m, found, value);
        if (is_row) *key = found;
        if (!is_row) {
            if (m->passed_over == 0) last = m->place;
            m->passed_over += 1;
        }
        set_place(&m->place, found, true);
        if (is_row) return HF_OK;
    }
    if (m->passed_over > 0)
        m->place = last; /* what was passed over may come to life before the next call */
    m->version = 0;
    return HF_ENOTFOUND;
}
