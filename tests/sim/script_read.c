/* Tasks that look: at a grant that was seen, at a record, and page by page at everything. */
#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/sim.h"

enum { PAGE_ITEMS_MOST = 20 };

static const struct swarm *swarm_of(const struct sim_task *t)
{
    return &t->client->sim->swarm;
}

static void check(struct sim_task *t)
{
    t->name = (uint32_t)task_draw(t, swarm_of(t)->lock_count);
    t->token = t->client->sim->checks.locks[t->name].held_token;
    if (t->token == 0) {
        task_think(t);
        return;
    }
    struct msg_check check = {.name = task_lock_name(t->name), .fencing_token = t->token};
    (void)task_call(t, OP_CODE_CHECK, &check, FATE_CANCEL);
}

static void get_record(struct sim_task *t)
{
    t->key = (uint32_t)task_draw(t, swarm_of(t)->record_count);
    struct msg_record_get get = {.key = task_record_key(t->key)};
    (void)task_call(t, OP_CODE_RECORD_GET, &get, FATE_CANCEL);
}

static void list(struct sim_task *t)
{
    uint64_t count = 1 + task_draw(t, PAGE_ITEMS_MOST);
    struct msg_info info = {.name =
                                task_lock_name((uint32_t)task_draw(t, swarm_of(t)->lock_count))};
    struct msg_list locks = {.prefix = slice_of("lock-"), .count_max = count};
    struct msg_session_list sessions = {.count_max = count};
    struct msg_record_list records = {.state = task_draw(t, RECORD_STATE_MAX), .count_max = count};
    switch (task_draw(t, 4)) {
    case 0: (void)task_call(t, OP_CODE_INFO, &info, FATE_CANCEL); break;
    case 1: (void)task_call(t, OP_CODE_LIST, &locks, FATE_CANCEL); break;
    case 2: (void)task_call(t, OP_CODE_SESSION_LIST, &sessions, FATE_CANCEL); break;
    default: (void)task_call(t, OP_CODE_RECORD_LIST, &records, FATE_CANCEL); break;
    }
}

void script_read_run(struct sim_task *t)
{
    if (t->script == SCRIPT_LIST) {
        list(t);
    } else if (task_draw(t, 3) == 0) {
        get_record(t);
    } else {
        check(t);
    }
}

void script_read_answered(struct sim_task *t, struct call *call)
{
    (void)call;
    task_think(t);
}
