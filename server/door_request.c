/* One request: what it is, whether it keeps the rules, and where it goes. Everything is decoded
 * and checked here, once; what goes into the log are the very bytes that were checked. */
#include "base/status.h"
#include "protocol/principal.h"
#include "server/door_parts.h"

enum { REQUEST_BYTES_MAX = 1024 }; /* the largest request struct */

struct request {
    struct request_frame frame;                   /**< as framed */
    const struct op_info *info;                   /**< of its op */
    struct client_envelope envelope;              /**< decoded */
    _Alignas(16) uint8_t body[REQUEST_BYTES_MAX]; /**< decoded: the op's struct */
};

/* ------------------------------------------------------------------ sessions of connections */

void door_unbind(struct door *d, struct door_session *s)
{
    s->connection->session_count--;
    list_remove(&s->link);
    table_remove(&d->sessions, &s->node);
    slab_give(&d->session_slab, s);
}

static struct door_session *find_session(const struct door *d, uint64_t session)
{
    struct table_node *node = table_find(&d->sessions, session, 0);
    return node != NULL ? HF_CONTAINER_OF(node, struct door_session, node) : NULL;
}

/* The first connection that names a session speaks for it, until another one resumes it. Beyond a
 * limit a connection's sessions are not told SUPERSEDED; they lose nothing else. */
static void bind(struct door *d, struct door_connection *c, uint64_t session)
{
    if (c->session_count >= DOOR_SESSIONS_MAX || find_session(d, session) != NULL) return;
    struct door_session *s = slab_take(&d->session_slab);
    if (s == NULL) return;
    s->node.key[0] = session;
    s->connection = c;
    table_insert(&d->sessions, &s->node);
    list_push_back(&c->sessions, &s->link);
    c->session_count++;
}

void door_move_session(struct door *d, struct door_connection *c, uint64_t session)
{
    struct door_session *s = find_session(d, session);
    if (s != NULL && s->connection == c) return;
    if (s != NULL) {
        door_notify(d, s->connection, HF_ESUPERSEDED);
        door_unbind(d, s);
    }
    bind(d, c, session);
}

/* ------------------------------------------------------------------ answers of the door's own */

static int answer(struct door *d, struct door_connection *c, const struct request *q, int status,
                  const void *body)
{
    buffer_clear(&d->body);
    int rv = codec_encode(op_reply_type(q->frame.op, status), body, &d->body);
    if (rv != HF_OK) return rv;
    struct reply_frame frame = {
        .status = status,
        .reply_class = (uint8_t)status_reply_class(status),
        .request_id = q->frame.request_id,
        .body = buffer_slice(&d->body),
    };
    door_send(d, c, &frame);
    return HF_OK;
}

static int hello(struct door *d, struct door_connection *c, const struct request *q)
{
    const struct msg_hello *request = (const void *)q->body;
    if (request->version_min > PROTOCOL_VERSION_MAX ||
        request->version_max < PROTOCOL_VERSION_MIN ||
        request->version_min > request->version_max) {
        door_complain(d, c, q->frame.request_id, q->frame.op, HF_EVERSION,
                      "this server speaks protocol version 1 alone");
        door_end(d, c);
        return HF_OK;
    }
    c->greeted = true;
    c->principal = principal_id(request->name, principal_host(slice_of(c->peer)));
    list_remove(&c->limited);
    struct msg_hello_reply reply = {
        .version = request->version_max < PROTOCOL_VERSION_MAX ? request->version_max
                                                               : PROTOCOL_VERSION_MAX,
        .name = slice_of(d->software),
        .node_id = replica_node_id(d->replica),
        .cluster_id = slice_make(replica_cluster_id(d->replica), CLUSTER_ID_BYTES),
    };
    return answer(d, c, q, HF_OK, &reply);
}

static int status(struct door *d, struct door_connection *c, const struct request *q,
                  struct replica_now now)
{
    struct member members[REPLICA_MEMBERS_MAX];
    struct msg_status_reply reply;
    int rv = replica_status(d->replica, now, &reply, members);
    if (rv != HF_OK) return rv;
    reply.version = slice_of(d->software);
    reply.rate_refused_count = d->refused.rate_count;
    reply.cap_refused_count = d->refused.cap_count;
    reply.space_refused_count = d->refused.space_count;
    reply.load_refused_count = d->refused.load_count;
    reply.held_count = d->held_count;
    return answer(d, c, q, HF_OK, &reply);
}

/* ------------------------------------------------------------------ reading it */

