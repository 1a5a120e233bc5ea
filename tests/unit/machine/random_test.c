/* Seeded random lives of sessions, owners and locks: after each entry the invariants hold, the
 * machine agrees with the model, a second machine has the same digest; now and then the first one
 * is killed, opened again at its last checkpoint and fed the rest of the log. A failure names its
 * seed; run it alone as `machine_random_test SEED`. */
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "storage/store_memory.h"
#include "tests/unit/machine/random_world.h"

enum { ROUNDS = 1500, SEEDS = 6 };

static const char *const lock_names[MODEL_LOCKS] = {"a", "a/b", "b", "c"};

/* ------------------------------------------------------------------ after an entry */

static struct sent *find_sent(struct world *w, uint64_t session, uint64_t seq)
{
    for (unsigned i = 0; i < SENT_MAX; i++) {
        if (w->sent[i].session == session && w->sent[i].seq == seq) return &w->sent[i];
    }
    return NULL;
}

static void remember_answer(struct sent *sent, const struct answer *answer)
{
    assert_true(answer->body.size <= sizeof sent->body);
    sent->answered = true;
    sent->status = answer->status;
    sent->body_bytes = answer->body.size;
    memcpy(sent->body, answer->body.data, answer->body.size);
}

static void check_answer(struct world *w, const struct answer *answer)
{
    if (answer->kind == ANSWER_WOKEN) {
        struct sent *sent = find_sent(w, answer->session, answer->seq);
        if (sent != NULL) remember_answer(sent, answer);
        return;
    }
    const struct expected *e = &w->expected[answer->position];
    if (e->is_retry) {
        if (!e->sent->answered) {
            assert_int_equal(answer->kind, ANSWER_PARKED);
            return;
        }
        assert_int_equal(answer->kind, ANSWER_REPLY);
        assert_int_equal(answer->status, e->sent->status);
        assert_true(answer->flags & REPLY_REPEATED);
        assert_true(slice_equal(answer->body, slice_make(e->sent->body, e->sent->body_bytes)));
        return;
    }
    if (e->status == MODEL_PARKED) {
        assert_int_equal(answer->kind, ANSWER_PARKED);
        return;
    }
    assert_int_equal(answer->kind, ANSWER_REPLY);
    assert_string_equal(status_name(answer->status), status_name(e->status));
    if (e->sent != NULL && e->sent->seq != 0) remember_answer(e->sent, answer);
}

/* Whether it is asked back, and until when. */
static void compare_asked(struct world *w, const struct model_user *g, const struct holder_info *h)
{
    uint64_t now_ms = w->f->now_ms;
    uint64_t asked = g->asked_ms == 0 ? ASKED_NOT : g->overdue ? ASKED_OVERDUE : ASKED_BACK;
    assert_int_equal(h->asked, asked);
    assert_int_equal(h->asked_left_ms, g->asked_ms > now_ms ? g->asked_ms - now_ms : 0);
}

/* The machine's holders of a lock are the model's; a token that it tells is taken over. */
static void compare_holders(struct world *w, unsigned lock, const struct msg_info_reply *reply)
{
    const struct holder_info *holders = reply->holders.items;
    uint64_t token_before = 0;
    uint64_t units = 0;
    uint32_t count = 0;
    for (unsigned i = 0; i < w->model.grant_count; i++) {
        struct model_user *g = &w->model.grants[i];
        if ((g->names >> lock & 1) == 0) continue;
        uint32_t at = 0;
        while (at < reply->holders.count &&
               (holders[at].session != g->session || holders[at].owner != g->owner))
            at++;
        assert_true(at < reply->holders.count);
        assert_int_equal(holders[at].mode, g->mode);
        assert_int_equal(holders[at].permits, g->permits);
        assert_int_equal(holders[at].count, g->count);
        if (g->token != 0) assert_int_equal(g->token, holders[at].fencing_token);
        compare_asked(w, g, &holders[at]);
        g->token = holders[at].fencing_token;
        /* Tokens of a lock rise in the order of its grants. */
        assert_true(g->token > token_before);
        token_before = g->token;
        units += g->mode == MODE_PERMITS ? g->permits : 1;
        count++;
    }
    assert_int_equal(reply->holders.count, count);
    assert_int_equal(reply->units_taken, units);
}

