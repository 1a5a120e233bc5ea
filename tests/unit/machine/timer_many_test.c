/* Timers in numbers: repeated answers of POLL, the bounds of a POLL, of an entry and of a sweep,
 * caps, and LIST in pages. */
#include <stdio.h>

#include "base/status.h"
#include "machine/rows.h"
#include "machine/state.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/timers.h"

enum { TTL_MS = 3600000, LEASE_MS = 5000, SETS_AN_ENTRY = 500 };

static struct envelope of(uint64_t session, uint64_t seq, uint64_t ack)
{
    return (struct envelope){
        .session = session,
        .seq = seq,
        .ack = ack,
        .principal = slice_of("anonymous"),
        .peer = slice_of("127.0.0.1:1"),
    };
}

/* Timers "t00000", ... of group "g", all due at once after `delay_ms`. \return the next seq */
static uint64_t set_many(struct fixture *f, uint64_t session, uint64_t seq, uint32_t count,
                         uint64_t delay_ms, struct slice payload)
{
    f->unchecked = true; /* the invariants read every row */
    for (uint32_t i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "t%05u", (unsigned)i);
        struct msg_timer_set set = timer_request((struct timer_want){.key = key});
        set.delay_ms = delay_ms;
        set.payload = payload;
        struct envelope envelope = of(session, seq, seq - 1);
        seq++;
        (void)add_op(f, OP_CODE_TIMER_SET, &envelope, &set);
        if (f->op_count == SETS_AN_ENTRY || i + 1 == count) apply_entry(f);
    }
    f->unchecked = false;
    return seq;
}

/* The answer of the op at `position` of the last entry. */
static struct msg_timer_poll_reply polled_at(struct fixture *f, uint32_t position)
{
    struct msg_timer_poll_reply reply;
    for (uint32_t i = 0; i < f->answer_count; i++) {
        if (f->answers[i].position != position) continue;
        assert_int_equal(f->answers[i].status, HF_OK);
        read_body(f, OP_CODE_TIMER_POLL, &f->answers[i], &reply);
        return reply;
    }
    fail_msg("the poll was not answered");
    return (struct msg_timer_poll_reply){0};
}

/* A repeated POLL brings the very deliveries again, by the same tokens; those of them that have
 * ended, or were given anew, are no longer among them, and the count says so. */
static void test_a_repeated_poll_brings_what_still_stands(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    (void)set_many(f, s, 1, 4, 0, slice_of("payload"));
    pass(f, 0);
    struct msg_timer_poll_reply first = poll_timers(f, s, 10, "g", 4, LEASE_MS);
    uint64_t token = first.first_token;
    assert_int_equal(first.count, 4);
    struct msg_timer_poll_reply again = poll_timers(f, s, 10, "g", 4, LEASE_MS);
    assert_int_equal(f->answers[0].flags, REPLY_REPEATED | REPLY_STANDS);
    assert_int_equal(again.first_token, token);
    assert_int_equal(again.deliveries.count, 4);
    assert_int_equal(delivery_at(&again, 3)->fencing_token, token + 3);
    assert_true(slice_equal(delivery_at(&again, 3)->payload, slice_of("payload")));

    assert_int_equal(ack_timer(f, s, 11, "t00001", token + 1), HF_OK);
    assert_int_equal(nack_timer(f, s, 12, "t00002", token + 2, 0, NULL), HF_OK);
    (void)poll_one(f, s, 13, "t00002", LEASE_MS);
    again = poll_timers(f, s, 10, "g", 4, LEASE_MS);
    assert_int_equal(f->answers[0].flags, REPLY_REPEATED);
    assert_int_equal(again.count, 4);
    assert_int_equal(again.deliveries.count, 2);
    assert_true(slice_equal(delivery_at(&again, 1)->key, slice_of("t00003")));
    pass(f, LEASE_MS);
    assert_int_equal(poll_timers(f, s, 10, "g", 4, LEASE_MS).deliveries.count, 0);
}

