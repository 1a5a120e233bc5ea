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
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "base/status.h"
#include "tests/integration/server_process.h"
#include "tests/integration/whole_state.h"
#include "tests/integration/wire.h"
#include "tests/unit/protocol/sample.h"

enum {
    HALF_OPEN_MAX = 200,
    MUTATIONS_MAX = 4,
    LATENCIES_MAX = 2000000,
    GROWTH_KB_MAX = 128 * 1024,
    SAMPLES_MAX = 4096,
};

struct good_client {
    pthread_t thread;             /* runs work_well() */
    uint16_t port;                /* of the server */
    atomic_uint cycles;           /* acquire and release, both OK */
    atomic_uint errors;           /* anything else: printed */
    atomic_bool stop;             /* end after this cycle */
    atomic_uint_fast64_t session; /* its number */
    uint32_t *latencies_us;       /* of each cycle, up to LATENCIES_MAX */
};

struct attack {
    struct prng prng;                     /* seeded */
    struct arena arena;                   /* random structs */
    struct buffer bytes;                  /* what is sent next */
    struct good_client *good;             /* whose session is left alone */
    uint16_t port;                        /* of the server */
    uint64_t session;                     /* one of its own, for requests that reach the machine */
    uint64_t seq;                         /* in it */
    uint64_t request_id;                  /* of the last frame */
    uint64_t connections;                 /* opened so far */
    uint64_t sent_bytes;                  /* so far */
    struct wire half_open[HALF_OPEN_MAX]; /* connections that dawdle */
    unsigned half_open_count;             /* of them */
};

/* ------------------------------------------------------------------ the good client */

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void *work_well(void *data)
{
    struct good_client *g = data;
    struct wire c;
    uint64_t last = 0, token = 0;
    HF_ASSERT(wire_open(&c, g->port));
    HF_ASSERT(wire_session(&c) == HF_OK);
    atomic_store(&g->session, c.session);
    while (!atomic_load(&g->stop) && atomic_load(&g->errors) == 0) {
        uint64_t from = now_us();
        int rv = wire_acquire(&c, "the good client's lock", 1, 0, &token);
        if (rv == HF_OK && token > last) rv = wire_release(&c, "the good client's lock", 1, token);
        if (rv != HF_OK || token <= last) {
            fprintf(stderr, "the good client got %s (%d)\n", status_name(rv), rv);
            atomic_fetch_add(&g->errors, 1);
        }
        last = token;
        unsigned cycle = atomic_fetch_add(&g->cycles, 1);
        if (cycle < LATENCIES_MAX) g->latencies_us[cycle] = (uint32_t)(now_us() - from);
        sleep_ms(1);
    }
    wire_close(&c);
    return NULL;
}

/* ------------------------------------------------------------------ making frames */

static void append(struct attack *a, const void *bytes, size_t size)
{
    HF_ASSERT(buffer_append(&a->bytes, bytes, size) == HF_OK);
}

static uint16_t random_op(struct attack *a)
{
    for (;;) {
        uint16_t code = (uint16_t)prng_below(&a->prng, OP_CODE_MAX);
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
        e.seq = prng_below(&a->prng, 4) != 0 ? ++a->seq : 1 + prng_below(&a->prng, a->seq + 2);
        e.ack = a->seq > 100 ? a->seq - 100 : 0;
        if (e.ack >= e.seq) e.ack = e.seq - 1;
    }
    e.renews = prng_below(&a->prng, 2);
    return e;
}

/* Append one frame of random values, with a fitting or a random envelope. */
static void add_frame(struct attack *a)
{
    uint16_t op = random_op(a);
    union sample request;
    struct client_envelope envelope;
    size_t before = a->bytes.size;
    arena_reset(&a->arena);
    sample_random(&a->prng, op_find(op)->request, &a->arena, &request);
    if (prng_below(&a->prng, 4) == 0)
        sample_random(&a->prng, &client_envelope_type, &a->arena, &envelope);
    else
        envelope = fitting_envelope(a, op);
    if (envelope.session == atomic_load(&a->good->session)) envelope.session++;
    if (op == OP_CODE_CLOSE && prng_below(&a->prng, 20) != 0) op = OP_CODE_STATUS;
    int rv = frame_write_request(&a->bytes, op, ++a->request_id, &envelope, &request);
    if (rv != HF_OK) a->bytes.size = before;
}

