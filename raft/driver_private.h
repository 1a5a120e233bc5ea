/* What the driver's files share; nobody else includes this, and nobody else sees raft.h. */
#ifndef RAFT_DRIVER_PRIVATE_H
#define RAFT_DRIVER_PRIVATE_H

#include <raft.h>

#include "raft/driver.h"

/** A configuration and the entry that set it. */
struct driver_configuration {
    uint64_t index;      /**< 0 = none */
    struct buffer bytes; /**< owned; encoded */
};

struct driver {
    struct raft raft;                      /**< libraft's core */
    struct raft_update update;             /**< of the step under way */
    struct driver_config config;           /**< as given; address is libraft's copy's */
    struct entries *entries;               /**< borrowed */
    uint64_t now_ms;                       /**< of the call under way */
    uint64_t term;                         /**< durable */
    uint64_t voted_for;                    /**< durable */
    uint64_t durable_index;                /**< as told by driver_persisted(), less truncations */
    uint64_t commit_index;                 /**< as libraft's */
    uint64_t applied_index;                /**< handed to the apply port */
    uint64_t mark_index;                   /**< the last mark that libraft knows */
    uint64_t mark_term;                    /**< of the entry there */
    struct driver_configuration in_force;  /**< of the log's last LOG_CHANGE, or the mark's */
    struct driver_configuration committed; /**< what a truncation goes back to */
    uint64_t term_start_index; /**< own first entry of this term; 0 = none, or no leader */
    uint32_t fed_count;        /**< entries handed to the step under way */
    bool borrowed;             /**< they are the caller's memory, not libraft's */
    bool lone_voter;           /**< this server is the only voter in force */
    bool older_term;           /**< the message under way is an older term's */
    bool started;              /**< driver_start() was called */
    bool changed;              /**< tell the changed port when the call ends */
    int fault;                 /**< the first fault; everything is refused after it */
    struct raft_entry pieces[DRIVER_INFLIGHT_MAX]; /**< entries of a message, for libraft */
};

/** Note a fault and say it in the log. \return `status`, to be handed on. */
HF_MUST_USE
int driver_fault(struct driver *d, int status, const char *what);

/** Let libraft take one event and do what its update asks, but for applying.
 * \param refused  libraft's code if the event was refused (then HF_OK is returned); NULL = a
 *                 refusal is a fault. */
HF_MUST_USE
int driver_step(struct driver *d, struct raft_event *event, int *refused);

/** Open the term if it needs it, apply what is committed, compare accounts: ends every call. */
HF_MUST_USE
int driver_settle(struct driver *d);

/** Feed RAFT_CONFIGURATION for the LOG_CHANGE at `index`: it is committed. */
HF_MUST_USE
int driver_feed_committed(struct driver *d, uint64_t index, struct slice bytes);

/** Keep a configuration's bytes. */
void driver_configuration_set(struct driver_configuration *c, uint64_t index, struct slice bytes);

/** Look again whether this server is the only voter. */
void driver_count_voters(struct driver *d);

/** A lone voter that does not lead yet opens a new term, durably: libraft would not. */
HF_MUST_USE
int driver_open_lone_term(struct driver *d);

/** Decode checked bytes for libraft. */
void driver_configuration_decode(struct slice bytes, struct raft_configuration *c);

/** Hand one of libraft's messages to the send port. */
void driver_send(struct driver *d, const struct raft_message *m);

#endif
