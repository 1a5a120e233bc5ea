/* Happy path: one op makes one entry, applied to both machines; the sink keeps copies of what came
 * out. Failure modes: whatever should not happen fails the test at once. */
#include "tests/unit/records/record_rig.h"

#include <stdlib.h>

#include "base/hash.h"
#include "machine/invariants.h"
#include "protocol/frame.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"

enum { MEMORY_BYTES = 64 * 1024 * 1024, ENTRY_MAX = 2 * 1024 * 1024, TAPE_MAX = 64 * 1024 * 1024 };

/* ------------------------------------------------------------------ the pair */

static void open_one(struct store **store, struct machine **m)
{
    assert_int_equal(store_memory_open(store), HF_OK);
    assert_int_equal(machine_open(*store, m), HF_OK);
}

struct rig *rig_open(void)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    open_one(&r->store, &r->m);
    open_one(&r->twin_store, &r->twin);
    assert_int_equal(arena_init(&r->memory, MEMORY_BYTES), HF_OK);
    r->now_ms = 1000000;
    r->wall_ms = UINT64_C(1700000000000);
    r->check_every = 1;
    buffer_init(&r->entry, ENTRY_MAX);
    buffer_init(&r->body, ENTRY_MAX);
    buffer_init(&r->tape, TAPE_MAX);
    return r;
}

void rig_close(struct rig *r)
{
    machine_close(r->m);
    machine_close(r->twin);
    store_close(r->store);
    store_close(r->twin_store);
    arena_close(&r->memory);
    buffer_close(&r->entry);
    buffer_close(&r->body);
    buffer_close(&r->tape);
    free(r);
}

void rig_forget(struct rig *r)
{
    arena_reset(&r->memory);
    r->woken_count = 0;
}

/* ------------------------------------------------------------------ answers */

static struct slice keep_bytes(struct rig *r, struct slice bytes)
{
    uint8_t *copy = arena_take(&r->memory, bytes.size + 1);
    assert_non_null(copy);
    if (bytes.size != 0) memcpy(copy, bytes.data, bytes.size);
    return slice_make(copy, bytes.size);
}

static void fill(struct rig *r, struct answer *a, uint16_t op, const struct machine_reply *reply)
{
    *a = (struct answer){.status = reply->status, .flags = reply->flags};
    a->body = keep_bytes(r, reply->body);
    const struct codec_type *type = op_reply_type(op, a->status);
    if (type == &msg_empty_type) return;
    assert_true(type->struct_bytes <= sizeof a->as);
    assert_int_equal(codec_decode(type, a->body, &r->memory, &a->as), HF_OK);
}

/* Add an answer to the hash of what an entry's answers say. */
static void add_said(struct rig *r, uint64_t who, uint64_t seq, const struct machine_reply *reply)
{
    uint8_t head[24];
    put_u64(head, who);
    put_u64(head + 8, seq);
    put_u64(head + 16, (uint64_t)(int64_t)reply->status << 8 | reply->flags);
    r->said = hash128(r->said, head, sizeof head).low;
    r->said = hash128(r->said, reply->body.data, reply->body.size).low;
}

static void on_reply(uint32_t position, const struct machine_reply *reply, void *data)
{
    struct rig *r = data;
    assert_int_equal(position, 0);
    add_said(r, 0, 0, reply);
    fill(r, &r->last, r->last_op, reply);
}

static void on_parked(uint32_t position, void *data)
{
    struct rig *r = data;
    assert_int_equal(position, 0);
    r->last = (struct answer){.parked = true};
}

static void on_woken(uint64_t session, uint64_t seq, const struct machine_reply *reply, void *data)
{
    struct rig *r = data;
    add_said(r, session, seq, reply);
    assert_true(r->woken_count < RIG_WOKEN_MAX);
    struct answer *a = &r->woken[r->woken_count++];
    fill(r, a, OP_CODE_BEGIN, reply);
    a->session = session;
    a->seq = seq;
}

static void on_twin_reply(uint32_t position, const struct machine_reply *reply, void *data)
{
    struct rig *r = data;
    assert_int_equal(position, 0);
    r->twin_body = keep_bytes(r, reply->body);
}

/* ------------------------------------------------------------------ entries */

