/* See the header. One thread, one poll() on two descriptors: a pipe that signal handlers and
 * run_wake() write to (a byte is a signal's number, 0 = look at the lease) and the command's
 * standard output. */
#include "client/cli/run_command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"
#include "client/cli/gate.h"
#include "client/cli/warden.h"

/* Passed on to the command, unless we were started with them ignored (nohup). */
static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

/* A pipe that poll() calls writable takes so much without blocking, so that a slow reader of our
 * output does not keep us from watching the lease. */
enum { PENDING_BYTES = 4096 };
_Static_assert(PENDING_BYTES <= PIPE_BUF, "written at once");

enum { PASSED_COUNT = HF_ARRAY_COUNT(passed_on), PIPE_READ = 0, PIPE_WRITE = 1 };

/* Opened by the first run and never closed: a late run_wake() must not hit another's descriptor. */
static int wake[2] = {-1, -1};
static _Atomic int wake_fd = -1; /* wake[PIPE_WRITE] once that is open */

struct run {
    const struct run_order *order;
    struct run_result *result;
    pid_t pid;       /* the command's, and its group's */
    int out;         /* the command's standard output; -1 = closed or not captured */
    bool ended;      /* the leader has ended, and was not waited for yet */
    bool killed;     /* KILL was sent */
    bool foreground; /* the terminal's foreground was ours and is the command's now */
    bool out_broken; /* our standard output takes no more; the capture goes on */
    uint8_t pending[PENDING_BYTES];     /* read, and not shown yet */
    size_t pending_at;                  /* first byte of it */
    size_t pending_end;                 /* behind its last byte */
    struct warden warden;               /* watches in our stead if we cannot */
    struct sigaction old[PASSED_COUNT]; /* to be put back */
    struct sigaction old_child;         /* likewise */
    struct sigaction old_pipe;          /* likewise */
    struct sigaction old_ttou;          /* likewise */
};

static void on_signal(int number)
{
    int saved = errno;
    uint8_t byte = (uint8_t)number;
    ssize_t ignored = write(wake_fd, &byte, 1); /* a full pipe wakes as well */
    (void)ignored;
    errno = saved;
}

void run_wake(void)
{
    if (wake_fd >= 0) on_signal(0);
}

uint64_t run_term_left_ms(uint64_t lease_ms)
{
    uint64_t left = lease_ms / 5;
    if (left < RUN_TERM_LEFT_MS_MIN) left = RUN_TERM_LEFT_MS_MIN;
    return left < RUN_TERM_LEFT_MS_MAX ? left : RUN_TERM_LEFT_MS_MAX;
}

/* ------------------------------------------------------------------ before and after */

