/* The sweep. Happy path: nothing is due, and one comparison says so. Otherwise the due rows are
 * collected first, up to the budget, and their owners called phase by phase; nobody is granted
 * anything before all that this sweep ends has ended. Failure modes: faults only. */
#include "machine/sweep.h"

#include "machine/deadlines.h"
#include "machine/dispatch.h"
#include "machine/grants.h"
#include "machine/serve.h"

static int run_phase(struct machine *m, enum sweep_phase phase, const struct deadline *due,
                     size_t count)
{
    int rv = HF_OK;
    for (size_t i = 0; rv == HF_OK && i < count; i++) {
        const struct deadline_owner *owner = deadline_owner_find(due[i].kind);
        if (owner->phase != phase) continue;
        size_t mark = state_mark(m);
        rv = deadline_del(m, due[i].at_ms, due[i].kind, due[i].id);
        if (rv == HF_OK) rv = owner->due(m, due[i].id);
        state_reset(m, mark);
    }
    return rv;
}

static int end_attempts(struct machine *m)
{
    int rv = HF_OK;
    for (size_t i = 0; rv == HF_OK && i < m->ended_sessions.count; i++) {
        size_t mark = state_mark(m);
        rv = dispatch_session_ended(m, m->ended_sessions.items[i]);
        state_reset(m, mark);
    }
    m->ended_sessions.count = 0;
    return rv;
}

int sweep_run(struct machine *m, uint64_t op_count)
{
    HF_ASSERT(m->session_id == 0);
    HF_ASSERT(m->serve_count == 0);
    if (state_now(m) < m->next_deadline_ms) return HF_OK;
    uint64_t rows_max = 2 * op_count > SWEEP_ROWS_MIN ? 2 * op_count : SWEEP_ROWS_MIN;
    struct deadline *due;
    size_t count;
    int rv = deadlines_collect(m, rows_max, &due, &count);
    if (rv == HF_OK) rv = run_phase(m, SWEEP_LEAVE, due, count);
    if (rv == HF_OK) rv = run_phase(m, SWEEP_GRANTS, due, count);
    if (rv == HF_OK) rv = grants_end_listed(m);
    if (rv == HF_OK) rv = run_phase(m, SWEEP_ATTEMPTS, due, count);
    if (rv == HF_OK) rv = end_attempts(m);
    if (rv == HF_OK) rv = run_phase(m, SWEEP_REST, due, count);
    return rv == HF_OK ? serve_all(m) : rv;
}
