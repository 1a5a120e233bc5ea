/* What the parts of the verb `bench` share. A caller is a closed loop: one request under way, the
 * next one when it is answered. Callers are calls without waiting (bench_async.c), or threads that
 * block (bench_threads.c). */
#ifndef CLIENT_CLI_BENCH_H
#define CLIENT_CLI_BENCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "client/cli/cli.h"
#include "client/cli/histogram.h"
#include "client/include/holdfast_async.h"

enum {
    BENCH_CALLERS_MAX = 4096,
    BENCH_CLIENTS_MAX = 1024,
    BENCH_NAME_BYTES = 96,     /* of a lock or a key, its end included */
    BENCH_ERROR_PAUSE_MS = 10, /* do not spin on a dead server */
    BENCH_RATE_PAUSE_MS = 1,   /* how often somebody looks whose cycle is due */
};

enum bench_phase { BENCH_WARM_UP, BENCH_COUNT, BENCH_STOP };

/** What was counted; written by one thread at a time. */
struct tally {
    uint64_t cycles;          /**< counted */
    uint64_t errors;          /**< counted */
    struct histogram acquire; /**< or begin */
    struct histogram release; /**< or complete */
};

struct bench {
    struct cli *cli;               /**< the invocation */
    bool record;                   /**< records, not locks */
    bool threads;                  /**< --threads */
    uint64_t caller_count;         /**< --clients */
    uint64_t client_count;         /**< --connections */
    uint64_t seconds;              /**< --seconds */
    uint64_t body_bytes;           /**< --body */
    uint64_t rate;                 /**< --rate: cycles a second of all callers; 0: unlimited */
    uint64_t retain_ms;            /**< --retain: of records */
    uint64_t run_id;               /**< random: names of two runs differ */
    hf_client **clients;           /**< client_count of them */
    struct tally *tallies;         /**< one a client, or one a thread */
    uint8_t *body;                 /**< body_bytes bytes */
    atomic_int phase;              /**< enum bench_phase */
    atomic_int first_error;        /**< a status, for people */
    atomic_uint_fast64_t grant_ns; /**< the newest first half, of anybody */
    atomic_uint_fast64_t gap_ns;   /**< the longest time without one, while counting */
    uint64_t count_from_ns;        /**< when counting began */
};

struct caller {
    struct bench *bench;         /**< shared */
    hf_client *client;           /**< which it uses */
    struct tally *tally;         /**< where it counts */
    uint64_t number;             /**< 0, 1, ... */
    uint64_t cycle;              /**< of its names */
    uint64_t due_ns;             /**< with a rate: when its next cycle is due */
    uint64_t from_ns;            /**< when its cycle began */
    uint64_t middle_ns;          /**< when its first half was answered */
    uint64_t end_ns;             /**< when its last cycle ended */
    char name[BENCH_NAME_BYTES]; /**< of its cycle */
    hf_lock *lock;               /**< owned */
    hf_grant grant;              /**< of its cycle */
    hf_record *record;           /**< of its cycle; owned */
    atomic_bool resting;         /**< calls without waiting: none is under way */
    pthread_t thread;            /**< of threads */
};

/** The clock of everything that is measured, nanoseconds. */
uint64_t bench_now_ns(void);

/** Begin a cycle: its name and its time. With a rate it began when it was due, if the one before
 * took so long that it is late: the next caller of a real service would have waited, too. */
void bench_next(struct caller *c);

/** When this caller may begin its next cycle; 0: at once. */
uint64_t bench_due_ns(const struct caller *c);

/** The first half of the cycle was answered. */
void bench_middle(struct caller *c, int status);

/** A cycle ended with `status`; count it if it is time to. Remembers the first error. */
void bench_count(struct caller *c, int status);

/** A caller's handle. Failures are remembered as bench_count() does. */
HF_MUST_USE
int bench_prepare(struct caller *c);

/** Warm up and count, then stop; in between `each_cb` (may be NULL) runs every
 * BENCH_ERROR_PAUSE_MS, or BENCH_RATE_PAUSE_MS with a rate. \return nanoseconds that were counted
 */
uint64_t bench_wait(struct bench *b, void (*each_cb)(struct caller *callers),
                    struct caller *callers);

/** Run all callers. \param counted_ns Out: how long was counted. \return an exit code. */
HF_MUST_USE
int bench_run_async(struct bench *b, struct caller *callers, uint64_t *counted_ns);
HF_MUST_USE
int bench_run_threads(struct bench *b, struct caller *callers, uint64_t *counted_ns);

#endif
