/* See the header. */
#include "tests/sim/history_events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/status.h"
#include "machine/rows.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"

enum { PLACES_FIRST = 1024 };

const char *history_event_name(enum event_type kind)
{
    static const char *const names[EVENT_KIND_MAX + 1] = {"none",
                                                          "lost",
                                                          "forced",
                                                          "unknown",
                                                          "late-completion",
                                                          "timer-dead",
                                                          "session-expired",
                                                          "admin",
                                                          "queued",
                                                          "granted",
                                                          "released",
                                                          "record",
                                                          "timer-fired"};
    HF_ASSERT(kind <= EVENT_KIND_MAX);
    return names[kind];
}

void history_events_init(struct history *h)
{
    h->events.first = 1;
    h->events.window = h->settings[SETTING_EVENTS_WINDOW];
}

uint64_t history_events_next(const struct history *h)
{
    return h->events.count + 1;
}

uint64_t history_events_first(const struct history *h)
{
    return h->events.first;
}

const struct history_event *history_event(const struct history *h, uint64_t number)
{
    HF_ASSERT(number >= 1 && number <= h->events.count);
    return &h->events.told[number - 1];
}

uint64_t history_event_hash(struct history *h, const struct event_line *line)
{
    buffer_clear(&h->part); /* its memory, for the moment */
    int rv = codec_encode(&event_line_type, line, &h->part);
    HF_ASSERT(rv == HF_OK);
    return hash64(0, h->part.data, h->part.size);
}

/* ------------------------------------------------------------------ what was told */

static struct history_event *add(struct history_events *e)
{
    if (e->count == e->places) {
        e->places = e->places == 0 ? PLACES_FIRST : e->places * 2;
        e->told = realloc(e->told, e->places * sizeof *e->told);
        HF_ASSERT(e->told != NULL);
    }
    return &e->told[e->count++];
}

static uint64_t mark_of_record(uint64_t token, uint64_t state)
{
    return token * (RECORD_STATE_MAX + 1) + state;
}

/* What tells events of one kind and name apart. */
static uint64_t mark_of(const struct row_event *row)
{
    switch ((enum event_type)row->kind) {
    case EVENT_LOST:
    case EVENT_FORCED:
    case EVENT_RELEASED:
    case EVENT_GRANTED:
    case EVENT_UNKNOWN:
    case EVENT_LATE_COMPLETION: return row->fencing_token;
    case EVENT_SESSION_EXPIRED:
    case EVENT_QUEUED: return row->session;
    case EVENT_ADMIN: return row->what;
    case EVENT_TIMER_DEAD:
    case EVENT_TIMER_FIRED: return row->serial;
    case EVENT_RECORD: return mark_of_record(row->fencing_token, row->what);
    case EVENT_KINDS_ALL: break;
    }
    HF_UNREACHABLE();
}

/* \return false: there is none of this number. */
static bool see(struct history *h, uint64_t number, struct history_event *event)
{
    struct slice value;
    struct row_event row;
    struct row_key key = row_key_u64(number);
    int rv = store_get(h->store, TABLE_EVENTS, row_key_slice(&key), &value);
    if (rv == HF_ENOTFOUND) return false;
    HF_ASSERT(rv == HF_OK);
    history_decode(h, &row_event_type, value, &row);
    const struct event_line line = {
        .number = number,
        .kind = row.kind,
        .at_ms = row.at_ms,
        .wall_ms = row.wall_ms,
        .name = row.name,
        .session = row.session,
        .fencing_token = row.fencing_token,
        .what = row.what,
        .serial = row.serial,
        .client_name = row.client_name,
        .operator_name = row.operator_name,
        .branch = row.branch,
    };
    if (row.at_ms != machine_time_ms(h->machine))
        sim_fail("event %" PRIu64 " has the time %" PRIu64 ", and is of an entry of %" PRIu64,
                 number, row.at_ms, machine_time_ms(h->machine));
    HF_ASSERT(row.name.size <= sizeof event->name);
    event->kind = (uint8_t)row.kind;
    event->mark = mark_of(&row);
    event->at_ms = row.at_ms;
    event->name_bytes = (uint8_t)row.name.size;
    memcpy(event->name, row.name.data, row.name.size);
    event->hash = history_event_hash(h, &line);
    h->events.counts[row.kind]++;
    return true;
}

