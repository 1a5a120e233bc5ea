/* What a server costs that has nothing to do: bytes written, wake-ups, processor time and memory,
 * without sessions (asleep: no wake-up by a timer, nothing written) and with one session that is
 * left alone (a deadline is stored: about ten wake-ups a second, nothing written).
 *
 *     idle [SECONDS [SERVERS]]    of each of the two, default 3; SERVERS is 1 or 3; prints a table
 *
 * Of three servers the leader tells the others that it is there, and they answer: that wakes all of
 * them, asleep or not. Fails only on what noise cannot cause: something written to a disk, or many
 * times the wake-ups. A machine so busy that a server stalls, or another is elected, is noise: they
 * log it, and those seconds do not count. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "tests/integration/cluster_process.h"
#include "tests/integration/wire.h"

enum {
    SETTLE_MS = 4000,
    TRIES = 5,
    WAKEUPS_ASLEEP_MAX = 2,
    WAKEUPS_SESSION_MAX = 25,
    WAKEUPS_MEMBER_MAX = 250, /* heartbeats and pings, and their answers */
};

struct cost {
    uint64_t written_bytes; /* to files, pipes and sockets */
    uint64_t disk_bytes;    /* sent to the block layer */
    uint64_t wakeups;       /* voluntary context switches of all threads */
    uint64_t cpu_ticks;     /* user and system, 100 a second */
    uint64_t own_kb;        /* anonymous and shared memory in core, without files */
    uint64_t resident_kb;   /* all of it, code and mapped files too */
};

/* The number behind `label` in a file of /proc. */
static uint64_t number_in(const char *path, const char *label)
{
    char line[256];
    uint64_t number = 0;
    FILE *f = fopen(path, "r");
    if (f == NULL) return 0; /* a thread that ended */
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, label, strlen(label)) == 0)
            number = strtoull(line + strlen(label), NULL, 10);
    }
    fclose(f);
    return number;
}

static uint64_t cpu_ticks(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    HF_ASSERT(f != NULL && fgets(text, sizeof text, f) != NULL);
    fclose(f);
    char *at = strrchr(text, ')'); /* fields 14 and 15; the name before may hold blanks */
    for (unsigned field = 2; field < 14 && at != NULL; field++) at = strchr(at + 1, ' ');
    HF_ASSERT(at != NULL);
    uint64_t user = strtoull(at, &at, 10);
    return user + strtoull(at, NULL, 10);
}

static struct cost measure(pid_t pid)
{
    char path[64], thread[350];
    struct cost c = {.cpu_ticks = cpu_ticks(pid)};
    snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
    c.written_bytes = number_in(path, "wchar:");
    c.disk_bytes = number_in(path, "write_bytes:");
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    c.own_kb = number_in(path, "RssAnon:") + number_in(path, "RssShmem:");
    c.resident_kb = number_in(path, "VmRSS:");
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    HF_ASSERT(tasks != NULL);
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
        if (task->d_name[0] == '.') continue;
        snprintf(thread, sizeof thread, "%s/%s/status", path, task->d_name);
        c.wakeups += number_in(thread, "voluntary_ctxt_switches:");
    }
    closedir(tasks);
    return c;
}

struct row {
    struct server_process *server; /* which */
    const char *sessions;          /* how many it has */
    unsigned wakeups_max;          /* a second */
};

/* What all servers have logged: an idle one has nothing to say. */
static uint64_t logged_bytes(const struct row *rows, unsigned count)
{
    char path[128];
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        struct stat st;
        snprintf(path, sizeof path, "%s/log", rows[i].server->folder);
        HF_ASSERT(stat(path, &st) == 0);
        bytes += (uint64_t)st.st_size;
    }
    return bytes;
}

/* Each server over the same seconds. \return false: something happened in them, or just before. */
static bool take_seconds(const struct row *rows, unsigned count, unsigned seconds, struct cost *a,
                         struct cost *b)
{
    uint64_t logged = logged_bytes(rows, count);
    sleep_ms(SETTLE_MS); /* what was done before goes to the store first */
    for (unsigned i = 0; i < count; i++) a[i] = measure(rows[i].server->pid);
    sleep_ms((uint64_t)seconds * 1000);
    for (unsigned i = 0; i < count; i++) b[i] = measure(rows[i].server->pid);
    return logged_bytes(rows, count) == logged;
}

