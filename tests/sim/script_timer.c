/* Tasks that use timers, as client/timer.c does: they set them, to new versions, to the same and to
 * older ones, and cancel them; they poll a group, at once or waiting, and acknowledge what they are
 * given, give it back, leave it to its lease's end, or do so too late, twice, or under the token of
 * an earlier delivery. And the operator, who looks for dead ones and puts them back. In the calm
 * the last task of each client polls a group until everything has come that is due. */
#include <stdio.h>

#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    NAME_BYTES = 24,
    LEASE_MS_MOST = 2000,
    LATE_MS_MOST = 3000, /* a delivery is held for so long: past its lease */
    CALM_WAIT_MS = 60000,
    PAGE_ITEMS = 16,
    NS_PER_MS = 1000000,
    ANSWER_ARENA_BYTES = 64 * 1024
};

static const struct swarm *swarm_of(const struct sim_task *t)
{
    return &t->client->sim->swarm;
}

static struct slice group_name(uint32_t group)
{
    static char text[NAME_BYTES];
    (void)snprintf(text, sizeof text, "group-%u", group);
    return slice_of(text);
}

static enum call_fate draw_fate(struct sim_task *t)
{
    return task_draw(t, 3) == 0 ? FATE_HOLD : FATE_REPEAT;
}

/* ------------------------------------------------------------------ SET, CANCEL */

/* Most of them are new. */
static uint64_t draw_version(struct sim_task *t)
{
    struct checks *checks = &t->client->sim->checks;
    uint64_t last = checks->timers[t->key].version_last;
    if (last == 0 || task_draw(t, 4) > 0) return checks_timer_version(checks, t->key);
    return task_draw(t, 2) == 0 ? last : 1 + task_draw(t, last);
}

/* A version moves to another group now and then, and all who set it say the same. */
static uint32_t group_of(const struct sim_task *t)
{
    return (uint32_t)(checks_timer_seed(t->key, t->version / 4) % swarm_of(t)->group_count);
}

static void set(struct sim_task *t)
{
    t->key = (uint32_t)task_draw(t, swarm_of(t)->timer_count);
    t->version = draw_version(t);
    uint64_t most_ms = task_draw(t, 2) == 0 ? swarm_of(t)->timer_ms : swarm_of(t)->timer_ms / 16;
    const struct msg_timer_set set = {
        .key = task_timer_key(t->key),
        .group = group_name(group_of(t)),
        .delay_ms = task_draw(t, most_ms + 1),
        .version = t->version,
        .attempts_max = checks_timer_attempts(t->key, t->version),
        .payload = task_body(checks_timer_seed(t->key, t->version), swarm_of(t)->body_bytes),
    };
    if (task_call(t, OP_CODE_TIMER_SET, &set, draw_fate(t))) checks_timer_called(t, set.delay_ms);
}

static void cancel(struct sim_task *t)
{
    t->key = (uint32_t)task_draw(t, swarm_of(t)->timer_count);
    const struct msg_timer_cancel cancel = {task_timer_key(t->key)};
    if (task_call(t, OP_CODE_TIMER_CANCEL, &cancel, draw_fate(t))) checks_timer_called(t, 0);
}

/* ------------------------------------------------------------------ POLL */

static void poll(struct sim_task *t)
{
    const struct swarm *w = swarm_of(t);
    bool calm = task_is_last(t);
    t->group = calm ? t->client->index % w->group_count : (uint32_t)task_draw(t, w->group_count);
    t->hand_count = 0;
    const struct msg_timer_poll poll = {
        .group = group_name(t->group),
        .count_max = calm ? TASK_HANDS_MAX : 1 + task_draw(t, TASK_HANDS_MAX),
        .lease_ms = LEASE_MS_MIN + task_draw(t, LEASE_MS_MOST),
        .wait_ms = calm                   ? CALM_WAIT_MS
                   : task_draw(t, 2) == 0 ? 0
                                          : task_draw(t, w->wait_ms),
    };
    t->wait_ms = poll.wait_ms;
    if (!task_call(t, OP_CODE_TIMER_POLL, &poll, FATE_CANCEL)) return;
    if (!calm && task_draw(t, 16) == 0) task_come_late(t);
}

static void take_hands(struct sim_task *t, const struct call *call)
{
    struct msg_timer_poll_reply told;
    struct arena arena;
    int rv = arena_init(&arena, ANSWER_ARENA_BYTES);
    if (rv == HF_OK)
        rv = codec_decode(&msg_timer_poll_reply_type, buffer_slice(&call->reply), &arena, &told);
    if (rv != HF_OK) sim_fail("an answer to POLL does not read back");
    const struct timer_delivery *d = told.deliveries.items;
    HF_ASSERT(told.deliveries.count <= TASK_HANDS_MAX);
    for (t->hand_count = 0; t->hand_count < told.deliveries.count; t->hand_count++) {
        t->hands[t->hand_count] = (struct timer_hand){
            .token = d[t->hand_count].fencing_token,
            .version = d[t->hand_count].version,
            .key = history_thing(d[t->hand_count].key),
        };
    }
    arena_close(&arena);
    task_sleep(t, task_is_last(t) ? 0 : swarm_of(t)->hold_ns, STEP_HOLD);
}

