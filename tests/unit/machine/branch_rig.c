/* See the header. What should not happen fails the test at once. */
#include "tests/unit/machine/branch_rig.h"

#include "tests/unit/cmocka_all.h"

struct rig rig_open(struct fixture *f, const char *name)
{
    return (struct rig){.f = f, .session = open_session(f, name, 3600000)};
}

struct msg_branch rig_request(const char *gid, uint64_t op)
{
    return (struct msg_branch){
        .gid = slice_of(gid),
        .branch = slice_of("debit"),
        .step = slice_of("take"),
        .op = op,
        .fingerprint = slice_make("0123456789abcdef0123456789abcdef", FINGERPRINT_BYTES),
        .lease_ms = RIG_LEASE_MS,
        .retain_ms = RIG_RETAIN_MS,
    };
}

struct verdict rig_read_verdict(struct rig *r, const struct answer *a)
{
    struct verdict v = {.status = a->status};
    const struct codec_type *type = op_reply_type(OP_CODE_BRANCH, a->status);
    if (a->status == HF_OK) read_body(r->f, OP_CODE_BRANCH, a, &v.reply);
    if (type == &msg_branch_state_type) read_body(r->f, OP_CODE_BRANCH, a, &v.state);
    if (type == &msg_running_type) read_body(r->f, OP_CODE_BRANCH, a, &v.running);
    return v;
}

struct verdict rig_send(struct rig *r, const struct msg_branch *request)
{
    return rig_read_verdict(r, call(r->f, OP_CODE_BRANCH, r->session, ++r->seq, request));
}

struct verdict rig_ask(struct rig *r, const char *gid, uint64_t op)
{
    struct msg_branch request = rig_request(gid, op);
    return rig_send(r, &request);
}

uint64_t rig_execute(struct rig *r, const char *gid, uint64_t op)
{
    struct verdict v = rig_ask(r, gid, op);
    assert_int_equal(v.status, HF_OK);
    assert_int_equal(v.reply.verdict, BRANCH_EXECUTE);
    return v.reply.fencing_token;
}

int rig_done(struct rig *r, const char *gid, uint64_t token, uint64_t outcome, const char *body)
{
    struct msg_branch_done done = {
        .gid = slice_of(gid),
        .branch = slice_of("debit"),
        .fencing_token = token,
        .outcome = outcome,
        .code = 7,
        .body = slice_of(body),
    };
    return call(r->f, OP_CODE_BRANCH_DONE, r->session, ++r->seq, &done)->status;
}

static uint64_t end(struct rig *r, const char *gid, uint64_t op, uint64_t outcome)
{
    uint64_t token = rig_execute(r, gid, op);
    const char *body = op == BRANCH_TRY ? "tried" : "ended";
    assert_int_equal(rig_done(r, gid, token, outcome, body), HF_OK);
    return token;
}

uint64_t rig_bring(struct rig *r, const char *gid, uint64_t state)
{
    switch ((enum branch_state)state) {
    case BRANCH_NONE: return 0;
    case BRANCH_TRYING: return rig_execute(r, gid, BRANCH_TRY);
    case BRANCH_TRIED: return end(r, gid, BRANCH_TRY, OUTCOME_DONE);
    case BRANCH_TRY_FAILED: return end(r, gid, BRANCH_TRY, OUTCOME_FAILED);
    case BRANCH_CONFIRMING:
    case BRANCH_CONFIRMED:
    case BRANCH_CANCELLING:
    case BRANCH_CANCELLED: break;
    }
    (void)end(r, gid, BRANCH_TRY, OUTCOME_DONE);
    bool confirms = state == BRANCH_CONFIRMING || state == BRANCH_CONFIRMED;
    uint64_t op = confirms ? BRANCH_CONFIRM : BRANCH_CANCEL;
    if (state == BRANCH_CONFIRMING || state == BRANCH_CANCELLING) return rig_execute(r, gid, op);
    return end(r, gid, op, OUTCOME_DONE);
}

int rig_get(struct rig *r, const char *gid, struct msg_branch_info *info)
{
    const struct msg_branch_get get = {slice_of(gid), slice_of("debit")};
    struct buffer body;
    int status = HF_EINTERNAL;
    buffer_init(&body, FRAME_BYTES_MAX);
    assert_int_equal(machine_read(r->f->m, OP_CODE_BRANCH_GET, &get, 0, &body, &status), HF_OK);
    if (status == HF_OK) {
        uint8_t *copy = arena_take(&r->f->arena, body.size);
        assert_non_null(copy);
        memcpy(copy, body.data, body.size);
        assert_int_equal(
            codec_decode(&msg_branch_info_type, slice_make(copy, body.size), &r->f->arena, info),
            HF_OK);
    }
    buffer_close(&body);
    return status;
}

uint64_t rig_state(struct rig *r, const char *gid)
{
    struct msg_branch_info info;
    return rig_get(r, gid, &info) == HF_OK ? info.state : BRANCH_NONE;
}
