/* The rows on disk (storage/lmdb_rows.h): the only file that calls LMDB's functions.
 * Failure modes: a full map or disk ends the write transaction before LMDB's meta page is touched,
 * so the flush can be repeated (HF_EDISKFULL); LMDB answers EIO to a short write, which is what a
 * disk gives that is just about to be full, so free space is asked then. Any other failure of a
 * write or a sync is HF_EIO, and the process must end, since what the kernel still holds of the
 * file is unknown. */
#include "storage/lmdb_rows.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "base/assert.h"
#include "base/status.h"
#include "storage/row.h"

enum {
    FULL_KEY_BYTES_MAX = STORE_KEY_BYTES_MAX + 1,
    READERS_MAX = 8,
    DISK_IS_FULL_BYTES = 1024 * 1024
};

int lmdb_status(int code)
{
    switch (code) {
    case MDB_SUCCESS: return HF_OK;
    case MDB_NOTFOUND: return HF_ENOTFOUND;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return HF_EDISKFULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID: return HF_ECORRUPT;
    case MDB_VERSION_MISMATCH: return HF_EVERSION;
    case ENOMEM: return HF_ENOMEM;
    default: return code > 0 ? status_from_errno(code) : HF_EIO;
    }
}

/* Room for a full key, and the key in it. */
struct full_key {
    MDB_val val;                       /**< points into `bytes` */
    uint8_t bytes[FULL_KEY_BYTES_MAX]; /**< table, key */
};

static MDB_val *full_key_set(struct full_key *k, uint8_t table, struct slice key)
{
    HF_ASSERT(key.size <= STORE_KEY_BYTES_MAX);
    k->bytes[0] = table;
    if (key.size > 0) memcpy(k->bytes + 1, key.data, key.size);
    k->val = (MDB_val){.mv_size = key.size + 1, .mv_data = k->bytes};
    return &k->val;
}

/* ------------------------------------------------------------------ opening */

static int open_env(const char *path, uint64_t map_bytes, MDB_env **out)
{
    MDB_env *env = NULL;
    int code = mdb_env_create(&env);
    if (code != 0) return lmdb_status(code);
    code = mdb_env_set_mapsize(env, map_bytes);
    if (code == 0) code = mdb_env_set_maxreaders(env, READERS_MAX);
    if (code == 0) code = mdb_env_open(env, path, MDB_NOTLS, 0600);
    if (code != 0) {
        mdb_env_close(env);
        return lmdb_status(code);
    }
    *out = env;
    return HF_OK;
}

static int open_reader(struct lmdb_rows *r)
{
    int code = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &r->reader);
    if (code != 0) {
        r->reader = NULL;
        return lmdb_status(code);
    }
    return lmdb_status(mdb_dbi_open(r->reader, NULL, 0, &r->dbi));
}

int lmdb_rows_open(struct lmdb_rows *r, const char *path, uint64_t map_bytes)
{
    HF_ASSERT(r->env == NULL);
    HF_ASSERT(map_bytes >= 64U * 1024);
    struct lmdb_rows rows = {0};
    int rv = open_env(path, map_bytes, &rows.env);
    if (rv != HF_OK) return rv;
    rv = open_reader(&rows);
    if (rv != HF_OK) {
        lmdb_rows_close(&rows);
        return rv;
    }
    *r = rows;
    return HF_OK;
}

void lmdb_rows_close(struct lmdb_rows *r)
{
    if (r->reader != NULL) mdb_txn_abort(r->reader);
    if (r->env != NULL) mdb_env_close(r->env);
    *r = (struct lmdb_rows){0};
}

int lmdb_rows_open_view(struct lmdb_rows *view, const struct lmdb_rows *r)
{
    HF_ASSERT(view->env == NULL);
    HF_ASSERT(r->env != NULL);
    MDB_txn *reader = NULL;
    int code = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &reader);
    if (code != 0) return lmdb_status(code);
    *view = (struct lmdb_rows){.env = r->env, .reader = reader, .dbi = r->dbi};
    return HF_OK;
}

void lmdb_rows_close_view(struct lmdb_rows *view)
{
    if (view->reader != NULL) mdb_txn_abort(view->reader);
    *view = (struct lmdb_rows){0};
}

/* ------------------------------------------------------------------ reading */

