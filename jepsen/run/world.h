/* Everything that a run consists of, for those who act on it: the run's own steps and the nemeses.
 * One thread, one process; what it looks at beside its own children is the observer's memory. */
#ifndef JEPSEN_RUN_WORLD_H
#define JEPSEN_RUN_WORLD_H

#include "jepsen/run/observer.h"
#include "jepsen/run/servers.h"
#include "jepsen/run/workload.h"

enum {
    WORLD_FAILURES_MAX = 16,
    WORLD_FAILURE_BYTES = 256,
    WORLD_TAPES = 2 * RUN_CLIENTS_MAX * WORKLOAD_THREADS, /* with those of the last reader */
};

/** A client process. */
struct client_process {
    pid_t pid;                    /**< 0 = not running */
    bool stopped;                 /**< by SIGSTOP */
    unsigned kills;               /**< so far, by a nemesis */
    struct workload_process told; /**< what it was given */
};

struct world {
    const struct plan *plan;                        /**< borrowed */
    struct net net;                                 /**< nodes: servers, then clients */
    struct servers servers;                         /**< the processes */
    struct client_process clients[RUN_CLIENTS_MAX]; /**< the processes */
    struct observer observer;                       /**< watches the servers */
    struct workload_signal *signal;                 /**< shared with the clients */
    struct tape *tapes;                             /**< likewise: WORLD_TAPES of them */
    struct payments *payments;                      /**< likewise */
    struct payments_account paid;                   /**< what was made of them at the end */
    struct journal journal;                         /**< the history */
    struct prng prng;                               /**< what faults are drawn from */
    uint64_t begun_ns;                              /**< CLOCK_MONOTONIC of the begin */
    uint64_t term;                                  /**< of the leader seen last */
    unsigned leader;                                /**< that leader; == plan's servers: none */
    unsigned leader_changes;                        /**< after the first */
    unsigned faults;                                /**< acts of nemeses */
    unsigned failure_count;                         /**< of the list below */
    char failures[WORLD_FAILURES_MAX][WORLD_FAILURE_BYTES]; /**< claims that do not hold */
    char servers_list[SERVERS_LIST_BYTES];                  /**< as hf_options wants it */
    char history[RUN_PATH_BYTES * 2];                       /**< the file */
};

/** A claim of the product does not hold: keep the sentence. */
__attribute__((format(printf, 2, 3))) void world_fail(struct world *w, const char *format, ...);

/** Look after all: who leads, who has ended by itself, which is a failure. Such a server stays down
 * until the end of the next kill, or of all faults: one that cannot live shall not fill the disk.
 * Call it some times a second. */
void world_look(struct world *w);

/** Look after all for so long, or until the run is to stop. */
void world_wait_ms(struct world *w, uint64_t ms);

/** The nodes, as cut_draw() wants them. */
struct cut_nodes world_nodes(const struct world *w);

/** Let a cut hold; a failure of nft ends the run, which would prove nothing without it. */
void world_cut(struct world *w, const struct cut *cut);

/** Wait until a server leads and all answer, at most `ms`. \return false: they do not. */
bool world_await_service(struct world *w, uint64_t ms);

/** Start client `i`. \param reads_all as struct workload_process'. */
bool world_start_client(struct world *w, unsigned i, bool reads_all);

/** Kill client `i` and start it again at once: what was under way in it is of unknown outcome, and
 * the next one goes on with its tapes. One that is down already stays so. */
void world_kill_client(struct world *w, unsigned i);

/** Write down what client `i` left that has ended; what else ended it than a nemesis, or its own
 * work, is a failure. \param status  its wait status. */
void world_client_ended(struct world *w, unsigned i, int status);

/** How often a nemesis killed a client. */
unsigned world_client_kills(const struct world *w);

/** End everything that was started. A zeroed world is accepted. */
void world_close(struct world *w);

#endif
