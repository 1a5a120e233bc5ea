/* What a thread of a client does with the library, and the lines that this becomes; of locks it is
 * in worker_lock.c.
 *
 * A lease in a history is what the library's user may believe: hf_grant_left_ms(), not what the
 * server was asked for. So `renew` lines are beliefs, and so is what an acquire or a begin brought:
 * the session may have been renewed longer ago than that request was sent, and when its local
 * deadline passes the library gives everything back behind its caller's back. An acquire whose
 * answer came too late, or never, promises one millisecond. */
#include "jepsen/run/workload.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AGAIN_MS = 50 }; /* between two tries of what must be done in the end */

void worker_begin(struct worker *w, struct journal_line *line, const char *model, const char *op,
                  const char *key)
{
    w->tape->ids += 1;
    *line = (struct journal_line){.id = w->first_id + w->tape->ids, .client = w->name, .op = op};
    line->model = model;
    line->key = key;
}

void worker_call(struct worker *w, struct journal_line *line)
{
    line->call_ns = journal_now_ns();
    tape_open_call(w->tape, line);
}

void worker_end(struct worker *w, struct journal_line *line, enum journal_outcome outcome,
                const char *error)
{
    HF_ASSERT(line->call_ns != 0);
    line->ret_ns = journal_now_ns();
    line->outcome = outcome;
    line->error = error;
    tape_put(w->tape, line);
    if (outcome != JOURNAL_UNKNOWN) atomic_fetch_add(&w->signal->answered, 1);
}

uint64_t worker_number(const struct worker *w)
{
    uint64_t number = w->first_id + w->tape->ids;
    HF_ASSERT(number <= UINT32_MAX);
    return number;
}

/* What a status proves of any operation: nothing was done (its word), or nothing at all (NULL). */
static bool find_word(int status, const char **word)
{
    switch (status) {
    case HF_EUNKNOWN:
    case HF_ETIMEOUT:
    case HF_ELOST:
    case HF_ESESSIONUNKNOWN: *word = NULL; return true;
    case HF_ETOOBUSY:
    case HF_EUNACKED:
    case HF_EQUOTA: *word = "overloaded"; return true;
    case HF_ENOSPACE: *word = "no_space"; return true;
    case HF_ENOTLEADER: *word = "not_leader"; return true;
    case HF_EBREAKER:
    case HF_ECONNECT: *word = "not_sent"; return true;
    case HF_ESHUTDOWN: *word = "shutdown"; return true;
    case HF_ECANCELLED: *word = "canceled"; return true;
    case HF_EWAITTIMEOUT:
    case HF_EDELAYED:
    case HF_ESESSION: *word = "refused"; return true;
    default: return false;
    }
}

void worker_end_status(struct worker *w, struct journal_line *line, int status)
{
    const char *word = NULL;
    if (!find_word(status, &word)) {
        fprintf(stderr, "defect: %s of %s by %s answered %s (%s)\n", line->op, line->key, w->name,
                hf_status_name(status), hf_status_text(status));
        _Exit(70);
    }
    if (word == NULL) w->unsure = true;
    worker_end(w, line, word != NULL ? JOURNAL_FAIL : JOURNAL_UNKNOWN, word);
}

void worker_end_status_of_grant(struct worker *w, struct journal_line *line, int status)
{
    worker_end_status(w, line, status == HF_ESESSION ? HF_ELOST : status);
}

int worker_settle(struct worker *w, int status, hf_request *request)
{
    if (status == HF_EUNKNOWN) w->unsure = true;
    while (status == HF_EUNKNOWN && atomic_load(&w->signal->phase) != PHASE_OVER)
        status = hf_request_retry(request);
    return status;
}

uint64_t worker_lease_from_call_ms(const struct journal_line *line, uint64_t asked_ns,
                                   uint64_t left_ms)
{
    return left_ms > 0 ? (asked_ns - line->call_ns) / 1000000U + left_ms : 1;
}

/* What the library believes of an attempt now. \return it as a lease that counts from the call. */
static uint64_t believe_attempt(struct worker *w, const struct journal_line *line,
                                const hf_record *record)
{
    uint64_t asked_ns = journal_now_ns(), left_ms = hf_record_left_ms(record);
    lease_believe(&w->attempt, asked_ns, left_ms);
    return worker_lease_from_call_ms(line, asked_ns, left_ms);
}

/* Which answers say that a lease is over. */
static bool says_ended(int status)
{
    return status == HF_ELOST || status == HF_ESTALE || status == HF_ENOTHELD ||
           status == HF_ENOTOWNER || status == HF_ESESSION || status == HF_ESESSIONUNKNOWN;
}

