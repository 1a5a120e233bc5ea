/* Entering and leaving the client, and telling how its calls ended; see shell.h. */
#include "client/shell.h"

#include <errno.h>
#include <stdatomic.h>

#include "client/io.h"

/* The one thing that is the process's and not a client's: how often it was forked. A pid would not
 * do, as they are used again. */
static _Atomic uint32_t fork_count;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* On an I/O thread: 1 + the forks when it was started. A blocking call there would wait for itself;
 * a child that a callback forked has no such thread. */
static _Thread_local uint32_t io_thread;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&fork_count, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    int rv = pthread_atfork(NULL, NULL, count_fork);
    HF_ASSERT(rv == 0);
}

uint32_t shell_fork_count(void)
{
    pthread_once(&fork_once, watch_forks);
    return atomic_load_explicit(&fork_count, memory_order_relaxed);
}

void shell_be_io_thread(void)
{
    io_thread = shell_fork_count() + 1;
}

int shell_enter(hf_client *client)
{
    if (client->fork_count != shell_fork_count()) return HF_ECLOSED;
    pthread_mutex_lock(&client->lock);
    return HF_OK;
}

/* Under the lock: fill the outputs; then it is a thread's to be woken, or the I/O thread's. */
static void finish(hf_client *client, struct call *call, struct waiter **chain)
{
    int status = call->take_cb != NULL ? call->take_cb(call, call->verdict) : call->verdict;
    if (call->held && call->request != NULL)
        *(hf_request *)call->request = (hf_request){client, call->id};
    call->verdict = status;
    if (call->done_cb != shell_wake) {
        list_push_back(&client->done, &call->done_link);
        return;
    }
    struct waiter *waiter = call->waiter;
    call->waiter = NULL;
    waiter->status = status;
    waiter->next = *chain;
    *chain = waiter;
    core_detach(&client->core, call);
}

void shell_leave(hf_client *client)
{
    struct waiter *chain = NULL;
    io_follow(client->io);
    for (struct call *call; (call = core_take_finished(&client->core)) != NULL;)
        finish(client, call, &chain);
    bool any = !list_empty(&client->done);
    bool own = io_is_own(client->io);
    if (any && !own) io_wake(client->io);
    pthread_mutex_unlock(&client->lock);
    while (chain != NULL) { /* once posted, its memory may be gone */
        struct waiter *next = chain->next;
        sem_post(&chain->sem);
        chain = next;
    }
    if (any && own) shell_tell(client);
}

void shell_tell(hf_client *client)
{
    if (client->telling) return; /* a callback made a call: the loop below comes to it */
    client->telling = true;
    pthread_mutex_lock(&client->lock);
    while (!list_empty(&client->done)) {
        struct call *call = HF_CONTAINER_OF(client->done.next, struct call, done_link);
        hf_done_cb done_cb = call->done_cb;
        void *data = call->waiter;
        int status = call->verdict;
        core_detach(&client->core, call); /* before, so that the callback may retry it */
        pthread_mutex_unlock(&client->lock);
        done_cb(status, data);
        pthread_mutex_lock(&client->lock);
    }
    pthread_mutex_unlock(&client->lock);
    client->telling = false;
}

int shell_begin(hf_client *client, uint16_t op, const void *request, struct call **call)
{
    const struct op_info *info = op_find(op);
    const char *sentence;
    HF_ASSERT(info != NULL);
    int rv = codec_check(info->request, request);
    if (rv == HF_OK) rv = op_check(op, request, &sentence);
    if (rv != HF_OK) return rv == HF_ETOOLARGE ? HF_ETOOLARGE : HF_EINVAL;
    rv = shell_enter(client);
    if (rv != HF_OK) return rv;
    rv = client->core.closing ? HF_ECLOSED : HF_OK;
    if (rv == HF_OK && !core_admits(&client->core, op, request, shell_now(client)))
        rv = HF_EBREAKER;
    if (rv == HF_OK) rv = core_call_new(&client->core, op, request, call);
    if (rv != HF_OK) pthread_mutex_unlock(&client->lock);
    return rv;
}

uint64_t shell_deadline(const hf_client *client, uint64_t wait_ms, uint64_t now_ns)
{
    return now_ns + (wait_ms + client->timeout_ms) * 1000000;
}

static void address(hf_client *client, struct call *call, const struct ending *to)
{
    HF_ASSERT(to->done_cb != NULL);
    call->done_cb = to->done_cb;
    call->waiter = to->data;
    call->request = to->request;
    if (to->call != NULL) *to->call = (hf_call){client, call->id};
}

void shell_submit(hf_client *client, struct call *call, uint64_t wait_ms, const struct ending *to)
{
    uint64_t now_ns = shell_now(client);
    address(client, call, to);
    core_submit(&client->core, call, shell_deadline(client, wait_ms, now_ns), now_ns);
    shell_leave(client);
}

int shell_act(hf_client *client, uint16_t op, const void *message, const struct ending *to)
{
    struct call *call;
    int rv = shell_begin(client, op, message, &call);
    if (rv != HF_OK) return rv;
    call->fate = to->request != NULL ? FATE_HOLD : FATE_REPEAT;
    shell_submit(client, call, 0, to);
    return HF_OK;
}

void shell_await(hf_client *client, struct call *call, const struct ending *to)
{
    address(client, call, to);
    shell_leave(client);
}

/* ------------------------------------------------------------------ threads that sleep */

void shell_wake(int status, void *waiter)
{
    (void)status; /* finish() knows this callback: it is never run, its waiter is posted */
    (void)waiter;
    HF_UNREACHABLE();
}

static bool is_io_thread(void)
{
    return io_thread == shell_fork_count() + 1;
}

int shell_may_sleep(struct waiter *waiter)
{
    if (is_io_thread()) return HF_EINVAL;
    *waiter = (struct waiter){.status = HF_OK};
    int rv = sem_init(&waiter->sem, 0, 0);
    HF_ASSERT(rv == 0);
    return HF_OK;
}

int shell_sleep(struct waiter *waiter, int begun)
{
    while (begun == HF_OK && sem_wait(&waiter->sem) != 0) HF_ASSERT(errno == EINTR);
    sem_destroy(&waiter->sem);
    return begun == HF_OK ? waiter->status : begun;
}
