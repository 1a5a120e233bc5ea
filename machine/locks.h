/* ACQUIRE, RELEASE, ABANDON, DOWNGRADE and UPGRADE, and the serving of locks' queues
 * (docs/contract.md, section 4). One FIFO queue a name: whoever asks is granted at once if nobody
 * waits and all its names can be granted, or waits behind all who wait; whatever frees units serves
 * the queue from its head. */
#ifndef MACHINE_LOCKS_H
#define MACHINE_LOCKS_H

#include "machine/dispatch.h"

/* Handlers; see struct op_owner. */
HF_MUST_USE
int lock_acquire(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);
HF_MUST_USE
int lock_release(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);
HF_MUST_USE
int lock_abandon(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);
HF_MUST_USE
int lock_downgrade(struct machine *m, const struct op_context *ctx, const void *request,
                   struct reply_out *out);
HF_MUST_USE
int lock_upgrade(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);
HF_MUST_USE
int lock_grant_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
                      struct reply_out *out);
HF_MUST_USE
int lock_wait_over(struct machine *m, const struct parked *p, struct reply_out *out);
HF_MUST_USE
int lock_waiter_left(struct machine *m, const struct parked *p);

/** Whether a RELEASE finds a grant of its session and owner, under a name that it has.
 * \param found Out. */
HF_MUST_USE
int lock_release_finds(struct machine *m, const struct msg_release *release, bool *found);

/** Answer GRANTED. */
HF_MUST_USE
int lock_tell_granted(struct reply_out *out, uint64_t token, uint64_t waited, uint64_t count);

/** Answer STALE_TOKEN or NOT_HELD of a token that is no grant of this name.
 * \param loss what the session was told, or not yet, of its end; NULL = nothing. */
HF_MUST_USE
int lock_tell_gone(struct machine *m, uint16_t op, struct slice name, uint64_t token,
                   const struct row_loss *loss, struct reply_out *out);

/** Whether this owner of the op's session waits for an ACQUIRE. \param waits Out. */
HF_MUST_USE
int lock_owner_waits(struct machine *m, uint64_t owner, bool *waits);

/** Whether a waiter is first in the queue of its i-th name and can be granted there.
 * \param lock Out: that lock's row. \param first Out. */
HF_MUST_USE
int lock_waiter_is_first(struct machine *m, const struct parked *p,
                         const struct msg_acquire *acquire, uint32_t i, struct row_lock *lock,
                         bool *first);

/** Grant from the head of the queue as far as it goes. \retval HF_ETOOBUSY m->grants_left is used
 * up, or as good as, and the head could be granted. */
HF_MUST_USE
int lock_serve(struct machine *m, struct slice name);

#endif
