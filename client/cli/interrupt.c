/* See the header. A signal handler may not take the client's lock, so it writes to a pipe; a thread
 * reads there and cancels. It cancels again every second, as the verb may have been between two
 * calls the first time, and as a second time ends a call whose servers do not answer. */
#include "client/cli/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/thread.h"
#include "client/include/holdfast_async.h"

enum { AGAIN_MS = 1000, PIPE_READ = 0, PIPE_WRITE = 1 };

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static struct {
    hf_client *client;                            /* whose calls are cancelled; NULL = off */
    int fds[2];                                   /* a byte: a signal's number, 0 = the end */
    pthread_t thread;                             /* reads it */
    struct sigaction old[HF_ARRAY_COUNT(caught)]; /* to be put back */
} waiting;

static volatile sig_atomic_t seen; /* the first signal that came, or 0 */

static void on_signal(int number)
{
    int saved = errno;
    uint8_t byte = (uint8_t)number;
    if (seen == 0) seen = number;
    ssize_t ignored = write(waiting.fds[PIPE_WRITE], &byte, 1); /* full: it is awake */
    (void)ignored;
    errno = saved;
}

static void *cancel_calls(void *data)
{
    struct pollfd fd = {.fd = waiting.fds[PIPE_READ], .events = POLLIN};
    int pause_ms = -1;
    (void)data;
    for (;;) {
        uint8_t byte = 1;
        int rv = poll(&fd, 1, pause_ms);
        if (rv > 0 && read(fd.fd, &byte, 1) == 1 && byte == 0) return NULL;
        int cancelled = rv >= 0 ? hf_client_cancel(waiting.client) : HF_OK;
        (void)cancelled; /* the client is open, and ours */
        pause_ms = AGAIN_MS;
    }
}

void interrupt_begin(hf_client *client)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    HF_ASSERT(waiting.client == NULL);
    seen = 0;
    if (pipe(waiting.fds) != 0) return;
    for (int i = 0; i < 2; i++) (void)fcntl(waiting.fds[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(waiting.fds[PIPE_WRITE], F_SETFL, O_NONBLOCK);
    waiting.client = client;
    if (!thread_start(&waiting.thread, cancel_calls, NULL)) {
        waiting.client = NULL;
        for (int i = 0; i < 2; i++) (void)close(waiting.fds[i]);
        return;
    }
    for (size_t i = 0; i < HF_ARRAY_COUNT(caught); i++) {
        (void)sigaction(caught[i], NULL, &waiting.old[i]);
        if (waiting.old[i].sa_handler != SIG_IGN) (void)sigaction(caught[i], &act, NULL);
    }
}

int interrupt_signal(void)
{
    return seen;
}

int interrupt_end(void)
{
    uint8_t end = 0;
    if (waiting.client == NULL) return 0;
    for (size_t i = 0; i < HF_ARRAY_COUNT(caught); i++)
        (void)sigaction(caught[i], &waiting.old[i], NULL);
    (void)fcntl(waiting.fds[PIPE_WRITE], F_SETFL, 0); /* this byte must get there */
    while (write(waiting.fds[PIPE_WRITE], &end, 1) != 1) {
    }
    pthread_join(waiting.thread, NULL);
    for (int i = 0; i < 2; i++) (void)close(waiting.fds[i]);
    waiting.client = NULL;
    return seen;
}
