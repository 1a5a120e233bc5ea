/* Many sessions end at one moment, each with several locks, and somebody waits for each of these:
 * how long until the last waiter has its lock, and what others notice meanwhile.
 *
 *     expire_at_once [SESSIONS [LOCKS [SERVERS]]]      default 200 sessions, 10 locks each, 1
 * server
 *
 * Fails if a waiter gets no lock, or no greater token than the holder before it, or if one of the
 * others' cycles fails. The times are printed, not judged. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/status.h"
#include "tests/integration/cluster_process.h"
#include "tests/integration/wire.h"

enum {
    SESSIONS_MAX = 50000,
    LOCKS_MAX = 64,
    IN_FLIGHT = 512,      /* below what a server takes of one connection */
    WAITS_A_SESSION = 64, /* below what a session may have in flight */
    PROBES = 4,           /* connections that lock and release without a pause */
    CYCLES_MAX = 1000000, /* of one of them */
    CALM_MS = 2000,       /* of cycles before it happens */
    NAME_BYTES = 32,
};

struct probe {
    pthread_t thread;
    struct wire wire;
    unsigned number;
    unsigned count;               /* cycles */
    uint64_t from_us[CYCLES_MAX]; /* each one's begin */
    uint32_t took_us[CYCLES_MAX]; /* acquire and release, halved: a request */
    bool failed;
};

static struct probe probes[PROBES];
static atomic_bool stop;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void *run_probe(void *data)
{
    struct probe *p = data;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "other/%u", p->number);
    while (!stop && !p->failed && p->count < CYCLES_MAX) {
        uint64_t token;
        uint64_t from = now_us();
        p->failed = wire_acquire(&p->wire, name, 1, 0, &token) != HF_OK ||
                    wire_release(&p->wire, name, 1, token) != HF_OK;
        p->from_us[p->count] = from;
        p->took_us[p->count++] = (uint32_t)((now_us() - from) / 2);
    }
    return NULL;
}

/* ------------------------------------------------------------------ the load */

struct load {
    struct wire holders; /* its sessions end */
    struct wire waiters; /* its do not */
    unsigned sessions;
    unsigned locks;   /* of each */
    uint64_t *ids;    /* of the holders' sessions, then of the waiters' */
    uint64_t *tokens; /* of each lock, the holder's */
    uint64_t ttl_ms;
};

static unsigned waiting_sessions(const struct load *l)
{
    return (l->sessions * l->locks + WAITS_A_SESSION - 1) / WAITS_A_SESSION;
}

/* Send `count` requests and take their answers in the order they come. send_cb sends number i;
 * take_cb gets its answer. At most IN_FLIGHT are under way. */
static bool exchange(struct load *l, struct wire *c, unsigned count,
                     bool (*send_cb)(struct load *l, unsigned i),
                     bool (*take_cb)(struct load *l, unsigned i))
{
    uint64_t first = c->request_id + 1;
    unsigned sent = 0;
    for (unsigned taken = 0; taken < count; taken++) {
        for (; sent < count && sent - taken < IN_FLIGHT; sent++)
            if (!send_cb(l, sent)) return false;
        if (wire_receive(c, WIRE_REPLY_MS_MAX) != HF_OK) return false;
        if (!take_cb(l, (unsigned)(c->reply.request_id - first))) return false;
    }
    return true;
}

static bool send_open(struct load *l, struct wire *c, unsigned i, uint64_t ttl_ms)
{
    static const struct client_envelope none;
    uint8_t secret[SESSION_SECRET_BYTES] = {0};
    put_u64(secret, i + 1);
    put_u64(secret + 8, c == &l->holders);
    struct msg_open open = {.secret = slice_make(secret, sizeof secret), .ttl_ms = ttl_ms};
    return wire_request(c, OP_CODE_OPEN, &none, &open);
}

static bool open_holder(struct load *l, unsigned i)
{
    return send_open(l, &l->holders, i, l->ttl_ms);
}

