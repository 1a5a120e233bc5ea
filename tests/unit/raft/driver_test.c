/* The driver with one voter, and the rules that libraft does not keep by itself. */
#include "raft/driver.h"

#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/raft/driver_rig.h"

static const uint8_t word[8] = "command";

static struct log_entry command(uint64_t index, uint64_t term)
{
    return (struct log_entry){index, term, LOG_COMMAND, {word, sizeof word}};
}

static uint64_t submit(struct rig *rig)
{
    uint64_t index = 0;
    struct slice data = {word, sizeof word};
    assert_int_equal(driver_submit(rig->driver, rig->now_ms, data, &index), HF_OK);
    return index;
}

/* ------------------------------------------------------------------ one voter */

/* It leads at once, in a new term that it voted for itself; it is ready once the entry that opens
 * the term is on disk and applied. */
static void test_a_lone_voter_leads_in_a_term_of_its_own(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_start(&rig);
    assert_int_equal(driver_state(rig.driver), DRIVER_LEADER);
    assert_true(rig.term == 2 && rig.voted_for == 1 && driver_term(rig.driver) == 2);
    assert_true(driver_leader(rig.driver) == 1 && rig.changes >= 1);
    assert_true(rig.appended == 2 && rig.applied == 1);
    assert_false(driver_is_ready(rig.driver));
    rig_sync(&rig);
    assert_true(rig.applied == 2 && driver_is_ready(rig.driver));
    assert_int_equal(rig.applied_types[1], LOG_CHANGE);
    assert_int_equal(rig.applied_types[2], LOG_BARRIER);
    rig_close(&rig);
}

/* An entry is committed when it is durable, not before, and applied once, in order. */
static void test_an_entry_is_applied_only_once_durable(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_start(&rig);
    rig_sync(&rig);
    for (uint64_t i = 3; i < 500; i++) {
        assert_true(submit(&rig) == i);
        if (i % 7 != 0) continue;
        assert_true(driver_persisted(rig.driver, rig.now_ms, i - 2) == HF_OK);
        assert_true(rig.applied == i - 2 && driver_commit_index(rig.driver) == i - 2);
        assert_true(driver_persisted(rig.driver, rig.now_ms, i - 3) == HF_OK); /* old news */
        rig_timeout(&rig);
        assert_int_equal(driver_state(rig.driver), DRIVER_LEADER);
    }
    rig_sync(&rig);
    assert_true(rig.applied == rig.appended && driver_term_of(rig.driver, 400) == 2);
    assert_int_equal(rig.applied_types[77], LOG_COMMAND);
    rig_close(&rig);
}

/* A restart takes a new term each time: entries that were sent but not written before a crash
 * never share index and term with later ones. */
static void test_each_restart_opens_a_new_term(void **state)
{
    (void)state;
    uint64_t term = 1;
    for (int round = 0; round < 5; round++) {
        struct rig rig;
        rig_init(&rig, 1);
        for (int i = 0; i < round; i++) {
            struct log_entry e = command(2 + (uint64_t)i, (uint64_t)i + 2);
            entries_append(&rig.entries, &e);
            rig.appended = e.index;
        }
        rig.term = term;
        rig_start(&rig);
        assert_true(rig.term == term + 1);
        assert_true(driver_term_of(rig.driver, rig.appended) == term + 1);
        assert_true(rig.applied == rig.appended - 1); /* what was durable is committed */
        term = rig.term;
        rig_close(&rig);
    }
}

/* Apply may pause, and goes on where it was. */
static void test_applying_pauses_and_goes_on(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_start(&rig);
    rig_sync(&rig);
    rig.apply_status = HF_ETOOBUSY;
    for (int i = 0; i < 5; i++) submit(&rig);
    rig_sync(&rig);
    assert_true(rig.applied == 2 && driver_applied_index(rig.driver) == 2);
    assert_true(driver_commit_index(rig.driver) == 7);
    rig.apply_status = HF_OK;
    assert_int_equal(driver_resume(rig.driver, rig.now_ms), HF_OK);
    assert_true(rig.applied == 7);
    rig_close(&rig);
}

