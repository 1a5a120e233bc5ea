/* A load that writes down what it was told, so that it can be looked for after each kill: eight
 * threads, each with a client and a long session, acquire locks of unique names and keep them, and
 * begin and complete records of unique keys with a body that names the key. One load a process. */
#ifndef TESTS_INTEGRATION_ACKNOWLEDGED_H
#define TESTS_INTEGRATION_ACKNOWLEDGED_H

#include <stdint.h>

enum { ACKNOWLEDGED_WORKERS = 8 };

struct acknowledged_counts {
    unsigned grants;  /**< told and kept */
    unsigned records; /**< completed, as was told */
    unsigned unknown; /**< calls whose end was not told; nothing is claimed of them */
};

/** Begin. \param servers  "host:port,..."; borrowed for the call. Aborts the test on failure. */
void acknowledged_start(const char *servers);

/** The greatest token that was told. */
uint64_t acknowledged_token_max(void);

/** Acquire one more lock. \param number  another one each time. \return 1 if its token is not above
 * `above`, printed; else 0. */
unsigned acknowledged_check_token(uint64_t above, unsigned number);

/** Look for all that one worker was told. \return how many are lost; each was printed. */
unsigned acknowledged_check(unsigned worker);

/** End, and look for everything. \param counts  Out. \return how many are lost; 1 more if there was
 * nothing to lose. */
unsigned acknowledged_stop(struct acknowledged_counts *counts);

#endif
