/* One server's share of one group: raft driver, log, vote file, store and machine as ONE object,
 * without a clock, a socket or a thread. The simulator builds several in one process; holdfastd
 * builds one. Whoever drives it is called the shell here.
 *
 * A request's way: replica_write() appends it to the open batch; replica_pass_end(), when the
 * shell has read all that was ready, closes the batch, stamps it with cluster time and submits it
 * to the driver; the log's write job runs in a thread of the shell; replica_log_progress() tells
 * the driver, which commits and applies; the machine answers, and ports.reply hands the answer
 * out. Nothing is answered before it is committed and applied. replica_read() waits until the
 * machine has applied what was committed when the read arrived, on a leader that has committed an
 * entry of its own term.
 *
 * The shell's duties, all on one thread but for the running of jobs:
 *   - every call carries the time (struct replica_now); it never runs backwards
 *   - after each pass: replica_pass_end(), then run the log's jobs (wal_threads_kick() on
 *     replica_wal()) and the store's (replica_flush_wanted()), and move what the links to the
 *     other servers have (peers_next_out(), peers_next_in() on replica_peers())
 *   - wake at replica_next_wake() at the latest
 *
 * Failure modes: a status that is a fault (base/status.def) from any call ends the process with
 * code 74: whether the log, the store or the machine is at fault, the other servers carry on, and
 * this one must not answer. A full disk is weather: new work is refused, what frees goes on. */
#ifndef SERVER_REPLICA_H
#define SERVER_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/disk.h"
#include "base/slice.h"
#include "machine/machine.h"
#include "protocol/messages.h"
#include "raft/driver.h"
#include "raft/peers.h"
#include "raft/refusal.h"
#include "raft/wal.h"
#include "storage/store.h"

struct replica;

/** The time, as the shell knows it. */
struct replica_now {
    uint64_t elapsed_ms; /**< CLOCK_BOOTTIME or virtual; decides */
    uint64_t wall_ms;    /**< since 1970; written into entries for people and KEY_TOO_OLD */
};

/** Whose request it is and where its answer goes. */
struct replica_caller {
    uint64_t connection; /**< the shell's number of it; never used again */
    uint64_t request_id; /**< the connection's own, not 0 */
    uint64_t session;    /**< of the envelope; 0 = none */
    uint64_t seq;        /**< of the envelope; 0 = none */
    uint16_t op;         /**< enum op_code */
    bool exempt;         /**< it frees, renews or finishes: OP_EXEMPT, or op_finishes() */
    bool parked;         /**< its answer comes long after it was read: ports.parked was called */
};

/** What a replica hands out. None may call the replica. */
struct replica_ports {
    /** A request is answered. \param caller, reply  borrowed for the call. The connection may be
     * gone. \retval faults only. */
    int (*reply)(void *data, const struct replica_caller *caller,
                 const struct machine_reply *reply);

    /** A request was parked by the machine: its answer may take as long as its wait. */
    void (*parked)(void *data, const struct replica_caller *caller);

    void *data; /**< handed to both */
};

/** Bounds and periods; REPLICA_LIMITS_DEFAULT is what a server uses. */
struct replica_limits {
    uint32_t batch_bytes_max;      /**< an entry is closed at this size */
    uint32_t batch_ops_max;        /**< or at this many ops; at most ENTRY_OPS_MAX */
    uint32_t in_flight_max;        /**< entries with ops under way at once */
    uint32_t keep_wait_ms;         /**< how long KEEPs alone wait for company */
    uint32_t grace_ms;             /**< of a stall or a term, where no setting says otherwise */
    uint32_t idle_entry_ms;        /**< with deadlines stored, an entry at least so often */
    uint32_t waiting_bytes_max;    /**< of batches not yet in the log: then TOO_BUSY */
    uint32_t waiting_exempt_max;   /**< the same for what frees or finishes */
    uint32_t pending_max;          /**< requests unanswered, parked ones too */
    uint32_t reads_max;            /**< reads that wait for the machine or for their turn */
    uint32_t pages_max;            /**< reads with OP_PAGES served in one pass */
    uint64_t checkpoint_bytes;     /**< of the active generation: flush */
    uint64_t checkpoint_bytes_max; /**< of it while another one is flushing: apply pauses */
    uint32_t checkpoint_age_ms;    /**< of the oldest change that is not in the store's file */
    uint64_t trail_bytes;          /**< of log segments, kept behind the mark for laggards */
    uint64_t trail_bytes_max;      /**< of the log, while a member is away: then NO_SPACE */
    uint32_t election_ms;          /**< as struct driver_config's */
    uint32_t heartbeat_ms;         /**< likewise */
    uint32_t ping_ms;              /**< a leader tells the others the time so often */
    uint32_t digest_every;         /**< states are compared at indexes that this divides */
    uint32_t reserve_percent;      /**< of the disk: with less free, what takes space is refused */
    uint64_t reserve_bytes_min;    /**< never keep less free than this */
    uint64_t reserve_bytes_max;    /**< nor more: it is as much as flushes may need */
};

