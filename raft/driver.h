/* The driver: it owns libraft's core and does what the core asks, in the order that keeps Raft's
 * promises. Pure: time, bytes and finished writes come in as calls, everything that must happen
 * goes out through struct raft_ports. No clock, no file, no socket, no thread.
 *
 * One event: raft_step(), then (1) a new term or vote is made durable, (2) new entries go into
 * memory and to the log (a truncation first, if they overlap), (3) messages leave, (4) what is
 * committed is applied, in order. A leader's entries travel to its peers while its own disk
 * writes them: driver_persisted() tells when that is done, and only durable entries count.
 *
 * A term begins with an entry of its own: a leader knows what is committed only once it has
 * committed an entry of its own term (Ongaro's dissertation, 6.4), and libraft appends none when
 * it believes its log to be committed. Until it is applied driver_is_ready() is false: no reads,
 * no membership change. It is a LOG_BARRIER of eight zero bytes; batches of the machine are
 * LOG_COMMAND; the two never mix.
 *
 * libraft is built without assertions and drops statuses: every event is checked against the
 * driver's own account of the log. What does not add up is HF_EINTERNAL, as fatal as a failed
 * disk: the caller ends the process.
 *
 * Rules that libraft does not keep by itself, each with a test that fails without it:
 *   - entries that precede a follower's commit index are cut off before libraft sees them (it would
 *     answer so that the leader never sends again, read out of bounds, or commit less than before);
 *   - an append is fed in pieces that begin at each configuration (libraft books every
 *     configuration at the index of the first entry);
 *   - a configuration that must be committed because the next one arrives is told so first;
 *   - only a candidate's libraft sees answers to votes (a late pre-vote's may depose a leader);
 *   - a submit into an idle pipe goes out at once, also to a peer that missed a heartbeat;
 *   - a lone voter opens a new term before it leads: libraft would let it go on in its old term,
 *     where it may have sent entries that a crash took from its own disk;
 *   - whoever refuses a pre-vote for an older term says its own (else two may block each other). */
#ifndef RAFT_DRIVER_H
#define RAFT_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/slice.h"
#include "raft/entries.h"
#include "raft/log_entry.h"
#include "raft/message.h"

enum {
    DRIVER_ELECTION_MS_DEFAULT = 150,
    DRIVER_HEARTBEAT_MS_DEFAULT = 20,
    DRIVER_INFLIGHT_MAX = MESSAGE_ENTRIES_MAX,
};

/* A message of a term so far above ours is a lie, or damage that its check did not show: terms rise
 * by one an election, and taken at its word it would use up all that are left. */
#define DRIVER_TERM_JUMP_MAX ((uint64_t)1 << 32)

enum driver_state { DRIVER_FOLLOWER = 1, DRIVER_CANDIDATE = 2, DRIVER_LEADER = 3 };

/** What the driver needs done. None may call the driver. */
struct raft_ports {
    /** Make term and vote durable before returning. \retval anything but HF_OK is a fault. */
    int (*persist_term_vote)(void *data, uint64_t term, uint64_t voted_for);

    /** Queue entries for the log; driver_persisted() tells when they are durable. `entries`
     * borrowed for the call. \retval anything but HF_OK is a fault. */
    int (*append)(void *data, const struct log_entry *entries, size_t count);

    /** Queue a truncation: entries from `index` on are gone. Comes before the append that needs
     * it. \retval anything but HF_OK is a fault. */
    int (*truncate)(void *data, uint64_t index);

    /** Send a message, or lose it. Borrowed for the call. */
    void (*send)(void *data, const struct message *message);

    /** Apply a committed entry: every index once, in order, all three types; those that the store
     * holds already too (the caller skips them). Data borrowed for the call.
     * \retval HF_ETOOBUSY not now: it is offered again by driver_resume(); anything else but
     * HF_OK is a fault. */
    int (*apply)(void *data, const struct log_entry *entry);

    /** State, term or leader changed; read them from the driver later. May be NULL. */
    void (*changed)(void *data);

    void *data; /**< handed to all of them */
};

struct driver_config {
    uint64_t id;             /**< this server, from 1 */
    const char *address;     /**< as in the configuration; copied */
    uint32_t seed;           /**< of the election timers */
    uint32_t election_ms;    /**< at least heartbeat_ms * 5; timers run one to two times this */
    uint32_t heartbeat_ms;   /**< at least 1 */
    struct entries *entries; /**< borrowed until driver_close(); the driver keeps it */
    struct raft_ports ports; /**< copied */
};

/** Where the store stands: everything up to `index` is in it. */
struct driver_mark {
    uint64_t index;               /**< 0 = nothing yet */
    uint64_t term;                /**< that entry's */
    uint64_t configuration_index; /**< of the LOG_CHANGE in force at `index` */
    struct slice configuration;   /**< its bytes, borrowed for the call */
};

struct driver; /* opaque: only raft/ sees libraft's types */

/** Make a driver. \param driver Out: owned, driver_free() it. \retval HF_EINVAL a bad config. */
HF_MUST_USE
int driver_new(const struct driver_config *config, struct driver **driver);

