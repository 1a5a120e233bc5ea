/* One entry of the replicated log, as the driver, the memory ring and the write-ahead log hand it
 * to each other. The three types keep libraft's numbers; only LOG_COMMAND means anything to the
 * machine:
 *   LOG_COMMAND  one batch of the machine, opaque bytes here
 *   LOG_BARRIER  eight zero bytes: the entry with which a leader opens its term. The applier does
 *                nothing for it but move its applied index
 *   LOG_CHANGE   a cluster configuration, encoded (raft/configuration.h). The applier remembers it
 *                for its next mark, and moves its applied index */
#ifndef RAFT_LOG_ENTRY_H
#define RAFT_LOG_ENTRY_H

#include <stdint.h>

#include "base/slice.h"

enum log_type { LOG_COMMAND = 1, LOG_BARRIER = 2, LOG_CHANGE = 3 };

enum {
    LOG_ENTRY_BYTES_MAX = 2 * 1024 * 1024, /* data of one entry: over any batch that is made */
    LOG_BARRIER_BYTES = 8,
};

struct log_entry {
    uint64_t index;    /**< position in the log, from 1 */
    uint64_t term;     /**< term in which it was made, from 1 */
    uint8_t type;      /**< enum log_type */
    struct slice data; /**< borrowed */
};

/** A type that an entry may have; stored and received bytes may say anything. */
static inline bool log_type_is_known(uint8_t type)
{
    return type == LOG_COMMAND || type == LOG_BARRIER || type == LOG_CHANGE;
}

#endif
