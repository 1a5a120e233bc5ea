/* Claims about what clients were told; see tests/sim/checks.h. */
#include <inttypes.h>

#include "base/status.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

static struct checks *checks_of(struct sim_task *t)
{
    return &t->client->sim->checks;
}

static struct check_lock *lock_of(struct sim_task *t, uint32_t lock)
{
    HF_ASSERT(lock < HF_ARRAY_COUNT(checks_of(t)->locks));
    return &checks_of(t)->locks[lock];
}

static bool is_read(const struct sim_task *t)
{
    return (op_find(t->op)->traits & OP_READ) != 0;
}

/* ------------------------------------------------------------------ before and after a call */

void checks_called(struct sim_task *t)
{
    const struct check_lock *lock = lock_of(t, t->name);
    t->floor_token = 0;
    t->floor_index = 0;
    for (uint32_t i = 0; t->op == OP_CODE_ACQUIRE && i < t->asked.count; i++) {
        uint64_t token = lock_of(t, t->asked.items[i])->returned_token;
        if (token > t->floor_token) t->floor_token = token;
    }
    if (t->op == OP_CODE_CHECK)
        t->floor_index = t->token <= lock->released_token || t->token < lock->held_token;
    if (t->op == OP_CODE_RECORD_GET) t->floor_index = checks_of(t)->records[t->key].done_token;
}

/* An answer that came from the log is there, and says the same. */
static void look_up(struct sim_task *t, const struct call *call)
{
    const struct history *h = &t->client->sim->history;
    bool from_log = status_kind(call->status) == STATUS_ANSWER &&
                    status_reply_class(call->status) == 0 && t->op != OP_CODE_CLOSE;
    if (!call->over || call->cancelling || !from_log || (op_find(t->op)->traits & OP_NUMBERED) == 0)
        return;
    if (checks_timer_nothing(call)) return;
    const struct history_answer *a = history_find(h, t->session, call->seq);
    if (a == NULL)
        sim_fail("client %u was answered %s to %s, session %" PRIu64 " seq %" PRIu64
                 ", and no log knows of it",
                 t->client->index + 1, status_name(call->status), call->op->name, t->session,
                 call->seq);
    bool same = a->status == call->status && a->op == call->op->code;
    if (same && call->status == HF_OK && call->token != 0) same = a->token == call->token;
    bool whole = (call->flags & REPLY_REPEATED) == 0 && call->wants_reply;
    if (same && whole) same = a->hash == hash64(0, call->reply.data, call->reply.size);
    if (!same)
        sim_fail("client %u was answered %s token %" PRIu64 ", the log %s token %" PRIu64,
                 t->client->index + 1, status_name(call->status), call->token,
                 status_name(a->status), a->token);
}

/* Who is told that nothing was done may do it again: nothing was. Of what was answered too late to
 * be used (LOST), or is being cancelled (TIMEOUT), that is not said; and a copy of what a server
 * has refused, which TCP cannot make, may be taken by another one: also of a release that was to be
 * repeated when its session was closed. */
static void look_for_nothing(struct sim_task *t, const struct call *call)
{
    bool known = call->status != HF_ESESSION || t->client->closing != 0;
    bool copied = t->client->sim->copier.copy_count > 0 && known;
    bool sure = status_reply_class(call->status) == 1 && call->status != HF_ELOST &&
                call->status != HF_ETIMEOUT;
    if (!call->over || call->cancelling || !sure || copied || call->seq == 0) return;
    const struct history_answer *a = history_find(&t->client->sim->history, t->session, call->seq);
    if (a != NULL && a->answered && status_reply_class(a->status) == 0)
        sim_fail("client %u was told %s of %s, session %" PRIu64 " seq %" PRIu64
                 ", which the log has answered %s",
                 t->client->index + 1, status_name(call->status), call->op->name, t->session,
                 call->seq, status_name(a->status));
}

/* Is the token valid at its holder, wherever that is? */
static bool is_valid_somewhere(const struct sim *sim, uint64_t token)
{
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) {
        const struct sim_client *c = &sim->clients[i];
        if (!c->alive || c->closing != 0) continue; /* whoever closes uses no grant any more */
        const struct slot *s = grants_find(&c->core.grants, token);
        if (s != NULL && s->deadline_ns > client_now(c)) return true;
    }
    return false;
}

