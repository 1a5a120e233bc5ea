/* Tasks that watch what happens, as client/watch.c does: each has a place of its own, which
 * outlives its calls, its sessions and its clients, and asks on from there, with some prefix and
 * kinds, a few events at a time, at once or waiting. Now and then it sleeps for longer than events
 * are kept, begins anew somewhere else, or goes back to where another one is. And the
 * administrator, who switches prefixes on and off and sets how many events are kept: as few as may
 * be, most often. */
#include <stdio.h>

#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/sim.h"

enum {
    WATCHES_MOST = 16,   /* in a row */
    EVENTS_MOST = 40,    /* in an answer */
    WINDOW_LEAST = 1000, /* what the setting may be */
    WINDOW_MORE = 1000,  /* and so much more */
};

static const struct slice REASON = {(const uint8_t *)"drawn by lot", 12};
static const struct slice OPERATOR = {(const uint8_t *)"operator", 8};

static const struct swarm *swarm_of(const struct sim_task *t)
{
    return &t->client->sim->swarm;
}

/* ------------------------------------------------------------------ prefixes */

/* Of everything, of a kind of things, or of one thing. */
static void draw_prefix(struct sim_task *t, char out[CHECK_WATCH_PREFIX_BYTES])
{
    static const char *const kinds[] = {"lock-", "record-", "timer-", "transfer-", "c", "events_"};
    uint64_t kind = task_draw(t, 3 * HF_ARRAY_COUNT(kinds));
    unsigned thing = (unsigned)task_draw(t, swarm_of(t)->lock_count);
    if (kind < HF_ARRAY_COUNT(kinds)) {
        (void)snprintf(out, CHECK_WATCH_PREFIX_BYTES, "%s", kinds[kind]);
    } else if (kind < 2 * HF_ARRAY_COUNT(kinds)) {
        (void)snprintf(out, CHECK_WATCH_PREFIX_BYTES, "lock-%u", thing);
    } else {
        out[0] = '\0';
    }
}

static void switch_prefix(struct sim_task *t)
{
    char prefix[CHECK_WATCH_PREFIX_BYTES] = "";
    if (task_draw(t, 2) == 0) draw_prefix(t, prefix);
    const struct msg_events_switch want = {
        .prefix = slice_of(prefix),
        .on = task_draw(t, 8) > 0,
        .reason = REASON,
        .operator_name = OPERATOR,
    };
    (void)task_call(t, OP_CODE_EVENTS_SWITCH, &want, FATE_REPEAT);
}

static void set_window(struct sim_task *t)
{
    const struct msg_config_set set = {
        .name = slice_of("events_window"),
        .value = WINDOW_LEAST + (task_draw(t, 4) == 0 ? task_draw(t, WINDOW_MORE) : 0),
        .reason = REASON,
        .operator_name = OPERATOR,
    };
    (void)task_call(t, OP_CODE_CONFIG_SET, &set, FATE_REPEAT);
}

/* ------------------------------------------------------------------ WATCH */

/* From now on, or from where another one is: that is a number that was told. */
static void begin_anew(struct sim_task *t, struct check_watch *watch)
{
    uint32_t client = (uint32_t)task_draw(t, swarm_of(t)->client_count);
    uint32_t task = (uint32_t)task_draw(t, swarm_of(t)->task_count);
    uint64_t next = t->client->sim->checks.watches[client][task].next;
    *watch = (struct check_watch){0};
    draw_prefix(t, watch->prefix);
    if (task_draw(t, 2) == 0) watch->kinds = 2 * (1 + task_draw(t, EVENT_KINDS_ALL / 2));
    if (task_draw(t, 2) == 0) watch->next = next;
    if (task_draw(t, 4) == 0) watch->next = 1; /* from the beginning */
}

static void ask_on(struct sim_task *t)
{
    struct check_watch *watch = checks_watch(t);
    const struct msg_watch want = {
        .prefix = slice_of(watch->prefix),
        .kinds = watch->kinds,
        .from = watch->next,
        .wait_ms = task_draw(t, 3) == 0 ? 0 : task_draw(t, swarm_of(t)->watch_ms + 1),
        .events_max = 1 + task_draw(t, EVENTS_MOST),
    };
    t->wait_ms = want.wait_ms;
    if (!task_call(t, OP_CODE_WATCH, &want, FATE_CANCEL)) return;
    checks_watch_called(t, want.events_max);
}

/* ------------------------------------------------------------------ steps */

static void begin(struct sim_task *t)
{
    uint64_t act = task_draw(t, 32);
    t->mode = MODE_SHARED; /* no lock's */
    t->watch_count = 1 + (uint32_t)task_draw(t, WATCHES_MOST);
    if (act < 5) {
        switch_prefix(t);
    } else if (act < 7) {
        set_window(t);
    } else {
        if (act < 14) begin_anew(t, checks_watch(t));
        ask_on(t);
    }
}

void script_watch_run(struct sim_task *t)
{
    if (t->step == STEP_FIRST) {
        begin(t);
    } else {
        ask_on(t);
    }
}

void script_watch_answered(struct sim_task *t, struct call *call)
{
    bool more = call->op->code == OP_CODE_WATCH && --t->watch_count > 0;
    if (!more) {
        task_think(t);
    } else if (task_draw(t, 16) == 0) {
        task_sleep(t, swarm_of(t)->watch_sleep_ns, STEP_HOLD);
    } else {
        task_sleep(t, swarm_of(t)->hold_ns / 8, STEP_HOLD);
    }
}
