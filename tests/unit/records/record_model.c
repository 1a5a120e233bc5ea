/* The contract's section 6 in as few lines as it takes. Happy path: an op looks at its record,
 * changes it, and serves whoever waits. There are no failure modes: what a client may do wrong is
 * an answer. */
#include "tests/unit/records/record_model.h"

#include <string.h>

#include "base/status.h"

static struct model_answer say(int status)
{
    return (struct model_answer){.status = status};
}

static bool is_held(const struct model_record *r)
{
    return r->state == RECORD_RUNNING && !r->lapsed;
}

static bool is_current(const struct model_record *r, uint64_t token)
{
    return r->state == RECORD_RUNNING && r->token == token;
}

static void turn(struct model *m, struct model_record *r, uint64_t state)
{
    bool ended = state == RECORD_DONE || state == RECORD_FAILED;
    r->state = state;
    r->outcome = ended ? state : OUTCOME_NONE;
    r->erased = false;
    r->lapsed = false;
    r->bound = false;
    r->since_ms = m->now_ms;
}

static void forget(struct model_record *r, uint64_t state, uint64_t now_ms)
{
    struct model_record was = *r;
    memset(r, 0, sizeof *r);
    r->state = state;
    r->since_ms = now_ms;
    if (state != RECORD_TOMBSTONE) return;
    r->outcome = was.outcome; /* a tombstone keeps what REOPEN needs */
    r->token = was.token;
    r->attempt = was.attempt;
    r->policy = was.policy;
    r->marked = was.marked;
}

static struct model_answer start(struct model *m, struct model_record *r, uint64_t session,
                                 uint64_t lease_ms)
{
    struct model_answer a = say(HF_OK);
    a.verdict = r->state == RECORD_RUNNING ? BEGIN_TAKEOVER : BEGIN_STARTED;
    turn(m, r, RECORD_RUNNING);
    r->token = a.token = ++m->token_counter;
    r->attempt += 1;
    r->owner = session;
    r->bound = lease_ms == 0;
    r->lease_until_ms = m->now_ms + lease_ms;
    r->said = false;
    return a;
}

/* Whoever asks while nobody holds it. */
static struct model_answer decide(struct model *m, struct model_record *r, uint64_t session,
                                  uint64_t lease_ms)
{
    if (r->state == RECORD_UNKNOWN) return say(HF_ERECORDUNKNOWN);
    if (r->state != RECORD_DONE && r->state != RECORD_FAILED) return start(m, r, session, lease_ms);
    struct model_answer a = say(HF_OK);
    a.verdict = BEGIN_REPLAY;
    a.erased = r->erased;
    return a;
}

static void wake(struct model *m, const struct model_waiter *w, struct model_answer a)
{
    a.session = w->session;
    a.seq = w->seq;
    m->woken[m->woken_count++] = a;
}

static struct model_waiter take_waiter(struct model_record *r, uint32_t at)
{
    struct model_waiter w = r->waiters[at];
    r->waiter_count -= 1;
    memmove(&r->waiters[at], &r->waiters[at + 1], (r->waiter_count - at) * sizeof w);
    return w;
}

static void serve(struct model *m, struct model_record *r)
{
    while (r->waiter_count > 0 && !is_held(r)) {
        struct model_waiter w = take_waiter(r, 0);
        wake(m, &w, decide(m, r, w.session, w.lease_ms));
    }
}

static void end_lease(struct model *m, struct model_record *r)
{
    if (r->mark == MARK_ONCE || r->policy == TAKEOVER_MANUAL) {
        turn(m, r, RECORD_UNKNOWN);
    } else if (r->policy == TAKEOVER_AUTO) {
        turn(m, r, RECORD_RUNNING);
        r->lapsed = true;
    } else {
        turn(m, r, r->marked ? RECORD_UNKNOWN : RECORD_FAILED);
    }
}