/* ------------------------------------------------------------------ ACK, NACK */

static void acknowledge(struct sim_task *t)
{
    bool by_key = task_draw(t, 2) == 0;
    const struct msg_timer_ack ack = {
        .key = by_key ? task_timer_key(t->hand.key) : slice_make(NULL, 0),
        .fencing_token = t->hand.token,
    };
    (void)task_call(t, OP_CODE_TIMER_ACK, &ack, draw_fate(t));
}

static void give_back(struct sim_task *t)
{
    bool by_key = task_draw(t, 2) == 0;
    const struct msg_timer_nack nack = {
        .key = by_key ? task_timer_key(t->hand.key) : slice_make(NULL, 0),
        .fencing_token = t->hand.token,
        .delay_ms = task_draw(t, 2) == 0 ? 0 : task_draw(t, swarm_of(t)->timer_ms),
    };
    (void)task_call(t, OP_CODE_TIMER_NACK, &nack, draw_fate(t));
}

/* One after the other; the last one of all may be told a second time. */
static void deal(struct sim_task *t)
{
    enum { LEAVE, BACK, LATE, LATER, AGAIN, WAYS = 16 };
    uint64_t way = task_is_last(t) ? WAYS : task_draw(t, WAYS); /* most often ACK */
    if (t->hand_count == 0) {
        if (way == AGAIN && t->hand.token != 0) {
            acknowledge(t);
            t->step = STEP_LAST;
        } else {
            task_think(t);
        }
        return;
    }
    if (way == LATE || way == LATER) {
        task_sleep(t, (uint64_t)LATE_MS_MOST * NS_PER_MS, STEP_HOLD);
        return;
    }
    t->hand = t->hands[--t->hand_count];
    if (way == LEAVE) {
        task_sleep(t, 0, STEP_HOLD);
    } else if (way == BACK || way == AGAIN) {
        give_back(t);
    } else {
        acknowledge(t);
    }
}

/* ------------------------------------------------------------------ the operator */

static void look_for_dead(struct sim_task *t)
{
    const struct msg_timer_list list = {.state = TIMER_DEAD, .count_max = PAGE_ITEMS};
    (void)task_call(t, OP_CODE_TIMER_LIST, &list, FATE_CANCEL);
}

/* One of them; now and then another one, which must be refused. */
static void take_dead(struct sim_task *t, const struct call *call)
{
    struct msg_timer_list_reply page;
    struct arena arena;
    int rv = arena_init(&arena, ANSWER_ARENA_BYTES);
    if (rv == HF_OK)
        rv = codec_decode(&msg_timer_list_reply_type, buffer_slice(&call->reply), &arena, &page);
    if (rv != HF_OK) sim_fail("an answer to LIST does not read back");
    const struct timer_line *lines = page.timers.items;
    bool any = page.timers.count > 0;
    bool wrong = task_draw(t, 8) == 0;
    if (any) t->key = history_thing(lines[task_draw(t, page.timers.count)].key);
    if (wrong) t->key = (uint32_t)task_draw(t, swarm_of(t)->timer_count);
    arena_close(&arena);
    if (any || wrong) {
        task_sleep(t, swarm_of(t)->hold_ns, STEP_END);
    } else {
        task_think(t);
    }
}

static void requeue(struct sim_task *t)
{
    const struct msg_timer_requeue requeue = {
        .key = task_timer_key(t->key),
        .reason = slice_of("try again"),
        .operator_name = slice_of("operator"),
    };
    (void)task_call(t, OP_CODE_TIMER_REQUEUE, &requeue, draw_fate(t));
}

/* ------------------------------------------------------------------ steps */

static void begin(struct sim_task *t)
{
    uint64_t act = task_draw(t, 16);
    t->mode = MODE_SHARED; /* no lock's */
    if (task_is_last(t) || act > 7) {
        poll(t);
    } else if (act > 3) {
        set(t);
    } else if (act > 1) {
        cancel(t);
    } else {
        look_for_dead(t);
    }
}

void script_timer_run(struct sim_task *t)
{
    switch (t->step) {
    case STEP_FIRST: begin(t); break;
    case STEP_HOLD: deal(t); break;
    case STEP_END: requeue(t); break;
    default: HF_UNREACHABLE();
    }
}

void script_timer_answered(struct sim_task *t, struct call *call)
{
    bool fine = call->verdict == HF_OK;
    bool deals = call->op->code == OP_CODE_TIMER_ACK || call->op->code == OP_CODE_TIMER_NACK;
    if (fine && call->op->code == OP_CODE_TIMER_POLL) {
        take_hands(t, call);
    } else if (fine && call->op->code == OP_CODE_TIMER_LIST) {
        take_dead(t, call);
    } else if (deals && t->step == STEP_HOLD) {
        task_sleep(t, swarm_of(t)->hold_ns / 4, STEP_HOLD);
    } else {
        task_think(t);
    }
}
