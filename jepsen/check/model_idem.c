/* Idempotency records: one attempt at a time, one completion, and every later answer is its result.
 *
 * As with locks, what time does is put off until an operation shows it: that an attempt's lease is
 * over, that a completed record is no longer kept. Versions 1 and 2 of the format differ in what
 * they allow then; `op->version` says which rule an operation wants (docs/history-format.md). */
#include <inttypes.h>
#include <string.h>

#include "jepsen/check/model.h"

enum phase { NONE, RUNNING, COMPLETED, RETRYABLE, IN_DOUBT, EXPIRED };

/* Ten times its retention a done record is still known to have been. */
enum { TOMBSTONE_FACTOR = 10 };

/* The response of a record that ended as abandoned, "failed 0 -": no string has this number. */
#define ABANDONED UINT32_MAX

struct record {
    int64_t token;      /* of the attempt; negative: not known, at least its magnitude; 0 = none */
    int64_t last_token; /* the greatest so far */
    int64_t until_ns;   /* the attempt's lease's earliest end */
    int64_t ended_ns;   /* COMPLETED, RETRYABLE, EXPIRED: when at the earliest */
    int64_t retain_ms;  /* 0 = for ever */
    int64_t number;     /* of the last checkpoint */
    int64_t attempt;    /* 0 = not known */
    uint32_t owner;     /* string; 0 = not told */
    uint32_t fingerprint; /* string */
    uint32_t response;    /* string, or ABANDONED */
    uint8_t phase;        /* enum phase */
    uint8_t policy;       /* enum operation_policy */
    uint8_t mark;         /* open */
    uint8_t marked;       /* it ever was */
    uint8_t own;          /* ended by its own complete */
    uint8_t failed;       /* COMPLETED, EXPIRED: not done */
    uint8_t numbers_new;  /* checkpoints may have begun anew: nobody saw whether it was EXPIRED */
    uint8_t zero[5];      /* equal states are equal bytes */
};

_Static_assert(sizeof(struct record) == 80, "no padding");

static struct record *look(const struct model_state *state)
{
    HF_ASSERT(state->size == sizeof(struct record));
    return (struct record *)(void *)(uintptr_t)state->bytes;
}

static void start(struct model_state *state)
{
    state->size = sizeof(struct record);
    *look(state) = (struct record){0};
}

/* ------------------------------------------------------------------ what time does */

static bool lease_is_over(const struct record *r, const struct model_step *step)
{
    return r->phase == RUNNING && step->now_ns >= r->until_ns;
}

/* docs/contract.md, 6: an open mark of an effect that must not be repeated decides first. */
static enum phase phase_after_lease(const struct record *r)
{
    if (r->mark == MARK_NOT_REPEATABLE || r->policy == POLICY_MANUAL) return IN_DOUBT;
    if (r->policy == POLICY_AUTO) return RUNNING;
    return r->marked ? IN_DOUBT : COMPLETED;
}

static void end_lease(struct record *r, int64_t at_ns)
{
    enum phase next = phase_after_lease(r);
    if (r->until_ns > at_ns) r->until_ns = at_ns;
    if (next == COMPLETED) {
        r->response = ABANDONED;
        r->failed = 1;
        r->ended_ns = r->until_ns;
        r->own = 0;
    }
    r->phase = (uint8_t)next;
}

/* The lease is over, and that made something of the record: `wanted`. */
static bool lapse_to(struct record *r, enum phase wanted, const struct model_step *step)
{
    if (r->phase == wanted) return true;
    if (!lease_is_over(r, step) || phase_after_lease(r) != wanted) return false;
    end_lease(r, r->until_ns);
    return true;
}

static bool has_passed(const struct record *r, int64_t factor, int64_t from_ns,
                       const struct model_step *step)
{
    if (r->retain_ms == 0) return false;
    return step->now_ns >= history_until(step->clock, from_ns, r->retain_ms * factor);
}

static void forget(struct record *r)
{
    *r = (struct record){.last_token = r->last_token};
}

/* May the key be as new, by the rules of this version? Then it is. */
static bool be_new(struct record *r, int version, const struct model_step *step)
{
    bool gone = r->phase == NONE;
    if (version >= 2) lapse_to(r, COMPLETED, step);
    switch ((enum phase)r->phase) {
    case COMPLETED:
    case EXPIRED:
        gone = has_passed(r, version == 1 ? 1 : 1 + TOMBSTONE_FACTOR, r->ended_ns, step);
        break;
    case RETRYABLE: gone = version == 1 || has_passed(r, 1, r->ended_ns, step); break;
    case RUNNING:
        gone = lease_is_over(r, step);
        if (version >= 2)
            gone = gone && phase_after_lease(r) == RUNNING && !r->marked &&
                   has_passed(r, 1, r->until_ns, step);
        break;
    case NONE:
    case IN_DOUBT: break;
    }
    if (gone) forget(r);
    return gone;
}

