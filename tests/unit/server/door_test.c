/* The door against clients that break the rules, by accident or not: each loses its own
 * connection at most, and nothing that it sends reaches the machine undecoded. */
#include "base/prng.h"
#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/server/fake_machine.h"
#include "tests/unit/server/world.h"

static void expect_status(struct client *c, uint64_t request_id, int status)
{
    struct got got;
    assert_true(client_take(c, &got));
    assert_int_equal(got.request_id, request_id);
    assert_int_equal(got.status, status);
}

static void expect_complaint(struct client *c, uint64_t request_id, const char *part)
{
    struct got got;
    struct msg_complaint complaint;
    char text[NAME_BYTES_MAX + 1] = {0};
    assert_true(client_take(c, &got));
    assert_int_equal(got.request_id, request_id);
    assert_int_equal(got.status, HF_EBADREQUEST);
    assert_int_equal(codec_decode(&msg_complaint_type, got.body, NULL, &complaint), HF_OK);
    memcpy(text, complaint.sentence.data, complaint.sentence.size);
    assert_non_null(strstr(text, part));
}

/* A frame by hand: an empty envelope, and a body as it is. */
static void send_raw(struct client *c, uint16_t op, uint64_t request_id, const void *body,
                     size_t body_size)
{
    static const uint8_t envelope[] = {0x97, 0, 0, 0, 0x90, 0, 0xa0, 0};
    uint8_t frame[1024];
    size_t size = FRAME_HEADER_BYTES + sizeof envelope + body_size;
    assert_true(size <= sizeof frame);
    put_u32(frame, (uint32_t)size);
    put_u16(frame + 4, op);
    put_u16(frame + 6, 0);
    put_u64(frame + 8, request_id);
    memcpy(frame + FRAME_HEADER_BYTES, envelope, sizeof envelope);
    memcpy(frame + FRAME_HEADER_BYTES + sizeof envelope, body, body_size);
    client_send_bytes(c, frame, size);
}

/* ------------------------------------------------------------------ HELLO */

/* Whoever does not say HELLO first is answered and closed. */
static void test_request_before_hello_is_refused(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect_silently(&c, w);
    client_open(&c, 10000);
    expect_complaint(&c, 1, "HELLO comes first");
    assert_true(c.connection.closing);
    client_close(&c);
}

/* HELLO is said once. */
static void test_second_hello_is_a_bad_request(void **state)
{
    struct world *w = *state;
    struct msg_hello hello = {.version_min = 1, .version_max = 1};
    struct client c;
    client_connect(&c, w);
    uint64_t id = client_send(&c, OP_CODE_HELLO, &hello, 0);
    expect_complaint(&c, id, "HELLO was said already");
    assert_false(c.connection.closing);
    client_close(&c);
}

/* Versions that do not meet end it with VERSION. */
static void test_hello_without_a_common_version_is_closed(void **state)
{
    struct world *w = *state;
    struct msg_hello hello = {.version_min = 2, .version_max = 9};
    struct client c;
    client_connect_silently(&c, w);
    uint64_t id = client_send(&c, OP_CODE_HELLO, &hello, 0);
    expect_status(&c, id, HF_EVERSION);
    assert_true(c.connection.closing);
    client_close(&c);
}

/* Before HELLO nobody gets memory for more than 4 KiB. */
static void test_large_frame_before_hello_is_closed(void **state)
{
    struct world *w = *state;
    uint8_t header[FRAME_HEADER_BYTES] = {0};
    struct client c;
    client_connect_silently(&c, w);
    put_u32(header, FRAME_HELLO_BYTES_MAX + 1);
    client_send_bytes(&c, header, sizeof header);
    assert_true(c.connection.closing);
    client_close(&c);
}

