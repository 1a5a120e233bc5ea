/* See the header. Tables: 0 counters by letter, 1 sessions (id -> ttl, deadline), 2 parked
 * (session, seq). */
#include "tests/unit/server/fake_machine.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/status.h"

enum { COUNTERS = 0, SESSIONS = 1, PARKED = 2, BODY_BYTES = 4096 };

struct fake_knobs fake_knobs;

struct machine {
    struct store *store;
    struct arena arena;
    struct buffer body;
};

int machine_open(struct store *store, struct machine **machine)
{
    struct machine *m = calloc(1, sizeof *m);
    fake_knobs = (struct fake_knobs){0};
    HF_ASSERT(m != NULL);
    m->store = store;
    buffer_init(&m->body, BODY_BYTES);
    HF_ASSERT(arena_init(&m->arena, 64 * 1024) == HF_OK);
    *machine = m;
    return HF_OK;
}

void machine_close(struct machine *m)
{
    if (m == NULL) return;
    buffer_close(&m->body);
    arena_close(&m->arena);
    free(m);
}

static uint64_t counter(const struct machine *m, char name)
{
    struct slice value;
    int rv = store_get(m->store, COUNTERS, slice_make(&name, 1), &value);
    return rv == HF_OK ? get_u64(value.data) : 0;
}

static void set_counter(struct machine *m, char name, uint64_t value)
{
    uint8_t bytes[8];
    put_u64(bytes, value);
    HF_ASSERT(store_put(m->store, COUNTERS, slice_make(&name, 1), slice_make(bytes, 8)) == HF_OK);
}

static void set_session(struct machine *m, uint64_t session, uint64_t ttl_ms)
{
    uint8_t key[8], value[16];
    put_u64(key, session);
    put_u64(value, ttl_ms);
    put_u64(value + 8, counter(m, 't') + ttl_ms);
    int rv = store_put(m->store, SESSIONS, slice_make(key, 8), slice_make(value, 16));
    HF_ASSERT(rv == HF_OK);
}

static bool renew(struct machine *m, uint64_t session)
{
    uint8_t key[8];
    struct slice value;
    put_u64(key, session);
    if (store_get(m->store, SESSIONS, slice_make(key, 8), &value) != HF_OK) return false;
    set_session(m, session, get_u64(value.data));
    return true;
}

static uint64_t first_due(const struct machine *m, uint8_t key_out[8])
{
    struct store_cursor c;
    struct slice key, value;
    uint64_t due_ms = UINT64_MAX;
    int rv = store_seek(m->store, SESSIONS, slice_make(NULL, 0), &c, &key, &value);
    for (; rv == HF_OK; rv = store_next(&c, &key, &value)) {
        if (get_u64(value.data + 8) >= due_ms) continue;
        due_ms = get_u64(value.data + 8);
        memcpy(key_out, key.data, 8);
    }
    store_cursor_close(&c);
    return due_ms;
}

static void sweep(struct machine *m)
{
    uint8_t key[8];
    uint32_t left = fake_knobs.sweep_budget != 0 ? fake_knobs.sweep_budget : UINT32_MAX;
    while (left-- > 0 && first_due(m, key) <= counter(m, 't')) {
        HF_ASSERT(store_del(m->store, SESSIONS, slice_make(key, 8)) == HF_OK);
        set_counter(m, 'x', counter(m, 'x') + 1);
    }
}

static struct machine_reply encode(struct machine *m, uint16_t op, int status, const void *body)
{
    buffer_clear(&m->body);
    HF_ASSERT(codec_encode(op_reply_type(op, status), body, &m->body) == HF_OK);
    return (struct machine_reply){.status = status, .body = buffer_slice(&m->body)};
}

static struct machine_reply grant(struct machine *m, uint64_t waited)
{
    set_counter(m, 'k', counter(m, 'k') + 1);
    struct msg_granted granted = {.fencing_token = counter(m, 'k'), .waited = waited, .count = 1};
    return encode(m, OP_CODE_ACQUIRE, HF_OK, &granted);
}

static void wake_all(struct machine *m, const struct machine_sink *sink)
{
    struct store_cursor c;
    struct slice key, value;
    while (store_seek(m->store, PARKED, slice_make(NULL, 0), &c, &key, &value) == HF_OK) {
        uint8_t copy[16];
        memcpy(copy, key.data, 16);
        store_cursor_close(&c);
        HF_ASSERT(store_del(m->store, PARKED, slice_make(copy, 16)) == HF_OK);
        struct machine_reply reply = grant(m, 1);
        sink->woken_cb(get_u64(copy), get_u64(copy + 8), &reply, sink->data);
    }
    store_cursor_close(&c);
}

static struct machine_reply open_session(struct machine *m, const struct msg_open *request)
{
    set_counter(m, 's', counter(m, 's') + 1);
    set_session(m, counter(m, 's'), request->ttl_ms);
    struct msg_open_reply reply = {.session = counter(m, 's'), .ttl_ms = request->ttl_ms};
    return encode(m, OP_CODE_OPEN, HF_OK, &reply);
}

static struct machine_reply keep(struct machine *m, uint16_t op, const struct envelope *e)
{
    struct msg_ended ended = {0};
    if (!renew(m, e->session)) return encode(m, op, HF_ESESSION, &ended);
    struct msg_keep_reply reply = {.ttl_ms = TTL_MS_MIN};
    return encode(m, op, HF_OK, &reply);
}

