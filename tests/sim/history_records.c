/* What answers about records mean, in log order (contract, 6 and 13): a record is completed once
 * and under its current attempt, nobody begins what somebody runs, what was DONE is not run again
 * while its record or its tombstone stands, which is worked out from the log alone; another request
 * gets neither, REOPEN opens nothing but a failure, and what was erased is not shown.
 *
 * Of an attempt whose lease is over only answers are seen here: whether it lapsed, became UNKNOWN
 * or FAILED shows with the next BEGIN. */
#include <inttypes.h>
#include <stdio.h>

#include "base/status.h"
#include "protocol/messages.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"

static uint64_t now_ms(const struct history *h)
{
    return machine_time_ms(h->machine);
}

/* ------------------------------------------------------------------ what time does */

static void sweep_record(struct history *h, uint32_t key, uint64_t at_ms)
{
    struct history_record *r = &h->records[key];
    bool ended = r->state == RECORD_DONE || r->state == RECORD_FAILED;
    uint64_t until_ms = r->changed_ms + r->retain_ms;
    if (ended && until_ms <= at_ms) {
        r->outcome = r->state;
        history_events_owe_record(h, key, r->token, RECORD_TOMBSTONE);
        r->state = RECORD_TOMBSTONE;
        r->changed_ms = at_ms;
        r->gone_ms = at_ms + r->retain_ms * h->settings[SETTING_TOMBSTONE_FACTOR];
    } else if ((r->state == RECORD_RETRYABLE && until_ms <= at_ms) ||
               (r->state == RECORD_TOMBSTONE && r->gone_ms <= at_ms)) {
        history_events_owe_record(h, key, r->token, RECORD_ABSENT);
        r->state = RECORD_ABSENT;
    }
}

void history_records_sweep(struct history *h, uint64_t at_ms)
{
    for (uint32_t i = 0; i < HF_ARRAY_COUNT(h->records); i++) {
        if (h->records[i].state != RECORD_ABSENT) sweep_record(h, i, at_ms);
    }
}

/* Of an attempt: its own lease, or its session's. */
static bool is_lease_over(const struct history *h, const struct history_token *t)
{
    if (t->abandoned) return true;
    return t->until_ms != 0 ? t->until_ms <= now_ms(h) : !history_session_is_alive(h, t->session);
}

/* An attempt that lapsed, or was FAILED by its policy, and of which nobody asked since, may have
 * gone: at its retention's end, which counts from its lease's. */
static bool may_be_gone(const struct history *h, const struct history_record *r)
{
    return r->state == RECORD_RUNNING && now_ms(h) - r->changed_ms >= r->retain_ms &&
           is_lease_over(h, history_token(h, r->token));
}

/* By its policy, with its lease. */
static bool may_be_failed(const struct history *h, const struct history_record *r)
{
    return r->state == RECORD_RUNNING && r->takeover == TAKEOVER_NEVER &&
           is_lease_over(h, history_token(h, r->token));
}

/* ------------------------------------------------------------------ BEGIN */

/* The attempt before this one has to be over. */
static void check_takeover(struct history *h, const struct history_record *r, uint32_t key,
                           uint64_t token)
{
    const struct history_token *before = history_token(h, r->token);
    if (r->state != RECORD_RUNNING || before == NULL)
        sim_fail("record-%u: taken over by %" PRIu64 ", though nobody runs it", key, token);
    if (!is_lease_over(h, before))
        sim_fail("record-%u: taken over from %" PRIu64 " before its lease was over", key, r->token);
    h->takeover_count++;
}

static void check_erased(const struct history_record *r, uint32_t key,
                         const struct msg_begin_reply *begun)
{
    bool says_so = begun->referent == REFERENT_GONE && begun->body_kind == BODY_ERASED;
    if (r->erased && (!says_so || begun->headers.size + begun->body.size > 0))
        sim_fail("record-%u: its result was erased, and is replayed: %zu bytes, kind %" PRIu64, key,
                 begun->body.size, begun->body_kind);
    if (!r->erased && (begun->referent != REFERENT_WHOLE || begun->body_kind != BODY_WHOLE))
        sim_fail("record-%u: its result is replayed as gone, kind %" PRIu64
                 ", and nobody erased it",
                 key, begun->body_kind);
}

