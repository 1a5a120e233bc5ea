/* TXN (docs/contract.md, section 8): each op in each of its ways, accepted and refused; the guard
 * that the same TXN releases; evidence; waiters; retries. txn_random_test.c has the mixtures. */
#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/timers.h"
#include "tests/unit/machine/txn_rig.h"

enum { TTL_MS = 60000, OWNER = 7, OTHER = 8 };

/* A machine in which every way of every op can be met. */
struct scene {
    struct fixture *f;
    struct txn_draft draft;
    uint64_t session;
    uint64_t seq;
    uint64_t held;    /* grant of "held" */
    uint64_t twice;   /* of "twice", acquired two times */
    uint64_t old;     /* was released */
    uint64_t running; /* attempt at "running" */
    uint64_t done;    /* at "done", DONE */
    uint64_t unknown; /* at "unknown", UNKNOWN */
    uint64_t taken;   /* the first of two at "taken" */
};

static void checkpoint(struct scene *s, const char *key, uint64_t token, uint64_t external)
{
    const struct msg_checkpoint request = {
        .key = slice_of(key),
        .fencing_token = token,
        .name = slice_of("charge"),
        .number = 1,
        .data = slice_of("card"),
        .external = external,
    };
    const struct answer *a = call(s->f, OP_CODE_CHECKPOINT, s->session, ++s->seq, &request);
    assert_int_equal(a->status, HF_OK);
}

static int complete(struct scene *s, const char *key, uint64_t token, uint64_t outcome)
{
    const struct msg_complete request = txn_complete(key, token, outcome);
    return call(s->f, OP_CODE_COMPLETE, s->session, ++s->seq, &request)->status;
}

static void open_scene(struct scene *s, struct fixture *f)
{
    *s = (struct scene){.f = f};
    txn_draft_open(&s->draft);
    s->session = open_session(f, "txn", TTL_MS);
    uint64_t old = txn_begin_ok(f, s->session, ++s->seq, "lapsed");
    checkpoint(s, "lapsed", old, 0);
    s->taken = txn_begin_ok(f, s->session, ++s->seq, "taken");
    s->unknown = txn_begin_ok(f, s->session, ++s->seq, "unknown");
    checkpoint(s, "unknown", s->unknown, 1);
    set_ok(f, s->session, ++s->seq, (struct timer_want){.key = "fired", .delay_ms = 1});
    pass(f, TXN_RIG_LEASE_MS);
    struct want want = {.name = "held", .owner = OWNER};
    s->old = acquire_ok(f, s->session, ++s->seq, want);
    assert_int_equal(release(f, s->session, ++s->seq, "held", s->old, OWNER), HF_OK);
    s->held = acquire_ok(f, s->session, ++s->seq, want);
    want = (struct want){.name = "twice", .owner = OWNER, .reentrant = 1};
    s->twice = acquire_ok(f, s->session, ++s->seq, want);
    (void)acquire_ok(f, s->session, ++s->seq, want);
    const struct msg_begin again = txn_begin("taken", 1);
    assert_int_equal(call(f, OP_CODE_BEGIN, s->session, ++s->seq, &again)->status, HF_OK);
    s->running = txn_begin_ok(f, s->session, ++s->seq, "running");
    s->done = txn_begin_ok(f, s->session, ++s->seq, "done");
    assert_int_equal(complete(s, "done", s->done, OUTCOME_DONE), HF_OK);
    set_ok(f, s->session, ++s->seq,
           (struct timer_want){.key = "pending", .delay_ms = 9000, .version = 5});
    set_ok(f, s->session, ++s->seq, (struct timer_want){.key = "gone", .delay_ms = 9000});
    assert_int_equal(cancel_timer(f, s->session, ++s->seq, "gone", NULL), HF_OK);
}

/* ------------------------------------------------------------------ one op in each of its ways */

/* A way that an op may go: what it asks, and what it is answered. */
struct way {
    uint16_t op;
    const char *name; /* lock, record or timer */
    uint64_t number;  /* token, fingerprint, or version of a timer */
    uint64_t owner;   /* of a RELEASE */
    int status;
    uint64_t verdict; /* of OK */
};

