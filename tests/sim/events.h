/* What happens next in a simulation: a heap of events, ordered by true time and, among those of
 * one moment, by the order in which they were put in. So the order is total, and the same seed
 * runs through the same events. Out of memory aborts. */
#ifndef TESTS_SIM_EVENTS_H
#define TESTS_SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
    EVENT_CHUNK,      /* the first chunk of a pipe arrives; target: stream and direction */
    EVENT_NODE,       /* a server's pass is due */
    EVENT_CLIENT,     /* a client's step is due */
    EVENT_READER,     /* a reader's step is due */
    EVENT_JOB,        /* a job of a server's log has run; target: server and lane */
    EVENT_FLUSH,      /* the flush of a server's store has run */
    EVENT_RESTART,    /* a server is started again */
    EVENT_REBIRTH,    /* a client is started again */
    EVENT_RESUME,     /* a paused host goes on */
    EVENT_FAULT,      /* the next fault is due; target: its kind */
    EVENT_HEAL,       /* a fault ends; target: its kind */
    EVENT_AUDIT,      /* the whole state is looked at */
    EVENT_WATCH,      /* is what has to come in time here? */
    EVENT_CALM,       /* no more faults: everything has to come right */
    EVENT_LOOK,       /* has it? */
    EVENT_COPIER,     /* the copier has something to do */
    EVENT_KIND_COUNT, /* how many there are */
};

struct event {
    uint64_t at_ns;  /* true time */
    uint64_t order;  /* counts pushes; written by events_push() */
    uint64_t stamp;  /* of the target: an event for an earlier life of it is ignored */
    uint32_t kind;   /* enum event_kind */
    uint32_t target; /* whose */
};

struct events {
    struct event *heap; /* owned; a binary heap */
    size_t count;       /* in it */
    size_t capacity;    /* allocated */
    uint64_t order;     /* of the last push */
};

/** Put an event in. */
void events_push(struct events *e, struct event event);

/** Take the next one out. \return false: there is none. */
bool events_pop(struct events *e, struct event *event);

/** When the next one is; UINT64_MAX: there is none. */
static inline uint64_t events_next_ns(const struct events *e)
{
    return e->count > 0 ? e->heap[0].at_ns : UINT64_MAX;
}

/** Drop all. */
void events_clear(struct events *e);

/** Free; a zeroed one is accepted. */
void events_close(struct events *e);

#endif
