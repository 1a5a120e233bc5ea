/* The kernel's files behind base/disk.h. One directory, held by a lock on its descriptor, so that
 * a second process on the same data stops with a sentence instead of voting twice. */
#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/status.h"

struct disk_file {
    int fd; /* open for reading and writing */
};

static struct disk_posix *self(struct disk *d)
{
    return HF_CONTAINER_OF(d, struct disk_posix, disk);
}

static int file_open(struct disk *d, const char *name, unsigned flags, struct disk_file **file)
{
    HF_ASSERT(strlen(name) >= 1 && strlen(name) <= DISK_NAME_BYTES_MAX);
    HF_ASSERT(strchr(name, '/') == NULL);
    int extra = (flags & DISK_CREATE) != 0 ? O_CREAT | O_EXCL : 0;
    struct disk_file *made = malloc(sizeof *made);
    if (made == NULL) return HF_ENOMEM;
    made->fd = openat(self(d)->dir_fd, name, O_RDWR | O_CLOEXEC | extra, 0600);
    if (made->fd < 0) {
        int rv = status_from_errno(errno);
        free(made);
        return rv;
    }
    *file = made;
    return HF_OK;
}

static void file_close(struct disk *d, struct disk_file *file)
{
    (void)d;
    close(file->fd);
    free(file);
}

static int file_size(struct disk *d, struct disk_file *file, uint64_t *bytes)
{
    (void)d;
    struct stat st;
    if (fstat(file->fd, &st) != 0) return status_from_errno(errno);
    *bytes = (uint64_t)st.st_size;
    return HF_OK;
}

static int file_read(struct disk *d, struct disk_file *file, uint64_t offset, void *out,
                     size_t bytes)
{
    (void)d;
    uint8_t *to = out;
    while (bytes > 0) {
        ssize_t got = pread(file->fd, to, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return status_from_errno(errno);
        if (got == 0) return HF_ECORRUPT;
        to += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return HF_OK;
}

static int file_write(struct disk *d, struct disk_file *file, uint64_t offset, struct slice bytes)
{
    (void)d;
    ssize_t put = pwrite(file->fd, bytes.data, bytes.size, (off_t)offset);
    if (put < 0) return status_from_errno(errno);
    return (size_t)put == bytes.size ? HF_OK : HF_EIO;
}

/* posix_fallocate reserves unwritten extents: the first overwrite of one would still change the
 * file's metadata and make each sync two to three times dearer. So the zeros are written. */
static int file_allocate(struct disk *d, struct disk_file *file, uint64_t bytes)
{
    (void)d;
    static const uint8_t zeros[256 * 1024];
    uint64_t at = 0;
    int rv = file_size(d, file, &at);
    if (rv != HF_OK) return rv;
    int err = posix_fallocate(file->fd, 0, (off_t)bytes);
    if (err != 0) return status_from_errno(err);
    while (at < bytes) {
        size_t chunk = bytes - at < sizeof zeros ? (size_t)(bytes - at) : sizeof zeros;
        rv = file_write(d, file, at, slice_make(zeros, chunk));
        if (rv != HF_OK) return rv;
        at += chunk;
    }
    return HF_OK;
}

static int file_sync(struct disk *d, struct disk_file *file)
{
    (void)d;
    return fdatasync(file->fd) == 0 ? HF_OK : HF_EIO;
}

static int name_rename(struct disk *d, const char *from, const char *to)
{
    int fd = self(d)->dir_fd;
    return renameat(fd, from, fd, to) == 0 ? HF_OK : status_from_errno(errno);
}

static int name_remove(struct disk *d, const char *name)
{
    return unlinkat(self(d)->dir_fd, name, 0) == 0 ? HF_OK : status_from_errno(errno);
}

static int names_sync(struct disk *d)
{
    return fsync(self(d)->dir_fd) == 0 ? HF_OK : HF_EIO;
}

static int names_list(struct disk *d, void (*each_cb)(const char *name, void *data), void *data)
{
    int fd = openat(self(d)->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return status_from_errno(errno);
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return HF_ENOMEM;
    }
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') each_cb(entry->d_name, data);
        errno = 0;
    }
    int rv = errno == 0 ? HF_OK : status_from_errno(errno);
    closedir(dir);
    return rv;
}

static int space_look(struct disk *d, struct disk_space *out)
{
    struct statvfs st;
    if (fstatvfs(self(d)->dir_fd, &st) != 0) return status_from_errno(errno);
    out->free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    out->capacity_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    return HF_OK;
}

static const struct disk_ops posix_ops = {
    .open = file_open,
    .close = file_close,
    .size = file_size,
    .read = file_read,
    .write = file_write,
    .allocate = file_allocate,
    .sync = file_sync,
    .rename = name_rename,
    .remove = name_remove,
    .sync_names = names_sync,
    .list = names_list,
    .space = space_look,
};

int disk_posix_open(struct disk_posix *d, const char *path, bool create)
{
    HF_ASSERT(path != NULL && path[0] != '\0');
    *d = (struct disk_posix){.disk = {.ops = &posix_ops}, .dir_fd = -1};
    if (create && mkdir(path, 0700) != 0 && errno != EEXIST) return status_from_errno(errno);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return status_from_errno(errno);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int rv = status_from_errno(errno);
        close(fd);
        return rv;
    }
    d->dir_fd = fd;
    return HF_OK;
}

int disk_posix_sync_own_name(struct disk_posix *d)
{
    HF_ASSERT(d->dir_fd >= 0);
    int parent = openat(d->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) return errno == EACCES ? HF_OK : status_from_errno(errno);
    bool synced = fsync(parent) == 0 || errno == EROFS || errno == EINVAL;
    close(parent);
    return synced ? HF_OK : HF_EIO;
}

void disk_posix_close(struct disk_posix *d)
{
    if (d->disk.ops == NULL || d->dir_fd < 0) return;
    close(d->dir_fd);
    d->dir_fd = -1;
}
