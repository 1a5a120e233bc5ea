/* The machine's fixture: see its header. */
#include "tests/unit/machine/fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "machine/invariants.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"

enum { START_MS = 1000000, WALL_START_MS = 1700000000, SWEEPS_MAX = 1000 };

static struct answer *new_answer(struct fixture *f)
{
    assert_true(f->answer_count < ANSWERS_MAX);
    struct answer *answer = &f->answers[f->answer_count++];
    *answer = (struct answer){0};
    return answer;
}

static void take_body(struct fixture *f, struct answer *answer, const struct machine_reply *reply)
{
    uint8_t *copy = arena_take(&f->arena, reply->body.size + 1);
    assert_non_null(copy);
    memcpy(copy, reply->body.data, reply->body.size);
    answer->body = slice_make(copy, reply->body.size);
    answer->status = reply->status;
    answer->flags = reply->flags;
}

static void take_reply(uint32_t position, const struct machine_reply *reply, void *data)
{
    struct fixture *f = data;
    struct answer *answer = new_answer(f);
    answer->kind = ANSWER_REPLY;
    answer->position = position;
    take_body(f, answer, reply);
}

static void take_parked(uint32_t position, void *data)
{
    struct answer *answer = new_answer(data);
    answer->kind = ANSWER_PARKED;
    answer->position = position;
}

static void take_woken(uint64_t session, uint64_t seq, const struct machine_reply *reply,
                       void *data)
{
    struct fixture *f = data;
    struct answer *answer = new_answer(f);
    answer->kind = ANSWER_WOKEN;
    answer->session = session;
    answer->seq = seq;
    take_body(f, answer, reply);
}

static void take_overdue(struct slice name, void *data)
{
    struct fixture *f = data;
    assert_true(name.size >= 1);
    f->overdue_count++;
}

static void take_ready(struct slice group, void *data)
{
    assert_true(group.size >= 1);
    ((struct fixture *)data)->ready_count++;
}

static void take_event(enum event_type kind, struct slice name, void *data)
{
    assert_true(kind >= EVENT_LOST && kind <= EVENT_KIND_MAX && name.size <= NAME_BYTES_MAX);
    ((struct fixture *)data)->event_count++;
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->now_ms = START_MS;
    f->wall_ms = WALL_START_MS;
    assert_int_equal(store_memory_open(&f->store), HF_OK);
    assert_int_equal(machine_open(f->store, &f->m), HF_OK);
    assert_int_equal(arena_init(&f->arena, FIXTURE_ARENA_BYTES), HF_OK);
    buffer_init(&f->entry, ENTRY_BYTES_MAX);
    buffer_init(&f->complaint, 4096);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    machine_close(f->m);
    store_close(f->store);
    machine_close(f->twin);
    store_close(f->twin_store);
    arena_close(&f->arena);
    buffer_close(&f->entry);
    buffer_close(&f->complaint);
    free(f);
    return 0;
}

void fixture_add_twin(struct fixture *f)
{
    assert_int_equal(store_memory_open(&f->twin_store), HF_OK);
    assert_int_equal(machine_open(f->twin_store, &f->twin), HF_OK);
}

/* ------------------------------------------------------------------ entries */

uint32_t add_op(struct fixture *f, uint16_t op, const struct envelope *envelope,
                const void *request)
{
    if (f->op_count == 0) {
        buffer_clear(&f->entry);
        assert_int_equal(entry_begin(&f->entry), HF_OK);
    }
    struct buffer body;
    buffer_init(&body, FRAME_BYTES_MAX);
    assert_int_equal(codec_encode(op_find(op)->request, request, &body), HF_OK);
    assert_int_equal(entry_add(&f->entry, op, envelope, buffer_slice(&body)), HF_OK);
    buffer_close(&body);
    return f->op_count++;
}

static void check(struct fixture *f)
{
    if (f->unchecked) return;
    int rv = invariants_check(f->m, &f->complaint);
    if (rv == HF_OK) return;
    fail_msg("%s: %.*s", status_name(rv), (int)f->complaint.size, (const char *)f->complaint.data);
}

