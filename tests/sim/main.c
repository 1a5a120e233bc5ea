/* holdfast-sim: run seeds.
 *
 *     holdfast-sim SEED [--seconds S] [--nodes N] [--clients N] [-v] [--from SECONDS] [--twice]
 *     holdfast-sim --seeds A..B [--seconds S] [--nodes N] [--clients N] [--twice] [-q]
 *     holdfast-sim --file FILE [--twice] [-q]        lines of "SEED SECONDS what it found"
 *     each with --lmdb: over the real store, with the same digest; and with --philosophers N or
 *     --fork-by-fork N: all clients are philosophers at N forks (tests/sim/script_dine.c), or with
 *     --transfers: they do nothing but move money from bank to bank (tests/sim/script_branch.c)
 *
 * -v prints one line an event (docs/testing.md explains the columns), --from leaves out those
 * before that true time; --idle is an idle cluster of three, the leader of which dies so often;
 * --twice runs each seed a second time, in memory, and compares the digests; --kinds prints how
 * often each kind of fault and point in the code came, and fails if one never did; -q prints the
 * sum alone;
 * --history writes what clients did to a file for a checker (docs/history-format.md), of more seeds
 * than one to FILE.SEED, and with --twice of the first run alone. The last line says seed, digest,
 * simulated seconds, ops, faults, leader changes. Exit code 1: a claim failed, and the output says
 * how to repeat it; 64: wrong arguments. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/planted.h"
#include "base/slice.h"
#include "base/status.h"
#include "tests/sim/failure.h"
#include "tests/sim/kinds.h"
#include "tests/sim/sim.h"

enum {
    SECONDS_DEFAULT = 60,
    LINE_BYTES = 512,
    PATH_BYTES = 4096,
    EXIT_USAGE = 64,
    ELECTION_MS_MAX = 1500,
    TIMER_LATE_MS_MAX = 100,
    TOMBSTONE_SECONDS = 30 * 3600
};

struct arguments {
    uint64_t first;      /* seed */
    uint64_t last;       /* seed */
    const char *file;    /* of seeds; NULL = none */
    const char *history; /* file to write; NULL = none */
    struct sim_options options;
    bool twice; /* compare the digests of two runs */
    bool quiet; /* no line a seed */
    bool kinds; /* lines of kinds at the end */
};

struct sum {
    uint64_t seeds;
    uint64_t simulated_ns;
    uint64_t ops;
    uint64_t faults;
    uint64_t leader_changes;
    uint64_t events;
    uint64_t transfers; /* that came to their end */
    uint64_t confirmed; /* of them */
    uint64_t digest;    /* of the digests */
    struct kinds kinds;
};

static void print_result(uint64_t seed, const struct sim_result *r)
{
    printf("seed %" PRIu64 " digest %016" PRIx64 " seconds %" PRIu64 ".%03" PRIu64 " ops %" PRIu64
           " faults %" PRIu64 " leader-changes %" PRIu64 " servers %u clients %u entries %" PRIu64
           " grants %" PRIu64 " reads %" PRIu64 " completions %" PRIu64 " takeovers %" PRIu64
           " expiries %" PRIu64 " refused-writes %" PRIu64 " transfers %" PRIu64
           " confirmed %" PRIu64 " events %" PRIu64 "\n",
           seed, r->digest, r->simulated_ns / 1000000000, r->simulated_ns / 1000000 % 1000,
           r->counts.ops, r->counts.faults, r->leader_changes, r->node_count, r->client_count,
           r->entries, r->grants, r->counts.reads, r->completions, r->takeovers, r->expiries,
           r->refused_writes, r->transfers, r->confirmed, r->counts.events);
    fflush(stdout);
}

/* An idle cluster's time goes on over leader changes: each costs the election and the grace, and
 * not what has passed since the last entry. Its timers fire when they are due by that time. */