static bool be_expired(struct record *r, const struct model_step *step)
{
    if (r->phase == EXPIRED) return true;
    if (!lapse_to(r, COMPLETED, step) || !has_passed(r, 1, r->ended_ns, step)) return false;
    r->phase = EXPIRED;
    r->response = 0;
    return true;
}

/* ------------------------------------------------------------------ helpers */

/* Is the token that of the attempt? One that was not known is, from now on, if it can be. */
static bool is_token(struct record *r, int64_t token)
{
    if (r->token == token) return token != 0;
    if (r->token >= 0 || token < -r->token) return false;
    r->token = token;
    if (token > r->last_token) r->last_token = token;
    return true;
}

static bool is_attempt(struct record *r, const struct operation *op)
{
    if (op->attempt == 0 || r->attempt == op->attempt) return true;
    if (r->attempt != 0) return false;
    r->attempt = op->attempt;
    return true;
}

static enum model_verdict fits(bool it_does)
{
    return it_does ? STEP_YES : STEP_NO;
}

/* The attempt runs under this token. */
static bool runs(struct record *r, int64_t token)
{
    return r->phase == RUNNING && is_token(r, token);
}

/* The token is surely, or may be, not that of the record's attempt. */
static bool is_other(const struct record *r, int64_t token)
{
    return r->phase == NONE || r->phase == EXPIRED || r->token != token;
}

/* The record is no longer kept. */
static bool is_gone(struct record *r, const struct operation *op, const struct model_step *step)
{
    return (op->version >= 2 && be_expired(r, step)) || be_new(r, op->version, step);
}

/* ------------------------------------------------------------------ begin */

static void start_attempt(struct record *r, const struct operation *op, int64_t attempt)
{
    bool known = op->outcome == RESULT_OK;
    r->phase = RUNNING;
    r->last_token = known ? op->token : r->last_token + 1;
    r->token = known ? op->token : -r->last_token;
    r->until_ns = op->lease_until_ns;
    r->ended_ns = 0;
    r->attempt = attempt;
    r->owner = op->owner;
    r->response = 0;
    r->own = 0;
    r->failed = 0;
}

static void start_record(struct record *r, const struct operation *op, int64_t attempt)
{
    forget(r);
    r->fingerprint = op->fingerprint;
    r->policy = op->policy;
    r->retain_ms = op->version >= 2 ? op->retain_ms : 0;
    start_attempt(r, op, attempt);
}

static int64_t next_attempt(const struct record *r)
{
    return r->attempt != 0 ? r->attempt + 1 : 0;
}

/* An attempt at a record that was there: the last one ended so that the next may begin. */
static bool go_on(struct record *r, const struct operation *op, bool takeover,
                  const struct model_step *step)
{
    if (r->fingerprint != op->fingerprint) return false;
    bool may = r->phase == RETRYABLE && !takeover;
    if (op->version == 1) may = may || lease_is_over(r, step);
    if (takeover) may = lease_is_over(r, step) && phase_after_lease(r) == RUNNING;
    if (!may) return false;
    int64_t attempt = next_attempt(r);
    if (op->attempt != 0 && attempt != 0 && op->attempt != attempt) return false;
    start_attempt(r, op, op->attempt != 0 ? op->attempt : attempt);
    return true;
}

static enum model_verdict started(struct record *r, const struct operation *op,
                                  const struct model_step *step)
{
    if (op->token <= r->last_token) return STEP_NO;
    bool takeover = op->status == STATUS_TAKEOVER;
    if (go_on(r, op, takeover, step)) return STEP_YES;
    if (takeover || op->attempt > 1 || !be_new(r, op->version, step)) return STEP_NO;
    start_record(r, op, 1);
    return STEP_YES;
}

/* Nobody heard what it was answered: what it did if it began an attempt, at a record that was there
 * or, the other variant, at a key that was as new. */
static enum model_verdict started_unheard(struct record *r, const struct operation *op,
                                          const struct model_step *step)
{
    if (step->variant == 0)
        return fits(r->phase != NONE &&
                    (go_on(r, op, false, step) || (op->version >= 2 && go_on(r, op, true, step))));
    if (!be_new(r, op->version, step)) return STEP_NO;
    start_record(r, op, 1);
    return STEP_YES;
}

