/* See the header. Pure, and nothing can fail. */
#include "protocol/principal.h"

#include "base/assert.h"
#include "base/hash.h"
#include "protocol/limits.h"

struct slice principal_host(struct slice peer)
{
    for (size_t i = peer.size; i > 0; i--) {
        if (peer.data[i - 1] == ':') return slice_make(peer.data, i - 1);
    }
    return peer;
}

uint64_t principal_id(struct slice name, struct slice host)
{
    uint8_t text[NAME_BYTES_MAX + 1 + ADDRESS_BYTES_MAX];
    uint8_t hash[SHA256_BYTES];
    HF_ASSERT(name.size <= NAME_BYTES_MAX && host.size <= ADDRESS_BYTES_MAX);
    size_t size = name.size;
    if (name.size > 0) memcpy(text, name.data, name.size);
    text[size++] = 0; /* which neither contains */
    if (host.size > 0) memcpy(text + size, host.data, host.size);
    size += host.size;
    sha256(text, size, hash); /* nobody finds another's number for a name of his choice */
    uint64_t id = get_u64(hash);
    return id != 0 ? id : 1;
}
