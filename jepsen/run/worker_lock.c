/* What a thread of a client does with locks, and the lines that this becomes: one name or several
 * at once, in every mode. Beliefs are lines of renewals, as in worker.c. */
#include "jepsen/run/workload.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/include/holdfast_lock.h"

enum { AGAIN_MS = 50, LOOK_EVERY_MS = 200 };

/* ------------------------------------------------------------------ arguments of lines */

/* Behind what `text` has already: the names, if they are several. */
static void add_names(char text[JOURNAL_TEXT_BYTES], const struct worker_want *want)
{
    size_t used = strlen(text), room = JOURNAL_TEXT_BYTES;
    for (unsigned i = 0; i < want->name_count && want->name_count > 1; i++) {
        int size = snprintf(text + used, room - used, "%s\"%s\"", i == 0 ? ",\"names\":[" : ",",
                            want->names[i]);
        used += (size_t)size;
        HF_ASSERT(size > 0 && used + 2 < room);
    }
    if (want->name_count > 1) snprintf(text + used, room - used, "]");
}

static void set_acquire_args(const struct worker *w, struct journal_line *line, uint64_t ttl_ms,
                             const struct worker_want *want)
{
    int used = snprintf(line->args, sizeof line->args, "\"ttl_ms\":%" PRIu64 ",\"owner\":\"%s\"",
                        ttl_ms, w->owner_name);
    HF_ASSERT(used > 0 && (size_t)used < sizeof line->args);
    size_t room = sizeof line->args - (size_t)used;
    if (want->mode == HF_SHARED) snprintf(line->args + used, room, ",\"mode\":\"shared\"");
    if (want->mode == HF_PERMITS)
        snprintf(line->args + used, room,
                 ",\"mode\":\"permits\",\"permits\":%" PRIu32 ",\"limit\":%" PRIu32, want->permits,
                 want->limit);
    add_names(line->args, want);
}

static void set_token_args(struct journal_line *line, uint64_t token,
                           const struct worker_want *want)
{
    snprintf(line->args, sizeof line->args, "\"token\":%" PRIu64, token);
    add_names(line->args, want);
}

static struct lease *lease_of(struct worker *w, const struct worker_want *want)
{
    return want->nested ? &w->nested : &w->grant;
}

/* ------------------------------------------------------------------ acquire */

static int ask(struct worker *w, const struct worker_want *want, hf_grant *grant)
{
    hf_request request = {0};
    hf_acquire how = {.wait_ms = want->wait_ms,
                      .mode = want->mode,
                      .permits = want->permits,
                      .limit = want->limit,
                      .meta = w->owner_name, /* for worker_query() */
                      .meta_bytes = strlen(w->owner_name)};
    int rv =
        want->name_count == 1
            ? hf_lock_acquire_with(w->lock, want->names[0], &how, grant, &request)
            : hf_lock_acquire_many(w->lock, want->names, want->name_count, &how, grant, &request);
    return worker_settle(w, rv, &request);
}

/* Refused: by whom? One who only waits may be in the way, too, and is not told by name. */
static void end_refused(struct worker *w, struct journal_line *line, const struct worker_want *want,
                        int status)
{
    const hf_refusal *refusal = hf_lock_refusal(w->lock);
    const char *error = status == HF_EDEADLOCK ? "deadlock" : "refused";
    bool shown = status == HF_EBUSY && refusal != NULL && refusal->holders_shown > 0;
    if (shown && want->name_count == 1) {
        snprintf(line->result, sizeof line->result, "\"token\":%" PRIu64,
                 refusal->holders[0].fencing_token);
        error = "busy";
    }
    worker_end(w, line, JOURNAL_FAIL, error);
}

