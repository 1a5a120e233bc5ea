/* What messages have in common: envelopes, and the items of their lists, each described as the
 * messages are (protocol/messages.h, which includes this file and names them all in HF_TYPES). */
#ifndef PROTOCOL_PARTS_H
#define PROTOCOL_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/words.h"

#define ACK_RANGE_FIELDS(T, F, L)                                         \
    F(T, U64, first, 1, UINT64_MAX) /* first answered seq of the range */ \
    F(T, U64, last, 1, UINT64_MAX)  /* last one, >= first (checked by envelope_check) */
CODEC_STRUCT(ack_range, ACK_RANGE_FIELDS)

#define SESSION_ENVELOPE_FIELDS(T, F, L)                                                 \
    F(T, U64, session, 0, UINT64_MAX)                /* 0 = none */                      \
    F(T, U64, seq, 0, UINT64_MAX)                    /* 0 = an op without a number */    \
    F(T, U64, ack, 0, UINT64_MAX)                    /* all seqs <= ack are answered */  \
    L(T, ack_range, ack_ranges, 0, ACK_RANGES_MAX)   /* answered above it, rising */     \
    F(T, U64, renews, 0, 1)                          /* 1: this op renews the session */ \
    F(T, STR, traceparent, 0, TRACEPARENT_BYTES_MAX) /* W3C trace context, or empty */

/* What a client says of itself with a request; all zero for one without a session, but for the last
 * two. */
#define CLIENT_ENVELOPE_FIELDS(T, F, L) \
    SESSION_ENVELOPE_FIELDS(T, F, L)    \
    F(T, U64, stale_ok, 0, 1) /* 1: any server may answer this read, as far as it has come */
CODEC_STRUCT(client_envelope, CLIENT_ENVELOPE_FIELDS)

/* The same as it stands in the log, with what the server knows of the caller. */
#define ENVELOPE_FIELDS(T, F, L)                                                            \
    SESSION_ENVELOPE_FIELDS(T, F, L)                                                        \
    F(T, STR, principal, 0, NAME_BYTES_MAX) /* "anonymous" until there is authentication */ \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)   /* the caller's address */                      \
    F(T, U64, acl_revision, 0, UINT64_MAX)  /* access control as it was at the door */
CODEC_STRUCT(envelope, ENVELOPE_FIELDS)

#define LOST_ITEM_FIELDS(T, F, L)                              \
    F(T, U64, fencing_token, 1, TOKEN_END - 1)                 \
    F(T, U64, reason, 1, END_REASON_MAX) /* enum end_reason */ \
    F(T, U64, at_ms, 0, TIME_MS_MAX)     /* cluster time */
CODEC_STRUCT(lost_item, LOST_ITEM_FIELDS)

#define LEFT_ITEM_FIELDS(T, F, L)              \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) \
    F(T, U64, left_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(left_item, LEFT_ITEM_FIELDS)

#define OWNER_ITEM_FIELDS(T, F, L)    \
    F(T, U64, session, 1, UINT64_MAX) \
    F(T, U64, owner, 1, UINT64_MAX)
CODEC_STRUCT(owner_item, OWNER_ITEM_FIELDS)

#define HOLDER_FIELDS(T, F, L)                              \
    F(T, U64, session, 1, UINT64_MAX)                       \
    F(T, U64, owner, 0, UINT64_MAX)                         \
    F(T, U64, fencing_token, 1, TOKEN_END - 1)              \
    F(T, U64, mode, 0, 2)              /* enum lock_mode */ \
    F(T, U64, permits, 0, PERMITS_MAX) /* units taken under MODE_PERMITS, else 0 */
CODEC_STRUCT(holder, HOLDER_FIELDS)

#define HOLDER_INFO_FIELDS(T, F, L)                                                     \
    HOLDER_FIELDS(T, F, L)                                                              \
    F(T, U64, count, 1, REENTRANCE_MAX)       /* reentrant acquisitions */              \
    F(T, U64, since_ms, 0, TIME_MS_MAX)       /* cluster time of the grant */           \
    F(T, U64, lease_left_ms, 0, TIME_MS_MAX)  /* a hint */                              \
    F(T, U64, hold_left_ms, 0, TIME_MS_MAX)   /* 0 = no hold_max */                     \
    F(T, STR, client_name, 0, NAME_BYTES_MAX) /* the session's */                       \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                                               \
    F(T, BIN, meta, 0, META_BYTES_MAX)                                                  \
    F(T, STR, traceparent, 0, TRACEPARENT_BYTES_MAX)                                    \
    F(T, U64, name_count, 1, NAMES_MAX)      /* locks under this token, this one too */ \
    F(T, U64, asked, 0, ASKED_BACK_MAX)      /* enum asked_back */                      \
    F(T, U64, asked_left_ms, 0, TIME_MS_MAX) /* of the grace */
CODEC_STRUCT(holder_info, HOLDER_INFO_FIELDS)

#define WAITER_INFO_FIELDS(T, F, L)           \
    F(T, U64, session, 1, UINT64_MAX)         \
    F(T, U64, owner, 0, UINT64_MAX)           \
    F(T, U64, mode, 0, 2)                     \
    F(T, U64, permits, 0, PERMITS_MAX)        \
    F(T, U64, since_ms, 0, TIME_MS_MAX)       \
    F(T, U64, wait_left_ms, 0, TIME_MS_MAX)   \
    F(T, STR, client_name, 0, NAME_BYTES_MAX) \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)     \
    F(T, U64, name_count, 1, NAMES_MAX) /* locks that it waits for, this one too */
