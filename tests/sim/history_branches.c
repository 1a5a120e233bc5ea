/* See the header. */
#include "tests/sim/history_branches.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/status.h"
#include "protocol/frame.h"
#include "protocol/messages.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"

enum { LIST_BYTES_MAX = 1 << 20, SIDES = 2, ROWS_FIRST = 256 };

const char *history_branch_event_name(enum history_branch_event event)
{
    static const char *const names[HISTORY_BRANCH_EVENTS] = {
        "try",           "confirm",       "cancel-open",    "cancel",    "over-try",
        "over-confirm",  "over-cancel",   "empty",          "again-try", "again-refused",
        "again-confirm", "again-cancel",  "hanging",        "not-ready", "no-try",
        "not-confirmed", "not-cancelled", "running",        "mismatch",  "frozen",
        "quota",         "tried",         "refused",        "confirmed", "cancelled",
        "failed",        "said-again",    "said-otherwise", "stale",     "lapsed",
        "given-back",    "reaped",        "repeated"};
    HF_ASSERT(event < HISTORY_BRANCH_EVENTS);
    return names[event];
}

static uint64_t now_ms(const struct history *h)
{
    return machine_time_ms(h->machine);
}

static void count(struct history *h, enum history_branch_event event)
{
    h->branch_counts[event]++;
}

/* The row of "out" or "in" of a transfer. \param index  Out: its number. */
static struct history_branch *branch_of(struct history *h, struct slice gid, struct slice branch,
                                        uint32_t *index)
{
    bool in = slice_equal(branch, slice_of("in"));
    HF_ASSERT(in || slice_equal(branch, slice_of("out")));
    *index = history_thing(gid) * SIDES + in;
    while (*index >= h->branch_places) {
        size_t before = h->branch_places;
        h->branch_places = before == 0 ? ROWS_FIRST : before * 2;
        h->branches = realloc(h->branches, h->branch_places * sizeof *h->branches);
        HF_ASSERT(h->branches != NULL);
        memset(h->branches + before, 0, (h->branch_places - before) * sizeof *h->branches);
    }
    return &h->branches[*index];
}

void history_branches_close(struct history *h)
{
    free(h->branches);
    h->branches = NULL;
    h->branch_places = 0;
}

static bool is_open(const struct history_branch *b)
{
    return b->state == BRANCH_TRYING || b->state == BRANCH_CONFIRMING ||
           b->state == BRANCH_CANCELLING;
}

static bool is_finished(const struct history_branch *b)
{
    return b->state == BRANCH_CONFIRMED || b->state == BRANCH_CANCELLED;
}

static uint64_t hash_of(struct slice bytes)
{
    return hash64(0, bytes.data, bytes.size);
}

/* Never 0. */
static uint64_t hash_end(const struct msg_branch_done *done)
{
    return hash64(done->outcome << 32 | done->code, done->body.data, done->body.size) | 1;
}

/* ------------------------------------------------------------------ what time does */

void history_branches_sweep(struct history *h, uint64_t at_ms)
{
    for (size_t i = 0; i < h->branch_places; i++) {
        struct history_branch *b = &h->branches[i];
        if (b->until_ms != 0 && b->until_ms <= at_ms) {
            b->until_ms = 0;
            b->lapsed = true;
            count(h, BRANCH_EVENT_LAPSED);
        } else if (is_finished(b) && b->since_ms + b->retain_ms <= at_ms) {
            *b = (struct history_branch){0};
            count(h, BRANCH_EVENT_REAPED);
        }
    }
}

void history_branch_abandoned(struct history *h, uint64_t session, uint32_t thing, uint64_t token)
{
    HF_ASSERT(thing < h->branch_places);
    struct history_branch *b = &h->branches[thing];
    if (!is_open(b) || b->lapsed || b->token != token || b->session != session) return;
    b->until_ms = 0;
    b->lapsed = true;
    count(h, BRANCH_EVENT_GIVEN_BACK);
}

/* ------------------------------------------------------------------ the table */

/* A cell of it. */
struct cell {
    int status;                      /* the answer */
    enum branch_verdict verdict;     /* with HF_OK */
    enum branch_state begins;        /* with EXECUTE: this phase */
    enum history_branch_event event; /* for people */
};

static struct cell refusal(int status, enum history_branch_event event)
{
    return (struct cell){.status = status, .event = event};
}

static struct cell told(enum history_branch_event event)
{
    return (struct cell){.status = HF_OK, .verdict = BRANCH_DUPLICATE, .event = event};
}