static void add_way(struct txn_draft *draft, const struct way *way, uint64_t verdicts)
{
    const struct msg_release release = {slice_of(way->name), way->number, way->owner};
    const struct msg_complete complete = txn_complete(way->name, way->number, OUTCOME_DONE);
    const struct msg_timer_cancel cancel = {slice_of(way->name)};
    const struct msg_timer_set set = timer_request(
        (struct timer_want){.key = way->name, .delay_ms = 100, .version = way->number});
    const struct msg_begin begin = txn_begin(way->name, (uint8_t)way->number);
    const void *request = &begin;
    if (way->op == OP_CODE_RELEASE) request = &release;
    if (way->op == OP_CODE_COMPLETE) request = &complete;
    if (way->op == OP_CODE_TIMER_CANCEL) request = &cancel;
    if (way->op == OP_CODE_TIMER_SET) request = &set;
    txn_add(draft, way->op, request, verdicts);
}

/* With a witness before and behind it, which nothing but this op can keep from being done. */
static void add_with_witnesses(struct txn_draft *draft, const struct way *way, bool accepted)
{
    const struct msg_timer_set first = timer_request((struct timer_want){.key = "w1"});
    const struct msg_timer_set last = timer_request((struct timer_want){.key = "w2"});
    txn_draft_clear(draft);
    txn_add(draft, OP_CODE_TIMER_SET, &first, 1);
    add_way(draft, way, accepted && way->status == HF_OK ? UINT64_C(1) << way->verdict : 0);
    if (way->status != HF_OK && accepted) txn_accept(draft, way->status);
    if (!accepted) txn_accept(draft, HF_EBUSY);
    txn_add(draft, OP_CODE_TIMER_SET, &last, 1);
}

static bool has_timer(struct fixture *f, const char *key)
{
    struct timer_line line;
    return find_timer(f, key, &line);
}

static void try_way(struct scene *s, const struct way *way)
{
    struct fixture *copy = txn_copy(s->f);
    add_with_witnesses(&s->draft, way, false);
    const struct answer *a = txn_send(copy, s->session, s->seq + 1, &s->draft);
    struct msg_txn_refused refused;
    assert_string_equal(status_name(a->status), "NOT_ACCEPTED");
    read_body(copy, OP_CODE_TXN, a, &refused);
    assert_int_equal(refused.index, 1);
    assert_int_equal(refused.op, way->op);
    assert_string_equal(status_name(refused.status), status_name(way->status));
    assert_false(has_timer(copy, "w1"));
    assert_false(has_timer(copy, "w2"));

    add_with_witnesses(&s->draft, way, true);
    a = txn_send(copy, s->session, s->seq + 2, &s->draft);
    const struct txn_result result = txn_result_at(copy, a, 1);
    assert_int_equal(result.op, way->op);
    assert_string_equal(status_name(result.status), status_name(way->status));
    struct msg_begin_reply begun;
    if (way->op == OP_CODE_BEGIN && way->status == HF_OK) {
        txn_read(&result, &begun);
        assert_int_equal(begun.verdict, way->verdict);
    }
    assert_true(has_timer(copy, "w1"));
    assert_true(has_timer(copy, "w2"));
    txn_copy_free(copy);
}

static void test_each_op_is_accepted_or_refused_in_each_of_its_ways(void **state)
{
    struct scene s;
    open_scene(&s, *state);
    const struct way ways[] = {
        {OP_CODE_RELEASE, "held", s.held, OWNER, HF_OK, RELEASE_FREED},
        {OP_CODE_RELEASE, "twice", s.twice, OWNER, HF_OK, RELEASE_COUNTED},
        {OP_CODE_RELEASE, "held", s.held, OTHER, HF_ENOTOWNER, 0},
        {OP_CODE_RELEASE, "held", s.old, OWNER, HF_ESTALE, 0},
        {OP_CODE_RELEASE, "free", s.old, OWNER, HF_ENOTHELD, 0},
        {OP_CODE_BEGIN, "new", 1, 0, HF_OK, BEGIN_STARTED},
        {OP_CODE_BEGIN, "done", 1, 0, HF_OK, BEGIN_REPLAY},
        {OP_CODE_BEGIN, "lapsed", 1, 0, HF_OK, BEGIN_TAKEOVER},
        {OP_CODE_BEGIN, "running", 1, 0, HF_ERUNNING, 0},
        {OP_CODE_BEGIN, "running", 2, 0, HF_EMISMATCH, 0},
        {OP_CODE_BEGIN, "unknown", 1, 0, HF_ERECORDUNKNOWN, 0},
        {OP_CODE_COMPLETE, "running", s.running, 0, HF_OK, 0},
        {OP_CODE_COMPLETE, "unknown", s.unknown, 0, HF_OK, 0},
        {OP_CODE_COMPLETE, "done", s.done, 0, HF_OK, 0},
        {OP_CODE_COMPLETE, "taken", s.taken, 0, HF_ESTALE, 0},
        {OP_CODE_TIMER_SET, "new", 1, 0, HF_OK, TIMER_SCHEDULED},
        {OP_CODE_TIMER_SET, "pending", 6, 0, HF_OK, TIMER_REPLACED},
        {OP_CODE_TIMER_SET, "pending", 5, 0, HF_OK, TIMER_SAME},
        {OP_CODE_TIMER_SET, "pending", 4, 0, HF_OK, TIMER_OLDER},
        {OP_CODE_TIMER_SET, "fired", 0, 0, HF_EFIRED, 0},
        {OP_CODE_TIMER_SET, "gone", 0, 0, HF_ETIMERCANCELLED, 0},
        {OP_CODE_TIMER_CANCEL, "pending", 0, 0, HF_OK, 0},
        {OP_CODE_TIMER_CANCEL, "gone", 0, 0, HF_OK, 0},
        {OP_CODE_TIMER_CANCEL, "fired", 0, 0, HF_EFIRED, 0},
        {OP_CODE_TIMER_CANCEL, "none", 0, 0, HF_ENOTFOUND, 0},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(ways); i++) {
        print_message("%s %s\n", op_find(ways[i].op)->name, ways[i].name);
        try_way(&s, &ways[i]);
    }
    txn_draft_close(&s.draft);
}

