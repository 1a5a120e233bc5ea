/* The invariants themselves: a sound state, one row broken at a time, and each break is named. */
#include "machine/record_invariants.h"

#include <string.h>

#include "machine/record.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/records/record_rig.h"

/* ------------------------------------------------------------------ a state with all kinds */

struct scene {
    struct rig *r;        /* owned */
    uint64_t session;     /* of all but the waiters */
    uint64_t run_token;   /* of "run" */
    uint64_t bound_token; /* of "bound" */
    uint64_t done_token;  /* of "done" */
};

static uint64_t begin_one(struct scene *s, const char *key, uint64_t lease_ms)
{
    struct msg_begin begin = a_begin(key);
    begin.lease_ms = lease_ms;
    return rig_started(s->r, s->session, &begin);
}

static void set_scene(struct scene *s)
{
    s->r = rig_open();
    s->session = rig_session(s->r, 3600000);
    uint64_t gone = begin_one(s, "gone", 10000);
    assert_int_equal(rig_complete(s->r, s->session, "gone", gone, OUTCOME_DONE, "").status, HF_OK);
    rig_pass(s->r, RETAIN_MS_MIN);
    s->run_token = begin_one(s, "run", 10000);
    assert_int_equal(rig_checkpoint(s->r, s->session, "run", s->run_token, 1, 1).status, HF_OK);
    s->bound_token = begin_one(s, "bound", 0);
    s->done_token = begin_one(s, "done", 10000);
    struct answer a = rig_complete(s->r, s->session, "done", s->done_token, OUTCOME_DONE, "x");
    assert_int_equal(a.status, HF_OK);
    uint64_t lapsed = begin_one(s, "lapsed", 10000);
    assert_int_equal(rig_abandon(s->r, s->session, lapsed).status, HF_OK);
    assert_true(rig_begin_waiting(s->r, s->session, "run", 5000).parked);
    assert_true(rig_begin_waiting(s->r, s->session, "run", 5000).parked);
}

/* ------------------------------------------------------------------ breaking it */

static struct row_record read_row(struct scene *s, const char *key)
{
    struct row_record row;
    assert_int_equal(record_get(s->r->m, slice_of(key), &row), HF_OK);
    return row;
}

static void write_row(struct scene *s, const char *key, const struct row_record *row)
{
    int rv = state_put(s->r->m, TABLE_RECORDS, slice_of(key), &row_record_type, row);
    assert_int_equal(rv, HF_OK);
}

#define EDIT(name, key, statement)                \
    static void name(struct scene *s)             \
    {                                             \
        struct row_record row = read_row(s, key); \
        statement;                                \
        write_row(s, key, &row);                  \
    }

EDIT(break_token, "run", row.fencing_token = 1000)
EDIT(break_lapse, "done", row.lapsed = 1)
EDIT(break_binding, "run", row.bound = 1)
EDIT(break_bound_lapse, "lapsed", row.bound = 1)
EDIT(break_mark, "done", row.external = MARK_DERIVED)
EDIT(break_marked, "run", row.marked = 0)
EDIT(break_mark_lapsed, "lapsed", row.marked = 1; row.external = MARK_ONCE)
EDIT(break_policy, "lapsed", row.takeover = TAKEOVER_NEVER)
EDIT(break_since, "run", row.since_ms = s->r->now_ms + 1)
EDIT(break_deadline_none, "run", row.deadline_kind = 0)
EDIT(break_deadline_kind, "run", row.deadline_kind = DEADLINE_RETENTION)
EDIT(break_deadline_late, "run", row.deadline_ms += 1)
EDIT(break_deadline_early, "run", row.deadline_ms -= 1)
EDIT(break_deadline_needless, "bound", row.deadline_kind = DEADLINE_ATTEMPT)
EDIT(break_count, "run", row.parked_count = 1)
EDIT(break_retention, "done", row.since_ms -= 1)
EDIT(break_fingerprint, "done", row.fingerprint.size = HASH128_BYTES)
EDIT(break_result, "run", row.code = 1)
EDIT(break_erased, "done", row.body_kind = BODY_ERASED; row.meta = slice_of("her name"))
EDIT(break_serving, "run", row.lapsed = 1; row.marked = row.external = 0;
     row.deadline_kind = DEADLINE_RETENTION)

static void break_tombstone_token(struct scene *s)
{
    struct row_tombstone row;
    struct slice key = slice_of("gone");
    int rv = state_get(s->r->m, TABLE_TOMBSTONES, key, &row_tombstone_type, &row);
    assert_int_equal(rv, HF_OK);
    row.fencing_token = 1000;
    rv = state_put(s->r->m, TABLE_TOMBSTONES, key, &row_tombstone_type, &row);
    assert_int_equal(rv, HF_OK);
}

