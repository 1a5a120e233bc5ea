/* The links out: dialling and giving up, members that come, go and move, queues, and what is read
 * from the log on disk while other messages wait behind it. */
#include "raft/peers.h"

#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/raft/peers_rig.h"
#include "tests/unit/raft/wal_fixture.h"

enum { ENTRIES = 40 };

static int setup(void **state)
{
    struct rig *rig = malloc(sizeof *rig);
    assert_non_null(rig);
    rig_open(rig, ENTRIES);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    rig_close(*state);
    free(*state);
    return 0;
}

/* Server 1's reads come back. */
static void run_log(struct rig *rig)
{
    assert_int_equal(wal_run_all(rig->wal), HF_OK);
    rig_settle(rig);
}

static uint64_t lost(struct rig *rig)
{
    return peers_count(rig_peers(rig, 1))->lost;
}

/* ------------------------------------------------------------------ dialling */

/* The one link of server 1 to server 2, without a wire. */
static struct peer_out *dial_by_hand(struct rig *rig)
{
    struct peers *p = rig_peers(rig, 1);
    rig_members(rig, 1, 0x6);
    peers_tick(p, rig->now_ms);
    struct peer_out *out = peers_next_out(p);
    assert_non_null(out);
    assert_int_equal(out->state, PEER_OUT_DIALLING);
    return out;
}

static void answer_by_hand(struct rig *rig, struct peer_out *out, bool refused, const char *behind)
{
    struct buffer bytes;
    struct peer_answer answer = {refused, 2, 102, slice_of("c2:1"), slice_of(refused ? "no" : "")};
    buffer_init(&bytes, PEER_FRAME_BYTES_FIRST);
    assert_int_equal(peer_answer_write(&bytes, &answer), HF_OK);
    assert_int_equal(buffer_append(&bytes, behind, strlen(behind)), HF_OK);
    peers_answered(rig_peers(rig, 1), out, out->epoch, buffer_slice(&bytes), rig->now_ms);
    buffer_close(&bytes);
}

/* Dialling, waiting for the answer and pausing each have their time; the pauses grow meanwhile. */
static void test_a_link_is_given_up_and_dialled_again(void **state)
{
    struct rig *rig = *state;
    struct peers *p = rig_peers(rig, 1);
    struct peer_out *out = dial_by_hand(rig);
    uint64_t pause_ms = 0;
    for (int round = 0; round < 12; round++) {
        uint64_t epoch = out->epoch;
        bool connects = round % 2 == 1;
        uint64_t end_ms = rig->now_ms + (connects ? PEERS_HELLO_MS_MAX : PEERS_DIAL_MS_MAX);
        if (connects) peers_connected(p, out, out->epoch, rig->now_ms);
        assert_true(peers_next_wake(p) == end_ms);
        peers_tick(p, end_ms - 1);
        assert_int_equal(out->state, connects ? PEER_OUT_HELLO : PEER_OUT_DIALLING);
        peers_tick(p, end_ms);
        assert_int_equal(out->state, PEER_OUT_PAUSE);
        assert_true(out->epoch != epoch && out->out.size == 0);
        assert_ptr_equal(peers_next_out(p), out);
        uint64_t again_ms = peers_next_wake(p);
        pause_ms = again_ms - end_ms;
        assert_true(pause_ms >= PEERS_RETRY_MS_MIN * 3 / 4 - 1);
        assert_true(pause_ms <= PEERS_RETRY_MS_MAX * 5 / 4);
        peers_tick(p, again_ms);
        assert_int_equal(out->state, PEER_OUT_DIALLING);
        rig->now_ms = again_ms;
    }
    assert_true(pause_ms >= PEERS_RETRY_MS_MAX * 3 / 4); /* it grew up to the limit */
}

/* A server that cannot be reached, or takes bytes and says nothing, is found once it is back. */
static void test_a_silent_server_is_found_again(void **state)
{
    struct rig *rig = *state;
    rig_node(rig, 2)->deaf = true;
    rig_node(rig, 3)->silent = true;
    for (uint64_t id = 1; id <= RIG_NODES; id++) rig_members(rig, id, 0xe);
    rig_sleep(rig, 20000);
    assert_false(peers_is_open(rig_peers(rig, 1), 2) || peers_is_open(rig_peers(rig, 1), 3));
    assert_true(peers_is_heard(rig_peers(rig, 1), 2));
    assert_true(rig_wires(rig, 1, 2) <= 2 && rig_wires(rig, 1, 3) <= 2); /* none is left behind */
    rig_node(rig, 2)->deaf = false;
    rig_node(rig, 3)->silent = false;
    rig_sleep(rig, 4000);
    rig_join(rig);
}

