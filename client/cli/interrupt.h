/* Ctrl-C while a verb waits in the library: the wait is cancelled, so that no place in a queue and
 * no grant stays behind, and the verb ends by itself. One wait at a time. */
#ifndef CLIENT_CLI_INTERRUPT_H
#define CLIENT_CLI_INTERRUPT_H

#include "client/cli/cli.h"

/** From now on INT, TERM, HUP and QUIT cancel the client's calls (hf_client_cancel), now and every
 * second again until interrupt_end(). One that we were started with ignored stays so. Without
 * memory or threads for it the signals go on ending the process. */
void interrupt_begin(hf_client *client);

/** The signal that came since interrupt_begin(), or 0. */
HF_MUST_USE
int interrupt_signal(void);

/** The signals are as before. \return the signal that came, or 0. */
HF_MUST_USE
int interrupt_end(void);

#endif
