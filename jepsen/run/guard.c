#include "jepsen/run/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/assert.h"

enum { PATH_BYTES = 1024, RECORDS_AT_ONCE = 256 };

static const char LEDGER[] = ".ledger"; /* behind an account's path */

struct content { /* of an account's file */
    uint64_t token;
    uint64_t value;
};

static _Noreturn void give_up(const char *path)
{
    perror(path);
    _Exit(74);
}

/* Opens and locks it. \return its descriptor; closing it unlocks. */
static int enter(const char *path, int how)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | how, 0644);
    if (fd < 0) give_up(path);
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) give_up(path);
    }
    return fd;
}

/* ------------------------------------------------------------------ ledgers */

/* "KEY TOKEN VALUE\n" in columns. */
static void append(const char *path, int fd, const struct guard_record *r)
{
    char text[GUARD_RECORD_BYTES + 1];
    int size = snprintf(text, sizeof text, "%-22.22s %19" PRIu64 " %20" PRIu64 "\n", r->key,
                        r->token, r->value);
    HF_ASSERT(size == GUARD_RECORD_BYTES);
    if (write(fd, text, GUARD_RECORD_BYTES) != GUARD_RECORD_BYTES) give_up(path);
}

static bool parse(const char *text, struct guard_record *r)
{
    char *end;
    size_t size = strcspn(text, " ");
    if (size == 0 || size >= sizeof r->key || text[GUARD_RECORD_BYTES - 1] != '\n') return false;
    memcpy(r->key, text, size);
    r->key[size] = '\0';
    r->token = strtoull(text + size, &end, 10);
    if (*end != ' ') return false;
    r->value = strtoull(end, &end, 10);
    return *end == '\n' && end == text + GUARD_RECORD_BYTES - 1;
}

static bool read_records(int fd, void (*each)(const struct guard_record *r, void *data), void *data)
{
    char text[RECORDS_AT_ONCE * GUARD_RECORD_BYTES + 1];
    struct guard_record r;
    ssize_t got;
    off_t at = 0;
    while ((got = pread(fd, text, sizeof text - 1, at)) > 0) {
        text[got] = '\0'; /* what is searched has an end */
        if (got % GUARD_RECORD_BYTES != 0) return false;
        for (ssize_t i = 0; i < got; i += GUARD_RECORD_BYTES) {
            if (!parse(text + i, &r)) return false;
            each(&r, data);
        }
        at += got;
    }
    return got == 0;
}

bool guard_audit(const char *path, void (*each)(const struct guard_record *r, void *data),
                 void *data)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT;
    bool good = read_records(fd, each, data);
    close(fd);
    return good;
}

bool guard_audit_account(const char *path, void (*each)(const struct guard_record *r, void *data),
                         void *data)
{
    char ledger[PATH_BYTES];
    snprintf(ledger, sizeof ledger, "%s%s", path, LEDGER);
    return guard_audit(ledger, each, data);
}

/* What a ledger says of a key. */
struct finding {
    const char *key;
    uint64_t token; /* the greatest */
    uint64_t value; /* of its last effect; 0 = none */
};

static void look_at(const struct guard_record *r, void *data)
{
    struct finding *f = data;
    if (strcmp(r->key, f->key) != 0) return;
    if (r->token > f->token) f->token = r->token;
    if (r->value != 0) f->value = r->value;
}

static struct finding find(const char *path, int fd, const char *key)
{
    struct finding f = {.key = key};
    if (!read_records(fd, look_at, &f)) give_up(path);
    return f;
}

static struct guard_record make_record(const char *key, uint64_t token, uint64_t value)
{
    struct guard_record r = {.token = token, .value = value};
    HF_ASSERT(strlen(key) < sizeof r.key - 1);
    snprintf(r.key, sizeof r.key, "%s", key);
    return r;
}

/* ------------------------------------------------------------------ accounts */

static struct content look(const char *path, int fd)
{
    struct content c = {0};
    ssize_t got = pread(fd, &c, sizeof c, 0);
    if (got != 0 && got != (ssize_t)sizeof c) give_up(path);
    return c;
}

static int enter_account(const char *path, struct content *now)
{
    int fd = enter(path, 0); /* written over, not appended to */
    *now = look(path, fd);
    return fd;
}

static void put(const char *path, int fd, uint64_t token, uint64_t value)
{
    struct content next = {token, value};
    if (pwrite(fd, &next, sizeof next, 0) != (ssize_t)sizeof next) give_up(path);
}

bool guard_claim(const char *path, uint64_t token, uint64_t mark, const char *key, uint64_t *paid)
{
    char ledger[PATH_BYTES];
    struct content now;
    int fd = enter_account(path, &now);
    bool good = token >= now.token;
    if (good) {
        snprintf(ledger, sizeof ledger, "%s%s", path, LEDGER);
        put(path, fd, token, mark);
        int ledger_fd = enter(ledger, O_APPEND);
        *paid = find(ledger, ledger_fd, key).value;
        close(ledger_fd);
    }
    close(fd);
    return good;
}

/* The ledger first: a payer that is killed in between has paid, and the next one finds it. */
bool guard_pay(const char *path, uint64_t token, uint64_t value, const char *key)
{
    char ledger[PATH_BYTES];
    struct content now;
    int fd = enter_account(path, &now);
    bool good = token >= now.token;
    HF_ASSERT(value != 0);
    if (good) {
        struct guard_record r = make_record(key, token, value);
        snprintf(ledger, sizeof ledger, "%s%s", path, LEDGER);
        int ledger_fd = enter(ledger, O_APPEND);
        append(ledger, ledger_fd, &r);
        close(ledger_fd);
        put(path, fd, token, value);
    }
    close(fd);
    return good;
}

bool guard_read(const char *path, uint64_t *value)
{
    struct content now;
    int fd = enter_account(path, &now);
    close(fd);
    *value = now.value;
    return now.token != 0;
}

/* ------------------------------------------------------------------ providers */

bool guard_provider_pay(const char *path, uint64_t token, uint64_t value, const char *key)
{
    int fd = enter(path, O_APPEND);
    bool good = token >= find(path, fd, key).token;
    HF_ASSERT(value != 0);
    if (good) {
        struct guard_record r = make_record(key, token, value);
        append(path, fd, &r);
    }
    close(fd);
    return good;
}

bool guard_provider_close(const char *path, uint64_t token, const char *key, uint64_t *paid)
{
    int fd = enter(path, O_APPEND);
    struct finding found = find(path, fd, key);
    bool good = found.value != 0 || token >= found.token;
    if (good && found.value == 0) {
        struct guard_record r = make_record(key, token, 0);
        append(path, fd, &r);
    }
    close(fd);
    *paid = found.value;
    return good;
}