void worker_look_at_lease(struct worker *w, struct lease *lease, const struct journal_line *line,
                          uint64_t token, int status)
{
    char what[LEASE_SENTENCE_BYTES];
    if (!says_ended(status)) return;
    uint64_t heard_ns = journal_now_ns();
    snprintf(what, sizeof what, "%s of %s by %s was answered %s", line->op, line->key, w->name,
             hf_status_name(status));
    (void)lease_ended(lease, &w->signal->leases, token, heard_ns, what);
}

void worker_lost(struct worker *w, const hf_loss *loss, uint64_t heard_ns)
{
    char what[LEASE_SENTENCE_BYTES];
    if (loss->declared_locally) return; /* the deadline has passed, and no server said so */
    snprintf(what, sizeof what, "a server told %s of a loss, reason %d", w->name, loss->reason);
    (void)lease_ended(&w->grant, &w->signal->leases, loss->fencing_token, heard_ns, what);
    (void)lease_ended(&w->nested, &w->signal->leases, loss->fencing_token, heard_ns, what);
    (void)lease_ended(&w->attempt, &w->signal->leases, loss->fencing_token, heard_ns, what);
}

void worker_new_owner(struct worker *w)
{
    w->owner += 1;
    snprintf(w->owner_name, sizeof w->owner_name, "%.20s/%u", w->name, w->owner);
}

/* ------------------------------------------------------------------ records */

static uint64_t token_of(const hf_record *record)
{
    return hf_record_look(record)->fencing_token;
}

/* A response as the history has it: a code, and whether it was a failure. */
static const char *response_text(bool failed, uint32_t code, char out[WORKLOAD_NAME_BYTES])
{
    snprintf(out, WORKLOAD_NAME_BYTES, "%s%" PRIu32, failed ? "failed " : "", code);
    return out;
}

static void end_begin(struct worker *w, struct journal_line *line, int rv, hf_record *record)
{
    char *out = line->result;
    size_t room = sizeof line->result;
    if (rv == HF_OK) {
        const hf_record_view *view = hf_record_look(record);
        char response[WORKLOAD_NAME_BYTES];
        if (view->verdict == HF_REPLAY)
            snprintf(out, room, "\"status\":\"completed\",\"response\":\"%s\"",
                     response_text(view->outcome == HF_FAILED, view->code, response));
        else
            snprintf(out, room, "\"status\":\"%s\",\"token\":%" PRIu64 ",\"attempt\":%" PRIu32,
                     view->verdict == HF_STARTED ? "started" : "takeover", view->fencing_token,
                     view->attempt);
        worker_end(w, line, JOURNAL_OK, NULL);
    } else if (rv == HF_ERUNNING) {
        snprintf(out, room, "\"status\":\"in_progress\"");
        worker_end(w, line, JOURNAL_OK, NULL);
    } else if (rv == HF_EKEYEXPIRED) {
        worker_end(w, line, JOURNAL_FAIL, "key_expired");
    } else if (rv == HF_EMISMATCH) {
        worker_end(w, line, JOURNAL_FAIL, "mismatch");
    } else if (rv == HF_ERECORDUNKNOWN) {
        worker_end(w, line, JOURNAL_FAIL, "unknown");
    } else {
        worker_end_status_of_grant(w, line, rv);
    }
}

static void set_begin_args(const struct worker *w, struct journal_line *line, uint64_t ttl_ms,
                           const struct hf_begin *how)
{
    snprintf(line->args, sizeof line->args,
             "\"ttl_ms\":%" PRIu64
             ",\"fingerprint\":\"%02x\",\"owner\":\"%s\",\"retain_ms\":%" PRIu64,
             ttl_ms, (unsigned)how->fingerprint[0], w->owner_name, how->retain_ms);
}

int worker_record_begin(struct worker *w, const char *key, const struct hf_begin *how,
                        hf_record **record)
{
    struct journal_line line;
    hf_request request = {0};
    *record = NULL;
    worker_begin(w, &line, WORKLOAD_IDEM, "begin", key);
    set_begin_args(w, &line, 1, how);
    worker_call(w, &line);
    int rv = worker_settle(w, hf_record_begin(w->client, key, how, record, &request), &request);
    int verdict = rv == HF_ERECORDUNKNOWN ? WORKER_MUST_DECIDE : WORKER_NO_VERDICT;
    if (rv == HF_OK) verdict = hf_record_look(*record)->verdict;
    if (verdict == HF_STARTED || verdict == HF_TAKEOVER) {
        lease_begin(&w->attempt, &w->signal->leases, token_of(*record));
        atomic_fetch_add(w->holding, 1);
        set_begin_args(w, &line, believe_attempt(w, &line, *record), how);
    }
    end_begin(w, &line, rv, *record);
    if (rv != HF_OK) {
        hf_record_free(*record);
        *record = NULL;
    }
    return verdict;
}

