/* See examples/payment/pay.h. The happy path is run_attempt(), read from top to bottom. Every other
 * path ends in "begin again": the record then says what stands. */
#include "examples/payment/pay.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WAIT_MS = 60000,   /* for another worker that does the same payment, or uses the account */
    MOVE_MS_MAX = 500, /* what a move may take: do not begin one with less of the lease left */
    PAUSE_US = 50000,  /* before something is tried again */
    CODE_PAID = 200,   /* results' codes, as in HTTP */
    CODE_FUNDS = 402,
};

enum attempt { ATTEMPT_DONE, ATTEMPT_DECLINED, ATTEMPT_AGAIN };

/* What repetition does not mend is a defect of the program or its configuration: stop. */
static void stop_on(int status, const char *what, const struct payment *p)
{
    fprintf(stderr, "worker: cannot %s payment %s: %s (%s)\n", what, p->id, hf_status_text(status),
            hf_status_name(status));
    exit(1);
}

/* Statuses that pass by themselves, and say that nothing was done. */
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
    case HF_ERUNNING:
    case HF_EWAITTIMEOUT:
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

static int checkpoint(hf_record *record, const char *name, uint64_t number, int mark,
                      const char *data)
{
    hf_request request = {.id = 0};
    int rv = hf_record_checkpoint(record, name, number, mark, data, strlen(data), &request);
    return settle(rv, &request);
}

static int complete(hf_record *record, int outcome, uint32_t code, const char *receipt)
{
    const hf_result result = {.code = code, .body = receipt, .body_bytes = strlen(receipt)};
    hf_request request = {.id = 0};
    int rv =
        hf_record_complete(record, outcome, outcome == HF_RETRYABLE ? NULL : &result, &request);
    return settle(rv, &request);
}

static void copy_text(char *out, const void *bytes, size_t size)
{
    (void)snprintf(out, RECEIPT_BYTES, "%.*s",
                   (int)(size < RECEIPT_BYTES ? size : RECEIPT_BYTES - 1),
                   size > 0 ? (const char *)bytes : "");
}

/* ------------------------------------------------------------------ an attempt */

/* The account is locked. Announce the move, move, and say that it is done. */
static enum attempt move_money(struct payer *payer, const struct payment *p, hf_record *record,
                               const hf_grant *grant, char *receipt)
{
    uint64_t number = hf_record_look(record)->checkpoint_number;
    payer->moves += 1;

    /* From here on a death leaves the record UNKNOWN, not free to be run again. */
    if (checkpoint(record, "moving", number + 1, HF_MARK_ONCE, "") != HF_OK) return ATTEMPT_AGAIN;

    /* Is there time? A process may have been paused anywhere above. */
    if (!hf_grant_valid(grant, MOVE_MS_MAX) || !hf_record_valid(record, MOVE_MS_MAX)) {
        (void)complete(record, HF_RETRYABLE, 0, ""); /* nothing was moved: that is certain */
        return ATTEMPT_AGAIN;
    }
    if (payer->moves == payer->mishaps.stop_before_write) {
        payer->mishaps.asleep_cb(p, grant->fencing_token, payer->mishaps.data);
        (void)raise(SIGSTOP);
    }

    /* And if it is paused here, the guard refuses it. */
    enum moved moved = ledger_move(payer->ledger, p, grant->fencing_token, receipt);
    if (moved == MOVED_NOT_FENCED) {
        payer->fenced += 1;
        (void)complete(record, HF_RETRYABLE, 0, "");
        return ATTEMPT_AGAIN;
    }
    if (moved == MOVED_NOT_FUNDS) {
        receipt[0] = '\0';
        int rv = complete(record, HF_FAILED, CODE_FUNDS, "");
        return rv == HF_OK ? ATTEMPT_DECLINED : ATTEMPT_AGAIN;
    }
    if (payer->moves == payer->mishaps.die_after_move) (void)raise(SIGKILL);

    /* The effect is known: close the mark and leave the receipt to whoever takes over. */
    int rv = checkpoint(record, "moved", number + 2, HF_MARK_NONE, receipt);
    return rv == HF_OK ? ATTEMPT_DONE : ATTEMPT_AGAIN;
}

