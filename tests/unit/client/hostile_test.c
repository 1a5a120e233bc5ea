/* A server that lies, stammers or raves: the connection is left, calls are repeated on the next
 * one, and nothing of what it said is believed. */
#include "base/prng.h"
#include "tests/unit/client/script_fixture.h"

/* The core left the connection; on the next one the call is answered as if nothing had been. */
static void recovers(struct call *call, uint64_t epoch)
{
    assert_int_not_equal(s.core.link.epoch, epoch);
    assert_true(s.core.wake_ns > s.now_ns); /* with a pause */
    script_pass(&s, 3 * SEC);
    s.next = s.count;
    script_resume(&s);
    struct request *again = script_expect(&s, OP_CODE_ACQUIRE);
    script_grant(&s, again, 5);
    assert_int_equal(call->token, 5);
    script_finish(&s, call, HF_OK);
}

static void put_header(uint8_t *frame, uint32_t bytes, int status, uint64_t id)
{
    put_u32(frame, bytes);
    put_u16(frame + 4, (uint16_t)(int16_t)status);
    frame[6] = 0;
    frame[7] = 0;
    put_u64(frame + 8, id);
}

/* A length beyond every bound is not waited for. */
static void test_huge_frame_closes_the_connection(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    uint64_t epoch = s.core.link.epoch;
    script_send(&s, "\xff\xff\xff\xff garbage", 12);
    recovers(call, epoch);
}

/* A request id that was never given out. */
static void test_reply_to_nothing_closes_the_connection(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    uint64_t epoch = s.core.link.epoch;
    uint8_t frame[17];
    put_header(frame, sizeof frame, HF_OK, script_expect(&s, OP_CODE_ACQUIRE)->id + (1 << 16));
    frame[16] = 0x90;
    script_send(&s, frame, sizeof frame);
    recovers(call, epoch);
}

/* The same reply twice: the second answers nothing. */
static void test_second_reply_closes_the_connection(void **state)
{
    (void)state;
    struct call *first = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    struct request *r = script_expect(&s, OP_CODE_ACQUIRE);
    script_grant(&s, r, 4);
    script_finish(&s, first, HF_OK);
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    uint64_t epoch = s.core.link.epoch;
    script_grant(&s, r, 4);
    recovers(call, epoch);
}

/* A body that is no message, and one that says it has four billion elements. */
static void test_body_that_does_not_decode_closes_the_connection(void **state)
{
    (void)state;
    static const uint8_t bodies[][5] = {{0xc1, 0, 0, 0, 0},
                                        {0xdd, 0xff, 0xff, 0xff, 0xff},
                                        {0x93, 0xa1, 'x', 0x00, 0x01},
                                        {0x93, 0x05, 0x00, 0x00, 0x00}};
    for (size_t i = 0; i < HF_ARRAY_COUNT(bodies); i++) {
        struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
        if (i == 0) script_open_session(&s);
        struct request *r = script_expect(&s, OP_CODE_ACQUIRE);
        uint64_t epoch = s.core.link.epoch;
        uint8_t frame[21];
        put_header(frame, sizeof frame, HF_OK, r->id);
        memcpy(frame + 16, bodies[i], 5);
        script_send(&s, frame, sizeof frame);
        recovers(call, epoch);
    }
}

/* A status that is none. */
static void test_unknown_status_closes_the_connection(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    struct request *r = script_expect(&s, OP_CODE_ACQUIRE);
    uint64_t epoch = s.core.link.epoch;
    uint8_t frame[17];
    put_header(frame, sizeof frame, -999, r->id);
    frame[16] = 0x90;
    script_send(&s, frame, sizeof frame);
    recovers(call, epoch);
}

/* Frames may come in any pieces, one byte at a time, too. */
static void test_frames_in_pieces_are_put_together(void **state)
{
    (void)state;
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    script_open_session(&s);
    struct request *r = script_expect(&s, OP_CODE_ACQUIRE);
    uint8_t frame[20];
    put_header(frame, sizeof frame, HF_OK, r->id);
    memcpy(frame + 16, "\x93\x05\x00\x01", 4);
    uint64_t epoch = s.core.link.epoch;
    for (size_t i = 0; i < sizeof frame; i++) script_send(&s, frame + i, 1);
    assert_int_equal(s.core.link.epoch, epoch);
    assert_int_equal(call->token, 5);
    script_finish(&s, call, HF_OK);
}

/* Random bytes, and valid replies with flipped bits, through ten thousand connections: no crash,
 * and what is under way stays bounded. */
static void test_raving_server_does_no_harm(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 4);
    for (int round = 0; round < 10000; round++) {
        if (s.core.busy_count < 8) {
            struct call *call = script_acquire(&s, prng_below(&prng, 3000), 0, FATE_CANCEL);
            core_detach(&s.core, call);
        }
        script_pass(&s, prng_below(&prng, 200) * MS);
        if (s.core.link.state == LINK_CONNECTING)
            core_connected(&s.core, s.core.link.epoch, s.now_ns);
        script_step(&s);
        uint8_t bytes[64];
        size_t size = 17 + prng_below(&prng, sizeof bytes - 17);
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)prng_next(&prng);
        if (s.count > 0 && prng_below(&prng, 4) != 0) {
            struct request *r = &s.requests[s.count - 1];
            put_header(bytes, (uint32_t)size, -(int)prng_below(&prng, 87), r->id);
            if (prng_below(&prng, 2) == 0) bytes[16] = 0x90 | (bytes[16] & 7);
        }
        script_send(&s, bytes, size);
        while (core_take_finished(&s.core) != NULL) continue;
        struct grant_loss loss;
        while (core_take_loss(&s.core, &loss)) continue;
        assert_true(s.core.call_count < 4096);
        s.count = s.next = 0;
        buffer_clear(&s.wire);
        s.parsed = 0;
        arena_reset(&s.arena);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_huge_frame_closes_the_connection),
        CASE(test_reply_to_nothing_closes_the_connection),
        CASE(test_second_reply_closes_the_connection),
        CASE(test_body_that_does_not_decode_closes_the_connection),
        CASE(test_unknown_status_closes_the_connection),
        CASE(test_frames_in_pieces_are_put_together),
        CASE(test_raving_server_does_no_harm),
    };
    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
