/* The check of storage/lmdb_check.h: what the trees of an LMDB file mean to the store. LMDB never
 * reuses the pages of the state before the newest, so both metas can be held against their marks
 * even after a crash in the middle of a write.
 * What it cannot see: a bit that LMDB itself never reads (padding, free pages), which is harmless,
 * and whatever rots after it looked. */
#include "storage/lmdb_check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "storage/lmdb_file.h"
#include "storage/mark_row.h"
#include "storage/row.h"

enum { META_BYTES = 152, INTEGER_KEY = 0x08 };

/* What the rows add up to. */
struct sum {
    struct hash128 digest;                  /**< of the rows met */
    uint64_t counts[STORE_TABLE_COUNT_MAX]; /**< rows met, by table */
    struct mark_row mark;                   /**< without its configuration */
    bool marked;                            /**< the mark was met */
};

static int take_mark(struct slice key, struct slice value, struct sum *sum)
{
    if (!slice_equal(key, mark_row_key())) return HF_ECORRUPT;
    int rv = mark_row_decode(value, &sum->mark);
    if (rv != HF_OK) return rv;
    sum->mark.mark.configuration = slice_make(NULL, 0); /* borrowed from a passing page */
    sum->marked = true;
    return HF_OK;
}

static int take_row(struct slice key, struct slice value, void *data)
{
    struct sum *sum = data;
    if (key.size < 2 || value.size < HASH128_BYTES) return HF_ECORRUPT;
    uint8_t table = key.data[0];
    struct slice rest = slice_make(key.data + 1, key.size - 1);
    if (table == MARK_ROW_TABLE) return take_mark(rest, value, sum);
    if (table >= STORE_TABLE_COUNT_MAX || rest.size > STORE_KEY_BYTES_MAX) return HF_ECORRUPT;
    struct slice bytes = slice_make(value.data + HASH128_BYTES, value.size - HASH128_BYTES);
    struct hash128 hash = row_hash(table, rest, bytes);
    if (!row_hash_equal(hash, row_hash_read(value.data))) return HF_ECORRUPT;
    sum->digest = digest_add(sum->digest, hash);
    sum->counts[table] += 1;
    return HF_OK;
}

/* A list of pages freed by a transaction: a count, then numbers, descending; room may be left. */
static int take_free(struct slice key, struct slice value, void *data)
{
    struct lmdb_file *f = data;
    (void)key; /* its size and order were checked */
    if (value.size < 8 || value.size % 8 != 0) return HF_ECORRUPT;
    uint64_t count;
    memcpy(&count, value.data, sizeof count);
    if (count > value.size / 8 - 1) return HF_ECORRUPT;
    uint64_t before = UINT64_MAX;
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page;
        memcpy(&page, value.data + i * 8, sizeof page);
        if (page >= before) return HF_ECORRUPT;
        int rv = lmdb_file_claim(f, page);
        if (rv != HF_OK) return rv;
        before = page;
    }
    return HF_OK;
}

/* ------------------------------------------------------------------ meta pages */

static int read_metas(int fd, struct lmdb_meta metas[2])
{
    uint8_t page[META_BYTES];
    int rv = lmdb_file_read(fd, 0, page, sizeof page);
    if (rv == HF_OK) rv = lmdb_meta_decode(page, 0, &metas[0]);
    if (rv != HF_OK) return rv;
    rv = lmdb_file_read(fd, metas[0].page_bytes, page, sizeof page);
    if (rv == HF_OK) rv = lmdb_meta_decode(page, 1, &metas[1]);
    if (rv != HF_OK) return rv;
    if (metas[0].page_bytes != metas[1].page_bytes) return HF_ECORRUPT;
    for (unsigned i = 0; i < 2; i++) {
        if (metas[i].rows.flags != 0) return HF_ECORRUPT;
        if (metas[i].free_pages.flags != INTEGER_KEY) return HF_ECORRUPT;
    }
    return HF_OK;
}

/* A meta page must lead to the mark of its own transaction. */
static int check_mark(int fd, const struct lmdb_meta *meta)
{
    if (meta->txn == 0) return meta->rows.root == LMDB_NO_PAGE ? HF_OK : HF_ECORRUPT;
    struct lmdb_file f = {.fd = fd, .page_bytes = meta->page_bytes, .page_count = meta->page_count};
    struct sum sum = {0};
    int rv = lmdb_file_last(&f, &meta->rows, take_row, &sum);
    if (rv != HF_OK) return rv;
    return sum.marked && sum.mark.sequence == meta->txn ? HF_OK : HF_ECORRUPT;
}

/* Check both, choose the newer. */
static int check_metas(int fd, uint64_t map_bytes, struct lmdb_meta *newest)
{
    struct lmdb_meta metas[2];
    struct stat st;
    if (fstat(fd, &st) != 0) return HF_EIO;
    int rv = read_metas(fd, metas);
    if (rv != HF_OK) return rv;
    unsigned newer = metas[1].txn > metas[0].txn;
    if (metas[newer].txn != metas[1 - newer].txn + 1) return HF_ECORRUPT;
    if (metas[newer].txn % 2 != newer) return HF_ECORRUPT;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t end = metas[i].page_count * metas[i].page_bytes;
        if (end > map_bytes && end > (uint64_t)st.st_size) return HF_ECORRUPT;
        rv = check_mark(fd, &metas[i]);
        if (rv != HF_OK) return rv;
    }
    *newest = metas[newer];
    return HF_OK;
}

/* ------------------------------------------------------------------ everything */

static int check_rows(struct lmdb_file *f, const struct lmdb_meta *meta)
{
    struct sum sum = {0};
    int rv = lmdb_file_walk(f, &meta->rows, false, take_row, &sum);
    if (rv != HF_OK) return rv;
    if (!sum.marked || sum.mark.sequence != meta->txn) return HF_ECORRUPT;
    if (!row_hash_equal(sum.digest, sum.mark.digest)) return HF_ECORRUPT;
    return memcmp(sum.counts, sum.mark.counts, sizeof sum.counts) == 0 ? HF_OK : HF_ECORRUPT;
}

static int check_pages(int fd, const struct lmdb_meta *meta)
{
    struct lmdb_file f = {.fd = fd, .page_bytes = meta->page_bytes, .page_count = meta->page_count};
    f.seen = calloc(1, meta->page_count / 8 + 1);
    if (f.seen == NULL) return HF_ENOMEM;
    int rv = check_rows(&f, meta);
    if (rv == HF_OK) rv = lmdb_file_walk(&f, &meta->free_pages, true, take_free, &f);
    free(f.seen);
    return rv;
}

int lmdb_check(const char *path, uint64_t map_bytes, bool all)
{
    char name[PATH_MAX];
    int size = snprintf(name, sizeof name, "%s/data.mdb", path);
    if (size < 0 || (size_t)size >= sizeof name) return HF_EINVAL;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return status_from_errno(errno);
    struct lmdb_meta newest;
    int rv = check_metas(fd, map_bytes, &newest);
    if (rv == HF_OK && all) rv = check_pages(fd, &newest);
    (void)close(fd);
    return rv;
}