/* A cancelled POLL that was answered: CANCEL brings its kept part, which names the tokens. */
static void test_cancel_of_a_poll_tells_its_tokens(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    (void)set_many(f, s, 1, 2, 0, (struct slice){0});
    pass(f, 0);
    uint64_t token = poll_timers(f, s, 10, "g", 2, LEASE_MS).first_token;
    const struct answer *answer = cancel(f, s, 10);
    struct msg_cancel_reply reply;
    struct msg_timer_poll_reply kept;
    read_body(f, OP_CODE_CANCEL, answer, &reply);
    assert_int_equal(reply.status, HF_OK);
    assert_int_equal(reply.stands, 1);
    assert_int_equal(codec_decode(&msg_timer_poll_reply_type, reply.body, &f->arena, &kept), HF_OK);
    assert_int_equal(kept.first_token, token);
    assert_int_equal(kept.count, 2);
    read_body(f, OP_CODE_CANCEL, cancel(f, s, 11), &reply); /* before it comes */
    assert_int_equal(reply.status, HF_ECANCELLED);
    struct msg_timer_poll late = {slice_of("g"), 2, LEASE_MS, 0};
    assert_int_equal(call(f, OP_CODE_TIMER_POLL, s, 11, &late)->status, HF_ECANCELLED);
}

/* 200 of the largest payload are more than one answer holds: the rest stays ready. */
static void test_a_poll_is_bounded_by_bytes(void **state)
{
    static const uint8_t payload[TIMER_PAYLOAD_BYTES_MAX];
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t seq = set_many(f, s, 1, 200, 0, slice_make(payload, sizeof payload));
    pass(f, 0);
    uint32_t fits = TIMER_POLL_BYTES_MAX / (TIMER_PAYLOAD_BYTES_MAX + 6);
    assert_int_equal(poll_timers(f, s, seq, "g", 200, LEASE_MS).count, fits);
    assert_int_equal(poll_timers(f, s, seq + 1, "g", 200, LEASE_MS).count, 200 - fits);
}

/* An entry full of POLLs delivers so many timers and no more; who gets none asks again. */
static void test_an_entry_delivers_a_bounded_number(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t seq = set_many(f, s, 1, DELIVERIES_AN_ENTRY_MAX + 200, 0, (struct slice){0});
    f->unchecked = true;
    pass(f, 0);
    enum { POLLS = 7 };
    struct msg_timer_poll poll = {slice_of("g"), TIMER_POLL_MAX, LEASE_MS, 0};
    for (uint32_t i = 0; i < POLLS; i++) {
        struct envelope envelope = of(s, seq + i, seq - 1);
        (void)add_op(f, OP_CODE_TIMER_POLL, &envelope, &poll);
    }
    apply_entry(f);
    uint64_t total = 0;
    for (uint32_t i = 0; i < POLLS; i++) total += polled_at(f, i).count;
    assert_int_equal(total, DELIVERIES_AN_ENTRY_MAX);
    assert_int_equal(polled_at(f, POLLS - 1).count, 0);
    assert_int_equal(poll_timers(f, s, seq + POLLS, "g", TIMER_POLL_MAX, LEASE_MS).count, 200);
}

/* A crowd that is due in one millisecond fires over several sweeps, none of them a long one. */
static void test_a_crowd_fires_in_bounded_sweeps(void **state)
{
    enum { CROWD = 5000 };
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    (void)set_many(f, s, 1, CROWD, 1000, (struct slice){0});
    f->unchecked = true;
    f->now_ms += 1000;
    uint32_t sweeps = 0;
    for (uint32_t before = 0; f->ready_count < CROWD; before = f->ready_count, sweeps++) {
        apply_entry(f);
        assert_true(f->ready_count > before);
        assert_true(f->ready_count - before <= SWEEP_ROWS_MIN / 3 + 1);
    }
    assert_true(sweeps >= CROWD / (SWEEP_ROWS_MIN / 3 + 1));
    assert_true(machine_next_deadline_ms(f->m) > f->now_ms);
    f->unchecked = false;
    apply_entry(f);
}

/* A principal's timers are counted, tombstones too, until they have gone; a repeated SET is no new
 * one, and CANCEL and ACK are never refused. */
