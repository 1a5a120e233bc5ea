/* Tasks that use locks, as client/lock.c does; in some seeds also permits of them, and several at
 * once. A holder claims the register that the lock guards,
 * holds, writes and releases; now and then it does not look whether its grant is still valid, so
 * that only the guard stands between a late holder and the register. */
#include <inttypes.h>

#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum { HOLD_MS_LEAST = 100, HOLD_MS_MOST = 3000, DELAY_MS_MOST = 1000, CALM_WAIT_MS = 3000 };

static const struct swarm *swarm_of(const struct sim_task *t)
{
    return &t->client->sim->swarm;
}

/* ------------------------------------------------------------------ what is asked for */

/* Its lock alone, or some more. */
static void draw_names(struct sim_task *t)
{
    const struct swarm *w = swarm_of(t);
    struct lock_names *n = &t->asked;
    *n = (struct lock_names){.count = 1, .items = {t->name}};
    if (!w->several_names || task_is_last(t) || task_draw(t, 2) == 0) return;
    uint64_t more = 1 + task_draw(t, SIM_NAMES_MAX - 1);
    for (uint64_t i = 0; i < more; i++) {
        uint32_t lock = (uint32_t)task_draw(t, w->lock_count);
        if (!lock_names_have(n, lock)) n->items[n->count++] = lock;
    }
    task_sort_names(n);
}

/* Locks of permits are asked for otherwise now and then, or under another limit. */
static void draw_units(struct sim_task *t)
{
    const struct swarm *w = swarm_of(t);
    t->permits = t->limit = 0;
    if (!swarm_has_permits(w, t->name) || task_is_last(t) || task_draw(t, 8) == 0) return;
    t->mode = MODE_PERMITS;
    t->limit = w->permits_limit + (task_draw(t, 16) == 0 ? 1 : 0);
    t->permits = 1 + task_draw(t, t->limit);
}

/* ------------------------------------------------------------------ acquire */

static void acquire(struct sim_task *t, bool again)
{
    struct core *core = &t->client->core;
    if (t->owner == 0) t->owner = core_draw_owner(core);
    struct msg_acquire acquire = {
        .names = task_names(&t->asked), .owner = t->owner, .mode = t->mode, .reentrant = again};
    acquire.permits = t->permits;
    acquire.limit = t->limit;
    bool calm = task_is_last(t);
    if (task_draw(t, 4) > 0) acquire.wait_ms = task_draw(t, swarm_of(t)->wait_ms);
    if (calm) acquire.wait_ms = CALM_WAIT_MS;
    if (!again && !calm && (t->script == SCRIPT_LEAVE || task_draw(t, 8) == 0))
        acquire.hold_max_ms = HOLD_MS_LEAST + task_draw(t, HOLD_MS_MOST);
    if (!again && !calm && task_draw(t, 8) == 0) acquire.delay_ms = task_draw(t, DELAY_MS_MOST);
    t->wait_ms = acquire.wait_ms;
    bool hold = t->script == SCRIPT_CANCEL || task_draw(t, 4) == 0;
    if (!task_call(t, OP_CODE_ACQUIRE, &acquire, hold ? FATE_HOLD : FATE_CANCEL)) return;
    t->call->hold_ms = acquire.hold_max_ms;
    if (t->script == SCRIPT_CANCEL && task_draw(t, 3) == 0) task_come_late(t);
}

static void acquire_first(struct sim_task *t)
{
    t->name = task_is_last(t) ? SIM_LOCKS_MAX + t->client->index
                              : (uint32_t)task_draw(t, swarm_of(t)->lock_count);
    if (t->past_token != 0 && !task_is_last(t) && task_draw(t, 4) == 0) t->name = t->past_name;
    t->mode = t->script == SCRIPT_SHARED ? MODE_SHARED : MODE_EXCLUSIVE;
    if (t->script == SCRIPT_CANCEL && task_draw(t, 2) == 0) t->mode = MODE_SHARED;
    draw_names(t);
    draw_units(t);
    acquire(t, false);
}

/* The same once more, or, where there is more than one name to ask for, some of it. */
static void acquire_again(struct sim_task *t)
{
    t->asked = t->names;
    if (swarm_of(t)->several_names && task_draw(t, 4) == 0) draw_names(t);
    acquire(t, true);
}

static void take_grant(struct sim_task *t, const struct call *call)
{
    if (t->count > 0 && call->token != t->token) { /* the first one was lost meanwhile */
        const struct slot *first = grants_alive(&t->client->core.grants, t->grant);
        const struct history_token *what = history_token(&t->client->sim->history, t->token);
        bool forced = what != NULL && what->forced != FORCED_NOT; /* it was not told yet */
        if (first != NULL && first->owner == call->owner && !forced)
            sim_fail("client %u acquired token %" PRIu64 " again and got %" PRIu64,
                     t->client->index + 1, t->token, call->token);
        t->count = 0;
    }
    if (t->count == 0) t->names = t->asked;
    t->grant = call->grant;
    t->token = call->token;
    t->count++;
    if (trace_shows(&t->client->sim->trace))
        trace_line(&t->client->sim->trace, 'c', t->client->index + 1, "granted",
                   "task %u lock-%u names %u mode %" PRIu64 " permits %" PRIu64 " token %" PRIu64,
                   t->index, t->name, t->names.count, t->mode, t->permits, t->token);
    checks_granted(t);
    if (t->script == SCRIPT_LEAVE) { /* its hold_max ends it */
        task_think(t);
        return;
    }
    if (t->mode == MODE_EXCLUSIVE && t->count == 1) t->claimed = checks_claim(t);
    task_sleep(t, swarm_of(t)->hold_ns, STEP_HOLD);
}

