#include "jepsen/run/lease.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"

void lease_begin(struct lease *l, struct lease_counts *counts, uint64_t token)
{
    HF_ASSERT(token != 0);
    atomic_fetch_add(&counts->given, 1);
    atomic_store(&l->until_ns, 0);
    atomic_store(&l->token, token);
}

void lease_believe(struct lease *l, uint64_t asked_ns, uint64_t left_ms)
{
    uint64_t until_ns = asked_ns + left_ms * 1000000U;
    if (left_ms > 0 && until_ns > atomic_load(&l->until_ns)) atomic_store(&l->until_ns, until_ns);
}

void lease_end(struct lease *l)
{
    atomic_store(&l->token, 0);
}

bool lease_ended(struct lease *l, struct lease_counts *counts, uint64_t token, uint64_t heard_ns,
                 const char *what)
{
    uint64_t until_ns = atomic_load(&l->until_ns), expected = token;
    HF_ASSERT(token != 0);
    if (!atomic_compare_exchange_strong(&l->token, &expected, 0)) return false;
    if (heard_ns >= until_ns) return false;
    int none = 0;
    if (atomic_compare_exchange_strong(&counts->sentence_state, &none, 1)) {
        snprintf(counts->sentence, sizeof counts->sentence,
                 "%.120s: token %" PRIu64 ", %" PRIu64 " ms before it had to", what, token,
                 (until_ns - heard_ns) / 1000000U);
        atomic_store(&counts->sentence_state, 2);
    }
    atomic_fetch_add(&counts->early, 1); /* behind the sentence: who sees this may read that */
    return true;
}
