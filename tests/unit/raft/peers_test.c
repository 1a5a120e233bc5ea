/* The links to other members: who is let in, what is refused and with which words, what becomes of
 * a connection that breaks, and when a silent one is given up. Queues and reads from disk are
 * peers_link_test's; what one set of links tells and keeps by itself is peers_rules_test's. */
#include "raft/peers.h"

#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/raft/peers_rig.h"

/* ------------------------------------------------------------------ a stranger */

/* A connection to server 1 that a test speaks on by itself. */
struct stranger {
    struct list link; /* in `strangers` */
    struct rig *rig;
    struct peer_in in;
    struct buffer out; /* what it says next */
};

static struct list strangers; /* those that are here */

static void stranger_come(struct stranger *s, struct rig *rig)
{
    s->rig = rig;
    buffer_init(&s->out, 2 * PEER_FRAME_BYTES_MAX);
    assert_true(peers_accepted(rig_peers(rig, 1), &s->in, rig->now_ms));
    list_push_back(&strangers, &s->link);
}

static void stranger_go(struct stranger *s)
{
    peers_closed(rig_peers(s->rig, 1), &s->in);
    list_remove(&s->link);
    buffer_close(&s->out);
}

static int setup(void **state)
{
    struct rig *rig = malloc(sizeof *rig);
    assert_non_null(rig);
    rig_open(rig, 0);
    list_init(&strangers);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    while (!list_empty(&strangers)) /* a test that failed leaves them */
        stranger_go(HF_CONTAINER_OF(strangers.next, struct stranger, link));
    rig_close(*state);
    free(*state);
    return 0;
}

static int stranger_say(struct stranger *s)
{
    int rv = peers_input(rig_peers(s->rig, 1), &s->in, buffer_slice(&s->out), s->rig->now_ms);
    buffer_clear(&s->out);
    return rv;
}

static const struct peer_hello hello_of_2 = {
    .cluster_id = "one cluster id.",
    .from = 2,
    .incarnation = 102,
    .to = 1,
    .client_address = {(const uint8_t *)"c2:7400", 7},
};

static void add_hello(struct stranger *s, const struct peer_hello *hello)
{
    assert_int_equal(peer_hello_write(&s->out, hello), HF_OK);
}

static void add_ping(struct stranger *s, uint64_t nonce)
{
    struct message m = {.type = MESSAGE_PING, .term = 1, .ping = {.nonce = nonce}};
    assert_int_equal(peer_message_write(&s->out, &m), HF_OK);
}

static void add_append(struct stranger *s, size_t bytes)
{
    uint8_t *data = calloc(1, bytes);
    assert_non_null(data);
    const struct log_entry entry = {1, 1, LOG_COMMAND, {data, bytes}};
    const struct message m = {.type = MESSAGE_APPEND, .term = 1, .append = {0, 0, 0, 1, &entry}};
    assert_int_equal(peer_message_write(&s->out, &m), HF_OK);
    free(data);
}

static void stranger_introduce(struct stranger *s, struct rig *rig)
{
    stranger_come(s, rig);
    add_hello(s, &hello_of_2);
    assert_int_equal(stranger_say(s), HF_OK);
    assert_false(s->in.broken || s->in.closing);
    assert_true(peers_is_heard(rig_peers(rig, 1), 2));
}

static struct peer_answer answer_to(struct stranger *s)
{
    struct peer_answer answer = {0};
    uint8_t kind = 0;
    struct slice body = {0};
    size_t size = 0;
    struct slice bytes = buffer_slice(&s->in.out);
    assert_int_equal(peer_frame_next(bytes, PEER_FRAME_BYTES_FIRST, &size), HF_OK);
    assert_true(size > 0 && size == bytes.size);
    assert_int_equal(peer_frame_open(bytes, &kind, &body), HF_OK);
    assert_int_equal(kind, PEER_FRAME_ANSWER);
    assert_int_equal(peer_answer_read(body, &answer), HF_OK);
    return answer;
}

/* True if the shell is told of this connection. */
static bool is_ready(struct rig *rig, const struct stranger *s)
{
    bool found = false;
    struct peer_in *in = NULL;
    while ((in = peers_next_in(rig_peers(rig, 1))) != NULL) found = found || in == &s->in;
    return found;
}

