/* What is wanted no more: grants that are let go of, held requests that are cancelled, calls that
 * are interrupted while somebody waits for them. A request that may have arrived is ended by
 * CANCEL, under the contract's rule that its number then has no effect, now or later; what it
 * brought nevertheless goes back with ABANDON. docs/contract.md, section 2. */
#include "client/core.h"

#include "base/status.h"

/* A call that waits for its deadline hears that there is none any more. */
static void end_slot(struct core *c, struct slot *s)
{
    struct call *waiting = s->confirm;
    s->confirm = NULL;
    grants_end(&c->grants, s, SLOT_ENDED);
    if (waiting != NULL) core_call_over(c, waiting, HF_ELOST);
}

void core_forget_grant(struct core *c, struct grant_ref ref)
{
    struct slot *s = grants_alive(&c->grants, ref);
    if (s != NULL) end_slot(c, s);
}

void core_drop_grant(struct core *c, struct grant_ref ref, uint64_t now_ns)
{
    struct slot *s = grants_alive(&c->grants, ref);
    if (s == NULL) return;
    end_slot(c, s);
    if (s->kind == SLOT_ATTEMPT) core_calls_attempt_lost(c, ref);
    core_abandon(c, s->token, now_ns);
    core_pump(c, now_ns);
}

void core_count_down(struct core *c, struct slot *s, uint64_t now_ns)
{
    struct msg_release release = {.fencing_token = s->token, .owner = s->owner};
    struct call *call;
    HF_ASSERT(s->kind == SLOT_GRANT);
    if (core_call_new(c, OP_CODE_RELEASE, &release, &call) != HF_OK) {
        core_lose(c, s, true, 0, now_ns); /* too many calls under way: all of it goes back */
        return;
    }
    call->attached = false;
    call->fate = FATE_REPEAT_SURE;
    core_submit(c, call, CORE_NEVER, now_ns);
}

/* The grant of a call that is unwanted, though it was answered. */
static void give_back(struct core *c, struct call *call, uint64_t now_ns)
{
    struct slot *s = grants_alive(&c->grants, call->grant);
    if (s == NULL || s->count == 1) {
        core_drop_grant(c, call->grant, now_ns);
        return;
    }
    s->count -= 1;
    core_count_down(c, s, now_ns);
}

/* What it brought goes back, or CANCEL is sent for it. The call may be gone afterwards. */
static void revoke(struct core *c, struct call *call, uint64_t now_ns)
{
    HF_ASSERT(call->cancelling);
    if (call->over) {
        if (call->token != 0) give_back(c, call, now_ns);
    } else if (call->confirming) { /* its number is acknowledged: CANCEL would find nothing */
        struct slot *s = grants_alive(&c->grants, call->grant);
        HF_ASSERT(s != NULL && s->confirm == call);
        s->confirm = NULL;
        give_back(c, call, now_ns);
        core_call_over(c, call, HF_ELOST);
    } else if (call->request_id == 0 || core_takes_cancel(call)) {
        list_remove(&call->send_link);
        core_call_queue(c, call);
        core_link_advance(c, now_ns);
        core_pump(c, now_ns);
    }
}

void core_drop_held(struct core *c, const void *handle, uint64_t now_ns)
{
    for (uint32_t i = 0; i < c->call_count; i++) { /* the table, as revoke() changes the lists */
        struct call *call = c->calls[i];
        if (!call->held || call->attached || call->handle != handle) continue;
        call->cancelling = true;
        if (call->over) {
            revoke(c, call, now_ns);
            call->held = false;
            core_call_settle(c, call);
        } else {
            call->held = false;
            revoke(c, call, now_ns);
        }
    }
}

void core_call_cancel(struct core *c, struct call *call, uint64_t deadline_ns, uint64_t now_ns)
{
    core_call_attach(c, call, deadline_ns);
    call->cancelling = true;
    bool over = call->over;
    revoke(c, call, now_ns);
    if (over) core_call_tell(c, call, core_call_verdict(call, call->status));
}

/* ------------------------------------------------------------------ while somebody waits */

void core_call_unanswered(struct core *c, struct call *call)
{
    HF_ASSERT(call->cancelling);
    bool nothing_stays = call->interrupted && core_goes_back(call);
    core_call_tell(c, call, nothing_stays ? HF_ETIMEOUT : HF_EUNKNOWN);
}

/* Nobody waits for the answer any more: a release is repeated, everything else cancelled. */
static void leave(struct core *c, struct call *call)
{
    call->deadline_ns = CORE_NEVER;
    if (call->cancelling) {
        core_call_unanswered(c, call);
    } else {
        call->fate = FATE_REPEAT_SURE;
        core_call_tell(c, call, HF_ETIMEOUT);
    }
}

void core_call_interrupt(struct core *c, struct call *call, uint64_t deadline_ns, uint64_t now_ns)
{
    HF_ASSERT(!list_empty(&call->link));
    if (!call->attached || call->returned) return;
    bool sure = call->unsure == 0 || (call->op->traits & OP_NUMBERED) == 0;
    if (call->cancelling || !core_takes_cancel(call)) {
        leave(c, call);
    } else if (sure && !call->confirming) {
        core_call_over(c, call, HF_ECANCELLED);
    } else {
        call->cancelling = call->interrupted = true;
        if (deadline_ns < call->deadline_ns) call->deadline_ns = deadline_ns;
        core_wake(c, call->deadline_ns);
        revoke(c, call, now_ns);
    }
}

static bool is_waited_for(const struct call *call)
{
    return call->attached && !list_empty(&call->link) && call->op->code != OP_CODE_CLOSE;
}

void core_interrupt_all(struct core *c, const void *handle, uint64_t deadline_ns, uint64_t now_ns)
{
    for (uint32_t i = 0; i < c->call_count; i++) { /* the table, as revoke() changes the lists */
        struct call *call = c->calls[i];
        if (is_waited_for(call) && (handle == NULL || call->handle == handle))
            core_call_interrupt(c, call, deadline_ns, now_ns);
    }
}

void core_interrupt_undoable(struct core *c, uint64_t deadline_ns, uint64_t now_ns)
{
    for (uint32_t i = 0; i < c->call_count; i++) {
        struct call *call = c->calls[i];
        if (!is_waited_for(call)) continue;
        if ((call->op->traits & OP_NUMBERED) == 0 || core_goes_back(call))
            core_call_interrupt(c, call, deadline_ns, now_ns);
    }
}
