/* See server/door.h. Connections, frames, answers; what is in a request: server/door_request.c. */
#include "server/door.h"

#include <stdio.h>

#include "base/buggify.h"
#include "base/status.h"
#include "protocol/frame.h"
#include "server/door_parts.h"

enum {
    IN_BYTES_KEPT = 4096,
    ARENA_BYTES = 512 * 1024,
    SESSIONS_TRACKED_MAX = 1024 * 1024,
    PAGES_RETRY_MS = 50, /* when output piles up */
};

static int take_reply(void *data, const struct replica_caller *caller,
                      const struct machine_reply *reply);
static void take_parked(void *data, const struct replica_caller *caller);

int door_init(struct door *d, const char *software)
{
    *d = (struct door){.software = software, .next_id = 1};
    list_init(&d->connections);
    list_init(&d->ready);
    list_init(&d->greeting);
    list_init(&d->partial);
    list_init(&d->held);
    slab_init(&d->session_slab, sizeof(struct door_session), SESSIONS_TRACKED_MAX);
    buffer_init(&d->body, FRAME_BYTES_MAX);
    int rv = table_init(&d->by_id);
    if (rv == HF_OK) rv = table_init(&d->sessions);
    if (rv == HF_OK) rv = rates_init(&d->rates, RATES_BUCKETS_MAX);
    if (rv == HF_OK) rv = arena_init(&d->arena, ARENA_BYTES);
    return rv;
}

void door_close(struct door *d)
{
    HF_ASSERT(d->by_id.count == 0);
    table_close(&d->by_id);
    table_close(&d->sessions);
    rates_close(&d->rates);
    slab_close(&d->session_slab);
    arena_close(&d->arena);
    buffer_close(&d->body);
}

struct replica_ports door_ports(struct door *d)
{
    return (struct replica_ports){.reply = take_reply, .parked = take_parked, .data = d};
}

void door_set_replica(struct door *d, struct replica *r)
{
    d->replica = r;
}

void door_limit_rate(struct door *d, uint32_t per_second, uint32_t burst)
{
    rates_limit(&d->rates, per_second, burst);
}

/* ------------------------------------------------------------------ connections */

static struct door_connection *find(const struct door *d, uint64_t id)
{
    struct table_node *node = table_find(&d->by_id, id, 0);
    return node != NULL ? HF_CONTAINER_OF(node, struct door_connection, node) : NULL;
}

void door_mark_ready(struct door *d, struct door_connection *c)
{
    if (list_empty(&c->ready)) list_push_back(&d->ready, &c->ready);
}

void door_break(struct door *d, struct door_connection *c)
{
    c->broken = true;
    door_mark_ready(d, c);
}

void door_end(struct door *d, struct door_connection *c)
{
    c->closing = true;
    door_mark_ready(d, c);
}

void door_connect(struct door *d, struct door_connection *c, const char *peer,
                  struct replica_now now)
{
    *c = (struct door_connection){.id = d->next_id++, .since_ms = now.elapsed_ms};
    c->node.key[0] = c->id;
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    buffer_init(&c->in, 2 * FRAME_BYTES_MAX);
    buffer_init(&c->out, DOOR_OUT_BYTES_MAX + 2 * FRAME_BYTES_MAX);
    list_init(&c->ready);
    list_init(&c->sessions);
    list_init(&c->held);
    list_push_back(&d->greeting, &c->limited);
    list_push_back(&d->connections, &c->link);
    table_insert(&d->by_id, &c->node);
}

void door_disconnect(struct door *d, struct door_connection *c)
{
    HF_ASSERT(find(d, c->id) == c);
    if (d->replica != NULL) replica_gone(d->replica, c->id);
    LIST_FOR_SAFE(link, &c->sessions)
    door_unbind(d, HF_CONTAINER_OF(link, struct door_session, link));
    d->in_bytes -= c->in.size;
    buffer_close(&c->in);
    buffer_close(&c->out);
    list_remove(&c->ready);
    list_remove(&c->limited);
    list_remove(&c->held);
    list_remove(&c->link);
    table_remove(&d->by_id, &c->node);
}

struct door_connection *door_next_ready(struct door *d)
{
    if (list_empty(&d->ready)) return NULL;
    struct list *link = d->ready.next;
    list_remove(link);
    return HF_CONTAINER_OF(link, struct door_connection, ready);
}

/* ------------------------------------------------------------------ bytes in */

/* Keep a frame's first bytes. \return false: there is no room, the connection is broken. */
static bool keep_rest(struct door *d, struct door_connection *c, struct slice rest)
{
    if (d->in_bytes + rest.size > DOOR_IN_BYTES_MAX ||
        buffer_append(&c->in, rest.data, rest.size) != HF_OK) {
        door_break(d, c);
        return false;
    }
    d->in_bytes += rest.size;
    return true;
}

