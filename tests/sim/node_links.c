/* A server's sockets: what server/connection.c and server/peer_sockets.c do with libuv's. */
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "tests/sim/failure.h"
#include "tests/sim/node.h"
#include "tests/sim/sim.h"

static struct network *net(struct sim_node *n)
{
    return &n->sim->network;
}

static struct peers *peers_of(struct sim_node *n)
{
    return replica_peers(n->replica);
}

static uint64_t now_ms(const struct sim_node *n)
{
    return node_now(n).elapsed_ms;
}

static struct node_connection *add_connection(struct sim_node *n, enum link_kind kind)
{
    struct node_connection *c = calloc(1, sizeof *c);
    HF_ASSERT(c != NULL);
    c->kind = kind;
    list_push_back(&n->connections, &c->link);
    return c;
}

/* Its half of the protocol has forgotten it. */
static void drop_connection(struct sim_node *n, struct node_connection *c)
{
    network_close(net(n), c->stream, c->end, false);
    list_remove(&c->link);
    free(c);
}

/* Move bytes out as far as there is room. */
static void send_from(struct sim_node *n, struct node_connection *c, struct buffer *out)
{
    if (out->size == 0) return;
    buffer_consume(out, network_send(net(n), c->stream, c->end, buffer_slice(out)));
    c->was_full = out->size > 0;
}

/* ------------------------------------------------------------------ clients */

static void close_client(struct sim_node *n, struct node_connection *c)
{
    door_disconnect(&n->door, &c->door);
    drop_connection(n, c);
}

static void flush_client(struct sim_node *n, struct node_connection *c)
{
    struct door_connection *d = &c->door;
    if (d->broken) {
        close_client(n, c);
        return;
    }
    send_from(n, c, &d->out);
    if (d->closing && d->out.size == 0) close_client(n, c);
}

/* ------------------------------------------------------------------ links from other servers */

static void close_peer_in(struct sim_node *n, struct node_connection *c)
{
    peers_closed(peers_of(n), &c->in);
    drop_connection(n, c);
}

static void flush_peer_in(struct sim_node *n, struct node_connection *c)
{
    if (!c->in.broken) send_from(n, c, &c->in.out);
    if (c->in.broken || (c->in.closing && c->in.out.size == 0)) close_peer_in(n, c);
}

/* ------------------------------------------------------------------ links to other servers */

/* The link goes on without this socket. */
static void close_peer_out(struct sim_node *n, struct node_connection *c)
{
    c->out->shell = NULL;
    drop_connection(n, c);
}

static void lose_peer_out(struct sim_node *n, struct node_connection *c)
{
    struct peer_out *out = c->out;
    uint64_t epoch = c->epoch;
    close_peer_out(n, c);
    peers_disconnected(peers_of(n), out, epoch, now_ms(n));
}

static void dial(struct sim_node *n, struct peer_out *out)
{
    uint32_t to = 0;
    while (to < n->sim->swarm.node_count && strcmp(n->sim->nodes[to].peer_address, out->address))
        to++;
    if (to == n->sim->swarm.node_count) sim_fail("server %u dials %s", n->index + 1, out->address);
    struct node_connection *c = add_connection(n, LINK_PEER_OUT);
    c->out = out;
    c->epoch = out->epoch;
    c->stream = network_dial(net(n), n->index, to, STREAM_PEER, c);
    out->shell = c;
}

static void flush_peer_out(struct sim_node *n, struct node_connection *c)
{
    if (c->out->state >= PEER_OUT_HELLO && c->epoch == c->out->epoch) send_from(n, c, &c->out->out);
}

static void follow(struct sim_node *n, struct peer_out *out)
{
    struct node_connection *c = out->shell;
    if (c != NULL && (c->epoch != out->epoch || out->dropped)) {
        close_peer_out(n, c);
        c = NULL;
    }
    if (out->dropped) {
        peers_forget_out(peers_of(n), out);
    } else if (c != NULL) {
        flush_peer_out(n, c);
    } else if (out->state == PEER_OUT_DIALLING) {
        dial(n, out);
    }
}

/* ------------------------------------------------------------------ reading */