static int open_pipe(int fds[2], bool nonblocking)
{
    if (pipe(fds) != 0) return errno;
    for (int i = 0; i < 2; i++) {
        (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        if (nonblocking) (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

static int open_wake(void)
{
    if (wake[PIPE_READ] >= 0) return 0;
    int rv = open_pipe(wake, true);
    if (rv == 0) wake_fd = wake[PIPE_WRITE];
    return rv;
}

static void catch_signals(struct run *r)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction caught = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    for (int i = 0; i < PASSED_COUNT; i++) {
        (void)sigaction(passed_on[i], NULL, &r->old[i]);
        if (r->old[i].sa_handler != SIG_IGN) (void)sigaction(passed_on[i], &caught, NULL);
    }
    (void)sigaction(SIGCHLD, &caught, &r->old_child);
    (void)sigaction(SIGPIPE, &ignore, &r->old_pipe); /* a reader that left must not end the work */
    (void)sigaction(SIGTTOU, &ignore, &r->old_ttou); /* we may act from the background */
}

static void restore_signals(struct run *r)
{
    for (int i = 0; i < PASSED_COUNT; i++) (void)sigaction(passed_on[i], &r->old[i], NULL);
    (void)sigaction(SIGCHLD, &r->old_child, NULL);
    (void)sigaction(SIGPIPE, &r->old_pipe, NULL);
    (void)sigaction(SIGTTOU, &r->old_ttou, NULL);
}

/* The signals that the command must find as we found them: exec resets those with a handler, those
 * that we ignore have to be named. */
static sigset_t defaults(const struct run *r)
{
    sigset_t set;
    (void)sigemptyset(&set);
    if (r->old_pipe.sa_handler != SIG_IGN) (void)sigaddset(&set, SIGPIPE);
    if (r->old_ttou.sa_handler != SIG_IGN) (void)sigaddset(&set, SIGTTOU);
    return set;
}

/* Start it as the leader of its own group; the warden knows of it before it runs. */
static int start(struct run *r, const int out[2])
{
    struct gate gate;
    sigset_t set = defaults(r);
    char token[24];
    (void)snprintf(token, sizeof token, "%" PRIu64, r->order->token);
    if (setenv("HOLDFAST_TOKEN", token, 1) != 0) return errno;
    const char *derived = r->order->derived_key; /* one of ours that we inherited is another's */
    int set_rv = derived != NULL ? setenv("HOLDFAST_DERIVED_KEY", derived, 1)
                                 : unsetenv("HOLDFAST_DERIVED_KEY");
    if (set_rv != 0) return errno;
    int rv = gate_start(&gate, r->order->command, out[PIPE_WRITE], &set);
    if (rv != 0) return rv;
    r->pid = gate.pid;
    if (r->order->left_ms != NULL) {
        warden_tell(&r->warden, r->pid, r->order->left_ms(r->order->data));
    }
    return gate_open(&gate);
}

/* At a terminal the command gets the foreground, so that it can read, and so that ^C is its own. */
static void give_terminal(struct run *r)
{
    if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp()) return;
    r->foreground = tcsetpgrp(STDIN_FILENO, r->pid) == 0;
}

static void take_terminal(struct run *r)
{
    if (r->foreground) (void)tcsetpgrp(STDIN_FILENO, getpgrp());
}

/* ------------------------------------------------------------------ while it runs */

static void signal_group(struct run *r, int number)
{
    (void)kill(-r->pid, number);
}

/* Act on what is left of the lease. \return milliseconds until it must be looked at again. */
static int watch(struct run *r)
{
    if (r->order->left_ms == NULL || r->killed) return -1;
    uint64_t left = r->order->left_ms(r->order->data);
    uint64_t term_left = run_term_left_ms(r->order->lease_ms);
    warden_tell(&r->warden, r->pid, left);
    if (left <= RUN_KILL_LEFT_MS) {
        signal_group(r, SIGKILL);
        r->killed = true;
        r->result->stopped = true;
        return -1;
    }
    bool gives_back = r->order->gives_back != NULL && r->order->gives_back(r->order->data);
    if ((left <= term_left || gives_back) && !r->result->stopped) {
        signal_group(r, SIGTERM);
        signal_group(r, SIGCONT); /* a stopped one could not act on it */
        r->result->stopped = true;
        r->result->given_back = left > term_left;
    }
    uint64_t next = r->result->stopped ? RUN_KILL_LEFT_MS : term_left;
    uint64_t wait = left > next ? left - next : 1;
    return wait < 1000 ? (int)wait : 1000;
}

static void take_signals(struct run *r)
{
    uint8_t bytes[64];
    ssize_t size = read(wake[PIPE_READ], bytes, sizeof bytes);
    for (ssize_t i = 0; i < size; i++) {
        if (bytes[i] != 0 && bytes[i] != SIGCHLD) signal_group(r, bytes[i]);
    }
}

/* Take what came, and keep what fits. */
static void take_output(struct run *r)
{
    struct buffer *b = r->order->capture;
    ssize_t size = read(r->out, r->pending, sizeof r->pending);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (size <= 0) {
        (void)close(r->out);
        r->out = -1;
        return;
    }
    size_t room = b->bytes_max - b->size;
    size_t keep = (size_t)size < room ? (size_t)size : room;
    r->result->out_bytes += (uint64_t)size;
    if (buffer_append(b, r->pending, keep) != HF_OK) b->bytes_max = b->size; /* no memory: cut */
    r->pending_at = 0;
    r->pending_end = r->out_broken ? 0 : (size_t)size;
}

static void show_output(struct run *r)
{
    ssize_t n = write(STDOUT_FILENO, r->pending + r->pending_at, r->pending_end - r->pending_at);
    if (n >= 0) {
        r->pending_at += (size_t)n;
    } else if (errno != EINTR && errno != EAGAIN) {
        r->out_broken = true;
        r->pending_at = r->pending_end;
    }
}

/* Has the leader ended? It is left unwaited for, so that its group's number stays its own. */
static void look_for_end(struct run *r)
{
    siginfo_t info = {.si_pid = 0};
    int rv = waitid(P_PID, (id_t)r->pid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT);
    if (rv != 0 || info.si_pid == 0) return;
    if (info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED) {
        (void)waitid(P_PID, (id_t)r->pid, &info, WSTOPPED | WNOHANG);
        /* ^Z at our terminal: nobody could wake it there, and a lease does not stop. */
        if (r->foreground) signal_group(r, SIGCONT);
        return;
    }
    r->ended = true;
}

static void loop(struct run *r)
{
    bool shows = false; /* there is something to be shown */
    while (!r->ended || ((r->out >= 0 || shows) && !r->killed)) {
        int timeout_ms = watch(r);
        struct pollfd fds[2] = {
            {.fd = wake[PIPE_READ], .events = POLLIN},
            {.fd = shows ? STDOUT_FILENO : r->out, .events = shows ? POLLOUT : POLLIN},
        };
        if (poll(fds, 2, timeout_ms) > 0) {
            if (fds[0].revents != 0) take_signals(r);
            if (fds[1].revents != 0 && shows) show_output(r);
            if (fds[1].revents != 0 && !shows) take_output(r);
        }
        shows = r->pending_at < r->pending_end;
        if (!r->ended) look_for_end(r);
    }
}

static void reap(struct run *r)
{
    int status = 0;
    warden_stop(&r->warden);
    if (r->result->stopped) signal_group(r, SIGKILL); /* what the leader left behind */
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR) {
    }
    r->result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    r->result->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void run_command(const struct run_order *order, struct run_result *result)
{
    struct run r = {.order = order, .result = result, .out = -1};
    int out[2] = {-1, -1};
    HF_ASSERT(order->command[0] != NULL);
    *result = (struct run_result){.error = 0};
    (void)fflush(stdout);

    result->error = open_wake();
    if (result->error == 0 && order->capture != NULL) result->error = open_pipe(out, false);
    if (result->error != 0) return;
    catch_signals(&r);
    if (order->left_ms != NULL) {
        const int unused[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, out[0], out[1]};
        result->error = warden_start(&r.warden, unused, HF_ARRAY_COUNT(unused));
    }
    if (result->error == 0) result->error = start(&r, out);
    if (out[PIPE_WRITE] >= 0) (void)close(out[PIPE_WRITE]);
    r.out = out[PIPE_READ];
    if (result->error == 0) {
        give_terminal(&r);
        loop(&r);
        take_terminal(&r);
        reap(&r);
    } else {
        warden_stop(&r.warden);
    }
    restore_signals(&r);
    if (r.out >= 0) (void)close(r.out);
}
