/* A cluster's configuration as bytes: libraft's encoding, made and checked here. libraft's own
 * decoder trusts its input, so bytes from a peer or a disk pass configuration_check() first. */
#ifndef RAFT_CONFIGURATION_H
#define RAFT_CONFIGURATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { CONFIGURATION_SERVERS_MAX = 32, CONFIGURATION_ADDRESS_BYTES_MAX = 255 };

enum configuration_role { SERVER_STANDBY = 0, SERVER_VOTER = 1, SERVER_SPARE = 2 }; /* libraft's */

struct configuration_server {
    uint64_t id;         /**< from 1 */
    const char *address; /**< 1 to 255 bytes, NUL-terminated, borrowed */
    uint8_t role;        /**< enum configuration_role */
};

/** Encode. \param out appended to. \param count 1 to 32.
 * \retval HF_EINVAL an id or an address twice, or out of range. \retval HF_ENOMEM, HF_ETOOLARGE */
HF_MUST_USE
int configuration_encode(const struct configuration_server *servers, size_t count,
                         struct buffer *out);

/** True if the bytes are one configuration, exactly, within the limits above. */
bool configuration_check(struct slice bytes);

/** Read them. \param bytes checked. \param servers Out: room for 32; addresses borrowed from
 * `bytes`. \return how many. */
size_t configuration_decode(struct slice bytes, struct configuration_server *servers);

#endif
