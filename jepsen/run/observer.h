/* Watches the servers: a process of its own asks each of them for its status, all the time, over
 * the run's own link that no partition cuts, and leaves the last answers in shared memory. So a
 * server that is stopped or slow holds up nobody who asks here. */
#ifndef JEPSEN_RUN_OBSERVER_H
#define JEPSEN_RUN_OBSERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "jepsen/run/run.h"

enum { OBSERVER_DIGEST_BYTES = 32 };

/** What a server said last. */
struct observation {
    uint64_t asked_ns;                     /**< when that answer was asked for; 0 = none yet */
    uint64_t leader;                       /**< id of who leads, in its eyes; 0 = nobody */
    uint64_t term;                         /**< its term */
    uint64_t commit;                       /**< index committed */
    uint64_t applied;                      /**< index applied */
    uint32_t digest_bytes;                 /**< of the digest */
    uint8_t digest[OBSERVER_DIGEST_BYTES]; /**< of its state at `applied` */
};

struct observer_memory; /* shared with the process; opaque */

struct observer {
    struct observer_memory *memory; /**< NULL = closed */
    pid_t pid;                      /**< of the process */
    unsigned servers;               /**< how many are watched */
};

/** Start watching servers 1 to `servers`. \return false: no memory or no process. */
bool observer_open(struct observer *o, unsigned servers, const char *log);

/** End the process. A zeroed one is accepted. */
void observer_close(struct observer *o);

/** The last answer of server `i` (from 0). */
struct observation observer_look(const struct observer *o, unsigned i);

/** The server (from 0) that says it leads under the greatest term, in answers asked for since
 * `since_ns`. \param term Out, may be NULL. \return `servers` if none does. */
unsigned observer_leader(const struct observer *o, uint64_t since_ns, uint64_t *term);

/** True once all servers, asked since `since_ns`, stand at the same committed and applied entry.
 * \param same  Out: with the same state. */
bool observer_all_level(const struct observer *o, uint64_t since_ns, bool *same);

#endif
