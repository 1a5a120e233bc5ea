/* Claims about those who watch, from what they were told; see tests/sim/checks.h. Every answer is
 * held against all that the log has told (tests/sim/history_events.h): so what several watchers are
 * shown, by several servers, is one and the same. */
#include <inttypes.h>
#include <string.h>

#include "base/status.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    LOOK_MAX = 2000, /* events that a server looks at for one answer */
    ANSWER_ARENA_BYTES = 256 * 1024
};

const char *checks_watch_event_name(enum check_watch_event event)
{
    static const char *const names[CHECK_WATCH_EVENTS] = {"now", "shown", "full", "mark", "gap"};
    HF_ASSERT(event < CHECK_WATCH_EVENTS);
    return names[event];
}

struct check_watch *checks_watch(struct sim_task *t)
{
    return &t->client->sim->checks.watches[t->client->index][t->index];
}

static void count(struct sim_task *t, enum check_watch_event event)
{
    t->client->sim->checks.watch_counts[event]++;
}

void checks_watch_called(struct sim_task *t, uint64_t count_max)
{
    const struct history *h = &t->client->sim->history;
    struct check_watch *w = checks_watch(t);
    w->count_max = count_max;
    w->floor_next = history_events_next(h);
    w->floor_first = history_events_first(h);
    w->floor_ms = machine_time_ms(h->machine);
}

/* ------------------------------------------------------------------ one answer */

static bool wants(const struct check_watch *w, const struct history_event *event)
{
    if (w->kinds != 0 && (w->kinds >> event->kind & 1) == 0) return false;
    return slice_starts(slice_make(event->name, event->name_bytes), slice_of(w->prefix));
}

/* Of the numbers from its place on and below `next` it has all that it wants, and nothing else. */
static void look_at_events(struct sim_task *t, const struct check_watch *w,
                           const struct msg_watch_reply *told)
{
    struct history *h = &t->client->sim->history;
    const struct event_line *events = told->events.items;
    uint32_t at = 0;
    for (uint64_t number = w->next; number < told->next; number++) {
        const struct history_event *event = history_event(h, number);
        bool shown = at < told->events.count && events[at].number == number;
        if (shown && history_event_hash(h, &events[at]) != event->hash)
            sim_fail("client %u is shown event %" PRIu64 ", and it is another one",
                     t->client->index + 1, number);
        if (shown != wants(w, event))
            sim_fail("client %u watches \"%s\" from %" PRIu64 " to %" PRIu64 ", and is %s event "
                     "%" PRIu64 " of %.*s",
                     t->client->index + 1, w->prefix, w->next, told->next,
                     shown ? "shown" : "not shown", number, (int)event->name_bytes, event->name);
        if (shown) at++;
    }
    if (at < told->events.count)
        sim_fail("client %u asked for the events from %" PRIu64 " on, and is shown event %" PRIu64
                 ", to go on at %" PRIu64,
                 t->client->index + 1, w->next, events[at].number, told->next);
}

/* An answer ends where all that was told ends, at the latest when it was asked for; or it is full,
 * or as much as a server looks at. */
static void look_at_end(struct sim_task *t, const struct check_watch *w,
                        const struct msg_watch_reply *told)
{
    bool full = told->events.count == w->count_max;
    bool looked = w->next != 0 && told->next - w->next >= LOOK_MAX;
    if (told->next < w->floor_next && told->gap == 0 && !full && !looked)
        sim_fail("client %u is told that nothing has happened from event %" PRIu64
                 " on, and event %" PRIu64 " had, before it asked",
                 t->client->index + 1, told->next, w->floor_next - 1);
    if (full) count(t, WATCH_EVENT_FULL);
}

