/* Staging and publishing of a store's directory (storage/lmdb_dir.h). Where a store is already,
 * only its data file is replaced, which is one rename, too; LMDB makes its lock file anew at the
 * next start. */
#include "storage/lmdb_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"

enum { FILE_PATH_BYTES = PATH_MAX + 16 };

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return status_from_errno(errno);
    int rv = fsync(fd) == 0 ? HF_OK : HF_EIO;
    (void)close(fd);
    return rv;
}

/* The directory that holds `path`, into `out` of PATH_MAX bytes. */
static void parent_of(const char *path, char *out)
{
    size_t size = strlen(path);
    HF_ASSERT(size >= 1 && size < PATH_MAX);
    while (size > 1 && path[size - 1] == '/') size -= 1;
    while (size > 0 && path[size - 1] != '/') size -= 1;
    if (size == 0) {
        memcpy(out, ".", 2);
        return;
    }
    memcpy(out, path, size);
    out[size] = '\0';
}

int lmdb_dir_discard(const char *staging)
{
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < HF_ARRAY_COUNT(names); i++) {
        char file[FILE_PATH_BYTES];
        (void)snprintf(file, sizeof file, "%s/%s", staging, names[i]);
        if (unlink(file) != 0 && errno != ENOENT) return status_from_errno(errno);
    }
    if (rmdir(staging) != 0 && errno != ENOENT) return status_from_errno(errno);
    return HF_OK;
}

int lmdb_dir_stage(const char *path, char *staging)
{
    HF_ASSERT(path[0] != '\0');
    int size = snprintf(staging, PATH_MAX, "%s.new", path);
    if (size < 0 || size >= PATH_MAX) return HF_EINVAL;
    int rv = lmdb_dir_discard(staging);
    if (rv != HF_OK) return rv;
    return mkdir(staging, 0700) == 0 ? HF_OK : status_from_errno(errno);
}

int lmdb_dir_publish(const char *staging, const char *path)
{
    HF_ASSERT(strlen(staging) > strlen(path));
    char parent[PATH_MAX];
    char from[FILE_PATH_BYTES];
    char to[FILE_PATH_BYTES];
    parent_of(path, parent);
    int rv = sync_directory(staging);
    if (rv != HF_OK) return rv;
    if (access(path, F_OK) != 0) {
        if (rename(staging, path) != 0) return status_from_errno(errno);
        return sync_directory(parent);
    }
    (void)snprintf(from, sizeof from, "%s/data.mdb", staging);
    (void)snprintf(to, sizeof to, "%s/data.mdb", path);
    if (rename(from, to) != 0) return status_from_errno(errno);
    rv = sync_directory(path);
    return rv != HF_OK ? rv : lmdb_dir_discard(staging);
}
