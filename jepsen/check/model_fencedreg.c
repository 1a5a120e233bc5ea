/* A register behind a fencing token: a write is accepted if and only if its token is not smaller
 * than the greatest that was accepted; a read returns the last accepted value. */
#include <inttypes.h>

#include "jepsen/check/model.h"

struct fencedreg {
    int64_t token;  /* the greatest accepted; 0 = none yet */
    uint64_t value; /* string; 0 = null */
};

static struct fencedreg *look(struct model_state *state)
{
    HF_ASSERT(state->size == sizeof(struct fencedreg));
    return (struct fencedreg *)(void *)state->bytes;
}

static void start(struct model_state *state)
{
    state->size = sizeof(struct fencedreg);
    *look(state) = (struct fencedreg){0};
}

static enum model_verdict take(struct model_state *state, const struct operation *op,
                               const struct model_step *step)
{
    struct fencedreg *r = look(state);
    if (op->kind == KIND_READ) return r->value == op->value ? STEP_YES : STEP_NO;
    HF_ASSERT(op->kind == KIND_WRITE);
    if (op->outcome == RESULT_FAIL) return op->token < r->token ? STEP_YES : STEP_NO;
    if (op->token < r->token || step->variant != 0) return STEP_NO;
    r->token = op->token;
    r->value = op->value;
    return STEP_YES;
}

static bool is_over(const struct model_state *state, const struct operation *op)
{
    return op->token < ((const struct fencedreg *)(const void *)state->bytes)->token;
}

/* A read that nobody answered has no effect. */
static void leave_out(struct operation *operations, size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        bool read = operations[i].kind == KIND_READ && operations[i].outcome == RESULT_UNKNOWN;
        if (!read) operations[kept++] = operations[i];
    }
    *count = kept;
}

static bool nothing_quick(const struct key_history *key, struct buffer *complaint)
{
    (void)key, (void)complaint;
    return true;
}

static void tell(const struct history *h, const struct model_state *state, struct buffer *out)
{
    const struct fencedreg *r = (const struct fencedreg *)(const void *)state->bytes;
    if (r->token == 0) {
        model_say(out, "nothing written");
        return;
    }
    model_say(out, "value \"%s\" under token %" PRId64,
              strings_text(&h->strings, (uint32_t)r->value), r->token);
}

const struct model model_fencedreg = {
    .name = "fencedreg",
    .init = start,
    .step = take,
    .is_dead = is_over,
    .rank = model_no_rank,
    .prepare = leave_out,
    .quick = nothing_quick,
    .describe = tell,
};
