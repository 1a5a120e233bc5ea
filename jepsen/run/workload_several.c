/* Philosophers at a table: each takes two forks that lie side by side, in one call; now and then
 * somebody takes all, some take one, some share, and some are unwise: they take one, and then wait
 * for the next, which may close a circle. Whoever holds exclusively writes to what the forks guard,
 * under the one token of all. Forks change every other second, as in workload_permits.c. */
#include "jepsen/run/workload.h"

#include <stdio.h>

enum { FORKS = 5, ROUNDS = 20 };

struct table {
    char names[FORKS][WORKLOAD_NAME_BYTES];
};

static const char *fork_name(uint64_t round, unsigned which, char out[WORKLOAD_NAME_BYTES])
{
    snprintf(out, WORKLOAD_NAME_BYTES, "fork-%llu-%u", (unsigned long long)(round / ROUNDS), which);
    return out;
}

static void lay(struct worker *w, struct table *t)
{
    uint64_t round = worker_rounds(w);
    for (unsigned i = 0; i < FORKS; i++) (void)fork_name(round, i, t->names[i]);
}

/* `count` forks from the `first` on, in either order. */
static void want_forks(struct worker *w, const struct table *t, unsigned first, unsigned count,
                       struct worker_want *want)
{
    bool backwards = prng_below(&w->prng, 2) == 0;
    *want = (struct worker_want){.name_count = count};
    for (unsigned i = 0; i < count; i++) {
        unsigned step = backwards ? count - 1 - i : i;
        want->names[i] = t->names[(first + step) % FORKS];
    }
    if (prng_below(&w->prng, 2) == 0) want->wait_ms = prng_below(&w->prng, 400);
}

static void eat(struct worker *w, const struct worker_want *want, hf_grant *grant)
{
    if (want->mode == HF_EXCLUSIVE) worker_touch(w, want, grant);
    worker_hold(w, want, grant, worker_draw_hold_ms(w));
    if (want->mode == HF_EXCLUSIVE && prng_below(&w->prng, 4) == 0) worker_touch(w, want, grant);
    worker_release(w, want, grant);
}

/* One fork, and with it in the hand the next. */
static void eat_unwisely(struct worker *w, const struct table *t, unsigned first)
{
    struct worker_want want, next;
    hf_grant grant, second;
    want_forks(w, t, first, 1, &want);
    want_forks(w, t, first + 1, 1, &next);
    next.nested = true;
    next.wait_ms = 1 + prng_below(&w->prng, 300);
    if (worker_acquire(w, &want, &grant) != HF_OK) return;
    worker_pause_ms(w, prng_below(&w->prng, 4));
    if (worker_acquire(w, &next, &second) == HF_OK) eat(w, &next, &second);
    (void)worker_believe(w, &want, &grant);
    worker_release(w, &want, &grant);
}

static void take_turn(struct worker *w)
{
    struct table t = {{{0}}};
    struct worker_want want;
    hf_grant grant;
    unsigned first = (unsigned)prng_below(&w->prng, FORKS);
    unsigned kind = (unsigned)prng_below(&w->prng, 20);
    lay(w, &t);
    if (prng_below(&w->prng, 8) == 0) worker_query(w, t.names[first]);
    if (prng_below(&w->prng, 16) == 0) worker_read(w, t.names[first]);
    if (kind < 4) {
        eat_unwisely(w, &t, first);
    } else {
        want_forks(w, &t, first, kind < 6 ? FORKS : kind < 14 ? 2 : 1, &want);
        if (prng_below(&w->prng, 6) == 0) want.mode = HF_SHARED;
        if (worker_acquire(w, &want, &grant) == HF_OK) eat(w, &want, &grant);
    }
    worker_pause_ms(w, 1 + prng_below(&w->prng, 8));
}

static void read_all(struct worker *w)
{
    char name[WORKLOAD_NAME_BYTES];
    for (uint64_t round = 0, last = worker_rounds(w); round <= last; round += ROUNDS) {
        for (unsigned i = 0; i < FORKS; i++) {
            worker_query(w, fork_name(round, i, name));
            worker_read(w, name);
        }
    }
}

const struct workload workload_several = {
    .name = "several",
    .models = {WORKLOAD_LOCK, WORKLOAD_FENCEDREG},
    .turn = take_turn,
    .read_all = read_all,
};
