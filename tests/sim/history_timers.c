/* See the header. */
#include "tests/sim/history_timers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "protocol/frame.h"
#include "protocol/messages.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"

enum { KEY_BYTES = 16, LIST_BYTES_MAX = 1 << 20, OVERDUE_MS = 1000 };

const char *history_timer_event_name(enum history_timer_event event)
{
    static const char *const names[HISTORY_TIMER_EVENTS] = {
        "set",       "replaced", "same",     "refused", "cancelled", "fired",
        "delivered", "again",    "lapsed",   "acked",   "late-ack",  "stale",
        "nacked",    "dead",     "requeued", "told",    "repeated"};
    HF_ASSERT(event < HISTORY_TIMER_EVENTS);
    return names[event];
}

static uint64_t now_ms(const struct history *h)
{
    return machine_time_ms(h->machine);
}

static void count(struct history *h, enum history_timer_event event)
{
    h->timer_counts[event]++;
}

/* \param index  Out: its number. */
static struct history_timer *timer_of(struct history *h, struct slice key, uint32_t *index)
{
    *index = history_thing(key);
    HF_ASSERT(*index < HF_ARRAY_COUNT(h->timers));
    return &h->timers[*index];
}

static bool is_tombstone(const struct history_timer *t)
{
    return t->state == TIMER_ACKED || t->state == TIMER_CANCELLED;
}

static uint64_t hash_of(struct slice payload)
{
    return hash64(0, payload.data, payload.size);
}

/* ------------------------------------------------------------------ moves */

static void end_delivery(struct history *h, struct history_timer *t, uint64_t due_ms,
                         uint64_t at_ms)
{
    bool last = t->attempt >= t->attempts_max;
    t->state = due_ms <= at_ms ? TIMER_READY : TIMER_DELAYED;
    t->due_ms = due_ms;
    if (!last) return;
    t->state = TIMER_DEAD;
    t->due_ms = 0;
    count(h, TIMER_EVENT_DEAD);
    history_events_owe(h, EVENT_TIMER_DEAD, HISTORY_TIMER, (uint32_t)(t - h->timers), t->attempt);
}

static void bury(struct history *h, struct history_timer *t, enum timer_state state)
{
    t->state = (uint8_t)state;
    t->due_ms = now_ms(h) + h->settings[SETTING_TIMER_TOMBSTONE_MS];
    t->payload_bytes = 0;
}

static void sweep_timer(struct history *h, struct history_timer *t, uint64_t at_ms)
{
    if (t->due_ms > at_ms) return;
    switch ((enum timer_state)t->state) {
    case TIMER_PENDING:
        if (at_ms - t->due_ms > h->timer_late_ms_max) h->timer_late_ms_max = at_ms - t->due_ms;
        t->fired_ms = at_ms;
        t->state = TIMER_READY;
        count(h, TIMER_EVENT_FIRED);
        history_events_owe(h, EVENT_TIMER_FIRED, HISTORY_TIMER, (uint32_t)(t - h->timers),
                           t->attempt);
        break;
    case TIMER_DELIVERED:
        count(h, TIMER_EVENT_LAPSED);
        end_delivery(h, t, t->due_ms, at_ms);
        break;
    case TIMER_DELAYED: t->state = TIMER_READY; break;
    case TIMER_ACKED:
    case TIMER_CANCELLED:
        *t = (struct history_timer){0};
        h->tombstone_count++;
        break;
    case TIMER_ABSENT:
    case TIMER_READY:
    case TIMER_DEAD: break;
    }
}

void history_timers_sweep(struct history *h, uint64_t at_ms)
{
    for (uint32_t i = 0; i < HF_ARRAY_COUNT(h->timers); i++) sweep_timer(h, &h->timers[i], at_ms);
}

/* ------------------------------------------------------------------ SET, CANCEL */

