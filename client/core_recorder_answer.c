/* A call as a line: what it was told, behind what it asked (core_recorder_ask.c). The table of
 * docs/history-format.md, "How holdfast's verdicts become lines", op by op. A refusal counts as
 * `fail` only if no send of the request is unaccounted for; whatever is not certain is `unknown`,
 * and a read without an answer is nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "client/core.h"

/* An answer under way. */
struct telling {
    struct core *c;
    struct call *call;
    const struct reply_frame *reply; /* the call's own */
    struct recorder_line *line;      /* its outcome is OK until said otherwise */
};

static int decode_answer(const struct telling *t, const struct codec_type *type, void *out)
{
    return codec_decode(type, t->reply->body, &t->c->recorder->arena, out);
}

/* ------------------------------------------------------------------ what was answered: locks */

static void fail(const struct telling *t, const char *error)
{
    t->line->outcome = RECORDED_FAIL;
    t->line->error = error;
}

static struct recorder_grant *add(const struct telling *t, uint64_t token)
{
    struct recorder_grant *g = recorder_add(t->c->recorder, token, t->line);
    if (g != NULL) g->seen_ns = t->call->recorded->call_ns;
    return g;
}

/* A repeated answer about what does not stand any more brings nothing that could end later. */
static bool stands(const struct telling *t)
{
    bool gone = (t->reply->flags & REPLY_REPEATED) != 0 && (t->reply->flags & REPLY_STANDS) == 0;
    return !gone;
}

static bool tell_granted(const struct telling *t)
{
    struct msg_granted granted;
    struct msg_acquire acquire;
    if (recorder_decode_request(t->c, t->call, &acquire) != HF_OK) return false;
    if (decode_answer(t, &msg_granted_type, &granted) != HF_OK) return false;
    recorder_number(&t->line->result, "token", granted.fencing_token);
    recorder_number(&t->line->result, "count", granted.count);
    if (!stands(t) || t->c->session.phase != SESSION_LIVE) return true;
    struct recorder_grant *g = add(t, granted.fencing_token);
    if (g == NULL) return true;
    g->bound = true;
    g->owner = acquire.owner;
    if (granted.count == 1) g->held_for = acquire.hold_max_ms != 0;
    return true;
}

static bool tell_busy(const struct telling *t)
{
    struct msg_busy busy;
    fail(t, "refused"); /* nobody is shown: somebody is next, and nobody holds it */
    if (t->line->name_count > 1) return true; /* it does not say which of the names it was */
    if (decode_answer(t, &msg_busy_type, &busy) != HF_OK || busy.holders.count == 0) return true;
    const struct holder *first = busy.holders.items;
    fail(t, "busy");
    recorder_owner(&t->line->result, first->session, first->owner);
    recorder_number(&t->line->result, "token", first->fencing_token);
    return true;
}

static bool tell_already(const struct telling *t)
{
    struct msg_already already;
    if (t->line->name_count > 1) { /* likewise */
        fail(t, "refused");
        return true;
    }
    if (decode_answer(t, &msg_already_type, &already) != HF_OK) return false;
    fail(t, "already_held");
    recorder_number(&t->line->result, "token", already.fencing_token);
    return true;
}

static bool tell_deadlock(const struct telling *t)
{
    struct msg_deadlock deadlock;
    struct recorder_members *result = &t->line->result;
    if (decode_answer(t, &msg_deadlock_type, &deadlock) != HF_OK) return false;
    fail(t, "deadlock");
    const struct owner_item *owners = deadlock.owners.items;
    recorder_list(result, "cycle");
    for (uint32_t i = 0; i < deadlock.owners.count; i++)
        recorder_list_owner(result, owners[i].session, owners[i].owner);
    recorder_list_end(result);
    if (deadlock.owners.count < deadlock.length) recorder_number(result, "cut", 1);
    return true;
}

static bool tell_acquire(const struct telling *t)
{
    switch (t->reply->status) {
    case HF_OK: return tell_granted(t);
    case HF_EBUSY: return tell_busy(t);
    case HF_EALREADY: return tell_already(t);
    case HF_EDEADLOCK: return tell_deadlock(t);
    case HF_EDELAYED:
    case HF_EWAITTIMEOUT:
    case HF_EOWNERWAITING:
    case HF_ELIMIT:
    case HF_ESESSION: fail(t, "refused"); return true;
    default: t->line->outcome = RECORDED_UNKNOWN; return true;
    }
}