/* Calls of a connection that is not the present one any more change nothing. */
static void test_the_past_is_not_listened_to(void **state)
{
    struct rig *rig = *state;
    struct peers *p = rig_peers(rig, 1);
    struct peer_out *out = dial_by_hand(rig);
    uint64_t old = out->epoch;
    peers_disconnected(p, out, old, rig->now_ms);
    rig->now_ms = peers_next_wake(p);
    peers_tick(p, rig->now_ms);
    peers_connected(p, out, old, rig->now_ms);
    assert_int_equal(out->state, PEER_OUT_DIALLING);
    peers_connected(p, out, out->epoch, rig->now_ms);
    assert_int_equal(out->state, PEER_OUT_HELLO);
    peers_disconnected(p, out, old, rig->now_ms);
    peers_answered(p, out, old, slice_of("rubbish of an old connection"), rig->now_ms);
    assert_int_equal(out->state, PEER_OUT_HELLO);
    answer_by_hand(rig, out, false, "");
    assert_int_equal(out->state, PEER_OUT_OPEN);
    peers_disconnected(p, out, old, rig->now_ms);
    assert_true(peers_is_open(p, 2));
}

/* Only the answer is taken, once, and nothing behind it. */
static void test_whatever_else_is_answered_ends_the_link(void **state)
{
    struct rig *rig = *state;
    struct peers *p = rig_peers(rig, 1);
    struct peer_out *out = dial_by_hand(rig);
    for (int kind = 0; kind < 6; kind++) {
        struct buffer bytes;
        struct message ping = {.type = MESSAGE_PING, .term = 1};
        struct peer_answer other = {false, 3, 103, slice_of("c3:1"), slice_of("")};
        buffer_init(&bytes, 2 * PEER_FRAME_BYTES_FIRST);
        peers_connected(p, out, out->epoch, rig->now_ms);
        assert_int_equal(out->state, PEER_OUT_HELLO);
        if (kind == 0) assert_int_equal(peer_message_write(&bytes, &ping), HF_OK);
        if (kind == 1) assert_int_equal(peer_answer_write(&bytes, &other), HF_OK);
        if (kind == 2) assert_int_equal(buffer_append(&bytes, "\0\0\0\7", 4), HF_OK);
        if (kind == 3) answer_by_hand(rig, out, false, "x");
        if (kind >= 4) answer_by_hand(rig, out, false, "");
        if (kind >= 4) assert_true(peers_is_open(p, 2));
        if (kind == 4) answer_by_hand(rig, out, false, "");
        if (kind == 5) assert_int_equal(buffer_append(&bytes, "x", 1), HF_OK);
        peers_answered(p, out, out->epoch, buffer_slice(&bytes), rig->now_ms);
        assert_int_equal(out->state, PEER_OUT_PAUSE);
        assert_int_equal(peers_count(p)->refused, kind + 1);
        rig->now_ms = peers_next_wake(p);
        peers_tick(p, rig->now_ms);
        buffer_close(&bytes);
    }
}

/* A read that brought nothing is no word: libuv makes such ones. */
static void test_an_empty_read_changes_nothing(void **state)
{
    struct rig *rig = *state;
    struct peers *p = rig_peers(rig, 1);
    struct peer_out *out = dial_by_hand(rig);
    peers_connected(p, out, out->epoch, rig->now_ms);
    peers_answered(p, out, out->epoch, slice_make("", 0), rig->now_ms);
    answer_by_hand(rig, out, false, "");
    peers_answered(p, out, out->epoch, slice_make("", 0), rig->now_ms);
    assert_true(peers_is_open(p, 2));
    assert_int_equal(peers_count(p)->refused, 0);
}

/* ------------------------------------------------------------------ members */

/* A link goes with its member, both ways, and comes back with it. */
static void test_a_dropped_members_links_end(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    rig_members(rig, 1, 0xa);
    rig_ping(rig, 1, 2, 1);
    rig_sleep(rig, 20);
    assert_int_equal(rig_node(rig, 2)->got_count, 0);
    assert_false(peers_is_open(rig_peers(rig, 1), 2) || peers_is_heard(rig_peers(rig, 1), 2));
    assert_int_equal(rig_wires(rig, 1, 2), 0);
    assert_int_equal(rig_wires(rig, 2, 1), 0);
    assert_true(peers_is_open(rig_peers(rig, 1), 3) && peers_is_heard(rig_peers(rig, 1), 3));
    rig_sleep(rig, 100);
    assert_non_null(strstr(peers_refusal(rig_peers(rig, 2), 1), "no member"));
    rig_members(rig, 1, 0xe);
    rig_sleep(rig, 1500);
    rig_join(rig);
}