/* With ALREADY_FIRED and BAD_STATE: how it is. */
static void look_at_told(struct history *h, const struct history_timer *t, uint32_t index,
                         const struct machine_reply *reply)
{
    struct msg_timer_fired told;
    history_decode(h, &msg_timer_fired_type, reply->body, &told);
    uint64_t ago_ms = t->fired_ms != 0 ? now_ms(h) - t->fired_ms : 0;
    if (told.state != t->state || told.version != t->version || told.fired_ms != t->fired_ms ||
        told.ago_ms != ago_ms)
        sim_fail("timer-%u: told as in state %" PRIu64 " of version %" PRIu64 ", fired at %" PRIu64
                 ": it is in state %u of version %" PRIu64 ", fired at %" PRIu64,
                 index, told.state, told.version, told.fired_ms, t->state, t->version, t->fired_ms);
    count(h, TIMER_EVENT_TOLD);
}

/* What SET must be told. \param verdict  Out: with HF_OK, enum timer_verdict. */
static int right_set(const struct history *h, const struct history_timer *t,
                     const struct msg_timer_set *set, enum timer_verdict *verdict)
{
    bool newer = set->version > t->version;
    *verdict = t->state == TIMER_PENDING ? TIMER_REPLACED : TIMER_SCHEDULED;
    switch ((enum timer_state)t->state) {
    case TIMER_ABSENT: break;
    case TIMER_PENDING:
        if (newer) break;
        *verdict = set->version == t->version ? TIMER_SAME : TIMER_OLDER;
        return HF_OK;
    case TIMER_ACKED:
        if (newer) break;
        return HF_EFIRED;
    case TIMER_CANCELLED:
        if (newer) break;
        return HF_ETIMERCANCELLED;
    case TIMER_READY:
    case TIMER_DELIVERED:
    case TIMER_DELAYED:
    case TIMER_DEAD: return HF_EFIRED;
    }
    return history_is_frozen(h, set->key) ? HF_EFROZEN : HF_OK;
}

/* QUOTA is for what is new alone, and where a cap was set that is met. */
static bool may_be_over_quota(const struct history *h, const struct history_timer *t)
{
    uint64_t timers = 0;
    for (uint32_t i = 0; i < HF_ARRAY_COUNT(h->timers); i++)
        timers += h->timers[i].state != TIMER_ABSENT;
    return t->state == TIMER_ABSENT && timers >= h->settings[SETTING_PRINCIPAL_TIMERS_MAX];
}

static void look_at_set(struct history *h, const struct history_timer *t, uint32_t index,
                        enum timer_verdict verdict, const struct machine_reply *reply)
{
    struct msg_timer_set_reply told;
    history_decode(h, &msg_timer_set_reply_type, reply->body, &told);
    uint64_t left_ms = t->due_ms > now_ms(h) ? t->due_ms - now_ms(h) : 0;
    if (told.verdict != (uint64_t)verdict || told.version != t->version || told.left_ms != left_ms)
        sim_fail("timer-%u: SET is told verdict %" PRIu64 ", version %" PRIu64 ", %" PRIu64
                 " ms left: verdict %d, version %" PRIu64 ", %" PRIu64 " ms are right",
                 index, told.verdict, told.version, told.left_ms, (int)verdict, t->version,
                 left_ms);
}