struct model_answer model_begin(struct model *m, int key, uint64_t session, uint64_t seq,
                                const struct msg_begin *begin, bool other_fingerprint)
{
    struct model_record *r = &m->records[key];
    if (r->state != RECORD_ABSENT && other_fingerprint) return say(HF_EMISMATCH);
    if (r->state == RECORD_TOMBSTONE) return say(HF_EKEYEXPIRED);
    if (r->state == RECORD_ABSENT) r->policy = begin->takeover;
    if (!is_held(r)) return decide(m, r, session, begin->lease_ms);
    if (begin->wait_ms == 0) return say(HF_ERUNNING);
    r->waiters[r->waiter_count++] =
        (struct model_waiter){session, seq, m->now_ms + begin->wait_ms, begin->lease_ms};
    return (struct model_answer){.parked = true};
}

struct model_answer model_extend(struct model *m, int key, uint64_t token, uint64_t lease_ms)
{
    struct model_record *r = &m->records[key];
    if (token > m->token_counter) return say(HF_EBADREQUEST);
    if (!is_current(r, token)) return say(HF_ESTALE);
    struct model_answer a = say(HF_OK);
    for (int i = 0; r->bound && i < MODEL_SESSIONS; i++) {
        if (m->sessions[i].id == r->owner) a.left_ms = m->sessions[i].expires_ms - m->now_ms;
    }
    if (r->bound) return a;
    uint64_t until_ms = m->now_ms + lease_ms;
    if (r->lapsed || until_ms > r->lease_until_ms) r->lease_until_ms = until_ms;
    r->lapsed = false;
    a.left_ms = r->lease_until_ms - m->now_ms;
    return a;
}

struct model_answer model_checkpoint(struct model *m, int key, uint64_t token, uint64_t number,
                                     uint64_t mark)
{
    struct model_record *r = &m->records[key];
    if (token > m->token_counter) return say(HF_EBADREQUEST);
    if (!is_current(r, token)) return say(HF_ESTALE);
    if (number <= r->number) return say(HF_ESEQOLD);
    r->number = number;
    if (mark == MARK_NONE || r->mark != MARK_ONCE) r->mark = mark;
    if (mark != MARK_NONE) r->marked = true;
    if (r->lapsed && r->mark == MARK_ONCE) turn(m, r, RECORD_UNKNOWN);
    return say(HF_OK);
}

static void finish(struct model *m, struct model_record *r, uint64_t outcome)
{
    turn(m, r, outcome);
    r->mark = MARK_NONE;
    serve(m, r);
}

struct model_answer model_complete(struct model *m, int key, uint64_t token, uint64_t outcome,
                                   uint64_t body)
{
    struct model_record *r = &m->records[key];
    if (token > m->token_counter) return say(HF_EBADREQUEST);
    if (r->state == RECORD_ABSENT || r->state == RECORD_TOMBSTONE) return say(HF_ESTALE);
    bool own = r->token == token;
    if (own && (r->state == RECORD_RUNNING || r->state == RECORD_UNKNOWN)) {
        r->said = true;
        r->said_outcome = outcome;
        r->said_body = body;
        finish(m, r, outcome);
        return say(HF_OK);
    }
    if (own && r->said) {
        bool same = r->said_outcome == outcome && r->said_body == body;
        return say(same ? HF_OK : HF_ECONFLICT);
    }
    bool known = token > r->token || r->late_count == 4;
    for (uint32_t i = 0; i < r->late_count; i++) known = known || r->late[i] == token;
    if (!known) r->late[r->late_count++] = token;
    return say(HF_ESTALE);
}

struct model_answer model_resolve(struct model *m, int key, uint64_t token, uint64_t outcome)
{
    struct model_record *r = &m->records[key];
    if (token > m->token_counter) return say(HF_EBADREQUEST);
    if (r->state == RECORD_ABSENT || r->state == RECORD_TOMBSTONE) return say(HF_ENOTFOUND);
    if (r->state != RECORD_UNKNOWN || r->token != token) return say(HF_ESTALE);
    finish(m, r, outcome);
    return say(HF_OK);
}

struct model_answer model_reopen(struct model *m, int key, uint64_t token, uint64_t outcome)
{
    struct model_record *r = &m->records[key];
    if (token > m->token_counter) return say(HF_EBADREQUEST);
    if (r->state == RECORD_ABSENT) return say(HF_ENOTFOUND);
    if (r->token != token) return say(HF_ESTALE);
    if (r->outcome != OUTCOME_FAILED || outcome != OUTCOME_FAILED) return say(HF_EBADSTATE);
    if (r->state == RECORD_TOMBSTONE) r->owner = 0;
    r->said = false;
    turn(m, r, RECORD_RETRYABLE);
    return say(HF_OK);
}