/* The machine's lock is the model's, holder by holder and waiter by waiter. */
static void compare_lock(struct world *w, unsigned lock)
{
    struct msg_info request = {.name = slice_of(lock_names[lock])};
    struct msg_info_reply reply;
    read_ok(w->f, OP_CODE_INFO, &request, 0, &reply);
    compare_holders(w, lock, &reply);
    const struct waiter_info *waiters = reply.waiters.items;
    uint32_t count = 0;
    for (unsigned i = 0; i < w->model.waiter_count; i++) {
        const struct model_user *user = &w->model.waiters[i];
        if ((user->names >> lock & 1) == 0) continue;
        assert_true(count < reply.waiters.count);
        assert_int_equal(waiters[count].session, user->session);
        assert_int_equal(waiters[count].owner, user->owner);
        assert_int_equal(waiters[count].mode, user->mode);
        count++;
    }
    assert_int_equal(reply.waiters.count, count);
    uint64_t units = 0;
    for (unsigned i = 0; i < w->model.delay_count; i++) {
        const struct model_delay *d = &w->model.delays[i];
        if (d->lock == lock && d->mode == MODE_PERMITS && d->session == 0) units += d->units;
    }
    assert_int_equal(reply.units_delayed, units);
}

static void log_entry(struct world *w)
{
    assert_true(w->log_count < LOG_MAX);
    struct buffer *copy = &w->log[w->log_count++];
    buffer_init(copy, ENTRY_BYTES_MAX);
    assert_int_equal(buffer_append(copy, w->f->entry.data, w->f->entry.size), HF_OK);
    w->index++;
}

static void finish_entry(struct world *w)
{
    apply_entry(w->f);
    log_entry(w);
    uint32_t replies = 0;
    for (uint32_t i = 0; i < w->f->answer_count; i++) { /* in the order in which they came */
        check_answer(w, &w->f->answers[i]);
        replies += w->f->answers[i].kind != ANSWER_WOKEN;
    }
    assert_int_equal(replies, w->op_count);
    w->op_count = 0;
    for (unsigned i = 0; i < MODEL_LOCKS; i++) compare_lock(w, i);
    bool held = w->f->flags == ENTRY_HOLDS_SWEEP;
    assert_true(held || machine_next_deadline_ms(w->f->m) > w->f->now_ms);
}

/* ------------------------------------------------------------------ ops */

struct expected *random_expect(struct world *w, int status)
{
    struct expected *e = &w->expected[w->op_count++];
    *e = (struct expected){.status = status};
    return e;
}

/* Most requests for a lock are of one kind, SHARED or PERMITS; now and then one of another comes.
 */
static void draw_mode(struct world *w, unsigned lock, struct want *want)
{
    if (below(w, 2) == 0) return;
    bool permits = below(w, 12) == 0 ? below(w, 2) == 0 : lock >= MODEL_LOCKS / 2;
    want->mode = permits ? MODE_PERMITS : MODE_SHARED;
    if (!permits) return;
    want->limit = below(w, 12) == 0 ? 2 : 4;
    want->permits = 1 + below(w, want->limit);
}

/* One name, or several. \return their bits */
static unsigned draw_names(struct world *w, struct want *want)
{
    unsigned first = (unsigned)below(w, MODEL_LOCKS);
    unsigned names = 1U << first;
    want->name = lock_names[first];
    unsigned count = 0;
    for (unsigned lock = first + 1; lock < MODEL_LOCKS; lock++) {
        if (below(w, 3) != 0) continue;
        want->also[count++] = lock_names[lock];
        names |= 1U << lock;
    }
    draw_mode(w, first, want);
    return names;
}

