/* REVOKE (docs/contract.md, section 10): a grant is asked back, and its holder told; at the end of
 * the grace it is forced, or an alarm is given. */
#include <stdio.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

enum { TTL_MS = 30000, LONG_TTL_MS = 3600000, GRACE_MS = 5000 };

static int revoke_with(struct fixture *f, uint64_t session, uint64_t seq, const char *name,
                       uint64_t token, uint64_t grace_ms, uint64_t then)
{
    struct msg_revoke request = {
        .name = slice_of(name),
        .fencing_token = token,
        .grace_ms = grace_ms,
        .then = then,
        .reason = slice_of("its host is drained"),
        .operator_name = slice_of("ann"),
    };
    return call(f, OP_CODE_REVOKE, session, seq, &request)->status;
}

static int revoke(struct fixture *f, uint64_t session, uint64_t seq, uint64_t token)
{
    return revoke_with(f, session, seq, "a", token, GRACE_MS, REVOKE_THEN_FORCE);
}

/* A holder, an administrator, and one who waits for the lock. */
struct trio {
    uint64_t holder;
    uint64_t admin;
    uint64_t waiter;
    uint64_t token; /* the holder's */
};

static struct trio make_trio(struct fixture *f)
{
    struct trio t;
    t.holder = open_session(f, "holder", TTL_MS);
    t.admin = open_session(f, "admin", LONG_TTL_MS);
    t.waiter = open_session(f, "waiter", LONG_TTL_MS);
    t.token = acquire_ok(f, t.holder, 1, (struct want){.name = "a", .owner = 1});
    struct want wait = {.name = "a", .owner = 1, .wait_ms = 600000};
    assert_int_equal(acquire_status(f, t.waiter, 1, wait), ACQUIRE_WAITS);
    return t;
}

static struct msg_keep_reply kept(struct fixture *f, uint64_t session, uint64_t acknowledged)
{
    struct msg_keep request = {0};
    struct msg_keep_reply reply;
    if (acknowledged != 0) request.losses_acked = (struct codec_u64s){&acknowledged, 1};
    read_body(f, OP_CODE_KEEP, call(f, OP_CODE_KEEP, session, 0, &request), &reply);
    return reply;
}

static const struct left_item *asked_at(const struct msg_keep_reply *reply, uint32_t at)
{
    assert_true(at < reply->asked.count);
    return (const struct left_item *)reply->asked.items + at;
}

/* The last act. \param number Out: how many there are */
static struct act_line last_act(struct fixture *f, uint64_t *number)
{
    struct msg_audit audit = {.count_max = 100};
    struct msg_audit_reply reply;
    read_ok(f, OP_CODE_AUDIT, &audit, 0, &reply);
    assert_true(reply.acts.count > 0);
    struct act_line act = ((const struct act_line *)reply.acts.items)[reply.acts.count - 1];
    *number = act.number;
    return act;
}

static struct holder_info holder_of(struct fixture *f)
{
    struct msg_info_reply info = info_of(f, "a");
    assert_int_equal(info.holders.count, 1);
    return *(const struct holder_info *)info.holders.items;
}

static void assert_text(struct slice text, const char *begin)
{
    assert_true(slice_starts(text, slice_of(begin)));
}

/* KEEP tells the holder and nobody else, with the time left; INFO shows it. */
static void test_the_holder_is_told_with_the_time_left(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f);
    assert_int_equal(kept(f, t.holder, 0).asked.count, 0);
    assert_int_equal(holder_of(f).asked, ASKED_NOT);
    assert_int_equal(revoke(f, t.admin, 1, t.token), HF_OK);
    pass(f, 1000);
    struct msg_keep_reply reply = kept(f, t.holder, 0);
    assert_int_equal(reply.asked.count, 1);
    assert_int_equal(asked_at(&reply, 0)->fencing_token, t.token);
    assert_int_equal(asked_at(&reply, 0)->left_ms, GRACE_MS - 1000);
    assert_int_equal(kept(f, t.waiter, 0).asked.count, 0);
    assert_int_equal(kept(f, t.admin, 0).asked.count, 0);
    assert_int_equal(holder_of(f).asked, ASKED_BACK);
    assert_int_equal(holder_of(f).asked_left_ms, GRACE_MS - 1000);
}

