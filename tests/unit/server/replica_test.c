/* The replica in virtual time, over a disk and a store in memory, with a machine of four rules
 * (fake_machine.h): what is answered when, and what
 * survives a crash. What time does: replica_time_test.c. */
#include "base/status.h"
#include "raft/directory.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/server/fake_machine.h"
#include "tests/unit/server/world.h"

static const struct replica_counts *counts(const struct world *w)
{
    return replica_count(w->replica);
}

static void expect_reply(struct client *c, uint64_t request_id, int status)
{
    struct got got;
    assert_true(client_take(c, &got));
    assert_int_equal(got.request_id, request_id);
    assert_int_equal(got.status, status);
}

static void expect_silence(struct client *c)
{
    struct got got;
    assert_false(client_take(c, &got));
}

/* ------------------------------------------------------------------ durability */

/* Neither the request nor the end of its pass answers it: only the log's finished write does. */
static void test_reply_leaves_only_after_the_write_is_done(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    uint64_t id = client_open(&c, 10000);
    expect_silence(&c);
    world_pass(w);
    expect_silence(&c);

    struct wal *wal = replica_wal(w->replica);
    struct wal_job *job = wal_job_take(wal, WAL_LANE_WRITE);
    assert_non_null(job);
    wal_job_run(&w->disk.disk, job);
    world_pass(w);
    expect_silence(&c); /* on disk, but nobody has been told */
    assert_int_equal(wal_job_done(wal, job), HF_OK);
    assert_int_equal(replica_log_progress(w->replica, w->now), HF_OK);
    expect_reply(&c, id, HF_OK);
    client_close(&c);
}

/* What was answered is there after a power cut, and tokens go on rising. */
static void test_restart_applies_the_log_again(void **state)
{
    struct world *w = *state;
    struct refusal why = {{0}};
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 10000);
    for (int i = 0; i < 10; i++) client_acquire(&c, 0, 0);
    world_settle(w);
    struct hash128 before = store_digest(w->store);
    uint64_t session = c.session;
    client_close(&c);

    world_crash(w);
    assert_int_equal(store_mark(w->store)->index, 0); /* nothing was flushed */
    assert_int_equal(world_start(w, &why), HF_OK);
    world_settle(w);
    struct hash128 after = store_digest(w->store);
    assert_memory_equal(&before, &after, sizeof before);

    struct got got;
    struct msg_granted granted;
    client_connect(&c, w);
    c.session = session;
    client_acquire(&c, 0, 0);
    world_settle(w);
    assert_true(client_take(&c, &got));
    assert_int_equal(codec_decode(&msg_granted_type, got.body, NULL, &granted), HF_OK);
    assert_int_equal(granted.fencing_token, 11);
    client_close(&c);
}

/* A flushed generation stands for what was applied, never for more than the log holds, and a
 * restart applies only what lies behind it. */
static void test_checkpoint_stands_for_what_is_applied_and_durable(void **state)
{
    struct world *w = *state;
    struct refusal why = {{0}};
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    world_run(w, 1500);
    uint64_t mark = store_mark(w->store)->index;
    assert_int_equal(mark, w->replica->checkpoint_index);
    assert_true(mark > 0 && mark <= wal_durable_index(replica_wal(w->replica)));

    client_acquire(&c, 0, 0);
    world_pass(w); /* submitted, not durable */
    world_sleep(w, 5000);
    assert_int_equal(replica_pass_end(w->replica, w->now), HF_OK);
    assert_false(world_run_flush(w));
    assert_int_equal(w->replica->checkpoint_index, mark);
    world_settle(w);
    struct hash128 before = store_digest(w->store);
    client_close(&c);

    world_crash(w);
    assert_int_equal(store_mark(w->store)->index, mark);
    assert_int_equal(world_start(w, &why), HF_OK);
    world_settle(w);
    struct hash128 after = store_digest(w->store);
    assert_memory_equal(&before, &after, sizeof before);
}

/* A store that stands ahead of its log is refused with a sentence: the log has lost something. */
static void test_store_ahead_of_its_log_is_refused(void **state)
{
    struct world *w = *state;
    struct refusal why = {{0}};
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    for (int i = 0; i < 5; i++) {
        client_acquire(&c, 0, 0);
        world_settle(w);
    }
    client_close(&c);
    world_run(w, 1500);
    assert_true(store_mark(w->store)->index > 5);
    world_crash(w);

    struct sim_disk other;
    struct sim_disk mine = w->disk;
    sim_disk_init(&other, 2);
    w->disk = other;
    struct store *store = w->store;
    w->store = NULL;
    struct world *fresh = NULL;
    assert_int_equal(world_setup((void **)&fresh), 0);
    replica_close(fresh->replica);
    fresh->replica = NULL;
    store_close(fresh->store);
    fresh->store = store;
    assert_int_equal(world_start(fresh, &why), HF_ECORRUPT);
    assert_non_null(strstr(why.text, "the log has lost"));
    assert_int_equal(world_teardown((void **)&fresh), 0);
    sim_disk_close(&w->disk);
    w->disk = mine;
}

