/* The story of a run:
 *
 *   namespaces, servers, clients; some seconds of load alone, which must be worth something; the
 *   nemeses; everything healed: all servers must be back and serve; clients finish what is open;
 *   one reads every key; all servers must have the same state at the same entry, and end well; no
 *   log may hold what none may hold. Then the history is judged, and the report written.
 *
 * A claim of the product that fails is kept and told at the end (exit code 1); what the run itself
 * cannot do ends it with a sentence. Ctrl-C ends it at any point; nothing of it stays. */
#include "jepsen/run/run.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "jepsen/run/child.h"
#include "jepsen/run/judge.h"
#include "jepsen/run/logs.h"
#include "jepsen/run/nemesis.h"
#include "jepsen/run/results.h"

enum {
    SERVICE_MS_MAX = 30000, /* after all is healed */
    SETTLE_MS = 1000,       /* of load, not measured */
    MEASURE_MS = 2000,      /* of load, before the first fault */
    THIN_OPS_PER_S = 100,
    CALM_LOAD_MS = 2000,   /* of load after all is healed */
    CALM_MS_MAX = 30000,   /* until the clients have finished what is open */
    READ_MS_A_SECOND = 50, /* of the run's seconds, more for the final reads */
    LEVEL_MS_MAX = 10000,
    FIRST_SEED = 0x6a657073, /* the nemeses' draws are not the clients' */
};

static struct world world; /* one a process; atexit() must find it */

static void close_world(void)
{
    world_close(&world);
}

static int say(int code, const char *format, const char *what)
{
    fprintf(stderr, "holdfast-jepsen: ");
    fprintf(stderr, format, what);
    fputc('\n', stderr);
    return code;
}

/* ------------------------------------------------------------------ setting up */

static int make_out(const struct plan *plan)
{
    char path[RUN_PATH_BYTES + 32], command[RUN_SENTENCE_BYTES];
    if (mkdir(plan->out, 0755) != 0 && errno != EEXIST)
        return say(RUN_IO, "%s cannot be made", plan->out);
    snprintf(path, sizeof path, "%s/resources", plan->out);
    if (mkdir(path, 0755) != 0)
        return say(RUN_IO, "%s is there already: name an empty folder with --out", path);
    snprintf(path, sizeof path, "%s/command", plan->out);
    FILE *f = fopen(path, "w");
    if (f == NULL) return say(RUN_IO, "%s cannot be written", path);
    plan_command(plan, command);
    fprintf(f, "%s\n", command);
    return fclose(f) == 0 ? RUN_GOOD : say(RUN_IO, "%s cannot be written", path);
}

static int find_faketime(struct servers *s)
{
    glob_t found;
    if (!s->wall_faked && !s->rate_faked) return RUN_GOOD;
    if (glob("/usr/lib/*/faketime/libfaketime.so.1", 0, NULL, &found) != 0)
        return say(RUN_CANNOT_HERE, "%s is missing: install Debian's package libfaketime",
                   "libfaketime.so.1");
    snprintf(s->faketime, sizeof s->faketime, "%s", found.gl_pathv[0]);
    globfree(&found);
    return RUN_GOOD;
}

static int set_up(struct world *w, const struct plan *plan)
{
    char sentence[NET_SENTENCE_BYTES], log[RUN_PATH_BYTES + 32];
    w->plan = plan;
    w->leader = plan->servers;
    w->servers = (struct servers){.plan = plan, .net = &w->net};
    for (unsigned i = 0; i < plan->servers; i++) w->servers.list[i].rate = SERVERS_RATE_PER_MILLION;
    prng_seed(&w->prng, plan->seed ^ FIRST_SEED);
    for (unsigned i = 0; nemesis_table[i] != NULL; i++) {
        if ((plan->nemeses >> i & 1) != 0 && nemesis_table[i]->set_up != NULL)
            nemesis_table[i]->set_up(w);
    }
    int code = find_faketime(&w->servers);
    if (code != RUN_GOOD) return code;
    if (!net_enter(sentence) || !net_open(&w->net, plan->servers + plan->clients, sentence))
        return say(RUN_CANNOT_HERE, "%s", sentence);
    code = make_out(plan);
    if (code != RUN_GOOD) return code;
    servers_client_list(plan->servers, w->servers_list);
    snprintf(w->history, sizeof w->history, "%s/history.jsonl", plan->out);
    if (!journal_open(&w->journal, w->history)) return say(RUN_IO, "cannot write %s", w->history);
    journal_put_header(&w->journal, 1, plan->seed);
    void *shared = child_share(sizeof *w->signal);
    if (shared == NULL) return say(RUN_IO, "no memory%s", "");
    w->signal = shared;
    w->tapes = child_share(WORLD_TAPES * sizeof *w->tapes);
    w->payments = payments_open(plan->seconds);
    if (w->tapes == NULL || w->payments == NULL) return say(RUN_IO, "no memory%s", "");
    w->begun_ns = journal_now_ns();
    for (unsigned i = 0; i < plan->servers; i++) {
        if (!servers_start(&w->servers, i)) return say(RUN_IO, "no server could be started%s", "");
    }
    snprintf(log, sizeof log, "%s/observer.log", plan->out);
    return observer_open(&w->observer, plan->servers, log)
               ? RUN_GOOD
               : say(RUN_IO, "no observer could be started%s", "");
}

