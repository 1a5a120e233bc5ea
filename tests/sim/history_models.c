/* What answers mean, in log order: fencing tokens rise, and no session acts after its end. Locks
 * are history_locks.c's, records history_records.c's, timers history_timers.c's, branches
 * history_branches.c's. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/status.h"
#include "machine/rows.h"
#include "protocol/messages.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"

enum { COUNTER_BITS = 48 };

/* ------------------------------------------------------------------ helpers */

static uint64_t now_ms(const struct history *h)
{
    return machine_time_ms(h->machine);
}

void history_decode(struct history *h, const struct codec_type *type, struct slice bytes, void *out)
{
    arena_reset(&h->arena);
    int rv = codec_decode(type, bytes, &h->arena, out);
    if (rv != HF_OK) sim_fail("%s in the log does not read back", type->name);
}

uint32_t history_thing(struct slice name)
{
    uint32_t number = 0;
    size_t at = 0;
    while (at < name.size && name.data[at] != '-') at++;
    for (at++; at < name.size; at++) number = number * 10 + (uint32_t)(name.data[at] - '0');
    return number;
}

static uint64_t counter_of(uint64_t token)
{
    return token & ((UINT64_C(1) << COUNTER_BITS) - 1);
}

const struct history_token *history_token(const struct history *h, uint64_t token)
{
    uint64_t counter = counter_of(token);
    if (counter >= h->token_count || h->tokens[counter].session == 0) return NULL;
    return &h->tokens[counter];
}

struct history_token *history_find_token(struct history *h, uint64_t token)
{
    uint64_t counter = counter_of(token);
    return counter < h->token_count ? &h->tokens[counter] : NULL;
}

void history_add_token(struct history *h, uint64_t token, const struct history_token *what)
{
    uint64_t counter = counter_of(token);
    if (history_token(h, token) != NULL)
        sim_fail("token %" PRIu64 " was given out a second time", token);
    while (counter >= h->token_places) {
        h->token_places = h->token_places == 0 ? 1024 : h->token_places * 2;
        h->tokens = realloc(h->tokens, h->token_places * sizeof *h->tokens);
        HF_ASSERT(h->tokens != NULL);
    }
    while (h->token_count <= counter)
        h->tokens[h->token_count++] = (struct history_token){.session = 0};
    h->tokens[counter] = *what;
    if (token > h->token_last) h->token_last = token;
}

/* ------------------------------------------------------------------ sessions */

static struct history_session *find_session(struct history *h, uint64_t session)
{
    for (uint32_t i = 0; i < h->session_count; i++) {
        if (h->sessions[i].id == session) return &h->sessions[i];
    }
    return NULL;
}

const struct history_session *history_session(const struct history *h, uint64_t session)
{
    for (uint32_t i = 0; i < h->session_count; i++) {
        if (h->sessions[i].id == session) return &h->sessions[i];
    }
    return NULL;
}

bool history_session_is_alive(const struct history *h, uint64_t session)
{
    return history_session(h, session) != NULL;
}

static void drop_session(struct history *h, struct history_session *s)
{
    *s = h->sessions[--h->session_count];
}

static void opened(struct history *h, uint64_t session, uint64_t ttl_ms)
{
    if (session <= h->session_last) return; /* OPEN was repeated */
    h->session_last = session;
    if (h->session_count == h->session_places) {
        h->session_places = h->session_places == 0 ? 64 : h->session_places * 2;
        h->sessions = realloc(h->sessions, h->session_places * sizeof *h->sessions);
        HF_ASSERT(h->sessions != NULL);
    }
    h->sessions[h->session_count++] =
        (struct history_session){.id = session, .ttl_ms = ttl_ms, .until_ms = now_ms(h) + ttl_ms};
}

void history_renew(struct history *h, const struct history_op *op, int status)
{
    struct history_session *s = op->session != 0 ? find_session(h, op->session) : NULL;
    if (s == NULL) return;
    bool renews = op->op == OP_CODE_RESUME ? status == HF_OK : op->renews;
    if (renews || op->op == OP_CODE_KEEP) s->until_ms = now_ms(h) + s->ttl_ms;
}

void history_sweep(struct history *h, uint64_t at_ms)
{
    h->swept_ms = at_ms;
    for (uint32_t i = 0; i < h->session_count; i++)
        h->sessions[i].over = h->sessions[i].until_ms <= at_ms;
    history_locks_sweep(h, at_ms);
    history_records_sweep(h, at_ms);
    history_timers_sweep(h, at_ms);
    history_branches_sweep(h, at_ms);
}

