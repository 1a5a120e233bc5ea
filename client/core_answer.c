/* What an answer means: for its call (final, or to be asked again), and for the grant or attempt
 * that it tells of. A refusal at a server's door says that this send had no effect; whether the
 * request had one is certain only if no other send of it is unaccounted for. An answer whose
 * effect nobody waits for any more is given back. Bytes that do not decode break the protocol. */
#include "client/core.h"

#include <stdlib.h>

#include "base/status.h"

enum { NS_PER_MS = 1000000 };

static int decode(struct core *c, const struct codec_type *type, struct slice body, void *out)
{
    arena_reset(&c->arena);
    return codec_decode(type, body, &c->arena, out);
}

/* ------------------------------------------------------------------ grants and attempts */

/* Its own lease or hold has passed before the answer was here: it was never handed out, so it goes
 * back without being told lost. */
static void too_late(struct core *c, struct call *call, struct slot *s, uint64_t now_ns)
{
    uint64_t token = s->token;
    grants_end(&c->grants, s, SLOT_LOST);
    core_abandon(c, token, now_ns);
    core_call_over(c, call, HF_ELOST);
}

static void hand_out(struct core *c, struct call *call, struct slot *s, uint64_t now_ns)
{
    call->grant = grants_ref(s);
    call->token = s->token;
    core_refresh(c, s);
    bool late = s->bound && c->session.deadline_ns <= now_ns && s->count == 1;
    if (late) { /* the servers know of it, but no renewal was acknowledged lately: ask for one */
        s->unproven = true;
        core_refresh(c, s);
        core_keep_at(c, now_ns);
    }
    bool open = s->own_ns == 0 || s->unproven;
    if (open && s->confirm == NULL) {
        s->confirm = call;
        core_call_confirming(c, call);
        return;
    }
    uint64_t left_ns = grants_left_ns(&c->grants, call->grant, now_ns);
    if (left_ns == 0 && !open && s->ending == 0) {
        too_late(c, call, s, now_ns);
        return;
    }
    call->lease_left_ms = left_ns / NS_PER_MS;
    core_call_over(c, call, HF_OK);
}

/* Is the token one that this call may hand out? If not, the call is over. */
static bool is_welcome(struct core *c, struct call *call, const struct reply_frame *reply,
                       uint64_t token, bool bound, uint64_t now_ns)
{
    bool gone = (reply->flags & REPLY_REPEATED) != 0 && (reply->flags & REPLY_STANDS) == 0;
    bool ended = c->session.phase != SESSION_LIVE && bound;
    if (gone || ended || core_session_is_dead(c, token) || core_is_abandoned(c, token)) {
        core_call_over(c, call, HF_ELOST);
        return false;
    }
    if (!call->cancelling) return true;
    struct slot *held = grants_find(&c->grants, token);
    if (held != NULL) {
        core_count_down(c, held, now_ns); /* it was acquired again: ABANDON would end the whole */
    } else {
        core_abandon(c, token, now_ns);
    }
    core_call_over(c, call, HF_OK);
    return false;
}

/* NULL: the token goes back. */
static struct slot *take_slot(struct core *c, uint64_t token, uint64_t now_ns)
{
    struct slot *s = grants_take(&c->grants);
    if (s == NULL) {
        core_abandon(c, token, now_ns);
        return NULL;
    }
    s->token = token;
    s->owner = 0;
    s->handle = NULL;
    s->since_ns = now_ns;
    s->unproven = false;
    s->lease_ms = 0;
    s->extend_ns = CORE_NEVER;
    s->own_ns = CORE_NEVER;
    return s;
}

static bool granted(struct core *c, struct call *call, const struct reply_frame *reply,
                    uint64_t now_ns)
{
    struct msg_granted granted;
    if (decode(c, &msg_granted_type, reply->body, &granted) != HF_OK) return false;
    uint64_t token = granted.fencing_token;
    if (!is_welcome(c, call, reply, token, true, now_ns)) return true;

    struct slot *s = granted.count > 1 ? grants_find(&c->grants, token) : NULL;
    if (s != NULL) {
        s->count += 1;
        hand_out(c, call, s, now_ns);
        return true;
    }
    s = take_slot(c, token, now_ns);
    if (s == NULL) {
        core_call_over(c, call, HF_ENOMEM);
        return true;
    }
    s->owner = call->owner;
    s->handle = call->handle;
    s->kind = SLOT_GRANT;
    s->bound = true;
    if (granted.count > 1) s->ending = core_txn_ends(c, token); /* it was known here before */
    if (call->hold_ms != 0) {
        bool waited = granted.waited != 0;
        s->own_ns = waited ? 0 : core_deadline(c, call->first_send_ns, call->hold_ms);
        if (waited) core_keep_at(c, now_ns);
    }
    hand_out(c, call, s, now_ns);
    return true;
}

