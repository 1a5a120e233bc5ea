/* Random lives of a few records, seed by seed: the machine against the model, step by step, over
 * several sessions and jumps of time; then the whole life again in a process that is killed in the
 * middle. A failure names its seed and step; SEED=n in the environment runs that seed alone. */
#include <stdio.h>

#include "base/prng.h"
#include "protocol/frame.h"
#include "tests/unit/records/record_model.h"
#include "tests/unit/records/record_rig.h"
#include "tests/unit/seeds.h"

enum { SEEDS = 12, STEPS = 1500, BEGUN_MAX = 32 };

static const char *const keys[MODEL_KEYS] = {"k0", "k1", "k2"};

/* A BEGIN that was sent, to be sent again. */
struct begun {
    uint64_t session;       /* 0 = none */
    uint64_t seq;           /* its number */
    int key;                /* of the record */
    struct msg_begin begin; /* as it was sent */
    bool answered;          /* or it waits */
    int status;             /* its answer */
    uint64_t verdict;       /* likewise */
    uint64_t token;         /* likewise */
};

struct life {
    struct rig *r;                 /* owned */
    struct model model;            /* what should be */
    struct prng prng;              /* of the seed */
    struct begun begun[BEGUN_MAX]; /* the last ones */
    uint32_t begun_count;          /* so far */
};

static uint64_t below(struct life *l, uint64_t bound)
{
    return prng_below(&l->prng, bound);
}

/* ------------------------------------------------------------------ comparing */

static void compare_answer(const struct model_answer *wanted, const struct answer *got)
{
    assert_int_equal(got->parked, wanted->parked);
    if (wanted->parked) return;
    if (wanted->or_status == 0 || got->status != wanted->or_status) {
        assert_int_equal(got->status, wanted->status);
    }
}

static void compare_begin(const struct model_answer *wanted, const struct answer *got)
{
    compare_answer(wanted, got);
    if (wanted->parked || wanted->status != HF_OK) return;
    assert_int_equal(got->as.begin.verdict, wanted->verdict);
    assert_int_equal(got->as.begin.fencing_token, wanted->token);
    assert_int_equal(got->as.begin.referent, wanted->erased ? REFERENT_GONE : REFERENT_WHOLE);
    if (wanted->erased) assert_int_equal(got->as.begin.body.size, 0);
}

static void compare_record(struct life *l, int key)
{
    const struct model_record *wanted = &l->model.records[key];
    struct answer a = rig_get(l->r, keys[key]);
    const struct msg_record_reply *got = &a.as.record;
    if (wanted->state == RECORD_ABSENT) {
        assert_int_equal(a.status, HF_ENOTFOUND);
        return;
    }
    assert_int_equal(a.status, HF_OK);
    assert_int_equal(got->state, wanted->state);
    assert_int_equal(got->since_ms, wanted->since_ms);
    assert_int_equal(got->outcome, wanted->outcome);
    assert_int_equal(got->fencing_token, wanted->token);
    assert_int_equal(got->attempt, wanted->attempt);
    assert_int_equal(got->marked, wanted->marked);
    assert_int_equal(got->body_kind, wanted->erased ? BODY_ERASED : BODY_WHOLE);
    assert_int_equal(got->takeover, wanted->policy);
    if (wanted->state == RECORD_TOMBSTONE) return;
    assert_int_equal(got->lapsed, wanted->lapsed);
    assert_int_equal(got->session, wanted->owner);
    assert_int_equal(got->external, wanted->mark);
    assert_int_equal(got->checkpoint_number, wanted->number);
    assert_int_equal(got->parked_count, wanted->waiter_count);
    assert_int_equal(got->late.count, wanted->late_count);
}

/* Who was woken, and with what; in any order between records. */
static void compare_woken(struct life *l)
{
    struct model *m = &l->model;
    assert_int_equal(l->r->woken_count, m->woken_count);
    for (uint32_t i = 0; i < m->woken_count; i++) {
        const struct model_answer *wanted = &m->woken[i];
        const struct answer *got = rig_woken(l->r, wanted->session, wanted->seq);
        assert_non_null(got);
        compare_begin(wanted, got);
        for (int k = 0; k < BEGUN_MAX; k++) {
            struct begun *b = &l->begun[k];
            if (b->session != wanted->session || b->seq != wanted->seq) continue;
            b->answered = true;
            b->status = got->status;
            b->verdict = got->status == HF_OK ? got->as.begin.verdict : 0;
            b->token = got->status == HF_OK ? got->as.begin.fencing_token : 0;
        }
    }
    m->woken_count = 0;
}

