/* The vote file: the few numbers that a server must never forget, synced before anybody is told.
 *
 * Two equal slots, each written with a write of its own; a slot is two equal sectors, so that a
 * torn write (one of the two) and rot of one sector both leave a copy that checks out:
 *   save    both slots are written with the next sequence number, and synced once; then it is in
 *           force. A disk that acknowledges and loses one of the writes, or makes it in the wrong
 *           place, leaves the other: a vote that was given is not given again
 *   open    the highest sequence number that checks out is in force. A slot of which neither
 *           sector checks out (and is not blank) may have held the newest vote: refused
 * A failed write or sync is a fault: the process must end, since nobody knows what is on disk. */
#ifndef RAFT_VOTE_H
#define RAFT_VOTE_H

#include <stdint.h>

#include "base/disk.h"
#include "raft/refusal.h"

enum { VOTE_CLUSTER_ID_BYTES = 16, VOTE_FILE_BYTES = 8192 };

#define VOTE_FILE_NAME "vote"

/** Everything in the file. */
struct vote_state {
    uint8_t cluster_id[VOTE_CLUSTER_ID_BYTES]; /**< drawn when the cluster was made */
    uint64_t node_id;                          /**< this server's id, from 1 */
    uint64_t incarnation;                      /**< random, drawn when this directory was made */
    uint64_t term;                             /**< the latest term seen; 0 = none */
    uint64_t voted_for;       /**< who got this server's vote in `term`; 0 = nobody */
    uint64_t log_index_min;   /**< high-water mark: committed and durable here; the log at least
                                   reaches it */
    uint64_t log_segment_min; /**< from 1: number of a file that the log had begun; it at least
                                   reaches it. Without it the newest file could be taken away
                                   unseen: nothing behind it would show the gap */
};

struct vote {
    struct disk *disk;       /**< borrowed */
    struct disk_file *file;  /**< owned; NULL = closed */
    struct vote_state state; /**< what is durable */
    uint64_t sequence;       /**< of the write in force, from 1 */
};

/** Make the file with a first state, durably, under its final name in one step. Blocks.
 * \retval HF_EEXIST there is one. Faults. */
HF_MUST_USE
int vote_make(struct disk *d, const struct vote_state *state);

/** Open and read it. Blocks. \param why Out, filled on every error.
 * \retval HF_ENOTFOUND no such file. \retval HF_ECORRUPT a slot is damaged; this server must not
 * vote. \retval HF_EVERSION made by a later version. \retval HF_EIO */
HF_MUST_USE
int vote_open(struct vote *v, struct disk *d, struct refusal *why);

/** Make a term, a vote and a mark durable; v->state says so afterwards. Blocks for one sync.
 * \param term at least the present one. \param log_index_min at least the present one.
 * \retval HF_EIO a fault: end the process. */
HF_MUST_USE
int vote_save(struct vote *v, uint64_t term, uint64_t voted_for, uint64_t log_index_min);

/** Make durable that the log has begun its file `log_segment_min`: before anything in that file is
 * told to anybody. v->state says so afterwards. Blocks for one sync.
 * \param log_segment_min at least the present one. \retval HF_EIO a fault: end the process. */
HF_MUST_USE
int vote_save_segment(struct vote *v, uint64_t log_segment_min);

/** Close the file; a zeroed one is accepted. */
void vote_close(struct vote *v);

#endif
