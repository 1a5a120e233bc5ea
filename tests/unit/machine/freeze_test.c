/* FREEZE and THAW (docs/contract.md, section 10). */
#include <stdio.h>

#include "base/status.h"
#include "machine/freeze.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

enum { TTL_MS = 3600000 };

static int act(struct fixture *f, uint16_t op, uint64_t session, uint64_t seq, const char *prefix)
{
    struct msg_freeze request = {
        .prefix = slice_of(prefix),
        .reason = slice_of("the drill"),
        .operator_name = slice_of("ann"),
    };
    return call(f, op, session, seq, &request)->status;
}

static int freeze(struct fixture *f, uint64_t session, uint64_t seq, const char *prefix)
{
    return act(f, OP_CODE_FREEZE, session, seq, prefix);
}

static int thaw(struct fixture *f, uint64_t session, uint64_t seq, const char *prefix)
{
    return act(f, OP_CODE_THAW, session, seq, prefix);
}

static struct msg_begin a_begin(const char *key, uint64_t wait_ms)
{
    static const uint8_t fingerprint[FINGERPRINT_BYTES] = {7};
    return (struct msg_begin){
        .key = slice_of(key),
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .lease_ms = 60000,
        .retain_ms = RETAIN_MS_MIN,
        .wait_ms = wait_ms,
    };
}

/* Nothing new under the prefix, in none of several names; outside it all is as ever. */
static void test_nothing_new_begins_under_a_frozen_prefix(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    assert_int_equal(freeze(f, s, 1, "pay/"), HF_OK);
    assert_int_equal(acquire_status(f, s, 2, (struct want){.name = "pay/1", .owner = 1}),
                     HF_EFROZEN);
    assert_int_equal(
        acquire_status(f, s, 3, (struct want){.name = "pay/1", .owner = 1, .wait_ms = 1000}),
        HF_EFROZEN);
    assert_int_equal(
        acquire_status(f, s, 4, (struct want){.name = "a", .also = {"pay/1"}, .owner = 1}),
        HF_EFROZEN);
    struct msg_begin begin = a_begin("pay/1", 0);
    assert_int_equal(call(f, OP_CODE_BEGIN, s, 5, &begin)->status, HF_EFROZEN);
    acquire_ok(f, s, 6, (struct want){.name = "pay", .owner = 1});
    begin = a_begin("pa", 0);
    assert_int_equal(call(f, OP_CODE_BEGIN, s, 7, &begin)->status, HF_OK);
    assert_int_equal(info_of(f, "pay/1").frozen, 1);
    assert_int_equal(info_of(f, "pay").frozen, 0);
    assert_int_equal(thaw(f, s, 8, "pay/"), HF_OK);
    acquire_ok(f, s, 9, (struct want){.name = "pay/1", .owner = 1});
}

/* What frees or renews goes on: a holder takes its lock once more, and gives it back. */
static void test_what_frees_or_renews_goes_on(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "holder", TTL_MS);
    struct want want = {.name = "pay/1", .owner = 1, .reentrant = 1};
    uint64_t token = acquire_ok(f, s, 1, want);
    struct msg_begin begin = a_begin("pay/2", 0);
    struct msg_begin_reply begun;
    read_body(f, OP_CODE_BEGIN, call(f, OP_CODE_BEGIN, s, 2, &begin), &begun);
    assert_int_equal(freeze(f, s, 3, ""), HF_OK);
    assert_int_equal(keep(f, s), HF_OK);
    assert_int_equal(acquire_ok(f, s, 4, want), token);
    assert_int_equal(release(f, s, 5, NULL, token, 1), HF_OK);
    assert_int_equal(release(f, s, 6, NULL, token, 1), HF_OK);
    struct msg_complete complete = {
        .key = slice_of("pay/2"), .fencing_token = begun.fencing_token, .outcome = OUTCOME_DONE};
    assert_int_equal(call(f, OP_CODE_COMPLETE, s, 7, &complete)->status, HF_OK);
}

/* Who waits gets nothing though the lock comes free, until the thaw; a wait ends in time. */
static void test_waiters_get_nothing_until_the_thaw(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "holder", TTL_MS);
    uint64_t t = open_session(f, "waiter", TTL_MS);
    uint64_t token = acquire_ok(f, s, 1, (struct want){.name = "pay/1", .owner = 1});
    struct want wait = {.name = "pay/1", .owner = 1, .wait_ms = 5000};
    assert_int_equal(acquire_status(f, t, 1, wait), ACQUIRE_WAITS);
    wait = (struct want){.name = "b", .also = {"pay/1"}, .owner = 2, .wait_ms = 60000};
    assert_int_equal(acquire_status(f, t, 2, wait), ACQUIRE_WAITS);
    assert_int_equal(freeze(f, s, 2, "pay/"), HF_OK);
    assert_int_equal(release(f, s, 3, NULL, token, 1), HF_OK);
    assert_null(find_woken(f, t, 1));
    pass(f, 5000);
    assert_int_equal(find_woken(f, t, 1)->status, HF_EWAITTIMEOUT);
    assert_null(find_woken(f, t, 2)); /* it is first in both queues now */
    assert_int_equal(thaw(f, s, 4, "pay/"), HF_OK);
    assert_int_equal(find_woken(f, t, 2)->status, HF_OK);
}