/* ------------------------------------------------------------------ introductions */

/* Both directions open, and each knows of the others what they said. */
static void test_members_introduce_themselves(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    assert_string_equal(peers_client_address(rig_peers(rig, 1), 3), "c3:7400");
    assert_string_equal(peers_client_address(rig_peers(rig, 3), 1), "c1:7400");
    assert_true(peers_incarnation(rig_peers(rig, 2), 1) == 101);
    assert_string_equal(peers_refusal(rig_peers(rig, 2), 1), "");
    assert_true(rig_wires(rig, 1, 2) == 1 && rig_wires(rig, 2, 1) == 1);
    assert_string_equal(peers_client_address(rig_peers(rig, 1), 1), "");
    assert_false(peers_is_open(rig_peers(rig, 1), 1));
    assert_true(peers_count(rig_peers(rig, 1))->refused == 0);
}

/* Whatever the pieces are in which bytes come, messages come whole and in their order. */
static void test_messages_keep_their_order(void **state)
{
    struct rig *rig = *state;
    rig_join(rig);
    for (uint64_t i = 0; i < 1000; i++) {
        rig_ping(rig, 1, 2, i);
        if (i % 100 == 0) rig_settle(rig);
    }
    rig_settle(rig);
    const struct rig_node *n = rig_node(rig, 2);
    assert_int_equal(n->got_count, 1000);
    for (unsigned i = 0; i < 1000; i++) assert_true(n->got[i].value == i && n->got[i].peer == 1);
    assert_int_equal(rig_node(rig, 3)->got_count, 0);
}

/* Every introduction that is not this cluster's, this server's or a member's is answered with the
 * reason, and the connection ends. */
static void test_a_refusal_says_why(void **state)
{
    struct rig *rig = *state;
    static const struct {
        const char *cluster;
        uint64_t from;
        uint64_t incarnation;
        uint64_t to;
        const char *words;
    } rows[] = {
        {"another's id...", 2, 102, 1, "server 2 is of another cluster"},
        {"one cluster id.", 2, 102, 3, "here is server 1, not 3"},
        {"one cluster id.", 9, 109, 1, "server 9 is no member of this cluster"},
        {"one cluster id.", 1, 101, 1, "here is server 1 already"},
        {"one cluster id.", 2, 777, 1, "server 2 was made anew and has forgotten its votes"},
        {"another's id...", UINT64_MAX, 777, UINT64_MAX, "is of another cluster"},
        {"one cluster id.", UINT64_MAX, 1, UINT64_MAX, "not 18446744073709551615"},
    };
    rig_members(rig, 1, 0xe);
    rig_node(rig, 1)->turned_away = 777;
    for (unsigned i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        static struct stranger s;
        struct peer_hello hello = hello_of_2;
        memcpy(hello.cluster_id, rows[i].cluster, sizeof hello.cluster_id);
        hello.from = rows[i].from;
        hello.incarnation = rows[i].incarnation;
        hello.to = rows[i].to;
        stranger_come(&s, rig);
        add_hello(&s, &hello);
        add_ping(&s, 1);
        assert_int_equal(stranger_say(&s), HF_OK);
        assert_true(is_ready(rig, &s) && s.in.closing && !s.in.broken);
        struct peer_answer answer = answer_to(&s);
        assert_true(answer.refused && answer.from == 1 && answer.incarnation == 101);
        char sentence[PEER_TEXT_BYTES_MAX + 1] = "";
        memcpy(sentence, answer.sentence.data, answer.sentence.size);
        assert_non_null(strstr(sentence, rows[i].words));
        assert_int_equal(peers_count(rig_peers(rig, 1))->refused, i + 1);
        stranger_go(&s);
    }
    assert_false(peers_is_heard(rig_peers(rig, 1), 2));
    assert_true(peers_incarnation(rig_peers(rig, 1), 2) == 0);
    assert_int_equal(rig_node(rig, 1)->got_count, 0);
}

/* Whoever was refused keeps the sentence for people, does not ask more than about once a second,
 * and is let in once the reason is gone. */
