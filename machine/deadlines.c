/* Deadline rows. Happy path: put, and a sweep that finds the row due asks its owner. Failure
 * modes: only the store's faults; a row that tells of something gone is its owner's to ignore. */
#include "machine/deadlines.h"

#include "machine/sessions.h"

int deadline_put(struct machine *m, uint64_t at_ms, enum deadline_kind kind, struct slice id)
{
    HF_ASSERT(at_ms <= TIME_MS_MAX);
    HF_ASSERT(kind >= DEADLINE_SESSION && kind <= DEADLINE_KIND_MAX);
    struct row_key key = row_key_deadline(at_ms, kind, id);
    if (at_ms < m->next_deadline_ms) m->next_deadline_ms = at_ms;
    return store_put(m->store, TABLE_DEADLINES, row_key_slice(&key), slice_make(NULL, 0));
}

int deadline_del(struct machine *m, uint64_t at_ms, enum deadline_kind kind, struct slice id)
{
    struct row_key key = row_key_deadline(at_ms, kind, id);
    int rv = store_del(m->store, TABLE_DEADLINES, row_key_slice(&key));
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int deadline_move(struct machine *m, uint64_t from_ms, uint64_t to_ms, enum deadline_kind kind,
                  struct slice id)
{
    if (from_ms == to_ms) return HF_OK;
    int rv = HF_OK;
    if (from_ms != 0) rv = deadline_del(m, from_ms, kind, id);
    if (rv == HF_OK && to_ms != 0) rv = deadline_put(m, to_ms, kind, id);
    return rv;
}

int deadline_settle(struct machine *m, struct deadline_place place, uint64_t at_ms,
                    enum deadline_kind kind, struct slice id)
{
    bool stands = *place.kind != 0;
    if (stands && at_ms != 0 && *place.kind == (uint64_t)kind && *place.at_ms <= at_ms) {
        return HF_OK;
    }
    if (stands) {
        int rv = deadline_del(m, *place.at_ms, (enum deadline_kind) * place.kind, id);
        if (rv != HF_OK) return rv;
    }
    *place.at_ms = at_ms;
    *place.kind = at_ms != 0 ? (uint64_t)kind : 0;
    return at_ms != 0 ? deadline_put(m, at_ms, kind, id) : HF_OK;
}

enum { TIMER_ROWS = 3 }; /* its deadline, itself, its place in the queue */

/* How many rows sweeping this one will touch, about: a session is swept whole. */
static int weigh(struct machine *m, enum deadline_kind kind, struct slice id, uint64_t *rows)
{
    *rows = kind == DEADLINE_TIMER ? TIMER_ROWS : 1;
    if (kind != DEADLINE_SESSION) return HF_OK;
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, row_key_last(id), &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (s->expires_ms <= state_now(m)) *rows += session_load(s);
    return HF_OK;
}

static int keep_copy(struct machine *m, struct slice bytes, struct slice *out)
{
    uint8_t *copy = arena_take(&m->keep, bytes.size);
    if (copy == NULL) return HF_ENOMEM;
    memcpy(copy, bytes.data, bytes.size);
    *out = slice_make(copy, bytes.size);
    return HF_OK;
}

int deadlines_collect(struct machine *m, uint64_t rows_max, struct deadline **due, size_t *count)
{
    HF_ASSERT(rows_max >= 1);
    uint64_t touched = 0;
    struct row_key all = {.size = 0};
    struct row_key from = row_key_u64(m->next_deadline_ms);
    struct walk walk;
    struct deadline *list = arena_take(&m->keep, (size_t)rows_max * sizeof *list);
    *count = 0;
    *due = list;
    if (list == NULL) return HF_ENOMEM;

    int rv = walk_first(&walk, m, TABLE_DEADLINES, &all, &from);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        struct deadline d;
        struct slice id;
        d.at_ms = row_key_deadline_parts(walk.key, &d.kind, &id);
        if (d.at_ms > state_now(m) || touched >= rows_max) break;
        HF_ASSERT(*count < rows_max); /* each touches a row at least */
        uint64_t rows;
        rv = weigh(m, d.kind, id, &rows);
        if (rv == HF_OK) rv = keep_copy(m, id, &d.id);
        if (rv != HF_OK) break;
        list[*count] = d;
        touched += rows;
        *count += 1;
    }
    if (rv == HF_OK) m->next_deadline_ms = get_u64(walk.key.data); /* the first that is left */
    if (rv == HF_ENOTFOUND) m->next_deadline_ms = UINT64_MAX;
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}
