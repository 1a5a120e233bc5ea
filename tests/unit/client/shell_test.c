/* The public calls over real sockets, against a server in a thread of this test, through a proxy
 * that cuts: threads, time-outs, forks, pauses. Built under ThreadSanitizer this is where the
 * library's locking is looked at. */
#include "client/include/holdfast_metrics.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "tests/integration/proxy.h"
#include "tests/unit/client/fake_server.h"
#include "tests/unit/cmocka_all.h"

static struct fake_server *server;
static struct proxy proxy;
static hf_client *client;

static int setup(void **state)
{
    (void)state;
    server = fake_server_start();
    proxy_start(&proxy, fake_server_port(server));
    char servers[32];
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", proxy.port);
    hf_options options;
    hf_options_init(&options);
    options.servers = servers;
    options.timeout_ms = 20000;
    return hf_client_open(&options, &client);
}

static int teardown(void **state)
{
    (void)state;
    hf_client_close(client);
    proxy_stop(&proxy);
    fake_server_stop(server);
    return 0;
}

/* The whole way once. */
static void test_lock_is_acquired_and_released(void **state)
{
    (void)state;
    hf_lock *lock;
    hf_grant grant;
    assert_int_equal(hf_client_session(client), 0);
    assert_int_equal(hf_lock_new(client, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, NULL), HF_OK);
    assert_int_not_equal(hf_client_session(client), 0);
    assert_int_equal(hf_grant_state(&grant), HF_GRANT_HELD);
    assert_true(hf_grant_valid(&grant, 5000));
    assert_false(hf_grant_valid(&grant, 20000));
    assert_in_range(hf_grant_left_ms(&grant), 8000, 9900);
    hf_lock *other;
    hf_grant none;
    assert_int_equal(hf_lock_new(client, &other), HF_OK);
    assert_int_equal(hf_lock_acquire(other, "a", 0, &none, NULL), HF_EBUSY);
    assert_int_equal(hf_lock_release(other, &grant, NULL), HF_ENOTOWNER);
    assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_OK);
    assert_int_equal(hf_grant_state(&grant), HF_GRANT_ENDED);
    assert_false(hf_grant_valid(&grant, 0));
    assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_ENOTHELD);
    assert_int_equal(hf_lock_acquire(other, "a", 0, &none, NULL), HF_OK);
    hf_lock_free(other); /* releases in the background */
    assert_int_equal(hf_lock_acquire(lock, "a", 10000, &grant, NULL), HF_OK);
    hf_lock_free(lock);
}

/* What is out of its range is refused before anything is sent. */
static void test_arguments_are_checked(void **state)
{
    (void)state;
    hf_lock *lock;
    hf_grant grant;
    hf_client *none;
    char name[300];
    memset(name, 'x', sizeof name);
    name[299] = '\0';
    assert_int_equal(hf_lock_new(client, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "", 0, &grant, NULL), HF_EINVAL);
    assert_int_equal(hf_lock_acquire(lock, "\xff", 0, &grant, NULL), HF_EINVAL);
    assert_int_equal(hf_lock_acquire(lock, "a", 86400001, &grant, NULL), HF_EINVAL);
    assert_int_not_equal(hf_lock_acquire(lock, name, 0, &grant, NULL), HF_OK);
    assert_int_equal(hf_client_session(client), 0);
    hf_lock_free(lock);
    hf_options options;
    hf_options_init(&options);
    options.servers = "nonsense";
    assert_int_equal(hf_client_open(&options, &none), HF_EINVAL);
    hf_options_init(&options);
    options.ttl_ms = 499;
    assert_int_equal(hf_client_open(&options, &none), HF_EINVAL);
    hf_options_init(&options);
    options.timeout_ms = 0;
    assert_int_equal(hf_client_open(&options, &none), HF_EINVAL);
}

enum { THREADS = 8, ROUNDS = 200 };

static uint64_t counter; /* not atomic: the lock under test guards it */

