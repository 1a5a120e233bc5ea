/* See the header. Happy path: dial, HELLO and the first read at once, then a read now and then;
 * answers in any order. Failure modes: no answer: the read is given up for a later one; the
 * connection ends, or the server is not the leader: another server is dialled. */
#include "tests/sim/reader.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/status.h"
#include "protocol/frame.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    IN_BYTES_MAX = FRAME_BYTES_MAX * 2,
    PAGE_ITEMS_MOST = 20,
    STAY_MS_LEAST = 200,
    STAY_MS_MOST = 8000,
    REDIAL_MS_MOST = 50,
    TURNED_AWAY_MS_MOST = 300,
};

static const uint64_t MS = 1000000;

static uint64_t now(const struct sim_reader *r)
{
    return r->sim->trace.now_ns;
}

static uint64_t draw(struct sim_reader *r, uint64_t bound)
{
    return bound > 1 ? prng_below(&r->random, bound) : 0;
}

static struct network *net(const struct sim_reader *r)
{
    return &r->sim->network;
}

/* ------------------------------------------------------------------ what the log answers */

static bool is_hint(const struct codec_field *f)
{
    static const char end[] = "left_ms";
    size_t size = strlen(f->name);
    size_t end_size = sizeof end - 1;
    return f->kind == CODEC_U64 && size >= end_size &&
           memcmp(f->name + size - end_size, end, end_size) == 0;
}

/* As they are when all the time in the world has gone by. */
static void clear_hints(const struct codec_type *type, void *message)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_field *f = &type->fields[i];
        uint8_t *at = (uint8_t *)message + f->offset;
        if (is_hint(f)) *(uint64_t *)(void *)at = 0;
        if (strcmp(f->name, "now_ms") == 0) *(uint64_t *)(void *)at = TIME_MS_MAX;
        if (f->kind != CODEC_LIST) continue;
        const struct codec_list *list = (const void *)at;
        for (uint32_t k = 0; k < list->count; k++) /* lines of a page: no lists in them */
            clear_hints(f->type, (uint8_t *)(uintptr_t)list->items + k * f->type->struct_bytes);
    }
}

static uint64_t hash_answer(int status, struct slice body)
{
    return hash64((uint64_t)(uint32_t)status, body.data, body.size);
}

/* With all that time gone by, nothing is left of any lease. */
static uint64_t ask_log(struct sim_reader *r, const struct reader_query *q)
{
    struct buffer *body = &r->sim->read_body;
    int status = HF_OK;
    int rv = machine_read(r->sim->history.machine, q->op, &q->request, TIME_MS_MAX, body, &status);
    if (rv != HF_OK) sim_fail("the log's own state cannot be read: %s", status_name(rv));
    return hash_answer(status, buffer_slice(body));
}

static void add_answer(struct sim_reader *r, struct reader_query *q)
{
    uint64_t hash = ask_log(r, q);
    if (q->answer_count > 0 && q->answers[(q->answer_count - 1) % READER_ANSWERS] == hash) return;
    q->answers[q->answer_count++ % READER_ANSWERS] = hash;
}

void reader_see_entry(struct sim_reader *r)
{
    for (unsigned i = 0; i < READER_QUERIES; i++) {
        if (r->queries[i].waiting > 0) add_answer(r, &r->queries[i]);
    }
}

static uint64_t hash_reply(struct sim_reader *r, const struct reader_query *q,
                           const struct reply_frame *reply)
{
    _Alignas(16) uint8_t message[sizeof(struct msg_record_reply) + 256];
    const struct codec_type *type = op_reply_type(q->op, reply->status);
    struct arena *arena = &r->sim->history.arena; /* its memory, for the moment */
    struct buffer *body = &r->sim->read_body;
    HF_ASSERT(type->struct_bytes <= sizeof message);
    arena_reset(arena);
    buffer_clear(body);
    int rv = codec_decode(type, reply->body, arena, message);
    if (rv != HF_OK) sim_fail("an answer to %s does not read back", op_find(q->op)->name);
    clear_hints(type, message);
    rv = codec_encode(type, message, body);
    HF_ASSERT(rv == HF_OK);
    return hash_answer(reply->status, buffer_slice(body));
}

