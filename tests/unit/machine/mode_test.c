/* DOWNGRADE and UPGRADE, line by line of docs/contract.md, sections 4 and 13. */
#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

#define TTL  3600000
#define DOWN OP_CODE_DOWNGRADE
#define UP   OP_CODE_UPGRADE

static struct want reader(uint64_t owner, uint64_t wait_ms)
{
    return (struct want){.name = "a", .owner = owner, .mode = MODE_SHARED, .wait_ms = wait_ms};
}

static struct want writer(uint64_t owner, uint64_t wait_ms)
{
    return (struct want){.name = "a", .owner = owner, .wait_ms = wait_ms};
}

static uint64_t mode_of(struct fixture *f, const char *name)
{
    struct msg_info_reply info = info_of(f, name);
    assert_int_equal(info.holders.count, 1);
    return ((const struct holder_info *)info.holders.items)->mode;
}

/* The token stays, readers at the head of the queue come in inside the same op, a writer waits. */
static void test_downgrade_keeps_the_token_and_lets_readers_in(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, writer(1, 0));
    assert_int_equal(acquire_status(f, s, 2, reader(2, 60000)), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 3, writer(3, 60000)), ACQUIRE_WAITS);
    assert_int_equal(acquire_status(f, s, 4, reader(4, 60000)), ACQUIRE_WAITS);
    assert_int_equal(change_mode(f, DOWN, s, 5, token, 1), HF_OK);
    uint64_t second = granted_token(f, find_woken(f, s, 2));
    assert_null(find_woken(f, s, 3));
    assert_null(find_woken(f, s, 4));
    assert_int_equal(holders_of(f, "a"), 2);
    assert_int_equal(change_mode(f, DOWN, s, 6, token, 1), HF_OK); /* it is SHARED already */
    assert_int_equal(release(f, s, 7, "a", token, 1), HF_OK);
    assert_int_equal(release(f, s, 8, "a", second, 2), HF_OK);
    assert_non_null(find_woken(f, s, 3));
}

/* Only the sole reader becomes the writer, past those who wait, under the same token. */
static void test_only_the_sole_holder_is_upgraded(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t first = acquire_ok(f, s, 1, reader(1, 0));
    uint64_t second = acquire_ok(f, s, 2, reader(2, 0));
    assert_int_equal(acquire_status(f, s, 3, writer(3, 60000)), ACQUIRE_WAITS);
    assert_int_equal(change_mode(f, UP, s, 4, first, 1), HF_EUPGRADEBUSY);
    assert_int_equal(change_mode(f, UP, s, 5, second, 2), HF_EUPGRADEBUSY);
    assert_int_equal(release(f, s, 6, "a", second, 2), HF_OK);
    assert_int_equal(change_mode(f, UP, s, 7, first, 1), HF_OK);
    assert_int_equal(mode_of(f, "a"), MODE_EXCLUSIVE);
    assert_int_equal(change_mode(f, UP, s, 8, first, 1), HF_OK); /* it is EXCLUSIVE already */
    assert_int_equal(acquire_status(f, s, 9, reader(9, 0)), HF_EBUSY);
    struct msg_check check = {.name = slice_of("a"), .fencing_token = first};
    struct msg_check_reply reply;
    read_ok(f, OP_CODE_CHECK, &check, 0, &reply);
    assert_int_equal(reply.verdict, CHECK_VALID);
    assert_int_equal(release(f, s, 10, "a", first, 1), HF_OK);
    assert_true(granted_token(f, find_woken(f, s, 3)) > second);
}

/* A reader that was lost keeps its part of the lock for its lock-delay: no writer until then. */
static void test_a_lost_reader_is_a_holder_until_its_delay_ends(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, reader(1, 0));
    struct want lost = reader(2, 0);
    lost.delay_ms = 1000;
    assert_int_equal(abandon(f, s, acquire_ok(f, s, 2, lost)), HF_OK);
    assert_int_equal(change_mode(f, UP, s, 3, token, 1), HF_EUPGRADEBUSY);
    pass(f, 1000);
    assert_int_equal(change_mode(f, UP, s, 4, token, 1), HF_OK);
}

/* All names of a grant change, or none. */
static void test_all_names_change_or_none(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want both = {.name = "a", .also = {"b"}, .owner = 1};
    struct want read_b = {.name = "b", .owner = 2, .mode = MODE_SHARED};
    uint64_t token = acquire_ok(f, s, 1, both);
    assert_int_equal(change_mode(f, DOWN, s, 2, token, 1), HF_OK);
    uint64_t other = acquire_ok(f, s, 3, read_b);
    assert_int_equal(change_mode(f, UP, s, 4, token, 1), HF_EUPGRADEBUSY);
    assert_int_equal(mode_of(f, "a"), MODE_SHARED);
    assert_int_equal(release(f, s, 5, NULL, other, 2), HF_OK);
    assert_int_equal(change_mode(f, UP, s, 6, token, 1), HF_OK);
    assert_int_equal(mode_of(f, "a"), MODE_EXCLUSIVE);
    assert_int_equal(mode_of(f, "b"), MODE_EXCLUSIVE);
    assert_int_equal(release(f, s, 7, "b", token, 1), HF_OK);
    struct machine_counts counts;
    machine_count(f->m, &counts);
    assert_int_equal(counts.lock_count, 0);
}

