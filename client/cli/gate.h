/* Starting a command in two steps: a process that stands at a gate, and the gate's opening, at
 * which it becomes the command. In between its number can be told to whoever must end it
 * (warden.h): a runner that dies at any moment leaves a command that is watched, or none at all. */
#ifndef CLIENT_CLI_GATE_H
#define CLIENT_CLI_GATE_H

#include <signal.h>
#include <sys/types.h>

#include "base/assert.h"

struct gate {
    pid_t pid;  /**< who stands at it, and leads a group of its own */
    int go;     /**< one byte opens it; its end of file sends the process away */
    int failed; /**< an errno comes out of it if the command cannot be executed */
};

/** Start the process. \param g  Out. \param command  searched in PATH; NULL behind the last word.
 * \param out       its standard output; -1 = ours.
 * \param defaults  signals that it finds with their default action; none is blocked.
 * \return 0, or an errno: no process is there. */
HF_MUST_USE
int gate_start(struct gate *g, char *const command[], int out, const sigset_t *defaults);

/** Let it become the command, and wait until it has. Closes what `g` holds but the process.
 * \return 0, or the errno of what failed: the process has ended and was waited for. */
HF_MUST_USE
int gate_open(struct gate *g);

/** Send it away instead and wait for its end: the command never ran. */
void gate_close(struct gate *g);

#endif