/* \return whether the machine has ended it. */
static bool look_at_end(struct history *h, const struct history_session *s)
{
    uint32_t ignored = 0;
    bool ended = machine_session_peek(h->machine, s->id, &ignored, &ignored) != HF_OK;
    if (ended && !s->over)
        sim_fail("session %" PRIu64 " has ended %" PRIu64 " ms before its lease", s->id,
                 s->until_ms - now_ms(h));
    if (!ended && s->over)
        sim_fail("session %" PRIu64 " has not ended %" PRIu64 " ms after its lease", s->id,
                 now_ms(h) - s->until_ms);
    return ended;
}

void history_swept(struct history *h)
{
    struct machine_counts counts;
    uint32_t over_count = 0;
    machine_count(h->machine, &counts);
    for (uint32_t i = 0; i < h->session_count; i++) over_count += h->sessions[i].over;
    if (over_count == 0 && counts.session_count == h->session_count) return;
    for (uint32_t i = h->session_count; i > 0; i--) {
        uint64_t id = h->sessions[i - 1].id;
        if (!look_at_end(h, &h->sessions[i - 1])) continue;
        drop_session(h, &h->sessions[i - 1]);
        h->expired_count++;
        history_events_owe(h, EVENT_SESSION_EXPIRED, HISTORY_ANYTHING, 0, id);
        if (h->expired_cb != NULL) h->expired_cb(h->data, id);
    }
    if (counts.session_count != h->session_count)
        sim_fail("%" PRIu64 " sessions are counted, %u are alive", counts.session_count,
                 h->session_count);
}

/* ------------------------------------------------------------------ locks */

static void add_grant(struct history *h, const struct lock_ask *ask, uint64_t token)
{
    for (uint32_t i = 0; i < ask->names.count; i++) {
        struct history_lock *lock = &h->locks[ask->names.items[i]];
        if (token <= lock->last_token)
            sim_fail("lock-%u: token %" PRIu64 " was granted after %" PRIu64, ask->names.items[i],
                     token, lock->last_token);
        lock->last_token = token;
        lock->count++;
    }
    struct history_token what = {
        .session = ask->session, .mode = ask->mode, .permits = ask->permits, .names = ask->names};
    history_add_token(h, token, &what);
    h->granted_count++;
}

static void granted(struct history *h, struct history_answer *a, const struct machine_reply *reply)
{
    struct msg_granted granted;
    bool waited = h->ask.session == 0;
    history_decode(h, &msg_granted_type, reply->body, &granted);
    a->token = granted.fencing_token;
    const struct lock_grant *g =
        waited ? history_lock_served(h, &a->names, a->session, a->seq, a->token)
               : history_lock_granted(h, &h->ask, a->token, granted.count);
    if (g->count != granted.count || (granted.waited != 0) != waited)
        sim_fail("token %" PRIu64 " is told as granted for the %" PRIu64 ". time, waited %" PRIu64
                 ", and it is the %" PRIu64 ". time",
                 a->token, granted.count, granted.waited, g->count);
    if (granted.count == 1) add_grant(h, &g->ask, a->token);
}

static void already_held(struct history *h, const struct machine_reply *reply)
{
    struct msg_already already;
    struct lock_names names = {0};
    history_decode(h, &msg_already_type, reply->body, &already);
    HF_ASSERT(already.names.count <= SIM_NAMES_MAX);
    for (uint32_t i = 0; i < already.names.count; i++)
        names.items[names.count++] = history_thing(already.names.items[i]);
    history_lock_already(h, &h->ask, &names, already.fencing_token);
}

/* ------------------------------------------------------------------ the end of grants and leases
 */

/* By its token alone, or under any of its names. */
static void released(struct history *h, const struct history_answer *a, struct slice request,
                     const struct machine_reply *reply)
{
    struct msg_release release;
    struct msg_release_reply answer = {0};
    history_decode(h, &msg_release_type, request, &release);
    bool by_name = release.name.size > 0;
    uint32_t lock = by_name ? history_thing(release.name) : 0;
    const struct history_token *t = history_token(h, release.fencing_token);
    bool is_grant = t != NULL && !t->attempt && (!by_name || lock_names_have(&t->names, lock));
    if (reply->status != HF_OK) {
        bool refused = reply->status == HF_ENOTHELD || reply->status == HF_ENOTOWNER ||
                       reply->status == HF_ESTALE;
        if (refused && is_grant)
            history_lock_kept(h, &t->names, a->session, release.owner, release.fencing_token);
        return;
    }
    history_decode(h, &msg_release_reply_type, reply->body, &answer);
    if (!is_grant)
        sim_fail("token %" PRIu64 " is released, and is no grant of that lock",
                 release.fencing_token);
    history_lock_ended(h, &t->names, a->session, release.owner, release.fencing_token,
                       answer.count_left);
}

