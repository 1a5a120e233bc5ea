/* holdfast_watch.h: events, in the order in which they happened.
 *
 * WATCHING
 *   An hf_watch is a plain value of the caller's: what is wanted, and the number of the first event
 *   that it has not seen. Each hf_watch_poll() shows what has happened since, in order, none twice
 *   and none left out, and moves the number on; it waits if there is nothing yet. So a watcher is a
 *   loop around one call, and resumes wherever it stood: over reconnections, leaders' deaths and,
 *   if it keeps the number, its own. What the library repeats shows nothing twice.
 *
 *       hf_watch watch = {.prefix = "accounts/", .wait_ms = 30000};
 *       for (;;) {
 *           int rv = hf_watch_poll(client, &watch, on_event, cache);
 *           if (rv == HF_EGAP) forget_all(cache);        // then it goes on at watch.next
 *       }
 *
 * A GAP
 *   The servers keep the last events alone (the setting `events_window`, 1,000,000 unless set), and
 * a restored cluster has undone what came after its snapshot. A watch that is further behind is
 *   told HF_EGAP, once: whatever was derived from events has to be read anew, and only after that
 *   call has returned, so that nothing falls between.
 *
 * WHAT IS TOLD
 *   What nobody asked for (grants lost or forced, records of unknown outcome, ends that came too
 *   late, dead timers, expired sessions, acts of administrators) always; the rest (requests that
 *   wait, grants, releases, a record's other transitions, fired timers) under the prefixes that
 *   an administrator has switched on with hf_events_switch().
 *
 * Each call has its asynchronous twin beside it: the same arguments, then done_cb, data and call.
 * All said in holdfast.h of calls, errors and memory, and in holdfast_async.h of callbacks, holds
 * here too. */
#ifndef HOLDFAST_WATCH_H
#define HOLDFAST_WATCH_H

#include "holdfast_async.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ================================================================== watching */

/** What happened; hf_event's `what` is a number of the list that is named here. */
enum {
    HF_EVENT_LOST = 1,            /**< A grant ended, not by its owner's will. hf_loss.reason. */
    HF_EVENT_FORCED = 2,          /**< A grant was ended by force. hf_loss.reason. */
    HF_EVENT_UNKNOWN = 3,         /**< A record's outcome is unknown: it waits for `resolve`. */
    HF_EVENT_LATE_COMPLETION = 4, /**< An end that came too late: HF_DONE, ... It may have acted. */
    HF_EVENT_TIMER_DEAD = 5,      /**< A timer was delivered as often as it may. */
    HF_EVENT_SESSION_EXPIRED = 6, /**< A session's lease ran out. hf_loss.reason. */
    HF_EVENT_ADMIN = 7,           /**< An act of an administrator, as `holdfast audit` shows it. */
    HF_EVENT_QUEUED = 8,          /**< A request waits for a lock. hf_lock_line.mode. */
    HF_EVENT_GRANTED = 9,         /**< hf_lock_line.mode. */
    HF_EVENT_RELEASED = 10,       /**< A grant ended by its owner's will. hf_loss.reason. */
    HF_EVENT_RECORD = 11,     /**< A record changed; 1 RUNNING, 2 DONE, 3 FAILED, 4 RETRYABLE, */
                              /**< 6 TOMBSTONE; 0 it was forgotten. */
    HF_EVENT_TIMER_FIRED = 12 /**< A timer is ready for its group. */
};

/** The bit of a kind in hf_watch.kinds. */
#define HF_EVENT_BIT(kind) (UINT32_C(1) << (kind))

/** An event. Strings are borrowed during the callback; never NULL, but "" where there is none. */
typedef struct hf_event {
    uint64_t number;           /**< Rises; those of other kinds and prefixes lie between. */
    int kind;                  /**< HF_EVENT_LOST, ... */
    int what;                  /**< A number of the list that the kind names; else 0. */
    const char *name;          /**< Of the lock, record, timer, session, setting, ... */
    const char *branch;        /**< LATE_COMPLETION of a branch's phase, whose gid is `name`. */
    uint64_t fencing_token;    /**< Of the grant, attempt, delivery or phase; 0 = it has none. */
    uint64_t session;          /**< Whose it was, or who did it; 0 = nobody's. */
    uint64_t serial;           /**< A record's or timer's attempt; an act's number in the audit. */
    uint64_t at_ms;            /**< Cluster time. */
    uint64_t wall_ms;          /**< The leader's wall clock then, ms since 1970, for people. */
    const char *client_name;   /**< The session's. */
    const char *operator_name; /**< ADMIN: who decided. */
} hf_event;

