/* Who watches misses nothing and hears nothing twice, whoever leads (contract, 8): a hundred
 * watchers, each on a connection of its own that it drops at random moments, answers under way or
 * not, while a caller takes and gives back locks and the leader is killed again and again, or falls
 * silent. At the end each has the same events in the same order as one who reads them all at once
 * from the last leader, and each grant that the caller was told is among them. Before that: a
 * leader whose followers stand still says nothing to a watcher, not even that nothing happened.
 *
 *     watchers [CHANGES [WATCHERS [SEED]]]   default 3 changes of the leader, 100 watchers */
#include <holdfast.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "base/status.h"
#include "tests/integration/cluster_process.h"
#include "tests/integration/whole_state.h"
#include "tests/integration/wire.h"

enum {
    WATCHERS_MAX = 500,
    TOLD_MAX = 1 << 18,   /* events that one of them keeps */
    WAIT_MS = 400,        /* of a WATCH: marks come often */
    ANSWER_MS_MAX = 2500, /* then its server is left */
    CYCLE_MS = 3,         /* the caller rests so long */
    SILENT_MS = 4000,     /* a leader that is alone is listened to so long */
    END_MS_MAX = 60000,   /* the watchers have so long to come to the end */
    ONE_IN = 40,          /* WATCHes whose connection is dropped at once */
};

struct told {
    uint64_t count;     /* in use */
    uint64_t *numbers;  /* owned: TOLD_MAX, of events under "w/" */
    uint64_t *contents; /* owned: a sum of what each said */
};

struct watcher {
    pthread_t thread;
    struct prng prng;   /* its own */
    struct told told;   /* in the order it came */
    uint64_t from;      /* where it has come to */
    unsigned connects;  /* how often it had to, or wanted to */
    unsigned gaps;      /* that it was told */
    unsigned marks;     /* answers without events */
    const char *prefix; /* what it watches */
};

static struct cluster_process cluster;
static struct watcher watchers[WATCHERS_MAX];
static struct watcher reader; /* reads all at once, at the end */
static uint64_t granted[TOLD_MAX];
static atomic_uint granted_count; /* tokens that the caller was told, rising */
static atomic_bool stop_calling;
static atomic_ullong end;   /* watchers leave once they are there; UINT64_MAX: not known yet */
static atomic_bool give_up; /* they do not get there */

static void told_init(struct told *t)
{
    t->numbers = calloc(TOLD_MAX, sizeof *t->numbers);
    t->contents = calloc(TOLD_MAX, sizeof *t->contents);
    HF_ASSERT(t->numbers != NULL && t->contents != NULL);
}

/* ------------------------------------------------------------------ the caller */

static void *call(void *data)
{
    hf_client *client;
    hf_lock *lock;
    hf_options options;
    (void)data;
    hf_options_init(&options);
    options.servers = cluster.addresses;
    options.ttl_ms = 60000;
    options.timeout_ms = 30000;
    HF_ASSERT(hf_client_open(&options, &client) == HF_OK);
    HF_ASSERT(hf_lock_new(client, &lock) == HF_OK);
    for (unsigned i = 0; !atomic_load(&stop_calling); i++) {
        char name[24];
        hf_grant grant;
        snprintf(name, sizeof name, "w/%u", i % 7);
        HF_ASSERT(hf_lock_acquire(lock, name, 30000, &grant, NULL) == HF_OK);
        HF_ASSERT(i < TOLD_MAX);
        granted[i] = grant.fencing_token;
        atomic_store(&granted_count, i + 1);
        HF_ASSERT(hf_lock_release(lock, &grant, NULL) == HF_OK);
        sleep_ms(CYCLE_MS);
    }
    hf_lock_free(lock);
    hf_client_close(client);
    return NULL;
}

/* ------------------------------------------------------------------ watching */

static void note(struct watcher *w, const struct event_line *event)
{
    struct told *t = &w->told;
    HF_ASSERT(event->number >= w->from);
    HF_ASSERT(t->count == 0 || event->number > t->numbers[t->count - 1]);
    if (!slice_starts(event->name, slice_of("w/"))) return;
    HF_ASSERT(t->count < TOLD_MAX);
    t->numbers[t->count] = event->number;
    t->contents[t->count] = event->kind + 31 * event->fencing_token + event->name.data[2];
    t->count++;
}