static void add_hello(struct attack *a)
{
    struct msg_hello hello = {.version_min = 1, .version_max = 1, .name = slice_of("hostile")};
    struct client_envelope none = {0};
    int rv = frame_write_request(&a->bytes, OP_CODE_HELLO, ++a->request_id, &none, &hello);
    HF_ASSERT(rv == HF_OK);
}

static void add_random(struct attack *a, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)prng_next(&a->prng);
        append(a, &byte, 1);
    }
}

/* The frames from `from` on, changed in a few places; at times with the first length set right. */
static void mutate(struct attack *a, size_t from)
{
    static const uint8_t spicy[] = {0x00, 0x7f, 0x80, 0x90, 0xc0, 0xc4, 0xc6, 0xcf, 0xd0,
                                    0xd9, 0xdb, 0xdc, 0xdd, 0xdf, 0xe0, 0xff, 0x93, 0xa1};
    for (uint64_t n = 1 + prng_below(&a->prng, MUTATIONS_MAX); n > 0; n--) {
        size_t size = a->bytes.size - from;
        if (size < 2) return;
        uint8_t *at = a->bytes.data + from + prng_below(&a->prng, size);
        switch (prng_below(&a->prng, 5)) {
        case 0: *at ^= (uint8_t)(1U << prng_below(&a->prng, 8)); break;
        case 1: *at = spicy[prng_below(&a->prng, sizeof spicy)]; break;
        case 2: *at = (uint8_t)prng_next(&a->prng); break;
        case 3: /* a byte less */
            memmove(at, at + 1, (size_t)(a->bytes.data + a->bytes.size - at) - 1);
            a->bytes.size--;
            break;
        default: a->bytes.size -= prng_below(&a->prng, size / 2); break;
        }
    }
    size_t size = a->bytes.size - from;
    if (size >= FRAME_HEADER_BYTES && prng_below(&a->prng, 3) != 0)
        put_u32(a->bytes.data + from, (uint32_t)size);
}

/* True if a frame from `from` on would be taken for the good client's own. */
static bool names_good_session(struct attack *a, size_t from)
{
    size_t size = 0;
    while (from < a->bytes.size) {
        struct slice rest = slice_make(a->bytes.data + from, a->bytes.size - from);
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

/* ------------------------------------------------------------------ connections */

static bool open_bare(struct attack *a, struct wire *c)
{
    a->connections++;
    return wire_connect(c, a->port);
}

static void send_all(struct attack *a, struct wire *c)
{
    a->sent_bytes += a->bytes.size;
    (void)wire_send(c, a->bytes.data, a->bytes.size); /* it may well be closed by now */
}

/* Read what there is, so that both ways of ending are tried: with and without unread answers. */
static void end(struct attack *a, struct wire *c)
{
    char bytes[4096];
    if (prng_below(&a->prng, 2) == 0) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        while (poll(&p, 1, 2) > 0 && recv(c->fd, bytes, sizeof bytes, 0) > 0) {
        }
    }
    wire_close(c);
}

static void send_and_end(struct attack *a)
{
    struct wire c;
    if (open_bare(a, &c)) {
        send_all(a, &c);
        end(a, &c);
    }
}

/* ------------------------------------------------------------------ attacks */

static void throw_random(struct attack *a)
{
    if (prng_below(&a->prng, 2) == 0) add_hello(a);
    add_random(a, 1 + prng_below(&a->prng, 5000));
    send_and_end(a);
}

static void throw_mutated(struct attack *a)
{
    add_hello(a);
    for (uint64_t n = 1 + prng_below(&a->prng, 12); n > 0; n--) {
        size_t from = a->bytes.size;
        add_frame(a);
        if (prng_below(&a->prng, 3) != 0) mutate(a, from);
        if (names_good_session(a, from)) a->bytes.size = from;
    }
    send_and_end(a);
}

static void throw_valid(struct attack *a)
{
    add_hello(a);
    for (uint64_t n = 1 + prng_below(&a->prng, 40); n > 0; n--) add_frame(a);
    send_and_end(a);
}

static void throw_cut(struct attack *a)
{
    add_hello(a);
    size_t from = a->bytes.size;
    add_frame(a);
    a->bytes.size = from + prng_below(&a->prng, a->bytes.size - from + 1);
    send_and_end(a);
}

static void throw_lengths(struct attack *a)
{
    static const uint32_t lengths[] = {0,    1,       15,      16,         4096,
                                       4097, 1048576, 1048577, 0x7fffffff, 0xffffffff};
    uint8_t head[FRAME_HEADER_BYTES] = {0};
    if (prng_below(&a->prng, 2) == 0) add_hello(a);
    put_u32(head, lengths[prng_below(&a->prng, HF_ARRAY_COUNT(lengths))]);
    put_u16(head + 4, random_op(a));
    put_u64(head + 8, prng_below(&a->prng, 3));
    append(a, head, prng_below(&a->prng, sizeof head) + 1);
    add_random(a, prng_below(&a->prng, 100));
    send_and_end(a);
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
        size_t from = a->bytes.size;
        put_u16(head + 4, random_op(a));
        put_u64(head + 8, ++a->request_id);
        append(a, head, sizeof head);
        if (prng_below(&a->prng, 2) == 0) append(a, "\x96\x00\x00\x00\x90\x00\xa0", 7);
        for (uint64_t i = 1 + prng_below(&a->prng, 40); i > 0; i--)
            append(a, claims[prng_below(&a->prng, HF_ARRAY_COUNT(claims))], sizeof claims[0]);
        put_u32(a->bytes.data + from, (uint32_t)(a->bytes.size - from));
    }
    send_and_end(a);
}

