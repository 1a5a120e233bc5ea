/* Memory of one generation: small blocks cut from large chunks, all given back at once. Blocks that
 * are no longer needed before that (an overwritten value) go to a list of their size and are handed
 * out again. Nothing moves, so that borrowed bytes stay where they are.
 * Chunks survive a reset up to a bound: a store in use stops asking the C library for memory. */
#ifndef STORAGE_POOL_H
#define STORAGE_POOL_H

#include <stddef.h>
#include <stdint.h>

enum {
    POOL_CHUNK_BYTES = 1024 * 1024,
    POOL_KEPT_BYTES_MAX = 64 * 1024 * 1024, /* kept over a reset */
    POOL_STEP_BYTES = 16,                   /* blocks up to SMALL are multiples of it */
    POOL_SMALL_BYTES_MAX = 512,             /* above: powers of two */
    POOL_BLOCK_BYTES_MAX = 512 * 1024,
    POOL_CLASS_COUNT = POOL_SMALL_BYTES_MAX / POOL_STEP_BYTES + 10,
};

struct pool_chunk; /* a chunk's head */
struct pool_free;  /* a block on a list */

struct pool {
    struct pool_chunk *used;                  /**< owned; the first is being cut */
    struct pool_chunk *spare;                 /**< owned; empty, kept from before a reset */
    size_t spare_bytes;                       /**< bytes of all spare chunks */
    size_t cut;                               /**< bytes cut off the first used chunk */
    struct pool_free *free[POOL_CLASS_COUNT]; /**< blocks given back, by size */
    uint64_t bytes;                           /**< bytes handed out and not given back */
};

/** The size of the block that pool_take(bytes) would give: at least `bytes`. */
size_t pool_block_bytes(size_t bytes);

/** A block for `bytes` (1 to POOL_BLOCK_BYTES_MAX), aligned to 16. NULL: out of memory. */
void *pool_take(struct pool *p, size_t bytes);

/** Give a block back. \param bytes as it was asked for, or pool_block_bytes() of it. */
void pool_give(struct pool *p, void *block, size_t bytes);

/** Take everything back; keeps up to POOL_KEPT_BYTES_MAX of chunks. */
void pool_reset(struct pool *p);

/** Free everything; a zeroed one is accepted. */
void pool_close(struct pool *p);

#endif
