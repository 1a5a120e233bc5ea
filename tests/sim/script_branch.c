/* Tasks that move money between banks by TCC, as client/tcc.c does it: each is the coordinator of a
 * transfer for a while, and the participant of each phase that it asks for. A coordinator tries
 * both branches, decides once, and confirms or cancels both; it leaves in the middle, or dies, and
 * another task goes on from its table. A participant asks the barrier, runs the local transaction
 * (tests/sim/ledgers.h) and says how it ended; it dies, is late, fails or gives back at every step.
 * Besides come tries long after their cancel, confirms of what was never tried well, requests the
 * other way round, and some with another fingerprint. In the calm the last task of each client
 * brings all transfers to their end. */
#include "base/status.h"
#include "tests/sim/client.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    LEASE_MS_MORE = 1000,
    BODY_BYTES_MOST = 64,
    GID_BYTES = 24,
    CALM_NS = 1000000,
    DIES_ONE_OF = 24,
    NS_PER_MS = 1000000
};

static const uint64_t KEPT_LONG_MS = UINT64_C(7) * 86400000;

static struct sim *sim_of(const struct sim_task *t)
{
    return t->client->sim;
}

static struct ledgers *ledgers_of(const struct sim_task *t)
{
    return &t->client->sim->ledgers;
}

static struct transfer *transfer_of(const struct sim_task *t)
{
    HF_ASSERT(t->branch.transfer < ledgers_of(t)->count);
    return &ledgers_of(t)->transfers[t->branch.transfer];
}

static struct ledger_told *told_of(const struct sim_task *t)
{
    return &transfer_of(t)->told[t->branch.side];
}

static struct slice gid_of(const struct sim_task *t)
{
    static char text[GID_BYTES];
    (void)snprintf(text, sizeof text, "transfer-%u", t->branch.transfer);
    return slice_of(text);
}

static struct slice name_of(const struct sim_task *t)
{
    return slice_of(ledger_side_name((enum ledger_side)t->branch.side));
}

static bool is_calm(const struct sim_task *t)
{
    return sim_of(t)->calm;
}

static void rest(struct sim_task *t, enum task_step step)
{
    task_sleep(t, is_calm(t) ? CALM_NS : sim_of(t)->swarm.hold_ns, step);
}

/* ------------------------------------------------------------------ deaths */

static void count_death(struct sim_task *t, enum ledger_death death)
{
    uint32_t op = (uint32_t)t->branch.op - BRANCH_TRY;
    ledgers_of(t)->deaths[op * DEATH_COUNT + (uint32_t)death]++;
}

/* The thread that asks or says ends before it is answered; its process goes on. */
static void draw_death(struct sim_task *t)
{
    t->branch.dies = !is_calm(t) && task_draw(t, DIES_ONE_OF) == 0;
}

/* The participant's thread ends here, and nobody is told. */
static bool dies(struct sim_task *t, enum ledger_death death)
{
    bool doomed = death == DEATH_COMMITTED && t->branch.op == BRANCH_TRY && transfer_of(t)->doomed;
    if (!doomed && (is_calm(t) || task_draw(t, DIES_ONE_OF) != 0)) return false;
    count_death(t, death);
    task_think(t);
    return true;
}

void script_branch_died(struct sim_task *t)
{
    if (t->script != SCRIPT_BRANCH || t->branch.op == 0) return;
    enum task_step step = t->step == STEP_UNKNOWN ? t->held_step : t->step;
    bool under_way = t->call != NULL || t->step == STEP_UNKNOWN;
    if (step == STEP_FIRST && under_way) count_death(t, DEATH_ASKED);
    if (step == STEP_HOLD) count_death(t, DEATH_ALLOWED);
    if (step == STEP_END && !under_way && t->branch.outcome == OUTCOME_DONE)
        count_death(t, DEATH_COMMITTED);
    if (step == STEP_END && under_way) count_death(t, DEATH_SAYING);
}

/* ------------------------------------------------------------------ the coordinator */