/* Until the shell has closed its socket the link is there, and neither dialled nor waited for. */
static void test_a_dropped_link_waits_for_its_shell(void **state)
{
    struct rig *rig = *state;
    struct peers *p = rig_peers(rig, 1);
    struct peer_out *out = dial_by_hand(rig);
    uint64_t epoch = out->epoch;
    rig_members(rig, 1, 0x2);
    assert_true(out->dropped && out->epoch != epoch);
    assert_true(peers_next_wake(p) == UINT64_MAX);
    peers_connected(p, out, epoch, rig->now_ms);
    peers_disconnected(p, out, epoch, rig->now_ms);
    peers_tick(p, rig->now_ms + 10000);
    assert_int_equal(out->state, PEER_OUT_PAUSE);
    assert_ptr_equal(peers_next_out(p), out);
    assert_null(peers_next_out(p));
    peers_forget_out(p, out);
}

/* The same member at another address is reached there, and the old connection is left. */
static void test_a_member_that_moved_is_dialled_anew(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    rig_move(rig, 2, "moved");
    rig_members(rig, 1, 0xe);
    rig_members(rig, 1, 0xe); /* once more changes nothing */
    assert_false(peers_is_open(rig_peers(rig, 1), 2));
    rig_sleep(rig, 100);
    assert_true(peers_is_open(rig_peers(rig, 1), 2) && peers_is_heard(rig_peers(rig, 1), 2));
    assert_true(rig_wires(rig, 1, 2) == 1 && rig_wires(rig, 2, 1) == 1);
    rig_ping(rig, 1, 2, 4);
    rig_settle(rig);
    assert_int_equal(rig_node(rig, 2)->got_count, 1);
}

/* Members that stay keep their connections. */
static void test_members_that_stay_keep_their_links(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    rig_members(rig, 1, 0xa);
    rig_members(rig, 1, 0xe);
    rig_ping(rig, 1, 3, 1);
    rig_settle(rig);
    assert_int_equal(rig_node(rig, 3)->got_count, 1);
}

/* ------------------------------------------------------------------ queues */

/* No link, no memory of it: what is said meanwhile is counted as lost. */
static void test_a_message_without_a_link_is_lost(void **state)
{
    struct rig *rig = *state;
    rig_ping(rig, 1, 2, 1); /* no member */
    struct peer_out *out = dial_by_hand(rig);
    rig_ping(rig, 1, 2, 2);
    peers_connected(rig_peers(rig, 1), out, out->epoch, rig->now_ms);
    size_t hello = out->out.size;
    rig_ping(rig, 1, 2, 3);
    rig_append(rig, 2, 0, 5);
    rig_ping(rig, 1, 1, 4); /* to itself */
    assert_int_equal(out->out.size, hello);
    assert_int_equal(lost(rig), 5);
    assert_int_equal(peers_count(rig_peers(rig, 1))->sent, 0);
}

/* Whatever was on the way when the wire broke is lost as whole messages; the rest arrives. */
static void test_a_cut_loses_whole_messages(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    const struct rig_node *n = rig_node(rig, 2);
    enum { ROUNDS = 60 };
    uint64_t last = 0;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        rig_ping(rig, 1, 2, 2 * round);
        rig_append(rig, 2, 0, ENTRIES);
        run_log(rig); /* arrives */
        rig_ping(rig, 1, 2, 2 * round + 1);
        rig_cut(rig, 1, 2);
        rig_sleep(rig, PEERS_RETRY_MS_MAX + 200); /* the link stands, and pauses briefly */
    }
    for (unsigned i = 0; i < n->got_count; i++) {
        if (n->got[i].type != MESSAGE_PING) continue;
        assert_true(n->got[i].value > last);
        last = n->got[i].value;
    }
    assert_true(last >= 2 * ROUNDS);
    assert_true(n->got_count >= 2 * ROUNDS);
    assert_int_equal(peers_count(rig_peers(rig, 2))->refused, 0);
}

