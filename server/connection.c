/* See server/connection.h. The door's `out` is sent with one call where the kernel takes it all;
 * the rest waits in `sending` for the socket, while `out` gathers anew. The memory is freed in
 * libuv's close callback, never before. */
#include "server/connection.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/status.h"
#include "server/loop.h"

enum { OUT_BYTES_KEPT = 16 * 1024, COMPLAIN_MS = 1000, KEEPALIVE_S = 60 };

struct connection {
    uv_tcp_t tcp;                /**< the socket; first, so that a handle is its connection */
    struct door_connection door; /**< its half of the protocol */
    uv_write_t write;            /**< of `sending` */
    struct buffer sending;       /**< taken from door.out, being sent */
    struct loop *loop;           /**< borrowed */
};

static void forget(uv_handle_t *handle)
{
    struct connection *c = (struct connection *)(void *)handle;
    buffer_close(&c->sending);
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

static void take_bytes(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct connection *c = (struct connection *)(void *)stream;
    if (size < 0) {
        close_connection(c);
        return;
    }
    struct slice bytes = slice_make(buf->base, (size_t)size);
    loop_must(door_input(&c->loop->door, &c->door, bytes, loop_now(c->loop)), "a request");
}

/* ------------------------------------------------------------------ writing */

static void written(uv_write_t *write, int failed)
{
    struct connection *c = HF_CONTAINER_OF(write, struct connection, write);
    buffer_clear(&c->sending);
    c->door.unsent_bytes = 0;
    if (uv_is_closing((uv_handle_t *)&c->tcp) != 0) return;
    if (failed != 0) {
        close_connection(c);
        return;
    }
    if (c->sending.capacity > OUT_BYTES_KEPT) buffer_close(&c->sending);
    connection_flush(&c->door);
}

/* What the kernel did not take at once waits for the socket. */
static void send_later(struct connection *c, size_t sent)
{
    struct buffer out = c->door.out;
    c->door.out = c->sending;
    c->sending = out;
    if (c->door.out.bytes_max == 0) buffer_init(&c->door.out, out.bytes_max);
    c->door.unsent_bytes = out.size - sent;
    uv_buf_t rest = uv_buf_init((char *)out.data + sent, (unsigned)(out.size - sent));
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, written) != 0) close_connection(c);
}

static void send_now(struct connection *c)
{
    struct buffer *out = &c->door.out;
    uv_buf_t all = uv_buf_init((char *)out->data, (unsigned)out->size);
    int sent = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        close_connection(c);
        return;
    }
    if (sent < 0 || (size_t)sent < out->size) {
        send_later(c, sent < 0 ? 0 : (size_t)sent);
        return;
    }
    size_t bytes_max = out->bytes_max;
    buffer_clear(out);
    if (out->capacity > OUT_BYTES_KEPT) {
        buffer_close(out);
        buffer_init(out, bytes_max);
    }
}

void connection_flush(struct door_connection *door)
{
    struct connection *c = HF_CONTAINER_OF(door, struct connection, door);
    if (uv_is_closing((uv_handle_t *)&c->tcp) != 0) return;
    if (door->broken) {
        close_connection(c);
        return;
    }
    if (door->unsent_bytes > 0) return; /* written() comes back here */
    if (door->out.size > 0) send_now(c);
    if (uv_is_closing((uv_handle_t *)&c->tcp) != 0) return;
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

static void complain(struct listener *l, const char *why)
{
    uint64_t now_ms = clock_elapsed_ms(&l->loop->clock);
    l->refused_count++;
    if (l->complained_ms != 0 && now_ms - l->complained_ms < COMPLAIN_MS) return;
    l->complained_ms = now_ms;
    log_warn("connection refused", "reason=\"%s\" open=%u refused=%llu", why,
             (unsigned)l->connection_count, (unsigned long long)l->refused_count);
}

void connection_accept(struct listener *l)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) {
        complain(l, "out of memory");
        return;
    }
    c->loop = l->loop;
    uv_tcp_init(&l->loop->uv, &c->tcp);
    if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&c->tcp) != 0 ||
        l->connection_count >= l->connections_max) {
        complain(l, l->connection_count >= l->connections_max ? "too many connections" : "accept");
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
