/* See the header. Between fork() and execvp() only calls that a signal handler may make: other
 * threads ran when we forked. */
#include "client/cli/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

enum { END_READ, END_WRITE, NOT_RUN_CODE = 127 };

static int open_ends(int ends[2])
{
    if (pipe(ends) != 0) return errno;
    (void)fcntl(ends[END_READ], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[END_WRITE], F_SETFD, FD_CLOEXEC);
    return 0;
}

static void close_ends(const int ends[2])
{
    (void)close(ends[END_READ]);
    (void)close(ends[END_WRITE]);
}

/* One byte, or the other end is closed. */
static bool read_byte(int fd)
{
    uint8_t byte;
    ssize_t got;
    while ((got = read(fd, &byte, 1)) < 0 && errno == EINTR) {
    }
    return got == 1;
}

static _Noreturn void stand(char *const command[], int go, int failed, int out,
                            const sigset_t *defaults)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;
    (void)setpgid(0, 0);
    if (out >= 0 && dup2(out, STDOUT_FILENO) < 0) _exit(NOT_RUN_CODE);
    if (!read_byte(go)) _exit(NOT_RUN_CODE);
    for (int number = 1; number < NSIG; number++) {
        if (sigismember(defaults, number) == 1) (void)sigaction(number, &plain, NULL);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execvp(command[0], command);
    int error = errno;
    ssize_t ignored = write(failed, &error, sizeof error);
    (void)ignored;
    _exit(NOT_RUN_CODE);
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

int gate_start(struct gate *g, char *const command[], int out, const sigset_t *defaults)
{
    int go[2];
    int failed[2];
    HF_ASSERT(command[0] != NULL);
    int rv = open_ends(go);
    if (rv != 0) return rv;
    rv = open_ends(failed);
    if (rv != 0) {
        close_ends(go);
        return rv;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(go[END_WRITE]); /* else our death would not be its end of file */
        stand(command, go[END_READ], failed[END_WRITE], out, defaults);
    }
    rv = pid < 0 ? errno : 0;
    (void)close(go[END_READ]);
    (void)close(failed[END_WRITE]);
    *g = (struct gate){.pid = pid, .go = go[END_WRITE], .failed = failed[END_READ]};
    if (rv != 0) {
        (void)close(g->go);
        (void)close(g->failed);
        return rv;
    }
    (void)setpgid(pid, pid); /* it does the same: whoever comes first */
    return 0;
}

int gate_open(struct gate *g)
{
    uint8_t byte = 1;
    int error = 0;
    ssize_t got;
    ssize_t ignored = write(g->go, &byte, 1); /* if it is gone already, it ended like a command */
    (void)ignored;
    (void)close(g->go);
    while ((got = read(g->failed, &error, sizeof error)) < 0 && errno == EINTR) {
    }
    (void)close(g->failed);
    if (got != (ssize_t)sizeof error) return 0;
    reap(g->pid);
    return error;
}

void gate_close(struct gate *g)
{
    (void)close(g->go);
    (void)close(g->failed);
    reap(g->pid);
}