/** A watch; all zero but `next` is usual. The caller's; one call at a time may use it. */
typedef struct hf_watch {
    const char *prefix; /**< Only names that begin with it, at most 255 bytes; NULL or "" = all. */
    uint32_t kinds;     /**< HF_EVENT_BIT()s, or-ed; 0 = all. */
    uint32_t count_max; /**< Events a call shows at most, 1 to 1,000; 0 = 200. */
    uint64_t wait_ms;   /**< How long a call may wait where there is nothing, up to 60,000. A mark
                             comes every 5 s at the latest: a call then returns, having shown
                             nothing. 0 = do not wait. */
    uint64_t next;      /**< In and out: the first number that was not looked at. 0 = from now on:
                             such a call shows nothing, and returns with the number that now is. */
    uint64_t at_ms;     /**< Out: all that happened before this cluster time lies below `next`. Of a
                             mark it is that of the state, confirmed by a majority; of a call that
                             has not come to the end, that of the last event it looked at. */
} hf_watch;

/** Show what has happened. Blocks up to wait_ms and the client's timeout_ms.
 * \param watch    borrowed until the call has ended. Its numbers are written at the end of one that
 *                 answers HF_OK or HF_EGAP, also where each_cb stopped it.
 * \param each_cb  called with each event, in order, on this thread (the twin: on the I/O thread).
 *                 Non-0 stops: watch->next is then the number behind that event's.
 * \param data     handed to it.
 * \retval HF_OK   all numbers below watch->next were looked at.
 * \retval HF_EGAP those from the old watch->next on are not to be had any more, as far as the new
 *                 one: nothing was shown. The next call goes on.
 * \retval HF_EBADREQUEST this cluster has not given out watch->next yet: it is another one's.
 * \retval HF_EINVAL another argument is out of its range. */
HF_API HF_NODISCARD int hf_watch_poll(hf_client *client, hf_watch *watch,
                                      int (*each_cb)(const hf_event *event, void *data),
                                      void *data);
HF_API HF_NODISCARD int hf_watch_poll_async(hf_client *client, hf_watch *watch,
                                            int (*each_cb)(const hf_event *event, void *data),
                                            void *each_data, hf_done_cb done_cb, void *data,
                                            hf_call *call);

/* ================================================================== switching prefixes */

/** Have everything told under a prefix, or no more. An act, which the audit keeps. Blocks.
 * \param prefix         of names and keys, at most 255 bytes; NULL or "" = all.
 * \param on             1: from now on, also if it was before; 0: no more.
 * \param reason         1 to 1,024 bytes.
 * \param operator_name  who decided, 1 to 255 bytes.
 * \param request        filled on HF_EUNKNOWN; may be NULL.
 * \retval HF_EQUOTA     64 prefixes are on. \retval HF_ENOTFOUND with 0: it is not on.
 * \retval HF_EINVAL */
HF_API HF_NODISCARD int hf_events_switch(hf_client *client, const char *prefix, int on,
                                         const char *reason, const char *operator_name,
                                         hf_request *request);
HF_API HF_NODISCARD int hf_events_switch_async(hf_client *client, const char *prefix, int on,
                                               const char *reason, const char *operator_name,
                                               hf_request *request, hf_done_cb done_cb, void *data,
                                               hf_call *call);

/** A prefix that is switched on. Strings are borrowed during the callback. */
typedef struct hf_events_prefix {
    const char *prefix;        /**< "" = all. */
    uint64_t since_ms;         /**< Cluster time. */
    uint64_t wall_ms;          /**< The leader's wall clock then, ms since 1970. */
    const char *operator_name; /**< Who decided. */
    const char *reason;        /**< Why. */
} hf_events_prefix;

/** Show the prefixes that are switched on. Blocks.
 * \param each_cb  called on this thread; non-0 stops. \param data  handed to it.
 * \retval HF_EINVAL */
HF_API HF_NODISCARD int hf_events_list(hf_client *client,
                                       int (*each_cb)(const hf_events_prefix *prefix, void *data),
                                       void *data);
HF_API HF_NODISCARD int
hf_events_list_async(hf_client *client, int (*each_cb)(const hf_events_prefix *prefix, void *data),
                     void *each_data, hf_done_cb done_cb, void *data, hf_call *call);

#ifdef __cplusplus
}
#endif

#endif
