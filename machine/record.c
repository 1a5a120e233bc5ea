/* A record's row, and its moves from state to state. Nothing here answers a request; see
 * machine/record.h for who does. The deadline row follows the state in one place, record_put(), so
 * that no move can forget it. */
#include "machine/record.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/planted.h"
#include "machine/acts.h"
#include "machine/deadlines.h"
#include "machine/events.h"
#include "machine/principals.h"
#include "machine/serve.h"
#include "machine/sessions.h"

int record_get(struct machine *m, struct slice key, struct row_record *row)
{
    HF_ASSERT(key.size >= 1 && key.size <= NAME_BYTES_MAX);
    return state_get(m, TABLE_RECORDS, key, &row_record_type, row);
}

uint64_t record_reaped_at(const struct row_record *row)
{
    bool unmarked = !row->marked || planted(MARKED_REAPED);
    bool lapsed_unmarked = row->state == RECORD_RUNNING && row->lapsed && unmarked;
    bool ended =
        row->state == RECORD_DONE || row->state == RECORD_FAILED || row->state == RECORD_RETRYABLE;
    if (!ended && !lapsed_unmarked) return UINT64_MAX;
    uint64_t at_ms = row->since_ms + row->retain_ms;
    return at_ms < TIME_MS_MAX ? at_ms : TIME_MS_MAX;
}

/* Where the deadline row must stand: a lower bound of the lease's end, or of the retention's. */
static uint64_t wanted_deadline(const struct row_record *row, enum deadline_kind *kind)
{
    if (row->state == RECORD_RUNNING && !row->lapsed && !row->bound) {
        *kind = DEADLINE_ATTEMPT;
        return row->lease_until_ms;
    }
    *kind = DEADLINE_RETENTION;
    uint64_t at_ms = record_reaped_at(row);
    return at_ms != UINT64_MAX ? at_ms : 0;
}

static int settle_deadline(struct machine *m, struct slice key, struct row_record *row)
{
    enum deadline_kind kind;
    uint64_t at_ms = wanted_deadline(row, &kind);
    HF_ASSERT(kind == DEADLINE_ATTEMPT || kind == DEADLINE_RETENTION);
    const struct deadline_place place = {&row->deadline_ms, &row->deadline_kind};
    return deadline_settle(m, place, at_ms, kind, key);
}

bool record_is_open(const struct row_record *row)
{
    return row->state != RECORD_DONE && row->state != RECORD_FAILED;
}

uint64_t record_bytes_of(struct slice key, const struct row_record *row)
{
    return RECORD_BYTES_EACH + key.size + row->meta.size + row->headers.size + row->body.size +
           row->evidence.size + row->checkpoint_bytes;
}

static int count(struct machine *m, struct row_record *row, bool open, uint64_t bytes)
{
    const struct principal_share share = {row->principal, &row->counted_open, &row->counted_bytes};
    return principal_settle(m, share, open, bytes);
}

int record_put(struct machine *m, struct slice key, struct row_record *row)
{
    HF_ASSERT(row->state != RECORD_RUNNING || row->external == MARK_NONE || row->marked);
    HF_ASSERT(row->lapsed == 0 || row->bound == 0);
    int rv = settle_deadline(m, key, row);
    if (rv == HF_OK) rv = count(m, row, record_is_open(row), record_bytes_of(key, row));
    if (rv != HF_OK) return rv;
    return state_put(m, TABLE_RECORDS, key, &row_record_type, row);
}

int record_del(struct machine *m, struct slice key, struct row_record *row)
{
    HF_ASSERT(row->parked_count == 0);
    HF_ASSERT(row->state != RECORD_RUNNING || row->lapsed);
    if (row->deadline_kind != 0) {
        int rv = deadline_del(m, row->deadline_ms, (enum deadline_kind)row->deadline_kind, key);
        if (rv != HF_OK) return rv;
    }
    int rv = row->state == RECORD_RUNNING ? record_stop(m, key, row, RECORD_RETRYABLE) : HF_OK;
    if (rv == HF_OK) rv = count(m, row, false, 0);
    if (rv != HF_OK) return rv;
    rv = store_del(m->store, TABLE_CHECKPOINTS, key);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    return state_del(m, TABLE_RECORDS, key);
}

