/* The session's lease, and with it every grant's deadline. OPEN, RESUME and KEEP renew it; nothing
 * else moves the local deadline, and each only to what follows from the moment when it was SENT
 * (OPEN: first sent under its secret), so that a lost answer leaves the old deadline standing:
 * early, never late. A loss that a server tells ends the grant here, is remembered while an answer
 * may still bring its token, and is acknowledged with the next KEEP; an answer that says `more`
 * moves no deadline, as the rest may name any grant. docs/contract.md, sections 3 and 11. */
#include "base/planted.h"
#include "client/core.h"

#include <stdlib.h>

#include "base/status.h"

enum { NS_PER_MS = 1000000 };

/* ------------------------------------------------------------------ grants' deadlines */

void core_refresh(struct core *c, struct slot *s)
{
    uint64_t deadline = s->own_ns;
    uint64_t suspect = CORE_NEVER;
    uint64_t look = s->extend_ns;
    if (s->unproven) {
        deadline = 0;
    } else if (s->bound) {
        if (deadline > c->session.deadline_ns) deadline = c->session.deadline_ns;
        suspect = c->session.renewed_ns + c->config.ttl_ms * NS_PER_MS / 2;
        if (c->session.deadline_ns < look) look = c->session.deadline_ns;
    } else if (deadline != 0) {
        uint64_t half = s->lease_ms * NS_PER_MS / 2;
        suspect = deadline > half ? deadline - half : 0;
    }
    grants_publish(s, s->ending == 0 ? deadline : 0, suspect);
    if (deadline != 0 && deadline < look) look = deadline;
    if (look < c->session.due_ns) c->session.due_ns = look;
    core_wake(c, look);
}

/* When the grant is lost if nothing is renewed; a hold that is not known yet ends no grant. */
static uint64_t lost_ns(const struct core *c, const struct slot *s)
{
    uint64_t end = s->own_ns != 0 ? s->own_ns : CORE_NEVER;
    if (!s->bound || s->unproven) return end;
    return c->session.deadline_ns < end ? c->session.deadline_ns : end;
}

static void look_at_grants(struct core *c, uint64_t now_ns)
{
    if (c->session.due_ns > now_ns) return;
    c->session.due_ns = CORE_NEVER;
    LIST_FOR_SAFE(item, &c->grants.alive)
    {
        struct slot *s = HF_CONTAINER_OF(item, struct slot, link);
        uint64_t end = lost_ns(c, s);
        if (end <= now_ns) {
            core_lose(c, s, true, 0, now_ns);
            continue;
        }
        if (s->extend_ns <= now_ns && c->stalled) {
            s->extend_ns = CORE_NEVER; /* until core_progress() */
        } else if (s->extend_ns <= now_ns) {
            core_extend(c, s, now_ns);
        }
        if (s->extend_ns < end) end = s->extend_ns;
        if (end < c->session.due_ns) c->session.due_ns = end;
    }
}

void core_expire(struct core *c, uint64_t now_ns)
{
    look_at_grants(c, now_ns);
    core_pump(c, now_ns);
}

void core_lose(struct core *c, struct slot *s, bool locally, int reason, uint64_t now_ns)
{
    if (locally) c->metrics.losses_local += 1;
    if (!locally) c->metrics.losses_told += 1;
    s->told_locally = locally;
    s->reason = reason;
    struct call *waiting = s->confirm;
    grants_end(&c->grants, s, SLOT_LOST);
    if (locally && s->kind == SLOT_ATTEMPT) core_calls_attempt_lost(c, grants_ref(s));
    if (locally) core_abandon(c, s->token, now_ns);
    if (waiting != NULL) {
        s->confirm = NULL;
        core_call_over(c, waiting, HF_ELOST);
        if (s->count == 1) return; /* never handed out: nobody to tell but this one */
    }
    list_push_back(&c->losses, &s->loss_link);
}

void core_confirm(struct core *c, struct slot *s)
{
    struct call *waiting = s->confirm;
    if (waiting == NULL || s->own_ns == 0 || s->unproven) return;
    s->confirm = NULL;
    core_call_over(c, waiting, HF_OK);
}

/* ------------------------------------------------------------------ giving back */

void core_abandon(struct core *c, uint64_t token, uint64_t now_ns)
{
    if (c->session.phase != SESSION_LIVE) return; /* its end frees, too */
    uint32_t at = 0;
    while (at < c->abandon_count && c->abandons[at].token != 0) at++;
    if (at == CORE_ABANDONS_MAX) return; /* likewise: as many as a session can hold wait already */
    if (at == c->abandon_count) c->abandon_count += 1;
    c->abandons[at] = (struct abandon){.token = token};
    recorder_abandon(c, &c->abandons[at]);
    c->abandon_left += 1;
    c->abandons_due = true;
    core_wake(c, now_ns);
}

