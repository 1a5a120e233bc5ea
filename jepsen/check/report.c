#include "jepsen/check/report.h"

#include <inttypes.h>

static const char *kind_name(enum operation_kind kind)
{
    static const char *const names[KIND_COUNT] = {
        [KIND_ACQUIRE] = "acquire",       [KIND_LOCK_RENEW] = "renew", [KIND_RELEASE] = "release",
        [KIND_QUERY] = "query",           [KIND_CHECK] = "check",      [KIND_BEGIN] = "begin",
        [KIND_COMPLETE] = "complete",     [KIND_RENEW] = "renew",      [KIND_ABANDON] = "abandon",
        [KIND_CHECKPOINT] = "checkpoint", [KIND_RESOLVE] = "resolve",  [KIND_GET] = "get",
        [KIND_REOPEN] = "reopen",         [KIND_WRITE] = "write",      [KIND_READ] = "read",
        [KIND_DOWNGRADE] = "downgrade",   [KIND_UPGRADE] = "upgrade"};
    return names[kind];
}

static const char *error_name(enum operation_error error)
{
    static const char *const names[] = {"",          "nothing",  "busy",        "already_held",
                                        "deadlock",  "not_held", "mismatch",    "stale_token",
                                        "conflict",  "unknown",  "key_expired", "seq_old",
                                        "not_found", "bad_state"};
    return names[error];
}

static const char *status_name_of(enum operation_status status)
{
    static const char *const names[] = {"",        "valid",     "stale",       "free",
                                        "started", "takeover",  "in_progress", "completed",
                                        "none",    "retryable", "unknown",     "expired"};
    return names[status];
}

static void say_text(const struct history *h, const char *name, uint32_t text, struct buffer *out)
{
    if (text != 0) model_say(out, " %s \"%.60s\"", name, strings_text(&h->strings, text));
}

static void say_number(const char *name, int64_t number, struct buffer *out)
{
    if (number > 0) model_say(out, " %s %" PRId64, name, number);
}

static void say_outcome(const struct history *h, const struct operation *op, struct buffer *out)
{
    bool asked = op->kind != KIND_ACQUIRE && op->kind != KIND_BEGIN;
    switch ((enum operation_outcome)op->outcome) {
    case RESULT_OK: model_say(out, op->inferred ? " -> unknown, but surely ok" : " -> ok"); break;
    case RESULT_FAIL: model_say(out, " -> %s", error_name((enum operation_error)op->error)); break;
    case RESULT_UNKNOWN: model_say(out, " -> unknown"); break;
    }
    if (op->status != STATUS_ABSENT)
        model_say(out, " %s", status_name_of((enum operation_status)op->status));
    if (op->kind == KIND_QUERY && op->outcome == RESULT_OK)
        model_say(out, op->held ? " held" : " free");
    if (!asked) say_number("token", op->token, out);
    say_number("token", op->shown_token, out);
    if (op->shown_owner != 0) say_text(h, "of", op->shown_owner, out);
    say_number("attempt", op->attempt, out);
    if (op->count >= 0) model_say(out, " count %" PRId64, op->count);
    if (op->kind == KIND_BEGIN || op->kind == KIND_GET) say_text(h, "response", op->response, out);
    if (op->kind == KIND_READ) say_text(h, "value", op->value, out);
}

void report_operation(const struct history *h, const struct operation *op, struct buffer *out)
{
    char call[32], ret[32];
    bool asked = op->kind != KIND_ACQUIRE && op->kind != KIND_BEGIN;
    model_say(out, "  line %" PRIu32 "  %s .. %s  %s: %s", op->line, model_time(op->call_ns, call),
              model_time(op->return_ns, ret), strings_text(&h->strings, op->client),
              kind_name((enum operation_kind)op->kind));
    if (asked) say_number("token", op->token, out);
    if (op->owner != 0 && op->owner != op->client) say_text(h, "as", op->owner, out);
    if (op->mode == HELD_SHARED) model_say(out, " shared");
    if (op->mode == HELD_PERMITS)
        model_say(out, " %" PRId64 " of %" PRId64 " permits", op->permits, op->limit);
    if (op->reentrant) model_say(out, " reentrant");
    if (op->all) model_say(out, " all");
    if (op->if_any) model_say(out, " if_any");
    say_number("ttl_ms", op->ttl_ms, out);
    say_number("number", op->number, out);
    say_number("mark", op->mark, out);
    say_text(h, "fingerprint", op->fingerprint, out);
    if (op->kind == KIND_COMPLETE || op->kind == KIND_RESOLVE || op->kind == KIND_REOPEN) {
        static const char *const ends[] = {"done", "failed", "retryable"};
        model_say(out, " %s", ends[op->end]);
        say_text(h, "response", op->response, out);
    }
    if (op->kind == KIND_WRITE) say_text(h, "value", op->value, out);
    say_outcome(h, op, out);
    model_say(out, "\n");
}

void report_stuck(const struct model *model, const struct key_history *key,
                  const struct search_result *result, size_t tail, struct buffer *out)
{
    const struct operation *stuck = result->stuck;
    size_t count = 0;
    char text[32];
    while (count < key->count && key->operations[count].call_ns <= stuck->return_ns) count++;
    size_t first = count > tail ? count - tail : 0;
    model_say(out,
              "no order of its operations explains what was answered at %s (line %" PRIu32
              "); all that was answered before can be explained\n",
              model_time(stuck->return_ns, text), stuck->line);
    model_say(out, "its operations up to then, by call: %zu", count);
    if (first > 0)
        model_say(out, ", of which the last %zu (and the one without explanation)", tail);
    model_say(out, "\n");
    if (first > 0 && stuck < key->operations + first) report_operation(key->history, stuck, out);
    for (size_t i = first; i < count; i++) report_operation(key->history, &key->operations[i], out);
    model_say(out, "without explanation:\n");
    report_operation(key->history, stuck, out);
    model_say(out, "the order that came furthest ends with: ");
    model->describe(key->history, &result->state, out);
    model_say(out, "\n");
}