/* Numbers that follow each other: so how many are kept says which is the oldest. */
static void look_at_window(struct history *h)
{
    struct history_events *e = &h->events;
    uint64_t kept = store_count(h->store, TABLE_EVENTS);
    uint64_t window = h->settings[SETTING_EVENTS_WINDOW];
    uint64_t least = e->window < window ? e->window : window;
    if (kept > e->count)
        sim_fail("%" PRIu64 " events are kept, and %" PRIu64 " were told", kept, e->count);
    uint64_t first = e->count + 1 - kept;
    if (first < e->first) sim_fail("event %" PRIu64 " had gone, and is kept again", first);
    if (first > e->first && kept < least)
        sim_fail("only %" PRIu64 " events are kept, and %" PRIu64 " are to be", kept, least);
    e->first = first;
    e->window = window;
}

void history_events_applied(struct history *h)
{
    struct history_events *e = &h->events;
    struct history_event event = {0};
    while (see(h, e->count + 1, &event)) *add(e) = event;
    look_at_window(h);
}

/* ------------------------------------------------------------------ what is to be told */

static bool is_covered(const struct history_events *e, struct slice name)
{
    for (uint32_t i = 0; i < e->switched_count; i++) {
        if (slice_starts(name, slice_make(e->switched[i].text, e->switched[i].bytes))) return true;
    }
    return false;
}

void history_events_owe(struct history *h, enum event_type kind, enum history_thing thing,
                        uint32_t index, uint64_t mark)
{
    static const char *const things[] = {"", "lock", "record", "timer"};
    struct history_events *e = &h->events;
    struct history_event owed = {.kind = (uint8_t)kind, .mark = mark};
    if (thing != HISTORY_ANYTHING)
        owed.name_bytes =
            (uint8_t)snprintf(owed.name, sizeof owed.name, "%s-%u", things[thing], index);
    if (kind > EVENT_ADMIN && !is_covered(e, slice_make(owed.name, owed.name_bytes))) return;
    if (e->owed_count == e->owed_places) {
        e->owed_places = e->owed_places == 0 ? PLACES_FIRST : e->owed_places * 2;
        e->owed = realloc(e->owed, e->owed_places * sizeof *e->owed);
        HF_ASSERT(e->owed != NULL);
    }
    e->owed[e->owed_count++] = owed;
}

void history_events_owe_record(struct history *h, uint32_t record, uint64_t token,
                               enum record_state state)
{
    history_events_owe(h, EVENT_RECORD, HISTORY_RECORD, record, mark_of_record(token, state));
}

void history_events_owe_act(struct history *h, uint16_t op)
{
    history_events_owe(h, EVENT_ADMIN, HISTORY_ANYTHING, 0, op);
}

void history_events_owe_ever(struct history *h, enum event_type kind, uint64_t token)
{
    HF_ASSERT(kind == EVENT_UNKNOWN || kind == EVENT_LATE_COMPLETION);
    history_events_owe(h, kind, HISTORY_ANYTHING, 0, token);
}

static bool was_told(const struct history *h, const struct history_event *owed)
{
    const struct history_token *what = history_token(h, owed->mark);
    if (owed->kind == EVENT_UNKNOWN) return what != NULL && what->unknown_told;
    return owed->kind == EVENT_LATE_COMPLETION && what != NULL && what->late_told;
}

static void remember(struct history *h, const struct history_event *told)
{
    if (told->kind != EVENT_UNKNOWN && told->kind != EVENT_LATE_COMPLETION) return;
    struct history_token *what = history_find_token(h, told->mark);
    if (what == NULL || what->session == 0)
        sim_fail("an event tells %s of %.*s, and token %" PRIu64 " was never given out",
                 history_event_name((enum event_type)told->kind), (int)told->name_bytes, told->name,
                 told->mark);
    bool *flag = told->kind == EVENT_UNKNOWN ? &what->unknown_told : &what->late_told;
    if (*flag)
        sim_fail("an event tells %s of %.*s under token %" PRIu64 " a second time",
                 history_event_name((enum event_type)told->kind), (int)told->name_bytes, told->name,
                 told->mark);
    *flag = true;
}

