/* Few semaphores, many owners: one to three units of three to five, with and without waiting; each
 * enters a room that has as many seats, as long as it believes in its grant. Short holds and some
 * that outlive their lease; and some who want the whole of it. Names change every other second:
 * permits of unknown outcome may each stand beside the others, so that many of them under one name
 * leave the checker too many orders to look at. */
#include "jepsen/run/workload.h"

#include <stdio.h>

enum { NAMES = 3, ROUNDS = 20, LIMIT_MIN = 3 };

static const char *name_of(uint64_t round, unsigned which, char out[WORKLOAD_NAME_BYTES])
{
    snprintf(out, WORKLOAD_NAME_BYTES, "permits-%llu-%u", (unsigned long long)(round / ROUNDS),
             which);
    return out;
}

static void take_turn(struct worker *w)
{
    char name[WORKLOAD_NAME_BYTES];
    hf_grant grant;
    unsigned which = (unsigned)prng_below(&w->prng, NAMES);
    struct worker_want want = {.names = {name}, .name_count = 1};
    (void)name_of(worker_rounds(w), which, name);
    if (prng_below(&w->prng, 12) != 0) {
        want.mode = HF_PERMITS;
        want.permits = 1 + (uint32_t)prng_below(&w->prng, 3);
        want.limit = LIMIT_MIN + which;
    }
    if (prng_below(&w->prng, 3) == 0) want.wait_ms = prng_below(&w->prng, 400);
    if (prng_below(&w->prng, 8) == 0) worker_query(w, name);
    if (worker_acquire(w, &want, &grant) == HF_OK) {
        worker_enter(w, &want, &grant, LIMIT_MIN + which);
        worker_hold(w, &want, &grant, worker_draw_hold_ms(w));
        worker_leave(&want, &grant);
        worker_release(w, &want, &grant);
    }
    worker_pause_ms(w, 1 + prng_below(&w->prng, 8));
}

static void read_all(struct worker *w)
{
    char name[WORKLOAD_NAME_BYTES];
    for (uint64_t round = 0, last = worker_rounds(w); round <= last; round += ROUNDS) {
        for (unsigned i = 0; i < NAMES; i++) worker_query(w, name_of(round, i, name));
    }
}

const struct workload workload_permits = {
    .name = "permits",
    .models = {WORKLOAD_LOCK},
    .turn = take_turn,
    .read_all = read_all,
};
