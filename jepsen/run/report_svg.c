/* The picture of a run: everything over one time axis of a fixed width, so that its size does not
 * grow with the history. A lane of operations is a row of pixel columns, each with the worst that
 * happened in it; equal neighbours become one rectangle. Throughput and latency are by the second.
 */
#include "jepsen/run/report_svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum {
    WIDTH = 1200,
    LEFT = 76,
    COLUMNS = 1110, /* of the time axis */
    FAULT_ROWS = 3, /* labels side by side share them */
    ROW = 14,
    LANE = 11,
    CHART = 120,
    GAP = 26,
    SLOW_MS = 300, /* an operation that took longer is drawn as slow */
    BINS_MAX = 8192,
    LABEL_CHARACTERS = 33,
};

enum cell { CELL_EMPTY, CELL_OK, CELL_FAIL, CELL_SLOW, CELL_UNKNOWN, CELL_COUNT };

static const char *const colors[CELL_COUNT] = {"#ffffff", "#8fb8de", "#c9d3dc", "#f2a541",
                                               "#c1121f"};

struct picture {
    FILE *f;
    const struct results *r;
    uint64_t begin_ns; /* of the axis */
    uint64_t end_ns;
    int y;      /* where the next part begins */
    int height; /* of all */
};

static double place(const struct picture *p, uint64_t ns)
{
    if (ns < p->begin_ns) ns = p->begin_ns;
    if (ns > p->end_ns) ns = p->end_ns;
    return (double)(ns - p->begin_ns) / (double)(p->end_ns - p->begin_ns) * COLUMNS;
}

static void put_text(const struct picture *p, double x, double y, const char *anchor,
                     const char *text)
{
    fprintf(p->f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, text);
}

static void put_title(struct picture *p, const char *text)
{
    p->y += GAP;
    fprintf(p->f, "<text x=\"%d\" y=\"%d\" style=\"font-weight:600\">%s</text>\n", LEFT, p->y - 6,
            text);
}

/* ------------------------------------------------------------------ faults and leaders */

/* Bands behind everything else. */
static void put_bands(const struct picture *p)
{
    const struct timeline *t = &p->r->timeline;
    for (size_t i = 0; i < t->event_count; i++) {
        const struct timeline_event *e = &t->events[i];
        double from = place(p, e->call_ns);
        if (e->is_fault) {
            double wide = place(p, e->ret_ns) - from;
            fprintf(p->f,
                    "<rect x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"%d\" fill=\"#fde8d7\" "
                    "fill-opacity=\"0.8\"/>\n",
                    LEFT + from, wide < 2 ? 2 : wide, p->height);
        }
    }
    if (p->r->violation_ns == 0) return;
    double at = LEFT + place(p, p->r->violation_ns);
    fprintf(p->f,
            "<line x1=\"%.1f\" y1=\"0\" x2=\"%.1f\" y2=\"%d\" stroke=\"#c1121f\" "
            "stroke-width=\"2\"/>\n",
            at, at, p->height);
    put_text(p, at + 4, 10, "start", "violation");
}

static void put_faults(struct picture *p)
{
    const struct timeline *t = &p->r->timeline;
    double free_from[FAULT_ROWS] = {0};
    put_title(p, "faults");
    for (size_t i = 0; i < t->event_count; i++) {
        const struct timeline_event *e = &t->events[i];
        char label[LABEL_CHARACTERS + 1];
        unsigned row = 0;
        if (!e->is_fault) continue;
        double x = LEFT + place(p, e->call_ns);
        while (row < FAULT_ROWS && free_from[row] > x) row++;
        if (row == FAULT_ROWS) continue; /* no room: the band is there, the table has the words */
        snprintf(label, sizeof label, "%.12s %.20s", e->what, e->detail);
        free_from[row] = x + 5.6 * (double)strlen(label) + 8;
        double y = p->y + 10 + (double)row * ROW;
        if (x > LEFT + COLUMNS - 120)
            put_text(p, LEFT + COLUMNS, y, "end", label);
        else
            put_text(p, x + 2, y, "start", label);
    }
    p->y += FAULT_ROWS * ROW;
}

