/* See the header. */
#include "tests/sim/task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    NS_PER_MS = 1000000,
    TIMEOUT_MS_MIN = 100,
    TIMEOUT_MS_MAX = 10000,
    BODY_BYTES = 4096,
    NAME_BYTES = 16,
    LATE_DOUBLINGS_MAX = 10
};

/* ------------------------------------------------------------------ names and bytes */

uint64_t task_draw(struct sim_task *t, uint64_t bound)
{
    return bound > 1 ? prng_below(&t->client->random, bound) : 0;
}

static int compare_locks(const void *a, const void *b)
{
    char one[NAME_BYTES], other[NAME_BYTES];
    (void)snprintf(one, sizeof one, "%u", *(const uint32_t *)a);
    (void)snprintf(other, sizeof other, "%u", *(const uint32_t *)b);
    return strcmp(one, other);
}

void task_sort_names(struct lock_names *n)
{
    qsort(n->items, n->count, sizeof n->items[0], compare_locks);
}

struct codec_strs task_names(const struct lock_names *n)
{
    static char text[SIM_NAMES_MAX][NAME_BYTES];
    static struct slice items[SIM_NAMES_MAX];
    for (uint32_t i = 0; i < n->count; i++) {
        (void)snprintf(text[i], sizeof text[i], "lock-%u", n->items[i]);
        items[i] = slice_of(text[i]);
    }
    return (struct codec_strs){items, n->count};
}

struct slice task_lock_name(uint32_t name)
{
    static char text[16];
    snprintf(text, sizeof text, "lock-%u", name);
    return slice_of(text);
}

struct slice task_record_key(uint32_t key)
{
    static char text[16];
    snprintf(text, sizeof text, "record-%u", key);
    return slice_of(text);
}

struct slice task_timer_key(uint32_t key)
{
    static char text[16];
    snprintf(text, sizeof text, "timer-%u", key);
    return slice_of(text);
}

struct slice task_body(uint64_t seed, uint32_t bytes_max)
{
    static uint8_t body[BODY_BYTES];
    struct prng p;
    HF_ASSERT(bytes_max <= sizeof body);
    prng_seed(&p, seed);
    size_t bytes = prng_below(&p, bytes_max + 1);
    for (size_t at = 0; at < bytes; at += 8) put_u64(body + at, prng_next(&p));
    return slice_make(body, bytes);
}

/* ------------------------------------------------------------------ sleeping and calling */

void task_sleep(struct sim_task *t, uint64_t ns, enum task_step step)
{
    t->wake_ns = client_now(t->client) + 1 + task_draw(t, ns);
    t->step = step;
}

bool task_is_last(const struct sim_task *t)
{
    return t->index == t->client->sim->swarm.task_count;
}

void task_think(struct sim_task *t)
{
    t->grant = t->left = (struct grant_ref){0};
    t->token = 0;
    t->count = 0;
    t->claimed = false;
    t->releasing = false;
    task_sleep(t, t->client->sim->swarm.think_ns, STEP_START);
}

void task_init(struct sim_task *t, struct sim_client *c, uint32_t index)
{
    *t = (struct sim_task){.client = c, .index = index};
    task_think(t);
}

void task_drop(struct sim_task *t)
{
    script_branch_died(t);
    t->call = NULL; /* the core frees it */
    t->wake_ns = UINT64_MAX;
    t->grant = (struct grant_ref){0};
}

static uint64_t draw_deadline(struct sim_task *t)
{
    uint64_t timeout_ms = TIMEOUT_MS_MIN + task_draw(t, TIMEOUT_MS_MAX);
    bool short_one = t->script == SCRIPT_CANCEL || task_draw(t, 8) == 0;
    if (task_is_last(t)) return client_now(t->client) + (uint64_t)TIMEOUT_MS_MAX * NS_PER_MS;
    if (t->late_ns != 0) return client_now(t->client) + NS_PER_MS;
    if (short_one) return client_now(t->client) + timeout_ms * NS_PER_MS / 20;
    return client_now(t->client) + (t->wait_ms + timeout_ms) * NS_PER_MS;
}

