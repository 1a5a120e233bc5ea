/* holdfast.h: the client library of holdfast, leased locks with fencing tokens and idempotency
 * records. This header is the manual.
 *
 * WHAT IT IS
 *   A client (hf_client) talks to a cluster. Behind it stands one session: a lease that the library
 *   opens at the first call that needs it, renews in the background, and resumes over any
 *   connection. Many threads may share one client and its one connection; one I/O thread works
 *   under them. A lock handle (hf_lock) is an OWNER: two handles exclude each other, also in one
 *   process. A grant is one holding of a lock; a record (hf_record) is one attempt at a key.
 *
 * WHAT IT PROMISES, AND WHAT NOT
 *   A lock with a lease is not a mutex: a process that pauses goes on believing after its lease has
 *   ended. So (1) ask hf_grant_valid() right before every outside effect, and (2) send the fencing
 *   token with every write to the protected resource, which refuses a token below the greatest
 *   that it has seen. Only (2) is certain. A virtual machine restored from a snapshot may not see
 *   that time has passed: there (1) lies, and (2) still holds. */
#ifndef HOLDFAST_H
#define HOLDFAST_H

/* CALLS
 *   Every call that talks to a server BLOCKS its thread, at most for the client's timeout_ms (plus
 *   wait_ms where a call has one). All calls may be made from any thread; one handle (hf_lock,
 *   hf_record, hf_request) serves one thread at a time. Strings are UTF-8, NUL-terminated, borrowed
 *   until return. Outputs are written only on HF_OK unless said otherwise. holdfast_async.h has the
 *   same calls without waiting, and cancels one that waits; holdfast_lock.h has more of locks.
 *   After fork() the child's copies of all handles answer HF_ECLOSED at once: free them, or exec.
 * To free them sends nothing and leaves the parent's session alone; what the client held of memory
 *   stays allocated. A child that wants a client opens its own.
 *
 * ERRORS
 *   0 is HF_OK. hf_status_text() says what a number means; the enum below says what to do. One is
 *   special: HF_EUNKNOWN, "it may or may not have happened". Calls that may answer it take an
 *   hf_request: give one, and choose hf_request_retry() (asks again under the same number: the
 *   effect happens at most once) or hf_request_cancel(). Give NULL, and the library deals with what
 *   timed out by itself, in the background, until a server has answered or the session has ended:
 *   an acquire or a begin is cancelled and what it still brought is given back (HF_ETIMEOUT: no
 *   ghost holder stays behind), a release is repeated (HF_ETIMEOUT), everything else is repeated,
 *   too, but answers HF_EUNKNOWN, as its effect may come. */
#include <stddef.h>
#include <stdint.h>

#include "holdfast_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ================================================================== client */

typedef struct hf_client hf_client; /**< a connection to a cluster and a session; opaque */

/** What became of a grant or an attempt, told by lost_cb. */
typedef struct hf_loss {
    uint64_t fencing_token; /**< Which one. */
    int declared_locally;   /**< 1: the local deadline passed; 0: a server said so. */
    int reason;             /**< Server's word: 2 expired, 5 hold_max, 6 forced, ...; 0 local. */
} hf_loss;

/** A grant that an administrator asks back (hf_revoke(), `holdfast revoke`), told by asked_cb. Give
 * it back when the work is at a good place: at the end of its grace it is ended by force, or an
 * alarm is given, as the administrator chose. */
typedef struct hf_asked {
    uint64_t fencing_token; /**< Which one. */
    uint64_t left_ms;       /**< Of the grace at least, as this callback begins; 0 = it is over. */
} hf_asked;

/** A secret that providers' keys are derived under: the same bytes under an id everywhere. */
typedef struct hf_secret {
    const char *id;   /**< 1 to 64 bytes of UTF-8; stored with records, so no secret itself. */
    const void *key;  /**< Random bytes. */
    size_t key_bytes; /**< Of them, 16 to 256. */
} hf_secret;

