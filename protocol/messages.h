/* Every message once: its fields and their ranges. docs/contract.md says what each does,
 * protocol/ops.h which belong to which op, protocol/README.md shows each as bytes. Fields are
 * positional on the wire: a change of a message's fields is a new protocol version. */
#ifndef PROTOCOL_MESSAGES_H
#define PROTOCOL_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/messages_admin.h"
#include "protocol/messages_barrier.h"
#include "protocol/messages_events.h"
#include "protocol/messages_timers.h"
#include "protocol/messages_txn.h"
#include "protocol/ops.h"
#include "protocol/parts.h"
#include "protocol/words.h"

/* ------------------------------------------------------------------ requests */

#define HELLO_FIELDS(T, F, L)             \
    F(T, U64, version_min, 1, UINT16_MAX) \
    F(T, U64, version_max, 1, UINT16_MAX) \
    F(T, STR, name, 0, NAME_BYTES_MAX) /* the client's, for people */
CODEC_STRUCT(msg_hello, HELLO_FIELDS)

#define OPEN_FIELDS(T, F, L)                                      \
    F(T, BIN, secret, SESSION_SECRET_BYTES, SESSION_SECRET_BYTES) \
    F(T, U64, ttl_ms, TTL_MS_MIN, TTL_MS_MAX)                     \
    F(T, STR, name, 0, NAME_BYTES_MAX)                            \
    F(T, BIN, meta, 0, META_BYTES_MAX)
CODEC_STRUCT(msg_open, OPEN_FIELDS)

#define KEEP_FIELDS(T, F, L) F(T, U64S, losses_acked, 0, LOSSES_MAX)
CODEC_STRUCT(msg_keep, KEEP_FIELDS)

#define RESUME_FIELDS(T, F, L) F(T, BIN, secret, SESSION_SECRET_BYTES, SESSION_SECRET_BYTES)
CODEC_STRUCT(msg_resume, RESUME_FIELDS)

#define CANCEL_FIELDS(T, F, L) F(T, U64, target_seq, 1, UINT64_MAX)
CODEC_STRUCT(msg_cancel, CANCEL_FIELDS)

#define ACQUIRE_FIELDS(T, F, L)                                                  \
    F(T, STRS, names, 1, NAMES_MAX) /* sorted, distinct (checked at the door) */ \
    F(T, U64, owner, 1, UINT64_MAX)                                              \
    F(T, U64, mode, 0, 2)                                                        \
    F(T, U64, permits, 0, PERMITS_MAX) /* 0 unless MODE_PERMITS */               \
    F(T, U64, limit, 0, PERMITS_MAX)   /* likewise */                            \
    F(T, U64, wait_ms, 0, WAIT_MS_MAX)                                           \
    F(T, U64, hold_max_ms, 0, HOLD_MS_MAX) /* 0 = as long as the session */      \
    F(T, U64, delay_ms, 0, DELAY_MS_MAX)                                         \
    F(T, U64, reentrant, 0, 1)                                                   \
    F(T, BIN, meta, 0, META_BYTES_MAX)
CODEC_STRUCT(msg_acquire, ACQUIRE_FIELDS)

#define RELEASE_FIELDS(T, F, L)                                    \
    F(T, STR, name, 0, NAME_BYTES_MAX) /* empty: by token alone */ \
    F(T, U64, fencing_token, 1, TOKEN_END - 1)                     \
    F(T, U64, owner, 1, UINT64_MAX)
CODEC_STRUCT(msg_release, RELEASE_FIELDS)

/* DOWNGRADE and UPGRADE. */
#define CHANGE_MODE_FIELDS(T, F, L) RELEASE_FIELDS(T, F, L)
CODEC_STRUCT(msg_change_mode, CHANGE_MODE_FIELDS)

#define ABANDON_FIELDS(T, F, L) F(T, U64, fencing_token, 1, TOKEN_END - 1)
CODEC_STRUCT(msg_abandon, ABANDON_FIELDS)

#define CHECK_FIELDS(T, F, L)          \
    F(T, STR, name, 1, NAME_BYTES_MAX) \
    F(T, U64, fencing_token, 1, TOKEN_END - 1)
CODEC_STRUCT(msg_check, CHECK_FIELDS)

