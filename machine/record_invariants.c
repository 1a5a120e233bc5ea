/* Records against the rows that lead to them: a token's, a binding's, a deadline's, a queue's.
 *
 * Each is checked from the record's side (what it says must stand, stands) and then counted (no
 * more of it stands than records say), so that a row which nobody owns is found as well as one that
 * is missing. Failure mode: the first contradiction ends the check with a sentence. */
#include "machine/record_invariants.h"

#include <stdio.h>

#include "machine/freeze.h"
#include "machine/record.h"

/* What the records say must stand, to be compared with what does. */
struct tally {
    struct buffer *complaint; /* borrowed */
    uint64_t running_count;   /* attempts */
    uint64_t bound_count;     /* of them, bound to a session */
    uint64_t deadline_count;  /* records with a deadline row */
    uint64_t parked_count;    /* BEGINs that wait */
};

/* HF_ECORRUPT, and why: "record KEY: SENTENCE". */
static int complain(const struct tally *t, struct slice key, const char *sentence)
{
    char text[400];
    int shown = key.size < 64 ? (int)key.size : 64;
    int size =
        snprintf(text, sizeof text, "record '%.*s': %s", shown, (const char *)key.data, sentence);
    HF_ASSERT(size > 0 && (size_t)size < sizeof text);
    buffer_clear(t->complaint);
    int rv = buffer_append(t->complaint, text, (size_t)size);
    return rv == HF_OK ? HF_ECORRUPT : rv;
}

/* HF_OK if the row holds exactly this, HF_ENOTFOUND if not; faults. */
static int row_holds(struct machine *m, enum machine_table table, const struct row_key *key,
                     struct slice wanted)
{
    struct slice value;
    int rv = store_get(m->store, (uint8_t)table, row_key_slice(key), &value);
    if (rv != HF_OK) return rv;
    return slice_equal(value, wanted) ? HF_OK : HF_ENOTFOUND;
}

/* HF_EEXIST if it is there; faults. */
static int row_is_absent(struct machine *m, enum machine_table table, struct slice key)
{
    struct slice value;
    int rv = store_get(m->store, (uint8_t)table, key, &value);
    if (rv == HF_ENOTFOUND) return HF_OK;
    return rv == HF_OK ? HF_EEXIST : rv;
}

/* ------------------------------------------------------------------ one record */

static int check_shape(struct machine *m, const struct tally *t, struct slice key,
                       const struct row_record *row)
{
    bool running = row->state == RECORD_RUNNING;
    bool open = running || row->state == RECORD_UNKNOWN;
    if (state_token_is_future(m, row->fencing_token)) {
        return complain(t, key, "its fencing token was never issued");
    }
    if (row->lapsed && !running) return complain(t, key, "it lapsed and does not run");
    if (row->bound && (!running || row->lapsed)) {
        return complain(t, key, "it is bound to a session and does not run");
    }
    if (row->external != MARK_NONE && !open) return complain(t, key, "a mark outlived its attempt");
    if (row->external != MARK_NONE && !row->marked) {
        return complain(t, key, "a mark is open that was never made");
    }
    if (row->lapsed && row->external == MARK_ONCE) {
        return complain(t, key, "it could be taken over with mark 1 open");
    }
    if (row->lapsed && row->takeover != TAKEOVER_AUTO) {
        return complain(t, key, "it lapsed against its takeover policy");
    }
    if (row->fingerprint.size != FINGERPRINT_BYTES && row->state != RECORD_RETRYABLE) {
        return complain(t, key, "it has the hash of a fingerprint and was not reopened");
    }
    bool told = row->headers.size + row->body.size + row->code != 0;
    if (told && row->state != RECORD_DONE && row->state != RECORD_FAILED) {
        return complain(t, key, "it has a result and no outcome");
    }
    bool bare = row->headers.size + row->body.size + row->meta.size + row->checkpoint.size == 0;
    if (row->body_kind == BODY_ERASED && !bare) {
        return complain(t, key, "it was erased and holds what was to go");
    }
    if (row->since_ms > state_now(m)) return complain(t, key, "its state is from the future");
    const struct late_item *late = row->late.items;
    for (uint32_t i = 0; i < row->late.count; i++) {
        if (late[i].fencing_token > row->fencing_token) {
            return complain(t, key, "a late completion's token is above the current one");
        }
    }
    return HF_OK;
}

