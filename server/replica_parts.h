/* What the replica's files share: its insides. Only files named replica*.c include this.
 *   replica.c             open, close, passes, numbers
 *   replica_write.c       requests in, batches out
 *   replica_apply.c       committed entries in, answers out; reads
 *   replica_checkpoint.c  generations of the store, and what of the log may go
 *   replica_peers.c       the other servers: messages, pings, confirmed reads, hand-over
 *   replica_seeking.c     requests that wait until a leader is known
 *   replica_polls.c       POLLs that wait until a timer of their group is ready
 *   replica_watches.c     WATCHes that wait until something happens */
#ifndef SERVER_REPLICA_PARTS_H
#define SERVER_REPLICA_PARTS_H

#include "base/arena.h"
#include "raft/entries.h"
#include "raft/vote.h"
#include "server/batch.h"
#include "server/cluster_clock.h"
#include "server/digests.h"
#include "server/pending.h"
#include "server/replica.h"
#include "server/rounds.h"

enum {
    REPLICA_ADDRESS_BYTES = ADDRESS_BYTES_MAX + 1,
    RETRY_MS = 50, /* what TOO_BUSY asks a client to wait at least */
};

/** What another member said of itself. */
struct member_state {
    uint64_t id;      /**< whose; 0 = a free place */
    bool space_short; /**< it has no disk space for new work */
};

/** A read that waits for the machine, or for its confirmation. */
struct waiting_read {
    struct list link;             /**< in `reads`, in order of arrival */
    struct replica_caller caller; /**< whose */
    uint64_t index;               /**< the machine must have applied this; 0 = not known yet: the
                                       leader has not committed an entry of its term */
    uint64_t round;               /**< and this round must have confirmed that it leads */
    size_t body_bytes;            /**< of `body` */
    uint8_t body[];               /**< the request, encoded */
};

/** POLLs that wait (replica_polls.c), bounded. */
struct replica_polls {
    struct table polls;  /**< by (session, seq) */
    struct table owners; /**< sessions with POLLs that wait, and how many */
    struct table groups; /**< of timers, those that somebody waits for, by the hash of the name */
    struct list marked;  /**< groups that are to be looked at */
    struct list by_end;  /**< the same POLLs, by their wait's end */
    bool blocked;        /**< the last pass had no room for one that is to be proposed */
};

/** Lists of WATCHes by their wait's end, one a tick: no wait is longer than all of them. */
enum { WATCH_TICK_MS = 10, WATCH_TICKS = 512 };

/** WATCHes (replica_watches.c), bounded. */
struct replica_watches {
    struct table owners;                  /**< connections that have some */
    struct table groups;                  /**< prefixes for which some wait, by their hash */
    struct list confirming;               /**< of struct watch, in order: they wait for a round */
    struct list ready;                    /**< likewise: to be looked at */
    struct list marked;                   /**< groups that something has happened to */
    struct list ends[WATCH_TICKS];        /**< those that wait, by the tick of their wait's end */
    uint64_t ended_tick;                  /**< up to this one they have ended */
    uint32_t count;                       /**< of all */
    uint32_t lengths[NAME_BYTES_MAX + 1]; /**< groups with a prefix of so many bytes */
};

struct replica {
    /* what it is made of */
    struct vote vote;                           /**< owned */
    struct entries entries;                     /**< owned; the driver's memory */
    struct wal *wal;                            /**< owned */
    struct driver *driver;                      /**< owned */
    struct peers *peers;                        /**< owned; the links to the others */
    struct machine *machine;                    /**< owned */
    struct store *store;                        /**< borrowed */
    struct disk *disk;                          /**< borrowed */
    struct replica_ports ports;                 /**< the shell's */
    struct replica_limits limits;               /**< bounds and periods */
    char client_address[REPLICA_ADDRESS_BYTES]; /**< told to clients */

    /* requests */
    struct batches batches;       /**< on their way into the log */
    struct pending_table pending; /**< unanswered */
    struct list reads;            /**< of struct waiting_read, oldest first */
    struct list pages;            /**< likewise: those with OP_PAGES, some a pass */
    struct list stale_pages;      /**< likewise: those that ask nobody who leads */
    uint32_t read_count;          /**< in these three */
    struct list seeking;          /**< of struct seeking: they wait until a leader is known */
    uint32_t seeking_count;       /**< in it */
    struct replica_polls polls;   /**< they wait until a timer is ready */
    uint32_t pages_left;          /**< to be served before the next pass */
    struct buffer answer;         /**< encoded bodies made here */
    struct arena arena;           /**< for decoding a read that had waited */
    const struct batch *applying; /**< whose entry is being applied; NULL = nobody waits for it */

    /* those who wait until something happens */
    struct replica_watches watches; /**< bounded */

