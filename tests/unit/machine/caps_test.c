/* Caps on what a principal has (docs/contract.md, section 9). The invariants count everything anew
 * after each entry; here is what is refused, what is not, and whose a thing is. */
#include <stdio.h>

#include "base/hash.h"
#include "base/status.h"
#include "machine/rows.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

enum { TTL_MS = 60000, LEASE_MS = 5000, RETAIN_MS = RETAIN_MS_MIN };

static const char HOME[] = "10.0.0.1:4000";

static const struct answer *open_from(struct fixture *f, const char *name, uint64_t secret,
                                      const char *peer)
{
    uint8_t bytes[SESSION_SECRET_BYTES] = {0};
    put_u64(bytes, secret);
    struct msg_open open = {
        .secret = slice_make(bytes, sizeof bytes),
        .ttl_ms = TTL_MS,
        .name = slice_of(name),
    };
    struct envelope envelope = {.principal = slice_of("anonymous"), .peer = slice_of(peer)};
    return call_with(f, OP_CODE_OPEN, &envelope, &open);
}

static uint64_t open_ok(struct fixture *f, const char *name, uint64_t secret, const char *peer)
{
    struct msg_open_reply reply;
    const struct answer *answer = open_from(f, name, secret, peer);
    assert_int_equal(answer->status, HF_OK);
    read_body(f, OP_CODE_OPEN, answer, &reply);
    return reply.session;
}

/* By an administrator who is a principal of his own. */
static void set(struct fixture *f, const char *setting, uint64_t value)
{
    uint64_t secret = hash64(f->now_ms, setting, strlen(setting));
    uint64_t admin = open_ok(f, "admin", secret, "10.9.9.9:1");
    struct msg_config_set request = {
        .name = slice_of(setting),
        .value = value,
        .reason = slice_of("a test"),
        .operator_name = slice_of("ann"),
    };
    assert_int_equal(call(f, OP_CODE_CONFIG_SET, admin, 1, &request)->status, HF_OK);
    assert_int_equal(close_session(f, admin, 2), HF_OK);
}

static void expect_quota(struct fixture *f, uint16_t op, const struct answer *answer,
                         uint64_t which, uint64_t count, uint64_t max)
{
    struct msg_quota quota;
    assert_int_equal(answer->status, HF_EQUOTA);
    read_body(f, op, answer, &quota);
    assert_int_equal(quota.which, which);
    assert_int_equal(quota.count, count);
    assert_int_equal(quota.max, max);
}

static struct msg_begin a_begin(const char *key)
{
    static const uint8_t fingerprint[FINGERPRINT_BYTES] = {1};
    return (struct msg_begin){
        .key = slice_of(key),
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .lease_ms = LEASE_MS,
        .retain_ms = RETAIN_MS,
    };
}

static uint64_t begin_ok(struct fixture *f, uint64_t session, uint64_t seq, const char *key)
{
    struct msg_begin begin = a_begin(key);
    struct msg_begin_reply reply;
    read_body(f, OP_CODE_BEGIN, call(f, OP_CODE_BEGIN, session, seq, &begin), &reply);
    assert_true(reply.fencing_token != 0);
    return reply.fencing_token;
}

static const struct answer *begin(struct fixture *f, uint64_t session, uint64_t seq,
                                  const char *key)
{
    struct msg_begin request = a_begin(key);
    return call(f, OP_CODE_BEGIN, session, seq, &request);
}

static int complete(struct fixture *f, uint64_t session, uint64_t seq, const char *key,
                    uint64_t token, uint64_t outcome, size_t bytes)
{
    static const uint8_t body[BODY_BYTES_MAX];
    struct msg_complete request = {
        .key = slice_of(key),
        .fencing_token = token,
        .outcome = outcome,
        .body = slice_make(body, outcome == OUTCOME_RETRYABLE ? 0 : bytes),
    };
    return call(f, OP_CODE_COMPLETE, session, seq, &request)->status;
}

/* The third OPEN of one client at one host is refused; of another client, or from another host, it
 * is not; nor is the repeated one of a session that is there. */
static void test_a_principal_has_so_many_sessions_and_no_more(void **state)
{
    struct fixture *f = *state;
    set(f, "principal_sessions_max", 2);
    uint64_t first = open_ok(f, "pay", 1, HOME);
    uint64_t second = open_ok(f, "pay", 2, "10.0.0.1:4001");
    expect_quota(f, OP_CODE_OPEN, open_from(f, "pay", 3, HOME), QUOTA_SESSIONS, 2, 2);
    assert_int_equal(open_ok(f, "pay", 2, HOME), second);
    (void)open_ok(f, "bill", 4, HOME);
    (void)open_ok(f, "pay", 5, "10.0.0.2:4000");
    (void)open_ok(f, "pay", 6, "[::1]:4000");

    assert_int_equal(close_session(f, first, 1), HF_OK);
    (void)open_ok(f, "pay", 3, HOME);
    expect_quota(f, OP_CODE_OPEN, open_from(f, "pay", 7, HOME), QUOTA_SESSIONS, 2, 2);
    pass(f, TTL_MS + 1); /* what has expired counts no more */
    (void)open_ok(f, "pay", 7, HOME);
    (void)open_ok(f, "pay", 8, HOME);
}

