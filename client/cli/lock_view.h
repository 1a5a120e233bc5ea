/* One lock with all that is known of it, for people and as JSON: `locks NAME --queue`. */
#ifndef CLIENT_CLI_LOCK_VIEW_H
#define CLIENT_CLI_LOCK_VIEW_H

#include "client/cli/cli.h"
#include "client/raw.h"

/** Ask for the lock and print it. \return CLI_OK, or an exit code after a sentence. */
HF_MUST_USE
int lock_view_run(struct cli *cli, struct arena *arena, const char *name);

#endif