/* Apply without forgetting answers. */
static void apply_more(struct fixture *f)
{
    if (f->op_count == 0) {
        buffer_clear(&f->entry);
        assert_int_equal(entry_begin(&f->entry), HF_OK);
    }
    f->op_count = 0;
    entry_close(&f->entry, f->flags, f->now_ms, f->wall_ms);
    struct machine_sink sink = {
        .reply_cb = take_reply,
        .parked_cb = take_parked,
        .woken_cb = take_woken,
        .overdue_cb = take_overdue,
        .ready_cb = take_ready,
        .event_cb = take_event,
        .data = f,
    };
    assert_int_equal(machine_apply(f->m, buffer_slice(&f->entry), &sink), HF_OK);
    check(f);
    if (f->twin == NULL) return;
    assert_int_equal(machine_apply(f->twin, buffer_slice(&f->entry), NULL), HF_OK);
    struct hash128 a = store_digest(f->store);
    struct hash128 b = store_digest(f->twin_store);
    assert_true(a.high == b.high && a.low == b.low);
}

void apply_entry(struct fixture *f)
{
    f->answer_count = 0;
    arena_reset(&f->arena);
    apply_more(f);
}

void pass(struct fixture *f, uint64_t ms)
{
    f->answer_count = 0;
    arena_reset(&f->arena);
    f->now_ms += ms;
    apply_more(f);
    for (unsigned i = 0; machine_next_deadline_ms(f->m) <= f->now_ms; i++) {
        assert_true(i < SWEEPS_MAX);
        apply_more(f);
    }
}

const struct answer *call_with(struct fixture *f, uint16_t op, const struct envelope *envelope,
                               const void *request)
{
    assert_int_equal(f->op_count, 0);
    add_op(f, op, envelope, request);
    apply_entry(f);
    for (uint32_t i = 0; i < f->answer_count; i++) {
        if (f->answers[i].kind != ANSWER_WOKEN) return &f->answers[i];
    }
    fail_msg("an op was not answered");
    return NULL;
}

static struct envelope envelope_of(uint64_t session, uint64_t seq)
{
    return (struct envelope){
        .session = session,
        .seq = seq,
        .renews = session != 0,
        .principal = slice_of("anonymous"),
        .peer = slice_of("127.0.0.1:1"),
    };
}

const struct answer *call(struct fixture *f, uint16_t op, uint64_t session, uint64_t seq,
                          const void *request)
{
    struct envelope envelope = envelope_of(session, seq);
    return call_with(f, op, &envelope, request);
}

void read_body(struct fixture *f, uint16_t op, const struct answer *answer, void *out)
{
    assert_int_not_equal(answer->kind, ANSWER_PARKED);
    const struct codec_type *type = op_reply_type(op, answer->status);
    assert_int_equal(codec_decode(type, answer->body, &f->arena, out), HF_OK);
}

const struct answer *find_woken(struct fixture *f, uint64_t session, uint64_t seq)
{
    for (uint32_t i = 0; i < f->answer_count; i++) {
        const struct answer *answer = &f->answers[i];
        if (answer->kind == ANSWER_WOKEN && answer->session == session && answer->seq == seq)
            return answer;
    }
    return NULL;
}

void read_ok(struct fixture *f, uint16_t op, const void *request, uint64_t elapsed_ms, void *out)
{
    struct buffer body;
    buffer_init(&body, FRAME_BYTES_MAX);
    int status = HF_EINTERNAL;
    assert_int_equal(machine_read(f->m, op, request, elapsed_ms, &body, &status), HF_OK);
    assert_int_equal(status, HF_OK);
    uint8_t *copy = arena_take(&f->arena, body.size);
    assert_non_null(copy);
    memcpy(copy, body.data, body.size);
    struct slice bytes = slice_make(copy, body.size);
    assert_int_equal(codec_decode(op_find(op)->answer, bytes, &f->arena, out), HF_OK);
    buffer_close(&body);
}

/* ------------------------------------------------------------------ requests */

uint64_t open_session(struct fixture *f, const char *name, uint64_t ttl_ms)
{
    uint8_t secret[SESSION_SECRET_BYTES] = {0};
    snprintf((char *)secret, sizeof secret, "%s", name);
    struct msg_open open = {
        .secret = slice_make(secret, sizeof secret),
        .ttl_ms = ttl_ms,
        .name = slice_of(name),
        .meta = slice_of("m"),
    };
    const struct answer *answer = call(f, OP_CODE_OPEN, 0, 0, &open);
    assert_int_equal(answer->status, HF_OK);
    struct msg_open_reply reply;
    read_body(f, OP_CODE_OPEN, answer, &reply);
    assert_int_equal(reply.ttl_ms, ttl_ms);
    return reply.session;
}