/* An attempt's own lease runs from the send of the BEGIN; after a wait, or a lost answer, most of
 * it may be gone: then it is extended first, and the caller goes on when that is acknowledged. */
struct slot *core_attempt(struct core *c, const struct msg_begin *begin, uint64_t token,
                          uint64_t first_send_ns, uint64_t now_ns)
{
    struct slot *s = take_slot(c, token, now_ns);
    if (s == NULL) return NULL;
    s->kind = SLOT_ATTEMPT;
    s->bound = begin->lease_ms == 0;
    s->key = calloc(1, begin->key.size + 1);
    if (s->key == NULL) {
        grants_end(&c->grants, s, SLOT_LOST);
        core_abandon(c, token, now_ns);
        return NULL;
    }
    memcpy(s->key, begin->key.data, begin->key.size);
    if (s->bound) return s;
    s->lease_ms = begin->lease_ms;
    s->own_ns = core_deadline(c, first_send_ns, s->lease_ms);
    s->extend_ns = first_send_ns + s->lease_ms * NS_PER_MS / 3;
    if (s->own_ns < now_ns + s->lease_ms * NS_PER_MS / 3) s->own_ns = 0;
    return s;
}

static bool began(struct core *c, struct call *call, const struct reply_frame *reply,
                  uint64_t now_ns)
{
    struct msg_begin_reply begun;
    struct msg_begin request;
    if (decode(c, &msg_begin_reply_type, reply->body, &begun) != HF_OK) return false;
    if (begun.verdict == BEGIN_REPLAY) {
        /* The record has moved on since this was answered first; but that a result was erased is
         * an answer, and all that there will ever be. */
        bool gone = begun.referent == REFERENT_GONE && begun.body_kind != BODY_ERASED;
        core_call_over(c, call, gone ? HF_EREPLYGONE : HF_OK);
        return true;
    }
    if (begun.fencing_token == 0) return false;
    bool bound = call->hold_ms == 0;
    if (!is_welcome(c, call, reply, begun.fencing_token, bound, now_ns)) return true;
    int rv = decode(c, call->op->request, buffer_slice(&call->body), &request);
    HF_ASSERT(rv == HF_OK); /* our own encoding */
    struct slot *s = core_attempt(c, &request, begun.fencing_token, call->first_send_ns, now_ns);
    if (s == NULL) {
        core_call_over(c, call, HF_ENOMEM);
        return true;
    }
    hand_out(c, call, s, now_ns);
    return true;
}

/* ------------------------------------------------------------------ what is done under a token */

void core_extend(struct core *c, struct slot *s, uint64_t now_ns)
{
    HF_ASSERT(s->kind == SLOT_ATTEMPT);
    s->extend_ns = CORE_NEVER;
    if (s->extending != NULL) return;
    struct msg_extend extend = {slice_of(s->key), s->token, s->lease_ms};
    struct call *call;
    if (core_call_new(c, OP_CODE_EXTEND, &extend, &call) != HF_OK) {
        s->extend_ns = now_ns + (uint64_t)CORE_RESEND_MS * NS_PER_MS;
        return;
    }
    call->attached = false; /* nobody waits: the slot hears of it */
    call->fate = FATE_REPEAT_SURE;
    call->grant = grants_ref(s);
    call->hold_ms = s->lease_ms;
    s->extending = call;
    core_submit(c, call, CORE_NEVER, now_ns);
}

static void extended(struct core *c, struct call *call, struct slot *s)
{
    if (s->extending == call) s->extending = NULL;
    if (s->bound) return;
    uint64_t own = core_deadline(c, call->first_send_ns, call->hold_ms);
    if (own > s->own_ns) s->own_ns = own;
    if (s->extending == NULL) s->extend_ns = call->first_send_ns + s->lease_ms * NS_PER_MS / 3;
    core_refresh(c, s);
    core_confirm(c, s);
}

