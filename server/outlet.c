/* See server/outlet.h. */
#include "server/outlet.h"

#include "base/assert.h"

enum { BYTES_KEPT = 16 * 1024 }; /* of an emptied buffer */

static void written(uv_write_t *write, int failed)
{
    struct outlet *o = HF_CONTAINER_OF(write, struct outlet, write);
    buffer_empty(&o->sending, BYTES_KEPT);
    o->unsent_bytes = 0;
    o->sent_cb(o, failed != 0);
}

/* What the kernel did not take at once waits for the socket. */
static bool send_later(struct outlet *o, uv_stream_t *stream, struct buffer *out, size_t sent)
{
    struct buffer taken = *out;
    *out = o->sending;
    o->sending = taken;
    if (out->bytes_max == 0) buffer_init(out, taken.bytes_max);
    o->unsent_bytes = taken.size - sent;
    uv_buf_t rest = uv_buf_init((char *)taken.data + sent, (unsigned)o->unsent_bytes);
    return uv_write(&o->write, stream, &rest, 1, written) == 0;
}

bool outlet_send(struct outlet *o, uv_stream_t *stream, struct buffer *out)
{
    if (out->size == 0 || o->unsent_bytes > 0) return true;
    HF_ASSERT(o->sent_cb != NULL);
    uv_buf_t all = uv_buf_init((char *)out->data, (unsigned)out->size);
    int sent = uv_try_write(stream, &all, 1);
    if (sent < 0 && sent != UV_EAGAIN) return false;
    if (sent < 0 || (size_t)sent < out->size)
        return send_later(o, stream, out, sent < 0 ? 0 : (size_t)sent);
    buffer_empty(out, BYTES_KEPT);
    return true;
}

void outlet_close(struct outlet *o)
{
    buffer_close(&o->sending);
}
