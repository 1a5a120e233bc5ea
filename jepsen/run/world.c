#include "jepsen/run/world.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "jepsen/run/child.h"

enum { LOOK_EVERY_MS = 20 };

void world_fail(struct world *w, const char *format, ...)
{
    if (w->failure_count == WORLD_FAILURES_MAX) return; /* the first ones tell most */
    va_list args;
    va_start(args, format);
    vsnprintf(w->failures[w->failure_count], WORLD_FAILURE_BYTES, format, args);
    va_end(args);
    fprintf(stderr, "holdfast-jepsen: FAILED: %s\n", w->failures[w->failure_count]);
    w->failure_count += 1;
}

/* ------------------------------------------------------------------ looking after all */

static void look_for_leader(struct world *w)
{
    char detail[64];
    uint64_t term = 0;
    unsigned leader = observer_leader(&w->observer, w->begun_ns, &term);
    if (term <= w->term) return;
    if (w->term != 0) w->leader_changes += 1;
    w->leader = leader;
    w->term = term;
    snprintf(detail, sizeof detail, "s%u term %llu", leader + 1, (unsigned long long)term);
    uint64_t now = journal_now_ns();
    journal_put_event(&w->journal, "note", now, now, "leader", detail);
}

static struct tape *tapes_of(const struct world *w, unsigned i)
{
    return w->clients[i].told.tapes;
}

/* Its process is no more: what it left becomes lines, and it holds nothing. */
static void end_client(struct world *w, unsigned i)
{
    struct client_process *c = &w->clients[i];
    for (unsigned t = 0; t < WORKLOAD_THREADS; t++) {
        bool in_call = tape_end(&tapes_of(w, i)[t], &w->journal);
        if (!c->told.reads_all)
            payments_caller_died(w->payments, i * WORKLOAD_THREADS + t, in_call);
    }
    atomic_store(&w->signal->holding[i], 0);
    c->pid = 0;
    c->stopped = false;
}

void world_client_ended(struct world *w, unsigned i, int status)
{
    char how[32];
    end_client(w, i);
    if (status == 0) return;
    world_fail(w, "client %u ended with %s: see client-%u.log", i + 1, child_end_text(status, how),
               i + 1);
}

static void tell_end(struct world *w, pid_t pid, int status)
{
    char how[32];
    unsigned i = servers_find(&w->servers, pid);
    (void)child_end_text(status, how);
    if (i < w->plan->servers) {
        w->servers.list[i].pid = 0;
        world_fail(w, "server %u ended by itself with %s: see server-%u/log", i + 1, how, i + 1);
        return;
    }
    for (i = 0; i < w->plan->clients; i++) {
        if (w->clients[i].pid != pid) continue;
        end_client(w, i);
        /* In the calm they end when they have finished: whoever looks after all may see it first.
         */
        if (status == 0 && atomic_load(&w->signal->phase) != PHASE_RUN) return;
        world_fail(w, "client %u ended by itself with %s: see client-%u.log", i + 1, how, i + 1);
        return;
    }
    if (pid == w->observer.pid) {
        w->observer.pid = 0;
        world_fail(w, "the observer ended by itself with %s: see observer.log", how);
    }
}

void world_look(struct world *w)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) tell_end(w, pid, status);
    for (unsigned i = 0; i < WORLD_TAPES; i++) tape_take(&w->tapes[i], &w->journal);
    look_for_leader(w);
}

void world_wait_ms(struct world *w, uint64_t ms)
{
    uint64_t until = journal_now_ns() + ms * 1000000U;
    while (child_stopping() == 0 && journal_now_ns() < until) {
        world_look(w);
        child_sleep_ms(LOOK_EVERY_MS);
    }
}

bool world_await_service(struct world *w, uint64_t ms)
{
    uint64_t since = journal_now_ns(), until = since + ms * 1000000U;
    while (child_stopping() == 0 && journal_now_ns() < until) {
        unsigned answered = 0;
        world_wait_ms(w, 2 * LOOK_EVERY_MS);
        for (unsigned i = 0; i < w->plan->servers; i++)
            answered += observer_look(&w->observer, i).asked_ns >= since;
        if (answered == w->plan->servers &&
            observer_leader(&w->observer, since, NULL) < w->plan->servers)
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------ acting */

struct cut_nodes world_nodes(const struct world *w)
{
    return (struct cut_nodes){
        .servers = w->plan->servers, .count = w->net.count, .leader = w->leader};
}

void world_cut(struct world *w, const struct cut *cut)
{
    char sentence[NET_SENTENCE_BYTES];
    (void)w;
    if (net_cut(cut, sentence)) return;
    fprintf(stderr, "holdfast-jepsen: %s\n", sentence);
    exit(RUN_IO);
}

bool world_start_client(struct world *w, unsigned i, bool reads_all)
{
    struct client_process *c = &w->clients[i];
    char log[RUN_PATH_BYTES * 2], folder[RUN_PATH_BYTES * 2];
    HF_ASSERT(c->pid == 0);
    c->told = (struct workload_process){
        .workload = w->plan->workload,
        .signal = w->signal,
        .servers = w->servers_list,
        .tapes = &w->tapes[(i + (reads_all ? w->plan->clients : 0)) * WORKLOAD_THREADS],
        .payments = w->payments,
        .life = c->kills,
        .seed = w->plan->seed,
        .begun_ns = w->begun_ns,
        .number = i + 1 + (reads_all ? w->plan->clients : 0),
        .reads_all = reads_all,
    };
    snprintf(log, sizeof log, "%s/client-%u.log", w->plan->out, i + 1);
    snprintf(folder, sizeof folder, "%s/resources", w->plan->out);
    struct child child = {
        .body = workload_run,
        .data = &c->told,
        .folder = folder,
        .log = log,
        .network = w->net.nodes[w->plan->servers + i],
    };
    c->pid = child_start(&child);
    if (c->pid < 0) c->pid = 0;
    return c->pid != 0;
}

void world_kill_client(struct world *w, unsigned i)
{
    struct client_process *c = &w->clients[i];
    int status = 0;
    if (c->pid == 0) return;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) { /* it had ended by itself before */
        tell_end(w, c->pid, status);
        return;
    }
    end_client(w, i);
    c->kills += 1;
    if (!world_start_client(w, i, false)) world_fail(w, "client %u did not start again", i + 1);
}

unsigned world_client_kills(const struct world *w)
{
    unsigned kills = 0;
    for (unsigned i = 0; i < w->plan->clients; i++) kills += w->clients[i].kills;
    return kills;
}

void world_close(struct world *w)
{
    for (unsigned i = 0; i < RUN_CLIENTS_MAX; i++) {
        if (w->clients[i].pid == 0) continue;
        child_kill(w->clients[i].pid);
        end_client(w, i);
    }
    observer_close(&w->observer);
    if (w->servers.plan != NULL) servers_kill_all(&w->servers);
    net_close(&w->net);
    if (w->journal.fd > 0) journal_close(&w->journal);
    if (w->signal != NULL) munmap(w->signal, sizeof *w->signal);
    if (w->tapes != NULL) munmap(w->tapes, WORLD_TAPES * sizeof *w->tapes);
    payments_close(w->payments);
    w->payments = NULL;
    w->signal = NULL;
    w->tapes = NULL;
}
