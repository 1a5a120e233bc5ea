/* What a TXN shares with the calls on locks. */
#ifndef CLIENT_LOCK_H
#define CLIENT_LOCK_H

#include "client/shell.h"

/** The living slot of a grant that was acquired on this handle. The lock is held.
 * \retval HF_ELOST, HF_ENOTHELD it is not alive any more. \retval HF_ENOTOWNER another handle's. */
HF_MUST_USE
int lock_find_grant(hf_lock *lock, const hf_grant *grant, struct slot **slot);

#endif
