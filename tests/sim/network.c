/* See the header. A pipe has at most one event in the heap, that of its first chunk; while it is
 * held it has none. */
#include "tests/sim/network.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"

enum { MILLION = 1000000, PIECES_MAX = 4, STREAM_BYTES_MAX = 64 * 1024 * 1024 };

enum chunk_mark { CHUNK_DATA, CHUNK_SYN, CHUNK_ANSWER, CHUNK_FIN, CHUNK_RESET };

void network_init(struct network *n, struct events *events, struct trace *trace, uint64_t seed)
{
    *n = (struct network){.events = events, .trace = trace};
    prng_seed(&n->random, seed);
    list_init(&n->used);
    list_init(&n->unused);
    for (unsigned i = 0; i < NETWORK_HOSTS_MAX; i++) list_init(&n->ready[i]);
}

void network_close_all(struct network *n)
{
    for (uint32_t i = 0; i < n->stream_count; i++) {
        struct stream *s = n->streams[i];
        for (unsigned end = 0; end < 2; end++) {
            buffer_close(&s->pipes[end].bytes);
            free(s->pipes[end].chunks);
        }
        free(s);
    }
    free(n->streams);
    *n = (struct network){0};
}

static bool chance(struct network *n, uint32_t ppm)
{
    return ppm > 0 && prng_below(&n->random, MILLION) < ppm;
}

static uint64_t below(struct network *n, uint64_t bound)
{
    return bound > 1 ? prng_below(&n->random, bound) : 0;
}

static void mark_ready(struct network *n, struct stream_end *e)
{
    if (list_empty(&e->ready)) list_push_back(&n->ready[e->host], &e->ready);
    n->wake_cb(n->data, e->host);
}

struct stream_end *network_next_ready(struct network *n, uint32_t host)
{
    struct list *head = &n->ready[host];
    if (list_empty(head)) return NULL;
    struct list *item = head->next;
    list_remove(item);
    return HF_CONTAINER_OF(item, struct stream_end, ready);
}

/* ------------------------------------------------------------------ chunks */

static void schedule(struct network *n, struct stream *s, unsigned end, uint64_t at_ns)
{
    struct event event = {
        .at_ns = at_ns > n->trace->now_ns ? at_ns : n->trace->now_ns,
        .kind = EVENT_CHUNK,
        .target = s->index * 2 + end,
        .stamp = s->generation,
    };
    events_push(n->events, event);
}

static uint64_t draw_arrival(struct network *n, struct stream *s, unsigned end)
{
    const struct network_ways *ways = &n->ways;
    uint32_t from = s->ends[1 - end].host;
    uint32_t to = s->ends[end].host;
    uint64_t delay_ns = ways->delay_ns[from][to] + below(n, ways->jitter_ns);
    if (chance(n, ways->spike_ppm)) delay_ns += below(n, ways->spike_ns);
    if (s->use == STREAM_PEER && n->trace->now_ns < n->lag_until_ns[to]) delay_ns += n->lag_ns[to];
    struct pipe *p = &s->pipes[end];
    uint64_t at_ns = n->trace->now_ns + delay_ns;
    if (at_ns < n->clog_ns[from]) at_ns = n->clog_ns[from];
    if (at_ns < p->last_ns) at_ns = p->last_ns;
    p->last_ns = at_ns;
    return at_ns;
}

static void grow_chunks(struct pipe *p)
{
    uint32_t places = p->chunk_places == 0 ? 8 : p->chunk_places * 2;
    struct chunk *chunks = malloc(places * sizeof *chunks);
    HF_ASSERT(chunks != NULL);
    for (uint32_t i = 0; i < p->chunk_count; i++)
        chunks[i] = p->chunks[(p->chunk_head + i) & (p->chunk_places - 1)];
    free(p->chunks);
    p->chunks = chunks;
    p->chunk_head = 0;
    p->chunk_places = places;
}

