/* The small file interface under the log, the vote file and every marker file: one directory of
 * flat files. disk_posix is the kernel's; the simulation has one with a write cache that a crash
 * tears. All calls block; each may be used from any thread, one call on a file at a time.
 * No call retries and none hides an error: a failed sync means that the caller must stop. */
#ifndef BASE_DISK_H
#define BASE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/slice.h"

struct disk;
struct disk_file; /* opaque: one open file of an implementation */

enum disk_open_flags {
    DISK_READ = 0,   /**< must exist; opened for reading and writing */
    DISK_CREATE = 1, /**< make it: HF_EEXIST if it is there */
};

enum { DISK_NAME_BYTES_MAX = 63, DISK_SECTOR_BYTES = 512 };

struct disk_space {
    uint64_t free_bytes;     /**< that could still be written for us */
    uint64_t capacity_bytes; /**< of the whole file system */
};

/** What an implementation provides; see the functions below for the meaning of each. */
struct disk_ops {
    int (*open)(struct disk *d, const char *name, unsigned flags, struct disk_file **file);
    void (*close)(struct disk *d, struct disk_file *file);
    int (*size)(struct disk *d, struct disk_file *file, uint64_t *bytes);
    int (*read)(struct disk *d, struct disk_file *file, uint64_t offset, void *out, size_t bytes);
    int (*write)(struct disk *d, struct disk_file *file, uint64_t offset, struct slice bytes);
    int (*allocate)(struct disk *d, struct disk_file *file, uint64_t bytes);
    int (*sync)(struct disk *d, struct disk_file *file);
    int (*rename)(struct disk *d, const char *from, const char *to);
    int (*remove)(struct disk *d, const char *name);
    int (*sync_names)(struct disk *d);
    int (*list)(struct disk *d, void (*each_cb)(const char *name, void *data), void *data);
    int (*space)(struct disk *d, struct disk_space *out);
};

struct disk {
    const struct disk_ops *ops; /**< static */
};

/** Open a file. \param name 1 to 63 bytes without '/'; borrowed. \param flags enum disk_open_flags.
 * \param file Out; owned, disk_close() it. \retval HF_ENOTFOUND, HF_EEXIST, HF_EDISKFULL, HF_EIO */
static inline HF_MUST_USE
int disk_open(struct disk *d, const char *name, unsigned flags, struct disk_file **file)
{
    return d->ops->open(d, name, flags, file);
}

/** Close; never syncs. NULL is accepted. */
static inline void disk_close(struct disk *d, struct disk_file *file)
{
    if (file != NULL) d->ops->close(d, file);
}

/** The file's length in bytes. */
static inline HF_MUST_USE
int disk_size(struct disk *d, struct disk_file *file, uint64_t *bytes)
{
    return d->ops->size(d, file, bytes);
}

/** Read exactly `bytes` bytes at `offset`. \retval HF_ECORRUPT the file ends before. */
static inline HF_MUST_USE
int disk_read(struct disk *d, struct disk_file *file, uint64_t offset, void *out, size_t bytes)
{
    return d->ops->read(d, file, offset, out, bytes);
}

/** Write all of `bytes` at `offset`; durable only after disk_sync(). A short write is HF_EIO. */
static inline HF_MUST_USE
int disk_write(struct disk *d, struct disk_file *file, uint64_t offset, struct slice bytes)
{
    return d->ops->write(d, file, offset, bytes);
}

/** Make the file `bytes` long, its blocks reserved and all zero where nothing was written: later
 * writes below `bytes` need no new block. \retval HF_EDISKFULL nothing more was reserved. */
static inline HF_MUST_USE
int disk_allocate(struct disk *d, struct disk_file *file, uint64_t bytes)
{
    return d->ops->allocate(d, file, bytes);
}

/** Make everything written to the file durable. After a failure nothing may be assumed. */
static inline HF_MUST_USE
int disk_sync(struct disk *d, struct disk_file *file)
{
    return d->ops->sync(d, file);
}

/** Give a file another name, replacing what has it. Durable after disk_sync_names(). */
static inline HF_MUST_USE
int disk_rename(struct disk *d, const char *from, const char *to)
{
    return d->ops->rename(d, from, to);
}

/** Remove a name. Durable after disk_sync_names(). \retval HF_ENOTFOUND */
static inline HF_MUST_USE
int disk_remove(struct disk *d, const char *name)
{
    return d->ops->remove(d, name);
}

/** Make creations, renames and removals durable. */
static inline HF_MUST_USE
int disk_sync_names(struct disk *d)
{
    return d->ops->sync_names(d);
}

/** Call `each_cb` for every file's name, in no particular order. */
static inline HF_MUST_USE
int disk_list(struct disk *d, void (*each_cb)(const char *name, void *data), void *data)
{
    return d->ops->list(d, each_cb, data);
}

/** How much room there is now. */
static inline HF_MUST_USE
int disk_space(struct disk *d, struct disk_space *out)
{
    return d->ops->space(d, out);
}

/* ------------------------------------------------------------------ the kernel's */

/** A directory of the file system, locked against a second process (flock) while open. */
struct disk_posix {
    struct disk disk; /**< hand &this->disk to whoever needs a disk */
    int dir_fd;       /**< the directory; holds the lock; -1 = closed */
};

/** Open directory `path` and lock it. \param create make it (mode 0700) if it does not exist.
 * \retval HF_ENOTFOUND  no such directory; \retval HF_ELOCKED another process has it;
 * \retval HF_EIO */
HF_MUST_USE
int disk_posix_open(struct disk_posix *d, const char *path, bool create);

/** Make the directory's own name durable, in the directory that holds it; before anything in a new
 * one is relied on. A parent that we may not read or write had the name before: HF_OK. */
HF_MUST_USE
int disk_posix_sync_own_name(struct disk_posix *d);

/** Unlock and close; a closed one is accepted. */
void disk_posix_close(struct disk_posix *d);

#endif