#define INFO_FIELDS(T, F, L) F(T, STR, name, 1, NAME_BYTES_MAX)
CODEC_STRUCT(msg_info, INFO_FIELDS)

#define LIST_FIELDS(T, F, L)                                                                      \
    F(T, STR, prefix, 0, NAME_BYTES_MAX)                                                          \
    F(T, STR, cursor, 0, NAME_BYTES_MAX) /* the last answer's, empty at first */                  \
    F(T, U64, count_max, 1, PAGE_ITEMS_MAX)                                                       \
    F(T, U64, states, 0, LIST_STATES_MAX)     /* enum lock_filter, or-ed: all of them; 0 = any */ \
    F(T, U64, modes, 0, LIST_MODES_MAX)       /* 1 << mode of the holders, or-ed; 0 = any */      \
    F(T, U64, session, 0, UINT64_MAX)         /* held by it; 0 = by anybody or nobody */          \
    F(T, STR, client_name, 0, NAME_BYTES_MAX) /* held by a session of this name; empty = any */   \
    F(T, U64, older_than_ms, 0, TIME_MS_MAX)  /* held for so long; 0 = any */
CODEC_STRUCT(msg_list, LIST_FIELDS)

#define BEGIN_FIELDS(T, F, L)                                                        \
    F(T, STR, key, 1, NAME_BYTES_MAX)                                                \
    F(T, BIN, fingerprint, FINGERPRINT_BYTES, FINGERPRINT_BYTES)                     \
    F(T, U64, lease_ms, 0, LEASE_MS_MAX) /* 0 = bound to the session; else >= 500 */ \
    F(T, U64, retain_ms, RETAIN_MS_MIN, RETAIN_MS_MAX)                               \
    F(T, U64, takeover, 0, 2) /* enum takeover_policy */                             \
    F(T, U64, wait_ms, 0, WAIT_MS_MAX)                                               \
    F(T, U64, born_ms, 0, TIME_MS_MAX) /* wall clock; 0 = not told */                \
    F(T, STR, secret_id, 0, SECRET_ID_BYTES_MAX)                                     \
    F(T, STR, guard_name, 0, NAME_BYTES_MAX) /* empty = no guard */                  \
    F(T, U64, guard_token, 0, TOKEN_END - 1)                                         \
    F(T, BIN, meta, 0, META_BYTES_MAX)
CODEC_STRUCT(msg_begin, BEGIN_FIELDS)

#define EXTEND_FIELDS(T, F, L)                 \
    F(T, STR, key, 1, NAME_BYTES_MAX)          \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) \
    F(T, U64, lease_ms, LEASE_MS_MIN, LEASE_MS_MAX)
CODEC_STRUCT(msg_extend, EXTEND_FIELDS)

#define CHECKPOINT_FIELDS(T, F, L)                                               \
    F(T, STR, key, 1, NAME_BYTES_MAX)                                            \
    F(T, U64, fencing_token, 1, TOKEN_END - 1)                                   \
    F(T, STR, name, 0, NAME_BYTES_MAX)                                           \
    F(T, U64, number, 1, UINT64_MAX) /* must rise within the attempt's record */ \
    F(T, BIN, data, 0, CHECKPOINT_BYTES_MAX)                                     \
    F(T, U64, external, 0, 2) /* enum external_mark */
CODEC_STRUCT(msg_checkpoint, CHECKPOINT_FIELDS)

#define COMPLETE_FIELDS(T, F, L)                        \
    F(T, STR, key, 1, NAME_BYTES_MAX)                   \
    F(T, U64, fencing_token, 1, TOKEN_END - 1)          \
    F(T, U64, outcome, OUTCOME_DONE, OUTCOME_RETRYABLE) \
    F(T, U64, code, 0, UINT32_MAX)                      \
    F(T, BIN, headers, 0, HEADERS_BYTES_MAX)            \
    F(T, BIN, body, 0, BODY_BYTES_MAX)                  \
    F(T, U64, body_kind, BODY_WHOLE, BODY_REFERENCE) /* enum body_kind */
CODEC_STRUCT(msg_complete, COMPLETE_FIELDS)

