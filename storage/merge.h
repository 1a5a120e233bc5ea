/* A walk over the store's three layers at once: the active generation hides the flushing one, which
 * hides what is on disk. A walk goes on behind the key it last returned whatever happened to the
 * layers meanwhile: each layer's place is kept with the version it was found in, and found again
 * when that moved. Walks are taken from a list and go back to it: opening one is rarely an
 * allocation. */
#ifndef STORAGE_MERGE_H
#define STORAGE_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "storage/generation.h"
#include "storage/lmdb_rows.h"

struct merge; /* one walk */

struct layers {
    struct generation *active;   /**< borrowed; never NULL */
    struct generation *flushing; /**< borrowed; NULL = none */
    struct lmdb_rows *rows;      /**< borrowed */
    uint64_t version;    /**< moves when a generation changes its role or the reader moves */
    struct merge *idle;  /**< owned; closed walks, to be used again */
    unsigned open_count; /**< walks in use */
};

/** Begin a walk through a table. \param out Out: owned, merge_close(). \retval HF_ENOMEM */
HF_MUST_USE
int merge_open(struct layers *l, uint8_t table, struct slice from, struct merge **out);

/** The next row. \param key Out. \param value Out; both borrowed until the layers change.
 * \retval HF_ENOTFOUND the end; HF_ECORRUPT, HF_EIO, HF_ENOMEM */
HF_MUST_USE
int merge_next(struct merge *m, struct slice *key, struct slice *value);

/** Deleted rows that the last merge_next() passed over. */
unsigned merge_passed_over(const struct merge *m);

/** End a walk. */
void merge_close(struct merge *m);

/** Free the idle walks; none may be open. */
void layers_close(struct layers *l);

#endif