static struct cell phase(enum branch_state begins, enum history_branch_event event)
{
    return (struct cell){HF_OK, BRANCH_EXECUTE, begins, event};
}

/* Of a phase that is open: it runs, or has lapsed. */
static struct cell cell_open(const struct history_branch *b, enum history_branch_event over)
{
    return b->lapsed ? phase((enum branch_state)b->state, over)
                     : refusal(HF_ERUNNING, BRANCH_EVENT_RUNNING);
}

static struct cell cell_try(const struct history_branch *b)
{
    switch ((enum branch_state)b->state) {
    case BRANCH_NONE: return phase(BRANCH_TRYING, BRANCH_EVENT_TRY);
    case BRANCH_TRYING: return cell_open(b, BRANCH_EVENT_OVER_TRY);
    case BRANCH_TRY_FAILED: return told(BRANCH_EVENT_AGAIN_REFUSED);
    case BRANCH_TRIED:
    case BRANCH_CONFIRMING:
    case BRANCH_CONFIRMED: return told(BRANCH_EVENT_AGAIN_TRY);
    case BRANCH_CANCELLING:
    case BRANCH_CANCELLED: break;
    }
    return refusal(HF_EHANGING, BRANCH_EVENT_HANGING);
}

static struct cell cell_confirm(const struct history_branch *b)
{
    switch ((enum branch_state)b->state) {
    case BRANCH_NONE:
    case BRANCH_TRY_FAILED: return refusal(HF_ENOTRY, BRANCH_EVENT_NO_TRY);
    case BRANCH_TRYING: return refusal(HF_ENOTREADY, BRANCH_EVENT_NOT_READY);
    case BRANCH_TRIED: return phase(BRANCH_CONFIRMING, BRANCH_EVENT_CONFIRM);
    case BRANCH_CONFIRMING: return cell_open(b, BRANCH_EVENT_OVER_CONFIRM);
    case BRANCH_CONFIRMED: return told(BRANCH_EVENT_AGAIN_CONFIRM);
    case BRANCH_CANCELLING:
    case BRANCH_CANCELLED: break;
    }
    return refusal(HF_EDECIDED, BRANCH_EVENT_NOT_CONFIRMED);
}

static struct cell cell_cancel(const struct history_branch *b)
{
    switch ((enum branch_state)b->state) {
    case BRANCH_NONE:
        return (struct cell){.status = HF_OK,
                             .verdict = BRANCH_EMPTY_ROLLBACK,
                             .begins = BRANCH_CANCELLED,
                             .event = BRANCH_EVENT_EMPTY};
    case BRANCH_TRYING: return phase(BRANCH_CANCELLING, BRANCH_EVENT_CANCEL_OPEN);
    case BRANCH_TRIED:
    case BRANCH_TRY_FAILED: return phase(BRANCH_CANCELLING, BRANCH_EVENT_CANCEL);
    case BRANCH_CANCELLING: return cell_open(b, BRANCH_EVENT_OVER_CANCEL);
    case BRANCH_CANCELLED: return told(BRANCH_EVENT_AGAIN_CANCEL);
    case BRANCH_CONFIRMING:
    case BRANCH_CONFIRMED: break;
    }
    return refusal(HF_EDECIDED, BRANCH_EVENT_NOT_CANCELLED);
}

static struct cell cell_of(const struct history *h, const struct history_branch *b,
                           const struct msg_branch *ask, uint64_t print)
{
    if (b->state != BRANCH_NONE && b->print != print)
        return refusal(HF_EMISMATCH, BRANCH_EVENT_MISMATCH);
    if (ask->op == BRANCH_TRY && history_is_frozen(h, ask->gid))
        return refusal(HF_EFROZEN, BRANCH_EVENT_FROZEN);
    if (ask->op == BRANCH_TRY) return cell_try(b);
    return ask->op == BRANCH_CONFIRM ? cell_confirm(b) : cell_cancel(b);
}

/* ------------------------------------------------------------------ BRANCH */

