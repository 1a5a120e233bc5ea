/* See the header. */
#define _GNU_SOURCE /* unshare */
#include "tests/integration/small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"

static bool complain(const char *what)
{
    fprintf(stderr, "no small disk: %s: ", what);
    perror(NULL);
    return false;
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return good;
}

/* One that is not root becomes it in a namespace. */
bool small_disk_prepare(void)
{
    char users[64], groups[64];
    if (geteuid() == 0) {
        if (unshare(CLONE_NEWNS) != 0) return complain("a namespace of mounts");
    } else {
        snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
        snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return complain("a namespace of users");
        bool mapped = write_text("/proc/self/setgroups", "deny") &&
                      write_text("/proc/self/uid_map", users) &&
                      write_text("/proc/self/gid_map", groups);
        if (!mapped) return complain("a namespace's users");
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || complain("private mounts");
}

static bool mount_ext4(struct small_disk *d, unsigned mib)
{
    char command[400];
    snprintf(d->image, sizeof d->image, "%s.image", d->folder);
    int size = snprintf(command, sizeof command,
                        "truncate -s %uM '%s' && mkfs.ext4 -q -F -m 0 '%s' && mount -o loop "
                        "'%s' '%s'",
                        mib, d->image, d->image, d->image, d->folder);
    HF_ASSERT(size > 0 && (size_t)size < sizeof command);
    errno = EPERM;
    return system(command) == 0 || complain("mount -o loop");
}

static bool mount_tmpfs(const struct small_disk *d, unsigned mib)
{
    char size[32];
    snprintf(size, sizeof size, "size=%um", mib);
    return mount("tmpfs", d->folder, "tmpfs", 0, size) == 0 || complain("mount of a tmpfs");
}

bool small_disk_mount(struct small_disk *d, const char *folder, enum small_disk_kind kind,
                      unsigned mib)
{
    *d = (struct small_disk){0};
    int wrote = snprintf(d->folder, sizeof d->folder, "%s", folder);
    HF_ASSERT(wrote > 0 && (size_t)wrote < sizeof d->folder);
    return kind == SMALL_DISK_EXT4 ? mount_ext4(d, mib) : mount_tmpfs(d, mib);
}

void small_disk_remove(struct small_disk *d)
{
    (void)umount(d->folder);
    if (d->image[0] != '\0') (void)unlink(d->image);
}

uint64_t small_disk_free_mib(const struct small_disk *d)
{
    struct statvfs s;
    HF_ASSERT(statvfs(d->folder, &s) == 0);
    return (uint64_t)s.f_bavail * s.f_frsize >> 20;
}

static void name_ballast(const struct small_disk *d, char *path, size_t bytes)
{
    snprintf(path, bytes, "%s/ballast", d->folder);
}

void small_disk_put_ballast(const struct small_disk *d, unsigned mib)
{
    char path[80];
    name_ballast(d, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    HF_ASSERT(fd >= 0);
    HF_ASSERT(posix_fallocate(fd, 0, (off_t)mib << 20) == 0);
    close(fd);
}

void small_disk_drop_ballast(const struct small_disk *d)
{
    char path[80];
    name_ballast(d, path, sizeof path);
    HF_ASSERT(unlink(path) == 0);
}
