/* Calls: numbered when they are sent first, sent again under the same number over every connection
 * until their answer is final, dropped from the books only then. A caller may leave earlier, at its
 * deadline, with a verdict that says what it may believe (enum call_fate); the call then lives on
 * in the background. A call's struct is given back when it is over, nobody looks at it, nobody may
 * ask for it again, and no late reply is to come on this connection. docs/contract.md, section 2.
 */
#include "client/core.h"

#include <stdlib.h>

#include "base/status.h"

enum { NS_PER_MS = 1000000 };

#define CALL_OF(item, member) HF_CONTAINER_OF(item, struct call, member)

/* ------------------------------------------------------------------ structs to use again */

static struct call *make_call(struct core *c)
{
    if (c->call_count == CORE_CALLS_MAX) return NULL;
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) return NULL;
    buffer_init(&call->body, FRAME_BYTES_MAX);
    buffer_init(&call->reply, FRAME_BYTES_MAX);
    list_init(&call->link);
    list_init(&call->seq_link);
    list_init(&call->send_link);
    list_init(&call->done_link);
    call->id = CORE_CALLS_MAX + c->call_count; /* its index; the rest counts its uses */
    c->calls[c->call_count++] = call;
    return call;
}

static struct call *take_call(struct core *c)
{
    if (list_empty(&c->idle)) return make_call(c);
    struct call *call = CALL_OF(c->idle.next, link);
    list_remove(&call->link);
    return call;
}

static void empty_buffer(struct buffer *b)
{
    if (b->capacity > CORE_BODY_KEPT_BYTES) {
        buffer_close(b);
        buffer_init(b, FRAME_BYTES_MAX);
    }
    buffer_clear(b);
}

static void give_call_back(struct core *c, struct call *call)
{
    HF_ASSERT(list_empty(&call->seq_link));
    HF_ASSERT(list_empty(&call->send_link));
    HF_ASSERT(call->recorded == NULL);
    list_remove(&call->done_link);
    list_remove(&call->link);
    empty_buffer(&call->body);
    empty_buffer(&call->reply);
    uint64_t id = call->id + CORE_CALLS_MAX;
    struct call fresh = {.body = call->body, .reply = call->reply, .id = id};
    *call = fresh;
    list_init(&call->link);
    list_init(&call->seq_link);
    list_init(&call->send_link);
    list_init(&call->done_link);
    list_push_front(&c->idle, &call->link);
}

void core_call_settle(struct core *c, struct call *call)
{
    if (!call->over || call->request_id != 0 || call->cancel_id != 0) return;
    if (call->attached || call->held) return;
    c->over_count -= 1;
    give_call_back(c, call);
}

/* Room for whatever a caller wants is refused first; what frees or finishes has some in reserve,
 * and the core's own renewals all there is. */
static uint32_t busy_max(bool exempt)
{
    return exempt ? UNACKED_MAX + UNACKED_RESERVE : UNACKED_MAX;
}

static bool is_exempt(const struct op_info *op, const void *request)
{
    return (op->traits & OP_EXEMPT) != 0 || op_finishes(op->code, request);
}

static bool is_new_work(const struct op_info *op, const void *request)
{
    return (op->traits & OP_DOOR) == 0 && !is_exempt(op, request);
}

bool core_admits(struct core *c, uint16_t op, const void *request, uint64_t now_ns)
{
    const struct op_info *info = op_find(op);
    HF_ASSERT(info != NULL);
    if (!is_new_work(info, request) || breaker_admits(&c->breaker, now_ns)) return true;
    c->metrics.breaker_refusals += 1;
    return false;
}

static bool may_park(uint16_t op, const void *request)
{
    if (op == OP_CODE_ACQUIRE) return ((const struct msg_acquire *)request)->wait_ms > 0;
    if (op == OP_CODE_TIMER_POLL) return ((const struct msg_timer_poll *)request)->wait_ms > 0;
    if (op == OP_CODE_WATCH) return ((const struct msg_watch *)request)->wait_ms > 0;
    return op == OP_CODE_BEGIN && ((const struct msg_begin *)request)->wait_ms > 0;
}

