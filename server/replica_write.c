/* Requests in, batches out. A request joins the open batch; replica_propose(), at the end of a
 * pass, stamps batches with cluster time and gives them to the driver, at most in_flight_max at
 * once: while those are being written the next one grows.
 *
 * Expiry and what was read in the same pass: a KEEP that has arrived must not lose against a
 * deadline that this pass finds due. So ops go in entries that hold the sweep, and one that carries
 * time alone follows at once and sweeps. Under a load that leaves no room for such an entry for a
 * second, those with ops sweep themselves: expiry is late then, but never starved. They carry the
 * true time either way: a renewal that was stamped earlier would shorten its lease.
 *
 * Failure modes: no leader, no room, no space: a status of this server, class 1, before anything
 * is in the log; a copy of a request that was taken before passes, or is told class 2. Leadership
 * lost with entries in flight: class 2. */
#include "base/buggify.h"
#include "base/planted.h"
#include "base/status.h"
#include "server/replica_parts.h"

enum { OVERDUE_MS_MAX = 1000, DEADLINE_NEAR_MS = 20 };

static const char PRINCIPAL[] = "anonymous"; /* until there is authentication */

int replica_refuse(struct replica *r, const struct replica_caller *caller, int status)
{
    if (status == HF_ENOTLEADER && replica_seek_leader(r, caller)) return HF_OK;
    return replica_refuse_now(r, caller, status);
}

int replica_refuse_now(struct replica *r, const struct replica_caller *caller, int status)
{
    HF_ASSERT(status != HF_OK);
    struct msg_redirect redirect = {0};
    struct msg_retry retry = {.retry_ms = RETRY_MS};
    struct msg_empty empty = {0};
    const void *detail = &empty;
    if (status == HF_ETOOBUSY) detail = &retry;
    if (status == HF_ENOTLEADER) detail = &redirect;
    if (status == HF_ENOTLEADER)
        redirect.leader_client = slice_of(replica_client_of(r, replica_known_leader(r)));

    buffer_clear(&r->answer);
    int rv = codec_encode(op_reply_type(caller->op, status), detail, &r->answer);
    if (rv != HF_OK) return rv;
    if (status == HF_ETOOBUSY || status == HF_ENOSPACE || status == HF_EUNACKED)
        r->counts.refused_count++;
    struct machine_reply reply = {.status = status, .body = buffer_slice(&r->answer)};
    return r->ports.reply(r->ports.data, caller, &reply);
}

/* HF_OK: an earlier copy of this request is in the log, or on its way there, or waits to go there.
 * HF_ENOTFOUND: none. */
static int find_earlier_copy(struct replica *r, const struct replica_caller *caller)
{
    if (caller->seq == 0) return HF_ENOTFOUND;
    if (pending_has(&r->pending, caller->session, caller->seq)) return HF_OK;
    if (replica_poll_is_waiting(r, caller->session, caller->seq)) return HF_OK;
    return machine_request_peek(r->machine, caller->session, caller->seq);
}

