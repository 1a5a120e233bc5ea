/* Why a lock could not be had, as the end of a sentence: what the servers said beside the refusal
 * (hf_lock_refusal). Pure. */
#ifndef CLIENT_CLI_REFUSAL_H
#define CLIENT_CLI_REFUSAL_H

#include "client/include/holdfast_lock.h"

enum { REFUSAL_BYTES = 1024 };

/** " (session 7 holds it under token 12, 8.2s of its lease left, 2 waiting)", or "" if nothing more
 * is known than the status.
 * \param refusal  may be NULL. \param out  Out: REFUSAL_BYTES. \return `out`. */
const char *refusal_text(const hf_refusal *refusal, char *out);

#endif