/* It is now's, or of the last event that was looked at where more had been told by then. */
static void look_at_time(struct sim_task *t, const struct check_watch *w,
                         const struct msg_watch_reply *told)
{
    const struct history *h = &t->client->sim->history;
    bool more = told->next < history_events_next(h);
    uint64_t at_ms = w->floor_ms;
    if (more && told->gap != 0) {
        at_ms = history_event(h, told->next)->at_ms; /* where it goes on */
    } else if (more && w->next != 0 && told->next > w->next) {
        at_ms = history_event(h, told->next - 1)->at_ms;
    }
    bool right = told->at_ms >= w->floor_ms || (more && told->at_ms == at_ms);
    if (!right || told->at_ms < w->at_ms || told->at_ms > machine_time_ms(h->machine))
        sim_fail("client %u is told of cluster time %" PRIu64 ", up to event %" PRIu64
                 ", and %" PRIu64 " before: it was %" PRIu64 " when it asked",
                 t->client->index + 1, told->at_ms, told->next, w->at_ms, w->floor_ms);
    if (more && told->at_ms > history_event(h, told->next)->at_ms)
        sim_fail("client %u is told of all before cluster time %" PRIu64 ", but not of event "
                 "%" PRIu64,
                 t->client->index + 1, told->at_ms, told->next);
}

/* What begins before the oldest that is kept has a gap, and nothing else has. */
static void look_at_gap(struct sim_task *t, const struct check_watch *w,
                        const struct msg_watch_reply *told)
{
    const struct history *h = &t->client->sim->history;
    uint64_t first = history_events_first(h);
    if (told->first < w->floor_first || told->first > first)
        sim_fail("client %u is told that event %" PRIu64 " is the oldest, and it was %" PRIu64
                 " and is %" PRIu64,
                 t->client->index + 1, told->first, w->floor_first, first);
    if (told->gap != 0 && (w->next == 0 || w->next >= first || told->next != told->first))
        sim_fail("client %u is told of a gap from event %" PRIu64 " to %" PRIu64
                 ", and event %" PRIu64 " is the oldest",
                 t->client->index + 1, w->next, told->next, first);
    if (told->gap == 0 && w->next != 0 && w->next < w->floor_first)
        sim_fail("client %u is told of no gap from event %" PRIu64 " on, and event %" PRIu64
                 " was the oldest",
                 t->client->index + 1, w->next, w->floor_first);
}

static void look_at_answer(struct sim_task *t, struct check_watch *w,
                           const struct msg_watch_reply *told)
{
    const struct history *h = &t->client->sim->history;
    bool none = told->events.count == 0;
    if (told->next > history_events_next(h) || told->next < w->next)
        sim_fail("client %u asked for the events from %" PRIu64 " on, is told to go on at %" PRIu64
                 ", and the next one is %" PRIu64,
                 t->client->index + 1, w->next, told->next, history_events_next(h));
    look_at_end(t, w, told);
    look_at_time(t, w, told);
    look_at_gap(t, w, told);
    if ((told->gap != 0 || w->next == 0) && !none)
        sim_fail("client %u is shown events of a gap, or of none that it asked for",
                 t->client->index + 1);
    if (told->gap != 0) {
        count(t, WATCH_EVENT_GAP);
    } else if (w->next == 0) {
        count(t, WATCH_EVENT_NOW);
    } else {
        look_at_events(t, w, told);
        count(t, none ? WATCH_EVENT_MARK : WATCH_EVENT_SHOWN);
    }
    w->next = told->next;
    w->at_ms = told->at_ms;
}

void checks_watch_answered(struct sim_task *t, const struct call *call)
{
    struct msg_watch_reply told;
    struct arena arena;
    struct check_watch *w = checks_watch(t);
    if (call->op->code != OP_CODE_WATCH || call->cancelling) return;
    if (call->status == HF_EBADREQUEST && call->over)
        sim_fail("client %u asks for the events from %" PRIu64 " on, as it was told, and a server "
                 "has not come so far",
                 t->client->index + 1, w->next);
    if (call->verdict != HF_OK) return;
    int rv = arena_init(&arena, ANSWER_ARENA_BYTES);
    if (rv == HF_OK)
        rv = codec_decode(&msg_watch_reply_type, buffer_slice(&call->reply), &arena, &told);
    if (rv != HF_OK) sim_fail("an answer to WATCH does not read back");
    look_at_answer(t, w, &told);
    arena_close(&arena);
}
