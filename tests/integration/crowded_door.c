/* Strangers hold every place at the other servers' door and open a connection again as soon as one
 * is closed; a member that was killed is started behind that door, and the others let it in: it
 * knows the leader within seconds, serves, and agrees with them.
 *
 *     crowded_door [KILLS]      default 2; prints the sorted times from start to leader known */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "raft/peers.h"
#include "tests/integration/cluster_process.h"
#include "tests/integration/whole_state.h"
#include "tests/integration/wire.h"

enum { CROWD = 2 * PEERS_IN_MAX, BACK_MS_MAX = 5000, KILLS_MAX = 1000 };

static int crowd[CROWD]; /* connections that say nothing; 0 = none */

static int dial(uint16_t port)
{
    struct wire w; /* for its connect alone */
    return wire_connect(&w, port) ? w.fd : 0;
}

/* Those that were closed are opened again. */
static void press(uint16_t port)
{
    for (unsigned i = 0; i < CROWD; i++) {
        char byte;
        bool gone = crowd[i] > 0 && recv(crowd[i], &byte, 1, MSG_DONTWAIT) >= 0;
        if (crowd[i] > 0 && !gone && errno != EAGAIN) gone = true; /* reset */
        if (gone) close(crowd[i]);
        if (gone || crowd[i] == 0) crowd[i] = dial(port);
    }
}

static void disperse(void)
{
    for (unsigned i = 0; i < CROWD; i++) {
        if (crowd[i] > 0) close(crowd[i]);
        crowd[i] = 0;
    }
}

/* \return milliseconds until it knew the leader. */
static uint64_t come_back(struct cluster_process *c)
{
    unsigned i = (cluster_process_leader(c) + 1) % CLUSTER_PROCESSES;
    struct cluster_status s = {0};
    server_process_kill(&c->servers[i]);
    server_process_spawn(&c->servers[i]);
    uint64_t from = now_ms();
    while (now_ms() - from < BACK_MS_MAX) {
        press(c->peer_ports[i]);
        if (cluster_process_status(c, i, &s) && s.leader != 0) break;
    }
    uint64_t back_ms = now_ms() - from;
    disperse();
    return back_ms;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static struct cluster_process c;
    static uint64_t back_ms[KILLS_MAX];
    unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2;
    HF_ASSERT(kills >= 1 && kills <= KILLS_MAX);
    cluster_process_init(&c, CLUSTER_PROCESSES);
    if (!cluster_process_start(&c)) return 1;
    bool good = true;
    for (unsigned k = 0; good && k < kills; k++) {
        back_ms[k] = come_back(&c);
        good = back_ms[k] < BACK_MS_MAX && cluster_process_agree(&c);
    }
    qsort(back_ms, kills, sizeof *back_ms, by_size);
    printf("kills=%u back_ms=", kills);
    for (unsigned k = 0; k < kills; k++) printf("%s%" PRIu64, k > 0 ? "," : "", back_ms[k]);
    printf("\n");
    good = good && cluster_process_stop(&c);
    for (unsigned i = 0; good && i < CLUSTER_PROCESSES; i++)
        good = whole_state_holds(&c.servers[i]);
    cluster_process_close(&c, !good);
    return good ? 0 : 1;
}