/** Settings of a client; hf_options_init() fills in the defaults, then change what you need. */
typedef struct hf_options {
    const char *servers; /**< "host:port,host:port,..."; default: $HOLDFAST_SERVERS, else
                              "127.0.0.1:7420". Borrowed until hf_client_open() returns. */
    const char *name;    /**< For people, at most 255 bytes; default "PROGRAM@HOST:PID". */
    const void *meta;    /**< Up to 1,024 bytes shown beside the session; may be NULL. */
    size_t meta_bytes;   /**< Its length. */
    uint64_t ttl_ms;     /**< The session's lease, 500 to 3,600,000; default 10,000. */
    uint64_t timeout_ms; /**< How long a call may take beyond its wait_ms; 1 to 3,600,000,
                              default 10,000. */
    uint64_t margin_ms;  /**< Safety margin under a lease's local deadline; default 20. */
    uint32_t drift_ppm;  /**< How wrong this machine's clock rate may be; default 10,000 = 1 %. */
    uint64_t breaker_after_ms; /**< Refuse new work (acquire, begin, reads) with HF_EBREAKER when no
                                    server has answered, and calls have timed out, for so long; what
                                    frees, renews or finishes is always sent; any answer ends it;
                                    at most 86,400,000, default 5,000, 0 = never. */
    uint64_t
        breaker_open_ms; /**< Meanwhile admit one call so often; 1 to 3,600,000, default 1,000. */
    uint32_t retries_per_s; /**< How many requests of new work are repeated a second once 2,048
                               were; default 100, 0 = no limit. */
    int stale_reads; /**< 1: any server answers this client's looks and lists at once, as far as it
                          has come itself, also where no majority runs; what they show may be past.
                          hf_lock_check() is no such look. Default 0: what was answered before a
                          call is in its answer. */
    uint64_t progress_ms; /**< Renew only while hf_client_progress() is called at least so often; at
                               most 86,400,000; default 0 = renew as long as the process runs. */
    void (*lost_cb)(hf_client *client, const hf_loss *loss, void *data); /**< Called on the I/O
                                thread, once a token; must not block or call back; may be NULL. */
    void *lost_data;                                                     /**< Handed to lost_cb. */
    void (*asked_cb)(hf_client *client, const hf_asked *asked, void *data); /**< A grant is asked
                                back; likewise, once a token, from the first renewal that tells it
                                (every third of ttl_ms). A later word of the administrator changes
                                the time, and is not told again. May be NULL: nothing changes until
                                the grace is over. */
    void *asked_data;         /**< Handed to asked_cb. */
    const hf_secret *secrets; /**< Copied; the first is that of new records. Keep old ones as long
                                   as records name them. May be NULL. */
    size_t secret_count;      /**< Of them, at most 16. */
    const char *history_path; /**< For tests of a cluster: append what is asked and answered to this
                                   file, one line an operation, as docs/history-format.md says, for
                                   `holdfast-jepsen check`; NULL (default) = record nothing. Several
                                   clients and processes may share a file. It never holds a call
                                   up: if the disk is full or too slow the recording stops with a
                                   line in the log, and the client goes on. What waits in memory
                                   (8 MiB at most) is lost if the process is killed. Borrowed until
                                   hf_client_open() returns. */
} hf_options;

/** Fill `options` with the defaults above. */
HF_API void hf_options_init(hf_options *options);

/** Start a client: its I/O thread, not yet its session. Does not block.
 * \param options  borrowed; NULL = all defaults.
 * \param client   Out; owned: hf_client_close() it.
 * \retval HF_EINVAL a setting is out of its range; \retval HF_ENOMEM;
 * \retval HF_EIO no thread, or history_path cannot be appended to. */
HF_API HF_NODISCARD int hf_client_open(const hf_options *options, hf_client **client);

/** Cancel what is in flight, close the session (its grants are free at once), end the thread, free
 * all. Blocks at most timeout_ms; if no server answers, the session ends by its lease. Free locks,
 * records first; NULL is accepted. No other thread may be inside a call on this client. */
HF_API void hf_client_close(hf_client *client);

/** The session's id, or 0 while there is none. Any thread; does not block. */
HF_API uint64_t hf_client_session(const hf_client *client);

/** Say that the application works on. With options.progress_ms set, renewals stop when nobody has
 * said so for that long (counted from hf_client_open() at first): a process that hangs loses what
 * it holds, though its I/O thread runs. Grants become HF_GRANT_SUSPECT at half the lease and are
 * LOST, told and given back at their deadline; attempts with a lease of their own likewise. Other
 * calls go on, but do not renew. Said again, renewal goes on at once with what is not lost by then;
 * a session that has ended is replaced at the next call. Call it where the work is done, never from
 * a timer. Any thread, some nanoseconds. */
HF_API void hf_client_progress(hf_client *client);

