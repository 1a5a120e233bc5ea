/* See the header. transfer_run() reads from top to bottom; run_phase() is one phase of one branch,
 * asked for until its end is known. */
#include "examples/tcc/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LOCAL_MS_MAX = 100, /* what a local transaction may take: do not begin one with less left */
    PAUSE_US = 20000,   /* before something is asked again */
};

/* How a phase ended, whoever ended it. */
enum ended {
    ENDED_WELL,  /* it is done */
    ENDED_BADLY, /* a try: it was refused, or can never be made any more */
    ENDED_OTHER, /* a confirm or cancel: it was decided the other way */
};

static const char *const op_names[] = {
    [HF_BRANCH_TRY] = "try", [HF_BRANCH_CONFIRM] = "confirm", [HF_BRANCH_CANCEL] = "cancel"};

/* What repetition does not mend is a defect of the program or its configuration: stop. */
static void stop_on(int status, const struct leg *leg, int op)
{
    fprintf(stderr, "transfer: cannot %s the %s of %s: %s (%s)\n", op_names[op], leg->branch,
            leg->gid, hf_status_text(status), hf_status_name(status));
    exit(1);
}

/* Statuses that pass by themselves: ask anew. */
static int is_passing(int status)
{
    switch (status) {
    case HF_ECONNECT:
    case HF_EBREAKER:
    case HF_ENOTLEADER:
    case HF_ESHUTDOWN:
    case HF_ETOOBUSY:
    case HF_EUNACKED:
    case HF_ETIMEOUT:
    case HF_ESESSION:
    case HF_ELOST:
    case HF_EREPLYGONE:
    case HF_ERUNNING:
    case HF_ECANCELLED: return 1;
    default: return 0;
    }
}

/* "It may or may not have happened" is not an answer: ask again under the same number until one
 * comes. A new call would be a new request. */
static int settle(int status, hf_request *request)
{
    while (status == HF_EUNKNOWN) status = hf_request_retry(request);
    return status;
}

static void tell_step(struct coordinator *c, const struct leg *leg, int op, const char *what)
{
    char step[STEP_BYTES];
    (void)snprintf(step, sizeof step, "%s-%s-%s", leg->branch, op_names[op], what);
    if (c->step_cb != NULL) c->step_cb(step, c->data);
}

static int ask(struct coordinator *c, const struct leg *leg, int op, hf_branch **branch)
{
    char arguments[64];
    hf_request request = {.id = 0};
    hf_branch_how how = {.gid = leg->gid,
                         .branch = leg->branch,
                         .step = leg->account,
                         .op = op,
                         .lease_ms = c->lease_ms};
    int size = snprintf(arguments, sizeof arguments, "%" PRId64, leg->cents);
    hf_fingerprint(arguments, (size_t)size, how.fingerprint);
    int rv = hf_branch_ask(c->client, &how, branch, &request);
    return settle(rv, &request);
}

/* ------------------------------------------------------------------ one phase */

/* The phase is ours: do it in the ledger, and say how it ended. \return 1, *ended is written; 0:
 * ask again, the barrier says what stands. */
static int execute(struct coordinator *c, const struct leg *leg, int op, hf_branch *branch,
                   enum ended *ended)
{
    const hf_branch_view *view = hf_branch_look(branch);
    int empty = view->verdict == HF_BRANCH_EMPTY_ROLLBACK;
    uint32_t code = 0;
    hf_request request = {.id = 0};
    if (view->takeover) c->taken_over += 1;

    /* Is there time? A process may have been paused anywhere above. */
    if (!empty && !hf_branch_valid(branch, LOCAL_MS_MAX)) return 0;
    tell_step(c, leg, op, "asked");

    /* And if it is paused here, the guard refuses it. */
    enum phase_result result = ledger_phase(leg, op, view->fencing_token, &code);
    if (result == PHASE_FENCED) {
        c->fenced += 1;
        return 0;
    }
    tell_step(c, leg, op, "committed");
    *ended = result == PHASE_COMMITTED ? ENDED_WELL : ENDED_BADLY;
    if (empty) { /* it has ended by itself; the claim keeps a late try out of the ledger */
        c->empty += 1;
        return 1;
    }
    int outcome = result == PHASE_COMMITTED ? HF_DONE : HF_FAILED;
    int rv = settle(hf_branch_done(branch, outcome, code, NULL, 0, &request), &request);
    if (rv != HF_OK) return 0;
    tell_step(c, leg, op, "done");
    return 1;
}

/* Ask for a phase until it is known how it ended, by us or by somebody else. */
static enum ended run_phase(struct coordinator *c, const struct leg *leg, int op)
{
    for (;; (void)usleep(PAUSE_US)) {
        hf_branch *branch = NULL;
        enum ended ended;
        int rv = ask(c, leg, op, &branch);
        if (rv == HF_EHANGING) return ENDED_BADLY; /* it was cancelled, or is being cancelled */
        if (rv == HF_EDECIDED) return ENDED_OTHER;
        if (is_passing(rv)) continue;
        if (rv != HF_OK) stop_on(rv, leg, op);

        const hf_branch_view *view = hf_branch_look(branch);
        int known = 1;
        if (view->verdict == HF_BRANCH_DUPLICATE) {
            ended = view->outcome == HF_DONE ? ENDED_WELL : ENDED_BADLY;
        } else {
            known = execute(c, leg, op, branch, &ended);
        }
        hf_branch_free(branch); /* not done: given back, as if its lease had ended */
        if (known) return ended;
    }
}

/* ------------------------------------------------------------------ a transfer */

int transfer_run(struct coordinator *c, const struct transfer *t)
{
    int op = HF_BRANCH_CANCEL;
    if (!c->give_up && run_phase(c, &t->debit, HF_BRANCH_TRY) == ENDED_WELL &&
        run_phase(c, &t->credit, HF_BRANCH_TRY) == ENDED_WELL) {
        op = HF_BRANCH_CONFIRM;
    }

    /* The decision is the debit's, for everybody: of a confirm and a cancel that come at the same
     * time its barrier lets one through, and tells the other that it was decided. So the credit is
     * never asked first. */
    if (run_phase(c, &t->debit, op) == ENDED_OTHER) {
        op = op == HF_BRANCH_CANCEL ? HF_BRANCH_CONFIRM : HF_BRANCH_CANCEL;
        if (run_phase(c, &t->debit, op) != ENDED_WELL) stop_on(HF_EDECIDED, &t->debit, op);
    }
    if (run_phase(c, &t->credit, op) != ENDED_WELL) stop_on(HF_EDECIDED, &t->credit, op);
    return op == HF_BRANCH_CONFIRM;
}
