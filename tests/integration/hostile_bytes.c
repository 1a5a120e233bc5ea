/* A hostile client beside a good one: random bytes, cut frames, mutated valid frames of every op,
 * valid frames full of random values, slow and half-open connections, floods of HELLOs, lengths
 * and counts that promise gigabytes, requests in the wrong order, answers that nobody reads.
 * The server must not crash, must not grow without bound, and must not let the good client feel
 * it: its lock cycles all succeed. At the end the server is killed and applies the same log again,
 * then stops cleanly (under ASan: leaks nothing), and all invariants of its state hold.
 *
 *     hostile_bytes [SECONDS [SEED]]      default 5
 *
 * A session's number is no secret (its secret is asked for by RESUME alone), so a frame that names
 * the good client's session by chance is not sent: it would be a request of its own. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/prng.h"
#include "base/status.h"
#include "tests/integration/hostile.h"
#include "tests/integration/server_process.h"
#include "tests/integration/whole_state.h"
#include "tests/integration/wire.h"
#include "tests/unit/protocol/sample.h"

struct attack {
    struct hostile h;         /* connections, what is sent next */
    struct arena arena;       /* random structs */
    struct good_client *good; /* whose session is left alone */
    uint64_t session;         /* one of its own, for requests that reach the machine */
    uint64_t seq;             /* in it */
    uint64_t request_id;      /* of the last frame */
};

/* ------------------------------------------------------------------ making frames */

static uint16_t random_op(struct attack *a)
{
    for (;;) {
        uint16_t code = (uint16_t)prng_below(&a->h.prng, OP_CODE_MAX);
        if (op_find(code) != NULL) return code;
    }
}

/* The envelope that such an op wants, with a session of the attacker's own. */
static struct client_envelope fitting_envelope(struct attack *a, uint16_t op)
{
    unsigned traits = op_find(op)->traits;
    struct client_envelope e = {0};
    if ((traits & OP_SESSION) == 0) return e;
    e.session = a->session;
    if ((traits & OP_NUMBERED) != 0) {
        e.seq = prng_below(&a->h.prng, 4) != 0 ? ++a->seq : 1 + prng_below(&a->h.prng, a->seq + 2);
        e.ack = a->seq > 100 ? a->seq - 100 : 0;
        if (e.ack >= e.seq) e.ack = e.seq - 1;
    }
    e.renews = prng_below(&a->h.prng, 2);
    return e;
}

/* Append one frame of random values, with a fitting or a random envelope. */
static void add_frame(struct attack *a)
{
    uint16_t op = random_op(a);
    union sample request;
    struct client_envelope envelope;
    size_t before = a->h.bytes.size;
    arena_reset(&a->arena);
    sample_random(&a->h.prng, op_find(op)->request, &a->arena, &request);
    if (prng_below(&a->h.prng, 4) == 0)
        sample_random(&a->h.prng, &client_envelope_type, &a->arena, &envelope);
    else
        envelope = fitting_envelope(a, op);
    if (envelope.session == atomic_load(&a->good->session)) envelope.session++;
    /* Whoever may connect may freeze everybody, and the good client is to be served. */
    if (op == OP_CODE_FREEZE) op = OP_CODE_THAW;
    if (op == OP_CODE_CLOSE && prng_below(&a->h.prng, 20) != 0) op = OP_CODE_STATUS;
    int rv = frame_write_request(&a->h.bytes, op, ++a->request_id, &envelope, &request);
    if (rv != HF_OK) a->h.bytes.size = before;
}

static void add_hello(struct attack *a)
{
    struct msg_hello hello = {.version_min = 1, .version_max = 1, .name = slice_of("hostile")};
    struct client_envelope none = {0};
    int rv = frame_write_request(&a->h.bytes, OP_CODE_HELLO, ++a->request_id, &none, &hello);
    HF_ASSERT(rv == HF_OK);
}