/* ================================================================== requests of unknown outcome */

/** A request whose outcome is unknown. Zero it before use; it is filled only when a call answers
 * HF_EUNKNOWN, and is then good for one hf_request_retry() after another until that answers
 * something else, or for one hf_request_cancel(). */
typedef struct hf_request {
    hf_client *client; /**< The library's. */
    uint64_t id;       /**< The library's: which request of the client. */
} hf_request;

/** Ask again under the same number: if it was applied, this is its answer; if not, it is applied
 * now. Blocks up to timeout_ms. The outputs that the original call was given must still be there:
 * they are written on HF_OK.
 * \retval HF_EUNKNOWN still no answer: may be called again.
 * \retval others      the original call's answers; the request is over. */
HF_API HF_NODISCARD int hf_request_retry(hf_request *request);

/** End it: if it was never applied it never will be; a grant or attempt that it brought is given
 * back. A release is repeated instead: its grant has ended. Blocks up to timeout_ms.
 * \retval HF_OK       nothing of it stays; a grant that it brought is being given back.
 * \retval HF_EBADSTATE it was applied and cannot be undone (a release, a checkpoint, a completion):
 *                     hf_request_retry() instead would have brought its answer.
 * \retval HF_EUNKNOWN no answer yet; the library goes on by itself until it is answered or the
 *                     session has ended. The request is over for the caller. */
HF_API HF_NODISCARD int hf_request_cancel(hf_request *request);

/* ================================================================== locks */

typedef struct hf_lock hf_lock; /**< an owner: one user at a time; opaque */

/** One holding of a lock. A plain value; copies are equally good, until hf_client_close(). */
typedef struct hf_grant {
    uint64_t fencing_token; /**< Send with every write to the protected resource; only grows. */
    uint64_t lease_ms;      /**< Milliseconds left when the answer came; 0 = not known. */
    hf_client *client;      /**< The library's. */
    uint32_t slot;          /**< The library's. */
    uint32_t generation;    /**< The library's. */
} hf_grant;

enum hf_mode {
    HF_EXCLUSIVE = 0, /**< one holder; its token fences */
    HF_SHARED = 1,    /**< any number of holders; their tokens identify, they do not order */
    HF_PERMITS = 2    /**< some of a limit of units (a semaphore); tokens as of HF_SHARED */
};

enum hf_grant_state {
    HF_GRANT_HELD = 1,    /**< renewed lately */
    HF_GRANT_SUSPECT = 2, /**< not renewed for half the lease, or its deadline is not known yet */
    HF_GRANT_LOST = 3,    /**< the local deadline passed, or a server said so; never again HELD */
    HF_GRANT_ENDED = 4    /**< released, or the handle is gone */
};

/** How to acquire, beyond name and wait. Zero it, then set what you need. */
typedef struct hf_acquire {
    uint64_t wait_ms;     /**< 0 = try once; at most 86,400,000. */
    uint64_t hold_max_ms; /**< End the grant after this long; 0 = as long as the session lives. */
    uint64_t delay_ms;    /**< After an involuntary loss keep the lock closed so long; <= 60,000. */
    int mode;             /**< enum hf_mode. */
    int reentrant;        /**< 1: the same handle may acquire again; each needs its release. */
    const void *meta;     /**< Up to 1,024 bytes shown to whoever asks who holds it; may be NULL. */
    size_t meta_bytes;    /**< Its length. */
    uint32_t permits;     /**< HF_PERMITS: how many, 1 to limit; 0 = 1. Other modes: 0. */
    uint32_t limit;       /**< HF_PERMITS: how many there are, 1 to 1,000,000: the same for all who
                               ask for this name, else HF_ELIMIT. Other modes: 0. */
} hf_acquire;

/** Make an owner. Does not block. \param lock Out; owned: hf_lock_free() it.
 * \retval HF_ENOMEM */
HF_API HF_NODISCARD int hf_lock_new(hf_client *client, hf_lock **lock);

/** Release in the background what it still holds, cancel its acquires of unknown outcome (their
 * hf_request answers HF_EINVAL from now on), and free it. NULL is accepted. */
HF_API void hf_lock_free(hf_lock *lock);