/* Take whole frames from the front of `bytes`. \param used  Out: how much of it they were. */
static int take_frames(struct door *d, struct door_connection *c, struct slice bytes,
                       struct replica_now now, size_t *used)
{
    *used = 0;
    while (*used < bytes.size && !c->closing && !c->broken) {
        struct slice rest = {bytes.data + *used, bytes.size - *used};
        size_t size = 0;
        size_t bytes_max = c->greeted ? FRAME_BYTES_MAX : FRAME_HELLO_BYTES_MAX;
        int rv = frame_next(rest, bytes_max, &size);
        if (rv != HF_OK) {
            door_complain(d, c, 0, 0, rv, "the framing is broken");
            door_end(d, c);
            return HF_OK;
        }
        if (size == 0) return HF_OK;
        if (door_must_wait(d, c, slice_make(rest.data, size))) {
            list_push_back(&d->held, &c->held);
            d->held_count++;
            return HF_OK;
        }
        rv = door_take_frame(d, c, slice_make(rest.data, size), now);
        if (rv != HF_OK) return rv;
        *used += size;
    }
    return HF_OK;
}

/* A frame that has begun has ten seconds to end; each that ended starts the count anew. A whole one
 * that is held waits for us. */
static void watch_partial(struct door *d, struct door_connection *c, bool moved,
                          struct replica_now now)
{
    if (!c->greeted) return; /* its five seconds run on */
    if (c->in.size == 0 || door_is_held(c)) {
        list_remove(&c->limited);
        return;
    }
    if (!moved && !list_empty(&c->limited)) return;
    list_remove(&c->limited);
    c->since_ms = now.elapsed_ms;
    list_push_back(&d->partial, &c->limited);
}

/* Take whole frames from what was kept. */
static int take_kept(struct door *d, struct door_connection *c, struct replica_now now,
                     size_t *used)
{
    int rv = take_frames(d, c, buffer_slice(&c->in), now, used);
    buffer_consume(&c->in, *used);
    d->in_bytes -= *used;
    return rv;
}

static void shrink(struct door_connection *c)
{
    if (c->in.size != 0 || c->in.capacity <= IN_BYTES_KEPT) return;
    buffer_close(&c->in); /* a large frame has passed */
    buffer_init(&c->in, 2 * FRAME_BYTES_MAX);
}

int door_input(struct door *d, struct door_connection *c, struct slice bytes,
               struct replica_now now)
{
    if (c->closing || c->broken) return HF_OK;
    size_t used = 0;
    int rv = HF_OK;
    if (door_is_held(c)) {
        (void)keep_rest(d, c, bytes);
        return HF_OK;
    }
    if (c->in.size > 0) {
        if (!keep_rest(d, c, bytes)) return HF_OK;
        rv = take_kept(d, c, now, &used);
    } else {
        rv = take_frames(d, c, bytes, now, &used);
        if (rv == HF_OK && used < bytes.size && !c->closing && !c->broken)
            (void)keep_rest(d, c, slice_make(bytes.data + used, bytes.size - used));
    }
    watch_partial(d, c, used > 0, now);
    shrink(c);
    return rv;
}

/* Is there room for what it holds? */
static bool may_go_on(const struct door *d, const struct door_connection *c)
{
    return !door_must_wait(d, c, buffer_slice(&c->in));
}

static int go_on(struct door *d, struct door_connection *c, struct replica_now now)
{
    size_t used = 0;
    list_remove(&c->held);
    door_mark_ready(d, c); /* it is read again */
    int rv = take_kept(d, c, now, &used);
    watch_partial(d, c, used > 0, now);
    shrink(c);
    return rv;
}