int worker_record_checkpoint(struct worker *w, const char *key, hf_record *record, uint64_t number,
                             int mark)
{
    struct journal_line line;
    hf_request request = {0};
    worker_begin(w, &line, WORKLOAD_IDEM, "checkpoint", key);
    snprintf(line.args, sizeof line.args,
             "\"token\":%" PRIu64 ",\"number\":%" PRIu64 ",\"mark\":%d", token_of(record), number,
             mark);
    worker_call(w, &line);
    (void)believe_attempt(w, &line, record);
    int rv = hf_record_checkpoint(record, "step", number, mark, NULL, 0, &request);
    rv = worker_settle(w, rv, &request);
    worker_look_at_lease(w, &w->attempt, &line, token_of(record), rv);
    if (rv == HF_OK)
        worker_end(w, &line, JOURNAL_OK, NULL);
    else if (rv == HF_ESTALE)
        worker_end(w, &line, JOURNAL_FAIL, "stale_token");
    else
        worker_end_status(w, &line, rv);
    return rv;
}

/* \param stands  Out: the servers have taken it. \return what became of it: JOURNAL_FAIL, surely
 * nothing happened. */
static enum journal_outcome complete_once(struct worker *w, const char *key, hf_record *record,
                                          bool failed, uint64_t response, bool *stands)
{
    char text[WORKLOAD_NAME_BYTES];
    struct journal_line line;
    hf_request request = {0};
    hf_result result = {.code = (uint32_t)response};
    HF_ASSERT(response <= UINT32_MAX);
    worker_begin(w, &line, WORKLOAD_IDEM, "complete", key);
    snprintf(line.args, sizeof line.args,
             "\"token\":%" PRIu64 ",\"response\":\"%s\",\"outcome\":\"%s\"", token_of(record),
             response_text(failed, result.code, text), failed ? "failed" : "done");
    worker_call(w, &line);
    (void)believe_attempt(w, &line, record);
    int rv = hf_record_complete(record, failed ? HF_FAILED : HF_DONE, &result, &request);
    rv = worker_settle(w, rv, &request);
    worker_look_at_lease(w, &w->attempt, &line, token_of(record), rv);
    const char *answer = rv == HF_ESTALE ? "stale_token" : rv == HF_ECONFLICT ? "conflict" : NULL;
    *stands = rv == HF_OK;
    if (rv == HF_OK || answer != NULL) {
        worker_end(w, &line, rv == HF_OK ? JOURNAL_OK : JOURNAL_FAIL, answer);
        return JOURNAL_OK;
    }
    worker_end_status(w, &line, rv);
    return rv == HF_ESESSION ? JOURNAL_UNKNOWN : line.outcome; /* it will not become better */
}

bool worker_record_complete(struct worker *w, const char *key, hf_record *record, bool failed,
                            uint64_t response)
{
    bool stands = false;
    enum journal_outcome outcome = complete_once(w, key, record, failed, response, &stands);
    while (outcome == JOURNAL_FAIL && atomic_load(&w->signal->phase) != PHASE_OVER) {
        (void)poll(NULL, 0, AGAIN_MS);
        outcome = complete_once(w, key, record, failed, response, &stands);
    }
    if (outcome == JOURNAL_OK) {
        lease_end(&w->attempt);
        atomic_fetch_sub(w->holding, 1);
        hf_record_free(record);
    } else {
        worker_record_abandon(w, key, record);
    }
    return stands;
}

void worker_record_abandon(struct worker *w, const char *key, hf_record *record)
{
    struct journal_line line;
    worker_begin(w, &line, WORKLOAD_IDEM, "abandon", key);
    snprintf(line.args, sizeof line.args, "\"token\":%" PRIu64, token_of(record));
    worker_call(w, &line);
    lease_end(&w->attempt);
    atomic_fetch_sub(w->holding, 1);
    hf_record_free(record);
    worker_end(w, &line, JOURNAL_UNKNOWN, NULL); /* what comes of it is told to nobody */
}

