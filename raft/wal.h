/* The write-ahead log: what makes an entry durable. Bytes and tags are raft/wal_format.h's; here
 * is the object that decides, and the jobs that touch the disk.
 *
 * The deciding part never blocks. It belongs to the loop's thread:
 *   - wal_append() and wal_truncate() copy into the group that gathers;
 *   - wal_job_take(WAL_LANE_WRITE) closes that group and hands it out as one write and one sync.
 *     One is in flight at a time, the next gathers meanwhile: group commit;
 *   - wal_job_done() moves wal_durable_index(): entries up to it may be told to libraft;
 *   - wal_job_take(WAL_LANE_BACKGROUND) hands out what must never delay a write: zeroing the next
 *     segment (one spare is owned at all times), removing old ones, reading for a laggard.
 * wal_job_run() is the blocking part: a thread calls it (raft/wal_thread.h), or the simulator,
 * which lets virtual time pass between take, run and done. A job is owned by the log.
 *
 * Possible failure modes:
 *   - EIO, a short write or a failed sync: wal_job_done() returns the fault and the process must
 *     end (exit code 74) without another try. After a failed sync nobody knows what is on disk;
 *   - no space while a segment is prepared: weather. wal_has_room() turns false once the spare is
 *     used up: a follower refuses appends, a leader refuses work; wal_prepare_retry() tries again;
 *   - rot, a lost write, a missing segment, another cluster's log, a gap: wal_open() refuses with
 *     a sentence. A torn last group is cut, and the log goes on in a fresh segment whose synced
 *     head names the end of the one before. The newest segment taken away as a whole leaves no
 *     trace in the log: its number is noted elsewhere, and told to wal_open() (segment_min). */
#ifndef RAFT_WAL_H
#define RAFT_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/disk.h"
#include "base/list.h"
#include "base/slice.h"
#include "raft/entries.h"
#include "raft/log_entry.h"
#include "raft/refusal.h"
#include "raft/wal_format.h"

enum {
    WAL_SEGMENT_BYTES_DEFAULT = 64 * 1024 * 1024,
    WAL_SEGMENT_BYTES_MAX = 64 * 1024 * 1024,
    WAL_SEGMENT_BYTES_MIN = 2048,          /* for tests; a server takes 4 MiB or more */
    WAL_GROUP_BYTES_MAX = 4 * 1024 * 1024, /* a group that has this much is closed */
    WAL_MARK_BYTES = 256 * 1024,           /* how far apart wal_read() can begin */
    WAL_READ_BYTES_MAX = 4 * 1024 * 1024,  /* what one wal_read() brings at most, about */
    WAL_READS_MAX = 64,                    /* wal_read()s that may wait */
};

struct wal_config {
    uint8_t cluster_id[WAL_CLUSTER_ID_BYTES]; /**< as the vote file's */
    uint32_t segment_bytes; /**< a multiple of 512 in WAL_SEGMENT_BYTES_MIN..MAX; 4 MiB or more
                                 hold every entry (wal_entry_bytes_max()) */
    uint64_t segment_min;   /**< number of a segment that was begun, as the vote file says: a log
                                 that ends before it is refused; 0 = none is known of,
                                 as when it may be created */
    bool may_create;        /**< an empty directory becomes an empty log; else it is refused */
};

enum wal_lane { WAL_LANE_WRITE, WAL_LANE_BACKGROUND };

struct wal;
struct wal_job; /* one piece of blocking work; owned by the log */

/** A read of durable entries from disk, for a peer that is further behind than raft/entries
 * reaches. Owned by the caller, which must not touch it until done_cb was called. */
struct wal_read {
    struct list link;          /**< the log's, while it waits */
    uint64_t first;            /**< in: index of the first entry wanted */
    struct buffer data;        /**< owned by the request: the entries' bytes */
    struct log_entry *entries; /**< owned by the request: first, first + 1, ... */
    size_t count;              /**< out: entries read, at least 1 on HF_OK */
    size_t capacity;           /**< entries allocated */
    void (*done_cb)(struct wal_read *read, int status, void *cb_data); /**< on the loop */
    void *cb_data;                                                     /**< handed to done_cb */
};

/** Open the log, or make it: find the segments, check them, cut a torn last group, sync what was
 * found, and append to `entries` every entry from index `from` on, and up to `trail` before it.
 * Blocks. If the log ends before `from` - 1, `entries` stays empty and wal_last_index() says so:
 * the store is ahead, the caller goes on with wal_reset(from).
 * \param d  borrowed until wal_close(). \param config  copied.
 * \param from     at least 1: one past what the store holds.
 * \param trail    entries wanted before `from`, for peers that lag; fewer if fewer are left. Older
 *                 ones cannot be read any more: the segments that hold no others are removed.
 * \param entries  borrowed for the call; initialised; its contents are replaced.
 * \param wal      Out: owned, wal_close() it.
 * \param why      Out, filled on every error: what happened, where, what to do.
 * \retval HF_ECORRUPT   rot, a lost write, a missing segment, a gap, or the log ends before
 *                       config->segment_min: never vote with this log.
 * \retval HF_EINVAL     another cluster's log. \retval HF_ENOTFOUND no log, and not may_create.
 * \retval HF_EVERSION   written by a later version. \retval HF_EDISKFULL, HF_EIO, HF_ENOMEM */
