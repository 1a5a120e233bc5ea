/* The descriptions of all messages as data, and what belongs to an op: its row of HF_OPS and the
 * type of its reply's body under each status. Tables only; the rules that span fields are in
 * protocol/checks.c. */
#include "protocol/messages.h"

#include "base/status.h"

#define DEFINE_TYPE(T, FIELDS) CODEC_DEFINE(T, FIELDS, 0)
HF_TYPES(DEFINE_TYPE)
#undef DEFINE_TYPE

const struct codec_type msg_empty_type = {
    .name = "msg_empty",
    .struct_bytes = sizeof(struct msg_empty),
};

/* A list never asks for more items than any list may have, nor a frame for more than it holds. */
_Static_assert((int)SESSION_NAMES_MAX <= (int)LIST_ITEMS_MAX, "KEEP's answer is a list");
_Static_assert((int)PAGE_ITEMS_MAX <= (int)LIST_ITEMS_MAX, "a page is a list");
_Static_assert(BODY_BYTES_MAX + CHECKPOINT_BYTES_MAX + 2 * HEADERS_BYTES_MAX < FRAME_BYTES_MAX,
               "a record and its checkpoint fit one frame");

_Static_assert(BODY_BYTES_MAX + CHECKPOINT_BYTES_MAX + HEADERS_BYTES_MAX + EVIDENCE_BYTES_MAX +
                       META_BYTES_MAX + 8 * NAME_BYTES_MAX + 2048 <
                   RECORD_BYTES_MAX,
               "a record and its checkpoint fit an item of an export");

/* ------------------------------------------------------------------ ops */

static const struct op_info ops[OP_CODE_MAX + 1] = {
#define OP_ROW(op_code, NAME, request_struct, answer_struct, op_bits) \
    [op_code] = {.code = (op_code),                                   \
                 .traits = (op_bits),                                 \
                 .name = #NAME,                                       \
                 .request = &request_struct##_type,                   \
                 .answer = &answer_struct##_type},
    HF_OPS(OP_ROW)
#undef OP_ROW
};

const struct op_info *op_find(uint16_t code)
{
    if (code > OP_CODE_MAX || ops[code].name == NULL) return NULL;
    return &ops[code];
}

/* ------------------------------------------------------------------ replies */

enum { ANY_OP = 0 };

struct detail_row {
    int status;                    /* of the reply */
    uint16_t op;                   /* only of this op, or ANY_OP */
    const struct codec_type *type; /* of the reply's body */
};

/* What an answer other than OK tells beyond its status. STALE_TOKEN of a lock (RELEASE, ABANDON)
 * tells nothing more: the current token is not the caller's business. Of a record it tells the
 * state that the late caller has to reconcile with (contract, 6). */
static const struct detail_row details[] = {
    {HF_EBUSY, ANY_OP, &msg_busy_type},
    {HF_EDELAYED, ANY_OP, &msg_delayed_type},
    {HF_EDEADLOCK, ANY_OP, &msg_deadlock_type},
    {HF_EALREADY, ANY_OP, &msg_already_type},
    {HF_ENOTHELD, ANY_OP, &msg_ended_type},
    {HF_ESESSION, ANY_OP, &msg_ended_type},
    {HF_EMISMATCH, OP_CODE_BRANCH, &msg_branch_state_type},
    {HF_ENOTRY, ANY_OP, &msg_branch_state_type},
    {HF_ENOTREADY, ANY_OP, &msg_branch_state_type},
    {HF_EDECIDED, ANY_OP, &msg_branch_state_type},
    {HF_EHANGING, ANY_OP, &msg_branch_state_type},
    {HF_ESTALE, OP_CODE_BRANCH_DONE, &msg_branch_state_type},
    {HF_EMISMATCH, ANY_OP, &msg_state_type},
    {HF_EBADSTATE, OP_CODE_TIMER_REQUEUE, &msg_timer_fired_type},
    {HF_EBADSTATE, ANY_OP, &msg_state_type},
    {HF_ERUNNING, ANY_OP, &msg_running_type},
    {HF_EFIRED, ANY_OP, &msg_timer_fired_type},
    {HF_ERECORDUNKNOWN, ANY_OP, &msg_unknown_type},
    {HF_ESTALE, OP_CODE_EXTEND, &msg_state_type},
    {HF_ESTALE, OP_CODE_CHECKPOINT, &msg_state_type},
    {HF_ESTALE, OP_CODE_COMPLETE, &msg_state_type},
    {HF_ESTALE, OP_CODE_RESOLVE, &msg_state_type},
    {HF_ESTALE, OP_CODE_REOPEN, &msg_state_type},
    {HF_ENOTACCEPTED, ANY_OP, &msg_txn_refused_type},
    {HF_ECHANGED, ANY_OP, &setting_line_type},
    {HF_EQUOTA, ANY_OP, &msg_quota_type},
    {HF_ENOTLEADER, ANY_OP, &msg_redirect_type},
    {HF_ETOOBUSY, ANY_OP, &msg_retry_type},
    {HF_EBADREQUEST, ANY_OP, &msg_complaint_type},
    {HF_ETOOLARGE, ANY_OP, &msg_complaint_type},
    {HF_EVERSION, ANY_OP, &msg_complaint_type},
};

const struct codec_type *op_reply_type(uint16_t code, int status)
{
    if (status == HF_OK) {
        const struct op_info *info = op_find(code);
        return info != NULL ? info->answer : &msg_empty_type;
    }
    for (size_t i = 0; i < HF_ARRAY_COUNT(details); i++) {
        const struct detail_row *row = &details[i];
        if (row->status == status && (row->op == ANY_OP || row->op == code)) return row->type;
    }
    return &msg_empty_type;
}
