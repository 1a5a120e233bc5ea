/* holdfast_txn.h: several operations as one: all of them are done, or none.
 *
 * A TRANSACTION
 *   Up to 16 operations: release a grant, complete an attempt, begin one, set a timer, cancel one.
 *   Put them together with hf_txn_release() and its kin, then hf_txn_run(). HF_OK: all were done,
 *   at one moment; nobody ever sees a part. HF_ENOTACCEPTED: none was, and hf_txn_refused() says
 *   whose answer was not acceptable. An order is paid: its payment is completed, its time-out
 *   cancelled, the next step begun under the lock, and the lock released; or, as the time-out had
 *   fired already, nothing of that.
 *
 * WHAT IS ACCEPTED
 *   Each operation names the answers that it accepts (hf_accept); any other ends the transaction.
 *   What is usual needs no naming: see each call. All answers are about the state before the
 *   transaction: so a BEGIN may be guarded by the very grant that the transaction releases. No two
 *   operations may be about the same record, timer or grant.
 *
 * WHAT STAYS
 *   Of a transaction that is refused nothing, but the evidence of completions that came too late:
 *   the signal of a possible double effect (holdfast_record.h shows it).
 *
 * A GRANT THAT IT RELEASES is not valid from hf_txn_run() until the answer is here: ended if it was
 * done, valid again if it was refused. All said in holdfast.h of calls, errors and memory, and in
 * holdfast_async.h of callbacks, holds here too. A transaction is one thread's at a time. */
#ifndef HOLDFAST_TXN_H
#define HOLDFAST_TXN_H

#include "holdfast_timer.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A transaction: put together, run once, looked at. */
typedef struct hf_txn hf_txn;

enum { HF_TXN_OPS_MAX = 16, HF_TXN_ANSWERS_MAX = 8 };

/** What hf_txn_release() did. */
enum {
    HF_RELEASE_FREED = 0,  /**< The grant has ended. */
    HF_RELEASE_COUNTED = 1 /**< It was acquired more often than it was released. */
};

/** Which answers of an operation let the transaction go on. */
typedef struct hf_accept {
    unsigned verdicts;   /**< Of HF_OK: 1u << verdict, or-ed: HF_STARTED, HF_TIMER_SAME, ...;
                              1u of those that have but one way to be HF_OK; 0 = not HF_OK. */
    const int *answers;  /**< Others, each as the call alone would return it: HF_EFIRED, ... */
    size_t answer_count; /**< At most HF_TXN_ANSWERS_MAX. */
} hf_accept;

/** Begin to put one together. \param client open. \param txn Out; owned, hf_txn_free() it before
 * the client is closed. \retval HF_ENOMEM */
HF_API HF_NODISCARD int hf_txn_new(hf_client *client, hf_txn **txn);

/** Free it with the records in its answers that nobody took: their attempts are given back. Not
 * while its run is under way. What it asked for and is not known to be done or not goes on. NULL is
 * accepted. */
HF_API void hf_txn_free(hf_txn *txn);

/* ================================================================== operations */
/* Each is added behind the others; its index is how many were there before. Arguments are copied.
 * \param accept borrowed until return; NULL = what is usual.
 * \retval HF_OK it was added. \retval HF_EINVAL an argument; nothing changed.
 * \retval HF_ETOOLARGE likewise, or it would be the 17th. \retval HF_EBADSTATE it ran already. */

/** As hf_lock_release(). Usual: HF_RELEASE_FREED. \param lock on which it was acquired.
 * \param grant of that handle. \retval HF_ELOST, HF_ENOTHELD it has gone. \retval HF_ENOTOWNER */
HF_API HF_NODISCARD int hf_txn_release(hf_txn *txn, hf_lock *lock, const hf_grant *grant,
                                       const hf_accept *accept);