static void replayed(const struct history *h, const struct history_record *r, uint32_t key,
                     const struct msg_begin_reply *begun)
{
    check_erased(r, key, begun);
    if (begun->outcome == OUTCOME_FAILED && begun->code == 0 && may_be_failed(h, r)) return;
    if (r->state != RECORD_DONE && r->state != RECORD_FAILED)
        sim_fail("record-%u: a result is replayed, and there is none", key);
    uint64_t hash = hash64(begun->headers.size, begun->body.data, begun->body.size);
    if (begun->outcome != r->state || begun->code != r->code ||
        (!r->erased && hash != r->body_hash))
        sim_fail("record-%u: another result is replayed than it was completed with", key);
}

/* A new attempt. One that makes the record says how long it is kept, and what becomes of attempts
 * that are lost. */
static void start(struct history *h, struct history_answer *a, const struct msg_begin_reply *begun)
{
    struct history_record *r = &h->records[a->thing];
    bool gone = may_be_gone(h, r);
    bool taken = begun->verdict == BEGIN_TAKEOVER;
    if (taken) check_takeover(h, r, a->thing, a->token);
    if (!taken && r->state != RECORD_ABSENT && r->state != RECORD_RETRYABLE && !gone)
        sim_fail("record-%u: started, though attempt %" PRIu64 " was begun and is in state %u",
                 a->thing, r->token, r->state);
    if (a->token <= r->token)
        sim_fail("record-%u: token %" PRIu64 " after %" PRIu64, a->thing, a->token, r->token);
    bool fresh = !taken && r->state != RECORD_RETRYABLE;
    if (begun->attempt != (fresh ? 1 : r->attempt + 1))
        sim_fail("record-%u: attempt %" PRIu64 " comes after attempt %" PRIu64, a->thing,
                 begun->attempt, r->attempt);
    struct history_token what = {.session = a->session, .thing = a->thing, .attempt = true};
    what.until_ms = a->hash != 0 ? now_ms(h) + a->hash : 0; /* see remember_request() */
    history_add_token(h, a->token, &what);
    *r = (struct history_record){
        .token = a->token,
        .attempt = begun->attempt,
        .changed_ms = now_ms(h),
        .print = a->print,
        .retain_ms = fresh ? a->retain_ms : r->retain_ms,
        .takeover = fresh ? a->takeover : r->takeover,
        .state = RECORD_RUNNING,
    };
    history_events_owe_record(h, a->thing, a->token, RECORD_RUNNING);
}

/* Which refusals may a BEGIN get, and may it get none? Another request gets neither this one's
 * result nor its place, also of a tombstone; and an attempt whose lease is not over is not given
 * up. */
static bool may_answer(const struct history *h, const struct history_record *r, bool same,
                       int status)
{
    bool done = status == HF_OK; /* started, taken over or replayed: start() and replayed() look */
    switch ((enum record_state)r->state) {
    case RECORD_ABSENT: return done;
    case RECORD_TOMBSTONE: return status == (same ? HF_EKEYEXPIRED : HF_EMISMATCH);
    case RECORD_DONE:
    case RECORD_FAILED:
    case RECORD_RETRYABLE: return same ? done : status == HF_EMISMATCH;
    case RECORD_RUNNING:
    case RECORD_UNKNOWN: break;
    }
    if (may_be_gone(h, r)) return status != HF_EKEYEXPIRED || r->takeover == TAKEOVER_NEVER;
    if (!same) return status == HF_EMISMATCH;
    if (status == HF_ERECORDUNKNOWN) return is_lease_over(h, history_token(h, r->token));
    return done || status == HF_ERUNNING;
}

static bool is_frozen(const struct history *h, uint32_t record)
{
    char key[HISTORY_PREFIX_BYTES];
    (void)snprintf(key, sizeof key, "record-%u", record);
    return history_is_frozen(h, slice_of(key));
}

/* Under a frozen prefix nothing begins and nobody is told a result, but whose wait is over: who has
 * waited is told what there is by then.
 * \param begins  an attempt begins. */
static void look_at_frozen(const struct history *h, const struct history_answer *a, int status,
                           bool waited, bool begins)
{
    bool frozen = is_frozen(h, a->thing);
    bool told = status == HF_OK || status == HF_ERECORDUNKNOWN || status == HF_EKEYEXPIRED ||
                status == HF_ERUNNING;
    bool wrong = frozen ? begins || (told && !waited) : status == HF_EFROZEN;
    if (wrong || (status == HF_EFROZEN && waited))
        sim_fail("record-%u: BEGIN is answered %s, %s, and its prefix is %s", a->thing,
                 status_name(status), waited ? "after a wait" : "at once",
                 frozen ? "frozen" : "not frozen");
}

