/* What a server costs that has nothing to do: bytes written, wake-ups, processor time and memory,
 * without sessions (asleep: no wake-up by a timer, nothing written) and with one session that is
 * left alone (a deadline is stored: about ten wake-ups a second, nothing written).
 *
 *     idle [SECONDS]      of each of the two, default 3; prints a table
 *
 * Fails only on what noise cannot cause: something written, or many times the wake-ups. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire.h"

enum { SETTLE_MS = 4000, WAKEUPS_ASLEEP_MAX = 2, WAKEUPS_SESSION_MAX = 25 };

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

static bool observe(const struct server_process *s, const char *what, unsigned seconds,
                    unsigned wakeups_max)
{
    sleep_ms(SETTLE_MS); /* what was done before goes to the store first */
    struct cost a = measure(s->pid);
    sleep_ms((uint64_t)seconds * 1000);
    struct cost b = measure(s->pid);
    double wakeups = (double)(b.wakeups - a.wakeups) / seconds;
    double cpu = (double)(b.cpu_ticks - a.cpu_ticks) * 100 / (double)sysconf(_SC_CLK_TCK) / seconds;
    printf("%-12s %7u %12" PRIu64 " %11" PRIu64 " %12.2f %7.2f %8" PRIu64 " %12" PRIu64 "\n", what,
           seconds, b.written_bytes - a.written_bytes, b.disk_bytes - a.disk_bytes, wakeups, cpu,
           b.own_kb, b.resident_kb);
    return b.disk_bytes == a.disk_bytes && wakeups <= wakeups_max;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    struct server_process s;
    struct wire c;
    HF_ASSERT(seconds >= 1);
    server_process_init(&s);
    if (!server_process_start(&s)) return 1;
    printf("%-12s %7s %12s %11s %12s %7s %8s %12s\n", "sessions", "seconds", "written_B",
           "to_disk_B", "wakeups_per_s", "cpu_%", "own_kB", "resident_kB");
    bool good = observe(&s, "none", seconds, WAKEUPS_ASLEEP_MAX);
    HF_ASSERT(wire_open(&c, s.port));
    HF_ASSERT(wire_session(&c) == HF_OK);
    good = observe(&s, "one", seconds, WAKEUPS_SESSION_MAX) && good;
    wire_close(&c);
    if (server_process_stop(&s) != 0) good = false;
    server_process_close(&s, !good);
    return good ? 0 : 1;
}