bool task_call(struct sim_task *t, uint16_t op, const void *request, enum call_fate fate)
{
    struct core *core = &t->client->core;
    struct call *call;
    HF_ASSERT(t->call == NULL);
    int rv = core_call_new(core, op, request, &call);
    if (rv != HF_OK) {
        HF_ASSERT(rv == HF_EUNACKED);
        task_think(t);
        return false;
    }
    call->fate = fate;
    call->waiter = t;
    call->handle = t;
    call->wants_reply = op != OP_CODE_ACQUIRE;
    if (op == OP_CODE_ACQUIRE) call->owner = t->owner;
    t->call = call;
    t->op = op;
    t->called_ns = t->client->sim->trace.now_ns;
    t->session = 0;
    t->seq = 0;
    t->late_ns = 0;
    t->wake_ns = UINT64_MAX;
    checks_called(t);
    return true;
}

/* Filled in by the script, it leaves. */
static void send_call(struct sim_task *t)
{
    struct sim_client *c = t->client;
    core_submit(&c->core, t->call, draw_deadline(t), client_now(c));
    if (t->late_ns != 0) client_hang_up(c, t->late_ns);
    t->wait_ms = 0;
    t->late_ns = 0;
}

void task_note_session(struct sim_task *t)
{
    if (t->call == NULL || t->call->seq == 0) return;
    if (t->session == 0) {
        t->session = t->client->core.session.id;
        t->seq = t->call->seq;
    }
    if (t->seq != t->call->seq)
        sim_fail("client %u sends one call under seq %" PRIu64 " and seq %" PRIu64,
                 t->client->index + 1, t->seq, t->call->seq);
}

void task_come_late(struct sim_task *t)
{
    t->call->fate = FATE_CANCEL;
    t->late_ns = (uint64_t)NS_PER_MS << task_draw(t, LATE_DOUBLINGS_MAX);
}

/* ------------------------------------------------------------------ outcomes that are unknown */

static void ask_again(struct sim_task *t)
{
    struct sim_client *c = t->client;
    struct call *call = core_call_find(&c->core, t->held_id);
    if (call == NULL) sim_fail("client %u has lost a request that it holds", c->index + 1);
    uint64_t deadline_ns = draw_deadline(t);
    t->call = call;
    t->held_id = 0;
    t->wake_ns = UINT64_MAX;
    call->waiter = t;
    bool revocable = t->op == OP_CODE_ACQUIRE || t->op == OP_CODE_BEGIN;
    bool cancel = revocable && t->held_step == STEP_FIRST && task_draw(t, 2) == 0;
    t->step = cancel ? STEP_CANCELLING : t->held_step;
    if (cancel) {
        core_call_cancel(&c->core, call, deadline_ns, client_now(c));
    } else {
        core_call_retry(&c->core, call, deadline_ns, client_now(c));
    }
}

/* ------------------------------------------------------------------ scripts */

static void draw_script(struct sim_task *t)
{
    const struct sim *sim = t->client->sim;
    bool served = t->client->served_ns >= sim->calm_ns;
    bool timers = sim->swarm.timer_count != 0;     /* then it empties a group, */
    bool transfers = sim->ledgers.open_count != 0; /* and brings them to their end before */
    if (sim->calm && (!task_is_last(t) || (served && !timers && !transfers))) {
        t->wake_ns = UINT64_MAX; /* enough */
        return;
    }
    uint64_t now_ns = sim->trace.now_ns;
    if (now_ns >= sim->nap_from_ns && now_ns < sim->nap_until_ns && !sim->calm) {
        task_sleep(t, sim->swarm.think_ns, STEP_START);
        t->wake_ns += sim->nap_until_ns - now_ns;
        return;
    }
    t->step = STEP_FIRST;
    t->script = !sim->calm || !served ? SCRIPT_EXCLUSIVE : transfers ? SCRIPT_BRANCH : SCRIPT_TIMER;
    if (sim->calm) return;
    uint64_t sum = 0;
    for (unsigned i = 0; i < SCRIPT_COUNT; i++) sum += sim->swarm.script_weight[i];
    uint64_t at = task_draw(t, sum);
    for (unsigned i = 0; i < SCRIPT_COUNT; i++) {
        if (at < sim->swarm.script_weight[i]) {
            t->script = (enum script_kind)i;
            return;
        }
        at -= sim->swarm.script_weight[i];
    }
    HF_UNREACHABLE();
}

