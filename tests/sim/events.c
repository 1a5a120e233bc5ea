/* See the header. */
#include "tests/sim/events.h"

#include <stdlib.h>

#include "base/assert.h"

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void events_push(struct events *e, struct event event)
{
    if (e->count == e->capacity) {
        e->capacity = e->capacity == 0 ? 256 : e->capacity * 2;
        e->heap = realloc(e->heap, e->capacity * sizeof *e->heap);
        HF_ASSERT(e->heap != NULL);
    }
    event.order = ++e->order;
    size_t at = e->count++;
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!is_before(&event, &e->heap[parent])) break;
        e->heap[at] = e->heap[parent];
        at = parent;
    }
    e->heap[at] = event;
}

bool events_pop(struct events *e, struct event *event)
{
    if (e->count == 0) return false;
    *event = e->heap[0];
    struct event last = e->heap[--e->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= e->count) break;
        if (child + 1 < e->count && is_before(&e->heap[child + 1], &e->heap[child])) child++;
        if (!is_before(&e->heap[child], &last)) break;
        e->heap[at] = e->heap[child];
        at = child;
    }
    e->heap[at] = last;
    return true;
}

void events_clear(struct events *e)
{
    e->count = 0;
    e->order = 0;
}

void events_close(struct events *e)
{
    free(e->heap);
    *e = (struct events){0};
}
