/* One run for a key, whoever asks and whatever dies: twenty processes at once ask three servers for
 * the same key (`holdfast once`), and the leader is killed (kill -9) while they do. The command is
 * run once, and all twenty print what it printed.
 *
 *     once_callers [ROUNDS [SEED]]    default 2 rounds; prints one summary line
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/prng.h"
#include "tests/integration/cluster_process.h"

enum { CALLERS = 20, PATH_BYTES = 512, OUTPUT_BYTES = 256, RUN_MS = 300 };

struct rounds {
    struct cluster_process cluster; /* asked by all */
    struct prng prng;               /* seeded */
    char program[PATH_BYTES];       /* holdfast */
    unsigned number;                /* of this round, from 0 */
    unsigned wrong;                 /* printed */
};

/* BUILD/tests/NAME -> BUILD/bin/holdfast */
static void find_program(char *path)
{
    ssize_t got = readlink("/proc/self/exe", path, PATH_BYTES - 1);
    HF_ASSERT(got > 0);
    path[got] = '\0';
    for (int up = 0; up < 2; up++) *strrchr(path, '/') = '\0';
    size_t used = strlen(path);
    snprintf(path + used, PATH_BYTES - used, "/bin/holdfast");
}

static void path_of(const struct rounds *r, const char *what, unsigned number, char *path)
{
    snprintf(path, PATH_BYTES, "%s/%s-%u-%u", r->cluster.servers[0].folder, what, r->number,
             number);
}

/* The command notes that it ran, takes its time, and prints what no other run would. */
static pid_t call(const struct rounds *r, unsigned number)
{
    char path[PATH_BYTES], errors[PATH_BYTES], key[32], runs[PATH_BYTES];
    char command[2 * PATH_BYTES];
    pid_t pid = fork();
    HF_ASSERT(pid >= 0);
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    path_of(r, "out", number, path);
    path_of(r, "err", number, errors);
    path_of(r, "runs", 0, runs);
    snprintf(key, sizeof key, "key/%u", r->number);
    snprintf(command, sizeof command, "echo $$ >> %s; sleep %d.%03d; echo \"run by $$\"", runs,
             RUN_MS / 1000, RUN_MS % 1000);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int err = open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || err < 0) _exit(126);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execl(r->program, r->program, "--servers", r->cluster.addresses, "once", key, "--", "sh", "-c",
          command, (char *)NULL);
    _exit(127);
}

static void read_output(const struct rounds *r, const char *what, unsigned number, char *text)
{
    char path[PATH_BYTES];
    path_of(r, what, number, path);
    FILE *f = fopen(path, "r");
    size_t got = f != NULL ? fread(text, 1, OUTPUT_BYTES - 1, f) : 0;
    if (f != NULL) fclose(f);
    text[got] = '\0';
}

static unsigned lines_in(const char *text)
{
    unsigned lines = 0;
    for (; *text != '\0'; text++) lines += *text == '\n';
    return lines;
}

static void complain(struct rounds *r, const char *what, unsigned number, const char *seen)
{
    r->wrong++;
    fprintf(stderr, "round %u, caller %u: %s: %s\n", r->number, number, what, seen);
}

static void compare(struct rounds *r)
{
    char first[OUTPUT_BYTES], other[OUTPUT_BYTES];
    read_output(r, "runs", 0, other);
    if (lines_in(other) != 1) complain(r, "not run once", 0, other);
    read_output(r, "out", 0, first);
    if (lines_in(first) != 1) complain(r, "not one line", 0, first);
    for (unsigned i = 1; i < CALLERS; i++) {
        read_output(r, "out", i, other);
        if (strcmp(first, other) != 0) complain(r, "another output", i, other);
    }
}

static void play(struct rounds *r)
{
    pid_t pids[CALLERS];
    char said[OUTPUT_BYTES];
    unsigned leader = cluster_process_leader(&r->cluster);
    for (unsigned i = 0; i < CALLERS; i++) pids[i] = call(r, i);
    sleep_ms(prng_below(&r->prng, 2 * RUN_MS));
    server_process_kill(&r->cluster.servers[leader]);
    for (unsigned i = 0; i < CALLERS; i++) {
        int status = 0;
        waitpid(pids[i], &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        read_output(r, "err", i, said);
        complain(r, "did not end with 0", i, said);
    }
    compare(r);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    static struct rounds r;
    prng_seed(&r.prng, seed);
    find_program(r.program);
    cluster_process_init(&r.cluster, CLUSTER_PROCESSES);
    bool good = cluster_process_start(&r.cluster);
    while (good && r.number < rounds && r.wrong == 0) {
        play(&r);
        r.number++;
        good = cluster_process_start(&r.cluster);
    }
    printf("rounds=%u callers=%d wrong=%u seed=%" PRIu64 "\n", r.number, CALLERS, r.wrong, seed);
    good = good && r.wrong == 0 && cluster_process_agree(&r.cluster);
    good = cluster_process_stop(&r.cluster) && good;
    cluster_process_close(&r.cluster, !good);
    return good ? 0 : 1;
}
