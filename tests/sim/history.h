/* What is committed, as the simulation itself knows it. The first server to apply an entry defines
 * it; every other must apply the same, and a machine of the simulation's own applies it too. From
 * that machine come: the digest that every server's state must have at that index, the one answer
 * of every numbered request, and the life of every lock, record and session, in log order. When
 * leases end and who gets a lock is worked out from the log alone as well (history_locks.h), so
 * that a rule which the machine itself breaks is seen.
 *
 *   history_entry()  each server tells what it applied, by index
 *   history_at()     and where its state stands
 *   history_find()   what (session, seq) was answered, for what clients were told
 *
 * A claim that fails ends the run (tests/sim/failure.h). */
#ifndef TESTS_SIM_HISTORY_H
#define TESTS_SIM_HISTORY_H

#include "machine/machine.h"
#include "machine/settings.h"
#include "raft/log_entry.h"
#include "tests/sim/history_branches.h"
#include "tests/sim/history_events.h"
#include "tests/sim/history_locks.h"
#include "tests/sim/history_timers.h"
#include "tests/sim/history_txn.h"
#include "tests/sim/swarm.h"

enum { HISTORY_NOBODY = UINT32_MAX, HISTORY_FROZEN_MAX = 64, HISTORY_PREFIX_BYTES = 16 };

/* How a grant was ended by an administrator. */
enum history_force { FORCED_NOT, FORCED_WAITS, FORCED_NOW };

/* Entries that a leader may have in flight, and so not have applied when it proposes another. */
enum { HISTORY_DUE_KEPT = 64 };

struct history_index {
    uint64_t term;         /* the entry's */
    uint64_t committed_by; /* a leader of this term or an earlier one has committed it */
    uint64_t hash;         /* of its type and data */
    struct hash128 digest; /* of the state once it is applied */
};

/* A numbered request. */
struct history_answer {
    uint64_t session;
    uint64_t seq;
    uint64_t token;          /* that the answer tells of */
    uint64_t hash;           /* of the answer's bytes; before, of a BEGIN: its lease */
    uint64_t print;          /* of a BEGIN: its fingerprint's hash; of a POLL: how many it gave */
    uint64_t retain_ms;      /* of a BEGIN: how long its record is kept */
    struct lock_names names; /* of an ACQUIRE */
    uint32_t thing;          /* its record */
    uint16_t op;             /* 0 = a free place */
    int16_t status;          /* once answered */
    uint8_t takeover;        /* of a BEGIN: enum takeover_policy */
    bool answered;           /* else it is parked */
};

/* A grant, an attempt or a delivery of a timer, by the counter of its token. */
struct history_token {
    uint64_t session;
    uint64_t until_ms;       /* an attempt's own lease; 0 = it is bound, or a grant */
    uint64_t mode;           /* a grant's: enum lock_mode */
    uint64_t permits;        /* likewise: units */
    struct lock_names names; /* likewise: all of it */
    uint64_t version;        /* a delivery's: the timer's */
    uint32_t thing;          /* an attempt's record, a delivery's timer */
    bool attempt;            /* of a record */
    bool timer;              /* a delivery of one */
    bool branch;             /* a phase of one */
    bool abandoned;          /* given back: its lease is over at once */
    bool unknown_told;       /* an attempt: the event that its record became UNKNOWN */
    bool late_told;          /* the event that its end came too late */
    uint8_t forced;          /* a grant: enum history_force */
};

struct history_lock {
    uint64_t last_token;     /* of the newest grant */
    uint64_t count;          /* of grants */
    struct lock_rules rules; /* who holds it, who waits */
};

struct history_record {
    uint64_t token;      /* of the current or last attempt; 0 = never begun */
    uint64_t attempt;    /* its number */
    uint64_t body_hash;  /* of headers and body that it was completed with */
    uint64_t code;       /* likewise */
    uint64_t changed_ms; /* cluster time of the last change that was seen */
    uint64_t print;      /* hash of the fingerprint that it was begun with */
    uint64_t retain_ms;  /* kept for so long once it has ended */
    uint64_t gone_ms;    /* of a tombstone: when it goes, cluster time */
    uint8_t takeover;    /* enum takeover_policy */
    uint8_t state;       /* enum record_state, as far as answers and the log's time tell */
    uint8_t outcome;     /* of a tombstone: what it ended as */
    bool decided;        /* by an operator: not by what the attempt completed */
    bool erased;         /* its result was */
};