/* Released in time, the next one has it; what came of it is an act of who had asked. */
static void test_given_back_in_time_it_is_over(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f);
    uint64_t acts;
    assert_int_equal(revoke(f, t.admin, 1, t.token), HF_OK);
    struct act_line act = last_act(f, &acts);
    assert_int_equal(acts, 1);
    assert_text(act.before, "held by session ");
    assert_text(act.after, "asked back: 5000 ms of grace, then force");
    pass(f, 2000);
    assert_int_equal(release(f, t.holder, 2, "a", t.token, 1), HF_OK);
    assert_int_equal(find_woken(f, t.waiter, 1)->status, HF_OK);
    act = last_act(f, &acts);
    assert_int_equal(acts, 2);
    assert_int_equal(act.op, OP_CODE_REVOKE);
    assert_int_equal(act.session, t.admin);
    assert_true(slice_equal(act.operator_name, slice_of("ann")));
    assert_true(slice_equal(act.reason, slice_of("its host is drained")));
    assert_text(act.before, "asked back 2000 ms ago, 3000 ms left, then force");
    assert_text(act.after, "over: released by its holder");
    assert_int_equal(kept(f, t.holder, 0).asked.count, 0);
    pass(f, GRACE_MS); /* nothing of it is left to happen */
    last_act(f, &acts);
    assert_int_equal(acts, 2);
    assert_int_equal(holders_of(f, "a"), 1);
}

/* Whatever ends the grant ends it: CLOSE, expiry, ABANDON, hold_max, FORCE. */
static void test_any_other_end_of_the_grant_is_told(void **state)
{
    static const char *const ends[] = {
        "over: its holder's session was closed", "over: its holder's session expired",
        "over: given back by a client", "over: held as long", "over: forced by an act of its own"};
    struct fixture *f = *state;
    uint64_t admin = open_session(f, "admin", LONG_TTL_MS);
    for (uint64_t way = 0; way < HF_ARRAY_COUNT(ends); way++) {
        char name[] = {'h', (char)('0' + way), 0};
        uint64_t holder = open_session(f, name, 2000);
        struct want want = {.name = "a", .owner = 1, .hold_max_ms = way == 3 ? 1000 : 0};
        uint64_t token = acquire_ok(f, holder, 1, want);
        uint64_t acts;
        struct msg_force force = {.name = slice_of("a"),
                                  .fencing_token = token,
                                  .now = 1,
                                  .reason = slice_of("no patience"),
                                  .operator_name = slice_of("bob")};
        assert_int_equal(revoke(f, admin, 2 * way + 1, token), HF_OK);
        last_act(f, &acts);
        if (way == 0) assert_int_equal(close_session(f, holder, 2), HF_OK);
        if (way == 1) pass(f, 2000);
        if (way == 2) assert_int_equal(abandon(f, holder, token), HF_OK);
        if (way == 3) pass(f, 1000);
        if (way == 4)
            assert_int_equal(call(f, OP_CODE_FORCE, admin, 2 * way + 2, &force)->status, HF_OK);
        struct msg_audit audit = {.cursor = acts, .count_max = 1};
        struct msg_audit_reply reply;
        read_ok(f, OP_CODE_AUDIT, &audit, 0, &reply);
        assert_int_equal(reply.acts.count, 1);
        assert_text(((const struct act_line *)reply.acts.items)->after, ends[way]);
        assert_int_equal(holders_of(f, "a"), 0);
    }
}

