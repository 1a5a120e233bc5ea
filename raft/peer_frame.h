/* The bytes that servers say to each other, and nothing else: no socket, no memory of its own.
 *
 *   u32 bytes | u32 CRC32C | u8 kind | 3 zero bytes | fields           big-endian
 *
 * `bytes` counts the whole frame, the check is over all that follows it. Kinds are the messages'
 * types (raft/message.h), and the introduction and its answer, of which one comes first on each
 * connection. Whatever is not exactly so is refused: unknown kinds, other bits than 0 and 1 in a
 * flag, text that is not printable ASCII, trailing bytes, counts above their limits or above what
 * the frame can hold; and nothing is allocated or walked before that was looked at. Introduction
 * and answer begin with the version, in every version, so that a refusal can name it.
 * docs/peer-wire.md shows the fields. */
#ifndef RAFT_PEER_FRAME_H
#define RAFT_PEER_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/slice.h"
#include "raft/message.h"

enum {
    PEER_FRAME_VERSION = 1,
    PEER_FRAME_HEADER_BYTES = 12,
    PEER_FRAME_BYTES_FIRST = 4096,           /* of an introduction and its answer */
    PEER_FRAME_BYTES_MAX = 8 * 1024 * 1024,  /* of any other */
    PEER_APPEND_BYTES_MAX = 4 * 1024 * 1024, /* of entries in one, or a single larger entry */
    PEER_CLUSTER_ID_BYTES = 16,
    PEER_TEXT_BYTES_MAX = 255, /* of an address or a sentence */
};

enum peer_frame_kind { PEER_FRAME_HELLO = 0x10, PEER_FRAME_ANSWER = 0x11 };

/** The introduction: who dials whom. */
struct peer_hello {
    uint8_t cluster_id[PEER_CLUSTER_ID_BYTES]; /**< the dialler's */
    uint64_t from;                             /**< the dialler's id */
    uint64_t incarnation;                      /**< the dialler's */
    uint64_t to;                               /**< whom it means to reach */
    struct slice client_address;               /**< the dialler's, 1 to 255 bytes; borrowed */
};

/** Its answer. */
struct peer_answer {
    bool refused;                /**< `sentence` says why; the connection will be closed */
    uint64_t from;               /**< the acceptor's id */
    uint64_t incarnation;        /**< the acceptor's */
    struct slice client_address; /**< the acceptor's, 1 to 255 bytes; borrowed */
    struct slice sentence;       /**< of a refusal, at most 255 bytes, else empty; borrowed */
};

/** Find the first whole frame. \param bytes_max PEER_FRAME_BYTES_FIRST or _MAX.
 * \param size Out: the frame's length; 0 = more bytes are needed, and nothing is wrong yet.
 * \retval HF_EBADREQUEST a length that no frame has. */
HF_MUST_USE
int peer_frame_next(struct slice bytes, size_t bytes_max, size_t *size);

/** Check a whole frame. \param kind Out. \param body Out: its fields, borrowed.
 * \retval HF_EBADREQUEST the check does not hold, or the padding is not zero. */
HF_MUST_USE
int peer_frame_open(struct slice frame, uint8_t *kind, struct slice *body);

/** Append a frame. \retval HF_ETOOLARGE, HF_ENOMEM nothing was appended. */
HF_MUST_USE
int peer_hello_write(struct buffer *out, const struct peer_hello *hello);
HF_MUST_USE
int peer_answer_write(struct buffer *out, const struct peer_answer *answer);

/** Read the fields of a frame that peer_frame_open() passed.
 * \retval HF_EVERSION  another version's: nothing else was looked at. \retval HF_EBADREQUEST */
HF_MUST_USE
int peer_hello_read(struct slice body, struct peer_hello *hello);
HF_MUST_USE
int peer_answer_read(struct slice body, struct peer_answer *answer);

/** Append a message as a frame. Of an append's entries as many as PEER_APPEND_BYTES_MAX holds, and
 * at least one. m->append.entries is not NULL if there are any. Errors as above. */
HF_MUST_USE
int peer_message_write(struct buffer *out, const struct message *m);

/** Read a message; `peer` and `address` are left to the caller.
 * \param entries  room for MESSAGE_ENTRIES_MAX: where m->append.entries points afterwards; their
 *                 data is borrowed from the frame. On errors, too, it may have been used.
 * \retval HF_EBADREQUEST */
HF_MUST_USE
int peer_message_read(uint8_t kind, struct slice body, struct log_entry *entries,
                      struct message *m);

#endif
