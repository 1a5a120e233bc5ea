#include "jepsen/run/nemesis.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "jepsen/run/child.h"

enum { NEMESES_MAX = 16, GO_ON_EVERY_MS = 100 };

const struct nemesis *const nemesis_table[] = {&nemesis_kill,
                                               &nemesis_pause,
                                               &nemesis_partition,
                                               &nemesis_clock,
                                               &nemesis_clock_rate,
                                               &nemesis_client_kill,
                                               NULL};

_Static_assert(HF_ARRAY_COUNT(nemesis_table) <= NEMESES_MAX, "a plan has a bit for each");

bool nemesis_find(const char *name, size_t bytes, unsigned *number)
{
    for (unsigned i = 0; nemesis_table[i] != NULL; i++) {
        const char *known = nemesis_table[i]->name;
        if (strlen(known) != bytes || memcmp(known, name, bytes) != 0) continue;
        *number = i;
        return true;
    }
    return false;
}

/* An act under way. */
struct act {
    const struct nemesis *nemesis; /* NULL = none */
    uint64_t begun_ns;
    char label[NEMESIS_LABEL_BYTES];
};

static void begin(struct world *w, struct act *act, const struct nemesis *nemesis)
{
    *act = (struct act){.nemesis = nemesis, .begun_ns = journal_now_ns()};
    nemesis->begin(w, act->label);
    w->faults += 1;
    fprintf(stderr, "  %5.1f s  %s: %s\n", (double)(act->begun_ns - w->begun_ns) / 1e9,
            nemesis->name, act->label);
}

static void end(struct world *w, struct act *act)
{
    if (act->nemesis == NULL) return;
    if (act->nemesis->end != NULL) act->nemesis->end(w);
    journal_put_event(&w->journal, "nemesis", act->begun_ns, journal_now_ns(), act->nemesis->name,
                      act->label);
    act->nemesis = NULL;
}

/* Some of the plan's, in random order. \return how many there are. */
static unsigned draw(struct world *w, const struct nemesis *drawn[NEMESES_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; nemesis_table[i] != NULL; i++) {
        if ((w->plan->nemeses >> i & 1) == 0) continue;
        unsigned at = (unsigned)prng_below(&w->prng, count + 1);
        drawn[count] = drawn[at];
        drawn[at] = nemesis_table[i];
        count += 1;
    }
    return count;
}

static void go_on(struct world *w, struct act acts[2], uint64_t ms)
{
    uint64_t until = journal_now_ns() + ms * 1000000U;
    while (child_stopping() == 0 && journal_now_ns() < until) {
        world_wait_ms(w, GO_ON_EVERY_MS);
        for (unsigned i = 0; i < 2; i++) {
            if (acts[i].nemesis != NULL && acts[i].nemesis->go_on != NULL)
                acts[i].nemesis->go_on(w);
        }
    }
}

void nemesis_run(struct world *w, uint64_t until_ns)
{
    const struct nemesis *drawn[NEMESES_MAX];
    struct act acts[2] = {{0}};
    while (child_stopping() == 0 && journal_now_ns() < until_ns) {
        unsigned count = draw(w, drawn);
        if (count == 0) { /* a run without faults: what load alone does */
            world_wait_ms(w, 1000);
            continue;
        }
        bool two = prng_below(&w->prng, 3) == 0;
        begin(w, &acts[0], drawn[0]);
        if (two && count > 1) {
            go_on(w, acts, prng_below(&w->prng, 1000));
            begin(w, &acts[1], drawn[1]);
        }
        go_on(w, acts, 2000 + prng_below(&w->prng, 3500));
        end(w, &acts[0]);
        if (acts[1].nemesis != NULL) go_on(w, acts, prng_below(&w->prng, 1000));
        end(w, &acts[1]);
        go_on(w, acts, 2500 + prng_below(&w->prng, 2000));
    }
}
