/* holdfast_async.h: the calls of holdfast.h without waiting, and how to cancel one that waits.
 *
 * THE SHAPE
 *   hf_X_async() takes what hf_X() takes, in the same order, then done_cb, data and call. It checks
 *   its arguments, sends, and returns at once:
 *     HF_OK           the call is under way: done_cb(status, data) will run exactly once, perhaps
 *                     before hf_X_async() has returned, with what hf_X() would have returned.
 *     anything else   what hf_X() would have answered without asking a server (HF_EINVAL, HF_ELOST,
 *                     HF_ECLOSED, HF_EUNACKED, ...): nothing is under way, done_cb does not run.
 *   The blocking calls are these and a wait: there is no other difference between the two.
 *
 * MEMORY
 *   Inputs (names, hf_acquire, hf_begin, results, their bytes) are borrowed until the call returns.
 *   Outputs (grant, record, verdict, request, ...) must stay where they are until done_cb runs;
 *   they are written before it, on HF_OK only, `request` on HF_EUNKNOWN only. `data` is the
 *   caller's. A handle may be freed while its calls are under way: an acquire is then cancelled
 *   (its done_cb runs), what is under way for a record goes on; `grant` and such must still stay.
 *
 * CALLBACKS
 *   done_cb runs on the client's I/O thread, never two at a time, with no lock held. It may make
 *   asynchronous calls, cancel, free handles, look (hf_grant_valid(), ...). It may not block: while
 *   it runs, nothing of this client is received or renewed. A blocking call made from it, or from
 *   lost_cb, answers HF_EINVAL; hf_client_close() must not be called from it.
 *   hf_client_close() cancels what can be undone, waits for the answers to the rest at most
 *   timeout_ms, and returns after every done_cb has run. Calls made from then on answer HF_ECLOSED.
 *   In the child of a fork() no done_cb ever runs. */
#ifndef HOLDFAST_ASYNC_H
#define HOLDFAST_ASYNC_H

#include "holdfast.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Told once how a call ended. \param status  what the blocking call would have returned. */
typedef void (*hf_done_cb)(int status, void *data);

/** Names a call under way. A plain value; copies are equally good, until hf_client_close(). The
 * asynchronous calls fill it, if they are given one, before done_cb can run. */
typedef struct hf_call {
    hf_client *client; /**< The library's. */
    uint64_t id;       /**< The library's: which call of the client; never used again. */
} hf_call;

/* ================================================================== cancelling */

/** Want a call no more. Does not block: done_cb tells how it ended, at most timeout_ms later.
 *
 * What certainly had no effect ends at once with HF_ECANCELLED; so does a read. What may have
 * arrived is cancelled at the servers, and ends with their answer: HF_ECANCELLED (no effect, now or
 * later; a grant or attempt that it had brought is given back), or what it was answered before,
 * such as HF_OK of a completion, which cannot be undone. If no server answers: HF_ETIMEOUT for an
 * acquire or a begin (nothing of it will stay), HF_EUNKNOWN for the rest; the library goes on
 * cancelling until one does or the session has ended. hf_requests are not filled. A release cannot
 * be cancelled: it ends at once with HF_ETIMEOUT, and is repeated in the background.
 * Cancelling it once more ends it at once, without waiting for the servers.
 * \param call  borrowed.
 * \retval HF_OK       it is being cancelled.
 * \retval HF_ENOTFOUND it has ended: its done_cb has run, runs, or is about to. */
HF_API HF_NODISCARD int hf_call_cancel(const hf_call *call);

/** Cancel, as hf_call_cancel(), the acquires under way on this handle: also the one in which
 * another thread blocks. Does not block; any thread. \retval HF_OK also if there was none. */
HF_API HF_NODISCARD int hf_lock_cancel(hf_lock *lock);

/** Cancel, as hf_call_cancel(), every call under way on this client, blocking ones of all threads
 * too. Does not block; any thread, but no signal handler: it takes a lock. Later calls are not
 * concerned. \retval HF_OK also if there was none. */
HF_API HF_NODISCARD int hf_client_cancel(hf_client *client);

/* ================================================================== requests of unknown outcome */

/** As hf_request_retry(). The original call's outputs must still be there. */
HF_API HF_NODISCARD int hf_request_retry_async(hf_request *request, hf_done_cb done_cb, void *data,
                                               hf_call *call);

/** As hf_request_cancel(). */
HF_API HF_NODISCARD int hf_request_cancel_async(hf_request *request, hf_done_cb done_cb, void *data,
                                                hf_call *call);

/* ================================================================== locks */

/** As hf_lock_acquire(). One acquire at a time may be under way on a handle. */
HF_API HF_NODISCARD int hf_lock_acquire_async(hf_lock *lock, const char *name, uint64_t wait_ms,
                                              hf_grant *grant, hf_request *request,
                                              hf_done_cb done_cb, void *data, hf_call *call);