bool core_is_abandoned(const struct core *c, uint64_t token)
{
    for (uint32_t i = 0; i < c->abandon_count; i++) {
        if (c->abandons[i].token == token) return true;
    }
    return false;
}

static void drop_abandon(struct core *c, uint32_t index)
{
    struct abandon *a = &c->abandons[index];
    if (a->request_id != 0) { /* its answer is still to come, and finds nothing to do */
        a->resend_ns = CORE_NEVER;
        return;
    }
    recorder_abandon_over(c, a);
    a->token = 0;
    c->abandon_left -= 1;
    while (c->abandon_count > 0 && c->abandons[c->abandon_count - 1].token == 0)
        c->abandon_count -= 1;
}

void core_abandoned(struct core *c, uint32_t index, const struct reply_frame *reply,
                    uint64_t now_ns)
{
    struct abandon *a = &c->abandons[index];
    bool wanted = a->resend_ns != CORE_NEVER;
    a->request_id = 0;
    recorder_hears_abandon(c, a, reply);
    int status = reply->status;
    if (status == HF_ENOTLEADER) {
        core_link_redirect(c, slice_make(NULL, 0), now_ns);
    } else if (wanted && status_kind(status) != STATUS_ANSWER && status != HF_EBADREQUEST) {
        a->resend_ns = now_ns + (uint64_t)CORE_RESEND_MS * NS_PER_MS;
        c->abandons_due = true;
        core_wake(c, a->resend_ns);
    } else {
        recorder_abandon_answer(c, a, status);
        drop_abandon(c, index);
        /* Unwanted, it may have been asked of the session before this one. */
        if (wanted && (status == HF_ESESSION || status == HF_ESESSIONUNKNOWN))
            core_session_end(c, status, 0, now_ns);
    }
}

/* ------------------------------------------------------------------ losses told by a server */

bool core_session_is_dead(const struct core *c, uint64_t token)
{
    for (uint32_t i = 0; i < c->session.dead_count; i++) {
        if (c->session.dead[i] == token) return true;
    }
    return c->session.dead_overflow;
}

/* Without an unanswered request no answer can bring the token any more. */
static void remember_dead(struct core *c, uint64_t token)
{
    struct session *s = &c->session;
    if (c->numbered_count == 0) {
        s->dead_count = 0;
        s->dead_overflow = false;
        return;
    }
    if (core_session_is_dead(c, token)) return;
    if (s->dead == NULL) s->dead = calloc(CORE_DEAD_MAX, sizeof *s->dead);
    if (s->dead == NULL || s->dead_count == CORE_DEAD_MAX) {
        s->dead_overflow = true; /* whatever comes now is taken for dead: early, never late */
        return;
    }
    s->dead[s->dead_count++] = token;
}

static void take_losses(struct core *c, const struct msg_keep_reply *keep, uint64_t now_ns)
{
    const struct lost_item *lost = keep->lost.items;
    HF_ASSERT(keep->lost.count <= LOSSES_MAX);
    c->session.ack_count = 0;
    for (uint32_t i = 0; i < keep->lost.count; i++) {
        c->session.acks[c->session.ack_count++] = lost[i].fencing_token;
        struct slot *s = grants_find(&c->grants, lost[i].fencing_token);
        if (s != NULL) {
            core_lose(c, s, false, (int)lost[i].reason, now_ns);
        } else {
            remember_dead(c, lost[i].fencing_token);
        }
        for (uint32_t k = 0; k < c->abandon_count; k++) {
            if (c->abandons[k].token == lost[i].fencing_token) drop_abandon(c, k);
        }
    }
}

/* Who was not handed out yet, or whose answer is on its way, hears of it by the next KEEP. */
static void take_asked(struct core *c, const struct msg_keep_reply *keep, uint64_t send_ns)
{
    const struct left_item *asked = keep->asked.items;
    HF_ASSERT(keep->asked.count <= ASKED_MAX);
    for (uint32_t i = 0; i < keep->asked.count; i++) {
        struct slot *s = grants_find(&c->grants, asked[i].fencing_token);
        if (s == NULL || s->kind != SLOT_GRANT || (s->confirm != NULL && s->count == 1)) continue;
        if (s->asked_ns == 0) list_push_back(&c->asked, &s->asked_link);
        s->asked_ns = core_deadline(c, send_ns, asked[i].left_ms);
    }
}