static void check(struct rig *r)
{
    struct hash128 mine = store_digest(r->store);
    struct hash128 other = store_digest(r->twin_store);
    assert_true(mine.high == other.high && mine.low == other.low);
    if (++r->entry_count % r->check_every != 0) return;
    struct buffer complaint;
    buffer_init(&complaint, 4096);
    int rv = invariants_check(r->m, &complaint);
    if (rv != HF_OK) print_error("%.*s\n", (int)complaint.size, (const char *)complaint.data);
    buffer_close(&complaint);
    assert_int_equal(rv, HF_OK);
}

/* size, entry, digest, said */
static void tape(struct rig *r)
{
    uint8_t head[4];
    uint8_t tail[24];
    struct hash128 digest = store_digest(r->store);
    put_u32(head, (uint32_t)r->entry.size);
    put_u64(tail, digest.high);
    put_u64(tail + 8, digest.low);
    put_u64(tail + 16, r->said);
    assert_int_equal(buffer_append(&r->tape, head, sizeof head), HF_OK);
    assert_int_equal(buffer_append(&r->tape, r->entry.data, r->entry.size), HF_OK);
    assert_int_equal(buffer_append(&r->tape, tail, sizeof tail), HF_OK);
}

static void apply(struct rig *r)
{
    const struct machine_sink sink = {
        .reply_cb = on_reply,
        .parked_cb = on_parked,
        .woken_cb = on_woken,
        .data = r,
    };
    const struct machine_sink twin_sink = {.reply_cb = on_twin_reply, .data = r};
    entry_close(&r->entry, 0, r->now_ms, r->wall_ms);
    r->last = (struct answer){0};
    r->twin_body = (struct slice){0};
    r->said = 0;
    assert_int_equal(machine_apply(r->m, buffer_slice(&r->entry), &sink), HF_OK);
    assert_int_equal(machine_apply(r->twin, buffer_slice(&r->entry), &twin_sink), HF_OK);
    assert_true(slice_equal(r->last.body, r->twin_body));
    check(r);
    if (r->taping) tape(r);
}

static void new_entry(struct rig *r)
{
    buffer_clear(&r->entry);
    assert_int_equal(entry_begin(&r->entry), HF_OK);
}

void rig_step(struct rig *r, uint64_t ms)
{
    r->now_ms += ms;
    r->wall_ms += ms;
    new_entry(r);
    apply(r);
}

void rig_pass(struct rig *r, uint64_t ms)
{
    rig_step(r, ms);
    for (int turns = 0; machine_next_deadline_ms(r->m) <= r->now_ms; turns++) {
        assert_true(turns < 1000); /* a deadline that stays due would keep a leader busy */
        rig_step(r, 0);
    }
}

struct answer rig_send_as(struct rig *r, uint64_t session, uint64_t seq, uint16_t op,
                          const void *request)
{
    const struct op_info *info = op_find(op);
    assert_non_null(info);
    const char *sentence = "";
    assert_int_equal(op_check(op, request, &sentence), HF_OK);
    buffer_clear(&r->body);
    assert_int_equal(codec_encode(info->request, request, &r->body), HF_OK);
    struct envelope envelope = {
        .session = session,
        .seq = seq,
        .principal = slice_of("anonymous"),
        .peer = slice_of("10.0.0.1:4000"),
        .traceparent = slice_of("00-11-22-01"),
    };
    new_entry(r);
    assert_int_equal(entry_add(&r->entry, op, &envelope, buffer_slice(&r->body)), HF_OK);
    r->last_op = op;
    apply(r);
    return r->last;
}

struct answer rig_send(struct rig *r, uint64_t session, uint16_t op, const void *request)
{
    assert_true(session < RIG_SESSIONS_MAX);
    bool numbered = (op_find(op)->traits & OP_NUMBERED) != 0;
    return rig_send_as(r, session, numbered ? ++r->seqs[session] : 0, op, request);
}

