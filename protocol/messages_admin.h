/* The messages of administration (docs/contract.md, sections 9 and 10): settings, the audit, frozen
 * prefixes. As
 * protocol/messages.h, which includes this file. */
#ifndef PROTOCOL_MESSAGES_ADMIN_H
#define PROTOCOL_MESSAGES_ADMIN_H

#include <stdint.h>

#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/words.h"

/* ------------------------------------------------------------------ parts */

/* A replicated setting, as it is and as it may be. */
#define SETTING_LINE_FIELDS(T, F, L)                                          \
    F(T, STR, name, 1, NAME_BYTES_MAX)                                        \
    F(T, U64, value, 0, TIME_MS_MAX)                                          \
    F(T, U64, initial, 0, TIME_MS_MAX) /* where nobody has set it */          \
    F(T, U64, min, 0, TIME_MS_MAX)                                            \
    F(T, U64, max, 0, TIME_MS_MAX)                                            \
    F(T, U64, changes, 0, UINT64_MAX)   /* how often it was set; 0 = never */ \
    F(T, STR, about, 0, NAME_BYTES_MAX) /* what it is, for people */
CODEC_STRUCT(setting_line, SETTING_LINE_FIELDS)

/* What an administrator did. */
#define ACT_LINE_FIELDS(T, F, L)                                                 \
    F(T, U64, number, 1, UINT64_MAX)                                             \
    F(T, U64, at_ms, 0, TIME_MS_MAX) /* cluster time */                          \
    F(T, U64, wall_ms, 0, TIME_MS_MAX)                                           \
    F(T, U64, session, 1, UINT64_MAX)                                            \
    F(T, STR, client_name, 0, NAME_BYTES_MAX) /* the session's */                \
    F(T, STR, principal, 0, NAME_BYTES_MAX)                                      \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                                        \
    F(T, STR, operator_name, 0, NAME_BYTES_MAX)                                  \
    F(T, U64, op, 1, UINT16_MAX)                                                 \
    F(T, STR, name, 0, NAME_BYTES_MAX) /* of the lock, key, prefix or setting */ \
    F(T, STR, reason, 0, EVIDENCE_BYTES_MAX)                                     \
    F(T, STR, before, 0, NAME_BYTES_MAX) /* for people */                        \
    F(T, STR, after, 0, NAME_BYTES_MAX)
CODEC_STRUCT(act_line, ACT_LINE_FIELDS)

#define FROZEN_LINE_FIELDS(T, F, L)                         \
    F(T, STR, prefix, 0, NAME_BYTES_MAX) /* empty: all */   \
    F(T, U64, since_ms, 0, TIME_MS_MAX)  /* cluster time */ \
    F(T, U64, wall_ms, 0, TIME_MS_MAX)                      \
    F(T, STR, operator_name, 0, NAME_BYTES_MAX)             \
    F(T, STR, reason, 0, EVIDENCE_BYTES_MAX)
CODEC_STRUCT(frozen_line, FROZEN_LINE_FIELDS)

/* ------------------------------------------------------------------ requests */

/* Who acts as an administrator, and why: both are kept. */
#define ACT_FIELDS(T, F, L)                  \
    F(T, STR, reason, 1, EVIDENCE_BYTES_MAX) \
    F(T, STR, operator_name, 1, NAME_BYTES_MAX)

#define CONFIG_SET_FIELDS(T, F, L)                                                \
    F(T, STR, name, 1, NAME_BYTES_MAX)                                            \
    F(T, U64, value, 0, TIME_MS_MAX)                                              \
    F(T, U64, compares, 0, 1) /* 1: only if it is `expected` now, else CHANGED */ \
    F(T, U64, expected, 0, TIME_MS_MAX)                                           \
    ACT_FIELDS(T, F, L)
CODEC_STRUCT(msg_config_set, CONFIG_SET_FIELDS)

#define CONFIG_GET_FIELDS(T, F, L) F(T, STR, name, 0, NAME_BYTES_MAX) /* empty = all */
CODEC_STRUCT(msg_config_get, CONFIG_GET_FIELDS)

