/* A batch of ops as one raft entry: what the log holds and the machine applies.
 *
 *   u16 version | u16 flags | u32 op count | u64 cluster time ms | u64 wall ms
 *   then per op: u32 bytes | u16 op | u16 0 | envelope | body      `bytes` counts from op on
 *
 * big-endian; envelope and body are msgpack arrays: `struct envelope`, and the request's bytes
 * exactly as they were checked at the door. An entry without ops carries time alone. One that is
 * marked ENTRY_HOLDS_SWEEP moves time but expires nothing: what is due lives until a later entry.
 * An entry of an unknown version, or one that does not read back, is a fault: the server stops. */
#ifndef PROTOCOL_ENTRY_H
#define PROTOCOL_ENTRY_H

#include "base/assert.h"
#include "base/slice.h"
#include "protocol/messages.h"

enum {
    ENTRY_VERSION = 1,
    ENTRY_HEADER_BYTES = 24,
    ENTRY_OPS_MAX = 4096,
    ENTRY_BYTES_MAX =
        256 * 1024 + FRAME_BYTES_MAX, /* a batch closes at 256 KiB; one op more fits */
};

enum entry_flags { ENTRY_HOLDS_SWEEP = 1 };

struct entry_header {
    uint16_t version;         /**< ENTRY_VERSION */
    uint16_t flags;           /**< enum entry_flags, or-ed */
    uint32_t op_count;        /**< 0 .. ENTRY_OPS_MAX */
    uint64_t cluster_time_ms; /**< apply takes max(previous, this) */
    uint64_t wall_ms;         /**< likewise; for people and KEY_TOO_OLD */
};

struct entry_op {
    uint16_t op;           /**< enum op_code */
    struct slice envelope; /**< borrowed: encoded struct envelope */
    struct slice body;     /**< borrowed: encoded request */
};

/** Begin an entry in an empty buffer. */
HF_MUST_USE
int entry_begin(struct buffer *out);

/** Append one op and count it. \retval HF_ETOOLARGE the entry is as before: close it. */
HF_MUST_USE
int entry_add(struct buffer *entry, uint16_t op, const struct envelope *envelope,
              struct slice body);

/** Ops in it so far. */
uint32_t entry_op_count(const struct buffer *entry);

/** Stamp flags and times; the entry is complete. */
void entry_close(struct buffer *entry, uint16_t flags, uint64_t cluster_time_ms, uint64_t wall_ms);

struct entry_reader {
    struct slice rest; /**< not read yet */
    uint32_t left;     /**< ops not read yet */
};

/** Read the header. \retval HF_EVERSION not a version this program knows;
 * \retval HF_ECORRUPT malformed. */
HF_MUST_USE
int entry_open(struct slice entry, struct entry_header *header, struct entry_reader *reader);

/** The next op. \retval HF_ENOTFOUND the end, and nothing is left over; \retval HF_ECORRUPT. */
HF_MUST_USE
int entry_next(struct entry_reader *reader, struct entry_op *op);

#endif