/* What is left of holds that began after a wait: known from the first KEEP sent after the answer
 * came. Counted from its send it can only be too little.
 * \return true = there are grants that wait for the next KEEP. */
static bool take_holds(struct core *c, const struct msg_keep_reply *keep, uint64_t send_ns)
{
    bool waiting = false;
    const struct left_item *holds = keep->holds.items;
    LIST_FOR_SAFE(item, &c->grants.alive)
    {
        struct slot *s = HF_CONTAINER_OF(item, struct slot, link);
        if (s->kind == SLOT_GRANT && s->own_ns == 0 && s->since_ns <= send_ns) {
            for (uint32_t i = 0; i < keep->holds.count; i++) {
                if (holds[i].fencing_token == s->token)
                    s->own_ns = core_deadline(c, send_ns, holds[i].left_ms);
            }
        }
        if (!s->bound) continue;
        if (s->since_ns <= send_ns) s->unproven = false;
        if (s->unproven || s->own_ns == 0) waiting = true;
        core_refresh(c, s);
        core_confirm(c, s);
    }
    return waiting;
}

void core_keep_at(struct core *c, uint64_t at_ns)
{
    c->session.keep_ns = at_ns;
    core_wake(c, at_ns);
}

static void renewed(struct core *c, uint64_t send_ns)
{
    struct session *s = &c->session;
    uint64_t deadline = core_deadline(c, send_ns, c->config.ttl_ms);
    c->metrics.renewals += 1;
    if (deadline > s->deadline_ns) {
        s->deadline_ns = deadline;
        s->renewed_ns = send_ns;
    }
    uint64_t third_ns = c->config.ttl_ms * NS_PER_MS / 3;
    core_keep_at(c, send_ns + third_ns - prng_below(&c->prng, third_ns / 10 + 1));
}

static void take_keep(struct core *c, const struct msg_keep_reply *keep, uint64_t now_ns)
{
    uint64_t send_ns = planted(LEASE_FROM_ANSWER) ? now_ns : c->session.send_ns;
    bool again = keep->lost.count > 0 || keep->more != 0;
    recorder_kept(c, keep);
    take_losses(c, keep, now_ns);
    take_asked(c, keep, send_ns);
    if (keep->more == 0) {
        if (c->stalled) { /* RESUME renews there; here nobody makes use of it */
            core_keep_at(c, now_ns);
        } else {
            renewed(c, send_ns);
        }
        if (take_holds(c, keep, send_ns)) again = true;
        c->link.superseded = false;
    }
    if (again) core_keep_at(c, now_ns);
}

/* ------------------------------------------------------------------ OPEN, RESUME, KEEP */

void core_session_start(struct core *c, uint64_t now_ns)
{
    struct session *s = &c->session;
    if (s->phase == SESSION_NONE) {
        free(s->dead);
        *s = (struct session){.phase = SESSION_OPENING,
                              .first_send_ns = now_ns,
                              .keep_ns = CORE_NEVER,
                              .due_ns = s->due_ns};
        c->config.random_cb(s->secret, sizeof s->secret, c->config.random_data);
    }
    HF_ASSERT(c->link.state == LINK_OPEN);
    c->link.state = LINK_SESSION;
    c->link.session_id = core_draw_id(c, ID_SESSION, 0);
    s->send_ns = now_ns;
    recorder_keep_sent(c);
    struct slice secret = slice_make(s->secret, sizeof s->secret);
    int rv;
    if (s->phase == SESSION_OPENING) {
        struct msg_open open = {secret, c->config.ttl_ms, c->config.name, c->config.meta};
        rv = core_write_request(c, OP_CODE_OPEN, c->link.session_id, false, &open);
    } else {
        struct msg_resume resume = {secret};
        rv = core_write_request(c, OP_CODE_RESUME, c->link.session_id, true, &resume);
    }
    if (rv != HF_OK) core_link_down(c, rv, true, now_ns);
}

static void ready(struct core *c, uint64_t now_ns)
{
    c->link.state = LINK_READY;
    c->link.up_ns = now_ns;
    c->link.timeout_ns = CORE_NEVER;
    c->link.pause_ms = CORE_RETRY_MS_MIN;
    c->link.failures = 0;
    c->link.redirects = 0;
    core_link_ready(c, now_ns);
    c->abandons_due = c->abandon_left > 0;
}

static bool opened(struct core *c, const struct reply_frame *reply, uint64_t now_ns)
{
    struct session *s = &c->session;
    struct msg_open_reply open;
    if (codec_decode(&msg_open_reply_type, reply->body, &c->arena, &open) != HF_OK) return false;
    c->metrics.sessions += 1;
    s->phase = SESSION_LIVE;
    s->id = open.session;
    ready(c, now_ns);
    renewed(c, s->first_send_ns);
    /* A secret that was sent long ago has little lease left. */
    if (s->deadline_ns < now_ns + c->config.ttl_ms * NS_PER_MS / 2) core_keep_at(c, now_ns);
    return true;
}