/* A parked BEGIN likewise: the attempt ended, and nobody takes over or is told before the thaw. */
static void test_parked_begins_get_nothing_until_the_thaw(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "runner", TTL_MS);
    uint64_t t = open_session(f, "waiter", TTL_MS);
    struct msg_begin begin = a_begin("pay/1", 0);
    struct msg_begin_reply begun;
    read_body(f, OP_CODE_BEGIN, call(f, OP_CODE_BEGIN, s, 1, &begin), &begun);
    begin = a_begin("pay/1", 600000);
    assert_int_equal(call(f, OP_CODE_BEGIN, t, 1, &begin)->kind, ANSWER_PARKED);
    assert_int_equal(freeze(f, s, 2, "pay/"), HF_OK);
    pass(f, 60000); /* its lease is over: lapsed */
    assert_null(find_woken(f, t, 1));
    assert_int_equal(thaw(f, s, 3, "pay/"), HF_OK);
    const struct answer *woken = find_woken(f, t, 1);
    assert_non_null(woken);
    read_body(f, OP_CODE_BEGIN, woken, &begun);
    assert_int_equal(begun.verdict, BEGIN_TAKEOVER);
}

/* Under two frozen prefixes, one thaw is not enough; who repeats is told so. */
static void test_one_of_two_thaws_is_not_enough(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    struct want want = {.name = "pay/1", .owner = 1};
    assert_int_equal(freeze(f, s, 1, "pay/"), HF_OK);
    assert_int_equal(freeze(f, s, 2, "p"), HF_OK);
    assert_int_equal(freeze(f, s, 3, "p"), HF_OK);
    assert_int_equal(acquire_status(f, s, 4, want), HF_EFROZEN);
    assert_int_equal(thaw(f, s, 5, "pay/"), HF_OK);
    assert_int_equal(thaw(f, s, 6, "pay/"), HF_ENOTFOUND);
    assert_int_equal(acquire_status(f, s, 7, want), HF_EFROZEN);
    struct msg_empty nothing = {0};
    struct msg_frozen_reply frozen;
    read_ok(f, OP_CODE_FROZEN_LIST, &nothing, 0, &frozen);
    assert_int_equal(frozen.prefixes.count, 1);
    const struct frozen_line *line = frozen.prefixes.items;
    assert_true(slice_equal(line->prefix, slice_of("p")));
    assert_true(slice_equal(line->reason, slice_of("the drill")));
    assert_int_equal(thaw(f, s, 8, "p"), HF_OK);
    acquire_ok(f, s, 9, want);
    struct msg_audit audit = {.count_max = 10};
    struct msg_audit_reply acts;
    read_ok(f, OP_CODE_AUDIT, &audit, 0, &acts);
    assert_int_equal(acts.acts.count, 4); /* the second "p" changed nothing */
}

/* At most 64 prefixes: a freeze is looked up at every request. */
static void test_no_more_than_64_prefixes_are_frozen(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    char prefix[16];
    for (uint64_t i = 0; i <= FROZEN_MAX; i++) {
        snprintf(prefix, sizeof prefix, "p%02u/", (unsigned)i);
        assert_int_equal(freeze(f, s, i + 1, prefix), i < FROZEN_MAX ? HF_OK : HF_EQUOTA);
    }
}

/* More names than one entry takes up: the next ones go on, until all who waited are served. */
static void test_a_thaw_of_many_names_goes_on_until_all_are_served(void **state)
{
    enum { NAMES = 2 * THAW_NAMES_MAX + 100 };
    struct fixture *f = *state;
    fixture_add_twin(f);
    f->unchecked = true;
    uint64_t s = open_session(f, "holder", TTL_MS);
    uint64_t t = open_session(f, "waiter", TTL_MS);
    char name[16];
    for (uint64_t i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "pay/%04u", (unsigned)i);
        acquire_ok(f, s, i + 1, (struct want){.name = name, .owner = 1});
        struct want wait = {.name = name, .owner = i + 1, .wait_ms = 600000};
        assert_int_equal(acquire_status(f, t, i + 1, wait), ACQUIRE_WAITS);
    }
    uint64_t admin = open_session(f, "admin", TTL_MS);
    assert_int_equal(freeze(f, admin, 1, "pay/"), HF_OK);
    assert_int_equal(close_session(f, s, NAMES + 1), HF_OK);
    f->unchecked = false;
    assert_int_equal(thaw(f, admin, 2, "pay/"), HF_OK);
    assert_int_equal(holders_of(f, "pay/0000"), 1);
    assert_int_equal(holders_of(f, "pay/1100"), 0);
    pass(f, 1);
    for (uint64_t i = 0; i < NAMES; i += 7) {
        snprintf(name, sizeof name, "pay/%04u", (unsigned)i);
        assert_int_equal(queue_of(f, name), 0);
        assert_int_equal(holders_of(f, name), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(test_nothing_new_begins_under_a_frozen_prefix),
        TEST(test_what_frees_or_renews_goes_on),
        TEST(test_waiters_get_nothing_until_the_thaw),
        TEST(test_parked_begins_get_nothing_until_the_thaw),
        TEST(test_one_of_two_thaws_is_not_enough),
        TEST(test_no_more_than_64_prefixes_are_frozen),
        TEST(test_a_thaw_of_many_names_goes_on_until_all_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