struct answer rig_read(struct rig *r, uint16_t op, const void *request)
{
    struct machine_reply reply = {0};
    struct machine_reply other = {0};
    struct answer a;
    buffer_clear(&r->body);
    assert_int_equal(machine_read(r->twin, op, request, r->elapsed_ms, &r->body, &other.status),
                     HF_OK);
    other.body = keep_bytes(r, buffer_slice(&r->body));
    assert_int_equal(machine_read(r->m, op, request, r->elapsed_ms, &r->body, &reply.status),
                     HF_OK);
    reply.body = buffer_slice(&r->body);
    assert_int_equal(reply.status, other.status);
    assert_true(slice_equal(reply.body, other.body));
    fill(r, &a, op, &reply);
    return a;
}

const struct answer *rig_woken(const struct rig *r, uint64_t session, uint64_t seq)
{
    for (uint32_t i = 0; i < r->woken_count; i++) {
        if (r->woken[i].session == session && r->woken[i].seq == seq) return &r->woken[i];
    }
    return NULL;
}

uint64_t rig_session(struct rig *r, uint64_t ttl_ms)
{
    uint8_t secret[SESSION_SECRET_BYTES] = {0};
    put_u64(secret, ++r->seqs[0]);
    struct msg_open open = {
        .secret = slice_make(secret, sizeof secret),
        .ttl_ms = ttl_ms,
        .name = slice_of("worker"),
    };
    struct answer a = rig_send_as(r, 0, 0, OP_CODE_OPEN, &open);
    assert_int_equal(a.status, HF_OK);
    return a.as.open.session;
}

void rig_keep(struct rig *r, uint64_t session)
{
    struct msg_keep keep = {{NULL, 0}};
    assert_int_equal(rig_send(r, session, OP_CODE_KEEP, &keep).status, HF_OK);
}

/* ------------------------------------------------------------------ restarts */

static void said_reply(uint32_t position, const struct machine_reply *reply, void *data)
{
    (void)position;
    add_said(data, 0, 0, reply);
}

static void said_woken(uint64_t session, uint64_t seq, const struct machine_reply *reply,
                       void *data)
{
    add_said(data, session, seq, reply);
}

/* Apply the entry at `at` of the tape and compare. \return where the next one is */
static size_t replay_one(struct rig *r, struct store *store, struct machine *m, size_t at)
{
    const uint8_t *p = r->tape.data + at;
    size_t size = get_u32(p);
    const struct machine_sink sink = {.reply_cb = said_reply, .woken_cb = said_woken, .data = r};
    r->said = 0;
    assert_int_equal(machine_apply(m, slice_make(p + 4, size), &sink), HF_OK);
    struct hash128 digest = store_digest(store);
    p += 4 + size;
    assert_true(get_u64(p) == digest.high && get_u64(p + 8) == digest.low);
    assert_true(get_u64(p + 16) == r->said);
    return at + 4 + size + 24;
}

void rig_replay(struct rig *r, uint32_t checkpoint_at, uint32_t crash_at)
{
    assert_true(r->taping && checkpoint_at < crash_at);
    struct store *store;
    struct machine *m;
    size_t at = 0;
    size_t from = 0;
    open_one(&store, &m);
    for (uint32_t i = 1; i <= crash_at; i++) {
        at = replay_one(r, store, m, at);
        if (i != checkpoint_at) continue;
        struct store_mark mark = {.index = i, .term = 1};
        assert_int_equal(store_checkpoint(store, &mark), HF_OK);
        from = at;
    }
    assert_int_equal(store_flush_run(store), HF_OK);
    machine_close(m);
    assert_int_equal(store_memory_crash(store), HF_OK);
    assert_int_equal(store_verify(store), HF_OK);
    assert_int_equal(store_mark(store)->index, checkpoint_at);
    assert_int_equal(machine_open(store, &m), HF_OK);
    while (from < r->tape.size) from = replay_one(r, store, m, from);
    assert_int_equal(store_verify(store), HF_OK);
    machine_close(m);
    store_close(store);
}

/* ------------------------------------------------------------------ requests */

struct slice a_fingerprint(void)
{
    return slice_make("0123456789abcdef0123456789abcdef", FINGERPRINT_BYTES);
}

struct slice another_fingerprint(void)
{
    return slice_make("fedcba9876543210fedcba9876543210", FINGERPRINT_BYTES);
}

