/* The frames between servers: what is written is read back, and nothing else is read at all. */
#include "raft/peer_frame.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/status.h"
#include "tests/unit/cmocka_all.h"

enum { KINDS = 7, HEAD_BYTES = PEER_FRAME_HEADER_BYTES };

static struct log_entry entries[MESSAGE_ENTRIES_MAX];

static int setup(void **state)
{
    static struct buffer out;
    buffer_init(&out, 2 * PEER_FRAME_BYTES_MAX);
    *state = &out;
    return 0;
}

static int teardown(void **state)
{
    buffer_close(*state);
    return 0;
}

/* One of each kind, no field of it at its default. */
static void make_messages(struct message *m)
{
    static const struct log_entry two[] = {
        {.index = 8, .term = 3, .type = LOG_BARRIER, .data = {(const uint8_t *)"12345678", 8}},
        {.index = 9, .term = 4, .type = LOG_COMMAND, .data = {(const uint8_t *)"x", 1}},
    };
    m[0] = (struct message){.type = MESSAGE_APPEND, .term = 5, .append = {7, 3, 6, 2, two}};
    m[1] =
        (struct message){.type = MESSAGE_APPEND_RESULT, .term = 5, .append_result = {1, 2, 3, 4}};
    m[2] = (struct message){.type = MESSAGE_VOTE, .term = 5, .vote = {9, 4, true, false}};
    m[3] =
        (struct message){.type = MESSAGE_VOTE_RESULT, .term = 5, .vote_result = {true, true, 3, 4}};
    m[4] = (struct message){.type = MESSAGE_TIMEOUT_NOW, .term = 5, .timeout_now = {9, 4}};
    m[5] =
        (struct message){.type = MESSAGE_PING, .term = 5, .ping = {11, 12, 13, 14, {15, 16}, true}};
    m[6] = (struct message){.type = MESSAGE_PONG, .term = 5, .pong = {11, true, 14, DIGEST_OTHER}};
}

enum { UNWRITTEN = 0xa5 };

static bool is_unwritten(const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (((const uint8_t *)data)[i] != UNWRITTEN) return false;
    }
    return true;
}

/* Outputs are written only on success. */
static int read_frame(struct slice frame, struct message *m)
{
    uint8_t kind = 0;
    struct slice body = {0};
    memset(m, UNWRITTEN, sizeof *m);
    int rv = peer_frame_open(frame, &kind, &body);
    if (rv == HF_OK) rv = peer_message_read(kind, body, entries, m);
    assert_int_equal(is_unwritten(m, sizeof *m), rv != HF_OK);
    return rv;
}

/* Make the check right again after a change, so that the fields are what is looked at. */
static void seal(struct buffer *frame)
{
    put_u32(frame->data, (uint32_t)frame->size);
    put_u32(frame->data + 4, crc32c(0, frame->data + 8, frame->size - 8));
}

/* Written again, what was read gives the same bytes. */
static void test_every_message_comes_back(void **state)
{
    struct buffer *out = *state;
    struct message messages[KINDS];
    make_messages(messages);
    for (int i = 0; i < KINDS; i++) {
        struct buffer again;
        struct message m;
        size_t size = 0;
        buffer_clear(out);
        buffer_init(&again, PEER_FRAME_BYTES_MAX);
        assert_int_equal(peer_message_write(out, &messages[i]), HF_OK);
        assert_int_equal(peer_frame_next(buffer_slice(out), PEER_FRAME_BYTES_MAX, &size), HF_OK);
        assert_int_equal(size, out->size);
        assert_int_equal(read_frame(buffer_slice(out), &m), HF_OK);
        assert_int_equal(m.type, messages[i].type);
        assert_int_equal(m.term, 5);
        assert_int_equal(peer_message_write(&again, &m), HF_OK);
        assert_true(slice_equal(buffer_slice(out), buffer_slice(&again)));
        buffer_close(&again);
    }
}

