/* What is told as an event, and in which order (docs/contract.md, section 8), a test a rule. Where
 * a WATCH goes on: watch_test.c. */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/timers.h"
#include "tests/unit/machine/watches.h"

enum { TTL_MS = 10000, LONG_TTL_MS = 3600000, LEASE_MS = 5000 };

static const struct want A = {.name = "a", .owner = 1};
static const struct want B = {.name = "b", .owner = 2, .wait_ms = 60000};

static struct slice zeros(size_t size)
{
    static const uint8_t bytes[64];
    return slice_make(bytes, size);
}

/* Nothing that goes well is told unless somebody asked for it. */
static void test_what_goes_well_is_not_told(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t token = acquire_ok(f, s, 1, A);
    assert_int_equal(release(f, s, 2, "a", token, 1), HF_OK);
    assert_int_equal(close_session(f, s, 3), HF_OK);
    assert_int_equal(watch_now(f), 1);
    assert_int_equal(f->event_count, 0);
}

/* The session first, then its grants in the order of their tokens, a name at a time. */
static void test_an_expired_session_is_told_before_what_it_loses(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "worker", TTL_MS);
    uint64_t first = acquire_ok(f, s, 1, A);
    uint64_t second = acquire_ok(f, s, 2, (struct want){.name = "b", .also = {"c"}, .owner = 1});
    pass(f, TTL_MS);
    struct msg_watch_reply all = watch_all(f, 1);
    assert_int_equal(all.events.count, 4);
    const struct event_line *event = expect_event(&all, 0, EVENT_SESSION_EXPIRED, "worker");
    assert_int_equal(event->number, 1);
    assert_int_equal(event->session, s);
    assert_int_equal(event->what, END_EXPIRED);
    assert_int_equal(event->at_ms, f->now_ms);
    event = expect_event(&all, 1, EVENT_LOST, "a");
    assert_int_equal(event->fencing_token, first);
    assert_int_equal(event->what, END_EXPIRED);
    assert_true(slice_equal(event->client_name, slice_of("worker")));
    assert_int_equal(expect_event(&all, 2, EVENT_LOST, "b")->fencing_token, second);
    assert_int_equal(expect_event(&all, 3, EVENT_LOST, "c")->number, 4);
    assert_int_equal(f->event_count, 4);
}

/* Under a prefix all is told, elsewhere nothing; off again, nothing there either. The switch itself
 * is an act. */
static void test_the_rest_is_told_under_prefixes_that_are_switched_on(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", LONG_TTL_MS);
    uint64_t t = open_session(f, "t", LONG_TTL_MS);
    assert_int_equal(switch_events(f, s, 1, "b", true), HF_OK);
    uint64_t a = acquire_ok(f, s, 2, A);
    uint64_t b = acquire_ok(f, s, 3, (struct want){.name = "b", .owner = 1});
    assert_int_equal(acquire_status(f, t, 1, B), ACQUIRE_WAITS);
    assert_int_equal(release(f, s, 4, "a", a, 1), HF_OK);
    assert_int_equal(release(f, s, 5, "b", b, 1), HF_OK);
    assert_int_equal(switch_events(f, s, 6, "b", false), HF_OK);
    acquire_ok(f, s, 7, (struct want){.name = "bb", .owner = 1});
    struct msg_watch_reply all = watch_all(f, 1);
    assert_int_equal(all.events.count, 6);
    const struct event_line *act = expect_event(&all, 0, EVENT_ADMIN, "b");
    assert_int_equal(act->what, OP_CODE_EVENTS_SWITCH);
    assert_int_equal(act->serial, 1);
    assert_true(slice_equal(act->operator_name, slice_of("ann")));
    assert_int_equal(expect_event(&all, 1, EVENT_GRANTED, "b")->fencing_token, b);
    assert_int_equal(expect_event(&all, 2, EVENT_QUEUED, "b")->session, t);
    assert_int_equal(expect_event(&all, 3, EVENT_RELEASED, "b")->what, END_RELEASED);
    const struct event_line *granted = expect_event(&all, 4, EVENT_GRANTED, "b");
    assert_int_equal(granted->session, t);
    assert_true(slice_equal(granted->client_name, slice_of("t")));
    expect_event(&all, 5, EVENT_ADMIN, "b");
}