/* ------------------------------------------------------------------ verdicts of the state before
 */

/* The next step begins under the lock that this very TXN gives back; nobody comes between. */
static void test_a_begin_may_be_guarded_by_what_the_same_txn_releases(void **state)
{
    struct scene s;
    open_scene(&s, *state);
    const struct msg_release release = {slice_of("held"), s.held, OWNER};
    struct msg_begin begin = txn_begin("next", 1);
    begin.guard_name = slice_of("held");
    begin.guard_token = s.held;
    txn_add(&s.draft, OP_CODE_RELEASE, &release, 1 << RELEASE_FREED);
    txn_add(&s.draft, OP_CODE_BEGIN, &begin, 1 << BEGIN_STARTED);
    const struct answer *a = txn_send(s.f, s.session, ++s.seq, &s.draft);
    assert_int_equal(txn_result_at(s.f, a, 1).status, HF_OK);
    assert_int_equal(holders_of(s.f, "held"), 0);

    txn_draft_clear(&s.draft);
    begin.key = slice_of("after");
    txn_add(&s.draft, OP_CODE_BEGIN, &begin, 1 << BEGIN_STARTED);
    txn_accept(&s.draft, HF_EGUARDSTALE);
    a = txn_send(s.f, s.session, ++s.seq, &s.draft);
    assert_int_equal(txn_result_at(s.f, a, 0).status, HF_EGUARDSTALE);
    txn_draft_close(&s.draft);
}

/* An old token of a lock is STALE as long as it is held, whatever the TXN releases before. */
static void test_a_lock_is_told_as_it_was_before(void **state)
{
    struct scene s;
    open_scene(&s, *state);
    const struct msg_release mine = {slice_of("held"), s.held, OWNER};
    const struct msg_release stale = {slice_of("held"), s.old, OWNER};
    txn_add(&s.draft, OP_CODE_RELEASE, &mine, 1 << RELEASE_FREED);
    txn_add(&s.draft, OP_CODE_RELEASE, &stale, 0);
    txn_accept(&s.draft, HF_ESTALE);
    const struct answer *a = txn_send(s.f, s.session, ++s.seq, &s.draft);
    assert_int_equal(txn_result_at(s.f, a, 0).status, HF_OK);
    assert_int_equal(txn_result_at(s.f, a, 1).status, HF_ESTALE);
    txn_draft_close(&s.draft);
}

/* A token that was never issued is none either when the TXN itself has just issued it. */
static void test_a_token_of_the_future_is_refused(void **state)
{
    struct scene s;
    open_scene(&s, *state);
    const struct msg_begin begin = txn_begin("next", 1);
    const struct msg_release release = {{0}, s.done + 1, OWNER};
    txn_add(&s.draft, OP_CODE_BEGIN, &begin, 1 << BEGIN_STARTED);
    txn_add(&s.draft, OP_CODE_RELEASE, &release, 3);
    const struct answer *a = txn_send(s.f, s.session, ++s.seq, &s.draft);
    struct msg_txn_refused refused;
    assert_string_equal(status_name(a->status), "NOT_ACCEPTED");
    read_body(s.f, OP_CODE_TXN, a, &refused);
    assert_int_equal(refused.index, 1);
    assert_int_equal(refused.status, HF_EBADREQUEST);
    assert_int_equal(txn_begin_ok(s.f, s.session, ++s.seq, "next"), s.done + 1);
    txn_draft_close(&s.draft);
}

