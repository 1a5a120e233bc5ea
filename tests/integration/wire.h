/* The wire by hand, for tests that must send what the library never would: one blocking socket,
 * requests from structs, frames or bare bytes, one answer at a time. It holds no lease by itself:
 * whoever opens a session asks for a long one.
 *
 * A broken connection is WIRE_BROKEN, silence WIRE_SILENT; any other status is the server's. */
#ifndef TESTS_INTEGRATION_WIRE_H
#define TESTS_INTEGRATION_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "protocol/frame.h"
#include "protocol/messages.h"

enum {
    WIRE_BROKEN = -1000, /* the server closed the connection, or sent what is no reply */
    WIRE_SILENT = -1001, /* no answer in time */
    WIRE_SESSION_TTL_MS = TTL_MS_MAX,
    WIRE_REPLY_MS_MAX = 20000,
};

struct wire {
    int fd;                      /**< -1 = closed */
    uint64_t request_id;         /**< the last one used */
    uint64_t session;            /**< 0 = none yet */
    uint64_t seq;                /**< the last one used */
    uint64_t ack;                /**< told in every envelope; all answers up to it are in */
    bool acks;                   /**< move `ack` along with each numbered answer */
    struct buffer in;            /**< bytes that are no whole frame yet */
    struct buffer out;           /**< the last request's frame */
    size_t taken;                /**< bytes at the front of `in` that the last reply used */
    struct arena arena;          /**< what the last answer points to */
    struct client_envelope sent; /**< of the last wire_call() */
    struct reply_frame reply;    /**< the last one; its body is borrowed from `in` */
};

/** Connect, without HELLO. \return false: nobody listens. */
bool wire_connect(struct wire *c, uint16_t port);

/** Connect and say HELLO. \return false: it was not welcomed. */
bool wire_open(struct wire *c, uint16_t port);

/** OPEN a session of WIRE_SESSION_TTL_MS; its numbers start at 1. \return the server's status. */
int wire_session(struct wire *c);

/** Close the socket, free the memory; the session lives on. A zeroed one is accepted. */
void wire_close(struct wire *c);

/** Send bytes as they are. \return false: broken. */
bool wire_send(struct wire *c, const void *bytes, size_t size);

/** Send a request with the next request id. \param envelope borrowed. \return false: broken. */
bool wire_request(struct wire *c, uint16_t op, const struct client_envelope *envelope,
                  const void *request);

/** Wait for the next frame, into c->reply. \return HF_OK, WIRE_BROKEN, WIRE_SILENT */
int wire_receive(struct wire *c, uint64_t wait_ms);

/** An envelope as the op wants it: the session, the next seq. */
struct client_envelope wire_envelope(struct wire *c, uint16_t op);

/** Ask and wait. \param answer  Out, may be NULL: a struct of the op's answer, on HF_OK.
 * \return the reply's status; WIRE_BROKEN, WIRE_SILENT */
int wire_call(struct wire *c, uint16_t op, const void *request, void *answer);

/** The same under an envelope of the caller's: a retry, a wrong session, ... */
int wire_call_as(struct wire *c, uint16_t op, const struct client_envelope *envelope,
                 const void *request, void *answer);

/** ACQUIRE exclusively, at once or by `wait_ms`. \return the status; the token on HF_OK. */
int wire_acquire(struct wire *c, const char *name, uint64_t owner, uint64_t wait_ms,
                 uint64_t *token);

/** RELEASE. \return the status. */
int wire_release(struct wire *c, const char *name, uint64_t owner, uint64_t token);

#endif