/* One of the answers since it was sent, or it is not known any more what they were. */
static bool is_right(const struct reader_query *q, const struct reader_read *read, uint64_t hash)
{
    if (q->answer_count - read->first >= READER_ANSWERS) return true;
    for (uint64_t i = read->first; i < q->answer_count; i++) {
        if (q->answers[i % READER_ANSWERS] == hash) return true;
    }
    return false;
}

/* ------------------------------------------------------------------ reads */

static void give_up(struct sim_reader *r, struct reader_read *read)
{
    if (read->id == 0) return;
    HF_ASSERT(r->queries[read->query].waiting > 0);
    r->queries[read->query].waiting--;
    read->id = 0;
}

static void look_at_reply(struct sim_reader *r, const struct reply_frame *reply)
{
    struct reader_read *read = &r->reads[reply->request_id % READER_READS];
    if (reply->status == HF_ENOTLEADER) {
        uint64_t leave_ns = now(r) + draw(r, TURNED_AWAY_MS_MOST * MS);
        if (leave_ns < r->leave_ns) r->leave_ns = leave_ns;
    }
    if (reply->request_id == 0 || read->id != reply->request_id) return; /* HELLO's, or given up */
    const struct reader_query *q = &r->queries[read->query];
    if (reply->status == HF_OK || reply->status == HF_ENOTFOUND) {
        r->sim->counts.reads++;
        if (!is_right(q, read, hash_reply(r, q, reply)))
            sim_fail("server %u answers %s of %s as it was before entry %" PRIu64
                     ", which was applied before the read was sent",
                     r->server + 1, op_find(q->op)->name, q->name, read->index);
    }
    give_up(r, read);
}

/* What administrators have done and set. */
static void draw_admin_query(struct sim_reader *r, struct reader_query *q)
{
    static const uint16_t ops[] = {OP_CODE_CONFIG_GET, OP_CODE_FROZEN_LIST, OP_CODE_AUDIT};
    *q = (struct reader_query){.op = ops[draw(r, HF_ARRAY_COUNT(ops))]};
    if (q->op == OP_CODE_AUDIT) q->request.audit.count_max = 1 + draw(r, PAGE_ITEMS_MOST);
}

/* One of the last transfers, or all from it on. */
static void draw_branch_query(struct sim_reader *r, struct reader_query *q)
{
    uint32_t count = r->sim->ledgers.count;
    uint32_t recent = count < LEDGER_RECENT ? count : LEDGER_RECENT;
    *q = (struct reader_query){.op = OP_CODE_BRANCH_GET};
    snprintf(q->name, sizeof q->name, "transfer-%u", count - (uint32_t)draw(r, recent + 1));
    if (draw(r, 2) == 0) {
        q->request.branch_get.gid = slice_of(q->name);
        q->request.branch_get.branch = slice_of(draw(r, 2) == 0 ? "out" : "in");
        return;
    }
    q->op = OP_CODE_BRANCH_LIST;
    q->request.branch_list.cursor_gid = slice_of(q->name);
    q->request.branch_list.cursor_branch = slice_of("in");
    q->request.branch_list.unfinished = draw(r, 2);
    q->request.branch_list.count_max = 1 + draw(r, PAGE_ITEMS_MOST);
}

/* Where now is, what has happened since some event, or which prefixes are on. */
static void draw_event_query(struct sim_reader *r, struct reader_query *q)
{
    uint64_t next = history_events_next(&r->sim->history);
    *q = (struct reader_query){.op = OP_CODE_EVENT_PREFIXES};
    if (draw(r, 4) == 0) return;
    q->op = OP_CODE_WATCH;
    q->request.watch.from = draw(r, 2) == 0 ? 0 : next - draw(r, next < 100 ? next : 100);
    q->request.watch.events_max = 1 + draw(r, PAGE_ITEMS_MOST);
}

