/* The load generator for servers of the Redis protocol (valkey, redis): one thread, one epoll, one
 * write and one read a turn and connection, no library.
 *
 * A lock is SET name token NX PX and a script that deletes it if the token is still ours; a record
 * is SET key fingerprint NX PX and SET key fingerprint+body XX KEEPTTL. Clients share connections:
 * answers of one come in order, so a queue a connection knows whose they are. With several servers
 * each half is sent to all at once and counts when a majority agreed (Redlock); the next cycle
 * waits for the stragglers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/rivals/load.h"

enum { REQUEST_BYTES_MAX = 512, INPUT_BYTES = 65536, TOKEN_BYTES = 16, SHA_BYTES = 40 };

static const char script[] =
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0";

/* One client's cycle. */
struct cycle {
    char name[64];    /* of its lock or key */
    unsigned half;    /* 0 or 1 */
    unsigned agreed;  /* servers that agreed to this half */
    unsigned refused; /* and did not */
    unsigned waiting; /* answers that are still to come, of both halves */
    bool decided;     /* this cycle is over, but for stragglers */
    bool busy;        /* a cycle is under way */
};

/* Whose answer comes next on a connection. */
struct asked {
    unsigned client; /* its number */
    unsigned half;   /* of its cycle */
};

struct connection {
    int fd;               /* blocking for writes, asked without waiting for reads */
    struct asked *queue;  /* a ring of queue_size */
    unsigned head;        /* the oldest */
    unsigned count;       /* in the ring */
    char *out;            /* not written yet */
    size_t out_bytes;     /* in it */
    char in[INPUT_BYTES]; /* not parsed yet */
    size_t in_bytes;      /* in it */
};

static struct load load;
static struct cycle *cycles;
static struct connection *connections; /* server by server */
static unsigned queue_size;            /* two halves of every client of a connection */
static char sha[SHA_BYTES + 1];

static struct connection *connection_of(unsigned server, unsigned client)
{
    return &connections[server * load.connection_count + client % load.connection_count];
}

static void flush(struct connection *c)
{
    size_t done = 0;
    while (done < c->out_bytes) {
        ssize_t n = write(c->fd, c->out + done, c->out_bytes - done);
        if (n < 0) load_fail("a write to a server failed: %m");
        done += (size_t)n;
    }
    c->out_bytes = 0;
}

static size_t write_request(char *out, unsigned client, const struct cycle *y)
{
    int name = (int)strlen(y->name);
    int n = 0;
    if (load.record && y->half == 0) {
        n = snprintf(out, REQUEST_BYTES_MAX,
                     "*6\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$32\r\n%032u\r\n$2\r\nNX\r\n$2\r\nPX\r\n"
                     "$8\r\n86400000\r\n",
                     name, y->name, client);
    } else if (load.record) {
        n = snprintf(out, REQUEST_BYTES_MAX,
                     "*5\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%032u%s\r\n$2\r\nXX\r\n"
                     "$7\r\nKEEPTTL\r\n",
                     name, y->name, 32 + LOAD_BODY_BYTES, client, load.body);
    } else if (y->half == 0) {
        n = snprintf(out, REQUEST_BYTES_MAX,
                     "*6\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%016u\r\n$2\r\nNX\r\n$2\r\nPX\r\n"
                     "$5\r\n30000\r\n",
                     name, y->name, TOKEN_BYTES, client);
    } else {
        n = snprintf(out, REQUEST_BYTES_MAX,
                     "*5\r\n$7\r\nEVALSHA\r\n$%d\r\n%s\r\n$1\r\n1\r\n$%d\r\n%s\r\n$%d\r\n%016u\r\n",
                     SHA_BYTES, sha, name, y->name, TOKEN_BYTES, client);
    }
    if (n <= 0 || n >= REQUEST_BYTES_MAX) load_fail("a request is too long");
    return (size_t)n;
}

static void ask(unsigned client, unsigned half)
{
    struct cycle *y = &cycles[client];
    y->half = half;
    y->agreed = y->refused = 0;
    for (unsigned s = 0; s < load.server_count; s++) {
        struct connection *c = connection_of(s, client);
        c->out_bytes += write_request(c->out + c->out_bytes, client, y);
        c->queue[(c->head + c->count++) % queue_size] = (struct asked){client, half};
        y->waiting += 1;
    }
}

static void begin(unsigned client, uint64_t now_ns)
{
    struct cycle *y = &cycles[client];
    if (y->busy || !load_goes_on(&load, now_ns)) return;
    if (!load_begin(&load, client, now_ns, y->name)) return;
    y->busy = true;
    y->decided = false;
    ask(client, 0);
}