static bool was_tried(const struct transfer *x, uint8_t how)
{
    return x->told[SIDE_OUT].tried == how || x->told[SIDE_IN].tried == how;
}

static void decide(struct sim_task *t)
{
    enum { CHANGES_MIND_ONE_OF = 12 };
    const struct transfer *x = transfer_of(t);
    bool tried =
        x->told[SIDE_OUT].tried == BRANCH_TRY_DONE && x->told[SIDE_IN].tried == BRANCH_TRY_DONE;
    bool cancels = was_tried(x, BRANCH_TRY_REFUSED) || (is_calm(t) && !tried) ||
                   task_draw(t, CHANGES_MIND_ONE_OF) == 0;
    if (cancels || tried)
        ledgers_decide(ledgers_of(t), t->branch.transfer, cancels ? BRANCH_CANCEL : BRANCH_CONFIRM);
}

/* What its transfer needs next. */
static void choose_phase(struct sim_task *t)
{
    const struct transfer *x = transfer_of(t);
    if (x->decision == 0) decide(t);
    t->branch.op = x->decision != 0 ? x->decision : BRANCH_TRY;
    t->branch.side = (uint8_t)task_draw(t, SIDE_COUNT);
    const struct ledger_told *told = told_of(t);
    bool done = x->decision != 0 ? told->ended : told->tried != BRANCH_TRY_NEVER;
    if (done) t->branch.side = (uint8_t)(SIDE_COUNT - 1 - t->branch.side);
}

/* What nobody needs, and may come all the same: a try too late, the other way round, again, or
 * with other arguments. \return false: this one must not. */
static bool choose_stray(struct sim_task *t)
{
    enum { LATE, LATER, WRONG, AGAIN, MISMATCH, WAYS };
    const struct ledgers *l = ledgers_of(t);
    uint32_t recent = l->count < LEDGER_RECENT ? l->count : LEDGER_RECENT;
    if (recent == 0) return false;
    t->branch.stray = true;
    t->branch.transfer = l->count - 1 - (uint32_t)task_draw(t, recent);
    t->branch.side = (uint8_t)task_draw(t, SIDE_COUNT);
    t->branch.op = BRANCH_TRY;
    const struct transfer *x = transfer_of(t);
    const struct ledger_told *told = told_of(t);
    if (x->brief) return false;
    switch (task_draw(t, WAYS)) {
    case WRONG:
        if (told->ended) t->branch.op = BRANCH_CONFIRM + BRANCH_CANCEL - x->decision;
        if (x->doomed) t->branch.op = BRANCH_CONFIRM;
        break;
    case AGAIN:
        if (told->ended) t->branch.op = x->decision;
        break;
    case MISMATCH:
        t->branch.other = told->ended || told->tried != BRANCH_TRY_NEVER;
        if (t->branch.other) t->branch.op = (uint8_t)(BRANCH_TRY + task_draw(t, LEDGER_OPS));
        break;
    default: break;
    }
    return true;
}

/* Of which transfer? */
static bool choose(struct sim_task *t)
{
    enum { STRAY_ONE_OF = 8, TOO_SOON_ONE_OF = 2 };
    struct ledgers *l = ledgers_of(t);
    if (t->branch.goes_on) {
        uint32_t transfer = t->branch.transfer;
        t->branch = (struct branch_hand){.transfer = transfer};
        choose_phase(t);
        return true;
    }
    t->branch = (struct branch_hand){0};
    if (!is_calm(t) && task_draw(t, STRAY_ONE_OF) == 0) return choose_stray(t);
    bool naps = sim_of(t)->swarm.nap_ns != 0; /* then retentions end */
    bool more = l->open_count < sim_of(t)->swarm.transfer_count && !is_calm(t);
    if (more && (l->open_count == 0 || task_draw(t, 2) == 0)) {
        t->branch.transfer = ledgers_open(l, &t->client->random, naps);
        HF_ASSERT(t->branch.transfer != UINT32_MAX);
        t->branch.stray = transfer_of(t)->doomed && task_draw(t, TOO_SOON_ONE_OF) == 0;
    } else if (l->open_count > 0) {
        t->branch.transfer = l->open[task_draw(t, l->open_count)];
    } else {
        return false;
    }
    choose_phase(t);
    if (t->branch.stray) t->branch.op = BRANCH_CONFIRM; /* what was never tried */
    return true;
}

