/* What attacks on a server's ports have in common: a good client beside them that must not feel
 * anything, connections that break off, mutations, connections that dawdle, and a watch over the
 * server's memory. */
#ifndef TESTS_INTEGRATION_HOSTILE_H
#define TESTS_INTEGRATION_HOSTILE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/prng.h"
#include "base/slice.h"
#include "tests/integration/wire.h"

enum { HOSTILE_HALF_OPEN_MAX = 200, MEMORY_SAMPLES_MAX = 4096 };

/** Lock cycles of one session, a thousand a second at most. */
struct good_client {
    pthread_t thread;             /**< runs it */
    uint16_t port;                /**< of the server */
    atomic_uint cycles;           /**< acquire and release, both OK, with a token that rose */
    atomic_uint errors;           /**< anything else: printed */
    atomic_bool stop;             /**< end after this cycle */
    atomic_uint_fast64_t session; /**< its number */
    uint32_t *latencies_us;       /**< of each cycle; owned */
};

/** Begin; returns once it has a session. */
void good_client_start(struct good_client *g, uint16_t port);

/** End, and print what it saw. \return false: it felt something, or did nothing. */
bool good_client_stop(struct good_client *g);

struct hostile {
    struct prng prng;                             /**< seeded */
    struct buffer bytes;                          /**< what is sent next */
    uint16_t port;                                /**< under attack; may be changed at any time */
    uint64_t connections;                         /**< opened so far */
    uint64_t sent_bytes;                          /**< so far */
    struct wire half_open[HOSTILE_HALF_OPEN_MAX]; /**< connections that dawdle */
    unsigned half_open_count;                     /**< of them */
};

void hostile_init(struct hostile *h, uint16_t port, uint64_t seed);
void hostile_close(struct hostile *h);

/** Append to what is sent next: bytes, or random ones. */
void hostile_append(struct hostile *h, const void *bytes, size_t size);
void hostile_add_random(struct hostile *h, size_t size);

/** Change the frames from `from` on in a few places; at times with the first one's length, its
 * first four bytes, set right. */
void hostile_mutate(struct hostile *h, size_t from);

/** Connect. \return false: nobody listens, or nobody has room. */
bool hostile_connect(struct hostile *h, struct wire *c);

/** Send what was gathered; whether it arrives does not matter. */
void hostile_send(struct hostile *h, struct wire *c);

/** Connect, send, and break off, at times with answers unread. */
void hostile_send_and_end(struct hostile *h);

/** Have a pool of connections get on by one byte at a time, or not at all. */
void hostile_dawdle(struct hostile *h);

/** Anonymous memory of a process, evenly over the attack. */
struct memory_watch {
    uint64_t samples_kb[MEMORY_SAMPLES_MAX]; /**< in order */
    unsigned count;                          /**< of them */
    pid_t pid;                               /**< whose */
    uint64_t step_ms;                        /**< between two */
    uint64_t next_ms;                        /**< when the next is due */
};

void memory_watch_start(struct memory_watch *m, pid_t pid, uint64_t seconds);

/** Take a sample if one is due. */
void memory_watch_look(struct memory_watch *m);

/** Print. \return false: the second half of the attack has cost much more than the first. */
bool memory_watch_is_bounded(const struct memory_watch *m);

#endif
