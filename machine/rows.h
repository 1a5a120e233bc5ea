/* What the machine stores: its tables, their keys and their rows.
 *
 * A row is a described struct with a version (protocol/codec.h), so that equal states are equal
 * bytes on every server and a store can be read offline. Keys are built here and nowhere else:
 * numbers big-endian and names ended by the NUL that no name contains, so that byte order is the
 * order of the numbers, and all rows of one name or one session stand together. Index rows carry
 * a bare u64 or nothing. docs/contract.md says what the words mean.
 *
 * Failure mode: a row that does not read back is HF_ECORRUPT, one of a newer program HF_EVERSION;
 * both end the process. */
#ifndef MACHINE_ROWS_H
#define MACHINE_ROWS_H

#include <stdint.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/slice.h"
#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/messages.h"

/* Numbers of tables are stored: never reuse or renumber one. */
enum machine_table {
    TABLE_META = 0,            /**< one row: row_meta */
    TABLE_SESSIONS = 1,        /**< session -> row_session, alive or tombstone */
    TABLE_SESSION_INFO = 2,    /**< session -> row_session_info: what KEEP need not rewrite */
    TABLE_SECRETS = 3,         /**< SHA-256 of a session's secret -> session (u64) */
    TABLE_REPLIES = 4,         /**< session, seq -> row_reply */
    TABLE_PARKED = 5,          /**< session, seq -> row_parked: requests that wait */
    TABLE_OWNERS = 6,          /**< session, owner -> seq (u64) of the ACQUIRE it waits for */
    TABLE_LOCKS = 7,           /**< name -> row_lock */
    TABLE_LOCK_QUEUE = 8,      /**< name, ticket -> session, seq of the waiter */
    TABLE_GRANTS = 9,          /**< fencing token -> row_grant */
    TABLE_SESSION_GRANTS = 10, /**< session, owner, token -> end of hold_max (u64, 0 = none) */
    TABLE_HOLDERS = 11,        /**< name, session, owner -> token (u64); SHARED and PERMITS only */
    TABLE_LOSSES = 12,         /**< session, token -> row_loss, not acknowledged yet */
    TABLE_DEADLINES = 13,      /**< time, kind, id -> nothing */
    TABLE_RECORDS = 14,        /**< key -> row_record */
    TABLE_RECORD_QUEUE = 15,   /**< key, ticket -> session, seq of a parked BEGIN */
    TABLE_TOMBSTONES = 16,     /**< key -> row_tombstone */
    TABLE_ATTEMPTS = 17,       /**< fencing token of a current attempt -> its record's key */
    TABLE_BOUND = 18,          /**< session, token of an attempt bound to it -> the record's key */
    TABLE_CHECKPOINTS = 19,    /**< key -> the data of its record's last checkpoint, bare */
    TABLE_MEMBERS = 20,        /**< server id -> its incarnation (u64) */
    TABLE_LOCK_DELAYS = 21,    /**< name, end -> lost permits that stay taken until then (u64) */
    TABLE_SETTINGS = 22,       /**< name -> row_setting; a default has no row */
    TABLE_LOCK_HISTORY = 23,   /**< name -> row_lock_history, of a lock that has a row */
    TABLE_ACTS = 24,           /**< number -> row_act: what administrators did */
    TABLE_FROZEN = 25,         /**< 0, prefix -> row_frozen */
    TABLE_FORCED = 26,         /**< session, token -> row_forced: a grant whose units stay taken */
    TABLE_REVOKES = 27,        /**< session, token -> row_revoke: a grant that is asked back */
    TABLE_PRINCIPALS = 28,     /**< principal -> row_principal */
    TABLE_TIMERS = 32,         /**< key -> row_timer */
    TABLE_TIMER_QUEUE = 33,    /**< 0, group, time, key of one that is ready; or 1, key of a dead
                                    one -> nothing */
    TABLE_TIMER_TOKENS = 34,   /**< fencing token of a timer's last delivery -> its key */
    TABLE_TIMER_PAYLOADS = 35, /**< key -> payload, bare; none of an empty one */
    TABLE_BRANCHES = 36,       /**< gid, branch -> row_branch */
    TABLE_PHASES = 37,         /**< fencing token of an open phase -> its branch's key */
    TABLE_EVENTS = 38,         /**< number -> row_event; the newest, as many as are kept */
    TABLE_EVENT_PREFIXES = 39, /**< 0, prefix -> row_event_prefix: all is told under it */
    TABLE_END = 40,
};
_Static_assert((int)TABLE_END <= 64, "the store's tables are numbered 0 to 63");

