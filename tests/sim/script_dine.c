/* Philosophers at a round table, each client one of them: between two neighbours lies one fork, a
 * lock, and who eats needs both beside it. They take both at once, which nobody can make to wait
 * for ever; or first the one at their right, then the other: all of them in one order around the
 * table, so that they wait in a circle until one is told DEADLOCK, and lays down what it has. */
#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum { WAIT_MS = 600 * 1000 };

static const struct swarm *swarm_of(const struct sim_task *t)
{
    return &t->client->sim->swarm;
}

static uint32_t fork_at(const struct sim_task *t, uint32_t side)
{
    return (t->client->index + side) % swarm_of(t)->lock_count;
}

static bool has_left(const struct sim_task *t)
{
    return t->left.generation != 0;
}

static void take_forks(struct sim_task *t)
{
    const struct swarm *w = swarm_of(t);
    struct core *core = &t->client->core;
    if (t->owner == 0) t->owner = core_draw_owner(core);
    t->name = fork_at(t, has_left(t) ? 1 : 0);
    t->mode = MODE_EXCLUSIVE;
    t->permits = t->limit = 0;
    t->asked = (struct lock_names){.count = 1, .items = {t->name}};
    if (!w->fork_by_fork) t->asked.items[t->asked.count++] = fork_at(t, 1);
    task_sort_names(&t->asked);
    struct msg_acquire acquire = {
        .names = task_names(&t->asked), .owner = t->owner, .mode = t->mode, .wait_ms = WAIT_MS};
    if (!w->fork_by_fork) acquire.hold_max_ms = DINE_HOLD_MS;
    t->wait_ms = acquire.wait_ms;
    struct grant_ref left = t->left;
    if (!task_call(t, OP_CODE_ACQUIRE, &acquire, FATE_CANCEL)) {
        t->left = left;
        task_sleep(t, w->hold_ns, STEP_END);
        return;
    }
    t->call->hold_ms = acquire.hold_max_ms;
}

static void eat(struct sim_task *t)
{
    t->claimed = checks_claim(t);
    if (t->claimed) (void)checks_write(t);
    t->client->sim->meals[t->client->index]++;
}

static void granted(struct sim_task *t, const struct call *call)
{
    bool second = has_left(t);
    t->names = t->asked;
    t->grant = call->grant;
    t->token = call->token;
    t->count = 1;
    checks_granted(t);
    if (swarm_of(t)->fork_by_fork && !second) {
        t->left = call->grant;
        task_sleep(t, swarm_of(t)->hold_ns, STEP_HOLD);
        return;
    }
    eat(t);
    task_sleep(t, swarm_of(t)->hold_ns, STEP_END);
}

/* The last one first. */
static void lay_down(struct sim_task *t)
{
    struct core *core = &t->client->core;
    core_expire(core, client_now(t->client));
    struct slot *s = grants_alive(&core->grants, t->grant);
    if (s == NULL && has_left(t)) {
        t->grant = t->left;
        t->left = (struct grant_ref){0};
        s = grants_alive(&core->grants, t->grant);
    }
    if (s == NULL) {
        task_think(t);
        return;
    }
    struct msg_release release = {.fencing_token = s->token, .owner = s->owner};
    struct grant_ref grant = t->grant;
    struct grant_ref left = t->left;
    if (!task_call(t, OP_CODE_RELEASE, &release, FATE_REPEAT_SURE)) { /* too many under way */
        t->grant = grant;
        t->left = left;
        task_sleep(t, swarm_of(t)->hold_ns, STEP_END);
        return;
    }
    t->count = 0;
    core_forget_grant(core, grant);
}

void script_dine_run(struct sim_task *t)
{
    switch (t->step) {
    case STEP_FIRST:
    case STEP_HOLD: take_forks(t); break;
    case STEP_END: lay_down(t); break;
    default: HF_UNREACHABLE();
    }
}

void script_dine_answered(struct sim_task *t, struct call *call)
{
    if (call->op->code == OP_CODE_ACQUIRE && call->verdict == HF_OK) {
        granted(t, call);
        return;
    }
    if (call->op->code == OP_CODE_ACQUIRE && !call->over)
        t->owner = 0; /* spent: its waiter may still stand in a queue */
    t->grant = (struct grant_ref){0};
    task_sleep(t, swarm_of(t)->hold_ns, STEP_END); /* what else it has, it lays down */
}
