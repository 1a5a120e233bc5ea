/* ACK and NACK of a delivery, by its fencing token. An ACK that comes after its lease's end is good
 * as long as nobody was given the timer anew: what was done is done, and log order decides. A NACK
 * gives back what the lease still covers, or nothing. With the key told an ACK may be repeated, and
 * finds in the tombstone that it was this very delivery's. */
#include "base/planted.h"
#include "machine/timer.h"

/* The timer of a request. \param key  Out: told, or found by the token; then in scratch.
 * \retval HF_ENOTFOUND nothing is known of it, or not by the token alone. */
static int find(struct machine *m, const struct msg_timer_ack *ack, struct slice *key,
                struct row_timer *row)
{
    *key = ack->key;
    if (key->size == 0) {
        struct row_key token = row_key_u64(ack->fencing_token);
        struct slice stored;
        int rv = store_get(m->store, TABLE_TIMER_TOKENS, row_key_slice(&token), &stored);
        if (rv == HF_OK) rv = state_copy(m, stored, key);
        if (rv != HF_OK) return rv;
    }
    return timer_get(m, *key, row);
}

static const char NEVER_ISSUED[] = "this fencing token was never issued";

int timer_ack(struct machine *m, const struct op_context *ctx, const void *request,
              struct reply_out *out)
{
    const struct msg_timer_ack *ack = request;
    struct slice key;
    struct row_timer row;
    HF_ASSERT(ack->fencing_token != 0);
    if (state_token_is_future(m, ack->fencing_token))
        return reply_complain(out, ctx->op, NEVER_ISSUED);
    int rv = find(m, ack, &key, &row);
    if (rv == HF_ENOTFOUND)
        return reply_set(out, ctx->op, ack->key.size > 0 ? HF_ENOTFOUND : HF_ESTALE, NULL);
    if (rv != HF_OK) return rv;
    if (row.fencing_token != ack->fencing_token) return reply_set(out, ctx->op, HF_ESTALE, NULL);
    HF_ASSERT(row.fired_ms != 0);
    bool ends = row.state != TIMER_ACKED;
    if (row.state == TIMER_READY && planted(DELIVERED_AFTER_ACK)) ends = false;
    if (ends) rv = timer_bury(m, key, &row, TIMER_ACKED);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, NULL) : rv;
}

int timer_nack(struct machine *m, const struct op_context *ctx, const void *request,
               struct reply_out *out)
{
    const struct msg_timer_nack *nack = request;
    const struct msg_timer_ack ack = {nack->key, nack->fencing_token};
    struct slice key;
    struct row_timer row;
    HF_ASSERT(ack.fencing_token != 0);
    if (state_token_is_future(m, ack.fencing_token))
        return reply_complain(out, ctx->op, NEVER_ISSUED);
    int rv = find(m, &ack, &key, &row);
    if (rv == HF_ENOTFOUND)
        return reply_set(out, ctx->op, ack.key.size > 0 ? HF_ENOTFOUND : HF_ESTALE, NULL);
    if (rv != HF_OK) return rv;
    if (row.fencing_token != ack.fencing_token || row.state != TIMER_DELIVERED)
        return reply_set(out, ctx->op, HF_ESTALE, NULL);
    rv = timer_set_token(m, key, &row, 0);
    if (planted(NACK_NOT_COUNTED)) row.attempt -= 1;
    if (rv == HF_OK) rv = timer_end_delivery(m, key, &row, state_later(m, nack->delay_ms));
    const struct msg_timer_nack_reply reply = {.dead = row.state == TIMER_DEAD};
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, &reply) : rv;
}
