/* What is recorded of a session: KEEP, losses, CLOSE are a line for each grant that they tell of.
 */
#include "tests/unit/client/recorder_fixture.h"

/* ------------------------------------------------------------------ the session */

static void expect_renewal(uint64_t token, uint64_t owner, uint64_t call_ns, uint64_t ttl_ms)
{
    expect("lock",
           "\"renew\",\"key\":\"a\",\"client\":\"test/a\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"token\":%" PRIu64 ",\"ttl_ms\":%" PRIu64 "," OWNER "}",
           TIMES(call_ns, s.now_ns), token, ttl_ms, owner);
}

static void expect_loss(uint64_t token, uint64_t owner, uint64_t call_ns)
{
    expect("lock",
           "\"renew\",\"key\":\"a\",\"client\":\"test/a\"," CALLED
           ",\"outcome\":\"fail\",\"error\":\"not_held\",\"args\":{\"token\":%" PRIu64 "," OWNER
           ",\"ttl_ms\":0}",
           TIMES(call_ns, s.now_ns), token, owner);
}

/* KEEP renews every grant that was there when it was sent, and is answered for each. */
static void test_keep_is_a_renewal_of_every_grant(void **state)
{
    (void)state;
    struct grant_ref first, second;
    uint64_t owners[2];
    owners[0] = hold(5, 0, &first);
    owners[1] = hold(6, 0, &second);
    struct request *request = next_keep();
    uint64_t sent_ns = keep_sent_ns();
    struct grant_ref late;
    (void)hold(7, 0, &late);
    struct msg_keep_reply kept = script_kept();
    script_reply(&s, request, HF_OK, &kept);
    expect_renewal(5, owners[0], sent_ns, 10000);
    expect_renewal(6, owners[1], sent_ns, 10000);
    expect_no_line();
}

/* An answer that says that there is more to lose moves no deadline. */
static void test_keep_with_more_losses_renews_nothing(void **state)
{
    (void)state;
    struct grant_ref ref;
    (void)hold(5, 0, &ref);
    struct msg_keep_reply kept = script_kept();
    struct lost_item lost = {.fencing_token = 3, .reason = END_EXPIRED};
    kept.lost = (struct codec_list){&lost, 1};
    kept.more = 1;
    script_reply(&s, next_keep(), HF_OK, &kept);
    expect_no_line();
}

/* A hold that ends before the lease is all that a renewal can promise. */
static void test_renewal_of_a_hold_is_as_long_as_what_is_left_of_it(void **state)
{
    (void)state;
    struct grant_ref ref;
    uint64_t owner = hold(5, 8000, &ref);
    h.seen = h.text.size; /* the acquire's */
    h.ids += 1;
    struct left_item left = {5, 4500};
    struct msg_keep_reply kept = script_kept();
    kept.holds = (struct codec_list){&left, 1};
    struct request *request = next_keep();
    uint64_t sent_ns = keep_sent_ns();
    script_reply(&s, request, HF_OK, &kept);
    expect_renewal(5, owner, sent_ns, 4500);
}

/* A grant that a server tells lost did not stand: had its lease been running, that is a fault. */
static void test_loss_that_keep_tells_is_a_failed_renewal(void **state)
{
    (void)state;
    struct grant_ref ref;
    uint64_t owner = hold(5, 0, &ref);
    struct lost_item lost = {.fencing_token = 5, .reason = END_EXPIRED};
    struct msg_keep_reply kept = script_kept();
    kept.lost = (struct codec_list){&lost, 1};
    struct request *request = next_keep();
    uint64_t sent_ns = keep_sent_ns();
    script_reply(&s, request, HF_OK, &kept);
    expect_loss(5, owner, sent_ns);
    expect_no_line();
}

/* An administrator's end is one, though no lease ran out. */
static void test_forced_end_is_a_release_since_the_grant_was_last_seen(void **state)
{
    (void)state;
    struct grant_ref ref;
    uint64_t acquired_ns = s.now_ns;
    uint64_t owner = hold(5, 0, &ref);
    struct lost_item lost = {.fencing_token = 5, .reason = END_FORCED};
    struct msg_keep_reply kept = script_kept();
    kept.lost = (struct codec_list){&lost, 1};
    script_reply(&s, next_keep(), HF_OK, &kept);
    expect("lock",
           "\"release\",\"key\":\"a\",\"client\":\"test/a\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"token\":5," OWNER ",\"all\":1}",
           TIMES(acquired_ns, s.now_ns), owner);
}

/* The answer that tells the session's end tells of all its grants. */
static void test_session_that_expired_takes_its_grants_with_it(void **state)
{
    (void)state;
    struct grant_ref first, second;
    (void)hold(5, 0, &first);
    uint64_t owner = hold(6, 0, &second);
    struct slot *slot = grants_alive(&s.core.grants, first);
    uint64_t released_by = slot->owner;
    struct call *call = release(first);
    uint64_t sent_ns = s.now_ns;
    struct request *request = script_expect(&s, OP_CODE_RELEASE);
    struct msg_ended ended = {.reason = END_EXPIRED};
    script_pass(&s, 1 * MS);
    script_reply(&s, request, HF_ESESSION, &ended);
    expect("lock",
           "\"release\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"fail\",\"error\":\"not_held\",\"args\":{\"token\":5," OWNER "}",
           TIMES(sent_ns, s.now_ns), released_by);
    expect_loss(6, owner, sent_ns);
    script_finish(&s, call, HF_ESESSION);
    expect_no_line();
}

/* CLOSE ends what is held, and what an open acquire may have brought. */
static void test_close_is_a_release_of_everything(void **state)
{
    (void)state;
    static const struct msg_empty nothing;
    struct grant_ref ref;
    uint64_t owner = hold(5, 0, &ref);
    struct call *open = script_acquire(&s, 60000, 0, FATE_CANCEL);
    (void)script_expect(&s, OP_CODE_ACQUIRE);
    s.core.closing = true;
    (void)submit(OP_CODE_CLOSE, &nothing, FATE_REPEAT);
    uint64_t sent_ns = s.now_ns;
    struct request *request = script_expect(&s, OP_CODE_CLOSE);
    script_pass(&s, 1 * MS);
    uint64_t open_owner = open->owner;
    script_reply(&s, request, HF_OK, NULL);
    expect("lock",
           "\"release\",\"key\":\"a\",\"client\":\"test/a\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"token\":5," OWNER ",\"all\":1,\"if_any\":1}",
           TIMES(sent_ns, s.now_ns), owner);
    expect("lock",
           "\"release\",\"key\":\"a\",\"client\":\"test/a\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{" OWNER "}",
           TIMES(sent_ns, s.now_ns), open_owner);
    expect_no_line();
}

#define CASE(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(keep_is_a_renewal_of_every_grant),
        CASE(keep_with_more_losses_renews_nothing),
        CASE(renewal_of_a_hold_is_as_long_as_what_is_left_of_it),
        CASE(loss_that_keep_tells_is_a_failed_renewal),
        CASE(forced_end_is_a_release_since_the_grant_was_last_seen),
        CASE(session_that_expired_takes_its_grants_with_it),
        CASE(close_is_a_release_of_everything),
    };
    return cmocka_run_group_tests_name("recorder session", tests, NULL, NULL);
}
