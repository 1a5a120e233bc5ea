/* FORCE (docs/contract.md, section 10): a grant is ended, and the lock stays closed until its
 * holder knows, or cannot believe in it any more. */
#include <string.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

enum { TTL_MS = 10000, LONG_TTL_MS = 3600000 };

static int force_at(struct fixture *f, uint64_t session, uint64_t seq, const char *name,
                    uint64_t token, uint64_t now)
{
    struct msg_force request = {
        .name = slice_of(name),
        .fencing_token = token,
        .now = now,
        .reason = slice_of("its holder hangs"),
        .operator_name = slice_of("ann"),
    };
    return call(f, OP_CODE_FORCE, session, seq, &request)->status;
}

static int force(struct fixture *f, uint64_t session, uint64_t seq, const char *name,
                 uint64_t token)
{
    return force_at(f, session, seq, name, token, 0);
}

/* A holder, an administrator, and one who waits for the lock. */
struct trio {
    uint64_t holder;
    uint64_t admin;
    uint64_t waiter;
    uint64_t token; /* the holder's */
};

static struct trio make_trio(struct fixture *f, struct want want)
{
    struct trio t;
    t.holder = open_session(f, "holder", TTL_MS);
    t.admin = open_session(f, "admin", LONG_TTL_MS);
    t.waiter = open_session(f, "waiter", LONG_TTL_MS);
    t.token = acquire_ok(f, t.holder, 1, want);
    struct want wait = {.name = "a", .owner = 1, .wait_ms = 600000};
    assert_int_equal(acquire_status(f, t.waiter, 1, wait), ACQUIRE_WAITS);
    return t;
}

static const struct want EXCLUSIVE_A = {.name = "a", .owner = 1};

static int keep_acking(struct fixture *f, uint64_t session, uint64_t token)
{
    struct msg_keep request = {.losses_acked = {&token, 1}};
    return call(f, OP_CODE_KEEP, session, 0, &request)->status;
}

/* Told by KEEP, the lock stays closed until the next KEEP says that it was heard. */
static void test_the_lock_stays_closed_until_the_loss_is_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f, EXCLUSIVE_A);
    assert_int_equal(force(f, t.admin, 1, "a", t.token), HF_OK);
    assert_int_equal(holders_of(f, "a"), 0);
    assert_int_equal(info_of(f, "a").delay_left_ms, TTL_MS);
    assert_null(find_woken(f, t.waiter, 1));
    struct msg_keep nothing = {0};
    struct msg_keep_reply kept;
    read_body(f, OP_CODE_KEEP, call(f, OP_CODE_KEEP, t.holder, 0, &nothing), &kept);
    const struct lost_item *lost = kept.lost.items;
    assert_int_equal(kept.lost.count, 1);
    assert_int_equal(lost->fencing_token, t.token);
    assert_int_equal(lost->reason, END_FORCED);
    assert_null(find_woken(f, t.waiter, 1)); /* told is not heard */
    assert_int_equal(keep_acking(f, t.holder, t.token), HF_OK);
    assert_int_equal(find_woken(f, t.waiter, 1)->status, HF_OK);
}

/* RELEASE or ABANDON of the token, or CLOSE, says as well that the holder knows. */
static void test_release_abandon_and_close_acknowledge_too(void **state)
{
    struct fixture *f = *state;
    for (int way = 0; way < 3; way++) {
        struct want want = {.name = "a", .owner = 1};
        char name[] = {'h', (char)('0' + way), 0};
        uint64_t holder = open_session(f, name, TTL_MS);
        name[0] = 'a';
        uint64_t admin = open_session(f, name, LONG_TTL_MS);
        uint64_t token = acquire_ok(f, holder, 1, want);
        assert_int_equal(force(f, admin, 1, "a", token), HF_OK);
        assert_int_equal(acquire_status(f, admin, 2, want), HF_EDELAYED);
        if (way == 0) assert_int_equal(release(f, holder, 2, "a", token, 1), HF_ENOTHELD);
        if (way == 1) assert_int_equal(abandon(f, holder, token), HF_ENOTHELD);
        if (way == 2) assert_int_equal(close_session(f, holder, 2), HF_OK);
        uint64_t next = acquire_ok(f, admin, 3, want);
        assert_true(next > token);
        assert_int_equal(release(f, admin, 4, "a", next, 1), HF_OK);
    }
}

