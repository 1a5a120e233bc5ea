/* An administrator (docs/contract.md, section 10), who does some of what swarm.admin_acts says:
 * freezes a prefix for a while and thaws it, or thaws what another one left frozen; looks who holds
 * a lock and forces that grant, or asks for it back; sets what the log alone decides by. */
#include <stdio.h>

#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    PREFIX_BYTES = 16,
    GRACE_DOUBLINGS_MAX = 12,
    FACTOR_MOST = 20,
    FROZEN_TIMES = 4, /* a prefix is frozen for so many holds, at most */
    FIRST_TIMER = SIM_LOCKS_MAX + SIM_RECORDS_MAX + 1, /* behind the records, and all of them */
    ALL_TRANSFERS = FIRST_TIMER + SIM_TIMERS_MAX + 1,
    STATE_ARENA_BYTES = 4 * 1024 * 1024
};

static const struct slice REASON = {(const uint8_t *)"drawn by lot", 12};
static const struct slice OPERATOR = {(const uint8_t *)"operator", 8};

static const struct swarm *swarm_of(const struct sim_task *t)
{
    return &t->client->sim->swarm;
}

/* ------------------------------------------------------------------ prefixes */

/* One lock, one record or timer, or several; all transfers. "lock-1" to "lock-3" begin the names of
 * locks that are to be had at the end of a run, so they are none. */
static uint64_t draw_prefix(struct sim_task *t)
{
    enum { FIRST_LEFT_OUT = 1, LAST_LEFT_OUT = 3 };
    if (swarm_of(t)->timer_count != 0 && task_draw(t, 4) == 0)
        return FIRST_TIMER + task_draw(t, swarm_of(t)->timer_count + 1);
    if (swarm_of(t)->transfer_count != 0 && task_draw(t, 4) == 0) return ALL_TRANSFERS;
    uint64_t record = task_draw(t, swarm_of(t)->record_count + 1);
    uint64_t lock = task_draw(t, swarm_of(t)->lock_count);
    if (task_draw(t, 3) == 0) return SIM_LOCKS_MAX + record;
    return lock >= FIRST_LEFT_OUT && lock <= LAST_LEFT_OUT ? 0 : lock;
}

static struct slice prefix_of(const struct sim_task *t)
{
    static char text[PREFIX_BYTES];
    uint64_t record = t->prefix - SIM_LOCKS_MAX;
    if (t->prefix < SIM_LOCKS_MAX) {
        (void)snprintf(text, sizeof text, "lock-%u", (unsigned)t->prefix);
    } else if (t->prefix == FIRST_TIMER + (uint64_t)swarm_of(t)->timer_count) {
        (void)snprintf(text, sizeof text, "timer-");
    } else if (t->prefix == ALL_TRANSFERS) {
        (void)snprintf(text, sizeof text, "transfer-");
    } else if (t->prefix >= FIRST_TIMER) {
        (void)snprintf(text, sizeof text, "timer-%u", (unsigned)(t->prefix - FIRST_TIMER));
    } else if (record == swarm_of(t)->record_count) {
        (void)snprintf(text, sizeof text, "record-");
    } else {
        (void)snprintf(text, sizeof text, "record-%u", (unsigned)record);
    }
    return slice_of(text);
}

static void freeze(struct sim_task *t, uint16_t op)
{
    const struct msg_freeze freeze = {
        .prefix = prefix_of(t), .reason = REASON, .operator_name = OPERATOR};
    t->act = op;
    (void)task_call(t, op, &freeze, FATE_REPEAT);
}

/* ------------------------------------------------------------------ grants */

static void look_up(struct sim_task *t)
{
    t->name = (uint32_t)task_draw(t, swarm_of(t)->lock_count);
    struct msg_info info = {.name = task_lock_name(t->name)};
    (void)task_call(t, OP_CODE_INFO, &info, FATE_CANCEL);
}

