/* Parked requests. Happy path: put writes five rows, answer removes them and stores the reply.
 * Failure modes: an index that names a request which is not there is HF_ECORRUPT. */
#include "machine/parked.h"

#include "machine/deadlines.h"
#include "machine/dispatch.h"
#include "machine/principals.h"
#include "machine/replies.h"
#include "machine/sessions.h"

enum { PARKED_REQUEST_BYTES_MAX = 512 };

int parked_put(struct machine *m, const struct op_context *ctx, enum machine_table queue,
               struct codec_strs names, uint64_t owner, uint64_t wait_ms, uint64_t *ticket,
               struct reply_out *out)
{
    HF_ASSERT(names.count >= 1);
    HF_ASSERT(wait_ms >= 1);
    HF_ASSERT(m->session_id == ctx->envelope->session);
    uint64_t session = ctx->envelope->session;
    uint64_t seq = ctx->envelope->seq;
    uint8_t hash[HASH128_BYTES];
    put_hash128(hash, ctx->hash);
    struct row_parked row = {
        .ticket = state_issue_ticket(m),
        .op = ctx->op,
        .owner = owner,
        .hash = slice_make(hash, sizeof hash),
        .since_ms = state_now(m),
        .until_ms = state_later(m, wait_ms),
        .queue = queue,
        .names = names,
        .peer = ctx->envelope->peer,
        .traceparent = ctx->envelope->traceparent,
        .body = ctx->body,
    };
    struct row_key key = row_key_pair(session, seq);
    struct slice id = row_key_slice(&key);
    int rv = state_put(m, TABLE_PARKED, id, &row_parked_type, &row);
    for (uint32_t i = 0; rv == HF_OK && i < names.count; i++) {
        struct row_key place = row_key_queue(names.items[i], row.ticket);
        rv = store_put(m->store, (uint8_t)queue, row_key_slice(&place), id);
    }
    if (rv == HF_OK && owner != 0) {
        struct row_key owner_key = row_key_pair(session, owner);
        rv = state_put_u64(m, TABLE_OWNERS, row_key_slice(&owner_key), seq);
    }
    if (rv == HF_OK) rv = deadline_put(m, row.until_ms, DEADLINE_WAIT, id);
    if (rv == HF_OK) rv = principal_add(m, m->session.principal, QUOTA_NAMES, names.count);
    if (rv != HF_OK) return rv;
    m->session.waiter_count += names.count;
    *ticket = row.ticket;
    out->parked = true;
    return HF_OK;
}

int parked_get(struct machine *m, uint64_t session, uint64_t seq, struct parked *p)
{
    struct row_key key = row_key_pair(session, seq);
    p->session = session;
    p->seq = seq;
    return state_get(m, TABLE_PARKED, row_key_slice(&key), &row_parked_type, &p->row);
}

int parked_from(struct machine *m, enum machine_table queue, struct slice name, uint64_t ticket,
                struct parked *p)
{
    struct row_key prefix = row_key_name_prefix(name);
    struct row_key from = row_key_queue(name, ticket);
    struct walk walk;
    int rv = walk_first(&walk, m, queue, &prefix, &from);
    if (rv != HF_OK) return rv;
    walk_close(&walk);
    if (walk.value.size != 16) return HF_ECORRUPT;
    rv = parked_get(m, get_u64(walk.value.data), get_u64(walk.value.data + 8), p);
    return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
}

int parked_first(struct machine *m, enum machine_table queue, struct slice name, uint64_t from,
                 uint64_t *ticket)
{
    struct row_key prefix = row_key_name_prefix(name);
    struct row_key from_key = row_key_queue(name, from);
    struct walk walk;
    int rv = walk_first(&walk, m, queue, &prefix, &from_key);
    if (rv != HF_OK) return rv;
    walk_close(&walk);
    *ticket = row_key_last(walk.key);
    return HF_OK;
}

int parked_request(struct machine *m, const struct parked *p, void *request)
{
    const struct op_info *info = op_find((uint16_t)p->row.op);
    if (info == NULL) return HF_ECORRUPT;
    int rv = codec_decode(info->request, p->row.body, &m->scratch, request);
    if (rv == HF_ENOMEM) return rv;
    return rv == HF_OK ? HF_OK : HF_ECORRUPT;
}