/* One server's answer to one half. */
static void answered(const struct asked *a, bool good)
{
    struct cycle *y = &cycles[a->client];
    unsigned majority = load.server_count / 2 + 1;
    uint64_t now_ns = load_now_ns();
    y->waiting -= 1;
    if (a->half == y->half && !y->decided) {
        y->agreed += good ? 1 : 0;
        y->refused += good ? 0 : 1;
        if (y->refused > load.server_count - majority) {
            y->decided = true;
            load_end(&load, a->client, now_ns, false);
        } else if (y->agreed == majority && a->half == 0) {
            load_middle(&load, a->client, now_ns);
            ask(a->client, 1);
        } else if (y->agreed == majority) {
            y->decided = true;
            load_end(&load, a->client, now_ns, true);
        }
    }
    if (!y->decided || y->waiting > 0) return;
    y->busy = false;
    begin(a->client, now_ns);
}

/* One answer at `text`: its size, or 0 if it is not whole. */
static size_t answer_size(const char *text, size_t bytes)
{
    const char *end = memchr(text, '\n', bytes);
    if (end == NULL) return 0;
    size_t size = (size_t)(end - text) + 1;
    if (text[0] != '$' || text[1] == '-') return size;
    size += strtoul(text + 1, NULL, 10) + 2;
    return size <= bytes ? size : 0;
}

static void receive(struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_bytes, INPUT_BYTES - c->in_bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) load_fail("a server closed its connection");
    c->in_bytes += (size_t)n;
    size_t at = 0;
    size_t size = 0;
    while ((size = answer_size(c->in + at, c->in_bytes - at)) > 0) {
        if (c->count == 0) load_fail("a server sent an answer too many");
        struct asked a = c->queue[c->head];
        bool good = c->in[at] == '+' || (c->in[at] == ':' && c->in[at + 1] == '1');
        c->head = (c->head + 1) % queue_size;
        c->count -= 1;
        at += size;
        answered(&a, good);
    }
    memmove(c->in, c->in + at, c->in_bytes - at);
    c->in_bytes -= at;
}

static int connect_to(const char *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strchr(server, ':');
    char host[32] = "";
    int one = 1;
    if (colon == NULL || colon - server >= (ptrdiff_t)sizeof host) load_fail("%s?", server);
    memcpy(host, server, (size_t)(colon - server));
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1) load_fail("%s?", server);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        load_fail("cannot connect to %s: %m", server);
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Every server gets the script; all give it the same name. */
static void load_script(int fd)
{
    char text[512];
    int size = snprintf(text, sizeof text, "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%zu\r\n%s\r\n",
                        sizeof script - 1, script);
    size_t got = 0;
    if (write(fd, text, (size_t)size) != size) load_fail("the script was not sent");
    while (answer_size(text, got) == 0) {
        ssize_t n = read(fd, text + got, sizeof text - got);
        if (n <= 0) load_fail("the script got no answer");
        got += (size_t)n;
    }
    if (strncmp(text, "$40\r\n", 5) != 0) load_fail("the script was refused: %.*s", (int)got, text);
    memcpy(sha, text + 5, SHA_BYTES);
}

static int open_all(void)
{
    int epoll = epoll_create1(0);
    unsigned count = load.server_count * load.connection_count;
    queue_size = 2 * (load.client_count / load.connection_count + 1);
    cycles = calloc(load.client_count, sizeof *cycles);
    connections = calloc(count, sizeof *connections);
    if (epoll < 0 || cycles == NULL || connections == NULL) load_fail("no memory");
    for (unsigned i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = c}};
        c->fd = connect_to(load.servers[i / load.connection_count]);
        c->queue = calloc(queue_size, sizeof *c->queue);
        c->out = malloc((size_t)queue_size * REQUEST_BYTES_MAX);
        if (c->queue == NULL || c->out == NULL) load_fail("no memory");
        if (i % load.connection_count == 0) load_script(c->fd);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) load_fail("epoll_ctl");
    }
    return epoll;
}

static bool any_busy(void)
{
    for (unsigned i = 0; i < load.client_count; i++) {
        if (cycles[i].busy) return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    load_start(&load, argc, argv);
    int epoll = open_all();
    unsigned count = load.server_count * load.connection_count;
    load_restart(&load);
    for (unsigned i = 0; i < load.client_count; i++) begin(i, load_now_ns());
    while (load_goes_on(&load, load_now_ns()) || any_busy()) {
        struct epoll_event events[64];
        for (unsigned i = 0; i < count; i++) {
            if (connections[i].out_bytes > 0) flush(&connections[i]);
        }
        int n = epoll_wait(epoll, events, 64, load.rate > 0 ? 1 : 100);
        for (int i = 0; i < n; i++) receive(events[i].data.ptr);
        for (unsigned i = 0; load.rate > 0 && i < load.client_count; i++) begin(i, load_now_ns());
    }
    return load_print(&load);
}
