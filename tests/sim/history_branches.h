/* Branches as the log has them, kept a second time: a row each, and what the barrier's table says
 * to every op in every state (docs/contract.md, section 7). Worked out from the entries alone, so
 * that a rule which the machine itself breaks is seen:
 *
 *   - each answer to BRANCH is the one that its cell of the table says, with the state, the try and
 *     the result that are right: so no try is let in after a cancel, also after one that found
 *     nothing to undo, no failed try begins again, and nothing is decided both ways
 *   - each phase has a token of its own, greater than all before; an end under an older one is
 *     stale, and one that says something else than was said is a conflict
 *   - a phase lapses at its lease's end, by its session's ABANDON, and by an end that is no
 * success; only then another one takes over
 *   - what is finished goes at its retention's end, and nothing else ever does
 *   - LIST shows all of that, and nothing else */
#ifndef TESTS_SIM_HISTORY_BRANCHES_H
#define TESTS_SIM_HISTORY_BRANCHES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct history;
struct history_answer;
struct machine_reply;

struct history_branch {
    uint64_t token;         /* of the last phase */
    uint64_t try_token;     /* of the last try; 0 = none came */
    uint64_t attempt;       /* at the last phase */
    uint64_t session;       /* that asked for it */
    uint64_t until_ms;      /* cluster time of its lease's end; 0 = no lease counts */
    uint64_t since_ms;      /* cluster time: in this state since */
    uint64_t retain_ms;     /* kept for so long once it is finished */
    uint64_t print;         /* hash of fingerprint and step */
    uint64_t failed_count;  /* how often the last phase said that it failed */
    uint64_t code;          /* of what ended last */
    uint64_t body_hash;     /* of the confirm or cancel that is done */
    uint64_t end_hash;      /* of all that the last phase's end said; 0 = none came */
    uint64_t try_code;      /* of the try, once it ended */
    uint64_t try_body_hash; /* likewise */
    uint64_t try_end_hash;  /* likewise; 0 = it did not end */
    uint8_t state;          /* enum branch_state; BRANCH_NONE: there is no row */
    uint8_t tried;          /* enum branch_try */
    bool lapsed;            /* a phase is open, and its lease is over */
};

/* What came of them. */
enum history_branch_event {
    BRANCH_EVENT_TRY,            /* a phase begins, the first of its kind */
    BRANCH_EVENT_CONFIRM,        /* likewise */
    BRANCH_EVENT_CANCEL_OPEN,    /* likewise, of a try that did not say how it ended */
    BRANCH_EVENT_CANCEL,         /* likewise, of one that did */
    BRANCH_EVENT_OVER_TRY,       /* taken over from an attempt that lapsed */
    BRANCH_EVENT_OVER_CONFIRM,   /* likewise */
    BRANCH_EVENT_OVER_CANCEL,    /* likewise */
    BRANCH_EVENT_EMPTY,          /* a cancel of what was never tried */
    BRANCH_EVENT_AGAIN_TRY,      /* told what was done */
    BRANCH_EVENT_AGAIN_REFUSED,  /* likewise: the try had failed */
    BRANCH_EVENT_AGAIN_CONFIRM,  /* likewise */
    BRANCH_EVENT_AGAIN_CANCEL,   /* likewise */
    BRANCH_EVENT_HANGING,        /* a try after the cancel: refused */
    BRANCH_EVENT_NOT_READY,      /* a confirm before the try's end: refused */
    BRANCH_EVENT_NO_TRY,         /* likewise, without one that was done */
    BRANCH_EVENT_NOT_CONFIRMED,  /* a confirm after the cancel: refused */
    BRANCH_EVENT_NOT_CANCELLED,  /* a cancel after the confirm: refused */
    BRANCH_EVENT_RUNNING,        /* another attempt runs */
    BRANCH_EVENT_MISMATCH,       /* another fingerprint */
    BRANCH_EVENT_FROZEN,         /* a try under a frozen prefix */
    BRANCH_EVENT_QUOTA,          /* a new branch above a cap */
    BRANCH_EVENT_TRIED,          /* an end that was taken */
    BRANCH_EVENT_REFUSED,        /* likewise: the try failed */
    BRANCH_EVENT_CONFIRMED,      /* likewise */
    BRANCH_EVENT_CANCELLED,      /* likewise */
    BRANCH_EVENT_FAILED,         /* likewise: the phase is to be asked for again */
    BRANCH_EVENT_SAID_AGAIN,     /* an end that was said before */
    BRANCH_EVENT_SAID_OTHERWISE, /* or with another result: refused */
    BRANCH_EVENT_STALE,          /* an end after a takeover or cancel: refused */
    BRANCH_EVENT_LAPSED,         /* a phase's lease was over */
    BRANCH_EVENT_GIVEN_BACK,     /* likewise by ABANDON */
    BRANCH_EVENT_REAPED,         /* its retention was over */
    BRANCH_EVENT_REPEATED,       /* a BRANCH is answered again */
    HISTORY_BRANCH_EVENTS,       /* how many there are */
};

/** A kind's name, for people. */
const char *history_branch_event_name(enum history_branch_event event);

/** An op about a branch was answered for the first time; any other one is let pass. As
 * history_answered(). */
void history_branch_answered(struct history *h, struct history_answer *a, struct slice request,
                             const struct machine_reply *reply);

/** A BRANCH that was answered is answered again. */
void history_branch_repeated(struct history *h, const struct history_answer *a,
                             const struct machine_reply *reply);

/** A session has given a token back that is a phase's. \param thing  as its token has it. */
void history_branch_abandoned(struct history *h, uint64_t session, uint32_t thing, uint64_t token);

/** A sweep begins: which leases and retentions are over. */
void history_branches_sweep(struct history *h, uint64_t at_ms);

/** Does the machine's LIST show the same? */
void history_branches_audit(struct history *h);

/** Free. */
void history_branches_close(struct history *h);

#endif
