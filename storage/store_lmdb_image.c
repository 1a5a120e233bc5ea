/* Making, exporting and importing whole LMDB stores. An import writes transactions of a few
 * megabytes each, every one with a mark of index 0 that describes what is there so far; the image's
 * own mark comes with the last. Nothing is at its place before it is whole and synced
 * (storage/lmdb_dir.h). */
#include "storage/store_lmdb_image.h"

#include <unistd.h>

#include "base/status.h"
#include "storage/image.h"
#include "storage/lmdb_dir.h"
#include "storage/row.h"

#define MAP_BYTES_DEFAULT ((uint64_t)64 << 30)

enum { BATCH_BYTES = 8 * 1024 * 1024 };

uint64_t store_lmdb_map_bytes(const struct store_lmdb_options *options)
{
    return options == NULL || options->map_bytes == 0 ? MAP_BYTES_DEFAULT : options->map_bytes;
}

uint64_t store_lmdb_rows_bytes_max(const struct store_lmdb_options *options)
{
    bool told = options != NULL && options->rows_bytes_max != 0;
    return told ? options->rows_bytes_max : store_lmdb_map_bytes(options) / 4 * 3;
}

/* ------------------------------------------------------------------ making */

/* A store in the making. */
struct making {
    struct lmdb_rows rows;   /**< in the staging directory */
    struct generation batch; /**< rows for the next transaction */
    struct mark_row mark;    /**< describes what was written and what is in the batch */
    char staging[PATH_MAX];  /**< the directory's name */
};

static int making_start(struct making *m, const char *path, uint64_t map_bytes)
{
    int rv = lmdb_dir_stage(path, m->staging);
    if (rv != HF_OK) return rv;
    rv = lmdb_rows_open(&m->rows, m->staging, map_bytes);
    if (rv != HF_OK) return rv;
    return lmdb_rows_write(&m->rows, &m->batch, &m->mark); /* the file is never without a mark */
}

static int making_write(struct making *m)
{
    int rv = generation_order_all(&m->batch);
    if (rv == HF_OK) rv = lmdb_rows_write(&m->rows, &m->batch, &m->mark);
    generation_reset(&m->batch);
    return rv;
}

/* Close it and move it to its place, or away if it failed. \param rv how the making went. */
static int making_end(struct making *m, const char *path, int rv)
{
    lmdb_rows_close(&m->rows);
    generation_close(&m->batch);
    if (rv == HF_OK) return lmdb_dir_publish(m->staging, path);
    if (m->staging[0] != '\0') (void)!lmdb_dir_discard(m->staging); /* or the next making does */
    return rv;
}

int store_lmdb_create(const char *path, const struct store_lmdb_options *options)
{
    HF_ASSERT(path != NULL && path[0] != '\0');
    if (access(path, F_OK) == 0) return HF_EEXIST;
    struct making m = {0};
    return making_end(&m, path, making_start(&m, path, store_lmdb_map_bytes(options)));
}

/* ------------------------------------------------------------------ images */

static int export_row(const struct lmdb_row *row, store_sink_cb sink_cb, void *data)
{
    if (row->table >= STORE_TABLE_COUNT_MAX || row->key.size > STORE_KEY_BYTES_MAX) {
        return HF_ECORRUPT;
    }
    return image_write_row(row->table, row->key, row->value, sink_cb, data);
}

static int export_view(struct lmdb_rows *view, store_sink_cb sink_cb, void *data, uint64_t *index)
{
    HF_ASSERT(view->reader != NULL);
    struct mark_row mark;
    struct lmdb_row row;
    MDB_cursor *cursor = NULL;
    int rv = lmdb_rows_mark(view, &mark);
    if (rv != HF_OK) return rv;
    *index = mark.mark.index;
    mark.sequence = 0; /* this file's affair */
    rv = image_write_start(&mark, sink_cb, data);
    if (rv != HF_OK) return rv;
    rv = lmdb_rows_seek(view, &cursor, false, 0, slice_make(NULL, 0), false, &row);
    while (rv == HF_OK &&
           row.table != MARK_ROW_TABLE) { /* the last row, and its table's only one */
        rv = export_row(&row, sink_cb, data);
        if (rv == HF_OK) rv = lmdb_rows_next(cursor, &row);
    }
    if (cursor != NULL) mdb_cursor_close(cursor);
    if (rv == HF_ENOTFOUND) return HF_ECORRUPT; /* the mark was there a moment ago */
    return rv != HF_OK ? rv : image_write_end(sink_cb, data);
}

int store_lmdb_export_rows(const struct lmdb_rows *rows, store_sink_cb sink_cb, void *data,
                           uint64_t *index)
{
    HF_ASSERT(rows->env != NULL);
    HF_ASSERT(index != NULL);
    struct lmdb_rows view = {0};
    int rv = lmdb_rows_open_view(&view, rows);
    if (rv != HF_OK) return rv;
    rv = export_view(&view, sink_cb, data, index);
    lmdb_rows_close_view(&view);
    return rv;
}

static int import_row(uint8_t table, struct slice key, struct slice value, struct hash128 hash,
                      void *data)
{
    struct making *m = data;
    uint64_t key_hash = hash64(table, key.data, key.size);
    HF_ASSERT(generation_find(&m->batch, table, key, key_hash) == NULL); /* keys ascend */
    int rv = generation_put(&m->batch, NULL, table, key, key_hash, false, value, hash);
    if (rv != HF_OK) return rv;
    m->mark.counts[table] += 1;
    m->mark.digest = digest_add(m->mark.digest, hash);
    return generation_bytes(&m->batch) < BATCH_BYTES ? HF_OK : making_write(m);
}

int store_lmdb_import(const char *path, const struct store_lmdb_options *options,
                      store_source_cb source_cb, void *data)
{
    HF_ASSERT(path != NULL && path[0] != '\0');
    HF_ASSERT(source_cb != NULL);
    struct making m = {0};
    struct mark_row mark;
    struct buffer mark_bytes;
    buffer_init(&mark_bytes, MARK_ROW_BYTES_MAX);
    int rv = making_start(&m, path, store_lmdb_map_bytes(options));
    if (rv == HF_OK) rv = image_read(source_cb, data, import_row, &m, &mark_bytes, &mark);
    if (rv == HF_OK) {
        m.mark = mark; /* equal in counts and digest: image_read() saw to that */
        rv = making_write(&m);
    }
    buffer_close(&mark_bytes);
    return making_end(&m, path, rv);
}