static void put_leaders(struct picture *p)
{
    const struct timeline *t = &p->r->timeline;
    put_title(p, "leader, as the servers said");
    const struct timeline_event *last = NULL;
    for (size_t i = 0; i <= t->event_count; i++) {
        const struct timeline_event *e = i < t->event_count ? &t->events[i] : NULL;
        if (e != NULL && e->is_fault) continue;
        if (last != NULL) {
            double from = place(p, last->call_ns);
            double wide = place(p, e != NULL ? e->call_ns : p->end_ns) - from;
            static const char *const tints[] = {"#cfe3d4", "#d5def2", "#ead9ee", "#f3e7c3",
                                                "#d9ecec"};
            unsigned server = last->detail[0] == 's' ? (unsigned)(last->detail[1] - '1') : 0;
            fprintf(p->f,
                    "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"16\" fill=\"%s\" "
                    "stroke=\"#fff\"><title>%s</title></rect>\n",
                    LEFT + from, p->y, wide, tints[server % HF_ARRAY_COUNT(tints)], last->detail);
            char name[3] = {last->detail[0], last->detail[1], '\0'};
            if (wide > 16) put_text(p, LEFT + from + 3, p->y + 12, "start", name);
        }
        last = e;
    }
    p->y += 16;
}

/* ------------------------------------------------------------------ operations by thread */

static enum cell cell_of(const struct timeline_operation *o)
{
    if (o->outcome == TIMELINE_UNKNOWN) return CELL_UNKNOWN;
    if (o->ret_ns > o->call_ns + SLOW_MS * UINT64_C(1000000)) return CELL_SLOW;
    return o->outcome == TIMELINE_OK ? CELL_OK : CELL_FAIL;
}

static void fill(const struct picture *p, const struct timeline_operation *o,
                 unsigned char cells[COLUMNS])
{
    enum cell cell = cell_of(o);
    int from = (int)place(p, o->call_ns);
    int to = o->ret_ns != 0 ? (int)place(p, o->ret_ns) : from + 2;
    for (int i = from; i <= to && i < COLUMNS; i++) {
        if (cells[i] < cell) cells[i] = (unsigned char)cell;
    }
}

static void put_lane(const struct picture *p, const unsigned char cells[COLUMNS], int y)
{
    for (int from = 0; from < COLUMNS;) {
        int to = from + 1;
        while (to < COLUMNS && cells[to] == cells[from]) to++;
        if (cells[from] != CELL_EMPTY)
            fprintf(p->f, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n",
                    LEFT + from, y, to - from, LANE - 2, colors[cells[from]]);
        from = to;
    }
}

static void put_lanes(struct picture *p)
{
    const struct timeline *t = &p->r->timeline;
    static unsigned char cells[TIMELINE_LANES_MAX][COLUMNS];
    memset(cells, CELL_EMPTY, sizeof cells);
    for (size_t i = 0; i < t->count; i++) fill(p, &t->operations[i], cells[t->operations[i].lane]);
    put_title(p, "operations of each thread of each client");
    for (unsigned lane = 0; lane < t->lane_count; lane++) {
        int y = p->y + (int)lane * LANE;
        put_text(p, LEFT - 6, y + LANE - 2, "end", t->lanes[lane]);
        put_lane(p, cells[lane], y);
    }
    p->y += (int)t->lane_count * LANE;
}

/* ------------------------------------------------------------------ by the second */

/* Of the times to an answer in a second. */
enum curve { CURVE_MIDDLE, CURVE_HIGH, CURVE_WORST, CURVES };

/* What ended in a second. */
struct bin {
    uint32_t counts[TIMELINE_OUTCOMES];
    uint32_t first; /* in the sorted latencies */
    double ms[CURVES];
};

struct bins {
    struct bin *list;
    unsigned count;
    uint32_t most; /* answers of one second */
};

struct ended { /* of an operation that has an end */
    uint32_t bin;
    float ms;
};

