/* See the header. */
#include "tests/sim/failure.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_store.h"

enum { MESSAGE_BYTES = 256 };

static struct {
    const struct sim_options *options;
    const struct trace *trace;
} run;

void failure_begin(const struct sim_options *options, const struct trace *trace)
{
    run.options = options;
    run.trace = trace;
}

void failure_end(void)
{
    run.trace = NULL;
}

static uint64_t seed_of_run(void)
{
    return run.options != NULL ? run.options->seed : 0;
}

/* The option, if it was given. */
static void add_option(char *out, size_t bytes, const char *name, uint64_t value)
{
    size_t size = strlen(out);
    if (value != 0) (void)snprintf(out + size, bytes - size, " %s %" PRIu64, name, value);
}

/* Stores on disk stay for whoever wants to see, and said so by -v. */
static void leave_stores(void)
{
    const char *folder = sim_stores_folder();
    if (folder == NULL) return;
    if (run.options != NULL && run.options->verbose) {
        fprintf(stderr, "  the servers' stores are left in %s\n", folder);
    } else {
        sim_stores_remove();
    }
}

static int describe(char *out, size_t bytes)
{
    uint64_t now_ns = run.trace != NULL ? run.trace->now_ns : 0;
    char options[MESSAGE_BYTES / 2] = "";
    const char *lmdb = run.options != NULL && run.options->lmdb ? " --lmdb" : "";
    const char *transfers = run.options != NULL && run.options->transfers ? " --transfers" : "";
    if (run.options != NULL) {
        add_option(options, sizeof options, "--seconds", run.options->seconds);
        add_option(options, sizeof options, "--nodes", run.options->node_count);
        add_option(options, sizeof options, "--clients", run.options->client_count);
        add_option(options, sizeof options,
                   run.options->fork_by_fork ? "--fork-by-fork" : "--philosophers",
                   run.options->philosophers);
    }
    return snprintf(
        out, bytes,
        "\n  at %" PRIu64 ".%09" PRIu64 " s; repeat: holdfast-sim %" PRIu64 "%s%s%s -v\n",
        now_ns / 1000000000, now_ns % 1000000000, seed_of_run(), options, transfers, lmdb);
}

void sim_fail(const char *format, ...)
{
    char where[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    (void)describe(where, sizeof where);
    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 " FAILED: ", seed_of_run());
    vfprintf(stderr, format, args);
    fprintf(stderr, "%s", where);
    va_end(args);
    leave_stores();
    exit(1);
}

static void on_signal(int number)
{
    char message[MESSAGE_BYTES];
    int size = snprintf(message, sizeof message, "seed %" PRIu64 " FAILED: signal %d",
                        seed_of_run(), number);
    HF_ASSERT(size > 0);
    size += describe(message + size, sizeof message - (size_t)size);
    fflush(stdout); /* the process is lost anyway, its last lines need not be */
    (void)!write(STDERR_FILENO, message, (size_t)size);
    leave_stores();
    _exit(1);
}

/* Somebody ends it: that fails nothing. */
static void on_end(int number)
{
    sim_stores_remove();
    (void)raise(number); /* its own doing is in force again */
}

static void handle(const int *signums, size_t count, void (*handler)(int number))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = (int)SA_RESETHAND; /* what comes on top ends it at once */
    for (size_t i = 0; i < count; i++) {
        int rv = sigaction(signums[i], &action, NULL);
        HF_ASSERT(rv == 0);
    }
}

void failure_catch_signals(void)
{
    static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    handle(crashes, HF_ARRAY_COUNT(crashes), on_signal);
    handle(ends, HF_ARRAY_COUNT(ends), on_end);
}
