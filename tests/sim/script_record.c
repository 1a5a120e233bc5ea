/* Tasks that run records, as client/record.c does: begin, some checkpoints, and an end: complete,
 * give back, or be too late. And the operator who decides what became UNKNOWN, and in some seeds
 * reopens what has failed, and erases what has ended. */
#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    CHECKPOINTS_MOST = 3,
    LEASE_MS_MOST = 4000,
    LINGER_LEASES_MOST = 4, /* an attempt that is held for so many of its leases */
    DATA_BYTES_MAX = 200,
    NS_PER_MS = 1000000,
    STATE_ARENA_BYTES = 256 * 1024
};

static const struct swarm *swarm_of(const struct sim_task *t)
{
    return &t->client->sim->swarm;
}

/* ------------------------------------------------------------------ begin */

static uint64_t draw_retention(struct sim_task *t)
{
    bool is_short = task_draw(t, 4) == 0;
    if (swarm_of(t)->nap_ns != 0) is_short = !is_short;
    return is_short ? RETAIN_MS_MIN : RETAIN_MS_DEFAULT;
}

static void begin(struct sim_task *t)
{
    uint8_t fingerprint[FINGERPRINT_BYTES] = {0};
    t->key = (uint32_t)task_draw(t, swarm_of(t)->record_count);
    t->mode = MODE_SHARED; /* no lock's */
    fingerprint[0] = (uint8_t)t->key;
    bool naps = swarm_of(t)->nap_ns != 0; /* then what was done long ago is asked for again */
    if (task_draw(t, naps ? 4 : 16) == 0) fingerprint[1] = 1; /* another request, the same key */
    t->lease_ms = task_draw(t, 2) == 0 ? 0 : LEASE_MS_MIN + task_draw(t, LEASE_MS_MOST);
    t->lingers = t->lease_ms != 0 && task_draw(t, 4) == 0;
    if (t->lingers) t->lease_ms = LEASE_MS_MIN;
    struct msg_begin begin = {
        .key = task_record_key(t->key),
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .lease_ms = t->lease_ms,
        .retain_ms = draw_retention(t),
        .takeover = task_draw(t, 8) == 0 ? task_draw(t, 3) : TAKEOVER_AUTO,
        .wait_ms = task_draw(t, 2) == 0 ? 0 : task_draw(t, swarm_of(t)->wait_ms),
    };
    t->wait_ms = begin.wait_ms;
    t->checkpoints = (uint32_t)task_draw(t, CHECKPOINTS_MOST + 1);
    bool hold = task_draw(t, 3) == 0;
    if (!task_call(t, OP_CODE_BEGIN, &begin, hold ? FATE_HOLD : FATE_CANCEL)) return;
    t->call->hold_ms = t->lease_ms;
    if (task_draw(t, 16) == 0) task_come_late(t);
}

static void take_attempt(struct sim_task *t, const struct call *call)
{
    if (call->token == 0) { /* a replay */
        task_think(t);
        return;
    }
    t->grant = call->grant;
    t->token = call->token;
    uint64_t hold_ns = swarm_of(t)->hold_ns;
    task_sleep(t, t->lingers ? LINGER_LEASES_MOST * t->lease_ms * NS_PER_MS : hold_ns, STEP_HOLD);
}

/* ------------------------------------------------------------------ under the attempt's token */

static void add_attempt(struct sim_task *t, uint64_t hold_ms)
{
    t->call->grant = t->grant;
    t->call->hold_ms = hold_ms;
}

static void checkpoint(struct sim_task *t)
{
    struct msg_checkpoint checkpoint = {
        .key = task_record_key(t->key),
        .fencing_token = t->token,
        .name = slice_of("step"),
        .number = t->client->sim->trace.now_ns, /* rises over all attempts */
        .data = task_body(t->token, DATA_BYTES_MAX),
        .external = task_draw(t, 4) == 0 ? task_draw(t, 3) : MARK_NONE,
    };
    t->checkpoints--;
    if (task_call(t, OP_CODE_CHECKPOINT, &checkpoint, FATE_REPEAT)) add_attempt(t, 0);
}

static void complete(struct sim_task *t)
{
    static const uint64_t outcomes[] = {OUTCOME_DONE, OUTCOME_DONE, OUTCOME_FAILED,
                                        OUTCOME_RETRYABLE, OUTCOME_RETRYABLE};
    struct msg_complete complete = {
        .key = task_record_key(t->key),
        .fencing_token = t->token,
        .outcome = outcomes[task_draw(t, HF_ARRAY_COUNT(outcomes))],
        .code = task_draw(t, 1000),
        .body = task_body(t->token, swarm_of(t)->body_bytes),
    };
    bool fails = swarm_may_reopen(swarm_of(t), t->key) && task_draw(t, 2) == 0;
    if (fails) complete.outcome = OUTCOME_FAILED;
    t->step = STEP_END;
    enum call_fate fate = task_draw(t, 3) == 0 ? FATE_HOLD : FATE_REPEAT;
    if (task_call(t, OP_CODE_COMPLETE, &complete, fate)) add_attempt(t, 0);
}

