/* summary.json: flat numbers and words, stable for scripts. */
#include <inttypes.h>
#include <stdio.h>

#include "jepsen/run/results.h"

static void put_kinds(FILE *f, const struct timeline *t)
{
    fprintf(f, "  \"operations\": {");
    for (unsigned i = 0; i < t->kind_count; i++) {
        const struct timeline_kind *k = &t->kinds[i];
        fprintf(f,
                "%s\n    \"%s\": {\"ok\": %" PRIu64 ", \"fail\": %" PRIu64 ", \"unknown\": %" PRIu64
                ", \"refused\": %" PRIu64 "}",
                i > 0 ? "," : "", k->op, k->counts[TIMELINE_OK], k->counts[TIMELINE_FAIL],
                k->counts[TIMELINE_UNKNOWN], k->refused);
    }
    fprintf(f, "\n  },\n");
}

static void put_payments(FILE *f, const struct world *w)
{
    const struct payments_account *a = &w->paid;
    if (w->plan->workload != &workload_payment) return;
    fprintf(f,
            "  \"payments\": {\"begun\": %" PRIu64 ", \"cut_by_death\": %" PRIu64
            ", \"unknown\": %" PRIu64 ", \"resolved_later\": %" PRIu64 ",\n",
            a->begun, a->cut, a->unsure, a->resolved_later);
    fprintf(f,
            "    \"taken_over\": %" PRIu64 ", \"decided\": %" PRIu64 ", \"completed\": %" PRIu64
            ", \"late_writes_refused\": %" PRIu64 ",\n",
            a->taken, a->decided, a->completed, atomic_load(&w->payments->late_writes));
    fprintf(f, "    \"effects\": %" PRIu64 ", \"double_effects\": %" PRIu64 "},\n", a->effects,
            a->doubles);
}

/* The sentences are ours, but may hold a line of a log. */
static void put_text(FILE *f, const char *text)
{
    fputc('"', f);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            fprintf(f, "\\%c", byte);
        else if (byte < ' ' || byte > '~')
            fputc('?', f);
        else
            fputc(byte, f);
    }
    fputc('"', f);
}

bool results_write_summary(const struct results *r, const char *path)
{
    const struct world *w = r->world;
    const struct timeline *t = &r->timeline;
    char command[RUN_SENTENCE_BYTES];
    FILE *f = fopen(path, "w");
    if (f == NULL) return false;
    plan_command(w->plan, command);
    fprintf(f, "{\n  \"command\": ");
    put_text(f, command);
    fprintf(f, ",\n  \"verdict\": \"%s\",\n  \"exit_code\": %d,\n", r->verdict, r->code);
    fprintf(f, "  \"workload\": \"%s\", \"servers\": %u, \"seed\": %" PRIu64 ",\n",
            w->plan->workload->name, w->plan->servers, w->plan->seed);
    fprintf(f,
            "  \"ops\": %zu, \"ok\": %" PRIu64 ", \"fail\": %" PRIu64 ", \"unknown\": %" PRIu64
            ",\n",
            t->count, timeline_total(t, TIMELINE_OK), timeline_total(t, TIMELINE_FAIL),
            timeline_total(t, TIMELINE_UNKNOWN));
    fprintf(f,
            "  \"ops_per_s_before_faults\": %" PRIu64 ", \"faults\": %u, \"client_kills\": %u,\n  ",
            r->ops_per_s, w->faults, world_client_kills(w));
    fprintf(f, "\"leader_changes\": %u, \"last_term\": %" PRIu64 ",\n", w->leader_changes, w->term);
    fprintf(f, "  \"leases\": %" PRIu64 ", \"early_expiries\": %" PRIu64 ",\n",
            atomic_load(&w->signal->leases.given), atomic_load(&w->signal->leases.early));
    put_payments(f, w);
    put_kinds(f, t);
    fprintf(f, "  \"checker\": ");
    put_text(f, r->checker);
    fprintf(f, ",\n  \"failures\": [");
    for (unsigned i = 0; i < w->failure_count; i++) {
        fprintf(f, "%s\n    ", i > 0 ? "," : "");
        put_text(f, w->failures[i]);
    }
    fprintf(f, "]\n}\n");
    bool good = ferror(f) == 0;
    return fclose(f) == 0 && good;
}

void results_close(struct results *r)
{
    timeline_close(&r->timeline);
}
