/* What goes wrong, when and for how long: each kind of fault that the swarm has switched on comes
 * again and again, and most end by themselves. */
#ifndef TESTS_SIM_NEMESIS_H
#define TESTS_SIM_NEMESIS_H

#include "base/prng.h"
#include "tests/sim/events.h"

struct sim;
struct sim_node;

struct nemesis {
    struct prng random;       /* kinds, targets, lengths */
    uint64_t partition_stamp; /* of the partition in force: a later one replaces it */
    uint32_t damaged_count;   /* servers whose files were changed */
    uint64_t flap_stamp;      /* of the flapping link: a later one replaces it */
    uint32_t flap_hosts[2];   /* from, to; and back, if both */
    uint32_t flap_left;       /* turns of it, an even number: it ends healed */
    uint64_t flap_ns;         /* a turn takes so long about */
    bool flap_both;           /* both ways */
};

/** Begin; the first faults are drawn. */
void nemesis_init(struct sim *sim);

/** An EVENT_FAULT or EVENT_HEAL is due. */
void nemesis_fault(struct sim *sim, const struct event *event);
void nemesis_heal(struct sim *sim, const struct event *event);

/** An entry was applied for the first time. */
void nemesis_see_entry(struct sim *sim);

/** Hold a server for a while. */
void nemesis_pause_server(struct sim *sim, struct sim_node *n);

/** A server has ended with code 74: it comes again, or stays away until the end. */
void nemesis_server_ended(struct sim *sim, struct sim_node *n);

/** A server has ended in order: it comes again. */
void nemesis_server_stopped(struct sim *sim, struct sim_node *n);

/** Nothing goes wrong any more, and what did is mended. */
void nemesis_stop(struct sim *sim);

/** A server that leads, or has not heard that it does not; NULL: none. */
struct sim_node *nemesis_leader(struct sim *sim);

/* nemesis_net.c */

/** Begin to cut and heal a link in turns; the next turn of the one with that stamp. */
void nemesis_flap(struct sim *sim);
void nemesis_flap_turn(struct sim *sim, uint64_t stamp);

/** For a while a bare majority hears the others in time. \return false: a lone server always does.
 */
bool nemesis_lag(struct sim *sim);

/** Cut links in one of many shapes. \return its name. */
const char *nemesis_partition(struct sim *sim);

#endif