static void changed(struct history *h, const struct history_answer *a, struct slice request,
                    int status)
{
    struct msg_change_mode change;
    history_decode(h, &msg_change_mode_type, request, &change);
    uint64_t mode = a->op == OP_CODE_UPGRADE ? MODE_EXCLUSIVE : MODE_SHARED;
    struct history_token *t = history_find_token(h, change.fencing_token);
    bool is_grant = t != NULL && t->session != 0 && !t->attempt;
    if (is_grant && change.name.size > 0)
        is_grant = lock_names_have(&t->names, history_thing(change.name));
    if (!is_grant && status == HF_OK)
        sim_fail("token %" PRIu64 " has changed its mode, and is no grant of that lock",
                 change.fencing_token);
    if (!is_grant) return;
    history_lock_changed(h, &t->names, a->session, change.owner, change.fencing_token, mode,
                         status);
    if (status == HF_OK) t->mode = mode;
}

static void extended(struct history *h, struct slice request)
{
    struct msg_extend extend;
    history_decode(h, &msg_extend_type, request, &extend);
    struct history_token *t = history_find_token(h, extend.fencing_token);
    if (t == NULL)
        sim_fail("token %" PRIu64 " is extended, but was never given", extend.fencing_token);
    uint64_t until_ms = now_ms(h) + extend.lease_ms;
    if (until_ms > t->until_ms && t->until_ms != 0) t->until_ms = until_ms;
}

static void abandoned(struct history *h, const struct history_answer *a, struct slice request)
{
    struct msg_abandon abandon;
    history_decode(h, &msg_abandon_type, request, &abandon);
    struct history_token *t = history_find_token(h, abandon.fencing_token);
    if (t == NULL || t->session == 0)
        sim_fail("token %" PRIu64 " is given back, and was never given", abandon.fencing_token);
    if (t->branch) {
        history_branch_abandoned(h, a->session, t->thing, abandon.fencing_token);
    } else if (!t->attempt) {
        history_lock_ended(h, &t->names, a->session, 0, abandon.fencing_token, 0);
    }
    t->abandoned = true;
}

/* ------------------------------------------------------------------ requests */

static void remember_ask(struct history *h, struct history_answer *a,
                         const struct msg_acquire *acquire)
{
    HF_ASSERT(acquire->names.count <= SIM_NAMES_MAX);
    a->names.count = acquire->names.count;
    for (uint32_t i = 0; i < a->names.count; i++)
        a->names.items[i] = history_thing(acquire->names.items[i]);
    h->ask = (struct lock_ask){
        .session = a->session,
        .seq = a->seq,
        .owner = acquire->owner,
        .mode = acquire->mode,
        .permits = acquire->permits,
        .limit = acquire->limit,
        .wait_ms = acquire->wait_ms,
        .hold_max_ms = acquire->hold_max_ms,
        .delay_ms = acquire->delay_ms,
        .names = a->names,
        .reentrant = acquire->reentrant != 0,
    };
}

/* What the answer will not tell. Until a BEGIN is answered, `hash` holds its lease. */
static void remember_request(struct history *h, struct history_answer *a, struct slice request)
{
    struct msg_acquire acquire;
    struct msg_begin begin;
    struct msg_complete complete;
    struct msg_resolve resolve;
    switch (a->op) {
    case OP_CODE_ACQUIRE:
        history_decode(h, &msg_acquire_type, request, &acquire);
        remember_ask(h, a, &acquire);
        break;
    case OP_CODE_BEGIN:
        history_decode(h, &msg_begin_type, request, &begin);
        a->thing = history_thing(begin.key);
        a->hash = begin.lease_ms;
        a->retain_ms = begin.retain_ms;
        a->takeover = (uint8_t)begin.takeover;
        a->print = hash64(0, begin.fingerprint.data, begin.fingerprint.size);
        break;
    case OP_CODE_COMPLETE:
        history_decode(h, &msg_complete_type, request, &complete);
        a->thing = history_thing(complete.key);
        break;
    case OP_CODE_RESOLVE:
        history_decode(h, &msg_resolve_type, request, &resolve);
        a->thing = history_thing(resolve.key);
        break;
    default: break;
    }
}

