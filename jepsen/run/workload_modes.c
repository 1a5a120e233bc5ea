/* Readers that become writers, and writers that go on as readers: shared and exclusive grants,
 * upgrades (refused while others share) and downgrades. Whoever is a writer writes to what the lock
 * guards. Names change every other second, as in workload_permits.c. */
#include "jepsen/run/workload.h"

#include <stdio.h>

enum { NAMES = 4, ROUNDS = 20, CHANGES_MAX = 4 };

static const char *name_of(uint64_t round, unsigned which, char out[WORKLOAD_NAME_BYTES])
{
    snprintf(out, WORKLOAD_NAME_BYTES, "modes-%llu-%u", (unsigned long long)(round / ROUNDS),
             which);
    return out;
}

/* \return false: the grant is not to be gone on with. */
static bool change(struct worker *w, const struct worker_want *want, const hf_grant *grant,
                   bool *writer)
{
    bool upgrade = !*writer;
    int rv = worker_change_mode(w, want, grant, upgrade);
    if (rv == HF_OK) *writer = upgrade;
    return rv == HF_OK || rv == HF_EUPGRADEBUSY;
}

static void live_with(struct worker *w, const struct worker_want *want, hf_grant *grant)
{
    bool writer = want->mode == HF_EXCLUSIVE;
    for (uint64_t left = prng_below(&w->prng, CHANGES_MAX); worker_may_go_on(w); left--) {
        if (writer) worker_touch(w, want, grant);
        worker_hold(w, want, grant, worker_draw_hold_ms(w));
        if (left == 0 || !change(w, want, grant, &writer)) break;
    }
    worker_release(w, want, grant);
}

static void take_turn(struct worker *w)
{
    char name[WORKLOAD_NAME_BYTES];
    hf_grant grant;
    struct worker_want want = {.names = {name}, .name_count = 1};
    (void)name_of(worker_rounds(w), (unsigned)prng_below(&w->prng, NAMES), name);
    if (prng_below(&w->prng, 5) != 0) want.mode = HF_SHARED;
    if (prng_below(&w->prng, 3) == 0) want.wait_ms = prng_below(&w->prng, 400);
    if (prng_below(&w->prng, 8) == 0) worker_query(w, name);
    if (prng_below(&w->prng, 16) == 0) worker_read(w, name);
    if (worker_acquire(w, &want, &grant) == HF_OK) live_with(w, &want, &grant);
    worker_pause_ms(w, 1 + prng_below(&w->prng, 8));
}

static void read_all(struct worker *w)
{
    char name[WORKLOAD_NAME_BYTES];
    for (uint64_t round = 0, last = worker_rounds(w); round <= last; round += ROUNDS) {
        for (unsigned i = 0; i < NAMES; i++) {
            worker_query(w, name_of(round, i, name));
            worker_read(w, name);
        }
    }
}

const struct workload workload_modes = {
    .name = "modes",
    .models = {WORKLOAD_LOCK, WORKLOAD_FENCEDREG},
    .turn = take_turn,
    .read_all = read_all,
};