static void flood_hellos(struct attack *a)
{
    if (prng_below(&a->prng, 2) == 0) { /* many on one connection */
        for (unsigned n = 0; n < 2000; n++) add_hello(a);
        send_and_end(a);
        return;
    }
    for (unsigned n = 0; n < 50; n++) { /* or many connections */
        buffer_clear(&a->bytes);
        add_hello(a);
        send_and_end(a);
    }
}

static void skip_hello(struct attack *a)
{
    add_frame(a);
    add_frame(a);
    add_hello(a);
    send_and_end(a);
}

/* Ask and ask and never read: the answers pile up on the server's side, within its limit. */
static void never_read(struct attack *a)
{
    struct wire c;
    struct client_envelope none = {0};
    struct msg_record_list list = {.count_max = PAGE_ITEMS_MAX};
    if (!open_bare(a, &c)) return;
    add_hello(a);
    for (unsigned n = 0; n < 900; n++)
        (void)!frame_write_request(&a->bytes, OP_CODE_RECORD_LIST, ++a->request_id, &none, &list);
    send_all(a, &c);
    sleep_ms(20);
    wire_close(&c);
}

/* A pool of connections that get on by one byte at a time, or not at all. */
static void dawdle(struct attack *a)
{
    if (a->half_open_count < HALF_OPEN_MAX) {
        struct wire *c = &a->half_open[a->half_open_count];
        if (!open_bare(a, c)) return;
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        a->half_open_count++;
        return;
    }
    for (unsigned n = 0; n < 20; n++) {
        struct wire *c = &a->half_open[prng_below(&a->prng, HALF_OPEN_MAX)];
        uint8_t byte = prng_below(&a->prng, 3) == 0 ? 32 : 0; /* lengths that pass at times */
        if (wire_send(c, &byte, 1) || errno == EAGAIN) continue;
        wire_close(c);
        if (open_bare(a, c)) fcntl(c->fd, F_SETFL, O_NONBLOCK);
    }
}

/* A session of the attacker's own, so that what it sends reaches the machine. */
static void renew_session(struct attack *a)
{
    struct wire c;
    a->connections++;
    if (!wire_open(&c, a->port)) return;
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
    buffer_clear(&a->bytes);
    uint64_t draw = prng_below(&a->prng, 200);
    if (draw == 0)
        never_read(a);
    else if (draw <= 2)
        flood_hellos(a);
    else if (draw <= 5)
        renew_session(a);
    else
        attacks[prng_below(&a->prng, HF_ARRAY_COUNT(attacks))](a);
}

