/* The names of one request, as numbers of locks: what a client asks for at once, in the order in
 * which it says them, which is by bytes. */
#ifndef TESTS_SIM_LOCK_NAMES_H
#define TESTS_SIM_LOCK_NAMES_H

#include <stdbool.h>
#include <stdint.h>

enum { SIM_NAMES_MAX = 4 }; /* of one request */

struct lock_names {
    uint32_t count;
    uint32_t items[SIM_NAMES_MAX];
};

/** Is this lock one of them? */
static inline bool lock_names_have(const struct lock_names *n, uint32_t lock)
{
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->items[i] == lock) return true;
    }
    return false;
}

/** Are they the same? */
static inline bool lock_names_equal(const struct lock_names *a, const struct lock_names *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++) same = a->items[i] == b->items[i];
    return same;
}

#endif
