/* Who may use a data directory. It is made only by an explicit act (`holdfastd init`,
 * `--new-cluster`, or a lone server that was told of no cluster), never by accident: a voter that
 * finds its directory empty has forgotten its votes, and would help to lose what it acknowledged.
 *   make   a marker, the log with the bootstrap configuration, then the vote file, each durable
 *          before the next: only with the vote file the directory is one. What an interrupted
 *          make left is known by its marker and cleared by the next
 *   check  an empty directory, another cluster's or another server's is refused, with a sentence
 * The lock against a second process is disk_posix_open()'s. */
#ifndef RAFT_DIRECTORY_H
#define RAFT_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/disk.h"
#include "base/slice.h"
#include "raft/refusal.h"
#include "raft/vote.h"

struct directory_settings {
    uint8_t cluster_id[VOTE_CLUSTER_ID_BYTES]; /**< random for a new cluster */
    uint64_t node_id;                          /**< this server's id, from 1 */
    uint64_t incarnation;                      /**< random */
    struct slice configuration; /**< entry 1, encoded (raft/configuration.h), the same bytes on
                                     every first server; empty: a server that joins later */
    uint32_t segment_bytes;     /**< as struct wal_config's */
};

/** What the caller knows already; what it does not know is not compared. */
struct directory_expected {
    bool knows_cluster;                        /**< `cluster_id` counts */
    uint8_t cluster_id[VOTE_CLUSTER_ID_BYTES]; /**< from the command line or a peer */
    uint64_t node_id;                          /**< 0 = not known */
};

/** True if a directory was made here (there is a vote file). \retval HF_EIO */
HF_MUST_USE
int directory_exists(struct disk *d, bool *exists);

/** Make the directory's files, durably. Blocks.
 * \retval HF_EEXIST it was made before, or holds a log without a vote file. \retval HF_EDISKFULL
 * nothing usable was made, a later make clears it. Faults. */
HF_MUST_USE
int directory_make(struct disk *d, const struct directory_settings *settings, struct refusal *why);

/** Open the vote file and check that it is ours. Blocks. \param v Out: owned, vote_close() it.
 * \retval HF_ENOTFOUND an empty directory: was never made, or lost its files.
 * \retval HF_EINVAL another cluster's or another server's. \retval HF_ECORRUPT it was condemned.
 * Errors of vote_open(). */
HF_MUST_USE
int directory_open(struct disk *d, const struct directory_expected *expected, struct vote *v,
                   struct refusal *why);

/** This server's state was found to be another one than the majority's: directory_open() refuses
 * the directory from now on, since nobody knows what else of it is wrong. Blocks. Faults. */
HF_MUST_USE
int directory_condemn(struct disk *d);

/** Compare the log's end with what the vote file says was committed and durable: a log that lost
 * its end (files put back from an older copy) may have no other mark of it.
 * \param log_last_index  wal_last_index(). \param store_index  what the store holds.
 * \retval HF_ECORRUPT the log or the store is older than the vote file. */
HF_MUST_USE
int directory_check_log(const struct vote *v, uint64_t log_last_index, uint64_t store_index,
                        struct refusal *why);

#endif
