/* What the links' files share; nobody else includes this. */
#ifndef RAFT_PEERS_PRIVATE_H
#define RAFT_PEERS_PRIVATE_H

#include "base/prng.h"
#include "raft/peers.h"

/** One other member: the link to it, and what it said of itself. */
struct peer_member {
    struct peer_out out;   /**< in peers' `outs`; first, so that a link is its member */
    struct peer_in *in;    /**< its introduced connection, borrowed; NULL = none */
    uint64_t incarnation;  /**< as it said last; 0 = not known */
    struct buffer answer;  /**< the first bytes of the answer to the introduction */
    struct wal_read read;  /**< of entries that are not in memory */
    struct message append; /**< what the read is for; entries NULL */
    struct buffer behind;  /**< frames that wait behind the read */
    uint32_t behind_count; /**< of them */
    struct peers *peers;   /**< borrowed, back to the whole */
    uint64_t read_epoch;   /**< the connection that the read is for */
    bool reading;          /**< the log has `read` */
    bool forgotten;        /**< to be freed when the read is back */
    uint64_t opened_ms;    /**< OPEN: since when */
    char client_address[PEER_TEXT_BYTES_MAX + 1]; /**< "" = not known */
    char refusal[PEER_TEXT_BYTES_MAX + 1];        /**< the last one; "" = none */
};

struct peers {
    struct peers_config config; /**< client_address borrowed from below */
    struct prng random;         /**< of the pauses' jitter */
    struct list outs;           /**< of struct peer_out: every member but this server */
    struct list outs_ready;     /**< those with something for the shell to do */
    struct list ins;            /**< of struct peer_in */
    struct list ins_ready;      /**< likewise */
    uint32_t in_count;          /**< in `ins` */
    struct peers_counts counts; /**< for log lines */
    struct log_entry entries[MESSAGE_ENTRIES_MAX]; /**< of the message being read */
    uint64_t complained_ms;                        /**< no line about a refusal before */
    char complaint[PEER_TEXT_BYTES_MAX + 1];       /**< the last one that was logged */
    char client_address[PEER_TEXT_BYTES_MAX + 1];  /**< this server's */
};

/** The member with that id; NULL: no member, or this server. */
struct peer_member *peers_find(const struct peers *p, uint64_t id);

/** Keep what a member said of itself. */
void peers_note(struct peer_member *m, uint64_t incarnation, struct slice client_address);

/** Copy a sentence to where peers_refusal() finds it; quotes in it become harmless. */
void peers_note_refusal(struct peer_member *m, struct slice sentence);

/** Put a link where the shell finds it. */
void peers_out_ready(struct peers *p, struct peer_out *out);
void peers_in_ready(struct peers *p, struct peer_in *in);

/** Leave the connection of a link, if there is one, and dial it again after a pause. */
void peers_out_fail(struct peers *p, struct peer_member *m, uint64_t now_ms);

/** Time, for the links out and in. */
void peers_out_tick(struct peers *p, uint64_t now_ms);
void peers_in_tick(struct peers *p, uint64_t now_ms);
uint64_t peers_out_wake(const struct peers *p);
uint64_t peers_in_wake(const struct peers *p);

/** Close it at once. */
void peers_in_break(struct peers *p, struct peer_in *in);

#endif