static void draw_query(struct sim_reader *r, struct reader_query *q)
{
    const struct swarm *w = &r->sim->swarm;
    if (w->admin_acts != 0 && draw(r, 4) == 0) {
        draw_admin_query(r, q);
        return;
    }
    if (w->timer_count != 0 && draw(r, 8) == 0) {
        *q = (struct reader_query){.op = OP_CODE_TIMER_LIST};
        q->request.timer_list.count_max = 1 + draw(r, PAGE_ITEMS_MOST);
        return;
    }
    if (w->watch_ms != 0 && draw(r, 2) == 0) {
        draw_event_query(r, q);
        return;
    }
    if (w->transfer_count != 0 && draw(r, 8) == 0) {
        draw_branch_query(r, q);
        return;
    }
    uint32_t lock = (uint32_t)draw(r, w->lock_count);
    uint64_t count = 1 + draw(r, PAGE_ITEMS_MOST);
    *q = (struct reader_query){0};
    uint64_t kind = draw(r, 10);
    bool record = kind == 4 || kind == 5;
    snprintf(q->name, sizeof q->name, "%s-%u", record ? "record" : "lock",
             record ? (uint32_t)draw(r, w->record_count) : lock);
    if (kind < 4) {
        q->op = OP_CODE_CHECK;
        q->request.check.name = slice_of(q->name);
        q->request.check.fencing_token = r->sim->checks.locks[lock].returned_token;
    } else if (record) {
        q->op = OP_CODE_RECORD_GET;
        q->request.record_get.key = slice_of(q->name);
    } else if (kind < 7) {
        q->op = OP_CODE_INFO;
        q->request.info.name = slice_of(q->name);
    } else if (kind == 7) {
        q->op = OP_CODE_LIST;
        q->request.list.count_max = count;
    } else if (kind == 8) {
        q->op = OP_CODE_SESSION_LIST;
        q->request.session_list.count_max = count;
    } else {
        q->op = OP_CODE_RECORD_LIST;
        q->request.record_list.count_max = count;
    }
}

/* The lock's newest grant, as far as anybody was told: the one whose end shows first. */
static void renew_query(struct sim_reader *r, struct reader_query *q)
{
    if (q->waiting > 0) return;
    if (q->op == OP_CODE_CHECK && draw(r, 2) == 0) draw_query(r, q);
    if (q->op == OP_CODE_CHECK && q->request.check.fencing_token == 0) {
        q->op = OP_CODE_INFO;
        q->request.info.name = slice_of(q->name);
    }
}

static void drop_stream(struct sim_reader *r)
{
    if (r->stream != NULL) network_close(net(r), r->stream, 0, false);
    r->stream = NULL;
    r->greeted = false;
    for (unsigned i = 0; i < READER_READS; i++) give_up(r, &r->reads[i]);
    buffer_clear(&r->in);
    buffer_clear(&r->out);
    r->send_ns = now(r) + 1 + draw(r, REDIAL_MS_MOST * MS);
}

static void write_frame(struct sim_reader *r, uint16_t op, uint64_t id, const void *request)
{
    static const struct client_envelope nobody;
    int rv = frame_write_request(&r->out, op, id, &nobody, request);
    HF_ASSERT(rv == HF_OK);
}

static void send_read(struct sim_reader *r)
{
    static const struct msg_hello hello = {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX, {0}};
    if (!r->greeted) write_frame(r, OP_CODE_HELLO, (uint64_t)1 << 62, &hello);
    r->greeted = true;
    uint64_t id = ++r->id_last;
    struct reader_read *read = &r->reads[id % READER_READS];
    give_up(r, read);
    read->query = (uint32_t)draw(r, READER_QUERIES);
    struct reader_query *q = &r->queries[read->query];
    renew_query(r, q);
    add_answer(r, q);
    q->waiting++;
    read->id = id;
    read->first = q->answer_count - 1;
    read->index = r->sim->history.count;
    write_frame(r, q->op, id, &q->request);
    size_t sent = network_send(net(r), r->stream, 0, buffer_slice(&r->out));
    bool whole = sent == r->out.size;
    buffer_clear(&r->out);
    if (!whole) drop_stream(r); /* nobody has read for long */
    r->send_ns = now(r) + 1 + draw(r, r->sim->swarm.read_gap_ns * 2);
}

