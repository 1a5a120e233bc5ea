/* Showing branches: one whole, or a page of lines. A page ends at its count, at its bytes, or after
 * a bounded number of rows that the filter let pass; only an empty cursor means the end. */
#include "machine/branch.h"
#include "machine/reads.h"
#include "machine/record.h"

enum { LINE_BYTES = 160 }; /* of a line's numbers, about */

static struct branch_line line_of(const struct machine *m, struct slice key,
                                  const struct row_branch *row, uint64_t elapsed_ms)
{
    struct branch_line line = {
        .step = row->step,
        .state = row->state,
        .lapsed = row->lapsed,
        .tried = row->tried,
        .fencing_token = row->fencing_token,
        .attempt = row->attempt,
        .failed_count = row->failed_count,
        .code = row->code,
        .since_ms = row->since_ms,
        .client_name = row->client_name,
        .peer = row->peer,
    };
    row_key_branch_parts(key, &line.gid, &line.branch);
    uint64_t at_ms = branch_is_finished(row) ? branch_reaped_at(row) : row->lease_until_ms;
    line.left_ms = read_left(m, at_ms, elapsed_ms);
    return line;
}

int branch_read(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    const struct msg_branch_get *get = request;
    struct row_key k = row_key_branch(get->gid, get->branch);
    struct row_branch row;
    int rv = branch_get(m, row_key_slice(&k), &row);
    if (rv == HF_ENOTFOUND) return reply_set(out, OP_CODE_BRANCH_GET, HF_ENOTFOUND, NULL);
    if (rv != HF_OK) return rv;
    const struct branch_line line = line_of(m, row_key_slice(&k), &row, elapsed_ms);
    const struct msg_branch_info info = {
        .gid = line.gid,
        .branch = line.branch,
        .step = line.step,
        .state = line.state,
        .lapsed = line.lapsed,
        .tried = line.tried,
        .fencing_token = line.fencing_token,
        .attempt = line.attempt,
        .failed_count = line.failed_count,
        .code = line.code,
        .since_ms = line.since_ms,
        .left_ms = line.left_ms,
        .client_name = line.client_name,
        .peer = line.peer,
        .fingerprint = row.fingerprint,
        .retain_ms = row.retain_ms,
        .session = row.session,
        .try_token = row.try_token,
        .try_code = row.try_code,
        .try_body = row.try_body,
        .try_done_at_ms = row.try_done_at_ms,
        .body = row.body,
        .done_at_ms = row.done_at_ms,
        .late = row.late,
    };
    return reply_set(out, OP_CODE_BRANCH_GET, HF_OK, &info);
}

/* ------------------------------------------------------------------ pages */

static bool is_wanted(const struct machine *m, const struct msg_branch_list *want,
                      const struct row_branch *row)
{
    if (want->state != BRANCH_NONE && want->state != row->state) return false;
    if (want->unfinished && branch_is_finished(row)) return false;
    return want->older_than_ms == 0 || state_now(m) - row->since_ms >= want->older_than_ms;
}

/* The first key of a page: behind its cursor, or the prefix. */
static struct row_key first_key(const struct msg_branch_list *want)
{
    struct row_key key = {.size = 0};
    if (want->prefix.size > 0) key = row_key_name(want->prefix);
    if (want->cursor_gid.size == 0) return key;
    struct row_key behind = row_key_branch(want->cursor_gid, want->cursor_branch);
    behind.bytes[behind.size++] = 0; /* before any other key that is greater */
    return slice_compare(row_key_slice(&behind), row_key_slice(&key)) > 0 ? behind : key;
}

/* Take a line in; the row that it was made from is given back. */
static int add_line(struct machine *m, struct read_page *page, const struct branch_line *line)
{
    struct branch_line *kept = (struct branch_line *)page->items + page->count;
    *kept = *line;
    page->count += 1;
    page->bytes += LINE_BYTES + line->gid.size + line->branch.size + line->step.size +
                   line->client_name.size + line->peer.size;
    int rv = read_keep(m, &kept->gid);
    if (rv == HF_OK) rv = read_keep(m, &kept->branch);
    if (rv == HF_OK) rv = read_keep(m, &kept->step);
    if (rv == HF_OK) rv = read_keep(m, &kept->client_name);
    return rv == HF_OK ? read_keep(m, &kept->peer) : rv;
}

static int fill_page(struct machine *m, const struct msg_branch_list *want, uint64_t elapsed_ms,
                     struct read_page *page, struct msg_branch_list_reply *reply)
{
    struct row_key all = {.size = 0};
    struct row_key from = first_key(want);
    struct walk walk;
    uint32_t looked_at = 0;
    size_t row_bytes = 0;
    int rv = walk_first(&walk, m, TABLE_BRANCHES, &all, from.size > 0 ? &from : NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        struct row_branch row;
        if (!slice_starts(walk.key, want->prefix)) break;
        bool full = read_page_is_full(page) || looked_at++ >= RECORD_PAGE_ROWS_MAX ||
                    row_bytes >= RECORD_PAGE_ROW_BYTES_MAX;
        if (full) {
            walk_close(&walk);
            return HF_OK;
        }
        row_bytes += walk.value.size;
        rv = state_decode(m, &row_branch_type, walk.value, &row);
        if (rv != HF_OK) break;
        row_key_branch_parts(walk.key, &reply->cursor_gid, &reply->cursor_branch);
        rv = read_keep(m, &reply->cursor_gid);
        if (rv == HF_OK) rv = read_keep(m, &reply->cursor_branch);
        const struct branch_line line = line_of(m, walk.key, &row, elapsed_ms);
        if (rv == HF_OK && is_wanted(m, want, &row)) rv = add_line(m, page, &line);
        if (rv != HF_OK) break;
    }
    walk_close(&walk);
    reply->cursor_gid = reply->cursor_branch = (struct slice){0}; /* the end */
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int branch_list(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    const struct msg_branch_list *want = request;
    HF_ASSERT(want->count_max >= 1 && want->count_max <= PAGE_ITEMS_MAX);
    struct msg_branch_list_reply reply = {.branches = {NULL, 0}};
    struct read_page page;
    int rv = read_page_open(m, &page, sizeof(struct branch_line), (uint32_t)want->count_max);
    if (rv == HF_OK) rv = fill_page(m, want, elapsed_ms, &page, &reply);
    if (rv != HF_OK) return rv;
    reply.branches = (struct codec_list){page.items, page.count};
    return reply_set(out, OP_CODE_BRANCH_LIST, HF_OK, &reply);
}