/* A response that a record has, or had it ended as abandoned. */
static bool is_response(const struct record *r, const struct operation *op)
{
    if (r->response == ABANDONED) return op->abandoned;
    return r->response == op->response;
}

static enum model_verdict refused_begin(struct record *r, const struct operation *op,
                                        const struct model_step *step)
{
    if (op->error == ERROR_MISMATCH)
        return fits(r->phase != NONE && r->fingerprint != op->fingerprint);
    if (r->phase == NONE || r->fingerprint != op->fingerprint) return STEP_NO;
    if (op->error == ERROR_KEY_EXPIRED) return fits(be_expired(r, step));
    HF_ASSERT(op->error == ERROR_RECORD_UNKNOWN);
    return fits(lapse_to(r, IN_DOUBT, step) &&
                (op->shown_token == 0 || is_token(r, op->shown_token)));
}

static enum model_verdict begin(struct record *r, const struct operation *op,
                                const struct model_step *step)
{
    if (op->outcome == RESULT_UNKNOWN) return started_unheard(r, op, step);
    if (op->outcome == RESULT_FAIL) return refused_begin(r, op, step);
    if (op->status == STATUS_STARTED || op->status == STATUS_TAKEOVER) return started(r, op, step);
    if (r->phase == NONE || r->fingerprint != op->fingerprint || !is_attempt(r, op)) return STEP_NO;
    if (op->status == STATUS_COMPLETED)
        return fits(lapse_to(r, COMPLETED, step) && is_response(r, op));
    bool owner_fits = op->shown_owner == 0 || r->owner == 0 || r->owner == op->shown_owner;
    bool waits = op->version >= 2 && r->phase == RETRYABLE; /* for those who waited before */
    return fits((r->phase == RUNNING && owner_fits) || waits);
}

/* ------------------------------------------------------------------ under the attempt's token */

static void take_result(struct record *r, const struct operation *op, bool own)
{
    r->phase = op->end == END_AS_RETRYABLE ? RETRYABLE : COMPLETED;
    r->response = op->response;
    r->ended_ns = op->call_ns;
    r->mark = 0;
    r->own = own;
    r->failed = op->end == END_AS_FAILED;
    if (op->version == 1) r->retain_ms = op->retain_ms;
}

/* A completion is refused as stale. */
static bool is_too_late(struct record *r, const struct operation *op, const struct model_step *step)
{
    bool ended = r->phase == COMPLETED || r->phase == RETRYABLE;
    if (is_other(r, op->token) || (ended && !r->own)) return true;
    if (r->phase == RUNNING && op->version == 1) return lease_is_over(r, step);
    return (!ended && lapse_to(r, COMPLETED, step)) || is_gone(r, op, step);
}

static enum model_verdict complete(struct record *r, const struct operation *op,
                                   const struct model_step *step)
{
    bool ended = (r->phase == COMPLETED || r->phase == RETRYABLE) && is_token(r, op->token);
    bool same = r->response == op->response;
    if (op->outcome == RESULT_FAIL && op->error == ERROR_CONFLICT)
        return fits(ended && r->own && (!same || r->phase == RETRYABLE));
    if (op->outcome == RESULT_FAIL) return fits(is_too_late(r, op, step));
    if ((r->phase == RUNNING || r->phase == IN_DOUBT) && is_token(r, op->token)) {
        take_result(r, op, true);
        return STEP_YES;
    }
    return fits(op->outcome == RESULT_OK && ended && r->own && same);
}

/* What RENEW, ABANDON and CHECKPOINT are refused with. */
static enum model_verdict refused(struct record *r, const struct operation *op,
                                  const struct model_step *step)
{
    if (is_other(r, op->token) || r->phase != RUNNING) return STEP_YES;
    if (op->version == 1) return fits(lease_is_over(r, step));
    return fits(lapse_to(r, IN_DOUBT, step) || lapse_to(r, COMPLETED, step) ||
                is_gone(r, op, step));
}

static enum model_verdict renew(struct record *r, const struct operation *op,
                                const struct model_step *step)
{
    if (op->outcome == RESULT_FAIL) return refused(r, op, step);
    if (!runs(r, op->token)) return STEP_NO;
    if (op->lease_until_ns > r->until_ns) r->until_ns = op->lease_until_ns;
    return STEP_YES;
}

