/* LIST: locks by prefix, page by page, through filters (docs/contract.md, section 4). Happy path:
 * a walk over the rows of locks, each decoded and held against what is asked for; where that is
 * about holders, they are looked at until one fits, and it is the one that is shown. Work is
 * bounded twice: by what a page shows, and by the rows that were looked at for it; whichever comes
 * first ends the page at a cursor. Failure modes: faults only. */
#include "machine/freeze.h"
#include "machine/grants.h"
#include "machine/reads.h"
#include "machine/sessions.h"

enum {
    ROWS_A_PAGE_MAX = 4000,    /* locks and holders looked at, shown or not */
    HOLDERS_A_LOCK_MAX = 1000, /* of one lock; what the last ones are is not found */
};

struct listing {
    struct machine *m;
    const struct msg_list *request;
    uint64_t elapsed_ms;
    struct read_page page;
    uint32_t rows; /* looked at */
};

/* ------------------------------------------------------------------ filters */

static bool is_about_holders(const struct msg_list *request)
{
    return request->session != 0 || request->client_name.size != 0 || request->older_than_ms != 0;
}

static bool lock_is_asked_for(const struct machine *m, const struct msg_list *request,
                              const struct row_lock *lock)
{
    uint64_t now_ms = state_now(m);
    uint64_t states = 0;
    if (lock->holder_count > 0) states |= LIST_HELD;
    if (lock->queue_length > 0) states |= LIST_WAITED;
    if (lock->delay_ms > now_ms || lock->shared_delay_ms > now_ms || lock->units_delayed > 0 ||
        lock->units_forced > 0)
        states |= LIST_DELAYED;
    if ((request->states & ~states) != 0) return false;
    bool is_held = lock->holder_count > 0;
    if (request->modes != 0 && (!is_held || (request->modes >> lock->mode & 1) == 0)) return false;
    return is_held || !is_about_holders(request);
}

static bool holder_is_asked_for(const struct machine *m, const struct msg_list *request,
                                const struct row_grant *grant, const struct row_session_info *info)
{
    if (request->session != 0 && grant->session != request->session) return false;
    if (request->client_name.size != 0 && !slice_equal(request->client_name, info->name))
        return false;
    return state_now(m) - grant->since_ms >= request->older_than_ms;
}

/* ------------------------------------------------------------------ lines */

/* The part of a line that tells of a holder. */
static int show_holder(struct listing *l, uint64_t token, const struct row_grant *grant,
                       const struct row_session_info *info, struct lock_line *line)
{
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(l->m, grant->session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    line->fencing_token = token;
    line->since_ms = grant->since_ms;
    line->lease_left_ms = read_left(l->m, s->expires_ms, l->elapsed_ms);
    line->client_name = info->name;
    line->peer = grant->peer;
    rv = read_keep(l->m, &line->client_name);
    return rv == HF_OK ? read_keep(l->m, &line->peer) : rv;
}

/* The first holder that is asked for. \param shown Out: there is one */
static int find_holder(struct listing *l, struct slice name, const struct row_lock *lock,
                       struct lock_line *line, bool *shown)
{
    *shown = false;
    uint32_t rows = 0;
    struct holders h;
    int rv = holders_first_of(&h, l->m, name, lock, l->request->session);
    for (; rv == HF_OK && rows < HOLDERS_A_LOCK_MAX; rv = holders_next(&h)) {
        struct row_grant grant;
        struct row_session_info info;
        rows++;
        rv = grant_get(l->m, h.token, &grant);
        if (rv == HF_OK) rv = session_info_get(l->m, grant.session, &info);
        if (rv != HF_OK) {
            rv = rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
            break;
        }
        *shown = holder_is_asked_for(l->m, l->request, &grant, &info);
        if (!*shown) continue;
        rv = show_holder(l, h.token, &grant, &info, line);
        break;
    }
    holders_close(&h);
    l->rows += rows;
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int look_at_lock(struct listing *l, struct slice name, const struct row_lock *lock)
{
    l->rows++;
    if (!lock_is_asked_for(l->m, l->request, lock)) return HF_OK;
    struct lock_line line = {
        .name = name,
        .mode = lock->mode,
        .holder_count = lock->holder_count,
        .queue_length = lock->queue_length,
        .delay_left_ms = read_left(l->m, read_delay_of(lock), l->elapsed_ms),
        .limit = lock_limit_shown(lock),
        .units_taken = lock->units_taken,
        .units_delayed = lock->units_delayed,
    };
    bool shown = true;
    int rv = lock->holder_count > 0 ? find_holder(l, name, lock, &line, &shown) : HF_OK;
    if (rv != HF_OK || !shown) return rv;
    bool frozen;
    rv = read_keep(l->m, &line.name);
    if (rv == HF_OK) rv = freeze_covers(l->m, line.name, &frozen);
    if (rv != HF_OK) return rv;
    line.frozen = frozen;
    l->page.bytes += 112 + line.name.size + line.client_name.size + line.peer.size;
    ((struct lock_line *)l->page.items)[l->page.count++] = line;
    return HF_OK;
}

/* ------------------------------------------------------------------ pages */

/* Where a page begins: behind the cursor, the last name that was looked at. */
static struct row_key page_begin(struct slice prefix, struct slice cursor)
{
    struct row_key from = {.size = 0};
    if (slice_compare(cursor, prefix) >= 0 && slice_starts(cursor, prefix) && cursor.size > 0)
        return row_key_name_prefix(cursor); /* name and NUL: the first key behind the name */
    return prefix.size > 0 ? row_key_name(prefix) : from;
}

static bool page_is_over(const struct listing *l)
{
    return read_page_is_full(&l->page) || l->rows >= ROWS_A_PAGE_MAX;
}

/* \param cursor Out: kept; the last name, or empty at the end */
static int fill_page(struct listing *l, struct slice *cursor)
{
    struct row_key prefix = {.size = 0};
    if (l->request->prefix.size > 0) prefix = row_key_name(l->request->prefix);
    struct row_key from = page_begin(l->request->prefix, l->request->cursor);
    struct row_key last = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, l->m, TABLE_LOCKS, &prefix, &from);
    for (; rv == HF_OK && !page_is_over(l); rv = walk_next(&walk)) {
        struct row_lock lock;
        last = row_key_name(walk.key);
        rv = state_decode(l->m, &row_lock_type, walk.value, &lock);
        if (rv == HF_OK) rv = look_at_lock(l, walk.key, &lock);
        if (rv != HF_OK) break;
    }
    walk_close(&walk);
    *cursor = (struct slice){0};
    if (rv == HF_ENOTFOUND) return HF_OK;
    HF_ASSERT(rv != HF_OK || last.size > 0); /* a page that is over has looked at something */
    if (rv == HF_OK) *cursor = row_key_slice(&last);
    return rv == HF_OK ? read_keep(l->m, cursor) : rv;
}

int read_list(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    struct listing l = {.m = m, .request = request, .elapsed_ms = elapsed_ms};
    HF_ASSERT(l.request->count_max >= 1 && l.request->count_max <= PAGE_ITEMS_MAX);
    struct msg_list_reply reply = {0};
    int rv = read_page_open(m, &l.page, sizeof(struct lock_line), (uint32_t)l.request->count_max);
    if (rv == HF_OK) rv = fill_page(&l, &reply.cursor);
    if (rv != HF_OK) return rv;
    reply.locks = (struct codec_list){l.page.items, l.page.count};
    return reply_set(out, OP_CODE_LIST, HF_OK, &reply);
}
