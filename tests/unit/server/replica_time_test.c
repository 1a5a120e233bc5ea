/* Cluster time in the replica (docs/contract.md, section 1): leases run by it, and a server that
 * was stopped, stalled or restarted expires nobody by that. */
#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/server/fake_machine.h"
#include "tests/unit/server/world.h"

static const struct replica_counts *counts(const struct world *w)
{
    return replica_count(w->replica);
}

static void expect_reply(struct client *c, uint64_t request_id, int status)
{
    struct got got;
    assert_true(client_take(c, &got));
    assert_int_equal(got.request_id, request_id);
    assert_int_equal(got.status, status);
}

/* A session that is not renewed ends at its lease, not before, in cluster time. */
static void test_session_expires_at_its_lease(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 5000);
    world_run(w, 4999);
    assert_int_equal(fake_expired_count(w->replica->machine), 0);
    world_run(w, 102);
    assert_int_equal(fake_expired_count(w->replica->machine), 1);
    client_close(&c);
}

/* While a deadline is stored the leader is back every 100 ms. */
static void test_leader_with_deadlines_wakes_every_100_ms(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    world_run(w, 3000);
    assert_true(replica_next_wake(w->replica) <= w->now.elapsed_ms + 100);
    client_close(&c);
}

/* A server that was stopped for 30 s expires nobody by it: the gap counts 200 ms, then time
 * stands still for 2 s, in which whoever is alive renews. */
static void test_stop_of_30_s_expires_nobody(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 2000);
    world_run(w, 1000);
    world_sleep(w, 30000);
    world_settle(w);
    assert_int_equal(counts(w)->stall_count, 1);
    world_run(w, 1900);
    assert_int_equal(fake_expired_count(w->replica->machine), 0);
    client_keep(&c);
    world_run(w, 1900);
    assert_int_equal(fake_expired_count(w->replica->machine), 0);
    world_run(w, 1000);
    assert_int_equal(fake_expired_count(w->replica->machine), 1);
    client_close(&c);
}

/* Many short stalls add up to no more than their steps: a gap of 200 ms is no stall. */
static void test_gap_of_200_ms_counts_whole(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 2000);
    for (int i = 0; i < 9; i++) {
        world_sleep(w, 200);
        world_settle(w);
    }
    assert_int_equal(counts(w)->stall_count, 0);
    assert_int_equal(fake_expired_count(w->replica->machine), 0);
    world_sleep(w, 200);
    world_settle(w);
    assert_int_equal(fake_expired_count(w->replica->machine), 1);
    client_close(&c);
}

/* A KEEP that was read in the very pass that finds its session due is in time. */
static void test_keep_wins_against_a_deadline_of_its_own_pass(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 2000);
    for (int i = 0; i < 19; i++) {
        world_sleep(w, 100);
        world_settle(w);
    }
    world_sleep(w, 150);
    uint64_t id = client_keep(&c);
    world_settle(w);
    expect_reply(&c, id, HF_OK);
    assert_int_equal(fake_expired_count(w->replica->machine), 0);
    client_close(&c);
}

/* A renewal counts from the true time, also while a sweep that is due waits for the disk: it was
 * once stamped just below the due deadline, and a lease was up to a second shorter than promised.
 */
static void test_renewal_counts_from_its_proposal(void **state)
{
    struct world *w = *state;
    struct client a;
    struct client b;
    client_connect(&a, w);
    client_begin_session(&a, 1000);
    client_connect(&b, w);
    b.number = 1;
    client_begin_session(&b, 4000);
    for (int i = 0; i < 14; i++) { /* a's end is due at 1,000, and its sweep is not written */
        world_sleep(w, 100);
        world_pass(w);
    }
    (void)client_keep(&b);
    world_pass(w);
    world_sleep(w, 20); /* a KEEP alone waits for company */
    world_pass(w);
    uint64_t kept_ms = w->replica->clock.time_ms;
    world_settle(w);
    assert_int_equal(fake_expired_count(w->replica->machine), 1);
    assert_true(machine_next_deadline_ms(w->replica->machine) >= kept_ms + 4000);
    client_close(&a);
    client_close(&b);
}

/* A restart gives every session the grace, and what its lease had left. */
static void test_restart_begins_with_the_grace(void **state)
{
    struct world *w = *state;
    struct refusal why = {{0}};
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 2000);
    world_run(w, 1000);
    client_close(&c);
    world_crash(w);
    world_sleep(w, 600000);
    assert_int_equal(world_start(w, &why), HF_OK);
    world_run(w, 2900);
    assert_int_equal(fake_expired_count(w->replica->machine), 0);
    world_run(w, 1300); /* the last entry carried less than the second that had passed */
    assert_int_equal(fake_expired_count(w->replica->machine), 1);
}

/* The cluster's setting rules over what this server was started with. */
static void test_the_grace_is_what_the_cluster_has_set(void **state)
{
    struct world *w = *state;
    struct refusal why = {{0}};
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 2000);
    world_run(w, 1000);
    client_close(&c);
    world_crash(w);
    world_sleep(w, 600000);
    assert_int_equal(world_start(w, &why), HF_OK);
    fake_knobs.grace_ms = 10000;
    world_run(w, 10900);
    assert_int_equal(fake_expired_count(w->replica->machine), 0);
    world_run(w, 1300);
    assert_int_equal(fake_expired_count(w->replica->machine), 1);
}

/* More due than one sweep may touch: the next entry follows at once, without a timer. */
static void test_sweep_goes_on_until_nothing_is_due(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    for (int i = 0; i < 50; i++) client_open(&c, 1000);
    world_settle(w);
    fake_knobs.sweep_budget = 10;
    for (int i = 0; i < 9; i++) {
        world_sleep(w, 100);
        world_settle(w);
    }
    uint64_t before = counts(w)->entry_count;
    world_sleep(w, 100);
    world_settle(w);
    assert_int_equal(fake_expired_count(w->replica->machine), 50);
    assert_int_equal(counts(w)->entry_count - before, 5);
    client_close(&c);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_session_expires_at_its_lease),
        WORLD_TEST(test_leader_with_deadlines_wakes_every_100_ms),
        WORLD_TEST(test_stop_of_30_s_expires_nobody),
        WORLD_TEST(test_gap_of_200_ms_counts_whole),
        WORLD_TEST(test_keep_wins_against_a_deadline_of_its_own_pass),
        WORLD_TEST(test_renewal_counts_from_its_proposal),
        WORLD_TEST(test_restart_begins_with_the_grace),
        WORLD_TEST(test_the_grace_is_what_the_cluster_has_set),
        WORLD_TEST(test_sweep_goes_on_until_nothing_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
