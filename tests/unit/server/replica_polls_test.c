/* POLLs of timers at the replica, with the true machine, in virtual time: who waits, who is woken,
 * and what becomes of those who wait when something else happens. */
#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/server/world.h"

enum { TTL_MS = 600000, LEASE_MS = 5000, WAIT_MS = 20000 };

static uint64_t set_timer(struct client *c, const char *key, uint64_t delay_ms)
{
    struct msg_timer_set set = {
        .key = slice_of(key),
        .group = slice_of("g"),
        .delay_ms = delay_ms,
        .attempts_max = 3,
    };
    return client_send(c, OP_CODE_TIMER_SET, &set, 0);
}

static uint64_t poll_at(struct client *c, uint64_t wait_ms, uint64_t seq)
{
    struct msg_timer_poll poll = {slice_of("g"), 1, LEASE_MS, wait_ms};
    return client_send(c, OP_CODE_TIMER_POLL, &poll, seq);
}

static void expect_status(struct client *c, uint64_t request_id, int status)
{
    struct got got;
    assert_true(client_take(c, &got));
    assert_int_equal(got.request_id, request_id);
    assert_int_equal(got.status, status);
}

/* The answer of a POLL. \param key  of the only delivery; NULL = there is none */
static void expect_delivery(struct client *c, uint64_t request_id, const char *key)
{
    static uint8_t memory[64 * 1024];
    struct got got;
    struct msg_timer_poll_reply reply;
    struct arena arena;
    assert_int_equal(arena_init(&arena, sizeof memory), HF_OK);
    assert_true(client_take(c, &got));
    assert_int_equal(got.request_id, request_id);
    assert_int_equal(got.status, HF_OK);
    assert_int_equal(codec_decode(&msg_timer_poll_reply_type, got.body, &arena, &reply), HF_OK);
    assert_int_equal(reply.deliveries.count, key != NULL);
    if (key != NULL) {
        const struct timer_delivery *d = reply.deliveries.items;
        assert_true(slice_equal(d->key, slice_of(key)));
    }
    arena_close(&arena);
}

static void expect_silence(struct client *c)
{
    struct got got;
    assert_false(client_take(c, &got));
}

static void begin(struct client *c, struct world *w, uint8_t number)
{
    client_connect(c, w);
    c->number = number;
    client_begin_session(c, TTL_MS);
}

/* Somebody else sets a timer that is due at once, and it fires. */
static void fire(struct world *w, uint8_t number, const char *key)
{
    struct client c;
    begin(&c, w, number);
    uint64_t set = set_timer(&c, key, 0);
    world_run(w, 50);
    expect_status(&c, set, HF_OK);
    client_close(&c);
}

/* It waits without an entry in the log, does not count as unanswered, and has its timer as soon as
 * that fires. */
static void test_a_poll_waits_until_a_timer_of_its_group_is_ready(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(&c, w, 1);
    uint64_t set = set_timer(&c, "a", 3000);
    world_settle(w);
    expect_status(&c, set, HF_OK);
    uint64_t entries = w->replica->counts.entry_count;
    uint64_t poll = poll_at(&c, WAIT_MS, 0);
    world_run(w, 2500);
    expect_silence(&c);
    assert_int_equal(c.connection.unanswered, 0);
    assert_int_equal(w->replica->counts.entry_count, entries);
    world_run(w, 700);
    expect_delivery(&c, poll, "a");
    assert_int_equal(c.connection.unanswered, 0);
    client_close(&c);
}

/* With nothing there it ends at its wait's end, at once without one; no entry tells of it. */
static void test_a_poll_ends_empty_at_its_waits_end(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(&c, w, 1);
    uint64_t entries = w->replica->counts.entry_count;
    uint64_t at_once = poll_at(&c, 0, 0);
    expect_delivery(&c, at_once, NULL);
    assert_int_equal(c.connection.unanswered, 0);
    uint64_t poll = poll_at(&c, 5000, 0);
    world_run(w, 4990);
    expect_silence(&c);
    world_run(w, 20);
    expect_delivery(&c, poll, NULL);
    assert_int_equal(w->replica->counts.entry_count, entries);
    client_close(&c);
}

