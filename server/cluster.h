/* A cluster as its operator writes it: "1=10.0.0.1:7421,2=10.0.0.2:7421,3=10.0.0.3:7421", the same
 * on every server. From it, and from the cluster's name, follow the first configuration and the
 * cluster's id, so that servers that are made apart are of one cluster without having talked. */
#ifndef SERVER_CLUSTER_H
#define SERVER_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/slice.h"
#include "server/address.h"

enum {
    CLUSTER_MEMBERS_MAX = 7, /* more voters make every commit slower, and none safer */
    CLUSTER_TEXT_BYTES = 2048,
    CLUSTER_NAME_BYTES = 64,
    CLUSTER_SENTENCE_BYTES = 512,
};

struct cluster_member {
    uint64_t id;                      /**< from 1 */
    char address[ADDRESS_TEXT_BYTES]; /**< "host:port" for the others, as
                                              address_plain() writes it */
};

struct cluster {
    struct cluster_member members[CLUSTER_MEMBERS_MAX]; /**< by id */
    uint32_t count;                                     /**< 0 = none was told */
};

/** Read the text. \param sentence Out on failure: what is wrong with it, room for
 * CLUSTER_SENTENCE_BYTES. \retval HF_EINVAL */
HF_MUST_USE
int cluster_parse(const char *text, struct cluster *cluster, char *sentence);

/** The member with that id; NULL: none. Borrowed. */
const struct cluster_member *cluster_find(const struct cluster *cluster, uint64_t id);

/** The id that follows from members and name. \param id Out: CLUSTER_ID_BYTES. */
void cluster_id(const struct cluster *cluster, const char *name, uint8_t *id);

/** The first configuration, encoded: every member a voter. Appended to `out`.
 * \retval HF_ENOMEM, HF_ETOOLARGE */
HF_MUST_USE
int cluster_configuration(const struct cluster *cluster, struct buffer *out);

#endif
