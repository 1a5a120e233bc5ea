/* See server/flusher.h. */
#include "server/flusher.h"

#include "base/status.h"
#include "base/thread.h"

static void *run(void *data)
{
    struct flusher *f = data;
    pthread_mutex_lock(&f->mutex);
    for (;;) {
        while (!f->stop && (!f->wanted || f->done)) pthread_cond_wait(&f->changed, &f->mutex);
        if (!f->wanted || f->done) break;
        pthread_mutex_unlock(&f->mutex);
        int status = store_flush_run(f->store);
        pthread_mutex_lock(&f->mutex);
        f->status = status;
        f->done = true;
        f->notify_cb(f->data);
    }
    pthread_mutex_unlock(&f->mutex);
    return NULL;
}

int flusher_open(struct flusher *f, struct store *store, void (*notify_cb)(void *data), void *data)
{
    *f = (struct flusher){.store = store, .notify_cb = notify_cb, .data = data};
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->changed, NULL);
    return thread_start(&f->thread, run, f) ? HF_OK : HF_ENOMEM;
}

void flusher_start(struct flusher *f)
{
    pthread_mutex_lock(&f->mutex);
    HF_ASSERT(!f->wanted);
    f->wanted = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}

bool flusher_poll(struct flusher *f, int *status)
{
    pthread_mutex_lock(&f->mutex);
    bool done = f->done;
    if (done) {
        *status = f->status;
        f->wanted = false;
        f->done = false;
    }
    pthread_mutex_unlock(&f->mutex);
    return done;
}

void flusher_close(struct flusher *f)
{
    pthread_mutex_lock(&f->mutex);
    f->stop = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->mutex);
    pthread_join(f->thread, NULL);
    pthread_mutex_destroy(&f->mutex);
    pthread_cond_destroy(&f->changed);
}
