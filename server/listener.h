/* Accepts clients, or other servers: never stopped by running out of descriptors. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/assert.h"
#include "base/list.h"
#include "server/config.h"

struct loop;

struct listener {
    uv_tcp_t tcp;                          /**< the listening socket */
    struct loop *loop;                     /**< borrowed, back to it */
    void (*accept_cb)(struct listener *l); /**< somebody is there: uv_accept() it */
    uint32_t connection_count;             /**< open ones */
    uint32_t connections_max;              /**< never more */
    uint64_t complained_ms;                /**< when a refused connection was last logged */
    uint64_t refused_count;                /**< not accepted, or closed at once */
    bool open;                             /**< between open and close */
    char address[ADDRESS_TEXT_BYTES];      /**< "host:port" as bound */
};

/** Bind and listen. \param address  as address_split() takes it; port 0 draws one.
 * \param accept_cb  called for each connection; keeps connection_count.
 * \param sentence  Out on failure: room for CONFIG_SENTENCE_BYTES. \retval HF_EINVAL */
HF_MUST_USE
int listener_open(struct listener *l, struct loop *loop, const char *address,
                  uint32_t connections_max, void (*accept_cb)(struct listener *l), char *sentence);

/** Log that a connection was not kept, at most once a second. \param why  static. */
void listener_complain(struct listener *l, const char *why);

/** Accept no more; connections stay. Again is harmless. */
void listener_close(struct listener *l);

#endif
