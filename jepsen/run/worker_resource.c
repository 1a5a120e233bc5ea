/* What a thread of a client does with guarded resources, and the lines that this becomes. */
#include <inttypes.h>
#include <stdio.h>

#include "jepsen/run/guard.h"
#include "jepsen/run/room.h"
#include "jepsen/run/workload.h"

void worker_begin_write(struct worker *w, struct journal_line *line, const char *key,
                        uint64_t token, uint64_t value)
{
    worker_begin(w, line, WORKLOAD_FENCEDREG, "write", key);
    snprintf(line->args, sizeof line->args, "\"token\":%" PRIu64 ",\"value\":\"%" PRIu64 "\"",
             token, value);
    worker_call(w, line);
}

bool worker_end_write(struct worker *w, struct journal_line *line, bool good)
{
    if (!good) atomic_fetch_add(&w->payments->late_writes, 1);
    worker_end(w, line, good ? JOURNAL_OK : JOURNAL_FAIL, good ? NULL : "stale_token");
    return good;
}

void worker_read(struct worker *w, const char *key)
{
    struct journal_line line;
    uint64_t value = 0;
    worker_begin(w, &line, WORKLOAD_FENCEDREG, "read", key);
    worker_call(w, &line);
    if (guard_read(key, &value))
        snprintf(line.result, sizeof line.result, "\"value\":\"%" PRIu64 "\"", value);
    else
        snprintf(line.result, sizeof line.result, "\"value\":null");
    worker_end(w, &line, JOURNAL_OK, NULL);
}

void worker_touch(struct worker *w, const struct worker_want *want, const hf_grant *grant)
{
    struct lease *lease = want->nested ? &w->nested : &w->grant;
    uint64_t token = grant->fencing_token;
    for (unsigned i = 0; i < want->name_count; i++) {
        char what[LEASE_SENTENCE_BYTES];
        struct journal_line line;
        uint64_t value = worker_number(w), ignored, asked_ns = journal_now_ns();
        const char *name = want->names[i];
        lease_believe(lease, asked_ns, hf_grant_left_ms(grant));
        worker_begin_write(w, &line, name, token, value);
        if (worker_end_write(w, &line, guard_claim(name, token, value, "touch", &ignored)))
            continue;
        uint64_t heard_ns = journal_now_ns();
        snprintf(what, sizeof what, "%s as a resource refused %s a write", name, w->name);
        (void)lease_ended(lease, &w->signal->leases, token, heard_ns, what);
        return;
    }
}

void worker_enter(struct worker *w, const struct worker_want *want, const hf_grant *grant,
                  uint64_t limit)
{
    uint64_t asked_ns = journal_now_ns(), left_ms = hf_grant_left_ms(grant);
    uint64_t units = want->mode == HF_PERMITS ? want->permits : limit;
    uint64_t token = grant->fencing_token, until_ns = asked_ns + left_ms * 1000000U;
    char what[LEASE_SENTENCE_BYTES];
    lease_believe(&w->grant, asked_ns, left_ms);
    uint64_t taken = room_enter(want->names[0], token, units, until_ns);
    if (taken <= limit) return;
    snprintf(what, sizeof what, "%s: %" PRIu64 " of %" PRIu64 " permits are believed in at once",
             want->names[0], taken, limit);
    (void)lease_ended(&w->grant, &w->signal->leases, token, journal_now_ns(), what);
}

void worker_leave(const struct worker_want *want, const hf_grant *grant)
{
    room_leave(want->names[0], grant->fencing_token);
}
