/* Framing, both directions. Happy path: four bytes of length, held against the limit before
 * anything else happens; then the fixed header; then the envelope's end is found without
 * decoding it. Failure modes: a length out of bounds (the stream has lost its footing: close the
 * connection), or one frame that breaks the form (answer it; the stream goes on). */
#include "protocol/frame.h"

#include "base/status.h"

enum {
    OP_AT = 4,
    RESERVED_AT = 6,
    STATUS_AT = 4,
    CLASS_AT = 6,
    FLAGS_AT = 7,
    REQUEST_ID_AT = 8,
    CLASS_MAX = 2,
    FLAGS_ALL = REPLY_REPEATED | REPLY_STANDS,
};

_Static_assert(REQUEST_ID_AT + sizeof(uint64_t) == FRAME_HEADER_BYTES, "the header's last field");

int frame_next(struct slice bytes, size_t bytes_max, size_t *size)
{
    HF_ASSERT(bytes_max >= FRAME_HEADER_BYTES);
    HF_ASSERT(bytes_max <= FRAME_BYTES_MAX);
    if (bytes.size < sizeof(uint32_t)) {
        *size = 0;
        return HF_OK;
    }
    uint32_t claimed = get_u32(bytes.data);
    if (claimed > bytes_max) return HF_ETOOLARGE;
    if (claimed < FRAME_HEADER_BYTES) return HF_EBADREQUEST;
    *size = claimed <= bytes.size ? claimed : 0;
    return HF_OK;
}

uint16_t frame_op(struct slice frame)
{
    HF_ASSERT(frame.size >= FRAME_HEADER_BYTES);
    return get_u16(frame.data + OP_AT);
}

int frame_read_request(struct slice frame, struct request_frame *out)
{
    HF_ASSERT(frame.size >= FRAME_HEADER_BYTES); /* frame_next()'s promise */
    HF_ASSERT(get_u32(frame.data) == frame.size);
    *out = (struct request_frame){
        .op = get_u16(frame.data + OP_AT),
        .request_id = get_u64(frame.data + REQUEST_ID_AT),
    };
    if (out->request_id == 0) return HF_EBADREQUEST;
    if (get_u16(frame.data + RESERVED_AT) != 0) return HF_EBADREQUEST;

    struct slice rest =
        slice_make(frame.data + FRAME_HEADER_BYTES, frame.size - FRAME_HEADER_BYTES);
    struct slice envelope;
    int rv = codec_first(rest, &envelope);
    if (rv != HF_OK) return rv;
    out->envelope = envelope;
    out->body = slice_make(rest.data + envelope.size, rest.size - envelope.size);
    return HF_OK;
}

/* A reply must not claim more than the protocol can mean. STANDS without REPEATED means nothing. */
static bool reply_is_sound(int status, unsigned reply_class, unsigned flags)
{
    if (status_name(status)[0] == '?') return false;
    if (reply_class > CLASS_MAX) return false;
    if ((flags & ~(unsigned)FLAGS_ALL) != 0) return false;
    return (flags & REPLY_STANDS) == 0 || (flags & REPLY_REPEATED) != 0;
}

int frame_read_reply(struct slice frame, struct reply_frame *out)
{
    HF_ASSERT(frame.size >= FRAME_HEADER_BYTES);
    HF_ASSERT(get_u32(frame.data) == frame.size);
    struct reply_frame reply = {
        .status = (int16_t)get_u16(frame.data + STATUS_AT),
        .reply_class = frame.data[CLASS_AT],
        .flags = frame.data[FLAGS_AT],
        .request_id = get_u64(frame.data + REQUEST_ID_AT),
        .body = slice_make(frame.data + FRAME_HEADER_BYTES, frame.size - FRAME_HEADER_BYTES),
    };
    if (!reply_is_sound(reply.status, reply.reply_class, reply.flags)) return HF_EBADREQUEST;
    *out = reply;
    return HF_OK;
}

/* Sixteen bytes of room for the header; it is written when the frame's length is known. */
static int begin_frame(struct buffer *out)
{
    int rv = buffer_reserve(out, FRAME_HEADER_BYTES);
    if (rv != HF_OK) return rv;
    memset(out->data + out->size, 0, FRAME_HEADER_BYTES);
    out->size += FRAME_HEADER_BYTES;
    return HF_OK;
}

/* Write the length, or take the frame back if it has none that may be sent. */
static int end_frame(struct buffer *out, size_t start, int rv)
{
    if (rv == HF_OK && out->size - start > FRAME_BYTES_MAX) rv = HF_ETOOLARGE;
    if (rv != HF_OK) {
        out->size = start;
        return rv;
    }
    put_u32(out->data + start, (uint32_t)(out->size - start));
    return HF_OK;
}

int frame_write_request(struct buffer *out, uint16_t op, uint64_t request_id,
                        const struct client_envelope *envelope, const void *request)
{
    const struct op_info *info = op_find(op);
    HF_ASSERT(info != NULL);
    HF_ASSERT(request_id != 0);
    size_t start = out->size;
    int rv = begin_frame(out);
    if (rv == HF_OK) rv = codec_encode(&client_envelope_type, envelope, out);
    if (rv == HF_OK) rv = codec_encode(info->request, request, out);
    rv = end_frame(out, start, rv);
    if (rv != HF_OK) return rv;
    put_u16(out->data + start + OP_AT, op);
    put_u64(out->data + start + REQUEST_ID_AT, request_id);
    return HF_OK;
}

int frame_write_reply(struct buffer *out, const struct reply_frame *reply)
{
    HF_ASSERT(reply_is_sound(reply->status, reply->reply_class, reply->flags));
    static const uint8_t empty_body = 0x90; /* msg_empty: an array of nothing */
    struct slice body = reply->body.size != 0 ? reply->body : slice_make(&empty_body, 1);
    size_t start = out->size;
    int rv = begin_frame(out);
    if (rv == HF_OK) rv = buffer_append(out, body.data, body.size);
    rv = end_frame(out, start, rv);
    if (rv != HF_OK) return rv;
    put_u16(out->data + start + STATUS_AT, (uint16_t)reply->status);
    out->data[start + CLASS_AT] = reply->reply_class;
    out->data[start + FLAGS_AT] = reply->flags;
    put_u64(out->data + start + REQUEST_ID_AT, reply->request_id);
    return HF_OK;
}
