/* Queues that may have become servable. Whatever frees units, ends a delay or takes a waiter out
 * of a queue marks the name; when the op or the sweep's phase ends, names are taken in byte order
 * and each queue is served from its head, until no name is left or GRANTS_A_SERVING_MAX is
 * reached; the rest goes on by a deadline row that is due at once. docs/contract.md, section 4. */
#ifndef MACHINE_SERVE_H
#define MACHINE_SERVE_H

#include "machine/state.h"

/** Put a name on the list. \param table TABLE_LOCKS or TABLE_RECORDS. \param name copied. */
HF_MUST_USE
int serve_mark(struct machine *m, enum machine_table table, struct slice name);

/** Serve all that is marked. */
HF_MUST_USE
int serve_all(struct machine *m);

/** DEADLINE_SERVE. */
HF_MUST_USE
int serve_due(struct machine *m, struct slice id);

#endif
