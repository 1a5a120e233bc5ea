#include "jepsen/run/cut.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

const char *cut_name(enum cut_shape shape)
{
    static const char *const names[] = {"one",    "one-way",  "halves", "ring",
                                        "bridge", "flapping", "client"};
    _Static_assert(HF_ARRAY_COUNT(names) == CUT_SHAPE_COUNT, "one word a shape");
    HF_ASSERT(shape < CUT_SHAPE_COUNT);
    return names[shape];
}

void cut_none(struct cut *cut, unsigned count)
{
    HF_ASSERT(count <= CUT_NODES_MAX);
    *cut = (struct cut){.count = count};
}

static void close_both(struct cut *cut, unsigned a, unsigned b)
{
    HF_ASSERT(a != b);
    cut->closed[a][b] = cut->closed[b][a] = true;
}

static __attribute__((format(printf, 2, 3))) void say(struct cut *cut, const char *format, ...)
{
    size_t used = strlen(cut->label);
    va_list args;
    va_start(args, format);
    vsnprintf(cut->label + used, sizeof cut->label - used, format, args);
    va_end(args);
}

/* The leader half of the time: it is the server that there is most to learn from. */
static unsigned draw_server(const struct cut_nodes *nodes, struct prng *prng)
{
    bool leads = prng_below(prng, 2) == 0;
    unsigned any = (unsigned)prng_below(prng, nodes->servers);
    return leads && nodes->leader < nodes->servers ? nodes->leader : any;
}

static void draw_one(struct cut *cut, const struct cut_nodes *nodes, struct prng *prng)
{
    unsigned one = draw_server(nodes, prng);
    bool of_clients = prng_below(prng, 2) == 0;
    for (unsigned i = 0; i < (of_clients ? nodes->count : nodes->servers); i++) {
        if (i != one) close_both(cut, one, i);
    }
    say(cut, " s%u%s", one + 1, of_clients ? " from all" : "");
}

static void draw_one_way(struct cut *cut, const struct cut_nodes *nodes, struct prng *prng)
{
    unsigned one = draw_server(nodes, prng);
    bool deaf = prng_below(prng, 2) == 0;
    for (unsigned i = 0; i < nodes->servers; i++) {
        if (i == one) continue;
        cut->closed[deaf ? i : one][deaf ? one : i] = true;
    }
    say(cut, " s%u is %s", one + 1, deaf ? "deaf" : "not heard");
}

/* A random order of the servers; the first half of it is the minority. */
static void shuffle(unsigned *order, unsigned count, struct prng *prng)
{
    for (unsigned i = 0; i < count; i++) order[i] = i;
    for (unsigned i = count - 1; i > 0; i--) {
        unsigned j = (unsigned)prng_below(prng, i + 1);
        unsigned kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

static void draw_halves(struct cut *cut, const struct cut_nodes *nodes, struct prng *prng)
{
    unsigned order[CUT_NODES_MAX];
    bool minor[CUT_NODES_MAX] = {false};
    shuffle(order, nodes->servers, prng);
    for (unsigned i = 0; i < nodes->servers / 2; i++) minor[order[i]] = true;
    for (unsigned i = nodes->servers; i < nodes->count; i++) minor[i] = prng_below(prng, 3) == 0;
    say(cut, " of");
    for (unsigned i = 0; i < nodes->count; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (minor[i] != minor[j]) close_both(cut, i, j);
        }
        if (i < nodes->servers && minor[i]) say(cut, " s%u", i + 1);
        if (i >= nodes->servers && minor[i]) say(cut, " c%u", i - nodes->servers + 1);
    }
}

static void draw_ring(struct cut *cut, const struct cut_nodes *nodes, struct prng *prng)
{
    unsigned order[CUT_NODES_MAX], count = nodes->servers;
    shuffle(order, count, prng);
    for (unsigned i = 0; i < count; i++) {
        say(cut, " s%u", order[i] + 1);
        for (unsigned j = 0; j < count; j++) {
            unsigned apart = (j + count - i) % count;
            bool open = count == 3 ? apart == 1 : apart == 1 || apart == count - 1;
            if (i != j && !open) cut->closed[order[i]][order[j]] = true;
        }
    }
}

static void draw_bridge(struct cut *cut, const struct cut_nodes *nodes, struct prng *prng)
{
    unsigned order[CUT_NODES_MAX], side = (nodes->servers - 1) / 2;
    shuffle(order, nodes->servers, prng);
    for (unsigned i = 1; i <= side; i++) {
        for (unsigned j = side + 1; j < nodes->servers; j++) close_both(cut, order[i], order[j]);
    }
    say(cut, " over s%u", order[0] + 1);
}

static void draw_client(struct cut *cut, const struct cut_nodes *nodes, struct prng *prng)
{
    HF_ASSERT(nodes->count > nodes->servers);
    unsigned one = nodes->servers + (unsigned)prng_below(prng, nodes->count - nodes->servers);
    for (unsigned i = 0; i < nodes->servers; i++) close_both(cut, one, i);
    say(cut, " c%u", one - nodes->servers + 1);
}

void cut_draw(struct cut *cut, enum cut_shape shape, const struct cut_nodes *nodes,
              struct prng *prng)
{
    HF_ASSERT(nodes->servers == 3 || nodes->servers == 5);
    HF_ASSERT(nodes->count <= CUT_NODES_MAX);
    cut_none(cut, nodes->count);
    say(cut, "%s", cut_name(shape));
    switch (shape) {
    case CUT_ONE:
    case CUT_FLAPPING: draw_one(cut, nodes, prng); return;
    case CUT_ONE_WAY: draw_one_way(cut, nodes, prng); return;
    case CUT_HALVES: draw_halves(cut, nodes, prng); return;
    case CUT_RING: draw_ring(cut, nodes, prng); return;
    case CUT_BRIDGE: draw_bridge(cut, nodes, prng); return;
    case CUT_CLIENT: draw_client(cut, nodes, prng); return;
    case CUT_SHAPE_COUNT: break;
    }
    HF_UNREACHABLE();
}

void cut_rules(const struct cut *cut, char *text)
{
    size_t used = (size_t)snprintf(text, CUT_RULES_BYTES,
                                   "table bridge holdfast {}\ndelete table bridge holdfast\n"
                                   "table bridge holdfast {\n chain forward {\n"
                                   "  type filter hook forward priority 0; policy accept;\n");
    for (unsigned i = 0; i < cut->count; i++) {
        for (unsigned j = 0; j < cut->count; j++) {
            if (!cut->closed[i][j]) continue;
            used +=
                (size_t)snprintf(text + used, CUT_RULES_BYTES - used,
                                 "  iifname \"n%u\" oifname \"n%u\" ether type ip drop\n", i, j);
            HF_ASSERT(used < CUT_RULES_BYTES);
        }
    }
    used += (size_t)snprintf(text + used, CUT_RULES_BYTES - used, " }\n}\n");
    HF_ASSERT(used < CUT_RULES_BYTES);
}