static void look_at_read(struct sim_task *t, const struct call *call)
{
    const struct sim *sim = t->client->sim;
    if (t->op == OP_CODE_CHECK) {
        struct msg_check_reply check;
        int rv = codec_decode(&msg_check_reply_type, buffer_slice(&call->reply), NULL, &check);
        if (rv != HF_OK) sim_fail("an answer to CHECK does not read back");
        if (check.verdict == CHECK_VALID && t->floor_index != 0)
            sim_fail("lock-%u: token %" PRIu64 " is valid for a read, and was over before it",
                     t->name, t->token);
        const struct history_token *what = history_token(&sim->history, t->token);
        bool forced = what != NULL && what->forced != FORCED_NOT; /* its holder may not know yet */
        if (check.verdict != CHECK_VALID && sim->swarm.rates_right && !forced &&
            is_valid_somewhere(sim, t->token))
            sim_fail("lock-%u: token %" PRIu64 " is over for a read, and valid for its holder",
                     t->name, t->token);
    }
    if (t->op == OP_CODE_RECORD_GET && t->floor_index != 0) {
        struct msg_record_reply record;
        struct arena arena = sim->history.arena; /* its memory, for the moment */
        int rv = codec_decode(&msg_record_reply_type, buffer_slice(&call->reply), &arena, &record);
        if (rv != HF_OK) sim_fail("an answer to RECORD_GET does not read back");
        bool newer = record.fencing_token > t->floor_index; /* once the tombstone has gone */
        if (record.state != RECORD_DONE && record.state != RECORD_FAILED &&
            record.state != RECORD_TOMBSTONE && !newer)
            sim_fail("record-%u: state %" PRIu64 " for a read, and its end was answered before",
                     t->key, record.state);
    }
}

/* Released for good: an acquire that timed out here may have been counted there, and is given back
 * by an ABANDON that comes later. */
static bool is_free_now(const struct sim_task *t, const struct call *call)
{
    struct msg_release_reply reply;
    if (t->op != OP_CODE_RELEASE || t->count != 0) return false;
    int rv = codec_decode(&msg_release_reply_type, buffer_slice(&call->reply), NULL, &reply);
    if (rv != HF_OK) sim_fail("an answer to RELEASE does not read back");
    return reply.count_left == 0;
}

void checks_answered(struct sim_task *t, const struct call *call)
{
    look_up(t, call);
    look_for_nothing(t, call);
    checks_timer_answered(t, call);
    checks_watch_answered(t, call);
    if (call->verdict != HF_OK || call->cancelling) return;
    if (is_read(t)) look_at_read(t, call);
    bool frees = t->mode == MODE_EXCLUSIVE && is_free_now(t, call);
    for (uint32_t i = 0; frees && i < t->names.count; i++) {
        struct check_lock *lock = lock_of(t, t->names.items[i]);
        if (t->token > lock->released_token) lock->released_token = t->token;
    }
    if (t->op == OP_CODE_COMPLETE) {
        struct check_record *record = &checks_of(t)->records[t->key];
        const struct history_record *known = &t->client->sim->history.records[t->key];
        bool ended = known->token == t->token && known->state == RECORD_DONE;
        if (!swarm_may_reopen(&t->client->sim->swarm, t->key))
            ended = ended || known->state == RECORD_FAILED;
        if (!ended) return;
        record->done_token = t->token;
        record->done_ns = t->client->sim->trace.now_ns;
    }
}

/* ------------------------------------------------------------------ grants */

/* Is it valid at a client beside the task's own, and of this lock? SHARED ones are beside each
 * other, PERMITS up to the limit: \return units of them. */
static uint64_t look_beside(struct sim_task *t, uint32_t lock, const struct sim_client *c,
                            const struct slot *s)
{
    const struct history_token *what = history_token(&t->client->sim->history, s->token);
    if (what == NULL || !lock_names_have(&what->names, lock)) return 0;
    if (what->forced == FORCED_NOW) return 0; /* nobody waited until its holder knew */
    if (what->mode == t->mode && t->mode == MODE_PERMITS) return what->permits;
    if (what->mode == t->mode && t->mode == MODE_SHARED) return 0;
    sim_fail("lock-%u: client %u was told of token %" PRIu64 ", while token %" PRIu64
             " is valid at client %u for another %" PRIu64 " ns",
             lock, t->client->index + 1, t->token, s->token, c->index + 1,
             s->deadline_ns - client_now(c));
}

