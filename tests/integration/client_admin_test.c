/* The library against a real holdfastd: what administrators see and do. */
#include "client/include/holdfast_admin.h"
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

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_settings_are_read_and_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