static bool open_waiter(struct load *l, unsigned i)
{
    return send_open(l, &l->waiters, i, TTL_MS_MAX);
}

static bool take_session(struct wire *c, uint64_t *id)
{
    struct msg_open_reply reply;
    if (c->reply.status != HF_OK) return false;
    if (codec_decode(&msg_open_reply_type, c->reply.body, NULL, &reply) != HF_OK) return false;
    *id = reply.session;
    return true;
}

static bool take_holder(struct load *l, unsigned i)
{
    return take_session(&l->holders, &l->ids[i]);
}

static bool take_waiter(struct load *l, unsigned i)
{
    return take_session(&l->waiters, &l->ids[l->sessions + i]);
}

static bool send_acquire(struct wire *c, uint64_t session, uint64_t seq, unsigned lock,
                         uint64_t wait_ms)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "lock/%u", lock);
    struct slice names[1] = {slice_of(name)};
    struct client_envelope e = {.session = session, .seq = seq, .renews = 1};
    struct msg_acquire acquire = {.names = {names, 1}, .owner = seq, .wait_ms = wait_ms};
    return wire_request(c, OP_CODE_ACQUIRE, &e, &acquire);
}

static bool hold(struct load *l, unsigned i)
{
    return send_acquire(&l->holders, l->ids[i / l->locks], i % l->locks + 1, i, 0);
}

static bool take_token(struct wire *c, uint64_t *token)
{
    struct msg_granted granted;
    if (c->reply.status != HF_OK) return false;
    if (codec_decode(&msg_granted_type, c->reply.body, NULL, &granted) != HF_OK) return false;
    bool rises = granted.fencing_token > *token;
    *token = granted.fencing_token;
    return rises;
}

static bool take_held(struct load *l, unsigned i)
{
    return take_token(&l->holders, &l->tokens[i]);
}

static bool send_keep(struct wire *c, uint64_t session)
{
    struct client_envelope e = {.session = session, .renews = 1};
    struct msg_keep keep = {{NULL, 0}};
    return wire_request(c, OP_CODE_KEEP, &e, &keep);
}

static bool keep_holder(struct load *l, unsigned i)
{
    return send_keep(&l->holders, l->ids[i]);
}

static bool take_kept(struct load *l, unsigned i)
{
    (void)i;
    return l->holders.reply.status == HF_OK;
}

/* A waiter of each lock. A parked request is not answered, so behind each few of them its session's
 * KEEP is sent, whose answer says that all before it are in the log. */
static bool park_all(struct load *l)
{
    unsigned count = l->sessions * l->locks;
    const uint64_t *ids = l->ids + l->sessions;
    for (unsigned i = 0; i < count; i++) {
        uint64_t id = ids[i / WAITS_A_SESSION];
        uint64_t seq = i % WAITS_A_SESSION + 1;
        if (!send_acquire(&l->waiters, id, seq, i, WAIT_MS_MAX)) return false;
        if (seq < WAITS_A_SESSION && i + 1 < count) continue;
        if (!send_keep(&l->waiters, id)) return false;
        if (wire_receive(&l->waiters, WIRE_REPLY_MS_MAX) != HF_OK) return false;
        if (l->waiters.reply.request_id != l->waiters.request_id) return false;
    }
    return true;
}

/* ------------------------------------------------------------------ what is told */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The cycles that ran, or began, between the two times. */
static void tell_others(const char *when, uint64_t from_us, uint64_t to_us)
{
    static uint32_t took[PROBES * CYCLES_MAX];
    size_t count = 0;
    for (unsigned p = 0; p < PROBES; p++) {
        for (unsigned i = 0; i < probes[p].count; i++) {
            uint64_t begun = probes[p].from_us[i];
            uint64_t ended = begun + 2 * (uint64_t)probes[p].took_us[i];
            if (ended >= from_us && begun < to_us) took[count++] = probes[p].took_us[i];
        }
    }
    qsort(took, count, sizeof *took, by_size);
    if (count == 0) printf(" %s: nothing", when);
    if (count > 0)
        printf(" %s: requests=%zu p50_us=%u p99_us=%u max_us=%u", when, 2 * count, took[count / 2],
               took[count - 1 - count / 100], took[count - 1]);
}

