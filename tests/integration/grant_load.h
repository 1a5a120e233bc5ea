/* Sixteen callers of one client that acquire and release without a pause, as `holdfast bench lock`
 * does, and watch what they are told: every call succeeds, tokens rise, nobody shares a lock. It
 * measures the longest time without a grant to anybody. */
#ifndef TESTS_INTEGRATION_GRANT_LOAD_H
#define TESTS_INTEGRATION_GRANT_LOAD_H

#include <holdfast.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    GRANT_CALLERS = 16,
    GRANT_CALLERS_SHARING = 4, /* of them, one lock; the others have one each */
};

struct grant_load {
    hf_client *client;                /**< of all callers */
    pthread_t threads[GRANT_CALLERS]; /**< run the callers */
    atomic_bool stop;                 /**< end after this cycle */
    atomic_uint wrong;                /**< answers that are no success, or not true; printed */
    atomic_uint holders;              /**< of the shared lock, as they believe */
    uint64_t shared_token;            /**< the last one of the shared lock; its holder's */
    pthread_mutex_t mutex;            /**< over the three below */
    uint64_t grants;                  /**< told so far */
    uint64_t last_us;                 /**< when the last one was told */
    uint64_t longest_us;              /**< between two, since grant_load_mark() */
};

/** Begin. \param servers  "host:port,..."; borrowed for the call. Aborts the test on failure. */
void grant_load_start(struct grant_load *l, const char *servers);

/** Measure the longest gap from here on; the one that is under way counts as a whole. */
void grant_load_mark(struct grant_load *l);

/** The longest gap since then, the one that is under way too. */
uint64_t grant_load_longest_us(struct grant_load *l);

/** How many were told so far. */
uint64_t grant_load_count(struct grant_load *l);

/** End. \return false: something wrong was answered, or nothing was granted; printed. */
bool grant_load_stop(struct grant_load *l);

#endif
