/* WATCHes at the replica, with the true machine, in virtual time: who waits, who is woken, what a
 * mark says, and what becomes of those who wait when something else happens. Leadership that is
 * truly lost: tests/integration/watchers.c. */
#include <string.h>

#include "base/status.h"
#include "machine/events.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/server/world.h"

enum { TTL_MS = 600000, WAIT_MS = 60000, MARK_MS = 5000, CROWD = 700, HANDFUL = 40 };

static struct arena arena; /* of the last answer that was read */

static int setup(void **state)
{
    assert_int_equal(arena_init(&arena, 4 * 1024 * 1024), HF_OK);
    return world_setup(state);
}

static int teardown(void **state)
{
    arena_close(&arena);
    return world_teardown(state);
}

static uint64_t watch(struct client *c, const char *prefix, uint64_t kinds, uint64_t from,
                      uint64_t wait_ms)
{
    const struct msg_watch request = {slice_of(prefix), kinds, from, wait_ms, 10};
    return client_send(c, OP_CODE_WATCH, &request, 0);
}

static void expect_status(struct client *c, uint64_t request_id, int status)
{
    struct got got;
    assert_true(client_take(c, &got));
    assert_int_equal(got.request_id, request_id);
    assert_int_equal(got.status, status);
}

static struct msg_watch_reply expect_answer(struct client *c, uint64_t request_id)
{
    struct got got;
    struct msg_watch_reply reply;
    arena_reset(&arena);
    assert_true(client_take(c, &got));
    assert_int_equal(got.request_id, request_id);
    assert_int_equal(got.status, HF_OK);
    assert_int_equal(codec_decode(&msg_watch_reply_type, got.body, &arena, &reply), HF_OK);
    return reply;
}

static unsigned take_answers(struct client *c)
{
    struct got got;
    unsigned count = 0;
    for (; client_take(c, &got); count++) assert_int_equal(got.status, HF_OK);
    return count;
}

static void expect_silence(struct client *c)
{
    struct got got;
    assert_false(client_take(c, &got));
}

/* A client that watches: no session is needed. */
static void begin(struct client *c, struct world *w)
{
    client_connect(c, w);
    assert_int_equal(c->session, 0);
}

/* Somebody who makes things happen: each switch is one event, told under its prefix. */
static void begin_admin_of(struct client *c, struct world *w, uint8_t number)
{
    client_connect(c, w);
    c->number = number;
    client_begin_session(c, TTL_MS);
}

static void begin_admin(struct client *c, struct world *w)
{
    begin_admin_of(c, w, 9);
}

static uint64_t send_switch(struct client *c, const char *prefix, bool on)
{
    const struct msg_events_switch request = {
        .prefix = slice_of(prefix),
        .on = on,
        .reason = slice_of("to see it"),
        .operator_name = slice_of("ann"),
    };
    return client_send(c, OP_CODE_EVENTS_SWITCH, &request, 0);
}

static void happen(struct world *w, struct client *admin, const char *prefix)
{
    uint64_t id = send_switch(admin, prefix, true);
    world_settle(w);
    expect_status(admin, id, HF_OK);
}

/* It waits without an entry in the log, does not count as unanswered, and hears of the first event
 * at once. */
static void test_a_watch_waits_until_something_happens(void **state)
{
    struct world *w = *state;
    struct client c, admin;
    begin(&c, w);
    begin_admin(&admin, w);
    uint64_t entries = w->replica->counts.entry_count;
    uint64_t id = watch(&c, "", 0, 1, WAIT_MS);
    world_run(w, 3000);
    expect_silence(&c);
    assert_int_equal(c.connection.unanswered, 0);
    assert_int_equal(w->replica->counts.entry_count, entries);
    happen(w, &admin, "a");
    struct msg_watch_reply reply = expect_answer(&c, id);
    assert_int_equal(reply.events.count, 1);
    assert_int_equal(reply.next, 2);
    const struct event_line *event = reply.events.items;
    assert_int_equal(event->kind, EVENT_ADMIN);
    assert_int_equal(event->number, 1);
    assert_int_equal(c.connection.unanswered, 0);
    assert_int_equal(w->replica->watches.count, 0);
    client_close(&c);
    client_close(&admin);
}

/* What has happened already is told without waiting; where now is, too. */
static void test_what_is_there_is_told_at_once(void **state)
{
    struct world *w = *state;
    struct client c, admin;
    begin(&c, w);
    begin_admin(&admin, w);
    happen(w, &admin, "a");
    happen(w, &admin, "b");
    uint64_t id = watch(&c, "", 0, 1, WAIT_MS);
    world_settle(w);
    assert_int_equal(expect_answer(&c, id).events.count, 2);
    id = watch(&c, "", 0, 0, WAIT_MS);
    world_settle(w);
    struct msg_watch_reply reply = expect_answer(&c, id);
    assert_int_equal(reply.events.count, 0);
    assert_int_equal(reply.next, 3);
    id = watch(&c, "", 0, 4, WAIT_MS);
    world_settle(w);
    expect_status(&c, id, HF_EBADREQUEST);
    client_close(&c);
    client_close(&admin);
}