static void set_answered(struct history *h, struct slice request, const struct machine_reply *reply)
{
    struct msg_timer_set set;
    enum timer_verdict verdict;
    uint32_t index;
    history_decode(h, &msg_timer_set_type, request, &set);
    struct history_timer *t = timer_of(h, set.key, &index);
    int status = reply->status;
    bool known = status == HF_OK || status == HF_EFIRED || status == HF_ETIMERCANCELLED ||
                 status == HF_EFROZEN || status == HF_EQUOTA;
    if (!known) return; /* its session */
    int right = right_set(h, t, &set, &verdict);
    if (status == HF_EQUOTA && right == HF_OK && may_be_over_quota(h, t)) right = HF_EQUOTA;
    if (status != right)
        sim_fail("timer-%u: SET of version %" PRIu64
                 " is answered %s, in state %u of version %" PRIu64 ": %s is right",
                 index, set.version, status_name(status), t->state, t->version, status_name(right));
    if (status == HF_EFIRED) look_at_told(h, t, index, reply);
    if (status == HF_ETIMERCANCELLED) count(h, TIMER_EVENT_TOLD);
    if (status == HF_EFROZEN || status == HF_EQUOTA) count(h, TIMER_EVENT_REFUSED);
    if (status != HF_OK) return;
    if (verdict == TIMER_SCHEDULED || verdict == TIMER_REPLACED) {
        count(h, t->state == TIMER_ABSENT ? TIMER_EVENT_SET : TIMER_EVENT_REPLACED);
        uint64_t due_ms = now_ms(h) + set.delay_ms;
        if (due_ms == 0) due_ms = 1; /* a new cluster's time stands at 0 for a while */
        *t = (struct history_timer){
            .version = set.version,
            .set_ms = due_ms,
            .due_ms = due_ms,
            .attempts_max = set.attempts_max,
            .payload_hash = hash_of(set.payload),
            .payload_bytes = set.payload.size,
            .group = history_thing(set.group),
            .state = TIMER_PENDING,
        };
    } else {
        count(h, TIMER_EVENT_SAME);
    }
    look_at_set(h, t, index, verdict, reply);
}

static void cancel_answered(struct history *h, struct slice request,
                            const struct machine_reply *reply)
{
    struct msg_timer_cancel cancel;
    uint32_t index;
    history_decode(h, &msg_timer_cancel_type, request, &cancel);
    struct history_timer *t = timer_of(h, cancel.key, &index);
    int status = reply->status;
    if (status != HF_OK && status != HF_EFIRED && status != HF_ENOTFOUND) return;
    bool ends = t->state == TIMER_PENDING || t->state == TIMER_CANCELLED;
    int right = t->state == TIMER_ABSENT ? HF_ENOTFOUND : ends ? HF_OK : HF_EFIRED;
    if (status != right)
        sim_fail("timer-%u: CANCEL is answered %s, in state %u of version %" PRIu64, index,
                 status_name(status), t->state, t->version);
    if (status == HF_EFIRED) look_at_told(h, t, index, reply);
    if (t->state != TIMER_PENDING) return;
    bury(h, t, TIMER_CANCELLED);
    count(h, TIMER_EVENT_CANCELLED);
}

/* ------------------------------------------------------------------ POLL */

static int compare_keys(uint32_t a, uint32_t b)
{
    char one[KEY_BYTES], other[KEY_BYTES];
    (void)snprintf(one, sizeof one, "%u", a);
    (void)snprintf(other, sizeof other, "%u", b);
    return strcmp(one, other);
}

/* The ready timers of a group, in their order. \return how many. */
static uint32_t find_ready(const struct history *h, uint32_t group, uint32_t *ready)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < HF_ARRAY_COUNT(h->timers); i++) {
        const struct history_timer *t = &h->timers[i];
        if (t->state != TIMER_READY || t->group != group) continue;
        uint32_t at = found++;
        for (; at > 0; at--) {
            const struct history_timer *before = &h->timers[ready[at - 1]];
            bool stays = before->due_ms < t->due_ms ||
                         (before->due_ms == t->due_ms && compare_keys(ready[at - 1], i) < 0);
            if (stays) break;
            ready[at] = ready[at - 1];
        }
        ready[at] = i;
    }
    return found;
}

static void look_at_delivery(const struct history *h, uint32_t index,
                             const struct timer_delivery *d)
{
    const struct history_timer *t = &h->timers[index];
    bool same = history_thing(d->key) == index && d->version == t->version &&
                d->attempt == t->attempt && d->attempts_max == t->attempts_max &&
                d->fencing_token == t->token && d->payload.size == t->payload_bytes &&
                hash_of(d->payload) == t->payload_hash && d->late_ms == now_ms(h) - t->set_ms;
    if (!same)
        sim_fail("timer-%u: version %" PRIu64 " attempt %" PRIu64 " of %" PRIu64
                 " is to be delivered, %" PRIu64 " ms late, and timer-%u version %" PRIu64
                 " attempt %" PRIu64 " of %" PRIu64 " is, %" PRIu64 " ms late",
                 index, t->version, t->attempt, t->attempts_max, now_ms(h) - t->set_ms,
                 history_thing(d->key), d->version, d->attempt, d->attempts_max, d->late_ms);
}