/* Twice on is on, off of what is not on is NOT_FOUND, and there is a bound; all are shown. */
static void test_prefixes_are_switched_once_and_bounded(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", LONG_TTL_MS);
    struct msg_event_prefixes_reply shown;
    const struct msg_empty nothing = {0};
    assert_int_equal(switch_events(f, s, 1, "", true), HF_OK);
    assert_int_equal(switch_events(f, s, 2, "", true), HF_OK);
    assert_int_equal(switch_events(f, s, 3, "x", false), HF_ENOTFOUND);
    assert_int_equal(watch_now(f), 2);
    read_ok(f, OP_CODE_EVENT_PREFIXES, &nothing, 0, &shown);
    assert_int_equal(shown.prefixes.count, 1);
    const struct event_prefix_line *line = shown.prefixes.items;
    assert_int_equal(line->prefix.size, 0);
    assert_true(slice_equal(line->operator_name, slice_of("ann")));
    for (unsigned i = 1; i < EVENT_PREFIXES_MAX; i++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "p%u", i);
        assert_int_equal(switch_events(f, s, 3 + i, prefix, true), HF_OK);
    }
    assert_int_equal(switch_events(f, s, 1000, "one more", true), HF_EQUOTA);
}

/* What was switched on is so after a restart of the machine: the same rows, the same events. */
static void test_prefixes_are_read_when_a_machine_is_opened(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", LONG_TTL_MS);
    assert_int_equal(switch_events(f, s, 1, "a", true), HF_OK);
    machine_close(f->m);
    assert_int_equal(machine_open(f->store, &f->m), HF_OK);
    acquire_ok(f, s, 2, A);
    struct msg_watch_reply all = watch_all(f, 1);
    assert_int_equal(all.events.count, 2);
    expect_event(&all, 1, EVENT_GRANTED, "a");
}

static void test_a_forced_grant_is_told_as_such_and_once(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", LONG_TTL_MS);
    uint64_t token = acquire_ok(f, s, 1, A);
    const struct msg_force force = {
        .name = slice_of("a"),
        .fencing_token = token,
        .reason = slice_of("its holder hangs"),
        .operator_name = slice_of("ann"),
    };
    assert_int_equal(call(f, OP_CODE_FORCE, s, 2, &force)->status, HF_OK);
    struct msg_watch_reply all = watch_all(f, 1);
    assert_int_equal(all.events.count, 2);
    uint32_t forced = event_at(&all, 0)->kind == EVENT_FORCED ? 0 : 1;
    assert_int_equal(expect_event(&all, forced, EVENT_FORCED, "a")->fencing_token, token);
    assert_int_equal(expect_event(&all, 1 - forced, EVENT_ADMIN, "a")->what, OP_CODE_FORCE);
}

/* ------------------------------------------------------------------ records */

static uint64_t begin(struct fixture *f, uint64_t session, uint64_t seq, uint64_t takeover)
{
    const struct msg_begin request = {
        .key = slice_of("k"),
        .fingerprint = zeros(FINGERPRINT_BYTES),
        .lease_ms = LEASE_MS,
        .retain_ms = RETAIN_MS_MIN,
        .takeover = takeover,
    };
    const struct answer *answer = call(f, OP_CODE_BEGIN, session, seq, &request);
    struct msg_begin_reply reply;
    assert_int_equal(answer->status, HF_OK);
    read_body(f, OP_CODE_BEGIN, answer, &reply);
    return reply.fencing_token;
}

static int complete(struct fixture *f, uint64_t session, uint64_t seq, uint64_t token,
                    const char *body)
{
    const struct msg_complete request = {
        .key = slice_of("k"),
        .fencing_token = token,
        .outcome = OUTCOME_DONE,
        .body = slice_of(body),
    };
    return call(f, OP_CODE_COMPLETE, session, seq, &request)->status;
}