/* With nothing to tell a mark comes after five seconds, however long it would wait: up to which
 * number, and at which cluster time. */
static void test_an_idle_watch_gets_a_mark(void **state)
{
    struct world *w = *state;
    struct client c, admin;
    begin(&c, w);
    begin_admin(&admin, w);
    happen(w, &admin, "a");
    uint64_t id = watch(&c, "zz", 0, 1, WAIT_MS);
    world_run(w, MARK_MS - 10);
    expect_silence(&c);
    world_run(w, 20);
    struct msg_watch_reply reply = expect_answer(&c, id);
    assert_int_equal(reply.events.count, 0);
    assert_int_equal(reply.gap, 0);
    assert_int_equal(reply.next, 2);
    assert_int_equal(reply.at_ms, machine_time_ms(w->replica->machine));
    id = watch(&c, "", 0, 2, 100);
    world_run(w, 90);
    expect_silence(&c);
    world_run(w, 20);
    assert_int_equal(expect_answer(&c, id).next, 2);
    id = watch(&c, "", 0, 2, 0);
    world_settle(w);
    assert_int_equal(expect_answer(&c, id).next, 2);
    client_close(&c);
    client_close(&admin);
}

struct waits {
    uint64_t first_id;      /* of the first one's request; the others follow */
    unsigned count;         /* of those below */
    uint64_t until_ms[300]; /* when each ends */
};

/* \return how many have ended, each of them just now. */
static unsigned take_ended(struct client *c, const struct waits *waits)
{
    unsigned count = 0;
    uint64_t now_ms = c->world->now.elapsed_ms;
    for (struct got got; client_take(c, &got); count++) {
        uint64_t i = got.request_id - waits->first_id;
        assert_int_equal(got.status, HF_OK);
        assert_true(i < waits->count);
        assert_in_range(now_ms, waits->until_ms[i], waits->until_ms[i] + 20);
    }
    return count;
}

/* However waits are mixed, each ends at its time; and all at once when the machine was stopped for
 * longer than any of them. */
static void test_each_wait_ends_at_its_time(void **state)
{
    static struct waits waits;
    const unsigned many = HF_ARRAY_COUNT(waits.until_ms);
    struct world *w = *state;
    struct client c;
    unsigned over = 0;
    begin(&c, w);
    for (unsigned i = 0; i < many; i++) {
        uint64_t wait_ms = 1 + i * 7919 % 6000;
        uint64_t id = watch(&c, "", 0, 1, wait_ms);
        if (i == 0) waits.first_id = id;
        waits.until_ms[i] = w->now.elapsed_ms + (wait_ms < MARK_MS ? wait_ms : MARK_MS);
        waits.count = i + 1;
        world_run(w, 3);
        over += take_ended(&c, &waits);
    }
    for (unsigned i = 0; i < MARK_MS; i++, over += take_ended(&c, &waits)) world_run(w, 1);
    assert_int_equal(over, many);
    for (unsigned i = 0; i < many; i++) (void)watch(&c, "", 0, 1, 100 + i * 7919 % 6000);
    world_settle(w);
    expect_silence(&c);
    world_sleep(w, 60000);
    world_run(w, 20);
    assert_int_equal(take_answers(&c), many);
    assert_int_equal(w->replica->watches.count, 0);
    client_close(&c);
}

/* Prefix and kind decide who hears of it; the others wait on, and have missed nothing. */
static void test_only_who_wants_an_event_is_woken(void **state)
{
    struct world *w = *state;
    struct client c, admin;
    begin(&c, w);
    begin_admin(&admin, w);
    uint64_t all = watch(&c, "", 0, 1, WAIT_MS);
    uint64_t under = watch(&c, "a/", 0, 1, WAIT_MS);
    uint64_t elsewhere = watch(&c, "b/", 0, 1, WAIT_MS);
    uint64_t lost = watch(&c, "a/", 1 << EVENT_LOST, 1, WAIT_MS);
    world_settle(w);
    happen(w, &admin, "a/1");
    assert_int_equal(expect_answer(&c, all).events.count, 1);
    assert_int_equal(expect_answer(&c, under).events.count, 1);
    expect_silence(&c);
    happen(w, &admin, "b/1");
    struct msg_watch_reply reply = expect_answer(&c, elsewhere);
    assert_int_equal(reply.events.count, 1);
    assert_int_equal(reply.next, 3);
    expect_silence(&c);
    world_run(w, MARK_MS);
    reply = expect_answer(&c, lost);
    assert_int_equal(reply.events.count, 0);
    assert_int_equal(reply.next, 3);
    client_close(&c);
    client_close(&admin);
}

