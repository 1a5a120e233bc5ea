/* holdfast_timer.h: durable timers, for what has to happen when something did not: an order that
 * was not paid in half an hour.
 *
 * A TIMER
 *   hf_timer_set() gives a key a time, a payload and a group. When the time has come the timer is
 *   ready in its group's queue, whether or not anyone listens; consumers of the group poll it, do
 *   their work, and acknowledge it. A lease that ends without that means another delivery, to
 *   anybody; after attempts_max deliveries it is dead, until an administrator requeues it. So
 *   work may be done twice: make it idempotent (a record of the same key, holdfast.h), or write
 *   with the delivery's fencing token.
 *
 * FIRED OR CANCELLED
 *   Exactly one of the two happens, and the answer to hf_timer_cancel() says which: HF_OK, it
 *   never fires; HF_EFIRED, it has. Who is paid cancels first and looks at the answer.
 *
 * VERSIONS
 *   A key's version decides: the same one again changes nothing, a higher one replaces a timer that
 *   is pending, a lower one never takes effect. For a day after its end a timer is remembered.
 *
 * Each call has its asynchronous twin beside it: the same arguments, then done_cb, data and call.
 * All said in holdfast.h of calls, errors and memory, and in holdfast_async.h of callbacks, holds
 * here too. What waits at a server that loses the lead is asked again by the library. */
#ifndef HOLDFAST_TIMER_H
#define HOLDFAST_TIMER_H

#include "holdfast_async.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ================================================================== setting, cancelling */

/** What a timer is. All zero but group: fires at once, version 0, without payload. */
typedef struct hf_timer {
    const char *group;     /**< Whose consumers get it: 1 to 120 bytes of UTF-8. */
    uint64_t delay_ms;     /**< From now, cluster time; at most ten years. Never fires earlier. */
    uint64_t version;      /**< See above. */
    uint32_t attempts_max; /**< Deliveries, then it is dead: 1 to 1,000,000; 0 = 10. */
    const void *payload;   /**< Handed to the consumer; may be NULL. */
    size_t payload_bytes;  /**< At most 4,096. */
} hf_timer;

/** What hf_timer_set() did. */
enum {
    HF_TIMER_SCHEDULED = 0, /**< It is new. */
    HF_TIMER_REPLACED = 1,  /**< It took the place of a pending one of a lower version. */
    HF_TIMER_SAME = 2,      /**< This version is pending already, as it was set first. */
    HF_TIMER_OLDER = 3,     /**< A higher version is pending; this one never takes effect. */
};

/** How a timer is, beside the answer of a call. */
typedef struct hf_timer_view {
    int verdict;       /**< On HF_OK of hf_timer_set(): HF_TIMER_SCHEDULED, ... */
    uint64_t version;  /**< The highest that there was. */
    uint64_t left_ms;  /**< On HF_OK: until it fires. */
    uint64_t fired_ms; /**< On HF_EFIRED: when it did, cluster time. */
    uint64_t ago_ms;   /**< On HF_EFIRED: how long ago that was. */
} hf_timer_view;

/** Set a timer. Blocks.
 * \param key      1 to 255 bytes of UTF-8. \param timer borrowed until return.
 * \param view     Out, may be NULL. Written on HF_OK and HF_EFIRED.
 * \param request  Out, may be NULL. Written only on HF_EUNKNOWN.
 * \retval HF_OK              it is pending, or one of this or a higher version is: see `view`.
 * \retval HF_EFIRED          this version has fired; or an earlier one has and was not acknowledged
 *                            yet. Nothing changed.
 * \retval HF_ETIMERCANCELLED this version was cancelled. Nothing changed.
 * \retval HF_EFROZEN, HF_EQUOTA, HF_ENOSPACE nothing changed. */
HF_API HF_NODISCARD int hf_timer_set(hf_client *client, const char *key, const hf_timer *timer,
                                     hf_timer_view *view, hf_request *request);
