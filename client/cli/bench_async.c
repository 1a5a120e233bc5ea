/* Callers that never wait: each answer's callback, on the client's I/O thread, sends the next half.
 * A caller whose cycle failed, or is not due yet, rests until the next look, so that a dead server
 * is not spun on. */
#include <time.h>

#include "client/cli/bench.h"
#include "client/cli/words.h"

static void begin(struct caller *c);

/* The cycle is over; the next one begins, if there is to be one. */
static void end(struct caller *c, int status)
{
    hf_record_free(c->record);
    c->record = NULL;
    bench_count(c, status);
    if (status == HF_OK && atomic_load(&c->bench->phase) != BENCH_STOP &&
        bench_now_ns() >= bench_due_ns(c)) {
        begin(c);
    } else {
        atomic_store(&c->resting, true);
    }
}

static void on_end(int status, void *data)
{
    end(data, status);
}

static void on_middle(int status, void *data)
{
    struct caller *c = data;
    const hf_result result = {.body = c->bench->body, .body_bytes = c->bench->body_bytes};
    bench_middle(c, status);
    if (status == HF_OK) {
        status = c->bench->record
                     ? hf_record_complete_async(c->record, HF_DONE, &result, NULL, on_end, c, NULL)
                     : hf_lock_release_async(c->lock, &c->grant, NULL, on_end, c, NULL);
        if (status == HF_OK) return;
    }
    end(c, status);
}

static void begin(struct caller *c)
{
    const hf_begin how = {.retain_ms = c->bench->retain_ms};
    bench_next(c);
    int status =
        c->bench->record
            ? hf_record_begin_async(c->client, c->name, &how, &c->record, NULL, on_middle, c, NULL)
            : hf_lock_acquire_async(c->lock, c->name, 0, &c->grant, NULL, on_middle, c, NULL);
    if (status == HF_OK) return;
    bench_count(c, status);
    atomic_store(&c->resting, true);
}

/* Those that rest try again. */
static void wake(struct caller *callers)
{
    const struct bench *b = callers->bench;
    for (uint64_t i = 0; i < b->caller_count; i++) {
        if (!atomic_load(&callers[i].resting) || bench_now_ns() < bench_due_ns(&callers[i])) {
            continue;
        }
        atomic_store(&callers[i].resting, false);
        begin(&callers[i]);
    }
}

int bench_run_async(struct bench *b, struct caller *callers, uint64_t *counted_ns)
{
    for (uint64_t i = 0; i < b->caller_count; i++) {
        int rv = bench_prepare(&callers[i]);
        if (rv != HF_OK) return cli_fail_status(b->cli, rv, "make a lock's handle");
        atomic_store(&callers[i].resting, true);
    }
    *counted_ns = bench_wait(b, wake, callers);
    for (uint64_t i = 0; i < b->caller_count; i++) {
        const struct timespec pause = {.tv_nsec = BENCH_ERROR_PAUSE_MS * 1000000L};
        while (!atomic_load(&callers[i].resting)) (void)nanosleep(&pause, NULL);
    }
    return CLI_OK;
}
