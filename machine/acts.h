/* What administrators did (docs/contract.md, section 10): every act that changed something leaves a
 * row, numbered from 1 without a gap: when, who, from where, what, why, and how it was before and
 * is after. The last ACTS_KEPT_MAX are kept; the oldest go. */
#ifndef MACHINE_ACTS_H
#define MACHINE_ACTS_H

#include "machine/dispatch.h"

enum {
    ACTS_KEPT_MAX = 10000,
    ACT_TEXT_BYTES = 256, /* of a text of before or after, its NUL included */
};

/** An act, beside what its op's envelope tells. All borrowed. */
struct act {
    struct slice name;          /**< of the lock, key, prefix or setting */
    struct slice operator_name; /**< who decided, as told */
    struct slice reason;        /**< why */
    const char *before;         /**< text for people, < ACT_TEXT_BYTES */
    const char *after;          /**< likewise */
};

/** Whose act it is. All borrowed. */
struct act_origin {
    uint64_t session;         /**< through which it was done */
    struct slice client_name; /**< the session's name then */
    struct slice principal;   /**< as its op's envelope told */
    struct slice peer;        /**< likewise */
    uint16_t op;              /**< enum op_code */
};

/** The origin of the op that is being applied. \param origin Out: in scratch, and the op's. */
HF_MUST_USE
int act_origin_of(struct machine *m, const struct op_context *ctx, struct act_origin *origin);

/** Keep an act of the op that is being applied. */
HF_MUST_USE
int act_keep(struct machine *m, const struct op_context *ctx, const struct act *act);

/** Keep what became of an earlier act. */
HF_MUST_USE
int act_keep_of(struct machine *m, const struct act_origin *origin, const struct act *act);

/** AUDIT; see struct op_owner. */
HF_MUST_USE
int read_acts(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);

#endif
