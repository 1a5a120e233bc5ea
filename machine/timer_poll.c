/* POLL: the first ready timers of a group go to who asks, under a lease and a fencing token each.
 * In the log it never waits: with nothing ready it answers with nothing; who waits, waits in the
 * leader's memory (server/replica_polls.c).
 *
 * A reply of up to half a megabyte is not kept for a retry: kept are the number of deliveries and
 * the first of their tokens, which follow each other. A repeated answer finds them again by these,
 * as far as they stand still. An entry delivers DELIVERIES_AN_ENTRY_MAX at most, over all its
 * POLLs: one that comes after these gets fewer, maybe none, and asks again. */
#include "machine/timer.h"

static int fill(struct machine *m, struct slice key, const struct row_timer *row,
                struct timer_delivery *delivery)
{
    *delivery = (struct timer_delivery){
        .key = key,
        .version = row->version,
        .fencing_token = row->fencing_token,
        .attempt = row->attempt,
        .attempts_max = row->attempts_max,
        .late_ms = state_now(m) - row->set_ms,
    };
    return timer_payload(m, key, row, &delivery->payload);
}

/* The keys of the first ready timers. \param keys  Out: in `keep`, as their bytes are. */
static int find_ready(struct machine *m, struct slice group, struct slice *keys, uint32_t count_max,
                      uint32_t *count)
{
    struct row_key prefix = row_key_timer_group(group);
    struct walk walk;
    *count = 0;
    if (count_max == 0) return HF_OK;
    int rv = walk_first(&walk, m, TABLE_TIMER_QUEUE, &prefix, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        size_t before = prefix.size + sizeof(uint64_t);
        HF_ASSERT(walk.key.size > before);
        size_t size = walk.key.size - before;
        uint8_t *copy = arena_take(&m->keep, size);
        if (copy == NULL) {
            rv = HF_ENOMEM;
            break;
        }
        memcpy(copy, walk.key.data + before, size);
        keys[(*count)++] = slice_make(copy, size);
        if (*count == count_max) break;
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int deliver(struct machine *m, const struct msg_timer_poll *poll, struct slice key,
                   struct row_timer *row, struct timer_delivery *delivery)
{
    HF_ASSERT(row->state == TIMER_READY);
    HF_ASSERT(row->attempt < row->attempts_max);
    int rv = timer_set_token(m, key, row, state_issue_token(m));
    row->attempt += 1;
    if (rv == HF_OK) rv = timer_move(m, key, row, TIMER_DELIVERED, state_later(m, poll->lease_ms));
    return rv == HF_OK ? fill(m, key, row, delivery) : rv;
}

/* What is kept is the answer without its list. */
static int answer(struct reply_out *out, const struct msg_timer_poll_reply *whole)
{
    int rv = reply_set(out, OP_CODE_TIMER_POLL, HF_OK, whole);
    if (rv != HF_OK || whole->count == 0) return rv;
    struct msg_timer_poll_reply fixed = *whole;
    fixed.deliveries = (struct codec_list){0};
    out->token = whole->first_token;
    buffer_clear(out->stored);
    return codec_encode(&msg_timer_poll_reply_type, &fixed, out->stored);
}

int timer_poll(struct machine *m, const struct op_context *ctx, const void *request,
               struct reply_out *out)
{
    const struct msg_timer_poll *poll = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    HF_ASSERT(poll->count_max <= TIMER_POLL_MAX);
    struct slice keys[TIMER_POLL_MAX];
    uint32_t found, count = 0;
    uint32_t count_max = (uint32_t)poll->count_max;
    if (count_max > m->deliveries_left) count_max = m->deliveries_left;
    int rv = find_ready(m, poll->group, keys, count_max, &found);
    struct timer_delivery *deliveries = arena_take(&m->scratch, (found + 1) * sizeof *deliveries);
    if (rv == HF_OK && deliveries == NULL) rv = HF_ENOMEM;
    size_t bytes = 0;
    for (; rv == HF_OK && count < found; count++) {
        struct row_timer row;
        rv = timer_get(m, keys[count], &row);
        if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
        bytes += keys[count].size + row.payload_bytes;
        if (bytes > TIMER_POLL_BYTES_MAX) break; /* the rest stays ready */
        rv = deliver(m, poll, keys[count], &row, &deliveries[count]);
    }
    if (rv != HF_OK) return rv;
    m->deliveries_left -= count;
    const struct msg_timer_poll_reply reply = {
        .deliveries = {deliveries, count},
        .first_token = count > 0 ? deliveries[0].fencing_token : 0,
        .count = count,
        .lease_ms = poll->lease_ms,
    };
    return answer(out, &reply);
}

/* ------------------------------------------------------------------ a repeated answer */

/* The delivery of this token, if it stands. \retval HF_ENOTFOUND */
static int find_delivery(struct machine *m, uint64_t token, struct timer_delivery *delivery)
{
    struct row_key at = row_key_u64(token);
    struct slice key;
    struct row_timer row;
    int rv = store_get(m->store, TABLE_TIMER_TOKENS, row_key_slice(&at), &key);
    if (rv == HF_OK) rv = state_copy(m, key, &key);
    if (rv != HF_OK) return rv;
    rv = timer_get(m, key, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(row.fencing_token == token);
    if (row.state != TIMER_DELIVERED) return HF_ENOTFOUND; /* its lease is over */
    return fill(m, key, &row, delivery);
}

int timer_poll_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
                      struct reply_out *out)
{
    HF_ASSERT(session != 0);
    if (stored->status != HF_OK) return HF_OK;
    struct msg_timer_poll_reply reply;
    int rv = codec_decode(&msg_timer_poll_reply_type, stored->body, &m->scratch, &reply);
    if (rv != HF_OK) return HF_ECORRUPT;
    struct timer_delivery *deliveries =
        arena_take(&m->scratch, (reply.count + 1) * sizeof *deliveries);
    if (deliveries == NULL) return HF_ENOMEM;
    uint32_t count = 0;
    for (uint64_t i = 0; i < reply.count; i++) {
        rv = find_delivery(m, reply.first_token + i, &deliveries[count]);
        if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
        if (rv == HF_OK) count += 1;
    }
    reply.deliveries = (struct codec_list){deliveries, count};
    out->stands = count > 0 && count == reply.count;
    return reply_set(out, OP_CODE_TIMER_POLL, HF_OK, &reply);
}