/** As hf_lock_acquire_with(). */
HF_API HF_NODISCARD int hf_lock_acquire_with_async(hf_lock *lock, const char *name,
                                                   const hf_acquire *how, hf_grant *grant,
                                                   hf_request *request, hf_done_cb done_cb,
                                                   void *data, hf_call *call);

/** As hf_lock_release(). The grant ends before this returns, as far as this client is concerned. */
HF_API HF_NODISCARD int hf_lock_release_async(hf_lock *lock, hf_grant *grant, hf_request *request,
                                              hf_done_cb done_cb, void *data, hf_call *call);

/** As hf_lock_check(). */
HF_API HF_NODISCARD int hf_lock_check_async(hf_client *client, const char *name,
                                            uint64_t fencing_token, int *verdict,
                                            uint64_t *lease_left_ms, hf_done_cb done_cb, void *data,
                                            hf_call *call);

/* ================================================================== records */

/** As hf_record_begin(). */
HF_API HF_NODISCARD int hf_record_begin_async(hf_client *client, const char *key,
                                              const hf_begin *how, hf_record **record,
                                              hf_request *request, hf_done_cb done_cb, void *data,
                                              hf_call *call);

/** As hf_record_extend(). */
HF_API HF_NODISCARD int hf_record_extend_async(hf_record *record, uint64_t lease_ms,
                                               hf_request *request, hf_done_cb done_cb, void *data,
                                               hf_call *call);

/** As hf_record_checkpoint(). \param bytes  its data, `byte_count` of them; borrowed until return.
 */
HF_API HF_NODISCARD int hf_record_checkpoint_async(hf_record *record, const char *name,
                                                   uint64_t number, int mark, const void *bytes,
                                                   size_t byte_count, hf_request *request,
                                                   hf_done_cb done_cb, void *data, hf_call *call);

/** As hf_record_complete(). */
HF_API HF_NODISCARD int hf_record_complete_async(hf_record *record, int outcome,
                                                 const hf_result *result, hf_request *request,
                                                 hf_done_cb done_cb, void *data, hf_call *call);

/** As hf_record_resolve(). */
HF_API HF_NODISCARD int hf_record_resolve_async(hf_client *client, const char *key,
                                                uint64_t fencing_token, int outcome,
                                                const hf_result *result, const char *evidence,
                                                const char *operator_name, hf_request *request,
                                                hf_done_cb done_cb, void *data, hf_call *call);

/** As hf_record_reopen(). */
HF_API HF_NODISCARD int hf_record_reopen_async(hf_client *client, const char *key,
                                               uint64_t fencing_token, int outcome,
                                               const char *reason, const char *operator_name,
                                               hf_request *request, hf_done_cb done_cb, void *data,
                                               hf_call *call);

/** As hf_record_erase(). */
HF_API HF_NODISCARD int hf_record_erase_async(hf_client *client, const char *key,
                                              const char *reason, const char *operator_name,
                                              hf_request *request, hf_done_cb done_cb, void *data,
                                              hf_call *call);

/* ================================================================== looking */

/** As hf_lock_list(). \param each_cb  called on the I/O thread, under the same rules as done_cb; a
 * cancelled list shows no further page. \param each_data  handed to each_cb. */
HF_API HF_NODISCARD int hf_lock_list_async(hf_client *client, const char *prefix,
                                           int (*each_cb)(const hf_lock_line *line, void *data),
                                           void *each_data, hf_done_cb done_cb, void *data,
                                           hf_call *call);

/** As hf_lock_info(); each_cb as in hf_lock_list_async(). */
HF_API HF_NODISCARD int hf_lock_info_async(hf_client *client, const char *name,
                                           int (*each_cb)(const hf_lock_line *line, void *data),
                                           void *each_data, hf_done_cb done_cb, void *data,
                                           hf_call *call);

/** As hf_record_list(); each_cb as in hf_lock_list_async(). */
HF_API HF_NODISCARD int hf_record_list_async(hf_client *client, const char *prefix,
                                             const char *state, uint64_t older_than_ms,
                                             int (*each_cb)(const hf_record_line *line, void *data),
                                             void *each_data, hf_done_cb done_cb, void *data,
                                             hf_call *call);

/** As hf_record_info(); each_cb as in hf_lock_list_async(). */
HF_API HF_NODISCARD int hf_record_info_async(hf_client *client, const char *key,
                                             int (*each_cb)(const hf_record_line *line, void *data),
                                             void *each_data, hf_done_cb done_cb, void *data,
                                             hf_call *call);

#ifdef __cplusplus
}
#endif

#endif