static void test_an_unknown_outcome_is_always_told(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", LONG_TTL_MS);
    uint64_t token = begin(f, s, 1, TAKEOVER_MANUAL);
    pass(f, LEASE_MS);
    struct msg_watch_reply all = watch_all(f, 1);
    assert_int_equal(all.events.count, 1);
    const struct event_line *event = expect_event(&all, 0, EVENT_UNKNOWN, "k");
    assert_int_equal(event->fencing_token, token);
    assert_int_equal(event->what, RECORD_UNKNOWN);
    assert_int_equal(event->serial, 1);
}

/* Begun, done, reaped, forgotten; the attempt's number with it. */
static void test_a_records_life_is_told_under_its_prefix(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", LONG_TTL_MS);
    assert_int_equal(switch_events(f, s, 1, "", true), HF_OK);
    uint64_t token = begin(f, s, 2, TAKEOVER_AUTO);
    assert_int_equal(complete(f, s, 3, token, "well"), HF_OK);
    pass(f, RETAIN_MS_MIN);
    pass(f, 10 * RETAIN_MS_MIN);
    struct msg_watch_reply all = watch_all(f, 2);
    assert_int_equal(all.events.count, 4);
    const uint64_t states[] = {RECORD_RUNNING, RECORD_DONE, RECORD_TOMBSTONE, RECORD_ABSENT};
    for (uint32_t i = 0; i < 4; i++) {
        const struct event_line *event = expect_event(&all, i, EVENT_RECORD, "k");
        assert_int_equal(event->what, states[i]);
        assert_int_equal(event->fencing_token, token);
        assert_int_equal(event->serial, 1);
    }
}

/* A late end is told once, though it is said again; and also when the record has room for no more
 * of them. */
static void test_a_late_completion_is_told_with_room_for_it_or_without(void **state)
{
    enum { ATTEMPTS = 7 };
    struct fixture *f = *state;
    uint64_t tokens[ATTEMPTS];
    uint64_t s = open_session(f, "s", LONG_TTL_MS);
    uint64_t seq = 1;
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        tokens[i] = begin(f, s, seq++, TAKEOVER_AUTO);
        pass(f, LEASE_MS);
    }
    assert_int_equal(watch_now(f), 1);
    for (unsigned i = 0; i + 1 < ATTEMPTS; i++)
        assert_int_equal(complete(f, s, seq++, tokens[i], "late"), HF_ESTALE);
    assert_int_equal(complete(f, s, seq++, tokens[0], "late"), HF_ESTALE);
    struct msg_watch_reply all = watch_all(f, 1);
    assert_int_equal(all.events.count, ATTEMPTS - 1);
    for (uint32_t i = 0; i + 1 < ATTEMPTS; i++) {
        const struct event_line *event = expect_event(&all, i, EVENT_LATE_COMPLETION, "k");
        assert_int_equal(event->fencing_token, tokens[i]);
        assert_int_equal(event->what, OUTCOME_DONE);
        assert_int_equal(event->session, s);
    }
}

/* Where nothing is left that could keep it, the event is the only evidence. The repeat of what the
 * tombstone tells of is none. */
static void test_a_late_completion_of_a_reaped_record_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", LONG_TTL_MS);
    uint64_t lapsed = begin(f, s, 1, TAKEOVER_AUTO);
    pass(f, LEASE_MS);
    pass(f, RETAIN_MS_MIN); /* it never did anything: reaped without a tombstone */
    assert_int_equal(complete(f, s, 2, lapsed, "late"), HF_ESTALE);
    uint64_t token = begin(f, s, 3, TAKEOVER_AUTO);
    assert_int_equal(complete(f, s, 4, token, "well"), HF_OK);
    pass(f, RETAIN_MS_MIN);
    assert_int_equal(complete(f, s, 5, token, "well"), HF_ESTALE);
    assert_int_equal(complete(f, s, 6, lapsed, "late"), HF_ESTALE);
    struct msg_watch_reply all = watch_all(f, 1);
    assert_int_equal(all.events.count, 2);
    assert_int_equal(expect_event(&all, 0, EVENT_LATE_COMPLETION, "k")->fencing_token, lapsed);
    assert_int_equal(expect_event(&all, 1, EVENT_LATE_COMPLETION, "k")->fencing_token, lapsed);
}

