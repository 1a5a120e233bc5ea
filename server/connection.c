/* See server/connection.h. The memory is freed in libuv's close callback, never before. */
#include "server/connection.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "server/loop.h"
#include "server/outlet.h"

enum { KEEPALIVE_S = 60 };

struct connection {
    uv_tcp_t tcp;                /**< the socket; first, so that a handle is its connection */
    struct door_connection door; /**< its half of the protocol */
    struct outlet outlet;        /**< sends door.out */
    struct loop *loop;           /**< borrowed */
    bool unread;                 /**< it is not read while the door holds what it sent */
};

static void forget(uv_handle_t *handle)
{
    struct connection *c = (struct connection *)(void *)handle;
    outlet_close(&c->outlet);
    free(c);
}

static void close_connection(struct connection *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp) != 0) return;
    door_disconnect(&c->loop->door, &c->door);
    c->loop->listener.connection_count--;
    uv_close((uv_handle_t *)&c->tcp, forget);
}

/* ------------------------------------------------------------------ reading */

static void give_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct connection *c = (struct connection *)(void *)handle;
    (void)suggested;
    *buf = uv_buf_init((char *)c->loop->read_buffer, sizeof c->loop->read_buffer);
}

static void take_bytes(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf);

/* Read it, or do not, as the door wants it. */
static void follow_door(struct connection *c)
{
    bool held = door_is_held(&c->door);
    if (held == c->unread) return;
    c->unread = held;
    if (held) {
        (void)uv_read_stop((uv_stream_t *)&c->tcp); /* it answers 0 always */
    } else if (uv_read_start((uv_stream_t *)&c->tcp, give_memory, take_bytes) != 0) {
        close_connection(c);
    }
}

static void take_bytes(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct connection *c = (struct connection *)(void *)stream;
    if (size < 0) {
        close_connection(c);
        return;
    }
    struct slice bytes = slice_make(buf->base, (size_t)size);
    loop_must(door_input(&c->loop->door, &c->door, bytes, loop_now(c->loop)), "a request");
    follow_door(c);
}

/* ------------------------------------------------------------------ writing */

static void sent(struct outlet *outlet, bool failed)
{
    struct connection *c = HF_CONTAINER_OF(outlet, struct connection, outlet);
    c->door.unsent_bytes = 0;
    if (uv_is_closing((uv_handle_t *)&c->tcp) != 0) return;
    if (failed) {
        close_connection(c);
        return;
    }
    connection_flush(&c->door);
}

void connection_flush(struct door_connection *door)
{
    struct connection *c = HF_CONTAINER_OF(door, struct connection, door);
    if (uv_is_closing((uv_handle_t *)&c->tcp) != 0) return;
    if (door->broken) {
        close_connection(c);
        return;
    }
    follow_door(c);
    if (uv_is_closing((uv_handle_t *)&c->tcp) != 0) return;
    if (door->unsent_bytes > 0) return; /* sent() comes back here */
    if (!outlet_send(&c->outlet, (uv_stream_t *)&c->tcp, &door->out)) {
        close_connection(c);
        return;
    }
    door->unsent_bytes = c->outlet.unsent_bytes;
    if (door->closing && door->unsent_bytes == 0) close_connection(c);
}

/* ------------------------------------------------------------------ accepting */

static void name_peer(const uv_tcp_t *tcp, char *peer, size_t bytes)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    char host[64] = "?";
    snprintf(peer, bytes, "?");
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&address, &size) != 0) return;
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)&address;
        uv_ip6_name(v6, host, sizeof host);
        snprintf(peer, bytes, "[%s]:%u", host, (unsigned)ntohs(v6->sin6_port));
        return;
    }
    const struct sockaddr_in *v4 = (const void *)&address;
    uv_ip4_name(v4, host, sizeof host);
    snprintf(peer, bytes, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
}

void connection_accept(struct listener *l)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) {
        listener_complain(l, "out of memory");
        return;
    }
    c->loop = l->loop;
    c->outlet.sent_cb = sent;
    uv_tcp_init(&l->loop->uv, &c->tcp);
    if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&c->tcp) != 0 ||
        l->connection_count >= l->connections_max) {
        listener_complain(l, l->connection_count >= l->connections_max ? "too many connections"
                                                                       : "accept");
        uv_close((uv_handle_t *)&c->tcp, forget);
        return;
    }
    char peer[DOOR_PEER_BYTES];
    name_peer(&c->tcp, peer, sizeof peer);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S); /* a client that vanished gives its place back */
    door_connect(&l->loop->door, &c->door, peer, loop_now(l->loop));
    l->connection_count++;
    if (uv_read_start((uv_stream_t *)&c->tcp, give_memory, take_bytes) != 0) close_connection(c);
}