void record_fingerprint_hash(struct slice fingerprint, uint8_t hash[HASH128_BYTES])
{
    HF_ASSERT(fingerprint.size == FINGERPRINT_BYTES || fingerprint.size == HASH128_BYTES);
    if (fingerprint.size == HASH128_BYTES) {
        memcpy(hash, fingerprint.data, HASH128_BYTES);
        return;
    }
    put_hash128(hash, hash128(0, fingerprint.data, fingerprint.size));
}

static const char *word_of_state(uint64_t state)
{
    static const char *const words[RECORD_STATE_MAX + 1] = {
        "ABSENT", "RUNNING", "DONE", "FAILED", "RETRYABLE", "UNKNOWN", "TOMBSTONE",
    };
    HF_ASSERT(state <= RECORD_STATE_MAX);
    return words[state];
}

int record_note_act(struct machine *m, const struct op_context *ctx, struct row_record *row,
                    const struct record_act *act)
{
    HF_ASSERT(act->operator_name.size >= 1);
    row->act = ctx->op;
    row->act_at_ms = m->meta.wall_ms;
    row->operator_name = act->operator_name;
    row->evidence = act->evidence;
    char before[ACT_TEXT_BYTES];
    char after[ACT_TEXT_BYTES];
    (void)snprintf(before, sizeof before, "%s, attempt %" PRIu64 ", token %" PRIu64,
                   word_of_state(act->before), row->attempt, row->fencing_token);
    (void)snprintf(after, sizeof after, "%s%s", word_of_state(row->state),
                   row->body_kind == BODY_ERASED ? ", erased" : "");
    const struct act kept = {act->key, act->operator_name, act->reason, before, after};
    return act_keep(m, ctx, &kept);
}

int record_tell(struct machine *m, struct slice key, const struct row_record *row,
                enum record_state state)
{
    if (state != RECORD_UNKNOWN && !events_on(m)) return HF_OK;
    const struct event event = {
        .kind = state == RECORD_UNKNOWN ? EVENT_UNKNOWN : EVENT_RECORD,
        .name = key,
        .session = row->session,
        .fencing_token = row->fencing_token,
        .what = state,
        .serial = row->attempt,
        .client_name = row->client_name,
    };
    return event_tell(m, &event);
}

/* ------------------------------------------------------------------ attempts */

static int bind_to_session(struct machine *m, struct slice key, const struct row_record *row,
                           bool bound)
{
    struct row_key k = row_key_pair(row->session, row->fencing_token);
    int rv = bound ? store_put(m->store, TABLE_BOUND, row_key_slice(&k), key)
                   : state_del(m, TABLE_BOUND, row_key_slice(&k));
    if (rv != HF_OK) return rv;
    struct row_session draft, *session;
    rv = session_get(m, row->session, &draft, &session);
    if (rv == HF_ENOTFOUND) return HF_ECORRUPT; /* a binding outlives no session's row */
    if (rv != HF_OK) return rv;
    HF_ASSERT(bound || session->attempt_count > 0);
    if (bound)
        session->attempt_count++;
    else
        session->attempt_count--;
    return session_put(m, row->session, session);
}

int record_start(struct machine *m, struct slice key, struct row_record *row,
                 const struct begin_call *call)
{
    HF_ASSERT(row->bound == 0);
    HF_ASSERT(row->state != RECORD_RUNNING || row->lapsed);
    int rv = row->state == RECORD_RUNNING ? record_stop(m, key, row, RECORD_RETRYABLE) : HF_OK;
    if (rv != HF_OK) return rv;
    struct row_session_info info;
    rv = session_info_get(m, call->session, &info);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;

    const struct msg_begin *request = call->request;
    row->fingerprint = request->fingerprint; /* the same; of one that was reopened, whole again */
    row->state = RECORD_RUNNING;
    row->lapsed = 0;
    bool keeps = row->attempt > 0 && planted(TAKEOVER_KEEPS_TOKEN);
    if (!keeps) row->fencing_token = state_issue_token(m);
    row->attempt = row->attempt < UINT32_MAX ? row->attempt + 1 : UINT32_MAX;
    row->session = call->session;
    row->bound = request->lease_ms == 0;
    row->lease_until_ms = row->bound ? 0 : state_later(m, request->lease_ms);
    row->since_ms = state_now(m);
    row->done_at_ms = 0;
    row->completion = (struct slice){0};
    row->client_name = info.name;
    row->peer = call->peer;
    row->traceparent = call->traceparent;
    row->meta = request->meta;
    struct row_key token = row_key_u64(row->fencing_token);
    rv = store_put(m->store, TABLE_ATTEMPTS, row_key_slice(&token), key);
    if (rv != HF_OK || !row->bound) return rv;
    return bind_to_session(m, key, row, true);
}

