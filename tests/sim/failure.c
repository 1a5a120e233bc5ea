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
#include "tests/sim/trace.h"

enum { MESSAGE_BYTES = 256 };

static struct {
    uint64_t seed;
    uint64_t seconds;
    uint32_t nodes;
    const struct trace *trace;
} run;

void failure_begin(uint64_t seed, uint64_t seconds, uint32_t nodes, const struct trace *trace)
{
    run.seed = seed;
    run.nodes = nodes;
    run.seconds = seconds;
    run.trace = trace;
}

static int describe(char *out, size_t bytes)
{
    uint64_t now_ns = run.trace != NULL ? run.trace->now_ns : 0;
    char nodes[32] = "";
    if (run.nodes != 0) (void)snprintf(nodes, sizeof nodes, " --nodes %" PRIu32, run.nodes);
    return snprintf(out, bytes,
                    "\n  at %" PRIu64 ".%09" PRIu64 " s; repeat: holdfast-sim %" PRIu64
                    " --seconds %" PRIu64 "%s -v\n",
                    now_ns / 1000000000, now_ns % 1000000000, run.seed, run.seconds, nodes);
}

void sim_fail(const char *format, ...)
{
    char where[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    (void)describe(where, sizeof where);
    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 " FAILED: ", run.seed);
    vfprintf(stderr, format, args);
    fprintf(stderr, "%s", where);
    va_end(args);
    exit(1);
}

static void on_signal(int number)
{
    char message[MESSAGE_BYTES];
    int size =
        snprintf(message, sizeof message, "seed %" PRIu64 " FAILED: signal %d", run.seed, number);
    HF_ASSERT(size > 0);
    size += describe(message + size, sizeof message - (size_t)size);
    fflush(stdout); /* the process is lost anyway, its last lines need not be */
    (void)!write(STDERR_FILENO, message, (size_t)size);
    _exit(1);
}

void failure_catch_signals(void)
{
    static const int signums[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    for (size_t i = 0; i < HF_ARRAY_COUNT(signums); i++) {
        int rv = sigaction(signums[i], &action, NULL);
        HF_ASSERT(rv == 0);
    }
}