    /* time */
    struct cluster_clock clock; /**< the leader's */
    struct replica_now now;     /**< of the call that runs */
    uint64_t proposed_time_ms;  /**< cluster time of the last entry proposed here */
    uint64_t proposed_ms;       /**< when that was, on this machine's clock */
    uint64_t sweep_index;       /**< of a bare time entry under way; 0 = none */
    uint64_t lead_term;         /**< the term as of the last look at the driver */
    bool leads;                 /**< leader, with an entry of its own term applied */
    bool stopping;              /**< new requests are answered SHUTDOWN */

    /* the other members */
    bool alone;                  /**< the configuration names no other server */
    struct rounds rounds;        /**< reads wait until one confirms that this server leads */
    uint64_t ping_due_ms;        /**< the next ping, on a leader */
    uint64_t ping_term;          /**< of the newest ping that came */
    uint64_t ping_time_ms;       /**< cluster time in it */
    uint64_t held_index;         /**< the log is not needed before it, as far as is known */
    uint64_t members_index;      /**< the configuration whose members the links know */
    uint64_t rechecked_ms;       /**< when the links' incarnations were looked at last */
    uint64_t recorded_index;     /**< the configuration all of whose incarnations are recorded */
    uint64_t hand_over_until_ms; /**< not tried any longer then; 0 = not tried */
    struct member_state members[CONFIGURATION_SERVERS_MAX]; /**< the others */
    struct digests digests; /**< of this state, and what the others said of theirs */
    bool members_short;     /**< a majority of the voters, as far as they said, is short of space */

    /* the state and its mark */
    uint64_t applied_index;       /**< last entry in the machine */
    uint64_t applied_term;        /**< its term */
    uint64_t configuration_index; /**< of the configuration in force at applied_index */
    struct buffer configuration;  /**< owned: its bytes */
    uint64_t checkpoint_index;    /**< mark of the newest generation that is flushing or flushed */
    uint64_t changed_ms;          /**< when the first entry after it was applied */
    uint64_t last_index;          /**< a stop waits for the flush of what was applied up to here;
                                       0 = it does not wait yet */
    bool flush_ready;             /**< a generation waits for store_flush_run() */
    uint64_t flush_retry_ms;      /**< not before; after a full disk */
    bool disk_full;               /**< a flush found no space, or the reserve is reached */
    uint64_t space_checked_ms;    /**< when that was looked up last */
    uint32_t segment_bytes;       /**< of the log's segments */
    bool paused;                  /**< the apply port said HF_ETOOBUSY */

    struct replica_counts counts;  /**< for log lines */
    char overdue[NAME_BYTES_MAX];  /**< lock of the last grant that was not given back in time */
    size_t overdue_bytes;          /**< of it */
    uint8_t digest[HASH128_BYTES]; /**< what the last STATUS showed */
};

/* replica.c */

/** Recent entries stay in memory for peers that lag; a server alone needs few of them. */
void replica_size_ring(struct replica *r);

/** Look at what the driver's last call changed: leadership won, lost, or ready. */
HF_MUST_USE
int replica_after_driver(struct replica *r);

/* replica_peers.c */

/** Make the links. \retval HF_ENOMEM */
HF_MUST_USE
int replica_open_peers(struct replica *r, uint64_t seed);

/** Where a member's clients go, as far as is known; "" if not. Borrowed until the next call. */
const char *replica_client_of(const struct replica *r, uint64_t id);

/** The driver's send port. */
void replica_send(void *data, const struct message *message);

/** The configuration may be another one: tell the links who the members are. */
void replica_follow_members(struct replica *r);

/** At the end of a pass, once a second at most: break links to incarnations that are not the
 * recorded ones. */
void replica_recheck_members(struct replica *r);

/** On a leader, at the end of a pass: begin the round that reads wait for, ping when it is due,
 * have incarnations recorded. \retval faults only. */
HF_MUST_USE
int replica_lead_members(struct replica *r);

/** Let reads that have come be confirmed, if that takes nobody else. */
void replica_confirm_alone(struct replica *r);

/** When replica_lead_members() or replica_hand_over() have something to do; UINT64_MAX: never. */
uint64_t replica_members_when(const struct replica *r);

/** The cluster time from which this server goes on if it has just come to lead: what its log says,
 * or a later one that a leader told. */
uint64_t replica_time_to_lead(const struct replica *r);

/** Entries before this one are on every member's disk: the log is not needed before it. 0 = not
 * known. */
uint64_t replica_held_index(struct replica *r);

/* replica_write.c */

/** Append an op of the server's own to the open batch; it is lost with the leadership. */
HF_MUST_USE
int replica_write_own(struct replica *r, uint16_t op, struct slice body);

/** Answer a request with a status of this server's, not the machine's: TOO_BUSY with its details,
 * NOT_LEADER with the leader's address, and later if none is known yet. \retval faults only. */
HF_MUST_USE
int replica_refuse(struct replica *r, const struct replica_caller *caller, int status);

/** Close and submit what may go, and expiry that is due. \retval faults only. */
HF_MUST_USE
int replica_propose(struct replica *r);

/** Leadership is lost: nothing of the open batches happened (NOT_LEADER), of those in flight and
 * of parked requests nobody here knows (class 2: to be repeated). \retval faults only. */
