/* See the header. */
#include "tests/integration/hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/status.h"
#include "tests/integration/server_process.h"

enum { MUTATIONS_MAX = 4, LATENCIES_MAX = 2000000, GROWTH_KB_MAX = 128 * 1024 };

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

void good_client_start(struct good_client *g, uint16_t port)
{
    *g =
        (struct good_client){.port = port, .latencies_us = calloc(LATENCIES_MAX, sizeof(uint32_t))};
    HF_ASSERT(g->latencies_us != NULL);
    HF_ASSERT(pthread_create(&g->thread, NULL, work_well, g) == 0);
    while (atomic_load(&g->session) == 0) sleep_ms(1);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

bool good_client_stop(struct good_client *g)
{
    atomic_store(&g->stop, true);
    pthread_join(g->thread, NULL);
    unsigned cycles = atomic_load(&g->cycles);
    unsigned kept = cycles < LATENCIES_MAX ? cycles : LATENCIES_MAX;
    qsort(g->latencies_us, kept, sizeof *g->latencies_us, by_size);
    printf("good_cycles=%u good_errors=%u cycle_p50_us=%u cycle_p99_us=%u cycle_max_us=%u\n",
           cycles, atomic_load(&g->errors), kept > 0 ? g->latencies_us[kept / 2] : 0,
           kept > 0 ? g->latencies_us[kept * 99UL / 100] : 0,
           kept > 0 ? g->latencies_us[kept - 1] : 0);
    free(g->latencies_us);
    return cycles > 0 && atomic_load(&g->errors) == 0;
}

/* ------------------------------------------------------------------ the attacker */

void hostile_init(struct hostile *h, uint16_t port, uint64_t seed)
{
    *h = (struct hostile){.port = port};
    prng_seed(&h->prng, seed);
    buffer_init(&h->bytes, 64 * 1024 * 1024);
}

void hostile_close(struct hostile *h)
{
    for (unsigned i = 0; i < h->half_open_count; i++) wire_close(&h->half_open[i]);
    buffer_close(&h->bytes);
}

void hostile_append(struct hostile *h, const void *bytes, size_t size)
{
    HF_ASSERT(buffer_append(&h->bytes, bytes, size) == HF_OK);
}

void hostile_add_random(struct hostile *h, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)prng_next(&h->prng);
        hostile_append(h, &byte, 1);
    }
}

void hostile_mutate(struct hostile *h, size_t from)
{
    static const uint8_t spicy[] = {0x00, 0x7f, 0x80, 0x90, 0xc0, 0xc4, 0xc6, 0xcf, 0xd0,
                                    0xd9, 0xdb, 0xdc, 0xdd, 0xdf, 0xe0, 0xff, 0x93, 0xa1};
    for (uint64_t n = 1 + prng_below(&h->prng, MUTATIONS_MAX); n > 0; n--) {
        size_t size = h->bytes.size - from;
        if (size < 2) return;
        uint8_t *at = h->bytes.data + from + prng_below(&h->prng, size);
        switch (prng_below(&h->prng, 5)) {
        case 0: *at ^= (uint8_t)(1U << prng_below(&h->prng, 8)); break;
        case 1: *at = spicy[prng_below(&h->prng, sizeof spicy)]; break;
        case 2: *at = (uint8_t)prng_next(&h->prng); break;
        case 3: /* a byte less */
            memmove(at, at + 1, (size_t)(h->bytes.data + h->bytes.size - at) - 1);
            h->bytes.size--;
            break;
        default: h->bytes.size -= prng_below(&h->prng, size / 2); break;
        }
    }
    size_t size = h->bytes.size - from;
    if (size >= sizeof(uint32_t) && prng_below(&h->prng, 3) != 0)
        put_u32(h->bytes.data + from, (uint32_t)size);
}

/* ------------------------------------------------------------------ connections */

bool hostile_connect(struct hostile *h, struct wire *c)
{
    h->connections++;
    return wire_connect(c, h->port);
}

void hostile_send(struct hostile *h, struct wire *c)
{
    h->sent_bytes += h->bytes.size;
    (void)wire_send(c, h->bytes.data, h->bytes.size); /* it may well be closed by now */
}

/* Read what there is, so that both ways of ending are tried: with and without unread answers. */
static void end(struct hostile *h, struct wire *c)
{
    char bytes[4096];
    if (prng_below(&h->prng, 2) == 0) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        while (poll(&p, 1, 2) > 0 && recv(c->fd, bytes, sizeof bytes, 0) > 0) {
        }
    }
    wire_close(c);
}

void hostile_send_and_end(struct hostile *h)
{
    struct wire c;
    if (hostile_connect(h, &c)) {
        hostile_send(h, &c);
        end(h, &c);
    }
}

void hostile_dawdle(struct hostile *h)
{
    if (h->half_open_count < HOSTILE_HALF_OPEN_MAX) {
        struct wire *c = &h->half_open[h->half_open_count];
        if (!hostile_connect(h, c)) return;
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        h->half_open_count++;
        return;
    }
    for (unsigned n = 0; n < 20; n++) {
        struct wire *c = &h->half_open[prng_below(&h->prng, HOSTILE_HALF_OPEN_MAX)];
        uint8_t byte = prng_below(&h->prng, 3) == 0 ? 32 : 0; /* lengths that pass at times */
        if (wire_send(c, &byte, 1) || errno == EAGAIN) continue;
        wire_close(c);
        if (hostile_connect(h, c)) fcntl(c->fd, F_SETFL, O_NONBLOCK);
    }
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

static uint64_t greatest_kb(const struct memory_watch *m, unsigned from, unsigned to)
{
    uint64_t greatest = 0;
    for (unsigned i = from; i < to; i++)
        if (m->samples_kb[i] > greatest) greatest = m->samples_kb[i];
    return greatest;
}

void memory_watch_start(struct memory_watch *m, pid_t pid, uint64_t seconds)
{
    *m = (struct memory_watch){.pid = pid, .step_ms = seconds * 1000 / MEMORY_SAMPLES_MAX + 50};
}

void memory_watch_look(struct memory_watch *m)
{
    if (now_ms() < m->next_ms || m->count == MEMORY_SAMPLES_MAX) return;
    m->samples_kb[m->count++] = anonymous_kb(m->pid);
    m->next_ms = now_ms() + m->step_ms;
}

bool memory_watch_is_bounded(const struct memory_watch *m)
{
    unsigned half = m->count / 2;
    uint64_t early_kb = greatest_kb(m, 0, half), late_kb = greatest_kb(m, half, m->count);
    printf("anon_first_kb=%" PRIu64 " anon_max_first_half_kb=%" PRIu64
           " anon_max_second_half_kb=%" PRIu64 "\n",
           m->samples_kb[0], early_kb, late_kb);
    return late_kb < early_kb + GROWTH_KB_MAX;
}