/* An entry that the machine cannot apply ends the server: the fault comes back to the shell. */
static void test_fault_of_the_machine_comes_back(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_open(&c, 10000);
    world_pass(w);
    fake_knobs.apply_status = HF_ECORRUPT;
    struct wal *wal = replica_wal(w->replica);
    struct wal_job *job = wal_job_take(wal, WAL_LANE_WRITE);
    wal_job_run(&w->disk.disk, job);
    assert_int_equal(wal_job_done(wal, job), HF_OK);
    assert_int_equal(replica_log_progress(w->replica, w->now), HF_ECORRUPT);
    expect_silence(&c);
    client_close(&c);
}

/* ------------------------------------------------------------------ batches */

/* Everything that one pass has read becomes one entry. */
static void test_one_pass_makes_one_entry(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    uint64_t before = counts(w)->entry_count;
    for (int i = 0; i < 100; i++) client_open(&c, 10000);
    world_settle(w);
    assert_int_equal(counts(w)->entry_count - before, 1);
    for (uint64_t id = 2; id <= 101; id++) expect_reply(&c, id, HF_OK);
    client_close(&c);
}

/* Eight entries may be in flight; what comes meanwhile gathers and follows as one. */
static void test_ninth_batch_waits_and_grows(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    uint64_t before = counts(w)->entry_count;
    for (int i = 0; i < 20; i++) {
        client_open(&c, 10000);
        world_pass(w);
    }
    assert_int_equal(counts(w)->entry_count - before, 8);
    world_settle(w);
    assert_int_equal(counts(w)->entry_count - before, 9);
    assert_int_equal(counts(w)->op_count, 20);
    client_close(&c);
}

/* A batch is closed at its number of ops even within a pass. */
static void test_full_batch_is_followed_by_another(void **state)
{
    struct world *w = *state;
    struct client c[5];
    uint64_t before = counts(w)->entry_count;
    for (int i = 0; i < 5; i++) {
        client_connect(&c[i], w);
        for (int j = 0; j < 1000; j++) client_open(&c[i], 10000);
    }
    world_settle(w);
    assert_int_equal(counts(w)->entry_count - before, 2); /* 4,096 and 904 */
    for (int i = 0; i < 5; i++) client_close(&c[i]);
}

/* KEEPs alone wait 20 ms for more of their kind; one with company does not. */
static void test_keeps_wait_for_company(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 10000);
    uint64_t before = counts(w)->entry_count;
    client_keep(&c);
    world_settle(w);
    assert_int_equal(counts(w)->entry_count, before);
    assert_true(replica_next_wake(w->replica) <= w->now.elapsed_ms + 20);
    world_sleep(w, 19);
    client_keep(&c);
    world_settle(w);
    assert_int_equal(counts(w)->entry_count, before);
    world_sleep(w, 1);
    world_settle(w);
    assert_int_equal(counts(w)->entry_count, before + 1);

    client_keep(&c);
    client_acquire(&c, 0, 0);
    world_settle(w);
    assert_int_equal(counts(w)->entry_count, before + 2);
    client_close(&c);
}

/* Nothing to do and no deadline stored: no wake-up, no entry, no write. */
static void test_idle_without_deadlines_sleeps(void **state)
{
    struct world *w = *state;
    world_run(w, 2000);
    uint64_t writes = w->disk.write_count;
    assert_int_equal(replica_next_wake(w->replica), UINT64_MAX);
    world_sleep(w, 3600000);
    world_settle(w);
    assert_int_equal(w->disk.write_count, writes);
    assert_int_equal(replica_next_wake(w->replica), UINT64_MAX);
}

/* ------------------------------------------------------------------ reads and parked requests */

/* A read that arrives before the leader has an entry of its own term waits for it. */
static void test_read_waits_until_the_leader_is_ready(void **state)
{
    struct world *w = *state;
    struct refusal why = {{0}};
    world_crash(w);
    assert_int_equal(world_start(w, &why), HF_OK);
    struct client c;
    client_connect(&c, w);
    uint64_t id = client_check(&c);
    world_pass(w);
    expect_silence(&c);
    world_settle(w);
    expect_reply(&c, id, HF_OK);
    client_close(&c);
}