static void do_acquire(struct world *w, unsigned session)
{
    static const uint64_t waits_ms[] = {0, 0, 500, 3000, 20000};
    static const uint64_t holds_ms[] = {0, 0, 0, 700, 5000};
    static const uint64_t delays_ms[] = {0, 0, 0, 400, 2500};
    struct model_session *s = &w->model.sessions[session];
    struct want want = {
        .owner = 1 + below(w, MODEL_OWNERS),
        .wait_ms = waits_ms[below(w, HF_ARRAY_COUNT(waits_ms))],
        .hold_max_ms = holds_ms[below(w, HF_ARRAY_COUNT(holds_ms))],
        .delay_ms = delays_ms[below(w, HF_ARRAY_COUNT(delays_ms))],
        .reentrant = below(w, 2),
    };
    unsigned names = draw_names(w, &want);
    uint64_t seq = ++w->seqs[session];
    struct model_user user = {
        .session = s->id,
        .owner = want.owner,
        .seq = seq,
        .names = names,
        .mode = want.mode,
        .permits = want.permits,
        .limit = want.limit,
        .hold_ms = want.hold_max_ms,
        .delay_ms = want.delay_ms,
    };
    int status = model_acquire(&w->model, &user, want.wait_ms, want.reentrant == 1);
    struct expected *e = random_expect(w, status);
    e->sent = &w->sent[below(w, SENT_MAX)];
    for (uint32_t i = 0; i + 1 < w->op_count; i++) {
        if (w->expected[i].sent == e->sent) e->sent = NULL; /* its place is taken */
    }
    if (e->sent != NULL) *e->sent = (struct sent){.session = s->id, .seq = seq, .want = want};
    add_acquire(w->f, s->id, seq, want);
    renew(s, w->f->now_ms);
}

/* Send an earlier ACQUIRE of a living session again. */
static void do_retry(struct world *w, unsigned session)
{
    struct model_session *s = &w->model.sessions[session];
    for (unsigned i = 0; i < SENT_MAX; i++) {
        if (w->sent[i].session != s->id) continue;
        for (uint32_t k = 0; k < w->op_count; k++) {
            if (w->expected[k].sent == &w->sent[i]) return; /* it is in this very entry */
        }
        struct expected *e = random_expect(w, HF_OK);
        e->sent = &w->sent[i];
        e->is_retry = true;
        add_acquire(w->f, s->id, w->sent[i].seq, w->sent[i].want);
        renew(s, w->f->now_ms);
        return;
    }
}

/* A grant of this session whose token the machine has told. */
bool random_find_held(struct world *w, uint64_t session, unsigned *at)
{
    unsigned count = w->model.grant_count;
    unsigned start = count > 0 ? (unsigned)below(w, count) : 0;
    for (unsigned i = 0; i < count; i++) {
        *at = (start + i) % count;
        const struct model_user *user = &w->model.grants[*at];
        if (user->session == session && user->token != 0) return true;
    }
    return false;
}

/* One of a grant's names, whichever. */
const char *random_name_of(struct world *w, const struct model_user *user)
{
    unsigned lock = (unsigned)below(w, MODEL_LOCKS);
    while ((user->names >> lock & 1) == 0) lock = (lock + 1) % MODEL_LOCKS;
    return lock_names[lock];
}

static void do_release(struct world *w, unsigned session)
{
    struct model_session *s = &w->model.sessions[session];
    unsigned at;
    if (w->op_count != 0 || !random_find_held(w, s->id, &at)) return;
    const struct model_user *held = &w->model.grants[at];
    bool wrong = below(w, 5) == 0;
    struct msg_release request = {
        .name = below(w, 2) == 0 ? slice_of(random_name_of(w, held)) : (struct slice){0},
        .fencing_token = held->token,
        .owner = wrong ? held->owner + 100 : held->owner,
    };
    struct envelope envelope = envelope_for(s->id, ++w->seqs[session]);
    random_expect(w, wrong ? HF_ENOTOWNER : HF_OK);
    if (!wrong) model_release(&w->model, at);
    add_op(w->f, OP_CODE_RELEASE, &envelope, &request);
    renew(s, w->f->now_ms);
}

