/* A disk in memory behind base/disk.h, with a write cache that a crash tears.
 *   write, allocate   change what is read back, and remain in the cache
 *   sync, sync_names  make a file's bytes, or the directory's names, durable
 *   sim_disk_crash()  the power goes: of each file's unsynced sectors a random subset survives, and
 *                     of the unsynced names too; the rest is as it was at the last sync
 * Faults on demand: the n-th next write, sync or read fails, and the space may run out.
 * One thread; every outcome follows from the seed. */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/disk.h"
#include "base/prng.h"

struct sim_inode; /* a file's bytes, by whatever names */

struct sim_name {
    char name[DISK_NAME_BYTES_MAX + 1];
    struct sim_inode *inode;
};

/** A change of the directory that is not synced yet. */
struct sim_name_change {
    char from[DISK_NAME_BYTES_MAX + 1]; /**< removed; empty for a creation */
    char to[DISK_NAME_BYTES_MAX + 1];   /**< made; empty for a removal */
    struct sim_inode *inode;            /**< what `to` names */
};

struct sim_names {
    struct sim_name *items; /**< owned */
    size_t count;           /**< names */
};

/** A write that may turn out to be lost, and what stood there before. */
struct sim_written {
    struct sim_inode *inode; /**< NULL = a free place */
    uint64_t order;          /**< counts writes */
    uint64_t offset;         /**< bytes */
    uint64_t size;           /**< bytes */
    uint8_t *before;         /**< owned */
    bool synced;             /**< acknowledged */
};

enum { SIM_DISK_WRITES_MAX = 32 };

struct sim_disk {
    struct disk disk;                /**< hand &this->disk to whoever needs one */
    struct prng random;              /**< what survives a crash */
    struct sim_names current;        /**< what calls see */
    struct sim_names durable;        /**< what a crash leaves at least */
    struct sim_name_change *changes; /**< owned; unsynced, in order */
    size_t change_count;             /**< of them */
    struct sim_inode *inodes;        /**< owned; all, linked */
    size_t open_count;               /**< files open now */
    uint64_t bytes_max;              /**< capacity; HF_EDISKFULL beyond */
    uint64_t bytes;                  /**< allocated in all files that have a name */
    uint64_t write_fails_in;         /**< the n-th write from now fails with HF_EIO; 0 = none */
    uint64_t sync_fails_in;          /**< the same for syncs */
    uint64_t read_fails_in;          /**< the same for reads */
    bool power_fails;                /**< the power goes while something is done: only so many... */
    uint64_t power_syncs;            /**< ... syncs still succeed, and the next one fails */
    bool power_gone;                 /**< it has: nothing has an effect until sim_disk_crash() */
    uint64_t write_count;            /**< writes so far */
    uint64_t sync_count;             /**< syncs of files so far */
    bool remembers;                  /**< keep the last writes for sim_disk_forget() */
    const char *spares;              /**< static: of files that begin so not the newest one */
    struct sim_written writes[SIM_DISK_WRITES_MAX]; /**< a circle, by order */
};

/** An empty disk. */
void sim_disk_init(struct sim_disk *d, uint64_t seed);

/** Free everything; all files must be closed. */
void sim_disk_close(struct sim_disk *d);

/** The power goes and comes back. All files must be closed before (their handles are gone). */
void sim_disk_crash(struct sim_disk *d);

/** The process dies, the machine does not: what was written stays readable, still unsynced. */
static inline void sim_disk_kill(struct sim_disk *d)
{
    HF_ASSERT(d->open_count == 0);
}

/** A file's bytes as read back, to be damaged by a test; NULL if there is none. Changes count as
 * durable. \param bytes Out: its length. */
uint8_t *sim_disk_bytes(struct sim_disk *d, const char *name, uint64_t *bytes);

/** Make the present bytes of a file durable, as rot and tests leave them. */
void sim_disk_settle(struct sim_disk *d, const char *name);

/** Change one bit somewhere in a file of the directory, durably. \return its name, borrowed until
 * the disk changes; NULL: there is nothing to change. */
const char *sim_disk_rot(struct sim_disk *d);

/** One of the last writes was never made, though a sync acknowledged it; nothing else has been
 * written there since. Only while it `remembers`. \param astray  it went somewhere else in its file
 * instead. \return the file's name, borrowed until the disk changes; NULL: there is none. */
const char *sim_disk_forget(struct sim_disk *d, bool astray);

/** Remove a name from both views, as a careless administrator would. */
void sim_disk_lose(struct sim_disk *d, const char *name);

#endif
