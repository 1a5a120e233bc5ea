/* BEGIN: who runs a key, who waits, who gets the result. One function, answer(), decides from the
 * record's state, for a request that just came and for one that was parked alike; a request parks
 * only while an attempt runs. docs/contract.md, section 6. */
#include "base/planted.h"
#include "machine/freeze.h"
#include "machine/parked.h"
#include "machine/principals.h"
#include "machine/record.h"
#include "machine/serve.h"
#include "machine/sessions.h"

enum { RUNNING_META_BYTES_MAX = 256 };

/* ------------------------------------------------------------------ answers */

/* STARTED, TAKEOVER and REPLAY: what is kept for a retry is the fixed part; body, headers and
 * checkpoint data are looked up again (contract, 2). Until they are found the kept part says that
 * they are not in it; it is also what CANCEL hands out.
 * \param token of the attempt that it tells of: no later record of this key has it. */
static int answer_whole(struct reply_out *out, const struct msg_begin_reply *whole,
                        struct slice key, uint64_t token)
{
    HF_ASSERT(token != 0);
    struct msg_begin_reply fixed = *whole;
    if (whole->checkpoint_data.size + whole->headers.size + whole->body.size != 0) {
        HF_ASSERT(whole->referent == REFERENT_WHOLE);
        fixed.checkpoint_data = (struct slice){0};
        fixed.headers = (struct slice){0};
        fixed.body = (struct slice){0};
        fixed.referent = REFERENT_GONE;
    }
    out->token = token;
    out->key = key;
    int rv = reply_set(out, OP_CODE_BEGIN, HF_OK, whole);
    if (rv != HF_OK) return rv;
    buffer_clear(out->stored);
    return codec_encode(&msg_begin_reply_type, &fixed, out->stored);
}

static int answer_replay(const struct row_record *row, struct slice key, struct reply_out *out)
{
    HF_ASSERT(row->state == RECORD_DONE || row->state == RECORD_FAILED);
    struct msg_begin_reply reply = {
        .verdict = BEGIN_REPLAY,
        .attempt = row->attempt,
        .secret_id = row->secret_id,
        .outcome = row->state,
        .code = row->code,
        .headers = row->headers,
        .body = row->body,
        .done_at_ms = row->done_at_ms,
        .referent = row->body_kind == BODY_ERASED ? REFERENT_GONE : REFERENT_WHOLE,
        .body_kind = row->body_kind,
    };
    return answer_whole(out, &reply, key, row->fencing_token);
}

static int answer_attempt(struct machine *m, const struct row_record *row, struct slice key,
                          enum begin_verdict verdict, struct reply_out *out)
{
    HF_ASSERT(row->state == RECORD_RUNNING && !row->lapsed);
    struct msg_begin_reply reply = {
        .verdict = verdict,
        .fencing_token = row->fencing_token,
        .attempt = row->attempt,
        .secret_id = row->secret_id,
        .checkpoint = row->checkpoint,
        .checkpoint_number = row->checkpoint_number,
        .external = row->external,
    };
    int rv = record_checkpoint_data(m, key, &reply.checkpoint_data);
    if (rv != HF_OK) return rv;
    return answer_whole(out, &reply, key, row->fencing_token);
}

static int answer_unknown(const struct row_record *row, struct reply_out *out)
{
    struct msg_unknown detail = {
        .fencing_token = row->fencing_token,
        .attempt = row->attempt,
        .checkpoint = row->checkpoint,
        .checkpoint_number = row->checkpoint_number,
        .external = row->external,
        .since_ms = row->since_ms,
    };
    return reply_set(out, OP_CODE_BEGIN, HF_ERECORDUNKNOWN, &detail);
}

static int answer_running(struct machine *m, const struct row_record *row, struct reply_out *out)
{
    struct msg_running detail = {
        .attempt = row->attempt,
        .meta = row->meta,
        .checkpoint = row->checkpoint,
    };
    if (detail.meta.size > RUNNING_META_BYTES_MAX) detail.meta.size = RUNNING_META_BYTES_MAX;
    int rv = record_lease_left(m, row, &detail.lease_left_ms);
    if (rv != HF_OK) return rv;
    return reply_set(out, OP_CODE_BEGIN, HF_ERUNNING, &detail);
}

static int answer_mismatch(enum record_state state, struct reply_out *out)
{
    struct msg_state detail = {.state = state};
    return reply_set(out, OP_CODE_BEGIN, HF_EMISMATCH, &detail);
}

/* ------------------------------------------------------------------ deciding */