/* The phase is over for this task. The coordinator goes on, or leaves its transfer as it is. */
static void go_on(struct sim_task *t)
{
    enum { LEAVES_ONE_OF = 8 };
    struct ledgers *l = ledgers_of(t);
    bool open = false;
    ledgers_settle(l, t->branch.transfer);
    for (uint32_t i = 0; i < l->open_count; i++) open = open || l->open[i] == t->branch.transfer;
    bool enough = is_calm(t) && !task_is_last(t);
    if (!open || t->branch.stray || enough) {
        task_think(t);
    } else if (!is_calm(t) && task_draw(t, LEAVES_ONE_OF) == 0) {
        l->deaths[DEATH_COUNT * LEDGER_OPS + ledgers_progress(l, t->branch.transfer)]++;
        task_think(t);
    } else {
        rest(t, STEP_FIRST);
        t->branch.goes_on = true;
    }
}

/* ------------------------------------------------------------------ asking for a phase */

static void ask(struct sim_task *t)
{
    uint8_t fingerprint[FINGERPRINT_BYTES] = {0};
    if (!choose(t)) {
        task_think(t);
        return;
    }
    const struct transfer *x = transfer_of(t);
    put_u64(fingerprint, (uint64_t)t->branch.transfer << 1 | t->branch.other);
    t->mode = MODE_SHARED; /* no lock's */
    t->lease_ms = LEASE_MS_MIN + task_draw(t, LEASE_MS_MORE);
    const struct msg_branch branch = {
        .gid = gid_of(t),
        .branch = name_of(t),
        .step = slice_of(t->branch.side == SIDE_OUT ? "take" : "give"),
        .op = t->branch.op,
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .lease_ms = t->lease_ms,
        .retain_ms = x->brief ? RETAIN_MS_MIN : KEPT_LONG_MS,
    };
    enum call_fate fate = task_draw(t, 3) == 0 ? FATE_HOLD : FATE_REPEAT;
    t->branch.was_ended = told_of(t)->ended;
    t->branch.floor_token = told_of(t)->token;
    draw_death(t);
    if (!task_call(t, OP_CODE_BRANCH, &branch, fate)) return;
    if (!is_calm(t) && task_draw(t, 16) == 0) task_come_late(t);
}

static _Noreturn void complain(const struct sim_task *t, const char *what)
{
    const struct transfer *x = transfer_of(t);
    sim_fail("transfer-%u %s: client %u asks for op %u, and is told %s (decision %u, tried %u, "
             "ended %d)",
             t->branch.transfer, ledger_side_name((enum ledger_side)t->branch.side),
             t->client->index + 1, t->branch.op, what, x->decision, told_of(t)->tried,
             told_of(t)->ended);
}

/* It may do it: was that to be? */
static void look_at_execute(const struct sim_task *t)
{
    const struct transfer *x = transfer_of(t);
    const struct ledger_told *told = told_of(t);
    if (t->branch.token <= t->branch.floor_token)
        complain(t, "to do it under a token no greater than one that was told before");
    if (t->branch.op == BRANCH_TRY && told->over_ns != 0 && told->over_ns < t->called_ns)
        complain(t, "to do it, after it was told that it has failed");
    if (t->branch.op == BRANCH_TRY && t->branch.was_ended && !x->brief)
        complain(t, "to do it, after the branch's end was told");
    if (t->branch.op == BRANCH_CONFIRM && (x->doomed || x->decision != BRANCH_CONFIRM))
        complain(t, "to do it, and nobody has decided so");
    if (t->branch.op == BRANCH_CANCEL && x->decision != BRANCH_CANCEL)
        complain(t, "to do it, and nobody has decided so");
}

