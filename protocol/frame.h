/* Frames: what stands between a byte stream and messages. Without I/O: bytes in, frames out.
 *
 *   request   u32 bytes | u16 op     | u16 0             | u64 request id | envelope | body
 *   reply     u32 bytes | i16 status | u8 class | u8 flags | u64 request id | body
 *
 * big-endian; `bytes` counts the whole frame, header included; envelope and body are one msgpack
 * array each (protocol/messages.h). A request id is the connection's own, drawn by the client,
 * not 0. A server's frame with request id 0 answers no request (SUPERSEDED, a complaint before a
 * connection is closed). */
#ifndef PROTOCOL_FRAME_H
#define PROTOCOL_FRAME_H

#include "base/assert.h"
#include "base/slice.h"
#include "protocol/messages.h"

enum reply_flags {
    REPLY_REPEATED = 1, /**< a stored reply: the op was applied before */
    REPLY_STANDS = 2,   /**< with REPEATED: the grant or attempt it tells of is still current */
};

struct request_frame {
    uint16_t op;           /**< enum op_code, or any other number */
    uint64_t request_id;   /**< not 0 */
    struct slice envelope; /**< borrowed: a msgpack value */
    struct slice body;     /**< borrowed: the rest; a msgpack value if well formed */
};

struct reply_frame {
    int status;          /**< base/status.def */
    uint8_t reply_class; /**< 0 done, 1 not applied, 2 unknown */
    uint8_t flags;       /**< enum reply_flags, or-ed */
    uint64_t request_id; /**< 0 = answers no request */
    struct slice body;   /**< borrowed: a msgpack value of op_reply_type() */
};

/** Find the first whole frame in `bytes`.
 * \param bytes_max  frames longer than this are refused (FRAME_BYTES_MAX, or less before HELLO).
 * \param size       Out: the frame's length; 0 = more bytes are needed, and nothing is wrong yet.
 * \retval HF_ETOOLARGE, HF_EBADREQUEST the framing is broken: close the connection. */
HF_MUST_USE
int frame_next(struct slice bytes, size_t bytes_max, size_t *size);

/** The op that a whole frame asks for, if it is a request; nothing else of it is looked at. */
uint16_t frame_op(struct slice frame);

/** Read one whole frame as a request. The body is not looked at beyond its bounds.
 * \retval HF_EBADREQUEST a zero request id, non-zero reserved bits or a broken envelope;
 * request_id is written nevertheless, so that it can be answered. */
HF_MUST_USE
int frame_read_request(struct slice frame, struct request_frame *out);

/** Read one whole frame as a reply; the client's library does not trust it either.
 * \retval HF_EBADREQUEST an unknown status or class. */
HF_MUST_USE
int frame_read_reply(struct slice frame, struct reply_frame *out);

/** Append a request: header, envelope, body, each encoded in place.
 * \retval HF_ETOOLARGE the buffer's or a frame's maximum; `out` is as before. */
HF_MUST_USE
int frame_write_request(struct buffer *out, uint16_t op, uint64_t request_id,
                        const struct client_envelope *envelope, const void *request);

/** Append a reply whose body is encoded already (empty = msg_empty). */
HF_MUST_USE
int frame_write_reply(struct buffer *out, const struct reply_frame *reply);

#endif
