/* The fake server; see fake_server.h. All state belongs to its thread. */
#include "tests/unit/client/fake_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/status.h"
#include "protocol/frame.h"

enum { CONNECTIONS = 64, LOCKS = 64, WAITERS = 256, REPLIES = 1 << 16, SESSIONS = 256 };
enum { BODY_BYTES = 512 };

struct connection {
    int fd;           /**< -1 = free */
    struct buffer in; /**< received */
};

struct who {
    int connection;   /**< index, to be answered there */
    uint64_t id;      /**< request id */
    uint64_t session; /**< asking */
    uint64_t seq;     /**< its number */
    uint64_t owner;   /**< of an ACQUIRE */
};

struct fake_lock {
    char name[NAME_BYTES_MAX + 1]; /**< "" = free place */
    uint64_t token;                /**< 0 = free */
    struct who holder;             /**< if held */
    struct who waiters[WAITERS];   /**< in order */
    uint32_t waiter_count;         /**< of them */
};

struct stored {
    uint64_t session; /**< 0 = free */
    uint64_t seq;     /**< its number */
    int status;       /**< answered */
    uint8_t body[32]; /**< the same */
    size_t size;      /**< of body */
};

struct fake_server {
    pthread_t thread;                                /**< runs it */
    uint16_t port;                                   /**< it listens there */
    int listener;                                    /**< its socket */
    int stop[2];                                     /**< a pipe */
    struct connection connections[CONNECTIONS];      /**< open ones */
    uint8_t secrets[SESSIONS][SESSION_SECRET_BYTES]; /**< session n is at n - 1 */
    uint64_t session_count;                          /**< of them */
    uint64_t token;                                  /**< the last one */
    struct fake_lock locks[LOCKS];                   /**< by name */
    struct stored replies[REPLIES];                  /**< by hash of session and seq */
    struct arena arena;                              /**< for one request */
};

static void send_reply(struct fake_server *f, const struct who *to, int status, struct slice body)
{
    uint8_t bytes[BODY_BYTES + 64];
    struct buffer out = {.data = bytes, .capacity = sizeof bytes, .bytes_max = sizeof bytes};
    struct reply_frame reply = {.status = status,
                                .reply_class = (uint8_t)status_reply_class(status),
                                .flags = REPLY_STANDS | REPLY_REPEATED,
                                .request_id = to->id,
                                .body = body};
    HF_ASSERT(frame_write_reply(&out, &reply) == HF_OK);
    int fd = f->connections[to->connection].fd;
    if (fd >= 0) (void)!send(fd, out.data, out.size, MSG_NOSIGNAL);
}

static struct stored *find_stored(struct fake_server *f, uint64_t session, uint64_t seq)
{
    size_t at = (session * 7919 + seq) % REPLIES;
    while (f->replies[at].session != 0 &&
           (f->replies[at].session != session || f->replies[at].seq != seq))
        at = (at + 1) % REPLIES;
    return &f->replies[at];
}

static void answer(struct fake_server *f, const struct who *to, uint16_t op, int status,
                   const void *message)
{
    uint8_t bytes[BODY_BYTES];
    struct buffer body = {.data = bytes, .capacity = sizeof bytes, .bytes_max = sizeof bytes};
    if (message != NULL)
        HF_ASSERT(codec_encode(op_reply_type(op, status), message, &body) == HF_OK);
    if (to->seq != 0) {
        struct stored *s = find_stored(f, to->session, to->seq);
        *s = (struct stored){.session = to->session, .seq = to->seq, .status = status};
        HF_ASSERT(body.size <= sizeof s->body);
        memcpy(s->body, bytes, body.size);
        s->size = body.size;
    }
    send_reply(f, to, status, buffer_slice(&body));
}

static struct fake_lock *find_lock(struct fake_server *f, struct slice name)
{
    for (int i = 0; i < LOCKS; i++) {
        struct fake_lock *l = &f->locks[i];
        if (l->name[0] == '\0') {
            memcpy(l->name, name.data, name.size);
            return l;
        }
        if (slice_equal(slice_of(l->name), name)) return l;
    }
    HF_UNREACHABLE();
    return NULL;
}

static void grant(struct fake_server *f, struct fake_lock *l, const struct who *to, bool waited)
{
    l->token = ++f->token;
    l->holder = *to;
    struct msg_granted granted = {l->token, waited, 1};
    answer(f, to, OP_CODE_ACQUIRE, HF_OK, &granted);
}

static void serve_queue(struct fake_server *f, struct fake_lock *l)
{
    l->token = 0;
    if (l->waiter_count == 0) return;
    struct who next = l->waiters[0];
    l->waiter_count -= 1;
    memmove(&l->waiters[0], &l->waiters[1], l->waiter_count * sizeof next);
    grant(f, l, &next, true);
}