/* Nobody who waits under a prefix is looked at for an event of a kind that none of them wants; one
 * who joins them and wants it is. */
static void test_a_kind_that_nobody_wants_wakes_nobody(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(&c, w);
    (void)watch(&c, "a", 1 << EVENT_LOST, 1, WAIT_MS);
    world_settle(w);
    replica_watches_event(w->replica, EVENT_ADMIN, slice_of("ab"));
    assert_true(list_empty(&w->replica->watches.marked));
    (void)watch(&c, "a", 0, 1, WAIT_MS);
    world_settle(w);
    replica_watches_event(w->replica, EVENT_ADMIN, slice_of("b"));
    assert_true(list_empty(&w->replica->watches.marked));
    replica_watches_event(w->replica, EVENT_ADMIN, slice_of("ab"));
    assert_false(list_empty(&w->replica->watches.marked));
    world_settle(w);
    expect_silence(&c);
    assert_int_equal(w->replica->watches.count, 2);
    client_close(&c);
}

/* What happens when its wait is over already, but before the mark is made, is in the mark's answer.
 */
static void test_a_mark_passes_nothing_over(void **state)
{
    struct world *w = *state;
    struct client c, admin;
    begin(&c, w);
    begin_admin(&admin, w);
    uint64_t id = watch(&c, "", 0, 1, 1000);
    world_run(w, 990);
    uint64_t switched = send_switch(&admin, "a", true);
    world_pass(w);
    world_sleep(w, 50);
    expect_silence(&c);
    while (world_run_log(w) > 0) {
    }
    world_pass(w);
    expect_status(&admin, switched, HF_OK);
    struct msg_watch_reply reply = expect_answer(&c, id);
    assert_int_equal(reply.events.count, 1);
    assert_int_equal(reply.next, 2);
    client_close(&c);
    client_close(&admin);
}

/* All are told of what one of them would be told, some a pass, and the loop comes back at once for
 * the rest. */
static void test_a_crowd_is_woken_within_a_budget(void **state)
{
    static struct client crowd[HANDFUL];
    struct world *w = *state;
    struct client admin;
    begin_admin(&admin, w);
    for (unsigned i = 0; i < HANDFUL; i++) begin(&crowd[i], w);
    for (unsigned i = 0; i < CROWD; i++) {
        (void)watch(&crowd[i % HANDFUL], i % 2 == 0 ? "" : "a", 0, 1, WAIT_MS);
        if (i % 100 == 99) world_settle(w);
    }
    world_settle(w);
    assert_int_equal(w->replica->watches.count, CROWD);
    uint64_t id = send_switch(&admin, "a", true);
    world_pass(w);
    while (world_run_log(w) > 0) {
    }
    world_pass(w);
    uint32_t left = w->replica->watches.count;
    assert_in_range(left, 1, CROWD - 1);
    assert_true(replica_next_wake(w->replica) <= w->now.elapsed_ms);
    world_settle(w);
    world_run(w, 1);
    assert_int_equal(w->replica->watches.count, 0);
    expect_status(&admin, id, HF_OK);
    unsigned answers = 0;
    struct got got;
    for (unsigned i = 0; i < HANDFUL; i++) {
        while (client_take(&crowd[i], &got)) {
            assert_int_equal(got.status, HF_OK);
            answers++;
        }
        client_close(&crowd[i]);
    }
    assert_int_equal(answers, CROWD);
    client_close(&admin);
}

/* By a session of its own, which keeps all its answers. */
static void tell_of_500(struct world *w, uint8_t number)
{
    struct client admin;
    begin_admin_of(&admin, w, number);
    for (unsigned i = 0; i < 500; i++) {
        (void)send_switch(&admin, "a", i % 2 == 0);
        if (i % 50 != 49) continue;
        world_settle(w);
        assert_int_equal(take_answers(&admin), 50);
    }
    client_close(&admin);
}

/* Those that come from far behind and find nothing walk over thousands of rows each: some rows a
 * pass, so that whoever takes a lock meanwhile waits for a few of them alone. */
static void test_a_pass_walks_over_so_many_rows(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(&c, w);
    for (unsigned told = 0; told < EVENTS_LOOK_MAX; told += 500)
        tell_of_500(w, (uint8_t)(10 + told / 500));
    for (unsigned i = 0; i < HANDFUL; i++) (void)watch(&c, "zz", 0, 1, 0);
    unsigned answers = 0;
    for (unsigned passes = 0; answers < HANDFUL; passes++) {
        assert_true(passes <= HANDFUL);
        world_pass(w);
        unsigned count = take_answers(&c);
        assert_in_range(count, 0, 4000 / EVENTS_LOOK_MAX);
        answers += count;
    }
    client_close(&c);
}

