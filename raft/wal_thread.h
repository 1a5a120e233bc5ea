/* The log's two threads: one writes and syncs groups, one prepares, removes and reads segments, so
 * that those never delay a write. They only run jobs; all decisions stay with the loop:
 *   loop: wal_append()... -> wal_threads_kick() -> [thread: wal_job_run()] -> notify_cb (from the
 *   thread) -> loop: wal_threads_poll() -> wal_job_done(), next job
 * A lane holds one job at a time, so nothing queues here. */
#ifndef RAFT_WAL_THREAD_H
#define RAFT_WAL_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/disk.h"
#include "raft/wal.h"

struct wal_threads;

/** One thread and its hand-over place. */
struct wal_thread {
    struct wal_threads *threads; /**< borrowed, back to the pair */
    enum wal_lane lane;          /**< whose jobs it runs */
    pthread_t thread;            /**< joined by wal_threads_stop() */
    pthread_mutex_t mutex;       /**< guards the next three */
    pthread_cond_t changed;      /**< a job was handed in, or stop was set */
    struct wal_job *job;         /**< handed in, running until `done` */
    bool done;                   /**< the job has run; the loop has not taken it back yet */
    bool stop;                   /**< end once no job is left */
};

struct wal_threads {
    struct wal *wal;               /**< borrowed; the loop's */
    struct disk *disk;             /**< borrowed */
    void (*notify_cb)(void *data); /**< from a thread, after each job: wake the loop */
    void *data;                    /**< handed to notify_cb */
    struct wal_thread lanes[2];    /**< by enum wal_lane */
};

/** Start both threads, with all signals blocked. \param notify_cb called from them (the server:
 * uv_async_send). \retval HF_ENOMEM nothing is running. */
HF_MUST_USE
int wal_threads_start(struct wal_threads *t, struct wal *w, struct disk *d,
                      void (*notify_cb)(void *data), void *data);

/** Hand idle threads their next jobs. Loop; cheap; after every round of appends. */
void wal_threads_kick(struct wal_threads *t);

/** Take finished jobs back and hand out the next. Loop; after notify_cb.
 * \retval as wal_job_done(): anything but HF_OK must end the process with code 74. */
HF_MUST_USE
int wal_threads_poll(struct wal_threads *t);

/** Wait for running jobs, take them back, join. Loop. \retval as wal_job_done(). */
HF_MUST_USE
int wal_threads_stop(struct wal_threads *t);

#endif