static void deliver(struct history *h, const struct history_answer *a, uint32_t index,
                    const struct timer_delivery *d, uint64_t lease_ms)
{
    struct history_timer *t = &h->timers[index];
    count(h, t->attempt == 0 ? TIMER_EVENT_DELIVERED : TIMER_EVENT_AGAIN);
    t->attempt++;
    t->token = d->fencing_token;
    t->state = TIMER_DELIVERED;
    t->due_ms = now_ms(h) + lease_ms;
    look_at_delivery(h, index, d);
    struct history_token what = {
        .session = a->session, .version = t->version, .thing = index, .timer = true};
    history_add_token(h, t->token, &what);
}

static void polled(struct history *h, struct history_answer *a, struct slice request,
                   const struct machine_reply *reply)
{
    struct msg_timer_poll poll;
    struct msg_timer_poll_reply told;
    uint32_t ready[SIM_TIMERS_MAX];
    if (reply->status != HF_OK) return;
    history_decode(h, &msg_timer_poll_type, request, &poll);
    uint32_t group = history_thing(poll.group);
    uint32_t found = find_ready(h, group, ready);
    uint64_t most = poll.count_max < found ? poll.count_max : found;
    history_decode(h, &msg_timer_poll_reply_type, reply->body, &told);
    if (told.count != most || told.deliveries.count != most || told.lease_ms != poll.lease_ms)
        sim_fail("group-%u: POLL of %" PRIu64 " is given %u of %u that are ready, told %" PRIu64,
                 group, poll.count_max, told.deliveries.count, found, told.count);
    const struct timer_delivery *d = told.deliveries.items;
    for (uint32_t i = 0; i < most; i++) {
        if (d[i].fencing_token != told.first_token + i)
            sim_fail("group-%u: POLL's tokens do not follow each other", group);
        deliver(h, a, ready[i], &d[i], poll.lease_ms);
    }
    a->token = told.first_token;
    a->print = most;
}

/* Its delivery under this token, if that still stands; or NULL. */
static const struct history_timer *find_standing(const struct history *h, uint64_t token,
                                                 uint32_t *index)
{
    const struct history_token *what = history_token(h, token);
    if (what == NULL || !what->timer) sim_fail("token %" PRIu64 " is no delivery's", token);
    *index = what->thing;
    const struct history_timer *t = &h->timers[what->thing];
    return t->token == token && t->state == TIMER_DELIVERED ? t : NULL;
}

void history_timer_repeated(struct history *h, const struct history_answer *a,
                            const struct machine_reply *reply)
{
    struct msg_timer_poll_reply told;
    uint32_t index, standing = 0;
    if (a->op != OP_CODE_TIMER_POLL || reply->status != HF_OK) return;
    history_decode(h, &msg_timer_poll_reply_type, reply->body, &told);
    const struct timer_delivery *d = told.deliveries.items;
    for (uint64_t i = 0; i < a->print; i++) {
        if (find_standing(h, a->token + i, &index) == NULL) continue;
        if (standing == told.deliveries.count)
            sim_fail("timer-%u: its delivery stands, and a repeated POLL does not tell it", index);
        look_at_delivery(h, index, &d[standing++]);
    }
    bool stands = a->print > 0 && standing == a->print;
    if (standing != told.deliveries.count || told.count != a->print ||
        stands != ((reply->flags & REPLY_STANDS) != 0))
        sim_fail("session %" PRIu64 " seq %" PRIu64 ": a repeated POLL tells %u of %" PRIu64
                 " deliveries, and %u stand",
                 a->session, a->seq, told.deliveries.count, a->print, standing);
    if (standing > 0) count(h, TIMER_EVENT_REPEATED);
}

/* ------------------------------------------------------------------ ACK, NACK, REQUEUE */

