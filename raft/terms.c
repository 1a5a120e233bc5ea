#include "raft/terms.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { FIRST_CAPACITY = 8 };

void terms_reset(struct terms *t, uint64_t next)
{
    HF_ASSERT(next >= 1);
    t->count = 0;
    t->next = next;
}

void terms_close(struct terms *t)
{
    free(t->runs);
    *t = (struct terms){0};
}

void terms_append(struct terms *t, uint64_t term)
{
    HF_ASSERT(term >= 1);
    HF_ASSERT(t->next >= 1);
    uint64_t last = t->count > 0 ? t->runs[t->count - 1].term : 0;
    if (term != last) {
        if (t->count == t->capacity) {
            t->capacity = t->capacity == 0 ? FIRST_CAPACITY : t->capacity * 2;
            struct terms_run *runs = realloc(t->runs, t->capacity * sizeof *runs);
            HF_ASSERT(runs != NULL);
            t->runs = runs;
        }
        t->runs[t->count++] = (struct terms_run){.first = t->next, .term = term};
    }
    t->next += 1;
}

void terms_truncate(struct terms *t, uint64_t index)
{
    HF_ASSERT(index >= 1);
    if (index >= t->next) return;
    while (t->count > 0 && t->runs[t->count - 1].first >= index) t->count -= 1;
    t->next = index;
}

/* The last run whose first entry is at or below `index`. */
static size_t find(const struct terms *t, uint64_t index)
{
    HF_ASSERT(t->count > 0 && t->runs[0].first <= index);
    size_t low = 0;
    size_t high = t->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (t->runs[middle].first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

void terms_cut(struct terms *t, uint64_t index)
{
    if (index <= terms_first(t)) return;
    if (index >= t->next) {
        t->count = 0;
        return;
    }
    size_t at = find(t, index);
    memmove(t->runs, t->runs + at, (t->count - at) * sizeof *t->runs);
    t->count -= at;
    t->runs[0].first = index;
}

uint64_t terms_at(const struct terms *t, uint64_t index)
{
    if (index >= t->next || index < terms_first(t)) return 0;
    return t->runs[find(t, index)].term;
}
