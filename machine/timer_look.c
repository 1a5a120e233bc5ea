/* LIST of timers: pages of lines by key. The dead ones have an index of their own, for they are few
 * and looked for; any other filter walks. A page ends at its count, or after a bounded number of
 * rows that the filter let pass; its cursor then says where to go on, so a page may be short, and
 * only an empty cursor means the end. */
#include "machine/timer.h"

enum {
    PAGE_ROWS_MAX = 10000,       /* looked at for one page */
    PAGE_BYTES_MAX = 512 * 1024, /* of what is shown, about */
    LINE_BYTES = 80,             /* of a line's numbers, about */
};

struct page {
    const struct msg_timer_list *request; /* what is wanted */
    uint64_t elapsed_ms;                  /* since the state's time */
    struct timer_line *lines;             /* in scratch, request->count_max of them */
    uint32_t count;                       /* lines filled */
    size_t bytes;                         /* of them, about */
    struct slice last;                    /* key looked at last, in `memory` */
    uint8_t memory[NAME_BYTES_MAX + 1];   /* a cursor's key is good only until the next */
};

static bool is_wanted(const struct msg_timer_list *request, const struct row_timer *row)
{
    if (request->state != TIMER_ABSENT && request->state != row->state) return false;
    return request->group.size == 0 || slice_equal(request->group, row->group);
}

static int add_line(struct machine *m, struct page *page, const struct row_timer *row)
{
    bool waits = row->state != TIMER_READY && row->state != TIMER_DEAD;
    uint64_t left_ms = waits ? state_left(m, row->due_ms) : 0;
    struct timer_line *line = &page->lines[page->count++];
    *line = (struct timer_line){
        .group = row->group,
        .state = row->state,
        .version = row->version,
        .left_ms = left_ms > page->elapsed_ms ? left_ms - page->elapsed_ms : 0,
        .fired_ms = row->fired_ms,
        .attempt = row->attempt,
        .attempts_max = row->attempts_max,
        .fencing_token = row->fencing_token,
        .payload_bytes = row->payload_bytes,
    };
    page->bytes += LINE_BYTES + page->last.size + row->group.size;
    return state_copy(m, page->last, &line->key);
}

/* \param key of a timer, which may move with the next step of a cursor */
static int look_at(struct machine *m, struct page *page, struct slice key)
{
    struct row_timer row;
    size_t mark = state_mark(m);
    HF_ASSERT(key.size >= 1 && key.size <= NAME_BYTES_MAX);
    memcpy(page->memory, key.data, key.size);
    page->last = slice_make(page->memory, key.size);
    int rv = timer_get(m, page->last, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (is_wanted(page->request, &row)) return add_line(m, page, &row);
    state_reset(m, mark);
    return HF_OK;
}

/* The first key that may be shown; behind the cursor is what comes after it and a NUL. */
static struct slice first_key(const struct msg_timer_list *request,
                              uint8_t memory[NAME_BYTES_MAX + 1])
{
    if (request->cursor.size == 0) return request->prefix;
    if (slice_compare(request->cursor, request->prefix) < 0) return request->prefix;
    memcpy(memory, request->cursor.data, request->cursor.size);
    memory[request->cursor.size] = 0;
    return slice_make(memory, request->cursor.size + 1);
}

static int fill_page(struct machine *m, struct page *page, bool *ended)
{
    const struct msg_timer_list *request = page->request;
    bool dead = request->state == TIMER_DEAD;
    uint8_t from[1 + NAME_BYTES_MAX + 1] = {1}; /* as row_key_timer_dead() begins */
    uint8_t memory[NAME_BYTES_MAX + 1];
    struct slice first = first_key(request, memory);
    struct store_cursor cursor = {0};
    struct slice key, value;
    uint32_t looked_at = 0;
    if (first.size > 0) memcpy(from + 1, first.data, first.size);
    struct slice start = dead ? slice_make(from, 1 + first.size) : first;
    int rv =
        store_seek(m->store, dead ? TABLE_TIMER_QUEUE : TABLE_TIMERS, start, &cursor, &key, &value);
    for (; rv == HF_OK; rv = store_next(&cursor, &key, &value)) {
        if (dead) key = slice_make(key.data + 1, key.size - 1);
        if (!slice_starts(key, request->prefix)) break;
        *ended = page->count < request->count_max && page->bytes < PAGE_BYTES_MAX &&
                 looked_at++ < PAGE_ROWS_MAX;
        if (!*ended) break;
        rv = look_at(m, page, key);
        if (rv != HF_OK) break;
    }
    store_cursor_close(&cursor);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int timer_list(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    const struct msg_timer_list *list = request;
    HF_ASSERT(list->count_max >= 1 && list->count_max <= PAGE_ITEMS_MAX);
    struct page page = {.request = list, .elapsed_ms = elapsed_ms};
    page.lines = arena_take(&m->scratch, (size_t)list->count_max * sizeof *page.lines);
    if (page.lines == NULL) return HF_ENOMEM;
    bool ended = true;
    int rv = fill_page(m, &page, &ended);
    if (rv != HF_OK) return rv;
    struct msg_timer_list_reply reply = {.timers = {page.lines, page.count}};
    if (!ended) reply.cursor = page.last;
    return reply_set(out, OP_CODE_TIMER_LIST, HF_OK, &reply);
}