/** Acquire `name` exclusively, waiting up to `wait_ms` if another owner holds it. Blocks.
 * \param lock     The owner; borrowed.
 * \param name     1 to 255 bytes of UTF-8.
 * \param wait_ms  0 = try once; at most 86,400,000.
 * \param grant    Out. Written only on HF_OK; must outlive `request`, if that was filled.
 * \param request  Out, may be NULL. Filled only on HF_EUNKNOWN.
 * \retval HF_OK           held until hf_lock_release(), or the session's or the hold's end.
 * \retval HF_EBUSY        another owner held it (wait_ms = 0). Nothing changed.
 * \retval HF_EWAITTIMEOUT wait_ms passed. Nothing changed.
 * \retval HF_EDELAYED     wait_ms = 0, and the lock-delay of a lost holder runs.
 * \retval HF_EALREADY     this handle holds it already.
 * \retval HF_EDEADLOCK    wait_ms > 0, and this handle holds what those wait for who stand in its
 *                         way. Nothing changed: release what it holds, then ask for all at once.
 * \retval HF_ESESSION     the session expired; all its locks are gone. Nothing was acquired.
 * \retval HF_ETIMEOUT     no answer in time (request = NULL): cancelled in the background.
 * \retval HF_ELOST        the answer came after the lease's local deadline: it is being given back.
 * \retval HF_EUNKNOWN     no answer in time: it may or may not be held; see hf_request.
 * \retval HF_ECONNECT, HF_EBREAKER, HF_ETOOBUSY, HF_EQUOTA, HF_ENOSPACE, HF_EFROZEN nothing
 * changed. \retval HF_EINVAL       an argument is out of its range; nothing was sent. */
HF_API HF_NODISCARD int hf_lock_acquire(hf_lock *lock, const char *name, uint64_t wait_ms,
                                        hf_grant *grant, hf_request *request);

/** As hf_lock_acquire(), with everything that can be chosen. \param how borrowed.
 * \note hold_max_ms counts from the grant. After a wait the library asks how much of it is left
 *       before it returns; if that takes too long, the grant comes back HF_GRANT_SUSPECT and is not
 *       valid until the answer is there.
 * \retval HF_ELIMIT    SHARED or PERMITS, and the name is in use with another limit; HF_SHARED
 *                      counts as one. Nothing changed: agree on one limit a name.
 * \retval as hf_lock_acquire() for the rest. holdfast_lock.h takes several names at once. */
HF_API HF_NODISCARD int hf_lock_acquire_with(hf_lock *lock, const char *name, const hf_acquire *how,
                                             hf_grant *grant, hf_request *request);

/** Give a grant back. Blocks.
 * \param request  Out, may be NULL: the library then repeats the release in the background until
 *                 it is answered or the session ends, and returns HF_ETIMEOUT.
 * \retval HF_OK    it was ours to the end; a waiter has it now.
 * \retval HF_ELOST, HF_ESTALE, HF_ENOTHELD, HF_ESESSION it was lost before: what was done under it
 *         is protected by its fencing token alone. */
HF_API HF_NODISCARD int hf_lock_release(hf_lock *lock, hf_grant *grant, hf_request *request);

/** Is it safe to begin an effect that takes up to `need_ms`? Local, some nanoseconds, any thread.
 * Reads CLOCK_BOOTTIME first, so that after a pause or a suspend it is 0 before any callback ran.
 * \return 1 valid for need_ms more; 0 not. */
HF_API int hf_grant_valid(const hf_grant *grant, uint64_t need_ms);

/** The grant's state as the library knows it now: enum hf_grant_state. Local, any thread. */
HF_API int hf_grant_state(const hf_grant *grant);

/** Milliseconds until the local deadline; 0 = passed, lost or ended. Local, any thread. */
HF_API uint64_t hf_grant_left_ms(const hf_grant *grant);

enum hf_check_verdict { HF_CHECK_VALID = 0, HF_CHECK_STALE = 1, HF_CHECK_FREE = 2 };

/** Ask the cluster whether a token is current: linearizable, and a hint: it may end right after.
 * \param name           1 to 255 bytes of UTF-8.
 * \param fencing_token  the one to ask about, 1 or more.
 * \param verdict        Out: enum hf_check_verdict.
 * \param lease_left_ms  Out, may be NULL.
 * \retval HF_OK the verdict is written. \retval as hf_lock_acquire() for the rest. */
HF_API HF_NODISCARD int hf_lock_check(hf_client *client, const char *name, uint64_t fencing_token,
                                      int *verdict, uint64_t *lease_left_ms);

