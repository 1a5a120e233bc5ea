/* See the header. */
#include "tests/sim/ledgers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "protocol/words.h"
#include "tests/sim/failure.h"

enum {
    PLACES_FIRST = 256,
    AMOUNT_MOST = 60,
    BRIEF_ONE_OF = 8,
    DOOMED_ONE_OF = 8,
    TOTAL = LEDGER_BANKS * LEDGER_ACCOUNTS * LEDGER_BALANCE
};

const char *ledger_side_name(enum ledger_side side)
{
    HF_ASSERT(side < SIDE_COUNT);
    return side == SIDE_OUT ? "out" : "in";
}

const char *ledgers_death_name(uint32_t number)
{
    static const char *const names[LEDGER_DEATHS] = {"try-asked",
                                                     "try-allowed",
                                                     "try-committed",
                                                     "try-saying",
                                                     "confirm-asked",
                                                     "confirm-allowed",
                                                     "confirm-committed",
                                                     "confirm-saying",
                                                     "cancel-asked",
                                                     "cancel-allowed",
                                                     "cancel-committed",
                                                     "cancel-saying",
                                                     "coordinator-begun",
                                                     "coordinator-half-tried",
                                                     "coordinator-confirming",
                                                     "coordinator-half-confirmed",
                                                     "coordinator-cancelling",
                                                     "coordinator-half-cancelled"};
    HF_ASSERT(number < LEDGER_DEATHS);
    return names[number];
}

static struct transfer *transfer_of(struct ledgers *l, uint32_t transfer)
{
    HF_ASSERT(transfer < l->count);
    return &l->transfers[transfer];
}

void ledgers_init(struct ledgers *l)
{
    *l = (struct ledgers){0};
    for (unsigned bank = 0; bank < LEDGER_BANKS; bank++) {
        for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++) l->balances[bank][i] = LEDGER_BALANCE;
    }
}

void ledgers_close(struct ledgers *l)
{
    free(l->transfers);
    *l = (struct ledgers){0};
}

/* ------------------------------------------------------------------ the coordinator */

uint32_t ledgers_open(struct ledgers *l, struct prng *random, bool brief)
{
    if (l->open_count == LEDGER_OPEN_MAX) return UINT32_MAX;
    if (l->count == l->places) {
        l->places = l->places == 0 ? PLACES_FIRST : l->places * 2;
        l->transfers = realloc(l->transfers, l->places * sizeof *l->transfers);
        HF_ASSERT(l->transfers != NULL);
    }
    uint8_t from = (uint8_t)prng_below(random, LEDGER_BANKS);
    uint8_t to = (uint8_t)((from + 1 + prng_below(random, LEDGER_BANKS - 1)) % LEDGER_BANKS);
    l->transfers[l->count] = (struct transfer){
        .amount = 1 + (uint32_t)prng_below(random, AMOUNT_MOST),
        .bank = {from, to},
        .account = {(uint8_t)prng_below(random, LEDGER_ACCOUNTS),
                    (uint8_t)prng_below(random, LEDGER_ACCOUNTS)},
        .brief = (prng_below(random, BRIEF_ONE_OF) == 0) != brief,
        .doomed = prng_below(random, DOOMED_ONE_OF) == 0,
    };
    l->open[l->open_count++] = l->count;
    return l->count++;
}

void ledgers_decide(struct ledgers *l, uint32_t transfer, uint8_t op)
{
    struct transfer *x = transfer_of(l, transfer);
    HF_ASSERT(op == BRANCH_CONFIRM || op == BRANCH_CANCEL);
    if (x->decision == 0) x->decision = op;
}

void ledgers_settle(struct ledgers *l, uint32_t transfer)
{
    const struct transfer *x = transfer_of(l, transfer);
    if (!x->told[SIDE_OUT].ended || !x->told[SIDE_IN].ended) return;
    for (uint32_t i = 0; i < l->open_count; i++) {
        if (l->open[i] != transfer) continue;
        l->open[i] = l->open[--l->open_count];
        l->confirmed_count += x->decision == BRANCH_CONFIRM;
        l->cancelled_count += x->decision == BRANCH_CANCEL;
        return;
    }
}

uint32_t ledgers_progress(const struct ledgers *l, uint32_t transfer)
{
    HF_ASSERT(transfer < l->count);
    const struct ledger_told *told = l->transfers[transfer].told;
    bool ended = told[SIDE_OUT].ended || told[SIDE_IN].ended;
    bool tried =
        told[SIDE_OUT].tried != BRANCH_TRY_NEVER || told[SIDE_IN].tried != BRANCH_TRY_NEVER;
    switch (l->transfers[transfer].decision) {
    case BRANCH_CONFIRM: return 2 + ended;
    case BRANCH_CANCEL: return 4 + ended;
    default: return tried;
    }
}