static int check_attempt(struct machine *m, struct tally *t, struct slice key,
                         const struct row_record *row)
{
    struct row_key token = row_key_u64(row->fencing_token);
    struct row_key pair = row_key_pair(row->session, row->fencing_token);
    if (row->state != RECORD_RUNNING) {
        int rv = row_is_absent(m, TABLE_ATTEMPTS, row_key_slice(&token));
        return rv == HF_EEXIST ? complain(t, key, "its attempt is over and has a row") : rv;
    }
    t->running_count++;
    int rv = row_holds(m, TABLE_ATTEMPTS, &token, key);
    if (rv == HF_ENOTFOUND) return complain(t, key, "its attempt has no row");
    if (rv != HF_OK || !row->bound) return rv;

    t->bound_count++;
    rv = row_holds(m, TABLE_BOUND, &pair, key);
    if (rv == HF_ENOTFOUND) return complain(t, key, "its session does not know that it is bound");
    if (rv != HF_OK) return rv;
    struct row_key id = row_key_u64(row->session);
    struct row_session session;
    rv = state_get(m, TABLE_SESSIONS, row_key_slice(&id), &row_session_type, &session);
    if (rv == HF_ENOTFOUND || (rv == HF_OK && session.ended != 0)) {
        return complain(t, key, "it is bound to a session that has ended");
    }
    return rv;
}

/* When something must happen to it by itself; 0 = never. */
static uint64_t due_at(const struct row_record *row, enum deadline_kind *kind)
{
    *kind = DEADLINE_ATTEMPT;
    if (row->state == RECORD_RUNNING && !row->lapsed) return row->bound ? 0 : row->lease_until_ms;
    *kind = DEADLINE_RETENTION;
    if (row->state == RECORD_UNKNOWN) return 0;
    if (row->state == RECORD_RUNNING && row->marked) return 0;
    return row->since_ms + row->retain_ms;
}

static int check_deadline(struct machine *m, struct tally *t, struct slice key,
                          const struct row_record *row)
{
    enum deadline_kind kind;
    uint64_t at_ms = due_at(row, &kind);
    if (at_ms == 0) {
        return row->deadline_kind == 0 ? HF_OK : complain(t, key, "a deadline for no reason");
    }
    if (row->deadline_kind != (uint64_t)kind) return complain(t, key, "the wrong deadline");
    if (row->deadline_ms > at_ms) return complain(t, key, "its deadline row stands too late");
    t->deadline_count++;
    struct row_key id = row_key_deadline(row->deadline_ms, kind, key);
    int rv = row_holds(m, TABLE_DEADLINES, &id, (struct slice){0});
    return rv == HF_ENOTFOUND ? complain(t, key, "its deadline row is missing") : rv;
}

/* Somebody may wait at a record that does not run only while a serving is put off. */
static int check_serving(struct machine *m, const struct tally *t, struct slice key,
                         const struct row_record *row)
{
    bool frozen;
    if (row->parked_count == 0 || (row->state == RECORD_RUNNING && !row->lapsed)) return HF_OK;
    int frozen_rv = freeze_covers(m, key, &frozen);
    if (frozen_rv != HF_OK || frozen) return frozen_rv;
    uint8_t wanted[1 + NAME_BYTES_MAX];
    wanted[0] = TABLE_RECORDS;
    memcpy(wanted + 1, key.data, key.size);
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_DEADLINES, &all, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        enum deadline_kind kind;
        struct slice id;
        (void)row_key_deadline_parts(walk.key, &kind, &id);
        if (kind == DEADLINE_THAW ||
            (kind == DEADLINE_SERVE && slice_equal(id, slice_make(wanted, 1 + key.size)))) {
            walk_close(&walk);
            return HF_OK;
        }
    }
    return rv == HF_ENOTFOUND ? complain(t, key, "somebody waits and nothing will wake them") : rv;
}

static int check_queue(struct machine *m, struct tally *t, struct slice key,
                       const struct row_record *row)
{
    uint64_t count = 0;
    struct row_key prefix = row_key_name_prefix(key);
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_RECORD_QUEUE, &prefix, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        struct row_parked parked;
        rv = state_get(m, TABLE_PARKED, walk.value, &row_parked_type, &parked);
        if (rv == HF_ENOTFOUND) rv = complain(t, key, "a place in its queue is nobody's");
        if (rv == HF_OK &&
            (parked.op != OP_CODE_BEGIN || parked.names.count != 1 ||
             !slice_equal(parked.names.items[0], key) || parked.ticket != row_key_last(walk.key))) {
            rv = complain(t, key, "a place in its queue is another request's");
        }
        if (rv != HF_OK) break;
        count++;
    }
    walk_close(&walk);
    if (rv != HF_ENOTFOUND) return rv;
    if (count != row->parked_count) return complain(t, key, "it counts its queue wrongly");
    t->parked_count += count;
    return check_serving(m, t, key, row);
}

