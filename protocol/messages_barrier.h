/* The messages of the TCC and saga barrier (docs/contract.md, section 7): branches of distributed
 * transactions and their phases. As protocol/messages.h, which includes this file. */
#ifndef PROTOCOL_MESSAGES_BARRIER_H
#define PROTOCOL_MESSAGES_BARRIER_H

#include <stdint.h>

#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/parts.h"
#include "protocol/words.h"

/* Which branch: gid and branch have 254 bytes together (checked at the door). */
#define BRANCH_NAME_FIELDS(T, F, L)   \
    F(T, STR, gid, 1, NAME_BYTES_MAX) \
    F(T, STR, branch, 1, NAME_BYTES_MAX)

/* ------------------------------------------------------------------ parts */

#define BRANCH_LINE_FIELDS(T, F, L)                                                           \
    BRANCH_NAME_FIELDS(T, F, L)                                                               \
    F(T, STR, step, 0, NAME_BYTES_MAX)                                                        \
    F(T, U64, state, 0, BRANCH_STATE_MAX)                                                     \
    F(T, U64, lapsed, 0, 1)                    /* a phase is open, and its lease has ended */ \
    F(T, U64, tried, 0, BRANCH_TRY_MAX)        /* enum branch_try */                          \
    F(T, U64, fencing_token, 0, TOKEN_END - 1) /* of the current or last phase */             \
    F(T, U64, attempt, 0, UINT32_MAX)          /* of this phase */                            \
    F(T, U64, failed_count, 0, UINT32_MAX)     /* confirms or cancels that failed */          \
    F(T, U64, code, 0, UINT32_MAX)             /* of what ended last */                       \
    F(T, U64, since_ms, 0, TIME_MS_MAX)        /* cluster time of the last change of state */ \
    F(T, U64, left_ms, 0, TIME_MS_MAX)         /* lease left, or retention left */            \
    F(T, STR, client_name, 0, NAME_BYTES_MAX)                                                 \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)
CODEC_STRUCT(branch_line, BRANCH_LINE_FIELDS)

/* ------------------------------------------------------------------ requests */

#define BRANCH_FIELDS(T, F, L)                                                                 \
    BRANCH_NAME_FIELDS(T, F, L)                                                                \
    F(T, STR, step, 0, NAME_BYTES_MAX)       /* what the branch does; compared */              \
    F(T, U64, op, BRANCH_TRY, BRANCH_OP_MAX) /* enum branch_op */                              \
    F(T, BIN, fingerprint, FINGERPRINT_BYTES, FINGERPRINT_BYTES) /* the same for all phases */ \
    F(T, U64, lease_ms, LEASE_MS_MIN, LEASE_MS_MAX)              /* of this phase */           \
    F(T, U64, retain_ms, RETAIN_MS_MIN, RETAIN_MS_MAX) /* that of the first BRANCH counts */
CODEC_STRUCT(msg_branch, BRANCH_FIELDS)

#define BRANCH_DONE_FIELDS(T, F, L)                                   \
    BRANCH_NAME_FIELDS(T, F, L)                                       \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) /* says which phase */ \
    F(T, U64, outcome, OUTCOME_DONE, OUTCOME_RETRYABLE)               \
    F(T, U64, code, 0, UINT32_MAX)                                    \
    F(T, BIN, body, 0, BODY_BYTES_MAX) /* kept for DUPLICATE, if it is DONE or a failed try's */
CODEC_STRUCT(msg_branch_done, BRANCH_DONE_FIELDS)

#define BRANCH_GET_FIELDS(T, F, L) BRANCH_NAME_FIELDS(T, F, L)
CODEC_STRUCT(msg_branch_get, BRANCH_GET_FIELDS)

#define BRANCH_LIST_FIELDS(T, F, L)                                                        \
    F(T, STR, prefix, 0, NAME_BYTES_MAX)     /* of the gid */                              \
    F(T, U64, state, 0, BRANCH_STATE_MAX)    /* 0 = any */                                 \
    F(T, U64, unfinished, 0, 1)              /* 1: neither CONFIRMED nor CANCELLED */      \
    F(T, U64, older_than_ms, 0, TIME_MS_MAX) /* since its state changed; 0 = any */        \
    F(T, STR, cursor_gid, 0, NAME_BYTES_MAX) /* both: the last answer's, empty at first */ \
    F(T, STR, cursor_branch, 0, NAME_BYTES_MAX)                                            \
    F(T, U64, count_max, 1, PAGE_ITEMS_MAX)
