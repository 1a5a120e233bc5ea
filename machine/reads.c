/* Reads of sessions and locks. Happy path: seek, decode, encode; nothing is written. What a page
 * shows is copied to `keep`, for a walk gives its scratch back at every turn. Failure modes:
 * faults only; a name that nobody uses is a free lock, not an error. */
#include "machine/reads.h"

#include "machine/grants.h"
#include "machine/sessions.h"

/* ------------------------------------------------------------------ helpers */

/* A page's strings, kept until it is encoded. */
static int keep(struct machine *m, struct slice *bytes)
{
    if (bytes->size == 0) return HF_OK;
    uint8_t *copy = arena_take(&m->keep, bytes->size);
    if (copy == NULL) return HF_ENOMEM;
    memcpy(copy, bytes->data, bytes->size);
    bytes->data = copy;
    return HF_OK;
}

static int get_both(struct machine *m, uint64_t session, struct row_session *row,
                    struct row_session_info *info)
{
    struct row_session *s = row;
    int rv = session_get(m, session, row, &s);
    if (rv == HF_OK) rv = session_info_get(m, session, info);
    HF_ASSERT(rv != HF_OK || s == row); /* no op is being applied */
    return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
}

static uint64_t min_left(const struct machine *m, const struct row_grant *grant,
                         const struct row_session *s, uint64_t elapsed_ms)
{
    uint64_t left_ms = read_left(m, s->expires_ms, elapsed_ms);
    if (grant->hold_until_ms == 0) return left_ms;
    uint64_t hold_ms = read_left(m, grant->hold_until_ms, elapsed_ms);
    return hold_ms < left_ms ? hold_ms : left_ms;
}

/* The end of its lock-delay: of lost permits the first that come back. */
static uint64_t delay_of(const struct row_lock *lock)
{
    uint64_t end_ms = lock->units_delay_ms;
    if (lock->shared_delay_ms > end_ms) end_ms = lock->shared_delay_ms;
    return lock->delay_ms > end_ms ? lock->delay_ms : end_ms;
}

/* ------------------------------------------------------------------ CHECK */

int read_check(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    const struct msg_check *check = request;
    struct msg_check_reply reply = {.verdict = CHECK_FREE};
    struct row_grant grant;
    int rv = grant_get(m, check->fencing_token, &grant);
    if (rv == HF_OK && grant_has_name(&grant, check->name)) {
        struct row_session draft;
        struct row_session *s;
        rv = session_get(m, grant.session, &draft, &s);
        if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
        reply.verdict = CHECK_VALID;
        reply.lease_left_ms = min_left(m, &grant, s, elapsed_ms);
        return reply_set(out, OP_CODE_CHECK, HF_OK, &reply);
    }
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    struct row_lock lock;
    rv = lock_get(m, check->name, &lock);
    if (rv != HF_OK) return rv;
    if (lock.holder_count > 0) reply.verdict = CHECK_STALE;
    return reply_set(out, OP_CODE_CHECK, HF_OK, &reply);
}

/* ------------------------------------------------------------------ INFO */

/* A page that is being filled. */
struct page {
    void *items;        /* in keep */
    uint32_t count;     /* in use */
    uint32_t count_max; /* there is room for */
    size_t bytes;       /* encoded, about */
};

static int page_open(struct machine *m, struct page *page, size_t item_bytes, uint32_t count_max)
{
    *page = (struct page){.count_max = count_max};
    if (count_max == 0) return HF_OK;
    page->items = arena_take(&m->keep, item_bytes * count_max);
    return page->items != NULL ? HF_OK : HF_ENOMEM;
}

static bool page_is_full(const struct page *page)
{
    return page->count == page->count_max || page->bytes >= READ_PAGE_BYTES_MAX;
}

static uint32_t at_most_a_page(uint64_t count)
{
    return count < PAGE_ITEMS_MAX ? (uint32_t)count : PAGE_ITEMS_MAX;
}

static int show_holder(struct machine *m, uint64_t token, uint64_t elapsed_ms, struct page *page)
{
    struct row_grant grant;
    struct row_session s;
    struct row_session_info info;
    int rv = grant_get(m, token, &grant);
    if (rv == HF_OK) rv = get_both(m, grant.session, &s, &info);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    struct holder_info shown = {
        .session = grant.session,
        .owner = grant.owner,
        .fencing_token = token,
        .mode = grant.mode,
        .permits = grant.permits,
        .count = grant.count,
        .since_ms = grant.since_ms,
        .lease_left_ms = read_left(m, s.expires_ms, elapsed_ms),
        .hold_left_ms = read_left(m, grant.hold_until_ms, elapsed_ms),
        .client_name = info.name,
        .peer = grant.peer,
        .meta = grant.meta,
        .traceparent = grant.traceparent,
    };
    if (rv == HF_OK) rv = keep(m, &shown.client_name);
    if (rv == HF_OK) rv = keep(m, &shown.peer);
    if (rv == HF_OK) rv = keep(m, &shown.meta);
    if (rv == HF_OK) rv = keep(m, &shown.traceparent);
    if (rv != HF_OK) return rv;
    page->bytes += 128 + shown.client_name.size + shown.peer.size + shown.meta.size;
    ((struct holder_info *)page->items)[page->count++] = shown;
    return HF_OK;
}

