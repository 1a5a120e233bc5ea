/* Committed entries in, answers out; and reads.
 *
 * The driver offers every committed entry once, in order. Those that the store holds already are
 * skipped. A batch of this leader finds its requests again by index and term; in replay and on a
 * follower nobody waits, and the machine's answers fall on the floor.
 *
 * A read is evaluated when the machine has applied what was committed when it arrived, by a leader
 * that has committed an entry of its own term, and that a round begun after the read has arrived
 * has confirmed (server/rounds.h): no newer leader had committed anything by then.
 *
 * A read that may walk over many rows (OP_PAGES) waits for its turn among `pages`, of which a few
 * are served a pass: whoever asks for a thousand at once delays other pages, and nothing else.
 *
 * Failure modes: an entry or a row that does not read back ends the process. */
#include <stdlib.h>
#include <string.h>

#include "base/buggify.h"
#include "base/planted.h"
#include "base/status.h"
#include "server/replica_parts.h"

enum { REQUEST_BYTES_MAX = 1024 }; /* the largest request struct */

struct outcome {
    struct replica *replica; /**< back to it */
    int status;              /**< the first fault of a port; HF_OK */
};

static void note(struct outcome *o, int rv)
{
    if (o->status == HF_OK) o->status = rv;
}

static void take_ready(struct slice group, void *data)
{
    replica_polls_ready(((struct outcome *)data)->replica, group);
}

static void take_event(enum event_type kind, struct slice name, void *data)
{
    replica_watches_event(((struct outcome *)data)->replica, kind, name);
}

static void take_ended(uint64_t session, void *data)
{
    struct outcome *o = data;
    note(o, replica_polls_session_ended(o->replica, session));
}

static struct pending *request_at(const struct replica *r, uint32_t position)
{
    if (r->applying == NULL) return NULL;
    HF_ASSERT(position < r->applying->count);
    return r->applying->requests[position];
}

static void take_reply(uint32_t position, const struct machine_reply *reply, void *data)
{
    struct outcome *o = data;
    struct replica *r = o->replica;
    struct pending *request = request_at(r, position);
    if (request == NULL) return;
    r->applying->requests[position] = NULL;
    note(o, r->ports.reply(r->ports.data, &request->caller, reply));
    replica_poll_answered(r, request);
    pending_end(&r->pending, request);
}

/* Whose request waited before this copy of it came will hear nothing more of it there. It may be
 * this copy that is late, of a connection that its client has left: so the other is told to ask
 * again, or a client would wait for ever on a connection that is well. */
static void tell_older(struct outcome *o, const struct replica_caller *caller)
{
    struct replica *r = o->replica;
    const struct pending *older = pending_find_parked(&r->pending, caller->session, caller->seq);
    if (older != NULL) note(o, replica_refuse_now(r, &older->caller, HF_EUNKNOWN));
}

static void take_parked(uint32_t position, void *data)
{
    struct outcome *o = data;
    struct replica *r = o->replica;
    struct pending *request = request_at(r, position);
    if (request == NULL) return;
    r->applying->requests[position] = NULL;
    tell_older(o, &request->caller);
    pending_park(&r->pending, request);
    r->ports.parked(r->ports.data, &request->caller);
}

static void take_woken(uint64_t session, uint64_t seq, const struct machine_reply *reply,
                       void *data)
{
    struct outcome *o = data;
    struct replica *r = o->replica;
    struct pending *request = pending_find_parked(&r->pending, session, seq);
    if (request == NULL) return; /* its client has not come back to this leader yet */
    note(o, r->ports.reply(r->ports.data, &request->caller, reply));
    pending_end(&r->pending, request);
}

/* Said by the server that leads, once for the cluster; the audit has it on every server. */
static void take_overdue(struct slice name, void *data)
{
    struct replica *r = ((struct outcome *)data)->replica;
    if (!r->leads) return;
    HF_ASSERT(name.size <= sizeof r->overdue);
    memcpy(r->overdue, name.data, name.size);
    r->overdue_bytes = name.size;
    r->counts.overdue_count++;
}

