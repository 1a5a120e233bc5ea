/* Timers (docs/contract.md, section 8), a test a rule. Bounds and crowds: timer_many_test.c; random
 * lives: timer_model_test.c. */
#include "base/status.h"
#include "machine/rows.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/timers.h"

enum { TTL_MS = 3600000, LEASE_MS = 5000, DELAY_MS = 10000, DAY_MS = 86400000 };

static uint64_t state_of(struct fixture *f, const char *key)
{
    struct timer_line line;
    return find_timer(f, key, &line) ? line.state : TIMER_ABSENT;
}

/* Not a millisecond before its time, and then at once; by cluster time alone. */
static void test_a_timer_fires_when_its_time_has_come_and_never_earlier(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    set_ok(f, s, 1, (struct timer_want){.key = "a", .delay_ms = DELAY_MS, .payload = "pay"});
    assert_int_equal(state_of(f, "a"), TIMER_PENDING);
    pass(f, DELAY_MS - 1);
    assert_int_equal(poll_timers(f, s, 2, "g", 10, LEASE_MS).count, 0);
    assert_int_equal(state_of(f, "a"), TIMER_PENDING);
    assert_int_equal(f->ready_count, 0);
    pass(f, 1);
    assert_int_equal(state_of(f, "a"), TIMER_READY); /* though nobody listens */
    assert_int_equal(f->ready_count, 1);
    pass(f, 700);
    struct msg_timer_poll_reply reply = poll_timers(f, s, 3, "g", 10, LEASE_MS);
    assert_int_equal(reply.count, 1);
    const struct timer_delivery *d = delivery_at(&reply, 0);
    assert_true(slice_equal(d->key, slice_of("a")));
    assert_true(slice_equal(d->payload, slice_of("pay")));
    assert_int_equal(d->attempt, 1);
    assert_int_equal(d->attempts_max, 3);
    assert_int_equal(d->late_ms, 700);
    assert_int_equal(state_of(f, "a"), TIMER_DELIVERED);
}

/* In a new cluster time stands at 0 until its first leader's grace is over, and 0 is how a timer
 * says that it has not fired: it waits for the first millisecond, and is acknowledged as any. */
static void test_a_timer_of_a_new_cluster_waits_until_time_moves(void **state)
{
    struct fixture *f = *state;
    f->now_ms = 0;
    uint64_t s = open_session(f, "s", TTL_MS);
    struct msg_timer_set_reply reply;
    assert_int_equal(set_timer(f, s, 1, (struct timer_want){.key = "a"}, &reply), HF_OK);
    assert_int_equal(reply.left_ms, 1);
    pass(f, 0);
    assert_int_equal(state_of(f, "a"), TIMER_PENDING);
    pass(f, 1);
    assert_int_equal(state_of(f, "a"), TIMER_READY);
    uint64_t token = poll_one(f, s, 2, "a", LEASE_MS);
    assert_int_equal(ack_timer(f, s, 3, "a", token), HF_OK);
}

/* The version decides: the same one changes nothing, whatever it brings; a lower one is told that a
 * higher one stands; a higher one replaces it, time, group, payload and all. */
static void test_set_is_idempotent_by_key_and_version(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    struct msg_timer_set_reply reply;
    set_ok(f, s, 1, (struct timer_want){.key = "a", .delay_ms = DELAY_MS, .version = 5});
    pass(f, 1000);
    struct timer_want again = {.key = "a", .delay_ms = 1, .version = 5, .payload = "x"};
    assert_int_equal(set_timer(f, s, 2, again, &reply), HF_OK);
    assert_int_equal(reply.verdict, TIMER_SAME);
    assert_int_equal(reply.left_ms, DELAY_MS - 1000);
    again.version = 4;
    assert_int_equal(set_timer(f, s, 3, again, &reply), HF_OK);
    assert_int_equal(reply.verdict, TIMER_OLDER);
    assert_int_equal(reply.version, 5);
    struct timer_want later = {
        .key = "a", .group = "h", .delay_ms = 2 * DELAY_MS, .version = 6, .payload = "new"};
    assert_int_equal(set_timer(f, s, 4, later, &reply), HF_OK);
    assert_int_equal(reply.verdict, TIMER_REPLACED);
    pass(f, DELAY_MS);
    assert_int_equal(state_of(f, "a"), TIMER_PENDING); /* the old time is none any more */
    pass(f, DELAY_MS);
    assert_int_equal(poll_timers(f, s, 5, "g", 10, LEASE_MS).count, 0);
    struct msg_timer_poll_reply polled = poll_timers(f, s, 6, "h", 10, LEASE_MS);
    assert_int_equal(delivery_at(&polled, 0)->version, 6);
    assert_true(slice_equal(delivery_at(&polled, 0)->payload, slice_of("new")));
}

