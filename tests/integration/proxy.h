/* A TCP proxy on 127.0.0.1 that stands between a client and a server and cuts the connection at a
 * chosen byte, in either direction: the way to lose a request or a reply in its midst. One thread
 * of its own; all calls from any other. */
#ifndef TESTS_INTEGRATION_PROXY_H
#define TESTS_INTEGRATION_PROXY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { PROXY_PAIRS_MAX = 64 };

struct proxy_pair {
    int client; /**< accepted; -1 = a free place */
    int server; /**< connected */
};

struct proxy {
    uint16_t port;        /**< where it listens */
    uint16_t target_port; /**< where it connects to, on 127.0.0.1 */
    pthread_t thread;     /**< runs it */
    pthread_mutex_t lock; /**< guards what follows */
    int listener;         /**< its socket */
    int wake[2];          /**< a pipe: look at the settings */
    bool stopping;        /**< leave */
    bool holding;         /**< forward nothing */
    int64_t left[2]; /**< bytes until a cut, [0] to the server, [1] to the client; < 0 = none */
    uint32_t cuts;   /**< so many were made */
    struct proxy_pair pairs[PROXY_PAIRS_MAX]; /**< the thread's */
};

/** Start it before a server's port. Aborts the test on failure. */
void proxy_start(struct proxy *p, uint16_t target_port);

/** End it; its connections break. */
void proxy_stop(struct proxy *p);

/** Forward so many more bytes (of all connections together) to the server and to the client, then
 * cut every connection, once. -1 = no limit. */
void proxy_cut_after(struct proxy *p, int64_t to_server, int64_t to_client);

/** Forward nothing for a while: a network that is silent, not broken. */
void proxy_hold(struct proxy *p, bool holding);

/** How many cuts were made. */
uint32_t proxy_cuts(struct proxy *p);

#endif
