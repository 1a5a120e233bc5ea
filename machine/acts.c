/* The audit. Happy path: a row a number; the one that is ACTS_KEPT_MAX older goes. Failure modes:
 * faults only. */
#include "machine/acts.h"

#include "machine/events.h"
#include "machine/reads.h"
#include "machine/sessions.h"

enum { LINE_BYTES = 120 }; /* of a line in an answer, without its texts; about */

int act_keep_of(struct machine *m, const struct act_origin *origin, const struct act *act)
{
    HF_ASSERT(origin->session != 0);
    HF_ASSERT(strlen(act->before) < ACT_TEXT_BYTES && strlen(act->after) < ACT_TEXT_BYTES);
    HF_ASSERT(m->meta.act_counter < UINT64_MAX);
    uint64_t number = ++m->meta.act_counter;
    m->meta_changed = true;
    struct row_act row = {
        .at_ms = state_now(m),
        .wall_ms = m->meta.wall_ms,
        .session = origin->session,
        .client_name = origin->client_name,
        .principal = origin->principal,
        .peer = origin->peer,
        .operator_name = act->operator_name,
        .op = origin->op,
        .name = act->name,
        .reason = act->reason,
        .before = slice_of(act->before),
        .after = slice_of(act->after),
    };
    struct row_key key = row_key_u64(number);
    const struct event event = {
        .kind = EVENT_ADMIN,
        .name = act->name,
        .session = origin->session,
        .what = origin->op,
        .serial = number,
        .client_name = origin->client_name,
        .operator_name = act->operator_name,
    };
    int rv = state_put(m, TABLE_ACTS, row_key_slice(&key), &row_act_type, &row);
    if (rv == HF_OK) rv = event_tell(m, &event);
    if (rv != HF_OK || number <= ACTS_KEPT_MAX) return rv;
    key = row_key_u64(number - ACTS_KEPT_MAX);
    return state_del(m, TABLE_ACTS, row_key_slice(&key));
}

int act_origin_of(struct machine *m, const struct op_context *ctx, struct act_origin *origin)
{
    HF_ASSERT(m->session_id == ctx->envelope->session);
    struct row_session_info info;
    int rv = session_info_get(m, m->session_id, &info);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    *origin = (struct act_origin){
        .session = m->session_id,
        .client_name = info.name,
        .principal = ctx->envelope->principal,
        .peer = ctx->envelope->peer,
        .op = ctx->op,
    };
    return HF_OK;
}

int act_keep(struct machine *m, const struct op_context *ctx, const struct act *act)
{
    struct act_origin origin;
    int rv = act_origin_of(m, ctx, &origin);
    return rv == HF_OK ? act_keep_of(m, &origin, act) : rv;
}

static int show_act(struct machine *m, uint64_t number, struct act_line *line, size_t *bytes)
{
    struct row_act row;
    struct row_key key = row_key_u64(number);
    int rv = state_get(m, TABLE_ACTS, row_key_slice(&key), &row_act_type, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    *line = (struct act_line){
        .number = number,
        .at_ms = row.at_ms,
        .wall_ms = row.wall_ms,
        .session = row.session,
        .client_name = row.client_name,
        .principal = row.principal,
        .peer = row.peer,
        .operator_name = row.operator_name,
        .op = row.op,
        .name = row.name,
        .reason = row.reason,
        .before = row.before,
        .after = row.after,
    };
    *bytes += LINE_BYTES + row.client_name.size + row.principal.size + row.peer.size +
              row.operator_name.size + row.name.size + row.reason.size + row.before.size +
              row.after.size;
    return HF_OK;
}

int read_acts(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    (void)elapsed_ms;
    const struct msg_audit *audit = request;
    HF_ASSERT(audit->count_max >= 1 && audit->count_max <= PAGE_ITEMS_MAX);
    uint64_t last = m->meta.act_counter;
    uint64_t gone = last - store_count(m->store, TABLE_ACTS); /* none up to here is kept */
    uint64_t at = audit->cursor > gone ? audit->cursor : gone;
    struct msg_audit_reply reply = {0};
    struct act_line *lines = arena_take(&m->keep, audit->count_max * sizeof *lines);
    if (lines == NULL) return HF_ENOMEM;
    size_t bytes = 0;
    uint32_t count = 0;
    while (at < last && count < audit->count_max && bytes < READ_PAGE_BYTES_MAX) {
        int rv = show_act(m, ++at, &lines[count++], &bytes);
        if (rv != HF_OK) return rv;
    }
    if (at < last) reply.cursor = at;
    reply.acts = (struct codec_list){lines, count};
    return reply_set(out, OP_CODE_AUDIT, HF_OK, &reply);
}
