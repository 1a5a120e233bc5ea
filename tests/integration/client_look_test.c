/* The library against a real holdfastd: what lists see. */
#include "client/include/holdfast_lock.h"
#include "client/include/holdfast_record.h"

#include <poll.h>
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

struct names {
    char text[64]; /* of the lines, each behind a blank */
    hf_lock_line last;
};

static int note_name(const hf_lock_line *line, void *data)
{
    struct names *names = data;
    size_t size = strlen(names->text);
    (void)snprintf(names->text + size, sizeof names->text - size, " %s", line->name);
    names->last = *line;
    return 0;
}

static struct names listed(hf_client *client, const hf_lock_filter *filter)
{
    struct names names = {.text = ""};
    must(hf_lock_list_with(client, filter, note_name, &names));
    return names;
}

/* Each filter lets what it names pass, and nothing else. */
static void test_locks_are_listed_through_filters(void **state)
{
    (void)state;
    hf_client *one = open_client(server.port, 10000, 10000);
    hf_client *two = open_client(server.port, 10000, 10000);
    hf_lock *locks[2];
    hf_grant grant;
    const hf_acquire permits = {.mode = HF_PERMITS, .permits = 2, .limit = 7};
    const hf_acquire shared = {.mode = HF_SHARED};
    must(hf_lock_new(one, &locks[0]));
    must(hf_lock_new(two, &locks[1]));
    must(hf_lock_acquire(locks[0], "f/a", 0, &grant, NULL));
    must(hf_lock_acquire_with(locks[0], "f/b", &permits, &grant, NULL));
    must(hf_lock_acquire_with(locks[1], "f/c", &shared, &grant, NULL));

    assert_string_equal(listed(one, NULL).text, " f/a f/b f/c");
    const hf_lock_filter held = {.prefix = "f/", .states = HF_LOCK_HELD};
    assert_string_equal(listed(one, &held).text, " f/a f/b f/c");
    const hf_lock_filter waited = {.states = HF_LOCK_HELD | HF_LOCK_WAITED};
    assert_string_equal(listed(one, &waited).text, "");
    const hf_lock_filter modes = {.modes = 1 << HF_PERMITS};
    struct names names = listed(one, &modes);
    assert_string_equal(names.text, " f/b");
    assert_int_equal(names.last.limit, 7);
    assert_int_equal(names.last.units_taken, 2);
    assert_int_equal(names.last.frozen, 0);
    const hf_lock_filter session = {.session = hf_client_session(two)};
    assert_string_equal(listed(one, &session).text, " f/c");
    const hf_lock_filter nobody = {.client_name = "nobody"};
    assert_string_equal(listed(one, &nobody).text, "");
    const hf_lock_filter old = {.older_than_ms = 3600000};
    assert_string_equal(listed(one, &old).text, "");
    const hf_lock_filter wrong = {.states = 8};
    assert_int_equal(hf_lock_list_with(one, &wrong, note_name, &names), HF_EINVAL);
    for (int i = 0; i < 2; i++) hf_lock_free(locks[i]);
    hf_client_close(two);
    hf_client_close(one);
}

struct seen {
    hf_lock_view view;
    hf_holder_view holder; /* the first */
    hf_waiter_view waiter; /* the first */
    hf_transition last;
    char client_name[256]; /* the first holder's */
    char meta[16];         /* likewise */
    int times;
};

static void note_view(const hf_lock_view *view, void *data)
{
    struct seen *seen = data;
    seen->view = *view;
    seen->times += 1;
    assert_string_equal(view->name, "v");
    if (view->waiters_shown > 0) seen->waiter = view->waiters[0];
    if (view->transition_count > 0) seen->last = view->transitions[view->transition_count - 1];
    if (view->holders_shown == 0) return;
    seen->holder = view->holders[0];
    assert_true(seen->holder.meta_bytes < sizeof seen->meta);
    memcpy(seen->meta, seen->holder.meta, seen->holder.meta_bytes);
    (void)snprintf(seen->client_name, sizeof seen->client_name, "%s", seen->holder.client_name);
}

static void ignore_end(int status, void *data)
{
    (void)status;
    *(_Atomic int *)data = 1;
}

