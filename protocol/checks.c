/* The rules of a request that span several of its fields: what the ranges in protocol/messages.h
 * cannot say. Every server makes these checks at its door and again at apply, from the same bytes,
 * so they read nothing but the request. Each refusal is HF_EBADREQUEST and a sentence for the
 * client's author; nothing was proposed. */
#include <stddef.h>

#include "base/status.h"
#include "protocol/messages.h"

static int refuse(const char **sentence, const char *why)
{
    *sentence = why;
    return HF_EBADREQUEST;
}

static bool is_token(uint64_t number)
{
    return number >= 1 && number < TOKEN_END;
}

/* ------------------------------------------------------------------ requests */

static int check_hello(const struct msg_hello *hello, const char **sentence)
{
    if (hello->version_min > hello->version_max) {
        return refuse(sentence, "version_min is above version_max");
    }
    return HF_OK;
}

static int check_keep(const struct msg_keep *keep, const char **sentence)
{
    for (uint32_t i = 0; i < keep->losses_acked.count; i++) {
        if (!is_token(keep->losses_acked.items[i])) {
            return refuse(sentence, "an acknowledged loss is not a fencing token");
        }
    }
    return HF_OK;
}

static int check_acquire(const struct msg_acquire *acquire, const char **sentence)
{
    for (uint32_t i = 1; i < acquire->names.count; i++) {
        if (slice_compare(acquire->names.items[i - 1], acquire->names.items[i]) >= 0) {
            return refuse(sentence, "names are not sorted by bytes and distinct");
        }
    }
    if (acquire->mode != MODE_PERMITS && (acquire->permits != 0 || acquire->limit != 0)) {
        return refuse(sentence, "permits and limit are for mode PERMITS only");
    }
    if (acquire->mode == MODE_PERMITS && acquire->permits == 0) {
        return refuse(sentence, "mode PERMITS wants permits from 1 to limit");
    }
    if (acquire->permits > acquire->limit) return refuse(sentence, "permits are above limit");
    return HF_OK;
}

static int check_begin(const struct msg_begin *begin, const char **sentence)
{
    if (begin->lease_ms != 0 && begin->lease_ms < LEASE_MS_MIN) {
        return refuse(sentence, "lease_ms is neither 0 nor at least 500");
    }
    if ((begin->guard_name.size == 0) != (begin->guard_token == 0)) {
        return refuse(sentence, "a guard wants both a name and a token");
    }
    return HF_OK;
}

static int check_result(uint64_t kind, struct slice body, const char **sentence)
{
    if (kind == BODY_OMITTED && body.size != 0) {
        return refuse(sentence, "a body that was omitted is there");
    }
    if (kind == BODY_REFERENCE && body.size == 0) {
        return refuse(sentence, "a reference instead of the body is empty");
    }
    return HF_OK;
}

static int check_complete(const struct msg_complete *complete, const char **sentence)
{
    return check_result(complete->body_kind, complete->body, sentence);
}

static int check_resolve(const struct msg_resolve *resolve, const char **sentence)
{
    return check_result(resolve->body_kind, resolve->body, sentence);
}

static int check_force(const struct msg_force *force, const char **sentence)
{
    if (force->reason.size < FORCE_REASON_BYTES_MIN) {
        return refuse(sentence, "a reason to force a grant has 8 bytes at least");
    }
    return HF_OK;
}

static int check_revoke(const struct msg_revoke *revoke, const char **sentence)
{
    if (revoke->reason.size < FORCE_REASON_BYTES_MIN) {
        return refuse(sentence, "a reason to ask a grant back has 8 bytes at least");
    }
    return HF_OK;
}

static int check_branch_name(struct slice gid, struct slice branch, const char **sentence)
{
    if (gid.size + 1 + branch.size > NAME_BYTES_MAX) {
        return refuse(sentence, "gid and branch have more than 254 bytes together");
    }
    return HF_OK;
}

static int check_branch(const struct msg_branch *branch, const char **sentence)
{
    return check_branch_name(branch->gid, branch->branch, sentence);
}

