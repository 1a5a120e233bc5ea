/* One operation of a history, as a line of docs/history-format.md told it, flat: every field that
 * an operation of any model may have. Names and other strings are numbers, given by the history's
 * table of strings, so that models compare numbers; 0 is "absent" (of a value: null). */
#ifndef JEPSEN_CHECK_OPERATION_H
#define JEPSEN_CHECK_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

/** What was called. A kind belongs to one model: `renew` of a lock and of a record are two. */
enum operation_kind {
    KIND_ACQUIRE,
    KIND_LOCK_RENEW,
    KIND_RELEASE,
    KIND_QUERY,
    KIND_CHECK,
    KIND_DOWNGRADE,
    KIND_UPGRADE,
    KIND_BEGIN,
    KIND_COMPLETE,
    KIND_RENEW,
    KIND_ABANDON,
    KIND_CHECKPOINT,
    KIND_RESOLVE,
    KIND_REOPEN,
    KIND_GET,
    KIND_WRITE,
    KIND_READ,
    KIND_COUNT,
};

enum operation_outcome { RESULT_OK, RESULT_FAIL, RESULT_UNKNOWN };

/** Why it failed; ERROR_NOTHING: one of those that show nothing, the line is dropped. */
enum operation_error {
    ERROR_NONE,
    ERROR_NOTHING,
    ERROR_BUSY,
    ERROR_ALREADY_HELD,
    ERROR_DEADLOCK,
    ERROR_NOT_HELD,
    ERROR_MISMATCH,
    ERROR_STALE_TOKEN,
    ERROR_CONFLICT,
    ERROR_RECORD_UNKNOWN,
    ERROR_KEY_EXPIRED,
    ERROR_SEQ_OLD,
    ERROR_NOT_FOUND,
    ERROR_BAD_STATE,
};

/** `status` of a check, a begin or a get. */
enum operation_status {
    STATUS_ABSENT,
    STATUS_VALID,
    STATUS_STALE,
    STATUS_FREE,
    STATUS_STARTED,
    STATUS_TAKEOVER,
    STATUS_IN_PROGRESS,
    STATUS_COMPLETED,
    STATUS_NONE,
    STATUS_RETRYABLE,
    STATUS_UNKNOWN,
    STATUS_EXPIRED,
};

/** Of a grant. */
enum operation_mode { HELD_EXCLUSIVE, HELD_SHARED, HELD_PERMITS };

enum operation_policy { POLICY_AUTO, POLICY_MANUAL, POLICY_NEVER };

enum operation_end { END_AS_DONE, END_AS_FAILED, END_AS_RETRYABLE };

enum { MARK_NOT_REPEATABLE = 1 }; /* the mark that makes a dead attempt unknown */

/** `ret` of an operation whose outcome is unknown. */
#define OPERATION_NEVER INT64_MAX

struct operation {
    int64_t id;              /**< for people */
    int64_t call_ns;         /**< of the history's clock */
    int64_t return_ns;       /**< likewise; OPERATION_NEVER = unknown */
    int64_t lease_until_ns;  /**< what its ttl_ms promises at least, counted from its call */
    int64_t useful_until_ns; /**< unknown: once all that returns until then is explained, its effect
                                  can explain nothing more; set by the model */
    int64_t shown_until_ns; /**< an acquire: nothing that returns later shows its grant; likewise */
    int64_t token;          /**< of args, or of what was answered to an acquire or a begin; 0 */
    int64_t shown_token;    /**< of a result that shows somebody else's; 0 = none */
    int64_t ttl_ms;         /**< as asked, or as granted if the result says so */
    int64_t retain_ms;      /**< 0 = for ever */
    int64_t number;         /**< of a checkpoint */
    int64_t attempt;        /**< 0 = not told */
    int64_t count;          /**< -1 = not told */
    int64_t permits;        /**< of an acquire of permits: how many */
    int64_t limit;          /**< of how many */
    uint32_t line;          /**< of the file, from 1 */
    uint32_t key;           /**< string */
    uint32_t client;        /**< string */
    uint32_t owner;         /**< string; 0 = not told (an acquire always has one) */
    uint32_t shown_owner;   /**< string, of the result */
    uint32_t fingerprint;   /**< string */
    uint32_t response;      /**< string, of args or of the result */
    uint32_t value;         /**< string; 0 of a read = null */
    uint32_t cycle_at;      /**< of a deadlock: where its owners begin in the history's cycles */
    uint32_t cycle_count;   /**< of these owners; 0 = not told */
    uint8_t version;        /**< of the format: 1 or 2 */
    uint8_t kind;           /**< enum operation_kind */
    uint8_t outcome;        /**< enum operation_outcome */
    uint8_t error;          /**< enum operation_error */
    uint8_t status;         /**< enum operation_status */
    uint8_t policy;         /**< enum operation_policy */
    uint8_t end;            /**< enum operation_end */
    uint8_t mark;           /**< 0 to 2 */
    uint8_t mode;           /**< enum operation_mode, of an acquire */
    bool reentrant;         /**< of an acquire */
    bool all;               /**< of a release */
    bool if_any;            /**< of a release or an abandon */
    bool held;              /**< of a query's result */
    bool inferred;          /**< its outcome is unknown, but what others saw shows that it was ok */
    bool cycle_is_cut;      /**< the cycle has more owners than are told */
    bool abandoned;         /**< `response` is "failed 0 -" */
};

#endif
