/* What a client's thread leaves in memory that it shares with the run, so that its death takes
 * nothing of the history with it: the lines of what it was answered, and the call that is under
 * way. The thread writes, the run takes: whole lines out of a ring, some times a second.
 *
 * Ids of a tape's calls rise. A call is open as long as no line with its id was put, which one
 * store decides: a thread that dies at any instruction leaves each call either as a line or open,
 * never both, never none. An open call of a dead thread is a line of unknown outcome. The tape of a
 * dead thread goes to the one that takes its place, which goes on counting ids. */
#ifndef JEPSEN_RUN_TAPE_H
#define JEPSEN_RUN_TAPE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "jepsen/journal.h"

enum { TAPE_BYTES = 1 << 17, TAPE_WORD_BYTES = 16, TAPE_NAME_BYTES = 64 };

/** A call under way, by value: what it was made from may be gone. */
struct tape_call {
    _Atomic uint64_t id;           /**< 0 = none; what follows is whole as long as it is not 0 */
    uint64_t call_ns;              /**< as in its line */
    char model[TAPE_WORD_BYTES];   /**< likewise */
    char op[TAPE_WORD_BYTES];      /**< likewise */
    char client[TAPE_NAME_BYTES];  /**< likewise */
    char key[TAPE_NAME_BYTES];     /**< likewise */
    char args[JOURNAL_TEXT_BYTES]; /**< what it has if its outcome stays unknown */
};

struct tape {
    struct tape_call call;    /**< the thread's */
    uint64_t ids;             /**< drawn so far; the thread's */
    _Atomic uint64_t written; /**< bytes that were ever put */
    _Atomic uint64_t taken;   /**< bytes that were ever taken */
    uint64_t id_taken;        /**< of the last line taken; the run's */
    char bytes[TAPE_BYTES];   /**< the ring */
};

/** The thread: this call is made now, unless it was open already. Texts are cut at what fits. */
void tape_open_call(struct tape *t, const struct journal_line *line);

/** The thread: put a line, which ends the call of its id; waits while there is no room. */
void tape_put(struct tape *t, const struct journal_line *line);

/** The run: append to the history what was put. */
void tape_take(struct tape *t, const struct journal *history);

/** The run, when the thread lives no more: take what was put, and write an open call down as
 * unknown. \return true if there was one. */
bool tape_end(struct tape *t, const struct journal *history);

/** The run: is a call open, as far as can be seen? */
bool tape_is_busy(const struct tape *t);

#endif