#define RESOLVE_FIELDS(T, F, L)                \
    COMPLETE_FIELDS(T, F, L)                   \
    F(T, BIN, evidence, 0, EVIDENCE_BYTES_MAX) \
    F(T, STR, operator_name, 1, NAME_BYTES_MAX)
CODEC_STRUCT(msg_resolve, RESOLVE_FIELDS)

#define REOPEN_FIELDS(T, F, L)                                                     \
    F(T, STR, key, 1, NAME_BYTES_MAX)                                              \
    F(T, U64, fencing_token, 1, TOKEN_END - 1)       /* of the attempt, as seen */ \
    F(T, U64, outcome, OUTCOME_DONE, OUTCOME_FAILED) /* its outcome, as seen */    \
    F(T, STR, reason, 1, EVIDENCE_BYTES_MAX)                                       \
    F(T, STR, operator_name, 1, NAME_BYTES_MAX)
CODEC_STRUCT(msg_reopen, REOPEN_FIELDS)

#define ERASE_FIELDS(T, F, L)                \
    F(T, STR, key, 1, NAME_BYTES_MAX)        \
    F(T, STR, reason, 1, EVIDENCE_BYTES_MAX) \
    F(T, STR, operator_name, 1, NAME_BYTES_MAX)
CODEC_STRUCT(msg_erase, ERASE_FIELDS)

#define RECORD_GET_FIELDS(T, F, L) F(T, STR, key, 1, NAME_BYTES_MAX)
CODEC_STRUCT(msg_record_get, RECORD_GET_FIELDS)

#define RECORD_LIST_FIELDS(T, F, L)                                                        \
    F(T, STR, prefix, 0, NAME_BYTES_MAX)                                                   \
    F(T, U64, state, 0, RECORD_STATE_MAX)    /* 0 = any */                                 \
    F(T, U64, older_than_ms, 0, TIME_MS_MAX) /* since the last change of state; 0 = any */ \
    F(T, STR, cursor, 0, NAME_BYTES_MAX)                                                   \
    F(T, U64, count_max, 1, PAGE_ITEMS_MAX)
CODEC_STRUCT(msg_record_list, RECORD_LIST_FIELDS)

#define SESSION_LIST_FIELDS(T, F, L)                                     \
    F(T, U64, cursor, 0, UINT64_MAX) /* the last answer's, 0 at first */ \
    F(T, U64, count_max, 1, PAGE_ITEMS_MAX)
CODEC_STRUCT(msg_session_list, SESSION_LIST_FIELDS)

/** CLOSE, STATUS, and every answer that says no more than its status. */
struct msg_empty {
    uint8_t unused; /**< C has no empty struct */
};
extern const struct codec_type msg_empty_type;

/* ------------------------------------------------------------------ answers */

#define HELLO_REPLY_FIELDS(T, F, L)                                            \
    F(T, U64, version, 1, UINT16_MAX)                                          \
    F(T, STR, name, 0, NAME_BYTES_MAX) /* the server's software and version */ \
    F(T, U64, node_id, 1, UINT64_MAX)                                          \
    F(T, BIN, cluster_id, CLUSTER_ID_BYTES, CLUSTER_ID_BYTES)
CODEC_STRUCT(msg_hello_reply, HELLO_REPLY_FIELDS)

#define OPEN_REPLY_FIELDS(T, F, L)    \
    F(T, U64, session, 1, UINT64_MAX) \
    F(T, U64, ttl_ms, TTL_MS_MIN, TTL_MS_MAX)
CODEC_STRUCT(msg_open_reply, OPEN_REPLY_FIELDS)

#define KEEP_REPLY_FIELDS(T, F, L)                                                          \
    F(T, U64, ttl_ms, TTL_MS_MIN, TTL_MS_MAX)                                               \
    L(T, lost_item, lost, 0, LOSSES_MAX) /* not yet acknowledged, oldest first */           \
    F(T, U64, more, 0, 1)                /* more losses: this answer moves no deadline */   \
    L(T, left_item, asked, 0, ASKED_MAX) /* tokens asked back, time left; the next first */ \
    L(T, left_item, holds, 0, SESSION_NAMES_MAX) /* hold time left of grants with hold_max */
CODEC_STRUCT(msg_keep_reply, KEEP_REPLY_FIELDS)