static bool make(struct load *l, uint16_t port)
{
    unsigned count = l->sessions * l->locks;
    l->ids = calloc(l->sessions + waiting_sessions(l), sizeof *l->ids);
    l->tokens = calloc(count, sizeof *l->tokens);
    bool good = l->ids != NULL && l->tokens != NULL && wire_open(&l->holders, port) &&
                wire_open(&l->waiters, port);
    good = good && exchange(l, &l->holders, l->sessions, open_holder, take_holder);
    good = good && exchange(l, &l->holders, count, hold, take_held);
    good = good && exchange(l, &l->waiters, waiting_sessions(l), open_waiter, take_waiter);
    return good && park_all(l);
}

static bool run(struct load *l, uint16_t port)
{
    for (unsigned p = 0; p < PROBES; p++) {
        probes[p].number = p;
        if (!wire_open(&probes[p].wire, port) || wire_session(&probes[p].wire) != HF_OK)
            return false;
    }
    if (!make(l, port)) return false;
    unsigned count = l->sessions * l->locks;
    if (!exchange(l, &l->holders, l->sessions, keep_holder, take_kept)) return false;
    for (unsigned p = 0; p < PROBES; p++)
        pthread_create(&probes[p].thread, NULL, run_probe, &probes[p]);
    uint64_t calm_us = now_us();
    uint64_t begun_us = 0;
    bool good = true;
    for (unsigned i = 0; good && i < count; i++) {
        good = wire_receive(&l->waiters, l->ttl_ms + WIRE_REPLY_MS_MAX) == HF_OK;
        if (i == 0) begun_us = now_us();
        uint64_t id = l->waiters.reply.request_id;
        good = good && l->waiters.reply.status == HF_OK && id != 0;
        uint64_t at = id - 1 - 1 - waiting_sessions(l); /* HELLO and the OPENs came before */
        at -= at / (WAITS_A_SESSION + 1);
        good = good && at < count && take_token(&l->waiters, &l->tokens[at]);
    }
    uint64_t ended_us = now_us();
    stop = true;
    for (unsigned p = 0; p < PROBES; p++) {
        pthread_join(probes[p].thread, NULL);
        good = good && !probes[p].failed;
        wire_close(&probes[p].wire);
    }
    printf("locks=%u first_to_last_ms=%.1f", count, (double)(ended_us - begun_us) / 1000);
    tell_others("before", calm_us, begun_us - 100000);
    tell_others("meanwhile", begun_us, ended_us);
    printf("\n");
    return good;
}

int main(int argc, char **argv)
{
    static struct cluster_process c;
    static struct load l;
    l.sessions = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
    l.locks = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 10;
    unsigned servers = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
    HF_ASSERT(l.sessions >= 1 && l.sessions <= SESSIONS_MAX);
    HF_ASSERT(l.locks >= 1 && l.locks <= LOCKS_MAX);
    HF_ASSERT(servers == 1 || servers == CLUSTER_PROCESSES);
    l.ttl_ms = CALM_MS + (uint64_t)l.sessions * l.locks / 2; /* nobody ends while it is made */
    cluster_process_init(&c, servers);
    if (!cluster_process_start(&c)) return 1;
    unsigned leader = servers > 1 ? cluster_process_leader(&c) : 0;
    bool good = run(&l, c.servers[leader].port);
    wire_close(&l.holders);
    wire_close(&l.waiters);
    free(l.ids);
    free(l.tokens);
    good = cluster_process_stop(&c) && good;
    cluster_process_close(&c, !good);
    return good ? 0 : 1;
}
