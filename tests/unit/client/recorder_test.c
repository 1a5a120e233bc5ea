/* What is recorded of calls: each verdict as the line that docs/history-format.md wants, with the
 * times of the first send and of the answer. What proves nothing is unknown, and what was never
 * sent is nothing. */
#include "tests/unit/client/recorder_fixture.h"

/* ------------------------------------------------------------------ locks */

/* What was asked when, and what came when: the answer may be any time later. */
static void test_acquire_and_release_are_a_line_each(void **state)
{
    (void)state;
    struct grant_ref ref;
    uint64_t owner = hold(5, 0, &ref);
    struct call *call = release(ref);
    uint64_t sent_ns = s.now_ns;
    struct msg_release_reply released = {.count_left = 0};
    struct request *request = script_expect(&s, OP_CODE_RELEASE);
    script_pass(&s, 2 * MS);
    script_reply(&s, request, HF_OK, &released);
    expect("lock",
           "\"release\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"token\":5," OWNER "},\"result\":{\"count\":0}",
           TIMES(sent_ns, s.now_ns), owner);
    script_finish(&s, call, HF_OK);
    expect_no_line();
}

/* One request over two connections is one line, from the first send on. */
static void test_request_that_is_sent_twice_is_one_line(void **state)
{
    (void)state;
    struct call *call;
    (void)first_acquire(&call, FATE_CANCEL);
    uint64_t sent_ns = s.now_ns;
    script_cut(&s);
    script_pass(&s, 300 * MS);
    script_resume(&s);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 5);
    expect_acquired("0", sent_ns, call->owner, 5);
    script_finish(&s, call, HF_OK);
    expect_no_line();
}

/* A refusal shows who held the lock. */
static void test_busy_names_the_first_holder(void **state)
{
    (void)state;
    struct call *call;
    struct request *acquire = first_acquire(&call, FATE_CANCEL);
    struct holder holders[2] = {{.session = 3, .owner = 4, .fencing_token = 9},
                                {.session = 5, .owner = 6, .fencing_token = 8}};
    struct msg_busy busy = {.holders = {holders, 2}, .holder_count = 2};
    script_reply(&s, acquire, HF_EBUSY, &busy);
    expect("lock",
           "\"acquire\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"fail\",\"error\":\"busy\",\"args\":{\"ttl_ms\":10000," OWNER
           "},\"result\":{\"owner\":\"3/4\",\"token\":9}",
           TIMES(s.now_ns, s.now_ns), call->owner);
    script_finish(&s, call, HF_EBUSY);
}

/* Several names are one line with all of them: granted, and given back. */
static void test_several_names_are_one_line(void **state)
{
    (void)state;
    struct slice names[2] = {slice_of("a"), slice_of("b\"")};
    struct msg_acquire both = {.names = {names, 2}, .owner = 8};
    struct call *call = submit(OP_CODE_ACQUIRE, &both, FATE_CANCEL);
    call->owner = both.owner;
    script_open_session(&s);
    struct request *acquire = script_expect(&s, OP_CODE_ACQUIRE);
    uint64_t sent_ns = s.now_ns;
    script_pass(&s, 1 * MS);
    script_grant(&s, acquire, 6);
    expect("lock",
           "\"acquire\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"ttl_ms\":10000,\"owner\":\"77/8\",\"names\":[\"a\","
           "\"b\\\"\"]},\"result\":{\"token\":6,\"count\":1}",
           TIMES(sent_ns, s.now_ns));
    struct grant_ref many = call->grant;
    script_finish(&s, call, HF_OK);
    call = release(many);
    sent_ns = s.now_ns;
    struct msg_release_reply released = {.count_left = 0};
    script_reply(&s, script_expect(&s, OP_CODE_RELEASE), HF_OK, &released);
    expect("lock",
           "\"release\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"token\":6,\"owner\":\"77/8\",\"names\":[\"a\","
           "\"b\\\"\"]},\"result\":{\"count\":0}",
           TIMES(sent_ns, s.now_ns));
    script_finish(&s, call, HF_OK);
    expect_no_line();
}