#define AUDIT_FIELDS(T, F, L)                                                               \
    F(T, U64, cursor, 0, UINT64_MAX) /* acts behind this number; 0 = from the first kept */ \
    F(T, U64, count_max, 1, PAGE_ITEMS_MAX)
CODEC_STRUCT(msg_audit, AUDIT_FIELDS)

/* FREEZE and THAW. */
#define FREEZE_FIELDS(T, F, L)                                               \
    F(T, STR, prefix, 0, NAME_BYTES_MAX) /* of names and keys; empty: all */ \
    ACT_FIELDS(T, F, L)
CODEC_STRUCT(msg_freeze, FREEZE_FIELDS)

/* The reason has at least FORCE_REASON_BYTES_MIN bytes (checked at the door). */
#define FORCE_FIELDS(T, F, L)                                                              \
    F(T, STR, name, 1, NAME_BYTES_MAX)         /* any of its locks */                      \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) /* the current one, as seen */              \
    F(T, U64, now, 0, 1) /* 1: do not wait until its holder knows, or its lease is over */ \
    ACT_FIELDS(T, F, L)
CODEC_STRUCT(msg_force, FORCE_FIELDS)

/* The same of its reason. */
#define REVOKE_FIELDS(T, F, L)                                                            \
    F(T, STR, name, 1, NAME_BYTES_MAX)         /* any of its locks */                     \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) /* the current one, as seen */             \
    F(T, U64, grace_ms, 1, GRACE_MS_MAX)       /* for its holder to give it back */       \
    F(T, U64, then, 0, REVOKE_THEN_MAX)        /* enum revoke_then: at the end of that */ \
    ACT_FIELDS(T, F, L)
CODEC_STRUCT(msg_revoke, REVOKE_FIELDS)

/* ------------------------------------------------------------------ answers */

#define CONFIG_SET_REPLY_FIELDS(T, F, L)                        \
    F(T, U64, before, 0, TIME_MS_MAX) /* its value until now */ \
    F(T, U64, changes, 1, UINT64_MAX) /* this one counted */
CODEC_STRUCT(msg_config_set_reply, CONFIG_SET_REPLY_FIELDS)

#define CONFIG_REPLY_FIELDS(T, F, L) L(T, setting_line, settings, 0, SETTINGS_MAX)
CODEC_STRUCT(msg_config_reply, CONFIG_REPLY_FIELDS)

#define AUDIT_REPLY_FIELDS(T, F, L)         \
    L(T, act_line, acts, 0, PAGE_ITEMS_MAX) \
    F(T, U64, cursor, 0, UINT64_MAX) /* for the next page; 0 = the end */
CODEC_STRUCT(msg_audit_reply, AUDIT_REPLY_FIELDS)

#define FROZEN_REPLY_FIELDS(T, F, L) L(T, frozen_line, prefixes, 0, PAGE_ITEMS_MAX)
CODEC_STRUCT(msg_frozen_reply, FROZEN_REPLY_FIELDS)

/* Every described struct above, as HF_TYPES. */
#define HF_ADMIN_TYPES(TYPE)                            \
    TYPE(setting_line, SETTING_LINE_FIELDS)             \
    TYPE(act_line, ACT_LINE_FIELDS)                     \
    TYPE(frozen_line, FROZEN_LINE_FIELDS)               \
    TYPE(msg_config_set, CONFIG_SET_FIELDS)             \
    TYPE(msg_config_get, CONFIG_GET_FIELDS)             \
    TYPE(msg_audit, AUDIT_FIELDS)                       \
    TYPE(msg_freeze, FREEZE_FIELDS)                     \
    TYPE(msg_force, FORCE_FIELDS)                       \
    TYPE(msg_revoke, REVOKE_FIELDS)                     \
    TYPE(msg_config_set_reply, CONFIG_SET_REPLY_FIELDS) \
    TYPE(msg_config_reply, CONFIG_REPLY_FIELDS)         \
    TYPE(msg_audit_reply, AUDIT_REPLY_FIELDS)           \
    TYPE(msg_frozen_reply, FROZEN_REPLY_FIELDS)

#endif
