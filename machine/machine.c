/* Entries in, rows and replies out; reads.
 *
 * Happy path of an entry: time moves, the sweep looks at the first deadline, each op is decoded
 * with the door's own decoder and checks, its session is held, renewed and acknowledged,
 * its handler runs, queues that it freed are served, the reply is stored and handed to the sink;
 * at the end the rows that are held for the whole entry are written: sessions', meta, a
 * principal's.
 *
 * Failure modes: an op that does not decode or breaks op_check() was never accepted at a door:
 * HF_ECORRUPT, like a row that does not read back. The process must end; the machine is then in
 * the middle of an entry and must not be used or flushed. */
#include <stdlib.h>

#include "base/planted.h"
#include "machine/deadlines.h"
#include "machine/dispatch.h"
#include "machine/events.h"
#include "machine/principals.h"
#include "machine/replies.h"
#include "machine/serve.h"
#include "machine/sessions.h"
#include "machine/sweep.h"
#include "machine/timer.h"
#include "protocol/frame.h"

enum {
    REQUEST_BYTES_MAX = 512,  /* the largest request struct */
    ROW_BYTES_MAX = 1 << 20,  /* above STORE_VALUE_BYTES_MAX, which asserts */
    REPLY_BYTES_MAX = 1 << 20 /* of an encoded answer: a frame's */
};

static const char META_KEY[] = "meta";

/* ------------------------------------------------------------------ open and close */

static int read_meta(struct machine *m)
{
    int rv = state_get(m, TABLE_META, slice_of(META_KEY), &row_meta_type, &m->meta);
    if (rv != HF_ENOTFOUND) return rv;
    for (uint8_t table = 0; table < TABLE_END; table++) {
        if (store_count(m->store, table) != 0) return HF_ECORRUPT; /* rows, and no meta row */
    }
    memset(&m->meta, 0, sizeof m->meta);
    return HF_OK;
}

static int read_first_deadline(struct machine *m)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_DEADLINES, &all, NULL);
    m->next_deadline_ms = rv == HF_OK ? get_u64(walk.key.data) : UINT64_MAX;
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int machine_open(struct store *store, struct machine **machine)
{
    HF_ASSERT(store != NULL);
    struct machine *m = calloc(1, sizeof *m);
    if (m == NULL) return HF_ENOMEM;
    m->store = store;
    buffer_init(&m->row, ROW_BYTES_MAX);
    buffer_init(&m->body, REPLY_BYTES_MAX);
    buffer_init(&m->stored, REPLY_STORED_BYTES_MAX);
    buffer_init(&m->woken, REPLY_BYTES_MAX);
    buffer_init(&m->woken_stored, REPLY_STORED_BYTES_MAX);
    int rv = arena_init(&m->scratch, SCRATCH_BYTES);
    if (rv == HF_OK) rv = arena_init(&m->keep, KEEP_BYTES);
    if (rv == HF_OK) rv = read_meta(m);
    if (rv == HF_OK) rv = read_first_deadline(m);
    if (rv == HF_OK) rv = settings_load(m);
    if (rv == HF_OK) rv = events_load(m);
    if (rv != HF_OK) {
        machine_close(m);
        return rv;
    }
    *machine = m;
    return HF_OK;
}

void machine_close(struct machine *m)
{
    if (m == NULL) return;
    buffer_close(&m->row);
    buffer_close(&m->body);
    buffer_close(&m->stored);
    buffer_close(&m->woken);
    buffer_close(&m->woken_stored);
    arena_close(&m->scratch);
    arena_close(&m->keep);
    free(m->serve);
    free(m->ending.items);
    free(m->ended_sessions.items);
    free(m);
}

/* ------------------------------------------------------------------ one op */

/* An op of an entry, decoded. */
struct decoded {
    uint32_t position;                               /* in the entry */
    struct op_context ctx;                           /* as handlers see it */
    struct envelope envelope;                        /* ctx.envelope */
    _Alignas(16) uint8_t request[REQUEST_BYTES_MAX]; /* a struct of the op's request type */
};

static void reply(struct machine *m, const struct decoded *d, const struct reply_out *out,
                  uint8_t flags)
{
    if (m->sink->reply_cb == NULL) return;
    struct machine_reply r = {
        .status = out->status,
        .flags = flags,
        .body = buffer_slice(out->body),
    };
    m->sink->reply_cb(d->position, &r, m->sink->data);
}

static int reply_plain(struct machine *m, const struct decoded *d, int status)
{
    struct reply_out out = {.body = &m->body, .stored = &m->stored};
    int rv = reply_set(&out, d->ctx.op, status, NULL);
    if (rv == HF_OK) reply(m, d, &out, 0);
    return rv;
}