/* ------------------------------------------------------------------ the server's memory */

static uint64_t anonymous_kb(pid_t pid)
{
    char path[64], line[256];
    uint64_t kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0) kb = strtoull(line + 8, NULL, 10);
    }
    fclose(f);
    return kb;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

struct memory {
    uint64_t samples_kb[SAMPLES_MAX]; /* evenly over the attack */
    unsigned count;                   /* of them */
};

static uint64_t greatest_kb(const struct memory *m, unsigned from, unsigned to)
{
    uint64_t greatest = 0;
    for (unsigned i = from; i < to; i++)
        if (m->samples_kb[i] > greatest) greatest = m->samples_kb[i];
    return greatest;
}

/* Attack until the time is over, the server is gone or the good client has felt it. */
static void attack_for(struct attack *a, const struct server_process *s, uint64_t seconds,
                       struct memory *m)
{
    uint64_t from = now_ms(), until = from + seconds * 1000;
    uint64_t step = seconds * 1000 / SAMPLES_MAX + 50, next = from;
    while (now_ms() < until && atomic_load(&a->good->errors) == 0) {
        if (now_ms() >= next && m->count < SAMPLES_MAX) {
            m->samples_kb[m->count++] = anonymous_kb(s->pid);
            next += step;
        }
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

static void begin(struct attack *a, struct good_client *g, uint16_t port, uint64_t seed)
{
    *a = (struct attack){.good = g, .port = port};
    prng_seed(&a->prng, seed);
    buffer_init(&a->bytes, 64 * 1024 * 1024);
    HF_ASSERT(arena_init(&a->arena, SAMPLE_ARENA_BYTES) == HF_OK);
    renew_session(a);
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 5;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    static struct attack a;
    static struct memory m;
    struct server_process s;
    struct good_client g = {.latencies_us = calloc(LATENCIES_MAX, sizeof(uint32_t))};
    HF_ASSERT(g.latencies_us != NULL);
    server_process_init(&s);
    if (!server_process_start(&s)) return 1;
    g.port = s.port;
    HF_ASSERT(pthread_create(&g.thread, NULL, work_well, &g) == 0);
    while (atomic_load(&g.session) == 0) sleep_ms(1);
    begin(&a, &g, s.port, seed);
    attack_for(&a, &s, seconds, &m);
    atomic_store(&g.stop, true);
    pthread_join(g.thread, NULL);

    unsigned cycles = atomic_load(&g.cycles), half = m.count / 2;
    unsigned kept = cycles < LATENCIES_MAX ? cycles : LATENCIES_MAX;
    uint64_t early_kb = greatest_kb(&m, 0, half), late_kb = greatest_kb(&m, half, m.count);
    qsort(g.latencies_us, kept, sizeof *g.latencies_us, by_size);
    printf("seconds=%" PRIu64 " seed=%" PRIu64 " connections=%" PRIu64 " sent_mb=%" PRIu64
           " good_cycles=%u good_errors=%u cycle_p50_us=%u cycle_p99_us=%u anon_first_kb=%" PRIu64
           " anon_max_first_half_kb=%" PRIu64 " anon_max_second_half_kb=%" PRIu64 "\n",
           seconds, seed, a.connections, a.sent_bytes / 1000000, cycles, atomic_load(&g.errors),
           kept > 0 ? g.latencies_us[kept / 2] : 0,
           kept > 0 ? g.latencies_us[kept * 99UL / 100] : 0, m.samples_kb[0], early_kb, late_kb);
    bool good = atomic_load(&g.errors) == 0 && cycles > 0 && late_kb < early_kb + GROWTH_KB_MAX;
    for (unsigned i = 0; i < a.half_open_count; i++) wire_close(&a.half_open[i]);
    good = ends_well(&s) && good;
    server_process_close(&s, !good);
    buffer_close(&a.bytes);
    arena_close(&a.arena);
    free(g.latencies_us);
    return good ? 0 : 1;
}
