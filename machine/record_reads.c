/* Showing records: one whole, or a page of lines. A page ends at its count, at its bytes, or after
 * a bounded number of rows that the filter let pass; its cursor then says where to go on, so a
 * page may be short, and only an empty cursor means the end. */
#include "machine/record.h"

enum {
    PAGE_BYTES_MAX = 512 * 1024, /* of what is shown, about */
    LINE_BYTES = 160,            /* of a line's numbers, about */
};

static bool has_outcome(const struct row_record *row)
{
    return row->state == RECORD_DONE || row->state == RECORD_FAILED;
}

static int fill_line(struct machine *m, struct slice key, const struct row_record *row,
                     uint64_t elapsed_ms, struct record_line *line)
{
    uint64_t left_ms = 0;
    uint64_t reaped_at = record_reaped_at(row);
    int rv = record_lease_left(m, row, &left_ms);
    if (rv != HF_OK) return rv;
    if (reaped_at != UINT64_MAX) left_ms = state_left(m, reaped_at);
    *line = (struct record_line){
        .key = key,
        .state = row->state,
        .lapsed = row->lapsed,
        .fencing_token = row->fencing_token,
        .attempt = row->attempt,
        .code = row->code,
        .since_ms = row->since_ms,
        .left_ms = left_ms > elapsed_ms ? left_ms - elapsed_ms : 0,
        .external = row->external,
        .checkpoint = row->checkpoint,
        .client_name = row->client_name,
        .peer = row->peer,
        .outcome = has_outcome(row) ? row->state : OUTCOME_NONE,
        .secret_id = row->secret_id,
    };
    return HF_OK;
}

static void fill_tombstone_line(const struct machine *m, struct slice key,
                                const struct row_tombstone *row, uint64_t elapsed_ms,
                                struct record_line *line)
{
    uint64_t left_ms = state_left(m, row->until_ms);
    *line = (struct record_line){
        .key = key,
        .state = RECORD_TOMBSTONE,
        .fencing_token = row->fencing_token,
        .attempt = row->attempt,
        .code = row->code,
        .since_ms = row->since_ms,
        .left_ms = left_ms > elapsed_ms ? left_ms - elapsed_ms : 0,
        .outcome = row->outcome,
        .secret_id = row->secret_id,
    };
}

/* The parts that a line and the whole record have in common come first in both structs. */
static void copy_line(const struct record_line *line, struct msg_record_reply *reply)
{
    reply->key = line->key;
    reply->state = line->state;
    reply->lapsed = line->lapsed;
    reply->fencing_token = line->fencing_token;
    reply->attempt = line->attempt;
    reply->code = line->code;
    reply->since_ms = line->since_ms;
    reply->left_ms = line->left_ms;
    reply->external = line->external;
    reply->checkpoint = line->checkpoint;
    reply->client_name = line->client_name;
    reply->peer = line->peer;
    reply->outcome = line->outcome;
    reply->secret_id = line->secret_id;
}

int record_show_tombstone(struct machine *m, struct slice key, uint64_t elapsed_ms,
                          struct msg_record_reply *reply)
{
    struct row_tombstone row;
    struct record_line line;
    int rv = state_get(m, TABLE_TOMBSTONES, key, &row_tombstone_type, &row);
    if (rv != HF_OK) return rv;
    fill_tombstone_line(m, key, &row, elapsed_ms, &line);
    *reply = (struct msg_record_reply){
        .fingerprint = row.fingerprint_hash,
        .takeover = row.takeover,
        .retain_ms = row.retain_ms,
        .done_at_ms = row.done_at_ms,
        .marked = row.marked,
    };
    copy_line(&line, reply);
    return HF_OK;
}

int record_show(struct machine *m, struct slice key, uint64_t elapsed_ms,
                struct msg_record_reply *reply)
{
    struct row_record row;
    struct record_line line;
    int rv = record_get(m, key, &row);
    if (rv == HF_OK) rv = fill_line(m, key, &row, elapsed_ms, &line);
    if (rv != HF_OK) return rv;
    *reply = (struct msg_record_reply){
        .fingerprint = row.fingerprint,
        .takeover = row.takeover,
        .retain_ms = row.retain_ms,
        .born_ms = row.born_ms,
        .done_at_ms = row.done_at_ms,
        .session = row.session,
        .checkpoint_number = row.checkpoint_number,
        .meta = row.meta,
        .headers = row.headers,
        .body = row.body,
        .evidence = row.evidence,
        .operator_name = row.operator_name,
        .late = row.late,
        .parked_count = row.parked_count,
        .marked = row.marked,
        .completion = row.completion,
        .act = row.act,
        .act_at_ms = row.act_at_ms,
        .body_kind = row.body_kind,
    };
    copy_line(&line, reply);
    return record_checkpoint_data(m, key, &reply->checkpoint_data);
}

int record_read(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    const struct msg_record_get *get = request;
    struct msg_record_reply reply;
    HF_ASSERT(get->key.size >= 1);
    int rv = record_show(m, get->key, elapsed_ms, &reply);
    if (rv == HF_ENOTFOUND) rv = record_show_tombstone(m, get->key, elapsed_ms, &reply);
    if (rv == HF_ENOTFOUND) return reply_set(out, OP_CODE_RECORD_GET, HF_ENOTFOUND, NULL);
    return rv == HF_OK ? reply_set(out, OP_CODE_RECORD_GET, HF_OK, &reply) : rv;
}

/* ------------------------------------------------------------------ pages */

