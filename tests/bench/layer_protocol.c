/* Bytes to structs and back: what the door does with a request and an answer. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/status.h"
#include "protocol/frame.h"
#include "protocol/ops.h"
#include "tests/bench/layers.h"

enum { ARENA_BYTES = 64 * 1024 };

struct wire {
    struct buffer frame; /* of the request that is decoded */
    struct buffer out;   /* what is encoded */
    struct arena arena;  /* of what is decoded */
};

static void write_request(struct buffer *out)
{
    const struct slice name = slice_of("accounts/0123456789");
    const struct client_envelope envelope = {.session = 77, .seq = 12345, .renews = 1};
    const struct msg_acquire acquire = {
        .names = {&name, 1}, .owner = 0x1234567890abcdef, .mode = MODE_EXCLUSIVE, .wait_ms = 1000};
    HF_ASSERT(frame_write_request(out, OP_CODE_ACQUIRE, 9, &envelope, &acquire) == HF_OK);
}

static void *make(void)
{
    struct wire *w = calloc(1, sizeof *w);
    HF_ASSERT(w != NULL);
    buffer_init(&w->frame, FRAME_BYTES_MAX);
    buffer_init(&w->out, FRAME_BYTES_MAX);
    HF_ASSERT(arena_init(&w->arena, ARENA_BYTES) == HF_OK);
    write_request(&w->frame);
    return w;
}

static void take_down(void *state)
{
    struct wire *w = state;
    buffer_close(&w->frame);
    buffer_close(&w->out);
    arena_close(&w->arena);
    free(w);
}

static void decode(void *state, unsigned count)
{
    struct wire *w = state;
    for (unsigned i = 0; i < count; i++) {
        size_t size = 0;
        struct request_frame frame;
        struct client_envelope envelope;
        struct msg_acquire acquire;
        struct slice bytes = buffer_slice(&w->frame);
        arena_reset(&w->arena);
        HF_ASSERT(frame_next(bytes, FRAME_BYTES_MAX, &size) == HF_OK && size == bytes.size);
        HF_ASSERT(frame_read_request(bytes, &frame) == HF_OK);
        HF_ASSERT(codec_decode(&client_envelope_type, frame.envelope, &w->arena, &envelope) ==
                  HF_OK);
        HF_ASSERT(codec_decode(&msg_acquire_type, frame.body, &w->arena, &acquire) == HF_OK);
    }
}

static void encode_request(void *state, unsigned count)
{
    struct wire *w = state;
    for (unsigned i = 0; i < count; i++) {
        buffer_clear(&w->out);
        write_request(&w->out);
    }
}

static void encode_reply(void *state, unsigned count)
{
    struct wire *w = state;
    for (unsigned i = 0; i < count; i++) {
        const struct msg_granted granted = {.fencing_token = ((uint64_t)328 << 48) + i, .count = 1};
        struct reply_frame reply = {.status = HF_OK, .request_id = i + 1};
        buffer_clear(&w->out);
        HF_ASSERT(codec_encode(&msg_granted_type, &granted, &w->out) == HF_OK);
        reply.body = buffer_slice(&w->out);
        buffer_clear(&w->frame);
        HF_ASSERT(frame_write_reply(&w->frame, &reply) == HF_OK);
    }
}

const struct layer layers_protocol[] = {
    {"protocol.decode-acquire", make, decode, take_down},
    {"protocol.encode-acquire", make, encode_request, take_down},
    {"protocol.encode-granted", make, encode_reply, take_down},
    {0},
};