HF_API HF_NODISCARD int hf_timer_set_async(hf_client *client, const char *key,
                                           const hf_timer *timer, hf_timer_view *view,
                                           hf_request *request, hf_done_cb done_cb, void *data,
                                           hf_call *call);

/** Cancel a timer, whatever its version. Repeating it changes nothing. Blocks.
 * \param key      1 to 255 bytes of UTF-8. \param view Out, may be NULL. Written on HF_EFIRED.
 * \param request  Out, may be NULL. Written only on HF_EUNKNOWN.
 * \retval HF_OK        it is cancelled and never fires. \retval HF_EFIRED it has fired.
 * \retval HF_ENOTFOUND there is none, or its end is longer ago than is remembered. */
HF_API HF_NODISCARD int hf_timer_cancel(hf_client *client, const char *key, hf_timer_view *view,
                                        hf_request *request);
HF_API HF_NODISCARD int hf_timer_cancel_async(hf_client *client, const char *key,
                                              hf_timer_view *view, hf_request *request,
                                              hf_done_cb done_cb, void *data, hf_call *call);

/* ================================================================== consuming */

/** A timer that was delivered. Strings and payload are its batch's. */
typedef struct hf_timer_delivery {
    const char *key;        /**< As it was set. */
    uint64_t version;       /**< Likewise. */
    uint64_t fencing_token; /**< Of this delivery: for hf_timer_ack(), and for what you write. */
    uint32_t attempt;       /**< 1 = the first delivery. */
    uint32_t attempts_max;  /**< As it was set. */
    uint64_t late_ms;       /**< Since the time that it was set for. */
    const void *payload;    /**< May be NULL if payload_bytes is 0. */
    size_t payload_bytes;   /**< Of it. */
} hf_timer_delivery;

/** What one poll brought. */
typedef struct hf_timer_batch hf_timer_batch;

/** Get ready timers of a group, those that fell due first. Blocks up to wait_ms while there is
 * none. \param group      1 to 120 bytes of UTF-8. \param count_max 1 to 200; fewer may come.
 * \param lease_ms   500 to 86,400,000, for each of them; then it is delivered to somebody else.
 * \param wait_ms    0 = look once; at most 86,400,000. An empty batch may come earlier.
 * \param batch      Out; owned, hf_timer_batch_free() it. Written only on HF_OK.
 * \retval HF_OK       the batch may be empty. \retval HF_ETIMEOUT no answer in time: what may have
 *                     been delivered comes again when its lease is over.
 * \retval HF_EUNACKED 256 polls of this client wait already. */
HF_API HF_NODISCARD int hf_timer_poll(hf_client *client, const char *group, uint32_t count_max,
                                      uint64_t lease_ms, uint64_t wait_ms, hf_timer_batch **batch);
HF_API HF_NODISCARD int hf_timer_poll_async(hf_client *client, const char *group,
                                            uint32_t count_max, uint64_t lease_ms, uint64_t wait_ms,
                                            hf_timer_batch **batch, hf_done_cb done_cb, void *data,
                                            hf_call *call);

/** How many deliveries are in it. NULL: none. */
HF_API size_t hf_timer_batch_count(const hf_timer_batch *batch);

/** One of them, borrowed from the batch; NULL if index is not below its count. */
HF_API const hf_timer_delivery *hf_timer_batch_at(const hf_timer_batch *batch, size_t index);

/** Free it; what was not acknowledged comes again. NULL is accepted. */
HF_API void hf_timer_batch_free(hf_timer_batch *batch);

/** The work is done: it is never delivered again. Also good after its lease, until somebody else
 * has it; and by another client. Repeating it changes nothing. Blocks.
 * \param key of the delivery. \param fencing_token likewise. \param request Out, may be NULL.
 * Written only on HF_EUNKNOWN. \retval HF_ESTALE it was delivered anew, or given back: somebody
 * else may do the work, too. \retval HF_ENOTFOUND there is no such timer, or it ended too long ago
 * to tell. */
