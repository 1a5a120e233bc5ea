/* What leaves through a socket: with one call where the kernel takes it all; the rest waits in a
 * buffer of its own, while the owner's gathers anew. */
#ifndef SERVER_OUTLET_H
#define SERVER_OUTLET_H

#include <stdbool.h>
#include <uv.h>

#include "base/slice.h"

struct outlet {
    uv_write_t write;      /**< of `sending` */
    struct buffer sending; /**< taken from the owner's buffer, being sent */
    size_t unsent_bytes;   /**< of it, and not sent yet; while not 0 nothing else is sent */
    void (*sent_cb)(struct outlet *outlet, bool failed); /**< what waited was sent, or was not */
};

/** Send what lies in `out`, unless something is being sent; it is empty afterwards.
 * \return false: the connection is broken. */
bool outlet_send(struct outlet *o, uv_stream_t *stream, struct buffer *out);

/** Free its memory; in the stream's close callback, not before. */
void outlet_close(struct outlet *o);

#endif