int core_call_new(struct core *c, uint16_t op, const void *request, struct call **out)
{
    const struct op_info *info = op_find(op);
    HF_ASSERT(info != NULL);
    if (c->busy_count >= busy_max(is_exempt(info, request))) return HF_EUNACKED;
    struct call *call = take_call(c);
    if (call == NULL) return HF_ENOMEM;
    int rv = codec_encode(info->request, request, &call->body);
    if (rv != HF_OK) {
        give_call_back(c, call);
        return rv;
    }
    call->op = info;
    call->is_new_work = is_new_work(info, request);
    call->parks = may_park(op, request);
    call->attached = true;
    call->resend_ns = CORE_NEVER;
    call->deadline_ns = CORE_NEVER;
    *out = call;
    return HF_OK;
}

/* ------------------------------------------------------------------ on their way */

void core_call_queue(struct core *c, struct call *call)
{
    if (!list_empty(&call->send_link)) return;
    call->resend_ns = CORE_NEVER;
    if ((call->op->traits & OP_SESSION) == 0) {
        list_push_back(&c->send_plain, &call->send_link);
    } else if (call->seq != 0) { /* before those that were never sent */
        list_push_front(&c->send_session, &call->send_link);
    } else {
        list_push_back(&c->send_session, &call->send_link);
    }
}

void core_submit(struct core *c, struct call *call, uint64_t deadline_ns, uint64_t now_ns)
{
    HF_ASSERT(call->op != NULL);
    HF_ASSERT(list_empty(&call->link));
    call->deadline_ns = deadline_ns;
    list_push_back(&c->active, &call->link);
    c->busy_count += 1;
    recorder_submitted(c, call);
    if (call->op->code == OP_CODE_TXN) core_txn_submitted(c, call);
    core_wake(c, deadline_ns);
    core_call_queue(c, call);
    core_link_advance(c, now_ns);
    core_pump(c, now_ns);
}

void core_call_later(struct core *c, struct call *call, uint64_t delay_ms, uint64_t now_ns)
{
    call->resend_ns = now_ns + delay_ms * NS_PER_MS;
    core_wake(c, call->resend_ns);
}

/* A held call waits for its owner's word; but of a session that has ended it is asked for at once,
 * as that session stands in the next one's way until all its calls are answered. */
static bool is_at_rest(const struct core *c, const struct call *call)
{
    return call->held && c->session.phase != SESSION_ENDED;
}

void core_calls_disconnected(struct core *c)
{
    for (struct list *item = c->active.prev, *prev; item != &c->active; item = prev) {
        struct call *call = CALL_OF(item, link);
        prev = item->prev;
        call->request_id = 0;
        call->cancel_id = 0;
        if (call->over) {
            core_call_settle(c, call);
        } else if (!is_at_rest(c, call) && !call->confirming) {
            core_call_queue(c, call); /* from the last one on: those with a seq go to the front */
        }
    }
    for (uint32_t i = 0; i < c->abandon_count; i++) {
        struct abandon *a = &c->abandons[i];
        a->request_id = 0;
        if (a->resend_ns != CORE_NEVER || a->token == 0) continue;
        recorder_abandon_over(c, a);
        a->token = 0;
        c->abandon_left -= 1;
    }
}

/* ------------------------------------------------------------------ verdicts */

void core_call_tell(struct core *c, struct call *call, int verdict)
{
    HF_ASSERT(!call->returned);
    core_metrics_verdict(&c->metrics, verdict);
    call->verdict = verdict;
    call->returned = true;
    if (call->attached) list_push_back(&c->finished, &call->done_link);
}

/* To a caller who cancelled, the answer says whether anything stays: of an acquire or a begin
 * nothing ever does, as it goes back. */
int core_call_verdict(const struct call *call, int status)
{
    if (!call->cancelling) return status;
    bool goes_back = core_goes_back(call);
    if (call->interrupted)
        return goes_back && (status == HF_OK || status == HF_ELOST) ? HF_ECANCELLED : status;
    bool applied = status_reply_class(status) == 0 && status != HF_ECANCELLED;
    return goes_back || !applied ? HF_OK : HF_EBADSTATE;
}

/* A renewal that ended without moving the deadline is tried again soon. */
static void forget_extend(struct core *c, const struct call *call)
{
    struct slot *s = grants_alive(&c->grants, call->grant);
    if (s == NULL || s->extending != call) return;
    s->extending = NULL;
    s->extend_ns = call->first_send_ns + (uint64_t)CORE_RESEND_MS * NS_PER_MS;
    core_refresh(c, s);
}