/* The name is the gid, for prefixes; which branch of it stands beside. */
static void test_a_late_end_of_a_phase_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", LONG_TTL_MS);
    struct msg_branch ask = {
        .gid = slice_of("g"),
        .branch = slice_of("b1"),
        .op = BRANCH_TRY,
        .fingerprint = zeros(FINGERPRINT_BYTES),
        .lease_ms = LEASE_MS,
        .retain_ms = RETAIN_MS_MIN,
    };
    struct msg_branch_reply reply;
    const struct answer *answer = call(f, OP_CODE_BRANCH, s, 1, &ask);
    assert_int_equal(answer->status, HF_OK);
    read_body(f, OP_CODE_BRANCH, answer, &reply);
    ask.op = BRANCH_CANCEL;
    assert_int_equal(call(f, OP_CODE_BRANCH, s, 2, &ask)->status, HF_OK);
    const struct msg_branch_done done = {
        .gid = slice_of("g"),
        .branch = slice_of("b1"),
        .fencing_token = reply.fencing_token,
        .outcome = OUTCOME_DONE,
    };
    assert_int_equal(call(f, OP_CODE_BRANCH_DONE, s, 3, &done)->status, HF_ESTALE);
    struct msg_watch_reply all = watch_all(f, 1);
    assert_int_equal(all.events.count, 1);
    const struct event_line *event = expect_event(&all, 0, EVENT_LATE_COMPLETION, "g");
    assert_true(slice_equal(event->branch, slice_of("b1")));
    assert_int_equal(event->fencing_token, reply.fencing_token);
}

/* ------------------------------------------------------------------ timers */

/* Dead always; fired under its prefix. */
static void test_a_dead_timer_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", LONG_TTL_MS);
    assert_int_equal(switch_events(f, s, 1, "seen", true), HF_OK);
    set_ok(f, s, 2, (struct timer_want){.key = "seen", .delay_ms = 10, .attempts_max = 1});
    set_ok(f, s, 3, (struct timer_want){.key = "unseen", .delay_ms = 10, .attempts_max = 1});
    pass(f, 10);
    poll_timers(f, s, 4, "g", 2, LEASE_MS);
    pass(f, LEASE_MS);
    struct msg_watch_reply all = watch_all(f, 2);
    assert_int_equal(all.events.count, 3);
    assert_int_equal(expect_event(&all, 0, EVENT_TIMER_FIRED, "seen")->what, TIMER_READY);
    assert_int_equal(expect_event(&all, 1, EVENT_TIMER_DEAD, "seen")->serial, 1);
    assert_int_equal(expect_event(&all, 2, EVENT_TIMER_DEAD, "unseen")->what, TIMER_DEAD);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_goes_well_is_not_told),
        TEST(test_an_expired_session_is_told_before_what_it_loses),
        TEST(test_the_rest_is_told_under_prefixes_that_are_switched_on),
        TEST(test_prefixes_are_switched_once_and_bounded),
        TEST(test_prefixes_are_read_when_a_machine_is_opened),
        TEST(test_a_forced_grant_is_told_as_such_and_once),
        TEST(test_an_unknown_outcome_is_always_told),
        TEST(test_a_records_life_is_told_under_its_prefix),
        TEST(test_a_late_completion_is_told_with_room_for_it_or_without),
        TEST(test_a_late_completion_of_a_reaped_record_is_told),
        TEST(test_a_late_end_of_a_phase_is_told),
        TEST(test_a_dead_timer_is_told),
    };
    return cmocka_run_group_tests_name("machine_events", tests, NULL, NULL);
}