/* What is refused of several names does not say which; what is not answered may have been granted,
 * and ends with the session in all of its names. */
static void test_several_names_that_are_not_granted(void **state)
{
    (void)state;
    struct slice names[2] = {slice_of("a"), slice_of("b")};
    struct msg_acquire both = {.names = {names, 2}, .owner = 8};
    struct call *call = submit(OP_CODE_ACQUIRE, &both, FATE_CANCEL);
    script_open_session(&s);
    struct holder holder = {.session = 3, .owner = 4, .fencing_token = 9};
    struct msg_busy busy = {.holders = {&holder, 1}, .holder_count = 1};
    script_reply(&s, script_expect(&s, OP_CODE_ACQUIRE), HF_EBUSY, &busy);
    expect("lock",
           "\"acquire\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"fail\",\"error\":\"refused\",\"args\":{\"ttl_ms\":10000,\"owner\":"
           "\"77/8\",\"names\":[\"a\",\"b\"]}",
           TIMES(s.now_ns, s.now_ns));
    script_finish(&s, call, HF_EBUSY);
    (void)submit(OP_CODE_ACQUIRE, &both, FATE_CANCEL);
    (void)script_expect(&s, OP_CODE_ACQUIRE);
    struct msg_empty nothing = {0};
    uint64_t sent_ns = s.now_ns;
    (void)submit(OP_CODE_CLOSE, &nothing, FATE_REPEAT);
    script_reply(&s, script_expect(&s, OP_CODE_CLOSE), HF_OK, NULL);
    expect("lock",
           "\"release\",\"key\":\"a\",\"client\":\"test/a\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"owner\":\"77/8\",\"names\":[\"a\",\"b\"]}",
           TIMES(sent_ns, s.now_ns));
}

/* Permits say how many of how many. */
static void test_permits_are_recorded(void **state)
{
    (void)state;
    struct slice name = slice_of("a");
    struct msg_acquire permits = {
        .names = {&name, 1}, .owner = 9, .mode = MODE_PERMITS, .permits = 2, .limit = 5};
    struct call *call = submit(OP_CODE_ACQUIRE, &permits, FATE_CANCEL);
    call->owner = permits.owner;
    script_open_session(&s);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), 6);
    expect("lock",
           "\"acquire\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"ttl_ms\":10000,\"owner\":\"77/9\",\"mode\":\"permits\","
           "\"permits\":2,\"limit\":5},\"result\":{\"token\":6,\"count\":1}",
           TIMES(s.now_ns, s.now_ns));
    script_finish(&s, call, HF_OK);
}

/* A deadlock names its owners, the asker first; the rest of a long circle is cut. */
static void test_deadlock_names_its_circle(void **state)
{
    (void)state;
    struct call *call;
    struct request *acquire = first_acquire(&call, FATE_CANCEL);
    struct owner_item owners[2] = {{.session = 77, .owner = call->owner},
                                   {.session = 3, .owner = 4}};
    struct msg_deadlock deadlock = {.owners = {owners, 2}, .length = 3};
    script_reply(&s, acquire, HF_EDEADLOCK, &deadlock);
    expect("lock",
           "\"acquire\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"fail\",\"error\":\"deadlock\",\"args\":{\"ttl_ms\":10000," OWNER
           "},\"result\":{\"cycle\":[\"77/%" PRIu64 "\",\"3/4\"],\"cut\":1}",
           TIMES(s.now_ns, s.now_ns), call->owner, call->owner);
    script_finish(&s, call, HF_EDEADLOCK);
}

static void change_mode(uint16_t op, const char *word, uint64_t owner, int status, const char *end)
{
    struct msg_change_mode change = {.fencing_token = 5, .owner = owner};
    struct call *call = submit(op, &change, FATE_REPEAT_SURE);
    uint64_t sent_ns = s.now_ns;
    struct request *request = script_expect(&s, op);
    script_pass(&s, 1 * MS);
    script_reply(&s, request, status, NULL);
    expect("lock",
           "\"%s\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":%s,\"args\":{\"token\":5," OWNER "}",
           word, TIMES(sent_ns, s.now_ns), end, owner);
    script_finish(&s, call, status);
}

