/* What processes left behind that no run may have: a failed assertion, a sanitizer's complaint, a
 * defect that a client met, a core file. */
#ifndef JEPSEN_RUN_LOGS_H
#define JEPSEN_RUN_LOGS_H

#include "jepsen/run/world.h"

/** Look through every log and folder of the run; each finding is a failure of the world. */
void logs_look(struct world *w);

/** Remove what only a failed run's reader needs: the servers' directories. */
void logs_tidy(const struct world *w);

#endif
