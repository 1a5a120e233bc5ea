/* Do all servers have the same state? Each keeps the digests of its state at every so-many-th
 * index; a leader offers one of its own in its pings, the others answer whether theirs is the same.
 * What a majority of the voters has is right: whoever has another state there has gone wrong (a
 * flipped bit in memory, a defect, another version's rules), and stops, the leader too. A digest is
 * that of the whole state, and what once differs differs for ever after: so one index in a while,
 * and one answer in a while, find it.
 *
 * Without a majority for either (three servers, three states) nobody knows which one is right, and
 * all go on: that is told by counting nothing. */
#ifndef SERVER_DIGESTS_H
#define SERVER_DIGESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/slice.h"
#include "raft/configuration.h"
#include "raft/message.h"

enum { DIGESTS_KEPT = 64, DIGESTS_OFFERED_MAX = 8 };

/** A state: where, and what it is like. */
struct digest_mark {
    uint64_t index;        /**< 0 = none */
    struct hash128 digest; /**< of the state once that entry is applied */
};

struct digests {
    struct digest_mark kept[DIGESTS_KEPT]; /**< a ring; `newest` is the last one written */
    uint32_t newest;                       /**< in `kept` */
    struct digest_mark offered;            /**< a leader's, to the others */
    uint32_t offers;                       /**< pings that carried it */
    bool agreed;                           /**< a majority has it */
    bool told;                             /**< and a ping said so */
    uint32_t count;                        /**< of `answers` */
    struct {
        uint64_t id; /**< whose */
        bool same;   /**< its state there is the leader's */
    } answers[CONFIGURATION_SERVERS_MAX];
};

/** An entry was applied whose index is one of those that all keep. */
void digests_note(struct digests *d, uint64_t index, struct hash128 digest);

/** Is this our state there, too? */
enum digest_verdict digests_compare(const struct digests *d, uint64_t index, struct hash128 digest);

/** What a leader's next ping says: the newest mark once the last one is agreed and told, or has
 * been offered in vain. \param agreed  Out: a majority has it. \return index 0: nothing yet. */
struct digest_mark digests_offer(struct digests *d, bool *agreed);

/** A member has answered an offer. */
void digests_answer(struct digests *d, uint64_t id, uint64_t index, enum digest_verdict verdict);

/** Count the answers. \param configuration  the latest in the log: its bytes, checked.
 * \param self  the leader's id. \return false: a majority has another state than this leader. */
HF_MUST_USE
bool digests_count(struct digests *d, struct slice configuration, uint64_t self);

/** Leadership is lost, or has begun: what was answered was answered to another. */
void digests_forget(struct digests *d);

#endif
