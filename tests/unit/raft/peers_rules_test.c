/* One set of links by hand: what it tells whom it turns down, what it keeps of being turned down,
 * and how long it pauses before it tries again. */
#include "base/hash.h"
#include "base/log.h"
#include "base/status.h"
#include "raft/peers.h"
#include "tests/unit/cmocka_all.h"

enum { SELF = 1, OTHER = 2, WRONG = 3 };

static struct peers *links; /* server 1's; it knows 2 */
static struct peer_out *out;
static struct buffer bytes;
static uint64_t now_ms;
static uint64_t refused_incarnation; /* 0 = none is */

static int receive(void *data, const struct message *m)
{
    (void)data;
    (void)m;
    return HF_OK;
}

static bool admit(void *data, uint64_t peer, uint64_t incarnation)
{
    (void)data;
    return peer != 0 && incarnation != refused_incarnation;
}

static int setup(void **state)
{
    (void)state;
    static const struct configuration_server servers[] = {
        {SELF, "127.0.0.1:1", SERVER_VOTER},
        {OTHER, "127.0.0.1:2", SERVER_VOTER},
    };
    const struct peers_config config = {
        .cluster_id = "one cluster id.",
        .id = SELF,
        .incarnation = 101,
        .client_address = "127.0.0.1:7420",
        .seed = 7,
        .ports = {receive, admit, NULL},
    };
    log_set_level(LOG_ERROR);
    now_ms = 1000;
    refused_incarnation = 0;
    buffer_init(&bytes, PEER_FRAME_BYTES_FIRST);
    if (peers_new(&config, &links) != HF_OK) return 1;
    peers_set_members(links, servers, HF_ARRAY_COUNT(servers), now_ms);
    peers_tick(links, now_ms);
    out = peers_next_out(links);
    return out != NULL && out->state == PEER_OUT_DIALLING ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    peers_free(links);
    buffer_close(&bytes);
    return 0;
}

/* Let the frame in `bytes` be of the next version, with a check that holds. */
static void make_newer(void)
{
    put_u32(bytes.data + PEER_FRAME_HEADER_BYTES, PEER_FRAME_VERSION + 1);
    put_u32(bytes.data + 4, crc32c(0, bytes.data + 8, bytes.size - 8));
}

/* Introduce somebody on a new connection. \return what the answer says; "" for a welcome. */
static const char *come(uint64_t from, bool newer)
{
    static char sentence[PEER_TEXT_BYTES_MAX + 1];
    const struct peer_hello hello = {"one cluster id.", from, 102, SELF, slice_of("10.0.0.2:1")};
    struct peer_in in;
    struct peer_answer answer;
    uint8_t kind = 0;
    struct slice body = {0};
    buffer_clear(&bytes);
    assert_int_equal(peer_hello_write(&bytes, &hello), HF_OK);
    if (newer) make_newer();
    assert_true(peers_accepted(links, &in, now_ms));
    assert_int_equal(peers_input(links, &in, buffer_slice(&bytes), now_ms), HF_OK);
    assert_ptr_equal(peers_next_in(links), &in);
    assert_int_equal(peer_frame_open(buffer_slice(&in.out), &kind, &body), HF_OK);
    assert_int_equal(kind, PEER_FRAME_ANSWER);
    assert_int_equal(peer_answer_read(body, &answer), HF_OK);
    assert_int_equal(in.closing, answer.refused);
    assert_int_equal(peers_is_heard(links, from), !answer.refused);
    memcpy(sentence, answer.sentence.data, answer.sentence.size);
    sentence[answer.sentence.size] = '\0';
    peers_closed(links, &in);
    return sentence;
}

/* Let the link connect, and be answered so. */
static void answer(uint64_t from, const char *sentence, bool newer)
{
    const struct peer_answer reply = {
        .refused = sentence[0] != '\0',
        .from = from,
        .incarnation = 102,
        .client_address = slice_of("10.0.0.2:1"),
        .sentence = slice_of(sentence),
    };
    assert_int_equal(out->state, PEER_OUT_DIALLING);
    peers_connected(links, out, out->epoch, now_ms);
    buffer_clear(&bytes);
    assert_int_equal(peer_answer_write(&bytes, &reply), HF_OK);
    if (newer) make_newer();
    peers_answered(links, out, out->epoch, buffer_slice(&bytes), now_ms);
}

