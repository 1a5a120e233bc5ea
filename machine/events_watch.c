/* WATCH: the events from a number on that a filter wants, as many as an answer holds. It never
 * waits here: who finds nothing waits in the leader's memory (server/replica_watches.c).
 *
 * Happy path: numbers follow each other, so the next row is the next number's; only where a restore
 * has begun another epoch it is looked for. Failure modes: faults only. A number that is no longer
 * kept, or that belongs to a timeline which a restore has undone, is a gap, and the answer says
 * where it goes on; one that was never given is BAD_REQUEST. */
#include "base/planted.h"
#include "machine/events.h"
#include "machine/reads.h"

/* Is nothing lost between what the client has seen, all before `from`, and the event `at`? It is
 * the very next; or the next of a later epoch, and the last one that was seen is of this
 * timeline. */
static int follows(struct machine *m, uint64_t from, uint64_t at, bool *it)
{
    struct row_event before;
    *it = at == from;
    if (planted(EVENT_GAP_UNTOLD)) *it = at >> 48 == from >> 48;
    if (planted(EVENT_UNDONE_UNTOLD)) *it = *it || at >> 48 != from >> 48;
    if (*it || event_counter_of(at) != event_counter_of(from)) return HF_OK;
    *it = event_counter_of(from) == 1;
    if (*it) return HF_OK;
    int rv = event_get(m, from - 1, &before);
    *it = rv == HF_OK;
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static bool wants(const struct msg_watch *watch, const struct row_event *row)
{
    if (watch->kinds != 0 && (watch->kinds >> row->kind & 1) == 0) return false;
    return slice_starts(row->name, watch->prefix);
}

static int show(struct machine *m, struct read_page *page, uint64_t number, struct row_event *row)
{
    struct event_line *line = (struct event_line *)page->items + page->count;
    int rv = read_keep(m, &row->name);
    if (rv == HF_OK) rv = read_keep(m, &row->client_name);
    if (rv == HF_OK) rv = read_keep(m, &row->operator_name);
    if (rv == HF_OK) rv = read_keep(m, &row->branch);
    if (rv != HF_OK) return rv;
    *line = (struct event_line){
        .number = number,
        .kind = row->kind,
        .at_ms = row->at_ms,
        .wall_ms = row->wall_ms,
        .name = row->name,
        .session = row->session,
        .fencing_token = row->fencing_token,
        .what = row->what,
        .serial = row->serial,
        .client_name = row->client_name,
        .operator_name = row->operator_name,
        .branch = row->branch,
    };
    page->count += 1;
    page->bytes += EVENT_LINE_BYTES + row->name.size + row->client_name.size +
                   row->operator_name.size + row->branch.size;
    return HF_OK;
}

/* \param reply  its `next`: where to begin; out: where to ask on. Its time, now, becomes that of
 * the last event that was looked at where there are more: they may be wanted, too. */
static int fill(struct machine *m, const struct msg_watch *watch, struct read_page *page,
                struct msg_watch_reply *reply, uint32_t *looked_count)
{
    uint64_t at;
    uint64_t looked_ms = reply->at_ms;
    for (*looked_count = 0; *looked_count < EVENTS_LOOK_MAX; *looked_count += 1) {
        if (page->count == page->count_max || page->bytes >= WATCH_PAGE_BYTES_MAX) break;
        struct row_event row;
        size_t mark = state_mark(m);
        int rv = events_find(m, reply->next, &at, &row);
        if (rv == HF_ENOTFOUND) {
            reply->next = at;
            return HF_OK;
        }
        if (rv == HF_OK && wants(watch, &row)) rv = show(m, page, at, &row);
        if (rv != HF_OK) return rv;
        looked_ms = row.at_ms;
        state_reset(m, mark);
        reply->next = at + 1;
    }
    if (reply->next != events_next(m)) reply->at_ms = looked_ms;
    if (planted(EVENT_TOLD_TWICE) && page->count == page->count_max) reply->next = at;
    return HF_OK;
}

int events_read(struct machine *m, const struct msg_watch *watch, struct reply_out *out,
                struct watch_found *found)
{
    HF_ASSERT(watch->events_max >= 1 && watch->events_max <= PAGE_ITEMS_MAX);
    uint64_t end = events_next(m);
    struct read_page page = {0};
    struct msg_watch_reply reply = {
        .first = m->meta.event_first != 0 ? m->meta.event_first : end,
        .next = end,
        .at_ms = state_now(m),
    };
    *found = (struct watch_found){.next = end, .anything = true};
    if (watch->from > end)
        return reply_complain(out, OP_CODE_WATCH,
                              "no event had such a number yet; from 0 tells where now is");
    if (watch->from != 0) {
        struct row_event row;
        bool follow = false;
        int rv = events_find(m, watch->from, &reply.next, &row);
        if (rv == HF_OK || rv == HF_ENOTFOUND) rv = follows(m, watch->from, reply.next, &follow);
        reply.gap = !follow;
        if (rv == HF_OK && !follow && reply.next != end)
            reply.at_ms = row.at_ms; /* goes on there */
        if (rv == HF_OK && follow)
            rv = read_page_open(m, &page, sizeof(struct event_line), (uint32_t)watch->events_max);
        if (rv == HF_OK && follow) rv = fill(m, watch, &page, &reply, &found->looked_count);
        if (rv != HF_OK) return rv;
        found->anything = reply.gap == 1 || page.count > 0 || reply.next != end;
    }
    found->next = reply.next;
    reply.events = (struct codec_list){page.items, page.count};
    return reply_set(out, OP_CODE_WATCH, HF_OK, &reply);
}

int events_watch(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    struct watch_found found;
    (void)elapsed_ms;
    return events_read(m, request, out, &found);
}