static enum model_verdict abandon(struct record *r, const struct operation *op,
                                  const struct model_step *step)
{
    if (op->outcome == RESULT_FAIL) return refused(r, op, step);
    if (!runs(r, op->token)) return fits(op->outcome == RESULT_OK && op->if_any);
    end_lease(r, op->call_ns);
    return STEP_YES;
}

static enum model_verdict checkpoint(struct record *r, const struct operation *op,
                                     const struct model_step *step)
{
    bool old = op->number <= r->number;
    if (op->error == ERROR_SEQ_OLD) return fits(runs(r, op->token) && old);
    if (op->outcome == RESULT_FAIL) return refused(r, op, step);
    if (!runs(r, op->token) || (old && !r->numbers_new)) return STEP_NO;
    r->number = op->number;
    r->numbers_new = 0;
    if (r->mark != MARK_NOT_REPEATABLE || op->mark == 0) r->mark = op->mark;
    if (r->mark != 0) r->marked = 1;
    return STEP_YES;
}

static enum model_verdict resolve(struct record *r, const struct operation *op,
                                  const struct model_step *step)
{
    if (op->error == ERROR_NOT_FOUND) return fits(r->phase == NONE || is_gone(r, op, step));
    if (op->outcome == RESULT_FAIL)
        return fits(r->phase != NONE && (r->phase != IN_DOUBT || is_other(r, op->token)));
    if (!lapse_to(r, IN_DOUBT, step) || !is_token(r, op->token)) return STEP_NO;
    take_result(r, op, false);
    return STEP_YES;
}

/* It has failed under this token, and somebody saw that. */
static bool has_failed(struct record *r, const struct operation *op)
{
    bool ended = r->phase == COMPLETED || r->phase == EXPIRED;
    return ended && r->failed && op->end == END_AS_FAILED && is_token(r, op->token);
}

/* What has failed may run again, also when only its tombstone is left. */
static enum model_verdict reopen(struct record *r, const struct operation *op,
                                 const struct model_step *step)
{
    struct record found = *r; /* a refusal changes nothing */
    if (op->error == ERROR_NOT_FOUND) return fits(r->phase == NONE || is_gone(r, op, step));
    if (op->error == ERROR_STALE_TOKEN) return fits(r->phase != NONE && r->token != op->token);
    if (op->error == ERROR_BAD_STATE) return fits(r->phase != NONE && !has_failed(&found, op));
    if (r->phase == RUNNING) lapse_to(r, COMPLETED, step);
    if (!has_failed(r, op)) return STEP_NO;
    if (r->phase == EXPIRED || has_passed(r, 1, r->ended_ns, step)) r->numbers_new = 1;
    r->phase = RETRYABLE;
    r->response = 0;
    r->ended_ns = op->call_ns;
    r->own = r->failed = 0;
    return STEP_YES;
}

/* ------------------------------------------------------------------ looking */

static enum model_verdict get(struct record *r, const struct operation *op,
                              const struct model_step *step)
{
    bool there = false;
    switch ((enum operation_status)op->status) {
    case STATUS_NONE: return fits(r->phase == NONE || be_new(r, op->version, step));
    case STATUS_EXPIRED: return fits(be_expired(r, step));
    case STATUS_IN_PROGRESS: there = r->phase == RUNNING; break;
    case STATUS_RETRYABLE: there = r->phase == RETRYABLE; break;
    case STATUS_UNKNOWN: there = lapse_to(r, IN_DOUBT, step); break;
    case STATUS_COMPLETED:
        there = lapse_to(r, COMPLETED, step) && (op->response == 0 || is_response(r, op));
        break;
    default: HF_UNREACHABLE();
    }
    return fits(there && (op->shown_token == 0 || is_token(r, op->shown_token)));
}

static enum model_verdict take(struct model_state *state, const struct operation *op,
                               const struct model_step *step)
{
    struct record *r = look(state);
    if (step->variant != 0 && op->kind != KIND_BEGIN) return STEP_NO;
    switch ((enum operation_kind)op->kind) {
    case KIND_BEGIN: return begin(r, op, step);
    case KIND_COMPLETE: return complete(r, op, step);
    case KIND_RENEW: return renew(r, op, step);
    case KIND_ABANDON: return abandon(r, op, step);
    case KIND_CHECKPOINT: return checkpoint(r, op, step);
    case KIND_RESOLVE: return resolve(r, op, step);
    case KIND_REOPEN: return reopen(r, op, step);
    case KIND_GET: return get(r, op, step);
    default: HF_UNREACHABLE();
    }
}

