/* The library against a real holdfastd: kills, pauses and cut connections under it, and what its
 * callers then see. Under ThreadSanitizer the library's threads and the server's are watched, too.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "tests/integration/client_fixture.h"

/* ------------------------------------------------------------------ locks */

enum { THREADS = 8, ROUNDS = 100 };

static uint64_t counter; /* not atomic: the lock guards it */
static uint64_t last_token;
static uint64_t failures;

static void *count_up(void *data)
{
    hf_lock *lock;
    if (hf_lock_new(data, &lock) != HF_OK) return NULL;
    for (int i = 0; i < ROUNDS; i++) {
        hf_grant grant;
        int rv = hf_lock_acquire(lock, "counter", 60000, &grant, NULL);
        if (rv != HF_OK) {
            (void)fprintf(stderr, "acquire: %s\n", hf_status_name(rv));
            break;
        }
        if (grant.fencing_token <= last_token || !hf_grant_valid(&grant, 0)) failures += 1;
        last_token = grant.fencing_token;
        counter += 1;
        rv = hf_lock_release(lock, &grant, NULL);
        if (rv != HF_OK) (void)fprintf(stderr, "release: %s\n", hf_status_name(rv));
    }
    hf_lock_free(lock);
    return NULL;
}

static void start_counting(hf_client *client, pthread_t threads[THREADS])
{
    counter = last_token = failures = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, client), 0);
}

static void end_counting(pthread_t threads[THREADS])
{
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_int_equal(failures, 0);
}

/* Eight threads of one client, one lock, one plain counter; tokens rise. */
static void test_threads_of_one_client_exclude_each_other(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    hf_client *client = open_client(server.port, 10000, 10000);
    start_counting(client, threads);
    end_counting(threads);
    hf_client_close(client);
}

/* The same while connections are cut at random bytes and the server is killed in between. */
static void test_cuts_and_kills_under_eight_threads(void **state)
{
    (void)state;
    struct prng prng;
    pthread_t threads[THREADS];
    prng_seed(&prng, 5);
    hf_client *client = open_client(proxy.port, 30000, 60000);
    start_counting(client, threads);
    for (int i = 0; i < 20; i++) {
        proxy_cut_after(&proxy, (int64_t)prng_below(&prng, 4000), (int64_t)prng_below(&prng, 4000));
        sleep_ms(prng_below(&prng, 60));
        if (i % 7 != 3) continue;
        server_process_kill(&server);
        assert_true(server_process_start(&server));
    }
    proxy_cut_after(&proxy, -1, -1);
    end_counting(threads);
    hf_client_close(client);
}

/* The reply to an acquire is lost at a random byte: the repeated one has the token that was given,
 * which the server confirms as current, and none is skipped. */
static void test_cut_acquire_brings_the_same_token(void **state)
{
    (void)state;
    enum { TIMES = 300 };
    struct prng prng;
    hf_lock *lock;
    hf_grant grant;
    prng_seed(&prng, 6);
    hf_client *client = open_client(proxy.port, 30000, 30000);
    must(hf_lock_new(client, &lock));
    must(hf_lock_acquire(lock, "a", 0, &grant, NULL));
    must(hf_lock_release(lock, &grant, NULL));
    for (int i = 0; i < TIMES; i++) {
        uint64_t before = grant.fencing_token;
        uint64_t byte = prng_below(&prng, 60);
        bool request = prng_below(&prng, 2) == 0;
        proxy_cut_after(&proxy, request ? (int64_t)byte : -1, request ? -1 : (int64_t)byte);
        must(hf_lock_acquire(lock, "a", 0, &grant, NULL));
        assert_int_equal(grant.fencing_token, before + 1);
        int verdict = -1;
        must(hf_lock_check(client, "a", grant.fencing_token, &verdict, NULL));
        assert_int_equal(verdict, HF_CHECK_VALID);
        must(hf_lock_release(lock, &grant, NULL));
    }
    assert_in_range(proxy_cuts(&proxy), TIMES / 2, TIMES);
    hf_lock_free(lock);
    hf_client_close(client);
}