/* \param waited  it was parked before. */
static void began(struct history *h, struct history_answer *a, const struct machine_reply *reply,
                  bool waited)
{
    const struct history_record *r = &h->records[a->thing];
    int status = reply != NULL ? reply->status : HF_ERUNNING;
    look_at_frozen(h, a, status, waited, false);
    bool other = status != HF_OK && status != HF_ERUNNING && status != HF_ERECORDUNKNOWN &&
                 status != HF_EMISMATCH && status != HF_EKEYEXPIRED;
    if (other) return; /* its session, a quota, a wait that was cancelled */
    if (waited && status == HF_ERUNNING && is_frozen(h, a->thing)) return; /* whatever it is */
    bool same = a->print == r->print;
    if (!may_answer(h, r, same, status))
        sim_fail("record-%u: BEGIN of %s request is answered %s, in state %u of attempt %" PRIu64,
                 a->thing, same ? "the same" : "another", status_name(status), r->state, r->token);
    if (status == HF_ERECORDUNKNOWN) history_events_owe_ever(h, EVENT_UNKNOWN, r->token);
    if (status != HF_OK) return;
    struct msg_begin_reply begun;
    history_decode(h, &msg_begin_reply_type, reply->body, &begun);
    a->token = begun.fencing_token;
    if (begun.verdict == BEGIN_REPLAY) {
        a->token = 0;
        replayed(h, r, a->thing, &begun);
    } else {
        look_at_frozen(h, a, status, waited, true);
        start(h, a, &begun);
    }
}

/* ------------------------------------------------------------------ COMPLETE, RESOLVE */

static void end(struct history *h, struct history_record *r, const struct msg_complete *complete)
{
    r->state = (uint8_t)complete->outcome;
    r->code = complete->code;
    r->body_hash = hash64(complete->headers.size, complete->body.data, complete->body.size);
    r->changed_ms = now_ms(h);
}

static void completed(struct history *h, struct history_answer *a, struct slice request)
{
    struct msg_complete complete;
    history_decode(h, &msg_complete_type, request, &complete);
    struct history_record *r = &h->records[a->thing];
    uint64_t hash = hash64(complete.headers.size, complete.body.data, complete.body.size);
    a->token = complete.fencing_token;
    if (r->token != a->token)
        sim_fail("record-%u: completed by %" PRIu64 ", the attempt is %" PRIu64, a->thing, a->token,
                 r->token);
    bool again = r->state == complete.outcome && r->code == complete.code && r->body_hash == hash &&
                 !r->decided;
    if (r->state != RECORD_RUNNING && !again)
        sim_fail("record-%u: completed a second time, in state %u", a->thing, r->state);
    if (again) return;
    end(h, r, &complete);
    history_events_owe_record(h, a->thing, a->token, (enum record_state)r->state);
    h->completed_count++;
}

static void resolved(struct history *h, struct history_answer *a, struct slice request)
{
    struct msg_resolve resolve;
    history_decode(h, &msg_resolve_type, request, &resolve);
    struct history_record *r = &h->records[a->thing];
    a->token = resolve.fencing_token;
    if (r->token != a->token || r->state != RECORD_RUNNING)
        sim_fail("record-%u: resolved under %" PRIu64 ", the attempt is %" PRIu64 " in state %u",
                 a->thing, a->token, r->token, r->state);
    struct msg_complete result = {.outcome = resolve.outcome,
                                  .code = resolve.code,
                                  .headers = resolve.headers,
                                  .body = resolve.body};
    end(h, r, &result);
    history_events_owe_record(h, a->thing, a->token, (enum record_state)r->state);
    history_events_owe_act(h, OP_CODE_RESOLVE);
    r->decided = true;
}

/* ------------------------------------------------------------------ REOPEN, ERASE */

/* What REOPEN must be told; HF_ERUNNING: that is not known here. */
static int right_reopen(const struct history_record *r, const struct msg_reopen *reopen)
{
    uint64_t outcome = r->state == RECORD_TOMBSTONE ? r->outcome : r->state;
    if (r->state == RECORD_ABSENT) return HF_ENOTFOUND;
    if (r->state == RECORD_RUNNING) return HF_ERUNNING;
    if (r->token != reopen->fencing_token) return HF_ESTALE;
    bool failed = outcome == RECORD_FAILED && reopen->outcome == OUTCOME_FAILED;
    return failed ? HF_OK : HF_EBADSTATE;
}

