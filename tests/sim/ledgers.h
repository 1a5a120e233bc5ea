/* What the transfers of script_branch.c are about: banks, each with a database of its own, and the
 * coordinator's table of transfers. A transfer moves money from an account at one bank to an
 * account at another: its branch "out" reserves the amount by taking it off the balance, its branch
 * "in" gives it with the confirm.
 *
 * A bank does each phase as docs/contract.md tells participants to (section 7): in one local
 * transaction that first claims (gid, branch) in the guard with the phase's fencing token, rolls
 * back if it finds a greater one, and changes the balance beside it. It trusts the barrier for all
 * the rest: a try that is let through after the cancel would take money that nobody gives back.
 *
 * Claimed here, from what happens at the banks and what their callers are told, without a look at
 * any log: no try takes effect after its cancel, nothing is confirmed that was not tried or was
 * cancelled, a confirm is never refused once all tries were told as done, nor a cancel once one was
 * decided, a try that was told as failed is not begun again; and at the end all transfers are
 * confirmed at both banks or at none, and no money is lost or made. */
#ifndef TESTS_SIM_LEDGERS_H
#define TESTS_SIM_LEDGERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

enum {
    LEDGER_BANKS = 3,
    LEDGER_ACCOUNTS = 4,  /* of each */
    LEDGER_BALANCE = 100, /* of an account at first */
    LEDGER_CEILING = 160, /* no account takes more */
    LEDGER_OPEN_MAX = 24, /* transfers under way at once */
    LEDGER_RECENT = 64,   /* late requests come for so many of the last ones */
};

enum ledger_side { SIDE_OUT, SIDE_IN, SIDE_COUNT };

enum ledger_effect { EFFECT_NONE, EFFECT_RESERVED, EFFECT_APPLIED, EFFECT_UNDONE };

/* A branch, as its bank knows it: the guard's row and what was done, beside the balance. */
struct ledger_row {
    uint64_t token; /* the greatest that has claimed it */
    uint8_t effect; /* enum ledger_effect */
};

/* A branch, as the coordinator knows it. */
struct ledger_told {
    uint64_t token;   /* the greatest of its phases that anybody was told */
    uint64_t over_ns; /* true time when its try was told as failed; 0 = it was not */
    uint8_t tried;    /* enum branch_try, as far as it was told */
    bool ended;       /* it was told as confirmed or cancelled */
};

struct transfer {
    struct ledger_row rows[SIDE_COUNT];
    struct ledger_told told[SIDE_COUNT];
    uint32_t amount;
    uint8_t bank[SIDE_COUNT];
    uint8_t account[SIDE_COUNT];
    uint8_t decision; /* enum branch_op: CONFIRM or CANCEL; 0 = none yet */
    bool brief;       /* kept for as short as can be: nothing late may come for it */
    bool doomed;      /* no try of it ever succeeds, and its confirm is asked for all the same */
};

/* Where somebody died: the coordinator or the participant, a thread or its process. */
enum ledger_death {
    DEATH_ASKED,     /* the question for a phase under way */
    DEATH_ALLOWED,   /* it may go on, and has done nothing */
    DEATH_COMMITTED, /* the local transaction is committed, and nobody knows */
    DEATH_SAYING,    /* BRANCH_DONE under way */
    DEATH_COUNT,     /* of a participant, for each op; the coordinator's come behind */
};

enum {
    LEDGER_OPS = 3,
    LEDGER_PROGRESS = 6,
    LEDGER_DEATHS = DEATH_COUNT * LEDGER_OPS + LEDGER_PROGRESS
};

struct ledgers {
    struct transfer *transfers; /* owned, by number */
    uint32_t count;             /* of them */
    uint32_t places;            /* allocated */
    uint32_t open[LEDGER_OPEN_MAX];
    uint32_t open_count; /* transfers that are not at their end */
    uint32_t balances[LEDGER_BANKS][LEDGER_ACCOUNTS];
    uint64_t confirmed_count;       /* transfers, for people */
    uint64_t cancelled_count;       /* likewise */
    uint64_t stale_count;           /* local transactions that the guard rolled back */
    uint64_t deaths[LEDGER_DEATHS]; /* likewise */
};

/* What came of a local transaction. */
enum ledger_answer {
    LEDGER_DONE,    /* committed, now or by an attempt before */
    LEDGER_REFUSED, /* rolled back: no such money, or no room for it */
    LEDGER_STALE,   /* rolled back: a greater token is there */
};

/** Begin with full accounts. */
void ledgers_init(struct ledgers *l);

/** Free. */
void ledgers_close(struct ledgers *l);

/** A new transfer. \param brief  most are kept for as short as can be, else few. \return its
 * number; UINT32_MAX: too many are under way. */
uint32_t ledgers_open(struct ledgers *l, struct prng *random, bool brief);

/** The coordinator decides, once; what was decided before stands. */
void ledgers_decide(struct ledgers *l, uint32_t transfer, uint8_t op);

/** All was told of a transfer that its coordinator needs to know? Then it is at its end. */
void ledgers_settle(struct ledgers *l, uint32_t transfer);

/** The local transaction of a phase: claims, and does `op` (enum branch_op). */
enum ledger_answer ledgers_commit(struct ledgers *l, uint32_t transfer, enum ledger_side side,
                                  uint8_t op, uint64_t token);

/** How far a transfer's coordinator has come: below LEDGER_PROGRESS. */
uint32_t ledgers_progress(const struct ledgers *l, uint32_t transfer);

/** A death's name, for people. \param number  below LEDGER_DEATHS. */
const char *ledgers_death_name(uint32_t number);

/** The run is over: transfers at their end are whole, and all the money is there. */
void ledgers_end(const struct ledgers *l);

/** "out" or "in". */
const char *ledger_side_name(enum ledger_side side);

#endif
