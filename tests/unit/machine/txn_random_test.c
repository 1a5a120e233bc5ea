/* Random TXNs against dumb re-execution: each op alone on a copy of the state before, which is
 * what its verdict must be; then, on another copy, either all of them one by one in the order that
 * the contract's rules leave, or, of one that is refused, nothing but its late COMPLETEs. The rows
 * of the machine and of that copy must be the same, and who was woken. After each entry the
 * invariants hold and a second machine has the same digest. A copy is opened on its rows, so that
 * whatever a rollback forgot in memory shows. */
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/txn_world.h"

#ifdef __SANITIZE_ADDRESS__ /* which takes its time over the memory of thousands of machines */
enum { ROUNDS = 1, STEPS = 150 };
#else
enum { ROUNDS = 20, STEPS = 250 };
#endif

struct trial {
    struct txn_world w;
    struct txn_draft draft;
    unsigned accepted; /* TXNs that were done */
    unsigned refused;  /* that were not */
    unsigned late;     /* of those, with evidence to keep */
    unsigned woke;     /* that served somebody */
};

/* ------------------------------------------------------------------ dumb re-execution */

/* Before it, in the same entry: what another session was renewed by must outlive a rollback. */
static void add_keep(struct trial *t, struct fixture *f)
{
    const struct msg_keep keep = {0};
    const struct envelope e = txn_envelope(&t->w, t->w.sessions[1], 0);
    (void)add_op(f, OP_CODE_KEEP, &e, &keep);
}

/* Behind such a KEEP. */
static const struct answer *send(struct trial *t, struct fixture *f, uint16_t op, uint64_t seq,
                                 const void *request)
{
    const struct envelope e = txn_envelope(&t->w, t->w.sessions[0], seq);
    add_keep(t, f);
    uint32_t position = add_op(f, op, &e, request);
    apply_entry(f);
    for (uint32_t i = 0; i < f->answer_count; i++) {
        const struct answer *a = &f->answers[i];
        if (a->kind == ANSWER_REPLY && a->position == position) return a;
    }
    fail_msg("it was not answered");
    return NULL;
}

/* What an op answers alone, and when the copy is to do it. */
static void try_alone(struct trial *t, struct txn_drawn *d)
{
    struct fixture *copy = txn_copy(t->w.f);
    const struct answer *a = send(t, copy, d->op, t->w.seq + 1, &d->request);
    d->status = a->status;
    d->verdict = 0;
    assert_true(a->body.size <= sizeof d->body);
    memcpy(d->body, a->body.data, a->body.size);
    d->body_bytes = a->body.size;
    bool takes = d->op == OP_CODE_BEGIN || d->op == OP_CODE_TIMER_SET;
    d->rank = takes ? 0 : 100;
    if (d->status == HF_OK && d->op == OP_CODE_BEGIN) {
        struct msg_begin_reply reply;
        read_body(copy, d->op, a, &reply);
        d->verdict = reply.verdict;
    } else if (d->status == HF_OK && d->op == OP_CODE_TIMER_SET) {
        struct msg_timer_set_reply reply;
        read_body(copy, d->op, a, &reply);
        d->verdict = reply.verdict;
    } else if (d->op == OP_CODE_RELEASE) {
        struct msg_release_reply reply;
        d->rank = d->status == HF_OK ? 10 + (int)d->name : 1;
        if (d->status == HF_OK) read_body(copy, d->op, a, &reply);
        if (d->status == HF_OK) d->verdict = reply.count_left > 0;
    } else if (d->op == OP_CODE_COMPLETE) {
        /* Records are served behind locks, by their keys. Late ones tell events, as they are
         * given. */
        d->rank = d->status == HF_OK ? 50 + (int)d->name : 49;
    }
    txn_copy_free(copy);
}

/* All that one of `rank` and no other does. */
static void add_ranks(struct trial *t, struct fixture *copy, const struct txn_drawn *ops,
                      uint32_t count)
{
    for (int rank = 0; rank <= 100; rank++) {
        for (uint32_t i = 0; i < count; i++) {
            if (ops[i].rank != rank) continue;
            const struct envelope e = txn_envelope(&t->w, t->w.sessions[0], t->w.seq + i + 1);
            add_op(copy, ops[i].op, &e, &ops[i].request);
        }
    }
}