/* \return NULL: it was not taken, and is closed. */
static struct node_connection *accept_stream(struct sim_node *n, struct stream_end *e)
{
    bool client = e->stream->use == STREAM_CLIENT;
    struct node_connection *c = add_connection(n, client ? LINK_CLIENT : LINK_PEER_IN);
    c->stream = e->stream;
    c->end = e->which;
    e->owner = c;
    if (client) {
        char peer[DOOR_PEER_BYTES];
        uint32_t host = e->stream->ends[1 - e->which].host;
        snprintf(peer, sizeof peer, "10.0.1.%u:%u", host, 1024 + e->stream->index);
        door_connect(&n->door, &c->door, peer, node_now(n));
    } else if (!peers_accepted(peers_of(n), &c->in, now_ms(n))) {
        drop_connection(n, c);
        return NULL;
    }
    return c;
}

static int take_bytes(struct sim_node *n, struct node_connection *c, struct slice bytes)
{
    switch (c->kind) {
    case LINK_CLIENT: return door_input(&n->door, &c->door, bytes, node_now(n));
    case LINK_PEER_IN: return replica_peer_input(n->replica, node_now(n), &c->in, bytes);
    case LINK_PEER_OUT: peers_answered(peers_of(n), c->out, c->epoch, bytes, now_ms(n)); break;
    }
    return HF_OK;
}

static void end_connection(struct sim_node *n, struct node_connection *c)
{
    switch (c->kind) {
    case LINK_CLIENT: close_client(n, c); break;
    case LINK_PEER_IN: close_peer_in(n, c); break;
    case LINK_PEER_OUT: lose_peer_out(n, c); break;
    }
}

/* There may be room again for what waits. */
static void flush_connection(struct sim_node *n, struct node_connection *c)
{
    switch (c->kind) {
    case LINK_CLIENT: flush_client(n, c); break;
    case LINK_PEER_IN: flush_peer_in(n, c); break;
    case LINK_PEER_OUT: flush_peer_out(n, c); break;
    }
}

static int read_end(struct sim_node *n, struct stream_end *e)
{
    struct node_connection *c = e->owner != NULL ? e->owner : accept_stream(n, e);
    if (c == NULL) return HF_OK;
    if (c->kind == LINK_PEER_OUT && e->connected && !c->connected && !e->ended) {
        c->connected = true;
        peers_connected(peers_of(n), c->out, c->epoch, now_ms(n));
    }
    struct slice bytes = network_peek(net(n), c->stream, c->end);
    if (bytes.size > 0) {
        int rv = take_bytes(n, c, bytes);
        if (rv != HF_OK) return rv;
        network_consume(net(n), c->stream, c->end, bytes.size);
    }
    if (e->ended && c->stream->pipes[c->end].arrived == 0) {
        end_connection(n, c);
    } else if (c->was_full) {
        c->was_full = false;
        flush_connection(n, c);
    }
    return HF_OK;
}

/* A kernel shows sockets in any order: after a pause the oldest need not be the first. */
static void shuffle(struct sim_node *n, struct list *ready, unsigned count)
{
    for (uint64_t turns = count > 1 ? prng_below(&n->random, count) : 0; turns > 0; turns--) {
        struct list *first = ready->next;
        list_remove(first);
        list_push_back(ready, first);
    }
}

int node_read_links(struct sim_node *n)
{
    struct list *ready = &net(n)->ready[n->index];
    unsigned count = 0; /* what comes back because a read was short is the next pass's */
    LIST_FOR(item, ready) count++;
    shuffle(n, ready, count);
    for (; count > 0; count--) {
        struct stream_end *e = network_next_ready(net(n), n->index);
        if (e == NULL) return HF_OK;
        int rv = read_end(n, e);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

/* ------------------------------------------------------------------ writing and the end */

void node_write_links(struct sim_node *n)
{
    struct peer_out *out;
    struct peer_in *in;
    struct door_connection *d;
    while ((out = peers_next_out(peers_of(n))) != NULL) follow(n, out);
    while ((in = peers_next_in(peers_of(n))) != NULL)
        flush_peer_in(n, HF_CONTAINER_OF(in, struct node_connection, in));
    while ((d = door_next_ready(&n->door)) != NULL)
        flush_client(n, HF_CONTAINER_OF(d, struct node_connection, door));
}

void node_drop_links(struct sim_node *n)
{
    LIST_FOR_SAFE(item, &n->connections)
    {
        struct node_connection *c = HF_CONTAINER_OF(item, struct node_connection, link);
        if (c->kind == LINK_CLIENT) door_disconnect(&n->door, &c->door);
        if (c->kind == LINK_PEER_IN) peers_closed(peers_of(n), &c->in);
        if (c->kind == LINK_PEER_OUT) c->out->shell = NULL;
        list_remove(&c->link);
        free(c);
    }
}
