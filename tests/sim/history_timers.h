/* Timers as the log has them, kept a second time: what each was set to, whether it has fired, who
 * was given it, under which token, and how it ended. Worked out from the entries alone, so that a
 * rule which the machine itself breaks is seen (docs/contract.md, section 8):
 *
 *   - a timer fires in the first sweep at or after its time, and in no earlier one
 *   - SET, CANCEL and the sweep decide once, by log order: what was cancelled is given to nobody,
 *     what has fired cannot be cancelled, and both are told so as long as the tombstone stays
 *   - POLL gives out the ready timers of its group, by time and then by key, all that it asks for;
 *     each under a token of its own, with its payload, and as the attempt that it is
 *   - a delivery without an ACK comes again at its lease's end or after NACK's delay; the last one
 *     makes the timer dead, which only REQUEUE ends
 *   - ACK is good for the last delivery alone, and nothing is given out after it
 *   - a repeated POLL brings what still stands of its deliveries
 *   - LIST shows all of that, and nothing else */
#ifndef TESTS_SIM_HISTORY_TIMERS_H
#define TESTS_SIM_HISTORY_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct history;
struct history_answer;
struct machine_reply;

struct history_timer {
    uint64_t version;       /* the highest that there was */
    uint64_t set_ms;        /* cluster time that it is to fire at */
    uint64_t due_ms;        /* of its next move: by time; ready: its place in the queue */
    uint64_t fired_ms;      /* cluster time; 0 = it has not */
    uint64_t token;         /* of the last delivery; 0 = none stands */
    uint64_t attempt;       /* deliveries so far */
    uint64_t attempts_max;  /* as set */
    uint64_t payload_hash;  /* as set */
    uint64_t payload_bytes; /* likewise; 0 of a tombstone */
    uint32_t group;         /* its number */
    uint8_t state;          /* enum timer_state */
};

/* What came of them. */
enum history_timer_event {
    TIMER_EVENT_SET,       /* anew */
    TIMER_EVENT_REPLACED,  /* by a higher version, or set again over a tombstone */
    TIMER_EVENT_SAME,      /* told that it stands, or that it is an older one */
    TIMER_EVENT_REFUSED,   /* a SET: FROZEN or QUOTA */
    TIMER_EVENT_CANCELLED, /* a pending one */
    TIMER_EVENT_FIRED,     /* by a sweep */
    TIMER_EVENT_DELIVERED, /* for the first time */
    TIMER_EVENT_AGAIN,     /* or for another one */
    TIMER_EVENT_LAPSED,    /* its lease was over */
    TIMER_EVENT_ACKED,     /* acknowledged */
    TIMER_EVENT_LATE_ACK,  /* likewise, after the lease */
    TIMER_EVENT_STALE,     /* ACK or NACK of a delivery that does not stand */
    TIMER_EVENT_NACKED,    /* given back */
    TIMER_EVENT_DEAD,      /* its attempts were used up */
    TIMER_EVENT_REQUEUED,  /* by an operator */
    TIMER_EVENT_TOLD,      /* SET or CANCEL of what has ended or fired: told so */
    TIMER_EVENT_REPEATED,  /* a POLL's deliveries, told again */
    HISTORY_TIMER_EVENTS,  /* how many there are */
};

/** A kind's name, for people. */
const char *history_timer_event_name(enum history_timer_event event);

/** An op about a timer was answered for the first time; any other one is let pass. As
 * history_answered(). */
void history_timer_answered(struct history *h, struct history_answer *a, struct slice request,
                            const struct machine_reply *reply);

/** A POLL that was answered is answered again. */
void history_timer_repeated(struct history *h, const struct history_answer *a,
                            const struct machine_reply *reply);

/** A sweep begins: what is due at its cluster time. */
void history_timers_sweep(struct history *h, uint64_t at_ms);

/** Does the machine's LIST show the same? */
void history_timers_audit(struct history *h);

/** One that is ready, or has been due for longer than a moment at this cluster time and has not
 * moved; SIM_TIMERS_MAX: there is none. */
uint32_t history_timers_unsettled(const struct history *h, uint64_t now_ms);

#endif
