/* Faults. A nemesis is one file and one line of nemesis_table: it begins an act, may change it
 * while it lasts, and ends it, after which nothing of it is left. Two may act at once, so each
 * undoes only what it did itself. Everything is drawn from the run's seed. */
#ifndef JEPSEN_RUN_NEMESIS_H
#define JEPSEN_RUN_NEMESIS_H

#include "jepsen/run/world.h"

enum { NEMESIS_LABEL_BYTES = 128 };

struct nemesis {
    const char *name;                /**< as --nemesis wants it */
    void (*set_up)(struct world *w); /**< before the servers start; may be NULL */
    void (*begin)(struct world *w,
                  char *label);     /**< label: Out, NEMESIS_LABEL_BYTES: what it did */
    void (*go_on)(struct world *w); /**< some times a second; may be NULL */
    void (*end)(struct world *w);   /**< may be NULL */
};

extern const struct nemesis nemesis_kill, nemesis_pause, nemesis_partition, nemesis_clock,
    nemesis_clock_rate, nemesis_client_kill;
extern const struct nemesis *const nemesis_table[]; /**< ends with NULL */

/** Let the plan's nemeses act until `until_ns`; an act every 5 to 10 s, one in three beside another
 * one. All have ended when it returns. */
void nemesis_run(struct world *w, uint64_t until_ns);

/** Find by name. \param number Out: its place in the table. \return false: there is none. */
bool nemesis_find(const char *name, size_t bytes, unsigned *number);

#endif