static void break_late(struct scene *s)
{
    struct row_record row = read_row(s, "done");
    struct late_item late = {.fencing_token = s->done_token + 1,
                             .body_hash = slice_of("0123456789abcdef")};
    row.late = (struct codec_list){&late, 1};
    write_row(s, "done", &row);
}

static void put(struct scene *s, enum machine_table table, struct row_key key, const char *value)
{
    int rv = store_put(s->r->store, (uint8_t)table, row_key_slice(&key), slice_of(value));
    assert_int_equal(rv, HF_OK);
}

static void del(struct scene *s, enum machine_table table, struct row_key key)
{
    assert_int_equal(store_del(s->r->store, (uint8_t)table, row_key_slice(&key)), HF_OK);
}

static void lose_attempt(struct scene *s)
{
    del(s, TABLE_ATTEMPTS, row_key_u64(s->run_token));
}

static void misname_attempt(struct scene *s)
{
    put(s, TABLE_ATTEMPTS, row_key_u64(s->run_token), "bound");
}

static void keep_attempt(struct scene *s)
{
    put(s, TABLE_ATTEMPTS, row_key_u64(s->done_token), "done");
}

static void add_attempt(struct scene *s)
{
    put(s, TABLE_ATTEMPTS, row_key_u64(s->done_token + 900), "run");
}

static void lose_binding(struct scene *s)
{
    del(s, TABLE_BOUND, row_key_pair(s->session, s->bound_token));
}

static void add_binding(struct scene *s)
{
    put(s, TABLE_BOUND, row_key_pair(s->session + 900, s->bound_token), "bound");
}

static void miscount_session(struct scene *s)
{
    struct row_key id = row_key_u64(s->session);
    struct row_session row;
    assert_int_equal(
        state_get(s->r->m, TABLE_SESSIONS, row_key_slice(&id), &row_session_type, &row), HF_OK);
    row.attempt_count += 1;
    assert_int_equal(
        state_put(s->r->m, TABLE_SESSIONS, row_key_slice(&id), &row_session_type, &row), HF_OK);
}

static void end_session(struct scene *s)
{
    struct row_key id = row_key_u64(s->session);
    struct row_session row;
    assert_int_equal(
        state_get(s->r->m, TABLE_SESSIONS, row_key_slice(&id), &row_session_type, &row), HF_OK);
    row.ended = END_EXPIRED;
    assert_int_equal(
        state_put(s->r->m, TABLE_SESSIONS, row_key_slice(&id), &row_session_type, &row), HF_OK);
}

static void add_deadline(struct scene *s)
{
    put(s, TABLE_DEADLINES, row_key_deadline(9000000, DEADLINE_RETENTION, slice_of("run")), "");
}

static void add_tombstone_deadline(struct scene *s)
{
    put(s, TABLE_DEADLINES, row_key_deadline(9000000, DEADLINE_TOMBSTONE, slice_of("run")), "");
}

static void lose_tombstone_deadline(struct scene *s)
{
    struct row_tombstone row;
    assert_int_equal(
        state_get(s->r->m, TABLE_TOMBSTONES, slice_of("gone"), &row_tombstone_type, &row), HF_OK);
    del(s, TABLE_DEADLINES, row_key_deadline(row.until_ms, DEADLINE_TOMBSTONE, slice_of("gone")));
}

static void bury_alive(struct scene *s)
{
    struct slice value;
    int rv = store_get(s->r->store, TABLE_TOMBSTONES, slice_of("gone"), &value);
    if (rv == HF_OK) rv = state_copy(s->r->m, value, &value);
    if (rv == HF_OK) rv = store_put(s->r->store, TABLE_TOMBSTONES, slice_of("run"), value);
    assert_int_equal(rv, HF_OK);
}

static void orphan_checkpoint(struct scene *s)
{
    put(s, TABLE_CHECKPOINTS, row_key_name(slice_of("nobody")), "data");
}

/* The first place in a record's queue. */
static struct row_key first_place(struct scene *s)
{
    struct row_key prefix = row_key_name_prefix(slice_of("run"));
    struct slice key;
    struct slice value;
    assert_int_equal(state_first(s->r->m, TABLE_RECORD_QUEUE, row_key_slice(&prefix),
                                 row_key_slice(&prefix), &key, &value),
                     HF_OK);
    return row_key_queue(slice_of("run"), row_key_last(key));
}

static void lose_place(struct scene *s)
{
    del(s, TABLE_RECORD_QUEUE, first_place(s));
}

