/* An administrator who sets one of the caps on what a principal has (docs/contract.md, section 9),
 * lower or higher than what some have already: new work is refused then, and nothing else. What
 * each has is counted, and the invariants count it anew. */
#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/sim.h"

enum { BYTES_LEAST = 4096 };

void script_cap_run(struct sim_task *t)
{
    static const char *const names[] = {"principal_sessions_max", "principal_names_max",
                                        "principal_records_max",  "principal_bytes_max",
                                        "lock_waiters_max",       "principal_timers_max"};
    const struct swarm *w = &t->client->sim->swarm;
    uint64_t count = HF_ARRAY_COUNT(names) - (w->timer_count == 0);
    const char *name = names[task_draw(t, count)];
    uint64_t value = 1 + task_draw(t, w->caps_most);
    if (strcmp(name, "principal_bytes_max") == 0) value *= BYTES_LEAST;
    struct msg_config_set set = {
        .name = slice_of(name),
        .value = value,
        .reason = slice_of("too much, or too little"),
        .operator_name = slice_of("operator"),
    };
    (void)task_call(t, OP_CODE_CONFIG_SET, &set, FATE_REPEAT);
}
