/* A client process: one client of the library, some threads, each with an owner of its own. It ends
 * with 0, or with 70 and a sentence in its log if the library answered what it never should. */
#include "jepsen/run/workload.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { IDS_OF_A_WORKER = 100000000, ROUND_NS = 100000000 };

const struct workload *const workload_table[] = {
    &workload_lock,    &workload_record, &workload_payment, &workload_permits,
    &workload_several, &workload_modes,  &workload_reopen,  NULL};

_Static_assert(PAYMENTS_CALLERS == RUN_CLIENTS_MAX * WORKLOAD_THREADS, "one a thread");

/* ------------------------------------------------------------------ time */

bool worker_may_go_on(const struct worker *w)
{
    return atomic_load(&w->signal->phase) == PHASE_RUN;
}

void worker_pause_ms(const struct worker *w, uint64_t ms)
{
    uint64_t until = journal_now_ns() + ms * 1000000U;
    while (worker_may_go_on(w)) {
        uint64_t now = journal_now_ns();
        if (now >= until) return;
        uint64_t left_ms = (until - now) / 1000000U + 1;
        (void)poll(NULL, 0, left_ms < 100 ? (int)left_ms : 100);
    }
}

uint64_t worker_rounds(const struct worker *w)
{
    return (journal_now_ns() - w->begun_ns) / ROUND_NS;
}

const char *worker_record_key(const char *prefix, uint64_t round, unsigned which,
                              char out[WORKLOAD_NAME_BYTES])
{
    snprintf(out, WORKLOAD_NAME_BYTES, "%s-%llu-%u", prefix, (unsigned long long)round, which);
    return out;
}

/* ------------------------------------------------------------------ the process */

struct seat { /* a thread and what it was given */
    const struct workload_process *process;
    struct worker worker;
    pthread_t thread;
};

static void *work(void *data)
{
    struct seat *seat = data;
    const struct workload *workload = seat->process->workload;
    if (seat->process->reads_all) workload->read_all(&seat->worker);
    while (!seat->process->reads_all && worker_may_go_on(&seat->worker))
        workload->turn(&seat->worker);
    if (!seat->process->reads_all && workload->finish != NULL) workload->finish(&seat->worker);
    return NULL;
}

static void sit_down(struct seat *seat, const struct workload_process *p, hf_client *client,
                     unsigned index)
{
    struct worker *w = &seat->worker;
    unsigned number = p->number * WORKLOAD_THREADS + index;
    seat->process = p;
    *w = (struct worker){.client = client, .signal = p->signal, .begun_ns = p->begun_ns};
    w->holding = &p->signal->holding[(p->number - 1) % RUN_CLIENTS_MAX];
    w->first_id = (uint64_t)number * IDS_OF_A_WORKER;
    int used = snprintf(w->name, sizeof w->name, "c%ut%u", p->number, index + 1);
    if (p->life > 0) snprintf(w->name + used, sizeof w->name - (size_t)used, ".%u", p->life);
    snprintf(w->owner_name, sizeof w->owner_name, "%s/0", w->name);
    uint64_t draw = number + (uint64_t)p->life * 1000;
    prng_seed(&w->prng, p->seed + draw * UINT64_C(0x9e3779b97f4a7c15));
    w->tape = &p->tapes[index];
    w->payments = p->payments;
    if (!p->reads_all)
        w->caller = &p->payments->callers[(p->number - 1) * WORKLOAD_THREADS + index];
    if (hf_lock_new(client, &w->lock) != HF_OK) _Exit(70);
}

static void stand_up(struct seat *seat)
{
    hf_lock_free(seat->worker.lock);
}

static void hear_loss(hf_client *client, const hf_loss *loss, void *data)
{
    struct seat *seats = data;
    uint64_t heard_ns = journal_now_ns();
    (void)client;
    for (unsigned i = 0; i < WORKLOAD_THREADS; i++) worker_lost(&seats[i].worker, loss, heard_ns);
}

int workload_run(void *data)
{
    const struct workload_process *p = data;
    struct seat seats[WORKLOAD_THREADS] = {0};
    unsigned count = p->reads_all ? 1 : WORKLOAD_THREADS;
    char name[WORKLOAD_NAME_BYTES];
    hf_options options;
    hf_client *client = NULL;
    hf_options_init(&options);
    snprintf(name, sizeof name, "jepsen-c%u", p->number);
    options.name = name;
    options.servers = p->servers;
    options.ttl_ms = WORKLOAD_TTL_MS;
    options.timeout_ms = WORKLOAD_TIMEOUT_MS;
    options.lost_cb = hear_loss;
    options.lost_data = seats;
    int rv = hf_client_open(&options, &client);
    if (rv != HF_OK) {
        fprintf(stderr, "no client: %s\n", hf_status_text(rv));
        return 74;
    }
    for (unsigned i = 0; i < count; i++) sit_down(&seats[i], p, client, i);
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&seats[i].thread, NULL, work, &seats[i]) != 0) _Exit(74);
    }
    for (unsigned i = 0; i < count; i++) pthread_join(seats[i].thread, NULL);
    for (unsigned i = 0; i < count; i++) stand_up(&seats[i]);
    hf_client_close(client);
    return 0;
}