/* Towards end `end`. */
static void push_chunk(struct network *n, struct stream *s, unsigned end, enum chunk_mark mark,
                       uint32_t bytes)
{
    struct pipe *p = &s->pipes[end];
    if (p->chunk_count == p->chunk_places) grow_chunks(p);
    struct chunk *c = &p->chunks[(p->chunk_head + p->chunk_count) & (p->chunk_places - 1)];
    *c = (struct chunk){.at_ns = draw_arrival(n, s, end), .bytes = bytes, .mark = (uint32_t)mark};
    p->chunk_count++;
    if (p->chunk_count == 1) schedule(n, s, end, c->at_ns);
}

/* ------------------------------------------------------------------ streams */

static struct stream *take_stream(struct network *n)
{
    if (list_empty(&n->unused)) {
        struct stream *s = calloc(1, sizeof *s);
        n->streams = realloc(n->streams, (n->stream_count + 1) * sizeof(struct stream *));
        HF_ASSERT(s != NULL && n->streams != NULL);
        s->index = n->stream_count;
        n->streams[n->stream_count++] = s;
        for (unsigned end = 0; end < 2; end++) buffer_init(&s->pipes[end].bytes, STREAM_BYTES_MAX);
        list_push_back(&n->used, &s->link);
        return s;
    }
    struct stream *s = HF_CONTAINER_OF(n->unused.next, struct stream, link);
    list_remove(&s->link);
    list_push_back(&n->used, &s->link);
    return s;
}

static void give_stream(struct network *n, struct stream *s)
{
    HF_ASSERT(!s->ends[0].open && !s->ends[1].open);
    s->generation++;
    for (unsigned end = 0; end < 2; end++) {
        struct pipe *p = &s->pipes[end];
        buffer_clear(&p->bytes);
        p->arrived = 0;
        p->chunk_head = p->chunk_count = 0;
        p->last_ns = 0;
        p->held = false;
        list_remove(&s->ends[end].ready);
    }
    list_remove(&s->link);
    list_push_back(&n->unused, &s->link);
}

struct stream *network_dial(struct network *n, uint32_t from, uint32_t to, enum stream_use use,
                            void *owner)
{
    HF_ASSERT(owner != NULL);
    struct stream *s = take_stream(n);
    s->use = use;
    s->torn = s->unheard = false;
    s->ends[0] = (struct stream_end){.stream = s, .host = from, .open = true, .owner = owner};
    s->ends[1] = (struct stream_end){.stream = s, .which = 1, .host = to};
    list_init(&s->ends[0].ready);
    list_init(&s->ends[1].ready);
    push_chunk(n, s, 1, CHUNK_SYN, 0);
    return s;
}

size_t network_send(struct network *n, struct stream *s, unsigned end, struct slice bytes)
{
    struct stream_end *e = &s->ends[end];
    struct pipe *p = &s->pipes[1 - end];
    HF_ASSERT(e->open && e->connected);
    if (e->ended) return bytes.size; /* into the void, as until the shell looks */
    size_t room = NETWORK_PIPE_BYTES_MAX - p->bytes.size;
    size_t size = bytes.size < room ? bytes.size : room;
    e->blocked = size < bytes.size;
    if (size == 0) return 0;
    int rv = buffer_append(&p->bytes, bytes.data, size);
    HF_ASSERT(rv == HF_OK);
    trace_mix_bytes(n->trace, bytes.data, size);
    if (n->heard_cb != NULL && s->use == STREAM_CLIENT && end == 0)
        n->heard_cb(n->data, s, slice_make(bytes.data, size));
    n->sent_bytes += size;
    unsigned pieces = chance(n, n->ways.split_ppm) ? 2 + (unsigned)below(n, PIECES_MAX - 1) : 1;
    size_t left = size;
    for (; pieces > 1 && left > 1; pieces--) {
        size_t part = 1 + below(n, left - 1);
        push_chunk(n, s, 1 - end, CHUNK_DATA, (uint32_t)part);
        left -= part;
    }
    push_chunk(n, s, 1 - end, CHUNK_DATA, (uint32_t)left);
    return size;
}

