/* What a call asks, as a line without its outcome, from its own encoded request, op by op: the
 * arguments in the table of docs/history-format.md, "How holdfast's verdicts become lines". */
#include "base/status.h"
#include "client/core.h"

int recorder_decode_request(const struct core *c, const struct call *call, void *out)
{
    arena_reset(&c->recorder->arena);
    return codec_decode(call->op->request, buffer_slice(&call->body), &c->recorder->arena, out);
}

static bool describe_acquire(struct core *c, const struct call *call, struct recorder_line *line)
{
    struct msg_acquire acquire;
    if (recorder_decode_request(c, call, &acquire) != HF_OK) return false;
    uint64_t ttl_ms = c->config.ttl_ms;
    if (acquire.hold_max_ms != 0 && acquire.hold_max_ms < ttl_ms) ttl_ms = acquire.hold_max_ms;
    line->op = "acquire";
    const struct slice *names = acquire.names.items;
    line->key = names[0];
    line->name_count = acquire.names.count;
    for (size_t i = 0; i < line->name_count; i++) line->names[i] = names[i];
    recorder_number(&line->args, "ttl_ms", ttl_ms);
    recorder_owner(&line->args, call->recorded->session, acquire.owner);
    if (acquire.mode == MODE_SHARED) recorder_text(&line->args, "mode", "shared");
    if (acquire.mode == MODE_PERMITS) {
        recorder_text(&line->args, "mode", "permits");
        recorder_number(&line->args, "permits", acquire.permits);
        recorder_number(&line->args, "limit", acquire.limit);
    }
    if (acquire.reentrant != 0) recorder_number(&line->args, "reentrant", 1);
    return true;
}

/* RELEASE, DOWNGRADE, UPGRADE. */
static bool describe_change(struct core *c, const struct call *call, struct recorder_line *line)
{
    struct msg_release change; /* the others have the same fields */
    const struct recorder_op *op = call->recorded;
    if (op->names.count == 0 || recorder_decode_request(c, call, &change) != HF_OK) return false;
    line->op = call->op->code == OP_CODE_RELEASE     ? "release"
               : call->op->code == OP_CODE_DOWNGRADE ? "downgrade"
                                                     : "upgrade";
    recorder_set_names(line, &op->names);
    recorder_number(&line->args, "token", change.fencing_token);
    recorder_owner(&line->args, op->session, change.owner);
    return true;
}

/* Of a bound attempt that ends with a CLOSE of which no line can tell by its token, no lease is
 * claimed. */
static bool describe_begin(struct core *c, const struct call *call, struct recorder_line *line)
{
    static const char *const policies[] = {"auto", "manual", "never"};
    struct msg_begin begin;
    if (recorder_decode_request(c, call, &begin) != HF_OK) return false;
    bool unknown = line->outcome == RECORDED_UNKNOWN || c->session.phase != SESSION_LIVE;
    uint64_t ttl_ms = begin.lease_ms != 0 ? begin.lease_ms : c->config.ttl_ms;
    if (begin.lease_ms == 0 && c->closing && unknown) ttl_ms = 0;
    line->op = "begin";
    line->key = begin.key;
    recorder_number(&line->args, "ttl_ms", ttl_ms);
    recorder_hex(&line->args, "fingerprint", begin.fingerprint);
    recorder_owner(&line->args, call->recorded->session, 0);
    recorder_number(&line->args, "retain_ms", begin.retain_ms);
    HF_ASSERT(begin.takeover < HF_ARRAY_COUNT(policies));
    recorder_text(&line->args, "takeover", policies[begin.takeover]);
    return true;
}

static bool describe_extend(struct core *c, const struct call *call, struct recorder_line *line)
{
    struct msg_extend extend;
    if (recorder_decode_request(c, call, &extend) != HF_OK) return false;
    const struct recorder_grant *g = recorder_find(c->recorder, extend.fencing_token);
    if (g == NULL || g->bound) return false; /* changes nothing, or may not */
    line->op = "renew";
    line->key = extend.key;
    recorder_number(&line->args, "token", extend.fencing_token);
    recorder_number(&line->args, "ttl_ms", extend.lease_ms);
    return true;
}

