/* kill -9 of the leader, of a random minority, or of all at once; started again at the end. What
 * was acknowledged must be there. */
#include "jepsen/run/nemesis.h"

#include <stdio.h>

static void begin_kill(struct world *w, char *label)
{
    unsigned count = w->plan->servers, who = (unsigned)prng_below(&w->prng, count);
    switch (prng_below(&w->prng, 4)) {
    case 0:
    case 1:
        if (w->leader < count) who = w->leader;
        servers_kill(&w->servers, who);
        snprintf(label, NEMESIS_LABEL_BYTES, "leader s%u", who + 1);
        return;
    case 2: {
        unsigned most = 1 + (unsigned)prng_below(&w->prng, count / 2);
        int used = snprintf(label, NEMESIS_LABEL_BYTES, "minority");
        for (unsigned i = 0; i < most; i++, who = (who + 1) % count) {
            servers_kill(&w->servers, who);
            used += snprintf(label + used, (size_t)(NEMESIS_LABEL_BYTES - used), " s%u", who + 1);
        }
        return;
    }
    default:
        servers_kill_all(&w->servers);
        snprintf(label, NEMESIS_LABEL_BYTES, "all");
        return;
    }
}

static void end_kill(struct world *w)
{
    for (unsigned i = 0; i < w->plan->servers; i++) {
        if (w->servers.list[i].pid == 0 && !servers_start(&w->servers, i))
            world_fail(w, "server %u did not start again", i + 1);
    }
}

const struct nemesis nemesis_kill = {.name = "kill", .begin = begin_kill, .end = end_kill};