/* A refusal that will not go away by itself: the calls that want a session have their answer. */
static void refused(struct core *c, int status)
{
    c->session.phase = SESSION_NONE;
    c->link.state = LINK_OPEN;
    c->link.timeout_ns = CORE_NEVER;
    while (!list_empty(&c->send_session)) {
        struct call *call = HF_CONTAINER_OF(c->send_session.next, struct call, send_link);
        core_call_over(c, call, status);
    }
}

/* An OPEN whose answer was lost did open a session, and that has ended since: its secret is spent,
 * the next one is drawn at once. \return false = a secret that nobody can have seen before. */
static bool open_afresh(struct core *c)
{
    if (c->session.first_send_ns == c->session.send_ns) return false;
    c->session.phase = SESSION_NONE;
    c->link.state = LINK_OPEN;
    c->link.timeout_ns = CORE_NEVER;
    return true;
}

static int ended_reason(struct core *c, uint16_t op, const struct reply_frame *reply)
{
    struct msg_ended ended;
    const struct codec_type *type = op_reply_type(op, reply->status);
    if (type != &msg_ended_type) return END_EXPIRED;
    if (codec_decode(type, reply->body, &c->arena, &ended) != HF_OK) return END_EXPIRED;
    return ended.reason != 0 ? (int)ended.reason : END_EXPIRED;
}

static void redirect(struct core *c, uint16_t op, const struct reply_frame *reply, uint64_t now_ns)
{
    struct msg_redirect to = {0};
    const struct codec_type *type = op_reply_type(op, HF_ENOTLEADER);
    if (type != &msg_redirect_type || codec_decode(type, reply->body, &c->arena, &to) != HF_OK)
        to.leader_client = slice_make(NULL, 0);
    core_link_redirect(c, to.leader_client, now_ns);
}

bool core_session_started(struct core *c, const struct reply_frame *reply, uint64_t now_ns)
{
    bool is_open = c->session.phase == SESSION_OPENING;
    uint16_t op = is_open ? OP_CODE_OPEN : OP_CODE_RESUME;
    struct msg_keep_reply keep;
    c->link.session_id = 0;
    arena_reset(&c->arena);
    recorder_hears(c, NULL, op, reply);
    switch (reply->status) {
    case HF_OK:
        if (is_open) return opened(c, reply, now_ns);
        if (codec_decode(&msg_keep_reply_type, reply->body, &c->arena, &keep) != HF_OK)
            return false;
        ready(c, now_ns);
        if (c->session.phase == SESSION_LIVE) take_keep(c, &keep, now_ns);
        return true;
    case HF_ENOTLEADER: redirect(c, op, reply, now_ns); return true;
    case HF_ESESSION:
    case HF_ESESSIONUNKNOWN:
    case HF_ESECRET:
        if (is_open) return open_afresh(c);
        ready(c, now_ns);
        core_session_end(c, reply->status, ended_reason(c, op, reply), now_ns);
        return true;
    case HF_EQUOTA:
    case HF_ENOSPACE:
    case HF_EBADREQUEST:
    case HF_ETOOLARGE:
        if (is_open) {
            refused(c, reply->status);
            return true;
        }
        break;
    default: break;
    }
    uint64_t busy_ms = core_busy_ms(c, op, reply); /* it goes with the connection */
    core_link_down(c, reply->status, true, now_ns);
    if (reply->status == HF_ETOOBUSY) core_link_not_before(c, now_ns + busy_ms * NS_PER_MS);
    return true;
}

bool core_session_kept(struct core *c, const struct reply_frame *reply, uint64_t now_ns)
{
    struct msg_keep_reply keep;
    c->session.keep_id = 0;
    arena_reset(&c->arena);
    recorder_hears(c, NULL, OP_CODE_KEEP, reply);
    switch (reply->status) {
    case HF_OK:
        if (codec_decode(&msg_keep_reply_type, reply->body, &c->arena, &keep) != HF_OK)
            return false;
        if (c->session.phase == SESSION_LIVE) take_keep(c, &keep, now_ns);
        return true;
    case HF_ENOTLEADER: redirect(c, OP_CODE_KEEP, reply, now_ns); return true;
    case HF_ESESSION:
    case HF_ESESSIONUNKNOWN:
        core_session_end(c, reply->status, ended_reason(c, OP_CODE_KEEP, reply), now_ns);
        return true;
    case HF_ETOOBUSY:
    case HF_EUNKNOWN: core_keep_at(c, now_ns + (uint64_t)CORE_RESEND_MS * NS_PER_MS); return true;
    default: core_link_down(c, reply->status, true, now_ns); return true;
    }
}