/* Permits have no other mode, and nobody shares a lock that others want permits of. */
static void test_permits_and_sharing_do_not_mix(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want some = {
        .name = "a", .owner = 1, .mode = MODE_PERMITS, .permits = 1, .limit = 2, .wait_ms = 60000};
    uint64_t token = acquire_ok(f, s, 1, some);
    assert_int_equal(change_mode(f, DOWN, s, 2, token, 1), HF_EBADREQUEST);
    assert_int_equal(change_mode(f, UP, s, 3, token, 1), HF_EBADREQUEST);
    assert_int_equal(release(f, s, 4, NULL, token, 1), HF_OK);
    token = acquire_ok(f, s, 5, writer(2, 0));
    assert_int_equal(acquire_status(f, s, 6, some), ACQUIRE_WAITS);
    assert_int_equal(change_mode(f, DOWN, s, 7, token, 2), HF_ELIMIT);
    assert_int_equal(mode_of(f, "a"), MODE_EXCLUSIVE);
}

/* A token that is not the caller's, an old one, a lost one and one of the future: no effect. */
static void test_only_the_owner_changes_the_mode(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t t = open_session(f, "t", TTL);
    struct want want = writer(1, 0);
    want.hold_max_ms = 1000;
    uint64_t old = acquire_ok(f, s, 1, want);
    pass(f, 1000);
    for (uint64_t i = 0; i < 2; i++) { /* it is told, and not taken for acknowledged */
        struct msg_change_mode request = {.fencing_token = old, .owner = 1};
        const struct answer *answer = call(f, DOWN, s, 2 + i, &request);
        assert_int_equal(answer->status, HF_ENOTHELD);
        struct msg_ended ended;
        read_body(f, DOWN, answer, &ended);
        assert_int_equal(ended.reason, END_HOLD_MAX);
    }
    uint64_t token = acquire_ok(f, s, 4, writer(1, 0));
    assert_int_equal(change_mode(f, DOWN, s, 5, token, 2), HF_ENOTOWNER);
    assert_int_equal(change_mode(f, DOWN, t, 1, token, 1), HF_ENOTOWNER);
    assert_int_equal(change_mode(f, UP, s, 6, token + 1, 1), HF_EBADREQUEST);
    struct msg_change_mode request = {.name = slice_of("a"), .fencing_token = old, .owner = 1};
    assert_int_equal(call(f, UP, s, 7, &request)->status, HF_ESTALE);
    request = (struct msg_change_mode){.name = slice_of("b"), .fencing_token = token, .owner = 1};
    assert_int_equal(call(f, DOWN, s, 8, &request)->status, HF_ENOTHELD);
    assert_int_equal(mode_of(f, "a"), MODE_EXCLUSIVE);
}

/* UPGRADE is the one way past a queue, so an owner that waits elsewhere is refused: others might
 * wait for it by then, and nobody looks for a cycle again. */
static void test_an_owner_that_waits_is_not_upgraded(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, reader(1, 0));
    acquire_ok(f, s, 2, (struct want){.name = "b", .owner = 2});
    struct want wait_b = {.name = "b", .owner = 1, .wait_ms = 60000};
    assert_int_equal(acquire_status(f, s, 3, wait_b), ACQUIRE_WAITS);
    assert_int_equal(change_mode(f, UP, s, 4, token, 1), HF_EOWNERWAITING);
    assert_int_equal(cancel(f, s, 3)->status, HF_OK);
    assert_int_equal(change_mode(f, UP, s, 5, token, 1), HF_OK);
}

/* A retry changes nothing, and says whether the grant still stands. */
static void test_a_retry_says_whether_the_grant_stands(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    uint64_t token = acquire_ok(f, s, 1, writer(1, 0));
    struct msg_change_mode request = {.fencing_token = token, .owner = 1};
    assert_int_equal(call(f, DOWN, s, 2, &request)->status, HF_OK);
    assert_int_equal(change_mode(f, UP, s, 3, token, 1), HF_OK);
    assert_int_equal(call(f, DOWN, s, 2, &request)->flags, REPLY_REPEATED | REPLY_STANDS);
    assert_int_equal(mode_of(f, "a"), MODE_EXCLUSIVE);
    assert_int_equal(release(f, s, 4, NULL, token, 1), HF_OK);
    assert_int_equal(call(f, DOWN, s, 2, &request)->flags, REPLY_REPEATED);
}

/* Reentrant acquisitions are counted on, in the mode that the grant has now; a loss delays as that
 * mode does. */
static void test_count_and_delay_go_with_the_new_mode(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL);
    struct want want = writer(1, 0);
    want.reentrant = 1;
    want.delay_ms = 1000;
    uint64_t token = acquire_ok(f, s, 1, want);
    acquire_ok(f, s, 2, want);
    assert_int_equal(change_mode(f, DOWN, s, 3, token, 1), HF_OK);
    assert_int_equal(acquire_status(f, s, 4, want), HF_EALREADY);
    want.mode = MODE_SHARED;
    assert_int_equal(acquire_ok(f, s, 5, want), token);
    assert_int_equal(abandon(f, s, token), HF_OK);
    acquire_ok(f, s, 6, reader(2, 0)); /* SHARED was lost: SHARED may come */
    assert_int_equal(info_of(f, "a").delay_left_ms, 1000);
}

#define MODE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODE_TEST(test_downgrade_keeps_the_token_and_lets_readers_in),
        MODE_TEST(test_only_the_sole_holder_is_upgraded),
        MODE_TEST(test_a_lost_reader_is_a_holder_until_its_delay_ends),
        MODE_TEST(test_all_names_change_or_none),
        MODE_TEST(test_permits_and_sharing_do_not_mix),
        MODE_TEST(test_only_the_owner_changes_the_mode),
        MODE_TEST(test_an_owner_that_waits_is_not_upgraded),
        MODE_TEST(test_a_retry_says_whether_the_grant_stands),
        MODE_TEST(test_count_and_delay_go_with_the_new_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
