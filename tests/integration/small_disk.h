/* Disks of a few MiB for a test: file systems of their own, seen by this process and those that it
 * starts, and gone with the last of them. They need the right to mount: root's for a real one, a
 * user namespace's for one in memory. */
#ifndef TESTS_INTEGRATION_SMALL_DISK_H
#define TESTS_INTEGRATION_SMALL_DISK_H

#include <stdbool.h>
#include <stdint.h>

enum small_disk_kind {
    SMALL_DISK_EXT4, /* in a file, by a loop device: root alone */
    SMALL_DISK_TMPFS /* in memory: also in a user namespace */
};

struct small_disk {
    char folder[64]; /**< where it is mounted */
    char image[80];  /**< its file; empty = none */
};

/** Mounts are this process's own from here on. Before any thread is started.
 * \return false: that is not permitted here; said on standard error. */
bool small_disk_prepare(void);

/** Make one and mount it over an empty folder; small_disk_prepare() comes first.
 * \return false: it may not be mounted here; said on standard error. */
bool small_disk_mount(struct small_disk *d, const char *folder, enum small_disk_kind kind,
                      unsigned mib);

/** Unmount it and remove its file; what runs on it must have ended. */
void small_disk_remove(struct small_disk *d);

/** MiB that are free on it. */
uint64_t small_disk_free_mib(const struct small_disk *d);

/** Put a file of so many MiB beside everything else, or remove it. Aborts the test on failure. */
void small_disk_put_ballast(const struct small_disk *d, unsigned mib);
void small_disk_drop_ballast(const struct small_disk *d);

#endif
