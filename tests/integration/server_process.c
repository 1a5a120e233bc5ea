/* See the header. The server's standard error is a file in the folder; readiness is its ready line
 * there, counted per start, so that the line of an earlier start does not count. */
#include "tests/integration/server_process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/prng.h"

enum {
    READY_MS_MAX = 30000,
    ARGUMENTS_MAX = 24,
    PORT_MIN = 10240,   /* all below those that the kernel draws for outgoing connections: one of */
    PORTS_A_BLOCK = 64, /* them may have such a port while the server is down */
    PORT_BLOCKS = 340,
};

void sleep_ms(uint64_t ms)
{
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool bind_port(int fd, uint16_t number)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(number)};
    return bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
}

static int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HF_ASSERT(fd >= 0);
    return fd;
}

/* A block of ports for this process alone: it keeps the block's first one bound for as long as it
 * lives, and nobody else draws from a block whose first port is taken. */
static uint16_t own_block(void)
{
    static uint16_t block;
    while (block == 0) {
        uint16_t number = 0;
        int fd = tcp_socket();
        random_bytes(&number, sizeof number);
        number = (uint16_t)(PORT_MIN + number % PORT_BLOCKS * PORTS_A_BLOCK);
        if (bind_port(fd, number))
            block = number; /* fd stays open: it is the claim */
        else
            close(fd);
    }
    return block;
}

uint16_t server_process_draw_port(void)
{
    static uint16_t drawn;
    uint16_t block = own_block();
    for (;;) {
        uint16_t number = (uint16_t)(block + 1 + drawn++ % (PORTS_A_BLOCK - 1));
        int fd = tcp_socket();
        bool is_free = bind_port(fd, number);
        close(fd);
        if (is_free) return number;
    }
}

void server_process_init(struct server_process *s)
{
    *s = (struct server_process){0};
    const char *below = getenv("TMPDIR");
    int wrote = snprintf(s->folder, sizeof s->folder, "%s/holdfast-test-XXXXXX",
                         below != NULL ? below : "/tmp");
    HF_ASSERT(wrote > 0 && (size_t)wrote < sizeof s->folder);
    HF_ASSERT(mkdtemp(s->folder) != NULL);
    s->port = server_process_draw_port();
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", (unsigned)s->port);
}

static const char *program(char *path, size_t bytes)
{
    const char *given = getenv("HOLDFASTD");
    if (given != NULL) return given;
    ssize_t got = readlink("/proc/self/exe", path, bytes - 1); /* BUILD/tests/NAME */
    HF_ASSERT(got > 0);
    path[got] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(path, '/');
        HF_ASSERT(slash != NULL);
        *slash = '\0';
    }
    size_t used = strlen(path);
    int wrote = snprintf(path + used, bytes - used, "/bin/holdfastd");
    HF_ASSERT(wrote > 0 && (size_t)wrote < bytes - used);
    return path;
}

static void run_server(const struct server_process *s)
{
    char path[512], data[128], log[128];
    const char *arguments[ARGUMENTS_MAX] = {program(path, sizeof path), "--data", data, "--client",
                                            s->address};
    snprintf(data, sizeof data, "%s/data", s->folder);
    snprintf(log, sizeof log, "%s/log", s->folder);
    for (size_t i = 0; s->extra[i] != NULL; i++) arguments[5 + i] = s->extra[i];
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0) _exit(126);
    dup2(fd, STDERR_FILENO);
    dup2(fd, STDOUT_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves no server behind */
    execv(arguments[0], (char *const *)arguments);
    _exit(127);
}

static long log_bytes(const struct server_process *s)
{
    char log[128];
    struct stat st;
    snprintf(log, sizeof log, "%s/log", s->folder);
    return stat(log, &st) == 0 ? (long)st.st_size : 0;
}

static bool log_says(const struct server_process *s, long from, const char *words)
{
    char log[128], text[65536];
    snprintf(log, sizeof log, "%s/log", s->folder);
    FILE *f = fopen(log, "r");
    if (f == NULL) return false;
    fseek(f, from, SEEK_SET);
    size_t got = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[got] = '\0';
    return strstr(text, words) != NULL;
}

static void print_log(const struct server_process *s)
{
    char command[192];
    snprintf(command, sizeof command, "tail -n 20 %s/log >&2", s->folder);
    if (system(command) != 0) fprintf(stderr, "no log in %s\n", s->folder);
}

void server_process_last_line(const struct server_process *s, char *line, size_t bytes)
{
    char log[128], text[4096];
    snprintf(log, sizeof log, "%s/log", s->folder);
    line[0] = '\0';
    FILE *f = fopen(log, "r");
    if (f == NULL) return;
    while (fgets(text, sizeof text, f) != NULL) {
        text[strcspn(text, "\n")] = '\0';
        if (text[0] != '\0') snprintf(line, bytes, "%s", text);
    }
    fclose(f);
}

void server_process_spawn(struct server_process *s)
{
    HF_ASSERT(s->pid == 0);
    s->log_from = log_bytes(s);
    s->pid = fork();
    HF_ASSERT(s->pid >= 0);
    if (s->pid == 0) run_server(s);
}

bool server_process_start(struct server_process *s)
{
    server_process_spawn(s);
    return server_process_await(s);
}

bool server_process_await(struct server_process *s)
{
    HF_ASSERT(s->pid != 0);
    for (uint64_t waited = 0; waited < READY_MS_MAX; waited += 5) {
        if (log_says(s, s->log_from, "msg=\"ready\"")) return true;
        if (waitpid(s->pid, &s->ended, WNOHANG) == s->pid) {
            s->pid = 0;
            break;
        }
        sleep_ms(5);
    }
    if (s->quiet) return false;
    fprintf(stderr, "holdfastd on %s was not ready; the end of its log:\n", s->folder);
    print_log(s);
    return false;
}

void server_process_kill(struct server_process *s)
{
    if (s->pid == 0) return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

int server_process_stop(struct server_process *s)
{
    HF_ASSERT(s->pid != 0);
    int status = 0;
    kill(s->pid, SIGTERM);
    waitpid(s->pid, &status, 0);
    s->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void server_process_pause(struct server_process *s)
{
    HF_ASSERT(s->pid != 0);
    kill(s->pid, SIGSTOP);
}

void server_process_resume(struct server_process *s)
{
    HF_ASSERT(s->pid != 0);
    kill(s->pid, SIGCONT);
}

void server_process_close(struct server_process *s, bool keep)
{
    server_process_kill(s);
    if (keep) {
        fprintf(stderr, "kept for you to look at: %s\n", s->folder);
        return;
    }
    char command[128];
    snprintf(command, sizeof command, "rm -rf -- %s", s->folder);
    if (system(command) != 0) fprintf(stderr, "could not remove %s\n", s->folder);
}
