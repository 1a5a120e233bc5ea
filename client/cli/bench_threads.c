/* Callers that are threads: each blocks until its request is answered, as most programs do. */
#include <inttypes.h>
#include <unistd.h>

#include "client/cli/bench.h"
#include "client/cli/output.h"
#include "client/cli/words.h"

enum { STACK_BYTES = 256 * 1024 };

static int cycle_lock(struct caller *c)
{
    int rv = hf_lock_acquire(c->lock, c->name, 0, &c->grant, NULL);
    bench_middle(c, rv);
    return rv == HF_OK ? hf_lock_release(c->lock, &c->grant, NULL) : rv;
}

static int cycle_record(struct caller *c)
{
    const hf_begin how = {.retain_ms = c->bench->retain_ms};
    const hf_result result = {.body = c->bench->body, .body_bytes = c->bench->body_bytes};
    int rv = hf_record_begin(c->client, c->name, &how, &c->record, NULL);
    bench_middle(c, rv);
    if (rv == HF_OK) rv = hf_record_complete(c->record, HF_DONE, &result, NULL);
    hf_record_free(c->record);
    c->record = NULL;
    return rv;
}

/* Until its next cycle is due, or the run is over. */
static void await_due(const struct caller *c)
{
    while (bench_now_ns() < bench_due_ns(c) && atomic_load(&c->bench->phase) != BENCH_STOP) {
        (void)usleep(BENCH_RATE_PAUSE_MS * 1000);
    }
}

static void *run_caller(void *data)
{
    struct caller *c = data;
    if (bench_prepare(c) != HF_OK) return NULL;
    while (true) {
        await_due(c);
        if (atomic_load(&c->bench->phase) == BENCH_STOP) break;
        bench_next(c);
        int rv = c->bench->record ? cycle_record(c) : cycle_lock(c);
        bench_count(c, rv);
        if (rv != HF_OK) (void)usleep(BENCH_ERROR_PAUSE_MS * 1000);
    }
    return NULL;
}

int bench_run_threads(struct bench *b, struct caller *callers, uint64_t *counted_ns)
{
    pthread_attr_t attributes;
    uint64_t started = 0;
    if (pthread_attr_init(&attributes) != 0) return CLI_SYSTEM;
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (; started < b->caller_count; started++) {
        struct caller *c = &callers[started];
        if (pthread_create(&c->thread, &attributes, run_caller, c) != 0) break;
    }
    bool whole = started == b->caller_count;
    if (whole) *counted_ns = bench_wait(b, NULL, callers);
    atomic_store(&b->phase, BENCH_STOP);
    for (uint64_t i = 0; i < started; i++) (void)pthread_join(callers[i].thread, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (whole) return CLI_OK;
    return cli_fail(CLI_SYSTEM,
                    "only %" PRIu64 " of %" PRIu64 " threads could be started; use fewer "
                    "--clients, leave out --threads, or raise this machine's limit",
                    started, b->caller_count);
}