#define CANCEL_REPLY_FIELDS(T, F, L)                                                       \
    F(T, STATUS, status, 0, 999)               /* the cancelled request's own answer */    \
    F(T, U64, op, 0, UINT16_MAX)               /* which op it was; 0 = never arrived */    \
    F(T, U64, stands, 0, 1)                    /* its grant or attempt is still current */ \
    F(T, BIN, body, 0, REPLY_STORED_BYTES_MAX) /* its stored answer, as that op's */
CODEC_STRUCT(msg_cancel_reply, CANCEL_REPLY_FIELDS)

#define GRANTED_FIELDS(T, F, L)                \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) \
    F(T, U64, waited, 0, 1)                    \
    F(T, U64, count, 1, REENTRANCE_MAX) /* reentrant acquisitions so far */
CODEC_STRUCT(msg_granted, GRANTED_FIELDS)

#define BUSY_FIELDS(T, F, L)                                   \
    L(T, holder, holders, 0, BUSY_HOLDERS_MAX)                 \
    F(T, U64, holder_count, 0, UINT32_MAX)                     \
    F(T, U64, queue_length, 0, LOCK_WAITERS_MAX)               \
    F(T, U64, lease_left_ms, 0, TIME_MS_MAX) /* the longest */ \
    UNITS_FIELDS(T, F, L)
CODEC_STRUCT(msg_busy, BUSY_FIELDS)

#define DELAYED_FIELDS(T, F, L) F(T, U64, left_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(msg_delayed, DELAYED_FIELDS)

/* Each of them waits for the next one, and the last for the first, who has asked. */
#define DEADLOCK_FIELDS(T, F, L)                                                  \
    L(T, owner_item, owners, 2, DEADLOCK_OWNERS_MAX) /* the first of the cycle */ \
    F(T, U64, length, 2, UINT32_MAX)                 /* of the whole cycle */
CODEC_STRUCT(msg_deadlock, DEADLOCK_FIELDS)

#define ALREADY_FIELDS(T, F, L)                \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) \
    F(T, U64, mode, 0, 2)                      \
    F(T, U64, permits, 0, PERMITS_MAX)         \
    F(T, STRS, names, 0, NAMES_MAX) /* as many as fit a stored reply */
CODEC_STRUCT(msg_already, ALREADY_FIELDS)

#define RELEASE_REPLY_FIELDS(T, F, L) F(T, U64, count_left, 0, REENTRANCE_MAX)
CODEC_STRUCT(msg_release_reply, RELEASE_REPLY_FIELDS)

