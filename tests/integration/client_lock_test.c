/* The library against a real holdfastd: permits up to their limit, several names at once, changes
 * between exclusive and shared, and the deadlock of those who take one lock after another. */
#include "client/include/holdfast_lock.h"

#include <pthread.h>

#include "tests/integration/client_fixture.h"

static hf_client *clients[2];
static hf_lock *locks[2]; /* one of each client */

static int setup_two(void **state)
{
    if (setup(state) != 0) return -1;
    for (int i = 0; i < 2; i++) {
        clients[i] = open_client(server.port, 30000, 20000);
        must(hf_lock_new(clients[i], &locks[i]));
    }
    return 0;
}

static int teardown_two(void **state)
{
    for (int i = 0; i < 2; i++) {
        hf_lock_free(locks[i]);
        hf_client_close(clients[i]);
    }
    return teardown(state);
}

static int take(int who, const char *name, const hf_acquire *how, hf_grant *grant)
{
    return hf_lock_acquire_with(locks[who], name, how, grant, NULL);
}

/* Two and one of three: not one more, until one comes back. */
static void test_permits_up_to_the_limit_and_no_further(void **state)
{
    (void)state;
    hf_grant two;
    hf_grant one;
    hf_grant more;
    const hf_acquire takes_two = {.mode = HF_PERMITS, .permits = 2, .limit = 3};
    const hf_acquire takes_one = {.mode = HF_PERMITS, .limit = 3};
    const hf_acquire of_four = {.mode = HF_PERMITS, .limit = 4};
    const hf_acquire shared = {.mode = HF_SHARED};
    hf_lock *third;
    must(hf_lock_new(clients[1], &third));
    must(take(0, "p", &takes_two, &two));
    assert_int_equal(take(1, "p", &takes_two, &more), HF_EBUSY);
    must(take(1, "p", &takes_one, &one));
    assert_true(one.fencing_token > two.fencing_token);
    assert_int_equal(hf_lock_acquire_with(third, "p", &takes_one, &more, NULL), HF_EBUSY);
    assert_int_equal(hf_lock_acquire_with(third, "p", &of_four, &more, NULL), HF_ELIMIT);
    assert_int_equal(hf_lock_acquire_with(third, "p", &shared, &more, NULL), HF_ELIMIT);
    assert_int_equal(hf_lock_downgrade(locks[0], &two, NULL), HF_EBADREQUEST);
    must(hf_lock_release(locks[1], &one, NULL));
    must(hf_lock_acquire_with(third, "p", &takes_one, &more, NULL));
    must(hf_lock_release(third, &more, NULL));
    must(hf_lock_release(locks[0], &two, NULL));
    hf_lock_free(third);
}

/* All or nothing, under one token, and one release gives all back. */
static void test_several_names_are_all_or_nothing(void **state)
{
    (void)state;
    static const char *const abc[] = {"c", "a", "b"};
    hf_grant all;
    hf_grant b;
    hf_grant a;
    int verdict = -1;
    must(hf_lock_acquire(locks[1], "b", 0, &b, NULL));
    assert_int_equal(hf_lock_acquire_many(locks[0], abc, 3, NULL, &all, NULL), HF_EBUSY);
    must(hf_lock_acquire(locks[1], "a", 0, &a, NULL)); /* nothing of it stayed */
    must(hf_lock_release(locks[1], &a, NULL));
    must(hf_lock_release(locks[1], &b, NULL));
    must(hf_lock_acquire_many(locks[0], abc, 3, NULL, &all, NULL));
    for (int i = 0; i < 3; i++) {
        must(hf_lock_check(clients[1], abc[i], all.fencing_token, &verdict, NULL));
        assert_int_equal(verdict, HF_CHECK_VALID);
        assert_int_equal(hf_lock_acquire(locks[1], abc[i], 0, &b, NULL), HF_EBUSY);
    }
    assert_int_equal(hf_lock_acquire(locks[0], "a", 0, &b, NULL), HF_EALREADY);
    must(hf_lock_release(locks[0], &all, NULL));
    must(hf_lock_acquire(locks[1], "c", 0, &b, NULL));
    must(hf_lock_release(locks[1], &b, NULL));
}

