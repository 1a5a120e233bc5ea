/* The library's watches against a real holdfastd, which is killed in between: in order, nothing
 * twice, nothing left out, and a gap where events are not kept any more. */
#include "client/include/holdfast_watch.h"

#include <unistd.h>

#include "client/include/holdfast_admin.h"
#include "tests/integration/client_fixture.h"

enum { TTL_MS = 30000, TIMEOUT_MS = 20000, CYCLES = 60, SEEN_MAX = 4096 };

/* What a watcher was shown. */
struct seen {
    uint64_t numbers[SEEN_MAX];
    uint64_t tokens[SEEN_MAX];
    int kinds[SEEN_MAX];
    unsigned count;
    unsigned stop_at; /* events in all; 0 = never */
};

static int note(const hf_event *event, void *data)
{
    struct seen *seen = data;
    assert_true(seen->count < SEEN_MAX);
    if (seen->count > 0) assert_true(event->number > seen->numbers[seen->count - 1]);
    seen->numbers[seen->count] = event->number;
    seen->tokens[seen->count] = event->fencing_token;
    seen->kinds[seen->count] = event->kind;
    seen->count += 1;
    return seen->count == seen->stop_at;
}

static void note_done(int status, void *data)
{
    *(_Atomic int *)data = status;
}

static int wait_for(_Atomic int *done)
{
    while (*done == 1) usleep(1000);
    return *done;
}

static void switch_on(hf_client *client, const char *prefix)
{
    must(hf_events_switch(client, prefix, 1, "a test watches it", "ann", NULL));
}

static void cycle(hf_client *client, const char *name)
{
    hf_lock *lock;
    hf_grant grant;
    must(hf_lock_new(client, &lock));
    must(hf_lock_acquire(lock, name, 5000, &grant, NULL));
    must(hf_lock_release(lock, &grant, NULL));
    hf_lock_free(lock);
}

static void restart(void)
{
    server_process_kill(&server);
    assert_true(server_process_start(&server));
}

/* Shown so far, and the place is where the servers are. */
static void catch_up(hf_client *client, hf_watch *watch, struct seen *seen)
{
    uint64_t before;
    do {
        before = watch->next;
        must(hf_watch_poll(client, watch, note, seen));
    } while (watch->next != before);
}

static void test_every_event_is_shown_once_in_order_over_kills(void **state)
{
    (void)state;
    static struct seen seen;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    switch_on(client, "watched/");
    hf_watch watch = {.prefix = "watched/",
                      .kinds = HF_EVENT_BIT(HF_EVENT_GRANTED) | HF_EVENT_BIT(HF_EVENT_RELEASED),
                      .count_max = 7};
    must(hf_watch_poll(client, &watch, note, &seen));
    assert_int_equal(seen.count, 0);
    assert_true(watch.next > 0);
    for (int i = 0; i < CYCLES; i++) {
        cycle(client, "watched/a");
        cycle(client, "elsewhere");
        if (i % 20 == 19) restart();
        if (i % 7 == 3) must(hf_watch_poll(client, &watch, note, &seen));
    }
    catch_up(client, &watch, &seen);
    assert_int_equal(seen.count, 2 * CYCLES);
    for (unsigned i = 0; i < seen.count; i += 2) {
        assert_int_equal(seen.kinds[i], HF_EVENT_GRANTED);
        assert_int_equal(seen.kinds[i + 1], HF_EVENT_RELEASED);
        assert_true(seen.tokens[i] == seen.tokens[i + 1]);
        if (i > 0) assert_true(seen.tokens[i] > seen.tokens[i - 1]);
    }
    hf_client_close(client);
}

