/* Records through the library and a real server: results over the limit, what an operator does, and
 * the keys derived for a provider over attempts, takeovers and clients. */
#include <stdio.h>
#include <string.h>

#include "client/include/holdfast.h"
#include "tests/integration/server_process.h"
#include "tests/unit/cmocka_all.h"

static struct server_process server;

static int setup(void **state)
{
    (void)state;
    server_process_init(&server);
    server.extra[0] = "--segment-mib";
    server.extra[1] = "4";
    return server_process_start(&server) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    server_process_close(&server, false);
    return 0;
}

static hf_client *open_client(const hf_secret *secrets, size_t count)
{
    hf_client *client;
    hf_options options;
    char servers[32];
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", server.port);
    hf_options_init(&options);
    options.servers = servers;
    options.secrets = secrets;
    options.secret_count = count;
    assert_int_equal(hf_client_open(&options, &client), HF_OK);
    return client;
}

static void must(int status)
{
    if (status != HF_OK) fail_msg("%s: %s", hf_status_name(status), hf_status_text(status));
}

static hf_record *begin(hf_client *client, const char *key, const char *request, int takeover,
                        int wanted)
{
    hf_record *record = NULL;
    hf_begin how = {.takeover = takeover};
    hf_fingerprint(request, strlen(request), how.fingerprint);
    assert_int_equal(hf_record_begin(client, key, &how, &record, NULL), wanted);
    return record;
}

/* ------------------------------------------------------------------ results and operators */

/* A body over the limit changes nothing: the attempt goes on, and the same result without its body,
 * or with a reference, is taken and told as such. */
static void test_a_body_over_the_limit_has_a_way_out(void **state)
{
    (void)state;
    static uint8_t large[HF_BODY_BYTES_MAX + 1];
    static const char *const references[] = {NULL, "s3://results/17"};
    hf_client *client = open_client(NULL, 0);
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
    hf_client *client = open_client(NULL, 0);
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

/* ------------------------------------------------------------------ derived keys */

static const hf_secret older = {"2025", "0123456789abcdef", 16};
static const hf_secret newer = {"2026", "fedcba9876543210", 16};

static void give_up(hf_client *client, const char *key)
{
    hf_record *record = begin(client, key, "r", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(record)->verdict, HF_STARTED);
    hf_record_free(record);
}

/* The provider's key stays the same over takeovers by clients whose first secret is another one,
 * over RETRYABLE and REOPEN, and in what later callers and reconciliation see. */
static void test_the_derived_key_is_the_same_over_all_attempts(void **state)
{
    (void)state;
    const hf_secret rotated[] = {newer, older};
    char first[HF_DERIVED_BYTES];
    char again[HF_DERIVED_BYTES];
    struct seen seen;
    hf_client *old = open_client(&older, 1);
    hf_client *client = open_client(rotated, 2);
    hf_record *record = begin(old, "pay/1", "r", HF_TAKEOVER_AUTO, HF_OK);
    must(hf_record_derive(record, "charge", first));
    assert_string_equal(first, "52353a16b38ffb497ce16686570f4769a73c85139eeaa48c296aaba4eb9d4e62");
    must(hf_record_derive(record, "refund", again));
    assert_string_not_equal(first, again);
    hf_record_free(record); /* given up */

    static const int outcomes[] = {HF_RETRYABLE, HF_FAILED, HF_DONE};
    for (int i = 0; i < 3; i++) {
        record = begin(client, "pay/1", "r", HF_TAKEOVER_AUTO, HF_OK);
        assert_int_equal(hf_record_look(record)->attempt, 2 + i);
        assert_string_equal(hf_record_look(record)->secret_id, "2025");
        must(hf_record_derive(record, "charge", again));
        assert_string_equal(first, again);
        must(hf_record_complete(record, outcomes[i], NULL, NULL));
        hf_record_free(record);
        if (outcomes[i] != HF_FAILED) continue;
        must(hf_record_info(client, "pay/1", note_seen, &seen));
        must(hf_record_reopen(client, "pay/1", seen.token, HF_FAILED, "why", "me", NULL));
    }
    record = begin(client, "pay/1", "r", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(record)->verdict, HF_REPLAY);
    must(hf_record_derive(record, "charge", again));
    assert_string_equal(first, again);
    hf_record_free(record);
    must(hf_derive(client, "2025", "pay/1", "charge", again));
    assert_string_equal(first, again);
    hf_client_close(old);
    hf_client_close(client);
}

/* Who was not given the secret gets no key; who names one that it was not given begins nothing. */
static void test_without_the_records_secret_nothing_is_derived(void **state)
{
    (void)state;
    char out[HF_DERIVED_BYTES];
    hf_client *old = open_client(&older, 1);
    hf_client *other = open_client(&newer, 1);
    give_up(old, "pay/2");
    hf_record *record = begin(other, "pay/2", "r", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(record)->verdict, HF_TAKEOVER);
    assert_int_equal(hf_record_derive(record, "charge", out), HF_ENOKEY);
    hf_record_free(record);

    hf_begin how = {.secret_id = "2025"};
    assert_int_equal(hf_record_begin(other, "pay/3", &how, &record, NULL), HF_ENOKEY);
    struct seen seen;
    assert_int_equal(hf_record_info(other, "pay/3", note_seen, &seen), HF_ENOTFOUND);
    how.secret_id = ""; /* none */
    must(hf_record_begin(other, "pay/3", &how, &record, NULL));
    assert_string_equal(hf_record_look(record)->secret_id, "");
    assert_int_equal(hf_record_derive(record, "charge", out), HF_ENOKEY);
    assert_int_equal(hf_record_derive(record, "", out), HF_EINVAL);
    assert_int_equal(hf_derive(other, "2026", "k", "\xff", out), HF_EINVAL);
    hf_record_free(record);
    hf_client_close(old);
    hf_client_close(other);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_a_body_over_the_limit_has_a_way_out),
        CASE(test_records_are_reopened_and_erased),
        CASE(test_the_derived_key_is_the_same_over_all_attempts),
        CASE(test_without_the_records_secret_nothing_is_derived),
    };
    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