extern const struct replica_limits REPLICA_LIMITS_DEFAULT;

struct replica_config {
    uint64_t node_id;             /**< from 1; 0 = as the vote file says */
    const uint8_t *cluster_id;    /**< CLUSTER_ID_BYTES, compared with the vote file's; NULL = not
                                       known; borrowed for the call */
    const char *client_address;   /**< "host:port" told to clients; copied */
    struct disk *disk;            /**< vote file and log; borrowed until replica_close() */
    struct store *store;          /**< open; borrowed until replica_close() */
    uint64_t seed;                /**< of the election timers */
    uint32_t segment_bytes;       /**< of the log */
    struct replica_limits limits; /**< copied */
    struct replica_ports ports;   /**< copied */
};

/** Open everything and begin. A lone voter leads when this returns, and serves once its term's
 * first entry is durable and the log behind the store's mark has been applied again. Blocks for
 * the disk; the directory was made before (raft/directory.h).
 * \param why  Out, filled on errors of vote file, log and store: a sentence for people.
 * \param replica  Out: owned, replica_close() it.
 * \retval HF_ENOTFOUND, HF_EINVAL, HF_EVERSION, HF_ECORRUPT  it must not serve; others: faults. */
HF_MUST_USE
int replica_open(const struct replica_config *config, struct replica_now now,
                 struct replica **replica, struct refusal *why);

/** Free everything but disk and store; writes nothing. No job may run. NULL is accepted. */
void replica_close(struct replica *r);

/** Take an op with OP_WRITE. Its answer leaves through ports.reply, at once if it is refused.
 * \param caller    copied.
 * \param client    borrowed for the call; checked at the door. \param body  likewise.
 * \param peer      the caller's address; borrowed for the call. \retval faults only. */
HF_MUST_USE
int replica_write(struct replica *r, struct replica_now now, const struct replica_caller *caller,
                  const struct client_envelope *client, struct slice peer, struct slice body);

/** Refuse a request for a reason of the door's: TOO_BUSY. A copy of one that was taken before is
 * told class 2 instead. \param status HF_ETOOBUSY. \retval faults only. */
HF_MUST_USE
int replica_turn_away(struct replica *r, struct replica_now now,
                      const struct replica_caller *caller, int status);

/** Is this a copy of a request that was taken before? Then it asks for nothing new. Faults only. */
HF_MUST_USE
int replica_knows(struct replica *r, const struct replica_caller *caller, bool *known);

/** False while even what frees or finishes would be refused for want of room here: then whoever
 * asks for it should wait. */
bool replica_has_room(const struct replica *r);

/** Take an op with OP_READ; answered through ports.reply, at once or when the machine is there.
 * \param body  the request as encoded, checked at the door; copied if it has to wait.
 * \param request  the same, decoded; borrowed for the call.
 * \param stale_ok  answer from what is applied here, whoever leads. \retval faults only. */
HF_MUST_USE
int replica_read(struct replica *r, struct replica_now now, const struct replica_caller *caller,
                 const void *request, struct slice body, bool stale_ok);

/** A connection has gone. What waits here and not in the log, for it alone, is forgotten; a copy
 * that comes over another one begins to wait anew. */
void replica_gone(struct replica *r, uint64_t connection);

