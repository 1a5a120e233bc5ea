/* New work is kept away from servers that answer nothing (the breaker), and its repetitions within
 * what servers can bear that have just come back (the budget). Pure: time is an argument. What
 * frees, renews or finishes passes by both (contract, section 9).
 *
 *   CLOSED     everything is admitted. Any answer of a server starts the count anew; when calls
 * have failed for after_ms, at least BREAKER_FAILURES of them, it opens OPEN       nothing is
 * admitted for open_ms, or until a server answers anything HALF_OPEN  one call is admitted at a
 * time: an answer closes it, a failure opens it again */
#ifndef CLIENT_BREAKER_H
#define CLIENT_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"

enum {
    BREAKER_FAILURES = 5,    /* a single caller's bad luck is no outage */
    BUDGET_BURST = 2 * 1024, /* every request that a session may have under way, twice over */
};

enum breaker_state { BREAKER_CLOSED = 0, BREAKER_OPEN = 1, BREAKER_HALF_OPEN = 2 };

struct breaker {
    uint64_t after_ms;        /**< open after failures for so long; 0 = never */
    uint64_t open_ms;         /**< until the first probe, and at least between two */
    enum breaker_state state; /**< now */
    uint32_t failures;        /**< CLOSED: since the last answer */
    uint64_t first_ns;        /**< CLOSED: when the first of them was */
    uint64_t since_ns; /**< OPEN: since when; HALF_OPEN: when a probe was admitted; 0 = none */
};

/** May new work begin? Of a half-open breaker that admits the one probe. */
HF_MUST_USE
bool breaker_admits(struct breaker *b, uint64_t now_ns);

/** A call of new work ended without an answer. */
void breaker_failed(struct breaker *b, uint64_t now_ns);

/** A server answered something, whatever it was. */
void breaker_answered(struct breaker *b);

/** A token bucket for repetitions. */
struct budget {
    uint32_t per_s;      /**< refilled so fast, from BUDGET_BURST down; 0 = no limit */
    uint64_t left_milli; /**< thousandths of a repetition */
    uint64_t at_ns;      /**< when it was refilled last; 0 = it is full */
};

/** Take one. \return 0, or nanoseconds until there may be one. */
uint64_t budget_take(struct budget *b, uint64_t now_ns);

#endif
