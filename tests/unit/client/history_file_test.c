/* The history as a file: whole lines of all threads of a client, a header once, and a client that
 * never suffers when the file takes no more. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "client/history_file.h"
#include "client/include/holdfast.h"
#include "tests/unit/client/fake_server.h"
#include "tests/unit/cmocka_all.h"

enum { THREADS = 4, ROUNDS = 50, LINE_BYTES = 4096, LIMIT_BYTES = 6000 };

static struct fake_server *server;
static hf_client *client;
static char path[64];

static int open_client(hf_client **out)
{
    hf_options options;
    char servers[32];
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", fake_server_port(server));
    hf_options_init(&options);
    options.servers = servers;
    options.history_path = path;
    return hf_client_open(&options, out);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/holdfast-history-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    server = fake_server_start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_server_stop(server);
    unlink(path);
    return 0;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *lock_and_unlock(void *data)
{
    hf_lock *lock;
    hf_grant grant;
    uintptr_t failures = 0;
    if (hf_lock_new(data, &lock) != HF_OK) return (void *)1;
    for (int i = 0; i < ROUNDS; i++) {
        failures += hf_lock_acquire(lock, "a", 60000, &grant, NULL) != HF_OK;
        failures += hf_lock_release(lock, &grant, NULL) != HF_OK;
    }
    hf_lock_free(lock);
    return (void *)failures;
}

static void work(hf_client *by)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, lock_and_unlock, by), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failures = (void *)1;
        assert_int_equal(pthread_join(threads[i], &failures), 0);
        assert_null(failures);
    }
}

static uint64_t number_behind(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 10);
}

static unsigned count_lines(const char *what)
{
    char line[LINE_BYTES];
    unsigned count = 0;
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        assert_true(line[0] == '{' && strcmp(line + strlen(line) - 2, "}\n") == 0);
        count += strstr(line, what) != NULL;
    }
    assert_int_equal(fclose(file), 0);
    return count;
}

/* Each call of each thread is there once the client is closed, with times of CLOCK_MONOTONIC. */
static void test_every_call_of_every_thread_is_a_line(void **state)
{
    (void)state;
    char line[LINE_BYTES];
    uint64_t begin_ns = now_ns();
    assert_int_equal(open_client(&client), HF_OK);
    work(client);
    hf_client_close(client);
    uint64_t end_ns = now_ns();
    assert_int_equal(count_lines("\"type\":\"header\""), 1);
    assert_int_equal(count_lines("\"op\":\"acquire\""), THREADS * ROUNDS);
    assert_int_equal(count_lines("\"op\":\"release\""), THREADS * ROUNDS);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file)); /* the header */
    while (fgets(line, sizeof line, file) != NULL) {
        uint64_t call_ns = number_behind(line, "\"call\":");
        uint64_t ret_ns = number_behind(line, "\"ret\":");
        assert_true(begin_ns <= call_ns && call_ns <= ret_ns && ret_ns <= end_ns);
        assert_non_null(strstr(line, "\"outcome\":\"ok\""));
    }
    assert_int_equal(fclose(file), 0);
}

/* Two clients share a file: one header, and no line within another. */
static void test_clients_may_share_a_file(void **state)
{
    (void)state;
    hf_client *other;
    assert_int_equal(open_client(&client), HF_OK);
    assert_int_equal(open_client(&other), HF_OK);
    work(client);
    work(other);
    hf_client_close(client);
    hf_client_close(other);
    assert_int_equal(count_lines("\"type\":\"header\""), 1);
    assert_int_equal(count_lines("\"op\":\"acquire\""), 2 * THREADS * ROUNDS);
}

/* The file takes no more: every call goes on as if nothing was recorded. */
static void test_full_file_stops_the_recording_and_nothing_else(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = {LIMIT_BYTES, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(open_client(&client), HF_OK);
    work(client);
    hf_client_close(client);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    assert_int_equal(ftell(file), LIMIT_BYTES);
    assert_int_equal(fclose(file), 0);
}

/* Lines that found no room are told of in the file itself. */
static void test_gap_is_noted_in_the_file(void **state)
{
    (void)state;
    struct history_file *f;
    assert_int_equal(history_file_open(path, &f), HF_OK);
    char *large = calloc(1, HISTORY_BYTES_MAX + 1);
    assert_non_null(large);
    struct recorder_sink *sink = history_file_sink(f);
    sink->line_cb(sink->data, slice_of("{\"v\":2,\"type\":\"note\",\"note\":\"before\"}\n"));
    sink->line_cb(sink->data, slice_make(large, HISTORY_BYTES_MAX + 1));
    sink->line_cb(sink->data, slice_of("{\"v\":2,\"type\":\"note\",\"note\":\"behind\"}\n"));
    free(large);
    history_file_close(f, false);
    assert_int_equal(count_lines("before"), 1);
    assert_int_equal(count_lines("behind"), 0);
    assert_int_equal(count_lines("lines come faster than they are written"), 1);
}

/* A file that cannot be made is found out before anything is asked. */
static void test_file_that_cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    unlink(path);
    (void)snprintf(path, sizeof path, "/dev/null/history");
    client = NULL;
    assert_int_equal(open_client(&client), HF_EIO);
    (void)snprintf(path, sizeof path, "/dev/full");
    assert_int_equal(open_client(&client), HF_EIO);
    assert_null(client);
    path[0] = '\0';
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_every_call_of_every_thread_is_a_line),
        CASE(test_clients_may_share_a_file),
        CASE(test_full_file_stops_the_recording_and_nothing_else),
        CASE(test_gap_is_noted_in_the_file),
        CASE(test_file_that_cannot_be_opened_is_an_error),
    };
    return cmocka_run_group_tests_name("history file", tests, NULL, NULL);
}
