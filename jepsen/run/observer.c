#include "jepsen/run/observer.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client/raw.h"
#include "jepsen/journal.h"
#include "jepsen/run/child.h"
#include "jepsen/run/servers.h"

enum { ASK_EVERY_MS = 50, ANSWER_MS_MAX = 400 };

struct observer_memory {
    pthread_mutex_t lock; /* shared between the processes */
    struct observation seen[RUN_SERVERS_MAX];
};

struct watch { /* one thread's */
    struct observer_memory *memory;
    unsigned server;
};

static void keep(struct watch *w, const struct msg_status_reply *reply, uint64_t asked_ns)
{
    struct observation seen = {
        .asked_ns = asked_ns,
        .leader = reply->leader_id,
        .term = reply->term,
        .commit = reply->commit_index,
        .applied = reply->applied_index,
    };
    HF_ASSERT(reply->digest.size <= sizeof seen.digest);
    seen.digest_bytes = (uint32_t)reply->digest.size;
    if (reply->digest.size > 0) memcpy(seen.digest, reply->digest.data, reply->digest.size);
    pthread_mutex_lock(&w->memory->lock);
    w->memory->seen[w->server] = seen;
    pthread_mutex_unlock(&w->memory->lock);
}

static void *watch_one(void *data)
{
    struct watch *w = data;
    char address[SERVERS_ADDRESS_BYTES];
    struct arena arena;
    hf_client *client;
    hf_options options;
    hf_options_init(&options);
    options.servers = servers_client_address(w->server, address);
    options.timeout_ms = ANSWER_MS_MAX;
    if (hf_client_open(&options, &client) != HF_OK) _Exit(74);
    if (arena_init(&arena, RAW_ARENA_BYTES) != HF_OK) _Exit(74);
    for (;;) {
        struct msg_empty request = {0};
        struct msg_status_reply reply;
        uint64_t asked_ns = journal_now_ns();
        arena_reset(&arena);
        if (raw_call(client, OP_CODE_STATUS, &request, &arena, &reply) == HF_OK)
            keep(w, &reply, asked_ns);
        (void)poll(NULL, 0, ASK_EVERY_MS);
    }
    return NULL;
}

static int watch_all(void *data)
{
    const struct observer *o = data;
    struct watch watches[RUN_SERVERS_MAX];
    pthread_t threads[RUN_SERVERS_MAX];
    for (unsigned i = 0; i < o->servers; i++) {
        watches[i] = (struct watch){o->memory, i};
        if (pthread_create(&threads[i], NULL, watch_one, &watches[i]) != 0) return 74;
    }
    for (unsigned i = 0; i < o->servers; i++) pthread_join(threads[i], NULL);
    return 0;
}

bool observer_open(struct observer *o, unsigned servers, const char *log)
{
    pthread_mutexattr_t shared;
    HF_ASSERT(servers >= 1 && servers <= RUN_SERVERS_MAX);
    *o = (struct observer){.servers = servers};
    void *memory = child_share(sizeof *o->memory);
    if (memory == NULL) return false;
    o->memory = memory;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&o->memory->lock, &shared);
    struct child c = {.body = watch_all, .data = o, .network = -1, .log = log};
    o->pid = child_start(&c);
    return o->pid > 0;
}

void observer_close(struct observer *o)
{
    if (o->pid > 0) child_kill(o->pid);
    if (o->memory != NULL) munmap(o->memory, sizeof *o->memory);
    *o = (struct observer){.servers = 0};
}

struct observation observer_look(const struct observer *o, unsigned i)
{
    HF_ASSERT(i < o->servers);
    pthread_mutex_lock(&o->memory->lock);
    struct observation seen = o->memory->seen[i];
    pthread_mutex_unlock(&o->memory->lock);
    return seen;
}

unsigned observer_leader(const struct observer *o, uint64_t since_ns, uint64_t *term)
{
    unsigned leader = o->servers;
    uint64_t greatest = 0;
    for (unsigned i = 0; i < o->servers; i++) {
        struct observation seen = observer_look(o, i);
        if (seen.asked_ns < since_ns || seen.leader != i + 1 || seen.term <= greatest) continue;
        leader = i;
        greatest = seen.term;
    }
    if (term != NULL) *term = greatest;
    return leader;
}

bool observer_all_level(const struct observer *o, uint64_t since_ns, bool *same)
{
    struct observation first = observer_look(o, 0);
    *same = true;
    for (unsigned i = 0; i < o->servers; i++) {
        struct observation seen = observer_look(o, i);
        if (seen.asked_ns < since_ns || seen.digest_bytes == 0) return false;
        if (seen.applied != first.applied || seen.commit != seen.applied) return false;
        if (seen.digest_bytes != first.digest_bytes ||
            memcmp(seen.digest, first.digest, seen.digest_bytes) != 0)
            *same = false;
    }
    return true;
}
