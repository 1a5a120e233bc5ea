/* One task of a client, a thread of the application that uses the library: it runs a script
 * (tests/sim/swarm.h) from beginning to end, thinks, and draws the next one. It calls the core as
 * client/lock.c and client/record.c do. A script is a row of steps; each makes a call and waits for
 * its verdict, or sleeps. */
#ifndef TESTS_SIM_TASK_H
#define TESTS_SIM_TASK_H

#include "client/core.h"
#include "tests/sim/lock_names.h"
#include "tests/sim/swarm.h"

struct sim_client;

enum { TASK_HANDS_MAX = 8 };

/* A timer that was delivered to a task. */
struct timer_hand {
    uint64_t token;   /* of this delivery */
    uint64_t version; /* of the timer */
    uint32_t key;     /* its */
};

enum task_step {
    STEP_START,      /* draw a script */
    STEP_FIRST,      /* of the script */
    STEP_HOLD,       /* a grant is held, or an attempt runs */
    STEP_END,        /* release, complete or give back */
    STEP_LAST,       /* after the last answer: think */
    STEP_UNKNOWN,    /* an outcome is unknown: ask again, or cancel */
    STEP_CANCELLING, /* the cancel's verdict is on its way */
};

/* A phase of a transfer's branch: tests/sim/script_branch.c. */
struct branch_hand {
    uint64_t token;       /* its */
    uint64_t floor_token; /* the greatest that was told of the branch before it was asked for */
    uint64_t outcome;     /* enum completion_outcome: what is said of its end */
    uint32_t transfer;    /* which */
    uint8_t side;         /* enum ledger_side */
    uint8_t op;           /* enum branch_op; 0 = none */
    bool stray;           /* nobody needs it */
    bool other;           /* with another fingerprint */
    bool was_ended;       /* the branch's end had been told when it was asked for */
    bool empty;           /* a rollback of nothing */
    bool refused;         /* by the guard */
    bool again;           /* its end is said a second time, */
    bool otherwise;       /* and with another result */
    bool goes_on;         /* the coordinator's next phase comes */
    bool dies;            /* before it is answered */
};

struct sim_task {
    struct sim_client *client; /* borrowed */
    uint32_t index;            /* of the client's */
    enum script_kind script;   /* what it runs */
    enum task_step step;       /* what comes when it wakes, or the answer does */
    uint64_t wake_ns;          /* the client's clock; UINT64_MAX: a call wakes it */

    struct call *call;        /* under way, attached; NULL = none */
    uint64_t called_ns;       /* when it was submitted, true time */
    uint64_t session;         /* that it was sent under; 0 = not sent yet */
    uint64_t held_id;         /* of a call whose outcome is unknown */
    enum task_step held_step; /* the step that made it */
    uint64_t floor_token;     /* of an acquire: a grant returned before it was called */
    uint64_t floor_index;     /* of a read, or of a timer: what was answered before it was called */
    uint64_t wait_ms;         /* of an acquire or begin: how long it may wait */
    uint16_t op;              /* of the call */
    uint64_t seq;             /* its number, once it has one */
    uint64_t late_ns;         /* it comes so late, and the connection breaks behind it; 0 = not */

    uint64_t owner;                     /* the lock handle's; 0 = to be drawn */
    uint32_t name;                      /* of the lock, or of one of them */
    struct lock_names asked;            /* by the acquire under way, with it */
    struct lock_names names;            /* held */
    uint64_t mode;                      /* enum lock_mode */
    uint64_t permits;                   /* of PERMITS: units */
    uint64_t limit;                     /* likewise */
    struct grant_ref grant;             /* the grant or attempt; generation 0 = none */
    struct grant_ref left;              /* another one, that is held beside it; likewise */
    uint64_t token;                     /* its */
    uint32_t count;                     /* releases that it needs */
    bool claimed;                       /* the guarded register knows the token */
    uint64_t seen_value[SIM_NAMES_MAX]; /* and had this value then, each of its locks' */
    bool releasing;                     /* RELEASE was asked for: its grant is not valid any more */
    uint32_t past_name;                 /* a lock that was released, */
    uint64_t past_owner;                /* by whom, */
    uint64_t past_token;                /* and its token then; 0 = none */
    bool past_released; /* it is being released once more, while a newer grant is held */