static void reopened(struct history *h, struct history_answer *a, struct slice request, int status)
{
    struct msg_reopen reopen;
    history_decode(h, &msg_reopen_type, request, &reopen);
    a->thing = history_thing(reopen.key);
    struct history_record *r = &h->records[a->thing];
    bool refused = status == HF_ENOTFOUND || status == HF_ESTALE || status == HF_EBADSTATE;
    if (status != HF_OK && !refused) return; /* its session */
    int right = right_reopen(r, &reopen);
    bool fits = status == right;
    if (right == HF_ERUNNING)
        fits = refused || (r->token == reopen.fencing_token && may_be_failed(h, r));
    if (!fits)
        sim_fail("record-%u: REOPEN of attempt %" PRIu64 " is answered %s, in state %u of attempt "
                 "%" PRIu64,
                 a->thing, reopen.fencing_token, status_name(status), r->state, r->token);
    if (status != HF_OK) return;
    r->state = RECORD_RETRYABLE;
    r->changed_ms = now_ms(h);
    r->decided = true; /* what the attempt completed stands no longer */
    history_events_owe_record(h, a->thing, r->token, RECORD_RETRYABLE);
    history_events_owe_act(h, OP_CODE_REOPEN);
    h->reopened_count++;
}

static void erased(struct history *h, struct history_answer *a, struct slice request, int status)
{
    struct msg_erase erase;
    history_decode(h, &msg_erase_type, request, &erase);
    a->thing = history_thing(erase.key);
    struct history_record *r = &h->records[a->thing];
    if (status != HF_OK && status != HF_ENOTFOUND && status != HF_EBADSTATE) return;
    bool fits = true;
    switch ((enum record_state)r->state) {
    case RECORD_ABSENT: fits = status == HF_ENOTFOUND; break;
    case RECORD_DONE:
    case RECORD_FAILED:
    case RECORD_TOMBSTONE: fits = status == HF_OK; break;
    case RECORD_RETRYABLE: fits = status == HF_EBADSTATE; break;
    case RECORD_RUNNING:
    case RECORD_UNKNOWN:
        fits = status == HF_EBADSTATE || (status == HF_ENOTFOUND && may_be_gone(h, r)) ||
               (status == HF_OK && may_be_failed(h, r));
        break;
    }
    if (!fits)
        sim_fail("record-%u: ERASE is answered %s, in state %u of attempt %" PRIu64, a->thing,
                 status_name(status), r->state, r->token);
    if (status != HF_OK) return;
    if (!r->erased && r->state != RECORD_TOMBSTONE) history_events_owe_act(h, OP_CODE_ERASE);
    r->erased = true;
    h->erased_count++;
}

/* ------------------------------------------------------------------ all */

/* Refused, as another attempt was begun since: then it is evidence. */
static void came_late(struct history *h, const struct history_answer *a, struct slice request)
{
    struct msg_complete complete;
    history_decode(h, &msg_complete_type, request, &complete);
    const struct history_token *what = history_token(h, complete.fencing_token);
    bool known = what != NULL && what->attempt && what->thing == a->thing;
    if (known && complete.fencing_token < h->records[a->thing].token)
        history_events_owe_ever(h, EVENT_LATE_COMPLETION, complete.fencing_token);
}

void history_record_answered(struct history *h, struct history_answer *a, struct slice request,
                             const struct machine_reply *reply)
{
    int status = reply != NULL ? reply->status : HF_OK;
    HF_ASSERT(a->thing < SIM_RECORDS_MAX);
    switch (a->op) {
    case OP_CODE_BEGIN: began(h, a, reply, request.size == 0); break;
    case OP_CODE_COMPLETE:
        if (status == HF_OK) completed(h, a, request);
        if (status == HF_ESTALE) came_late(h, a, request);
        break;
    case OP_CODE_RESOLVE:
        if (status == HF_OK) resolved(h, a, request);
        break;
    case OP_CODE_REOPEN: reopened(h, a, request, status); break;
    case OP_CODE_ERASE: erased(h, a, request, status); break;
    default: break;
    }
}
