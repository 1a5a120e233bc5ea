/* See the header. */
#include "tests/sim/copier.h"

#include "base/arena.h"
#include "base/status.h"
#include "protocol/frame.h"
#include "tests/sim/sim.h"

enum {
    COPIES_MOST = 8,
    STAY_MS_LEAST = 5,
    STAY_MS_MOST = 2000,
    WAY_MS_MOST = 1000,
    ENVELOPE_BYTES = 64 * 1024
};

static const uint64_t MS = 1000000;

static uint64_t draw(struct copier *c, uint64_t bound)
{
    return bound > 1 ? prng_below(&c->random, bound) : 0;
}

static struct network *net(const struct copier *c)
{
    return &c->sim->network;
}

void copier_init(struct copier *c, struct sim *sim)
{
    c->sim = sim;
    prng_seed(&c->random, swarm_seed(sim->seed, PURPOSE_COPIER, 0));
    network_host_up(net(c), COPIER_HOST);
}

/* ------------------------------------------------------------------ what clients send */

static void remember(struct copier *c, struct slice frame)
{
    struct request_frame request;
    if (frame_read_request(frame, &request) != HF_OK) return;
    const struct op_info *info = op_find(request.op);
    if (info == NULL || (info->traits & OP_NUMBERED) == 0) return;
    if (frame.size > COPIER_FRAME_BYTES) return;
    struct copied_frame *to = &c->frames[c->frame_count++ % COPIER_FRAMES];
    to->bytes = (uint32_t)frame.size;
    memcpy(to->data, frame.data, frame.size);
}

static bool is_request(const struct copied_frame *frame, struct arena *arena, uint64_t session,
                       uint64_t seq)
{
    struct request_frame request;
    struct client_envelope envelope;
    if (frame->bytes == 0) return false;
    int rv = frame_read_request(slice_make(frame->data, frame->bytes), &request);
    HF_ASSERT(rv == HF_OK); /* it was one when it was remembered */
    arena_reset(arena);
    rv = codec_decode(&client_envelope_type, request.envelope, arena, &envelope);
    return rv == HF_OK && envelope.session == session && envelope.seq == seq;
}

void copier_refused(struct copier *c, uint64_t session, uint64_t seq)
{
    struct arena arena; /* for the envelopes' lists of what was answered */
    int rv = arena_init(&arena, ENVELOPE_BYTES);
    HF_ASSERT(rv == HF_OK);
    for (uint32_t i = 0; i < COPIER_FRAMES; i++) {
        if (is_request(&c->frames[i], &arena, session, seq)) c->frames[i].bytes = 0;
    }
    arena_close(&arena);
}

void copier_hear(struct copier *c, struct stream *s, struct slice bytes)
{
    size_t size = 0;
    if (s->torn || s->ends[0].host == COPIER_HOST) return;
    while (frame_next(bytes, FRAME_BYTES_MAX, &size) == HF_OK && size > 0) {
        remember(c, slice_make(bytes.data, size));
        bytes = slice_make(bytes.data + size, bytes.size - size);
    }
    s->torn = bytes.size > 0; /* the rest comes later: enough is heard elsewhere */
}

/* ------------------------------------------------------------------ a visit */

void copier_wake(struct copier *c, uint64_t after_ns)
{
    sim_push(c->sim, EVENT_COPIER, 0, 0, after_ns);
}

bool copier_go(struct copier *c)
{
    if (c->stream != NULL || c->frame_count == 0) return false;
    const struct sim_node *leader = draw(c, 4) > 0 ? nemesis_leader(c->sim) : NULL;
    uint32_t other = (uint32_t)draw(c, c->sim->swarm.node_count);
    uint32_t server = leader != NULL ? leader->index : other;
    c->stream = network_dial(net(c), COPIER_HOST, server, STREAM_CLIENT, c);
    c->said = false;
    c->leave_ns = c->sim->trace.now_ns + WAY_MS_MOST * MS;
    copier_wake(c, WAY_MS_MOST * MS);
    return true;
}

void copier_stop(struct copier *c)
{
    if (c->stream != NULL) network_close(net(c), c->stream, 0, draw(c, 2) == 0);
    c->stream = NULL;
}

/* Half of the time one of the newest, whose answers are still stored, or not there yet. */
static const struct copied_frame *draw_frame(struct copier *c)
{
    uint64_t known = c->frame_count < COPIER_FRAMES ? c->frame_count : COPIER_FRAMES;
    uint64_t back = draw(c, draw(c, 2) == 0 ? known : (known + 15) / 16);
    return &c->frames[(c->frame_count - 1 - back) % COPIER_FRAMES];
}

static void say(struct copier *c)
{
    static const struct msg_hello hello = {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX, {0}};
    static const struct client_envelope nobody;
    struct buffer out;
    buffer_init(&out, (COPIES_MOST + 1) * (uint64_t)COPIER_FRAME_BYTES);
    int rv = frame_write_request(&out, OP_CODE_HELLO, UINT64_MAX, &nobody, &hello);
    HF_ASSERT(rv == HF_OK);
    uint64_t count = 1 + draw(c, COPIES_MOST);
    for (uint64_t i = 0; i < count; i++) {
        const struct copied_frame *frame = draw_frame(c);
        rv = buffer_append(&out, frame->data, frame->bytes);
        HF_ASSERT(rv == HF_OK);
    }
    size_t sent = network_send(net(c), c->stream, 0, buffer_slice(&out));
    HF_ASSERT(sent == out.size); /* the pipe was empty */
    buffer_close(&out);
    c->said = true;
    c->copy_count += count;
    uint64_t stay_ns = (STAY_MS_LEAST + draw(c, STAY_MS_MOST)) * MS;
    c->leave_ns = c->sim->trace.now_ns + stay_ns;
    copier_wake(c, stay_ns);
    trace_line(&c->sim->trace, 'x', 0, "copies", "%u of clients' requests to server %u",
               (unsigned)count, c->stream->ends[1].host + 1);
}

/* Whatever is answered. \return false: the connection has ended. */
static bool read_stream(struct copier *c)
{
    struct stream_end *e = network_next_ready(net(c), COPIER_HOST);
    if (e == NULL) return true;
    HF_ASSERT(e->stream == c->stream && e->which == 0);
    bool ended = e->ended;
    network_consume(net(c), c->stream, 0, network_peek(net(c), c->stream, 0).size);
    return !ended;
}

void copier_event(struct copier *c)
{
    if (c->stream == NULL) return;
    bool goes_on = read_stream(c) && c->leave_ns > c->sim->trace.now_ns;
    if (!goes_on) {
        copier_stop(c);
        return;
    }
    if (!c->said && c->stream->ends[0].connected) say(c);
}
