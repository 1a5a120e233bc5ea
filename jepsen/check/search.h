/* Is there an order of one key's operations that fits the model and the times? Each operation takes
 * effect at one moment between its call and its return; one of unknown outcome at some moment after
 * its call, or never.
 *
 * The search is Wing and Gong's, made fast by Lowe's two means ("Testing for linearizability",
 * 2017): a place, that is the set of operations already in order and the model's state, is looked
 * at once; and operations are put in order just in time, that is, the one that returned first is
 * tried first, others only before it. Three more keep real histories narrow:
 *   - what a model says fits as well at once as ever (a read that fits, a renewal) is taken at
 *     once, without an alternative;
 *   - operations with a rank (grants: their tokens) are tried in that order only;
 *   - what is unknown and can have no effect any more does not tell two places apart.
 *
 * If there is no order, the place that came furthest says which operation's return none can
 * explain: all before it can be, so that this is the end of the shortest part that fails. */
#ifndef JEPSEN_CHECK_SEARCH_H
#define JEPSEN_CHECK_SEARCH_H

#include "jepsen/check/model.h"

/** What a search may use up. Time is the caller's: this file knows no clock. */
struct search_limits {
    size_t bytes_max;            /**< of memory, for places and states together; >= 4 MiB */
    bool (*is_over)(void *data); /**< asked now and then: end it, undecided? */
    void *data;                  /**< handed to is_over */
};

enum search_verdict { SEARCH_FITS, SEARCH_FAILS, SEARCH_UNDECIDED };

struct search_result {
    enum search_verdict verdict;   /**< of the whole */
    const char *undecided;         /**< why: "time", "memory", "the state's size"; static */
    const struct operation *stuck; /**< FAILS: whose return nothing explains */
    struct model_state state;      /**< FAILS: where the search that came furthest stood */
    uint64_t place_count;          /**< looked at */
};

/** Search. \param key sorted by call, and prepared by the model. Blocks; allocates and frees. */
void search_run(const struct model *model, const struct key_history *key,
                const struct search_limits *limits, struct search_result *result);

#endif