enum { REPLICA_MEMBERS_MAX = 64 };

/** Fill in a STATUS answer; served by any server, as it sees things.
 * \param out  Out: what it borrows stays good until the next call. \param members  room for
 * REPLICA_MEMBERS_MAX, borrowed by `out`. \retval faults only. */
HF_MUST_USE
int replica_status(struct replica *r, struct replica_now now, struct msg_status_reply *out,
                   struct member *members);

/** End a pass: move cluster time, close and submit batches, propose expiry that is due, begin a
 * checkpoint. After everything that was ready has been read. \retval faults only. */
HF_MUST_USE
int replica_pass_end(struct replica *r, struct replica_now now);

/** When the next pass must come, at the latest, on the caller's elapsed clock; UINT64_MAX: only
 * when there is something to read. */
uint64_t replica_next_wake(const struct replica *r);

/** The log, for whoever runs its jobs (wal_threads, or the simulator by hand). */
struct wal *replica_wal(struct replica *r);

/** After the log's jobs were taken back: what is durable now may commit. \retval faults only. */
HF_MUST_USE
int replica_log_progress(struct replica *r, struct replica_now now);

/** True if store_flush_run() is to be run now, once, on any thread; answer with
 * replica_flush_done(). Never true again before that. */
bool replica_flush_wanted(struct replica *r, struct replica_now now);

/** \param status what store_flush_run() answered. HF_EDISKFULL is weather: it is tried again.
 * \retval faults only. */
HF_MUST_USE
int replica_flush_done(struct replica *r, struct replica_now now, int status);

/** The links to the other servers: the shell moves their bytes. Borrowed until replica_close(). */
struct peers *replica_peers(struct replica *r);

/** Bytes came on an accepted link: peers_input(), and what follows from it.
 * \retval faults only. */
HF_MUST_USE
int replica_peer_input(struct replica *r, struct replica_now now, struct peer_in *in,
                       struct slice bytes);

/** Hand leadership over to the member that is nearest, as far as there is one: call it once a pass
 * while stopping, after replica_stop() and once replica_is_idle().
 * \return true while that is under way and worth waiting for. \retval faults in *status. */
bool replica_hand_over(struct replica *r, struct replica_now now, int *status);

/** From now on new requests are answered SHUTDOWN; what was taken goes on. */
void replica_stop(struct replica *r);

/** True when nothing that was taken is under way (parked requests do not count). */
bool replica_is_idle(const struct replica *r);

/** Have the store's file hold what was applied when this was called first; for a graceful stop.
 * What is applied later is the log's alone, or a stop would have no end under load.
 * \return true while that is not so. \retval faults in *status. */
bool replica_checkpoint_wanted(struct replica *r, struct replica_now now, int *status);

/** True if this server leads and serves, or knows who does. */
bool replica_is_ready(const struct replica *r);

/** What is short of space, for people; static. Then what takes space is refused. NULL: nothing. */
const char *replica_shortage(const struct replica *r);

/** Numbers for log lines. */
struct replica_counts {
    uint64_t stall_count;      /**< passes that came too late, each began a grace */
    uint64_t entry_count;      /**< entries proposed here */
    uint64_t op_count;         /**< ops in them */
    uint64_t checkpoint_count; /**< generations handed to the store */
    uint64_t refused_count;    /**< requests refused for load or space */
    uint64_t overdue_count;    /**< graces that ended in an alarm while this server led */
};
const struct replica_counts *replica_count(const struct replica *r);

/** The lock of the last of those alarms; borrowed until the next pass, empty if there was none. */
struct slice replica_overdue(const struct replica *r);

/** True if the configuration names no other server. */
bool replica_is_alone(const struct replica *r);

/** This server's id and cluster, from the vote file; borrowed until replica_close(). */
uint64_t replica_node_id(const struct replica *r);
const uint8_t *replica_cluster_id(const struct replica *r);

/** What it is now, who leads as far as it knows (0 = nobody), and the present term. The rest is in
 * replica_status(). */
enum driver_state replica_role(const struct replica *r);
uint64_t replica_leader(const struct replica *r);
uint64_t replica_term(const struct replica *r);

#endif
