/* holdfast_tcc.h: the barrier of TCC and sagas, for transactions over several databases that are
 * confirmed or cancelled as a whole.
 *
 * A BRANCH
 *   One participant's part of a transaction: (gid, branch). Its try reserves, its confirm or its
 *   cancel ends that. Before each phase the participant asks hf_branch_ask(), and does what the
 *   verdict says: HF_BRANCH_EXECUTE, do it; HF_BRANCH_DUPLICATE, it was done, here is its result;
 *   HF_BRANCH_EMPTY_ROLLBACK, it was never tried, and never will be. Everything else is a refusal
 *   and means: do nothing. Then hf_branch_done() says how it ended.
 *
 * THE GUARD
 *   Every phase, an empty rollback too, first claims (gid, branch) with its fencing token in a
 *   table of its own database, in the same local transaction as its work; one who finds a greater
 *   token there rolls back. Nothing else stops a try that was paused past its branch's cancel.
 *   What an earlier attempt has committed is read after the claim.
 *
 * A LEASE
 *   A phase runs under a lease. When it ends somebody else may take over, with a greater token;
 *   until that has happened hf_branch_done() is still good. A confirm or cancel that fails is asked
 *   for again until it succeeds; a try may fail for good.
 *
 * All said in holdfast.h of calls, errors and memory, and in holdfast_async.h of callbacks, holds
 * here too. */
#ifndef HOLDFAST_TCC_H
#define HOLDFAST_TCC_H

#include "holdfast_record.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A phase. */
enum { HF_BRANCH_TRY = 1, HF_BRANCH_CONFIRM = 2, HF_BRANCH_CANCEL = 3 };

/** What to do. */
enum {
    HF_BRANCH_EXECUTE = 0,       /**< Do it, under the token; then hf_branch_done(). */
    HF_BRANCH_DUPLICATE = 1,     /**< It was done: the result is in the view. */
    HF_BRANCH_EMPTY_ROLLBACK = 2 /**< Never tried: nothing to undo. Claim the guard all the same. */
};

/** How a branch is. */
enum {
    HF_BRANCH_NONE = 0,
    HF_BRANCH_TRYING = 1,
    HF_BRANCH_TRIED = 2,
    HF_BRANCH_TRY_FAILED = 3,
    HF_BRANCH_CONFIRMING = 4,
    HF_BRANCH_CONFIRMED = 5,
    HF_BRANCH_CANCELLING = 6,
    HF_BRANCH_CANCELLED = 7
};

/** What is known of a branch's try. */
enum {
    HF_TRY_NEVER = 0,  /**< None came. */
    HF_TRY_OPEN = 1,   /**< It is under way, or its lease has ended. */
    HF_TRY_DONE = 2,   /**< It succeeded. */
    HF_TRY_FAILED = 3, /**< It failed, and said so. */
    HF_TRY_UNKNOWN = 4 /**< It was cancelled before its end: ask your own database. */
};

/** Which phase of which branch. All zero but gid, branch, op and fingerprint is usual. */
typedef struct hf_branch_how {
    const char *gid; /**< The transaction: UTF-8; gid and branch 1 byte at least, 254 together. */
    const char *branch; /**< The part of it, likewise. */
    const char *step;   /**< What the branch does, at most 255 bytes; NULL = "". Compared. */
    int op;             /**< HF_BRANCH_TRY, ... */
    uint8_t fingerprint[HF_FINGERPRINT_BYTES]; /**< Of its arguments: the same for all phases. */
    uint64_t lease_ms;                         /**< 500 to 86,400,000; 0 = 30,000. */
    uint64_t retain_ms; /**< At least 60,000; 0 = 7 days. The first call's counts. */
} hf_branch_how;

/** A phase that was asked for. */
typedef struct hf_branch hf_branch;

/** What was answered. Strings and bytes are the handle's. */
typedef struct hf_branch_view {
    int verdict;            /**< HF_BRANCH_EXECUTE, ... */
    uint64_t fencing_token; /**< Of the phase: for the guard. */
    uint32_t attempt;       /**< At this phase; 0 = a DUPLICATE that does not tell. */
    int takeover;           /**< 1: an earlier attempt was begun, and may have done it. */
    int state;              /**< HF_BRANCH_TRYING, ... */
    int tried;              /**< HF_TRY_DONE, ... */
    int outcome;            /**< DUPLICATE: HF_DONE or HF_FAILED. */
    uint32_t code;          /**< DUPLICATE: as hf_branch_done() was told. */
    const void *body;       /**< Likewise; NULL if body_bytes is 0. */
    size_t body_bytes;      /**< Of it. */
    uint64_t done_at_ms;    /**< DUPLICATE: wall clock then, for people. */
} hf_branch_view;

/** Ask for a phase. Blocks.
 * \param how      borrowed until return.
 * \param branch   Out; owned, hf_branch_free() it before the client is closed. Only on HF_OK.
 * \param request  Out, may be NULL. Written only on HF_EUNKNOWN. A phase that was begun so and is
 *                 not asked for again by it lapses by its lease.
 * \retval HF_OK        see hf_branch_look().
 * \retval HF_ERUNNING  another attempt at this phase runs. Ask again later.
 * \retval HF_ENOTREADY, HF_ENOTRY  a confirm of what was not tried, or not well.
 * \retval HF_EDECIDED  it was decided the other way. \retval HF_EHANGING the try came too late.
 * \retval HF_EMISMATCH fingerprint or step is another one: another request. Nothing changed.
 * \retval HF_ELOST     the phase was begun, too long ago to be used. Ask anew.
 * \retval HF_EREPLYGONE a duplicate whose result is no longer kept.
 * \retval HF_EFROZEN, HF_EQUOTA, HF_ENOSPACE of a try: nothing changed. */