/* The timer that a request is about. By the token alone only one that stands is found. NULL: none,
 * and `right` is what it must be told. */
static struct history_timer *find_acked(struct history *h, const struct msg_timer_ack *ack,
                                        uint32_t *index, int *right)
{
    struct history_timer *t = NULL;
    const struct history_token *what = history_token(h, ack->fencing_token);
    *right = HF_ESTALE;
    if (ack->key.size > 0) {
        t = timer_of(h, ack->key, index);
        if (t->state == TIMER_ABSENT) *right = HF_ENOTFOUND;
    } else if (what != NULL && what->timer) {
        *index = what->thing;
        t = &h->timers[what->thing];
        if (is_tombstone(t)) return NULL;
    }
    return t != NULL && t->state != TIMER_ABSENT && t->token == ack->fencing_token ? t : NULL;
}

static void look_at_ack(const struct history *h, const struct msg_timer_ack *ack, const char *op,
                        int status, int right)
{
    const struct history_token *what = history_token(h, ack->fencing_token);
    if (status == right) return;
    sim_fail("timer-%u: %s of token %" PRIu64 " is answered %s, and %s is right",
             what != NULL ? what->thing : 0, op, ack->fencing_token, status_name(status),
             status_name(right));
}

static void acked(struct history *h, struct slice request, int status)
{
    struct msg_timer_ack ack;
    uint32_t index = 0;
    int right;
    if (status != HF_OK && status != HF_ESTALE && status != HF_ENOTFOUND) return;
    history_decode(h, &msg_timer_ack_type, request, &ack);
    struct history_timer *t = find_acked(h, &ack, &index, &right);
    if (t != NULL) right = HF_OK;
    look_at_ack(h, &ack, "ACK", status, right);
    if (t == NULL) count(h, TIMER_EVENT_STALE);
    if (t == NULL || t->state == TIMER_ACKED) return;
    count(h, t->state == TIMER_DELIVERED ? TIMER_EVENT_ACKED : TIMER_EVENT_LATE_ACK);
    bury(h, t, TIMER_ACKED);
}

static void nacked(struct history *h, struct slice request, const struct machine_reply *reply)
{
    struct msg_timer_nack nack;
    struct msg_timer_nack_reply told;
    uint32_t index = 0;
    int status = reply->status;
    int right;
    if (status != HF_OK && status != HF_ESTALE && status != HF_ENOTFOUND) return;
    history_decode(h, &msg_timer_nack_type, request, &nack);
    const struct msg_timer_ack ack = {nack.key, nack.fencing_token};
    struct history_timer *t = find_acked(h, &ack, &index, &right);
    bool gives_back = t != NULL && t->state == TIMER_DELIVERED;
    if (t != NULL) right = gives_back ? HF_OK : HF_ESTALE;
    look_at_ack(h, &ack, "NACK", status, right);
    if (!gives_back) {
        count(h, TIMER_EVENT_STALE);
        return;
    }
    t->token = 0;
    end_delivery(h, t, now_ms(h) + nack.delay_ms, now_ms(h));
    count(h, TIMER_EVENT_NACKED);
    history_decode(h, &msg_timer_nack_reply_type, reply->body, &told);
    if ((told.dead != 0) != (t->state == TIMER_DEAD))
        sim_fail("timer-%u: NACK tells that it is %sdead, in state %u", index,
                 told.dead != 0 ? "" : "not ", t->state);
}

static void requeued(struct history *h, struct slice request, const struct machine_reply *reply)
{
    struct msg_timer_requeue requeue;
    uint32_t index;
    int status = reply->status;
    if (status != HF_OK && status != HF_EBADSTATE && status != HF_ENOTFOUND) return;
    history_decode(h, &msg_timer_requeue_type, request, &requeue);
    struct history_timer *t = timer_of(h, requeue.key, &index);
    int right = t->state == TIMER_DEAD ? HF_OK : HF_EBADSTATE;
    if (t->state == TIMER_ABSENT) right = HF_ENOTFOUND;
    if (status != right)
        sim_fail("timer-%u: REQUEUE is answered %s, in state %u", index, status_name(status),
                 t->state);
    if (status == HF_EBADSTATE) look_at_told(h, t, index, reply);
    if (status != HF_OK) return;
    t->state = TIMER_READY;
    t->due_ms = now_ms(h);
    t->attempt = 0;
    t->token = 0;
    count(h, TIMER_EVENT_REQUEUED);
    history_events_owe_act(h, OP_CODE_TIMER_REQUEUE);
}