/* Of no name: of whatever name. */
static bool is_same(const struct history_event *owed, const struct history_event *told)
{
    bool named = owed->name_bytes == 0 || slice_equal(slice_make(owed->name, owed->name_bytes),
                                                      slice_make(told->name, told->name_bytes));
    return owed->kind == told->kind && owed->mark == told->mark && named;
}

/* What is known only from answers that come later, or not at all. */
static bool may_be_told(const struct history_event *told)
{
    if (told->kind == EVENT_UNKNOWN || told->kind == EVENT_LATE_COMPLETION) return true;
    uint64_t state = told->mark % (RECORD_STATE_MAX + 1);
    return told->kind == EVENT_RECORD && state != RECORD_RUNNING && state != RECORD_DONE;
}

void history_events_settle(struct history *h)
{
    struct history_events *e = &h->events;
    for (; e->settled < e->count; e->settled++) {
        const struct history_event *told = &e->told[e->settled];
        remember(h, told);
        uint32_t at = 0;
        while (at < e->owed_count && !is_same(&e->owed[at], told)) at++;
        if (at < e->owed_count) {
            e->owed[at] = e->owed[--e->owed_count];
        } else if (!may_be_told(told)) {
            sim_fail("event %" PRIu64 " tells %s of %.*s, mark %" PRIu64 ", and nothing like that "
                     "has happened",
                     e->settled + 1, history_event_name((enum event_type)told->kind),
                     (int)told->name_bytes, told->name, told->mark);
        }
    }
    while (e->owed_count > 0 && was_told(h, &e->owed[0])) e->owed[0] = e->owed[--e->owed_count];
    if (e->owed_count == 0) return;
    sim_fail("%s of %.*s, mark %" PRIu64 ", has happened, and is not told",
             history_event_name((enum event_type)e->owed[0].kind), (int)e->owed[0].name_bytes,
             e->owed[0].name, e->owed[0].mark);
}

/* ------------------------------------------------------------------ EVENTS_SWITCH */

static uint32_t find_switched(const struct history_events *e, struct slice prefix)
{
    uint32_t at = 0;
    while (at < e->switched_count &&
           !slice_equal(slice_make(e->switched[at].text, e->switched[at].bytes), prefix))
        at++;
    return at;
}

void history_events_answered(struct history *h, const struct history_answer *a,
                             struct slice request, const struct machine_reply *reply)
{
    struct msg_events_switch want;
    struct history_events *e = &h->events;
    int status = reply->status;
    if (a->op != OP_CODE_EVENTS_SWITCH) return;
    if (status != HF_OK && status != HF_ENOTFOUND && status != HF_EQUOTA) return; /* its session */
    history_decode(h, &msg_events_switch_type, request, &want);
    uint32_t at = find_switched(e, want.prefix);
    bool is_on = at < e->switched_count;
    int right = want.on == 0 && !is_on ? HF_ENOTFOUND : HF_OK;
    if (want.on != 0 && !is_on && e->switched_count == HISTORY_SWITCHED_MAX) right = HF_EQUOTA;
    if (status != right)
        sim_fail("EVENTS_SWITCH of %.*s to %" PRIu64 " is answered %s, and %s is right",
                 (int)want.prefix.size, (const char *)want.prefix.data, want.on,
                 status_name(status), status_name(right));
    if (status != HF_OK || is_on == (want.on != 0)) return;
    if (is_on) {
        e->switched[at] = e->switched[--e->switched_count];
    } else {
        struct history_switched *s = &e->switched[e->switched_count++];
        HF_ASSERT(want.prefix.size <= sizeof s->text);
        if (want.prefix.size > 0) memcpy(s->text, want.prefix.data, want.prefix.size);
        s->bytes = want.prefix.size;
    }
    history_events_owe_act(h, OP_CODE_EVENTS_SWITCH);
}

void history_events_close(struct history *h)
{
    free(h->events.told);
    free(h->events.owed);
}
