/* What a seed is like: which faults and which operations are on (about half of them), how often,
 * how many servers, which limits. All of it follows from the seed, and is drawn before anything
 * happens ("swarm testing", Groce and others, 2012: a run without some kinds of events finds what
 * a run with all of them never reaches). */
#ifndef TESTS_SIM_SWARM_H
#define TESTS_SIM_SWARM_H

#include <stdbool.h>
#include <stdint.h>

#include "server/replica.h"
#include "tests/sim/network.h"

enum {
    SIM_NODES_MAX = 7,
    SIM_CLIENTS_MAX = 16,
    SIM_READERS_MAX = 3,
    SIM_TASKS_MAX = 4, /* of one client */
    SIM_LOCKS_MAX = 16,
    SIM_RECORDS_MAX = 64,
    SIM_TIMERS_MAX = 32,
    SIM_GROUPS_MAX = 3,
};

enum fault_kind {
    FAULT_KILL,         /* a server's process dies; what it wrote stays in the machine */
    FAULT_POWER,        /* so does its machine: what it did not sync may be gone */
    FAULT_PAUSE,        /* a server is stopped for a while */
    FAULT_STALL,        /* a server's loop does not turn for a moment */
    FAULT_CLIENT_PAUSE, /* a client is stopped, sometimes past its lease */
    FAULT_CLIENT_DEATH, /* a client is killed, and another one comes in its place */
    FAULT_PARTITION,    /* hosts do not reach each other, in one of many shapes */
    FAULT_RESET,        /* a connection breaks */
    FAULT_CLOG,         /* what a host sends is late */
    FAULT_SLOW_DISK,    /* a server's syncs take long */
    FAULT_DISK_ERROR,   /* one of its writes or syncs fails */
    FAULT_DISK_FULL,    /* its disk has no space for a while */
    FAULT_ROT,          /* a bit of its files changes: a minority of servers at most */
    FAULT_RATE,         /* a clock's rate changes */
    FAULT_WALL,         /* a wall clock is set */
    FAULT_LEADER,       /* the leader's process dies */
    FAULT_STOP,         /* a server is told to end in order, or all are */
    FAULT_FORGET,       /* its disk has lost a synced write when the power is back: likewise */
    FAULT_ASTRAY,       /* or has made it in the wrong place */
    FAULT_FLAP,         /* a link fails and comes back, many times a second or two */
    FAULT_COPY,         /* clients' requests come a second time, late, from somewhere else */
    FAULT_LAG,          /* what servers send reaches only just a majority in time */
    FAULT_ANEW,         /* a server's directory is lost, and made anew under its number */
    FAULT_COUNT,        /* how many there are */
};

/** A kind's name, for people. */
const char *fault_name(enum fault_kind kind);

/* What a client's task does from its beginning to its end. */
enum script_kind {
    SCRIPT_EXCLUSIVE, /* acquire, write to what the lock guards, release */
    SCRIPT_SHARED,    /* acquire SHARED, release */
    SCRIPT_AGAIN,     /* acquire EXCLUSIVE, again by the same owner, release both */
    SCRIPT_CANCEL,    /* wait for a lock shortly, with the outcome to be asked for */
    SCRIPT_LEAVE,     /* acquire and forget it: the lease ends it */
    SCRIPT_RECORD,    /* begin, checkpoints, complete; or leave the attempt in some state */
    SCRIPT_RESOLVE,   /* decide an UNKNOWN record */
    SCRIPT_READ,      /* CHECK of a grant that was seen, RECORD_GET */
    SCRIPT_LIST,      /* pages of locks, sessions, records; INFO */
    SCRIPT_CLOSE,     /* close the session in order, begin another */
    SCRIPT_DINE,      /* one of the philosophers: swarm_make_philosophers() */
    SCRIPT_CAP,       /* an administrator sets one of the caps, below swarm.caps_most */
    SCRIPT_ADMIN,     /* another one does what swarm.admin_acts says */
    SCRIPT_TIMER,     /* set or cancel a timer, poll and acknowledge, requeue */
    SCRIPT_BRANCH,    /* move money from bank to bank by TCC */
    SCRIPT_TXN,       /* end a record, set timers, begin another record, as one */
    SCRIPT_WATCH,     /* watch what happens, from where it was left; switch prefixes */
    SCRIPT_COUNT,     /* how many there are */
};

/* What an administrator does. */
enum admin_act {
    ADMIN_FREEZE, /* and thaw */
    ADMIN_FORCE,
    ADMIN_REVOKE, /* then force, or alarm */
    ADMIN_SET,    /* what the log alone decides by */
    ADMIN_COUNT,  /* how many there are */
};