/* Introductions and answers as well. */
static void test_introductions_come_back(void **state)
{
    struct buffer *out = *state;
    struct peer_hello hello = {{1, 2, 3}, 4, 5, 6, slice_of("127.0.0.1:7420")};
    struct peer_answer answer = {true, 7, 8, slice_of("[::1]:1"), slice_of("no member")};
    struct peer_hello hello_read;
    struct peer_answer answer_read;
    uint8_t kind = 0;
    struct slice body = {0};
    assert_int_equal(peer_hello_write(out, &hello), HF_OK);
    assert_int_equal(peer_frame_open(buffer_slice(out), &kind, &body), HF_OK);
    assert_int_equal(kind, PEER_FRAME_HELLO);
    assert_int_equal(peer_hello_read(body, &hello_read), HF_OK);
    assert_memory_equal(hello_read.cluster_id, hello.cluster_id, PEER_CLUSTER_ID_BYTES);
    assert_true(hello_read.from == 4 && hello_read.incarnation == 5 && hello_read.to == 6);
    assert_true(slice_equal(hello_read.client_address, hello.client_address));

    buffer_clear(out);
    assert_int_equal(peer_answer_write(out, &answer), HF_OK);
    assert_int_equal(peer_frame_open(buffer_slice(out), &kind, &body), HF_OK);
    assert_int_equal(kind, PEER_FRAME_ANSWER);
    assert_int_equal(peer_answer_read(body, &answer_read), HF_OK);
    assert_true(answer_read.refused && answer_read.from == 7 && answer_read.incarnation == 8);
    assert_true(slice_equal(answer_read.sentence, answer.sentence));
}

