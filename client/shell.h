/* What the public calls share: the client's struct, its lock, and how a thread waits for a call.
 * A call's thread encodes its request under the lock and, unless somebody is writing already,
 * writes it to the socket itself (io.c); then it sleeps on a semaphore of its own until the I/O
 * thread has the verdict. Every time-out is the core's: nobody else keeps time. */
#ifndef CLIENT_SHELL_H
#define CLIENT_SHELL_H

#include "client/include/holdfast.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/clock.h"
#include "base/status.h"
#include "client/core.h"

struct io;
struct history_file;

struct hf_client {
    struct core core;             /**< guarded by `lock`, but for the readers of its grants */
    pthread_mutex_t lock;         /**< held for the core and io's shared part */
    struct clock clock;           /**< CLOCK_BOOTTIME */
    struct io *io;                /**< the thread and its connection; owned */
    struct history_file *history; /**< what is recorded; owned; NULL = nothing */
    uint32_t fork_count; /**< forks before it was opened: more, and this is a child's copy */
    uint64_t timeout_ms; /**< of a call */
    void (*lost_cb)(hf_client *client, const hf_loss *loss, void *data); /**< or NULL */
    void *lost_data;                                                     /**< handed to it */
};

/** One sleeping thread. */
struct waiter {
    sem_t sem;           /**< posted once its call is finished */
    struct waiter *next; /**< in the chain to be posted after the lock was left */
};

/** Forks of this process's ancestors since the library was first used. */
uint32_t shell_fork_count(void);

/** Lock the client. \retval HF_ECLOSED it belongs to a parent process: not locked. */
HF_MUST_USE
int shell_enter(hf_client *client);

/** Do what the core's calls brought about (write, arm the timer, wake callers), then unlock. */
void shell_leave(hf_client *client);

/** Begin a call: check the request's ranges, lock, encode.
 * \retval HF_OK locked, `call` is to be filled in and run. Everything else: not locked. */
HF_MUST_USE
int shell_begin(hf_client *client, uint16_t op, const void *request, struct call **call);

/** Submit it and sleep until its verdict, at most wait_ms + the client's timeout_ms. Enters and
 * returns locked. \return the verdict. */
HF_MUST_USE
int shell_run(hf_client *client, struct call *call, uint64_t wait_ms);

/** Sleep until a call that was submitted, retried or cancelled is finished. Enters and returns
 * locked. \return the verdict. */
HF_MUST_USE
int shell_wait(hf_client *client, struct call *call);

/** When a call that may take wait_ms shall give up. */
uint64_t shell_deadline(const hf_client *client, uint64_t wait_ms, uint64_t now_ns);

/** Look at the call no more, and unlock. Fills `request` if its fate is to be held.
 * \return `verdict`. */
HF_MUST_USE
int shell_end(hf_client *client, struct call *call, int verdict, hf_request *request);

/** Milliseconds of CLOCK_BOOTTIME as nanoseconds, now. */
static inline uint64_t shell_now(const hf_client *client)
{
    return clock_elapsed_ns(&client->clock);
}

/** What hf_request_retry() does with a finished call: fill the outputs that it was given. */
HF_MUST_USE
int lock_take(struct call *call, int verdict);
/** Likewise, for BEGIN. */
HF_MUST_USE
int record_take(struct call *call, int verdict);

/** The text as a slice; NULL is empty. */
static inline struct slice shell_text(const char *text)
{
    return text != NULL ? slice_of(text) : slice_make(NULL, 0);
}

#endif