/* A failing port ends it: the first fault is kept and nothing is done any more. */
static void test_a_fault_stays(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_start(&rig);
    rig_sync(&rig);
    rig.apply_status = HF_ECORRUPT;
    uint64_t index;
    submit(&rig);
    assert_int_equal(driver_persisted(rig.driver, rig.now_ms, 3), HF_ECORRUPT);
    rig.apply_status = HF_OK;
    struct slice data = {word, sizeof word};
    assert_int_equal(driver_submit(rig.driver, rig.now_ms, data, &index), HF_ECORRUPT);
    assert_int_equal(driver_tick(rig.driver, rig.now_ms + 1000), HF_ECORRUPT);
    assert_true(rig.applied == 2 && !driver_is_ready(rig.driver));
    rig_close(&rig);

    rig_init(&rig, 1);
    rig.persist_status = HF_EIO;
    struct driver_mark none = {0};
    assert_int_equal(driver_start(rig.driver, 1, 1, 0, &none), HF_EIO);
    rig_close(&rig);
}

/* More than the ring holds waits for the disk: refused, and accepted again afterwards. */
static void test_submits_are_refused_while_the_ring_is_full(void **state)
{
    (void)state;
    struct rig rig;
    static uint8_t big[100 * 1024];
    rig_init(&rig, 1);
    rig_start(&rig);
    rig_sync(&rig);
    uint64_t index;
    struct slice data = {big, sizeof big};
    int rv = HF_OK;
    unsigned accepted = 0;
    while (rv == HF_OK && accepted < 100) {
        rv = driver_submit(rig.driver, rig.now_ms, data, &index);
        accepted += rv == HF_OK;
    }
    assert_int_equal(rv, HF_ETOOBUSY);
    assert_true(accepted >= 10 && accepted <= 12);
    rig_sync(&rig);
    assert_int_equal(driver_submit(rig.driver, rig.now_ms, data, &index), HF_OK);
    assert_true(rig.entries.first > 1); /* older ones made room */
    data.size = LOG_ENTRY_BYTES_MAX + 1;
    assert_int_equal(driver_submit(rig.driver, rig.now_ms, data, &index), HF_ETOOLARGE);
    rig_close(&rig);
}

/* A store's mark replaces what lies before it: start at the mark, with the log behind. */
static void test_a_start_at_a_mark_applies_what_follows(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 0);
    entries_reset(&rig.entries, 101, 4);
    for (uint64_t i = 101; i <= 105; i++) {
        struct log_entry e = command(i, 5);
        entries_append(&rig.entries, &e);
    }
    rig.appended = 105;
    rig.applied = 100;
    rig.term = 6;
    struct driver_mark mark = {100, 4, 1, rig_configuration(0, 1, 0, 0)};
    assert_int_equal(driver_start(rig.driver, 1, 6, 1, &mark), HF_OK);
    assert_true(rig.applied == 105 && rig.appended == 106 && rig.term == 7);
    rig_sync(&rig);
    assert_true(driver_is_ready(rig.driver) && driver_term_of(rig.driver, 100) == 4);
    struct slice bytes;
    assert_true(driver_configuration(rig.driver, &bytes) == 1);
    assert_true(slice_equal(bytes, mark.configuration));
    rig_close(&rig);
}

/* A log that this driver cannot have written is not started with. */
static void test_a_log_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t first, terms, vote_term, mark_index, mark_term;
    } cases[] = {
        {1, 9, 8, 0, 0},     /* a term above the vote file's */
        {103, 5, 6, 100, 4}, /* begins behind the mark */
        {99, 5, 6, 110, 5},  /* ends before the mark */
        {99, 5, 6, 100, 4},  /* another term at the mark */
        {2, 5, 6, 0, 0},     /* no first configuration */
    };
    for (size_t k = 0; k < HF_ARRAY_COUNT(cases); k++) {
        struct rig rig;
        rig_init(&rig, 0);
        entries_reset(&rig.entries, cases[k].first, 0);
        for (uint64_t i = 0; i < 3; i++) {
            struct log_entry e = command(cases[k].first + i, cases[k].terms);
            entries_append(&rig.entries, &e);
        }
        struct driver_mark mark = {cases[k].mark_index, cases[k].mark_term, 1,
                                   rig_configuration(0, 1, 0, 0)};
        if (mark.index == 0) mark = (struct driver_mark){0};
        assert_int_equal(driver_start(rig.driver, 1, cases[k].vote_term, 0, &mark), HF_ECORRUPT);
        rig_close(&rig);
    }
}

/* ------------------------------------------------------------------ three voters */

/* A leader's first entry goes to its peers at once, although they were just sent a heartbeat:
 * without the rule for the idle pipe it waits for the next one. */