/* ------------------------------------------------------------------ the run's steps */

/* Load without faults. \return a code; RUN_THIN if there is too little of it. */
static int warm_up(struct world *w, struct results *r)
{
    if (!world_await_service(w, SERVICE_MS_MAX)) {
        if (child_stopping() == 0) world_fail(w, "the new cluster did not serve within 30 s");
        return RUN_VIOLATED;
    }
    for (unsigned i = 0; i < w->plan->clients; i++) {
        if (!world_start_client(w, i, false)) return say(RUN_IO, "no client%s", "");
    }
    world_wait_ms(w, SETTLE_MS);
    uint64_t before = atomic_load(&w->signal->answered);
    world_wait_ms(w, MEASURE_MS);
    r->ops_per_s = (atomic_load(&w->signal->answered) - before) * 1000 / MEASURE_MS;
    fprintf(stderr, "%llu operations/s before the first fault\n", (unsigned long long)r->ops_per_s);
    return r->ops_per_s >= THIN_OPS_PER_S ? RUN_GOOD : RUN_THIN;
}

/* Until all have ended, or a signal asks the run to stop. \return false: after `ms` some had not.
 */
static bool await_clients(struct world *w, uint64_t ms)
{
    uint64_t until = journal_now_ns() + ms * 1000000U;
    while (child_stopping() == 0) {
        bool all = true, late = journal_now_ns() >= until;
        for (unsigned i = 0; i < w->plan->clients; i++) {
            int status = 0;
            if (w->clients[i].pid == 0) continue;
            if (child_wait(w->clients[i].pid, 0, &status))
                world_client_ended(w, i, status);
            else
                all = false;
        }
        world_look(w);
        if (all) return true;
        if (late) return false;
        child_sleep_ms(5);
    }
    return true;
}

static void fail_payment(void *data, const char *sentence)
{
    world_fail(data, "%s", sentence);
}

/* Each payment that was begun is completed by now, and has happened once. */
static void look_at_payments(struct world *w)
{
    char folder[RUN_PATH_BYTES + 32];
    snprintf(folder, sizeof folder, "%s/resources", w->plan->out);
    payments_sum_up(w->payments, folder, fail_payment, w, &w->paid);
}

/* All faults are over: everything must be as if there had been none. */
static void calm_down(struct world *w)
{
    for (unsigned i = 0; i < w->plan->servers; i++) {
        if (w->servers.list[i].pid == 0 && !servers_start(&w->servers, i))
            world_fail(w, "server %u did not start again", i + 1);
    }
    if (!world_await_service(w, SERVICE_MS_MAX) && child_stopping() == 0)
        world_fail(w, "not all servers were back and led within 30 s after the last fault");
    uint64_t before = atomic_load(&w->signal->answered);
    world_wait_ms(w, CALM_LOAD_MS);
    if (child_stopping() != 0) return;
    if (atomic_load(&w->signal->answered) == before)
        world_fail(w, "no client was served in 2 s although all was healed");
    atomic_store(&w->signal->phase, PHASE_CALM);
    if (!await_clients(w, CALM_MS_MAX)) {
        world_fail(w, "clients had calls without an answer 30 s after all was healed");
        atomic_store(&w->signal->phase, PHASE_OVER);
        (void)await_clients(w, CALM_MS_MAX);
    }
    atomic_store(&w->signal->phase, PHASE_CALM);
    if (w->clients[0].pid == 0 && world_start_client(w, 0, true) &&
        !await_clients(w, CALM_MS_MAX + w->plan->seconds * READ_MS_A_SECOND))
        world_fail(w, "the final reads of every key did not end in time");
    look_at_payments(w);
}

/* No lease may have ended while its caller believed in it. */
static void look_at_leases(struct world *w)
{
    struct lease_counts *leases = &w->signal->leases;
    uint64_t early = atomic_load(&leases->early);
    if (early == 0) return;
    bool told = atomic_load(&leases->sentence_state) == 2; /* else its writer was killed */
    world_fail(w, "%llu leases ended early, the first: %s", (unsigned long long)early,
               told ? leases->sentence : "its caller was killed");
}

static void compare_states(struct world *w)
{
    bool same = false;
    uint64_t since = journal_now_ns(), until = since + LEVEL_MS_MAX * UINT64_C(1000000);
    while (child_stopping() == 0 && !observer_all_level(&w->observer, since, &same)) {
        if (journal_now_ns() >= until) {
            world_fail(w, "the servers do not stand at the same entry 10 s after the last request");
            return;
        }
        world_wait_ms(w, 50);
    }
    if (child_stopping() == 0 && !same)
        world_fail(w, "the servers' states differ at the same entry (see their digests)");
}

