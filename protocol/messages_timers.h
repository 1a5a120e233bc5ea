/* The messages of timers (docs/contract.md, section 8). As protocol/messages.h, which includes this
 * file. */
#ifndef PROTOCOL_MESSAGES_TIMERS_H
#define PROTOCOL_MESSAGES_TIMERS_H

#include <stdint.h>

#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/messages_admin.h"
#include "protocol/words.h"

/* ------------------------------------------------------------------ parts */

/* A fired timer in the hands of who polled it. */
#define TIMER_DELIVERY_FIELDS(T, F, L)                                                      \
    F(T, STR, key, 1, NAME_BYTES_MAX)                                                       \
    F(T, U64, version, 0, UINT64_MAX)                                                       \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) /* of this delivery: ACK and NACK want it */ \
    F(T, U64, attempt, 1, UINT32_MAX)          /* 1 = the first delivery */                 \
    F(T, U64, attempts_max, 1, TIMER_ATTEMPTS_MAX)                                          \
    F(T, U64, late_ms, 0, TIME_MS_MAX) /* since the time that it was set for */             \
    F(T, BIN, payload, 0, TIMER_PAYLOAD_BYTES_MAX)
CODEC_STRUCT(timer_delivery, TIMER_DELIVERY_FIELDS)

/* A timer as LIST shows it. */
#define TIMER_LINE_FIELDS(T, F, L)                                                              \
    F(T, STR, key, 1, NAME_BYTES_MAX)                                                           \
    F(T, STR, group, 1, TIMER_GROUP_BYTES_MAX)                                                  \
    F(T, U64, state, 1, TIMER_STATE_MAX) /* enum timer_state */                                 \
    F(T, U64, version, 0, UINT64_MAX)                                                           \
    F(T, U64, left_ms, 0, TIME_MS_MAX)  /* until it fires, is delivered again, or its tombstone \
                                           goes; 0 while it is ready or dead */                 \
    F(T, U64, fired_ms, 0, TIME_MS_MAX) /* cluster time; 0 = it has not */                      \
    F(T, U64, attempt, 0, UINT32_MAX)   /* deliveries so far */                                 \
    F(T, U64, attempts_max, 1, TIMER_ATTEMPTS_MAX)                                              \
    F(T, U64, fencing_token, 0, TOKEN_END - 1) /* of the last delivery; 0 = none stands */      \
    F(T, U64, payload_bytes, 0, TIMER_PAYLOAD_BYTES_MAX)
CODEC_STRUCT(timer_line, TIMER_LINE_FIELDS)

/* ------------------------------------------------------------------ requests */

#define TIMER_SET_FIELDS(T, F, L)                  \
    F(T, STR, key, 1, NAME_BYTES_MAX)              \
    F(T, STR, group, 1, TIMER_GROUP_BYTES_MAX)     \
    F(T, U64, delay_ms, 0, TIMER_DELAY_MS_MAX)     \
    F(T, U64, version, 0, UINT64_MAX)              \
    F(T, U64, attempts_max, 1, TIMER_ATTEMPTS_MAX) \
    F(T, BIN, payload, 0, TIMER_PAYLOAD_BYTES_MAX)
CODEC_STRUCT(msg_timer_set, TIMER_SET_FIELDS)

#define TIMER_CANCEL_FIELDS(T, F, L) F(T, STR, key, 1, NAME_BYTES_MAX)
CODEC_STRUCT(msg_timer_cancel, TIMER_CANCEL_FIELDS)

#define TIMER_POLL_FIELDS(T, F, L)                  \
    F(T, STR, group, 1, TIMER_GROUP_BYTES_MAX)      \
    F(T, U64, count_max, 1, TIMER_POLL_MAX)         \
    F(T, U64, lease_ms, LEASE_MS_MIN, LEASE_MS_MAX) \
    F(T, U64, wait_ms, 0, WAIT_MS_MAX) /* the leader's own: an entry never waits for it */
CODEC_STRUCT(msg_timer_poll, TIMER_POLL_FIELDS)

#define TIMER_ACK_FIELDS(T, F, L)                                                            \
    F(T, STR, key, 0, NAME_BYTES_MAX) /* empty: by token alone, which knows no repetition */ \
    F(T, U64, fencing_token, 1, TOKEN_END - 1)
CODEC_STRUCT(msg_timer_ack, TIMER_ACK_FIELDS)

#define TIMER_NACK_FIELDS(T, F, L) \
    TIMER_ACK_FIELDS(T, F, L)      \
    F(T, U64, delay_ms, 0, TIMER_DELAY_MS_MAX)
CODEC_STRUCT(msg_timer_nack, TIMER_NACK_FIELDS)

