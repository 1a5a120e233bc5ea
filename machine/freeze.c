/* Frozen prefixes. Happy path: none is frozen, and one count says so; else all of them, few, are
 * compared. Failure modes: faults only. */
#include "machine/freeze.h"

#include "machine/acts.h"
#include "machine/deadlines.h"
#include "machine/principals.h"
#include "machine/serve.h"

enum { THAW_ID_HEAD = 2 }; /* table, length of the prefix; then the last name that was taken up */

int freeze_covers(struct machine *m, struct slice name, bool *frozen)
{
    *frozen = false;
    if (store_count(m->store, TABLE_FROZEN) == 0) return HF_OK;
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_FROZEN, &all, NULL);
    for (; rv == HF_OK && !*frozen; rv = walk_next(&walk)) {
        HF_ASSERT(walk.key.size >= 1);
        *frozen = slice_starts(name, slice_make(walk.key.data + 1, walk.key.size - 1));
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int freeze_covers_any(struct machine *m, const struct codec_strs *names, bool *frozen)
{
    int rv = HF_OK;
    *frozen = false;
    if (store_count(m->store, TABLE_FROZEN) == 0) return HF_OK;
    for (uint32_t i = 0; rv == HF_OK && !*frozen && i < names->count; i++)
        rv = freeze_covers(m, names->items[i], frozen);
    return rv;
}

/* ------------------------------------------------------------------ FREEZE */

int freeze_apply(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out)
{
    const struct msg_freeze *freeze = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    struct row_key key = row_key_frozen(freeze->prefix);
    struct row_frozen row;
    int rv = state_get(m, TABLE_FROZEN, row_key_slice(&key), &row_frozen_type, &row);
    if (rv == HF_OK) return reply_set(out, ctx->op, HF_OK, NULL); /* it is: nothing to do */
    if (rv != HF_ENOTFOUND) return rv;
    if (store_count(m->store, TABLE_FROZEN) >= FROZEN_MAX)
        return quota_tell(out, ctx->op, QUOTA_FROZEN, FROZEN_MAX, FROZEN_MAX);
    row = (struct row_frozen){
        .since_ms = state_now(m),
        .wall_ms = m->meta.wall_ms,
        .last_token = m->meta.restore_epoch << 48 | m->meta.token_counter,
        .operator_name = freeze->operator_name,
        .reason = freeze->reason,
    };
    rv = state_put(m, TABLE_FROZEN, row_key_slice(&key), &row_frozen_type, &row);
    const struct act act = {freeze->prefix, freeze->operator_name, freeze->reason, "open",
                            "frozen"};
    if (rv == HF_OK) rv = act_keep(m, ctx, &act);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, NULL) : rv;
}

/* ------------------------------------------------------------------ THAW */

/* Put the queues of the next names under a prefix on the list of those to serve.
 * \param last  the last name that was taken up; the prefix itself at first, which `begins` says */
static int take_up(struct machine *m, enum machine_table table, struct slice prefix,
                   struct slice last, bool begins)
{
    enum machine_table queue = table == TABLE_LOCKS ? TABLE_LOCK_QUEUE : TABLE_RECORD_QUEUE;
    struct row_key under = {.size = 0};
    if (prefix.size > 0) under = row_key_name(prefix);
    struct row_key from = begins ? under : row_key_past_name(last);
    for (unsigned i = 0; i < THAW_NAMES_MAX; i++) {
        struct slice key;
        struct slice value;
        int rv = state_first(m, queue, row_key_slice(&under), row_key_slice(&from), &key, &value);
        if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
        HF_ASSERT(key.size > 9); /* name, NUL, ticket */
        last = slice_make(key.data, key.size - 9);
        rv = serve_mark(m, table, last);
        if (rv != HF_OK) return rv;
        from = row_key_past_name(last);
    }
    uint8_t id[THAW_ID_HEAD + NAME_BYTES_MAX];
    id[0] = (uint8_t)table;
    id[1] = (uint8_t)prefix.size;
    memcpy(id + THAW_ID_HEAD, last.data, last.size);
    return deadline_put(m, state_now(m), DEADLINE_THAW, slice_make(id, THAW_ID_HEAD + last.size));
}

int thaw_due(struct machine *m, struct slice id)
{
    if (id.size <= THAW_ID_HEAD) return HF_ECORRUPT;
    struct slice last = slice_make(id.data + THAW_ID_HEAD, id.size - THAW_ID_HEAD);
    if (id.data[1] > last.size) return HF_ECORRUPT;
    return take_up(m, (enum machine_table)id.data[0], slice_make(last.data, id.data[1]), last,
                   false);
}

int thaw_apply(struct machine *m, const struct op_context *ctx, const void *request,
               struct reply_out *out)
{
    const struct msg_freeze *thaw = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    struct row_key key = row_key_frozen(thaw->prefix);
    struct row_frozen row;
    int rv = state_get(m, TABLE_FROZEN, row_key_slice(&key), &row_frozen_type, &row);
    if (rv == HF_ENOTFOUND) return reply_set(out, ctx->op, HF_ENOTFOUND, NULL);
    if (rv == HF_OK) rv = state_del(m, TABLE_FROZEN, row_key_slice(&key));
    const struct act act = {thaw->prefix, thaw->operator_name, thaw->reason, "frozen", "open"};
    if (rv == HF_OK) rv = act_keep(m, ctx, &act);
    if (rv == HF_OK) rv = take_up(m, TABLE_LOCKS, thaw->prefix, thaw->prefix, true);
    if (rv == HF_OK) rv = take_up(m, TABLE_RECORDS, thaw->prefix, thaw->prefix, true);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, NULL) : rv;
}

/* ------------------------------------------------------------------ reads */

/* All rows stay in scratch: there are few. */
int read_frozen(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out)
{
    (void)request;
    (void)elapsed_ms;
    struct frozen_line lines[FROZEN_MAX];
    struct msg_frozen_reply reply = {{lines, 0}};
    struct row_key from = row_key_frozen(slice_make(NULL, 0));
    struct slice key;
    struct slice value;
    int rv;
    while ((rv = state_first(m, TABLE_FROZEN, slice_make(NULL, 0), row_key_slice(&from), &key,
                             &value)) == HF_OK) {
        struct row_frozen row;
        HF_ASSERT(reply.prefixes.count < FROZEN_MAX);
        rv = state_decode(m, &row_frozen_type, value, &row);
        if (rv != HF_OK) return rv;
        lines[reply.prefixes.count++] = (struct frozen_line){
            .prefix = slice_make(key.data + 1, key.size - 1),
            .since_ms = row.since_ms,
            .wall_ms = row.wall_ms,
            .operator_name = row.operator_name,
            .reason = row.reason,
        };
        memcpy(from.bytes, key.data, key.size);
        from.bytes[key.size] = 0; /* the first key behind this one */
        from.size = (uint16_t)(key.size + 1);
    }
    return rv == HF_ENOTFOUND ? reply_set(out, OP_CODE_FROZEN_LIST, HF_OK, &reply) : rv;
}
