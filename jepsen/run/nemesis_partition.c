/* Cuts of every shape (cut.h). A flapping one is there and not there by turns, drawn for each tenth
 * of a second. */
#include "jepsen/run/nemesis.h"

#include <stdio.h>

static struct cut cut; /* the one that acts; there is one run a process */
static bool flaps;
static bool is_up;

static void begin_partition(struct world *w, char *label)
{
    struct cut_nodes nodes = world_nodes(w);
    enum cut_shape shape = (enum cut_shape)prng_below(&w->prng, CUT_SHAPE_COUNT);
    cut_draw(&cut, shape, &nodes, &w->prng);
    flaps = shape == CUT_FLAPPING;
    is_up = true;
    world_cut(w, &cut);
    snprintf(label, NEMESIS_LABEL_BYTES, "%s", cut.label);
}

static void heal(struct world *w)
{
    struct cut none;
    cut_none(&none, w->net.count);
    world_cut(w, &none);
    is_up = false;
}

static void go_on_partition(struct world *w)
{
    if (!flaps || prng_below(&w->prng, 4) != 0) return;
    if (is_up) {
        heal(w);
        return;
    }
    world_cut(w, &cut);
    is_up = true;
}

static void end_partition(struct world *w)
{
    flaps = false;
    heal(w);
}

const struct nemesis nemesis_partition = {
    .name = "partition", .begin = begin_partition, .go_on = go_on_partition, .end = end_partition};
