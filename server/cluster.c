/* See server/cluster.h. */
#include "server/cluster.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/status.h"
#include "raft/configuration.h"
#include "server/address.h"

__attribute__((format(printf, 2, 3))) static int complain(char *sentence, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, CLUSTER_SENTENCE_BYTES, format, args);
    va_end(args);
    return HF_EINVAL;
}

/* One "N=HOST:PORT". However the address was written, it is kept in one way: the cluster's id
 * follows from it, and "localhost" on one server must not make another cluster. */
static int parse_member(const char *text, size_t bytes, struct cluster_member *member,
                        char *sentence)
{
    char host[ADDRESS_TEXT_BYTES];
    uint16_t port = 0;
    uint64_t id = 0;
    size_t at = 0;
    for (; at < bytes && text[at] >= '0' && text[at] <= '9' && at < 18; at++)
        id = id * 10 + (uint64_t)(text[at] - '0');
    size_t address_bytes = at < bytes && text[at] == '=' ? bytes - at - 1 : 0;
    bool well = id > 0 && address_bytes > 0 && address_bytes < sizeof member->address;
    if (well) {
        member->id = id;
        memcpy(member->address, text + at + 1, address_bytes);
        member->address[address_bytes] = '\0';
        well = address_split(member->address, host, &port) == HF_OK && port != 0 &&
               address_plain(member->address, member->address) == HF_OK;
    }
    if (well) return HF_OK;
    return complain(sentence,
                    "--cluster: \"%.*s\" is not ID=HOST:PORT with a numeric host, such as "
                    "1=127.0.0.1:7421",
                    (int)(bytes < 100 ? bytes : 100), text);
}

static int add_member(struct cluster *cluster, const struct cluster_member *member, char *sentence)
{
    uint32_t at = 0;
    if (cluster->count == CLUSTER_MEMBERS_MAX)
        return complain(sentence, "--cluster names more than %d servers", CLUSTER_MEMBERS_MAX);
    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct cluster_member *other = &cluster->members[i];
        if (other->id == member->id)
            return complain(sentence, "--cluster names server %" PRIu64 " twice", member->id);
        if (strcmp(other->address, member->address) == 0)
            return complain(sentence, "--cluster gives %s to two servers", member->address);
        if (other->id < member->id) at = i + 1;
    }
    memmove(&cluster->members[at + 1], &cluster->members[at],
            (cluster->count - at) * sizeof *member);
    cluster->members[at] = *member;
    cluster->count++;
    return HF_OK;
}

int cluster_parse(const char *text, struct cluster *cluster, char *sentence)
{
    *cluster = (struct cluster){0};
    for (;;) {
        struct cluster_member member = {0};
        size_t bytes = strcspn(text, ",");
        int rv = parse_member(text, bytes, &member, sentence);
        if (rv == HF_OK) rv = add_member(cluster, &member, sentence);
        if (rv != HF_OK || text[bytes] == '\0') return rv;
        text += bytes + 1;
    }
}

const struct cluster_member *cluster_find(const struct cluster *cluster, uint64_t id)
{
    for (uint32_t i = 0; i < cluster->count; i++) {
        if (cluster->members[i].id == id) return &cluster->members[i];
    }
    return NULL;
}

void cluster_id(const struct cluster *cluster, const char *name, uint8_t *id)
{
    char text[CLUSTER_NAME_BYTES + CLUSTER_MEMBERS_MAX * (ADDRESS_TEXT_BYTES + 24)];
    HF_ASSERT(cluster->count >= 1);
    HF_ASSERT(strlen(name) < CLUSTER_NAME_BYTES);
    int size = snprintf(text, sizeof text, "%s", name);
    for (uint32_t i = 0; i < cluster->count; i++) {
        size += snprintf(text + size, sizeof text - (size_t)size, "\n%" PRIu64 "=%s",
                         cluster->members[i].id, cluster->members[i].address);
    }
    HF_ASSERT((size_t)size < sizeof text);
    put_hash128(id, hash128(0, text, (size_t)size));
}

int cluster_configuration(const struct cluster *cluster, struct buffer *out)
{
    struct configuration_server servers[CLUSTER_MEMBERS_MAX];
    HF_ASSERT(cluster->count >= 1 && cluster->count <= CLUSTER_MEMBERS_MAX);
    for (uint32_t i = 0; i < cluster->count; i++) {
        servers[i] = (struct configuration_server){
            .id = cluster->members[i].id,
            .address = cluster->members[i].address,
            .role = SERVER_VOTER,
        };
    }
    return configuration_encode(servers, cluster->count, out);
}
