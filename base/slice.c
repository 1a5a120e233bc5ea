#include "base/slice.h"

#include <stdlib.h>

#include "base/status.h"

enum { FIRST_CAPACITY = 256 };

void buffer_init(struct buffer *b, size_t bytes_max)
{
    HF_ASSERT(bytes_max > 0);
    *b = (struct buffer){.bytes_max = bytes_max};
}

void buffer_close(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

int buffer_reserve(struct buffer *b, size_t bytes)
{
    HF_ASSERT(b->size <= b->capacity);
    if (bytes <= b->capacity - b->size) return HF_OK;
    if (b->bytes_max - b->size < bytes) return HF_ETOOLARGE;

    size_t need = b->size + bytes;
    size_t capacity = b->capacity != 0 ? b->capacity : FIRST_CAPACITY;
    while (capacity < need) capacity *= 2;
    if (capacity > b->bytes_max) capacity = b->bytes_max;
    uint8_t *data = realloc(b->data, capacity);
    if (data == NULL) return HF_ENOMEM;
    b->data = data;
    b->capacity = capacity;
    return HF_OK;
}

int buffer_append(struct buffer *b, const void *data, size_t bytes)
{
    if (bytes == 0) return HF_OK;
    int rv = buffer_reserve(b, bytes);
    if (rv != HF_OK) return rv;
    memcpy(b->data + b->size, data, bytes);
    b->size += bytes;
    return HF_OK;
}

void buffer_consume(struct buffer *b, size_t bytes)
{
    HF_ASSERT(bytes <= b->size);
    if (bytes < b->size) memmove(b->data, b->data + bytes, b->size - bytes);
    b->size -= bytes;
}

void buffer_empty(struct buffer *b, size_t bytes_kept)
{
    size_t bytes_max = b->bytes_max;
    buffer_clear(b);
    if (b->capacity <= bytes_kept) return;
    buffer_close(b);
    buffer_init(b, bytes_max);
}
