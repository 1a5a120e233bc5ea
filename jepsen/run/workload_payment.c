/* Payments as a user would make them: each is begun under its key, has one effect on a guarded
 * resource, and is completed. Its caller comes back, also after its own death, until it is
 * answered. There are two ways, and a key tells which:
 *
 *   by account   under the lock of the account, which is claimed with the grant's fencing token;
 * the claim shows whether the effect is there already. Then it is written under the same token,
 * which stops whoever is late. by provider  which pays as often as it is asked under good tokens.
 * So the attempt opens a mark first, and whoever finds an attempt lost under its mark is told
 * UNKNOWN. It looks the effect up in the provider's ledger, closes the key for the lost attempt's
 *                token, and resolves the record.
 *
 * Half of the writers do not ask whether what they hold still stands, so that late writes happen:
 * the resource must be what stops them. The ledgers are counted at the end (payments.h). */
#include "jepsen/run/workload.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "jepsen/run/guard.h"

enum { EFFECT_MS = 20, LOCK_WAIT_MS = 300, AGAIN_MS = 50, THINK_MS = 225, SLOW_MS = 2500 };

/* What a claim writes in a register's place, apart from all payments' values. */
static const uint64_t CLAIM = UINT64_C(1) << 40;

/* ------------------------------------------------------------------ accounts */

/* What a payer does between its look and its effect, and again before it completes: dying there is
 * what pays twice if nobody looks. One in twenty is slow. */
static void think(struct worker *w)
{
    worker_pause_ms(w, prng_below(&w->prng, prng_below(&w->prng, 20) == 0 ? SLOW_MS : THINK_MS));
}

/* Under the account's lock. \return the effect's value; 0 = there is none by us. */
static uint64_t pay_from(struct worker *w, const char *account, const hf_grant *grant,
                         const char *key, uint64_t value)
{
    struct journal_line line;
    uint64_t token = grant->fencing_token, paid = 0;
    worker_begin_write(w, &line, account, token, CLAIM + value);
    if (!worker_end_write(w, &line, guard_claim(account, token, CLAIM + value, key, &paid)))
        return 0;
    if (paid != 0) return paid;
    think(w);
    bool careful = prng_below(&w->prng, 2) == 0;
    if (careful && !hf_grant_valid(grant, EFFECT_MS)) return 0;
    worker_begin_write(w, &line, account, token, value);
    if (!worker_end_write(w, &line, guard_pay(account, token, value, key))) return 0;
    think(w);
    return value;
}

static bool pay_by_account(struct worker *w, uint64_t number, const char *key, hf_record *record)
{
    char account[PAYMENTS_KEY_BYTES];
    hf_grant grant;
    bool done = false;
    struct worker_want want = {.names = {account}, .name_count = 1, .wait_ms = LOCK_WAIT_MS};
    (void)payments_account_name((unsigned)(number % PAYMENTS_ACCOUNTS), account);
    if (worker_acquire(w, &want, &grant) != HF_OK) {
        worker_record_abandon(w, key, record);
        return false;
    }
    uint64_t effect = pay_from(w, account, &grant, key, worker_number(w));
    if (effect != 0)
        done = worker_record_complete(w, key, record, false, effect);
    else
        worker_record_abandon(w, key, record);
    (void)worker_believe(w, &want, &grant);
    worker_release(w, &want, &grant);
    return done;
}

/* ------------------------------------------------------------------ the provider */

static bool pay_by_provider(struct worker *w, const char *key, hf_record *record)
{
    const hf_record_view *view = hf_record_look(record);
    uint64_t token = view->fencing_token, step = view->checkpoint_number + 1;
    struct journal_line line;
    bool paid = false;
    uint64_t value = worker_number(w);
    if (worker_record_checkpoint(w, key, record, step, HF_MARK_ONCE) == HF_OK) {
        think(w);
        bool careful = prng_below(&w->prng, 2) == 0;
        if (!careful || hf_record_valid(record, EFFECT_MS)) {
            worker_begin_write(w, &line, key, token, value);
            paid = worker_end_write(w, &line,
                                    guard_provider_pay(payments_provider(), token, value, key));
        }
    }
    if (!paid) {
        worker_record_abandon(w, key, record);
        return false;
    }
    think(w);
    return worker_record_complete(w, key, record, false, value);
}

/* An attempt was lost under its mark. Nothing that it still writes may come behind our look. */
static void decide(struct worker *w, uint64_t number, const char *key)
{
    struct worker_shown shown;
    struct journal_line line;
    uint64_t paid = 0;
    if (!worker_record_get(w, key, &shown) || strcmp(shown.status, "unknown") != 0) return;
    worker_begin_write(w, &line, key, shown.token + 1, 0);
    if (!guard_provider_close(payments_provider(), shown.token + 1, key, &paid)) {
        worker_end(w, &line, JOURNAL_FAIL, "stale_token");
        return;
    }
    if (paid != 0) { /* it was a read, then */
        line.op = "read";
        line.args[0] = '\0';
        snprintf(line.result, sizeof line.result, "\"value\":\"%" PRIu64 "\"", paid);
    }
    worker_end(w, &line, JOURNAL_OK, NULL);
    if (worker_record_resolve(w, key, shown.token, paid))
        payments_mark(w->payments, number, PAYMENT_DECIDED);
}

