/* Reads of sessions and locks: CHECK, INFO, LIST, SESSION_LIST (docs/contract.md, sections 3 and
 * 4). Evaluated at the applied cluster time; what is shown as left subtracts the time since, and
 * is a hint. Pages end where the answer would pass a third of a frame. */
#ifndef MACHINE_READS_H
#define MACHINE_READS_H

#include "machine/dispatch.h"

enum { READ_PAGE_BYTES_MAX = FRAME_BYTES_MAX / 3 };

/** What is left at `at_ms`, `elapsed_ms` after the applied time. */
static inline uint64_t read_left(const struct machine *m, uint64_t at_ms, uint64_t elapsed_ms)
{
    uint64_t left_ms = state_left(m, at_ms);
    return left_ms > elapsed_ms ? left_ms - elapsed_ms : 0;
}

/* Readers; see struct op_owner. */
HF_MUST_USE
int read_check(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);
HF_MUST_USE
int read_info(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);
HF_MUST_USE
int read_list(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);
HF_MUST_USE
int read_session_list(struct machine *m, const void *request, uint64_t elapsed_ms,
                      struct reply_out *out);

#endif