HF_API HF_NODISCARD int hf_branch_ask(hf_client *client, const hf_branch_how *how,
                                      hf_branch **branch, hf_request *request);
HF_API HF_NODISCARD int hf_branch_ask_async(hf_client *client, const hf_branch_how *how,
                                            hf_branch **branch, hf_request *request,
                                            hf_done_cb done_cb, void *data, hf_call *call);

/** What was answered; borrowed from the handle. Any thread. */
HF_API const hf_branch_view *hf_branch_look(const hf_branch *branch);

/** Is the phase's lease sure to last for need_ms? Local, as hf_record_valid(): call it right before
 * the local transaction is committed. NULL and what is not to be executed: 0. Any thread. */
HF_API int hf_branch_valid(const hf_branch *branch, uint64_t need_ms);

/** Milliseconds for which hf_branch_valid() would say yes. Any thread. */
HF_API uint64_t hf_branch_left_ms(const hf_branch *branch);

/** Say how the phase ended; also good after its lease, until somebody took over. Blocks.
 * \param outcome  HF_DONE; HF_FAILED: a try for good, a confirm or cancel until the next one;
 *                 HF_RETRYABLE: to be asked for again at once.
 * \param code     kept for DUPLICATE.
 * \param body     likewise, at most 65,536 bytes; borrowed until return; may be NULL.
 * \param body_bytes of it.
 * \param request  Out, may be NULL. Written only on HF_EUNKNOWN; without it the end is told again
 *                 in the background.
 * \retval HF_OK         it stands. \retval HF_ECONFLICT it ended with another result before.
 * \retval HF_ESTALE     a cancel or a takeover came first: the guard has refused your work.
 * \retval HF_EBADSTATE  the verdict was not HF_BRANCH_EXECUTE. \retval HF_ETOOLARGE the body. */
HF_API HF_NODISCARD int hf_branch_done(hf_branch *branch, int outcome, uint32_t code,
                                       const void *body, size_t body_bytes, hf_request *request);
HF_API HF_NODISCARD int hf_branch_done_async(hf_branch *branch, int outcome, uint32_t code,
                                             const void *body, size_t body_bytes,
                                             hf_request *request, hf_done_cb done_cb, void *data,
                                             hf_call *call);

/** Free it. A phase that was not said to be done is given back: somebody may take over at once.
 * NULL is accepted. */
HF_API void hf_branch_free(hf_branch *branch);

/** A branch. Strings are borrowed during the callback. */
typedef struct hf_branch_line {
    const char *gid;         /**< The transaction. */
    const char *branch;      /**< The part of it. */
    const char *step;        /**< What it does. */
    int state;               /**< HF_BRANCH_TRYING, ... */
    int lapsed;              /**< 1: its phase's lease is over: whoever asks next may take over. */
    int tried;               /**< HF_TRY_DONE, ... */
    uint64_t fencing_token;  /**< Of its last phase. */
    uint32_t attempt;        /**< At that phase. */
    uint32_t failed_count;   /**< How often that phase said that it failed. */
    uint32_t code;           /**< As it was told last. */
    uint64_t since_ms;       /**< Cluster time: in this state since. */
    uint64_t left_ms;        /**< Of the lease, or of the retention; 0 = nothing is counted. */
    const char *client_name; /**< Who asked last. */
    const char *peer;        /**< From where. */
} hf_branch_line;

/** Show branches by gid and branch: those that nobody ends are found here. Blocks.
 * \param prefix      of their gids; NULL or "" = all.
 * \param unfinished  1: those alone that are neither confirmed nor cancelled.
 * \param each_cb     called on this thread; non-0 stops.
 * \param data        handed to it.
 * \retval HF_EINVAL  the prefix is too long, or no UTF-8. */
HF_API HF_NODISCARD int hf_branch_list(hf_client *client, const char *prefix, int unfinished,
                                       int (*each_cb)(const hf_branch_line *line, void *data),
                                       void *data);
HF_API HF_NODISCARD int hf_branch_list_async(hf_client *client, const char *prefix, int unfinished,
                                             int (*each_cb)(const hf_branch_line *line, void *data),
                                             void *each_data, hf_done_cb done_cb, void *data,
                                             hf_call *call);

/** Show one branch. Blocks.
 * \param gid         the transaction, as in hf_branch_how.
 * \param branch      the part of it, likewise.
 * \param each_cb     called once on this thread; what it returns is not looked at.
 * \param data        handed to it.
 * \retval HF_ENOTFOUND none is stored under that name. \retval HF_EINVAL */
HF_API HF_NODISCARD int hf_branch_info(hf_client *client, const char *gid, const char *branch,
                                       int (*each_cb)(const hf_branch_line *line, void *data),
                                       void *data);
HF_API HF_NODISCARD int hf_branch_info_async(hf_client *client, const char *gid, const char *branch,
                                             int (*each_cb)(const hf_branch_line *line, void *data),
                                             void *each_data, hf_done_cb done_cb, void *data,
                                             hf_call *call);

#ifdef __cplusplus
}
#endif

#endif
