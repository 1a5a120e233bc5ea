/* Rows through the codec, tokens and tickets. Happy path: get copies a row's bytes to scratch and
 * decodes them there (the store's own bytes are only borrowed until the next write); put encodes
 * into one buffer that is kept. Failure modes: bytes that do not decode are HF_ECORRUPT, an arena
 * that is full HF_ENOMEM; both end the process. */
#include "machine/state.h"

#include <stdlib.h>

uint64_t state_later(const struct machine *m, uint64_t ms)
{
    HF_ASSERT(m->meta.time_ms <= TIME_MS_MAX);
    return ms < TIME_MS_MAX - m->meta.time_ms ? m->meta.time_ms + ms : TIME_MS_MAX;
}

int state_copy(struct machine *m, struct slice bytes, struct slice *out)
{
    uint8_t *copy = arena_take(&m->scratch, bytes.size + 1);
    if (copy == NULL) return HF_ENOMEM;
    if (bytes.size != 0) memcpy(copy, bytes.data, bytes.size);
    *out = slice_make(copy, bytes.size);
    return HF_OK;
}

int state_decode(struct machine *m, const struct codec_type *type, struct slice value, void *row)
{
    HF_ASSERT(type->version != 0);
    HF_ASSERT(row != NULL);
    struct slice copy;
    int rv = state_copy(m, value, &copy);
    if (rv != HF_OK) return rv;
    rv = codec_decode(type, copy, &m->scratch, row);
    if (rv == HF_EBADREQUEST || rv == HF_ETOOLARGE) return HF_ECORRUPT;
    return rv;
}

int state_get(struct machine *m, enum machine_table table, struct slice key,
              const struct codec_type *type, void *row)
{
    HF_ASSERT(table < TABLE_END);
    HF_ASSERT(key.size > 0);
    struct slice value;
    int rv = store_get(m->store, (uint8_t)table, key, &value);
    if (rv != HF_OK) return rv;
    return state_decode(m, type, value, row);
}

int state_put(struct machine *m, enum machine_table table, struct slice key,
              const struct codec_type *type, const void *row)
{
    HF_ASSERT(table < TABLE_END);
    HF_ASSERT(type->version != 0);
    buffer_clear(&m->row);
    int rv = codec_encode(type, row, &m->row);
    if (rv != HF_OK) return rv;
    return store_put(m->store, (uint8_t)table, key, buffer_slice(&m->row));
}

int state_del(struct machine *m, enum machine_table table, struct slice key)
{
    int rv = store_del(m->store, (uint8_t)table, key);
    return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
}

int state_get_u64(struct machine *m, enum machine_table table, struct slice key, uint64_t *number)
{
    struct slice value;
    int rv = store_get(m->store, (uint8_t)table, key, &value);
    if (rv != HF_OK) return rv;
    if (value.size != 8) return HF_ECORRUPT;
    *number = get_u64(value.data);
    return HF_OK;
}

int state_put_u64(struct machine *m, enum machine_table table, struct slice key, uint64_t number)
{
    uint8_t bytes[8];
    put_u64(bytes, number);
    return store_put(m->store, (uint8_t)table, key, slice_make(bytes, sizeof bytes));
}

int state_first(struct machine *m, enum machine_table table, struct slice prefix, struct slice from,
                struct slice *key, struct slice *value)
{
    HF_ASSERT(slice_starts(from, prefix));
    struct store_cursor cursor;
    struct slice found;
    struct slice bytes;
    int rv = store_seek(m->store, (uint8_t)table, from, &cursor, &found, &bytes);
    if (rv == HF_OK && !slice_starts(found, prefix)) rv = HF_ENOTFOUND;
    if (rv == HF_OK) rv = state_copy(m, found, key);
    if (rv == HF_OK) rv = state_copy(m, bytes, value);
    store_cursor_close(&cursor);
    return rv;
}

/* Copy what the cursor found, or close. */
static int take_turn(struct walk *w, int rv, struct slice key, struct slice value)
{
    HF_ASSERT(w->mark <= w->m->scratch.size);
    state_reset(w->m, w->mark);
    if (rv == HF_OK && !slice_starts(key, row_key_slice(&w->prefix))) rv = HF_ENOTFOUND;
    if (rv == HF_OK) rv = state_copy(w->m, key, &w->key);
    if (rv == HF_OK) rv = state_copy(w->m, value, &w->value);
    if (rv != HF_OK) walk_close(w);
    return rv;
}

int walk_first(struct walk *w, struct machine *m, enum machine_table table,
               const struct row_key *prefix, const struct row_key *from)
{
    if (from == NULL) from = prefix;
    HF_ASSERT(slice_starts(row_key_slice(from), row_key_slice(prefix)));
    w->m = m;
    w->prefix = *prefix;
    w->mark = state_mark(m);
    struct slice key;
    struct slice value;
    int rv = store_seek(m->store, (uint8_t)table, row_key_slice(from), &w->cursor, &key, &value);
    return take_turn(w, rv, key, value);
}

int walk_next(struct walk *w)
{
    struct slice key;
    struct slice value;
    int rv = store_next(&w->cursor, &key, &value);
    return take_turn(w, rv, key, value);
}

void walk_close(struct walk *w)
{
    store_cursor_close(&w->cursor);
}

uint64_t state_issue_token(struct machine *m)
{
    HF_ASSERT(m->meta.token_counter < COUNTER_MAX);
    m->meta.token_counter += 1;
    m->meta_changed = true;
    uint64_t token = m->meta.restore_epoch << 48 | m->meta.token_counter;
    HF_ASSERT(token < TOKEN_END);
    return token;
}

uint64_t state_issue_ticket(struct machine *m)
{
    HF_ASSERT(m->meta.ticket_counter < UINT64_MAX);
    m->meta.ticket_counter += 1;
    m->meta_changed = true;
    return m->meta.ticket_counter;
}

int u64_list_add(struct u64_list *list, uint64_t number)
{
    HF_ASSERT(list->count <= list->capacity);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        uint64_t *items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL) return HF_ENOMEM;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = number;
    return HF_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x;
    uint64_t y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

void u64_list_sort(struct u64_list *list)
{
    if (list->count > 1) qsort(list->items, list->count, sizeof *list->items, compare_numbers);
}
