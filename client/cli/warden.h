/* A second pair of eyes on a lease: a small process beside us that ends the command's group when we
 * cannot, because we were killed with -9, stopped, or starved past the deadline. It knows the last
 * deadline that it was told, nothing else; it never acts while we are alive and in time. */
#ifndef CLIENT_CLI_WARDEN_H
#define CLIENT_CLI_WARDEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/assert.h"

struct warden {
    pid_t pid; /**< of the process; 0 = there is none */
    int fd;    /**< it reads the other end; its end of file is our death */
};

/** Start it, before the command. \param w  Out; also on failure: without a process.
 * \param unused  `count` descriptors that it must not hold open.
 * \return 0, or an errno. */
HF_MUST_USE
int warden_start(struct warden *w, const int *unused, size_t count);

/** Tell it whom to end, and how much of the lease is left. */
void warden_tell(struct warden *w, pid_t group, uint64_t left_ms);

/** Dismiss it and wait for its end; before the group's leader is waited for, so that the group's
 * number is still its own. */
void warden_stop(struct warden *w);

#endif
