/* The core's own life, its ticks, and the frames it writes. The happy path of a call:
 * core_call_new() encodes it, core_submit() queues it, core_pump() writes its frame, a reply frame
 * finds it by its request id (core_link.c), core_answer.c decides what it means, and
 * core_take_finished() hands it to the shell. Out of memory while a frame is written leaves the
 * connection, so that nothing half-said stays; the next one starts afresh. */
#include "client/core.h"

#include <stdlib.h>

#include "base/planted.h"
#include "base/status.h"

enum { INDEX_BITS = 12, KIND_BITS = 4, ID_SHIFT = INDEX_BITS + KIND_BITS };

_Static_assert(CORE_CALLS_MAX <= 1 << INDEX_BITS, "an index fits its bits of a request id");
_Static_assert(CORE_ABANDONS_MAX <= 1 << INDEX_BITS, "likewise");

static bool is_in_range(const struct core_config *config)
{
    return config->servers != NULL && config->random_cb != NULL &&
           config->name.size <= NAME_BYTES_MAX && config->meta.size <= META_BYTES_MAX &&
           config->ttl_ms >= TTL_MS_MIN && config->ttl_ms <= TTL_MS_MAX &&
           config->drift_ppm < 1000000 && config->margin_ms < config->ttl_ms;
}

int core_init(struct core *c, const struct core_config *config)
{
    *c = (struct core){.config = *config, .wake_ns = CORE_NEVER};
    if (!is_in_range(config)) return HF_EINVAL;
    if (config->name.size > 0) memcpy(c->name, config->name.data, config->name.size);
    if (config->meta.size > 0) memcpy(c->meta, config->meta.data, config->meta.size);
    c->config.name = slice_make(c->name, config->name.size);
    c->config.meta = slice_make(c->meta, config->meta.size);
    int rv = core_link_parse(&c->link, config->servers);
    if (rv != HF_OK) return rv;

    c->breaker =
        (struct breaker){.after_ms = config->breaker_after_ms, .open_ms = config->breaker_open_ms};
    c->budget.per_s = config->retries_per_s;
    uint64_t seed;
    config->random_cb(&seed, sizeof seed, config->random_data);
    prng_seed(&c->prng, seed);
    grants_init(&c->grants);
    list_init(&c->active);
    list_init(&c->idle);
    list_init(&c->numbered);
    list_init(&c->send_session);
    list_init(&c->send_plain);
    list_init(&c->finished);
    list_init(&c->losses);
    list_init(&c->asked);
    buffer_init(&c->in, FRAME_BYTES_MAX + 64 * 1024);
    buffer_init(&c->out, CORE_OUT_BYTES + 2 * FRAME_BYTES_MAX);
    core_link_init(c);
    c->session.keep_ns = CORE_NEVER;
    c->calls = calloc(CORE_CALLS_MAX, sizeof(struct call *));
    c->abandons = calloc(CORE_ABANDONS_MAX, sizeof(struct abandon));
    if (c->calls != NULL && c->abandons != NULL &&
        arena_init(&c->arena, CORE_ARENA_BYTES) == HF_OK &&
        recorder_open(c, config->history) == HF_OK)
        return HF_OK;
    core_close(c);
    return HF_ENOMEM;
}

void core_close(struct core *c)
{
    recorder_close(c);
    for (uint32_t i = 0; c->calls != NULL && i < c->call_count; i++) {
        buffer_close(&c->calls[i]->body);
        buffer_close(&c->calls[i]->reply);
        free(c->calls[i]);
    }
    free(c->calls);
    free(c->abandons);
    free(c->session.dead);
    grants_close(&c->grants);
    arena_close(&c->arena);
    buffer_close(&c->in);
    buffer_close(&c->out);
    *c = (struct core){0};
}

struct call *core_take_finished(struct core *c)
{
    if (list_empty(&c->finished)) return NULL;
    struct call *call = HF_CONTAINER_OF(c->finished.next, struct call, done_link);
    list_remove(&call->done_link);
    return call;
}

bool core_take_loss(struct core *c, struct grant_loss *loss)
{
    if (list_empty(&c->losses)) return false;
    struct slot *s = HF_CONTAINER_OF(c->losses.next, struct slot, loss_link);
    list_remove(&s->loss_link);
    *loss = (struct grant_loss){s->token, s->told_locally, s->reason};
    return true;
}

bool core_take_asked(struct core *c, struct grant_asked *asked, uint64_t now_ns)
{
    if (list_empty(&c->asked)) return false;
    struct slot *s = HF_CONTAINER_OF(c->asked.next, struct slot, asked_link);
    list_remove(&s->asked_link);
    uint64_t left_ns = s->asked_ns > now_ns ? s->asked_ns - now_ns : 0;
    *asked = (struct grant_asked){s->token, left_ns / 1000000};
    return true;
}

