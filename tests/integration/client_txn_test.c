/* The library's transactions against a real holdfastd, which is killed in between. */
#include "client/include/holdfast_txn.h"

#include "client/include/holdfast_lock.h"
#include "tests/integration/client_fixture.h"

enum { TTL_MS = 30000, TIMEOUT_MS = 20000 };

/* An order under way: its lock is held, its payment has begun, its time-out is set. */
struct order {
    hf_client *client;
    hf_lock *lock;
    hf_grant grant;
    hf_record *payment;
    char name[32];
    char timer[32];
    char ship[32];
};

static void open_order(struct order *o, hf_client *client, unsigned number, uint64_t delay_ms)
{
    *o = (struct order){.client = client};
    (void)snprintf(o->name, sizeof o->name, "pay/%u", number);
    (void)snprintf(o->timer, sizeof o->timer, "unpaid/%u", number);
    (void)snprintf(o->ship, sizeof o->ship, "ship/%u", number);
    must(hf_lock_new(client, &o->lock));
    must(hf_lock_acquire(o->lock, o->name, 0, &o->grant, NULL));
    o->payment = begin(client, o->name, "pay", HF_TAKEOVER_AUTO, HF_OK);
    hf_timer timer = {.group = "unpaid", .delay_ms = delay_ms};
    must(hf_timer_set(client, o->timer, &timer, NULL, NULL));
}

static void close_order(struct order *o)
{
    hf_record_free(o->payment);
    hf_lock_free(o->lock);
}

/* It is paid: the payment is done, its time-out off, shipping begins under the lock, which is then
 * for others. */
static hf_txn *pay(struct order *o)
{
    hf_txn *txn;
    hf_result result = {.code = 200, .body = "paid", .body_bytes = 4};
    hf_begin ship = {
        .lease_ms = 20000, .guard_name = o->name, .guard_token = o->grant.fencing_token};
    hf_fingerprint("ship", 4, ship.fingerprint);
    must(hf_txn_new(o->client, &txn));
    must(hf_txn_release(txn, o->lock, &o->grant, NULL));
    must(hf_txn_complete(txn, o->payment, HF_DONE, &result, NULL));
    must(hf_txn_begin(txn, o->ship, &ship, NULL));
    must(hf_txn_timer_cancel(txn, o->timer, NULL));
    return txn;
}

static void expect_paid(struct order *o, hf_txn *txn)
{
    hf_record *shipping = NULL;
    assert_int_equal(hf_txn_refused(txn), -1);
    for (size_t i = 0; i < 4; i++) assert_int_equal(hf_txn_look(txn, i)->status, HF_OK);
    assert_null(hf_txn_look(txn, 4));
    assert_int_equal(hf_txn_look(txn, 0)->verdict, HF_RELEASE_FREED);
    assert_int_equal(hf_txn_look(txn, 2)->verdict, HF_STARTED);
    assert_int_equal(hf_grant_state(&o->grant), HF_GRANT_ENDED);
    assert_int_equal(hf_record_state(o->payment), HF_GRANT_ENDED);
    must(hf_txn_take_record(txn, 2, &shipping));
    assert_int_equal(hf_txn_take_record(txn, 2, &shipping), HF_EBADSTATE);
    assert_int_equal(hf_txn_take_record(txn, 1, &shipping), HF_EBADSTATE);
    assert_true(hf_record_look(shipping)->fencing_token > o->grant.fencing_token);
    assert_true(hf_record_valid(shipping, 1000));
    hf_record *replay = begin(o->client, o->name, "pay", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(replay)->verdict, HF_REPLAY);
    assert_memory_equal(hf_record_look(replay)->body, "paid", 4);
    hf_record_free(replay);
    hf_timer again = {.group = "unpaid"};
    assert_int_equal(hf_timer_set(o->client, o->timer, &again, NULL, NULL), HF_ETIMERCANCELLED);
    must(hf_lock_acquire(o->lock, o->name, 0, &o->grant, NULL));
    must(hf_record_complete(shipping, HF_DONE, NULL, NULL));
    hf_record_free(shipping);
}