/* Take a row apart and check it. */
static int read_row(const MDB_val *key, const MDB_val *value, struct lmdb_row *row)
{
    if (key->mv_size < 2 || key->mv_size > FULL_KEY_BYTES_MAX) return HF_ECORRUPT;
    if (value->mv_size < HASH128_BYTES) return HF_ECORRUPT;
    const uint8_t *key_data = key->mv_data;
    const uint8_t *value_data = value->mv_data;
    struct lmdb_row out = {
        .table = key_data[0],
        .key = slice_make(key_data + 1, key->mv_size - 1),
        .value = slice_make(value_data + HASH128_BYTES, value->mv_size - HASH128_BYTES),
        .hash = row_hash_read(value_data)};
    if (!row_hash_equal(out.hash, row_hash(out.table, out.key, out.value))) return HF_ECORRUPT;
    *row = out;
    return HF_OK;
}

int lmdb_rows_get(struct lmdb_rows *r, uint8_t table, struct slice key, struct lmdb_row *row)
{
    HF_ASSERT(r->reader != NULL);
    HF_ASSERT(key.size >= 1);
    struct full_key full;
    MDB_val value;
    int code = mdb_get(r->reader, r->dbi, full_key_set(&full, table, key), &value);
    if (code != 0) return lmdb_status(code);
    return read_row(&full.val, &value, row);
}

int lmdb_rows_mark(struct lmdb_rows *r, struct mark_row *mark)
{
    struct full_key full;
    MDB_val value;
    MDB_val *key = full_key_set(&full, MARK_ROW_TABLE, mark_row_key());
    int code = mdb_get(r->reader, r->dbi, key, &value);
    if (code == MDB_NOTFOUND) return HF_ECORRUPT; /* creation writes one */
    if (code != 0) return lmdb_status(code);
    return mark_row_decode(slice_make(value.mv_data, value.mv_size), mark);
}

int lmdb_rows_seek(struct lmdb_rows *r, MDB_cursor **cursor, bool renew, uint8_t table,
                   struct slice key, bool behind, struct lmdb_row *row)
{
    HF_ASSERT(r->reader != NULL);
    HF_ASSERT(!behind || key.size >= 1);
    int code = 0;
    if (*cursor == NULL) {
        code = mdb_cursor_open(r->reader, r->dbi, cursor);
    } else if (renew) {
        code = mdb_cursor_renew(r->reader, *cursor);
    }
    if (code != 0) return lmdb_status(code);

    struct full_key from;
    MDB_val value;
    MDB_val found = *full_key_set(&from, table, key);
    code = mdb_cursor_get(*cursor, &found, &value, MDB_SET_RANGE);
    if (code == 0 && behind && found.mv_size == from.val.mv_size &&
        memcmp(found.mv_data, from.bytes, found.mv_size) == 0) {
        code = mdb_cursor_get(*cursor, &found, &value, MDB_NEXT);
    }
    if (code != 0) return lmdb_status(code);
    return read_row(&found, &value, row);
}

int lmdb_rows_next(MDB_cursor *cursor, struct lmdb_row *row)
{
    HF_ASSERT(cursor != NULL);
    MDB_val key;
    MDB_val value;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    if (code != 0) return lmdb_status(code);
    return read_row(&key, &value, row);
}

int lmdb_rows_renew(struct lmdb_rows *r)
{
    HF_ASSERT(r->reader != NULL);
    mdb_txn_reset(r->reader);
    return lmdb_status(mdb_txn_renew(r->reader));
}

