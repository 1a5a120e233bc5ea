/* The audit (docs/contract.md, section 10): what administrators did, as AUDIT shows it. */
#include <string.h>

#include "base/status.h"
#include "machine/acts.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

enum { TTL_MS = 3600000 };

static bool is_text(struct slice text, const char *expected)
{
    return slice_equal(text, slice_of(expected));
}

/* The acts behind `cursor`, as one page. */
static struct msg_audit_reply acts_behind(struct fixture *f, uint64_t cursor, uint64_t count_max)
{
    struct msg_audit audit = {.cursor = cursor, .count_max = count_max};
    struct msg_audit_reply reply;
    read_ok(f, OP_CODE_AUDIT, &audit, 0, &reply);
    return reply;
}

static struct act_line act_at(const struct msg_audit_reply *reply, uint32_t i)
{
    assert_true(i < reply->acts.count);
    return ((const struct act_line *)reply->acts.items)[i];
}

static int set(struct fixture *f, uint64_t session, uint64_t seq, uint64_t value)
{
    struct envelope envelope = {
        .session = session,
        .seq = seq,
        .renews = 1,
        .ack = seq - 1,
        .principal = slice_of("anonymous"),
        .peer = slice_of("10.1.2.3:4567"),
    };
    struct msg_config_set request = {
        .name = slice_of("tombstone_factor"),
        .value = value,
        .reason = slice_of("the drill"),
        .operator_name = slice_of("ann"),
    };
    return call_with(f, OP_CODE_CONFIG_SET, &envelope, &request)->status;
}

/* Who, when, from where, what, why, before, after: and a retry is no second act. */
static void test_an_act_leaves_who_and_why_once(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "ann's tool", TTL_MS);
    assert_int_equal(set(f, s, 1, 12), HF_OK);
    assert_int_equal(set(f, s, 1, 12), HF_OK);
    struct msg_audit_reply reply = acts_behind(f, 0, 10);
    assert_int_equal(reply.acts.count, 1);
    assert_int_equal(reply.cursor, 0);
    struct act_line act = act_at(&reply, 0);
    assert_int_equal(act.number, 1);
    assert_int_equal(act.at_ms, f->now_ms);
    assert_int_equal(act.wall_ms, f->wall_ms);
    assert_int_equal(act.session, s);
    assert_int_equal(act.op, OP_CODE_CONFIG_SET);
    assert_true(is_text(act.client_name, "ann's tool"));
    assert_true(is_text(act.principal, "anonymous"));
    assert_true(is_text(act.peer, "10.1.2.3:4567"));
    assert_true(is_text(act.operator_name, "ann"));
    assert_true(is_text(act.name, "tombstone_factor"));
    assert_true(is_text(act.reason, "the drill"));
    assert_true(is_text(act.before, "10"));
    assert_true(is_text(act.after, "12"));
}

/* What was refused has changed nothing, and is no act. */
static void test_a_refused_act_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    assert_int_equal(set(f, s, 1, 0), HF_EBADREQUEST);
    assert_int_equal(acts_behind(f, 0, 10).acts.count, 0);
}

/* Pages follow each other without a gap, from any number on. */
static void test_acts_are_read_page_by_page(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    for (uint64_t i = 1; i <= 7; i++) assert_int_equal(set(f, s, i, 10 + i), HF_OK);
    uint64_t seen = 2;
    uint64_t cursor = 2;
    do {
        struct msg_audit_reply reply = acts_behind(f, cursor, 2);
        for (uint32_t i = 0; i < reply.acts.count; i++)
            assert_int_equal(act_at(&reply, i).number, ++seen);
        cursor = reply.cursor;
    } while (cursor != 0);
    assert_int_equal(seen, 7);
    assert_int_equal(acts_behind(f, 7, 2).acts.count, 0);
    assert_int_equal(acts_behind(f, UINT64_MAX, 2).acts.count, 0);
}

/* The oldest go: the last 10,000 are kept, and numbers go on. */
static void test_the_last_ten_thousand_acts_are_kept(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    f->unchecked = true;
    for (uint64_t i = 1; i <= ACTS_KEPT_MAX + 5; i++) {
        f->unchecked = i < ACTS_KEPT_MAX - 2;
        assert_int_equal(set(f, s, i, 10 + i % 2), HF_OK);
    }
    struct msg_audit_reply reply = acts_behind(f, 0, 1);
    assert_int_equal(act_at(&reply, 0).number, 6);
    reply = acts_behind(f, ACTS_KEPT_MAX, PAGE_ITEMS_MAX);
    assert_int_equal(reply.acts.count, 5);
    assert_int_equal(store_count(f->store, TABLE_ACTS), ACTS_KEPT_MAX);
}