void core_call_over(struct core *c, struct call *call, int status)
{
    HF_ASSERT(!call->over);
    HF_ASSERT(c->busy_count > 0);
    recorder_over(c, call, status);
    call->over = true;
    call->confirming = false;
    call->status = status;
    call->resend_ns = CORE_NEVER;
    c->busy_count -= 1;
    c->over_count += 1;
    list_remove(&call->send_link);
    if (!list_empty(&call->seq_link)) {
        list_remove(&call->seq_link);
        c->numbered_count -= 1;
    }
    if (call->op->code == OP_CODE_EXTEND) forget_extend(c, call);
    if (call->op->code == OP_CODE_TXN) core_txn_over(c, call);
    if (c->session.phase == SESSION_ENDED) core_wake(c, 0); /* it may be all that it waited for */
    if (!call->returned) core_call_tell(c, call, core_call_verdict(call, status));
    core_call_settle(c, call);
}

/* An EXTEND that came to the servers after our ABANDON would give a lapsed attempt, which nobody
 * runs, its whole lease again; a CHECKPOINT's mark would make it UNKNOWN. What is on its way comes
 * before the ABANDON; what is not, never does: its number is acknowledged from now on. */
void core_calls_attempt_lost(struct core *c, struct grant_ref ref)
{
    LIST_FOR_SAFE(item, &c->active)
    {
        struct call *call = CALL_OF(item, link);
        bool renews = call->op->code == OP_CODE_EXTEND || call->op->code == OP_CODE_CHECKPOINT;
        if (!renews || call->over || call->held || call->grant.slot != ref.slot) continue;
        if (call->grant.generation == ref.generation) core_call_over(c, call, HF_ELOST);
    }
}

void core_call_confirming(struct core *c, struct call *call)
{
    call->confirming = true;
    if (list_empty(&call->seq_link)) return;
    list_remove(&call->seq_link);
    c->numbered_count -= 1;
}

static int why_not(const struct core *c, const struct call *call)
{
    bool session = (call->op->traits & OP_SESSION) != 0;
    if (c->link.state == LINK_READY || (!session && c->link.state == LINK_OPEN)) return HF_ETIMEOUT;
    bool sure = status_reply_class(c->link.why) == 1 || c->link.why == HF_ECORRUPT;
    return sure ? c->link.why : HF_ETIMEOUT;
}

static void note_failure(struct core *c, uint64_t now_ns)
{
    bool was_closed = c->breaker.state == BREAKER_CLOSED;
    breaker_failed(&c->breaker, now_ns);
    if (was_closed && c->breaker.state == BREAKER_OPEN) c->metrics.breaker_openings += 1;
}

static void time_out(struct core *c, struct call *call, uint64_t now_ns)
{
    bool numbered = (call->op->traits & OP_NUMBERED) != 0;
    call->deadline_ns = CORE_NEVER;
    if (call->request_id != 0 && c->link.heard_ns < call->sent_ns) c->link.deaf = true;
    if (call->is_new_work && !call->parks && !call->confirming && !call->cancelling)
        note_failure(c, now_ns);
    if (call->confirming) {
        struct slot *s = grants_alive(&c->grants, call->grant);
        HF_ASSERT(s != NULL); /* its loss would have ended the call */
        HF_ASSERT(s->confirm == call);
        if (s->unproven) {
            core_lose(c, s, true, 0, now_ns);
        } else {
            s->confirm = NULL;
            core_call_over(c, call, HF_OK); /* SUSPECT until the deadline is known */
        }
        return;
    }
    if (call->cancelling) {
        core_call_unanswered(c, call);
        return;
    }
    bool sure = call->unsure == 0 || !numbered;
    /* A release has let go of its grant: it must not end before a server has heard of it, or the
     * lock would stay held by nobody for as long as the session lives. */
    bool must_come = call->fate == FATE_REPEAT_SURE || call->op->code == OP_CODE_RELEASE;
    if (sure && !must_come) {
        core_call_over(c, call, why_not(c, call));
        return;
    }
    switch (call->fate) {
    case FATE_CANCEL:
        core_call_tell(c, call, HF_ETIMEOUT);
        call->cancelling = true;
        core_call_queue(c, call);
        break;
    case FATE_HOLD:
        call->held = true;
        if (is_at_rest(c, call)) {
            list_remove(&call->send_link);
            call->resend_ns = CORE_NEVER;
        }
        core_call_tell(c, call, HF_EUNKNOWN);
        break;
    case FATE_REPEAT: core_call_tell(c, call, HF_EUNKNOWN); break;
    case FATE_REPEAT_SURE: core_call_tell(c, call, HF_ETIMEOUT); break;
    }
}

