#include "jepsen/run/timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "jepsen/journal.h"

/* ------------------------------------------------------------------ fields of a line */

/* Where the value of a field begins; fields have one name in a line, wherever they stand. */
static const char *find(const char *line, const char *name)
{
    char quoted[TIMELINE_WORD_BYTES];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(line, quoted);
    return at != NULL ? at + strlen(quoted) : NULL;
}

static uint64_t number_of(const char *line, const char *name)
{
    const char *at = find(line, name);
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

static void text_of(const char *line, const char *name, char *out, size_t bytes)
{
    const char *at = find(line, name);
    out[0] = '\0';
    if (at == NULL || *at != '"') return;
    size_t size = strcspn(at + 1, "\"");
    snprintf(out, bytes, "%.*s", (int)(size < bytes ? size : bytes - 1), at + 1);
}

/* ------------------------------------------------------------------ taking lines in */

static uint8_t find_lane(struct timeline *t, const char *name)
{
    for (unsigned i = 0; i < t->lane_count; i++) {
        if (strcmp(t->lanes[i], name) == 0) return (uint8_t)i;
    }
    if (t->lane_count == TIMELINE_LANES_MAX) {
        snprintf(t->lanes[TIMELINE_LANES_MAX - 1], TIMELINE_WORD_BYTES, "others");
        return TIMELINE_LANES_MAX - 1;
    }
    snprintf(t->lanes[t->lane_count], TIMELINE_WORD_BYTES, "%s", name);
    return (uint8_t)t->lane_count++;
}

static void count_kind(struct timeline *t, const char *line, const char *op, uint8_t outcome)
{
    unsigned i = 0;
    char error[TIMELINE_WORD_BYTES];
    while (i < t->kind_count && strcmp(t->kinds[i].op, op) != 0) i++;
    if (i == TIMELINE_KINDS_MAX) return;
    if (i == t->kind_count) {
        snprintf(t->kinds[i].op, TIMELINE_WORD_BYTES, "%s", op);
        t->kind_count += 1;
    }
    t->kinds[i].counts[outcome] += 1;
    text_of(line, "error", error, sizeof error);
    t->kinds[i].refused += strcmp(error, "stale_token") == 0 || strcmp(error, "not_held") == 0;
}

/* The line's own outcome: arguments may have one, too, of other words. */
static uint8_t outcome_of(const char *line)
{
    if (strstr(line, "\"outcome\":\"ok\"") != NULL) return TIMELINE_OK;
    return strstr(line, "\"outcome\":\"fail\"") != NULL ? TIMELINE_FAIL : TIMELINE_UNKNOWN;
}

static bool take_operation(struct timeline *t, const char *line)
{
    char client[TIMELINE_WORD_BYTES], op[TIMELINE_WORD_BYTES];
    if (t->count == TIMELINE_OPERATIONS_MAX) return true; /* what is drawn is not the evidence */
    if (t->count == t->room) {
        size_t room = t->room == 0 ? 65536 : t->room * 2;
        void *more = realloc(t->operations, room * sizeof *t->operations);
        if (more == NULL) return false;
        t->operations = more;
        t->room = room;
    }
    text_of(line, "client", client, sizeof client);
    client[strcspn(client, ".")] = '\0'; /* all lives of a thread in one lane */
    text_of(line, "op", op, sizeof op);
    struct timeline_operation *o = &t->operations[t->count++];
    o->call_ns = number_of(line, "call");
    o->ret_ns = number_of(line, "ret");
    o->outcome = outcome_of(line);
    o->lane = find_lane(t, client);
    count_kind(t, line, op, o->outcome);
    if (strcmp(op, "abandon") == 0) o->outcome = TIMELINE_FAIL; /* never told: no cause for alarm */
    uint64_t end = o->ret_ns != 0 ? o->ret_ns : o->call_ns;
    if (t->begin_ns == 0 || o->call_ns < t->begin_ns) t->begin_ns = o->call_ns;
    if (end > t->end_ns) t->end_ns = end;
    return true;
}

static void take_event(struct timeline *t, const char *line, const char *type)
{
    if (t->event_count == TIMELINE_EVENTS_MAX) return;
    struct timeline_event *e = &t->events[t->event_count++];
    *e = (struct timeline_event){.is_fault = strcmp(type, "nemesis") == 0};
    e->call_ns = number_of(line, "call");
    e->ret_ns = number_of(line, "ret");
    text_of(line, "op", e->what, sizeof e->what);
    text_of(line, "key", e->detail, sizeof e->detail);
}

static bool take_line(struct timeline *t, const char *line)
{
    char type[TIMELINE_WORD_BYTES];
    text_of(line, "type", type, sizeof type);
    if (type[0] == '\0' || strcmp(type, "op") == 0) return take_operation(t, line);
    if (strcmp(type, "nemesis") == 0 || strcmp(type, "note") == 0) take_event(t, line, type);
    return true;
}

/* ------------------------------------------------------------------ order */

static int by_call(const void *a, const void *b)
{
    uint64_t x = ((const struct timeline_operation *)a)->call_ns;
    uint64_t y = ((const struct timeline_operation *)b)->call_ns;
    return (x > y) - (x < y);
}

static int by_begin(const void *a, const void *b)
{
    uint64_t x = ((const struct timeline_event *)a)->call_ns;
    uint64_t y = ((const struct timeline_event *)b)->call_ns;
    return (x > y) - (x < y);
}

/* Lanes by name, as they are drawn from above. */
static void sort_lanes(struct timeline *t)
{
    uint8_t order[TIMELINE_LANES_MAX] = {0}, place[TIMELINE_LANES_MAX] = {0};
    char names[TIMELINE_LANES_MAX][TIMELINE_WORD_BYTES];
    for (unsigned i = 0; i < t->lane_count; i++) {
        unsigned at = i;
        for (; at > 0 && strcmp(t->lanes[order[at - 1]], t->lanes[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
    memcpy(names, t->lanes, sizeof names);
    for (unsigned i = 0; i < t->lane_count; i++) {
        place[order[i]] = (uint8_t)i;
        memcpy(t->lanes[i], names[order[i]], TIMELINE_WORD_BYTES);
    }
    for (size_t i = 0; i < t->count; i++) t->operations[i].lane = place[t->operations[i].lane];
}

bool timeline_read(struct timeline *t, const char *path)
{
    char line[2 * JOURNAL_LINE_BYTES];
    *t = (struct timeline){.events = calloc(TIMELINE_EVENTS_MAX, sizeof *t->events)};
    FILE *file = fopen(path, "r");
    if (file == NULL || t->events == NULL) {
        if (file != NULL) fclose(file);
        return false;
    }
    bool good = true;
    while (good && fgets(line, sizeof line, file) != NULL) good = take_line(t, line);
    good = good && ferror(file) == 0;
    fclose(file);
    if (!good) return false;
    if (t->count > 0) qsort(t->operations, t->count, sizeof *t->operations, by_call);
    if (t->event_count > 0) qsort(t->events, t->event_count, sizeof *t->events, by_begin);
    sort_lanes(t);
    return true;
}

void timeline_close(struct timeline *t)
{
    free(t->operations);
    free(t->events);
    *t = (struct timeline){.count = 0};
}

uint64_t timeline_total(const struct timeline *t, int outcome)
{
    uint64_t total = 0;
    HF_ASSERT(outcome >= 0 && outcome < TIMELINE_OUTCOMES);
    for (unsigned i = 0; i < t->kind_count; i++) total += t->kinds[i].counts[outcome];
    return total;
}
