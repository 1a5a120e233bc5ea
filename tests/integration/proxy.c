/* The proxy's loop: poll, forward, count, cut. See proxy.h. */
#include "tests/integration/proxy.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

enum { CHUNK_BYTES = 16 * 1024, POLLS_MAX = 2 + 2 * PROXY_PAIRS_MAX };

static struct sockaddr_in local(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void drop(struct proxy_pair *pair)
{
    if (pair->client < 0) return;
    /* A server process that was started meanwhile may have inherited a copy of the descriptor. */
    (void)shutdown(pair->client, SHUT_RDWR);
    (void)shutdown(pair->server, SHUT_RDWR);
    close(pair->client);
    close(pair->server);
    pair->client = pair->server = -1;
}

static void drop_all(struct proxy *p)
{
    for (int i = 0; i < PROXY_PAIRS_MAX; i++) drop(&p->pairs[i]);
}

static void take_client(struct proxy *p)
{
    struct proxy_pair *pair = NULL;
    int one = 1;
    for (int i = 0; i < PROXY_PAIRS_MAX && pair == NULL; i++) {
        if (p->pairs[i].client < 0) pair = &p->pairs[i];
    }
    int client = accept(p->listener, NULL, NULL);
    if (client < 0) return;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = local(p->target_port);
    if (pair == NULL || server < 0 || connect(server, (struct sockaddr *)&to, sizeof to) != 0) {
        (void)shutdown(client, SHUT_RDWR); /* see drop() */
        close(client);
        if (server >= 0) close(server);
        return;
    }
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *pair = (struct proxy_pair){client, server};
}

static bool send_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* \return false = cut everything. */
static bool forward(struct proxy *p, struct proxy_pair *pair, int direction)
{
    uint8_t bytes[CHUNK_BYTES];
    int from = direction == 0 ? pair->client : pair->server;
    int to = direction == 0 ? pair->server : pair->client;
    ssize_t got = recv(from, bytes, sizeof bytes, 0);
    if (got <= 0) {
        drop(pair);
        return true;
    }
    pthread_mutex_lock(&p->lock);
    size_t size = (size_t)got;
    bool cut = p->left[direction] >= 0 && (int64_t)size >= p->left[direction];
    if (cut) {
        size = (size_t)p->left[direction];
        p->left[0] = p->left[1] = -1;
        p->cuts += 1;
    } else if (p->left[direction] >= 0) {
        p->left[direction] -= (int64_t)size;
    }
    pthread_mutex_unlock(&p->lock);
    if (!send_all(to, bytes, size)) drop(pair);
    return !cut;
}

static void serve(struct proxy *p, bool holding)
{
    struct pollfd polls[POLLS_MAX] = {{p->wake[0], POLLIN, 0}, {p->listener, POLLIN, 0}};
    int places[POLLS_MAX] = {0};
    nfds_t count = 2;
    for (int i = 0; i < PROXY_PAIRS_MAX && !holding; i++) {
        if (p->pairs[i].client < 0) continue;
        places[count] = places[count + 1] = i;
        polls[count++] = (struct pollfd){p->pairs[i].client, POLLIN, 0};
        polls[count++] = (struct pollfd){p->pairs[i].server, POLLIN, 0};
    }
    if (poll(polls, count, -1) <= 0) return;
    char byte;
    if (polls[0].revents != 0) (void)!read(p->wake[0], &byte, 1);
    for (nfds_t i = 2; i < count; i++) {
        struct proxy_pair *pair = &p->pairs[places[i]];
        if (polls[i].revents == 0 || pair->client < 0) continue;
        if (forward(p, pair, (int)(i % 2))) continue;
        drop_all(p);
        break;
    }
    if (polls[1].revents != 0) take_client(p);
}

static void *run(void *data)
{
    struct proxy *p = data;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        bool stopping = p->stopping;
        bool holding = p->holding;
        pthread_mutex_unlock(&p->lock);
        if (stopping) return NULL;
        serve(p, holding);
    }
}

void proxy_start(struct proxy *p, uint16_t target_port)
{
    struct sockaddr_in at = local(0);
    socklen_t size = sizeof at;
    *p = (struct proxy){.target_port = target_port, .left = {-1, -1}};
    for (int i = 0; i < PROXY_PAIRS_MAX; i++) p->pairs[i].client = p->pairs[i].server = -1;
    pthread_mutex_init(&p->lock, NULL);
    HF_ASSERT(pipe(p->wake) == 0);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HF_ASSERT(p->listener >= 0);
    HF_ASSERT(bind(p->listener, (struct sockaddr *)&at, sizeof at) == 0);
    HF_ASSERT(listen(p->listener, 64) == 0);
    HF_ASSERT(getsockname(p->listener, (struct sockaddr *)&at, &size) == 0);
    p->port = ntohs(at.sin_port);
    HF_ASSERT(pthread_create(&p->thread, NULL, run, p) == 0);
}

static void wake(struct proxy *p)
{
    HF_ASSERT(write(p->wake[1], "", 1) == 1);
}

void proxy_stop(struct proxy *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_mutex_unlock(&p->lock);
    wake(p);
    pthread_join(p->thread, NULL);
    drop_all(p);
    close(p->listener);
    close(p->wake[0]);
    close(p->wake[1]);
    pthread_mutex_destroy(&p->lock);
}

void proxy_cut_after(struct proxy *p, int64_t to_server, int64_t to_client)
{
    pthread_mutex_lock(&p->lock);
    p->left[0] = to_server;
    p->left[1] = to_client;
    pthread_mutex_unlock(&p->lock);
}

void proxy_hold(struct proxy *p, bool holding)
{
    pthread_mutex_lock(&p->lock);
    p->holding = holding;
    pthread_mutex_unlock(&p->lock);
    wake(p);
}

uint32_t proxy_cuts(struct proxy *p)
{
    pthread_mutex_lock(&p->lock);
    uint32_t cuts = p->cuts;
    pthread_mutex_unlock(&p->lock);
    return cuts;
}
