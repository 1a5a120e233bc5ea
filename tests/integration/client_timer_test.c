/* The library's timers against a real holdfastd, which is killed in between. */
#include "client/include/holdfast_timer.h"

#include <time.h>

#include "tests/integration/client_fixture.h"

enum { TTL_MS = 30000, TIMEOUT_MS = 20000, LEASE_MS = 2000, WAIT_MS = 20000 };

static void set(hf_client *client, const char *key, const char *group, uint64_t delay_ms,
                uint32_t attempts_max)
{
    hf_timer timer = {.group = group,
                      .delay_ms = delay_ms,
                      .version = 1,
                      .attempts_max = attempts_max,
                      .payload = "pay",
                      .payload_bytes = 3};
    hf_timer_view view;
    must(hf_timer_set(client, key, &timer, &view, NULL));
    assert_int_equal(view.verdict, HF_TIMER_SCHEDULED);
    assert_int_equal(view.version, 1);
}

/* The only ready timer of a group, waited for; an empty batch may come early. \return its token */
static uint64_t get(hf_client *client, const char *group, const char *key, uint32_t attempt)
{
    hf_timer_batch *batch = NULL;
    do {
        hf_timer_batch_free(batch);
        must(hf_timer_poll(client, group, 10, LEASE_MS, WAIT_MS, &batch));
    } while (hf_timer_batch_count(batch) == 0);
    assert_int_equal(hf_timer_batch_count(batch), 1);
    assert_null(hf_timer_batch_at(batch, 1));
    const hf_timer_delivery *d = hf_timer_batch_at(batch, 0);
    assert_string_equal(d->key, key);
    assert_int_equal(d->payload_bytes, 3);
    assert_memory_equal(d->payload, "pay", 3);
    assert_int_equal(d->attempt, attempt);
    uint64_t token = d->fencing_token;
    hf_timer_batch_free(batch);
    return token;
}

/* Set, polled by one who waits, never early, acknowledged, and then remembered. */
static void test_a_timer_is_delivered_to_who_waits(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    uint64_t begun_ms = now_ms();
    set(client, "order/1", "unpaid", 700, 3);
    uint64_t token = get(client, "unpaid", "order/1", 1);
    assert_true(now_ms() - begun_ms >= 700 - 10); /* a clock rate's worth */
    must(hf_timer_ack(client, "order/1", token, NULL));
    must(hf_timer_ack(client, "order/1", token, NULL));
    hf_timer late = {.group = "unpaid", .version = 1};
    hf_timer_view view = {0};
    assert_int_equal(hf_timer_set(client, "order/1", &late, &view, NULL), HF_EFIRED);
    assert_true(view.fired_ms > 0);
    hf_timer_batch *batch = NULL;
    must(hf_timer_poll(client, "unpaid", 10, LEASE_MS, 0, &batch));
    assert_int_equal(hf_timer_batch_count(batch), 0);
    hf_timer_batch_free(batch);
    hf_client_close(client);
}

/* What is out of range is refused here; a cancelled one never fires. */
static void test_a_cancelled_timer_is_gone_and_known(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_timer_batch *batch = NULL;
    hf_timer timer = {.group = ""};
    assert_int_equal(hf_timer_set(client, "k", &timer, NULL, NULL), HF_EINVAL);
    assert_int_equal(hf_timer_poll(client, "g", 0, LEASE_MS, 0, &batch), HF_EINVAL);
    assert_int_equal(hf_timer_ack(client, "", 1, NULL), HF_EINVAL);
    assert_int_equal(hf_timer_cancel(client, "none", NULL, NULL), HF_ENOTFOUND);
    set(client, "order/2", "cancelled", 3600000, 3);
    must(hf_timer_cancel(client, "order/2", NULL, NULL));
    must(hf_timer_cancel(client, "order/2", NULL, NULL));
    timer = (hf_timer){.group = "cancelled", .version = 1};
    assert_int_equal(hf_timer_set(client, "order/2", &timer, NULL, NULL), HF_ETIMERCANCELLED);
    hf_client_close(client);
}

