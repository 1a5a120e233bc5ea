/* See the header. */
#include "tests/sim/history.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/status.h"
#include "machine/invariants.h"
#include "protocol/entry.h"
#include "protocol/frame.h"
#include "storage/store_memory.h"
#include "tests/sim/failure.h"
#include "tests/sim/trace.h"

enum {
    ARENA_BYTES = 4 * 1024 * 1024,
    PLACES_FIRST = 1024,
    COMPLAINT_BYTES = 4096,
    OVERDUE_MS = 1000,
    WOKEN_BYTES_MAX = 256 * 1024 * 1024
};

static void *must(void *p)
{
    HF_ASSERT(p != NULL);
    return p;
}

void history_init(struct history *h, struct trace *trace)
{
    *h = (struct history){.trace = trace};
    int rv = store_memory_open(&h->store);
    if (rv == HF_OK) rv = machine_open(h->store, &h->machine);
    if (rv == HF_OK) rv = arena_init(&h->arena, ARENA_BYTES);
    HF_ASSERT(rv == HF_OK);
    for (unsigned i = 0; i < SETTING_COUNT; i++)
        h->settings[i] = setting_find((enum setting)i)->initial;
    history_events_init(h);
    h->answer_places = PLACES_FIRST;
    h->answers = must(calloc(h->answer_places, sizeof *h->answers));
    h->ops = must(calloc(ENTRY_OPS_MAX, sizeof *h->ops));
    buffer_init(&h->woken_bytes, WOKEN_BYTES_MAX);
    buffer_init(&h->part, ENTRY_BYTES_MAX);
}

void history_close(struct history *h)
{
    machine_close(h->machine);
    store_close(h->store);
    arena_close(&h->arena);
    free(h->entries);
    free(h->answers);
    free(h->tokens);
    free(h->sessions);
    free(h->ops);
    free(h->woken);
    buffer_close(&h->woken_bytes);
    buffer_close(&h->part);
    for (uint32_t i = 0; i < HF_ARRAY_COUNT(h->locks); i++) lock_rules_close(&h->locks[i].rules);
    history_branches_close(h);
    history_events_close(h);
    *h = (struct history){0};
}

/* ------------------------------------------------------------------ answers by (session, seq) */

static size_t find_place(const struct history *h, uint64_t session, uint64_t seq)
{
    uint64_t hash = (session * UINT64_C(0x9e3779b97f4a7c15) + seq) * UINT64_C(0xbf58476d1ce4e5b9);
    size_t at = (size_t)(hash >> 20) & (h->answer_places - 1);
    while (h->answers[at].op != 0 &&
           (h->answers[at].session != session || h->answers[at].seq != seq))
        at = (at + 1) & (h->answer_places - 1);
    return at;
}

static void grow_answers(struct history *h)
{
    struct history_answer *old = h->answers;
    size_t places = h->answer_places;
    h->answer_places = places * 2;
    h->answers = must(calloc(h->answer_places, sizeof *h->answers));
    for (size_t i = 0; i < places; i++) {
        if (old[i].op != 0) h->answers[find_place(h, old[i].session, old[i].seq)] = old[i];
    }
    free(old);
}

struct history_answer *history_place(struct history *h, uint64_t session, uint64_t seq)
{
    if (h->answer_count * 2 >= h->answer_places) grow_answers(h);
    struct history_answer *a = &h->answers[find_place(h, session, seq)];
    if (a->op == 0) {
        *a = (struct history_answer){.session = session, .seq = seq};
        h->answer_count++;
    }
    return a;
}

const struct history_answer *history_find(const struct history *h, uint64_t session, uint64_t seq)
{
    const struct history_answer *a = &h->answers[find_place(h, session, seq)];
    return a->op != 0 && a->answered ? a : NULL;
}

/* ------------------------------------------------------------------ the machine's answers */

static void show(const struct history *h, uint16_t op, uint64_t session, uint64_t seq,
                 const struct machine_reply *reply)
{
    if (!trace_shows(h->trace)) return;
    trace_line(h->trace, 'l', 0, "applied",
               "entry %" PRIu64 " time %" PRIu64 " %s session %" PRIu64 " seq %" PRIu64 " %s",
               h->count + 1, machine_time_ms(h->machine), op_find(op)->name, session, seq,
               reply != NULL ? status_name(reply->status) : "parked");
}

