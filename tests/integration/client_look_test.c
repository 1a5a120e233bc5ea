/* The library against a real holdfastd: what operators and lists see and do. */
#include <pthread.h>
#include <stdlib.h>

#include "tests/integration/client_fixture.h"

static int count_line(const hf_lock_line *line, void *data)
{
    uint32_t *count = data;
    assert_int_equal(strncmp(line->name, "look/", 5), 0);
    assert_int_equal(line->holder_count, 1);
    *count += 1;
    return 0;
}

/* A body over the limit changes nothing: the attempt goes on, and the same result without its body,
 * or with a reference, is taken and told as such. */
static void test_a_body_over_the_limit_has_a_way_out(void **state)
{
    (void)state;
    static uint8_t large[HF_BODY_BYTES_MAX + 1];
    static const char *const references[] = {NULL, "s3://results/17"};
    hf_client *client = open_client(server.port, 10000, 10000);
    hf_result result = {.code = 200, .headers = "h", .headers_bytes = 1, .body = large};
    result.body_bytes = HF_BODY_BYTES_MAX;
    assert_int_equal(hf_result_fits(&result), HF_OK);
    result.body_bytes = HF_BODY_BYTES_MAX + 1;
    assert_int_equal(hf_result_fits(&result), HF_ETOOLARGE);
    for (int i = 0; i < 2; i++) {
        const char *key = i == 0 ? "large/omitted" : "large/reference";
        hf_record *record = begin(client, key, "r", HF_TAKEOVER_AUTO, HF_OK);
        assert_int_equal(hf_record_complete(record, HF_DONE, &result, NULL), HF_ETOOLARGE);
        assert_int_equal(hf_record_state(record), HF_GRANT_HELD);
        must(hf_record_checkpoint(record, "still mine", 1, HF_MARK_NONE, NULL, 0, NULL));
        hf_result shorter = hf_result_shortened(&result, references[i]);
        assert_int_equal(hf_result_fits(&shorter), HF_OK);
        must(hf_record_complete(record, HF_DONE, &shorter, NULL));
        hf_record_free(record);
        record = begin(client, key, "r", HF_TAKEOVER_AUTO, HF_OK);
        const hf_record_view *view = hf_record_look(record);
        assert_int_equal(view->verdict, HF_REPLAY);
        assert_int_equal(view->code, 200);
        assert_int_equal(view->headers_bytes, 1);
        assert_int_equal(view->body_kind, i == 0 ? HF_BODY_OMITTED : HF_BODY_REFERENCE);
        assert_int_equal(view->body_bytes, i == 0 ? 0 : strlen(references[i]));
        hf_record_free(record);
    }
    hf_client_close(client);
}

struct seen {
    uint64_t token;   /* of the record shown last */
    char outcome[16]; /* its outcome */
};

static int note_seen(const hf_record_line *line, void *data)
{
    struct seen *seen = data;
    seen->token = line->fencing_token;
    (void)snprintf(seen->outcome, sizeof seen->outcome, "%s", line->outcome);
    return 0;
}

/* A FAILED record is reopened and runs again; then it is DONE, and is erased but never reopened. */
static void test_records_are_reopened_and_erased(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 10000, 10000);
    struct seen seen;
    hf_record *record = begin(client, "opera/1", "r", HF_TAKEOVER_AUTO, HF_OK);
    must(hf_record_complete(record, HF_FAILED, NULL, NULL));
    hf_record_free(record);
    must(hf_record_info(client, "opera/1", note_seen, &seen));
    assert_string_equal(seen.outcome, "FAILED");
    assert_int_equal(hf_record_reopen(client, "opera/1", seen.token, HF_FAILED, "", "me", NULL),
                     HF_EINVAL);
    must(hf_record_reopen(client, "opera/1", seen.token, HF_FAILED, "why", "me", NULL));
    assert_int_equal(hf_record_erase(client, "opera/1", "why", "me", NULL), HF_EBADSTATE);
    record = begin(client, "opera/1", "r", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(record)->attempt, 2);
    const hf_result result = {.code = 7, .body = "told", .body_bytes = 4};
    must(hf_record_complete(record, HF_DONE, &result, NULL));
    hf_record_free(record);
    must(hf_record_info(client, "opera/1", note_seen, &seen));
    assert_int_equal(hf_record_reopen(client, "opera/1", seen.token, HF_FAILED, "why", "me", NULL),
                     HF_EBADSTATE);
    assert_int_equal(hf_record_erase(client, "opera/2", "why", "me", NULL), HF_ENOTFOUND);
    must(hf_record_erase(client, "opera/1", "why", "me", NULL));
    record = begin(client, "opera/1", "r", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(record)->verdict, HF_REPLAY);
    assert_int_equal(hf_record_look(record)->code, 7);
    assert_int_equal(hf_record_look(record)->body_kind, HF_BODY_GONE);
    assert_int_equal(hf_record_look(record)->body_bytes, 0);
    hf_record_free(record);
    hf_client_close(client);
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
        CASE(test_a_body_over_the_limit_has_a_way_out),
        CASE(test_records_are_reopened_and_erased),
        CASE(test_lists_are_read_to_their_end),
        CASE(test_filter_finds_what_lies_behind_thousands),
    };
    return cmocka_run_group_tests_name("client_look", tests, NULL, NULL);
}