static void do_change_mode(struct world *w, unsigned session)
{
    struct model_session *s = &w->model.sessions[session];
    unsigned at;
    if (w->op_count != 0 || !random_find_held(w, s->id, &at)) return;
    const struct model_user *held = &w->model.grants[at];
    struct msg_change_mode request = {.fencing_token = held->token, .owner = held->owner};
    if (below(w, 2) == 0) request.name = slice_of(random_name_of(w, held));
    struct envelope envelope = envelope_for(s->id, ++w->seqs[session]);
    bool down = below(w, 2) == 0;
    bool wrong = below(w, 10) == 0;
    if (wrong) request.owner += 100;
    random_expect(w, wrong  ? HF_ENOTOWNER
                     : down ? model_downgrade(&w->model, at)
                            : model_upgrade(&w->model, at));
    add_op(w->f, down ? OP_CODE_DOWNGRADE : OP_CODE_UPGRADE, &envelope, &request);
    renew(s, w->f->now_ms);
}

static void do_abandon(struct world *w, unsigned session)
{
    struct model_session *s = &w->model.sessions[session];
    unsigned at;
    if (w->op_count != 0 || !random_find_held(w, s->id, &at)) return;
    struct msg_abandon request = {.fencing_token = w->model.grants[at].token};
    struct envelope envelope = envelope_for(s->id, 0);
    model_abandon(&w->model, at);
    random_expect(w, HF_OK);
    add_op(w->f, OP_CODE_ABANDON, &envelope, &request);
    renew(s, w->f->now_ms);
}

static void do_cancel(struct world *w, unsigned session)
{
    struct model_session *s = &w->model.sessions[session];
    if (w->seqs[session] == 0 || w->op_count != 0) return;
    uint64_t seq = 1 + below(w, w->seqs[session]);
    struct msg_cancel request = {.target_seq = seq};
    struct envelope envelope = envelope_for(s->id, 0);
    model_cancel(&w->model, s->id, seq);
    random_expect(w, HF_OK);
    add_op(w->f, OP_CODE_CANCEL, &envelope, &request);
    renew(s, w->f->now_ms);
}

/* A KEEP acknowledges a forced loss, now and then. */
static void do_keep(struct world *w, unsigned session)
{
    struct model_session *s = &w->model.sessions[session];
    struct msg_keep request = {0};
    uint64_t token = 0;
    for (unsigned i = 0; i < w->model.delay_count; i++) {
        if (w->model.delays[i].session == s->id) token = w->model.delays[i].token;
    }
    if (token != 0 && below(w, 2) == 0) request.losses_acked = (struct codec_u64s){&token, 1};
    struct envelope envelope = envelope_for(s->id, 0);
    random_expect(w, HF_OK);
    add_op(w->f, OP_CODE_KEEP, &envelope, &request);
    if (request.losses_acked.count > 0) model_acknowledge(&w->model, s->id, token);
    renew(s, w->f->now_ms);
}

static void do_close(struct world *w, unsigned session)
{
    struct model_session *s = &w->model.sessions[session];
    struct msg_empty request = {0};
    struct envelope envelope = envelope_for(s->id, ++w->seqs[session]);
    random_expect(w, HF_OK);
    add_op(w->f, OP_CODE_CLOSE, &envelope, &request);
    model_close(&w->model, session);
}

static void do_something(struct world *w)
{
    unsigned session = (unsigned)below(w, MODEL_SESSIONS);
    if (w->model.sessions[session].id == 0) return;
    uint64_t dice = below(w, 100);
    if (dice < 45) {
        do_acquire(w, session);
    } else if (dice < 57) {
        do_release(w, session);
    } else if (dice < 65) {
        do_change_mode(w, session);
    } else if (dice < 75) {
        do_retry(w, session);
    } else if (dice < 82) {
        do_cancel(w, session);
    } else if (dice < 86) {
        do_abandon(w, session);
    } else if (dice < 88) {
        random_revoke(w, session);
    } else if (dice < 95) {
        do_keep(w, session);
    } else if (dice < 97) {
        random_freeze(w, session);
    } else if (dice < 99) {
        random_force(w, session);
    } else {
        do_close(w, session);
    }
}

