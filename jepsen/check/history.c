#include "jepsen/check/history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"

enum { ROOM_FIRST = 1024, STRINGS_BYTES_MAX = 1 << 30, PPM = 1000000 };

void history_init(struct history *h, const char *model)
{
    *h = (struct history){.model = model};
    strings_init(&h->strings, STRINGS_BYTES_MAX);
    strings_init(&h->keys, STRINGS_BYTES_MAX);
}

void history_close(struct history *h)
{
    free(h->operations);
    free(h->waits);
    free(h->cycles);
    strings_close(&h->strings);
    strings_close(&h->keys);
    *h = (struct history){0};
}

int history_refuse(struct history *h, const char *format, ...)
{
    va_list arguments;
    int begin = snprintf(h->complaint, sizeof h->complaint, "line %" PRIu32 ": ", h->line);
    HF_ASSERT(begin > 0 && (size_t)begin < sizeof h->complaint);
    va_start(arguments, format);
    (void)vsnprintf(h->complaint + begin, sizeof h->complaint - (size_t)begin, format, arguments);
    va_end(arguments);
    return HF_EBADREQUEST;
}

int64_t history_until(const struct history_clock *clock, int64_t from_ns, int64_t ms)
{
    HF_ASSERT(ms >= 0 && ms <= 11 * HISTORY_MS_MAX);
    int64_t ns = ms * HISTORY_NS_PER_MS;
    ns -= ns / PPM * clock->drift_ppm;
    return from_ns + ns - clock->margin_ns;
}

static int append(struct operation **list, size_t *count, size_t *room, const struct operation *op)
{
    if (*count == *room) {
        size_t more = *room == 0 ? ROOM_FIRST : *room * 2;
        struct operation *operations = realloc(*list, more * sizeof *operations);
        if (operations == NULL) return HF_ENOMEM;
        *list = operations;
        *room = more;
    }
    (*list)[(*count)++] = *op;
    return HF_OK;
}

static int add(struct history *h, const struct operation *op)
{
    if (h->count + h->wait_count == HISTORY_OPERATIONS_MAX) {
        (void)history_refuse(h,
                             "more than %d operations: record shorter runs, or split the file "
                             "by keys",
                             HISTORY_OPERATIONS_MAX);
        return HF_ETOOLARGE;
    }
    if (op->error == ERROR_NOTHING) return append(&h->waits, &h->wait_count, &h->wait_room, op);
    return append(&h->operations, &h->count, &h->room, op);
}

/* The cycle of the line that was read last, for good. */
static int keep_cycle(struct history *h, struct operation *op)
{
    op->cycle_at = (uint32_t)h->cycles_size;
    op->cycle_count = (uint32_t)h->cycle_count;
    if (h->cycles_size + h->cycle_count > h->cycles_room) {
        size_t room = h->cycles_room == 0 ? ROOM_FIRST : h->cycles_room * 2;
        uint32_t *cycles = realloc(h->cycles, room * sizeof *cycles);
        if (cycles == NULL) return HF_ENOMEM;
        h->cycles = cycles;
        h->cycles_room = room;
    }
    for (size_t i = 0; i < h->cycle_count; i++) h->cycles[h->cycles_size++] = h->cycle[i];
    return HF_OK;
}

static int count_key(struct history *h, uint32_t key)
{
    uint32_t ignored;
    int rv = strings_add(&h->keys, slice_of(strings_text(&h->strings, key)), &ignored);
    if (rv != HF_OK || h->keys.count <= HISTORY_KEYS_MAX) return rv;
    (void)history_refuse(h, "more than %d keys: split the file by keys", HISTORY_KEYS_MAX);
    return HF_ETOOLARGE;
}

int history_line(struct history *h, struct slice line)
{
    struct operation op = {0};
    bool taken = false;
    h->line++;
    if (line.size > HISTORY_LINE_BYTES_MAX) {
        (void)history_refuse(h, "longer than %d bytes", HISTORY_LINE_BYTES_MAX);
        return HF_ETOOLARGE;
    }
    int rv = history_parse(h, line, &op, &taken);
    bool waited = op.error == ERROR_NOTHING && op.kind == KIND_ACQUIRE;
    if (rv == HF_OK && taken) rv = keep_cycle(h, &op);
    for (size_t i = 0; rv == HF_OK && (taken || waited) && (i == 0 || i < h->name_count); i++) {
        if (h->name_count > 0) op.key = h->names[i];
        if (taken) rv = count_key(h, op.key);
        if (rv == HF_OK) rv = add(h, &op);
    }
    if (rv != HF_OK && rv != HF_EBADREQUEST && h->complaint[0] == '\0')
        (void)history_refuse(h, "%s", status_text(rv));
    return rv;
}

/* ------------------------------------------------------------------ all lines are in */

static int compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_id(const void *a, const void *b)
{
    const struct operation *x = a, *y = b;
    int order = compare(x->id, y->id);
    return order != 0 ? order : compare(x->line, y->line);
}

static int by_key_and_call(const void *a, const void *b)
{
    const struct operation *x = a, *y = b;
    int order = compare(x->key, y->key);
    if (order == 0) order = compare(x->call_ns, y->call_ns);
    return order != 0 ? order : compare(x->line, y->line);
}

int history_finish(struct history *h)
{
    if (h->count == 0) return HF_OK;
    qsort(h->operations, h->count, sizeof *h->operations, by_id);
    for (size_t i = 1; i < h->count; i++) {
        const struct operation *op = &h->operations[i];
        if (op->id != op[-1].id || op->line == op[-1].line) continue; /* the same, by its names */
        h->line = op->line;
        return history_refuse(h, "the id %" PRId64 " was used in line %" PRIu32 " already", op->id,
                              op[-1].line);
    }
    qsort(h->operations, h->count, sizeof *h->operations, by_key_and_call);
    for (size_t i = 0; i < h->count; i++) {
        struct operation *op = &h->operations[i];
        op->lease_until_ns = history_until(&h->clock, op->call_ns, op->ttl_ms);
    }
    return HF_OK;
}