/* The batch that this entry was, if it was one of ours; earlier ones are applied already. */
static struct batch *batch_of_entry(struct replica *r, const struct log_entry *entry)
{
    struct batch *batch = batches_first_in_flight(&r->batches);
    if (batch == NULL || batch->index != entry->index) return NULL;
    return batch->term == entry->term ? batch : NULL;
}

static int apply_command(struct replica *r, const struct log_entry *entry)
{
    struct batch *batch = batch_of_entry(r, entry);
    struct outcome outcome = {.replica = r};
    struct machine_sink sink = {
        .reply_cb = take_reply,
        .parked_cb = take_parked,
        .woken_cb = take_woken,
        .overdue_cb = take_overdue,
        .ready_cb = take_ready,
        .event_cb = take_event,
        .ended_cb = take_ended,
        .data = &outcome,
    };
    r->applying = batch;
    int rv = machine_apply(r->machine, entry->data, &sink);
    r->applying = NULL;
    if (rv != HF_OK) return rv;
    if (outcome.status != HF_OK) return outcome.status;

    if (batch != NULL) {
        for (uint32_t i = 0; i < batch->count; i++) HF_ASSERT(batch->requests[i] == NULL);
        batches_drop(&r->batches, batch);
    }
    if (r->sweep_index == entry->index) r->sweep_index = 0;
    return HF_OK;
}

static int remember_configuration(struct replica *r, const struct log_entry *entry)
{
    buffer_clear(&r->configuration);
    r->configuration_index = entry->index;
    return buffer_append(&r->configuration, entry->data.data, entry->data.size);
}

int replica_apply(void *data, const struct log_entry *entry)
{
    struct replica *r = data;
    if (entry->index <= r->applied_index) return HF_OK; /* the store holds it */
    HF_ASSERT(entry->index == r->applied_index + 1);

    int rv = replica_checkpoint(r, false);
    if (rv != HF_OK) return rv;
    bool slow = store_is_flushing(r->store) && HF_BUGGIFY(SLOW_APPLY);
    if (slow || replica_generations_full(r)) {
        r->paused = true;
        return HF_ETOOBUSY;
    }
    if (entry->type == LOG_COMMAND) rv = apply_command(r, entry);
    if (entry->type == LOG_CHANGE) rv = remember_configuration(r, entry);
    if (rv == HF_OK && planted(MARK_BEHIND_STORE)) rv = replica_checkpoint(r, false);
    if (rv != HF_OK) return rv;
    if (r->applied_index == r->checkpoint_index) r->changed_ms = r->now.elapsed_ms;
    r->applied_index = entry->index;
    r->applied_term = entry->term;
    if (entry->index % r->limits.digest_every == 0)
        digests_note(&r->digests, entry->index, store_digest(r->store));
    return HF_OK;
}

/* ------------------------------------------------------------------ reads */

static int answer_read(struct replica *r, const struct replica_caller *caller, const void *request)
{
    uint64_t applied_ms = machine_time_ms(r->machine);
    uint64_t elapsed_ms = r->clock.time_ms > applied_ms ? r->clock.time_ms - applied_ms : 0;
    struct machine_reply reply = {0};
    buffer_clear(&r->answer);
    int rv = machine_read(r->machine, caller->op, request, elapsed_ms, &r->answer, &reply.status);
    if (rv != HF_OK) return rv;
    reply.body = buffer_slice(&r->answer);
    return r->ports.reply(r->ports.data, caller, &reply);
}

static bool walks(const struct replica_caller *caller)
{
    return (op_find(caller->op)->traits & OP_PAGES) != 0;
}

static int queue_read(struct replica *r, struct list *reads, const struct replica_caller *caller,
                      struct slice body, uint64_t index)
{
    bool full = r->read_count >= r->limits.reads_max || HF_BUGGIFY(FULL_READS);
    if (full) return replica_refuse(r, caller, HF_ETOOBUSY);
    struct waiting_read *read = malloc(sizeof *read + body.size);
    if (read == NULL) return replica_refuse(r, caller, HF_ETOOBUSY);
    *read = (struct waiting_read){
        .caller = *caller,
        .index = index,
        .round = reads != &r->stale_pages ? rounds_join(&r->rounds) : 0,
        .body_bytes = body.size,
    };
    memcpy(read->body, body.data, body.size);
    list_push_back(reads, &read->link);
    r->read_count++;
    return HF_OK;
}