/* The guard is a grant, by its token, of the lock that it names. */
static int guard_is_current(struct machine *m, const struct msg_begin *request, bool *current)
{
    *current = request->guard_name.size == 0;
    if (*current) return HF_OK;
    struct row_key token = row_key_u64(request->guard_token);
    struct row_grant grant;
    int rv = state_get(m, TABLE_GRANTS, row_key_slice(&token), &row_grant_type, &grant);
    if (rv == HF_ENOTFOUND) return HF_OK;
    if (rv != HF_OK) return rv;
    for (uint32_t i = 0; i < grant.names.count; i++) {
        if (slice_equal(grant.names.items[i], request->guard_name)) *current = true;
    }
    return HF_OK;
}

/* Why a new attempt may not begin, if it may not: HF_EQUOTA. A record that is there already may be
 * brought to its end by whoever comes, whatever its principal has: that frees. */
static int look_at_quotas(struct machine *m, const struct row_record *row,
                          const struct begin_call *call, struct msg_quota *refused)
{
    if (row->attempt == 0) { /* a new record */
        int rv = principal_may(m, row->principal, QUOTA_RECORDS, 1, refused);
        if (rv == HF_OK) rv = principal_may(m, row->principal, QUOTA_BYTES, 1, refused);
        if (rv != HF_OK) return rv;
    }
    if (call->request->lease_ms != 0) return HF_OK;
    struct row_session draft, *session;
    int rv = session_get(m, call->session, &draft, &session);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    /* One that waited counts as a waiter until it is answered: it takes its own place. */
    uint64_t load = session_load(session) - (call->waited ? 1 : 0);
    *refused = (struct msg_quota){QUOTA_SESSION_NAMES, load, SESSION_NAMES_MAX};
    return load < SESSION_NAMES_MAX ? HF_OK : HF_EQUOTA;
}

/* A new attempt at a record that is absent (a fresh row), RETRYABLE or lapsed. Refused, nothing is
 * written. */
static int begin_attempt(struct machine *m, struct slice key, struct row_record *row,
                         const struct begin_call *call, struct reply_out *out)
{
    bool current;
    struct msg_quota refused;
    int rv = guard_is_current(m, call->request, &current);
    if (rv != HF_OK) return rv;
    if (!current) return reply_set(out, OP_CODE_BEGIN, HF_EGUARDSTALE, NULL);
    rv = look_at_quotas(m, row, call, &refused);
    if (rv == HF_EQUOTA) return reply_set(out, OP_CODE_BEGIN, HF_EQUOTA, &refused);
    if (rv != HF_OK) return rv;

    bool lapsed = row->state == RECORD_RUNNING;
    rv = record_start(m, key, row, call);
    if (rv != HF_OK) return rv;
    rv = record_put(m, key, row);
    if (rv == HF_OK) rv = record_tell(m, key, row, RECORD_RUNNING);
    if (rv != HF_OK) return rv;
    return answer_attempt(m, row, key, lapsed ? BEGIN_TAKEOVER : BEGIN_STARTED, out);
}

/* Is `kept`, a fingerprint or the hash of one, that of this request? */
static bool is_same(struct slice kept, const struct msg_begin *request)
{
    uint8_t hash[HASH128_BYTES];
    if (kept.size == FINGERPRINT_BYTES) return slice_equal(kept, request->fingerprint);
    record_fingerprint_hash(request->fingerprint, hash);
    return slice_equal(kept, slice_make(hash, sizeof hash));
}

static bool is_too_old(const struct machine *m, const struct msg_begin *request)
{
    /* The least factor that ever was: tombstones that were made under it may have gone already. */
    uint64_t limit = setting_lowest(m, SETTING_TOMBSTONE_FACTOR) * request->retain_ms;
    uint64_t limit_max = setting_get(m, SETTING_KEY_AGE_MS_MAX);
    if (limit > limit_max) limit = limit_max;
    if (request->born_ms == 0 || m->meta.wall_ms <= request->born_ms) return false;
    return m->meta.wall_ms - request->born_ms > limit;
}