struct msg_begin a_begin(const char *key)
{
    return (struct msg_begin){
        .key = slice_of(key),
        .fingerprint = a_fingerprint(),
        .lease_ms = 10000,
        .retain_ms = RETAIN_MS_MIN,
        .takeover = TAKEOVER_AUTO,
        .secret_id = slice_of("secret-1"),
        .meta = slice_of("who"),
    };
}

struct answer rig_begin(struct rig *r, uint64_t session, const char *key)
{
    struct msg_begin begin = a_begin(key);
    return rig_send(r, session, OP_CODE_BEGIN, &begin);
}

struct answer rig_begin_waiting(struct rig *r, uint64_t session, const char *key, uint64_t wait_ms)
{
    struct msg_begin begin = a_begin(key);
    begin.wait_ms = wait_ms;
    return rig_send(r, session, OP_CODE_BEGIN, &begin);
}

struct answer rig_extend(struct rig *r, uint64_t session, const char *key, uint64_t token,
                         uint64_t lease_ms)
{
    struct msg_extend extend = {slice_of(key), token, lease_ms};
    return rig_send(r, session, OP_CODE_EXTEND, &extend);
}

struct answer rig_checkpoint(struct rig *r, uint64_t session, const char *key, uint64_t token,
                             uint64_t number, uint64_t external)
{
    struct msg_checkpoint checkpoint = {
        .key = slice_of(key),
        .fencing_token = token,
        .name = slice_of("charge"),
        .number = number,
        .data = slice_of("step data"),
        .external = external,
    };
    return rig_send(r, session, OP_CODE_CHECKPOINT, &checkpoint);
}

struct answer rig_complete(struct rig *r, uint64_t session, const char *key, uint64_t token,
                           uint64_t outcome, const char *body)
{
    struct msg_complete complete = {
        .key = slice_of(key),
        .fencing_token = token,
        .outcome = outcome,
        .code = 201,
        .headers = slice_of("type: text"),
        .body = slice_of(body),
    };
    return rig_send(r, session, OP_CODE_COMPLETE, &complete);
}

struct answer rig_resolve(struct rig *r, uint64_t session, const char *key, uint64_t token,
                          uint64_t outcome, const char *body)
{
    struct msg_resolve resolve = {
        .key = slice_of(key),
        .fencing_token = token,
        .outcome = outcome,
        .code = 202,
        .headers = slice_of("type: text"),
        .body = slice_of(body),
        .evidence = slice_of("statement 17"),
        .operator_name = slice_of("ann"),
    };
    return rig_send(r, session, OP_CODE_RESOLVE, &resolve);
}

struct answer rig_reopen(struct rig *r, uint64_t session, const char *key, uint64_t token,
                         uint64_t outcome)
{
    struct msg_reopen reopen = {
        .key = slice_of(key),
        .fencing_token = token,
        .outcome = outcome,
        .reason = slice_of("the card was blocked by mistake"),
        .operator_name = slice_of("bob"),
    };
    return rig_send(r, session, OP_CODE_REOPEN, &reopen);
}

struct answer rig_erase(struct rig *r, uint64_t session, const char *key)
{
    struct msg_erase erase = {slice_of(key), slice_of("her request of today"), slice_of("eve")};
    return rig_send(r, session, OP_CODE_ERASE, &erase);
}

struct answer rig_abandon(struct rig *r, uint64_t session, uint64_t token)
{
    struct msg_abandon abandon = {token};
    return rig_send(r, session, OP_CODE_ABANDON, &abandon);
}

struct answer rig_get(struct rig *r, const char *key)
{
    struct msg_record_get get = {slice_of(key)};
    return rig_read(r, OP_CODE_RECORD_GET, &get);
}

uint64_t rig_state(struct rig *r, const char *key)
{
    struct answer a = rig_get(r, key);
    return a.status == HF_OK ? a.as.record.state : RECORD_ABSENT;
}

uint64_t rig_started(struct rig *r, uint64_t session, const struct msg_begin *begin)
{
    struct answer a = rig_send(r, session, OP_CODE_BEGIN, begin);
    assert_int_equal(a.status, HF_OK);
    assert_int_equal(a.as.begin.verdict, BEGIN_STARTED);
    return a.as.begin.fencing_token;
}

bool is_text(struct slice bytes, const char *text)
{
    return slice_equal(bytes, slice_of(text));
}