/* True if a frame from `from` on would be taken for the good client's own. */
static bool names_good_session(struct attack *a, size_t from)
{
    size_t size = 0;
    while (from < a->h.bytes.size) {
        struct slice rest = slice_make(a->h.bytes.data + from, a->h.bytes.size - from);
        struct request_frame frame;
        struct client_envelope envelope;
        if (frame_next(rest, FRAME_BYTES_MAX, &size) != HF_OK || size == 0) return false;
        arena_reset(&a->arena);
        if (frame_read_request(slice_make(rest.data, size), &frame) == HF_OK &&
            codec_decode(&client_envelope_type, frame.envelope, &a->arena, &envelope) == HF_OK &&
            envelope.session == atomic_load(&a->good->session))
            return true;
        from += size;
    }
    return false;
}

/* ------------------------------------------------------------------ attacks */

static void throw_random(struct attack *a)
{
    if (prng_below(&a->h.prng, 2) == 0) add_hello(a);
    hostile_add_random(&a->h, 1 + prng_below(&a->h.prng, 5000));
    hostile_send_and_end(&a->h);
}

static void throw_mutated(struct attack *a)
{
    add_hello(a);
    for (uint64_t n = 1 + prng_below(&a->h.prng, 12); n > 0; n--) {
        size_t from = a->h.bytes.size;
        add_frame(a);
        if (prng_below(&a->h.prng, 3) != 0) hostile_mutate(&a->h, from);
        if (names_good_session(a, from)) a->h.bytes.size = from;
    }
    hostile_send_and_end(&a->h);
}

static void throw_valid(struct attack *a)
{
    add_hello(a);
    for (uint64_t n = 1 + prng_below(&a->h.prng, 40); n > 0; n--) add_frame(a);
    hostile_send_and_end(&a->h);
}

static void throw_cut(struct attack *a)
{
    add_hello(a);
    size_t from = a->h.bytes.size;
    add_frame(a);
    a->h.bytes.size = from + prng_below(&a->h.prng, a->h.bytes.size - from + 1);
    hostile_send_and_end(&a->h);
}

static void throw_lengths(struct attack *a)
{
    static const uint32_t lengths[] = {0,    1,       15,      16,         4096,
                                       4097, 1048576, 1048577, 0x7fffffff, 0xffffffff};
    uint8_t head[FRAME_HEADER_BYTES] = {0};
    if (prng_below(&a->h.prng, 2) == 0) add_hello(a);
    put_u32(head, lengths[prng_below(&a->h.prng, HF_ARRAY_COUNT(lengths))]);
    put_u16(head + 4, random_op(a));
    put_u64(head + 8, prng_below(&a->h.prng, 3));
    hostile_append(&a->h, head, prng_below(&a->h.prng, sizeof head) + 1);
    hostile_add_random(&a->h, prng_below(&a->h.prng, 100));
    hostile_send_and_end(&a->h);
}

/* Arrays, strings and bytes that claim 2^28 to 2^32 items; arrays within arrays. */
static void throw_counts(struct attack *a)
{
    static const uint8_t claims[][5] = {
        {0xdd, 0x0f, 0xff, 0xff, 0xff}, {0xdd, 0xff, 0xff, 0xff, 0xff},
        {0xdf, 0x0f, 0xff, 0xff, 0xff}, {0xdb, 0xff, 0xff, 0xff, 0xff},
        {0xc6, 0x0f, 0xff, 0xff, 0xff}, {0x91, 0x91, 0x91, 0x91, 0x91},
        {0xc9, 0xff, 0xff, 0xff, 0xff},
    };
    add_hello(a);
    for (unsigned n = 0; n < 8; n++) {
        uint8_t head[FRAME_HEADER_BYTES] = {0};
        size_t from = a->h.bytes.size;
        put_u16(head + 4, random_op(a));
        put_u64(head + 8, ++a->request_id);
        hostile_append(&a->h, head, sizeof head);
        if (prng_below(&a->h.prng, 2) == 0)
            hostile_append(&a->h, "\x96\x00\x00\x00\x90\x00\xa0", 7);
        for (uint64_t i = 1 + prng_below(&a->h.prng, 40); i > 0; i--)
            hostile_append(&a->h, claims[prng_below(&a->h.prng, HF_ARRAY_COUNT(claims))],
                           sizeof claims[0]);
        put_u32(a->h.bytes.data + from, (uint32_t)(a->h.bytes.size - from));
    }
    hostile_send_and_end(&a->h);
}

