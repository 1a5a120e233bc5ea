/* What every fuzz target has: libFuzzer's entry point, an arena and an output that live for the
 * whole run (so that a run is fast), and a copy of the input in memory of its exact size (so that
 * the sanitizer sees one byte too many). */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdlib.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

struct fuzz {
    struct arena arena; /**< empty at the start of an input */
    struct buffer out;  /**< likewise */
};

/** Called by libFuzzer for each input; borrowed. \return 0 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** The run's memory, emptied. */
static inline struct fuzz *fuzz_begin(void)
{
    enum { BYTES_MAX = 64 * 1024 * 1024 };
    static struct fuzz fuzz;
    if (fuzz.arena.data == NULL) {
        HF_ASSERT(arena_init(&fuzz.arena, BYTES_MAX) == HF_OK);
        buffer_init(&fuzz.out, BYTES_MAX);
    }
    arena_reset(&fuzz.arena);
    buffer_clear(&fuzz.out);
    return &fuzz;
}

/** A copy of `size` bytes, size >= 1; free() it. */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size);
    HF_ASSERT(copy != NULL);
    memcpy(copy, data, size);
    return copy;
}

#endif