/* Ask once. \return the status; WIRE_BROKEN, WIRE_SILENT */
static int ask(struct watcher *w, struct wire *c, uint64_t wait_ms, uint64_t events_max)
{
    const struct msg_watch request = {slice_of(w->prefix), 0, w->from, wait_ms, events_max};
    const struct client_envelope envelope = {0};
    struct msg_watch_reply reply;
    if (!wire_request(c, OP_CODE_WATCH, &envelope, &request)) return WIRE_BROKEN;
    if (wait_ms > 0 && prng_below(&w->prng, ONE_IN) == 0) return WIRE_BROKEN; /* not waited for */
    int rv = wire_receive(c, wait_ms + ANSWER_MS_MAX);
    if (rv != HF_OK || c->reply.status != HF_OK) return rv != HF_OK ? rv : c->reply.status;
    if (c->arena.data == NULL) HF_ASSERT(arena_init(&c->arena, 1 << 20) == HF_OK);
    arena_reset(&c->arena);
    HF_ASSERT(codec_decode(&msg_watch_reply_type, c->reply.body, &c->arena, &reply) == HF_OK);
    const struct event_line *events = reply.events.items;
    for (uint32_t i = 0; i < reply.events.count; i++) {
        HF_ASSERT(events[i].number < reply.next);
        note(w, &events[i]);
    }
    HF_ASSERT(reply.next >= w->from);
    w->gaps += reply.gap == 1;
    w->marks += reply.events.count == 0;
    w->from = reply.next;
    return HF_OK;
}

static void *watch(void *data)
{
    struct watcher *w = data;
    struct wire c = {.fd = -1};
    unsigned at = (unsigned)prng_below(&w->prng, CLUSTER_PROCESSES);
    while (w->from < atomic_load(&end) && !atomic_load(&give_up)) {
        if (c.fd < 0) {
            w->connects++;
            if (!wire_open(&c, cluster.servers[at].port)) {
                wire_close(&c);
                at = (at + 1) % CLUSTER_PROCESSES;
                sleep_ms(20 + prng_below(&w->prng, 30));
                continue;
            }
        }
        int rv = ask(w, &c, WAIT_MS, 1 + prng_below(&w->prng, 50));
        HF_ASSERT(rv != HF_EBADREQUEST); /* no number was invented */
        if (rv == HF_OK) continue;
        wire_close(&c);
        if (rv != WIRE_BROKEN) at = (at + 1) % CLUSTER_PROCESSES;
    }
    wire_close(&c);
    return NULL;
}

/* Where now is, as the leader says. */
static uint64_t ask_now(void)
{
    for (;;) {
        struct watcher w = {.prefix = "", .from = 0};
        struct wire c = {.fd = -1};
        unsigned leader = cluster_process_leader(&cluster);
        int rv = wire_open(&c, cluster.servers[leader].port) ? ask(&w, &c, 0, 1) : WIRE_BROKEN;
        wire_close(&c);
        if (rv == HF_OK) return w.from;
        sleep_ms(50);
    }
}

/* Everything from `from` up to `to`, from the leader. */
static void read_all(struct watcher *w, uint64_t from, uint64_t to)
{
    struct wire c = {.fd = -1};
    w->from = from;
    w->prefix = "w/";
    told_init(&w->told);
    HF_ASSERT(wire_open(&c, cluster.servers[cluster_process_leader(&cluster)].port));
    while (w->from < to) HF_ASSERT(ask(w, &c, 0, PAGE_ITEMS_MAX) == HF_OK);
    wire_close(&c);
}

static void switch_on(void)
{
    struct wire c = {.fd = -1};
    const struct msg_events_switch request = {
        .prefix = slice_of("w/"),
        .on = 1,
        .reason = slice_of("to watch it"),
        .operator_name = slice_of("watchers"),
    };
    HF_ASSERT(wire_open(&c, cluster.servers[cluster_process_leader(&cluster)].port));
    HF_ASSERT(wire_session(&c) == HF_OK);
    HF_ASSERT(wire_call(&c, OP_CODE_EVENTS_SWITCH, &request, NULL) == HF_OK);
    wire_close(&c);
}

/* ------------------------------------------------------------------ leaders */

/* Nobody can confirm that it leads: so it may not say that nothing has happened. */
static bool lone_leader_is_silent(void)
{
    struct wire c = {.fd = -1};
    struct watcher w = {.prefix = "", .from = 0};
    unsigned leader = cluster_process_leader(&cluster);
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++) {
        if (i != leader) server_process_pause(&cluster.servers[i]);
    }
    sleep_ms(100); /* until they do stand still */
    uint64_t until = now_ms() + SILENT_MS;
    bool spoke = false;
    while (!spoke && now_ms() < until) {
        if (c.fd < 0 && !wire_open(&c, cluster.servers[leader].port)) break;
        int rv = ask(&w, &c, 0, 1);
        spoke = rv == HF_OK;
        if (rv == WIRE_BROKEN || rv == WIRE_SILENT) wire_close(&c);
        sleep_ms(20);
    }
    wire_close(&c);
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++) {
        if (i != leader) server_process_resume(&cluster.servers[i]);
    }
    if (spoke) fprintf(stderr, "a leader that nobody confirms has answered a WATCH\n");
    return !spoke;
}