static void *count_up(void *data)
{
    hf_lock *lock;
    (void)data;
    if (hf_lock_new(client, &lock) != HF_OK) return NULL;
    for (int i = 0; i < ROUNDS; i++) {
        hf_grant grant;
        if (hf_lock_acquire(lock, "counter", 60000, &grant, NULL) != HF_OK) break;
        if (hf_grant_valid(&grant, 0)) counter += 1;
        if (hf_lock_release(lock, &grant, NULL) != HF_OK) break;
    }
    hf_lock_free(lock);
    return NULL;
}

/* Eight threads share one client and one counter. */
static void test_threads_of_one_client_exclude_each_other(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    counter = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(counter, THREADS * ROUNDS);
}

/* The numbers are those of one moment, also while eight threads change them, and tell the truth. */
static void test_metrics_are_of_one_moment(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    hf_metrics m;
    counter = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    do {
        uint64_t trips = 0;
        assert_int_equal(hf_client_metrics(client, &m), HF_OK);
        for (int i = 0; i < HF_METRICS_BUCKETS; i++) trips += m.trip_buckets[i];
        assert_int_equal(trips, m.trips);
        assert_true(m.calls_ok + m.calls_under_way <= m.requests_sent + THREADS);
        assert_true(m.grants <=
                    1 + THREADS); /* one held; others granted, their answers read late */
    } while (m.calls_ok < (uint64_t)THREADS * ROUNDS);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(hf_client_metrics(client, &m), HF_OK);
    assert_int_equal(m.calls_ok, 2 * THREADS * ROUNDS);
    assert_int_equal(m.trips, THREADS * ROUNDS); /* the releases */
    assert_int_equal(m.grants, 0);
    assert_int_equal(m.session, hf_client_session(client));
    assert_int_equal(m.breaker, HF_BREAKER_CLOSED);
    assert_true(m.bytes_received > 0 && m.trip_us_sum >= m.trip_us_max);
    assert_int_equal(hf_client_metrics(client, NULL), HF_EINVAL);
}

/* The same while the connection is cut at random bytes: every request still happens once. */
static void test_cut_connections_lose_and_repeat_nothing(void **state)
{
    (void)state;
    struct prng prng;
    pthread_t threads[THREADS];
    prng_seed(&prng, 11);
    counter = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    for (int i = 0; i < 40; i++) {
        proxy_cut_after(&proxy, (int64_t)prng_below(&prng, 3000), (int64_t)prng_below(&prng, 3000));
        usleep(20000);
    }
    proxy_cut_after(&proxy, -1, -1);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_true(proxy_cuts(&proxy) > 0);
}

/* The reply is lost, the caller retries under the same number: the token that the server gave. */
static void test_retry_brings_the_same_token(void **state)
{
    (void)state;
    hf_lock *lock;
    hf_grant grant;
    assert_int_equal(hf_lock_new(client, &lock), HF_OK);
    uint64_t last = 0;
    for (int i = 0; i < 100; i++) {
        proxy_cut_after(&proxy, -1, i % 30);
        assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, NULL), HF_OK);
        assert_int_equal(grant.fencing_token, last + 1); /* one grant a request, none lost */
        last = grant.fencing_token;
        assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_OK);
    }
    hf_lock_free(lock);
}

/* No answer in time: EUNKNOWN with an hf_request, whose retry brings what the call would have. */
static void test_unknown_outcome_is_retried_and_cancelled(void **state)
{
    (void)state;
    hf_client *quick;
    hf_options options;
    char servers[32];
    hf_lock *lock;
    hf_grant grant = {0};
    hf_request request = {0};
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", proxy.port);
    hf_options_init(&options);
    options.servers = servers;
    options.timeout_ms = 300;
    assert_int_equal(hf_client_open(&options, &quick), HF_OK);
    assert_int_equal(hf_lock_new(quick, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "warm", 0, &grant, NULL), HF_OK);
    proxy_hold(&proxy, true);
    assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, &request), HF_EUNKNOWN);
    assert_int_equal(hf_request_retry(&request), HF_EUNKNOWN);
    proxy_hold(&proxy, false);
    int rv = HF_EUNKNOWN;
    for (int i = 0; i < 20 && rv == HF_EUNKNOWN; i++) rv = hf_request_retry(&request);
    assert_int_equal(rv, HF_OK);
    assert_true(hf_grant_valid(&grant, 100));
    assert_int_equal(hf_request_retry(&request), HF_EINVAL); /* it is over */
    assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_OK);

    proxy_hold(&proxy, true);
    request = (hf_request){0};
    assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, &request), HF_EUNKNOWN);
    proxy_hold(&proxy, false);
    assert_int_equal(hf_request_cancel(&request), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "a", 1000, &grant, NULL), HF_OK); /* no ghost */

    proxy_hold(&proxy, true);
    assert_int_equal(hf_lock_acquire(lock, "b", 0, &grant, NULL), HF_ETIMEOUT);
    proxy_hold(&proxy, false);
    rv = HF_ETIMEOUT;
    for (int i = 0; i < 20 && rv != HF_OK; i++) rv = hf_lock_acquire(lock, "b", 1000, &grant, NULL);
    assert_int_equal(rv, HF_OK); /* nor here */
    hf_lock_free(lock);
    hf_client_close(quick);
}