/* ------------------------------------------------------------------ what leaves, and when */

static uint64_t late_of(struct fixture *f, const char *key)
{
    const struct msg_record_get get = {slice_of(key)};
    struct msg_record_reply reply;
    read_ok(f, OP_CODE_RECORD_GET, &get, 0, &reply);
    return reply.late.count;
}

/* Also behind the op that is refused, which is all that the answer tells of. */
static void test_evidence_of_a_late_completion_outlives_the_txn(void **state)
{
    struct scene s;
    open_scene(&s, *state);
    const struct way running = {OP_CODE_BEGIN, "running", 1, 0, HF_ERUNNING, 0};
    const struct way late = {OP_CODE_COMPLETE, "taken", s.taken, 0, HF_ESTALE, 0};
    add_way(&s.draft, &running, 1);
    add_way(&s.draft, &late, 1);
    assert_int_equal(late_of(s.f, "taken"), 0);
    const struct answer *a = txn_send(s.f, s.session, ++s.seq, &s.draft);
    struct msg_txn_refused refused;
    assert_string_equal(status_name(a->status), "NOT_ACCEPTED");
    read_body(s.f, OP_CODE_TXN, a, &refused);
    assert_int_equal(refused.index, 0);
    assert_int_equal(late_of(s.f, "taken"), 1);
    txn_draft_close(&s.draft);
}

/* Whoever waits for the lock, or for the record, hears of a TXN that stands, and of no other. */
static void test_waiters_are_served_by_a_txn_that_stands(void **state)
{
    struct scene s;
    open_scene(&s, *state);
    uint64_t other = open_session(s.f, "other", TTL_MS);
    struct want want = {.name = "held", .owner = OTHER, .wait_ms = 30000};
    assert_int_equal(acquire_status(s.f, other, 1, want), ACQUIRE_WAITS);
    struct msg_begin waits = txn_begin("running", 1);
    waits.wait_ms = 30000;
    assert_int_equal(call(s.f, OP_CODE_BEGIN, other, 2, &waits)->kind, ANSWER_PARKED);

    const struct way freed = {OP_CODE_RELEASE, "held", s.held, OWNER, HF_OK, 0};
    const struct way ended = {OP_CODE_COMPLETE, "running", s.running, 0, HF_OK, 0};
    const struct way fired = {OP_CODE_TIMER_CANCEL, "fired", 0, 0, HF_EFIRED, 0};
    add_way(&s.draft, &freed, 1);
    add_way(&s.draft, &ended, 1);
    add_way(&s.draft, &fired, 1);
    const struct answer *a = txn_send(s.f, s.session, ++s.seq, &s.draft);
    assert_string_equal(status_name(a->status), "NOT_ACCEPTED");
    assert_int_equal(s.f->answer_count, 1);
    assert_int_equal(queue_of(s.f, "held"), 1);

    txn_accept(&s.draft, HF_EFIRED);
    a = txn_send(s.f, s.session, ++s.seq, &s.draft);
    assert_string_equal(status_name(a->status), "OK");
    assert_true(granted_token(s.f, find_woken(s.f, other, 1)) > s.held);
    struct msg_begin_reply replay;
    read_body(s.f, OP_CODE_BEGIN, find_woken(s.f, other, 2), &replay);
    assert_int_equal(replay.verdict, BEGIN_REPLAY);
    assert_int_equal(replay.body.size, 4);
    txn_draft_close(&s.draft);
}

/* ------------------------------------------------------------------ answers and retries */

/* A takeover's data is looked up for a retry as long as the attempt stands, and said to have gone
 * after it. */