/* Each once: one that is held again stands behind all others. */
static int go_on_all(struct door *d, struct replica_now now)
{
    size_t count = 0;
    LIST_FOR(link, &d->held) count++;
    for (int rv = HF_OK; count > 0; count--) {
        struct door_connection *c = HF_CONTAINER_OF(d->held.next, struct door_connection, held);
        list_remove(&c->held);
        list_push_back(&d->held, &c->held);
        if (may_go_on(d, c)) rv = go_on(d, c, now);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

/* ------------------------------------------------------------------ answers out */

void door_send(struct door *d, struct door_connection *c, const struct reply_frame *reply)
{
    if (c->closing || c->broken) return;
    bool full = c->out.size + c->unsent_bytes > DOOR_OUT_BYTES_MAX || HF_BUGGIFY(FULL_OUTPUT);
    if (full || frame_write_reply(&c->out, reply) != HF_OK) {
        door_break(d, c); /* it asks and does not read */
        return;
    }
    door_mark_ready(d, c);
}

void door_complain(struct door *d, struct door_connection *c, uint64_t request_id, uint16_t op,
                   int status, const char *sentence)
{
    struct msg_complaint complaint = {.sentence = slice_of(sentence)};
    d->complaint_count++;
    buffer_clear(&d->body);
    if (codec_encode(op_reply_type(op, status), &complaint, &d->body) != HF_OK) {
        door_break(d, c);
        return;
    }
    struct reply_frame frame = {
        .status = status,
        .reply_class = (uint8_t)status_reply_class(status),
        .request_id = request_id,
        .body = buffer_slice(&d->body),
    };
    door_send(d, c, &frame);
    if (status == HF_EBADREQUEST && ++c->complaints >= DOOR_COMPLAINTS_MAX) door_end(d, c);
}

/* Pages that waited for their turn may come faster than they are read: rather than break the
 * connection, say so. A read can be asked again. */
static const struct machine_reply *make_busy(struct door *d, uint16_t op,
                                             struct machine_reply *busy)
{
    struct msg_retry retry = {.retry_ms = PAGES_RETRY_MS};
    buffer_clear(&d->body);
    int rv = codec_encode(op_reply_type(op, HF_ETOOBUSY), &retry, &d->body);
    *busy = (struct machine_reply){.status = HF_ETOOBUSY};
    if (rv == HF_OK) busy->body = buffer_slice(&d->body);
    return busy;
}

/* A retry is told again what it was told: that is no further refusal. */
static void count_refusal(struct door_refused *refused, const struct machine_reply *reply)
{
    if ((reply->flags & REPLY_REPEATED) != 0) return;
    if (reply->status == HF_EQUOTA) refused->cap_count++;
    if (reply->status == HF_ENOSPACE) refused->space_count++;
    if (reply->status == HF_ETOOBUSY) refused->load_count++;
}

static int take_reply(void *data, const struct replica_caller *caller,
                      const struct machine_reply *reply)
{
    struct door *d = data;
    count_refusal(&d->refused, reply);
    struct door_connection *c = find(d, caller->connection);
    if (c == NULL) return HF_OK; /* it is gone; a resend will find the answer */
    if (!caller->parked) {
        HF_ASSERT(c->unanswered > 0);
        c->unanswered--;
    }
    if (caller->op == OP_CODE_RESUME && reply->status == HF_OK)
        door_move_session(d, c, caller->session);
    struct machine_reply busy;
    bool pages = (op_find(caller->op)->traits & OP_PAGES) != 0;
    if (pages && c->out.size + c->unsent_bytes > DOOR_OUT_BYTES_BUSY)
        reply = make_busy(d, caller->op, &busy);
    if (reply == &busy) d->refused.load_count++;
    struct reply_frame frame = {
        .status = reply->status,
        .reply_class = (uint8_t)status_reply_class(reply->status),
        .flags = reply->flags,
        .request_id = caller->request_id,
        .body = reply->body,
    };
    door_send(d, c, &frame);
    return HF_OK;
}

static void take_parked(void *data, const struct replica_caller *caller)
{
    struct door_connection *c = find(data, caller->connection);
    if (c == NULL) return;
    HF_ASSERT(c->unanswered > 0);
    c->unanswered--;
}

/* ------------------------------------------------------------------ time and the end */

static void end_older(struct door *d, struct list *head, uint64_t limit_ms, uint64_t now_ms)
{
    while (!list_empty(head)) {
        struct door_connection *c = HF_CONTAINER_OF(head->next, struct door_connection, limited);
        if (now_ms - c->since_ms < limit_ms) return;
        list_remove(&c->limited);
        door_break(d, c);
    }
}

int door_tick(struct door *d, struct replica_now now)
{
    end_older(d, &d->greeting, DOOR_HELLO_MS_MAX, now.elapsed_ms);
    end_older(d, &d->partial, DOOR_PARTIAL_MS_MAX, now.elapsed_ms);
    return go_on_all(d, now);
}

static uint64_t head_wake(const struct list *head, uint64_t limit_ms)
{
    if (list_empty(head)) return UINT64_MAX;
    return HF_CONTAINER_OF(head->next, struct door_connection, limited)->since_ms + limit_ms;
}

uint64_t door_next_wake(const struct door *d)
{
    LIST_FOR(link, &d->held)
    {
        if (may_go_on(d, HF_CONTAINER_OF(link, struct door_connection, held))) return 0;
    }
    uint64_t greeting_ms = head_wake(&d->greeting, DOOR_HELLO_MS_MAX);
    uint64_t partial_ms = head_wake(&d->partial, DOOR_PARTIAL_MS_MAX);
    return greeting_ms < partial_ms ? greeting_ms : partial_ms;
}

void door_notify(struct door *d, struct door_connection *c, int status)
{
    struct msg_empty empty = {0};
    buffer_clear(&d->body);
    if (codec_encode(op_reply_type(0, status), &empty, &d->body) != HF_OK) return;
    struct reply_frame frame = {
        .status = status,
        .reply_class = (uint8_t)status_reply_class(status),
        .request_id = 0,
        .body = buffer_slice(&d->body),
    };
    door_send(d, c, &frame);
}

void door_say_goodbye(struct door *d)
{
    LIST_FOR(link, &d->connections)
    {
        struct door_connection *c = HF_CONTAINER_OF(link, struct door_connection, link);
        door_notify(d, c, HF_ESHUTDOWN);
        door_end(d, c);
    }
}
