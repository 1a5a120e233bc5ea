/* Grants: who holds what, how a grant begins and ends, and what an ended one leaves behind
 * (docs/contract.md, section 4). An EXCLUSIVE holder stands in its lock's row; others have a row
 * each in TABLE_HOLDERS. */
#ifndef MACHINE_GRANTS_H
#define MACHINE_GRANTS_H

#include "machine/lock.h"
#include "machine/state.h"

/** The token of the grant that (session, owner) has of this lock. \retval HF_ENOTFOUND */
HF_MUST_USE
int holder_find(struct machine *m, struct slice name, const struct row_lock *lock, uint64_t session,
                uint64_t owner, uint64_t *token);

/** A walk over a lock's holders, in (session, owner) order. */
struct holders {
    struct walk walk;            /**< of TABLE_HOLDERS; closed for an EXCLUSIVE one */
    const struct row_lock *lock; /**< borrowed */
    uint64_t token;              /**< of this turn's grant */
};
HF_MUST_USE
int holders_first(struct holders *h, struct machine *m, struct slice name,
                  const struct row_lock *lock);

/** The same of one session's alone; of an EXCLUSIVE lock, and for session 0, whoever holds it. */
HF_MUST_USE
int holders_first_of(struct holders *h, struct machine *m, struct slice name,
                     const struct row_lock *lock, uint64_t session);
HF_MUST_USE
int holders_next(struct holders *h);
void holders_close(struct holders *h);

/** Read a grant. \retval HF_ENOTFOUND */
HF_MUST_USE
int grant_get(struct machine *m, uint64_t token, struct row_grant *grant);

/** Write a grant whose count changed. */
HF_MUST_USE
int grant_put(struct machine *m, uint64_t token, const struct row_grant *grant);

/** True if the grant is of this lock. */
bool grant_has_name(const struct row_grant *grant, struct slice name);

/** A loss: its owner did not choose it. */
static inline bool reason_is_involuntary(enum end_reason reason)
{
    return reason != END_RELEASED && reason != END_CLOSED;
}

/** Units that it takes of each of its locks. */
static inline uint64_t grant_units(const struct row_grant *grant)
{
    return grant->mode == MODE_PERMITS ? grant->permits : 1;
}

/** Who asks for a grant. */
struct grant_request {
    const struct msg_acquire *acquire; /**< what */
    uint64_t session;                  /**< who */
    uint64_t seq;                      /**< under which number */
    struct slice peer;                 /**< from where */
    struct slice traceparent;          /**< in which trace */
};

/** Grant; the locks must be grantable. \param locks one for each name, changed; the caller writes
 * them. \param token Out: newly issued. */
HF_MUST_USE
int grant_make(struct machine *m, const struct grant_request *request, struct row_lock *locks,
               uint64_t *token);

/** End a grant, write its locks, mark them to be served. A reason that the owner did not choose
 * delays them, is remembered in their rows and told to a session that lives. */
HF_MUST_USE
int grant_end(struct machine *m, uint64_t token, const struct row_grant *grant,
              enum end_reason reason);

/** End all of m->ending, in token order: those of ended sessions for the session's reason, then
 * those held for hold_max, the others by force: they were asked back, and their grace is over. */
HF_MUST_USE
int grants_end_listed(struct machine *m);

/** DEADLINE_HOLD: put the token among m->ending. */
HF_MUST_USE
int grant_hold_due(struct machine *m, struct slice id);

#endif
