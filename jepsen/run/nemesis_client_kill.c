/* kill -9 of client processes, again and again while it lasts, those with something in their hands
 * most of all. Each is started again at once, with a new session: what it held lapses, what it had
 * begun is repeated by whoever comes next. */
#include "jepsen/run/nemesis.h"

#include <stdio.h>

/* The next one from `from` on that holds something just now; `from` itself if none does. */
static unsigned find_busy(const struct world *w, unsigned from)
{
    for (unsigned i = 0; i < w->plan->clients; i++) {
        unsigned who = (from + i) % w->plan->clients;
        if (w->clients[who].pid != 0 && atomic_load(&w->signal->holding[who]) > 0) return who;
    }
    return from;
}

/* One, and often another one: each of five lives a third of a second or so. */
static void go_on_client_kill(struct world *w)
{
    unsigned who = (unsigned)prng_below(&w->prng, w->plan->clients);
    uint64_t how = prng_below(&w->prng, 8);
    if (how == 0) return; /* a little peace */
    world_kill_client(w, how == 1 ? who : find_busy(w, who));
    who = (unsigned)prng_below(&w->prng, w->plan->clients);
    if (how > 3) world_kill_client(w, find_busy(w, who));
}

static void begin_client_kill(struct world *w, char *label)
{
    (void)w;
    snprintf(label, NEMESIS_LABEL_BYTES, "clients, again and again");
}

const struct nemesis nemesis_client_kill = {
    .name = "client-kill", .begin = begin_client_kill, .go_on = go_on_client_kill};
