/* What store_lmdb.c and store_lmdb_image.c, the two halves of the LMDB store, share. */
#ifndef STORAGE_STORE_LMDB_IMAGE_H
#define STORAGE_STORE_LMDB_IMAGE_H

#include "storage/lmdb_rows.h"
#include "storage/store_lmdb.h"

/** The map's size by options, which may be NULL. */
uint64_t store_lmdb_map_bytes(const struct store_lmdb_options *options);

/** What the rows may take, as options or defaults say. */
uint64_t store_lmdb_rows_bytes_max(const struct store_lmdb_options *options);

/** store_export() over an environment, with a reader of its own. */
HF_MUST_USE
int store_lmdb_export_rows(const struct lmdb_rows *rows, store_sink_cb sink_cb, void *data,
                           uint64_t *index);

#endif