struct slice network_peek(struct network *n, struct stream *s, unsigned end)
{
    const struct pipe *p = &s->pipes[end];
    size_t size = p->arrived;
    if (size > 1 && chance(n, n->ways.short_ppm)) size = 1 + below(n, size - 1);
    return slice_make(p->bytes.data, size);
}

void network_consume(struct network *n, struct stream *s, unsigned end, size_t bytes)
{
    struct pipe *p = &s->pipes[end];
    HF_ASSERT(bytes <= p->arrived);
    buffer_consume(&p->bytes, bytes);
    p->arrived -= bytes;
    if (p->arrived > 0) mark_ready(n, &s->ends[end]);
    struct stream_end *sender = &s->ends[1 - end];
    if (!sender->blocked || !sender->open) return;
    sender->blocked = false;
    mark_ready(n, sender);
}

static void drop_end(struct stream *s, unsigned end)
{
    struct pipe *p = &s->pipes[end];
    s->ends[end].open = false;
    s->ends[end].owner = NULL;
    list_remove(&s->ends[end].ready);
    buffer_consume(&p->bytes, p->arrived);
    p->arrived = 0;
}

void network_close(struct network *n, struct stream *s, unsigned end, bool reset)
{
    HF_ASSERT(s->ends[end].open);
    drop_end(s, end);
    if (!s->ends[1 - end].open) {
        give_stream(n, s);
        return;
    }
    push_chunk(n, s, 1 - end, reset ? CHUNK_RESET : CHUNK_FIN, 0);
}

void network_break(struct network *n, struct stream *s)
{
    for (unsigned end = 0; end < 2; end++) {
        if (s->ends[end].open) push_chunk(n, s, end, CHUNK_RESET, 0);
    }
}

/* ------------------------------------------------------------------ arrivals */

static void accept_stream(struct network *n, struct stream *s)
{
    struct stream_end *e = &s->ends[1];
    if (n->off[e->host] || chance(n, n->ways.dial_lost_ppm)) return; /* the dialler gives up */
    if (!n->up[e->host] || (n->shut[e->host] && s->use == STREAM_CLIENT)) {
        push_chunk(n, s, 0, CHUNK_RESET, 0);
        return;
    }
    e->open = true;
    e->connected = true;
    push_chunk(n, s, 0, CHUNK_ANSWER, 0);
    mark_ready(n, e);
}

static void arrive(struct network *n, struct stream *s, unsigned end, const struct chunk *c)
{
    struct stream_end *e = &s->ends[end];
    struct pipe *p = &s->pipes[end];
    if (c->mark == CHUNK_SYN) {
        accept_stream(n, s);
        return;
    }
    if (!e->open) {
        buffer_consume(&p->bytes, c->bytes);
        if (c->mark != CHUNK_DATA || !s->ends[1 - end].open) return;
        if (n->off[e->host]) {
            s->unheard = true;
        } else {
            push_chunk(n, s, 1 - end, CHUNK_RESET, 0);
        }
        return;
    }
    switch ((enum chunk_mark)c->mark) {
    case CHUNK_DATA: p->arrived += c->bytes; break;
    case CHUNK_ANSWER: e->connected = true; break;
    case CHUNK_RESET:
        buffer_consume(&p->bytes, p->arrived);
        p->arrived = 0;
        e->ended = true;
        break;
    case CHUNK_FIN: e->ended = true; break;
    case CHUNK_SYN: break;
    }
    mark_ready(n, e);
}