/* A lock is shown whole: who holds it, who waits, and what happened last. */
static void test_lock_is_shown_with_holders_queue_and_past(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, 10000, 10000);
    hf_lock *holder;
    hf_lock *waiter;
    hf_grant grant;
    hf_grant next;
    struct seen seen = {.times = 0};
    static const char *const both[] = {"v", "w"};
    const hf_acquire how = {.meta = "hello", .meta_bytes = 5};
    _Atomic int ended = 0;
    must(hf_lock_look(client, "v", note_view, &seen));
    assert_int_equal(seen.times, 1);
    assert_int_equal(seen.view.holder_count + seen.view.transition_count, 0);
    must(hf_lock_new(client, &holder));
    must(hf_lock_new(client, &waiter));
    must(hf_lock_acquire_many(holder, both, 2, &how, &grant, NULL));
    must(hf_lock_acquire_async(waiter, "v", 60000, &next, NULL, ignore_end, &ended, NULL));
    for (int i = 0; i < 1000 && seen.view.queue_length == 0; i++) {
        must(hf_lock_look(client, "v", note_view, &seen));
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(seen.view.queue_length, 1);
    assert_int_equal(seen.waiter.session, hf_client_session(client));
    assert_true(seen.waiter.wait_left_ms <= 60000);
    assert_true(seen.waiter.since_ms >= seen.holder.since_ms);
    assert_true(seen.view.now_ms >= seen.waiter.since_ms);
    assert_int_equal(seen.holder.who.fencing_token, grant.fencing_token);
    assert_int_equal(seen.holder.who.session, hf_client_session(client));
    assert_int_equal(seen.holder.name_count, 2);
    assert_string_equal(seen.meta, "hello");
    assert_true(seen.client_name[0] != '\0');
    assert_int_equal(seen.last.kind, HF_TRANSITION_GRANTED);
    must(hf_lock_release(holder, &grant, NULL));
    must(hf_lock_look(client, "v", note_view, &seen));
    assert_int_equal(seen.view.transition_count, 3);
    assert_int_equal(seen.last.kind, HF_TRANSITION_GRANTED);
    assert_int_equal(seen.last.owner, seen.waiter.owner);
    for (int i = 0; i < 1000 && ended == 0; i++) (void)poll(NULL, 0, 10);
    hf_lock_free(waiter);
    hf_lock_free(holder);
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

struct waiting {
    char keys[64];                         /* of the lines, each behind a blank */
    char derived[2][2 * HF_DERIVED_BYTES]; /* of the last line */
    char client_name[256];                 /* likewise */
};

static int note_waiting(const hf_record_line *line, void *data)
{
    struct waiting *w = data;
    size_t size = strlen(w->keys);
    (void)snprintf(w->keys + size, sizeof w->keys - size, " %s", line->key);
    (void)snprintf(w->client_name, sizeof w->client_name, "%s", line->client_name);
    assert_non_null(line->derived_keys);
    for (int i = 0; i < 2; i++)
        (void)snprintf(w->derived[i], sizeof w->derived[i], "%s", line->derived_keys[i]);
    return 0;
}

static int note_no_keys(const hf_record_line *line, void *data)
{
    (void)data;
    assert_null(line->derived_keys);
    return 0;
}

/* What waits for a decision is one call: who, how far, and the keys that its provider knows. */
static void test_what_waits_is_listed_with_its_derived_keys(void **state)
{
    (void)state;
    static const hf_secret secret = {.id = "s1", .key = "0123456789abcdef", .key_bytes = 16};
    static const char *const steps[] = {"charge", "mail"};
    char servers[32];
    char charge[HF_DERIVED_BYTES];
    hf_client *client;
    hf_options options;
    struct waiting w = {.keys = ""};
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", server.port);
    hf_options_init(&options);
    options.servers = servers;
    options.name = "payer";
    options.secrets = &secret;
    options.secret_count = 1;
    must(hf_client_open(&options, &client));
    hf_record_free(begin(client, "w/1", "r", HF_TAKEOVER_MANUAL, HF_OK));
    (void)begin(client, "w/1", "r", HF_TAKEOVER_MANUAL, HF_ERECORDUNKNOWN);
    hf_record *running = begin(client, "w/2", "r", HF_TAKEOVER_MANUAL, HF_OK);

    const hf_record_filter filter = {
        .prefix = "w/", .state = "UNKNOWN", .steps = steps, .step_count = 2};
    must(hf_record_list_with(client, &filter, note_waiting, &w));
    assert_string_equal(w.keys, " w/1");
    assert_string_equal(w.client_name, "payer");
    must(hf_derive(client, "s1", "w/1", "charge", charge));
    assert_string_equal(w.derived[0], charge);
    assert_string_not_equal(w.derived[1], charge);
    assert_int_equal(strlen(w.derived[1]), HF_DERIVED_BYTES - 1);

    hf_record_filter other = filter;
    other.older_than_ms = 3600000;
    w.keys[0] = '\0';
    must(hf_record_list_with(client, &other, note_waiting, &w));
    assert_string_equal(w.keys, "");
    must(hf_record_list_with(client, NULL, note_no_keys, NULL));
    other.step_count = HF_STEPS_MAX + 1;
    assert_int_equal(hf_record_list_with(client, &other, note_waiting, &w), HF_EINVAL);
    static const char *const nothing[] = {""};
    other = (hf_record_filter){.steps = nothing, .step_count = 1};
    assert_int_equal(hf_record_list_with(client, &other, note_waiting, &w), HF_EINVAL);
    hf_client *stranger = open_client(server.port, 10000, 10000); /* knows no secret */
    must(hf_record_list_with(stranger, &filter, note_waiting, &w));
    assert_string_equal(w.derived[0], "");
    hf_client_close(stranger);
    hf_record_free(running);
    hf_client_close(client);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_lists_are_read_to_their_end),
        CASE(test_locks_are_listed_through_filters),
        CASE(test_lock_is_shown_with_holders_queue_and_past),
        CASE(test_what_waits_is_listed_with_its_derived_keys),
        CASE(test_filter_finds_what_lies_behind_thousands),
    };
    return cmocka_run_group_tests_name("client_look", tests, NULL, NULL);
}
