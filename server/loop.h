/* The server's loop: one thread, one libuv loop, everything of a running holdfastd in it.
 *
 * A turn: libuv reads what the sockets have ready and hands it to the door (connection.c); then
 * the check handle ends the pass: finished jobs, time-outs, the replica's pass, new jobs, and one
 * gathered write for each connection that has output. The prepare handle arms the one timer at the
 * next moment that anything is due; with nothing due the process sleeps.
 *
 * Failure modes: any fault ends the process at once with code 74 and one line that says which;
 * nothing is retried and nothing more is answered. A stop (SIGTERM, SIGINT) answers what is in
 * flight and ends within a limit (server/stopping.h). */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/clock.h"
#include "raft/wal_thread.h"
#include "server/config.h"
#include "server/data_dir.h"
#include "server/door.h"
#include "server/flusher.h"
#include "server/listener.h"
#include "server/peer_sockets.h"
#include "server/replica.h"
#include "server/stopping.h"

enum { LOOP_READ_BYTES = 64 * 1024 };

struct loop {
    uv_loop_t uv;                         /**< the one loop */
    uv_prepare_t prepare;                 /**< before the wait: arm the timer */
    uv_check_t check;                     /**< after the reads: end the pass */
    uv_timer_t timer;                     /**< wakes for what is due */
    uv_async_t wake;                      /**< from the threads: a job is done */
    uv_signal_t signals[2];               /**< SIGTERM, SIGINT */
    struct listener listener;             /**< accepts clients */
    struct door door;                     /**< their requests */
    struct peer_sockets peer_sockets;     /**< the other servers */
    struct replica *replica;              /**< owned */
    struct wal_threads wal_threads;       /**< run the log's jobs */
    struct flusher flusher;               /**< runs the store's */
    struct data_dir *dir;                 /**< borrowed */
    const struct config *config;          /**< borrowed */
    struct clock clock;                   /**< the kernel's */
    struct stopping stopping;             /**< begun by a signal */
    uint64_t stall_count;                 /**< stalls logged so far */
    uint64_t overdue_count;               /**< alarms of REVOKE, likewise */
    enum driver_state role;               /**< as last logged */
    uint64_t leader;                      /**< likewise: its id, 0 = none */
    const char *shortage;                 /**< of space, as last logged; static */
    bool ready;                           /**< the ready line was written */
    bool flushing;                        /**< the flusher runs */
    uint8_t read_buffer[LOOP_READ_BYTES]; /**< every connection's, for the length of a callback */
};

/** Serve until told to stop. Blocks. \param dir  open; borrowed. \return the exit code. */
HF_MUST_USE
int loop_run(const struct config *config, struct data_dir *dir);

/** The time, read now. */
struct replica_now loop_now(const struct loop *l);

/** End the process if `status` is not HF_OK: log what failed, exit 74. */
void loop_must(int status, const char *what);

#endif
