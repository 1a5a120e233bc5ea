/* Framing from outside: streams cut anywhere, lengths out of bounds, headers that mean nothing,
 * in both directions. Bodies are only the vehicle here; codec_test.c is about them.
 */
#include "protocol/frame.h"

#include <stdlib.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/protocol/sample.h"

struct fixture {
    struct prng prng;     /* one seed, so that a failure repeats */
    struct arena arena;   /* what samples point to and decoding takes */
    struct buffer stream; /* frames, one behind the other */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    prng_seed(&f->prng, 20260102);
    assert_int_equal(arena_init(&f->arena, SAMPLE_ARENA_BYTES), HF_OK);
    buffer_init(&f->stream, SAMPLE_BYTES_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_close(&f->arena);
    buffer_close(&f->stream);
    free(f);
    return 0;
}

/* Append a plain request of each op, numbered by its code. */
static void write_all_requests(struct fixture *f)
{
    struct client_envelope envelope;
    sample_plain(&client_envelope_type, &f->arena, &envelope);
    for (uint16_t code = 0; code <= OP_CODE_MAX; code++) {
        const struct op_info *info = op_find(code);
        if (info == NULL) continue;
        union sample request;
        sample_plain(info->request, &f->arena, &request);
        assert_int_equal(frame_write_request(&f->stream, code, code, &envelope, &request), HF_OK);
    }
}

/* A valid frame of KEEP: the header is the first 16 bytes, the envelope follows. */
static struct slice write_keep(struct fixture *f)
{
    struct client_envelope envelope = {.session = 7, .renews = 1};
    struct msg_keep keep = {{NULL, 0}};
    buffer_clear(&f->stream);
    int rv = frame_write_request(&f->stream, OP_CODE_KEEP, 1, &envelope, &keep);
    assert_int_equal(rv, HF_OK);
    return buffer_slice(&f->stream);
}

/* Every op's request comes back: op, number, envelope and body, and encodes to the same frame. */
static void test_requests_come_back_as_they_were(void **state)
{
    struct fixture *f = *state;
    write_all_requests(f);
    struct slice rest = buffer_slice(&f->stream);
    unsigned count = 0;
    while (rest.size > 0) {
        size_t size;
        assert_int_equal(frame_next(rest, FRAME_BYTES_MAX, &size), HF_OK);
        assert_true(size > 0);
        struct request_frame read;
        assert_int_equal(frame_read_request(slice_make(rest.data, size), &read), HF_OK);
        assert_int_equal(read.request_id, read.op);

        struct client_envelope envelope;
        union sample request;
        const struct codec_type *type = op_find(read.op)->request;
        assert_int_equal(codec_decode(&client_envelope_type, read.envelope, &f->arena, &envelope),
                         HF_OK);
        assert_int_equal(codec_decode(type, read.body, &f->arena, &request), HF_OK);
        struct buffer again;
        buffer_init(&again, FRAME_BYTES_MAX);
        assert_int_equal(frame_write_request(&again, read.op, read.request_id, &envelope, &request),
                         HF_OK);
        assert_true(slice_equal(buffer_slice(&again), slice_make(rest.data, size)));
        buffer_close(&again);
        rest = slice_make(rest.data + size, rest.size - size);
        count += 1;
    }
    assert_int_equal(count, OPS);
}

/* A stream cut anywhere is "more bytes, please" for the cut frame and nothing else. */
static void test_a_frame_split_at_every_byte_waits_for_the_rest(void **state)
{
    struct fixture *f = *state;
    struct slice frame = write_keep(f);
    for (size_t cut = 0; cut < frame.size; cut++) {
        size_t size = 99;
        assert_int_equal(frame_next(slice_make(frame.data, cut), FRAME_BYTES_MAX, &size), HF_OK);
        assert_int_equal(size, 0);
    }
    size_t size;
    assert_int_equal(frame_next(frame, FRAME_BYTES_MAX, &size), HF_OK);
    assert_int_equal(size, frame.size);
}

/* The same stream of all ops, fed in pieces of each length, gives the same frames. */
static void test_a_stream_in_pieces_gives_the_same_frames(void **state)
{
    struct fixture *f = *state;
    write_all_requests(f);
    struct slice all = buffer_slice(&f->stream);
    for (size_t piece = 1; piece < 64; piece++) {
        struct buffer fed;
        buffer_init(&fed, SAMPLE_BYTES_MAX);
        size_t taken = 0;
        for (size_t at = 0; at < all.size; at += piece) {
            size_t left = all.size - at;
            assert_int_equal(buffer_append(&fed, all.data + at, left < piece ? left : piece),
                             HF_OK);
            size_t size;
            assert_int_equal(frame_next(buffer_slice(&fed), FRAME_BYTES_MAX, &size), HF_OK);
            while (size > 0) {
                assert_memory_equal(fed.data, all.data + taken, size);
                buffer_consume(&fed, size);
                taken += size;
                assert_int_equal(frame_next(buffer_slice(&fed), FRAME_BYTES_MAX, &size), HF_OK);
            }
        }
        assert_int_equal(taken, all.size);
        buffer_close(&fed);
    }
}

/* A claimed length is judged by its four bytes alone: nothing waits for a frame too long. */
static void test_lengths_out_of_bounds_break_the_framing(void **state)
{
    (void)state;
    static const struct {
        uint32_t claimed;
        size_t bytes_max;
        int status;
    } rows[] = {
        {0, FRAME_BYTES_MAX, HF_EBADREQUEST},
        {15, FRAME_BYTES_MAX, HF_EBADREQUEST},
        {16, FRAME_BYTES_MAX, HF_OK},
        {FRAME_BYTES_MAX, FRAME_BYTES_MAX, HF_OK},
        {FRAME_BYTES_MAX + 1, FRAME_BYTES_MAX, HF_ETOOLARGE},
        {UINT32_MAX, FRAME_BYTES_MAX, HF_ETOOLARGE},
        {FRAME_HELLO_BYTES_MAX, FRAME_HELLO_BYTES_MAX, HF_OK},
        {FRAME_HELLO_BYTES_MAX + 1, FRAME_HELLO_BYTES_MAX, HF_ETOOLARGE},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        uint8_t head[4];
        put_u32(head, rows[i].claimed);
        size_t size;
        assert_int_equal(frame_next(slice_make(head, 4), rows[i].bytes_max, &size), rows[i].status);
    }
}

/* Each broken part of a request is refused, and its number is known for the answer. */
static void test_a_broken_request_is_refused_with_its_number(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t at;
        uint8_t byte;
        uint64_t request_id;
    } rows[] = {
        {6, 1, 1},     /* reserved */
        {7, 1, 1},     /* reserved */
        {15, 0, 0},    /* no request number */
        {16, 0xc0, 1}, /* an envelope that is nil */
        {16, 0x9f, 1}, /* one with more fields than bytes */
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        struct slice frame = write_keep(f);
        f->stream.data[rows[i].at] = rows[i].byte;
        struct request_frame read = {.request_id = 99};
        assert_int_equal(frame_read_request(frame, &read), HF_EBADREQUEST);
        assert_int_equal(read.request_id, rows[i].request_id);
    }
}

