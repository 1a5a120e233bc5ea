/* Few names, many owners: exclusive locks with and without waiting, short holds and some that
 * outlive their lease, and one name that is shared by some and taken whole by others. It is another
 * one every other second: shared acquires of unknown outcome may each stand beside the others, so
 * that many of them under one name leave the checker too many orders to look at. */
#include "jepsen/run/workload.h"

#include <stdio.h>

enum { NAMES = 6, SHARED_ROUNDS = 20 };

static const char *name_of(unsigned which, char out[WORKLOAD_NAME_BYTES])
{
    snprintf(out, WORKLOAD_NAME_BYTES, "lock-%u", which);
    return out;
}

static const char *shared_name(uint64_t round, char out[WORKLOAD_NAME_BYTES])
{
    snprintf(out, WORKLOAD_NAME_BYTES, "shared-%llu", (unsigned long long)(round / SHARED_ROUNDS));
    return out;
}

static void take_turn(struct worker *w)
{
    char name[WORKLOAD_NAME_BYTES];
    hf_grant grant;
    bool of_shared = prng_below(&w->prng, 8) == 0;
    bool shared = of_shared && prng_below(&w->prng, 4) != 0;
    if (of_shared)
        (void)shared_name(worker_rounds(w), name);
    else
        (void)name_of((unsigned)prng_below(&w->prng, NAMES), name);

    if (prng_below(&w->prng, 5) == 0) worker_query(w, name);
    struct worker_want want = {.names = {name}, .name_count = 1};
    want.mode = shared ? HF_SHARED : HF_EXCLUSIVE;
    want.wait_ms = prng_below(&w->prng, 3) != 0 ? 0 : prng_below(&w->prng, 400);
    if (worker_acquire(w, &want, &grant) == HF_OK) {
        worker_hold(w, &want, &grant, worker_draw_hold_ms(w));
        worker_release(w, &want, &grant);
    }
    worker_pause_ms(w, 1 + prng_below(&w->prng, 8));
}

static void read_all(struct worker *w)
{
    char name[WORKLOAD_NAME_BYTES];
    for (unsigned i = 0; i < NAMES; i++) worker_query(w, name_of(i, name));
    for (uint64_t round = 0, last = worker_rounds(w); round <= last; round += SHARED_ROUNDS)
        worker_query(w, shared_name(round, name));
}

const struct workload workload_lock = {
    .name = "lock",
    .models = {WORKLOAD_LOCK},
    .turn = take_turn,
    .read_all = read_all,
};