/* ------------------------------------------------------------------ records */

static uint64_t fail_record(struct fixture *f, uint64_t session, uint64_t seq, const char *key,
                            uint64_t external)
{
    static const uint8_t fingerprint[FINGERPRINT_BYTES] = {7};
    struct msg_begin begin = {
        .key = slice_of(key),
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .lease_ms = 1000,
        .retain_ms = RETAIN_MS_MIN,
    };
    struct msg_begin_reply begun;
    read_body(f, OP_CODE_BEGIN, call(f, OP_CODE_BEGIN, session, seq, &begin), &begun);
    if (external != MARK_NONE) {
        struct msg_checkpoint mark = {.key = slice_of(key),
                                      .fencing_token = begun.fencing_token,
                                      .number = 1,
                                      .external = external};
        assert_int_equal(call(f, OP_CODE_CHECKPOINT, session, seq + 1, &mark)->status, HF_OK);
        pass(f, 1000);
        return begun.fencing_token;
    }
    struct msg_complete complete = {
        .key = slice_of(key), .fencing_token = begun.fencing_token, .outcome = OUTCOME_FAILED};
    assert_int_equal(call(f, OP_CODE_COMPLETE, session, seq + 1, &complete)->status, HF_OK);
    return begun.fencing_token;
}

/* RESOLVE, REOPEN and ERASE are acts; evidence stays with the record alone, where ERASE finds it;
 * an ERASE that has nothing to drop is no second act. */
static void test_what_is_done_to_records_is_kept(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    uint64_t token = fail_record(f, s, 1, "pay/1", MARK_NONE);
    struct msg_reopen reopen = {
        .key = slice_of("pay/1"),
        .fencing_token = token,
        .outcome = OUTCOME_FAILED,
        .reason = slice_of("the card works again"),
        .operator_name = slice_of("bob"),
    };
    assert_int_equal(call(f, OP_CODE_REOPEN, s, 3, &reopen)->status, HF_OK);
    token = fail_record(f, s, 4, "pay/2", MARK_ONCE);
    struct msg_resolve resolve = {
        .key = slice_of("pay/2"),
        .fencing_token = token,
        .outcome = OUTCOME_DONE,
        .evidence = slice_of("\xff the bank's letter"),
        .operator_name = slice_of("ann"),
    };
    assert_int_equal(call(f, OP_CODE_RESOLVE, s, 6, &resolve)->status, HF_OK);
    struct msg_erase erase = {.key = slice_of("pay/2"),
                              .reason = slice_of("she asked"),
                              .operator_name = slice_of("eve")};
    assert_int_equal(call(f, OP_CODE_ERASE, s, 7, &erase)->status, HF_OK);
    assert_int_equal(call(f, OP_CODE_ERASE, s, 8, &erase)->status, HF_OK);

    struct msg_audit_reply reply = acts_behind(f, 0, 10);
    assert_int_equal(reply.acts.count, 3);
    struct act_line reopened = act_at(&reply, 0);
    assert_int_equal(reopened.op, OP_CODE_REOPEN);
    assert_true(is_text(reopened.before, "FAILED, attempt 1, token 1"));
    assert_true(is_text(reopened.after, "RETRYABLE"));
    assert_true(is_text(reopened.reason, "the card works again"));
    struct act_line resolved = act_at(&reply, 1);
    assert_int_equal(resolved.op, OP_CODE_RESOLVE);
    assert_true(is_text(resolved.before, "UNKNOWN, attempt 1, token 2"));
    assert_true(is_text(resolved.after, "DONE"));
    assert_int_equal(resolved.reason.size, 0);
    struct act_line erased = act_at(&reply, 2);
    assert_int_equal(erased.op, OP_CODE_ERASE);
    assert_true(is_text(erased.after, "DONE, erased"));
    assert_true(is_text(erased.operator_name, "eve"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(test_an_act_leaves_who_and_why_once),  TEST(test_a_refused_act_leaves_nothing),
        TEST(test_acts_are_read_page_by_page),      TEST(test_the_last_ten_thousand_acts_are_kept),
        TEST(test_what_is_done_to_records_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
