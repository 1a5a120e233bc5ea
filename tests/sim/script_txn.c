/* Tasks that do several things as one: they begin a record, and end it in a TXN together with
 * timers that are set or cancelled and with another record that is begun; in whatever order, with
 * few or many answers accepted, so that many are refused, and some of them under an attempt that
 * somebody else has taken over. */
#include <stdio.h>

#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/sim.h"

enum {
    LEASE_MS_MOST = 1000,
    LATE_MS_MOST = 4000, /* an attempt that was given back: somebody may take over */
    OPS_MOST = 5,
    DATA_BYTES_MAX = 100,
    REQUEST_BYTES = 8192,
    NS_PER_MS = 1000000
};

/* A TXN being put together. */
struct draft {
    struct txn_op ops[OPS_MOST];
    struct buffer bodies[OPS_MOST];
    uint64_t answers[OPS_MOST][2];
    uint32_t count;
};

static const struct swarm *swarm_of(const struct sim_task *t)
{
    return &t->client->sim->swarm;
}

static struct msg_begin draw_begin(struct sim_task *t, uint32_t key)
{
    static uint8_t fingerprint[FINGERPRINT_BYTES];
    fingerprint[0] = (uint8_t)key; /* as script_record.c has it */
    return (struct msg_begin){
        .key = task_record_key(key),
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .lease_ms = LEASE_MS_MIN + task_draw(t, LEASE_MS_MOST),
        .retain_ms = RETAIN_MS_MIN,
    };
}

static void begin(struct sim_task *t)
{
    t->key = (uint32_t)task_draw(t, swarm_of(t)->record_count);
    t->mode = MODE_SHARED; /* no lock's */
    const struct msg_begin begin = draw_begin(t, t->key);
    t->lease_ms = begin.lease_ms;
    if (task_call(t, OP_CODE_BEGIN, &begin, FATE_CANCEL)) t->call->hold_ms = t->lease_ms;
}

/* ------------------------------------------------------------------ the TXN */

/* \param other  an answer that it accepts beside; 0 = none */
static void add(struct draft *d, uint16_t op, const void *request, uint64_t verdicts, int other)
{
    HF_ASSERT(d->count < OPS_MOST);
    uint32_t at = d->count++;
    buffer_init(&d->bodies[at], REQUEST_BYTES);
    int rv = codec_encode(op_find(op)->request, request, &d->bodies[at]);
    HF_ASSERT(rv == HF_OK);
    d->answers[at][0] = (uint64_t)-other;
    d->ops[at] = (struct txn_op){
        .op = op,
        .verdicts = verdicts,
        .answers = {d->answers[at], other != 0},
        .body = buffer_slice(&d->bodies[at]),
    };
}

static void add_timer(struct sim_task *t, struct draft *d, uint32_t key)
{
    if (task_draw(t, 2) == 0) {
        const struct msg_timer_cancel cancel = {task_timer_key(key)};
        add(d, OP_CODE_TIMER_CANCEL, &cancel, 1, task_draw(t, 2) == 0 ? HF_ENOTFOUND : 0);
        return;
    }
    struct checks *checks = &t->client->sim->checks;
    uint64_t version = checks_timer_version(checks, key);
    uint64_t seed = checks_timer_seed(key, version / 4); /* as script_timer.c has it */
    char group[24];
    (void)snprintf(group, sizeof group, "group-%u", (unsigned)(seed % swarm_of(t)->group_count));
    const struct msg_timer_set set = {
        .key = task_timer_key(key),
        .group = slice_of(group),
        .delay_ms = task_draw(t, swarm_of(t)->timer_ms + 1),
        .version = version,
        .attempts_max = checks_timer_attempts(key, version),
        .payload = task_body(checks_timer_seed(key, version), swarm_of(t)->body_bytes),
    };
    checks_timer_asked(t, key, version, set.delay_ms);
    uint64_t replaced = task_draw(t, 3) > 0 ? 1U << TIMER_REPLACED : 0;
    add(d, OP_CODE_TIMER_SET, &set, 1U << TIMER_SCHEDULED | replaced, 0);
}

static void add_complete(struct sim_task *t, struct draft *d)
{
    const struct msg_complete complete = {
        .key = task_record_key(t->key),
        .fencing_token = t->token,
        .outcome = task_draw(t, 2) == 0 ? OUTCOME_RETRYABLE : OUTCOME_DONE,
        .code = task_draw(t, 1000),
        .body = task_body(t->token, DATA_BYTES_MAX),
    };
    add(d, OP_CODE_COMPLETE, &complete, 1, task_draw(t, 4) == 0 ? HF_ESTALE : 0);
}

static void add_begin(struct sim_task *t, struct draft *d)
{
    uint32_t key =
        (t->key + 1 + (uint32_t)task_draw(t, SIM_RECORDS_MAX)) % swarm_of(t)->record_count;
    if (key == t->key) return;
    const struct msg_begin begin = draw_begin(t, key);
    add(d, OP_CODE_BEGIN, &begin, 1U << BEGIN_STARTED | 1U << BEGIN_TAKEOVER, 0);
}

static void add_timers(struct sim_task *t, struct draft *d)
{
    uint32_t count = swarm_of(t)->timer_count;
    if (count == 0) return;
    uint32_t key = (uint32_t)task_draw(t, count);
    add_timer(t, d, key);
    if (count > 1 && task_draw(t, 2) == 0) add_timer(t, d, (key + 1) % count);
}

static void send(struct sim_task *t)
{
    struct draft d = {.count = 0};
    bool first = task_draw(t, 2) == 0;
    t->called_ns = t->client->sim->trace.now_ns; /* timers are asked for from now on */
    if (first) add_timers(t, &d);
    if (task_draw(t, 2) == 0) add_begin(t, &d);
    add_complete(t, &d);
    if (!first) add_timers(t, &d);
    const struct msg_txn txn = {{d.ops, d.count}};
    t->step = STEP_END;
    (void)task_call(t, OP_CODE_TXN, &txn, task_draw(t, 3) == 0 ? FATE_HOLD : FATE_REPEAT);
    for (uint32_t i = 0; i < d.count; i++) buffer_close(&d.bodies[i]);
}

/* ------------------------------------------------------------------ steps */

/* Its attempt, if it is not ended, and the slot keeps its lease. */
static void let_go(struct sim_task *t)
{
    struct core *core = &t->client->core;
    if (grants_alive(&core->grants, t->grant) != NULL)
        core_drop_grant(core, t->grant, client_now(t->client));
}

void script_txn_run(struct sim_task *t)
{
    switch (t->step) {
    case STEP_FIRST: begin(t); break;
    case STEP_HOLD: send(t); break;
    default: HF_UNREACHABLE();
    }
}

void script_txn_answered(struct sim_task *t, struct call *call)
{
    bool begun = call->op->code == OP_CODE_BEGIN && call->verdict == HF_OK && call->token != 0;
    if (!begun) {
        if (call->op->code == OP_CODE_TXN) let_go(t);
        task_think(t);
        return;
    }
    t->grant = call->grant;
    t->token = call->token;
    bool late = task_draw(t, 4) == 0;
    if (late) let_go(t);
    task_sleep(t, late ? (uint64_t)LATE_MS_MOST * NS_PER_MS : swarm_of(t)->hold_ns, STEP_HOLD);
}
