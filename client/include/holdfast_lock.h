/* holdfast_lock.h: more of locks: several names at once, changing between exclusive and shared, why
 * an acquire was refused, and looking closely.
 *
 * SEVERAL NAMES
 *   Who needs several locks asks for all of them in one call: all or nothing, under one fencing
 *   token. Users who do only that can neither deadlock nor starve, in whatever order they name
 *   them. Who acquires one after another may be answered HF_EDEADLOCK (holdfast.h).
 *
 * PERMITS
 *   A counting semaphore: hf_acquire's mode HF_PERMITS with `limit` and `permits`, with one name or
 *   several: of each of them the same permits of the same limit.
 *
 * PATTERNS
 *   Election: acquire a name exclusively, with what the leader is known by (its address) as `meta`;
 *   the term is the fencing token, hf_lock_look() shows who leads, a release resigns. Discovery:
 *   acquire a service's name HF_SHARED with the address as `meta`; hf_lock_look() lists them.
 *
 * CHANGING THE MODE
 *   A writer that goes on as a reader keeps its grant and its token with hf_lock_downgrade(); the
 *   sole reader becomes a writer with hf_lock_upgrade(), past all who wait. Two readers that both
 *   want to upgrade are both refused: one has to release first.
 *
 * All said in holdfast.h of calls, errors and memory, and in holdfast_async.h of callbacks, holds
 * here too. All of this is recorded (hf_options.history_path): docs/history-format.md. */
#ifndef HOLDFAST_LOCK_H
#define HOLDFAST_LOCK_H

#include "holdfast_async.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HF_NAMES_MAX = 32 };

/** Acquire all of `names`, or none. Blocks.
 * \param names       each 1 to 255 bytes of UTF-8, in any order; a name that stands twice is
 *                    HF_EINVAL. Borrowed until return.
 * \param name_count  1 to HF_NAMES_MAX.
 * \param how         borrowed; all of it is for each name; NULL = exclusive, try once.
 * \param grant       Out: one for all; one hf_lock_release() gives all back, and what loses one
 *                    loses all. Written only on HF_OK; must outlive `request`, if that was filled.
 * \param request     Out, may be NULL. Filled only on HF_EUNKNOWN.
 * \retval HF_OK       all are held.
 * \retval HF_EBUSY    one of them was held by another owner, or is waited for. Nothing changed.
 * \retval HF_EALREADY this handle holds some of them. Nothing changed: release those first.
 * \retval HF_ELIMIT   one of them is in use with another limit. Nothing changed.
 * \retval as hf_lock_acquire_with() for the rest. */
HF_API HF_NODISCARD int hf_lock_acquire_many(hf_lock *lock, const char *const *names,
                                             size_t name_count, const hf_acquire *how,
                                             hf_grant *grant, hf_request *request);

/** As hf_lock_acquire_many(). `names` and `how` are borrowed until this returns. */
HF_API HF_NODISCARD int hf_lock_acquire_many_async(hf_lock *lock, const char *const *names,
                                                   size_t name_count, const hf_acquire *how,
                                                   hf_grant *grant, hf_request *request,
                                                   hf_done_cb done_cb, void *data, hf_call *call);

/* ================================================================== why it was refused */

/** An owner: a handle of a client. */
typedef struct hf_owner {
    uint64_t session; /**< hf_client_session() of its client. */
    uint64_t owner;   /**< The handle, in that session. */
} hf_owner;

/** Who holds a lock. */
typedef struct hf_holder {
    uint64_t session;       /**< hf_client_session() of its client. */
    uint64_t owner;         /**< The handle, in that session. */
    uint64_t fencing_token; /**< The grant. */
    int mode;               /**< enum hf_mode. */
    uint32_t permits;       /**< HF_PERMITS: how many of them; else 0. */
} hf_holder;

enum { HF_REFUSAL_HOLDERS_MAX = 8, HF_REFUSAL_OWNERS_MAX = 16 };

/** What a server said beside the refusal of an acquire, when it refused. What does not belong to
 * `status` is 0. */
