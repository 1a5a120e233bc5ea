/* A driver with everything around it in memory: what it asks for is recorded, and a test says when
 * a write is durable, what the time is, and what the others send. */
#ifndef TESTS_UNIT_RAFT_DRIVER_RIG_H
#define TESTS_UNIT_RAFT_DRIVER_RIG_H

#include "raft/configuration.h"
#include "raft/driver.h"

enum { RIG_MESSAGES_MAX = 256, RIG_APPLIED_MAX = 4096 };

struct rig {
    struct driver *driver;
    struct entries entries;
    uint64_t now_ms;
    uint64_t term;                         /* persisted */
    uint64_t voted_for;                    /* persisted */
    unsigned persists;                     /* calls of the port */
    unsigned truncates;                    /* calls of the port */
    uint64_t appended;                     /* last index handed to the log */
    unsigned changes;                      /* calls of the changed port */
    struct message sent[RIG_MESSAGES_MAX]; /* entries are not kept, only their number */
    unsigned sent_count;
    uint64_t applied;                       /* last index applied */
    uint8_t applied_types[RIG_APPLIED_MAX]; /* by index */
    int apply_status;                       /* what the apply port says */
    int persist_status;                     /* what the persist port says */
};

/** A driver for server 1 of `voters` voters ("n1", ...), with entry 1 in its log, not started. */
void rig_init(struct rig *rig, unsigned voters);

/** Start with what `rig` says is durable, and no mark. */
void rig_start(struct rig *rig);

/** Everything appended is durable now. */
void rig_sync(struct rig *rig);

/** Let the next time-out come. */
void rig_timeout(struct rig *rig);

/** Win the election under way: time out until there are requests, grant what is asked. */
void rig_elect(struct rig *rig);

/** Feed AppendEntries from server `peer`. */
int rig_append(struct rig *rig, uint64_t peer, uint64_t term, uint64_t previous,
               uint64_t previous_term, uint64_t commit, const struct log_entry *entries,
               uint32_t count);

/** Encode `voters` voters and, if `extra` is not 0, one server of `role`. Static per slot. */
struct slice rig_configuration(unsigned slot, unsigned voters, uint64_t extra, uint8_t role);

/** The last message of a type that was sent, or NULL. */
const struct message *rig_last(const struct rig *rig, uint8_t type);

/** Free. */
void rig_close(struct rig *rig);

#endif
