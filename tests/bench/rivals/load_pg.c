/* The load generator for PostgreSQL: libpq without waiting, one thread, one epoll, a connection a
 * client. A record is two prepared statements, each its own transaction: INSERT of key and
 * fingerprint (the key is primary: a second one is told so), UPDATE with state and body. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "tests/bench/rivals/load.h"

struct client {
    PGconn *connection; /* owned */
    unsigned number;    /* 0, 1, ... */
    unsigned half;      /* under way */
    bool busy;          /* a cycle is under way */
    bool good;          /* its half has succeeded so far */
    char key[64];       /* of its record */
};

static struct load load;
static struct client *clients;
static const char fingerprint[] = "ffffffffffffffffffffffffffffffff";

static void send_half(struct client *c)
{
    const char *values[2] = {c->key, c->half == 0 ? fingerprint : load.body};
    c->good = true;
    if (PQsendQueryPrepared(c->connection, c->half == 0 ? "b" : "c", 2, values, NULL, NULL, 0) !=
            1 ||
        PQflush(c->connection) != 0) {
        load_fail("a statement was not sent: %s", PQerrorMessage(c->connection));
    }
}

static void begin(struct client *c, uint64_t now_ns)
{
    if (c->busy || !load_goes_on(&load, now_ns)) return;
    if (!load_begin(&load, c->number, now_ns, c->key)) return;
    c->busy = true;
    c->half = 0;
    send_half(c);
}

/* A statement's whole answer has come. */
static void half_over(struct client *c)
{
    uint64_t now_ns = load_now_ns();
    if (c->half == 0) load_middle(&load, c->number, now_ns);
    if (c->half == 0 && c->good) {
        c->half = 1;
        send_half(c);
        return;
    }
    load_end(&load, c->number, now_ns, c->good);
    c->busy = false;
    begin(c, now_ns);
}

static void receive(struct client *c)
{
    if (PQconsumeInput(c->connection) != 1) load_fail("%s", PQerrorMessage(c->connection));
    while (c->busy && PQisBusy(c->connection) == 0) {
        PGresult *result = PQgetResult(c->connection);
        if (result == NULL) {
            half_over(c);
            return; /* nothing of the next statement can be here yet */
        }
        c->good = c->good && PQresultStatus(result) == PGRES_COMMAND_OK &&
                  strcmp(PQcmdTuples(result), "1") == 0;
        PQclear(result);
    }
}

static void do_now(PGconn *connection, PGresult *result)
{
    if (PQresultStatus(result) != PGRES_COMMAND_OK) load_fail("%s", PQerrorMessage(connection));
    PQclear(result);
}

static PGconn *connect_one(void)
{
    char where[128];
    const char *colon = strchr(load.servers[0], ':');
    if (colon == NULL) load_fail("%s is no host:port", load.servers[0]);
    (void)snprintf(where, sizeof where, "host=127.0.0.1 port=%s user=postgres dbname=postgres",
                   colon + 1);
    PGconn *connection = PQconnectdb(where);
    if (PQstatus(connection) != CONNECTION_OK) load_fail("%s", PQerrorMessage(connection));
    return connection;
}

static void open_one(int epoll, struct client *c)
{
    c->connection = connect_one();
    do_now(c->connection, PQprepare(c->connection, "b",
                                    "INSERT INTO record (key, fingerprint, state) "
                                    "VALUES ($1, $2, 'started')",
                                    2, NULL));
    do_now(c->connection,
           PQprepare(c->connection, "c",
                     "UPDATE record SET state = 'done', body = $2 WHERE key = $1", 2, NULL));
    if (PQsetnonblocking(c->connection, 1) != 0) load_fail("no connection without waiting");
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = c}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, PQsocket(c->connection), &event) != 0) {
        load_fail("epoll_ctl");
    }
}

static bool any_busy(void)
{
    for (unsigned i = 0; i < load.client_count; i++) {
        if (clients[i].busy) return true;
    }
    return false;
}

/* Completed records, 10,000 a statement. */
static int fill(void)
{
    PGconn *connection = connect_one();
    for (uint64_t at = 0; at < load.fill; at += 10000) {
        char text[512];
        uint64_t end = at + 10000 < load.fill ? at + 10000 : load.fill;
        (void)snprintf(text, sizeof text,
                       "INSERT INTO record SELECT 'bench/fill/' || lpad(i::text, 20, '0'), '%s', "
                       "'done', '%s' FROM generate_series(%llu, %llu) i",
                       fingerprint, load.body, (unsigned long long)at, (unsigned long long)end - 1);
        do_now(connection, PQexec(connection, text));
    }
    PQfinish(connection);
    return 0;
}

int main(int argc, char **argv)
{
    load_start(&load, argc, argv);
    if (load.fill > 0) return fill();
    if (!load.record) load_fail("only records are measured here");
    int epoll = epoll_create1(0);
    clients = calloc(load.client_count, sizeof *clients);
    if (clients == NULL || epoll < 0) load_fail("no memory");
    for (unsigned i = 0; i < load.client_count; i++) {
        clients[i].number = i;
        open_one(epoll, &clients[i]);
    }
    load_restart(&load);
    while (load_goes_on(&load, load_now_ns()) || any_busy()) {
        struct epoll_event events[64];
        for (unsigned i = 0; i < load.client_count; i++) begin(&clients[i], load_now_ns());
        int n = epoll_wait(epoll, events, 64, load.rate > 0 ? 1 : 100);
        for (int i = 0; i < n; i++) receive(events[i].data.ptr);
    }
    return load_print(&load);
}