static int show_holders(struct machine *m, struct slice name, const struct row_lock *lock,
                        uint64_t elapsed_ms, struct codec_list *list)
{
    struct page page;
    int rv = page_open(m, &page, sizeof(struct holder_info), at_most_a_page(lock->holder_count));
    if (rv != HF_OK) return rv;
    struct holders h;
    for (rv = holders_first(&h, m, name, lock); rv == HF_OK && !page_is_full(&page);
         rv = holders_next(&h)) {
        rv = show_holder(m, h.token, elapsed_ms, &page);
        if (rv != HF_OK) break;
    }
    holders_close(&h);
    *list = (struct codec_list){page.items, page.count};
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int show_waiter(struct machine *m, const struct parked *p, uint64_t elapsed_ms,
                       struct page *page)
{
    struct row_session s;
    struct row_session_info info;
    struct msg_acquire acquire;
    int rv = parked_request(m, p, &acquire);
    if (rv == HF_OK) rv = get_both(m, p->session, &s, &info);
    if (rv != HF_OK) return rv;
    struct waiter_info shown = {
        .session = p->session,
        .owner = p->row.owner,
        .mode = acquire.mode,
        .permits = acquire.permits,
        .since_ms = p->row.since_ms,
        .wait_left_ms = read_left(m, p->row.until_ms, elapsed_ms),
        .client_name = info.name,
        .peer = p->row.peer,
    };
    rv = keep(m, &shown.client_name);
    if (rv == HF_OK) rv = keep(m, &shown.peer);
    if (rv != HF_OK) return rv;
    page->bytes += 64 + shown.client_name.size + shown.peer.size;
    ((struct waiter_info *)page->items)[page->count++] = shown;
    return HF_OK;
}

static int show_waiters(struct machine *m, struct slice name, const struct row_lock *lock,
                        uint64_t elapsed_ms, struct codec_list *list)
{
    struct page page;
    int rv = page_open(m, &page, sizeof(struct waiter_info), at_most_a_page(lock->queue_length));
    if (rv != HF_OK) return rv;
    uint64_t ticket = lock->queue_first;
    while (rv == HF_OK && !page_is_full(&page)) {
        size_t mark = state_mark(m);
        struct parked p;
        rv = parked_from(m, TABLE_LOCK_QUEUE, name, ticket, &p);
        if (rv == HF_OK) rv = show_waiter(m, &p, elapsed_ms, &page);
        if (rv == HF_OK) ticket = p.row.ticket + 1;
        state_reset(m, mark);
    }
    *list = (struct codec_list){page.items, page.count};
    return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
}

int read_info(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    const struct msg_info *info = request;
    struct row_lock lock;
    int rv = lock_get(m, info->name, &lock);
    if (rv != HF_OK) return rv;
    struct msg_info_reply reply = {
        .name = info->name,
        .holder_count = lock.holder_count,
        .queue_length = lock.queue_length,
        .delay_left_ms = read_left(m, delay_of(&lock), elapsed_ms),
        .limit = lock_limit_shown(&lock),
        .units_taken = lock.units_taken,
        .units_delayed = lock.units_delayed,
        .last_reason = lock.last_reason,
        .last_at_ms = lock.last_at_ms,
    };
    rv = show_holders(m, info->name, &lock, elapsed_ms, &reply.holders);
    if (rv == HF_OK) rv = show_waiters(m, info->name, &lock, elapsed_ms, &reply.waiters);
    return rv == HF_OK ? reply_set(out, OP_CODE_INFO, HF_OK, &reply) : rv;
}

/* ------------------------------------------------------------------ LIST */

static int show_first_holder(struct machine *m, struct slice name, const struct row_lock *lock,
                             uint64_t elapsed_ms, struct lock_line *line)
{
    struct holders h;
    struct row_grant grant;
    struct row_session s;
    struct row_session_info info;
    int rv = holders_first(&h, m, name, lock);
    holders_close(&h);
    if (rv == HF_OK) rv = grant_get(m, h.token, &grant);
    if (rv == HF_OK) rv = get_both(m, grant.session, &s, &info);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    line->fencing_token = h.token;
    line->since_ms = grant.since_ms;
    line->lease_left_ms = read_left(m, s.expires_ms, elapsed_ms);
    line->client_name = info.name;
    line->peer = grant.peer;
    rv = keep(m, &line->client_name);
    return rv == HF_OK ? keep(m, &line->peer) : rv;
}

static int show_lock(struct machine *m, struct slice name, const struct row_lock *lock,
                     uint64_t elapsed_ms, struct page *page)
{
    struct lock_line line = {
        .name = name,
        .mode = lock->mode,
        .holder_count = lock->holder_count,
        .queue_length = lock->queue_length,
        .delay_left_ms = read_left(m, delay_of(lock), elapsed_ms),
        .limit = lock_limit_shown(lock),
        .units_taken = lock->units_taken,
        .units_delayed = lock->units_delayed,
    };
    int rv = keep(m, &line.name);
    if (rv == HF_OK && lock->holder_count > 0)
        rv = show_first_holder(m, name, lock, elapsed_ms, &line);
    if (rv != HF_OK) return rv;
    page->bytes += 96 + line.name.size + line.client_name.size + line.peer.size;
    ((struct lock_line *)page->items)[page->count++] = line;
    return HF_OK;
}

/* Where a page begins: behind the cursor, which is the last name that was shown. */
static struct row_key page_begin(struct slice prefix, struct slice cursor)
{
    struct row_key from = {.size = 0};
    if (slice_compare(cursor, prefix) >= 0 && slice_starts(cursor, prefix) && cursor.size > 0)
        return row_key_name_prefix(cursor); /* name and NUL: the first key behind the name */
    return prefix.size > 0 ? row_key_name(prefix) : from;
}

int read_list(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    const struct msg_list *list = request;
    struct row_key prefix = {.size = 0};
    if (list->prefix.size > 0) prefix = row_key_name(list->prefix);
    struct row_key from = page_begin(list->prefix, list->cursor);
    struct msg_list_reply reply = {0};
    struct page page;
    int rv = page_open(m, &page, sizeof(struct lock_line), (uint32_t)list->count_max);
    if (rv != HF_OK) return rv;
    struct walk walk;
    for (rv = walk_first(&walk, m, TABLE_LOCKS, &prefix, &from); rv == HF_OK;
         rv = walk_next(&walk)) {
        if (page_is_full(&page)) {
            HF_ASSERT(page.items != NULL && page.count > 0);
            reply.cursor = ((struct lock_line *)page.items)[page.count - 1].name;
            break;
        }
        struct row_lock lock;
        rv = state_decode(m, &row_lock_type, walk.value, &lock);
        if (rv == HF_OK) rv = show_lock(m, walk.key, &lock, elapsed_ms, &page);
        if (rv != HF_OK) break;
    }
    walk_close(&walk);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    reply.locks = (struct codec_list){page.items, page.count};
    return reply_set(out, OP_CODE_LIST, HF_OK, &reply);
}

/* ------------------------------------------------------------------ SESSION_LIST */

static int show_session(struct machine *m, uint64_t session, const struct row_session *s,
                        uint64_t elapsed_ms, struct page *page)
{
    struct row_session_info info;
    int rv = session_info_get(m, session, &info);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    struct session_line line = {
        .session = session,
        .client_name = info.name,
        .peer = info.peer,
        .ttl_ms = s->ttl_ms,
        .left_ms = s->ended == 0 ? read_left(m, s->expires_ms, elapsed_ms) : 0,
        .since_ms = info.since_ms,
        .grant_count = s->grant_count,
        .waiter_count = s->waiter_count,
        .attempt_count = s->attempt_count,
        .ended = s->ended,
    };
    rv = keep(m, &line.client_name);
    if (rv == HF_OK) rv = keep(m, &line.peer);
    if (rv != HF_OK) return rv;
    page->bytes += 80 + line.client_name.size + line.peer.size;
    ((struct session_line *)page->items)[page->count++] = line;
    return HF_OK;
}

int read_session_list(struct machine *m, const void *request, uint64_t elapsed_ms,
                      struct reply_out *out)
{
    const struct msg_session_list *list = request;
    struct row_key all = {.size = 0};
    struct msg_session_list_reply reply = {0};
    if (list->cursor == UINT64_MAX) return reply_set(out, OP_CODE_SESSION_LIST, HF_OK, &reply);
    struct row_key from = row_key_u64(list->cursor + 1);
    struct page page;
    int rv = page_open(m, &page, sizeof(struct session_line), (uint32_t)list->count_max);
    if (rv != HF_OK) return rv;
    struct walk walk;
    for (rv = walk_first(&walk, m, TABLE_SESSIONS, &all, &from); rv == HF_OK;
         rv = walk_next(&walk)) {
        if (page_is_full(&page)) {
            HF_ASSERT(page.items != NULL && page.count > 0);
            reply.cursor = ((struct session_line *)page.items)[page.count - 1].session;
            break;
        }
        struct row_session s;
        rv = state_decode(m, &row_session_type, walk.value, &s);
        if (rv == HF_OK) rv = show_session(m, row_key_last(walk.key), &s, elapsed_ms, &page);
        if (rv != HF_OK) break;
    }
    walk_close(&walk);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    reply.sessions = (struct codec_list){page.items, page.count};
    return reply_set(out, OP_CODE_SESSION_LIST, HF_OK, &reply);
}
