/* A connection's bytes at the server's door: frame, envelope, op, body, the checks; a request that
 * passes all of it must encode to the frame it came in. The length of the first frame is also
 * corrected, or most mutations would end there. */
#include "protocol/frame.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocol/sample.h"

static void read_request(struct slice frame)
{
    struct fuzz *f = fuzz_begin();
    struct request_frame read;
    if (frame_read_request(frame, &read) != HF_OK) return;
    const struct op_info *info = op_find(read.op);
    if (info == NULL) return;

    struct client_envelope envelope;
    union sample request;
    int rv = codec_decode(&client_envelope_type, read.envelope, &f->arena, &envelope);
    if (rv != HF_OK) return;
    if (codec_decode(info->request, read.body, &f->arena, &request) != HF_OK) return;
    const char *sentence = NULL;
    rv = envelope_check(read.op, &envelope, &sentence);
    HF_ASSERT((rv == HF_OK) == (sentence == NULL));
    rv = op_check(read.op, &request, &sentence);
    HF_ASSERT(rv == HF_OK || sentence != NULL);

    rv = frame_write_request(&f->out, read.op, read.request_id, &envelope, &request);
    HF_ASSERT(rv == HF_OK);
    HF_ASSERT(slice_equal(buffer_slice(&f->out), frame));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_make(data, size);
    size_t frame_bytes;
    while (frame_next(rest, FRAME_BYTES_MAX, &frame_bytes) == HF_OK && frame_bytes > 0) {
        read_request(slice_make(rest.data, frame_bytes));
        rest = slice_make(rest.data + frame_bytes, rest.size - frame_bytes);
    }
    if (size < FRAME_HEADER_BYTES || size > FRAME_BYTES_MAX) return 0;
    uint8_t *whole = fuzz_copy(data, size);
    put_u32(whole, (uint32_t)size);
    read_request(slice_make(whole, size));
    free(whole);
    return 0;
}
