/* The messages of events (docs/contract.md, section 8). As protocol/messages.h, which includes this
 * file. */
#ifndef PROTOCOL_MESSAGES_EVENTS_H
#define PROTOCOL_MESSAGES_EVENTS_H

#include <stdint.h>

#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/messages_admin.h"
#include "protocol/words.h"

/* ------------------------------------------------------------------ parts */

/* What is known of an event, as it is stored and told. */
#define EVENT_FIELDS(T, F, L)                                                                      \
    F(T, U64, kind, 1, EVENT_KIND_MAX) /* enum event_type */                                       \
    F(T, U64, at_ms, 0, TIME_MS_MAX)   /* cluster time */                                          \
    F(T, U64, wall_ms, 0, TIME_MS_MAX)                                                             \
    F(T, STR, name, 0, NAME_BYTES_MAX) /* of the lock, record, timer, session, setting, ... */     \
    F(T, U64, session, 0, UINT64_MAX)  /* whose it was, or who did it; 0 = nobody's */             \
    F(T, U64, fencing_token, 0, TOKEN_END - 1) /* 0 = it has none */                               \
    F(T, U64, what, 0, UINT32_MAX)             /* the kind says of which list this word is */      \
    F(T, U64, serial, 0, UINT64_MAX)          /* the attempt; of an act its number in the audit */ \
    F(T, STR, client_name, 0, NAME_BYTES_MAX) /* the session's */                                  \
    F(T, STR, operator_name, 0, NAME_BYTES_MAX) /* who decided, of an act */                       \
    F(T, STR, branch, 0, NAME_BYTES_MAX)        /* of a late end of one, whose gid is the name */

#define EVENT_LINE_FIELDS(T, F, L)                                                             \
    F(T, U64, number, 1, TOKEN_END - 1) /* restore epoch and counter, as in a fencing token */ \
    EVENT_FIELDS(T, F, L)
CODEC_STRUCT(event_line, EVENT_LINE_FIELDS)

#define EVENT_PREFIX_LINE_FIELDS(T, F, L)                   \
    F(T, STR, prefix, 0, NAME_BYTES_MAX) /* empty: all */   \
    F(T, U64, since_ms, 0, TIME_MS_MAX)  /* cluster time */ \
    F(T, U64, wall_ms, 0, TIME_MS_MAX)                      \
    F(T, STR, operator_name, 0, NAME_BYTES_MAX)             \
    F(T, STR, reason, 0, EVIDENCE_BYTES_MAX)
CODEC_STRUCT(event_prefix_line, EVENT_PREFIX_LINE_FIELDS)

/* ------------------------------------------------------------------ requests */

#define EVENTS_SWITCH_FIELDS(T, F, L)                                                 \
    F(T, STR, prefix, 0, NAME_BYTES_MAX) /* of names and keys; empty: all */          \
    F(T, U64, on, 0, 1) /* 1: what is told only on request is told under it from now; \
                           0: no more */                                              \
    ACT_FIELDS(T, F, L)
CODEC_STRUCT(msg_events_switch, EVENTS_SWITCH_FIELDS)

#define WATCH_FIELDS(T, F, L)                                                                \
    F(T, STR, prefix, 0, NAME_BYTES_MAX)     /* of the event's name; empty: all */           \
    F(T, U64, kinds, 0, EVENT_KINDS_ALL)     /* 1 << enum event_type, or-ed; 0 = all */      \
    F(T, U64, from, 0, TOKEN_END - 1)        /* the first number that is wanted; 0 = tell me \
                                                only where now is */                         \
    F(T, U64, wait_ms, 0, WATCH_WAIT_MS_MAX) /* if there is nothing to tell yet */           \
    F(T, U64, events_max, 1, PAGE_ITEMS_MAX)
CODEC_STRUCT(msg_watch, WATCH_FIELDS)

/* ------------------------------------------------------------------ answers */

/* Every number below `next` and from the request's `from` on was looked at, and what it wanted of
 * them is in `events`. With gap = 1 none was: those from `from` to `next` are not to be had. What
 * happened before at_ms lies below `next`: it is now's only where `next` is, too. */
#define WATCH_REPLY_FIELDS(T, F, L)                                                   \
    F(T, U64, first, 1, TOKEN_END - 1) /* the oldest event that is kept, or `next` */ \
    F(T, U64, next, 1, TOKEN_END - 1)  /* where to ask on */                          \
    F(T, U64, at_ms, 0, TIME_MS_MAX)   /* cluster time up to which was looked */      \
    F(T, U64, gap, 0, 1)                                                              \
    L(T, event_line, events, 0, PAGE_ITEMS_MAX)
CODEC_STRUCT(msg_watch_reply, WATCH_REPLY_FIELDS)

#define EVENT_PREFIXES_REPLY_FIELDS(T, F, L) L(T, event_prefix_line, prefixes, 0, PAGE_ITEMS_MAX)
CODEC_STRUCT(msg_event_prefixes_reply, EVENT_PREFIXES_REPLY_FIELDS)

/* Every described struct above, as HF_TYPES. */
#define HF_EVENT_TYPES(TYPE)                          \
    TYPE(event_line, EVENT_LINE_FIELDS)               \
    TYPE(event_prefix_line, EVENT_PREFIX_LINE_FIELDS) \
    TYPE(msg_events_switch, EVENTS_SWITCH_FIELDS)     \
    TYPE(msg_watch, WATCH_FIELDS)                     \
    TYPE(msg_watch_reply, WATCH_REPLY_FIELDS)         \
    TYPE(msg_event_prefixes_reply, EVENT_PREFIXES_REPLY_FIELDS)

#endif
