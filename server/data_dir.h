/* A server's directory: the log's segments and the vote file, flat, and the store in `store/`.
 * Making it is an explicit act (`holdfastd init`), or a lone server's at its first start: a voter
 * that has forgotten its votes must not come back as if it were new. What an interrupted making
 * left is told from what lost its vote file: the former holds no applied entry. */
#ifndef SERVER_DATA_DIR_H
#define SERVER_DATA_DIR_H

#include "base/disk.h"
#include "raft/refusal.h"
#include "server/config.h"
#include "storage/store.h"

struct data_dir {
    struct disk_posix disk; /**< log and vote file; holds the lock */
    struct store *store;    /**< owned */
};

/** Open the directory; a lone server's that is not there yet is made, a cluster member's only with
 * --new-cluster. Blocks.
 * \param why  Out, filled on every error. \retval HF_ELOCKED, HF_ECORRUPT, HF_ENOTFOUND,
 * HF_EVERSION, HF_EDISKFULL, HF_EIO */
HF_MUST_USE
int data_dir_open(struct data_dir *d, const struct config *config, struct refusal *why);

/** Make the directory of a new server, alone or of a new cluster, for `holdfastd init`. Blocks.
 * \param why  Out, filled on every error. \retval HF_EEXIST it was made before. */
HF_MUST_USE
int data_dir_make(const struct config *config, struct refusal *why);

/** Close store and directory; a zeroed one is accepted. */
void data_dir_close(struct data_dir *d);

/** The exit code that goes with a refusal. */
HF_MUST_USE
int data_dir_exit_code(int status);

#endif