enum { ROUNDS = 200 };

static uint64_t counter; /* not atomic: the locks guard it */

static void *take_both(void *data)
{
    static const char *const orders[2][2] = {{"x", "y"}, {"y", "x"}};
    int who = data == locks[0] ? 0 : 1;
    const hf_acquire how = {.wait_ms = 60000};
    for (int i = 0; i < ROUNDS; i++) {
        hf_grant both;
        int rv = hf_lock_acquire_many(data, orders[who], 2, &how, &both, NULL);
        if (rv == HF_OK) counter += 1;
        if (rv == HF_OK) rv = hf_lock_release(data, &both, NULL);
        if (rv != HF_OK) (void)fprintf(stderr, "both: %s\n", hf_status_name(rv));
    }
    return NULL;
}

/* Named in opposite orders, again and again: nobody is refused, nobody waits for ever. */
static void test_opposite_orders_do_not_deadlock(void **state)
{
    (void)state;
    pthread_t threads[2];
    counter = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_both, locks[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_int_equal(counter, 2 * ROUNDS);
}

struct waiting {
    hf_lock *lock;    /* who waits */
    const char *name; /* for what */
    hf_grant grant;   /* what came */
    int status;       /* and how it ended */
};

static void *wait_for(void *data)
{
    struct waiting *w = data;
    w->status = hf_lock_acquire(w->lock, w->name, 60000, &w->grant, NULL);
    return NULL;
}

static int note_queue(const hf_lock_line *line, void *data)
{
    *(uint32_t *)data = line->queue_length;
    return 0;
}

static void wait_until_queued(const char *name)
{
    uint32_t length = 0;
    for (int i = 0; i < 1000 && length == 0; i++) {
        must(hf_lock_info(clients[0], name, note_queue, &length));
        sleep_ms(10);
    }
    assert_int_equal(length, 1);
}

/* One lock after the other: who would close the circle is told so at once, and can let go. */
static void test_deadlock_of_single_locks_is_named(void **state)
{
    (void)state;
    pthread_t thread;
    hf_grant x;
    hf_grant y;
    hf_grant none;
    must(hf_lock_acquire(locks[0], "x", 0, &x, NULL));
    must(hf_lock_acquire(locks[1], "y", 0, &y, NULL));
    struct waiting w = {.lock = locks[1], .name = "x", .status = 1};
    assert_int_equal(pthread_create(&thread, NULL, wait_for, &w), 0);
    wait_until_queued("x");
    assert_int_equal(hf_lock_acquire(locks[0], "y", 60000, &none, NULL), HF_EDEADLOCK);
    const hf_refusal *why = hf_lock_refusal(locks[0]);
    assert_non_null(why);
    assert_int_equal(why->status, HF_EDEADLOCK);
    assert_int_equal(why->cycle_length, 2);
    assert_int_equal(why->cycle_shown, 2);
    assert_int_equal(why->cycle[0].session, hf_client_session(clients[0]));
    assert_int_equal(why->cycle[1].session, hf_client_session(clients[1]));
    must(hf_lock_release(locks[0], &x, NULL));
    pthread_join(thread, NULL);
    must(w.status);
    must(hf_lock_release(locks[1], &w.grant, NULL));
    must(hf_lock_release(locks[1], &y, NULL));
}

/* Who is refused learns who holds what it wanted, and what it holds itself; the next acquire that
 * is sent forgets that. */
static void test_refusal_says_who_holds_what(void **state)
{
    (void)state;
    static const char *const both[] = {"r", "t"};
    hf_grant grant;
    hf_grant other;
    assert_null(hf_lock_refusal(locks[0]));
    assert_null(hf_lock_refusal(NULL));
    must(hf_lock_acquire_many(locks[0], both, 2, NULL, &grant, NULL));
    assert_int_equal(hf_lock_acquire(locks[1], "t", 0, &other, NULL), HF_EBUSY);
    const hf_refusal *why = hf_lock_refusal(locks[1]);
    assert_non_null(why);
    assert_int_equal(why->status, HF_EBUSY);
    assert_int_equal(why->holder_count, 1);
    assert_int_equal(why->holders[0].session, hf_client_session(clients[0]));
    assert_int_equal(why->holders[0].fencing_token, grant.fencing_token);
    assert_true(why->lease_left_ms > 0);
    assert_int_equal(hf_lock_acquire(locks[1], "t", 1, &other, NULL), HF_EWAITTIMEOUT);
    assert_null(hf_lock_refusal(locks[1]));
    static const char *const three[] = {"q", "r", "t"};
    assert_int_equal(hf_lock_acquire_many(locks[0], three, 3, NULL, &other, NULL), HF_EALREADY);
    why = hf_lock_refusal(locks[0]);
    assert_non_null(why);
    assert_int_equal(why->fencing_token, grant.fencing_token);
    assert_int_equal(why->name_count, 2);
    assert_string_equal(why->names[0], "r");
    assert_string_equal(why->names[1], "t");
    must(hf_lock_release(locks[0], &grant, NULL));
    must(hf_lock_acquire(locks[0], "t", 0, &grant, NULL));
    assert_null(hf_lock_refusal(locks[0]));
    must(hf_lock_release(locks[0], &grant, NULL));
}

/* A writer goes on as a reader under its token; beside another reader it cannot go back. */
static void test_downgrade_lets_readers_in_and_upgrade_wants_to_be_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"d", "e"};
    const hf_acquire shared = {.mode = HF_SHARED};
    hf_grant writer;
    hf_grant reader;
    int verdict = -1;
    must(hf_lock_acquire_many(locks[0], names, 2, NULL, &writer, NULL));
    assert_int_equal(take(1, "e", &shared, &reader), HF_EBUSY);
    must(hf_lock_upgrade(locks[0], &writer, NULL)); /* it is exclusive already */
    must(hf_lock_downgrade(locks[0], &writer, NULL));
    must(hf_lock_downgrade(locks[0], &writer, NULL)); /* likewise */
    must(take(1, "e", &shared, &reader));
    assert_int_equal(hf_lock_upgrade(locks[0], &writer, NULL), HF_EUPGRADEBUSY);
    assert_int_equal(hf_lock_upgrade(locks[1], &reader, NULL), HF_EUPGRADEBUSY);
    assert_true(hf_grant_valid(&writer, 0));
    must(hf_lock_release(locks[1], &reader, NULL));
    must(hf_lock_upgrade(locks[0], &writer, NULL));
    assert_int_equal(take(1, "d", &shared, &reader), HF_EBUSY);
    must(hf_lock_check(clients[1], "d", writer.fencing_token, &verdict, NULL));
    assert_int_equal(verdict, HF_CHECK_VALID);
    must(hf_lock_release(locks[0], &writer, NULL));
    assert_int_equal(hf_lock_upgrade(locks[0], &writer, NULL), HF_ENOTHELD);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown_two)
    const struct CMUnitTest tests[] = {
        CASE(test_permits_up_to_the_limit_and_no_further),
        CASE(test_several_names_are_all_or_nothing),
        CASE(test_opposite_orders_do_not_deadlock),
        CASE(test_deadlock_of_single_locks_is_named),
        CASE(test_refusal_says_who_holds_what),
        CASE(test_downgrade_lets_readers_in_and_upgrade_wants_to_be_alone),
    };
    return cmocka_run_group_tests_name("client_lock", tests, NULL, NULL);
}