uint64_t core_draw_owner(struct core *c)
{
    uint64_t owner = 0;
    while (owner == 0) c->config.random_cb(&owner, sizeof owner, c->config.random_data);
    return owner;
}

uint64_t core_draw_id(struct core *c, enum id_kind kind, uint32_t index)
{
    HF_ASSERT(index < 1U << INDEX_BITS);
    c->id_last += 1;
    return c->id_last << ID_SHIFT | (uint64_t)kind << INDEX_BITS | index;
}

uint64_t core_deadline(const struct core *c, uint64_t send_ns, uint64_t lease_ms)
{
    uint64_t lease_ns = lease_ms * (1000000 - c->config.drift_ppm); /* 1 ms = 10^6 ns */
    uint64_t margin_ns = c->config.margin_ms * 1000000;
    return lease_ns > margin_ns ? send_ns + lease_ns - margin_ns : send_ns;
}

/* ------------------------------------------------------------------ time */

/* The earliest moment at which anything is due; each part lowers wake_ns as it looks. */
void core_tick(struct core *c, uint64_t now_ns)
{
    c->wake_ns = CORE_NEVER;
    core_session_tick(c, now_ns);
    core_calls_tick(c, now_ns);
    core_session_reset_if_drained(c, now_ns); /* of an ended one the last call may be over */
    core_link_tick(c, now_ns);
    core_link_advance(c, now_ns);
    core_pump(c, now_ns);
}

void core_drained(struct core *c, uint64_t now_ns)
{
    core_pump(c, now_ns);
}

/* ------------------------------------------------------------------ out */

int core_write(struct core *c, uint16_t op, uint64_t request_id,
               const struct client_envelope *envelope, struct slice body)
{
    size_t start = c->out.size;
    int rv = buffer_reserve(&c->out, FRAME_HEADER_BYTES);
    if (rv != HF_OK) return rv;
    c->out.size += FRAME_HEADER_BYTES;
    rv = codec_encode(&client_envelope_type, envelope, &c->out);
    if (rv == HF_OK) rv = buffer_append(&c->out, body.data, body.size);
    size_t bytes = c->out.size - start;
    if (rv == HF_OK && bytes > FRAME_BYTES_MAX) rv = HF_ETOOLARGE;
    if (rv != HF_OK) {
        c->out.size = start;
        return rv;
    }
    c->metrics.bytes_out += bytes;
    uint8_t *head = c->out.data + start; /* protocol/frame.h draws it */
    put_u32(head, (uint32_t)bytes);
    put_u16(head + 4, op);
    put_u16(head + 6, 0);
    put_u64(head + 8, request_id);
    return HF_OK;
}

/* All seqs below the oldest unanswered one are answered; the gaps between unanswered ones are
 * ranges above that. Walking them costs as many steps as calls are under way, so with many they
 * are told in every n-th request only; a server remembers what it was told. */
static uint32_t find_ranges(struct core *c, struct ack_range *ranges)
{
    if (c->range_wait > 0) {
        c->range_wait -= 1;
        return 0;
    }
    c->range_wait = c->numbered_count / ACK_RANGES_MAX;
    uint32_t gaps = 0;
    uint64_t previous = 0;
    LIST_FOR(item, &c->numbered)
    {
        const struct call *call = HF_CONTAINER_OF(item, struct call, seq_link);
        HF_ASSERT(call->seq > previous);
        if (previous != 0 && call->seq > previous + 1) {
            /* Too many: the oldest stay where they are, the last place takes the newest. */
            uint32_t at = gaps < ACK_RANGES_MAX ? gaps++ : ACK_RANGES_MAX - 1;
            ranges[at] = (struct ack_range){previous + 1, call->seq - 1};
        }
        previous = call->seq;
    }
    return gaps;
}

static void fill_envelope(struct core *c, struct client_envelope *e, struct ack_range *ranges)
{
    e->session = c->session.id;
    e->renews = !c->stalled;
    if (list_empty(&c->numbered)) {
        e->ack = c->session.seq_last;
        return;
    }
    e->ack = HF_CONTAINER_OF(c->numbered.next, struct call, seq_link)->seq - 1;
    uint32_t count = find_ranges(c, ranges);
    e->ack_ranges = (struct codec_list){ranges, count};
}

int core_write_request(struct core *c, uint16_t op, uint64_t request_id, bool with_session,
                       const void *request)
{
    const struct op_info *info = op_find(op);
    HF_ASSERT(info != NULL);
    uint8_t bytes[2 * META_BYTES_MAX];
    struct buffer body = {.data = bytes, .capacity = sizeof bytes, .bytes_max = sizeof bytes};
    int rv = codec_encode(info->request, request, &body);
    HF_ASSERT(rv == HF_OK); /* OPEN, KEEP and such are small */
    struct client_envelope envelope = {0};
    struct ack_range ranges[ACK_RANGES_MAX];
    if (with_session) fill_envelope(c, &envelope, ranges);
    return core_write(c, op, request_id, &envelope, buffer_slice(&body));
}