HF_MUST_USE
int wal_open(struct disk *d, const struct wal_config *config, uint64_t from, uint64_t trail,
             struct entries *entries, struct wal **wal, struct refusal *why);

/** Free; nothing is flushed. No job may be running; waiting reads are forgotten without a call.
 * NULL is accepted. */
void wal_close(struct wal *w);

/** Append one entry to the gathering group; copied. index = wal_last_index() + 1, at most
 * wal_entry_bytes_max() bytes of data (both asserted). Never refuses: ask wal_has_room() before.
 * \retval HF_ENOMEM a fault. */
HF_MUST_USE
int wal_append(struct wal *w, const struct log_entry *entry);

/** Cut the entries from `index` on (wal_first_index() <= index <= wal_last_index()): a record in
 * the next group. \retval HF_ENOMEM a fault. */
HF_MUST_USE
int wal_truncate(struct wal *w, uint64_t index);

/** Forget all entries; the next is `next_index`: after an image was installed, or when the store is
 * ahead of the log. wal_durable_index() is next_index - 1 once the record is on disk, and 0 until
 * then. \retval HF_ENOMEM a fault. */
HF_MUST_USE
int wal_reset(struct wal *w, uint64_t next_index);

/** Allow the removal of segments that hold nothing but entries below `index`. */
void wal_remove_before(struct wal *w, uint64_t index);

/** The first entry to keep so that, in front of the segment that holds `index`, whole segments of
 * `bytes` bytes or more stay, or all: for wal_remove_before(). At most `index`. */
uint64_t wal_trail_begin(const struct wal *w, uint64_t index, uint64_t bytes);

/** Queue a read of entries from read->first on; done_cb is called from wal_job_done().
 * read->first is in wal_first_index() .. wal_durable_index() (asserted).
 * \retval HF_ETOOBUSY WAL_READS_MAX wait already; nothing was queued. */
HF_MUST_USE
int wal_read(struct wal *w, struct wal_read *read);

/** Free what a read holds; a zeroed one is accepted. Not while it waits. */
void wal_read_close(struct wal_read *read);

/** The next job of a lane, or NULL: nothing to do, or the lane's last job is not done yet. */
struct wal_job *wal_job_take(struct wal *w, enum wal_lane lane);

/** Do it. Blocks; any one thread; touches nothing of the log but the job. Keeps the outcome in the
 * job for wal_job_done(). */
void wal_job_run(struct disk *d, struct wal_job *job);

/** Back on the loop's thread: take the outcome in.
 * \retval HF_OK also for HF_EDISKFULL while preparing, which is weather.
 * \retval HF_EIO, HF_ECORRUPT, HF_ENOMEM, HF_EDISKFULL a fault: end the process with code 74. */
HF_MUST_USE
int wal_job_done(struct wal *w, struct wal_job *job);

/** Take, run and do all jobs of both lanes until none is left. Blocks: for start, stop, tests. */
HF_MUST_USE
int wal_run_all(struct wal *w);

/** Index of the first entry that can still be read; wal_last_index() + 1 if there is none. */
uint64_t wal_first_index(const struct wal *w);

/** Index of the last entry appended. */
uint64_t wal_last_index(const struct wal *w);

/** Entries up to this one are on disk; never above wal_last_index(). It falls only with
 * wal_truncate() and wal_reset(). */
uint64_t wal_durable_index(const struct wal *w);

/** Number of the newest segment that was begun durably, from 1. It is to be noted outside of the
 * log before anything in it is told to anybody, and given to the next wal_open(). */
uint64_t wal_newest_segment(const struct wal *w);

/** Bytes of groups that are not durable yet. */
size_t wal_pending_bytes(const struct wal *w);

/** The largest entry that fits in an empty segment, at most LOG_ENTRY_BYTES_MAX. */
size_t wal_entry_bytes_max(const struct wal *w);

/** True unless no space was left for the next spare and the last one is in use: then a follower
 * refuses appends and a leader work; what is appended all the same still has the rest of the
 * present segment. */
bool wal_has_room(const struct wal *w);

/** After no space was left while preparing: try again with the next background job. Until that
 * has succeeded wal_has_room() stays as it is. */
void wal_prepare_retry(struct wal *w);

/** Remove every file of a log, durably: what an interrupted making of the directory left. */
HF_MUST_USE
int wal_erase(struct disk *d);

/** True if any file of a log is there. */
HF_MUST_USE
int wal_exists(struct disk *d, bool *exists);

/** Bytes of all segment files, spares included. */
uint64_t wal_disk_bytes(const struct wal *w);

#endif
