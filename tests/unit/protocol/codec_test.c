/* The codec from outside: whatever valid struct goes in comes out, and of all other bytes none
 * come in. Every test walks all described types (sample.h), so a new message is under test the
 * moment it is described. */
/* Every message both ways, over random values in their ranges, and everything that a decoder must
 * refuse: ranges, types, missing, extra and trailing bytes, nesting, bad UTF-8. */
#include "protocol/codec.h"

#include <stdlib.h>

#include "base/status.h"
#include "protocol/messages.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/protocol/sample.h"

struct fixture {
    struct prng prng;    /* one seed, so that a failure repeats */
    struct arena sample; /* what a sample's fields point to */
    struct arena lists;  /* what decoding takes */
    struct buffer bytes; /* the encoding */
    struct buffer again; /* of what was decoded */
    union sample in;     /* a sample */
    union sample out;    /* decoded */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    prng_seed(&f->prng, 20260101);
    assert_int_equal(arena_init(&f->sample, SAMPLE_ARENA_BYTES), HF_OK);
    assert_int_equal(arena_init(&f->lists, SAMPLE_ARENA_BYTES), HF_OK);
    buffer_init(&f->bytes, SAMPLE_BYTES_MAX);
    buffer_init(&f->again, SAMPLE_BYTES_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_close(&f->sample);
    arena_close(&f->lists);
    buffer_close(&f->bytes);
    buffer_close(&f->again);
    free(f);
    return 0;
}

/* Encode f->in as f->bytes. */
static void encode(struct fixture *f, const struct codec_type *type)
{
    buffer_clear(&f->bytes);
    assert_int_equal(codec_encode(type, &f->in, &f->bytes), HF_OK);
}

static void encode_random(struct fixture *f, const struct codec_type *type)
{
    arena_reset(&f->sample);
    sample_random(&f->prng, type, &f->sample, &f->in);
    encode(f, type);
}

static void encode_plain(struct fixture *f, const struct codec_type *type)
{
    arena_reset(&f->sample);
    sample_plain(type, &f->sample, &f->in);
    encode(f, type);
}

static int decode(struct fixture *f, const struct codec_type *type, struct slice bytes)
{
    arena_reset(&f->lists);
    return codec_decode(type, bytes, &f->lists, &f->out);
}

/* What was decoded into f->out encodes to the very bytes it came from. */
static void assert_encodes_back(struct fixture *f, const struct codec_type *type,
                                struct slice bytes)
{
    buffer_clear(&f->again);
    assert_int_equal(codec_encode(type, &f->out, &f->again), HF_OK);
    assert_true(slice_equal(buffer_slice(&f->again), bytes));
}

/* ------------------------------------------------------------------ round trips */

/* Every message, with bounds and random values, comes back field by field. */
static void test_every_message_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        const struct codec_type *type = sample_types[t];
        for (int round = 0; round < 60; round++) {
            encode_random(f, type);
            assert_int_equal(codec_check(type, &f->in), HF_OK);
            assert_int_equal(decode(f, type, buffer_slice(&f->bytes)), HF_OK);
            assert_true(sample_equal(type, &f->in, &f->out));
            assert_encodes_back(f, type, buffer_slice(&f->bytes));
        }
    }
}

/* ------------------------------------------------------------------ malformed */

/* No prefix of a message is a message. */
static void test_every_truncation_is_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        encode_plain(f, sample_types[t]);
        for (size_t cut = 0; cut < f->bytes.size; cut++) {
            struct slice bytes = slice_make(f->bytes.data, cut);
            assert_int_equal(decode(f, sample_types[t], bytes), HF_EBADREQUEST);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_message_comes_back_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_truncation_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