/* CANCEL of a pending one: it never fires; again: the same answer; of nothing: NOT_FOUND. */
static void test_a_cancelled_timer_never_fires(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    assert_int_equal(cancel_timer(f, s, 1, "a", NULL), HF_ENOTFOUND);
    set_ok(f, s, 2, (struct timer_want){.key = "a", .delay_ms = DELAY_MS, .payload = "x"});
    assert_int_equal(cancel_timer(f, s, 3, "a", NULL), HF_OK);
    assert_int_equal(cancel_timer(f, s, 4, "a", NULL), HF_OK);
    pass(f, 2 * DELAY_MS);
    assert_int_equal(poll_timers(f, s, 5, "g", 10, LEASE_MS).count, 0);
    assert_int_equal(state_of(f, "a"), TIMER_CANCELLED);
}

/* In one entry that is due the sweep comes first: fired, and CANCEL is told when. In the entry
 * before, CANCEL comes first. Either way one of the two, and the same on every server. */
static void test_fire_and_cancel_are_decided_by_log_order(void **state)
{
    struct fixture *f = *state;
    fixture_add_twin(f);
    uint64_t s = open_session(f, "s", TTL_MS);
    struct msg_timer_fired fired;
    set_ok(f, s, 1, (struct timer_want){.key = "a", .delay_ms = DELAY_MS});
    set_ok(f, s, 2, (struct timer_want){.key = "b", .delay_ms = DELAY_MS});
    f->now_ms += DELAY_MS - 1;
    assert_int_equal(cancel_timer(f, s, 3, "a", NULL), HF_OK);
    f->now_ms += 1;
    assert_int_equal(cancel_timer(f, s, 4, "b", &fired), HF_EFIRED);
    assert_int_equal(fired.state, TIMER_READY);
    assert_int_equal(fired.fired_ms, f->now_ms);
    pass(f, 1000);
    assert_int_equal(cancel_timer(f, s, 5, "b", &fired), HF_EFIRED);
    assert_int_equal(fired.ago_ms, 1000);
    struct msg_timer_poll_reply reply = poll_timers(f, s, 6, "g", 10, LEASE_MS);
    assert_int_equal(reply.count, 1);
    assert_true(slice_equal(delivery_at(&reply, 0)->key, slice_of("b")));
}

/* An entry that holds its sweep moves time and fires nothing: until then a CANCEL is in time. */
static void test_a_due_timer_lives_until_its_sweep(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    set_ok(f, s, 1, (struct timer_want){.key = "a", .delay_ms = DELAY_MS});
    f->now_ms += 2 * DELAY_MS;
    f->flags = ENTRY_HOLDS_SWEEP;
    assert_int_equal(cancel_timer(f, s, 2, "a", NULL), HF_OK);
    f->flags = 0;
    pass(f, 0);
    assert_int_equal(state_of(f, "a"), TIMER_CANCELLED);
}

/* By the time that they were set for, then by key; across polls, and only of the group. */
static void test_delivery_is_by_time_then_by_key(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    set_ok(f, s, 1, (struct timer_want){.key = "c", .delay_ms = 500});
    set_ok(f, s, 2, (struct timer_want){.key = "b", .delay_ms = 1000});
    set_ok(f, s, 3, (struct timer_want){.key = "a", .delay_ms = 1000});
    set_ok(f, s, 4, (struct timer_want){.key = "0", .delay_ms = 1, .group = "gg"});
    pass(f, 2000); /* one sweep fires them all */
    struct msg_timer_poll_reply reply = poll_timers(f, s, 5, "g", 2, LEASE_MS);
    assert_int_equal(reply.count, 2);
    assert_true(slice_equal(delivery_at(&reply, 0)->key, slice_of("c")));
    assert_true(slice_equal(delivery_at(&reply, 1)->key, slice_of("a")));
    assert_int_equal(delivery_at(&reply, 1)->fencing_token, reply.first_token + 1);
    (void)poll_one(f, s, 6, "b", LEASE_MS);
}

/* ACK ends it: never delivered again. The tombstone keeps who acknowledged, so that a repeated ACK
 * is told the same, and another token is not. */