struct model_answer model_erase(struct model *m, int key)
{
    struct model_record *r = &m->records[key];
    if (r->state == RECORD_ABSENT) return say(HF_ENOTFOUND);
    if (r->outcome == OUTCOME_NONE) return say(HF_EBADSTATE);
    r->erased = r->state != RECORD_TOMBSTONE;
    return say(HF_OK);
}

struct model_answer model_abandon(struct model *m, uint64_t session, uint64_t token)
{
    if (token > m->token_counter) return say(HF_EBADREQUEST);
    for (int k = 0; k < MODEL_KEYS; k++) {
        struct model_record *r = &m->records[k];
        if (!is_current(r, token)) continue;
        if (r->owner != session) return say(HF_ENOTOWNER);
        if (!r->lapsed) end_lease(m, r);
        serve(m, r);
        return say(HF_OK);
    }
    return say(HF_ENOTHELD);
}

struct model_answer model_cancel(struct model *m, uint64_t session, uint64_t seq)
{
    for (int k = 0; k < MODEL_KEYS; k++) {
        struct model_record *r = &m->records[k];
        for (uint32_t i = 0; i < r->waiter_count; i++) {
            if (r->waiters[i].session != session || r->waiters[i].seq != seq) continue;
            struct model_waiter w = take_waiter(r, i);
            wake(m, &w, say(HF_ECANCELLED));
            return say(HF_ECANCELLED);
        }
    }
    return say(HF_OK);
}

static bool is_alive(const struct model *m, uint64_t session)
{
    for (int i = 0; i < MODEL_SESSIONS; i++) {
        if (m->sessions[i].id == session) return true;
    }
    return false;
}

/* Waits that are over: by time, by their session's end, or both at once. */
static void leave(struct model *m, struct model_record *r)
{
    for (uint32_t i = 0; i < r->waiter_count;) {
        bool gone = !is_alive(m, r->waiters[i].session);
        bool over = r->waiters[i].until_ms <= m->now_ms;
        if (!gone && !over) {
            i++;
            continue;
        }
        struct model_answer a = say(gone ? HF_ESESSION : HF_ERUNNING);
        a.or_status = gone && over ? HF_ERUNNING : a.status;
        struct model_waiter w = take_waiter(r, i);
        wake(m, &w, a);
    }
}

static void sweep(struct model *m, struct model_record *r)
{
    bool ended = r->state == RECORD_DONE || r->state == RECORD_FAILED;
    bool tombstone = r->state == RECORD_TOMBSTONE;
    bool unmarked = r->lapsed && !r->marked;
    bool reaped = r->since_ms + (tombstone ? 10 : 1) * m->retain_ms <= m->now_ms;
    if (is_held(r)) {
        bool due = r->bound ? !is_alive(m, r->owner) : r->lease_until_ms <= m->now_ms;
        if (due) end_lease(m, r);
    } else if (reaped && ended) {
        forget(r, RECORD_TOMBSTONE, m->now_ms);
    } else if (reaped && (tombstone || unmarked || r->state == RECORD_RETRYABLE)) {
        forget(r, RECORD_ABSENT, m->now_ms);
    }
}

static void sweep_all(struct model *m)
{
    for (int k = 0; k < MODEL_KEYS; k++) leave(m, &m->records[k]);
    for (int k = 0; k < MODEL_KEYS; k++) sweep(m, &m->records[k]);
    for (int k = 0; k < MODEL_KEYS; k++) serve(m, &m->records[k]);
}

void model_close(struct model *m, uint64_t session)
{
    for (int i = 0; i < MODEL_SESSIONS; i++) {
        if (m->sessions[i].id == session) m->sessions[i].id = 0;
    }
    sweep_all(m);
}

void model_pass(struct model *m, uint64_t ms)
{
    m->now_ms += ms;
    for (int i = 0; i < MODEL_SESSIONS; i++) {
        if (m->sessions[i].expires_ms <= m->now_ms) m->sessions[i].id = 0;
    }
    sweep_all(m);
}
