/* One client in a simulation: the production core of the library, and the shell around it, which
 * is client/io.c's in virtual time, with a few tasks for threads (tests/sim/task.h). It may be
 * paused past its lease, die and come again as somebody else. */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

#include "client/core.h"
#include "tests/sim/clock.h"
#include "tests/sim/network.h"
#include "tests/sim/task.h"

struct sim;

struct sim_client {
    struct sim *sim;                          /* borrowed */
    uint32_t index;                           /* of the clients */
    uint32_t host;                            /* in the network */
    bool alive;                               /* the process runs, perhaps paused */
    bool paused;                              /* stopped */
    struct core core;                         /* of this life */
    struct sim_clock clock;                   /* the machine's */
    struct prng random;                       /* what the tasks do */
    struct prng secrets;                      /* what core_init() is given to draw from */
    struct stream *stream;                    /* to a server; NULL = none */
    uint64_t epoch;                           /* the core's link.epoch that it is for */
    uint64_t wake_ns;                         /* a step is due then, true time */
    uint64_t wake_stamp;                      /* of that event */
    uint64_t life;                            /* counts starts */
    uint64_t ttl_ms;                          /* of its sessions */
    struct sim_task tasks[SIM_TASKS_MAX + 1]; /* client_task_count() of them */
    uint32_t closing;                         /* 1: CLOSE is wanted; 2: it is on its way */
    struct call *close_call;                  /* that one */
    uint64_t served_ns;                       /* when its last task was, true time; 0 = not yet */
};

/** Make a client that is not alive. */
void client_init(struct sim_client *c, struct sim *sim, uint32_t index);

/** Begin a life. */
void client_start(struct sim_client *c);

/** The process is killed. */
void client_die(struct sim_client *c);

/** Stop it, or let it go on. */
void client_pause(struct sim_client *c, bool paused);

/** A step is due at `at_ns` at the latest, true time. */
void client_wake(struct sim_client *c, uint64_t at_ns);

/** Its event. */
void client_event(struct sim_client *c, const struct event *event);

/** Its clock, nanoseconds. */
uint64_t client_now(const struct sim_client *c);

/** Its connection breaks behind what it has to send now, which comes late by `late_ns`: what it
 * sends on the next one may overtake it. Nothing happens if it has none. */
void client_hang_up(struct sim_client *c, uint64_t late_ns);

/** Its tasks, with the one for the end of the run. */
uint32_t client_task_count(const struct sim_client *c);

/** The run comes to its end: begin the last task. */
void client_calm(struct sim_client *c);

/** Free it. */
void client_close(struct sim_client *c);

#endif