static void test_a_refused_server_keeps_the_sentence(void **state)
{
    struct rig *rig = *state;
    rig_members(rig, 1, 0x6);
    rig_sleep(rig, 100);
    assert_non_null(strstr(peers_refusal(rig_peers(rig, 1), 2), "server 1 is no member of this"));
    rig_sleep(rig, PEERS_RETRY_MS_MAX / 2);
    uint64_t refused = peers_count(rig_peers(rig, 2))->refused;
    assert_true(refused == 1);
    rig_sleep(rig, 10000);
    refused = peers_count(rig_peers(rig, 2))->refused - refused;
    assert_true(refused >= 8 && refused <= 14);
    rig_members(rig, 2, 0x6);
    rig_sleep(rig, 2000);
    assert_true(peers_is_open(rig_peers(rig, 1), 2));
    assert_string_equal(peers_refusal(rig_peers(rig, 1), 2), "");
}

/* The dialler judges the incarnation of who answers, too. */
static void test_an_acceptor_made_anew_is_left(void **state)
{
    struct rig *rig = *state;
    rig_node(rig, 1)->turned_away = 102;
    for (uint64_t id = 1; id <= RIG_NODES; id++) rig_members(rig, id, 0xe);
    rig_sleep(rig, 100);
    assert_false(peers_is_open(rig_peers(rig, 1), 2));
    assert_false(peers_is_heard(rig_peers(rig, 1), 2));
    assert_non_null(strstr(peers_refusal(rig_peers(rig, 1), 2), "made anew"));
    assert_non_null(strstr(peers_refusal(rig_peers(rig, 2), 1), "made anew"));
    assert_true(peers_is_open(rig_peers(rig, 1), 3));
}

/* ------------------------------------------------------------------ connections in */

/* The newer connection of a member speaks for it; nothing more is taken from the older one, and its
 * end changes nothing. */
static void test_a_newer_connection_replaces_the_older(void **state)
{
    struct rig *rig = *state;
    static struct stranger older;
    static struct stranger newer;
    rig_members(rig, 1, 0x6);
    stranger_introduce(&older, rig);
    stranger_introduce(&newer, rig);
    assert_true(older.in.broken);
    add_ping(&older, 1);
    assert_int_equal(stranger_say(&older), HF_OK);
    add_ping(&newer, 2);
    assert_int_equal(stranger_say(&newer), HF_OK);
    assert_true(is_ready(rig, &older));
    stranger_go(&older);
    assert_true(peers_is_heard(rig_peers(rig, 1), 2));
    assert_int_equal(rig_node(rig, 1)->got_count, 1);
    assert_true(rig_node(rig, 1)->got[0].value == 2);
    stranger_go(&newer);
    assert_false(peers_is_heard(rig_peers(rig, 1), 2));
}

/* What breaks a rule ends its connection where it stands; what came before it counts. */
static void test_a_broken_rule_ends_the_connection(void **state)
{
    struct rig *rig = *state;
    rig_members(rig, 1, 0x6);
    for (int kind = 0; kind < 5; kind++) {
        static struct stranger s;
        rig_node(rig, 1)->got_count = 0;
        stranger_introduce(&s, rig);
        add_ping(&s, 1);
        size_t begin = s.out.size;
        if (kind < 3) add_ping(&s, 2);
        if (kind == 0) s.out.data[begin + 20] ^= 1;     /* rot */
        if (kind == 1) put_u32(s.out.data + begin, 11); /* no frame is so short */
        if (kind == 2) put_u32(s.out.data + begin, PEER_FRAME_BYTES_MAX + 1);
        if (kind == 3) add_hello(&s, &hello_of_2); /* once only */
        if (kind == 4) {
            struct peer_answer answer = {false, 2, 102, slice_of("c"), slice_of("")};
            assert_int_equal(peer_answer_write(&s.out, &answer), HF_OK);
        }
        add_ping(&s, 3);
        assert_int_equal(stranger_say(&s), HF_OK);
        assert_true(s.in.broken && is_ready(rig, &s));
        assert_false(peers_is_heard(rig_peers(rig, 1), 2));
        assert_int_equal(rig_node(rig, 1)->got_count, 1);
        stranger_go(&s);
    }
    assert_int_equal(peers_count(rig_peers(rig, 1))->refused, 5);
}

