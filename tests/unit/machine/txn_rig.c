/* See the header. */
#include "tests/unit/machine/txn_rig.h"

#include <stdlib.h>

#include "base/status.h"
#include "machine/rows.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"

/* ------------------------------------------------------------------ drafts */

void txn_draft_open(struct txn_draft *draft)
{
    draft->count = 0;
    for (uint32_t i = 0; i < TXN_OPS_MAX; i++)
        buffer_init(&draft->bodies[i], TXN_REQUEST_BYTES_MAX);
}

void txn_draft_close(struct txn_draft *draft)
{
    for (uint32_t i = 0; i < TXN_OPS_MAX; i++) buffer_close(&draft->bodies[i]);
}

void txn_draft_clear(struct txn_draft *draft)
{
    draft->count = 0;
}

void txn_add(struct txn_draft *draft, uint16_t op, const void *request, uint64_t verdicts)
{
    assert_true(draft->count < TXN_OPS_MAX);
    uint32_t at = draft->count++;
    struct buffer *body = &draft->bodies[at];
    buffer_clear(body);
    assert_int_equal(codec_encode(op_find(op)->request, request, body), HF_OK);
    draft->ops[at] = (struct txn_op){
        .op = op,
        .verdicts = verdicts,
        .answers = {draft->answers[at], 0},
        .body = buffer_slice(body),
    };
}

void txn_accept(struct txn_draft *draft, int answer)
{
    assert_true(draft->count >= 1);
    struct codec_u64s *answers = &draft->ops[draft->count - 1].answers;
    assert_true(answers->count < TXN_ANSWERS_MAX);
    draft->answers[draft->count - 1][answers->count++] = (uint64_t)-answer;
}

struct msg_txn txn_request(const struct txn_draft *draft)
{
    return (struct msg_txn){.ops = {draft->ops, draft->count}};
}

const struct answer *txn_send(struct fixture *f, uint64_t session, uint64_t seq,
                              const struct txn_draft *draft)
{
    const struct msg_txn request = txn_request(draft);
    return call(f, OP_CODE_TXN, session, seq, &request);
}

struct txn_result txn_result_at(struct fixture *f, const struct answer *answer, uint32_t at)
{
    struct msg_txn_reply reply;
    assert_string_equal(status_name(answer->status), "OK");
    read_body(f, OP_CODE_TXN, answer, &reply);
    assert_true(at < reply.results.count);
    return ((const struct txn_result *)reply.results.items)[at];
}

void txn_read(const struct txn_result *result, void *out)
{
    const struct codec_type *type = op_reply_type((uint16_t)result->op, result->status);
    assert_int_equal(codec_decode(type, result->body, NULL, out), HF_OK);
}

/* ------------------------------------------------------------------ requests */

struct msg_begin txn_begin(const char *key, uint8_t fingerprint)
{
    static uint8_t fingerprints[256][FINGERPRINT_BYTES];
    fingerprints[fingerprint][0] = fingerprint;
    return (struct msg_begin){
        .key = slice_of(key),
        .fingerprint = slice_make(fingerprints[fingerprint], FINGERPRINT_BYTES),
        .lease_ms = TXN_RIG_LEASE_MS,
        .retain_ms = RETAIN_MS_MIN,
    };
}

struct msg_complete txn_complete(const char *key, uint64_t token, uint64_t outcome)
{
    return (struct msg_complete){
        .key = slice_of(key),
        .fencing_token = token,
        .outcome = outcome,
        .code = 200,
        .body = slice_of("paid"),
    };
}

uint64_t txn_begin_ok(struct fixture *f, uint64_t session, uint64_t seq, const char *key)
{
    const struct msg_begin begin = txn_begin(key, 1);
    const struct answer *answer = call(f, OP_CODE_BEGIN, session, seq, &begin);
    struct msg_begin_reply reply;
    assert_string_equal(status_name(answer->status), "OK");
    read_body(f, OP_CODE_BEGIN, answer, &reply);
    assert_int_not_equal(reply.fencing_token, 0);
    return reply.fencing_token;
}

/* ------------------------------------------------------------------ copies */

static void copy_rows(struct store *from, struct store *to)
{
    for (uint8_t table = 0; table < TABLE_END; table++) {
        struct store_cursor c = {0};
        struct slice key, value;
        int rv = store_seek(from, table, (struct slice){0}, &c, &key, &value);
        for (; rv == HF_OK; rv = store_next(&c, &key, &value))
            assert_int_equal(store_put(to, table, key, value), HF_OK);
        assert_int_equal(rv, HF_ENOTFOUND);
        store_cursor_close(&c);
    }
}

struct fixture *txn_copy(const struct fixture *f)
{
    void *state;
    assert_int_equal(f->op_count, 0);
    (void)fixture_setup(&state);
    struct fixture *copy = state;
    machine_close(copy->m);
    copy_rows(f->store, copy->store);
    assert_int_equal(machine_open(copy->store, &copy->m), HF_OK);
    copy->now_ms = f->now_ms;
    copy->wall_ms = f->wall_ms;
    copy->unchecked = true; /* its rows were checked where they came from */
    return copy;
}

void txn_copy_free(struct fixture *copy)
{
    void *state = copy;
    (void)fixture_teardown(&state);
}

static void same_sessions(struct slice a, struct slice b, struct arena *arena)
{
    struct row_session x;
    struct row_session y;
    assert_int_equal(codec_decode(&row_session_type, a, arena, &x), HF_OK);
    assert_int_equal(codec_decode(&row_session_type, b, arena, &y), HF_OK);
    x.seq_highest = y.seq_highest;
    x.unacked_count = y.unacked_count;
    x.unacked_bytes = y.unacked_bytes;
    x.ack_ranges = y.ack_ranges; /* both empty, or equal bytes are wanted anyway */
    assert_memory_equal(&x, &y, sizeof x);
}

static void same_table(const struct fixture *f, const struct fixture *other, uint8_t table,
                       struct arena *arena)
{
    struct store_cursor c = {0};
    struct store_cursor d = {0};
    struct slice key, value, other_key, other_value;
    int rv = store_seek(f->store, table, (struct slice){0}, &c, &key, &value);
    int other_rv = store_seek(other->store, table, (struct slice){0}, &d, &other_key, &other_value);
    while (rv == HF_OK && other_rv == HF_OK) {
        if (!slice_equal(key, other_key))
            fail_msg("table %u: a row is there and here it is not", table);
        if (table == TABLE_SESSIONS) {
            same_sessions(value, other_value, arena);
        } else if (!slice_equal(value, other_value)) {
            fail_msg("table %u, %.*s: its row differs", table, (int)key.size, key.data);
        }
        rv = store_next(&c, &key, &value);
        other_rv = store_next(&d, &other_key, &other_value);
    }
    if (rv != other_rv) fail_msg("table %u: there are more rows here or there", table);
    store_cursor_close(&c);
    store_cursor_close(&d);
}

void txn_same_rows(const struct fixture *f, const struct fixture *other)
{
    struct arena arena;
    assert_int_equal(arena_init(&arena, 64 * 1024), HF_OK);
    for (uint8_t table = 0; table < TABLE_END; table++) {
        if (table == TABLE_REPLIES) continue;
        same_table(f, other, table, &arena);
        arena_reset(&arena);
    }
    arena_close(&arena);
}