static void test_a_submit_into_an_idle_pipe_goes_out_at_once(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig_start(&rig);
    assert_int_equal(driver_state(rig.driver), DRIVER_FOLLOWER);
    uint64_t index;
    struct slice data = {word, sizeof word};
    assert_int_equal(driver_submit(rig.driver, rig.now_ms, data, &index), HF_ENOTLEADER);
    rig_elect(&rig);
    unsigned with_entries = 0;
    for (unsigned i = 0; i < rig.sent_count; i++) {
        const struct message *m = &rig.sent[i];
        with_entries += m->type == MESSAGE_APPEND && m->append.count == 1;
    }
    assert_int_equal(with_entries, 2);
    assert_false(driver_is_ready(rig.driver));
    rig_sync(&rig);
    assert_true(rig.applied == 1); /* one of three is no majority */
    struct message ack = {
        .type = MESSAGE_APPEND_RESULT, .peer = 2, .address = "n2", .term = rig.term};
    ack.append_result.last_index = rig.appended + 1; /* a lie */
    assert_int_equal(driver_receive(rig.driver, rig.now_ms, &ack), HF_EBADREQUEST);
    ack.append_result.last_index = rig.appended;
    assert_int_equal(driver_receive(rig.driver, rig.now_ms, &ack), HF_OK);
    assert_true(rig.applied == 2 && driver_is_ready(rig.driver));
    rig_close(&rig);
}

/* A late answer to a pre-vote names a term that was only asked about: a leader stays one, and a
 * follower in its term. */
static void test_late_answers_to_votes_move_nobody(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig_start(&rig);
    for (int elected = 0; elected < 2; elected++) {
        if (elected == 1) rig_elect(&rig);
        enum driver_state before = driver_state(rig.driver);
        uint64_t term = driver_term(rig.driver);
        for (unsigned bits = 0; bits < 4; bits++) {
            struct message m = {
                .type = MESSAGE_VOTE_RESULT, .peer = 3, .address = "n3", .term = term + 1};
            m.vote_result.granted = (bits & 1) != 0;
            m.vote_result.pre_vote = (bits & 2) != 0;
            assert_int_equal(driver_receive(rig.driver, rig.now_ms, &m), HF_OK);
            assert_int_equal(driver_state(rig.driver), before);
            assert_true(driver_term(rig.driver) == term);
        }
    }
    rig_close(&rig);
}

/* A vote is on disk before the answer leaves, and is not given twice in a term. */
static void test_a_vote_is_durable_before_it_is_told(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig_start(&rig);
    struct message ask = {.type = MESSAGE_VOTE, .peer = 2, .address = "n2", .term = 5};
    ask.vote.last_index = 1;
    ask.vote.last_term = 1;
    assert_int_equal(driver_receive(rig.driver, rig.now_ms, &ask), HF_OK);
    assert_true(rig.term == 5 && rig.voted_for == 2);
    assert_true(rig_last(&rig, MESSAGE_VOTE_RESULT)->vote_result.granted);
    ask.peer = 3;
    ask.address = "n3";
    assert_int_equal(driver_receive(rig.driver, rig.now_ms, &ask), HF_OK);
    assert_false(rig_last(&rig, MESSAGE_VOTE_RESULT)->vote_result.granted);
    rig.persist_status = HF_EIO;
    unsigned sent = rig.sent_count;
    ask.term = 6;
    assert_int_equal(driver_receive(rig.driver, rig.now_ms, &ask), HF_EIO);
    assert_int_equal(rig.sent_count, sent); /* nothing left for a vote that is not on disk */
    rig_close(&rig);
}

/* A server that is ahead in terms and behind in its log can be elected by nobody; the other one
 * must hear of the later term, or they refuse each other for ever. */
static void test_a_refused_pre_vote_tells_of_the_later_term(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig.term = 35;
    rig_start(&rig);
    struct message ask = {.type = MESSAGE_VOTE, .peer = 2, .address = "n2", .term = 5};
    ask.vote.last_index = 9;
    ask.vote.last_term = 4;
    ask.vote.pre_vote = true;
    assert_int_equal(driver_receive(rig.driver, rig.now_ms, &ask), HF_OK);
    const struct message *answer = rig_last(&rig, MESSAGE_VOTE_RESULT);
    assert_true(answer->vote_result.pre_vote && !answer->vote_result.granted);
    assert_true(answer->term == 35 && rig.term == 35 && rig.voted_for == 0);
    rig_close(&rig);
}

