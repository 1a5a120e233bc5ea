/* The history's judge: `check` of this very program, in a process of its own, so that neither its
 * memory nor its time are the run's. */
#ifndef JEPSEN_RUN_JUDGE_H
#define JEPSEN_RUN_JUDGE_H

#include "jepsen/run/results.h"

/** Hold the history against each model of the workload; what the checker writes goes to
 * check-MODEL.txt. A history that does not fit is a failure of the world.
 * \return RUN_GOOD, RUN_VIOLATED, RUN_UNDECIDED, or RUN_IO if it did not read the history. */
HF_MUST_USE
int judge_history(struct world *w, struct results *r);

#endif