/* Who waits has looked at what came and was not for it, though it was not asked: its mark is no gap
 * where all that it waited behind is kept no longer. */
static void test_a_mark_is_beyond_all_that_was_not_wanted(void **state)
{
    struct world *w = *state;
    struct client c, admin;
    const struct msg_config_set window = {
        .name = slice_of("events_window"),
        .value = 1000,
        .reason = slice_of("to see it end"),
        .operator_name = slice_of("ann"),
    };
    begin(&c, w);
    begin_admin(&admin, w);
    uint64_t set = client_send(&admin, OP_CODE_CONFIG_SET, &window, 0);
    world_settle(w);
    expect_status(&admin, set, HF_OK);
    uint64_t id = watch(&c, "zz", 0, 2, WAIT_MS);
    world_settle(w);
    for (uint8_t i = 0; i < 3; i++) tell_of_500(w, (uint8_t)(10 + i));
    expect_silence(&c);
    world_run(w, MARK_MS + 20);
    struct msg_watch_reply reply = expect_answer(&c, id);
    assert_int_equal(reply.gap, 0);
    assert_int_equal(reply.next, machine_event_next(w->replica->machine));
    assert_int_equal(reply.next, 1502);
    client_close(&c);
    client_close(&admin);
}

/* A connection has so many and no more; one that goes leaves nothing behind. */
static void test_a_connection_has_so_many_watches_and_takes_them_along(void **state)
{
    struct world *w = *state;
    struct client c, d;
    struct got got;
    unsigned sent = 0;
    begin(&c, w);
    begin(&d, w);
    while (!client_take(&c, &got)) {
        (void)watch(&c, "a", 0, 1, WAIT_MS);
        world_pass(w);
        assert_true(++sent < 5000);
    }
    assert_int_equal(got.status, HF_ETOOBUSY);
    assert_int_equal(w->replica->watches.count, sent - 1);
    uint64_t id = watch(&d, "a", 0, 1, WAIT_MS);
    world_settle(w);
    expect_silence(&d);
    client_close(&c);
    assert_int_equal(w->replica->watches.count, 1);
    assert_int_equal(w->replica->watches.owners.count, 1);
    world_run(w, MARK_MS + 10);
    assert_int_equal(expect_answer(&d, id).next, 1);
    assert_int_equal(w->replica->watches.groups.count, 0);
    client_close(&d);
}

/* Who leads no more tells nothing: the next leader is asked, from the same number. */
static void test_lost_leadership_ends_all_watches(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(&c, w);
    uint64_t waits = watch(&c, "", 0, 1, WAIT_MS);
    world_settle(w);
    uint64_t confirms = watch(&c, "a", 0, 1, WAIT_MS);
    assert_int_equal(replica_disown(w->replica), HF_OK);
    struct got got;
    for (unsigned i = 0; i < 2; i++) {
        assert_true(client_take(&c, &got));
        assert_int_equal(got.status, HF_ENOTLEADER);
        assert_true(got.request_id == waits || got.request_id == confirms);
    }
    assert_int_equal(w->replica->watches.count, 0);
    assert_int_equal(w->replica->watches.groups.count, 0);
    client_close(&c);
}

static void test_a_stopping_server_ends_all_watches(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(&c, w);
    uint64_t waits = watch(&c, "", 0, 1, WAIT_MS);
    world_settle(w);
    replica_stop(w->replica);
    world_pass(w);
    expect_status(&c, waits, HF_ESHUTDOWN);
    expect_status(&c, watch(&c, "", 0, 1, WAIT_MS), HF_ESHUTDOWN);
    client_close(&c);
}

int main(void)
{
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_a_watch_waits_until_something_happens),
        WORLD_TEST(test_what_is_there_is_told_at_once),
        WORLD_TEST(test_an_idle_watch_gets_a_mark),
        WORLD_TEST(test_each_wait_ends_at_its_time),
        WORLD_TEST(test_only_who_wants_an_event_is_woken),
        WORLD_TEST(test_a_kind_that_nobody_wants_wakes_nobody),
        WORLD_TEST(test_a_mark_passes_nothing_over),
        WORLD_TEST(test_a_crowd_is_woken_within_a_budget),
        WORLD_TEST(test_a_pass_walks_over_so_many_rows),
        WORLD_TEST(test_a_mark_is_beyond_all_that_was_not_wanted),
        WORLD_TEST(test_a_connection_has_so_many_watches_and_takes_them_along),
        WORLD_TEST(test_lost_leadership_ends_all_watches),
        WORLD_TEST(test_a_stopping_server_ends_all_watches),
    };
    return cmocka_run_group_tests_name("replica_watches", tests, NULL, NULL);
}