static int unbind(struct machine *m, struct slice key, struct row_record *row)
{
    if (!row->bound) return HF_OK;
    row->bound = 0;
    return bind_to_session(m, key, row, false);
}

int record_stop(struct machine *m, struct slice key, struct row_record *row,
                enum record_state state)
{
    HF_ASSERT(row->state == RECORD_RUNNING || row->state == RECORD_UNKNOWN);
    HF_ASSERT(state != RECORD_RUNNING);
    int rv = HF_OK;
    if (row->state == RECORD_RUNNING) {
        struct row_key token = row_key_u64(row->fencing_token);
        rv = state_del(m, TABLE_ATTEMPTS, row_key_slice(&token));
        if (rv == HF_OK) rv = unbind(m, key, row);
    }
    if (rv != HF_OK) return rv;
    row->state = state;
    row->lapsed = 0;
    row->lease_until_ms = 0;
    row->since_ms = state_now(m);
    return HF_OK;
}

/* The order of contract, 6: an open mark of an effect that must not be repeated decides first. */
static enum record_state state_after_lease(const struct row_record *row)
{
    bool once = row->external == MARK_ONCE && !planted(MARK_IGNORED);
    if (once || row->takeover == TAKEOVER_MANUAL) return RECORD_UNKNOWN;
    if (row->takeover == TAKEOVER_AUTO) return RECORD_RUNNING;
    return row->marked ? RECORD_UNKNOWN : RECORD_FAILED;
}

int record_lease_end(struct machine *m, struct slice key, struct row_record *row)
{
    HF_ASSERT(row->state == RECORD_RUNNING);
    HF_ASSERT(!row->lapsed);
    enum record_state next = state_after_lease(row);
    int rv;
    if (next == RECORD_RUNNING) {
        rv = unbind(m, key, row);
        row->lapsed = 1;
        row->lease_until_ms = 0;
        row->since_ms = state_now(m);
    } else {
        rv = record_stop(m, key, row, next);
        if (next == RECORD_FAILED) row->done_at_ms = m->meta.wall_ms;
    }
    if (rv == HF_OK) rv = record_put(m, key, row);
    if (rv == HF_OK && next != RECORD_RUNNING) rv = record_tell(m, key, row, next);
    if (rv != HF_OK || row->parked_count == 0) return rv;
    return serve_mark(m, TABLE_RECORDS, key);
}

int record_checkpoint_data(struct machine *m, struct slice key, struct slice *data)
{
    struct slice value;
    int rv = store_get(m->store, TABLE_CHECKPOINTS, key, &value);
    if (rv == HF_ENOTFOUND)
        value = (struct slice){0};
    else if (rv != HF_OK)
        return rv;
    return state_copy(m, value, data);
}

int record_lease_left(struct machine *m, const struct row_record *row, uint64_t *left_ms)
{
    *left_ms = 0;
    if (row->state != RECORD_RUNNING || row->lapsed) return HF_OK;
    if (!row->bound) {
        *left_ms = state_left(m, row->lease_until_ms);
        return HF_OK;
    }
    struct row_session draft, *session;
    int rv = session_get(m, row->session, &draft, &session);
    if (rv == HF_ENOTFOUND) return HF_ECORRUPT;
    if (rv == HF_OK) *left_ms = session_lease_left(m, session);
    return rv;
}