static bool observe(const struct row *rows, unsigned count, unsigned seconds)
{
    struct cost a[CLUSTER_PROCESSES], b[CLUSTER_PROCESSES];
    bool good = false;
    for (unsigned i = 0; !good && i < TRIES; i++) good = take_seconds(rows, count, seconds, a, b);
    if (!good) fprintf(stderr, "the machine is too busy: the servers had something to log\n");
    for (unsigned i = 0; i < count; i++) {
        double wakeups = (double)(b[i].wakeups - a[i].wakeups) / seconds;
        double cpu = (double)(b[i].cpu_ticks - a[i].cpu_ticks) * 100 /
                     (double)sysconf(_SC_CLK_TCK) / seconds;
        printf("%-8u %-9s %7u %12" PRIu64 " %11" PRIu64 " %12.2f %7.2f %8" PRIu64 " %12" PRIu64
               "\n",
               i + 1, rows[i].sessions, seconds, b[i].written_bytes - a[i].written_bytes,
               b[i].disk_bytes - a[i].disk_bytes, wakeups, cpu, b[i].own_kb, b[i].resident_kb);
        if (b[i].disk_bytes != a[i].disk_bytes || wakeups > rows[i].wakeups_max) good = false;
    }
    return good;
}

static void set_rows(struct row *rows, unsigned count, const char *sessions, unsigned wakeups_max)
{
    for (unsigned i = 0; i < count; i++) {
        rows[i].sessions = sessions;
        rows[i].wakeups_max = wakeups_max;
    }
}

/* A session at the server that leads; the lead may be lost between question and answer. */
static void open_session(struct wire *c, const struct cluster_process *cluster,
                         const struct server_process *lone)
{
    for (;;) {
        uint16_t port =
            cluster != NULL ? cluster->servers[cluster_process_leader(cluster)].port : lone->port;
        HF_ASSERT(wire_open(c, port));
        int rv = wire_session(c);
        if (rv == HF_OK) return;
        HF_ASSERT(rv == HF_ENOTLEADER && cluster != NULL);
        wire_close(c);
    }
}

/* Without a session, then with one. \param cluster NULL: rows[0].server is alone. */
static bool observe_both(struct row *rows, unsigned count, const struct cluster_process *cluster,
                         unsigned seconds)
{
    struct wire c;
    printf("%-8s %-9s %7s %12s %11s %12s %7s %8s %12s\n", "server", "sessions", "seconds",
           "written_B", "to_disk_B", "wakeups_per_s", "cpu_%", "own_kB", "resident_kB");
    set_rows(rows, count, "none", count > 1 ? WAKEUPS_MEMBER_MAX : WAKEUPS_ASLEEP_MAX);
    bool good = observe(rows, count, seconds);
    open_session(&c, cluster, rows[0].server);
    set_rows(rows, count, "one", count > 1 ? WAKEUPS_MEMBER_MAX : WAKEUPS_SESSION_MAX);
    good = observe(rows, count, seconds) && good;
    wire_close(&c);
    return good;
}

static bool observe_one_server(unsigned seconds)
{
    struct server_process s;
    server_process_init(&s);
    struct row row = {.server = &s};
    if (!server_process_start(&s)) return false;
    bool good = observe_both(&row, 1, NULL, seconds);
    if (server_process_stop(&s) != 0) good = false;
    server_process_close(&s, !good);
    return good;
}

static bool observe_cluster(unsigned seconds)
{
    struct cluster_process c;
    struct row rows[CLUSTER_PROCESSES];
    cluster_process_init(&c, CLUSTER_PROCESSES);
    if (!cluster_process_start(&c)) return false;
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++) rows[i].server = &c.servers[i];
    printf("server %u leads\n", cluster_process_leader(&c) + 1);
    bool good = observe_both(rows, CLUSTER_PROCESSES, &c, seconds);
    good = cluster_process_stop(&c) && good;
    cluster_process_close(&c, !good);
    return good;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    unsigned servers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    HF_ASSERT(seconds >= 1);
    HF_ASSERT(servers == 1 || servers == 3);
    bool good = servers == 1 ? observe_one_server(seconds) : observe_cluster(seconds);
    return good ? 0 : 1;
}