static void open_one(struct world *w, unsigned session)
{
    struct model_session *s = &w->model.sessions[session];
    char name[16];
    snprintf(name, sizeof name, "s%u", w->opened++);
    s->ttl_ms = 2000 + below(w, 10000);
    s->id = open_session(w->f, name, s->ttl_ms);
    renew(s, w->f->now_ms);
    w->seqs[session] = 0;
    log_entry(w);
}

/* ------------------------------------------------------------------ crashes */

static void checkpoint(struct world *w)
{
    struct store_mark mark = {.index = w->index, .term = 1};
    assert_int_equal(store_checkpoint(w->f->store, &mark), HF_OK);
    assert_int_equal(store_flush_run(w->f->store), HF_OK);
    assert_int_equal(store_flush_done(w->f->store), HF_OK);
    for (unsigned i = 0; i < w->log_count; i++) buffer_close(&w->log[i]);
    w->log_count = 0;
}

static void crash(struct world *w)
{
    struct fixture *f = w->f;
    machine_close(f->m);
    f->m = NULL;
    assert_int_equal(store_memory_crash(f->store), HF_OK);
    assert_int_equal(store_mark(f->store)->index, w->index - w->log_count);
    assert_int_equal(machine_open(f->store, &f->m), HF_OK);
    for (unsigned i = 0; i < w->log_count; i++)
        assert_int_equal(machine_apply(f->m, buffer_slice(&w->log[i]), NULL), HF_OK);
    struct hash128 a = store_digest(f->store);
    struct hash128 b = store_digest(f->twin_store);
    assert_true(a.high == b.high && a.low == b.low);
}

/* ------------------------------------------------------------------ the test */

static void run_round(struct world *w)
{
    if (below(w, 3) != 0) w->f->now_ms += below(w, 4) == 0 ? below(w, 4000) : below(w, 300);
    /* What is due lives on through an entry that holds the sweep. The model serves all queues at
     * every turn, the machine one whose delay is over only in a sweep: not then. */
    bool holds = below(w, 4) == 0 && !model_has_queue_due(&w->model, w->f->now_ms);
    w->f->flags = holds ? ENTRY_HOLDS_SWEEP : 0;
    w->model.now_ms = w->f->now_ms;
    if (w->f->flags == 0) model_advance(&w->model, w->f->now_ms);
    uint64_t ops = below(w, OPS_AN_ENTRY_MAX);
    for (uint64_t i = 0; i < ops; i++) do_something(w);
    finish_entry(w);
    for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
        if (w->model.sessions[i].id == 0 && below(w, 3) == 0) open_one(w, i);
    }
    uint64_t dice = below(w, 200);
    if (dice < 2) checkpoint(w);
    if (dice == 100) crash(w);
}

static void run_seed(uint64_t seed)
{
    void *state;
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    fixture_setup(&state);
    w->f = state;
    w->seed = seed;
    prng_seed(&w->prng, seed);
    fixture_add_twin(w->f);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < ROUNDS; i++) run_round(w);
    for (unsigned i = 0; i < w->log_count; i++) buffer_close(&w->log[i]);
    fixture_teardown(&state);
    free(w);
}

static uint64_t only_seed; /* from the command line; 0 = all */

/* The machine, the model, a second machine and a machine that was killed agree after each entry. */
static void test_machine_model_twin_and_restart_agree(void **state)
{
    (void)state;
    if (only_seed != 0) {
        run_seed(only_seed);
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++) run_seed(seed);
}

int main(int argc, char **argv)
{
    if (argc > 1) only_seed = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine_model_twin_and_restart_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