static void test_a_retry_is_told_whether_its_attempts_stand(void **state)
{
    struct scene s;
    struct msg_begin_reply begun;
    open_scene(&s, *state);
    const struct way lapsed = {OP_CODE_BEGIN, "lapsed", 1, 0, HF_OK, BEGIN_TAKEOVER};
    add_way(&s.draft, &lapsed, 1 << BEGIN_TAKEOVER);
    uint64_t seq = ++s.seq;
    const struct answer *a = txn_send(s.f, s.session, seq, &s.draft);
    struct txn_result result = txn_result_at(s.f, a, 0);
    txn_read(&result, &begun);
    uint64_t token = begun.fencing_token;
    assert_true(slice_equal(begun.checkpoint_data, slice_of("card")));
    assert_int_equal(begun.referent, REFERENT_WHOLE);

    a = txn_send(s.f, s.session, seq, &s.draft);
    assert_int_equal(a->flags, REPLY_REPEATED | REPLY_STANDS);
    result = txn_result_at(s.f, a, 0);
    txn_read(&result, &begun);
    assert_int_equal(begun.fencing_token, token);
    assert_true(slice_equal(begun.checkpoint_data, slice_of("card")));

    assert_int_equal(complete(&s, "lapsed", token, OUTCOME_DONE), HF_OK);
    a = txn_send(s.f, s.session, seq, &s.draft);
    assert_int_equal(a->flags, REPLY_REPEATED);
    result = txn_result_at(s.f, a, 0);
    txn_read(&result, &begun);
    assert_int_equal(begun.fencing_token, token);
    assert_int_equal(begun.checkpoint_data.size, 0);
    assert_int_equal(begun.referent, REFERENT_GONE);
    txn_draft_close(&s.draft);
}

/* Sixteen of the largest answers of numbers are kept for a retry. */
static void test_what_is_stored_of_sixteen_ops_fits(void **state)
{
    (void)state;
    const struct msg_begin_reply largest = {
        .verdict = BEGIN_TAKEOVER,
        .fencing_token = TOKEN_END - 1,
        .attempt = UINT32_MAX,
        .checkpoint_number = UINT64_MAX,
        .external = 2,
        .outcome = RECORD_STATE_MAX,
        .code = UINT32_MAX,
        .done_at_ms = TIME_MS_MAX,
        .referent = REFERENT_GONE,
        .body_kind = BODY_KIND_MAX,
    };
    const struct msg_unknown unknown = {TOKEN_END - 1, UINT32_MAX, {0}, UINT64_MAX, 2, TIME_MS_MAX};
    struct buffer one, all;
    struct txn_result results[TXN_OPS_MAX];
    buffer_init(&one, TXN_ANSWER_BYTES_MAX);
    buffer_init(&all, REPLY_STORED_BYTES_MAX);
    for (int kind = 0; kind < 2; kind++) {
        int status = kind == 0 ? HF_OK : HF_ERECORDUNKNOWN;
        const void *body = kind == 0 ? (const void *)&largest : &unknown;
        buffer_clear(&one);
        buffer_clear(&all);
        assert_int_equal(codec_encode(op_reply_type(OP_CODE_BEGIN, status), body, &one), HF_OK);
        for (uint32_t i = 0; i < TXN_OPS_MAX; i++)
            results[i] = (struct txn_result){OP_CODE_BEGIN, status, buffer_slice(&one)};
        const struct msg_txn_reply reply = {{results, TXN_OPS_MAX}};
        assert_int_equal(codec_encode(&msg_txn_reply_type, &reply, &all), HF_OK);
    }
    buffer_close(&one);
    buffer_close(&all);
}

/* Of a session that has ended nothing is done. */
static void test_an_ended_session_does_nothing(void **state)
{
    struct scene s;
    open_scene(&s, *state);
    const struct way set = {OP_CODE_TIMER_SET, "new", 1, 0, HF_OK, 0};
    add_way(&s.draft, &set, 1);
    pass(s.f, TTL_MS + 1);
    assert_int_equal(txn_send(s.f, s.session, ++s.seq, &s.draft)->status, HF_ESESSION);
    assert_false(has_timer(s.f, "new"));
    txn_draft_close(&s.draft);
}

int main(void)
{
#define TXN_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TXN_TEST(test_each_op_is_accepted_or_refused_in_each_of_its_ways),
        TXN_TEST(test_a_begin_may_be_guarded_by_what_the_same_txn_releases),
        TXN_TEST(test_a_lock_is_told_as_it_was_before),
        TXN_TEST(test_a_token_of_the_future_is_refused),
        TXN_TEST(test_evidence_of_a_late_completion_outlives_the_txn),
        TXN_TEST(test_waiters_are_served_by_a_txn_that_stands),
        TXN_TEST(test_a_retry_is_told_whether_its_attempts_stand),
        cmocka_unit_test(test_what_is_stored_of_sixteen_ops_fits),
        TXN_TEST(test_an_ended_session_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