static void run_attempt(struct sim_task *t)
{
    struct core *core = &t->client->core;
    core_expire(core, client_now(t->client));
    bool lost = grants_alive(&core->grants, t->grant) == NULL;
    if (lost && task_draw(t, 2) == 0) {
        task_think(t);
    } else if (!lost && t->checkpoints > 0) {
        checkpoint(t);
    } else if (!lost && task_draw(t, 6) == 0) {
        core_drop_grant(core, t->grant, client_now(t->client)); /* given back */
        task_sleep(t, swarm_of(t)->hold_ns, STEP_HOLD);
    } else {
        complete(t); /* also a late one: the servers decide */
    }
}

/* ------------------------------------------------------------------ the operator */

static void look_up(struct sim_task *t)
{
    t->key = (uint32_t)task_draw(t, swarm_of(t)->record_count);
    struct msg_record_get get = {.key = task_record_key(t->key)};
    (void)task_call(t, OP_CODE_RECORD_GET, &get, FATE_CANCEL);
}

/* Reopen a failure, erase what has ended; and now and then what must be refused. */
static void draw_act(struct sim_task *t, const struct msg_record_reply *record)
{
    bool ended = record->state == RECORD_DONE || record->state == RECORD_FAILED ||
                 record->state == RECORD_TOMBSTONE;
    bool reopens = record->outcome == OUTCOME_FAILED ? task_draw(t, 2) == 0 : task_draw(t, 8) == 0;
    if (reopens && swarm_may_reopen(swarm_of(t), t->key)) {
        t->act = OP_CODE_REOPEN;
    } else if (task_draw(t, ended ? 2 : 8) == 0) {
        t->act = OP_CODE_ERASE;
    }
}

static void decide(struct sim_task *t, const struct call *call)
{
    struct msg_record_reply record;
    struct arena arena;
    int rv = arena_init(&arena, STATE_ARENA_BYTES);
    if (rv == HF_OK)
        rv = codec_decode(&msg_record_reply_type, buffer_slice(&call->reply), &arena, &record);
    if (rv != HF_OK) sim_fail("an answer to RECORD_GET does not read back");
    arena_close(&arena);
    t->token = record.fencing_token;
    t->act = record.state == RECORD_UNKNOWN ? OP_CODE_RESOLVE : 0;
    if (swarm_of(t)->operator_acts && t->act == 0 && t->token != 0) draw_act(t, &record);
    if (t->act != 0) {
        task_sleep(t, swarm_of(t)->hold_ns, STEP_END);
    } else {
        task_think(t);
    }
}

static void resolve(struct sim_task *t)
{
    static const uint64_t outcomes[] = {OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_RETRYABLE};
    struct msg_resolve resolve = {
        .key = task_record_key(t->key),
        .fencing_token = t->token,
        .outcome = outcomes[task_draw(t, HF_ARRAY_COUNT(outcomes))],
        .body = task_body(t->token + 1, swarm_of(t)->body_bytes),
        .operator_name = slice_of("operator"),
    };
    (void)task_call(t, OP_CODE_RESOLVE, &resolve, FATE_REPEAT);
}

static void reopen(struct sim_task *t)
{
    struct msg_reopen reopen = {
        .key = task_record_key(t->key),
        .fencing_token = t->token,
        .outcome = task_draw(t, 8) == 0 ? OUTCOME_DONE : OUTCOME_FAILED,
        .reason = slice_of("try again"),
        .operator_name = slice_of("operator"),
    };
    (void)task_call(t, OP_CODE_REOPEN, &reopen, FATE_REPEAT);
}

static void erase(struct sim_task *t)
{
    struct msg_erase erase = {
        .key = task_record_key(t->key),
        .reason = slice_of("asked for"),
        .operator_name = slice_of("operator"),
    };
    (void)task_call(t, OP_CODE_ERASE, &erase, FATE_REPEAT);
}

static void act(struct sim_task *t)
{
    switch (t->act) {
    case OP_CODE_RESOLVE: resolve(t); break;
    case OP_CODE_REOPEN: reopen(t); break;
    default: erase(t);
    }
}

/* ------------------------------------------------------------------ steps */

void script_record_run(struct sim_task *t)
{
    bool operator= t->script == SCRIPT_RESOLVE;
    switch (t->step) {
    case STEP_FIRST:
        if (operator) {
            look_up(t);
        } else {
            begin(t);
        }
        break;
    case STEP_HOLD: run_attempt(t); break;
    case STEP_END: act(t); break;
    default: HF_UNREACHABLE();
    }
}

void script_record_answered(struct sim_task *t, struct call *call)
{
    bool fine = call->verdict == HF_OK;
    if (fine && call->op->code == OP_CODE_BEGIN) {
        take_attempt(t, call);
    } else if (fine && call->op->code == OP_CODE_RECORD_GET) {
        decide(t, call);
    } else if (call->op->code == OP_CODE_CHECKPOINT) {
        task_sleep(t, swarm_of(t)->hold_ns, STEP_HOLD);
    } else {
        task_think(t);
    }
}