/* Two wait; the older one has the first timer, the younger the second, though both fired at once
 * and each asks for one. */
static void test_those_who_wait_are_served_in_turn(void **state)
{
    struct world *w = *state;
    struct client c, d;
    begin(&c, w, 1);
    begin(&d, w, 2);
    uint64_t first = poll_at(&c, WAIT_MS, 0);
    uint64_t second = poll_at(&d, WAIT_MS, 0);
    world_settle(w);
    struct client e;
    begin(&e, w, 3);
    uint64_t a = set_timer(&e, "a", 0);
    uint64_t b = set_timer(&e, "b", 0);
    world_run(w, 50);
    expect_status(&e, a, HF_OK);
    expect_status(&e, b, HF_OK);
    expect_delivery(&c, first, "a");
    expect_delivery(&d, second, "b");
    client_close(&c);
    client_close(&d);
    client_close(&e);
}

/* What is ready already is delivered at once, also to who would wait; a lease that ends wakes. */
static void test_a_lease_that_ends_wakes_who_waits(void **state)
{
    struct world *w = *state;
    struct client c, d;
    begin(&c, w, 1);
    begin(&d, w, 2);
    uint64_t set = set_timer(&c, "a", 0);
    world_run(w, 50);
    expect_status(&c, set, HF_OK);
    uint64_t first = poll_at(&c, WAIT_MS, 0);
    world_settle(w);
    expect_delivery(&c, first, "a");
    uint64_t second = poll_at(&d, WAIT_MS, 0);
    world_run(w, LEASE_MS - 200);
    expect_silence(&d);
    world_run(w, 300);
    expect_delivery(&d, second, "a");
    client_close(&c);
    client_close(&d);
}

/* CANCEL ends one that waits, there and in the log: the number has no effect any more. */
static void test_a_cancelled_poll_waits_no_longer(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(&c, w, 1);
    uint64_t poll = poll_at(&c, WAIT_MS, 7);
    world_settle(w);
    struct msg_cancel request = {7};
    uint64_t cancel = client_send(&c, OP_CODE_CANCEL, &request, 0);
    expect_status(&c, poll, HF_ECANCELLED);
    world_settle(w);
    expect_status(&c, cancel, HF_OK);
    uint64_t set = set_timer(&c, "a", 0);
    world_run(w, 50);
    expect_status(&c, set, HF_OK);
    uint64_t late = poll_at(&c, WAIT_MS, 7);
    world_settle(w);
    expect_status(&c, late, HF_ECANCELLED);
    client_close(&c);
}

/* The same number again by another connection: the answer goes there, and the older one is told to
 * ask again. */
static void test_a_repeated_poll_moves_to_the_new_connection(void **state)
{
    struct world *w = *state;
    struct client c, d;
    begin(&c, w, 1);
    client_connect(&d, w);
    d.session = c.session;
    uint64_t first = poll_at(&c, WAIT_MS, 7);
    uint64_t again = poll_at(&d, WAIT_MS, 7);
    expect_status(&c, first, HF_EUNKNOWN);
    fire(w, 2, "a");
    expect_delivery(&d, again, "a");
    uint64_t repeated = poll_at(&c, WAIT_MS, 7); /* applied: its own answer, without a wait */
    world_settle(w);
    expect_delivery(&c, repeated, "a");
    client_close(&c);
    client_close(&d);
}

/* Whoever waited by a connection that has gone is given nothing, and holds no place: the timer goes
 * to the next at once. */
static void test_a_poll_ends_with_its_connection(void **state)
{
    struct world *w = *state;
    struct client c, d;
    begin(&c, w, 1);
    begin(&d, w, 2);
    (void)poll_at(&c, WAIT_MS, 0);
    uint64_t second = poll_at(&d, WAIT_MS, 0);
    assert_int_equal(w->replica->polls.polls.count, 2);
    client_close(&c);
    assert_int_equal(w->replica->polls.polls.count, 1);
    fire(w, 3, "a");
    expect_delivery(&d, second, "a");
    client_close(&d);
}

