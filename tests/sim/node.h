/* One server in a simulation: the production replica and door over a simulated disk and a store
 * (tests/sim/sim_store.h), and the shell around them, which is server/loop.c's in virtual time. A
 * pass reads what has arrived, takes back what the log's and the store's jobs have done, ends the
 * pass, hands out new jobs, and sends. Jobs take virtual time, and run when it has passed; a save
 * of the vote, which blocks the loop, makes the pass longer. */
#ifndef TESTS_SIM_NODE_H
#define TESTS_SIM_NODE_H

#include "server/door.h"
#include "server/replica_parts.h"
#include "server/stopping.h"
#include "tests/sim/clock.h"
#include "tests/sim/disk.h"
#include "tests/sim/network.h"
#include "tests/sim/swarm.h"

struct sim;

enum node_state {
    NODE_DOWN, /* no process; will be started again */
    NODE_UP,   /* a process, perhaps paused */
    NODE_OUT,  /* its files are damaged: it refuses to start, as it should */
};

enum node_end { END_KILLED, END_POWER, END_FAULT, END_STOPPED };

/* What cluster time a leader may count, as far as the simulation saw it (checks_time.c). Its own
 * clock's milliseconds, but for most_ms. */
struct node_time {
    uint64_t term;            /* that it leads; 0 = it does not */
    uint64_t most_ms;         /* cluster time as of its last pass, at most */
    uint64_t pass_ms;         /* when that was */
    uint64_t frozen_until_ms; /* the end of a grace */
    bool deadline;            /* one was stored then */
};

/* The read confirmation of a leader that was seen last (checks_rounds.c). */
struct node_round {
    uint64_t number;               /* its own; 0 = none */
    uint64_t term;                 /* of the leader when it began */
    uint64_t terms[SIM_NODES_MAX]; /* the durable ones of all servers then */
    uint64_t reads;                /* that waited for it or an earlier one, at the last pass */
    bool confirmed;                /* it was seen to be */
};

/* What was seen of a server, for claims about what never goes back. */
struct node_seen {
    uint64_t term;         /* as durable, over all its lives */
    uint64_t voted_for;    /* in that term */
    uint64_t durable;      /* greatest end of its synced log, over all its lives */
    uint64_t held;         /* greatest that was synced there and known to be committed, likewise */
    uint64_t applied;      /* of this life */
    uint64_t commit;       /* likewise */
    uint64_t time_ms;      /* likewise: cluster time */
    uint64_t lead_term;    /* it was seen to lead in this term */
    uint64_t stalls;       /* replica_counts' */
    uint64_t entry_ops;    /* likewise */
    uint64_t refused;      /* likewise */
    uint64_t vote_syncs;   /* of the disk, at the end of the last pass */
    struct node_time time; /* cluster time's, of this life */
    struct node_round round; /* likewise */
};

struct sim_node {
    struct sim *sim;         /* borrowed */
    uint32_t index;          /* and its host; its id is one more */
    enum node_state state;   /* see above */
    struct sim_disk disk;    /* log and vote file */
    struct store *store;     /* outlives the process as its file would */
    struct door door;        /* of this life */
    struct replica *replica; /* of this life; NULL = none */
    struct sim_clock clock;  /* the machine's */
    struct prng random;      /* latencies */
    uint64_t life;           /* counts starts: stamps events */
    uint64_t wake_ns;        /* a pass is due then; UINT64_MAX: none is */
    uint64_t wake_stamp;     /* of that event */
    uint64_t busy_ns;        /* the loop is held up until then */
    uint64_t held_ns;        /* it was paused until then */
    uint64_t hurt_ns;        /* a fault holds it up until then, or did */
    bool pause_in_round;     /* to be held once a read confirmation is under way */
    bool paused;             /* held: nothing runs but what the kernel does */
    struct stopping stop;    /* begun: it was told to end in order */
    uint32_t last_flushes;   /* done since that said goodbye */
    struct wal_job *jobs[2]; /* handed out, by lane */
    bool job_ran[2];         /* and done */
    bool flushing;           /* likewise: the store's */
    bool flush_ran;          /* and done */
    int flush_status;        /* with this */
    uint64_t slow_ns;        /* its disk is slow until then */
    struct list connections; /* of struct node_connection */
    uint64_t recorded_index; /* of the entry since which the log knows its incarnation; 0: none */
    bool anew;               /* its directory was made anew: nobody takes it for a member */
    bool damaged;            /* its files were changed by a fault: it may refuse to start */
    bool disk_failed;        /* a write or sync was made to fail: the process may end with 74 */
    uint64_t full_bytes_max; /* the disk's size while it is not made small */
    struct node_seen seen;   /* for the checks */
    char address[32];        /* of its clients' port */
    char peer_address[32];   /* of the other servers' port */
};

enum link_kind { LINK_CLIENT, LINK_PEER_IN, LINK_PEER_OUT };

/* A socket: a client's, another server's, or one that was dialled to another server. */
struct node_connection {
    struct list link;            /* in the node's */
    struct stream *stream;       /* borrowed from the network */
    unsigned end;                /* which of its ends */
    enum link_kind kind;         /* which of the next are used */
    bool connected;              /* PEER_OUT: the links were told */
    bool was_full;               /* something waits for room */
    struct door_connection door; /* CLIENT */
    struct peer_in in;           /* PEER_IN */
    struct peer_out *out;        /* PEER_OUT, borrowed */
    uint64_t epoch;              /* likewise: of the link when it was dialled */
};

/** Make a server with an empty directory of the cluster. */
void node_init(struct sim_node *n, struct sim *sim, uint32_t index);

/** It is down; its directory is lost, and another one made under its number. */
void node_make_anew(struct sim_node *n);

/** Free it, running or not. */
void node_close(struct sim_node *n);

/** Start a process. */
void node_start(struct sim_node *n);

/** The process ends. */
void node_die(struct sim_node *n, enum node_end how);

/** Tell it to end in order, as SIGTERM does; twice is once. */
void node_stop(struct sim_node *n);

/** Hold it, or let it go on. */
void node_pause(struct sim_node *n, bool paused);

/** A pass is due at `at_ns` at the latest. */
void node_wake(struct sim_node *n, uint64_t at_ns);

/** Its events. */
void node_event(struct sim_node *n, const struct event *event);
void node_job_event(struct sim_node *n, unsigned lane, uint64_t stamp);
void node_flush_event(struct sim_node *n, uint64_t stamp);

/** The time as it knows it. */
struct replica_now node_now(const struct sim_node *n);

/* node_links.c: sockets. */

/** Read what has arrived. \retval faults of the replica. */
int node_read_links(struct sim_node *n);

/** Send what there is, dial, close what is to be closed. */
void node_write_links(struct sim_node *n);

/** The process is gone: forget all connections. */
void node_drop_links(struct sim_node *n);

#endif
