/* What a server says beside the refusal of an acquire, kept for hf_lock_refusal(): decoded once,
 * when the refusal is told, into a struct of the handle that is made at its first refusal. */
#ifndef CLIENT_LOCK_REFUSAL_H
#define CLIENT_LOCK_REFUSAL_H

#include "client/include/holdfast_lock.h"

#include "base/arena.h"
#include "protocol/messages.h"

struct lock_refusal {
    hf_refusal shown;                   /**< status 0 = none */
    char names[REPLY_STORED_BYTES_MAX]; /**< of ALREADY_HELD, each ended by a NUL */
};

/** Keep it. Without memory, or if the bytes do not decode, nothing is kept: the status says enough.
 * \param refusal  In, out: NULL = to be made; owned by the caller: free().
 * \param status   the refusal. \param reply the answer's body. \param arena reset first. */
void lock_refusal_take(struct lock_refusal **refusal, int status, struct slice reply,
                       struct arena *arena);

/** Forget it. \param refusal  may be NULL. */
void lock_refusal_forget(struct lock_refusal *refusal);

#endif
