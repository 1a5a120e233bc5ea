/* What every load generator for a rival shares: its arguments, a closed loop's clock, the counting
 * and the one JSON line at the end, which has the keys of `holdfast bench`. One thread; the caller
 * owns the sockets and calls in from its loop. */
#ifndef TESTS_BENCH_RIVALS_LOAD_H
#define TESTS_BENCH_RIVALS_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "client/cli/histogram.h"

enum { LOAD_CLIENTS_MAX = 4096, LOAD_SERVERS_MAX = 8, LOAD_BODY_BYTES = 200 };

/** A client's clock: when it may begin, and when the halves of its cycle did. */
struct load_client {
    uint64_t due_ns;    /**< when its next cycle is due; 0: at once */
    uint64_t from_ns;   /**< when the cycle under way began */
    uint64_t middle_ns; /**< when its first half was answered */
    uint64_t cycle;     /**< how many it has begun */
};

struct load {
    const char *servers[LOAD_SERVERS_MAX]; /**< "host:port", borrowed from argv */
    unsigned server_count;                 /**< 1 to LOAD_SERVERS_MAX */
    bool record;                           /**< records, not locks */
    unsigned client_count;                 /**< 1 to LOAD_CLIENTS_MAX */
    unsigned connection_count;             /**< that the clients share, a server */
    uint64_t rate;                         /**< cycles a second of all clients; 0: unlimited */
    uint64_t fill;                         /**< records to be made as fast as it goes; 0: none */
    uint64_t run_id;                       /**< random: names of two runs differ */
    char body[LOAD_BODY_BYTES + 1];        /**< what a record holds */
    struct load_client clients[LOAD_CLIENTS_MAX];
    uint64_t warm_up_ns;     /**< how long the warm-up is */
    uint64_t count_ns;       /**< and what is counted */
    uint64_t count_from_ns;  /**< the warm-up ends */
    uint64_t stop_ns;        /**< the run ends */
    uint64_t cycles;         /**< counted */
    uint64_t errors;         /**< counted */
    uint64_t made;           /**< cycles that succeeded, counted or not */
    uint64_t grant_ns;       /**< the newest first half, of anybody */
    uint64_t gap_ns;         /**< the longest time without one, while counting */
    struct histogram first;  /**< acquire, or begin */
    struct histogram second; /**< release, or complete */
};

/** CLOCK_MONOTONIC. */
uint64_t load_now_ns(void);

/** Read the arguments:
 *     lock|record --servers A,B,C --clients N --connections M --seconds S [--warm-up S] [--rate R]
 *     fill N --servers A,...
 * Ends the process with 64 and a sentence if they are wrong. Starts the clock. */
void load_start(struct load *l, int argc, char **argv);

/** Start the clock anew, once all connections are open. */
void load_restart(struct load *l);

/** Whether the run goes on at `now_ns`. */
static inline bool load_goes_on(const struct load *l, uint64_t now_ns)
{
    return now_ns < l->stop_ns && (l->fill == 0 || l->made < l->fill);
}

/** Client `i` begins a cycle, unless it is not due yet. Writes its name into `name`. */
bool load_begin(struct load *l, unsigned i, uint64_t now_ns, char name[64]);

/** The first half of client `i` succeeded. */
void load_middle(struct load *l, unsigned i, uint64_t now_ns);

/** The cycle of client `i` is over. */
void load_end(struct load *l, unsigned i, uint64_t now_ns, bool ok);

/** Print the JSON line. Returns the exit code: 1 if nothing was counted. */
int load_print(const struct load *l);

/** Print a sentence and end the process with 1. */
_Noreturn void load_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
