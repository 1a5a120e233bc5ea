/* RECORD_EXPORT: whole records and what is left of them, in the order of their keys, for
 * reconciling with somebody else's books. Records and tombstones are two tables; no key is in both;
 * two cursors go through them side by side, and a page tells the smaller key next. A page ends as a
 * list's does (machine/record_reads.c), and its cursor is a key, so that an export can go on behind
 * any record that it has told. Failure modes: faults of the store. */
#include "machine/record.h"

enum { EXPORT_BYTES_MAX = 512 * 1024 }; /* of what is shown, before the last record */

_Static_assert(EXPORT_BYTES_MAX + RECORD_BYTES_MAX + 16 * PAGE_ITEMS_MAX < FRAME_BYTES_MAX,
               "a page fits a frame");

/* One of the two tables, and where it is. */
struct source {
    struct store_cursor cursor;
    enum machine_table table;
    bool ended;       /* no more keys of the prefix */
    size_t row_bytes; /* of the row at `key` */
    struct slice key; /* in `memory`: a cursor's is good only until the next call */
    uint8_t memory[NAME_BYTES_MAX];
};

struct export
{
    const struct msg_record_list *request; /* what is wanted */
    uint64_t elapsed_ms;                   /* since the last entry */
    struct record_bytes *items;            /* in scratch, request->count_max of them */
    uint32_t count;                        /* filled */
    size_t bytes;                          /* of them */
    struct source sources[2];              /* records, tombstones */
};

static int take_turn(struct source *s, const struct msg_record_list *request, int rv,
                     struct slice key, struct slice value)
{
    s->ended = rv == HF_ENOTFOUND || (rv == HF_OK && !slice_starts(key, request->prefix));
    if (s->ended) return HF_OK;
    if (rv != HF_OK) return rv;
    HF_ASSERT(key.size >= 1 && key.size <= NAME_BYTES_MAX);
    memcpy(s->memory, key.data, key.size);
    s->key = slice_make(s->memory, key.size);
    s->row_bytes = value.size;
    return HF_OK;
}

static int first(struct machine *m, struct source *s, const struct msg_record_list *request)
{
    uint8_t memory[NAME_BYTES_MAX + 1];
    struct slice key = {0};
    struct slice value = {0};
    int rv = store_seek(m->store, (uint8_t)s->table, record_first_key(request, memory), &s->cursor,
                        &key, &value);
    return take_turn(s, request, rv, key, value);
}

static int next(struct source *s, const struct msg_record_list *request)
{
    struct slice key = {0};
    struct slice value = {0};
    int rv = store_next(&s->cursor, &key, &value);
    return take_turn(s, request, rv, key, value);
}

/* The one whose turn it is, or NULL. */
static struct source *smaller(struct export *e)
{
    struct source *a = &e->sources[0];
    struct source *b = &e->sources[1];
    if (a->ended) return b->ended ? NULL : b;
    if (b->ended) return a;
    return slice_compare(a->key, b->key) < 0 ? a : b;
}

static bool is_wanted(const struct machine *m, const struct export *e,
                      const struct msg_record_reply *record)
{
    uint64_t state = e->request->state;
    if (state != RECORD_ABSENT && state != record->state) return false;
    return record_is_old_enough(m, e->request, record->since_ms);
}

/* Keep one record as bytes; the rows that it was made from are given back. */
static int add(struct machine *m, struct export *e, size_t mark,
               const struct msg_record_reply *record)
{
    buffer_clear(&m->row);
    int rv = codec_encode(&msg_record_reply_type, record, &m->row);
    if (rv != HF_OK) return rv;
    state_reset(m, mark);
    HF_ASSERT(e->count < e->request->count_max);
    rv = state_copy(m, buffer_slice(&m->row), &e->items[e->count].record);
    if (rv != HF_OK) return rv;
    e->count += 1;
    e->bytes += m->row.size;
    return HF_OK;
}

static int look_at(struct machine *m, struct export *e, const struct source *s)
{
    struct msg_record_reply record;
    size_t mark = state_mark(m);
    int rv = s->table == TABLE_RECORDS ? record_show(m, s->key, e->elapsed_ms, &record)
                                       : record_show_tombstone(m, s->key, e->elapsed_ms, &record);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (is_wanted(m, e, &record)) return add(m, e, mark, &record);
    state_reset(m, mark);
    return HF_OK;
}

/* \param last Out: the key looked at last, in `memory`, if there is more behind it; else empty. */
static int fill(struct machine *m, struct export *e, uint8_t memory[NAME_BYTES_MAX],
                struct slice *last)
{
    size_t row_bytes = 0;
    int rv = first(m, &e->sources[0], e->request);
    if (rv == HF_OK) rv = first(m, &e->sources[1], e->request);
    for (uint32_t looked_at = 0; rv == HF_OK; looked_at++) {
        struct source *s = smaller(e);
        if (s == NULL) {
            *last = (struct slice){0};
            return HF_OK;
        }
        bool full = e->count == e->request->count_max || e->bytes >= EXPORT_BYTES_MAX;
        full = full || row_bytes >= RECORD_PAGE_ROW_BYTES_MAX;
        if (full || looked_at >= RECORD_PAGE_ROWS_MAX) return HF_OK;
        row_bytes += s->row_bytes;
        memcpy(memory, s->key.data, s->key.size);
        *last = slice_make(memory, s->key.size);
        rv = look_at(m, e, s);
        if (rv == HF_OK) rv = next(s, e->request);
    }
    return rv;
}

int record_export(struct machine *m, const void *request, uint64_t elapsed_ms,
                  struct reply_out *out)
{
    const struct msg_record_list *list = request;
    HF_ASSERT(list->count_max >= 1 && list->count_max <= PAGE_ITEMS_MAX);
    uint8_t memory[NAME_BYTES_MAX];
    struct slice last = {0};
    struct export e = {.request = list, .elapsed_ms = elapsed_ms};
    e.sources[0].table = TABLE_RECORDS;
    e.sources[1].table = TABLE_TOMBSTONES;
    e.items = arena_take(&m->scratch, (size_t)list->count_max * sizeof *e.items);
    if (e.items == NULL) return HF_ENOMEM;
    int rv = fill(m, &e, memory, &last);
    for (int i = 0; i < 2; i++) store_cursor_close(&e.sources[i].cursor);
    if (rv != HF_OK) return rv;
    struct msg_record_export_reply reply = {.records = {e.items, e.count}, .cursor = last};
    return reply_set(out, OP_CODE_RECORD_EXPORT, HF_OK, &reply);
}