/* Five seconds to say HELLO, ten to end a frame that has begun; an idle client has all day. */
static void test_slow_clients_are_given_up(void **state)
{
    struct world *w = *state;
    uint8_t half[] = {0, 0, 0};
    struct client silent, slow, idle;
    client_connect_silently(&silent, w);
    client_connect(&slow, w);
    client_connect(&idle, w);
    client_send_bytes(&slow, half, sizeof half);
    assert_int_equal(door_next_wake(&w->door), w->now.elapsed_ms + DOOR_HELLO_MS_MAX);
    world_sleep(w, DOOR_HELLO_MS_MAX - 1);
    world_pass(w);
    assert_false(silent.connection.broken);
    world_sleep(w, 1);
    world_pass(w);
    assert_true(silent.connection.broken);
    assert_false(slow.connection.broken);
    world_sleep(w, DOOR_PARTIAL_MS_MAX - DOOR_HELLO_MS_MAX);
    world_pass(w);
    assert_true(slow.connection.broken);
    world_sleep(w, 86400000);
    world_pass(w);
    assert_false(idle.connection.broken);
    assert_int_equal(door_next_wake(&w->door), UINT64_MAX);
    client_close(&silent);
    client_close(&slow);
    client_close(&idle);
}

/* ------------------------------------------------------------------ bad requests */

/* An op that does not exist, a body that is another op's: answered, and the connection goes on. */
static void test_bad_requests_are_answered_and_survived(void **state)
{
    struct world *w = *state;
    static const uint8_t empty[] = {0x90};
    static const uint8_t number[] = {0x91, 0x01};
    struct client c;
    client_connect(&c, w);
    send_raw(&c, 127, 71, empty, sizeof empty);
    expect_complaint(&c, 71, "no such op");
    send_raw(&c, OP_CODE_OPEN, 72, number, sizeof number);
    expect_complaint(&c, 72, "body");
    send_raw(&c, OP_CODE_KEEP, 73, number, sizeof number);
    expect_complaint(&c, 73, "");
    send_raw(&c, OP_CODE_STATUS, 74, empty, sizeof empty);
    expect_status(&c, 74, HF_OK);
    assert_false(c.connection.closing);
    assert_true(batches_first_waiting(&w->replica->batches) == NULL);
    client_close(&c);
}

/* A result whose body is one byte too long is TOO_LARGE, certainly not applied: nothing was
 * proposed, so the attempt's state and token are as before. */
static void test_a_body_over_the_limit_is_too_large_and_proposes_nothing(void **state)
{
    struct world *w = *state;
    static uint8_t body[BODY_BYTES_MAX];
    static const uint8_t zero[1];
    struct client_envelope envelope = {.session = 1, .seq = 1};
    struct msg_complete complete = {.key = slice_of("k"),
                                    .fencing_token = 1,
                                    .outcome = OUTCOME_DONE,
                                    .body = slice_make(body, sizeof body)};
    struct client c;
    struct buffer frame;
    struct got got;
    client_connect(&c, w);
    buffer_init(&frame, FRAME_BYTES_MAX);
    assert_int_equal(frame_write_request(&frame, OP_CODE_COMPLETE, 71, &envelope, &complete),
                     HF_OK);
    /* What ends it: the body's length in four bytes, the body, and one byte for its kind. */
    uint8_t *length = frame.data + frame.size - 1 - BODY_BYTES_MAX - 4;
    assert_int_equal(get_u32(length), BODY_BYTES_MAX);
    put_u32(length, BODY_BYTES_MAX + 1);
    assert_int_equal(buffer_append(&frame, zero, 1), HF_OK);
    put_u32(frame.data, (uint32_t)frame.size);
    client_send_bytes(&c, frame.data, frame.size);
    assert_true(client_take(&c, &got));
    assert_int_equal(got.request_id, 71);
    assert_int_equal(got.status, HF_ETOOLARGE);
    assert_int_equal(status_reply_class(got.status), 1);
    assert_true(batches_first_waiting(&w->replica->batches) == NULL);
    assert_false(c.connection.closing);
    buffer_close(&frame);
    client_close(&c);
}

/* The sixteenth bad request ends the connection. */
static void test_sixteenth_bad_request_closes(void **state)
{
    struct world *w = *state;
    static const uint8_t empty[] = {0x90};
    struct client c;
    client_connect(&c, w);
    for (uint64_t i = 1; i < DOOR_COMPLAINTS_MAX; i++) {
        send_raw(&c, 127, i, empty, sizeof empty);
        expect_complaint(&c, i, "no such op");
    }
    assert_false(c.connection.closing);
    send_raw(&c, 127, 99, empty, sizeof empty);
    expect_complaint(&c, 99, "no such op");
    assert_true(c.connection.closing);
    client_close(&c);
}

