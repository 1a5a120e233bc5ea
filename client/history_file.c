/* See the header. */
#include "client/history_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/prng.h"
#include "base/status.h"
#include "base/thread.h"

enum { FILE_MODE = 0644, HEADER_BYTES = 256, ID_BITS = 20 };

struct history_file {
    struct recorder_sink sink; /**< the core's, under the client's lock */
    pthread_t thread;          /**< writes */
    pthread_mutex_t lock;      /**< guards what follows */
    pthread_cond_t wake;       /**< there is something, or the end has come */
    struct buffer waiting;     /**< lines to be written next */
    const char *why;           /**< the recording has stopped: the reason; else NULL */
    bool closing;              /**< write what waits, and end */
    struct buffer writing;     /**< lines being written; the thread's */
    int fd;                    /**< of the file, for appending */
};

/* ------------------------------------------------------------------ writing */

/* \return how many bytes the file took. */
static size_t append(int fd, struct slice bytes)
{
    size_t written = 0;
    while (written < bytes.size) {
        ssize_t rv = write(fd, bytes.data + written, bytes.size - written);
        if (rv < 0 && errno == EINTR) continue;
        if (rv <= 0) break;
        written += (size_t)rv;
    }
    return written;
}

/* With the lock held. */
static void stop(struct history_file *f, const char *why)
{
    if (f->why != NULL) return;
    f->why = why;
    log_error("the history is not whole: the recording has stopped", "why=\"%s\"", why);
}

/* A note behind what was written last; a part of a line is ended first. */
static void leave_note(int fd, const char *why, bool torn)
{
    struct buffer out;
    buffer_init(&out, HEADER_BYTES);
    if ((!torn || buffer_append(&out, "\n", 1) == HF_OK) && recorder_note_write(&out, why) == HF_OK)
        (void)append(fd, buffer_slice(&out)); /* no room for it, either: the log has said it */
    buffer_close(&out);
}

static void *run(void *data)
{
    struct history_file *f = data;
    bool torn = false;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        while (f->waiting.size == 0 && !f->closing) pthread_cond_wait(&f->wake, &f->lock);
        if (f->waiting.size == 0) break;
        struct buffer lines = f->waiting;
        f->waiting = f->writing;
        f->writing = lines;
        pthread_mutex_unlock(&f->lock);
        size_t written = append(f->fd, buffer_slice(&lines));
        torn = written > 0 && written < lines.size && lines.data[written - 1] != '\n';
        buffer_clear(&f->writing);
        pthread_mutex_lock(&f->lock);
        if (written == lines.size) continue;
        stop(f, "the file takes no more");
        buffer_clear(&f->waiting);
        break;
    }
    const char *why = f->why;
    pthread_mutex_unlock(&f->lock);
    if (why != NULL) leave_note(f->fd, why, torn);
    return NULL;
}

/* ------------------------------------------------------------------ the sink */

static uint64_t now(void *data)
{
    (void)data;
    return clock_monotonic_ns();
}

static void take_line(void *data, struct slice line)
{
    struct history_file *f = data;
    pthread_mutex_lock(&f->lock);
    if (f->why == NULL && buffer_append(&f->waiting, line.data, line.size) != HF_OK)
        stop(f, "lines come faster than they are written, or memory is short");
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
}

static void take_gap(void *data)
{
    struct history_file *f = data;
    pthread_mutex_lock(&f->lock);
    stop(f, "memory is short");
    pthread_mutex_unlock(&f->lock);
}

/* ------------------------------------------------------------------ begin and end */

/* One header a file, whoever comes first. */
static int write_header(int fd)
{
    struct stat found;
    struct buffer header;
    int rv = HF_EIO;
    buffer_init(&header, HEADER_BYTES);
    if (flock(fd, LOCK_EX) == 0 && fstat(fd, &found) == 0) {
        rv = HF_OK;
        if (found.st_size == 0) rv = recorder_header_write(&header, 0, 0);
        if (rv == HF_OK && append(fd, buffer_slice(&header)) != header.size) rv = HF_EIO;
    }
    (void)flock(fd, LOCK_UN);
    buffer_close(&header);
    return rv;
}

static void free_file(struct history_file *f)
{
    if (f->fd >= 0) close(f->fd);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    buffer_close(&f->waiting);
    buffer_close(&f->writing);
    free(f);
}

int history_file_open(const char *path, struct history_file **out)
{
    struct history_file *f = calloc(1, sizeof *f);
    if (f == NULL) return HF_ENOMEM;
    uint32_t first;
    random_bytes(&first, sizeof first); /* of several clients that write to one file */
    f->sink = (struct recorder_sink){.now_cb = now,
                                     .line_cb = take_line,
                                     .broken_cb = take_gap,
                                     .data = f,
                                     .id_last = (uint64_t)first << ID_BITS};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    buffer_init(&f->waiting, HISTORY_BYTES_MAX);
    buffer_init(&f->writing, HISTORY_BYTES_MAX);
    f->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, FILE_MODE);
    int rv = f->fd >= 0 ? write_header(f->fd) : HF_EIO;
    if (rv == HF_OK && !thread_start(&f->thread, run, f)) rv = HF_EIO;
    if (rv == HF_OK) {
        *out = f;
    } else {
        free_file(f);
    }
    return rv;
}

struct recorder_sink *history_file_sink(struct history_file *f)
{
    return &f->sink;
}

void history_file_close(struct history_file *f, bool forked)
{
    if (f == NULL) return;
    if (forked) { /* its thread is not here, and its lock may be held for ever */
        close(f->fd);
        return;
    }
    pthread_mutex_lock(&f->lock);
    f->closing = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    free_file(f);
}