/* A grant's mode is changed, or not: nobody tells who shares it with whom. */
static void test_downgrade_and_upgrade_are_a_line_each(void **state)
{
    (void)state;
    struct grant_ref ref;
    uint64_t owner = hold(5, 0, &ref);
    change_mode(OP_CODE_DOWNGRADE, "downgrade", owner, HF_OK, "\"ok\"");
    change_mode(OP_CODE_UPGRADE, "upgrade", owner, HF_EUPGRADEBUSY,
                "\"fail\",\"error\":\"refused\"");
    change_mode(OP_CODE_UPGRADE, "upgrade", owner, HF_OK, "\"ok\"");
    change_mode(OP_CODE_DOWNGRADE, "downgrade", owner, HF_ENOTOWNER,
                "\"fail\",\"error\":\"not_held\"");
    expect_no_line();
}

static void expect_failed_acquire(uint64_t call_ns, uint64_t owner, const char *error)
{
    expect("lock",
           "\"acquire\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"fail\",\"error\":\"%s\",\"args\":{\"ttl_ms\":10000," OWNER "}",
           TIMES(call_ns, s.now_ns), error, owner);
}

/* A server that shed the only send did nothing. */
static void test_refusal_of_the_only_send_is_a_failure(void **state)
{
    (void)state;
    struct call *call;
    struct request *acquire = first_acquire(&call, FATE_CANCEL);
    script_reply(&s, acquire, HF_ETOOBUSY, NULL);
    expect_failed_acquire(s.now_ns, call->owner, "overloaded");
    script_finish(&s, call, HF_ETOOBUSY);
}

/* With an earlier send that nobody has told of, a refusal proves nothing. */
static void test_refusal_after_a_lost_send_is_unknown(void **state)
{
    (void)state;
    struct call *call;
    (void)first_acquire(&call, FATE_CANCEL);
    uint64_t sent_ns = s.now_ns;
    uint64_t owner = call->owner;
    script_cut(&s);
    script_pass(&s, 300 * MS);
    script_resume(&s);
    struct msg_complaint complaint = {slice_of("no")};
    script_reply(&s, script_expect(&s, OP_CODE_ACQUIRE), HF_EBADREQUEST, &complaint);
    expect("lock",
           "\"acquire\",\"key\":\"a\",\"client\":\"test/0\"," OPEN
           ",\"args\":{\"ttl_ms\":10000," OWNER "}",
           at(sent_ns), owner);
    script_finish(&s, call, HF_EBADREQUEST);
}

/* Time is up, and CANCEL found it in time: it is certain that nothing happened. */
static void test_canceled_acquire_failed(void **state)
{
    (void)state;
    struct call *call;
    (void)first_acquire(&call, FATE_CANCEL);
    uint64_t sent_ns = s.now_ns;
    uint64_t owner = call->owner;
    struct msg_keep_reply kept = script_kept();
    script_reply(&s, next_keep(), HF_OK, &kept);
    script_pass(&s, 2 * SEC);
    expect_no_line(); /* the caller has its time-out, and the request goes on */
    script_finish(&s, call, HF_ETIMEOUT);
    struct msg_cancel_reply cancelled = {.status = HF_ECANCELLED, .op = OP_CODE_ACQUIRE};
    script_reply(&s, script_expect(&s, OP_CODE_CANCEL), HF_OK, &cancelled);
    expect_failed_acquire(sent_ns, owner, "canceled");
}