/* Nothing is taken from whoever did not introduce itself, nor more than an introduction needs. */
static void test_nothing_comes_before_the_introduction(void **state)
{
    struct rig *rig = *state;
    rig_members(rig, 1, 0x6);
    for (int kind = 0; kind < 2; kind++) {
        static struct stranger s;
        stranger_come(&s, rig);
        if (kind == 0) add_ping(&s, 1);
        if (kind == 1) add_hello(&s, &hello_of_2);
        if (kind == 1) put_u32(s.out.data, PEER_FRAME_BYTES_FIRST + 1);
        assert_int_equal(stranger_say(&s), HF_OK);
        assert_true(s.in.broken);
        assert_int_equal(rig_node(rig, 1)->got_count, 0);
        stranger_go(&s);
    }
}

/* The receiver's word: a broken rule ends the connection, being busy loses the message alone, a
 * fault is the caller's. */
static void test_the_receivers_word_counts(void **state)
{
    struct rig *rig = *state;
    static struct stranger s;
    rig_members(rig, 1, 0x6);
    stranger_introduce(&s, rig);
    rig_node(rig, 1)->receive_status = HF_ETOOBUSY;
    add_ping(&s, 1);
    add_ping(&s, 2);
    assert_int_equal(stranger_say(&s), HF_OK);
    assert_false(s.in.broken);
    assert_int_equal(rig_node(rig, 1)->got_count, 2);
    rig_node(rig, 1)->receive_status = HF_EIO;
    add_ping(&s, 3);
    assert_int_equal(stranger_say(&s), HF_EIO);
    rig_node(rig, 1)->receive_status = HF_EBADREQUEST;
    add_ping(&s, 4);
    add_ping(&s, 5);
    assert_int_equal(stranger_say(&s), HF_OK);
    assert_true(s.in.broken);
    assert_int_equal(rig_node(rig, 1)->got_count, 4);
    stranger_go(&s);
}

/* A limit of connections, not of those that ever came: the shell's close gives a place back. */
static void test_a_closed_connection_gives_its_place_back(void **state)
{
    struct rig *rig = *state;
    enum { MANY = 2 * PEERS_IN_MAX };
    static struct stranger many[MANY];
    struct peer_in one_more;
    for (unsigned i = 0; i < MANY; i++) stranger_come(&many[i], rig);
    assert_true(many[PEERS_IN_MAX - 1].in.broken && !many[PEERS_IN_MAX].in.broken);
    assert_false(peers_accepted(rig_peers(rig, 1), &one_more, rig->now_ms));
    stranger_go(&many[7]);
    stranger_come(&many[7], rig);
    assert_false(peers_accepted(rig_peers(rig, 1), &one_more, rig->now_ms));
    for (unsigned i = 0; i < MANY; i++) stranger_go(&many[i]);
}

/* The largest frame that there is, with the next one right behind it in the same read. */
static void test_the_largest_frame_may_be_followed(void **state)
{
    struct rig *rig = *state;
    static struct stranger s;
    struct rig_node *n = rig_node(rig, 1);
    rig_members(rig, 1, 0x6);
    stranger_introduce(&s, rig);
    enum { HEAD = PEER_FRAME_HEADER_BYTES + 36, COUNT = 4 };
    uint8_t *frame = calloc(1, PEER_FRAME_BYTES_MAX);
    assert_non_null(frame);
    frame[8] = MESSAGE_APPEND;
    put_u32(frame + HEAD - 4, COUNT);
    size_t at = HEAD;
    for (unsigned i = 0; i < COUNT; i++) {
        size_t size = (PEER_FRAME_BYTES_MAX - HEAD) / COUNT - 16;
        frame[at + 8] = LOG_COMMAND;
        put_u32(frame + at + 12, (uint32_t)size);
        at += 16 + size;
    }
    assert_true(at <= PEER_FRAME_BYTES_MAX && PEER_FRAME_BYTES_MAX - at < COUNT);
    put_u32(frame, (uint32_t)at);
    put_u32(frame + 4, crc32c(0, frame + 8, at - 8));
    assert_int_equal(buffer_append(&s.out, frame, at - 1), HF_OK);
    assert_int_equal(stranger_say(&s), HF_OK);
    assert_int_equal(n->got_count, 0);
    assert_int_equal(buffer_append(&s.out, frame + at - 1, 1), HF_OK);
    for (uint64_t i = 0; i < 100; i++) add_ping(&s, i);
    assert_int_equal(stranger_say(&s), HF_OK);
    assert_false(s.in.broken);
    assert_int_equal(n->got_count, 101);
    assert_true(n->got[0].count == COUNT && n->got[100].value == 99);
    free(frame);
    stranger_go(&s);
}

