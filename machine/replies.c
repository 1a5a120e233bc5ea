/* Stored replies. Happy path: an op's answer is stored under its seq, the next request
 * acknowledges it, the row goes: two rows touched, no walk. Failure modes: none but faults; what a
 * client does wrong (a reused number, an acknowledged one) is an answer. */
#include "machine/replies.h"

#include "base/planted.h"
#include "machine/sessions.h"

enum {
    STEPS_BY_KEY = 8, /* so many seqs are dropped one by one before a walk is cheaper */
    /* CANCELs of numbers that never came store a row each; no client has more open requests. */
    CANCELLED_MAX = 2 * (UNACKED_MAX + UNACKED_RESERVE),
};

/* ------------------------------------------------------------------ acknowledging */

static int drop_row(struct machine *m, struct row_session *s, struct slice key, size_t row_bytes)
{
    HF_ASSERT(s->unacked_count >= 1);
    HF_ASSERT(s->unacked_bytes >= row_bytes);
    s->unacked_count -= 1;
    s->unacked_bytes -= row_bytes;
    return state_del(m, TABLE_REPLIES, key);
}

static int drop_one(struct machine *m, uint64_t session, struct row_session *s, uint64_t seq)
{
    struct row_key key = row_key_pair(session, seq);
    struct slice value;
    int rv = store_get(m->store, TABLE_REPLIES, row_key_slice(&key), &value);
    if (rv == HF_ENOTFOUND) return HF_OK;
    return rv == HF_OK ? drop_row(m, s, row_key_slice(&key), value.size) : rv;
}

