/* Exactly-once (docs/contract.md, section 2): what a session's requests were answered, kept until
 * acknowledged. seq -> (hash of op and body, answer). The same seq and hash get the same bytes
 * again; the same seq and another hash SEQ_REUSED; an acknowledged seq REPLY_GONE. */
#ifndef MACHINE_REPLIES_H
#define MACHINE_REPLIES_H

#include "machine/dispatch.h"
#include "machine/state.h"

/** Join what an envelope acknowledges to what the session knows, and drop those replies. What is
 * known never shrinks; ranges for which there is no room are not remembered yet. */
HF_MUST_USE
int replies_acknowledge(struct machine *m, uint64_t session, struct row_session *s,
                        const struct envelope *envelope);

/** True if `seq` is acknowledged. */
bool reply_is_gone(const struct row_session *s, uint64_t seq);

/** The stored reply of `seq`. \retval HF_ENOTFOUND */
HF_MUST_USE
int reply_find(struct machine *m, uint64_t session, uint64_t seq, struct row_reply *reply);

/** Keep an answer, unless its seq is acknowledged already. \param hash NULL = it never arrived. */
HF_MUST_USE
int reply_store(struct machine *m, uint64_t session, uint64_t seq, uint16_t op,
                const uint8_t hash[HASH128_BYTES], const struct reply_out *out);

/** Answer a stored reply again. \param out its body and `stands`. */
HF_MUST_USE
int reply_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
                 struct reply_out *out);

/** Drop all replies of a session that is being forgotten. */
HF_MUST_USE
int replies_forget(struct machine *m, uint64_t session);

/** Handler of CANCEL. */
HF_MUST_USE
int reply_cancel(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);

#endif
