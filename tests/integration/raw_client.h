/* A client that speaks the protocol by hand over a blocking socket: what the library would hide,
 * these tests want to see. Aborts the test on anything that the system refuses. */
#ifndef TESTS_INTEGRATION_RAW_CLIENT_H
#define TESTS_INTEGRATION_RAW_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "protocol/frame.h"

struct raw_client {
    int fd;              /* -1 = not connected */
    uint64_t request_id; /* of the last request */
    uint64_t session;    /* 0 = none */
    uint64_t seq;        /* of the last numbered request */
    bool send_failed;    /* the server has closed it */
    struct buffer in;    /* received and not taken */
};

struct raw_reply {
    int status;
    uint64_t request_id;
    struct slice body; /* borrowed until the next receive */
};

/* Connect to 127.0.0.1:port. \return false: refused. */
bool raw_connect(struct raw_client *c, uint16_t port);
void raw_close(struct raw_client *c);

/* Send bytes; a closed connection is no failure. */
void raw_send_bytes(struct raw_client *c, const void *bytes, size_t size);

/* Send a request. \param seq  0 = the next one, for a numbered op. \return its request id. */
uint64_t raw_send(struct raw_client *c, uint16_t op, const void *request, uint64_t seq);

/* The next reply. \return false: the connection was closed, or `timeout_ms` are over. */
bool raw_receive(struct raw_client *c, struct raw_reply *reply, int timeout_ms);

/* True if the server closes the connection within the time, whatever it says before. */
bool raw_is_closed_within(struct raw_client *c, int timeout_ms);

/* Send, and receive its reply. \return the status. */
int raw_call(struct raw_client *c, uint16_t op, const void *request, struct raw_reply *reply);

/* What most tests begin with: connect, HELLO, and OPEN with a secret of `secret` bytes. */
void raw_hello(struct raw_client *c, uint16_t port);
void raw_open(struct raw_client *c, uint8_t secret, uint64_t ttl_ms);

/* ACQUIRE an exclusive lock. \return the status; the token of HF_OK in *token. */
int raw_acquire(struct raw_client *c, const char *name, uint64_t wait_ms, uint64_t *token);
int raw_release(struct raw_client *c, const char *name, uint64_t token);

/* CHECK. \return its verdict. */
uint64_t raw_check(struct raw_client *c, const char *name, uint64_t token);

#endif