static void run_script(struct sim_task *t)
{
    switch (t->script) {
    case SCRIPT_EXCLUSIVE:
    case SCRIPT_SHARED:
    case SCRIPT_AGAIN:
    case SCRIPT_CANCEL:
    case SCRIPT_LEAVE: script_lock_run(t); break;
    case SCRIPT_RECORD:
    case SCRIPT_RESOLVE: script_record_run(t); break;
    case SCRIPT_READ:
    case SCRIPT_LIST: script_read_run(t); break;
    case SCRIPT_DINE: script_dine_run(t); break;
    case SCRIPT_CAP: script_cap_run(t); break;
    case SCRIPT_ADMIN: script_admin_run(t); break;
    case SCRIPT_TIMER: script_timer_run(t); break;
    case SCRIPT_BRANCH: script_branch_run(t); break;
    case SCRIPT_TXN: script_txn_run(t); break;
    case SCRIPT_WATCH: script_watch_run(t); break;
    case SCRIPT_CLOSE:
        t->client->closing = 1;
        t->wake_ns = UINT64_MAX;
        break;
    case SCRIPT_COUNT: HF_UNREACHABLE();
    }
}

void task_run(struct sim_task *t)
{
    HF_ASSERT(t->call == NULL);
    t->wake_ns = UINT64_MAX;
    if (t->step == STEP_LAST) {
        task_think(t);
        return;
    }
    if (t->step == STEP_UNKNOWN) {
        ask_again(t);
        return;
    }
    if (t->step == STEP_START) draw_script(t);
    if (t->step == STEP_START) return;
    run_script(t);
    if (t->call != NULL) send_call(t);
}

/* Some give back at once, others do not listen. */
void task_asked(struct sim_task *t, uint64_t token)
{
    bool holds = t->token == token && t->step == STEP_HOLD && t->call == NULL;
    if (!holds || task_draw(t, 2) == 0) return;
    task_sleep(t, 0, STEP_END);
}

void task_finished(struct sim_task *t, struct call *call)
{
    struct sim_client *c = t->client;
    HF_ASSERT(t->call == call);
    task_note_session(t);
    if (trace_shows(&c->sim->trace))
        trace_line(&c->sim->trace, 'c', c->index + 1, "verdict",
                   "task %u %s %s token %" PRIu64 " seq %" PRIu64, t->index, call->op->name,
                   status_name(call->verdict), call->token, call->seq);
    trace_mix(&c->sim->trace, (uint64_t)(uint32_t)call->verdict << 32 | call->seq);
    t->call = NULL;
    checks_answered(t, call);
    /* A cap counts what dead clients hold, too, until their leases are over. */
    bool capped = call->verdict == HF_EQUOTA && c->sim->swarm.caps_most != 0;
    if ((call->verdict == HF_OK || capped) && task_is_last(t)) c->served_ns = c->sim->trace.now_ns;
    if (status_kind(call->verdict) == STATUS_ANSWER) c->sim->counts.ops++;
    if (call->held) {
        t->held_id = call->id;
        t->held_step = t->step;
        if (t->op == OP_CODE_ACQUIRE) t->owner = 0; /* spent, unless the answer still comes */
        core_detach(&c->core, call);
        task_sleep(t, c->sim->swarm.think_ns, STEP_UNKNOWN);
        return;
    }
    if (t->step == STEP_CANCELLING || c->closing != 0) { /* whoever closes uses nothing any more */
        core_detach(&c->core, call);
        task_think(t);
        return;
    }
    switch (t->script) {
    case SCRIPT_RECORD:
    case SCRIPT_RESOLVE: script_record_answered(t, call); break;
    case SCRIPT_READ:
    case SCRIPT_LIST: script_read_answered(t, call); break;
    case SCRIPT_DINE: script_dine_answered(t, call); break;
    case SCRIPT_CAP: task_think(t); break;
    case SCRIPT_ADMIN: script_admin_answered(t, call); break;
    case SCRIPT_TIMER: script_timer_answered(t, call); break;
    case SCRIPT_BRANCH: script_branch_answered(t, call); break;
    case SCRIPT_TXN: script_txn_answered(t, call); break;
    case SCRIPT_WATCH: script_watch_answered(t, call); break;
    default: script_lock_answered(t, call); break;
    }
    core_detach(&c->core, call);
}