/* ================================================================== records */

typedef struct hf_record hf_record; /**< one attempt at a key, or its replay; opaque */

enum {
    HF_FINGERPRINT_BYTES = 32,
    HF_BODY_BYTES_MAX = 65536,
    HF_HEADERS_BYTES_MAX = 8192,
    HF_CHECKPOINT_BYTES_MAX = 65536
};

enum hf_takeover {
    HF_TAKEOVER_AUTO = 0,   /**< the next caller takes over an attempt whose lease ended */
    HF_TAKEOVER_MANUAL = 1, /**< such an attempt becomes UNKNOWN until it is resolved */
    HF_TAKEOVER_NEVER = 2   /**< it becomes FAILED, or UNKNOWN if it ever made a mark */
};

enum hf_verdict {
    HF_STARTED = 0, /**< yours to run, for the first time or after RETRYABLE */
    HF_REPLAY = 1,  /**< done before: the stored result; do not run it */
    HF_TAKEOVER = 2 /**< yours to go on with, from the last checkpoint */
};

enum hf_outcome {
    HF_DONE = 2,     /**< final, and a success */
    HF_FAILED = 3,   /**< final, and a failure that every later caller shall see */
    HF_RETRYABLE = 4 /**< stores nothing; the next caller starts the next attempt */
};

enum hf_mark {
    HF_MARK_NONE = 0,   /**< no effect outside is open */
    HF_MARK_ONCE = 1,   /**< the next thing I do is an effect outside: if I die, it is UNKNOWN */
    HF_MARK_DERIVED = 2 /**< the same, under a derived key, so that it may be repeated */
};

/** How to begin. Zero it, set fingerprint, and what else you need. */
typedef struct hf_begin {
    uint8_t fingerprint[HF_FINGERPRINT_BYTES]; /**< Of the request: hf_fingerprint(). */
    uint64_t lease_ms;      /**< The attempt's own lease, 500 to 86,400,000; renewed by the library
                                 while the attempt is open; 0 = bound to the session. */
    uint64_t retain_ms;     /**< Keep the result so long; >= 60,000; 0 = 86,400,000. */
    uint64_t wait_ms;       /**< Wait for a running attempt to end; at most 86,400,000. */
    uint64_t born_ms;       /**< When the caller's request was made, ms since 1970; 0 = not told. */
    int takeover;           /**< enum hf_takeover, of the BEGIN that makes the record. */
    const char *secret_id;  /**< The secret that hf_record_derive() uses over all attempts, kept of
                                 the first BEGIN; NULL = the client's first, "" = none. */
    const char *guard_name; /**< Begin only while this lock is held ... */
    uint64_t guard_token;   /**< ... under this token; NULL and 0 = no guard. */
    const void *meta;       /**< Up to 1,024 bytes shown to whoever waits; may be NULL. */
    size_t meta_bytes;      /**< Its length. */
} hf_begin;

/** What is known of a record after hf_record_begin(). Bytes are borrowed from the record. */
typedef struct hf_record_view {
    int verdict;                 /**< enum hf_verdict. */
    uint64_t fencing_token;      /**< Of this attempt; 0 for a replay. */
    uint32_t attempt;            /**< 1 = the first. */
    const char *checkpoint;      /**< TAKEOVER and RETRYABLE: the last checkpoint's name, or "". */
    uint64_t checkpoint_number;  /**< Its number; 0 = there was none. */
    int external;                /**< Its mark, if still open: enum hf_mark. */
    const void *checkpoint_data; /**< Its data. */
    size_t checkpoint_bytes;     /**< The data's length. */
    int outcome;                 /**< REPLAY: enum hf_outcome. */
    uint32_t code;               /**< REPLAY: the result's code. */
    const void *headers;         /**< REPLAY. */
    size_t headers_bytes;        /**< Their length. */
    const void *body;            /**< REPLAY. */
    size_t body_bytes;           /**< Its length. */
    uint64_t done_at_ms;         /**< REPLAY: the cluster's wall clock then, ms since 1970. */
    const char *secret_id;       /**< The first BEGIN's; "" = none. */
    int body_kind;               /**< REPLAY: enum hf_body: whether `body` is the result's. */
} hf_record_view;