/* ------------------------------------------------------------------ steps */

static struct model_session *any_session(struct life *l)
{
    struct model_session *s = &l->model.sessions[below(l, MODEL_SESSIONS)];
    if (s->id == 0) {
        const uint64_t ttls[] = {500, 5000, 30000, 3600000};
        s->ttl_ms = ttls[below(l, 4)];
        s->id = rig_session(l->r, s->ttl_ms);
        s->expires_ms = l->model.now_ms + s->ttl_ms;
    }
    return s;
}

/* Mostly the current attempt's, at times an older one's, another record's, or nobody's. */
static uint64_t any_token(struct life *l, int key)
{
    uint64_t current = l->model.records[key].token;
    uint64_t pick = below(l, 10);
    if (pick < 7 && current != 0) return current;
    if (pick == 9) return l->model.token_counter + 1 + below(l, 2);
    uint64_t back = below(l, 6) + 1;
    return l->model.token_counter > back ? l->model.token_counter - back : 1;
}

static void step_begin(struct life *l, int key)
{
    struct model_session *s = any_session(l);
    struct msg_begin begin = a_begin(keys[key]);
    const uint64_t leases[] = {0, 0, 500, 3000, 20000};
    const uint64_t waits[] = {0, 0, 1, 2000, 20000};
    begin.lease_ms = leases[below(l, 5)];
    begin.wait_ms = waits[below(l, 5)];
    begin.takeover = below(l, 5) < 3 ? TAKEOVER_AUTO : below(l, 3);
    bool other = below(l, 12) == 0 && l->model.records[key].state != RECORD_ABSENT;
    if (other) begin.fingerprint = another_fingerprint();
    struct answer a = rig_send(l->r, s->id, OP_CODE_BEGIN, &begin);
    uint64_t seq = l->r->seqs[s->id];
    struct model_answer wanted = model_begin(&l->model, key, s->id, seq, &begin, other);
    compare_begin(&wanted, &a);
    struct begun b = {s->id, seq, key, begin, !a.parked, a.status, wanted.verdict, wanted.token};
    l->begun[l->begun_count++ % BEGUN_MAX] = b;
}

static bool is_alive(const struct life *l, uint64_t session)
{
    for (int i = 0; i < MODEL_SESSIONS; i++) {
        if (l->model.sessions[i].id == session) return true;
    }
    return false;
}

/* The same number again: the same answer, and whether it stands. */
static void step_again(struct life *l)
{
    const struct begun *b = &l->begun[below(l, BEGUN_MAX)];
    if (b->session == 0 || !is_alive(l, b->session)) return;
    struct answer a = rig_send_as(l->r, b->session, b->seq, OP_CODE_BEGIN, &b->begin);
    assert_int_equal(a.parked, !b->answered);
    if (a.parked) return;
    assert_int_equal(a.status, b->status);
    if (a.status != HF_OK) return;
    const struct model_record *now = &l->model.records[b->key];
    bool stands = b->token != 0 && now->state == RECORD_RUNNING && now->token == b->token;
    assert_int_equal(a.flags, REPLY_REPEATED | (stands ? REPLY_STANDS : 0));
    assert_int_equal(a.as.begin.verdict, b->verdict);
    assert_int_equal(a.as.begin.fencing_token, b->token);
}

static void step_cancel(struct life *l)
{
    const struct begun *b = &l->begun[below(l, BEGUN_MAX)];
    if (b->session == 0 || !is_alive(l, b->session)) return;
    struct msg_cancel cancel = {b->seq};
    struct answer a = rig_send(l->r, b->session, OP_CODE_CANCEL, &cancel);
    int status = b->answered ? b->status : HF_ECANCELLED;
    assert_int_equal(a.as.cancel.status, status);
    if (!b->answered) {
        struct model_answer wanted = model_cancel(&l->model, b->session, b->seq);
        assert_int_equal(wanted.status, HF_ECANCELLED);
    }
}

