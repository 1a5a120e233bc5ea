/* CANCEL overtakes its request (contract, 2): whatever arrives later under that number is answered
 * CANCELLED and has no effect, for ACQUIRE and for BEGIN, over a new connection and over a restart
 * of the server too. What was answered before its CANCEL is told by it instead. */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire.h"

enum { OWNER = 7 };

static int cancel(struct wire *c, uint64_t seq, struct msg_cancel_reply *reply)
{
    struct msg_cancel request = {.target_seq = seq};
    return wire_call(c, OP_CODE_CANCEL, &request, reply);
}

static bool lock_is_free(struct wire *c, const char *name)
{
    struct msg_info info = {.name = slice_of(name)};
    struct msg_info_reply reply;
    int rv = wire_call(c, OP_CODE_INFO, &info, &reply);
    return rv == HF_ENOTFOUND || (rv == HF_OK && reply.holder_count + reply.queue_length == 0);
}

static struct msg_begin begin_of(const char *key)
{
    static uint8_t fingerprint[FINGERPRINT_BYTES];
    return (struct msg_begin){
        .key = slice_of(key),
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .retain_ms = RETAIN_MS_DEFAULT,
    };
}

/* A request under a number that was cancelled before it came. */
static int late_begin(struct wire *c, const char *key)
{
    struct msg_begin begin = begin_of(key);
    return wire_call(c, OP_CODE_BEGIN, &begin, NULL);
}

static void cancelled_before_they_come(struct wire *c)
{
    struct msg_cancel_reply told;
    uint64_t token = 0;
    HF_ASSERT(cancel(c, c->seq + 1, &told) == HF_OK);
    HF_ASSERT(told.status == HF_ECANCELLED && told.op == 0);
    HF_ASSERT(wire_acquire(c, "a", OWNER, 0, &token) == HF_ECANCELLED);
    HF_ASSERT(lock_is_free(c, "a"));
    HF_ASSERT(cancel(c, c->seq + 1, &told) == HF_OK);
    HF_ASSERT(late_begin(c, "r") == HF_ECANCELLED);
    struct msg_record_get get = {.key = slice_of("r")};
    HF_ASSERT(wire_call(c, OP_CODE_RECORD_GET, &get, NULL) == HF_ENOTFOUND);
}

/* The owner is not stuck: the same one acquires under the next number. */
static void next_number_is_served(struct wire *c)
{
    uint64_t token = 0;
    HF_ASSERT(wire_acquire(c, "a", OWNER, 0, &token) == HF_OK);
    HF_ASSERT(late_begin(c, "r") == HF_OK);
    HF_ASSERT(wire_release(c, "a", OWNER, token) == HF_OK);
}

/* Cancelled, then the server dies; the request comes to the next one over a new connection. */
static void cancelled_before_a_restart(struct wire *c, struct server_process *s)
{
    struct msg_cancel_reply told;
    struct wire after;
    uint64_t token = 0;
    HF_ASSERT(cancel(c, c->seq + 1, &told) == HF_OK);
    server_process_kill(s);
    HF_ASSERT(server_process_start(s));
    HF_ASSERT(wire_open(&after, s->port));
    after.session = c->session;
    after.seq = c->seq;
    after.ack = c->ack;
    HF_ASSERT(wire_acquire(&after, "b", OWNER, 0, &token) == HF_ECANCELLED);
    HF_ASSERT(lock_is_free(&after, "b"));
    wire_close(c);
    *c = after;
}

/* An answered request: CANCEL tells its answer, and the grant stands. */
static void answered_before_its_cancel(struct wire *c)
{
    struct msg_cancel_reply told;
    struct msg_granted granted;
    uint64_t token = 0;
    c->acks = false;
    HF_ASSERT(wire_acquire(c, "c", OWNER, 0, &token) == HF_OK);
    c->acks = true;
    HF_ASSERT(cancel(c, c->seq, &told) == HF_OK);
    HF_ASSERT(told.status == HF_OK && told.op == OP_CODE_ACQUIRE && told.stands == 1);
    HF_ASSERT(codec_decode(&msg_granted_type, told.body, NULL, &granted) == HF_OK);
    HF_ASSERT(granted.fencing_token == token);
    HF_ASSERT(wire_release(c, "c", OWNER, token) == HF_OK);
}

int main(void)
{
    struct server_process s;
    struct wire c;
    server_process_init(&s);
    HF_ASSERT(server_process_start(&s));
    HF_ASSERT(wire_open(&c, s.port));
    HF_ASSERT(wire_session(&c) == HF_OK);
    cancelled_before_they_come(&c);
    next_number_is_served(&c);
    cancelled_before_a_restart(&c, &s);
    answered_before_its_cancel(&c);
    wire_close(&c);
    HF_ASSERT(server_process_stop(&s) == 0);
    server_process_close(&s, false);
    puts("cancelled requests had no effect; answered ones were told");
    return 0;
}