/* What a deadline row is for: among rows due at the same time the order of the sweep. Stored. */
enum deadline_kind {
    DEADLINE_SESSION = 1,   /**< a lower bound of a session's end; id: session */
    DEADLINE_WAIT = 2,      /**< a wait's end; id: session, seq */
    DEADLINE_HOLD = 3,      /**< a grant's hold_max; id: token */
    DEADLINE_ATTEMPT = 4,   /**< a lower bound of an attempt's lease; id: the record's key */
    DEADLINE_LOCK = 5,      /**< a lock's delay ends, or its free row goes; id: name */
    DEADLINE_FORGET = 6,    /**< a session's tombstone goes; id: session */
    DEADLINE_RETENTION = 7, /**< a record's retention ends; id: key */
    DEADLINE_TOMBSTONE = 8, /**< a record's tombstone goes; id: key */
    DEADLINE_SERVE = 9,     /**< a serving that reached its limit goes on; id: table, name */
    DEADLINE_THAW = 10,     /**< queues to serve after a THAW; id: table, prefix's bytes, name */
    DEADLINE_FORCED = 11,   /**< a forced grant is not waited for any more; id: session, token */
    DEADLINE_REVOKE = 12,   /**< the grace of a REVOKE ends; id: session, token */
    DEADLINE_TIMER = 13,    /**< a timer fires, or is delivered again; id: key */
    DEADLINE_TIMER_TOMBSTONE = 14, /**< a timer's tombstone goes; id: key */
    DEADLINE_PHASE = 15,           /**< a phase's lease ends; id: the branch's key */
    DEADLINE_BRANCH = 16,          /**< a branch's retention ends; id: its key */
    DEADLINE_EVENTS = 17,          /**< too many events are kept; id: one byte, 0 */
    DEADLINE_KIND_MAX = 17,
};

enum {
    /** the longest built key: of a timer in its group's queue */
    ROW_KEY_BYTES_MAX = 1 + TIMER_GROUP_BYTES_MAX + 1 + 8 + NAME_BYTES_MAX,
    ACK_RANGES_KEPT_MAX = 128, /**< joined ranges of a session */
    RECORD_LATE_MAX = 4,
};
#define COUNTER_MAX   ((UINT64_C(1) << 48) - 1) /* of issued tokens within one restore epoch */
#define LIMIT_ENDLESS UINT32_MAX                /* units of a lock that is SHARED */

/* ------------------------------------------------------------------ rows */

#define ROW_META_FIELDS(T, F, L)                                                      \
    F(T, U64, time_ms, 0, TIME_MS_MAX)        /* cluster time of the last entry */    \
    F(T, U64, wall_ms, 0, TIME_MS_MAX)        /* greatest wall clock of an entry */   \
    F(T, U64, restore_epoch, 0, 0x7fff)       /* upper 15 bits of a fencing token */  \
    F(T, U64, token_counter, 0, COUNTER_MAX)  /* last issued; rises over all names */ \
    F(T, U64, session_counter, 0, UINT64_MAX) /* last session id; never used again */ \
    F(T, U64, ticket_counter, 0, UINT64_MAX)  /* last ticket of a queue */            \
    F(T, U64, session_count, 0, UINT64_MAX)   /* alive */                             \
    F(T, U64, act_counter, 0, UINT64_MAX)     /* acts of administrators, ever */      \
    F(T, U64, event_counter, 0, COUNTER_MAX)  /* events, ever; over restores, too */  \
    F(T, U64, event_first, 0, TOKEN_END - 1)  /* the oldest that is kept; 0 = none */
CODEC_STRUCT(row_meta, ROW_META_FIELDS)

/* The part of a session that every op of it changes. */
#define ROW_SESSION_FIELDS(T, F, L)                                                           \
    F(T, U64, ttl_ms, TTL_MS_MIN, TTL_MS_MAX)                                                 \
    F(T, U64, expires_ms, 0, TIME_MS_MAX)  /* the real deadline: last renewal + ttl */        \
    F(T, U64, deadline_ms, 0, TIME_MS_MAX) /* where its deadline row stands, <= expires_ms */ \
    F(T, U64, seq_highest, 0, UINT64_MAX)  /* seen in a request or a CANCEL */                \
    F(T, U64, ack, 0, UINT64_MAX)          /* all seqs up to it are acknowledged */           \
    L(T, ack_range, ack_ranges, 0, ACK_RANGES_KEPT_MAX) /* those above it, rising, apart */   \
    F(T, U64, unacked_count, 0, UINT32_MAX)             /* stored replies */                  \
    F(T, U64, unacked_bytes, 0, UINT32_MAX)             /* of their rows */                   \
    F(T, U64, grant_count, 0, UINT32_MAX)               /* names held */                      \
    F(T, U64, hold_count, 0, UINT32_MAX)                /* grants with hold_max */            \
    F(T, U64, waiter_count, 0, UINT32_MAX)              /* names waited for */                \
    F(T, U64, attempt_count, 0, UINT32_MAX)             /* attempts bound to it */            \
    F(T, U64, loss_count, 0, UINT32_MAX)                /* losses not acknowledged */         \
    F(T, U64, asked_count, 0, UINT32_MAX)               /* grants asked back */               \
    F(T, U64, principal, 1, UINT64_MAX)                 /* whose it is: that of its OPEN */   \
    F(T, U64, ended, 0, END_REASON_MAX)                 /* enum end_reason; 0 = alive */      \
    F(T, U64, ended_ms, 0, TIME_MS_MAX)                 /* cluster time */
