/* An orderly stop, as SIGTERM asks for it, without a signal, a socket or a clock: the server's loop
 * and the simulation take the same steps.
 *
 * Once a pass: what is in flight is answered; leadership is handed over to the member that is
 * nearest; every connection is told SHUTDOWN and closed; the store is flushed, so that the next
 * start has nothing to apply again. Then the process ends.
 *
 * Failure modes: each of these may hang on somebody else (a majority that is away, a client that
 * does not read, a disk that is slow), so the whole has a limit. Where it is reached the process
 * ends as it is: everything acknowledged is in the log. */
#ifndef SERVER_STOPPING_H
#define SERVER_STOPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "server/door.h"

enum { STOPPING_MS_MAX = 5000 };

enum stopping_state {
    STOPPING_GOES_ON, /* come back in the next pass */
    STOPPING_DONE,    /* nothing is left to do: end the process */
    STOPPING_LATE,    /* the time is up: end it as it is */
};

/** A zeroed one is not begun. */
struct stopping {
    uint64_t until_ms; /**< over by then, on the caller's elapsed clock; 0 = not begun */
    bool handed_over;  /**< leadership needs no more care */
    bool said_goodbye; /**< SHUTDOWN was told */
};

/** Begin: new requests are answered SHUTDOWN from now on. The shell takes no more clients in. */
void stopping_begin(struct stopping *s, struct replica *r, struct replica_now now);

/** True from stopping_begin() on. */
static inline bool stopping_begun(const struct stopping *s)
{
    return s->until_ms != 0;
}

/** Take the next step: once a pass, after replica_pass_end(). Only once begun.
 * \param state  Out. \retval faults only. */
HF_MUST_USE
int stopping_pass(struct stopping *s, struct replica *r, struct door *d, struct replica_now now,
                  enum stopping_state *state);

/** When the next pass must come at the latest; UINT64_MAX: not begun. */
uint64_t stopping_next_wake(const struct stopping *s);

#endif