static void end_granted(struct worker *w, struct journal_line *line, const struct worker_want *want,
                        const hf_grant *grant)
{
    struct lease *lease = lease_of(w, want);
    uint64_t asked_ns = journal_now_ns(), left_ms = hf_grant_left_ms(grant);
    lease_begin(lease, &w->signal->leases, grant->fencing_token);
    lease_believe(lease, asked_ns, left_ms);
    set_acquire_args(w, line, worker_lease_from_call_ms(line, asked_ns, left_ms), want);
    w->held += 1;
    atomic_fetch_add(w->holding, 1);
    snprintf(line->result, sizeof line->result, "\"token\":%" PRIu64, grant->fencing_token);
    worker_end(w, line, JOURNAL_OK, NULL);
}

int worker_acquire(struct worker *w, const struct worker_want *want, hf_grant *grant)
{
    struct journal_line line;
    HF_ASSERT(want->name_count >= 1 && want->name_count <= WORKER_NAMES_MAX);
    HF_ASSERT(want->nested == (w->held > 0));
    worker_begin(w, &line, WORKLOAD_LOCK, "acquire", want->names[0]);
    set_acquire_args(w, &line, 1, want);
    worker_call(w, &line);
    int rv = ask(w, want, grant);
    if (rv == HF_OK) {
        end_granted(w, &line, want, grant);
    } else if (rv == HF_EBUSY || rv == HF_EDEADLOCK) {
        end_refused(w, &line, want, rv);
    } else {
        worker_end_status_of_grant(w, &line, rv);
        if (line.outcome == JOURNAL_UNKNOWN) worker_new_owner(w);
    }
    return rv;
}

/* ------------------------------------------------------------------ while it is held */

bool worker_believe(struct worker *w, const struct worker_want *want, const hf_grant *grant)
{
    struct journal_line line;
    worker_begin(w, &line, WORKLOAD_LOCK, "renew", want->names[0]);
    line.call_ns = journal_now_ns(); /* no call: what a dead caller believed binds nobody */
    uint64_t left_ms = hf_grant_left_ms(grant);
    if (left_ms == 0) return false;
    lease_believe(lease_of(w, want), line.call_ns, left_ms);
    snprintf(line.args, sizeof line.args, "\"token\":%" PRIu64 ",\"ttl_ms\":%" PRIu64,
             grant->fencing_token, left_ms);
    add_names(line.args, want);
    worker_end(w, &line, JOURNAL_OK, NULL);
    return true;
}

uint64_t worker_draw_hold_ms(struct worker *w)
{
    uint64_t kind = prng_below(&w->prng, 100);
    if (kind == 0) return prng_below(&w->prng, 2 * WORKLOAD_TTL_MS);
    return kind < 15 ? prng_below(&w->prng, 50) : prng_below(&w->prng, 4);
}

void worker_hold(struct worker *w, const struct worker_want *want, const hf_grant *grant,
                 uint64_t ms)
{
    for (uint64_t left = ms; left > 0 && worker_may_go_on(w);) {
        uint64_t piece = left < LOOK_EVERY_MS ? left : LOOK_EVERY_MS;
        worker_pause_ms(w, piece);
        left -= piece;
        (void)worker_believe(w, want, grant);
    }
}

/* The server does not know the grant any more. */
static bool is_gone(int status)
{
    return status == HF_ESTALE || status == HF_ENOTHELD || status == HF_ENOTOWNER ||
           status == HF_ESESSION;
}

int worker_change_mode(struct worker *w, const struct worker_want *want, const hf_grant *grant,
                       bool upgrade)
{
    struct journal_line line;
    hf_request request = {0};
    worker_begin(w, &line, WORKLOAD_LOCK, upgrade ? "upgrade" : "downgrade", want->names[0]);
    set_token_args(&line, grant->fencing_token, want);
    worker_call(w, &line);
    lease_believe(lease_of(w, want), line.call_ns, hf_grant_left_ms(grant));
    int rv = upgrade ? hf_lock_upgrade(w->lock, grant, &request)
                     : hf_lock_downgrade(w->lock, grant, &request);
    rv = worker_settle(w, rv, &request);
    worker_look_at_lease(w, lease_of(w, want), &line, grant->fencing_token, rv);
    if (rv == HF_OK)
        worker_end(w, &line, JOURNAL_OK, NULL);
    else if (rv == HF_EUPGRADEBUSY)
        worker_end(w, &line, JOURNAL_FAIL, want->name_count > 1 ? "refused" : "busy");
    else if (is_gone(rv))
        worker_end(w, &line, JOURNAL_FAIL, "not_held");
    else
        worker_end_status(w, &line, rv);
    return rv;
}