static bool says_lost(int status)
{
    return status == HF_ESTALE || status == HF_ENOTFOUND || status == HF_EBADSTATE;
}

/* EXTEND, CHECKPOINT, COMPLETE: what the answer means for the attempt. */
static void look_at_attempt(struct core *c, struct call *call, int status, uint64_t now_ns)
{
    struct slot *s = grants_alive(&c->grants, call->grant);
    if (s == NULL || s->kind != SLOT_ATTEMPT) return;
    if (says_lost(status)) {
        core_lose(c, s, false, 0, now_ns);
    } else if (call->op->code == OP_CODE_EXTEND && status == HF_OK) {
        extended(c, call, s);
    } else if (call->op->code == OP_CODE_COMPLETE && (status == HF_OK || status == HF_ECONFLICT)) {
        grants_end(&c->grants, s, SLOT_ENDED);
    }
}

/* The grant that is still held here, though one of its acquisitions was released. */
static struct slot *find_released(struct core *c, const struct call *call)
{
    struct msg_release release;
    int rv = decode(c, &msg_release_type, buffer_slice(&call->body), &release);
    HF_ASSERT(rv == HF_OK); /* our own encoding */
    return grants_find(&c->grants, release.fencing_token);
}

/* DOWNGRADE, UPGRADE, RELEASE: who is told that the grant has gone need not wait for KEEP to say
 * so. */
static void look_at_gone(struct core *c, const struct call *call, int status, uint64_t now_ns)
{
    struct slot *s = NULL;
    if (status != HF_ENOTHELD && status != HF_ESTALE) return;
    if (call->op->code == OP_CODE_RELEASE) s = find_released(c, call);
    if (call->op->code == OP_CODE_DOWNGRADE || call->op->code == OP_CODE_UPGRADE)
        s = grants_alive(&c->grants, call->grant);
    if (s != NULL && s->kind == SLOT_GRANT) core_lose(c, s, false, 0, now_ns);
}

/* ------------------------------------------------------------------ a call's answer */

static bool keep_reply(struct call *call, struct slice body)
{
    if (!call->wants_reply) return true;
    buffer_clear(&call->reply);
    return buffer_append(&call->reply, body.data, body.size) == HF_OK;
}

static bool final(struct core *c, struct call *call, const struct reply_frame *reply,
                  uint64_t now_ns)
{
    call->flags = reply->flags;
    recorder_answer(c, call, reply);
    if (!keep_reply(call, reply->body)) {
        core_call_over(c, call, HF_ENOMEM);
        return true;
    }
    if (reply->status == HF_OK && call->op->code == OP_CODE_ACQUIRE)
        return granted(c, call, reply, now_ns);
    if (reply->status == HF_OK && call->op->code == OP_CODE_BEGIN)
        return began(c, call, reply, now_ns);
    if (call->op->code == OP_CODE_TXN && !core_txn_answered(c, call, reply, now_ns)) return false;
    look_at_attempt(c, call, reply->status, now_ns);
    look_at_gone(c, call, reply->status, now_ns);
    if (reply->status == HF_OK && call->op->code == OP_CODE_CLOSE) {
        core_session_end(c, HF_ESESSION, END_CLOSED, now_ns); /* this call ends with it */
        return true;
    }
    core_call_over(c, call, reply->status);
    return true;
}

static void follow(struct core *c, struct call *call, const struct reply_frame *reply,
                   uint64_t now_ns)
{
    struct msg_redirect to = {0};
    if (op_reply_type(call->op->code, HF_ENOTLEADER) != &msg_redirect_type ||
        decode(c, &msg_redirect_type, reply->body, &to) != HF_OK)
        to.leader_client = slice_make(NULL, 0);
    core_call_queue(c, call);
    core_link_redirect(c, to.leader_client, now_ns);
}

uint64_t core_busy_ms(struct core *c, uint16_t op, const struct reply_frame *reply)
{
    struct msg_retry retry;
    if (op_reply_type(op, reply->status) != &msg_retry_type ||
        decode(c, &msg_retry_type, reply->body, &retry) != HF_OK || retry.retry_ms < CORE_RESEND_MS)
        return CORE_RESEND_MS;
    return retry.retry_ms < CORE_BUSY_MS_MAX ? retry.retry_ms : CORE_BUSY_MS_MAX;
}

