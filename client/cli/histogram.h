/* Durations in microseconds, counted in buckets of about 1.6 % width: constant memory, one addition
 * a sample, and two histograms add up. Percentiles are the upper bound of their bucket. */
#ifndef CLIENT_CLI_HISTOGRAM_H
#define CLIENT_CLI_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_SUB = 64, HISTOGRAM_BUCKETS = HISTOGRAM_SUB * 32 };

struct histogram {
    uint64_t count;                      /**< samples */
    uint64_t max;                        /**< the greatest, exactly, us */
    uint32_t buckets[HISTOGRAM_BUCKETS]; /**< samples by size */
};

/** Count one sample of `us` microseconds. */
void histogram_add(struct histogram *h, uint64_t us);

/** Add the samples of `other`. */
void histogram_join(struct histogram *h, const struct histogram *other);

/** The value that `permille` of 1,000 samples do not exceed, us; 0 without samples. */
uint64_t histogram_at(const struct histogram *h, uint64_t permille);

#endif