/* And who asks goes on from there. */
static void test_a_later_term_in_a_refusal_is_taken(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig_start(&rig);
    while (rig_last(&rig, MESSAGE_VOTE) == NULL) rig_timeout(&rig);
    struct message answer = {.type = MESSAGE_VOTE_RESULT, .peer = 2, .address = "n2", .term = 35};
    answer.vote_result.pre_vote = true;
    assert_int_equal(driver_receive(rig.driver, rig.now_ms, &answer), HF_OK);
    assert_true(rig.term == 35 && rig.voted_for == 0);
    rig_close(&rig);
}

/* Each configuration of an append is booked at its own index: when it is truncated, the one before
 * it is in force again. Fed to libraft in one piece it would stay. */
static void test_a_configuration_inside_an_append_rolls_back(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig_start(&rig);
    struct slice four = rig_configuration(1, 3, 4, SERVER_SPARE);
    struct log_entry es[3] = {command(2, 1), command(3, 1), {4, 1, LOG_CHANGE, four}};
    assert_int_equal(rig_append(&rig, 2, 1, 1, 1, 1, es, 3), HF_OK);
    rig_sync(&rig);
    struct slice bytes;
    assert_true(driver_configuration(rig.driver, &bytes) == 4);
    struct log_entry other = command(4, 2);
    assert_int_equal(rig_append(&rig, 3, 2, 3, 1, 1, &other, 1), HF_OK);
    assert_true(driver_configuration(rig.driver, &bytes) == 1);
    assert_true(slice_equal(bytes, rig_configuration(0, 3, 0, 0)));
    assert_int_equal(rig.truncates, 1);
    rig_close(&rig);
}

/* Two configurations follow each other, the first committed without our knowing: truncating the
 * second brings back the first, not the one before both. */
static void test_a_rollback_goes_back_one_configuration_only(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig_start(&rig);
    struct slice spare = rig_configuration(1, 3, 4, SERVER_SPARE);
    struct slice standby = rig_configuration(2, 3, 4, SERVER_STANDBY);
    struct log_entry first = {2, 1, LOG_CHANGE, spare};
    struct log_entry second = {3, 1, LOG_CHANGE, standby};
    assert_int_equal(rig_append(&rig, 2, 1, 1, 1, 1, &first, 1), HF_OK);
    rig_sync(&rig);
    assert_int_equal(rig_append(&rig, 2, 1, 2, 1, 1, &second, 1), HF_OK);
    rig_sync(&rig);
    struct log_entry other = command(3, 2);
    assert_int_equal(rig_append(&rig, 3, 2, 2, 1, 1, &other, 1), HF_OK);
    struct slice bytes;
    assert_true(driver_configuration(rig.driver, &bytes) == 2);
    assert_true(slice_equal(bytes, spare));
    rig_close(&rig);
}

static void start_compacted(struct rig *rig)
{
    rig_init(rig, 0);
    entries_reset(&rig->entries, 101, 3);
    rig->appended = 100;
    rig->applied = 100;
    rig->term = 3;
    struct driver_mark mark = {100, 3, 1, rig_configuration(0, 3, 0, 0)};
    assert_int_equal(driver_start(rig->driver, rig->now_ms, 3, 0, &mark), HF_OK);
}

/* A heartbeat anchored below a follower's mark is answered as a match at the mark: a rejection
 * would make the leader send nothing but heartbeats for the rest of its term. */
static void test_an_append_below_the_mark_is_anchored_at_it(void **state)
{
    (void)state;
    struct rig rig;
    start_compacted(&rig);
    assert_int_equal(rig_append(&rig, 2, 3, 50, 2, 100, NULL, 0), HF_OK);
    const struct message *answer = rig_last(&rig, MESSAGE_APPEND_RESULT);
    assert_true(answer->append_result.rejected_index == 0);
    assert_true(answer->append_result.last_index == 100);
    struct log_entry es[60];
    for (unsigned i = 0; i < 60; i++) es[i] = command(51 + i, 3);
    assert_int_equal(rig_append(&rig, 2, 3, 50, 3, 100, es, 60), HF_OK);
    assert_true(rig.appended == 110 && driver_last_index(rig.driver) == 110);
    rig_close(&rig);
}

/* An append from the very beginning, at a follower that has compacted it away, changes nothing:
 * libraft alone reads past the message and writes the log anew from entry 1. */