/* Broken framing closes its own connection and no other. */
static void test_broken_framing_closes_one_connection(void **state)
{
    struct world *w = *state;
    static const uint8_t huge[FRAME_HEADER_BYTES] = {0xff, 0xff, 0xff, 0xff};
    struct client bad, good;
    client_connect(&bad, w);
    client_connect(&good, w);
    client_send_bytes(&bad, huge, sizeof huge);
    assert_true(bad.connection.closing);
    uint64_t id = client_open(&good, 10000);
    world_settle(w);
    expect_status(&good, id, HF_OK);
    client_close(&bad);
    client_close(&good);
}

/* ------------------------------------------------------------------ bytes as they come */

/* Cut anywhere, requests are the same requests. */
static void test_requests_may_come_byte_by_byte(void **state)
{
    struct world *w = *state;
    struct msg_hello hello = {.version_min = 1, .version_max = 1};
    struct client_envelope envelope = {0};
    uint8_t secret[SESSION_SECRET_BYTES] = {2};
    struct msg_open open = {.secret = slice_make(secret, sizeof secret), .ttl_ms = 9000};
    struct buffer bytes;
    buffer_init(&bytes, FRAME_BYTES_MAX);
    assert_int_equal(frame_write_request(&bytes, OP_CODE_HELLO, 1, &envelope, &hello), HF_OK);
    for (uint64_t id = 2; id < 10; id++)
        assert_int_equal(frame_write_request(&bytes, OP_CODE_OPEN, id, &envelope, &open), HF_OK);

    struct client c;
    client_connect_silently(&c, w);
    for (size_t i = 0; i < bytes.size; i++) client_send_bytes(&c, bytes.data + i, 1);
    world_settle(w);
    for (uint64_t id = 1; id < 10; id++) expect_status(&c, id, HF_OK);
    assert_int_equal(w->door.in_bytes, 0);
    buffer_close(&bytes);
    client_close(&c);
}

/* Random bytes, and valid frames with bytes changed, crash nothing and leave nothing behind. */
static void test_random_and_mutated_bytes_are_survived(void **state)
{
    struct world *w = *state;
    struct prng p;
    prng_seed(&p, 7);
    struct client_envelope envelope = {.session = 1, .seq = 1};
    struct slice name = slice_of("name");
    struct msg_acquire acquire = {.names = {.items = &name, .count = 1}, .owner = 1};
    struct buffer valid;
    buffer_init(&valid, FRAME_BYTES_MAX);
    assert_int_equal(frame_write_request(&valid, OP_CODE_ACQUIRE, 5, &envelope, &acquire), HF_OK);

    for (int round = 0; round < 2000; round++) {
        struct client c;
        uint8_t bytes[256];
        client_connect(&c, w);
        size_t size = valid.size;
        memcpy(bytes, valid.data, size);
        if (round % 2 == 0) size = 1 + prng_below(&p, sizeof bytes);
        for (size_t i = 0; i < size; i++) {
            if (round % 2 == 0 || prng_below(&p, 20) == 0) bytes[i] = (uint8_t)prng_next(&p);
        }
        client_send_bytes(&c, bytes, size);
        world_settle(w);
        client_close(&c);
    }
    assert_int_equal(w->door.in_bytes, 0);
    assert_int_equal(w->door.by_id.count, 0);
    buffer_close(&valid);
}

/* ------------------------------------------------------------------ limits */

/* A client that asks and never reads is closed once a megabyte waits for it. */
static void test_reader_that_never_reads_is_closed(void **state)
{
    struct world *w = *state;
    struct msg_empty empty = {0};
    struct client c;
    client_connect(&c, w);
    for (int i = 0; i < 20000 && !c.connection.broken; i++)
        client_send(&c, OP_CODE_STATUS, &empty, 0);
    assert_true(c.connection.broken);
    assert_true(c.connection.out.size < DOOR_OUT_BYTES_MAX + FRAME_BYTES_MAX);
    client_close(&c);
}

