/* The servers of a run: real holdfastd, each in its node, on a folder of its own. Who is down or
 * stopped because a nemesis wanted it is known here, so that a server that ends by itself is found
 * out. Only for the run's one thread. */
#ifndef JEPSEN_RUN_SERVERS_H
#define JEPSEN_RUN_SERVERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "jepsen/run/net.h"
#include "jepsen/run/run.h"

enum { SERVERS_ADDRESS_BYTES = 64, SERVERS_LIST_BYTES = 512, SERVERS_RATE_PER_MILLION = 1000000 };

struct server {
    pid_t pid;       /**< 0 = not running */
    bool stopped;    /**< by SIGSTOP */
    bool made;       /**< its directory is there */
    uint32_t rate;   /**< of its clocks, in millionths; 1,000,000 = true */
    unsigned starts; /**< so far */
};

struct servers {
    const struct plan *plan;       /**< borrowed */
    const struct net *net;         /**< borrowed */
    bool wall_faked;               /**< under libfaketime, with a file that tells the wall clock */
    bool rate_faked;               /**< under libfaketime, with a rate of each start */
    char faketime[RUN_PATH_BYTES]; /**< libfaketime; needed by the two above */
    struct server list[RUN_SERVERS_MAX]; /**< number i + 1 at i */
};

/** The address of server `i` (from 0) for clients. \return `out`. */
const char *servers_client_address(unsigned i, char out[SERVERS_ADDRESS_BYTES]);

/** All of them, as hf_options wants them. \param out Out: room for SERVERS_LIST_BYTES. */
void servers_client_list(unsigned count, char *out);

/** The folder of a server: log, data/, clock. \param out Out: room for RUN_PATH_BYTES * 2. */
void servers_folder(const struct servers *s, unsigned i, char *out);

/** Start one that is down. \return false: no process, or no folder. */
bool servers_start(struct servers *s, unsigned i);

/** SIGKILL; nothing if it is down. */
void servers_kill(struct servers *s, unsigned i);
/** SIGSTOP. */
void servers_stop(struct servers *s, unsigned i);
/** SIGCONT. */
void servers_go_on(struct servers *s, unsigned i);
/** All at once, then reaped. */
void servers_kill_all(struct servers *s);

/** SIGTERM, and SIGKILL if it takes over 10 s. \param status Out: the wait status.
 * \return false: it had to be killed. */
bool servers_end(struct servers *s, unsigned i, int *status);

/** Set the wall clock of a server off by so many seconds from now on. */
bool servers_set_wall(struct servers *s, unsigned i, long seconds);

/** Up and not stopped. */
bool servers_is_well(const struct servers *s, unsigned i);

/** Which server has this pid? \return the plan's count if none has. */
unsigned servers_find(const struct servers *s, pid_t pid);

#endif
