#define _GNU_SOURCE /* pipe2 */
#include "jepsen/run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "jepsen/journal.h"
#include "jepsen/run/net.h"

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    stopping = number;
}

void child_catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < HF_ARRAY_COUNT(numbers); i++) sigaction(numbers[i], &action, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

int child_stopping(void)
{
    return stopping;
}

void child_sleep_ms(uint64_t ms)
{
    uint64_t until = journal_now_ns() + ms * 1000000U;
    while (stopping == 0) {
        uint64_t now = journal_now_ns();
        if (now >= until) return;
        (void)poll(NULL, 0, (int)((until - now) / 1000000U) + 1);
    }
}

void *child_share(size_t bytes)
{
    /* cppcheck-suppress invalidFunctionArg ; -1 goes with MAP_ANONYMOUS */
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    return memory;
}

/* ------------------------------------------------------------------ starting */

static void restore_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < HF_ARRAY_COUNT(numbers); i++) sigaction(numbers[i], &action, NULL);
}

/* Between fork and the child's own work: whatever fails here ends it with 126. */
static bool settle(const struct child *c, pid_t parent)
{
    struct rlimit cores = {RLIM_INFINITY, RLIM_INFINITY};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) return false; /* it died before the line above */
    setpgid(0, 0);
    restore_signals();
    setrlimit(RLIMIT_CORE, &cores); /* a core file is looked for at the end */
    if (c->network >= 0 && !net_join(c->network)) return false;
    if (c->own_shm && !net_own_shm()) return false;
    if (c->log != NULL) {
        int fd = open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) return false;
    }
    if (c->folder != NULL && chdir(c->folder) != 0) return false;
    for (size_t i = 0; c->environment != NULL && c->environment[i] != NULL; i++) {
        if (putenv((char *)c->environment[i]) != 0) return false;
    }
    return true;
}

pid_t child_start(const struct child *c)
{
    HF_ASSERT((c->arguments == NULL) != (c->body == NULL));
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0) return pid;
    if (!settle(c, parent)) _exit(126);
    if (c->body != NULL) {
        int code = c->body(c->data);
        fflush(NULL);
        _exit(code);
    }
    execvp(c->arguments[0], (char *const *)c->arguments);
    fprintf(stderr, "cannot execute %s\n", c->arguments[0]);
    _exit(127);
}

/* ------------------------------------------------------------------ ending */

void child_kill(pid_t pid)
{
    HF_ASSERT(pid > 0);
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

bool child_wait(pid_t pid, uint64_t ms, int *status)
{
    uint64_t until = journal_now_ns() + ms * 1000000U;
    for (;;) {
        pid_t got = waitpid(pid, status, WNOHANG);
        if (got == pid) return true;
        if (journal_now_ns() >= until) return false;
        (void)poll(NULL, 0, 5);
    }
}

const char *child_end_text(int status, char out[32])
{
    if (WIFEXITED(status))
        snprintf(out, 32, "code %d", WEXITSTATUS(status));
    else
        snprintf(out, 32, "signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return out;
}

/* ------------------------------------------------------------------ tools */

struct tool {
    const char *const *arguments;
    int in, out; /* ends of its pipes */
};

static int become_tool(void *data)
{
    const struct tool *t = data;
    if (dup2(t->in, STDIN_FILENO) < 0 || dup2(t->out, STDERR_FILENO) < 0) return 126;
    execvp(t->arguments[0], (char *const *)t->arguments);
    fprintf(stderr, "cannot execute %s: %s", t->arguments[0],
            errno == ENOENT ? "it is not installed" : "it is not allowed");
    return 127;
}

/* Both ends of the tool's pipes; the input must fit a pipe, as rules do. */
static bool talk(struct tool *t, int network, const char *input, char *complaint)
{
    int in[2], out[2], status = 0;
    if (pipe2(in, O_CLOEXEC) != 0) return false;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    t->in = in[0];
    t->out = out[1];
    struct child c = {.body = become_tool, .data = t, .network = network};
    pid_t pid = child_start(&c);
    close(in[0]);
    close(out[1]);
    size_t size = input != NULL ? strlen(input) : 0, used = 0;
    bool good = pid > 0 && write(in[1], input, size) == (ssize_t)size;
    close(in[1]);
    while (used < CHILD_COMPLAINT_BYTES - 1) {
        ssize_t got = read(out[0], complaint + used, CHILD_COMPLAINT_BYTES - 1 - used);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        used += (size_t)got;
    }
    complaint[used] = '\0';
    close(out[0]);
    if (pid > 0 && !child_wait(pid, 10000, &status)) {
        child_kill(pid);
        return false;
    }
    return good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool child_tool(const char *const *arguments, int network, const char *input, char *complaint)
{
    struct tool t = {.arguments = arguments};
    complaint[0] = '\0';
    bool good = talk(&t, network, input, complaint);
    complaint[strcspn(complaint, "\n")] = '\0';
    if (!good && complaint[0] == '\0')
        snprintf(complaint, CHILD_COMPLAINT_BYTES, "%s did not do its work", arguments[0]);
    return good;
}
