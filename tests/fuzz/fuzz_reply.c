/* A hostile server's bytes at the client's door: two bytes of op, then a reply's frame. What the
 * client would believe must encode to what came in. */
#include "protocol/frame.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocol/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 + FRAME_HEADER_BYTES || size > FRAME_BYTES_MAX) return 0;
    uint16_t op = get_u16(data);
    uint8_t *bytes = fuzz_copy(data + 2, size - 2);
    put_u32(bytes, (uint32_t)(size - 2));
    struct slice frame = slice_make(bytes, size - 2);

    struct fuzz *f = fuzz_begin();
    struct reply_frame reply;
    union sample body;
    if (frame_read_reply(frame, &reply) == HF_OK) {
        const struct codec_type *type = op_reply_type(op, reply.status);
        if (codec_decode(type, reply.body, &f->arena, &body) == HF_OK) {
            HF_ASSERT(frame_write_reply(&f->out, &reply) == HF_OK);
            HF_ASSERT(slice_equal(buffer_slice(&f->out), frame));
        }
    }
    free(bytes);
    return 0;
}
