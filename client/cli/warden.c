/* See the header. Between fork() and _exit() only calls that a signal handler may make: other
 * threads ran when we forked. */
#include "client/cli/warden.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    KILL_LEFT_MS = 20, /* less than what we ourselves act at (run_command.h) */
    ORPHAN_POLL_MS = 20,
};

struct order {
    uint64_t deadline_ms; /* CLOCK_BOOTTIME */
    pid_t group;          /* 0 = dismissed */
};

static uint64_t now_ms(void)
{
    struct clock clock = clock_real();
    return clock_elapsed_ms(&clock);
}

/* Our master is dead: TERM at once, since nobody renews; KILL at the deadline. */
static void outlive(const struct order *o)
{
    if (o->group == 0) return;
    (void)kill(-o->group, SIGTERM);
    (void)kill(-o->group, SIGCONT);
    while (kill(-o->group, 0) == 0 && now_ms() + KILL_LEFT_MS < o->deadline_ms) {
        (void)poll(NULL, 0, ORPHAN_POLL_MS);
    }
    (void)kill(-o->group, SIGKILL);
}

static void watch(int fd)
{
    struct order o = {.group = 0};
    for (;;) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        uint64_t now = now_ms();
        bool due = o.group != 0 && now + KILL_LEFT_MS >= o.deadline_ms;
        uint64_t wait = o.group != 0 && !due ? o.deadline_ms - KILL_LEFT_MS - now : 0;
        int timeout_ms = o.group == 0 ? -1 : (int)(wait < 60000 ? wait : 60000);
        if (poll(&pollfd, 1, timeout_ms) < 0) continue;
        if (pollfd.revents != 0) { /* first: what was told in time counts */
            struct order next;
            ssize_t size = read(fd, &next, sizeof next);
            if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (size != (ssize_t)sizeof next) return outlive(&o);
            if (next.group == 0) return;
            o = next;
        } else if (due) {
            (void)kill(-o.group, SIGKILL);
            return;
        }
    }
}

static _Noreturn void serve(int fd, const int *unused, size_t count)
{
    static const int deaf_to[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)setpgid(0, 0); /* what is meant for our group is not meant for the warden */
    for (size_t i = 0; i < HF_ARRAY_COUNT(deaf_to); i++) (void)sigaction(deaf_to[i], &ignore, NULL);
    for (size_t i = 0; i < count; i++) (void)close(unused[i]);
    watch(fd);
    _exit(0);
}

int warden_start(struct warden *w, const int *unused, size_t count)
{
    int fds[2];
    *w = (struct warden){.pid = 0, .fd = -1};
    if (pipe(fds) != 0) return errno;
    (void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(fds[1]);
        serve(fds[0], unused, count);
    }
    int rv = pid < 0 ? errno : 0;
    (void)close(fds[0]);
    if (rv != 0) {
        (void)close(fds[1]);
        return rv;
    }
    *w = (struct warden){.pid = pid, .fd = fds[1]};
    return 0;
}

void warden_tell(struct warden *w, pid_t group, uint64_t left_ms)
{
    struct order o = {.group = group, .deadline_ms = now_ms() + left_ms};
    if (w->pid == 0) return;
    ssize_t ignored = write(w->fd, &o, sizeof o); /* if it is gone, we still watch ourselves */
    (void)ignored;
}

void warden_stop(struct warden *w)
{
    if (w->pid == 0) return;
    warden_tell(w, 0, 0);
    (void)close(w->fd);
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *w = (struct warden){.pid = 0, .fd = -1};
}