/* Nothing but the session's renewal and the evidence. */
static bool add_evidence(struct trial *t, struct fixture *copy, const struct txn_drawn *ops,
                         uint32_t count)
{
    bool any = false;
    const struct msg_timer_cancel nothing = {slice_of("no such timer")};
    const struct envelope renewal = txn_envelope(&t->w, t->w.sessions[0], t->w.seq + count + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].op != OP_CODE_COMPLETE || ops[i].status != HF_ESTALE) continue;
        const struct envelope e = txn_envelope(&t->w, t->w.sessions[0], t->w.seq + i + 1);
        add_op(copy, ops[i].op, &e, &ops[i].request);
        any = true;
    }
    add_op(copy, OP_CODE_TIMER_CANCEL, &renewal, &nothing);
    return any;
}

/* ------------------------------------------------------------------ the TXN itself */

/* Accept what it answers alone, mostly. \return the first that is not accepted; count: all are */
static uint32_t add_to_draft(struct trial *t, const struct txn_drawn *ops, uint32_t count)
{
    static const int others[] = {HF_ESTALE, HF_ENOTHELD, HF_EMISMATCH, HF_ERUNNING, HF_EFIRED};
    uint32_t refused = count;
    txn_draft_clear(&t->draft);
    for (uint32_t i = 0; i < count; i++) {
        const struct txn_drawn *d = &ops[i];
        bool wanted = !txn_one_in(&t->w, 6) && status_kind(d->status) == STATUS_ANSWER;
        uint64_t right = d->status == HF_OK ? 1U << d->verdict : 0;
        bool also = d->op != OP_CODE_COMPLETE && d->op != OP_CODE_TIMER_CANCEL;
        uint64_t wrong = also && right != 2 ? 2 : 0; /* verdict 1 of all that have several */
        txn_add(&t->draft, d->op, &d->request, wanted ? right : wrong);
        for (size_t k = 0; k < HF_ARRAY_COUNT(others); k++) {
            bool is_it = d->status == others[k];
            if (is_it ? wanted : !wanted && txn_one_in(&t->w, 2)) txn_accept(&t->draft, others[k]);
        }
        struct txn_op *op = &t->draft.ops[i];
        bool listed = false;
        for (size_t k = 0; k < HF_ARRAY_COUNT(others); k++)
            listed = listed || d->status == others[k];
        if (wanted && d->status != HF_OK && !listed) txn_accept(&t->draft, d->status);
        if (op->verdicts == 0 && op->answers.count == 0) txn_accept(&t->draft, HF_EBUSY);
        if (!wanted && refused == count) refused = i;
    }
    return refused;
}

static void same_result(const struct txn_drawn *d, const struct txn_result *result)
{
    assert_int_equal(result->op, d->op);
    assert_string_equal(status_name(result->status), status_name(d->status));
    bool told_whole = d->status != HF_ERUNNING && d->status != HF_ERECORDUNKNOWN;
    if (d->op == OP_CODE_BEGIN && d->status == HF_OK) {
        struct msg_begin_reply reply;
        txn_read(result, &reply);
        assert_int_equal(reply.verdict, d->verdict);
        assert_int_equal(reply.headers.size + reply.body.size, 0);
    } else if (told_whole) {
        assert_int_equal(result->body.size, d->body_bytes);
        assert_memory_equal(result->body.data, d->body, d->body_bytes);
    }
}

static void check_refused(struct trial *t, const struct answer *a, const struct txn_drawn *ops,
                          uint32_t at)
{
    struct msg_txn_refused refused;
    assert_string_equal(status_name(a->status), "NOT_ACCEPTED");
    read_body(t->w.f, OP_CODE_TXN, a, &refused);
    assert_int_equal(refused.index, at);
    const struct txn_result result = {refused.op, refused.status, refused.body};
    if (ops[at].status == HF_ERUNNING || ops[at].op != OP_CODE_BEGIN) {
        assert_int_equal(result.body.size, ops[at].body_bytes);
        assert_memory_equal(result.body.data, ops[at].body, ops[at].body_bytes);
    }
    same_result(&ops[at], &result);
}

static void same_woken(struct trial *t, const struct fixture *copy)
{
    uint32_t j = 0;
    bool any = false;
    for (uint32_t i = 0; i < t->w.f->answer_count; i++) {
        const struct answer *a = &t->w.f->answers[i];
        if (a->kind != ANSWER_WOKEN) continue;
        while (j < copy->answer_count && copy->answers[j].kind != ANSWER_WOKEN) j++;
        assert_true(j < copy->answer_count);
        const struct answer *b = &copy->answers[j++];
        assert_int_equal(a->session, b->session);
        assert_int_equal(a->seq, b->seq);
        assert_true(slice_equal(a->body, b->body));
        any = true;
    }
    while (j < copy->answer_count) assert_int_not_equal(copy->answers[j++].kind, ANSWER_WOKEN);
    t->woke += any;
}

