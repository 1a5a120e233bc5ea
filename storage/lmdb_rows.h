/* The rows on disk: one LMDB environment, one tree, key = table byte + key, value = the row's
 * 16-byte hash + value. The loop's thread reads through one read transaction that stands at the
 * last finished flush; one other thread may write a generation meanwhile. LMDB runs in its default,
 * fully synced mode: without the syncs, acknowledged commits were lost in power cuts.
 * Every value that is handed out was checked against its hash. LMDB's own codes end here. */
#ifndef STORAGE_LMDB_ROWS_H
#define STORAGE_LMDB_ROWS_H

#include <lmdb.h>
#include <stdbool.h>

#include "storage/generation.h"
#include "storage/mark_row.h"

struct lmdb_rows {
    MDB_env *env;    /**< owned; NULL = closed */
    MDB_txn *reader; /**< owned; the loop's, at the last finished flush */
    MDB_dbi dbi;     /**< the one tree */
};

/** A row found on disk, borrowed until lmdb_rows_renew(). */
struct lmdb_row {
    uint8_t table;       /**< MARK_ROW_TABLE for the store's own */
    struct slice key;    /**< behind the table's byte */
    struct slice value;  /**< checked, behind the hash */
    struct hash128 hash; /**< row_hash() */
};

/** Translate LMDB's return code or an errno from it. */
HF_MUST_USE
int lmdb_status(int code);

/** Open, or make, the environment in directory `path`, which exists. \retval HF_ENOTFOUND,
 * HF_ECORRUPT, HF_EIO, HF_ENOMEM: nothing is owned. */
HF_MUST_USE
int lmdb_rows_open(struct lmdb_rows *r, const char *path, uint64_t map_bytes);

/** Close; a zeroed one is accepted. All cursors must be closed. */
void lmdb_rows_close(struct lmdb_rows *r);

/** Open a second reader on an open environment, standing at the newest transaction, for another
 * thread. \param view zeroed; borrows the environment, which must outlive it. Errors as
 * lmdb_rows_open(). \note pages are not reused while it is open. */
HF_MUST_USE
int lmdb_rows_open_view(struct lmdb_rows *view, const struct lmdb_rows *r);

/** End it; its cursors must be closed. */
void lmdb_rows_close_view(struct lmdb_rows *view);

/** The store's own row as the reader sees it; its configuration is borrowed until
 * lmdb_rows_renew(). \retval HF_ECORRUPT it is missing or does not check out; HF_EVERSION */
HF_MUST_USE
int lmdb_rows_mark(struct lmdb_rows *r, struct mark_row *mark);

/** Find a row. \retval HF_ENOTFOUND, HF_ECORRUPT, HF_EIO */
HF_MUST_USE
int lmdb_rows_get(struct lmdb_rows *r, uint8_t table, struct slice key, struct lmdb_row *row);

/** Place a cursor at (table, key) or behind it, in any table. \param cursor In, out: NULL is
 * opened; owned, mdb_cursor_close(). \param renew the reader was renewed since the cursor's last
 * use. \retval HF_ENOTFOUND, HF_ECORRUPT, HF_EIO, HF_ENOMEM */
HF_MUST_USE
int lmdb_rows_seek(struct lmdb_rows *r, MDB_cursor **cursor, bool renew, uint8_t table,
                   struct slice key, bool behind, struct lmdb_row *row);

/** The next row of a placed cursor. Errors as lmdb_rows_seek(). */
HF_MUST_USE
int lmdb_rows_next(MDB_cursor *cursor, struct lmdb_row *row);

/** Bytes of the pages that the rows take up, as the reader sees them. */
uint64_t lmdb_rows_bytes(const struct lmdb_rows *r);

/** Bytes of the file that no tree uses: written again before it grows, but for those that an older
 * view still sees. Not while lmdb_rows_write() runs. */
uint64_t lmdb_rows_free_bytes(const struct lmdb_rows *r);

/** Write a generation and the mark in one synced transaction; `mark`'s sequence is set here. Any
 * one thread. \retval HF_EDISKFULL nothing was written; HF_EIO, HF_ECORRUPT faults. */
HF_MUST_USE
int lmdb_rows_write(struct lmdb_rows *r, const struct generation *g, struct mark_row *mark);

/** Move the reader to the newest transaction. \retval HF_EIO */
HF_MUST_USE
int lmdb_rows_renew(struct lmdb_rows *r);

#endif
