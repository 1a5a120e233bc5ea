/* A client's socket: bytes between libuv and the door, one read and one gathered write for each
 * wake-up. What is in the bytes is the door's business. */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "server/listener.h"

struct door_connection;

/** Accept one from the listening socket, or refuse it if there are too many already. */
void connection_accept(struct listener *l);

/** Send what lies in its output, or close it, as the door asks. Once a pass. */
void connection_flush(struct door_connection *door);

#endif