static void test_what_a_callback_has_not_seen_comes_again(void **state)
{
    (void)state;
    static struct seen seen;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    switch_on(client, "stopped/");
    hf_watch watch = {.prefix = "stopped/",
                      .kinds = HF_EVENT_BIT(HF_EVENT_GRANTED) | HF_EVENT_BIT(HF_EVENT_RELEASED)};
    must(hf_watch_poll(client, &watch, note, &seen));
    for (int i = 0; i < 3; i++) cycle(client, "stopped/a");
    seen.stop_at = 2;
    must(hf_watch_poll(client, &watch, note, &seen));
    assert_int_equal(seen.count, 2);
    assert_true(watch.next == seen.numbers[1] + 1);
    _Atomic int done = 1;
    must(hf_watch_poll_async(client, &watch, note, &seen, note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    assert_int_equal(seen.count, 6);
    hf_client_close(client);
}

/* What waits is woken by what it waits for, and by nothing else before its mark. */
static void test_a_watch_waits_for_its_event(void **state)
{
    (void)state;
    static struct seen seen;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    switch_on(client, "awaited/");
    hf_watch watch = {.prefix = "awaited/", .wait_ms = 60000};
    must(hf_watch_poll(client, &watch, note, &seen));
    _Atomic int done = 1;
    unsigned marks = 0;
    must(hf_watch_poll_async(client, &watch, note, &seen, note_done, (void *)&done, NULL));
    cycle(client, "not/awaited");
    cycle(client, "awaited/a");
    assert_int_equal(wait_for(&done), HF_OK);
    while (seen.count < 2) { /* it may have been a mark, and the release comes behind the grant */
        must(hf_watch_poll(client, &watch, note, &seen));
        marks += 1;
        assert_true(marks < 100);
    }
    assert_int_equal(seen.kinds[0], HF_EVENT_GRANTED);
    assert_int_equal(seen.kinds[1], HF_EVENT_RELEASED);
    uint64_t at_ms = watch.at_ms;
    must(hf_watch_poll(client, &watch, note, &seen)); /* a mark: nothing happens */
    assert_int_equal(seen.count, 2);
    assert_true(watch.at_ms >= at_ms);
    hf_client_close(client);
}

static void test_a_gap_is_told_once(void **state)
{
    (void)state;
    static struct seen seen;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    must(hf_config_set(client, "events_window", 1000, NULL, "a test", "ann", NULL));
    switch_on(client, "many/");
    hf_watch watch = {.prefix = "many/", .next = 1};
    for (int i = 0; i < 600; i++) cycle(client, "many/a");
    assert_int_equal(hf_watch_poll(client, &watch, note, &seen), HF_EGAP);
    assert_int_equal(seen.count, 0);
    assert_true(watch.next > 1);
    catch_up(client, &watch, &seen);
    assert_true(seen.count > 0);
    hf_watch beyond = {.next = watch.next + 1000};
    assert_int_equal(hf_watch_poll(client, &beyond, note, &seen), HF_EBADREQUEST);
    assert_true(beyond.next == watch.next + 1000);
    hf_client_close(client);
}

static int count_prefix(const hf_events_prefix *prefix, void *data)
{
    unsigned *count = data;
    assert_string_equal(prefix->operator_name, "ann");
    if (strcmp(prefix->prefix, "shown/") == 0) *count += 1;
    return 0;
}

static void test_prefixes_are_switched_and_shown(void **state)
{
    (void)state;
    unsigned count = 0;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    switch_on(client, "shown/");
    must(hf_events_list(client, count_prefix, &count));
    assert_int_equal(count, 1);
    _Atomic int done = 1;
    must(hf_events_list_async(client, count_prefix, &count, note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    assert_int_equal(count, 2);
    done = 1;
    must(hf_events_switch_async(client, "shown/", 0, "no more", "ann", NULL, note_done,
                                (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    must(hf_events_list(client, count_prefix, &count));
    assert_int_equal(count, 2);
    hf_watch watch = {.kinds = 1U << 31};
    assert_int_equal(hf_watch_poll(client, &watch, note, NULL), HF_EINVAL);
    assert_int_equal(hf_watch_poll(client, NULL, note, NULL), HF_EINVAL);
    watch = (hf_watch){.wait_ms = 60001};
    assert_int_equal(hf_watch_poll(client, &watch, note, NULL), HF_EINVAL);
    hf_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_event_is_shown_once_in_order_over_kills),
        cmocka_unit_test(test_what_a_callback_has_not_seen_comes_again),
        cmocka_unit_test(test_a_watch_waits_for_its_event),
        cmocka_unit_test(test_prefixes_are_switched_and_shown),
        cmocka_unit_test(test_a_gap_is_told_once),
    };
    return cmocka_run_group_tests_name("client_watch", tests, setup, teardown);
}