static void test_a_principal_has_so_many_timers_and_no_more(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    struct msg_config_set cap = {
        .name = slice_of("principal_timers_max"),
        .value = 2,
        .reason = slice_of("a test"),
        .operator_name = slice_of("ann"),
    };
    assert_int_equal(call(f, OP_CODE_CONFIG_SET, s, 1, &cap)->status, HF_OK);
    set_ok(f, s, 2, (struct timer_want){.key = "a", .delay_ms = 1000});
    set_ok(f, s, 3, (struct timer_want){.key = "b", .delay_ms = 1000});
    assert_int_equal(cancel_timer(f, s, 4, "b", NULL), HF_OK);
    assert_int_equal(set_timer(f, s, 5, (struct timer_want){.key = "c"}, NULL), HF_EQUOTA);
    struct msg_quota quota;
    read_body(f, OP_CODE_TIMER_SET, &f->answers[0], &quota);
    assert_int_equal(quota.which, QUOTA_TIMERS);
    assert_int_equal(quota.count, 2);
    set_ok(f, s, 6, (struct timer_want){.key = "a", .delay_ms = 5, .version = 1});
    set_ok(f, s, 7, (struct timer_want){.key = "b", .delay_ms = 5, .version = 1});
    uint64_t t = open_session(f, "t", TTL_MS); /* another principal */
    set_ok(f, t, 1, (struct timer_want){.key = "c"});
    for (uint64_t i = 0; i < 25; i++) pass(f, TTL_MS); /* its session's end changes nothing */
    s = open_session(f, "s", TTL_MS);
    assert_int_equal(set_timer(f, s, 1, (struct timer_want){.key = "d"}, NULL), HF_EQUOTA);
}

/* LIST: by prefix, group and state, page by page, each timer once. */
static void test_list_shows_each_timer_once_over_pages(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t seq = set_many(f, s, 1, 25, 1000, (struct slice){0});
    set_ok(f, s, seq++, (struct timer_want){.key = "u", .group = "h", .attempts_max = 1});
    set_ok(f, s, seq++, (struct timer_want){.key = "v", .group = "h", .attempts_max = 1});
    set_ok(f, s, seq++, (struct timer_want){.key = "w", .group = "h", .attempts_max = 1});
    pass(f, 0);
    (void)poll_timers(f, s, seq++, "h", 3, LEASE_MS);
    char cursor[NAME_BYTES_MAX + 1] = "";
    uint32_t seen = 0;
    do {
        struct msg_timer_list_reply reply = list_timers(f, "t", NULL, TIMER_PENDING, cursor, 10);
        const struct timer_line *lines = reply.timers.items;
        for (uint32_t i = 0; i < reply.timers.count; i++) {
            char key[16];
            int size = snprintf(key, sizeof key, "t%05u", (unsigned)seen++);
            assert_true(slice_equal(lines[i].key, slice_make(key, (size_t)size)));
            assert_int_equal(lines[i].left_ms, 1000);
        }
        snprintf(cursor, sizeof cursor, "%.*s", (int)reply.cursor.size,
                 (const char *)reply.cursor.data);
    } while (cursor[0] != 0);
    assert_int_equal(seen, 25);
    assert_int_equal(list_timers(f, "", "h", TIMER_ABSENT, "", 10).timers.count, 3);
    assert_int_equal(list_timers(f, "", "h", TIMER_READY, "", 10).timers.count, 0);
    pass(f, LEASE_MS);
    struct msg_timer_list_reply dead = list_timers(f, "", NULL, TIMER_DEAD, "", 2);
    assert_int_equal(dead.timers.count, 2);
    assert_true(slice_equal(dead.cursor, slice_of("v")));
    dead = list_timers(f, "", NULL, TIMER_DEAD, "v", 2);
    assert_int_equal(dead.timers.count, 1);
    assert_int_equal(dead.cursor.size, 0);
    assert_true(slice_equal(((const struct timer_line *)dead.timers.items)->key, slice_of("w")));
    assert_int_equal(list_timers(f, "v", NULL, TIMER_DEAD, "", 5).timers.count, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_repeated_poll_brings_what_still_stands),
        TEST(test_cancel_of_a_poll_tells_its_tokens),
        TEST(test_a_poll_is_bounded_by_bytes),
        TEST(test_an_entry_delivers_a_bounded_number),
        TEST(test_a_crowd_fires_in_bounded_sweeps),
        TEST(test_a_principal_has_so_many_timers_and_no_more),
        TEST(test_list_shows_each_timer_once_over_pages),
    };
    return cmocka_run_group_tests_name("machine_timer_many", tests, NULL, NULL);
}
