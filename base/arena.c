#include "base/arena.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"

enum { ALIGN = 16 };

int arena_init(struct arena *a, size_t capacity)
{
    HF_ASSERT(capacity > 0);
    *a = (struct arena){.data = malloc(capacity), .capacity = capacity};
    return a->data != NULL ? HF_OK : HF_ENOMEM;
}

void arena_close(struct arena *a)
{
    free(a->data);
    *a = (struct arena){0};
}

void *arena_take(struct arena *a, size_t bytes)
{
    HF_ASSERT(a->size <= a->capacity);
    if (bytes > a->capacity) return NULL;
    size_t rounded = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (rounded > a->capacity - a->size) return NULL;
    void *p = a->data + a->size;
    a->size += rounded;
    return p;
}