/* Nothing is stored under the key but, perhaps, a tombstone. */
static int answer_absent(struct machine *m, const struct begin_call *call, struct reply_out *out)
{
    const struct msg_begin *request = call->request;
    struct row_tombstone tombstone;
    int rv = state_get(m, TABLE_TOMBSTONES, request->key, &row_tombstone_type, &tombstone);
    if (rv == HF_OK) {
        bool same = is_same(tombstone.fingerprint_hash, request) || planted(TOMBSTONE_FINGERPRINT);
        if (!same) return answer_mismatch(RECORD_TOMBSTONE, out);
        return reply_set(out, OP_CODE_BEGIN, HF_EKEYEXPIRED, NULL);
    }
    if (rv != HF_ENOTFOUND) return rv;
    if (is_too_old(m, request)) return reply_set(out, OP_CODE_BEGIN, HF_EKEYTOOOLD, NULL);

    struct row_record fresh = {
        .fingerprint = request->fingerprint,
        .state = RECORD_RETRYABLE, /* until record_start() */
        .takeover = request->takeover,
        .retain_ms = request->retain_ms,
        .born_ms = request->born_ms,
        .secret_id = request->secret_id,
        .principal = m->session.principal,
    };
    HF_ASSERT(call->session == m->session_id); /* who waits, waits at a record that is there */
    return begin_attempt(m, request->key, &fresh, call, out);
}

/* Everything but a running attempt, which the callers treat. */
static int answer(struct machine *m, struct row_record *row, const struct begin_call *call,
                  struct reply_out *out)
{
    switch ((enum record_state)row->state) {
    case RECORD_DONE:
    case RECORD_FAILED: return answer_replay(row, call->request->key, out);
    case RECORD_UNKNOWN: return answer_unknown(row, out);
    case RECORD_RUNNING:
    case RECORD_RETRYABLE: return begin_attempt(m, call->request->key, row, call, out);
    case RECORD_ABSENT:
    case RECORD_TOMBSTONE: break;
    }
    return HF_ECORRUPT;
}

static int park(struct machine *m, const struct op_context *ctx, struct row_record *row,
                const struct msg_begin *request, struct reply_out *out)
{
    struct row_session draft, *session;
    int rv = session_get(m, ctx->envelope->session, &draft, &session);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    uint64_t load = session_load(session);
    if (row->parked_count >= RECORD_PARKED_MAX)
        return quota_tell(out, ctx->op, QUOTA_BEGIN_WAITERS, row->parked_count, RECORD_PARKED_MAX);
    if (load >= SESSION_NAMES_MAX)
        return quota_tell(out, ctx->op, QUOTA_SESSION_NAMES, load, SESSION_NAMES_MAX);
    struct msg_quota refused;
    rv = principal_may(m, session->principal, QUOTA_NAMES, 1, &refused);
    if (rv == HF_EQUOTA) return reply_set(out, ctx->op, HF_EQUOTA, &refused);
    if (rv != HF_OK) return rv;
    struct codec_strs names = {&request->key, 1};
    uint64_t ticket;
    rv = parked_put(m, ctx, TABLE_RECORD_QUEUE, names, 0, request->wait_ms, &ticket, out);
    if (rv != HF_OK) return rv;
    if (row->parked_count == 0) row->queue_first = ticket;
    row->parked_count++;
    return record_put(m, request->key, row);
}

/* An attempt runs; or the next one is theirs who wait already, and their serving was put off. */
static bool is_taken(const struct row_record *row)
{
    if (row->state == RECORD_RUNNING && !row->lapsed) return true;
    return row->parked_count > 0 &&
           (row->state == RECORD_RUNNING || row->state == RECORD_RETRYABLE);
}

int record_begin(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_begin *begin = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    struct begin_call call = {
        .request = begin,
        .session = ctx->envelope->session,
        .peer = ctx->envelope->peer,
        .traceparent = ctx->envelope->traceparent,
    };
    struct row_record row;
    bool frozen;
    int rv = freeze_covers(m, begin->key, &frozen);
    if (rv != HF_OK) return rv;
    rv = record_get(m, begin->key, &row);
    if (rv == HF_ENOTFOUND && frozen) return reply_set(out, ctx->op, HF_EFROZEN, NULL);
    if (rv == HF_ENOTFOUND) return answer_absent(m, &call, out);
    if (rv != HF_OK) return rv;
    bool same = is_same(row.fingerprint, begin) || planted(MISMATCH_REPLAYED);
    if (!same) {
        return answer_mismatch((enum record_state)row.state, out);
    }
    if (frozen) return reply_set(out, ctx->op, HF_EFROZEN, NULL);
    if (!is_taken(&row)) return answer(m, &row, &call, out);
    if (begin->wait_ms > 0) return park(m, ctx, &row, begin, out);
    return answer_running(m, &row, out);
}

/* ------------------------------------------------------------------ parked ones */