static void tell_tried(struct sim_task *t, bool well)
{
    struct ledger_told *told = told_of(t);
    told->tried = well ? BRANCH_TRY_DONE : BRANCH_TRY_REFUSED;
    if (well && transfer_of(t)->doomed) complain(t, "that it was done, and nobody has said so");
    if (!well && told->over_ns == 0) told->over_ns = sim_of(t)->trace.now_ns;
}

/* What was done is known, now; what an empty rollback has done is claimed again. */
static void take_duplicate(struct sim_task *t, const struct msg_branch_reply *reply)
{
    if (t->branch.op == BRANCH_TRY) {
        tell_tried(t, reply->outcome == OUTCOME_DONE);
    } else {
        if (t->branch.op == BRANCH_CANCEL && reply->tried == BRANCH_TRY_NEVER)
            (void)ledgers_commit(ledgers_of(t), t->branch.transfer,
                                 (enum ledger_side)t->branch.side, BRANCH_CANCEL,
                                 reply->fencing_token);
        told_of(t)->ended = true;
    }
    go_on(t);
}

static void take_verdict(struct sim_task *t, const struct call *call)
{
    enum { LINGERS_ONE_OF = 12, LEASES = 2 };
    struct msg_branch_reply reply;
    int rv = codec_decode(&msg_branch_reply_type, buffer_slice(&call->reply), NULL, &reply);
    if (rv != HF_OK) sim_fail("an answer to BRANCH does not read back");
    if (t->branch.other) complain(t, "something, though its fingerprint is another one");
    bool executes = reply.verdict == BRANCH_EXECUTE;
    bool repeated = (call->flags & REPLY_REPEATED) != 0;
    if (executes && repeated && (call->flags & REPLY_STANDS) == 0) {
        task_think(t); /* somebody else has it */
        return;
    }
    t->branch.token = reply.fencing_token;
    t->branch.empty = reply.verdict == BRANCH_EMPTY_ROLLBACK;
    if (reply.verdict != BRANCH_DUPLICATE) look_at_execute(t);
    struct ledger_told *told = told_of(t);
    if (reply.fencing_token > told->token) told->token = reply.fencing_token;
    if (reply.verdict == BRANCH_DUPLICATE) {
        take_duplicate(t, &reply);
        return;
    }
    rest(t, STEP_HOLD);
    if (!is_calm(t) && task_draw(t, LINGERS_ONE_OF) == 0)
        task_sleep(t, LEASES * t->lease_ms * NS_PER_MS, STEP_HOLD);
}

/* Refused: was that to be? A branch that is kept briefly may have gone since it was confirmed. */
static void take_refusal(struct sim_task *t, int status)
{
    const struct transfer *x = transfer_of(t);
    bool gone = status == HF_ENOTRY && x->brief && x->rows[t->branch.side].effect == EFFECT_APPLIED;
    bool against = status == HF_EDECIDED || status == HF_ENOTREADY || status == HF_ENOTRY ||
                   status == HF_EHANGING;
    if (status == HF_EMISMATCH && !t->branch.other) complain(t, "that it is another request");
    if (!t->branch.other && against && t->branch.op == x->decision && !gone)
        complain(t, "that it must not be done");
    if (status == HF_EHANGING && x->decision != BRANCH_CANCEL)
        complain(t, "that it comes too late, and nobody has cancelled it");
    if (gone) {
        told_of(t)->ended = true;
        go_on(t);
    } else {
        task_think(t);
    }
}

/* ------------------------------------------------------------------ the participant */

/* Nothing was done, and somebody may ask for it again, but for a try that fails for good. */
static void fail(struct sim_task *t)
{
    t->branch.outcome = task_draw(t, 2) == 0 ? OUTCOME_RETRYABLE : OUTCOME_FAILED;
    rest(t, STEP_END);
}

