/* The bytes of the write-ahead log, and nothing else: no file, no clock, no memory of its own.
 *
 * A segment file is a row of 512-byte sectors, made of zeros before it is used and never used
 * twice. A written sector is never written again. Each begins with a tag: 32 bits hashed from the
 * cluster's id, the segment's number and the sector's, 8 to 24 of them set; its complement marks
 * a sector in which no group begins. Sector 0 is the segment's head: it names the end (offset and
 * check) of the segment before, at which what lies behind there is dead, and the file's length.
 *
 * From sector 1 on lie groups, one for each write and sync. A group begins on a new sector and
 * lies in one segment; behind the tags its bytes are
 *     group head   {check of the next 12 bytes, bytes of the records, their count, chain so far}
 *     records      {check, check of the record before, data length, type, 3 zero bytes,
 *                   index, term, data}; the check is CRC32C over all that follows it
 *     zeros        to the end of the sector
 * Each record names the check of the one before, over groups and segments: a chain.
 * A record is an entry, or says that the log is cut (WAL_TRUNCATE) or begun anew (WAL_RESET).
 *
 * What the scanner can tell apart, which is the point of the tags and of fresh zeros:
 *     never written  all 512 bytes are zero
 *     torn           the last group lacks sectors and no sector of a later group exists. Groups
 *                    are written one at a time, each after the sync of the one before, so this
 *                    one was never acknowledged: cut
 *     lost           a group lacks sectors although a later group exists: a synced write is gone
 *     rot            a sector neither zero nor with its own tag, or a complete group with a
 *                    wrong check
 * Integers are big-endian. Sectors are written whole or not at all; nothing larger is. */
#ifndef RAFT_WAL_FORMAT_H
#define RAFT_WAL_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/disk.h"
#include "base/slice.h"
#include "raft/log_entry.h"

enum {
    WAL_VERSION = 1,
    WAL_SECTOR_BYTES = DISK_SECTOR_BYTES,
    WAL_TAG_BYTES = 4,
    WAL_PAYLOAD_BYTES = WAL_SECTOR_BYTES - WAL_TAG_BYTES, /* what a sector holds beside its tag */
    WAL_GROUP_HEAD_BYTES = 16,
    WAL_RECORD_HEAD_BYTES = 32,
    WAL_CLUSTER_ID_BYTES = 16,
};

/** Record types beside enum log_type: about the log, not in it. */
enum wal_record_type {
    WAL_TRUNCATE = 0x80, /* entries from `index` on are gone */
    WAL_RESET = 0x81,    /* all entries are gone; the next one is `index` */
};

struct wal_record {
    uint64_t index;    /**< the entry's, or see enum wal_record_type */
    uint64_t term;     /**< the entry's; 0 for the other two */
    uint8_t type;      /**< enum log_type or enum wal_record_type */
    struct slice data; /**< the entry's bytes, borrowed; empty for the other two */
};

/** What a segment's tags are hashed from. */
struct wal_tags {
    uint64_t base; /**< hash of cluster id and segment number */
};

enum wal_sector_kind { WAL_SECTOR_ZERO, WAL_SECTOR_START, WAL_SECTOR_MORE, WAL_SECTOR_ROT };

/** Sector 0 of a segment. */
struct wal_head {
    uint8_t cluster_id[WAL_CLUSTER_ID_BYTES]; /**< whose log it is */
    uint64_t segment;                         /**< its number, from 1, rising by 1 */
    uint64_t next_index;     /**< index of the next entry when the segment was begun */
    uint64_t previous_bytes; /**< offset at which the segment before ends; 0 for the first */
    uint32_t chain;          /**< check of the last record before; 0 for the first */
    uint32_t segment_bytes;  /**< the file's length: one that lost its end is known by it */
};

/** Prepare the tags of segment `segment` of a cluster. */
struct wal_tags wal_tags_make(const uint8_t cluster_id[WAL_CLUSTER_ID_BYTES], uint64_t segment);