    uint32_t key;         /* of the record */
    uint16_t act;         /* an operator's op that comes next */
    uint64_t prefix;      /* that it is about: an administrator's */
    uint32_t checkpoints; /* still to be made */
    uint64_t lease_ms;    /* of the attempt; 0 = the session's */
    bool lingers;         /* it runs for some leases, which are short */
    uint64_t body_seed;   /* of the result that it completes with */

    uint64_t version;                        /* of the timer that is set */
    uint32_t group;                          /* that is polled */
    struct timer_hand hands[TASK_HANDS_MAX]; /* delivered, and not dealt with yet */
    uint32_t hand_count;                     /* of them */
    struct timer_hand hand;                  /* the one that ACK or NACK is about */

    struct branch_hand branch; /* the phase that it asks for */

    uint32_t watch_count; /* WATCHes still to be made */
};

/** Begin a client's life. */
void task_init(struct sim_task *t, struct sim_client *c, uint32_t index);

/** It ends; the core is closed next. */
void task_drop(struct sim_task *t);

/** Its wake_ns has come. */
void task_run(struct sim_task *t);

/** Its client was told that this grant is asked back. */
void task_asked(struct sim_task *t, uint64_t token);

/** Its call has a verdict. */
void task_finished(struct sim_task *t, struct call *call);

/** Remember under which session and number its call was sent, once it was: it keeps them. */
void task_note_session(struct sim_task *t);

/* Between the scripts' files. */

/** Make a call: it is sent when the step returns, which fills in what it needs besides; t->wait_ms
 * is how long it may wait on top of its time-out. \return false: too many are under way. */
bool task_call(struct sim_task *t, uint16_t op, const void *request, enum call_fate fate);

/** The call that was just made comes late, by 1 to 512 ms, and its connection breaks behind it: it
 * is given up at once, and its CANCEL overtakes it. */
void task_come_late(struct sim_task *t);

/** Wake after a while, drawn below `ns`, and go on with `step`. */
void task_sleep(struct sim_task *t, uint64_t ns, enum task_step step);

/** True for the task that a client gets for the end of a run: it asks for a lock that nobody else
 * uses until it has had it once. */
bool task_is_last(const struct sim_task *t);

/** The script is over: think, and draw the next. */
void task_think(struct sim_task *t);

/** Below `bound`, from the client's numbers. */
uint64_t task_draw(struct sim_task *t, uint64_t bound);

/** Put names in the order of their bytes. */
void task_sort_names(struct lock_names *n);

/** The lock's name, the record's key, the names of a request, and a result's bytes, in static
 * memory. */
struct slice task_lock_name(uint32_t name);
struct slice task_record_key(uint32_t key);
struct slice task_timer_key(uint32_t key);
struct codec_strs task_names(const struct lock_names *n);
struct slice task_body(uint64_t seed, uint32_t bytes_max);

/* script_*.c: a step is due, or its answer came. */
void script_lock_run(struct sim_task *t);
void script_lock_answered(struct sim_task *t, struct call *call);
void script_record_run(struct sim_task *t);
void script_record_answered(struct sim_task *t, struct call *call);
void script_read_run(struct sim_task *t);
void script_cap_run(struct sim_task *t);
void script_admin_run(struct sim_task *t);
void script_admin_answered(struct sim_task *t, struct call *call);
void script_timer_run(struct sim_task *t);
void script_timer_answered(struct sim_task *t, struct call *call);
void script_watch_run(struct sim_task *t);
void script_watch_answered(struct sim_task *t, struct call *call);
void script_branch_run(struct sim_task *t);
void script_branch_answered(struct sim_task *t, struct call *call);

/** script_branch.c: its client dies; count where. */
void script_branch_died(struct sim_task *t);
void script_txn_run(struct sim_task *t);
void script_txn_answered(struct sim_task *t, struct call *call);
void script_dine_run(struct sim_task *t);
void script_dine_answered(struct sim_task *t, struct call *call);
void script_read_answered(struct sim_task *t, struct call *call);

#endif