static void give_back(struct sim_task *t)
{
    struct core *core = &t->client->core;
    core_abandon(core, t->branch.token, client_now(t->client));
    core_pump(core, client_now(t->client));
    go_on(t);
}

static void commit(struct sim_task *t)
{
    enum ledger_answer answer =
        ledgers_commit(ledgers_of(t), t->branch.transfer, (enum ledger_side)t->branch.side,
                       t->branch.op, t->branch.token);
    t->branch.outcome = answer == LEDGER_REFUSED ? OUTCOME_FAILED : OUTCOME_DONE;
    t->branch.refused = answer == LEDGER_STALE;
    if (t->branch.empty) {
        if (answer == LEDGER_DONE) told_of(t)->ended = true;
        go_on(t);
    } else if (t->branch.refused && task_draw(t, 2) == 0) {
        go_on(t);
    } else if (!dies(t, DEATH_COMMITTED)) {
        rest(t, STEP_END);
    }
}

static void work(struct sim_task *t)
{
    enum { FAILS, GIVES_BACK, WAYS = 16 };
    uint64_t way = is_calm(t) ? WAYS : task_draw(t, WAYS);
    if (dies(t, DEATH_ALLOWED)) return;
    if (transfer_of(t)->brief && t->branch.op == BRANCH_TRY && told_of(t)->ended) {
        task_think(t); /* as new, for the servers: too late for everybody else */
    } else if (way == FAILS && !t->branch.empty) {
        fail(t);
    } else if (way == GIVES_BACK && !t->branch.empty) {
        give_back(t);
    } else {
        commit(t);
    }
}

/* ------------------------------------------------------------------ how it ended */

static void say(struct sim_task *t)
{
    const struct msg_branch_done done = {
        .gid = gid_of(t),
        .branch = name_of(t),
        .fencing_token = t->branch.token,
        .outcome = t->branch.outcome,
        .code = (t->branch.token & UINT16_MAX) + t->branch.otherwise,
        .body = task_body(t->branch.token, BODY_BYTES_MOST),
    };
    enum call_fate fate = task_draw(t, 3) == 0 ? FATE_HOLD : FATE_REPEAT;
    draw_death(t);
    (void)task_call(t, OP_CODE_BRANCH_DONE, &done, fate);
}

static void take_end(struct sim_task *t, int verdict)
{
    enum { SAYS_AGAIN_ONE_OF = 12 };
    bool done = t->branch.outcome == OUTCOME_DONE;
    bool fine = verdict == HF_OK && !t->branch.otherwise;
    if (fine && t->branch.refused)
        complain(t, "that its end is good, and a greater token had claimed the guard");
    if (fine && t->branch.op == BRANCH_TRY && t->branch.outcome != OUTCOME_RETRYABLE)
        tell_tried(t, done);
    if (fine && t->branch.op != BRANCH_TRY && done) told_of(t)->ended = true;
    if (fine && !t->branch.again && task_draw(t, SAYS_AGAIN_ONE_OF) == 0) {
        t->branch.again = true;
        t->branch.otherwise = task_draw(t, 2) == 0 && t->branch.outcome != OUTCOME_RETRYABLE &&
                              (done || t->branch.op == BRANCH_TRY);
        rest(t, STEP_END);
    } else {
        go_on(t);
    }
}

/* ------------------------------------------------------------------ steps */

void script_branch_run(struct sim_task *t)
{
    switch (t->step) {
    case STEP_FIRST: ask(t); break;
    case STEP_HOLD: work(t); break;
    case STEP_END: say(t); break;
    default: HF_UNREACHABLE();
    }
}

void script_branch_answered(struct sim_task *t, struct call *call)
{
    bool says = call->op->code == OP_CODE_BRANCH_DONE;
    if (t->branch.dies) {
        count_death(t, says ? DEATH_SAYING : DEATH_ASKED);
        task_think(t);
    } else if (says) {
        take_end(t, call->verdict);
    } else if (call->verdict == HF_OK) {
        take_verdict(t, call);
    } else {
        take_refusal(t, call->verdict);
    }
}
