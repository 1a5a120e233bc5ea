/* The store on disk: generations in memory over an LMDB environment (storage/store.h tells the
 * story). The directory holds data.mdb and lock.mdb and is used by one process at a time; the
 * server's own directory lock sees to that.
 *
 * LMDB checks nothing that it reads. Rows carry a hash each, so a wrong value is never handed out;
 * but a flipped bit in a page's structure can hide rows or crash the process. So
 * store_lmdb_open() walks the file itself first, without LMDB (storage/lmdb_check.h), unless it is
 * told not to. What rots under a running process is found row by row, by store_verify(), by the
 * comparison of digests between servers, or, at worst, as SIGBUS. */
#ifndef STORAGE_STORE_LMDB_H
#define STORAGE_STORE_LMDB_H

#include "storage/store.h"

enum store_lmdb_check {
    STORE_LMDB_CHECK_ALL = 0, /**< every page and row: about 1 s a gigabyte that is in memory */
    STORE_LMDB_CHECK_META,    /**< both meta pages and the way to their marks: a dozen pages */
};

struct store_lmdb_options {
    uint64_t map_bytes;      /**< the file's largest size; 0 = 64 GiB; costs address space only */
    uint64_t index_seed;     /**< random: keeps clients from crowding one hash slot */
    uint64_t rows_bytes_max; /**< store_has_room() while the rows take less; 0 = 3/4 of the map.
                                  A flush writes changed pages anew before it frees the old:
                                  what it needs for that lies above */
    enum store_lmdb_check check; /**< what to look at before the first read */
};

/** Make an empty store: a directory that appears under `path` by a rename, whole. Blocks.
 * \param path NUL-terminated; its parent exists. \param options borrowed; NULL = defaults.
 * \retval HF_EEXIST something is there already; HF_EDISKFULL, HF_EIO */
HF_MUST_USE
int store_lmdb_create(const char *path, const struct store_lmdb_options *options);

/** Open a store. Blocks; the calling thread becomes the loop's.
 * \param out Out: owned, store_close().
 * \retval HF_ENOTFOUND no such directory or no store in it; \retval HF_ECORRUPT it does not check
 * out: fetch an image from another server; \retval HF_EVERSION written by a later version;
 * \retval HF_EIO, HF_ENOMEM */
HF_MUST_USE
int store_lmdb_open(const char *path, const struct store_lmdb_options *options, struct store **out);

/** Make a store out of an image: beside `path` first, then moved there by a rename, over the store
 * that may be there and must be closed. A crash leaves the one or the other. Blocks; any thread.
 * \retval HF_ECORRUPT the image does not check out; HF_EVERSION, HF_EDISKFULL, HF_EIO, HF_ENOMEM,
 * or what source_cb answered: what was there is as it was */
HF_MUST_USE
int store_lmdb_import(const char *path, const struct store_lmdb_options *options,
                      store_source_cb source_cb, void *data);

#endif
