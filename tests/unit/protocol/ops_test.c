/* Ops from outside: the table's own rules, the type of each reply's body, and the checks that
 * span fields, each with a request that passes and one that differs in a single place.
 */
#include "protocol/ops.h"

#include "base/status.h"
#include "protocol/messages.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/protocol/sample.h"

/* ------------------------------------------------------------------ tables */

/* Codes that no op has, the gaps too, are found to be none. */
static void test_only_listed_codes_are_ops(void **state)
{
    (void)state;
    unsigned count = 0;
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        const struct op_info *info = op_find((uint16_t)code);
        if (info == NULL) continue;
        assert_int_equal(info->code, code);
        assert_true(code >= 1 && code <= OP_CODE_MAX);
        count += 1;
    }
    assert_int_equal(count, OPS);
    assert_string_equal(op_find(OP_CODE_ACQUIRE)->name, "ACQUIRE");
    assert_ptr_equal(op_find(OP_CODE_ACQUIRE)->request, &msg_acquire_type);
    assert_ptr_equal(op_find(OP_CODE_ACQUIRE)->answer, &msg_granted_type);
}

/* Each op goes exactly one way, and only what the log holds may be numbered. */
static void test_traits_do_not_contradict_each_other(void **state)
{
    (void)state;
    for (uint16_t code = 0; code <= OP_CODE_MAX; code++) {
        const struct op_info *info = op_find(code);
        if (info == NULL) continue;
        int ways = ((info->traits & OP_WRITE) != 0) + ((info->traits & OP_READ) != 0) +
                   ((info->traits & OP_DOOR) != 0);
        assert_int_equal(ways, 1);
        if ((info->traits & OP_NUMBERED) != 0) {
            assert_true((info->traits & OP_WRITE) != 0 && (info->traits & OP_SESSION) != 0);
        }
        if ((info->traits & OP_SESSION) != 0) assert_true((info->traits & OP_WRITE) != 0);
        if ((info->traits & OP_PARKS) != 0) assert_true((info->traits & OP_NUMBERED) != 0);
        if ((info->traits & OP_EXEMPT) != 0) assert_true((info->traits & OP_SESSION) != 0);
    }
}