/** Free it; NULL is accepted. Writes nothing. */
void driver_free(struct driver *d);

/** Begin. config.entries holds the durable log from mark->index + 1 on, or from earlier. If the log
 * ends before the mark, or has another term there, the store is ahead of it: the caller drops the
 * log first (wal_reset(), entries_reset(), both from mark->index + 1).
 * A lone voter leads when this returns, in a term of its own; others follow.
 * \param now_ms     monotone, as in every call below.
 * \param term  from the vote file. \param voted_for  likewise.
 * \param mark       the store's; index 0 and empty for none.
 * \retval HF_ECORRUPT  a configuration in the log or the mark does not decode, the log's term is
 *                      above the vote file's, or the log does not join the mark.
 * \retval other faults, also from the ports. */
HF_MUST_USE
int driver_start(struct driver *d, uint64_t now_ms, uint64_t term, uint64_t voted_for,
                 const struct driver_mark *mark);

/** Append one batch of the machine to the log of a leader.
 * \param data   1 to LOG_ENTRY_BYTES_MAX bytes, copied before return.
 * \param index  Out: the entry's. It is done once it was applied at this index AND term; if
 *               leadership is lost before, its outcome is unknown.
 * \retval HF_ENOTLEADER nothing happened (also while leadership is handed over).
 * \retval HF_ETOOBUSY   more than the ring's bytes wait to be committed or applied; nothing
 *                       happened. \retval HF_ETOOLARGE. \retval HF_EINTERNAL, HF_EIO faults. */
HF_MUST_USE
int driver_submit(struct driver *d, uint64_t now_ms, struct slice data, uint64_t *index);

/** The log is durable up to `index` (wal_durable_index()). An index not above the last one told
 * is ignored. Faults. */
HF_MUST_USE
int driver_persisted(struct driver *d, uint64_t now_ms, uint64_t index);

/** A message from a peer, in the order in which it sent them. Nothing in it is trusted but its
 * sender's id. \retval HF_EBADREQUEST it breaks a rule; nothing changed, drop the connection.
 * \retval HF_ETOOBUSY entries were refused for lack of room; nothing changed. Faults. */
HF_MUST_USE
int driver_receive(struct driver *d, uint64_t now_ms, const struct message *message);

/** Let time pass: does something only at or after driver_next_timeout(). Faults. */
HF_MUST_USE
int driver_tick(struct driver *d, uint64_t now_ms);

/** When driver_tick() must be called next, exactly: no earlier and no periodic tick (libraft then
 * takes live peers for lost). Ask again after every call that changes something. UINT64_MAX: never,
 * as things are, for a leader without other servers. */
uint64_t driver_next_timeout(const struct driver *d);

/** Hand leadership over to a voter that holds the whole log (driver_match_index() ==
 * driver_last_index()): it is asked to begin an election at once. Until it has one, or an election
 * time-out has passed, nothing can be submitted.
 * \retval HF_ENOTLEADER, HF_EINVAL (no other voter has this id), HF_ETOOBUSY (it lacks entries, or
 * a hand-over is under way) nothing happened. Faults. */
HF_MUST_USE
int driver_hand_over(struct driver *d, uint64_t now_ms, uint64_t id);

/** True while driver_hand_over() is under way. */
bool driver_is_handing_over(const struct driver *d);

/** On a leader: the log that a server is known to hold durably; 0 = nothing known, or no member. */
uint64_t driver_match_index(const struct driver *d, uint64_t id);

/** Go on applying after the apply port said HF_ETOOBUSY. Faults. */
HF_MUST_USE
int driver_resume(struct driver *d, uint64_t now_ms);

/** The store is durable at `mark`: libraft forgets the terms of entries up to mark->index -
 * `trailing`, after which the log may be cut there (wal_remove_before(index - trailing + 1)).
 * A mark not above the last one is ignored. mark->index <= driver_applied(). Faults. */
HF_MUST_USE
int driver_compact(struct driver *d, uint64_t now_ms, const struct driver_mark *mark,
                   uint32_t trailing);

/** What it is now. */
enum driver_state driver_state(const struct driver *d);

/** A leader that has applied an entry of its own term: reads and membership changes may begin. */
bool driver_is_ready(const struct driver *d);

/** The first entry of a leader's own term; 0 = it leads not, or has none yet. */
uint64_t driver_term_start(const struct driver *d);

/** The leader's id as far as known, 0 = none; itself if it leads. */
uint64_t driver_leader(const struct driver *d);

/** The present term. */
uint64_t driver_term(const struct driver *d);

/** Entries up to this one are committed. */
uint64_t driver_commit_index(const struct driver *d);

/** Entries up to this one were handed to the apply port. */
uint64_t driver_applied_index(const struct driver *d);

/** The log's last entry, durable or not. */
uint64_t driver_last_index(const struct driver *d);

/** The term of an entry in memory, or of the mark; 0 = not known here. */
uint64_t driver_term_of(const struct driver *d, uint64_t index);

/** The configuration in force (committed or not): its index. \param bytes Out, borrowed until the
 * next call that changes something. */
uint64_t driver_configuration(const struct driver *d, struct slice *bytes);

#endif