/* Kill the leader, or let it stand still, and bring it back when another one serves. */
static bool change_leader(struct prng *prng)
{
    unsigned leader = cluster_process_leader(&cluster);
    unsigned before = atomic_load(&granted_count);
    bool kill = prng_below(prng, 3) != 0;
    if (kill)
        server_process_kill(&cluster.servers[leader]);
    else
        server_process_pause(&cluster.servers[leader]);
    uint64_t until = now_ms() + CLUSTER_LEADER_MS_MAX;
    while (atomic_load(&granted_count) < before + 50 && now_ms() < until) sleep_ms(10);
    bool served = atomic_load(&granted_count) >= before + 50;
    if (!served) fprintf(stderr, "nothing was granted after the leader had gone\n");
    if (!kill) server_process_resume(&cluster.servers[leader]);
    return cluster_process_start(&cluster) && served;
}

/* ------------------------------------------------------------------ the end */

static bool heard_all(const struct watcher *w, unsigned number)
{
    const struct told *all = &reader.told;
    const struct told *t = &w->told;
    size_t bytes = all->count * sizeof *all->numbers;
    bool same = t->count == all->count && memcmp(t->numbers, all->numbers, bytes) == 0 &&
                memcmp(t->contents, all->contents, bytes) == 0;
    if (same && w->gaps == 0) return true;
    fprintf(stderr, "watcher %u: %" PRIu64 " of %" PRIu64 " events, %u gaps, same=%d\n", number,
            t->count, all->count, w->gaps, same);
    return false;
}

/* Each grant that the caller was told was told as an event, in the order of the tokens. */
static bool grants_are_told(void)
{
    unsigned count = atomic_load(&granted_count);
    uint64_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        char last = (char)('0' + i % 7);
        uint64_t content = EVENT_GRANTED + 31 * granted[i] + (uint64_t)last;
        while (at < reader.told.count && reader.told.contents[at] != content) at++;
        if (at < reader.told.count) continue;
        fprintf(stderr, "the grant of token %" PRIu64 " was not told\n", granted[i]);
        return false;
    }
    return true;
}

static void start_watchers(unsigned count, uint64_t from, uint64_t seed)
{
    for (unsigned i = 0; i < count; i++) {
        struct watcher *w = &watchers[i];
        prng_seed(&w->prng, seed * 1000 + i);
        told_init(&w->told);
        w->from = from;
        w->prefix = i % 2 == 0 ? "" : "w/";
        HF_ASSERT(pthread_create(&w->thread, NULL, watch, w) == 0);
    }
}

static bool end_watchers(unsigned count, uint64_t from)
{
    bool good = true;
    uint64_t last = ask_now();
    atomic_store(&end, last);
    read_all(&reader, from, last);
    unsigned connects = 0, marks = 0;
    for (unsigned i = 0; i < count; i++) {
        HF_ASSERT(pthread_join(watchers[i].thread, NULL) == 0);
        good = heard_all(&watchers[i], i) && good;
        connects += watchers[i].connects;
        marks += watchers[i].marks;
        free(watchers[i].told.numbers);
        free(watchers[i].told.contents);
    }
    printf("watchers=%u events=%" PRIu64 " grants=%u connects=%u marks=%u\n", count,
           reader.told.count, atomic_load(&granted_count), connects, marks);
    return good && grants_are_told();
}

/* Should the watchers not come to the end, they are told to leave, and what is missing shows. */
static void *guard(void *data)
{
    uint64_t until = now_ms() + END_MS_MAX;
    const atomic_bool *done = data;
    while (!atomic_load(done) && now_ms() < until) sleep_ms(50);
    atomic_store(&give_up, true);
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned changes = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    struct prng prng;
    pthread_t caller, guardian;
    atomic_bool done = false;
    HF_ASSERT(count >= 1 && count <= WATCHERS_MAX);
    prng_seed(&prng, seed);
    prng_seed(&reader.prng, seed);
    atomic_store(&end, UINT64_MAX);
    cluster_process_init(&cluster, CLUSTER_PROCESSES);
    if (!cluster_process_start(&cluster)) return 1;
    bool good = lone_leader_is_silent();
    switch_on();
    uint64_t from = ask_now();
    start_watchers(count, from, seed);
    HF_ASSERT(pthread_create(&caller, NULL, call, NULL) == 0);
    for (unsigned i = 0; i < changes && good; i++) {
        sleep_ms(300 + prng_below(&prng, 700));
        good = change_leader(&prng);
    }
    atomic_store(&stop_calling, true);
    HF_ASSERT(pthread_join(caller, NULL) == 0);
    HF_ASSERT(pthread_create(&guardian, NULL, guard, &done) == 0);
    good = end_watchers(count, from) && good;
    atomic_store(&done, true);
    HF_ASSERT(pthread_join(guardian, NULL) == 0);
    printf("changes=%u seed=%" PRIu64 "\n", changes, seed);
    good = cluster_process_agree(&cluster) && good;
    good = cluster_process_stop(&cluster) && good;
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++)
        good = whole_state_holds(&cluster.servers[i]) && good;
    free(reader.told.numbers);
    free(reader.told.contents);
    cluster_process_close(&cluster, !good);
    return good ? 0 : 1;
}
