/* See the header. */
#include "tests/integration/cluster_process.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/status.h"
#include "tests/integration/wire.h"

static const char *const IDS[CLUSTER_PROCESSES] = {"1", "2", "3"};

void cluster_process_init(struct cluster_process *c, unsigned count)
{
    HF_ASSERT(count == 1 || count == CLUSTER_PROCESSES);
    *c = (struct cluster_process){.count = count};
    for (unsigned i = 0; i < c->count; i++) {
        const char *comma = i > 0 ? "," : "";
        size_t at = strlen(c->list);
        server_process_init(&c->servers[i]);
        c->peer_ports[i] = server_process_draw_port();
        snprintf(c->list + at, sizeof c->list - at, "%s%s=127.0.0.1:%u", comma, IDS[i],
                 (unsigned)c->peer_ports[i]);
        at = strlen(c->addresses);
        snprintf(c->addresses + at, sizeof c->addresses - at, "%s%s", comma, c->servers[i].address);
    }
}

void cluster_process_set_arguments(struct cluster_process *c, unsigned i, bool is_new)
{
    const char **extra = c->servers[i].extra;
    *extra++ = "--segment-mib";
    *extra++ = "4";
    *extra = NULL;
    if (c->count == 1) return;
    *extra++ = "--id";
    *extra++ = IDS[i];
    *extra++ = "--cluster";
    *extra++ = c->list;
    if (c->election_ms != NULL) {
        *extra++ = "--election-ms";
        *extra++ = c->election_ms;
    }
    *extra++ = is_new ? "--new-cluster" : NULL;
    *extra = NULL;
}

bool cluster_process_start(struct cluster_process *c)
{
    bool good = true;
    for (unsigned i = 0; i < c->count; i++) {
        struct server_process *s = &c->servers[i];
        if (s->pid != 0) continue;
        if (s->extra[0] == NULL) {
            cluster_process_set_arguments(c, i, true);
            server_process_spawn(s);
            cluster_process_set_arguments(c, i, false); /* from its second start on */
        } else {
            server_process_spawn(s);
        }
    }
    for (unsigned i = 0; i < c->count; i++) good = server_process_await(&c->servers[i]) && good;
    return good;
}

bool cluster_process_status(const struct cluster_process *c, unsigned i, struct cluster_status *s)
{
    struct wire w;
    struct msg_empty empty = {0};
    struct msg_status_reply reply;
    if (c->servers[i].pid == 0 || !wire_open(&w, c->servers[i].port)) return false;
    bool good = wire_call(&w, OP_CODE_STATUS, &empty, &reply) == HF_OK;
    if (good) {
        *s = (struct cluster_status){
            .leader = reply.leader_id,
            .term = reply.term,
            .commit_index = reply.commit_index,
            .applied = reply.applied_index,
        };
        memcpy(s->digest, reply.digest.data, sizeof s->digest);
    }
    wire_close(&w);
    return good;
}

unsigned cluster_process_leader(const struct cluster_process *c)
{
    struct cluster_status s;
    for (uint64_t until = now_ms() + CLUSTER_LEADER_MS_MAX; now_ms() < until; sleep_ms(5)) {
        for (unsigned i = 0; i < c->count; i++) {
            if (cluster_process_status(c, i, &s) && s.leader == i + 1) return i;
        }
    }
    fprintf(stderr, "no server leads: see %s/log\n", c->servers[0].folder);
    HF_ASSERT(false);
    return 0;
}

/* All that run: \return false: not at the same entry, or one did not answer. */
static bool same_entry(const struct cluster_process *c, bool *same_state)
{
    struct cluster_status s, first = {0};
    bool any = false;
    *same_state = true;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->servers[i].pid == 0) continue;
        if (!cluster_process_status(c, i, &s)) return false;
        if (!any) first = s;
        any = true;
        if (s.applied != first.applied || s.commit_index != first.commit_index) return false;
        if (memcmp(s.digest, first.digest, sizeof s.digest) != 0) *same_state = false;
    }
    return any;
}

bool cluster_process_agree(const struct cluster_process *c)
{
    bool same_state = false;
    uint64_t until = now_ms() + CLUSTER_LEADER_MS_MAX;
    while (now_ms() < until) {
        if (!same_entry(c, &same_state)) {
            sleep_ms(10);
            continue;
        }
        if (!same_state) fprintf(stderr, "the servers' states differ at the same entry\n");
        return same_state;
    }
    for (unsigned i = 0; i < c->count; i++) {
        struct cluster_status s = {0};
        bool answers = cluster_process_status(c, i, &s);
        fprintf(stderr,
                "server %u: answers=%d leader=%" PRIu64 " term=%" PRIu64 " commit=%" PRIu64
                " applied=%" PRIu64 "\n",
                i + 1, answers, s.leader, s.term, s.commit_index, s.applied);
    }
    return false;
}

void cluster_process_kill(struct cluster_process *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->servers[i].pid != 0) kill(c->servers[i].pid, SIGKILL);
    }
    for (unsigned i = 0; i < c->count; i++) server_process_kill(&c->servers[i]);
}

bool cluster_process_stop(struct cluster_process *c)
{
    bool good = true;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->servers[i].pid != 0) kill(c->servers[i].pid, SIGTERM);
    }
    for (unsigned i = 0; i < c->count; i++) {
        if (c->servers[i].pid == 0) continue;
        int code = server_process_stop(&c->servers[i]);
        if (code != 0) fprintf(stderr, "server %u ended with %d\n", i + 1, code);
        good = good && code == 0;
    }
    return good;
}

void cluster_process_close(struct cluster_process *c, bool keep)
{
    for (unsigned i = 0; i < c->count; i++) server_process_close(&c->servers[i], keep);
}
