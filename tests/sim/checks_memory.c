/* Claims about what a server keeps in memory: every queue is within its bound, and what is counted
 * is what is there; see tests/sim/checks.h. */
#include <inttypes.h>

#include "base/status.h"
#include "protocol/limits.h"
#include "raft/peers_private.h"
#include "raft/wal_private.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum { SEEKING_MAX = 4096, POLLS_MAX = 4096 }; /* server/replica_{seeking,polls}.c's */

static void at_most(const struct sim_node *n, const char *what, uint64_t have, uint64_t most)
{
    if (have > most)
        sim_fail("server %u: %s: %" PRIu64 ", and %" PRIu64 " are the most", n->index + 1, what,
                 have, most);
}

static void equal(const struct sim_node *n, const char *what, uint64_t counted, uint64_t there)
{
    if (counted != there)
        sim_fail("server %u: %s: %" PRIu64 " are counted, and %" PRIu64 " are there", n->index + 1,
                 what, counted, there);
}

static uint64_t length(const struct list *head)
{
    uint64_t count = 0;
    for (const struct list *at = head->next; at != head; at = at->next) count++;
    return count;
}

/* \return requests in it that somebody waits for. */
static uint64_t look_at_batches(const struct list *head, uint64_t *bytes, uint64_t *with_ops)
{
    uint64_t requests = 0;
    for (const struct list *at = head->next; at != head; at = at->next) {
        const struct batch *batch = HF_CONTAINER_OF(at, const struct batch, link);
        *bytes += batch->entry.size;
        *with_ops += batch->count > 0;
        for (uint32_t i = 0; i < batch->count; i++) requests += batch->requests[i] != NULL;
    }
    return requests;
}

static void look_at_requests(const struct sim_node *n)
{
    const struct replica *r = n->replica;
    uint64_t waiting_bytes = 0, flying_bytes = 0, waiting_count = 0, flying_count = 0;
    uint64_t requests = r->pending.parked.count;
    requests += look_at_batches(&r->batches.waiting, &waiting_bytes, &waiting_count);
    requests += look_at_batches(&r->batches.in_flight, &flying_bytes, &flying_count);
    equal(n, "unanswered requests", r->pending.requests.used, requests);
    at_most(n, "unanswered requests", requests, r->limits.pending_max);
    equal(n, "waiting bytes", r->batches.waiting_bytes, waiting_bytes);
    at_most(n, "waiting bytes", waiting_bytes, r->limits.waiting_exempt_max + ENTRY_BYTES_MAX);
    equal(n, "entries in flight", r->batches.in_flight_count, flying_count);
    at_most(n, "entries in flight", flying_count, r->limits.in_flight_max);
    equal(n, "reads", r->read_count, length(&r->reads) + length(&r->pages));
    at_most(n, "reads", r->read_count, r->limits.reads_max);
    equal(n, "requests without a leader", r->seeking_count, length(&r->seeking));
    at_most(n, "requests without a leader", r->seeking_count, SEEKING_MAX);
}

/* \return sessions with POLLs that wait, which live by this server's own state. */
static uint64_t count_living_owners(const struct sim_node *n)
{
    const struct table *owners = &n->replica->polls.owners;
    uint64_t count = 0;
    for (size_t i = 0; i < owners->bucket_count; i++) {
        for (const struct table_node *at = owners->buckets[i]; at != NULL; at = at->next) {
            uint32_t ignored;
            int rv = machine_session_peek(n->replica->machine, at->key[0], &ignored, &ignored);
            count += rv == HF_OK;
        }
    }
    return count;
}

static void look_at_polls(const struct sim_node *n)
{
    const struct replica_polls *p = &n->replica->polls;
    equal(n, "POLLs that wait", p->polls.count, length(&p->by_end));
    at_most(n, "POLLs that wait", p->polls.count, POLLS_MAX);
    at_most(n, "groups with POLLs", p->groups.count, p->polls.count);
    at_most(n, "sessions with POLLs", p->owners.count, p->polls.count);
    at_most(n, "groups to be looked at", length(&p->marked), p->groups.count);
    equal(n, "living sessions with POLLs", p->owners.count, count_living_owners(n));
}

static void look_at_clients(const struct sim_node *n)
{
    const struct list *head = &n->door.connections;
    uint64_t in_bytes = 0, count = 0;
    for (const struct list *at = head->next; at != head; at = at->next, count++) {
        const struct door_connection *c = HF_CONTAINER_OF(at, const struct door_connection, link);
        in_bytes += c->in.size;
        at_most(n, "a client's output", c->out.size, DOOR_OUT_BYTES_MAX + FRAME_BYTES_MAX);
        at_most(n, "a client's requests", c->unanswered,
                CONNECTION_REQUESTS_MAX + UNACKED_RESERVE + 1);
        at_most(n, "a client's sessions", c->session_count, DOOR_SESSIONS_MAX);
        equal(n, "a client's sessions", c->session_count, length(&c->sessions));
    }
    equal(n, "clients", n->door.by_id.count, count);
    equal(n, "bytes of cut frames", n->door.in_bytes, in_bytes);
    at_most(n, "bytes of cut frames", in_bytes, DOOR_IN_BYTES_MAX);
}

static void look_at_peers(const struct sim_node *n)
{
    const struct peers *p = n->replica->peers;
    for (const struct list *at = p->outs.next; at != &p->outs; at = at->next) {
        const struct peer_out *out = HF_CONTAINER_OF(at, const struct peer_out, link);
        const struct peer_member *m = HF_CONTAINER_OF(out, const struct peer_member, out);
        at_most(n, "bytes for another server", out->out.size, PEERS_OUT_BYTES_MAX);
        at_most(n, "bytes behind a read", m->behind.size, PEERS_OUT_BYTES_MAX);
    }
    equal(n, "links in", p->in_count, length(&p->ins));
    at_most(n, "links in", p->in_count, 2 * PEERS_IN_MAX);
    for (const struct list *at = p->ins.next; at != &p->ins; at = at->next)
        at_most(n, "bytes of a cut frame", HF_CONTAINER_OF(at, const struct peer_in, link)->in.size,
                PEER_FRAME_BYTES_MAX);
}

static void look_at_log(const struct sim_node *n)
{
    const struct entries *e = &n->replica->entries;
    const struct wal *w = n->replica->wal;
    at_most(n, "bytes of entries", e->bytes, 2 * e->bytes_max + PEER_FRAME_BYTES_MAX);
    at_most(n, "reads of the log", w->read_count, WAL_READS_MAX);
    /* the one that runs is in its job, the others are in the list */
    uint64_t reads = length(&w->reads);
    if (reads > w->read_count || w->read_count > reads + 1)
        equal(n, "reads of the log", w->read_count, reads);
}

void checks_memory(const struct sim_node *n)
{
    look_at_requests(n);
    look_at_polls(n);
    look_at_clients(n);
    look_at_peers(n);
    look_at_log(n);
}
