/* Invariants of sessions and stored replies: every count of a session's row is that of its rows,
 * a tombstone has nothing left but its replies, and nothing acknowledged is kept. */
#include <inttypes.h>

#include "machine/audit.h"
#include "machine/grants.h"
#include "machine/replies.h"
#include "machine/sessions.h"

static int expect_count(struct audit *a, uint64_t session, enum machine_table table,
                        uint64_t expected, const char *what)
{
    struct row_key prefix = row_key_u64(session);
    uint64_t count;
    int rv = audit_count(a, table, &prefix, &count);
    if (rv != HF_OK || count == expected) return rv;
    return audit_fail(a, "session %" PRIu64 " has %" PRIu64 " %s, its row says %" PRIu64, session,
                      count, what, expected);
}

static int check_counts(struct audit *a, uint64_t session, const struct row_session *s)
{
    int rv = expect_count(a, session, TABLE_BOUND, s->attempt_count, "attempts");
    if (rv == HF_OK) rv = expect_count(a, session, TABLE_LOSSES, s->loss_count, "losses");
    if (rv == HF_OK) rv = expect_count(a, session, TABLE_REVOKES, s->asked_count, "grants asked");
    if (rv == HF_OK) rv = expect_count(a, session, TABLE_REPLIES, s->unacked_count, "replies");
    return rv;
}

