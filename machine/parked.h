/* Requests that wait. One row a request, by (session, seq), holds what it takes to answer it later;
 * a queue row (name, ticket) for each name is its place; a deadline row ends its wait; for an
 * ACQUIRE an owner row keeps its owner from waiting twice. All five are written and removed here.
 * What is waited for keeps its own counts (row_lock, row_record).
 *
 * The answer of a parked request is always stored, then told to the sink's woken_cb: whoever sends
 * the request again gets it under its seq. */
#ifndef MACHINE_PARKED_H
#define MACHINE_PARKED_H

#include "machine/state.h"

struct op_context;
struct reply_out;

/** A parked request as it was read back. */
struct parked {
    uint64_t session;      /**< whose */
    uint64_t seq;          /**< its number there */
    struct row_parked row; /**< borrowed from scratch */
};

/** Park the op that is being applied and say so in `out`. The caller has checked the limits of
 * what is waited for, and counts the waiter there.
 * \param queue  TABLE_LOCK_QUEUE or TABLE_RECORD_QUEUE. \param owner 0 for BEGIN.
 * \param ticket Out: its place. */
HF_MUST_USE
int parked_put(struct machine *m, const struct op_context *ctx, enum machine_table queue,
               struct codec_strs names, uint64_t owner, uint64_t wait_ms, uint64_t *ticket,
               struct reply_out *out);

/** The parked request (session, seq). \retval HF_ENOTFOUND */
HF_MUST_USE
int parked_get(struct machine *m, uint64_t session, uint64_t seq, struct parked *p);

/** The first in the queue of `name` whose ticket is at least `ticket`. Pass queue_first: the rows
 * of those who left are ghosts in the store until it is flushed, and a walk from 0 steps over them
 * all. \retval HF_ENOTFOUND */
HF_MUST_USE
int parked_from(struct machine *m, enum machine_table queue, struct slice name, uint64_t ticket,
                struct parked *p);

/** The ticket of that one alone. \retval HF_ENOTFOUND */
HF_MUST_USE
int parked_first(struct machine *m, enum machine_table queue, struct slice name, uint64_t from,
                 uint64_t *ticket);

/** Decode the request it was. \param request Out: a struct of its op's request type. */
HF_MUST_USE
int parked_request(struct machine *m, const struct parked *p, void *request);

/** An empty answer whose body is the buffer for woken requests; for parked_answer(). */
struct reply_out parked_reply(struct machine *m);

/** Remove all its rows, store the answer and wake the caller. The counts of what it waited for are
 * the caller's. \param out the answer, from parked_reply(). */
HF_MUST_USE
int parked_answer(struct machine *m, const struct parked *p, const struct reply_out *out);

/** It leaves unserved with this answer: parked_answer(), then its op's `left`. */
HF_MUST_USE
int parked_leave(struct machine *m, const struct parked *p, const struct reply_out *out);

/** All of a session's leave, with SESSION_EXPIRED {reason, now}. */
HF_MUST_USE
int parked_end_session(struct machine *m, uint64_t session, enum end_reason reason);

/** DEADLINE_WAIT. */
HF_MUST_USE
int parked_due(struct machine *m, struct slice id);

#endif