/* One of its holders; token 0: nobody holds it. */
static void take_holder(struct sim_task *t, const struct call *call)
{
    struct msg_info_reply info;
    struct arena arena;
    int rv = arena_init(&arena, STATE_ARENA_BYTES);
    if (rv == HF_OK)
        rv = codec_decode(&msg_info_reply_type, buffer_slice(&call->reply), &arena, &info);
    if (rv != HF_OK) sim_fail("an answer to INFO does not read back");
    const struct holder_info *holders = info.holders.items;
    t->token = 0;
    if (info.holders.count > 0) t->token = holders[task_draw(t, info.holders.count)].fencing_token;
    arena_close(&arena);
    if (t->token != 0) {
        task_sleep(t, 0, STEP_END);
    } else {
        task_think(t);
    }
}

static void take_away(struct sim_task *t)
{
    const struct msg_force force = {
        .name = task_lock_name(t->name),
        .fencing_token = t->token,
        .now = task_draw(t, 4) == 0,
        .reason = REASON,
        .operator_name = OPERATOR,
    };
    (void)task_call(t, OP_CODE_FORCE, &force, FATE_REPEAT);
}

static void ask_back(struct sim_task *t)
{
    const struct msg_revoke revoke = {
        .name = task_lock_name(t->name),
        .fencing_token = t->token,
        .grace_ms = 1 + task_draw(t, UINT64_C(1) << task_draw(t, GRACE_DOUBLINGS_MAX + 1)),
        .then = task_draw(t, 4) == 0 ? REVOKE_THEN_ALARM : REVOKE_THEN_FORCE,
        .reason = REASON,
        .operator_name = OPERATOR,
    };
    (void)task_call(t, OP_CODE_REVOKE, &revoke, FATE_REPEAT);
}

/* ------------------------------------------------------------------ settings */

static void set(struct sim_task *t)
{
    bool factor = task_draw(t, 2) == 0;
    const struct msg_config_set set = {
        .name = slice_of(factor ? "tombstone_factor" : "key_age_ms_max"),
        .value = factor ? 1 + task_draw(t, FACTOR_MOST)
                        : RETAIN_MS_MIN + task_draw(t, RETAIN_MS_DEFAULT),
        .reason = REASON,
        .operator_name = OPERATOR,
    };
    (void)task_call(t, OP_CODE_CONFIG_SET, &set, FATE_REPEAT);
}

/* ------------------------------------------------------------------ steps */

static uint16_t draw_act(struct sim_task *t)
{
    static const uint16_t ops[ADMIN_COUNT] = {
        [ADMIN_FREEZE] = OP_CODE_FREEZE,
        [ADMIN_FORCE] = OP_CODE_FORCE,
        [ADMIN_REVOKE] = OP_CODE_REVOKE,
        [ADMIN_SET] = OP_CODE_CONFIG_SET,
    };
    unsigned act = (unsigned)task_draw(t, ADMIN_COUNT);
    while ((swarm_of(t)->admin_acts >> act & 1) == 0) act = (act + 1) % ADMIN_COUNT;
    return ops[act];
}

static void begin(struct sim_task *t)
{
    t->act = draw_act(t);
    t->mode = MODE_SHARED; /* no lock's */
    if (t->act == OP_CODE_CONFIG_SET) {
        set(t);
    } else if (t->act == OP_CODE_FREEZE) {
        t->prefix = draw_prefix(t);
        freeze(t, task_draw(t, 3) == 0 ? OP_CODE_THAW : OP_CODE_FREEZE);
    } else {
        look_up(t);
    }
}

void script_admin_run(struct sim_task *t)
{
    if (t->step == STEP_FIRST) {
        begin(t);
    } else if (t->act == OP_CODE_FREEZE) {
        freeze(t, OP_CODE_THAW);
    } else if (t->act == OP_CODE_FORCE) {
        take_away(t);
    } else {
        HF_ASSERT(t->act == OP_CODE_REVOKE);
        ask_back(t);
    }
}

void script_admin_answered(struct sim_task *t, struct call *call)
{
    bool fine = call->verdict == HF_OK;
    if (fine && call->op->code == OP_CODE_INFO) {
        take_holder(t, call);
    } else if (call->op->code == OP_CODE_FREEZE) { /* whatever became of it */
        task_sleep(t, FROZEN_TIMES * swarm_of(t)->hold_ns, STEP_END);
    } else {
        task_think(t);
    }
}
