/* Ends that came too late, the signal of a possible double effect: of a record's attempts and of a
 * branch's phases, the first few, one a token. And what tells a repeat of an end from a
 * contradiction: the hash of all that it said. docs/contract.md, sections 6 and 7. */
#ifndef MACHINE_LATE_H
#define MACHINE_LATE_H

#include "machine/state.h"

/** A list with one more in it. */
struct late_list {
    struct late_item items[RECORD_LATE_MAX]; /**< in use as far as `list` says */
    struct codec_list list;                  /**< of them */
    uint8_t hash[HASH128_BYTES];             /**< of the new one's body */
};

/** What became of a late end. */
enum late_found {
    LATE_ADDED, /**< `out` has it */
    LATE_KNOWN, /**< one of this token is in the list: it is said again */
    LATE_FULL,  /**< it is new, and there is no room for it */
};

/** Make `out` of the ends in `known` and a new one. `out` must stay where it is while it is in use;
 * but for LATE_ADDED it is not to be used. \param late  its body_hash is filled in from `body`. */
enum late_found late_add(const struct codec_list *known, const struct late_item *late,
                         struct slice body, struct late_list *out);

/** Tell whoever watches of a late end. \param branch  its name; empty: a record's. */
HF_MUST_USE
int late_tell(struct machine *m, struct slice name, struct slice branch, uint64_t session,
              const struct late_item *late);

/** The hash of an end. \param headers  empty for a phase. \param kind  enum body_kind */
void late_hash_end(uint64_t outcome, uint64_t code, uint64_t kind, struct slice headers,
                   struct slice body, uint8_t out[HASH128_BYTES]);

#endif