typedef struct hf_refusal {
    int status; /**< HF_EBUSY, HF_EDELAYED, HF_EDEADLOCK or HF_EALREADY. */

    /* HF_EBUSY, of several names: of the first that could not be had */
    uint32_t holder_count;                     /**< All holders; 0 = it is only waited for. */
    uint32_t holders_shown;                    /**< Of them, the first. */
    hf_holder holders[HF_REFUSAL_HOLDERS_MAX]; /**< In the order of their sessions. */
    uint32_t queue_length;                     /**< Who waits. */
    uint64_t lease_left_ms;                    /**< The longest of the holders' shown; a hint. */
    uint32_t limit;         /**< How many permits there are; 0 = not HF_PERMITS. */
    uint32_t units_taken;   /**< Permits, else holders. */
    uint32_t units_delayed; /**< Permits of lost holders that are not back yet. */

    uint64_t delay_left_ms; /**< HF_EDELAYED: how long the lock-delay still runs. */

    /* HF_EDEADLOCK: each waits for the next one, and the last for the first, who is this handle */
    uint32_t cycle_length;                 /**< Owners in the cycle, 2 or more. */
    uint32_t cycle_shown;                  /**< Of them, the first. */
    hf_owner cycle[HF_REFUSAL_OWNERS_MAX]; /**< In the order of waiting. */

    /* HF_EALREADY: the grant under which this handle holds some of the names */
    uint64_t fencing_token;          /**< Its token. */
    int mode;                        /**< enum hf_mode. */
    uint32_t permits;                /**< HF_PERMITS: how many; else 0. */
    uint32_t name_count;             /**< How many of the wanted it holds, and the answer told. */
    const char *names[HF_NAMES_MAX]; /**< Them. */
} hf_refusal;

/** Why the last acquire on this handle was refused. Local; no acquire of it may be under way.
 * \return borrowed until the next acquire on this handle is sent, or hf_lock_free(); NULL if the
 * last one that was sent ended with none of those four statuses, or nothing more is known. */
HF_API const hf_refusal *hf_lock_refusal(const hf_lock *lock);

/** Let others share what this grant holds exclusively, in all of its names. Blocks. The grant, its
 * token and its lease stay; who waits to share is served. Of a shared grant: HF_OK, nothing
 * changes.
 * \param grant    of this handle; borrowed.
 * \param request  Out, may be NULL. Filled only on HF_EUNKNOWN.
 * \retval HF_OK         it is shared: no other can be exclusive yet, so stop writing before.
 * \retval HF_ELIMIT     somebody waits for permits of one of the names, beside which nothing is
 *                       shared. It stays exclusive.
 * \retval HF_EBADREQUEST the grant is one of permits. Nothing changed.
 * \retval HF_ENOTOWNER  the grant is another handle's. Nothing was sent.
 * \retval HF_ELOST, HF_ESTALE, HF_ENOTHELD, HF_ESESSION it was lost before, as hf_lock_release().
 * \retval HF_EUNKNOWN   no answer in time: take it for shared. Without a request the library
 *                       repeats it until it is answered or the session ends. */
HF_API HF_NODISCARD int hf_lock_downgrade(hf_lock *lock, const hf_grant *grant,
                                          hf_request *request);

/** As hf_lock_downgrade(). `grant` is borrowed until this returns. */
HF_API HF_NODISCARD int hf_lock_downgrade_async(hf_lock *lock, const hf_grant *grant,
                                                hf_request *request, hf_done_cb done_cb, void *data,
                                                hf_call *call);

/** Make a shared grant exclusive, if nobody shares any of its names. Blocks, but never waits for
 * other holders. The token stays, and fences: it is greater than that of every exclusive holder
 * before. Of an exclusive grant: HF_OK, nothing changes.
 * \param grant    of this handle; borrowed.
 * \param request  Out, may be NULL. Filled only on HF_EUNKNOWN.
 * \retval HF_OK            it is exclusive.
 * \retval HF_EUPGRADEBUSY  others share it, or one that was lost and whose lock-delay runs. It
 *                          stays shared: try later; if they may want the same, release it and
 *                          acquire it exclusively instead (and look again at what was read).
 * \retval HF_EOWNERWAITING this handle waits for an acquire. Nothing changed.
 * \retval HF_EUNKNOWN      no answer in time: take it for shared, until a downgrade is HF_OK.
 * \retval as hf_lock_downgrade() for the rest. */