/** What a result's body is. Look at it before an empty body is taken for the result. */
enum hf_body {
    HF_BODY_WHOLE = 0,     /**< the result's */
    HF_BODY_OMITTED = 1,   /**< left out by whoever completed it, for its size */
    HF_BODY_REFERENCE = 2, /**< not the result's but where that stands */
    HF_BODY_GONE = 3       /**< REPLAY only: erased with the headers; it was done, as code says */
};

/** A result: what every later caller gets. */
typedef struct hf_result {
    uint32_t code;        /**< Yours: an exit code, an HTTP status, ... */
    const void *headers;  /**< At most 8,192 bytes; may be NULL. */
    size_t headers_bytes; /**< Their length. */
    const void *body;     /**< At most 65,536 bytes; may be NULL. */
    size_t body_bytes;    /**< Its length. */
    int body_kind;        /**< enum hf_body but GONE: hf_result_shortened() sets it. */
} hf_result;

/** Would hf_record_complete() take this result? Local, any thread.
 * \retval HF_OK it would. \retval HF_EINVAL never: body_kind does not go with the body.
 * \retval HF_ETOOLARGE headers or body are over their limits above: of a body,
 *                      hf_result_shortened() makes one that fits; headers are the caller's. */
HF_API HF_NODISCARD int hf_result_fits(const hf_result *result);

/** The way out of a body that is too large: the same code and headers, and instead of the body
 * where it stands (put it there first), or nothing. Later callers see which in body_kind.
 * \param reference  NUL-terminated, borrowed as long as the result is used; NULL or "" = omitted.
 */
HF_API hf_result hf_result_shortened(const hf_result *result, const char *reference);

/** SHA-256 of `bytes` bytes: the fingerprint of a request. Any thread.
 * \param out  Out. */
HF_API void hf_fingerprint(const void *data, size_t bytes, uint8_t out[HF_FINGERPRINT_BYTES]);

enum { HF_DERIVED_BYTES = 65 };

/** Derive the key under which a step of this record is sent to an outside provider, as its
 * idempotency key: the same over every attempt, takeover and machine. Local, any thread.
 * \param step  which effect ("charge"), 1 to 255 bytes of UTF-8: one key for each.
 * \param out   Out. 64 hexadecimal digits and a NUL.
 * \retval HF_ENOKEY the record names no secret, or one that this client was not given: send
 *                   nothing, hf_record_free() gives the attempt back. \retval HF_EINVAL */
HF_API HF_NODISCARD int hf_record_derive(const hf_record *record, const char *step,
                                         char out[HF_DERIVED_BYTES]);

/** The same for any record, to reconcile with a provider. \param secret_id as hf_record_line shows
 * it. \param key 1 to 255 bytes of UTF-8. \param step as above. \param out as above. \retval as
 * above. */
HF_API HF_NODISCARD int hf_derive(const hf_client *client, const char *secret_id, const char *key,
                                  const char *step, char out[HF_DERIVED_BYTES]);

/** Begin `key`: exactly one caller at a time runs it, everybody else gets its result. Blocks.
 * \param key      1 to 255 bytes of UTF-8.
 * \param how      borrowed.
 * \param record   Out; owned: hf_record_free() it. Look at hf_record_look()->verdict.
 * \param request  Out, may be NULL. Filled only on HF_EUNKNOWN.
 * \retval HF_OK             STARTED, TAKEOVER or REPLAY.
 * \retval HF_ERUNNING       another attempt runs, and did for all of wait_ms.
 * \retval HF_EMISMATCH      the key belongs to another request.
 * \retval HF_ERECORDUNKNOWN it must be resolved first.
 * \retval HF_EKEYEXPIRED, HF_EKEYTOOOLD do not run it.
 * \retval HF_ENOKEY secret_id is none of the client's secrets (of one that has any): not sent.
 * \retval HF_EGUARDSTALE    the guard's lock is no longer held under its token.
 * \retval as hf_lock_acquire() for the rest. */
HF_API HF_NODISCARD int hf_record_begin(hf_client *client, const char *key, const hf_begin *how,
                                        hf_record **record, hf_request *request);

/** What hf_record_begin() brought. Borrowed until hf_record_free(). */
HF_API const hf_record_view *hf_record_look(const hf_record *record);

/** Is it safe to begin an effect that takes up to `need_ms` under this attempt? As
 * hf_grant_valid(). 0 for a replay. */
HF_API int hf_record_valid(const hf_record *record, uint64_t need_ms);