struct swarm {
    uint32_t node_count;     /* 1, 3, 5 or 7 */
    uint32_t voter_count;    /* the first so many of them; the others are stand-bys */
    uint32_t client_count;   /* 2.. */
    uint32_t task_count;     /* of each client */
    uint32_t reader_count;   /* 0..SIM_READERS_MAX, beside the clients */
    uint64_t read_gap_ns;    /* between two reads of a reader, on average */
    uint32_t lock_count;     /* names that are used: few make contention */
    uint32_t record_count;   /* keys likewise */
    uint32_t permits_limit;  /* of every second lock: PERMITS; 0 = of none */
    bool several_names;      /* some ask for more than one lock at once, or change modes */
    bool operator_acts;      /* REOPEN and ERASE beside RESOLVE */
    uint32_t admin_acts;     /* 1 << enum admin_act, or-ed; 0 = none */
    uint32_t caps_most;      /* on what a principal has: up to so much; 0 = as they are */
    uint32_t timer_count;    /* keys that are used; 0 = no timers */
    uint32_t group_count;    /* of their consumers; no more than there are clients */
    uint64_t timer_ms;       /* a timer is set for so long at most */
    uint32_t transfer_count; /* under way at once, at most; 0 = no transfers */
    uint64_t watch_ms;       /* a WATCH waits so long at most; 0 = nobody watches */
    uint64_t watch_sleep_ns; /* between two WATCHes now and then, below this */
    bool fork_by_fork;       /* philosophers do not take both forks at once */
    uint64_t nap_ns;         /* all tasks rest for so long in the middle; 0 = do not */
    uint32_t script_weight[SCRIPT_COUNT]; /* 0 = off */
    uint64_t fault_mean_ns[FAULT_COUNT];  /* between two of a kind, about; 0 = off */
    uint64_t think_ns;                    /* between two scripts of a task, below this */
    uint64_t hold_ns;                     /* a grant is held, below this */
    uint64_t wait_ms;                     /* an acquire waits, below this */
    uint32_t body_bytes;                  /* of results, below this */
    uint64_t ttl_ms_min;                  /* clients' leases */
    uint64_t ttl_ms_max;                  /* likewise */
    bool rates_right;                     /* within 0.4 %: then leases are promised (P3) */
    int64_t rate_ppm_max;                 /* clocks run so far apart, either way */
    uint64_t loop_ns;                     /* from an event to the pass that sees it, below this */
    uint64_t sync_ns;                     /* a sync takes so long at least */
    uint64_t sync_jitter_ns;              /* and so much more, below this */
    uint64_t audit_ns;                    /* between two looks at the whole state */
    uint32_t segment_bytes;               /* of the log */
    struct replica_limits limits;         /* of every server */
    struct network_ways ways;             /* but for the delays */
    uint64_t delay_ns_max;                /* of a link, least one way */
    uint64_t buggify_mask;                /* points that are on */
};

/** Draw. \param node_count, client_count  0 = drawn, too. */
void swarm_draw(struct swarm *w, uint64_t seed, uint32_t node_count, uint32_t client_count);

/** Make it an idle cluster of three instead: right clocks, one client that asks for something about
 * every ten minutes, of timers that are due in some hours, and nothing goes wrong but that the
 * leader dies, so many times in `seconds`.
 */
void swarm_make_idle(struct swarm *w, uint64_t seconds, uint32_t leader_deaths);

/* A philosopher that took both forks at once lays them down after so long at the latest. */
enum { DINE_HOLD_MS = 2000 };

/** Make all clients philosophers, with as many locks for forks, under the faults that are drawn.
 * \param fork_by_fork  they take one after the other: then there are deadlocks. */
void swarm_make_philosophers(struct swarm *w, uint32_t count, bool fork_by_fork);

/** Let all clients do nothing but transfers, under the faults that are drawn. */
void swarm_make_transfers(struct swarm *w);

/** Is this lock asked for in permits? */
bool swarm_has_permits(const struct swarm *w, uint32_t lock);

/** May this record be reopened? */
bool swarm_may_reopen(const struct swarm *w, uint32_t record);

/** A seed for one purpose of a run, so that what one part draws moves no other's draws. */
uint64_t swarm_seed(uint64_t seed, uint32_t purpose, uint32_t index);

enum swarm_purpose {
    PURPOSE_SWARM = 1,
    PURPOSE_NETWORK,
    PURPOSE_FAULTS,
    PURPOSE_NODE,
    PURPOSE_DISK,
    PURPOSE_REPLICA,
    PURPOSE_CLIENT,
    PURPOSE_SECRETS,
    PURPOSE_CLOCKS,
    PURPOSE_BUGGIFY,
    PURPOSE_READERS,
    PURPOSE_READER,
    PURPOSE_LATER_FAULTS,
    PURPOSE_COPIER,
    PURPOSE_VOTERS,
    PURPOSE_WISHES,
    PURPOSE_RETENTION,
    PURPOSE_CAPS,
    PURPOSE_ADMIN,
    PURPOSE_TIMERS,
    PURPOSE_TRANSFERS,
    PURPOSE_TXNS,
    PURPOSE_WATCHES,
};

#endif