/* Memory for a member that does not take anything is bounded: the queue keeps what it has, in its
 * order, and loses what does not fit. */
static void test_a_full_queue_loses_what_comes_next(void **state)
{
    struct rig *rig = *state;
    enum { BIG = 1024 * 1024 };
    rig_join(rig);
    uint8_t *data = calloc(1, BIG);
    assert_non_null(data);
    const struct log_entry big = {1, 1, LOG_COMMAND, {data, BIG}};
    struct message m = {.type = MESSAGE_APPEND, .peer = 2, .term = 1, .append = {.count = 1}};
    m.append.entries = &big;
    unsigned sent = 0;
    while (lost(rig) == 0) {
        rig_ping(rig, 1, 2, sent++);
        peers_send(rig_peers(rig, 1), &m);
    }
    assert_true(sent >= 31 && sent <= 33);
    rig_ping(rig, 1, 2, sent); /* small enough for the rest */
    rig_settle(rig);
    const struct rig_node *n = rig_node(rig, 2);
    assert_int_equal(n->got_count, 2 * sent);
    for (unsigned i = 0; i < sent; i++) assert_true(n->got[2 * i].value == i);
    assert_true(n->got[2 * sent - 1].value == sent);
    assert_int_equal(lost(rig), 1);
    rig_ping(rig, 1, 2, 99); /* it was emptied */
    rig_settle(rig);
    assert_int_equal(n->got_count, 2 * sent + 1);
    free(data);
}

/* ------------------------------------------------------------------ reads from disk */

/* What is said after a read was asked for arrives after what was read, and not before. */
static void test_messages_wait_behind_a_read(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    rig_ping(rig, 1, 2, 1);
    rig_append(rig, 2, 0, 3);
    rig_ping(rig, 1, 2, 2);
    rig_append(rig, 2, 3, 3); /* one read at a time: lost */
    rig_ping(rig, 1, 2, 3);
    rig_ping(rig, 1, 3, 7); /* others do not wait */
    rig_settle(rig);
    const struct rig_node *n = rig_node(rig, 2);
    assert_int_equal(n->got_count, 1);
    assert_int_equal(rig_node(rig, 3)->got_count, 1);
    run_log(rig);
    assert_int_equal(n->got_count, 4);
    assert_true(n->got[1].type == MESSAGE_APPEND && n->got[1].value == 0);
    assert_true(n->got[1].count >= 1 && n->got[1].count <= 3);
    assert_true(n->got[2].value == 2 && n->got[3].value == 3);
    assert_int_equal(lost(rig), 1);
    assert_int_equal(peers_count(rig_peers(rig, 1))->read, 1);
    rig_append(rig, 2, ENTRIES - 1, 1);
    run_log(rig);
    assert_int_equal(n->got_count, 5);
    assert_true(n->got[4].value == ENTRIES - 1 && n->got[4].count == 1);
}

/* A member that lags catches up by reads alone, each beginning where the last one ended. */
static void test_reads_reach_the_end_of_the_log(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    const struct rig_node *n = rig_node(rig, 3);
    uint64_t next = 0;
    while (next < ENTRIES) {
        rig_append(rig, 3, next, (uint32_t)(ENTRIES - next));
        run_log(rig);
        const struct rig_got *got = &n->got[n->got_count - 1];
        assert_true(got->value == next && got->count >= 1);
        next += got->count;
    }
    assert_true(next == ENTRIES);
    assert_int_equal(lost(rig), 0);
}

/* The connection broke while the log read: what was read is for nobody, and what waited behind it
 * as well, even if the next connection stands by then; that one's messages do not wait. */
static void test_a_read_for_a_broken_link_is_for_nobody(void **state)
{
    struct rig *rig = *state;
    const struct rig_node *n = rig_node(rig, 2);
    rig_join(rig);
    rig_append(rig, 2, 0, 3);
    rig_ping(rig, 1, 2, 1);
    rig_cut(rig, 1, 2);
    rig_sleep(rig, 100);
    assert_true(peers_is_open(rig_peers(rig, 1), 2));
    rig_ping(rig, 1, 2, 2);
    rig_settle(rig);
    assert_int_equal(n->got_count, 1);
    assert_true(n->got[0].value == 2);
    run_log(rig);
    assert_int_equal(n->got_count, 1);
    rig_append(rig, 2, 5, 1);
    rig_ping(rig, 1, 2, 3);
    run_log(rig);
    assert_int_equal(n->got_count, 3);
    assert_true(n->got[1].type == MESSAGE_APPEND && n->got[1].value == 5);
    assert_true(n->got[2].value == 3);

    rig_append(rig, 2, 0, 3); /* and if it is still broken when the read is back */
    rig_cut(rig, 1, 2);
    run_log(rig);
    rig_sleep(rig, 100);
    assert_int_equal(n->got_count, 3);
}

