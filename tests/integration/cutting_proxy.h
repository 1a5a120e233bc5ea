/* A proxy between a client and a server, in a thread of its own, that cuts the connection after a
 * given number of bytes of one direction, and reads along what the server answers to ACQUIREs,
 * also what it then does not pass on. One client connection at a time. */
#ifndef TESTS_INTEGRATION_CUTTING_PROXY_H
#define TESTS_INTEGRATION_CUTTING_PROXY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { PROXY_CUTS_MAX = 8, PROXY_IDS_MAX = 64 };

struct cut {
    bool reply;           /**< count the server's bytes, else the client's */
    uint32_t after_bytes; /**< so many are still passed on, from the cut before on */
};

/** What happened since the proxy was armed. */
struct proxy_report {
    uint64_t token;        /**< told in the first answer to an ACQUIRE; 0 = none yet */
    unsigned answers;      /**< to ACQUIREs, that left the server with a token */
    unsigned other_tokens; /**< of them with another token than the first */
    unsigned cuts;         /**< made */
};

struct cutting_proxy {
    char address[32];                /**< for the client */
    int listener;                    /**< its socket */
    uint16_t server_port;            /**< where it connects to */
    pthread_t thread;                /**< runs it */
    pthread_mutex_t mutex;           /**< guards what follows */
    bool stop;                       /**< end the thread */
    struct cut cuts[PROXY_CUTS_MAX]; /**< to be made, in order */
    unsigned cut_count;              /**< of them */
    unsigned cut_next;               /**< the next one */
    struct proxy_report report;      /**< so far */
    uint64_t ids[PROXY_IDS_MAX];     /**< this connection's ACQUIREs, the thread's own */
    unsigned id_count;               /**< of them */
};

/** Listen on a port of its own and start the thread. Aborts the test on failure. */
void cutting_proxy_start(struct cutting_proxy *p, uint16_t server_port);

/** Make these cuts from now on. \param cuts copied. */
void cutting_proxy_arm(struct cutting_proxy *p, const struct cut *cuts, unsigned count);

/** Cut no more. \return what happened. */
struct proxy_report cutting_proxy_disarm(struct cutting_proxy *p);

/** End the thread and close everything. */
void cutting_proxy_stop(struct cutting_proxy *p);

#endif
