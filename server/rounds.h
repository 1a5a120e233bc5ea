/* Read confirmation: is this leader still the one? A read joins the next round; a round is a number
 * that is drawn after its reads have arrived, sent to the other members, and confirmed when a
 * majority of the voters, the leader among them only if it is one, has answered it with the
 * leader's own term. Whoever answered so had not voted for another leader by then, so no write of a
 * later term was committed before the reads came. A round under way takes no new reads: an answer
 * to it may be older than they are. Without the disk, and shared by all reads of a pass.
 * Source: Ongaro's dissertation, 6.4; docs/decisions.md. */
#ifndef SERVER_ROUNDS_H
#define SERVER_ROUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "raft/configuration.h"

struct rounds {
    uint64_t number;    /**< of the round under way, or of the last one; rises over terms, too */
    uint64_t wanted;    /**< reads wait for this one; at most number + 1 */
    uint64_t confirmed; /**< rounds up to this one are confirmed */
    bool under_way;     /**< `number` was sent and is not confirmed */
    uint32_t count;     /**< of `answered` */
    uint64_t answered[CONFIGURATION_SERVERS_MAX]; /**< who has answered `number` */
};

/** Begin, with a number that no earlier life of this server used. \param first random. */
void rounds_init(struct rounds *r, uint64_t first);

/** A read has arrived. \return the round that it waits for. */
uint64_t rounds_join(struct rounds *r);

/** Draw the next number, if reads want one and no round is under way. \return true: send it. */
bool rounds_begin(struct rounds *r);

/** A member has answered a round, with the leader's term. */
void rounds_answer(struct rounds *r, uint64_t id, uint64_t number);

/** See whether the round under way is confirmed.
 * \param configuration  the latest in the log, committed or not: its bytes, checked.
 * \param self           the leader's id. */
void rounds_count(struct rounds *r, struct slice configuration, uint64_t self);

/** Leadership is lost: what is under way proves nothing, and nothing is wanted. Reads that wait on
 * all the same are served by any later round: somebody must want one (rounds_join()). */
void rounds_forget(struct rounds *r);

#endif
