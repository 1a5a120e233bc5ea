/* The library against a real holdfastd: what administrators see and do. */
#include "client/include/holdfast_admin.h"

#include <unistd.h>

#include "tests/integration/client_fixture.h"

struct seen {
    int count;        /* settings shown */
    uint64_t value;   /* of the last one */
    uint64_t changes; /* likewise */
};

static int note_setting(const hf_setting *setting, void *data)
{
    struct seen *seen = data;
    assert_true(setting->min <= setting->value && setting->value <= setting->max);
    assert_true(setting->about[0] != '\0');
    seen->count += 1;
    seen->value = setting->value;
    seen->changes = setting->changes;
    return 0;
}

static void note_done(int status, void *data)
{
    _Atomic int *done = data;
    *done = status;
}

static int wait_for(const _Atomic int *done)
{
    while (*done == 1) {
        struct timespec pause = {.tv_nsec = 1000000};
        nanosleep(&pause, NULL);
    }
    return *done;
}

/* A setting is read, set, and guarded against a change that was not seen; with the twins, too. */
static void test_settings_are_read_and_set(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 10000, 10000);
    struct seen seen = {0};
    must(hf_config_get(client, "", note_setting, &seen));
    assert_true(seen.count >= 3);
    assert_int_equal(hf_config_get(client, "no such", note_setting, &seen), HF_EBADREQUEST);
    must(hf_config_get(client, "tombstone_factor", note_setting, &seen));
    assert_int_equal(seen.value, 10);
    const uint64_t was = 10;
    must(hf_config_set(client, "tombstone_factor", 12, &was, "a drill", "ann", NULL));
    assert_int_equal(hf_config_set(client, "tombstone_factor", 13, &was, "a drill", "bob", NULL),
                     HF_ECHANGED);
    assert_int_equal(hf_config_set(client, "tombstone_factor", 0, NULL, "a drill", "bob", NULL),
                     HF_EBADREQUEST);
    assert_int_equal(hf_config_set(client, "tombstone_factor", 13, NULL, "", "bob", NULL),
                     HF_EINVAL);

    _Atomic int done = 1;
    must(hf_config_set_async(client, "tombstone_factor", 14, NULL, "a drill", "ann", NULL,
                             note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    done = 1;
    must(hf_config_get_async(client, "tombstone_factor", note_setting, &seen, note_done,
                             (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    assert_int_equal(seen.value, 14);
    assert_int_equal(seen.changes, 2);
    hf_client_close(client);
}

struct acts {
    int count;       /* shown */
    uint64_t number; /* of the last one */
    int stop_at;     /* end the list at this one; 0 = never */
};

static int note_act(const hf_act *act, void *data)
{
    struct acts *acts = data;
    assert_string_equal(act->act, "CONFIG_SET");
    assert_string_equal(act->operator_name, "ann");
    assert_string_equal(act->reason, "a drill");
    assert_int_equal(act->number, acts->number + 1);
    acts->number = act->number;
    acts->count += 1;
    return acts->count == acts->stop_at;
}

/* Acts are listed over several pages, from a number on, and by the twin. */
static void test_acts_are_listed(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 10000, 10000);
    for (uint64_t i = 0; i < 450; i++)
        must(hf_config_set(client, "tombstone_factor", 10 + i % 50, NULL, "a drill", "ann", NULL));
    struct acts acts = {0};
    must(hf_audit_list(client, 0, note_act, &acts));
    assert_int_equal(acts.count, 450);
    acts = (struct acts){.number = 440, .stop_at = 3};
    must(hf_audit_list(client, 440, note_act, &acts));
    assert_int_equal(acts.count, 3);
    acts = (struct acts){.number = 40};
    _Atomic int done = 1;
    must(hf_audit_list_async(client, 40, note_act, &acts, note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    assert_int_equal(acts.number, 450);
    hf_client_close(client);
}

static int note_frozen(const hf_frozen *frozen, void *data)
{
    int *count = data;
    assert_string_equal(frozen->prefix, "pay/");
    assert_string_equal(frozen->reason, "a drill");
    *count += 1;
    return 0;
}

/* Frozen, a waiter waits on though the lock is free; the thaw serves it. The twins do the same. */
static void test_a_prefix_is_frozen_and_thawed(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 10000, 10000);
    hf_lock *holder;
    hf_lock *waiter;
    hf_grant grant;
    hf_grant later;
    int count = 0;
    must(hf_lock_new(client, &holder));
    must(hf_lock_new(client, &waiter));
    must(hf_lock_acquire(holder, "pay/1", 0, &grant, NULL));
    _Atomic int acquired = 1;
    must(hf_lock_acquire_async(waiter, "pay/1", 10000, &later, NULL, note_done, (void *)&acquired,
                               NULL));
    _Atomic int done = 1;
    must(hf_freeze_async(client, "pay/", "a drill", "ann", NULL, note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    must(hf_freeze(client, "pay/", "once more", "bob", NULL));
    must(hf_lock_release(holder, &grant, NULL));
    assert_int_equal(hf_lock_acquire(holder, "pay/2", 0, &grant, NULL), HF_EFROZEN);
    must(hf_frozen_list(client, note_frozen, &count));
    done = 1;
    must(hf_frozen_list_async(client, note_frozen, &count, note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    assert_int_equal(count, 2);
    assert_int_equal(acquired, 1);
    must(hf_thaw(client, "pay/", "over", "ann", NULL));
    assert_int_equal(wait_for(&acquired), HF_OK);
    done = 1;
    must(hf_thaw_async(client, "pay/", "over", "ann", NULL, note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_ENOTFOUND);
    hf_lock_free(holder);
    hf_lock_free(waiter);
    hf_client_close(client);
}

/* The holder hears of it by its lost_cb, which frees the lock long before its lease is over. */
static void test_a_forced_holder_is_told_and_the_lock_goes_on(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 3600000, 10000);
    hf_client *admin = open_client(server.port, 10000, 10000);
    hf_lock *holder;
    hf_lock *next;
    hf_grant grant;
    hf_grant later;
    losses = 0;
    must(hf_lock_new(client, &holder));
    must(hf_lock_new(admin, &next));
    must(hf_lock_acquire(holder, "f/1", 0, &grant, NULL));
    assert_int_equal(hf_force(admin, "f/1", grant.fencing_token, 0, "brief", "ann", NULL),
                     HF_EINVAL);
    assert_int_equal(
        hf_force(admin, "f/2", grant.fencing_token, 0, "it hangs, says bob", "ann", NULL),
        HF_ESTALE);
    _Atomic int done = 1;
    must(hf_force_async(admin, "f/1", grant.fencing_token, 1, "it hangs, says bob", "ann", NULL,
                        note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    must(hf_lock_acquire(next, "f/1", 0, &later, NULL));
    assert_true(later.fencing_token > grant.fencing_token);
    assert_int_equal(hf_lock_release(holder, &grant, NULL), HF_ENOTHELD);
    must(hf_force(admin, "f/1", later.fencing_token, 0, "it hangs, says bob", "ann", NULL));
    /* The administrator's own session renews every third of 10 s: it hears of it, and then the
     * other one gets the lock. */
    must(hf_lock_acquire(holder, "f/1", 60000, &grant, NULL));
    assert_int_equal(hf_grant_state(&later), HF_GRANT_LOST);
    hf_lock_free(holder);
    hf_lock_free(next);
    hf_client_close(admin);
    hf_client_close(client);
}

static _Atomic uint64_t asked_token;
static _Atomic uint64_t asked_left_ms;
static _Atomic int asked_count;

static void hear_asked(hf_client *client, const hf_asked *asked, void *data)
{
    assert_non_null(client);
    assert_ptr_equal(data, &asked_count);
    asked_token = asked->fencing_token;
    asked_left_ms = asked->left_ms;
    asked_count += 1;
}

/* A client that listens for what is asked back. */
static hf_client *open_listener(uint64_t ttl_ms)
{
    hf_client *client;
    hf_options options;
    char servers[32];
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", server.port);
    hf_options_init(&options);
    options.servers = servers;
    options.ttl_ms = ttl_ms;
    options.lost_cb = count_loss;
    options.asked_cb = hear_asked;
    options.asked_data = (void *)&asked_count;
    must(hf_client_open(&options, &client));
    return client;
}

/* Its holder is told once, by a renewal, and gives it back; what is not given back goes by force.
 */
static void test_a_grant_is_asked_back(void **state)
{
    (void)state;
    hf_client *client = open_listener(6000);
    hf_client *admin = open_client(server.port, 10000, 10000);
    hf_lock *holder;
    hf_lock *next;
    hf_grant grant;
    hf_grant later;
    losses = 0;
    must(hf_lock_new(client, &holder));
    must(hf_lock_new(admin, &next));
    must(hf_lock_acquire(holder, "r/1", 0, &grant, NULL));
    uint64_t token = grant.fencing_token;
    const char *why = "its host is drained";
    assert_int_equal(hf_revoke(admin, "r/1", token, 0, HF_THEN_FORCE, why, "ann", NULL), HF_EINVAL);
    assert_int_equal(hf_revoke(admin, "r/1", token, 1, 2, why, "ann", NULL), HF_EINVAL);
    assert_int_equal(hf_revoke(admin, "r/1", token, 1, HF_THEN_FORCE, "brief", "ann", NULL),
                     HF_EINVAL);
    assert_int_equal(hf_revoke(admin, "r/2", token, 1, HF_THEN_FORCE, why, "ann", NULL), HF_ESTALE);
    must(hf_revoke(admin, "r/1", token, 3600000, HF_THEN_FORCE, why, "ann", NULL));
    while (asked_count == 0) usleep(5000); /* the test's time-out bounds it */
    assert_true(asked_token == token);
    assert_true(asked_left_ms > 3000000 && asked_left_ms < 3600000);
    assert_true(hf_grant_valid(&grant, 0));
    must(hf_lock_release(holder, &grant, NULL));
    must(hf_lock_acquire(next, "r/1", 0, &later, NULL));
    must(hf_lock_release(next, &later, NULL));

    /* One that ignores it: forced, told, and the lock goes on. */
    must(hf_lock_acquire(holder, "r/1", 0, &grant, NULL));
    _Atomic int done = 1;
    must(hf_revoke_async(admin, "r/1", grant.fencing_token, 1000, HF_THEN_FORCE, why, "ann", NULL,
                         note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    must(hf_lock_acquire(next, "r/1", 60000, &later, NULL));
    assert_true(later.fencing_token > grant.fencing_token);
    assert_int_equal(hf_grant_state(&grant), HF_GRANT_LOST);
    while (losses == 0) usleep(5000);
    assert_int_equal(losses, 1);
    assert_true(asked_count <= 2); /* each token once, if at all before its grace was over */
    hf_lock_free(holder);
    hf_lock_free(next);
    hf_client_close(admin);
    hf_client_close(client);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_settings_are_read_and_set),
        CASE(test_acts_are_listed),
        CASE(test_a_prefix_is_frozen_and_thawed),
        CASE(test_a_forced_holder_is_told_and_the_lock_goes_on),
        CASE(test_a_grant_is_asked_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