static bool tell_release(const struct telling *t)
{
    struct msg_release_reply released;
    switch (t->reply->status) {
    case HF_OK:
        if (decode_answer(t, &msg_release_reply_type, &released) != HF_OK) return false;
        recorder_number(&t->line->result, "count", released.count_left);
        if (released.count_left == 0) recorder_forget(t->c->recorder, t->call->recorded->token);
        return true;
    case HF_ENOTHELD:
    case HF_ENOTOWNER:
    case HF_ESTALE:
        recorder_forget(t->c->recorder, t->call->recorded->token);
        fail(t, "not_held");
        return true;
    case HF_ESESSION: fail(t, "not_held"); return true;
    default: t->line->outcome = RECORDED_UNKNOWN; return true;
    }
}

/* Whom an upgrade is busy with may be one that was lost, whose lock-delay runs. */
static bool tell_change(const struct telling *t)
{
    switch (t->reply->status) {
    case HF_OK: return true;
    case HF_ENOTHELD:
    case HF_ENOTOWNER:
    case HF_ESTALE:
    case HF_ESESSION: fail(t, "not_held"); return true;
    case HF_EUPGRADEBUSY:
    case HF_EOWNERWAITING:
    case HF_ELIMIT: fail(t, "refused"); return true;
    default: t->line->outcome = RECORDED_UNKNOWN; return true;
    }
}

static bool tell_check(const struct telling *t)
{
    static const char *const words[] = {"valid", "stale", "free"};
    struct msg_check_reply check;
    if (t->reply->status != HF_OK) return false;
    if (decode_answer(t, &msg_check_reply_type, &check) != HF_OK) return false;
    HF_ASSERT(check.verdict < HF_ARRAY_COUNT(words)); /* the decoder's promise */
    recorder_text(&t->line->result, "status", words[check.verdict]);
    return true;
}

static bool tell_info(const struct telling *t)
{
    struct msg_info_reply info;
    if (t->reply->status != HF_OK) return false;
    if (decode_answer(t, &msg_info_reply_type, &info) != HF_OK) return false;
    const struct holder_info *first = info.holders.items;
    bool shown = info.holders.count > 0;
    if (shown != (info.holder_count > 0)) return false; /* the page had no room for one */
    recorder_flag(&t->line->result, "held", shown);
    if (!shown) return true;
    recorder_owner(&t->line->result, first->session, first->owner);
    recorder_number(&t->line->result, "token", first->fencing_token);
    return true;
}

/* ------------------------------------------------------------------ records */

static bool tell_begun(const struct telling *t)
{
    struct msg_begin begin;
    struct msg_begin_reply begun;
    struct recorder_members *result = &t->line->result;
    if (recorder_decode_request(t->c, t->call, &begin) != HF_OK) return false;
    if (decode_answer(t, &msg_begin_reply_type, &begun) != HF_OK) return false;
    if (begun.verdict == BEGIN_REPLAY) {
        if (begun.referent == REFERENT_GONE) {
            t->line->outcome = RECORDED_UNKNOWN;
            return true;
        }
        recorder_text(result, "status", "completed");
        recorder_response(result, begun.outcome, begun.code, begun.headers, begun.body);
        recorder_number(result, "attempt", begun.attempt);
        return true;
    }
    if (begun.fencing_token == 0) return false;
    recorder_text(result, "status", begun.verdict == BEGIN_TAKEOVER ? "takeover" : "started");
    recorder_number(result, "token", begun.fencing_token);
    recorder_number(result, "attempt", begun.attempt);
    bool bound = begin.lease_ms == 0;
    if (!stands(t) || (bound && t->c->session.phase != SESSION_LIVE)) return true;
    struct recorder_grant *g = add(t, begun.fencing_token);
    if (g == NULL) return true;
    g->attempt = true;
    g->bound = bound;
    return true;
}