/* Every status of every op has a body; those that the contract gives a detail have that one. */
static void test_each_reply_has_the_body_of_its_status(void **state)
{
    (void)state;
    static const struct {
        uint16_t op;
        int status;
        const struct codec_type *type;
    } rows[] = {
        {OP_CODE_ACQUIRE, HF_OK, &msg_granted_type},
        {OP_CODE_ACQUIRE, HF_EBUSY, &msg_busy_type},
        {OP_CODE_ACQUIRE, HF_EDELAYED, &msg_delayed_type},
        {OP_CODE_ACQUIRE, HF_EALREADY, &msg_already_type},
        {OP_CODE_ACQUIRE, HF_EDEADLOCK, &msg_deadlock_type},
        {OP_CODE_ACQUIRE, HF_EWAITTIMEOUT, &msg_empty_type},
        {OP_CODE_RELEASE, HF_ENOTHELD, &msg_ended_type},
        {OP_CODE_RELEASE, HF_ESTALE, &msg_empty_type},
        {OP_CODE_DOWNGRADE, HF_OK, &msg_empty_type},
        {OP_CODE_UPGRADE, HF_ENOTHELD, &msg_ended_type},
        {OP_CODE_UPGRADE, HF_EUPGRADEBUSY, &msg_empty_type},
        {OP_CODE_ABANDON, HF_ESTALE, &msg_empty_type},
        {OP_CODE_RELEASE, HF_ENOTOWNER, &msg_empty_type},
        {OP_CODE_KEEP, HF_ESESSION, &msg_ended_type},
        {OP_CODE_BEGIN, HF_OK, &msg_begin_reply_type},
        {OP_CODE_BEGIN, HF_ERUNNING, &msg_running_type},
        {OP_CODE_BEGIN, HF_ERECORDUNKNOWN, &msg_unknown_type},
        {OP_CODE_BEGIN, HF_EMISMATCH, &msg_state_type},
        {OP_CODE_EXTEND, HF_ESTALE, &msg_state_type},
        {OP_CODE_CHECKPOINT, HF_ESTALE, &msg_state_type},
        {OP_CODE_COMPLETE, HF_ESTALE, &msg_state_type},
        {OP_CODE_RESOLVE, HF_ESTALE, &msg_state_type},
        {OP_CODE_REOPEN, HF_ESTALE, &msg_state_type},
        {OP_CODE_REOPEN, HF_EBADSTATE, &msg_state_type},
        {OP_CODE_ERASE, HF_EBADSTATE, &msg_state_type},
        {OP_CODE_TIMER_REQUEUE, HF_EBADSTATE, &msg_timer_fired_type},
        {OP_CODE_TIMER_CANCEL, HF_EFIRED, &msg_timer_fired_type},
        {OP_CODE_TIMER_ACK, HF_ESTALE, &msg_empty_type},
        {OP_CODE_TXN, HF_OK, &msg_txn_reply_type},
        {OP_CODE_TXN, HF_ENOTACCEPTED, &msg_txn_refused_type},
        {OP_CODE_CONFIG_SET, HF_ECHANGED, &setting_line_type},
        {OP_CODE_COMPLETE, HF_EBADSTATE, &msg_state_type},
        {OP_CODE_CLOSE, HF_OK, &msg_empty_type},
        {OP_CODE_OPEN, HF_ENOTLEADER, &msg_redirect_type},
        {OP_CODE_BEGIN, HF_ETOOBUSY, &msg_retry_type},
        {OP_CODE_OPEN, HF_EQUOTA, &msg_quota_type},
        {OP_CODE_HELLO, HF_EVERSION, &msg_complaint_type},
        {99, HF_EBADREQUEST, &msg_complaint_type}, /* no such op: still a sentence */
        {99, HF_OK, &msg_empty_type},
        {0, HF_ETOOLARGE, &msg_complaint_type},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        assert_ptr_equal(op_reply_type(rows[i].op, rows[i].status), rows[i].type);
    }
    for (int status = -999; status <= 1; status++) {
        assert_non_null(op_reply_type(OP_CODE_BEGIN, status));
    }
}

/* ------------------------------------------------------------------ requests */

static void assert_request(uint16_t code, const void *request, int status)
{
    const char *sentence = NULL;
    assert_int_equal(op_check(code, request, &sentence), status);
    if (status != HF_OK)
        assert_non_null(sentence);
    else
        assert_null(sentence);
}

/* Names rise strictly by bytes: the same set is always the same request. */
static void test_names_are_sorted_and_distinct(void **state)
{
    (void)state;
    struct slice names[3] = {slice_of("a"), slice_of("a/b"), slice_of("\xc3\xa9")};
    struct msg_acquire acquire = {.names = {names, 3}, .owner = 1};
    assert_request(OP_CODE_ACQUIRE, &acquire, HF_OK);
    names[1] = slice_of("a");
    assert_request(OP_CODE_ACQUIRE, &acquire, HF_EBADREQUEST);
    names[1] = slice_of("A");
    assert_request(OP_CODE_ACQUIRE, &acquire, HF_EBADREQUEST);
    acquire.names.count = 1;
    assert_request(OP_CODE_ACQUIRE, &acquire, HF_OK);
}

/* Permits belong to their mode; there is at least one, and never more than the limit. */
static void test_permits_are_for_their_mode_and_within_the_limit(void **state)
{
    (void)state;
    static const struct {
        uint64_t mode, permits, limit;
        int status;
    } rows[] = {
        {MODE_EXCLUSIVE, 0, 0, HF_OK},          {MODE_SHARED, 0, 0, HF_OK},
        {MODE_EXCLUSIVE, 1, 0, HF_EBADREQUEST}, {MODE_SHARED, 0, 1, HF_EBADREQUEST},
        {MODE_PERMITS, 0, 5, HF_EBADREQUEST},   {MODE_PERMITS, 1, 0, HF_EBADREQUEST},
        {MODE_PERMITS, 0, 0, HF_EBADREQUEST},   {MODE_PERMITS, 5, 5, HF_OK},
        {MODE_PERMITS, 6, 5, HF_EBADREQUEST},   {MODE_PERMITS, 1, PERMITS_MAX, HF_OK},
    };
    struct slice name = slice_of("n");
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        struct msg_acquire acquire = {.names = {&name, 1},
                                      .owner = 1,
                                      .mode = rows[i].mode,
                                      .permits = rows[i].permits,
                                      .limit = rows[i].limit};
        assert_request(OP_CODE_ACQUIRE, &acquire, rows[i].status);
    }
}