static void acquire(struct fake_server *f, struct who *from, const struct msg_acquire *m)
{
    struct fake_lock *l = find_lock(f, m->names.items[0]);
    from->owner = m->owner;
    for (uint32_t i = 0; i < l->waiter_count; i++) { /* sent again: it keeps its place */
        if (l->waiters[i].session == from->session && l->waiters[i].seq == from->seq) {
            l->waiters[i] = *from;
            return;
        }
    }
    if (l->token == 0) {
        grant(f, l, from, false);
    } else if (m->wait_ms == 0) {
        struct msg_busy busy = {.holder_count = 1};
        answer(f, from, OP_CODE_ACQUIRE, HF_EBUSY, &busy);
    } else {
        l->waiters[l->waiter_count++] = *from;
    }
}

static void release(struct fake_server *f, struct who *from, uint16_t op, uint64_t token)
{
    struct msg_release_reply released = {0};
    for (int i = 0; i < LOCKS; i++) {
        struct fake_lock *l = &f->locks[i];
        if (l->token != token) continue;
        answer(f, from, op, HF_OK, op == OP_CODE_RELEASE ? &released : NULL);
        serve_queue(f, l);
        return;
    }
    answer(f, from, op, HF_ESTALE, NULL);
}

static void cancel(struct fake_server *f, struct who *from, uint64_t seq)
{
    struct stored *s = find_stored(f, from->session, seq);
    struct msg_cancel_reply reply = {.status = HF_ECANCELLED, .op = OP_CODE_ACQUIRE};
    if (s->session != 0) {
        reply.status = s->status;
        reply.stands = 1;
        reply.body = slice_make(s->body, s->size);
    }
    for (int i = 0; i < LOCKS; i++) {
        struct fake_lock *l = &f->locks[i];
        for (uint32_t k = 0; k < l->waiter_count; k++) {
            if (l->waiters[k].session != from->session || l->waiters[k].seq != seq) continue;
            struct who waiter = l->waiters[k];
            l->waiter_count -= 1;
            memmove(&l->waiters[k], &l->waiters[k + 1], (l->waiter_count - k) * sizeof waiter);
            answer(f, &waiter, OP_CODE_ACQUIRE, HF_ECANCELLED, NULL);
            break;
        }
    }
    answer(f, from, OP_CODE_CANCEL, HF_OK, &reply);
}

static void open_session(struct fake_server *f, struct who *from, const struct msg_open *m)
{
    uint64_t session = 1;
    while (session <= f->session_count &&
           memcmp(f->secrets[session - 1], m->secret.data, SESSION_SECRET_BYTES) != 0)
        session += 1;
    HF_ASSERT(session <= SESSIONS);
    memcpy(f->secrets[session - 1], m->secret.data, SESSION_SECRET_BYTES);
    if (session > f->session_count) f->session_count = session;
    struct msg_open_reply opened = {session, m->ttl_ms};
    answer(f, from, OP_CODE_OPEN, HF_OK, &opened);
}

static void list_locks(struct fake_server *f, const struct who *from, struct slice cursor)
{
    static const struct lock_line line = {.name = {(const uint8_t *)FAKE_LINE, 1}};
    struct msg_list_reply page = {.cursor = slice_of(cursor.size == 0 ? "m" : "z")};
    if (slice_equal(cursor, slice_of("m"))) page.locks = (struct codec_list){&line, 1};
    answer(f, from, OP_CODE_LIST, HF_OK, &page);
}

static void list_records(struct fake_server *f, const struct who *from, struct slice cursor)
{
    static const struct record_line line = {.key = {(const uint8_t *)FAKE_LINE, 1},
                                            .state = RECORD_UNKNOWN};
    struct msg_record_list_reply page = {.cursor = slice_of(cursor.size == 0 ? "m" : "z")};
    if (slice_equal(cursor, slice_of("m"))) page.records = (struct codec_list){&line, 1};
    answer(f, from, OP_CODE_RECORD_LIST, HF_OK, &page);
}

union message {
    struct msg_hello hello;
    struct msg_open open;
    struct msg_keep keep;
    struct msg_acquire acquire;
    struct msg_release release;
    struct msg_abandon abandon;
    struct msg_cancel cancel;
    struct msg_list list;
    struct msg_record_list record_list;
    struct msg_begin begin;        /* answered like all that it does not know */
    struct msg_resolve resolve;    /* likewise */
    struct msg_check check;        /* likewise */
    struct msg_change_mode change; /* likewise */
};

