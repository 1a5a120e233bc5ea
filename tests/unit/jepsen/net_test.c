/* Who reaches whom, really: datagrams between real namespaces under every shape of cut. Exit code
 * 77 and a sentence where namespaces may not be made. */
#include "jepsen/run/net.h"
#include "tests/unit/cmocka_all.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jepsen/journal.h"
#include "jepsen/run/child.h"

enum { SERVERS = 5, NODES = 7, PORT = 7777, DRAWS = 3, ARRIVE_MS_MAX = 10000 };

struct datagram {
    uint32_t round;
    uint8_t from, may_arrive;
};

static struct net net;
static int sockets[NODES];
static uint32_t round_number;
static bool got[NODES][NODES]; /* in this round */

/* A socket belongs to the namespace in which it was made, wherever its process is later. */
static int make_socket(unsigned node)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int hub = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_true(hub >= 0);
    assert_true(net_join(net.nodes[node]));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    assert_true(net_join(hub));
    close(hub);
    return fd;
}

static void send_from_to(const struct cut *cut, unsigned from, unsigned to)
{
    char address[NET_ADDRESS_BYTES];
    struct datagram d = {round_number, (uint8_t)from, !cut->closed[from][to]};
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    assert_int_equal(inet_pton(AF_INET, net_address(to, address), &there.sin_addr), 1);
    (void)sendto(sockets[from], &d, sizeof d, 0, (struct sockaddr *)&there, sizeof there);
}

/* First those that must not arrive, so that they cannot be later than the others. */
static void send_all(const struct cut *cut)
{
    for (int closed = 1; closed >= 0; closed--) {
        for (unsigned i = 0; i < NODES; i++) {
            for (unsigned j = 0; j < NODES; j++) {
                if (i != j && cut->closed[i][j] == (closed == 1) && !got[i][j])
                    send_from_to(cut, i, j);
            }
        }
    }
}

/* Takes what has arrived. \return how many pairs of this round have. */
static unsigned take_all(void)
{
    unsigned count = 0;
    for (unsigned to = 0; to < NODES; to++) {
        struct datagram d;
        while (recv(sockets[to], &d, sizeof d, MSG_DONTWAIT) == (ssize_t)sizeof d) {
            if (!d.may_arrive) fail_msg("node %u heard node %u through the cut", to, d.from);
            if (d.round == round_number) got[d.from][to] = true;
        }
    }
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned j = 0; j < NODES; j++) count += got[i][j];
    }
    return count;
}

/* Every open direction carries, no closed one does. */
static void claim(const struct cut *cut)
{
    char sentence[NET_SENTENCE_BYTES] = "";
    unsigned open = NODES * (NODES - 1);
    if (!net_cut(cut, sentence)) fail_msg("%s", sentence);
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned j = 0; j < NODES; j++) open -= i != j && cut->closed[i][j];
    }
    memset(got, 0, sizeof got);
    round_number += 1;
    uint64_t until = journal_now_ns() + ARRIVE_MS_MAX * UINT64_C(1000000);
    do {
        send_all(cut);
        (void)poll(NULL, 0, 20);
        if (take_all() == open) break;
    } while (journal_now_ns() < until);
    (void)poll(NULL, 0, 20);
    if (take_all() != open) fail_msg("%s: %u of %u directions carry", cut->label, take_all(), open);
}

static void setup_none(struct cut *none)
{
    cut_none(none, NODES);
    snprintf(none->label, sizeof none->label, "no cut");
}

/* Each shape, drawn some times, and back to no cut between them. */
static void test_cuts_are_what_they_say(void **state)
{
    (void)state;
    struct cut cut, none;
    struct prng prng;
    struct cut_nodes nodes = {SERVERS, NODES, 1};
    prng_seed(&prng, 7);
    setup_none(&none);
    for (unsigned i = 0; i < NODES; i++) sockets[i] = make_socket(i);
    claim(&none);
    for (unsigned shape = 0; shape < CUT_SHAPE_COUNT; shape++) {
        for (unsigned draw = 0; draw < DRAWS; draw++) {
            cut_draw(&cut, (enum cut_shape)shape, &nodes, &prng);
            claim(&cut);
        }
        claim(&none);
    }
    for (unsigned i = 0; i < NODES; i++) close(sockets[i]);
}

int main(void)
{
    char sentence[NET_SENTENCE_BYTES];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cuts_are_what_they_say)};
    if (!net_enter(sentence) || !net_open(&net, NODES, sentence)) {
        printf("did not look: %s\n", sentence);
        return 77;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    net_close(&net);
    return failed;
}