/* Who never acknowledges is waited for as long as its lease stood when it was forced, renewed since
 * or not; so is one who is gone. */
static void test_the_lease_as_it_stood_bounds_the_wait(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f, EXCLUSIVE_A);
    pass(f, 4000);
    assert_int_equal(force(f, t.admin, 1, "a", t.token), HF_OK);
    pass(f, 3000);
    assert_int_equal(keep(f, t.holder), HF_OK); /* it renews, and acknowledges nothing */
    pass(f, 2999);
    assert_int_equal(queue_of(f, "a"), 1);
    pass(f, 1);
    assert_int_equal(find_woken(f, t.waiter, 1)->status, HF_OK);
    assert_int_equal(keep_acking(f, t.holder, t.token), HF_OK);
}

/* The lock-delay counts from the force and is not cut short by the acknowledgement. */
static void test_the_lock_delay_counts_beside_it(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f, (struct want){.name = "a", .owner = 1, .delay_ms = 2000});
    assert_int_equal(force(f, t.admin, 1, "a", t.token), HF_OK);
    assert_int_equal(keep_acking(f, t.holder, t.token), HF_OK);
    pass(f, 1999);
    assert_int_equal(queue_of(f, "a"), 1);
    pass(f, 1);
    assert_int_equal(find_woken(f, t.waiter, 1)->status, HF_OK);
}

/* now = 1: nobody waits for the holder; the audit says so. */
static void test_now_grants_on_at_once_and_the_audit_says_so(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f, EXCLUSIVE_A);
    assert_int_equal(force_at(f, t.admin, 1, "a", t.token, 1), HF_OK);
    assert_int_equal(find_woken(f, t.waiter, 1)->status, HF_OK);
    struct msg_audit audit = {.count_max = 10};
    struct msg_audit_reply reply;
    read_ok(f, OP_CODE_AUDIT, &audit, 0, &reply);
    const struct act_line *act = reply.acts.items;
    assert_int_equal(reply.acts.count, 1);
    assert_int_equal(act->op, OP_CODE_FORCE);
    assert_true(slice_starts(act->after, slice_of("forced at once")));
    assert_true(slice_starts(act->before, slice_of("held EXCLUSIVE by session ")));
}

/* Only the current token of that very lock, and only with a reason. */
static void test_only_the_current_token_is_forced(void **state)
{
    struct fixture *f = *state;
    struct trio t = make_trio(f, EXCLUSIVE_A);
    assert_int_equal(force(f, t.admin, 1, "b", t.token), HF_ESTALE);
    assert_int_equal(force(f, t.admin, 2, "a", t.token + 1000), HF_EBADREQUEST);
    assert_int_equal(release(f, t.holder, 2, "a", t.token, 1), HF_OK);
    assert_int_equal(force(f, t.admin, 3, "a", t.token), HF_ESTALE);
    assert_int_equal(holders_of(f, "a"), 1); /* the waiter's: untouched */
    const char *sentence = NULL;
    struct msg_force brief = {.name = slice_of("a"),
                              .fencing_token = 1,
                              .reason = slice_of("because"),
                              .operator_name = slice_of("ann")};
    assert_int_equal(op_check(OP_CODE_FORCE, &brief, &sentence), HF_EBADREQUEST);
    assert_non_null(sentence);
}

/* SHARED: others go on sharing, but none becomes exclusive, not by UPGRADE either. */
static void test_a_forced_sharer_keeps_only_exclusive_ones_out(void **state)
{
    struct fixture *f = *state;
    uint64_t holder = open_session(f, "holder", TTL_MS);
    uint64_t admin = open_session(f, "admin", LONG_TTL_MS);
    struct want share = {.name = "a", .owner = 1, .mode = MODE_SHARED};
    uint64_t token = acquire_ok(f, holder, 1, share);
    assert_int_equal(force(f, admin, 1, "a", token), HF_OK);
    assert_int_equal(acquire_status(f, admin, 2, (struct want){.name = "a", .owner = 2}),
                     HF_EDELAYED);
    uint64_t shared = acquire_ok(f, admin, 3, share);
    struct msg_change_mode upgrade = {.name = slice_of("a"), .fencing_token = shared, .owner = 1};
    assert_int_equal(call(f, OP_CODE_UPGRADE, admin, 4, &upgrade)->status, HF_EUPGRADEBUSY);
    assert_int_equal(keep_acking(f, holder, token), HF_OK);
    assert_int_equal(call(f, OP_CODE_UPGRADE, admin, 5, &upgrade)->status, HF_OK);
}

