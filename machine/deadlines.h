/* Rows (time, kind, id) that say what to look at when. A row is a lower bound: whoever moves a
 * real deadline later need not touch it; the sweep finds it due, asks its owner
 * (machine/dispatch.h), and the owner puts it again where the deadline now is. Moving a deadline
 * earlier means moving the row.
 *
 * m->next_deadline_ms is a lower bound of the first row: puts lower it, removals leave it, and a
 * sweep makes it exact. To look for the first row after every removal would step over the ghosts
 * of all deadlines that were removed since the store's last flush. */
#ifndef MACHINE_DEADLINES_H
#define MACHINE_DEADLINES_H

#include "machine/state.h"

/** Add a row. */
HF_MUST_USE
int deadline_put(struct machine *m, uint64_t at_ms, enum deadline_kind kind, struct slice id);

/** Remove a row; one that is not there (it is being swept) is fine. */
HF_MUST_USE
int deadline_del(struct machine *m, uint64_t at_ms, enum deadline_kind kind, struct slice id);

/** Move a row. `from_ms` 0 = there is none yet; `to_ms` 0 = none any more; equal = nothing. */
HF_MUST_USE
int deadline_move(struct machine *m, uint64_t from_ms, uint64_t to_ms, enum deadline_kind kind,
                  struct slice id);

/** Where the one deadline row of something stands, as its own row keeps it. */
struct deadline_place {
    uint64_t *at_ms; /**< its time */
    uint64_t *kind;  /**< enum deadline_kind; 0 = there is none */
};

/** Put it where it is wanted. One of the same kind that stands earlier stays: it is a lower bound,
 * and a lease that is extended keeps its row. \param at_ms 0 = none is wanted. */
HF_MUST_USE
int deadline_settle(struct machine *m, struct deadline_place place, uint64_t at_ms,
                    enum deadline_kind kind, struct slice id);

/** Collect rows that are due, in order, into `keep`, until they will touch `rows_max` rows (a
 * session counts with all that it has), and set m->next_deadline_ms to the first that is left. */
struct deadline {
    uint64_t at_ms;          /**< its time */
    enum deadline_kind kind; /**< its kind */
    struct slice id;         /**< in `keep` */
};
HF_MUST_USE
int deadlines_collect(struct machine *m, uint64_t rows_max, struct deadline **due, size_t *count);

#endif