static void dispatch(struct fake_server *f, struct who *from, const struct request_frame *frame)
{
    static const uint8_t cluster[CLUSTER_ID_BYTES] = {7};
    struct msg_hello_reply hello = {1, slice_of("fake"), 1, slice_make(cluster, sizeof cluster)};
    struct msg_keep_reply kept = {.ttl_ms = 10000};
    union message m;
    HF_ASSERT(codec_decode(op_find(frame->op)->request, frame->body, &f->arena, &m) == HF_OK);
    switch (frame->op) {
    case OP_CODE_HELLO: answer(f, from, frame->op, HF_OK, &hello); break;
    case OP_CODE_OPEN: open_session(f, from, &m.open); break;
    case OP_CODE_KEEP:
    case OP_CODE_RESUME: answer(f, from, frame->op, HF_OK, &kept); break;
    case OP_CODE_ACQUIRE: acquire(f, from, &m.acquire); break;
    case OP_CODE_RELEASE: release(f, from, frame->op, m.release.fencing_token); break;
    case OP_CODE_ABANDON: release(f, from, frame->op, m.abandon.fencing_token); break;
    case OP_CODE_CANCEL: cancel(f, from, m.cancel.target_seq); break;
    case OP_CODE_CLOSE: answer(f, from, frame->op, HF_OK, NULL); break;
    case OP_CODE_LIST: list_locks(f, from, m.list.cursor); break;
    case OP_CODE_RECORD_LIST: list_records(f, from, m.record_list.cursor); break;
    default: answer(f, from, frame->op, HF_ENOTFOUND, NULL); break;
    }
}

static void handle(struct fake_server *f, int connection, const struct request_frame *frame)
{
    struct client_envelope e;
    arena_reset(&f->arena);
    HF_ASSERT(codec_decode(&client_envelope_type, frame->envelope, &f->arena, &e) == HF_OK);
    struct who from = {connection, frame->request_id, e.session, e.seq, 0};
    struct stored *s = e.seq != 0 ? find_stored(f, e.session, e.seq) : NULL;
    if (s != NULL && s->session != 0) {
        send_reply(f, &from, s->status, slice_make(s->body, s->size));
        return;
    }
    dispatch(f, &from, frame);
}

static void drop(struct fake_server *f, int i)
{
    close(f->connections[i].fd);
    buffer_close(&f->connections[i].in);
    f->connections[i].fd = -1;
}

static void read_connection(struct fake_server *f, int i)
{
    struct connection *c = &f->connections[i];
    HF_ASSERT(buffer_reserve(&c->in, 65536) == HF_OK);
    ssize_t got = recv(c->fd, c->in.data + c->in.size, 65536, 0);
    if (got <= 0) {
        drop(f, i);
        return;
    }
    c->in.size += (size_t)got;
    for (size_t size;; buffer_consume(&c->in, size)) {
        struct request_frame frame;
        HF_ASSERT(frame_next(buffer_slice(&c->in), FRAME_BYTES_MAX, &size) == HF_OK);
        if (size == 0) return;
        HF_ASSERT(frame_read_request(slice_make(c->in.data, size), &frame) == HF_OK);
        handle(f, i, &frame);
    }
}

static void take_connection(struct fake_server *f)
{
    int fd = accept(f->listener, NULL, NULL);
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (int i = 0; i < CONNECTIONS && fd >= 0; i++) {
        if (f->connections[i].fd >= 0) continue;
        f->connections[i].fd = fd;
        buffer_init(&f->connections[i].in, 4 * FRAME_BYTES_MAX);
        return;
    }
    if (fd >= 0) close(fd);
}

static void *run(void *data)
{
    struct fake_server *f = data;
    for (;;) {
        struct pollfd polls[CONNECTIONS + 2] = {{f->stop[0], POLLIN, 0}, {f->listener, POLLIN, 0}};
        for (int i = 0; i < CONNECTIONS; i++)
            polls[i + 2] = (struct pollfd){f->connections[i].fd, POLLIN, 0};
        (void)poll(polls, CONNECTIONS + 2, -1);
        if (polls[0].revents != 0) return NULL;
        for (int i = 0; i < CONNECTIONS; i++) {
            if (polls[i + 2].revents != 0) read_connection(f, i);
        }
        if (polls[1].revents != 0) take_connection(f);
    }
}

struct fake_server *fake_server_start(void)
{
    struct fake_server *f = calloc(1, sizeof *f);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    HF_ASSERT(f != NULL);
    HF_ASSERT(arena_init(&f->arena, 1 << 20) == HF_OK);
    for (int i = 0; i < CONNECTIONS; i++) f->connections[i].fd = -1;
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HF_ASSERT(bind(f->listener, (struct sockaddr *)&at, sizeof at) == 0);
    HF_ASSERT(listen(f->listener, 64) == 0);
    HF_ASSERT(getsockname(f->listener, (struct sockaddr *)&at, &size) == 0);
    HF_ASSERT(pipe(f->stop) == 0);
    f->port = ntohs(at.sin_port);
    HF_ASSERT(pthread_create(&f->thread, NULL, run, f) == 0);
    return f;
}

uint16_t fake_server_port(const struct fake_server *f)
{
    return f->port;
}

void fake_server_stop(struct fake_server *f)
{
    HF_ASSERT(write(f->stop[1], "", 1) == 1);
    pthread_join(f->thread, NULL);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (f->connections[i].fd >= 0) drop(f, i);
    }
    close(f->listener);
    close(f->stop[0]);
    close(f->stop[1]);
    arena_close(&f->arena);
    free(f);
}