/* A header alone is a frame, but no request. */
static void test_a_request_without_an_envelope_is_refused(void **state)
{
    (void)state;
    uint8_t head[FRAME_HEADER_BYTES] = {0};
    put_u32(head, sizeof head);
    put_u64(head + 8, 5);
    struct request_frame read;
    assert_int_equal(frame_read_request(slice_make(head, sizeof head), &read), HF_EBADREQUEST);
}

/* Every status, class and flag of a reply comes back, and the body is borrowed in place. */
static void test_replies_come_back_as_they_were(void **state)
{
    struct fixture *f = *state;
    struct reply_frame in = {.request_id = UINT64_MAX, .body = slice_of("\x93\x01\x02\x03")};
    static const uint8_t flags[] = {0, REPLY_REPEATED, REPLY_REPEATED | REPLY_STANDS};
    for (int status = -999; status <= 0; status++) {
        if (status_name(status)[0] == '?') continue;
        in.status = status;
        in.reply_class = (uint8_t)status_reply_class(status);
        in.flags = flags[(unsigned)-status % 3];
        buffer_clear(&f->stream);
        assert_int_equal(frame_write_reply(&f->stream, &in), HF_OK);
        size_t size;
        assert_int_equal(frame_next(buffer_slice(&f->stream), FRAME_BYTES_MAX, &size), HF_OK);
        struct reply_frame out;
        assert_int_equal(frame_read_reply(slice_make(f->stream.data, size), &out), HF_OK);
        assert_int_equal(out.status, in.status);
        assert_int_equal(out.reply_class, in.reply_class);
        assert_int_equal(out.flags, in.flags);
        assert_true(out.request_id == in.request_id);
        assert_true(slice_equal(out.body, in.body));
    }
}

