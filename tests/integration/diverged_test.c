/* A server whose state is not the others': it is found by what a majority has, stops before long,
 * and does not come back; the others go on. */
#include <holdfast.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/status.h"
#include "machine/rows.h"
#include "storage/store_lmdb.h"
#include "tests/integration/cluster_process.h"
#include "tests/unit/cmocka_all.h"

enum { CYCLES = 400, TIMEOUT_MS = 20000, MAP_GIB = 64, STOP_MS_MAX = 20000 };

static struct cluster_process cluster;

/* Acquire and release: two entries each, more than lie between two states that are compared. */
static void run_cycles(void)
{
    hf_client *client;
    hf_lock *lock;
    hf_options options;
    hf_options_init(&options);
    options.servers = cluster.addresses;
    options.ttl_ms = 60000;
    options.timeout_ms = TIMEOUT_MS;
    assert_int_equal(hf_client_open(&options, &client), HF_OK);
    assert_int_equal(hf_lock_new(client, &lock), HF_OK);
    for (int i = 0; i < CYCLES; i++) {
        hf_grant grant;
        assert_int_equal(hf_lock_acquire(lock, "one", 0, &grant, NULL), HF_OK);
        assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_OK);
    }
    hf_lock_free(lock);
    hf_client_close(client);
}

/* A row that no entry has written, as a flipped bit or a defect would leave one. */
static void alter_state(const struct server_process *s)
{
    char path[128], configuration[4096];
    struct store_lmdb_options options = {.map_bytes = (uint64_t)MAP_GIB << 30};
    struct store *store = NULL;
    struct row_key key = row_key_u64(999);
    uint8_t value[8] = {1};
    snprintf(path, sizeof path, "%s/data/store", s->folder);
    assert_int_equal(store_lmdb_open(path, &options, &store), HF_OK);
    struct store_mark mark = *store_mark(store);
    assert_true(mark.configuration.size <= sizeof configuration);
    memcpy(configuration, mark.configuration.data, mark.configuration.size);
    mark.configuration.data = (const uint8_t *)configuration;
    struct slice row = slice_make(value, sizeof value);
    assert_int_equal(store_put(store, TABLE_MEMBERS, row_key_slice(&key), row), HF_OK);
    assert_int_equal(store_checkpoint(store, &mark), HF_OK);
    assert_int_equal(store_flush_run(store), HF_OK);
    assert_int_equal(store_flush_done(store), HF_OK);
    store_close(store);
}

static int await_end(struct server_process *s)
{
    int status = 0;
    for (uint64_t until = now_ms() + STOP_MS_MAX; now_ms() < until; sleep_ms(20)) {
        if (waitpid(s->pid, &status, WNOHANG) != s->pid) continue;
        s->pid = 0;
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
    }
    fail_msg("a server with another state than the others' goes on");
    return -1;
}

static void test_server_with_another_state_stops_for_good(void **state)
{
    (void)state;
    char said[1024];
    struct server_process *s = &cluster.servers[1];
    run_cycles();
    assert_true(cluster_process_stop(&cluster));
    alter_state(s);
    assert_true(cluster_process_start(&cluster));
    run_cycles();
    assert_int_equal(await_end(s), 74);
    server_process_last_line(s, said, sizeof said);
    assert_non_null(strstr(said, "status=DIVERGED"));

    s->quiet = true;
    assert_false(server_process_start(s));
    assert_true(WIFEXITED(s->ended));
    assert_int_equal(WEXITSTATUS(s->ended), 65);
    server_process_last_line(s, said, sizeof said);
    assert_non_null(strstr(said, "was not the majority's"));
    run_cycles();
    assert_true(cluster_process_agree(&cluster));
}

static int setup(void **state)
{
    (void)state;
    cluster_process_init(&cluster, CLUSTER_PROCESSES);
    return cluster_process_start(&cluster) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    cluster_process_close(&cluster, false);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_server_with_another_state_stops_for_good, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("diverged", tests, NULL, NULL);
}