static void give_place_to_nobody(struct scene *s)
{
    put(s, TABLE_RECORD_QUEUE, first_place(s), "sixteen bytes...");
}

static void swap_places(struct scene *s)
{
    struct row_key place = first_place(s);
    struct row_key next = row_key_queue(slice_of("run"), row_key_last(row_key_slice(&place)) + 1);
    struct slice value;
    int rv = store_get(s->r->store, TABLE_RECORD_QUEUE, row_key_slice(&next), &value);
    if (rv == HF_OK) rv = state_copy(s->r->m, value, &value);
    if (rv == HF_OK) rv = store_put(s->r->store, TABLE_RECORD_QUEUE, row_key_slice(&place), value);
    assert_int_equal(rv, HF_OK);
}

static void wait_for_nothing(struct scene *s)
{
    struct row_key place = first_place(s);
    struct slice value;
    int rv = store_get(s->r->store, TABLE_RECORD_QUEUE, row_key_slice(&place), &value);
    if (rv == HF_OK) rv = state_copy(s->r->m, value, &value);
    struct row_key other = row_key_queue(slice_of("nobody"), 1);
    if (rv == HF_OK) rv = store_put(s->r->store, TABLE_RECORD_QUEUE, row_key_slice(&other), value);
    assert_int_equal(rv, HF_OK);
}

/* ------------------------------------------------------------------ and being told */

static const struct {
    void (*break_it)(struct scene *s);
    const char *complaint; /* part of it */
} breaks[] = {
    {break_token, "never issued"},
    {break_lapse, "does not run"},
    {break_binding, "does not know that it is bound"},
    {break_bound_lapse, "is bound to a session and does not run"},
    {break_mark, "a mark outlived"},
    {break_marked, "never made"},
    {break_mark_lapsed, "with mark 1 open"},
    {break_policy, "against its takeover policy"},
    {break_since, "from the future"},
    {break_deadline_none, "wrong deadline"},
    {break_deadline_kind, "wrong deadline"},
    {break_deadline_late, "too late"},
    {break_deadline_early, "missing"},
    {break_deadline_needless, "no reason"},
    {break_retention, "too late"},
    {break_count, "counts its queue wrongly"},
    {break_serving, "'run'"},
    {break_fingerprint, "was not reopened"},
    {break_result, "a result and no outcome"},
    {break_erased, "holds what was to go"},
    {break_tombstone_token, "tombstone's fencing token"},
    {break_late, "late completion's token"},
    {lose_attempt, "has no row"},
    {misname_attempt, "has no row"},
    {keep_attempt, "is over and has a row"},
    {add_attempt, "attempt's row is no record's"},
    {lose_binding, "does not know that it is bound"},
    {add_binding, "binding is no record's"},
    {miscount_session, "counts its attempts wrongly"},
    {end_session, "session that has ended"},
    {add_deadline, "deadline row is no record's"},
    {add_tombstone_deadline, "no tombstone's"},
    {lose_tombstone_deadline, "for ever"},
    {bury_alive, "has a tombstone"},
    {orphan_checkpoint, "outlived it"},
    {lose_place, "counts its queue wrongly"},
    {give_place_to_nobody, "is nobody's"},
    {swap_places, "another request's"},
    {wait_for_nothing, "place in a queue is no record's"},
};

/* Each broken row is found, and named. */
static void test_each_broken_row_is_found(void **state)
{
    (void)state;
    struct scene s;
    struct buffer complaint;
    char text[512];
    set_scene(&s);
    buffer_init(&complaint, sizeof text);
    for (size_t i = 0; i < HF_ARRAY_COUNT(breaks); i++) {
        buffer_clear(&complaint);
        assert_int_equal(record_invariants_check(s.r->m, &complaint), HF_OK);
        store_savepoint(s.r->store);
        breaks[i].break_it(&s);
        int rv = record_invariants_check(s.r->m, &complaint);
        size_t size = complaint.size < sizeof text ? complaint.size : sizeof text - 1;
        if (size != 0) memcpy(text, complaint.data, size);
        text[size] = 0;
        if (rv != HF_ECORRUPT || strstr(text, breaks[i].complaint) == NULL) {
            print_error("wanted: %s; got: %s\n", breaks[i].complaint, text);
        }
        assert_int_equal(rv, HF_ECORRUPT);
        assert_non_null(strstr(text, breaks[i].complaint));
        assert_int_equal(store_rollback(s.r->store), HF_OK);
    }
    buffer_close(&complaint);
    rig_close(s.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_broken_row_is_found),
    };
    return cmocka_run_group_tests_name("record_invariants", tests, NULL, NULL);
}