/* Its answer is not stored any more, or never was, since the session was over: then nothing else
 * may be said of it. */
static void look_at_late_copy(const struct history_op *op, const struct history_answer *a,
                              int status)
{
    if (status == HF_EREPLYGONE || status == HF_ESESSIONUNKNOWN) return;
    if (status == HF_ESESSION && a->status == HF_ESESSION) return;
    sim_fail("session %" PRIu64 " seq %" PRIu64 " was answered %s, and is applied again: %s",
             op->session, op->seq, status_name(a->status), status_name(status));
}

static void take(struct history *h, const struct history_op *op, const struct machine_reply *reply)
{
    show(h, op->op, op->session, op->seq, reply);
    if ((op_find(op->op)->traits & OP_NUMBERED) == 0) {
        struct history_answer unnumbered = {.session = op->session, .op = op->op};
        history_answered(h, &unnumbered, op->body, reply);
        return;
    }
    if (h->asked_cb != NULL) h->asked_cb(h->data, op->session);
    struct history_answer *a = history_place(h, op->session, op->seq);
    bool repeated = (reply->flags & REPLY_REPEATED) != 0;
    bool answered = a->op != 0 && a->answered;
    if (repeated && !answered)
        sim_fail("session %" PRIu64 " seq %" PRIu64 " is answered %s again, and never was",
                 op->session, op->seq, status_name(reply->status));
    if (repeated && reply->status != a->status)
        sim_fail("session %" PRIu64 " seq %" PRIu64 " was answered %s and now %s", op->session,
                 op->seq, status_name(a->status), status_name(reply->status));
    if (answered && !repeated) look_at_late_copy(op, a, reply->status);
    /* What waits is answered when it is woken; a copy of it may be told that nobody waits any more:
     * its client was told by a door that nothing was done, and the first copy came later. */
    bool waits = a->op != 0 && !a->answered;
    if (repeated) history_timer_repeated(h, a, reply);
    if (repeated) history_branch_repeated(h, a, reply);
    if (answered || (waits && reply->status == HF_EREPLYGONE)) return;
    a->op = op->op;
    a->answered = true;
    a->status = (int16_t)reply->status;
    history_answered(h, a, op->body, reply);
}

static void wake(struct history *h, uint64_t session, uint64_t seq,
                 const struct machine_reply *reply)
{
    struct history_answer *a = history_place(h, session, seq);
    if (a->op == 0 || a->answered)
        sim_fail("session %" PRIu64 " seq %" PRIu64 " is answered without having waited", session,
                 seq);
    show(h, a->op, session, seq, reply);
    a->answered = true;
    a->status = (int16_t)reply->status;
    history_answered(h, a, slice_make(NULL, 0), reply);
}

static void wake_deferred(struct history *h)
{
    for (size_t i = 0; i < h->woken_count; i++) {
        const struct history_woken *w = &h->woken[i];
        struct machine_reply reply = {.status = w->status, .flags = w->flags};
        reply.body = slice_make(h->woken_bytes.data + w->begin, w->bytes);
        wake(h, w->session, w->seq, &reply);
    }
    h->woken_count = 0;
    buffer_clear(&h->woken_bytes);
}

static void take_reply(uint32_t position, const struct machine_reply *reply, void *data)
{
    struct history *h = data;
    HF_ASSERT(position < h->op_count);
    const struct history_op *op = &h->ops[position];
    history_renew(h, op, reply->status);
    take(h, op, reply);
    wake_deferred(h);
}

static void take_parked(uint32_t position, void *data)
{
    struct history *h = data;
    HF_ASSERT(position < h->op_count);
    HF_ASSERT(h->woken_count == 0); /* what waits frees nothing */
    const struct history_op *op = &h->ops[position];
    history_renew(h, op, HF_OK);
    struct history_answer *a = history_place(h, op->session, op->seq);
    if (h->asked_cb != NULL) h->asked_cb(h->data, op->session);
    if (a->op != 0 && a->answered)
        sim_fail("session %" PRIu64 " seq %" PRIu64 " was answered %s, and waits again",
                 op->session, op->seq, status_name(a->status));
    if (a->op != 0) return; /* a copy of one that waits already */
    show(h, op->op, op->session, op->seq, NULL);
    a->op = op->op;
    history_answered(h, a, op->body, NULL);
}

