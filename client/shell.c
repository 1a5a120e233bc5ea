/* Entering and leaving the client, and sleeping for a call; see shell.h. */
#include "client/shell.h"

#include <errno.h>
#include <stdatomic.h>

#include "client/io.h"

/* The one thing that is the process's and not a client's: how often it was forked. A pid would not
 * do, as they are used again. */
static _Atomic uint32_t fork_count;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

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

int shell_enter(hf_client *client)
{
    if (client->fork_count != shell_fork_count()) return HF_ECLOSED;
    pthread_mutex_lock(&client->lock);
    return HF_OK;
}

void shell_leave(hf_client *client)
{
    struct waiter *chain = NULL;
    io_follow(client->io);
    for (struct call *call; (call = core_take_finished(&client->core)) != NULL;) {
        struct waiter *waiter = call->waiter;
        call->waiter = NULL;
        if (waiter == NULL) continue;
        waiter->next = chain;
        chain = waiter;
    }
    pthread_mutex_unlock(&client->lock);
    while (chain != NULL) { /* once posted, its memory may be gone */
        struct waiter *next = chain->next;
        sem_post(&chain->sem);
        chain = next;
    }
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
    rv = client->core.closing ? HF_ECLOSED : core_call_new(&client->core, op, request, call);
    if (rv != HF_OK) pthread_mutex_unlock(&client->lock);
    return rv;
}

static void sleep_until_posted(struct waiter *waiter)
{
    while (sem_wait(&waiter->sem) != 0) HF_ASSERT(errno == EINTR);
    sem_destroy(&waiter->sem);
}

int shell_wait(hf_client *client, struct call *call)
{
    struct waiter waiter = {.next = NULL};
    int rv = sem_init(&waiter.sem, 0, 0);
    HF_ASSERT(rv == 0);
    call->waiter = &waiter;
    shell_leave(client);
    sleep_until_posted(&waiter);
    pthread_mutex_lock(&client->lock);
    return call->verdict;
}

uint64_t shell_deadline(const hf_client *client, uint64_t wait_ms, uint64_t now_ns)
{
    return now_ns + (wait_ms + client->timeout_ms) * 1000000;
}

int shell_run(hf_client *client, struct call *call, uint64_t wait_ms)
{
    uint64_t now_ns = shell_now(client);
    core_submit(&client->core, call, shell_deadline(client, wait_ms, now_ns), now_ns);
    return shell_wait(client, call);
}

int shell_end(hf_client *client, struct call *call, int verdict, hf_request *request)
{
    if (call->held && request != NULL) *request = (hf_request){client, call->id};
    core_detach(&client->core, call);
    pthread_mutex_unlock(&client->lock);
    return verdict;
}