HF_API HF_NODISCARD int hf_lock_upgrade(hf_lock *lock, const hf_grant *grant, hf_request *request);

/** As hf_lock_upgrade(). `grant` is borrowed until this returns. */
HF_API HF_NODISCARD int hf_lock_upgrade_async(hf_lock *lock, const hf_grant *grant,
                                              hf_request *request, hf_done_cb done_cb, void *data,
                                              hf_call *call);

/* ================================================================== looking closely */

enum hf_lock_state { HF_LOCK_HELD = 1, HF_LOCK_WAITED = 2, HF_LOCK_DELAYED = 4 };

/** Which locks to list. Zero it = all of them; what is set must all be true. */
typedef struct hf_lock_filter {
    const char *prefix;      /**< Of the name, at most 255 bytes; NULL or "" = any. */
    int states;              /**< enum hf_lock_state, or-ed: all of them; 0 = any. */
    int modes;               /**< 1 << enum hf_mode, or-ed: held in one of them; 0 = any. */
    uint64_t session;        /**< Held by this session: hf_client_session(); 0 = any. */
    const char *client_name; /**< Held by a session of exactly this name; NULL or "" = any. */
    uint64_t older_than_ms;  /**< Held for at least so long; 0 = any. */
} hf_lock_filter;

/** As hf_lock_list(), of those that a filter lets pass. What is asked of the holder (session,
 * client_name, older_than_ms) has to fit one and the same holder, who is the one that is shown; of
 * a lock with more than 1,000 holders the first 1,000 are looked at. Blocks.
 * \param filter  borrowed until return; NULL = all.
 * \param each_cb called on this thread; non-0 stops.
 * \retval HF_EINVAL a text is longer than 255 bytes, or states or modes has other bits.
 * \retval as hf_lock_acquire() for what nothing came of. */
HF_API HF_NODISCARD int hf_lock_list_with(hf_client *client, const hf_lock_filter *filter,
                                          int (*each_cb)(const hf_lock_line *line, void *data),
                                          void *data);

/** As hf_lock_list_with(); each_cb as in hf_lock_list_async(). */
HF_API HF_NODISCARD int
hf_lock_list_with_async(hf_client *client, const hf_lock_filter *filter,
                        int (*each_cb)(const hf_lock_line *line, void *data), void *each_data,
                        hf_done_cb done_cb, void *data, hf_call *call);

/** Why a grant ended; also hf_loss.reason. */
enum hf_end {
    HF_END_RELEASED = 1,  /**< by its owner */
    HF_END_EXPIRED = 2,   /**< its session's lease ran out */
    HF_END_CLOSED = 3,    /**< its session was closed */
    HF_END_ABANDONED = 4, /**< given back by a client that had declared it lost */
    HF_END_HOLD_MAX = 5,  /**< held as long as it may */
    HF_END_FORCED = 6,    /**< by an administrator */
    HF_END_RESTORED = 7   /**< the state was restored from a snapshot */
};

/** A holder with all that is known of the grant. */
typedef struct hf_holder_view {
    hf_holder who;           /**< Who, under which token. */
    uint32_t count;          /**< How often it was acquired (reentrant). */
    uint32_t name_count;     /**< Locks under this token, this one among them. */
    uint64_t since_ms;       /**< Cluster time of the grant; how long ago: now_ms - since_ms. */
    uint64_t lease_left_ms;  /**< Of the session's lease; a hint. */
    uint64_t hold_left_ms;   /**< Of hold_max_ms; 0 = none was asked for. */
    int asked_back;          /**< hf_revoke(): 0 = no; 1 = yes; 2 = its grace is over. */
    uint64_t asked_left_ms;  /**< Of that grace; a hint. */
    const char *client_name; /**< The session's name. */
    const char *peer;        /**< Its address. */
    const void *meta;        /**< As given with the acquire. */
    size_t meta_bytes;       /**< Its length. */
    const char *traceparent; /**< W3C trace context of the acquire, or "". */
} hf_holder_view;