struct history_session {
    uint64_t id;
    uint64_t ttl_ms;   /* its lease */
    uint64_t until_ms; /* cluster time of its end, as the log has renewed it */
    bool over;         /* by the sweep under way */
};

/* An op of the entry that is being applied. */
struct history_op {
    uint64_t session;
    uint64_t seq;
    struct slice body;
    uint16_t op;
    bool renews; /* the session */
};

/* An answer to a parked request that waits for its turn: the machine tells those that an op serves
 * before it answers the op itself. */
struct history_woken {
    uint64_t session;
    uint64_t seq;
    size_t begin; /* of its bytes, in `woken_bytes` */
    size_t bytes;
    int status;
    uint8_t flags;
};

/* What administrators did, and what came of it. */
enum history_act {
    ACT_FROZEN,     /* a prefix */
    ACT_THAWED,     /* likewise */
    ACT_FORCED,     /* a grant, and its holder is waited for */
    ACT_FORCED_NOW, /* and is not */
    ACT_KNOWN,      /* its holder has acknowledged it */
    ACT_ASKED,      /* a grant is asked back */
    ACT_GRACE_OVER, /* and is forced */
    ACT_ALARM,      /* and is overdue */
    ACT_SET,        /* a setting */
    HISTORY_ACTS,   /* how many there are */
};

/** A kind's name, for people. */
const char *history_act_name(enum history_act act);

/* A prefix under which nothing new begins. */
struct history_prefix {
    char text[HISTORY_PREFIX_BYTES];
    size_t bytes;
};

struct trace;

struct history {
    struct trace *trace;               /* borrowed */
    struct store *store;               /* owned */
    struct machine *machine;           /* owned */
    struct history_index *entries;     /* owned; entry 1 first */
    uint64_t count;                    /* of them */
    uint64_t capacity;                 /* allocated */
    struct history_answer *answers;    /* owned; open addressing, a power of two */
    size_t answer_count;               /* in use */
    size_t answer_places;              /* allocated */
    struct history_token *tokens;      /* owned, by counter */
    uint64_t token_count;              /* of them: counters seen are below */
    uint64_t token_places;             /* allocated */
    uint64_t token_last;               /* greatest */
    struct history_session *sessions;  /* owned; alive ones only */
    uint32_t session_count;            /* of them */
    uint32_t session_places;           /* allocated */
    uint64_t session_last;             /* greatest id */
    struct history_op *ops;            /* owned, ENTRY_OPS_MAX */
    uint32_t op_count;                 /* of the entry */
    uint64_t swept_ms;                 /* cluster time of the last sweep */
    uint64_t due_ms[HISTORY_DUE_KEPT]; /* the first deadline behind each of the last entries */
    bool sweeps_with_ops;              /* the seed has entries with ops sweep at random */
    uint64_t turn_ms_max;              /* see history_locks.c: look_at_wait(); 0 = not known */
    struct lock_ask ask;               /* of the ACQUIRE that is being answered */
    struct buffer part;                /* an entry, as it is applied in two parts */
    struct arena arena;                /* decoding */
    struct history_woken *woken;       /* owned */
    size_t woken_count;                /* of them */
    size_t woken_places;               /* allocated */
    struct buffer woken_bytes;         /* their answers' */
    struct history_lock locks[SIM_LOCKS_MAX + SIM_CLIENTS_MAX];
    struct history_record records[SIM_RECORDS_MAX];
    struct history_timer timers[SIM_TIMERS_MAX];
    struct history_branch *branches; /* owned; two a transfer */
    size_t branch_places;            /* allocated */
    struct history_events events;    /* that were told */
    struct history_prefix frozen[HISTORY_FROZEN_MAX];
    uint32_t frozen_count;                         /* of them */
    uint64_t looked_ms;                            /* cluster time of the last look at graces */
    uint64_t settings[SETTING_COUNT];              /* values, as the log has set them */
    uint64_t set_counts[SETTING_COUNT];            /* how often */
    uint64_t completed_count;                      /* for people */
    uint64_t granted_count;                        /* likewise */
    uint64_t takeover_count;                       /* likewise */
    uint64_t reopened_count;                       /* likewise: records */
    uint64_t erased_count;                         /* likewise */
    uint64_t act_counts[HISTORY_ACTS];             /* likewise */
    uint64_t timer_counts[HISTORY_TIMER_EVENTS];   /* likewise */
    uint64_t branch_counts[HISTORY_BRANCH_EVENTS]; /* likewise */
    uint64_t txn_counts[HISTORY_TXN_EVENTS];       /* likewise */
    uint64_t timer_late_ms_max; /* likewise: cluster time that a timer has fired too late */
    uint64_t tombstone_count;   /* likewise: timers' that went after their day */
    uint64_t deadlock_count;    /* likewise */
    uint64_t waited_ms_max;     /* likewise: cluster time that a grant has waited for */
    uint64_t expired_count;     /* sessions that ended by their lease */
    /* A session was found to have ended: not by CLOSE. */
    void (*expired_cb)(void *data, uint64_t session);
    /* An entry was applied for the first time. */
    void (*entry_cb)(void *data);
    /* A numbered request of a session was applied, for the first time or again. */
    void (*asked_cb)(void *data, uint64_t session);
    void *data; /* handed to all */
};