/* ------------------------------------------------------------------ a caller */

/* \return true if the payment is answered: done by us, or by somebody. */
static bool ask(struct worker *w, uint64_t number)
{
    char key[PAYMENTS_KEY_BYTES];
    hf_record *record;
    struct hf_begin how = {.takeover = HF_TAKEOVER_AUTO, .fingerprint = {1}};
    if (prng_below(&w->prng, 2) == 0) how.wait_ms = prng_below(&w->prng, 400);
    int verdict = worker_record_begin(w, payments_key(number, key), &how, &record);
    if (verdict == WORKER_MUST_DECIDE) decide(w, number, key);
    if (verdict == HF_REPLAY) hf_record_free(record);
    if (verdict != HF_STARTED && verdict != HF_TAKEOVER) return verdict == HF_REPLAY;
    bool taken = verdict == HF_TAKEOVER;
    payments_mark(w->payments, number, PAYMENT_BEGUN | (taken ? PAYMENT_TAKEN : 0));
    atomic_store(&w->caller->runs, 1);
    bool done = payments_is_marked(number) ? pay_by_provider(w, key, record)
                                           : pay_by_account(w, number, key, record);
    atomic_store(&w->caller->runs, 0);
    return done;
}

/* Ask for the one at `place`, which is free again if it was answered. */
static bool ask_again(struct worker *w, unsigned place)
{
    struct payment_caller *c = w->caller;
    uint64_t under_way = atomic_load(&c->under_way[place]);
    HF_ASSERT(under_way != 0);
    w->unsure = false;
    atomic_store(&c->asks, under_way);
    bool answered = ask(w, under_way - 1);
    if (w->unsure) payments_mark(w->payments, under_way - 1, PAYMENT_UNSURE);
    atomic_store(&c->asks, 0);
    if (answered) atomic_store(&c->under_way[place], 0);
    return answered;
}

/* A payment of now, or of lately: somebody else may have begun or done it. */
static uint64_t draw_number(struct worker *w)
{
    uint64_t now = worker_rounds(w), back = prng_below(&w->prng, 4) == 0 ? 5 : 0;
    uint64_t round = back < now ? now - back : now;
    uint64_t number = round * PAYMENTS_A_ROUND + prng_below(&w->prng, PAYMENTS_A_ROUND);
    HF_ASSERT(number < w->payments->room);
    return number;
}

/* What is open is asked for again in one turn of two, and a new one else, while there is a place.
 */
static void take_turn(struct worker *w)
{
    char account[PAYMENTS_KEY_BYTES];
    unsigned place = (unsigned)prng_below(&w->prng, PAYMENTS_UNDER_WAY);
    bool again = prng_below(&w->prng, 2) == 0;
    for (unsigned i = 0; i < PAYMENTS_UNDER_WAY; i++) {
        if ((atomic_load(&w->caller->under_way[place]) != 0) == again) break;
        place = (place + 1) % PAYMENTS_UNDER_WAY;
    }
    if (atomic_load(&w->caller->under_way[place]) == 0)
        atomic_store(&w->caller->under_way[place], draw_number(w) + 1);
    if (!ask_again(w, place)) worker_pause_ms(w, prng_below(&w->prng, AGAIN_MS));
    unsigned which = (unsigned)prng_below(&w->prng, PAYMENTS_ACCOUNTS);
    worker_read(w, payments_account_name(which, account));
    worker_pause_ms(w, 1 + prng_below(&w->prng, 8));
}

static void finish(struct worker *w)
{
    for (unsigned i = 0; i < PAYMENTS_UNDER_WAY; i++) {
        while (atomic_load(&w->caller->under_way[i]) != 0 &&
               atomic_load(&w->signal->phase) != PHASE_OVER) {
            if (!ask_again(w, i)) (void)poll(NULL, 0, AGAIN_MS);
        }
    }
}

static void read_all(struct worker *w)
{
    char name[PAYMENTS_KEY_BYTES];
    struct worker_shown shown;
    for (unsigned i = 0; i < PAYMENTS_ACCOUNTS; i++) {
        worker_query(w, payments_account_name(i, name));
        worker_read(w, name);
    }
    uint64_t end = (worker_rounds(w) + 1) * PAYMENTS_A_ROUND;
    for (uint64_t number = 0; number < end && number < w->payments->room; number++) {
        if (!worker_record_get(w, payments_key(number, name), &shown)) continue;
        if (strcmp(shown.status, "completed") != 0) continue;
        w->payments->list[number].answer = shown.code;
        payments_mark(w->payments, number, PAYMENT_COMPLETED);
    }
}

const struct workload workload_payment = {
    .name = "payment",
    .models = {WORKLOAD_LOCK, WORKLOAD_IDEM, WORKLOAD_FENCEDREG},
    .turn = take_turn,
    .finish = finish,
    .read_all = read_all,
};
