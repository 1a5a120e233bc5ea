/* What the public calls share: the client's struct, its lock, and how a call is begun and told.
 *
 * There is one path, the asynchronous one: shell_begin() encodes the request under the lock,
 * shell_submit() hands it to the core and, unless somebody is writing already, writes it to the
 * socket on the caller's thread (io.c). Whoever finds the call finished, in shell_leave(), fills
 * its outputs (take_cb, under the lock). Then it is told: a callback on the I/O thread, one after
 * the other and without the lock; or shell_wake(), which posts the semaphore of a thread that
 * sleeps in a blocking call. Every time-out is the core's: nobody else keeps time. */
#ifndef CLIENT_SHELL_H
#define CLIENT_SHELL_H

#include "client/include/holdfast_async.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/clock.h"
#include "base/status.h"
#include "client/core.h"
#include "client/secrets.h"

struct io;
struct history_file;

struct hf_client {
    struct core core;             /**< guarded by `lock`, but for the readers of its grants */
    pthread_mutex_t lock;         /**< held for the core and io's shared part */
    struct clock clock;           /**< CLOCK_BOOTTIME */
    struct io *io;                /**< the thread and its connection; owned */
    struct history_file *history; /**< what is recorded; owned; NULL = nothing */
    struct secrets secrets;       /**< never changed while it is open */
    uint32_t fork_count; /**< forks before it was opened: more, and this is a child's copy */
    uint64_t timeout_ms; /**< of a call */
    void (*lost_cb)(hf_client *client, const hf_loss *loss, void *data);    /**< or NULL */
    void *lost_data;                                                        /**< handed to it */
    void (*asked_cb)(hf_client *client, const hf_asked *asked, void *data); /**< or NULL */
    void *asked_data;                                                       /**< handed to it */
    struct list done;   /**< finished calls whose callbacks are to run; guarded by `lock` */
    struct list looks;  /**< reads of several pages under way, likewise (look.h) */
    uint64_t look_last; /**< the last one's number, likewise */
    bool telling;       /**< a callback runs; the I/O thread's */
};

/** One sleeping thread. */
struct waiter {
    sem_t sem;           /**< posted once its call is finished */
    int status;          /**< then: what the call answers */
    struct waiter *next; /**< in the chain to be posted after the lock was left */
};

/** Who is told how a call ended. */
struct ending {
    hf_done_cb done_cb;  /**< shell_wake, or the caller's, on the I/O thread */
    void *data;          /**< handed to it; of shell_wake: a struct waiter */
    hf_request *request; /**< filled if the outcome stays unknown; or NULL */
    hf_call *call;       /**< Out: names the call from its submission on; or NULL */
};

/** Forks of this process's ancestors since the library was first used. */
uint32_t shell_fork_count(void);

/** Lock the client. \retval HF_ECLOSED it belongs to a parent process: not locked. */
HF_MUST_USE
int shell_enter(hf_client *client);

/** Do what the core's calls brought about (write, arm the timer, wake callers), then unlock. */
void shell_leave(hf_client *client);

/** Begin a call: check the request's ranges, lock, encode.
 * \retval HF_OK locked, `call` is to be filled in and submitted. Everything else: not locked. */
HF_MUST_USE
int shell_begin(hf_client *client, uint16_t op, const void *request, struct call **call);

/** Submit it, and unlock. Its end is told at most wait_ms + the client's timeout_ms later, perhaps
 * before this returns.
 * \param to  borrowed. */
void shell_submit(hf_client *client, struct call *call, uint64_t wait_ms, const struct ending *to);

/** Begin and submit one that is asked again until it is answered, or held for `to->request`.
 * \param to  borrowed. \retval others it was not begun. */
HF_MUST_USE
int shell_act(hf_client *client, uint16_t op, const void *message, const struct ending *to);

/** The same for a held call that is asked again, or cancelled, by now. */
void shell_await(hf_client *client, struct call *call, const struct ending *to);

/** When a call that may take wait_ms shall give up. */
uint64_t shell_deadline(const hf_client *client, uint64_t wait_ms, uint64_t now_ns);

/** An ending's done_cb that wakes the thread which sleeps in shell_sleep(). */
void shell_wake(int status, void *waiter);

/** Before a blocking call. \retval HF_EINVAL  it would stop an I/O thread, which runs callbacks. */
HF_MUST_USE
int shell_may_sleep(struct waiter *waiter);

/** After one was begun with shell_wake: sleep until it has ended.
 * \param begun  HF_OK, or why it was not: then this returns it at once. \return what it answers. */
HF_MUST_USE
int shell_sleep(struct waiter *waiter, int begun);

/** This thread is a client's I/O thread. */
void shell_be_io_thread(void);

/** Run the callbacks of what has finished. The I/O thread; not locked. */
void shell_tell(hf_client *client);

/** Milliseconds of CLOCK_BOOTTIME as nanoseconds, now. */
static inline uint64_t shell_now(const hf_client *client)
{
    return clock_elapsed_ns(&client->clock);
}

/** The text as a slice; NULL is empty. */
static inline struct slice shell_text(const char *text)
{
    return text != NULL ? slice_of(text) : slice_make(NULL, 0);
}

#endif