static int check_branch_done(const struct msg_branch_done *done, const char **sentence)
{
    return check_branch_name(done->gid, done->branch, sentence);
}

static int check_branch_get(const struct msg_branch_get *get, const char **sentence)
{
    return check_branch_name(get->gid, get->branch, sentence);
}

static int check_branch_list(const struct msg_branch_list *list, const char **sentence)
{
    if ((list->cursor_gid.size == 0) != (list->cursor_branch.size == 0)) {
        return refuse(sentence, "a cursor has both a gid and a branch");
    }
    return check_branch_name(list->cursor_gid, list->cursor_branch, sentence);
}

bool op_finishes(uint16_t code, const void *request)
{
    const struct msg_branch *branch = request;
    if (code == OP_CODE_TXN) return txn_finishes(request);
    return code == OP_CODE_BRANCH && branch->op != BRANCH_TRY;
}

int op_check(uint16_t code, const void *request, const char **sentence)
{
    HF_ASSERT(request != NULL);
    HF_ASSERT(sentence != NULL);
    switch (code) {
    case OP_CODE_HELLO: return check_hello(request, sentence);
    case OP_CODE_KEEP: return check_keep(request, sentence);
    case OP_CODE_ACQUIRE: return check_acquire(request, sentence);
    case OP_CODE_BEGIN: return check_begin(request, sentence);
    case OP_CODE_COMPLETE: return check_complete(request, sentence);
    case OP_CODE_RESOLVE: return check_resolve(request, sentence);
    case OP_CODE_BRANCH: return check_branch(request, sentence);
    case OP_CODE_BRANCH_DONE: return check_branch_done(request, sentence);
    case OP_CODE_BRANCH_GET: return check_branch_get(request, sentence);
    case OP_CODE_BRANCH_LIST: return check_branch_list(request, sentence);
    case OP_CODE_FORCE: return check_force(request, sentence);
    case OP_CODE_REVOKE: return check_revoke(request, sentence);
    case OP_CODE_TXN: return txn_check(request, sentence);
    default: break;
    }
    if (op_find(code) == NULL) return refuse(sentence, "no such op");
    return HF_OK; /* this op's fields are independent of each other */
}

/* ------------------------------------------------------------------ envelopes */

static int check_ranges(const struct client_envelope *e, const char **sentence)
{
    const struct ack_range *ranges = e->ack_ranges.items;
    uint64_t above = e->ack;
    for (uint32_t i = 0; i < e->ack_ranges.count; i++) {
        if (ranges[i].first <= above) {
            return refuse(sentence, "ack_ranges do not rise, or begin at or below ack");
        }
        if (ranges[i].last < ranges[i].first) {
            return refuse(sentence, "an ack range ends before it begins");
        }
        above = ranges[i].last;
    }
    return HF_OK;
}

int envelope_check(uint16_t code, const struct client_envelope *e, const char **sentence)
{
    HF_ASSERT(e != NULL);
    HF_ASSERT(sentence != NULL);
    const struct op_info *info = op_find(code);
    if (info == NULL) return refuse(sentence, "no such op");

    if ((info->traits & OP_NUMBERED) != 0 && e->seq == 0) {
        return refuse(sentence, "this op wants a request number in seq");
    }
    if ((info->traits & OP_NUMBERED) == 0 && e->seq != 0) {
        return refuse(sentence, "this op has no request number: seq must be 0");
    }
    if (e->stale_ok != 0 && (info->traits & OP_READ) == 0) {
        return refuse(sentence, "stale_ok is for reads");
    }
    if ((info->traits & OP_SESSION) != 0) {
        if (e->session == 0) return refuse(sentence, "this op wants a session");
        return check_ranges(e, sentence);
    }
    if (e->session != 0) return refuse(sentence, "this op has no session: it must be 0");
    if (e->ack != 0 || e->ack_ranges.count != 0 || e->renews != 0) {
        return refuse(sentence, "ack, ack_ranges and renews are for ops of a session");
    }
    return HF_OK;
}
