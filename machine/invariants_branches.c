/* Invariants of branches: a row's parts agree with its state, an open phase has its row and its
 * lease, a finished branch its retention, and nothing else has either. Failure mode: as the other
 * invariants. */
#include <inttypes.h>

#include "machine/audit.h"
#include "machine/branch.h"

static int complain(struct audit *a, struct slice key, const char *what)
{
    struct slice gid, branch;
    row_key_branch_parts(key, &gid, &branch);
    return audit_fail(a, "branch '%.*s' of '%.*s': %s", AUDIT_TEXT(branch), AUDIT_TEXT(gid), what);
}

/* What is known of the try in each state. */
static bool fits_state(const struct row_branch *row)
{
    uint64_t tried = row->tried;
    switch ((enum branch_state)row->state) {
    case BRANCH_TRYING: return tried == BRANCH_TRY_OPEN;
    case BRANCH_TRY_FAILED: return tried == BRANCH_TRY_REFUSED;
    case BRANCH_TRIED:
    case BRANCH_CONFIRMING:
    case BRANCH_CONFIRMED: return tried == BRANCH_TRY_DONE;
    case BRANCH_CANCELLING:
        return tried == BRANCH_TRY_DONE || tried == BRANCH_TRY_REFUSED ||
               tried == BRANCH_TRY_UNKNOWN;
    case BRANCH_CANCELLED: return tried != BRANCH_TRY_OPEN;
    case BRANCH_NONE: break;
    }
    return false;
}

static int check_shape(struct audit *a, struct slice key, const struct row_branch *row)
{
    if (!fits_state(row)) return complain(a, key, "its try is not what its state says");
    bool ended = row->tried == BRANCH_TRY_DONE || row->tried == BRANCH_TRY_REFUSED;
    if (ended != (row->try_completion.size != 0))
        return complain(a, key, "its try ended without a result, or has one and did not");
    if ((row->tried == BRANCH_TRY_NEVER) != (row->try_token == 0))
        return complain(a, key, "its try's token is not what its try says");
    bool of_try = row->state == BRANCH_TRYING || row->state == BRANCH_TRIED ||
                  row->state == BRANCH_TRY_FAILED;
    if (of_try ? row->try_token != row->fencing_token : row->try_token >= row->fencing_token)
        return complain(a, key, "a later phase has no later token");
    if (state_token_is_future(a->m, row->fencing_token))
        return complain(a, key, "its fencing token was never issued");
    bool holds = row->body.size != 0 && !branch_is_finished(row);
    if (holds) return complain(a, key, "it has a result and did not finish");
    if (row->lapsed && !branch_is_open(row)) return complain(a, key, "it lapsed and is not open");
    if ((row->lease_until_ms != 0) != (branch_is_open(row) && !row->lapsed))
        return complain(a, key, "its lease is not what its state says");
    if (row->since_ms > state_now(a->m)) return complain(a, key, "its state is from the future");
    const struct late_item *late = row->late.items;
    for (uint32_t i = 0; i < row->late.count; i++) {
        if (late[i].fencing_token >= row->fencing_token)
            return complain(a, key, "an end is late and its token is not old");
    }
    return HF_OK;
}

static int check_deadline(struct audit *a, struct slice key, const struct row_branch *row)
{
    enum deadline_kind kind = branch_is_finished(row) ? DEADLINE_BRANCH : DEADLINE_PHASE;
    bool wanted = branch_is_finished(row) || row->lease_until_ms != 0;
    uint64_t latest_ms = branch_is_finished(row) ? branch_reaped_at(row) : row->lease_until_ms;
    if (!wanted && row->deadline_kind != 0) return complain(a, key, "a deadline for no reason");
    if (!wanted) return HF_OK;
    if (row->deadline_kind != (uint64_t)kind) return complain(a, key, "the wrong deadline");
    if (row->deadline_ms > latest_ms) return complain(a, key, "its deadline row stands too late");
    return audit_has_deadline(a, row->deadline_ms, kind, key);
}

static int look_at_branch(struct audit *a, struct slice key, struct slice value)
{
    struct row_branch row;
    int rv = state_decode(a->m, &row_branch_type, value, &row);
    if (rv == HF_OK) rv = check_shape(a, key, &row);
    if (rv == HF_OK) rv = check_deadline(a, key, &row);
    if (rv != HF_OK || !branch_is_open(&row)) return rv;
    struct row_key token = row_key_u64(row.fencing_token);
    struct slice found;
    rv = store_get(a->m->store, TABLE_PHASES, row_key_slice(&token), &found);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && !slice_equal(found, key)))
        return complain(a, key, "its open phase has no row");
    return rv;
}

static int look_at_phase(struct audit *a, struct slice key, struct slice value)
{
    struct row_branch row;
    struct slice branch;
    int rv = state_copy(a->m, value, &branch);
    if (rv == HF_OK) rv = branch_get(a->m, branch, &row);
    if (rv == HF_ENOTFOUND ||
        (rv == HF_OK && (!branch_is_open(&row) || row.fencing_token != row_key_last(key))))
        return audit_fail(a, "phase %" PRIu64 " is no branch's", row_key_last(key));
    return rv;
}

int audit_branches(struct audit *a)
{
    int rv = audit_rows(a, TABLE_BRANCHES, NULL, look_at_branch);
    return rv == HF_OK ? audit_rows(a, TABLE_PHASES, NULL, look_at_phase) : rv;
}
