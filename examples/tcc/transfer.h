/* One transfer between two ledgers, whole or not at all. This is the example's heart:
 * examples/tcc/README.md explains why each step stands where it does. It uses the public interface
 * of holdfast and nothing else, and keeps no state of its own: whoever runs a transfer again, after
 * a death or at the same time, finds in the barrier how far it is. */
#ifndef EXAMPLES_TCC_TRANSFER_H
#define EXAMPLES_TCC_TRANSFER_H

#include <holdfast_tcc.h>

#include "examples/tcc/ledger.h"

enum { STEP_BYTES = 32 };

struct coordinator {
    hf_client *client; /**< the session with the cluster */
    uint64_t lease_ms; /**< of each phase: how long the others wait for one who dies in it */
    int give_up;       /**< call off whatever is not decided yet, instead of trying it */
    int fenced;        /**< local transactions that the guard refused */
    int taken_over;    /**< phases whose earlier attempt had died */
    int empty;         /**< cancels with nothing to undo */
    void (*step_cb)(const char *step, void *data); /**< told of each step, "debit-try-asked", ... */
    void *data;                                    /**< handed to it */
};

/** A transfer: two legs, one debit and one credit. The debit's barrier decides. */
struct transfer {
    struct leg debit;  /**< where the money comes from */
    struct leg credit; /**< where it goes; the same gid */
};

/** Make the transfer, or find it made. Blocks until it has ended, through restarts of servers; ends
 * the process with a sentence on what no repetition can mend.
 * \return 1 made; 0 called off, everything as before. Every later call returns the same. */
int transfer_run(struct coordinator *c, const struct transfer *t);

#endif
