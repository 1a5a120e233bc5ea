/* The run's network: a bridge in a namespace of its own, and a namespace for each node, joined to
 * it by a pair of links. None of it has a name that anybody else could see or meet: the namespaces
 * are held by descriptors of the run's processes alone, so that the kernel removes all of it, rules
 * included, when the last of them has ended, kill -9 too. Two runs at once know nothing of each
 * other. It works as root, or where an unprivileged user may make user namespaces.
 *
 * Node i has the address 10.77.0.(i + 1); the run itself, 10.77.0.250, is never cut off. */
#ifndef JEPSEN_RUN_NET_H
#define JEPSEN_RUN_NET_H

#include <stdbool.h>

#include "jepsen/run/cut.h"

enum { NET_SENTENCE_BYTES = 640, NET_ADDRESS_BYTES = 24 };

struct net {
    unsigned count;           /**< nodes */
    int nodes[CUT_NODES_MAX]; /**< descriptors of their namespaces */
};

/** Move this process, which has one thread, into new network and mount namespaces. There is no way
 * back. \param sentence  Out: room for NET_SENTENCE_BYTES. \return false: the sentence says why. */
bool net_enter(char *sentence);

/** Make the bridge and the nodes. \return false: the sentence says why. */
bool net_open(struct net *net, unsigned count, char *sentence);

/** Give up the descriptors. */
void net_close(struct net *net);

/** Let `cut` hold from now on, instead of the one before. \return false: the sentence says why. */
bool net_cut(const struct cut *cut, char *sentence);

/** The address of a node. \return `out`. */
const char *net_address(unsigned node, char out[NET_ADDRESS_BYTES]);

/** Move the calling process, which has one thread, into a node. */
bool net_join(int network);

/** Give the calling process an empty /dev/shm of its own, as libfaketime leaves files there. */
bool net_own_shm(void);

#endif