static void send_keep(struct core *c, uint64_t now_ns)
{
    struct session *s = &c->session;
    struct msg_keep keep = {.losses_acked = {s->acks, s->ack_count}};
    s->keep_id = core_draw_id(c, ID_KEEP, 0);
    c->metrics.keeps += 1;
    s->send_ns = now_ns;
    s->keep_ns = CORE_NEVER;
    recorder_keep_sent(c);
    s->keep_timeout_ns = now_ns + core_link_patience_ns(c);
    if (core_write_request(c, OP_CODE_KEEP, s->keep_id, true, &keep) != HF_OK)
        core_link_down(c, HF_ENOMEM, true, now_ns);
    if (planted(RENEWED_BY_SENDING)) renewed(c, now_ns);
}

/* Has the application made no progress for too long? */
static void look_at_progress(struct core *c, uint64_t now_ns)
{
    if (c->config.progress_ms == 0 || c->session.phase == SESSION_NONE) return;
    uint64_t end_ns = c->progress_ns + c->config.progress_ms * NS_PER_MS;
    c->stalled = end_ns <= now_ns;
    if (!c->stalled) core_wake(c, end_ns);
}

void core_progress(struct core *c, uint64_t now_ns)
{
    c->progress_ns = now_ns;
    c->stalled = false;
    LIST_FOR(item, &c->grants.alive)
    {
        struct slot *s = HF_CONTAINER_OF(item, struct slot, link);
        if (s->kind != SLOT_ATTEMPT || s->bound || s->extending != NULL) continue;
        if (s->extend_ns == CORE_NEVER) s->extend_ns = now_ns;
    }
    c->session.due_ns = now_ns;
    if (c->session.phase == SESSION_LIVE) core_keep_at(c, now_ns);
    core_wake(c, now_ns);
}

void core_session_tick(struct core *c, uint64_t now_ns)
{
    struct session *s = &c->session;
    look_at_progress(c, now_ns);
    look_at_grants(c, now_ns);
    core_wake(c, s->due_ns);
    if (s->phase != SESSION_LIVE || c->link.state != LINK_READY || s->keep_id != 0) return;
    if (c->stalled) return; /* its end lies in core_progress() */
    if (s->keep_ns <= now_ns) send_keep(c, now_ns);
    core_wake(c, s->keep_ns);
    if (s->keep_id != 0) core_wake(c, s->keep_timeout_ns);
}

/* ------------------------------------------------------------------ its end */

void core_session_end(struct core *c, int status, int reason, uint64_t now_ns)
{
    struct session *s = &c->session;
    if (s->phase == SESSION_NONE || s->phase == SESSION_ENDED) return;
    recorder_session_end(c, status, reason);
    s->phase = SESSION_ENDED;
    s->end_reason = reason;
    s->keep_ns = CORE_NEVER;
    s->ack_count = 0;
    s->dead_count = 0;
    for (uint32_t i = 0; i < c->abandon_count; i++) {
        if (c->abandons[i].request_id != 0) {
            c->abandons[i].resend_ns = CORE_NEVER;
        } else if (c->abandons[i].token != 0) {
            recorder_abandon_over(c, &c->abandons[i]);
            c->abandons[i].token = 0;
            c->abandon_left -= 1;
        }
    }
    LIST_FOR_SAFE(item, &c->grants.alive)
    {
        struct slot *grant = HF_CONTAINER_OF(item, struct slot, link);
        /* An attempt of its own lease stays, unless its BEGIN still waits and ends just now. */
        if (!grant->bound && grant->confirm == NULL) continue;
        if (c->closing) {
            grants_end(&c->grants, grant, SLOT_ENDED);
        } else {
            core_lose(c, grant, false, reason, now_ns);
        }
    }
    core_calls_session_ended(c, status);
    core_session_reset_if_drained(c, now_ns);
}

void core_session_reset_if_drained(struct core *c, uint64_t now_ns)
{
    struct session *s = &c->session;
    if (s->phase != SESSION_ENDED || c->numbered_count > 0) return;
    free(s->dead);
    *s = (struct session){.keep_ns = CORE_NEVER, .due_ns = s->due_ns};
    if (c->link.state == LINK_READY) c->link.state = LINK_OPEN;
    core_wake(c, now_ns); /* the next one may be wanted already */
}
