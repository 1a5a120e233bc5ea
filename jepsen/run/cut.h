/* Who cannot reach whom: a partition as a matrix, drawn from a seed, and the nftables rules that
 * make it so. Pure: no process, no socket. Nodes 0 to servers-1 are servers, the rest clients.
 *
 *   one       one server alone, of the others or of clients too
 *   one-way   one server hears and is not heard, or the other way round
 *   halves    a majority and a minority; each client is with one of them
 *   ring      each server reaches its neighbours only: each sees a majority, each another one. Of
 *             three all are neighbours: there each is heard by the next one only
 *   bridge    two halves that do not see each other, and one server that sees both
 *   flapping  a cut of one server that comes and goes
 *   client    one client that reaches no server */
#ifndef JEPSEN_RUN_CUT_H
#define JEPSEN_RUN_CUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/prng.h"

enum { CUT_NODES_MAX = 16, CUT_LABEL_BYTES = 96, CUT_RULES_BYTES = 32768 };

enum cut_shape {
    CUT_ONE,
    CUT_ONE_WAY,
    CUT_HALVES,
    CUT_RING,
    CUT_BRIDGE,
    CUT_FLAPPING,
    CUT_CLIENT,
    CUT_SHAPE_COUNT
};

/** The nodes that there are. */
struct cut_nodes {
    unsigned servers; /**< 3 or 5 */
    unsigned count;   /**< servers and clients, at most CUT_NODES_MAX */
    unsigned leader;  /**< the server that leads; == servers: not known */
};

struct cut {
    unsigned count;                            /**< nodes */
    bool closed[CUT_NODES_MAX][CUT_NODES_MAX]; /**< [from][to]: nothing arrives */
    char label[CUT_LABEL_BYTES];               /**< for people: shape and who */
};

/** The shape's word. Static. */
const char *cut_name(enum cut_shape shape);

/** Draw a cut of a shape. \param cut  Out, written whole. */
void cut_draw(struct cut *cut, enum cut_shape shape, const struct cut_nodes *nodes,
              struct prng *prng);

/** No cut at all. */
void cut_none(struct cut *cut, unsigned count);

/** The rules as nft(8) reads them: they replace those of any cut before. Links of the bridge are
 * named n0, n1, ...; only IPv4 is cut, so that one-way cuts stay one-way beyond an ARP entry's
 * life. \param text  Out: room for CUT_RULES_BYTES. */
void cut_rules(const struct cut *cut, char *text);

#endif