/* A waiter is handed the lock; a lock with a delay is refused after a loss. */
static void test_waiting_and_refusals(void **state)
{
    (void)state;
    hf_client *a = open_client(server.port, 10000, 5000);
    hf_client *b = open_client(server.port, 10000, 5000);
    hf_lock *mine;
    hf_lock *yours;
    hf_grant grant;
    hf_grant other;
    must(hf_lock_new(a, &mine));
    must(hf_lock_new(b, &yours));
    must(hf_lock_acquire(mine, "a", 0, &grant, NULL));
    assert_int_equal(hf_lock_acquire(mine, "a", 0, &other, NULL), HF_EALREADY);
    assert_int_equal(hf_lock_acquire(yours, "a", 0, &other, NULL), HF_EBUSY);
    assert_int_equal(hf_lock_acquire(yours, "a", 200, &other, NULL), HF_EWAITTIMEOUT);
    hf_acquire how = {.reentrant = 1};
    must(hf_lock_acquire_with(mine, "twice", &how, &grant, NULL));
    must(hf_lock_acquire_with(mine, "twice", &how, &other, NULL));
    assert_int_equal(grant.fencing_token, other.fencing_token);
    must(hf_lock_release(mine, &other, NULL));
    assert_true(hf_grant_valid(&grant, 0));
    must(hf_lock_release(mine, &grant, NULL));
    assert_false(hf_grant_valid(&grant, 0));
    hf_lock_free(mine); /* releases in the background, and before the session is closed */
    hf_client_close(a);
    must(hf_lock_acquire(yours, "a", 0, &other, NULL));
    hf_lock_free(yours);
    hf_client_close(b);
}

/* hold_max ends the grant here before it ends it there. */
static void test_hold_max_is_kept_on_both_sides(void **state)
{
    (void)state;
    hf_client *a = open_client(server.port, 10000, 5000);
    hf_client *b = open_client(server.port, 10000, 5000);
    hf_lock *mine;
    hf_lock *yours;
    hf_grant grant;
    hf_grant other;
    must(hf_lock_new(a, &mine));
    must(hf_lock_new(b, &yours));
    hf_acquire how = {.hold_max_ms = 700};
    must(hf_lock_acquire_with(mine, "h", &how, &grant, NULL));
    assert_in_range(hf_grant_left_ms(&grant), 300, 690);
    how.wait_ms = 5000;
    must(hf_lock_acquire_with(yours, "h", &how, &other, NULL));
    assert_false(hf_grant_valid(&grant, 0));
    assert_in_range(hf_grant_left_ms(&other), 100, 690); /* known already, though it waited */
    assert_int_not_equal(hf_lock_release(mine, &grant, NULL), HF_OK);
    hf_lock_free(mine);
    hf_lock_free(yours);
    hf_client_close(a);
    hf_client_close(b);
}

/* The server stands still for longer than the lease: it expires nobody, but the client has
 * declared the grant lost in time and gives it back. */
static void test_paused_server_costs_the_grant_not_the_session(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 1000, 20000);
    hf_lock *lock;
    hf_lock *next;
    hf_grant grant;
    must(hf_lock_new(client, &lock));
    must(hf_lock_new(client, &next));
    must(hf_lock_acquire(lock, "p", 0, &grant, NULL));
    uint64_t session = hf_client_session(client);
    losses = 0;
    server_process_pause(&server);
    sleep_ms(3000);
    assert_false(hf_grant_valid(&grant, 0));
    assert_int_equal(hf_grant_state(&grant), HF_GRANT_LOST);
    server_process_resume(&server);
    hf_grant again;
    must(hf_lock_acquire(next, "p", 10000, &again, NULL));
    assert_true(again.fencing_token > grant.fencing_token);
    assert_int_equal(losses, 1);
    assert_int_equal(hf_client_session(client), session);
    assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_ELOST);
    hf_lock_free(lock);
    hf_lock_free(next);
    hf_client_close(client);
}

/* ------------------------------------------------------------------ records */

