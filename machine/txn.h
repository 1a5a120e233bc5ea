/* TXN (docs/contract.md, section 8): several ops as one, all of them or nothing.
 *
 * All verdicts are about the state before it. That is kept by the order in which the ops are
 * applied, which is not the order in which they were given: what takes (BEGIN, TIMER_SET) comes
 * before what frees, so that a guard that the same TXN releases is judged while it stands, and no
 * cap sees room that the TXN itself makes; a RELEASE that finds nothing comes before those that
 * find something, since it tells how the lock stands. Queues are served when the op has ended, as
 * for any op, so that no grant leaves before it stands.
 *
 * Every op is looked at, also behind one that is not accepted, so that a late COMPLETE is seen
 * wherever it stands; then all is taken back to a savepoint: the rows by the store, and what struct
 * machine holds beside them here. What is left is the evidence of late completions, written again.
 *
 * Files: txn.c applies; txn_answer.c what is answered, what of it is stored, and the retry. */
#ifndef MACHINE_TXN_H
#define MACHINE_TXN_H

#include "machine/dispatch.h"

enum { TXN_PART_BYTES_MAX = 512 }; /* the largest request struct of its ops */

/** One op of it. */
struct txn_part {
    const struct txn_op *op;                          /**< as it was asked */
    _Alignas(16) uint8_t request[TXN_PART_BYTES_MAX]; /**< decoded */
    int status;                                       /**< its answer, once it is applied */
    struct slice body;                                /**< likewise; in scratch */
};

/* Handlers; see struct op_owner. */
HF_MUST_USE
int txn_apply(struct machine *m, const struct op_context *ctx, const void *request,
              struct reply_out *out);
HF_MUST_USE
int txn_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
               struct reply_out *out);

/** Whether this answer is one that the op accepts. \retval HF_ECORRUPT it does not decode. */
HF_MUST_USE
int txn_accepts(const struct txn_part *part, bool *accepted);

/** Answer that all was done. \param parts `count` of them, all applied. */
HF_MUST_USE
int txn_tell_done(struct machine *m, const struct txn_part *parts, uint32_t count,
                  struct reply_out *out);

/** Answer that nothing was, for the part at `index`. */
HF_MUST_USE
int txn_tell_refused(struct machine *m, const struct txn_part *part, uint32_t index,
                     struct reply_out *out);

#endif
