/* The leader's cluster time (docs/contract.md, section 1): the last entry's time plus what has
 * elapsed since on this machine, told in passes. A pass is one turn of the loop that has read what
 * its sockets had ready.
 *
 *   - between two passes at most 200 ms are added. A longer gap while a deadline is stored (a
 *     stopped process, a suspended machine, a stalled disk) counts 200 ms and begins the grace:
 *     whoever could not renew meanwhile gets the chance to;
 *   - during the grace time stands still. It also follows the first commit of a term, so that
 *     clients find the new leader before their leases run on;
 *   - without a stored deadline the loop sleeps as long as it likes: such a gap is no stall and
 *     begins no grace, but adds 200 ms at most like any other.
 * Time is late, never early: what is missed is never made up for. */
#ifndef SERVER_CLUSTER_CLOCK_H
#define SERVER_CLUSTER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { CLOCK_STEP_MS_MAX = 200, CLOCK_WAKE_MS = 100, CLOCK_GRACE_MS_DEFAULT = 2000 };

struct cluster_clock {
    uint64_t time_ms;         /**< cluster time as of the last pass */
    uint64_t pass_ms;         /**< when that was, on this machine's clock */
    uint64_t frozen_until_ms; /**< time stands still until then, on this machine's clock */
    uint32_t grace_ms;        /**< length of the grace */
    bool watched;             /**< a deadline was stored at the last pass: it is due back in time */
    bool running;             /**< between start and stop: this server leads */
};

/** Begin to lead. \param now_ms this machine's clock. \param time_ms the last entry's cluster time.
 * \param deadlines  a deadline is stored: only then does the grace protect anybody. */
void cluster_clock_start(struct cluster_clock *c, uint64_t now_ms, uint64_t time_ms,
                         bool deadlines);

/** Leadership is lost. */
void cluster_clock_stop(struct cluster_clock *c);

/** End a pass: move time. \param deadlines  a deadline is stored, or may be by what is under way.
 * \return true if the gap since the last pass was a stall and the grace has begun. */
bool cluster_clock_pass(struct cluster_clock *c, uint64_t now_ms, bool deadlines);

/** When, on this machine's clock, cluster time `time_ms` is reached if nothing stalls. */
uint64_t cluster_clock_when(const struct cluster_clock *c, uint64_t time_ms);

#endif
