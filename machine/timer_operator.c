/* REQUEUE: a timer that nobody acknowledged in all its attempts goes back into its group's queue,
 * at the end, with all its attempts before it. An act of an administrator's, kept. */
#include <inttypes.h>
#include <stdio.h>

#include "machine/acts.h"
#include "machine/timer.h"

int timer_requeue(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out)
{
    const struct msg_timer_requeue *requeue = request;
    struct row_timer row;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    int rv = timer_get(m, requeue->key, &row);
    if (rv == HF_ENOTFOUND) return reply_set(out, ctx->op, HF_ENOTFOUND, NULL);
    if (rv != HF_OK) return rv;
    if (row.state != TIMER_DEAD) return timer_tell(m, &row, ctx->op, HF_EBADSTATE, out);
    char before[ACT_TEXT_BYTES];
    (void)snprintf(before, sizeof before,
                   "dead after %" PRIu64 " attempts, fired %" PRIu64 " ms ago", row.attempt,
                   state_now(m) - row.fired_ms);
    rv = timer_set_token(m, requeue->key, &row, 0);
    row.attempt = 0;
    if (rv == HF_OK) rv = timer_move(m, requeue->key, &row, TIMER_READY, state_now(m));
    if (rv != HF_OK) return rv;
    const struct act act = {
        .name = requeue->key,
        .operator_name = requeue->operator_name,
        .reason = requeue->reason,
        .before = before,
        .after = "ready",
    };
    rv = act_keep(m, ctx, &act);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, NULL) : rv;
}