/* Begun once, completed once, replayed to everybody; another request under the key is refused. */
static void test_record_is_run_once_and_replayed(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 10000, 10000);
    hf_record *record = begin(client, "pay-1", "request", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(record)->verdict, HF_STARTED);
    assert_true(hf_record_valid(record, 1000));
    (void)begin(client, "pay-1", "request", HF_TAKEOVER_AUTO, HF_ERUNNING);
    must(hf_record_checkpoint(record, "sent", 1, HF_MARK_ONCE, "x", 1, NULL));
    hf_result result = {.code = 7, .body = "receipt", .body_bytes = 7};
    must(hf_record_complete(record, HF_DONE, &result, NULL));
    must(hf_record_complete(record, HF_DONE, &result, NULL));
    result.code = 8;
    assert_int_equal(hf_record_complete(record, HF_DONE, &result, NULL), HF_ECONFLICT);
    hf_record_free(record);

    server_process_kill(&server);
    assert_true(server_process_start(&server));
    record = begin(client, "pay-1", "request", HF_TAKEOVER_AUTO, HF_OK);
    const hf_record_view *view = hf_record_look(record);
    assert_int_equal(view->verdict, HF_REPLAY);
    assert_int_equal(view->outcome, HF_DONE);
    assert_int_equal(view->code, 7);
    assert_int_equal(view->body_bytes, 7);
    assert_memory_equal(view->body, "receipt", 7);
    assert_int_equal(hf_record_state(record), HF_GRANT_ENDED);
    hf_record_free(record);
    (void)begin(client, "pay-1", "another request", HF_TAKEOVER_AUTO, HF_EMISMATCH);
    hf_client_close(client);
}

/* A completion without an answer goes on in the background, also when its record is freed. */
static void test_unanswered_completion_goes_on(void **state)
{
    (void)state;
    hf_client *client = open_client(proxy.port, 10000, 500);
    hf_record *record = begin(client, "late", "r", HF_TAKEOVER_AUTO, HF_OK);
    must(hf_record_checkpoint(record, "out", 1, HF_MARK_ONCE, NULL, 0, NULL));
    hf_result result = {.code = 3};
    proxy_hold(&proxy, true);
    assert_int_equal(hf_record_complete(record, HF_DONE, &result, NULL), HF_EUNKNOWN);
    hf_record_free(record);
    proxy_hold(&proxy, false);
    hf_client *other = open_client(server.port, 10000, 10000);
    hf_begin how = {.wait_ms = 10000};
    hf_fingerprint("r", 1, how.fingerprint);
    must(hf_record_begin(other, "late", &how, &record, NULL));
    assert_int_equal(hf_record_look(record)->verdict, HF_REPLAY);
    assert_int_equal(hf_record_look(record)->code, 3);
    hf_record_free(record);
    hf_client_close(other);
    hf_client_close(client);
}

/* Given up before a mark: the next one takes over. Given up past a mark: UNKNOWN until resolved. */
static void test_abandoned_attempt_is_taken_over_or_unknown(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 10000, 10000);
    hf_record *record = begin(client, "auto", "r", HF_TAKEOVER_AUTO, HF_OK);
    must(hf_record_checkpoint(record, "half", 3, HF_MARK_NONE, "data", 4, NULL));
    uint64_t token = hf_record_look(record)->fencing_token;
    hf_record_free(record);
    record = begin(client, "auto", "r", HF_TAKEOVER_AUTO, HF_OK);
    const hf_record_view *view = hf_record_look(record);
    assert_int_equal(view->verdict, HF_TAKEOVER);
    assert_true(view->fencing_token > token);
    assert_int_equal(view->attempt, 2);
    assert_string_equal(view->checkpoint, "half");
    assert_int_equal(view->checkpoint_number, 3);
    assert_memory_equal(view->checkpoint_data, "data", 4);
    must(hf_record_complete(record, HF_DONE, NULL, NULL));
    hf_record_free(record);

    record = begin(client, "marked", "r", HF_TAKEOVER_AUTO, HF_OK);
    must(hf_record_checkpoint(record, "out", 1, HF_MARK_ONCE, NULL, 0, NULL));
    token = hf_record_look(record)->fencing_token;
    hf_record_free(record);
    (void)begin(client, "marked", "r", HF_TAKEOVER_AUTO, HF_ERECORDUNKNOWN);
    hf_result result = {.code = 1};
    assert_int_equal(hf_record_resolve(client, "marked", token + 1000, HF_DONE, &result, "asked",
                                       "me", NULL) == HF_OK,
                     0);
    must(hf_record_resolve(client, "marked", token, HF_DONE, &result, "asked", "me", NULL));
    record = begin(client, "marked", "r", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(record)->verdict, HF_REPLAY);
    hf_record_free(record);
    hf_client_close(client);
}

