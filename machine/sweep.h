/* The sweep at the head of an entry: what is due ends, in the order of docs/contract.md, section
 * 1: waits and waiters, grants in token order, attempts, the rest; then queues are served once. */
#ifndef MACHINE_SWEEP_H
#define MACHINE_SWEEP_H

#include "machine/state.h"

/** Sweep at m's cluster time. \param op_count of the entry: it bounds the rows touched. What is
 * left over stays due, and machine_next_deadline_ms() says so. */
HF_MUST_USE
int sweep_run(struct machine *m, uint64_t op_count);

#endif