/* The 1,025th unanswered request is told to come back; its connection lives on. */
static void test_unanswered_requests_of_a_connection_are_bounded(void **state)
{
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    for (int i = 0; i < CONNECTION_REQUESTS_MAX; i++) client_open(&c, 10000);
    uint64_t refused = client_open(&c, 10000);
    expect_status(&c, refused, HF_ETOOBUSY);
    world_settle(w);
    expect_status(&c, 2, HF_OK);
    assert_int_equal(c.connection.unanswered, 0);
    client_close(&c);
}

/* What frees, renews or finishes is refused by no bound of its connection: it waits there, unread
 * from then on, until answers have left. */
static void test_what_frees_waits_where_new_work_is_refused(void **state)
{
    enum { MORE = 200 };
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    for (int i = 0; i < CONNECTION_REQUESTS_MAX; i++) client_open(&c, 10000);
    uint64_t first = client_keep(&c);
    for (int i = 1; i < MORE; i++) client_keep(&c);
    assert_true(door_is_held(&c.connection));
    assert_int_equal(c.connection.unanswered, CONNECTION_REQUESTS_MAX + UNACKED_RESERVE);
    uint64_t refused = client_open(&c, 10000); /* behind them */
    struct got got;
    assert_false(client_take(&c, &got));
    world_sleep(w, 2 * DOOR_PARTIAL_MS_MAX); /* whole frames are no stalled one */
    assert_int_equal(door_tick(&w->door, w->now), HF_OK);
    assert_false(c.connection.broken);

    world_settle(w);
    assert_false(door_is_held(&c.connection));
    unsigned kept = 0;
    while (client_take(&c, &got)) {
        assert_true(got.status == HF_OK || got.request_id == refused);
        kept += got.request_id >= first && got.request_id < first + MORE;
    }
    assert_int_equal(kept, MORE);
    assert_int_equal(c.connection.unanswered, 0);
    assert_int_equal(w->door.in_bytes, 0);
    client_close(&c);
}

/* Likewise where the replica has no room for anything; and a connection that goes away meanwhile
 * leaves nothing behind. */
static void test_what_frees_waits_until_the_replica_has_room(void **state)
{
    struct world *w = *state;
    struct client a, b;
    uint32_t room = w->replica->limits.waiting_exempt_max;
    client_connect(&a, w);
    client_begin_session(&a, 60000);
    client_connect(&b, w);
    b.session = a.session;
    w->replica->limits.waiting_exempt_max = 0;
    uint64_t id = client_keep(&a);
    client_keep(&b);
    assert_true(door_is_held(&a.connection) && door_is_held(&b.connection));
    world_settle(w);
    assert_true(door_is_held(&a.connection));
    assert_int_equal(door_next_wake(&w->door), UINT64_MAX);
    client_close(&b);

    w->replica->limits.waiting_exempt_max = room;
    assert_int_equal(door_next_wake(&w->door), 0);
    world_run(w, 100);
    expect_status(&a, id, HF_OK);
    client_close(&a);
}

/* However many wait, places are kept for what they wait for. */
static void test_parked_requests_leave_room_for_what_frees(void **state)
{
    enum { REQUESTS = 32 };
    struct world *w = *state;
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    w->replica->pending.requests.used_max = REQUESTS;
    for (int i = 0; i < REQUESTS - REQUESTS / 16; i++) client_acquire(&c, 60000, 0);
    world_settle(w);
    uint64_t refused = client_acquire(&c, 60000, 0);
    expect_status(&c, refused, HF_ETOOBUSY);
    uint64_t id = client_release(&c);
    world_settle(w);
    struct got got = {.request_id = 0};
    unsigned woken = 0;
    for (; client_take(&c, &got) && got.request_id != id; woken++) {
    }
    assert_int_equal(got.request_id, id);
    assert_int_equal(got.status, HF_OK);
    assert_int_equal(woken, REQUESTS - REQUESTS / 16);
    client_close(&c);
}

