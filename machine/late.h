/* Ends that came too late, the signal of a possible double effect: of a record's attempts and of a
 * branch's phases, the first few, one a token. And what tells a repeat of an end from a
 * contradiction: the hash of all that it said. docs/contract.md, sections 6 and 7. */
#ifndef MACHINE_LATE_H
#define MACHINE_LATE_H

#include <stdbool.h>

#include "machine/rows.h"

/** A list with one more in it. */
struct late_list {
    struct late_item items[RECORD_LATE_MAX]; /**< in use as far as `list` says */
    struct codec_list list;                  /**< of them */
    uint8_t hash[HASH128_BYTES];             /**< of the new one's body */
};

/** Make `out` of the ends in `known` and a new one. `out` must stay where it is while it is in use.
 * \param late  its body_hash is filled in from `body`.
 * \return false: the list is full, or has one of this token; `out` is not to be used. */
bool late_add(const struct codec_list *known, const struct late_item *late, struct slice body,
              struct late_list *out);

/** The hash of an end. \param headers  empty for a phase. \param kind  enum body_kind */
void late_hash_end(uint64_t outcome, uint64_t code, uint64_t kind, struct slice headers,
                   struct slice body, uint8_t out[HASH128_BYTES]);

#endif