/* Pages of the rows, or of the tree that lists free pages, and their size. */
static uint64_t pages_of(const struct lmdb_rows *r, MDB_dbi dbi, uint64_t *page_bytes)
{
    MDB_stat stat;
    int code = mdb_stat(r->reader, dbi, &stat);
    HF_ASSERT(code == 0); /* it copies numbers of an open reader */
    *page_bytes = stat.ms_psize;
    return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

uint64_t lmdb_rows_bytes(const struct lmdb_rows *r)
{
    uint64_t page_bytes;
    uint64_t pages = pages_of(r, r->dbi, &page_bytes);
    return pages * page_bytes;
}

uint64_t lmdb_rows_free_bytes(const struct lmdb_rows *r)
{
    enum { FREE_DBI = 0, META_PAGES = 2 };
    MDB_envinfo info;
    uint64_t page_bytes;
    int code = mdb_env_info(r->env, &info);
    HF_ASSERT(code == 0); /* likewise */
    uint64_t used = META_PAGES + pages_of(r, FREE_DBI, &page_bytes);
    used += pages_of(r, r->dbi, &page_bytes);
    uint64_t all = info.me_last_pgno + 1;
    return all > used ? (all - used) * page_bytes : 0;
}

/* ------------------------------------------------------------------ writing */

static int write_value(MDB_cursor *cursor, MDB_val *key, const struct gen_row *row)
{
    MDB_val value = {.mv_size = HASH128_BYTES + row->value_bytes, .mv_data = NULL};
    int code = mdb_cursor_put(cursor, key, &value, MDB_RESERVE);
    if (code != 0) return code;
    uint8_t *out = value.mv_data;
    put_hash128(out, row->hash);
    if (row->value_bytes > 0) memcpy(out + HASH128_BYTES, row->value, row->value_bytes);
    return 0;
}

static int write_tombstone(MDB_cursor *cursor, MDB_val *key)
{
    MDB_val value;
    int code = mdb_cursor_get(cursor, key, &value, MDB_SET);
    if (code != 0) return code == MDB_NOTFOUND ? MDB_CORRUPTED : code; /* it covered a row */
    return mdb_cursor_del(cursor, 0);
}

static int write_rows(MDB_cursor *cursor, const struct generation *g)
{
    struct gen_position p = generation_seek(g, 0, slice_make(NULL, 0), false);
    for (struct gen_row *row = gen_row_at(p); row != NULL; row = gen_row_at(p)) {
        HF_ASSERT(row->key_bytes >= 2 && row->key_bytes <= FULL_KEY_BYTES_MAX);
        HF_ASSERT(row->state != GEN_TOMBSTONE || row->covers);
        MDB_val key = {.mv_size = row->key_bytes, .mv_data = row->key};
        int code = 0;
        if (row->state == GEN_VALUE) code = write_value(cursor, &key, row);
        if (row->state == GEN_TOMBSTONE) code = write_tombstone(cursor, &key);
        if (code != 0) return code;
        p = gen_position_next(p);
    }
    return 0;
}

/* Everything but the commit. */
static int write_all(MDB_txn *txn, MDB_dbi dbi, const struct generation *g, struct slice mark)
{
    MDB_cursor *cursor = NULL;
    int code = mdb_cursor_open(txn, dbi, &cursor);
    if (code != 0) return code;
    code = write_rows(cursor, g);
    mdb_cursor_close(cursor);
    if (code != 0) return code;
    struct full_key full;
    MDB_val value = {.mv_size = mark.size, .mv_data = (void *)(uintptr_t)mark.data};
    return mdb_put(txn, dbi, full_key_set(&full, MARK_ROW_TABLE, mark_row_key()), &value, 0);
}

/* Was it a full disk that made the commit fail? Sound even if it was not: nothing was committed, a
 * repetition writes every page anew, and LMDB refuses it (MDB_PANIC) if its meta page is in doubt.
 */
static int status_of_commit(MDB_env *env, int code)
{
    int fd = -1;
    struct statvfs fs;
    if (code != EIO || mdb_env_get_fd(env, &fd) != 0 || fstatvfs(fd, &fs) != 0) {
        return lmdb_status(code);
    }
    bool is_full = (uint64_t)fs.f_bavail * fs.f_frsize < DISK_IS_FULL_BYTES;
    return is_full ? HF_EDISKFULL : HF_EIO;
}

int lmdb_rows_write(struct lmdb_rows *r, const struct generation *g, struct mark_row *mark)
{
    HF_ASSERT(r->env != NULL);
    HF_ASSERT(!g->in_savepoint);
    struct buffer encoded;
    buffer_init(&encoded, MARK_ROW_BYTES_MAX);
    MDB_txn *txn = NULL;
    int rv = lmdb_status(mdb_txn_begin(r->env, NULL, 0, &txn));
    if (rv != HF_OK) goto out;
    mark->sequence = mdb_txn_id(txn);
    rv = mark_row_encode(mark, &encoded);
    if (rv == HF_OK) rv = lmdb_status(write_all(txn, r->dbi, g, buffer_slice(&encoded)));
    if (rv != HF_OK) {
        mdb_txn_abort(txn);
        goto out;
    }
    rv = status_of_commit(r->env, mdb_txn_commit(txn)); /* frees it, whatever it answers */
out:
    buffer_close(&encoded);
    return rv;
}
