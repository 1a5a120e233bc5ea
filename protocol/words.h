/* The words of the contract that travel as numbers: modes, states, verdicts, reasons. They are the
 * wire's and the stored rows': never reuse or renumber one (docs/contract.md says what each means).
 */
#ifndef PROTOCOL_WORDS_H
#define PROTOCOL_WORDS_H

enum lock_mode { MODE_EXCLUSIVE = 0, MODE_SHARED = 1, MODE_PERMITS = 2 };

/** What LIST asks for: locks of which all of these are true. */
enum lock_filter { LIST_HELD = 1, LIST_WAITED = 2, LIST_DELAYED = 4, LIST_STATES_MAX = 7 };

/** Whose modes LIST asks for: 1 << enum lock_mode, or-ed. */
enum { LIST_MODES_MAX = 7 };

/** What happened to a lock. */
enum lock_transition {
    TRANSITION_GRANTED = 1,
    TRANSITION_ENDED = 2,      /**< enum end_reason says why */
    TRANSITION_DOWNGRADED = 3, /**< from EXCLUSIVE to SHARED */
    TRANSITION_UPGRADED = 4,   /**< from SHARED to EXCLUSIVE */
    TRANSITION_MAX = 4,
};

/** Why a grant, an attempt or a session ended. */
enum end_reason {
    END_RELEASED = 1,  /**< by its owner */
    END_EXPIRED = 2,   /**< its session's lease or its own ran out */
    END_CLOSED = 3,    /**< its session was closed */
    END_ABANDONED = 4, /**< given back by a client that had declared it lost */
    END_HOLD_MAX = 5,  /**< held as long as it may */
    END_FORCED = 6,    /**< by an administrator */
    END_RESTORED = 7,  /**< the state was restored from a snapshot */
    END_REASON_MAX = 7,
};

/** What REVOKE does at the end of its grace. */
enum revoke_then {
    REVOKE_THEN_FORCE = 0, /**< FORCE, which waits until the holder knows */
    REVOKE_THEN_ALARM = 1, /**< the grant stays, and is told as overdue */
    REVOKE_THEN_MAX = 1,
};

/** Whether a grant was asked back. */
enum asked_back {
    ASKED_NOT = 0,
    ASKED_BACK = 1,    /**< its grace runs */
    ASKED_OVERDUE = 2, /**< its grace is over, and it is still held */
    ASKED_BACK_MAX = 2,
};

enum check_verdict { CHECK_VALID = 0, CHECK_STALE = 1, CHECK_FREE = 2 };

enum record_state {
    RECORD_ABSENT = 0,
    RECORD_RUNNING = 1,
    RECORD_DONE = 2,
    RECORD_FAILED = 3,
    RECORD_RETRYABLE = 4,
    RECORD_UNKNOWN = 5,
    RECORD_TOMBSTONE = 6,
    RECORD_STATE_MAX = 6,
};

/** What COMPLETE and RESOLVE say; the numbers are record states. */
enum record_outcome {
    OUTCOME_NONE = 0,
    OUTCOME_DONE = RECORD_DONE,
    OUTCOME_FAILED = RECORD_FAILED,
    OUTCOME_RETRYABLE = RECORD_RETRYABLE,
};

enum takeover_policy { TAKEOVER_AUTO = 0, TAKEOVER_MANUAL = 1, TAKEOVER_NEVER = 2 };

/** What a checkpoint says of the next effect outside (contract, 6). */
enum external_mark { MARK_NONE = 0, MARK_ONCE = 1, MARK_DERIVED = 2 };

/** A phase of a branch of a distributed transaction (contract, 7). */
enum branch_op { BRANCH_TRY = 1, BRANCH_CONFIRM = 2, BRANCH_CANCEL = 3, BRANCH_OP_MAX = 3 };

enum branch_state {
    BRANCH_NONE = 0,
    BRANCH_TRYING = 1,
    BRANCH_TRIED = 2,
    BRANCH_TRY_FAILED = 3,
    BRANCH_CONFIRMING = 4,
    BRANCH_CONFIRMED = 5,
    BRANCH_CANCELLING = 6,
    BRANCH_CANCELLED = 7,
    BRANCH_STATE_MAX = 7,
};

enum branch_verdict {
    BRANCH_EXECUTE = 0,        /**< do it, under the token */
    BRANCH_DUPLICATE = 1,      /**< it was done: what is stored of it */
    BRANCH_EMPTY_ROLLBACK = 2, /**< no try ever came, and none will be let in: nothing to undo */
    BRANCH_VERDICT_MAX = 2,
};

/** What is known of a branch's try. */
enum branch_try {
    BRANCH_TRY_NEVER = 0,   /**< none came */
    BRANCH_TRY_OPEN = 1,    /**< one is under way, or lapsed */
    BRANCH_TRY_DONE = 2,    /**< it succeeded */
    BRANCH_TRY_REFUSED = 3, /**< it failed, and said so */
    BRANCH_TRY_UNKNOWN = 4, /**< the cancel came before its end: it may have had its effect */
    BRANCH_TRY_MAX = 4,
};

