/* Random requests at a few branches, against a model that knows nothing but the table of
 * contract, 7: written as rows, searched for the row that fits. After each entry the invariants
 * hold and a second machine has the same digest. */
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "storage/store.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/branch_rig.h"

enum { BRANCHES = 5, TOKENS_MAX = 400, STEPS = 4000 };

/* What a cell does. */
enum cell { RUN, REPEAT, EMPTY, REFUSE, ON };

/* The table, a line a cell: state, op, what, the next state, the refusal. ON: as long as the lease
 * lasts it is refused, then RUN. */
static const struct cell_row {
    uint64_t state;
    uint64_t op;
    enum cell what;
    uint64_t next;
    int status;
} table[] = {
    {BRANCH_NONE, BRANCH_TRY, RUN, BRANCH_TRYING, 0},
    {BRANCH_NONE, BRANCH_CONFIRM, REFUSE, 0, HF_ENOTRY},
    {BRANCH_NONE, BRANCH_CANCEL, EMPTY, BRANCH_CANCELLED, 0},
    {BRANCH_TRYING, BRANCH_TRY, ON, BRANCH_TRYING, HF_ERUNNING},
    {BRANCH_TRYING, BRANCH_CONFIRM, REFUSE, 0, HF_ENOTREADY},
    {BRANCH_TRYING, BRANCH_CANCEL, RUN, BRANCH_CANCELLING, 0},
    {BRANCH_TRIED, BRANCH_TRY, REPEAT, 0, 0},
    {BRANCH_TRIED, BRANCH_CONFIRM, RUN, BRANCH_CONFIRMING, 0},
    {BRANCH_TRIED, BRANCH_CANCEL, RUN, BRANCH_CANCELLING, 0},
    {BRANCH_TRY_FAILED, BRANCH_TRY, REPEAT, 0, 0},
    {BRANCH_TRY_FAILED, BRANCH_CONFIRM, REFUSE, 0, HF_ENOTRY},
    {BRANCH_TRY_FAILED, BRANCH_CANCEL, RUN, BRANCH_CANCELLING, 0},
    {BRANCH_CONFIRMING, BRANCH_TRY, REPEAT, 0, 0},
    {BRANCH_CONFIRMING, BRANCH_CONFIRM, ON, BRANCH_CONFIRMING, HF_ERUNNING},
    {BRANCH_CONFIRMING, BRANCH_CANCEL, REFUSE, 0, HF_EDECIDED},
    {BRANCH_CONFIRMED, BRANCH_TRY, REPEAT, 0, 0},
    {BRANCH_CONFIRMED, BRANCH_CONFIRM, REPEAT, 0, 0},
    {BRANCH_CONFIRMED, BRANCH_CANCEL, REFUSE, 0, HF_EDECIDED},
    {BRANCH_CANCELLING, BRANCH_TRY, REFUSE, 0, HF_EHANGING},
    {BRANCH_CANCELLING, BRANCH_CONFIRM, REFUSE, 0, HF_EDECIDED},
    {BRANCH_CANCELLING, BRANCH_CANCEL, ON, BRANCH_CANCELLING, HF_ERUNNING},
    {BRANCH_CANCELLED, BRANCH_TRY, REFUSE, 0, HF_EHANGING},
    {BRANCH_CANCELLED, BRANCH_CONFIRM, REFUSE, 0, HF_EDECIDED},
    {BRANCH_CANCELLED, BRANCH_CANCEL, REPEAT, 0, 0},
};

/* One branch, as the model has it. */
struct model {
    uint64_t state;              /* enum branch_state */
    uint64_t token;              /* of the last phase */
    uint64_t until_ms;           /* its lease; 0 = over */
    uint64_t done_ms;            /* when it was finished; 0 = not */
    uint64_t tokens[TOKENS_MAX]; /* all of its life, for late ends */
    bool ended[TOKENS_MAX];      /* that one has said how it ended, for good */
    uint32_t token_count;        /* of them */
};

struct world {
    struct rig r;
    struct prng prng;
    struct model branches[BRANCHES];
    uint64_t highest; /* token that was ever issued */
};

static const char *const gids[BRANCHES] = {"a", "b", "c", "d", "e"};

static const struct cell_row *find_row(uint64_t state, uint64_t op)
{
    for (size_t i = 0; i < HF_ARRAY_COUNT(table); i++) {
        if (table[i].state == state && table[i].op == op) return &table[i];
    }
    fail();
    return NULL;
}

/* Time is only moved by pass(), which sweeps all that is due: so late is lapsed. */
static void catch_up(struct world *w)
{
    uint64_t now_ms = w->r.f->now_ms;
    for (int i = 0; i < BRANCHES; i++) {
        struct model *b = &w->branches[i];
        if (b->until_ms != 0 && b->until_ms <= now_ms) b->until_ms = 0;
        bool reaped = b->done_ms != 0 && b->done_ms + RIG_RETAIN_MS <= now_ms;
        if (reaped) memset(b, 0, sizeof *b);
    }
}

