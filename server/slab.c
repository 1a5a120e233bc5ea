/* See server/slab.h. A chunk is a list link and 256 objects; a free object begins with a pointer
 * to the next one. */
#include "server/slab.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_OBJECTS = 256, CHUNK_ALIGN = 16 };

void slab_init(struct slab *s, size_t object_bytes, size_t used_max)
{
    HF_ASSERT(object_bytes >= sizeof(void *));
    *s = (struct slab){.used_max = used_max};
    s->object_bytes = (object_bytes + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN;
    list_init(&s->chunks);
}

void slab_close(struct slab *s)
{
    if (s->object_bytes != 0) {
        LIST_FOR_SAFE(item, &s->chunks) free(item);
    }
    *s = (struct slab){0};
}

static void add_chunk(struct slab *s)
{
    uint8_t *chunk = malloc(CHUNK_ALIGN + CHUNK_OBJECTS * s->object_bytes);
    if (chunk == NULL) return;
    list_push_back(&s->chunks, (struct list *)(void *)chunk);
    for (size_t i = 0; i < CHUNK_OBJECTS; i++) {
        void *object = chunk + CHUNK_ALIGN + i * s->object_bytes;
        memcpy(object, &s->free, sizeof s->free);
        s->free = object;
    }
}

void *slab_take(struct slab *s)
{
    _Static_assert(sizeof(struct list) <= CHUNK_ALIGN, "a chunk's link fits before its objects");
    if (s->used >= s->used_max) return NULL;
    if (s->free == NULL) add_chunk(s);
    void *object = s->free;
    if (object == NULL) return NULL;
    memcpy(&s->free, object, sizeof s->free);
    memset(object, 0, s->object_bytes);
    s->used++;
    return object;
}

void slab_give(struct slab *s, void *object)
{
    HF_ASSERT(s->used > 0);
    memcpy(object, &s->free, sizeof s->free);
    s->free = object;
    s->used--;
}
