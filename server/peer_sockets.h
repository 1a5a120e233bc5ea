/* The sockets under the links to the other servers (raft/peers.h): one listening, those that were
 * accepted, those that were dialled. Bytes go to and fro, and nothing is decided here. TLS will
 * stand between these sockets and the links' buffers. */
#ifndef SERVER_PEER_SOCKETS_H
#define SERVER_PEER_SOCKETS_H

#include "base/list.h"
#include "server/listener.h"

struct peer_sockets {
    struct listener listener; /**< accepts other servers; not open on a server alone */
    struct loop *loop;        /**< borrowed, back to it */
    struct list accepted;     /**< of struct accepted */
    struct list dialled;      /**< of struct dialled */
};

/** Begin without any socket. */
void peer_sockets_init(struct peer_sockets *s, struct loop *loop);

/** Bind and listen. \param sentence Out on failure: room for CONFIG_SENTENCE_BYTES.
 * \retval HF_EINVAL */
HF_MUST_USE
int peer_sockets_listen(struct peer_sockets *s, const char *address, char *sentence);

/** Do what the links want: dial, send, close. At the end of each pass. */
void peer_sockets_flush(struct peer_sockets *s);

/** Close all of them; the links are told. Again is harmless. */
void peer_sockets_close(struct peer_sockets *s);

#endif