/* The grace is over: forced, but nobody else has the lock before its holder knows. */
static void test_the_graces_end_forces_and_waits_for_the_holder(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f);
    uint64_t acts;
    assert_int_equal(revoke(f, t.admin, 1, t.token), HF_OK);
    pass(f, GRACE_MS - 1);
    assert_int_equal(holders_of(f, "a"), 1);
    pass(f, 1);
    assert_int_equal(holders_of(f, "a"), 0);
    assert_text(last_act(f, &acts).after, "grace over: forced");
    assert_int_equal(acts, 2);
    assert_null(find_woken(f, t.waiter, 1));
    struct msg_keep_reply reply = kept(f, t.holder, 0);
    assert_int_equal(reply.asked.count, 0);
    assert_int_equal(reply.lost.count, 1);
    assert_int_equal(((const struct lost_item *)reply.lost.items)->reason, END_FORCED);
    assert_null(find_woken(f, t.waiter, 1)); /* told is not heard */
    kept(f, t.holder, t.token);
    assert_int_equal(find_woken(f, t.waiter, 1)->status, HF_OK);
}

/* A holder that hears nothing: its lease, as it stood when the grace was over, bounds the wait. */
static void test_a_silent_holder_is_waited_for_as_long_as_its_lease(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f);
    assert_int_equal(revoke(f, t.admin, 1, t.token), HF_OK);
    pass(f, GRACE_MS);
    assert_int_equal(holders_of(f, "a"), 0);
    pass(f, TTL_MS - GRACE_MS - 1);
    assert_null(find_woken(f, t.waiter, 1));
    pass(f, 1);
    assert_int_equal(find_woken(f, t.waiter, 1)->status, HF_OK);
}

/* An alarm: the grant stays, is shown as overdue, and told with nothing left. */
static void test_an_alarm_leaves_the_grant(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f);
    uint64_t acts;
    assert_int_equal(revoke_with(f, t.admin, 1, "a", t.token, GRACE_MS, REVOKE_THEN_ALARM), HF_OK);
    pass(f, GRACE_MS);
    assert_text(last_act(f, &acts).after, "grace over: ALARM");
    assert_int_equal(f->overdue_count, 1);
    assert_int_equal(holder_of(f).asked, ASKED_OVERDUE);
    assert_int_equal(holder_of(f).asked_left_ms, 0);
    struct msg_keep_reply reply = kept(f, t.holder, 0);
    assert_int_equal(asked_at(&reply, 0)->left_ms, 0);
    pass(f, GRACE_MS);
    assert_int_equal(holders_of(f, "a"), 1);
    last_act(f, &acts);
    assert_int_equal(acts, 2); /* it is given once */
    assert_int_equal(f->overdue_count, 1);
    assert_int_equal(release(f, t.holder, 2, "a", t.token, 1), HF_OK);
    assert_text(last_act(f, &acts).after, "over: released by its holder");
    assert_int_equal(find_woken(f, t.waiter, 1)->status, HF_OK);
}

/* The last word counts, longer or shorter, and also after an alarm; the audit has both. */
static void test_a_later_revoke_replaces_the_one_before(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f);
    uint64_t acts;
    assert_int_equal(revoke(f, t.admin, 1, t.token), HF_OK);
    pass(f, 1000);
    assert_int_equal(revoke_with(f, t.admin, 2, "a", t.token, 8000, REVOKE_THEN_ALARM), HF_OK);
    assert_text(last_act(f, &acts).before, "asked back 1000 ms ago, 4000 ms left, then force");
    pass(f, 7999);
    assert_int_equal(holder_of(f).asked, ASKED_BACK);
    pass(f, 1);
    assert_int_equal(holder_of(f).asked, ASKED_OVERDUE);
    assert_int_equal(revoke_with(f, t.admin, 3, "a", t.token, 10, REVOKE_THEN_FORCE), HF_OK);
    assert_text(last_act(f, &acts).before, "asked back 8000 ms ago, 0 ms left, then alarm");
    assert_int_equal(holder_of(f).asked, ASKED_BACK);
    pass(f, 10);
    assert_int_equal(holders_of(f, "a"), 0);
}

