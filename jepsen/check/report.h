/* A key that fails, for people: the shortest beginning of its history that no order explains. */
#ifndef JEPSEN_CHECK_REPORT_H
#define JEPSEN_CHECK_REPORT_H

#include "jepsen/check/search.h"

/** Append one operation as one line: times, who, what, what came of it. */
void report_operation(const struct history *h, const struct operation *op, struct buffer *out);

/** Append what the search found out: the operations that were called before the return of
 * `result->stuck`, the last `tail` of them, and the state in which it stood. */
void report_stuck(const struct model *model, const struct key_history *key,
                  const struct search_result *result, size_t tail, struct buffer *out);

#endif
