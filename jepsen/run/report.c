/* report.html: one page, no scripts, nothing from elsewhere. Above the verdict and its reasons,
 * then one picture in which all parts have the same time axis: faults, leaders, operations by
 * thread, throughput, latency; below the counts. The picture is report_svg.c's. */
#include <inttypes.h>
#include <stdio.h>

#include "jepsen/run/report_svg.h"
#include "jepsen/run/results.h"

static const char STYLE[] =
    "body{font:14px/1.45 system-ui,sans-serif;color:#1c2733;background:#fff;margin:24px auto;"
    "max-width:1240px;padding:0 16px}\n"
    "h1{font-size:20px;margin:0 0 4px}code{font:12px/1.4 ui-monospace,monospace;color:#44525f}\n"
    ".verdict{display:inline-block;padding:2px 10px;border-radius:4px;color:#fff;font-weight:600}\n"
    ".good{background:#1a7f45}.violated,.failed{background:#c1121f}\n"
    ".undecided,.thin{background:#b45f06}\n"
    "table{border-collapse:collapse;margin:12px 0}td,th{padding:3px 12px;text-align:right;"
    "border-bottom:1px solid #e3e8ed}th{color:#5a6875;font-weight:600}"
    "td:first-child,th:first-child{text-align:left}\n"
    "li{margin:2px 0}.facts{color:#44525f;margin:8px 0}svg{display:block;width:100%;height:auto}\n"
    "svg text{font:11px system-ui,sans-serif;fill:#44525f}\n"
    ".key{display:inline-block;width:12px;height:12px;margin:0 4px 0 14px;vertical-align:-1px}\n";

static void put_escaped(FILE *f, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '&': fputs("&amp;", f); break;
        case '"': fputs("&quot;", f); break;
        default: fputc(*text, f); break;
        }
    }
}

static void put_head(FILE *f, const struct results *r)
{
    const struct world *w = r->world;
    char command[RUN_SENTENCE_BYTES];
    plan_command(w->plan, command);
    fprintf(f,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<title>holdfast-jepsen: %s, seed %" PRIu64
            "</title>\n<style>%s</style></head><body>\n",
            w->plan->workload->name, w->plan->seed, STYLE);
    fprintf(f, "<h1>%s, %u servers, seed %" PRIu64 " <span class=\"verdict %s\">%s</span></h1>\n",
            w->plan->workload->name, w->plan->servers, w->plan->seed, r->verdict, r->verdict);
    fprintf(f, "<code>");
    put_escaped(f, command);
    fprintf(f,
            "</code>\n<p class=\"facts\">%zu operations, %" PRIu64 " unknown; %" PRIu64
            " a second before the first fault; %u faults, %u leader changes, last term %" PRIu64
            "</p>\n",
            r->timeline.count, timeline_total(&r->timeline, TIMELINE_UNKNOWN), r->ops_per_s,
            w->faults, w->leader_changes, w->term);
}

/* What a run is for, beside its history: leases and money. */
static void put_counts(FILE *f, const struct results *r)
{
    const struct world *w = r->world;
    const struct payments_account *a = &w->paid;
    fprintf(f, "<p class=\"facts\">%" PRIu64 " leases, %" PRIu64 " of them ended early",
            atomic_load(&w->signal->leases.given), atomic_load(&w->signal->leases.early));
    if (a->begun > 0)
        fprintf(f,
                "; %" PRIu64 " payments: %" PRIu64 " cut by their caller's death, %" PRIu64
                " of unknown outcome for a while, %" PRIu64 " completed, %" PRIu64
                " with more than one effect; %" PRIu64 " late writes refused",
                a->begun, a->cut, a->unsure, a->completed, a->doubles,
                atomic_load(&w->payments->late_writes));
    fprintf(f, "</p>\n");
}

static void put_failures(FILE *f, const struct results *r)
{
    const struct world *w = r->world;
    if (r->checker[0] != '\0') {
        fprintf(f, "<p>The checker: ");
        put_escaped(f, r->checker);
        fprintf(f, "</p>\n");
    }
    if (w->failure_count == 0) return;
    fprintf(f, "<ul>\n");
    for (unsigned i = 0; i < w->failure_count; i++) {
        fprintf(f, "<li>");
        put_escaped(f, w->failures[i]);
        fprintf(f, "</li>\n");
    }
    fprintf(f, "</ul>\n");
}

static void put_kinds(FILE *f, const struct timeline *t)
{
    fprintf(f, "<table><tr><th>operation</th><th>ok</th><th>fail</th>"
               "<th>of these refused: stale or not held</th><th>unknown</th></tr>\n");
    for (unsigned i = 0; i < t->kind_count; i++) {
        const struct timeline_kind *k = &t->kinds[i];
        fprintf(f, "<tr><td>");
        put_escaped(f, k->op);
        fprintf(f,
                "</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>%" PRIu64
                "</td></tr>\n",
                k->counts[TIMELINE_OK], k->counts[TIMELINE_FAIL], k->refused,
                k->counts[TIMELINE_UNKNOWN]);
    }
    fprintf(f, "</table>\n");
}

static void put_events(FILE *f, const struct timeline *t, uint64_t begin_ns)
{
    fprintf(f, "<table><tr><th>from</th><th>to</th><th style=\"text-align:left\">what</th></tr>\n");
    for (size_t i = 0; i < t->event_count; i++) {
        const struct timeline_event *e = &t->events[i];
        double from = (double)(e->call_ns - begin_ns) / 1e9;
        double to = (double)(e->ret_ns - begin_ns) / 1e9;
        fprintf(f, "<tr><td>%.2f s</td><td>", from);
        if (e->is_fault) fprintf(f, "%.2f s", to);
        fprintf(f, "</td><td style=\"text-align:left\">");
        put_escaped(f, e->what);
        fprintf(f, ": ");
        put_escaped(f, e->detail);
        fprintf(f, "</td></tr>\n");
    }
    fprintf(f, "</table>\n");
}

bool results_write_report(const struct results *r, const char *path)
{
    FILE *f = fopen(path, "w");
    if (f == NULL) return false;
    put_head(f, r);
    put_counts(f, r);
    put_failures(f, r);
    report_svg(f, r);
    put_kinds(f, &r->timeline);
    put_events(f, &r->timeline, r->world->begun_ns);
    fprintf(f, "</body></html>\n");
    bool good = ferror(f) == 0;
    return fclose(f) == 0 && good;
}