/* Names that are held and names that are waited for count alike, over all sessions; what frees them
 * works at the cap, and a waiter is served there. */
static void test_names_are_counted_over_all_sessions_of_a_principal(void **state)
{
    struct fixture *f = *state;
    uint64_t one = open_ok(f, "pay", 1, HOME);
    uint64_t other = open_ok(f, "pay", 2, HOME);
    uint64_t stranger = open_ok(f, "bill", 3, HOME);
    set(f, "principal_names_max", 3);
    uint64_t token = acquire_ok(f, one, 1, (struct want){.name = "a", .also = {"b"}, .owner = 1});
    expect_quota(f, OP_CODE_ACQUIRE,
                 acquire(f, other, 1, (struct want){.name = "c", .also = {"d"}, .owner = 1}),
                 QUOTA_NAMES, 2, 3);
    const struct want waits = {.name = "a", .owner = 1, .wait_ms = 10000};
    assert_int_equal(acquire_status(f, other, 2, waits), ACQUIRE_WAITS);
    const struct want c = {.name = "c", .owner = 2};
    expect_quota(f, OP_CODE_ACQUIRE, acquire(f, one, 2, c), QUOTA_NAMES, 3, 3);
    (void)acquire_ok(f, stranger, 1, c);

    assert_int_equal(release(f, one, 3, NULL, token, 1), HF_OK);
    assert_int_equal(find_woken(f, other, 2)->status, HF_OK);
    (void)acquire_ok(f, one, 4, (struct want){.name = "e", .also = {"f"}, .owner = 3});
    /* What was refused is answered so again: the number was used. */
    assert_int_equal(acquire(f, one, 2, c)->status, HF_EQUOTA);
    pass(f, TTL_MS + 1);
    uint64_t next = open_ok(f, "pay", 9, HOME);
    (void)acquire_ok(f, next, 1, (struct want){.name = "a", .also = {"b", "c"}, .owner = 1});
}

/* A cap that is set below what is there takes nothing away, and what frees goes on. */
static void test_a_lower_cap_refuses_new_work_alone(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_ok(f, "pay", 1, HOME);
    uint64_t token = acquire_ok(f, s, 1, (struct want){.name = "a", .also = {"b"}, .owner = 1});
    uint64_t attempt = begin_ok(f, s, 2, "k1");
    (void)begin_ok(f, s, 3, "k2");
    set(f, "principal_names_max", 1);
    set(f, "principal_records_max", 1);
    set(f, "principal_sessions_max", 1);
    expect_quota(f, OP_CODE_ACQUIRE, acquire(f, s, 4, (struct want){.name = "c", .owner = 2}),
                 QUOTA_NAMES, 2, 1);
    expect_quota(f, OP_CODE_BEGIN, begin(f, s, 5, "k3"), QUOTA_RECORDS, 2, 1);
    assert_int_equal(keep(f, s), HF_OK);
    assert_int_equal(complete(f, s, 6, "k1", attempt, OUTCOME_DONE, 100), HF_OK);
    assert_int_equal(release(f, s, 7, NULL, token, 1), HF_OK);
    assert_int_equal(close_session(f, s, 8), HF_OK);
}

/* RUNNING, lapsed, RETRYABLE and UNKNOWN ones count; whoever takes one over finishes it as the
 * maker's, and may although he has as many as he may himself. */
static void test_records_without_an_outcome_count_as_their_maker_s(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_ok(f, "pay", 1, HOME);
    uint64_t other = open_ok(f, "bill", 2, HOME);
    set(f, "principal_records_max", 2);
    uint64_t token = begin_ok(f, s, 1, "k1");
    assert_int_equal(complete(f, s, 2, "k1", token, OUTCOME_RETRYABLE, 0), HF_OK);
    (void)begin_ok(f, s, 3, "k2");
    pass(f, LEASE_MS + 1); /* k2 has lapsed */
    expect_quota(f, OP_CODE_BEGIN, begin(f, s, 4, "k3"), QUOTA_RECORDS, 2, 2);
    assert_int_equal(begin(f, s, 5, "k1")->status, HF_OK); /* its next attempt */

    (void)begin_ok(f, other, 1, "o1");
    (void)begin_ok(f, other, 2, "o2");
    uint64_t taken = begin_ok(f, other, 3, "k2");
    expect_quota(f, OP_CODE_BEGIN, begin(f, other, 4, "k4"), QUOTA_RECORDS, 2, 2);
    assert_int_equal(complete(f, other, 5, "k2", taken, OUTCOME_DONE, 1), HF_OK);
    expect_quota(f, OP_CODE_BEGIN, begin(f, other, 6, "k4"), QUOTA_RECORDS, 2, 2);
    (void)begin_ok(f, s, 6, "k3"); /* the place was s's */
}

