/* Clocks of servers, by libfaketime; clients and the history keep true ones.
 *
 *   clock       the wall clock of one server or of all jumps by seconds to days, either way, and
 *               strobes while the act lasts; the monotonic clocks stay true
 *   clock-rate  each start draws a rate of 0.999 to 1.001 for all of a server's clocks; an act ends
 *               one server gently and starts it under another rate
 *
 * The two exclude each other: the plan refuses them together. */
#include "jepsen/run/nemesis.h"

#include <stdio.h>

enum { RATE_OFF_MAX = 1000, DAY_S = 86400 };

static long draw_seconds(struct world *w)
{
    static const long most[] = {2, 60, 3600, 30L * DAY_S};
    long range = most[prng_below(&w->prng, HF_ARRAY_COUNT(most))];
    return (long)prng_below(&w->prng, (uint64_t)(2 * range + 1)) - range;
}

static void set_up_clock(struct world *w)
{
    w->servers.wall_faked = true;
}

static unsigned victim, victims; /* of the act; there is one run a process */

static void jump(struct world *w, long seconds)
{
    for (unsigned i = 0; i < victims; i++) {
        unsigned who = (victim + i) % w->plan->servers;
        if (!servers_set_wall(&w->servers, who, seconds))
            world_fail(w, "the clock of server %u cannot be set", who + 1);
    }
}

static void begin_clock(struct world *w, char *label)
{
    long seconds = draw_seconds(w);
    victim = (unsigned)prng_below(&w->prng, w->plan->servers);
    if (prng_below(&w->prng, 2) == 0 && w->leader < w->plan->servers) victim = w->leader;
    victims = prng_below(&w->prng, 4) == 0 ? w->plan->servers : 1;
    snprintf(label, NEMESIS_LABEL_BYTES, "%s s%u by %+ld s", victims > 1 ? "all from" : "wall of",
             victim + 1, seconds);
    jump(w, seconds);
}

static void strobe(struct world *w)
{
    if (prng_below(&w->prng, 5) == 0) jump(w, draw_seconds(w));
}

static void end_clock(struct world *w)
{
    jump(w, 0);
}

const struct nemesis nemesis_clock = {.name = "clock",
                                      .set_up = set_up_clock,
                                      .begin = begin_clock,
                                      .go_on = strobe,
                                      .end = end_clock};

/* ------------------------------------------------------------------ rates */

static uint32_t draw_rate(struct world *w)
{
    return SERVERS_RATE_PER_MILLION - RATE_OFF_MAX +
           (uint32_t)prng_below(&w->prng, 2 * RATE_OFF_MAX + 1);
}

static void set_up_rate(struct world *w)
{
    w->servers.rate_faked = true;
    for (unsigned i = 0; i < w->plan->servers; i++) w->servers.list[i].rate = draw_rate(w);
}

static void begin_rate(struct world *w, char *label)
{
    int status = 0;
    unsigned who = (unsigned)prng_below(&w->prng, w->plan->servers);
    struct server *server = &w->servers.list[who];
    server->rate = draw_rate(w);
    snprintf(label, NEMESIS_LABEL_BYTES, "s%u at %u ppm", who + 1, server->rate);
    if (!servers_is_well(&w->servers, who)) return; /* its next start has it */
    if (!servers_end(&w->servers, who, &status) || status != 0)
        world_fail(w, "server %u did not end well after TERM", who + 1);
    if (!servers_start(&w->servers, who)) world_fail(w, "server %u did not start again", who + 1);
}

const struct nemesis nemesis_clock_rate = {
    .name = "clock-rate", .set_up = set_up_rate, .begin = begin_rate};
