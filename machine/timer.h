/* Timers (docs/contract.md, section 8): a key, a time, a payload, and a group whose consumers get
 * it once the time has come, again and again until one of them acknowledges it.
 *
 *   PENDING --due--> READY --POLL--> DELIVERED --ACK--> ACKED, a tombstone
 *      |               ^              |     |
 *      |               +--lease over--+     +--attempts used up--> DEAD --an administrator--> READY
 *      |               +--DELAYED <--NACK
 *      +--CANCEL--> CANCELLED, a tombstone
 *
 * One row a timer, and one besides that says where it stands: a deadline, or a place in its group's
 * queue, which is ordered by time, then by key. Every move goes through timer_move(), so that the
 * two never differ. A row is small: the payload stands apart and is written once. To fire a timer
 * is three rows: its deadline goes, itself, its place in the queue. Whether it fires or is
 * cancelled is decided by what comes first in the log.
 *
 * Files: timer.c rows, moves and the sweep; timer_set.c SET and CANCEL; timer_poll.c POLL;
 * timer_ack.c ACK and NACK; timer_look.c LIST; timer_operator.c REQUEUE. */
#ifndef MACHINE_TIMER_H
#define MACHINE_TIMER_H

#include "machine/dispatch.h"

/** The row of a key. \retval HF_ENOTFOUND; faults. */
HF_MUST_USE
int timer_get(struct machine *m, struct slice key, struct row_timer *row);

/** Leave where it stands, if anywhere (state TIMER_ABSENT: a new row), and go to `state`; writes
 * the row. \param due_ms  as row_timer tells; not looked at for a dead one. */
HF_MUST_USE
int timer_move(struct machine *m, struct slice key, struct row_timer *row, enum timer_state state,
               uint64_t due_ms);

/** Become a tombstone, ACKED or CANCELLED. */
HF_MUST_USE
int timer_bury(struct machine *m, struct slice key, struct row_timer *row, enum timer_state state);

/** The end of a delivery without an ACK: again at `due_ms`, or dead if it was the last. */
HF_MUST_USE
int timer_end_delivery(struct machine *m, struct slice key, struct row_timer *row, uint64_t due_ms);

/** Whether it has ended: ACKED or CANCELLED. */
static inline bool timer_is_tombstone(const struct row_timer *row)
{
    return row->state == TIMER_ACKED || row->state == TIMER_CANCELLED;
}

/** Make `token` that of its current delivery, 0 = there is none. The row is not written. */
HF_MUST_USE
int timer_set_token(struct machine *m, struct slice key, struct row_timer *row, uint64_t token);

/** Write its payload in the place of an earlier one. The row is not written. */
HF_MUST_USE
int timer_set_payload(struct machine *m, struct slice key, struct row_timer *row,
                      struct slice payload);

/** Read its payload. \param payload  Out: in scratch. */
HF_MUST_USE
int timer_payload(struct machine *m, struct slice key, const struct row_timer *row,
                  struct slice *payload);

/** Answer ALREADY_FIRED or, with its state, BAD_STATE. */
HF_MUST_USE
int timer_tell(const struct machine *m, const struct row_timer *row, uint16_t op, int status,
               struct reply_out *out);

/** Whether a timer of this group is ready. \retval HF_ENOTFOUND none is; faults. */
HF_MUST_USE
int timer_group_is_ready(struct machine *m, struct slice group);

/** DEADLINE_TIMER and DEADLINE_TIMER_TOMBSTONE. */
HF_MUST_USE
int timer_due(struct machine *m, struct slice id);
HF_MUST_USE
int timer_tombstone_due(struct machine *m, struct slice id);

/* Handlers; see struct op_owner. */
HF_MUST_USE
int timer_set(struct machine *m, const struct op_context *ctx, const void *request,
              struct reply_out *out);
HF_MUST_USE
int timer_cancel(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);
HF_MUST_USE
int timer_poll(struct machine *m, const struct op_context *ctx, const void *request,
               struct reply_out *out);
HF_MUST_USE
int timer_poll_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
                      struct reply_out *out);
HF_MUST_USE
int timer_ack(struct machine *m, const struct op_context *ctx, const void *request,
              struct reply_out *out);
HF_MUST_USE
int timer_nack(struct machine *m, const struct op_context *ctx, const void *request,
               struct reply_out *out);
HF_MUST_USE
int timer_list(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);
HF_MUST_USE
int timer_requeue(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out);

#endif