HF_MUST_USE
int replica_disown(struct replica *r);

/** The same, at once. */
HF_MUST_USE
int replica_refuse_now(struct replica *r, const struct replica_caller *caller, int status);

/* replica_seeking.c */

/** The leader's id, if it is known and its link stands; 0 = there may be none. */
uint64_t replica_known_leader(const struct replica *r);

/** Let a request wait until a leader is known. \return false: tell it now. */
bool replica_seek_leader(struct replica *r, const struct replica_caller *caller);

/** Tell those who wait, if there is a leader or their time is up. \retval faults only. */
HF_MUST_USE
int replica_tell_leader(struct replica *r);

/** When the first of them has waited long enough; UINT64_MAX: none waits. */
uint64_t replica_seeking_when(const struct replica *r);

/** Forget them all. */
void replica_seeking_close(struct replica *r);

/* replica_polls.c */

/** Begin without any. \retval HF_ENOMEM */
HF_MUST_USE
int replica_polls_init(struct replica *r);

/** Forget them all; a zeroed one is accepted. */
void replica_polls_close(struct replica *r);

/** A POLL came to the leader: it waits here, or is answered with nothing, or refused; *waits then.
 * Else it is for the log. \retval faults only. */
HF_MUST_USE
int replica_poll_waits(struct replica *r, const struct replica_caller *caller,
                       const struct envelope *envelope, struct slice body, bool *waits);

/** True if (session, seq) is a POLL that waits here. */
bool replica_poll_is_waiting(const struct replica *r, uint64_t session, uint64_t seq);

/** A CANCEL came; `body` is its request. If a POLL that waits is meant, it ends. Faults only. */
HF_MUST_USE
int replica_poll_cancelled(struct replica *r, uint64_t session, struct slice body);

/** A session has ended: its POLLs wait no longer. \retval faults only. */
HF_MUST_USE
int replica_polls_session_ended(struct replica *r, uint64_t session);

/** A timer of this group is ready. */
void replica_polls_ready(struct replica *r, struct slice group);

/** A request was answered by the machine: if it was a POLL, the next one of its group may go. */
void replica_poll_answered(struct replica *r, const struct pending *request);

/** Before requests are proposed: waits that are over end, POLLs with something to get are
 * proposed. \retval faults only. */
HF_MUST_USE
int replica_polls_pass(struct replica *r);

/** Leadership is lost: nothing of them happened. \retval faults only. */
HF_MUST_USE
int replica_polls_disown(struct replica *r);

/** When replica_polls_pass() has something to do; UINT64_MAX: never, as things are. */
uint64_t replica_polls_when(const struct replica *r);

/* replica_watches.c */

/** Begin without any. \retval HF_ENOMEM */
HF_MUST_USE
int replica_watches_init(struct replica *r);

/** Forget them all; a zeroed one is accepted. */
void replica_watches_close(struct replica *r);

/** A WATCH came: it is answered, or waits, or is refused. \retval faults only. */
HF_MUST_USE
int replica_watch(struct replica *r, const struct replica_caller *caller,
                  const struct msg_watch *request);

/** Forget those of a connection. */
void replica_watches_gone(struct replica *r, uint64_t connection);

/** An event was told: wake who wants it. */
void replica_watches_event(struct replica *r, enum event_type kind, struct slice name);

/** Before a pass's round begins: waits that are over want to be confirmed. \retval faults only. */
HF_MUST_USE
int replica_watches_end(struct replica *r);

/** At the end of a pass: look at those that may be looked at, within a budget. Faults only. */
HF_MUST_USE
int replica_watches_serve(struct replica *r);

/** Leadership is lost: all are refused. \retval faults only. */
HF_MUST_USE
int replica_watches_disown(struct replica *r);

/** When there is something to do for them; UINT64_MAX: never, as things are. */
uint64_t replica_watches_when(const struct replica *r);

/* replica_apply.c */

/** The driver's apply port. */
HF_MUST_USE
int replica_apply(void *data, const struct log_entry *entry);

/** Answer the reads that wait no longer. \retval faults only. */
HF_MUST_USE
int replica_serve_reads(struct replica *r);

/* replica_checkpoint.c */

/** Begin a checkpoint if one is due, or `now_please`. \retval faults only. */
HF_MUST_USE
int replica_checkpoint(struct replica *r, bool now_please);

/** When a checkpoint falls due by age; UINT64_MAX: nothing has changed, or it cannot begin. */
uint64_t replica_checkpoint_when(const struct replica *r);

/** Look now whether space is short; lets the log try again for its next segment. */
void replica_check_space(struct replica *r);

/** False while the disk's reserve is reached or the log has no spare segment. Looks again, once a
 * second, while it was so. */
bool replica_has_space(struct replica *r);

/** When to look again because the log waits for a segment; UINT64_MAX: it does not. */
uint64_t replica_space_when(const struct replica *r);

/** True while apply has to wait for a flush. */
bool replica_generations_full(const struct replica *r);

#endif
