/* Forced grants. Happy path: the grant ends, its loss waits for its session's next KEEP, its units
 * stay taken by a row under (session, token) until that is acknowledged. Failure modes: faults
 * only; another token than the current one is an answer without effect. */
#include "machine/force.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/planted.h"
#include "machine/acts.h"
#include "machine/deadlines.h"
#include "machine/grants.h"
#include "machine/locks.h"
#include "machine/serve.h"
#include "machine/sessions.h"

/* ------------------------------------------------------------------ units that stay taken */

static int keep_units(struct machine *m, uint64_t token, const struct row_grant *grant,
                      uint64_t until_ms)
{
    struct row_forced row = {
        .names = grant->names,
        .mode = grant->mode,
        .units = grant_units(grant),
        .until_ms = until_ms,
    };
    struct row_key key = row_key_pair(grant->session, token);
    struct slice id = row_key_slice(&key);
    int rv = state_put(m, TABLE_FORCED, id, &row_forced_type, &row);
    if (rv == HF_OK) rv = deadline_put(m, until_ms, DEADLINE_FORCED, id);
    for (uint32_t i = 0; rv == HF_OK && i < row.names.count; i++) {
        struct row_lock lock;
        rv = lock_get(m, row.names.items[i], &lock);
        if (rv != HF_OK) return rv;
        HF_ASSERT(lock.units_forced == 0 || lock.mode_forced == row.mode);
        lock.mode_forced = row.mode;
        lock.units_forced += row.units;
        if (until_ms > lock.forced_ms) lock.forced_ms = until_ms;
        rv = lock_put(m, row.names.items[i], &lock);
    }
    return rv;
}

static int give_up_units(struct machine *m, struct slice name, uint64_t units)
{
    struct row_lock lock;
    int rv = lock_get(m, name, &lock);
    if (rv != HF_OK) return rv;
    if (lock.units_forced < units) return HF_ECORRUPT;
    lock.units_forced -= units;
    if (lock.units_forced == 0) lock.mode_forced = lock.forced_ms = 0;
    bool waits = lock.queue_length > 0;
    rv = lock_put(m, name, &lock);
    return rv == HF_OK && waits ? serve_mark(m, TABLE_LOCKS, name) : rv;
}

int force_is_known(struct machine *m, uint64_t session, uint64_t token)
{
    struct row_key key = row_key_pair(session, token);
    struct slice id = row_key_slice(&key);
    struct row_forced row;
    if (store_count(m->store, TABLE_FORCED) == 0) return HF_OK;
    int rv = state_get(m, TABLE_FORCED, id, &row_forced_type, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    rv = state_del(m, TABLE_FORCED, id);
    if (rv == HF_OK) rv = deadline_del(m, row.until_ms, DEADLINE_FORCED, id);
    for (uint32_t i = 0; rv == HF_OK && i < row.names.count; i++)
        rv = give_up_units(m, row.names.items[i], row.units);
    return rv;
}

int force_due(struct machine *m, struct slice id)
{
    if (id.size != 16) return HF_ECORRUPT;
    return force_is_known(m, get_u64(id.data), get_u64(id.data + 8));
}

int force_grant(struct machine *m, uint64_t token, const struct row_grant *grant, bool waits)
{
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, grant->session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    uint64_t until_ms = s->expires_ms;
    HF_ASSERT(s->ended == 0);
    if (until_ms <= state_now(m) || planted(FORCE_BEFORE_KNOWN)) waits = false;
    /* First taken, then freed: a lock that were idle in between would forget its limit. */
    if (waits) rv = keep_units(m, token, grant, until_ms);
    return rv == HF_OK ? grant_end(m, token, grant, END_FORCED) : rv;
}

/* ------------------------------------------------------------------ FORCE */

static int note(struct machine *m, const struct op_context *ctx, const struct msg_force *force,
                const struct row_grant *grant)
{
    static const char *const modes[] = {"EXCLUSIVE", "SHARED", "PERMITS"};
    char before[ACT_TEXT_BYTES];
    HF_ASSERT(grant->mode <= MODE_PERMITS);
    (void)snprintf(before, sizeof before,
                   "held %s by session %" PRIu64 ", token %" PRIu64 ", %" PRIu32 " names",
                   modes[grant->mode], grant->session, force->fencing_token, grant->names.count);
    const struct act act = {
        .name = force->name,
        .operator_name = force->operator_name,
        .reason = force->reason,
        .before = before,
        .after = force->now == 1 ? "forced at once: nobody waited for its holder"
                                 : "forced: closed until its holder knows or its lease is over",
    };
    return act_keep(m, ctx, &act);
}

int force_apply(struct machine *m, const struct op_context *ctx, const void *request,
                struct reply_out *out)
{
    const struct msg_force *force = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    uint64_t token = force->fencing_token;
    if (state_token_is_future(m, token))
        return reply_complain(out, ctx->op, "this fencing token was never issued");
    struct row_grant grant;
    int rv = grant_get(m, token, &grant);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && !grant_has_name(&grant, force->name)))
        return reply_set(out, ctx->op, HF_ESTALE, NULL);
    if (rv == HF_OK) rv = force_grant(m, token, &grant, force->now == 0);
    if (rv == HF_OK) rv = note(m, ctx, force, &grant);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, NULL) : rv;
}