static bool hash_equals(struct slice stored, struct hash128 hash)
{
    return stored.size == HASH128_BYTES && get_u64(stored.data) == hash.high &&
           get_u64(stored.data + 8) == hash.low;
}

/* A number that was seen before: its stored reply, or parked again, or another request's number.
 * \retval HF_ENOTFOUND it was not answered yet and does not wait. */
static int answer_again(struct machine *m, const struct decoded *d)
{
    uint64_t session = d->envelope.session;
    uint64_t seq = d->envelope.seq;
    struct row_reply stored;
    int rv = reply_find(m, session, seq, &stored);
    if (rv == HF_OK) {
        /* Cancelled before it came: whatever it is, it has no effect. */
        bool same = stored.hash.size == 0 || hash_equals(stored.hash, d->ctx.hash);
        if (!same) return reply_plain(m, d, HF_ESEQREUSED);
        struct reply_out out = {.body = &m->body, .stored = &m->stored};
        rv = reply_repeat(m, session, &stored, &out);
        if (rv != HF_OK) return rv;
        reply(m, d, &out, (uint8_t)(REPLY_REPEATED | (out.stands ? REPLY_STANDS : 0)));
        return HF_OK;
    }
    if (rv != HF_ENOTFOUND || m->session.waiter_count == 0) return rv;

    struct parked p;
    rv = parked_get(m, session, seq, &p);
    if (rv != HF_OK) return rv;
    if (!hash_equals(p.row.hash, d->ctx.hash)) return reply_plain(m, d, HF_ESEQREUSED);
    if (m->sink->parked_cb != NULL) m->sink->parked_cb(d->position, m->sink->data);
    return HF_OK;
}

/* Run the handler, serve what it freed, store and hand out the reply. */
static int run_handler(struct machine *m, const struct decoded *d)
{
    const struct op_owner *owner = op_owner_find(d->ctx.op);
    if (owner == NULL || owner->apply == NULL) return HF_ECORRUPT; /* the door refuses it */
    bool numbered = (op_find(d->ctx.op)->traits & OP_NUMBERED) != 0;
    struct reply_out out = {.body = &m->body, .stored = &m->stored};
    buffer_clear(&m->stored);
    int rv = owner->apply(m, &d->ctx, d->request, &out);
    if (rv == HF_OK && numbered && !out.parked) {
        uint8_t hash[HASH128_BYTES];
        put_hash128(hash, d->ctx.hash);
        rv = reply_store(m, d->envelope.session, d->envelope.seq, d->ctx.op, hash, &out);
    }
    if (rv == HF_OK && m->serve_count > 0) rv = serve_all(m);
    if (rv != HF_OK) return rv;
    if (!out.parked) {
        reply(m, d, &out, 0);
    } else if (m->sink->parked_cb != NULL) {
        m->sink->parked_cb(d->position, m->sink->data);
    }
    return HF_OK;
}

static int apply_numbered(struct machine *m, const struct decoded *d)
{
    uint64_t seq = d->envelope.seq;
    if (reply_is_gone(&m->session, seq)) return reply_plain(m, d, HF_EREPLYGONE);
    if (seq <= m->session.seq_highest) {
        int rv = answer_again(m, d);
        if (rv != HF_ENOTFOUND) return rv;
    } else {
        m->session.seq_highest = seq;
    }
    return run_handler(m, d);
}

/* An op of a tombstone: read only. What was answered is answered again; the rest was not applied
 * and never will be. RESUME proves its secret first, CANCEL looks for a reply. */
static int apply_to_tombstone(struct machine *m, const struct decoded *d)
{
    HF_ASSERT(m->session.ended != 0);
    if (d->ctx.op == OP_CODE_RESUME || d->ctx.op == OP_CODE_CANCEL) return run_handler(m, d);
    if (d->envelope.seq != 0) {
        if (reply_is_gone(&m->session, d->envelope.seq)) return reply_plain(m, d, HF_EREPLYGONE);
        int rv = answer_again(m, d);
        if (rv != HF_ENOTFOUND) return rv;
    }
    struct reply_out out = {.body = &m->body, .stored = &m->stored};
    int rv = session_tell_ended(&m->session, d->ctx.op, &out);
    if (rv == HF_OK) reply(m, d, &out, 0);
    return rv;
}