/** The attempt's state: enum hf_grant_state; HF_GRANT_ENDED for a replay. Local. */
HF_API int hf_record_state(const hf_record *record);

/** Milliseconds until the attempt's local deadline. Local. */
HF_API uint64_t hf_record_left_ms(const hf_record *record);

/** Lengthen the attempt's own lease to `lease_ms` from now; never shortens. Blocks. The library
 * does it by itself for an attempt with its own lease. \retval HF_ESTALE taken over or ended. */
HF_API HF_NODISCARD int hf_record_extend(hf_record *record, uint64_t lease_ms, hf_request *request);

/** Say how far the attempt is. Blocks: it must be acknowledged BEFORE the effect that it announces.
 * \param name    up to 255 bytes of UTF-8, for people.
 * \param number  must rise from checkpoint to checkpoint of the key.
 * \param mark    enum hf_mark; stays open until a checkpoint with HF_MARK_NONE, or completion.
 * \param data    what a takeover needs to go on; NULL if `bytes` is 0.
 * \param bytes   of `data`, at most 65,536.
 * \retval HF_ESTALE taken over or ended: stop. \retval HF_ESEQOLD \retval HF_ETOOLARGE */
HF_API HF_NODISCARD int hf_record_checkpoint(hf_record *record, const char *name, uint64_t number,
                                             int mark, const void *data, size_t bytes,
                                             hf_request *request);

/** Finish the attempt. Blocks. Repeating it with the same result is HF_OK. It is sent also after
 * the attempt was declared lost: the servers decide whether a late completion stands (HF_OK) or
 * came too late (HF_ESTALE).
 * \param outcome  enum hf_outcome.
 * \param result   borrowed; NULL = code 0, nothing more.
 * \retval HF_ESTALE    taken over, resolved or ended; the late result was kept as evidence.
 * \retval HF_ECONFLICT completed before with another result, which stands.
 * \retval HF_ETOOLARGE nothing changed, the attempt goes on: hf_result_shortened(), and again. */
HF_API HF_NODISCARD int hf_record_complete(hf_record *record, int outcome, const hf_result *result,
                                           hf_request *request);

/** Free; an attempt that was not completed is given back as if its lease had ended (its takeover
 * policy and its marks decide what that means). NULL is accepted. */
HF_API void hf_record_free(hf_record *record);

/** Decide an UNKNOWN record, after having asked the provider. Blocks.
 * \param key            1 to 255 bytes of UTF-8.
 * \param outcome        enum hf_outcome.
 * \param fencing_token  of the attempt that is UNKNOWN (hf_record_list(), `holdfast record KEY`).
 * \param evidence       why it is known, at most 1,024 bytes, kept; may be NULL.
 * \param operator_name  who says so, 1 to 255 bytes.
 * \retval HF_ESTALE not that attempt, or not UNKNOWN. \retval HF_ENOTFOUND */
HF_API HF_NODISCARD int hf_record_resolve(hf_client *client, const char *key,
                                          uint64_t fencing_token, int outcome,
                                          const hf_result *result, const char *evidence,
                                          const char *operator_name, hf_request *request);

/** Let a FAILED record run again, also when only its tombstone is left: the next caller starts the
 * next attempt under the same fingerprint. Nothing reopens what was DONE. Blocks.
 * \param key            1 to 255 bytes of UTF-8.
 * \param fencing_token  of the attempt that failed, as seen (`holdfast record KEY`).
 * \param outcome        its outcome, as seen: HF_FAILED; HF_DONE is refused by the server.
 * \param reason         why, 1 to 1,024 bytes, kept. \param operator_name who, 1 to 255 bytes.
 * \retval HF_ESTALE    it is another attempt by now. \retval HF_EBADSTATE it is not FAILED;
 * \retval HF_ENOTFOUND nothing is stored; in all three nothing changed: look again. */
HF_API HF_NODISCARD int hf_record_reopen(hf_client *client, const char *key, uint64_t fencing_token,
                                         int outcome, const char *reason, const char *operator_name,
                                         hf_request *request);

/** Drop what a record that has ended may tell of a person: headers, body, meta, the checkpoint's
 * name, the evidence. Outcome, code, hashes and times stay, and it is not run again: later callers
 * get HF_REPLAY with HF_BODY_GONE. Repeating it changes nothing. Blocks.
 * \param key 1 to 255 bytes of UTF-8. \param reason why, 1 to 1,024 bytes, kept.
 * \param operator_name who, 1 to 255 bytes, kept.
 * \retval HF_EBADSTATE it has not ended: end it first. \retval HF_ENOTFOUND nothing is stored. */
