/* A batch is nothing but its ops: the same ops in one entry or each in its own leave the same rows
 * and give the same answers. Sessions take turns, more of them than the machine keeps between two
 * ops; some end, are waited for, or are served by another's release. */
#include "base/prng.h"
#include "machine/state.h"
#include "storage/row.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

enum { SESSIONS = SESSIONS_ASIDE + 9, NAMES = 12, OPS = 600, SEEDS = 8, TTL_MS = 3600000 };

/* One op, as it is added to an entry of either fixture. */
struct step {
    uint16_t op;
    struct envelope envelope;
    union {
        struct msg_keep keep;
        struct msg_acquire acquire;
        struct msg_release release;
        struct msg_empty close;
    } request;
    struct slice name; /* of an ACQUIRE */
};

struct life {
    uint64_t session; /* in both fixtures */
    uint64_t seq;     /* of its last request */
    uint64_t token;   /* of its last grant */
};

static const char *const names[NAMES] = {"a", "b", "c", "d", "e", "f",
                                         "g", "h", "i", "j", "k", "l"};

static void choose(struct prng *prng, struct life *lives, struct step *step)
{
    struct life *life = &lives[prng_below(prng, SESSIONS)];
    uint64_t die = prng_below(prng, 100);
    *step = (struct step){
        .envelope = {.session = life->session,
                     .renews = 1,
                     .principal = slice_of("anonymous"),
                     .peer = slice_of("127.0.0.1:40000")},
        .name = slice_of(names[prng_below(prng, NAMES)]),
    };
    if (die < 15) {
        step->op = OP_CODE_KEEP;
        return;
    }
    step->envelope.seq = ++life->seq;
    step->envelope.ack = prng_below(prng, life->seq);
    if (die < 60) {
        step->op = OP_CODE_ACQUIRE;
        step->request.acquire =
            (struct msg_acquire){.owner = 1 + prng_below(prng, 3), .wait_ms = die < 40 ? 5000 : 0};
    } else if (die < 97) {
        step->op = OP_CODE_RELEASE;
        step->request.release = (struct msg_release){
            .fencing_token = life->token != 0 ? life->token : 1, .owner = 1 + prng_below(prng, 3)};
    } else {
        step->op = OP_CODE_CLOSE;
    }
}

static void add(struct fixture *f, struct step *step)
{
    if (step->op == OP_CODE_ACQUIRE)
        step->request.acquire.names = (struct codec_strs){&step->name, 1};
    (void)add_op(f, step->op, &step->envelope, &step->request);
}

/* Whatever came back for this op, at once or later. */
static void learn_token(struct fixture *f, struct life *lives)
{
    for (uint32_t i = 0; i < f->answer_count; i++) {
        const struct answer *a = &f->answers[i];
        for (unsigned n = 0; a->kind == ANSWER_WOKEN && n < SESSIONS; n++) {
            if (lives[n].session == a->session && a->status == HF_OK) {
                lives[n].token = granted_token(f, a);
            }
        }
    }
}

struct told {
    enum answer_kind kind;
    int status;
    size_t body_bytes;
};

static void run(struct fixture *one, struct fixture *many, uint64_t seed)
{
    static struct told told[ANSWERS_MAX];
    struct prng prng;
    struct life lives[SESSIONS] = {{0}};
    uint32_t told_count = 0;
    prng_seed(&prng, seed);
    for (unsigned i = 0; i < SESSIONS; i++) {
        char name[] = {'s', (char)('A' + i), 0};
        lives[i].session = open_session(one, name, TTL_MS);
        assert_true(open_session(many, name, TTL_MS) == lives[i].session);
    }
    for (unsigned i = 0; i < OPS; i++) {
        struct step step;
        choose(&prng, lives, &step);
        add(one, &step);
        add(many, &step);
        apply_entry(one);
        for (uint32_t a = 0; a < one->answer_count; a++) {
            const struct answer *answer = &one->answers[a];
            told[told_count++] = (struct told){answer->kind, answer->status, answer->body.size};
        }
        learn_token(one, lives);
        const struct answer *own = &one->answers[one->answer_count - 1];
        if (step.op != OP_CODE_ACQUIRE || own->kind != ANSWER_REPLY || own->status != HF_OK)
            continue;
        for (unsigned n = 0; n < SESSIONS; n++) {
            if (lives[n].session == step.envelope.session) lives[n].token = granted_token(one, own);
        }
    }
    apply_entry(many);
    assert_int_equal(many->answer_count, told_count);
    for (uint32_t i = 0; i < told_count; i++) {
        assert_int_equal(many->answers[i].kind, told[i].kind);
        assert_int_equal(many->answers[i].status, told[i].status);
        assert_int_equal(many->answers[i].body.size, told[i].body_bytes);
    }
    assert_true(row_hash_equal(store_digest(one->store), store_digest(many->store)));
}

static void test_one_entry_or_many(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        void *one;
        void *many;
        assert_int_equal(fixture_setup(&one), 0);
        assert_int_equal(fixture_setup(&many), 0);
        run(one, many, seed);
        (void)fixture_teardown(&one);
        (void)fixture_teardown(&many);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_entry_or_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