static void end_servers(struct world *w)
{
    for (unsigned i = 0; i < w->plan->servers; i++) {
        int status = 0;
        char how[32];
        if (w->servers.list[i].pid == 0) continue;
        if (!servers_end(&w->servers, i, &status))
            world_fail(w, "server %u did not end within 10 s after TERM", i + 1);
        else if (status != 0)
            world_fail(w, "server %u ended with %s after TERM", i + 1, child_end_text(status, how));
    }
}

/* ------------------------------------------------------------------ judging */

static void judge(struct world *w, struct results *r, int code)
{
    static const struct {
        int code;
        const char *word;
    } words[] = {{RUN_GOOD, "good"},
                 {RUN_VIOLATED, "violated"},
                 {RUN_UNDECIDED, "undecided"},
                 {RUN_THIN, "thin"}};
    if (w->failure_count > 0) code = RUN_VIOLATED;
    r->code = code;
    snprintf(r->verdict, sizeof r->verdict, "failed"); /* the run itself */
    for (size_t i = 0; i < HF_ARRAY_COUNT(words); i++) {
        if (words[i].code == code) snprintf(r->verdict, sizeof r->verdict, "%s", words[i].word);
    }
}

static void print_end(const struct world *w, const struct results *r, const char *path)
{
    const struct payments_account *a = &w->paid;
    printf("%s: %zu operations (%llu ok, %llu unknown), %llu/s before faults, %u faults, "
           "%u leader changes; %llu leases, %llu early ends",
           r->verdict, r->timeline.count,
           (unsigned long long)timeline_total(&r->timeline, TIMELINE_OK),
           (unsigned long long)timeline_total(&r->timeline, TIMELINE_UNKNOWN),
           (unsigned long long)r->ops_per_s, w->faults, w->leader_changes,
           (unsigned long long)atomic_load(&w->signal->leases.given),
           (unsigned long long)atomic_load(&w->signal->leases.early));
    if (a->begun > 0)
        printf("; %llu payments (%llu cut by a death, %llu unsure), %llu late writes refused, "
               "%llu double effects",
               (unsigned long long)a->begun, (unsigned long long)a->cut,
               (unsigned long long)a->unsure,
               (unsigned long long)atomic_load(&w->payments->late_writes),
               (unsigned long long)a->doubles);
    printf(": %s\n", path);
}

static int write_results(struct world *w, struct results *r, int code)
{
    char path[RUN_PATH_BYTES + 32];
    if (!timeline_read(&r->timeline, w->history)) return say(RUN_IO, "cannot read %s", w->history);
    judge(w, r, code);
    snprintf(path, sizeof path, "%s/summary.json", w->plan->out);
    if (!results_write_summary(r, path)) return say(RUN_IO, "cannot write %s", path);
    snprintf(path, sizeof path, "%s/report.html", w->plan->out);
    if (!results_write_report(r, path)) return say(RUN_IO, "cannot write %s", path);
    print_end(w, r, path);
    return r->code;
}

static int run(struct world *w, struct results *r)
{
    int code = warm_up(w, r);
    if (code == RUN_GOOD && child_stopping() == 0) {
        r->faults_begin_ns = journal_now_ns();
        nemesis_run(w, r->faults_begin_ns + w->plan->seconds * UINT64_C(1000000000));
        r->faults_end_ns = journal_now_ns();
        if (child_stopping() == 0) calm_down(w);
        if (child_stopping() == 0) compare_states(w);
        if (child_stopping() == 0) end_servers(w);
    }
    if (child_stopping() != 0) {
        fprintf(stderr, "holdfast-jepsen: stopped by a signal; what was written is in %s\n",
                w->plan->out);
        return RUN_STOPPED + child_stopping();
    }
    if (code == RUN_IO) return code;
    look_at_leases(w);
    logs_look(w);
    int verdict = judge_history(w, r);
    if (code == RUN_GOOD) code = verdict;
    code = write_results(w, r, code);
    if (code == RUN_GOOD) logs_tidy(w);
    return code;
}

int run_main(int argc, char **argv)
{
    static struct plan plan;
    static struct results results;
    char sentence[RUN_SENTENCE_BYTES];
    if (!plan_read(&plan, argc, argv, sentence)) return say(RUN_USAGE, "%s", sentence);
    if (plan.help) {
        fputs(plan_help(), stdout);
        return RUN_GOOD;
    }
    child_catch_signals();
    results.world = &world;
    atexit(close_world);
    int code = set_up(&world, &plan);
    if (code == RUN_GOOD) code = run(&world, &results);
    results_close(&results);
    world_close(&world);
    return code;
}
