/* What a run leaves for its reader: summary.json for programs, report.html for people. */
#ifndef JEPSEN_RUN_RESULTS_H
#define JEPSEN_RUN_RESULTS_H

#include "jepsen/run/timeline.h"
#include "jepsen/run/world.h"

enum { RESULTS_WORD_BYTES = 16 };

struct results {
    const struct world *world;        /**< borrowed */
    struct timeline timeline;         /**< owned: results_close() */
    uint64_t ops_per_s;               /**< before the first fault */
    uint64_t faults_begin_ns;         /**< when the faults began; 0 = they did not */
    uint64_t faults_end_ns;           /**< and ended */
    int code;                         /**< the run's exit code */
    char verdict[RESULTS_WORD_BYTES]; /**< "good", "violated", "undecided", "thin" */
    char checker[RUN_SENTENCE_BYTES]; /**< what the checker says; empty = it was not asked */
    uint64_t violation_ns;            /**< where it says that history breaks; 0 = nowhere known */
};

/** Write summary.json. \return false: it cannot be written. */
bool results_write_summary(const struct results *r, const char *path);

/** Write report.html: one page, no scripts, nothing from elsewhere. \return false: likewise. */
bool results_write_report(const struct results *r, const char *path);

/** Free it. A zeroed one is accepted. */
void results_close(struct results *r);

#endif