static int write_call(struct core *c, struct call *call, uint64_t now_ns)
{
    bool in_session = (call->op->traits & OP_SESSION) != 0;
    uint32_t index = (uint32_t)(call->id & (CORE_CALLS_MAX - 1));
    if (call->cancelling && core_takes_cancel(call)) {
        struct msg_cancel cancel = {.target_seq = call->seq};
        uint64_t id = core_draw_id(c, ID_CANCEL, index);
        int rv = core_write_request(c, OP_CODE_CANCEL, id, true, &cancel);
        if (rv != HF_OK) return rv;
        call->cancel_id = id;
        call->cancel_ns = now_ns;
        core_link_asked(c, now_ns);
        recorder_sent(c, call);
        return HF_OK;
    }
    if (planted(RETRY_UNDER_NEW_NUMBER) && !list_empty(&call->seq_link)) {
        list_remove(&call->seq_link);
        c->numbered_count -= 1;
        call->seq = 0;
    }
    if (call->seq == 0 && (call->op->traits & OP_NUMBERED) != 0) {
        call->seq = ++c->session.seq_last;
        list_push_back(&c->numbered, &call->seq_link);
        c->numbered_count += 1;
    }
    c->metrics.sends += 1;
    if (call->first_send_ns != 0) c->metrics.repeats += 1;
    if (call->first_send_ns == 0) call->first_send_ns = now_ns;
    struct client_envelope envelope = {0};
    struct ack_range ranges[ACK_RANGES_MAX];
    if (in_session) {
        fill_envelope(c, &envelope, ranges);
        envelope.seq = call->seq;
    }
    bool looks = (call->op->traits & OP_READ) != 0 && call->op->code != OP_CODE_CHECK;
    envelope.stale_ok = c->config.stale_reads && looks;
    uint64_t id = core_draw_id(c, ID_CALL, index);
    int rv = core_write(c, call->op->code, id, &envelope, buffer_slice(&call->body));
    if (rv != HF_OK) return rv;
    call->request_id = id;
    call->sent_ns = now_ns;
    if (!call->parks) core_link_asked(c, now_ns);
    call->unsure += 1;
    recorder_sent(c, call);
    return HF_OK;
}

/* The second and later sends of new work are counted; one for which there is no room comes later.
 */
static bool waits_for_budget(struct core *c, struct call *call, uint64_t now_ns)
{
    if (call->first_send_ns == 0 || call->cancelling || !call->is_new_work) return false;
    uint64_t wait_ns = budget_take(&c->budget, now_ns);
    if (wait_ns == 0) return false;
    call->resend_ns = now_ns + wait_ns;
    core_wake(c, call->resend_ns);
    return true;
}

/* \return false = the connection was left, or `out` is full. */
static bool send_queue(struct core *c, struct list *queue, uint64_t now_ns)
{
    while (!list_empty(queue)) {
        if (c->out.size >= CORE_OUT_BYTES) return false;
        struct call *call = HF_CONTAINER_OF(queue->next, struct call, send_link);
        if (call->seq == 0 && c->session.phase == SESSION_ENDED && queue == &c->send_session)
            return true; /* for the next session */
        list_remove(&call->send_link);
        if (waits_for_budget(c, call, now_ns)) continue;
        int rv = write_call(c, call, now_ns);
        if (rv == HF_OK) continue;
        core_call_queue(c, call);
        core_link_down(c, rv, true, now_ns);
        return false;
    }
    return true;
}

static void send_abandons(struct core *c, uint64_t now_ns)
{
    c->abandons_due = false;
    for (uint32_t i = 0; i < c->abandon_count; i++) {
        struct abandon *a = &c->abandons[i];
        if (a->token == 0 || a->request_id != 0) continue;
        if (a->resend_ns > now_ns) {
            c->abandons_due = true; /* still: the tick at resend_ns looks again */
            core_wake(c, a->resend_ns);
            continue;
        }
        struct msg_abandon request = {.fencing_token = a->token};
        uint64_t id = core_draw_id(c, ID_ABANDON, i);
        if (core_write_request(c, OP_CODE_ABANDON, id, true, &request) != HF_OK) {
            core_link_down(c, HF_ENOMEM, true, now_ns);
            return;
        }
        a->request_id = id;
        recorder_abandon_sent(c, a);
    }
}

void core_pump(struct core *c, uint64_t now_ns)
{
    if (c->link.state < LINK_OPEN) return;
    if (!send_queue(c, &c->send_plain, now_ns)) return;
    if (c->link.state != LINK_READY) return;
    if (c->abandons_due && c->session.phase == SESSION_LIVE) send_abandons(c, now_ns);
    if (c->link.state == LINK_READY) (void)send_queue(c, &c->send_session, now_ns);
}
