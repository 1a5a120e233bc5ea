/* The load generator for ZooKeeper, with its own C client, the one without threads (256 sessions
 * would be 512 of them): one epoll-like loop over all handles, asked by poll().
 *
 * A lock is ZooKeeper's recipe: create an ephemeral sequential node below the lock's, list the
 * children, hold it if ours is first; release is delete. Each client has a lock of its own, made
 * beforehand. The clients' sessions go to the servers in turn. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <zookeeper/zookeeper.h>

#include "tests/bench/rivals/load.h"

enum { SESSION_MS = 10000, CONNECT_S = 30, ERROR_PAUSE_MS = 10 };

struct client {
    zhandle_t *handle; /* owned */
    unsigned number;   /* 0, 1, ... */
    bool ready;        /* its lock's node is there */
    bool asked;        /* for that node */
    bool busy;         /* a cycle is under way */
    uint64_t rest_ns;  /* after an error: until when it rests */
    char parent[64];   /* the lock's node */
    char node[160];    /* ours below it */
};

static struct load load;
static struct client *clients;
static unsigned ready_count;

static void end(struct client *c, bool ok)
{
    uint64_t now_ns = load_now_ns();
    load_end(&load, c->number, now_ns, ok);
    c->busy = false;
    if (!ok) c->rest_ns = now_ns + ERROR_PAUSE_MS * 1000000UL;
}

static void on_delete(int rc, const void *data)
{
    end((struct client *)data, rc == ZOK);
}

static void on_children(int rc, const struct String_vector *names, const void *data)
{
    struct client *c = (struct client *)data;
    const char *own = strrchr(c->node, '/');
    bool first = rc == ZOK && own != NULL;
    for (int i = 0; first && i < names->count; i++) first = strcmp(own + 1, names->data[i]) <= 0;
    if (first) load_middle(&load, c->number, load_now_ns());
    if (!first || zoo_adelete(c->handle, c->node, -1, on_delete, c) != ZOK) end(c, false);
}

static void on_create(int rc, const char *name, const void *data)
{
    struct client *c = (struct client *)data;
    if (rc == ZOK) (void)snprintf(c->node, sizeof c->node, "%s", name);
    if (rc != ZOK || zoo_aget_children(c->handle, c->parent, 0, on_children, c) != ZOK) {
        end(c, false);
    }
}

static void begin(struct client *c, uint64_t now_ns)
{
    char name[64];
    char path[128];
    if (c->busy || now_ns < c->rest_ns || !load_goes_on(&load, now_ns)) return;
    if (!load_begin(&load, c->number, now_ns, name)) return;
    c->busy = true;
    (void)snprintf(path, sizeof path, "%s/l-", c->parent);
    if (zoo_acreate(c->handle, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL | ZOO_SEQUENCE,
                    on_create, c) != ZOK) {
        end(c, false);
    }
}

static void on_parent(int rc, const char *name, const void *data)
{
    struct client *c = (struct client *)data;
    (void)name;
    c->asked = false;
    if (rc != ZOK && rc != ZNODEEXISTS) return; /* asked again */
    c->ready = true;
    ready_count += 1;
}

static void prepare(struct client *c)
{
    if (c->ready || c->asked || zoo_state(c->handle) != ZOO_CONNECTED_STATE) return;
    c->asked =
        zoo_acreate(c->handle, c->parent, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, on_parent, c) == ZOK;
}

/* One turn of the loop: what each handle waits for, and no longer than any of them wants. */
static void turn(struct pollfd *fds, int wait_ms)
{
    for (unsigned i = 0; i < load.client_count; i++) {
        struct timeval wants = {0};
        int interest = 0;
        fds[i] = (struct pollfd){.fd = -1};
        (void)zookeeper_interest(clients[i].handle, &fds[i].fd, &interest, &wants);
        if ((interest & ZOOKEEPER_READ) != 0) fds[i].events |= POLLIN;
        if ((interest & ZOOKEEPER_WRITE) != 0) fds[i].events |= POLLOUT;
        int wants_ms = (int)(wants.tv_sec * 1000 + wants.tv_usec / 1000);
        if (wants_ms < wait_ms) wait_ms = wants_ms;
    }
    (void)poll(fds, load.client_count, wait_ms);
    for (unsigned i = 0; i < load.client_count; i++) {
        int events = (fds[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0 ? ZOOKEEPER_READ : 0;
        if ((fds[i].revents & POLLOUT) != 0) events |= ZOOKEEPER_WRITE;
        if (events != 0) (void)zookeeper_process(clients[i].handle, events);
    }
}

static void open_all(struct pollfd *fds)
{
    uint64_t until_ns = load_now_ns() + CONNECT_S * 1000000000UL;
    for (unsigned i = 0; i < load.client_count; i++) {
        struct client *c = &clients[i];
        c->number = i;
        (void)snprintf(c->parent, sizeof c->parent, "/bench-%016llx-%u",
                       (unsigned long long)load.run_id, i);
        char servers[256] = "";
        for (unsigned s = 0; s < load.server_count; s++) {
            size_t used = strlen(servers);
            (void)snprintf(servers + used, sizeof servers - used, "%s%s", s > 0 ? "," : "",
                           load.servers[s]);
        }
        c->handle = zookeeper_init(servers, NULL, SESSION_MS, NULL, NULL, 0);
        if (c->handle == NULL) load_fail("no session");
    }
    while (ready_count < load.client_count) {
        turn(fds, 10);
        for (unsigned i = 0; i < load.client_count; i++) prepare(&clients[i]);
        if (load_now_ns() > until_ns) load_fail("only %u clients connected", ready_count);
    }
}

static bool any_busy(void)
{
    for (unsigned i = 0; i < load.client_count; i++) {
        if (clients[i].busy) return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    load_start(&load, argc, argv);
    if (load.record) load_fail("only locks are measured here");
    zoo_set_debug_level((ZooLogLevel)0);
    clients = calloc(load.client_count, sizeof *clients);
    struct pollfd *fds = calloc(load.client_count, sizeof *fds);
    if (clients == NULL || fds == NULL) load_fail("no memory");
    open_all(fds);
    load_restart(&load);
    while (load_goes_on(&load, load_now_ns()) || any_busy()) {
        for (unsigned i = 0; i < load.client_count; i++) begin(&clients[i], load_now_ns());
        turn(fds, load.rate > 0 ? 1 : 10);
        if (load_now_ns() > load.stop_ns + 15000000000UL) break; /* a session that is lost */
    }
    return load_print(&load);
}