/* More than one KEEP can tell: the next to end come first, overdue ones last. */
static void test_the_next_to_end_are_told_first(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = ASKED_MAX + 6 };
    uint64_t holder = open_session(f, "holder", LONG_TTL_MS);
    uint64_t admin = open_session(f, "admin", LONG_TTL_MS);
    uint64_t tokens[COUNT];
    char name[8];
    for (uint64_t i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "n%u", (unsigned)i);
        tokens[i] = acquire_ok(f, holder, i + 1, (struct want){.name = name, .owner = 1});
        uint64_t grace_ms = i < 3 ? 1 : 100000 - 10 * i; /* the first three are overdue at once */
        uint64_t then = i < 3 ? REVOKE_THEN_ALARM : REVOKE_THEN_FORCE;
        assert_int_equal(revoke_with(f, admin, i + 1, name, tokens[i], grace_ms, then), HF_OK);
    }
    pass(f, 1);
    struct msg_keep_reply reply = kept(f, holder, 0);
    assert_int_equal(reply.asked.count, ASKED_MAX);
    for (uint32_t i = 0; i < ASKED_MAX; i++)
        assert_int_equal(asked_at(&reply, i)->fencing_token, tokens[COUNT - 1 - i]);
    for (uint64_t i = 3; i < COUNT; i++) assert_int_equal(abandon(f, holder, tokens[i]), HF_OK);
    reply = kept(f, holder, 0);
    assert_int_equal(reply.asked.count, 3);
    assert_int_equal(asked_at(&reply, 0)->fencing_token, tokens[0]);
}

/* Grace and session end in one sweep, or grace and hold_max: the grant ends once, as it would. */
static void test_other_ends_at_the_same_time_come_first(void **state)
{
    struct fixture *f = *state;
    uint64_t admin = open_session(f, "admin", LONG_TTL_MS);
    uint64_t holder = open_session(f, "holder", GRACE_MS);
    uint64_t token = acquire_ok(f, holder, 1, (struct want){.name = "a", .owner = 1});
    uint64_t acts;
    assert_int_equal(revoke(f, admin, 1, token), HF_OK);
    pass(f, GRACE_MS);
    assert_text(last_act(f, &acts).after, "over: its holder's session expired");
    assert_int_equal(acts, 2);
    holder = open_session(f, "another", TTL_MS);
    struct want want = {.name = "a", .owner = 1, .hold_max_ms = GRACE_MS};
    token = acquire_ok(f, holder, 1, want);
    assert_int_equal(revoke(f, admin, 2, token), HF_OK);
    pass(f, GRACE_MS);
    assert_text(last_act(f, &acts).after, "over: held as long as it may");
    assert_int_equal(acts, 4);
    struct msg_keep_reply reply = kept(f, holder, 0);
    assert_int_equal(reply.lost.count, 1);
    assert_int_equal(((const struct lost_item *)reply.lost.items)->reason, END_HOLD_MAX);
}

/* Only the current token of that very lock, and only with a reason. */
static void test_only_the_current_token_is_asked_back(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f);
    assert_int_equal(revoke_with(f, t.admin, 1, "b", t.token, 1, 0), HF_ESTALE);
    assert_int_equal(revoke(f, t.admin, 2, t.token + 1000), HF_EBADREQUEST);
    assert_int_equal(release(f, t.holder, 2, "a", t.token, 1), HF_OK);
    assert_int_equal(revoke(f, t.admin, 3, t.token), HF_ESTALE);
    assert_int_equal(kept(f, t.waiter, 0).asked.count, 0);
    const char *sentence = NULL;
    struct msg_revoke brief = {.name = slice_of("a"),
                               .fencing_token = 1,
                               .grace_ms = 1,
                               .reason = slice_of("because"),
                               .operator_name = slice_of("ann")};
    assert_int_equal(op_check(OP_CODE_REVOKE, &brief, &sentence), HF_EBADREQUEST);
    assert_non_null(sentence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(test_the_holder_is_told_with_the_time_left),
        TEST(test_given_back_in_time_it_is_over),
        TEST(test_any_other_end_of_the_grant_is_told),
        TEST(test_the_graces_end_forces_and_waits_for_the_holder),
        TEST(test_a_silent_holder_is_waited_for_as_long_as_its_lease),
        TEST(test_an_alarm_leaves_the_grant),
        TEST(test_a_later_revoke_replaces_the_one_before),
        TEST(test_the_next_to_end_are_told_first),
        TEST(test_other_ends_at_the_same_time_come_first),
        TEST(test_only_the_current_token_is_asked_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
