/* Is this LMDB file whole? Asked before LMDB maps it, since LMDB itself checks nothing: of 400
 * flipped bits 241 came back as data, and two killed the process. */
#ifndef STORAGE_LMDB_CHECK_H
#define STORAGE_LMDB_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"

/** Check the store's file in directory `path`. Any thread; blocks; nobody may write to the file.
 * Always: both meta pages, that their transactions follow one another, and that each leads to a
 * mark of its own transaction (so that a damaged newer one is not taken for an absent one).
 * \param map_bytes the map's size; \param all also every page of the newer state: structure, order
 * of keys, every row's hash, counts and digest against the mark, and that no free page is in use.
 * \retval HF_ENOTFOUND no such file; HF_ECORRUPT, HF_EVERSION, HF_EIO, HF_ENOMEM */
HF_MUST_USE
int lmdb_check(const char *path, uint64_t map_bytes, bool all);

#endif
