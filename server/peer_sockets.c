/* See server/peer_sockets.h. Memory is freed in libuv's close callbacks, never before. */
#include "server/peer_sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/status.h"
#include "server/loop.h"
#include "server/outlet.h"

enum {
    USER_TIMEOUT_MS = 5000, /* what was sent and is not acknowledged so long breaks the link */
    KEEPALIVE_S = 2,        /* so something is sent at least so often */
};

/** A connection that another server made to here. */
struct accepted {
    uv_tcp_t tcp;                 /**< first, so that a handle is its connection */
    struct list link;             /**< in peer_sockets.accepted */
    struct peer_in in;            /**< its half of the protocol */
    struct outlet outlet;         /**< for the answer to the introduction */
    struct peer_sockets *sockets; /**< borrowed */
};

/** A connection that was made from here. */
struct dialled {
    uv_tcp_t tcp;                 /**< first, so that a handle is its connection */
    struct list link;             /**< in peer_sockets.dialled */
    uv_connect_t connect;         /**< while it is made */
    struct outlet outlet;         /**< messages out */
    struct peer_sockets *sockets; /**< borrowed */
    struct peer_out *out;         /**< whose it is, borrowed; NULL = closed */
    uint64_t epoch;               /**< of the link when it was dialled */
};

static struct peers *links(const struct peer_sockets *s)
{
    return replica_peers(s->loop->replica);
}

static uint64_t now_ms(const struct peer_sockets *s)
{
    return loop_now(s->loop).elapsed_ms;
}

/* A machine that vanished without a word must not hold a link for a quarter of an hour; nor one
 * that only listens, or has nothing to say, for ever. */
static void set_options(uv_tcp_t *tcp)
{
    uv_os_fd_t fd;
    int timeout_ms = USER_TIMEOUT_MS;
    int period_s = KEEPALIVE_S;
    uv_tcp_nodelay(tcp, 1);
    uv_tcp_keepalive(tcp, 1, KEEPALIVE_S);
    if (uv_fileno((uv_handle_t *)tcp, &fd) != 0) return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &period_s, sizeof period_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

static void give_memory(struct peer_sockets *s, uv_buf_t *buf)
{
    *buf = uv_buf_init((char *)s->loop->read_buffer, sizeof s->loop->read_buffer);
}

/* ------------------------------------------------------------------ accepted */

static void forget_accepted(uv_handle_t *handle)
{
    struct accepted *a = (struct accepted *)(void *)handle;
    outlet_close(&a->outlet);
    free(a);
}

static void close_accepted(struct accepted *a)
{
    if (uv_is_closing((uv_handle_t *)&a->tcp) != 0) return;
    peers_closed(links(a->sockets), &a->in);
    list_remove(&a->link);
    a->sockets->listener.connection_count--;
    uv_close((uv_handle_t *)&a->tcp, forget_accepted);
}

static void flush_accepted(struct accepted *a)
{
    if (uv_is_closing((uv_handle_t *)&a->tcp) != 0) return;
    bool sent = !a->in.broken && outlet_send(&a->outlet, (uv_stream_t *)&a->tcp, &a->in.out);
    if (!sent || (a->in.closing && a->outlet.unsent_bytes == 0)) close_accepted(a);
}

static void accepted_sent(struct outlet *outlet, bool failed)
{
    struct accepted *a = HF_CONTAINER_OF(outlet, struct accepted, outlet);
    if (uv_is_closing((uv_handle_t *)&a->tcp) != 0) return;
    if (failed) a->in.broken = true;
    flush_accepted(a);
}

static void accepted_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    give_memory(((struct accepted *)(void *)handle)->sockets, buf);
}

static void accepted_bytes(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct accepted *a = (struct accepted *)(void *)stream;
    struct loop *l = a->sockets->loop;
    if (size < 0) {
        close_accepted(a);
        return;
    }
    struct slice bytes = slice_make(buf->base, (size_t)size);
    loop_must(replica_peer_input(l->replica, loop_now(l), &a->in, bytes), "another server's word");
}

static void flush_all_accepted(struct peer_sockets *s)
{
    struct peer_in *in = NULL;
    while ((in = peers_next_in(links(s))) != NULL)
        flush_accepted(HF_CONTAINER_OF(in, struct accepted, in));
}

static void accept_peer(struct listener *listener)
{
    struct peer_sockets *s = &listener->loop->peer_sockets;
    struct accepted *a = calloc(1, sizeof *a);
    if (a == NULL) {
        listener_complain(listener, "out of memory");
        return;
    }
    if (listener->connection_count >= PEERS_IN_MAX)
        listener_complain(listener, "too many connections: one that says nothing gives way");
    a->sockets = s;
    a->outlet.sent_cb = accepted_sent;
    uv_tcp_init(&s->loop->uv, &a->tcp);
    bool taken = uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&a->tcp) == 0 &&
                 peers_accepted(links(s), &a->in, now_ms(s));
    if (!taken) {
        uv_close((uv_handle_t *)&a->tcp, forget_accepted);
        return;
    }
    list_push_back(&s->accepted, &a->link);
    listener->connection_count++;
    flush_all_accepted(s); /* one may have given way to this one */
    set_options(&a->tcp);
    if (uv_read_start((uv_stream_t *)&a->tcp, accepted_memory, accepted_bytes) != 0)
        close_accepted(a);
}

