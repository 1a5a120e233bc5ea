/* Rows of timers, their moves, and the sweep. Happy path: the sweep finds a deadline due and moves
 * its timer into the queue. Failure modes: faults only; a deadline of a timer that is not there, or
 * does not stand there, is HF_ECORRUPT, for every move takes its deadline along. */
#include "machine/timer.h"

#include "base/planted.h"
#include "machine/deadlines.h"
#include "machine/events.h"
#include "machine/principals.h"

int timer_get(struct machine *m, struct slice key, struct row_timer *row)
{
    HF_ASSERT(key.size >= 1);
    return state_get(m, TABLE_TIMERS, key, &row_timer_type, row);
}

/* ------------------------------------------------------------------ where it stands */

static int leave(struct machine *m, struct slice key, const struct row_timer *row)
{
    struct row_key queued;
    switch ((enum timer_state)row->state) {
    case TIMER_ABSENT: return HF_OK;
    case TIMER_PENDING:
    case TIMER_DELIVERED:
    case TIMER_DELAYED: return deadline_del(m, row->due_ms, DEADLINE_TIMER, key);
    case TIMER_READY:
        queued = row_key_timer_ready(row->group, row->due_ms, key);
        return state_del(m, TABLE_TIMER_QUEUE, row_key_slice(&queued));
    case TIMER_DEAD:
        queued = row_key_timer_dead(key);
        return state_del(m, TABLE_TIMER_QUEUE, row_key_slice(&queued));
    case TIMER_ACKED:
    case TIMER_CANCELLED: return deadline_del(m, row->due_ms, DEADLINE_TIMER_TOMBSTONE, key);
    }
    return HF_ECORRUPT;
}

static int enter(struct machine *m, struct slice key, const struct row_timer *row)
{
    const struct slice nothing = {0};
    struct row_key queued;
    int rv;
    switch ((enum timer_state)row->state) {
    case TIMER_ABSENT: break;
    case TIMER_PENDING:
    case TIMER_DELIVERED:
    case TIMER_DELAYED: return deadline_put(m, row->due_ms, DEADLINE_TIMER, key);
    case TIMER_READY:
        HF_ASSERT(row->attempt < row->attempts_max);
        queued = row_key_timer_ready(row->group, row->due_ms, key);
        rv = store_put(m->store, TABLE_TIMER_QUEUE, row_key_slice(&queued), nothing);
        if (rv == HF_OK && m->sink->ready_cb != NULL) m->sink->ready_cb(row->group, m->sink->data);
        return rv;
    case TIMER_DEAD:
        queued = row_key_timer_dead(key);
        return store_put(m->store, TABLE_TIMER_QUEUE, row_key_slice(&queued), nothing);
    case TIMER_ACKED:
    case TIMER_CANCELLED: return deadline_put(m, row->due_ms, DEADLINE_TIMER_TOMBSTONE, key);
    }
    HF_UNREACHABLE();
}

int timer_move(struct machine *m, struct slice key, struct row_timer *row, enum timer_state state,
               uint64_t due_ms)
{
    HF_ASSERT(key.size >= 1 && row->group.size >= 1);
    HF_ASSERT(state != TIMER_ABSENT);
    bool replaces = row->state == TIMER_PENDING && state == TIMER_PENDING;
    int rv = leave(m, key, row);
    row->state = state;
    row->due_ms = state == TIMER_DEAD ? 0 : due_ms;
    if (rv == HF_OK && !(replaces && planted(TIMER_LOST))) rv = enter(m, key, row);
    return rv == HF_OK ? state_put(m, TABLE_TIMERS, key, &row_timer_type, row) : rv;
}

int timer_group_is_ready(struct machine *m, struct slice group)
{
    struct row_key prefix = row_key_timer_group(group);
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_TIMER_QUEUE, &prefix, NULL);
    walk_close(&walk);
    return rv;
}

/* ------------------------------------------------------------------ what belongs to it */

int timer_set_token(struct machine *m, struct slice key, struct row_timer *row, uint64_t token)
{
    int rv = HF_OK;
    if (row->fencing_token != 0 && !timer_is_tombstone(row)) {
        struct row_key old = row_key_u64(row->fencing_token);
        rv = state_del(m, TABLE_TIMER_TOKENS, row_key_slice(&old));
    }
    row->fencing_token = token;
    if (rv != HF_OK || token == 0) return rv;
    struct row_key new = row_key_u64(token);
    return store_put(m->store, TABLE_TIMER_TOKENS, row_key_slice(&new), key);
}