/* A request that has not come yet is answered already, and has no effect whenever it does. */
static void cancelled(struct history *h, const struct history_answer *a, struct slice request,
                      const struct machine_reply *reply)
{
    struct msg_cancel cancel;
    struct msg_cancel_reply answer;
    history_decode(h, &msg_cancel_type, request, &cancel);
    history_decode(h, &msg_cancel_reply_type, reply->body, &answer);
    if (answer.op != 0) return; /* it has come */
    struct history_answer *target = history_place(h, a->session, cancel.target_seq);
    if (target->op != 0 && (!target->answered || target->status != HF_ECANCELLED))
        sim_fail("session %" PRIu64 " seq %" PRIu64 " is cancelled as if it had not come",
                 a->session, cancel.target_seq);
    target->op = OP_CODE_CANCEL;
    target->answered = true;
    target->status = HF_ECANCELLED;
}

static void deadlocked(struct history *h, const struct machine_reply *reply)
{
    struct msg_deadlock told;
    history_decode(h, &msg_deadlock_type, reply->body, &told);
    history_cycle_told(h, &h->ask, &told);
}

/* \param reply  NULL: it waits. */
static void asked(struct history *h, const struct history_answer *a,
                  const struct machine_reply *reply)
{
    int status = reply != NULL ? reply->status : HF_OK;
    if (h->ask.session != 0) {
        history_lock_asked(h, &h->ask, status, reply == NULL);
        if (status == HF_EALREADY) already_held(h, reply);
        if (status == HF_EDEADLOCK) deadlocked(h, reply);
    } else if (status != HF_OK) { /* it has waited */
        history_lock_left(h, &a->names, a->session, a->seq);
    }
}

/* QUOTA says that nothing was done, now or ever: so the session is not there. */
static void refused_to_open(struct history *h, struct slice request)
{
    struct msg_open open;
    struct slice found;
    uint8_t hash[SHA256_BYTES];
    history_decode(h, &msg_open_type, request, &open);
    sha256(open.secret.data, open.secret.size, hash);
    int rv = store_get(h->store, TABLE_SECRETS, slice_make(hash, sizeof hash), &found);
    if (rv != HF_ENOTFOUND) sim_fail("an OPEN is told QUOTA, and its session is there");
}

static void take_success(struct history *h, struct history_answer *a, struct slice request,
                         const struct machine_reply *reply)
{
    struct msg_open_reply open;
    struct history_session *session;
    switch (a->op) {
    case OP_CODE_OPEN:
        history_decode(h, &msg_open_reply_type, reply->body, &open);
        opened(h, open.session, open.ttl_ms);
        break;
    case OP_CODE_CLOSE:
        session = find_session(h, a->session);
        if (session == NULL) break;
        drop_session(h, session);
        history_locks_session_ends(h, a->session, false, now_ms(h));
        break;
    case OP_CODE_ACQUIRE: granted(h, a, reply); break;
    case OP_CODE_EXTEND: extended(h, request); break;
    case OP_CODE_ABANDON: abandoned(h, a, request); break;
    case OP_CODE_CANCEL: cancelled(h, a, request, reply); break;
    default: break;
    }
}

void history_answered(struct history *h, struct history_answer *a, struct slice request,
                      const struct machine_reply *reply)
{
    h->ask.session = 0;
    if (request.size > 0) remember_request(h, a, request);
    if (reply == NULL) { /* parked */
        if (a->op == OP_CODE_ACQUIRE) asked(h, a, NULL);
        if (a->op == OP_CODE_BEGIN) history_record_answered(h, a, request, NULL);
        return;
    }
    if (a->op == OP_CODE_ACQUIRE) asked(h, a, reply);
    if (a->op == OP_CODE_RELEASE) released(h, a, request, reply);
    if (a->op == OP_CODE_DOWNGRADE || a->op == OP_CODE_UPGRADE)
        changed(h, a, request, reply->status);
    if (a->op == OP_CODE_OPEN && reply->status == HF_EQUOTA) refused_to_open(h, request);
    if (reply->status == HF_OK) {
        bool acts = a->op != OP_CODE_CANCEL; /* which may tell what was answered before */
        if (acts && a->session != 0 && find_session(h, a->session) == NULL)
            sim_fail("session %" PRIu64 " has ended, and %s is done for it", a->session,
                     op_find(a->op)->name);
        take_success(h, a, request, reply);
    }
    history_record_answered(h, a, request, reply);
    history_admin_answered(h, a, request, reply);
    history_timer_answered(h, a, request, reply);
    history_branch_answered(h, a, request, reply);
    history_txn_answered(h, a, request, reply);
    history_events_answered(h, a, request, reply);
    a->hash = hash64(0, reply->body.data, reply->body.size);
}