/* A phase begins, or the rollback of nothing has begun and ended. */
static void start(struct history *h, struct history_branch *b, const struct msg_branch *ask,
                  enum branch_state state, const struct history_answer *a)
{
    bool again = b->state == state;
    if (a->token <= b->token)
        sim_fail("transfer-%u: a phase has token %" PRIu64 ", and one before it %" PRIu64,
                 a->thing / SIDES, a->token, b->token);
    struct history_token what = {.session = a->session, .thing = a->thing, .branch = true};
    history_add_token(h, a->token, &what);
    if (b->state == BRANCH_NONE) b->retain_ms = ask->retain_ms;
    b->token = a->token;
    b->attempt = again ? b->attempt + 1 : 1;
    if (!again) b->failed_count = 0;
    b->session = a->session;
    b->state = (uint8_t)state;
    b->lapsed = false;
    b->until_ms = state == BRANCH_CANCELLED ? 0 : now_ms(h) + ask->lease_ms;
    b->since_ms = now_ms(h);
    b->code = 0;
    b->body_hash = hash_of(slice_make(NULL, 0));
    b->end_hash = 0;
    if (state == BRANCH_TRYING) {
        b->tried = BRANCH_TRY_OPEN;
        b->try_token = a->token;
    } else if (b->tried == BRANCH_TRY_OPEN) {
        b->tried = BRANCH_TRY_UNKNOWN;
    }
}

/* Does an answer with a verdict say what there is? */
static bool is_right(const struct history_branch *b, const struct msg_branch_reply *r, uint64_t op,
                     enum branch_verdict verdict)
{
    uint64_t hash = hash_of(r->body);
    if (r->verdict != (uint64_t)verdict || r->state != b->state || r->tried != b->tried)
        return false;
    if (verdict != BRANCH_DUPLICATE)
        return r->fencing_token == b->token && r->attempt == b->attempt &&
               r->takeover == (b->attempt > 1) && r->outcome == 0 && r->code == 0 &&
               r->body.size == 0;
    if (op == BRANCH_TRY)
        return r->fencing_token == b->try_token && r->attempt == 0 && r->code == b->try_code &&
               r->outcome == (b->tried == BRANCH_TRY_DONE ? OUTCOME_DONE : OUTCOME_FAILED) &&
               hash == b->try_body_hash;
    return r->fencing_token == b->token && r->attempt == b->attempt && r->code == b->code &&
           r->outcome == OUTCOME_DONE && hash == b->body_hash;
}

/* What a refusal says besides. */
static bool is_right_refusal(struct history *h, const struct history_branch *b,
                             const struct machine_reply *reply)
{
    struct msg_branch_state detail;
    struct msg_running running;
    if (reply->status == HF_EFROZEN) return true;
    if (reply->status == HF_ERUNNING) {
        history_decode(h, &msg_running_type, reply->body, &running);
        uint64_t left_ms =
            b->until_ms > now_ms(h) ? b->until_ms - now_ms(h) : 0; /* not swept yet */
        return running.attempt == b->attempt && running.lease_left_ms == left_ms;
    }
    history_decode(h, &msg_branch_state_type, reply->body, &detail);
    return detail.state == b->state && detail.tried == b->tried && detail.code == b->code;
}

static bool is_verdict(int status)
{
    return status == HF_OK || status == HF_ERUNNING || status == HF_ENOTREADY ||
           status == HF_ENOTRY || status == HF_EDECIDED || status == HF_EHANGING ||
           status == HF_EMISMATCH || status == HF_EFROZEN;
}

/* Caps are looked at last, and for a new branch alone. */
static bool may_be_over_quota(const struct history *h, const struct history_branch *b,
                              const struct cell *cell)
{
    bool any = h->set_counts[SETTING_PRINCIPAL_RECORDS_MAX] > 0 ||
               h->set_counts[SETTING_PRINCIPAL_BYTES_MAX] > 0;
    return b->state == BRANCH_NONE && cell->begins == BRANCH_TRYING && any;
}

/* It is let through, or told what was done. */
static bool take_verdict(struct history *h, struct history_branch *b, struct history_answer *a,
                         const struct msg_branch *ask, const struct cell *cell,
                         const struct machine_reply *reply)
{
    struct msg_branch_reply r;
    history_decode(h, &msg_branch_reply_type, reply->body, &r);
    a->token = r.fencing_token;
    if (cell->verdict != BRANCH_DUPLICATE) start(h, b, ask, cell->begins, a);
    return r.referent == REFERENT_WHOLE && is_right(b, &r, ask->op, cell->verdict);
}