static bool tell_begin(const struct telling *t)
{
    struct msg_running running;
    struct msg_unknown unknown;
    switch (t->reply->status) {
    case HF_OK: return tell_begun(t);
    case HF_ERUNNING:
        if (decode_answer(t, &msg_running_type, &running) != HF_OK) return false;
        recorder_text(&t->line->result, "status", "in_progress");
        recorder_number(&t->line->result, "attempt", running.attempt);
        return true;
    case HF_ERECORDUNKNOWN:
        if (decode_answer(t, &msg_unknown_type, &unknown) != HF_OK) return false;
        recorder_number(&t->line->result, "token", unknown.fencing_token);
        fail(t, "unknown");
        return true;
    case HF_EMISMATCH: fail(t, "mismatch"); return true;
    case HF_EKEYEXPIRED: fail(t, "key_expired"); return true;
    case HF_EKEYTOOOLD:
    case HF_EGUARDSTALE:
    case HF_ESESSION: fail(t, "refused"); return true;
    default: t->line->outcome = RECORDED_UNKNOWN; return true;
    }
}

/* EXTEND, CHECKPOINT, COMPLETE, RESOLVE, REOPEN. */
static bool tell_attempt(const struct telling *t)
{
    bool completes = t->call->op->code == OP_CODE_COMPLETE;
    switch (t->reply->status) {
    case HF_OK: break;
    case HF_ESTALE: fail(t, "stale_token"); break;
    case HF_ECONFLICT: fail(t, "conflict"); break;
    case HF_ESEQOLD: fail(t, "seq_old"); break;
    case HF_ENOTFOUND: fail(t, "not_found"); break;
    case HF_EBADSTATE: fail(t, "bad_state"); break;
    case HF_ESESSION: fail(t, "refused"); break;
    default: t->line->outcome = RECORDED_UNKNOWN; return true;
    }
    bool over = t->reply->status == HF_ESTALE || t->reply->status == HF_ECONFLICT ||
                (completes && t->reply->status == HF_OK);
    uint64_t token = t->call->recorded->token; /* 0: REOPEN's, which runs no longer */
    if (over && token != 0) recorder_forget(t->c->recorder, token);
    return true;
}

static bool tell_get(const struct telling *t)
{
    static const char *const words[] = {
        [RECORD_RUNNING] = "in_progress", [RECORD_DONE] = "completed",
        [RECORD_FAILED] = "completed",    [RECORD_RETRYABLE] = "retryable",
        [RECORD_UNKNOWN] = "unknown",     [RECORD_TOMBSTONE] = "expired"};
    struct msg_record_reply record;
    struct recorder_members *result = &t->line->result;
    if (t->reply->status == HF_ENOTFOUND) {
        recorder_text(result, "status", "none");
        return true;
    }
    if (t->reply->status != HF_OK) return false;
    if (decode_answer(t, &msg_record_reply_type, &record) != HF_OK) return false;
    if (record.state >= HF_ARRAY_COUNT(words) || words[record.state] == NULL) return false;
    if (record.body_kind == BODY_ERASED) return false; /* its response cannot be told any more */
    recorder_text(result, "status", words[record.state]);
    if (record.state == RECORD_DONE || record.state == RECORD_FAILED)
        recorder_response(result, record.state, record.code, record.headers, record.body);
    if (record.state != RECORD_TOMBSTONE) recorder_number(result, "token", record.fencing_token);
    return true;
}

/* ------------------------------------------------------------------ lines */

static struct recorder_line line_of(const struct call *call, char *part, size_t bytes)
{
    struct recorder_line line = {.call_ns = call->recorded->call_ns};
    if (call->recorded->own) return line; /* named after its key below */
    int size = snprintf(part, bytes, "%u", (unsigned)(call->id % CORE_CALLS_MAX));
    HF_ASSERT(size > 0 && (size_t)size < bytes);
    line.part = slice_make(part, (size_t)size);
    return line;
}

static void forget_op(struct call *call)
{
    recorder_free_op(call->recorded);
    call->recorded = NULL;
}

static void write(struct core *c, struct call *call, struct recorder_line *line)
{
    if (line->part.size == 0) line->part = line->key;
    if (line->outcome == RECORDED_UNKNOWN) {
        line->error = NULL;
        line->result.size = 0;
    } else {
        line->ret_ns = recorder_now(c->recorder);
    }
    bool read = (call->op->traits & OP_READ) != 0;
    if (!read || line->outcome == RECORDED_OK) recorder_emit(c, line);
}