/** Who waits for a lock. */
typedef struct hf_waiter_view {
    uint64_t session;        /**< As of a holder. */
    uint64_t owner;          /**< Likewise. */
    int mode;                /**< enum hf_mode. */
    uint32_t permits;        /**< HF_PERMITS: how many it wants; else 0. */
    uint32_t name_count;     /**< Locks that it waits for at once, this one among them. */
    uint64_t since_ms;       /**< Cluster time when it began to wait. */
    uint64_t wait_left_ms;   /**< Until its wait times out. */
    const char *client_name; /**< The session's name. */
    const char *peer;        /**< Its address. */
} hf_waiter_view;

enum hf_transition_kind {
    HF_TRANSITION_GRANTED = 1,
    HF_TRANSITION_ENDED = 2,      /**< `reason` says why */
    HF_TRANSITION_DOWNGRADED = 3, /**< from exclusive to shared */
    HF_TRANSITION_UPGRADED = 4    /**< from shared to exclusive */
};

/** Something that happened to a lock. */
typedef struct hf_transition {
    uint64_t at_ms;         /**< Cluster time. */
    int kind;               /**< enum hf_transition_kind. */
    int reason;             /**< HF_TRANSITION_ENDED: enum hf_end; else 0. */
    uint64_t fencing_token; /**< Of the grant. */
    uint64_t session;       /**< Of its owner. */
    uint64_t owner;         /**< Likewise. */
} hf_transition;

/** All that is known of a lock. Everything in it is borrowed during the callback. */
typedef struct hf_lock_view {
    const char *name;                 /**< The lock's. */
    uint64_t now_ms;                  /**< Cluster time when it was read. */
    int frozen;                       /**< 1: an administrator froze it: nothing is granted. */
    uint32_t limit;                   /**< How many permits there are; 0 = not HF_PERMITS. */
    uint32_t units_taken;             /**< Permits, else holders. */
    uint32_t units_delayed;           /**< Permits of lost holders that are not back yet. */
    uint64_t delay_left_ms;           /**< Closed so long by lock-delay, or as a grant was forced
                                           and its holder may still believe in it; 0 = not. */
    int last_loss;                    /**< How the last grant was lost: enum hf_end; 0 = none. */
    uint64_t last_loss_at_ms;         /**< Cluster time of that. */
    uint32_t holder_count;            /**< All of them. */
    const hf_holder_view *holders;    /**< The first, in the order of sessions. */
    uint32_t holders_shown;           /**< Of them, at most 1,000. */
    uint32_t queue_length;            /**< All waiters. */
    const hf_waiter_view *waiters;    /**< The first, in the order of service. */
    uint32_t waiters_shown;           /**< Of them, at most 1,000. */
    const hf_transition *transitions; /**< The last, oldest first; gone once nobody uses it. */
    uint32_t transition_count;        /**< Of them, at most 8. */
} hf_lock_view;

/** Show all that is known of one lock, as of one moment: linearizable. Blocks. A lock that nobody
 * uses is a free one: HF_OK.
 * \param name    1 to 255 bytes of UTF-8.
 * \param show_cb called once, on this thread.
 * \retval as hf_lock_acquire() for what nothing came of. */
HF_API HF_NODISCARD int hf_lock_look(hf_client *client, const char *name,
                                     void (*show_cb)(const hf_lock_view *view, void *data),
                                     void *data);

/** As hf_lock_look(). \param show_cb called on the I/O thread, under the rules of done_cb. */
HF_API HF_NODISCARD int hf_lock_look_async(hf_client *client, const char *name,
                                           void (*show_cb)(const hf_lock_view *view, void *data),
                                           void *show_data, hf_done_cb done_cb, void *data,
                                           hf_call *call);

#ifdef __cplusplus
}
#endif

#endif
