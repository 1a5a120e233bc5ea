/* A payment as a user would make it: begun once for its key, under the lock of the account, and
 * written to a resource that checks the fencing token. Half of the writers do not ask whether
 * their grant still holds, so that late writes happen: the guard must be what stops them. */
#include "jepsen/run/workload.h"

#include <inttypes.h>
#include <stdio.h>

#include "jepsen/run/guard.h"

enum { KEYS = 2, ACCOUNTS = 2, EFFECT_MS = 20 };

static const char *account_of(unsigned which, char out[WORKLOAD_NAME_BYTES])
{
    snprintf(out, WORKLOAD_NAME_BYTES, "account-%u", which);
    return out;
}

static void write_account(struct worker *w, const char *account, uint64_t token, uint64_t value)
{
    struct journal_line line;
    worker_begin(w, &line, WORKLOAD_FENCEDREG, "write", account);
    snprintf(line.args, sizeof line.args, "\"token\":%" PRIu64 ",\"value\":\"%" PRIu64 "\"", token,
             value);
    worker_call(w, &line);
    bool good = guard_write(account, token, value);
    worker_end(w, &line, good ? JOURNAL_OK : JOURNAL_FAIL, good ? NULL : "stale_token");
}

static void read_account(struct worker *w, const char *account)
{
    struct journal_line line;
    uint64_t value = 0;
    worker_begin(w, &line, WORKLOAD_FENCEDREG, "read", account);
    worker_call(w, &line);
    if (guard_read(account, &value))
        snprintf(line.result, sizeof line.result, "\"value\":\"%" PRIu64 "\"", value);
    else
        snprintf(line.result, sizeof line.result, "\"value\":null");
    worker_end(w, &line, JOURNAL_OK, NULL);
}

/* \return true if the account was written to, or refused the write. */
static bool pay(struct worker *w, uint64_t payment)
{
    char account[WORKLOAD_NAME_BYTES];
    hf_grant grant;
    (void)account_of((unsigned)prng_below(&w->prng, ACCOUNTS), account);
    if (worker_acquire(w, account, 300, false, &grant) != HF_OK) return false;
    worker_pause_ms(w, prng_below(&w->prng, prng_below(&w->prng, 20) == 0 ? 1000 : 10));
    bool careful = prng_below(&w->prng, 2) == 0;
    bool may_write = !careful || hf_grant_valid(&grant, EFFECT_MS);
    if (may_write) write_account(w, account, grant.fencing_token, payment);
    worker_believe(w, account, &grant);
    worker_release(w, account, &grant);
    return may_write;
}

static void take_turn(struct worker *w)
{
    char key[WORKLOAD_NAME_BYTES], account[WORKLOAD_NAME_BYTES];
    hf_record *record;
    struct hf_begin how = {.takeover = HF_TAKEOVER_AUTO, .fingerprint = {1}};
    uint64_t payment = worker_number(w);
    (void)worker_record_key("pay", worker_rounds(w), (unsigned)prng_below(&w->prng, KEYS), key);
    int verdict = worker_record_begin(w, key, &how, &record);
    if (verdict != HF_STARTED && verdict != HF_TAKEOVER)
        hf_record_free(record);
    else if (pay(w, payment))
        worker_record_complete(w, key, record, payment);
    else
        worker_record_abandon(w, key, record);
    (void)pay(w, payment + 1); /* traffic on the accounts beside the payments under keys */
    read_account(w, account_of((unsigned)prng_below(&w->prng, ACCOUNTS), account));
    worker_pause_ms(w, 1 + prng_below(&w->prng, 8));
}

static void read_all(struct worker *w)
{
    char name[WORKLOAD_NAME_BYTES];
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        worker_query(w, account_of(i, name));
        read_account(w, name);
    }
    for (uint64_t round = 0, last = worker_rounds(w); round <= last; round++) {
        for (unsigned i = 0; i < KEYS; i++)
            worker_record_get(w, worker_record_key("pay", round, i, name));
    }
}

const struct workload workload_payment = {
    .name = "payment",
    .models = {WORKLOAD_LOCK, WORKLOAD_IDEM, WORKLOAD_FENCEDREG},
    .turn = take_turn,
    .read_all = read_all,
};
