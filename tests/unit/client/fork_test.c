/* Forks while the library works: the child's copies are refused and can be freed, at whatever
 * moment the fork came; the parent's session does not notice; the child may open a client of its
 * own. */
#include "client/include/holdfast_async.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/client/fake_server.h"
#include "tests/unit/cmocka_all.h"

static struct fake_server *server;
static hf_client *client;

static hf_client *open_client(void)
{
    char servers[32];
    hf_options options;
    hf_client *opened = NULL;
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", fake_server_port(server));
    hf_options_init(&options);
    options.servers = servers;
    options.timeout_ms = 20000;
    return hf_client_open(&options, &opened) == HF_OK ? opened : NULL;
}

static int setup(void **state)
{
    (void)state;
    server = fake_server_start();
    client = open_client();
    return client != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    hf_client_close(client);
    fake_server_stop(server);
    return 0;
}

static int count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    while (dir != NULL && readdir(dir) != NULL) count += 1;
    if (dir != NULL) (void)closedir(dir);
    return count;
}

static void ignore(int status, void *data)
{
    (void)status;
    (void)data;
}

static int show_nothing(const hf_lock_line *line, void *data)
{
    (void)line;
    (void)data;
    return 0;
}

static int show_no_record(const hf_record_line *line, void *data)
{
    (void)line;
    (void)data;
    return 0;
}

/* \return how many calls of a child's copies were not refused as they should be. */
static int call_everything(hf_lock *lock, hf_grant *grant)
{
    const hf_begin how = {.wait_ms = 60000};
    hf_acquire plain = {.wait_ms = 60000};
    hf_request request = {client, 1};
    hf_call call = {client, 1};
    hf_record *record = NULL;
    hf_lock *none;
    hf_grant other;
    int verdict;
    const int refused[] = {
        hf_lock_new(client, &none),
        hf_lock_acquire(lock, "b", 60000, &other, NULL),
        hf_lock_acquire_with(lock, "b", &plain, &other, &request),
        hf_lock_acquire_async(lock, "b", 60000, &other, NULL, ignore, NULL, &call),
        hf_lock_release(lock, grant, NULL),
        hf_lock_check(client, "a", 1, &verdict, NULL),
        hf_lock_list(client, "", show_nothing, NULL),
        hf_lock_list_async(client, "", show_nothing, NULL, ignore, NULL, &call),
        hf_lock_info(client, "a", show_nothing, NULL),
        hf_record_begin(client, "k", &how, &record, NULL),
        hf_record_list(client, "", "", 0, show_no_record, NULL),
        hf_record_resolve(client, "k", 1, HF_DONE, NULL, NULL, "me", NULL),
        hf_request_retry(&request),
        hf_request_cancel(&request),
        hf_call_cancel(&call),
        hf_client_cancel(client),
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        wrong += refused[i] != HF_ECLOSED;
    wrong += hf_grant_valid(grant, 0) != 0;
    wrong += hf_grant_state(grant) != HF_GRANT_ENDED;
    wrong += hf_client_session(client) != 0;
    hf_client_progress(client);
    return wrong;
}

static int run_child(hf_lock *lock, hf_grant *grant)
{
    hf_grant mine;
    int wrong = call_everything(lock, grant);
    int before = count_descriptors();
    hf_lock_free(lock);
    hf_client_close(client);
    wrong += count_descriptors() > before - 3; /* socket, timer, epoll */
#ifdef __SANITIZE_THREAD__
    return wrong; /* it knows no threads that a child of threads starts */
#endif
    client = open_client();
    if (client == NULL || hf_lock_new(client, &lock) != HF_OK) return 100;
    wrong += hf_lock_acquire(lock, "child", 0, &mine, NULL) != HF_OK;
    wrong += !hf_grant_valid(&mine, 0);
    hf_lock_free(lock);
    hf_client_close(client);
    return wrong;
}

static void expect_child(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Everything that a child may call, and a client of its own; then the parent goes on. */
static void test_child_is_refused_and_opens_its_own(void **state)
{
    (void)state;
    hf_lock *lock;
    hf_grant grant;
    assert_int_equal(hf_lock_new(client, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, NULL), HF_OK);
    uint64_t session = hf_client_session(client);
    pid_t pid = fork();
    if (pid == 0) _exit(run_child(lock, &grant));
    expect_child(pid);
    assert_true(hf_grant_valid(&grant, 0));
    assert_int_equal(hf_client_session(client), session);
    assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_OK);
    hf_lock_free(lock);
}

enum { THREADS = 4, FORKS = 30 };

static atomic_bool stop;
static _Atomic int failures;

static void *work(void *data)
{
    hf_lock *lock;
    if (hf_lock_new(client, &lock) != HF_OK) return NULL;
    while (!stop) {
        hf_grant grant;
        if (hf_lock_acquire(lock, data, 60000, &grant, NULL) != HF_OK ||
            hf_lock_release(lock, &grant, NULL) != HF_OK)
            failures += 1;
    }
    hf_lock_free(lock);
    return NULL;
}

/* Forked in the midst of four threads' calls, whoever holds the client's lock then: nothing in the
 * child waits for it, and the parent's calls all succeed. */
static void test_fork_may_come_at_any_moment(void **state)
{
    (void)state;
    static char names[THREADS][2] = {"1", "2", "3", "4"};
    pthread_t threads[THREADS];
    hf_lock *lock;
    hf_grant grant;
    stop = false;
    failures = 0;
    assert_int_equal(hf_lock_new(client, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, NULL), HF_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, names[i]), 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            int wrong = call_everything(lock, &grant);
            hf_lock_free(lock);
            hf_client_close(client);
            _exit(wrong);
        }
        expect_child(pid);
        usleep(1000);
    }
    stop = true;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
    assert_true(hf_grant_valid(&grant, 0));
    hf_lock_free(lock);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_child_is_refused_and_opens_its_own),
        CASE(test_fork_may_come_at_any_moment),
    };
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