static void take_woken(uint64_t session, uint64_t seq, const struct machine_reply *reply,
                       void *data)
{
    struct history *h = data;
    if (h->woken_count == h->woken_places) {
        h->woken_places = h->woken_places == 0 ? 64 : h->woken_places * 2;
        h->woken = must(realloc(h->woken, h->woken_places * sizeof *h->woken));
    }
    h->woken[h->woken_count++] = (struct history_woken){.session = session,
                                                        .seq = seq,
                                                        .begin = h->woken_bytes.size,
                                                        .bytes = reply->body.size,
                                                        .status = reply->status,
                                                        .flags = reply->flags};
    int rv = buffer_append(&h->woken_bytes, reply->body.data, reply->body.size);
    HF_ASSERT(rv == HF_OK);
}

static void read_ops(struct history *h, struct slice data)
{
    struct entry_header header;
    struct entry_reader reader;
    struct entry_op op;
    struct envelope envelope;
    h->op_count = 0;
    int rv = entry_open(data, &header, &reader);
    while (rv == HF_OK && (rv = entry_next(&reader, &op)) == HF_OK) {
        arena_reset(&h->arena);
        rv = codec_decode(&envelope_type, op.envelope, &h->arena, &envelope);
        HF_ASSERT(h->op_count < ENTRY_OPS_MAX);
        h->ops[h->op_count++] = (struct history_op){
            .session = envelope.session,
            .seq = envelope.seq,
            .op = op.op,
            .body = op.body,
            .renews = envelope.renews != 0,
        };
    }
    if (rv != HF_ENOTFOUND) sim_fail("an entry does not read back: %s", status_name(rv));
}

static void apply_part(struct history *h, struct slice data)
{
    struct machine_sink sink = {
        .reply_cb = take_reply,
        .parked_cb = take_parked,
        .woken_cb = take_woken,
        .data = h,
    };
    int rv = machine_apply(h->machine, data, &sink);
    if (rv != HF_OK) sim_fail("an entry does not apply: %s", status_name(rv));
    history_events_applied(h);
}

/* The sweep at the head of an entry, as an entry of its own: so what it ends and whom it serves is
 * told apart from what the ops do. */
static void apply_sweep(struct history *h, const struct entry_header *header)
{
    uint64_t now_ms = machine_time_ms(h->machine);
    if (header->cluster_time_ms > now_ms) now_ms = header->cluster_time_ms;
    buffer_clear(&h->part);
    int rv = entry_begin(&h->part);
    HF_ASSERT(rv == HF_OK);
    entry_close(&h->part, 0, header->cluster_time_ms, header->wall_ms);
    history_sweep(h, now_ms);
    apply_part(h, buffer_slice(&h->part));
    history_swept(h);
    wake_deferred(h);
    history_events_settle(h);
}

static void apply_ops(struct history *h, struct slice data, const struct entry_header *header)
{
    buffer_clear(&h->part);
    int rv = buffer_append(&h->part, data.data, data.size);
    HF_ASSERT(rv == HF_OK);
    entry_close(&h->part, ENTRY_HOLDS_SWEEP, header->cluster_time_ms, header->wall_ms);
    apply_part(h, buffer_slice(&h->part));
    history_events_settle(h);
}

/* An entry with ops leaves what is due to a later one, so that a renewal that was read in time
 * wins, unless for a second nothing but ops came (contract, 13). The leader has looked at a state
 * that may be as old as its entries in flight. */
static void look_at_order(const struct history *h, const struct entry_header *header)
{
    uint64_t due_ms = machine_next_deadline_ms(h->machine);
    bool sweeps = (header->flags & ENTRY_HOLDS_SWEEP) == 0 && due_ms <= header->cluster_time_ms;
    if (!sweeps || h->op_count == 0 || h->sweeps_with_ops) return;
    for (uint32_t i = 0; i < HISTORY_DUE_KEPT && i < h->count; i++) {
        if (h->due_ms[i] + OVERDUE_MS <= header->cluster_time_ms) return;
    }
    sim_fail("entry %" PRIu64 " has %u ops, and ends before them what is due for %" PRIu64 " ms",
             h->count + 1, h->op_count, header->cluster_time_ms - due_ms);
}