/* A connection lives for months: the memory of its largest frame must not live with it, and that of
 * the usual ones need not come and go. */
static void test_a_large_frames_memory_is_given_back(void **state)
{
    struct rig *rig = *state;
    static struct stranger s;
    struct peers *p = rig_peers(rig, 1);
    enum { KEPT = 64 * 1024 };
    static const size_t bytes[] = {4000, KEPT / 2, LOG_ENTRY_BYTES_MAX, 4000};
    rig_members(rig, 1, 0x6);
    stranger_introduce(&s, rig);
    for (unsigned i = 0; i < HF_ARRAY_COUNT(bytes); i++) {
        add_append(&s, bytes[i]);
        struct slice begin = slice_make(s.out.data, s.out.size - 1);
        assert_int_equal(peers_input(p, &s.in, begin, rig->now_ms), HF_OK);
        assert_true(s.in.in.capacity >= bytes[i]);
        buffer_consume(&s.out, begin.size);
        assert_int_equal(stranger_say(&s), HF_OK);
        assert_int_equal(rig_node(rig, 1)->got_count, i + 1);
        assert_int_equal(s.in.in.size, 0);
        assert_true(s.in.in.capacity <= KEPT);
        assert_int_equal(s.in.in.capacity > 0, bytes[i] <= KEPT);
    }
    stranger_go(&s);
}

/* ------------------------------------------------------------------ time in */

/* A connection that trickles its introduction is not given more time for each byte. */
static void test_a_slow_introduction_is_given_up(void **state)
{
    struct rig *rig = *state;
    static struct stranger s;
    struct peers *p = rig_peers(rig, 1);
    stranger_come(&s, rig);
    add_hello(&s, &hello_of_2);
    uint64_t end_ms = rig->now_ms + PEERS_HELLO_MS_MAX;
    assert_true(peers_next_wake(p) == end_ms);
    for (unsigned i = 0; i < 10; i++) {
        rig->now_ms += 199;
        assert_int_equal(peers_input(p, &s.in, slice_make(s.out.data + i, 1), rig->now_ms), HF_OK);
    }
    peers_tick(p, end_ms - 1);
    assert_false(s.in.broken);
    peers_tick(p, end_ms);
    assert_true(s.in.broken && is_ready(rig, &s));
    assert_true(peers_next_wake(p) == UINT64_MAX);
    stranger_go(&s);
}

/* Half a frame waits only so long for its next bytes; between frames there is no limit. */
static void test_half_a_frame_is_given_up(void **state)
{
    struct rig *rig = *state;
    static struct stranger s;
    struct peers *p = rig_peers(rig, 1);
    rig_members(rig, 1, 0x6);
    stranger_introduce(&s, rig);
    peers_tick(p, rig->now_ms += 1000000);
    assert_false(s.in.broken);
    for (int round = 0; round < 3; round++) { /* what makes progress is not given up */
        add_ping(&s, 1);
        s.out.size -= 1;
        assert_int_equal(stranger_say(&s), HF_OK);
        peers_tick(p, rig->now_ms += PEERS_PARTIAL_MS_MAX - 1);
        assert_false(s.in.broken);
        add_ping(&s, 1);
        uint8_t last = s.out.data[s.out.size - 1];
        buffer_clear(&s.out);
        assert_int_equal(buffer_append(&s.out, &last, 1), HF_OK);
        assert_int_equal(stranger_say(&s), HF_OK);
    }
    assert_int_equal(rig_node(rig, 1)->got_count, 3);
    peers_tick(p, rig->now_ms += 1000000);
    assert_false(s.in.broken);
    add_ping(&s, 1);
    size_t ping = s.out.size;
    add_ping(&s, 2);
    struct buffer both = s.out;
    s.out = (struct buffer){0};
    struct slice begin = slice_make(both.data, ping - 1);
    struct slice rest = slice_make(both.data + ping - 1, ping);
    assert_int_equal(peers_input(p, &s.in, begin, rig->now_ms), HF_OK);
    rig->now_ms += PEERS_PARTIAL_MS_MAX - 1;
    assert_int_equal(peers_input(p, &s.in, rest, rig->now_ms), HF_OK); /* and half the next one */
    buffer_close(&both);
    peers_tick(p, rig->now_ms + PEERS_PARTIAL_MS_MAX - 1);
    assert_false(s.in.broken);
    assert_true(peers_next_wake(p) == rig->now_ms + PEERS_PARTIAL_MS_MAX);
    assert_int_equal(peers_input(p, &s.in, slice_make("", 0), rig->now_ms + 1), HF_OK);
    peers_tick(p, rig->now_ms + PEERS_PARTIAL_MS_MAX); /* a read of nothing is no byte */
    assert_true(s.in.broken);
    stranger_go(&s);
}