static void test_an_acknowledged_timer_is_never_delivered_again(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t t = open_session(f, "t", TTL_MS);
    set_ok(f, s, 1, (struct timer_want){.key = "a", .payload = "x"});
    pass(f, 0);
    uint64_t token = poll_one(f, s, 2, "a", LEASE_MS);
    assert_int_equal(ack_timer(f, t, 1, "a", token), HF_OK); /* in any live session */
    assert_int_equal(state_of(f, "a"), TIMER_ACKED);
    assert_int_equal(ack_timer(f, s, 3, "a", token), HF_OK);
    assert_int_equal(ack_timer(f, s, 4, NULL, token), HF_ESTALE);
    assert_int_equal(ack_timer(f, s, 5, "b", token), HF_ENOTFOUND);
    assert_int_equal(nack_timer(f, s, 6, "a", token, 0, NULL), HF_ESTALE);
    pass(f, 10 * LEASE_MS);
    assert_int_equal(poll_timers(f, s, 7, "g", 10, LEASE_MS).count, 0);
}

/* The token alone is enough while the delivery stands. */
static void test_a_delivery_is_acknowledged_by_its_token_alone(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    set_ok(f, s, 1, (struct timer_want){.key = "a"});
    set_ok(f, s, 2, (struct timer_want){.key = "b"});
    pass(f, 0);
    uint64_t first = poll_one(f, s, 3, "a", LEASE_MS);
    uint64_t second = poll_one(f, s, 4, "b", LEASE_MS);
    assert_int_equal(nack_timer(f, s, 5, NULL, second, 1, NULL), HF_OK);
    assert_int_equal(ack_timer(f, s, 6, NULL, first), HF_OK);
    assert_int_equal(state_of(f, "a"), TIMER_ACKED);
    assert_int_equal(state_of(f, "b"), TIMER_DELAYED);
    assert_int_equal(ack_timer(f, s, 7, "a", second + 1), HF_EBADREQUEST); /* never issued */
    assert_int_equal(nack_timer(f, s, 8, "a", second + 1, 0, NULL), HF_EBADREQUEST);
}

/* Its lease over it comes again with a new token; the old one is stale, for ACK and for NACK. */
static void test_a_lease_that_ends_means_another_delivery(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    set_ok(f, s, 1, (struct timer_want){.key = "a", .payload = "x"});
    pass(f, 0);
    uint64_t first = poll_one(f, s, 2, "a", LEASE_MS);
    pass(f, LEASE_MS - 1);
    assert_int_equal(poll_timers(f, s, 3, "g", 1, LEASE_MS).count, 0);
    pass(f, 1);
    struct msg_timer_poll_reply reply = poll_timers(f, s, 4, "g", 1, LEASE_MS);
    uint64_t second = delivery_at(&reply, 0)->fencing_token;
    assert_true(second > first);
    assert_int_equal(delivery_at(&reply, 0)->attempt, 2);
    assert_true(slice_equal(delivery_at(&reply, 0)->payload, slice_of("x")));
    assert_int_equal(ack_timer(f, s, 5, "a", first), HF_ESTALE);
    assert_int_equal(ack_timer(f, s, 6, NULL, first), HF_ESTALE);
    assert_int_equal(nack_timer(f, s, 7, "a", first, 0, NULL), HF_ESTALE);
    assert_int_equal(ack_timer(f, s, 8, "a", second), HF_OK);
}

/* After its lease, before anybody has it anew, the ACK is good: what was done is done. A NACK has
 * nothing to give back any more. */
static void test_a_late_ack_is_good_until_the_next_delivery(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    set_ok(f, s, 1, (struct timer_want){.key = "a"});
    set_ok(f, s, 2, (struct timer_want){.key = "b", .attempts_max = 1});
    pass(f, 0);
    uint64_t a = poll_one(f, s, 3, "a", LEASE_MS);
    uint64_t b = poll_one(f, s, 4, "b", LEASE_MS);
    pass(f, LEASE_MS);
    assert_int_equal(state_of(f, "a"), TIMER_READY);
    assert_int_equal(state_of(f, "b"), TIMER_DEAD);
    assert_int_equal(nack_timer(f, s, 5, "a", a, 0, NULL), HF_ESTALE);
    assert_int_equal(ack_timer(f, s, 6, "a", a), HF_OK);
    assert_int_equal(ack_timer(f, s, 7, "b", b), HF_OK);
    assert_int_equal(state_of(f, "b"), TIMER_ACKED);
    assert_int_equal(poll_timers(f, s, 8, "g", 10, LEASE_MS).count, 0);
}