static bool describe_checkpoint(struct core *c, const struct call *call, struct recorder_line *line)
{
    struct msg_checkpoint checkpoint;
    if (recorder_decode_request(c, call, &checkpoint) != HF_OK) return false;
    line->op = "checkpoint";
    line->key = checkpoint.key;
    recorder_number(&line->args, "token", checkpoint.fencing_token);
    recorder_number(&line->args, "number", checkpoint.number);
    recorder_number(&line->args, "mark", checkpoint.external);
    return true;
}

static bool describe_end(struct core *c, const struct call *call, struct recorder_line *line)
{
    struct msg_resolve end; /* begins as msg_complete does */
    if (call->op->code == OP_CODE_COMPLETE) {
        struct msg_complete complete;
        if (recorder_decode_request(c, call, &complete) != HF_OK) return false;
        end = (struct msg_resolve){
            .key = complete.key,
            .fencing_token = complete.fencing_token,
            .outcome = complete.outcome,
            .code = complete.code,
            .headers = complete.headers,
            .body = complete.body,
        };
        line->op = "complete";
    } else {
        if (recorder_decode_request(c, call, &end) != HF_OK) return false;
        line->op = "resolve";
    }
    static const char *const words[] = {
        [OUTCOME_DONE] = "done", [OUTCOME_FAILED] = "failed", [OUTCOME_RETRYABLE] = "retryable"};
    HF_ASSERT(end.outcome < HF_ARRAY_COUNT(words) && words[end.outcome] != NULL);
    line->key = end.key;
    recorder_number(&line->args, "token", end.fencing_token);
    recorder_text(&line->args, "outcome", words[end.outcome]);
    if (end.outcome != OUTCOME_RETRYABLE)
        recorder_response(&line->args, end.outcome, end.code, end.headers, end.body);
    return true;
}

static bool describe_reopen(struct core *c, const struct call *call, struct recorder_line *line)
{
    struct msg_reopen reopen;
    if (recorder_decode_request(c, call, &reopen) != HF_OK) return false;
    line->op = "reopen";
    line->key = reopen.key;
    recorder_number(&line->args, "token", reopen.fencing_token);
    recorder_text(&line->args, "outcome", reopen.outcome == OUTCOME_DONE ? "done" : "failed");
    return true;
}

static bool describe_check(struct core *c, const struct call *call, struct recorder_line *line)
{
    struct msg_check check;
    if (recorder_decode_request(c, call, &check) != HF_OK) return false;
    line->op = "check";
    line->key = check.name;
    recorder_number(&line->args, "token", check.fencing_token);
    return true;
}

static bool describe_info(struct core *c, const struct call *call, struct recorder_line *line)
{
    struct msg_info info;
    if (recorder_decode_request(c, call, &info) != HF_OK) return false;
    line->op = "query";
    line->key = info.name;
    return true;
}

static bool describe_get(struct core *c, const struct call *call, struct recorder_line *line)
{
    struct msg_record_get get;
    if (recorder_decode_request(c, call, &get) != HF_OK) return false;
    line->op = "get";
    line->key = get.key;
    return true;
}

bool recorder_describe(struct core *c, const struct call *call, struct recorder_line *line)
{
    line->model = "idem";
    switch (call->op->code) {
    case OP_CODE_BEGIN: return describe_begin(c, call, line);
    case OP_CODE_EXTEND: return describe_extend(c, call, line);
    case OP_CODE_CHECKPOINT: return describe_checkpoint(c, call, line);
    case OP_CODE_COMPLETE:
    case OP_CODE_RESOLVE: return describe_end(c, call, line);
    case OP_CODE_REOPEN: return describe_reopen(c, call, line);
    case OP_CODE_RECORD_GET: return describe_get(c, call, line);
    default: line->model = "lock";
    }
    switch (call->op->code) {
    case OP_CODE_ACQUIRE: return describe_acquire(c, call, line);
    case OP_CODE_RELEASE:
    case OP_CODE_DOWNGRADE:
    case OP_CODE_UPGRADE: return describe_change(c, call, line);
    case OP_CODE_CHECK: return describe_check(c, call, line);
    case OP_CODE_INFO: return describe_info(c, call, line);
    default: return false;
    }
}
