/* A server in one thread of the test: sessions that never end, exclusive locks with queues, stored
 * replies, one record a key. Just enough of the contract that the library's shell can be tried over
 * a real socket without a holdfastd.
 *
 * Lists of locks and records have three pages, whatever was asked for: an empty one, one with the
 * line FAKE_LINE, and an empty one whose cursor does not rise, as no server should answer. */
#ifndef TESTS_UNIT_CLIENT_FAKE_SERVER_H
#define TESTS_UNIT_CLIENT_FAKE_SERVER_H

#include <stdint.h>

#define FAKE_LINE "n"

struct fake_server;

/** Start it on a free port of 127.0.0.1. \return owned: fake_server_stop() it. */
struct fake_server *fake_server_start(void);

/** Its port. */
uint16_t fake_server_port(const struct fake_server *f);

/** End it and free. */
void fake_server_stop(struct fake_server *f);

#endif
