/* Reads of sessions and locks. Happy path: seek, decode, encode; nothing is written. What a page
 * shows is copied to `keep`, for a walk gives its scratch back at every turn. Failure modes:
 * faults only; a name that nobody uses is a free lock, not an error. */
#include "machine/reads.h"

#include "machine/freeze.h"
#include "machine/grants.h"
#include "machine/lock_history.h"
#include "machine/revoke.h"
#include "machine/sessions.h"

/* ------------------------------------------------------------------ pages */

int read_keep(struct machine *m, struct slice *bytes)
{
    if (bytes->size == 0) return HF_OK;
    uint8_t *copy = arena_take(&m->keep, bytes->size);
    if (copy == NULL) return HF_ENOMEM;
    memcpy(copy, bytes->data, bytes->size);
    bytes->data = copy;
    return HF_OK;
}

int read_page_open(struct machine *m, struct read_page *page, size_t item_bytes, uint32_t count_max)
{
    *page = (struct read_page){.count_max = count_max};
    if (count_max == 0) return HF_OK;
    page->items = arena_take(&m->keep, item_bytes * count_max);
    return page->items != NULL ? HF_OK : HF_ENOMEM;
}

/* ------------------------------------------------------------------ helpers */

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

static uint32_t at_most_a_page(uint64_t count)
{
    return count < PAGE_ITEMS_MAX ? (uint32_t)count : PAGE_ITEMS_MAX;
}

static int show_holder(struct machine *m, uint64_t token, uint64_t elapsed_ms,
                       struct read_page *page)
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
        .name_count = grant.names.count,
    };
    uint64_t until_ms = 0;
    if (s.asked_count > 0) rv = revoke_look(m, grant.session, token, &shown.asked, &until_ms);
    shown.asked_left_ms = read_left(m, until_ms, elapsed_ms);
    if (rv == HF_OK) rv = read_keep(m, &shown.client_name);
    if (rv == HF_OK) rv = read_keep(m, &shown.peer);
    if (rv == HF_OK) rv = read_keep(m, &shown.meta);
    if (rv == HF_OK) rv = read_keep(m, &shown.traceparent);
    if (rv != HF_OK) return rv;
    page->bytes += 128 + shown.client_name.size + shown.peer.size + shown.meta.size;
    ((struct holder_info *)page->items)[page->count++] = shown;
    return HF_OK;
}

static int show_holders(struct machine *m, struct slice name, const struct row_lock *lock,
                        uint64_t elapsed_ms, struct codec_list *list)
{
    struct read_page page;
    int rv =
        read_page_open(m, &page, sizeof(struct holder_info), at_most_a_page(lock->holder_count));
    if (rv != HF_OK) return rv;
    struct holders h;
    for (rv = holders_first(&h, m, name, lock); rv == HF_OK && !read_page_is_full(&page);
         rv = holders_next(&h)) {
        rv = show_holder(m, h.token, elapsed_ms, &page);
        if (rv != HF_OK) break;
    }
    holders_close(&h);
    *list = (struct codec_list){page.items, page.count};
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int show_waiter(struct machine *m, const struct parked *p, uint64_t elapsed_ms,
                       struct read_page *page)
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
        .name_count = p->row.names.count,
    };
    rv = read_keep(m, &shown.client_name);
    if (rv == HF_OK) rv = read_keep(m, &shown.peer);
    if (rv != HF_OK) return rv;
    page->bytes += 64 + shown.client_name.size + shown.peer.size;
    ((struct waiter_info *)page->items)[page->count++] = shown;
    return HF_OK;
}

static int show_waiters(struct machine *m, struct slice name, const struct row_lock *lock,
                        uint64_t elapsed_ms, struct codec_list *list)
{
    struct read_page page;
    int rv =
        read_page_open(m, &page, sizeof(struct waiter_info), at_most_a_page(lock->queue_length));
    if (rv != HF_OK) return rv;
    uint64_t ticket = lock->queue_first;
    while (rv == HF_OK && !read_page_is_full(&page)) {
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
        .delay_left_ms = read_left(m, read_delay_of(&lock), elapsed_ms),
        .limit = lock_limit_shown(&lock),
        .units_taken = lock.units_taken,
        .units_delayed = lock.units_delayed,
        .now_ms = state_later(m, elapsed_ms),
    };
    bool frozen;
    rv = freeze_covers(m, info->name, &frozen);
    if (rv != HF_OK) return rv;
    reply.frozen = frozen;
    rv = show_holders(m, info->name, &lock, elapsed_ms, &reply.holders);
    if (rv == HF_OK) rv = show_waiters(m, info->name, &lock, elapsed_ms, &reply.waiters);
    struct row_lock_history history;
    if (rv == HF_OK) rv = lock_history_get(m, info->name, &lock, &history);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    reply.transitions = history.items;
    reply.last_reason = history.last_reason;
    reply.last_at_ms = history.last_at_ms;
    return reply_set(out, OP_CODE_INFO, HF_OK, &reply);
}

/* ------------------------------------------------------------------ SESSION_LIST */

static int show_session(struct machine *m, uint64_t session, const struct row_session *s,
                        uint64_t elapsed_ms, struct read_page *page)
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
    rv = read_keep(m, &line.client_name);
    if (rv == HF_OK) rv = read_keep(m, &line.peer);
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
    struct read_page page;
    int rv = read_page_open(m, &page, sizeof(struct session_line), (uint32_t)list->count_max);
    if (rv != HF_OK) return rv;
    struct walk walk;
    for (rv = walk_first(&walk, m, TABLE_SESSIONS, &all, &from); rv == HF_OK;
         rv = walk_next(&walk)) {
        if (read_page_is_full(&page)) {
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