/* ------------------------------------------------------------------ the connection */

/* Most often one that leads, or has not heard that it does not. */
static uint32_t draw_server(struct sim_reader *r)
{
    uint32_t count = r->sim->swarm.node_count;
    uint32_t first = (uint32_t)draw(r, count);
    if (draw(r, 8) == 0) return first;
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_node *n = &r->sim->nodes[(first + i) % count];
        if (n->state == NODE_UP && replica_role(n->replica) == DRIVER_LEADER) return n->index;
    }
    return first;
}

static void dial(struct sim_reader *r)
{
    r->server = draw_server(r);
    r->leave_ns = now(r) + (STAY_MS_LEAST + draw(r, STAY_MS_MOST)) * MS;
    for (unsigned i = 0; i < READER_QUERIES; i++) draw_query(r, &r->queries[i]);
    r->stream = network_dial(net(r), r->host, r->server, STREAM_CLIENT, r);
}

static void take_frames(struct sim_reader *r)
{
    for (;;) {
        size_t size = 0;
        struct reply_frame reply;
        int rv = frame_next(buffer_slice(&r->in), FRAME_BYTES_MAX, &size);
        if (rv == HF_OK && size == 0) return;
        if (rv == HF_OK) rv = frame_read_reply(slice_make(r->in.data, size), &reply);
        if (rv != HF_OK) sim_fail("server %u sends what is no frame", r->server + 1);
        look_at_reply(r, &reply);
        buffer_consume(&r->in, size);
    }
}

static void read_stream(struct sim_reader *r)
{
    struct stream_end *e = network_next_ready(net(r), r->host);
    if (e == NULL) return;
    HF_ASSERT(e->stream == r->stream && e->which == 0);
    struct slice bytes = network_peek(net(r), r->stream, 0);
    if (bytes.size > 0) {
        int rv = buffer_append(&r->in, bytes.data, bytes.size);
        HF_ASSERT(rv == HF_OK);
        network_consume(net(r), r->stream, 0, bytes.size);
        take_frames(r);
    }
    if (e->ended && r->stream->pipes[0].arrived == 0) drop_stream(r);
}

void reader_wake(struct sim_reader *r, uint64_t at_ns)
{
    if (at_ns < now(r)) at_ns = now(r);
    if (r->wake_ns <= at_ns) return;
    r->wake_ns = at_ns;
    struct event event = {.at_ns = at_ns, .kind = EVENT_READER, .target = r->index};
    event.stamp = ++r->wake_stamp;
    events_push(&r->sim->events, event);
}

void reader_event(struct sim_reader *r, const struct event *event)
{
    if (event->stamp != r->wake_stamp || r->wake_ns != event->at_ns) return;
    r->wake_ns = UINT64_MAX;
    read_stream(r);
    if (r->stream != NULL && r->leave_ns <= now(r)) drop_stream(r);
    if (r->send_ns <= now(r)) {
        if (r->stream == NULL) dial(r);
        if (r->stream->ends[0].connected) {
            send_read(r);
        } else {
            r->send_ns = now(r) + 1 + draw(r, r->sim->swarm.read_gap_ns * 2);
        }
    }
    if (!list_empty(&net(r)->ready[r->host])) reader_wake(r, now(r));
    reader_wake(r, r->send_ns);
}

/* ------------------------------------------------------------------ begin and end */

void reader_init(struct sim_reader *r, struct sim *sim, uint32_t index)
{
    r->sim = sim;
    r->index = index;
    r->host = SIM_NODES_MAX + SIM_CLIENTS_MAX + index;
    r->wake_ns = UINT64_MAX;
    prng_seed(&r->random, swarm_seed(sim->seed, PURPOSE_READER, index));
    buffer_init(&r->in, IN_BYTES_MAX);
    buffer_init(&r->out, FRAME_BYTES_MAX);
    network_host_up(&sim->network, r->host);
    r->send_ns = draw(r, 1000 * MS);
    reader_wake(r, r->send_ns);
}

void reader_close(struct sim_reader *r)
{
    buffer_close(&r->in);
    buffer_close(&r->out);
}