/* Statuses of a server that did nothing; NULL for others. */
static const char *refusal(int status)
{
    switch (status) {
    case HF_EFROZEN:
    case HF_EQUOTA:
    case HF_ETOOBUSY: return "overloaded";
    case HF_ENOSPACE: return "no_space";
    case HF_ETOOLARGE: return "too_large";
    case HF_EBADREQUEST: return "bad_request";
    case HF_ENOTLEADER: return "not_leader";
    case HF_ESHUTDOWN: return "shutdown";
    case HF_EUNACKED: return "refused";
    default: return NULL;
    }
}

static bool tell(const struct telling *t)
{
    switch (t->call->op->code) {
    case OP_CODE_ACQUIRE: return tell_acquire(t);
    case OP_CODE_RELEASE: return tell_release(t);
    case OP_CODE_DOWNGRADE:
    case OP_CODE_UPGRADE: return tell_change(t);
    case OP_CODE_CHECK: return tell_check(t);
    case OP_CODE_INFO: return tell_info(t);
    case OP_CODE_BEGIN: return tell_begin(t);
    case OP_CODE_RECORD_GET: return tell_get(t);
    default: return tell_attempt(t);
    }
}

void recorder_answer(struct core *c, struct call *call, const struct reply_frame *reply)
{
    char part[16];
    if (call->recorded == NULL) return;
    if (call->op->code == OP_CODE_CLOSE) {
        if (reply->status == HF_OK || reply->status == HF_ESESSION) {
            recorder_write_close(c, call->recorded, RECORDED_OK);
            forget_op(call);
        }
        return;
    }
    struct recorder_line line = line_of(call, part, sizeof part);
    if (!recorder_describe(c, call, &line)) {
        forget_op(call);
        return;
    }
    struct telling t = {c, call, reply, &line};
    const char *nothing = refusal(reply->status);
    bool certain = status_reply_class(reply->status) == 0 || call->unsure == 0;
    if (nothing != NULL) {
        fail(&t, nothing);
        if (!certain) line.outcome = RECORDED_UNKNOWN;
    } else if (!tell(&t)) {
        return; /* the core has it asked again, or it is a read */
    }
    write(c, call, &line);
    forget_op(call);
}

void recorder_canceled(struct core *c, struct call *call)
{
    char part[16];
    if (call->recorded == NULL) return;
    struct recorder_line line = line_of(call, part, sizeof part);
    line.outcome = RECORDED_FAIL;
    line.error = "canceled";
    if (recorder_describe(c, call, &line)) write(c, call, &line);
    forget_op(call);
}

/* An acquire that nobody will ask about: what it may have brought ends with the session. */
static void remember_unknown(struct core *c, const struct call *call,
                             const struct recorder_line *line)
{
    struct msg_acquire acquire;
    if (call->op->code != OP_CODE_ACQUIRE || c->session.phase != SESSION_LIVE) return;
    struct recorder_grant *g = recorder_add(c->recorder, 0, line);
    if (g == NULL) return;
    int rv = recorder_decode_request(c, call, &acquire);
    HF_ASSERT(rv == HF_OK); /* it was described before */
    g->owner = acquire.owner;
    g->bound = true;
}

void recorder_over(struct core *c, struct call *call, int status)
{
    char part[16];
    if (call->recorded == NULL) return;
    if (call->recorded->call_ns == 0) { /* never sent */
        forget_op(call);
        return;
    }
    bool nothing = call->unsure == 0 && (call->op->traits & OP_NUMBERED) != 0;
    if (call->op->code == OP_CODE_CLOSE) {
        if (!nothing) recorder_write_close(c, call->recorded, RECORDED_UNKNOWN);
        forget_op(call);
        return;
    }
    struct recorder_line line = line_of(call, part, sizeof part);
    line.outcome = nothing ? RECORDED_FAIL : RECORDED_UNKNOWN;
    if (nothing) line.error = status == HF_ETIMEOUT ? "timeout" : "refused";
    if (recorder_describe(c, call, &line)) {
        write(c, call, &line);
        if (!nothing) remember_unknown(c, call, &line);
    }
    forget_op(call);
}