/* A CANCEL that races the fire, many times: one of the two, and the answer says which. */
static void test_fired_or_cancelled_and_never_both(void **state)
{
    (void)state;
    enum { RACES = 40 };
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    uint32_t fired = 0, delivered = 0;
    for (uint64_t i = 0; i < RACES; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "race/%02u", (unsigned)i);
        set(client, key, "race", i % 8, 3);
        if (i % 3 == 0) sleep_ms(i % 8);
        int status = hf_timer_cancel(client, key, NULL, NULL);
        assert_true(status == HF_OK || status == HF_EFIRED);
        fired += status == HF_EFIRED;
    }
    sleep_ms(50);
    for (;;) {
        hf_timer_batch *batch = NULL;
        must(hf_timer_poll(client, "race", 200, 600000, 0, &batch));
        size_t count = hf_timer_batch_count(batch);
        hf_timer_batch_free(batch);
        if (count == 0) break;
        delivered += (uint32_t)count;
    }
    assert_int_equal(delivered, fired);
    hf_client_close(client);
}

/* The server is killed between the delivery and its ACK: the ACK is good, or it comes again; what
 * was set before and fires meanwhile is there. */
static void test_timers_outlive_the_server(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    set(client, "order/3", "outlive", 0, 5);
    set(client, "order/4", "later", 1000, 5);
    uint64_t first = get(client, "outlive", "order/3", 1);
    server_process_kill(&server);
    assert_true(server_process_start(&server));
    uint64_t second = get(client, "outlive", "order/3", 2); /* its lease is over */
    assert_true(second > first);
    assert_int_equal(hf_timer_ack(client, "order/3", first, NULL), HF_ESTALE);
    must(hf_timer_ack(client, "order/3", second, NULL));
    must(hf_timer_ack(client, "order/4", get(client, "later", "order/4", 1), NULL));
    hf_client_close(client);
}

static void note_done(int status, void *data)
{
    _Atomic int *done = data;
    *done = status;
}

static int wait_for(const _Atomic int *done)
{
    while (*done == 1) sleep_ms(1);
    return *done;
}

static int note_line(const hf_timer_line *line, void *data)
{
    assert_string_equal(line->key, "order/5");
    assert_string_equal(line->group, "dead");
    assert_string_equal(line->state, "DEAD");
    assert_int_equal(line->attempt, 1);
    *(int *)data += 1;
    return 0;
}

/* Given back until it is dead, requeued, and the twins, one of which is cancelled while it waits.
 */
static void test_a_dead_timer_is_requeued(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    set(client, "order/5", "dead", 0, 1);
    uint64_t token = get(client, "dead", "order/5", 1);
    must(hf_timer_nack(client, "order/5", token, 0, NULL));
    assert_int_equal(hf_timer_nack(client, "order/5", token, 0, NULL), HF_ESTALE);
    int shown = 0;
    must(hf_timer_list(client, "order/", "dead", "DEAD", note_line, &shown));
    must(hf_timer_list(client, NULL, "elsewhere", "DEAD", note_line, &shown));
    assert_int_equal(shown, 1);
    assert_int_equal(hf_timer_list(client, "", "", "GONE", note_line, &shown), HF_EINVAL);
    hf_timer_batch *batch = NULL;
    hf_call call;
    _Atomic int done = 1;
    must(hf_timer_poll_async(client, "dead", 1, LEASE_MS, WAIT_MS, &batch, note_done, (void *)&done,
                             &call));
    sleep_ms(50);
    must(hf_call_cancel(&call));
    assert_int_equal(wait_for(&done), HF_ECANCELLED);
    assert_null(batch);
    done = 1;
    must(hf_timer_list_async(client, "", "dead", "DEAD", note_line, &shown, note_done,
                             (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    assert_int_equal(shown, 2);
    must(hf_timer_requeue(client, "order/5", "mended", "ann", NULL));
    assert_int_equal(hf_timer_requeue(client, "order/5", "mended", "ann", NULL), HF_EBADSTATE);
    done = 1;
    must(hf_timer_ack_async(client, "order/5", get(client, "dead", "order/5", 1), NULL, note_done,
                            (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    hf_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timer_is_delivered_to_who_waits),
        cmocka_unit_test(test_a_cancelled_timer_is_gone_and_known),
        cmocka_unit_test(test_fired_or_cancelled_and_never_both),
        cmocka_unit_test(test_timers_outlive_the_server),
        cmocka_unit_test(test_a_dead_timer_is_requeued),
    };
    return cmocka_run_group_tests_name("client_timer", tests, setup, teardown);
}