enum { WANT_NAMES_MAX = 1 + HF_ARRAY_COUNT(((struct want *)NULL)->also) };

static struct msg_acquire acquire_of(const struct want *want, struct slice names[WANT_NAMES_MAX])
{
    uint32_t count = 1;
    names[0] = slice_of(want->name);
    while (count < WANT_NAMES_MAX && want->also[count - 1] != NULL) {
        names[count] = slice_of(want->also[count - 1]);
        count++;
    }
    return (struct msg_acquire){
        .names = {names, count},
        .owner = want->owner,
        .mode = want->mode,
        .permits = want->permits,
        .limit = want->limit,
        .wait_ms = want->wait_ms,
        .hold_max_ms = want->hold_max_ms,
        .delay_ms = want->delay_ms,
        .reentrant = want->reentrant,
        .meta = slice_of("me"),
    };
}

const struct answer *acquire(struct fixture *f, uint64_t session, uint64_t seq, struct want want)
{
    struct slice names[WANT_NAMES_MAX];
    struct msg_acquire request = acquire_of(&want, names);
    return call(f, OP_CODE_ACQUIRE, session, seq, &request);
}

uint32_t add_acquire(struct fixture *f, uint64_t session, uint64_t seq, struct want want)
{
    struct slice names[WANT_NAMES_MAX];
    struct msg_acquire request = acquire_of(&want, names);
    struct envelope envelope = envelope_of(session, seq);
    return add_op(f, OP_CODE_ACQUIRE, &envelope, &request);
}

uint64_t granted_token(struct fixture *f, const struct answer *answer)
{
    assert_non_null(answer);
    assert_int_not_equal(answer->kind, ANSWER_PARKED);
    assert_string_equal(status_name(answer->status), "OK");
    struct msg_granted granted;
    read_body(f, OP_CODE_ACQUIRE, answer, &granted);
    assert_int_equal(granted.waited, answer->kind == ANSWER_WOKEN);
    return granted.fencing_token;
}

int acquire_status(struct fixture *f, uint64_t session, uint64_t seq, struct want want)
{
    const struct answer *answer = acquire(f, session, seq, want);
    return answer->kind == ANSWER_PARKED ? ACQUIRE_WAITS : answer->status;
}

uint64_t acquire_ok(struct fixture *f, uint64_t session, uint64_t seq, struct want want)
{
    return granted_token(f, acquire(f, session, seq, want));
}

int release(struct fixture *f, uint64_t session, uint64_t seq, const char *name, uint64_t token,
            uint64_t owner)
{
    struct msg_release request = {
        .name = name != NULL ? slice_of(name) : (struct slice){0},
        .fencing_token = token,
        .owner = owner,
    };
    return call(f, OP_CODE_RELEASE, session, seq, &request)->status;
}

int change_mode(struct fixture *f, uint16_t op, uint64_t session, uint64_t seq, uint64_t token,
                uint64_t owner)
{
    struct msg_change_mode request = {.fencing_token = token, .owner = owner};
    return call(f, op, session, seq, &request)->status;
}

int keep(struct fixture *f, uint64_t session)
{
    struct msg_keep request = {0};
    return call(f, OP_CODE_KEEP, session, 0, &request)->status;
}

int abandon(struct fixture *f, uint64_t session, uint64_t token)
{
    struct msg_abandon request = {.fencing_token = token};
    return call(f, OP_CODE_ABANDON, session, 0, &request)->status;
}

const struct answer *cancel(struct fixture *f, uint64_t session, uint64_t target_seq)
{
    struct msg_cancel request = {.target_seq = target_seq};
    return call(f, OP_CODE_CANCEL, session, 0, &request);
}

int close_session(struct fixture *f, uint64_t session, uint64_t seq)
{
    struct msg_empty request = {0};
    return call(f, OP_CODE_CLOSE, session, seq, &request)->status;
}

struct msg_info_reply info_of(struct fixture *f, const char *name)
{
    struct msg_info request = {.name = slice_of(name)};
    struct msg_info_reply reply;
    read_ok(f, OP_CODE_INFO, &request, 0, &reply);
    return reply;
}

uint64_t holders_of(struct fixture *f, const char *name)
{
    return info_of(f, name).holder_count;
}

uint64_t queue_of(struct fixture *f, const char *name)
{
    return info_of(f, name).queue_length;
}
