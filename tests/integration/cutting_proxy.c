/* See the header. */
#include "tests/integration/cutting_proxy.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/status.h"
#include "protocol/frame.h"

enum { POLL_MS = 20, CHUNK_BYTES = 64 * 1024 };

/* One connection: the client's half and the server's, and what of each is no whole frame yet. */
struct pair {
    int client;
    int server;
    struct buffer asked;
    struct buffer answered;
};

/* ------------------------------------------------------------------ reading along */

static void note_answer(struct cutting_proxy *p, const struct reply_frame *reply)
{
    struct msg_granted granted;
    bool known = false;
    for (unsigned i = 0; i < p->id_count; i++) known = known || p->ids[i] == reply->request_id;
    if (!known || reply->status != HF_OK) return;
    if (codec_decode(&msg_granted_type, reply->body, NULL, &granted) != HF_OK) return;
    pthread_mutex_lock(&p->mutex);
    if (p->report.answers++ == 0) p->report.token = granted.fencing_token;
    if (p->report.token != granted.fencing_token) p->report.other_tokens++;
    pthread_mutex_unlock(&p->mutex);
}

static void read_along(struct cutting_proxy *p, struct buffer *bytes, bool replies)
{
    size_t size = 0;
    while (frame_next(buffer_slice(bytes), FRAME_BYTES_MAX, &size) == HF_OK && size > 0) {
        struct slice frame = slice_make(bytes->data, size);
        struct request_frame request;
        struct reply_frame reply;
        if (replies && frame_read_reply(frame, &reply) == HF_OK) note_answer(p, &reply);
        if (!replies && frame_read_request(frame, &request) == HF_OK &&
            request.op == OP_CODE_ACQUIRE)
            p->ids[p->id_count++ % PROXY_IDS_MAX] = request.request_id;
        if (p->id_count > PROXY_IDS_MAX) p->id_count = PROXY_IDS_MAX;
        buffer_consume(bytes, size);
    }
}

/* ------------------------------------------------------------------ passing on, and cutting */

/* How many of `bytes` are passed on; fewer: the connection is cut behind them. */
static size_t allowed(struct cutting_proxy *p, bool reply, size_t bytes)
{
    size_t pass = bytes;
    pthread_mutex_lock(&p->mutex);
    if (p->cut_next < p->cut_count && p->cuts[p->cut_next].reply == reply) {
        struct cut *cut = &p->cuts[p->cut_next];
        if (cut->after_bytes < bytes) {
            pass = cut->after_bytes;
            p->cut_next++;
            p->report.cuts++;
        } else {
            cut->after_bytes -= (uint32_t)bytes;
        }
    }
    pthread_mutex_unlock(&p->mutex);
    return pass;
}

static bool pass_on(struct cutting_proxy *p, struct pair *pair, bool reply)
{
    static uint8_t chunk[CHUNK_BYTES];
    struct buffer *seen = reply ? &pair->answered : &pair->asked;
    ssize_t got = recv(reply ? pair->server : pair->client, chunk, sizeof chunk, 0);
    if (got <= 0 || buffer_append(seen, chunk, (size_t)got) != HF_OK) return false;
    read_along(p, seen, reply);
    size_t pass = allowed(p, reply, (size_t)got);
    int to = reply ? pair->client : pair->server;
    return send(to, chunk, pass, MSG_NOSIGNAL) == (ssize_t)pass && pass == (size_t)got;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
    close(fd);
    return -1;
}

static bool stopped(struct cutting_proxy *p)
{
    pthread_mutex_lock(&p->mutex);
    bool stop = p->stop;
    pthread_mutex_unlock(&p->mutex);
    return stop;
}

static void serve(struct cutting_proxy *p, struct pair *pair)
{
    bool good = pair->server >= 0;
    p->id_count = 0;
    buffer_init(&pair->asked, 4 * FRAME_BYTES_MAX);
    buffer_init(&pair->answered, 4 * FRAME_BYTES_MAX);
    while (good && !stopped(p)) {
        struct pollfd fds[] = {{.fd = pair->client, .events = POLLIN},
                               {.fd = pair->server, .events = POLLIN}};
        if (poll(fds, 2, POLL_MS) <= 0) continue;
        if (fds[0].revents != 0) good = pass_on(p, pair, false);
        if (good && fds[1].revents != 0) good = pass_on(p, pair, true);
    }
    close(pair->client);
    if (pair->server >= 0) close(pair->server);
    buffer_close(&pair->asked);
    buffer_close(&pair->answered);
}

static void *run(void *data)
{
    struct cutting_proxy *p = data;
    while (!stopped(p)) {
        struct pollfd fd = {.fd = p->listener, .events = POLLIN};
        if (poll(&fd, 1, POLL_MS) <= 0) continue;
        struct pair pair = {.client = accept(p->listener, NULL, NULL)};
        if (pair.client < 0) continue;
        pair.server = connect_to(p->server_port);
        serve(p, &pair);
    }
    return NULL;
}

/* ------------------------------------------------------------------ for the test */

void cutting_proxy_start(struct cutting_proxy *p, uint16_t server_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof a;
    *p = (struct cutting_proxy){.server_port = server_port};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HF_ASSERT(p->listener >= 0);
    HF_ASSERT(bind(p->listener, (struct sockaddr *)&a, size) == 0);
    HF_ASSERT(listen(p->listener, 16) == 0);
    HF_ASSERT(getsockname(p->listener, (struct sockaddr *)&a, &size) == 0);
    snprintf(p->address, sizeof p->address, "127.0.0.1:%u", (unsigned)ntohs(a.sin_port));
    HF_ASSERT(pthread_mutex_init(&p->mutex, NULL) == 0);
    HF_ASSERT(pthread_create(&p->thread, NULL, run, p) == 0);
}

void cutting_proxy_arm(struct cutting_proxy *p, const struct cut *cuts, unsigned count)
{
    HF_ASSERT(count <= PROXY_CUTS_MAX);
    pthread_mutex_lock(&p->mutex);
    memcpy(p->cuts, cuts, count * sizeof *cuts);
    p->cut_count = count;
    p->cut_next = 0;
    p->report = (struct proxy_report){0};
    pthread_mutex_unlock(&p->mutex);
}

struct proxy_report cutting_proxy_disarm(struct cutting_proxy *p)
{
    pthread_mutex_lock(&p->mutex);
    p->cut_count = p->cut_next = 0;
    struct proxy_report report = p->report;
    pthread_mutex_unlock(&p->mutex);
    return report;
}

void cutting_proxy_stop(struct cutting_proxy *p)
{
    pthread_mutex_lock(&p->mutex);
    p->stop = true;
    pthread_mutex_unlock(&p->mutex);
    pthread_join(p->thread, NULL);
    pthread_mutex_destroy(&p->mutex);
    close(p->listener);
}
