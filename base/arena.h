/* A bump arena: memory for the length of one request or one entry, given back all at once.
 * Bounded at init; a full arena is HF_ENOMEM, never a crash. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

struct arena {
    uint8_t *data;   /**< owned, `capacity` bytes */
    size_t size;     /**< bytes handed out since the last reset */
    size_t capacity; /**< bytes, fixed at init */
};

/** Allocate the arena's memory. \retval HF_ENOMEM nothing is owned. */
HF_MUST_USE
int arena_init(struct arena *a, size_t capacity);

/** Free it; a zeroed one is accepted. */
void arena_close(struct arena *a);

/** `bytes` bytes aligned to 16, borrowed until arena_reset() or
 * arena_rewind() behind it; NULL if it does not fit. */
void *arena_take(struct arena *a, size_t bytes);

/** Take back what was taken since `size` was what it then was; 0 = everything. Under
 * AddressSanitizer a use of it afterwards is reported. */
void arena_rewind(struct arena *a, size_t size);

/** Take everything back. */
static inline void arena_reset(struct arena *a)
{
    arena_rewind(a, 0);
}

#endif
