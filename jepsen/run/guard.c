#include "jepsen/run/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct content {
    uint64_t token;
    uint64_t value;
};

static _Noreturn void give_up(const char *path)
{
    perror(path);
    _Exit(74);
}

/* Opens and locks it. \return its descriptor; closing it unlocks. */
static int enter(const char *path, struct content *content)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) give_up(path);
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) give_up(path);
    }
    *content = (struct content){0};
    ssize_t got = pread(fd, content, sizeof *content, 0);
    if (got != 0 && got != (ssize_t)sizeof *content) give_up(path);
    return fd;
}

bool guard_write(const char *path, uint64_t token, uint64_t value)
{
    struct content now, next = {token, value};
    int fd = enter(path, &now);
    bool good = token >= now.token;
    if (good && pwrite(fd, &next, sizeof next, 0) != (ssize_t)sizeof next) give_up(path);
    close(fd);
    return good;
}

bool guard_read(const char *path, uint64_t *value)
{
    struct content now;
    int fd = enter(path, &now);
    close(fd);
    *value = now.value;
    return now.token != 0;
}
