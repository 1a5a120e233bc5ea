#include "jepsen/run/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/assert.h"
#include "jepsen/journal.h"

struct place {
    uint64_t token; /* 0 = free */
    uint64_t seats;
    uint64_t until_ns;
};

struct room {
    struct place places[ROOM_PLACES];
};

_Static_assert(sizeof(struct room) <= 4096, "one page");

static _Noreturn void give_up(const char *path)
{
    perror(path);
    _Exit(74);
}

/* Open, lock and read. \return its descriptor; closing it unlocks. */
static int look(const char *path, struct room *r)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) give_up(path);
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) give_up(path);
    }
    *r = (struct room){0};
    ssize_t got = pread(fd, r, sizeof *r, 0);
    if (got != 0 && got != (ssize_t)sizeof *r) give_up(path);
    return fd;
}

static void put(const char *path, int fd, const struct room *r)
{
    if (pwrite(fd, r, sizeof *r, 0) != (ssize_t)sizeof *r) give_up(path);
    close(fd);
}

/* The token's place, or one that is free: of somebody whose time is over. */
static struct place *find(struct room *r, uint64_t token, uint64_t now_ns)
{
    struct place *free_place = NULL;
    for (unsigned i = 0; i < ROOM_PLACES; i++) {
        struct place *p = &r->places[i];
        if (p->token == token) return p;
        if (p->token == 0 || p->until_ns <= now_ns) free_place = p;
    }
    HF_ASSERT(free_place != NULL);
    return free_place;
}

uint64_t room_enter(const char *path, uint64_t token, uint64_t seats, uint64_t until_ns)
{
    struct room r;
    uint64_t taken = 0;
    HF_ASSERT(token != 0 && seats != 0);
    int fd = look(path, &r);
    uint64_t now_ns = journal_now_ns(); /* behind the lock: everybody's times are of one order */
    if (until_ns > now_ns) *find(&r, token, now_ns) = (struct place){token, seats, until_ns};
    for (unsigned i = 0; i < ROOM_PLACES && until_ns > now_ns; i++) {
        const struct place *p = &r.places[i];
        if (p->token != 0 && p->until_ns > now_ns) taken += p->seats;
    }
    put(path, fd, &r);
    return taken;
}

void room_leave(const char *path, uint64_t token)
{
    struct room r;
    int fd = look(path, &r);
    for (unsigned i = 0; i < ROOM_PLACES; i++) {
        if (r.places[i].token == token) r.places[i] = (struct place){0};
    }
    put(path, fd, &r);
}
