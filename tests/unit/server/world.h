/* One replica and its door over a disk and a store in memory, in virtual time: the shell of the
 * tests. Nothing happens by itself; a test lets the log's jobs run, a flush run, time pass. Clients
 * are connections of the door and speak in frames. */
#ifndef TESTS_UNIT_SERVER_WORLD_H
#define TESTS_UNIT_SERVER_WORLD_H

#include <stdbool.h>

#include "protocol/frame.h"
#include "server/door.h"
#include "server/replica_parts.h"
#include "tests/sim/disk.h"

struct world {
    struct sim_disk disk;         /* log and vote file */
    struct store *store;          /* in memory */
    struct door door;             /* the clients' side */
    struct replica *replica;      /* what is tested; NULL = stopped */
    struct replica_limits limits; /* of the next start */
    struct replica_now now;       /* virtual time */
    uint32_t segment_bytes;       /* of the log */
    struct wal_job *untold;       /* has run, and was not given back; NULL = none */
};

/* A client: its connection and the replies that it has got. */
struct client {
    struct world *world;
    struct door_connection connection;
    uint64_t request_id; /* of the last request */
    uint64_t session;    /* used in envelopes; 0 = none */
    uint64_t seq;        /* of the last numbered request */
    uint8_t number;      /* tells its session's secret from others'; set after connecting */
};

struct got {
    int status;
    uint8_t flags;
    uint64_t request_id;
    struct slice body;
};

/* cmocka's: a world whose replica is open and ready, and its end. */
int world_setup(void **state);
int world_teardown(void **state);

/* The same by hand. */
void world_open(struct world *w, uint64_t seed, uint32_t segment_bytes);
void world_close(struct world *w);

/* Open the replica. \return its status; *why says the reason. */
int world_start(struct world *w, struct refusal *why);

/* The process dies: everything in memory is gone, also unsynced bytes of the log. */
void world_crash(struct world *w);

/* Let time pass without a pass of the loop. */
void world_sleep(struct world *w, uint64_t ms);

/* End a pass now. */
void world_pass(struct world *w);

/* Run all of the log's jobs and tell the replica. \return how many ran. */
unsigned world_run_log(struct world *w);

/* Write the log's next group, and leave the replica in the dark about it. */
void world_write_untold(struct world *w);

/* Run a flush that is wanted. \return false: none was. */
bool world_run_flush(struct world *w);

/* Pass, log, pass, log ... until nothing moves. */
void world_settle(struct world *w);

/* Wake exactly when the replica wants to, settling, until `ms` have passed. */
void world_run(struct world *w, uint64_t ms);

/* Connect, and say HELLO. */
void client_connect(struct client *c, struct world *w);
void client_connect_silently(struct client *c, struct world *w);
void client_close(struct client *c);

/* Send a request; numbered ops get the next seq unless `seq` is given. \return its request id. */
uint64_t client_send(struct client *c, uint16_t op, const void *request, uint64_t seq);

/* Bytes as they are. */
void client_send_bytes(struct client *c, const void *bytes, size_t size);

/* The next reply that has arrived, taken out. \return false: none has. */
bool client_take(struct client *c, struct got *got);

/* Requests that tests send all the time. */
uint64_t client_open(struct client *c, uint64_t ttl_ms);
uint64_t client_keep(struct client *c);
uint64_t client_acquire(struct client *c, uint64_t wait_ms, uint64_t seq);
uint64_t client_release(struct client *c);
uint64_t client_check(struct client *c);

/* Open a session and take the answer. */
void client_begin_session(struct client *c, uint64_t ttl_ms);

#endif