CODEC_STRUCT(msg_branch_list, BRANCH_LIST_FIELDS)

/* ------------------------------------------------------------------ answers */

#define BRANCH_REPLY_FIELDS(T, F, L)                                                          \
    F(T, U64, verdict, 0, BRANCH_VERDICT_MAX)  /* enum branch_verdict */                      \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) /* of the phase: claim the guard with it */    \
    F(T, U64, attempt, 0, UINT32_MAX)          /* at this phase; 0 = a try of before */       \
    F(T, U64, takeover, 0, 1)                  /* EXECUTE: another was begun, and lapsed */   \
    F(T, U64, state, 0, BRANCH_STATE_MAX)      /* of the branch now */                        \
    F(T, U64, tried, 0, BRANCH_TRY_MAX)        /* enum branch_try */                          \
    F(T, U64, outcome, 0, RECORD_STATE_MAX)    /* DUPLICATE: DONE, FAILED; NONE: not ended */ \
    F(T, U64, code, 0, UINT32_MAX)             /* its result */                               \
    F(T, BIN, body, 0, BODY_BYTES_MAX)                                                        \
    F(T, U64, done_at_ms, 0, TIME_MS_MAX) /* the wall clock then, for people */               \
    F(T, U64, referent, 0, 1)             /* enum referent: 1 = the body has gone since */
CODEC_STRUCT(msg_branch_reply, BRANCH_REPLY_FIELDS)

/* With NO_TRY, NOT_READY, CONFLICT, HANGING, MISMATCH, and STALE_TOKEN of BRANCH_DONE. */
#define BRANCH_STATE_FIELDS(T, F, L)      \
    F(T, U64, state, 0, BRANCH_STATE_MAX) \
    F(T, U64, tried, 0, BRANCH_TRY_MAX)   \
    F(T, U64, code, 0, UINT32_MAX)
CODEC_STRUCT(msg_branch_state, BRANCH_STATE_FIELDS)

#define BRANCH_INFO_FIELDS(T, F, L)                                                       \
    BRANCH_LINE_FIELDS(T, F, L)                                                           \
    F(T, BIN, fingerprint, 0, FINGERPRINT_BYTES)                                          \
    F(T, U64, retain_ms, 0, RETAIN_MS_MAX)                                                \
    F(T, U64, session, 0, UINT64_MAX)      /* of the phase */                             \
    F(T, U64, try_token, 0, TOKEN_END - 1) /* of the try that ended, or was cancelled */  \
    F(T, U64, try_code, 0, UINT32_MAX)                                                    \
    F(T, BIN, try_body, 0, BODY_BYTES_MAX)                                                \
    F(T, U64, try_done_at_ms, 0, TIME_MS_MAX) /* wall clock */                            \
    F(T, BIN, body, 0, BODY_BYTES_MAX)        /* of the confirm or cancel that is done */ \
    F(T, U64, done_at_ms, 0, TIME_MS_MAX)     /* wall clock, likewise */                  \
    L(T, late_item, late, 0, 4)               /* ends of phases that came too late */
CODEC_STRUCT(msg_branch_info, BRANCH_INFO_FIELDS)

#define BRANCH_LIST_REPLY_FIELDS(T, F, L)                                                   \
    L(T, branch_line, branches, 0, PAGE_ITEMS_MAX)                                          \
    F(T, STR, cursor_gid, 0, NAME_BYTES_MAX) /* both: for the next page; empty = the end */ \
    F(T, STR, cursor_branch, 0, NAME_BYTES_MAX)
CODEC_STRUCT(msg_branch_list_reply, BRANCH_LIST_REPLY_FIELDS)

/* Every described struct above, as HF_TYPES. */
#define HF_BARRIER_TYPES(TYPE)                  \
    TYPE(branch_line, BRANCH_LINE_FIELDS)       \
    TYPE(msg_branch, BRANCH_FIELDS)             \
    TYPE(msg_branch_done, BRANCH_DONE_FIELDS)   \
    TYPE(msg_branch_get, BRANCH_GET_FIELDS)     \
    TYPE(msg_branch_list, BRANCH_LIST_FIELDS)   \
    TYPE(msg_branch_reply, BRANCH_REPLY_FIELDS) \
    TYPE(msg_branch_state, BRANCH_STATE_FIELDS) \
    TYPE(msg_branch_info, BRANCH_INFO_FIELDS)   \
    TYPE(msg_branch_list_reply, BRANCH_LIST_REPLY_FIELDS)

#endif