static int serve_one(struct machine *m, struct slice key, struct row_record *row,
                     const struct parked *p)
{
    struct msg_begin request;
    int rv = parked_request(m, p, &request);
    if (rv != HF_OK) return rv;
    struct begin_call call = {
        .request = &request,
        .session = p->session,
        .waited = true,
        .peer = p->row.peer,
        .traceparent = p->row.traceparent,
    };
    HF_ASSERT(row->parked_count > 0);
    row->parked_count--;
    row->queue_first = p->row.ticket + 1;
    rv = record_put(m, key, row);
    if (rv != HF_OK) return rv;
    struct reply_out out = parked_reply(m);
    rv = answer(m, row, &call, &out);
    if (rv != HF_OK) return rv;
    return parked_answer(m, p, &out);
}

int record_serve(struct machine *m, struct slice key)
{
    HF_ASSERT(key.size >= 1);
    bool frozen;
    int frozen_rv = freeze_covers(m, key, &frozen);
    if (frozen_rv != HF_OK || (frozen && !planted(FROZEN_SERVED))) return frozen_rv;
    for (;;) {
        size_t mark = state_mark(m);
        struct row_record row;
        struct parked p;
        int rv = record_get(m, key, &row);
        if (rv == HF_ENOTFOUND) return HF_OK;
        if (rv != HF_OK) return rv;
        if (row.parked_count == 0) return HF_OK;
        if (row.state == RECORD_RUNNING && !row.lapsed) return HF_OK; /* the others wait on */
        if (m->grants_left == 0) return HF_ETOOBUSY;
        m->grants_left--;
        rv = parked_from(m, TABLE_RECORD_QUEUE, key, row.queue_first, &p);
        if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
        rv = serve_one(m, key, &row, &p);
        if (rv != HF_OK) return rv;
        state_reset(m, mark);
    }
}

int record_wait_over(struct machine *m, const struct parked *p, struct reply_out *out)
{
    HF_ASSERT(p->row.names.count == 1);
    struct row_record row;
    struct slice key = p->row.names.items[0];
    int rv = record_get(m, key, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    /* It may have ended, and this one not be served yet: a serving has its limit. */
    if (row.state == RECORD_DONE || row.state == RECORD_FAILED)
        return answer_replay(&row, key, out);
    if (row.state == RECORD_UNKNOWN) return answer_unknown(&row, out);
    return answer_running(m, &row, out);
}

int record_left(struct machine *m, const struct parked *p)
{
    HF_ASSERT(p->row.names.count == 1);
    struct slice key = p->row.names.items[0];
    struct row_record row;
    int rv = record_get(m, key, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(row.parked_count > 0);
    row.parked_count--;
    return record_put(m, key, &row);
}

/* ------------------------------------------------------------------ retries */

/* Fill in what the stored, fixed part left out, if the record still has what it had then. */
static int refill(struct machine *m, const struct row_record *row, const struct row_reply *stored,
                  struct msg_begin_reply *reply)
{
    HF_ASSERT(reply->referent == REFERENT_GONE);
    if (row->fencing_token != stored->fencing_token) return HF_OK;
    bool ended = row->state == RECORD_DONE || row->state == RECORD_FAILED;
    if (reply->verdict == BEGIN_REPLAY) {
        if (row->state != reply->outcome) return HF_OK;
        reply->body_kind = row->body_kind;
        if (row->body_kind == BODY_ERASED) return HF_OK;
        reply->headers = row->headers;
        reply->body = row->body;
        reply->referent = REFERENT_WHOLE;
        return HF_OK;
    }
    if (ended || row->checkpoint_number != reply->checkpoint_number) return HF_OK;
    reply->referent = REFERENT_WHOLE;
    return record_checkpoint_data(m, stored->key, &reply->checkpoint_data);
}

int record_begin_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
                        struct reply_out *out)
{
    HF_ASSERT(session != 0);
    if (stored->status != HF_OK) return HF_OK;
    HF_ASSERT(stored->fencing_token != 0);
    struct msg_begin_reply reply;
    int rv = codec_decode(&msg_begin_reply_type, stored->body, NULL, &reply);
    if (rv != HF_OK) return HF_ECORRUPT;
    struct row_record row;
    rv = record_get(m, stored->key, &row);
    if (rv == HF_ENOTFOUND) return HF_OK; /* gone; what is stored says so */
    if (rv != HF_OK) return rv;
    out->stands = row.state == RECORD_RUNNING && row.fencing_token == reply.fencing_token;
    if (reply.referent == REFERENT_WHOLE) return HF_OK; /* it told of nothing that can change */
    rv = refill(m, &row, stored, &reply);
    if (rv != HF_OK) return rv;
    return reply_set(out, OP_CODE_BEGIN, HF_OK, &reply);
}
