/* Copies of requests that come late. The copier remembers numbered requests that clients send; as
 * a fault it goes to a server by a connection of its own, often the leader, and says some of them
 * again, byte by byte: what a client's earlier connection still had under way comes so, after the
 * client has sent the request again, given it up, or died. Each must be answered as before and do
 * nothing more: history.c looks. What is answered here nobody reads.
 *
 * A request that waits gives its answer to whoever said it last (server/pending.h): that is the
 * copier then, and the client is told to ask again. On a client's own connection nothing is
 * copied: an id answered twice there is a server's fault, and the client leaves. What a server has
 * refused for sure was read, and is under way nowhere: it is not said again. */
#ifndef TESTS_SIM_COPIER_H
#define TESTS_SIM_COPIER_H

#include "base/prng.h"
#include "tests/sim/network.h"
#include "tests/sim/swarm.h"

struct sim;

enum {
    COPIER_HOST = SIM_NODES_MAX + SIM_CLIENTS_MAX + SIM_READERS_MAX,
    COPIER_FRAMES = 64,       /* that are remembered: the last ones */
    COPIER_FRAME_BYTES = 4096 /* a longer one is not */
};

struct copied_frame {
    uint32_t bytes; /* in use */
    uint8_t data[COPIER_FRAME_BYTES];
};

struct copier {
    struct sim *sim;                           /* borrowed */
    struct prng random;                        /* servers, frames, times */
    struct stream *stream;                     /* to a server; NULL = none */
    bool said;                                 /* what it has to say */
    uint64_t leave_ns;                         /* it goes then, true time */
    uint64_t frame_count;                      /* ever remembered */
    uint64_t copy_count;                       /* ever said */
    struct copied_frame frames[COPIER_FRAMES]; /* in a circle */
};

/** Begin with nothing remembered. */
void copier_init(struct copier *c, struct sim *sim);

/** A client was told of this request that nothing was done, and nothing will be. */
void copier_refused(struct copier *c, uint64_t session, uint64_t seq);

/** The network's: a client sends. */
void copier_hear(struct copier *c, struct stream *s, struct slice bytes);

/** Go to a server. \return false: it is on its way already, or knows nothing to say. */
bool copier_go(struct copier *c);

/** There is something to look at. */
void copier_wake(struct copier *c, uint64_t after_ns);

/** Its event. */
void copier_event(struct copier *c);

/** Go home. */
void copier_stop(struct copier *c);

#endif
