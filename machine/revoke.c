/* Grants that are asked back. Happy path: a row and its deadline, told by KEEP until the holder
 * gives the grant back, which removes both. Failure modes: faults only; another token than the
 * current one is an answer without effect. */
#include "machine/revoke.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/planted.h"
#include "machine/acts.h"
#include "machine/deadlines.h"
#include "machine/force.h"
#include "machine/grants.h"
#include "machine/sessions.h"

/* ------------------------------------------------------------------ rows */

static int revoke_get(struct machine *m, struct slice id, struct row_revoke *row)
{
    return state_get(m, TABLE_REVOKES, id, &row_revoke_type, row);
}

/* Count a row at its session: `by` is 1 or -1. */
static int count_asked(struct machine *m, uint64_t session, int by)
{
    struct row_session draft;
    struct row_session *s;
    int rv = session_get(m, session, &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(by == 1 || s->asked_count >= 1);
    s->asked_count = by == 1 ? s->asked_count + 1 : s->asked_count - 1;
    return session_put(m, session, s);
}

static int forget(struct machine *m, struct slice id, const struct row_revoke *row)
{
    HF_ASSERT(id.size == 16);
    int rv = state_del(m, TABLE_REVOKES, id);
    if (rv == HF_OK) rv = deadline_del(m, row->until_ms, DEADLINE_REVOKE, id);
    return rv == HF_OK ? count_asked(m, get_u64(id.data), -1) : rv;
}

/* ------------------------------------------------------------------ acts */

static void describe(const struct machine *m, const struct row_revoke *row,
                     char text[ACT_TEXT_BYTES])
{
    (void)snprintf(text, ACT_TEXT_BYTES,
                   "asked back %" PRIu64 " ms ago, %" PRIu64 " ms left, then %s",
                   state_now(m) - row->since_ms, state_left(m, row->until_ms),
                   row->then == REVOKE_THEN_FORCE ? "force" : "alarm");
}

/* What became of it, as an act of who asked. */
static int tell_end(struct machine *m, const struct row_revoke *row, const char *after)
{
    char before[ACT_TEXT_BYTES];
    describe(m, row, before);
    const struct act_origin origin = {
        .session = row->by_session,
        .client_name = row->client_name,
        .principal = row->principal,
        .peer = row->peer,
        .op = OP_CODE_REVOKE,
    };
    const struct act act = {
        .name = row->name,
        .operator_name = row->operator_name,
        .reason = row->reason,
        .before = before,
        .after = after,
    };
    return act_keep_of(m, &origin, &act);
}

static const char *say_end(enum end_reason reason)
{
    switch (reason) {
    case END_RELEASED: return "over: released by its holder";
    case END_EXPIRED: return "over: its holder's session expired";
    case END_CLOSED: return "over: its holder's session was closed";
    case END_ABANDONED: return "over: given back by a client that had lost it";
    case END_HOLD_MAX: return "over: held as long as it may";
    case END_FORCED: return "over: forced by an act of its own";
    case END_RESTORED: return "over: the state was restored from a snapshot";
    }
    HF_ASSERT(false);
    return "";
}

/* ------------------------------------------------------------------ the end */

int revoke_over(struct machine *m, uint64_t token, const struct row_grant *grant,
                enum end_reason reason)
{
    if (store_count(m->store, TABLE_REVOKES) == 0) return HF_OK;
    struct row_key key = row_key_pair(grant->session, token);
    struct slice id = row_key_slice(&key);
    struct row_revoke row;
    int rv = revoke_get(m, id, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    rv = forget(m, id, &row);
    return rv == HF_OK ? tell_end(m, &row, say_end(reason)) : rv;
}

int revoke_force(struct machine *m, uint64_t token, const struct row_grant *grant)
{
    struct row_key key = row_key_pair(grant->session, token);
    struct slice id = row_key_slice(&key);
    struct row_revoke row;
    int rv = revoke_get(m, id, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(row.then == REVOKE_THEN_FORCE && row.until_ms <= state_now(m));
    rv = forget(m, id, &row);
    if (rv == HF_OK) rv = tell_end(m, &row, "grace over: forced, closed until its holder knows");
    return rv == HF_OK ? force_grant(m, token, grant, !planted(REVOKE_NOT_WAITED)) : rv;
}

/* The grant stays; nobody looks at it again but who reads INFO or the audit. */
static int give_alarm(struct machine *m, struct slice id, struct row_revoke *row)
{
    HF_ASSERT(row->overdue == 0);
    row->overdue = 1;
    int rv = state_put(m, TABLE_REVOKES, id, &row_revoke_type, row);
    if (rv == HF_OK) rv = tell_end(m, row, "grace over: ALARM, its holder did not give it back");
    if (rv == HF_OK && m->sink->overdue_cb != NULL) m->sink->overdue_cb(row->name, m->sink->data);
    return rv;
}

int revoke_due(struct machine *m, struct slice id)
{
    struct row_revoke row;
    struct row_session draft;
    struct row_session *s;
    if (id.size != 16) return HF_ECORRUPT;
    int rv = revoke_get(m, id, &row);
    if (rv == HF_OK) rv = session_get(m, get_u64(id.data), &draft, &s);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(row.until_ms <= state_now(m) && row.overdue == 0);
    if (s->ended != 0) return HF_OK; /* the grant ends with it, in this very sweep */
    if (planted(REVOKE_FORGOTTEN)) return forget(m, id, &row);
    if (row.then == REVOKE_THEN_ALARM) return give_alarm(m, id, &row);
    return u64_list_add(&m->ending, get_u64(id.data + 8));
}

/* ------------------------------------------------------------------ what is told */

int revoke_look(struct machine *m, uint64_t session, uint64_t token, uint64_t *asked,
                uint64_t *until_ms)
{
    struct row_key key = row_key_pair(session, token);
    struct row_revoke row;
    *asked = ASKED_NOT;
    *until_ms = 0;
    int rv = revoke_get(m, row_key_slice(&key), &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    *asked = row.overdue == 1 ? ASKED_OVERDUE : ASKED_BACK;
    *until_ms = row.until_ms;
    return HF_OK;
}

/* A row among those that are told. */
struct told {
    uint64_t token;    /* of the grant */
    uint64_t until_ms; /* of its grace */
    uint64_t overdue;  /* told after those whose grace runs */
};

static bool goes_before(const struct told *a, const struct told *b)
{
    if (a->overdue != b->overdue) return a->overdue < b->overdue;
    if (a->until_ms != b->until_ms) return a->until_ms < b->until_ms;
    return a->token < b->token;
}

/* Keep the first ASKED_MAX, in order. */
static void insert(struct told *told, uint32_t *count, struct told it)
{
    uint32_t at = *count;
    if (at == ASKED_MAX) {
        if (!goes_before(&it, &told[at - 1])) return;
        at -= 1;
    } else {
        *count += 1;
    }
    for (; at > 0 && goes_before(&it, &told[at - 1]); at--) told[at] = told[at - 1];
    told[at] = it;
}

int revoke_list(struct machine *m, uint64_t session, struct left_item *items,
                struct codec_list *list)
{
    struct told told[ASKED_MAX];
    uint32_t count = 0;
    struct row_key prefix = row_key_u64(session);
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_REVOKES, &prefix, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        struct row_revoke row;
        rv = state_decode(m, &row_revoke_type, walk.value, &row);
        if (rv != HF_OK) break;
        insert(told, &count, (struct told){row_key_last(walk.key), row.until_ms, row.overdue});
    }
    walk_close(&walk);
    for (uint32_t i = 0; i < count; i++)
        items[i] = (struct left_item){told[i].token, state_left(m, told[i].until_ms)};
    *list = (struct codec_list){items, count};
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* ------------------------------------------------------------------ REVOKE */

/* \param before  the row that this one replaces; NULL = none */
static int note(struct machine *m, const struct op_context *ctx, const struct msg_revoke *revoke,
                const struct row_grant *grant, const struct row_revoke *before)
{
    char held[ACT_TEXT_BYTES];
    char asked[ACT_TEXT_BYTES];
    if (before != NULL)
        describe(m, before, held);
    else
        (void)snprintf(held, sizeof held, "held by session %" PRIu64 ", token %" PRIu64,
                       grant->session, revoke->fencing_token);
    (void)snprintf(asked, sizeof asked, "asked back: %" PRIu64 " ms of grace, then %s",
                   revoke->grace_ms, revoke->then == REVOKE_THEN_FORCE ? "force" : "alarm");
    const struct act act = {revoke->name, revoke->operator_name, revoke->reason, held, asked};
    return act_keep(m, ctx, &act);
}

/* Put the row in the place of the one before it, if there is one. */
static int ask_back(struct machine *m, const struct op_context *ctx,
                    const struct msg_revoke *revoke, const struct row_grant *grant)
{
    struct act_origin origin;
    struct row_revoke before;
    struct row_key key = row_key_pair(grant->session, revoke->fencing_token);
    struct slice id = row_key_slice(&key);
    int rv = revoke_get(m, id, &before);
    bool again = rv == HF_OK;
    if (!again && rv != HF_ENOTFOUND) return rv;
    rv = act_origin_of(m, ctx, &origin);
    if (rv != HF_OK) return rv;
    struct row_revoke row = {
        .name = revoke->name,
        .then = revoke->then,
        .since_ms = state_now(m),
        .until_ms = state_later(m, revoke->grace_ms),
        .by_session = origin.session,
        .client_name = origin.client_name,
        .principal = origin.principal,
        .peer = origin.peer,
        .operator_name = revoke->operator_name,
        .reason = revoke->reason,
    };
    rv = state_put(m, TABLE_REVOKES, id, &row_revoke_type, &row);
    if (rv == HF_OK && again) rv = deadline_del(m, before.until_ms, DEADLINE_REVOKE, id);
    if (rv == HF_OK) rv = deadline_put(m, row.until_ms, DEADLINE_REVOKE, id);
    if (rv == HF_OK && !again) rv = count_asked(m, grant->session, 1);
    return rv == HF_OK ? note(m, ctx, revoke, grant, again ? &before : NULL) : rv;
}

int revoke_apply(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_revoke *revoke = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    HF_ASSERT(revoke->grace_ms >= 1);
    uint64_t token = revoke->fencing_token;
    if (state_token_is_future(m, token))
        return reply_complain(out, ctx->op, "this fencing token was never issued");
    struct row_grant grant;
    int rv = grant_get(m, token, &grant);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && !grant_has_name(&grant, revoke->name)))
        return reply_set(out, ctx->op, HF_ESTALE, NULL);
    if (rv == HF_OK) rv = ask_back(m, ctx, revoke, &grant);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, NULL) : rv;
}
