#include "jepsen/run/payments.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "jepsen/run/child.h"
#include "jepsen/run/guard.h"

enum {
    ROUNDS_A_SECOND = 10,
    SECONDS_BESIDE = 600, /* of a run, before its faults and behind them */
    PATH_BYTES = 1024,
};

static const char PREFIX[] = "pay-";

/* ------------------------------------------------------------------ numbers and keys */

static size_t bytes_of(uint64_t room)
{
    return sizeof(struct payments) + room * sizeof(struct payment);
}

struct payments *payments_open(uint64_t seconds)
{
    uint64_t room = (seconds + SECONDS_BESIDE) * ROUNDS_A_SECOND * PAYMENTS_A_ROUND;
    struct payments *p = child_share(bytes_of(room));
    if (p != NULL) p->room = room;
    return p;
}

void payments_close(struct payments *p)
{
    if (p != NULL) munmap(p, bytes_of(p->room));
}

const char *payments_key(uint64_t number, char out[PAYMENTS_KEY_BYTES])
{
    snprintf(out, PAYMENTS_KEY_BYTES, "%s%" PRIu64 "-%" PRIu64, PREFIX, number / PAYMENTS_A_ROUND,
             number % PAYMENTS_A_ROUND);
    return out;
}

bool payments_number(const char *key, uint64_t *number)
{
    char *end, *last;
    if (strncmp(key, PREFIX, strlen(PREFIX)) != 0) return false;
    uint64_t round = strtoull(key + strlen(PREFIX), &end, 10);
    if (*end != '-') return false;
    uint64_t which = strtoull(end + 1, &last, 10);
    if (last == end + 1 || *last != '\0' || which >= PAYMENTS_A_ROUND) return false;
    *number = round * PAYMENTS_A_ROUND + which;
    return true;
}

const char *payments_account_name(unsigned which, char out[PAYMENTS_KEY_BYTES])
{
    snprintf(out, PAYMENTS_KEY_BYTES, "account-%u", which);
    return out;
}

const char *payments_provider(void)
{
    return "provider.ledger";
}

bool payments_is_marked(uint64_t number)
{
    return number % PAYMENTS_MARKED == 0;
}

/* ------------------------------------------------------------------ while they run */

void payments_mark(struct payments *p, uint64_t number, unsigned mark)
{
    HF_ASSERT(number < p->room);
    atomic_fetch_or(&p->list[number].marks, mark);
}

void payments_caller_died(struct payments *p, unsigned caller, bool in_call)
{
    HF_ASSERT(caller < PAYMENTS_CALLERS);
    struct payment_caller *c = &p->callers[caller];
    uint64_t asks = atomic_exchange(&c->asks, 0);
    bool ran = atomic_exchange(&c->runs, 0) != 0;
    if (asks == 0) return;
    if (ran) payments_mark(p, asks - 1, PAYMENT_CUT | PAYMENT_UNSURE);
    if (in_call) payments_mark(p, asks - 1, PAYMENT_UNSURE);
}

/* ------------------------------------------------------------------ the account at the end */

struct audit {
    struct payments *payments;
    struct payments_account *sums;
    void (*fail)(void *data, const char *sentence);
    void *data;
};

__attribute__((format(printf, 2, 3))) static void complain(struct audit *a, const char *format, ...)
{
    char sentence[PAYMENTS_SENTENCE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    a->sums->wrong += 1;
    a->fail(a->data, sentence);
}

static void count_effect(const struct guard_record *r, void *data)
{
    struct audit *a = data;
    uint64_t number = 0;
    if (r->value == 0) return; /* a key that was closed */
    a->sums->effects += 1;
    if (!payments_number(r->key, &number) || number >= a->payments->room) {
        complain(a, "a ledger has an effect of \"%s\", which is no payment of this run", r->key);
        return;
    }
    a->payments->list[number].effects += 1;
    a->payments->list[number].effect = (uint32_t)r->value;
}

static void read_ledgers(struct audit *a, const char *folder)
{
    char path[PATH_BYTES], name[PAYMENTS_KEY_BYTES];
    for (unsigned i = 0; i < PAYMENTS_ACCOUNTS; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, payments_account_name(i, name));
        if (!guard_audit_account(path, count_effect, a))
            complain(a, "the ledger of %s cannot be read", path);
    }
    snprintf(path, sizeof path, "%s/%s", folder, payments_provider());
    if (!guard_audit(path, count_effect, a)) complain(a, "%s cannot be read", path);
}

static void look_at(struct audit *a, uint64_t number)
{
    const struct payment *p = &a->payments->list[number];
    uint32_t marks = atomic_load(&p->marks);
    bool completed = (marks & PAYMENT_COMPLETED) != 0;
    char key[PAYMENTS_KEY_BYTES];
    (void)payments_key(number, key);
    a->sums->doubles += p->effects > 1;
    if (p->effects > 1) complain(a, "payment %s has %u effects, not one", key, p->effects);
    if ((marks & PAYMENT_BEGUN) == 0) {
        if (p->effects > 0) complain(a, "payment %s has an effect, but nobody began it", key);
        return;
    }
    a->sums->begun += 1;
    a->sums->cut += (marks & PAYMENT_CUT) != 0;
    a->sums->unsure += (marks & PAYMENT_UNSURE) != 0;
    a->sums->resolved_later += completed && (marks & (PAYMENT_CUT | PAYMENT_UNSURE)) != 0;
    a->sums->taken += (marks & PAYMENT_TAKEN) != 0;
    a->sums->decided += (marks & PAYMENT_DECIDED) != 0;
    a->sums->completed += completed;
    if (!completed)
        complain(a, "payment %s was begun, and nobody completed it", key);
    else if (p->effects == 0)
        complain(a, "payment %s is completed, but has no effect", key);
    else if (p->effects == 1 && p->answer != p->effect)
        complain(a, "payment %s is answered with %u, its effect is %u", key, p->answer, p->effect);
}

void payments_sum_up(struct payments *p, const char *folder,
                     void (*fail)(void *data, const char *sentence), void *data,
                     struct payments_account *sums)
{
    struct audit a = {p, sums, fail, data};
    *sums = (struct payments_account){0};
    read_ledgers(&a, folder);
    for (uint64_t number = 0; number < p->room; number++) look_at(&a, number);
}
