/* Claims that are looked at as a run goes on; docs/contract.md calls the first ones P1 to P3.
 *   servers   one leader a term, which has all that was committed before; terms, votes, commit
 *             indexes and cluster time never go back; a vote never changes; the store never stands
 *             ahead of the log; what is applied, and the state that follows, is history's; a
 *             leader's cluster time is late, never early; a start brings back what was held
 *   rounds    a leader takes itself for confirmed only by a majority of voters that were in no
 *             later term when the round began, and only for reads that were there by then
 *   memory    every queue of a server is within its bound, and what it counts is there
 *   clients   what one was told is what was committed; tokens rise in the order of real time; no
 *             late holder's write follows a newer one's; no two valid grants of a lock exclude
 *             each other, and no valid one's session has ended, where clocks are right; no read is
 *             older than what was answered before it was asked
 *   timers    no version is given out after its ACK or CANCEL was answered, none is both, none
 *             before its time by the fastest clock, and none that nobody has set
 *   watchers  what one is shown is what the log has told, each event once and none left out; a
 *             gap only of what is not kept any more, and none kept quiet; no answer is older than
 *             what was told, anywhere, before it was asked for
 *   banks     see tests/sim/ledgers.h
 *   progress  a dead client's session ends, and a living one's does not, where the cluster is well
 *             (P4); a majority that is up and connected has a leader
 * The first that fails ends the run. */
#ifndef TESTS_SIM_CHECKS_H
#define TESTS_SIM_CHECKS_H

#include "server/stopping.h"
#include "tests/sim/history.h"

struct sim;
struct sim_client;
struct sim_node;
struct sim_task;
struct call;

/* A lock as its users see it, and the register that it guards. */
struct check_lock {
    uint64_t returned_token; /* greatest that a client was told */
    uint64_t held_token;     /* last EXCLUSIVE one that a client was told */
    uint64_t released_token; /* greatest EXCLUSIVE one whose release was answered */
    uint64_t guard_token;    /* greatest that has claimed the register */
    uint64_t guard_value;    /* the register */
    uint64_t written_count;  /* writes that it took */
};

struct check_record {
    uint64_t done_token; /* of an attempt whose DONE or FAILED was answered */
    uint64_t done_ns;    /* when, true time */
};

/* A version of a timer, as its users were told of it. */
struct check_version {
    uint64_t earliest_ns; /* it may be given out from then on: true time, by the fastest clock */
    uint64_t over_ns;     /* its ACK, or a CANCEL of it, was answered; 0 = neither was */
    bool set;             /* a SET of it was answered: it stands, or did */
    bool fired;           /* somebody was given it, or told that it has fired */
    bool cancelled;       /* by a CANCEL that can have been of no other one */
};

struct check_timer {
    struct check_version *versions; /* owned; by number, 0 is none */
    uint64_t version_last;          /* the highest that was ever asked for */
    uint64_t version_places;        /* allocated */
};

/* What came of a WATCH. */
enum check_watch_event {
    WATCH_EVENT_NOW,    /* told where now is */
    WATCH_EVENT_SHOWN,  /* events */
    WATCH_EVENT_FULL,   /* as many as the answer may hold */
    WATCH_EVENT_MARK,   /* told that nothing else has happened */
    WATCH_EVENT_GAP,    /* what it asked for is not kept any more */
    CHECK_WATCH_EVENTS, /* how many there are */
};

enum { CHECK_WATCH_PREFIX_BYTES = 16 };

/* Somebody who watches: a task of a client, whatever becomes of that, for the place is kept. */
struct check_watch {
    char prefix[CHECK_WATCH_PREFIX_BYTES]; /* of the names that it wants */
    uint64_t kinds;                        /* 1 << enum event_type, or-ed; 0 = all */
    uint64_t next;                         /* its place; 0 = it asks where now is */
    uint64_t at_ms;                        /* cluster time that it was told last */
    uint64_t count_max;                    /* of the WATCH under way: events in its answer */
    uint64_t floor_next;                   /* the next event's number when it was asked, */
    uint64_t floor_first;                  /* the oldest one's, */
    uint64_t floor_ms;                     /* and cluster time */
};

struct check_term {
    uint64_t told_ms; /* cluster time that its leader came to: what its pings may have told */
    uint32_t leader;  /* node + 1; 0 = none was seen */
};

enum { CHECK_DEAD_MAX = 64 };

/* A session whose client has died. */
struct check_dead {
    uint64_t session;
    uint64_t lease_ns; /* of true time, with some slack */
    uint64_t until_ns; /* over when the cluster has been well for so long in all */
};

