/* The command line of `run`, read strictly. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "jepsen/run/nemesis.h"
#include "jepsen/run/run.h"

enum { SECONDS_MAX = 86400, CLIENTS_DEFAULT = 5 };

static const char HELP[] =
    "usage: holdfast-jepsen run --out DIR [flags]\n"
    "\n"
    "Runs real servers and clients in network namespaces, under faults, and writes their history,\n"
    "logs and report.html to DIR, which must be empty or not there yet. As root, or where users "
    "may\n"
    "make namespaces; needs ip and nft (Debian: iproute2, nftables), and for clocks libfaketime.\n"
    "\n"
    "  --workload NAME     lock, record, payment, permits, several, modes or\n"
    "                      reopen; default lock\n"
    "  --nemesis LIST      kill, pause, partition, client-kill, and clock or clock-rate,\n"
    "                      separated by commas; none = no faults; default kill,partition\n"
    "  --servers 3|5       default 3\n"
    "  --clients N         processes of three threads, 1 to 8, default 5\n"
    "  --seed S            everything that is drawn follows from it; default 1\n"
    "  --seconds T         of faults, 1 to 86400; default 60\n"
    "  --out DIR           where everything goes\n"
    "  --holdfastd PATH    the server; default: beside this program\n"
    "\n"
    "exit codes: 0 nothing wrong was seen, 1 a claim does not hold, 3 the checker is undecided,\n"
    "4 too few operations before the first fault, 64 wrong flags, 74 the run itself failed,\n"
    "77 it cannot be done on this machine, 128 + N stopped by signal N\n";

const char *plan_help(void)
{
    return HELP;
}

static bool complain(char *sentence, const char *format, const char *what)
{
    snprintf(sentence, RUN_SENTENCE_BYTES, format, what);
    return false;
}

static bool read_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    char *end = NULL;
    if (*text < '0' || *text > '9') return false;
    unsigned long long number = strtoull(text, &end, 10);
    *value = number;
    return *end == '\0' && number >= min && number <= max;
}

static bool read_nemeses(struct plan *plan, const char *list, char *sentence)
{
    plan->nemeses = 0;
    if (strcmp(list, "none") == 0) return true;
    for (const char *at = list;;) {
        size_t bytes = strcspn(at, ",");
        unsigned number = 0;
        if (!nemesis_find(at, bytes, &number))
            return complain(sentence, "--nemesis %s names a nemesis that there is not; see --help",
                            list);
        plan->nemeses |= 1U << number;
        if (at[bytes] == '\0') return true;
        at += bytes + 1;
    }
}

static bool set_workload(struct plan *plan, const char *name, char *sentence)
{
    for (unsigned i = 0; workload_table[i] != NULL; i++) {
        plan->workload = workload_table[i];
        if (strcmp(name, plan->workload->name) == 0) return true;
    }
    return complain(sentence, "there is no workload \"%s\"; see --help", name);
}

static bool set_path(const char *value, char *path)
{
    char here[RUN_PATH_BYTES] = "";
    bool absolute = value[0] == '/';
    if (!absolute && getcwd(here, sizeof here - 1) == NULL) return false;
    int size = snprintf(path, RUN_PATH_BYTES, "%s%s%s", here, absolute ? "" : "/", value);
    return size > 0 && size < RUN_PATH_BYTES && strpbrk(path, "\"\\'\n") == NULL;
}

static bool set_flag(struct plan *plan, const char *flag, const char *value, char *sentence)
{
    uint64_t number = 0;
    if (strcmp(flag, "--workload") == 0) return set_workload(plan, value, sentence);
    if (strcmp(flag, "--nemesis") == 0) return read_nemeses(plan, value, sentence);
    if (strcmp(flag, "--out") == 0)
        return set_path(value, plan->out) || complain(sentence, "--out %s is no good path", value);
    if (strcmp(flag, "--holdfastd") == 0)
        return set_path(value, plan->daemon) ||
               complain(sentence, "--holdfastd %s is no good path", value);
    if (strcmp(flag, "--servers") == 0) {
        if (!read_number(value, 3, RUN_SERVERS_MAX, &number) || number == 4)
            return complain(sentence, "--servers is 3 or 5, not %s", value);
        plan->servers = (unsigned)number;
        return true;
    }
    if (strcmp(flag, "--clients") == 0) {
        if (!read_number(value, 1, RUN_CLIENTS_MAX, &number))
            return complain(sentence, "--clients is 1 to 8, not %s", value);
        plan->clients = (unsigned)number;
        return true;
    }
    if (strcmp(flag, "--seed") == 0)
        return read_number(value, 0, UINT64_MAX, &plan->seed) ||
               complain(sentence, "--seed is a whole number, not %s", value);
    if (strcmp(flag, "--seconds") == 0)
        return read_number(value, 1, SECONDS_MAX, &plan->seconds) ||
               complain(sentence, "--seconds is 1 to 86400, not %s", value);
    return complain(sentence, "there is no flag \"%s\"; see --help", flag);
}

/* holdfastd stands beside this program. */
static bool find_daemon(struct plan *plan, char *sentence)
{
    char path[RUN_PATH_BYTES];
    if (plan->daemon[0] == '\0') {
        ssize_t got = readlink("/proc/self/exe", path, sizeof path - 1);
        if (got <= 0) return complain(sentence, "cannot read %s", "/proc/self/exe");
        path[got] = '\0';
        char *slash = strrchr(path, '/');
        HF_ASSERT(slash != NULL);
        *slash = '\0';
        int size = snprintf(plan->daemon, sizeof plan->daemon, "%.480s/holdfastd", path);
        HF_ASSERT(size > 0);
    }
    return access(plan->daemon, X_OK) == 0 ||
           complain(sentence, "%s cannot be executed: build it, or name it with --holdfastd",
                    plan->daemon);
}

