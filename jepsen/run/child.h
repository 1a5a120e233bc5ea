/* Processes of a run: started in a network namespace, in a group of their own (Ctrl-C at the
 * terminal reaches the run alone, which then ends them), and killed by the kernel if the run dies,
 * however it dies. Only for the run's one thread. */
#ifndef JEPSEN_RUN_CHILD_H
#define JEPSEN_RUN_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/assert.h"

enum { CHILD_COMPLAINT_BYTES = 512 };

struct child {
    const char *const *arguments;   /**< a program and its arguments, NULL-terminated; or NULL: */
    int (*body)(void *data);        /**< what the process does; returns its exit code */
    void *data;                     /**< handed to `body` */
    const char *const *environment; /**< further "NAME=value", NULL-terminated; may be NULL */
    const char *folder;             /**< its working folder; NULL = the run's */
    const char *log;                /**< file that its output is appended to; NULL = the run's */
    int network;                    /**< descriptor of its network namespace; -1 = the run's */
    bool own_shm;                   /**< give it an empty /dev/shm that ends with it */
};

/** Start a process. \return its pid, or -1: errno says why. */
pid_t child_start(const struct child *c);

/** SIGKILL and reap. */
void child_kill(pid_t pid);

/** Reap, waiting for at most `ms`. \param status  Out: the wait status, if true. */
bool child_wait(pid_t pid, uint64_t ms, int *status);

/** How a process ended, as text: "code 3", "signal 9". \return `out`. */
const char *child_end_text(int status, char out[32]);

/** Run a tool (ip, nft) to its end. \param input  its standard input; NULL = none.
 * \param complaint  Out: what it wrote to standard error, or why it could not be started; room for
 *                   CHILD_COMPLAINT_BYTES. \return true if it ended with 0. */
bool child_tool(const char *const *arguments, int network, const char *input, char *complaint);

/** Sleep; ends early when stopping() becomes true. */
void child_sleep_ms(uint64_t ms);

/** Zeroed memory that this process and those started later have in common, for munmap().
 * \return NULL: there is none. */
void *child_share(size_t bytes);

/** From now on SIGINT, SIGTERM and SIGHUP only set what child_stopping() tells. */
void child_catch_signals(void);

/** The signal that asked the run to stop; 0 = none did. */
HF_MUST_USE
int child_stopping(void);

#endif