/* Nobody listens: the time-out, and the reason. */
static void test_absent_server_is_a_connect_error(void **state)
{
    (void)state;
    hf_client *lonely;
    hf_options options;
    hf_lock *lock;
    hf_grant grant;
    hf_options_init(&options);
    options.servers = "127.0.0.1:1,localhost:1";
    options.timeout_ms = 500;
    assert_int_equal(hf_client_open(&options, &lonely), HF_OK);
    assert_int_equal(hf_lock_new(lonely, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, NULL), HF_ECONNECT);
    hf_lock_free(lock);
    hf_client_close(lonely);
}

static _Atomic int losses;

static void on_loss(hf_client *c, const hf_loss *loss, void *data)
{
    (void)c;
    (void)data;
    if (loss->declared_locally) losses += 1;
}

/* The network falls silent: the grant is lost in time, told once, and never valid again. */
static void test_grant_is_lost_without_network(void **state)
{
    (void)state;
    hf_client *quick;
    hf_options options;
    char servers[32];
    hf_lock *lock;
    hf_grant grant;
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", proxy.port);
    hf_options_init(&options);
    options.servers = servers;
    options.ttl_ms = 1000;
    options.timeout_ms = 1000;
    options.lost_cb = on_loss;
    losses = 0;
    assert_int_equal(hf_client_open(&options, &quick), HF_OK);
    assert_int_equal(hf_lock_new(quick, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, NULL), HF_OK);
    usleep(1500000);
    assert_true(hf_grant_valid(&grant, 1)); /* renewed meanwhile */
    proxy_hold(&proxy, true);
    usleep(1200000);
    assert_false(hf_grant_valid(&grant, 0));
    assert_int_equal(hf_grant_state(&grant), HF_GRANT_LOST);
    usleep(200000);
    assert_int_equal(losses, 1);
    assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_ELOST);
    proxy_hold(&proxy, false);
    hf_grant again;
    int rv = HF_ETIMEOUT;
    for (int i = 0; i < 20 && rv != HF_OK; i++) rv = hf_lock_acquire(lock, "a", 1000, &again, NULL);
    assert_int_equal(rv, HF_OK); /* it was given back */
    assert_true(again.fencing_token > grant.fencing_token);
    hf_lock_free(lock);
    hf_client_close(quick);
}

/* An application that says nothing of its progress loses its grant, though the server would renew;
 * when it says so again it works as before. */
static void test_grant_of_a_hanging_application_is_lost(void **state)
{
    (void)state;
    hf_client *hanging;
    hf_options options;
    char servers[32];
    hf_lock *lock;
    hf_grant grant;
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", proxy.port);
    hf_options_init(&options);
    options.servers = servers;
    options.ttl_ms = 1000;
    options.progress_ms = 86400001;
    assert_int_equal(hf_client_open(&options, &hanging), HF_EINVAL);
    options.progress_ms = 300;
    assert_int_equal(hf_client_open(&options, &hanging), HF_OK);
    assert_int_equal(hf_lock_new(hanging, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, NULL), HF_OK);
    for (int i = 0; i < 1000 && hf_grant_state(&grant) != HF_GRANT_LOST; i++) usleep(10000);
    assert_int_equal(hf_grant_state(&grant), HF_GRANT_LOST);
    hf_client_progress(hanging);
    assert_int_equal(hf_lock_acquire(lock, "a", 10000, &grant, NULL),
                     HF_OK); /* it was given back */
    hf_lock_free(lock);
    hf_client_close(hanging);
}

