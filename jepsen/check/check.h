/* A whole history held against a model: key by key, the cheap checks first, then the search. */
#ifndef JEPSEN_CHECK_CHECK_H
#define JEPSEN_CHECK_CHECK_H

#include "jepsen/check/search.h"

enum { CHECK_REPORT_BYTES_MAX = 1 << 20 };

struct check_result {
    enum search_verdict verdict; /**< of all keys together */
    size_t key_count;            /**< keys that were looked at */
    size_t unknown_count;        /**< operations of unknown outcome that had to be considered */
    uint64_t place_count;        /**< of all searches */
};

/** Check every key of `h`, which was finished; sorts and shortens its operations. Stops at the
 * first key that does not fit.
 * \param tail    so many operations of a key that fails are shown at most, at least 1.
 * \param report  Out: why not, for people; "" if it fits. */
void check_history(const struct model *model, struct history *h, const struct search_limits *limits,
                   size_t tail, struct check_result *result, struct buffer *report);

#endif