/* ------------------------------------------------------------------ while it is held, and after */

static void use_grant(struct sim_task *t)
{
    bool valid = grants_left_ns(&t->client->core.grants, t->grant, client_now(t->client)) > 0;
    bool careless = task_draw(t, 2) == 0;
    if (t->claimed && (valid || careless)) t->claimed = checks_write(t);
}

static void release(struct sim_task *t)
{
    struct core *core = &t->client->core;
    core_expire(core, client_now(t->client)); /* what is past its deadline is lost */
    struct slot *s = grants_alive(&core->grants, t->grant);
    if (s == NULL) {
        task_think(t);
        return;
    }
    struct msg_release release = {.fencing_token = s->token, .owner = s->owner};
    if (swarm_of(t)->several_names && task_draw(t, 2) == 0)
        release.name = task_lock_name(t->names.items[task_draw(t, t->names.count)]);
    bool hold = task_draw(t, 8) == 0;
    if (!task_call(t, OP_CODE_RELEASE, &release, hold ? FATE_HOLD : FATE_REPEAT_SURE)) {
        task_sleep(t, swarm_of(t)->think_ns, STEP_END);
        return;
    }
    t->step = STEP_END;
    t->count--;
    s->count -= 1;
    if (s->count == 0) core_forget_grant(core, t->grant);
}

/* One of many instead of the only one, or the other way round. \return false: nothing is asked. */
static bool change_mode(struct sim_task *t)
{
    const struct slot *s = grants_alive(&t->client->core.grants, t->grant);
    bool wanted = swarm_of(t)->several_names && !task_is_last(t) && t->mode != MODE_PERMITS;
    if (!wanted || s == NULL || task_draw(t, 4) != 0) return false;
    struct msg_change_mode change = {.fencing_token = s->token, .owner = s->owner};
    if (task_draw(t, 2) == 0)
        change.name = task_lock_name(t->names.items[task_draw(t, t->names.count)]);
    uint16_t op = t->mode == MODE_EXCLUSIVE ? OP_CODE_DOWNGRADE : OP_CODE_UPGRADE;
    if (task_draw(t, 8) == 0) op = OP_CODE_UPGRADE;
    (void)task_call(t, op, &change, FATE_REPEAT);
    return true;
}

/* Where it is not known which mode it has now, it is taken for SHARED: that claims less. */
static void mode_answered(struct sim_task *t, const struct call *call)
{
    bool upgrades = call->op->code == OP_CODE_UPGRADE;
    bool unknown = status_kind(call->verdict) != STATUS_ANSWER;
    if (unknown || (call->verdict == HF_OK && !upgrades)) {
        t->mode = MODE_SHARED;
        t->claimed = false;
    } else if (call->verdict == HF_OK && t->mode == MODE_SHARED) {
        t->mode = MODE_EXCLUSIVE;
        checks_upgraded(t);
        t->claimed = checks_claim(t);
    }
    task_sleep(t, swarm_of(t)->hold_ns, STEP_HOLD);
}

/* The token of a grant that is over frees no newer one of the same owner, also by the lock's name,
 * which the library never sends. \return false: there is none. */
static bool release_past(struct sim_task *t)
{
    bool same = t->past_name == t->name && t->past_owner == t->owner && t->past_token < t->token;
    if (t->past_token == 0 || t->owner == 0 || !same || task_draw(t, 2) == 0) return false;
    struct msg_release release = {
        .name = task_lock_name(t->name), .fencing_token = t->past_token, .owner = t->owner};
    t->past_token = 0;
    t->past_released = task_call(t, OP_CODE_RELEASE, &release, FATE_REPEAT_SURE);
    return true;
}

static void past_answered(struct sim_task *t, const struct call *call)
{
    t->past_released = false;
    if (call->verdict == HF_OK)
        sim_fail("lock-%u: client %u has released token %" PRIu64 " by an older one", t->name,
                 t->client->index + 1, t->token);
    task_sleep(t, swarm_of(t)->hold_ns, STEP_HOLD);
}

void script_lock_run(struct sim_task *t)
{
    switch (t->step) {
    case STEP_FIRST: acquire_first(t); break;
    case STEP_HOLD:
        if (release_past(t) || change_mode(t)) break;
        use_grant(t);
        if (t->script == SCRIPT_AGAIN && t->count == 1) {
            acquire_again(t);
        } else {
            release(t);
        }
        break;
    case STEP_END: release(t); break;
    default: HF_UNREACHABLE();
    }
}

void script_lock_answered(struct sim_task *t, struct call *call)
{
    if (t->past_released) {
        past_answered(t, call);
        return;
    }
    if (call->op->code == OP_CODE_DOWNGRADE || call->op->code == OP_CODE_UPGRADE) {
        mode_answered(t, call);
        return;
    }
    if (call->op->code == OP_CODE_RELEASE) {
        if (t->count > 0) {
            task_sleep(t, swarm_of(t)->hold_ns, STEP_END);
        } else {
            t->past_name = t->name;
            t->past_owner = t->owner;
            t->past_token = t->token;
            task_think(t);
        }
        return;
    }
    if (call->verdict == HF_OK) {
        take_grant(t, call);
        return;
    }
    if (!call->over) t->owner = 0; /* spent: its waiter may still stand in a queue */
    if (t->count > 0) {
        task_sleep(t, swarm_of(t)->hold_ns, STEP_END); /* the second one failed */
    } else {
        task_think(t);
    }
}