void history_timer_answered(struct history *h, struct history_answer *a, struct slice request,
                            const struct machine_reply *reply)
{
    switch (a->op) {
    case OP_CODE_TIMER_SET: set_answered(h, request, reply); break;
    case OP_CODE_TIMER_CANCEL: cancel_answered(h, request, reply); break;
    case OP_CODE_TIMER_POLL: polled(h, a, request, reply); break;
    case OP_CODE_TIMER_ACK: acked(h, request, reply->status); break;
    case OP_CODE_TIMER_NACK: nacked(h, request, reply); break;
    case OP_CODE_TIMER_REQUEUE: requeued(h, request, reply); break;
    default: break;
    }
}

/* ------------------------------------------------------------------ the whole state */

static void look_at_line(const struct history *h, const struct timer_line *line)
{
    uint32_t index = history_thing(line->key);
    HF_ASSERT(index < HF_ARRAY_COUNT(h->timers));
    const struct history_timer *t = &h->timers[index];
    uint64_t left_ms = t->due_ms > now_ms(h) ? t->due_ms - now_ms(h) : 0;
    if (t->state == TIMER_READY) left_ms = 0;
    bool same = line->state == t->state && line->version == t->version &&
                history_thing(line->group) == t->group && line->left_ms == left_ms &&
                line->fired_ms == t->fired_ms && line->attempt == t->attempt &&
                line->attempts_max == t->attempts_max && line->fencing_token == t->token &&
                line->payload_bytes == t->payload_bytes;
    if (!same)
        sim_fail("timer-%u: LIST shows state %" PRIu64 " version %" PRIu64 " attempt %" PRIu64
                 " left %" PRIu64 " ms: state %u version %" PRIu64 " attempt %" PRIu64
                 " left %" PRIu64 " ms is right",
                 index, line->state, line->version, line->attempt, line->left_ms, t->state,
                 t->version, t->attempt, left_ms);
}

void history_timers_audit(struct history *h)
{
    const struct msg_timer_list list = {.count_max = SIM_TIMERS_MAX + 1};
    struct msg_timer_list_reply page;
    struct buffer body;
    uint32_t there = 0;
    int status;
    buffer_init(&body, LIST_BYTES_MAX);
    int rv = machine_read(h->machine, OP_CODE_TIMER_LIST, &list, 0, &body, &status);
    HF_ASSERT(rv == HF_OK && status == HF_OK);
    history_decode(h, &msg_timer_list_reply_type, buffer_slice(&body), &page);
    const struct timer_line *lines = page.timers.items;
    for (uint32_t i = 0; i < page.timers.count; i++) look_at_line(h, &lines[i]);
    for (uint32_t i = 0; i < HF_ARRAY_COUNT(h->timers); i++)
        there += h->timers[i].state != TIMER_ABSENT;
    if (there != page.timers.count)
        sim_fail("LIST shows %u timers, and there are %u", page.timers.count, there);
    buffer_close(&body);
}

uint32_t history_timers_unsettled(const struct history *h, uint64_t at_ms)
{
    for (uint32_t i = 0; i < HF_ARRAY_COUNT(h->timers); i++) {
        const struct history_timer *t = &h->timers[i];
        bool moves =
            t->state == TIMER_PENDING || t->state == TIMER_DELIVERED || t->state == TIMER_DELAYED;
        if (t->state == TIMER_READY) return i;
        if (moves && t->due_ms + OVERDUE_MS <= at_ms) return i;
    }
    return SIM_TIMERS_MAX;
}
