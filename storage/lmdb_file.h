/* LMDB's file format (data version 1, as written by liblmdb 0.9.x on this machine), read with pread
 * and believed in nothing: pages, nodes and trees for storage/lmdb_check.c. A page is
 *   u64 number | u16 - | u16 flags | u16 lower, u16 upper | u16 node offsets...  ...nodes
 * (an overflow page: u32 count of pages instead of lower and upper), a node
 *   u16 low, u16 high | u16 flags | u16 key bytes | key | data
 * whose first three fields are data bytes and flags in a leaf, 48 bits of page number in a branch.
 * All integers are the machine's own. */
#ifndef STORAGE_LMDB_FILE_H
#define STORAGE_LMDB_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    LMDB_PAGE_HEAD_BYTES = 16,
    LMDB_NODE_HEAD_BYTES = 8,
    LMDB_PAGE_BYTES_MAX = 32 * 1024,
    LMDB_KEY_BYTES_MAX = 511,
    LMDB_DEPTH_MAX = 16,             /* 2^16 pages at the very least: no real tree is deeper */
    LMDB_VALUE_BYTES_MAX = 64 << 20, /* a list of free pages is the longest value there is */
};

#define LMDB_NO_PAGE UINT64_MAX /* the root of an empty tree */

/** A tree's description in a meta page. */
struct lmdb_tree {
    uint16_t flags;   /**< of the tree */
    uint16_t depth;   /**< levels; 0 = empty */
    uint64_t entries; /**< rows */
    uint64_t root;    /**< page number, LMDB_NO_PAGE = empty */
};

struct lmdb_meta {
    uint32_t page_bytes;         /**< of every page of the file */
    struct lmdb_tree free_pages; /**< transaction number -> list of page numbers */
    struct lmdb_tree rows;       /**< the main tree */
    uint64_t page_count;         /**< pages ever used: the last page's number + 1 */
    uint64_t txn;                /**< transaction that wrote it; 0 = creation */
};

/** An open file; the bitmap tells pages that were met twice. */
struct lmdb_file {
    int fd;              /**< owned by the caller */
    size_t page_bytes;   /**< from the meta page */
    uint64_t page_count; /**< no reference may reach it */
    uint8_t *seen;       /**< a bit a page, owned by the caller; NULL = do not look */
};

/** Called for every row, in order; borrowed. \return HF_OK to go on. */
typedef int (*lmdb_row_cb)(struct slice key, struct slice value, void *data);

/** Read exactly `bytes` bytes. \retval HF_ECORRUPT the file ends before; HF_EIO */
HF_MUST_USE
int lmdb_file_read(int fd, uint64_t offset, void *out, size_t bytes);

/** Take a meta page apart. \param page at least 152 bytes; \param number 0 or 1.
 * \retval HF_ECORRUPT not one of this format */
HF_MUST_USE
int lmdb_meta_decode(const uint8_t *page, unsigned number, struct lmdb_meta *out);

/** Note that a page is in use. \retval HF_ECORRUPT out of bounds, or it was already. */
HF_MUST_USE
int lmdb_file_claim(struct lmdb_file *f, uint64_t page);

/** Walk a whole tree: every page's structure, the order of all keys, every row.
 * \param is_integer keys are the machine's 8-byte integers, not bytes.
 * \retval HF_ECORRUPT, HF_EIO, HF_ENOMEM, or what row_cb answered */
HF_MUST_USE
int lmdb_file_walk(struct lmdb_file *f, const struct lmdb_tree *tree, bool is_integer,
                   lmdb_row_cb row_cb, void *data);

/** Call row_cb for the last row of a tree that is not empty, reading only the pages on the way.
 * Errors as lmdb_file_walk(). */
HF_MUST_USE
int lmdb_file_last(struct lmdb_file *f, const struct lmdb_tree *tree, lmdb_row_cb row_cb,
                   void *data);

#endif
