#include "raft/configuration.h"

#include <raft.h>
#include <string.h>

#include "base/status.h"

/* libraft 0.22.1's encoding: a 1, the number of servers, then for each its id, its address with a
 * NUL, its role; zeros to a multiple of eight bytes. Integers are little-endian. */
enum { FORMAT = 1, COUNT_AT = 1, SERVERS_AT = 9, ID_BYTES = 8 };

_Static_assert((int)SERVER_STANDBY == (int)RAFT_STANDBY, "the roles are libraft's");
_Static_assert((int)SERVER_VOTER == (int)RAFT_VOTER, "the roles are libraft's");
_Static_assert((int)SERVER_SPARE == (int)RAFT_SPARE, "the roles are libraft's");

static uint64_t get_little_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

int configuration_encode(const struct configuration_server *servers, size_t count,
                         struct buffer *out)
{
    if (count < 1 || count > CONFIGURATION_SERVERS_MAX) return HF_EINVAL;
    struct raft_configuration c;
    raft_configuration_init(&c);
    int rv = HF_OK;
    for (size_t i = 0; i < count && rv == HF_OK; i++) {
        size_t bytes = strlen(servers[i].address);
        if (bytes < 1 || bytes > CONFIGURATION_ADDRESS_BYTES_MAX || servers[i].id == 0) {
            rv = HF_EINVAL;
            break;
        }
        int added = raft_configuration_add(&c, servers[i].id, servers[i].address, servers[i].role);
        if (added != 0) rv = added == RAFT_NOMEM ? HF_ENOMEM : HF_EINVAL;
    }
    struct raft_buffer encoded = {0};
    if (rv == HF_OK && raft_configuration_encode(&c, &encoded) != 0) rv = HF_ENOMEM;
    if (rv == HF_OK) rv = buffer_append(out, encoded.base, encoded.len);
    raft_free(encoded.base);
    raft_configuration_close(&c);
    return rv;
}

/* Read one server at `*at`; false if the bytes end before it does, or a field is out of range. */
static bool parse_server(struct slice bytes, size_t *at, struct configuration_server *server)
{
    if (bytes.size - *at < ID_BYTES) return false;
    uint64_t id = get_little_u64(bytes.data + *at);
    const uint8_t *address = bytes.data + *at + ID_BYTES;
    size_t room = bytes.size - *at - ID_BYTES;
    const uint8_t *end = room == 0 ? NULL : memchr(address, 0, room);
    if (end == NULL) return false;
    size_t length = (size_t)(end - address);
    if (length < 1 || length > CONFIGURATION_ADDRESS_BYTES_MAX) return false;
    if (room - length < 2) return false; /* the NUL and the role */
    uint8_t role = end[1];
    if (id == 0 || role > SERVER_SPARE) return false;
    *server = (struct configuration_server){id, (const char *)address, role};
    *at += ID_BYTES + length + 2;
    return true;
}

static bool parse(struct slice bytes, struct configuration_server *servers, size_t *count)
{
    if (bytes.size < SERVERS_AT || bytes.size % 8 != 0 || bytes.data[0] != FORMAT) return false;
    uint64_t wanted = get_little_u64(bytes.data + COUNT_AT);
    if (wanted < 1 || wanted > CONFIGURATION_SERVERS_MAX) return false;
    size_t at = SERVERS_AT;
    for (size_t i = 0; i < wanted; i++) {
        if (!parse_server(bytes, &at, &servers[i])) return false;
        for (size_t k = 0; k < i; k++) {
            if (servers[k].id == servers[i].id) return false;
            if (strcmp(servers[k].address, servers[i].address) == 0) return false;
        }
    }
    if (bytes.size - at >= 8) return false;
    for (; at < bytes.size; at++) {
        if (bytes.data[at] != 0) return false;
    }
    *count = (size_t)wanted;
    return true;
}

bool configuration_check(struct slice bytes)
{
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count;
    return parse(bytes, servers, &count);
}

size_t configuration_decode(struct slice bytes, struct configuration_server *servers)
{
    size_t count = 0;
    bool well = parse(bytes, servers, &count);
    HF_ASSERT(well); /* the caller checked them */
    HF_ASSERT(count >= 1);
    return count;
}
