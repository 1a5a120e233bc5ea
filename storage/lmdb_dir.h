/* The store's directory as a whole: a store is made beside its place, under the same name with
 * ".new" behind it, synced, and then moved there by one rename. What an interrupted making left
 * behind is removed by the next one. */
#ifndef STORAGE_LMDB_DIR_H
#define STORAGE_LMDB_DIR_H

#include <limits.h>

#include "base/assert.h"

/** Make the empty staging directory for `path`. \param staging Out: PATH_MAX bytes, its name.
 * \retval HF_EINVAL the name is too long; HF_EDISKFULL, HF_EIO */
HF_MUST_USE
int lmdb_dir_stage(const char *path, char *staging);

/** Remove a staging directory with what is in it; none is fine. \retval HF_EIO */
HF_MUST_USE
int lmdb_dir_discard(const char *staging);

/** Move a closed, synced store from its staging directory to `path`, over a closed store that may
 * be there. \retval HF_EIO one of the two is there, whole */
HF_MUST_USE
int lmdb_dir_publish(const char *staging, const char *path);

#endif
