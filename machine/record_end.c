/* What ends an attempt from outside, and what ends a record: its own lease, its session, ABANDON;
 * retention, then a tombstone, so that a late repeat is refused and not run again, then nothing. */
#include "base/planted.h"
#include "machine/deadlines.h"
#include "machine/events.h"
#include "machine/principals.h"
#include "machine/record.h"

int record_abandon(struct machine *m, uint64_t session, uint64_t token)
{
    struct row_key k = row_key_u64(token);
    struct slice key;
    int rv = store_get(m->store, TABLE_ATTEMPTS, row_key_slice(&k), &key);
    if (rv != HF_OK) return rv;
    rv = state_copy(m, key, &key);
    if (rv != HF_OK) return rv;
    struct row_record row;
    rv = record_get(m, key, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    HF_ASSERT(row.state == RECORD_RUNNING && row.fencing_token == token);
    if (row.session != session) return HF_ENOTOWNER;
    return row.lapsed ? HF_OK : record_lease_end(m, key, &row);
}

int record_session_ended(struct machine *m, uint64_t session)
{
    struct row_key prefix = row_key_u64(session);
    for (;;) {
        size_t mark = state_mark(m);
        struct slice bound, key;
        struct row_record row;
        int rv = state_first(m, TABLE_BOUND, row_key_slice(&prefix), row_key_slice(&prefix), &bound,
                             &key);
        if (rv == HF_ENOTFOUND) return HF_OK;
        if (rv == HF_OK) rv = record_get(m, key, &row);
        if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
        HF_ASSERT(row.bound && row.session == session);
        rv = record_lease_end(m, key, &row); /* takes the row out of TABLE_BOUND */
        if (rv != HF_OK) return rv;
        state_reset(m, mark);
    }
}

/* The row of a deadline that was due. HF_ENOTFOUND: it told of something that has gone. */
static int find_due(struct machine *m, struct slice key, enum deadline_kind kind,
                    struct row_record *row)
{
    int rv = record_get(m, key, row);
    if (rv != HF_OK) return rv;
    if (row->deadline_kind != (uint64_t)kind || row->deadline_ms > state_now(m)) {
        return HF_ENOTFOUND;
    }
    row->deadline_kind = 0; /* the sweep has removed it */
    return HF_OK;
}

int record_attempt_due(struct machine *m, struct slice id)
{
    struct row_record row;
    int rv = find_due(m, id, DEADLINE_ATTEMPT, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    HF_ASSERT(row.state == RECORD_RUNNING && !row.bound);
    bool extended = row.lease_until_ms > state_now(m) && !planted(EXTEND_OVERLOOKED);
    if (extended) return record_put(m, id, &row);
    return record_lease_end(m, id, &row);
}

static int bury(struct machine *m, struct slice key, struct row_record *row)
{
    uint64_t kept_ms = row->retain_ms * setting_get(m, SETTING_TOMBSTONE_FACTOR);
    uint8_t hash[HASH128_BYTES];
    record_fingerprint_hash(row->fingerprint, hash);
    struct row_tombstone tombstone = {
        .fingerprint_hash = slice_make(hash, sizeof hash),
        .outcome = row->state,
        .since_ms = state_now(m),
        .until_ms = state_later(m, kept_ms),
        .fencing_token = row->fencing_token,
        .attempt = row->attempt,
        .code = row->code,
        .done_at_ms = row->done_at_ms,
        .takeover = row->takeover,
        .retain_ms = row->retain_ms,
        .marked = row->marked,
        .secret_id = row->secret_id,
        .principal = row->principal,
    };
    int rv = state_put(m, TABLE_TOMBSTONES, key, &row_tombstone_type, &tombstone);
    if (rv == HF_OK) rv = principal_add(m, row->principal, QUOTA_BYTES, tombstone_bytes_of(key));
    if (rv != HF_OK) return rv;
    return deadline_put(m, tombstone.until_ms, DEADLINE_TOMBSTONE, key);
}

int record_retention_due(struct machine *m, struct slice id)
{
    struct row_record row;
    int rv = find_due(m, id, DEADLINE_RETENTION, &row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    if (record_reaped_at(&row) > state_now(m) || row.parked_count > 0) {
        return record_put(m, id, &row);
    }
    bool ended = row.state == RECORD_DONE || row.state == RECORD_FAILED;
    if (ended && !planted(TOMBSTONE_REEXECUTED)) {
        rv = bury(m, id, &row);
        if (rv != HF_OK) return rv;
    }
    rv = record_tell(m, id, &row, ended ? RECORD_TOMBSTONE : RECORD_ABSENT);
    return rv == HF_OK ? record_del(m, id, &row) : rv;
}

int record_tombstone_del(struct machine *m, struct slice key, const struct row_tombstone *row)
{
    int rv = state_del(m, TABLE_TOMBSTONES, key);
    if (rv != HF_OK) return rv;
    return principal_remove(m, row->principal, QUOTA_BYTES, tombstone_bytes_of(key));
}

int record_tombstone_due(struct machine *m, struct slice id)
{
    struct row_tombstone tombstone;
    int rv = state_get(m, TABLE_TOMBSTONES, id, &row_tombstone_type, &tombstone);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    if (tombstone.until_ms > state_now(m)) return HF_OK; /* another one's row */
    const struct event event = {
        .kind = EVENT_RECORD,
        .name = id,
        .fencing_token = tombstone.fencing_token,
        .what = RECORD_ABSENT,
        .serial = tombstone.attempt,
    };
    rv = event_tell(m, &event);
    return rv == HF_OK ? record_tombstone_del(m, id, &tombstone) : rv;
}