static int apply_to_session(struct machine *m, const struct decoded *d)
{
    int rv = session_hold(m, d->envelope.session);
    if (rv == HF_ENOTFOUND) return reply_plain(m, d, HF_ESESSIONUNKNOWN);
    if (rv != HF_OK) return rv;
    if (m->session.ended != 0) {
        rv = apply_to_tombstone(m, d);
        return rv == HF_OK ? session_flush(m) : rv; /* it may have ended in this very entry */
    }
    rv = replies_acknowledge(m, d->envelope.session, &m->session, &d->envelope);
    if (rv != HF_OK) return rv;
    /* RESUME renews when it has proved its secret; KEEP is nothing but a renewal. */
    bool renews =
        d->envelope.renews != 0 && d->ctx.op != OP_CODE_RESUME && !planted(REQUESTS_RENEW_NOTHING);
    if (renews || d->ctx.op == OP_CODE_KEEP)
        m->session.expires_ms = state_later(m, m->session.ttl_ms);
    rv = d->envelope.seq != 0 ? apply_numbered(m, d) : run_handler(m, d);
    return rv == HF_OK ? session_flush(m) : rv;
}

/* Decode as the door did, with the same checks. */
static int decode_op(struct machine *m, const struct entry_op *op, struct decoded *d)
{
    const struct op_info *info = op_find(op->op);
    const char *sentence;
    if (info == NULL || (info->traits & OP_WRITE) == 0) return HF_ECORRUPT;
    HF_ASSERT(info->request->struct_bytes <= sizeof d->request);
    int rv = codec_decode(&envelope_type, op->envelope, &m->scratch, &d->envelope);
    if (rv == HF_OK) rv = codec_decode(info->request, op->body, &m->scratch, d->request);
    if (rv == HF_ENOMEM) return rv;
    if (rv != HF_OK) return HF_ECORRUPT;
    struct client_envelope client = {
        .session = d->envelope.session,
        .seq = d->envelope.seq,
        .ack = d->envelope.ack,
        .ack_ranges = d->envelope.ack_ranges,
        .renews = d->envelope.renews,
    };
    if (envelope_check(op->op, &client, &sentence) != HF_OK) return HF_ECORRUPT;
    if (op_check(op->op, d->request, &sentence) != HF_OK) return HF_ECORRUPT;

    d->ctx = (struct op_context){.op = op->op, .envelope = &d->envelope, .body = op->body};
    if (d->envelope.seq != 0) d->ctx.hash = hash128(op->op, op->body.data, op->body.size);
    return HF_OK;
}

static int apply_op(struct machine *m, uint32_t position, const struct entry_op *op)
{
    HF_ASSERT(m->session_id == 0);
    HF_ASSERT(m->serve_count == 0);
    arena_reset(&m->scratch);
    arena_reset(&m->keep);
    m->ending.count = 0;
    m->ended_sessions.count = 0;
    struct decoded d;
    d.position = position;
    int rv = decode_op(m, op, &d);
    if (rv != HF_OK) return rv;
    return d.envelope.session != 0 ? apply_to_session(m, &d) : run_handler(m, &d);
}

/* ------------------------------------------------------------------ one entry */

static int move_time(struct machine *m, const struct entry_header *header)
{
    if (header->cluster_time_ms > TIME_MS_MAX || header->wall_ms > TIME_MS_MAX) return HF_ECORRUPT;
    if (header->cluster_time_ms > m->meta.time_ms) {
        m->meta.time_ms = header->cluster_time_ms;
        m->meta_changed = true;
    }
    if (header->wall_ms > m->meta.wall_ms) {
        m->meta.wall_ms = header->wall_ms;
        m->meta_changed = true;
    }
    return HF_OK;
}

/* What a sweep's bound is made of: the entry's ops, each of a TXN counted; no more than an entry
 * may have of others, so that memory is bounded whoever made the entry. */
static int weigh_ops(struct entry_reader reader, uint32_t op_count, uint64_t *weight)
{
    struct entry_op op;
    *weight = 0;
    for (uint32_t i = 0; i < op_count; i++) {
        int rv = entry_next(&reader, &op);
        if (rv != HF_OK) return rv;
        *weight += op_weight(op.op, op.body);
    }
    if (*weight > ENTRY_OPS_MAX) *weight = ENTRY_OPS_MAX;
    return HF_OK;
}

static int sweep(struct machine *m, const struct entry_header *header, struct entry_reader reader)
{
    uint64_t weight;
    bool held = (header->flags & ENTRY_HOLDS_SWEEP) != 0;
    if (held || state_now(m) < m->next_deadline_ms) return HF_OK;
    int rv = weigh_ops(reader, header->op_count, &weight);
    return rv == HF_OK ? sweep_run(m, weight) : rv;
}

static int apply_entry(struct machine *m, struct slice entry)
{
    struct entry_header header;
    struct entry_reader reader;
    int rv = entry_open(entry, &header, &reader);
    if (rv == HF_OK) rv = move_time(m, &header);
    if (rv != HF_OK) return rv;

    arena_reset(&m->scratch);
    arena_reset(&m->keep);
    m->ending.count = 0;
    m->ended_sessions.count = 0;
    m->deliveries_left = DELIVERIES_AN_ENTRY_MAX;
    rv = sweep(m, &header, reader);
    struct entry_op op;
    for (uint32_t i = 0; rv == HF_OK && i < header.op_count; i++) {
        rv = entry_next(&reader, &op);
        if (rv == HF_OK) rv = apply_op(m, i, &op);
    }
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    return entry_next(&reader, &op) == HF_ENOTFOUND ? HF_OK : HF_ECORRUPT;
}