static int by_bin_and_ms(const void *a, const void *b)
{
    const struct ended *x = a, *y = b;
    if (x->bin != y->bin) return (x->bin > y->bin) - (x->bin < y->bin);
    return (x->ms > y->ms) - (x->ms < y->ms);
}

static void take_latencies(struct bins *b, const struct ended *all, size_t count)
{
    for (size_t from = 0; from < count;) {
        size_t to = from;
        struct bin *bin = &b->list[all[from].bin];
        while (to < count && all[to].bin == all[from].bin) to++;
        bin->ms[CURVE_MIDDLE] = (double)all[from + (to - from) / 2].ms;
        bin->ms[CURVE_HIGH] = (double)all[from + (to - from) * 99 / 100].ms;
        bin->ms[CURVE_WORST] = (double)all[to - 1].ms;
        from = to;
    }
}

/* \return false: no memory. */
static bool count_bins(const struct picture *p, struct bins *b)
{
    const struct timeline *t = &p->r->timeline;
    uint64_t seconds = (p->end_ns - p->begin_ns) / 1000000000 + 1;
    b->count = seconds < BINS_MAX ? (unsigned)seconds : BINS_MAX;
    b->list = calloc(b->count, sizeof *b->list);
    struct ended *all = malloc((t->count + 1) * sizeof *all);
    size_t count = 0;
    if (b->list == NULL || all == NULL) {
        free(all);
        return false;
    }
    for (size_t i = 0; i < t->count; i++) {
        const struct timeline_operation *o = &t->operations[i];
        uint64_t end_ns = o->ret_ns != 0 ? o->ret_ns : o->call_ns;
        uint64_t at = end_ns > p->begin_ns ? (end_ns - p->begin_ns) / 1000000000 : 0;
        if (at >= b->count) continue;
        b->list[at].counts[o->outcome] += 1;
        if (o->ret_ns == 0) continue;
        all[count++] = (struct ended){(uint32_t)at, (float)(o->ret_ns - o->call_ns) / 1e6F};
    }
    qsort(all, count, sizeof *all, by_bin_and_ms);
    take_latencies(b, all, count);
    free(all);
    b->most = 1;
    for (unsigned i = 0; i < b->count; i++) {
        uint32_t sum = b->list[i].counts[TIMELINE_OK] + b->list[i].counts[TIMELINE_FAIL];
        if (sum > b->most) b->most = sum;
    }
    return true;
}

static double bin_x(const struct picture *p, unsigned bin)
{
    return LEFT + place(p, p->begin_ns + bin * UINT64_C(1000000000));
}

static void put_line_y(const struct picture *p, double y, const char *label)
{
    fprintf(p->f,
            "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#d5dce2\" "
            "stroke-width=\"0.7\"/>\n",
            LEFT, y, LEFT + COLUMNS, y);
    put_text(p, LEFT - 6, y + 4, "end", label);
}

/* The next 1, 2 or 5 times a power of ten: an axis that people can read. */
static uint32_t round_up(uint32_t most)
{
    for (uint32_t power = 1;; power *= 10) {
        if (most <= power) return power;
        if (most <= 2 * power) return 2 * power;
        if (most <= 5 * power || power >= 100000000) return 5 * power;
    }
}

static void put_throughput(struct picture *p, const struct bins *b)
{
    char label[32];
    uint32_t top = round_up(b->most);
    put_title(p, "answers a second: done (blue), refused or busy (grey)");
    for (unsigned i = 0; i <= 2; i++) {
        snprintf(label, sizeof label, "%u", top * i / 2);
        put_line_y(p, p->y + CHART - (double)CHART * i / 2, label);
    }
    for (unsigned i = 0; i < b->count; i++) {
        double x = bin_x(p, i), wide = bin_x(p, i + 1) - x, y = p->y + CHART;
        for (unsigned o = TIMELINE_OK; o <= TIMELINE_FAIL; o++) {
            double high = (double)b->list[i].counts[o] / top * CHART;
            y -= high;
            if (high > 0 && wide > 0)
                fprintf(p->f,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                        "fill=\"%s\"/>\n",
                        x + 0.5, y, wide > 1.5 ? wide - 1 : wide, high,
                        o == TIMELINE_OK ? "#5b8fc7" : "#b4c0cb");
        }
    }
    p->y += CHART;
}

