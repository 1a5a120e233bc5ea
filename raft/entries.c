#include "raft/entries.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1024 * 1024, FIRST_CAPACITY = 256 };

struct entries_chunk {
    size_t used;     /* bytes handed out */
    size_t capacity; /* bytes */
    size_t entries;  /* entries whose data is here and is still held */
    uint8_t data[];
};

struct entries_slot {
    uint64_t term;
    const uint8_t *data;         /* in the chunk; NULL for no bytes */
    struct entries_chunk *chunk; /* NULL for no bytes */
    uint32_t size;               /* bytes */
    uint8_t type;                /* enum log_type */
};

/* No memory for the log is a fault: nothing can be answered any more. */
static void *must_have(void *p)
{
    HF_ASSERT(p != NULL);
    return p;
}

static struct entries_slot *slot_of(const struct entries *e, uint64_t index)
{
    HF_ASSERT(entries_has(e, index));
    return &e->slots[(e->head + (size_t)(index - e->first)) & (e->capacity - 1)];
}

void entries_init(struct entries *e, uint64_t first, size_t bytes_max)
{
    HF_ASSERT(first >= 1);
    HF_ASSERT(bytes_max >= 1);
    *e = (struct entries){.first = first, .bytes_max = bytes_max, .capacity = FIRST_CAPACITY};
    e->slots = must_have(calloc(e->capacity, sizeof *e->slots));
    terms_reset(&e->terms, first);
}

/* An emptied chunk of the usual size is kept: a busy log needs the next one at once. */
static void retire(struct entries *e, struct entries_chunk *chunk)
{
    HF_ASSERT(chunk->entries == 0);
    if (chunk == e->chunk) {
        chunk->used = 0;
    } else if (e->spare == NULL && chunk->capacity == CHUNK_BYTES) {
        chunk->used = 0;
        e->spare = chunk;
    } else {
        free(chunk);
    }
}

static void release(struct entries *e, struct entries_slot *slot)
{
    HF_ASSERT(e->bytes >= slot->size);
    e->bytes -= slot->size;
    if (slot->chunk != NULL) {
        slot->chunk->entries -= 1;
        if (slot->chunk->entries == 0) retire(e, slot->chunk);
    }
    *slot = (struct entries_slot){0};
}

void entries_close(struct entries *e)
{
    if (e->slots == NULL) return;
    entries_reset(e, 1, 0);
    terms_close(&e->terms);
    free(e->chunk);
    free(e->spare);
    free(e->slots);
    *e = (struct entries){0};
}

void entries_reset(struct entries *e, uint64_t first, uint64_t before_term)
{
    HF_ASSERT(first >= 1);
    entries_truncate(e, e->first);
    e->first = first;
    e->head = 0;
    bool known = first > 1 && before_term > 0;
    terms_reset(&e->terms, known ? first - 1 : first);
    if (known) terms_append(&e->terms, before_term);
}

static void grow_slots(struct entries *e)
{
    size_t capacity = e->capacity * 2;
    struct entries_slot *slots = must_have(calloc(capacity, sizeof *slots));
    for (size_t i = 0; i < e->count; i++) slots[i] = *slot_of(e, e->first + i);
    free(e->slots);
    e->slots = slots;
    e->capacity = capacity;
    e->head = 0;
}

/* Room for `size` bytes in a chunk; a big entry gets one of its own. */
static uint8_t *room_for(struct entries *e, size_t size)
{
    if (e->chunk == NULL || e->chunk->capacity - e->chunk->used < size) {
        struct entries_chunk *old = e->chunk;
        if (e->spare != NULL && size <= CHUNK_BYTES) {
            e->chunk = e->spare;
            e->spare = NULL;
        } else {
            size_t capacity = size > CHUNK_BYTES ? size : CHUNK_BYTES;
            e->chunk = must_have(malloc(sizeof *e->chunk + capacity));
            *e->chunk = (struct entries_chunk){.capacity = capacity};
        }
        if (old != NULL && old->entries == 0) retire(e, old);
    }
    uint8_t *at = e->chunk->data + e->chunk->used;
    e->chunk->used += size;
    e->chunk->entries += 1;
    return at;
}

void entries_append(struct entries *e, const struct log_entry *entry)
{
    HF_ASSERT(entry->index == entries_last(e) + 1);
    HF_ASSERT(entry->data.size <= LOG_ENTRY_BYTES_MAX);
    HF_ASSERT(entry->term >= 1);
    if (e->count == e->capacity) grow_slots(e);
    struct entries_slot slot = {
        .term = entry->term,
        .size = (uint32_t)entry->data.size,
        .type = entry->type,
    };
    if (slot.size > 0) {
        uint8_t *at = room_for(e, slot.size);
        memcpy(at, entry->data.data, slot.size);
        slot.data = at;
        slot.chunk = e->chunk;
    }
    e->count += 1;
    terms_append(&e->terms, entry->term);
    *slot_of(e, entry->index) = slot;
    e->bytes += slot.size;
}

void entries_truncate(struct entries *e, uint64_t index)
{
    HF_ASSERT(index <= entries_last(e) + 1);
    HF_ASSERT(index >= e->first || index >= terms_first(&e->terms));
    while (e->count > 0 && entries_last(e) >= index) {
        release(e, slot_of(e, entries_last(e)));
        e->count -= 1;
    }
    if (index < e->first) e->first = index;
    terms_truncate(&e->terms, index);
}

void entries_forget(struct entries *e, uint64_t index)
{
    terms_cut(&e->terms, index < e->first ? index : e->first);
}

void entries_trim(struct entries *e, uint64_t index_max)
{
    while (e->count > 0 && e->first <= index_max && e->bytes > e->bytes_max) {
        release(e, slot_of(e, e->first));
        e->head = (e->head + 1) & (e->capacity - 1);
        e->first += 1;
        e->count -= 1;
    }
}

struct log_entry entries_get(const struct entries *e, uint64_t index)
{
    const struct entries_slot *slot = slot_of(e, index);
    return (struct log_entry){
        .index = index,
        .term = slot->term,
        .type = slot->type,
        .data = slice_make(slot->data, slot->size),
    };
}

uint64_t entries_last_change(const struct entries *e, uint64_t index)
{
    uint64_t last = entries_last(e);
    for (uint64_t i = index < last ? index : last; entries_has(e, i); i--) {
        if (slot_of(e, i)->type == LOG_CHANGE) return i;
    }
    return 0;
}
