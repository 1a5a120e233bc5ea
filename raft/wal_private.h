/* What wal.c, wal_open.c and wal_job.c share; nobody else includes this. */
#ifndef RAFT_WAL_PRIVATE_H
#define RAFT_WAL_PRIVATE_H

#include "raft/wal.h"

#define WAL_TEMPORARY_NAME "wal-new"

enum { WAL_NAME_BYTES = 24 };

/** A segment file that exists under its final name. */
struct wal_segment {
    uint64_t number;        /**< from 1, without gaps */
    uint64_t next_index;    /**< its head's; 0 = prepared and not begun */
    uint32_t sectors;       /**< its length */
    uint32_t end_sector;    /**< first sector behind the last durable group */
    struct disk_file *file; /**< owned; NULL once it is sealed */
};

/** A place where wal_read() can begin: the group at (segment, sector) has the entry `index` as its
 * first, and all live entries up to the next mark lie between the two. */
struct wal_mark {
    uint64_t index;   /**< rising from mark to mark */
    uint64_t segment; /**< number */
    uint32_t sector;  /**< of the group */
    uint32_t chain;   /**< check before the group */
};

/** A group on its way to the disk. */
struct wal_batch {
    struct list link;        /**< in wal.closed or wal.free */
    struct wal_group group;  /**< its bytes */
    struct wal_head head;    /**< of the segment, if `opens` */
    uint64_t segment;        /**< number of the segment it lies in */
    uint64_t last_index;     /**< last entry in it that is still part of the log; 0 = none */
    uint64_t reset_next;     /**< the log begins anew here; 0 = it does not */
    uint32_t previous_chain; /**< check before the group */
    bool opens;              /**< the segment's head is written and synced first */
};

enum wal_job_kind { WAL_JOB_WRITE, WAL_JOB_PREPARE, WAL_JOB_REMOVE, WAL_JOB_READ };

/** Everything that a job needs, so that running it touches nothing else. */
struct wal_job {
    enum wal_job_kind kind;
    enum wal_lane lane;
    bool taken;                     /**< from take to done */
    int status;                     /**< the outcome */
    struct wal_batch *batch;        /**< write: what */
    struct disk_file *file;         /**< write: where; prepare: out, owned */
    struct disk_file *sealed;       /**< write: the segment before, to be closed; may be NULL */
    uint64_t number;                /**< prepare, remove, read: the segment's */
    uint64_t bytes;                 /**< prepare: its length */
    struct wal_tags tags;           /**< read: the segment's */
    uint32_t sector;                /**< read: where to begin */
    uint32_t end_sector;            /**< read: where to end */
    uint32_t chain;                 /**< read: check before that */
    uint64_t index_end;             /**< read: entries from here on are not wanted */
    struct wal_read *read;          /**< read: the request */
    uint8_t head[WAL_SECTOR_BYTES]; /**< write: the segment's head, if batch->opens */
};

struct wal {
    struct disk *disk;            /**< borrowed */
    struct wal_config config;     /**< as given */
    struct wal_segment *segments; /**< owned; by number, without gaps */
    size_t segment_count;         /**< of them, at least 1 once open */
    size_t segment_capacity;      /**< allocated */
    uint64_t segment_bytes;       /**< of all their files */
    struct wal_mark *marks;       /**< owned; by index */
    size_t mark_count;            /**< of them */
    size_t mark_capacity;         /**< allocated */
    bool mark_wanted;             /**< the next entry begins a new run: mark it */
    uint64_t segment;             /**< number of the segment where the next group goes */
    uint32_t sector;              /**< its first sector */
    uint32_t chain;               /**< check of the last record in a closed group */
    uint64_t last_index;          /**< of the last entry appended */
    uint64_t durable_index;       /**< see wal_durable_index() */
    struct wal_batch *gathering;  /**< owned; may be NULL */
    struct list closed;           /**< struct wal_batch; wait for the write lane, in order */
    struct list free;             /**< struct wal_batch; kept for reuse */
    size_t free_count;            /**< of them */
    size_t pending_bytes;         /**< in gathering, closed and in flight */
    uint64_t remove_before;       /**< see wal_remove_before() */
    bool prepare_failed;          /**< no space the last time: wait for wal_prepare_retry() */
    bool prepare_again;           /**< it was called */
    struct list reads;            /**< struct wal_read; wait for the background lane */
    size_t read_count;            /**< of them, the running one included */
    struct wal_job jobs[2];       /**< by enum wal_lane */
};

/** The file name of a segment. */
void wal_segment_name(uint64_t number, char name[WAL_NAME_BYTES]);

/** The number in a file name; 0 = not a segment's. */
uint64_t wal_segment_number(const char *name);

/** The segment with that number; NULL if it is not prepared. */
struct wal_segment *wal_segment_find(struct wal *w, uint64_t number);

/** Add a segment behind the last one. */
void wal_segment_add(struct wal *w, const struct wal_segment *segment);

/** Note that the entry `index`, first of its group, is at (segment, sector), if a mark is due. */
void wal_mark_maybe(struct wal *w, uint64_t index, uint64_t segment, uint32_t sector,
                    uint32_t chain);

/** Forget the marks from `index` on; the next entry gets one. */
void wal_marks_cut(struct wal *w, uint64_t index);

/** Make a segment file of zeros under its final name, durably. Blocks.
 * \param file Out: owned. \retval HF_EDISKFULL nothing is left of it. */
HF_MUST_USE
int wal_segment_make(struct disk *d, uint64_t number, uint64_t bytes, struct disk_file **file);

/** Memory or the end of the process: a log without memory cannot keep its word. */
void *wal_must_have(void *p);

#endif
