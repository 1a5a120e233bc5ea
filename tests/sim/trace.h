/* What a simulation tells: a running digest over everything that happens, always; and with -v one
 * line an event:
 *
 *     true time, s | who | what | details
 *
 * Two runs of a seed that do the same have the same digest. */
#ifndef TESTS_SIM_TRACE_H
#define TESTS_SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

struct trace {
    uint64_t digest;  /* over all that was mixed in */
    uint64_t now_ns;  /* true time of the event under way */
    uint64_t from_ns; /* lines only from then on */
    bool verbose;     /* print lines */
};

/** Mix a number in. */
static inline void trace_mix(struct trace *t, uint64_t value)
{
    uint64_t x = (t->digest ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    t->digest = x ^ (x >> 29);
}

/** Mix bytes in. */
static inline void trace_mix_bytes(struct trace *t, const void *data, size_t bytes)
{
    trace_mix(t, hash64(bytes, data, bytes));
}

/** True if a line would be printed: ask before anything is computed for it. */
static inline bool trace_shows(const struct trace *t)
{
    return t->verbose && t->now_ns >= t->from_ns;
}

/** Print a line if it is wanted. \param who  "n1", "c3", "net". \param what  one word. */
void trace_line(const struct trace *t, char who, uint32_t number, const char *what,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