bool plan_read(struct plan *plan, int argc, char **argv, char *sentence)
{
    *plan = (struct plan){.servers = 3, .clients = CLIENTS_DEFAULT, .seed = 1, .seconds = 60};
    unsigned clock = 0, rate = 0;
    if (!set_workload(plan, "lock", sentence)) return false;
    if (!read_nemeses(plan, "kill,partition", sentence)) return false;
    for (int i = 0; i < argc; i += 2) {
        plan->help = plan->help || strcmp(argv[i], "--help") == 0;
        if (plan->help) return true;
        if (i + 1 == argc) return complain(sentence, "%s wants a value", argv[i]);
        if (!set_flag(plan, argv[i], argv[i + 1], sentence)) return false;
    }
    if (plan->out[0] == '\0') return complain(sentence, "%s is missing; see --help", "--out DIR");
    if (nemesis_find("clock", 5, &clock) && nemesis_find("clock-rate", 10, &rate) &&
        (plan->nemeses >> clock & plan->nemeses >> rate & 1) != 0)
        return complain(sentence, "clock and clock-rate cannot be had in one run%s", "");
    return find_daemon(plan, sentence);
}

void plan_command(const struct plan *plan, char *text)
{
    int used = snprintf(text, RUN_SENTENCE_BYTES, "holdfast-jepsen run --workload %s --nemesis ",
                        plan->workload->name);
    const char *comma = "";
    for (unsigned i = 0; nemesis_table[i] != NULL; i++) {
        if ((plan->nemeses >> i & 1) == 0) continue;
        used += snprintf(text + used, (size_t)(RUN_SENTENCE_BYTES - used), "%s%s", comma,
                         nemesis_table[i]->name);
        comma = ",";
    }
    used += snprintf(text + used, (size_t)(RUN_SENTENCE_BYTES - used),
                     "%s --servers %u --clients %u --seed %llu --seconds %llu --out DIR",
                     plan->nemeses == 0 ? "none" : "", plan->servers, plan->clients,
                     (unsigned long long)plan->seed, (unsigned long long)plan->seconds);
    HF_ASSERT(used > 0 && used < RUN_SENTENCE_BYTES);
}