/* A copy of one that waits asks for nothing new: neither its principal's rate nor a full server may
 * say of it that it was certainly not applied, for the first one would be, later. */
static void test_a_copy_of_a_poll_passes_rates_and_load(void **state)
{
    struct world *w = *state;
    struct client c, d;
    door_limit_rate(&w->door, 1, 2);
    begin(&c, w, 1);
    client_connect(&d, w);
    d.session = c.session;
    uint64_t first = poll_at(&c, WAIT_MS, 7);
    uint64_t again = poll_at(&d, WAIT_MS, 7);
    expect_status(&c, first, HF_EUNKNOWN);
    expect_silence(&d);
    w->replica->limits.waiting_bytes_max = 0;
    uint64_t once_more = poll_at(&c, 1000, 7);
    expect_status(&d, again, HF_EUNKNOWN);
    expect_silence(&c);
    world_run(w, 1100);
    expect_delivery(&c, once_more, NULL);
    client_close(&c);
    client_close(&d);
}

/* While nothing more may be under way the POLL waits on, and the loop comes back for it without
 * spinning: others may be parked for hours. */
static void test_a_full_server_does_not_spin_for_a_poll(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(&c, w, 1);
    uint64_t set = set_timer(&c, "a", 500);
    world_settle(w);
    expect_status(&c, set, HF_OK);
    uint64_t poll = poll_at(&c, WAIT_MS, 0);
    size_t used_max = w->replica->pending.requests.used_max;
    w->replica->pending.requests.used_max = 0;
    world_run(w, 1000);
    expect_silence(&c);
    assert_true(replica_polls_when(w->replica) > w->now.elapsed_ms);
    w->replica->pending.requests.used_max = used_max;
    world_run(w, 50);
    expect_delivery(&c, poll, "a");
    client_close(&c);
}

/* Nothing of a POLL that waits is in the log, so who leads no more tells that nothing was done. The
 * same POLL may be asked here again, under the same number, and waits as if it were the first. */
static void test_lost_leadership_ends_the_waits(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(&c, w, 1);
    uint64_t poll = poll_at(&c, WAIT_MS, 0);
    world_settle(w);
    assert_int_equal(replica_disown(w->replica), HF_OK);
    expect_status(&c, poll, HF_ENOTLEADER);
    assert_int_equal(w->replica->polls.polls.count, 0);
    assert_int_equal(w->replica->polls.groups.count, 0);
    assert_int_equal(w->replica->polls.owners.count, 0);
    uint64_t again = poll_at(&c, WAIT_MS, c.seq);
    world_settle(w);
    expect_silence(&c);
    fire(w, 2, "a");
    expect_delivery(&c, again, "a");
    client_close(&c);
}

/* With its session a POLL ends, by CLOSE or with the lease: nothing is kept for who is not there,
 * and who asks again learns that it has ended. */
static void test_a_sessions_end_ends_its_polls(void **state)
{
    enum { SHORT_TTL_MS = 1000 };
    struct world *w = *state;
    struct client c, d;
    begin(&c, w, 1);
    client_connect(&d, w);
    d.number = 2;
    client_begin_session(&d, SHORT_TTL_MS);
    uint64_t closed = poll_at(&c, WAIT_MS, 0);
    uint64_t expired = poll_at(&d, WAIT_MS, 0);
    uint64_t second = poll_at(&d, WAIT_MS, 0);
    world_settle(w);
    static const struct msg_empty nothing;
    uint64_t close = client_send(&c, OP_CODE_CLOSE, &nothing, 0);
    world_settle(w);
    expect_status(&c, closed, HF_EUNKNOWN);
    expect_status(&c, close, HF_OK);
    assert_int_equal(w->replica->polls.polls.count, 2);
    world_run(w, 2 * SHORT_TTL_MS);
    expect_status(&d, expired, HF_EUNKNOWN);
    expect_status(&d, second, HF_EUNKNOWN);
    assert_int_equal(w->replica->polls.owners.count, 0);
    uint64_t again = poll_at(&d, WAIT_MS, d.seq);
    world_settle(w);
    expect_status(&d, again, HF_ESESSION);
    client_close(&c);
    client_close(&d);
}

