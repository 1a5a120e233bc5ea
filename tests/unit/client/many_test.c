/* What the library refuses of several names, permits and changes of mode before it sends anything,
 * and what it sends: over a real socket, against a server in a thread of this test. */
#include "client/include/holdfast_lock.h"

#include <semaphore.h>
#include <stdio.h>

#include "tests/unit/client/fake_server.h"
#include "tests/unit/cmocka_all.h"

static struct fake_server *server;
static hf_client *client;
static hf_lock *lock;
static hf_lock *other;

static int setup(void **state)
{
    (void)state;
    char servers[32];
    hf_options options;
    server = fake_server_start();
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", fake_server_port(server));
    hf_options_init(&options);
    options.servers = servers;
    options.timeout_ms = 20000;
    if (hf_client_open(&options, &client) != HF_OK) return -1;
    return hf_lock_new(client, &lock) == HF_OK && hf_lock_new(client, &other) == HF_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    hf_lock_free(lock);
    hf_lock_free(other);
    hf_client_close(client);
    fake_server_stop(server);
    return 0;
}

static int many(const char *const *names, size_t count, const hf_acquire *how)
{
    hf_grant grant = {0};
    int rv = hf_lock_acquire_many(lock, names, count, how, &grant, NULL);
    if (rv == HF_OK) assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_OK);
    return rv;
}

/* Nothing of it is sent: no session is ever opened. */
static void test_names_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const char *const twice[] = {"b", "a", "b"};
    static const char *const empty[] = {"a", ""};
    static const char *const missing[] = {"a", NULL};
    const char *lots[HF_NAMES_MAX + 1];
    char texts[HF_NAMES_MAX + 1][8];
    hf_grant grant;
    for (int i = 0; i <= HF_NAMES_MAX; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%d", i);
        lots[i] = texts[i];
    }
    assert_int_equal(many(twice, 3, NULL), HF_EINVAL);
    assert_int_equal(many(empty, 2, NULL), HF_EINVAL);
    assert_int_equal(many(missing, 2, NULL), HF_EINVAL);
    assert_int_equal(many(lots, 0, NULL), HF_EINVAL);
    assert_int_equal(many(lots, HF_NAMES_MAX + 1, NULL), HF_EINVAL);
    assert_int_equal(many(NULL, 1, NULL), HF_EINVAL);
    assert_int_equal(hf_lock_acquire_many(NULL, lots, 1, NULL, &grant, NULL), HF_EINVAL);
    assert_int_equal(hf_lock_acquire_many(lock, lots, 1, NULL, NULL, NULL), HF_EINVAL);
    assert_int_equal(hf_client_session(client), 0);
    assert_int_equal(many(lots, HF_NAMES_MAX, NULL), HF_OK);
}

static void test_modes_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const hf_acquire refused[] = {
        {.mode = HF_PERMITS},                                 /* of how many? */
        {.mode = HF_PERMITS, .permits = 4, .limit = 3},       /* more than there are */
        {.mode = HF_PERMITS, .permits = 1, .limit = 1000001}, /* more than there may be */
        {.mode = HF_EXCLUSIVE, .limit = 3},                   /* counts nothing */
        {.mode = HF_SHARED, .permits = 1},                    /* likewise */
        {.mode = 3},
        {.mode = -1},
    };
    static const hf_acquire taken[] = {
        {.mode = HF_PERMITS, .limit = 1}, /* one of one */
        {.mode = HF_PERMITS, .permits = 1000000, .limit = 1000000},
        {.mode = HF_SHARED},
        {0},
    };
    static const char *const name[] = {"a"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(many(name, 1, &refused[i]), HF_EINVAL);
    assert_int_equal(hf_client_session(client), 0);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        assert_int_equal(many(name, 1, &taken[i]), HF_OK);
}

/* The server locks the first name that it reads: by bytes, the shorter one first. */
static void test_names_are_sent_in_order(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "aa", "c", "a"};
    hf_grant all;
    hf_grant grant;
    assert_int_equal(hf_lock_acquire_many(lock, names, 4, NULL, &all, NULL), HF_OK);
    assert_int_equal(hf_lock_acquire(other, "a", 0, &grant, NULL), HF_EBUSY);
    assert_int_equal(hf_lock_acquire(other, "aa", 0, &grant, NULL), HF_OK);
}

struct end {
    sem_t told; /* posted when it has ended */
    int status; /* how */
};

static void on_end(int status, void *data)
{
    struct end *e = data;
    e->status = status;
    (void)sem_post(&e->told);
}

/* What a handle does not hold it cannot change; what the server knows nothing of is told. */
static void test_change_wants_a_grant_of_this_handle(void **state)
{
    (void)state;
    struct end end = {.status = 1};
    hf_grant grant;
    assert_int_equal(sem_init(&end.told, 0, 0), 0);
    assert_int_equal(hf_lock_acquire(lock, "a", 0, &grant, NULL), HF_OK);
    assert_int_equal(hf_lock_downgrade(other, &grant, NULL), HF_ENOTOWNER);
    assert_int_equal(hf_lock_upgrade(other, &grant, NULL), HF_ENOTOWNER);
    assert_int_equal(hf_lock_downgrade(NULL, &grant, NULL), HF_EINVAL);
    assert_int_equal(hf_lock_upgrade(lock, NULL, NULL), HF_EINVAL);
    assert_int_equal(hf_lock_upgrade_async(lock, &grant, NULL, NULL, NULL, NULL), HF_EINVAL);
    assert_int_equal(hf_lock_upgrade_async(lock, &grant, NULL, on_end, &end, NULL), HF_OK);
    assert_int_equal(sem_wait(&end.told), 0);
    assert_int_equal(end.status, HF_ENOTFOUND); /* so it answers all that it does not know */
    assert_true(hf_grant_valid(&grant, 0));
    assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_OK);
    assert_int_equal(hf_lock_downgrade(lock, &grant, NULL), HF_ENOTHELD);
    (void)sem_destroy(&end.told);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(names_that_make_no_sense_are_refused),
        CASE(modes_that_make_no_sense_are_refused),
        CASE(names_are_sent_in_order),
        CASE(change_wants_a_grant_of_this_handle),
    };
    return cmocka_run_group_tests_name("many", tests, NULL, NULL);
}