static void park(struct machine *m, const struct envelope *e)
{
    uint8_t key[16];
    put_u64(key, e->session);
    put_u64(key + 8, e->seq);
    int rv = store_put(m->store, PARKED, slice_make(key, 16), slice_make(NULL, 0));
    HF_ASSERT(rv == HF_OK);
}

static void apply_op(struct machine *m, uint32_t position, const struct entry_op *op,
                     const struct machine_sink *sink)
{
    _Alignas(16) uint8_t request[1024];
    struct envelope e;
    arena_reset(&m->arena);
    HF_ASSERT(codec_decode(&envelope_type, op->envelope, &m->arena, &e) == HF_OK);
    HF_ASSERT(codec_decode(op_find(op->op)->request, op->body, &m->arena, request) == HF_OK);
    if (e.renews != 0 && op->op != OP_CODE_OPEN) (void)renew(m, e.session);
    struct msg_release_reply released = {.count_left = 0};
    struct machine_reply reply;
    switch (op->op) {
    case OP_CODE_OPEN: reply = open_session(m, (const void *)request); break;
    case OP_CODE_KEEP:
    case OP_CODE_RESUME: reply = keep(m, op->op, &e); break;
    case OP_CODE_ACQUIRE:
        if (((const struct msg_acquire *)(const void *)request)->wait_ms > 0) {
            park(m, &e);
            sink->parked_cb(position, sink->data);
            return;
        }
        reply = grant(m, 0);
        break;
    case OP_CODE_RELEASE:
        wake_all(m, sink);
        reply = encode(m, op->op, HF_OK, &released);
        break;
    default: reply = encode(m, op->op, HF_EBADSTATE, &(struct msg_state){0}); break;
    }
    sink->reply_cb(position, &reply, sink->data);
}

int machine_apply(struct machine *m, struct slice entry, const struct machine_sink *sink)
{
    struct entry_header header;
    struct entry_reader reader;
    struct entry_op op;
    if (fake_knobs.apply_status != HF_OK) return fake_knobs.apply_status;
    int rv = entry_open(entry, &header, &reader);
    if (rv != HF_OK) return rv;
    if (header.cluster_time_ms > counter(m, 't')) set_counter(m, 't', header.cluster_time_ms);
    if ((header.flags & ENTRY_HOLDS_SWEEP) == 0) sweep(m);
    for (uint32_t i = 0; (rv = entry_next(&reader, &op)) == HF_OK; i++) apply_op(m, i, &op, sink);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int machine_read(struct machine *m, uint16_t op, const void *request, uint64_t elapsed_ms,
                 struct buffer *body, int *status)
{
    HF_ASSERT(request != NULL);
    if (op != OP_CODE_CHECK) {
        *status = HF_ENOTFOUND;
        return codec_encode(op_reply_type(op, *status), &(struct msg_empty){0}, body);
    }
    struct msg_check_reply reply = {.verdict = CHECK_VALID, .lease_left_ms = counter(m, 'k')};
    (void)elapsed_ms;
    *status = HF_OK;
    return codec_encode(&msg_check_reply_type, &reply, body);
}

int machine_watch(struct machine *m, const struct msg_watch *watch, struct buffer *body,
                  int *status, struct watch_found *found)
{
    *found = (struct watch_found){.next = 1, .anything = true};
    return machine_read(m, OP_CODE_WATCH, watch, 0, body, status);
}

uint64_t machine_event_next(const struct machine *m)
{
    (void)m;
    return 1;
}

uint64_t machine_time_ms(const struct machine *m)
{
    return counter(m, 't');
}

uint64_t machine_wall_ms(const struct machine *m)
{
    (void)m;
    return 0;
}

uint64_t machine_next_deadline_ms(const struct machine *m)
{
    uint8_t key[8];
    return first_due(m, key);
}

int machine_session_peek(struct machine *m, uint64_t session, uint32_t *unacked_count,
                         uint32_t *unacked_bytes)
{
    (void)m;
    (void)session;
    *unacked_count = fake_knobs.unacked_count;
    *unacked_bytes = 0;
    return HF_OK;
}

int machine_request_peek(struct machine *m, uint64_t session, uint64_t seq)
{
    (void)m;
    (void)session;
    return seq == fake_knobs.known_seq ? HF_OK : HF_ENOTFOUND;
}

void machine_count(const struct machine *m, struct machine_counts *out)
{
    *out = (struct machine_counts){.session_count = store_count(m->store, SESSIONS)};
}

uint64_t fake_expired_count(struct machine *m)
{
    return counter(m, 'x');
}

uint64_t machine_setting(const struct machine *m, enum setting setting, uint64_t unset)
{
    (void)m;
    return setting == SETTING_GRACE_MS && fake_knobs.grace_ms != 0 ? fake_knobs.grace_ms : unset;
}

int machine_member(struct machine *m, uint64_t id, uint64_t *incarnation)
{
    (void)m;
    (void)id;
    *incarnation = 0;
    return HF_OK;
}

int machine_timer_ready(struct machine *m, struct slice group)
{
    HF_ASSERT(m != NULL && group.size >= 1);
    return HF_ENOTFOUND;
}