static void took_token(struct world *w, struct model *b, uint64_t token)
{
    assert_true(token > w->highest);
    w->highest = token;
    b->token = token;
    assert_true(b->token_count < TOKENS_MAX);
    b->tokens[b->token_count] = token;
    b->ended[b->token_count++] = false;
}

static void ask(struct world *w, int at)
{
    struct model *b = &w->branches[at];
    uint64_t op = BRANCH_TRY + prng_below(&w->prng, 3);
    const struct cell_row *row = find_row(b->state, op);
    bool runs = row->what == RUN || (row->what == ON && b->until_ms == 0);
    struct verdict v = rig_ask(&w->r, gids[at], op);
    if (row->what == REFUSE || (row->what == ON && !runs)) {
        assert_int_equal(v.status, row->status);
        return;
    }
    assert_int_equal(v.status, HF_OK);
    if (row->what == REPEAT) {
        assert_int_equal(v.reply.verdict, BRANCH_DUPLICATE);
        bool failed = b->state == BRANCH_TRY_FAILED;
        assert_int_equal(v.reply.outcome, failed ? OUTCOME_FAILED : OUTCOME_DONE);
        return;
    }
    assert_int_equal(v.reply.verdict, runs ? BRANCH_EXECUTE : BRANCH_EMPTY_ROLLBACK);
    took_token(w, b, v.reply.fencing_token);
    b->state = row->next;
    b->until_ms = runs ? w->r.f->now_ms + RIG_LEASE_MS : 0;
    b->done_ms = runs ? 0 : w->r.f->now_ms;
}

/* What an end of the current phase makes of the branch. */
static void ended(struct world *w, struct model *b, uint32_t i, uint64_t outcome)
{
    bool well = outcome == OUTCOME_DONE;
    b->until_ms = 0;
    if (outcome == OUTCOME_RETRYABLE || (!well && b->state != BRANCH_TRYING)) return;
    b->ended[i] = true;
    if (b->state == BRANCH_TRYING) {
        b->state = well ? BRANCH_TRIED : BRANCH_TRY_FAILED;
        return;
    }
    b->state = b->state == BRANCH_CONFIRMING ? BRANCH_CONFIRMED : BRANCH_CANCELLED;
    b->done_ms = w->r.f->now_ms;
}

static bool is_open(const struct model *b)
{
    return b->state == BRANCH_TRYING || b->state == BRANCH_CONFIRMING ||
           b->state == BRANCH_CANCELLING;
}

static void done(struct world *w, int at)
{
    struct model *b = &w->branches[at];
    if (b->token_count == 0) return;
    uint64_t back = prng_below(&w->prng, 3) == 0 ? prng_below(&w->prng, b->token_count) : 0;
    uint32_t i = b->token_count - 1 - (uint32_t)back;
    uint64_t outcome = OUTCOME_DONE + prng_below(&w->prng, 3);
    char body[32]; /* differs each time: a repeat is another result */
    snprintf(body, sizeof body, "%u", (unsigned)prng_below(&w->prng, 1000000));
    int status = rig_done(&w->r, gids[at], b->tokens[i], outcome, body);
    bool own = is_open(b) && b->tokens[i] == b->token;
    if (own) {
        assert_int_equal(status, HF_OK);
        ended(w, b, i, outcome);
    } else {
        assert_int_equal(status, b->ended[i] ? HF_ECONFLICT : HF_ESTALE);
    }
}

/* A session keeps its answers, and may be full of them. */
static void next_session(struct world *w, int step)
{
    char name[SESSION_SECRET_BYTES];
    snprintf(name, sizeof name, "s%d", step);
    w->r = rig_open(w->r.f, name);
}

static void test_random_requests_follow_the_table(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    struct fixture *f = *state;
    fixture_add_twin(f);
    w->r = rig_open(f, "r");
    prng_seed(&w->prng, 20261125);
    for (int i = 0; i < STEPS; i++) {
        int at = (int)prng_below(&w->prng, BRANCHES);
        uint64_t dice = prng_below(&w->prng, 100);
        if (dice < 50) {
            ask(w, at);
        } else if (dice < 85) {
            done(w, at);
        } else if (dice < 97) {
            pass(f, prng_below(&w->prng, RIG_LEASE_MS));
        } else {
            pass(f, prng_below(&w->prng, RIG_RETAIN_MS));
        }
        catch_up(w);
        if (w->r.seq >= 200) next_session(w, i);
        assert_int_equal(rig_state(&w->r, gids[at]), w->branches[at].state);
    }
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_requests_follow_the_table, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