/* HF_OK: all of it keeps the rules. Else the complaint and, in *sentence, why. */
static int read_request(struct door *d, struct slice frame, struct request *q,
                        const char **sentence)
{
    *sentence = "the request's header is malformed";
    int rv = frame_read_request(frame, &q->frame);
    if (rv != HF_OK) return rv;
    *sentence = "there is no such op";
    q->info = op_find(q->frame.op);
    if (q->info == NULL || (q->info->traits & OP_SERVER) != 0) return HF_EBADREQUEST;
    HF_ASSERT(q->info->request->struct_bytes <= sizeof q->body);

    arena_reset(&d->arena);
    *sentence = "the envelope does not decode";
    rv = codec_decode(&client_envelope_type, q->frame.envelope, &d->arena, &q->envelope);
    if (rv != HF_OK) return rv;
    *sentence = "the body does not decode as this op's";
    rv = codec_decode(q->info->request, q->frame.body, &d->arena, q->body);
    if (rv == HF_ETOOLARGE) *sentence = "a field of the request is over its limit";
    if (rv != HF_OK) return rv;
    rv = envelope_check(q->frame.op, &q->envelope, sentence);
    if (rv != HF_OK) return rv;
    return op_check(q->frame.op, q->body, sentence);
}

/* Unanswered requests of a connection, at most. */
static uint32_t unanswered_max(bool exempt)
{
    return CONNECTION_REQUESTS_MAX + (exempt ? UNACKED_RESERVE : 0);
}

bool door_must_wait(const struct door *d, const struct door_connection *c, struct slice frame)
{
    const struct op_info *info = op_find(frame_op(frame));
    if (info == NULL || (info->traits & OP_EXEMPT) == 0 || !c->greeted) return false;
    return c->unanswered >= unanswered_max(true) || !replica_has_room(d->replica);
}

/* Too many requests of this connection are unanswered, or too many answers unread. */
static bool is_too_much(const struct door_connection *c, unsigned traits, bool exempt)
{
    if (c->unanswered >= unanswered_max(exempt)) return true;
    return (traits & OP_READ) != 0 && c->out.size + c->unsent_bytes > DOOR_OUT_BYTES_BUSY;
}

/* New work, which its principal's rate limits: where it is done. */
static bool is_metered(const struct door *d, unsigned traits)
{
    if ((traits & OP_WRITE) != 0) return replica_role(d->replica) == DRIVER_LEADER;
    return (traits & OP_PAGES) != 0;
}

/* HF_OK: it may pass: it has a token, or is a copy of what was taken before. HF_ETOOBUSY: it was
 * told when to come again. */
static int pass_rate(struct door *d, struct door_connection *c, const struct request *q,
                     const struct replica_caller *caller, struct replica_now now)
{
    struct msg_retry retry;
    bool known;
    if (caller->exempt || !is_metered(d, q->info->traits)) return HF_OK;
    if (rates_take(&d->rates, c->principal, now.elapsed_ms, &retry.retry_ms)) return HF_OK;
    int rv = replica_knows(d->replica, caller, &known);
    if (rv != HF_OK || known) return rv;
    d->refused.rate_count++;
    rv = answer(d, c, q, HF_ETOOBUSY, &retry);
    return rv == HF_OK ? HF_ETOOBUSY : rv;
}

static int dispatch(struct door *d, struct door_connection *c, const struct request *q,
                    struct replica_now now)
{
    unsigned traits = q->info->traits;
    if (q->frame.op == OP_CODE_STATUS) return status(d, c, q, now);

    struct replica_caller caller = {
        .connection = c->id,
        .request_id = q->frame.request_id,
        .session = q->envelope.session,
        .seq = q->envelope.seq,
        .op = q->frame.op,
        .exempt = (traits & OP_EXEMPT) != 0 || op_finishes(q->frame.op, q->body),
    };
    int rv = pass_rate(d, c, q, &caller, now);
    if (rv != HF_OK) return rv == HF_ETOOBUSY ? HF_OK : rv;
    bool too_much = is_too_much(c, traits, caller.exempt);
    c->unanswered++;
    if (too_much) return replica_turn_away(d->replica, now, &caller, HF_ETOOBUSY);
    if ((traits & OP_READ) != 0)
        return replica_read(d->replica, now, &caller, q->body, q->frame.body,
                            q->envelope.stale_ok != 0);
    if (caller.session != 0 && caller.op != OP_CODE_RESUME) bind(d, c, caller.session);
    return replica_write(d->replica, now, &caller, &q->envelope, slice_of(c->peer), q->frame.body);
}

int door_take_frame(struct door *d, struct door_connection *c, struct slice frame,
                    struct replica_now now)
{
    struct request q;
    const char *sentence = NULL;
    q.frame = (struct request_frame){0};
    d->request_count++;
    int rv = read_request(d, frame, &q, &sentence);
    if (rv == HF_OK && c->greeted && q.frame.op == OP_CODE_HELLO) {
        sentence = "HELLO was said already";
        rv = HF_EBADREQUEST;
    }
    if (rv == HF_OK && !c->greeted && q.frame.op != OP_CODE_HELLO) {
        sentence = "HELLO comes first";
        rv = HF_EBADREQUEST;
    }
    if (rv == HF_OK) return c->greeted ? dispatch(d, c, &q, now) : hello(d, c, &q);

    if (rv == HF_ENOMEM) rv = HF_ETOOLARGE; /* more list items than the arena has room for */
    HF_ASSERT(rv == HF_EBADREQUEST || rv == HF_ETOOLARGE);
    door_complain(d, c, q.frame.request_id, q.frame.op, rv, sentence);
    if (!c->greeted) door_end(d, c);
    return HF_OK;
}