struct page {
    const struct msg_record_list *request; /* what is wanted */
    struct record_line *lines;             /* in scratch, request->count_max of them */
    uint32_t count;                        /* lines filled */
    size_t bytes;                          /* of them, about */
    struct slice last;                     /* key looked at last, in `memory` */
    uint8_t memory[NAME_BYTES_MAX + 1];    /* a cursor's key is good only until the next */
};

bool record_is_old_enough(const struct machine *m, const struct msg_record_list *request,
                          uint64_t since_ms)
{
    return request->older_than_ms == 0 || state_now(m) - since_ms >= request->older_than_ms;
}

/* Turn a row into a line; *shown false: the filter lets it pass. */
static int look_at(struct machine *m, const struct page *page, enum machine_table table,
                   struct slice key, struct slice value, uint64_t elapsed_ms,
                   struct record_line *line, bool *shown)
{
    const struct msg_record_list *request = page->request;
    *shown = false;
    if (table == TABLE_TOMBSTONES) {
        struct row_tombstone tombstone;
        int rv = state_decode(m, &row_tombstone_type, value, &tombstone);
        if (rv != HF_OK || !record_is_old_enough(m, request, tombstone.since_ms)) return rv;
        *shown = true;
        fill_tombstone_line(m, key, &tombstone, elapsed_ms, line);
        return HF_OK;
    }
    struct row_record row;
    int rv = state_decode(m, &row_record_type, value, &row);
    if (rv != HF_OK || !record_is_old_enough(m, request, row.since_ms)) return rv;
    if (request->state != RECORD_ABSENT && request->state != row.state) return HF_OK;
    *shown = true;
    return fill_line(m, key, &row, elapsed_ms, line);
}

/* The row that a line was made from, body and all, is given back; only the line's texts stay. */
static int keep_line(struct machine *m, struct page *page, size_t mark, struct slice key,
                     const struct record_line *line)
{
    enum { TEXTS = 4 };
    uint8_t texts[TEXTS][NAME_BYTES_MAX];
    const struct slice from[TEXTS] = {line->checkpoint, line->client_name, line->peer,
                                      line->secret_id};
    for (int i = 0; i < TEXTS; i++) {
        HF_ASSERT(from[i].size <= NAME_BYTES_MAX);
        if (from[i].size != 0) memcpy(texts[i], from[i].data, from[i].size);
    }
    state_reset(m, mark);
    struct record_line *kept = &page->lines[page->count++];
    *kept = *line;
    int rv = state_copy(m, key, &kept->key);
    if (rv == HF_OK) rv = state_copy(m, slice_make(texts[0], from[0].size), &kept->checkpoint);
    if (rv == HF_OK) rv = state_copy(m, slice_make(texts[1], from[1].size), &kept->client_name);
    if (rv == HF_OK) rv = state_copy(m, slice_make(texts[2], from[2].size), &kept->peer);
    if (rv == HF_OK) rv = state_copy(m, slice_make(texts[3], from[3].size), &kept->secret_id);
    page->bytes += LINE_BYTES + key.size;
    for (int i = 0; i < TEXTS; i++) page->bytes += from[i].size;
    return rv;
}

struct slice record_first_key(const struct msg_record_list *request,
                              uint8_t memory[NAME_BYTES_MAX + 1])
{
    if (slice_compare(request->cursor, request->prefix) < 0) return request->prefix;
    if (request->cursor.size == 0) return request->prefix;
    memcpy(memory, request->cursor.data, request->cursor.size);
    memory[request->cursor.size] = 0;
    return slice_make(memory, request->cursor.size + 1);
}

static int fill_page(struct machine *m, struct page *page, enum machine_table table,
                     uint64_t elapsed_ms, bool *ended)
{
    const struct msg_record_list *request = page->request;
    struct store_cursor cursor = {0};
    struct slice key, value;
    uint32_t looked_at = 0;
    size_t row_bytes = 0;
    int rv = store_seek(m->store, (uint8_t)table, record_first_key(request, page->memory), &cursor,
                        &key, &value);
    for (; rv == HF_OK; rv = store_next(&cursor, &key, &value)) {
        bool shown;
        struct record_line line;
        if (!slice_starts(key, request->prefix)) break;
        bool full = page->count == request->count_max || page->bytes >= PAGE_BYTES_MAX;
        *ended =
            !full && looked_at++ < RECORD_PAGE_ROWS_MAX && row_bytes < RECORD_PAGE_ROW_BYTES_MAX;
        if (!*ended) break;
        row_bytes += value.size;
        size_t mark = state_mark(m);
        rv = look_at(m, page, table, key, value, elapsed_ms, &line, &shown);
        if (rv != HF_OK) break;
        memcpy(page->memory, key.data, key.size);
        page->last = slice_make(page->memory, key.size);
        if (!shown) {
            state_reset(m, mark);
            continue;
        }
        rv = keep_line(m, page, mark, page->last, &line);
        if (rv != HF_OK) break;
    }
    store_cursor_close(&cursor);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int record_list(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    const struct msg_record_list *list = request;
    HF_ASSERT(list->count_max >= 1 && list->count_max <= PAGE_ITEMS_MAX);
    struct page page = {.request = list};
    page.lines = arena_take(&m->scratch, (size_t)list->count_max * sizeof *page.lines);
    if (page.lines == NULL) return HF_ENOMEM;
    bool ended = true;
    enum machine_table table = list->state == RECORD_TOMBSTONE ? TABLE_TOMBSTONES : TABLE_RECORDS;
    int rv = fill_page(m, &page, table, elapsed_ms, &ended);
    if (rv != HF_OK) return rv;
    struct msg_record_list_reply reply = {.records = {page.lines, page.count}};
    if (!ended) reply.cursor = page.last;
    return reply_set(out, OP_CODE_RECORD_LIST, HF_OK, &reply);
}
