/* Places of the search that were looked at: a set of 128-bit hashes, bounded. Two places that share
 * one are taken for the same; among 10^9 places that is less likely than 10^-19. */
#ifndef JEPSEN_CHECK_SEEN_H
#define JEPSEN_CHECK_SEEN_H

#include "base/hash.h"
#include "base/slice.h"

struct seen {
    struct hash128 *places; /**< owned; a hash table; all zero = free */
    size_t count;           /**< in it */
    size_t mask;            /**< its size less 1; 0 = nothing allocated yet */
    size_t bytes_max;       /**< of the table */
};

/** Make an empty set. \param bytes_max for it, at least 1 MiB. */
void seen_init(struct seen *s, size_t bytes_max);

/** Free it; a zeroed one is accepted. */
void seen_close(struct seen *s);

/** Forget all, keep the memory if it is little. */
void seen_clear(struct seen *s);

/** Add a place. \param fresh Out: it was not there.
 * \retval HF_ETOOLARGE bytes_max \retval HF_ENOMEM */
HF_MUST_USE
int seen_add(struct seen *s, struct hash128 place, bool *fresh);

#endif
