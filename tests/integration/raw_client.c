/* See the header. */
#include "tests/integration/raw_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/status.h"
#include "tests/integration/server_process.h"
#include "tests/unit/cmocka_all.h"

enum { REPLY_MS_MAX = 30000, READ_BYTES = 64 * 1024 };

bool raw_connect(struct raw_client *c, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    *c = (struct raw_client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(c->fd >= 0);
    buffer_init(&c->in, 4 * FRAME_BYTES_MAX);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) == 0) return true;
    raw_close(c);
    return false;
}

void raw_close(struct raw_client *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    buffer_close(&c->in);
}

void raw_send_bytes(struct raw_client *c, const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    while (size > 0) {
        ssize_t sent = send(c->fd, p, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            c->send_failed = true;
            return;
        }
        p += sent;
        size -= (size_t)sent;
    }
}

uint64_t raw_send(struct raw_client *c, uint16_t op, const void *request, uint64_t seq)
{
    unsigned traits = op_find(op)->traits;
    bool session = (traits & OP_SESSION) != 0;
    struct client_envelope envelope = {.session = session ? c->session : 0, .renews = session};
    if ((traits & OP_NUMBERED) != 0) {
        envelope.seq = seq != 0 ? seq : ++c->seq;
        envelope.ack = envelope.seq > 2000 ? envelope.seq - 2000 : 0;
        if (seq == 0 && envelope.seq > 1) envelope.ack = envelope.seq - 1;
    }
    struct buffer bytes;
    buffer_init(&bytes, FRAME_BYTES_MAX);
    int rv = frame_write_request(&bytes, op, ++c->request_id, &envelope, request);
    assert_int_equal(rv, HF_OK);
    raw_send_bytes(c, bytes.data, bytes.size);
    buffer_close(&bytes);
    return c->request_id;
}

/* \return false: closed, or late. */
static bool read_more(struct raw_client *c, uint64_t until_ms)
{
    uint64_t now = now_ms();
    struct pollfd poll_fd = {.fd = c->fd, .events = POLLIN};
    if (now >= until_ms || poll(&poll_fd, 1, (int)(until_ms - now)) <= 0) return false;
    assert_int_equal(buffer_reserve(&c->in, READ_BYTES), HF_OK);
    ssize_t got = recv(c->fd, c->in.data + c->in.size, READ_BYTES, 0);
    if (got <= 0) return false;
    c->in.size += (size_t)got;
    return true;
}

bool raw_receive(struct raw_client *c, struct raw_reply *reply, int timeout_ms)
{
    static uint8_t last[FRAME_BYTES_MAX]; /* what `reply` borrows from */
    uint64_t until_ms = now_ms() + (uint64_t)timeout_ms;
    size_t size = 0;
    for (;;) {
        assert_int_equal(frame_next(buffer_slice(&c->in), FRAME_BYTES_MAX, &size), HF_OK);
        if (size > 0) break;
        if (!read_more(c, until_ms)) return false;
    }
    memcpy(last, c->in.data, size);
    buffer_consume(&c->in, size);
    struct reply_frame frame;
    assert_int_equal(frame_read_reply(slice_make(last, size), &frame), HF_OK);
    *reply = (struct raw_reply){
        .status = frame.status, .request_id = frame.request_id, .body = frame.body};
    return true;
}

bool raw_is_closed_within(struct raw_client *c, int timeout_ms)
{
    uint64_t until_ms = now_ms() + (uint64_t)timeout_ms;
    while (read_more(c, until_ms)) buffer_clear(&c->in);
    return now_ms() < until_ms;
}

int raw_call(struct raw_client *c, uint16_t op, const void *request, struct raw_reply *reply)
{
    uint64_t id = raw_send(c, op, request, 0);
    assert_true(raw_receive(c, reply, REPLY_MS_MAX));
    assert_int_equal(reply->request_id, id);
    return reply->status;
}

void raw_hello(struct raw_client *c, uint16_t port)
{
    struct msg_hello hello = {.version_min = 1, .version_max = 1, .name = slice_of("raw")};
    struct raw_reply reply;
    assert_true(raw_connect(c, port));
    assert_int_equal(raw_call(c, OP_CODE_HELLO, &hello, &reply), HF_OK);
}

void raw_open(struct raw_client *c, uint8_t secret, uint64_t ttl_ms)
{
    uint8_t bytes[SESSION_SECRET_BYTES] = {secret};
    struct msg_open open = {.secret = slice_make(bytes, sizeof bytes), .ttl_ms = ttl_ms};
    struct msg_open_reply opened;
    struct raw_reply reply;
    assert_int_equal(raw_call(c, OP_CODE_OPEN, &open, &reply), HF_OK);
    assert_int_equal(codec_decode(&msg_open_reply_type, reply.body, NULL, &opened), HF_OK);
    c->session = opened.session;
}

int raw_acquire(struct raw_client *c, const char *name, uint64_t wait_ms, uint64_t *token)
{
    struct slice names[] = {slice_of(name)};
    struct msg_acquire acquire = {
        .names = {.items = names, .count = 1}, .owner = 1, .wait_ms = wait_ms};
    struct msg_granted granted;
    struct raw_reply reply;
    int status = raw_call(c, OP_CODE_ACQUIRE, &acquire, &reply);
    if (status != HF_OK) return status;
    assert_int_equal(codec_decode(&msg_granted_type, reply.body, NULL, &granted), HF_OK);
    *token = granted.fencing_token;
    return HF_OK;
}

int raw_release(struct raw_client *c, const char *name, uint64_t token)
{
    struct msg_release release = {.name = slice_of(name), .fencing_token = token, .owner = 1};
    struct raw_reply reply;
    return raw_call(c, OP_CODE_RELEASE, &release, &reply);
}

uint64_t raw_check(struct raw_client *c, const char *name, uint64_t token)
{
    struct msg_check check = {.name = slice_of(name), .fencing_token = token};
    struct msg_check_reply checked;
    struct raw_reply reply;
    assert_int_equal(raw_call(c, OP_CODE_CHECK, &check, &reply), HF_OK);
    assert_int_equal(codec_decode(&msg_check_reply_type, reply.body, NULL, &checked), HF_OK);
    return checked.verdict;
}
