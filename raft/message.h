/* What one server says to another: the Raft paper's calls and their answers, free of libraft's
 * types, so that a transport and a simulation need not see them; and pings, which are the
 * replica's and not the driver's. Links must keep the order of messages; they may lose any. */
#ifndef RAFT_MESSAGE_H
#define RAFT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "raft/log_entry.h"

enum message_type {
    MESSAGE_APPEND = 1, /* AppendEntries, heartbeats too */
    MESSAGE_APPEND_RESULT,
    MESSAGE_VOTE, /* RequestVote, pre-votes too */
    MESSAGE_VOTE_RESULT,
    MESSAGE_TIMEOUT_NOW = 6, /* leadership is handed over */
    MESSAGE_PING = 7,        /* a leader asks whether it is still one, and tells the time */
    MESSAGE_PONG = 8,        /* the answer, with the durable term of who answers */
};

enum { MESSAGE_ENTRIES_MAX = 1024 }; /* in one MESSAGE_APPEND: the in-flight limit */

struct message_append {
    uint64_t previous_index;         /**< entry before the first one here */
    uint64_t previous_term;          /**< its term */
    uint64_t commit_index;           /**< the leader's */
    uint32_t count;                  /**< entries; 0 = a heartbeat */
    const struct log_entry *entries; /**< borrowed; NULL with count > 0: to be read from the log on
                                          disk, from previous_index + 1 (wal_read()) */
};

struct message_append_result {
    uint64_t rejected_index; /**< 0 = accepted */
    uint64_t last_index;     /**< durable at the sender, or a hint if rejected */
    uint16_t features;       /**< libraft's */
    uint16_t capacity;       /**< libraft's; 0 here */
};

struct message_vote {
    uint64_t last_index; /**< of the candidate's log */
    uint64_t last_term;  /**< of that entry */
    bool disrupt_leader; /**< a hand-over: do not stick to the present leader */
    bool pre_vote;       /**< asks only whether it would be granted */
};

struct message_vote_result {
    bool granted;      /**< the answer */
    bool pre_vote;     /**< to which kind of question */
    uint16_t features; /**< libraft's */
    uint16_t capacity; /**< libraft's; 0 here */
};

struct message_timeout_now {
    uint64_t last_index; /**< of the leader's log */
    uint64_t last_term;  /**< of that entry */
};

/** Is the state at an index the one that a ping told of? */
enum digest_verdict { DIGEST_NOT_KNOWN = 0, DIGEST_SAME = 1, DIGEST_OTHER = 2 };

struct message_ping {
    uint64_t nonce;           /**< comes back in the answer; drawn after the reads it stands for */
    uint64_t cluster_time_ms; /**< the leader's, as of its last pass */
    uint64_t held_index;      /**< committed, and on the disk of every member: the log may be cut
                                   in front of it */
    uint64_t digest_index;    /**< an entry that the leader has applied; 0 = none told */
    struct hash128 digest;    /**< of its state then */
    bool digest_agreed;       /**< a majority of the voters has that state */
};

struct message_pong {
    uint64_t nonce;   /**< the ping's */
    bool space_short; /**< the sender's disk reserve is reached, or its log has no next segment */
    uint64_t digest_index; /**< the ping's */
    uint8_t digest;        /**< enum digest_verdict: the sender's state there against the ping's */
};

struct message {
    uint8_t type;        /**< enum message_type */
    uint64_t peer;       /**< to whom when sent, from whom when received */
    const char *address; /**< the peer's, as in the configuration; borrowed */
    uint64_t term;       /**< the sender's; a pre-vote's candidate names the next one */
    union {
        struct message_append append;
        struct message_append_result append_result;
        struct message_vote vote; /**< the candidate is the sender */
        struct message_vote_result vote_result;
        struct message_timeout_now timeout_now;
        struct message_ping ping;
        struct message_pong pong;
    };
};

#endif