static void expect_retry(struct client *c, uint64_t request_id, uint64_t retry_ms)
{
    struct got got;
    struct msg_retry retry;
    assert_true(client_take(c, &got));
    assert_int_equal(got.request_id, request_id);
    assert_int_equal(got.status, HF_ETOOBUSY);
    assert_int_equal(codec_decode(&msg_retry_type, got.body, NULL, &retry), HF_OK);
    assert_int_equal(retry.retry_ms, retry_ms);
}

/* A principal that asks for more new work than its rate is told when to come again; what frees,
 * and a copy of what was taken, passes; another name has a rate of its own. */
static void test_rate_limits_new_work_of_a_principal(void **state)
{
    struct world *w = *state;
    struct msg_hello hello = {.version_min = 1, .version_max = 1, .name = slice_of("other")};
    struct msg_list list = {.count_max = 1};
    struct client c, other;
    door_limit_rate(&w->door, 10, 2);
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    uint64_t taken = client_acquire(&c, 0, 0);
    uint64_t seq = c.seq;
    world_settle(w);
    expect_status(&c, taken, HF_OK);
    expect_retry(&c, client_acquire(&c, 0, 0), 100);
    expect_retry(&c, client_open(&c, 10000), 100);
    expect_retry(&c, client_send(&c, OP_CODE_LIST, &list, 0), 100);
    assert_int_equal(w->door.refused.rate_count, 3);

    fake_knobs.known_seq = seq;
    uint64_t again = client_acquire(&c, 0, seq);
    uint64_t kept = client_keep(&c);
    uint64_t freed = client_release(&c);
    world_settle(w);
    expect_status(&c, again, HF_OK);
    expect_status(&c, kept, HF_OK);
    expect_status(&c, freed, HF_OK);

    client_connect_silently(&other, w);
    uint64_t id = client_send(&other, OP_CODE_HELLO, &hello, 0);
    expect_status(&other, id, HF_OK);
    client_begin_session(&other, 60000);
    world_sleep(w, 100);
    taken = client_acquire(&c, 0, 0);
    world_settle(w);
    expect_status(&c, taken, HF_OK);
    client_close(&c);
    client_close(&other);
}

/* ------------------------------------------------------------------ sessions and the end */

/* RESUME on a new connection tells the old one that it is superseded. */
static void test_resume_tells_the_older_connection(void **state)
{
    struct world *w = *state;
    uint8_t secret[SESSION_SECRET_BYTES] = {1};
    struct msg_resume resume = {.secret = slice_make(secret, sizeof secret)};
    struct client a, b;
    client_connect(&a, w);
    client_begin_session(&a, 60000);
    client_acquire(&a, 0, 0);
    world_settle(w);
    expect_status(&a, a.request_id, HF_OK);

    client_connect(&b, w);
    b.session = a.session;
    uint64_t id = client_send(&b, OP_CODE_RESUME, &resume, 0);
    world_settle(w);
    expect_status(&b, id, HF_OK);
    expect_status(&a, 0, HF_ESUPERSEDED);
    id = client_send(&b, OP_CODE_RESUME, &resume, 0); /* again on the same one: nobody is told */
    world_settle(w);
    expect_status(&b, id, HF_OK);
    assert_int_equal(b.connection.out.size, 0);
    client_close(&a);
    client_close(&b);
}

/* A stopping server says so on every connection, and closes it. */
static void test_goodbye_is_said_to_all(void **state)
{
    struct world *w = *state;
    struct client a, b;
    client_connect(&a, w);
    client_connect(&b, w);
    door_say_goodbye(&w->door);
    expect_status(&a, 0, HF_ESHUTDOWN);
    expect_status(&b, 0, HF_ESHUTDOWN);
    assert_true(a.connection.closing && b.connection.closing);
    client_close(&a);
    client_close(&b);
}

