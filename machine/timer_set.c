/* SET and CANCEL. Happy path: a row and its deadline, or both gone but for a tombstone. What was
 * decided once is told again: of a version that was acknowledged or cancelled nothing is left but
 * the outcome, and a late SET of it runs nothing. A timer that has fired and was not acknowledged
 * yet is no longer for SET or CANCEL, of whatever version: its consumers have it.
 *
 * A repeated SET is known by its version alone: the delay that its caller computes from a date, and
 * maybe the payload, are others the second time. */
#include "base/planted.h"
#include "machine/freeze.h"
#include "machine/principals.h"
#include "machine/timer.h"

static int tell_set(const struct machine *m, const struct row_timer *row,
                    enum timer_verdict verdict, struct reply_out *out)
{
    HF_ASSERT(row->state == TIMER_PENDING);
    const struct msg_timer_set_reply reply = {
        .verdict = verdict,
        .version = row->version,
        .left_ms = state_left(m, row->due_ms),
    };
    return reply_set(out, OP_CODE_TIMER_SET, HF_OK, &reply);
}

/* Cluster time is 0 for as long as a new cluster's first leader waits, and as `fired_ms` 0 means
 * that it has not: so none fires before 1. */
static uint64_t due_after(const struct machine *m, uint64_t delay_ms)
{
    uint64_t due_ms = state_later(m, delay_ms);
    if (planted(FIRED_EARLY)) due_ms -= due_ms % 100;
    return due_ms > 0 ? due_ms : 1;
}

/* The row is absent (all zero), pending, or a tombstone, of a lower version. */
static int schedule(struct machine *m, const struct msg_timer_set *set, struct row_timer *row,
                    struct reply_out *out)
{
    bool replaces = row->state == TIMER_PENDING;
    HF_ASSERT(row->state == TIMER_ABSENT || replaces || timer_is_tombstone(row));
    uint64_t due_ms = due_after(m, set->delay_ms);
    if (row->state == TIMER_ABSENT) {
        row->group = set->group;
        row->principal = m->session.principal;
        int rv = principal_add(m, row->principal, QUOTA_TIMERS, 1);
        if (rv != HF_OK) return rv;
    }
    int rv = timer_set_token(m, set->key, row, 0);
    if (rv == HF_OK) rv = timer_set_payload(m, set->key, row, set->payload);
    if (rv != HF_OK) return rv;
    row->version = set->version;
    row->group = set->group; /* neither a pending one nor a tombstone stands in its queue */
    row->set_ms = due_ms;
    row->fired_ms = 0;
    row->attempt = 0;
    row->attempts_max = set->attempts_max;
    rv = timer_move(m, set->key, row, TIMER_PENDING, due_ms);
    if (rv != HF_OK) return rv;
    return tell_set(m, row, replaces ? TIMER_REPLACED : TIMER_SCHEDULED, out);
}

/* What this SET meets is decided already, or stands: tell it. *told false: it may be scheduled. */
static int tell_earlier(const struct machine *m, const struct msg_timer_set *set,
                        const struct row_timer *row, struct reply_out *out, bool *told)
{
    bool newer = set->version > row->version;
    *told = true;
    switch ((enum timer_state)row->state) {
    case TIMER_PENDING:
        if (newer) break;
        return tell_set(m, row, set->version == row->version ? TIMER_SAME : TIMER_OLDER, out);
    case TIMER_ACKED:
        if (newer || planted(ACKED_SET_AGAIN)) break;
        return timer_tell(m, row, OP_CODE_TIMER_SET, HF_EFIRED, out);
    case TIMER_CANCELLED:
        if (newer) break;
        return reply_set(out, OP_CODE_TIMER_SET, HF_ETIMERCANCELLED, NULL);
    case TIMER_READY:
    case TIMER_DELIVERED:
    case TIMER_DELAYED:
    case TIMER_DEAD: return timer_tell(m, row, OP_CODE_TIMER_SET, HF_EFIRED, out);
    case TIMER_ABSENT: return HF_ECORRUPT;
    }
    *told = false;
    return HF_OK;
}

int timer_set(struct machine *m, const struct op_context *ctx, const void *request,
              struct reply_out *out)
{
    const struct msg_timer_set *set = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    struct row_timer row;
    bool told = false;
    bool frozen;
    int rv = timer_get(m, set->key, &row);
    bool absent = rv == HF_ENOTFOUND;
    if (rv != HF_OK && !absent) return rv;
    if (!absent) rv = tell_earlier(m, set, &row, out, &told);
    if (told) return rv;
    rv = freeze_covers(m, set->key, &frozen);
    if (rv != HF_OK) return rv;
    if (frozen) return reply_set(out, ctx->op, HF_EFROZEN, NULL);
    if (absent) {
        struct msg_quota refused;
        rv = principal_may(m, m->session.principal, QUOTA_TIMERS, 1, &refused);
        if (rv == HF_EQUOTA) return reply_set(out, ctx->op, HF_EQUOTA, &refused);
        if (rv != HF_OK) return rv;
        row = (struct row_timer){0};
    }
    return schedule(m, set, &row, out);
}

int timer_cancel(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_timer_cancel *cancel = request;
    struct row_timer row;
    HF_ASSERT(cancel->key.size >= 1);
    int rv = timer_get(m, cancel->key, &row);
    if (rv == HF_ENOTFOUND) return reply_set(out, ctx->op, HF_ENOTFOUND, NULL);
    if (rv != HF_OK) return rv;
    bool ends = row.state == TIMER_PENDING;
    if (row.state == TIMER_READY && planted(FIRED_AND_CANCELLED)) ends = true;
    if (ends) rv = timer_bury(m, cancel->key, &row, TIMER_CANCELLED);
    if (rv != HF_OK) return rv;
    if (row.state == TIMER_CANCELLED) return reply_set(out, ctx->op, HF_OK, NULL);
    return timer_tell(m, &row, ctx->op, HF_EFIRED, out);
}