/* A lease is the session's (0) or long enough to renew; a guard is whole or absent. */
static void test_a_beginning_has_a_lease_and_a_whole_guard(void **state)
{
    (void)state;
    struct msg_begin begin = {.key = slice_of("k"), .lease_ms = 0};
    assert_request(OP_CODE_BEGIN, &begin, HF_OK);
    begin.lease_ms = 1;
    assert_request(OP_CODE_BEGIN, &begin, HF_EBADREQUEST);
    begin.lease_ms = LEASE_MS_MIN - 1;
    assert_request(OP_CODE_BEGIN, &begin, HF_EBADREQUEST);
    begin.lease_ms = LEASE_MS_MIN;
    assert_request(OP_CODE_BEGIN, &begin, HF_OK);
    begin.guard_token = 5;
    assert_request(OP_CODE_BEGIN, &begin, HF_EBADREQUEST);
    begin.guard_name = slice_of("lock");
    assert_request(OP_CODE_BEGIN, &begin, HF_OK);
    begin.guard_token = 0;
    assert_request(OP_CODE_BEGIN, &begin, HF_EBADREQUEST);
}

/* A body that was left out is not there, a reference instead of it is. */
static void test_a_result_is_what_it_says_of_its_body(void **state)
{
    (void)state;
    struct msg_complete complete = {.key = slice_of("k"), .body = slice_of("b")};
    struct msg_resolve resolve = {.key = slice_of("k"), .body = slice_of("b")};
    for (uint64_t kind = BODY_WHOLE; kind <= BODY_REFERENCE; kind++) {
        for (int empty = 0; empty < 2; empty++) {
            bool wrong = empty == 1 ? kind == BODY_REFERENCE : kind == BODY_OMITTED;
            complete.body_kind = resolve.body_kind = kind;
            complete.body = resolve.body = slice_of(empty == 1 ? "" : "b");
            assert_request(OP_CODE_COMPLETE, &complete, wrong ? HF_EBADREQUEST : HF_OK);
            assert_request(OP_CODE_RESOLVE, &resolve, wrong ? HF_EBADREQUEST : HF_OK);
        }
    }
}

/* Acknowledged losses are tokens; a version range is not upside down; no op, no request. */
static void test_other_requests_hold_what_they_say(void **state)
{
    (void)state;
    uint64_t tokens[] = {1, TOKEN_END - 1};
    struct msg_keep keep = {.losses_acked = {tokens, 2}};
    assert_request(OP_CODE_KEEP, &keep, HF_OK);
    tokens[1] = TOKEN_END;
    assert_request(OP_CODE_KEEP, &keep, HF_EBADREQUEST);
    tokens[1] = 0;
    assert_request(OP_CODE_KEEP, &keep, HF_EBADREQUEST);

    struct msg_hello hello = {.version_min = 1, .version_max = 1};
    assert_request(OP_CODE_HELLO, &hello, HF_OK);
    hello.version_min = 2;
    assert_request(OP_CODE_HELLO, &hello, HF_EBADREQUEST);

    struct msg_empty empty = {0};
    assert_request(OP_CODE_CLOSE, &empty, HF_OK);
    assert_request(127, &empty, HF_EBADREQUEST);
}

/* ------------------------------------------------------------------ envelopes */

static void assert_envelope(uint16_t code, const struct client_envelope *e, int status)
{
    const char *sentence = NULL;
    assert_int_equal(envelope_check(code, e, &sentence), status);
    if (status != HF_OK)
        assert_non_null(sentence);
    else
        assert_null(sentence);
}

