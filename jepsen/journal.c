#include "jepsen/journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

bool journal_open(struct journal *h, const char *path)
{
    h->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    return h->fd >= 0;
}

void journal_close(struct journal *h)
{
    if (h->fd >= 0) close(h->fd);
    h->fd = -1;
}

uint64_t journal_now_ns(void)
{
    struct timespec t;
    int rv = clock_gettime(CLOCK_MONOTONIC, &t);
    HF_ASSERT(rv == 0);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

void journal_append(const struct journal *h, const char *text, size_t size)
{
    HF_ASSERT(size > 0 && size < JOURNAL_LINE_BYTES);
    if (write(h->fd, text, size) == (ssize_t)size) return;
    perror("holdfast-jepsen: the history cannot be written");
    _exit(74);
}

size_t journal_format(const struct journal_line *line, char *text)
{
    static const char *const outcomes[] = {"ok", "fail", "unknown"};
    char ret[32] = "null", more[JOURNAL_TEXT_BYTES + 128] = "";
    HF_ASSERT(line->call_ns > 0);
    HF_ASSERT((line->outcome == JOURNAL_FAIL) == (line->error != NULL));
    if (line->outcome != JOURNAL_UNKNOWN) {
        HF_ASSERT(line->ret_ns >= line->call_ns);
        snprintf(ret, sizeof ret, "%" PRIu64, line->ret_ns);
    }
    if (line->error != NULL) snprintf(more, sizeof more, ",\"error\":\"%s\"", line->error);
    if (line->result[0] != '\0') {
        size_t used = strlen(more);
        snprintf(more + used, sizeof more - used, ",\"result\":{%s}", line->result);
    }
    int size =
        snprintf(text, JOURNAL_LINE_BYTES,
                 "{\"v\":2,\"model\":\"%s\",\"id\":%" PRIu64 ",\"client\":\"%s\",\"call\":%" PRIu64
                 ",\"ret\":%s,\"op\":\"%s\",\"key\":\"%s\",\"args\":{%s},"
                 "\"outcome\":\"%s\"%s}\n",
                 line->model, line->id, line->client, line->call_ns, ret, line->op, line->key,
                 line->args, outcomes[line->outcome], more);
    HF_ASSERT(size > 0 && size < JOURNAL_LINE_BYTES);
    return (size_t)size;
}

void journal_put(const struct journal *h, const struct journal_line *line)
{
    char text[JOURNAL_LINE_BYTES];
    journal_append(h, text, journal_format(line, text));
}

void journal_put_header(const struct journal *h, uint64_t margin_ms, uint64_t seed)
{
    char text[JOURNAL_LINE_BYTES];
    int size =
        snprintf(text, sizeof text,
                 "{\"v\":2,\"type\":\"header\",\"margin_ms\":%" PRIu64 ",\"seed\":%" PRIu64 "}\n",
                 margin_ms, seed);
    HF_ASSERT(size > 0);
    journal_append(h, text, (size_t)size);
}

void journal_put_event(const struct journal *h, const char *type, uint64_t call_ns, uint64_t ret_ns,
                       const char *what, const char *detail)
{
    char text[JOURNAL_LINE_BYTES], ret[32] = "null";
    if (ret_ns != 0) snprintf(ret, sizeof ret, "%" PRIu64, ret_ns);
    int size = snprintf(text, sizeof text,
                        "{\"v\":2,\"type\":\"%s\",\"call\":%" PRIu64 ",\"ret\":%s,\"op\":\"%s\","
                        "\"key\":\"%s\"}\n",
                        type, call_ns, ret, what, detail);
    HF_ASSERT(size > 0);
    journal_append(h, text, (size_t)size);
}