/* A refusal that is an answer: no other send of the request is unaccounted for. A release has let
 * go of its grant, and ends with no refusal: the lock would stay held by nobody for as long as the
 * session lives. */
static bool is_refused(const struct call *call)
{
    bool numbered = (call->op->traits & OP_NUMBERED) != 0;
    if (call->op->code == OP_CODE_RELEASE) return false;
    return call->unsure == 0 || !numbered;
}

/* The session's end, told by an answer: the answer stands; the rest follows from the end. */
static void expired(struct core *c, struct call *call, int status, uint64_t now_ns)
{
    core_call_over(c, call, status);
    if (c->session.phase == SESSION_LIVE) core_session_end(c, status, END_EXPIRED, now_ns);
}

bool core_answered(struct core *c, struct call *call, const struct reply_frame *reply,
                   uint64_t now_ns)
{
    call->request_id = 0;
    if (!call->parks) core_metrics_trip(&c->metrics, now_ns - call->sent_ns);
    recorder_hears(c, call, call->op->code, reply);
    if (call->over || call->confirming) {
        core_call_settle(c, call);
        return true;
    }
    bool fine = true;
    if (status_reply_class(reply->status) == 1 && call->unsure > 0) call->unsure -= 1;
    switch (reply->status) {
    case HF_ENOTLEADER: follow(c, call, reply, now_ns); break;
    case HF_ESHUTDOWN:
        core_call_queue(c, call);
        core_link_down(c, HF_ESHUTDOWN, false, now_ns);
        break;
    case HF_ETOOBUSY:
    case HF_ENOSPACE:
    case HF_EUNACKED:
        if (is_refused(call)) {
            fine = final(c, call, reply, now_ns);
        } else {
            core_call_later(c, call, core_busy_ms(c, call->op->code, reply), now_ns);
        }
        break;
    case HF_EUNKNOWN:
    case HF_EIO:
    case HF_ECORRUPT:
    case HF_EINTERNAL: core_call_later(c, call, CORE_RESEND_MS, now_ns); break;
    case HF_ESESSION:
    case HF_ESESSIONUNKNOWN:
        recorder_answer(c, call, reply);
        expired(c, call, reply->status, now_ns);
        break;
    default: fine = final(c, call, reply, now_ns); break;
    }
    core_session_reset_if_drained(c, now_ns);
    return fine;
}

/* CANCEL's answer is the request's own: CANCELLED, or what it was answered before. */
bool core_cancelled(struct core *c, struct call *call, const struct reply_frame *reply,
                    uint64_t now_ns)
{
    struct msg_cancel_reply cancel;
    call->cancel_id = 0;
    recorder_hears(c, call, OP_CODE_CANCEL, reply);
    if (call->over) {
        core_call_settle(c, call);
        return true;
    }
    switch (reply->status) {
    case HF_OK: break;
    case HF_ENOTLEADER: follow(c, call, reply, now_ns); return true;
    case HF_ESESSION:
    case HF_ESESSIONUNKNOWN:
        expired(c, call, reply->status, now_ns);
        core_session_reset_if_drained(c, now_ns);
        return true;
    case HF_EBADREQUEST:
    case HF_EREPLYGONE: core_call_over(c, call, HF_ECANCELLED); return true;
    default: core_call_later(c, call, CORE_RESEND_MS, now_ns); return true;
    }
    arena_reset(&c->arena);
    if (codec_decode(&msg_cancel_reply_type, reply->body, &c->arena, &cancel) != HF_OK)
        return false;
    struct reply_frame own = {.status = cancel.status,
                              .flags =
                                  (uint8_t)(REPLY_REPEATED | (cancel.stands ? REPLY_STANDS : 0)),
                              .request_id = reply->request_id,
                              .body = cancel.body};
    bool fine = true;
    if (cancel.op != call->op->code) own.status = HF_ECANCELLED; /* it never arrived */
    if (own.status == HF_ECANCELLED) {
        recorder_canceled(c, call);
        core_call_over(c, call, HF_ECANCELLED);
    } else {
        fine = final(c, call, &own, now_ns);
    }
    core_session_reset_if_drained(c, now_ns);
    return fine;
}
