/* See the header. */
#include "tests/integration/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/prng.h"
#include "base/status.h"
#include "tests/integration/server_process.h"

enum { ARENA_BYTES = 4 * 1024 * 1024, READ_BYTES = 64 * 1024 };

bool wire_connect(struct wire *c, uint16_t port)
{
    *c = (struct wire){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .acks = true};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    HF_ASSERT(c->fd >= 0);
    buffer_init(&c->in, 4 * FRAME_BYTES_MAX);
    buffer_init(&c->out, 4 * FRAME_BYTES_MAX);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&a, sizeof a) == 0) return true;
    wire_close(c);
    return false;
}

bool wire_open(struct wire *c, uint16_t port)
{
    if (!wire_connect(c, port)) return false;
    struct msg_hello hello = {.version_min = 1, .version_max = 1, .name = slice_of("wire")};
    if (wire_call(c, OP_CODE_HELLO, &hello, NULL) == HF_OK) return true;
    wire_close(c);
    return false;
}

int wire_session(struct wire *c)
{
    uint8_t secret[SESSION_SECRET_BYTES];
    random_bytes(secret, sizeof secret);
    struct msg_open open = {
        .secret = slice_make(secret, sizeof secret),
        .ttl_ms = WIRE_SESSION_TTL_MS,
        .name = slice_of("wire"),
    };
    struct msg_open_reply reply;
    int rv = wire_call(c, OP_CODE_OPEN, &open, &reply);
    if (rv != HF_OK) return rv;
    c->session = reply.session;
    c->seq = c->ack = 0;
    return HF_OK;
}

void wire_close(struct wire *c)
{
    if (c->in.bytes_max == 0) return; /* zeroed */
    if (c->fd >= 0) close(c->fd);
    buffer_close(&c->in);
    buffer_close(&c->out);
    arena_close(&c->arena);
    *c = (struct wire){.fd = -1};
}

bool wire_send(struct wire *c, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t sent = send(c->fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

bool wire_request(struct wire *c, uint16_t op, const struct client_envelope *envelope,
                  const void *request)
{
    buffer_clear(&c->out);
    int rv = frame_write_request(&c->out, op, ++c->request_id, envelope, request);
    HF_ASSERT(rv == HF_OK);
    return wire_send(c, c->out.data, c->out.size);
}

int wire_receive(struct wire *c, uint64_t wait_ms)
{
    uint64_t until = now_ms() + wait_ms;
    buffer_consume(&c->in, c->taken);
    c->taken = 0;
    for (;;) {
        size_t size = 0;
        if (frame_next(buffer_slice(&c->in), FRAME_BYTES_MAX, &size) != HF_OK) return WIRE_BROKEN;
        if (size > 0) {
            c->taken = size;
            int rv = frame_read_reply(slice_make(c->in.data, size), &c->reply);
            return rv == HF_OK ? HF_OK : WIRE_BROKEN;
        }
        uint64_t now = now_ms();
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        if (poll(&p, 1, now < until ? (int)(until - now) : 0) == 0) return WIRE_SILENT;
        if (buffer_reserve(&c->in, READ_BYTES) != HF_OK) return WIRE_BROKEN;
        ssize_t got = recv(c->fd, c->in.data + c->in.size, READ_BYTES, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return WIRE_BROKEN;
        c->in.size += (size_t)got;
    }
}

struct client_envelope wire_envelope(struct wire *c, uint16_t op)
{
    unsigned traits = op_find(op)->traits;
    struct client_envelope e = {0};
    if ((traits & OP_SESSION) == 0) return e;
    e.session = c->session;
    e.ack = c->ack;
    e.renews = 1;
    if ((traits & OP_NUMBERED) != 0) e.seq = ++c->seq;
    return e;
}

int wire_call_as(struct wire *c, uint16_t op, const struct client_envelope *envelope,
                 const void *request, void *answer)
{
    c->sent = *envelope;
    if (!wire_request(c, op, envelope, request)) return WIRE_BROKEN;
    do {
        int rv = wire_receive(c, WIRE_REPLY_MS_MAX);
        if (rv != HF_OK) return rv;
    } while (c->reply.request_id != c->request_id);
    if (c->reply.status != HF_OK || answer == NULL) return c->reply.status;
    if (c->arena.data == NULL) HF_ASSERT(arena_init(&c->arena, ARENA_BYTES) == HF_OK);
    arena_reset(&c->arena);
    int rv = codec_decode(op_reply_type(op, HF_OK), c->reply.body, &c->arena, answer);
    return rv == HF_OK ? HF_OK : WIRE_BROKEN;
}

int wire_call(struct wire *c, uint16_t op, const void *request, void *answer)
{
    struct client_envelope e = wire_envelope(c, op);
    int rv = wire_call_as(c, op, &e, request, answer);
    bool answered = rv != WIRE_BROKEN && rv != WIRE_SILENT;
    if (answered && e.seq != 0 && c->acks) c->ack = e.seq;
    return rv;
}

int wire_acquire(struct wire *c, const char *name, uint64_t owner, uint64_t wait_ms,
                 uint64_t *token)
{
    struct slice names[1] = {slice_of(name)};
    struct msg_acquire acquire = {
        .names = {names, 1},
        .owner = owner,
        .wait_ms = wait_ms,
    };
    struct msg_granted granted;
    int rv = wire_call(c, OP_CODE_ACQUIRE, &acquire, &granted);
    if (rv == HF_OK) *token = granted.fencing_token;
    return rv;
}

int wire_release(struct wire *c, const char *name, uint64_t owner, uint64_t token)
{
    struct msg_release release = {.name = slice_of(name), .fencing_token = token, .owner = owner};
    return wire_call(c, OP_CODE_RELEASE, &release, NULL);
}