static void apply(struct history *h, const struct log_entry *entry)
{
    struct entry_header header;
    struct entry_reader reader;
    if (entry->type != LOG_COMMAND) return;
    read_ops(h, entry->data);
    if (trace_shows(h->trace) && h->op_count == 0)
        trace_line(h->trace, 'l', 0, "sweep", "entry %" PRIu64 " time %" PRIu64, entry->index,
                   get_u64(entry->data.data + 8));
    int rv = entry_open(entry->data, &header, &reader);
    HF_ASSERT(rv == HF_OK); /* read_ops() has */
    look_at_order(h, &header);
    if ((header.flags & ENTRY_HOLDS_SWEEP) == 0) apply_sweep(h, &header);
    if (h->op_count > 0) apply_ops(h, entry->data, &header);
    HF_ASSERT(h->op_count > 0 || (header.flags & ENTRY_HOLDS_SWEEP) == 0);
    history_locks_applied(h);
}

/* ------------------------------------------------------------------ entries by index */

void history_entry(struct history *h, uint32_t node, uint64_t term, const struct log_entry *entry)
{
    uint64_t hash = hash64(entry->type, entry->data.data, entry->data.size);
    if (entry->index <= h->count) {
        const struct history_index *known = &h->entries[entry->index - 1];
        if (known->term != entry->term || known->hash != hash)
            sim_fail("server %u applies another entry %" PRIu64 " than was applied before: term "
                     "%" PRIu64 " and not %" PRIu64,
                     node + 1, entry->index, entry->term, known->term);
        return;
    }
    if (entry->index != h->count + 1)
        sim_fail("server %u applies entry %" PRIu64 ", but nobody has applied entry %" PRIu64,
                 node + 1, entry->index, h->count + 1);
    if (h->count > 0 && h->entries[h->count - 1].term > entry->term)
        sim_fail("entry %" PRIu64 " has a smaller term than the one before", entry->index);
    if (h->count == h->capacity) {
        h->capacity = h->capacity == 0 ? 1024 : h->capacity * 2;
        h->entries = must(realloc(h->entries, h->capacity * sizeof *h->entries));
    }
    apply(h, entry);
    h->due_ms[h->count % HISTORY_DUE_KEPT] = machine_next_deadline_ms(h->machine);
    h->entries[h->count++] = (struct history_index){
        .term = entry->term, .committed_by = term, .hash = hash, .digest = store_digest(h->store)};
    if (h->entry_cb != NULL) h->entry_cb(h->data);
}

void history_at(const struct history *h, uint32_t node, uint64_t index, struct hash128 digest)
{
    if (index == 0) return;
    if (index > h->count)
        sim_fail("server %u stands at %" PRIu64 ", behind all that was applied", node + 1, index);
    struct hash128 known = h->entries[index - 1].digest;
    if (known.high != digest.high || known.low != digest.low)
        sim_fail("server %u has another state at entry %" PRIu64 " than the log gives", node + 1,
                 index);
}

/* Let the store forget the way back, which nobody goes here. */
static void flush(struct history *h)
{
    struct store_mark mark = {.index = h->count,
                              .term = h->count == 0 ? 0 : h->entries[h->count - 1].term};
    int rv = store_checkpoint(h->store, &mark);
    if (rv == HF_OK) rv = store_flush_run(h->store);
    if (rv == HF_OK) rv = store_flush_done(h->store);
    HF_ASSERT(rv == HF_OK);
}

void history_audit(struct history *h)
{
    struct buffer complaint;
    buffer_init(&complaint, COMPLAINT_BYTES);
    int rv = invariants_check(h->machine, &complaint);
    if (rv != HF_OK)
        sim_fail("the state does not hold at entry %" PRIu64 ": %s: %.*s", h->count,
                 status_name(rv), (int)complaint.size, (const char *)complaint.data);
    rv = store_verify(h->store);
    if (rv != HF_OK) sim_fail("the store's digest is wrong: %s", status_name(rv));
    buffer_close(&complaint);
    history_timers_audit(h);
    history_branches_audit(h);
    flush(h);
}