/* An answer that says no more than its status carries the empty message. */
static void test_a_reply_without_a_body_carries_the_empty_message(void **state)
{
    struct fixture *f = *state;
    struct reply_frame in = {.status = HF_EFROZEN, .request_id = 1};
    assert_int_equal(frame_write_reply(&f->stream, &in), HF_OK);
    struct reply_frame out;
    assert_int_equal(frame_read_reply(buffer_slice(&f->stream), &out), HF_OK);
    struct msg_empty empty;
    assert_int_equal(codec_decode(&msg_empty_type, out.body, NULL, &empty), HF_OK);
}

/* The client's side: a hostile server's header is refused, and the answer is not written. */
static void test_a_reply_that_means_nothing_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t at;
        uint8_t byte;
    } rows[] = {
        {4, 0x7f}, /* a status above 0 */
        {5, 0x01}, /* status 1 */
        {4, 0x80}, /* a status that is none */
        {6, 3},    /* a class that is none */
        {7, 4},    /* a flag that is none */
        {7, 2},    /* STANDS without REPEATED */
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        struct reply_frame reply = {.status = HF_OK, .request_id = 1};
        buffer_clear(&f->stream);
        assert_int_equal(frame_write_reply(&f->stream, &reply), HF_OK);
        f->stream.data[rows[i].at] = rows[i].byte;
        struct reply_frame out = {.request_id = 99};
        assert_int_equal(frame_read_reply(buffer_slice(&f->stream), &out), HF_EBADREQUEST);
        assert_int_equal(out.request_id, 99);
    }
}

/* A frame that does not fit leaves the ones before it as they were. */
static void test_a_frame_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    struct fixture *f = *state;
    size_t frame_bytes = write_keep(f).size;
    struct buffer small;
    buffer_init(&small, 2 * frame_bytes - 1);
    struct client_envelope envelope = {.session = 7, .renews = 1};
    struct msg_keep keep = {{NULL, 0}};
    assert_int_equal(frame_write_request(&small, OP_CODE_KEEP, 1, &envelope, &keep), HF_OK);
    assert_int_equal(frame_write_request(&small, OP_CODE_KEEP, 1, &envelope, &keep), HF_ETOOLARGE);
    assert_true(slice_equal(buffer_slice(&small), buffer_slice(&f->stream)));
    buffer_close(&small);

    uint8_t *body = calloc(1, FRAME_BYTES_MAX);
    struct reply_frame reply = {.request_id = 1};
    reply.body = slice_make(body, FRAME_BYTES_MAX - FRAME_HEADER_BYTES + 1);
    assert_int_equal(frame_write_reply(&f->stream, &reply), HF_ETOOLARGE);
    assert_int_equal(f->stream.size, frame_bytes);
    reply.body.size -= 1;
    assert_int_equal(frame_write_reply(&f->stream, &reply), HF_OK);
    free(body);
}

/* Whatever bytes a frame holds, reading it ends with an answer. */
static void test_random_frames_are_read_or_refused(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[64];
        size_t size = FRAME_HEADER_BYTES + prng_below(&f->prng, 48);
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)prng_next(&f->prng);
        put_u32(bytes, (uint32_t)size);
        put_u16(bytes + 6, 0);
        struct request_frame request;
        int rv = frame_read_request(slice_make(bytes, size), &request);
        assert_true(rv == HF_OK || rv == HF_EBADREQUEST);
        struct reply_frame reply;
        rv = frame_read_reply(slice_make(bytes, size), &reply);
        assert_true(rv == HF_OK || rv == HF_EBADREQUEST);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_requests_come_back_as_they_were),
        TEST(test_a_frame_split_at_every_byte_waits_for_the_rest),
        TEST(test_a_stream_in_pieces_gives_the_same_frames),
        TEST(test_lengths_out_of_bounds_break_the_framing),
        TEST(test_a_broken_request_is_refused_with_its_number),
        TEST(test_a_request_without_an_envelope_is_refused),
        TEST(test_replies_come_back_as_they_were),
        TEST(test_a_reply_without_a_body_carries_the_empty_message),
        TEST(test_a_reply_that_means_nothing_is_refused),
        TEST(test_a_frame_that_does_not_fit_leaves_the_buffer_as_it_was),
        TEST(test_random_frames_are_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