static void asked(struct history *h, struct history_answer *a, struct slice request,
                  const struct machine_reply *reply)
{
    struct msg_branch ask; /* borrows from the request alone */
    history_decode(h, &msg_branch_type, request, &ask);
    struct history_branch *b = branch_of(h, ask.gid, ask.branch, &a->thing);
    uint64_t print = hash64(hash_of(ask.fingerprint), ask.step.data, ask.step.size);
    struct cell cell = cell_of(h, b, &ask, print);
    a->print = ask.op;
    if (reply->status == HF_EQUOTA && may_be_over_quota(h, b, &cell)) {
        count(h, BRANCH_EVENT_QUOTA);
        return;
    }
    if (!is_verdict(reply->status) && reply->status != HF_EQUOTA) return; /* its session */
    if (reply->status != cell.status)
        sim_fail("transfer-%u: op %" PRIu64 " of a branch in state %u, tried %u, is answered %s: "
                 "%s is right",
                 a->thing / SIDES, ask.op, b->state, b->tried, status_name(reply->status),
                 status_name(cell.status));
    count(h, cell.event);
    if (b->state == BRANCH_NONE) b->print = print;
    bool right = reply->status == HF_OK ? take_verdict(h, b, a, &ask, &cell, reply)
                                        : is_right_refusal(h, b, reply);
    if (!right)
        sim_fail("transfer-%u: its branch is in state %u, tried %u, token %" PRIu64
                 ", and the answer (%s) says something else",
                 a->thing / SIDES, b->state, b->tried, b->token, status_name(reply->status));
}

/* The body is looked up again, if it is still there; and whether the phase goes on. */
void history_branch_repeated(struct history *h, const struct history_answer *a,
                             const struct machine_reply *reply)
{
    struct msg_branch_reply r;
    if (a->op != OP_CODE_BRANCH || reply->status != HF_OK) return;
    HF_ASSERT(a->thing < h->branch_places);
    const struct history_branch *b = &h->branches[a->thing];
    history_decode(h, &msg_branch_reply_type, reply->body, &r);
    bool stands = (reply->flags & REPLY_STANDS) != 0;
    if (r.fencing_token != a->token || stands != (is_open(b) && b->token == a->token))
        sim_fail("transfer-%u: BRANCH is answered again with token %" PRIu64 ", that stands: %d; "
                 "it had %" PRIu64 ", and the branch is in state %u of %" PRIu64,
                 a->thing / SIDES, r.fencing_token, stands, a->token, b->state, b->token);
    bool of_try = b->try_token == a->token && b->try_end_hash != 0;
    bool of_end = b->token == a->token && is_finished(b);
    bool told_body = r.verdict == BRANCH_DUPLICATE && r.referent == REFERENT_WHOLE;
    bool known =
        of_end ? hash_of(r.body) == b->body_hash : of_try && hash_of(r.body) == b->try_body_hash;
    if (told_body && r.body.size > 0 && !known)
        sim_fail("transfer-%u: BRANCH is answered again with another result", a->thing / SIDES);
    bool gone = r.verdict == BRANCH_DUPLICATE && r.referent == REFERENT_GONE;
    if (gone && (of_try || of_end))
        sim_fail("transfer-%u: its result is told as gone, and is there", a->thing / SIDES);
    count(h, BRANCH_EVENT_REPEATED);
}

/* ------------------------------------------------------------------ BRANCH_DONE */

/* What the token's phase has said of its end; 0 = nothing. */
static uint64_t said_before(const struct history_branch *b, uint64_t token)
{
    if (b->token == token && b->end_hash != 0) return b->end_hash;
    return b->try_token == token ? b->try_end_hash : 0;
}

static enum history_branch_event end_phase(struct history_branch *b,
                                           const struct msg_branch_done *done, uint64_t at_ms)
{
    bool tries = b->state == BRANCH_TRYING;
    bool confirms = b->state == BRANCH_CONFIRMING;
    b->until_ms = 0;
    b->code = done->code;
    b->end_hash = hash_end(done);
    if (done->outcome != OUTCOME_DONE && (!tries || done->outcome == OUTCOME_RETRYABLE)) {
        b->failed_count += done->outcome == OUTCOME_FAILED;
        b->lapsed = true;
        return BRANCH_EVENT_FAILED;
    }
    b->lapsed = false;
    b->since_ms = at_ms;
    if (!tries) {
        b->body_hash = hash_of(done->body);
        b->state = confirms ? BRANCH_CONFIRMED : BRANCH_CANCELLED;
        return confirms ? BRANCH_EVENT_CONFIRMED : BRANCH_EVENT_CANCELLED;
    }
    bool well = done->outcome == OUTCOME_DONE;
    b->try_end_hash = b->end_hash;
    b->try_code = done->code;
    b->try_body_hash = hash_of(done->body);
    b->tried = well ? BRANCH_TRY_DONE : BRANCH_TRY_REFUSED;
    b->state = well ? BRANCH_TRIED : BRANCH_TRY_FAILED;
    return well ? BRANCH_EVENT_TRIED : BRANCH_EVENT_REFUSED;
}