static void look_at_time(const struct sim_result *r, bool quiet)
{
    int64_t late_ms = (int64_t)(r->simulated_ns / 1000000) - (int64_t)r->cluster_ms;
    int64_t most_ms =
        (int64_t)(r->leader_changes + 1) * (REPLICA_LIMITS_DEFAULT.grace_ms + ELECTION_MS_MAX);
    if (!quiet)
        printf("cluster time %" PRIu64 " ms, %" PRIu64 " leader changes: %" PRId64 " ms late\n",
               r->cluster_ms, r->leader_changes, late_ms);
    if (!quiet)
        printf("%" PRIu64 " timers fired, %" PRIu64 " ms late at most; %" PRIu64
               " tombstones have gone\n",
               r->timers[TIMER_EVENT_FIRED], r->timer_late_ms_max, r->tombstones);
    if (r->timer_late_ms_max > TIMER_LATE_MS_MAX)
        sim_fail("a timer has fired %" PRIu64 " ms of cluster time late", r->timer_late_ms_max);
    if (r->simulated_ns / 1000000000 > TOMBSTONE_SECONDS && r->tombstones == 0)
        sim_fail("more than a day has gone by, and no timer was forgotten");
    if (late_ms < 0 || late_ms > most_ms)
        sim_fail("cluster time is %" PRId64 " ms late after %" PRIu64 " leader changes", late_ms,
                 r->leader_changes);
}

static void print_meals(const struct sim_options *options, const struct sim_result *r)
{
    printf("%u philosophers: %" PRIu64 " meals, the hungriest had %" PRIu64
           ", the longest wait %" PRIu64 " ms, %" PRIu64 " deadlocks told\n",
           options->philosophers, r->meals, r->meals_least, r->waited_ms_max, r->deadlocks);
}

/* One seed's history is FILE, that of many FILE.SEED. */
static const char *name_history(const struct arguments *a, uint64_t seed, char *path, size_t bytes)
{
    if (a->history == NULL || (a->file == NULL && a->first == a->last)) return a->history;
    int size = snprintf(path, bytes, "%s.%" PRIu64, a->history, seed);
    if (size <= 0 || (size_t)size >= bytes) {
        fprintf(stderr, "holdfast-sim: the name of a history is too long: %s\n", a->history);
        exit(EXIT_USAGE);
    }
    return path;
}

static void run_seed(const struct arguments *a, uint64_t seed, uint64_t seconds, struct sum *sum)
{
    struct sim_options options = a->options;
    struct sim_result result, again;
    char path[PATH_BYTES];
    options.seed = seed;
    options.history = name_history(a, seed, path, sizeof path);
    if (seconds != 0) options.seconds = seconds;
    sim_run(&options, &result);
    if (a->twice) {
        options.verbose = false;
        options.history = NULL;
        options.lmdb = false; /* the store's kind does not show */
        sim_run(&options, &again);
        if (again.digest != result.digest)
            sim_fail("the same seed has two digests: %016" PRIx64 " and %016" PRIx64, result.digest,
                     again.digest);
    }
    if (!a->quiet) print_result(seed, &result);
    if (options.idle) look_at_time(&result, a->quiet);
    if (options.philosophers != 0 && !a->quiet) print_meals(&options, &result);
    kinds_add(&sum->kinds, &result);
    sum->seeds++;
    sum->simulated_ns += result.simulated_ns;
    sum->ops += result.counts.ops;
    sum->faults += result.counts.faults;
    sum->leader_changes += result.leader_changes;
    sum->events += result.counts.events;
    sum->transfers += result.transfers;
    sum->confirmed += result.confirmed;
    sum->digest = hash64(sum->digest, &result.digest, sizeof result.digest);
}

static void run_file(const struct arguments *a, struct sum *sum)
{
    char line[LINE_BYTES];
    FILE *file = fopen(a->file, "re");
    if (file == NULL) {
        fprintf(stderr, "holdfast-sim: no such file: %s\n", a->file);
        exit(EXIT_USAGE);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        char *rest = line;
        uint64_t seed = strtoull(line, &rest, 10);
        if (rest == line) continue; /* a comment */
        run_seed(a, seed, strtoull(rest, NULL, 10), sum);
    }
    (void)fclose(file);
}

static _Noreturn void explain(void)
{
    fprintf(stderr, "usage: holdfast-sim SEED | --seeds A..B | --file FILE [--seconds S] "
                    "[--nodes N] [--clients N] [--idle DEATHS] [--philosophers N] "
                    "[--fork-by-fork N] [--transfers] [--twice] [--lmdb] [--kinds] "
                    "[-v [--from S]] [-q] [--history FILE]\n");
    exit(EXIT_USAGE);
}

static uint64_t number(const char *text)
{
    char *end = NULL;
    uint64_t value = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL || end == text || *end != '\0') explain();
    return value;
}

