/* Invariants of timers: each stands where its state says and nowhere else, and what belongs to it
 * is there: its deadline or its place in a queue, its payload, the token of its last delivery.
 * Counted from both sides, so that no row of the other tables belongs to nobody. */
#include <inttypes.h>

#include "machine/audit.h"
#include "machine/timer.h"

/* Rows that the timers call for, beside their own. */
struct called_for {
    struct audit audit; /* of the callbacks below */
    uint64_t queued;    /* ready or dead */
    uint64_t tokens;    /* of deliveries that stand */
    uint64_t payloads;  /* not empty */
    uint64_t waiting;   /* deadline rows */
    uint64_t deadlines; /* that there are */
};

static int look_at_place(struct called_for *c, struct slice key, const struct row_timer *row)
{
    struct row_key queued;
    switch ((enum timer_state)row->state) {
    case TIMER_PENDING:
    case TIMER_DELIVERED:
    case TIMER_DELAYED:
        c->waiting += 1;
        return audit_has_deadline(&c->audit, row->due_ms, DEADLINE_TIMER, key);
    case TIMER_ACKED:
    case TIMER_CANCELLED:
        c->waiting += 1;
        return audit_has_deadline(&c->audit, row->due_ms, DEADLINE_TIMER_TOMBSTONE, key);
    case TIMER_READY:
        c->queued += 1;
        queued = row_key_timer_ready(row->group, row->due_ms, key);
        return audit_has(&c->audit, TABLE_TIMER_QUEUE, row_key_slice(&queued), "a ready timer");
    case TIMER_DEAD:
        c->queued += 1;
        queued = row_key_timer_dead(key);
        return audit_has(&c->audit, TABLE_TIMER_QUEUE, row_key_slice(&queued), "a dead timer");
    case TIMER_ABSENT: break;
    }
    return audit_fail(&c->audit, "timer '%.*s' is in no state", AUDIT_TEXT(key));
}

static int look_at_numbers(struct called_for *c, struct slice key, const struct row_timer *row)
{
    uint64_t now_ms = state_now(c->audit.m);
    bool never = row->state == TIMER_PENDING || row->state == TIMER_CANCELLED;
    if (never != (row->fired_ms == 0))
        return audit_fail(&c->audit, "timer '%.*s' fired, or not, against its state",
                          AUDIT_TEXT(key));
    if (row->fired_ms > now_ms || (row->fired_ms != 0 && row->fired_ms < row->set_ms))
        return audit_fail(&c->audit, "timer '%.*s' fired at %" PRIu64 ", set for %" PRIu64,
                          AUDIT_TEXT(key), row->fired_ms, row->set_ms);
    if (row->state == TIMER_PENDING && row->due_ms != row->set_ms)
        return audit_fail(&c->audit, "timer '%.*s' will fire at another time", AUDIT_TEXT(key));
    if (row->attempt > row->attempts_max || (never && row->attempt != 0))
        return audit_fail(&c->audit, "timer '%.*s' was delivered %" PRIu64 " times",
                          AUDIT_TEXT(key), row->attempt);
    if ((row->state == TIMER_READY || row->state == TIMER_DELAYED) &&
        row->attempt >= row->attempts_max)
        return audit_fail(&c->audit, "timer '%.*s' should be dead", AUDIT_TEXT(key));
    bool delivered = row->state == TIMER_DELIVERED || row->state == TIMER_ACKED;
    if (delivered && row->fencing_token == 0)
        return audit_fail(&c->audit, "timer '%.*s' was delivered without a token", AUDIT_TEXT(key));
    if (never && row->fencing_token != 0)
        return audit_fail(&c->audit, "timer '%.*s' has a token and never fired", AUDIT_TEXT(key));
    return HF_OK;
}

static int look_at_token(struct called_for *c, struct slice key, const struct row_timer *row)
{
    if (row->fencing_token == 0 || timer_is_tombstone(row)) return HF_OK;
    c->tokens += 1;
    struct row_key token = row_key_u64(row->fencing_token);
    struct slice whose;
    int rv = store_get(c->audit.m->store, TABLE_TIMER_TOKENS, row_key_slice(&token), &whose);
    if (rv == HF_OK && slice_equal(whose, key)) return HF_OK;
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    return audit_fail(&c->audit, "token %" PRIu64 " is not that of timer '%.*s'",
                      row->fencing_token, AUDIT_TEXT(key));
}

static int look_at_payload(struct called_for *c, struct slice key, const struct row_timer *row)
{
    struct slice payload;
    if (timer_is_tombstone(row) && row->payload_bytes != 0)
        return audit_fail(&c->audit, "the tombstone of timer '%.*s' has a payload",
                          AUDIT_TEXT(key));
    if (row->payload_bytes == 0) return HF_OK;
    c->payloads += 1;
    int rv = store_get(c->audit.m->store, TABLE_TIMER_PAYLOADS, key, &payload);
    if (rv == HF_OK && payload.size == row->payload_bytes) return HF_OK;
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    return audit_fail(&c->audit, "timer '%.*s' has another payload", AUDIT_TEXT(key));
}

static struct called_for *called_for_of(struct audit *a)
{
    return HF_CONTAINER_OF(a, struct called_for, audit);
}

static int look_at_timer(struct audit *a, struct slice key, struct slice value)
{
    struct called_for *c = called_for_of(a);
    struct row_timer row;
    int rv = state_decode(a->m, &row_timer_type, value, &row);
    if (rv == HF_OK) rv = look_at_place(c, key, &row);
    if (rv == HF_OK) rv = look_at_numbers(c, key, &row);
    if (rv == HF_OK) rv = look_at_token(c, key, &row);
    return rv == HF_OK ? look_at_payload(c, key, &row) : rv;
}

static int count_deadline(struct audit *a, struct slice key, struct slice value)
{
    (void)value;
    enum deadline_kind kind;
    struct slice id;
    (void)row_key_deadline_parts(key, &kind, &id);
    called_for_of(a)->deadlines += kind == DEADLINE_TIMER || kind == DEADLINE_TIMER_TOMBSTONE;
    return HF_OK;
}

int audit_timers(struct audit *a)
{
    struct store *store = a->m->store;
    struct called_for c = {.audit = *a};
    int rv = audit_rows(&c.audit, TABLE_TIMERS, NULL, look_at_timer);
    if (rv == HF_OK) rv = audit_rows(&c.audit, TABLE_DEADLINES, NULL, count_deadline);
    if (rv != HF_OK) return rv;
    if (store_count(store, TABLE_TIMER_QUEUE) != c.queued)
        return audit_fail(a, "a row of the timers' queues belongs to no timer");
    if (store_count(store, TABLE_TIMER_TOKENS) != c.tokens)
        return audit_fail(a, "a token of a delivery belongs to no timer");
    if (store_count(store, TABLE_TIMER_PAYLOADS) != c.payloads)
        return audit_fail(a, "a payload belongs to no timer");
    if (c.deadlines != c.waiting) return audit_fail(a, "a deadline belongs to no timer");
    return HF_OK;
}
