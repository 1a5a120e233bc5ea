/* A branch's row, and its moves from state to state. Nothing here answers a request. The deadline
 * row and the principal's counts follow the state in one place, branch_put(), so that no move can
 * forget them. Failure modes: faults only. */
#include "machine/branch.h"

#include "base/planted.h"
#include "machine/deadlines.h"
#include "machine/principals.h"
#include "machine/sessions.h"

int branch_get(struct machine *m, struct slice key, struct row_branch *row)
{
    HF_ASSERT(key.size >= 3 && key.size <= NAME_BYTES_MAX);
    return state_get(m, TABLE_BRANCHES, key, &row_branch_type, row);
}

uint64_t branch_reaped_at(const struct row_branch *row)
{
    if (!branch_is_finished(row)) return UINT64_MAX;
    uint64_t at_ms = row->since_ms + row->retain_ms;
    return at_ms < TIME_MS_MAX ? at_ms : TIME_MS_MAX;
}

uint64_t branch_bytes_of(struct slice key, const struct row_branch *row)
{
    return BRANCH_BYTES_EACH + key.size + row->step.size + row->try_body.size + row->body.size;
}

int branch_put(struct machine *m, struct slice key, struct row_branch *row)
{
    HF_ASSERT(!row->lapsed || branch_is_open(row));
    HF_ASSERT((row->lease_until_ms != 0) == (branch_is_open(row) && !row->lapsed));
    enum deadline_kind kind = row->lease_until_ms != 0 ? DEADLINE_PHASE : DEADLINE_BRANCH;
    uint64_t at_ms = row->lease_until_ms;
    if (branch_is_finished(row)) at_ms = branch_reaped_at(row);
    const struct deadline_place place = {&row->deadline_ms, &row->deadline_kind};
    const struct principal_share share = {row->principal, &row->counted_open, &row->counted_bytes};
    int rv = deadline_settle(m, place, at_ms, kind, key);
    if (rv == HF_OK)
        rv = principal_settle(m, share, !branch_is_finished(row), branch_bytes_of(key, row));
    if (rv != HF_OK) return rv;
    return state_put(m, TABLE_BRANCHES, key, &row_branch_type, row);
}

static int reap(struct machine *m, struct slice key, struct row_branch *row)
{
    HF_ASSERT(branch_is_finished(row));
    HF_ASSERT(row->deadline_kind == 0); /* it was due */
    const struct principal_share share = {row->principal, &row->counted_open, &row->counted_bytes};
    int rv = principal_settle(m, share, false, 0);
    return rv == HF_OK ? state_del(m, TABLE_BRANCHES, key) : rv;
}

/* ------------------------------------------------------------------ phases */

static int forget_token(struct machine *m, const struct row_branch *row)
{
    struct row_key token = row_key_u64(row->fencing_token);
    return state_del(m, TABLE_PHASES, row_key_slice(&token));
}

int branch_start(struct machine *m, struct slice key, struct row_branch *row,
                 enum branch_state state, const struct branch_call *call)
{
    int rv = branch_is_open(row) ? forget_token(m, row) : HF_OK;
    if (rv != HF_OK) return rv;
    struct row_session_info info;
    rv = session_info_get(m, call->envelope->session, &info);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;

    bool again = row->state == state;
    bool keeps = row->fencing_token != 0 && planted(PHASE_KEEPS_TOKEN);
    if (!keeps) row->fencing_token = state_issue_token(m);
    row->attempt = again ? row->attempt + (row->attempt < UINT32_MAX) : 1;
    if (!again) row->failed_count = 0;
    row->state = state;
    row->lapsed = 0;
    row->session = call->envelope->session;
    row->lease_until_ms = state_later(m, call->request->lease_ms);
    row->since_ms = state_now(m);
    row->code = 0;
    row->body = (struct slice){0};
    row->completion = (struct slice){0};
    row->done_at_ms = 0;
    row->client_name = info.name;
    row->peer = call->envelope->peer;
    row->traceparent = call->envelope->traceparent;
    struct row_key token = row_key_u64(row->fencing_token);
    return store_put(m->store, TABLE_PHASES, row_key_slice(&token), key);
}

int branch_stop(struct machine *m, struct slice key, struct row_branch *row,
                enum branch_state state)
{
    HF_ASSERT(branch_is_open(row));
    HF_ASSERT(key.size >= 3);
    row->state = state;
    row->lapsed = 0;
    row->lease_until_ms = 0;
    row->since_ms = state_now(m);
    return forget_token(m, row);
}

static int lapse(struct machine *m, struct slice key, struct row_branch *row)
{
    HF_ASSERT(branch_is_open(row));
    row->lapsed = 1;
    row->lease_until_ms = 0;
    return branch_put(m, key, row);
}

int branch_abandon(struct machine *m, uint64_t session, uint64_t token)
{
    struct row_key k = row_key_u64(token);
    struct slice key;
    struct row_branch row;
    int rv = store_get(m->store, TABLE_PHASES, row_key_slice(&k), &key);
    if (rv == HF_OK) rv = state_copy(m, key, &key);
    if (rv != HF_OK) return rv;
    rv = branch_get(m, key, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(branch_is_open(&row) && row.fencing_token == token);
    if (row.session != session) return HF_ENOTOWNER;
    return row.lapsed ? HF_OK : lapse(m, key, &row);
}

/* ------------------------------------------------------------------ deadlines */

/* The row of a deadline that was due. HF_ENOTFOUND: it told of something that has gone. */
static int find_due(struct machine *m, struct slice key, enum deadline_kind kind,
                    struct row_branch *row)
{
    int rv = branch_get(m, key, row);
    if (rv != HF_OK) return rv;
    if (row->deadline_kind != (uint64_t)kind || row->deadline_ms > state_now(m)) {
        return HF_ENOTFOUND;
    }
    row->deadline_kind = 0; /* the sweep has removed it */
    return HF_OK;
}

int branch_phase_due(struct machine *m, struct slice id)
{
    struct row_branch row;
    int rv = find_due(m, id, DEADLINE_PHASE, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    HF_ASSERT(branch_is_open(&row) && !row.lapsed);
    if (row.lease_until_ms > state_now(m)) return branch_put(m, id, &row);
    return lapse(m, id, &row);
}

int branch_retention_due(struct machine *m, struct slice id)
{
    struct row_branch row;
    int rv = find_due(m, id, DEADLINE_BRANCH, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    if (branch_reaped_at(&row) > state_now(m)) return branch_put(m, id, &row);
    return reap(m, id, &row);
}