/* ------------------------------------------------------------------ release */

/* \return false: surely nothing happened, it is held as before. */
static bool release_once(struct worker *w, const struct worker_want *want, hf_grant *grant)
{
    struct journal_line line;
    hf_request request = {0};
    worker_begin(w, &line, WORKLOAD_LOCK, "release", want->names[0]);
    set_token_args(&line, grant->fencing_token, want);
    worker_call(w, &line);
    lease_believe(lease_of(w, want), line.call_ns, hf_grant_left_ms(grant)); /* the last time */
    int rv = worker_settle(w, hf_lock_release(w->lock, grant, &request), &request);
    worker_look_at_lease(w, lease_of(w, want), &line, grant->fencing_token, rv);
    if (rv == HF_OK) {
        worker_end(w, &line, JOURNAL_OK, NULL);
        return true;
    }
    if (is_gone(rv)) {
        worker_end(w, &line, JOURNAL_FAIL, "not_held");
        worker_new_owner(w);
        return true;
    }
    worker_end_status(w, &line, rv);
    if (line.outcome == JOURNAL_FAIL && hf_grant_state(grant) == HF_GRANT_ENDED) {
        fprintf(stderr,
                "defect: release of %s by %s was not done (%s), but the grant is forgotten\n",
                want->names[0], w->name, line.error);
        _Exit(70);
    }
    if (line.outcome == JOURNAL_UNKNOWN) worker_new_owner(w);
    return line.outcome == JOURNAL_UNKNOWN;
}

void worker_release(struct worker *w, const struct worker_want *want, hf_grant *grant)
{
    HF_ASSERT(w->held > 0);
    w->held -= 1;
    atomic_fetch_sub(w->holding, 1);
    while (!release_once(w, want, grant)) {
        if (atomic_load(&w->signal->phase) == PHASE_OVER) break;
        (void)poll(NULL, 0, AGAIN_MS);
    }
    lease_end(lease_of(w, want));
}

/* ------------------------------------------------------------------ looking */

struct seen_holder {
    uint64_t token;                  /* 0 = nobody holds it */
    char owner[WORKLOAD_NAME_BYTES]; /* as in the history */
};

static void keep_holder(const hf_lock_view *view, void *data)
{
    struct seen_holder *seen = data;
    if (view->holders_shown == 0) return;
    const hf_holder_view *first = &view->holders[0];
    seen->token = first->who.fencing_token;
    snprintf(seen->owner, sizeof seen->owner, "%.*s", (int)first->meta_bytes,
             (const char *)first->meta);
}

void worker_query(struct worker *w, const char *key)
{
    struct journal_line line;
    struct seen_holder seen = {0};
    worker_begin(w, &line, WORKLOAD_LOCK, "query", key);
    worker_call(w, &line);
    int rv = hf_lock_look(w->client, key, keep_holder, &seen);
    if (rv == HF_OK) {
        if (seen.token != 0)
            snprintf(line.result, sizeof line.result,
                     "\"held\":true,\"token\":%" PRIu64 ",\"owner\":\"%s\"", seen.token,
                     seen.owner);
        else
            snprintf(line.result, sizeof line.result, "\"held\":false");
        worker_end(w, &line, JOURNAL_OK, NULL);
    } else if (rv == HF_ETIMEOUT) {
        worker_end(w, &line, JOURNAL_FAIL, "timeout"); /* a read has no effect to come */
    } else {
        worker_end_status(w, &line, rv);
    }
}