/* A child has no session: its copies answer HF_ECLOSED, and freeing them is harmless. */
static void test_child_of_a_fork_is_refused(void **state)
{
    (void)state;
    hf_lock *lock;
    hf_grant grant;
    assert_int_equal(hf_lock_new(client, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, NULL), HF_OK);
    pid_t pid = fork();
    if (pid == 0) {
        hf_grant other;
        int ok = hf_lock_acquire(lock, "b", 0, &other, NULL) == HF_ECLOSED;
        ok = ok && !hf_grant_valid(&grant, 0);
        ok = ok && hf_lock_release(lock, &grant, NULL) == HF_ECLOSED;
        hf_metrics metrics;
        ok = ok && hf_client_session(client) == 0;
        ok = ok && hf_client_metrics(client, &metrics) == HF_ECLOSED;
        hf_lock_free(lock);
        hf_client_close(client);
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(hf_grant_valid(&grant, 0)); /* the parent goes on */
    assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_OK);
    hf_lock_free(lock);
}

/* The program again, in a process of its own: takes a lock, stops itself, and reports whether it
 * finds the grant valid when it goes on. */
static int run_stopped(const char *servers)
{
    hf_client *mine;
    hf_options options;
    hf_lock *lock;
    hf_grant grant;
    hf_options_init(&options);
    options.servers = servers;
    options.ttl_ms = 1000;
    if (hf_client_open(&options, &mine) != HF_OK) return 2;
    if (hf_lock_new(mine, &lock) != HF_OK) return 2;
    if (hf_lock_acquire(lock, "stopped", 0, &grant, NULL) != HF_OK) return 2;
    if (!hf_grant_valid(&grant, 0)) return 2;
    (void)raise(SIGSTOP);
    return hf_grant_valid(&grant, 0); /* whether or not the I/O thread had a chance before */
}

/* Stopped past the lease: the first thing that the process can ask says no. */
static void test_stopped_process_finds_its_grant_invalid(void **state)
{
    (void)state;
    char servers[32];
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", fake_server_port(server));
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/proc/self/exe", "shell_test", "stopped", servers, (char *)NULL);
        _exit(3);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    usleep(1500000);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int count_lock(const hf_lock_line *line, void *data)
{
    assert_string_equal(line->name, FAKE_LINE);
    *(int *)data += 1;
    return 0;
}

static int count_record(const hf_record_line *line, void *data)
{
    assert_string_equal(line->key, FAKE_LINE);
    *(int *)data += 1;
    return 0;
}

/* A list goes on behind an empty page, as its cursor is not empty, and ends at one that does not
 * rise, which would be read for ever. */
static void test_lists_go_on_behind_an_empty_page(void **state)
{
    (void)state;
    int locks = 0;
    int records = 0;
    assert_int_equal(hf_lock_list(client, "", count_lock, &locks), HF_OK);
    assert_int_equal(hf_record_list(client, "", "UNKNOWN", 0, count_record, &records), HF_OK);
    assert_int_equal(locks, 1);
    assert_int_equal(records, 1);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "stopped") == 0) return run_stopped(argv[2]);
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_lock_is_acquired_and_released),
        CASE(test_arguments_are_checked),
        CASE(test_threads_of_one_client_exclude_each_other),
        CASE(test_metrics_are_of_one_moment),
        CASE(test_cut_connections_lose_and_repeat_nothing),
        CASE(test_retry_brings_the_same_token),
        CASE(test_unknown_outcome_is_retried_and_cancelled),
        CASE(test_absent_server_is_a_connect_error),
        CASE(test_grant_is_lost_without_network),
        CASE(test_grant_of_a_hanging_application_is_lost),
        CASE(test_child_of_a_fork_is_refused),
        CASE(test_stopped_process_finds_its_grant_invalid),
        CASE(test_lists_go_on_behind_an_empty_page),
    };
    return cmocka_run_group_tests_name("shell", tests, NULL, NULL);
}
