/* Every limit that a client can meet, in one place; docs/contract.md sections 2 to 9 say what
 * passing one answers. Static assertions beside their users tie them together. */
#ifndef PROTOCOL_LIMITS_H
#define PROTOCOL_LIMITS_H

#include <stdint.h>

enum {
    PROTOCOL_VERSION_MIN = 1,
    PROTOCOL_VERSION_MAX = 1,

    /* bytes */
    FRAME_HEADER_BYTES = 16,
    FRAME_BYTES_MAX = 1024 * 1024,    /* header included */
    FRAME_HELLO_BYTES_MAX = 4 * 1024, /* before HELLO was answered */
    NAME_BYTES_MAX = 255,             /* lock names, record keys, client names */
    META_BYTES_MAX = 1024,
    BODY_BYTES_MAX = 64 * 1024,
    HEADERS_BYTES_MAX = 8 * 1024,
    CHECKPOINT_BYTES_MAX = 64 * 1024,
    EVIDENCE_BYTES_MAX = 1024,
    TIMER_PAYLOAD_BYTES_MAX = 4096,
    TIMER_GROUP_BYTES_MAX = 120,       /* so that a key of 255 bytes fits behind it */
    TIMER_POLL_BYTES_MAX = 512 * 1024, /* of the keys and payloads of one POLL's deliveries */
    WATCH_PAGE_BYTES_MAX = 256 * 1024, /* of the events of one WATCH, about */
    SECRET_ID_BYTES_MAX = 64,
    TRACEPARENT_BYTES_MAX = 64, /* W3C Trace Context: 55 in version 00 */
    ADDRESS_BYTES_MAX = 255,    /* "host:port" */
    SESSION_SECRET_BYTES = 16,
    CLUSTER_ID_BYTES = 16,
    FINGERPRINT_BYTES = 32,
    RECORD_BYTES_MAX = 192 * 1024,     /* a whole record, as RECORD_GET answers it */
    REPLY_STORED_BYTES_MAX = 1024,     /* a reply kept for a retry */
    TXN_REQUEST_BYTES_MAX = 80 * 1024, /* of one op of a TXN: a COMPLETE is the largest */
    TXN_ANSWER_BYTES_MAX = 40 * 1024,  /* of one: a BEGIN's is the largest */
    TXN_DATA_BYTES_MAX = 32 * 1024,    /* checkpoint data in one; larger ones are left out */

    /* counts */
    NESTING_MAX = 4,               /* arrays in arrays of one message */
    LIST_ITEMS_MAX = 4096,         /* of any list in a message */
    NAMES_MAX = 32,                /* of one ACQUIRE */
    ACK_RANGES_MAX = 32,           /* answered seqs above `ack` */
    LOSSES_MAX = 64,               /* losses told or acknowledged in one KEEP */
    ASKED_MAX = 64,                /* tokens asked back that one KEEP tells */
    BUSY_HOLDERS_MAX = 8,          /* shown in BUSY */
    ALREADY_NAMES_BYTES_MAX = 960, /* of the names shown in ALREADY_HELD */
    DEADLOCK_OWNERS_MAX = 16,      /* shown in DEADLOCK */
    DEADLOCK_STEPS_MAX = 10000,    /* of the search for one: names, holders and waiters */
    LOCK_TRANSITIONS_MAX = 8,      /* of a lock, kept and shown */
    PAGE_ITEMS_MAX = 1000,         /* of one LIST answer */
    UNACKED_MAX = 1024,            /* answered and not acknowledged, a session */
    UNACKED_RESERVE = 64,          /* on top, for what frees or finishes */
    UNACKED_BYTES_MAX = 256 * 1024,
    CONNECTION_REQUESTS_MAX = 1024, /* unanswered on one connection, parked ones not counted */
    SESSION_NAMES_MAX = 4096,       /* names held or waited for and bound attempts, a session */
    LOCK_WAITERS_MAX = 16384,       /* a name */
    RECORD_PARKED_MAX = 1024,       /* BEGINs waiting for one record */
    FORCE_REASON_BYTES_MIN = 8,     /* nobody takes a lock away for "x" */
    REENTRANCE_MAX = 65535,
    TIMER_ATTEMPTS_MAX = 1000000,
    PERMITS_MAX = 1000000,
    SESSION_POLLS_MAX = 256, /* that wait at once, a session */
    SEQ_AHEAD_MAX = 4096,    /* a CANCEL's seq above the highest seen */
    TIMER_POLL_MAX = 200,    /* deliveries of one POLL */
    EVENT_PREFIXES_MAX = 64, /* under which everything is told; one more is QUOTA */
    TXN_OPS_MAX = 16,
    TXN_VERDICTS_MAX = 15, /* 1 << verdict, or-ed */
    TXN_ANSWERS_MAX = 8,   /* that one op accepts beside OK */
    SETTINGS_MAX = 64,     /* of one CONFIG_GET answer */

    /* milliseconds */
    TTL_MS_MIN = 500,
    TTL_MS_MAX = 3600000,
    WAIT_MS_MAX = 86400000,
    WATCH_WAIT_MS_MAX = 60000,
    WATCH_MARK_MS = 5000, /* a WATCH that waits is answered by then, with nothing */
    DELAY_MS_MAX = 60000,
    RETAIN_MS_MIN = 60000,
    RETAIN_MS_DEFAULT = 86400000,
    LEASE_MS_MIN = 500,
    LEASE_MS_MAX = 86400000,
    HOLD_MS_MAX = 86400000,
    GRACE_MS_MAX = 86400000, /* of a REVOKE */
    SESSION_TOMBSTONE_MS = 600000,
    LOST_LOCK_KEPT_MS = 600000, /* a free lock's row after an involuntary loss */
};

#define TIMER_DELAY_MS_MAX (UINT64_C(3650) * 86400000) /* ten years */
#define RETAIN_MS_MAX      (UINT64_C(3650) * 86400000) /* ten years */
#define TOKEN_END          (UINT64_C(1) << 63)         /* fencing tokens are below */
#define TIME_MS_MAX        (UINT64_C(1) << 53)         /* exact in a JSON reader's double, too */

#endif