void network_event(struct network *n, const struct event *event)
{
    struct stream *s = n->streams[event->target / 2];
    unsigned end = event->target & 1;
    struct pipe *p = &s->pipes[end];
    if (s->generation != event->stamp) return;
    HF_ASSERT(p->chunk_count > 0);
    struct chunk c = p->chunks[p->chunk_head];
    uint32_t from = s->ends[1 - end].host;
    if ((n->cut[from] >> s->ends[end].host & 1) != 0) {
        if (c.mark == CHUNK_SYN) return; /* lost: the dialler gives up */
        p->held = true;
        return;
    }
    p->chunk_head = (p->chunk_head + 1) & (p->chunk_places - 1);
    p->chunk_count--;
    if (p->chunk_count > 0) schedule(n, s, end, p->chunks[p->chunk_head].at_ns);
    trace_mix(n->trace, (uint64_t)c.mark << 32 | c.bytes);
    arrive(n, s, end, &c);
}

/* ------------------------------------------------------------------ hosts and cuts */

void network_host_up(struct network *n, uint32_t host)
{
    n->up[host] = true;
    n->shut[host] = false;
}

void network_host_shut(struct network *n, uint32_t host)
{
    n->shut[host] = true;
    LIST_FOR_SAFE(item, &n->used)
    {
        struct stream *s = HF_CONTAINER_OF(item, struct stream, link);
        const struct stream_end *e = &s->ends[1];
        bool waits = e->open && e->host == host && e->owner == NULL && s->use == STREAM_CLIENT;
        if (waits) network_close(n, s, 1, true);
    }
}

void network_host_on(struct network *n, uint32_t host)
{
    n->off[host] = false;
    LIST_FOR(item, &n->used)
    {
        struct stream *s = HF_CONTAINER_OF(item, struct stream, link);
        if (!s->unheard) continue;
        for (unsigned end = 0; end < 2; end++) {
            if (s->ends[end].host != host || s->ends[end].open) continue;
            s->unheard = false;
            push_chunk(n, s, 1 - end, CHUNK_RESET, 0);
        }
    }
}

void network_host_down(struct network *n, uint32_t host, bool power)
{
    n->up[host] = false;
    n->off[host] = power;
    LIST_FOR_SAFE(item, &n->used)
    {
        struct stream *s = HF_CONTAINER_OF(item, struct stream, link);
        for (unsigned end = 0; end < 2; end++) {
            if (s->ends[end].host != host || !s->ends[end].open) continue;
            if (power && s->ends[1 - end].open) {
                drop_end(s, end);
                s->unheard = s->pipes[end].chunk_count > 0;
            } else {
                network_close(n, s, end, true);
            }
            break;
        }
    }
}

void network_cut(struct network *n, uint32_t from, uint32_t to)
{
    n->cut[from] |= (uint32_t)1 << to;
}

static void go_on(struct network *n, struct stream *s, unsigned end)
{
    struct pipe *p = &s->pipes[end];
    HF_ASSERT(p->held && p->chunk_count > 0);
    p->held = false;
    schedule(n, s, end, n->trace->now_ns + below(n, n->ways.retransmit_ns));
    if (chance(n, n->ways.broken_ppm)) network_break(n, s);
}

void network_heal(struct network *n, uint32_t from, uint32_t to)
{
    if ((n->cut[from] >> to & 1) == 0) return;
    n->cut[from] &= ~((uint32_t)1 << to);
    LIST_FOR(item, &n->used)
    {
        struct stream *s = HF_CONTAINER_OF(item, struct stream, link);
        for (unsigned end = 0; end < 2; end++) {
            if (s->ends[1 - end].host != from || s->ends[end].host != to) continue;
            if (s->pipes[end].held) go_on(n, s, end);
        }
    }
}

void network_heal_all(struct network *n)
{
    for (uint32_t from = 0; from < NETWORK_HOSTS_MAX; from++) {
        n->clog_ns[from] = n->lag_until_ns[from] = 0;
        for (uint32_t to = 0; to < NETWORK_HOSTS_MAX; to++) network_heal(n, from, to);
    }
}