/* Names that the session waits for. */
static int count_waited(struct audit *a, uint64_t session, uint64_t *names)
{
    struct row_key prefix = row_key_u64(session);
    struct walk walk;
    *names = 0;
    int rv = walk_first(&walk, a->m, TABLE_PARKED, &prefix, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        struct row_parked p;
        rv = state_decode(a->m, &row_parked_type, walk.value, &p);
        if (rv != HF_OK) break;
        *names += p.names.count;
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* Names that the session holds, and grants with hold_max. */
static int count_held(struct audit *a, uint64_t session, uint64_t *names, uint64_t *holds)
{
    struct row_key prefix = row_key_u64(session);
    struct walk walk;
    *names = 0;
    *holds = 0;
    int rv = walk_first(&walk, a->m, TABLE_SESSION_GRANTS, &prefix, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        struct row_grant grant;
        *holds += get_u64(walk.value.data) != 0;
        rv = grant_get(a->m, row_key_last(walk.key), &grant);
        if (rv == HF_ENOTFOUND)
            rv = audit_fail(a, "session %" PRIu64 " has a grant that is none", session);
        if (rv != HF_OK) break;
        *names += grant.names.count;
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int check_names(struct audit *a, uint64_t session, const struct row_session *s)
{
    uint64_t waited, held, holds;
    int rv = count_waited(a, session, &waited);
    if (rv == HF_OK) rv = count_held(a, session, &held, &holds);
    if (rv != HF_OK) return rv;
    if (waited != s->waiter_count || held != s->grant_count || holds != s->hold_count)
        return audit_fail(
            a,
            "session %" PRIu64 " waits for %" PRIu64 " names, holds %" PRIu64 ", %" PRIu64
            " for a time: its row says %" PRIu64 ", %" PRIu64 ", %" PRIu64,
            session, waited, held, holds, s->waiter_count, s->grant_count, s->hold_count);
    return HF_OK;
}

/* Replies, which a bare count of rows does not tell. */
static int check_sums(struct audit *a, uint64_t session, const struct row_session *s)
{
    struct row_key prefix = row_key_u64(session);
    struct walk walk;
    uint64_t bytes = 0;
    int rv = walk_first(&walk, a->m, TABLE_REPLIES, &prefix, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        uint64_t seq = row_key_last(walk.key);
        bytes += walk.value.size;
        if (reply_is_gone(s, seq) || seq > s->seq_highest) {
            walk_close(&walk);
            return audit_fail(a, "session %" PRIu64 " keeps a reply of seq %" PRIu64, session, seq);
        }
    }
    if (rv != HF_ENOTFOUND) return rv;
    if (bytes != s->unacked_bytes)
        return audit_fail(a, "session %" PRIu64 " keeps %" PRIu64 " bytes of replies", session,
                          bytes);
    return HF_OK;
}

static int check_ranges(struct audit *a, uint64_t session, const struct row_session *s)
{
    const struct ack_range *ranges = s->ack_ranges.items;
    uint64_t above = s->ack;
    for (uint32_t i = 0; i < s->ack_ranges.count; i++) {
        if (ranges[i].first <= above + 1 || ranges[i].last < ranges[i].first)
            return audit_fail(a, "session %" PRIu64 " has ranges that touch or fall", session);
        above = ranges[i].last;
    }
    return HF_OK;
}

static int check_life(struct audit *a, uint64_t session, const struct row_session *s)
{
    struct row_key id = row_key_u64(session);
    if (s->ended == 0) {
        if (s->deadline_ms > s->expires_ms)
            return audit_fail(a, "session %" PRIu64 " expires before its deadline row", session);
        return audit_has_deadline(a, s->deadline_ms, DEADLINE_SESSION, row_key_slice(&id));
    }
    if (s->grant_count + s->waiter_count + s->attempt_count + s->loss_count + s->asked_count != 0)
        return audit_fail(a, "session %" PRIu64 " ended and still has something", session);
    return audit_has_deadline(a, s->deadline_ms, DEADLINE_FORGET, row_key_slice(&id));
}

static int look_at_session(struct audit *a, struct slice key, struct slice value)
{
    uint64_t session = row_key_last(key);
    struct row_session s;
    struct row_session_info info;
    int rv = state_decode(a->m, &row_session_type, value, &s);
    if (rv != HF_OK) return rv;
    if (session > a->m->meta.session_counter)
        return audit_fail(a, "session %" PRIu64 " was never given out", session);
    rv = session_info_get(a->m, session, &info);
    if (rv == HF_ENOTFOUND) return audit_fail(a, "session %" PRIu64 " has no info row", session);
    uint64_t found = 0;
    if (rv == HF_OK) rv = state_get_u64(a->m, TABLE_SECRETS, info.secret_hash, &found);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && found != session))
        return audit_fail(a, "the secret of session %" PRIu64 " does not lead to it", session);
    if (rv == HF_OK) rv = check_life(a, session, &s);
    if (rv == HF_OK) rv = check_counts(a, session, &s);
    if (rv == HF_OK) rv = check_names(a, session, &s);
    if (rv == HF_OK) rv = check_sums(a, session, &s);
    return rv == HF_OK ? check_ranges(a, session, &s) : rv;
}

/* Rows of a session begin with its number. */
static int look_at_part(struct audit *a, struct slice key, struct slice value)
{
    (void)value;
    return audit_has(a, TABLE_SESSIONS, slice_make(key.data, 8), "the session of a row");
}

static int count_alive(struct audit *a)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    uint64_t alive = 0;
    int rv = walk_first(&walk, a->m, TABLE_SESSIONS, &all, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        struct row_session s;
        rv = state_decode(a->m, &row_session_type, walk.value, &s);
        if (rv != HF_OK) break;
        alive += s.ended == 0;
    }
    walk_close(&walk);
    if (rv != HF_ENOTFOUND) return rv;
    if (alive == a->m->meta.session_count) return HF_OK;
    return audit_fail(a, "%" PRIu64 " sessions are alive, the meta row says %" PRIu64, alive,
                      a->m->meta.session_count);
}

int audit_sessions(struct audit *a)
{
    static const enum machine_table parts[] = {
        TABLE_SESSION_INFO,   TABLE_REPLIES, TABLE_PARKED, TABLE_OWNERS,
        TABLE_SESSION_GRANTS, TABLE_LOSSES,  TABLE_BOUND,  TABLE_REVOKES,
    };
    int rv = audit_rows(a, TABLE_SESSIONS, NULL, look_at_session);
    for (size_t i = 0; rv == HF_OK && i < HF_ARRAY_COUNT(parts); i++)
        rv = audit_rows(a, parts[i], NULL, look_at_part);
    if (rv != HF_OK) return rv;
    if (store_count(a->m->store, TABLE_SECRETS) != store_count(a->m->store, TABLE_SESSIONS))
        return audit_fail(a, "there are more secrets than sessions, or fewer");
    return count_alive(a);
}
