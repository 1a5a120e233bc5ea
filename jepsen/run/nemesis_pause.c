/* SIGSTOP: of servers (the leader, a minority, a majority, all), which wake up believing in what
 * was; and of clients that
 * hold a lock just then, and write when they wake up. */
#include "jepsen/run/nemesis.h"

#include <signal.h>
#include <stdio.h>

#include "jepsen/run/child.h"

enum { HOLDER_TRIES = 1000 };

/* `count` servers from a random one on, or the leader first. */
static void stop_some(struct world *w, unsigned count, bool leader_first, char *label)
{
    unsigned all = w->plan->servers, who = (unsigned)prng_below(&w->prng, all);
    if (leader_first && w->leader < all) who = w->leader;
    int used = snprintf(label, NEMESIS_LABEL_BYTES, "servers");
    for (unsigned i = 0; i < count; i++, who = (who + 1) % all) {
        servers_stop(&w->servers, who);
        used += snprintf(label + used, (size_t)(NEMESIS_LABEL_BYTES - used), " s%u", who + 1);
    }
}

static void stop_servers(struct world *w, char *label)
{
    unsigned all = w->plan->servers;
    switch (prng_below(&w->prng, 6)) {
    case 0:
    case 1:
    case 2: stop_some(w, 1, true, label); return;
    case 3: stop_some(w, all / 2, false, label); return;
    case 4: stop_some(w, all / 2 + 1, true, label); return;
    default: stop_some(w, all, false, label); return;
    }
}

/* A client that holds a lock at this moment, the next one from `from` on; or just that one, if none
 * does within a second. */
static unsigned find_holder(const struct world *w, unsigned from)
{
    for (unsigned tries = 0; tries < HOLDER_TRIES; tries++) {
        for (unsigned i = 0; i < w->plan->clients; i++) {
            unsigned who = (from + i) % w->plan->clients;
            bool runs = w->clients[who].pid != 0 && !w->clients[who].stopped;
            if (runs && atomic_load(&w->signal->holding[who]) > 0) return who;
        }
        child_sleep_ms(1);
    }
    return from;
}

static void stop_clients(struct world *w, char *label)
{
    unsigned count = w->plan->clients, who = (unsigned)prng_below(&w->prng, count);
    unsigned most = 1 + (unsigned)prng_below(&w->prng, (count + 1) / 2);
    int used = snprintf(label, NEMESIS_LABEL_BYTES, "clients");
    for (unsigned i = 0; i < most; i++, who = (who + 1) % count) {
        who = find_holder(w, who);
        struct client_process *c = &w->clients[who];
        if (c->pid == 0) continue;
        kill(c->pid, SIGSTOP);
        c->stopped = true;
        used += snprintf(label + used, (size_t)(NEMESIS_LABEL_BYTES - used), " c%u", who + 1);
    }
}

static void begin_pause(struct world *w, char *label)
{
    if (prng_below(&w->prng, 2) == 0)
        stop_clients(w, label);
    else
        stop_servers(w, label);
}

static void end_pause(struct world *w)
{
    for (unsigned i = 0; i < w->plan->servers; i++) {
        if (w->servers.list[i].stopped) servers_go_on(&w->servers, i);
    }
    for (unsigned i = 0; i < w->plan->clients; i++) {
        struct client_process *c = &w->clients[i];
        if (c->stopped && c->pid != 0) kill(c->pid, SIGCONT);
        c->stopped = false;
    }
}

const struct nemesis nemesis_pause = {.name = "pause", .begin = begin_pause, .end = end_pause};