/* Any bit that changes on the way is seen. */
static void test_every_flipped_bit_is_refused(void **state)
{
    struct buffer *out = *state;
    struct message messages[KINDS];
    make_messages(messages);
    for (int i = 0; i < KINDS; i++) {
        buffer_clear(out);
        assert_int_equal(peer_message_write(out, &messages[i]), HF_OK);
        for (size_t bit = 32; bit < out->size * 8; bit++) {
            struct message m;
            out->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(read_frame(buffer_slice(out), &m), HF_EBADREQUEST);
            out->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

/* A frame that ends early, or goes on behind its last field, is refused although its check holds.
 */
static void test_every_other_length_is_refused(void **state)
{
    struct buffer *out = *state;
    struct message messages[KINDS];
    make_messages(messages);
    for (int i = 0; i < KINDS; i++) {
        struct message m;
        buffer_clear(out);
        assert_int_equal(peer_message_write(out, &messages[i]), HF_OK);
        size_t whole = out->size;
        assert_int_equal(buffer_append(out, "", 1), HF_OK);
        seal(out);
        assert_int_equal(read_frame(buffer_slice(out), &m), HF_EBADREQUEST);
        for (size_t size = HEAD_BYTES; size < whole; size++) {
            out->size = size;
            seal(out);
            assert_int_equal(read_frame(buffer_slice(out), &m), HF_EBADREQUEST);
        }
    }
}

/* Lengths that no frame has end the connection before a byte more is waited for. */
static void test_hostile_lengths_are_refused(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, HEAD_BYTES - 1, PEER_FRAME_BYTES_MAX + 1, UINT32_MAX};
    for (unsigned i = 0; i < HF_ARRAY_COUNT(lengths); i++) {
        uint8_t bytes[4];
        size_t size = 99;
        put_u32(bytes, lengths[i]);
        assert_int_equal(peer_frame_next(slice_make(bytes, 4), PEER_FRAME_BYTES_MAX, &size),
                         HF_EBADREQUEST);
        assert_int_equal(size, 99);
    }
    uint8_t first[4];
    size_t size = 99;
    put_u32(first, PEER_FRAME_BYTES_FIRST + 1);
    assert_int_equal(peer_frame_next(slice_make(first, 4), PEER_FRAME_BYTES_FIRST, &size),
                     HF_EBADREQUEST);
    assert_int_equal(size, 99);
    assert_int_equal(peer_frame_next(slice_make(first, 3), PEER_FRAME_BYTES_FIRST, &size), HF_OK);
    assert_int_equal(size, 0);
}

/* Fields out of range, with a check that holds. */
static void test_fields_out_of_range_are_refused(void **state)
{
    struct buffer *out = *state;
    struct message messages[KINDS];
    static const struct {
        int message;
        size_t at;     /* behind the header */
        uint8_t value; /* put there */
    } rows[] = {
        {0, 32, 0xff}, /* count */
        {0, 35, 3},    /* one entry more than there is */
        {0, 8, 0xff},  /* previous index */
        {0, 44, 9},    /* an entry's type */
        {0, 45, 1},    /* its padding */
        {0, 48, 0xff}, /* its size */
        {2, 24, 2},    /* flags */
        {2, 25, 0xff}, {3, 8, 2}, {3, 9, 7}, {6, 16, 2},
    };
    make_messages(messages);
    for (unsigned i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        struct message m;
        buffer_clear(out);
        assert_int_equal(peer_message_write(out, &messages[rows[i].message]), HF_OK);
        out->data[HEAD_BYTES + rows[i].at] = rows[i].value;
        seal(out);
        assert_int_equal(read_frame(buffer_slice(out), &m), HF_EBADREQUEST);
    }
    static const uint8_t kinds[] = {0, 5, 9, PEER_FRAME_HELLO, 255};
    for (unsigned i = 0; i < HF_ARRAY_COUNT(kinds); i++) {
        struct message m;
        buffer_clear(out);
        assert_int_equal(peer_message_write(out, &messages[5]), HF_OK);
        out->data[8] = kinds[i];
        seal(out);
        assert_int_equal(read_frame(buffer_slice(out), &m), HF_EBADREQUEST);
    }
}

/* Text is printable, an address is there, and only a refusal has a sentence. */
static void test_introductions_out_of_range_are_refused(void **state)
{
    struct buffer *out = *state;
    struct peer_hello hello = {{1}, 4, 5, 6, slice_of("127.0.0.1:7420")};
    struct peer_hello read;
    static const size_t ids[] = {20, 28, 36}; /* of from, incarnation, to */
    for (unsigned i = 0; i < HF_ARRAY_COUNT(ids); i++) {
        buffer_clear(out);
        assert_int_equal(peer_hello_write(out, &hello), HF_OK);
        memset(out->data + HEAD_BYTES + ids[i], 0, 8);
        assert_int_equal(
            peer_hello_read(slice_make(out->data + HEAD_BYTES, out->size - HEAD_BYTES), &read),
            HF_EBADREQUEST);
    }
    static const uint8_t letters[] = {0, 31, 127, 200};
    for (unsigned i = 0; i < HF_ARRAY_COUNT(letters); i++) {
        buffer_clear(out);
        assert_int_equal(peer_hello_write(out, &hello), HF_OK);
        out->data[out->size - 1] = letters[i];
        assert_int_equal(
            peer_hello_read(slice_make(out->data + HEAD_BYTES, out->size - HEAD_BYTES), &read),
            HF_EBADREQUEST);
    }
}

/* Outputs are written only on success. */
static int read_first(struct buffer *frame)
{
    uint8_t kind = 0;
    struct slice body = {0};
    struct peer_hello hello;
    struct peer_answer answer;
    memset(&hello, UNWRITTEN, sizeof hello);
    memset(&answer, UNWRITTEN, sizeof answer);
    int rv = peer_frame_open(buffer_slice(frame), &kind, &body);
    if (rv != HF_OK) return rv;
    bool is_hello = kind == PEER_FRAME_HELLO;
    rv = is_hello ? peer_hello_read(body, &hello) : peer_answer_read(body, &answer);
    assert_int_equal(is_unwritten(&hello, sizeof hello), !is_hello || rv != HF_OK);
    assert_int_equal(is_unwritten(&answer, sizeof answer), is_hello || rv != HF_OK);
    return rv;
}

/* An introduction and its two answers. */
static void write_first(struct buffer *out, int which)
{
    struct peer_hello hello = {{1, 2}, 4, 5, 6, slice_of("127.0.0.1:7420")};
    struct peer_answer answer = {which == 2, 7, 8, slice_of("[::1]:1"), slice_of("")};
    if (which == 2) answer.sentence = slice_of("no member");
    buffer_clear(out);
    if (which == 0) assert_int_equal(peer_hello_write(out, &hello), HF_OK);
    if (which > 0) assert_int_equal(peer_answer_write(out, &answer), HF_OK);
}

/* An introduction or answer with a changed bit, an end cut off, a byte more, another version. */
static void test_damaged_introductions_are_refused(void **state)
{
    struct buffer *out = *state;
    for (int which = 0; which < 3; which++) {
        write_first(out, which);
        assert_int_equal(read_first(out), HF_OK);
        size_t whole = out->size;
        for (size_t bit = 32; bit < whole * 8; bit++) {
            out->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(read_first(out), HF_EBADREQUEST);
            out->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t size = HEAD_BYTES; size <= whole + 1; size++) {
            write_first(out, which);
            assert_int_equal(buffer_append(out, "", 1), HF_OK);
            out->size = size;
            seal(out);
            assert_int_equal(read_first(out), size == whole ? HF_OK : HF_EBADREQUEST);
        }
        write_first(out, which);
        put_u32(out->data + HEAD_BYTES, PEER_FRAME_VERSION + 1);
        seal(out);
        assert_int_equal(read_first(out), HF_EVERSION);
    }
}

/* A refusal has a sentence and nothing else has one; ids are not 0, addresses not empty. */
static void test_answers_out_of_range_are_refused(void **state)
{
    struct buffer *out = *state;
    enum { REFUSED = HEAD_BYTES + 4, FROM = REFUSED + 1, INCARNATION = FROM + 8 };
    for (int which = 1; which < 3; which++) {
        for (uint8_t flag = 0; flag < 4; flag++) {
            write_first(out, which);
            out->data[REFUSED] = flag;
            seal(out);
            assert_int_equal(read_first(out), flag == which - 1 ? HF_OK : HF_EBADREQUEST);
        }
        for (size_t at = FROM; at <= INCARNATION; at += INCARNATION - FROM) {
            write_first(out, which);
            memset(out->data + at, 0, 8);
            seal(out);
            assert_int_equal(read_first(out), HF_EBADREQUEST);
        }
    }
    write_first(out, 1);
    out->size = INCARNATION + 8;
    assert_int_equal(buffer_append(out, "\0\0", 2), HF_OK); /* no address, no sentence */
    seal(out);
    assert_int_equal(read_first(out), HF_EBADREQUEST);
}

/* The longest texts fit in what is read before anybody is known. */
static void test_the_longest_texts_fit(void **state)
{
    struct buffer *out = *state;
    char text[PEER_TEXT_BYTES_MAX];
    memset(text, '~', sizeof text);
    struct slice longest = slice_make(text, sizeof text);
    struct peer_answer answer = {true, UINT64_MAX, UINT64_MAX, longest, longest};
    size_t size = 0;
    assert_int_equal(peer_answer_write(out, &answer), HF_OK);
    assert_int_equal(peer_frame_next(buffer_slice(out), PEER_FRAME_BYTES_FIRST, &size), HF_OK);
    assert_int_equal(size, out->size);
    assert_int_equal(read_first(out), HF_OK);
}

/* A changed length is another frame, whose check does not hold, or none, or one that never ends. */
static void test_a_flipped_length_gives_no_frame(void **state)
{
    struct buffer *out = *state;
    struct message messages[KINDS];
    make_messages(messages);
    for (int i = 0; i < KINDS; i++) {
        buffer_clear(out);
        for (int copy = 0; copy < 20; copy++) /* more bytes follow */
            assert_int_equal(peer_message_write(out, &messages[i]), HF_OK);
        for (int bit = 0; bit < 32; bit++) {
            size_t size = 0;
            struct message m;
            out->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int rv = peer_frame_next(buffer_slice(out), PEER_FRAME_BYTES_MAX, &size);
            if (rv == HF_OK && size > 0) rv = read_frame(slice_make(out->data, size), &m);
            assert_true(rv == HF_EBADREQUEST || (rv == HF_OK && size == 0));
            out->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

/* What is reserved is zero, though the check holds over it. */
static void test_padding_is_zero(void **state)
{
    struct buffer *out = *state;
    struct message messages[KINDS];
    make_messages(messages);
    for (size_t at = 9; at < HEAD_BYTES; at++) {
        struct message m;
        buffer_clear(out);
        assert_int_equal(peer_message_write(out, &messages[5]), HF_OK);
        out->data[at] = 1;
        seal(out);
        assert_int_equal(read_frame(buffer_slice(out), &m), HF_EBADREQUEST);
    }
}

/* An entry larger than any that is made is refused, though the frame holds it. */
static void test_an_entry_that_is_too_large_is_refused(void **state)
{
    struct buffer *out = *state;
    uint8_t *data = calloc(1, LOG_ENTRY_BYTES_MAX + 1);
    assert_non_null(data);
    for (size_t more = 0; more < 2; more++) {
        struct message read;
        const struct log_entry entry = {5, 2, LOG_COMMAND, {data, LOG_ENTRY_BYTES_MAX + more}};
        struct message m = {.type = MESSAGE_APPEND, .term = 2, .append = {4, 1, 4, 1, &entry}};
        buffer_clear(out);
        assert_int_equal(peer_message_write(out, &m), HF_OK);
        assert_int_equal(read_frame(buffer_slice(out), &read), more == 0 ? HF_OK : HF_EBADREQUEST);
    }
    free(data);
}

/* As many entries as one append may have, and not one more. */
static void test_a_full_append_comes_back(void **state)
{
    struct buffer *out = *state;
    static struct log_entry many[MESSAGE_ENTRIES_MAX];
    struct message read;
    struct message m = {.type = MESSAGE_APPEND, .term = 2, .append = {4, 1, 4, 0, many}};
    for (unsigned i = 0; i < MESSAGE_ENTRIES_MAX; i++)
        many[i] = (struct log_entry){5 + i, 2, LOG_COMMAND, {NULL, 0}};
    m.append.count = MESSAGE_ENTRIES_MAX;
    assert_int_equal(peer_message_write(out, &m), HF_OK);
    assert_int_equal(read_frame(buffer_slice(out), &read), HF_OK);
    assert_int_equal(read.append.count, MESSAGE_ENTRIES_MAX);
    put_u32(out->data + HEAD_BYTES + 32, MESSAGE_ENTRIES_MAX + 1);
    uint8_t one_more[16] = {[7] = 2, [8] = LOG_COMMAND};
    assert_int_equal(buffer_append(out, one_more, sizeof one_more), HF_OK);
    seal(out);
    assert_int_equal(read_frame(buffer_slice(out), &read), HF_EBADREQUEST);
}

/* Entries above the cap are left out, but never the first one: the peer would wait for ever. */
static void test_an_append_takes_what_fits(void **state)
{
    struct buffer *out = *state;
    static struct log_entry many[10];
    uint8_t *data = calloc(1, LOG_ENTRY_BYTES_MAX);
    assert_non_null(data);
    struct message m = {.type = MESSAGE_APPEND, .term = 2, .append = {4, 1, 4, 10, many}};
    for (unsigned i = 0; i < 10; i++)
        many[i] = (struct log_entry){5 + i, 2, LOG_COMMAND, {data, PEER_APPEND_BYTES_MAX / 4}};
    struct message read;
    assert_int_equal(peer_message_write(out, &m), HF_OK);
    assert_int_equal(read_frame(buffer_slice(out), &read), HF_OK);
    assert_int_equal(read.append.count, 4);
    assert_true(read.append.entries[3].index == 8);

    buffer_clear(out);
    many[0].data.size = LOG_ENTRY_BYTES_MAX;
    many[1].data.size = LOG_ENTRY_BYTES_MAX;
    many[2].data.size = LOG_ENTRY_BYTES_MAX;
    assert_int_equal(peer_message_write(out, &m), HF_OK);
    assert_int_equal(read_frame(buffer_slice(out), &read), HF_OK);
    assert_int_equal(read.append.count, 2);
    free(data);
}

/* A queue without room keeps what it has, to the byte. */
static void test_a_full_queue_stays_whole(void **state)
{
    (void)state;
    struct buffer small;
    struct message messages[KINDS];
    make_messages(messages);
    buffer_init(&small, 100);
    assert_int_equal(peer_message_write(&small, &messages[5]), HF_OK);
    size_t size = small.size;
    assert_int_equal(peer_message_write(&small, &messages[0]), HF_ETOOLARGE);
    assert_int_equal(small.size, size);
    buffer_close(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_message_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_introductions_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_flipped_bit_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_other_length_is_refused, setup, teardown),
        cmocka_unit_test(test_hostile_lengths_are_refused),
        cmocka_unit_test_setup_teardown(test_fields_out_of_range_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_introductions_out_of_range_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_damaged_introductions_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_out_of_range_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_longest_texts_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flipped_length_gives_no_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(test_padding_is_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_entry_that_is_too_large_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_full_append_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_append_takes_what_fits, setup, teardown),
        cmocka_unit_test(test_a_full_queue_stays_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
