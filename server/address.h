/* The addresses that a server listens at or dials: a number and a port, never a name to look up. */
#ifndef SERVER_ADDRESS_H
#define SERVER_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "protocol/limits.h"

enum { ADDRESS_TEXT_BYTES = ADDRESS_BYTES_MAX + 1 };

/** Split "host:port", "[v6]:port" or "localhost:port". \param host  Out: room for
 * ADDRESS_TEXT_BYTES; a numeric address. \param port  Out: 0 = draw one. \retval HF_EINVAL */
HF_MUST_USE
int address_split(const char *address, char *host, uint16_t *port);

/** The one way to write an address: "host:port", "[v6]:port", whatever way it was told.
 * \param text  Out: room for ADDRESS_TEXT_BYTES; may be `address`. \retval HF_EINVAL */
HF_MUST_USE
int address_plain(const char *address, char *text);

/** True for 127.0.0.0/8 and ::1. \param host  numeric. */
bool address_is_loopback(const char *host);

/** True for 0.0.0.0 and ::, which one can bind, but not reach. \param host  numeric. */
bool address_is_any(const char *host);

#endif