/* One session's consumers leave places to those of others; one that ends makes room for another. */
static void test_a_session_has_so_many_polls_and_no_more(void **state)
{
    struct world *w = *state;
    struct client c, d;
    begin(&c, w, 1);
    begin(&d, w, 2);
    uint64_t first_seq = c.seq + 1;
    for (uint32_t i = 0; i < SESSION_POLLS_MAX; i++) {
        (void)poll_at(&c, WAIT_MS, 0);
        world_run(w, 1);
    }
    expect_silence(&c);
    uint64_t refused = poll_at(&c, WAIT_MS, 0);
    expect_status(&c, refused, HF_EUNACKED);
    expect_delivery(&c, poll_at(&c, 0, 0), NULL); /* which does not wait */
    (void)poll_at(&d, WAIT_MS, 0);
    expect_silence(&d);
    uint64_t last_seq = c.seq;
    struct msg_cancel cancel = {.target_seq = first_seq};
    (void)client_send(&c, OP_CODE_CANCEL, &cancel, 0);
    world_settle(w);
    struct got got;
    while (client_take(&c, &got)) assert_int_not_equal(got.status, HF_EUNACKED);
    c.seq = last_seq;
    (void)poll_at(&c, WAIT_MS, 0);
    expect_silence(&c);
    assert_int_equal(w->replica->polls.polls.count, SESSION_POLLS_MAX + 1);
    client_close(&c);
    client_close(&d);
    assert_int_equal(w->replica->polls.owners.count, 0);
}

/* A server that stops says so to those who wait; a gone connection leaves nothing behind. */
static void test_a_stopping_server_ends_the_waits(void **state)
{
    struct world *w = *state;
    struct client c, d;
    begin(&c, w, 1);
    begin(&d, w, 2);
    uint64_t poll = poll_at(&c, WAIT_MS, 0);
    (void)poll_at(&d, WAIT_MS, 0);
    client_close(&d);
    replica_stop(w->replica);
    world_settle(w);
    expect_status(&c, poll, HF_ESHUTDOWN);
    client_close(&c);
}

/* At the disk's reserve no timer is set, but those that are there are delivered and ended. */
static void test_at_the_disks_reserve_timers_are_delivered_and_not_set(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(&c, w, 1);
    uint64_t set = set_timer(&c, "a", 0);
    world_run(w, 50);
    expect_status(&c, set, HF_OK);
    w->replica->limits.reserve_bytes_min = 1024 * 1024;
    w->disk.bytes_max = w->disk.bytes + 1024;
    world_run(w, 5000);
    uint64_t refused = set_timer(&c, "b", 0);
    expect_status(&c, refused, HF_ENOSPACE);
    uint64_t poll = poll_at(&c, 0, 0);
    world_settle(w);
    expect_delivery(&c, poll, "a");
    client_close(&c);
}

int main(void)
{
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_a_poll_waits_until_a_timer_of_its_group_is_ready),
        WORLD_TEST(test_a_poll_ends_empty_at_its_waits_end),
        WORLD_TEST(test_those_who_wait_are_served_in_turn),
        WORLD_TEST(test_a_lease_that_ends_wakes_who_waits),
        WORLD_TEST(test_a_cancelled_poll_waits_no_longer),
        WORLD_TEST(test_a_repeated_poll_moves_to_the_new_connection),
        WORLD_TEST(test_a_poll_ends_with_its_connection),
        WORLD_TEST(test_a_copy_of_a_poll_passes_rates_and_load),
        WORLD_TEST(test_a_full_server_does_not_spin_for_a_poll),
        WORLD_TEST(test_lost_leadership_ends_the_waits),
        WORLD_TEST(test_a_sessions_end_ends_its_polls),
        WORLD_TEST(test_a_session_has_so_many_polls_and_no_more),
        WORLD_TEST(test_a_stopping_server_ends_the_waits),
        WORLD_TEST(test_at_the_disks_reserve_timers_are_delivered_and_not_set),
    };
    return cmocka_run_group_tests_name("replica_polls", tests, NULL, NULL);
}
