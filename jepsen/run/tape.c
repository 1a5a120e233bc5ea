#include "jepsen/run/tape.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct head { /* before each line in the ring */
    uint64_t id;
    uint64_t size; /* of the line */
};

/* ------------------------------------------------------------------ the ring */

static void copy_in(struct tape *t, uint64_t at, const void *bytes, uint64_t size)
{
    uint64_t begin = at % TAPE_BYTES, first = TAPE_BYTES - begin < size ? TAPE_BYTES - begin : size;
    memcpy(t->bytes + begin, bytes, first);
    memcpy(t->bytes, (const char *)bytes + first, size - first);
}

static void copy_out(const struct tape *t, uint64_t at, void *bytes, uint64_t size)
{
    uint64_t begin = at % TAPE_BYTES, first = TAPE_BYTES - begin < size ? TAPE_BYTES - begin : size;
    memcpy(bytes, t->bytes + begin, first);
    memcpy((char *)bytes + first, t->bytes, size - first);
}

void tape_put(struct tape *t, const struct journal_line *line)
{
    char text[JOURNAL_LINE_BYTES];
    struct head head = {.id = line->id, .size = journal_format(line, text)};
    uint64_t at = atomic_load(&t->written), end = at + sizeof head + head.size;
    while (end - atomic_load(&t->taken) > TAPE_BYTES) (void)poll(NULL, 0, 1);
    copy_in(t, at, &head, sizeof head);
    copy_in(t, at + sizeof head, text, head.size);
    atomic_store(&t->written, end); /* from here on it is a line, whatever happens */
    if (atomic_load(&t->call.id) == line->id) atomic_store(&t->call.id, 0);
}

void tape_take(struct tape *t, const struct journal *history)
{
    uint64_t at = atomic_load(&t->taken), end = atomic_load(&t->written);
    while (at < end) {
        char text[JOURNAL_LINE_BYTES];
        struct head head;
        copy_out(t, at, &head, sizeof head);
        HF_ASSERT(head.size > 0 && head.size < sizeof text);
        HF_ASSERT(head.id > t->id_taken);
        copy_out(t, at + sizeof head, text, head.size);
        journal_append(history, text, head.size);
        t->id_taken = head.id;
        at += sizeof head + head.size;
        atomic_store(&t->taken, at);
    }
    HF_ASSERT(at == end);
}

/* ------------------------------------------------------------------ the call under way */

void tape_open_call(struct tape *t, const struct journal_line *line)
{
    struct tape_call *call = &t->call;
    HF_ASSERT(line->id != 0);
    HF_ASSERT(atomic_load(&call->id) == 0);
    call->call_ns = line->call_ns;
    snprintf(call->model, sizeof call->model, "%s", line->model);
    snprintf(call->op, sizeof call->op, "%s", line->op);
    snprintf(call->client, sizeof call->client, "%s", line->client);
    snprintf(call->key, sizeof call->key, "%s", line->key);
    snprintf(call->args, sizeof call->args, "%s", line->args);
    atomic_store(&call->id, line->id);
}

bool tape_end(struct tape *t, const struct journal *history)
{
    struct tape_call *call = &t->call;
    tape_take(t, history);
    uint64_t id = atomic_load(&call->id);
    atomic_store(&call->id, 0);
    if (id <= t->id_taken) return false; /* none, or it died right behind its line */
    struct journal_line line = {
        .id = id,
        .model = call->model,
        .client = call->client,
        .op = call->op,
        .key = call->key,
        .call_ns = call->call_ns,
        .outcome = JOURNAL_UNKNOWN,
    };
    snprintf(line.args, sizeof line.args, "%s", call->args);
    journal_put(history, &line);
    t->id_taken = id;
    return true;
}

bool tape_is_busy(const struct tape *t)
{
    return atomic_load(&t->call.id) != 0;
}