/* PERMITS: its units stay taken, the others are there; several names are forced as a whole. */
static void test_permits_and_several_names_are_forced_as_a_whole(void **state)
{
    struct fixture *f = *state;
    uint64_t holder = open_session(f, "holder", TTL_MS);
    uint64_t admin = open_session(f, "admin", LONG_TTL_MS);
    struct want some = {
        .name = "p", .also = {"q"}, .owner = 1, .mode = MODE_PERMITS, .permits = 3, .limit = 4};
    uint64_t token = acquire_ok(f, holder, 1, some);
    assert_int_equal(force(f, admin, 1, "q", token), HF_OK);
    struct want one = {.name = "p", .owner = 1, .mode = MODE_PERMITS, .permits = 1, .limit = 4};
    acquire_ok(f, admin, 2, one);
    one.owner = 2;
    assert_int_equal(acquire_status(f, admin, 3, one), HF_EBUSY);
    one.name = "q";
    one.permits = 2;
    assert_int_equal(acquire_status(f, admin, 4, one), HF_EDELAYED);
    assert_int_equal(keep_acking(f, holder, token), HF_OK);
    acquire_ok(f, admin, 5, one);
}

/* Units that stay taken are in use: nobody comes with another limit meanwhile. */
static void test_a_forced_lock_keeps_its_limit(void **state)
{
    struct fixture *f = *state;
    uint64_t holder = open_session(f, "holder", TTL_MS);
    uint64_t admin = open_session(f, "admin", LONG_TTL_MS);
    struct want some = {.name = "p", .owner = 1, .mode = MODE_PERMITS, .permits = 3, .limit = 4};
    uint64_t token = acquire_ok(f, holder, 1, some);
    assert_int_equal(force(f, admin, 1, "p", token), HF_OK);
    some.limit = 8;
    assert_int_equal(acquire_status(f, admin, 2, some), HF_ELIMIT);
    assert_int_equal(keep_acking(f, holder, token), HF_OK);
    acquire_ok(f, admin, 3, some);
}

/* Who acquired it twice releases one of them and believes in the other: that is no knowing. */
static void test_release_of_one_of_two_acquisitions_is_no_knowing(void **state)
{
    struct fixture *f = *state;
    struct want want = {.name = "a", .owner = 1, .reentrant = 1};
    uint64_t holder = open_session(f, "holder", TTL_MS);
    uint64_t admin = open_session(f, "admin", LONG_TTL_MS);
    uint64_t token = acquire_ok(f, holder, 1, want);
    assert_int_equal(acquire_ok(f, holder, 2, want), token);
    assert_int_equal(force(f, admin, 1, "a", token), HF_OK);
    assert_int_equal(release(f, holder, 3, "a", token, 1), HF_ENOTHELD);
    assert_int_equal(acquire_status(f, admin, 2, want), HF_EDELAYED);
    assert_int_equal(keep_acking(f, holder, token), HF_OK);
    acquire_ok(f, admin, 3, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(test_the_lock_stays_closed_until_the_loss_is_acknowledged),
        TEST(test_release_abandon_and_close_acknowledge_too),
        TEST(test_the_lease_as_it_stood_bounds_the_wait),
        TEST(test_the_lock_delay_counts_beside_it),
        TEST(test_now_grants_on_at_once_and_the_audit_says_so),
        TEST(test_only_the_current_token_is_forced),
        TEST(test_a_forced_sharer_keeps_only_exclusive_ones_out),
        TEST(test_permits_and_several_names_are_forced_as_a_whole),
        TEST(test_a_forced_lock_keeps_its_limit),
        TEST(test_release_of_one_of_two_acquisitions_is_no_knowing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