int replica_read(struct replica *r, struct replica_now now, const struct replica_caller *caller,
                 const void *request, struct slice body, bool stale_ok)
{
    HF_ASSERT((op_find(caller->op)->traits & OP_READ) != 0);
    r->now = now;
    if (r->stopping) return replica_refuse(r, caller, HF_ESHUTDOWN);
    if (caller->op == OP_CODE_WATCH) return replica_watch(r, caller, request); /* never stale */
    if (stale_ok && walks(caller)) return queue_read(r, &r->stale_pages, caller, body, 0);
    if (stale_ok) return answer_read(r, caller, request);
    if (driver_state(r->driver) != DRIVER_LEADER) return replica_refuse(r, caller, HF_ENOTLEADER);
    struct list *reads = walks(caller) ? &r->pages : &r->reads;
    if (!r->leads) return queue_read(r, reads, caller, body, 0);
    uint64_t index = driver_commit_index(r->driver);
    bool at_once = r->alone && r->applied_index >= index && !walks(caller);
    return at_once ? answer_read(r, caller, request) : queue_read(r, reads, caller, body, index);
}

static int serve_one(struct replica *r, const struct waiting_read *read)
{
    _Alignas(16) uint8_t request[REQUEST_BYTES_MAX];
    const struct codec_type *type = op_find(read->caller.op)->request;
    HF_ASSERT(type->struct_bytes <= sizeof request);
    arena_reset(&r->arena);
    int rv = codec_decode(type, slice_make(read->body, read->body_bytes), &r->arena, request);
    if (rv != HF_OK) return HF_EINTERNAL; /* it was decoded when it came */
    return answer_read(r, &read->caller, request);
}

static void drop_read(struct replica *r, struct waiting_read *read)
{
    list_remove(&read->link);
    free(read);
    r->read_count--;
}

/* Those that ask who leads and those that do not have half of a pass's pages each, and what the
 * others leave: neither kind can keep the other waiting for ever. */
static int serve_stale_pages(struct replica *r)
{
    int rv = HF_OK;
    uint32_t kept = list_empty(&r->pages) ? 0 : r->limits.pages_max / 2;
    while (rv == HF_OK && r->pages_left > kept && !list_empty(&r->stale_pages)) {
        struct waiting_read *read = HF_CONTAINER_OF(r->stale_pages.next, struct waiting_read, link);
        rv = serve_one(r, read);
        drop_read(r, read);
        r->pages_left--;
    }
    return rv;
}

/* Serve the front of a list: all that may be answered, or at most *left of them. */
static int serve_list(struct replica *r, struct list *reads, uint32_t *left)
{
    bool leads = driver_state(r->driver) == DRIVER_LEADER;
    if (leads && !r->leads) return HF_OK;
    LIST_FOR_SAFE(link, reads)
    {
        struct waiting_read *read = HF_CONTAINER_OF(link, struct waiting_read, link);
        if (read->index == 0) read->index = driver_commit_index(r->driver);
        bool waits = r->applied_index < read->index || r->rounds.confirmed < read->round;
        if (planted(READ_UNCONFIRMED)) waits = r->applied_index < read->index;
        if (leads && (waits || *left == 0)) return HF_OK;
        int rv = leads ? serve_one(r, read) : replica_refuse(r, &read->caller, HF_ENOTLEADER);
        drop_read(r, read);
        *left -= leads;
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

int replica_serve_reads(struct replica *r)
{
    uint32_t all = UINT32_MAX;
    int rv = serve_list(r, &r->reads, &all);
    if (rv == HF_OK) rv = serve_stale_pages(r);
    if (rv == HF_OK) rv = serve_list(r, &r->pages, &r->pages_left);
    return rv == HF_OK ? serve_stale_pages(r) : rv;
}