static void test_all_of_it_is_done(void **state)
{
    (void)state;
    struct order o;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    open_order(&o, client, 1, 3600000);
    hf_txn *txn = pay(&o);
    must(hf_txn_run(txn, NULL));
    expect_paid(&o, txn);
    assert_int_equal(hf_txn_run(txn, NULL), HF_EBADSTATE);
    hf_txn_free(txn);
    close_order(&o);
    hf_client_close(client);
}

/* The time-out has fired: nothing of it was done, and all may be used as before. */
static void test_nothing_of_it_is_done(void **state)
{
    (void)state;
    struct order o;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    open_order(&o, client, 2, 0);
    while (hf_timer_cancel(client, "unpaid/2", NULL, NULL) != HF_EFIRED) sleep_ms(1);
    hf_txn *txn = pay(&o);
    assert_int_equal(hf_txn_run(txn, NULL), HF_ENOTACCEPTED);
    assert_int_equal(hf_txn_refused(txn), 3);
    assert_int_equal(hf_txn_look(txn, 3)->status, HF_EFIRED);
    assert_true(hf_txn_look(txn, 3)->timer.fired_ms > 0);
    assert_null(hf_txn_look(txn, 0));
    assert_null(hf_txn_look(txn, 2));
    hf_record *none = NULL;
    assert_int_equal(hf_txn_take_record(txn, 2, &none), HF_EBADSTATE);
    assert_true(hf_grant_valid(&o.grant, 1000));
    assert_true(hf_record_valid(o.payment, 1000));
    hf_txn_free(txn);
    hf_record *ship = begin(client, o.ship, "ship", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(ship)->attempt, 1);
    hf_record_free(ship);
    must(hf_record_complete(o.payment, HF_FAILED, NULL, NULL));
    must(hf_lock_release(o.lock, &o.grant, NULL));
    close_order(&o);
    hf_client_close(client);
}

/* What is accepted beside the usual: several verdicts, and refusals, whatever their order. */
static void test_what_else_is_accepted(void **state)
{
    (void)state;
    hf_txn *txn;
    hf_lock *lock;
    hf_grant grant;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_acquire twice = {.reentrant = 1};
    hf_record *done = begin(client, "done", "it", HF_TAKEOVER_AUTO, HF_OK);
    must(hf_record_complete(done, HF_DONE, &(hf_result){.body = "x", .body_bytes = 1}, NULL));
    must(hf_lock_new(client, &lock));
    must(hf_lock_acquire_with(lock, "counted", &twice, &grant, NULL));
    must(hf_lock_acquire_with(lock, "counted", &twice, &grant, NULL));
    const int answers[] = {HF_ENOTFOUND, HF_EFIRED, HF_ENOTFOUND};
    const hf_accept either = {.verdicts = 1, .answers = answers, .answer_count = 3};
    const hf_accept counted = {.verdicts = 1U << HF_RELEASE_COUNTED};
    const hf_accept replay = {.verdicts = 1U << HF_STARTED | 1U << HF_REPLAY};
    hf_begin how = {0};
    hf_fingerprint("it", 2, how.fingerprint);
    must(hf_txn_new(client, &txn));
    must(hf_txn_timer_cancel(txn, "nothing", &either));
    must(hf_txn_release(txn, lock, &grant, &counted));
    must(hf_txn_begin(txn, "done", &how, &replay));
    hf_timer timer = {.group = "g", .delay_ms = 5000};
    must(hf_txn_timer_set(txn, "something", &timer, NULL));
    must(hf_txn_run(txn, NULL));
    assert_int_equal(hf_txn_look(txn, 0)->status, HF_ENOTFOUND);
    assert_int_equal(hf_txn_look(txn, 1)->verdict, HF_RELEASE_COUNTED);
    assert_int_equal(hf_txn_look(txn, 2)->verdict, HF_REPLAY);
    assert_int_equal(hf_txn_look(txn, 2)->partial, 1);
    assert_int_equal(hf_txn_look(txn, 3)->verdict, HF_TIMER_SCHEDULED);
    assert_int_equal(hf_txn_look(txn, 3)->timer.left_ms, 5000);
    assert_true(hf_grant_valid(&grant, 1000)); /* once more */
    hf_record *record;
    must(hf_txn_take_record(txn, 2, &record));
    assert_int_equal(hf_record_look(record)->outcome, HF_DONE);
    assert_int_equal(hf_record_look(record)->body_bytes, 0);
    hf_record_free(record);
    hf_txn_free(txn);
    must(hf_lock_release(lock, &grant, NULL));
    assert_int_equal(hf_grant_state(&grant), HF_GRANT_ENDED);
    hf_lock_free(lock);
    hf_record_free(done);
    hf_client_close(client);
}

