/* Three real holdfastd of one cluster for tests, or a lone one, each on a directory and ports of
 * its own. They are made at the first start; later starts go without --new-cluster, as an
 * operator's should. */
#ifndef TESTS_INTEGRATION_CLUSTER_PROCESS_H
#define TESTS_INTEGRATION_CLUSTER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/integration/server_process.h"

enum { CLUSTER_PROCESSES = 3, CLUSTER_LEADER_MS_MAX = 20000 };

struct cluster_process {
    unsigned count;                                   /**< servers: 3, or 1 without --cluster */
    struct server_process servers[CLUSTER_PROCESSES]; /**< number 0 has the id 1, and so on */
    uint16_t peer_ports[CLUSTER_PROCESSES];           /**< where each listens for the others */
    const char *election_ms;                          /**< --election-ms; NULL = the default */
    char list[192];                                   /**< --cluster */
    char addresses[192];                              /**< of all, for the library and the CLI */
};

/** What a server says about itself and the cluster. */
struct cluster_status {
    uint64_t leader;       /**< its id; 0 = none is known there */
    uint64_t term;         /**< as of that server */
    uint64_t commit_index; /**< as of that server */
    uint64_t applied;      /**< index up to which `digest` goes */
    uint8_t digest[16];    /**< of its state */
};

/** Make folders and draw ports; starts nothing. Aborts the test on failure.
 * \param count  CLUSTER_PROCESSES or 1. */
void cluster_process_init(struct cluster_process *c, unsigned count);

/** Start those that do not run, all at once, and wait until each is ready, at most 30 s.
 * \return false: one was not; its log was printed. */
bool cluster_process_start(struct cluster_process *c);

/** The arguments of number `i` beside those of every server. \param is_new  with --new-cluster */
void cluster_process_set_arguments(struct cluster_process *c, unsigned i, bool is_new);

/** Ask number `i`. \return false: it did not answer. */
bool cluster_process_status(const struct cluster_process *c, unsigned i, struct cluster_status *s);

/** Wait until a server leads. \return its number; aborts the test after CLUSTER_LEADER_MS_MAX. */
unsigned cluster_process_leader(const struct cluster_process *c);

/** Wait until all that run have applied the same entries, and compare their digests.
 * \return false: they differ, or did not get there in time; printed. */
bool cluster_process_agree(const struct cluster_process *c);

/** kill -9 all that run, within microseconds, and reap. */
void cluster_process_kill(struct cluster_process *c);

/** SIGTERM all that run, and reap. \return false: one ended otherwise than with 0; printed. */
bool cluster_process_stop(struct cluster_process *c);

/** Kill what runs and remove the folders, or keep them and say where. */
void cluster_process_close(struct cluster_process *c, bool keep);

#endif