/* Time is up, and CANCEL came too late: a grant that is given back. */
static void test_grant_that_cancel_tells_of_is_granted_and_released(void **state)
{
    (void)state;
    struct call *call;
    (void)first_acquire(&call, FATE_CANCEL);
    uint64_t sent_ns = s.now_ns;
    uint64_t owner = call->owner;
    struct msg_keep_reply kept = script_kept();
    script_reply(&s, next_keep(), HF_OK, &kept);
    script_pass(&s, 2 * SEC);
    script_finish(&s, call, HF_ETIMEOUT);
    struct msg_granted granted = {.fencing_token = 6, .count = 1};
    struct buffer body;
    buffer_init(&body, 1024);
    assert_int_equal(codec_encode(&msg_granted_type, &granted, &body), HF_OK);
    struct msg_cancel_reply told = {
        .status = HF_OK, .op = OP_CODE_ACQUIRE, .stands = 1, .body = buffer_slice(&body)};
    script_reply(&s, script_expect(&s, OP_CODE_CANCEL), HF_OK, &told);
    buffer_close(&body);
    expect_acquired("0", sent_ns, owner, 6);
    struct request *abandon = script_expect(&s, OP_CODE_ABANDON);
    sent_ns = s.now_ns;
    script_pass(&s, 1 * MS);
    script_reply(&s, abandon, HF_OK, NULL);
    expect("lock",
           "\"release\",\"key\":\"a\",\"client\":\"test/a\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"token\":6," OWNER ",\"all\":1}",
           TIMES(sent_ns, s.now_ns), owner);
    expect_no_line();
}

/* ABANDON has no number. Where the first of two was taken and its answer lost, the second finds
 * nothing: not a proof that there was nothing to end. */
static void test_repeated_abandon_that_finds_nothing_may_have_ended_it(void **state)
{
    (void)state;
    struct grant_ref ref;
    uint64_t owner = hold(5, 0, &ref);
    core_drop_grant(&s.core, ref, s.now_ns);
    (void)script_expect(&s, OP_CODE_ABANDON);
    uint64_t sent_ns = s.now_ns;
    script_cut(&s);
    script_pass(&s, 300 * MS);
    script_resume(&s);
    struct msg_ended ended = {.reason = END_ABANDONED};
    script_reply(&s, script_expect(&s, OP_CODE_ABANDON), HF_ENOTHELD, &ended);
    expect("lock",
           "\"release\",\"key\":\"a\",\"client\":\"test/a\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"token\":5," OWNER ",\"all\":1,\"if_any\":1}",
           TIMES(sent_ns, s.now_ns), owner);
    expect_no_line();
}

/* What is still open when the recording ends may have happened; what was never sent has not. */
static void test_open_request_is_unknown_at_the_end(void **state)
{
    (void)state;
    struct call *call;
    (void)first_acquire(&call, FATE_CANCEL);
    uint64_t sent_ns = s.now_ns;
    uint64_t owner = call->owner;
    script_cut(&s);
    (void)script_acquire(&s, 0, 0, FATE_CANCEL);
    core_close(&s.core);
    expect("lock",
           "\"acquire\",\"key\":\"a\",\"client\":\"test/0\"," OPEN
           ",\"args\":{\"ttl_ms\":10000," OWNER "}",
           at(sent_ns), owner);
    expect_no_line();
}

/* ------------------------------------------------------------------ records */

#define FINGERPRINT "0000000000000000000000000000000000000000000000000000000000000000"
#define BEGUN                                                    \
    ",\"args\":{\"ttl_ms\":10000,\"fingerprint\":\"" FINGERPRINT \
    "\",\"owner\":\"77\",\"retain_ms\":86400000,\"takeover\":\"auto\"}"