static void test_what_may_not_be_put_together(void **state)
{
    (void)state;
    hf_txn *txn;
    hf_lock *lock;
    hf_lock *other;
    hf_grant grant;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_record *done = begin(client, "done", "it", HF_TAKEOVER_AUTO, HF_OK);
    must(hf_lock_new(client, &lock));
    must(hf_lock_new(client, &other));
    must(hf_lock_acquire(lock, "mine", 0, &grant, NULL));
    must(hf_txn_new(client, &txn));
    assert_int_equal(hf_txn_run(txn, NULL), HF_EINVAL);
    const hf_accept nothing = {0};
    assert_int_equal(hf_txn_timer_cancel(txn, "t", &nothing), HF_EINVAL);
    const hf_accept no_such = {.verdicts = 2};
    assert_int_equal(hf_txn_timer_cancel(txn, "t", &no_such), HF_EINVAL);
    assert_int_equal(hf_txn_timer_cancel(txn, "", NULL), HF_EINVAL);
    const int weather = HF_ETOOBUSY;
    const hf_accept too_busy = {.answers = &weather, .answer_count = 1};
    assert_int_equal(hf_txn_timer_cancel(txn, "t", &too_busy), HF_EINVAL);
    const hf_begin waits = {.wait_ms = 1};
    assert_int_equal(hf_txn_begin(txn, "k", &waits, NULL), HF_EINVAL);
    assert_int_equal(hf_txn_complete(txn, done, HF_DONE, NULL, NULL), HF_EBADSTATE);
    assert_int_equal(hf_txn_release(txn, other, &grant, NULL), HF_ENOTOWNER);
    must(hf_txn_timer_cancel(txn, "t", NULL));
    must(hf_txn_timer_cancel(txn, "t", NULL));
    assert_int_equal(hf_txn_run(txn, NULL), HF_EINVAL);
    for (int i = 2; i < HF_TXN_OPS_MAX; i++) must(hf_txn_timer_cancel(txn, "t", NULL));
    assert_int_equal(hf_txn_timer_cancel(txn, "u", NULL), HF_ETOOLARGE);
    hf_txn_free(txn);

    must(hf_txn_new(client, &txn));
    must(hf_txn_release(txn, lock, &grant, NULL));
    must(hf_lock_release(lock, &grant, NULL));
    assert_int_equal(hf_txn_run(txn, NULL), HF_ENOTHELD);
    assert_int_equal(hf_txn_release(txn, lock, &grant, NULL), HF_ENOTHELD);
    hf_txn_free(txn);
    hf_txn_free(NULL);
    hf_record_free(done);
    hf_lock_free(lock);
    hf_lock_free(other);
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

/* The server is killed at some moment of each: it is asked again under its number until it was
 * done, once; meanwhile the grant is not valid. */
static void test_it_is_done_once_over_kills(void **state)
{
    (void)state;
    enum { KILLS = 8 };
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    for (unsigned i = 0; i < KILLS; i++) {
        struct order o;
        _Atomic int done = 1;
        open_order(&o, client, 100 + i, 3600000);
        hf_txn *txn = pay(&o);
        if (i % 2 == 0) server_process_kill(&server);
        must(hf_txn_run_async(txn, NULL, note_done, (void *)&done, NULL));
        if (i % 2 == 0) assert_false(hf_grant_valid(&o.grant, 0));
        if (i % 2 != 0) sleep_ms(i / 2);
        if (i % 2 != 0) server_process_kill(&server);
        assert_true(server_process_start(&server));
        must(wait_for(&done));
        expect_paid(&o, txn);
        hf_txn_free(txn);
        close_order(&o);
    }
    hf_client_close(client);
}

static int retry(hf_request *request)
{
    int rv = HF_EUNKNOWN;
    for (int tries = 0; rv == HF_EUNKNOWN && tries < 30; tries++) rv = hf_request_retry(request);
    return rv;
}

/* Nobody knows whether it was done until it is asked for again; then its answers are there. */
static void test_an_unknown_one_is_asked_for_again(void **state)
{
    (void)state;
    struct order o;
    hf_request request;
    hf_client *client = open_client(proxy.port, TTL_MS, 1000);
    open_order(&o, client, 200, 3600000);
    hf_txn *txn = pay(&o);
    proxy_hold(&proxy, true);
    assert_int_equal(hf_txn_run(txn, &request), HF_EUNKNOWN);
    assert_null(hf_txn_look(txn, 0));
    assert_int_equal(hf_txn_refused(txn), -1);
    assert_false(hf_grant_valid(&o.grant, 0));
    assert_int_equal(hf_grant_state(&o.grant), HF_GRANT_SUSPECT);
    proxy_hold(&proxy, false);
    must(retry(&request));
    expect_paid(&o, txn);
    hf_txn_free(txn);
    close_order(&o);
    hf_client_close(client);
}

/* A TXN that begins one record; nobody here hears whether it was done. */
static hf_txn *begin_unheard(hf_client *client, const char *key, hf_request *request)
{
    hf_txn *txn;
    hf_begin how = {0};
    hf_fingerprint("it", 2, how.fingerprint);
    must(hf_txn_new(client, &txn));
    must(hf_txn_begin(txn, key, &how, NULL));
    proxy_hold(&proxy, true);
    assert_int_equal(hf_txn_run(txn, request), HF_EUNKNOWN);
    proxy_hold(&proxy, false);
    return txn;
}

static int see_record(const hf_record_line *line, void *data)
{
    (void)line;
    (void)data;
    return 0;
}

/* Its session has ended since, and with it the attempt: that the next session lives means nothing.
 */
static void test_an_attempt_ends_with_the_session_that_began_it(void **state)
{
    (void)state;
    hf_lock *lock;
    hf_lock *others;
    hf_grant grant;
    hf_request request;
    hf_record *record = NULL;
    hf_client *client = open_client(proxy.port, 2000, 1000);
    hf_client *other = open_client(server.port, TTL_MS, TIMEOUT_MS);
    must(hf_lock_new(client, &lock));
    must(hf_lock_new(other, &others));
    must(hf_lock_acquire(lock, "outlived/1", 0, &grant, NULL));
    hf_txn *txn = begin_unheard(client, "outlived", &request);
    while (hf_record_info(other, "outlived", see_record, NULL) != HF_OK) sleep_ms(1);
    proxy_hold(&proxy, true);
    must(hf_lock_acquire(others, "outlived/1", 20000, &grant, NULL)); /* the session has expired */
    proxy_hold(&proxy, false);
    int rv = HF_ETIMEOUT;
    for (int tries = 0; rv != HF_OK && tries < 30; tries++)
        rv = hf_lock_acquire(lock, "outlived/2", 0, &grant, NULL);
    must(rv); /* the next one is open */
    must(retry(&request));
    assert_int_equal(hf_txn_take_record(txn, 0, &record), HF_ELOST);
    hf_record *taken = begin(other, "outlived", "it", HF_TAKEOVER_AUTO, HF_OK);
    assert_int_equal(hf_record_look(taken)->verdict, HF_TAKEOVER);
    hf_record_free(taken);
    hf_txn_free(txn);
    hf_lock_free(others);
    hf_lock_free(lock);
    hf_client_close(other);
    hf_client_close(client);
}

/* Who asks again for one that was freed gets its verdict; nobody can take what it began. */
static void test_what_a_freed_one_began_is_given_back(void **state)
{
    (void)state;
    hf_request request;
    hf_record *record = NULL;
    hf_begin how = {.wait_ms = 10000};
    hf_fingerprint("it", 2, how.fingerprint);
    hf_client *client = open_client(proxy.port, TTL_MS, 1000);
    hf_client *other = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_record_free(begin(client, "freed/before", "it", HF_TAKEOVER_AUTO, HF_OK));
    hf_txn *txn = begin_unheard(client, "freed", &request);
    hf_txn_free(txn);
    must(retry(&request));
    must(hf_record_begin(other, "freed", &how, &record, NULL));
    assert_int_equal(hf_record_look(record)->verdict, HF_TAKEOVER);
    hf_record_free(record);
    hf_client_close(other);
    hf_client_close(client);
}

/* A TXN that completes an attempt, and cancels a timer that is not there, is lost on its way; its
 * caller leaves. \return what another client hears of the record when it was repeated */
static hf_record *complete_and_leave(hf_client *client, hf_client *other, const char *key,
                                     int takeover, const hf_accept *cancel)
{
    hf_txn *txn;
    hf_begin how = {.takeover = takeover, .wait_ms = 10000};
    hf_record *record = begin(client, key, "it", takeover, HF_OK);
    must(hf_txn_new(client, &txn));
    must(hf_txn_complete(txn, record, HF_DONE, NULL, NULL));
    must(hf_txn_timer_cancel(txn, "none", cancel));
    proxy_hold(&proxy, true);
    assert_int_equal(hf_txn_run(txn, NULL), HF_EUNKNOWN);
    hf_txn_free(txn);
    hf_record_free(record);
    proxy_cut_after(&proxy, 0, -1);
    proxy_hold(&proxy, false);
    hf_fingerprint("it", 2, how.fingerprint);
    must(hf_record_begin(other, key, &how, &record, NULL));
    return record;
}

/* While the outcome of a completion is open, to give its attempt back would end it otherwise. When
 * it was not done, nobody else ends it. */
static void test_an_attempt_that_is_being_completed_is_given_back_later(void **state)
{
    (void)state;
    const int answer = HF_ENOTFOUND;
    const hf_accept any = {.verdicts = 1, .answers = &answer, .answer_count = 1};
    hf_client *client = open_client(proxy.port, TTL_MS, 1000);
    hf_client *other = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_record *record = complete_and_leave(client, other, "left/1", HF_TAKEOVER_NEVER, &any);
    assert_int_equal(hf_record_look(record)->verdict, HF_REPLAY);
    assert_int_equal(hf_record_look(record)->outcome, HF_DONE);
    hf_record_free(record);
    record = complete_and_leave(client, other, "left/2", HF_TAKEOVER_AUTO, NULL);
    assert_int_equal(hf_record_look(record)->verdict, HF_TAKEOVER);
    hf_record_free(record);
    hf_client_close(other);
    hf_client_close(client);
}

/* The answer is cut off at each of its first bytes: the repeated one tells the same, its attempt
 * stands. */
static void test_a_lost_answer_is_told_again(void **state)
{
    (void)state;
    enum { CUTS = 40 };
    hf_client *client = open_client(proxy.port, TTL_MS, TIMEOUT_MS);
    uint32_t cuts = proxy_cuts(&proxy);
    for (unsigned i = 0; i < CUTS; i++) {
        struct order o;
        open_order(&o, client, 300 + i, 3600000);
        hf_txn *txn = pay(&o);
        proxy_cut_after(&proxy, -1, (int64_t)i);
        must(hf_txn_run(txn, NULL));
        proxy_cut_after(&proxy, -1, -1);
        expect_paid(&o, txn);
        hf_txn_free(txn);
        close_order(&o);
    }
    assert_true(proxy_cuts(&proxy) > cuts + CUTS / 2);
    hf_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_it_is_done),
        cmocka_unit_test(test_nothing_of_it_is_done),
        cmocka_unit_test(test_what_else_is_accepted),
        cmocka_unit_test(test_what_may_not_be_put_together),
        cmocka_unit_test(test_it_is_done_once_over_kills),
        cmocka_unit_test(test_an_unknown_one_is_asked_for_again),
        cmocka_unit_test(test_an_attempt_ends_with_the_session_that_began_it),
        cmocka_unit_test(test_what_a_freed_one_began_is_given_back),
        cmocka_unit_test(test_an_attempt_that_is_being_completed_is_given_back_later),
        cmocka_unit_test(test_a_lost_answer_is_told_again),
    };
    return cmocka_run_group_tests_name("client_txn", tests, setup, teardown);
}
