#include "machine/members.h"

#include "base/status.h"
#include "machine/machine.h"

int member_record(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out)
{
    const struct msg_member *member = request;
    uint64_t known = 0;
    HF_ASSERT(member->id != 0 && member->incarnation != 0);
    int rv = machine_member(m, member->id, &known);
    if (rv != HF_OK) return rv;
    if (known == 0) {
        struct row_key key = row_key_u64(member->id);
        rv = state_put_u64(m, TABLE_MEMBERS, row_key_slice(&key), member->incarnation);
        if (rv != HF_OK) return rv;
    }
    return reply_set(out, ctx->op, HF_OK, NULL);
}

int machine_member(struct machine *m, uint64_t id, uint64_t *incarnation)
{
    uint64_t known = 0;
    size_t mark = state_mark(m);
    struct row_key key = row_key_u64(id);
    int rv = state_get_u64(m, TABLE_MEMBERS, row_key_slice(&key), &known);
    state_reset(m, mark);
    if (rv == HF_ENOTFOUND) rv = HF_OK;
    if (rv == HF_OK) *incarnation = known;
    return rv;
}
