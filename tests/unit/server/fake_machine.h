/* A machine with four rules instead of a contract, behind machine/machine.h, so that the tests of
 * the replica say what the machine does and see what the replica makes of it:
 *   OPEN      a new session, alive until cluster time + ttl
 *   KEEP, RESUME, and any other op that renews: alive for another ttl; SESSION_EXPIRED after a
 *             sweep has ended it
 *   ACQUIRE   wait_ms 0: granted, with a token that rises; else parked until a RELEASE
 *   RELEASE   wakes every parked ACQUIRE with a grant
 * It keeps everything in the store, so that restarts and replays show. */
#ifndef TESTS_UNIT_SERVER_FAKE_MACHINE_H
#define TESTS_UNIT_SERVER_FAKE_MACHINE_H

#include <stdint.h>

#include "machine/machine.h"

/** All zero after machine_open(). What machine_session_peek() answers, and how many rows one sweep
 * may touch. */
struct fake_knobs {
    uint32_t unacked_count; /**< answered and not acknowledged, of every session */
    uint64_t known_seq;     /**< applied before, says machine_request_peek() */
    uint32_t sweep_budget;  /**< sessions that one entry may end; 0 = all */
    uint32_t grace_ms;      /**< the cluster's setting; 0 = nobody has set it */
    int apply_status;       /**< what machine_apply() answers from now on */
};
extern struct fake_knobs fake_knobs;

/** Sessions that sweeps have ended. */
uint64_t fake_expired_count(struct machine *m);

#endif