/* ------------------------------------------------------------------ a bank */

static enum ledger_answer try_here(struct transfer *x, enum ledger_side side, uint32_t *balance)
{
    struct ledger_row *row = &x->rows[side];
    if (row->effect == EFFECT_RESERVED) return LEDGER_DONE; /* an attempt before has done it */
    if (side == SIDE_OUT && *balance < x->amount) return LEDGER_REFUSED;
    if (side == SIDE_IN && *balance + x->amount > LEDGER_CEILING) return LEDGER_REFUSED;
    if (side == SIDE_OUT) *balance -= x->amount;
    row->effect = EFFECT_RESERVED;
    return LEDGER_DONE;
}

static void confirm_here(struct transfer *x, enum ledger_side side, uint32_t *balance)
{
    struct ledger_row *row = &x->rows[side];
    if (row->effect == EFFECT_APPLIED) return;
    if (side == SIDE_IN) *balance += x->amount;
    row->effect = EFFECT_APPLIED;
}

static void cancel_here(struct transfer *x, enum ledger_side side, uint32_t *balance)
{
    struct ledger_row *row = &x->rows[side];
    if (side == SIDE_OUT && row->effect == EFFECT_RESERVED) *balance += x->amount;
    row->effect = EFFECT_UNDONE;
}

/* May `op` find this? Whatever else there is, the barrier should not have let it through. */
static bool may_find(uint8_t op, uint8_t effect)
{
    switch (op) {
    case BRANCH_TRY: return effect == EFFECT_NONE || effect == EFFECT_RESERVED;
    case BRANCH_CONFIRM: return effect == EFFECT_RESERVED || effect == EFFECT_APPLIED;
    default: return effect != EFFECT_APPLIED;
    }
}

enum ledger_answer ledgers_commit(struct ledgers *l, uint32_t transfer, enum ledger_side side,
                                  uint8_t op, uint64_t token)
{
    static const char *const names[] = {"nothing was done", "it was reserved", "it was confirmed",
                                        "it was cancelled"};
    struct transfer *x = transfer_of(l, transfer);
    struct ledger_row *row = &x->rows[side];
    uint32_t *balance = &l->balances[x->bank[side]][x->account[side]];
    HF_ASSERT(token != 0 && op >= BRANCH_TRY && op <= BRANCH_CANCEL);
    if (row->token > token) {
        l->stale_count++;
        return LEDGER_STALE;
    }
    if (!may_find(op, row->effect))
        sim_fail("transfer-%u %s: token %" PRIu64 " may do op %u, and the guard lets it: %s under "
                 "token %" PRIu64,
                 transfer, ledger_side_name(side), token, op, names[row->effect], row->token);
    if (op == BRANCH_TRY && try_here(x, side, balance) == LEDGER_REFUSED) return LEDGER_REFUSED;
    if (op == BRANCH_CONFIRM) confirm_here(x, side, balance);
    if (op == BRANCH_CANCEL) cancel_here(x, side, balance);
    row->token = token;
    return LEDGER_DONE;
}

/* ------------------------------------------------------------------ at the end */

static bool is_at_end(const struct ledgers *l, uint32_t transfer)
{
    for (uint32_t i = 0; i < l->open_count; i++) {
        if (l->open[i] == transfer) return false;
    }
    return true;
}

/* What is still under way, in a run that has no calm, holds what it has reserved. */
static uint64_t look_at_transfer(const struct ledgers *l, uint32_t transfer)
{
    const struct transfer *x = &l->transfers[transfer];
    uint8_t out = x->rows[SIDE_OUT].effect, in = x->rows[SIDE_IN].effect;
    bool held = (out == EFFECT_RESERVED || out == EFFECT_APPLIED) && in != EFFECT_APPLIED;
    if (!is_at_end(l, transfer)) return held ? x->amount : 0;
    bool confirmed = out == EFFECT_APPLIED && in == EFFECT_APPLIED;
    bool cancelled = out == EFFECT_UNDONE && in == EFFECT_UNDONE;
    if (x->decision == BRANCH_CONFIRM ? !confirmed : !cancelled)
        sim_fail("transfer-%u: decided as %s, and its banks have effects %u and %u", transfer,
                 x->decision == BRANCH_CONFIRM ? "confirmed" : "cancelled", out, in);
    return 0;
}

void ledgers_end(const struct ledgers *l)
{
    uint64_t sum = 0;
    for (unsigned bank = 0; bank < LEDGER_BANKS; bank++) {
        for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++) sum += l->balances[bank][i];
    }
    for (uint32_t i = 0; i < l->count; i++) sum += look_at_transfer(l, i);
    if (sum != TOTAL)
        sim_fail("after %u transfers the banks have %" PRIu64 ", and had %d", l->count, sum, TOTAL);
}