/* The same request again: the same answer, and nothing changes. */
static void send_again(struct trial *t, uint64_t seq, struct slice body, bool was_refused)
{
    struct fixture *f = t->w.f;
    uint8_t first[1024];
    size_t first_bytes = body.size;
    assert_true(first_bytes <= sizeof first);
    memcpy(first, body.data, first_bytes);
    const struct msg_txn request = txn_request(&t->draft);
    const struct envelope e = txn_envelope(&t->w, t->w.sessions[0], seq);
    pass(f, 0); /* a timer that it set may be due at once */
    txn_learn_woken(&t->w);
    const struct hash128 before = store_digest(f->store);
    const struct answer *a = call_with(f, OP_CODE_TXN, &e, &request);
    assert_true((a->flags & REPLY_REPEATED) != 0);
    assert_int_equal(a->status, was_refused ? HF_ENOTACCEPTED : HF_OK);
    assert_int_equal(a->body.size, first_bytes);
    assert_memory_equal(a->body.data, first, first_bytes);
    const struct hash128 after = store_digest(f->store);
    assert_true(before.high == after.high && before.low == after.low);
}

static void step(struct trial *t)
{
    struct txn_drawn ops[TXN_OPS_MAX];
    uint32_t count = txn_draw(&t->w, ops);
    t->w.ack = t->w.seq > 64 ? t->w.seq - 64 : 0;
    for (uint32_t i = 0; i < count; i++) try_alone(t, &ops[i]);
    uint32_t refused = add_to_draft(t, ops, count);

    struct fixture *copy = txn_copy(t->w.f);
    add_keep(t, copy);
    if (refused == count) {
        add_ranks(t, copy, ops, count);
        t->accepted++;
    } else {
        t->late += add_evidence(t, copy, ops, count);
        t->refused++;
    }
    apply_entry(copy);

    uint64_t seq = txn_next_seq(&t->w, 0, 0, 0);
    const struct msg_txn request = txn_request(&t->draft);
    const struct answer *a = send(t, t->w.f, OP_CODE_TXN, seq, &request);
    if (refused < count) check_refused(t, a, ops, refused);
    for (uint32_t i = 0; refused == count && i < count; i++) {
        const struct txn_result result = txn_result_at(t->w.f, a, i);
        struct msg_begin_reply begun;
        same_result(&ops[i], &result);
        if (result.op != OP_CODE_BEGIN || result.status != HF_OK) continue;
        txn_read(&result, &begun);
        if (begun.fencing_token != 0)
            txn_learn(&t->w.attempts, (struct txn_known){begun.fencing_token, 0, ops[i].name});
    }
    same_woken(t, copy);
    txn_learn_woken(&t->w);
    txn_same_rows(t->w.f, copy);
    txn_copy_free(copy);
    if (txn_one_in(&t->w, 4)) send_again(t, seq, a->body, refused < count);
    t->w.seq += count; /* what the copy used */
}

static void round_of(uint64_t seed, unsigned *accepted, unsigned *late, unsigned *woke)
{
    void *state;
    (void)fixture_setup(&state);
    struct trial *t = calloc(1, sizeof *t);
    assert_non_null(t);
    fixture_add_twin(state);
    txn_world_open(&t->w, state, seed);
    txn_draft_open(&t->draft);
    for (unsigned i = 0; i < STEPS; i++) {
        for (uint64_t moves = txn_below(&t->w, 5); moves > 0; moves--) txn_move(&t->w);
        step(t);
    }
    assert_true(t->accepted > STEPS / 10);
    assert_true(t->refused > STEPS / 10);
    *accepted += t->accepted;
    *late += t->late;
    *woke += t->woke;
    txn_draft_close(&t->draft);
    free(t);
    (void)fixture_teardown(&state);
}

static uint64_t only_seed;

static void test_a_txn_is_all_of_its_ops_or_its_evidence(void **state)
{
    (void)state;
    unsigned accepted = 0;
    unsigned late = 0;
    unsigned woke = 0;
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        if (only_seed != 0 && i > 1) break;
        uint64_t seed = only_seed != 0 ? only_seed : i;
        print_message("seed %llu\n", (unsigned long long)seed);
        round_of(seed, &accepted, &late, &woke);
    }
    print_message("%u done, %u refused with evidence, %u served somebody\n", accepted, late, woke);
    assert_true(late > 0);
    assert_true(woke > 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) only_seed = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_txn_is_all_of_its_ops_or_its_evidence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
