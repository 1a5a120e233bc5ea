/* The invariants' door, and the rows that belong to no one kind of thing: meta and deadlines.
 * Happy path: every table is walked, every row asked for its counterparts. Failure mode: the first
 * contradiction is one sentence and HF_ECORRUPT. */
#include "machine/invariants.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "machine/audit.h"
#include "machine/record_invariants.h"

enum { SENTENCE_BYTES_MAX = 600 };

int audit_fail(struct audit *a, const char *format, ...)
{
    char sentence[SENTENCE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    HF_ASSERT(size > 0);
    size_t bytes = (size_t)size < sizeof sentence ? (size_t)size : sizeof sentence - 1;
    int rv = buffer_append(a->complaint, sentence, bytes);
    return rv == HF_OK ? HF_ECORRUPT : rv;
}

int audit_rows(struct audit *a, enum machine_table table, const struct row_key *prefix,
               audit_cb *look)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, a->m, table, prefix != NULL ? prefix : &all, NULL);
    while (rv == HF_OK) {
        rv = look(a, walk.key, walk.value);
        HF_ASSERT(rv != HF_ENOTFOUND);
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int audit_count(struct audit *a, enum machine_table table, const struct row_key *prefix,
                uint64_t *count)
{
    struct walk walk;
    *count = 0;
    int rv = walk_first(&walk, a->m, table, prefix, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) *count += 1;
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int audit_has(struct audit *a, enum machine_table table, struct slice key, const char *what)
{
    struct slice value;
    int rv = store_get(a->m->store, (uint8_t)table, key, &value);
    if (rv != HF_ENOTFOUND) return rv;
    return audit_fail(a, "table %d has no such row: %s", (int)table, what);
}

int audit_has_deadline(struct audit *a, uint64_t at_ms, enum deadline_kind kind, struct slice id)
{
    struct row_key key = row_key_deadline(at_ms, kind, id);
    struct slice value;
    int rv = store_get(a->m->store, TABLE_DEADLINES, row_key_slice(&key), &value);
    if (rv != HF_ENOTFOUND) return rv;
    return audit_fail(a, "no deadline row of kind %d at %" PRIu64, (int)kind, at_ms);
}

/* Every deadline row tells of something that is there. */
static int look_at_deadline(struct audit *a, struct slice key, struct slice value)
{
    enum deadline_kind kind;
    struct slice id;
    uint64_t at_ms = row_key_deadline_parts(key, &kind, &id);
    if (value.size != 0) return audit_fail(a, "a deadline row carries a value");
    if (at_ms < a->m->next_deadline_ms)
        return audit_fail(a, "a deadline at %" PRIu64 " is before the first known, %" PRIu64, at_ms,
                          a->m->next_deadline_ms);
    switch (kind) {
    case DEADLINE_SESSION:
    case DEADLINE_FORGET: return audit_has(a, TABLE_SESSIONS, id, "deadline of a session");
    case DEADLINE_WAIT: return audit_has(a, TABLE_PARKED, id, "deadline of a wait");
    case DEADLINE_HOLD: return audit_has(a, TABLE_GRANTS, id, "deadline of a grant");
    case DEADLINE_LOCK: return audit_has(a, TABLE_LOCKS, id, "deadline of a lock");
    case DEADLINE_ATTEMPT:
    case DEADLINE_RETENTION: return audit_has(a, TABLE_RECORDS, id, "deadline of a record");
    case DEADLINE_TOMBSTONE: return audit_has(a, TABLE_TOMBSTONES, id, "deadline of a tombstone");
    case DEADLINE_FORCED: return audit_has(a, TABLE_FORCED, id, "deadline of a forced grant");
    case DEADLINE_REVOKE: return audit_has(a, TABLE_REVOKES, id, "deadline of a grace");
    case DEADLINE_TIMER:
    case DEADLINE_TIMER_TOMBSTONE: return audit_has(a, TABLE_TIMERS, id, "deadline of a timer");
    case DEADLINE_PHASE:
    case DEADLINE_BRANCH: return audit_has(a, TABLE_BRANCHES, id, "deadline of a branch");
    case DEADLINE_SERVE:
    case DEADLINE_THAW:
    case DEADLINE_EVENTS: return HF_OK; /* of queues and rows that may be gone meanwhile */
    }
    return audit_fail(a, "a deadline of kind %d", (int)kind);
}

int invariants_check(struct machine *m, struct buffer *complaint)
{
    HF_ASSERT(m->sink == NULL);
    HF_ASSERT(m->session_id == 0);
    buffer_clear(complaint);
    arena_reset(&m->scratch);
    arena_reset(&m->keep);
    struct audit a = {.m = m, .complaint = complaint};
    if (m->meta_changed) return audit_fail(&a, "the meta row was not written");
    int rv = audit_rows(&a, TABLE_DEADLINES, NULL, look_at_deadline);
    if (rv == HF_OK) rv = audit_sessions(&a);
    if (rv == HF_OK) rv = audit_locks(&a);
    if (rv == HF_OK) rv = audit_waiting(&a);
    if (rv == HF_OK) rv = audit_admin(&a);
    if (rv == HF_OK) rv = audit_timers(&a);
    if (rv == HF_OK) rv = audit_events(&a);
    if (rv == HF_OK) rv = audit_branches(&a);
    if (rv == HF_OK) rv = audit_principals(&a);
    return rv == HF_OK ? record_invariants_check(m, complaint) : rv;
}
