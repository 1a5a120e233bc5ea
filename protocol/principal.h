/* Who a principal is: until there is authentication, a client's name together with the host that it
 * calls from. Caps count for one (machine/principals.h), rates are one's own (server/rates.h). */
#ifndef PROTOCOL_PRINCIPAL_H
#define PROTOCOL_PRINCIPAL_H

#include <stdint.h>

#include "base/slice.h"

/** The host of an address "host:port"; one without a port is a host as it stands. Borrowed. */
struct slice principal_host(struct slice peer);

/** The principal of a client of this name at this host: never 0. Nobody finds another one's for a
 * name of his choice.
 * \param name  at most NAME_BYTES_MAX. \param host  at most ADDRESS_BYTES_MAX. */
uint64_t principal_id(struct slice name, struct slice host);

#endif
