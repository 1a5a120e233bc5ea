/* What a server is told at its start: flags and the file behind --config, which knows the same
 * settings as `name = value` lines. A flag wins over the file. Anything unknown, repeated, out of
 * range or contradictory is one clear sentence, and the caller exits with code 64. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/log.h"
#include "protocol/limits.h"
#include "server/address.h"
#include "server/cluster.h"

enum {
    CONFIG_PATH_BYTES = 4096,
    CONFIG_SENTENCE_BYTES = CLUSTER_SENTENCE_BYTES,
};

enum config_command { CONFIG_RUN, CONFIG_INIT, CONFIG_HELP, CONFIG_VERSION };

/** Exit codes; sysexits.h's where it has one. */
enum {
    EXIT_USAGE = 64,       /**< wrong or contradictory settings */
    EXIT_DATA = 65,        /**< the directory is damaged, another server's, or a later version's */
    EXIT_UNAVAILABLE = 69, /**< the address cannot be bound */
    EXIT_IO = 74,          /**< a fault: input or output failed, or the directory is in use */
};

struct config {
    enum config_command command;           /**< what to do */
    char data[CONFIG_PATH_BYTES];          /**< the data directory; not empty with RUN and INIT */
    char client[ADDRESS_TEXT_BYTES];       /**< "host:port" to listen on for clients */
    char peer[ADDRESS_TEXT_BYTES];         /**< "host:port" to listen on for other servers */
    char cluster_text[CLUSTER_TEXT_BYTES]; /**< --cluster as it was told; empty = a lone server */
    char cluster_name[CLUSTER_NAME_BYTES]; /**< --cluster-name */
    struct cluster cluster;                /**< the text, read */
    bool new_cluster;                      /**< the directory may be made */
    uint64_t id;                           /**< this server's; 0 = not told: 1, or what it is */
    uint32_t election_ms;                  /**< as struct driver_config's */
    uint32_t segment_mib;                  /**< of the log, 4 to 64 */
    uint32_t map_gib;                      /**< the store's largest size, 1 to 16,384 */
    uint32_t connections_max;              /**< of clients, 1 to 1,000,000 */
    uint32_t rate;                         /**< of a principal's new work, a second; 0 = no limit */
    uint32_t rate_burst;                   /**< likewise at once; 0 = that of a second */
    enum log_level log_level;              /**< lines below are dropped */
    bool insecure;                         /**< may bind beyond loopback without TLS */
};

/** Read arguments and, with --config, the file. Blocks for the file.
 * \param c  Out, written whole. \param sentence  Out: room for CONFIG_SENTENCE_BYTES.
 * \retval HF_EINVAL the sentence says why. */
HF_MUST_USE
int config_read(int argc, char **argv, struct config *c, char *sentence);

/** The text of --help. Static. */
const char *config_help(void);

#endif
