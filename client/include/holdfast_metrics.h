/* holdfast_metrics.h: what a client has seen and done, as numbers for a monitoring system. */
#ifndef HOLDFAST_METRICS_H
#define HOLDFAST_METRICS_H

#include "holdfast.h"

#ifdef __cplusplus
extern "C" {
#endif

enum hf_breaker_state {
    HF_BREAKER_CLOSED = 0,   /**< new work is sent */
    HF_BREAKER_OPEN = 1,     /**< new work is refused: HF_EBREAKER */
    HF_BREAKER_HALF_OPEN = 2 /**< one call was let through, to see whether it is answered */
};

enum { HF_METRICS_BUCKETS = 24 };

/** Counters since hf_client_open(), but for the four at the end; a call is counted when it ends. */
typedef struct hf_metrics {
    uint64_t calls_ok;          /**< Answered HF_OK. */
    uint64_t calls_answered;    /**< Another answer of a server: BUSY, STALE_TOKEN, ... */
    uint64_t calls_refused;     /**< Certainly not done, for another reason than time. */
    uint64_t calls_timed_out;   /**< HF_ETIMEOUT: nothing of it stays. */
    uint64_t calls_unknown;     /**< HF_EUNKNOWN and its like: worth an alarm of its own. */
    uint64_t calls_cancelled;   /**< HF_ECANCELLED. */
    uint64_t breaker_refusals;  /**< Calls not begun: HF_EBREAKER. */
    uint64_t breaker_openings;  /**< Times that the breaker opened. */
    uint64_t requests_sent;     /**< Requests of calls, repeated ones too. */
    uint64_t requests_repeated; /**< Of them, those sent before. */
    uint64_t connections;       /**< Made. More than a few: look at the network. */
    uint64_t redirects;         /**< Followed to a leader that another server named. */
    uint64_t silences;          /**< Connections left as nothing was heard on them. */
    uint64_t renewals_sent;     /**< KEEP requests. */
    uint64_t renewals;          /**< Acknowledged renewals of the session. */
    uint64_t sessions;          /**< Opened. More than one: an earlier one ended. */
    uint64_t losses_local;      /**< Grants and attempts lost by the local deadline. */
    uint64_t losses_told;       /**< Told lost by a server. */
    uint64_t bytes_sent;        /**< To servers. */
    uint64_t bytes_received;    /**< From servers. */
    uint64_t trips;             /**< Answered requests that did not wait at the servers. */
    uint64_t trip_us_sum;       /**< How long they took altogether, microseconds. */
    uint64_t trip_us_max;       /**< The longest, microseconds. */
    uint64_t trip_buckets[HF_METRICS_BUCKETS]; /**< [i]: of less than 2^i us that are in none
                                                  before; the last: all others. */
    uint64_t calls_under_way;                  /**< Now, those that go on in the background too. */
    uint64_t grants;                           /**< Now held, attempts too. */
    uint64_t session;                          /**< Its id; 0 = none now. */
    int breaker;                               /**< Now: enum hf_breaker_state. */
} hf_metrics;

/** All of a client's numbers, as they were at one moment. Does not block; any thread; cheap enough
 * for every second.
 * \param metrics  Out. Written only on HF_OK.
 * \retval HF_EINVAL an argument is NULL. \retval HF_ECLOSED in the child of a fork(). */
HF_API HF_NODISCARD int hf_client_metrics(hf_client *client, hf_metrics *metrics);

#ifdef __cplusplus
}
#endif

#endif