/* The record is ours to run: lock, move, unlock, complete. */
static enum attempt run_attempt(struct payer *payer, const struct payment *p, hf_record *record,
                                char *receipt)
{
    const hf_record_view *view = hf_record_look(record);
    enum attempt attempt = ATTEMPT_AGAIN;
    hf_lock *lock = NULL;
    hf_grant grant;

    if (view->verdict == HF_TAKEOVER) payer->taken_over += 1;
    if (view->checkpoint != NULL && strcmp(view->checkpoint, "moved") == 0) {
        copy_text(receipt, view->checkpoint_data,
                  view->checkpoint_bytes); /* only the end is left */
        return complete(record, HF_DONE, CODE_PAID, receipt) == HF_OK ? ATTEMPT_DONE
                                                                      : ATTEMPT_AGAIN;
    }
    if (hf_lock_new(payer->client, &lock) != HF_OK) stop_on(HF_ENOMEM, "lock the account of", p);
    int rv = hf_lock_acquire(lock, p->account, WAIT_MS, &grant, NULL);
    if (rv == HF_OK) {
        attempt = move_money(payer, p, record, &grant, receipt);
    } else if (!is_passing(rv)) {
        stop_on(rv, "lock the account of", p);
    }
    hf_lock_free(lock); /* gives it back in the background; lost or not, the guard has decided */
    if (attempt != ATTEMPT_DONE) return attempt;
    return complete(record, HF_DONE, CODE_PAID, receipt) == HF_OK ? ATTEMPT_DONE : ATTEMPT_AGAIN;
}

/* ------------------------------------------------------------------ UNKNOWN */

static int take_token(const hf_record_line *line, void *data)
{
    uint64_t *token = data;
    *token = strcmp(line->state, "UNKNOWN") == 0 ? line->fencing_token : 0;
    return 0;
}

/* An attempt died past its mark. Ask the ledger, under the account's lock and with its guard
 * claimed: only then "not booked" stays true, as the dead may just be asleep. Then decide. Whatever
 * goes wrong here, somebody else decided or will: the caller begins again. */
static void resolve(struct payer *payer, const struct payment *p)
{
    uint64_t token = 0; /* of the attempt that we look into; a newer one is not touched */
    char receipt[RECEIPT_BYTES] = "";
    char evidence[RECEIPT_BYTES * 2];
    hf_lock *lock = NULL;
    hf_grant grant;
    if (hf_record_info(payer->client, p->id, take_token, &token) != HF_OK || token == 0) return;
    if (hf_lock_new(payer->client, &lock) != HF_OK) stop_on(HF_ENOMEM, "resolve", p);
    if (hf_lock_acquire(lock, p->account, WAIT_MS, &grant, NULL) == HF_OK) {
        int booked = ledger_ask(payer->ledger, p, grant.fencing_token, receipt);
        if (booked >= 0) {
            const hf_result result = {
                .code = booked ? CODE_PAID : 0, .body = receipt, .body_bytes = strlen(receipt)};
            hf_request request = {.id = 0};
            (void)snprintf(evidence, sizeof evidence, "the ledger, guard %" PRIu64 ": %s",
                           grant.fencing_token, booked ? receipt : "not booked");
            int rv =
                hf_record_resolve(payer->client, p->id, token, booked ? HF_DONE : HF_RETRYABLE,
                                  booked ? &result : NULL, evidence, "payment worker", &request);
            if (settle(rv, &request) == HF_OK) payer->resolved += 1;
        }
    }
    hf_lock_free(lock);
}

/* ------------------------------------------------------------------ begin, and begin again */

static int begin(struct payer *payer, const struct payment *p, hf_record **record)
{
    char request_text[TEXT_BYTES * 2];
    hf_request request = {.id = 0};
    hf_begin how = {.wait_ms = WAIT_MS, .takeover = HF_TAKEOVER_AUTO};
    int size = snprintf(request_text, sizeof request_text, "%s %" PRId64, p->account, p->cents);
    hf_fingerprint(request_text, (size_t)size, how.fingerprint);
    int rv = hf_record_begin(payer->client, p->id, &how, record, &request);
    return settle(rv, &request);
}

enum paid pay(struct payer *payer, const struct payment *p, char *receipt)
{
    for (;; (void)usleep(PAUSE_US)) {
        hf_record *record = NULL;
        receipt[0] = '\0';
        int rv = begin(payer, p, &record);
        if (rv == HF_EMISMATCH) return REFUSED;
        if (rv == HF_ERECORDUNKNOWN) resolve(payer, p);
        if (rv == HF_ERECORDUNKNOWN || is_passing(rv)) continue;
        if (rv != HF_OK) stop_on(rv, "begin", p);

        const hf_record_view *view = hf_record_look(record);
        if (view->verdict == HF_REPLAY) {
            int done = view->outcome == HF_DONE;
            copy_text(receipt, view->body, view->body_bytes);
            hf_record_free(record);
            return done ? REPLAYED : DECLINED;
        }
        enum attempt attempt = run_attempt(payer, p, record, receipt);
        hf_record_free(record); /* not completed: given back, as if its lease had ended */
        if (attempt == ATTEMPT_DONE) return PAID;
        if (attempt == ATTEMPT_DECLINED) return DECLINED;
    }
}