static void look_for_overlap(struct sim_task *t, uint32_t lock, const struct slot *own)
{
    const struct sim *sim = t->client->sim;
    const struct history_token *what = history_token(&sim->history, t->token);
    if (what != NULL && what->forced == FORCED_NOW) return; /* and it was not told yet */
    uint64_t units = t->permits;
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) {
        const struct sim_client *c = &sim->clients[i];
        if (!c->alive || c->closing != 0) continue;
        uint64_t now_ns = client_now(c);
        LIST_FOR(item, &c->core.grants.alive)
        {
            const struct slot *s = HF_CONTAINER_OF(item, struct slot, link);
            if (s == own || s->kind != SLOT_GRANT || s->deadline_ns <= now_ns) continue;
            units += look_beside(t, lock, c, s);
        }
    }
    if (units > t->limit)
        sim_fail("lock-%u: client %u was told of token %" PRIu64 ", and %" PRIu64
                 " permits of %" PRIu64 " are valid",
                 lock, t->client->index + 1, t->token, units, t->limit);
}

static void take_token(struct sim_task *t, uint32_t name)
{
    struct check_lock *lock = lock_of(t, name);
    if (t->token <= t->floor_token)
        sim_fail("lock-%u: token %" PRIu64 " was granted to a call that was made after %" PRIu64
                 " was returned",
                 name, t->token, t->floor_token);
    if (t->token > lock->returned_token) lock->returned_token = t->token;
    if (t->mode == MODE_EXCLUSIVE && t->token > lock->held_token) lock->held_token = t->token;
}

void checks_granted(struct sim_task *t)
{
    const struct slot *own = grants_alive(&t->client->core.grants, t->grant);
    if (t->count > 1) return; /* the same grant again */
    for (uint32_t i = 0; i < t->names.count; i++) take_token(t, t->names.items[i]);
    if (own == NULL || !t->client->sim->swarm.rates_right) return;
    if (own->deadline_ns <= client_now(t->client)) return;
    checks_of(t)->overlap_looks++;
    for (uint32_t i = 0; i < t->names.count; i++) look_for_overlap(t, t->names.items[i], own);
}

void checks_upgraded(struct sim_task *t)
{
    const struct slot *own = grants_alive(&t->client->core.grants, t->grant);
    if (own == NULL || !t->client->sim->swarm.rates_right) return;
    if (own->deadline_ns <= client_now(t->client)) return;
    for (uint32_t i = 0; i < t->names.count; i++) look_for_overlap(t, t->names.items[i], own);
}

void checks_session_expired(void *data, uint64_t session)
{
    const struct sim *sim = data;
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) {
        const struct sim_client *c = &sim->clients[i];
        if (!c->alive || c->core.session.id != session || c->core.session.phase != SESSION_LIVE)
            continue;
        checks_session_lost(c);
        if (sim->swarm.rates_right && c->core.session.deadline_ns > client_now(c))
            sim_fail("session %" PRIu64 " of client %u expired %" PRIu64 " ns before its deadline",
                     session, c->index + 1, c->core.session.deadline_ns - client_now(c));
    }
}

/* ------------------------------------------------------------------ the guarded register */

/* Claim first, then read, then write (contract, 5). */
static bool claim(struct sim_task *t, uint32_t i)
{
    uint32_t name = t->names.items[i];
    struct check_lock *lock = lock_of(t, name);
    recording_wrote(t, name, lock->guard_value, t->token >= lock->guard_token);
    if (t->token < lock->guard_token) {
        checks_of(t)->refused_count++;
        return false;
    }
    recording_read(t, name, lock->guard_value);
    lock->guard_token = t->token;
    t->seen_value[i] = lock->guard_value;
    return true;
}

static bool write_to(struct sim_task *t, uint32_t i)
{
    uint32_t name = t->names.items[i];
    struct check_lock *lock = lock_of(t, name);
    recording_wrote(t, name, lock->guard_value + 1, t->token >= lock->guard_token);
    if (t->token < lock->guard_token) {
        checks_of(t)->refused_count++;
        return false;
    }
    if (lock->guard_value != t->seen_value[i])
        sim_fail("lock-%u: token %" PRIu64 " writes over a value that it has not seen", name,
                 t->token);
    lock->guard_value++;
    lock->written_count++;
    t->seen_value[i] = lock->guard_value;
    return true;
}

bool checks_claim(struct sim_task *t)
{
    bool all = true;
    for (uint32_t i = 0; all && i < t->names.count; i++) all = claim(t, i);
    return all;
}

bool checks_write(struct sim_task *t)
{
    bool all = true;
    for (uint32_t i = 0; all && i < t->names.count; i++) all = write_to(t, i);
    return all;
}
