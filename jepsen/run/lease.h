/* Leases as their callers may believe in them, and the claim that none ends early: whatever a
 * server says of a grant or an attempt's end, when it has been heard, the library must have stopped
 * believing in it. A belief is the moment until which hf_grant_left_ms() or hf_record_left_ms()
 * last said that it stands, counted from before they were asked; so it is never later than what the
 * library told its user, and a slow machine makes no belief late.
 *
 * An end that the caller asked for itself is none: a lease is forgotten when it is given back, and
 * when a call that gives it back stays of unknown outcome. */
#ifndef JEPSEN_RUN_LEASE_H
#define JEPSEN_RUN_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LEASE_SENTENCE_BYTES = 200 };

/** Of all clients, in memory that they share with the run. */
struct lease_counts {
    _Atomic uint64_t given;              /**< grants and attempts */
    _Atomic uint64_t early;              /**< of these ended before a caller's belief did */
    _Atomic int sentence_state;          /**< 0 = none, 1 = being written, 2 = there */
    char sentence[LEASE_SENTENCE_BYTES]; /**< about the first of them */
};

/** What a thread holds, or does not. Zeroed: nothing. Its thread begins, believes and ends; any
 * thread may tell of an end. */
struct lease {
    _Atomic uint64_t token;    /**< 0 = nothing */
    _Atomic uint64_t until_ns; /**< believed in until then, CLOCK_MONOTONIC */
};

/** A grant or an attempt was given. */
void lease_begin(struct lease *l, struct lease_counts *counts, uint64_t token);

/** The library says that `left_ms` are left. \param asked_ns  read before it was asked. */
void lease_believe(struct lease *l, uint64_t asked_ns, uint64_t left_ms);

/** It was given back, or may have been: nothing is believed any more. */
void lease_end(struct lease *l);

/** It is over, and the caller did not end it. \param token  whose end is told; another's is none of
 * this lease. \param heard_ns  read after the answer had come. \param what  who said so, and how.
 * \return true if that was early; it is counted once. */
bool lease_ended(struct lease *l, struct lease_counts *counts, uint64_t token, uint64_t heard_ns,
                 const char *what);

#endif