/* STATUS tells who leads and where things stand. */
static void test_status_tells_where_things_stand(void **state)
{
    struct world *w = *state;
    struct msg_empty empty = {0};
    struct msg_status_reply reply;
    struct arena arena;
    struct got got;
    struct client c;
    assert_int_equal(arena_init(&arena, 65536), HF_OK);
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    client_send(&c, OP_CODE_STATUS, &empty, 0);
    assert_true(client_take(&c, &got));
    assert_int_equal(got.status, HF_OK);
    assert_int_equal(codec_decode(&msg_status_reply_type, got.body, &arena, &reply), HF_OK);
    assert_int_equal(reply.role, ROLE_LEADER);
    assert_int_equal(reply.leader_id, 1);
    assert_int_equal(reply.applied_index, reply.commit_index);
    assert_int_equal(reply.session_count, 1);
    assert_int_equal(reply.members.count, 1);
    const struct member *self = reply.members.items;
    assert_true(slice_equal(self->client, slice_of("127.0.0.1:7420")));
    assert_int_equal(self->reachable, 1);
    assert_int_equal(reply.shortage.size, 0);
    arena_close(&arena);
    client_close(&c);
}

/* And what was refused, by reason: a rate, space, load. */
static void test_status_tells_what_was_refused(void **state)
{
    struct world *w = *state;
    struct msg_empty empty = {0};
    struct msg_status_reply reply;
    struct arena arena;
    struct got got;
    struct client c;
    assert_int_equal(arena_init(&arena, 65536), HF_OK);
    door_limit_rate(&w->door, 10, 5);
    client_connect(&c, w);
    client_begin_session(&c, 60000);
    w->replica->limits.waiting_bytes_max = 0;
    for (int i = 0; i < 2; i++) expect_status(&c, client_acquire(&c, 0, 0), HF_ETOOBUSY);
    w->replica->limits.waiting_bytes_max = UINT32_MAX;
    w->replica->disk_full = true;
    w->replica->space_checked_ms = w->now.elapsed_ms;
    for (int i = 0; i < 2; i++) expect_status(&c, client_acquire(&c, 0, 0), HF_ENOSPACE);
    for (int i = 0; i < 3; i++) expect_status(&c, client_acquire(&c, 0, 0), HF_ETOOBUSY);
    client_send(&c, OP_CODE_STATUS, &empty, 0);
    assert_true(client_take(&c, &got));
    assert_int_equal(codec_decode(&msg_status_reply_type, got.body, &arena, &reply), HF_OK);
    assert_int_equal(reply.load_refused_count, 2);
    assert_int_equal(reply.space_refused_count, 2);
    assert_int_equal(reply.rate_refused_count, 3);
    assert_int_equal(reply.cap_refused_count, 0);
    assert_true(reply.shortage.size > 0);
    arena_close(&arena);
    client_close(&c);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_request_before_hello_is_refused),
        WORLD_TEST(test_second_hello_is_a_bad_request),
        WORLD_TEST(test_hello_without_a_common_version_is_closed),
        WORLD_TEST(test_large_frame_before_hello_is_closed),
        WORLD_TEST(test_slow_clients_are_given_up),
        WORLD_TEST(test_bad_requests_are_answered_and_survived),
        WORLD_TEST(test_a_body_over_the_limit_is_too_large_and_proposes_nothing),
        WORLD_TEST(test_sixteenth_bad_request_closes),
        WORLD_TEST(test_broken_framing_closes_one_connection),
        WORLD_TEST(test_requests_may_come_byte_by_byte),
        WORLD_TEST(test_random_and_mutated_bytes_are_survived),
        WORLD_TEST(test_reader_that_never_reads_is_closed),
        WORLD_TEST(test_unanswered_requests_of_a_connection_are_bounded),
        WORLD_TEST(test_what_frees_waits_where_new_work_is_refused),
        WORLD_TEST(test_what_frees_waits_until_the_replica_has_room),
        WORLD_TEST(test_parked_requests_leave_room_for_what_frees),
        WORLD_TEST(test_rate_limits_new_work_of_a_principal),
        WORLD_TEST(test_resume_tells_the_older_connection),
        WORLD_TEST(test_goodbye_is_said_to_all),
        WORLD_TEST(test_status_tells_where_things_stand),
        WORLD_TEST(test_status_tells_what_was_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