CODEC_STRUCT(waiter_info, WAITER_INFO_FIELDS)

/* Something that happened to a lock. */
#define TRANSITION_ITEM_FIELDS(T, F, L)                                    \
    F(T, U64, at_ms, 0, TIME_MS_MAX)     /* cluster time */                \
    F(T, U64, what, 1, TRANSITION_MAX)   /* enum lock_transition */        \
    F(T, U64, reason, 0, END_REASON_MAX) /* of TRANSITION_ENDED, else 0 */ \
    F(T, U64, fencing_token, 1, TOKEN_END - 1)                             \
    F(T, U64, session, 1, UINT64_MAX)                                      \
    F(T, U64, owner, 1, UINT64_MAX)
CODEC_STRUCT(transition_item, TRANSITION_ITEM_FIELDS)

/* How much of a lock is taken. */
#define UNITS_FIELDS(T, F, L)                                                           \
    F(T, U64, limit, 0, PERMITS_MAX)         /* its units under MODE_PERMITS, else 0 */ \
    F(T, U64, units_taken, 0, UINT32_MAX)    /* permits, else holders */                \
    F(T, U64, units_delayed, 0, PERMITS_MAX) /* permits that were lost and stay taken */

#define LOCK_LINE_FIELDS(T, F, L)                                                                  \
    F(T, STR, name, 1, NAME_BYTES_MAX)                                                             \
    F(T, U64, mode, 0, 2)                                                                          \
    F(T, U64, holder_count, 0, UINT32_MAX)                                                         \
    F(T, U64, queue_length, 0, LOCK_WAITERS_MAX)                                                   \
    F(T, U64, fencing_token, 0, TOKEN_END - 1) /* the first holder's; 0 = free */                  \
    F(T, U64, since_ms, 0, TIME_MS_MAX)        /* the first holder's grant */                      \
    F(T, U64, lease_left_ms, 0, TIME_MS_MAX)   /* the first holder's */                            \
    F(T, U64, delay_left_ms, 0, TIME_MS_MAX)  /* lock-delay still running; of permits the first */ \
    F(T, STR, client_name, 0, NAME_BYTES_MAX) /* the first holder's session */                     \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                                                          \
    UNITS_FIELDS(T, F, L)                                                                          \
    F(T, U64, frozen, 0, 1) /* its prefix is: nothing is granted */
CODEC_STRUCT(lock_line, LOCK_LINE_FIELDS)

#define RECORD_LINE_FIELDS(T, F, L)                                                     \
    F(T, STR, key, 1, NAME_BYTES_MAX)                                                   \
    F(T, U64, state, 0, RECORD_STATE_MAX)                                               \
    F(T, U64, lapsed, 0, 1) /* RUNNING, and its lease has ended */                      \
    F(T, U64, fencing_token, 0, TOKEN_END - 1)                                          \
    F(T, U64, attempt, 0, UINT32_MAX)                                                   \
    F(T, U64, code, 0, UINT32_MAX)                                                      \
    F(T, U64, since_ms, 0, TIME_MS_MAX) /* cluster time of the last change of state */  \
    F(T, U64, left_ms, 0, TIME_MS_MAX)  /* lease left, or retention left */             \
    F(T, U64, external, 0, 2)           /* enum external_mark, still open */            \
    F(T, STR, checkpoint, 0, NAME_BYTES_MAX)                                            \
    F(T, STR, client_name, 0, NAME_BYTES_MAX)                                           \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                                               \
    F(T, U64, outcome, 0, RECORD_STATE_MAX)      /* DONE, FAILED; of a tombstone too */ \
    F(T, STR, secret_id, 0, SECRET_ID_BYTES_MAX) /* of the first attempt's BEGIN */
CODEC_STRUCT(record_line, RECORD_LINE_FIELDS)

#define LATE_ITEM_FIELDS(T, F, L)              \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) \
    F(T, U64, outcome, 0, RECORD_STATE_MAX)    \
    F(T, U64, code, 0, UINT32_MAX)             \
    F(T, BIN, body_hash, 16, 16)               \
    F(T, U64, at_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(late_item, LATE_ITEM_FIELDS)

#define SESSION_LINE_FIELDS(T, F, L)                              \
    F(T, U64, session, 1, UINT64_MAX)                             \
    F(T, STR, client_name, 0, NAME_BYTES_MAX)                     \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                         \
    F(T, U64, ttl_ms, 0, TTL_MS_MAX)                              \
    F(T, U64, left_ms, 0, TIME_MS_MAX)                            \
    F(T, U64, since_ms, 0, TIME_MS_MAX)                           \
    F(T, U64, grant_count, 0, UINT32_MAX)  /* names held */       \
    F(T, U64, waiter_count, 0, UINT32_MAX) /* names waited for */ \
    F(T, U64, attempt_count, 0, UINT32_MAX)                       \
    F(T, U64, ended, 0, END_REASON_MAX) /* enum end_reason; 0 = alive */
CODEC_STRUCT(session_line, SESSION_LINE_FIELDS)

#define MEMBER_FIELDS(T, F, L)                   \
    F(T, U64, id, 1, UINT64_MAX)                 \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)        \
    F(T, STR, client, 0, ADDRESS_BYTES_MAX)      \
    F(T, U64, role, 0, 2) /* enum member_role */ \
    F(T, U64, reachable, 0, 1)
CODEC_STRUCT(member, MEMBER_FIELDS)

#endif
