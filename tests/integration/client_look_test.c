/* The library against a real holdfastd: what lists see. */
#include <pthread.h>

#include "tests/integration/client_fixture.h"

static int count_line(const hf_lock_line *line, void *data)
{
    uint32_t *count = data;
    assert_int_equal(strncmp(line->name, "look/", 5), 0);
    assert_int_equal(line->holder_count, 1);
    *count += 1;
    return 0;
}

static int count_record(const hf_record_line *line, void *data)
{
    uint32_t *count = data;
    assert_string_equal(line->state, "DONE");
    *count += 1;
    return 0;
}

/* Lists come page after page, whole. */
static void test_lists_are_read_to_their_end(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 10000, 10000);
    hf_lock *lock;
    hf_grant grant;
    char name[32];
    uint32_t count = 0;
    must(hf_lock_new(client, &lock));
    for (int i = 0; i < 450; i++) {
        (void)snprintf(name, sizeof name, "look/%04d", i);
        must(hf_lock_acquire(lock, name, 0, &grant, NULL));
    }
    must(hf_lock_list(client, "look/", count_line, &count));
    assert_int_equal(count, 450);
    count = 0;
    must(hf_lock_info(client, name, count_line, &count));
    assert_int_equal(count, 1);
    assert_int_equal(hf_lock_info(client, "nobody", count_line, &count), HF_ENOTFOUND);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(name, sizeof name, "rec/%d", i);
        hf_record *record = begin(client, name, "r", HF_TAKEOVER_AUTO, HF_OK);
        must(hf_record_complete(record, HF_DONE, NULL, NULL));
        hf_record_free(record);
    }
    count = 0;
    must(hf_record_list(client, "rec/", "DONE", 0, count_record, &count));
    assert_int_equal(count, 5);
    must(hf_record_info(client, "rec/3", count_record, &count));
    assert_int_equal(count, 6);
    hf_lock_free(lock); /* 450 releases in the background, before the session is closed */
    hf_client_close(client);
}

enum { DONE_RECORDS = 5000, FILLERS = 20 };

static _Atomic int next_key, filled;

static void *complete_some(void *data)
{
    for (int i = next_key++; i < DONE_RECORDS; i = next_key++) {
        char key[32];
        hf_record *record;
        hf_begin how = {.lease_ms = 0};
        (void)snprintf(key, sizeof key, "many/%04d", i);
        if (hf_record_begin(data, key, &how, &record, NULL) != HF_OK) continue;
        if (hf_record_complete(record, HF_DONE, NULL, NULL) == HF_OK) filled += 1;
        hf_record_free(record);
    }
    return NULL;
}

static int note_key(const hf_record_line *line, void *data)
{
    (void)snprintf(data, 32, "%s", line->key);
    return 0;
}

/* The one that waits to be resolved is found behind thousands that do not: the server ends a page
 * after so many rows, though none of them is in it. */
static void test_filter_finds_what_lies_behind_thousands(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 10000, 10000);
    pthread_t threads[FILLERS];
    char found[32] = "";
    next_key = filled = 0;
    for (int i = 0; i < FILLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, complete_some, client), 0);
    for (int i = 0; i < FILLERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(filled, DONE_RECORDS);
    hf_record_free(begin(client, "many/last", "r", HF_TAKEOVER_MANUAL, HF_OK));
    (void)begin(client, "many/last", "r", HF_TAKEOVER_MANUAL, HF_ERECORDUNKNOWN);
    must(hf_record_list(client, "many/", "UNKNOWN", 0, note_key, found));
    assert_string_equal(found, "many/last");
    hf_client_close(client);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_lists_are_read_to_their_end),
        CASE(test_filter_finds_what_lies_behind_thousands),
    };
    return cmocka_run_group_tests_name("client_look", tests, NULL, NULL);
}