/* From 0.1 ms at the bottom to 10 s at the top, in tenfold steps. */
static double latency_y(const struct picture *p, double ms)
{
    double decades = log10(ms < 0.1 ? 0.1 : ms > 10000 ? 10000 : ms) + 1;
    return p->y + CHART - decades / 5 * CHART;
}

static void put_curve(const struct picture *p, const struct bins *b, enum curve curve,
                      const char *color)
{
    bool open = false;
    for (unsigned i = 0; i < b->count; i++) {
        const struct bin *bin = &b->list[i];
        bool any = bin->ms[CURVE_WORST] > 0;
        if (any && !open)
            fprintf(p->f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\" points=\"",
                    color);
        if (!any && open) fprintf(p->f, "\"/>\n");
        open = any;
        if (any) {
            double x = (bin_x(p, i) + bin_x(p, i + 1)) / 2;
            fprintf(p->f, "%.1f,%.1f ", x, latency_y(p, bin->ms[curve]));
        }
    }
    if (open) fprintf(p->f, "\"/>\n");
}

static void put_latency(struct picture *p, const struct bins *b)
{
    static const char *const labels[] = {"0.1 ms", "1 ms", "10 ms", "0.1 s", "1 s", "10 s"};
    put_title(p,
              "time to an answer, of each second: median (blue), 99 of 100 (orange), worst (red)");
    for (unsigned i = 0; i < HF_ARRAY_COUNT(labels); i++)
        put_line_y(p, p->y + CHART - (double)CHART * i / 5, labels[i]);
    put_curve(p, b, CURVE_WORST, "#d98a8f");
    put_curve(p, b, CURVE_HIGH, "#e08a1e");
    put_curve(p, b, CURVE_MIDDLE, "#2f6db0");
    p->y += CHART;
}

static void put_axis(struct picture *p)
{
    static const unsigned steps[] = {1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200};
    uint64_t seconds = (p->end_ns - p->begin_ns) / 1000000000;
    unsigned step = 0;
    char label[32];
    while (step + 1 < HF_ARRAY_COUNT(steps) && seconds / steps[step] > 20) step++;
    for (uint64_t s = 0; s <= seconds; s += steps[step]) {
        double x = LEFT + place(p, p->begin_ns + s * UINT64_C(1000000000));
        snprintf(label, sizeof label, "%llu s", (unsigned long long)s);
        put_text(p, x, p->y + 16, "middle", label);
    }
    p->y += 24;
}

/* ------------------------------------------------------------------ all of it */

static void put_legend(FILE *f)
{
    static const char *const words[CELL_COUNT] = {"", "done", "refused or busy",
                                                  "took more than 0.3 s", "outcome unknown"};
    fprintf(f, "<p>In the threads' lanes:");
    for (unsigned i = CELL_OK; i < CELL_COUNT; i++)
        fprintf(f, "<span class=\"key\" style=\"background:%s\"></span>%s", colors[i], words[i]);
    fprintf(f, "<span class=\"key\" style=\"background:#fde8d7\"></span>a fault acts</p>\n");
}

void report_svg(FILE *f, const struct results *r)
{
    const struct timeline *t = &r->timeline;
    struct picture p = {.f = f, .r = r, .begin_ns = r->world->begun_ns, .end_ns = t->end_ns};
    struct bins bins = {0};
    if (t->count == 0 || p.end_ns <= p.begin_ns) return;
    p.height = 5 * GAP + FAULT_ROWS * ROW + 16 + (int)t->lane_count * LANE + 2 * CHART + 24;
    put_legend(f);
    fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\">\n", WIDTH, p.height);
    put_bands(&p);
    put_faults(&p);
    put_leaders(&p);
    put_lanes(&p);
    if (count_bins(&p, &bins)) {
        put_throughput(&p, &bins);
        put_latency(&p, &bins);
    }
    free(bins.list);
    put_axis(&p);
    fprintf(f, "</svg>\n");
}
