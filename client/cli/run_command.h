/* Running a command under a lease. The command is the leader of a process group of its own, so that
 * all of it can be ended at once. While it runs, the local deadline of the lease is watched: TERM
 * comes early enough to clean up, KILL to the whole group before the deadline. INT, TERM, HUP,
 * QUIT, USR1 and USR2 that reach us are passed on; at a terminal the command gets the foreground,
 * as from a shell. What the group does after its leader has ended by itself is its own business.
 *
 * Failure modes: the command cannot be started (nothing ran). We are killed with -9 or stopped: the
 * warden (client/cli/warden.h) ends the group, by TERM at our death and KILL at the deadline. Both
 * are: only the resource's check of the fencing token protects it. */
#ifndef CLIENT_CLI_RUN_COMMAND_H
#define CLIENT_CLI_RUN_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/slice.h"

enum {
    RUN_KILL_LEFT_MS = 40,       /* KILL when so little is left: the scheduler may be late */
    RUN_TERM_LEFT_MS_MIN = 150,  /* TERM when a fifth of the lease is left, */
    RUN_TERM_LEFT_MS_MAX = 3000, /* within these */
};

/** What to run, and under what. */
struct run_order {
    char *const *command;            /**< NULL-terminated; borrowed */
    uint64_t token;                  /**< for HOLDFAST_TOKEN in its environment */
    const char *derived_key;         /**< for HOLDFAST_DERIVED_KEY; NULL = not set */
    uint64_t lease_ms;               /**< length of the watched lease */
    uint64_t (*left_ms)(void *data); /**< until the local deadline; NULL = the command runs on */
    bool (*gives_back)(void *data);  /**< asked at each look at the lease: end the command now, with
                                          TERM alone; NULL = never */
    void *data;                      /**< handed to both */
    struct buffer *capture; /**< keep standard output here up to its maximum, and show it; NULL =
                                 the command writes to ours itself */
};

/** How it went. */
struct run_result {
    int error;          /**< errno if it could not be started, else 0 */
    int exit_code;      /**< its own, or 128 + signal */
    int signal;         /**< that ended it; 0 = it exited */
    bool stopped;       /**< we ended it, because the lease was about to be lost, */
    bool given_back;    /**< or because of gives_back */
    uint64_t out_bytes; /**< of its standard output, also those beyond the capture's maximum */
};

/** Run it and wait for its end. Blocks. With a capture it waits until everything that inherited
 * the standard output has closed it, too, as a shell's $(...) does. One at a time in a process.
 * \param result  Out. */
void run_command(const struct run_order *order, struct run_result *result);

/** Look at the lease now. Any thread; for the library's lost_cb and asked_cb. */
void run_wake(void);

/** Milliseconds left at which TERM is sent under a lease of `lease_ms`. */
uint64_t run_term_left_ms(uint64_t lease_ms);

#endif