/** As hf_record_complete(). Usual: HF_OK. \param record an attempt, not to be freed before the run
 * has returned. \param outcome enum hf_outcome. \param result may be NULL.
 * \retval HF_EBADSTATE it is a replay. */
HF_API HF_NODISCARD int hf_txn_complete(hf_txn *txn, const hf_record *record, int outcome,
                                        const hf_result *result, const hf_accept *accept);

/** As hf_record_begin(). Usual: HF_STARTED. \param key of the record. \param how with wait_ms 0.
 * \retval HF_ENOKEY */
HF_API HF_NODISCARD int hf_txn_begin(hf_txn *txn, const char *key, const hf_begin *how,
                                     const hf_accept *accept);

/** As hf_timer_set(). Usual: HF_TIMER_SCHEDULED, HF_TIMER_REPLACED and HF_TIMER_SAME.
 * \param key of the timer. \param timer what it is. */
HF_API HF_NODISCARD int hf_txn_timer_set(hf_txn *txn, const char *key, const hf_timer *timer,
                                         const hf_accept *accept);

/** As hf_timer_cancel(). Usual: HF_OK. \param key of the timer. */
HF_API HF_NODISCARD int hf_txn_timer_cancel(hf_txn *txn, const char *key, const hf_accept *accept);

/* ================================================================== running it */

/** Do all of it, or nothing; once. Blocks.
 * \param request  Out, may be NULL. Written only on HF_EUNKNOWN; hf_request_retry() then fills the
 *                 transaction's answers. Without it, it is repeated in the background.
 * \retval HF_OK          all was done: hf_txn_look().
 * \retval HF_ENOTACCEPTED nothing was: hf_txn_refused().
 * \retval HF_EINVAL      it is empty, or two of it are about the same thing. It may be added to.
 * \retval HF_ELOST, HF_ENOTHELD a grant of it has gone meanwhile; likewise.
 * \retval HF_ETOOLARGE   together they are more than a request may have; likewise.
 * \retval HF_EBADSTATE   it ran already. \retval HF_ENOSPACE as for new work. */
HF_API HF_NODISCARD int hf_txn_run(hf_txn *txn, hf_request *request);
HF_API HF_NODISCARD int hf_txn_run_async(hf_txn *txn, hf_request *request, hf_done_cb done_cb,
                                         void *data, hf_call *call);

/** What one operation was answered. */
typedef struct hf_txn_answer {
    int status;          /**< HF_OK, or an answer, as of the call alone. */
    int verdict;         /**< Of HF_OK: HF_STARTED, HF_TIMER_SCHEDULED, HF_RELEASE_FREED, ... */
    hf_timer_view timer; /**< Of a timer's operation. */
    int partial;         /**< Of a begin: 1: a replay's headers and body, or a checkpoint's data of
                              more than 32 KiB, were left out: hf_record_info() has them. */
} hf_txn_answer;

/** What an operation was answered: after HF_OK each, after HF_ENOTACCEPTED the refused one (what an
 * HF_OK among these tells was not done). Borrowed from the handle.
 * \param index  below HF_TXN_OPS_MAX, in the order in which they were added.
 * \return NULL: nothing is known of it. */
HF_API const hf_txn_answer *hf_txn_look(const hf_txn *txn, size_t index);

/** After HF_ENOTACCEPTED: the index of the first, as they were added, whose answer was not
 * accepted. -1: none was refused. */
HF_API int hf_txn_refused(const hf_txn *txn);

/** Take what a begin brought: an attempt, whose lease the library keeps from now on, or a replay
 * without headers and body. \param index  of the begin, as in hf_txn_look(). \param record Out;
 * owned, hf_record_free() it. \retval HF_ELOST the attempt was begun, too long ago to be used.
 * \retval HF_EBADSTATE there is none: not a begin that was done, or it was taken. */
HF_API HF_NODISCARD int hf_txn_take_record(hf_txn *txn, size_t index, hf_record **record);

#ifdef __cplusplus
}
#endif

#endif