static void ended(struct history *h, struct history_answer *a, struct slice request,
                  const struct machine_reply *reply)
{
    struct msg_branch_done done;
    int status = reply->status;
    history_decode(h, &msg_branch_done_type, request, &done);
    struct history_branch *b = branch_of(h, done.gid, done.branch, &a->thing);
    if (status != HF_OK && status != HF_ESTALE && status != HF_ECONFLICT) return; /* its session */
    uint64_t said = said_before(b, done.fencing_token);
    bool own = is_open(b) && b->token == done.fencing_token;
    bool again = said != 0 && said == hash_end(&done);
    int right = again || own ? HF_OK : said != 0 ? HF_ECONFLICT : HF_ESTALE;
    if (status != right)
        sim_fail("transfer-%u: the end of phase %" PRIu64 " is answered %s, in state %u of phase "
                 "%" PRIu64 ": %s is right",
                 a->thing / SIDES, done.fencing_token, status_name(status), b->state, b->token,
                 status_name(right));
    if (again) {
        count(h, BRANCH_EVENT_SAID_AGAIN);
    } else if (own) {
        count(h, end_phase(b, &done, now_ms(h)));
    } else if (said != 0) {
        count(h, BRANCH_EVENT_SAID_OTHERWISE);
    } else {
        count(h, BRANCH_EVENT_STALE);
        if (!is_right_refusal(h, b, reply))
            sim_fail("transfer-%u: a stale end is told of another state", a->thing / SIDES);
    }
}

void history_branch_answered(struct history *h, struct history_answer *a, struct slice request,
                             const struct machine_reply *reply)
{
    if (a->op == OP_CODE_BRANCH) asked(h, a, request, reply);
    if (a->op == OP_CODE_BRANCH_DONE) ended(h, a, request, reply);
}

/* ------------------------------------------------------------------ what the machine shows */

static void look_at_line(struct history *h, const struct branch_line *line)
{
    uint32_t index;
    const struct history_branch *b = branch_of(h, line->gid, line->branch, &index);
    uint64_t until_ms = is_finished(b) ? b->since_ms + b->retain_ms : b->until_ms;
    uint64_t left_ms = until_ms > now_ms(h) ? until_ms - now_ms(h) : 0;
    bool same = line->state == b->state && line->lapsed == b->lapsed && line->tried == b->tried &&
                line->fencing_token == b->token && line->attempt == b->attempt &&
                line->failed_count == b->failed_count && line->code == b->code &&
                line->since_ms == b->since_ms && line->left_ms == left_ms;
    if (!same)
        sim_fail("transfer-%u: LIST shows state %" PRIu64 " of phase %" PRIu64 ", %" PRIu64
                 " ms left: it is in state %u of phase %" PRIu64 ", %" PRIu64 " ms left",
                 index / SIDES, line->state, line->fencing_token, line->left_ms, b->state, b->token,
                 left_ms);
}

/* \param list  in, out: the cursor, which borrows from `body`. */
static uint32_t look_at_page(struct history *h, struct msg_branch_list *list, struct buffer *body)
{
    struct msg_branch_list_reply page;
    int status;
    buffer_clear(body);
    int rv = machine_read(h->machine, OP_CODE_BRANCH_LIST, list, 0, body, &status);
    HF_ASSERT(rv == HF_OK && status == HF_OK);
    history_decode(h, &msg_branch_list_reply_type, buffer_slice(body), &page);
    const struct branch_line *lines = page.branches.items;
    for (uint32_t i = 0; i < page.branches.count; i++) look_at_line(h, &lines[i]);
    list->cursor_gid = page.cursor_gid;
    list->cursor_branch = page.cursor_branch;
    return page.branches.count;
}

void history_branches_audit(struct history *h)
{
    struct msg_branch_list list = {.count_max = PAGE_ITEMS_MAX};
    struct buffer bodies[2]; /* a page, and the one before, which has the cursor */
    uint64_t there = 0, seen = 0;
    unsigned pages = 0;
    for (size_t i = 0; i < h->branch_places; i++) there += h->branches[i].state != BRANCH_NONE;
    for (unsigned i = 0; i < HF_ARRAY_COUNT(bodies); i++) buffer_init(&bodies[i], LIST_BYTES_MAX);
    do seen += look_at_page(h, &list, &bodies[pages++ % 2]);
    while (list.cursor_gid.size > 0);
    if (there != seen)
        sim_fail("LIST shows %" PRIu64 " branches, and there are %" PRIu64, seen, there);
    for (unsigned i = 0; i < HF_ARRAY_COUNT(bodies); i++) buffer_close(&bodies[i]);
}
