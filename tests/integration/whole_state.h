/* After a server stopped as it was asked to, its store holds everything: this looks at it without
 * the server, row by row, against the invariants of a whole state. */
#ifndef TESTS_INTEGRATION_WHOLE_STATE_H
#define TESTS_INTEGRATION_WHOLE_STATE_H

#include <stdbool.h>

#include "tests/integration/server_process.h"

/** True if the stopped server's store checks out and all invariants hold; else it is printed what
 * does not. */
bool whole_state_holds(const struct server_process *s);

#endif