int replica_knows(struct replica *r, const struct replica_caller *caller, bool *known)
{
    int rv = find_earlier_copy(r, caller);
    *known = rv == HF_OK;
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

bool replica_has_room(const struct replica *r)
{
    return r->batches.waiting_bytes < r->limits.waiting_exempt_max && pending_has_room(&r->pending);
}

/* Class 1 says "certainly not applied": never to a copy of something that was. */
static int turn_away(struct replica *r, const struct replica_caller *caller, int status)
{
    int rv = find_earlier_copy(r, caller);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    return replica_refuse(r, caller, rv == HF_OK ? HF_EUNKNOWN : status);
}

int replica_turn_away(struct replica *r, struct replica_now now,
                      const struct replica_caller *caller, int status)
{
    r->now = now;
    return turn_away(r, caller, status);
}

static int admit_numbered(struct replica *r, const struct replica_caller *caller)
{
    uint32_t unacked_count = 0;
    uint32_t unacked_bytes = 0;
    int rv = machine_session_peek(r->machine, caller->session, &unacked_count, &unacked_bytes);
    if (rv != HF_OK) return status_kind(rv) == STATUS_FAULT ? rv : HF_OK; /* apply tells it why */
    uint32_t count_max = UNACKED_MAX + (caller->exempt ? UNACKED_RESERVE : 0);
    uint32_t bytes_max =
        UNACKED_BYTES_MAX + (caller->exempt ? UNACKED_RESERVE * REPLY_STORED_BYTES_MAX : 0);
    bool room = unacked_count + pending_load(&r->pending, caller->session) < count_max &&
                unacked_bytes < bytes_max;
    return room ? HF_OK : HF_EUNACKED;
}

/* At the disk's reserve ACQUIRE, BEGIN, SET and BRANCH are refused; OPEN, which a COMPLETE may
 * need, only when the log is in its last segment. Contract, 9. */
static bool has_space_for(struct replica *r, const struct op_info *info)
{
    if (replica_has_space(r) && !r->members_short) return true;
    return (info->traits & OP_TAKES) == 0 && wal_has_room(r->wal);
}

/* Limits that a copy of an earlier request may pass: it asks for nothing new. */
static int admit_new(struct replica *r, const struct replica_caller *caller,
                     const struct op_info *info)
{
    if (!caller->exempt) {
        if (HF_BUGGIFY(FULL_QUEUE)) return HF_ETOOBUSY;
        if (r->batches.waiting_bytes >= r->limits.waiting_bytes_max) return HF_ETOOBUSY;
        if (!has_space_for(r, info)) return HF_ENOSPACE;
        if (replica_generations_full(r)) return HF_ETOOBUSY;
    }
    return (info->traits & OP_NUMBERED) != 0 ? admit_numbered(r, caller) : HF_OK;
}

/* HF_OK: take it. Anything else is the refusal. */
static int admit(struct replica *r, const struct replica_caller *caller, const struct op_info *info)
{
    if (r->stopping) return HF_ESHUTDOWN;
    if (driver_state(r->driver) != DRIVER_LEADER) return HF_ENOTLEADER;
    if (r->batches.waiting_bytes >= r->limits.waiting_exempt_max) return HF_ETOOBUSY;
    int refusal = admit_new(r, caller, info);
    if (refusal == HF_OK || status_kind(refusal) == STATUS_FAULT) return refusal;
    int rv = find_earlier_copy(r, caller);
    return rv == HF_ENOTFOUND ? refusal : rv;
}

int replica_write(struct replica *r, struct replica_now now, const struct replica_caller *caller,
                  const struct client_envelope *client, struct slice peer, struct slice body)
{
    const struct op_info *info = op_find(caller->op);
    HF_ASSERT(info != NULL && (info->traits & OP_WRITE) != 0);
    r->now = now;
    int rv = admit(r, caller, info);
    if (rv == HF_ENOTLEADER) return replica_refuse(r, caller, rv);
    if (rv != HF_OK) return status_kind(rv) == STATUS_FAULT ? rv : turn_away(r, caller, rv);

    struct envelope envelope = {
        .session = client->session,
        .seq = client->seq,
        .ack = client->ack,
        .ack_ranges = client->ack_ranges,
        .renews = client->renews,
        .traceparent = client->traceparent,
        .principal = slice_make(PRINCIPAL, sizeof PRINCIPAL - 1),
        .peer = peer,
        .acl_revision = 0,
    };
    bool waits = false;
    if (caller->op == OP_CODE_CANCEL) rv = replica_poll_cancelled(r, caller->session, body);
    if (caller->op == OP_CODE_TIMER_POLL)
        rv = replica_poll_waits(r, caller, &envelope, body, &waits);
    if (rv != HF_OK || waits) return rv;
    struct pending *request = pending_new(&r->pending, caller, (info->traits & OP_NUMBERED) != 0);
    if (request == NULL) return turn_away(r, caller, HF_ETOOBUSY);
    rv = batches_add(&r->batches, now.elapsed_ms, caller->op, request, &envelope, body);
    if (rv == HF_OK) return HF_OK;
    pending_end(&r->pending, request);
    return turn_away(r, caller, HF_ETOOBUSY);
}

int replica_write_own(struct replica *r, uint16_t op, struct slice body)
{
    struct envelope envelope = {.principal = slice_make(PRINCIPAL, sizeof PRINCIPAL - 1)};
    return batches_add(&r->batches, r->now.elapsed_ms, op, NULL, &envelope, body);
}

/* ------------------------------------------------------------------ batches out */

/* Whether an entry with ops leaves what is due to a later one: see the file's head. */
static uint16_t flags_for_ops(const struct replica *r)
{
    uint64_t due_ms = machine_next_deadline_ms(r->machine);
    uint64_t time_ms = r->clock.time_ms;
    bool overdue = due_ms < time_ms && time_ms - due_ms >= OVERDUE_MS_MAX;
    if (planted(SWEEP_BEFORE_RENEWALS)) overdue = true;
    return overdue || HF_BUGGIFY(SWEEP_WITH_OPS) ? 0 : ENTRY_HOLDS_SWEEP;
}

/* HF_ETOOBUSY, HF_ENOTLEADER: not now, the batch stays. */
static int submit(struct replica *r, struct batch *batch, uint16_t flags)
{
    uint64_t index = 0;
    uint64_t time_ms = planted(OWN_CLOCK_IN_LOG) ? r->now.elapsed_ms : r->clock.time_ms;
    uint32_t op_count = batch->count;
    if (time_ms < r->proposed_time_ms) time_ms = r->proposed_time_ms;
    if (HF_BUGGIFY(FULL_LOG)) return HF_ETOOBUSY;
    entry_close(&batch->entry, flags, time_ms, r->now.wall_ms);
    int rv = driver_submit(r->driver, r->now.elapsed_ms, buffer_slice(&batch->entry), &index);
    if (rv != HF_OK) return rv;
    batches_submitted(&r->batches, batch, index, driver_term(r->driver));
    r->proposed_time_ms = time_ms;
    r->proposed_ms = r->now.elapsed_ms;
    r->counts.entry_count++;
    r->counts.op_count += op_count;
    return HF_OK;
}

/* KEEPs alone wait a little for company: a thousand sessions' renewals make one entry. */
static bool waits_for_company(const struct replica *r, const struct batch *batch)
{
    return batch->keeps_only && !batch_is_full(&r->batches, batch) && !r->stopping &&
           r->now.elapsed_ms - batch->opened_ms < r->limits.keep_wait_ms;
}

/* Never in a server. In simulation, so that a renewal and the end of its lease meet in one ms: no
 * later than the deadline, which is when this server wakes. */
static bool waits_for_deadline(const struct replica *r)
{
    uint64_t due_ms = machine_next_deadline_ms(r->machine);
    uint64_t time_ms = r->clock.time_ms;
    bool frozen = r->clock.frozen_until_ms > r->now.elapsed_ms;
    bool near = due_ms > time_ms && due_ms - time_ms <= DEADLINE_NEAR_MS;
    return near && !frozen && r->sweep_index == 0 && HF_BUGGIFY(ON_DEADLINE);
}

static int submit_waiting(struct replica *r, bool sweep_due)
{
    while (r->batches.in_flight_count < r->limits.in_flight_max) {
        struct batch *batch = batches_first_waiting(&r->batches);
        if (batch == NULL) return HF_OK;
        if (batch->count == 0) {
            batches_drop(&r->batches, batch);
            continue;
        }
        if (!sweep_due && waits_for_company(r, batch)) return HF_OK;
        if (buggify_now != NULL && waits_for_deadline(r)) return HF_OK;
        int rv = submit(r, batch, flags_for_ops(r));
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

/* An entry that carries time alone. One at a time: what it leaves due, the next one takes. */
static int submit_sweep(struct replica *r)
{
    struct batch *batch = batches_add_empty(&r->batches, r->now.elapsed_ms);
    if (batch == NULL) return HF_ENOMEM;
    int rv = submit(r, batch, 0);
    if (rv != HF_OK) {
        batches_drop(&r->batches, batch);
        return rv;
    }
    r->sweep_index = batch->index;
    return HF_OK;
}

static bool sweep_is_due(const struct replica *r)
{
    if (r->sweep_index != 0) return false;
    if (r->clock.frozen_until_ms > r->now.elapsed_ms) return false; /* the grace */
    uint64_t due_ms = machine_next_deadline_ms(r->machine);
    if (due_ms == UINT64_MAX) return false;
    return due_ms <= r->clock.time_ms ||
           r->now.elapsed_ms - r->proposed_ms >= r->limits.idle_entry_ms;
}

int replica_propose(struct replica *r)
{
    if (!r->leads) return HF_OK;
    bool sweep_due = sweep_is_due(r);
    int rv = submit_waiting(r, sweep_due);
    if (rv == HF_OK && sweep_due && batches_first_waiting(&r->batches) == NULL)
        rv = submit_sweep(r);
    if (rv == HF_ETOOBUSY || rv == HF_ENOTLEADER) rv = HF_OK; /* a later pass, or disowned */
    return rv;
}

/* ------------------------------------------------------------------ leadership lost */

static int disown_batch(struct replica *r, struct batch *batch, int status)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct pending *request = batch->requests[i];
        if (request == NULL) continue;
        int rv = replica_refuse(r, &request->caller, status);
        if (rv != HF_OK) return rv;
        pending_end(&r->pending, request);
    }
    batches_drop(&r->batches, batch);
    return HF_OK;
}

int replica_disown(struct replica *r)
{
    struct batch *batch = NULL;
    int rv = HF_OK;
    while (rv == HF_OK && (batch = batches_first_waiting(&r->batches)) != NULL)
        rv = disown_batch(r, batch, HF_ENOTLEADER);
    while (rv == HF_OK && (batch = batches_first_in_flight(&r->batches)) != NULL)
        rv = disown_batch(r, batch, HF_EUNKNOWN);

    struct table_node *node = NULL;
    while (rv == HF_OK && (node = table_any(&r->pending.parked)) != NULL) {
        struct pending *request = HF_CONTAINER_OF(node, struct pending, node);
        rv = replica_refuse(r, &request->caller, HF_EUNKNOWN);
        pending_end(&r->pending, request);
    }
    r->sweep_index = 0;
    if (rv == HF_OK) rv = replica_polls_disown(r);
    return rv == HF_OK ? replica_watches_disown(r) : rv;
}