int machine_apply(struct machine *m, struct slice entry, const struct machine_sink *sink)
{
    static const struct machine_sink nobody = {0};
    HF_ASSERT(m != NULL);
    HF_ASSERT(m->sink == NULL); /* a sink's callback may not come back in here */
    m->sink = sink != NULL ? sink : &nobody;
    int rv = apply_entry(m, entry);
    if (rv == HF_OK) rv = session_settle_all(m);
    if (rv == HF_OK) rv = principal_flush(m);
    if (rv == HF_OK && m->meta_changed) {
        rv = state_put(m, TABLE_META, slice_of(META_KEY), &row_meta_type, &m->meta);
        m->meta_changed = false;
    }
    m->sink = NULL;
    return rv;
}

int machine_read(struct machine *m, uint16_t op, const void *request, uint64_t elapsed_ms,
                 struct buffer *body, int *status)
{
    const struct op_owner *owner = op_owner_find(op);
    HF_ASSERT(owner != NULL && owner->read != NULL);
    HF_ASSERT(m->sink == NULL);
    arena_reset(&m->scratch);
    arena_reset(&m->keep);
    struct reply_out out = {.body = body, .stored = &m->stored};
    int rv = owner->read(m, request, elapsed_ms, &out);
    if (rv == HF_OK) *status = out.status;
    return rv;
}

int machine_watch(struct machine *m, const struct msg_watch *watch, struct buffer *body,
                  int *status, struct watch_found *found)
{
    HF_ASSERT(m->sink == NULL);
    arena_reset(&m->scratch);
    arena_reset(&m->keep);
    struct reply_out out = {.body = body, .stored = &m->stored};
    int rv = events_read(m, watch, &out, found);
    if (rv == HF_OK) *status = out.status;
    return rv;
}

/* ------------------------------------------------------------------ numbers */

uint64_t machine_event_next(const struct machine *m)
{
    return events_next(m);
}

uint64_t machine_time_ms(const struct machine *m)
{
    return m->meta.time_ms;
}

uint64_t machine_wall_ms(const struct machine *m)
{
    return m->meta.wall_ms;
}

uint64_t machine_next_deadline_ms(const struct machine *m)
{
    return m->next_deadline_ms;
}

int machine_session_peek(struct machine *m, uint64_t session, uint32_t *unacked_count,
                         uint32_t *unacked_bytes)
{
    HF_ASSERT(m->sink == NULL);
    *unacked_count = 0;
    *unacked_bytes = 0;
    if (session == 0) return HF_ESESSIONUNKNOWN;
    arena_reset(&m->scratch);
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ESESSIONUNKNOWN : rv;
    *unacked_count = (uint32_t)s->unacked_count;
    *unacked_bytes = (uint32_t)s->unacked_bytes;
    return s->ended == 0 ? HF_OK : HF_ESESSION;
}

int machine_request_peek(struct machine *m, uint64_t session, uint64_t seq)
{
    HF_ASSERT(m->sink == NULL);
    HF_ASSERT(seq != 0);
    if (session == 0) return HF_ENOTFOUND;
    arena_reset(&m->scratch);
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, session, &draft, &s);
    if (rv != HF_OK) return rv;
    if (reply_is_gone(s, seq)) return HF_OK;
    struct row_reply reply;
    rv = reply_find(m, session, seq, &reply);
    if (rv != HF_ENOTFOUND) return rv;
    struct parked parked;
    return parked_get(m, session, seq, &parked);
}

int machine_timer_ready(struct machine *m, struct slice group)
{
    HF_ASSERT(m->sink == NULL);
    arena_reset(&m->scratch);
    return timer_group_is_ready(m, group);
}

uint64_t machine_setting(const struct machine *m, enum setting setting, uint64_t unset)
{
    HF_ASSERT(setting < SETTING_COUNT);
    return m->settings[setting].changes > 0 ? m->settings[setting].value : unset;
}

void machine_count(const struct machine *m, struct machine_counts *out)
{
    *out = (struct machine_counts){
        .session_count = m->meta.session_count,
        .lock_count = store_count(m->store, TABLE_LOCKS),
        .waiter_count = store_count(m->store, TABLE_PARKED),
        .record_count = store_count(m->store, TABLE_RECORDS),
        .deadlock_unknown_count = m->deadlock_unknown_count,
    };
}