/* The pause that the link is in; it is over then, and dialled again. */
static uint64_t sit_out(void)
{
    assert_int_equal(out->state, PEER_OUT_PAUSE);
    uint64_t pause_ms = peers_next_wake(links) - now_ms;
    now_ms += pause_ms;
    peers_tick(links, now_ms);
    assert_int_equal(out->state, PEER_OUT_DIALLING);
    return pause_ms;
}

/* Whether it is that long, a quarter more or less. */
static bool is_about(uint64_t pause_ms, uint64_t nominal_ms)
{
    return pause_ms + 1 >= nominal_ms * 3 / 4 && pause_ms <= nominal_ms * 5 / 4 + 1;
}

/* ------------------------------------------------------------------ what is told */

/* A server of a later release is told what it met, not left with a closed connection. */
static void test_another_version_is_told_so(void **state)
{
    (void)state;
    assert_non_null(strstr(come(OTHER, true), "speaks version 1"));
    assert_string_equal(come(OTHER, false), "");
}

/* Two servers with the same --id: "no member" would send people to the wrong place. */
static void test_a_server_with_our_own_id_is_told_so(void **state)
{
    (void)state;
    assert_non_null(strstr(come(SELF, false), "an --id of its own"));
    assert_non_null(strstr(come(WRONG, false), "server 3 is no member"));
}

/* ------------------------------------------------------------------ what is kept */

/* Whoever it is that refuses: a server that was not meant says so itself, and it is its sentence
 * that finds two addresses changed round. */
static void test_a_refusal_from_elsewhere_is_kept(void **state)
{
    (void)state;
    answer(WRONG, "here is server 3, not 2", false);
    assert_string_equal(peers_refusal(links, OTHER), "here is server 3, not 2");
    assert_true(is_about(sit_out(), PEERS_RETRY_MS_MAX));
    answer(OTHER, "", false);
    assert_true(peers_is_open(links, OTHER));
    assert_string_equal(peers_refusal(links, OTHER), "");
}

/* One that agrees to what it was not asked is not spoken to. */
static void test_a_welcome_from_elsewhere_is_not_taken(void **state)
{
    (void)state;
    answer(WRONG, "", false);
    assert_false(peers_is_open(links, OTHER));
    assert_true(peers_incarnation(links, OTHER) == 0);
    assert_non_null(strstr(peers_refusal(links, OTHER), "server 3 answers there, not 2"));
    assert_true(is_about(sit_out(), PEERS_RETRY_MS_MAX));
}

/* The dialler, too, says that the versions differ. */
static void test_an_answer_of_another_version_is_a_reason(void **state)
{
    (void)state;
    answer(OTHER, "", true);
    assert_false(peers_is_open(links, OTHER));
    assert_non_null(strstr(peers_refusal(links, OTHER), "another version"));
    assert_true(is_about(sit_out(), PEERS_RETRY_MS_MAX));
}

/* A sentence is logged between quotes, and must not end them. */
static void test_a_refusal_cannot_forge_a_log_line(void **state)
{
    (void)state;
    answer(OTHER, "no\" level=info msg=\"all is well\\", false);
    assert_string_equal(peers_refusal(links, OTHER), "no' level=info msg='all is well'");
}

/* ------------------------------------------------------------------ pauses */

/* Half as long again each time, and not the same for all servers. */
static void test_pauses_grow_and_are_not_in_step(void **state)
{
    (void)state;
    uint64_t nominal_ms = PEERS_RETRY_MS_MIN;
    uint64_t least_ms = UINT64_MAX;
    uint64_t most_ms = 0;
    for (int i = 0; i < 60; i++) {
        peers_disconnected(links, out, out->epoch, now_ms);
        uint64_t pause_ms = sit_out();
        assert_true(is_about(pause_ms, nominal_ms));
        bool grown = nominal_ms == PEERS_RETRY_MS_MAX;
        if (grown && pause_ms < least_ms) least_ms = pause_ms;
        if (grown && pause_ms > most_ms) most_ms = pause_ms;
        nominal_ms += nominal_ms / 2;
        if (nominal_ms > PEERS_RETRY_MS_MAX) nominal_ms = PEERS_RETRY_MS_MAX;
    }
    assert_true(least_ms < PEERS_RETRY_MS_MAX * 9 / 10 && most_ms > PEERS_RETRY_MS_MAX * 11 / 10);
}