/** Begin with nothing committed. */
void history_init(struct history *h, struct trace *trace);

/** Free. */
void history_close(struct history *h);

/** A server has applied this entry. \param term  that the server was in by then. */
void history_entry(struct history *h, uint32_t node, uint64_t term, const struct log_entry *entry);

/** A server's state stands at `index`, with this digest. */
void history_at(const struct history *h, uint32_t node, uint64_t index, struct hash128 digest);

/** The numbered request, or NULL if it was never applied. */
const struct history_answer *history_find(const struct history *h, uint64_t session, uint64_t seq);

/** What a token is of, or NULL. */
const struct history_token *history_token(const struct history *h, uint64_t token);

/** It was opened, and has neither expired nor been closed. */
bool history_session_is_alive(const struct history *h, uint64_t session);

/** Look at the whole state: the machine's invariants, the rows' checksums. */
void history_audit(struct history *h);

/* history_records.c */

/** An op about a record was answered; any other one is let pass. As history_answered(). */
void history_record_answered(struct history *h, struct history_answer *a, struct slice request,
                             const struct machine_reply *reply);

/** A sweep begins: whose retention is over. */
void history_records_sweep(struct history *h, uint64_t at_ms);

/* history_admin.c */

/** An op of an administrator, or one that tells or acknowledges, was answered; any other one is let
 * pass. As history_answered(). */
void history_admin_answered(struct history *h, const struct history_answer *a, struct slice request,
                            const struct machine_reply *reply);

/** A sweep begins, and sessions have ended what they end: whose grace is over and stays. */
void history_admin_alarm(struct history *h, uint64_t now_ms);

/** Then hold_max has ended what it ends: whose grace is over and is forced. */
void history_admin_sweep(struct history *h, uint64_t now_ms);

/** Nothing begins under this name. */
bool history_is_frozen(const struct history *h, struct slice name);

/** The session that is alive, or NULL. What a token is of, to be changed, or NULL. */
const struct history_session *history_session(const struct history *h, uint64_t session);
struct history_token *history_find_token(struct history *h, uint64_t token);

/* history_models.c: what answers mean. */

/** Decode what the log holds. \param out  valid until the next one. */
void history_decode(struct history *h, const struct codec_type *type, struct slice bytes,
                    void *out);

/** A token was given out. */
void history_add_token(struct history *h, uint64_t token, const struct history_token *what);

/** An op was answered for the first time, in log order. \param request  its body; empty if it was
 * parked before. \param reply  NULL: it is parked. */
void history_answered(struct history *h, struct history_answer *a, struct slice request,
                      const struct machine_reply *reply);

/** The place of (session, seq), made if it is new. */
struct history_answer *history_place(struct history *h, uint64_t session, uint64_t seq);

/** "lock-12" or "record-12" as a number. */
uint32_t history_thing(struct slice name);

/** A sweep begins: what is over at its cluster time. */
void history_sweep(struct history *h, uint64_t now_ms);

/** It is applied: are those sessions over, and no others? */
void history_swept(struct history *h);

/** An op of a session was applied. \param status  its answer; HF_OK if it is parked. */
void history_renew(struct history *h, const struct history_op *op, int status);

#endif
