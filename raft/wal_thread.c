#include "raft/wal_thread.h"

#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "base/thread.h"

static void *run(void *data)
{
    struct wal_thread *t = data;
    pthread_mutex_lock(&t->mutex);
    for (;;) {
        while (!t->stop && (t->job == NULL || t->done)) {
            pthread_cond_wait(&t->changed, &t->mutex);
        }
        if (t->job == NULL || t->done) break; /* stop, and nothing left to do */
        struct wal_job *job = t->job;
        pthread_mutex_unlock(&t->mutex);
        wal_job_run(t->threads->disk, job);
        pthread_mutex_lock(&t->mutex);
        t->done = true;
        pthread_mutex_unlock(&t->mutex);
        t->threads->notify_cb(t->threads->data); /* without the lock: the loop takes it at once */
        pthread_mutex_lock(&t->mutex);
    }
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

static int start(struct wal_threads *threads, enum wal_lane lane)
{
    struct wal_thread *t = &threads->lanes[lane];
    *t = (struct wal_thread){.threads = threads, .lane = lane};
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->changed, NULL);
    if (thread_start(&t->thread, run, t)) return HF_OK;
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->mutex);
    return HF_ENOMEM;
}

static void join(struct wal_thread *t)
{
    pthread_mutex_lock(&t->mutex);
    t->stop = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->mutex);
}

int wal_threads_start(struct wal_threads *t, struct wal *w, struct disk *d,
                      void (*notify_cb)(void *data), void *data)
{
    HF_ASSERT(w != NULL && d != NULL);
    HF_ASSERT(notify_cb != NULL);
    *t = (struct wal_threads){.wal = w, .disk = d, .notify_cb = notify_cb, .data = data};
    int rv = start(t, WAL_LANE_WRITE);
    if (rv != HF_OK) return rv;
    rv = start(t, WAL_LANE_BACKGROUND);
    if (rv != HF_OK) join(&t->lanes[WAL_LANE_WRITE]);
    return rv;
}

/* An idle thread cannot be handed a job but by this call, so no lock is needed to see it idle:
 * `job` is only ever set and cleared by the loop. */
static void hand_in(struct wal_threads *threads, struct wal_thread *t)
{
    if (t->job != NULL) return;
    struct wal_job *job = wal_job_take(threads->wal, t->lane);
    if (job == NULL) return;
    pthread_mutex_lock(&t->mutex);
    t->job = job;
    t->done = false;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}

void wal_threads_kick(struct wal_threads *t)
{
    hand_in(t, &t->lanes[WAL_LANE_WRITE]);
    hand_in(t, &t->lanes[WAL_LANE_BACKGROUND]);
}

/* Take a lane's job back if it has run. */
static int take_back(struct wal_threads *threads, struct wal_thread *t)
{
    pthread_mutex_lock(&t->mutex);
    struct wal_job *job = t->done ? t->job : NULL;
    if (job != NULL) {
        t->job = NULL;
        t->done = false;
    }
    pthread_mutex_unlock(&t->mutex);
    return job == NULL ? HF_OK : wal_job_done(threads->wal, job);
}

int wal_threads_poll(struct wal_threads *t)
{
    int rv = take_back(t, &t->lanes[WAL_LANE_WRITE]);
    if (rv == HF_OK) rv = take_back(t, &t->lanes[WAL_LANE_BACKGROUND]);
    if (rv != HF_OK) return rv;
    wal_threads_kick(t);
    return HF_OK;
}

int wal_threads_stop(struct wal_threads *t)
{
    int result = HF_OK;
    for (int lane = WAL_LANE_WRITE; lane <= WAL_LANE_BACKGROUND; lane++) {
        struct wal_thread *thread = &t->lanes[lane];
        join(thread);
        if (thread->job == NULL) continue;
        int rv = wal_job_done(t->wal, thread->job);
        thread->job = NULL;
        if (result == HF_OK) result = rv;
    }
    return result;
}