/* The member is dropped while the log reads for it: the read has where to come back to. */
static void test_a_read_for_a_dropped_member_is_for_nobody(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    rig_append(rig, 2, 0, 3);
    rig_members(rig, 1, 0xa);
    rig_settle(rig);
    run_log(rig);
    rig_members(rig, 1, 0xe);
    rig_sleep(rig, 1500);
    rig_append(rig, 2, 0, 3);
    rig_members(rig, 1, 0xa);
    rig_members(rig, 1, 0xe); /* it is a member again before the read is back */
    rig_sleep(rig, 1500);
    rig_ping(rig, 1, 2, 5);
    run_log(rig);
    assert_int_equal(rig_node(rig, 2)->got_count, 1);
    assert_true(rig_node(rig, 2)->got[0].value == 5);
}

/* The end of the server, with reads queued: for a member, and for one that was dropped. */
static void test_the_links_end_with_reads_queued(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    rig_append(rig, 2, 0, 3);
    rig_append(rig, 3, 0, 3);
    rig_ping(rig, 1, 3, 1);
    rig_members(rig, 1, 0xa);
    rig_settle(rig);
}

/* Entries that the log does not have are not asked for. */
static void test_entries_that_are_not_there_are_lost(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    rig_append(rig, 2, ENTRIES, 1);
    rig_append(rig, 2, UINT64_MAX / 2, 1);
    assert_int_equal(wal_truncate(rig->wal, ENTRIES), HF_OK);
    run_log(rig);
    rig_append(rig, 2, ENTRIES - 1, 1);
    assert_int_equal(lost(rig), 3);
    rig_append(rig, 2, ENTRIES - 2, 1); /* cut away while it waits: the log says so */
    rig_ping(rig, 1, 2, 1);
    assert_int_equal(wal_truncate(rig->wal, ENTRIES - 1), HF_OK);
    run_log(rig);
    assert_int_equal(lost(rig), 4);
    assert_int_equal(rig_node(rig, 2)->got_count, 1); /* what waited goes on */
}

/* A leader of term 1 was deposed while its read waited, and the end of its log is a newer leader's
 * by now: those entries are not told under the old term, which would break a rule. */
static void test_entries_of_a_later_term_are_not_told(void **state)
{
    struct rig *rig = *state;
    const struct rig_node *n = rig_node(rig, 2);
    rig_join(rig);
    rig_append(rig, 2, ENTRIES - 2, 2);
    assert_int_equal(wal_truncate(rig->wal, ENTRIES), HF_OK);
    append(rig->wal, 2, 0);
    run_log(rig);
    assert_int_equal(n->got_count, 1);
    assert_int_equal(n->got[0].count, 1);
    rig_append(rig, 2, ENTRIES - 1, 1);
    rig_ping(rig, 1, 2, 1);
    run_log(rig);
    assert_int_equal(n->got_count, 2);
    assert_true(n->got[1].type == MESSAGE_PING);
    assert_int_equal(lost(rig), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_link_is_given_up_and_dialled_again),
        TEST(test_a_silent_server_is_found_again),
        TEST(test_the_past_is_not_listened_to),
        TEST(test_whatever_else_is_answered_ends_the_link),
        TEST(test_an_empty_read_changes_nothing),
        TEST(test_a_dropped_members_links_end),
        TEST(test_a_dropped_link_waits_for_its_shell),
        TEST(test_a_member_that_moved_is_dialled_anew),
        TEST(test_members_that_stay_keep_their_links),
        TEST(test_a_message_without_a_link_is_lost),
        TEST(test_a_cut_loses_whole_messages),
        TEST(test_a_full_queue_loses_what_comes_next),
        TEST(test_messages_wait_behind_a_read),
        TEST(test_reads_reach_the_end_of_the_log),
        TEST(test_a_read_for_a_broken_link_is_for_nobody),
        TEST(test_a_read_for_a_dropped_member_is_for_nobody),
        TEST(test_the_links_end_with_reads_queued),
        TEST(test_entries_that_are_not_there_are_lost),
        TEST(test_entries_of_a_later_term_are_not_told),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