static void test_an_append_from_the_beginning_at_a_compacted_follower_is_harmless(void **state)
{
    (void)state;
    struct rig rig;
    start_compacted(&rig);
    struct log_entry es[2] = {{1, 1, LOG_CHANGE, rig_configuration(0, 3, 0, 0)}, command(2, 1)};
    assert_int_equal(rig_append(&rig, 2, 3, 0, 0, 100, es, 2), HF_OK);
    assert_true(driver_last_index(rig.driver) == 100 && rig.appended == 100);
    rig_close(&rig);
}

/* The same once the mark moves while it runs. */
static void test_a_moved_mark_anchors_too(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig_start(&rig);
    struct log_entry es[20];
    for (unsigned i = 0; i < 20; i++) es[i] = command(2 + i, 1);
    assert_int_equal(rig_append(&rig, 2, 1, 1, 1, 21, es, 20), HF_OK);
    rig_sync(&rig);
    assert_true(rig.applied == 21);
    struct driver_mark mark = {20, 1, 1, rig_configuration(0, 3, 0, 0)};
    assert_int_equal(driver_compact(rig.driver, rig.now_ms, &mark, 0), HF_OK);
    assert_int_equal(driver_compact(rig.driver, rig.now_ms, &mark, 0), HF_OK); /* ignored */
    assert_int_equal(rig_append(&rig, 2, 1, 1, 1, 21, es, 20), HF_OK);
    assert_true(driver_last_index(rig.driver) == 21);
    assert_true(rig_last(&rig, MESSAGE_APPEND_RESULT)->append_result.rejected_index == 0);
    rig_close(&rig);
}

/* libraft leaves a field of that answer unset; what it happens to hold must not travel. */
static void test_an_older_terms_leader_is_told_nothing_of_the_stack(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig.term = 7;
    rig_start(&rig);
    struct log_entry entry = command(2, 6);
    assert_int_equal(rig_append(&rig, 2, 6, 1, 1, 1, &entry, 1), HF_OK);
    const struct message *answer = rig_last(&rig, MESSAGE_APPEND_RESULT);
    assert_non_null(answer);
    assert_true(answer->term == 7 && answer->append_result.rejected_index == 1);
    assert_true(answer->append_result.last_index == 0);
    rig_close(&rig);
}

/* What breaks a rule is refused before libraft sees it, and changes nothing. */
static void test_unsound_messages_are_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig_start(&rig);
    struct log_entry es[2] = {command(2, 1), command(3, 1)};
    assert_int_equal(rig_append(&rig, 2, 1, 1, 1, 2, es, 2), HF_OK);
    rig_sync(&rig);
    assert_true(rig.applied == 2);
    struct log_entry bad = command(4, 1);
    bad.type = 9;
    assert_int_equal(rig_append(&rig, 2, 2, 3, 1, 2, &bad, 1), HF_EBADREQUEST);
    bad = command(5, 1); /* a gap */
    assert_int_equal(rig_append(&rig, 2, 2, 3, 1, 2, &bad, 1), HF_EBADREQUEST);
    bad = command(4, 3); /* a term above the leader's */
    assert_int_equal(rig_append(&rig, 2, 2, 3, 1, 2, &bad, 1), HF_EBADREQUEST);
    bad = command(2, 2); /* another entry where one is committed */
    assert_int_equal(rig_append(&rig, 2, 2, 1, 1, 2, &bad, 1), HF_EBADREQUEST);
    uint8_t configuration[16] = {1, 255, 255, 255, 255, 255, 255, 255, 255};
    bad = (struct log_entry){4, 1, LOG_CHANGE, {configuration, sizeof configuration}};
    assert_int_equal(rig_append(&rig, 2, 2, 3, 1, 2, &bad, 1), HF_EBADREQUEST);
    assert_int_equal(rig_append(&rig, 1, 2, 3, 1, 2, es, 0), HF_EBADREQUEST); /* from itself */
    assert_int_equal(rig_append(&rig, 2, 2, 3, 1, 2, es, 5000), HF_EBADREQUEST);
    struct message strange = {.type = 99, .peer = 2, .address = "n2", .term = 9};
    assert_int_equal(driver_receive(rig.driver, rig.now_ms, &strange), HF_EBADREQUEST);
    assert_true(rig.term == 1 && driver_last_index(rig.driver) == 3);
    rig_close(&rig);
}