/* Since when an answer is owed that comes at once: a CANCEL's does, and so does every answer of a
 * session that has ended. A WATCH waits, but a mark ends it: where no session lives, that alone
 * tells of a server whose machine is gone. */
static void note_asked(struct core *c, const struct call *call)
{
    bool waits = call->parks && c->session.phase != SESSION_ENDED;
    uint64_t owed_ns = waits ? CORE_NEVER : call->sent_ns;
    if (waits && call->op->code == OP_CODE_WATCH)
        owed_ns = call->sent_ns + (uint64_t)WATCH_MARK_MS * NS_PER_MS;
    if (call->request_id != 0 && owed_ns < c->link.asked_ns) c->link.asked_ns = owed_ns;
    if (call->cancel_id != 0 && call->cancel_ns < c->link.asked_ns)
        c->link.asked_ns = call->cancel_ns;
}

void core_calls_tick(struct core *c, uint64_t now_ns)
{
    c->link.asked_ns = CORE_NEVER;
    LIST_FOR_SAFE(item, &c->active)
    {
        struct call *call = CALL_OF(item, link);
        if (call->over) continue;
        note_asked(c, call);
        if (call->resend_ns <= now_ns) core_call_queue(c, call);
        core_wake(c, call->resend_ns);
        if (call->returned) continue;
        if (call->deadline_ns > now_ns) {
            core_wake(c, call->deadline_ns);
        } else {
            time_out(c, call, now_ns); /* may give the struct back; `item_next` stays good */
        }
    }
}

void core_calls_session_ended(struct core *c, int status)
{
    LIST_FOR_SAFE(item, &c->active)
    {
        struct call *call = CALL_OF(item, link);
        if (call->over || (call->op->traits & OP_SESSION) == 0) continue;
        if (call->op->code == OP_CODE_CLOSE) {
            core_call_over(c, call, HF_OK);
        } else if (call->confirming) {
            core_call_over(c, call, HF_ELOST); /* it was granted */
        } else if (call->seq == 0) {
            if (call->op->code == OP_CODE_RELEASE) core_call_over(c, call, HF_ESESSION);
        } else if (call->unsure == 0) {
            core_call_over(c, call, HF_ESESSION); /* it never arrived, and never will */
        } else if (call->cancelling || (call->returned && !call->held)) {
            core_call_over(c, call, HF_ECANCELLED); /* its effect went with the session */
        } else if (status != HF_ESESSION) {
            core_call_over(c, call, status == HF_ESUPERSEDED ? status : HF_ESESSIONUNKNOWN);
        } else if (call->request_id == 0) {
            core_call_queue(c, call); /* the ended session still tells its stored answer */
        }
    }
}

/* ------------------------------------------------------------------ the caller's ways on */

void core_detach(struct core *c, struct call *call)
{
    HF_ASSERT(call->attached);
    call->attached = false;
    list_remove(&call->done_link);
    if (list_empty(&call->link)) { /* never submitted */
        give_call_back(c, call);
        return;
    }
    core_call_settle(c, call);
}

struct call *core_call_find(struct core *c, uint64_t id)
{
    uint64_t index = id % CORE_CALLS_MAX;
    if (index >= c->call_count) return NULL;
    struct call *call = c->calls[index];
    return call->id == id && call->held && !call->attached ? call : NULL;
}

struct call *core_call_pending(struct core *c, uint64_t id)
{
    uint64_t index = id % CORE_CALLS_MAX;
    if (index >= c->call_count) return NULL;
    struct call *call = c->calls[index];
    return call->id == id && call->attached && !call->returned ? call : NULL;
}

void core_call_attach(struct core *c, struct call *call, uint64_t deadline_ns)
{
    HF_ASSERT(call->held);
    HF_ASSERT(!call->attached);
    call->attached = true;
    call->held = false;
    call->returned = false;
    call->deadline_ns = deadline_ns;
    core_wake(c, deadline_ns);
}

void core_call_retry(struct core *c, struct call *call, uint64_t deadline_ns, uint64_t now_ns)
{
    core_call_attach(c, call, deadline_ns);
    call->fate = FATE_HOLD;
    if (call->over) {
        bool lost = call->token != 0 && grants_alive(&c->grants, call->grant) == NULL;
        core_call_tell(c, call, call->status == HF_OK && lost ? HF_ELOST : call->status);
        return;
    }
    if (call->request_id == 0 && !call->confirming) core_call_queue(c, call);
    core_link_advance(c, now_ns);
    core_pump(c, now_ns);
}