struct reply_out parked_reply(struct machine *m)
{
    buffer_clear(&m->woken);
    buffer_clear(&m->woken_stored);
    return (struct reply_out){.body = &m->woken, .stored = &m->woken_stored};
}

static int remove_rows(struct machine *m, const struct parked *p)
{
    struct row_key key = row_key_pair(p->session, p->seq);
    struct slice id = row_key_slice(&key);
    int rv = state_del(m, TABLE_PARKED, id);
    for (uint32_t i = 0; rv == HF_OK && i < p->row.names.count; i++) {
        struct row_key place = row_key_queue(p->row.names.items[i], p->row.ticket);
        rv = state_del(m, (enum machine_table)p->row.queue, row_key_slice(&place));
    }
    if (rv == HF_OK && p->row.owner != 0) {
        struct row_key owner_key = row_key_pair(p->session, p->row.owner);
        rv = state_del(m, TABLE_OWNERS, row_key_slice(&owner_key));
    }
    if (rv == HF_OK) rv = deadline_del(m, p->row.until_ms, DEADLINE_WAIT, id);
    return rv;
}

static int uncount(struct machine *m, uint64_t session, uint64_t names)
{
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(s->waiter_count >= names);
    s->waiter_count -= names;
    rv = session_put(m, session, s);
    return rv == HF_OK ? principal_remove(m, s->principal, QUOTA_NAMES, names) : rv;
}

int parked_answer(struct machine *m, const struct parked *p, const struct reply_out *out)
{
    HF_ASSERT(!out->parked);
    HF_ASSERT(out->body->size > 0);
    int rv = remove_rows(m, p);
    if (rv == HF_OK) rv = uncount(m, p->session, p->row.names.count);
    if (rv == HF_OK)
        rv = reply_store(m, p->session, p->seq, (uint16_t)p->row.op, p->row.hash.data, out);
    if (rv != HF_OK || m->sink->woken_cb == NULL) return rv;
    struct machine_reply reply = {.status = out->status, .body = buffer_slice(out->body)};
    m->sink->woken_cb(p->session, p->seq, &reply, m->sink->data);
    return HF_OK;
}

int parked_leave(struct machine *m, const struct parked *p, const struct reply_out *out)
{
    int rv = parked_answer(m, p, out);
    if (rv != HF_OK) return rv;
    const struct op_owner *owner = op_owner_find((uint16_t)p->row.op);
    HF_ASSERT(owner != NULL && owner->left != NULL);
    return owner->left(m, p);
}

int parked_end_session(struct machine *m, uint64_t session, enum end_reason reason)
{
    struct msg_ended ended = {.reason = reason, .at_ms = state_now(m)};
    struct row_key prefix = row_key_u64(session);
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_PARKED, &prefix, NULL);
    while (rv == HF_OK) {
        struct parked p = {.session = session, .seq = row_key_last(walk.key)};
        struct reply_out out = parked_reply(m);
        rv = state_decode(m, &row_parked_type, walk.value, &p.row);
        if (rv == HF_OK) rv = reply_set(&out, (uint16_t)p.row.op, HF_ESESSION, &ended);
        if (rv == HF_OK) rv = parked_leave(m, &p, &out);
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int parked_due(struct machine *m, struct slice id)
{
    if (id.size != 16) return HF_ECORRUPT;
    struct parked p;
    int rv = parked_get(m, get_u64(id.data), get_u64(id.data + 8), &p);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv; /* its session ended in this sweep */
    HF_ASSERT(p.row.until_ms <= state_now(m));
    const struct op_owner *owner = op_owner_find((uint16_t)p.row.op);
    HF_ASSERT(owner != NULL && owner->wait_over != NULL);
    struct reply_out out = parked_reply(m);
    rv = session_visit(m, p.session);
    if (rv == HF_OK) rv = owner->wait_over(m, &p, &out);
    if (rv == HF_OK) rv = parked_leave(m, &p, &out);
    return rv == HF_OK ? session_leave(m) : rv;
}