static int check_record(struct machine *m, struct tally *t, struct slice key,
                        const struct row_record *row)
{
    int rv = row_is_absent(m, TABLE_TOMBSTONES, key);
    if (rv == HF_EEXIST) return complain(t, key, "it has a tombstone");
    if (rv == HF_OK) rv = check_shape(m, t, key, row);
    if (rv == HF_OK) rv = check_attempt(m, t, key, row);
    if (rv == HF_OK) rv = check_deadline(m, t, key, row);
    if (rv == HF_OK) rv = check_queue(m, t, key, row);
    return rv;
}

/* ------------------------------------------------------------------ whole tables */

static int check_records(struct machine *m, struct tally *t)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_RECORDS, &all, NULL);
    while (rv == HF_OK) {
        struct row_record row;
        rv = state_decode(m, &row_record_type, walk.value, &row);
        if (rv == HF_OK) rv = check_record(m, t, walk.key, &row);
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int check_tombstones(struct machine *m, struct tally *t, uint64_t *count)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_TOMBSTONES, &all, NULL);
    while (rv == HF_OK) {
        struct row_tombstone row;
        rv = state_decode(m, &row_tombstone_type, walk.value, &row);
        if (rv != HF_OK) break;
        if (state_token_is_future(m, row.fencing_token)) {
            rv = complain(t, walk.key, "its tombstone's fencing token was never issued");
            break;
        }
        struct row_key id = row_key_deadline(row.until_ms, DEADLINE_TOMBSTONE, walk.key);
        rv = row_holds(m, TABLE_DEADLINES, &id, (struct slice){0});
        if (rv == HF_ENOTFOUND) rv = complain(t, walk.key, "its tombstone would stay for ever");
        if (rv != HF_OK) break;
        *count += 1;
        rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int check_checkpoints(struct machine *m, struct tally *t)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_CHECKPOINTS, &all, NULL);
    while (rv == HF_OK) {
        rv = row_is_absent(m, TABLE_RECORDS, walk.key);
        if (rv == HF_OK) rv = complain(t, walk.key, "its checkpoint's data outlived it");
        if (rv == HF_EEXIST) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* Each session counts the attempts that are bound to it. */
static int check_sessions(struct machine *m, struct tally *t)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_SESSIONS, &all, NULL);
    while (rv == HF_OK) {
        struct row_session session;
        uint64_t count = 0;
        rv = state_decode(m, &row_session_type, walk.value, &session);
        if (rv != HF_OK) break;
        struct row_key prefix = row_key_u64(row_key_last(walk.key));
        struct walk bound;
        for (rv = walk_first(&bound, m, TABLE_BOUND, &prefix, NULL); rv == HF_OK;
             rv = walk_next(&bound)) {
            count++;
        }
        if (rv != HF_ENOTFOUND) break;
        rv = count == session.attempt_count
                 ? walk_next(&walk)
                 : complain(t, (struct slice){0}, "a session counts its attempts wrongly");
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int count_deadlines(struct machine *m, uint64_t *records, uint64_t *tombstones)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, m, TABLE_DEADLINES, &all, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        enum deadline_kind kind;
        struct slice id;
        (void)row_key_deadline_parts(walk.key, &kind, &id);
        if (kind == DEADLINE_ATTEMPT || kind == DEADLINE_RETENTION) *records += 1;
        if (kind == DEADLINE_TOMBSTONE) *tombstones += 1;
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int record_invariants_check(struct machine *m, struct buffer *complaint)
{
    HF_ASSERT(m->sink == NULL); /* between entries only */
    arena_reset(&m->scratch);
    struct tally t = {.complaint = complaint};
    struct slice none = {0};
    uint64_t tombstones = 0;
    uint64_t record_rows = 0;
    uint64_t tombstone_rows = 0;
    int rv = check_records(m, &t);
    if (rv == HF_OK) rv = check_tombstones(m, &t, &tombstones);
    if (rv == HF_OK) rv = check_checkpoints(m, &t);
    if (rv == HF_OK) rv = check_sessions(m, &t);
    if (rv == HF_OK) rv = count_deadlines(m, &record_rows, &tombstone_rows);
    if (rv != HF_OK) return rv;
    if (store_count(m->store, TABLE_ATTEMPTS) != t.running_count) {
        return complain(&t, none, "an attempt's row is no record's");
    }
    if (store_count(m->store, TABLE_BOUND) != t.bound_count) {
        return complain(&t, none, "a binding is no record's");
    }
    if (store_count(m->store, TABLE_RECORD_QUEUE) != t.parked_count) {
        return complain(&t, none, "a place in a queue is no record's");
    }
    if (record_rows != t.deadline_count) {
        return complain(&t, none, "a deadline row is no record's");
    }
    if (tombstone_rows != tombstones) return complain(&t, none, "a deadline row is no tombstone's");
    return HF_OK;
}
