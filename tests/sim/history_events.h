/* Events as the log has them (docs/contract.md, section 8): what each applied op and each sweep
 * has told, row by row, also what is kept no longer, so that whatever a watcher is shown, or is
 * not, can be held against it. Besides, from the log alone:
 *
 *   - numbers follow each other, and an event's cluster time is its entry's
 *   - of the oldest only those go that are more than the setting says
 *   - EVENTS_SWITCH is answered by the prefixes that are switched on
 *   - what comes of locks, timers, sessions and acts of administrators, as the other files know it,
 *     is told, once for each name, where it is always told or a prefix of it is on, and nothing
 *     else is; so are attempts that begin and end
 *   - what becomes of an attempt that lapses is not known here, so it may be told; that it is
 *     UNKNOWN is told before BEGIN says so, and that it was completed too late is told by then */
#ifndef TESTS_SIM_HISTORY_EVENTS_H
#define TESTS_SIM_HISTORY_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "protocol/messages.h"

struct history;
struct history_answer;
struct machine_reply;

enum { HISTORY_EVENT_NAME_BYTES = 32, HISTORY_SWITCHED_MAX = 64 };

/* An event that was told. */
struct history_event {
    uint64_t hash;                       /* of the whole line */
    uint64_t at_ms;                      /* cluster time */
    char name[HISTORY_EVENT_NAME_BYTES]; /* what it happened to */
    uint64_t mark;                       /* which of its name: see history_events.c */
    uint8_t name_bytes;                  /* of it */
    uint8_t kind;                        /* enum event_type */
};

struct history_switched {
    char text[HISTORY_EVENT_NAME_BYTES];
    size_t bytes;
};

/* What it happens to. */
enum history_thing { HISTORY_ANYTHING, HISTORY_LOCK, HISTORY_RECORD, HISTORY_TIMER };

struct history_events {
    struct history_event *told;                             /* owned; number 1 first */
    uint64_t count;                                         /* of them */
    uint64_t places;                                        /* allocated */
    uint64_t first;                                         /* the oldest that is kept */
    uint64_t window;                                        /* the setting, as it was last seen */
    struct history_switched switched[HISTORY_SWITCHED_MAX]; /* prefixes that are on */
    uint32_t switched_count;                                /* of them */
    struct history_event *owed;                             /* owned; what is to be told */
    uint32_t owed_count;                                    /* of them */
    uint32_t owed_places;                                   /* allocated */
    uint64_t settled;                                       /* of those told, held against owed */
    uint64_t counts[EVENT_KIND_MAX + 1];                    /* of each kind, for people */
};

/** A kind's name, for people. */
const char *history_event_name(enum event_type kind);

/** Begin with none, and with the settings as they are at first. */
void history_events_init(struct history *h);

/** A part of an entry was applied: see what it has told. */
void history_events_applied(struct history *h);

/** By the part of an entry that is being applied this is to be told, if it is of a kind that is
 * always told or a prefix of it is on. \param index  of the thing; none of anything else.
 * \param mark  token, session or attempt: see history_events.c. */
void history_events_owe(struct history *h, enum event_type kind, enum history_thing thing,
                        uint32_t index, uint64_t mark);

/** Likewise: a record's transition; an act of an administrator. */
void history_events_owe_record(struct history *h, uint32_t record, uint64_t token,
                               enum record_state state);
void history_events_owe_act(struct history *h, uint16_t op);

/** Likewise, now or at any time before: of the attempt of this token. \param kind  UNKNOWN or
 * LATE_COMPLETION. */
void history_events_owe_ever(struct history *h, enum event_type kind, uint64_t token);

/** That part is applied, and everybody has been told: is what was told what was to be? */
void history_events_settle(struct history *h);

/** EVENTS_SWITCH was answered for the first time; any other op is let pass. As
 * history_answered(). */
void history_events_answered(struct history *h, const struct history_answer *a,
                             struct slice request, const struct machine_reply *reply);

/** The number of the next event, and of the oldest that is kept (the next one's if none is). */
uint64_t history_events_next(const struct history *h);
uint64_t history_events_first(const struct history *h);

/** The event of this number, which is below the next one's. */
const struct history_event *history_event(const struct history *h, uint64_t number);

/** Of a line in an answer, as `hash` above. */
uint64_t history_event_hash(struct history *h, const struct event_line *line);

/** Free. */
void history_events_close(struct history *h);

#endif
