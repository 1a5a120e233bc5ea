/* The thread that writes generations: it runs store_flush_run() when told to and wakes the loop.
 * One flush at a time; everything else about the store stays with the loop. */
#ifndef SERVER_FLUSHER_H
#define SERVER_FLUSHER_H

#include <pthread.h>
#include <stdbool.h>

#include "base/assert.h"
#include "storage/store.h"

struct flusher {
    struct store *store;           /**< borrowed */
    void (*notify_cb)(void *data); /**< from the thread, after each flush */
    void *data;                    /**< handed to notify_cb */
    pthread_t thread;              /**< joined by flusher_close() */
    pthread_mutex_t mutex;         /**< guards what follows */
    pthread_cond_t changed;        /**< one of them did */
    bool wanted;                   /**< a flush is to be run, or runs */
    bool done;                     /**< it has run; the loop has not heard of it yet */
    bool stop;                     /**< end when nothing is wanted */
    int status;                    /**< what store_flush_run() answered */
};

/** Start the thread, with all signals blocked. \retval HF_ENOMEM nothing is running. */
HF_MUST_USE
int flusher_open(struct flusher *f, struct store *store, void (*notify_cb)(void *data), void *data);

/** Run a flush; none may be running. Loop. */
void flusher_start(struct flusher *f);

/** Take a finished flush back. Loop. \param status Out: its result. \return false: none. */
bool flusher_poll(struct flusher *f, int *status);

/** Wait for a running flush and join. Loop. */
void flusher_close(struct flusher *f);

#endif