/* A term that no number of elections explains changes nothing, in any kind of message; one as far
 * as is allowed is taken. */
static void test_terms_from_far_away_are_refused(void **state)
{
    (void)state;
    static const uint8_t types[] = {MESSAGE_APPEND, MESSAGE_APPEND_RESULT, MESSAGE_VOTE,
                                    MESSAGE_VOTE_RESULT, MESSAGE_TIMEOUT_NOW};
    struct rig rig;
    rig_init(&rig, 3);
    rig_start(&rig);
    uint64_t term = driver_term(rig.driver);
    for (unsigned i = 0; i < HF_ARRAY_COUNT(types); i++) {
        struct message m = {.type = types[i], .peer = 2, .address = "n2"};
        m.term = term + DRIVER_TERM_JUMP_MAX + 1;
        assert_int_equal(driver_receive(rig.driver, rig.now_ms, &m), HF_EBADREQUEST);
        m.term = UINT64_MAX;
        assert_int_equal(driver_receive(rig.driver, rig.now_ms, &m), HF_EBADREQUEST);
    }
    assert_true(driver_term(rig.driver) == term);
    struct message vote = {.type = MESSAGE_VOTE, .peer = 2, .address = "n2"};
    vote.term = term + DRIVER_TERM_JUMP_MAX;
    vote.vote.disrupt_leader = true;
    assert_int_equal(driver_receive(rig.driver, rig.now_ms, &vote), HF_OK);
    assert_true(driver_term(rig.driver) == vote.term);
    rig_close(&rig);
}

/* A configuration's bytes are read back, and no prefix or flipped length gets past the check. */
static void test_configurations_are_checked_to_the_byte(void **state)
{
    (void)state;
    struct slice whole = rig_configuration(0, 3, 4, SERVER_STANDBY);
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    assert_int_equal(configuration_decode(whole, servers), 4);
    assert_true(servers[3].id == 4 && servers[3].role == SERVER_STANDBY);
    assert_string_equal(servers[2].address, "n3");
    for (size_t size = 0; size < whole.size; size++) {
        assert_false(configuration_check(slice_make(whole.data, size)));
    }
    struct configuration_server twice[2] = {{1, "a", SERVER_VOTER}, {1, "b", SERVER_VOTER}};
    struct buffer out;
    buffer_init(&out, 100);
    assert_int_equal(configuration_encode(twice, 2, &out), HF_EINVAL);
    twice[1] = (struct configuration_server){2, "a", SERVER_VOTER};
    assert_int_equal(configuration_encode(twice, 2, &out), HF_EINVAL);
    buffer_close(&out);
}

int main(void)
{
    log_set_level(LOG_ERROR + 1); /* the faults are wanted */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lone_voter_leads_in_a_term_of_its_own),
        cmocka_unit_test(test_an_entry_is_applied_only_once_durable),
        cmocka_unit_test(test_each_restart_opens_a_new_term),
        cmocka_unit_test(test_applying_pauses_and_goes_on),
        cmocka_unit_test(test_a_fault_stays),
        cmocka_unit_test(test_submits_are_refused_while_the_ring_is_full),
        cmocka_unit_test(test_a_start_at_a_mark_applies_what_follows),
        cmocka_unit_test(test_a_log_that_does_not_fit_is_refused),
        cmocka_unit_test(test_a_submit_into_an_idle_pipe_goes_out_at_once),
        cmocka_unit_test(test_late_answers_to_votes_move_nobody),
        cmocka_unit_test(test_a_vote_is_durable_before_it_is_told),
        cmocka_unit_test(test_a_refused_pre_vote_tells_of_the_later_term),
        cmocka_unit_test(test_a_later_term_in_a_refusal_is_taken),
        cmocka_unit_test(test_a_configuration_inside_an_append_rolls_back),
        cmocka_unit_test(test_a_rollback_goes_back_one_configuration_only),
        cmocka_unit_test(test_an_append_below_the_mark_is_anchored_at_it),
        cmocka_unit_test(test_an_append_from_the_beginning_at_a_compacted_follower_is_harmless),
        cmocka_unit_test(test_a_moved_mark_anchors_too),
        cmocka_unit_test(test_an_older_terms_leader_is_told_nothing_of_the_stack),
        cmocka_unit_test(test_unsound_messages_are_refused),
        cmocka_unit_test(test_terms_from_far_away_are_refused),
        cmocka_unit_test(test_configurations_are_checked_to_the_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
