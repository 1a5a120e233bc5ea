/* How often each kind of fault came, each point in the code said yes, each thing was done by
 * administrators or came of timers, branches and WATCHes, each kind of event was told, and who died
 * where, over many seeds: what a simulation never does it never tests. */
#ifndef TESTS_SIM_KINDS_H
#define TESTS_SIM_KINDS_H

#include <stdbool.h>

#include "tests/sim/sim.h"

struct kinds {
    uint64_t faults[FAULT_COUNT];         /* that had an effect */
    uint64_t points[BUGGIFY_POINT_COUNT]; /* base/buggify.h */
    uint64_t acts[HISTORY_ACTS];          /* of administrators, as the log has them */
    uint64_t timers[HISTORY_TIMER_EVENTS];
    uint64_t branches[HISTORY_BRANCH_EVENTS];
    uint64_t txns[HISTORY_TXN_EVENTS];
    uint64_t watches[CHECK_WATCH_EVENTS];
    uint64_t told[EVENT_KIND_MAX + 1]; /* events, by their kinds */
    uint64_t deaths[LEDGER_DEATHS];    /* of coordinators and participants */
};

/** Count a run. */
void kinds_add(struct kinds *k, const struct sim_result *result);

/** Print a line each. \return false: one of them never came. */
bool kinds_print(const struct kinds *k);

#endif