/* A large append over a slow link takes minutes: while bytes come, the link is no dead one. */
static void test_a_slow_frame_arrives(void **state)
{
    struct rig *rig = *state;
    static struct stranger s;
    struct peers *p = rig_peers(rig, 1);
    enum { BYTES = 1024 * 1024, PIECES = 100 };
    rig_members(rig, 1, 0x6);
    stranger_introduce(&s, rig);
    add_append(&s, BYTES);
    struct slice rest = buffer_slice(&s.out);
    while (rest.size > 0) {
        size_t size = rest.size < BYTES / PIECES ? rest.size : BYTES / PIECES;
        assert_int_equal(peers_input(p, &s.in, slice_make(rest.data, size), rig->now_ms), HF_OK);
        rest = slice_make(rest.data + size, rest.size - size);
        rig->now_ms += PEERS_PARTIAL_MS_MAX - 1;
        peers_tick(p, rig->now_ms);
        assert_false(s.in.broken);
    }
    assert_int_equal(rig_node(rig, 1)->got_count, 1);
    assert_int_equal(rig_node(rig, 1)->got[0].count, 1);
    stranger_go(&s);
}

/* A refused connection has time to take its answer, but does not stay for more bytes. */
static void test_a_refused_connection_does_not_stay(void **state)
{
    struct rig *rig = *state;
    static struct stranger s;
    struct peers *p = rig_peers(rig, 1);
    stranger_come(&s, rig);
    add_hello(&s, &hello_of_2);
    rig->now_ms += PEERS_HELLO_MS_MAX - 1;
    assert_int_equal(stranger_say(&s), HF_OK);
    assert_true(s.in.closing);
    uint64_t end_ms = rig->now_ms + PEERS_HELLO_MS_MAX;
    add_ping(&s, 1);
    rig->now_ms += 1;
    assert_int_equal(stranger_say(&s), HF_OK);
    peers_tick(p, end_ms - 1);
    assert_false(s.in.broken);
    peers_tick(p, end_ms);
    assert_true(s.in.broken);
    stranger_go(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_members_introduce_themselves),
        TEST(test_messages_keep_their_order),
        TEST(test_a_refusal_says_why),
        TEST(test_a_refused_server_keeps_the_sentence),
        TEST(test_an_acceptor_made_anew_is_left),
        TEST(test_a_newer_connection_replaces_the_older),
        TEST(test_a_broken_rule_ends_the_connection),
        TEST(test_nothing_comes_before_the_introduction),
        TEST(test_the_receivers_word_counts),
        TEST(test_a_closed_connection_gives_its_place_back),
        TEST(test_the_largest_frame_may_be_followed),
        TEST(test_a_large_frames_memory_is_given_back),
        TEST(test_a_slow_introduction_is_given_up),
        TEST(test_half_a_frame_is_given_up),
        TEST(test_a_slow_frame_arrives),
        TEST(test_a_refused_connection_does_not_stay),
    };
    log_set_level(LOG_ERROR); /* refusals are wanted here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