static void step_attempt(struct life *l, int key)
{
    uint64_t s = any_session(l)->id;
    uint64_t token = any_token(l, key);
    struct model_answer wanted;
    struct answer a;
    uint64_t pick = below(l, 12);
    if (pick < 3) {
        uint64_t lease_ms = 500 + below(l, 2) * 15000;
        wanted = model_extend(&l->model, key, token, lease_ms);
        a = rig_extend(l->r, s, keys[key], token, lease_ms);
        if (a.status == HF_OK) assert_int_equal(a.as.extend.lease_left_ms, wanted.left_ms);
    } else if (pick < 6) {
        uint64_t number = l->model.records[key].number + below(l, 3);
        uint64_t mark = below(l, 3);
        if (number == 0) number = 1;
        wanted = model_checkpoint(&l->model, key, token, number, mark);
        a = rig_checkpoint(l->r, s, keys[key], token, number, mark);
    } else if (pick < 8) {
        uint64_t outcome = OUTCOME_DONE + below(l, 3);
        uint64_t body = below(l, 2);
        wanted = model_complete(&l->model, key, token, outcome, body);
        a = rig_complete(l->r, s, keys[key], token, outcome, body != 0 ? "one" : "zero");
    } else if (pick == 8) {
        uint64_t outcome = OUTCOME_DONE + below(l, 3);
        wanted = model_resolve(&l->model, key, token, outcome);
        a = rig_resolve(l->r, s, keys[key], token, outcome, "decided");
    } else if (pick == 9) {
        uint64_t outcome = OUTCOME_DONE + below(l, 2);
        wanted = model_reopen(&l->model, key, token, outcome);
        a = rig_reopen(l->r, s, keys[key], token, outcome);
    } else if (pick == 10) {
        wanted = model_erase(&l->model, key);
        a = rig_erase(l->r, s, keys[key]);
    } else {
        wanted = model_abandon(&l->model, s, token);
        a = rig_abandon(l->r, s, token);
    }
    compare_answer(&wanted, &a);
}

static void step_session(struct life *l)
{
    struct model_session *s = any_session(l);
    struct msg_empty empty = {0};
    if (below(l, 4) != 0) {
        rig_keep(l->r, s->id);
        s->expires_ms = l->model.now_ms + s->ttl_ms;
        return;
    }
    uint64_t id = s->id;
    assert_int_equal(rig_send(l->r, id, OP_CODE_CLOSE, &empty).status, HF_OK);
    model_close(&l->model, id);
}

/* Often to the very millisecond of the next deadline, or one before it. */
static void step_time(struct life *l)
{
    const uint64_t jumps[] = {0, 1, 700, 3000, 20000, RETAIN_MS_MIN, 11 * RETAIN_MS_MIN};
    uint64_t ms = jumps[below(l, below(l, 4) == 0 ? 7 : 4)];
    uint64_t next_ms = machine_next_deadline_ms(l->r->m);
    if (below(l, 2) == 0 && next_ms != UINT64_MAX) {
        ms = next_ms - l->model.now_ms;
        if (ms > 0 && below(l, 3) == 0) ms -= 1;
    }
    rig_pass(l->r, ms);
    model_pass(&l->model, ms);
}

static void step(struct life *l)
{
    int key = (int)below(l, MODEL_KEYS);
    uint64_t pick = below(l, 100);
    if (pick < 35)
        step_begin(l, key);
    else if (pick < 65)
        step_attempt(l, key);
    else if (pick < 72)
        step_session(l);
    else if (pick < 80)
        step_again(l);
    else if (pick < 83)
        step_cancel(l);
    else
        step_time(l);
    assert_int_equal(l->r->now_ms, l->model.now_ms);
    compare_woken(l);
    for (int k = 0; k < MODEL_KEYS; k++) compare_record(l, k);
    rig_forget(l->r);
}

static void live(uint64_t seed)
{
    struct life *l = calloc(1, sizeof *l);
    assert_non_null(l);
    prng_seed(&l->prng, seed);
    l->r = rig_open();
    l->r->taping = true;
    l->model.now_ms = l->r->now_ms;
    l->model.retain_ms = RETAIN_MS_MIN;
    for (seeds_step = 0; seeds_step < STEPS; seeds_step++) step(l);
    uint32_t checkpoint_at = 1 + (uint32_t)below(l, l->r->entry_count - 2);
    uint32_t left = l->r->entry_count - checkpoint_at;
    rig_replay(l->r, checkpoint_at, checkpoint_at + 1 + (uint32_t)below(l, left));
    rig_close(l->r);
    free(l);
}

/* Every answer, every state, every waking is the model's; a restart changes nothing. */
static void test_random_lives_are_those_of_the_model(void **state)
{
    (void)state;
    seeds_live(SEEDS, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_random_lives_are_those_of_the_model, seeds_tell),
    };
    return cmocka_run_group_tests_name("record_model", tests, NULL, NULL);
}