CODEC_STRUCT(row_session, ROW_SESSION_FIELDS)

#define ROW_SESSION_INFO_FIELDS(T, F, L)                                   \
    F(T, BIN, secret_hash, SHA256_BYTES, SHA256_BYTES)                     \
    F(T, STR, name, 0, NAME_BYTES_MAX)                                     \
    F(T, BIN, meta, 0, META_BYTES_MAX)                                     \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX) /* of OPEN or the last RESUME */ \
    F(T, STR, principal, 0, NAME_BYTES_MAX)                                \
    F(T, U64, since_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(row_session_info, ROW_SESSION_INFO_FIELDS)

/* An answered request. An empty hash is that of a seq which was cancelled before it came. */
#define ROW_REPLY_FIELDS(T, F, L)                                                             \
    F(T, BIN, hash, 0, HASH128_BYTES) /* of op and body */                                    \
    F(T, U64, op, 0, UINT16_MAX)      /* 0 = never arrived */                                 \
    F(T, STATUS, status, 0, 999)                                                              \
    F(T, U64, fencing_token, 0, TOKEN_END - 1) /* grant or attempt that it tells of */        \
    F(T, BIN, key, 0, NAME_BYTES_MAX)          /* of the record or branch that it tells of */ \
    F(T, BIN, body, 0, REPLY_STORED_BYTES_MAX) /* the answer, or the fixed part of it */
CODEC_STRUCT(row_reply, ROW_REPLY_FIELDS)

/* A request that waits: what it takes to answer it later as if it came then. */
#define ROW_PARKED_FIELDS(T, F, L)                                                \
    F(T, U64, ticket, 1, UINT64_MAX) /* its place in the queue; rises over all */ \
    F(T, U64, op, 1, UINT16_MAX)     /* ACQUIRE or BEGIN */                       \
    F(T, U64, owner, 0, UINT64_MAX)  /* of ACQUIRE, else 0 */                     \
    F(T, BIN, hash, HASH128_BYTES, HASH128_BYTES)                                 \
    F(T, U64, since_ms, 0, TIME_MS_MAX)                                           \
    F(T, U64, until_ms, 0, TIME_MS_MAX) /* cluster time of the wait's end */      \
    F(T, U64, queue, 0, TABLE_END - 1)  /* table of its queue rows */             \
    F(T, STRS, names, 1, NAMES_MAX)     /* locks, or the record's key */          \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                                         \
    F(T, STR, traceparent, 0, TRACEPARENT_BYTES_MAX)                              \
    F(T, BIN, body, 0, FRAME_BYTES_MAX) /* the request's bytes */
CODEC_STRUCT(row_parked, ROW_PARKED_FIELDS)

/* A lock that is held, delayed, waited for or was lately lost; a free one has no row. */
#define ROW_LOCK_FIELDS(T, F, L)                                                               \
    F(T, U64, mode, 0, 2)                 /* of its holders */                                 \
    F(T, U64, limit, 0, LIMIT_ENDLESS)    /* its units, once SHARED or PERMITS came; else 0 */ \
    F(T, U64, units_taken, 0, UINT32_MAX) /* PERMITS: permits; else holders */                 \
    F(T, U64, holder_count, 0, UINT32_MAX)                                                     \
    F(T, U64, fencing_token, 0, TOKEN_END - 1) /* of the EXCLUSIVE holder; 0 = none */         \
    F(T, U64, queue_first, 0, UINT64_MAX)      /* no waiter has a smaller ticket */            \
    F(T, U64, queue_length, 0, LOCK_WAITERS_MAX)                                               \
    F(T, U64, delay_ms, 0, TIME_MS_MAX)        /* until then nothing is granted */             \
    F(T, U64, shared_delay_ms, 0, TIME_MS_MAX) /* until then nothing EXCLUSIVE is */           \
    F(T, U64, units_delayed, 0, PERMITS_MAX)   /* sum of its rows in TABLE_LOCK_DELAYS */      \
    F(T, U64, units_delay_ms, 0, TIME_MS_MAX)  /* end of the first of them; 0 = none */        \
    F(T, U64, kept_ms, 0, TIME_MS_MAX)         /* until then the row stays though free */      \
    F(T, U64, deadline_ms, 0, TIME_MS_MAX)     /* where its deadline row stands; 0 = none */   \
    F(T, U64, mode_forced, 0, 2)               /* of forced grants whose units stay taken */   \
    F(T, U64, units_forced, 0, UINT32_MAX)     /* sum of its rows in TABLE_FORCED */           \
    F(T, U64, forced_ms, 0, TIME_MS_MAX)       /* the latest end of them; 0 = none */          \
    F(T, U64, has_history, 0, 1) /* else it had no more than one grant, which holds it */
CODEC_STRUCT(row_lock, ROW_LOCK_FIELDS)

#define ROW_LOCK_HISTORY_FIELDS(T, F, L)                                                     \
    L(T, transition_item, items, 1, LOCK_TRANSITIONS_MAX) /* oldest first */                 \
    F(T, U64, last_token, 0, TOKEN_END - 1)               /* of the last involuntary loss */ \
    F(T, U64, last_reason, 0, END_REASON_MAX)                                                \
    F(T, U64, last_at_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(row_lock_history, ROW_LOCK_HISTORY_FIELDS)

#define ROW_GRANT_FIELDS(T, F, L)                                          \
    F(T, U64, session, 1, UINT64_MAX)                                      \
    F(T, U64, owner, 1, UINT64_MAX)                                        \
    F(T, U64, seq, 1, UINT64_MAX) /* of the ACQUIRE */                     \
    F(T, STRS, names, 1, NAMES_MAX)                                        \
    F(T, U64, mode, 0, 2)                                                  \
    F(T, U64, permits, 0, PERMITS_MAX)                                     \
    F(T, U64, limit, 0, PERMITS_MAX)                                       \
    F(T, U64, count, 1, REENTRANCE_MAX)                                    \
    F(T, U64, since_ms, 0, TIME_MS_MAX)                                    \
    F(T, U64, hold_until_ms, 0, TIME_MS_MAX) /* 0 = no hold_max */         \
    F(T, U64, delay_ms, 0, DELAY_MS_MAX)     /* lock-delay after a loss */ \
    F(T, BIN, meta, 0, META_BYTES_MAX)                                     \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                                  \
    F(T, STR, traceparent, 0, TRACEPARENT_BYTES_MAX)
CODEC_STRUCT(row_grant, ROW_GRANT_FIELDS)

#define ROW_LOSS_FIELDS(T, F, L)         \
    F(T, U64, reason, 1, END_REASON_MAX) \
    F(T, U64, at_ms, 0, TIME_MS_MAX)     \
    F(T, U64, count, 1, REENTRANCE_MAX) /* acquisitions that the grant had */
CODEC_STRUCT(row_loss, ROW_LOSS_FIELDS)

#define ROW_RECORD_FIELDS(T, F, L)                                                               \
    F(T, BIN, fingerprint, HASH128_BYTES, FINGERPRINT_BYTES) /* shorter: its hash */             \
    F(T, U64, state, RECORD_RUNNING, RECORD_UNKNOWN)                                             \
    F(T, U64, lapsed, 0, 1)                    /* RUNNING, and its lease has ended */            \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) /* of the current or last attempt */              \
    F(T, U64, attempt, 1, UINT32_MAX)                                                            \
    F(T, U64, session, 0, UINT64_MAX)              /* of the attempt; 0 = not known */           \
    F(T, U64, bound, 0, 1)                         /* its lease is the session's */              \
    F(T, U64, lease_until_ms, 0, TIME_MS_MAX)      /* 0 if bound */                              \
    F(T, U64, deadline_ms, 0, TIME_MS_MAX)         /* where its deadline row stands */           \
    F(T, U64, deadline_kind, 0, DEADLINE_KIND_MAX) /* lease or retention; 0 = none */            \
    F(T, U64, takeover, 0, 2)                                                                    \
    F(T, U64, retain_ms, RETAIN_MS_MIN, RETAIN_MS_MAX)                                           \
    F(T, U64, born_ms, 0, TIME_MS_MAX)    /* wall clock, as BEGIN told */                        \
    F(T, U64, since_ms, 0, TIME_MS_MAX)   /* last change of state */                             \
    F(T, U64, done_at_ms, 0, TIME_MS_MAX) /* wall clock */                                       \
    F(T, STR, secret_id, 0, SECRET_ID_BYTES_MAX)                                                 \
    F(T, STR, client_name, 0, NAME_BYTES_MAX)                                                    \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                                                        \
    F(T, STR, traceparent, 0, TRACEPARENT_BYTES_MAX)                                             \
    F(T, BIN, meta, 0, META_BYTES_MAX)                                                           \
    F(T, STR, checkpoint, 0, NAME_BYTES_MAX)                                                     \
    F(T, U64, checkpoint_number, 0, UINT64_MAX)                                                  \
    F(T, U64, external, 0, 2)               /* mark that is open */                              \
    F(T, U64, marked, 0, 1)                 /* a mark was ever made */                           \
    F(T, BIN, completion, 0, HASH128_BYTES) /* hash of what the attempt itself completed */      \
    F(T, U64, code, 0, UINT32_MAX)                                                               \
    F(T, BIN, headers, 0, HEADERS_BYTES_MAX)                                                     \
    F(T, BIN, body, 0, BODY_BYTES_MAX)                                                           \
    F(T, BIN, evidence, 0, EVIDENCE_BYTES_MAX)                                                   \
    F(T, STR, operator_name, 0, NAME_BYTES_MAX)                                                  \
    L(T, late_item, late, 0, RECORD_LATE_MAX)                                                    \
    F(T, U64, queue_first, 0, UINT64_MAX) /* no parked BEGIN has a smaller ticket */             \
    F(T, U64, parked_count, 0, RECORD_PARKED_MAX)                                                \
    F(T, U64, act, 0, UINT16_MAX)          /* op of the last operator's act; 0 = none */         \
    F(T, U64, act_at_ms, 0, TIME_MS_MAX)   /* wall clock */                                      \
    F(T, U64, body_kind, 0, BODY_KIND_MAX) /* enum body_kind */                                  \
    F(T, U64, principal, 1, UINT64_MAX)    /* whose it is: that of the BEGIN that made it */     \
    F(T, U64, checkpoint_bytes, 0, CHECKPOINT_BYTES_MAX) /* of its row in TABLE_CHECKPOINTS */   \
    F(T, U64, counted_open, 0, 1)            /* it counts as one of its principal's open ones */ \
    F(T, U64, counted_bytes, 0, TIME_MS_MAX) /* so much of its principal's bytes are its own */
CODEC_STRUCT(row_record, ROW_RECORD_FIELDS)

/* What is left of a record: enough to refuse a repeat, to tell what became of it, and to REOPEN it
 * as the record that it was. */
#define ROW_TOMBSTONE_FIELDS(T, F, L)                                               \
    F(T, BIN, fingerprint_hash, HASH128_BYTES, HASH128_BYTES)                       \
    F(T, U64, outcome, RECORD_DONE, RECORD_FAILED)                                  \
    F(T, U64, since_ms, 0, TIME_MS_MAX)                                             \
    F(T, U64, until_ms, 0, TIME_MS_MAX)                                             \
    F(T, U64, fencing_token, 1, TOKEN_END - 1) /* the rest: as the record had it */ \
    F(T, U64, attempt, 1, UINT32_MAX)                                               \
    F(T, U64, code, 0, UINT32_MAX)                                                  \
    F(T, U64, done_at_ms, 0, TIME_MS_MAX)                                           \
    F(T, U64, takeover, 0, 2)                                                       \
    F(T, U64, retain_ms, RETAIN_MS_MIN, RETAIN_MS_MAX)                              \
    F(T, U64, marked, 0, 1)                                                         \
    F(T, STR, secret_id, 0, SECRET_ID_BYTES_MAX)                                    \
    F(T, U64, principal, 1, UINT64_MAX)
CODEC_STRUCT(row_tombstone, ROW_TOMBSTONE_FIELDS)

#define ROW_SETTING_FIELDS(T, F, L)                                                \
    F(T, U64, value, 0, TIME_MS_MAX)                                               \
    F(T, U64, lowest, 0, TIME_MS_MAX) /* that it ever was, its default included */ \
    F(T, U64, changes, 0, UINT64_MAX) /* how often it was set */
CODEC_STRUCT(row_setting, ROW_SETTING_FIELDS)

#define ROW_ACT_FIELDS(T, F, L)                                    \
    F(T, U64, at_ms, 0, TIME_MS_MAX)                               \
    F(T, U64, wall_ms, 0, TIME_MS_MAX)                             \
    F(T, U64, session, 1, UINT64_MAX)                              \
    F(T, STR, client_name, 0, NAME_BYTES_MAX) /* as it was then */ \
    F(T, STR, principal, 0, NAME_BYTES_MAX)                        \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                          \
    F(T, STR, operator_name, 0, NAME_BYTES_MAX)                    \
    F(T, U64, op, 1, UINT16_MAX)                                   \
    F(T, STR, name, 0, NAME_BYTES_MAX)                             \
    F(T, STR, reason, 0, EVIDENCE_BYTES_MAX)                       \
    F(T, STR, before, 0, NAME_BYTES_MAX)                           \
    F(T, STR, after, 0, NAME_BYTES_MAX)
CODEC_STRUCT(row_act, ROW_ACT_FIELDS)

#define ROW_FROZEN_FIELDS(T, F, L)                                                     \
    F(T, U64, since_ms, 0, TIME_MS_MAX)                                                \
    F(T, U64, wall_ms, 0, TIME_MS_MAX)                                                 \
    F(T, U64, last_token, 0, TOKEN_END - 1) /* issued; no later one stands under it */ \
    F(T, STR, operator_name, 0, NAME_BYTES_MAX)                                        \
    F(T, STR, reason, 0, EVIDENCE_BYTES_MAX)
CODEC_STRUCT(row_frozen, ROW_FROZEN_FIELDS)

#define ROW_FORCED_FIELDS(T, F, L)                 \
    F(T, STRS, names, 1, NAMES_MAX)                \
    F(T, U64, mode, 0, 2)                          \
    F(T, U64, units, 1, PERMITS_MAX) /* of each */ \
    F(T, U64, until_ms, 0, TIME_MS_MAX)
CODEC_STRUCT(row_forced, ROW_FORCED_FIELDS)

/* Who asked is kept for the act that tells what became of it. */
#define ROW_REVOKE_FIELDS(T, F, L)                                     \
    F(T, STR, name, 1, NAME_BYTES_MAX)   /* of its locks, as told */   \
    F(T, U64, then, 0, REVOKE_THEN_MAX)  /* enum revoke_then */        \
    F(T, U64, since_ms, 0, TIME_MS_MAX)  /* asked back */              \
    F(T, U64, until_ms, 0, TIME_MS_MAX)  /* the grace's end */         \
    F(T, U64, overdue, 0, 1)             /* the alarm was given */     \
    F(T, U64, by_session, 1, UINT64_MAX) /* who asked, as row_act's */ \
    F(T, STR, client_name, 0, NAME_BYTES_MAX)                          \
    F(T, STR, principal, 0, NAME_BYTES_MAX)                            \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                              \
    F(T, STR, operator_name, 0, NAME_BYTES_MAX)                        \
    F(T, STR, reason, 0, EVIDENCE_BYTES_MAX)
CODEC_STRUCT(row_revoke, ROW_REVOKE_FIELDS)

/* A timer, alive or a tombstone. Where it stands besides: while it is pending, delivered or delayed
 * a deadline row at due_ms; while it is ready or dead a row of TABLE_TIMER_QUEUE; as a tombstone a
 * deadline row of its end, at due_ms, too. */
#define ROW_TIMER_FIELDS(T, F, L)                                                         \
    F(T, U64, state, TIMER_PENDING, TIMER_STATE_MAX)                                      \
    F(T, U64, version, 0, UINT64_MAX)                                                     \
    F(T, STR, group, 1, TIMER_GROUP_BYTES_MAX)                                            \
    F(T, U64, due_ms, 0, TIME_MS_MAX)   /* as above; of a ready one its place in order */ \
    F(T, U64, set_ms, 0, TIME_MS_MAX)   /* when it was to fire */                         \
    F(T, U64, fired_ms, 0, TIME_MS_MAX) /* when it did; 0 = not */                        \
    F(T, U64, attempt, 0, UINT32_MAX)   /* deliveries since it fired or was requeued */   \
    F(T, U64, attempts_max, 1, TIMER_ATTEMPTS_MAX)                                        \
    F(T, U64, fencing_token, 0, TOKEN_END - 1) /* of the last; 0 = none stands */         \
    F(T, U64, payload_bytes, 0, TIMER_PAYLOAD_BYTES_MAX)                                  \
    F(T, U64, principal, 1, UINT64_MAX) /* whose it is: that of the SET that made it */
CODEC_STRUCT(row_timer, ROW_TIMER_FIELDS)

/* A principal, and how much of what is stored is its own. */
#define ROW_PRINCIPAL_FIELDS(T, F, L)                                                     \
    F(T, STR, name, 0, NAME_BYTES_MAX)                                                    \
    F(T, STR, host, 0, ADDRESS_BYTES_MAX)                                                 \
    F(T, U64, session_count, 0, UINT64_MAX) /* alive */                                   \
    F(T, U64, name_count, 0, UINT64_MAX)    /* held or waited for by them */              \
    F(T, U64, record_count, 0, UINT64_MAX)  /* records without an outcome */              \
    F(T, U64, record_bytes, 0, UINT64_MAX)  /* of all its records and their tombstones */ \
    F(T, U64, timer_count, 0, UINT64_MAX)   /* tombstones included */
CODEC_STRUCT(row_principal, ROW_PRINCIPAL_FIELDS)

/* A branch of a distributed transaction. A phase is open while its state is TRYING, CONFIRMING or
 * CANCELLING. */
#define ROW_BRANCH_FIELDS(T, F, L)                                                         \
    F(T, STR, step, 0, NAME_BYTES_MAX)                                                     \
    F(T, BIN, fingerprint, FINGERPRINT_BYTES, FINGERPRINT_BYTES)                           \
    F(T, U64, state, BRANCH_TRYING, BRANCH_STATE_MAX)                                      \
    F(T, U64, lapsed, 0, 1)                        /* its phase is open, its lease over */ \
    F(T, U64, tried, 0, BRANCH_TRY_MAX)            /* enum branch_try */                   \
    F(T, U64, fencing_token, 1, TOKEN_END - 1)     /* of the current or last phase */      \
    F(T, U64, attempt, 1, UINT32_MAX)              /* at this phase */                     \
    F(T, U64, failed_count, 0, UINT32_MAX)         /* of them that said they failed */     \
    F(T, U64, session, 1, UINT64_MAX)              /* of the phase */                      \
    F(T, U64, lease_until_ms, 0, TIME_MS_MAX)      /* 0 = no phase is open, or lapsed */   \
    F(T, U64, deadline_ms, 0, TIME_MS_MAX)         /* where its deadline row stands */     \
    F(T, U64, deadline_kind, 0, DEADLINE_KIND_MAX) /* lease or retention; 0 = none */      \
    F(T, U64, retain_ms, RETAIN_MS_MIN, RETAIN_MS_MAX)                                     \
    F(T, U64, since_ms, 0, TIME_MS_MAX)     /* last change of state */                     \
    F(T, U64, code, 0, UINT32_MAX)          /* of what ended last */                       \
    F(T, BIN, body, 0, BODY_BYTES_MAX)      /* of the confirm or cancel that is done */    \
    F(T, BIN, completion, 0, HASH128_BYTES) /* hash of how the last phase ended */         \
    F(T, U64, done_at_ms, 0, TIME_MS_MAX)   /* wall clock */                               \
    F(T, U64, try_token, 0, TOKEN_END - 1)  /* of the last try; 0 = none came */           \
    F(T, U64, try_code, 0, UINT32_MAX)                                                     \
    F(T, BIN, try_body, 0, BODY_BYTES_MAX)                                                 \
    F(T, BIN, try_completion, 0, HASH128_BYTES) /* hash of how it ended; empty: not */     \
    F(T, U64, try_done_at_ms, 0, TIME_MS_MAX)   /* wall clock */                           \
    F(T, STR, client_name, 0, NAME_BYTES_MAX)   /* of the phase, as the next two */        \
    F(T, STR, peer, 0, ADDRESS_BYTES_MAX)                                                  \
    F(T, STR, traceparent, 0, TRACEPARENT_BYTES_MAX)                                       \
    L(T, late_item, late, 0, RECORD_LATE_MAX)                                              \
    F(T, U64, principal, 1, UINT64_MAX)      /* whose it is: that of the first BRANCH */   \
    F(T, U64, counted_open, 0, 1)            /* as row_record's */                         \
    F(T, U64, counted_bytes, 0, TIME_MS_MAX) /* likewise */
CODEC_STRUCT(row_branch, ROW_BRANCH_FIELDS)

#define ROW_EVENT_FIELDS(T, F, L) EVENT_FIELDS(T, F, L)
CODEC_STRUCT(row_event, ROW_EVENT_FIELDS)

#define ROW_EVENT_PREFIX_FIELDS(T, F, L)        \
    F(T, U64, since_ms, 0, TIME_MS_MAX)         \
    F(T, U64, wall_ms, 0, TIME_MS_MAX)          \
    F(T, STR, operator_name, 0, NAME_BYTES_MAX) \
    F(T, STR, reason, 0, EVIDENCE_BYTES_MAX)
CODEC_STRUCT(row_event_prefix, ROW_EVENT_PREFIX_FIELDS)

/* Every row: TYPE(struct, FIELDS, version). */
#define HF_ROWS(TYPE)                                  \
    TYPE(row_meta, ROW_META_FIELDS, 3)                 \
    TYPE(row_session, ROW_SESSION_FIELDS, 2)           \
    TYPE(row_session_info, ROW_SESSION_INFO_FIELDS, 1) \
    TYPE(row_reply, ROW_REPLY_FIELDS, 2)               \
    TYPE(row_parked, ROW_PARKED_FIELDS, 1)             \
    TYPE(row_lock, ROW_LOCK_FIELDS, 3)                 \
    TYPE(row_lock_history, ROW_LOCK_HISTORY_FIELDS, 1) \
    TYPE(row_grant, ROW_GRANT_FIELDS, 1)               \
    TYPE(row_loss, ROW_LOSS_FIELDS, 2)                 \
    TYPE(row_record, ROW_RECORD_FIELDS, 3)             \
    TYPE(row_tombstone, ROW_TOMBSTONE_FIELDS, 3)       \
    TYPE(row_setting, ROW_SETTING_FIELDS, 1)           \
    TYPE(row_act, ROW_ACT_FIELDS, 1)                   \
    TYPE(row_frozen, ROW_FROZEN_FIELDS, 1)             \
    TYPE(row_forced, ROW_FORCED_FIELDS, 1)             \
    TYPE(row_revoke, ROW_REVOKE_FIELDS, 1)             \
    TYPE(row_timer, ROW_TIMER_FIELDS, 1)               \
    TYPE(row_principal, ROW_PRINCIPAL_FIELDS, 2)       \
    TYPE(row_branch, ROW_BRANCH_FIELDS, 1)             \
    TYPE(row_event, ROW_EVENT_FIELDS, 1)               \
    TYPE(row_event_prefix, ROW_EVENT_PREFIX_FIELDS, 1)

/* ------------------------------------------------------------------ keys */

/** A built key, on the caller's stack. */
struct row_key {
    uint8_t bytes[ROW_KEY_BYTES_MAX]; /**< the first `size` count */
    uint16_t size;                    /**< bytes */
};

/** The key's bytes, borrowed from `key`. */
static inline struct slice row_key_slice(const struct row_key *key)
{
    return slice_make(key->bytes, key->size);
}

/** One number: a session, a token. */
struct row_key row_key_u64(uint64_t number);

/** Two numbers: (session, seq), (session, token), (session, owner). */
struct row_key row_key_pair(uint64_t first, uint64_t second);

/** (session, owner, token) of TABLE_SESSION_GRANTS. */
struct row_key row_key_grant(uint64_t session, uint64_t owner, uint64_t token);

/** A name alone. \param name 1 to 255 bytes without NUL. */
struct row_key row_key_name(struct slice name);

/** A branch: (gid, branch), of 1 byte at least each and 254 together, without NUL. */
struct row_key row_key_branch(struct slice gid, struct slice branch);

/** The parts of a branch's key, borrowed from it. */
void row_key_branch_parts(struct slice key, struct slice *gid, struct slice *branch);

/** A name and its NUL: the prefix of all rows of that name. */
struct row_key row_key_name_prefix(struct slice name);

/** (name, ticket) of a queue, (name, end) of a delay, (name, session) before its holders. */
struct row_key row_key_queue(struct slice name, uint64_t ticket);

/** (name, session, owner) of TABLE_HOLDERS. */
struct row_key row_key_holder(struct slice name, uint64_t session, uint64_t owner);

/** A prefix of names, maybe empty, of TABLE_FROZEN and TABLE_EVENT_PREFIXES. */
struct row_key row_key_frozen(struct slice prefix);

/** Before all ready timers of a group: 0, group and its NUL. */
struct row_key row_key_timer_group(struct slice group);

/** (0, group, time, key) of a ready timer. */
struct row_key row_key_timer_ready(struct slice group, uint64_t at_ms, struct slice key);

/** (1, key) of a dead one; an empty key: before them all. */
struct row_key row_key_timer_dead(struct slice key);

/** Behind all (name, ticket) of a queue, and before any of a later name. */
struct row_key row_key_past_name(struct slice name);

/** (time, kind, id) of TABLE_DEADLINES. \param id at most 2 + 255 bytes. */
struct row_key row_key_deadline(uint64_t at_ms, enum deadline_kind kind, struct slice id);

/** The last number of a key that ends in one. */
static inline uint64_t row_key_last(struct slice key)
{
    HF_ASSERT(key.size >= 8);
    return get_u64(key.data + key.size - 8);
}

/** A deadline key's parts. \param id Out: borrowed from `key`. */
uint64_t row_key_deadline_parts(struct slice key, enum deadline_kind *kind, struct slice *id);

#endif