/* A record outlives its session and goes on counting for its principal, the tombstone for its
 * bytes; REOPEN, an administrator's, is never refused. */
static void test_bytes_count_until_the_tombstone_has_gone(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_ok(f, "pay", 1, HOME);
    uint64_t token = begin_ok(f, s, 1, "k1");
    assert_int_equal(complete(f, s, 2, "k1", token, OUTCOME_FAILED, 8000), HF_OK);
    set(f, "principal_bytes_max", 8192);
    expect_quota(f, OP_CODE_BEGIN, begin(f, s, 3, "k2"), QUOTA_BYTES, 8000 + 512 + 2, 8192);
    pass(f, RETAIN_MS + 1); /* session and record are gone: the tombstone is left */

    s = open_ok(f, "pay", 2, HOME);
    set(f, "principal_records_max", 1);
    (void)begin_ok(f, s, 1, "k2");
    struct msg_reopen reopen = {
        .key = slice_of("k1"),
        .fencing_token = token,
        .outcome = OUTCOME_FAILED,
        .reason = slice_of("a test"),
        .operator_name = slice_of("ann"),
    };
    assert_int_equal(call(f, OP_CODE_REOPEN, s, 2, &reopen)->status, HF_OK);
    expect_quota(f, OP_CODE_BEGIN, begin(f, s, 3, "k3"), QUOTA_RECORDS, 2, 1);
    pass(f, 12 * RETAIN_MS); /* all have gone with their principals' rows: the invariants say so */
    pass(f, 12 * RETAIN_MS);
    assert_int_equal(store_count(f->store, TABLE_PRINCIPALS), 0);
}

/* A checkpoint's data is its record's; it goes when the record has an outcome. */
static void test_the_data_of_a_checkpoint_counts(void **state)
{
    struct fixture *f = *state;
    static const uint8_t data[6000];
    uint64_t s = open_ok(f, "pay", 1, HOME);
    uint64_t token = begin_ok(f, s, 1, "k1");
    struct msg_checkpoint checkpoint = {
        .key = slice_of("k1"),
        .fencing_token = token,
        .number = 1,
        .data = slice_make(data, sizeof data),
    };
    set(f, "principal_bytes_max", 4096);
    assert_int_equal(call(f, OP_CODE_CHECKPOINT, s, 2, &checkpoint)->status, HF_OK);
    expect_quota(f, OP_CODE_BEGIN, begin(f, s, 3, "k2"), QUOTA_BYTES, 6000 + 512 + 2, 4096);
    assert_int_equal(complete(f, s, 4, "k1", token, OUTCOME_DONE, 1), HF_OK);
    (void)begin_ok(f, s, 5, "k2");
}

/* So many wait for one lock; who waits already waits on when the setting is lowered. */
static void test_a_lock_has_so_many_waiters_as_is_set(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_ok(f, "pay", 1, HOME);
    uint64_t token = acquire_ok(f, s, 1, (struct want){.name = "a", .owner = 1});
    for (uint64_t owner = 2; owner <= 4; owner++) {
        const struct want want = {.name = "a", .owner = owner, .wait_ms = 10000};
        assert_int_equal(acquire_status(f, s, owner, want), ACQUIRE_WAITS);
    }
    set(f, "lock_waiters_max", 2);
    const struct want more = {.name = "a", .owner = 5, .wait_ms = 10000};
    expect_quota(f, OP_CODE_ACQUIRE, acquire(f, s, 5, more), QUOTA_LOCK_WAITERS, 3, 2);
    assert_int_equal(release(f, s, 6, NULL, token, 1), HF_OK);
    assert_int_equal(find_woken(f, s, 2)->status, HF_OK);
    assert_int_equal(queue_of(f, "a"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(test_a_principal_has_so_many_sessions_and_no_more),
        TEST(test_names_are_counted_over_all_sessions_of_a_principal),
        TEST(test_a_lower_cap_refuses_new_work_alone),
        TEST(test_records_without_an_outcome_count_as_their_maker_s),
        TEST(test_bytes_count_until_the_tombstone_has_gone),
        TEST(test_the_data_of_a_checkpoint_counts),
        TEST(test_a_lock_has_so_many_waiters_as_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