/* A session and a number stand where the op wants them, and nowhere else. */
static void test_session_and_seq_stand_where_they_belong(void **state)
{
    (void)state;
    for (uint16_t code = 0; code <= OP_CODE_MAX; code++) {
        const struct op_info *info = op_find(code);
        for (unsigned bits = 0; bits < 4; bits++) {
            struct client_envelope e = {.session = bits & 1, .seq = bits >> 1};
            bool right = info != NULL && (e.session != 0) == ((info->traits & OP_SESSION) != 0) &&
                         (e.seq != 0) == ((info->traits & OP_NUMBERED) != 0);
            assert_envelope(code, &e, right ? HF_OK : HF_EBADREQUEST);
        }
    }
}

/* What belongs to a session is zero without one; a trace may be anywhere. */
static void test_without_a_session_there_is_nothing_to_acknowledge(void **state)
{
    (void)state;
    struct client_envelope e = {.traceparent = slice_of("00-x")};
    struct ack_range range = {1, 2};
    assert_envelope(OP_CODE_LIST, &e, HF_OK);
    e.ack = 1;
    assert_envelope(OP_CODE_LIST, &e, HF_EBADREQUEST);
    e.ack = 0;
    e.renews = 1;
    assert_envelope(OP_CODE_LIST, &e, HF_EBADREQUEST);
    e.renews = 0;
    e.ack_ranges = (struct codec_list){&range, 1};
    assert_envelope(OP_CODE_LIST, &e, HF_EBADREQUEST);
}

/* What any server may answer is a read. */
static void test_only_reads_may_be_stale(void **state)
{
    (void)state;
    for (uint16_t code = 0; code <= OP_CODE_MAX; code++) {
        const struct op_info *info = op_find(code);
        unsigned traits = info != NULL ? info->traits : 0;
        struct client_envelope e = {.stale_ok = 1};
        e.session = (traits & OP_SESSION) != 0;
        e.seq = (traits & OP_NUMBERED) != 0;
        assert_envelope(code, &e, (traits & OP_READ) != 0 ? HF_OK : HF_EBADREQUEST);
    }
}

/* Ranges rise, none touches ack from below, none is upside down; the greatest seq may end one. */
static void test_ack_ranges_rise_above_ack(void **state)
{
    (void)state;
    static const struct {
        uint64_t ack;
        struct ack_range ranges[2];
        int status;
    } rows[] = {
        {5, {{7, 7}, {9, 12}}, HF_OK},
        {5, {{6, 7}, {8, UINT64_MAX}}, HF_OK},
        {5, {{5, 7}, {9, 12}}, HF_EBADREQUEST},
        {5, {{7, 6}, {9, 12}}, HF_EBADREQUEST},
        {5, {{7, 9}, {9, 12}}, HF_EBADREQUEST},
        {5, {{9, 12}, {7, 7}}, HF_EBADREQUEST},
        {5, {{7, UINT64_MAX}, {8, 9}}, HF_EBADREQUEST},
        {UINT64_MAX, {{1, 2}, {3, 4}}, HF_EBADREQUEST},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        struct client_envelope e = {
            .session = 1, .ack = rows[i].ack, .ack_ranges = {rows[i].ranges, 2}};
        assert_envelope(OP_CODE_KEEP, &e, rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_listed_codes_are_ops),
        cmocka_unit_test(test_traits_do_not_contradict_each_other),
        cmocka_unit_test(test_each_reply_has_the_body_of_its_status),
        cmocka_unit_test(test_names_are_sorted_and_distinct),
        cmocka_unit_test(test_permits_are_for_their_mode_and_within_the_limit),
        cmocka_unit_test(test_a_beginning_has_a_lease_and_a_whole_guard),
        cmocka_unit_test(test_a_result_is_what_it_says_of_its_body),
        cmocka_unit_test(test_other_requests_hold_what_they_say),
        cmocka_unit_test(test_session_and_seq_stand_where_they_belong),
        cmocka_unit_test(test_without_a_session_there_is_nothing_to_acknowledge),
        cmocka_unit_test(test_only_reads_may_be_stale),
        cmocka_unit_test(test_ack_ranges_rise_above_ack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