/* With NOT_HELD and SESSION_EXPIRED: why and when, where known. */
#define ENDED_FIELDS(T, F, L)                                \
    F(T, U64, reason, 0, END_REASON_MAX) /* 0 = not known */ \
    F(T, U64, at_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(msg_ended, ENDED_FIELDS)

#define CHECK_REPLY_FIELDS(T, F, L)                   \
    F(T, U64, verdict, 0, 2) /* enum check_verdict */ \
    F(T, U64, lease_left_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(msg_check_reply, CHECK_REPLY_FIELDS)

#define INFO_REPLY_FIELDS(T, F, L)                                                           \
    F(T, STR, name, 1, NAME_BYTES_MAX)                                                       \
    L(T, holder_info, holders, 0, PAGE_ITEMS_MAX)                                            \
    F(T, U64, holder_count, 0, UINT32_MAX)                                                   \
    L(T, waiter_info, waiters, 0, PAGE_ITEMS_MAX)                                            \
    F(T, U64, queue_length, 0, LOCK_WAITERS_MAX)                                             \
    F(T, U64, delay_left_ms, 0, TIME_MS_MAX) /* as lock_line's */                            \
    UNITS_FIELDS(T, F, L)                                                                    \
    F(T, U64, last_reason, 0, END_REASON_MAX) /* of the last involuntary loss; 0 = none */   \
    F(T, U64, last_at_ms, 0, TIME_MS_MAX)                                                    \
    L(T, transition_item, transitions, 0, LOCK_TRANSITIONS_MAX) /* the last, oldest first */ \
    F(T, U64, frozen, 0, 1)                                     /* as lock_line's */         \
    F(T, U64, now_ms, 0, TIME_MS_MAX) /* cluster time, for the ages of what is shown */
CODEC_STRUCT(msg_info_reply, INFO_REPLY_FIELDS)

#define LIST_REPLY_FIELDS(T, F, L)            \
    L(T, lock_line, locks, 0, PAGE_ITEMS_MAX) \
    F(T, STR, cursor, 0, NAME_BYTES_MAX) /* for the next page; empty = the end */
CODEC_STRUCT(msg_list_reply, LIST_REPLY_FIELDS)

#define BEGIN_REPLY_FIELDS(T, F, L)                                                         \
    F(T, U64, verdict, 0, 2)                   /* enum begin_verdict */                     \
    F(T, U64, fencing_token, 0, TOKEN_END - 1) /* STARTED, TAKEOVER */                      \
    F(T, U64, attempt, 0, UINT32_MAX)                                                       \
    F(T, STR, secret_id, 0, SECRET_ID_BYTES_MAX)                                            \
    F(T, STR, checkpoint, 0, NAME_BYTES_MAX) /* the last checkpoint's name */               \
    F(T, U64, checkpoint_number, 0, UINT64_MAX)                                             \
    F(T, U64, external, 0, 2) /* its mark, still open */                                    \
    F(T, BIN, checkpoint_data, 0, CHECKPOINT_BYTES_MAX)                                     \
    F(T, U64, outcome, 0, RECORD_STATE_MAX) /* REPLAY: DONE or FAILED */                    \
    F(T, U64, code, 0, UINT32_MAX)                                                          \
    F(T, BIN, headers, 0, HEADERS_BYTES_MAX)                                                \
    F(T, BIN, body, 0, BODY_BYTES_MAX)                                                      \
    F(T, U64, done_at_ms, 0, TIME_MS_MAX)  /* the wall clock then, for people */            \
    F(T, U64, referent, 0, 1)              /* enum referent: 1 = body or data gone since */ \
    F(T, U64, body_kind, 0, BODY_KIND_MAX) /* REPLAY: enum body_kind */
CODEC_STRUCT(msg_begin_reply, BEGIN_REPLY_FIELDS)

#define RUNNING_FIELDS(T, F, L)                                            \
    F(T, U64, lease_left_ms, 0, TIME_MS_MAX)                               \
    F(T, U64, attempt, 0, UINT32_MAX)                                      \
    F(T, BIN, meta, 0, META_BYTES_MAX) /* the owner's, cut to 256 bytes */ \
    F(T, STR, checkpoint, 0, NAME_BYTES_MAX)
CODEC_STRUCT(msg_running, RUNNING_FIELDS)

#define UNKNOWN_FIELDS(T, F, L)                                                       \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) /* of the attempt: RESOLVE wants it */ \
    F(T, U64, attempt, 0, UINT32_MAX)                                                 \
    F(T, STR, checkpoint, 0, NAME_BYTES_MAX)                                          \
    F(T, U64, checkpoint_number, 0, UINT64_MAX)                                       \
    F(T, U64, external, 0, 2)                                                         \
    F(T, U64, since_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(msg_unknown, UNKNOWN_FIELDS)

/* With MISMATCH, and with STALE_TOKEN and BAD_STATE of a record: its state now. */
#define STATE_FIELDS(T, F, L)               \
    F(T, U64, state, 0, RECORD_STATE_MAX)   \
    F(T, U64, outcome, 0, RECORD_STATE_MAX) \
    F(T, U64, code, 0, UINT32_MAX)
CODEC_STRUCT(msg_state, STATE_FIELDS)

#define EXTEND_REPLY_FIELDS(T, F, L) F(T, U64, lease_left_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(msg_extend_reply, EXTEND_REPLY_FIELDS)

#define RECORD_REPLY_FIELDS(T, F, L)                                                           \
    RECORD_LINE_FIELDS(T, F, L)                                                                \
    F(T, BIN, fingerprint, 0, FINGERPRINT_BYTES)                                               \
    F(T, U64, takeover, 0, 2)                                                                  \
    F(T, U64, retain_ms, 0, RETAIN_MS_MAX)                                                     \
    F(T, U64, born_ms, 0, TIME_MS_MAX)    /* wall clock, as BEGIN told */                      \
    F(T, U64, done_at_ms, 0, TIME_MS_MAX) /* wall clock */                                     \
    F(T, U64, session, 0, UINT64_MAX)     /* of the attempt */                                 \
    F(T, U64, checkpoint_number, 0, UINT64_MAX)                                                \
    F(T, BIN, checkpoint_data, 0, CHECKPOINT_BYTES_MAX)                                        \
    F(T, BIN, meta, 0, META_BYTES_MAX)                                                         \
    F(T, BIN, headers, 0, HEADERS_BYTES_MAX)                                                   \
    F(T, BIN, body, 0, BODY_BYTES_MAX)                                                         \
    F(T, BIN, evidence, 0, EVIDENCE_BYTES_MAX) /* the act's reason */                          \
    F(T, STR, operator_name, 0, NAME_BYTES_MAX)                                                \
    L(T, late_item, late, 0, 4) /* completions that came too late */                           \
    F(T, U64, parked_count, 0, RECORD_PARKED_MAX)                                              \
    F(T, U64, marked, 0, 1)       /* a mark was ever made */                                   \
    F(T, BIN, completion, 0, 16)  /* hash of the whole result; empty: not the attempt's own */ \
    F(T, U64, act, 0, UINT16_MAX) /* op of the last operator's act; 0 = none */                \
    F(T, U64, act_at_ms, 0, TIME_MS_MAX)   /* wall clock */                                    \
    F(T, U64, body_kind, 0, BODY_KIND_MAX) /* enum body_kind */
CODEC_STRUCT(msg_record_reply, RECORD_REPLY_FIELDS)

#define RECORD_LIST_REPLY_FIELDS(T, F, L)         \
    L(T, record_line, records, 0, PAGE_ITEMS_MAX) \
    F(T, STR, cursor, 0, NAME_BYTES_MAX)
CODEC_STRUCT(msg_record_list_reply, RECORD_LIST_REPLY_FIELDS)

/* A whole record within a list, as RECORD_GET answers it: its bytes, for lists nest no deeper. */
#define RECORD_BYTES_FIELDS(T, F, L) F(T, BIN, record, 1, RECORD_BYTES_MAX)
CODEC_STRUCT(record_bytes, RECORD_BYTES_FIELDS)

#define RECORD_EXPORT_REPLY_FIELDS(T, F, L)                                      \
    L(T, record_bytes, records, 0, PAGE_ITEMS_MAX) /* each a msg_record_reply */ \
    F(T, STR, cursor, 0, NAME_BYTES_MAX)
CODEC_STRUCT(msg_record_export_reply, RECORD_EXPORT_REPLY_FIELDS)

#define SESSION_LIST_REPLY_FIELDS(T, F, L)          \
    L(T, session_line, sessions, 0, PAGE_ITEMS_MAX) \
    F(T, U64, cursor, 0, UINT64_MAX) /* 0 = the end */
CODEC_STRUCT(msg_session_list_reply, SESSION_LIST_REPLY_FIELDS)

#define STATUS_REPLY_FIELDS(T, F, L)                                                               \
    F(T, U64, node_id, 1, UINT64_MAX)                                                              \
    F(T, U64, role, 0, 2)               /* enum server_role */                                     \
    F(T, U64, leader_id, 0, UINT64_MAX) /* 0 = none known */                                       \
    F(T, STR, leader_client, 0, ADDRESS_BYTES_MAX)                                                 \
    F(T, U64, term, 0, UINT64_MAX)                                                                 \
    F(T, U64, commit_index, 0, UINT64_MAX)                                                         \
    F(T, U64, applied_index, 0, UINT64_MAX)                                                        \
    F(T, U64, durable_index, 0, UINT64_MAX)                                                        \
    F(T, U64, cluster_time_ms, 0, TIME_MS_MAX)                                                     \
    F(T, U64, wall_ms, 0, TIME_MS_MAX)                                                             \
    F(T, BIN, cluster_id, CLUSTER_ID_BYTES, CLUSTER_ID_BYTES)                                      \
    F(T, BIN, digest, 16, 16) /* of the replicated state at applied_index */                       \
    L(T, member, members, 0, 64)                                                                   \
    F(T, U64, session_count, 0, UINT64_MAX)                                                        \
    F(T, U64, lock_count, 0, UINT64_MAX)                                                           \
    F(T, U64, waiter_count, 0, UINT64_MAX)                                                         \
    F(T, U64, record_count, 0, UINT64_MAX)                                                         \
    F(T, STR, version, 0, NAME_BYTES_MAX)                                                          \
    F(T, U64, rate_refused_count, 0, UINT64_MAX)  /* since it started: TOO_BUSY, by rate */        \
    F(T, U64, cap_refused_count, 0, UINT64_MAX)   /* QUOTA */                                      \
    F(T, U64, space_refused_count, 0, UINT64_MAX) /* NO_SPACE */                                   \
    F(T, U64, load_refused_count, 0, UINT64_MAX)  /* TOO_BUSY, other than by rate */               \
    F(T, U64, held_count, 0, UINT64_MAX)          /* connections that were not read for a while */ \
    F(T, U64, deadlock_unknown_count, 0, UINT64_MAX) /* searches that gave up */                   \
    F(T, STR, shortage, 0, NAME_BYTES_MAX)           /* of space, for people; empty: none */
CODEC_STRUCT(msg_status_reply, STATUS_REPLY_FIELDS)

/* A server's own op: the incarnation that was heard of under a member's id. */
#define MEMBER_SEEN_FIELDS(T, F, L) \
    F(T, U64, id, 1, UINT64_MAX)    \
    F(T, U64, incarnation, 1, UINT64_MAX)
CODEC_STRUCT(msg_member, MEMBER_SEEN_FIELDS)

/* With NOT_LEADER: where the leader's clients go, empty if not known. */
#define REDIRECT_FIELDS(T, F, L) F(T, STR, leader_client, 0, ADDRESS_BYTES_MAX)
CODEC_STRUCT(msg_redirect, REDIRECT_FIELDS)

/* With TOO_BUSY: when to come again. */
#define RETRY_FIELDS(T, F, L) F(T, U64, retry_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(msg_retry, RETRY_FIELDS)

/* With QUOTA: which limit it is, and how much of it there is. */
#define QUOTA_FIELDS(T, F, L)                       \
    F(T, U64, which, 1, QUOTA_MAX) /* enum quota */ \
    F(T, U64, count, 0, UINT64_MAX)                 \
    F(T, U64, max, 0, UINT64_MAX)
CODEC_STRUCT(msg_quota, QUOTA_FIELDS)

/* With BAD_REQUEST, TOO_LARGE, VERSION: what was wrong, one sentence. */
#define COMPLAINT_FIELDS(T, F, L) F(T, STR, sentence, 0, NAME_BYTES_MAX)
CODEC_STRUCT(msg_complaint, COMPLAINT_FIELDS)

/* Every described struct above: TYPE(struct, FIELDS); msg_empty has no fields and is not among
 * them. For their definitions, and for tests that must not forget one. */
#define HF_TYPES(TYPE)                                        \
    TYPE(ack_range, ACK_RANGE_FIELDS)                         \
    TYPE(client_envelope, CLIENT_ENVELOPE_FIELDS)             \
    TYPE(envelope, ENVELOPE_FIELDS)                           \
    TYPE(lost_item, LOST_ITEM_FIELDS)                         \
    TYPE(left_item, LEFT_ITEM_FIELDS)                         \
    TYPE(owner_item, OWNER_ITEM_FIELDS)                       \
    TYPE(holder, HOLDER_FIELDS)                               \
    TYPE(holder_info, HOLDER_INFO_FIELDS)                     \
    TYPE(waiter_info, WAITER_INFO_FIELDS)                     \
    TYPE(transition_item, TRANSITION_ITEM_FIELDS)             \
    TYPE(lock_line, LOCK_LINE_FIELDS)                         \
    TYPE(record_line, RECORD_LINE_FIELDS)                     \
    TYPE(late_item, LATE_ITEM_FIELDS)                         \
    TYPE(session_line, SESSION_LINE_FIELDS)                   \
    TYPE(member, MEMBER_FIELDS)                               \
    TYPE(msg_hello, HELLO_FIELDS)                             \
    TYPE(msg_open, OPEN_FIELDS)                               \
    TYPE(msg_keep, KEEP_FIELDS)                               \
    TYPE(msg_resume, RESUME_FIELDS)                           \
    TYPE(msg_cancel, CANCEL_FIELDS)                           \
    TYPE(msg_acquire, ACQUIRE_FIELDS)                         \
    TYPE(msg_release, RELEASE_FIELDS)                         \
    TYPE(msg_change_mode, CHANGE_MODE_FIELDS)                 \
    TYPE(msg_abandon, ABANDON_FIELDS)                         \
    TYPE(msg_check, CHECK_FIELDS)                             \
    TYPE(msg_info, INFO_FIELDS)                               \
    TYPE(msg_list, LIST_FIELDS)                               \
    TYPE(msg_begin, BEGIN_FIELDS)                             \
    TYPE(msg_extend, EXTEND_FIELDS)                           \
    TYPE(msg_checkpoint, CHECKPOINT_FIELDS)                   \
    TYPE(msg_complete, COMPLETE_FIELDS)                       \
    TYPE(msg_resolve, RESOLVE_FIELDS)                         \
    TYPE(msg_reopen, REOPEN_FIELDS)                           \
    TYPE(msg_erase, ERASE_FIELDS)                             \
    TYPE(msg_record_get, RECORD_GET_FIELDS)                   \
    TYPE(msg_record_list, RECORD_LIST_FIELDS)                 \
    TYPE(msg_session_list, SESSION_LIST_FIELDS)               \
    TYPE(msg_hello_reply, HELLO_REPLY_FIELDS)                 \
    TYPE(msg_open_reply, OPEN_REPLY_FIELDS)                   \
    TYPE(msg_keep_reply, KEEP_REPLY_FIELDS)                   \
    TYPE(msg_cancel_reply, CANCEL_REPLY_FIELDS)               \
    TYPE(msg_granted, GRANTED_FIELDS)                         \
    TYPE(msg_busy, BUSY_FIELDS)                               \
    TYPE(msg_delayed, DELAYED_FIELDS)                         \
    TYPE(msg_deadlock, DEADLOCK_FIELDS)                       \
    TYPE(msg_already, ALREADY_FIELDS)                         \
    TYPE(msg_release_reply, RELEASE_REPLY_FIELDS)             \
    TYPE(msg_ended, ENDED_FIELDS)                             \
    TYPE(msg_check_reply, CHECK_REPLY_FIELDS)                 \
    TYPE(msg_info_reply, INFO_REPLY_FIELDS)                   \
    TYPE(msg_list_reply, LIST_REPLY_FIELDS)                   \
    TYPE(msg_begin_reply, BEGIN_REPLY_FIELDS)                 \
    TYPE(msg_running, RUNNING_FIELDS)                         \
    TYPE(msg_unknown, UNKNOWN_FIELDS)                         \
    TYPE(msg_state, STATE_FIELDS)                             \
    TYPE(msg_extend_reply, EXTEND_REPLY_FIELDS)               \
    TYPE(msg_record_reply, RECORD_REPLY_FIELDS)               \
    TYPE(msg_record_list_reply, RECORD_LIST_REPLY_FIELDS)     \
    TYPE(record_bytes, RECORD_BYTES_FIELDS)                   \
    TYPE(msg_record_export_reply, RECORD_EXPORT_REPLY_FIELDS) \
    TYPE(msg_session_list_reply, SESSION_LIST_REPLY_FIELDS)   \
    TYPE(msg_status_reply, STATUS_REPLY_FIELDS)               \
    TYPE(msg_member, MEMBER_SEEN_FIELDS)                      \
    TYPE(msg_redirect, REDIRECT_FIELDS)                       \
    TYPE(msg_retry, RETRY_FIELDS)                             \
    TYPE(msg_quota, QUOTA_FIELDS)                             \
    TYPE(msg_complaint, COMPLAINT_FIELDS)                     \
    HF_ADMIN_TYPES(TYPE)                                      \
    HF_BARRIER_TYPES(TYPE)                                    \
    HF_TIMER_TYPES(TYPE)                                      \
    HF_EVENT_TYPES(TYPE)                                      \
    HF_TXN_TYPES(TYPE)

#endif