#define TIMER_LIST_FIELDS(T, F, L)                                                     \
    F(T, STR, prefix, 0, NAME_BYTES_MAX)       /* of keys */                           \
    F(T, STR, group, 0, TIMER_GROUP_BYTES_MAX) /* empty = any */                       \
    F(T, U64, state, 0, TIMER_STATE_MAX)       /* enum timer_state; 0 = any */         \
    F(T, STR, cursor, 0, NAME_BYTES_MAX)       /* the last answer's, empty at first */ \
    F(T, U64, count_max, 1, PAGE_ITEMS_MAX)
CODEC_STRUCT(msg_timer_list, TIMER_LIST_FIELDS)

/* A dead one goes back into its group's queue, with all its attempts before it. */
#define TIMER_REQUEUE_FIELDS(T, F, L) \
    F(T, STR, key, 1, NAME_BYTES_MAX) \
    ACT_FIELDS(T, F, L)
CODEC_STRUCT(msg_timer_requeue, TIMER_REQUEUE_FIELDS)

/* ------------------------------------------------------------------ answers */

#define TIMER_SET_REPLY_FIELDS(T, F, L)                                         \
    F(T, U64, verdict, 0, TIMER_VERDICT_MAX) /* enum timer_verdict */           \
    F(T, U64, version, 0, UINT64_MAX)        /* of the timer that is pending */ \
    F(T, U64, left_ms, 0, TIME_MS_MAX)       /* until it fires */
CODEC_STRUCT(msg_timer_set_reply, TIMER_SET_REPLY_FIELDS)

/* With ALREADY_FIRED, and with BAD_STATE of a timer: how it is. */
#define TIMER_FIRED_FIELDS(T, F, L)                                         \
    F(T, U64, state, 0, TIMER_STATE_MAX) /* enum timer_state */             \
    F(T, U64, version, 0, UINT64_MAX)    /* the highest that there was */   \
    F(T, U64, fired_ms, 0, TIME_MS_MAX)  /* cluster time; 0 = it has not */ \
    F(T, U64, ago_ms, 0, TIME_MS_MAX)    /* since then; a repeated answer tells what it was */
CODEC_STRUCT(msg_timer_fired, TIMER_FIRED_FIELDS)

/* What is kept for a retry is all but the deliveries; a repeated answer carries those of them that
 * still stand, and so fewer than `count` if one was acknowledged, given back or delivered anew. */
#define TIMER_POLL_REPLY_FIELDS(T, F, L)                                                           \
    L(T, timer_delivery, deliveries, 0, TIMER_POLL_MAX) /* by time, then by key */                 \
    F(T, U64, first_token, 0, TOKEN_END - 1)            /* theirs are this one and those behind */ \
    F(T, U64, count, 0, TIMER_POLL_MAX)                 /* how many it delivered */                \
    F(T, U64, lease_ms, 0, LEASE_MS_MAX)
CODEC_STRUCT(msg_timer_poll_reply, TIMER_POLL_REPLY_FIELDS)

#define TIMER_NACK_REPLY_FIELDS(T, F, L) \
    F(T, U64, dead, 0, 1) /* 1: that was its last attempt; an administrator may requeue it */
CODEC_STRUCT(msg_timer_nack_reply, TIMER_NACK_REPLY_FIELDS)

#define TIMER_LIST_REPLY_FIELDS(T, F, L)        \
    L(T, timer_line, timers, 0, PAGE_ITEMS_MAX) \
    F(T, STR, cursor, 0, NAME_BYTES_MAX) /* for the next page; empty = the end */
CODEC_STRUCT(msg_timer_list_reply, TIMER_LIST_REPLY_FIELDS)

/* Every described struct above, as HF_TYPES. */
#define HF_TIMER_TYPES(TYPE)                            \
    TYPE(timer_delivery, TIMER_DELIVERY_FIELDS)         \
    TYPE(timer_line, TIMER_LINE_FIELDS)                 \
    TYPE(msg_timer_set, TIMER_SET_FIELDS)               \
    TYPE(msg_timer_cancel, TIMER_CANCEL_FIELDS)         \
    TYPE(msg_timer_poll, TIMER_POLL_FIELDS)             \
    TYPE(msg_timer_ack, TIMER_ACK_FIELDS)               \
    TYPE(msg_timer_nack, TIMER_NACK_FIELDS)             \
    TYPE(msg_timer_list, TIMER_LIST_FIELDS)             \
    TYPE(msg_timer_requeue, TIMER_REQUEUE_FIELDS)       \
    TYPE(msg_timer_set_reply, TIMER_SET_REPLY_FIELDS)   \
    TYPE(msg_timer_fired, TIMER_FIRED_FIELDS)           \
    TYPE(msg_timer_poll_reply, TIMER_POLL_REPLY_FIELDS) \
    TYPE(msg_timer_nack_reply, TIMER_NACK_REPLY_FIELDS) \
    TYPE(msg_timer_list_reply, TIMER_LIST_REPLY_FIELDS)

#endif