/* NACK: again when it says, at once with 0; behind those that were ready before. */
static void test_a_nack_delays_the_next_delivery(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    bool dead = true;
    set_ok(f, s, 1, (struct timer_want){.key = "a"});
    pass(f, 0);
    uint64_t token = poll_one(f, s, 2, "a", LEASE_MS);
    assert_int_equal(nack_timer(f, s, 3, "a", token, 700, &dead), HF_OK);
    assert_false(dead);
    assert_int_equal(ack_timer(f, s, 4, "a", token), HF_ESTALE); /* it was given back */
    pass(f, 699);
    assert_int_equal(poll_timers(f, s, 5, "g", 1, LEASE_MS).count, 0);
    pass(f, 1);
    token = poll_one(f, s, 6, "a", LEASE_MS);
    assert_int_equal(nack_timer(f, s, 7, "a", token, 0, &dead), HF_OK);
    assert_int_equal(state_of(f, "a"), TIMER_READY);
    (void)poll_one(f, s, 8, "a", LEASE_MS);
}

/* After attempts_max deliveries it is dead, whether a lease ended or a NACK came; nobody gets it.
 */
static void test_a_timer_is_dead_after_its_last_attempt(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    bool dead = false;
    set_ok(f, s, 1, (struct timer_want){.key = "a", .attempts_max = 2});
    pass(f, 0);
    (void)poll_one(f, s, 2, "a", LEASE_MS);
    pass(f, LEASE_MS);
    uint64_t token = poll_one(f, s, 3, "a", LEASE_MS);
    assert_int_equal(nack_timer(f, s, 4, "a", token, 0, &dead), HF_OK);
    assert_true(dead);
    pass(f, 10 * LEASE_MS);
    assert_int_equal(poll_timers(f, s, 5, "g", 10, LEASE_MS).count, 0);
    struct msg_timer_fired fired;
    assert_int_equal(cancel_timer(f, s, 6, "a", &fired), HF_EFIRED);
    assert_int_equal(fired.state, TIMER_DEAD);
    struct msg_timer_list_reply list = list_timers(f, "", NULL, TIMER_DEAD, "", 10);
    assert_int_equal(list.timers.count, 1);
    assert_int_equal(((const struct timer_line *)list.timers.items)->attempt, 2);
}

/* An administrator puts a dead one back, with all its attempts before it; the audit has it. Any
 * other state is told, and left. */
static void test_a_dead_timer_is_requeued_by_an_administrator(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    set_ok(f, s, 1, (struct timer_want){.key = "a", .attempts_max = 1, .payload = "x"});
    assert_int_equal(requeue_timer(f, s, 2, "a"), HF_EBADSTATE);
    assert_int_equal(requeue_timer(f, s, 3, "b"), HF_ENOTFOUND);
    pass(f, 0);
    uint64_t old = poll_one(f, s, 4, "a", LEASE_MS);
    pass(f, LEASE_MS);
    assert_int_equal(requeue_timer(f, s, 5, "a"), HF_OK);
    assert_int_equal(ack_timer(f, s, 6, "a", old), HF_ESTALE);
    struct msg_timer_poll_reply reply = poll_timers(f, s, 7, "g", 1, LEASE_MS);
    assert_int_equal(delivery_at(&reply, 0)->attempt, 1);
    assert_true(slice_equal(delivery_at(&reply, 0)->payload, slice_of("x")));
    struct msg_audit audit = {.count_max = 10};
    struct msg_audit_reply acts;
    read_ok(f, OP_CODE_AUDIT, &audit, 0, &acts);
    assert_int_equal(acts.acts.count, 1);
    const struct act_line *act = acts.acts.items;
    assert_int_equal(act->op, OP_CODE_TIMER_REQUEUE);
    assert_true(slice_equal(act->name, slice_of("a")));
    assert_true(slice_equal(act->before, slice_of("dead after 1 attempts, fired 5000 ms ago")));
}

