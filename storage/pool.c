/* The pool of storage/pool.h. A block is looked for in the list of its size, then cut off the
 * current chunk; what is left of a chunk when the next one starts is lost until the reset. */
#include "storage/pool.h"

#include <stdlib.h>

#include "base/assert.h"

struct pool_chunk {
    struct pool_chunk *next; /**< older */
    size_t bytes;            /**< usable, behind this head */
    uint8_t data[] __attribute__((aligned(16)));
};

struct pool_free {
    struct pool_free *next; /**< of the same size */
};

/* The class of a size, and the size of its blocks. */
static unsigned class_of(size_t bytes, size_t *block_bytes)
{
    HF_ASSERT(bytes >= 1);
    HF_ASSERT(bytes <= POOL_BLOCK_BYTES_MAX);
    if (bytes <= POOL_SMALL_BYTES_MAX) {
        unsigned steps = (unsigned)((bytes + POOL_STEP_BYTES - 1) / POOL_STEP_BYTES);
        *block_bytes = (size_t)steps * POOL_STEP_BYTES;
        return steps - 1;
    }
    unsigned class = POOL_SMALL_BYTES_MAX / POOL_STEP_BYTES;
    size_t size = (size_t)POOL_SMALL_BYTES_MAX * 2;
    while (size < bytes) {
        size *= 2;
        class += 1;
    }
    HF_ASSERT(class < POOL_CLASS_COUNT);
    *block_bytes = size;
    return class;
}

size_t pool_block_bytes(size_t bytes)
{
    size_t block_bytes;
    (void)class_of(bytes, &block_bytes);
    return block_bytes;
}

/* Start a chunk with room for `bytes`. */
static int start_chunk(struct pool *p, size_t bytes)
{
    struct pool_chunk *chunk = p->spare;
    if (chunk != NULL && chunk->bytes >= bytes) {
        p->spare = chunk->next;
        p->spare_bytes -= chunk->bytes;
    } else {
        chunk = malloc(sizeof *chunk + POOL_CHUNK_BYTES);
        if (chunk == NULL) return -1;
        chunk->bytes = POOL_CHUNK_BYTES;
    }
    chunk->next = p->used;
    p->used = chunk;
    p->cut = 0;
    return 0;
}

void *pool_take(struct pool *p, size_t bytes)
{
    size_t block_bytes;
    unsigned class = class_of(bytes, &block_bytes);
    struct pool_free *old = p->free[class];
    if (old != NULL) {
        p->free[class] = old->next;
        p->bytes += block_bytes;
        return old;
    }
    if (p->used == NULL || p->used->bytes - p->cut < block_bytes) {
        if (start_chunk(p, block_bytes) != 0) return NULL;
    }
    uint8_t *block = p->used->data + p->cut;
    p->cut += block_bytes;
    p->bytes += block_bytes;
    HF_ASSERT(p->cut <= p->used->bytes);
    return block;
}

void pool_give(struct pool *p, void *block, size_t bytes)
{
    HF_ASSERT(block != NULL);
    size_t block_bytes;
    unsigned class = class_of(bytes, &block_bytes);
    HF_ASSERT(p->bytes >= block_bytes);
    struct pool_free *item = block;
    item->next = p->free[class];
    p->free[class] = item;
    p->bytes -= block_bytes;
}

void pool_reset(struct pool *p)
{
    while (p->used != NULL) {
        struct pool_chunk *chunk = p->used;
        p->used = chunk->next;
        if (p->spare_bytes + chunk->bytes > POOL_KEPT_BYTES_MAX) {
            free(chunk);
            continue;
        }
        chunk->next = p->spare;
        p->spare = chunk;
        p->spare_bytes += chunk->bytes;
    }
    for (unsigned i = 0; i < POOL_CLASS_COUNT; i++) p->free[i] = NULL;
    p->cut = 0;
    p->bytes = 0;
}

void pool_close(struct pool *p)
{
    pool_reset(p);
    while (p->spare != NULL) {
        struct pool_chunk *chunk = p->spare;
        p->spare = chunk->next;
        free(chunk);
    }
    *p = (struct pool){0};
}