/** What RELEASE did: its answer's count_left tells it. */
enum release_verdict {
    RELEASE_FREED = 0,   /**< the grant has ended */
    RELEASE_COUNTED = 1, /**< it was acquired more often than it was released */
};

enum begin_verdict { BEGIN_STARTED = 0, BEGIN_REPLAY = 1, BEGIN_TAKEOVER = 2 };

/** What the body of a stored result is. A reader must not take one that was left out for one that
 * was empty. */
enum body_kind {
    BODY_WHOLE = 0,     /**< the result's, as it was */
    BODY_OMITTED = 1,   /**< left out by whoever completed it: it was over the limit */
    BODY_REFERENCE = 2, /**< not the result's but where that stands, likewise */
    BODY_ERASED = 3,    /**< dropped by ERASE, with the headers */
    BODY_KIND_MAX = 3,
};

/** Whether an answer carries its record's body, headers or data: a repeated one does not if the
 * record has moved on, and CANCEL's never does. */
enum referent { REFERENT_WHOLE = 0, REFERENT_GONE = 1 };

/** Which limit a QUOTA tells of. Up to QUOTA_BYTES: a principal's, all its sessions together. */
enum quota {
    QUOTA_SESSIONS = 1,        /**< sessions that live */
    QUOTA_NAMES = 2,           /**< names of locks and records, held or waited for */
    QUOTA_RECORDS = 3,         /**< records that have no outcome yet */
    QUOTA_BYTES = 4,           /**< stored of records */
    QUOTA_LOCK_WAITERS = 5,    /**< of one lock */
    QUOTA_BEGIN_WAITERS = 6,   /**< of one record */
    QUOTA_SESSION_NAMES = 7,   /**< of one session: names, bound attempts, unacknowledged losses */
    QUOTA_REENTRANCE = 8,      /**< of one grant */
    QUOTA_FROZEN = 9,          /**< prefixes that are frozen */
    QUOTA_TIMERS = 10,         /**< timers of one principal, tombstones included */
    QUOTA_EVENT_PREFIXES = 11, /**< prefixes under which everything is told */
    QUOTA_MAX = 11,
};

/** What a timer is. */
enum timer_state {
    TIMER_ABSENT = 0,
    TIMER_PENDING = 1,   /**< it has not fired */
    TIMER_READY = 2,     /**< fired, in its group's queue */
    TIMER_DELIVERED = 3, /**< fired, a POLL has it and its lease runs */
    TIMER_DELAYED = 4,   /**< fired, a NACK wants it later */
    TIMER_DEAD = 5,      /**< fired, delivered as often as it may, and never acknowledged */
    TIMER_ACKED = 6,     /**< a tombstone */
    TIMER_CANCELLED = 7, /**< a tombstone: it never fired */
    TIMER_STATE_MAX = 7,
};

/** What TIMER_SET did. */
enum timer_verdict {
    TIMER_SCHEDULED = 0, /**< a new one */
    TIMER_REPLACED = 1,  /**< a pending one of a lower version is this one now */
    TIMER_SAME = 2,      /**< this version is pending already; as it was set first */
    TIMER_OLDER = 3,     /**< a higher version is pending; this one never will be */
    TIMER_VERDICT_MAX = 3,
};

/** What happened. Those up to EVENT_ADMIN are always told, the others under prefixes that an
 * administrator has switched on. `what` of an event is a word of the list that is named here. */
enum event_type {
    EVENT_LOST = 1,            /**< a grant ended, and not by its owner's will: enum end_reason */
    EVENT_FORCED = 2,          /**< a grant was ended by force: enum end_reason */
    EVENT_UNKNOWN = 3,         /**< a record became UNKNOWN: enum record_state */
    EVENT_LATE_COMPLETION = 4, /**< an end that came too late: enum record_outcome */
    EVENT_TIMER_DEAD = 5,      /**< a timer was delivered as often as it may: enum timer_state */
    EVENT_SESSION_EXPIRED = 6, /**< a session's lease ran out: enum end_reason */
    EVENT_ADMIN = 7,           /**< an act that the audit keeps, too: enum op_code */
    EVENT_QUEUED = 8,          /**< a request waits for a lock: enum lock_mode */
    EVENT_GRANTED = 9,         /**< enum lock_mode */
    EVENT_RELEASED = 10,       /**< a grant ended by its owner's will: enum end_reason */
    EVENT_RECORD = 11,         /**< a record's other transitions: enum record_state */
    EVENT_TIMER_FIRED = 12,    /**< enum timer_state */
    EVENT_KIND_MAX = 12,
    EVENT_KINDS_ALL = (1 << (EVENT_KIND_MAX + 1)) - 1, /**< WATCH's bits; bit 0 is no kind's */
};

enum server_role { ROLE_FOLLOWER = 0, ROLE_CANDIDATE = 1, ROLE_LEADER = 2 };

enum member_role { MEMBER_VOTER = 0, MEMBER_STANDBY = 1, MEMBER_SPARE = 2 };

#endif
