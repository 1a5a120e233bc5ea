/* A core against a scripted server: the test reads each request that the core wrote, decides the
 * answer, and moves time by hand. Nothing happens that the test did not ask for. */
#ifndef TESTS_UNIT_CLIENT_SCRIPTED_H
#define TESTS_UNIT_CLIENT_SCRIPTED_H

#include "client/core.h"

enum { SCRIPTED_REQUESTS_MAX = 2048 };

#define MS  UINT64_C(1000000)
#define SEC (1000 * MS)

struct request {
    uint16_t op;                     /**< enum op_code */
    uint64_t id;                     /**< request id */
    struct client_envelope envelope; /**< decoded; ranges in the arena */
    struct slice body;               /**< encoded; borrowed from the script */
};

struct script {
    struct core core;                               /**< under test */
    uint64_t now_ns;                                /**< time */
    struct buffer wire;                             /**< all that the core wrote */
    struct arena arena;                             /**< of decoded requests */
    struct request requests[SCRIPTED_REQUESTS_MAX]; /**< in order */
    uint32_t count;                                 /**< of requests */
    uint32_t next;                                  /**< not looked at yet */
    size_t parsed;                                  /**< bytes of wire */
    uint64_t seed;                                  /**< of what the core calls random */
};

/** Start a core with these servers, at 1,000 s. */
void script_open(struct script *s, const char *servers, uint64_t ttl_ms);

/** The same with a history. \param history NULL = none. */
void script_open_recorded(struct script *s, const char *servers, uint64_t ttl_ms,
                          struct recorder_sink *history);

/** Free all. */
void script_close(struct script *s);

/** Let the core do what is due now, and read what it wrote. */
void script_step(struct script *s);

/** Move time, tick by tick as the core asks for it. */
void script_pass(struct script *s, uint64_t ns);

/** The next request, which must be this op. */
struct request *script_expect(struct script *s, uint16_t op);

/** Nothing more was written. */
void script_expect_nothing(struct script *s);

/** Decode a request's body. */
void script_decode(struct script *s, const struct request *r, void *out);

/** Answer with a status and, if `answer` is not NULL, a struct of the op's reply type. */
void script_reply(struct script *s, const struct request *r, int status, const void *answer);

/** As script_reply(), with reply flags. */
void script_reply_flags(struct script *s, const struct request *r, int status, unsigned flags,
                        const void *answer);

/** Hand the core these bytes as if a server had sent them. */
void script_send(struct script *s, const void *bytes, size_t size);

/** The connection breaks. */
void script_cut(struct script *s);

/** The core wants a connection, after a pause perhaps: make it, answer HELLO. */
void script_connect(struct script *s);

/** script_connect(), and answer OPEN with session 77. */
void script_open_session(struct script *s);

/** script_connect(), and answer RESUME. */
void script_resume(struct script *s);

/** An answer to KEEP or RESUME without losses. */
struct msg_keep_reply script_kept(void);

/** Submit ACQUIRE of "a" with a time-out of 5 s. */
struct call *script_acquire(struct script *s, uint64_t wait_ms, uint64_t hold_ms,
                            enum call_fate fate);

/** The same with BEGIN of "k" under a lease of its own (0 = the session's). */
struct call *script_begin(struct script *s, uint64_t lease_ms);

/** Answer an ACQUIRE with this token, not waited for. */
void script_grant(struct script *s, const struct request *r, uint64_t token);

/** The call is finished with this verdict; look at it no more. */
void script_finish(struct script *s, struct call *call, int verdict);

#endif