/* See checks_progress.c. */
struct checks_progress {
    uint64_t looked_ns;                        /* the last look, true time */
    uint64_t term;                             /* of the leader that was seen last */
    uint64_t time_ms;                          /* cluster time that it came to */
    uint64_t well_ns;                          /* the cluster counts as well from then on */
    uint64_t healthy_ns;                       /* it was, in all */
    uint64_t client_since_ns[SIM_CLIENTS_MAX]; /* so has its client been; UINT64_MAX: it is not */
    uint32_t majority;                         /* servers that are up and connected, a bit each */
    uint64_t majority_ns;                      /* since when, and nobody leads */
    struct check_dead dead[CHECK_DEAD_MAX];    /* those that were not over yet */
    uint32_t dead_count;                       /* of them; more are not looked at */
};

struct checks {
    struct checks_progress progress;
    struct check_term *terms; /* owned, by term */
    uint64_t term_places;     /* allocated */
    uint64_t leader_count;    /* terms that had one */
    uint64_t refused_count;   /* writes that the guard refused: late holders' */
    uint64_t overlap_looks;   /* grants that were held against all others */
    struct check_lock locks[SIM_LOCKS_MAX + SIM_CLIENTS_MAX];
    struct check_record records[SIM_RECORDS_MAX];
    struct check_timer timers[SIM_TIMERS_MAX];
    struct check_watch watches[SIM_CLIENTS_MAX][SIM_TASKS_MAX + 1];
    uint64_t watch_counts[CHECK_WATCH_EVENTS]; /* for people */
};

/** Free. */
void checks_close(struct checks *k);

/** A server has begun a life; a server has ended a pass. */
void checks_node_started(struct sim_node *n);
void checks_node(struct sim_node *n);

/** checks_memory.c: what it keeps is within its bounds. */
void checks_memory(const struct sim_node *n);

/** checks_rounds.c: what it takes its leadership for confirmed by does confirm it. */
void checks_rounds(struct sim_node *n);

/** A server's orderly stop is over, or its time is. */
void checks_node_stopped(const struct sim_node *n, enum stopping_state how);

/* checks_progress.c: a look at the whole; a client is killed; a living one's session expired. */
void checks_progress(struct sim *sim);
void checks_client_died(struct sim_client *c);
void checks_session_asked(void *sim, uint64_t session);
void checks_session_lost(const struct sim_client *c);

/* checks_time.c: a server has ended a pass; a term's place, made if it is new. */
void checks_time(struct sim_node *n);
struct check_term *checks_term(struct checks *k, uint64_t term);

/** All servers that run stand at the same entry, with the same state. */
bool checks_converged(const struct sim *sim);

/** A call was made, and is sent next; it has a verdict. */
void checks_called(struct sim_task *t);
void checks_answered(struct sim_task *t, const struct call *call);

/** A client was told of a grant. */
void checks_granted(struct sim_task *t);

/** A client was told that its grant is EXCLUSIVE now. */
void checks_upgraded(struct sim_task *t);

/** The task's token claims the registers of its locks, or writes to them. \return false: it is a
 * late one. */
bool checks_claim(struct sim_task *t);
bool checks_write(struct sim_task *t);

/* checks_timers.c: the same of calls about timers; a new version of one. */
void checks_timer_called(struct sim_task *t, uint64_t delay_ms);
void checks_timer_asked(struct sim_task *t, uint32_t timer, uint64_t version, uint64_t delay_ms);
void checks_timer_answered(struct sim_task *t, const struct call *call);
uint64_t checks_timer_version(struct checks *k, uint32_t timer);

/** A POLL that was answered with nothing: the leader alone says so, and no log. */
bool checks_timer_nothing(const struct call *call);

/** What every SET of this version says: how many attempts there are, and the payload's seed. */
uint64_t checks_timer_attempts(uint32_t timer, uint64_t version);
uint64_t checks_timer_seed(uint32_t timer, uint64_t version);

/** The run is over: what was set is there. */
void checks_timers_end(const struct sim *sim);

/** Free. */
void checks_timers_close(struct checks *k);

/* checks_watches.c: a task's place; it asks on from there; the answer. */
struct check_watch *checks_watch(struct sim_task *t);
void checks_watch_called(struct sim_task *t, uint64_t count_max);
void checks_watch_answered(struct sim_task *t, const struct call *call);

/** A kind's name, for people. */
const char *checks_watch_event_name(enum check_watch_event event);

/** history's expired_cb. */
void checks_session_expired(void *sim, uint64_t session);

#endif