static void flood_hellos(struct attack *a)
{
    if (prng_below(&a->h.prng, 2) == 0) { /* many on one connection */
        for (unsigned n = 0; n < 2000; n++) add_hello(a);
        hostile_send_and_end(&a->h);
        return;
    }
    for (unsigned n = 0; n < 50; n++) { /* or many connections */
        buffer_clear(&a->h.bytes);
        add_hello(a);
        hostile_send_and_end(&a->h);
    }
}

static void skip_hello(struct attack *a)
{
    add_frame(a);
    add_frame(a);
    add_hello(a);
    hostile_send_and_end(&a->h);
}

/* Ask and ask and never read: the answers pile up on the server's side, within its limit. */
static void never_read(struct attack *a)
{
    struct wire c;
    struct client_envelope none = {0};
    struct msg_record_list list = {.count_max = PAGE_ITEMS_MAX};
    if (!hostile_connect(&a->h, &c)) return;
    add_hello(a);
    for (unsigned n = 0; n < 900; n++)
        (void)!frame_write_request(&a->h.bytes, OP_CODE_RECORD_LIST, ++a->request_id, &none, &list);
    hostile_send(&a->h, &c);
    sleep_ms(20);
    wire_close(&c);
}

static void dawdle(struct attack *a)
{
    hostile_dawdle(&a->h);
}

/* A session of the attacker's own, so that what it sends reaches the machine. */
static void renew_session(struct attack *a)
{
    struct wire c;
    a->h.connections++;
    if (!wire_open(&c, a->h.port)) return;
    if (wire_session(&c) == HF_OK) {
        a->session = c.session;
        a->seq = 0;
    }
    wire_close(&c);
}

static void attack_once(struct attack *a)
{
    static void (*const attacks[])(struct attack *) = {
        throw_random, throw_mutated, throw_mutated, throw_mutated, throw_valid, throw_valid,
        throw_cut,    throw_lengths, throw_counts,  skip_hello,    dawdle,      dawdle,
    };
    buffer_clear(&a->h.bytes);
    uint64_t draw = prng_below(&a->h.prng, 200);
    if (draw == 0)
        never_read(a);
    else if (draw <= 2)
        flood_hellos(a);
    else if (draw <= 5)
        renew_session(a);
    else
        attacks[prng_below(&a->h.prng, HF_ARRAY_COUNT(attacks))](a);
}

/* Attack until the time is over, the server is gone or the good client has felt it. */
static void attack_for(struct attack *a, uint64_t seconds, struct memory_watch *m)
{
    uint64_t until = now_ms() + seconds * 1000;
    while (now_ms() < until && atomic_load(&a->good->errors) == 0) {
        memory_watch_look(m);
        attack_once(a);
    }
}

static bool ends_well(struct server_process *s)
{
    struct wire c;
    if (waitpid(s->pid, NULL, WNOHANG) != 0) {
        s->pid = 0;
        fprintf(stderr, "the server ended under the attack\n");
        return false;
    }
    server_process_kill(s); /* and applies all of it again */
    if (!server_process_start(s)) return false;
    bool good = wire_open(&c, s->port) && wire_session(&c) == HF_OK;
    wire_close(&c);
    int code = server_process_stop(s);
    if (code != 0) fprintf(stderr, "the server ended with %d\n", code);
    return good && code == 0 && whole_state_holds(s);
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 5;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    static struct attack a;
    static struct memory_watch m;
    struct server_process s;
    struct good_client g;
    server_process_init(&s);
    if (!server_process_start(&s)) return 1;
    good_client_start(&g, s.port);
    a.good = &g;
    hostile_init(&a.h, s.port, seed);
    HF_ASSERT(arena_init(&a.arena, SAMPLE_ARENA_BYTES) == HF_OK);
    renew_session(&a);
    memory_watch_start(&m, s.pid, seconds);
    attack_for(&a, seconds, &m);
    printf("seconds=%" PRIu64 " seed=%" PRIu64 " connections=%" PRIu64 " sent_mb=%" PRIu64 "\n",
           seconds, seed, a.h.connections, a.h.sent_bytes / 1000000);
    bool good = good_client_stop(&g);
    good = memory_watch_is_bounded(&m) && good;
    hostile_close(&a.h);
    arena_close(&a.arena);
    good = ends_well(&s) && good;
    server_process_close(&s, !good);
    return good ? 0 : 1;
}