/* An attempt from its beginning to its end, and what the next caller gets: the same response. */
static void test_attempt_is_begun_marked_and_completed(void **state)
{
    (void)state;
    struct call *call = script_begin(&s, 0);
    script_open_session(&s);
    struct msg_begin_reply begun = {.verdict = BEGIN_STARTED, .fencing_token = 8, .attempt = 1};
    script_reply(&s, script_expect(&s, OP_CODE_BEGIN), HF_OK, &begun);
    expect("idem",
           "\"begin\",\"key\":\"k\",\"client\":\"test/0\"," CALLED ",\"outcome\":\"ok\"" BEGUN
           ",\"result\":{\"status\":\"started\",\"token\":8,\"attempt\":1}",
           TIMES(s.now_ns, s.now_ns));
    script_finish(&s, call, HF_OK);

    struct msg_checkpoint mark = {
        .key = slice_of("k"), .fencing_token = 8, .number = 3, .external = MARK_ONCE};
    call = submit(OP_CODE_CHECKPOINT, &mark, FATE_REPEAT);
    script_reply(&s, script_expect(&s, OP_CODE_CHECKPOINT), HF_OK, NULL);
    expect("idem",
           "\"checkpoint\",\"key\":\"k\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"token\":8,\"number\":3,\"mark\":1}",
           TIMES(s.now_ns, s.now_ns));
    script_finish(&s, call, HF_OK);

    struct msg_complete done = {
        .key = slice_of("k"), .fencing_token = 8, .outcome = OUTCOME_DONE, .code = 7};
    call = submit(OP_CODE_COMPLETE, &done, FATE_REPEAT);
    script_reply(&s, script_expect(&s, OP_CODE_COMPLETE), HF_OK, NULL);
    expect(
        "idem",
        "\"complete\",\"key\":\"k\",\"client\":\"test/0\"," CALLED
        ",\"outcome\":\"ok\",\"args\":{\"token\":8,\"outcome\":\"done\",\"response\":\"done 7 -\"}",
        TIMES(s.now_ns, s.now_ns));
    script_finish(&s, call, HF_OK);

    call = script_begin(&s, 0);
    begun = (struct msg_begin_reply){
        .verdict = BEGIN_REPLAY, .attempt = 1, .outcome = OUTCOME_DONE, .code = 7};
    script_reply(&s, script_expect(&s, OP_CODE_BEGIN), HF_OK, &begun);
    expect("idem",
           "\"begin\",\"key\":\"k\",\"client\":\"test/0\"," CALLED ",\"outcome\":\"ok\"" BEGUN
           ",\"result\":{\"status\":\"completed\",\"response\":\"done 7 -\",\"attempt\":1}",
           TIMES(s.now_ns, s.now_ns));
    script_finish(&s, call, HF_OK);
    expect_no_line();
}

static void reopen(uint64_t outcome, int status, const char *end)
{
    struct msg_reopen request = {.key = slice_of("pay"),
                                 .fencing_token = 9,
                                 .outcome = outcome,
                                 .reason = slice_of("why"),
                                 .operator_name = slice_of("who")};
    struct call *call = submit(OP_CODE_REOPEN, &request, FATE_REPEAT);
    if (s.core.link.state != LINK_READY) script_open_session(&s);
    script_reply(&s, script_expect(&s, OP_CODE_REOPEN), status, NULL);
    expect("idem",
           "\"reopen\",\"key\":\"pay\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":%s,\"args\":{\"token\":9,\"outcome\":\"%s\"}",
           TIMES(s.now_ns, s.now_ns), end, outcome == OUTCOME_DONE ? "done" : "failed");
    script_finish(&s, call, status);
}

/* An operator reopens what has failed, or is told why not. */
static void test_reopening_is_a_line(void **state)
{
    (void)state;
    reopen(OUTCOME_FAILED, HF_OK, "\"ok\"");
    reopen(OUTCOME_DONE, HF_EBADSTATE, "\"fail\",\"error\":\"bad_state\"");
    reopen(OUTCOME_FAILED, HF_ESTALE, "\"fail\",\"error\":\"stale_token\"");
    reopen(OUTCOME_FAILED, HF_ENOTFOUND, "\"fail\",\"error\":\"not_found\"");
    expect_no_line();
}

/* A body is a hash in a line: two results that differ in it differ. */
static void test_response_tells_bodies_apart(void **state)
{
    (void)state;
    struct recorder_members m[3] = {0};
    recorder_response(&m[0], OUTCOME_FAILED, 7, slice_of("h"), slice_of("b"));
    recorder_response(&m[1], OUTCOME_FAILED, 7, slice_of(""), slice_of("hb"));
    recorder_response(&m[2], OUTCOME_FAILED, 7, slice_of("h"), slice_of("b"));
    assert_memory_equal(m[0].text, "\"response\":\"failed 7 ", 21);
    assert_int_equal(m[0].size, 21 + 16 + 1);
    assert_memory_equal(m[0].text, m[2].text, m[0].size);
    assert_memory_not_equal(m[0].text, m[1].text, m[0].size);
}

