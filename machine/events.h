/* Events: what happened, numbered in the order of the log, for those who watch (docs/contract.md,
 * section 8). Losses, forced ends, unknown outcomes, ends that came too late, dead timers, expired
 * sessions and acts of administrators are always told; the rest under prefixes that an
 * administrator has switched on, and with none of them the paths of locks and records pay one
 * comparison.
 *
 * Happy path: whoever makes something happen tells it, and a row is written there and then; when
 * more are kept than the setting says, the oldest go, EVENTS_TRIM_EACH at most an event. A number
 * is the restore epoch and a counter that goes on over restores, so a reader of another timeline
 * is found out. What a transaction takes back takes its events, the counter's too, with it: they
 * are rows like all others. The sink hears of each at once, perhaps of one that is taken back: it
 * only says that it is time to look. Failure modes: faults only. */
#ifndef MACHINE_EVENTS_H
#define MACHINE_EVENTS_H

#include "machine/dispatch.h"

enum {
    EVENTS_TRIM_EACH = 4,   /* rows that go for one that comes */
    EVENTS_TRIM_DUE = 1000, /* rows that go in one sweep, after the setting was lowered */
    EVENTS_LOOK_MAX = 2000, /* rows that one WATCH looks at; then the client asks on */
    EVENT_LINE_BYTES = 96,  /* of a line in an answer, without its texts; about */
};

/** What happened. All borrowed. */
struct event {
    enum event_type kind;       /**< of protocol/words.h, which says what `what` is */
    struct slice name;          /**< what it happened to; prefixes are compared with it */
    uint64_t session;           /**< whose, or who did it; 0 = nobody's */
    uint64_t fencing_token;     /**< 0 = none */
    uint64_t what;              /**< a word of the kind's list */
    uint64_t serial;            /**< attempt, or the act's number */
    struct slice client_name;   /**< the session's; empty: the one that its row has, if any */
    struct slice operator_name; /**< of an act */
    struct slice branch;        /**< of a branch's late end */
};

/** Tell it, if it is of a kind that is always told or under a prefix that is switched on. */
HF_MUST_USE
int event_tell(struct machine *m, const struct event *event);

/** True if anything is switched on: to build an event of the other kinds may be worth it. */
static inline bool events_on(const struct machine *m)
{
    return m->event_prefix_count > 0;
}

/** Tell that a grant of these names began, waits, or ended: an event a name, for their prefixes
 * may differ. */
HF_MUST_USE
int event_tell_names(struct machine *m, struct event event, const struct codec_strs *names);

/** The number of the next event: greater than all that were ever told. */
static inline uint64_t events_next(const struct machine *m)
{
    return m->meta.restore_epoch << 48 | (m->meta.event_counter + 1);
}

/** A number without its epoch. */
static inline uint64_t event_counter_of(uint64_t number)
{
    return number & COUNTER_MAX;
}

/** Read an event; what the row borrows is in scratch. \retval HF_ENOTFOUND it is not kept. */
HF_MUST_USE
int event_get(struct machine *m, uint64_t number, struct row_event *row);

/** The first number >= `from` that is kept, and its row. Numbers follow each other: only where a
 * restore has begun another epoch is it looked for.
 * \param at Out, also on HF_ENOTFOUND: then it is the next event's, or `from`, if that is above.
 * \retval HF_ENOTFOUND there is none. */
HF_MUST_USE
int events_find(struct machine *m, uint64_t from, uint64_t *at, struct row_event *row);

/** Read the prefixes that are switched on into the machine, as it is opened and when they change.
 */
HF_MUST_USE
int events_load(struct machine *m);

/** The setting of how many are kept was changed: what is too much goes, a sweep at a time. */
HF_MUST_USE
int events_window_changed(struct machine *m);

/** DEADLINE_EVENTS. */
HF_MUST_USE
int events_trim_due(struct machine *m, struct slice id);

/** EVENTS_SWITCH; see struct op_owner. */
HF_MUST_USE
int events_switch(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out);

/** EVENT_PREFIXES; see struct op_owner. */
HF_MUST_USE
int events_prefixes(struct machine *m, const void *request, uint64_t elapsed_ms,
                    struct reply_out *out);

/** WATCH, answered from what there is; see struct op_owner. */
HF_MUST_USE
int events_watch(struct machine *m, const void *request, uint64_t elapsed_ms,
                 struct reply_out *out);

/** The same. \param found Out: what it came to; see machine_watch(). */
HF_MUST_USE
int events_read(struct machine *m, const struct msg_watch *watch, struct reply_out *out,
                struct watch_found *found);

#endif