/** The tag of a sector in which a group (or the head) begins; others carry its complement. */
uint32_t wal_tag(struct wal_tags tags, uint32_t sector);

/** What a sector's bytes are. \param bytes 512 of them, borrowed. */
enum wal_sector_kind wal_sector_kind(struct wal_tags tags, uint32_t sector, const uint8_t *bytes);

/** Write a head as the 512 bytes of sector 0. */
void wal_head_encode(const struct wal_head *head, uint8_t out[WAL_SECTOR_BYTES]);

/** Read a head. \retval HF_ENOTFOUND all zero: the segment was prepared and never used.
 * \retval HF_ECORRUPT rot. \retval HF_EVERSION a later format. `cluster_id` is not compared. */
HF_MUST_USE
int wal_head_decode(const uint8_t bytes[WAL_SECTOR_BYTES], struct wal_head *head);

/** Sectors that a group with `record_bytes` bytes of records takes. */
static inline uint64_t wal_group_sectors(uint64_t record_bytes)
{
    return (WAL_GROUP_HEAD_BYTES + record_bytes + WAL_PAYLOAD_BYTES - 1) / WAL_PAYLOAD_BYTES;
}

/** A group being built in a buffer, tags included. */
struct wal_group {
    struct buffer bytes;   /**< owned; the sectors so far; a whole number once ended */
    struct wal_tags tags;  /**< its segment's */
    uint32_t sector;       /**< its first sector's number */
    uint32_t chain;        /**< check of the last record */
    uint32_t count;        /**< records */
    uint64_t record_bytes; /**< bytes of the records, heads included */
};

/** Begin a group at `sector`; `g->bytes` keeps its memory. \param chain check of the record
 * before. \retval HF_ENOMEM */
HF_MUST_USE
int wal_group_begin(struct wal_group *g, struct wal_tags tags, uint32_t sector, uint32_t chain);

/** Append a record. \retval HF_ENOMEM, HF_ETOOLARGE the group is unusable: a fault. */
HF_MUST_USE
int wal_group_add(struct wal_group *g, const struct wal_record *record);

/** Fill the last sector with zeros and write the group's head. At least one record is in it. */
HF_MUST_USE
int wal_group_end(struct wal_group *g);

enum wal_verdict {
    WAL_CLEAN, /**< every group whole, zeros behind (or the end that was named) */
    WAL_TORN,  /**< the last group is incomplete and was never acknowledged */
    WAL_LOST,  /**< a synced write is missing */
    WAL_ROT,   /**< bytes changed after they were written */
};

/** A walk over the groups of (part of) one segment. */
struct wal_scan {
    const uint8_t *bytes;  /**< in: borrowed, whole sectors */
    uint32_t first_sector; /**< in: number of the sector at bytes[0], at least 1 */
    uint32_t sectors;      /**< in: sectors in `bytes` */
    bool sealed;           /**< in: they end exactly at `bytes + sectors`; else look for the end */
    struct wal_tags tags;  /**< in: the segment's */
    uint32_t chain;        /**< in: check before the first record; out: of the last one */
    uint32_t end_sector;   /**< out: first sector behind the last whole group */
    uint32_t bad_sector;   /**< out: where a verdict other than WAL_CLEAN was reached */
    int status;            /**< out: what `each` returned when it ended the walk, else HF_OK */

    /** Called for each record, in order, once its group was found whole. `group_sector`: where
     * that group begins; `chain`: the check before it. Anything but HF_OK ends the walk. */
    int (*each)(const struct wal_record *record, uint32_t group_sector, uint32_t chain, void *data);
    void *data;             /**< handed to `each` */
    struct buffer *scratch; /**< borrowed; a group's bytes without tags */
};

/** Walk. Blocks for no disk; reads only `bytes`. */
enum wal_verdict wal_scan_run(struct wal_scan *scan);

/** "torn" and so on, for messages. Static. */
const char *wal_verdict_name(enum wal_verdict verdict);

#endif