/* For a day and more a SET of a version that was decided is told how; a higher one runs. */
static void test_a_tombstone_answers_for_a_day(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    struct timer_want a = {.key = "a", .version = 7, .delay_ms = 1000};
    struct timer_want b = {.key = "b", .version = 7, .delay_ms = 1000};
    set_ok(f, s, 1, a);
    set_ok(f, s, 2, b);
    assert_int_equal(cancel_timer(f, s, 3, "b", NULL), HF_OK);
    pass(f, 1000);
    assert_int_equal(ack_timer(f, s, 5, "a", poll_one(f, s, 4, "a", LEASE_MS)), HF_OK);
    for (uint64_t i = 0; i < 23; i++) {
        pass(f, TTL_MS - 1000);
        assert_int_equal(keep(f, s), HF_OK);
    }
    pass(f, 23 * 1000);
    for (uint64_t version = 6; version <= 7; version++) {
        a.version = b.version = version;
        assert_int_equal(set_timer(f, s, 10 + 2 * version, a, NULL), HF_EFIRED);
        assert_int_equal(set_timer(f, s, 11 + 2 * version, b, NULL), HF_ETIMERCANCELLED);
    }
    struct msg_timer_fired fired;
    assert_int_equal(cancel_timer(f, s, 30, "a", &fired), HF_EFIRED);
    assert_int_equal(fired.state, TIMER_ACKED);
    assert_int_equal(fired.version, 7);
    b.version = 8;
    set_ok(f, s, 31, b);
    pass(f, TTL_MS - 1000);
    assert_int_equal(keep(f, s), HF_OK);
    pass(f, 2000);
    assert_int_equal(state_of(f, "a"), TIMER_ABSENT); /* a day has passed */
    assert_int_equal(state_of(f, "b"), TIMER_READY);
}

/* Fired and not acknowledged yet: no SET of any version touches it. */
static void test_a_fired_timer_is_not_replaced(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    struct timer_want want = {.key = "a", .version = 1};
    set_ok(f, s, 1, want);
    pass(f, 0);
    want.version = 9;
    assert_int_equal(set_timer(f, s, 2, want, NULL), HF_EFIRED);
    uint64_t token = poll_one(f, s, 3, "a", LEASE_MS);
    assert_int_equal(set_timer(f, s, 4, want, NULL), HF_EFIRED);
    assert_int_equal(ack_timer(f, s, 5, "a", token), HF_OK);
    set_ok(f, s, 6, want);
}

/* Under a frozen prefix nothing new is set; what was set is told, fires, and ends. */
static void test_a_frozen_prefix_takes_no_new_timer(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    struct timer_want want = {.key = "shop/a", .version = 1, .delay_ms = 1000};
    set_ok(f, s, 1, want);
    struct msg_freeze freeze = {slice_of("shop/"), slice_of("moving"), slice_of("ann")};
    assert_int_equal(call(f, OP_CODE_FREEZE, s, 2, &freeze)->status, HF_OK);
    assert_int_equal(set_timer(f, s, 3, want, NULL), HF_OK);
    want.version = 2;
    assert_int_equal(set_timer(f, s, 4, want, NULL), HF_EFROZEN);
    want.key = "shop/b";
    assert_int_equal(set_timer(f, s, 5, want, NULL), HF_EFROZEN);
    pass(f, 1000);
    uint64_t token = poll_one(f, s, 6, "shop/a", LEASE_MS);
    assert_int_equal(ack_timer(f, s, 7, "shop/a", token), HF_OK);
    assert_int_equal(call(f, OP_CODE_THAW, s, 8, &freeze)->status, HF_OK);
    set_ok(f, s, 9, want);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_timer_fires_when_its_time_has_come_and_never_earlier),
        TEST(test_a_timer_of_a_new_cluster_waits_until_time_moves),
        TEST(test_set_is_idempotent_by_key_and_version),
        TEST(test_a_cancelled_timer_never_fires),
        TEST(test_fire_and_cancel_are_decided_by_log_order),
        TEST(test_a_due_timer_lives_until_its_sweep),
        TEST(test_delivery_is_by_time_then_by_key),
        TEST(test_an_acknowledged_timer_is_never_delivered_again),
        TEST(test_a_delivery_is_acknowledged_by_its_token_alone),
        TEST(test_a_lease_that_ends_means_another_delivery),
        TEST(test_a_late_ack_is_good_until_the_next_delivery),
        TEST(test_a_nack_delays_the_next_delivery),
        TEST(test_a_timer_is_dead_after_its_last_attempt),
        TEST(test_a_dead_timer_is_requeued_by_an_administrator),
        TEST(test_a_tombstone_answers_for_a_day),
        TEST(test_a_fired_timer_is_not_replaced),
        TEST(test_a_frozen_prefix_takes_no_new_timer),
    };
    return cmocka_run_group_tests_name("machine_timer", tests, NULL, NULL);
}