/* A read sees everything that was answered before it came. */
static void test_read_sees_what_was_answered(void **state)
{
    struct world *w = *state;
    struct got got;
    struct msg_check_reply reply;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 10000);
    client_acquire(&c, 0, 0);
    world_settle(w);
    expect_reply(&c, c.request_id, HF_OK);
    client_check(&c);
    assert_true(client_take(&c, &got));
    assert_int_equal(codec_decode(&msg_check_reply_type, got.body, NULL, &reply), HF_OK);
    assert_int_equal(reply.lease_left_ms, 1); /* the fake's count of grants */
    client_close(&c);
}

/* A parked request is answered when the machine wakes it. */
static void test_parked_request_is_answered_later(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    uint64_t waiting = client_acquire(&c, 30000, 0);
    world_settle(w);
    expect_silence(&c);
    assert_int_equal(c.connection.unanswered, 0); /* parked ones do not count */
    uint64_t release = client_release(&c);
    world_settle(w);
    expect_reply(&c, waiting, HF_OK);
    expect_reply(&c, release, HF_OK);
    client_close(&c);
}

/* The same request on another connection takes the answer over; the first is told to ask again, for
 * it may be the one that lives, and the other a late copy. */
static void test_resend_moves_the_answer_to_its_connection(void **state)
{
    struct world *w = *state;
    struct client a, b;
    client_connect(&a, w);
    client_begin_session(&a, 60000);
    client_acquire(&a, 30000, 7);
    world_settle(w);
    client_connect(&b, w);
    b.session = a.session;
    b.request_id = 100;
    uint64_t waiting = a.request_id;
    uint64_t resent = client_acquire(&b, 30000, 7);
    world_settle(w);
    expect_reply(&a, waiting, HF_EUNKNOWN);
    expect_silence(&b);
    client_close(&a);
    client_release(&b);
    world_settle(w);
    expect_reply(&b, resent, HF_OK);
    expect_reply(&b, b.request_id, HF_OK);
    client_close(&b);
}

/* ------------------------------------------------------------------ refusals */

/* Too many answers that nobody acknowledged: new work is refused, what frees has a reserve. */
static void test_too_many_unacked_spares_what_frees(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    fake_knobs.unacked_count = UNACKED_MAX - 1;
    uint64_t last = client_acquire(&c, 0, 0); /* in flight: it counts for the next one */
    uint64_t refused = client_acquire(&c, 0, 0);
    expect_reply(&c, refused, HF_EUNACKED);
    uint64_t release = client_release(&c);
    world_settle(w);
    expect_reply(&c, last, HF_OK);
    expect_reply(&c, release, HF_OK);
    fake_knobs.unacked_count = UNACKED_MAX + UNACKED_RESERVE;
    release = client_release(&c);
    expect_reply(&c, release, HF_EUNACKED);
    client_close(&c);
}

/* TOO_MANY_UNACKED says "certainly not applied": a request that was applied before, or is in the
 * log already, is never told so. */
static void test_repeated_request_is_not_refused_for_load(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    uint64_t first = client_acquire(&c, 0, 500);
    fake_knobs.unacked_count = UNACKED_MAX;
    uint64_t again = client_acquire(&c, 0, 500); /* in flight */
    fake_knobs.known_seq = 77;
    uint64_t known = client_acquire(&c, 0, 77);
    uint64_t fresh = client_acquire(&c, 0, 78);
    expect_reply(&c, fresh, HF_EUNACKED);
    world_settle(w);
    expect_reply(&c, first, HF_OK);
    expect_reply(&c, again, HF_OK);
    expect_reply(&c, known, HF_OK);
    replica_stop(w->replica);
    known = client_acquire(&c, 0, 77);
    expect_reply(&c, known, HF_EUNKNOWN);
    fresh = client_acquire(&c, 0, 78);
    expect_reply(&c, fresh, HF_ESHUTDOWN);
    client_close(&c);
}

/* A stopping server finishes what it took and refuses the rest. */
static void test_stopping_server_answers_what_it_took(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    uint64_t taken = client_open(&c, 10000);
    replica_stop(w->replica);
    uint64_t late = client_open(&c, 10000);
    expect_reply(&c, late, HF_ESHUTDOWN);
    assert_false(replica_is_idle(w->replica));
    world_settle(w);
    expect_reply(&c, taken, HF_OK);
    assert_true(replica_is_idle(w->replica));

    int status = HF_OK;
    assert_true(replica_checkpoint_wanted(w->replica, w->now, &status));
    assert_int_equal(status, HF_OK);
    assert_true(world_run_flush(w));
    assert_false(replica_checkpoint_wanted(w->replica, w->now, &status));
    client_close(&c);
}