/* Reads are lines when they are answered, and nothing when they are not. */
static void test_reads_are_lines_when_answered(void **state)
{
    (void)state;
    struct msg_record_get get = {slice_of("k")};
    struct call *call = submit(OP_CODE_RECORD_GET, &get, FATE_CANCEL);
    script_connect(&s);
    uint64_t sent_ns = s.now_ns;
    struct request *request = script_expect(&s, OP_CODE_RECORD_GET);
    script_pass(&s, 1 * MS);
    script_reply(&s, request, HF_ENOTFOUND, NULL);
    expect("idem",
           "\"get\",\"key\":\"k\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"ok\",\"result\":{\"status\":\"none\"}",
           TIMES(sent_ns, s.now_ns));
    script_finish(&s, call, HF_ENOTFOUND);

    struct msg_check check = {slice_of("a"), 5};
    struct msg_check_reply stale = {.verdict = CHECK_STALE};
    call = submit(OP_CODE_CHECK, &check, FATE_CANCEL);
    script_reply(&s, script_expect(&s, OP_CODE_CHECK), HF_OK, &stale);
    expect("lock",
           "\"check\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"token\":5},\"result\":{\"status\":\"stale\"}",
           TIMES(s.now_ns, s.now_ns));
    script_finish(&s, call, HF_OK);

    struct msg_info info = {slice_of("a")};
    struct msg_info_reply nobody = {.name = slice_of("a")};
    call = submit(OP_CODE_INFO, &info, FATE_CANCEL);
    script_reply(&s, script_expect(&s, OP_CODE_INFO), HF_OK, &nobody);
    expect("lock",
           "\"query\",\"key\":\"a\",\"client\":\"test/0\"," CALLED
           ",\"outcome\":\"ok\",\"result\":{\"held\":false}",
           TIMES(s.now_ns, s.now_ns));
    script_finish(&s, call, HF_OK);
    (void)submit(OP_CODE_INFO, &info, FATE_CANCEL);
    (void)script_expect(&s, OP_CODE_INFO);
    core_close(&s.core);
    expect_no_line();
}

/* Names are quoted as JSON wants it. */
static void test_names_are_escaped(void **state)
{
    (void)state;
    struct buffer out;
    struct recorder_line line = {.model = "lock",
                                 .id = 1,
                                 .client = slice_of("a\"b"),
                                 .part = slice_of("c\\d"),
                                 .op = "query",
                                 .key = slice_of("\n"),
                                 .call_ns = 1,
                                 .outcome = RECORDED_UNKNOWN};
    buffer_init(&out, 1024);
    assert_int_equal(recorder_line_write(&out, &line), HF_OK);
    static const char want[] = "{\"v\":2,\"model\":\"lock\",\"id\":1,\"op\":\"query\",\"key\":"
                               "\"\\n\",\"client\":\"a\\\"b/c\\\\d\""
                               ",\"call\":1,\"ret\":null,\"outcome\":\"unknown\"}\n";
    assert_int_equal(out.size, sizeof want - 1);
    assert_memory_equal(out.data, want, out.size);
    buffer_close(&out);
}

#define CASE(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(acquire_and_release_are_a_line_each),
        CASE(request_that_is_sent_twice_is_one_line),
        CASE(busy_names_the_first_holder),
        CASE(several_names_are_one_line),
        CASE(several_names_that_are_not_granted),
        CASE(permits_are_recorded),
        CASE(deadlock_names_its_circle),
        CASE(downgrade_and_upgrade_are_a_line_each),
        CASE(refusal_of_the_only_send_is_a_failure),
        CASE(refusal_after_a_lost_send_is_unknown),
        CASE(canceled_acquire_failed),
        CASE(grant_that_cancel_tells_of_is_granted_and_released),
        CASE(repeated_abandon_that_finds_nothing_may_have_ended_it),
        CASE(open_request_is_unknown_at_the_end),
        CASE(attempt_is_begun_marked_and_completed),
        CASE(reopening_is_a_line),
        CASE(response_tells_bodies_apart),
        CASE(reads_are_lines_when_answered),
        CASE(names_are_escaped),
    };
    return cmocka_run_group_tests_name("recorder", tests, NULL, NULL);
}