int timer_set_payload(struct machine *m, struct slice key, struct row_timer *row,
                      struct slice payload)
{
    HF_ASSERT(payload.size <= TIMER_PAYLOAD_BYTES_MAX);
    bool had = row->payload_bytes > 0;
    row->payload_bytes = payload.size;
    if (payload.size > 0) return store_put(m->store, TABLE_TIMER_PAYLOADS, key, payload);
    return had ? state_del(m, TABLE_TIMER_PAYLOADS, key) : HF_OK;
}

int timer_payload(struct machine *m, struct slice key, const struct row_timer *row,
                  struct slice *payload)
{
    *payload = (struct slice){0};
    if (row->payload_bytes == 0) return HF_OK;
    struct slice stored;
    int rv = store_get(m->store, TABLE_TIMER_PAYLOADS, key, &stored);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (stored.size != row->payload_bytes) return HF_ECORRUPT;
    return state_copy(m, stored, payload);
}

int timer_tell(const struct machine *m, const struct row_timer *row, uint16_t op, int status,
               struct reply_out *out)
{
    HF_ASSERT(status == HF_EFIRED || status == HF_EBADSTATE);
    const struct msg_timer_fired detail = {
        .state = row->state,
        .version = row->version,
        .fired_ms = row->fired_ms,
        .ago_ms = row->fired_ms != 0 ? state_now(m) - row->fired_ms : 0,
    };
    return reply_set(out, op, status, &detail);
}

/* ------------------------------------------------------------------ ends */

int timer_bury(struct machine *m, struct slice key, struct row_timer *row, enum timer_state state)
{
    HF_ASSERT(state == TIMER_ACKED || state == TIMER_CANCELLED);
    HF_ASSERT(!timer_is_tombstone(row));
    uint64_t token = row->fencing_token;
    int rv = timer_set_token(m, key, row, 0);
    if (rv == HF_OK) rv = timer_set_payload(m, key, row, (struct slice){0});
    row->fencing_token = token; /* so that a repeated ACK of it is known */
    uint64_t until_ms = state_later(m, setting_get(m, SETTING_TIMER_TOMBSTONE_MS));
    return rv == HF_OK ? timer_move(m, key, row, state, until_ms) : rv;
}

static int tell(struct machine *m, struct slice key, const struct row_timer *row,
                enum event_type kind)
{
    const struct event event = {
        .kind = kind,
        .name = key,
        .fencing_token = row->fencing_token,
        .what = row->state,
        .serial = row->attempt,
    };
    return event_tell(m, &event);
}

int timer_end_delivery(struct machine *m, struct slice key, struct row_timer *row, uint64_t due_ms)
{
    HF_ASSERT(row->state == TIMER_DELIVERED);
    if (row->attempt >= row->attempts_max) {
        int rv = timer_move(m, key, row, TIMER_DEAD, 0);
        return rv == HF_OK ? tell(m, key, row, EVENT_TIMER_DEAD) : rv;
    }
    bool now = due_ms <= state_now(m);
    return timer_move(m, key, row, now ? TIMER_READY : TIMER_DELAYED, due_ms);
}

/* ------------------------------------------------------------------ the sweep */

int timer_due(struct machine *m, struct slice id)
{
    struct row_timer row;
    int rv = timer_get(m, id, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(row.due_ms <= state_now(m));
    bool fires = row.state == TIMER_PENDING;
    switch ((enum timer_state)row.state) {
    case TIMER_PENDING: row.fired_ms = state_now(m); break;
    case TIMER_DELIVERED: return timer_end_delivery(m, id, &row, row.due_ms);
    case TIMER_DELAYED: break;
    default: return HF_ECORRUPT;
    }
    rv = timer_move(m, id, &row, TIMER_READY, row.due_ms);
    return rv == HF_OK && fires ? tell(m, id, &row, EVENT_TIMER_FIRED) : rv;
}

int timer_tombstone_due(struct machine *m, struct slice id)
{
    struct row_timer row;
    int rv = timer_get(m, id, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    if (!timer_is_tombstone(&row) || row.due_ms > state_now(m)) return HF_ECORRUPT;
    rv = state_del(m, TABLE_TIMERS, id);
    return rv == HF_OK ? principal_remove(m, row.principal, QUOTA_TIMERS, 1) : rv;
}
