/* A batch of ops as one raft entry. Happy path: begin, add each op (its envelope encoded in
 * place, its body copied as the client sent it), close with the times; the reader walks the same
 * bytes on every server. Failure modes: a full entry refuses an op and is as before; bytes that
 * do not read back are HF_ECORRUPT, for they were checked before they were proposed. */
#include "protocol/entry.h"

#include "base/status.h"

enum {
    FLAGS_AT = 2,
    OP_COUNT_AT = 4,
    CLUSTER_TIME_AT = 8,
    WALL_AT = 16,
    OP_LENGTH_BYTES = 4, /* before each op, not counted in it */
    OP_HEADER_BYTES = 4, /* op and reserved, counted */
};

_Static_assert(WALL_AT + sizeof(uint64_t) == ENTRY_HEADER_BYTES, "the header's last field");

int entry_begin(struct buffer *out)
{
    HF_ASSERT(out->size == 0);
    uint8_t header[ENTRY_HEADER_BYTES] = {0};
    put_u16(header, ENTRY_VERSION);
    return buffer_append(out, header, sizeof header);
}

uint32_t entry_op_count(const struct buffer *entry)
{
    HF_ASSERT(entry->size >= ENTRY_HEADER_BYTES);
    return get_u32(entry->data + OP_COUNT_AT);
}

int entry_add(struct buffer *entry, uint16_t op, const struct envelope *envelope, struct slice body)
{
    HF_ASSERT(op_find(op) != NULL);
    HF_ASSERT(body.size > 0);
    uint32_t count = entry_op_count(entry);
    if (count >= ENTRY_OPS_MAX) return HF_ETOOLARGE;

    size_t start = entry->size;
    uint8_t header[OP_LENGTH_BYTES + OP_HEADER_BYTES] = {0};
    put_u16(header + OP_LENGTH_BYTES, op);
    int rv = buffer_append(entry, header, sizeof header);
    if (rv == HF_OK) rv = codec_encode(&envelope_type, envelope, entry);
    if (rv == HF_OK) rv = buffer_append(entry, body.data, body.size);
    if (rv == HF_OK && entry->size > ENTRY_BYTES_MAX) rv = HF_ETOOLARGE;
    if (rv != HF_OK) {
        entry->size = start;
        return rv;
    }
    put_u32(entry->data + start, (uint32_t)(entry->size - start - OP_LENGTH_BYTES));
    put_u32(entry->data + OP_COUNT_AT, count + 1);
    return HF_OK;
}

void entry_close(struct buffer *entry, uint16_t flags, uint64_t cluster_time_ms, uint64_t wall_ms)
{
    HF_ASSERT(entry->size >= ENTRY_HEADER_BYTES);
    HF_ASSERT((flags & ~ENTRY_HOLDS_SWEEP) == 0);
    put_u16(entry->data + FLAGS_AT, flags);
    put_u64(entry->data + CLUSTER_TIME_AT, cluster_time_ms);
    put_u64(entry->data + WALL_AT, wall_ms);
}

int entry_open(struct slice entry, struct entry_header *header, struct entry_reader *reader)
{
    if (entry.size < sizeof(uint16_t)) return HF_ECORRUPT;
    uint16_t version = get_u16(entry.data);
    if (version != ENTRY_VERSION) return HF_EVERSION;
    if (entry.size < ENTRY_HEADER_BYTES || entry.size > ENTRY_BYTES_MAX) return HF_ECORRUPT;
    uint16_t flags = get_u16(entry.data + FLAGS_AT);
    uint32_t op_count = get_u32(entry.data + OP_COUNT_AT);
    if ((flags & ~ENTRY_HOLDS_SWEEP) != 0 || op_count > ENTRY_OPS_MAX) return HF_ECORRUPT;

    *header = (struct entry_header){
        .version = version,
        .flags = flags,
        .op_count = op_count,
        .cluster_time_ms = get_u64(entry.data + CLUSTER_TIME_AT),
        .wall_ms = get_u64(entry.data + WALL_AT),
    };
    *reader = (struct entry_reader){
        .rest = slice_make(entry.data + ENTRY_HEADER_BYTES, entry.size - ENTRY_HEADER_BYTES),
        .left = op_count,
    };
    return HF_OK;
}

int entry_next(struct entry_reader *reader, struct entry_op *op)
{
    struct slice rest = reader->rest;
    if (reader->left == 0) return rest.size == 0 ? HF_ENOTFOUND : HF_ECORRUPT;
    if (rest.size < OP_LENGTH_BYTES + OP_HEADER_BYTES) return HF_ECORRUPT;
    uint32_t bytes = get_u32(rest.data);
    if (bytes < OP_HEADER_BYTES || bytes > rest.size - OP_LENGTH_BYTES) return HF_ECORRUPT;
    const uint8_t *head = rest.data + OP_LENGTH_BYTES;
    if (get_u16(head + sizeof(uint16_t)) != 0) return HF_ECORRUPT;

    struct slice both = slice_make(head + OP_HEADER_BYTES, bytes - OP_HEADER_BYTES);
    struct slice envelope;
    if (codec_first(both, &envelope) != HF_OK) return HF_ECORRUPT;
    if (envelope.size == both.size) return HF_ECORRUPT; /* no body */
    *op = (struct entry_op){
        .op = get_u16(head),
        .envelope = envelope,
        .body = slice_make(both.data + envelope.size, both.size - envelope.size),
    };
    reader->rest = slice_make(head + bytes, rest.size - OP_LENGTH_BYTES - bytes);
    reader->left -= 1;
    return HF_OK;
}