static int keep_state(const hf_record_line *line, void *data)
{
    static const struct {
        const char *state, *status;
    } words[] = {{"DONE", "completed"},      {"FAILED", "completed"},    {"TOMBSTONE", "expired"},
                 {"RUNNING", "in_progress"}, {"RETRYABLE", "retryable"}, {"UNKNOWN", "unknown"}};
    struct worker_shown *shown = data;
    shown->failed = strcmp(line->outcome, "FAILED") == 0;
    shown->code = line->code;
    shown->token = line->fencing_token;
    shown->status = "";
    for (size_t i = 0; i < HF_ARRAY_COUNT(words); i++) {
        if (strcmp(words[i].state, line->state) == 0) shown->status = words[i].status;
    }
    return 0;
}

bool worker_record_get(struct worker *w, const char *key, struct worker_shown *shown)
{
    struct journal_line line;
    char response[WORKLOAD_NAME_BYTES];
    *shown = (struct worker_shown){.status = "none"};
    worker_begin(w, &line, WORKLOAD_IDEM, "get", key);
    worker_call(w, &line);
    int rv = hf_record_info(w->client, key, keep_state, shown);
    if (rv == HF_OK && shown->status[0] == '\0') rv = HF_EBADSTATE; /* none of ours can be in it */
    if (rv == HF_OK || rv == HF_ENOTFOUND) {
        int used = snprintf(line.result, sizeof line.result, "\"status\":\"%s\"", shown->status);
        if (strcmp(shown->status, "completed") == 0)
            snprintf(line.result + used, sizeof line.result - (size_t)used, ",\"response\":\"%s\"",
                     response_text(shown->failed, shown->code, response));
        worker_end(w, &line, JOURNAL_OK, NULL);
        return true;
    }
    if (rv == HF_ETIMEOUT)
        worker_end(w, &line, JOURNAL_FAIL, "timeout");
    else
        worker_end_status(w, &line, rv);
    return false;
}

bool worker_record_resolve(struct worker *w, const char *key, uint64_t token, uint64_t response)
{
    struct journal_line line;
    hf_request request = {0};
    hf_result result = {.code = (uint32_t)response};
    int outcome = response != 0 ? HF_DONE : HF_RETRYABLE;
    HF_ASSERT(response <= UINT32_MAX);
    worker_begin(w, &line, WORKLOAD_IDEM, "resolve", key);
    int used = snprintf(line.args, sizeof line.args, "\"token\":%" PRIu64 ",\"outcome\":\"%s\"",
                        token, response != 0 ? "done" : "retryable");
    if (response != 0)
        snprintf(line.args + used, sizeof line.args - (size_t)used, ",\"response\":\"%" PRIu64 "\"",
                 response);
    worker_call(w, &line);
    int rv = hf_record_resolve(w->client, key, token, outcome, response != 0 ? &result : NULL,
                               "the provider's ledger", w->name, &request);
    rv = worker_settle(w, rv, &request);
    const char *answer = rv == HF_ESTALE ? "stale_token" : rv == HF_ENOTFOUND ? "not_found" : NULL;
    if (rv == HF_OK || answer != NULL)
        worker_end(w, &line, rv == HF_OK ? JOURNAL_OK : JOURNAL_FAIL, answer);
    else
        worker_end_status(w, &line, rv);
    return rv == HF_OK;
}

bool worker_record_reopen(struct worker *w, const char *key, uint64_t token)
{
    struct journal_line line;
    hf_request request = {0};
    worker_begin(w, &line, WORKLOAD_IDEM, "reopen", key);
    snprintf(line.args, sizeof line.args, "\"token\":%" PRIu64 ",\"outcome\":\"failed\"", token);
    worker_call(w, &line);
    int rv = hf_record_reopen(w->client, key, token, HF_FAILED, "once more", w->name, &request);
    rv = worker_settle(w, rv, &request);
    const char *answer = rv == HF_ESTALE      ? "stale_token"
                         : rv == HF_ENOTFOUND ? "not_found"
                         : rv == HF_EBADSTATE ? "bad_state"
                                              : NULL;
    if (rv == HF_OK || answer != NULL)
        worker_end(w, &line, rv == HF_OK ? JOURNAL_OK : JOURNAL_FAIL, answer);
    else
        worker_end_status(w, &line, rv);
    return rv == HF_OK;
}

void worker_record_erase(struct worker *w, const char *key)
{
    const char *word;
    hf_request request = {0};
    int rv = hf_record_erase(w->client, key, "asked for", w->name, &request);
    rv = worker_settle(w, rv, &request); /* has no line: codes stay */
    HF_ASSERT(rv == HF_OK || rv == HF_EBADSTATE || rv == HF_ENOTFOUND || find_word(rv, &word));
}
