/* What a core counts of itself, for hf_client_metrics(). Plain numbers under the client's lock;
 * they only rise. */
#ifndef CLIENT_CORE_METRICS_H
#define CLIENT_CORE_METRICS_H

#include <stdint.h>

enum { METRICS_BUCKETS = 24 };

struct core_metrics {
    uint64_t ok;               /**< callers told HF_OK */
    uint64_t answered;         /**< told another answer of a server: BUSY, STALE_TOKEN, ... */
    uint64_t refused;          /**< told that nothing was done: class 1, but for time-outs */
    uint64_t timeouts;         /**< told HF_ETIMEOUT */
    uint64_t unknown;          /**< told HF_EUNKNOWN, or another status of class 2 */
    uint64_t cancelled;        /**< told HF_ECANCELLED */
    uint64_t breaker_refusals; /**< not begun at all: HF_EBREAKER */
    uint64_t breaker_openings; /**< times that the breaker opened */
    uint64_t sends;            /**< requests of calls written */
    uint64_t repeats;          /**< of them, those written before */
    uint64_t connections;      /**< made */
    uint64_t redirects;        /**< followed to a leader that another server named */
    uint64_t silences;         /**< connections left because nothing was heard */
    uint64_t keeps;            /**< KEEPs written */
    uint64_t renewals;         /**< acknowledged renewals: OPEN, RESUME, KEEP */
    uint64_t sessions;         /**< opened */
    uint64_t losses_local;     /**< grants and attempts lost by the local deadline */
    uint64_t losses_told;      /**< told lost by a server */
    uint64_t bytes_out;        /**< written to connections */
    uint64_t bytes_in;         /**< read from them */
    uint64_t trips;            /**< answered requests of calls that do not wait at the servers */
    uint64_t trip_us_sum;      /**< how long they took, from the last send, microseconds */
    uint64_t trip_us_max;      /**< the longest */
    uint64_t buckets[METRICS_BUCKETS]; /**< trips of less than 2^i us, and not fewer; last: more */
};

/** Count what a caller is told. */
void core_metrics_verdict(struct core_metrics *m, int verdict);

/** Count an answered request. */
void core_metrics_trip(struct core_metrics *m, uint64_t ns);

#endif
