/* The list of queues to serve. Happy path: an op marks one name, the list is served when it ends.
 * Failure mode: memory for the list. */
#include "machine/serve.h"

#include <stdlib.h>

#include "machine/deadlines.h"
#include "machine/dispatch.h"

int serve_mark(struct machine *m, enum machine_table table, struct slice name)
{
    HF_ASSERT(table == TABLE_LOCKS || table == TABLE_RECORDS);
    HF_ASSERT(name.size >= 1 && name.size <= NAME_BYTES_MAX);
    if (m->serve_count > 0) {
        const struct serve_item *last = &m->serve[m->serve_count - 1];
        if (last->table == table && slice_equal(last->name, name)) return HF_OK;
    }
    if (m->serve_count == m->serve_capacity) {
        size_t capacity = m->serve_capacity == 0 ? 64 : 2 * m->serve_capacity;
        struct serve_item *items = realloc(m->serve, capacity * sizeof *items);
        if (items == NULL) return HF_ENOMEM;
        m->serve = items;
        m->serve_capacity = capacity;
    }
    uint8_t *copy = arena_take(&m->keep, name.size);
    if (copy == NULL) return HF_ENOMEM;
    memcpy(copy, name.data, name.size);
    m->serve[m->serve_count++] = (struct serve_item){table, slice_make(copy, name.size)};
    return HF_OK;
}

static int compare_items(const void *a, const void *b)
{
    const struct serve_item *x = a;
    const struct serve_item *y = b;
    if (x->table != y->table) return x->table < y->table ? -1 : 1;
    return slice_compare(x->name, y->name);
}

/* Serve one; what the limit leaves goes on by a deadline row that is due at once. */
static int serve_one(struct machine *m, const struct serve_item *item)
{
    size_t mark = state_mark(m);
    int rv = dispatch_serve(m, (enum machine_table)item->table, item->name);
    state_reset(m, mark);
    if (rv != HF_ETOOBUSY) return rv;
    uint8_t id[1 + NAME_BYTES_MAX];
    id[0] = (uint8_t)item->table;
    memcpy(id + 1, item->name.data, item->name.size);
    return deadline_put(m, state_now(m), DEADLINE_SERVE, slice_make(id, 1 + item->name.size));
}

int serve_all(struct machine *m)
{
    m->grants_left = GRANTS_A_SERVING_MAX;
    int rv = HF_OK;
    while (rv == HF_OK && m->serve_count > 0) {
        size_t batch = m->serve_count;
        if (batch > 1) qsort(m->serve, batch, sizeof *m->serve, compare_items);
        for (size_t i = 0; rv == HF_OK && i < batch; i++) {
            if (i > 0 && compare_items(&m->serve[i - 1], &m->serve[i]) == 0) continue;
            struct serve_item item = m->serve[i]; /* the list may move while it grows */
            rv = serve_one(m, &item);
        }
        HF_ASSERT(m->serve_count >= batch); /* serving may mark further names, behind */
        m->serve_count -= batch;
        memmove(m->serve, m->serve + batch, m->serve_count * sizeof *m->serve);
    }
    return rv;
}

int serve_due(struct machine *m, struct slice id)
{
    if (id.size < 2) return HF_ECORRUPT;
    return serve_mark(m, (enum machine_table)id.data[0], slice_make(id.data + 1, id.size - 1));
}
