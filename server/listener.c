/* See server/listener.h. Out of descriptors libuv itself accepts and closes with one that it keeps
 * in reserve, so that the queue does not spin; here that is only told. */
#include "server/listener.h"

#include <stdio.h>

#include "base/log.h"
#include "base/status.h"
#include "server/loop.h"

enum { BACKLOG = 1024, COMPLAIN_MS = 1000 };

void listener_complain(struct listener *l, const char *why)
{
    uint64_t now_ms = clock_elapsed_ms(&l->loop->clock);
    l->refused_count++;
    if (l->complained_ms != 0 && now_ms - l->complained_ms < COMPLAIN_MS) return;
    l->complained_ms = now_ms;
    log_warn("connection refused", "at=%s reason=\"%s\" open=%u refused=%llu", l->address, why,
             (unsigned)l->connection_count, (unsigned long long)l->refused_count);
}

static void incoming(uv_stream_t *stream, int failed)
{
    struct listener *l = stream->data;
    if (failed == 0) {
        l->accept_cb(l);
    } else {
        listener_complain(l, uv_strerror(failed));
    }
}

static int bind_to(struct listener *l, const char *host, uint16_t port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    int rv = uv_ip4_addr(host, port, &address.v4);
    if (rv != 0) rv = uv_ip6_addr(host, port, &address.v6);
    if (rv != 0) return rv;
    rv = uv_tcp_bind(&l->tcp, &address.any, 0);
    return rv == 0 ? uv_listen((uv_stream_t *)&l->tcp, BACKLOG, incoming) : rv;
}

static void name_self(struct listener *l, const char *host)
{
    struct sockaddr_storage bound;
    int size = sizeof bound;
    unsigned port = 0;
    if (uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&bound, &size) == 0)
        port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                 : ((struct sockaddr_in *)&bound)->sin_port);
    bool v6 = bound.ss_family == AF_INET6;
    snprintf(l->address, sizeof l->address, v6 ? "[%.200s]:%u" : "%.200s:%u", host, port);
}

int listener_open(struct listener *l, struct loop *loop, const char *address,
                  uint32_t connections_max, void (*accept_cb)(struct listener *l), char *sentence)
{
    *l =
        (struct listener){.loop = loop, .connections_max = connections_max, .accept_cb = accept_cb};
    char host[ADDRESS_TEXT_BYTES];
    uint16_t port = 0;
    int rv = address_split(address, host, &port);
    HF_ASSERT(rv == HF_OK); /* the configuration was checked */
    rv = uv_tcp_init(&loop->uv, &l->tcp);
    HF_ASSERT(rv == 0);
    l->tcp.data = l;
    l->open = true;
    rv = bind_to(l, host, port);
    if (rv != 0) {
        snprintf(sentence, CONFIG_SENTENCE_BYTES, "cannot listen on %s: %s", address,
                 uv_strerror(rv));
        listener_close(l);
        return HF_EINVAL;
    }
    name_self(l, host);
    return HF_OK;
}

void listener_close(struct listener *l)
{
    if (!l->open) return;
    l->open = false;
    uv_close((uv_handle_t *)&l->tcp, NULL);
}