/* An attempt with a lease of its own lives on while its process does, and longer than the lease. */
static void test_own_lease_is_renewed_while_the_attempt_is_open(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 10000, 10000);
    hf_record *record = NULL;
    hf_begin how = {.lease_ms = 800};
    must(hf_record_begin(client, "own", &how, &record, NULL));
    for (int i = 0; i < 25; i++) {
        sleep_ms(100);
        assert_int_not_equal(hf_record_state(record), HF_GRANT_LOST);
    }
    assert_true(hf_record_valid(record, 1));
    must(hf_record_complete(record, HF_FAILED, NULL, NULL));
    hf_record_free(record);
    hf_client_close(client);
}

/* ------------------------------------------------------------------ without waiting */

struct told {
    sem_t sem;  /* posted */
    int status; /* with what */
};

static void on_end(int status, void *data)
{
    struct told *t = data;
    t->status = status;
    sem_post(&t->sem);
}

static int await(struct told *t, int begun)
{
    must(begun);
    assert_int_equal(sem_wait(&t->sem), 0);
    return t->status;
}

/* An attempt from begin to completion through callbacks; a BEGIN that is parked behind it ends when
 * it is cancelled, as its server says, and the attempt does not notice. */
static void test_attempt_is_run_and_parked_one_cancelled(void **state)
{
    (void)state;
    hf_client *client = open_client(proxy.port, 10000, 10000);
    hf_record *record = NULL;
    hf_record *parked = NULL;
    hf_begin how = {.lease_ms = 10000, .wait_ms = 60000};
    hf_fingerprint("r", 1, how.fingerprint);
    struct told t;
    struct told p;
    hf_call call;
    assert_int_equal(sem_init(&t.sem, 0, 0), 0);
    assert_int_equal(sem_init(&p.sem, 0, 0), 0);
    must(await(&t, hf_record_begin_async(client, "async", &how, &record, NULL, on_end, &t, NULL)));
    must(hf_record_begin_async(client, "async", &how, &parked, NULL, on_end, &p, &call));
    must(await(&t, hf_record_checkpoint_async(record, "out", 1, HF_MARK_NONE, "d", 1, NULL, on_end,
                                              &t, NULL)));
    must(hf_call_cancel(&call));
    assert_int_equal(sem_wait(&p.sem), 0);
    assert_int_equal(p.status, HF_ECANCELLED);
    assert_null(parked);
    must(await(&t, hf_record_extend_async(record, 20000, NULL, on_end, &t, NULL)));
    must(await(&t, hf_record_complete_async(record, HF_DONE, NULL, NULL, on_end, &t, NULL)));
    hf_record_free(record);
    record = begin(client, "async", "r", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(record)->verdict, HF_REPLAY);
    hf_record_free(record);

    /* A completion whose answer is cut off, cancelled: applied or not, its caller is told which. */
    record = begin(client, "async-2", "r", HF_TAKEOVER_AUTO, HF_OK);
    proxy_hold(&proxy, true);
    must(hf_record_complete_async(record, HF_DONE, NULL, NULL, on_end, &p, &call));
    must(hf_call_cancel(&call));
    proxy_hold(&proxy, false);
    assert_int_equal(sem_wait(&p.sem), 0);
    assert_true(p.status == HF_OK || p.status == HF_ECANCELLED);
    if (p.status == HF_ECANCELLED) must(hf_record_complete(record, HF_DONE, NULL, NULL));
    hf_record_free(record);
    hf_client_close(client);
    sem_destroy(&t.sem);
    sem_destroy(&p.sem);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_threads_of_one_client_exclude_each_other),
        CASE(test_cuts_and_kills_under_eight_threads),
        CASE(test_cut_acquire_brings_the_same_token),
        CASE(test_waiting_and_refusals),
        CASE(test_hold_max_is_kept_on_both_sides),
        CASE(test_paused_server_costs_the_grant_not_the_session),
        CASE(test_record_is_run_once_and_replayed),
        CASE(test_unanswered_completion_goes_on),
        CASE(test_abandoned_attempt_is_taken_over_or_unknown),
        CASE(test_own_lease_is_renewed_while_the_attempt_is_open),
        CASE(test_attempt_is_run_and_parked_one_cancelled),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