HF_API HF_NODISCARD int hf_record_erase(hf_client *client, const char *key, const char *reason,
                                        const char *operator_name, hf_request *request);

/* ================================================================== looking */

/** A lock, as hf_lock_list() shows it. Strings are borrowed during the callback. */
typedef struct hf_lock_line {
    const char *name;        /**< The lock's. */
    int mode;                /**< enum hf_mode. */
    uint32_t holder_count;   /**< 0 = free (delayed, waited for, or lately lost). */
    uint32_t queue_length;   /**< Waiters. */
    uint64_t fencing_token;  /**< The first holder's, 0 = free. */
    uint64_t since_ms;       /**< Cluster time of that grant. */
    uint64_t lease_left_ms;  /**< A hint. */
    uint64_t delay_left_ms;  /**< Lock-delay still running. */
    uint32_t limit;          /**< How many permits there are; 0 = not in use as HF_PERMITS. */
    uint32_t units_taken;    /**< Permits, else holders. */
    uint32_t units_delayed;  /**< Permits of lost holders that are not back yet. */
    int frozen;              /**< 1: an administrator froze it: nothing is granted. */
    const char *client_name; /**< The holder's session's name. */
    const char *peer;        /**< The holder's address. */
} hf_lock_line;

/** A record, as hf_record_list() shows it. Strings are borrowed during the callback. */
typedef struct hf_record_line {
    const char *key;         /**< The record's. */
    const char *state;       /**< "RUNNING", "DONE", "FAILED", "RETRYABLE", "UNKNOWN", ... */
    uint64_t fencing_token;  /**< Of the latest attempt. */
    uint32_t attempt;        /**< 1 = the first. */
    uint32_t code;           /**< The result's. */
    uint64_t since_ms;       /**< Cluster time of the last change of state. */
    uint64_t left_ms;        /**< Lease or retention left. */
    int external;            /**< enum hf_mark, still open. */
    const char *checkpoint;  /**< The last one's name. */
    const char *client_name; /**< The attempt's session's name. */
    const char *peer;        /**< Its address. */
    const char *secret_id;   /**< For hf_derive(); "" = none. */
    const char *outcome;     /**< "DONE", "FAILED", of a tombstone too; else "". */
    int lapsed;              /**< 1: RUNNING past its lease; the next caller takes over. */
    const char *const *derived_keys; /**< hf_record_list_with(): a key for each step, "" where none
                                          can be derived; else NULL. */
} hf_record_line;

/** Show every lock whose name begins with `prefix` ("" = all), in order; reads page after page,
 * each linearizable by itself. Blocks. \param each_cb called on this thread; non-0 stops.
 * \retval as hf_lock_acquire() for what nothing came of. holdfast_lock.h has a list with filters.
 */
HF_API HF_NODISCARD int hf_lock_list(hf_client *client, const char *prefix,
                                     int (*each_cb)(const hf_lock_line *line, void *data),
                                     void *data);

/** Show one lock. \param name 1 to 255 bytes of UTF-8. \retval HF_ENOTFOUND it is free, and nothing
 * is remembered of it. hf_lock_look() of holdfast_lock.h shows all holders, the queue, the past. */
HF_API HF_NODISCARD int hf_lock_info(hf_client *client, const char *name,
                                     int (*each_cb)(const hf_lock_line *line, void *data),
                                     void *data);

/** Show every record whose key begins with `prefix`. \param state "" = any, or a word of
 * hf_record_line. \param older_than_ms only those unchanged for so long; 0 = all.
 * \retval as hf_lock_acquire() for what nothing came of. holdfast_record.h has a list with keys. */
HF_API HF_NODISCARD int hf_record_list(hf_client *client, const char *prefix, const char *state,
                                       uint64_t older_than_ms,
                                       int (*each_cb)(const hf_record_line *line, void *data),
                                       void *data);

/** Show one record. \param key 1 to 255 bytes of UTF-8. \retval HF_ENOTFOUND */
HF_API HF_NODISCARD int hf_record_info(hf_client *client, const char *key,
                                       int (*each_cb)(const hf_record_line *line, void *data),
                                       void *data);

#ifdef __cplusplus
}
#endif

#endif