/* ------------------------------------------------------------------ dialled */

static void forget_dialled(uv_handle_t *handle)
{
    struct dialled *d = (struct dialled *)(void *)handle;
    outlet_close(&d->outlet);
    free(d);
}

/* The link goes on without this socket. */
static void close_dialled(struct dialled *d)
{
    if (d->out == NULL) return;
    d->out->shell = NULL;
    d->out = NULL;
    list_remove(&d->link);
    uv_close((uv_handle_t *)&d->tcp, forget_dialled);
}

/* It failed: the link is told, and comes back to be followed. */
static void lose_dialled(struct dialled *d)
{
    struct peer_out *out = d->out;
    struct peer_sockets *s = d->sockets;
    if (out == NULL) return;
    uint64_t epoch = d->epoch;
    close_dialled(d);
    peers_disconnected(links(s), out, epoch, now_ms(s));
}

static void send_dialled(struct dialled *d)
{
    if (d->out == NULL || d->out->state < PEER_OUT_HELLO) return;
    if (!outlet_send(&d->outlet, (uv_stream_t *)&d->tcp, &d->out->out)) lose_dialled(d);
}

static void dialled_sent(struct outlet *outlet, bool failed)
{
    struct dialled *d = HF_CONTAINER_OF(outlet, struct dialled, outlet);
    if (d->out == NULL) return;
    if (failed) {
        lose_dialled(d);
    } else if (d->epoch == d->out->epoch) {
        send_dialled(d);
    }
}

static void dialled_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    give_memory(((struct dialled *)(void *)handle)->sockets, buf);
}

static void dialled_bytes(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct dialled *d = (struct dialled *)(void *)stream;
    if (d->out == NULL) return;
    if (size < 0) {
        lose_dialled(d);
        return;
    }
    struct slice bytes = slice_make(buf->base, (size_t)size);
    peers_answered(links(d->sockets), d->out, d->epoch, bytes, now_ms(d->sockets));
}

static void connected(uv_connect_t *connect, int failed)
{
    struct dialled *d = HF_CONTAINER_OF(connect, struct dialled, connect);
    if (d->out == NULL) return;
    if (failed != 0 || uv_read_start((uv_stream_t *)&d->tcp, dialled_memory, dialled_bytes) != 0) {
        lose_dialled(d);
        return;
    }
    set_options(&d->tcp);
    peers_connected(links(d->sockets), d->out, d->epoch, now_ms(d->sockets));
}

static int parse_address(const char *text, struct sockaddr_storage *address)
{
    char host[ADDRESS_TEXT_BYTES];
    uint16_t port = 0;
    if (address_split(text, host, &port) != HF_OK) return UV_EINVAL;
    int rv = uv_ip4_addr(host, port, (struct sockaddr_in *)address);
    return rv == 0 ? rv : uv_ip6_addr(host, port, (struct sockaddr_in6 *)address);
}

static void dial(struct peer_sockets *s, struct peer_out *out)
{
    struct sockaddr_storage address = {0};
    struct dialled *d = calloc(1, sizeof *d);
    if (d == NULL) return; /* the link's time-out tries again */
    d->sockets = s;
    d->out = out;
    d->epoch = out->epoch;
    d->outlet.sent_cb = dialled_sent;
    out->shell = d;
    list_push_back(&s->dialled, &d->link);
    uv_tcp_init(&s->loop->uv, &d->tcp);
    int rv = parse_address(out->address, &address);
    if (rv == 0) rv = uv_tcp_connect(&d->connect, &d->tcp, (struct sockaddr *)&address, connected);
    if (rv != 0) lose_dialled(d);
}

static void follow(struct peer_sockets *s, struct peer_out *out)
{
    struct dialled *d = out->shell;
    if (d != NULL && (d->epoch != out->epoch || out->dropped)) {
        close_dialled(d);
        d = NULL;
    }
    if (out->dropped) {
        peers_forget_out(links(s), out);
    } else if (d != NULL) {
        send_dialled(d);
    } else if (out->state == PEER_OUT_DIALLING) {
        dial(s, out);
    }
}

/* ------------------------------------------------------------------ all */

void peer_sockets_init(struct peer_sockets *s, struct loop *loop)
{
    *s = (struct peer_sockets){.loop = loop};
    list_init(&s->accepted);
    list_init(&s->dialled);
}

int peer_sockets_listen(struct peer_sockets *s, const char *address, char *sentence)
{
    return listener_open(&s->listener, s->loop, address, 2 * PEERS_IN_MAX, accept_peer, sentence);
}

void peer_sockets_flush(struct peer_sockets *s)
{
    struct peer_out *out = NULL;
    while ((out = peers_next_out(links(s))) != NULL) follow(s, out);
    flush_all_accepted(s);
}

void peer_sockets_close(struct peer_sockets *s)
{
    listener_close(&s->listener);
    LIST_FOR_SAFE(link, &s->accepted) close_accepted(HF_CONTAINER_OF(link, struct accepted, link));
    LIST_FOR_SAFE(link, &s->dialled) close_dialled(HF_CONTAINER_OF(link, struct dialled, link));
}
