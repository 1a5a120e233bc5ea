/* FREEZE and THAW (docs/contract.md, section 10): nothing new begins under a frozen prefix. ACQUIRE
 * and BEGIN there answer FROZEN, who waits gets nothing until the thaw, and waits run on; what
 * frees, renews or finishes goes on. A thaw serves the queues under its prefix, a bounded number of
 * names an entry: what is left goes on by a deadline row that is due at once. */
#ifndef MACHINE_FREEZE_H
#define MACHINE_FREEZE_H

#include "machine/dispatch.h"

enum {
    FROZEN_MAX = 64,      /* prefixes; one more is QUOTA */
    THAW_NAMES_MAX = 512, /* names of queues that one entry takes up */
};

/** Whether a lock or a key stands under a frozen prefix. */
HF_MUST_USE
int freeze_covers(struct machine *m, struct slice name, bool *frozen);

/** The same for any of several. */
HF_MUST_USE
int freeze_covers_any(struct machine *m, const struct codec_strs *names, bool *frozen);

/** DEADLINE_THAW. */
HF_MUST_USE
int thaw_due(struct machine *m, struct slice id);

/* Handlers; see struct op_owner. */
HF_MUST_USE
int freeze_apply(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);
HF_MUST_USE
int thaw_apply(struct machine *m, const struct op_context *ctx, const void *request,
               struct reply_out *out);
HF_MUST_USE
int read_frozen(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);

#endif