/* Under load there is always a little more to flush: a stop does not wait for that. */
static void test_last_flush_holds_what_was_applied_when_it_began(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 10000);
    replica_stop(w->replica);
    int status = HF_OK;
    uint64_t applied = w->replica->applied_index;
    assert_true(replica_checkpoint_wanted(w->replica, w->now, &status));
    assert_true(replica_flush_wanted(w->replica, w->now));
    world_run(w, 12000); /* the session ends: one more entry */
    assert_true(w->replica->applied_index > applied);
    assert_true(replica_checkpoint_wanted(w->replica, w->now, &status));
    assert_int_equal(store_flush_run(w->store), HF_OK);
    assert_int_equal(replica_flush_done(w->replica, w->now, HF_OK), HF_OK);
    assert_false(replica_checkpoint_wanted(w->replica, w->now, &status));
    assert_int_equal(status, HF_OK);
    assert_int_equal(store_mark(w->store)->index, applied);
    world_settle(w); /* and nothing makes it begin another one by itself */
    assert_false(store_is_flushing(w->store));
    client_close(&c);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

/* Pages that ask who leads, however many, do not keep those from their turn that do not ask. */
static void test_stale_pages_have_their_share(void **state)
{
    enum { PAGES = 40, STALE_ID = 1000 };
    struct world *w = *state;
    struct client c;
    struct got got = {.request_id = 0};
    struct msg_list list = {.count_max = 1};
    struct buffer body;
    buffer_init(&body, 1024);
    assert_int_equal(codec_encode(&msg_list_type, &list, &body), HF_OK);
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    for (int i = 0; i < PAGES; i++) client_send(&c, OP_CODE_LIST, &list, 0);
    const struct replica_caller caller = {
        .connection = c.connection.id, .request_id = STALE_ID, .op = OP_CODE_LIST};
    c.connection.unanswered++;
    int rv = replica_read(w->replica, w->now, &caller, &list, buffer_slice(&body), true);
    assert_int_equal(rv, HF_OK);
    world_pass(w);
    world_pass(w);
    bool served = false;
    while (client_take(&c, &got)) served = served || got.request_id == STALE_ID;
    assert_true(served);
    for (int i = 0; i < PAGES; i++) world_pass(w);
    unsigned count = 0;
    while (client_take(&c, &got)) count++;
    assert_true(count >= PAGES - 2 * w->limits.pages_max);
    assert_int_equal(c.connection.unanswered, 0);
    buffer_close(&body);
    client_close(&c);
}

/* However many wait, a place is kept for a confirm as for a RELEASE, though a try, which is the
 * same op, has none. */
static void test_a_confirm_has_a_place_where_a_try_has_none(void **state)
{
    enum { REQUESTS = 32, WAITING = REQUESTS - REQUESTS / 16 };
    struct world *w = *state;
    struct client c;
    struct msg_branch branch = {
        .gid = slice_of("order"),
        .branch = slice_of("debit"),
        .op = BRANCH_TRY,
        .fingerprint = slice_make("0123456789abcdef0123456789abcdef", FINGERPRINT_BYTES),
        .lease_ms = LEASE_MS_MIN,
        .retain_ms = RETAIN_MS_MIN,
    };
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    w->replica->pending.requests.used_max = REQUESTS;
    for (int i = 0; i < WAITING; i++) client_acquire(&c, 60000, 0);
    world_settle(w);
    expect_reply(&c, client_send(&c, OP_CODE_BRANCH, &branch, 0), HF_ETOOBUSY);
    branch.op = BRANCH_CONFIRM;
    uint64_t confirm = client_send(&c, OP_CODE_BRANCH, &branch, 0);
    expect_silence(&c);
    world_settle(w);
    expect_reply(&c, confirm, HF_EBADSTATE);
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_reply_leaves_only_after_the_write_is_done),
        WORLD_TEST(test_restart_applies_the_log_again),
        WORLD_TEST(test_checkpoint_stands_for_what_is_applied_and_durable),
        WORLD_TEST(test_store_ahead_of_its_log_is_refused),
        WORLD_TEST(test_fault_of_the_machine_comes_back),
        WORLD_TEST(test_one_pass_makes_one_entry),
        WORLD_TEST(test_ninth_batch_waits_and_grows),
        WORLD_TEST(test_full_batch_is_followed_by_another),
        WORLD_TEST(test_keeps_wait_for_company),
        WORLD_TEST(test_idle_without_deadlines_sleeps),
        WORLD_TEST(test_read_waits_until_the_leader_is_ready),
        WORLD_TEST(test_read_sees_what_was_answered),
        WORLD_TEST(test_parked_request_is_answered_later),
        WORLD_TEST(test_resend_moves_the_answer_to_its_connection),
        WORLD_TEST(test_too_many_unacked_spares_what_frees),
        WORLD_TEST(test_repeated_request_is_not_refused_for_load),
        WORLD_TEST(test_stale_pages_have_their_share),
        WORLD_TEST(test_a_confirm_has_a_place_where_a_try_has_none),
        WORLD_TEST(test_stopping_server_answers_what_it_took),
        WORLD_TEST(test_last_flush_holds_what_was_applied_when_it_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