static void read_range(struct arguments *a, char *text)
{
    char *dots = text != NULL ? strstr(text, "..") : NULL;
    if (dots == NULL) explain();
    *dots = '\0';
    a->first = number(text);
    a->last = number(dots + 2);
}

/* The word that chooses a planted bug, in a build that has them. */
static bool is_planted(char **arg)
{
#ifdef HF_PLANTED
    if (!slice_equal(slice_of(arg[0]), slice_of("--planted"))) return false;
    if (arg[1] == NULL || planted_choose(arg[1]) != HF_OK) explain();
    return true;
#else
    (void)arg;
    return false;
#endif
}

static void read_arguments(struct arguments *a, char **argv)
{
    bool any = false;
    for (char **arg = argv + 1; *arg != NULL; arg++) {
        struct slice word = slice_of(*arg);
        if (is_planted(arg)) {
            arg++;
        } else if (slice_equal(word, slice_of("-v"))) {
            a->options.verbose = true;
        } else if (slice_equal(word, slice_of("-q"))) {
            a->quiet = true;
        } else if (slice_equal(word, slice_of("--twice"))) {
            a->twice = true;
        } else if (slice_equal(word, slice_of("--lmdb"))) {
            a->options.lmdb = true;
        } else if (slice_equal(word, slice_of("--transfers"))) {
            a->options.transfers = true;
        } else if (slice_equal(word, slice_of("--kinds"))) {
            a->kinds = true;
        } else if (slice_equal(word, slice_of("--seconds"))) {
            a->options.seconds = number(*++arg);
        } else if (slice_equal(word, slice_of("--nodes"))) {
            a->options.node_count = (uint32_t)number(*++arg);
        } else if (slice_equal(word, slice_of("--clients"))) {
            a->options.client_count = (uint32_t)number(*++arg);
        } else if (slice_equal(word, slice_of("--idle"))) {
            a->options.idle = true;
            a->options.deaths = (uint32_t)number(*++arg);
        } else if (slice_equal(word, slice_of("--philosophers"))) {
            a->options.philosophers = (uint32_t)number(*++arg);
        } else if (slice_equal(word, slice_of("--fork-by-fork"))) {
            a->options.philosophers = (uint32_t)number(*++arg);
            a->options.fork_by_fork = true;
        } else if (slice_equal(word, slice_of("--history"))) {
            a->history = *++arg;
        } else if (slice_equal(word, slice_of("--from"))) {
            a->options.from_ns = number(*++arg) * 1000000000;
        } else if (slice_equal(word, slice_of("--seeds"))) {
            read_range(a, *++arg);
            any = true;
        } else if (slice_equal(word, slice_of("--file"))) {
            a->file = *++arg;
            any = a->file != NULL;
        } else {
            a->first = a->last = number(*arg);
            any = true;
        }
        if (*arg == NULL) explain();
    }
    if (!any || a->options.node_count > SIM_NODES_MAX || a->options.seconds == 0 ||
        a->options.client_count > SIM_CLIENTS_MAX || a->options.philosophers == 1 ||
        a->options.philosophers > SIM_LOCKS_MAX)
        explain();
}

int main(int argc, char **argv)
{
    struct arguments a = {.options = {.seconds = SECONDS_DEFAULT}};
    struct sum sum = {0};
    (void)argc;
    read_arguments(&a, argv);
    failure_catch_signals();
    log_set_level(LOG_ERROR); /* what the servers would log is in the lines of -v */
    if (a.file != NULL) {
        run_file(&a, &sum);
    } else {
        for (uint64_t seed = a.first; seed <= a.last; seed++) run_seed(&a, seed, 0, &sum);
    }
    if (a.kinds && !kinds_print(&sum.kinds)) {
        fprintf(stderr, "holdfast-sim: what is 0 above never came: more seeds, or it is dead\n");
        return 1;
    }
    if (sum.seeds == 1 && !a.quiet) return 0; /* its own line was the last */
    printf("seeds %" PRIu64 " digest %016" PRIx64 " seconds %" PRIu64 " ops %" PRIu64
           " faults %" PRIu64 " leader-changes %" PRIu64 " transfers %" PRIu64 " confirmed %" PRIu64
           " events %" PRIu64 "\n",
           sum.seeds, sum.digest, sum.simulated_ns / 1000000000, sum.ops, sum.faults,
           sum.leader_changes, sum.transfers, sum.confirmed, sum.events);
    return 0;
}