static bool is_over(const struct model_state *state, const struct operation *op)
{
    const struct record *r = look(state);
    if (op->kind == KIND_BEGIN || r->token < 0) return false;
    return op->token != r->token && op->token <= r->last_token;
}

static int64_t rank_of(const struct operation *op)
{
    return op->kind == KIND_BEGIN && op->outcome == RESULT_OK ? op->token : 0;
}

/* Reads of unknown outcome, and renewals: they could only forbid a lapse. */
static void leave_out(struct operation *operations, size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        const struct operation *op = &operations[i];
        bool blank = op->kind == KIND_GET || op->kind == KIND_RENEW;
        if (op->outcome != RESULT_UNKNOWN || !blank) operations[kept++] = *op;
    }
    *count = kept;
}

/* ------------------------------------------------------------------ what is surely wrong */

static bool tells_result(const struct operation *op)
{
    if (op->outcome != RESULT_OK || op->response == 0) return false;
    return op->kind == KIND_BEGIN || op->kind == KIND_GET || op->kind == KIND_COMPLETE ||
           op->kind == KIND_RESOLVE;
}

/* Can a record have been forgotten in the time that this history tells of, or run again? */
static bool may_be_forgotten(const struct key_history *key)
{
    int64_t last_ns = 0, kept_ns = OPERATION_NEVER;
    for (size_t i = 0; i < key->count; i++) {
        const struct operation *op = &key->operations[i];
        if (op->outcome != RESULT_UNKNOWN && op->return_ns > last_ns) last_ns = op->return_ns;
        if (op->kind == KIND_REOPEN && op->outcome != RESULT_FAIL) return true;
        if (op->retain_ms == 0) continue;
        int64_t until_ns = history_until(&key->history->clock, op->call_ns, op->retain_ms);
        if (until_ns < kept_ns) kept_ns = until_ns;
    }
    return kept_ns <= last_ns;
}

/* Without an end of retention, or a reopening, one response and one completing token. */
static bool one_result(const struct key_history *key, struct buffer *complaint)
{
    const struct operation *result = NULL, *completion = NULL;
    const char *text;
    if (may_be_forgotten(key)) return true;
    for (size_t i = 0; i < key->count; i++) {
        const struct operation *op = &key->operations[i];
        if (!tells_result(op)) continue;
        if (result == NULL) result = op;
        if (op->response != result->response) {
            text = strings_text(&key->history->strings, result->response);
            model_say(complaint, "line %" PRIu32 " has the response \"%s\", ", result->line, text);
            text = strings_text(&key->history->strings, op->response);
            model_say(complaint, "and line %" PRIu32 " \"%s\"", op->line, text);
            return false;
        }
        if (op->kind != KIND_COMPLETE) continue;
        if (completion == NULL) completion = op;
        if (op->token == completion->token) continue;
        model_say(complaint,
                  "completed under token %" PRId64 " (line %" PRIu32 ") and under token %" PRId64
                  " (line %" PRIu32 ")",
                  completion->token, completion->line, op->token, op->line);
        return false;
    }
    return true;
}

static void tell(const struct history *h, const struct model_state *state, struct buffer *out)
{
    static const char *const phases[] = {"as new",    "running", "completed",
                                         "retryable", "unknown", "expired"};
    const struct record *r = look(state);
    char text[32];
    model_say(out, "%s", phases[r->phase]);
    if (r->token > 0) model_say(out, ", token %" PRId64, r->token);
    if (r->token < 0) model_say(out, ", token not known");
    if (r->attempt > 0) model_say(out, ", attempt %" PRId64, r->attempt);
    if (r->phase == RUNNING)
        model_say(out, ", lease until %s at least", model_time(r->until_ns, text));
    if (r->mark != 0) model_say(out, ", mark %u open", (unsigned)r->mark);
    if (r->response == ABANDONED)
        model_say(out, ", abandoned");
    else if (r->response != 0)
        model_say(out, ", response \"%s\"", strings_text(&h->strings, r->response));
    model_say(out, "; greatest token %" PRId64, r->last_token);
}

/* Of a lapsed attempt it changes nothing; of one that was renewed behind it, it does. */
static bool gives_back(const struct operation *op)
{
    return op->kind == KIND_ABANDON;
}

const struct model model_idem = {
    .name = "idem",
    .init = start,
    .step = take,
    .is_dead = is_over,
    .may_wait = gives_back,
    .rank = rank_of,
    .prepare = leave_out,
    .quick = one_result,
    .describe = tell,
};