/* Drop the replies of first..last. */
static int drop_range(struct machine *m, uint64_t session, struct row_session *s, uint64_t first,
                      uint64_t last)
{
    HF_ASSERT(first >= 1);
    HF_ASSERT(first <= last);
    int rv = HF_OK;
    if (last - first < STEPS_BY_KEY) {
        for (uint64_t seq = first; rv == HF_OK && s->unacked_count > 0 && seq < last; seq++)
            rv = drop_one(m, session, s, seq);
        if (rv == HF_OK && s->unacked_count > 0) rv = drop_one(m, session, s, last);
        return rv;
    }
    if (s->unacked_count == 0) return HF_OK;
    struct row_key prefix = row_key_u64(session);
    struct row_key from = row_key_pair(session, first);
    struct walk walk;
    for (rv = walk_first(&walk, m, TABLE_REPLIES, &prefix, &from); rv == HF_OK;
         rv = walk_next(&walk)) {
        if (row_key_last(walk.key) > last) break;
        rv = drop_row(m, s, walk.key, walk.value.size);
        if (rv != HF_OK) break;
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* The ranges that a session keeps, while an envelope is joined to them. */
struct joined {
    struct ack_range *items; /* rising, apart by at least one seq */
    uint32_t count;
};

static bool covers(const struct joined *j, const struct ack_range *range)
{
    for (uint32_t i = 0; i < j->count && j->items[i].first <= range->first; i++) {
        if (j->items[i].last >= range->last) return true;
    }
    return false;
}

/* Put first..last among the ranges. False: it touches none of them and there is no room. */
static bool join_range(struct joined *j, uint64_t first, uint64_t last)
{
    uint32_t at = 0;
    while (at < j->count && j->items[at].last < first - 1) at++;
    uint32_t end = at; /* at..end-1 touch or overlap it */
    while (end < j->count && (last == UINT64_MAX || j->items[end].first <= last + 1)) {
        if (j->items[end].first < first) first = j->items[end].first;
        if (j->items[end].last > last) last = j->items[end].last;
        end++;
    }
    if (end == at && j->count == ACK_RANGES_KEPT_MAX) return false;
    memmove(&j->items[at + 1], &j->items[end], (j->count - end) * sizeof *j->items);
    j->count = j->count - (end - at) + 1;
    j->items[at] = (struct ack_range){.first = first, .last = last};
    HF_ASSERT(j->count <= ACK_RANGES_KEPT_MAX);
    return true;
}

/* Forget the ranges that ack has reached; ack moves over those that touch it. */
static void absorb(struct joined *j, struct row_session *s)
{
    uint32_t gone = 0;
    while (gone < j->count && j->items[gone].first - 1 <= s->ack) {
        if (j->items[gone].last > s->ack) s->ack = j->items[gone].last;
        gone++;
    }
    memmove(j->items, j->items + gone, (j->count - gone) * sizeof *j->items);
    j->count -= gone;
}

static int acknowledge_ranges(struct machine *m, uint64_t session, struct row_session *s,
                              const struct envelope *envelope)
{
    struct joined j = {.count = s->ack_ranges.count};
    j.items = arena_take(&m->scratch, (ACK_RANGES_KEPT_MAX + 1) * sizeof *j.items);
    if (j.items == NULL) return HF_ENOMEM;
    if (j.count != 0) memcpy(j.items, s->ack_ranges.items, j.count * sizeof *j.items);

    int rv = HF_OK;
    const struct ack_range *ranges = envelope->ack_ranges.items;
    for (uint32_t i = 0; rv == HF_OK && i < envelope->ack_ranges.count; i++) {
        if (ranges[i].last <= s->ack || covers(&j, &ranges[i])) continue;
        if (!join_range(&j, ranges[i].first, ranges[i].last)) continue;
        rv = drop_range(m, session, s, ranges[i].first, ranges[i].last);
    }
    absorb(&j, s);
    s->ack_ranges = (struct codec_list){j.items, j.count};
    return rv;
}

int replies_acknowledge(struct machine *m, uint64_t session, struct row_session *s,
                        const struct envelope *envelope)
{
    HF_ASSERT(s->ended == 0);
    HF_ASSERT(s->ack_ranges.count <= ACK_RANGES_KEPT_MAX);
    if (envelope->ack > s->ack) {
        uint64_t first = s->ack + 1;
        s->ack = envelope->ack;
        int rv = drop_range(m, session, s, first, envelope->ack);
        if (rv != HF_OK) return rv;
    }
    if (envelope->ack_ranges.count == 0 && s->ack_ranges.count == 0) return HF_OK;
    return acknowledge_ranges(m, session, s, envelope);
}

bool reply_is_gone(const struct row_session *s, uint64_t seq)
{
    if (seq <= s->ack) return true;
    const struct ack_range *ranges = s->ack_ranges.items;
    for (uint32_t i = 0; i < s->ack_ranges.count; i++) {
        if (seq < ranges[i].first) return false;
        if (seq <= ranges[i].last) return true;
    }
    return false;
}

/* ------------------------------------------------------------------ storing */

int reply_find(struct machine *m, uint64_t session, uint64_t seq, struct row_reply *reply)
{
    struct row_key key = row_key_pair(session, seq);
    return state_get(m, TABLE_REPLIES, row_key_slice(&key), &row_reply_type, reply);
}

int reply_store(struct machine *m, uint64_t session, uint64_t seq, uint16_t op,
                const uint8_t hash[HASH128_BYTES], const struct reply_out *out)
{
    HF_ASSERT(!out->parked);
    HF_ASSERT(status_kind(out->status) != STATUS_FAULT);
    const struct buffer *body = out->stored->size > 0 ? out->stored : out->body;
    HF_ASSERT(body->size <= REPLY_STORED_BYTES_MAX);
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (reply_is_gone(s, seq)) return HF_OK; /* acknowledged unanswered: nobody will ask */

    struct row_reply row = {
        .hash = slice_make(hash, hash != NULL ? HASH128_BYTES : 0),
        .op = op,
        .status = out->status,
        .fencing_token = out->token,
        .key = out->key,
        .body = buffer_slice(body),
    };
    struct row_key key = row_key_pair(session, seq);
    rv = state_put(m, TABLE_REPLIES, row_key_slice(&key), &row_reply_type, &row);
    if (rv != HF_OK) return rv;
    s->unacked_count += 1;
    s->unacked_bytes += m->row.size;
    if (seq > s->seq_highest) s->seq_highest = seq;
    return session_put(m, session, s);
}

int reply_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
                 struct reply_out *out)
{
    HF_ASSERT(stored->body.size > 0);
    out->status = stored->status;
    out->stands = false;
    buffer_clear(out->body);
    int rv = buffer_append(out->body, stored->body.data, stored->body.size);
    if (rv != HF_OK) return rv;
    const struct op_owner *owner = op_owner_find((uint16_t)stored->op);
    if (owner == NULL || owner->repeat == NULL) return HF_OK;
    return owner->repeat(m, session, stored, out);
}

int replies_forget(struct machine *m, uint64_t session)
{
    struct row_key prefix = row_key_u64(session);
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_REPLIES, &prefix, NULL);
    while (rv == HF_OK) {
        rv = state_del(m, TABLE_REPLIES, walk.key);
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* ------------------------------------------------------------------ CANCEL */

static int tell_cancelled(struct reply_out *out, uint64_t op)
{
    struct msg_cancel_reply reply = {.status = HF_ECANCELLED, .op = op};
    return reply_set(out, OP_CODE_CANCEL, HF_OK, &reply);
}

/* It was answered: hand out its own answer, which its client may then give back. */
static int tell_answered(struct machine *m, uint64_t session, const struct row_reply *stored,
                         struct reply_out *out)
{
    struct reply_out again = parked_reply(m);
    int rv = reply_repeat(m, session, stored, &again);
    if (rv != HF_OK) return rv;
    struct msg_cancel_reply reply = {
        .status = stored->status,
        .op = stored->op,
        .stands = again.stands,
        .body = stored->body,
    };
    return reply_set(out, OP_CODE_CANCEL, HF_OK, &reply);
}

static int cancel_parked(struct machine *m, const struct parked *p, struct reply_out *out)
{
    struct reply_out answer = parked_reply(m);
    int rv = reply_set(&answer, (uint16_t)p->row.op, HF_ECANCELLED, NULL);
    if (rv == HF_OK) rv = parked_leave(m, p, &answer);
    return rv == HF_OK ? tell_cancelled(out, p->row.op) : rv;
}

/* It never came: whenever it does, it has no effect. */
static int cancel_unseen(struct machine *m, uint64_t session, const struct row_session *s,
                         uint64_t seq, struct reply_out *out)
{
    if (seq > s->seq_highest && seq - s->seq_highest > SEQ_AHEAD_MAX)
        return reply_complain(out, OP_CODE_CANCEL,
                              "target_seq is more than 4096 above the highest seen");
    if (s->unacked_count >= CANCELLED_MAX) return reply_set(out, OP_CODE_CANCEL, HF_EUNACKED, NULL);
    struct reply_out answer = parked_reply(m);
    int rv = reply_set(&answer, 0, HF_ECANCELLED, NULL);
    if (rv == HF_OK && !planted(CANCEL_FORGOTTEN))
        rv = reply_store(m, session, seq, 0, NULL, &answer);
    return rv == HF_OK ? tell_cancelled(out, 0) : rv;
}

int reply_cancel(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_cancel *cancel = request;
    uint64_t session = ctx->envelope->session;
    uint64_t seq = cancel->target_seq;
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, session, &draft, &s);
    if (rv != HF_OK) return rv;
    if (reply_is_gone(s, seq)) return reply_set(out, OP_CODE_CANCEL, HF_EREPLYGONE, NULL);

    struct row_reply stored;
    rv = reply_find(m, session, seq, &stored);
    if (rv == HF_OK) return tell_answered(m, session, &stored, out);
    if (rv != HF_ENOTFOUND) return rv;
    if (s->ended != 0) return session_tell_ended(s, OP_CODE_CANCEL, out);

    struct parked p;
    rv = parked_get(m, session, seq, &p);
    if (rv == HF_OK) return cancel_parked(m, &p, out);
    if (rv != HF_ENOTFOUND) return rv;
    return cancel_unseen(m, session, s, seq, out);
}
