#include "base/arena.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#if defined(HAVE_ASAN)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(data, bytes)   ((void)(data), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(data, bytes) ((void)(data), (void)(bytes))
#endif

enum { ALIGN = 16 };

int arena_init(struct arena *a, size_t capacity)
{
    HF_ASSERT(capacity > 0);
    *a = (struct arena){.data = malloc(capacity), .capacity = capacity};
    if (a->data == NULL) return HF_ENOMEM;
    ASAN_POISON_MEMORY_REGION(a->data, a->capacity);
    return HF_OK;
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
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    return p;
}

void arena_rewind(struct arena *a, size_t size)
{
    HF_ASSERT(size <= a->size);
    if (a->data != NULL) ASAN_POISON_MEMORY_REGION(a->data + size, a->size - size);
    a->size = size;
}
