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
#include "server/cluster.h"

enum {
    CONFIG_PATH_BYTES = 4096,
    CONFIG_ADDRESS_BYTES = ADDRESS_BYTES_MAX + 1,
    CONFIG_SENTENCE_BYTES = 512,
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
    char client[CONFIG_ADDRESS_BYTES];     /**< "host:port" to listen on for clients */
    char peer[CONFIG_ADDRESS_BYTES];       /**< "host:port" to listen on for other servers */
    char cluster_text[CLUSTER_TEXT_BYTES]; /**< --cluster as it was told; empty = a lone server */
    char cluster_name[CLUSTER_NAME_BYTES]; /**< --cluster-name */
    struct cluster cluster;                /**< the text, read */
    bool new_cluster;                      /**< the directory may be made */
    uint64_t id;                           /**< this server's; 0 = not told: 1, or what it is */
    uint32_t election_ms;                  /**< as struct driver_config's */
    uint32_t segment_mib;                  /**< of the log, 4 to 64 */
    uint32_t map_gib;                      /**< the store's largest size, 1 to 16,384 */
    uint32_t connections_max;              /**< of clients, 1 to 1,000,000 */
    enum log_level log_level;              /**< lines below are dropped */
    bool insecure;                         /**< may bind beyond loopback without TLS */
};

/** Read arguments and, with --config, the file. Blocks for the file.
 * \param c  Out, written whole. \param sentence  Out: room for CONFIG_SENTENCE_BYTES.
 * \retval HF_EINVAL the sentence says why. */
HF_MUST_USE
int config_read(int argc, char **argv, struct config *c, char *sentence);

/** Split "host:port", "[v6]:port" or "localhost:port". \param host  Out: room for
 * CONFIG_ADDRESS_BYTES; a numeric address. \param port  Out: 0 = draw one. \retval HF_EINVAL */
HF_MUST_USE
int config_split_address(const char *address, char *host, uint16_t *port);

/** The one way to write an address: "host:port", "[v6]:port", whatever way it was told.
 * \param text  Out: room for CONFIG_ADDRESS_BYTES; may be `address`. \retval HF_EINVAL */
HF_MUST_USE
int config_plain_address(const char *address, char *text);

/** True for 127.0.0.0/8 and ::1. \param host  numeric. */
bool config_is_loopback(const char *host);

/** True for 0.0.0.0 and ::, which one can bind, but not reach. \param host  numeric. */
bool config_is_any(const char *host);

/** The text of --help. Static. */
const char *config_help(void);

#endif
