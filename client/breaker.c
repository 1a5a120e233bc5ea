/* See the header. */
#include "client/breaker.h"

enum { NS_PER_MS = 1000000, MILLI = 1000 };

bool breaker_admits(struct breaker *b, uint64_t now_ns)
{
    if (b->state == BREAKER_CLOSED) return true;
    bool waited = b->since_ns == 0 || now_ns - b->since_ns >= b->open_ms * NS_PER_MS;
    if (!waited) return false; /* a probe whose caller cancelled it is forgotten after open_ms */
    b->state = BREAKER_HALF_OPEN;
    b->since_ns = now_ns;
    return true;
}

static void open_up(struct breaker *b, uint64_t now_ns)
{
    b->state = BREAKER_OPEN;
    b->since_ns = now_ns;
}

void breaker_failed(struct breaker *b, uint64_t now_ns)
{
    if (b->after_ms == 0) return;
    if (b->state != BREAKER_CLOSED) {
        open_up(b, now_ns);
        return;
    }
    if (b->failures == 0) b->first_ns = now_ns;
    b->failures += 1;
    if (b->failures >= BREAKER_FAILURES && now_ns - b->first_ns >= b->after_ms * NS_PER_MS)
        open_up(b, now_ns);
}

void breaker_answered(struct breaker *b)
{
    b->state = BREAKER_CLOSED;
    b->failures = 0;
}

uint64_t budget_take(struct budget *b, uint64_t now_ns)
{
    const uint64_t full = (uint64_t)BUDGET_BURST * MILLI;
    if (b->per_s == 0) return 0;
    if (b->at_ns == 0) b->left_milli = full;
    if (b->at_ns == 0) b->at_ns = now_ns;
    HF_ASSERT(now_ns >= b->at_ns);
    uint64_t passed_ms = (now_ns - b->at_ns) / NS_PER_MS;
    uint64_t most_ms = full / b->per_s + 1; /* longer changes nothing, and would overflow */
    b->left_milli += (passed_ms < most_ms ? passed_ms : most_ms) * b->per_s;
    if (b->left_milli > full) b->left_milli = full;
    b->at_ns += passed_ms * NS_PER_MS;
    if (b->left_milli >= MILLI) {
        b->left_milli -= MILLI;
        return 0;
    }
    return ((MILLI - b->left_milli) / b->per_s + 1) * NS_PER_MS;
}