HF_API HF_NODISCARD int hf_timer_ack(hf_client *client, const char *key, uint64_t fencing_token,
                                     hf_request *request);
HF_API HF_NODISCARD int hf_timer_ack_async(hf_client *client, const char *key,
                                           uint64_t fencing_token, hf_request *request,
                                           hf_done_cb done_cb, void *data, hf_call *call);

/** The work is not done: deliver it again, not before delay_ms. After its last attempt it is dead
 * instead. Blocks.
 * \param key of the delivery. \param fencing_token likewise. \param delay_ms at most ten years; 0 =
 * at once. \param request Out, may be NULL. Written only on HF_EUNKNOWN. \retval HF_ESTALE its
 * lease is over: there is nothing to give back. */
HF_API HF_NODISCARD int hf_timer_nack(hf_client *client, const char *key, uint64_t fencing_token,
                                      uint64_t delay_ms, hf_request *request);
HF_API HF_NODISCARD int hf_timer_nack_async(hf_client *client, const char *key,
                                            uint64_t fencing_token, uint64_t delay_ms,
                                            hf_request *request, hf_done_cb done_cb, void *data,
                                            hf_call *call);

/* ================================================================== looking */

/** A timer. Strings are borrowed during the callback. */
typedef struct hf_timer_line {
    const char *key;        /**< As it was set. */
    const char *group;      /**< Likewise. */
    const char *state;      /**< "PENDING", "READY", "DELIVERED", "DELAYED" (given back), "DEAD",
                                 "ACKED" or "CANCELLED". */
    uint64_t version;       /**< The highest. */
    uint64_t left_ms;       /**< Until the next thing happens to it by itself; 0 = nothing will. */
    uint64_t fired_ms;      /**< Cluster time; 0 = it has not. */
    uint32_t attempt;       /**< Deliveries so far. */
    uint32_t attempts_max;  /**< As it was set. */
    uint64_t fencing_token; /**< Of its last delivery; 0 = none stands. */
    uint64_t payload_bytes; /**< Of its payload. */
} hf_timer_line;

/** Show timers by key. Blocks.
 * \param prefix  of their keys; NULL or "" = all. \param group NULL or "" = any.
 * \param state   a word of hf_timer_line; NULL or "" = any. \param each_cb called on this thread;
 * non-0 stops. \retval HF_EINVAL prefix or group is too long, or no UTF-8, or there is no such
 * state. */
HF_API HF_NODISCARD int hf_timer_list(hf_client *client, const char *prefix, const char *group,
                                      const char *state,
                                      int (*each_cb)(const hf_timer_line *line, void *data),
                                      void *data);
HF_API HF_NODISCARD int hf_timer_list_async(hf_client *client, const char *prefix,
                                            const char *group, const char *state,
                                            int (*each_cb)(const hf_timer_line *line, void *data),
                                            void *each_data, hf_done_cb done_cb, void *data,
                                            hf_call *call);

/* ================================================================== administrators */

/** Put a dead timer back into its group's queue, with all its attempts before it. An act of the
 * audit. Blocks.
 * \param key 1 to 255 bytes of UTF-8. \param reason why, 1 to 1,024 bytes, kept.
 * \param operator_name who, 1 to 255 bytes, kept. \param request Out, may be NULL. Written only on
 * HF_EUNKNOWN. \retval HF_EBADSTATE it is not dead. \retval HF_ENOTFOUND there is none. */
HF_API HF_NODISCARD int hf_timer_requeue(hf_client *client, const char *key, const char *reason,
                                         const char *operator_name, hf_request *request);
HF_API HF_NODISCARD int hf_timer_requeue_async(hf_client *client, const char *key,
                                               const char *reason, const char *operator_name,
                                               hf_request *request, hf_done_cb done_cb, void *data,
                                               hf_call *call);

#ifdef __cplusplus
}
#endif

#endif
