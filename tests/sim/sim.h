/* A whole simulation: servers, clients, what connects them, what goes wrong, what is claimed. One
 * thread; everything follows from the seed. A run has two parts: in the storm faults come; in the
 * calm that follows they have stopped, and within ten seconds every client has to be served and
 * every server to stand at the same entry. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "base/buggify.h"
#include "tests/sim/checks.h"
#include "tests/sim/client.h"
#include "tests/sim/copier.h"
#include "tests/sim/events.h"
#include "tests/sim/history.h"
#include "tests/sim/ledgers.h"
#include "tests/sim/nemesis.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"
#include "tests/sim/reader.h"
#include "tests/sim/recording.h"
#include "tests/sim/swarm.h"
#include "tests/sim/trace.h"

struct sim_counts {
    uint64_t events;                   /* taken from the heap */
    uint64_t ops;                      /* calls of clients that the state machine answered */
    uint64_t reads;                    /* of readers, answered and looked at */
    uint64_t faults;                   /* that had an effect */
    uint64_t fault_kinds[FAULT_COUNT]; /* of each kind */
};

struct sim {
    uint64_t seed;                              /* of everything */
    struct swarm swarm;                         /* what the seed is like */
    struct trace trace;                         /* true time, the digest, lines */
    struct events events;                       /* what comes */
    struct network network;                     /* links */
    struct history history;                     /* what is committed */
    struct recording recording;                 /* what clients did, as a file */
    struct checks checks;                       /* what is claimed */
    struct nemesis nemesis;                     /* what goes wrong */
    struct buggify buggify;                     /* and inside of the code */
    struct sim_node nodes[SIM_NODES_MAX];       /* node_count of them */
    struct sim_client clients[SIM_CLIENTS_MAX]; /* client_count of them */
    struct sim_reader readers[SIM_READERS_MAX]; /* reader_count of them */
    struct copier copier;                       /* says again what clients said */
    struct ledgers ledgers;                     /* of banks */
    uint64_t meals[SIM_CLIENTS_MAX];            /* of philosophers */
    struct buffer read_body;                    /* what the log answers to one of them */
    bool calm;                                  /* no more faults */
    bool lmdb;                                  /* the servers' stores are the real one */
    bool idle;                                  /* as the options say: ends without a calm */
    bool over;                                  /* everything has come right */
    uint64_t calm_ns;                           /* since when */
    uint64_t nap_from_ns;                       /* all tasks rest, true time */
    uint64_t nap_until_ns;                      /* likewise; the same: they do not */
    struct sim_counts counts;                   /* for people */
};

struct sim_options {
    uint64_t seed;
    uint64_t seconds;      /* of storm */
    uint32_t node_count;   /* 0 = drawn */
    uint32_t client_count; /* 0 = drawn */
    bool idle;             /* swarm_make_idle() */
    uint32_t deaths;       /* of leaders, when idle */
    uint64_t from_ns;      /* lines only from then on */
    bool verbose;          /* lines at all */
    uint32_t philosophers; /* swarm_make_philosophers(); 0 = none */
    bool fork_by_fork;     /* likewise */
    bool transfers;        /* swarm_make_transfers() */
    bool lmdb;             /* the real store instead of the one in memory: the same digest */
    const char *history;   /* file for what clients did; NULL = none */
};

struct sim_result {
    uint64_t cluster_ms;        /* cluster time of the last leader, at the end */
    uint64_t digest;            /* over everything */
    uint64_t simulated_ns;      /* true time at the end */
    uint64_t leader_changes;    /* terms that had a leader, less the first */
    uint64_t entries;           /* committed */
    uint64_t grants;            /* of locks */
    uint64_t completions;       /* of records */
    uint64_t takeovers;         /* of attempts */
    uint64_t expiries;          /* of sessions */
    uint64_t refused_writes;    /* of late holders, by the guard */
    uint64_t meals;             /* of philosophers */
    uint64_t meals_least;       /* of one of them */
    uint64_t deadlocks;         /* that were told */
    uint64_t waited_ms_max;     /* for a lock, cluster time */
    uint64_t timer_late_ms_max; /* that one fired too late, cluster time */
    uint64_t tombstones;        /* of timers, that went after their day */
    uint64_t overlap_looks;     /* grants that were held against all others */
    uint32_t node_count;        /* servers */
    uint32_t client_count;      /* clients */
    struct sim_counts counts;
    uint64_t points[BUGGIFY_POINT_COUNT];     /* how often each said yes */
    uint64_t acts[HISTORY_ACTS];              /* of administrators */
    uint64_t timers[HISTORY_TIMER_EVENTS];    /* what came of them */
    uint64_t branches[HISTORY_BRANCH_EVENTS]; /* likewise */
    uint64_t txns[HISTORY_TXN_EVENTS];        /* likewise */
    uint64_t watches[CHECK_WATCH_EVENTS];     /* likewise */
    uint64_t told[EVENT_KIND_MAX + 1];        /* events of each kind */
    uint64_t deaths[LEDGER_DEATHS];           /* of coordinators and participants */
    uint64_t transfers;                       /* that came to their end */
    uint64_t confirmed;                       /* of them */
};

/** Run a seed to its end. Does not return if a claim fails. */
void sim_run(const struct sim_options *options, struct sim_result *result);

/** An event in `after_ns`. \param stamp  the target's, as enum event_kind says. */
void sim_push(struct sim *sim, enum event_kind kind, uint32_t target, uint64_t stamp,
              uint64_t after_ns);

/** A client comes again after a while. */
void sim_rebirth(struct sim *sim, uint32_t client, uint64_t after_ns);

/** nemesis.c: a clock's rate, as the swarm wants it. */
int64_t nemesis_draw_rate(struct sim *sim);

#endif