/* A server that agrees and then closes, again and again, is not dialled twenty times a second; one
 * whose link stood for a while is dialled at once. */
static void test_only_a_link_that_stood_is_dialled_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        answer(OTHER, "", false);
        assert_true(peers_is_open(links, OTHER));
        now_ms += PEERS_RETRY_MS_MAX - 1;
        peers_disconnected(links, out, out->epoch, now_ms);
        uint64_t pause_ms = sit_out();
        assert_true(i > 0 || is_about(pause_ms, PEERS_RETRY_MS_MIN));
        assert_true(i < 10 || is_about(pause_ms, PEERS_RETRY_MS_MAX));
    }
    answer(OTHER, "", false);
    now_ms += PEERS_RETRY_MS_MAX;
    peers_disconnected(links, out, out->epoch, now_ms);
    assert_true(is_about(sit_out(), PEERS_RETRY_MS_MIN));
}

/* ------------------------------------------------------------------ who may stay */

/* An incarnation that turns out to be another than the recorded one loses its links both ways. */
static void test_links_are_broken_when_the_incarnation_is_not_admitted_any_more(void **state)
{
    (void)state;
    const struct peer_hello hello = {"one cluster id.", OTHER, 102, SELF, slice_of("10.0.0.2:1")};
    struct peer_in in;
    buffer_clear(&bytes);
    assert_int_equal(peer_hello_write(&bytes, &hello), HF_OK);
    assert_true(peers_accepted(links, &in, now_ms));
    assert_int_equal(peers_input(links, &in, buffer_slice(&bytes), now_ms), HF_OK);
    answer(OTHER, "", false);
    peers_recheck(links, now_ms);
    assert_true(peers_is_open(links, OTHER) && peers_is_heard(links, OTHER));
    refused_incarnation = 102;
    peers_recheck(links, now_ms);
    assert_true(in.broken && !peers_is_open(links, OTHER) && !peers_is_heard(links, OTHER));
    peers_closed(links, &in);
}

/* Strangers who connect and say nothing make place for who comes after them; a member stays. */
static void test_silent_strangers_keep_nobody_out(void **state)
{
    (void)state;
    static struct peer_in strangers[3 * PEERS_IN_MAX];
    const struct peer_hello hello = {"one cluster id.", OTHER, 102, SELF, slice_of("10.0.0.2:1")};
    struct peer_in in;
    buffer_clear(&bytes);
    assert_int_equal(peer_hello_write(&bytes, &hello), HF_OK);
    assert_true(peers_accepted(links, &in, now_ms));
    assert_int_equal(peers_input(links, &in, buffer_slice(&bytes), now_ms), HF_OK);
    int kept = 0;
    for (unsigned i = 0; i < HF_ARRAY_COUNT(strangers); i++) {
        if (peers_accepted(links, &strangers[i], now_ms)) kept = (int)i + 1;
    }
    assert_int_equal(kept, 2 * PEERS_IN_MAX - 1); /* the shell has closed none yet */
    assert_true(strangers[0].broken && !strangers[kept - 1].broken);
    assert_true(!in.broken && peers_is_heard(links, OTHER));
    for (int i = 0; i < kept; i++) peers_closed(links, &strangers[i]);
    peers_closed(links, &in);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_another_version_is_told_so),
        TEST(test_a_server_with_our_own_id_is_told_so),
        TEST(test_a_refusal_from_elsewhere_is_kept),
        TEST(test_a_welcome_from_elsewhere_is_not_taken),
        TEST(test_an_answer_of_another_version_is_a_reason),
        TEST(test_a_refusal_cannot_forge_a_log_line),
        TEST(test_pauses_grow_and_are_not_in_step),
        TEST(test_only_a_link_that_stood_is_dialled_at_once),
        TEST(test_links_are_broken_when_the_incarnation_is_not_admitted_any_more),
        TEST(test_silent_strangers_keep_nobody_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
